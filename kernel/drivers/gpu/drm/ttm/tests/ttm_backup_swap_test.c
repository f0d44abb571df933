// SPDX-License-Identifier: MIT
/*
 * KUnit tests of the backup of a struct ttm_tt to swap, and of its restore from there.
 *
 * The suite needs a swap device, so it is skipped at boot; enable swap and write to its
 * "run" file in debugfs.
 */

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sizes.h>
#include <linux/swap.h>
#include <linux/vmstat.h>
#include <linux/xarray.h>

#include <drm/ttm/ttm_allocation.h>
#include <drm/ttm/ttm_backup.h>

#include "../ttm_backup_file.h"
#include "../ttm_backup_restore.h"
#include "ttm_backup_test_fixture.h"

/* Where swap takes no large folio, each is split for it. */
static void backup_needs_whole_in_swap(struct kunit *test, struct ttm_tt *tt)
{
	backup_needs_large(test, tt);
	if (!IS_ENABLED(CONFIG_THP_SWAP))
		kunit_skip(test, "needs CONFIG_THP_SWAP");
}

/* Back up with writeback. True if all of it is in swap then, as large as swap takes it. */
static bool backup_to_swap(struct kunit *test, struct ttm_tt *tt)
{
	struct backup_test *priv = test->priv;
	struct ttm_backup_flags writeback = { .writeback = 1 };
	struct xarray *pages = &tt->backup->f_mapping->i_pages;
	unsigned long index, entries = 0, expected, out;
	void *entry;

	expected = hweight32(tt->num_pages % 512) + tt->num_pages / 512;
	if (!folio_test_large(backup_tt_folio(tt, 0)) || !IS_ENABLED(CONFIG_THP_SWAP))
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

static void backup_through_swap(struct kunit *test)
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
static void backup_swap_cache_is_enough(struct kunit *test)
{
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 1100, true);
	struct page **before = backup_page_array(test, tt);

	if (folio_test_large(backup_tt_folio(tt, 0)))
		backup_needs_whole_in_swap(test, tt);
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

static void backup_drop_reads_nothing_from_swap(struct kunit *test)
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

static void backup_retained_chunk_follows_to_swap(struct kunit *test)
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
static void backup_single_pages_will_do(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_operation_ctx ctx = {};
	int times;

	for (times = 1; times <= 4; times++) {
		struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 512,
						     true);
		struct folio *folio = backup_tt_folio(tt, 0);

		backup_needs_whole_in_swap(test, tt);
		KUNIT_ASSERT_TRUE(test, backup_to_swap(test, tt));
		backup_leave_swap_cache(test, folio);
		/* The state of a restore takes memory, too: let it have that. */
		KUNIT_ASSERT_EQ(test, backup_interrupted_restore(test, tt, 1),
				-EINTR);
		/* The pools must not satisfy an allocation that is meant to fail. */
		backup_empty_pools(priv->before.gpu_reclaim);
		backup_memory_fails(test, 0, times);
		KUNIT_EXPECT_EQ_MSG(test, ttm_tt_populate(&priv->bdev, tt, &ctx), 0,
				    "%d failures", times);
		KUNIT_EXPECT_EQ(test, backup_memory_works(test), 0);
		backup_expect_populated(test, tt);
		backup_tt_free(test, tt);
	}
	backup_expect_baseline(test);
}

#ifdef CONFIG_NUMA
/* What the pool of a node reads from swap lies there, whoever asks, and stays. */
static void backup_read_to_the_node(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	int nid;

	if (num_node_state(N_MEMORY) < 2)
		kunit_skip(test, "the machine has one node");

	for_each_node_state(nid, N_MEMORY) {
		struct folio *folios[2];
		struct ttm_tt *tt;
		pgoff_t i, n = 0;

		set_dev_node(priv->dev, nid);
		backup_device(test, 0);
		tt = backup_filled_tt(test, ttm_write_combined, 1024, true);
		backup_needs_whole_in_swap(test, tt);
		folios[0] = backup_tt_folio(tt, 0);
		folios[1] = backup_tt_folio(tt, 512);
		KUNIT_ASSERT_TRUE(test, backup_to_swap(test, tt));
		backup_leave_swap_cache(test, folios[0]);
		backup_leave_swap_cache(test, folios[1]);

		backup_restore(test, tt);
		backup_expect_populated(test, tt);
		backup_expect_restored(test, tt, 0, 1024, 0);
		for (i = 0; i < 1024; i++)
			n += page_to_nid(tt->pages[i]) == nid;
		KUNIT_EXPECT_EQ_MSG(test, n, 1024, "node %d", nid);
		KUNIT_EXPECT_EQ(test, backup_order(test, tt, 0), 9);
		KUNIT_EXPECT_EQ(test, backup_order(test, tt, 512), 9);

		backup_tt_free(test, tt);
		kunit_release_action(test, backup_device_fini, priv);
		backup_expect_baseline(test);
	}
}
#endif

/* Populates while no allocation of at least this order works. */
static int backup_populate_below(struct kunit *test, struct ttm_tt *tt,
				 struct ttm_operation_ctx *ctx, unsigned int order)
{
	struct backup_test *priv = test->priv;
	int ret;

	backup_memory_fails(test, 0, -1);
	backup_memory_fails_from(order);
	ret = ttm_tt_populate(&priv->bdev, tt, ctx);
	backup_memory_works(test);

	return ret;
}

/* In swap as one, of which so many single pages have come back */
static struct ttm_tt *backup_part_of_a_folio(struct kunit *test, pgoff_t nr)
{
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 512, true);
	struct ttm_operation_ctx ctx = { .interruptible = true };
	struct folio *folio = backup_tt_folio(tt, 0);

	backup_needs_whole_in_swap(test, tt);
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
static void backup_smaller_folios_leave(struct kunit *test)
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
static void backup_drop_half_of_a_folio(struct kunit *test)
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
static void backup_as_large_as_possible(struct kunit *test)
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

			backup_needs_whole_in_swap(test, tt);
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
static void backup_merged(struct kunit *test)
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

/* Of what has been copied, no more than 64 KiB are in the file still. */
static int backup_restore_page_counted(struct file *backup, struct page *dst,
				       unsigned long handle, bool intr, gfp_t gfp)
{
	struct kunit *test = kunit_get_current_test();
	pgoff_t idx = ttm_backup_handle_idx(handle);
	pgoff_t left = file_inode(backup)->i_blocks / (PAGE_SIZE / SECTOR_SIZE);
	int ret;

	KUNIT_EXPECT_LT_MSG(test, idx + left, 67 + (SZ_64K >> PAGE_SHIFT), "page %lu", idx);
	kunit_deactivate_static_stub(test, ttm_backup_restore_page);
	ret = ttm_backup_restore_page(backup, dst, handle, intr, gfp);
	kunit_activate_static_stub(test, ttm_backup_restore_page,
				   backup_restore_page_counted);

	return ret;
}

/* A large chunk that is merged does not take twice its size meanwhile. */
static void backup_merged_without_more_memory(struct kunit *test)
{
	struct ttm_tt *tt = backup_small_tt(test, ttm_cached, 67);

	kunit_activate_static_stub(test, ttm_backup_restore_page,
				   backup_restore_page_counted);
	backup_restore(test, tt);
	kunit_deactivate_static_stub(test, ttm_backup_restore_page);
	KUNIT_EXPECT_EQ(test, backup_restored_since(tt, TTM_RESTORE_MERGED), 64);
	backup_expect_populated(test, tt);
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
}

static void backup_no_memory_to_merge(struct kunit *test)
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
static void backup_taken_ahead_of_their_turn(struct kunit *test)
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
static void backup_interrupted_merge(struct kunit *test)
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
static void backup_effort(struct kunit *test)
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
static void backup_not_merged_with_retained(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_tt *tt = backup_small_tt(test, ttm_cached, 67);
	struct ttm_operation_ctx ctx = {};
	struct page *page;

	/* Back as it is, and out again except for one that is held */
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

static void backup_swap_is_seen(struct kunit *test)
{
	kunit_deactivate_static_stub(test, ttm_backup_bytes_avail);
	KUNIT_EXPECT_GT(test, ttm_backup_bytes_avail(), 0);
}

static struct kunit_case backup_swap_cases[] = {
	KUNIT_CASE_SLOW(backup_through_swap),
	KUNIT_CASE_SLOW(backup_swap_cache_is_enough),
	KUNIT_CASE_SLOW(backup_drop_reads_nothing_from_swap),
	KUNIT_CASE_SLOW(backup_retained_chunk_follows_to_swap),
	KUNIT_CASE(backup_copies_go_to_swap),
#if defined(CONFIG_FAIL_PAGE_ALLOC) && defined(CONFIG_FAULT_INJECTION_DEBUG_FS)
	KUNIT_CASE_SLOW(backup_single_pages_will_do),
	KUNIT_CASE(backup_smaller_folios_leave),
#ifdef CONFIG_NUMA
	KUNIT_CASE(backup_read_to_the_node),
#endif
	KUNIT_CASE_SLOW(backup_drop_half_of_a_folio),
	KUNIT_CASE_SLOW(backup_as_large_as_possible),
	KUNIT_CASE(backup_merged),
	KUNIT_CASE(backup_merged_without_more_memory),
	KUNIT_CASE(backup_no_memory_to_merge),
	KUNIT_CASE(backup_taken_ahead_of_their_turn),
	KUNIT_CASE(backup_interrupted_merge),
	KUNIT_CASE(backup_not_merged_with_retained),
	KUNIT_CASE(backup_effort),
#endif
	KUNIT_CASE(backup_swap_is_seen),
	{}
};

static struct kunit_suite backup_swap_suite = {
	.name = "ttm_backup_swap",
	.init = backup_swap_init,
	.test_cases = backup_swap_cases,
};

kunit_test_suite(backup_swap_suite);
