// SPDX-License-Identifier: MIT
/*
 * KUnit tests of the restore of a struct ttm_tt from memory: what comes back uncopied, in
 * which state an interrupted one is, and what has to be copied.
 */

#include <kunit/test.h>
#include <linux/dma-mapping.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/swap.h>
#include <linux/vmstat.h>

#include <drm/ttm/ttm_allocation.h>

#include "../ttm_backup_file.h"
#include "../ttm_pool_internal.h"
#include "ttm_backup_test_fixture.h"

static void backup_resident_restore(struct kunit *test, enum ttm_caching caching)
{
	/* The records that the debugging of the DMA API makes take memory. */
	const bool dma = !IS_ENABLED(CONFIG_DMA_API_DEBUG);
	const pgoff_t pages = 64UL << (20 - PAGE_SHIFT);
	struct ttm_tt *tt = backup_filled_tt(test, caching, pages, dma);
	struct page **before = backup_page_array(test, tt);
	unsigned long least = ULONG_MAX;
	unsigned int round;

	/* As for the backup, less the nodes */
	for (round = 0; round < 5 && least; round++) {
		unsigned long allocated;

		KUNIT_ASSERT_EQ(test, backup_run(test, tt), pages);
		lru_add_drain_all();
		allocated = backup_pages_allocated();
		backup_restore(test, tt);
		least = min(least, backup_pages_allocated() - allocated);
		KUNIT_EXPECT_MEMEQ(test, before, tt->pages,
				   pages * sizeof(*before));
		backup_expect_restored(test, tt, 0, (round + 1) * pages, 0);
	}
	KUNIT_EXPECT_EQ(test, least, 0);
	backup_expect_populated(test, tt);
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
}

static void backup_resident_cached(struct kunit *test)
{
	backup_resident_restore(test, ttm_cached);
}

static void backup_resident_write_combined(struct kunit *test)
{
	backup_resident_restore(test, ttm_write_combined);
}

static void backup_retained_chunks_are_adopted(struct kunit *test)
{
	static const pgoff_t retained[] = { 0, 512, 576, 578 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(retained); i++) {
		struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579,
						     true);
		struct page **before = backup_page_array(test, tt);
		struct folio *folio = backup_tt_folio(tt, retained[i]);
		pgoff_t nr = folio_nr_pages(folio);

		folio_get(folio);
		KUNIT_ASSERT_EQ(test, backup_run(test, tt), 579 - nr);
		backup_restore(test, tt);
		backup_expect_populated(test, tt);
		KUNIT_EXPECT_MEMEQ(test, before, tt->pages, 579 * sizeof(*before));
		KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 2);
		backup_expect_restored(test, tt, nr, 579 - nr, 0);
		folio_put(folio);
		backup_tt_free(test, tt);
	}
	backup_expect_baseline(test);
}

/*
 * A signal that is pending all the time, as when the kernel itself takes the
 * fault: each attempt ends early, but only after it has made progress.
 */
static void backup_signal_pending(struct kunit *test, bool extract,
				  unsigned int most)
{
	struct backup_test *priv = test->priv;
	struct ttm_operation_ctx ctx = { .interruptible = true };
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579, true);
	struct ttm_backup_pages where;
	unsigned int attempts = 0;
	pgoff_t left = 579;
	int ret;

	/* one at least for each chunk, and without large folios each page is one */
	if (!folio_test_large(backup_tt_folio(tt, 0)))
		most = 579;
	KUNIT_ASSERT_EQ(test, backup_run(test, tt), 579);
	if (!extract)
		backup_extraction_fails(test);

	set_thread_flag(TIF_SIGPENDING);
	do {
		ret = ttm_tt_populate(&priv->bdev, tt, &ctx);
		ttm_tt_backup_pages(tt, &where);
		if (where.backed_up >= left)
			break;
		left = where.backed_up;
		attempts++;
	} while (ret == -EINTR);
	clear_thread_flag(TIF_SIGPENDING);

	KUNIT_EXPECT_EQ(test, ret, 0);
	KUNIT_EXPECT_EQ(test, left, 0);
	KUNIT_EXPECT_GT(test, attempts, 1);
	KUNIT_EXPECT_LE(test, attempts, most);
	backup_expect_populated(test, tt);

	/* An uninterruptible restore is not interrupted. */
	KUNIT_ASSERT_EQ(test, backup_run(test, tt), 579);
	set_thread_flag(TIF_SIGPENDING);
	ctx.interruptible = false;
	KUNIT_EXPECT_EQ(test, ttm_tt_populate(&priv->bdev, tt, &ctx), 0);
	clear_thread_flag(TIF_SIGPENDING);
	backup_expect_populated(test, tt);
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
}

/* The chunks are 512, 64, 2 and 1 pages. */
static void backup_signal_between_chunks(struct kunit *test)
{
	backup_signal_pending(test, true, 4);
}

static void backup_signal_while_copying(struct kunit *test)
{
	backup_signal_pending(test, false, 579);
}

#ifdef CONFIG_FAULT_INJECTION_DEBUG_FS
/* A backup that would stop in the middle of a folio leaves the whole folio. */
static void backup_half_of_the_pages(struct kunit *test)
{
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 1100, true);

	backup_needs_large(test, tt);
	KUNIT_ASSERT_EQ(test, backup_order(test, tt, 512), 9);
	backup_interrupt_at(test, 1);
	KUNIT_EXPECT_EQ(test, backup_run(test, tt), 512);
	backup_interrupt_at(test, 0);
	backup_expect_pages(test, tt, 1100 - 512, 512, 512);

	KUNIT_EXPECT_EQ(test, backup_run(test, tt), 1100 - 512);
	backup_expect_round_trip(test, tt);
}

/* The chunks are 512, 64, 2 and 1 pages. */
static void backup_interrupted_restore_resumes(struct kunit *test)
{
	static const pgoff_t done[] = { 0, 512, 576, 578 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(done); i++) {
		struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579,
						     true);
		struct page **before = backup_page_array(test, tt);

		backup_needs_large(test, tt);
		KUNIT_ASSERT_EQ(test, backup_run(test, tt), 579);
		KUNIT_ASSERT_EQ(test, backup_interrupted_restore(test, tt, i + 1),
				-EINTR);
		KUNIT_EXPECT_NOT_NULL(test, tt->restore);
		backup_expect_restored(test, tt, 0, done[i], 0);
		backup_expect_pages(test, tt, done[i], 579 - done[i],
				    579 - done[i]);
		/* Not before it is complete again */
		KUNIT_EXPECT_EQ(test, backup_run(test, tt), -EBUSY);

		backup_restore(test, tt);
		backup_expect_populated(test, tt);
		KUNIT_EXPECT_MEMEQ(test, before, tt->pages, 579 * sizeof(*before));
		backup_expect_restored(test, tt, 0, 579, 0);
		backup_tt_free(test, tt);
	}
	backup_expect_baseline(test);
}

/* In the midst of a chunk that is copied, and between those. */
static void backup_interrupted_copy_resumes(struct kunit *test)
{
	static const unsigned int at[] = { 1, 2, 512, 513, 540, 577, 579 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(at); i++) {
		struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579,
						     true);

		KUNIT_ASSERT_EQ(test, backup_run(test, tt), 579);
		backup_extraction_fails(test);
		KUNIT_ASSERT_EQ(test, backup_interrupted_restore(test, tt, at[i]),
				-EINTR);
		backup_restore(test, tt);
		backup_extraction_works(test);
		backup_expect_populated(test, tt);
		backup_expect_restored(test, tt, 0, 0, 579);
		backup_tt_free(test, tt);
	}
	backup_expect_baseline(test);
}

/* One chunk finds no memory, so the others need not try. */
static void backup_no_memory_ends_it(struct kunit *test)
{
	/* The chunks are 512, 64, 2 and 1 pages. */
	static const pgoff_t done[] = { 512, 576, 578 };
	unsigned int i;
	long retained;

	for (i = 0; i < ARRAY_SIZE(done); i++) {
		struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579,
						     true);

		backup_needs_large(test, tt);
		retained = atomic_long_read(&ttm_backup_stats.retained);
		/* Before the chunks, it may end for all of the second half. */
		backup_fail_at(test, i + 3);
		KUNIT_EXPECT_EQ(test, backup_run(test, tt), done[i]);
		KUNIT_EXPECT_EQ(test, atomic_long_read(&ttm_backup_stats.retained) - retained,
				579 - done[i]);
		backup_interrupt_at(test, 0);
		backup_expect_pages(test, tt, 579 - done[i], done[i], done[i]);

		KUNIT_EXPECT_EQ(test, backup_run(test, tt), 579 - done[i]);
		backup_expect_backed_up(test, tt);
		backup_restore(test, tt);
		backup_expect_populated(test, tt);
		backup_tt_free(test, tt);
	}
	backup_expect_baseline(test);
}

#ifdef CONFIG_FAIL_PAGE_ALLOC
/* Busy, and no memory for a copy: what was busy may be idle the next time. */
static void backup_extracted_at_last(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 512, true);
	struct page **before = backup_page_array(test, tt);
	struct folio *folio = backup_tt_folio(tt, 0);
	struct ttm_operation_ctx ctx = {};

	backup_needs_large(test, tt);
	KUNIT_ASSERT_EQ(test, backup_run(test, tt), 512);
	/* The state of a restore takes memory, too: let it have that. */
	KUNIT_ASSERT_EQ(test, backup_interrupted_restore(test, tt, 1), -EINTR);
	folio_get(folio);
	backup_memory_fails(test, 0, -1);
	KUNIT_EXPECT_EQ(test, ttm_tt_populate(&priv->bdev, tt, &ctx), -ENOMEM);
	backup_memory_works(test);
	folio_put(folio);
	backup_expect_pages(test, tt, 0, 512, 512);

	backup_restore(test, tt);
	backup_expect_populated(test, tt);
	backup_expect_restored(test, tt, 0, 512, 0);
	KUNIT_EXPECT_MEMEQ(test, before, tt->pages, 512 * sizeof(*before));
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
}

/* Back @tt up, a folio, and copy part of it back. Returns how many pages that are. */
static pgoff_t backup_copy_first_part(struct kunit *test, struct ttm_tt *tt)
{
	struct backup_test *priv = test->priv;
	struct folio *folio = backup_tt_folio(tt, 0);
	struct ttm_operation_ctx ctx = {};
	pgoff_t copied;

	backup_needs_large(test, tt);
	KUNIT_ASSERT_EQ(test, backup_run(test, tt), 512);
	folio_get(folio);
	backup_memory_fails(test, 40, -1);
	KUNIT_EXPECT_EQ(test, ttm_tt_populate(&priv->bdev, tt, &ctx), -ENOMEM);
	backup_memory_works(test);
	folio_put(folio);
	/* Or this proves nothing */
	copied = backup_restored_since(tt, TTM_RESTORE_COPIED);
	KUNIT_ASSERT_GT(test, copied, 0);
	KUNIT_ASSERT_LT(test, copied, 512);

	return copied;
}

/* Idle again, but the copy of its first part is in use. */
static void backup_rest_of_a_folio_is_copied(struct kunit *test)
{
	struct ttm_tt *tt = backup_filled_tt(test, ttm_cached, 512, true);

	backup_copy_first_part(test, tt);
	backup_restore(test, tt);
	backup_expect_populated(test, tt);
	backup_expect_restored(test, tt, 0, 0, 512);
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
}

/* All of @tt is back and nothing is left in its file, so it can be backed up again. */
static void backup_expect_out_of_file(struct kunit *test, struct ttm_tt *tt,
				      pgoff_t copied)
{
	struct inode *inode = file_inode(tt->backup);

	backup_expect_populated(test, tt);
	backup_expect_restored(test, tt, 0, 512 - copied, copied);
	KUNIT_EXPECT_EQ(test, inode->i_mapping->nrpages, 0);
	KUNIT_EXPECT_EQ(test, inode->i_blocks, 0);

	KUNIT_EXPECT_EQ(test, backup_run(test, tt), 512);
	backup_expect_backed_up(test, tt);
	backup_expect_round_trip(test, tt);
}

/* Split when the first part had been copied: the copies are all that is left of it. */
static void backup_rest_of_a_split_folio_is_extracted(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_tt *tt = backup_filled_tt(test, ttm_cached, 512, true);
	struct inode *inode = file_inode(tt->backup);
	struct ttm_operation_ctx ctx = {};
	pgoff_t copied;

	copied = backup_copy_first_part(test, tt);
	KUNIT_EXPECT_EQ(test, inode->i_mapping->nrpages, 512);

	backup_split_in_file(test, tt->backup, 0, 512);
	lru_add_drain_all();
	/* No chunk that the pages could be merged to */
	backup_memory_fails(test, 0, -1);
	backup_memory_fails_from(1);
	KUNIT_EXPECT_EQ(test, ttm_tt_populate(&priv->bdev, tt, &ctx), 0);
	backup_memory_works(test);
	backup_expect_out_of_file(test, tt, copied);
}

/* Split within a chunk that has room for all of it: what was copied before goes as well. */
static void backup_split_while_all_is_copied(struct kunit *test)
{
	struct ttm_tt *tt = backup_filled_tt(test, ttm_cached, 512, true);
	struct folio *folio = backup_tt_folio(tt, 0);

	backup_needs_large(test, tt);
	KUNIT_ASSERT_EQ(test, backup_run(test, tt), 512);
	folio_get(folio);
	KUNIT_EXPECT_EQ(test, backup_interrupted_restore(test, tt, 20), -EINTR);
	folio_put(folio);
	backup_split_in_file(test, tt->backup, 0, 512);
	lru_add_drain_all();
	backup_restore(test, tt);
	backup_expect_out_of_file(test, tt, 512);
}

/* Split within a chunk: the last pages of that one leave the file one by one. */
static void backup_split_while_a_chunk_is_copied(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_tt *tt = backup_filled_tt(test, ttm_cached, 512, true);
	struct folio *folio = backup_tt_folio(tt, 0);
	struct ttm_operation_ctx ctx = {};

	backup_needs_large(test, tt);
	KUNIT_ASSERT_EQ(test, backup_run(test, tt), 512);
	folio_get(folio);
	/* Chunks of 32 pages, and later single ones */
	backup_memory_fails(test, 0, -1);
	backup_memory_fails_from(6);
	KUNIT_EXPECT_EQ(test, backup_interrupted_restore(test, tt, 40), -EINTR);
	folio_put(folio);
	backup_split_in_file(test, tt->backup, 0, 512);
	lru_add_drain_all();
	backup_memory_fails_from(1);
	KUNIT_EXPECT_EQ(test, ttm_tt_populate(&priv->bdev, tt, &ctx), 0);
	backup_memory_works(test);
	/* Or this proves nothing: two chunks were copied. */
	backup_expect_out_of_file(test, tt, 64);
}

/* An assertion may end a case before it has switched them off. */
static void backup_faults_end_with_the_case(struct kunit *test)
{
	unsigned long *probability = backup_debugfs_value("fail_page_alloc",
							  "probability");
	struct backup_test *priv = test->priv;
	struct ttm_tt *tt = backup_filled_tt(test, ttm_cached, 512, true);
	struct kunit *ended = kunit_kzalloc(test, sizeof(*ended), GFP_KERNEL);
	struct ttm_operation_ctx ctx = { .interruptible = true };
	unsigned long before;

	if (!probability)
		kunit_skip(test, "no fail_page_alloc in debugfs");
	KUNIT_ASSERT_NOT_NULL(test, ended);
	before = *probability;

	kunit_init_test(ended, "ended", NULL);
	backup_interrupt_at(ended, 1);
	backup_memory_fails(ended, 0, -1);
	KUNIT_EXPECT_EQ(test, *probability, 100);
	kunit_cleanup(ended);
	/* It thinks that nothing else runs. */
	current->kunit_test = test;

	KUNIT_EXPECT_EQ(test, *probability, before);
	KUNIT_EXPECT_EQ(test, current->make_it_fail, 0);
	/* So that nothing else fails, whatever has been found */
	current->make_it_fail = 0;
	*probability = before;

	KUNIT_ASSERT_EQ(test, backup_run(test, tt), 512);
	KUNIT_EXPECT_EQ(test, ttm_tt_populate(&priv->bdev, tt, &ctx), 0);
	backup_interrupt_at(test, 0);
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
}
#endif

static void backup_drop_in_mid_restore(struct kunit *test)
{
	unsigned int i;

	for (i = 1; i <= 4; i++) {
		struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579,
						     true);
		struct page **pages = backup_page_array(test, tt);
		struct file *file = get_file(tt->backup);

		KUNIT_ASSERT_EQ(test, backup_run(test, tt), 579);
		KUNIT_ASSERT_EQ(test, backup_interrupted_restore(test, tt, i),
				-EINTR);
		backup_tt_free(test, tt);
		KUNIT_EXPECT_EQ(test, file_inode(file)->i_blocks, 0);
		fput(file);
		backup_expect_baseline(test);
		KUNIT_EXPECT_EQ(test, backup_uncached_pages(pages, 579), 0);
	}
}
#endif

/* Backed up from anywhere, for a pool that is bound to the first 4 GiB */
static void backup_other_zones_are_copied(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579, true);
	pgoff_t i, above = 0;

	for (i = 0; i < tt->num_pages; i++)
		if (page_to_phys(tt->pages[i]) >= 1ULL << 32)
			above++;
	if (!above)
		kunit_skip(test, "needs memory above 4 GiB");

	KUNIT_ASSERT_EQ(test, backup_run(test, tt), 579);
	priv->bdev.pool.alloc_flags |= TTM_ALLOCATION_POOL_USE_DMA32;
	backup_restore(test, tt);
	backup_expect_populated(test, tt);
	backup_expect_restored(test, tt, 0, 579 - above, above);
	for (i = 0; i < tt->num_pages; i++)
		KUNIT_ASSERT_LT(test, page_to_phys(tt->pages[i]), 1ULL << 32);
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
}

/* Chunks lie at multiples of their size. */
static void backup_expect_aligned(struct kunit *test, struct ttm_tt *tt)
{
	pgoff_t i, nr;

	for (i = 0; i < tt->num_pages; i += nr) {
		nr = 1UL << backup_order(test, tt, i);
		KUNIT_EXPECT_TRUE(test, IS_ALIGNED(i, nr));
	}
}

/* 64 single pages of shmem, as they are when there is nothing larger to be had */
static struct ttm_tt *backup_single_pages(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_pool *pool = &priv->bdev.pool;
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 64, true);
	pgoff_t i;

	for (i = 0; i < 64; i += 1UL << backup_order(test, tt, i))
		dma_unmap_page(pool->dev, tt->dma_address[i],
			       PAGE_SIZE << backup_order(test, tt, i),
			       DMA_BIDIRECTIONAL);
	for (i = 0; i < 64; )
		i += backup_punch(test, tt, i);

	for (i = 0; i < 64; i++) {
		tt->pages[i] = ttm_backup_file_alloc_pages(tt->backup, pool->nid,
							   GFP_HIGHUSER, 0);
		KUNIT_ASSERT_NOT_NULL(test, tt->pages[i]);
		mod_lruvec_page_state(tt->pages[i], NR_GPU_ACTIVE, 1);
		KUNIT_ASSERT_EQ(test, 0, ttm_pool_map(pool, 0, tt->pages[i],
						      &tt->dma_address[i]));
	}
	KUNIT_ASSERT_EQ(test, 0, ttm_pool_set_caching(tt->pages, 64,
						      ttm_write_combined));
	backup_fill(tt, 4);

	return tt;
}

#if defined(CONFIG_FAIL_PAGE_ALLOC) && defined(CONFIG_FAULT_INJECTION_DEBUG_FS)
/*
 * Some pages are copied, then memory runs out, and the others are retained: new
 * chunks must fit in between.
 */
static void backup_chunks_do_not_span_retained_pages(struct kunit *test)
{
	static const unsigned int good[] = { 1, 7, 21, 46 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		struct page **before;
		struct ttm_tt *tt;
		long copied;

		tt = backup_single_pages(test);
		before = backup_page_array(test, tt);

		backup_make_foreign(test, tt);
		copied = backup_run_with_pages(test, tt, good[i]);
		KUNIT_ASSERT_GT(test, copied, 0);
		KUNIT_ASSERT_LT(test, copied, 64);
		backup_expect_pages(test, tt, 64 - copied, copied, 0);
		backup_restore(test, tt);
		backup_expect_populated(test, tt);
		backup_expect_aligned(test, tt);
		backup_expect_restored(test, tt, 64 - copied, 0, copied);
		KUNIT_EXPECT_MEMEQ(test, before + copied, tt->pages + copied,
				   (64 - copied) * sizeof(*before));

		/* And what is new can be inserted. */
		KUNIT_EXPECT_EQ(test, backup_run(test, tt), 64);
		backup_expect_pages(test, tt, 0, 64, copied);
		backup_restore(test, tt);
		backup_expect_populated(test, tt);
		backup_tt_free(test, tt);
	}
	backup_expect_baseline(test);
}
#endif

/* The page for a hole is a single one if the pages after it are. */
static void backup_hole_among_single_pages(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	struct ttm_pool *pool = &priv->bdev.pool;
	struct ttm_tt *tt;
	pgoff_t i;

	tt = backup_single_pages(test);
	dma_unmap_page(pool->dev, tt->dma_address[0], PAGE_SIZE,
		       DMA_BIDIRECTIONAL);
	KUNIT_ASSERT_EQ(test, backup_punch(test, tt, 0), 1);
	/* And one that is larger, but lies so that a chunk in it must not be */
	for (i = 5; i < 8; i++) {
		dma_unmap_page(pool->dev, tt->dma_address[i], PAGE_SIZE,
			       DMA_BIDIRECTIONAL);
		KUNIT_ASSERT_EQ(test, backup_punch(test, tt, i), 1);
	}

	KUNIT_ASSERT_EQ(test, backup_run(test, tt), 60);
	backup_restore(test, tt);
	backup_expect_aligned(test, tt);
	backup_expect_restored(test, tt, 0, 60, 4);
	backup_fill(tt, 7);
	backup_expect_populated(test, tt);
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
}

#ifdef CONFIG_NUMA
static pgoff_t backup_pages_of_node(struct ttm_tt *tt, int nid)
{
	pgoff_t i, n = 0;

	for (i = 0; i < tt->num_pages; i++)
		n += page_to_nid(tt->pages[i]) == nid;

	return n;
}

/*
 * Its own come back as they are; large chunks that the pool of another node backed
 * up move. No pool insists on a node for single pages.
 */
static void backup_pool_of_a_node_keeps_its_pages(struct kunit *test)
{
	struct backup_test *priv = test->priv;
	int nid;

	if (num_node_state(N_MEMORY) < 2)
		kunit_skip(test, "the machine has one node");
	KUNIT_ASSERT_TRUE(test, nodes_intersects(node_states[N_MEMORY],
						 node_states[N_CPU]));

	for_each_node_state(nid, N_MEMORY) {
		int other = next_node_in(nid, node_states[N_MEMORY]);
		struct page **before;
		struct ttm_tt *tt;

		/* Single pages on a node that reclaim demotes to are copied. */
		if (!node_state(nid, N_CPU))
			continue;

		set_dev_node(priv->dev, nid);
		backup_device(test, 0);
		KUNIT_ASSERT_EQ(test, priv->bdev.pool.nid, nid);
		tt = backup_filled_tt(test, ttm_write_combined, 579, true);
		before = backup_page_array(test, tt);
		KUNIT_ASSERT_EQ(test, backup_pages_of_node(tt, nid), 579);

		KUNIT_EXPECT_EQ(test, backup_run(test, tt), 579);
		backup_restore(test, tt);
		backup_expect_populated(test, tt);
		backup_expect_restored(test, tt, 0, 579, 0);
		KUNIT_EXPECT_MEMEQ(test, before, tt->pages, 579 * sizeof(*before));

		KUNIT_EXPECT_EQ(test, backup_run(test, tt), 579);
		priv->bdev.pool.nid = other;
		backup_restore(test, tt);
		backup_expect_populated(test, tt);
		backup_expect_restored(test, tt, 0, 580, 578);
		KUNIT_EXPECT_EQ(test, backup_pages_of_node(tt, other), 578);

		backup_tt_free(test, tt);
		kunit_release_action(test, backup_device_fini, priv);
		backup_expect_baseline(test);
	}
}
#endif

/* A later user must not find the earlier contents. */
static void backup_no_alias_after_extraction(struct kunit *test)
{
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 579, true);
	struct folio *folio = backup_tt_folio(tt, 512);
	unsigned int round;

	backup_needs_large(test, tt);
	for (round = 0; round < 4; round++) {
		/* One chunk stays behind every other time. */
		if (round & 1)
			folio_get(folio);
		KUNIT_ASSERT_EQ(test, backup_run(test, tt), round & 1 ? 515 : 579);
		if (round & 1)
			folio_put(folio);
		backup_restore(test, tt);
		backup_expect_populated(test, tt);
		/* The folios are ours alone, and the file has nothing. */
		KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
		KUNIT_EXPECT_NULL(test, folio->mapping);
		backup_fill(tt, 100 + round);
	}
	KUNIT_ASSERT_EQ(test, backup_run(test, tt), 579);
	backup_expect_round_trip(test, tt);
}

/* A folio among pages that are to stay movable */
static void backup_movable_block_is_copied(struct kunit *test)
{
	struct ttm_tt *tt = backup_filled_tt(test, ttm_cached, 1024, false);
	struct folio *folio;
	pgoff_t i;

	backup_needs_large(test, tt);
	KUNIT_ASSERT_EQ(test, backup_order(test, tt, 0), 9);
	backup_punch(test, tt, 0);
	folio = folio_alloc(GFP_HIGHUSER_MOVABLE, 9);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	if (get_pageblock_migratetype(&folio->page) != MIGRATE_MOVABLE) {
		folio_put(folio);
		kunit_skip(test, "no movable pageblock");
	}
	folio_page(folio, 0)->private = 9 | TTM_POOL_PAGE_FOLIO;
	mod_node_page_state(folio_pgdat(folio), NR_GPU_ACTIVE, 512);
	for (i = 0; i < 512; i++)
		tt->pages[i] = folio_page(folio, i);
	backup_fill(tt, 9);

	KUNIT_ASSERT_EQ(test, backup_run(test, tt), 1024);
	backup_restore(test, tt);
	backup_expect_populated(test, tt);
	backup_expect_restored(test, tt, 0, 512, 512);
	KUNIT_EXPECT_NE(test, get_pageblock_migratetype(tt->pages[0]),
			MIGRATE_MOVABLE);
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
}

/* Inserted, but nothing can be taken out */
static void backup_restore_without_extraction(struct kunit *test)
{
	struct ttm_tt *tt = backup_filled_tt(test, ttm_write_combined, 1100, true);
	struct folio *folio = backup_tt_folio(tt, 512);
	struct folio *copied = backup_tt_folio(tt, 0);

	backup_needs_large(test, tt);
	folio_get(folio);
	KUNIT_ASSERT_EQ(test, backup_run(test, tt), 1100 - 512);
	folio_put(folio);
	folio_get(copied);
	backup_extraction_fails(test);
	backup_restore(test, tt);
	backup_expect_populated(test, tt);
	KUNIT_EXPECT_EQ(test, folio_ref_count(copied), 1);
	folio_put(copied);
	backup_expect_aligned(test, tt);
	/* Retained pages are never copied. */
	backup_expect_restored(test, tt, 512, 0, 1100 - 512);
	backup_tt_free(test, tt);
	backup_expect_baseline(test);
}

#ifdef CONFIG_MEMORY_FAILURE
/* Extraction refuses such a folio as a whole; a copy looks at each page. */
static void backup_poison_is_not_copied(struct kunit *test)
{
	struct ttm_tt *tt = backup_filled_tt(test, ttm_cached, 512, false);
	struct backup_test *priv = test->priv;
	struct ttm_operation_ctx ctx = {};
	struct folio *folio = backup_tt_folio(tt, 0);

	KUNIT_ASSERT_EQ(test, backup_run(test, tt), 512);
	backup_extraction_fails(test);
	SetPageHWPoison(folio_page(folio, 7));
	KUNIT_EXPECT_EQ(test, ttm_tt_populate(&priv->bdev, tt, &ctx), -EIO);
	ClearPageHWPoison(folio_page(folio, 7));
	backup_extraction_works(test);
	backup_expect_round_trip(test, tt);
}
#endif

static struct kunit_case backup_restore_cases[] = {
	KUNIT_CASE_SLOW(backup_resident_cached),
	KUNIT_CASE_SLOW(backup_resident_write_combined),
	KUNIT_CASE(backup_retained_chunks_are_adopted),
	KUNIT_CASE(backup_signal_between_chunks),
	KUNIT_CASE(backup_signal_while_copying),
#ifdef CONFIG_FAULT_INJECTION_DEBUG_FS
	KUNIT_CASE(backup_half_of_the_pages),
	KUNIT_CASE(backup_interrupted_restore_resumes),
	KUNIT_CASE(backup_interrupted_copy_resumes),
	KUNIT_CASE(backup_no_memory_ends_it),
#ifdef CONFIG_FAIL_PAGE_ALLOC
	KUNIT_CASE(backup_extracted_at_last),
	KUNIT_CASE(backup_rest_of_a_folio_is_copied),
	KUNIT_CASE(backup_rest_of_a_split_folio_is_extracted),
	KUNIT_CASE(backup_split_while_all_is_copied),
	KUNIT_CASE(backup_split_while_a_chunk_is_copied),
	KUNIT_CASE(backup_faults_end_with_the_case),
#endif
	KUNIT_CASE(backup_drop_in_mid_restore),
#endif
	KUNIT_CASE(backup_other_zones_are_copied),
#if defined(CONFIG_FAIL_PAGE_ALLOC) && defined(CONFIG_FAULT_INJECTION_DEBUG_FS)
	KUNIT_CASE(backup_chunks_do_not_span_retained_pages),
#endif
	KUNIT_CASE(backup_hole_among_single_pages),
#ifdef CONFIG_NUMA
	KUNIT_CASE(backup_pool_of_a_node_keeps_its_pages),
#endif
	KUNIT_CASE(backup_no_alias_after_extraction),
	KUNIT_CASE(backup_movable_block_is_copied),
	KUNIT_CASE(backup_restore_without_extraction),
#ifdef CONFIG_MEMORY_FAILURE
	KUNIT_CASE(backup_poison_is_not_copied),
#endif
	{}
};

static struct kunit_suite backup_restore_suite = {
	.name = "ttm_backup_restore",
	.suite_init = backup_suite_init,
	.init = backup_init,
	.test_cases = backup_restore_cases,
};

kunit_test_suite(backup_restore_suite);
