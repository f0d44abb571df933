// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the contract of shmem_extract_folio().
 *
 * They need nothing but memory, and a memory cgroup named "/kunit" with a memory.max of 0.
 */

#include <kunit/test.h>
#include <linux/fcntl.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/swapops.h>
#include <trace/events/shmem_insert.h>

#include <asm/sections.h>

#include "shmem_insert_kunit.h"

/*
 * Successful extraction
 */

static void extract_same_folio_same_bytes(struct kunit *test)
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

static void extract_like_fresh(struct kunit *test)
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
static void extract_used_folio_is_like_fresh(struct kunit *test)
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
static void extract_uncharged(struct kunit *test)
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
static void extract_from_noswap(struct kunit *test)
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

static void extract_insert_again(struct kunit *test)
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
static void extract_index_in_the_middle(struct kunit *test)
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
	/* Not up to date, with undefined contents, until it is read */
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

static void extract_fput(struct kunit *test)
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

static void extract_hole(struct kunit *test)
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

static void extract_below_min_order(struct kunit *test)
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

static void extract_foreign_use(struct kunit *test)
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

#ifdef CONFIG_MEMORY_FAILURE
static void extract_hwpoison(struct kunit *test)
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
static void extract_lost_in_swap(struct kunit *test)
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
	pgoff_t past[] = { 4, 5, BIT(BITS_PER_LONG / 2), (ULONG_MAX >> PAGE_SHIFT) / 2, ULONG_MAX };
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

static void extract_mount_of_user_space(struct kunit *test)
{
	struct vfsmount *mnt = insert_test_mount(test, 0, "huge", "never");

	extract_expect_foreign(test, insert_plain_file(test, mnt, 4 * PAGE_SIZE),
			       "mount of user space");
}

/* Nothing else can be frozen or sealed. */
static void extract_refuses_memfd(struct kunit *test)
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
static void extract_refuses_shared_memory(struct kunit *test)
{
	extract_expect_foreign(test, insert_shared_memory(test, 4 * PAGE_SIZE),
			       "SysV");
	extract_expect_foreign(test, insert_shared_anonymous(test, 4 * PAGE_SIZE),
			       "shared anonymous");
	extract_expect_foreign(test, insert_plain_file(test, insert_within,
						       4 * PAGE_SIZE),
			       "beside others");
}

static struct kunit_case extract_cases[] = {
	KUNIT_CASE(extract_from_noswap),
	KUNIT_CASE_SLOW(extract_same_folio_same_bytes),
	KUNIT_CASE_SLOW(extract_like_fresh),
	KUNIT_CASE(extract_used_folio_is_like_fresh),
#ifdef CONFIG_MEMCG
	KUNIT_CASE(extract_uncharged),
#endif
	KUNIT_CASE_SLOW(extract_insert_again),
	KUNIT_CASE(extract_hole),
	KUNIT_CASE(extract_below_min_order),
	KUNIT_CASE(extract_foreign_use),
#ifdef CONFIG_MEMORY_FAILURE
	KUNIT_CASE(extract_hwpoison),
#endif
#ifdef CONFIG_SWAP
	KUNIT_CASE(extract_lost_in_swap),
#endif
	KUNIT_CASE_SLOW(extract_index_in_the_middle),
	KUNIT_CASE_SLOW(extract_fput),
	KUNIT_CASE(extract_what_the_file_allocated),
	KUNIT_CASE(extract_refuses_past_the_end),
	KUNIT_CASE(extract_refuses_not_shmem),
	KUNIT_CASE(extract_mount_of_user_space),
	KUNIT_CASE(extract_refuses_memfd),
	KUNIT_CASE(extract_refuses_shared_memory),
	KUNIT_CASE(extract_traced_once),
	{}
};

static struct kunit_suite extract_suite = {
	.name = "shmem_extract",
	.suite_init = insert_suite_init,
	.suite_exit = insert_suite_exit,
	.test_cases = extract_cases,
};

kunit_test_suite(extract_suite);
