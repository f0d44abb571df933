/* SPDX-License-Identifier: MIT */
/*
 * Shared by the KUnit tests of backup and swapout by insertion: counters, the
 * contents of pages, their caching, and a device.
 */
#ifndef _TTM_BACKUP_TEST_HELPERS_H_
#define _TTM_BACKUP_TEST_HELPERS_H_

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/dma-mapping.h>
#include <linux/fault-inject.h>
#include <linux/mm.h>
#include <linux/vmstat.h>

#include <drm/drm_device.h>
#include <drm/drm_drv.h>
#include <drm/drm_kunit_helpers.h>
#include <drm/ttm/ttm_allocation.h>
#include <drm/ttm/ttm_caching.h>

struct file;
struct mem_cgroup;
struct ttm_buffer_object;
struct ttm_tt;

/* Pages in the largest chunk; 2 MiB where pages have 4 KiB */
#define BACKUP_CHUNK	512

/* For pages that the kernel has a mapping of, whose caching can fail to change */
#define BACKUP_POOL_MAPPED						\
	(IS_ENABLED(CONFIG_HIGHMEM) ? TTM_ALLOCATION_POOL_USE_DMA32 : 0)

struct backup_counters {
	long gpu_active;
	long gpu_reclaim;
	long shmem;
	long shmem_thps;
	unsigned long swapins;
	unsigned int dma_mappings;
	unsigned int files;
};

long backup_node_stat(enum node_stat_item item);
unsigned long backup_vm_events(unsigned int first, unsigned int last);
unsigned long backup_pages_allocated(void);
void *backup_debugfs_value(const char *dir_name, const char *name);
unsigned int backup_dma_mappings(void);
struct backup_counters backup_counters(void);
void backup_empty_pools(long base);
void backup_expect_counters(struct kunit *test,
			    const struct backup_counters *before);
void backup_fill_words(u64 *p, u64 seed, size_t page);
bool backup_words_intact(const u64 *p, u64 seed, size_t page);
enum ttm_caching backup_expected_caching(struct page *page, enum ttm_caching caching);
enum ttm_caching backup_page_caching(struct page *page);
void backup_extraction_fails(struct kunit *test);
void backup_extraction_works(struct kunit *test);
void backup_split_in_file(struct kunit *test, struct file *backup, unsigned int order,
			  pgoff_t end);
void backup_memory_fails(struct kunit *test, unsigned int pages, int times);
void backup_memory_fails_from(unsigned int order);
int backup_memory_works(struct kunit *test);
void backup_interrupt_at(struct kunit *test, unsigned int n);
void backup_fail_at(struct kunit *test, unsigned int n);
void backup_stay_on_cpu(struct kunit *test);
void backup_alloc_drm(struct kunit *test, u64 *dma_mask,
		      struct device **dev, struct drm_device **drm);
void backup_bo_destroy(struct ttm_buffer_object *bo);
void backup_bo_fini(void *data);
struct mem_cgroup *backup_memcg(struct kunit *test);
pgoff_t backup_pages_charged(const struct ttm_tt *tt, const struct mem_cgroup *memcg);
int backup_suite_init(struct kunit_suite *suite);

#endif
