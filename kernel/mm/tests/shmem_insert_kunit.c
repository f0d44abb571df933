// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the contract of shmem_insert_folio().
 *
 * They need nothing but memory. Every refusal is also checked for leaving no trace.
 */

#include <kunit/test.h>
#include <linux/fcntl.h>
#include <linux/kobject.h>
#include <linux/mm.h>
#include <linux/mman.h>

#include <asm/sections.h>

#include "shmem_insert_kunit.h"

/*
 * Successful insertion
 */

static void insert_all_orders_keep_bytes(struct kunit *test)
{
	struct vfsmount *mnts[] = { insert_always, insert_within };
	unsigned int i, order, max = insert_max_order();

	if (IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE) && !insert_large_denied())
		KUNIT_EXPECT_GE(test, max, 2);

	for (i = 0; i < ARRAY_SIZE(mnts); i++) {
		for (order = 0; order <= max; order++) {
			pgoff_t nr = 1UL << order;
			struct file *file = insert_file(test, mnts[i], 2 * nr);
			struct folio *folio, *found;

			folio = insert_folio(test, file, order, order + 1);
			insert_expect_inserted(test, file, folio, nr);
			lru_add_drain();

			KUNIT_EXPECT_EQ(test, folio_order(folio), order);
			KUNIT_EXPECT_EQ(test, folio->index, nr);
			KUNIT_EXPECT_FALSE(test, folio_test_locked(folio));
			KUNIT_EXPECT_TRUE(test, folio_test_uptodate(folio));
			KUNIT_EXPECT_TRUE(test, folio_test_dirty(folio));
			KUNIT_EXPECT_TRUE(test, folio_test_swapbacked(folio));
			/* That of the caller stays the caller's. */
			KUNIT_EXPECT_EQ(test, folio_ref_count(folio), nr + 1);
			if (IS_ENABLED(CONFIG_MEMCG) && !mem_cgroup_disabled())
				KUNIT_EXPECT_TRUE(test, folio_memcg_charged(folio));

			found = shmem_read_folio(file->f_mapping, 2 * nr - 1);
			KUNIT_ASSERT_PTR_EQ(test, found, folio);
			folio_put(found);
			insert_expect_read(test, file, nr, order, order + 1);
			/* Its neighbours are still holes. */
			KUNIT_EXPECT_NULL(test, xa_load(&file->f_mapping->i_pages,
							nr - 1));
			KUNIT_EXPECT_EQ(test, file->f_mapping->nrpages, nr);

			kunit_release_action(test, insert_put, folio);
			kunit_release_action(test, insert_close, file);
		}
	}
}

static void insert_last_chunk_fits(struct kunit *test)
{
	unsigned int order = insert_max_order();
	pgoff_t nr = 1UL << order;
	struct file *file;
	struct folio *folio;

	file = insert_file(test, insert_within, 3 * nr);
	folio = insert_folio(test, file, order, 1);
	insert_expect_inserted(test, file, folio, 2 * nr);

	/* A file may end within its last page. */
	file = insert_file_bytes(test, insert_within, (3 * nr << PAGE_SHIFT) - 1);
	folio = insert_folio(test, file, order, 2);
	insert_expect_inserted(test, file, folio, 2 * nr);

	file = insert_file_bytes(test, insert_within, 3 * PAGE_SIZE + 1);
	folio = insert_folio(test, file, 0, 3);
	insert_expect_inserted(test, file, folio, 3);
	insert_expect_read(test, file, 3, 0, 3);
}

static void insert_noswap_is_resident_and_readable(struct kunit *test)
{
	struct vfsmount *mnt = insert_noswap_mount(test);
	unsigned int order = insert_max_order();
	struct file *file = insert_file(test, mnt, 1UL << order);
	struct folio *folio = insert_folio(test, file, order, 7);

	insert_expect_inserted(test, file, folio, 0);
	lru_add_drain();
	KUNIT_EXPECT_FALSE(test, folio_evictable(folio));
	insert_expect_read(test, file, 0, order, 7);
}

/*
 * Refusals
 */

static void insert_order_above_max(struct kunit *test)
{
	unsigned int order = insert_max_order() + 1;
	struct vfsmount *mnts[] = { insert_always, insert_within };
	struct file *file;
	struct folio *folio;
	unsigned int i;

	if (order > MAX_PAGE_ORDER)
		kunit_skip(test, "the page allocator has no larger ones");
	folio = folio_alloc(GFP_KERNEL | __GFP_RETRY_MAYFAIL, order);
	if (!folio)
		kunit_skip(test, "no memory for order %u", order);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, insert_put, folio));

	for (i = 0; i < ARRAY_SIZE(mnts); i++) {
		file = insert_file(test, mnts[i], 4UL << order);
		KUNIT_EXPECT_FALSE(test, shmem_insert_orders(file, 0) & BIT(order));
		insert_expect_refused(test, file, folio, 0, GFP_KERNEL, -EOPNOTSUPP,
				      "above the maximum");
	}
}

static const char *insert_policy(char *buf)
{
	char *end;

	shmem_enabled_attr.show(NULL, NULL, buf);
	buf = strchr(buf, '[');
	if (!buf)
		return NULL;
	end = strchr(++buf, ']');
	if (!end)
		return NULL;
	*end = 0;

	return buf;
}

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
static void insert_set_policy(void *policy)
{
	if (shmem_enabled_attr.store(NULL, NULL, policy, strlen(policy)) < 0)
		pr_err("shmem_enabled cannot be restored to %s\n", (char *)policy);
}

/* Sets shmem_enabled until insert_set_policy() is released. */
static void *insert_change_policy(struct kunit *test, const char *policy)
{
	char *buf = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	void *old;

	KUNIT_ASSERT_NOT_NULL(test, buf);
	old = (void *)insert_policy(buf);
	KUNIT_ASSERT_NOT_NULL(test, old);
	KUNIT_ASSERT_GT(test, shmem_enabled_attr.store(NULL, NULL, policy,
						       strlen(policy)), 0);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, insert_set_policy,
							   old));

	return old;
}

static void insert_expect_single_only(struct kunit *test, struct file *file,
				      struct folio *large, struct folio *single,
				      const char *what)
{
	KUNIT_EXPECT_EQ_MSG(test, shmem_insert_orders(file, 0), BIT(0), "%s", what);
	KUNIT_EXPECT_NULL_MSG(test, shmem_alloc_detached_folio(file, 1, NUMA_NO_NODE,
							       GFP_KERNEL),
			      "%s", what);
	insert_expect_refused(test, file, large, 0, GFP_KERNEL, -EOPNOTSUPP, what);
	insert_expect_inserted(test, file, single, 0);
}

static void insert_never_on_shm_mnt(struct kunit *test)
{
	unsigned int max = insert_max_order();
	pgoff_t nr = 1UL << max;
	struct file *huge = insert_file(test, insert_always, nr), *file;
	struct folio *large[] = {
		insert_folio(test, huge, max, 1),
		insert_folio(test, huge, 1, 2),
	};
	struct folio *single = insert_folio(test, huge, 0, 3);

	insert_change_policy(test, "never");
	file = insert_shared_memory(test, (loff_t)nr << PAGE_SHIFT);
	shmem_set_insertable(file);

	insert_expect_refused(test, file, large[0], 0, GFP_KERNEL, -EOPNOTSUPP,
			      "largest");
	insert_expect_single_only(test, file, large[1], single, "never");
	insert_expect_read(test, file, 0, 0, 3);
}

static void insert_denied_at_run_time(struct kunit *test)
{
	unsigned int max = insert_max_order();
	struct file *file = insert_file(test, insert_always, 2UL << max);
	struct folio *large = insert_folio(test, file, max, 1);
	struct folio *single = insert_folio(test, file, 0, 2);
	void *old;

	old = insert_change_policy(test, "deny");
	insert_expect_single_only(test, file, large, single, "deny");

	kunit_release_action(test, insert_set_policy, old);
	insert_expect_inserted(test, file, large, 1UL << max);
}

static void insert_thp_supported(void *unused)
{
	clear_bit(TRANSPARENT_HUGEPAGE_UNSUPPORTED, &transparent_hugepage_flags);
}

static void insert_hardware_without_thp(struct kunit *test)
{
	unsigned int max = insert_max_order();
	struct file *file = insert_file(test, insert_always, 2UL << max);
	struct folio *large = insert_folio(test, file, max, 1);
	struct folio *single = insert_folio(test, file, 0, 2);

	if (thp_disabled_by_hw())
		kunit_skip(test, "it is one");
	set_bit(TRANSPARENT_HUGEPAGE_UNSUPPORTED, &transparent_hugepage_flags);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test,
							   insert_thp_supported,
							   NULL));
	insert_expect_single_only(test, file, large, single, "no THP");
}

#else

static void insert_kernel_without_thp(struct kunit *test)
{
	struct file *file = insert_file(test, insert_always, 4);
	struct folio *folio;

	KUNIT_EXPECT_EQ(test, shmem_insert_orders(file, 0), BIT(0));
	KUNIT_EXPECT_NULL(test, shmem_alloc_detached_folio(file, 1, NUMA_NO_NODE,
							   GFP_KERNEL));
	folio = insert_folio(test, file, 0, 1);
	insert_expect_inserted(test, file, folio, 3);
	insert_expect_read(test, file, 3, 0, 1);
}
#endif

static void insert_misaligned(struct kunit *test)
{
	unsigned int order, max = insert_max_order();
	struct file *file = insert_file(test, insert_always, 4UL << max);

	for (order = 1; order <= max; order++) {
		struct folio *folio = insert_folio(test, file, order, order);

		insert_expect_refused(test, file, folio, 1, GFP_KERNEL, -EINVAL,
				      "index 1");
		insert_expect_refused(test, file, folio, 1UL << (order - 1),
				      GFP_KERNEL, -EINVAL, "half way");
		insert_expect_refused(test, file, folio, (3UL << order) - 1,
				      GFP_KERNEL, -EINVAL, "one before");
		insert_expect_inserted(test, file, folio, 1UL << max);
		kunit_release_action(test, insert_put, folio);
		shmem_truncate_range(file_inode(file), 0, -1);
	}
}

static void insert_past_or_across_the_end(struct kunit *test)
{
	unsigned int order, max = insert_max_order();
	struct file *file = insert_file(test, insert_always, 8UL << max);
	struct file *empty = insert_file_bytes(test, insert_always, 0);
	struct folio *folio = insert_folio(test, file, 0, 1);

	insert_expect_refused(test, empty, folio, 0, GFP_KERNEL, -EINVAL, "empty");

	for (order = 0; order <= max; order++) {
		pgoff_t nr = 1UL << order;
		struct file *whole = insert_file(test, insert_always, 2 * nr);
		struct file *less = insert_file_bytes(test, insert_always,
						      (loff_t)(2 * nr - 1) <<
						      PAGE_SHIFT);

		folio = insert_folio(test, file, order, order);
		insert_expect_refused(test, whole, folio, 2 * nr, GFP_KERNEL,
				      -EINVAL, "just past");
		insert_expect_refused(test, whole, folio, 64 * nr, GFP_KERNEL,
				      -EINVAL, "far past");
		insert_expect_refused(test, whole, folio,
				      round_down(ULONG_MAX, nr), GFP_KERNEL,
				      -EINVAL, "last index");
		insert_expect_refused(test, less, folio, nr, GFP_KERNEL, -EINVAL,
				      order ? "across" : "just past");
		insert_expect_inserted(test, whole, folio, nr);
		kunit_release_action(test, insert_put, folio);
	}
}

static void insert_occupied_by_folio(struct kunit *test)
{
	unsigned int order, max = insert_max_order();
	struct file *file = insert_file(test, insert_always, 2UL << max);

	for (order = 0; order <= max; order += max ?: 1) {
		struct folio *old = insert_folio(test, file, order, 1);
		struct folio *folio = insert_folio(test, file, order, 2);

		insert_expect_inserted(test, file, old, 1UL << order);
		insert_expect_refused(test, file, folio, 1UL << order, GFP_KERNEL,
				      -EEXIST, "occupied");
		insert_expect_refused(test, file, folio, 1UL << order,
				      GFP_RECLAIM_INSERT, -EEXIST, "occupied");
		insert_expect_read(test, file, 1UL << order, order, 1);
		KUNIT_EXPECT_TRUE(test, insert_intact(folio, 2));
		shmem_truncate_range(file_inode(file), 0, -1);
		/* It was the contents that were in the way, nothing else. */
		insert_expect_inserted(test, file, folio, 1UL << order);
		insert_expect_read(test, file, 1UL << order, order, 2);
		shmem_truncate_range(file_inode(file), 0, -1);
	}
}

static void insert_partial_overlap(struct kunit *test)
{
	unsigned int max = insert_max_order();
	pgoff_t nr = 1UL << max;
	struct file *file = insert_file(test, insert_always, 2 * nr);
	struct folio *small, *mid, *large;

	if (!max)
		kunit_skip(test, "needs large folios");

	small = insert_folio(test, file, 0, 1);
	mid = insert_folio(test, file, max / 2, 2);
	large = insert_folio(test, file, max, 3);

	/* Small ones into a large one */
	insert_expect_inserted(test, file, large, 0);
	insert_expect_refused(test, file, small, 0, GFP_KERNEL, -EEXIST, "head");
	insert_expect_refused(test, file, small, 3, GFP_KERNEL, -EEXIST, "middle");
	insert_expect_refused(test, file, small, nr - 1, GFP_KERNEL, -EEXIST, "end");
	insert_expect_refused(test, file, mid, nr / 2, GFP_KERNEL, -EEXIST,
			      "medium");
	insert_expect_read(test, file, 0, max, 3);
	insert_expect_inserted(test, file, small, 2 * nr - 1);

	/* A large one over a small one, at its far end */
	large = insert_folio(test, file, max, 4);
	insert_expect_refused(test, file, large, nr, GFP_KERNEL, -EEXIST, "over");
	insert_expect_read(test, file, 2 * nr - 1, 0, 1);
	insert_expect_read(test, file, 0, max, 3);
}

static void insert_busy(struct kunit *test)
{
	unsigned int order, max = insert_max_order();
	struct file *file = insert_file(test, insert_always, 2UL << max);

	for (order = 0; order <= max; order += max ?: 1) {
		struct folio *folio = insert_folio(test, file, order, 1);

		folio_get(folio);
		insert_expect_refused(test, file, folio, 0, GFP_KERNEL, -EBUSY,
				      "reference");
		folio_put(folio);

		folio_lock(folio);
		insert_expect_refused(test, file, folio, 0, GFP_KERNEL, -EBUSY,
				      "locked");
		folio_unlock(folio);

		insert_expect_inserted(test, file, folio, 1UL << order);
		shmem_truncate_range(file_inode(file), 0, -1);
	}
}

static void insert_caller_bugs_warn_once(struct kunit *test)
{
	unsigned int order = insert_max_order();
	struct file *file = insert_file(test, insert_always, 4UL << order);
	struct folio *single, *folio;
	struct page *page;

	/* In another page cache, and in this one */
	folio = insert_folio(test, file, order, 1);
	insert_expect_inserted(test, file, folio, 1UL << order);
	lru_add_drain();
	insert_expect_misused(test, file, folio, "in this page cache");
	insert_expect_misused(test, insert_file(test, insert_always, 1UL << order),
			      folio, "in another page cache");

	/* On the LRU lists, as its flag says */
	single = insert_folio(test, file, 0, 2);
	folio_set_lru(single);
	insert_expect_misused(test, file, single, "on the LRU");
	folio_clear_lru(single);

	/* Mapped */
	atomic_inc(&single->_mapcount);
	insert_expect_misused(test, file, single, "mapped");
	atomic_dec(&single->_mapcount);
	if (order) {
		folio = insert_folio(test, file, order, 3);
		atomic_inc(&folio->_large_mapcount);
		insert_expect_misused(test, file, folio, "large and mapped");
		atomic_dec(&folio->_large_mapcount);
	}

	/* In a page cache, as it says itself */
	single->mapping = file->f_mapping;
	insert_expect_misused(test, file, single, "mapping set");
	single->mapping = NULL;

	/* Compound, but no folio */
	if (order) {
		page = alloc_pages(GFP_KERNEL | __GFP_COMP, 2);
		KUNIT_ASSERT_NOT_NULL(test, page);
		insert_expect_misused(test, file, page_folio(page), "hand-made");
		__free_pages(page, 2);
	}

	/* After all that it is as good as new. */
	insert_expect_inserted(test, file, single, 0);
	insert_expect_read(test, file, 0, 0, 2);
}

static void insert_private_set(struct kunit *test)
{
	struct file *file = insert_file(test, insert_always, 4);
	struct folio *folio = insert_folio(test, file, 0, 1);

	folio->private = (void *)1;
	insert_expect_refused(test, file, folio, 0, GFP_KERNEL, -EINVAL, "private");
	folio->private = NULL;
	insert_expect_inserted(test, file, folio, 0);
}

static void insert_not_shmem(struct kunit *test)
{
	struct file *file = insert_file(test, insert_always, 4);
	struct folio *folio = insert_folio(test, file, 0, 1);
	struct address_space mapping = { .host = file_inode(file) };
	struct file other = { .f_mapping = &mapping, .f_inode = file_inode(file) };

	insert_expect_refused(test, &other, folio, 0, GFP_KERNEL, -EINVAL,
			      "not shmem");
}

static void insert_mount_of_user_space(struct kunit *test)
{
	struct vfsmount *mnt = insert_test_mount(test, 0, NULL, NULL);
	unsigned int order = insert_max_order();
	struct file *file = insert_plain_file(test, mnt, PAGE_SIZE << order);
	struct folio *single = insert_folio(test, file, 0, 1);
	struct folio *large = insert_folio(test, file, order, 2);

	insert_expect_refused(test, file, single, 0, GFP_KERNEL, -EPERM, "single");
	insert_expect_refused(test, file, large, 0, GFP_KERNEL, -EPERM, "large");
}

/* Nothing else can be frozen or sealed. */
static void insert_refuses_memfd(struct kunit *test)
{
	struct file *file = insert_memfd(test, 4 * PAGE_SIZE);
	struct shmem_inode_info *info = SHMEM_I(file_inode(file));
	struct folio *folio = insert_folio(test, file, 0, 1);

	insert_expect_refused(test, file, folio, 0, GFP_KERNEL, -EPERM, "as it is");

	shmem_freeze(file_inode(file), true);
	insert_expect_refused(test, file, folio, 0, GFP_KERNEL, -EPERM, "frozen");
	shmem_freeze(file_inode(file), false);

	KUNIT_EXPECT_FALSE(test, info->seals & F_SEAL_SEAL);
	info->seals |= F_SEAL_WRITE;
	insert_expect_refused(test, file, folio, 0, GFP_KERNEL, -EPERM,
			      "F_SEAL_WRITE");
	info->seals = F_SEAL_FUTURE_WRITE;
	insert_expect_refused(test, file, folio, 0, GFP_KERNEL, -EPERM,
			      "F_SEAL_FUTURE_WRITE");
}

/* All of these are on a mount of the kernel's own. */
static void insert_refuses_shared_memory(struct kunit *test)
{
	struct file *file = insert_shared_memory(test, 4 * PAGE_SIZE);
	struct file *anonymous = insert_shared_anonymous(test, 4 * PAGE_SIZE);
	struct folio *folio = insert_folio(test, file, 0, 1);

	insert_expect_refused(test, file, folio, 0, GFP_KERNEL, -EPERM, "SysV");
	insert_expect_refused(test, anonymous, folio, 0, GFP_KERNEL, -EPERM,
			      "shared anonymous");
}

/* It is the file that was made for it, not its mount, and not the next file. */
static void insert_no_other_file(struct kunit *test)
{
	struct file *file = insert_file(test, insert_always, 4);
	struct file *before = insert_plain_file(test, insert_always, 4 * PAGE_SIZE);
	struct folio *folio = insert_folio(test, file, 0, 1);
	unsigned int tries;

	insert_expect_inserted(test, file, insert_folio(test, file, 0, 2), 0);
	insert_expect_refused(test, before, folio, 1, GFP_KERNEL, -EPERM,
			      "on the same mount");

	/* A new inode may well get the memory of one that is gone. */
	kunit_release_action(test, insert_close, file);
	for (tries = 0; tries < 64; tries++) {
		file = insert_plain_file(test, insert_always, 4 * PAGE_SIZE);
		insert_expect_refused(test, file, folio, 0, GFP_KERNEL, -EPERM,
				      "a later one");
	}
}

#ifdef INSERT_LOW_ZONE
static void insert_zone_above_mask(struct kunit *test)
{
	struct file *file = insert_file(test, insert_always, 4);
	struct folio *folio = insert_folio(test, file, 0, 1);
	enum zone_type zone = folio_zonenum(folio);

	mapping_set_gfp_mask(file->f_mapping, INSERT_LOW_GFP);

	/* A small machine has no such folio: lie about where this one is. */
	set_page_zone(&folio->page, INSERT_LOW_ZONE + 1);
	insert_expect_refused(test, file, folio, 0, GFP_KERNEL, -EINVAL, "zone");
	set_page_zone(&folio->page, zone);

	if (zone <= INSERT_LOW_ZONE)
		insert_expect_inserted(test, file, folio, 0);
}
#endif

#ifdef CONFIG_MEMORY_FAILURE
static void insert_hwpoison(struct kunit *test)
{
	unsigned int order, max = insert_max_order();
	struct file *file = insert_file(test, insert_always, 2UL << max);

	for (order = 0; order <= max; order += max ?: 1) {
		struct folio *folio = insert_folio(test, file, order, 1);
		unsigned long where[] = { 0, folio_nr_pages(folio) / 2,
					  folio_nr_pages(folio) - 1 };
		unsigned int i;

		for (i = 0; i < ARRAY_SIZE(where); i++) {
			struct page *page = folio_page(folio, where[i]);

			/* The first one of a system is counted later. */
			SetPageHWPoison(page);
			insert_expect_refused(test, file, folio, 0, GFP_KERNEL,
					      -EHWPOISON,
					      i ? i == 1 ? "middle" : "last" : "head");
			ClearPageHWPoison(page);
		}
		insert_expect_inserted(test, file, folio, 1UL << order);
		shmem_truncate_range(file_inode(file), 0, -1);
	}
}
#endif

/* The owner may have left flags behind that insertion itself sets. */
static void insert_flags_of_the_owner_survive(struct kunit *test)
{
	struct file *file = insert_file(test, insert_always, 4);
	struct folio *folio = insert_folio(test, file, 0, 1);
	unsigned int i;

	insert_expect_inserted(test, file, insert_folio(test, file, 0, 2), 0);

	for (i = 0; i < 8; i++) {
		if (i & 1)
			folio_mark_uptodate(folio);
		if (i & 2)
			folio_set_dirty(folio);
		if (i & 4)
			folio_set_referenced(folio);
		folio->index = i;
		insert_expect_refused(test, file, folio, 0, GFP_KERNEL, -EEXIST,
				      "flags");
		folio_clear_uptodate(folio);
		folio_clear_dirty(folio);
		folio_clear_referenced(folio);
		folio->index = 0;
	}
}

static void insert_mount_is_full(struct kunit *test)
{
	struct vfsmount *mnt = insert_test_mount(test, SB_KERNMOUNT, "nr_blocks",
						 "3");
	struct file *file = insert_file(test, mnt, 16);
	struct folio *folio;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		folio = insert_folio(test, file, 0, i);
		insert_expect_inserted(test, file, folio, i);
	}
	folio = insert_folio(test, file, 0, 9);
	insert_expect_refused(test, file, folio, 3, GFP_KERNEL, -ENOSPC, "full");
	/* There is room, but another folio is at the index. */
	shmem_truncate_range(file_inode(file), PAGE_SIZE, 2 * PAGE_SIZE - 1);
	insert_expect_refused(test, file, folio, 2, GFP_KERNEL, -EEXIST, "occupied");
	insert_expect_inserted(test, file, folio, 3);
	if (insert_max_order()) {
		folio = insert_folio(test, file, 2, 9);
		insert_expect_refused(test, file, folio, 8, GFP_KERNEL, -ENOSPC,
				      "full");
	}
}

#if defined(CONFIG_FAILSLAB) && defined(CONFIG_FAULT_INJECTION_DEBUG_FS)
/* Let this task have so many xarray nodes and not one more. */
static int insert_with_nodes(struct fault_attr *attr, unsigned int nodes,
			     struct kunit *test, struct file *file,
			     struct folio *folio, pgoff_t index)
{
	struct insert_state a, b;
	struct fault_attr old;
	int ret;

	insert_get_state(&a, file, folio, index);
	insert_start_faults(attr, &old, nodes * sizeof(struct xa_node) + 1);
	ret = shmem_insert_folio(file, folio, index, GFP_RECLAIM_INSERT);
	insert_stop_faults(attr, &old);
	insert_get_state(&b, file, folio, index);

	if (ret)
		insert_expect_same(test, &a, &b, "out of memory");

	return ret;
}

static void insert_no_memory_for_nodes(struct kunit *test)
{
	struct fault_attr *attr = insert_fault_attr("failslab");
	unsigned int order, max = insert_max_order();

	if (!attr)
		kunit_skip(test, "no failslab in debugfs");

	for (order = 0; order <= max; order += max ?: 1) {
		/* Four levels of nodes for single pages */
		pgoff_t index = round_down(XA_CHUNK_SIZE * XA_CHUNK_SIZE *
					   XA_CHUNK_SIZE * 2UL - 1, 1UL << order);
		unsigned int nodes, failed = 0;
		int ret = -ENOMEM;

		for (nodes = 0; ret && nodes < 16; nodes++) {
			/* Nodes that a failure leaves behind would be reused. */
			struct file *file = insert_file(test, insert_always,
							index + (1UL << order));
			struct folio *folio = insert_folio(test, file, order, 1);

			ret = insert_with_nodes(attr, nodes, test, file, folio,
						index);
			if (ret) {
				KUNIT_EXPECT_EQ(test, ret, -ENOMEM);
				KUNIT_EXPECT_TRUE(test, insert_intact(folio, 1));
				failed++;
				/* Memory is back: it works. */
				insert_expect_inserted(test, file, folio, index);
			}
			insert_expect_read(test, file, index, order, 1);
			kunit_release_action(test, insert_put, folio);
			kunit_release_action(test, insert_close, file);
		}
		KUNIT_EXPECT_EQ(test, ret, 0);
		/* Order 9 is an entry of the last level but one. */
		KUNIT_EXPECT_EQ_MSG(test, failed,
				    4 - order / XA_CHUNK_SHIFT,
				    "order %u", order);
	}
}
#endif

/*
 * Races
 */

/*
 * Accounting
 */

static void insert_counters_are_exact(struct kunit *test)
{
	unsigned int order, max = insert_max_order();

	for (order = 0; order <= max; order++) {
		long nr = 1L << order, base[4];
		static const enum node_stat_item items[] = {
			NR_SHMEM, NR_FILE_PAGES, NR_SHMEM_THPS, NR_INACTIVE_ANON,
		};
		struct file *file = insert_file(test, insert_always, nr);
		struct folio *folio = insert_folio(test, file, order, 1);
		struct inode *inode = file_inode(file);
		long committed = percpu_counter_sum(&vm_committed_as);
		unsigned int i;

		lru_add_drain_all();
		for (i = 0; i < ARRAY_SIZE(items); i++)
			base[i] = insert_node_stat(items[i]);

		insert_expect_inserted(test, file, folio, 0);
		lru_add_drain();

		for (i = 0; i < ARRAY_SIZE(items); i++) {
			long more = nr;

			if (items[i] == NR_SHMEM_THPS && !folio_test_pmd_mappable(folio))
				more = 0;
			KUNIT_EXPECT_EQ_MSG(test, insert_node_stat(items[i]) - base[i],
					    more, "counter %u, order %u", i, order);
		}
		KUNIT_EXPECT_EQ(test, inode->i_blocks, nr * (PAGE_SIZE / SECTOR_SIZE));
		KUNIT_EXPECT_EQ(test, SHMEM_I(inode)->alloced, nr);
		KUNIT_EXPECT_EQ(test, SHMEM_I(inode)->swapped, 0);
		KUNIT_EXPECT_EQ(test, file->f_mapping->nrpages, nr);
		KUNIT_EXPECT_EQ(test, percpu_counter_sum(&vm_committed_as) - committed,
				nr);

		kunit_release_action(test, insert_put, folio);
		shmem_truncate_range(inode, 0, -1);
		for (i = 0; i < ARRAY_SIZE(items); i++)
			KUNIT_EXPECT_EQ_MSG(test, insert_node_stat(items[i]), base[i],
					    "counter %u, order %u, at the end",
					    i, order);
		KUNIT_EXPECT_EQ(test, inode->i_blocks, 0);
		KUNIT_EXPECT_EQ(test, SHMEM_I(inode)->alloced, 0);
		KUNIT_EXPECT_EQ(test, percpu_counter_sum(&vm_committed_as), committed);
	}
}

static void insert_allocates_nodes_only(struct kunit *test)
{
	unsigned int i, round, order = insert_2mib_order();
	pgoff_t nr = 1UL << order;
	long least = LONG_MAX;

	/* The rest of the system allocates, too, but not all the time. */
	for (round = 0; round < 8 && least; round++) {
		struct file *file = insert_file(test, insert_always, 16 * nr);
		struct folio *folio[16];
		long before;
		int ret = 0;

		for (i = 0; i < ARRAY_SIZE(folio); i++)
			folio[i] = insert_folio(test, file, order, 1);

		before = insert_pages_allocated();
		for (i = 0; i < ARRAY_SIZE(folio); i++)
			ret = ret ?: shmem_insert_folio(file, folio[i], i * nr,
							GFP_RECLAIM_INSERT);
		least = min(least, insert_pages_allocated() - before);

		KUNIT_ASSERT_EQ(test, ret, 0);
		for (i = 0; i < ARRAY_SIZE(folio); i++)
			kunit_release_action(test, insert_put, folio[i]);
		kunit_release_action(test, insert_close, file);
	}

	KUNIT_EXPECT_EQ(test, least, 0);
}

static void insert_on_the_lru(struct kunit *test)
{
	unsigned int order, max = insert_max_order();
	struct file *file = insert_file(test, insert_always, 2UL << max);

	for (order = 0; order <= max; order++) {
		struct folio *folio = insert_folio(test, file, order, 1);

		insert_expect_inserted(test, file, folio, 1UL << max);
		/* Only single pages are batched. */
		if (!order)
			lru_add_drain();
		KUNIT_EXPECT_TRUE(test, folio_test_lru(folio));
		KUNIT_EXPECT_TRUE(test, folio_evictable(folio));
		KUNIT_EXPECT_EQ(test, folio_lru_list(folio), LRU_INACTIVE_ANON);
		KUNIT_ASSERT_TRUE(test, folio_isolate_lru(folio));
		folio_putback_lru(folio);

		kunit_release_action(test, insert_put, folio);
		shmem_truncate_range(file_inode(file), 0, -1);
	}
}

static struct kunit_case insert_cases[] = {
	KUNIT_CASE_SLOW(insert_all_orders_keep_bytes),
	KUNIT_CASE(insert_order_above_max),
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	KUNIT_CASE(insert_never_on_shm_mnt),
	KUNIT_CASE(insert_denied_at_run_time),
	KUNIT_CASE(insert_hardware_without_thp),
#else
	KUNIT_CASE(insert_kernel_without_thp),
#endif
	KUNIT_CASE(insert_misaligned),
	KUNIT_CASE(insert_past_or_across_the_end),
	KUNIT_CASE(insert_last_chunk_fits),
	KUNIT_CASE(insert_occupied_by_folio),
	KUNIT_CASE(insert_partial_overlap),
	KUNIT_CASE(insert_busy),
	KUNIT_CASE(insert_caller_bugs_warn_once),
	KUNIT_CASE(insert_private_set),
	KUNIT_CASE(insert_not_shmem),
	KUNIT_CASE(insert_mount_of_user_space),
	KUNIT_CASE(insert_refuses_memfd),
	KUNIT_CASE(insert_refuses_shared_memory),
	KUNIT_CASE(insert_no_other_file),
#ifdef INSERT_LOW_ZONE
	KUNIT_CASE(insert_zone_above_mask),
#endif
#ifdef CONFIG_MEMORY_FAILURE
	KUNIT_CASE(insert_hwpoison),
#endif
	KUNIT_CASE(insert_flags_of_the_owner_survive),
	KUNIT_CASE(insert_mount_is_full),
#if defined(CONFIG_FAILSLAB) && defined(CONFIG_FAULT_INJECTION_DEBUG_FS)
	KUNIT_CASE(insert_no_memory_for_nodes),
#endif
	KUNIT_CASE(insert_counters_are_exact),
	KUNIT_CASE_SLOW(insert_allocates_nodes_only),
	KUNIT_CASE(insert_on_the_lru),
	KUNIT_CASE(insert_noswap_is_resident_and_readable),
	{}
};

static struct kunit_suite insert_suite = {
	.name = "shmem_insert",
	.suite_init = insert_suite_init,
	.suite_exit = insert_suite_exit,
	.test_cases = insert_cases,
};

kunit_test_suite(insert_suite);
