// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Swap behind zswap, which has single pages only: whatever it has of a buffer, and
 * whether it is on or off meanwhile, nothing is copied back for lack of another
 * way, and what it has no part of comes back whole. Single pages are merged, since
 * there is memory for that.
 */

#include "fixture.h"

#define PARAMETERS	"/sys/module/zswap/parameters/"
#define SIZE		(8 * MiB)

static bool zswap_set(const char *name, const char *value)
{
	char path[128];
	int ret;

	snprintf(path, sizeof(path), PARAMETERS "%s", name);
	ret = write_file(path, "%s", value);
	if (ret)
		FAIL("%s: %s", path, strerror(-ret));
	return !ret;
}

/* What came back since then, of which so many pages from zswap, and the bytes */
static void expect_back(const struct gpu *g, const struct bo *b, bool whole)
{
	uint64_t pages = PAGES(b->size), huge = stat_2mib("swpin"), in = vmstat("zswpin");
	struct backup_counters then, c;

	backup_counters(&then);
	EXPECT(bo_check_map(b));
	backup_counters_since(&then, &c);
	EXPECT_EQ(c.restored_extracted, whole ? pages : 0);
	EXPECT_EQ(c.restored_merged, whole ? 0 : pages);
	EXPECT_EQ(c.restored_copied + c.restored_adopted, 0);
	huge = stat_2mib("swpin") - huge;
	in = vmstat("zswpin") - in;
	if (whole) {
		EXPECT_EQ(huge, pages / PMD_PAGES);
		EXPECT_EQ(in, 0);
	} else {
		EXPECT_EQ(huge, 0);
		EXPECT_GE(in, pages);
	}
	EXPECT(bo_check_engine(g, b));
	EXPECT(bo_check_where(g, b, pages, 0, 0));
}

/* Swapped out with zswap in one state, and back with it in another */
static void swapped(const char *out, const char *in, bool whole)
{
	struct level level;
	uint32_t caching;
	struct gpu g;
	struct bo b;

	ASSERT(reclaim_prepare());
	ASSERT(gpu_open(&g));
	for (caching = DRM_VTTM_CACHED; caching <= DRM_VTTM_WC; caching++) {
		ASSERT(bo_new(&g, &b, SIZE, caching, caching + 1));
		level_get(&level);
		ASSERT(zswap_set("enabled", out));
		ASSERT(bo_swap_out(&g, &b));
		ASSERT(zswap_set("enabled", in));
		expect_back(&g, &b, whole);
		EXPECT(level_is(&level));
		bo_free(&g, &b);
		pools_drain();
	}
	zswap_set("enabled", "N");
}

static void on(void)
{
	swapped("Y", "Y", false);
}

static void turned_off(void)
{
	swapped("Y", "N", false);
}

static void turned_on(void)
{
	swapped("N", "Y", true);
}

/* It has been on, or the tests above did nothing */
static void off_again(void)
{
	EXPECT_GT(vmstat("zswpout"), 0);
	swapped("N", "N", true);
}

/*
 * zswap gets full and refuses the rest, so some chunks are in zswap and some are not.
 * It may also write back some of what it has, but has not been seen to do so here.
 */
static void gets_full(void)
{
	uint64_t wb = vmstat("zswpwb"), out = vmstat("zswpout"), huge, in;
	struct backup_counters then, c;
	struct level level;
	struct bo b[6];
	uint64_t pages;
	struct gpu g;
	unsigned int i;

	ASSERT(reclaim_prepare());
	ASSERT(gpu_open(&g));
	for (i = 0; i < ARRAY_LEN(b); i++)
		ASSERT(bo_new(&g, &b[i], SIZE, i % 2, i + 1));
	level_get(&level);
	/* 5 MiB: much less than all of them take when compressed */
	ASSERT(zswap_set("max_pool_percent", "1"));
	ASSERT(zswap_set("enabled", "Y"));
	for (i = 0; i < ARRAY_LEN(b); i++)
		ASSERT(bo_backup(&g, &b[i], true));
	reclaim_all();
	out = vmstat("zswpout") - out;
	wb = vmstat("zswpwb") - wb;
	test_note("%" PRIu64 " pages went to zswap, %" PRIu64 " of them on to the disk",
		  out, wb);
	pages = ARRAY_LEN(b) * PAGES(SIZE);
	EXPECT_GE(swap_used_pages() + SWAP_OTHERS, level.swap + pages);
	EXPECT_GT(out, 0);
	EXPECT_LE(out, pages - 1);
	huge = stat_2mib("swpin");
	in = vmstat("zswpin");
	backup_counters(&then);
	for (i = 0; i < ARRAY_LEN(b); i++) {
		EXPECT(bo_check_map(&b[i]));
		EXPECT(bo_check_engine(&g, &b[i]));
	}
	backup_counters_since(&then, &c);
	EXPECT_EQ(c.restored_extracted + c.restored_merged, pages);
	EXPECT_GT(c.restored_extracted, 0);
	EXPECT_GT(c.restored_merged, 0);
	EXPECT_EQ(c.restored_copied, 0);
	EXPECT_GT(stat_2mib("swpin"), huge);
	EXPECT_GT(vmstat("zswpin"), in);
	EXPECT(level_is(&level));
	for (i = 0; i < ARRAY_LEN(b); i++)
		bo_free(&g, &b[i]);
	zswap_set("enabled", "N");
	zswap_set("max_pool_percent", "20");
}

static const struct test tests[] = {
	{ "c87_zswap_has_it", on },
	{ "c87_zswap_has_it_and_is_turned_off", turned_off },
	{ "c87_zswap_is_turned_on_later", turned_on },
	{ "c87_zswap_has_been_on", off_again },
	{ "c87_zswap_gets_full", gets_full },
};

int main(void)
{
	mount_all();
	return ktap_run(tests, ARRAY_LEN(tests));
}
