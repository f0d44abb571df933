// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of where the folios lie that shmem_extract_folio() gives out: on which node,
 * in which zone, and among which other pages.
 *
 * They need memory, some of it above 4 GiB.
 */

#include <kunit/test.h>
#include <linux/memory-tiers.h>
#include <linux/migrate.h>
#include <linux/mm.h>

#include "shmem_insert_kunit.h"
#include "../page_alloc.h"

static void extract_movable_block(struct kunit *test)
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
static void extract_movable_zone(struct kunit *test)
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
static void extract_demoted(struct kunit *test)
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

/* A caller that does not ask for a node accepts any of the fast ones. */
static void extract_any_node(struct kunit *test)
{
	unsigned int order, max = insert_max_order();
	struct file *file = extract_file(test, insert_always, 1UL << max);
	int nid;

	for_each_node_state(nid, N_MEMORY) {
		if (!node_is_toptier(nid))
			continue;
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

static void extract_wrong_node(struct kunit *test)
{
	unsigned int order, max = insert_max_order();
	struct file *file = extract_file(test, insert_always, 1UL << max);

	for (order = 0; order <= max; order += max ?: 1) {
		struct folio *folio = extract_insert(test, file, order, 0, 1);
		int nid = folio_nid(folio);

		if (order) {
			extract_expect_refused(test, file, folio, 0, order,
					       extract_other_node(folio), EXTRACT_GFP,
					       -EXDEV, "another node");
			insert_expect_read(test, file, 0, order, 1);
		}
		folio = shmem_extract_folio(file, 0, order, nid, EXTRACT_GFP);
		KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
		folio_put(folio);
	}
}

/* Single pages may be from elsewhere. */
static void extract_pages_of_any_node(struct kunit *test)
{
	struct file *file = extract_file(test, insert_always, 1);
	struct folio *inserted = extract_insert(test, file, 0, 0, 1), *folio;

	folio = shmem_extract_folio(file, 0, 0, extract_other_node(inserted), EXTRACT_GFP);
	KUNIT_ASSERT_PTR_EQ(test, folio, inserted);
	folio_put(folio);
}

#ifdef INSERT_LOW_ZONE
static void extract_wrong_zone(struct kunit *test)
{
	unsigned int order, max = insert_max_order();
	struct file *file = extract_file(test, insert_always, 2UL << max);

	for (order = 0; order <= max; order += max ?: 1) {
		pgoff_t nr = 1UL << order;
		struct folio *folio = extract_insert(test, file, order, 0, 1), *low;

		if (folio_zonenum(folio) <= INSERT_LOW_ZONE)
			kunit_skip(test, "needs memory above the low zone");
		extract_expect_refused(test, file, folio, 0, order, NUMA_NO_NODE,
				       INSERT_LOW_GFP, -EXDEV, "too high");
		insert_expect_read(test, file, 0, order, 1);
		extract_ok(test, file, 0, order, EXTRACT_GFP);

		low = shmem_alloc_detached_folio(file, order, NUMA_NO_NODE,
						 INSERT_LOW_GFP);
		KUNIT_ASSERT_NOT_NULL(test, low);
		KUNIT_ASSERT_EQ(test, 0,
				kunit_add_action_or_reset(test, insert_put, low));
		insert_expect_inserted(test, file, low, nr);
		kunit_release_action(test, insert_put, low);
		KUNIT_EXPECT_PTR_EQ(test, low,
				    extract_ok(test, file, nr, order, INSERT_LOW_GFP));
	}
}
#endif

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
/* Huge folios are grouped by mobility, and bound to a node, as the mask says. */
static void extract_huge_gfp(struct kunit *test)
{
	static const gfp_t masks[] = {
		GFP_HIGHUSER | __GFP_RECLAIMABLE, GFP_HIGHUSER, GFP_HIGHUSER_MOVABLE,
		GFP_KERNEL | GFP_DMA32 | __GFP_RECLAIMABLE,
		GFP_HIGHUSER | __GFP_RECLAIMABLE | __GFP_THISNODE,
	};
	const gfp_t place = __GFP_RECLAIMABLE | __GFP_MOVABLE | __GFP_THISNODE;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(masks); i++) {
		gfp_t gfp = thp_shmem_limit_gfp_mask(vma_thp_gfp_mask(NULL), masks[i]);

		KUNIT_EXPECT_EQ_MSG(test, (__force unsigned int)(gfp & place),
				    (__force unsigned int)(masks[i] & place),
				    "mask %u", i);
		KUNIT_EXPECT_EQ_MSG(test, (unsigned int)gfp_zone(gfp),
				    (unsigned int)gfp_zone(masks[i]), "mask %u", i);
		KUNIT_EXPECT_TRUE_MSG(test, gfp & __GFP_COMP, "mask %u", i);
	}
}

/* Folios that the file allocates by itself, as for a copy */
static void extract_huge_blocks(struct kunit *test)
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

static struct kunit_case place_cases[] = {
	KUNIT_CASE(extract_movable_block),
	KUNIT_CASE(extract_movable_zone),
	KUNIT_CASE(extract_wrong_node),
	KUNIT_CASE(extract_pages_of_any_node),
#ifdef CONFIG_NUMA
	KUNIT_CASE(extract_demoted),
	KUNIT_CASE(extract_any_node),
#endif
#ifdef INSERT_LOW_ZONE
	KUNIT_CASE(extract_wrong_zone),
#endif
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	KUNIT_CASE(extract_huge_gfp),
	KUNIT_CASE(extract_huge_blocks),
#endif
	{}
};

static struct kunit_suite place_suite = {
	.name = "shmem_extract_place",
	.suite_init = insert_suite_init,
	.suite_exit = insert_suite_exit,
	.test_cases = place_cases,
};

kunit_test_suite(place_suite);
