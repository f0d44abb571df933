/* SPDX-License-Identifier: MIT */
/*
 * Shared by the KUnit tests of the backup of a struct ttm_tt: a device, struct
 * ttm_tt with contents, the ways to back these up and to restore them, what is to be
 * seen afterwards, and faults.
 */
#ifndef _TTM_BACKUP_TEST_FIXTURE_H_
#define _TTM_BACKUP_TEST_FIXTURE_H_

#include <drm/ttm/ttm_backup_stats.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_device.h>
#include <drm/ttm/ttm_pool.h>
#include <drm/ttm/ttm_tt.h>

#include "../ttm_backup_stats.h"
#include "ttm_backup_test_helpers.h"

/* State of a test: a device, and the counters before the test. */
struct backup_test {
	struct device *dev;
	struct drm_device *drm;
	struct ttm_device bdev;
	u64 dma_mask;
	bool device_ready;
	struct backup_counters before;
	u64 bytes_avail;
	unsigned int wb_calls;
	unsigned int wb_fails_at;
	unsigned int caching_calls;
	unsigned int caching_fails_at;
	struct ttm_tt *mapped;
	unsigned int map_calls;
	unsigned int map_fails_at;
	unsigned int unpopulate_calls;
	unsigned int unpopulate_holes;
};

struct backup_tt {
	struct ttm_tt tt;
	struct backup_test *priv;
	long restored[TTM_RESTORE_NUM];
	u64 seed;
};

struct backup_tt *to_backup_tt(struct ttm_tt *tt);
void backup_expect_baseline(struct kunit *test);
void backup_map_fails(struct kunit *test, struct ttm_tt *tt,
		      unsigned int call);
void backup_device_fini(void *data);
int backup_init(struct kunit *test);
int backup_swap_init(struct kunit *test);
void backup_device(struct kunit *test, unsigned int alloc_flags);
struct ttm_tt *backup_tt(struct kunit *test, enum ttm_caching caching,
			 pgoff_t pages, bool dma);
void backup_tt_free(struct kunit *test, struct ttm_tt *tt);
void backup_fill(struct ttm_tt *tt, u64 seed);
bool backup_page_intact(struct ttm_tt *tt, pgoff_t i);
struct ttm_tt *backup_filled_tt(struct kunit *test,
				enum ttm_caching caching, pgoff_t pages,
				bool dma);
long backup_run(struct kunit *test, struct ttm_tt *tt);
void backup_restore(struct kunit *test, struct ttm_tt *tt);
void backup_plain_file(struct kunit *test, struct ttm_tt *tt);
void backup_make_foreign(struct kunit *test, struct ttm_tt *tt);
unsigned int backup_order(struct kunit *test, struct ttm_tt *tt, pgoff_t i);
struct folio *backup_tt_folio(struct ttm_tt *tt, pgoff_t i);
void backup_needs_large(struct kunit *test, struct ttm_tt *tt);
void backup_expect_populated(struct kunit *test, struct ttm_tt *tt);
void backup_expect_round_trip(struct kunit *test, struct ttm_tt *tt);
void backup_expect_pages(struct kunit *test, struct ttm_tt *tt,
			 pgoff_t resident, pgoff_t backed_up,
			 pgoff_t inserted);
void backup_expect_backed_up(struct kunit *test, struct ttm_tt *tt);
pgoff_t backup_restored_since(struct ttm_tt *tt, enum ttm_restore_how how);
void backup_expect_restored(struct kunit *test, struct ttm_tt *tt,
			    pgoff_t adopted, pgoff_t extracted,
			    pgoff_t copied);
struct page **backup_page_array(struct kunit *test, struct ttm_tt *tt);
pgoff_t backup_punch(struct kunit *test, struct ttm_tt *tt, pgoff_t i);
pgoff_t backup_uncached_pages(struct page **pages, pgoff_t num);
void backup_expect_retained(struct kunit *test, struct ttm_tt *tt,
			    pgoff_t pages);
unsigned int backup_hold_chunks(struct kunit *test, struct ttm_tt *tt,
				struct folio **folio, unsigned int max);
long backup_run_with_pages(struct kunit *test, struct ttm_tt *tt,
			   unsigned int pages);
int backup_interrupted_restore(struct kunit *test, struct ttm_tt *tt,
			       unsigned int n);

#endif
