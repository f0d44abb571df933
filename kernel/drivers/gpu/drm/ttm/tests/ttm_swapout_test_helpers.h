/* SPDX-License-Identifier: MIT */
#ifndef _TTM_SWAPOUT_TEST_HELPERS_H_
#define _TTM_SWAPOUT_TEST_HELPERS_H_

#include <kunit/test.h>
#include <linux/types.h>

#include <drm/ttm/ttm_caching.h>
#include <drm/ttm/ttm_device.h>
#include <drm/ttm/ttm_pool.h>
#include <drm/ttm/ttm_tt.h>

#include "ttm_backup_test_helpers.h"

struct device;
struct drm_device;
struct mem_cgroup;
struct page;
struct ttm_buffer_object;
struct ttm_lru_bulk_move;

/* Chunks of orders 9, 6, 1 and 0 */
#define SWAPOUT_PAGES	579UL

/* The state of a test: a device, and the counters from before. */
struct swapout_test {
	struct device *dev;
	struct drm_device *drm;
	struct ttm_device bdev;
	/* As amdgpu has them for memory partitions */
	struct ttm_pool pool;
	bool own_pool;
	u64 dma_mask;
	enum ttm_caching caching;
	void *vram;
	struct mem_cgroup *memcg;
	struct backup_counters before;
	long allocated_before;
	unsigned int unpopulated;
	unsigned int bad_at_unpopulate;
	unsigned int wb_calls;
	unsigned int wb_fails_at;
	unsigned int caching_calls;
	unsigned int caching_fails_at;
	unsigned int map_calls;
	unsigned int map_fails_at;
	unsigned int extractions;
	unsigned int extractions_allowed;
	/* Taken when an extraction fails */
	struct page **hold;
	/* The page that cannot be copied back, and one where the file is split before */
	pgoff_t copies_end_at;
	pgoff_t split_at;
	/* After such a failure, the insertion that fails as well; 0 for none */
	unsigned int insertion_fails;
};

struct swapout_tt {
	struct ttm_tt tt;
	struct swapout_test *priv;
	u64 seed;
};

static inline struct swapout_tt *to_swapout_tt(struct ttm_tt *tt)
{
	return container_of(tt, struct swapout_tt, tt);
}

/* How far a buffer object has been swapped out */
enum swapout_state {
	SWAPOUT_ALL,
	SWAPOUT_IN_PART,
	SWAPOUT_HALF_RESTORED,
	/* The last one needs pools of write-combined pages. */
	SWAPOUT_STATES = SWAPOUT_HALF_RESTORED + IS_ENABLED(CONFIG_X86),
};

void swapout_expect_baseline(struct kunit *test);
long swapout_accounted(struct kunit *test);
long swapout_gpu_active(struct kunit *test);
void swapout_fill(struct ttm_tt *tt, u64 seed);
void swapout_device_fini(void *data);
void swapout_device(struct kunit *test, unsigned int alloc_flags);
int swapout_init(struct kunit *test);
int swapout_bo_populate(struct ttm_buffer_object *bo, bool interruptible);
struct ttm_buffer_object *swapout_bo(struct kunit *test,
				     enum ttm_caching caching, pgoff_t pages,
				     struct ttm_lru_bulk_move *bulk);
void swapout_bo_free(struct kunit *test, struct ttm_buffer_object *bo);
s64 swapout_run(struct kunit *test);
bool swapout_unevictable(struct kunit *test, struct ttm_buffer_object *bo);
bool swapout_in_bulk(struct kunit *test, struct ttm_lru_bulk_move *bulk,
		     struct ttm_buffer_object *bo);
void swapout_expect_swapped(struct kunit *test, struct ttm_buffer_object *bo);
void swapout_expect_populated(struct kunit *test, struct ttm_buffer_object *bo);
void swapout_expect_comes_back(struct kunit *test, struct ttm_buffer_object *bo);
unsigned long *swapout_pfns(struct kunit *test, struct ttm_tt *tt);
pgoff_t swapout_moved(struct ttm_tt *tt, const unsigned long *pfns);
void swapout_write_back_fails(struct kunit *test);
void swapout_write_back_works(struct kunit *test);
void swapout_caching_fails(struct kunit *test, unsigned int n);
void swapout_caching_works(struct kunit *test);
void swapout_map_fails(struct kunit *test, unsigned int n);
void swapout_map_works(struct kunit *test);
void swapout_memory_ends(struct kunit *test, unsigned int extractions);
void swapout_copies_end_at(struct kunit *test, pgoff_t idx);
void swapout_copies_work(struct kunit *test);
void swapout_pages_of_others(struct kunit *test, struct ttm_tt *tt);
void swapout_fill_pools(struct kunit *test);
void swapout_copy_ends_at(struct kunit *test, struct ttm_buffer_object *bo, pgoff_t idx);
void swapout_reach(struct kunit *test, struct ttm_buffer_object *bo,
		   enum swapout_state state);

#endif
