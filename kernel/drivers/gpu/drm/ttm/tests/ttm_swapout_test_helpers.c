// SPDX-License-Identifier: MIT
/*
 * Shared by the tests of swapout and swapin.
 *
 * The driver here does what real ones do: it has a pool of its own, writes to the
 * pages it was given, and expects to find them when it is to give them up.
 */

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/highmem.h>
#include <linux/math.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/swap.h>
#include <linux/topology.h>

#include <drm/drm_device.h>
#include <drm/drm_gem.h>
#include <drm/ttm/ttm_backup.h>
#include <drm/ttm/ttm_backup_stats.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_placement.h>
#include <drm/ttm/ttm_resource.h>

#include "../ttm_backup_file.h"
#include "../ttm_backup_restore.h"
#include "../ttm_pool_internal.h"
#include "../ttm_swapout.h"
#include "ttm_swapout_test_helpers.h"

/*
 * Counters
 */

void swapout_expect_baseline(struct kunit *test)
{
	struct swapout_test *priv = test->priv;

	backup_expect_counters(test, &priv->before);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&ttm_pages_allocated),
			priv->allocated_before);
}

/* Beyond what was there before the test */
long swapout_accounted(struct kunit *test)
{
	struct swapout_test *priv = test->priv;

	return atomic_long_read(&ttm_pages_allocated) - priv->allocated_before;
}

long swapout_gpu_active(struct kunit *test)
{
	struct swapout_test *priv = test->priv;

	return backup_node_stat(NR_GPU_ACTIVE) - priv->before.gpu_active;
}

/*
 * Contents
 */

void swapout_fill(struct ttm_tt *tt, u64 seed)
{
	pgoff_t i;

	to_swapout_tt(tt)->seed = seed;
	for (i = 0; i < tt->num_pages; i++) {
		u64 *p = kmap_local_page(tt->pages[i]);

		backup_fill_words(p, seed, i);
		kunmap_local(p);
	}
}

/* How many pages are handles, have lost their contents, or the wrong caching? */
static pgoff_t swapout_bad_pages(struct ttm_tt *tt, enum ttm_caching caching)
{
	pgoff_t i, bad = 0;

	for (i = 0; i < tt->num_pages; i++) {
		struct page *page = tt->pages[i];
		u64 *p;

		if (!page || ttm_backup_page_ptr_is_handle(page)) {
			bad++;
			continue;
		}
		p = kmap_local_page(page);
		if (backup_page_caching(page) != backup_expected_caching(page, caching) ||
		    !backup_words_intact(p, to_swapout_tt(tt)->seed, i))
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

void swapout_device_fini(void *data)
{
	struct swapout_test *priv = data;

	ttm_pool_fini(&priv->pool);
	ttm_device_fini(&priv->bdev);
}

void swapout_device(struct kunit *test, unsigned int alloc_flags)
{
	struct swapout_test *priv = test->priv;
	int ret;

	ret = ttm_device_init(&priv->bdev, &swapout_funcs, priv->dev,
			      priv->drm->anon_inode->i_mapping,
			      priv->drm->vma_offset_manager, alloc_flags);
	KUNIT_ASSERT_EQ(test, ret, 0);
	ttm_pool_init(&priv->pool, priv->dev, numa_mem_id(), alloc_flags);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, swapout_device_fini,
							   priv));
}

int swapout_init(struct kunit *test)
{
	struct swapout_test *priv = kunit_kzalloc(test, sizeof(*priv), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, priv);
	test->priv = priv;

	backup_stay_on_cpu(test);
	backup_alloc_drm(test, &priv->dma_mask, &priv->dev, &priv->drm);

	backup_empty_pools(0);
	priv->before = backup_counters();
	priv->allocated_before = atomic_long_read(&ttm_pages_allocated);

	return 0;
}

int swapout_bo_populate(struct ttm_buffer_object *bo, bool interruptible)
{
	struct ttm_operation_ctx ctx = { .interruptible = interruptible };
	int ret;

	dma_resv_lock(bo->base.resv, NULL);
	ret = ttm_bo_populate(bo, &ctx);
	dma_resv_unlock(bo->base.resv);

	return ret;
}

/* Populated and filled */
struct ttm_buffer_object *swapout_bo(struct kunit *test,
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
						      backup_bo_destroy));
	ttm_bo_set_bulk_move(bo, bulk);
	dma_resv_unlock(bo->base.resv);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, backup_bo_fini, bo));
	KUNIT_ASSERT_EQ(test, 0, swapout_bo_populate(bo, false));
	swapout_fill(bo->ttm, pages + caching + 1);

	return bo;
}

void swapout_bo_free(struct kunit *test, struct ttm_buffer_object *bo)
{
	kunit_release_action(test, backup_bo_fini, bo);
}

/* One walk, as ttm_global_swapout() does it */
s64 swapout_run(struct kunit *test)
{
	struct swapout_test *priv = test->priv;
	struct ttm_operation_ctx ctx = {};
	int ret = ttm_device_swapout(&priv->bdev, &ctx, GFP_KERNEL);

	/* Pages in another processor's batches come back by a copy. */
	lru_add_drain_all();

	return ret;
}

/* Is it out of reach of the next walk? */
bool swapout_unevictable(struct kunit *test, struct ttm_buffer_object *bo)
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

bool swapout_in_bulk(struct kunit *test, struct ttm_lru_bulk_move *bulk,
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
void swapout_expect_swapped(struct kunit *test, struct ttm_buffer_object *bo)
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
void swapout_expect_populated(struct kunit *test, struct ttm_buffer_object *bo)
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

/* The only buffer object, with every byte, and nothing is left of it when it is freed. */
void swapout_expect_comes_back(struct kunit *test, struct ttm_buffer_object *bo)
{
	KUNIT_EXPECT_EQ(test, swapout_bo_populate(bo, false), 0);
	swapout_expect_populated(test, bo);
	swapout_bo_free(test, bo);
	swapout_expect_baseline(test);
}

unsigned long *swapout_pfns(struct kunit *test, struct ttm_tt *tt)
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
pgoff_t swapout_moved(struct ttm_tt *tt, const unsigned long *pfns)
{
	pgoff_t i, moved = 0;

	for (i = 0; i < tt->num_pages; i++)
		moved += page_to_pfn(tt->pages[i]) != pfns[i];

	return moved;
}

static int swapout_fake_set_caching(struct page **pages, pgoff_t nr,
				    enum ttm_caching caching)
{
	struct kunit *test = kunit_get_current_test();
	struct swapout_test *priv = test->priv;
	bool fails = false;
	int ret;

	if (caching != ttm_cached)
		fails = ++priv->caching_calls == priv->caching_fails_at;
	else if (++priv->wb_calls == priv->wb_fails_at)
		return -EINVAL;

	/* A failure may leave any part of the pages changed. */
	if (fails)
		nr = DIV_ROUND_UP(nr, 2);

	kunit_deactivate_static_stub(test, ttm_pool_set_caching);
	ret = ttm_pool_set_caching(pages, nr, caching);
	kunit_activate_static_stub(test, ttm_pool_set_caching,
				   swapout_fake_set_caching);

	return fails ? -ENOMEM : ret;
}

/* Which change to write-back caching fails, and which to another one; 0 for none */
static void swapout_set_caching_fails(struct kunit *test, unsigned int wb, unsigned int other)
{
	struct swapout_test *priv = test->priv;

	priv->wb_calls = 0;
	priv->wb_fails_at = wb;
	priv->caching_calls = 0;
	priv->caching_fails_at = other;
	kunit_activate_static_stub(test, ttm_pool_set_caching,
				   swapout_fake_set_caching);
}

/* The next change to write-back caching fails, and no other one. */
void swapout_write_back_fails(struct kunit *test)
{
	swapout_set_caching_fails(test, 1, 0);
}

void swapout_write_back_works(struct kunit *test)
{
	struct swapout_test *priv = test->priv;

	KUNIT_EXPECT_GT(test, priv->wb_calls, 0);
	kunit_deactivate_static_stub(test, ttm_pool_set_caching);
}

/* The Nth change to another caching than write-back fails, and no other one. */
void swapout_caching_fails(struct kunit *test, unsigned int n)
{
	swapout_set_caching_fails(test, 0, n);
}

void swapout_caching_works(struct kunit *test)
{
	struct swapout_test *priv = test->priv;

	KUNIT_EXPECT_EQ(test, priv->caching_calls, priv->caching_fails_at);
	kunit_deactivate_static_stub(test, ttm_pool_set_caching);
}

static int swapout_fake_map(struct ttm_pool *pool, unsigned int order, struct page *p,
			    dma_addr_t *dma_addr)
{
	struct kunit *test = kunit_get_current_test();
	struct swapout_test *priv = test->priv;
	int ret;

	if (++priv->map_calls == priv->map_fails_at)
		return -EFAULT;

	kunit_deactivate_static_stub(test, ttm_pool_map);
	ret = ttm_pool_map(pool, order, p, dma_addr);
	kunit_activate_static_stub(test, ttm_pool_map, swapout_fake_map);

	return ret;
}

/* The Nth chunk from now on cannot be mapped for DMA. */
void swapout_map_fails(struct kunit *test, unsigned int n)
{
	struct swapout_test *priv = test->priv;

	priv->map_calls = 0;
	priv->map_fails_at = n;
	kunit_activate_static_stub(test, ttm_pool_map, swapout_fake_map);
}

void swapout_map_works(struct kunit *test)
{
	kunit_deactivate_static_stub(test, ttm_pool_map);
}

/* Nothing is inserted or restored between this and putting back what has been restored. */
static void swapout_let_insertion_fail(struct kunit *test)
{
	struct swapout_test *priv = test->priv;

	if (IS_ENABLED(CONFIG_FAULT_INJECTION_DEBUG_FS) && priv->insertion_fails)
		backup_fail_at(test, priv->insertion_fails);
}

static int swapout_fake_extract(struct ttm_pool *pool, struct ttm_tt *tt,
				const struct ttm_operation_ctx *ctx, pgoff_t idx,
				unsigned int min_order, bool effort, bool progress,
				unsigned int *order)
{
	struct kunit *test = kunit_get_current_test();
	struct swapout_test *priv = test->priv;
	int ret;

	if (priv->extractions++ >= priv->extractions_allowed) {
		if (priv->hold && !ttm_backup_page_ptr_is_handle(*priv->hold)) {
			folio_get(page_folio(*priv->hold));
			priv->hold = NULL;
		}
		swapout_let_insertion_fail(test);
		return -ENOMEM;
	}

	kunit_deactivate_static_stub(test, ttm_backup_restore_extract);
	ret = ttm_backup_restore_extract(pool, tt, ctx, idx, min_order, effort,
					 progress, order);
	kunit_activate_static_stub(test, ttm_backup_restore_extract,
				   swapout_fake_extract);

	return ret;
}

/* There is memory to extract so many times, until backup_extraction_works(). */
void swapout_memory_ends(struct kunit *test, unsigned int extractions)
{
	struct swapout_test *priv = test->priv;

	priv->extractions = 0;
	priv->extractions_allowed = extractions;
	kunit_activate_static_stub(test, ttm_backup_restore_extract,
				   swapout_fake_extract);
}

static int swapout_fake_restore_page(struct file *backup, struct page *dst,
				     unsigned long handle, bool intr, gfp_t gfp)
{
	struct kunit *test = kunit_get_current_test();
	struct swapout_test *priv = test->priv;
	pgoff_t idx = ttm_backup_handle_idx(handle);
	int ret;

	if (idx == priv->copies_end_at) {
		swapout_let_insertion_fail(test);
		return -EIO;
	}
	if (priv->split_at && idx == priv->split_at)
		backup_split_in_file(test, backup, 2, BACKUP_CHUNK);

	kunit_deactivate_static_stub(test, ttm_backup_restore_page);
	ret = ttm_backup_restore_page(backup, dst, handle, intr, gfp);
	kunit_activate_static_stub(test, ttm_backup_restore_page,
				   swapout_fake_restore_page);

	return ret;
}

/* The page at @idx cannot be copied back, until swapout_copies_work(). */
void swapout_copies_end_at(struct kunit *test, pgoff_t idx)
{
	struct swapout_test *priv = test->priv;

	priv->copies_end_at = idx;
	kunit_activate_static_stub(test, ttm_backup_restore_page,
				   swapout_fake_restore_page);
}

void swapout_copies_work(struct kunit *test)
{
	kunit_deactivate_static_stub(test, ttm_backup_restore_page);
}

/* As if shmem had not handed them out */
void swapout_pages_of_others(struct kunit *test, struct ttm_tt *tt)
{
	struct swapout_test *priv = test->priv;
	pgoff_t i;

	for (i = 0; i < tt->num_pages;
	     i += 1UL << ttm_pool_page_order(&priv->bdev.pool, tt->pages[i]))
		tt->pages[i]->private &= ~TTM_POOL_PAGE_FOLIO;
}

/* Leave chunks in the pools that a write-combined buffer object can be made of. */
void swapout_fill_pools(struct kunit *test)
{
	swapout_bo_free(test, swapout_bo(test, ttm_write_combined, SWAPOUT_PAGES, NULL));
}

/* Restore until the page at @idx, which cannot be read. */
void swapout_copy_ends_at(struct kunit *test, struct ttm_buffer_object *bo, pgoff_t idx)
{
	struct folio *folio;

	if (!IS_ENABLED(CONFIG_MEMORY_FAILURE))
		kunit_skip(test, "needs CONFIG_MEMORY_FAILURE");

	folio = filemap_get_folio(bo->ttm->backup->f_mapping, idx);
	KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
	SetPageHWPoison(folio_file_page(folio, idx));
	KUNIT_EXPECT_EQ(test, swapout_bo_populate(bo, false), -EIO);
	ClearPageHWPoison(folio_file_page(folio, idx));
	folio_put(folio);
}

void swapout_reach(struct kunit *test, struct ttm_buffer_object *bo,
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
		/* And what has come back cannot go again. */
		backup_extraction_fails(test);
		swapout_fill_pools(test);
		swapout_write_back_fails(test);
		swapout_copy_ends_at(test, bo, 520);
		swapout_write_back_works(test);
		backup_extraction_works(test);
		KUNIT_EXPECT_NOT_NULL(test, bo->ttm->restore);
		KUNIT_EXPECT_GT(test, bo->ttm->accounted, 0);
		KUNIT_EXPECT_LT(test, bo->ttm->accounted, bo->ttm->num_pages);
	}
}
