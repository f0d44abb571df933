// SPDX-License-Identifier: MIT
/*
 * Shared by the KUnit tests of the backup of a struct ttm_tt: a device, struct
 * ttm_tt with contents, the ways to back these up and to restore them, what is to be
 * seen afterwards, and faults.
 */

#include <linux/file.h>
#include <linux/highmem.h>
#include <linux/pagemap.h>
#include <linux/shmem_fs.h>
#include <linux/shmem_insert.h>
#include <linux/swap.h>
#include <linux/xarray.h>

#include <drm/ttm/ttm_allocation.h>
#include <drm/ttm/ttm_backup.h>
#include <drm/ttm/ttm_placement.h>
#include <drm/ttm/ttm_resource.h>

#include "../ttm_backup_file.h"
#include "../ttm_backup_restore.h"
#include "../ttm_pool_internal.h"
#include "ttm_backup_test_fixture.h"

struct backup_tt *to_backup_tt(struct ttm_tt *tt)
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

void backup_expect_baseline(struct kunit *test)
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

/*
 * Maps as the pool does, but fails at one of its calls. Old addresses are gone by
 * then: here a page has the same one again, so their use would not be noticed.
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
void backup_map_fails(struct kunit *test, struct ttm_tt *tt,
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
	unsigned int handles = 0, holes = 0;
	pgoff_t i;

	for (i = 0; i < tt->num_pages; i++) {
		struct page *page = tt->pages[i];

		if (!page)
			holes++;
		else if (ttm_backup_page_ptr_is_handle(page))
			handles++;
		else if (!PageTail(page))
			page->mapping = NULL;
	}
	/* Buffer objects are also freed by a worker. */
	if (test) {
		struct backup_test *priv = test->priv;

		KUNIT_EXPECT_EQ(test, handles, 0);
		priv->unpopulate_calls++;
		priv->unpopulate_holes += holes;
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

void backup_device_fini(void *data)
{
	struct backup_test *priv = data;

	ttm_device_fini(&priv->bdev);
}

int backup_init(struct kunit *test)
{
	struct backup_test *priv = kunit_kzalloc(test, sizeof(*priv), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, priv);
	test->priv = priv;

	backup_stay_on_cpu(test);
	backup_alloc_drm(test, &priv->dma_mask, &priv->dev, &priv->drm);

	priv->bytes_avail = 1ULL << 40;
	kunit_activate_static_stub(test, ttm_backup_bytes_avail,
				   backup_fake_bytes_avail);

	backup_empty_pools(0);
	priv->before = backup_counters();

	return 0;
}

int backup_swap_init(struct kunit *test)
{
	if (!total_swap_pages)
		kunit_skip(test, "no swap: enable it, then write to this suite's run file");

	return backup_init(test);
}

void backup_device(struct kunit *test, unsigned int alloc_flags)
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
struct ttm_tt *backup_tt(struct kunit *test, enum ttm_caching caching,
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

void backup_tt_free(struct kunit *test, struct ttm_tt *tt)
{
	kunit_release_action(test, backup_tt_fini, to_backup_tt(tt));
}

void backup_fill(struct ttm_tt *tt, u64 seed)
{
	pgoff_t i;

	to_backup_tt(tt)->seed = seed;
	for (i = 0; i < tt->num_pages; i++) {
		u64 *p;

		if (!tt->pages[i])
			continue;
		p = kmap_local_page(tt->pages[i]);
		backup_fill_words(p, seed, i);
		kunmap_local(p);
	}
}

bool backup_page_intact(struct ttm_tt *tt, pgoff_t i)
{
	u64 *p = kmap_local_page(tt->pages[i]);
	bool intact = backup_words_intact(p, to_backup_tt(tt)->seed, i);

	kunmap_local(p);

	return intact;
}

/* Populated and filled */
struct ttm_tt *backup_filled_tt(struct kunit *test,
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

long backup_run(struct kunit *test, struct ttm_tt *tt)
{
	struct backup_test *priv = test->priv;
	long ret;

	ret = ttm_tt_backup(&priv->bdev, tt, (struct ttm_backup_flags) {});
	/* Folios in another CPU's batches would be copied back. */
	lru_add_drain_all();

	return ret;
}

void backup_restore(struct kunit *test, struct ttm_tt *tt)
{
	struct backup_test *priv = test->priv;
	struct ttm_operation_ctx ctx = {};

	KUNIT_ASSERT_EQ(test, 0, ttm_tt_populate(&priv->bdev, tt, &ctx));
}

/* A file as upstream's, which takes copies only, and is empty */
void backup_plain_file(struct kunit *test, struct ttm_tt *tt)
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
void backup_make_foreign(struct kunit *test, struct ttm_tt *tt)
{
	struct backup_test *priv = test->priv;
	pgoff_t i;

	for (i = 0; i < tt->num_pages;
	     i += 1UL << ttm_pool_page_order(&priv->bdev.pool, tt->pages[i]))
		tt->pages[i]->private &= ~TTM_POOL_PAGE_FOLIO;
}

unsigned int backup_order(struct kunit *test, struct ttm_tt *tt, pgoff_t i)
{
	struct backup_test *priv = test->priv;

	return ttm_pool_page_order(&priv->bdev.pool, tt->pages[i]);
}

struct folio *backup_tt_folio(struct ttm_tt *tt, pgoff_t i)
{
	return page_folio(tt->pages[i]);
}

/* Without them, chunks are taken apart, and their pages inserted one by one. */
void backup_needs_large(struct kunit *test, struct ttm_tt *tt)
{
	if (!folio_test_large(backup_tt_folio(tt, 0)))
		kunit_skip(test, "needs large folios");
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
		    backup_page_caching(page) !=
			    backup_expected_caching(page, tt->caching) ||
		    (tt->dma_address && tt->dma_address[i] != page_to_phys(page)) ||
		    !backup_page_intact(tt, i))
			bad++;
	}

	return bad;
}

void backup_expect_populated(struct kunit *test, struct ttm_tt *tt)
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
void backup_expect_round_trip(struct kunit *test, struct ttm_tt *tt)
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

void backup_expect_pages(struct kunit *test, struct ttm_tt *tt,
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
void backup_expect_backed_up(struct kunit *test, struct ttm_tt *tt)
{
	KUNIT_EXPECT_FALSE(test, ttm_tt_is_populated(tt));
	KUNIT_EXPECT_TRUE(test, ttm_tt_is_backed_up(tt));
	KUNIT_EXPECT_TRUE(test, ttm_tt_is_fully_swapped(tt));
	KUNIT_EXPECT_EQ(test, ttm_tt_shrinkable_pages(tt), 0);
	backup_expect_pages(test, tt, 0, tt->num_pages, tt->num_pages);
}

/* How many pages came back in this way since @tt was made */
pgoff_t backup_restored_since(struct ttm_tt *tt, enum ttm_restore_how how)
{
	long restored[TTM_RESTORE_NUM];

	backup_restored(restored);

	return restored[how] - to_backup_tt(tt)->restored[how];
}

void backup_expect_restored(struct kunit *test, struct ttm_tt *tt,
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
struct page **backup_page_array(struct kunit *test, struct ttm_tt *tt)
{
	struct page **pages = kunit_kmalloc_array(test, tt->num_pages,
						  sizeof(*pages), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, pages);
	memcpy(pages, tt->pages, tt->num_pages * sizeof(*pages));

	return pages;
}

/* Free a chunk, to leave a hole behind. */
pgoff_t backup_punch(struct kunit *test, struct ttm_tt *tt, pgoff_t i)
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

pgoff_t backup_uncached_pages(struct page **pages, pgoff_t num)
{
	pgoff_t i, uncached = 0;

	for (i = 0; i < num; i++)
		if (backup_page_caching(pages[i]) != ttm_cached)
			uncached++;

	return uncached;
}

/* Check what is reported about the rest of an incomplete backup */
void backup_expect_retained(struct kunit *test, struct ttm_tt *tt,
			    pgoff_t pages)
{
	KUNIT_EXPECT_EQ(test, tt->retained, pages);
	KUNIT_EXPECT_EQ(test, ttm_tt_shrinkable_pages(tt), pages);
	KUNIT_EXPECT_EQ(test, ttm_tt_is_fully_swapped(tt), !pages);
}

/* Keep every chunk of @tt busy. Returns how many there are. */
unsigned int backup_hold_chunks(struct kunit *test, struct ttm_tt *tt,
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

#if defined(CONFIG_FAIL_PAGE_ALLOC) && defined(CONFIG_FAULT_INJECTION_DEBUG_FS)
/* Back up with so many pages to allocate, and not one more. */
long backup_run_with_pages(struct kunit *test, struct ttm_tt *tt,
			   unsigned int pages)
{
	long ret;

	backup_memory_fails(test, pages, -1);
	ret = backup_run(test, tt);
	backup_memory_works(test);

	return ret;
}
#endif

#ifdef CONFIG_FAULT_INJECTION_DEBUG_FS
int backup_interrupted_restore(struct kunit *test, struct ttm_tt *tt,
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
#endif
