// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the contract of shmem_insert_folio(), with swap.
 *
 * The suite needs a swap device, so it is skipped at boot; enable swap and write to its
 * "run" file in debugfs. Its cases on memory cgroups want one named "/kunit" with a
 * memory.max of 0.
 */

#include <kunit/test.h>
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/oom.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>

#include "shmem_insert_kunit.h"

static void insert_occupied_by_swap(struct kunit *test)
{
	unsigned int order, max = insert_swap_order();
	struct file *file = insert_file(test, insert_always, 2UL << max);

	for (order = 0; order <= max; order++) {
		struct folio *folio = insert_folio(test, file, order, 1);
		struct folio *other = insert_folio(test, file, order, 2);
		pgoff_t index = 1UL << order;

		insert_expect_inserted(test, file, folio, index);
		KUNIT_ASSERT_TRUE(test, insert_reclaim(test, file, folio));
		KUNIT_EXPECT_EQ(test, SHMEM_I(file_inode(file))->swapped,
				1UL << order);

		insert_expect_refused(test, file, other, index, GFP_KERNEL, -EEXIST,
				      "in swap");
		/* Nothing came back for it. */
		KUNIT_EXPECT_TRUE(test, xa_is_value(xa_load(&file->f_mapping->i_pages,
							    index)));
		KUNIT_EXPECT_EQ(test, file->f_mapping->nrpages, 0);
		insert_expect_read(test, file, index, order, 1);

		shmem_truncate_range(file_inode(file), 0, -1);
		insert_expect_inserted(test, file, other, index);
		shmem_truncate_range(file_inode(file), 0, -1);
		kunit_release_action(test, insert_put, other);
	}
}

static void insert_partial_overlap_with_swap(struct kunit *test)
{
	unsigned int max = insert_swap_order();
	pgoff_t nr = 1UL << max;
	struct file *file = insert_file(test, insert_always, 2 * nr);
	struct folio *small, *large;

	if (!max)
		kunit_skip(test, "needs large folios");

	small = insert_folio(test, file, 0, 1);
	large = insert_folio(test, file, max, 2);
	insert_expect_inserted(test, file, large, 0);
	KUNIT_ASSERT_TRUE(test, insert_reclaim(test, file, large));
	insert_expect_refused(test, file, small, 3, GFP_KERNEL, -EEXIST, "into");
	insert_expect_refused(test, file, small, nr - 1, GFP_KERNEL, -EEXIST, "end");

	insert_expect_inserted(test, file, small, 2 * nr - 1);
	KUNIT_ASSERT_TRUE(test, insert_reclaim(test, file, small));
	large = insert_folio(test, file, max, 3);
	insert_expect_refused(test, file, large, nr, GFP_KERNEL, -EEXIST, "over");

	KUNIT_EXPECT_EQ(test, file->f_mapping->nrpages, 0);
	insert_expect_read(test, file, 0, max, 2);
	insert_expect_read(test, file, 2 * nr - 1, 0, 1);
}

static void insert_reclaimable_whole(struct kunit *test)
{
	unsigned int order, max = insert_swap_order();
	struct file *file = insert_file(test, insert_always, 2UL << max);

	for (order = 0; order <= max; order++) {
		pgoff_t nr = 1UL << order;
		struct folio *folio = insert_folio(test, file, order, order);
		unsigned long out = insert_vm_events(PSWPOUT, PSWPOUT);

		insert_expect_inserted(test, file, folio, nr);
		KUNIT_EXPECT_TRUE_MSG(test, insert_reclaim(test, file, folio),
				      "order %u", order);
		KUNIT_EXPECT_EQ(test, insert_vm_events(PSWPOUT, PSWPOUT) - out, nr);
		KUNIT_EXPECT_EQ(test, file_inode(file)->i_blocks,
				nr * (PAGE_SIZE / SECTOR_SIZE));
		insert_expect_read(test, file, nr, order, order);
		shmem_truncate_range(file_inode(file), 0, -1);
		KUNIT_EXPECT_EQ(test, file_inode(file)->i_blocks, 0);
	}
}

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
/* What swap does not take as one, reclaim writes page by page. */
static void insert_reclaimable_split(struct kunit *test)
{
	unsigned int order = insert_2mib_order();
	struct file *file = insert_file(test, insert_always, 1UL << order);
	struct xarray *pages = &file->f_mapping->i_pages;
	struct inode *inode = file_inode(file);
	unsigned long out;
	pgoff_t end, i;
	struct folio *folio;

	if (!order)
		kunit_skip(test, "needs large folios");

	folio = insert_folio(test, file, order, 1);
	insert_expect_inserted(test, file, folio, 0);
	/* With THP_SWAP, that is one that the file ends in, and what is beyond is dropped. */
	if (IS_ENABLED(CONFIG_THP_SWAP))
		order--;
	end = 1UL << order;
	i_size_write(inode, (loff_t)end << PAGE_SHIFT);

	out = insert_vm_events(PSWPOUT, PSWPOUT);
	KUNIT_EXPECT_FALSE(test, insert_reclaim(test, file, folio));
	KUNIT_EXPECT_EQ(test, insert_vm_events(PSWPOUT, PSWPOUT) - out, end);
	for (i = 0; i < end; i++) {
		KUNIT_ASSERT_TRUE_MSG(test, xa_is_value(xa_load(pages, i)), "page %lu", i);
		KUNIT_ASSERT_EQ(test, xa_get_order(pages, i), 0);
	}
	KUNIT_EXPECT_EQ(test, SHMEM_I(inode)->swapped, end);
	KUNIT_EXPECT_EQ(test, file->f_mapping->nrpages, 0);
	KUNIT_EXPECT_EQ(test, inode->i_blocks, end * (PAGE_SIZE / SECTOR_SIZE));
	insert_expect_read(test, file, 0, order, 1);
}
#endif

static void insert_noswap_is_not_swapped(struct kunit *test)
{
	struct vfsmount *mnt = insert_noswap_mount(test);
	unsigned int order = insert_2mib_order();
	struct file *file = insert_file(test, mnt, 1UL << order);
	struct folio *folio = insert_folio(test, file, order, 7);

	insert_expect_inserted(test, file, folio, 0);
	KUNIT_EXPECT_FALSE(test, insert_reclaim(test, file, folio));
	KUNIT_EXPECT_EQ(test, file->f_mapping->nrpages, 1UL << order);
	KUNIT_EXPECT_EQ(test, SHMEM_I(file_inode(file))->swapped, 0);
	insert_expect_read(test, file, 0, order, 7);
}

/* Nothing but the reserves of reclaim is left then. kswapd is not to run. */
static void insert_take_memory(struct list_head *pages)
{
	gfp_t gfp = (GFP_ATOMIC & ~__GFP_KSWAPD_RECLAIM) | __GFP_COMP | __GFP_NOWARN;
	int order;

	for (order = MAX_PAGE_ORDER; order >= 0; order--) {
		struct page *page;

		while ((page = alloc_pages(gfp, order)))
			list_add(&page->lru, pages);
	}
}

static void insert_give_memory_back(void *pages)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, (struct list_head *)pages, lru) {
		list_del(&page->lru);
		__free_pages(page, compound_order(page));
	}
	oom_killer_enable();
}

/* A folio that fills a cluster of the swap device needs a table for it. */
static void insert_reclaimable_from_reserves(struct kunit *test)
{
	unsigned int order = insert_swap_order();
	struct file *file = insert_file(test, insert_always, 1UL << order);
	struct list_head *pages;
	struct folio *folio;
	bool whole;

	if (!order)
		kunit_skip(test, "needs large folios that are swapped whole");

	pages = kunit_kzalloc(test, sizeof(*pages), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, pages);
	INIT_LIST_HEAD(pages);
	folio = insert_folio(test, file, order, 1);
	insert_expect_inserted(test, file, folio, 0);

	/* Do not be killed if another task, such as a worker, needs memory. */
	KUNIT_ASSERT_TRUE(test, oom_killer_disable(HZ));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, insert_give_memory_back,
							   pages));
	insert_take_memory(pages);
	whole = insert_reclaim(test, file, folio);
	kunit_release_action(test, insert_give_memory_back, pages);

	KUNIT_EXPECT_TRUE(test, whole);
	insert_expect_read(test, file, 0, order, 1);
}

/* Fills the swap device by what the clause is about. */
static void insert_swap_full(struct kunit *test)
{
	const long most = 16384;
	unsigned int order = insert_swap_order();
	pgoff_t nr = 1UL << order, i;
	struct file *file = insert_file(test, insert_always, 2 * most);
	long free = get_nr_swap_pages();
	struct folio *folio;

	if (free > most)
		kunit_skip(test, "%ld pages of swap are free, at most %ld can be filled",
			   free, most);

	for (i = 0; get_nr_swap_pages() > 0 && i < (pgoff_t)most; i++) {
		folio = insert_folio(test, file, 0, i & 0xff);
		insert_expect_inserted(test, file, folio, i);
		insert_reclaim(test, file, folio);
	}
	KUNIT_ASSERT_EQ(test, get_nr_swap_pages(), 0);

	i = round_up(i, nr);
	folio = insert_folio(test, file, order, 11);
	insert_expect_inserted(test, file, folio, i);
	KUNIT_EXPECT_FALSE(test, insert_reclaim(test, file, folio));
	KUNIT_EXPECT_FALSE(test, xa_is_value(xa_load(&file->f_mapping->i_pages, i)));
	insert_expect_read(test, file, i, order, 11);
}

#if defined(CONFIG_MEMCG) && defined(CONFIG_TRANSPARENT_HUGEPAGE)
static void insert_memcg_limit(struct kunit *test)
{
	/* A single page at the start of a file needs no node, so no other charge. */
	unsigned int i, orders[] = { insert_2mib_order(), 0 };
	struct mem_cgroup *memcg = insert_memcg(test), *old;

	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		unsigned long nr = 1UL << orders[i], usage;
		struct file *file = insert_file(test, insert_always, nr);
		struct folio *folio = insert_folio(test, file, orders[i], 13);
		long oom;
		int ret;

		/* Less is kept for the next charges, and that is given back now. */
		old = set_active_memcg(memcg);
		insert_expect_refused(test, file, folio, 0, GFP_KERNEL, -EDQUOT,
				      "at first");
		set_active_memcg(old);
		usage = page_counter_read(&memcg->memory);

		/* That of the current task has no limit, but the active one has. */
		old = set_active_memcg(memcg);
		insert_expect_refused(test, file, folio, 0, __GFP_NOWARN, -EDQUOT,
				      "over the limit");
		/* Nobody is killed, wherever one could wait. */
		oom = atomic_long_read(&memcg->memory_events[MEMCG_OOM]);
		insert_expect_refused(test, file, folio, 0, GFP_KERNEL, -EDQUOT,
				      "over the limit, with reclaim");
		KUNIT_EXPECT_EQ(test, atomic_long_read(&memcg->memory_events[MEMCG_OOM]),
				oom);
		KUNIT_EXPECT_EQ(test, page_counter_read(&memcg->memory), usage);
		ret = shmem_insert_folio(file, folio, 0, GFP_RECLAIM_INSERT);
		set_active_memcg(old);

		KUNIT_ASSERT_EQ(test, ret, 0);
		KUNIT_EXPECT_GE(test, page_counter_read(&memcg->memory), usage + nr);
		rcu_read_lock();
		KUNIT_EXPECT_PTR_EQ(test, folio_memcg(folio), memcg);
		rcu_read_unlock();
		insert_expect_read(test, file, 0, orders[i], 13);
		kunit_release_action(test, insert_put, folio);
		kunit_release_action(test, insert_close, file);
	}
}

/* Going over the limit without being able to wait notifies pollers. */
static void insert_limit_is_notified(struct kunit *test)
{
	struct mem_cgroup *memcg = insert_memcg(test), *old;
	struct file *file = insert_file(test, insert_always, 1);
	struct folio *folio = insert_folio(test, file, 0, 13);
	unsigned long long_ago = jiffies - 60 * HZ;
	int ret;

	memcg->events_file.notified_at = long_ago;
	old = set_active_memcg(memcg);
	ret = shmem_insert_folio(file, folio, 0, GFP_RECLAIM_INSERT);
	set_active_memcg(old);

	KUNIT_ASSERT_EQ(test, ret, 0);
	KUNIT_EXPECT_NE(test, memcg->events_file.notified_at, long_ago);
}

/* The root memcg pays without anything being counted there, or anywhere else. */
static void insert_charges_nobody_as_root(struct kunit *test)
{
	unsigned int i, orders[] = { 0, insert_2mib_order() };
	struct mem_cgroup *memcg = insert_memcg(test), *old, *root;

	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		struct file *file = insert_file(test, insert_always, 1UL << orders[i]);
		struct folio *folio = insert_folio(test, file, orders[i], 13);
		unsigned long usage = page_counter_read(&memcg->memory);
		unsigned long all = page_counter_read(&root_mem_cgroup->memory);
		int ret;

		/* The task would be charged to the other one. */
		old = set_active_memcg(memcg);
		root = set_active_memcg(root_mem_cgroup);
		ret = shmem_insert_folio(file, folio, 0, GFP_NOWAIT);
		set_active_memcg(root);
		set_active_memcg(old);

		KUNIT_ASSERT_EQ(test, ret, 0);
		rcu_read_lock();
		KUNIT_EXPECT_PTR_EQ(test, folio_memcg(folio), root_mem_cgroup);
		rcu_read_unlock();
		/* Other charges may go away at any time, but none may be added. */
		KUNIT_EXPECT_LE(test, page_counter_read(&memcg->memory), usage);
		KUNIT_EXPECT_LE(test, page_counter_read(&root_mem_cgroup->memory), all);
		kunit_release_action(test, insert_put, folio);
		kunit_release_action(test, insert_close, file);
	}
}

static int insert_charge(struct folio *folio, struct mem_cgroup *memcg)
{
	struct mem_cgroup *old = set_active_memcg(memcg);
	int ret = mem_cgroup_charge(folio, NULL, GFP_RECLAIM_INSERT);

	set_active_memcg(old);

	return ret;
}

static void insert_charge_is_kept(struct kunit *test)
{
	unsigned int i, orders[] = { 4, insert_2mib_order() };
	struct mem_cgroup *memcg = insert_memcg(test);

	if (orders[1] < orders[0])
		kunit_skip(test, "needs large folios");

	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		unsigned long nr = 1UL << orders[i], before, usage;
		struct file *file = insert_file(test, insert_always, 2 * nr);
		struct folio *folio = insert_folio(test, file, orders[i], 13);
		struct folio *other = insert_folio(test, file, orders[i], 14);

		before = page_counter_read(&memcg->memory);
		KUNIT_ASSERT_EQ(test, insert_charge(folio, memcg), 0);
		KUNIT_ASSERT_EQ(test, insert_charge(other, memcg), 0);
		usage = before + 2 * nr;
		insert_expect_usage(test, memcg, usage, "charged");

		/* The task's memcg is another one. */
		insert_expect_inserted(test, file, folio, nr);
		rcu_read_lock();
		KUNIT_EXPECT_PTR_EQ(test, folio_memcg(folio), memcg);
		rcu_read_unlock();
		insert_expect_usage(test, memcg, usage, "inserted");

		/* After accounting, and before it */
		insert_expect_refused(test, file, other, nr, GFP_KERNEL, -EEXIST,
				      "charged");
		insert_expect_refused(test, file, other, 2 * nr, GFP_KERNEL, -EINVAL,
				      "charged, past the end");
		insert_expect_usage(test, memcg, usage, "refused");

		/* In the file it is charged like any other. */
		kunit_release_action(test, insert_put, folio);
		lru_add_drain_all();
		folio = shmem_extract_folio(file, nr, orders[i], NUMA_NO_NODE,
					    GFP_HIGHUSER);
		KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
		KUNIT_EXPECT_FALSE(test, folio_memcg_charged(folio));
		folio_put(folio);
		insert_expect_usage(test, memcg, usage - nr, "extracted");
		insert_expect_inserted(test, file, other, 0);
		kunit_release_action(test, insert_put, other);
		shmem_truncate_range(file_inode(file), 0, -1);
		lru_add_drain_all();
		insert_expect_usage(test, memcg, before, "truncated");
		kunit_release_action(test, insert_close, file);
	}
}

/* Migration, for one, would forget that it is charged as that. */
static void insert_kernel_memory(struct kunit *test)
{
	struct mem_cgroup *memcg = insert_memcg(test), *old;
	struct file *file = insert_file(test, insert_always, 1);
	struct folio *folio;

	old = set_active_memcg(memcg);
	folio = folio_alloc(GFP_ATOMIC | __GFP_ACCOUNT, 0);
	set_active_memcg(old);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, insert_put, folio));
	KUNIT_ASSERT_TRUE(test, folio_memcg_kmem(folio));

	insert_expect_misused(test, file, folio, "charged as kernel memory");
}

/* The task that allocates need not be the one that the folio is for. */
static void insert_alloc_charges_nobody(struct kunit *test)
{
	struct mem_cgroup *memcg = insert_memcg(test), *old;
	struct file *file = insert_file(test, insert_always, 1);
	struct folio *folio;

	old = set_active_memcg(memcg);
	folio = shmem_alloc_detached_folio(file, 0, NUMA_NO_NODE, GFP_KERNEL |
					   __GFP_NORETRY | __GFP_ACCOUNT);
	set_active_memcg(old);

	/* A charge would have failed. */
	KUNIT_ASSERT_NOT_NULL(test, folio);
	KUNIT_EXPECT_FALSE(test, folio_memcg_charged(folio));
	folio_put(folio);
}
#endif

static struct kunit_case insert_swap_cases[] = {
	KUNIT_CASE_SLOW(insert_occupied_by_swap),
	KUNIT_CASE_SLOW(insert_partial_overlap_with_swap),
#if defined(CONFIG_MEMCG) && defined(CONFIG_TRANSPARENT_HUGEPAGE)
	KUNIT_CASE(insert_memcg_limit),
	KUNIT_CASE(insert_limit_is_notified),
	KUNIT_CASE(insert_charge_is_kept),
	KUNIT_CASE(insert_kernel_memory),
	KUNIT_CASE(insert_charges_nobody_as_root),
	KUNIT_CASE(insert_alloc_charges_nobody),
#endif
	KUNIT_CASE_SLOW(insert_reclaimable_whole),
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	KUNIT_CASE_SLOW(insert_reclaimable_split),
#endif
	KUNIT_CASE_SLOW(insert_noswap_is_not_swapped),
	KUNIT_CASE_SLOW(insert_swap_full),
	{}
};

static struct kunit_suite insert_swap_suite = {
	.name = "shmem_insert_swap",
	.suite_init = insert_suite_init,
	.suite_exit = insert_suite_exit,
	.init = insert_swap_init,
	.test_cases = insert_swap_cases,
};

/*
 * A suite of its own, to be run last: it uses up all memory for a short time, so that
 * others' pages go to swap as well.
 */
static struct kunit_case insert_reserves_cases[] = {
	KUNIT_CASE_SLOW(insert_reclaimable_from_reserves),
	{}
};

static struct kunit_suite insert_reserves_suite = {
	.name = "shmem_insert_reserves",
	.suite_init = insert_suite_init,
	.suite_exit = insert_suite_exit,
	.init = insert_swap_init,
	.test_cases = insert_reserves_cases,
};

kunit_test_suites(&insert_swap_suite, &insert_reserves_suite);
