// SPDX-License-Identifier: MIT
/*
 * KUnit tests of swapping in by extraction, and of its failures.
 */

#include <kunit/test.h>
#include <linux/atomic.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/page_counter.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/swap.h>

#include <drm/ttm/ttm_backup.h>
#include <drm/ttm/ttm_backup_stats.h>
#include <drm/ttm/ttm_bo.h>

#include "../ttm_backup_stats.h"
#include "../ttm_pool_internal.h"
#include "ttm_swapout_test_helpers.h"

/* As with swapping in a copy */
static void swapout_signals_are_ignored(struct kunit *test)
{
	unsigned int round;

	swapout_device(test, 0);
	for (round = 0; round < 2; round++) {
		struct ttm_buffer_object *bo = swapout_bo(test, ttm_write_combined,
							  SWAPOUT_PAGES, NULL);

		KUNIT_EXPECT_EQ(test, swapout_run(test), SWAPOUT_PAGES);
		if (round)
			backup_extraction_fails(test);
		set_thread_flag(TIF_SIGPENDING);
		KUNIT_EXPECT_EQ(test, swapout_bo_populate(bo, true), 0);
		clear_thread_flag(TIF_SIGPENDING);
		if (round)
			backup_extraction_works(test);
		swapout_expect_populated(test, bo);
		swapout_bo_free(test, bo);
		swapout_expect_baseline(test);
	}
}

/* How many pages, in memory or in the file, are not write-back cached? */
static pgoff_t swapin_uncached_pages(const struct ttm_tt *tt)
{
	pgoff_t i, uncached = 0;

	for (i = 0; i < tt->num_pages; i++) {
		struct page *page = tt->pages[i];
		struct folio *folio = NULL;

		if (ttm_backup_page_ptr_is_handle(page)) {
			folio = filemap_get_folio(tt->backup->f_mapping, i);
			/* A swap entry */
			if (IS_ERR(folio))
				continue;
			page = folio_file_page(folio, i);
		}
		uncached += backup_page_caching(page) != ttm_cached;
		if (folio)
			folio_put(folio);
	}

	return uncached;
}

static void swapout_expect_as_before(struct kunit *test, struct ttm_buffer_object *bo)
{
	struct swapout_test *priv = test->priv;

	swapout_expect_swapped(test, bo);
	KUNIT_EXPECT_NULL(test, bo->ttm->restore);
	KUNIT_EXPECT_EQ(test, swapout_accounted(test), 0);
	KUNIT_EXPECT_EQ(test, swapout_gpu_active(test), 0);
	KUNIT_EXPECT_EQ(test, backup_dma_mappings(), priv->before.dma_mappings);
	KUNIT_EXPECT_EQ(test, swapin_uncached_pages(bo->ttm), 0);
}

/* Without memory for all of it, the part that is back goes again. */
static void swapout_no_memory_for_the_rest(struct kunit *test)
{
	static const enum ttm_caching cachings[] = { ttm_cached, ttm_write_combined };
	struct swapout_test *priv = test->priv;
	unsigned int i, allowed;

	swapout_device(test, 0);
	for (i = 0; i < ARRAY_SIZE(cachings); i++) {
		long cancelled = atomic_long_read(&ttm_backup_stats.cancelled);
		struct ttm_lru_bulk_move bulk;
		struct ttm_buffer_object *bo;
		unsigned long *pfns;
		int ret;

		ttm_lru_bulk_move_init(&bulk);
		bo = swapout_bo(test, cachings[i], SWAPOUT_PAGES, &bulk);
		pfns = swapout_pfns(test, bo->ttm);
		KUNIT_EXPECT_EQ(test, swapout_run(test), SWAPOUT_PAGES);
		for (allowed = 0; allowed <= SWAPOUT_PAGES; allowed++) {
			swapout_memory_ends(test, allowed);
			ret = swapout_bo_populate(bo, false);
			backup_extraction_works(test);
			if (!ret)
				break;
			KUNIT_EXPECT_EQ(test, ret, -ENOMEM);
			swapout_expect_as_before(test, bo);
			KUNIT_EXPECT_FALSE(test, swapout_in_bulk(test, &bulk, bo));
			KUNIT_EXPECT_EQ(test, swapout_run(test), 0);
		}
		KUNIT_EXPECT_EQ(test, ret, 0);
		KUNIT_EXPECT_GT(test, allowed, 2);
		KUNIT_EXPECT_EQ(test, priv->extractions, allowed);
		KUNIT_EXPECT_EQ(test, atomic_long_read(&ttm_backup_stats.cancelled) - cancelled,
				allowed);
		swapout_expect_populated(test, bo);
		KUNIT_EXPECT_TRUE(test, swapout_in_bulk(test, &bulk, bo));
		KUNIT_EXPECT_EQ(test, swapout_moved(bo->ttm, pfns), 0);
		swapout_bo_free(test, bo);
		swapout_expect_baseline(test);
	}
}

#ifdef CONFIG_MEMCG
/* What goes back to the file needs no room in the memcg of who wanted it. */
static void swapout_limit_is_not_met(struct kunit *test)
{
	struct mem_cgroup *memcg = backup_memcg(test), *old;
	struct ttm_buffer_object *bo;
	unsigned long usage;
	int ret;

	swapout_device(test, 0);
	bo = swapout_bo(test, ttm_cached, SWAPOUT_PAGES, NULL);
	KUNIT_EXPECT_EQ(test, swapout_run(test), SWAPOUT_PAGES);
	usage = page_counter_read(&memcg->memory);

	swapout_memory_ends(test, 1);
	old = set_active_memcg(memcg);
	ret = swapout_bo_populate(bo, false);
	set_active_memcg(old);
	backup_extraction_works(test);
	KUNIT_EXPECT_EQ(test, ret, -ENOMEM);
	swapout_expect_as_before(test, bo);
	KUNIT_EXPECT_LE(test, page_counter_read(&memcg->memory), usage);

	swapout_expect_comes_back(test, bo);
}
#endif

/* Pages that cannot be inserted again are retained, with a place on the LRU. */
static void swapout_rest_cannot_go(struct kunit *test)
{
	struct swapout_test *priv = test->priv;
	struct ttm_lru_bulk_move bulk;
	struct ttm_buffer_object *bo;
	struct folio *held;
	struct ttm_tt *tt;
	pgoff_t nr;

	swapout_device(test, 0);
	ttm_lru_bulk_move_init(&bulk);
	bo = swapout_bo(test, ttm_write_combined, SWAPOUT_PAGES, &bulk);
	tt = bo->ttm;
	held = page_folio(tt->pages[0]);
	nr = folio_nr_pages(held);
	KUNIT_EXPECT_EQ(test, swapout_run(test), SWAPOUT_PAGES);

	priv->hold = &tt->pages[0];
	swapout_memory_ends(test, 1);
	KUNIT_EXPECT_EQ(test, swapout_bo_populate(bo, false), -ENOMEM);
	backup_extraction_works(test);
	KUNIT_ASSERT_NULL(test, priv->hold);
	KUNIT_EXPECT_EQ(test, ttm_tt_shrinkable_pages(tt), nr);
	KUNIT_EXPECT_EQ(test, swapout_accounted(test), nr);
	KUNIT_EXPECT_EQ(test, swapout_gpu_active(test), nr);
	KUNIT_EXPECT_EQ(test, backup_dma_mappings(), priv->before.dma_mappings);
	KUNIT_EXPECT_FALSE(test, swapout_unevictable(test, bo));
	KUNIT_EXPECT_TRUE(test, swapout_in_bulk(test, &bulk, bo));

	/* No user holds it any more, and another restore fails. */
	folio_put(held);
	swapout_memory_ends(test, 0);
	KUNIT_EXPECT_EQ(test, swapout_bo_populate(bo, false), -ENOMEM);
	backup_extraction_works(test);
	swapout_expect_as_before(test, bo);
	KUNIT_EXPECT_FALSE(test, swapout_in_bulk(test, &bulk, bo));

	swapout_expect_comes_back(test, bo);
}

#ifdef CONFIG_FAULT_INJECTION_DEBUG_FS
/*
 * What is back cannot go again for lack of memory, from one of the chunks on. It is
 * retained, goes with the next walk, or comes back with what has gone.
 */
static void swapin_no_memory_to_go_again(struct kunit *test, bool copies, bool walk)
{
	struct swapout_test *priv = test->priv;
	pgoff_t retained, last = SWAPOUT_PAGES;
	unsigned int n;

	for (n = 1; last; n++) {
		struct ttm_lru_bulk_move bulk;
		struct ttm_buffer_object *bo;
		struct ttm_backup_pages where;
		struct ttm_tt *tt;

		ttm_lru_bulk_move_init(&bulk);
		bo = swapout_bo(test, ttm_write_combined, SWAPOUT_PAGES, &bulk);
		tt = bo->ttm;
		KUNIT_EXPECT_EQ(test, swapout_run(test), SWAPOUT_PAGES);

		priv->insertion_fails = n;
		if (copies) {
			backup_extraction_fails(test);
			swapout_copies_end_at(test, 577);
			KUNIT_EXPECT_EQ(test, swapout_bo_populate(bo, false), -EIO);
			swapout_copies_work(test);
		} else {
			swapout_memory_ends(test, 3);
			KUNIT_EXPECT_EQ(test, swapout_bo_populate(bo, false), -ENOMEM);
		}
		priv->insertion_fails = 0;
		backup_interrupt_at(test, 0);
		backup_extraction_works(test);
		lru_add_drain_all();

		retained = tt->retained;
		KUNIT_ASSERT_LT(test, retained, last);
		ttm_tt_backup_pages(tt, &where);
		KUNIT_EXPECT_EQ(test, where.resident, retained);
		KUNIT_EXPECT_EQ(test, where.inserted, SWAPOUT_PAGES - retained);
		KUNIT_EXPECT_EQ(test, tt->backup->f_mapping->nrpages,
				SWAPOUT_PAGES - retained);
		KUNIT_EXPECT_EQ(test, ttm_tt_shrinkable_pages(tt), retained);
		KUNIT_EXPECT_EQ(test, swapout_accounted(test), retained);
		KUNIT_EXPECT_EQ(test, swapout_gpu_active(test), retained);
		KUNIT_EXPECT_EQ(test, backup_dma_mappings(), priv->before.dma_mappings);
		KUNIT_EXPECT_EQ(test, swapin_uncached_pages(tt), 0);
		KUNIT_EXPECT_EQ(test, swapout_unevictable(test, bo), !retained);
		KUNIT_EXPECT_EQ(test, swapout_in_bulk(test, &bulk, bo), !!retained);

		if (walk) {
			KUNIT_EXPECT_EQ(test, swapout_run(test), retained);
			swapout_expect_as_before(test, bo);
		}
		swapout_expect_comes_back(test, bo);
		last = retained;
	}
	/* Or this proves nothing */
	KUNIT_EXPECT_GT(test, n, 3);
}

static void swapout_no_memory_to_go_again(struct kunit *test)
{
	unsigned int round;

	swapout_device(test, 0);
	for (round = 0; round < 4; round++)
		swapin_no_memory_to_go_again(test, round & 1, round & 2);
}
#endif

/* A chunk cannot be mapped for DMA, while those before it are, and wait for their caching. */
static void swapout_mapping_fails(struct kunit *test)
{
	static const enum ttm_caching cachings[] = { ttm_cached, ttm_write_combined };
	struct ttm_buffer_object *bo;
	unsigned int round, call;
	unsigned long *pfns;
	int ret;

	swapout_device(test, 0);
	/* Extracted, copied to new chunks, and to chunks that are write-combined already */
	for (round = 0; round < 6; round++) {
		bo = swapout_bo(test, cachings[round % 2], SWAPOUT_PAGES, NULL);
		pfns = swapout_pfns(test, bo->ttm);
		KUNIT_EXPECT_EQ(test, swapout_run(test), SWAPOUT_PAGES);
		for (call = 1; call <= SWAPOUT_PAGES; call++) {
			if (round >= 2)
				backup_extraction_fails(test);
			if (round >= 4)
				swapout_fill_pools(test);
			swapout_map_fails(test, call);
			ret = swapout_bo_populate(bo, false);
			swapout_map_works(test);
			if (round >= 2)
				backup_extraction_works(test);
			if (!ret)
				break;
			KUNIT_EXPECT_EQ(test, ret, -EFAULT);
			lru_add_drain_all();
			swapout_expect_as_before(test, bo);
			KUNIT_EXPECT_EQ(test, swapout_run(test), 0);
		}
		KUNIT_EXPECT_EQ(test, ret, 0);
		/* One of each chunk */
		KUNIT_EXPECT_GT(test, call, 3);
		swapout_expect_populated(test, bo);
		if (round < 2)
			KUNIT_EXPECT_EQ(test, swapout_moved(bo->ttm, pfns), 0);
		swapout_bo_free(test, bo);
		swapout_expect_baseline(test);
	}
}

/* A copy ends in the midst of a chunk. */
static void swapout_copy_fails(struct kunit *test)
{
	static const pgoff_t places[] = { 0, 1, 300, 511, 512, 520, 575, 576, 578 };
	struct ttm_backup_pages where;
	struct ttm_buffer_object *bo;
	unsigned int i, round;
	struct ttm_tt *tt;

	swapout_device(test, 0);
	/*
	 * Copies of folios, of folios that were split, of pages that are copies, and to
	 * chunks that are write-combined already
	 */
	for (round = 0; round < 4; round++) {
		bo = swapout_bo(test, ttm_write_combined, SWAPOUT_PAGES, NULL);
		tt = bo->ttm;
		if (round == 2)
			swapout_pages_of_others(test, tt);
		KUNIT_EXPECT_EQ(test, swapout_run(test), SWAPOUT_PAGES);
		if (round == 1)
			backup_split_in_file(test, tt->backup, 0, tt->num_pages);

		backup_extraction_fails(test);
		for (i = 0; i < ARRAY_SIZE(places); i++) {
			if (round == 3)
				swapout_fill_pools(test);
			swapout_copy_ends_at(test, bo, places[i]);
			lru_add_drain_all();

			/* Others may have been merged, and are copies again. */
			if (round == 0 || round == 3)
				swapout_expect_as_before(test, bo);
			ttm_tt_backup_pages(tt, &where);
			KUNIT_EXPECT_EQ(test, where.resident, 0);
			KUNIT_EXPECT_EQ(test, where.backed_up, SWAPOUT_PAGES);
			KUNIT_EXPECT_EQ(test, swapout_accounted(test), 0);
			KUNIT_EXPECT_EQ(test, swapout_gpu_active(test), 0);
		}
		KUNIT_EXPECT_EQ(test, swapout_bo_populate(bo, false), 0);
		backup_extraction_works(test);
		swapout_expect_populated(test, bo);
		swapout_bo_free(test, bo);
		swapout_expect_baseline(test);
	}
}

#if defined(CONFIG_FAIL_PAGE_ALLOC) && defined(CONFIG_FAULT_INJECTION_DEBUG_FS)
/*
 * Swap splits a folio while it is copied to smaller chunks. Of what was copied by then
 * the file has a part, and what is copied after that leaves the file at once.
 */
static void swapout_split_while_copied(struct kunit *test)
{
	struct swapout_test *priv = test->priv;
	struct ttm_backup_pages where;
	struct ttm_buffer_object *bo;

	swapout_device(test, 0);
	bo = swapout_bo(test, ttm_write_combined, SWAPOUT_PAGES, NULL);
	KUNIT_EXPECT_EQ(test, swapout_run(test), SWAPOUT_PAGES);

	backup_extraction_fails(test);
	backup_memory_fails(test, 0, -1);
	backup_memory_fails_from(5);
	priv->split_at = 6;
	swapout_copies_end_at(test, 24);
	KUNIT_EXPECT_EQ(test, swapout_bo_populate(bo, false), -EIO);
	swapout_copies_work(test);
	backup_memory_works(test);
	backup_extraction_works(test);
	lru_add_drain_all();

	ttm_tt_backup_pages(bo->ttm, &where);
	KUNIT_EXPECT_EQ(test, where.resident, 0);
	KUNIT_EXPECT_EQ(test, where.backed_up, SWAPOUT_PAGES);
	KUNIT_EXPECT_EQ(test, swapout_accounted(test), 0);
	KUNIT_EXPECT_EQ(test, swapout_gpu_active(test), 0);

	swapout_expect_comes_back(test, bo);
}

/*
 * Swap has returned smaller folios, and there is no memory for all of them: those that
 * are back go again as they are, since a copy of them would need memory as well.
 */
static void swapout_pieces_go_again(struct kunit *test)
{
	static const unsigned int allowed[] = { 2, 3, 40, 68 };
	struct ttm_buffer_object *bo;
	unsigned long *pfns;
	unsigned int i;
	int ret;

	swapout_device(test, 0);
	for (i = 0; i < ARRAY_SIZE(allowed); i++) {
		bo = swapout_bo(test, ttm_write_combined, SWAPOUT_PAGES, NULL);
		pfns = swapout_pfns(test, bo->ttm);
		KUNIT_EXPECT_EQ(test, swapout_run(test), SWAPOUT_PAGES);
		backup_split_in_file(test, bo->ttm->backup, 3, SWAPOUT_PAGES);
		lru_add_drain_all();

		/* Nor is there a chunk that they could be merged to. */
		backup_memory_fails(test, 0, -1);
		backup_memory_fails_from(4);
		swapout_memory_ends(test, allowed[i]);
		ret = swapout_bo_populate(bo, false);
		backup_extraction_works(test);
		KUNIT_EXPECT_EQ(test, ret, -ENOMEM);
		swapout_expect_as_before(test, bo);
		lru_add_drain_all();

		KUNIT_EXPECT_EQ(test, swapout_bo_populate(bo, false), 0);
		backup_memory_works(test);
		swapout_expect_populated(test, bo);
		KUNIT_EXPECT_EQ(test, swapout_moved(bo->ttm, pfns), 0);
		swapout_bo_free(test, bo);
		swapout_expect_baseline(test);
	}
}

/* And those are not taken for the folio that they were a part of when all is dropped. */
static void swapout_pieces_are_dropped(struct kunit *test)
{
	struct ttm_buffer_object *bo;
	struct folio *held;

	swapout_device(test, 0);
	bo = swapout_bo(test, ttm_cached, SWAPOUT_PAGES, NULL);
	held = page_folio(bo->ttm->pages[512]);
	folio_get(held);
	KUNIT_EXPECT_EQ(test, swapout_run(test), SWAPOUT_PAGES - 64);
	backup_split_in_file(test, bo->ttm->backup, 3, 512);
	lru_add_drain_all();

	backup_memory_fails(test, 0, -1);
	backup_memory_fails_from(4);
	swapout_memory_ends(test, 2);
	KUNIT_EXPECT_EQ(test, swapout_bo_populate(bo, false), -ENOMEM);
	backup_extraction_works(test);
	backup_memory_works(test);
	/* Or this proves nothing */
	KUNIT_EXPECT_EQ(test, bo->ttm->retained, 64);

	swapout_bo_free(test, bo);
	KUNIT_EXPECT_EQ(test, folio_ref_count(held), 1);
	folio_put(held);
	swapout_expect_baseline(test);
}

/*
 * A chunk that was half restored was taken apart, and there was no memory to swap its
 * pages out again. Single pages of a folio are no pages for a pool.
 */
static void swapout_parts_stay_out_of_the_pools(struct kunit *test)
{
	struct ttm_buffer_object *bo;
	struct folio *folio;
	struct page *last;
	struct ttm_tt *tt;

	if (!IS_ENABLED(CONFIG_MEMORY_FAILURE))
		kunit_skip(test, "needs CONFIG_MEMORY_FAILURE");

	swapout_device(test, 0);
	bo = swapout_bo(test, ttm_write_combined, SWAPOUT_PAGES, NULL);
	tt = bo->ttm;
	/* What is copied back leaves the file page by page then. */
	swapout_pages_of_others(test, tt);
	KUNIT_EXPECT_EQ(test, swapout_run(test), SWAPOUT_PAGES);

	/* The chunk, what describes the restore, and some pages */
	backup_memory_fails(test, 512 + 8, -1);
	swapout_copy_ends_at(test, bo, 300);
	backup_memory_works(test);
	KUNIT_ASSERT_GT(test, tt->retained, 0);
	KUNIT_ASSERT_LT(test, tt->retained, 300);
	/* Or this proves nothing */
	last = tt->pages[299];
	KUNIT_ASSERT_FALSE(test, ttm_backup_page_ptr_is_handle(last));
	KUNIT_ASSERT_TRUE(test, PageTail(last));
	folio = page_folio(last);
	folio_get(folio);

	KUNIT_EXPECT_EQ(test, swapout_bo_populate(bo, false), 0);
	swapout_expect_populated(test, bo);
	KUNIT_EXPECT_PTR_EQ(test, tt->pages[299], last);
	swapout_bo_free(test, bo);
	KUNIT_EXPECT_TRUE(test, PageTail(last));
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	KUNIT_EXPECT_EQ(test, backup_page_caching(last), ttm_cached);
	folio_put(folio);
	swapout_expect_baseline(test);
}
#endif

#ifdef CONFIG_X86
/* All of it is extracted, and does not get its caching back. */
static void swapin_caching_fails(struct kunit *test)
{
	static const enum ttm_caching cachings[] = { ttm_write_combined, ttm_uncached };
	struct ttm_buffer_object *bo;
	unsigned int i;

	swapout_device(test, BACKUP_POOL_MAPPED);
	for (i = 0; i < ARRAY_SIZE(cachings); i++) {
		bo = swapout_bo(test, cachings[i], SWAPOUT_PAGES, NULL);
		KUNIT_EXPECT_EQ(test, swapout_run(test), SWAPOUT_PAGES);
		swapout_caching_fails(test, 1);
		KUNIT_EXPECT_EQ(test, swapout_bo_populate(bo, false), -ENOMEM);
		swapout_caching_works(test);
		swapout_expect_as_before(test, bo);
		swapout_expect_comes_back(test, bo);
	}
}

/*
 * The second chunk is copied to one that is write-combined already. The caching of what
 * is before that one fails to change, or of what is behind it.
 */
static void swapin_caching_fails_in_between(struct kunit *test)
{
	struct ttm_buffer_object *bo, *other;
	struct page *pooled;
	struct folio *held;
	unsigned int call;

	swapout_device(test, BACKUP_POOL_MAPPED);
	for (call = 1; call <= 2; call++) {
		bo = swapout_bo(test, ttm_write_combined, SWAPOUT_PAGES, NULL);
		KUNIT_EXPECT_EQ(test, swapout_run(test), SWAPOUT_PAGES);
		/* Busy, so it is not extracted. */
		held = filemap_get_folio(bo->ttm->backup->f_mapping, 512);
		KUNIT_ASSERT_FALSE(test, IS_ERR(held));
		other = swapout_bo(test, ttm_write_combined, SWAPOUT_PAGES, NULL);
		pooled = other->ttm->pages[512];
		swapout_bo_free(test, other);

		swapout_caching_fails(test, call);
		KUNIT_EXPECT_EQ(test, swapout_bo_populate(bo, false), -ENOMEM);
		swapout_caching_works(test);
		folio_put(held);
		/* It has been freed, or is in the file. */
		KUNIT_EXPECT_EQ(test, backup_page_caching(pooled), ttm_cached);
		lru_add_drain_all();
		swapout_expect_as_before(test, bo);
		swapout_expect_comes_back(test, bo);
	}
}

/* Pages that cannot be made write-back cached stay, and the restore goes on later. */
static void swapin_fails_to_write_back(struct kunit *test)
{
	struct ttm_buffer_object *bo;

	swapout_device(test, 0);
	bo = swapout_bo(test, ttm_write_combined, SWAPOUT_PAGES, NULL);
	swapout_reach(test, bo, SWAPOUT_HALF_RESTORED);
	KUNIT_EXPECT_EQ(test, swapout_accounted(test), bo->ttm->accounted);
	KUNIT_EXPECT_EQ(test, swapout_gpu_active(test), bo->ttm->accounted);
	KUNIT_EXPECT_EQ(test, ttm_tt_shrinkable_pages(bo->ttm), 0);
	KUNIT_EXPECT_EQ(test, swapout_run(test), 0);
	KUNIT_EXPECT_EQ(test, ttm_tt_swapout(bo->bdev, bo->ttm, GFP_KERNEL), -EBUSY);

	swapout_expect_comes_back(test, bo);
}
#endif

static int swapin_debug(struct ttm_buffer_object *bo, vm_flags_t flags, fmode_t mode,
			u64 *word, bool write)
{
	struct vm_area_struct vma = {
		.vm_start = PAGE_SIZE,
		.vm_end = PAGE_SIZE + bo->base.size,
		.vm_private_data = bo,
	};
	struct file *file = kzalloc_obj(*file, GFP_KERNEL | __GFP_NOFAIL);
	int ret;

	file->f_mode = mode;
	vma.vm_file = file;
	vm_flags_init(&vma, flags);
	ret = ttm_bo_vm_access(&vma, vma.vm_start + 3 * PAGE_SIZE - 4, word,
			       sizeof(*word), write);
	kfree(file);

	return ret;
}

/*
 * A debugger reads all that is mapped, and writes what its task may write or might
 * if it mapped it anew.
 */
static void swapout_read_only_mapping(struct kunit *test)
{
	static const struct {
		vm_flags_t flags;
		fmode_t mode;
		int ret;
	} mappings[] = {
		{ VM_READ | VM_MAYREAD | VM_MAYSHARE, FMODE_READ, -EACCES },
		/* of a file like this, but the driver does not want that */
		{ VM_READ | VM_MAYREAD | VM_MAYSHARE, FMODE_READ | FMODE_WRITE, -EACCES },
		{ VM_READ | VM_MAYREAD, FMODE_READ, -EACCES },
		/* amdgpu's of PROT_NONE and MAP_PRIVATE */
		{ VM_MAYREAD, FMODE_READ | FMODE_WRITE, sizeof(u64) },
		{ VM_READ | VM_SHARED | VM_MAYREAD | VM_MAYWRITE | VM_MAYSHARE,
		  FMODE_READ | FMODE_WRITE, sizeof(u64) },
		{ VM_READ | VM_WRITE | VM_SHARED | VM_MAYREAD | VM_MAYWRITE | VM_MAYSHARE,
		  FMODE_READ | FMODE_WRITE, sizeof(u64) },
	};
	const vm_flags_t all = VM_READ | VM_WRITE | VM_SHARED | VM_MAYREAD | VM_MAYWRITE |
			       VM_MAYSHARE;
	struct ttm_buffer_object *bo;
	u64 word, was;
	unsigned int i;

	swapout_device(test, 0);
	bo = swapout_bo(test, ttm_write_combined, SWAPOUT_PAGES, NULL);
	KUNIT_ASSERT_EQ(test, sizeof(was),
			swapin_debug(bo, all, FMODE_READ | FMODE_WRITE, &was, false));
	for (i = 0; i < ARRAY_SIZE(mappings); i++) {
		vm_flags_t flags = mappings[i].flags;
		fmode_t mode = mappings[i].mode;
		int ret = mappings[i].ret;
		u64 new = was + 1;

		KUNIT_EXPECT_EQ(test, swapout_run(test), SWAPOUT_PAGES);
		KUNIT_EXPECT_EQ_MSG(test, ret, swapin_debug(bo, flags, mode, &new, true),
				    "mapping %u", i);
		if (ret < 0)
			swapout_expect_swapped(test, bo);
		KUNIT_EXPECT_EQ(test, sizeof(word),
				swapin_debug(bo, flags, mode, &word, false));
		KUNIT_EXPECT_EQ_MSG(test, word, ret < 0 ? was : new, "mapping %u", i);
		KUNIT_EXPECT_EQ(test, sizeof(was),
				swapin_debug(bo, all, FMODE_READ | FMODE_WRITE, &was, true));
		swapout_expect_populated(test, bo);
	}
	swapout_bo_free(test, bo);
	swapout_expect_baseline(test);
}

static struct kunit_case swapin_cases[] = {
	KUNIT_CASE(swapout_signals_are_ignored),
	KUNIT_CASE(swapout_no_memory_for_the_rest),
#ifdef CONFIG_MEMCG
	KUNIT_CASE(swapout_limit_is_not_met),
#endif
	KUNIT_CASE(swapout_rest_cannot_go),
#ifdef CONFIG_FAULT_INJECTION_DEBUG_FS
	KUNIT_CASE(swapout_no_memory_to_go_again),
#endif
	KUNIT_CASE(swapout_mapping_fails),
	KUNIT_CASE(swapout_copy_fails),
	KUNIT_CASE(swapout_read_only_mapping),
#if defined(CONFIG_FAIL_PAGE_ALLOC) && defined(CONFIG_FAULT_INJECTION_DEBUG_FS)
	KUNIT_CASE(swapout_split_while_copied),
	KUNIT_CASE(swapout_pieces_go_again),
	KUNIT_CASE(swapout_pieces_are_dropped),
	KUNIT_CASE(swapout_parts_stay_out_of_the_pools),
#endif
#ifdef CONFIG_X86
	KUNIT_CASE(swapin_caching_fails),
	KUNIT_CASE(swapin_caching_fails_in_between),
	KUNIT_CASE(swapin_fails_to_write_back),
#endif
	{}
};

static struct kunit_suite swapin_suite = {
	.name = "ttm_swapin",
	.suite_init = backup_suite_init,
	.init = swapout_init,
	.test_cases = swapin_cases,
};

kunit_test_suites(&swapin_suite);
