// SPDX-License-Identifier: MIT
/*
 * KUnit tests of the caching of pages on their way to a backup and back: what fails, what
 * is undone, and what the kernel's mapping of huge pages becomes.
 */

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/dma-mapping.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/vmstat.h>

#ifdef CONFIG_X86
#include <asm/memtype.h>
#include <asm/set_memory.h>
#endif

#include "../ttm_pool_internal.h"
#include "ttm_backup_test_fixture.h"

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

static void backup_write_back_fails(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579, true);

	backup_caching_fails(test, 1, 0);
	KUNIT_EXPECT_EQ(test, backup_run(test, tt), -ENOMEM);
	/* and once more for each chunk, whose caching is known then */
	KUNIT_EXPECT_EQ(test, priv->wb_calls, 1 + hweight_long(579));
	backup_expect_populated(test, tt);
	KUNIT_EXPECT_EQ(test, backup_node_stat(NR_SHMEM), priv->before.shmem);
	KUNIT_EXPECT_EQ(test, backup_node_stat(NR_GPU_ACTIVE) -
			priv->before.gpu_active, 579);

	kunit_deactivate_static_stub(test, ttm_pool_set_caching);
	KUNIT_EXPECT_EQ(test, backup_run(test, tt), 579);
	backup_expect_backed_up(test, tt);
	backup_expect_round_trip(test, tt);
}

/* The pages before two holes, between them, or after them */
static void backup_write_back_fails_at_a_hole(struct kunit *test)
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

static int backup_fake_page_set_wb(struct page *p, unsigned int order)
{
	struct backup_test *priv = kunit_get_current_test()->priv;

	priv->wb_calls++;

	return -ENOMEM;
}

/* Leaked rather than given to a user that relies on write-back caching */
static void backup_write_back_fails_when_freed(struct kunit *test)
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
				backup_expected_caching(page + i, ttm_write_combined));
	/* It is still counted as GPU memory. */
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

static void backup_caching_fails_in_restore(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_operation_ctx ctx = {};
	unsigned int round;

	priv->bdev.pool.alloc_flags |= BACKUP_POOL_MAPPED;
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
static void backup_caching_fails_in_allocation(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_operation_ctx ctx = {};
	struct page **pages;
	struct ttm_tt *tt;

	priv->bdev.pool.alloc_flags |= BACKUP_POOL_MAPPED;
	tt = backup_filled_tt(test, ttm_write_combined, 67, false);
	pages = backup_page_array(test, tt);
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
static void backup_large_mapping_stays_large(struct kunit *test)
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
static void backup_part_of_a_huge_folio(struct kunit *test)
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
static void backup_caching_of_a_folio_fails(struct kunit *test)
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

/* Large entries are kept if there are other pages in the array. */
static void backup_huge_folios_among_others(struct kunit *test)
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
static void backup_adjacent_huge_pages(struct kunit *test)
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
static void backup_part_of_a_huge_folio_in_any_order(struct kunit *test)
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
static void backup_pages_in_any_order(struct kunit *test)
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
 * Pages that are not part of a compound page may be freed one by one. No large
 * entry may be left that has to be split for that, which needs memory.
 */
static void backup_separate_pages_need_no_memory(struct kunit *test)
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
static void backup_refused_page_keeps_its_caching(struct kunit *test)
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

#ifdef CONFIG_HIGHMEM
/* Pages that the kernel has no mapping of, among others and alone */
static void backup_high_memory_is_skipped(struct kunit *test)
{
	static const unsigned int orders[] = { 0, 2, PMD_ORDER };
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		struct folio *high = folio_alloc(GFP_HIGHUSER, orders[i]);
		struct folio *low = folio_alloc(GFP_KERNEL, orders[i]);
		struct page **pages = backup_folio_pages(test, high, low);
		struct page **other = backup_folio_pages(test, low, high);
		pgoff_t nr = folio_nr_pages(low);

		if (!folio_test_highmem(high)) {
			folio_put(low);
			folio_put(high);
			kunit_skip(test, "needs high memory");
		}

		for (j = 0; j < ARRAY_SIZE(backup_cachings); j++) {
			enum ttm_caching caching = backup_cachings[j];

			KUNIT_EXPECT_EQ(test, 0, ttm_pool_set_caching(pages, nr, caching));
			KUNIT_EXPECT_EQ(test, 0, backup_uncached_pages(pages, 2 * nr));
			KUNIT_EXPECT_EQ(test, 0, ttm_pool_set_caching(pages, 2 * nr, caching));
			KUNIT_EXPECT_EQ(test, nr,
					backup_pages_of_caching(other, nr, caching));
			KUNIT_EXPECT_EQ(test, 0,
					ttm_pool_set_caching(other, 2 * nr, ttm_cached));
			KUNIT_EXPECT_EQ(test, 0, backup_uncached_pages(pages, 2 * nr));
			KUNIT_EXPECT_EQ(test, 0, ttm_pool_set_caching(other, 2 * nr, caching));
			KUNIT_EXPECT_EQ(test, nr,
					backup_pages_of_caching(other, nr, caching));
			KUNIT_EXPECT_EQ(test, 0,
					ttm_pool_set_caching(pages, 2 * nr, ttm_cached));
			KUNIT_EXPECT_EQ(test, 0, backup_uncached_pages(pages, 2 * nr));
		}
		folio_put(low);
		folio_put(high);
	}
}
#endif

/* A backup that got nowhere, and cannot go back either */
static void backup_cancel_fails(struct kunit *test)
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
		/* Backed up without a page, so that it is not used as it is */
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
static void backup_cancel_fails_beside_a_hole(struct kunit *test)
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
static void backup_cancel_fails_to_map(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct folio *folio[8];
	unsigned int n, i, call;

	for (call = 1, n = 1; call <= n; call++) {
		struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579,
						     true);

		n = backup_hold_chunks(test, tt, folio, ARRAY_SIZE(folio));
		backup_map_fails(test, tt, call);
		/* Backed up without a page, so that it is not used as it is */
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
/*
 * A retained chunk that waits for its caching gets it when a page comes from the
 * pool that has it already. If the restore goes no further, all of that has to
 * be undone.
 */
static void backup_caching_is_not_forgotten(struct kunit *test)
{
	struct page **pages;
	struct ttm_tt *tt = backup_retained_chunk(test, false, &pages);

	backup_extraction_fails(test);
	KUNIT_ASSERT_EQ(test, backup_interrupted_restore(test, tt, 2), -EINTR);
	/* Or this proves nothing */
	KUNIT_ASSERT_EQ(test, backup_page_caching(pages[0]),
			backup_expected_caching(pages[0], ttm_write_combined));
	backup_expect_restored(test, tt, 512, 0, 0);
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
	KUNIT_EXPECT_EQ(test, backup_uncached_pages(pages, 579), 0);
}
#endif

/* The same where mapping the next chunk for DMA fails. */
static void backup_caching_survives_a_failed_mapping(struct kunit *test)
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
				backup_expected_caching(pages[0], ttm_write_combined));
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

static struct kunit_case backup_caching_cases[] = {
#ifdef CONFIG_X86
	KUNIT_CASE(backup_write_back_fails),
	KUNIT_CASE(backup_write_back_fails_at_a_hole),
	KUNIT_CASE(backup_write_back_fails_when_freed),
#endif
#ifdef CONFIG_X86
	KUNIT_CASE(backup_caching_fails_in_restore),
	KUNIT_CASE(backup_caching_fails_in_allocation),
	KUNIT_CASE(backup_large_mapping_stays_large),
	KUNIT_CASE(backup_part_of_a_huge_folio),
	KUNIT_CASE(backup_caching_of_a_folio_fails),
	KUNIT_CASE(backup_huge_folios_among_others),
	KUNIT_CASE(backup_adjacent_huge_pages),
	KUNIT_CASE(backup_part_of_a_huge_folio_in_any_order),
	KUNIT_CASE(backup_pages_in_any_order),
	KUNIT_CASE(backup_separate_pages_need_no_memory),
	KUNIT_CASE(backup_refused_page_keeps_its_caching),
#ifdef CONFIG_HIGHMEM
	KUNIT_CASE(backup_high_memory_is_skipped),
#endif
	KUNIT_CASE(backup_cancel_fails),
	KUNIT_CASE(backup_cancel_fails_beside_a_hole),
#endif
	KUNIT_CASE(backup_cancel_fails_to_map),
#ifdef CONFIG_FAULT_INJECTION_DEBUG_FS
	KUNIT_CASE(backup_caching_is_not_forgotten),
#endif
	KUNIT_CASE(backup_caching_survives_a_failed_mapping),
	{}
};

static struct kunit_suite backup_caching_suite = {
	.name = "ttm_backup_caching",
	.suite_init = backup_suite_init,
	.init = backup_init,
	.test_cases = backup_caching_cases,
};

kunit_test_suite(backup_caching_suite);
