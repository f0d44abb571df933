// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the contract of shmem_extract_folio(), with swap.
 *
 * The suite needs a swap device, so it is skipped at boot; it is worth running with a
 * synchronous one (zram) and with one that is not.
 */

#include <kunit/test.h>
#include <linux/kobject.h>
#include <linux/mm.h>
#include <linux/swapops.h>
#include <linux/workqueue.h>

#include "shmem_insert_kunit.h"
#include "../swap.h"

/* It takes longer to write them than to find out that nothing else can be reclaimed. */
#define HIBERNATION_FOLIOS	16

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

static void extract_swap_cache_hit(struct kunit *test)
{
	unsigned int order, max = insert_swap_order();
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
static void extract_busy_in_swap_cache(struct kunit *test)
{
	unsigned int order, max = insert_swap_order();
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
static void extract_from_swap(struct kunit *test)
{
	unsigned int order, max = insert_swap_order();
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
static void extract_huge_from_swap(struct kunit *test)
{
	unsigned int max = insert_swap_order();
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
static void extract_page_by_page(struct kunit *test)
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
static void extract_too_small_in_swap(struct kunit *test)
{
	unsigned int order, max = insert_swap_order();
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

static void extract_hole_beside_swap(struct kunit *test)
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

#ifdef INSERT_LOW_ZONE
/* In the swap cache it may be in any zone. */
static void extract_read_into_the_zone(struct kunit *test)
{
	const gfp_t gfp = INSERT_LOW_GFP | __GFP_RECLAIMABLE;
	struct file *file = extract_file(test, insert_always, 4);
	struct folio *folio, *out;

	folio = extract_insert(test, file, 0, 1, 1);
	if (folio_zonenum(folio) <= INSERT_LOW_ZONE)
		kunit_skip(test, "needs memory above the low zone");
	extract_write(test, file, folio);
	out = extract_ok(test, file, 1, 0, gfp);
	KUNIT_EXPECT_LE(test, folio_zonenum(out), INSERT_LOW_ZONE);
	KUNIT_EXPECT_TRUE(test, insert_intact(out, 1));
	extract_expect_fresh(test, file, out, "moved");

	extract_swapped(test, file, 0, 2, 2);
	out = extract_ok(test, file, 2, 0, gfp);
	KUNIT_EXPECT_LE(test, folio_zonenum(out), INSERT_LOW_ZONE);
	KUNIT_EXPECT_TRUE(test, insert_intact(out, 2));
}
#endif

#ifdef CONFIG_NUMA
/* It is read to the node that is asked for, and not to that of whoever asks. */
static void extract_read_to_the_node(struct kunit *test)
{
	static const gfp_t masks[] = {
		EXTRACT_GFP, EXTRACT_GFP | __GFP_COMP | __GFP_NORETRY,
	};
	unsigned int order, i, max = insert_swap_order();
	struct file *file = extract_file(test, insert_always, 1UL << max);
	int nid;

	if (num_node_state(N_MEMORY) < 2)
		kunit_skip(test, "the machine has one node");

	for_each_node_state(nid, N_MEMORY) {
		for (i = 0; i < 2 * ARRAY_SIZE(masks); i++) {
			gfp_t gfp = masks[i / 2];

			for (order = 0; order <= max; order++) {
				struct folio *folio;

				extract_swapped(test, file, order, 0, order);
				if (i & 1)
					shmem_extract_readahead(file, 0, order, nid, gfp);
				folio = shmem_extract_folio(file, 0, order, nid, gfp);
				KUNIT_ASSERT_EQ_MSG(test, PTR_ERR_OR_ZERO(folio), 0,
						    "order %u, node %d", order, nid);
				KUNIT_EXPECT_EQ(test, folio_nid(folio), nid);
				KUNIT_EXPECT_EQ(test, folio_order(folio), order);
				KUNIT_EXPECT_TRUE(test, insert_intact(folio, order));
				folio_put(folio);
			}
		}
	}
}

/* All that can be had of a node in pieces of @order, chained in their ->lru */
static void extract_use_up_node(int nid, unsigned int order, struct list_head *used)
{
	const gfp_t gfp = (EXTRACT_GFP | __GFP_COMP | __GFP_THISNODE | __GFP_NOMEMALLOC) &
			  ~__GFP_DIRECT_RECLAIM;
	struct page *page;

	while ((page = alloc_pages_node(nid, gfp, order)))
		list_add(&page->lru, used);
}

static void extract_give_back(struct list_head *used, unsigned int order)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, used, lru)
		__free_pages(page, order);
	INIT_LIST_HEAD(used);
}

/* A node that has it in small pieces only gives those, and no other node a large one. */
static void extract_node_used_up(struct kunit *test)
{
	const gfp_t light = (EXTRACT_GFP | __GFP_COMP) & ~__GFP_DIRECT_RECLAIM;
	unsigned int max = insert_swap_order();
	struct file *file = extract_file(test, insert_always, 1UL << max);
	LIST_HEAD(used);
	int nid;

	if (num_node_state(N_MEMORY) < 2)
		kunit_skip(test, "the machine has one node");
	if (!max)
		kunit_skip(test, "needs large folios");

	for_each_node_state(nid, N_MEMORY) {
		struct folio *folio;

		extract_swapped(test, file, max, 0, nid + 1);

		extract_use_up_node(nid, max, &used);
		KUNIT_EXPECT_FALSE(test, list_empty(&used));
		shmem_extract_readahead(file, 0, max, nid, light);
		folio = shmem_extract_folio(file, 0, max, nid, light);
		extract_give_back(&used, max);

		if (IS_ERR(folio)) {
			KUNIT_EXPECT_EQ(test, PTR_ERR(folio), -ENOMEM);
		} else {
			KUNIT_EXPECT_LT(test, folio_order(folio), max);
			if (folio_test_large(folio))
				KUNIT_EXPECT_EQ(test, folio_nid(folio), nid);
			KUNIT_EXPECT_TRUE(test, insert_intact(folio, nid + 1));
			folio_put(folio);
		}
		shmem_truncate_range(file_inode(file), 0, -1);

		/* With memory, it is that node's. */
		extract_swapped(test, file, max, 0, nid + 1);
		folio = shmem_extract_folio(file, 0, max, nid, EXTRACT_GFP);
		KUNIT_ASSERT_EQ(test, PTR_ERR_OR_ZERO(folio), 0);
		KUNIT_EXPECT_EQ(test, folio_order(folio), max);
		KUNIT_EXPECT_EQ(test, folio_nid(folio), nid);
		folio_put(folio);
	}
}
#endif

static void extract_read_error(struct kunit *test)
{
	unsigned int order, max = insert_swap_order();

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
static void extract_unuse(struct kunit *test)
{
	unsigned int round, max = insert_swap_order(), orders[] = { 0, 2, max };
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

static void extract_no_memory_to_read(struct kunit *test)
{
	unsigned int order, max = insert_swap_order();
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
static void extract_as_large_as_possible(struct kunit *test)
{
	unsigned int fail, max = insert_swap_order();
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
static void extract_effort(struct kunit *test)
{
	const gfp_t hard = EXTRACT_GFP | __GFP_COMP | __GFP_NORETRY | __GFP_NOWARN;
	unsigned int max = insert_swap_order();
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
static void extract_from_the_middle(struct kunit *test)
{
	unsigned int order, max = insert_swap_order();
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
static void extract_readahead(struct kunit *test)
{
	unsigned int order, max = insert_swap_order();
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

		shmem_extract_readahead(plain, 0, order, NUMA_NO_NODE, EXTRACT_GFP);
		shmem_extract_readahead(file, 0, order, NUMA_NO_NODE, EXTRACT_GFP);
		shmem_extract_readahead(file, 2UL << max, order, NUMA_NO_NODE, EXTRACT_GFP);
		shmem_extract_readahead(file, nr, order ? order - 1 : 1, NUMA_NO_NODE, EXTRACT_GFP);
		KUNIT_EXPECT_EQ(test, extract_swapins(), swapins);
		KUNIT_EXPECT_FALSE(test, swap_cache_has_folio(entry));

		shmem_extract_readahead(file, nr, order, NUMA_NO_NODE, EXTRACT_GFP);
		folio = swap_cache_get_folio(entry);
		KUNIT_EXPECT_EQ(test, !!folio, !synchronous);
		if (folio) {
			folio_wait_locked(folio);
			KUNIT_EXPECT_EQ(test, folio_order(folio), order);
			folio_put(folio);
		}
		KUNIT_EXPECT_EQ(test, extract_swapins() - swapins, synchronous ? 0 : nr);
		/* Once more, while it is read, and what is resident */
		shmem_extract_readahead(file, nr, order, NUMA_NO_NODE, EXTRACT_GFP);
		folio = extract_ok(test, file, nr, order, EXTRACT_GFP);
		KUNIT_EXPECT_EQ(test, folio_order(folio), order);
		KUNIT_EXPECT_TRUE(test, insert_intact(folio, order));
		KUNIT_EXPECT_EQ(test, extract_swapins() - swapins, nr);
		insert_expect_inserted(test, file, folio, nr);
		shmem_extract_readahead(file, nr, order, NUMA_NO_NODE, EXTRACT_GFP);
		KUNIT_EXPECT_EQ(test, extract_swapins() - swapins, nr);
		KUNIT_EXPECT_PTR_EQ(test, xa_load(&file->f_mapping->i_pages, nr), folio);
		kunit_release_action(test, insert_put, folio);
		shmem_truncate_range(file_inode(file), 0, -1);
	}
	extract_expect_counters(test, file, &base, "read ahead");
}

static void extract_fput_after_swap(struct kunit *test)
{
	unsigned int order, max = insert_swap_order();
	struct vfsmount *mnt = insert_test_mount(test, SB_KERNMOUNT, "nr_blocks",
						 "65536");
	struct shmem_sb_info *sbinfo = mnt->mnt_sb->s_fs_info;

	for (order = 0; order <= max; order += max ?: 1) {
		pgoff_t nr = 1UL << order;
		struct file *file = extract_file(test, mnt, 2 * nr);
		long shmem = insert_node_stat(NR_SHMEM), free = get_nr_swap_pages();
		struct folio *folio;
		int other;

		extract_swapped(test, file, order, 0, 1);
		extract_swapped(test, file, order, nr, 2);
		extract_expect_all(test, file, nr, nr, 2);
		KUNIT_EXPECT_EQ(test, file_inode(file)->i_blocks,
				nr * (PAGE_SIZE / SECTOR_SIZE));
		extract_expect_all(test, file, 0, nr, 1);
		KUNIT_EXPECT_EQ(test, file_inode(file)->i_blocks, 0);
		/* Of this one, what has come back in vain is left to the file. */
		folio = extract_insert(test, file, order, 0, 1);
		other = extract_other_node(folio);
		extract_write(test, file, folio);
		if (order)
			KUNIT_EXPECT_EQ(test, extract_error(file, 0, order, other,
							    EXTRACT_GFP), -EXDEV);
		else
			insert_expect_read(test, file, 0, 0, 1);
		KUNIT_EXPECT_EQ(test, file->f_mapping->nrpages, nr);

		kunit_release_action(test, insert_close, file);
		KUNIT_EXPECT_EQ(test, insert_node_stat(NR_SHMEM), shmem);
		KUNIT_EXPECT_EQ(test, get_nr_swap_pages(), free);
		KUNIT_EXPECT_EQ(test, percpu_counter_sum(&sbinfo->used_blocks), 0);
	}
}

/* Folios under writeback, of which one is done after the other. */
struct extract_writer {
	struct delayed_work work;
	struct folio *folios[HIBERNATION_FOLIOS];
	unsigned int done;
};

static void extract_writer_end_one(struct extract_writer *writer)
{
	struct folio *folio = writer->folios[writer->done];

	folio_end_writeback(folio);
	folio_put(folio);
	WRITE_ONCE(writer->done, writer->done + 1);
}

static void extract_writer_work(struct work_struct *work)
{
	struct extract_writer *writer = container_of(to_delayed_work(work),
						     struct extract_writer, work);

	extract_writer_end_one(writer);
	if (writer->done < HIBERNATION_FOLIOS)
		schedule_delayed_work(&writer->work, HZ / 2);
}

/* They are large, so that each of them shows in the count of all processors. */
static void extract_hibernation_waits_for_writeback(struct kunit *test)
{
	unsigned int order = insert_swap_order(), i;
	struct extract_writer *writer;
	struct file *file;

	if (!IS_ENABLED(CONFIG_HIBERNATION))
		kunit_skip(test, "needs CONFIG_HIBERNATION");

	writer = kunit_kzalloc(test, sizeof(*writer), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, writer);
	INIT_DELAYED_WORK(&writer->work, extract_writer_work);
	file = insert_file(test, insert_always, HIBERNATION_FOLIOS << order);
	for (i = 0; i < HIBERNATION_FOLIOS; i++) {
		writer->folios[i] = insert_folio(test, file, order, i);
		insert_expect_inserted(test, file, writer->folios[i], i << order);
		kunit_remove_action(test, insert_put, writer->folios[i]);
	}
	for (i = 0; i < HIBERNATION_FOLIOS; i++) {
		folio_lock(writer->folios[i]);
		folio_start_writeback(writer->folios[i]);
		folio_unlock(writer->folios[i]);
	}

	schedule_delayed_work(&writer->work, HZ / 2);
	/* more than there is */
	shrink_all_memory(totalram_pages());
	KUNIT_EXPECT_EQ(test, READ_ONCE(writer->done), HIBERNATION_FOLIOS);

	cancel_delayed_work_sync(&writer->work);
	while (writer->done < HIBERNATION_FOLIOS)
		extract_writer_end_one(writer);
}

static struct kunit_case extract_swap_cases[] = {
	KUNIT_CASE(extract_hole_beside_swap),
	KUNIT_CASE_SLOW(extract_swap_cache_hit),
	KUNIT_CASE_SLOW(extract_busy_in_swap_cache),
	KUNIT_CASE_SLOW(extract_from_swap),
	KUNIT_CASE_SLOW(extract_page_by_page),
	KUNIT_CASE_SLOW(extract_too_small_in_swap),
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	KUNIT_CASE(extract_huge_from_swap),
#endif
#ifdef INSERT_LOW_ZONE
	KUNIT_CASE(extract_read_into_the_zone),
#endif
#ifdef CONFIG_NUMA
	KUNIT_CASE_SLOW(extract_read_to_the_node),
	KUNIT_CASE_SLOW(extract_node_used_up),
#endif
	KUNIT_CASE_SLOW(extract_read_error),
	KUNIT_CASE_SLOW(extract_unuse),
#if defined(CONFIG_FAIL_PAGE_ALLOC) && defined(CONFIG_FAULT_INJECTION_DEBUG_FS)
	KUNIT_CASE_SLOW(extract_no_memory_to_read),
	KUNIT_CASE_SLOW(extract_as_large_as_possible),
	KUNIT_CASE_SLOW(extract_from_the_middle),
	KUNIT_CASE(extract_effort),
#endif
	KUNIT_CASE_SLOW(extract_readahead),
	KUNIT_CASE_SLOW(extract_fput_after_swap),
	KUNIT_CASE_SLOW(extract_hibernation_waits_for_writeback),
	{}
};

static struct kunit_suite extract_swap_suite = {
	.name = "shmem_extract_swap",
	.suite_init = insert_suite_init,
	.suite_exit = insert_suite_exit,
	.init = insert_swap_init,
	.test_cases = extract_swap_cases,
};

kunit_test_suite(extract_swap_suite);
