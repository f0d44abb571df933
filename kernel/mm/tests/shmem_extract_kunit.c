// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the contract of shmem_extract_folio().
 *
 * Suite "shmem_extract" needs nothing but memory, some of it above 4 GiB, two
 * processors, and a memory cgroup named "/kunit" with a memory.max of 0. Suite
 * "shmem_extract_swap" needs a swap device, so it is skipped at boot; it is worth
 * running with a synchronous one (zram) and with one that is not.
 *
 * The number in the name of a case is that of a clause of the contract.
 */

#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/fcntl.h>
#include <linux/kthread.h>
#include <linux/memory-tiers.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/swapops.h>
#include <linux/workqueue.h>
#include <trace/events/shmem_insert.h>

#include "shmem_insert_kunit.h"
#include "../page_alloc.h"
#include "../swap.h"

/* The gfp mask that an owner of detached folios would use */
#define EXTRACT_GFP	(GFP_HIGHUSER | __GFP_RECLAIMABLE | __GFP_NOWARN)

/* No folio is kept busy for longer than this. */
#define EXTRACT_PATIENCE	100000

/* A file that allocates what it reads from swap where folios can be taken out. */
/* A folio of the file, of which the test has no reference. */
static struct folio *extract_insert(struct kunit *test, struct file *file,
				    unsigned int order, pgoff_t index, u64 seed)
{
	struct folio *folio = insert_folio(test, file, order, seed);

	insert_expect_inserted(test, file, folio, index);
	kunit_release_action(test, insert_put, folio);

	return folio;
}

/* Extraction works; the test's reference is dropped at its end. */
static struct folio *extract_ok(struct kunit *test, struct file *file, pgoff_t index,
				unsigned int min_order, gfp_t gfp)
{
	struct folio *folio;

	/* The test may have been on another CPU when the folio got in. */
	lru_add_drain_all();
	folio = shmem_extract_folio(file, index, min_order, NUMA_NO_NODE, gfp);
	KUNIT_ASSERT_EQ_MSG(test, PTR_ERR_OR_ZERO(folio), 0,
			    "order %u at %lu", min_order, index);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, insert_put, folio));

	return folio;
}

/* Gives others time, and gets the folio out of their batches now and then. */
static void extract_wait(unsigned int tries)
{
	if (tries % 16)
		cond_resched();
	else
		lru_add_drain_all();
}

/* Like extract_ok(), while others take the folio for a moment. */
static struct folio *extract_patiently(struct kunit *test, struct file *file,
				       pgoff_t index, unsigned int min_order)
{
	struct folio *folio;
	unsigned int tries;

	for (tries = 0; tries < EXTRACT_PATIENCE; tries++) {
		folio = shmem_extract_folio(file, index, min_order, NUMA_NO_NODE,
					    EXTRACT_GFP);
		if (PTR_ERR_OR_ZERO(folio) != -EBUSY)
			break;
		extract_wait(tries);
	}
	KUNIT_ASSERT_EQ_MSG(test, PTR_ERR_OR_ZERO(folio), 0,
			    "order %u at %lu", min_order, index);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, insert_put, folio));

	return folio;
}

static int extract_error(struct file *file, pgoff_t index, unsigned int min_order,
			 int nid, gfp_t gfp)
{
	struct folio *folio = shmem_extract_folio(file, index, min_order, nid, gfp);

	if (!IS_ERR(folio)) {
		folio_put(folio);
		return 0;
	}

	return PTR_ERR(folio);
}

/* Extraction of this resident folio is refused, and nothing has changed by it. */
static void extract_expect_refused(struct kunit *test, struct file *file,
				   struct folio *folio, pgoff_t index,
				   unsigned int min_order, int nid, gfp_t gfp,
				   int err, const char *what)
{
	struct insert_state before, after;
	int ret;

	/* A folio in a batch has an additional reference and is not on the LRU yet. */
	lru_add_drain_all();
	insert_get_state(&before, file, folio, folio->index);
	ret = extract_error(file, index, min_order, nid, gfp);
	KUNIT_ASSERT_EQ_MSG(test, ret, err, "%s", what);
	lru_add_drain_all();
	insert_get_state(&after, file, folio, folio->index);

	insert_expect_same(test, &before, &after, what);
	KUNIT_EXPECT_TRUE_MSG(test, folio_test_dirty(folio), "%s", what);
	KUNIT_EXPECT_TRUE_MSG(test, folio_test_lru(folio), "%s", what);
	KUNIT_EXPECT_FALSE_MSG(test, folio_test_locked(folio), "%s", what);
	KUNIT_EXPECT_PTR_EQ_MSG(test, folio->mapping, file->f_mapping, "%s", what);
}

/* Takes all out of a range that was filled as one folio, and looks at it. */
static void extract_expect_all_at(struct kunit *test, struct file *file,
				  pgoff_t index, pgoff_t nr, pgoff_t first, u64 seed)
{
	pgoff_t i = 0;

	while (i < nr) {
		struct folio *folio = extract_patiently(test, file, index + i, 0);
		unsigned long page, pages = folio_nr_pages(folio);
		int bad = 0;

		extract_expect_fresh(test, file, folio, "one of many");
		KUNIT_ASSERT_TRUE(test, IS_ALIGNED(index + i, pages));
		for (page = 0; page < pages; page++)
			bad += insert_differs(folio, page, first + i + page, seed);
		KUNIT_EXPECT_EQ_MSG(test, bad, 0, "from page %lu on", i);
		kunit_release_action(test, insert_put, folio);
		i += pages;
	}
}

static void extract_expect_all(struct kunit *test, struct file *file,
			       pgoff_t index, pgoff_t nr, u64 seed)
{
	extract_expect_all_at(test, file, index, nr, 0, seed);
}

/*
 * Successful extraction
 */

static void extract_c28_same_folio_same_bytes(struct kunit *test)
{
	unsigned int order, max = insert_max_order();
	struct file *file = extract_file(test, insert_always, 2UL << max);
	struct file *within = extract_file(test, insert_within, 2UL << max);

	for (order = 0; order <= max; order++) {
		pgoff_t nr = 1UL << order;
		struct folio *folio, *out;

		folio = extract_insert(test, file, order, nr, order + 1);
		extract_insert(test, file, 0, 0, 33);
		lru_add_drain_all();
		out = extract_ok(test, file, nr, order, EXTRACT_GFP);
		KUNIT_ASSERT_PTR_EQ(test, out, folio);
		KUNIT_EXPECT_EQ(test, folio_order(out), order);
		KUNIT_EXPECT_TRUE(test, insert_intact(out, order + 1));
		KUNIT_EXPECT_NULL(test, xa_load(&file->f_mapping->i_pages, nr));
		KUNIT_EXPECT_NULL(test, xa_load(&file->f_mapping->i_pages, 2 * nr - 1));
		/* Its neighbour is still there. */
		KUNIT_EXPECT_EQ(test, file->f_mapping->nrpages, 1);
		insert_expect_read(test, file, 0, 0, 33);
		shmem_truncate_range(file_inode(file), 0, -1);
		kunit_release_action(test, insert_put, out);

		/* Smaller ones would do. */
		folio = extract_insert(test, within, order, 0, order + 2);
		out = extract_ok(test, within, 0, 0, EXTRACT_GFP);
		KUNIT_ASSERT_PTR_EQ(test, out, folio);
		KUNIT_EXPECT_TRUE(test, insert_intact(out, order + 2));
		kunit_release_action(test, insert_put, out);
	}
}

static void extract_c29_like_fresh(struct kunit *test)
{
	static const struct {
		const char *what;
		unsigned long flags;
	} cases[] = {
		{ "plain", 0 },
		{ "referenced", BIT(PG_referenced) },
		{ "active", BIT(PG_active) },
		{ "active and referenced", BIT(PG_active) | BIT(PG_referenced) },
		{ "workingset", BIT(PG_workingset) },
		{ "reclaim", BIT(PG_reclaim) },
		{ "dropbehind", BIT(PG_dropbehind) },
		{ "all", BIT(PG_active) | BIT(PG_referenced) | BIT(PG_workingset) |
			 BIT(PG_reclaim) | BIT(PG_dropbehind) },
	};
	unsigned int i, order, max = insert_max_order();

	for (order = 0; order <= max; order++) {
		for (i = 0; i < ARRAY_SIZE(cases); i++) {
			struct file *file = extract_file(test, insert_always,
							 1UL << order);
			struct extract_counters base;
			struct folio *folio;

			extract_get_counters(&base, file);
			folio = extract_insert(test, file, order, 0, i);
			lru_add_drain_all();
			KUNIT_ASSERT_TRUE(test, folio_isolate_lru(folio));
			set_mask_bits(&folio->flags.f, 0, cases[i].flags);
			folio_putback_lru(folio);
			lru_add_drain_all();
			KUNIT_ASSERT_EQ(test, folio->flags.f & cases[i].flags,
					cases[i].flags);

			folio = extract_ok(test, file, 0, order, EXTRACT_GFP);
			extract_expect_fresh(test, file, folio, cases[i].what);
			extract_expect_counters(test, file, &base, cases[i].what);
			KUNIT_EXPECT_TRUE(test, insert_intact(folio, i));
			kunit_release_action(test, insert_put, folio);
			kunit_release_action(test, insert_close, file);
		}
	}
}

/* As mark_page_accessed() and page idle tracking would have it */
static void extract_c29_used_folio_is_like_fresh(struct kunit *test)
{
	unsigned int order, max = insert_max_order();
	struct file *file = extract_file(test, insert_always, 1UL << max);

	for (order = 0; order <= max; order += max ?: 1) {
		struct folio *folio = extract_insert(test, file, order, 0, 1);
		unsigned int i;

		lru_add_drain_all();
		for (i = 0; i < 4; i++) {
			folio_mark_accessed(folio);
			lru_add_drain_all();
		}
		folio_set_young(folio);
		folio_set_idle(folio);
		KUNIT_EXPECT_TRUE(test, folio_test_active(folio) ||
				  folio_test_referenced(folio));
		folio = extract_ok(test, file, 0, order, EXTRACT_GFP);
		extract_expect_fresh(test, file, folio, "accessed");
		KUNIT_EXPECT_FALSE(test, folio_test_young(folio));
		KUNIT_EXPECT_FALSE(test, folio_test_idle(folio));
		kunit_release_action(test, insert_put, folio);
	}
}

#ifdef CONFIG_MEMCG
static void extract_c29_uncharged(struct kunit *test)
{
	unsigned int i, orders[] = { 0, insert_max_order() };
	struct mem_cgroup *memcg = insert_memcg(test), *old;

	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		unsigned long nr = 1UL << orders[i], before, in, out;
		struct file *file = extract_file(test, insert_always, nr);
		struct folio *folio = insert_folio(test, file, orders[i], 13);
		int ret;

		before = page_counter_read(&memcg->memory);
		old = set_active_memcg(memcg);
		ret = shmem_insert_folio(file, folio, 0, GFP_RECLAIM_INSERT);
		set_active_memcg(old);
		KUNIT_ASSERT_EQ(test, ret, 0);
		kunit_release_action(test, insert_put, folio);
		in = page_counter_read(&memcg->memory);
		KUNIT_EXPECT_GE(test, in - before, nr);

		folio = extract_ok(test, file, 0, orders[i], EXTRACT_GFP);
		out = page_counter_read(&memcg->memory);
		/* A node that the file needed may be charged a little longer. */
		KUNIT_EXPECT_GE(test, in - out, nr);
		if (!orders[i])
			KUNIT_EXPECT_EQ(test, out, before);
		extract_expect_fresh(test, file, folio, "from a memcg");
		/* A second uncharge would go below. */
		kunit_release_action(test, insert_put, folio);
		KUNIT_EXPECT_EQ(test, page_counter_read(&memcg->memory), out);
		kunit_release_action(test, insert_close, file);
	}
}
#endif

/* A folio of a noswap mount can be extracted as well. */
static void extract_c26_c29_from_noswap(struct kunit *test)
{
	struct vfsmount *mnt = insert_noswap_mount(test);
	unsigned int order, max = insert_max_order();
	struct file *file = extract_file(test, mnt, 1UL << max);

	for (order = 0; order <= max; order += max ?: 1) {
		struct extract_counters base;
		struct folio *folio;

		extract_get_counters(&base, file);
		folio = extract_insert(test, file, order, 0, 7);
		lru_add_drain_all();
		KUNIT_ASSERT_TRUE(test, folio_test_unevictable(folio));
		folio = extract_ok(test, file, 0, order, EXTRACT_GFP);
		extract_expect_fresh(test, file, folio, "unevictable");
		extract_expect_counters(test, file, &base, "unevictable");
		KUNIT_EXPECT_TRUE(test, insert_intact(folio, 7));
		kunit_release_action(test, insert_put, folio);
	}
}

static void extract_c30_insert_again(struct kunit *test)
{
	unsigned int order, max = insert_max_order();
	struct file *file = extract_file(test, insert_always, 4UL << max);
	struct file *other = extract_file(test, insert_within, 4UL << max);

	for (order = 0; order <= max; order++) {
		struct folio *folio, *first;
		pgoff_t nr = 1UL << order;
		struct extract_counters base;

		extract_get_counters(&base, file);
		first = extract_insert(test, file, order, nr, 1);
		folio = extract_ok(test, file, nr, order, EXTRACT_GFP);

		/* At the same index, as it is */
		insert_expect_inserted(test, file, folio, nr);
		insert_expect_read(test, file, nr, order, 1);
		kunit_release_action(test, insert_put, folio);
		folio = extract_ok(test, file, nr, order, EXTRACT_GFP);
		KUNIT_ASSERT_PTR_EQ(test, folio, first);

		/* At another one, with something else in it */
		insert_fill(folio, 2);
		insert_expect_inserted(test, file, folio, 2 * nr);
		KUNIT_EXPECT_EQ(test, folio->index, 2 * nr);
		insert_expect_read(test, file, 2 * nr, order, 2);
		KUNIT_EXPECT_EQ(test, extract_error(file, nr, 0, NUMA_NO_NODE,
						    EXTRACT_GFP), -ENOENT);
		kunit_release_action(test, insert_put, folio);
		folio = extract_ok(test, file, 2 * nr, order, EXTRACT_GFP);
		extract_expect_counters(test, file, &base, "taken out again");

		/* And in another file */
		insert_expect_inserted(test, other, folio, 3 * nr);
		insert_expect_read(test, other, 3 * nr, order, 2);
		KUNIT_EXPECT_EQ(test, file->f_mapping->nrpages, 0);
		kunit_release_action(test, insert_put, folio);
		shmem_truncate_range(file_inode(other), 0, -1);
	}
}

/* A folio is not returned for an index in the middle of it. */
static void extract_c44_index_in_the_middle(struct kunit *test)
{
	unsigned int order, max = insert_max_order();
	struct file *file = extract_file(test, insert_always, 2UL << max);

	if (!max)
		kunit_skip(test, "needs large folios");

	for (order = 1; order <= max; order++) {
		pgoff_t nr = 1UL << order, where[] = { nr + 1, nr + nr / 2, 2 * nr - 1 };
		unsigned int i;

		for (i = 0; i < ARRAY_SIZE(where); i++) {
			struct folio *folio, *out;

			folio = extract_insert(test, file, order, nr, i);
			extract_expect_refused(test, file, folio, where[i], 0,
					       NUMA_NO_NODE, EXTRACT_GFP, -EAGAIN,
					       "by the middle");
			extract_expect_refused(test, file, folio, where[i], order,
					       NUMA_NO_NODE, EXTRACT_GFP, -EAGAIN,
					       "by the middle, whole");
			out = extract_ok(test, file, nr, order, EXTRACT_GFP);
			KUNIT_ASSERT_PTR_EQ(test, out, folio);
			KUNIT_EXPECT_TRUE(test, insert_intact(out, i));
			KUNIT_EXPECT_EQ(test, file->f_mapping->nrpages, 0);
			kunit_release_action(test, insert_put, out);
		}
	}
}

/* A folio that the file allocated by itself can be extracted, too. */
static void extract_what_the_file_allocated(struct kunit *test)
{
	struct file *file = extract_file(test, insert_within, 5);
	struct extract_counters base;
	struct folio *folio;
	pgoff_t i;

	extract_get_counters(&base, file);
	/* Not up to date, and of no defined contents, before somebody looks */
	KUNIT_ASSERT_EQ(test, 0, vfs_fallocate(file, 0, 0, 5 * PAGE_SIZE));
	KUNIT_ASSERT_EQ(test, file->f_mapping->nrpages, 5);

	for (i = 0; i < 5; i += folio_nr_pages(folio)) {
		unsigned long page;
		int set = 0;

		folio = extract_ok(test, file, i, 0, EXTRACT_GFP);
		extract_expect_fresh(test, file, folio, "fallocated");
		for (page = 0; page < folio_nr_pages(folio); page++) {
			void *p = kmap_local_folio(folio, page * PAGE_SIZE);

			set += !!memchr_inv(p, 0, PAGE_SIZE);
			kunmap_local(p);
		}
		KUNIT_EXPECT_EQ(test, set, 0);
	}
	extract_expect_counters(test, file, &base, "fallocated");
}

static void extract_c45_fput(struct kunit *test)
{
	unsigned int order, max = insert_max_order();
	struct vfsmount *mnt = insert_test_mount(test, SB_KERNMOUNT, "nr_blocks",
						 "65536");
	struct shmem_sb_info *sbinfo = mnt->mnt_sb->s_fs_info;

	for (order = 0; order <= max; order++) {
		pgoff_t nr = 1UL << order;
		struct file *file = extract_file(test, mnt, 4 * nr);
		struct inode *inode = file_inode(file);
		long shmem = insert_node_stat(NR_SHMEM);
		struct folio *folio;

		extract_insert(test, file, order, 0, 1);
		extract_insert(test, file, order, nr, 2);
		extract_insert(test, file, order, 3 * nr, 3);
		folio = extract_ok(test, file, nr, order, EXTRACT_GFP);
		KUNIT_EXPECT_EQ(test, inode->i_blocks,
				2 * nr * (PAGE_SIZE / SECTOR_SIZE));
		KUNIT_EXPECT_EQ(test, percpu_counter_sum(&sbinfo->used_blocks), 2 * nr);
		extract_ok(test, file, 0, order, EXTRACT_GFP);
		extract_ok(test, file, 3 * nr, order, EXTRACT_GFP);
		KUNIT_EXPECT_EQ(test, inode->i_blocks, 0);

		/* With contents, and with a file that goes with some in it */
		insert_expect_inserted(test, file, folio, 2 * nr);
		kunit_release_action(test, insert_put, folio);
		folio = extract_ok(test, file, 2 * nr, order, EXTRACT_GFP);
		extract_insert(test, file, order, nr, 4);
		kunit_release_action(test, insert_close, file);
		KUNIT_EXPECT_EQ(test, insert_node_stat(NR_SHMEM), shmem);
		KUNIT_EXPECT_EQ(test, percpu_counter_sum(&sbinfo->used_blocks), 0);

		/* The folio outlives the file. */
		KUNIT_EXPECT_TRUE(test, insert_intact(folio, 2));
		file = extract_file(test, mnt, 4 * nr);
		insert_expect_inserted(test, file, folio, 0);
		insert_expect_read(test, file, 0, order, 2);
		kunit_release_action(test, insert_put, folio);
		kunit_release_action(test, insert_close, file);
	}
}

static unsigned int extract_traced, extract_traced_failures;

static void extract_probe(void *data, const struct inode *inode,
			  const struct folio *folio, pgoff_t index)
{
	if (inode == data && index == 2 && folio_order(folio) == 1)
		extract_traced++;
}

static void extract_probe_fail(void *data, const struct inode *inode,
			       pgoff_t index, unsigned int min_order, int error)
{
	if (inode == data && index == 1 && min_order == 1 && error == -ENOENT)
		extract_traced_failures++;
}

static void extract_traced_once(struct kunit *test)
{
	struct file *file = extract_file(test, insert_always, 4);
	struct inode *inode = file_inode(file);
	struct folio *folio;

	if (!insert_max_order())
		kunit_skip(test, "needs large folios");

	extract_traced = 0;
	extract_traced_failures = 0;
	KUNIT_ASSERT_EQ(test, 0, register_trace_shmem_extract_folio(extract_probe,
								    inode));
	if (!register_trace_shmem_extract_folio_fail(extract_probe_fail, inode)) {
		extract_insert(test, file, 1, 2, 1);
		folio = shmem_extract_folio(file, 2, 1, NUMA_NO_NODE, EXTRACT_GFP);
		KUNIT_EXPECT_FALSE(test, IS_ERR(folio));
		if (!IS_ERR(folio))
			folio_put(folio);
		KUNIT_EXPECT_EQ(test, extract_error(file, 1, 1, NUMA_NO_NODE,
						    EXTRACT_GFP), -ENOENT);
		unregister_trace_shmem_extract_folio_fail(extract_probe_fail, inode);
	}
	unregister_trace_shmem_extract_folio(extract_probe, inode);
	tracepoint_synchronize_unregister();
	KUNIT_EXPECT_EQ(test, extract_traced, 1);
	KUNIT_EXPECT_EQ(test, extract_traced_failures, 1);
}

/*
 * Refusals
 */

static void extract_c31_hole(struct kunit *test)
{
	unsigned int max = insert_max_order();
	pgoff_t nr = 1UL << max, holes[] = { 0, 1, nr - 1, 2 * nr, 3 * nr - 1 };
	struct file *empty = extract_file(test, insert_always, 3 * nr);
	struct file *file = extract_file(test, insert_always, 3 * nr);
	struct extract_counters base_empty, base;
	unsigned int i, round;
	long least = LONG_MAX;

	if (!max)
		nr = 2;
	extract_insert(test, file, max, nr, 1);
	extract_get_counters(&base_empty, empty);
	extract_get_counters(&base, file);

	/* The rest of the system allocates, too, but not all the time. */
	for (round = 0; round < 8 && least; round++) {
		long before = insert_pages_allocated();
		int bad = 0;

		for (i = 0; i < ARRAY_SIZE(holes); i++) {
			bad += extract_error(empty, holes[i], 0, NUMA_NO_NODE,
					     EXTRACT_GFP) != -ENOENT;
			if (max)
				bad += extract_error(file, holes[i], max, NUMA_NO_NODE,
						     EXTRACT_GFP) != -ENOENT;
		}
		least = min(least, insert_pages_allocated() - before);
		KUNIT_EXPECT_EQ(test, bad, 0);
	}
	KUNIT_EXPECT_EQ(test, least, 0);
	extract_expect_counters(test, empty, &base_empty, "empty");
	extract_expect_counters(test, file, &base, "beside a folio");
	insert_expect_read(test, file, nr, max, 1);

	/* Where something was */
	extract_ok(test, file, nr, max, EXTRACT_GFP);
	KUNIT_EXPECT_EQ(test, extract_error(file, nr, max, NUMA_NO_NODE,
					    EXTRACT_GFP), -ENOENT);
}

static void extract_c35_below_min_order(struct kunit *test)
{
	unsigned int order, max = insert_max_order();
	struct file *file = extract_file(test, insert_always, 2UL << max);

	for (order = 0; order <= max; order++) {
		pgoff_t nr = 1UL << order;
		struct folio *folio = extract_insert(test, file, order, nr, order);

		extract_expect_refused(test, file, folio, nr, order + 1, NUMA_NO_NODE,
				       EXTRACT_GFP, -EAGAIN, "one more");
		extract_expect_refused(test, file, folio, 2 * nr - 1, UINT_MAX,
				       NUMA_NO_NODE, EXTRACT_GFP, -EAGAIN, "too much");
		insert_expect_read(test, file, nr, order, order);
		extract_ok(test, file, nr, order, EXTRACT_GFP);
	}
}

static void extract_c36_foreign_use(struct kunit *test)
{
	unsigned int order, max = insert_max_order();
	struct file *file = extract_file(test, insert_always, 2UL << max);

	for (order = 0; order <= max; order += max ?: 1) {
		pgoff_t nr = 1UL << order;
		struct folio *folio = extract_insert(test, file, order, nr, 1), *out;

		folio_get(folio);
		extract_expect_refused(test, file, folio, nr, order, NUMA_NO_NODE,
				       EXTRACT_GFP, -EBUSY, "reference");
		insert_expect_read(test, file, nr, order, 1);
		folio_put(folio);

		/* Of a user of one of its pages */
		get_page(folio_page(folio, nr - 1));
		extract_expect_refused(test, file, folio, nr, order, NUMA_NO_NODE,
				       EXTRACT_GFP, -EBUSY, "reference to a page");
		put_page(folio_page(folio, nr - 1));

		if (order)
			atomic_inc(&folio->_large_mapcount);
		else
			atomic_inc(&folio->_mapcount);
		extract_expect_refused(test, file, folio, nr, order, NUMA_NO_NODE,
				       EXTRACT_GFP, -EBUSY, "mapped");
		if (order)
			atomic_dec(&folio->_large_mapcount);
		else
			atomic_dec(&folio->_mapcount);

		/* Reclaim has it. */
		lru_add_drain_all();
		KUNIT_ASSERT_TRUE(test, folio_isolate_lru(folio));
		KUNIT_EXPECT_EQ(test, extract_error(file, nr, order, NUMA_NO_NODE,
						    EXTRACT_GFP), -EBUSY);
		KUNIT_EXPECT_TRUE(test, folio_test_dirty(folio));
		KUNIT_EXPECT_FALSE(test, folio_test_lru(folio));
		KUNIT_EXPECT_FALSE(test, folio_test_locked(folio));
		folio_putback_lru(folio);

		out = extract_ok(test, file, nr, order, EXTRACT_GFP);
		KUNIT_ASSERT_PTR_EQ(test, out, folio);
		KUNIT_EXPECT_TRUE(test, insert_intact(out, 1));
		extract_expect_fresh(test, file, out, "not busy any more");
		kunit_release_action(test, insert_put, out);
	}
}

struct extract_work {
	struct kunit *test;
	struct file *file;
	struct folio *folio;
	bool accessed;
	bool batched;
	int ret;
};

static long extract_batch_work(void *data)
{
	struct extract_work *work = data;

	if (work->accessed) {
		/* It becomes active when this batch is drained. */
		folio_mark_accessed(work->folio);
		folio_mark_accessed(work->folio);
		work->batched = folio_ref_count(work->folio) > 2;
		return 0;
	}
	work->ret = shmem_insert_folio(work->file, work->folio, 0, GFP_KERNEL);
	work->batched = !folio_test_lru(work->folio);

	return 0;
}

static long extract_work(void *data)
{
	struct extract_work *work = data;

	work->folio = shmem_extract_folio(work->file, 0, 0, NUMA_NO_NODE, EXTRACT_GFP);

	return 0;
}

/*
 * Puts the folio into a batch of another CPU: it is to be added, or to become
 * active. False if somebody has drained that already, as others may at any time.
 */
static bool extract_batch(struct kunit *test, struct extract_work *work,
			  unsigned int there)
{
	if (work->accessed) {
		insert_expect_inserted(test, work->file, work->folio, 0);
		lru_add_drain_all();
	}
	work_on_cpu(there, extract_batch_work, work);
	KUNIT_ASSERT_EQ(test, work->ret, 0);
	kunit_release_action(test, insert_put, work->folio);

	return work->batched;
}

/* Its own batches are drained for it, those of others are not. */
static void extract_c36_c74_batches(struct kunit *test)
{
	struct file *file = extract_file(test, insert_always, 1);
	unsigned int here = cpumask_first(cpu_online_mask);
	unsigned int there = cpumask_next(here, cpu_online_mask);
	unsigned int round, batched[4] = { };

	if (there >= nr_cpu_ids)
		kunit_skip(test, "needs two processors");

	for (round = 0; round < 256 && (batched[0] < 4 || batched[1] < 4 ||
					batched[2] < 4 || batched[3] < 4); round++) {
		struct extract_work work = { .file = file, .accessed = round & 1 };
		struct folio *folio = insert_folio(test, file, 0, round);
		bool own = round & 2;
		int ret;

		work.folio = folio;
		batched[round & 3] += extract_batch(test, &work, there);

		work_on_cpu(own ? there : here, extract_work, &work);
		ret = PTR_ERR_OR_ZERO(work.folio);
		if (own) {
			KUNIT_EXPECT_EQ(test, ret, 0);
		} else if (ret) {
			KUNIT_ASSERT_EQ(test, ret, -EBUSY);
			/* It is as good as before, and can be read. */
			extract_expect_refused(test, file, folio, 0, 1, NUMA_NO_NODE,
					       EXTRACT_GFP, -EAGAIN, "in a batch");
			insert_expect_read(test, file, 0, 0, round);
		} else {
			/* Drained in the meantime */
			batched[round & 3] -= work.batched;
		}
		if (ret)
			work.folio = shmem_extract_folio(file, 0, 0, NUMA_NO_NODE,
							 EXTRACT_GFP);
		KUNIT_ASSERT_PTR_EQ(test, work.folio, folio);
		KUNIT_ASSERT_EQ(test, 0,
				kunit_add_action_or_reset(test, insert_put, folio));
		KUNIT_EXPECT_TRUE(test, insert_intact(folio, round));
		extract_expect_fresh(test, file, folio, "from a batch");
		kunit_release_action(test, insert_put, folio);
	}
	KUNIT_EXPECT_GE(test, batched[0], 4);
	KUNIT_EXPECT_GE(test, batched[1], 4);
	KUNIT_EXPECT_GE(test, batched[2], 4);
	KUNIT_EXPECT_GE(test, batched[3], 4);
}

struct extract_hog {
	bool started;
	bool stop;
	bool gave_up;
};

/* Nothing else runs on its CPU, not even a worker of the highest priority. */
static int extract_hog(void *data)
{
	struct extract_hog *hog = data;
	unsigned long end;

	preempt_disable();
	WRITE_ONCE(hog->started, true);
	end = jiffies + 10 * HZ;
	while (!READ_ONCE(hog->stop) && time_before(jiffies, end))
		cpu_relax();
	WRITE_ONCE(hog->gave_up, !READ_ONCE(hog->stop));
	preempt_enable();

	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);

	return 0;
}

static void extract_c74_cpu_that_never_schedules(struct kunit *test)
{
	struct file *file = extract_file(test, insert_always, 1);
	unsigned int here = cpumask_first(cpu_online_mask);
	unsigned int there = cpumask_next(here, cpu_online_mask);
	struct extract_work work = { .file = file };
	struct extract_hog hog = { };
	struct task_struct *task;
	struct folio *folio;
	unsigned int tries;

	if (there >= nr_cpu_ids)
		kunit_skip(test, "needs two processors");

	/* Not where nothing else is going to run */
	KUNIT_ASSERT_EQ(test, 0, set_cpus_allowed_ptr(current, cpumask_of(here)));

	for (tries = 0; ; tries++) {
		folio = insert_folio(test, file, 0, tries);
		work.folio = folio;
		if (extract_batch(test, &work, there) || tries == 64)
			break;
		shmem_truncate_range(file_inode(file), 0, -1);
	}

	task = kthread_create(extract_hog, &hog, "extract_hog");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	kthread_bind(task, there);
	get_task_struct(task);
	wake_up_process(task);
	while (!READ_ONCE(hog.started))
		schedule_timeout_uninterruptible(1);

	work_on_cpu(here, extract_work, &work);
	WRITE_ONCE(hog.stop, true);
	kthread_stop(task);
	put_task_struct(task);

	KUNIT_EXPECT_FALSE_MSG(test, hog.gave_up, "waited for CPU %u", there);
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(work.folio), -EBUSY);
	if (!IS_ERR(work.folio)) {
		folio_put(work.folio);
		return;
	}

	lru_add_drain_all();
	KUNIT_EXPECT_PTR_EQ(test, folio, extract_ok(test, file, 0, 0, EXTRACT_GFP));
	KUNIT_EXPECT_TRUE(test, insert_intact(folio, tries));
}

static void extract_c37_movable_block(struct kunit *test)
{
	unsigned int order, max = insert_max_order();
	/* This file takes movable folios. */
	struct file *file = insert_file(test, insert_always, 2UL << max);

	if (page_group_by_mobility_disabled)
		kunit_skip(test, "all blocks are unmovable here");

	for (order = 0; order <= max; order++) {
		pgoff_t nr = 1UL << order;
		struct folio *folio = NULL;
		unsigned int tries;

		/* In the end a small request may be served from another block. */
		for (tries = 0; tries < 1000; tries++) {
			folio = folio_alloc(GFP_HIGHUSER_MOVABLE |
					    __GFP_RETRY_MAYFAIL, order);
			KUNIT_ASSERT_NOT_NULL(test, folio);
			KUNIT_ASSERT_EQ(test, 0,
					kunit_add_action_or_reset(test, insert_put,
								  folio));
			if (get_pageblock_migratetype(&folio->page) == MIGRATE_MOVABLE)
				break;
		}
		KUNIT_ASSERT_EQ(test, get_pageblock_migratetype(&folio->page),
				MIGRATE_MOVABLE);
		insert_fill(folio, order);
		insert_expect_inserted(test, file, folio, nr);
		kunit_release_action(test, insert_put, folio);

		extract_expect_refused(test, file, folio, nr, order, NUMA_NO_NODE,
				       EXTRACT_GFP, -EXDEV, "movable");
		extract_expect_refused(test, file, folio, nr, 0, NUMA_NO_NODE,
				       GFP_HIGHUSER_MOVABLE, -EXDEV,
				       "movable, and asked for");
		insert_expect_read(test, file, nr, order, order);
		shmem_truncate_range(file_inode(file), 0, -1);
	}
}

/* No test can have a ZONE_MOVABLE: lie about where this folio is. */
static void extract_c37_movable_zone(struct kunit *test)
{
	struct file *file = insert_file(test, insert_always, 1);
	struct folio *folio = extract_insert(test, file, 0, 0, 1);
	enum zone_type zone = folio_zonenum(folio);
	int ret;

	lru_add_drain_all();
	set_page_zone(&folio->page, ZONE_MOVABLE);
	ret = extract_error(file, 0, 0, NUMA_NO_NODE, GFP_HIGHUSER_MOVABLE);
	set_page_zone(&folio->page, zone);
	KUNIT_EXPECT_EQ(test, ret, -EXDEV);
	insert_expect_read(test, file, 0, 0, 1);
	extract_ok(test, file, 0, 0, EXTRACT_GFP);
}

#ifdef CONFIG_NUMA
/* There is no slow memory here, so pretend that this folio is on a slow node. */
static void extract_c73_demoted(struct kunit *test)
{
	struct file *file = extract_file(test, insert_always, 1);
	struct folio *folio = extract_insert(test, file, 0, 0, 1);
	int nid = folio_nid(folio), slow, ret[2];

	for (slow = MAX_NUMNODES - 1; slow && node_is_toptier(slow); slow--)
		;
	if (!slow)
		kunit_skip(test, "all nodes are the fastest");

	lru_add_drain_all();
	set_page_node(&folio->page, slow);
	ret[0] = extract_error(file, 0, 0, NUMA_NO_NODE, EXTRACT_GFP);
	ret[1] = extract_error(file, 0, 0, nid, EXTRACT_GFP);
	set_page_node(&folio->page, nid);
	KUNIT_EXPECT_EQ(test, ret[0], -EXDEV);
	KUNIT_EXPECT_EQ(test, ret[1], -EXDEV);
	insert_expect_read(test, file, 0, 0, 1);
	extract_ok(test, file, 0, 0, EXTRACT_GFP);
}

/* Each of the nodes is as good as the other to who does not ask for one. */
static void extract_c73_any_node(struct kunit *test)
{
	unsigned int order, max = insert_max_order();
	struct file *file = extract_file(test, insert_always, 1UL << max);
	int nid;

	for_each_node_state(nid, N_MEMORY) {
		for (order = 0; order <= max; order += max ?: 1) {
			struct folio *folio;

			folio = shmem_alloc_detached_folio(file, order, nid,
							   GFP_HIGHUSER | __GFP_THISNODE);
			KUNIT_ASSERT_NOT_NULL(test, folio);
			KUNIT_ASSERT_EQ(test, 0,
					kunit_add_action_or_reset(test, insert_put,
								  folio));
			insert_expect_inserted(test, file, folio, 0);
			kunit_release_action(test, insert_put, folio);
			KUNIT_EXPECT_PTR_EQ(test, folio,
					    extract_ok(test, file, 0, order,
						       EXTRACT_GFP));
			kunit_release_action(test, insert_put, folio);
		}
	}
}
#endif

static void extract_c38_wrong_node(struct kunit *test)
{
	unsigned int order, max = insert_max_order();
	struct file *file = extract_file(test, insert_always, 1UL << max);

	for (order = 0; order <= max; order += max ?: 1) {
		struct folio *folio = extract_insert(test, file, order, 0, 1);
		int nid = folio_nid(folio);

		extract_expect_refused(test, file, folio, 0, order, nid + 1,
				       EXTRACT_GFP, -EXDEV, "the next node");
		insert_expect_read(test, file, 0, order, 1);
		folio = shmem_extract_folio(file, 0, order, nid, EXTRACT_GFP);
		KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
		folio_put(folio);
	}
}

#ifdef CONFIG_ZONE_DMA32
static void extract_c38_wrong_zone(struct kunit *test)
{
	const gfp_t dma32 = GFP_KERNEL | GFP_DMA32;
	unsigned int order, max = insert_max_order();
	struct file *file = extract_file(test, insert_always, 2UL << max);

	for (order = 0; order <= max; order += max ?: 1) {
		pgoff_t nr = 1UL << order;
		struct folio *folio = extract_insert(test, file, order, 0, 1), *low;

		if (folio_zonenum(folio) <= ZONE_DMA32)
			kunit_skip(test, "needs memory above 4 GiB");
		extract_expect_refused(test, file, folio, 0, order, NUMA_NO_NODE,
				       dma32, -EXDEV, "too high");
		insert_expect_read(test, file, 0, order, 1);
		extract_ok(test, file, 0, order, EXTRACT_GFP);

		low = shmem_alloc_detached_folio(file, order, NUMA_NO_NODE, dma32);
		KUNIT_ASSERT_NOT_NULL(test, low);
		KUNIT_ASSERT_EQ(test, 0,
				kunit_add_action_or_reset(test, insert_put, low));
		insert_expect_inserted(test, file, low, nr);
		kunit_release_action(test, insert_put, low);
		KUNIT_EXPECT_PTR_EQ(test, low,
				    extract_ok(test, file, nr, order, dma32));
	}
}
#endif

#ifdef CONFIG_MEMORY_FAILURE
static void extract_c39_hwpoison(struct kunit *test)
{
	unsigned int order, max = insert_max_order();
	struct file *file = extract_file(test, insert_always, 4UL << max);

	for (order = 0; order <= max; order += max ?: 1) {
		unsigned long nr = 1UL << order, where[] = { 0, nr / 2, nr - 1 };
		struct folio *folio = extract_insert(test, file, order, nr, 1);
		unsigned int i;

		for (i = 0; i < ARRAY_SIZE(where); i++) {
			struct page *page = folio_page(folio, where[i]);
			struct folio *before, *after;

			before = extract_insert(test, file, order, 0, 2);
			after = extract_insert(test, file, order, 2 * nr, 3);
			SetPageHWPoison(page);
			extract_expect_refused(test, file, folio, nr, order,
					       NUMA_NO_NODE, EXTRACT_GFP,
					       -EHWPOISON, "poisoned");
			/* Its neighbours are sound. */
			KUNIT_EXPECT_PTR_EQ(test, before,
					    extract_ok(test, file, 0, order,
						       EXTRACT_GFP));
			KUNIT_EXPECT_PTR_EQ(test, after,
					    extract_ok(test, file, 2 * nr, order,
						       EXTRACT_GFP));
			KUNIT_EXPECT_TRUE(test, insert_intact(before, 2));
			KUNIT_EXPECT_TRUE(test, insert_intact(after, 3));
			ClearPageHWPoison(page);
		}
		folio = extract_ok(test, file, nr, order, EXTRACT_GFP);
		KUNIT_EXPECT_TRUE(test, insert_intact(folio, 1));
	}
}
#endif

#ifdef CONFIG_SWAP
/* An entry that stands for contents that could not be read from swap */
static void extract_c39_lost_in_swap(struct kunit *test)
{
	void *lost = swp_to_radix_entry(make_poisoned_swp_entry());
	struct file *file = extract_file(test, insert_always, 4);
	struct xarray *pages = &file->f_mapping->i_pages;

	extract_insert(test, file, 0, 0, 1);
	extract_insert(test, file, 0, 2, 2);
	KUNIT_ASSERT_FALSE(test, xa_is_err(xa_store_irq(pages, 1, lost, GFP_KERNEL)));
	KUNIT_EXPECT_EQ(test, extract_error(file, 1, 0, NUMA_NO_NODE, EXTRACT_GFP),
			-EIO);
	KUNIT_EXPECT_PTR_EQ(test, xa_load(pages, 1), lost);
	KUNIT_EXPECT_TRUE(test, insert_intact(extract_ok(test, file, 0, 0,
							 EXTRACT_GFP), 1));
	KUNIT_EXPECT_TRUE(test, insert_intact(extract_ok(test, file, 2, 0,
							 EXTRACT_GFP), 2));
	/* It is not accounted like one that swap really lost. */
	xa_erase_irq(pages, 1);
}
#endif

static void extract_refuses_past_the_end(struct kunit *test)
{
	struct file *file = extract_file(test, insert_always, 4);
	struct file *empty = insert_file_bytes(test, insert_always, 0);
	struct file *part = insert_file_bytes(test, insert_always, PAGE_SIZE + 1);
	pgoff_t past[] = { 4, 5, 1UL << 32, (ULONG_MAX >> PAGE_SHIFT) / 2, ULONG_MAX };
	struct folio *folio = extract_insert(test, file, 0, 3, 1);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(past); i++)
		extract_expect_refused(test, file, folio, past[i], 0, NUMA_NO_NODE,
				       EXTRACT_GFP, -EINVAL, "past the end");
	KUNIT_EXPECT_EQ(test, extract_error(empty, 0, 0, NUMA_NO_NODE, EXTRACT_GFP),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, extract_error(part, 2, 0, NUMA_NO_NODE, EXTRACT_GFP),
			-EINVAL);
	/* The last page of a file may be part of one. */
	folio = extract_insert(test, part, 0, 1, 2);
	KUNIT_EXPECT_PTR_EQ(test, folio, extract_ok(test, part, 1, 0, EXTRACT_GFP));
	extract_ok(test, file, 3, 0, EXTRACT_GFP);
}

static void extract_refuses_not_shmem(struct kunit *test)
{
	struct file *file = extract_file(test, insert_always, 4);
	struct address_space mapping = { .host = file_inode(file) };
	struct file other = { .f_mapping = &mapping, .f_inode = file_inode(file) };

	extract_insert(test, file, 0, 0, 1);
	KUNIT_EXPECT_EQ(test, extract_error(&other, 0, 0, NUMA_NO_NODE, EXTRACT_GFP),
			-EINVAL);
	insert_expect_read(test, file, 0, 0, 1);
}

/* A file that has pages, but not for this */
static void extract_expect_foreign(struct kunit *test, struct file *file,
				   const char *what)
{
	struct folio *folio = shmem_read_folio(file->f_mapping, 1);

	KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
	folio_mark_dirty(folio);
	extract_expect_refused(test, file, folio, 1, 0, NUMA_NO_NODE, EXTRACT_GFP,
			       -EPERM, what);
	folio_put(folio);
	extract_expect_refused(test, file, folio, 1, 0, NUMA_NO_NODE, EXTRACT_GFP,
			       -EPERM, what);
	/* A hole is none of the caller's business either. */
	KUNIT_EXPECT_EQ_MSG(test, extract_error(file, 2, 0, NUMA_NO_NODE, EXTRACT_GFP),
			    -EPERM, "%s", what);
}

static void extract_c15_c70_mount_of_user_space(struct kunit *test)
{
	struct vfsmount *mnt = insert_test_mount(test, 0, "huge", "never");

	extract_expect_foreign(test, insert_plain_file(test, mnt, 4 * PAGE_SIZE),
			       "mount of user space");
}

/* Nothing else can be frozen or sealed. */
static void extract_c16_c70_memfd(struct kunit *test)
{
	struct file *file = insert_memfd(test, 4 * PAGE_SIZE);
	struct shmem_inode_info *info = SHMEM_I(file_inode(file));

	extract_expect_foreign(test, file, "memfd");
	shmem_freeze(file_inode(file), true);
	extract_expect_foreign(test, file, "frozen");
	shmem_freeze(file_inode(file), false);
	info->seals |= F_SEAL_WRITE;
	extract_expect_foreign(test, file, "F_SEAL_WRITE");
}

/* All of these are on a mount of the kernel's own. */
static void extract_c70_shared_memory(struct kunit *test)
{
	extract_expect_foreign(test, insert_shared_memory(test, 4 * PAGE_SIZE),
			       "SysV");
	extract_expect_foreign(test, insert_shared_anonymous(test, 4 * PAGE_SIZE),
			       "shared anonymous");
	extract_expect_foreign(test, insert_plain_file(test, insert_within,
						       4 * PAGE_SIZE),
			       "beside others");
}

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
/* Huge folios are grouped by mobility as the mapping says. */
static void extract_c72_huge_gfp(struct kunit *test)
{
	static const gfp_t masks[] = {
		GFP_HIGHUSER | __GFP_RECLAIMABLE, GFP_HIGHUSER, GFP_HIGHUSER_MOVABLE,
		GFP_KERNEL | GFP_DMA32 | __GFP_RECLAIMABLE,
	};
	const gfp_t mobility = __GFP_RECLAIMABLE | __GFP_MOVABLE;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(masks); i++) {
		gfp_t gfp = thp_shmem_limit_gfp_mask(vma_thp_gfp_mask(NULL), masks[i]);

		KUNIT_EXPECT_EQ_MSG(test, (__force unsigned int)(gfp & mobility),
				    (__force unsigned int)(masks[i] & mobility),
				    "mask %u", i);
		KUNIT_EXPECT_EQ_MSG(test, (unsigned int)gfp_zone(gfp),
				    (unsigned int)gfp_zone(masks[i]), "mask %u", i);
		KUNIT_EXPECT_TRUE_MSG(test, gfp & __GFP_COMP, "mask %u", i);
	}
}

static void extract_expect_reclaimable(struct kunit *test, struct folio *folio)
{
	unsigned long pfn = folio_pfn(folio), end = pfn + folio_nr_pages(folio);

	/* A block as a whole changes its type with its use. */
	KUNIT_ASSERT_GE(test, folio_order(folio), pageblock_order);
	for (; pfn < end; pfn += pageblock_nr_pages)
		KUNIT_EXPECT_EQ(test, get_pageblock_migratetype(pfn_to_page(pfn)),
				MIGRATE_RECLAIMABLE);
}

/* Folios that the file allocates by itself, as for a copy */
static void extract_c72_huge_blocks(struct kunit *test)
{
	unsigned int max = insert_max_order();
	struct file *file = extract_file(test, insert_always, 1UL << max);
	struct folio *folio;

	if (max < pageblock_order || page_group_by_mobility_disabled)
		kunit_skip(test, "no folio has a block for itself here");

	folio = shmem_read_folio(file->f_mapping, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
	extract_expect_reclaimable(test, folio);
	folio_put(folio);
}
#endif

/*
 * Races
 */

enum extract_kind {
	EXTRACT_IT,
	EXTRACT_PUNCH,
	EXTRACT_UNUSE,
};

struct extract_racer {
	struct task_struct *task;
	enum extract_kind kind;
	struct file *file;
	pgoff_t index;
	unsigned int order;
	loff_t start, end;
	unsigned int type;
	unsigned int delay;	/* in microseconds, so that each wins at times */
	atomic_t *ready;
	struct folio *folio;
	int ret;
};

static void extract_racer_acts(struct extract_racer *racer)
{
	atomic_inc(racer->ready);
	while (atomic_read(racer->ready) < 2)
		cond_resched();
	udelay(racer->delay);

	switch (racer->kind) {
	case EXTRACT_IT:
		racer->folio = shmem_extract_folio(racer->file, racer->index,
						   racer->order, NUMA_NO_NODE,
						   EXTRACT_GFP);
		break;
	case EXTRACT_PUNCH:
		shmem_truncate_range(file_inode(racer->file), racer->start, racer->end);
		break;
	case EXTRACT_UNUSE:
#ifdef CONFIG_SWAP
		racer->ret = shmem_unuse(racer->type);
#endif
		break;
	}
}

static int extract_race(void *data)
{
	extract_racer_acts(data);
	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);

	return 0;
}

/* Starts the other one of two; extract_racer_acts() is the first's part. */
static void extract_start(struct kunit *test, struct extract_racer *racer)
{
	racer->task = kthread_create(extract_race, racer, "extract_race");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, racer->task);
	get_task_struct(racer->task);
	wake_up_process(racer->task);
}

/* It has begun, so it ends before it sees that it has to stop. */
static void extract_join(struct extract_racer *racer)
{
	kthread_stop(racer->task);
	put_task_struct(racer->task);
}

static long extract_free_pages(void)
{
	lru_add_drain_all();
	drain_all_pages(NULL);

	return global_zone_page_state(NR_FREE_PAGES);
}

/* Did the racer get it, with all of its bytes? Drops it then. */
static bool extract_won(struct kunit *test, struct extract_racer *racer, u64 seed)
{
	struct folio *folio = racer->folio;

	if (IS_ERR(folio)) {
		if (PTR_ERR(folio) != -EBUSY)
			KUNIT_EXPECT_EQ(test, PTR_ERR(folio), -ENOENT);
		return false;
	}

	KUNIT_EXPECT_EQ(test, folio_order(folio), racer->order);
	KUNIT_EXPECT_TRUE(test, insert_intact(folio, seed));
	extract_expect_fresh(test, racer->file, folio, "won");
	folio_put(folio);

	return true;
}

static void extract_c36_one_winner(struct kunit *test)
{
	unsigned int round, orders[] = { 0, min(insert_max_order(), 4U) };
	struct file *file = extract_file(test, insert_always, 16);
	struct extract_counters base;

	extract_get_counters(&base, file);
	for (round = 0; round < 100; round++) {
		atomic_t ready = ATOMIC_INIT(0);
		unsigned int order = orders[round & 1];
		struct extract_racer racers[2] = {
			{ .kind = EXTRACT_IT, .file = file, .order = order,
			  .ready = &ready },
			{ .kind = EXTRACT_IT, .file = file, .order = order,
			  .ready = &ready },
		};
		unsigned int winners = 0;

		extract_insert(test, file, order, 0, round);
		extract_start(test, &racers[1]);
		extract_racer_acts(&racers[0]);
		extract_join(&racers[1]);

		winners += extract_won(test, &racers[0], round);
		winners += extract_won(test, &racers[1], round);
		KUNIT_EXPECT_LE(test, winners, 1);
		/* Both may back off, but then it is still there. */
		if (!winners)
			extract_expect_all(test, file, 0, 1UL << order, round);
		KUNIT_EXPECT_EQ(test, file->f_mapping->nrpages, 0);
	}
	extract_expect_counters(test, file, &base, "two at once");
}

static void extract_c42_hole_punch(struct kunit *test)
{
	unsigned int round, max = insert_max_order(), orders[] = { 0, max, 2 };
	struct file *file = extract_file(test, insert_always, 1UL << max);
	unsigned int won = 0, lost = 0;
	struct extract_counters base;
	long leaked = 0;

	extract_get_counters(&base, file);
	for (round = 0; round < 150; round++) {
		unsigned int order = min(orders[round % ARRAY_SIZE(orders)], max);
		atomic_t ready = ATOMIC_INIT(0);
		struct extract_racer punch = {
			.kind = EXTRACT_PUNCH, .file = file, .end = -1,
			.ready = &ready, .delay = round % 8 * 100,
		};
		struct extract_racer extract = {
			.kind = EXTRACT_IT, .file = file, .order = order,
			.ready = &ready,
		};

		/* The first rounds warm up what is allocated once. */
		if (round == 6)
			leaked = extract_free_pages();
		extract_insert(test, file, order, 0, round);
		lru_add_drain();
		extract_start(test, &punch);
		extract_racer_acts(&extract);
		extract_join(&punch);

		if (extract_won(test, &extract, round))
			won++;
		else
			lost++;
		/* Either of them has taken it. */
		KUNIT_EXPECT_NULL(test, xa_load(&file->f_mapping->i_pages, 0));
		KUNIT_EXPECT_EQ(test, file->f_mapping->nrpages, 0);
		KUNIT_EXPECT_EQ(test, file_inode(file)->i_blocks, 0);
	}
	leaked -= extract_free_pages();
	extract_expect_counters(test, file, &base, "punched");
	kunit_info(test, "extraction won %u times, truncation %u times", won, lost);
	/* A dozen of the 48 large folios would be seen, what others use not. */
	KUNIT_EXPECT_LT(test, leaked, 24L << (20 - PAGE_SHIFT));
}

/*
 * Takes all out of a range of which the second page was punched out: a hole if
 * the folio could be split for that, else it is full of zeroes in a whole folio.
 */
static void extract_expect_punched(struct kunit *test, struct file *file,
				   pgoff_t nr, u64 seed)
{
	unsigned long page, pages;
	pgoff_t i;

	for (i = 0; i < nr; i += pages) {
		struct folio *folio;
		int bad = 0;

		pages = 1;
		if (i == 1 && !xa_load(&file->f_mapping->i_pages, i))
			continue;

		folio = extract_patiently(test, file, i, 0);
		pages = folio_nr_pages(folio);
		for (page = 0; page < pages; page++) {
			if (i + page != 1) {
				bad += insert_differs(folio, page, i + page, seed);
			} else {
				void *p = kmap_local_folio(folio, page * PAGE_SIZE);

				bad += !!memchr_inv(p, 0, PAGE_SIZE);
				kunmap_local(p);
			}
		}
		KUNIT_EXPECT_EQ_MSG(test, bad, 0, "from page %lu on", i);
		kunit_release_action(test, insert_put, folio);
	}
}

/* One page of many is punched out; the folio may be split for that. */
static void extract_c42_partial_punch(struct kunit *test)
{
	unsigned int round, max = insert_max_order(), orders[] = { 2, max };
	struct file *file = extract_file(test, insert_always, 1UL << max);
	struct extract_counters base;

	if (max < 2)
		kunit_skip(test, "needs large folios");

	extract_get_counters(&base, file);
	for (round = 0; round < 40; round++) {
		unsigned int order = orders[round & 1];
		atomic_t ready = ATOMIC_INIT(0);
		struct extract_racer punch = {
			.kind = EXTRACT_PUNCH, .file = file, .ready = &ready,
			.delay = round % 8 * 100, .start = PAGE_SIZE, .end = 2 * PAGE_SIZE - 1,
		};
		struct extract_racer extract = {
			.kind = EXTRACT_IT, .file = file, .order = order,
			.ready = &ready,
		};
		struct folio *folio;
		unsigned long i, nr = 1UL << order;

		extract_insert(test, file, order, 0, round);
		lru_add_drain();
		extract_start(test, &punch);
		extract_racer_acts(&extract);
		extract_join(&punch);

		folio = extract.folio;
		if (!IS_ERR(folio)) {
			int bad = 0;

			for (i = 0; i < nr; i++)
				bad += i != 1 && insert_differs(folio, i, i, round);
			KUNIT_EXPECT_EQ(test, bad, 0);
			if (insert_differs(folio, 1, 1, round)) {
				void *p = kmap_local_folio(folio, PAGE_SIZE);

				KUNIT_EXPECT_NULL(test, memchr_inv(p, 0, PAGE_SIZE));
				kunmap_local(p);
			}
			extract_expect_fresh(test, file, folio, "punched");
			folio_put(folio);
			KUNIT_EXPECT_EQ(test, file->f_mapping->nrpages, 0);
			continue;
		}

		if (PTR_ERR(folio) != -EBUSY)
			KUNIT_EXPECT_EQ(test, PTR_ERR(folio), -EAGAIN);
		extract_expect_punched(test, file, nr, round);
		KUNIT_EXPECT_EQ(test, file->f_mapping->nrpages, 0);
	}
	extract_expect_counters(test, file, &base, "punched");
}

struct extract_disturber {
	struct file *file;
	unsigned int max;
	unsigned int rounds;
	unsigned int migrated;
};

static struct folio *extract_migrate_to(struct folio *src, unsigned long file)
{
	return shmem_alloc_detached_folio((struct file *)file, folio_order(src),
					  NUMA_NO_NODE, EXTRACT_GFP);
}

/* Use a folio the way compaction, reclaim and pfn walkers do */
static int extract_disturb(void *data)
{
	struct extract_disturber *disturber = data;
	struct address_space *mapping = disturber->file->f_mapping;

	for (; !kthread_should_stop(); disturber->rounds++) {
		pgoff_t index = (pgoff_t)(disturber->rounds % 3) << disturber->max;
		struct folio *folio = filemap_get_folio(mapping, index);
		unsigned int migrated = 0;
		LIST_HEAD(list);

		cond_resched();
		if (IS_ERR(folio))
			continue;

		switch (disturber->rounds / 3 % 5) {
		case 0:
			folio_put(folio);
			break;
		case 1:
			if (folio_isolate_lru(folio)) {
				cond_resched();
				folio_putback_lru(folio);
			}
			folio_put(folio);
			break;
		case 2:
			folio_lock(folio);
			cond_resched();
			folio_unlock(folio);
			folio_put(folio);
			break;
		case 3:
			folio_mark_accessed(folio);
			folio_put(folio);
			break;
		default:
			if (isolate_folio_to_list(folio, &list)) {
				folio_put(folio);
				if (migrate_pages(&list, extract_migrate_to, NULL,
						  (unsigned long)disturber->file,
						  MIGRATE_SYNC, MR_COMPACTION,
						  &migrated))
					putback_movable_pages(&list);
				disturber->migrated += migrated;
			} else {
				folio_put(folio);
			}
		}
	}

	return 0;
}

static void extract_c41_migration(struct kunit *test)
{
	unsigned int i, round, max = insert_max_order();
	unsigned int orders[] = { 0, min(max, 2U), max };
	struct file *file = extract_file(test, insert_always, 3UL << max);
	struct extract_disturber disturber = { .file = file, .max = max };
	struct extract_counters base;
	struct task_struct *task;
	bool intact = true;

	extract_get_counters(&base, file);
	task = kthread_run(extract_disturb, &disturber, "extract_disturb");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);

	/* No assertion may leave the thread behind. */
	for (round = 0; intact && round < 2000 &&
	     (round < 40 || disturber.migrated < 10); round++) {
		for (i = 0; intact && i < ARRAY_SIZE(orders); i++) {
			pgoff_t index = (pgoff_t)i << max;
			unsigned int tries, moved = disturber.migrated;
			struct folio *folio, *out = NULL;
			int ret = -EBUSY;

			folio = shmem_alloc_detached_folio(file, orders[i],
							   NUMA_NO_NODE, EXTRACT_GFP);
			if (!folio)
				continue;
			insert_fill(folio, round);
			for (tries = 0; ret == -EBUSY && tries < EXTRACT_PATIENCE;
			     tries++)
				ret = shmem_insert_folio(file, folio, index, GFP_KERNEL);
			folio_put(folio);
			KUNIT_EXPECT_EQ(test, ret, 0);

			/* Give the others time. */
			for (tries = 0; round & 1 && tries < 100 &&
			     moved == disturber.migrated; tries++)
				cond_resched();

			ret = -EBUSY;
			for (tries = 0; ret == -EBUSY && tries < EXTRACT_PATIENCE;
			     tries++) {
				out = shmem_extract_folio(file, index, orders[i],
							  NUMA_NO_NODE, EXTRACT_GFP);
				ret = PTR_ERR_OR_ZERO(out);
				extract_wait(tries + 1);
			}
			KUNIT_EXPECT_EQ(test, ret, 0);
			intact = !ret && insert_intact(out, round);
			KUNIT_EXPECT_TRUE_MSG(test, intact, "round %u, order %u",
					      round, orders[i]);
			if (!ret) {
				KUNIT_EXPECT_EQ(test, folio_order(out), orders[i]);
				KUNIT_EXPECT_EQ(test, extract_flags(out, 0) &
						~BIT(PG_head), 0);
				folio_put(out);
			}
		}
	}
	kthread_stop(task);

	kunit_info(test, "%u rounds, %u of the other, %u migrations", round,
		   disturber.rounds, disturber.migrated);
	KUNIT_EXPECT_GE(test, disturber.migrated, 10);
	KUNIT_EXPECT_EQ(test, file->f_mapping->nrpages, 0);
	extract_expect_counters(test, file, &base, "disturbed");
}

/*
 * With swap
 */

#ifdef CONFIG_SWAP
/* Is it a device that everybody reads large folios from? */
static bool extract_synchronous(struct kunit *test, swp_entry_t entry)
{
	struct swap_info_struct *si = get_swap_device(entry);
	bool synchronous;

	KUNIT_ASSERT_NOT_NULL(test, si);
	synchronous = si->flags & SWP_SYNCHRONOUS_IO;
	put_swap_device(si);

	return synchronous;
}

static swp_entry_t extract_entry(struct kunit *test, struct file *file, pgoff_t index)
{
	void *entry = xa_load(&file->f_mapping->i_pages, index);

	KUNIT_ASSERT_TRUE(test, xa_is_value(entry));

	return radix_to_swp_entry(entry);
}

/* A folio's worth of contents that is in swap and nowhere else. */
static swp_entry_t extract_swapped(struct kunit *test, struct file *file,
				   unsigned int order, pgoff_t index, u64 seed)
{
	struct folio *folio = insert_folio(test, file, order, seed);
	swp_entry_t entry;
	unsigned int tries;

	insert_expect_inserted(test, file, folio, index);
	KUNIT_ASSERT_TRUE_MSG(test, insert_reclaim(test, file, folio),
			      "order %u is not swapped out whole", order);
	entry = extract_entry(test, file, index);

	/* After writeback it takes another pass to be rid of it. */
	for (tries = 0; tries < 100; tries++) {
		LIST_HEAD(list);

		folio = swap_cache_get_folio(entry);
		if (!folio)
			break;
		folio_wait_writeback(folio);
		lru_add_drain_all();
		if (folio_isolate_lru(folio))
			list_add(&folio->lru, &list);
		folio_put(folio);
		reclaim_pages(&list);
	}
	KUNIT_ASSERT_FALSE(test, swap_cache_has_folio(entry));

	return entry;
}

/* Writes the folio to swap; it stays in the swap cache. */
static swp_entry_t extract_write(struct kunit *test, struct file *file,
				 struct folio *folio)
{
	pgoff_t index = folio->index;
	swp_entry_t entry;
	int ret;

	lru_add_drain_all();
	folio_get(folio);
	folio_lock(folio);
	folio_clear_dirty_for_io(folio);
	ret = shmem_write_folio(folio);
	if (ret)
		folio_unlock(folio);
	folio_put(folio);
	KUNIT_ASSERT_EQ(test, ret, 0);
	entry = extract_entry(test, file, index);
	KUNIT_ASSERT_TRUE(test, swap_cache_has_folio(entry));

	return entry;
}

/* Pages that were allocated since then; free slots of zram shrink the slab. */
static long extract_allocated(long *pages, long *slab)
{
	long old_pages = *pages, old_slab = *slab;

	*slab = insert_node_stat(NR_SLAB_RECLAIMABLE_B) +
		insert_node_stat(NR_SLAB_UNRECLAIMABLE_B);
	*pages = insert_pages_allocated() + *slab;

	return *pages - old_pages - max(*slab - old_slab, 0L);
}

static unsigned long extract_swapins(void)
{
	return insert_vm_events(PSWPIN, PSWPIN);
}

static void extract_c32_swap_cache_hit(struct kunit *test)
{
	unsigned int order, max = insert_max_order();
	struct file *file = extract_file(test, insert_always, 2UL << max);

	for (order = 0; order <= max; order++) {
		pgoff_t nr = 1UL << order;
		struct extract_counters base;
		struct folio *folio, *out;
		unsigned long swapins;
		long free;

		extract_get_counters(&base, file);
		free = get_nr_swap_pages();
		folio = extract_insert(test, file, order, nr, order);
		extract_write(test, file, folio);
		swapins = extract_swapins();

		/* A writeback that is going on does not matter. */
		out = extract_ok(test, file, nr, order, EXTRACT_GFP);
		KUNIT_ASSERT_PTR_EQ(test, out, folio);
		KUNIT_EXPECT_EQ(test, extract_swapins(), swapins);
		KUNIT_EXPECT_TRUE(test, insert_intact(out, order));
		extract_expect_fresh(test, file, out, "from the swap cache");
		extract_expect_counters(test, file, &base, "from the swap cache");
		KUNIT_EXPECT_EQ(test, get_nr_swap_pages(), free);
		insert_expect_inserted(test, file, out, 0);
		insert_expect_read(test, file, 0, order, order);
		kunit_release_action(test, insert_put, out);
		shmem_truncate_range(file_inode(file), 0, -1);
	}
}

/* A folio that is refused after it left the swap cache is dirty and on the LRU. */
static void extract_c32_c36_busy_in_swap_cache(struct kunit *test)
{
	unsigned int order, max = insert_max_order();
	struct file *file = extract_file(test, insert_always, 1UL << max);

	for (order = 0; order <= max; order += max ?: 1) {
		struct folio *folio = extract_insert(test, file, order, 0, 1);
		unsigned long swapins;

		extract_write(test, file, folio);
		folio_get(folio);
		swapins = extract_swapins();
		KUNIT_EXPECT_EQ(test, extract_error(file, 0, order, NUMA_NO_NODE,
						    EXTRACT_GFP), -EBUSY);
		KUNIT_EXPECT_PTR_EQ(test, folio->mapping, file->f_mapping);
		KUNIT_EXPECT_FALSE(test, folio_test_swapcache(folio));
		KUNIT_EXPECT_EQ(test, extract_swapins(), swapins);
		extract_expect_refused(test, file, folio, 0, order, NUMA_NO_NODE,
				       EXTRACT_GFP, -EBUSY, "resident by now");
		folio_put(folio);
		KUNIT_EXPECT_PTR_EQ(test, folio,
				    extract_ok(test, file, 0, order, EXTRACT_GFP));
		KUNIT_EXPECT_TRUE(test, insert_intact(folio, 1));
	}
}

/* From any device, folios come back as they went, and nothing else is allocated. */
static void extract_c33_from_swap(struct kunit *test)
{
	unsigned int order, max = insert_max_order();
	struct file *file = extract_file(test, insert_always, 2UL << max);

	for (order = 0; order <= max; order++) {
		struct extract_counters base;
		long least = LONG_MAX, free;
		pgoff_t nr = 1UL << order;
		unsigned int round;

		extract_get_counters(&base, file);
		free = get_nr_swap_pages();
		/* The rest of the system allocates, too, but not all the time. */
		for (round = 0; round < 8 && least > (long)nr; round++) {
			long pages = 0, slab = 0;
			struct folio *folio;

			extract_swapped(test, file, order, nr, order);
			extract_allocated(&pages, &slab);
			folio = shmem_extract_folio(file, nr, order, NUMA_NO_NODE,
						    EXTRACT_GFP);
			least = min(least, extract_allocated(&pages, &slab));

			KUNIT_ASSERT_EQ(test, PTR_ERR_OR_ZERO(folio), 0);
			KUNIT_ASSERT_EQ(test, 0,
					kunit_add_action_or_reset(test, insert_put,
								  folio));
			KUNIT_EXPECT_EQ(test, folio_order(folio), order);
			KUNIT_EXPECT_TRUE(test, insert_intact(folio, order));
			extract_expect_fresh(test, file, folio, "from swap");
			kunit_release_action(test, insert_put, folio);
		}
		KUNIT_EXPECT_EQ_MSG(test, least, nr, "order %u", order);
		KUNIT_EXPECT_EQ(test, get_nr_swap_pages(), free);
		extract_expect_counters(test, file, &base, "from swap");
	}
}

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
/* A folio that is read from swap as a whole must not be in an unmovable pageblock. */
static void extract_c72_huge_from_swap(struct kunit *test)
{
	unsigned int max = insert_max_order();
	struct file *file = extract_file(test, insert_always, 1UL << max);
	struct folio *folio;
	bool synchronous;

	if (max < pageblock_order || page_group_by_mobility_disabled)
		kunit_skip(test, "no folio has a block for itself here");

	synchronous = extract_synchronous(test, extract_swapped(test, file, max, 0, 5));
	folio = shmem_read_folio(file->f_mapping, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
	KUNIT_EXPECT_EQ(test, folio_order(folio), synchronous ? max : 0);
	if (synchronous)
		extract_expect_reclaimable(test, folio);
	folio_put(folio);
}
#endif

/* A folio that was split to be swapped out comes back in single pages. */
static void extract_c34_page_by_page(struct kunit *test)
{
	struct file *file = extract_file(test, insert_always, 16);
	struct extract_counters base;
	pgoff_t i;

	extract_get_counters(&base, file);
	for (i = 0; i < 16; i++)
		extract_swapped(test, file, 0, i, i);
	for (i = 0; i < 16; i++) {
		struct folio *folio = extract_ok(test, file, i, 0, EXTRACT_GFP);

		KUNIT_EXPECT_EQ(test, folio_order(folio), 0);
		KUNIT_EXPECT_TRUE(test, insert_intact(folio, i));
	}
	extract_expect_counters(test, file, &base, "page by page");
}

/* Swap entries that are too small or begin earlier are not read for nothing. */
static void extract_c35_too_small_in_swap(struct kunit *test)
{
	unsigned int order, max = insert_max_order();
	struct file *file = extract_file(test, insert_always, 2UL << max);

	for (order = 0; order < max; order += 2) {
		pgoff_t nr = 1UL << order, start;

		for (start = 0; start <= nr; start += nr) {
			swp_entry_t entry = extract_swapped(test, file, order, start, 5);
			unsigned long swapins = extract_swapins();

			KUNIT_EXPECT_EQ(test, extract_error(file, start, order + 1,
							    NUMA_NO_NODE, EXTRACT_GFP),
					-EAGAIN);
			KUNIT_EXPECT_EQ(test, extract_error(file, start, max, NUMA_NO_NODE,
							    EXTRACT_GFP), -EAGAIN);
			if (order)
				KUNIT_EXPECT_EQ(test, extract_error(file, start + 1, 1,
								    NUMA_NO_NODE,
								    EXTRACT_GFP),
						-EAGAIN);
			KUNIT_EXPECT_EQ(test, extract_swapins(), swapins);
			KUNIT_EXPECT_FALSE(test, swap_cache_has_folio(entry));
			KUNIT_EXPECT_EQ(test, extract_entry(test, file, start).val,
					entry.val);
			extract_expect_all(test, file, start, nr, 5);
		}
	}
}

static void extract_c31_hole_beside_swap(struct kunit *test)
{
	struct file *file = extract_file(test, insert_always, 4);
	struct extract_counters base;
	unsigned long swapins;

	extract_swapped(test, file, 0, 1, 1);
	extract_get_counters(&base, file);
	swapins = extract_swapins();
	KUNIT_EXPECT_EQ(test, extract_error(file, 0, 0, NUMA_NO_NODE, EXTRACT_GFP),
			-ENOENT);
	KUNIT_EXPECT_EQ(test, extract_error(file, 2, 0, NUMA_NO_NODE, EXTRACT_GFP),
			-ENOENT);
	KUNIT_EXPECT_EQ(test, extract_swapins(), swapins);
	extract_expect_counters(test, file, &base, "hole");
}

#ifdef CONFIG_ZONE_DMA32
/* In the swap cache it may be in any zone. */
static void extract_c38_read_into_the_zone(struct kunit *test)
{
	const gfp_t dma32 = GFP_KERNEL | GFP_DMA32 | __GFP_RECLAIMABLE;
	struct file *file = extract_file(test, insert_always, 4);
	struct folio *folio, *out;

	folio = extract_insert(test, file, 0, 1, 1);
	if (folio_zonenum(folio) <= ZONE_DMA32)
		kunit_skip(test, "needs memory above 4 GiB");
	extract_write(test, file, folio);
	out = extract_ok(test, file, 1, 0, dma32);
	KUNIT_EXPECT_LE(test, folio_zonenum(out), ZONE_DMA32);
	KUNIT_EXPECT_TRUE(test, insert_intact(out, 1));
	extract_expect_fresh(test, file, out, "moved");

	extract_swapped(test, file, 0, 2, 2);
	out = extract_ok(test, file, 2, 0, dma32);
	KUNIT_EXPECT_LE(test, folio_zonenum(out), ZONE_DMA32);
	KUNIT_EXPECT_TRUE(test, insert_intact(out, 2));
}
#endif

static void extract_c39_read_error(struct kunit *test)
{
	unsigned int order, max = insert_max_order();

	for (order = 0; order <= max; order += max ?: 1) {
		struct file *file = extract_file(test, insert_always, 4UL << max);
		pgoff_t nr = 1UL << order;
		struct folio *folio;
		long free = get_nr_swap_pages();
		swp_entry_t entry;

		extract_insert(test, file, order, 0, 1);
		extract_swapped(test, file, order, 2 * nr, 2);
		folio = extract_insert(test, file, order, nr, 3);
		entry = extract_write(test, file, folio);

		/* As the end of a read that failed leaves it. */
		folio = swap_cache_get_folio(entry);
		KUNIT_ASSERT_NOT_NULL(test, folio);
		folio_wait_writeback(folio);
		folio_clear_uptodate(folio);
		folio_put(folio);

		KUNIT_EXPECT_EQ(test, extract_error(file, nr, order, NUMA_NO_NODE,
						    EXTRACT_GFP), -EIO);
		/* There is no second chance. */
		KUNIT_EXPECT_EQ(test, extract_error(file, nr, order, NUMA_NO_NODE,
						    EXTRACT_GFP), -EIO);
		extract_expect_all(test, file, 0, nr, 1);
		extract_expect_all(test, file, 2 * nr, nr, 2);
		shmem_truncate_range(file_inode(file), 0, -1);
		KUNIT_EXPECT_EQ(test, file_inode(file)->i_blocks, 0);
		KUNIT_EXPECT_EQ(test, get_nr_swap_pages(), free);
		kunit_release_action(test, insert_close, file);
	}
}

/*
 * Do what swapoff does with the contents of files. Removing the device is left
 * to a test in user space.
 */
static void extract_c40_unuse(struct kunit *test)
{
	unsigned int round, max = insert_max_order(), orders[] = { 0, 2, max };
	struct file *file = extract_file(test, insert_always, 1UL << max);
	struct extract_counters base;
	long free = get_nr_swap_pages();

	extract_get_counters(&base, file);
	for (round = 0; round < 24; round++) {
		unsigned int order = min(orders[round % ARRAY_SIZE(orders)], max);
		atomic_t ready = ATOMIC_INIT(0);
		struct extract_racer unuse = {
			.kind = EXTRACT_UNUSE, .file = file, .ready = &ready,
			.delay = round % 4 * 20,
		};
		struct extract_racer extract = {
			.kind = EXTRACT_IT, .file = file, .order = order,
			.ready = &ready,
		};
		struct folio *folio;
		unsigned int tries;

		unuse.type = swp_type(extract_swapped(test, file, order, 0, round));
		extract_start(test, &unuse);
		extract_racer_acts(&extract);
		extract_join(&unuse);

		KUNIT_EXPECT_EQ(test, unuse.ret, 0);
		folio = extract.folio;
		if (!IS_ERR(folio)) {
			KUNIT_EXPECT_TRUE(test, insert_intact(folio, round));
			extract_expect_fresh(test, file, folio, "unused");
			folio_put(folio);
		} else {
			if (PTR_ERR(folio) != -EBUSY)
				KUNIT_EXPECT_EQ(test, PTR_ERR(folio), -EAGAIN);
			/* One pass may leave some of a large entry that was split. */
			for (tries = 0; tries < 512 &&
			     SHMEM_I(file_inode(file))->swapped; tries++)
				KUNIT_EXPECT_EQ(test, shmem_unuse(unuse.type), 0);
			KUNIT_EXPECT_EQ(test, SHMEM_I(file_inode(file))->swapped, 0);
			extract_expect_all(test, file, 0, 1UL << order, round);
		}
		KUNIT_EXPECT_EQ(test, get_nr_swap_pages(), free);
	}
	extract_expect_counters(test, file, &base, "unused");
}

#if defined(CONFIG_FAIL_PAGE_ALLOC) && defined(CONFIG_FAULT_INJECTION_DEBUG_FS)
/* Extracts while no allocation of at least this order works. */
static struct folio *extract_without_memory(struct kunit *test, struct file *file,
					    pgoff_t index, unsigned int order,
					    unsigned int fail_order)
{
	struct fault_attr *attr = insert_fault_attr("fail_page_alloc"), old;
	bool *wait = insert_fault_setting("fail_page_alloc", "ignore-gfp-wait");
	bool *highmem = insert_fault_setting("fail_page_alloc", "ignore-gfp-highmem");
	u32 *min_order = insert_fault_setting("fail_page_alloc", "min-order");
	bool old_wait, old_highmem;
	struct folio *folio;
	u32 old_min_order;

	if (!attr || !wait || !highmem || !min_order)
		kunit_skip(test, "no fail_page_alloc in debugfs");

	old_wait = *wait;
	old_highmem = *highmem;
	old_min_order = *min_order;
	*wait = false;
	*highmem = false;
	*min_order = fail_order;
	insert_start_faults(attr, &old, 0);
	folio = shmem_extract_folio(file, index, order, NUMA_NO_NODE, EXTRACT_GFP);
	insert_stop_faults(attr, &old);
	*min_order = old_min_order;
	*highmem = old_highmem;
	*wait = old_wait;

	if (!IS_ERR(folio))
		KUNIT_ASSERT_EQ(test, 0,
				kunit_add_action_or_reset(test, insert_put, folio));

	return folio;
}

static void extract_c43_no_memory_to_read(struct kunit *test)
{
	unsigned int order, max = insert_max_order();
	struct file *file = extract_file(test, insert_always, 2UL << max);

	for (order = 0; order <= max; order += max ?: 1) {
		pgoff_t nr = 1UL << order;
		struct extract_counters base;
		swp_entry_t entry = extract_swapped(test, file, order, nr, 6);
		unsigned int tries;

		extract_get_counters(&base, file);
		for (tries = 0; tries < 3; tries++)
			KUNIT_ASSERT_EQ(test, PTR_ERR(extract_without_memory(test, file,
									     nr, order, 0)),
					-ENOMEM);
		extract_expect_counters(test, file, &base, "out of memory");
		/* It is in swap as before, */
		KUNIT_EXPECT_EQ(test, extract_entry(test, file, nr).val, entry.val);
		KUNIT_EXPECT_EQ(test, xa_get_order(&file->f_mapping->i_pages, nr),
				order);
		/* and when memory is back, so are the contents. */
		extract_expect_all(test, file, nr, nr, 6);
	}

	if (!max)
		return;
	/* In the midst of what is in swap as one, and with an order that fits there */
	extract_swapped(test, file, max, 0, 7);
	KUNIT_EXPECT_EQ(test, PTR_ERR(extract_without_memory(test, file, 1, 0, 0)),
			-ENOMEM);
	KUNIT_EXPECT_EQ(test, PTR_ERR(extract_without_memory(test, file, 2, 1, 1)),
			-ENOMEM);
	extract_expect_all(test, file, 0, 1UL << max, 7);

	/* No large ones, but single pages are to be had. */
	extract_swapped(test, file, max, 0, 7);
	KUNIT_EXPECT_EQ(test, PTR_ERR(extract_without_memory(test, file, 0, max, 1)),
			-ENOMEM);
	extract_expect_all(test, file, 0, 1UL << max, 7);
}

/*
 * Without memory for a folio as it went, it comes in parts, as large as there is
 * memory for, and so does what is left of it, at once or after the next writeback.
 */
static void extract_c85_as_large_as_possible(struct kunit *test)
{
	unsigned int fail, max = insert_max_order();
	struct file *file = extract_file(test, insert_always, 1UL << max);
	long free = get_nr_swap_pages();

	if (!max)
		kunit_skip(test, "needs large folios");

	for (fail = 1; fail <= max; fail++) {
		pgoff_t nr = 1UL << (fail - 1), index, end = 1UL << max;
		swp_entry_t entry = extract_swapped(test, file, max, 0, fail);
		struct extract_counters base;
		struct folio *folio;
		unsigned int parts;
		int bad = 0;

		extract_get_counters(&base, file);
		/* From the front, as an owner does */
		for (index = 0, parts = 0; index < end && parts < 5; parts++) {
			folio = extract_without_memory(test, file, index, 0, fail);
			KUNIT_ASSERT_EQ(test, PTR_ERR_OR_ZERO(folio), 0);
			KUNIT_ASSERT_EQ(test, folio_order(folio), fail - 1);
			bad += insert_differs(folio, 0, index, fail);
			bad += insert_differs(folio, nr - 1, index + nr - 1, fail);
			extract_expect_fresh(test, file, folio, "a part");
			index += nr;
		}
		KUNIT_EXPECT_EQ(test, bad, 0);
		/* The rest is in swap, in parts of at least that size. */
		if (index < end) {
			KUNIT_EXPECT_EQ(test, extract_entry(test, file, index).val,
					entry.val + index);
			KUNIT_EXPECT_GE(test, xa_get_order(&file->f_mapping->i_pages,
							   index), fail - 1);
			KUNIT_EXPECT_EQ(test, SHMEM_I(file_inode(file))->swapped,
					end - index);
			extract_expect_all_at(test, file, index, end - index, index, fail);
		}
		KUNIT_EXPECT_EQ(test, file->f_mapping->nrpages, 0);
		KUNIT_EXPECT_EQ(test, file_inode(file)->i_blocks, 0);
		KUNIT_EXPECT_EQ(test, get_nr_swap_pages(), free);
	}
}

/*
 * How hard to try is up to the caller, if the mask is one for large folios. Only
 * what does not reclaim fails here.
 */
static void extract_c85_effort(struct kunit *test)
{
	const gfp_t hard = EXTRACT_GFP | __GFP_COMP | __GFP_NORETRY | __GFP_NOWARN;
	unsigned int max = insert_max_order();
	struct file *file = extract_file(test, insert_always, 1UL << max);
	struct fault_attr *attr = insert_fault_attr("fail_page_alloc"), old;
	bool *wait = insert_fault_setting("fail_page_alloc", "ignore-gfp-wait");
	bool *highmem = insert_fault_setting("fail_page_alloc", "ignore-gfp-highmem");
	struct folio *light, *folio;
	bool old_wait, old_highmem;

	if (!max)
		kunit_skip(test, "needs large folios");
	if (!attr || !wait || !highmem)
		kunit_skip(test, "no fail_page_alloc in debugfs");

	extract_swapped(test, file, max, 0, 1);
	old_wait = *wait;
	old_highmem = *highmem;
	*wait = true;
	*highmem = false;
	insert_start_faults(attr, &old, 0);
	light = shmem_extract_folio(file, 0, max, NUMA_NO_NODE, EXTRACT_GFP);
	folio = shmem_extract_folio(file, 0, max, NUMA_NO_NODE, hard);
	insert_stop_faults(attr, &old);
	*wait = old_wait;
	*highmem = old_highmem;

	if (!IS_ERR(light)) {
		folio_put(light);
		kunit_skip(test, "defrag makes an effort for everything");
	}
	if (!IS_ERR(folio)) {
		KUNIT_EXPECT_EQ(test, folio_order(folio), max);
		KUNIT_EXPECT_TRUE(test, insert_intact(folio, 1));
		folio_put(folio);
	}
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(light), -ENOMEM);
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(folio), 0);
}

/* A part that begins in the middle: all around it stays in swap, and can be had. */
static void extract_c85_from_the_middle(struct kunit *test)
{
	unsigned int order, max = insert_max_order();
	struct file *file = extract_file(test, insert_always, 1UL << max);
	pgoff_t end = 1UL << max;

	if (max < 2)
		kunit_skip(test, "needs large folios");

	for (order = 0; order < max; order++) {
		pgoff_t nr = 1UL << order;
		struct folio *folio;

		extract_swapped(test, file, max, 0, order);
		folio = extract_ok(test, file, nr, order, EXTRACT_GFP);
		KUNIT_ASSERT_EQ(test, folio_order(folio), order);
		KUNIT_EXPECT_EQ(test, insert_differs(folio, 0, nr, order), 0);
		KUNIT_EXPECT_EQ(test, SHMEM_I(file_inode(file))->swapped, end - nr);
		extract_expect_all_at(test, file, 0, nr, 0, order);
		if (2 * nr < end)
			extract_expect_all_at(test, file, 2 * nr, end - 2 * nr, 2 * nr,
					      order);
		KUNIT_EXPECT_EQ(test, file_inode(file)->i_blocks, 0);
	}
}
#endif

/*
 * After readahead the folio is in the swap cache and is not read again. If readahead
 * has no benefit, or the entry does not match, nothing is done.
 */
static void extract_c88_readahead(struct kunit *test)
{
	unsigned int order, max = insert_max_order();
	struct file *file = extract_file(test, insert_always, 2UL << max);
	struct file *plain = insert_plain_file(test, insert_always, PAGE_SIZE << max);
	struct extract_counters base;

	extract_get_counters(&base, file);
	for (order = 0; order <= max; order += max ?: 1) {
		pgoff_t nr = 1UL << order;
		swp_entry_t entry = extract_swapped(test, file, order, nr, order);
		bool synchronous = extract_synchronous(test, entry);
		unsigned long swapins = extract_swapins();
		struct folio *folio;

		shmem_extract_readahead(plain, 0, order, EXTRACT_GFP);
		shmem_extract_readahead(file, 0, order, EXTRACT_GFP);
		shmem_extract_readahead(file, 2UL << max, order, EXTRACT_GFP);
		shmem_extract_readahead(file, nr, order ? order - 1 : 1, EXTRACT_GFP);
		KUNIT_EXPECT_EQ(test, extract_swapins(), swapins);
		KUNIT_EXPECT_FALSE(test, swap_cache_has_folio(entry));

		shmem_extract_readahead(file, nr, order, EXTRACT_GFP);
		folio = swap_cache_get_folio(entry);
		KUNIT_EXPECT_EQ(test, !!folio, !synchronous);
		if (folio) {
			folio_wait_locked(folio);
			KUNIT_EXPECT_EQ(test, folio_order(folio), order);
			folio_put(folio);
		}
		KUNIT_EXPECT_EQ(test, extract_swapins() - swapins, synchronous ? 0 : nr);
		/* Once more, while it is read, and what is resident */
		shmem_extract_readahead(file, nr, order, EXTRACT_GFP);
		folio = extract_ok(test, file, nr, order, EXTRACT_GFP);
		KUNIT_EXPECT_EQ(test, folio_order(folio), order);
		KUNIT_EXPECT_TRUE(test, insert_intact(folio, order));
		KUNIT_EXPECT_EQ(test, extract_swapins() - swapins, nr);
		insert_expect_inserted(test, file, folio, nr);
		shmem_extract_readahead(file, nr, order, EXTRACT_GFP);
		KUNIT_EXPECT_EQ(test, extract_swapins() - swapins, nr);
		KUNIT_EXPECT_PTR_EQ(test, xa_load(&file->f_mapping->i_pages, nr), folio);
		kunit_release_action(test, insert_put, folio);
		shmem_truncate_range(file_inode(file), 0, -1);
	}
	extract_expect_counters(test, file, &base, "read ahead");
}

static void extract_c45_fput_after_swap(struct kunit *test)
{
	unsigned int order, max = insert_max_order();
	struct vfsmount *mnt = insert_test_mount(test, SB_KERNMOUNT, "nr_blocks",
						 "65536");
	struct shmem_sb_info *sbinfo = mnt->mnt_sb->s_fs_info;

	for (order = 0; order <= max; order += max ?: 1) {
		pgoff_t nr = 1UL << order;
		struct file *file = extract_file(test, mnt, 2 * nr);
		long shmem = insert_node_stat(NR_SHMEM), free = get_nr_swap_pages();

		extract_swapped(test, file, order, 0, 1);
		extract_swapped(test, file, order, nr, 2);
		extract_expect_all(test, file, nr, nr, 2);
		KUNIT_EXPECT_EQ(test, file_inode(file)->i_blocks,
				nr * (PAGE_SIZE / SECTOR_SIZE));
		extract_expect_all(test, file, 0, nr, 1);
		KUNIT_EXPECT_EQ(test, file_inode(file)->i_blocks, 0);
		/* Of this one, what was in vain is left to the file. */
		extract_swapped(test, file, order, 0, 1);
		KUNIT_EXPECT_EQ(test, extract_error(file, 0, order, MAX_NUMNODES,
						    EXTRACT_GFP), -EXDEV);
		KUNIT_EXPECT_EQ(test, file->f_mapping->nrpages, nr);

		kunit_release_action(test, insert_close, file);
		KUNIT_EXPECT_EQ(test, insert_node_stat(NR_SHMEM), shmem);
		KUNIT_EXPECT_EQ(test, get_nr_swap_pages(), free);
		KUNIT_EXPECT_EQ(test, percpu_counter_sum(&sbinfo->used_blocks), 0);
	}
}
#endif

/*
 * The suites
 */

static struct kunit_case extract_cases[] = {
	KUNIT_CASE(extract_c26_c29_from_noswap),
	KUNIT_CASE_SLOW(extract_c28_same_folio_same_bytes),
	KUNIT_CASE_SLOW(extract_c29_like_fresh),
	KUNIT_CASE(extract_c29_used_folio_is_like_fresh),
#ifdef CONFIG_MEMCG
	KUNIT_CASE(extract_c29_uncharged),
#endif
	KUNIT_CASE_SLOW(extract_c30_insert_again),
	KUNIT_CASE(extract_c31_hole),
	KUNIT_CASE(extract_c35_below_min_order),
	KUNIT_CASE(extract_c36_foreign_use),
	KUNIT_CASE_SLOW(extract_c36_c74_batches),
	KUNIT_CASE_SLOW(extract_c74_cpu_that_never_schedules),
	KUNIT_CASE_SLOW(extract_c36_one_winner),
	KUNIT_CASE(extract_c37_movable_block),
	KUNIT_CASE(extract_c37_movable_zone),
	KUNIT_CASE(extract_c38_wrong_node),
#ifdef CONFIG_NUMA
	KUNIT_CASE(extract_c73_demoted),
	KUNIT_CASE(extract_c73_any_node),
#endif
#ifdef CONFIG_ZONE_DMA32
	KUNIT_CASE(extract_c38_wrong_zone),
#endif
#ifdef CONFIG_MEMORY_FAILURE
	KUNIT_CASE(extract_c39_hwpoison),
#endif
#ifdef CONFIG_SWAP
	KUNIT_CASE(extract_c39_lost_in_swap),
#endif
	KUNIT_CASE_SLOW(extract_c41_migration),
	KUNIT_CASE_SLOW(extract_c42_hole_punch),
	KUNIT_CASE_SLOW(extract_c42_partial_punch),
	KUNIT_CASE_SLOW(extract_c44_index_in_the_middle),
	KUNIT_CASE_SLOW(extract_c45_fput),
	KUNIT_CASE(extract_what_the_file_allocated),
	KUNIT_CASE(extract_refuses_past_the_end),
	KUNIT_CASE(extract_refuses_not_shmem),
	KUNIT_CASE(extract_c15_c70_mount_of_user_space),
	KUNIT_CASE(extract_c16_c70_memfd),
	KUNIT_CASE(extract_c70_shared_memory),
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	KUNIT_CASE(extract_c72_huge_gfp),
	KUNIT_CASE(extract_c72_huge_blocks),
#endif
	KUNIT_CASE(extract_traced_once),
	{}
};

static struct kunit_suite extract_suite = {
	.name = "shmem_extract",
	.suite_init = insert_suite_init,
	.suite_exit = insert_suite_exit,
	.test_cases = extract_cases,
};

#ifdef CONFIG_SWAP
static struct kunit_case extract_swap_cases[] = {
	KUNIT_CASE(extract_c31_hole_beside_swap),
	KUNIT_CASE_SLOW(extract_c32_swap_cache_hit),
	KUNIT_CASE_SLOW(extract_c32_c36_busy_in_swap_cache),
	KUNIT_CASE_SLOW(extract_c33_from_swap),
	KUNIT_CASE_SLOW(extract_c34_page_by_page),
	KUNIT_CASE_SLOW(extract_c35_too_small_in_swap),
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	KUNIT_CASE(extract_c72_huge_from_swap),
#endif
#ifdef CONFIG_ZONE_DMA32
	KUNIT_CASE(extract_c38_read_into_the_zone),
#endif
	KUNIT_CASE_SLOW(extract_c39_read_error),
	KUNIT_CASE_SLOW(extract_c40_unuse),
#if defined(CONFIG_FAIL_PAGE_ALLOC) && defined(CONFIG_FAULT_INJECTION_DEBUG_FS)
	KUNIT_CASE_SLOW(extract_c43_no_memory_to_read),
	KUNIT_CASE_SLOW(extract_c85_as_large_as_possible),
	KUNIT_CASE_SLOW(extract_c85_from_the_middle),
	KUNIT_CASE(extract_c85_effort),
#endif
	KUNIT_CASE_SLOW(extract_c88_readahead),
	KUNIT_CASE_SLOW(extract_c45_fput_after_swap),
	{}
};

static struct kunit_suite extract_swap_suite = {
	.name = "shmem_extract_swap",
	.suite_init = insert_suite_init,
	.suite_exit = insert_suite_exit,
	.init = insert_swap_init,
	.test_cases = extract_swap_cases,
};

kunit_test_suites(&extract_suite, &extract_swap_suite);
#else
kunit_test_suites(&extract_suite);
#endif
