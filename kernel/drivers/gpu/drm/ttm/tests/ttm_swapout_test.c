// SPDX-License-Identifier: MIT
/*
 * KUnit tests of the swapout of buffer objects by insertion, for drivers that have
 * no shrinker.
 *
 * The driver here does what real ones do: it has a pool of its own, writes to the
 * pages it was given, and expects to find them when it is to give them up.
 *
 * The clause of the contract that a case checks stands in its name. Every case ends
 * with the counters being what they were.
 */

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/debugfs.h>
#include <linux/dma-mapping.h>
#include <linux/file.h>
#include <linux/highmem.h>
#include <linux/initrd.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/swap.h>
#include <linux/vmalloc.h>
#include <linux/vmstat.h>

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
#include <drm/ttm/ttm_range_manager.h>
#include <drm/ttm/ttm_resource.h>
#include <drm/ttm/ttm_tt.h>

#include "../ttm_backup_file.h"
#include "../ttm_backup_restore.h"
#include "../ttm_backup_stats.h"
#include "../ttm_module.h"
#include "../ttm_pool_internal.h"
#include "../ttm_swapout.h"
#include "ttm_backup_test_helpers.h"

/* Chunks of orders 9, 6, 1 and 0 */
#define SWAPOUT_PAGES	579UL

/* What a test has: a device, and the counters from before. */
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
	struct backup_counters before;
	long allocated_before;
	unsigned int unpopulated;
	unsigned int bad_at_unpopulate;
	unsigned int wb_calls;
	bool wb_fails;
};

struct swapout_tt {
	struct ttm_tt tt;
	struct swapout_test *priv;
	u64 seed;
};

static struct swapout_tt *to_swapout_tt(struct ttm_tt *tt)
{
	return container_of(tt, struct swapout_tt, tt);
}

/*
 * Counters
 */

static void swapout_expect_baseline(struct kunit *test)
{
	struct swapout_test *priv = test->priv;

	backup_expect_counters(test, &priv->before);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&ttm_pages_allocated),
			priv->allocated_before);
}

/* Beyond what was there before the test */
static long swapout_accounted(struct kunit *test)
{
	struct swapout_test *priv = test->priv;

	return atomic_long_read(&ttm_pages_allocated) - priv->allocated_before;
}

static long swapout_gpu_active(struct kunit *test)
{
	struct swapout_test *priv = test->priv;

	return backup_node_stat(NR_GPU_ACTIVE) - priv->before.gpu_active;
}

/*
 * Contents
 */

static void swapout_fill(struct ttm_tt *tt, u64 seed)
{
	pgoff_t i;
	size_t word;

	to_swapout_tt(tt)->seed = seed;
	for (i = 0; i < tt->num_pages; i++) {
		u64 *p = kmap_local_page(tt->pages[i]);

		for (word = 0; word < PAGE_SIZE / sizeof(*p); word++)
			p[word] = backup_word(seed, i, word);
		kunmap_local(p);
	}
}

static bool swapout_intact(const u64 *p, u64 seed, pgoff_t page)
{
	size_t word;

	for (word = 0; word < PAGE_SIZE / sizeof(*p); word++)
		if (p[word] != backup_word(seed, page, word))
			return false;

	return true;
}

/* How many pages are handles, have lost their contents, or the wrong caching? */
static pgoff_t swapout_bad_pages(struct ttm_tt *tt, enum ttm_caching caching)
{
	pgoff_t i, bad = 0;

	if (!IS_ENABLED(CONFIG_X86))
		caching = ttm_cached;

	for (i = 0; i < tt->num_pages; i++) {
		struct page *page = tt->pages[i];
		u64 *p;

		if (!page || ttm_backup_page_ptr_is_handle(page)) {
			bad++;
			continue;
		}
		p = kmap_local_page(page);
		if (backup_page_caching(page) != caching ||
		    !swapout_intact(p, to_swapout_tt(tt)->seed, i))
			bad++;
		kunmap_local(p);
	}

	return bad;
}

/*
 * The driver
 */

static struct swapout_test *to_swapout_test(struct ttm_device *bdev)
{
	return container_of(bdev, struct swapout_test, bdev);
}

static struct ttm_pool *swapout_pool(struct ttm_device *bdev)
{
	struct swapout_test *priv = to_swapout_test(bdev);

	return priv->own_pool ? &priv->pool : &bdev->pool;
}

static struct ttm_tt *swapout_tt_create(struct ttm_buffer_object *bo, u32 flags)
{
	struct swapout_test *priv = to_swapout_test(bo->bdev);
	struct swapout_tt *stt = kzalloc_obj(*stt, GFP_KERNEL);

	if (!stt)
		return NULL;

	stt->priv = priv;
	if (ttm_sg_tt_init(&stt->tt, bo, flags, priv->caching)) {
		kfree(stt);
		return NULL;
	}

	return &stt->tt;
}

static void swapout_tt_destroy(struct ttm_device *bdev, struct ttm_tt *tt)
{
	ttm_tt_fini(tt);
	kfree(to_swapout_tt(tt));
}

/* As amdgpu does */
static void swapout_set_mapping(struct ttm_device *bdev, struct ttm_tt *tt,
				struct address_space *mapping)
{
	pgoff_t i;

	if (ttm_pool_uses_dma_alloc(swapout_pool(bdev)))
		return;

	for (i = 0; i < tt->num_pages; i++)
		if (!PageTail(tt->pages[i]))
			tt->pages[i]->mapping = mapping;
}

static int swapout_populate(struct ttm_device *bdev, struct ttm_tt *tt,
			    struct ttm_operation_ctx *ctx)
{
	int ret = ttm_pool_alloc(swapout_pool(bdev), tt, ctx);

	if (!ret)
		swapout_set_mapping(bdev, tt, bdev->dev_mapping);

	return ret;
}

static void swapout_unpopulate(struct ttm_device *bdev, struct ttm_tt *tt)
{
	struct swapout_test *priv = to_swapout_test(bdev);

	priv->unpopulated++;
	/* They are all there, and fit to be given to others. */
	if (tt->swapout)
		priv->bad_at_unpopulate += swapout_bad_pages(tt, ttm_cached);
	swapout_set_mapping(bdev, tt, NULL);
	ttm_pool_free(swapout_pool(bdev), tt);
}

static int swapout_io_mem_reserve(struct ttm_device *bdev, struct ttm_resource *res)
{
	struct swapout_test *priv = to_swapout_test(bdev);

	if (res->mem_type != TTM_PL_VRAM)
		return 0;

	res->bus.addr = priv->vram + (res->start << PAGE_SHIFT);
	res->bus.is_iomem = true;

	return 0;
}

static int swapout_move(struct ttm_buffer_object *bo, bool evict,
			struct ttm_operation_ctx *ctx, struct ttm_resource *res,
			struct ttm_place *hop)
{
	if (bo->resource && res->mem_type == TTM_PL_VRAM)
		return ttm_bo_move_memcpy(bo, ctx, res);

	ttm_bo_move_null(bo, res);

	return 0;
}

static struct ttm_device_funcs swapout_funcs = {
	.ttm_tt_create = swapout_tt_create,
	.ttm_tt_populate = swapout_populate,
	.ttm_tt_unpopulate = swapout_unpopulate,
	.ttm_tt_destroy = swapout_tt_destroy,
	.eviction_valuable = ttm_bo_eviction_valuable,
	.io_mem_reserve = swapout_io_mem_reserve,
	.move = swapout_move,
};

/*
 * Fixture
 */

static void swapout_device_fini(void *data)
{
	struct swapout_test *priv = data;

	ttm_pool_fini(&priv->pool);
	ttm_device_fini(&priv->bdev);
}

static void swapout_device(struct kunit *test, unsigned int alloc_flags)
{
	struct swapout_test *priv = test->priv;
	int ret;

	ret = ttm_device_init(&priv->bdev, &swapout_funcs, priv->dev,
			      priv->drm->anon_inode->i_mapping,
			      priv->drm->vma_offset_manager, alloc_flags);
	KUNIT_ASSERT_EQ(test, ret, 0);
	ttm_pool_init(&priv->pool, priv->dev, NUMA_NO_NODE, alloc_flags);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, swapout_device_fini,
							   priv));
}

static int swapout_init(struct kunit *test)
{
	struct swapout_test *priv = kunit_kzalloc(test, sizeof(*priv), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, priv);
	test->priv = priv;

	backup_alloc_drm(test, &priv->dma_mask, &priv->dev, &priv->drm);

	backup_empty_pools(0);
	priv->before = backup_counters();
	priv->allocated_before = atomic_long_read(&ttm_pages_allocated);

	return 0;
}

static void swapout_bo_destroy(struct ttm_buffer_object *bo)
{
	drm_gem_object_release(&bo->base);
}

static void swapout_bo_fini(void *data)
{
	struct ttm_buffer_object *bo = data;

	dma_resv_lock(bo->base.resv, NULL);
	ttm_bo_set_bulk_move(bo, NULL);
	dma_resv_unlock(bo->base.resv);
	ttm_bo_fini(bo);
}

static int swapout_bo_populate(struct ttm_buffer_object *bo, bool interruptible)
{
	struct ttm_operation_ctx ctx = { .interruptible = interruptible };
	int ret;

	dma_resv_lock(bo->base.resv, NULL);
	ret = ttm_bo_populate(bo, &ctx);
	dma_resv_unlock(bo->base.resv);

	return ret;
}

/* Populated and filled */
static struct ttm_buffer_object *swapout_bo(struct kunit *test,
					    enum ttm_caching caching, pgoff_t pages,
					    struct ttm_lru_bulk_move *bulk)
{
	const struct ttm_place place = { .mem_type = TTM_PL_SYSTEM };
	struct ttm_placement placement = { .num_placement = 1, .placement = &place };
	struct swapout_test *priv = test->priv;
	struct ttm_operation_ctx ctx = {};
	struct ttm_buffer_object *bo;

	priv->caching = caching;
	bo = kunit_kzalloc(test, sizeof(*bo), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, bo);
	drm_gem_private_object_init(priv->drm, &bo->base, pages << PAGE_SHIFT);
	KUNIT_ASSERT_EQ(test, 0, ttm_bo_init_reserved(&priv->bdev, bo,
						      ttm_bo_type_kernel, &placement,
						      1, &ctx, NULL, NULL,
						      swapout_bo_destroy));
	ttm_bo_set_bulk_move(bo, bulk);
	dma_resv_unlock(bo->base.resv);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, swapout_bo_fini, bo));
	KUNIT_ASSERT_EQ(test, 0, swapout_bo_populate(bo, false));
	swapout_fill(bo->ttm, pages + caching + 1);

	return bo;
}

static void swapout_bo_free(struct kunit *test, struct ttm_buffer_object *bo)
{
	kunit_release_action(test, swapout_bo_fini, bo);
}

/* One walk, as ttm_global_swapout() does it */
static s64 swapout_run(struct kunit *test)
{
	struct swapout_test *priv = test->priv;
	struct ttm_operation_ctx ctx = {};
	int ret = ttm_device_swapout(&priv->bdev, &ctx, GFP_KERNEL);

	/* What waits in another processor's batches comes back by a copy. */
	lru_add_drain_all();

	return ret;
}

/* Is it out of reach of the next walk? */
static bool swapout_unevictable(struct kunit *test, struct ttm_buffer_object *bo)
{
	struct swapout_test *priv = test->priv;
	struct ttm_lru_item *lru;
	bool found = false;

	spin_lock(&priv->bdev.lru_lock);
	list_for_each_entry(lru, &priv->bdev.unevictable, link)
		found |= ttm_lru_item_is_res(lru) &&
			 ttm_lru_item_to_res(lru) == bo->resource;
	spin_unlock(&priv->bdev.lru_lock);

	return found;
}

static bool swapout_in_bulk(struct kunit *test, struct ttm_lru_bulk_move *bulk,
			    struct ttm_buffer_object *bo)
{
	struct swapout_test *priv = test->priv;
	struct ttm_lru_bulk_move_pos *pos = &bulk->pos[TTM_PL_SYSTEM][0];
	bool found;

	spin_lock(&priv->bdev.lru_lock);
	found = pos->first == bo->resource || pos->last == bo->resource;
	spin_unlock(&priv->bdev.lru_lock);

	return found;
}

/* All of it has gone, by insertion, as the driver expected. */
static void swapout_expect_swapped(struct kunit *test, struct ttm_buffer_object *bo)
{
	struct swapout_test *priv = test->priv;
	struct ttm_tt *tt = bo->ttm;
	struct ttm_backup_pages where;

	KUNIT_EXPECT_FALSE(test, ttm_tt_is_populated(tt));
	KUNIT_EXPECT_TRUE(test, ttm_tt_is_fully_swapped(tt));
	KUNIT_EXPECT_FALSE(test, tt->page_flags & TTM_TT_FLAG_SWAPPED);
	KUNIT_EXPECT_EQ(test, tt->accounted, 0);
	KUNIT_EXPECT_NULL(test, tt->swapout);
	KUNIT_EXPECT_NULL(test, tt->swap_storage);
	KUNIT_EXPECT_TRUE(test, swapout_unevictable(test, bo));
	KUNIT_EXPECT_EQ(test, priv->bad_at_unpopulate, 0);
	KUNIT_ASSERT_TRUE(test, ttm_backup_file_takes_folios(tt->backup));
	KUNIT_EXPECT_EQ(test, tt->backup->f_mapping->nrpages, tt->num_pages);

	ttm_tt_backup_pages(tt, &where);
	KUNIT_EXPECT_EQ(test, where.resident, 0);
	KUNIT_EXPECT_EQ(test, where.inserted, tt->num_pages);
}

/* All of it is there, as if nothing had happened. */
static void swapout_expect_populated(struct kunit *test, struct ttm_buffer_object *bo)
{
	struct ttm_tt *tt = bo->ttm;

	KUNIT_EXPECT_TRUE(test, ttm_tt_is_populated(tt));
	KUNIT_EXPECT_FALSE(test, ttm_tt_is_swapped(tt));
	KUNIT_EXPECT_EQ(test, tt->accounted, tt->num_pages);
	KUNIT_EXPECT_EQ(test, tt->retained, 0);
	KUNIT_EXPECT_NULL(test, tt->backup);
	KUNIT_EXPECT_NULL(test, tt->restore);
	KUNIT_EXPECT_NULL(test, tt->swap_storage);
	KUNIT_EXPECT_FALSE(test, swapout_unevictable(test, bo));
	KUNIT_EXPECT_EQ(test, swapout_bad_pages(tt, tt->caching), 0);
}

static unsigned long *swapout_pfns(struct kunit *test, struct ttm_tt *tt)
{
	unsigned long *pfns = kunit_kmalloc_array(test, tt->num_pages, sizeof(*pfns),
						  GFP_KERNEL);
	pgoff_t i;

	KUNIT_ASSERT_NOT_NULL(test, pfns);
	for (i = 0; i < tt->num_pages; i++)
		pfns[i] = page_to_pfn(tt->pages[i]);

	return pfns;
}

/* How many pages are others than they were? */
static pgoff_t swapout_moved(struct ttm_tt *tt, const unsigned long *pfns)
{
	pgoff_t i, moved = 0;

	for (i = 0; i < tt->num_pages; i++)
		moved += page_to_pfn(tt->pages[i]) != pfns[i];

	return moved;
}

/*
 * Cases
 */

/* There and back, without a copy, and with the same folios */
static void swapout_c63_c91_round_trip(struct kunit *test)
{
	static const enum ttm_caching cachings[] = {
		ttm_cached, ttm_write_combined, ttm_uncached,
	};
	struct swapout_test *priv = test->priv;
	unsigned int i, round;

	swapout_device(test, 0);
	for (i = 0; i < ARRAY_SIZE(cachings); i++) {
		struct ttm_buffer_object *bo = swapout_bo(test, cachings[i],
							  SWAPOUT_PAGES, NULL);
		struct ttm_tt *tt = bo->ttm;
		unsigned long *pfns = swapout_pfns(test, tt);

		for (round = 0; round < 2; round++) {
			priv->unpopulated = 0;
			swapout_expect_populated(test, bo);
			KUNIT_EXPECT_EQ(test, swapout_run(test), SWAPOUT_PAGES);
			KUNIT_EXPECT_EQ(test, priv->unpopulated, 1);
			swapout_expect_swapped(test, bo);
			KUNIT_EXPECT_EQ(test, swapout_gpu_active(test), 0);
			KUNIT_EXPECT_EQ(test, backup_dma_mappings(),
					priv->before.dma_mappings);
			/* Nothing is left to swap out. */
			KUNIT_EXPECT_EQ(test, swapout_run(test), 0);

			KUNIT_EXPECT_EQ(test, swapout_bo_populate(bo, false), 0);
			KUNIT_EXPECT_EQ(test, swapout_gpu_active(test), SWAPOUT_PAGES);
			KUNIT_EXPECT_EQ(test, swapout_moved(tt, pfns), 0);
		}
		swapout_expect_populated(test, bo);
		swapout_bo_free(test, bo);
		swapout_expect_baseline(test);
	}
}

/* A driver with pools of its own, as amdgpu has them for memory partitions */
static void swapout_c63_pool_of_the_driver(struct kunit *test)
{
	struct swapout_test *priv = test->priv;
	struct ttm_buffer_object *bo;

	swapout_device(test, 0);
	priv->own_pool = true;
	bo = swapout_bo(test, ttm_write_combined, SWAPOUT_PAGES, NULL);
	KUNIT_EXPECT_EQ(test, swapout_run(test), SWAPOUT_PAGES);
	swapout_expect_swapped(test, bo);
	KUNIT_EXPECT_EQ(test, swapout_bo_populate(bo, false), 0);
	swapout_expect_populated(test, bo);
	swapout_bo_free(test, bo);
	swapout_expect_baseline(test);
}

static void swapout_c91_allocates_nodes_only(struct kunit *test)
{
	/* At most one page for 16 MiB */
	const pgoff_t pages = 64UL << (20 - PAGE_SHIFT), most = 4;
	struct ttm_buffer_object *bo;
	unsigned long least = ULONG_MAX;
	unsigned int round;

	swapout_device(test, 0);
	bo = swapout_bo(test, ttm_cached, pages, NULL);
	if (!PageCompound(bo->ttm->pages[0]))
		kunit_skip(test, "needs large folios");
	/* The rest of the system allocates, too, but not all the time. */
	for (round = 0; round < 5 && least > most; round++) {
		unsigned long before = backup_pages_allocated();

		KUNIT_ASSERT_EQ(test, swapout_run(test), pages);
		least = min(least, backup_pages_allocated() - before);
		KUNIT_ASSERT_EQ(test, swapout_bo_populate(bo, false), 0);
	}
	kunit_info(test, "%lu pages allocated for 64 MiB", least);
	KUNIT_EXPECT_LE(test, least, most);
	swapout_expect_populated(test, bo);
	swapout_bo_free(test, bo);
	swapout_expect_baseline(test);
}

/* What the DMA API has allocated goes the old way, and comes back. */
static void swapout_c92_dma_alloc_pool_is_copied(struct kunit *test)
{
	static const enum ttm_caching cachings[] = { ttm_cached, ttm_write_combined };
	struct swapout_test *priv = test->priv;
	unsigned int i;

	swapout_device(test, TTM_ALLOCATION_POOL_USE_DMA_ALLOC);
	for (i = 0; i < ARRAY_SIZE(cachings); i++) {
		struct ttm_buffer_object *bo = swapout_bo(test, cachings[i],
							  SWAPOUT_PAGES, NULL);
		struct ttm_tt *tt = bo->ttm;

		KUNIT_EXPECT_EQ(test, swapout_run(test), SWAPOUT_PAGES);
		KUNIT_EXPECT_TRUE(test, tt->page_flags & TTM_TT_FLAG_SWAPPED);
		KUNIT_EXPECT_FALSE(test, ttm_tt_is_backed_up(tt));
		KUNIT_EXPECT_NULL(test, tt->backup);
		KUNIT_EXPECT_NOT_NULL(test, tt->swap_storage);
		KUNIT_EXPECT_EQ(test, tt->accounted, 0);
		KUNIT_EXPECT_TRUE(test, swapout_unevictable(test, bo));

		KUNIT_EXPECT_EQ(test, swapout_bo_populate(bo, false), 0);
		swapout_expect_populated(test, bo);
		swapout_bo_free(test, bo);
		KUNIT_EXPECT_EQ(test, swapout_accounted(test), 0);
		KUNIT_EXPECT_EQ(test, swapout_gpu_active(test), 0);
	}
	/* Its pools are its own, and go with it. */
	kunit_release_action(test, swapout_device_fini, priv);
	swapout_expect_baseline(test);
}

/* Allocated, given to a pool, taken from there, freed */
static void swapout_c100_dma_alloc_pages_are_counted(struct kunit *test)
{
	struct swapout_test *priv = test->priv;
	unsigned int round;

	swapout_device(test, TTM_ALLOCATION_POOL_USE_DMA_ALLOC);
	for (round = 0; round < 2; round++) {
		struct ttm_buffer_object *bo = swapout_bo(test, ttm_write_combined, 67,
							  NULL);

		KUNIT_EXPECT_EQ(test, swapout_gpu_active(test), 67);
		KUNIT_EXPECT_EQ(test, backup_node_stat(NR_GPU_RECLAIM),
				priv->before.gpu_reclaim);
		swapout_bo_free(test, bo);
		KUNIT_EXPECT_EQ(test, swapout_gpu_active(test), 0);
		KUNIT_EXPECT_EQ(test, backup_node_stat(NR_GPU_RECLAIM),
				priv->before.gpu_reclaim + 67);
	}
	kunit_release_action(test, swapout_device_fini, priv);
	KUNIT_EXPECT_EQ(test, swapout_gpu_active(test), 0);
	KUNIT_EXPECT_EQ(test, backup_node_stat(NR_GPU_RECLAIM),
			priv->before.gpu_reclaim);
}

/* What cannot be inserted stays: on the LRU, accounted, and where it is. */
static void swapout_c93_c94_rest_is_retained(struct kunit *test)
{
	struct swapout_test *priv = test->priv;
	unsigned int round;

	swapout_device(test, 0);
	for (round = 0; round < 3; round++) {
		struct ttm_lru_bulk_move bulk;
		struct ttm_buffer_object *bo;
		struct ttm_tt *tt;
		struct folio *held;
		unsigned long *pfns;
		pgoff_t nr;

		ttm_lru_bulk_move_init(&bulk);
		bo = swapout_bo(test, ttm_write_combined, SWAPOUT_PAGES, &bulk);
		tt = bo->ttm;
		pfns = swapout_pfns(test, tt);
		held = page_folio(tt->pages[0]);
		nr = folio_nr_pages(held);
		folio_get(held);

		KUNIT_EXPECT_EQ(test, swapout_accounted(test), SWAPOUT_PAGES);
		KUNIT_EXPECT_EQ(test, swapout_run(test), SWAPOUT_PAGES - nr);
		KUNIT_EXPECT_FALSE(test, ttm_tt_is_populated(tt));
		KUNIT_EXPECT_TRUE(test, ttm_tt_is_backed_up(tt));
		KUNIT_EXPECT_EQ(test, ttm_tt_shrinkable_pages(tt), nr);
		KUNIT_EXPECT_EQ(test, swapout_accounted(test), nr);
		KUNIT_EXPECT_EQ(test, swapout_gpu_active(test), nr);
		KUNIT_EXPECT_FALSE(test, swapout_unevictable(test, bo));
		KUNIT_EXPECT_TRUE(test, swapout_in_bulk(test, &bulk, bo));

		/* No better yet */
		KUNIT_EXPECT_EQ(test, swapout_run(test), 0);
		KUNIT_EXPECT_EQ(test, ttm_tt_shrinkable_pages(tt), nr);
		KUNIT_EXPECT_EQ(test, swapout_accounted(test), nr);
		folio_put(held);

		/* The rest goes, or is used again, or is freed. */
		if (round == 0) {
			KUNIT_EXPECT_EQ(test, swapout_run(test), nr);
			KUNIT_EXPECT_EQ(test, priv->unpopulated, 1);
			swapout_expect_swapped(test, bo);
			KUNIT_EXPECT_EQ(test, swapout_accounted(test), 0);
			KUNIT_EXPECT_FALSE(test, swapout_in_bulk(test, &bulk, bo));
		}
		if (round < 2) {
			KUNIT_EXPECT_EQ(test, swapout_bo_populate(bo, false), 0);
			swapout_expect_populated(test, bo);
			KUNIT_EXPECT_EQ(test, swapout_accounted(test), SWAPOUT_PAGES);
			KUNIT_EXPECT_TRUE(test, swapout_in_bulk(test, &bulk, bo));
			KUNIT_EXPECT_EQ(test, swapout_moved(tt, pfns), 0);
		}
		swapout_bo_free(test, bo);
		swapout_expect_baseline(test);
	}
}

/* Not a page can be inserted: the walk goes on, and nothing is lost. */
static void swapout_c94_nothing_can_be_inserted(struct kunit *test)
{
	struct ttm_buffer_object *bo, *next;
	struct folio *held;

	swapout_device(test, 0);
	bo = swapout_bo(test, ttm_uncached, 1, NULL);
	next = swapout_bo(test, ttm_cached, 3, NULL);
	held = page_folio(bo->ttm->pages[0]);
	folio_get(held);

	KUNIT_EXPECT_EQ(test, swapout_run(test), 3);
	swapout_expect_swapped(test, next);
	KUNIT_EXPECT_EQ(test, swapout_run(test), 0);
	KUNIT_EXPECT_EQ(test, ttm_tt_shrinkable_pages(bo->ttm), 1);
	KUNIT_EXPECT_EQ(test, swapout_accounted(test), 1);
	KUNIT_EXPECT_EQ(test, swapout_bo_populate(bo, false), 0);
	swapout_expect_populated(test, bo);
	folio_put(held);

	swapout_bo_free(test, bo);
	swapout_bo_free(test, next);
	swapout_expect_baseline(test);
}

/* While a buffer object is being populated, its rest is not what makes room. */
static void swapout_c94_not_while_populated(struct kunit *test)
{
	struct swapout_test *priv = test->priv;
	struct ttm_operation_ctx ctx = { .allow_res_evict = true };
	struct ttm_buffer_object *bo;
	struct folio *held;
	pgoff_t nr;

	swapout_device(test, 0);
	bo = swapout_bo(test, ttm_cached, SWAPOUT_PAGES, NULL);
	held = page_folio(bo->ttm->pages[0]);
	nr = folio_nr_pages(held);
	folio_get(held);
	KUNIT_EXPECT_EQ(test, swapout_run(test), SWAPOUT_PAGES - nr);
	folio_put(held);

	dma_resv_lock(bo->base.resv, NULL);
	ctx.resv = bo->base.resv;
	KUNIT_EXPECT_EQ(test, ttm_device_swapout(&priv->bdev, &ctx, GFP_KERNEL), 0);
	KUNIT_EXPECT_EQ(test, ttm_tt_shrinkable_pages(bo->ttm), nr);
	KUNIT_EXPECT_EQ(test, ttm_bo_populate(bo, &ctx), 0);
	/* Populated, it may make room for others. */
	KUNIT_EXPECT_EQ(test, ttm_device_swapout(&priv->bdev, &ctx, GFP_KERNEL),
			SWAPOUT_PAGES);
	dma_resv_unlock(bo->base.resv);
	KUNIT_EXPECT_EQ(test, swapout_bo_populate(bo, false), 0);
	swapout_expect_populated(test, bo);
	swapout_bo_free(test, bo);
	swapout_expect_baseline(test);
}

#ifdef CONFIG_X86
static int swapout_fake_set_caching(struct page **pages, pgoff_t nr,
				    enum ttm_caching caching)
{
	struct swapout_test *priv = kunit_get_current_test()->priv;

	if (caching == ttm_cached) {
		if (!priv->wb_calls++)
			return -EINVAL;
		return set_pages_array_wb(pages, nr);
	}

	return set_pages_array_wc(pages, nr);
}

/* It fails before the driver is asked to do anything. */
static void swapout_c95_write_back_fails(struct kunit *test)
{
	struct swapout_test *priv = test->priv;
	struct ttm_buffer_object *bo;

	swapout_device(test, 0);
	bo = swapout_bo(test, ttm_write_combined, SWAPOUT_PAGES, NULL);
	kunit_activate_static_stub(test, ttm_pool_set_caching,
				   swapout_fake_set_caching);
	KUNIT_EXPECT_EQ(test, swapout_run(test), 0);
	KUNIT_EXPECT_GT(test, priv->wb_calls, 0);
	kunit_deactivate_static_stub(test, ttm_pool_set_caching);
	KUNIT_EXPECT_EQ(test, priv->unpopulated, 0);
	swapout_expect_populated(test, bo);

	KUNIT_EXPECT_EQ(test, swapout_run(test), SWAPOUT_PAGES);
	KUNIT_EXPECT_EQ(test, swapout_bo_populate(bo, false), 0);
	swapout_expect_populated(test, bo);
	swapout_bo_free(test, bo);
	swapout_expect_baseline(test);
}
#endif

/* A signal ends a restore as it ends a wait, and what is back counts. */
static void swapout_c96_interrupted_restore(struct kunit *test)
{
	struct swapout_test *priv = test->priv;
	unsigned int round;

	swapout_device(test, 0);
	/* Chunk by chunk, and in the midst of chunks that are copied */
	for (round = 0; round < 2; round++) {
		struct ttm_buffer_object *bo = swapout_bo(test, ttm_write_combined,
							  SWAPOUT_PAGES, NULL);
		struct ttm_tt *tt = bo->ttm;
		unsigned int attempts = 0;
		int ret;

		KUNIT_EXPECT_EQ(test, swapout_run(test), SWAPOUT_PAGES);
		if (round)
			backup_extraction_fails(test);

		set_thread_flag(TIF_SIGPENDING);
		for (;;) {
			ret = swapout_bo_populate(bo, true);
			if (ret != -ERESTARTSYS || ++attempts > SWAPOUT_PAGES)
				break;
			KUNIT_EXPECT_GT(test, tt->accounted, 0);
			KUNIT_EXPECT_LT(test, tt->accounted, SWAPOUT_PAGES);
			KUNIT_EXPECT_EQ(test, swapout_accounted(test), tt->accounted);
			KUNIT_EXPECT_EQ(test, swapout_gpu_active(test), tt->accounted);
			/* Once begun, it can only be completed or dropped. */
			KUNIT_EXPECT_EQ(test, ttm_tt_shrinkable_pages(tt), 0);
			KUNIT_EXPECT_EQ(test, swapout_run(test), 0);
			KUNIT_EXPECT_EQ(test, ttm_tt_swapout(&priv->bdev, tt, GFP_KERNEL),
					-EBUSY);
		}
		clear_thread_flag(TIF_SIGPENDING);
		if (round)
			backup_extraction_works(test);
		KUNIT_EXPECT_EQ(test, ret, 0);
		KUNIT_EXPECT_GT(test, attempts, round ? 10 : 0);
		swapout_expect_populated(test, bo);
		swapout_bo_free(test, bo);
		swapout_expect_baseline(test);
	}
}

enum swapout_state {
	SWAPOUT_ALL,
	SWAPOUT_IN_PART,
	SWAPOUT_HALF_RESTORED,
	SWAPOUT_STATES,
};

static void swapout_reach(struct kunit *test, struct ttm_buffer_object *bo,
			  enum swapout_state state)
{
	struct folio *held = NULL;

	if (state == SWAPOUT_IN_PART) {
		held = page_folio(bo->ttm->pages[0]);
		folio_get(held);
	}
	KUNIT_EXPECT_GT(test, swapout_run(test), 0);
	if (held)
		folio_put(held);
	if (state == SWAPOUT_HALF_RESTORED) {
		set_thread_flag(TIF_SIGPENDING);
		KUNIT_EXPECT_EQ(test, swapout_bo_populate(bo, true), -ERESTARTSYS);
		clear_thread_flag(TIF_SIGPENDING);
		KUNIT_EXPECT_NOT_NULL(test, bo->ttm->restore);
	}
}

static void swapout_c97_destroyed(struct kunit *test)
{
	enum swapout_state state;

	swapout_device(test, 0);
	for (state = 0; state < SWAPOUT_STATES; state++) {
		struct ttm_buffer_object *bo = swapout_bo(test, ttm_write_combined,
							  SWAPOUT_PAGES, NULL);

		swapout_reach(test, bo, state);
		swapout_bo_free(test, bo);
		swapout_expect_baseline(test);
	}
}

/* Given up by the driver, and used for something else */
static void swapout_c97_dropped(struct kunit *test)
{
	enum swapout_state state;

	swapout_device(test, 0);
	for (state = 0; state < SWAPOUT_STATES; state++) {
		struct ttm_buffer_object *bo = swapout_bo(test, ttm_write_combined,
							  SWAPOUT_PAGES, NULL);

		swapout_reach(test, bo, state);
		dma_resv_lock(bo->base.resv, NULL);
		ttm_bo_drop_backup(bo);
		dma_resv_unlock(bo->base.resv);
		KUNIT_EXPECT_EQ(test, swapout_accounted(test), 0);
		KUNIT_EXPECT_EQ(test, swapout_gpu_active(test), 0);

		KUNIT_EXPECT_EQ(test, swapout_bo_populate(bo, false), 0);
		swapout_fill(bo->ttm, state);
		swapout_expect_populated(test, bo);
		KUNIT_EXPECT_EQ(test, swapout_run(test), SWAPOUT_PAGES);
		swapout_bo_free(test, bo);
		swapout_expect_baseline(test);
	}
}

/* The device has gone: nothing is mapped for it any more. */
static void swapout_c99_dma_mappings_are_cleared(struct kunit *test)
{
	struct swapout_test *priv = test->priv;
	enum swapout_state state;

	swapout_device(test, 0);
	for (state = 0; state < SWAPOUT_STATES; state++) {
		struct ttm_buffer_object *bo = swapout_bo(test, ttm_write_combined,
							  SWAPOUT_PAGES, NULL);

		swapout_reach(test, bo, state);
		if (state == SWAPOUT_HALF_RESTORED && priv->before.dma_mappings)
			KUNIT_EXPECT_GT(test, backup_dma_mappings(),
					priv->before.dma_mappings);
		ttm_device_clear_dma_mappings(&priv->bdev);
		KUNIT_EXPECT_EQ(test, backup_dma_mappings(), priv->before.dma_mappings);
		if (state == SWAPOUT_HALF_RESTORED)
			KUNIT_EXPECT_EQ(test, swapout_accounted(test), 0);
		swapout_bo_free(test, bo);
		swapout_expect_baseline(test);
	}
}

/* From swap to VRAM: what moves is the contents, not nothing. */
static void swapout_c98_moved_to_vram(struct kunit *test)
{
	const struct ttm_place place = { .mem_type = TTM_PL_VRAM };
	struct ttm_placement placement = { .num_placement = 1, .placement = &place };
	struct swapout_test *priv = test->priv;
	struct ttm_operation_ctx ctx = {};
	struct ttm_buffer_object *bo;
	pgoff_t i, bad = 0;
	u64 seed;

	swapout_device(test, 0);
	priv->vram = vzalloc(SWAPOUT_PAGES << PAGE_SHIFT);
	KUNIT_ASSERT_NOT_NULL(test, priv->vram);
	KUNIT_ASSERT_EQ(test, 0, ttm_range_man_init(&priv->bdev, TTM_PL_VRAM, false,
						    SWAPOUT_PAGES));
	bo = swapout_bo(test, ttm_cached, SWAPOUT_PAGES, NULL);
	seed = to_swapout_tt(bo->ttm)->seed;
	KUNIT_EXPECT_EQ(test, swapout_run(test), SWAPOUT_PAGES);

	dma_resv_lock(bo->base.resv, NULL);
	KUNIT_EXPECT_EQ(test, ttm_bo_validate(bo, &placement, &ctx), 0);
	dma_resv_unlock(bo->base.resv);
	KUNIT_EXPECT_EQ(test, bo->resource->mem_type, TTM_PL_VRAM);
	KUNIT_EXPECT_EQ(test, swapout_accounted(test), 0);
	for (i = 0; i < SWAPOUT_PAGES; i++)
		bad += !swapout_intact(priv->vram + (i << PAGE_SHIFT), seed, i);
	KUNIT_EXPECT_EQ(test, bad, 0);

	swapout_bo_free(test, bo);
	KUNIT_EXPECT_EQ(test, ttm_range_man_fini(&priv->bdev, TTM_PL_VRAM), 0);
	vfree(priv->vram);
	swapout_expect_baseline(test);
}

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
/* Folios of shmem's, and none that it would not take whole */
static void swapout_c67_order_10_is_capped(struct kunit *test)
{
	struct swapout_test *priv = test->priv;
	struct ttm_buffer_object *bo;
	struct ttm_tt *tt;
	pgoff_t i;

	swapout_device(test, 0);
	bo = swapout_bo(test, ttm_cached, 2048, NULL);
	tt = bo->ttm;
	for (i = 0; i < 2048; i += 1UL << ttm_pool_page_order(&priv->bdev.pool, tt->pages[i])) {
		KUNIT_ASSERT_TRUE(test, ttm_pool_page_is_folio(tt->pages[i]));
		KUNIT_ASSERT_LE(test, folio_order(page_folio(tt->pages[i])),
				HPAGE_PMD_ORDER);
	}
	KUNIT_EXPECT_EQ(test, swapout_run(test), 2048);
	swapout_expect_swapped(test, bo);
	swapout_bo_free(test, bo);
	swapout_expect_baseline(test);
}
#endif

/* What shmem has not handed out is copied, into single pages. */
static void swapout_c75_pages_of_others_are_copied(struct kunit *test)
{
	struct swapout_test *priv = test->priv;
	struct ttm_backup_pages where;
	struct ttm_buffer_object *bo;
	struct ttm_tt *tt;
	pgoff_t i;

	swapout_device(test, 0);
	bo = swapout_bo(test, ttm_cached, SWAPOUT_PAGES, NULL);
	tt = bo->ttm;
	for (i = 0; i < tt->num_pages;
	     i += 1UL << ttm_pool_page_order(&priv->bdev.pool, tt->pages[i]))
		tt->pages[i]->private &= ~TTM_POOL_PAGE_FOLIO;

	KUNIT_EXPECT_EQ(test, swapout_run(test), SWAPOUT_PAGES);
	ttm_tt_backup_pages(tt, &where);
	KUNIT_EXPECT_EQ(test, where.backed_up, SWAPOUT_PAGES);
	KUNIT_EXPECT_EQ(test, where.inserted, 0);
	KUNIT_EXPECT_EQ(test, swapout_gpu_active(test), 0);
	KUNIT_EXPECT_EQ(test, swapout_bo_populate(bo, false), 0);
	swapout_expect_populated(test, bo);
	swapout_bo_free(test, bo);
	swapout_expect_baseline(test);
}

static struct kunit_case swapout_cases[] = {
	KUNIT_CASE_SLOW(swapout_c63_c91_round_trip),
	KUNIT_CASE(swapout_c63_pool_of_the_driver),
	KUNIT_CASE_SLOW(swapout_c91_allocates_nodes_only),
	KUNIT_CASE(swapout_c92_dma_alloc_pool_is_copied),
	KUNIT_CASE(swapout_c93_c94_rest_is_retained),
	KUNIT_CASE(swapout_c94_nothing_can_be_inserted),
	KUNIT_CASE(swapout_c94_not_while_populated),
#ifdef CONFIG_X86
	KUNIT_CASE(swapout_c95_write_back_fails),
#endif
	KUNIT_CASE(swapout_c96_interrupted_restore),
	KUNIT_CASE(swapout_c97_destroyed),
	KUNIT_CASE(swapout_c97_dropped),
	KUNIT_CASE(swapout_c98_moved_to_vram),
	KUNIT_CASE(swapout_c99_dma_mappings_are_cleared),
	KUNIT_CASE(swapout_c100_dma_alloc_pages_are_counted),
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	KUNIT_CASE(swapout_c67_order_10_is_capped),
#endif
	KUNIT_CASE(swapout_c75_pages_of_others_are_copied),
	{}
};

static struct kunit_suite swapout_suite = {
	.name = "ttm_swapout",
	.suite_init = backup_suite_init,
	.init = swapout_init,
	.test_cases = swapout_cases,
};

kunit_test_suites(&swapout_suite);
