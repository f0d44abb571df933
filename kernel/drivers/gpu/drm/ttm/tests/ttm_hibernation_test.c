// SPDX-License-Identifier: MIT
/*
 * KUnit tests of the eviction of VRAM for hibernation.
 *
 * The driver here has its VRAM in vmalloc space, and as much memory as a test allows:
 * beyond that its populate callback fails, as on a machine that has no more.
 *
 * Every case ends with the counters being what they were.
 */

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/dma-fence.h>
#include <linux/dma-resv.h>
#include <linux/highmem.h>
#include <linux/jiffies.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/page_counter.h>
#include <linux/sched/mm.h>
#include <linux/swap.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

#include <drm/drm_device.h>
#include <drm/ttm/ttm_allocation.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_device.h>
#include <drm/ttm/ttm_placement.h>
#include <drm/ttm/ttm_pool.h>
#include <drm/ttm/ttm_range_manager.h>
#include <drm/ttm/ttm_resource.h>
#include <drm/ttm/ttm_tt.h>

#include "../ttm_module.h"
#include "../ttm_swapout.h"
#include "ttm_backup_test_helpers.h"

#define HIBERNATE_BOS	8
/* Chunks of orders 9, 6, 1 and 0 */
#define HIBERNATE_PAGES	579UL
#define HIBERNATE_VRAM	(HIBERNATE_BOS * HIBERNATE_PAGES)

/* The state of a test: a device, the memory, and what the driver saw. */
struct hibernate_test {
	struct device *dev;
	struct drm_device *drm;
	struct ttm_device bdev;
	u64 dma_mask;
	void *vram;
	struct ttm_buffer_object *bos[HIBERNATE_BOS];
	struct backup_counters before;

	/* Of the device's pool */
	unsigned int alloc_flags;
	/* Where VRAM is evicted to */
	u32 evict_to;
	/* Pages that fit in memory, and bytes to be evicted at once */
	pgoff_t limit;
	u64 batch;
	/* How often something is written, and the pages that there is room for then */
	unsigned int writeback;
	pgoff_t written;
	/* That often after each swapout as well, when memory is as short as before */
	unsigned int writeback_again;
	/* The result of moves from VRAM, except for the first ones */
	u32 bad_mem_type;
	int move_error;
	unsigned int good_moves;

	pgoff_t resident;
	pgoff_t resident_most;
	unsigned int refused;
	unsigned int kills;
	unsigned int charged;
	unsigned int batches;
	unsigned int waits;
	unsigned int waits_begun;
	unsigned int moves;
	unsigned int evicted;
	unsigned int swapouts;
	unsigned int evicted_before_swapout;

	struct dma_fence fences[2];
	/* Of these fences */
	spinlock_t fence_lock;
	struct delayed_work signal;
	unsigned int round;
};

static struct hibernate_test *to_hibernate_test(struct ttm_device *bdev)
{
	return container_of(bdev, struct hibernate_test, bdev);
}

/*
 * The driver
 */

static struct ttm_tt *hibernate_tt_create(struct ttm_buffer_object *bo, u32 flags)
{
	struct hibernate_test *priv = to_hibernate_test(bo->bdev);
	struct ttm_tt *tt = kzalloc_obj(*tt, GFP_KERNEL);

	if (!tt)
		return NULL;

	if (ttm_sg_tt_init(tt, bo, flags, bo == priv->bos[0] ? ttm_cached :
			   ttm_write_combined)) {
		kfree(tt);
		return NULL;
	}

	return tt;
}

static void hibernate_tt_destroy(struct ttm_device *bdev, struct ttm_tt *tt)
{
	ttm_tt_fini(tt);
	kfree(tt);
}

static int hibernate_populate(struct ttm_device *bdev, struct ttm_tt *tt,
			      struct ttm_operation_ctx *ctx)
{
	struct hibernate_test *priv = to_hibernate_test(bdev);
	int ret;

	/* Somebody would be killed for this. */
	priv->kills += !ctx->gfp_retry_mayfail;
	priv->charged += current->active_memcg != root_mem_cgroup;
	if (priv->resident + tt->num_pages > priv->limit) {
		priv->refused++;
		return -ENOMEM;
	}

	ret = ttm_pool_alloc(&bdev->pool, tt, ctx);
	if (!ret) {
		priv->resident += tt->num_pages;
		priv->resident_most = max(priv->resident_most, priv->resident);
	}

	return ret;
}

static void hibernate_unpopulate(struct ttm_device *bdev, struct ttm_tt *tt)
{
	struct hibernate_test *priv = to_hibernate_test(bdev);

	priv->resident -= tt->num_pages;
	if (tt->swapout && !priv->swapouts++)
		priv->evicted_before_swapout = priv->evicted;
	if (tt->swapout && priv->writeback_again) {
		priv->writeback = priv->writeback_again;
		priv->limit -= priv->written;
	}
	ttm_pool_free(&bdev->pool, tt);
}

static int hibernate_io_mem_reserve(struct ttm_device *bdev, struct ttm_resource *res)
{
	struct hibernate_test *priv = to_hibernate_test(bdev);

	if (res->mem_type != TTM_PL_VRAM)
		return 0;

	res->bus.addr = priv->vram + (res->start << PAGE_SHIFT);
	res->bus.is_iomem = true;

	return 0;
}

static void hibernate_evict_flags(struct ttm_buffer_object *bo,
				  struct ttm_placement *placement)
{
	static const struct ttm_place places[] = {
		[TTM_PL_SYSTEM] = { .mem_type = TTM_PL_SYSTEM },
		/* TTM makes no room there by itself. */
		[TTM_PL_TT] = { .mem_type = TTM_PL_TT, .flags = TTM_PL_FLAG_DESIRED },
	};

	placement->placement = &places[to_hibernate_test(bo->bdev)->evict_to];
	placement->num_placement = 1;
}

static int hibernate_move(struct ttm_buffer_object *bo, bool evict,
			  struct ttm_operation_ctx *ctx, struct ttm_resource *res,
			  struct ttm_place *hop)
{
	struct hibernate_test *priv = to_hibernate_test(bo->bdev);
	int ret;

	if (!bo->resource) {
		ttm_bo_move_null(bo, res);
		return 0;
	}

	if (priv->move_error && bo->resource->mem_type == priv->bad_mem_type &&
	    priv->moves++ >= priv->good_moves)
		return priv->move_error;

	if (bo->resource->mem_type != TTM_PL_VRAM) {
		ttm_bo_move_null(bo, res);
		return 0;
	}

	ret = ttm_bo_move_memcpy(bo, ctx, res);
	if (!ret)
		priv->evicted++;

	return ret;
}

static struct ttm_device_funcs hibernate_funcs = {
	.ttm_tt_create = hibernate_tt_create,
	.ttm_tt_populate = hibernate_populate,
	.ttm_tt_unpopulate = hibernate_unpopulate,
	.ttm_tt_destroy = hibernate_tt_destroy,
	.eviction_valuable = ttm_bo_eviction_valuable,
	.evict_flags = hibernate_evict_flags,
	.io_mem_reserve = hibernate_io_mem_reserve,
	.move = hibernate_move,
};

/*
 * Fixture
 */

static u64 hibernate_fake_batch(void)
{
	struct hibernate_test *priv = kunit_get_current_test()->priv;

	priv->batches++;

	return priv->batch;
}

/* Something is written, so many times, and then there may be more memory. */
static bool hibernate_fake_wait(struct ttm_writeback_wait *wait)
{
	struct hibernate_test *priv = kunit_get_current_test()->priv;

	priv->waits++;
	priv->waits_begun += wait->least == ULONG_MAX;
	wait->least = 0;
	if (!priv->writeback)
		return false;
	if (!--priv->writeback)
		priv->limit += priv->written;

	return true;
}

/* Where a page of what is in VRAM is */
static void *hibernate_vram(struct ttm_buffer_object *bo, pgoff_t page)
{
	return to_hibernate_test(bo->bdev)->vram +
	       ((bo->resource->start + page) << PAGE_SHIFT);
}

/* In VRAM, and filled */
static struct ttm_buffer_object *hibernate_bo(struct kunit *test, unsigned int i)
{
	const struct ttm_place place = { .mem_type = TTM_PL_VRAM };
	struct ttm_placement placement = { .num_placement = 1, .placement = &place };
	struct hibernate_test *priv = test->priv;
	struct ttm_operation_ctx ctx = {};
	struct ttm_buffer_object *bo;
	pgoff_t page;

	bo = kunit_kzalloc(test, sizeof(*bo), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, bo);
	drm_gem_private_object_init(priv->drm, &bo->base,
				    HIBERNATE_PAGES << PAGE_SHIFT);
	KUNIT_ASSERT_EQ(test, 0, ttm_bo_init_reserved(&priv->bdev, bo,
						      ttm_bo_type_kernel, &placement,
						      1, &ctx, NULL, NULL,
						      backup_bo_destroy));
	dma_resv_unlock(bo->base.resv);

	for (page = 0; page < HIBERNATE_PAGES; page++)
		backup_fill_words(hibernate_vram(bo, page), i + 1, page);

	return bo;
}

/* All of VRAM is in use. There is a place like a GTT if that has @tt_pages. */
static void hibernate_device(struct kunit *test, pgoff_t tt_pages)
{
	struct hibernate_test *priv = test->priv;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, 0, ttm_device_init(&priv->bdev, &hibernate_funcs, priv->dev,
						 priv->drm->anon_inode->i_mapping,
						 priv->drm->vma_offset_manager,
						 priv->alloc_flags));
	KUNIT_ASSERT_EQ(test, 0, ttm_range_man_init(&priv->bdev, TTM_PL_VRAM, false,
						    HIBERNATE_VRAM));
	if (tt_pages) {
		priv->evict_to = TTM_PL_TT;
		KUNIT_ASSERT_EQ(test, 0, ttm_range_man_init(&priv->bdev, TTM_PL_TT, true,
							    tt_pages));
	}

	for (i = 0; i < HIBERNATE_BOS; i++)
		priv->bos[i] = hibernate_bo(test, i);
}

static int hibernate_run(struct kunit *test)
{
	struct hibernate_test *priv = test->priv;
	int ret;

	ret = ttm_device_evict_for_hibernation(&priv->bdev,
					       ttm_manager_type(&priv->bdev, TTM_PL_VRAM));

	/* Pages in another processor's batches come back by a copy. */
	lru_add_drain_all();

	return ret;
}

static int hibernate_init(struct kunit *test)
{
	struct hibernate_test *priv = kunit_kzalloc(test, sizeof(*priv), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, priv);
	test->priv = priv;
	spin_lock_init(&priv->fence_lock);
	priv->evict_to = TTM_PL_SYSTEM;
	priv->limit = HIBERNATE_VRAM;
	priv->batch = U64_MAX;

	backup_stay_on_cpu(test);
	backup_alloc_drm(test, &priv->dma_mask, &priv->dev, &priv->drm);

	backup_empty_pools(0);
	priv->before = backup_counters();

	priv->vram = vzalloc(HIBERNATE_VRAM << PAGE_SHIFT);
	KUNIT_ASSERT_NOT_NULL(test, priv->vram);
	kunit_activate_static_stub(test, ttm_device_evict_batch, hibernate_fake_batch);
	kunit_activate_static_stub(test, ttm_device_wait_for_writeback, hibernate_fake_wait);

	return 0;
}

static void hibernate_exit(struct kunit *test)
{
	struct hibernate_test *priv = test->priv;

	if (priv)
		vfree(priv->vram);
}

/* Frees everything, and finds that nothing is left in use. */
static void hibernate_fini(struct kunit *test)
{
	struct hibernate_test *priv = test->priv;
	unsigned int i;

	for (i = 0; i < HIBERNATE_BOS; i++)
		ttm_bo_fini(priv->bos[i]);
	if (priv->evict_to == TTM_PL_TT)
		KUNIT_EXPECT_EQ(test, ttm_range_man_fini(&priv->bdev, TTM_PL_TT), 0);
	KUNIT_EXPECT_EQ(test, ttm_range_man_fini(&priv->bdev, TTM_PL_VRAM), 0);
	ttm_device_fini(&priv->bdev);

	KUNIT_EXPECT_EQ(test, priv->resident, 0);
	backup_expect_counters(test, &priv->before);
}

/*
 * Where the buffer objects are
 */

static bool hibernate_in_vram(struct ttm_buffer_object *bo)
{
	return bo->resource->mem_type == TTM_PL_VRAM;
}

static bool hibernate_is_out(struct ttm_buffer_object *bo)
{
	return bo->resource->mem_type == TTM_PL_SYSTEM && bo->ttm &&
	       !ttm_tt_is_populated(bo->ttm) && ttm_tt_is_fully_swapped(bo->ttm);
}

static bool hibernate_is_copied(struct ttm_buffer_object *bo)
{
	return hibernate_is_out(bo) && bo->ttm->page_flags & TTM_TT_FLAG_SWAPPED &&
	       bo->ttm->swap_storage && !bo->ttm->backup;
}

static unsigned int hibernate_count(struct kunit *test,
				    bool (*match)(struct ttm_buffer_object *bo))
{
	struct hibernate_test *priv = test->priv;
	unsigned int i, nr = 0;

	for (i = 0; i < HIBERNATE_BOS; i++)
		nr += match(priv->bos[i]);

	return nr;
}

static bool hibernate_page_intact(struct kunit *test, unsigned int i, pgoff_t page)
{
	struct hibernate_test *priv = test->priv;
	struct ttm_buffer_object *bo = priv->bos[i];
	struct page *mem;
	bool intact;
	u64 *p;

	if (hibernate_in_vram(bo))
		return backup_words_intact(hibernate_vram(bo, page), i + 1, page);

	mem = bo->ttm->pages[page];
	if (backup_page_caching(mem) != backup_expected_caching(mem, bo->ttm->caching))
		return false;

	p = kmap_local_page(mem);
	intact = backup_words_intact(p, i + 1, page);
	kunmap_local(p);

	return intact;
}

/* All that was swapped out comes back with its contents. */
static void hibernate_expect_intact(struct kunit *test)
{
	struct hibernate_test *priv = test->priv;
	struct ttm_operation_ctx ctx = {};
	pgoff_t page, bad = 0;
	unsigned int i;

	priv->limit = HIBERNATE_VRAM;
	for (i = 0; i < HIBERNATE_BOS; i++) {
		struct ttm_buffer_object *bo = priv->bos[i];

		dma_resv_lock(bo->base.resv, NULL);
		if (!hibernate_in_vram(bo))
			KUNIT_ASSERT_EQ(test, ttm_bo_populate(bo, &ctx), 0);
		dma_resv_unlock(bo->base.resv);
		for (page = 0; page < HIBERNATE_PAGES; page++)
			bad += !hibernate_page_intact(test, i, page);
	}
	KUNIT_EXPECT_EQ(test, bad, 0);
}

/*
 * Cases
 */

/* With memory for all of it, everything is evicted before anything is swapped out. */
static void hibernate_at_once(struct kunit *test)
{
	struct hibernate_test *priv = test->priv;

	hibernate_device(test, 0);
	KUNIT_EXPECT_EQ(test, hibernate_run(test), 0);
	KUNIT_EXPECT_EQ(test, hibernate_count(test, hibernate_is_out), HIBERNATE_BOS);
	KUNIT_EXPECT_EQ(test, priv->evicted_before_swapout, HIBERNATE_BOS);
	KUNIT_EXPECT_EQ(test, priv->swapouts, HIBERNATE_BOS);
	KUNIT_EXPECT_EQ(test, priv->resident, 0);
	/* There is nothing left to do, and that is no error. */
	KUNIT_EXPECT_EQ(test, hibernate_run(test), 0);
	hibernate_expect_intact(test);
	hibernate_fini(test);
}

/* With less, the two take turns, and there never is a lack of it. */
static void hibernate_in_turns(struct kunit *test)
{
	struct hibernate_test *priv = test->priv;

	priv->limit = 2 * HIBERNATE_PAGES;
	priv->batch = 2 * HIBERNATE_PAGES << PAGE_SHIFT;
	hibernate_device(test, 0);
	KUNIT_EXPECT_EQ(test, hibernate_run(test), 0);
	KUNIT_EXPECT_EQ(test, hibernate_count(test, hibernate_is_out), HIBERNATE_BOS);
	KUNIT_EXPECT_EQ(test, priv->evicted_before_swapout, 2);
	KUNIT_EXPECT_EQ(test, priv->resident_most, 2 * HIBERNATE_PAGES);
	KUNIT_EXPECT_EQ(test, priv->refused, 0);
	KUNIT_EXPECT_EQ(test, priv->kills, 0);
	/* Each is followed by another. */
	KUNIT_EXPECT_EQ(test, priv->batches, 1 + HIBERNATE_BOS / 2);
	hibernate_expect_intact(test);
	hibernate_fini(test);
}

/* Next to nothing is available: one at a time */
static void hibernate_one_by_one(struct kunit *test)
{
	struct hibernate_test *priv = test->priv;

	priv->limit = HIBERNATE_PAGES;
	priv->batch = 0;
	hibernate_device(test, HIBERNATE_PAGES);
	KUNIT_EXPECT_EQ(test, hibernate_run(test), 0);
	KUNIT_EXPECT_EQ(test, hibernate_count(test, hibernate_is_out), HIBERNATE_BOS);
	KUNIT_EXPECT_EQ(test, priv->evicted_before_swapout, 1);
	KUNIT_EXPECT_EQ(test, priv->refused, 0);
	KUNIT_EXPECT_EQ(test, priv->resident_most, HIBERNATE_PAGES);
	hibernate_expect_intact(test);
	hibernate_fini(test);
}

/* Without the tests' own figure: no more than half of what there can be */
static void hibernate_batch(struct kunit *test)
{
	u64 batch;

	kunit_deactivate_static_stub(test, ttm_device_evict_batch);
	batch = ttm_device_evict_batch();
	KUNIT_EXPECT_GE(test, batch, PAGE_SIZE);
	KUNIT_EXPECT_LE(test, batch, (u64)totalram_pages() << PAGE_SHIFT >> 1);
}

/* The memory is less than it seemed: what cannot be evicted is tried again. */
static void hibernate_larger_than_memory(struct kunit *test)
{
	struct hibernate_test *priv = test->priv;
	struct ttm_resource_manager *man;

	priv->limit = 3 * HIBERNATE_PAGES + 1;
	hibernate_device(test, 0);

	/* This is how it was done, and why it is not any more. */
	man = ttm_manager_type(&priv->bdev, TTM_PL_VRAM);
	KUNIT_EXPECT_EQ(test, ttm_resource_manager_evict_all(&priv->bdev, man), -ENOMEM);
	KUNIT_EXPECT_EQ(test, hibernate_count(test, hibernate_in_vram), HIBERNATE_BOS - 3);
	priv->refused = 0;

	KUNIT_EXPECT_EQ(test, hibernate_run(test), 0);
	KUNIT_EXPECT_EQ(test, hibernate_count(test, hibernate_is_out), HIBERNATE_BOS);
	/* 3, 3, and the last 2 */
	KUNIT_EXPECT_EQ(test, priv->refused, 2);
	KUNIT_EXPECT_EQ(test, priv->resident, 0);
	hibernate_expect_intact(test);
	hibernate_fini(test);
}

/*
 * The same with pages of the DMA API, as amdgpu has them with swiotlb: these are swapped
 * out by a copy. With memory for all, for two at a time, and for less than it seemed
 */
static void hibernate_by_a_copy(struct kunit *test)
{
	static const struct {
		pgoff_t limit;
		u64 batch;
		unsigned int refused;
	} rounds[] = {
		{ HIBERNATE_VRAM, U64_MAX, 0 },
		{ 2 * HIBERNATE_PAGES, 2 * HIBERNATE_PAGES << PAGE_SHIFT, 0 },
		{ 3 * HIBERNATE_PAGES + 1, U64_MAX, 2 },
	};
	struct hibernate_test *priv = test->priv;
	unsigned int i;

	priv->alloc_flags = TTM_ALLOCATION_POOL_USE_DMA_ALLOC;
	for (i = 0; i < ARRAY_SIZE(rounds); i++) {
		priv->limit = rounds[i].limit;
		priv->batch = rounds[i].batch;
		priv->refused = 0;
		priv->kills = 0;
		hibernate_device(test, 0);
		KUNIT_EXPECT_EQ(test, hibernate_run(test), 0);
		KUNIT_EXPECT_EQ(test, hibernate_count(test, hibernate_is_copied),
				HIBERNATE_BOS);
		KUNIT_EXPECT_EQ(test, priv->refused, rounds[i].refused);
		KUNIT_EXPECT_EQ(test, priv->kills, 0);
		KUNIT_EXPECT_EQ(test, priv->resident, 0);
		KUNIT_EXPECT_EQ(test, priv->swapouts, 0);
		hibernate_expect_intact(test);
		hibernate_fini(test);
	}
}

/* The place that it is evicted to is full before memory is. */
static void hibernate_larger_than_gtt(struct kunit *test)
{
	struct hibernate_test *priv = test->priv;

	hibernate_device(test, 3 * HIBERNATE_PAGES);
	KUNIT_EXPECT_EQ(test, hibernate_run(test), 0);
	KUNIT_EXPECT_EQ(test, hibernate_count(test, hibernate_is_out), HIBERNATE_BOS);
	KUNIT_EXPECT_EQ(test, priv->evicted_before_swapout, 3);
	KUNIT_EXPECT_EQ(test, priv->resident_most, 3 * HIBERNATE_PAGES);
	hibernate_expect_intact(test);
	hibernate_fini(test);
}

/* Not even one of them fits: the error is the eviction's, and nothing is lost. */
static void hibernate_nothing_more_can_go(struct kunit *test)
{
	struct hibernate_test *priv = test->priv;

	priv->limit = HIBERNATE_PAGES - 1;
	hibernate_device(test, 0);
	KUNIT_EXPECT_EQ(test, hibernate_run(test), -ENOMEM);
	KUNIT_EXPECT_EQ(test, priv->refused, 1);
	KUNIT_EXPECT_EQ(test, priv->waits, 1);
	KUNIT_EXPECT_EQ(test, priv->swapouts, 0);
	KUNIT_EXPECT_EQ(test, hibernate_count(test, hibernate_in_vram), HIBERNATE_BOS);

	/* There is memory again. */
	priv->limit = HIBERNATE_PAGES;
	KUNIT_EXPECT_EQ(test, hibernate_run(test), 0);
	KUNIT_EXPECT_EQ(test, hibernate_count(test, hibernate_is_out), HIBERNATE_BOS);
	hibernate_expect_intact(test);
	hibernate_fini(test);
}

/* What was swapped out is memory again when it has been written. */
static void hibernate_writeback_is_waited_for(struct kunit *test)
{
	struct hibernate_test *priv = test->priv;

	priv->limit = HIBERNATE_PAGES - 1;
	priv->writeback = 3;
	priv->written = HIBERNATE_PAGES;
	hibernate_device(test, 0);
	KUNIT_EXPECT_EQ(test, hibernate_run(test), 0);
	KUNIT_EXPECT_EQ(test, priv->waits, 3);
	KUNIT_EXPECT_EQ(test, priv->waits_begun, 1);
	KUNIT_EXPECT_EQ(test, hibernate_count(test, hibernate_is_out), HIBERNATE_BOS);
	hibernate_expect_intact(test);
	hibernate_fini(test);
}

/* An eviction that needs it is waited for as long as the first one. */
static void hibernate_writeback_is_waited_for_again(struct kunit *test)
{
	struct hibernate_test *priv = test->priv;

	priv->limit = HIBERNATE_PAGES - 1;
	priv->writeback = 2;
	priv->writeback_again = 2;
	priv->written = HIBERNATE_PAGES;
	hibernate_device(test, 0);
	KUNIT_EXPECT_EQ(test, hibernate_run(test), 0);
	KUNIT_EXPECT_EQ(test, priv->waits, 2 * HIBERNATE_BOS);
	KUNIT_EXPECT_EQ(test, priv->waits_begun, HIBERNATE_BOS);
	KUNIT_EXPECT_EQ(test, hibernate_count(test, hibernate_is_out), HIBERNATE_BOS);
	hibernate_expect_intact(test);
	hibernate_fini(test);
}

/* Others may write for as long as they like. */
static void hibernate_writeback_of_others(struct kunit *test)
{
	struct hibernate_test *priv = test->priv;

	priv->limit = HIBERNATE_PAGES - 1;
	priv->writeback = 5;
	hibernate_device(test, 0);
	KUNIT_EXPECT_EQ(test, hibernate_run(test), -ENOMEM);
	KUNIT_EXPECT_EQ(test, priv->waits, 6);
	KUNIT_EXPECT_EQ(test, priv->waits_begun, 1);
	KUNIT_EXPECT_EQ(test, hibernate_count(test, hibernate_in_vram), HIBERNATE_BOS);
	hibernate_expect_intact(test);
	hibernate_fini(test);
}

static void hibernate_end_of_waiting(struct kunit *test)
{
	/* There cannot be fewer under writeback. */
	struct ttm_writeback_wait wait = { .written = ULONG_MAX, .deadline = jiffies };
	unsigned long start = jiffies;

	kunit_deactivate_static_stub(test, ttm_device_wait_for_writeback);
	KUNIT_EXPECT_FALSE(test, ttm_device_wait_for_writeback(&wait));

	/* More has been written since. */
	wait.deadline = jiffies + 100 * HZ;
	KUNIT_EXPECT_TRUE(test, ttm_device_wait_for_writeback(&wait));
	KUNIT_EXPECT_EQ(test, wait.least, 0);

	/* A new low is progress. */
	wait.least = ULONG_MAX;
	wait.deadline = jiffies;
	KUNIT_EXPECT_TRUE(test, ttm_device_wait_for_writeback(&wait));
	KUNIT_EXPECT_LT(test, wait.least, ULONG_MAX);
	KUNIT_EXPECT_TRUE(test, time_in_range(wait.deadline, start + HZ, jiffies + 15 * HZ));
}

#ifdef CONFIG_MEMCG
/* The same for a suspend to memory, which evicts everything and swaps nothing out */
static void hibernate_evictions_charged_to_root(struct kunit *test)
{
	struct mem_cgroup *memcg = backup_memcg(test), *old;
	struct hibernate_test *priv = test->priv;
	int ret;

	hibernate_device(test, 0);
	priv->charged = 0;
	old = set_active_memcg(memcg);
	ret = ttm_resource_manager_evict_all(&priv->bdev,
					     ttm_manager_type(&priv->bdev, TTM_PL_VRAM));
	KUNIT_EXPECT_PTR_EQ(test, set_active_memcg(old), memcg);
	KUNIT_EXPECT_EQ(test, ret, 0);
	KUNIT_EXPECT_EQ(test, priv->charged, 0);
	hibernate_expect_intact(test);
	hibernate_fini(test);
}

/* Nobody pays for what all have. */
static void hibernate_charged_to_root(struct kunit *test)
{
	struct mem_cgroup *memcg = backup_memcg(test), *old;
	struct hibernate_test *priv = test->priv;
	unsigned long usage;
	int ret;

	hibernate_device(test, 0);
	usage = page_counter_read(&memcg->memory);
	/* Nor for what would be swapped out to make room for what is evicted */
	priv->charged = 0;
	old = set_active_memcg(memcg);
	ret = hibernate_run(test);
	set_active_memcg(old);
	KUNIT_EXPECT_EQ(test, ret, 0);
	KUNIT_EXPECT_EQ(test, priv->charged, 0);
	KUNIT_EXPECT_EQ(test, hibernate_count(test, hibernate_is_out), HIBERNATE_BOS);
	KUNIT_EXPECT_LE(test, page_counter_read(&memcg->memory), usage);
	hibernate_expect_intact(test);
	hibernate_fini(test);
}
#endif

/* An eviction that fails for another reason is not tried again. */
static void hibernate_eviction_fails(struct kunit *test)
{
	struct hibernate_test *priv = test->priv;

	hibernate_device(test, 0);
	priv->bad_mem_type = TTM_PL_VRAM;
	priv->move_error = -EIO;
	priv->good_moves = 2;
	KUNIT_EXPECT_EQ(test, hibernate_run(test), -EIO);
	KUNIT_EXPECT_EQ(test, priv->moves, 3);
	KUNIT_EXPECT_EQ(test, priv->swapouts, 0);
	KUNIT_EXPECT_EQ(test, hibernate_count(test, hibernate_in_vram), HIBERNATE_BOS - 2);
	hibernate_expect_intact(test);
	hibernate_fini(test);
}

static void hibernate_swapout_fails(struct kunit *test)
{
	struct hibernate_test *priv = test->priv;

	priv->batch = 2 * HIBERNATE_PAGES << PAGE_SHIFT;
	hibernate_device(test, HIBERNATE_VRAM);
	priv->bad_mem_type = TTM_PL_TT;
	priv->move_error = -EIO;
	KUNIT_EXPECT_EQ(test, hibernate_run(test), -EIO);
	KUNIT_EXPECT_EQ(test, priv->evicted, 2);
	KUNIT_EXPECT_EQ(test, priv->moves, 1);
	hibernate_expect_intact(test);

	/* And where it is the last thing that is done */
	priv->batch = U64_MAX;
	KUNIT_EXPECT_EQ(test, hibernate_run(test), -EIO);
	KUNIT_EXPECT_EQ(test, priv->evicted, HIBERNATE_BOS);
	hibernate_expect_intact(test);
	hibernate_fini(test);
}

static void hibernate_pinned_stays(struct kunit *test)
{
	struct hibernate_test *priv = test->priv;
	struct ttm_buffer_object *bo;

	priv->limit = HIBERNATE_PAGES;
	hibernate_device(test, 0);
	bo = priv->bos[3];
	dma_resv_lock(bo->base.resv, NULL);
	ttm_bo_pin(bo);
	dma_resv_unlock(bo->base.resv);
	KUNIT_EXPECT_EQ(test, hibernate_run(test), 0);
	KUNIT_EXPECT_EQ(test, hibernate_count(test, hibernate_is_out), HIBERNATE_BOS - 1);
	KUNIT_EXPECT_TRUE(test, hibernate_in_vram(bo));
	hibernate_expect_intact(test);
	dma_resv_lock(bo->base.resv, NULL);
	ttm_bo_unpin(bo);
	dma_resv_unlock(bo->base.resv);
	hibernate_fini(test);
}

static const char *hibernate_fence_name(struct dma_fence *fence)
{
	return "ttm-hibernation-test";
}

static const struct dma_fence_ops hibernate_fence_ops = {
	.get_driver_name = hibernate_fence_name,
	.get_timeline_name = hibernate_fence_name,
};

static void hibernate_signal(struct work_struct *work)
{
	struct hibernate_test *priv = container_of(work, struct hibernate_test,
						   signal.work);

	dma_fence_signal(&priv->fences[priv->round]);
}

/* One is used by the engine; and the moves of others out of VRAM go on. */
static void hibernate_busy_is_waited_for(struct kunit *test)
{
	struct hibernate_test *priv = test->priv;
	struct ttm_resource_manager *man;
	struct ttm_buffer_object *bo;
	unsigned int i;

	hibernate_device(test, 0);
	man = ttm_manager_type(&priv->bdev, TTM_PL_VRAM);
	bo = priv->bos[HIBERNATE_BOS - 1];
	INIT_DELAYED_WORK(&priv->signal, hibernate_signal);
	for (i = 0; i < ARRAY_SIZE(priv->fences); i++)
		dma_fence_init(&priv->fences[i], &hibernate_fence_ops,
			       &priv->fence_lock, dma_fence_context_alloc(1), 1);
	/* The engine's fence in system memory first, then that of a move alone */
	for (priv->round = 0; priv->round < 2; priv->round++) {
		if (!priv->round) {
			KUNIT_EXPECT_EQ(test, ttm_resource_manager_evict_all(&priv->bdev, man),
					0);
			dma_resv_lock(bo->base.resv, NULL);
			KUNIT_ASSERT_EQ(test, dma_resv_reserve_fences(bo->base.resv, 1), 0);
			dma_resv_add_fence(bo->base.resv, &priv->fences[0],
					   DMA_RESV_USAGE_BOOKKEEP);
			dma_resv_unlock(bo->base.resv);
		} else {
			spin_lock(&man->eviction_lock);
			man->eviction_fences[0] = dma_fence_get(&priv->fences[1]);
			spin_unlock(&man->eviction_lock);
		}
		schedule_delayed_work(&priv->signal, HZ / 5);
		KUNIT_EXPECT_EQ(test, hibernate_run(test), 0);
		KUNIT_EXPECT_TRUE(test, dma_fence_is_signaled(&priv->fences[priv->round]));
		KUNIT_EXPECT_EQ(test, hibernate_count(test, hibernate_is_out),
				HIBERNATE_BOS);
		flush_delayed_work(&priv->signal);
	}
	hibernate_expect_intact(test);
	hibernate_fini(test);
}

static struct kunit_case hibernate_cases[] = {
	KUNIT_CASE(hibernate_at_once),
	KUNIT_CASE(hibernate_in_turns),
	KUNIT_CASE(hibernate_one_by_one),
	KUNIT_CASE(hibernate_batch),
	KUNIT_CASE(hibernate_larger_than_memory),
	KUNIT_CASE(hibernate_by_a_copy),
	KUNIT_CASE(hibernate_larger_than_gtt),
	KUNIT_CASE(hibernate_nothing_more_can_go),
	KUNIT_CASE(hibernate_writeback_is_waited_for),
	KUNIT_CASE(hibernate_writeback_is_waited_for_again),
	KUNIT_CASE(hibernate_writeback_of_others),
	KUNIT_CASE(hibernate_end_of_waiting),
#ifdef CONFIG_MEMCG
	KUNIT_CASE(hibernate_evictions_charged_to_root),
	KUNIT_CASE(hibernate_charged_to_root),
#endif
	KUNIT_CASE(hibernate_eviction_fails),
	KUNIT_CASE(hibernate_swapout_fails),
	KUNIT_CASE(hibernate_pinned_stays),
	KUNIT_CASE(hibernate_busy_is_waited_for),
	{}
};

static struct kunit_suite hibernate_suite = {
	.name = "ttm_hibernation",
	.suite_init = backup_suite_init,
	.init = hibernate_init,
	.exit = hibernate_exit,
	.test_cases = hibernate_cases,
};

kunit_test_suites(&hibernate_suite);
