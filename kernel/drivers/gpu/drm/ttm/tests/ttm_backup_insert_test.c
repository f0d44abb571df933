// SPDX-License-Identifier: MIT
/*
 * KUnit tests of the backup of a struct ttm_tt by insertion.
 *
 * The suites named "ttm_backup_..." pretend that there is swap, but for
 * "ttm_backup_swap", which needs a swap device.
 *
 * Every case ends with a check that the node's counters are what they were before.
 */

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/cgroup.h>
#include <linux/file.h>
#include <linux/memblock.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/page_counter.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/shmem_insert.h>
#include <linux/sizes.h>
#include <linux/swap.h>
#include <linux/vmstat.h>

#include <drm/ttm/ttm_allocation.h>
#include <drm/ttm/ttm_backup.h>

#include <trace/events/shmem_insert.h>

#include "../ttm_backup_file.h"
#include "../ttm_pool_internal.h"
#include "ttm_backup_test_fixture.h"

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

static void backup_cached(struct kunit *test)
{
	backup_round_trip(test, ttm_cached, false);
}

static void backup_cached_and_dma_mapped(struct kunit *test)
{
	backup_round_trip(test, ttm_cached, true);
}

static void backup_write_combined(struct kunit *test)
{
	backup_round_trip(test, ttm_write_combined, true);
}

static void backup_uncached(struct kunit *test)
{
	backup_round_trip(test, ttm_uncached, false);
}

#ifdef CONFIG_MEMCG
/* The shrinking task charges others afterwards, and itself as before. */
static void backup_active_memcg_is_put_back(struct kunit *test)
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

/* Neither the task that shrinks nor the creator is charged. */
static void backup_charged_to_root(struct kunit *test)
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
		KUNIT_EXPECT_EQ(test, backup_pages_charged(tt, root_mem_cgroup), 579);
		KUNIT_EXPECT_EQ(test, page_counter_read(&memcg->memory), usage);
		backup_expect_round_trip(test, tt);
	}
}
#endif

static void backup_dma32_stays_dma32(struct kunit *test)
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

static void backup_dma_alloc_pool_unchanged(struct kunit *test)
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

static void backup_drop_while_backed_up(struct kunit *test)
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

static void backup_destroy_while_backed_up(struct kunit *test)
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
static void backup_drop_range_takes_whole_folios(struct kunit *test)
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
		KUNIT_EXPECT_EQ(test,
				ttm_backup_file_drop_entries(tt->backup,
							     tt->pages + pages[i], 1),
				dropped[i]);
		KUNIT_EXPECT_EQ(test, inode->i_blocks,
				left[i] * (PAGE_SIZE / SECTOR_SIZE));
	}
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
}

/* All that follows in the page vector and in the file goes at once, and nothing else. */
static void backup_drop_entries_up_to_a_gap(struct kunit *test)
{
	/* In 579 pages there are folios at 0, 512, 576 and 578. */
	static const struct {
		pgoff_t from;
		pgoff_t nr;
		/* An entry that is replaced by that of page 578, or by none, if not 0 */
		pgoff_t strange;
		pgoff_t gap;
		/* The order that the first pages were inserted with again, if not 0 */
		unsigned int small_order;
		pgoff_t dropped;
		pgoff_t left;
	} cases[] = {
		{ .from = 0, .nr = 579, .dropped = 579, .left = 0 },
		{ .from = 3, .nr = 576, .dropped = 576, .left = 0 },
		{ .from = 0, .nr = 1, .dropped = 512, .left = 67 },
		{ .from = 0, .nr = 512, .dropped = 512, .left = 67 },
		{ .from = 512, .nr = 65, .dropped = 66, .left = 513 },
		{ .from = 530, .nr = 49, .gap = 576, .dropped = 46, .left = 515 },
		{ .from = 3, .nr = 576, .gap = 578, .dropped = 575, .left = 1 },
		{ .from = 0, .nr = 579, .strange = 512, .dropped = 512, .left = 67 },
		{ .from = 0, .nr = 579, .gap = 512, .small_order = 3, .dropped = 512, .left = 67 },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct ttm_tt *tt = backup_filled_tt(test, ttm_cached, 579, false);
		struct inode *inode = file_inode(tt->backup);
		struct page *last;
		pgoff_t j;

		backup_needs_large(test, tt);
		KUNIT_ASSERT_EQ(test, backup_run(test, tt), 579);
		last = tt->pages[578];
		for (j = 0; cases[i].small_order && j < 1UL << cases[i].small_order; j++) {
			unsigned long handle;

			handle = ttm_backup_insert_handle(j, cases[i].small_order);
			tt->pages[j] = ttm_backup_handle_to_page_ptr(handle);
		}
		if (cases[i].gap)
			tt->pages[cases[i].gap] = ttm_backup_handle_to_page_ptr(0);
		if (cases[i].strange)
			tt->pages[cases[i].strange] = last;

		KUNIT_EXPECT_EQ(test,
				ttm_backup_file_drop_entries(tt->backup,
							     tt->pages + cases[i].from,
							     cases[i].nr),
				cases[i].dropped);
		KUNIT_EXPECT_EQ_MSG(test, inode->i_blocks,
				    cases[i].left * (PAGE_SIZE / SECTOR_SIZE),
				    "case %u", i);
		/* What the entries that were replaced named */
		ttm_backup_file_truncate(tt->backup, 0, 579);
		backup_tt_free(test, tt);
	}
	backup_expect_baseline(test);
}

static void backup_drop_while_partially_backed_up(struct kunit *test)
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

static void backup_purge(struct kunit *test)
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
static void backup_purge_of_an_incomplete_backup(struct kunit *test)
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

/* The chunks are 512, 64, 2 and 1 pages. */
static void backup_retained_chunks_are_retried(struct kunit *test)
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

	/* The reason still exists */
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

static void backup_restore_with_retained_chunks(struct kunit *test)
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
static void backup_hook_meets_no_handle(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579, false);
	struct folio *folio;

	/* A driver has to expect what is not mapped for DMA, and only that. */
	backup_punch(test, tt, 576);
	ttm_tt_unpopulate(&priv->bdev, tt);
	KUNIT_EXPECT_EQ(test, priv->unpopulate_calls, 1);
	KUNIT_EXPECT_EQ(test, priv->unpopulate_holes, 2);
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
	KUNIT_EXPECT_EQ(test, priv->unpopulate_holes, 2);
	folio_put(folio);
	backup_expect_baseline(test);
}

static void backup_holes(struct kunit *test)
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

static void backup_node_counters(struct kunit *test)
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

static void backup_no_backup_without_swap(struct kunit *test)
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

static void backup_allocates_nodes_only(struct kunit *test)
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
static void backup_order_10_is_capped(struct kunit *test)
{
	unsigned int order, folios = 0;
	struct ttm_tt *tt;
	pgoff_t i;

	kunit_deactivate_static_stub(test, ttm_backup_file_sane_order);
	tt = backup_filled_tt(test, ttm_write_combined, 2048, false);
	backup_needs_large(test, tt);
	KUNIT_ASSERT_GT(test, MAX_PAGE_ORDER, get_order(SZ_2M));
	for (i = 0; i < 2048; i += 1UL << order) {
		order = backup_order(test, tt, i);
		KUNIT_ASSERT_LE(test, order, get_order(SZ_2M));
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
	static const pgoff_t indices[] = {
		0, 1, 511, 512, MIN(UINT_MAX - 1UL, BIT(TTM_BACKUP_ORDER_SHIFT) - 3),
	};
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

static struct kunit_case backup_insert_cases[] = {
	KUNIT_CASE_SLOW(backup_cached),
	KUNIT_CASE_SLOW(backup_cached_and_dma_mapped),
	KUNIT_CASE_SLOW(backup_write_combined),
	KUNIT_CASE_SLOW(backup_uncached),
#ifdef CONFIG_MEMCG
	KUNIT_CASE(backup_active_memcg_is_put_back),
	KUNIT_CASE(backup_charged_to_root),
#endif
	KUNIT_CASE(backup_dma32_stays_dma32),
	KUNIT_CASE(backup_dma_alloc_pool_unchanged),
	KUNIT_CASE(backup_drop_while_backed_up),
	KUNIT_CASE(backup_destroy_while_backed_up),
	KUNIT_CASE(backup_drop_range_takes_whole_folios),
	KUNIT_CASE(backup_drop_entries_up_to_a_gap),
	KUNIT_CASE(backup_drop_while_partially_backed_up),
	KUNIT_CASE(backup_purge),
	KUNIT_CASE(backup_purge_of_an_incomplete_backup),
	KUNIT_CASE(backup_retained_chunks_are_retried),
	KUNIT_CASE(backup_restore_with_retained_chunks),
	KUNIT_CASE(backup_holes),
	KUNIT_CASE(backup_hook_meets_no_handle),
	KUNIT_CASE(backup_all_chunks_busy),
#ifdef CONFIG_TRACEPOINTS
	KUNIT_CASE(backup_busy_is_tried_again),
#ifdef CONFIG_MEMORY_FAILURE
	KUNIT_CASE(backup_busy_is_not_forgotten),
#endif
#endif
	KUNIT_CASE(backup_node_counters),
	KUNIT_CASE(backup_no_backup_without_swap),
	KUNIT_CASE_SLOW(backup_allocates_nodes_only),
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	KUNIT_CASE(backup_order_10_is_capped),
#endif
	KUNIT_CASE(backup_tail_page_is_single),
	KUNIT_CASE(backup_handles),
	KUNIT_CASE(backup_file_is_not_movable),
	KUNIT_CASE(backup_pages_are_counted),
	{}
};

static struct kunit_suite backup_insert_suite = {
	.name = "ttm_backup_insert",
	.suite_init = backup_suite_init,
	.init = backup_init,
	.test_cases = backup_insert_cases,
};

kunit_test_suite(backup_insert_suite);
