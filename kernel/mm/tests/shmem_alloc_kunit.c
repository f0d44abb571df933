// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of shmem_insert_orders() and shmem_alloc_detached_folio(): the folios that
 * there are to be inserted.
 */

#include <kunit/test.h>
#include <linux/migrate.h>
#include <linux/mm.h>

#include "shmem_insert_kunit.h"
#include "../page_alloc.h"

static void insert_orders_follow_the_size(struct kunit *test)
{
	unsigned int max = insert_max_order();
	unsigned long all = GENMASK(max, 0);
	struct file *file;

	/* The highest order in the page cache, but not more than a PMD maps */
	KUNIT_EXPECT_LE(test, max, MAX_PAGECACHE_ORDER);
	file = insert_file(test, insert_always, 1);
	KUNIT_EXPECT_EQ(test, shmem_insert_orders(file, 0), all);

	file = insert_file(test, insert_within, 1);
	KUNIT_EXPECT_EQ(test, shmem_insert_orders(file, 0), BIT(0));

	file = insert_file(test, insert_within, 1UL << max);
	KUNIT_EXPECT_EQ(test, shmem_insert_orders(file, 0), all);
	KUNIT_EXPECT_EQ(test, shmem_insert_orders(file, (1UL << max) - 1), all);
	KUNIT_EXPECT_EQ(test, shmem_insert_orders(file, 1UL << max), BIT(0));

	if (max < 2)
		return;
	file = insert_file(test, insert_within, (1UL << max) - 1);
	KUNIT_EXPECT_EQ(test, shmem_insert_orders(file, 0), all & ~BIT(max));
	file = insert_file(test, insert_within, 4);
	KUNIT_EXPECT_EQ(test, shmem_insert_orders(file, 0), GENMASK(2, 0));
}

static void insert_alloc_refuses_bad_orders(struct kunit *test)
{
	struct file *file = insert_file(test, insert_always, 4096);
	struct file *small = insert_file(test, insert_within, 4);
	unsigned int order;

	for (order = insert_max_order() + 1; order < 70; order++)
		KUNIT_EXPECT_NULL(test, shmem_alloc_detached_folio(file, order,
								   NUMA_NO_NODE,
								   GFP_KERNEL));
	KUNIT_EXPECT_NULL(test, shmem_alloc_detached_folio(file, UINT_MAX,
							   NUMA_NO_NODE,
							   GFP_KERNEL));
	KUNIT_EXPECT_NULL(test, shmem_alloc_detached_folio(small, 3, NUMA_NO_NODE,
							   GFP_KERNEL));
}

static void insert_alloc_gives_fresh_folios(struct kunit *test)
{
	struct file *file = insert_file(test, insert_always, 4);
	unsigned int order, max = insert_max_order();
	const unsigned long none = BIT(PG_locked) | BIT(PG_referenced) |
		BIT(PG_uptodate) | BIT(PG_dirty) | BIT(PG_lru) | BIT(PG_active) |
		BIT(PG_swapbacked) | BIT(PG_unevictable) | BIT(PG_private) |
		BIT(PG_writeback);

	for (order = 0; order <= max; order++) {
		struct folio *folio = insert_folio(test, file, order, 1);

		KUNIT_EXPECT_EQ(test, folio_order(folio), order);
		KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
		KUNIT_EXPECT_EQ(test, folio->flags.f & none, 0);
		KUNIT_EXPECT_NULL(test, folio->mapping);
		KUNIT_EXPECT_NULL(test, folio->private);
		KUNIT_EXPECT_FALSE(test, folio_mapped(folio));
		KUNIT_EXPECT_FALSE(test, folio_memcg_charged(folio));
		if (order)
			KUNIT_EXPECT_TRUE(test, folio_test_large_rmappable(folio));
		/* Its owner has to be able to free it, too. */
		kunit_release_action(test, insert_put, folio);
	}
}

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
static unsigned long insert_mthp_stat(int order, enum mthp_stat_item item)
{
	unsigned long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += per_cpu(mthp_stats, cpu).stats[order][item];

	return sum;
}

/* Once when it is allocated, and not whenever it gets into a file. */
static void insert_alloc_is_counted(struct kunit *test)
{
	unsigned int order, max = insert_max_order();
	struct file *file = insert_file(test, insert_always, 1UL << max);

	for (order = 1; order <= max; order++) {
		unsigned long huge = insert_vm_events(THP_FILE_ALLOC, THP_FILE_ALLOC);
		unsigned long before = insert_mthp_stat(order, MTHP_STAT_SHMEM_ALLOC);
		struct folio *folio = insert_folio(test, file, order, 1);

		insert_expect_inserted(test, file, folio, 0);
		KUNIT_EXPECT_EQ(test, insert_mthp_stat(order, MTHP_STAT_SHMEM_ALLOC),
				before + 1);
		KUNIT_EXPECT_EQ(test, insert_vm_events(THP_FILE_ALLOC, THP_FILE_ALLOC),
				huge + folio_test_pmd_mappable(folio));
		kunit_release_action(test, insert_put, folio);
		shmem_truncate_range(file_inode(file), 0, -1);
	}
}
#endif

static void insert_alloc_honours_flags(struct kunit *test)
{
	struct file *file = insert_file(test, insert_always, 4);
	struct folio *folio;
	u64 *p;
	size_t i;
	int set = 0;

	/* __GFP_ACCOUNT would charge a memcg that has nothing to do with it. */
	folio = shmem_alloc_detached_folio(file, 0, 0, GFP_KERNEL | __GFP_ZERO |
					   __GFP_ACCOUNT | __GFP_THISNODE);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	KUNIT_EXPECT_EQ(test, folio_nid(folio), 0);
	KUNIT_EXPECT_FALSE(test, folio_memcg_charged(folio));
	p = kmap_local_folio(folio, 0);
	for (i = 0; i < PAGE_SIZE / sizeof(*p); i++)
		set += p[i] != 0;
	kunmap_local(p);
	KUNIT_EXPECT_EQ(test, set, 0);
	folio_put(folio);
}

static void insert_alloc_is_not_movable(struct kunit *test)
{
	struct file *file = insert_file(test, insert_always, 4);
	unsigned int order, max = insert_max_order();

	for (order = 0; order <= max; order++) {
		struct folio *folio;
		int type;

		/* Even if asked to. */
		folio = shmem_alloc_detached_folio(file, order, NUMA_NO_NODE,
						   GFP_HIGHUSER_MOVABLE);
		KUNIT_ASSERT_NOT_NULL(test, folio);
		type = get_pageblock_migratetype(&folio->page);
		KUNIT_EXPECT_NE(test, folio_zonenum(folio), ZONE_MOVABLE);
		KUNIT_EXPECT_FALSE(test, is_migrate_cma(type));
		/* A block as a whole changes its type with its use. */
		if (order >= pageblock_order && !page_group_by_mobility_disabled)
			KUNIT_EXPECT_EQ(test, type, MIGRATE_RECLAIMABLE);
		folio_put(folio);
	}
}

#ifdef INSERT_LOW_ZONE
static void insert_alloc_lowers_the_zone(struct kunit *test)
{
	struct file *file = insert_file(test, insert_always, 4);
	struct folio *high, *low;

	high = shmem_alloc_detached_folio(file, 0, NUMA_NO_NODE, GFP_HIGHUSER);
	KUNIT_ASSERT_NOT_NULL(test, high);
	mapping_set_gfp_mask(file->f_mapping, INSERT_LOW_GFP);
	low = shmem_alloc_detached_folio(file, 0, NUMA_NO_NODE, GFP_HIGHUSER);

	if (low)
		KUNIT_EXPECT_LE(test, folio_zonenum(low), INSERT_LOW_ZONE);
	KUNIT_EXPECT_NOT_NULL(test, low);
	if (low)
		folio_put(low);
	folio_put(high);

	if (folio_zonenum(high) <= INSERT_LOW_ZONE)
		kunit_skip(test, "needs memory above the low zone");
}
#endif

static struct kunit_case alloc_cases[] = {
	KUNIT_CASE(insert_orders_follow_the_size),
	KUNIT_CASE(insert_alloc_refuses_bad_orders),
	KUNIT_CASE(insert_alloc_gives_fresh_folios),
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	KUNIT_CASE(insert_alloc_is_counted),
#endif
	KUNIT_CASE(insert_alloc_honours_flags),
	KUNIT_CASE(insert_alloc_is_not_movable),
#ifdef INSERT_LOW_ZONE
	KUNIT_CASE(insert_alloc_lowers_the_zone),
#endif
	{}
};

static struct kunit_suite alloc_suite = {
	.name = "shmem_insert_alloc",
	.suite_init = insert_suite_init,
	.suite_exit = insert_suite_exit,
	.test_cases = alloc_cases,
};

kunit_test_suite(alloc_suite);
