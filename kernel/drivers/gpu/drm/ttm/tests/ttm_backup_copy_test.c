// SPDX-License-Identifier: MIT
/*
 * KUnit tests of the backup of a struct ttm_tt by a copy, where insertion is refused
 * or the pages are none of shmem's, and of what is left of it without memory.
 */

#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/swap.h>
#include <linux/vmstat.h>
#include <linux/xarray.h>

#include <drm/ttm/ttm_backup.h>

#include "../ttm_backup_file.h"
#include "../ttm_pool_internal.h"
#include "ttm_backup_test_fixture.h"

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
static void backup_pages_of_others_are_copied(struct kunit *test)
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
static void backup_compound_pages_of_others_are_copied(struct kunit *test)
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

/* A pool gives pages that it was given to the next user. */
static void backup_pages_of_others_from_a_pool(struct kunit *test)
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

static void backup_copy_of_a_large_folio_is_all_or_nothing(struct kunit *test)
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
static void backup_part_of_a_block_is_copied(struct kunit *test)
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
	/* It was taken apart and copied, and only this test has a reference. */
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	folio_put(folio);
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
}

/* Taken apart, and then no more memory for the copy of its last pages */
static void backup_drop_of_a_folio_taken_apart(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_tt *tt = backup_filled_tt(test, ttm_cached, 96, true);
	struct folio *folio = backup_tt_folio(tt, 64);
	struct ttm_operation_ctx ctx = {};

	KUNIT_ASSERT_EQ(test, backup_order(test, tt, 64), 5);
	backup_plain_file(test, tt);
	backup_needs_large(test, tt);
	KUNIT_ASSERT_EQ(test, backup_run_with_pages(test, tt, 72), 64);

	folio_get(folio);
	backup_memory_fails(test, 64 + 24, -1);
	KUNIT_EXPECT_EQ(test, ttm_tt_populate(&priv->bdev, tt, &ctx), -ENOMEM);
	backup_memory_works(test);
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

/* Where there was no memory for one copy, the others are not tried. */
static void backup_copies_end_without_memory(struct kunit *test)
{
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 192, true);

	backup_needs_large(test, tt);
	backup_make_foreign(test, tt);
	backup_memory_fails(test, 40, 1);
	KUNIT_EXPECT_EQ(test, backup_run(test, tt), -ENOMEM);
	backup_memory_works(test);
	backup_expect_populated(test, tt);
	KUNIT_EXPECT_EQ(test, backup_run(test, tt), 192);
	backup_expect_round_trip(test, tt);
}

/* Where a copy has failed, what can be inserted goes nevertheless. */
static void backup_goes_on_after_a_copy(struct kunit *test)
{
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 192, true);

	backup_needs_large(test, tt);
	KUNIT_ASSERT_EQ(test, backup_order(test, tt, 0), 7);
	KUNIT_ASSERT_EQ(test, backup_order(test, tt, 128), 6);
	tt->pages[0]->private &= ~TTM_POOL_PAGE_FOLIO;
	KUNIT_EXPECT_EQ(test, backup_run_with_pages(test, tt, 40), 64);
	backup_expect_pages(test, tt, 128, 64, 64);
	backup_expect_retained(test, tt, 128);

	KUNIT_EXPECT_EQ(test, backup_run(test, tt), 128);
	backup_expect_pages(test, tt, 0, 192, 64);
	backup_expect_round_trip(test, tt);
}

/* Insertion hardly needs any memory. */
static void backup_succeeds_without_memory(struct kunit *test)
{
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 1100, true);

	KUNIT_EXPECT_EQ(test, backup_run_with_pages(test, tt, 8), 1100);
	backup_expect_backed_up(test, tt);
	backup_expect_round_trip(test, tt);
}
#endif

static struct kunit_case backup_copy_cases[] = {
	KUNIT_CASE(backup_plain_pages_in_a_plain_file),
	KUNIT_CASE(backup_folios_in_a_plain_file),
	KUNIT_CASE(backup_pages_of_others_are_copied),
	KUNIT_CASE(backup_compound_pages_of_others_are_copied),
	KUNIT_CASE(backup_pages_of_others_from_a_pool),
	KUNIT_CASE(backup_writeback_without_swap),
#if defined(CONFIG_FAIL_PAGE_ALLOC) && defined(CONFIG_FAULT_INJECTION_DEBUG_FS)
	KUNIT_CASE(backup_succeeds_without_memory),
	KUNIT_CASE(backup_goes_on_after_a_copy),
	KUNIT_CASE(backup_copies_end_without_memory),
	KUNIT_CASE(backup_copy_of_a_large_folio_is_all_or_nothing),
	KUNIT_CASE(backup_part_of_a_block_is_copied),
	KUNIT_CASE(backup_copy_of_a_folio_is_all_or_nothing),
	KUNIT_CASE(backup_copy_retains_a_folio),
	KUNIT_CASE(backup_drop_of_a_folio_taken_apart),
#endif
	{}
};

static struct kunit_suite backup_copy_suite = {
	.name = "ttm_backup_copy",
	.suite_init = backup_suite_init,
	.init = backup_init,
	.test_cases = backup_copy_cases,
};

kunit_test_suite(backup_copy_suite);
