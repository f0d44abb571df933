// SPDX-License-Identifier: MIT
/*
 * KUnit tests of the backup of a struct ttm_tt by insertion, and of its restore.
 *
 * Suite "ttm_backup_insert" pretends that there is swap. Suite
 * "ttm_backup_insert_swap" needs a swap device, so it is skipped at boot; enable
 * swap and write to its "run" file in debugfs.
 *
 * The number in the name of a case is that of a clause of the contract. Every case
 * ends with a check that the node's counters are what they were before (c58).
 */

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/cgroup.h>
#include <linux/debugfs.h>
#include <linux/dma-mapping.h>
#include <linux/fault-inject.h>
#include <linux/file.h>
#include <linux/highmem.h>
#include <linux/initrd.h>
#include <linux/memblock.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/page_counter.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/shmem_fs.h>
#include <linux/shmem_insert.h>
#include <linux/swap.h>
#include <linux/vmstat.h>
#include <linux/xarray.h>

#ifdef CONFIG_X86
#include <asm/memtype.h>
#include <asm/set_memory.h>
#endif

#include <drm/drm_device.h>
#include <drm/drm_drv.h>
#include <drm/drm_kunit_helpers.h>
#include <drm/ttm/ttm_allocation.h>
#include <drm/ttm/ttm_backup.h>
#include <drm/ttm/ttm_backup_stats.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_device.h>
#include <drm/ttm/ttm_placement.h>
#include <drm/ttm/ttm_pool.h>
#include <drm/ttm/ttm_resource.h>
#include <drm/ttm/ttm_tt.h>

#include <trace/events/shmem_insert.h>

#include "../ttm_backup_file.h"
#include "../ttm_backup_restore.h"
#include "../ttm_backup_stats.h"
#include "../ttm_module.h"
#include "../ttm_pool_internal.h"
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
};

struct backup_tt {
	struct ttm_tt tt;
	struct backup_test *priv;
	long restored[TTM_RESTORE_NUM];
	u64 seed;
};

static struct backup_tt *to_backup_tt(struct ttm_tt *tt)
{
	return container_of(tt, struct backup_tt, tt);
}

/*
 * Counters
 */

/* In which way the pages of all restores so far came back */
static void backup_restored(long restored[TTM_RESTORE_NUM])
{
	unsigned int how;

	for (how = 0; how < TTM_RESTORE_NUM; how++)
		restored[how] = atomic_long_read(&ttm_backup_stats.restored[how]);
}

static void backup_expect_baseline(struct kunit *test)
{
	struct backup_test *priv = test->priv;

	backup_expect_counters(test, &priv->before);
}

/*
 * Stubs and switches
 */

static u64 backup_fake_bytes_avail(void)
{
	struct backup_test *priv = kunit_get_current_test()->priv;

	return priv->bytes_avail;
}

#ifdef CONFIG_X86
/*
 * Fails at one of its calls: on the way to write-back without having done
 * anything, on the way from there half-way.
 */
static int backup_fake_set_caching(struct page **pages, pgoff_t nr,
				   enum ttm_caching caching)
{
	struct backup_test *priv = kunit_get_current_test()->priv;

	if (caching == ttm_cached) {
		if (++priv->wb_calls != priv->wb_fails_at)
			return set_pages_array_wb(pages, nr);

		/* A failure may leave any part of the pages changed. */
		set_pages_array_wb(pages, nr / 2);
		return -ENOMEM;
	}

	if (++priv->caching_calls != priv->caching_fails_at)
		return set_pages_array_wc(pages, nr);

	set_pages_array_wc(pages, nr / 2);
	/* As _set_pages_array() does: the memory types go, the attributes stay. */
	return -ENOMEM;
}

static void backup_caching_fails(struct kunit *test, unsigned int wb_call,
				 unsigned int other_call)
{
	struct backup_test *priv = test->priv;

	kunit_activate_static_stub(test, ttm_pool_set_caching,
				   backup_fake_set_caching);
	priv->wb_calls = 0;
	priv->wb_fails_at = wb_call;
	priv->caching_calls = 0;
	priv->caching_fails_at = other_call;
}
#endif

/*
 * Maps as the pool does, but fails at one of its calls. Old addresses are gone by
 * then: here a page has the same one again, so nobody would see their use.
 */
static int backup_fake_map(struct ttm_pool *pool, unsigned int order,
			   struct page *p, dma_addr_t *dma_addr)
{
	struct backup_test *priv = kunit_get_current_test()->priv;
	struct ttm_tt *tt = priv->mapped;

	if (!priv->map_calls)
		memset(tt->dma_address, 0xff,
		       tt->num_pages * sizeof(*tt->dma_address));
	if (++priv->map_calls == priv->map_fails_at)
		return -EFAULT;

	*dma_addr = dma_map_page(pool->dev, p, 0, PAGE_SIZE << order,
				 DMA_BIDIRECTIONAL);

	return dma_mapping_error(pool->dev, *dma_addr) ? -EFAULT : 0;
}

/* From the first call on, or at none if @call is zero. */
static void backup_map_fails(struct kunit *test, struct ttm_tt *tt,
			     unsigned int call)
{
	struct backup_test *priv = test->priv;

	kunit_activate_static_stub(test, ttm_pool_map, backup_fake_map);
	priv->mapped = tt;
	priv->map_calls = 0;
	priv->map_fails_at = call;
}

/*
 * Fixture
 */

static int backup_populate(struct ttm_device *bdev, struct ttm_tt *tt,
			   struct ttm_operation_ctx *ctx)
{
	if (ttm_tt_is_backed_up(tt))
		return ttm_tt_restore(bdev, tt, ctx);

	return ttm_pool_alloc(&bdev->pool, tt, ctx);
}

static struct ttm_tt *backup_tt_create(struct ttm_buffer_object *bo, u32 flags)
{
	struct backup_tt *btt = kzalloc_obj(*btt, GFP_KERNEL);

	if (!btt)
		return NULL;

	if (ttm_sg_tt_init(&btt->tt, bo, flags, ttm_write_combined))
		goto err_free;
	btt->tt.page_flags |= TTM_TT_FLAG_EXTERNAL | TTM_TT_FLAG_EXTERNAL_MAPPABLE;
	if (ttm_tt_setup_backup(&btt->tt))
		goto err_fini;

	return &btt->tt;

err_fini:
	ttm_tt_fini(&btt->tt);
err_free:
	kfree(btt);
	return NULL;
}

static void backup_tt_destroy(struct ttm_device *bdev, struct ttm_tt *tt)
{
	ttm_tt_fini(tt);
	kfree(to_backup_tt(tt));
}

/* Writes to the pages, as amdgpu does, so there must be nothing else in their place. */
static void backup_unpopulate(struct ttm_device *bdev, struct ttm_tt *tt)
{
	struct kunit *test = kunit_get_current_test();
	unsigned int handles = 0;
	pgoff_t i;

	for (i = 0; i < tt->num_pages; i++) {
		struct page *page = tt->pages[i];

		if (page && ttm_backup_page_ptr_is_handle(page))
			handles++;
		else if (page && !PageTail(page))
			page->mapping = NULL;
	}
	/* Buffer objects are also freed by a worker. */
	if (test) {
		struct backup_test *priv = test->priv;

		KUNIT_EXPECT_EQ(test, handles, 0);
		priv->unpopulate_calls++;
	}

	ttm_pool_free(&bdev->pool, tt);
}

static int backup_move(struct ttm_buffer_object *bo, bool evict,
		       struct ttm_operation_ctx *ctx, struct ttm_resource *res,
		       struct ttm_place *hop)
{
	ttm_bo_move_null(bo, res);

	return 0;
}

static struct ttm_device_funcs backup_funcs = {
	.ttm_tt_create = backup_tt_create,
	.ttm_tt_populate = backup_populate,
	.ttm_tt_unpopulate = backup_unpopulate,
	.ttm_tt_destroy = backup_tt_destroy,
	.move = backup_move,
};

static void backup_device_fini(void *data)
{
	struct backup_test *priv = data;

	ttm_device_fini(&priv->bdev);
}

static int backup_init(struct kunit *test)
{
	struct backup_test *priv = kunit_kzalloc(test, sizeof(*priv), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, priv);
	test->priv = priv;

	backup_alloc_drm(test, &priv->dma_mask, &priv->dev, &priv->drm);

	priv->bytes_avail = 1ULL << 40;
	kunit_activate_static_stub(test, ttm_backup_bytes_avail,
				   backup_fake_bytes_avail);

	backup_empty_pools(0);
	priv->before = backup_counters();

	return 0;
}

static int backup_swap_init(struct kunit *test)
{
	if (!total_swap_pages)
		kunit_skip(test, "no swap: enable it, then write to this suite's run file");

	return backup_init(test);
}

static void backup_device(struct kunit *test, unsigned int alloc_flags)
{
	struct backup_test *priv = test->priv;
	int ret;

	ret = ttm_device_init(&priv->bdev, &backup_funcs, priv->dev,
			      priv->drm->anon_inode->i_mapping,
			      priv->drm->vma_offset_manager, alloc_flags);
	KUNIT_ASSERT_EQ(test, ret, 0);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test,
							   backup_device_fini,
							   priv));
	priv->device_ready = true;
}

static void backup_tt_fini(void *data)
{
	struct backup_tt *btt = data;

	ttm_tt_unpopulate(&btt->priv->bdev, &btt->tt);
	ttm_tt_fini(&btt->tt);
}

/* Unpopulated, with a backup file if the device can have one. */
static struct ttm_tt *backup_tt(struct kunit *test, enum ttm_caching caching,
				pgoff_t pages, bool dma)
{
	struct backup_test *priv = test->priv;
	struct ttm_buffer_object *bo;
	struct backup_tt *btt;
	int ret;

	if (!priv->device_ready)
		backup_device(test, 0);

	bo = kunit_kzalloc(test, sizeof(*bo), GFP_KERNEL);
	btt = kunit_kzalloc(test, sizeof(*btt), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, bo);
	KUNIT_ASSERT_NOT_NULL(test, btt);
	btt->priv = priv;
	backup_restored(btt->restored);
	bo->base.size = pages << PAGE_SHIFT;

	if (dma)
		ret = ttm_sg_tt_init(&btt->tt, bo, 0, caching);
	else
		ret = ttm_tt_init(&btt->tt, bo, 0, caching, 0);
	KUNIT_ASSERT_EQ(test, ret, 0);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, backup_tt_fini,
							   btt));

	btt->tt.page_flags |= TTM_TT_FLAG_EXTERNAL | TTM_TT_FLAG_EXTERNAL_MAPPABLE;
	KUNIT_ASSERT_EQ(test, 0, ttm_tt_setup_backup(&btt->tt));

	return &btt->tt;
}

static void backup_tt_free(struct kunit *test, struct ttm_tt *tt)
{
	kunit_release_action(test, backup_tt_fini, to_backup_tt(tt));
}

static void backup_fill(struct ttm_tt *tt, u64 seed)
{
	pgoff_t i;
	size_t word;

	to_backup_tt(tt)->seed = seed;
	for (i = 0; i < tt->num_pages; i++) {
		u64 *p;

		if (!tt->pages[i])
			continue;
		p = kmap_local_page(tt->pages[i]);
		for (word = 0; word < PAGE_SIZE / sizeof(*p); word++)
			p[word] = backup_word(seed, i, word);
		kunmap_local(p);
	}
}

static bool backup_page_intact(struct ttm_tt *tt, pgoff_t i)
{
	u64 seed = to_backup_tt(tt)->seed;
	u64 *p = kmap_local_page(tt->pages[i]);
	size_t word;

	for (word = 0; word < PAGE_SIZE / sizeof(*p); word++)
		if (p[word] != backup_word(seed, i, word))
			break;
	kunmap_local(p);

	return word == PAGE_SIZE / sizeof(*p);
}

/* Populated and filled */
static struct ttm_tt *backup_filled_tt(struct kunit *test,
				       enum ttm_caching caching, pgoff_t pages,
				       bool dma)
{
	struct backup_test *priv = test->priv;
	struct ttm_tt *tt = backup_tt(test, caching, pages, dma);
	struct ttm_operation_ctx ctx = {};

	KUNIT_ASSERT_EQ(test, 0, ttm_tt_populate(&priv->bdev, tt, &ctx));
	backup_fill(tt, pages + caching + 1);

	return tt;
}

static long backup_run(struct kunit *test, struct ttm_tt *tt)
{
	struct backup_test *priv = test->priv;
	long ret;

	ret = ttm_tt_backup(&priv->bdev, tt, (struct ttm_backup_flags) {});
	/* Folios in another CPU's batches would be copied back. */
	lru_add_drain_all();

	return ret;
}

static void backup_restore(struct kunit *test, struct ttm_tt *tt)
{
	struct backup_test *priv = test->priv;
	struct ttm_operation_ctx ctx = {};

	KUNIT_ASSERT_EQ(test, 0, ttm_tt_populate(&priv->bdev, tt, &ctx));
}

/* A file as upstream's, which takes copies only, and is empty */
static void backup_plain_file(struct kunit *test, struct ttm_tt *tt)
{
	struct file *file = shmem_file_setup("ttm shmem backup",
					     (loff_t)tt->num_pages << PAGE_SHIFT,
					     EMPTY_VMA_FLAGS);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	ttm_backup_fini(tt->backup);
	tt->backup = file;
	KUNIT_ASSERT_FALSE(test, ttm_backup_file_takes_folios(tt->backup));
}

/* Make the chunks look as if they had not been allocated by shmem. */
static void backup_make_foreign(struct kunit *test, struct ttm_tt *tt)
{
	struct backup_test *priv = test->priv;
	pgoff_t i;

	for (i = 0; i < tt->num_pages;
	     i += 1UL << ttm_pool_page_order(&priv->bdev.pool, tt->pages[i]))
		tt->pages[i]->private &= ~TTM_POOL_PAGE_FOLIO;
}

/* Pages of the page allocator, no folios, in a file that takes those */
static struct ttm_tt *backup_foreign_tt(struct kunit *test,
					enum ttm_caching caching, pgoff_t pages,
					bool dma)
{
	struct ttm_tt *tt = backup_tt(test, caching, pages, dma);

	backup_plain_file(test, tt);
	backup_restore(test, tt);
	backup_fill(tt, pages + caching + 1);
	KUNIT_ASSERT_EQ(test, 0, ttm_tt_setup_backup(tt));
	KUNIT_ASSERT_TRUE(test, ttm_backup_file_takes_folios(tt->backup));
	KUNIT_ASSERT_FALSE(test, PageCompound(tt->pages[0]));

	return tt;
}

static unsigned int backup_order(struct kunit *test, struct ttm_tt *tt, pgoff_t i)
{
	struct backup_test *priv = test->priv;

	return ttm_pool_page_order(&priv->bdev.pool, tt->pages[i]);
}

static struct folio *backup_tt_folio(struct ttm_tt *tt, pgoff_t i)
{
	return page_folio(tt->pages[i]);
}

/* Without them, chunks are taken apart, and their pages inserted one by one. */
static void backup_needs_large(struct kunit *test, struct ttm_tt *tt)
{
	if (!folio_test_large(backup_tt_folio(tt, 0)))
		kunit_skip(test, "needs large folios");
}

/* How the kernel has a page mapped. */
static enum ttm_caching backup_expected_caching(struct ttm_tt *tt)
{
	return IS_ENABLED(CONFIG_X86) ? tt->caching : ttm_cached;
}

/* The number of pages that are not as they should be. */
static pgoff_t backup_bad_pages(struct ttm_tt *tt)
{
	pgoff_t i, bad = 0;

	for (i = 0; i < tt->num_pages; i++) {
		struct page *page = tt->pages[i];

		if (!page)
			continue;
		if (ttm_backup_page_ptr_is_handle(page) ||
		    backup_page_caching(page) != backup_expected_caching(tt) ||
		    (tt->dma_address && tt->dma_address[i] != page_to_phys(page)) ||
		    !backup_page_intact(tt, i))
			bad++;
	}

	return bad;
}

static void backup_expect_populated(struct kunit *test, struct ttm_tt *tt)
{
	struct ttm_backup_pages where;

	KUNIT_EXPECT_TRUE(test, ttm_tt_is_populated(tt));
	KUNIT_EXPECT_FALSE(test, ttm_tt_is_backed_up(tt));
	KUNIT_EXPECT_FALSE(test, ttm_tt_is_fully_swapped(tt));
	KUNIT_EXPECT_EQ(test, tt->retained, 0);
	KUNIT_EXPECT_EQ(test, ttm_tt_shrinkable_pages(tt), tt->num_pages);
	KUNIT_EXPECT_NULL(test, tt->restore);
	KUNIT_EXPECT_EQ(test, backup_bad_pages(tt), 0);
	KUNIT_EXPECT_EQ(test, file_inode(tt->backup)->i_blocks, 0);
	KUNIT_EXPECT_EQ(test, tt->backup->f_mapping->nrpages, 0);

	ttm_tt_backup_pages(tt, &where);
	KUNIT_EXPECT_EQ(test, where.backed_up, 0);
	KUNIT_EXPECT_EQ(test, where.inserted, 0);
}

/* The end of most cases: all of it is restored, and nothing is left behind. */
static void backup_expect_round_trip(struct kunit *test, struct ttm_tt *tt)
{
	backup_restore(test, tt);
	backup_expect_populated(test, tt);
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
}

/* The number of folios in the backup file that are not as they should be. */
static pgoff_t backup_bad_folios(struct ttm_tt *tt)
{
	struct xarray *pages = &tt->backup->f_mapping->i_pages;
	unsigned long index, i;
	pgoff_t bad = 0;
	void *entry;

	/* Folios on their way to the LRU lists have a reference for that. */
	lru_add_drain_all();

	xa_for_each(pages, index, entry) {
		struct folio *folio = entry;

		if (xa_is_value(entry))
			continue;
		if (folio_ref_count(folio) != folio_nr_pages(folio) ||
		    folio->private || folio_test_locked(folio) ||
		    !folio_test_lru(folio))
			bad++;
		for (i = 0; i < folio_nr_pages(folio); i++)
			if (backup_page_caching(folio_page(folio, i)) != ttm_cached)
				bad++;
	}

	return bad;
}

static void backup_expect_pages(struct kunit *test, struct ttm_tt *tt,
				pgoff_t resident, pgoff_t backed_up,
				pgoff_t inserted)
{
	struct ttm_backup_pages where;

	ttm_tt_backup_pages(tt, &where);
	KUNIT_EXPECT_EQ(test, where.resident, resident);
	KUNIT_EXPECT_EQ(test, where.backed_up, backed_up);
	KUNIT_EXPECT_EQ(test, where.inserted, inserted);
	KUNIT_EXPECT_EQ(test, file_inode(tt->backup)->i_blocks,
			backed_up * (PAGE_SIZE / SECTOR_SIZE));
	KUNIT_EXPECT_EQ(test, backup_bad_folios(tt), 0);
}

/* Backed up to the last page, all of it by insertion */
static void backup_expect_backed_up(struct kunit *test, struct ttm_tt *tt)
{
	KUNIT_EXPECT_FALSE(test, ttm_tt_is_populated(tt));
	KUNIT_EXPECT_TRUE(test, ttm_tt_is_backed_up(tt));
	KUNIT_EXPECT_TRUE(test, ttm_tt_is_fully_swapped(tt));
	KUNIT_EXPECT_EQ(test, ttm_tt_shrinkable_pages(tt), 0);
	backup_expect_pages(test, tt, 0, tt->num_pages, tt->num_pages);
}

/* How many pages came back in this way since @tt was made */
static pgoff_t backup_restored_since(struct ttm_tt *tt, enum ttm_restore_how how)
{
	long restored[TTM_RESTORE_NUM];

	backup_restored(restored);

	return restored[how] - to_backup_tt(tt)->restored[how];
}

static void backup_expect_restored(struct kunit *test, struct ttm_tt *tt,
				   pgoff_t adopted, pgoff_t extracted,
				   pgoff_t copied)
{
	KUNIT_EXPECT_EQ(test, backup_restored_since(tt, TTM_RESTORE_ADOPTED),
			adopted);
	KUNIT_EXPECT_EQ(test, backup_restored_since(tt, TTM_RESTORE_EXTRACTED),
			extracted);
	KUNIT_EXPECT_EQ(test, backup_restored_since(tt, TTM_RESTORE_MERGED), 0);
	KUNIT_EXPECT_EQ(test, backup_restored_since(tt, TTM_RESTORE_COPIED),
			copied);
}

/* A copy of the page pointers, to compare with. */
static struct page **backup_page_array(struct kunit *test, struct ttm_tt *tt)
{
	struct page **pages = kunit_kmalloc_array(test, tt->num_pages,
						  sizeof(*pages), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, pages);
	memcpy(pages, tt->pages, tt->num_pages * sizeof(*pages));

	return pages;
}

/* Free a chunk, to leave a hole behind. */
static pgoff_t backup_punch(struct kunit *test, struct ttm_tt *tt, pgoff_t i)
{
	unsigned int order = backup_order(test, tt, i);
	pgoff_t nr = 1UL << order;
	struct page *page = tt->pages[i];

	if (tt->caching != ttm_cached)
		KUNIT_ASSERT_EQ(test, 0, ttm_pool_set_caching(&tt->pages[i], nr,
							      ttm_cached));
	page->private = 0;
	ttm_pool_put_pages(page, order, false);
	memset(&tt->pages[i], 0, nr * sizeof(*tt->pages));

	return nr;
}

/*
 * The cases
 */

static void backup_round_trip(struct kunit *test, enum ttm_caching caching,
			      bool dma)
{
	static const pgoff_t sizes[] = { 1, 3, 64, 512, 579, 1100 };
	struct backup_test *priv = test->priv;
	unsigned int i, round;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct ttm_tt *tt = backup_filled_tt(test, caching, sizes[i], dma);
		long active = backup_node_stat(NR_GPU_ACTIVE);

		KUNIT_EXPECT_EQ(test, active - priv->before.gpu_active, sizes[i]);
		backup_expect_populated(test, tt);

		for (round = 0; round < 2; round++) {
			KUNIT_ASSERT_EQ(test, backup_run(test, tt), sizes[i]);
			backup_expect_backed_up(test, tt);
			KUNIT_EXPECT_EQ(test, backup_node_stat(NR_GPU_ACTIVE),
					priv->before.gpu_active);
			KUNIT_EXPECT_EQ(test, backup_node_stat(NR_SHMEM) -
					priv->before.shmem, sizes[i]);

			backup_restore(test, tt);
			backup_expect_populated(test, tt);
			KUNIT_EXPECT_EQ(test, backup_node_stat(NR_GPU_ACTIVE),
					active);
		}
		backup_tt_free(test, tt);
	}
	backup_expect_baseline(test);
}

static void backup_c46_cached(struct kunit *test)
{
	backup_round_trip(test, ttm_cached, false);
}

static void backup_c46_cached_and_dma_mapped(struct kunit *test)
{
	backup_round_trip(test, ttm_cached, true);
}

static void backup_c46_c48_write_combined(struct kunit *test)
{
	backup_round_trip(test, ttm_write_combined, true);
}

static void backup_c46_c48_uncached(struct kunit *test)
{
	backup_round_trip(test, ttm_uncached, false);
}

static pgoff_t backup_uncached_pages(struct page **pages, pgoff_t num)
{
	pgoff_t i, uncached = 0;

	for (i = 0; i < num; i++)
		if (backup_page_caching(pages[i]) != ttm_cached)
			uncached++;

	return uncached;
}

#ifdef CONFIG_X86
static void backup_c47_write_back_fails(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579, true);

	backup_caching_fails(test, 1, 0);
	KUNIT_EXPECT_EQ(test, backup_run(test, tt), -ENOMEM);
	/* and once more for each chunk, whose caching is known then */
	KUNIT_EXPECT_EQ(test, priv->wb_calls, 1 + hweight_long(579));
	backup_expect_populated(test, tt);
	KUNIT_EXPECT_EQ(test, backup_uncached_pages(tt->pages, 579), 579);
	KUNIT_EXPECT_EQ(test, backup_node_stat(NR_SHMEM), priv->before.shmem);
	KUNIT_EXPECT_EQ(test, backup_node_stat(NR_GPU_ACTIVE) -
			priv->before.gpu_active, 579);

	kunit_deactivate_static_stub(test, ttm_pool_set_caching);
	KUNIT_EXPECT_EQ(test, backup_run(test, tt), 579);
	backup_expect_backed_up(test, tt);
	backup_expect_round_trip(test, tt);
}

/* The pages before two holes, between them, or after them */
static void backup_c47_write_back_fails_at_a_hole(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	unsigned int call;

	for (call = 1; call <= 3; call++) {
		struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 79,
						     false);
		pgoff_t holes;

		KUNIT_ASSERT_EQ(test, backup_order(test, tt, 0), 6);
		KUNIT_ASSERT_EQ(test, backup_order(test, tt, 64), 3);
		KUNIT_ASSERT_EQ(test, backup_order(test, tt, 72), 2);
		KUNIT_ASSERT_EQ(test, backup_order(test, tt, 76), 1);
		holes = backup_punch(test, tt, 64) + backup_punch(test, tt, 76);

		backup_caching_fails(test, call, 0);
		KUNIT_EXPECT_EQ(test, backup_run(test, tt), -ENOMEM);
		KUNIT_EXPECT_EQ(test, priv->wb_calls, call + 1);
		backup_expect_populated(test, tt);

		kunit_deactivate_static_stub(test, ttm_pool_set_caching);
		KUNIT_EXPECT_EQ(test, backup_run(test, tt), 79 - holes);
		backup_expect_pages(test, tt, 0, 79 - holes, 79 - holes);
		backup_tt_free(test, tt);
	}
	backup_expect_baseline(test);
}
#endif

#ifdef CONFIG_X86
static int backup_fake_page_set_wb(struct page *p, unsigned int order)
{
	struct backup_test *priv = kunit_get_current_test()->priv;

	priv->wb_calls++;

	return -ENOMEM;
}

/* Lost rather than given to somebody who expects it to be write-back cached */
static void backup_c47_write_back_fails_when_freed(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 64, false);
	unsigned int order = backup_order(test, tt, 0);
	struct page *page = tt->pages[0];
	pgoff_t i, nr = 1UL << order;
	unsigned int tries;

	backup_needs_large(test, tt);
	KUNIT_ASSERT_EQ(test, order, 6);
	backup_tt_free(test, tt);

	kunit_activate_static_stub(test, ttm_pool_page_set_wb,
				   backup_fake_page_set_wb);
	for (tries = 0; tries < 100 && !priv->wb_calls; tries++)
		drop_slab();
	kunit_deactivate_static_stub(test, ttm_pool_page_set_wb);
	KUNIT_ASSERT_EQ(test, priv->wb_calls, 1);

	KUNIT_EXPECT_EQ(test, page_ref_count(page), 1);
	KUNIT_EXPECT_EQ(test, folio_order(page_folio(page)), order);
	for (i = 0; i < nr; i++)
		KUNIT_EXPECT_EQ(test, backup_page_caching(page + i),
				ttm_write_combined);
	/* It is GPU memory still, for whoever wonders where it is. */
	KUNIT_EXPECT_EQ(test, backup_node_stat(NR_GPU_RECLAIM) -
			priv->before.gpu_reclaim, nr);
	/* The pool has no part in it any more. */
	tt = backup_filled_tt(test, ttm_write_combined, 64, false);
	KUNIT_EXPECT_PTR_NE(test, tt->pages[0], page);
	backup_tt_free(test, tt);

	KUNIT_ASSERT_EQ(test, 0, ttm_pool_page_set_wb(page, order));
	page->private = 0;
	ttm_pool_put_pages(page, order, true);
	backup_expect_baseline(test);
}
#endif

#ifdef CONFIG_MEMCG
KUNIT_DEFINE_ACTION_WRAPPER(backup_put_css, css_put, struct cgroup_subsys_state *);

/* The group that the harness makes, in which there is no memory to be had */
static struct mem_cgroup *backup_memcg(struct kunit *test)
{
	struct cgroup_subsys_state *css;
	struct cgroup *cgroup;

	cgroup = cgroup_get_from_path("/kunit");
	if (IS_ERR(cgroup))
		kunit_skip(test, "no cgroup /kunit: make it, and set its memory.max to 0");
	css = cgroup_get_e_css(cgroup, &memory_cgrp_subsys);
	cgroup_put(cgroup);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, backup_put_css, css));

	return mem_cgroup_from_css(css);
}

/* The shrinking task charges others afterwards, and itself as before. */
static void backup_c22_active_memcg_is_put_back(struct kunit *test)
{
	struct mem_cgroup *const active[] = {
		NULL, root_mem_cgroup, backup_memcg(test),
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(active); i++) {
		struct ttm_tt *tt = backup_filled_tt(test, ttm_cached, 67, false);
		struct mem_cgroup *old = set_active_memcg(active[i]);
		long ret = backup_run(test, tt);

		KUNIT_EXPECT_PTR_EQ(test, set_active_memcg(old), active[i]);
		KUNIT_EXPECT_EQ(test, ret, 67);
		backup_expect_round_trip(test, tt);
	}
}

/* How many folios in the backup file are charged to somebody, or to nobody? */
static unsigned int backup_charged_wrong(struct ttm_tt *tt)
{
	struct xarray *pages = &tt->backup->f_mapping->i_pages;
	unsigned long index;
	unsigned int wrong = 0;
	void *entry;

	xa_for_each(pages, index, entry) {
		struct folio *folio = entry;

		rcu_read_lock();
		if (!folio_memcg_charged(folio) ||
		    folio_memcg(folio) != root_mem_cgroup)
			wrong++;
		rcu_read_unlock();
	}

	return wrong;
}

/* Neither who shrinks nor who made it pays, whatever way the pages go. */
static void backup_c22_c76_charged_to_root(struct kunit *test)
{
	struct mem_cgroup *memcg = backup_memcg(test), *old;
	unsigned int foreign;

	for (foreign = 0; foreign <= 1; foreign++) {
		unsigned long usage;
		struct ttm_tt *tt;
		long ret;

		tt = backup_filled_tt(test, ttm_write_combined, 579, true);
		if (foreign)
			backup_make_foreign(test, tt);
		usage = page_counter_read(&memcg->memory);
		old = set_active_memcg(memcg);
		ret = backup_run(test, tt);
		set_active_memcg(old);

		KUNIT_EXPECT_EQ(test, ret, 579);
		KUNIT_EXPECT_EQ(test, tt->backup->f_mapping->nrpages, 579);
		KUNIT_EXPECT_EQ(test, backup_charged_wrong(tt), 0);
		KUNIT_EXPECT_EQ(test, page_counter_read(&memcg->memory), usage);
		backup_expect_round_trip(test, tt);
	}
}
#endif

static void backup_c49_dma32_stays_dma32(struct kunit *test)
{
	struct ttm_tt *tt;
	pgoff_t i;

	backup_device(test, TTM_ALLOCATION_POOL_USE_DMA32);
	tt = backup_filled_tt(test, ttm_write_combined, 579, true);
	KUNIT_ASSERT_EQ(test, backup_run(test, tt), 579);
	backup_expect_backed_up(test, tt);
	backup_restore(test, tt);
	backup_expect_populated(test, tt);
	for (i = 0; i < tt->num_pages; i++)
		KUNIT_ASSERT_LT(test, page_to_phys(tt->pages[i]), 1ULL << 32);
	backup_tt_free(test, tt);
	backup_expect_baseline(test);

	/* Without such memory, nothing could have gone wrong. */
	if (PFN_PHYS(max_pfn) <= 1ULL << 32)
		kunit_skip(test, "needs memory above 4 GiB");
}

static void backup_c50_dma_alloc_pool_unchanged(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_backup_flags purge = { .purge = 1 };
	struct backup_counters before;
	struct page *pages[3];
	struct ttm_tt *tt;

	backup_device(test, TTM_ALLOCATION_POOL_USE_DMA_ALLOC);
	tt = backup_filled_tt(test, ttm_cached, ARRAY_SIZE(pages), true);
	memcpy(pages, tt->pages, sizeof(pages));
	before = backup_counters();

	KUNIT_EXPECT_EQ(test, backup_run(test, tt), -EBUSY);
	KUNIT_EXPECT_EQ(test, ttm_tt_backup(&priv->bdev, tt, purge), -EBUSY);
	KUNIT_EXPECT_MEMEQ(test, pages, tt->pages, sizeof(pages));
	/* Pages of the DMA API are no folios. */
	KUNIT_EXPECT_FALSE(test, PageCompound(pages[0]));
	backup_expect_populated(test, tt);

	/* These pools move pages between two counters that never had them. */
	KUNIT_EXPECT_EQ(test, backup_node_stat(NR_GPU_ACTIVE), before.gpu_active);
	KUNIT_EXPECT_EQ(test, backup_node_stat(NR_SHMEM), before.shmem);
	backup_tt_free(test, tt);
}

static void backup_c53_drop_while_backed_up(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 1100, true);
	struct inode *inode = file_inode(tt->backup);

	KUNIT_ASSERT_EQ(test, backup_run(test, tt), 1100);
	KUNIT_EXPECT_EQ(test, backup_node_stat(NR_SHMEM) - priv->before.shmem, 1100);

	ttm_tt_drop_backup(tt);
	KUNIT_EXPECT_FALSE(test, ttm_tt_is_backed_up(tt));
	KUNIT_EXPECT_EQ(test, inode->i_blocks, 0);
	KUNIT_EXPECT_EQ(test, inode->i_mapping->nrpages, 0);
	KUNIT_EXPECT_EQ(test, backup_node_stat(NR_SHMEM), priv->before.shmem);
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
}

static void backup_c53_destroy_while_backed_up(struct kunit *test)
{
	struct ttm_tt *tt = backup_filled_tt(test, ttm_cached, 579, false);
	struct file *file;

	KUNIT_ASSERT_EQ(test, backup_run(test, tt), 579);
	file = get_file(tt->backup);
	backup_tt_free(test, tt);
	/* Not by closing the file, which others could have open */
	KUNIT_EXPECT_EQ(test, file_inode(file)->i_blocks, 0);
	fput(file);
	backup_expect_baseline(test);
}

/* One page is enough to name the folio that goes. */
static void backup_c53_drop_range_takes_whole_folios(struct kunit *test)
{
	struct ttm_tt *tt = backup_filled_tt(test, ttm_cached, 579, false);
	struct inode *inode = file_inode(tt->backup);
	static const pgoff_t pages[] = { 578, 577, 530, 0 };
	static const pgoff_t dropped[] = { 1, 1, 46, 512 };
	static const pgoff_t left[] = { 578, 576, 512, 0 };
	unsigned int i;

	backup_needs_large(test, tt);
	KUNIT_ASSERT_EQ(test, backup_run(test, tt), 579);
	for (i = 0; i < ARRAY_SIZE(pages); i++) {
		unsigned long handle;

		handle = ttm_backup_page_ptr_to_handle(tt->pages[pages[i]]);
		KUNIT_EXPECT_EQ(test, ttm_backup_file_drop(tt->backup, handle),
				dropped[i]);
		KUNIT_EXPECT_EQ(test, inode->i_blocks,
				left[i] * (PAGE_SIZE / SECTOR_SIZE));
	}
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
}

static void backup_c54_drop_while_partially_backed_up(struct kunit *test)
{
	static const pgoff_t retained[] = { 0, 512, 578 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(retained); i++) {
		struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579,
						     true);
		struct folio *folio = backup_tt_folio(tt, retained[i]);
		pgoff_t nr = folio_nr_pages(folio);

		folio_get(folio);
		KUNIT_ASSERT_EQ(test, backup_run(test, tt), 579 - nr);
		backup_expect_pages(test, tt, nr, 579 - nr, 579 - nr);
		backup_tt_free(test, tt);
		/* There is no other user any more. */
		KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
		folio_put(folio);
	}
	backup_expect_baseline(test);
}

static void backup_c55_purge(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_backup_flags purge = { .purge = 1 };
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579, true);
	struct page *pages[2] = { tt->pages[0], tt->pages[578] };
	pgoff_t i;

	KUNIT_EXPECT_EQ(test, ttm_tt_backup(&priv->bdev, tt, purge), 579);
	for (i = 0; i < tt->num_pages; i++)
		KUNIT_ASSERT_NULL(test, tt->pages[i]);
	backup_expect_pages(test, tt, 0, 0, 0);
	/* They went to the system, which wants them write-back cached. */
	KUNIT_EXPECT_EQ(test, backup_page_caching(pages[0]), ttm_cached);
	KUNIT_EXPECT_EQ(test, backup_page_caching(pages[1]), ttm_cached);
	KUNIT_EXPECT_EQ(test, backup_node_stat(NR_GPU_ACTIVE),
			priv->before.gpu_active);
	KUNIT_EXPECT_EQ(test, backup_node_stat(NR_SHMEM), priv->before.shmem);

	/* And there is a life after it. */
	ttm_tt_clear_backed_up(tt);
	backup_restore(test, tt);
	backup_fill(tt, 5);
	backup_expect_populated(test, tt);
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
}

/* Both what is in the file and what is not */
static void backup_c55_purge_of_an_incomplete_backup(struct kunit *test)
{
	static const pgoff_t retained[] = { 0, 512, 578 };
	struct ttm_backup_flags purge = { .purge = 1 };
	struct backup_test *priv = test->priv;
	unsigned int i;
	pgoff_t j;

	for (i = 0; i < ARRAY_SIZE(retained); i++) {
		struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579,
						     true);
		struct folio *folio = backup_tt_folio(tt, retained[i]);
		pgoff_t nr = folio_nr_pages(folio);

		folio_get(folio);
		KUNIT_ASSERT_EQ(test, backup_run(test, tt), 579 - nr);
		KUNIT_EXPECT_EQ(test, ttm_tt_backup(&priv->bdev, tt, purge), nr);
		for (j = 0; j < tt->num_pages; j++)
			KUNIT_ASSERT_NULL(test, tt->pages[j]);
		backup_expect_pages(test, tt, 0, 0, 0);
		KUNIT_EXPECT_EQ(test, tt->retained, 0);
		KUNIT_EXPECT_EQ(test, ttm_tt_shrinkable_pages(tt), 0);
		/* There is no other user any more. */
		KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
		folio_put(folio);
		KUNIT_EXPECT_EQ(test, backup_node_stat(NR_GPU_ACTIVE),
				priv->before.gpu_active);
		KUNIT_EXPECT_EQ(test, backup_node_stat(NR_SHMEM),
				priv->before.shmem);

		/* And there is a life after it. */
		ttm_tt_clear_backed_up(tt);
		backup_restore(test, tt);
		backup_fill(tt, 5);
		backup_expect_populated(test, tt);
		backup_tt_free(test, tt);
	}
	backup_expect_baseline(test);
}

/* Check what is reported about the rest of an incomplete backup */
static void backup_expect_retained(struct kunit *test, struct ttm_tt *tt,
				   pgoff_t pages)
{
	KUNIT_EXPECT_EQ(test, tt->retained, pages);
	KUNIT_EXPECT_EQ(test, ttm_tt_shrinkable_pages(tt), pages);
	KUNIT_EXPECT_EQ(test, ttm_tt_is_fully_swapped(tt), !pages);
}

/* The chunks are 512, 64, 2 and 1 pages. */
static void backup_c57_retained_chunks_are_retried(struct kunit *test)
{
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579, true);
	struct folio *two = backup_tt_folio(tt, 576), *one = backup_tt_folio(tt, 578);
	struct page *handle;

	backup_needs_large(test, tt);
	KUNIT_ASSERT_EQ(test, folio_nr_pages(two), 2);
	KUNIT_ASSERT_EQ(test, folio_nr_pages(one), 1);
	folio_get(two);
	folio_get(one);

	KUNIT_EXPECT_EQ(test, ttm_tt_shrinkable_pages(tt), 579);
	KUNIT_EXPECT_EQ(test, backup_run(test, tt), 576);
	backup_expect_retained(test, tt, 3);
	KUNIT_EXPECT_TRUE(test, ttm_tt_is_backed_up(tt));
	KUNIT_EXPECT_FALSE(test, ttm_tt_is_populated(tt));
	backup_expect_pages(test, tt, 3, 576, 576);
	handle = tt->pages[5];

	/* No better yet */
	KUNIT_EXPECT_EQ(test, backup_run(test, tt), -EBUSY);
	backup_expect_pages(test, tt, 3, 576, 576);
	backup_expect_retained(test, tt, 3);

	folio_put(one);
	KUNIT_EXPECT_EQ(test, backup_run(test, tt), 1);
	backup_expect_pages(test, tt, 2, 577, 577);
	backup_expect_retained(test, tt, 2);

	folio_put(two);
	KUNIT_EXPECT_EQ(test, backup_run(test, tt), 2);
	backup_expect_backed_up(test, tt);
	KUNIT_EXPECT_PTR_EQ(test, tt->pages[5], handle);

	/* Nothing left to do */
	KUNIT_EXPECT_EQ(test, backup_run(test, tt), 0);
	backup_expect_backed_up(test, tt);

	backup_restore(test, tt);
	backup_expect_populated(test, tt);
	KUNIT_EXPECT_EQ(test, backup_run(test, tt), 579);
	backup_expect_round_trip(test, tt);
}

static void backup_c57_restore_with_retained_chunks(struct kunit *test)
{
	static const pgoff_t retained[] = { 0, 512, 576, 578 };
	struct backup_test *priv = test->priv;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(retained); i++) {
		struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579,
						     true);
		struct folio *folio = backup_tt_folio(tt, retained[i]);

		folio_get(folio);
		KUNIT_ASSERT_EQ(test, backup_run(test, tt),
				579 - folio_nr_pages(folio));
		backup_restore(test, tt);
		backup_expect_populated(test, tt);
		/* Whether it was copied or adopted, nothing of it is lost. */
		KUNIT_EXPECT_EQ(test, folio_ref_count(folio),
				folio == backup_tt_folio(tt, retained[i]) ? 2 : 1);
		KUNIT_EXPECT_EQ(test, backup_node_stat(NR_GPU_ACTIVE) -
				priv->before.gpu_active, 579);
		folio_put(folio);
		KUNIT_EXPECT_EQ(test, backup_run(test, tt), 579);
		backup_tt_free(test, tt);
	}
	backup_expect_baseline(test);
}

/*
 * The driver's hook is called for what is populated, be there holes or not, and not for
 * what is backed up, be it in part.
 */
static void backup_c108_r5_hook_meets_no_handle(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579, false);
	struct folio *folio;

	/* Holes are not mapped for DMA. */
	backup_punch(test, tt, 576);
	ttm_tt_unpopulate(&priv->bdev, tt);
	KUNIT_EXPECT_EQ(test, priv->unpopulate_calls, 1);
	backup_tt_free(test, tt);

	tt = backup_filled_tt(test, ttm_write_combined, 579, true);
	folio = backup_tt_folio(tt, 578);
	folio_get(folio);
	KUNIT_EXPECT_EQ(test, backup_run(test, tt), 578);
	backup_expect_retained(test, tt, 1);
	ttm_tt_unpopulate(&priv->bdev, tt);
	backup_expect_retained(test, tt, 1);
	priv->unpopulate_calls = 0;
	folio_put(folio);
	backup_restore(test, tt);
	ttm_tt_unpopulate(&priv->bdev, tt);
	KUNIT_EXPECT_EQ(test, priv->unpopulate_calls, 1);
	backup_tt_free(test, tt);

	/* Backed up in part, and freed like that */
	tt = backup_filled_tt(test, ttm_uncached, 579, true);
	folio = backup_tt_folio(tt, 0);
	folio_get(folio);
	priv->unpopulate_calls = 0;
	KUNIT_EXPECT_GT(test, backup_run(test, tt), 0);
	backup_tt_free(test, tt);
	KUNIT_EXPECT_EQ(test, priv->unpopulate_calls, 0);
	folio_put(folio);
	backup_expect_baseline(test);
}

static void backup_c57_holes(struct kunit *test)
{
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579, false);
	pgoff_t hole = backup_punch(test, tt, 576);

	KUNIT_EXPECT_EQ(test, backup_run(test, tt), 579 - hole);
	backup_expect_pages(test, tt, 0, 579 - hole, 579 - hole);
	KUNIT_EXPECT_NULL(test, tt->pages[576]);

	/* Restoring fills it with pages of undefined contents. */
	backup_restore(test, tt);
	KUNIT_EXPECT_TRUE(test, backup_page_intact(tt, 575));
	KUNIT_EXPECT_TRUE(test, backup_page_intact(tt, 578));
	backup_fill(tt, 6);
	KUNIT_EXPECT_EQ(test, backup_run(test, tt), 579);
	backup_expect_backed_up(test, tt);
	backup_expect_round_trip(test, tt);
}

/* Keep every chunk of @tt busy. Returns how many there are. */
static unsigned int backup_hold_chunks(struct kunit *test, struct ttm_tt *tt,
				       struct folio **folio, unsigned int max)
{
	unsigned int n = 0;
	pgoff_t page;

	backup_needs_large(test, tt);
	for (page = 0; page < tt->num_pages; page += folio_nr_pages(folio[n++])) {
		KUNIT_ASSERT_LT(test, n, max);
		folio[n] = backup_tt_folio(tt, page);
		folio_get(folio[n]);
	}

	return n;
}

static void backup_all_chunks_busy(struct kunit *test)
{
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579, true);
	struct backup_test *priv = test->priv;
	struct folio *folio[8];
	unsigned int n, i;

	n = backup_hold_chunks(test, tt, folio, ARRAY_SIZE(folio));
	backup_map_fails(test, tt, 0);
	KUNIT_EXPECT_EQ(test, backup_run(test, tt), -EBUSY);
	kunit_deactivate_static_stub(test, ttm_pool_map);
	KUNIT_EXPECT_EQ(test, priv->map_calls, n);
	/* Caching and DMA addresses included */
	backup_expect_populated(test, tt);

	for (i = 0; i < n; i++)
		folio_put(folio[i]);
	KUNIT_EXPECT_EQ(test, backup_run(test, tt), 579);
	backup_expect_round_trip(test, tt);
}

/*
 * Buffer objects, as a driver's shrinker sees them
 */

/* In an LRU list; a driver's buffer objects share a lock if they move as one. */
struct backup_bos {
	struct backup_test *priv;
	struct ttm_lru_bulk_move bulk;
	struct ttm_buffer_object *bo[3];
};

static void backup_bo_destroy(struct ttm_buffer_object *bo)
{
	drm_gem_object_release(&bo->base);
}

static void backup_bo_fini(void *data)
{
	struct ttm_buffer_object *bo = data;

	dma_resv_lock(bo->base.resv, NULL);
	ttm_bo_set_bulk_move(bo, NULL);
	dma_resv_unlock(bo->base.resv);
	ttm_bo_fini(bo);
}

/* Not locked; populated and filled. With @bulk, @resv is not NULL. */
static struct ttm_buffer_object *backup_bo(struct kunit *test, pgoff_t pages,
					   struct ttm_lru_bulk_move *bulk,
					   struct dma_resv *resv)
{
	const struct ttm_place place = { .mem_type = TTM_PL_SYSTEM };
	struct ttm_placement placement = { .num_placement = 1, .placement = &place };
	struct backup_test *priv = test->priv;
	struct ttm_operation_ctx ctx = {};
	struct ttm_buffer_object *bo;
	int ret;

	bo = kunit_kzalloc(test, sizeof(*bo), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, bo);
	drm_gem_private_object_init(priv->drm, &bo->base, pages << PAGE_SHIFT);
	if (resv)
		dma_resv_lock(resv, NULL);
	ret = ttm_bo_init_reserved(&priv->bdev, bo, ttm_bo_type_kernel, &placement, 1,
				   &ctx, NULL, resv, backup_bo_destroy);
	if (!ret) {
		ttm_bo_set_bulk_move(bo, bulk);
		ret = ttm_bo_populate(bo, &ctx);
		dma_resv_unlock(bo->base.resv);
		if (ret)
			backup_bo_fini(bo);
	} else if (resv) {
		dma_resv_unlock(resv);
	}
	KUNIT_ASSERT_EQ(test, ret, 0);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, backup_bo_fini, bo));
	to_backup_tt(bo->ttm)->priv = priv;
	backup_fill(bo->ttm, pages + 1);

	return bo;
}

/* Three of them, of which one may be larger, with or without a bulk move */
static struct backup_bos *backup_bos(struct kunit *test, bool bulk,
				     unsigned int nth, pgoff_t pages)
{
	struct backup_bos *bos = kunit_kzalloc(test, sizeof(*bos), GFP_KERNEL);
	struct backup_test *priv = test->priv;
	struct dma_resv *resv = NULL;
	struct ttm_tt *tt;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, bos);
	/* The chunks of 67 pages are 64, 2 and 1 pages. */
	tt = backup_filled_tt(test, ttm_cached, 67, false);
	backup_needs_large(test, tt);
	backup_tt_free(test, tt);

	bos->priv = priv;
	ttm_lru_bulk_move_init(&bos->bulk);
	for (i = 0; i < ARRAY_SIZE(bos->bo); i++) {
		bos->bo[i] = backup_bo(test, i == nth ? pages : 67,
				       bulk ? &bos->bulk : NULL, resv);
		if (bulk)
			resv = bos->bo[0]->base.resv;
	}

	return bos;
}

static void backup_bos_free(struct kunit *test, struct backup_bos *bos)
{
	unsigned int i;

	/* The lock is the first one's. */
	for (i = ARRAY_SIZE(bos->bo); i-- > 0; )
		if (bos->bo[i])
			kunit_release_action(test, backup_bo_fini, bos->bo[i]);
}

static unsigned int backup_bos_bit(struct backup_bos *bos, struct ttm_resource *res)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bos->bo); i++)
		if (bos->bo[i] && bos->bo[i]->resource == res)
			return BIT(i);

	return 0;
}

/* Which of them a shrinker would come across, a bit for each */
static unsigned int backup_bos_on_lru(struct backup_bos *bos)
{
	struct ttm_device *bdev = &bos->priv->bdev;
	struct ttm_resource_manager *man = ttm_manager_type(bdev, TTM_PL_SYSTEM);
	struct ttm_lru_item *lru;
	unsigned int bits = 0;

	spin_lock(&bdev->lru_lock);
	list_for_each_entry(lru, &man->lru[0], link)
		if (ttm_lru_item_is_res(lru))
			bits |= backup_bos_bit(bos, ttm_lru_item_to_res(lru));
	spin_unlock(&bdev->lru_lock);

	return bits;
}

/* Which of them move as one; ~0 if what should be a range is none. */
static unsigned int backup_bos_in_bulk(struct backup_bos *bos)
{
	struct ttm_lru_bulk_move_pos *pos = &bos->bulk.pos[TTM_PL_SYSTEM][0];
	struct ttm_device *bdev = &bos->priv->bdev;
	struct ttm_resource_manager *man = ttm_manager_type(bdev, TTM_PL_SYSTEM);
	bool inside = false, found = false;
	struct ttm_lru_item *lru;
	unsigned int bits = 0;

	if (!pos->first && !pos->last)
		return 0;

	spin_lock(&bdev->lru_lock);
	list_for_each_entry(lru, &man->lru[0], link) {
		struct ttm_resource *res;

		if (!ttm_lru_item_is_res(lru))
			continue;
		res = ttm_lru_item_to_res(lru);
		if (res == pos->first)
			inside = true;
		if (inside)
			bits |= backup_bos_bit(bos, res);
		if (inside && res == pos->last) {
			found = true;
			break;
		}
	}
	spin_unlock(&bdev->lru_lock);

	return found ? bits : ~0U;
}

static bool backup_bo_suitable(struct ttm_buffer_object *bo)
{
	struct ttm_operation_ctx ctx = { .no_wait_gpu = true };
	bool suitable;

	dma_resv_lock(bo->base.resv, NULL);
	suitable = ttm_bo_shrink_suitable(bo, &ctx);
	dma_resv_unlock(bo->base.resv);

	return suitable;
}

static long backup_bo_shrink(struct ttm_buffer_object *bo, bool purge)
{
	struct ttm_bo_shrink_flags flags = { .purge = purge };
	struct ttm_operation_ctx ctx = { .no_wait_gpu = true };
	long ret;

	dma_resv_lock(bo->base.resv, NULL);
	ret = ttm_bo_shrink(&ctx, bo, flags);
	dma_resv_unlock(bo->base.resv);

	return ret;
}

static int backup_bo_populate(struct ttm_buffer_object *bo, bool interruptible)
{
	struct ttm_operation_ctx ctx = { .interruptible = interruptible };
	int ret;

	dma_resv_lock(bo->base.resv, NULL);
	ret = ttm_bo_populate(bo, &ctx);
	dma_resv_unlock(bo->base.resv);

	return ret;
}

/* All of its range, and then itself within that */
static void backup_move_to_lru_tail(struct backup_bos *bos,
				    struct ttm_buffer_object *bo)
{
	dma_resv_lock(bo->base.resv, NULL);
	spin_lock(&bos->priv->bdev.lru_lock);
	if (bo->bulk_move)
		ttm_lru_bulk_move_tail(bo->bulk_move);
	ttm_bo_move_to_lru_tail(bo);
	spin_unlock(&bos->priv->bdev.lru_lock);
	dma_resv_unlock(bo->base.resv);
}

struct backup_walk {
	unsigned int tried;
	unsigned int busy;
	long freed;
	int err;
};

/* As xe's shrinker does it */
static struct backup_walk backup_walk(struct backup_bos *bos)
{
	struct ttm_resource_manager *man = ttm_manager_type(&bos->priv->bdev,
							    TTM_PL_SYSTEM);
	struct ttm_operation_ctx ctx = { .no_wait_gpu = true };
	struct ttm_lru_walk_arg arg = { .ctx = &ctx, .trylock_only = true };
	struct ttm_bo_shrink_flags flags = {};
	struct ttm_bo_lru_cursor curs;
	struct ttm_buffer_object *bo;
	struct backup_walk walk = {};

	ttm_bo_lru_for_each_reserved_guarded(&curs, man, &arg, bo) {
		unsigned int bit = backup_bos_bit(bos, bo->resource);
		long ret;

		if (!ttm_bo_shrink_suitable(bo, &ctx))
			continue;

		walk.tried |= bit;
		ret = ttm_bo_shrink(&ctx, bo, flags);
		if (ret == -EBUSY) {
			walk.busy |= bit;
			continue;
		}
		if (ret < 0) {
			walk.err = ret;
			break;
		}
		walk.freed += ret;
	}

	return walk;
}

static void backup_expect_walk(struct kunit *test, struct backup_bos *bos,
			       unsigned int tried, unsigned int busy, long freed)
{
	struct backup_walk walk = backup_walk(bos);

	KUNIT_EXPECT_EQ(test, walk.err, 0);
	KUNIT_EXPECT_EQ(test, walk.tried, tried);
	KUNIT_EXPECT_EQ(test, walk.busy, busy);
	KUNIT_EXPECT_EQ(test, walk.freed, freed);
}

/*
 * The first of three has somebody who looks at each of its folios all the time.
 * The second time, not even its DMA mapping can be had again.
 */
static void backup_c77_the_walk_goes_on(struct kunit *test)
{
	unsigned int round, i, n;

	for (round = 0; round < 2; round++) {
		struct backup_bos *bos = backup_bos(test, false, 0, 67);
		struct folio *folio[8];
		struct ttm_tt *tt;

		tt = bos->bo[0]->ttm;
		KUNIT_EXPECT_EQ(test, backup_bos_on_lru(bos), 7);
		n = backup_hold_chunks(test, tt, folio, ARRAY_SIZE(folio));
		if (round)
			backup_map_fails(test, tt, 1);
		backup_expect_walk(test, bos, 7, 1, 2 * 67);
		if (round)
			kunit_deactivate_static_stub(test, ttm_pool_map);
		/* Objects that can be shrunk stay on the LRU, others do not. */
		KUNIT_EXPECT_EQ(test, backup_bos_on_lru(bos), 1);
		KUNIT_EXPECT_EQ(test, ttm_tt_is_populated(tt), !round);
		KUNIT_EXPECT_EQ(test, ttm_tt_shrinkable_pages(tt), 67);
		backup_expect_backed_up(test, bos->bo[1]->ttm);
		backup_expect_backed_up(test, bos->bo[2]->ttm);

		/* No better yet */
		backup_expect_walk(test, bos, 1, 1, 0);
		for (i = 0; i < n; i++)
			folio_put(folio[i]);
		backup_expect_walk(test, bos, 1, 0, 67);
		KUNIT_EXPECT_EQ(test, backup_bos_on_lru(bos), 0);
		backup_expect_walk(test, bos, 0, 0, 0);

		for (i = 0; i < ARRAY_SIZE(bos->bo); i++) {
			KUNIT_EXPECT_EQ(test, backup_bo_populate(bos->bo[i], false), 0);
			backup_expect_populated(test, bos->bo[i]->ttm);
		}
		KUNIT_EXPECT_EQ(test, backup_bos_on_lru(bos), 7);
		backup_expect_walk(test, bos, 7, 0, 3 * 67);
		backup_bos_free(test, bos);
	}
}

#ifdef CONFIG_FAULT_INJECTION_DEBUG_FS
static void backup_interrupt_at(struct kunit *test, unsigned int n);
static void backup_fail_at(struct kunit *test, unsigned int n);

/* Why a backup is incomplete, and how much of it is done then */
enum backup_incomplete {
	BACKUP_BUSY,
	BACKUP_NO_MEMORY,
	BACKUP_HALF,
	BACKUP_INCOMPLETE_NUM,
};

static const pgoff_t backup_incomplete_pages[] = { 67, 67, 1100 };
static const pgoff_t backup_incomplete_done[] = { 3, 64, 512 };

static long backup_bo_shrink_in_part(struct kunit *test,
				     struct ttm_buffer_object *bo,
				     enum backup_incomplete why)
{
	struct folio *folio = backup_tt_folio(bo->ttm, 0);
	long ret;

	if (why == BACKUP_BUSY)
		folio_get(folio);
	/* First for all of the second half, then for each chunk */
	else if (why == BACKUP_HALF)
		backup_interrupt_at(test, 1);
	else
		backup_fail_at(test, 3);
	ret = backup_bo_shrink(bo, false);
	if (why == BACKUP_BUSY)
		folio_put(folio);
	else
		backup_interrupt_at(test, 0);

	return ret;
}

static void backup_incomplete_on_the_lru(struct kunit *test, bool in_bulk,
					 unsigned int nth,
					 enum backup_incomplete why)
{
	const pgoff_t pages = backup_incomplete_pages[why];
	const pgoff_t done = backup_incomplete_done[why];
	struct backup_bos *bos = backup_bos(test, in_bulk, nth, pages);
	unsigned int others = 7 & ~BIT(nth), bulk = in_bulk ? 7 : 0;
	struct ttm_buffer_object *bo = bos->bo[nth];

	KUNIT_EXPECT_EQ(test, backup_bos_in_bulk(bos), bulk);
	KUNIT_EXPECT_EQ(test, backup_bo_shrink_in_part(test, bo, why), done);
	backup_expect_retained(test, bo->ttm, pages - done);
	KUNIT_EXPECT_TRUE(test, backup_bo_suitable(bo));
	KUNIT_EXPECT_EQ(test, backup_bos_on_lru(bos), 7);
	KUNIT_EXPECT_EQ(test, backup_bos_in_bulk(bos), bulk);

	/* Moved by itself or with its range, it stays there. */
	backup_move_to_lru_tail(bos, bo);
	KUNIT_EXPECT_EQ(test, backup_bos_on_lru(bos), 7);
	KUNIT_EXPECT_EQ(test, backup_bos_in_bulk(bos), bulk);

	/* It leaves when there is nothing left of it. */
	KUNIT_EXPECT_EQ(test, backup_bo_shrink(bo, false), pages - done);
	backup_expect_backed_up(test, bo->ttm);
	KUNIT_EXPECT_FALSE(test, backup_bo_suitable(bo));
	KUNIT_EXPECT_EQ(test, backup_bos_on_lru(bos), others);
	KUNIT_EXPECT_EQ(test, backup_bos_in_bulk(bos), bulk & others);

	KUNIT_EXPECT_EQ(test, backup_bo_populate(bo, false), 0);
	backup_expect_populated(test, bo->ttm);
	KUNIT_EXPECT_EQ(test, backup_bos_on_lru(bos), 7);
	KUNIT_EXPECT_EQ(test, backup_bos_in_bulk(bos), bulk);

	/* Incomplete again, and back without having left: it keeps its place. */
	backup_move_to_lru_tail(bos, bos->bo[(nth + 1) % 3]);
	KUNIT_EXPECT_EQ(test, backup_bo_shrink_in_part(test, bo, why), done);
	KUNIT_EXPECT_EQ(test, backup_bo_populate(bo, false), 0);
	backup_expect_populated(test, bo->ttm);
	if (in_bulk)
		KUNIT_EXPECT_PTR_EQ(test, bos->bulk.pos[TTM_PL_SYSTEM][0].last,
				    bos->bo[(nth + 1) % 3]->resource);
	KUNIT_EXPECT_EQ(test, backup_bos_on_lru(bos), 7);
	KUNIT_EXPECT_EQ(test, backup_bos_in_bulk(bos), bulk);

	/* A walk finds the rest of it. */
	KUNIT_EXPECT_EQ(test, backup_bo_shrink_in_part(test, bo, why), done);
	backup_expect_walk(test, bos, 7, 0, 2 * 67 + pages - done);
	KUNIT_EXPECT_EQ(test, backup_bos_on_lru(bos), 0);
	KUNIT_EXPECT_EQ(test, backup_bos_in_bulk(bos), 0);
	/* Nothing leaves twice, also if somebody does not ask first. */
	KUNIT_EXPECT_EQ(test, backup_bo_shrink(bo, false), 0);
	KUNIT_EXPECT_EQ(test, backup_bos_in_bulk(bos), 0);
	backup_bos_free(test, bos);
	backup_expect_baseline(test);
}

/* At any place of a range that moves as one, and without that */
static void backup_c57_c77_incomplete_stays_on_the_lru(struct kunit *test)
{
	enum backup_incomplete why;
	unsigned int nth;

	for (why = 0; why < BACKUP_INCOMPLETE_NUM; why++) {
		for (nth = 0; nth < 3; nth++) {
			backup_incomplete_on_the_lru(test, false, nth, why);
			backup_incomplete_on_the_lru(test, true, nth, why);
		}
	}
}

/* Half-way back it is not for the shrinker, wherever it lies. */
static void backup_c52_c77_restore_in_a_bulk_move(struct kunit *test)
{
	unsigned int nth, complete;

	for (nth = 0; nth < 3; nth++) {
		for (complete = 0; complete <= 1; complete++) {
			unsigned int left = complete ? 7 & ~BIT(nth) : 7;
			struct backup_bos *bos = backup_bos(test, true, 0, 67);
			struct ttm_buffer_object *bo = bos->bo[nth];

			KUNIT_EXPECT_EQ(test,
					backup_bo_shrink_in_part(test, bo,
								 BACKUP_NO_MEMORY),
					64);
			if (complete)
				KUNIT_EXPECT_EQ(test, backup_bo_shrink(bo, false), 3);
			backup_interrupt_at(test, 1);
			KUNIT_EXPECT_EQ(test, backup_bo_populate(bo, true), -EINTR);
			backup_interrupt_at(test, 0);

			KUNIT_EXPECT_NOT_NULL(test, bo->ttm->restore);
			KUNIT_EXPECT_EQ(test, ttm_tt_shrinkable_pages(bo->ttm), 0);
			KUNIT_EXPECT_FALSE(test, backup_bo_suitable(bo));
			KUNIT_EXPECT_EQ(test, backup_bos_on_lru(bos), left);
			KUNIT_EXPECT_EQ(test, backup_bos_in_bulk(bos), left);
			backup_expect_walk(test, bos, 7 & ~BIT(nth), 0, 2 * 67);

			KUNIT_EXPECT_EQ(test, backup_bo_populate(bo, false), 0);
			backup_expect_populated(test, bo->ttm);
			KUNIT_EXPECT_EQ(test, backup_bos_on_lru(bos), BIT(nth));
			KUNIT_EXPECT_EQ(test, backup_bos_in_bulk(bos), BIT(nth));
			backup_bos_free(test, bos);
		}
	}
}

/* Given up, it is as good as new, and where new ones are. */
static void backup_c54_c77_dropped_in_a_bulk_move(struct kunit *test)
{
	unsigned int nth, how;

	for (nth = 0; nth < 3; nth++) {
		/* Incomplete or complete, and half-way back from that */
		for (how = 0; how < 4; how++) {
			struct backup_bos *bos = backup_bos(test, true, 0, 67);
			struct ttm_buffer_object *bo = bos->bo[nth];
			pgoff_t i;

			KUNIT_EXPECT_EQ(test,
					backup_bo_shrink_in_part(test, bo,
								 BACKUP_NO_MEMORY),
					64);
			if (how & 1)
				KUNIT_EXPECT_EQ(test, backup_bo_shrink(bo, false), 3);
			if (how & 2) {
				/* The first chunk is back, where there is a second. */
				backup_interrupt_at(test, how & 1 ? 2 : 1);
				KUNIT_EXPECT_EQ(test, backup_bo_populate(bo, true),
						-EINTR);
				backup_interrupt_at(test, 0);
			}
			dma_resv_lock(bo->base.resv, NULL);
			ttm_bo_drop_backup(bo);
			dma_resv_unlock(bo->base.resv);

			KUNIT_EXPECT_EQ(test, backup_bos_on_lru(bos), 7);
			KUNIT_EXPECT_EQ(test, backup_bos_in_bulk(bos), 7);
			KUNIT_EXPECT_FALSE(test, ttm_tt_is_backed_up(bo->ttm));
			KUNIT_EXPECT_FALSE(test, ttm_tt_is_populated(bo->ttm));
			KUNIT_EXPECT_FALSE(test, backup_bo_suitable(bo));
			KUNIT_EXPECT_EQ(test, bo->ttm->retained, 0);
			KUNIT_EXPECT_NULL(test, bo->ttm->restore);
			for (i = 0; i < 67; i++)
				KUNIT_ASSERT_NULL(test, bo->ttm->pages[i]);
			backup_expect_pages(test, bo->ttm, 0, 0, 0);

			KUNIT_EXPECT_EQ(test, backup_bo_populate(bo, false), 0);
			backup_fill(bo->ttm, 9);
			backup_expect_populated(test, bo->ttm);
			backup_expect_walk(test, bos, 7, 0, 3 * 67);
			KUNIT_EXPECT_EQ(test, backup_bos_in_bulk(bos), 0);
			backup_bos_free(test, bos);
			backup_expect_baseline(test);
		}
	}
}

enum backup_bo_state {
	BACKUP_BO_POPULATED,
	BACKUP_BO_INCOMPLETE,
	BACKUP_BO_INCOMPLETE_HALF_RESTORED,
	BACKUP_BO_COMPLETE,
	BACKUP_BO_COMPLETE_HALF_RESTORED,
	BACKUP_BO_INCOMPLETE_PURGED,
	BACKUP_BO_STATES,
};

static void backup_bo_reach(struct kunit *test, struct ttm_buffer_object *bo,
			    enum backup_bo_state state)
{
	switch (state) {
	case BACKUP_BO_POPULATED:
		return;
	case BACKUP_BO_INCOMPLETE:
	case BACKUP_BO_INCOMPLETE_HALF_RESTORED:
	case BACKUP_BO_INCOMPLETE_PURGED:
		KUNIT_EXPECT_EQ(test,
				backup_bo_shrink_in_part(test, bo, BACKUP_NO_MEMORY),
				64);
		break;
	default:
		KUNIT_EXPECT_EQ(test, backup_bo_shrink(bo, false), 67);
		break;
	}

	switch (state) {
	case BACKUP_BO_INCOMPLETE_HALF_RESTORED:
	case BACKUP_BO_COMPLETE_HALF_RESTORED:
		backup_interrupt_at(test, 1);
		KUNIT_EXPECT_EQ(test, backup_bo_populate(bo, true), -EINTR);
		backup_interrupt_at(test, 0);
		break;
	case BACKUP_BO_INCOMPLETE_PURGED:
		KUNIT_EXPECT_EQ(test, backup_bo_shrink(bo, true), 3);
		KUNIT_EXPECT_FALSE(test, backup_bo_suitable(bo));
		break;
	default:
		break;
	}
}

/* The others of its range are still a range. */
static void backup_c77_destroyed_in_any_state(struct kunit *test)
{
	enum backup_bo_state state;
	unsigned int place;

	for (state = 0; state < BACKUP_BO_STATES; state++) {
		/* First, in the midst of it, last */
		for (place = 0; place < 3; place++) {
			struct backup_bos *bos = backup_bos(test, true, 0, 67);
			struct ttm_buffer_object *bo = bos->bo[1];

			/* The first one has the lock, so this one goes. */
			if (place != 1)
				backup_move_to_lru_tail(bos, bos->bo[place ? 1 : 0]);
			backup_bo_reach(test, bo, state);
			bos->bo[1] = NULL;
			kunit_release_action(test, backup_bo_fini, bo);
			KUNIT_EXPECT_EQ(test, backup_bos_on_lru(bos), 5);
			KUNIT_EXPECT_EQ(test, backup_bos_in_bulk(bos), 5);

			/* They leave it one by one, and come back. */
			backup_expect_walk(test, bos, 5, 0, 2 * 67);
			KUNIT_EXPECT_EQ(test, backup_bos_in_bulk(bos), 0);
			KUNIT_EXPECT_EQ(test, backup_bo_populate(bos->bo[0], false), 0);
			KUNIT_EXPECT_EQ(test, backup_bo_populate(bos->bo[2], false), 0);
			KUNIT_EXPECT_EQ(test, backup_bos_in_bulk(bos), 5);
			backup_bos_free(test, bos);
			KUNIT_EXPECT_NULL(test, bos->bulk.pos[TTM_PL_SYSTEM][0].first);
			backup_expect_baseline(test);
		}
	}
}
#endif

#ifdef CONFIG_TRACEPOINTS
/* Lets go of a folio as soon as it has been refused for being held. */
static void backup_let_go(void *data, const struct inode *inode,
			  const struct folio *folio, pgoff_t index, int error)
{
	struct folio **held = data;

	if (*held == folio && error == -EBUSY) {
		folio_put(*held);
		*held = NULL;
	}
}

/* A backup that finds @held busy when it first gets there */
static long backup_run_and_let_go(struct kunit *test, struct ttm_tt *tt,
				  struct folio *held)
{
	long ret;

	folio_get(held);
	KUNIT_ASSERT_EQ(test, 0,
			register_trace_shmem_insert_folio_fail(backup_let_go,
							       &held));
	ret = backup_run(test, tt);
	unregister_trace_shmem_insert_folio_fail(backup_let_go, &held);
	tracepoint_synchronize_unregister();
	KUNIT_EXPECT_NULL(test, held);

	return ret;
}

static void backup_busy_is_tried_again(struct kunit *test)
{
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579, true);
	struct folio *held = backup_tt_folio(tt, 512);

	KUNIT_EXPECT_EQ(test, backup_run_and_let_go(test, tt, held), 579);
	backup_expect_backed_up(test, tt);
	backup_expect_round_trip(test, tt);
}

#ifdef CONFIG_MEMORY_FAILURE
/* Not even if something else is wrong with a chunk after it. */
static void backup_busy_is_not_forgotten(struct kunit *test)
{
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579, true);
	struct folio *held = backup_tt_folio(tt, 512);
	struct page *bad = tt->pages[578];

	backup_needs_large(test, tt);
	SetPageHWPoison(bad);
	atomic_long_inc(&num_poisoned_pages);
	KUNIT_EXPECT_EQ(test, backup_run_and_let_go(test, tt, held), 578);
	backup_expect_pages(test, tt, 1, 578, 578);
	atomic_long_dec(&num_poisoned_pages);
	ClearPageHWPoison(bad);

	KUNIT_EXPECT_EQ(test, backup_run(test, tt), 1);
	backup_expect_round_trip(test, tt);
}
#endif
#endif

static void backup_c58_node_counters(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579, false);

	KUNIT_ASSERT_EQ(test, backup_run(test, tt), 579);
	KUNIT_EXPECT_EQ(test, backup_node_stat(NR_GPU_ACTIVE),
			priv->before.gpu_active);
	/* Folios that shmem has are not in a pool. */
	KUNIT_EXPECT_EQ(test, backup_node_stat(NR_GPU_RECLAIM),
			priv->before.gpu_reclaim);
	backup_restore(test, tt);
	KUNIT_EXPECT_EQ(test, backup_node_stat(NR_GPU_ACTIVE) -
			priv->before.gpu_active, 579);

	/* The pools keep write-combined pages. */
	backup_tt_free(test, tt);
	KUNIT_EXPECT_EQ(test, backup_node_stat(NR_GPU_ACTIVE),
			priv->before.gpu_active);
	if (IS_ENABLED(CONFIG_X86))
		KUNIT_EXPECT_EQ(test, backup_node_stat(NR_GPU_RECLAIM) -
				priv->before.gpu_reclaim, 579);

	/* And what comes from a pool is as good for insertion. */
	tt = backup_filled_tt(test, ttm_write_combined, 579, false);
	KUNIT_ASSERT_EQ(test, backup_run(test, tt), 579);
	backup_expect_backed_up(test, tt);
	backup_expect_round_trip(test, tt);
}

static void backup_c59_no_backup_without_swap(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579, true);

	priv->bytes_avail = 0;
	KUNIT_EXPECT_EQ(test, backup_run(test, tt), -EBUSY);
	backup_expect_populated(test, tt);

	/* And for real */
	kunit_deactivate_static_stub(test, ttm_backup_bytes_avail);
	KUNIT_EXPECT_EQ(test, ttm_backup_bytes_avail(),
			(u64)get_nr_swap_pages() << PAGE_SHIFT);
	if (!get_nr_swap_pages())
		KUNIT_EXPECT_EQ(test, backup_run(test, tt), -EBUSY);
	backup_expect_populated(test, tt);
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
}

static void backup_c60_allocates_nodes_only(struct kunit *test)
{
	/* At most one page for 16 MiB */
	const pgoff_t pages = 64UL << (20 - PAGE_SHIFT), most = 4;
	struct ttm_tt *tt = backup_filled_tt(test, ttm_cached, pages, false);
	unsigned long least = ULONG_MAX;
	unsigned int round;

	backup_needs_large(test, tt);
	/* The rest of the system allocates, too, but not all the time. */
	for (round = 0; round < 5 && least > most; round++) {
		unsigned long before = backup_pages_allocated();

		KUNIT_ASSERT_EQ(test, backup_run(test, tt), pages);
		least = min(least, backup_pages_allocated() - before);
		backup_expect_pages(test, tt, 0, pages, pages);
		backup_restore(test, tt);
	}
	kunit_info(test, "%lu pages allocated for 64 MiB", least);
	KUNIT_EXPECT_LE(test, least, most);
	backup_expect_populated(test, tt);
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
}

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
static void backup_c67_order_10_is_capped(struct kunit *test)
{
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 2048, false);
	unsigned int order, folios = 0;
	pgoff_t i;

	backup_needs_large(test, tt);
	KUNIT_ASSERT_GT(test, MAX_PAGE_ORDER, HPAGE_PMD_ORDER);
	for (i = 0; i < 2048; i += 1UL << order) {
		order = backup_order(test, tt, i);
		KUNIT_ASSERT_LE(test, order, HPAGE_PMD_ORDER);
		KUNIT_EXPECT_EQ(test, folio_order(backup_tt_folio(tt, i)), order);
		if (order)
			KUNIT_EXPECT_TRUE(test, folio_test_large_rmappable(backup_tt_folio(tt, i)));
		folios++;
	}
	KUNIT_EXPECT_GE(test, folios, 4);
	KUNIT_EXPECT_EQ(test, backup_run(test, tt), 2048);
	backup_expect_backed_up(test, tt);
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
}
#endif

/* Pages as upstream has them, in a file as upstream has it */
static void backup_plain_pages_in_a_plain_file(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_tt *tt = backup_tt(test, ttm_write_combined, 1100, true);

	backup_plain_file(test, tt);
	backup_restore(test, tt);
	backup_fill(tt, 1);
	KUNIT_EXPECT_FALSE(test, PageCompound(tt->pages[0]));
	KUNIT_EXPECT_EQ(test, backup_run(test, tt), 1100);
	backup_expect_pages(test, tt, 0, 1100, 0);
	KUNIT_EXPECT_TRUE(test, ttm_tt_is_fully_swapped(tt));
	KUNIT_EXPECT_EQ(test, backup_node_stat(NR_GPU_ACTIVE),
			priv->before.gpu_active);
	backup_restore(test, tt);
	backup_expect_populated(test, tt);
	backup_expect_restored(test, tt, 0, 0, 1100);
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
}

/* The pools are shared: folios get there, too. */
static void backup_folios_in_a_plain_file(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579, true);

	backup_plain_file(test, tt);
	KUNIT_EXPECT_EQ(test, backup_run(test, tt), 579);
	backup_expect_pages(test, tt, 0, 579, 0);
	KUNIT_EXPECT_EQ(test, backup_node_stat(NR_GPU_ACTIVE),
			priv->before.gpu_active);
	backup_expect_round_trip(test, tt);
}

/*
 * All of it is copied into single pages: nothing gets into the file of which
 * reclaim and compaction would not know what it is.
 */
static void backup_expect_copied(struct kunit *test, struct ttm_tt *tt)
{
	struct backup_test *priv = test->priv;
	struct page **before = backup_page_array(test, tt);
	pgoff_t i;

	KUNIT_EXPECT_EQ(test, backup_run(test, tt), tt->num_pages);
	backup_expect_pages(test, tt, 0, tt->num_pages, 0);
	KUNIT_EXPECT_TRUE(test, ttm_tt_is_fully_swapped(tt));
	KUNIT_EXPECT_EQ(test, backup_node_stat(NR_GPU_ACTIVE),
			priv->before.gpu_active);
	KUNIT_EXPECT_EQ(test, backup_node_stat(NR_SHMEM_THPS),
			priv->before.shmem_thps);
	for (i = 0; i < tt->num_pages; i++) {
		struct folio *folio = xa_load(&tt->backup->f_mapping->i_pages, i);

		/* A page is copied while it is allocated, so this is another. */
		KUNIT_ASSERT_PTR_NE(test, folio_page(folio, 0), before[i]);
		KUNIT_ASSERT_FALSE(test, folio_test_large(folio));
	}
}

/* Blocks of the page allocator, of all sizes up to 2 MiB, and single pages */
static void backup_c75_pages_of_others_are_copied(struct kunit *test)
{
	static const pgoff_t sizes[] = { 1, 67, 579 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct ttm_tt *tt = backup_foreign_tt(test, ttm_write_combined,
						      sizes[i], true);

		backup_expect_copied(test, tt);
		backup_expect_round_trip(test, tt);
	}
}

/* Somebody else's folios */
static void backup_c75_compound_pages_of_others_are_copied(struct kunit *test)
{
	static const pgoff_t sizes[] = { 1, 67, 579 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined,
						     sizes[i], true);

		backup_make_foreign(test, tt);
		backup_expect_copied(test, tt);
		backup_expect_round_trip(test, tt);
	}
}

/* A pool hands on what it was given, to whoever asks next. */
static void backup_c75_pages_of_others_from_a_pool(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct page **pages;
	struct ttm_tt *tt;

	if (!IS_ENABLED(CONFIG_X86))
		kunit_skip(test, "pools have nothing but cached pages");

	tt = backup_tt(test, ttm_write_combined, 67, true);
	backup_plain_file(test, tt);
	backup_restore(test, tt);
	pages = backup_page_array(test, tt);
	backup_tt_free(test, tt);
	KUNIT_ASSERT_EQ(test, backup_node_stat(NR_GPU_RECLAIM) -
			priv->before.gpu_reclaim, 67);

	tt = backup_filled_tt(test, ttm_write_combined, 67, true);
	KUNIT_ASSERT_TRUE(test, ttm_backup_file_takes_folios(tt->backup));
	/* Or this proves nothing */
	KUNIT_ASSERT_MEMEQ(test, pages, tt->pages, 67 * sizeof(*pages));
	backup_expect_copied(test, tt);
	backup_expect_round_trip(test, tt);
}

/* Without swap, there is no writing back, and nothing is lost by trying. */
static void backup_writeback_without_swap(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_backup_flags writeback = { .writeback = 1 };
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579, true);

	if (total_swap_pages)
		kunit_skip(test, "there is swap");

	KUNIT_EXPECT_EQ(test, ttm_tt_backup(&priv->bdev, tt, writeback), 579);
	backup_expect_backed_up(test, tt);
	KUNIT_EXPECT_EQ(test, tt->backup->f_mapping->nrpages, 579);
	backup_expect_round_trip(test, tt);
}

#if defined(CONFIG_FAIL_PAGE_ALLOC) && defined(CONFIG_FAULT_INJECTION_DEBUG_FS)
struct backup_memory_fault {
	struct fault_attr *attr, old;
	bool *highmem, old_highmem;
	bool *wait, old_wait;
	u32 *min_order, old_order;
};

/* Of all allocations of the page allocator, fail so many after so many pages. */
static void backup_memory_fails(struct kunit *test, struct backup_memory_fault *fault,
				unsigned int pages, int times)
{
	unsigned long *probability = backup_debugfs_value("fail_page_alloc",
							  "probability");

	fault->highmem = backup_debugfs_value("fail_page_alloc", "ignore-gfp-highmem");
	fault->wait = backup_debugfs_value("fail_page_alloc", "ignore-gfp-wait");
	fault->min_order = backup_debugfs_value("fail_page_alloc", "min-order");
	if (!probability || !fault->highmem || !fault->wait || !fault->min_order)
		kunit_skip(test, "no fail_page_alloc in debugfs");

	fault->attr = container_of(probability, struct fault_attr, probability);
	fault->old = *fault->attr;
	fault->old_highmem = *fault->highmem;
	fault->old_wait = *fault->wait;
	fault->old_order = *fault->min_order;
	fault->attr->probability = 100;
	fault->attr->interval = 1;
	fault->attr->task_filter = true;
	fault->attr->verbose = 0;
	atomic_set(&fault->attr->times, times);
	atomic_set(&fault->attr->space, pages + 1);
	*fault->highmem = false;
	*fault->wait = false;
	*fault->min_order = 0;

	current->make_it_fail = 1;
}

/* Returns how many failures of those wanted have not come. */
static int backup_memory_works(struct backup_memory_fault *fault)
{
	int left = atomic_read(&fault->attr->times);

	current->make_it_fail = 0;

	*fault->min_order = fault->old_order;
	*fault->wait = fault->old_wait;
	*fault->highmem = fault->old_highmem;
	fault->attr->probability = fault->old.probability;
	fault->attr->interval = fault->old.interval;
	fault->attr->task_filter = fault->old.task_filter;
	fault->attr->verbose = fault->old.verbose;
	atomic_set(&fault->attr->times, atomic_read(&fault->old.times));
	atomic_set(&fault->attr->space, atomic_read(&fault->old.space));

	return left;
}

/* Back up with so many pages to allocate, and not one more. */
static long backup_run_with_pages(struct kunit *test, struct ttm_tt *tt,
				  unsigned int pages)
{
	struct backup_memory_fault fault;
	long ret;

	backup_memory_fails(test, &fault, pages, -1);
	ret = backup_run(test, tt);
	backup_memory_works(&fault);

	return ret;
}

/* Memory runs out in the middle of the first chunk. */
static void backup_expect_all_or_nothing(struct kunit *test, struct ttm_tt *tt)
{
	backup_needs_large(test, tt);
	KUNIT_ASSERT_EQ(test, backup_order(test, tt, 0), 6);
	KUNIT_ASSERT_EQ(test, backup_run_with_pages(test, tt, 40), -ENOMEM);
	/* The copies have been dropped again. */
	backup_expect_populated(test, tt);

	KUNIT_EXPECT_EQ(test, backup_run(test, tt), tt->num_pages);
	backup_expect_pages(test, tt, 0, tt->num_pages, 0);
	backup_expect_round_trip(test, tt);
}

static void backup_c75_copy_of_a_folio_is_all_or_nothing(struct kunit *test)
{
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 67, true);

	backup_make_foreign(test, tt);
	backup_expect_all_or_nothing(test, tt);
}

/* The same in a file as upstream has it */
static void backup_copy_of_a_folio_is_all_or_nothing(struct kunit *test)
{
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 67, true);

	backup_plain_file(test, tt);
	backup_expect_all_or_nothing(test, tt);
}

/* A chunk that is not a folio may be backed up in part, which frees memory. */
static void backup_c75_part_of_a_block_is_copied(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_tt *tt = backup_foreign_tt(test, ttm_write_combined, 64, true);
	struct page **before = backup_page_array(test, tt);
	long copied;
	pgoff_t i;

	KUNIT_ASSERT_EQ(test, backup_order(test, tt, 0), 6);
	copied = backup_run_with_pages(test, tt, 40);
	KUNIT_ASSERT_GT(test, copied, 0);
	KUNIT_ASSERT_LT(test, copied, 64);
	backup_expect_pages(test, tt, 64 - copied, copied, 0);
	backup_expect_retained(test, tt, 64 - copied);
	KUNIT_EXPECT_EQ(test, backup_node_stat(NR_GPU_ACTIVE) -
			priv->before.gpu_active, 64 - copied);

	/* The rest stays, in single pages that are still not folios of shmem. */
	KUNIT_EXPECT_MEMEQ(test, before + copied, tt->pages + copied,
			   (64 - copied) * sizeof(*before));
	for (i = copied; i < 64; i++) {
		KUNIT_EXPECT_EQ(test, backup_order(test, tt, i), 0);
		KUNIT_EXPECT_FALSE(test, ttm_pool_page_is_folio(tt->pages[i]));
		KUNIT_EXPECT_EQ(test, page_ref_count(tt->pages[i]), 1);
	}

	KUNIT_EXPECT_EQ(test, backup_run(test, tt), 64 - copied);
	backup_expect_pages(test, tt, 0, 64, 0);
	backup_expect_retained(test, tt, 0);
	backup_expect_round_trip(test, tt);
}

/* Copied pages are gone, and the folio that was not copied stays. */
static void backup_copy_retains_a_folio(struct kunit *test)
{
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 96, true);
	struct folio *folio = backup_tt_folio(tt, 64);

	KUNIT_ASSERT_EQ(test, backup_order(test, tt, 64), 5);
	backup_plain_file(test, tt);

	backup_needs_large(test, tt);
	folio_get(folio);
	KUNIT_EXPECT_EQ(test, backup_run_with_pages(test, tt, 72), 64);
	backup_expect_pages(test, tt, 32, 64, 0);
	KUNIT_EXPECT_PTR_EQ(test, backup_tt_folio(tt, 64), folio);
	backup_restore(test, tt);
	backup_expect_populated(test, tt);
	/* It was taken apart and copied, and nobody but us has it any more. */
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	folio_put(folio);
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
}

/* Taken apart, and then no more memory for the copy of its last pages */
static void backup_c54_drop_of_a_folio_taken_apart(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_tt *tt = backup_filled_tt(test, ttm_cached, 96, true);
	struct folio *folio = backup_tt_folio(tt, 64);
	struct ttm_operation_ctx ctx = {};
	struct backup_memory_fault fault;

	KUNIT_ASSERT_EQ(test, backup_order(test, tt, 64), 5);
	backup_plain_file(test, tt);
	backup_needs_large(test, tt);
	KUNIT_ASSERT_EQ(test, backup_run_with_pages(test, tt, 72), 64);

	folio_get(folio);
	backup_memory_fails(test, &fault, 64 + 24, -1);
	KUNIT_EXPECT_EQ(test, ttm_tt_populate(&priv->bdev, tt, &ctx), -ENOMEM);
	backup_memory_works(&fault);
	/* Or this proves nothing */
	KUNIT_ASSERT_TRUE(test, ttm_backup_page_ptr_is_handle(tt->pages[64]) ||
			  backup_tt_folio(tt, 64) != folio);
	KUNIT_ASSERT_PTR_EQ(test, tt->pages[94], folio_page(folio, 30));

	/* See backup_tail_page_is_single() */
	tt->pages[94]->private = 3;
	backup_tt_free(test, tt);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	folio_page(folio, 30)->private = 0;
	folio_put(folio);
	backup_expect_baseline(test);
}

/* Insertion hardly needs any memory. */
static void backup_c60_succeeds_without_memory(struct kunit *test)
{
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 1100, true);

	KUNIT_EXPECT_EQ(test, backup_run_with_pages(test, tt, 8), 1100);
	backup_expect_backed_up(test, tt);
	backup_expect_round_trip(test, tt);
}
#endif

/* ->private of a tail page does not hold an order. */
static void backup_tail_page_is_single(struct kunit *test)
{
	struct folio *folio = folio_alloc(GFP_KERNEL, 3);
	struct backup_test *priv = test->priv;
	struct page *tail;

	backup_device(test, 0);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	tail = folio_page(folio, 5);
	tail->private = 3;
	KUNIT_EXPECT_EQ(test, ttm_pool_page_order(&priv->bdev.pool, tail), 0);
	tail->private = 0;
	folio_put(folio);
}

static void backup_handles(struct kunit *test)
{
	static const pgoff_t indices[] = { 0, 1, 511, 512, UINT_MAX - 1UL };
	unsigned int i, order;

	for (i = 0; i < ARRAY_SIZE(indices); i++) {
		unsigned long handle = ttm_backup_handle(indices[i]);
		struct page *page = ttm_backup_handle_to_page_ptr(handle);

		KUNIT_EXPECT_NE(test, handle, 0);
		KUNIT_EXPECT_FALSE(test, ttm_backup_handle_inserted(handle));
		KUNIT_EXPECT_EQ(test, ttm_backup_handle_order(handle), 0);
		KUNIT_EXPECT_EQ(test, ttm_backup_handle_idx(handle), indices[i]);
		KUNIT_EXPECT_TRUE(test, ttm_backup_page_ptr_is_handle(page));
		KUNIT_EXPECT_EQ(test, ttm_backup_page_ptr_to_handle(page), handle);

		for (order = 0; order <= MAX_PAGE_ORDER; order++) {
			handle = ttm_backup_insert_handle(indices[i], order);
			page = ttm_backup_handle_to_page_ptr(handle);
			KUNIT_EXPECT_TRUE(test, ttm_backup_handle_inserted(handle));
			KUNIT_EXPECT_EQ(test, ttm_backup_handle_order(handle), order);
			KUNIT_EXPECT_EQ(test, ttm_backup_handle_idx(handle),
					indices[i]);
			KUNIT_EXPECT_TRUE(test, ttm_backup_page_ptr_is_handle(page));
			KUNIT_EXPECT_EQ(test, ttm_backup_page_ptr_to_handle(page),
					handle);
			/* The handles of a folio's pages follow each other. */
			KUNIT_EXPECT_EQ(test, ttm_backup_insert_handle(indices[i] + 1,
								       order),
					handle + 1);
		}
	}
}

/* This includes what shmem itself allocates to read from swap. */
static void backup_file_is_not_movable(struct kunit *test)
{
	struct ttm_tt *tt = backup_tt(test, ttm_cached, 512, false);
	gfp_t gfp = mapping_gfp_mask(tt->backup->f_mapping);

	KUNIT_EXPECT_FALSE(test, gfp & __GFP_MOVABLE);
	KUNIT_EXPECT_TRUE(test, gfp & __GFP_RECLAIMABLE);
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
}

static void backup_pages_are_counted(struct kunit *test)
{
	struct page *pages[] = {
		NULL,
		virt_to_page(test),
		/* Restored already, not committed yet */
		ttm_backup_handle_to_page_ptr(0),
		ttm_backup_handle_to_page_ptr(ttm_backup_handle(3)),
		ttm_backup_handle_to_page_ptr(ttm_backup_insert_handle(4, 1)),
		ttm_backup_handle_to_page_ptr(ttm_backup_insert_handle(5, 1)),
	};
	struct ttm_tt tt = { .pages = pages, .num_pages = ARRAY_SIZE(pages) };
	struct ttm_backup_pages where = { 9, 9, 9 };

	ttm_tt_backup_pages(&tt, &where);
	KUNIT_EXPECT_EQ(test, where.resident, 2);
	KUNIT_EXPECT_EQ(test, where.backed_up, 3);
	KUNIT_EXPECT_EQ(test, where.inserted, 2);

	tt.num_pages = 0;
	ttm_tt_backup_pages(&tt, &where);
	KUNIT_EXPECT_EQ(test, where.resident + where.backed_up + where.inserted, 0);
}

/*
 * Restore
 */

static void backup_resident_restore(struct kunit *test, enum ttm_caching caching)
{
	/* The records that the debugging of the DMA API makes take memory. */
	const bool dma = !IS_ENABLED(CONFIG_DMA_API_DEBUG);
	const pgoff_t pages = 64UL << (20 - PAGE_SHIFT);
	struct ttm_tt *tt = backup_filled_tt(test, caching, pages, dma);
	struct page **before = backup_page_array(test, tt);
	unsigned long least = ULONG_MAX;
	unsigned int round;

	/* As for the backup, less the nodes */
	for (round = 0; round < 5 && least; round++) {
		unsigned long allocated;

		KUNIT_ASSERT_EQ(test, backup_run(test, tt), pages);
		lru_add_drain_all();
		allocated = backup_pages_allocated();
		backup_restore(test, tt);
		least = min(least, backup_pages_allocated() - allocated);
		KUNIT_EXPECT_MEMEQ(test, before, tt->pages,
				   pages * sizeof(*before));
		backup_expect_restored(test, tt, 0, (round + 1) * pages, 0);
	}
	KUNIT_EXPECT_EQ(test, least, 0);
	backup_expect_populated(test, tt);
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
}

static void backup_c61_resident_cached(struct kunit *test)
{
	backup_resident_restore(test, ttm_cached);
}

static void backup_c48_c61_resident_write_combined(struct kunit *test)
{
	backup_resident_restore(test, ttm_write_combined);
}

static void backup_c51_retained_chunks_are_adopted(struct kunit *test)
{
	static const pgoff_t retained[] = { 0, 512, 576, 578 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(retained); i++) {
		struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579,
						     true);
		struct page **before = backup_page_array(test, tt);
		struct folio *folio = backup_tt_folio(tt, retained[i]);
		pgoff_t nr = folio_nr_pages(folio);

		folio_get(folio);
		KUNIT_ASSERT_EQ(test, backup_run(test, tt), 579 - nr);
		backup_restore(test, tt);
		backup_expect_populated(test, tt);
		KUNIT_EXPECT_MEMEQ(test, before, tt->pages, 579 * sizeof(*before));
		KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 2);
		backup_expect_restored(test, tt, nr, 579 - nr, 0);
		folio_put(folio);
		backup_tt_free(test, tt);
	}
	backup_expect_baseline(test);
}

/*
 * A signal that is pending all the time, as when the kernel itself takes the
 * fault: each attempt ends early, but only after it has made progress.
 */
static void backup_signal_pending(struct kunit *test, bool extract,
				  unsigned int most)
{
	struct backup_test *priv = test->priv;
	struct ttm_operation_ctx ctx = { .interruptible = true };
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579, true);
	struct ttm_backup_pages where;
	unsigned int attempts = 0;
	pgoff_t left = 579;
	int ret;

	/* one at least for each chunk, and without large folios each page is one */
	if (!folio_test_large(backup_tt_folio(tt, 0)))
		most = 579;
	KUNIT_ASSERT_EQ(test, backup_run(test, tt), 579);
	if (!extract)
		backup_extraction_fails(test);

	set_thread_flag(TIF_SIGPENDING);
	do {
		ret = ttm_tt_populate(&priv->bdev, tt, &ctx);
		ttm_tt_backup_pages(tt, &where);
		if (where.backed_up >= left)
			break;
		left = where.backed_up;
		attempts++;
	} while (ret == -EINTR);
	clear_thread_flag(TIF_SIGPENDING);

	KUNIT_EXPECT_EQ(test, ret, 0);
	KUNIT_EXPECT_EQ(test, left, 0);
	KUNIT_EXPECT_GT(test, attempts, 1);
	KUNIT_EXPECT_LE(test, attempts, most);
	backup_expect_populated(test, tt);

	/* An uninterruptible restore is not interrupted. */
	KUNIT_ASSERT_EQ(test, backup_run(test, tt), 579);
	set_thread_flag(TIF_SIGPENDING);
	ctx.interruptible = false;
	KUNIT_EXPECT_EQ(test, ttm_tt_populate(&priv->bdev, tt, &ctx), 0);
	clear_thread_flag(TIF_SIGPENDING);
	backup_expect_populated(test, tt);
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
}

/* The chunks are 512, 64, 2 and 1 pages. */
static void backup_c52_signal_between_chunks(struct kunit *test)
{
	backup_signal_pending(test, true, 4);
}

static void backup_c52_signal_while_copying(struct kunit *test)
{
	backup_signal_pending(test, false, 579);
}

#ifdef CONFIG_X86
static void backup_c48_caching_fails(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_operation_ctx ctx = {};
	unsigned int round;

	for (round = 0; round < 2; round++) {
		struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579,
						     true);
		struct page **pages = backup_page_array(test, tt);

		KUNIT_ASSERT_EQ(test, backup_run(test, tt), 579);
		backup_caching_fails(test, 0, 1);
		KUNIT_EXPECT_EQ(test, ttm_tt_populate(&priv->bdev, tt, &ctx),
				-ENOMEM);
		KUNIT_EXPECT_EQ(test, priv->caching_calls, 1);
		kunit_deactivate_static_stub(test, ttm_pool_set_caching);
		/* All of it is back, and waits for its caching. */
		backup_expect_restored(test, tt, 0, 579, 0);
		KUNIT_EXPECT_FALSE(test, ttm_tt_is_populated(tt));
		KUNIT_EXPECT_EQ(test, backup_uncached_pages(pages, 579), 0);

		if (round) {
			backup_restore(test, tt);
			backup_expect_populated(test, tt);
		}
		backup_tt_free(test, tt);
		backup_expect_baseline(test);
		KUNIT_EXPECT_EQ(test, backup_uncached_pages(pages, 579), 0);
	}
}

/* The same for pages that are new. */
static void backup_c48_caching_fails_in_allocation(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_operation_ctx ctx = {};
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 67, false);
	struct page **pages = backup_page_array(test, tt);

	backup_tt_free(test, tt);
	backup_expect_baseline(test);

	tt = backup_tt(test, ttm_write_combined, 67, false);
	backup_caching_fails(test, 0, 1);
	KUNIT_EXPECT_EQ(test, ttm_tt_populate(&priv->bdev, tt, &ctx), -ENOMEM);
	KUNIT_EXPECT_EQ(test, priv->caching_calls, 1);
	kunit_deactivate_static_stub(test, ttm_pool_set_caching);
	/* They may be the same pages, and may be others. */
	KUNIT_EXPECT_EQ(test, backup_uncached_pages(pages, 67), 0);
	KUNIT_EXPECT_EQ(test, ttm_tt_populate(&priv->bdev, tt, &ctx), 0);
	backup_fill(tt, 3);
	backup_expect_populated(test, tt);
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
}

static const enum ttm_caching backup_cachings[] = {
	ttm_write_combined, ttm_uncached
};

/* Are pages mapped by the kernel with entries larger than a page, all of them? */
static bool backup_mapped_large(struct page *page, pgoff_t nr)
{
	unsigned int level;
	pgoff_t i;

	for (i = 0; i < nr; i++) {
		lookup_address((unsigned long)page_address(page + i), &level);
		if (level == PG_LEVEL_4K)
			return false;
	}

	return true;
}

static bool backup_folio_mapped_large(struct folio *folio)
{
	return backup_mapped_large(folio_page(folio, 0), folio_nr_pages(folio));
}

/*
 * Pages, of PMD_ORDER at least, whose mapping has not been taken apart by what ran
 * before
 */
static struct page *backup_large_block(struct kunit *test, gfp_t gfp,
				       unsigned int order)
{
	struct page *page, *refused[32];
	unsigned int i, num = 0;

	if (debug_pagealloc_enabled())
		kunit_skip(test, "the kernel maps page by page, for debug_pagealloc");
	if (order > MAX_PAGE_ORDER)
		kunit_skip(test, "larger than the page allocator has it");

	for (;;) {
		page = alloc_pages(gfp | __GFP_NOWARN, order);
		if (!page || backup_mapped_large(page, 1UL << order))
			break;
		refused[num++] = page;
		page = NULL;
		if (num == ARRAY_SIZE(refused))
			break;
	}
	for (i = 0; i < num; i++)
		__free_pages(refused[i], order);
	KUNIT_ASSERT_NOT_NULL(test, page);

	return page;
}

/* The same as a folio */
static struct folio *backup_large_mapping(struct kunit *test, unsigned int order)
{
	return page_folio(backup_large_block(test, GFP_KERNEL | __GFP_COMP, order));
}

/* The pages of two folios, in an array as TTM has them */
static struct page **backup_folio_pages(struct kunit *test, struct folio *first,
					struct folio *second)
{
	struct page **pages, **next;
	long i;

	KUNIT_ASSERT_NOT_NULL(test, first);
	KUNIT_ASSERT_NOT_NULL(test, second);
	pages = kunit_kmalloc_array(test,
				    folio_nr_pages(first) + folio_nr_pages(second),
				    sizeof(*pages), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, pages);

	next = pages;
	for (i = 0; i < folio_nr_pages(first); i++)
		*next++ = folio_page(first, i);
	for (i = 0; i < folio_nr_pages(second); i++)
		*next++ = folio_page(second, i);

	return pages;
}

/* Changed page by page, the mapping would be split and never joined. */
static void backup_c48_large_mapping_stays_large(struct kunit *test)
{
	struct folio *huge, *single;
	struct page **pages;
	struct ttm_tt *tt;
	unsigned int i;
	pgoff_t nr, j;

	/* Where there are none, the tests before have taken the mapping apart. */
	tt = backup_filled_tt(test, ttm_cached, 2, false);
	backup_needs_large(test, tt);
	backup_tt_free(test, tt);

	huge = backup_large_mapping(test, PMD_ORDER);
	nr = folio_nr_pages(huge);
	single = folio_alloc(GFP_KERNEL, 0);
	pages = backup_folio_pages(test, single, huge);

	for (i = 0; i < ARRAY_SIZE(backup_cachings); i++) {
		KUNIT_EXPECT_EQ(test, 0, ttm_pool_set_caching(pages, nr + 1,
							      backup_cachings[i]));
		for (j = 0; j <= nr; j++)
			if (backup_page_caching(pages[j]) != backup_cachings[i])
				break;
		KUNIT_EXPECT_EQ(test, j, nr + 1);
		KUNIT_EXPECT_TRUE(test, backup_folio_mapped_large(huge));

		KUNIT_EXPECT_EQ(test, 0, ttm_pool_set_caching(pages, nr + 1,
							      ttm_cached));
		KUNIT_EXPECT_EQ(test, backup_uncached_pages(pages, nr + 1), 0);
		KUNIT_EXPECT_TRUE(test, backup_folio_mapped_large(huge));
	}

	folio_put(single);
	folio_put(huge);
}

/* Pages that are not in the array are left alone, even those of the same folio. */
static void backup_c48_part_of_a_huge_folio(struct kunit *test)
{
	struct folio *huge = folio_alloc(GFP_KERNEL, PMD_ORDER);
	struct folio *single = folio_alloc(GFP_KERNEL, 0);
	struct page **pages = backup_folio_pages(test, huge, single);
	pgoff_t nr = folio_nr_pages(huge);
	struct page *last = pages[nr - 1];

	/* The array ends before the folio does */
	KUNIT_EXPECT_EQ(test, 0, ttm_pool_set_caching(pages, nr - 1,
						      ttm_write_combined));
	KUNIT_EXPECT_EQ(test, backup_uncached_pages(pages, nr), nr - 1);
	KUNIT_EXPECT_EQ(test, backup_page_caching(last), ttm_cached);
	KUNIT_EXPECT_EQ(test, 0, ttm_pool_set_caching(pages, nr - 1, ttm_cached));

	/* The array goes on with another */
	pages[nr - 1] = pages[nr];
	KUNIT_EXPECT_EQ(test, 0, ttm_pool_set_caching(pages, nr,
						      ttm_write_combined));
	KUNIT_EXPECT_EQ(test, backup_uncached_pages(pages, nr), nr);
	KUNIT_EXPECT_EQ(test, backup_page_caching(last), ttm_cached);
	KUNIT_EXPECT_EQ(test, 0, ttm_pool_set_caching(pages, nr, ttm_cached));
	KUNIT_EXPECT_EQ(test, backup_uncached_pages(pages, nr), 0);

	folio_put(single);
	folio_put(huge);
}

/* A failure in the midst of it is told, and there is a way back. */
static void backup_c48_caching_of_a_folio_fails(struct kunit *test)
{
	struct folio *huge = folio_alloc(GFP_KERNEL, PMD_ORDER);
	struct folio *single = folio_alloc(GFP_KERNEL, 0);
	struct page **pages = backup_folio_pages(test, single, huge);
	pgoff_t nr = folio_nr_pages(huge);

	KUNIT_EXPECT_EQ(test, 0, ttm_pool_set_caching(&pages[nr], 1,
						      ttm_write_combined));
	KUNIT_EXPECT_EQ(test, -ENOMEM, ttm_pool_set_caching(pages, nr + 1,
							    ttm_uncached));
	KUNIT_EXPECT_EQ(test, 0, ttm_pool_set_caching(pages, nr + 1, ttm_cached));
	KUNIT_EXPECT_EQ(test, backup_uncached_pages(pages, nr + 1), 0);

	/* The same in a single page: a failure that drivers take for one that passes */
	KUNIT_EXPECT_EQ(test, 0, ttm_pool_set_caching(pages, 1, ttm_write_combined));
	KUNIT_EXPECT_EQ(test, -ENOMEM, ttm_pool_set_caching(pages, nr + 1,
							    ttm_uncached));
	KUNIT_EXPECT_EQ(test, 0, ttm_pool_set_caching(pages, nr + 1, ttm_cached));
	KUNIT_EXPECT_EQ(test, backup_uncached_pages(pages, nr + 1), 0);

	/* and everything may be changed again */
	KUNIT_EXPECT_EQ(test, 0, ttm_pool_set_caching(pages, nr + 1,
						      ttm_uncached));
	KUNIT_EXPECT_EQ(test, backup_uncached_pages(pages, nr + 1), nr + 1);
	KUNIT_EXPECT_EQ(test, 0, ttm_pool_set_caching(pages, nr + 1, ttm_cached));

	folio_put(single);
	folio_put(huge);
}

/* How many pages of an array have such a caching. */
static pgoff_t backup_pages_of_caching(struct page **pages, pgoff_t nr,
				       enum ttm_caching caching)
{
	pgoff_t i, num = 0;

	for (i = 0; i < nr; i++)
		num += backup_page_caching(pages[i]) == caching;

	return num;
}

/*
 * Change the caching of an array of pages and change it back. Pages have one
 * after the other, so what a memory type is left of shows in the second round.
 * Nothing else around, @all, may change. Returns in how many of the two rounds
 * the mapping of @large was large while the caching was changed.
 */
static unsigned int backup_cycle_caching(struct kunit *test, struct page **pages,
					 pgoff_t nr, struct folio *all,
					 struct folio *large)
{
	unsigned int i, kept = 0;
	pgoff_t j, changed;

	for (i = 0; i < ARRAY_SIZE(backup_cachings); i++) {
		KUNIT_EXPECT_EQ(test, 0, ttm_pool_set_caching(pages, nr,
							      backup_cachings[i]));
		KUNIT_EXPECT_EQ(test, nr, backup_pages_of_caching(pages, nr,
								  backup_cachings[i]));
		for (j = 0, changed = 0; all && j < folio_nr_pages(all); j++)
			changed += backup_page_caching(folio_page(all, j)) != ttm_cached;
		if (all)
			KUNIT_EXPECT_EQ(test, nr, changed);
		kept += large && backup_folio_mapped_large(large);
		/* Each of them has a memory type of its own */
		KUNIT_EXPECT_EQ(test, -ENOMEM,
				ttm_pool_set_caching(&pages[nr - 1], 1, ttm_uncached));
		KUNIT_EXPECT_EQ(test, -ENOMEM,
				ttm_pool_set_caching(&pages[nr / 2], 1, ttm_uncached));

		KUNIT_EXPECT_EQ(test, 0, ttm_pool_set_caching(pages, nr, ttm_cached));
		KUNIT_EXPECT_EQ(test, nr, backup_pages_of_caching(pages, nr, ttm_cached));
	}

	return kept;
}

static struct page **backup_new_array(struct kunit *test, pgoff_t nr)
{
	struct page **pages = kunit_kmalloc_array(test, nr, sizeof(*pages),
						  GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, pages);

	return pages;
}

/* Large entries of the kernel's mapping are kept, whatever else is in the array. */
static void backup_c81_huge_folios_among_others(struct kunit *test)
{
	struct folio *first = backup_large_mapping(test, PMD_ORDER);
	struct folio *second = backup_large_mapping(test, PMD_ORDER);
	struct page *single = alloc_page(GFP_KERNEL);
	struct page *other = alloc_page(GFP_KERNEL);
	pgoff_t n = 0, i, nr = folio_nr_pages(first);
	struct page **pages = backup_new_array(test, 2 * nr + 2);

	KUNIT_ASSERT_NOT_NULL(test, single);
	KUNIT_ASSERT_NOT_NULL(test, other);

	/* Nothing else: the array is the folio */
	for (i = 0; i < nr; i++)
		pages[i] = folio_page(first, i);
	KUNIT_EXPECT_EQ(test, backup_cycle_caching(test, pages, nr, first, first), 2);

	pages[n++] = single;
	for (i = 0; i < nr; i++)
		pages[n++] = folio_page(first, i);
	pages[n++] = other;
	for (i = 0; i < nr; i++)
		pages[n++] = folio_page(second, i);
	KUNIT_EXPECT_EQ(test, backup_cycle_caching(test, pages, n, NULL, first), 2);
	KUNIT_EXPECT_EQ(test, backup_cycle_caching(test, pages, n, NULL, second), 2);
	KUNIT_EXPECT_TRUE(test, backup_folio_mapped_large(first));
	KUNIT_EXPECT_TRUE(test, backup_folio_mapped_large(second));

	/* All but one page: that is taken apart, and the other is not */
	KUNIT_EXPECT_EQ(test, backup_cycle_caching(test, pages, n - 1, NULL, first), 2);
	KUNIT_EXPECT_FALSE(test, backup_folio_mapped_large(second));

	__free_page(other);
	__free_page(single);
	folio_put(second);
	folio_put(first);
}

/*
 * Huge pages that are adjacent, as those of a larger folio are. The entries are
 * kept where all of their pages are in the array, from the head of the folio on.
 */
static void backup_c81_adjacent_huge_pages(struct kunit *test)
{
	struct folio *folio = backup_large_mapping(test, PMD_ORDER + 1);
	pgoff_t nr = folio_nr_pages(folio), i;
	struct page **pages = backup_new_array(test, nr);

	for (i = 0; i < nr; i++)
		pages[i] = folio_page(folio, i);

	KUNIT_EXPECT_EQ(test, backup_cycle_caching(test, pages, nr, folio, folio), 2);
	/* One of them, and the neighbour stays as it is */
	KUNIT_EXPECT_EQ(test, backup_cycle_caching(test, pages, nr / 2, folio, folio), 2);
	backup_cycle_caching(test, pages + nr / 2, nr / 2, folio, NULL);
	/* Half of each, so both are taken apart */
	KUNIT_EXPECT_EQ(test, backup_cycle_caching(test, pages + nr / 4, nr / 2, folio,
						   folio), 0);
	KUNIT_EXPECT_FALSE(test, backup_folio_mapped_large(folio));
	/* and all of them, by now page by page */
	KUNIT_EXPECT_EQ(test, backup_cycle_caching(test, pages, nr, folio, folio), 0);

	folio_put(folio);
}

/* Only what is in the array is changed, and it may be in any order. */
static void backup_c81_part_of_a_huge_folio(struct kunit *test)
{
	struct folio *folio = backup_large_mapping(test, PMD_ORDER);
	pgoff_t nr = folio_nr_pages(folio), i, n;
	struct page **pages = backup_new_array(test, nr);

	/* All but the last, the first, one in the middle and two at a time */
	for (i = 0; i < nr - 1; i++)
		pages[i] = folio_page(folio, i);
	KUNIT_EXPECT_EQ(test, backup_cycle_caching(test, pages, nr - 1, folio, folio), 0);

	for (i = 0; i < nr - 1; i++)
		pages[i] = folio_page(folio, i + 1);
	backup_cycle_caching(test, pages, nr - 1, folio, NULL);

	for (i = 0, n = 0; i < nr; i++)
		if (i != nr / 2)
			pages[n++] = folio_page(folio, i);
	backup_cycle_caching(test, pages, n, folio, NULL);

	for (i = 0, n = 0; i < nr; i++)
		if (i & 2)
			pages[n++] = folio_page(folio, i);
	backup_cycle_caching(test, pages, n, folio, NULL);

	folio_put(folio);
}

/* Pages in descending order, and each half of a folio in the place of the other */
static void backup_c81_pages_in_any_order(struct kunit *test)
{
	struct folio *folio = backup_large_mapping(test, PMD_ORDER + 1);
	pgoff_t nr = folio_nr_pages(folio) / 2, i;
	struct page **pages = backup_new_array(test, 2 * nr);

	/* The last of the first huge page comes first, and the next one is not in it */
	for (i = 0; i < nr; i++)
		pages[i] = folio_page(folio, nr - 1 - i);
	backup_cycle_caching(test, pages, nr, folio, NULL);

	for (i = 0; i < 2 * nr; i++)
		pages[i] = folio_page(folio, (i + nr) % (2 * nr));
	backup_cycle_caching(test, pages, 2 * nr, folio, NULL);

	for (i = 0; i < nr / 2; i++) {
		pages[i] = folio_page(folio, nr / 2 + i);
		pages[nr / 2 + i] = folio_page(folio, i);
	}
	backup_cycle_caching(test, pages, nr, folio, NULL);

	folio_put(folio);
}

/*
 * Pages that belong to nobody but themselves may be given back one by one. No
 * large entry may be left that has to be split for that, which needs memory.
 */
static void backup_c81_separate_pages_need_no_memory(struct kunit *test)
{
	struct page *block = backup_large_block(test, GFP_KERNEL, PMD_ORDER);
	pgoff_t nr = 1UL << PMD_ORDER, i;
	struct page **pages = backup_new_array(test, nr);

	split_page(block, PMD_ORDER);
	for (i = 0; i < nr; i++)
		pages[i] = block + i;

	KUNIT_EXPECT_EQ(test, 0, ttm_pool_set_caching(pages, nr, ttm_write_combined));
	KUNIT_EXPECT_EQ(test, nr, backup_pages_of_caching(pages, nr, ttm_write_combined));
	KUNIT_EXPECT_FALSE(test, backup_mapped_large(block, 1));
	KUNIT_EXPECT_EQ(test, 0, ttm_pool_set_caching(&pages[nr / 2], 1, ttm_cached));
	KUNIT_EXPECT_EQ(test, nr - 1,
			backup_pages_of_caching(pages, nr, ttm_write_combined));
	KUNIT_EXPECT_EQ(test, 0, ttm_pool_set_caching(pages, nr, ttm_cached));
	KUNIT_EXPECT_EQ(test, nr, backup_pages_of_caching(pages, nr, ttm_cached));

	for (i = 0; i < nr; i++)
		__free_page(pages[i]);
}

/* Where the change is refused for one page, the others get their memory type back. */
static void backup_c81_refused_page_keeps_its_caching(struct kunit *test)
{
	struct folio *first = folio_alloc(GFP_KERNEL, PMD_ORDER);
	struct folio *second = folio_alloc(GFP_KERNEL, PMD_ORDER);
	struct page **pages = backup_folio_pages(test, first, second);
	pgoff_t nr = folio_nr_pages(first) + folio_nr_pages(second);
	struct page **refused = &pages[nr - 1];

	KUNIT_EXPECT_EQ(test, 0, ttm_pool_set_caching(refused, 1, ttm_write_combined));
	KUNIT_EXPECT_EQ(test, -ENOMEM, ttm_pool_set_caching(pages, nr, ttm_uncached));
	KUNIT_EXPECT_EQ(test, ttm_write_combined, backup_page_caching(*refused));
	KUNIT_EXPECT_EQ(test, nr - 1, backup_pages_of_caching(pages, nr, ttm_cached));
	/* It has its memory type still, and the others have none */
	KUNIT_EXPECT_EQ(test, -ENOMEM, ttm_pool_set_caching(refused, 1, ttm_uncached));
	KUNIT_EXPECT_EQ(test, 0, ttm_pool_set_caching(pages, nr - 1, ttm_uncached));
	KUNIT_EXPECT_EQ(test, 0, ttm_pool_set_caching(pages, nr, ttm_cached));
	KUNIT_EXPECT_EQ(test, nr, backup_pages_of_caching(pages, nr, ttm_cached));

	folio_put(second);
	folio_put(first);
}

/* A backup that got nowhere, and cannot go back either */
static void backup_c47_c48_cancel_fails(struct kunit *test)
{
	unsigned int dma;

	for (dma = 0; dma <= 1; dma++) {
		struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 64,
						     dma);
		struct folio *folio = backup_tt_folio(tt, 0);

		backup_needs_large(test, tt);
		KUNIT_ASSERT_EQ(test, folio_nr_pages(folio), 64);
		folio_get(folio);
		backup_caching_fails(test, 0, 1);
		/* Backed up without a page, so that nobody uses it as it is */
		KUNIT_EXPECT_EQ(test, backup_run(test, tt), -EBUSY);
		kunit_deactivate_static_stub(test, ttm_pool_set_caching);
		KUNIT_EXPECT_TRUE(test, ttm_tt_is_backed_up(tt));
		backup_expect_retained(test, tt, 64);
		KUNIT_EXPECT_EQ(test, backup_uncached_pages(tt->pages, 64), 0);
		backup_expect_pages(test, tt, 64, 0, 0);

		backup_restore(test, tt);
		backup_expect_populated(test, tt);
		backup_expect_restored(test, tt, 64, 0, 0);
		folio_put(folio);
		backup_tt_free(test, tt);
	}
	backup_expect_baseline(test);
}

/* A hole is nothing to come back for. */
static void backup_c57_cancel_fails_beside_a_hole(struct kunit *test)
{
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 67, false);
	struct folio *folio[2];

	backup_needs_large(test, tt);
	folio[0] = backup_tt_folio(tt, 0);
	folio[1] = backup_tt_folio(tt, 66);
	KUNIT_ASSERT_EQ(test, backup_punch(test, tt, 64), 2);
	folio_get(folio[0]);
	folio_get(folio[1]);
	backup_caching_fails(test, 0, 1);
	KUNIT_EXPECT_EQ(test, backup_run(test, tt), -EBUSY);
	kunit_deactivate_static_stub(test, ttm_pool_set_caching);
	folio_put(folio[0]);
	folio_put(folio[1]);
	backup_expect_retained(test, tt, 65);
	KUNIT_EXPECT_EQ(test, backup_run(test, tt), 65);
	backup_expect_pages(test, tt, 0, 65, 65);
	backup_expect_retained(test, tt, 0);
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
}
#endif

/* The same for pages that cannot be mapped again, from one of the chunks on. */
static void backup_c48_cancel_fails_to_map(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct folio *folio[8];
	unsigned int n, i, call;

	for (call = 1, n = 1; call <= n; call++) {
		struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579,
						     true);

		n = backup_hold_chunks(test, tt, folio, ARRAY_SIZE(folio));
		backup_map_fails(test, tt, call);
		/* Backed up without a page, so that nobody uses it as it is */
		KUNIT_EXPECT_EQ(test, backup_run(test, tt), -EBUSY);
		kunit_deactivate_static_stub(test, ttm_pool_map);
		KUNIT_EXPECT_EQ(test, priv->map_calls, call);
		KUNIT_EXPECT_TRUE(test, ttm_tt_is_backed_up(tt));
		backup_expect_retained(test, tt, 579);
		backup_expect_pages(test, tt, 579, 0, 0);
		KUNIT_EXPECT_EQ(test, backup_dma_mappings(),
				priv->before.dma_mappings);

		for (i = 0; i < n; i++)
			folio_put(folio[i]);
		/* The next try goes on from there. */
		if (call & 1) {
			KUNIT_EXPECT_EQ(test, backup_run(test, tt), 579);
			backup_expect_backed_up(test, tt);
		}
		backup_restore(test, tt);
		backup_expect_populated(test, tt);
		backup_expect_restored(test, tt, call & 1 ? 0 : 579,
				       call & 1 ? 579 : 0, 0);
		backup_tt_free(test, tt);
		backup_expect_baseline(test);
	}
}

/*
 * 512 pages that were retained, and handles for 67 more, of which the first 64
 * come back into a chunk that the pool has already. Its pages of before in @pages.
 */
static struct ttm_tt *backup_retained_chunk(struct kunit *test, bool dma,
					    struct page ***pages)
{
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579, dma);
	struct folio *folio = backup_tt_folio(tt, 0);
	struct ttm_tt *pool_filler;

	if (!IS_ENABLED(CONFIG_X86))
		kunit_skip(test, "nothing but cached pages");

	backup_needs_large(test, tt);
	*pages = backup_page_array(test, tt);
	/* An order 6 chunk for the pool */
	pool_filler = backup_filled_tt(test, ttm_write_combined, 64, false);
	backup_tt_free(test, pool_filler);

	folio_get(folio);
	KUNIT_ASSERT_EQ(test, backup_run(test, tt), 67);
	folio_put(folio);

	return tt;
}

#ifdef CONFIG_FAULT_INJECTION_DEBUG_FS
static struct fault_attr *backup_fault_attr(struct kunit *test)
{
	struct dentry *dir = debugfs_lookup("backup_fault_inject",
					    ttm_debugfs_root);
	struct dentry *file;
	struct fault_attr *attr;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dir);
	file = debugfs_lookup("probability", dir);
	dput(dir);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	attr = container_of((unsigned long *)d_inode(file)->i_private,
			    struct fault_attr, probability);
	dput(file);

	return attr;
}

/* Interrupt one restore, the Nth time that one could be. Zero: no more. */
static void backup_interrupt_at(struct kunit *test, unsigned int n)
{
	struct fault_attr *attr = backup_fault_attr(test);

	attr->probability = n ? 100 : 0;
	attr->interval = n;
	attr->count = 0;
	attr->verbose = 0;
	atomic_set(&attr->space, 0);
	atomic_set(&attr->times, 1);
}

/*
 * Let the Nth call fail that a backup makes, and the next one: a chunk that ends a
 * batch is the first of the next batch.
 */
static void backup_fail_at(struct kunit *test, unsigned int n)
{
	struct fault_attr *attr = backup_fault_attr(test);

	backup_interrupt_at(test, 1);
	atomic_set(&attr->space, n);
	atomic_set(&attr->times, 2);
}

/* A backup that would stop in the middle of a folio leaves the whole folio. */
static void backup_c56_half_of_the_pages(struct kunit *test)
{
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 1100, true);

	backup_needs_large(test, tt);
	KUNIT_ASSERT_EQ(test, backup_order(test, tt, 512), 9);
	backup_interrupt_at(test, 1);
	KUNIT_EXPECT_EQ(test, backup_run(test, tt), 512);
	backup_interrupt_at(test, 0);
	backup_expect_pages(test, tt, 1100 - 512, 512, 512);

	KUNIT_EXPECT_EQ(test, backup_run(test, tt), 1100 - 512);
	backup_expect_round_trip(test, tt);
}

static int backup_interrupted_restore(struct kunit *test, struct ttm_tt *tt,
				      unsigned int n)
{
	struct backup_test *priv = test->priv;
	struct ttm_operation_ctx ctx = { .interruptible = true };
	int ret;

	backup_interrupt_at(test, n);
	ret = ttm_tt_populate(&priv->bdev, tt, &ctx);
	backup_interrupt_at(test, 0);

	return ret;
}

/* The chunks are 512, 64, 2 and 1 pages. */
static void backup_c52_interrupted_restore_resumes(struct kunit *test)
{
	static const pgoff_t done[] = { 0, 512, 576, 578 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(done); i++) {
		struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579,
						     true);
		struct page **before = backup_page_array(test, tt);

		backup_needs_large(test, tt);
		KUNIT_ASSERT_EQ(test, backup_run(test, tt), 579);
		KUNIT_ASSERT_EQ(test, backup_interrupted_restore(test, tt, i + 1),
				-EINTR);
		KUNIT_EXPECT_NOT_NULL(test, tt->restore);
		backup_expect_restored(test, tt, 0, done[i], 0);
		backup_expect_pages(test, tt, done[i], 579 - done[i],
				    579 - done[i]);
		/* Not before it is complete again */
		KUNIT_EXPECT_EQ(test, backup_run(test, tt), -EBUSY);

		backup_restore(test, tt);
		backup_expect_populated(test, tt);
		KUNIT_EXPECT_MEMEQ(test, before, tt->pages, 579 * sizeof(*before));
		backup_expect_restored(test, tt, 0, 579, 0);
		backup_tt_free(test, tt);
	}
	backup_expect_baseline(test);
}

/* In the midst of a chunk that is copied, and between those. */
static void backup_c52_interrupted_copy_resumes(struct kunit *test)
{
	static const unsigned int at[] = { 1, 2, 512, 513, 540, 577, 579 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(at); i++) {
		struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579,
						     true);

		KUNIT_ASSERT_EQ(test, backup_run(test, tt), 579);
		backup_extraction_fails(test);
		KUNIT_ASSERT_EQ(test, backup_interrupted_restore(test, tt, at[i]),
				-EINTR);
		backup_restore(test, tt);
		backup_extraction_works(test);
		backup_expect_populated(test, tt);
		backup_expect_restored(test, tt, 0, 0, 579);
		backup_tt_free(test, tt);
	}
	backup_expect_baseline(test);
}

/* One chunk finds no memory, so the others need not try. */
static void backup_c51_c56_no_memory_ends_it(struct kunit *test)
{
	/* The chunks are 512, 64, 2 and 1 pages. */
	static const pgoff_t done[] = { 512, 576, 578 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(done); i++) {
		struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579,
						     true);

		backup_needs_large(test, tt);
		/* Before the chunks, it may end for all of the second half. */
		backup_fail_at(test, i + 3);
		KUNIT_EXPECT_EQ(test, backup_run(test, tt), done[i]);
		backup_interrupt_at(test, 0);
		backup_expect_pages(test, tt, 579 - done[i], done[i], done[i]);

		KUNIT_EXPECT_EQ(test, backup_run(test, tt), 579 - done[i]);
		backup_expect_backed_up(test, tt);
		backup_restore(test, tt);
		backup_expect_populated(test, tt);
		backup_tt_free(test, tt);
	}
	backup_expect_baseline(test);
}

#ifdef CONFIG_FAIL_PAGE_ALLOC
/* Busy, and no memory for a copy: what was busy may be idle the next time. */
static void backup_c52_c61_extracted_at_last(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 512, true);
	struct page **before = backup_page_array(test, tt);
	struct folio *folio = backup_tt_folio(tt, 0);
	struct ttm_operation_ctx ctx = {};
	struct backup_memory_fault fault;

	backup_needs_large(test, tt);
	KUNIT_ASSERT_EQ(test, backup_run(test, tt), 512);
	/* The state of a restore takes memory, too: let it have that. */
	KUNIT_ASSERT_EQ(test, backup_interrupted_restore(test, tt, 1), -EINTR);
	folio_get(folio);
	backup_memory_fails(test, &fault, 0, -1);
	KUNIT_EXPECT_EQ(test, ttm_tt_populate(&priv->bdev, tt, &ctx), -ENOMEM);
	backup_memory_works(&fault);
	folio_put(folio);
	backup_expect_pages(test, tt, 0, 512, 512);

	backup_restore(test, tt);
	backup_expect_populated(test, tt);
	backup_expect_restored(test, tt, 0, 512, 0);
	KUNIT_EXPECT_MEMEQ(test, before, tt->pages, 512 * sizeof(*before));
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
}

/* Idle again, but the copy of its first part is in use. */
static void backup_c52_rest_of_a_folio_is_copied(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_tt *tt = backup_filled_tt(test, ttm_cached, 512, true);
	struct folio *folio = backup_tt_folio(tt, 0);
	struct ttm_operation_ctx ctx = {};
	struct backup_memory_fault fault;
	pgoff_t copied;

	backup_needs_large(test, tt);
	KUNIT_ASSERT_EQ(test, backup_run(test, tt), 512);
	folio_get(folio);
	backup_memory_fails(test, &fault, 40, -1);
	KUNIT_EXPECT_EQ(test, ttm_tt_populate(&priv->bdev, tt, &ctx), -ENOMEM);
	backup_memory_works(&fault);
	folio_put(folio);
	/* Or this proves nothing */
	copied = backup_restored_since(tt, TTM_RESTORE_COPIED);
	KUNIT_ASSERT_GT(test, copied, 0);
	KUNIT_ASSERT_LT(test, copied, 512);

	backup_restore(test, tt);
	backup_expect_populated(test, tt);
	backup_expect_restored(test, tt, 0, 0, 512);
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
}
#endif

static void backup_c54_drop_in_mid_restore(struct kunit *test)
{
	unsigned int i;

	for (i = 1; i <= 4; i++) {
		struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579,
						     true);
		struct page **pages = backup_page_array(test, tt);
		struct file *file = get_file(tt->backup);

		KUNIT_ASSERT_EQ(test, backup_run(test, tt), 579);
		KUNIT_ASSERT_EQ(test, backup_interrupted_restore(test, tt, i),
				-EINTR);
		backup_tt_free(test, tt);
		KUNIT_EXPECT_EQ(test, file_inode(file)->i_blocks, 0);
		fput(file);
		backup_expect_baseline(test);
		KUNIT_EXPECT_EQ(test, backup_uncached_pages(pages, 579), 0);
	}
}

/*
 * A retained chunk that waits for its caching gets it when a page comes from the
 * pool that has it already. If the restore goes no further, all of that has to
 * be undone.
 */
static void backup_c48_c54_caching_is_not_forgotten(struct kunit *test)
{
	struct page **pages;
	struct ttm_tt *tt = backup_retained_chunk(test, false, &pages);

	backup_extraction_fails(test);
	KUNIT_ASSERT_EQ(test, backup_interrupted_restore(test, tt, 2), -EINTR);
	/* Or this proves nothing */
	KUNIT_ASSERT_EQ(test, backup_page_caching(pages[0]), ttm_write_combined);
	backup_expect_restored(test, tt, 512, 0, 0);
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
	KUNIT_EXPECT_EQ(test, backup_uncached_pages(pages, 579), 0);
}
#endif

/* The same where mapping the next chunk for DMA fails. */
static void backup_c48_c54_caching_survives_a_failed_mapping(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_operation_ctx ctx = {};
	unsigned int round;

	for (round = 0; round < 2; round++) {
		struct page **pages;
		struct ttm_tt *tt = backup_retained_chunk(test, true, &pages);

		backup_extraction_fails(test);
		/* The retained chunk is mapped, that of the pool is not */
		backup_map_fails(test, tt, 2);
		KUNIT_EXPECT_EQ(test, ttm_tt_populate(&priv->bdev, tt, &ctx),
				-EFAULT);
		kunit_deactivate_static_stub(test, ttm_pool_map);
		backup_extraction_works(test);
		KUNIT_EXPECT_EQ(test, priv->map_calls, 2);
		/* Or this proves nothing */
		KUNIT_ASSERT_EQ(test, backup_page_caching(pages[0]),
				ttm_write_combined);
		backup_expect_restored(test, tt, 512, 0, 0);

		if (round) {
			backup_restore(test, tt);
			backup_expect_populated(test, tt);
		}
		backup_tt_free(test, tt);
		backup_expect_baseline(test);
		KUNIT_EXPECT_EQ(test, backup_uncached_pages(pages, 579), 0);
	}
}

/* Backed up from anywhere, for a pool that is bound to the first 4 GiB */
static void backup_c49_other_zones_are_copied(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579, true);
	pgoff_t i, above = 0;

	for (i = 0; i < tt->num_pages; i++)
		if (page_to_phys(tt->pages[i]) >= 1ULL << 32)
			above++;
	if (!above)
		kunit_skip(test, "needs memory above 4 GiB");

	KUNIT_ASSERT_EQ(test, backup_run(test, tt), 579);
	priv->bdev.pool.alloc_flags |= TTM_ALLOCATION_POOL_USE_DMA32;
	backup_restore(test, tt);
	backup_expect_populated(test, tt);
	backup_expect_restored(test, tt, 0, 579 - above, above);
	for (i = 0; i < tt->num_pages; i++)
		KUNIT_ASSERT_LT(test, page_to_phys(tt->pages[i]), 1ULL << 32);
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
}

/* Chunks lie at multiples of their size. */
static void backup_expect_aligned(struct kunit *test, struct ttm_tt *tt)
{
	pgoff_t i, nr;

	for (i = 0; i < tt->num_pages; i += nr) {
		nr = 1UL << backup_order(test, tt, i);
		KUNIT_EXPECT_TRUE(test, IS_ALIGNED(i, nr));
	}
}

/* 64 single pages of shmem, as they are when there is nothing larger to be had */
static struct ttm_tt *backup_single_pages(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_pool *pool = &priv->bdev.pool;
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 64, true);
	pgoff_t i;

	for (i = 0; i < 64; i += 1UL << backup_order(test, tt, i))
		dma_unmap_page(pool->dev, tt->dma_address[i],
			       PAGE_SIZE << backup_order(test, tt, i),
			       DMA_BIDIRECTIONAL);
	for (i = 0; i < 64; )
		i += backup_punch(test, tt, i);

	for (i = 0; i < 64; i++) {
		tt->pages[i] = ttm_backup_file_alloc_pages(tt->backup, pool->nid,
							   GFP_HIGHUSER, 0);
		KUNIT_ASSERT_NOT_NULL(test, tt->pages[i]);
		mod_lruvec_page_state(tt->pages[i], NR_GPU_ACTIVE, 1);
		KUNIT_ASSERT_EQ(test, 0, ttm_pool_map(pool, 0, tt->pages[i],
						      &tt->dma_address[i]));
	}
	KUNIT_ASSERT_EQ(test, 0, ttm_pool_set_caching(tt->pages, 64,
						      ttm_write_combined));
	backup_fill(tt, 4);

	return tt;
}

/*
 * Some pages are copied, then memory runs out, and the others are retained: new
 * chunks must fit in between.
 */
#if defined(CONFIG_FAIL_PAGE_ALLOC) && defined(CONFIG_FAULT_INJECTION_DEBUG_FS)
static void backup_c57_chunks_do_not_span_retained_pages(struct kunit *test)
{
	static const unsigned int good[] = { 1, 7, 21, 46 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		struct page **before;
		struct ttm_tt *tt;
		long copied;

		tt = backup_single_pages(test);
		before = backup_page_array(test, tt);

		backup_make_foreign(test, tt);
		copied = backup_run_with_pages(test, tt, good[i]);
		KUNIT_ASSERT_GT(test, copied, 0);
		KUNIT_ASSERT_LT(test, copied, 64);
		backup_expect_pages(test, tt, 64 - copied, copied, 0);
		backup_restore(test, tt);
		backup_expect_populated(test, tt);
		backup_expect_aligned(test, tt);
		backup_expect_restored(test, tt, 64 - copied, 0, copied);
		KUNIT_EXPECT_MEMEQ(test, before + copied, tt->pages + copied,
				   (64 - copied) * sizeof(*before));

		/* And what is new can be inserted. */
		KUNIT_EXPECT_EQ(test, backup_run(test, tt), 64);
		backup_expect_pages(test, tt, 0, 64, copied);
		backup_restore(test, tt);
		backup_expect_populated(test, tt);
		backup_tt_free(test, tt);
	}
	backup_expect_baseline(test);
}
#endif

/* The page for a hole is a single one if the pages after it are. */
static void backup_c57_hole_among_single_pages(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_pool *pool = &priv->bdev.pool;
	struct ttm_tt *tt;
	pgoff_t i;

	tt = backup_single_pages(test);
	dma_unmap_page(pool->dev, tt->dma_address[0], PAGE_SIZE,
		       DMA_BIDIRECTIONAL);
	KUNIT_ASSERT_EQ(test, backup_punch(test, tt, 0), 1);
	/* And one that is larger, but lies so that a chunk in it must not be */
	for (i = 5; i < 8; i++) {
		dma_unmap_page(pool->dev, tt->dma_address[i], PAGE_SIZE,
			       DMA_BIDIRECTIONAL);
		KUNIT_ASSERT_EQ(test, backup_punch(test, tt, i), 1);
	}

	KUNIT_ASSERT_EQ(test, backup_run(test, tt), 60);
	backup_restore(test, tt);
	backup_expect_aligned(test, tt);
	backup_expect_restored(test, tt, 0, 60, 4);
	backup_fill(tt, 7);
	backup_expect_populated(test, tt);
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
}

#ifdef CONFIG_NUMA
static pgoff_t backup_pages_of_node(struct ttm_tt *tt, int nid)
{
	pgoff_t i, n = 0;

	for (i = 0; i < tt->num_pages; i++)
		n += page_to_nid(tt->pages[i]) == nid;

	return n;
}

/* Its own come back as they are; what the pool of another node backed up moves. */
static void backup_c65_pool_of_a_node_keeps_its_pages(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	int nid;

	if (num_node_state(N_MEMORY) < 2)
		kunit_skip(test, "the machine has one node");

	for_each_node_state(nid, N_MEMORY) {
		int other = next_node_in(nid, node_states[N_MEMORY]);
		struct page **before;
		struct ttm_tt *tt;

		set_dev_node(priv->dev, nid);
		backup_device(test, 0);
		KUNIT_ASSERT_EQ(test, priv->bdev.pool.nid, nid);
		tt = backup_filled_tt(test, ttm_write_combined, 579, true);
		before = backup_page_array(test, tt);
		KUNIT_ASSERT_EQ(test, backup_pages_of_node(tt, nid), 579);

		KUNIT_EXPECT_EQ(test, backup_run(test, tt), 579);
		backup_restore(test, tt);
		backup_expect_populated(test, tt);
		backup_expect_restored(test, tt, 0, 579, 0);
		KUNIT_EXPECT_MEMEQ(test, before, tt->pages, 579 * sizeof(*before));

		KUNIT_EXPECT_EQ(test, backup_run(test, tt), 579);
		priv->bdev.pool.nid = other;
		backup_restore(test, tt);
		backup_expect_populated(test, tt);
		backup_expect_restored(test, tt, 0, 579, 579);
		KUNIT_EXPECT_EQ(test, backup_pages_of_node(tt, other), 579);

		backup_tt_free(test, tt);
		kunit_release_action(test, backup_device_fini, priv);
		backup_expect_baseline(test);
	}
}
#endif

/* A later user must not find the earlier contents. */
static void backup_c66_no_alias_after_extraction(struct kunit *test)
{
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579, true);
	struct folio *folio = backup_tt_folio(tt, 512);
	unsigned int round;

	backup_needs_large(test, tt);
	for (round = 0; round < 4; round++) {
		/* One chunk stays behind every other time. */
		if (round & 1)
			folio_get(folio);
		KUNIT_ASSERT_EQ(test, backup_run(test, tt), round & 1 ? 515 : 579);
		if (round & 1)
			folio_put(folio);
		backup_restore(test, tt);
		backup_expect_populated(test, tt);
		/* The folios are ours alone, and the file has nothing. */
		KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
		KUNIT_EXPECT_NULL(test, folio->mapping);
		backup_fill(tt, 100 + round);
	}
	KUNIT_ASSERT_EQ(test, backup_run(test, tt), 579);
	backup_expect_round_trip(test, tt);
}

/* A folio among pages that are to stay movable */
static void backup_c37_movable_block_is_copied(struct kunit *test)
{
	struct ttm_tt *tt = backup_filled_tt(test, ttm_cached, 1024, false);
	struct folio *folio;
	pgoff_t i;

	backup_needs_large(test, tt);
	KUNIT_ASSERT_EQ(test, backup_order(test, tt, 0), 9);
	backup_punch(test, tt, 0);
	folio = folio_alloc(GFP_HIGHUSER_MOVABLE, 9);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	if (get_pageblock_migratetype(&folio->page) != MIGRATE_MOVABLE) {
		folio_put(folio);
		kunit_skip(test, "no movable pageblock");
	}
	folio_page(folio, 0)->private = 9 | TTM_POOL_PAGE_FOLIO;
	mod_node_page_state(folio_pgdat(folio), NR_GPU_ACTIVE, 512);
	for (i = 0; i < 512; i++)
		tt->pages[i] = folio_page(folio, i);
	backup_fill(tt, 9);

	KUNIT_ASSERT_EQ(test, backup_run(test, tt), 1024);
	backup_restore(test, tt);
	backup_expect_populated(test, tt);
	backup_expect_restored(test, tt, 0, 512, 512);
	KUNIT_EXPECT_NE(test, get_pageblock_migratetype(tt->pages[0]),
			MIGRATE_MOVABLE);
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
}

/* Inserted, but nothing can be taken out */
static void backup_c51_restore_without_extraction(struct kunit *test)
{
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 1100, true);
	struct folio *folio = backup_tt_folio(tt, 512);
	struct folio *copied = backup_tt_folio(tt, 0);

	backup_needs_large(test, tt);
	folio_get(folio);
	KUNIT_ASSERT_EQ(test, backup_run(test, tt), 1100 - 512);
	folio_put(folio);
	folio_get(copied);
	backup_extraction_fails(test);
	backup_restore(test, tt);
	backup_expect_populated(test, tt);
	KUNIT_EXPECT_EQ(test, folio_ref_count(copied), 1);
	folio_put(copied);
	backup_expect_aligned(test, tt);
	/* Retained pages are never copied. */
	backup_expect_restored(test, tt, 512, 0, 1100 - 512);
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
}

#ifdef CONFIG_MEMORY_FAILURE
/* Extraction refuses such a folio as a whole; a copy looks at each page. */
static void backup_c39_poison_is_not_copied(struct kunit *test)
{
	struct ttm_tt *tt = backup_filled_tt(test, ttm_cached, 512, false);
	struct backup_test *priv = test->priv;
	struct ttm_operation_ctx ctx = {};
	struct folio *folio = backup_tt_folio(tt, 0);

	KUNIT_ASSERT_EQ(test, backup_run(test, tt), 512);
	backup_extraction_fails(test);
	SetPageHWPoison(folio_page(folio, 7));
	KUNIT_EXPECT_EQ(test, ttm_tt_populate(&priv->bdev, tt, &ctx), -EIO);
	ClearPageHWPoison(folio_page(folio, 7));
	backup_extraction_works(test);
	backup_expect_round_trip(test, tt);
}
#endif

/*
 * With swap
 */

/* Back up with writeback. True if all of it is in swap then, in whole folios. */
static bool backup_to_swap(struct kunit *test, struct ttm_tt *tt)
{
	struct backup_test *priv = test->priv;
	struct ttm_backup_flags writeback = { .writeback = 1 };
	struct xarray *pages = &tt->backup->f_mapping->i_pages;
	unsigned long index, entries = 0, expected, out;
	void *entry;

	expected = hweight32(tt->num_pages % 512) + tt->num_pages / 512;
	if (!folio_test_large(backup_tt_folio(tt, 0)))
		expected = tt->num_pages;
	out = backup_vm_events(PSWPOUT, PSWPOUT);
	KUNIT_ASSERT_EQ(test, ttm_tt_backup(&priv->bdev, tt, writeback),
			tt->num_pages);
	KUNIT_EXPECT_EQ(test, backup_vm_events(PSWPOUT, PSWPOUT) - out,
			tt->num_pages);

	xa_for_each(pages, index, entry) {
		if (!xa_is_value(entry))
			return false;
		entries++;
	}

	return entries == expected;
}

static void backup_c46_through_swap(struct kunit *test)
{
	static const enum ttm_caching cachings[] = {
		ttm_cached, ttm_write_combined, ttm_uncached,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cachings); i++) {
		struct ttm_tt *tt = backup_filled_tt(test, cachings[i], 1100, true);

		KUNIT_EXPECT_TRUE(test, backup_to_swap(test, tt));
		backup_expect_backed_up(test, tt);
		KUNIT_EXPECT_EQ(test, tt->backup->f_mapping->nrpages, 0);
		backup_restore(test, tt);
		backup_expect_populated(test, tt);
		backup_tt_free(test, tt);
	}
	backup_expect_baseline(test);
}

/* Contents that are written, but still in the swap cache, are not read again. */
static void backup_c32_c61_swap_cache_is_enough(struct kunit *test)
{
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 1100, true);
	struct page **before = backup_page_array(test, tt);

	KUNIT_ASSERT_TRUE(test, backup_to_swap(test, tt));
	backup_restore(test, tt);
	backup_expect_populated(test, tt);
	KUNIT_EXPECT_MEMEQ(test, before, tt->pages, 1100 * sizeof(*before));
	KUNIT_EXPECT_EQ(test, backup_vm_events(PSWPIN, PSWPIN),
			to_backup_tt(tt)->priv->before.swapins);
	backup_expect_restored(test, tt, 0, 1100, 0);
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
}

static void backup_c53_drop_reads_nothing_from_swap(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 1100, true);
	long swap = get_nr_swap_pages();
	struct inode *inode = file_inode(tt->backup);

	KUNIT_EXPECT_TRUE(test, backup_to_swap(test, tt));
	ttm_pool_drop_backed_up(tt);
	ttm_tt_clear_backed_up(tt);
	KUNIT_EXPECT_EQ(test, inode->i_blocks, 0);
	KUNIT_EXPECT_EQ(test, backup_vm_events(PSWPIN, PSWPIN), priv->before.swapins);
	KUNIT_EXPECT_EQ(test, get_nr_swap_pages(), swap);
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
}

static void backup_c57_retained_chunk_follows_to_swap(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_backup_flags writeback = { .writeback = 1 };
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579, true);
	struct folio *folio = backup_tt_folio(tt, 0);

	backup_needs_large(test, tt);
	folio_get(folio);
	KUNIT_EXPECT_EQ(test, ttm_tt_backup(&priv->bdev, tt, writeback), 67);
	backup_expect_pages(test, tt, 512, 67, 67);
	folio_put(folio);
	KUNIT_EXPECT_EQ(test, ttm_tt_backup(&priv->bdev, tt, writeback), 512);
	KUNIT_EXPECT_EQ(test, tt->backup->f_mapping->nrpages, 0);
	backup_expect_round_trip(test, tt);
}

/* Copies are swapped out as well, page by page. */
static void backup_copies_go_to_swap(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_backup_flags writeback = { .writeback = 1 };
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 67, true);
	unsigned long out = backup_vm_events(PSWPOUT, PSWPOUT);

	backup_make_foreign(test, tt);
	KUNIT_EXPECT_EQ(test, ttm_tt_backup(&priv->bdev, tt, writeback), 67);
	KUNIT_EXPECT_EQ(test, backup_vm_events(PSWPOUT, PSWPOUT) - out, 67);
	backup_expect_pages(test, tt, 0, 67, 0);
	backup_expect_round_trip(test, tt);
}

#if defined(CONFIG_FAIL_PAGE_ALLOC) && defined(CONFIG_FAULT_INJECTION_DEBUG_FS)
/* Written contents stay in memory until they are removed, as reclaim does here. */
static void backup_leave_swap_cache(struct kunit *test, struct folio *folio)
{
	bool removed;

	lru_add_drain_all();
	folio_get(folio);
	folio_lock(folio);
	removed = folio_test_swapcache(folio) &&
		  remove_mapping(folio_mapping(folio), folio);
	folio_unlock(folio);
	folio_put(folio);
	KUNIT_ASSERT_TRUE(test, removed);
}

/* No memory to read a folio, then some: single pages will do. */
static void backup_c43_single_pages_will_do(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_operation_ctx ctx = {};
	int times;

	for (times = 1; times <= 4; times++) {
		struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 512,
						     true);
		struct folio *folio = backup_tt_folio(tt, 0);
		struct backup_memory_fault fault;

		backup_needs_large(test, tt);
		KUNIT_ASSERT_TRUE(test, backup_to_swap(test, tt));
		backup_leave_swap_cache(test, folio);
		/* The state of a restore takes memory, too: let it have that. */
		KUNIT_ASSERT_EQ(test, backup_interrupted_restore(test, tt, 1),
				-EINTR);
		/* The pools must not satisfy an allocation that is meant to fail. */
		backup_empty_pools(priv->before.gpu_reclaim);
		backup_memory_fails(test, &fault, 0, times);
		KUNIT_EXPECT_EQ_MSG(test, ttm_tt_populate(&priv->bdev, tt, &ctx), 0,
				    "%d failures", times);
		KUNIT_EXPECT_EQ(test, backup_memory_works(&fault), 0);
		backup_expect_populated(test, tt);
		backup_tt_free(test, tt);
	}
	backup_expect_baseline(test);
}

/* Populates while no allocation of at least this order works. */
static int backup_populate_below(struct kunit *test, struct ttm_tt *tt,
				 struct ttm_operation_ctx *ctx, unsigned int order)
{
	struct backup_test *priv = test->priv;
	struct backup_memory_fault fault;
	int ret;

	backup_memory_fails(test, &fault, 0, -1);
	*fault.min_order = order;
	ret = ttm_tt_populate(&priv->bdev, tt, ctx);
	backup_memory_works(&fault);

	return ret;
}

/* In swap as one, of which so many single pages have come back */
static struct ttm_tt *backup_part_of_a_folio(struct kunit *test, pgoff_t nr)
{
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 512, true);
	struct ttm_operation_ctx ctx = { .interruptible = true };
	struct folio *folio = backup_tt_folio(tt, 0);

	backup_needs_large(test, tt);
	KUNIT_ASSERT_TRUE(test, backup_to_swap(test, tt));
	backup_leave_swap_cache(test, folio);
	KUNIT_ASSERT_EQ(test, backup_interrupted_restore(test, tt, 1), -EINTR);
	/* One for all of it, which fails, and one for each page. */
	backup_interrupt_at(test, 1 + nr + 1);
	KUNIT_EXPECT_EQ(test, backup_populate_below(test, tt, &ctx, 1), -EINTR);
	backup_interrupt_at(test, 0);
	backup_expect_pages(test, tt, nr, 512 - nr, 512 - nr);

	return tt;
}

/* Nor is what has come back in memory twice, until the end of the chunk. */
static void backup_c43_smaller_folios_leave(struct kunit *test)
{
	struct ttm_tt *tt = backup_part_of_a_folio(test, 256);

	KUNIT_EXPECT_EQ(test, tt->backup->f_mapping->nrpages, 0);
	KUNIT_EXPECT_EQ(test, backup_restored_since(tt, TTM_RESTORE_EXTRACTED), 256);

	/* The rest is restored as large as possible, as it is still one swap entry. */
	backup_restore(test, tt);
	KUNIT_EXPECT_EQ(test, backup_order(test, tt, 255), 0);
	KUNIT_EXPECT_EQ(test, backup_order(test, tt, 256), 6);
	backup_expect_restored(test, tt, 0, 512, 0);
	backup_expect_populated(test, tt);
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
}

/* Dropped there, the rest of the folio goes as well, and is not read. */
static void backup_c54_c86_drop_half_of_a_folio(struct kunit *test)
{
	unsigned long in = backup_vm_events(PSWPIN, PSWPIN);
	struct ttm_tt *tt = backup_part_of_a_folio(test, 100);
	struct file *file = get_file(tt->backup);

	backup_tt_free(test, tt);
	KUNIT_EXPECT_EQ(test, file_inode(file)->i_blocks, 0);
	/* Readahead may have read a few more. */
	KUNIT_EXPECT_LE(test, backup_vm_events(PSWPIN, PSWPIN) - in, 100 + 16);
	fput(file);
	backup_expect_baseline(test);
}

/* Without memory for it as it went, it comes as the device likes it, uncopied. */
static void backup_c86_as_large_as_possible(struct kunit *test)
{
	static const unsigned int orders[] = { 8, 6, 4, 1 };
	struct backup_test *priv = test->priv;
	struct ttm_operation_ctx ctx = {};
	unsigned int beneficial, i;

	for (beneficial = 0; beneficial <= 9; beneficial += beneficial ? 5 : 4) {
		priv->bdev.pool.alloc_flags =
			TTM_ALLOCATION_POOL_BENEFICIAL_ORDER(beneficial);
		for (i = 0; i < ARRAY_SIZE(orders); i++) {
			struct ttm_tt *tt = backup_filled_tt(test, ttm_cached, 512, true);
			struct folio *folio = backup_tt_folio(tt, 0);

			backup_needs_large(test, tt);
			if (folio_order(folio) < 9)
				kunit_skip(test, "needs 2 MiB");
			KUNIT_ASSERT_TRUE(test, backup_to_swap(test, tt));
			backup_leave_swap_cache(test, folio);
			KUNIT_ASSERT_EQ(test, backup_interrupted_restore(test, tt, 1),
					-EINTR);
			backup_empty_pools(priv->before.gpu_reclaim);
			KUNIT_EXPECT_EQ(test, backup_populate_below(test, tt, &ctx,
								    orders[i] + 1), 0);
			KUNIT_EXPECT_EQ(test, backup_order(test, tt, 0), orders[i]);
			KUNIT_EXPECT_EQ(test, backup_order(test, tt, 256), orders[i]);
			backup_expect_restored(test, tt, 0, 512, 0);
			backup_expect_populated(test, tt);
			backup_tt_free(test, tt);
		}
	}
	priv->bdev.pool.alloc_flags = 0;
	backup_expect_baseline(test);
}

/* Of single pages, as from a machine whose memory is fragmented */
static struct ttm_tt *backup_small_tt(struct kunit *test, enum ttm_caching caching,
				      pgoff_t pages)
{
	struct backup_test *priv = test->priv;
	struct ttm_tt *tt = backup_tt(test, caching, pages, true);
	struct ttm_operation_ctx ctx = {};

	backup_empty_pools(priv->before.gpu_reclaim);
	KUNIT_EXPECT_EQ(test, backup_populate_below(test, tt, &ctx, 1), 0);
	KUNIT_ASSERT_TRUE(test, ttm_tt_is_populated(tt));
	KUNIT_ASSERT_EQ(test, backup_order(test, tt, 0), 0);
	backup_fill(tt, pages + caching + 1);
	KUNIT_ASSERT_EQ(test, backup_run(test, tt), pages);
	backup_expect_pages(test, tt, 0, pages, pages);

	return tt;
}

/*
 * A buffer object of single pages gets the chunks that its device works best with
 * when there is memory for them, or larger ones at least, and else its single
 * pages, uncopied.
 */
static void backup_c86_merged(struct kunit *test)
{
	static const struct {
		unsigned int beneficial, order;
		pgoff_t merged;
	} cases[] = { { 0, 6, 64 }, { 1, 1, 66 }, { 4, 4, 64 }, { 6, 6, 64 }, { 9, 6, 64 } };
	struct backup_test *priv = test->priv;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		enum ttm_caching caching = i & 1 ? ttm_write_combined : ttm_cached;
		struct ttm_tt *tt = backup_small_tt(test, caching, 67);

		priv->bdev.pool.alloc_flags =
			TTM_ALLOCATION_POOL_BENEFICIAL_ORDER(cases[i].beneficial);
		backup_restore(test, tt);
		KUNIT_EXPECT_EQ(test, backup_order(test, tt, 0), cases[i].order);
		KUNIT_EXPECT_EQ(test, backup_order(test, tt, 66), 0);
		KUNIT_EXPECT_EQ(test, backup_restored_since(tt, TTM_RESTORE_MERGED),
				cases[i].merged);
		KUNIT_EXPECT_EQ(test, backup_restored_since(tt, TTM_RESTORE_EXTRACTED),
				67 - cases[i].merged);
		KUNIT_EXPECT_EQ(test, backup_restored_since(tt, TTM_RESTORE_COPIED), 0);
		backup_expect_populated(test, tt);
		backup_tt_free(test, tt);
	}
	priv->bdev.pool.alloc_flags = 0;
	backup_expect_baseline(test);
}

static void backup_c86_no_memory_to_merge(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_tt *tt = backup_small_tt(test, ttm_write_combined, 67);
	struct ttm_operation_ctx ctx = {};

	priv->bdev.pool.alloc_flags = TTM_ALLOCATION_POOL_BENEFICIAL_ORDER(4);
	backup_empty_pools(priv->before.gpu_reclaim);
	KUNIT_EXPECT_EQ(test, backup_populate_below(test, tt, &ctx, 1), 0);
	KUNIT_EXPECT_EQ(test, backup_order(test, tt, 0), 0);
	backup_expect_restored(test, tt, 0, 67, 0);
	backup_expect_populated(test, tt);
	backup_tt_free(test, tt);
	priv->bdev.pool.alloc_flags = 0;
	backup_expect_baseline(test);
}

/*
 * Small chunks that are in memory are taken several at a time, but not beyond where a
 * chunk of the best order could begin. A signal does not make them retained ones.
 */
static void backup_c90_taken_ahead_of_their_turn(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_operation_ctx ctx = { .interruptible = true };
	struct ttm_tt *tt = backup_small_tt(test, ttm_write_combined, 67);

	priv->bdev.pool.alloc_flags = TTM_ALLOCATION_POOL_BENEFICIAL_ORDER(4);
	/* The state of a restore takes memory, too: let it have that. */
	KUNIT_ASSERT_EQ(test, backup_interrupted_restore(test, tt, 1), -EINTR);
	backup_empty_pools(priv->before.gpu_reclaim);
	/* The first of 16, those with it, the first of the next 16, ... */
	backup_interrupt_at(test, 3);
	KUNIT_EXPECT_EQ(test, backup_populate_below(test, tt, &ctx, 1), -EINTR);
	backup_interrupt_at(test, 0);
	backup_expect_pages(test, tt, 32, 35, 35);
	KUNIT_EXPECT_EQ(test, backup_restored_since(tt, TTM_RESTORE_EXTRACTED), 32);

	ctx.interruptible = false;
	KUNIT_EXPECT_EQ(test, backup_populate_below(test, tt, &ctx, 1), 0);
	backup_expect_restored(test, tt, 0, 67, 0);
	backup_expect_populated(test, tt);
	backup_tt_free(test, tt);
	priv->bdev.pool.alloc_flags = 0;
	backup_expect_baseline(test);
}

/* A signal in the middle of the merging, and then the rest, or the end */
static void backup_c52_c54_c86_interrupted_merge(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		struct ttm_tt *tt = backup_small_tt(test, ttm_write_combined, 67);
		struct file *file = get_file(tt->backup);

		priv->bdev.pool.alloc_flags = TTM_ALLOCATION_POOL_BENEFICIAL_ORDER(4);
		/* One for each page that is copied: the sixth of the second chunk */
		KUNIT_ASSERT_EQ(test, backup_interrupted_restore(test, tt, 16 + 6),
				-EINTR);
		KUNIT_EXPECT_EQ(test, file_inode(file)->i_blocks,
				(67 - 16 - 5) * (PAGE_SIZE / SECTOR_SIZE));
		if (!i) {
			backup_restore(test, tt);
			backup_expect_populated(test, tt);
			KUNIT_EXPECT_EQ(test, backup_order(test, tt, 16), 4);
			KUNIT_EXPECT_EQ(test, backup_restored_since(tt, TTM_RESTORE_MERGED),
					64);
		}
		backup_tt_free(test, tt);
		KUNIT_EXPECT_EQ(test, file_inode(file)->i_blocks, 0);
		fput(file);
		priv->bdev.pool.alloc_flags = 0;
		backup_expect_baseline(test);
	}
}

/* Which allocations are not tried after one has failed */
static void backup_c86_effort(struct kunit *test)
{
	static const struct {
		unsigned int beneficial, failed, next, highest;
	} cases[] = {
		/* Nothing was free: for the next chunk there may be. */
		{ 9, 4, 3, 9 }, { 9, 8, 7, 9 },
		/* The effort was in vain. */
		{ 9, 9, 8, 8 }, { 4, 4, 3, 3 }, { 4, 6, 5, 5 },
		{ 0, 9, 8, 8 }, { 0, 4, 3, 3 }, { 0, 1, 0, 0 },
		/* Without single pages it ends anyway. */
		{ 0, 0, 9, 9 }, { 9, 0, 9, 9 },
	};
	struct backup_test *priv = test->priv;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ttm_restore_attempt attempt = { .max = 9, .highest = 9, .next = 9 };

		priv->bdev.pool.alloc_flags =
			TTM_ALLOCATION_POOL_BENEFICIAL_ORDER(cases[i].beneficial);
		ttm_backup_restore_no_memory(&priv->bdev.pool, cases[i].failed, &attempt);
		KUNIT_EXPECT_EQ_MSG(test, attempt.next, cases[i].next, "case %u", i);
		KUNIT_EXPECT_EQ_MSG(test, attempt.highest, cases[i].highest, "case %u", i);
		/* A higher one that fails later does not raise it again. */
		ttm_backup_restore_no_memory(&priv->bdev.pool, 9, &attempt);
		KUNIT_EXPECT_LE(test, attempt.next, min(cases[i].next, 8));
	}
	priv->bdev.pool.alloc_flags = 0;
}

/* Where part of it is there already, it stays as it is. */
static void backup_c86_not_merged_with_retained(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_tt *tt = backup_small_tt(test, ttm_cached, 67);
	struct ttm_operation_ctx ctx = {};
	struct page *page;

	/* Back as it is, and out again but for one that somebody holds */
	KUNIT_ASSERT_EQ(test, backup_populate_below(test, tt, &ctx, 1), 0);
	page = tt->pages[20];
	get_page(page);
	KUNIT_ASSERT_EQ(test, backup_run(test, tt), 66);
	put_page(page);

	priv->bdev.pool.alloc_flags = TTM_ALLOCATION_POOL_BENEFICIAL_ORDER(4);
	backup_restore(test, tt);
	KUNIT_EXPECT_PTR_EQ(test, tt->pages[20], page);
	KUNIT_EXPECT_EQ(test, backup_order(test, tt, 0), 4);
	KUNIT_EXPECT_EQ(test, backup_order(test, tt, 16), 0);
	KUNIT_EXPECT_EQ(test, backup_order(test, tt, 32), 4);
	KUNIT_EXPECT_EQ(test, backup_restored_since(tt, TTM_RESTORE_MERGED), 48);
	KUNIT_EXPECT_EQ(test, backup_restored_since(tt, TTM_RESTORE_ADOPTED), 1);
	backup_expect_populated(test, tt);
	backup_tt_free(test, tt);
	priv->bdev.pool.alloc_flags = 0;
	backup_expect_baseline(test);
}
#endif

static void backup_c59_swap_is_seen(struct kunit *test)
{
	kunit_deactivate_static_stub(test, ttm_backup_bytes_avail);
	KUNIT_EXPECT_GT(test, ttm_backup_bytes_avail(), 0);
}

static struct kunit_case backup_cases[] = {
	KUNIT_CASE_SLOW(backup_c46_cached),
	KUNIT_CASE_SLOW(backup_c46_cached_and_dma_mapped),
	KUNIT_CASE_SLOW(backup_c46_c48_write_combined),
	KUNIT_CASE_SLOW(backup_c46_c48_uncached),
#ifdef CONFIG_X86
	KUNIT_CASE(backup_c47_write_back_fails),
	KUNIT_CASE(backup_c47_write_back_fails_at_a_hole),
	KUNIT_CASE(backup_c47_write_back_fails_when_freed),
#endif
#ifdef CONFIG_MEMCG
	KUNIT_CASE(backup_c22_active_memcg_is_put_back),
	KUNIT_CASE(backup_c22_c76_charged_to_root),
#endif
	KUNIT_CASE(backup_c49_dma32_stays_dma32),
	KUNIT_CASE(backup_c50_dma_alloc_pool_unchanged),
	KUNIT_CASE(backup_c53_drop_while_backed_up),
	KUNIT_CASE(backup_c53_destroy_while_backed_up),
	KUNIT_CASE(backup_c53_drop_range_takes_whole_folios),
	KUNIT_CASE(backup_c54_drop_while_partially_backed_up),
	KUNIT_CASE(backup_c55_purge),
	KUNIT_CASE(backup_c55_purge_of_an_incomplete_backup),
	KUNIT_CASE(backup_c57_retained_chunks_are_retried),
	KUNIT_CASE(backup_c57_restore_with_retained_chunks),
	KUNIT_CASE(backup_c57_holes),
	KUNIT_CASE(backup_c108_r5_hook_meets_no_handle),
	KUNIT_CASE(backup_all_chunks_busy),
	KUNIT_CASE(backup_c77_the_walk_goes_on),
#ifdef CONFIG_FAULT_INJECTION_DEBUG_FS
	KUNIT_CASE(backup_c57_c77_incomplete_stays_on_the_lru),
	KUNIT_CASE(backup_c52_c77_restore_in_a_bulk_move),
	KUNIT_CASE(backup_c54_c77_dropped_in_a_bulk_move),
	KUNIT_CASE(backup_c77_destroyed_in_any_state),
#endif
#ifdef CONFIG_TRACEPOINTS
	KUNIT_CASE(backup_busy_is_tried_again),
#ifdef CONFIG_MEMORY_FAILURE
	KUNIT_CASE(backup_busy_is_not_forgotten),
#endif
#endif
	KUNIT_CASE(backup_c58_node_counters),
	KUNIT_CASE(backup_c59_no_backup_without_swap),
	KUNIT_CASE_SLOW(backup_c60_allocates_nodes_only),
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	KUNIT_CASE(backup_c67_order_10_is_capped),
#endif
	KUNIT_CASE_SLOW(backup_c61_resident_cached),
	KUNIT_CASE_SLOW(backup_c48_c61_resident_write_combined),
	KUNIT_CASE(backup_c51_retained_chunks_are_adopted),
	KUNIT_CASE(backup_c52_signal_between_chunks),
	KUNIT_CASE(backup_c52_signal_while_copying),
#ifdef CONFIG_X86
	KUNIT_CASE(backup_c48_caching_fails),
	KUNIT_CASE(backup_c48_caching_fails_in_allocation),
	KUNIT_CASE(backup_c48_large_mapping_stays_large),
	KUNIT_CASE(backup_c48_part_of_a_huge_folio),
	KUNIT_CASE(backup_c48_caching_of_a_folio_fails),
	KUNIT_CASE(backup_c81_huge_folios_among_others),
	KUNIT_CASE(backup_c81_adjacent_huge_pages),
	KUNIT_CASE(backup_c81_part_of_a_huge_folio),
	KUNIT_CASE(backup_c81_pages_in_any_order),
	KUNIT_CASE(backup_c81_separate_pages_need_no_memory),
	KUNIT_CASE(backup_c81_refused_page_keeps_its_caching),
	KUNIT_CASE(backup_c47_c48_cancel_fails),
	KUNIT_CASE(backup_c57_cancel_fails_beside_a_hole),
#endif
	KUNIT_CASE(backup_c48_cancel_fails_to_map),
#ifdef CONFIG_FAULT_INJECTION_DEBUG_FS
	KUNIT_CASE(backup_c56_half_of_the_pages),
	KUNIT_CASE(backup_c52_interrupted_restore_resumes),
	KUNIT_CASE(backup_c52_interrupted_copy_resumes),
	KUNIT_CASE(backup_c51_c56_no_memory_ends_it),
#ifdef CONFIG_FAIL_PAGE_ALLOC
	KUNIT_CASE(backup_c52_c61_extracted_at_last),
	KUNIT_CASE(backup_c52_rest_of_a_folio_is_copied),
#endif
	KUNIT_CASE(backup_c54_drop_in_mid_restore),
	KUNIT_CASE(backup_c48_c54_caching_is_not_forgotten),
#endif
	KUNIT_CASE(backup_c48_c54_caching_survives_a_failed_mapping),
	KUNIT_CASE(backup_c49_other_zones_are_copied),
#if defined(CONFIG_FAIL_PAGE_ALLOC) && defined(CONFIG_FAULT_INJECTION_DEBUG_FS)
	KUNIT_CASE(backup_c57_chunks_do_not_span_retained_pages),
#endif
	KUNIT_CASE(backup_c57_hole_among_single_pages),
#ifdef CONFIG_NUMA
	KUNIT_CASE(backup_c65_pool_of_a_node_keeps_its_pages),
#endif
	KUNIT_CASE(backup_c66_no_alias_after_extraction),
	KUNIT_CASE(backup_c37_movable_block_is_copied),
	KUNIT_CASE(backup_c51_restore_without_extraction),
#ifdef CONFIG_MEMORY_FAILURE
	KUNIT_CASE(backup_c39_poison_is_not_copied),
#endif
	KUNIT_CASE(backup_plain_pages_in_a_plain_file),
	KUNIT_CASE(backup_folios_in_a_plain_file),
	KUNIT_CASE(backup_c75_pages_of_others_are_copied),
	KUNIT_CASE(backup_c75_compound_pages_of_others_are_copied),
	KUNIT_CASE(backup_c75_pages_of_others_from_a_pool),
	KUNIT_CASE(backup_writeback_without_swap),
#if defined(CONFIG_FAIL_PAGE_ALLOC) && defined(CONFIG_FAULT_INJECTION_DEBUG_FS)
	KUNIT_CASE(backup_c60_succeeds_without_memory),
	KUNIT_CASE(backup_c75_copy_of_a_folio_is_all_or_nothing),
	KUNIT_CASE(backup_c75_part_of_a_block_is_copied),
	KUNIT_CASE(backup_copy_of_a_folio_is_all_or_nothing),
	KUNIT_CASE(backup_copy_retains_a_folio),
	KUNIT_CASE(backup_c54_drop_of_a_folio_taken_apart),
#endif
	KUNIT_CASE(backup_tail_page_is_single),
	KUNIT_CASE(backup_handles),
	KUNIT_CASE(backup_file_is_not_movable),
	KUNIT_CASE(backup_pages_are_counted),
	{}
};

static struct kunit_suite backup_suite = {
	.name = "ttm_backup_insert",
	.suite_init = backup_suite_init,
	.init = backup_init,
	.test_cases = backup_cases,
};

static struct kunit_case backup_swap_cases[] = {
	KUNIT_CASE_SLOW(backup_c46_through_swap),
	KUNIT_CASE_SLOW(backup_c32_c61_swap_cache_is_enough),
	KUNIT_CASE_SLOW(backup_c53_drop_reads_nothing_from_swap),
	KUNIT_CASE_SLOW(backup_c57_retained_chunk_follows_to_swap),
	KUNIT_CASE(backup_copies_go_to_swap),
#if defined(CONFIG_FAIL_PAGE_ALLOC) && defined(CONFIG_FAULT_INJECTION_DEBUG_FS)
	KUNIT_CASE_SLOW(backup_c43_single_pages_will_do),
	KUNIT_CASE(backup_c43_smaller_folios_leave),
	KUNIT_CASE_SLOW(backup_c54_c86_drop_half_of_a_folio),
	KUNIT_CASE_SLOW(backup_c86_as_large_as_possible),
	KUNIT_CASE(backup_c86_merged),
	KUNIT_CASE(backup_c86_no_memory_to_merge),
	KUNIT_CASE(backup_c90_taken_ahead_of_their_turn),
	KUNIT_CASE(backup_c52_c54_c86_interrupted_merge),
	KUNIT_CASE(backup_c86_not_merged_with_retained),
	KUNIT_CASE(backup_c86_effort),
#endif
	KUNIT_CASE(backup_c59_swap_is_seen),
	{}
};

static struct kunit_suite backup_swap_suite = {
	.name = "ttm_backup_insert_swap",
	.init = backup_swap_init,
	.test_cases = backup_swap_cases,
};

kunit_test_suites(&backup_suite, &backup_swap_suite);
