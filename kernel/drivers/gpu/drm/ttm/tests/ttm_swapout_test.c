// SPDX-License-Identifier: MIT
/*
 * KUnit tests of the swapout of buffer objects by insertion, for drivers that have
 * no shrinker.
 *
 * Every case ends with the counters being what they were.
 */

#include <kunit/test.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/page_counter.h>
#include <linux/sched/mm.h>
#include <linux/sizes.h>
#include <linux/swap.h>
#include <linux/vmalloc.h>

#include <trace/events/shmem_insert.h>

#include <drm/ttm/ttm_allocation.h>
#include <drm/ttm/ttm_backup_stats.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_placement.h>
#include <drm/ttm/ttm_range_manager.h>
#include <drm/ttm/ttm_resource.h>

#include "../ttm_backup_file.h"
#include "../ttm_pool_internal.h"
#include "../ttm_swapout.h"
#include "ttm_swapout_test_helpers.h"

/* There and back, without a copy, and with the same folios */
static void swapout_round_trip(struct kunit *test)
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
static void swapout_pool_of_the_driver(struct kunit *test)
{
	struct swapout_test *priv = test->priv;
	struct ttm_buffer_object *bo;

	swapout_device(test, 0);
	priv->own_pool = true;
	bo = swapout_bo(test, ttm_write_combined, SWAPOUT_PAGES, NULL);
	KUNIT_EXPECT_EQ(test, swapout_run(test), SWAPOUT_PAGES);
	swapout_expect_swapped(test, bo);
	swapout_expect_comes_back(test, bo);
}

/* 64 MiB are swapped out and come back: how many pages does a swapout allocate, at least? */
static unsigned long swapout_pages_allocated(struct kunit *test,
					     struct ttm_buffer_object *bo, unsigned long most)
{
	pgoff_t pages = bo->ttm->num_pages;
	unsigned long least = ULONG_MAX;
	unsigned int round;

	/* The rest of the system allocates, too, but not all the time. */
	for (round = 0; round < 5 && least > most; round++) {
		unsigned long before = backup_pages_allocated();

		KUNIT_ASSERT_EQ(test, swapout_run(test), pages);
		least = min(least, backup_pages_allocated() - before);
		KUNIT_ASSERT_EQ(test, swapout_bo_populate(bo, false), 0);
	}
	kunit_info(test, "%lu pages allocated for 64 MiB", least);
	swapout_expect_populated(test, bo);
	swapout_bo_free(test, bo);
	swapout_expect_baseline(test);

	return least;
}

static void swapout_allocates_nodes_only(struct kunit *test)
{
	/* At most one page for 16 MiB */
	const pgoff_t pages = 64UL << (20 - PAGE_SHIFT), most = 4;
	struct ttm_buffer_object *bo;

	swapout_device(test, 0);
	bo = swapout_bo(test, ttm_cached, pages, NULL);
	if (!PageCompound(bo->ttm->pages[0]))
		kunit_skip(test, "needs large folios");
	KUNIT_EXPECT_LE(test, swapout_pages_allocated(test, bo, most), most);
}

#if defined(CONFIG_FAIL_PAGE_ALLOC) && defined(CONFIG_FAULT_INJECTION_DEBUG_FS)
/* A node has 64 entries: that is what single pages take, which nothing merges here. */
static void swapout_nodes_of_single_pages(struct kunit *test)
{
	const pgoff_t pages = 64UL << (20 - PAGE_SHIFT), most = pages * 4 / 1000;
	struct ttm_buffer_object *bo;

	swapout_device(test, 0);
	backup_memory_fails(test, 0, -1);
	backup_memory_fails_from(1);
	bo = swapout_bo(test, ttm_cached, pages, NULL);
	KUNIT_EXPECT_FALSE(test, PageCompound(bo->ttm->pages[0]));
	KUNIT_EXPECT_LE(test, swapout_pages_allocated(test, bo, most), most);
	backup_memory_works(test);
}
#endif

/* Pages of the DMA API are copied, as before, and come back. */
static void swapout_dma_alloc_pool_is_copied(struct kunit *test)
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
static void swapout_dma_alloc_pages_are_counted(struct kunit *test)
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

/* Pages that cannot be inserted stay in place, on the LRU, accounted. */
static void swapout_rest_is_retained(struct kunit *test)
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

		/* The reason still exists */
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
static void swapout_nothing_can_be_inserted(struct kunit *test)
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
static void swapout_not_while_populated(struct kunit *test)
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
	swapout_expect_comes_back(test, bo);
}

/* It fails before the driver is asked to do anything. */
static void swapout_fails_to_write_back(struct kunit *test)
{
	struct swapout_test *priv = test->priv;
	struct ttm_buffer_object *bo;

	swapout_device(test, 0);
	bo = swapout_bo(test, ttm_write_combined, SWAPOUT_PAGES, NULL);
	swapout_write_back_fails(test);
	KUNIT_EXPECT_EQ(test, swapout_run(test), 0);
	swapout_write_back_works(test);
	KUNIT_EXPECT_EQ(test, priv->unpopulated, 0);
	swapout_expect_populated(test, bo);

	KUNIT_EXPECT_EQ(test, swapout_run(test), SWAPOUT_PAGES);
	swapout_expect_comes_back(test, bo);
}

static void swapout_destroyed(struct kunit *test)
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
static void swapout_dropped(struct kunit *test)
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

/* Without a resource it is on no LRU, so there must not be anything to swap out. */
static void swapout_gutted(struct kunit *test)
{
	const struct ttm_place place = { .mem_type = TTM_PL_SYSTEM };
	struct ttm_placement placement = { .num_placement = 1, .placement = &place };
	struct ttm_placement nowhere = {};
	struct ttm_operation_ctx ctx = {};
	enum swapout_state state;

	swapout_device(test, 0);
	for (state = 0; state < SWAPOUT_STATES; state++) {
		struct ttm_lru_bulk_move bulk;
		struct ttm_buffer_object *bo;

		ttm_lru_bulk_move_init(&bulk);
		bo = swapout_bo(test, ttm_write_combined, SWAPOUT_PAGES, &bulk);
		swapout_reach(test, bo, state);
		dma_resv_lock(bo->base.resv, NULL);
		KUNIT_EXPECT_EQ(test, ttm_bo_validate(bo, &nowhere, &ctx), 0);
		dma_resv_unlock(bo->base.resv);
		KUNIT_EXPECT_NULL(test, bo->resource);
		KUNIT_EXPECT_NULL(test, bulk.pos[TTM_PL_SYSTEM][0].first);
		KUNIT_EXPECT_FALSE(test, ttm_tt_is_swapped(bo->ttm));
		swapout_expect_baseline(test);

		/* And used again */
		dma_resv_lock(bo->base.resv, NULL);
		KUNIT_EXPECT_EQ(test, ttm_bo_validate(bo, &placement, &ctx), 0);
		dma_resv_unlock(bo->base.resv);
		KUNIT_EXPECT_EQ(test, swapout_bo_populate(bo, false), 0);
		swapout_fill(bo->ttm, state);
		swapout_expect_populated(test, bo);
		swapout_bo_free(test, bo);
		swapout_expect_baseline(test);
	}
}

/* The device has gone: nothing is mapped for it any more. */
static void swapout_dma_mappings_are_cleared(struct kunit *test)
{
	struct swapout_test *priv = test->priv;
	enum swapout_state state;

	swapout_device(test, 0);
	for (state = 0; state < SWAPOUT_STATES; state++) {
		struct ttm_lru_bulk_move bulk;
		struct ttm_buffer_object *bo;

		ttm_lru_bulk_move_init(&bulk);
		bo = swapout_bo(test, ttm_write_combined, SWAPOUT_PAGES, &bulk);
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

/* From swap to VRAM: the contents move. */
static void swapout_moved_to_vram(struct kunit *test)
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
		bad += !backup_words_intact(priv->vram + (i << PAGE_SHIFT), seed, i);
	KUNIT_EXPECT_EQ(test, bad, 0);

	swapout_bo_free(test, bo);
	KUNIT_EXPECT_EQ(test, ttm_range_man_fini(&priv->bdev, TTM_PL_VRAM), 0);
	vfree(priv->vram);
	swapout_expect_baseline(test);
}

#ifdef CONFIG_MEMCG
/* There is no room in the group, as the harness has set it up. */
static void swapout_reset_max(void *data)
{
	struct mem_cgroup *memcg = data;

	WRITE_ONCE(memcg->memory.max, 0);
	WRITE_ONCE(memcg->swap.max, PAGE_COUNTER_MAX);
}

/* Have room for @pages in memory and for @swap in swap in the group. */
static void swapout_give_room(struct kunit *test, unsigned long pages, unsigned long swap)
{
	struct swapout_test *priv = test->priv;

	priv->memcg = backup_memcg(test);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, swapout_reset_max,
							   priv->memcg));
	WRITE_ONCE(priv->memcg->memory.max,
		   page_counter_read(&priv->memcg->memory) + pages);
	WRITE_ONCE(priv->memcg->swap.max, swap);
}

static s64 swapout_run_charged(struct kunit *test)
{
	struct swapout_test *priv = test->priv;
	struct mem_cgroup *old = set_active_memcg(priv->memcg);
	s64 ret = swapout_run(test);

	set_active_memcg(old);

	return ret;
}

/* Anything smaller might have room where a chunk of 512 pages has none. */
static void swapout_needs_order_9(struct kunit *test, struct ttm_buffer_object *bo)
{
	if (compound_order(bo->ttm->pages[0]) != 9)
		kunit_skip(test, "needs a chunk of order 9");
}

/* Who allocates beyond the limit of TTM is charged, as for a copy. */
static void swapout_charged_to_who_allocates(struct kunit *test)
{
	struct swapout_test *priv = test->priv;
	struct ttm_buffer_object *bo;
	unsigned long usage;

	swapout_device(test, 0);
	bo = swapout_bo(test, ttm_write_combined, SWAPOUT_PAGES, NULL);
	swapout_give_room(test, 2 * SWAPOUT_PAGES, 0);
	usage = page_counter_read(&priv->memcg->memory);
	KUNIT_EXPECT_EQ(test, swapout_run_charged(test), SWAPOUT_PAGES);
	swapout_expect_swapped(test, bo);
	KUNIT_EXPECT_EQ(test, backup_pages_charged(bo->ttm, priv->memcg), SWAPOUT_PAGES);
	KUNIT_EXPECT_GE(test, page_counter_read(&priv->memcg->memory),
			usage + SWAPOUT_PAGES);

	/* Not any more when it is back. Batches of charges and kernel memory may be. */
	KUNIT_EXPECT_EQ(test, swapout_bo_populate(bo, false), 0);
	KUNIT_EXPECT_LE(test, page_counter_read(&priv->memcg->memory),
			usage + SWAPOUT_PAGES / 2);
	swapout_expect_populated(test, bo);
	swapout_bo_free(test, bo);
	swapout_expect_baseline(test);
}

/* At its limit: an error, which is that of the first one, and nothing is lost. */
static void swapout_at_the_limit(struct kunit *test)
{
	struct ttm_buffer_object *bos[2];
	unsigned int i;

	swapout_device(test, 0);
	for (i = 0; i < ARRAY_SIZE(bos); i++)
		bos[i] = swapout_bo(test, ttm_cached, SWAPOUT_PAGES, NULL);
	swapout_needs_order_9(test, bos[0]);

	/* Not for the first chunk, also if it is copied, but for the smaller ones */
	swapout_give_room(test, 300, 0);
	KUNIT_EXPECT_EQ(test, swapout_run_charged(test), SWAPOUT_PAGES - 512);
	KUNIT_EXPECT_EQ(test, bos[0]->ttm->retained, 512);
	/* What was copied in vain has been given back. */
	KUNIT_EXPECT_EQ(test, bos[0]->ttm->backup->f_mapping->nrpages, SWAPOUT_PAGES - 512);
	KUNIT_EXPECT_EQ(test, swapout_run_charged(test), -ENOMEM);
	KUNIT_EXPECT_EQ(test, bos[0]->ttm->retained, 512);
	KUNIT_EXPECT_TRUE(test, ttm_tt_is_populated(bos[1]->ttm));
	KUNIT_EXPECT_EQ(test, swapout_accounted(test), 512 + SWAPOUT_PAGES);

	/* Others have room. */
	KUNIT_EXPECT_EQ(test, swapout_run(test), 512);
	KUNIT_EXPECT_EQ(test, swapout_run(test), SWAPOUT_PAGES);
	for (i = 0; i < ARRAY_SIZE(bos); i++) {
		swapout_expect_swapped(test, bos[i]);
		KUNIT_EXPECT_EQ(test, swapout_bo_populate(bos[i], false), 0);
		swapout_expect_populated(test, bos[i]);
		swapout_bo_free(test, bos[i]);
	}
	swapout_expect_baseline(test);
}

/* What nobody has any more needs no room. */
static void swapout_destroyed_is_freed(struct kunit *test)
{
	struct swapout_test *priv = test->priv;
	struct ttm_buffer_object *bos[3];
	unsigned int i;

	swapout_device(test, 0);
	for (i = 0; i < ARRAY_SIZE(bos); i++)
		bos[i] = swapout_bo(test, ttm_cached, SWAPOUT_PAGES, NULL);
	/* As if it had been busy when it was destroyed */
	bos[2]->deleted = true;
	priv->memcg = backup_memcg(test);
	KUNIT_EXPECT_EQ(test, swapout_run_charged(test), SWAPOUT_PAGES);
	KUNIT_EXPECT_NULL(test, bos[2]->ttm);
	KUNIT_EXPECT_TRUE(test, ttm_tt_is_populated(bos[1]->ttm));
	KUNIT_EXPECT_EQ(test, swapout_run_charged(test), -ENOMEM);
	KUNIT_EXPECT_EQ(test, swapout_bo_populate(bos[0], false), 0);
	for (i = 0; i < 2; i++) {
		swapout_expect_populated(test, bos[i]);
		swapout_bo_free(test, bos[i]);
	}
	swapout_bo_free(test, bos[2]);
	swapout_expect_baseline(test);
}

#ifdef CONFIG_TRACEPOINTS
static void swapout_count_failure(void *data, const struct inode *inode,
				  const struct folio *folio, pgoff_t index, int error)
{
	unsigned int *failures = data;

	*failures += error == -EDQUOT;
}

/* How often shmem refuses a folio for the limit of the group */
static unsigned int swapout_count_failures(struct kunit *test, s64 expected)
{
	unsigned int failures = 0;

	KUNIT_ASSERT_EQ(test, 0,
			register_trace_shmem_insert_folio_fail(swapout_count_failure,
							       &failures));
	KUNIT_EXPECT_EQ(test, swapout_run_charged(test), expected);
	unregister_trace_shmem_insert_folio_fail(swapout_count_failure, &failures);
	tracepoint_synchronize_unregister();

	return failures;
}

/* What all would get is tried once, or once for a large folio and once for single pages. */
static void swapout_failure_is_not_repeated(struct kunit *test)
{
	struct swapout_test *priv = test->priv;
	struct ttm_buffer_object *bo;
	unsigned int others;

	swapout_device(test, 0);
	bo = swapout_bo(test, ttm_cached, SWAPOUT_PAGES, NULL);
	swapout_needs_order_9(test, bo);
	priv->memcg = backup_memcg(test);
	for (others = 0; others <= 1; others++) {
		if (others)
			swapout_pages_of_others(test, bo->ttm);
		KUNIT_EXPECT_EQ(test, swapout_count_failures(test, -ENOMEM),
				others ? 1 : 2);
		KUNIT_EXPECT_EQ(test, swapout_bo_populate(bo, false), 0);
		swapout_expect_populated(test, bo);
	}
	swapout_bo_free(test, bo);
	swapout_expect_baseline(test);
}

/* Neither large folios fit nor their pages: one of either is tried. */
static void swapout_copy_is_not_repeated(struct kunit *test)
{
	struct ttm_buffer_object *bo;

	swapout_device(test, 0);
	bo = swapout_bo(test, ttm_cached, 3 * 512, NULL);
	swapout_needs_order_9(test, bo);
	swapout_give_room(test, 300, 0);
	KUNIT_EXPECT_EQ(test, swapout_count_failures(test, -ENOMEM), 2);
	KUNIT_EXPECT_EQ(test, bo->ttm->retained, 3 * 512);
	swapout_expect_comes_back(test, bo);
}

/* Large folios do not fit, of which one is tried, but their pages do, in turn. */
static void swapout_less_room_than_a_chunk(struct kunit *test)
{
	const pgoff_t nr = 3 * 512;
	struct ttm_backup_pages pages;
	struct ttm_buffer_object *bo;

	if (get_nr_swap_pages() < 2 * (long)nr)
		kunit_skip(test, "needs swap");

	swapout_device(test, 0);
	bo = swapout_bo(test, ttm_cached, nr, NULL);
	swapout_needs_order_9(test, bo);
	swapout_give_room(test, 300, PAGE_COUNTER_MAX);
	KUNIT_EXPECT_EQ(test, swapout_count_failures(test, nr), 1);
	KUNIT_EXPECT_TRUE(test, ttm_tt_is_fully_swapped(bo->ttm));
	ttm_tt_backup_pages(bo->ttm, &pages);
	KUNIT_EXPECT_EQ(test, pages.backed_up, nr);
	KUNIT_EXPECT_EQ(test, pages.inserted, 0);
	KUNIT_EXPECT_EQ(test, swapout_accounted(test), 0);
	swapout_expect_comes_back(test, bo);
}
#endif

/* A task that evicts from VRAM is not charged, nor stopped by its limit. */
static void swapout_evictor_is_not_charged(struct kunit *test)
{
	const struct ttm_place places[] = {
		{ .mem_type = TTM_PL_VRAM }, { .mem_type = TTM_PL_SYSTEM },
	};
	struct ttm_placement vram = { .num_placement = 1, .placement = &places[0] };
	/* Moved, or gutted */
	struct ttm_placement evict[] = {
		{ .num_placement = 1, .placement = &places[1] }, {},
	};
	struct mem_cgroup *memcg = backup_memcg(test), *old;
	struct swapout_test *priv = test->priv;
	struct ttm_operation_ctx ctx = {};
	unsigned int i;

	swapout_device(test, 0);
	priv->vram = vzalloc(SWAPOUT_PAGES << PAGE_SHIFT);
	KUNIT_ASSERT_NOT_NULL(test, priv->vram);
	KUNIT_ASSERT_EQ(test, 0, ttm_range_man_init(&priv->bdev, TTM_PL_VRAM, false,
						    SWAPOUT_PAGES));
	for (i = 0; i < ARRAY_SIZE(evict); i++) {
		struct ttm_buffer_object *bo = swapout_bo(test, ttm_cached,
							  SWAPOUT_PAGES, NULL);
		unsigned long usage = page_counter_read(&memcg->memory);

		/* Its contents are for user space. */
		bo->type = ttm_bo_type_device;
		dma_resv_lock(bo->base.resv, NULL);
		KUNIT_EXPECT_EQ(test, ttm_bo_validate(bo, &vram, &ctx), 0);
		KUNIT_EXPECT_NULL(test, bo->ttm);

		old = set_active_memcg(memcg);
		KUNIT_EXPECT_EQ(test, ttm_bo_validate(bo, &evict[i], &ctx), 0);
		set_active_memcg(old);
		KUNIT_EXPECT_EQ(test, page_counter_read(&memcg->memory), usage);
		/* Dropped contents must not appear in other buffer objects. */
		KUNIT_EXPECT_TRUE(test, bo->ttm);
		if (bo->ttm)
			KUNIT_EXPECT_EQ(test, !!(bo->ttm->page_flags & TTM_TT_FLAG_ZERO_ALLOC),
					i == 1);
		dma_resv_unlock(bo->base.resv);
		swapout_bo_free(test, bo);
	}
	KUNIT_EXPECT_EQ(test, ttm_range_man_fini(&priv->bdev, TTM_PL_VRAM), 0);
	vfree(priv->vram);
	swapout_expect_baseline(test);
}
#endif

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
/* Folios of shmem's, and none that it would not take whole */
static void swapout_order_10_is_capped(struct kunit *test)
{
	struct swapout_test *priv = test->priv;
	struct ttm_buffer_object *bo;
	struct ttm_tt *tt;
	pgoff_t i;

	kunit_deactivate_static_stub(test, ttm_backup_file_sane_order);
	swapout_device(test, 0);
	bo = swapout_bo(test, ttm_cached, 2048, NULL);
	tt = bo->ttm;
	for (i = 0; i < 2048; i += 1UL << ttm_pool_page_order(&priv->bdev.pool, tt->pages[i])) {
		KUNIT_ASSERT_TRUE(test, ttm_pool_page_is_folio(tt->pages[i]));
		KUNIT_ASSERT_LE(test, folio_order(page_folio(tt->pages[i])),
				get_order(SZ_2M));
	}
	KUNIT_EXPECT_EQ(test, swapout_run(test), 2048);
	swapout_expect_swapped(test, bo);
	swapout_bo_free(test, bo);
	swapout_expect_baseline(test);
}
#endif

/* Pages that shmem did not allocate are copied, to single pages. */
static void swapout_pages_of_others_are_copied(struct kunit *test)
{
	struct ttm_backup_pages where;
	struct ttm_buffer_object *bo;
	struct ttm_tt *tt;

	swapout_device(test, 0);
	bo = swapout_bo(test, ttm_cached, SWAPOUT_PAGES, NULL);
	tt = bo->ttm;
	swapout_pages_of_others(test, tt);
	KUNIT_EXPECT_EQ(test, swapout_run(test), SWAPOUT_PAGES);
	ttm_tt_backup_pages(tt, &where);
	KUNIT_EXPECT_EQ(test, where.backed_up, SWAPOUT_PAGES);
	KUNIT_EXPECT_EQ(test, where.inserted, 0);
	KUNIT_EXPECT_EQ(test, swapout_gpu_active(test), 0);
	swapout_expect_comes_back(test, bo);
}

static struct kunit_case swapout_cases[] = {
	KUNIT_CASE_SLOW(swapout_round_trip),
	KUNIT_CASE(swapout_pool_of_the_driver),
	KUNIT_CASE_SLOW(swapout_allocates_nodes_only),
#if defined(CONFIG_FAIL_PAGE_ALLOC) && defined(CONFIG_FAULT_INJECTION_DEBUG_FS)
	KUNIT_CASE_SLOW(swapout_nodes_of_single_pages),
#endif
	KUNIT_CASE(swapout_dma_alloc_pool_is_copied),
	KUNIT_CASE(swapout_rest_is_retained),
	KUNIT_CASE(swapout_nothing_can_be_inserted),
	KUNIT_CASE(swapout_not_while_populated),
	KUNIT_CASE(swapout_fails_to_write_back),
	KUNIT_CASE(swapout_destroyed),
	KUNIT_CASE(swapout_dropped),
	KUNIT_CASE(swapout_gutted),
	KUNIT_CASE(swapout_moved_to_vram),
	KUNIT_CASE(swapout_dma_mappings_are_cleared),
	KUNIT_CASE(swapout_dma_alloc_pages_are_counted),
#ifdef CONFIG_MEMCG
	KUNIT_CASE(swapout_evictor_is_not_charged),
	KUNIT_CASE(swapout_charged_to_who_allocates),
	KUNIT_CASE(swapout_at_the_limit),
	KUNIT_CASE(swapout_destroyed_is_freed),
#ifdef CONFIG_TRACEPOINTS
	KUNIT_CASE(swapout_failure_is_not_repeated),
	KUNIT_CASE(swapout_copy_is_not_repeated),
#endif
#endif
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	KUNIT_CASE(swapout_order_10_is_capped),
#endif
	KUNIT_CASE(swapout_pages_of_others_are_copied),
	{}
};

static struct kunit_suite swapout_suite = {
	.name = "ttm_swapout",
	.suite_init = backup_suite_init,
	.init = swapout_init,
	.test_cases = swapout_cases,
};

#if defined(CONFIG_MEMCG) && defined(CONFIG_TRACEPOINTS)
/* Needs a swap device, and is skipped at boot, as ttm_backup_swap is. */
static struct kunit_case swapout_swap_cases[] = {
	KUNIT_CASE(swapout_less_room_than_a_chunk),
	{}
};

static struct kunit_suite swapout_swap_suite = {
	.name = "ttm_swapout_swap",
	.suite_init = backup_suite_init,
	.init = swapout_init,
	.test_cases = swapout_swap_cases,
};

kunit_test_suites(&swapout_suite, &swapout_swap_suite);
#else
kunit_test_suites(&swapout_suite);
#endif
