// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Swap behind zswap, which has single pages only: whatever it has of a buffer, and
 * whether it is on or off meanwhile, nothing is copied back for lack of another
 * way, and what it has no part of comes back whole. Single pages are merged, since
 * there is memory for that.
 */

#include <sys/mman.h>

#include "fixture.h"

#define PARAMETERS	"/sys/module/zswap/parameters/"
#define THP_ENABLED	"/sys/kernel/mm/transparent_hugepage/hugepages-2048kB/enabled"
#define GROUP		"zswap-only"
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

/* each of another byte and number, so that no two are stored as one */
static void compressible_page(uint8_t *page, uint64_t nr)
{
	memset(page, (int)(nr % 255), PAGE);
	*(uint64_t *)page = nr;
}

static void fill_but_one(uint8_t *huge, uint64_t nr)
{
	uint64_t i, state = nr + 1;

	for (i = 0; i < PMD_PAGES; i++)
		compressible_page(huge + i * PAGE, nr + i);
	for (i = 1; i < PAGE / 8; i++)
		((uint64_t *)huge)[i] = xorshift(&state);
}

static void without_writeback(void *arg)
{
	uint64_t out, i, wrong = 0;
	uint8_t *map, page[PAGE];

	(void)arg;
	ASSERT_OK(cg_enter(GROUP));
	map = mmap(NULL, SIZE + 2 * MiB, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT(map != MAP_FAILED);
	map += -(uintptr_t)map & (2 * MiB - 1);
	out = vmstat("thp_fault_alloc");
	for (i = 0; i < PAGES(SIZE); i += PMD_PAGES)
		fill_but_one(map + i * PAGE, i);
	ASSERT_EQ(vmstat("thp_fault_alloc") - out, SIZE / (2 * MiB));

	out = vmstat("zswpout");
	ASSERT(!madvise(map, SIZE, MADV_PAGEOUT));
	out = vmstat("zswpout") - out;
	test_note("%" PRIu64 " of %" PRIu64 " pages went to zswap", out, PAGES(SIZE));
	EXPECT_EQ(out, PAGES(SIZE) - SIZE / (2 * MiB));

	for (i = 0; i < PAGES(SIZE); i++) {
		if (!(i % PMD_PAGES))
			continue;
		compressible_page(page, i);
		wrong += !!memcmp(page, map + i * PAGE, PAGE);
	}
	EXPECT_EQ(wrong, 0);
}

/*
 * Where the owner has turned writeback off, what zswap does not take stays in memory:
 * the page that does not compress, and not the huge page that it is in.
 */
static void only_zswap(void)
{
	ASSERT_OK(write_file(THP_ENABLED, "always"));
	ASSERT_OK(cg_create(GROUP));
	ASSERT_OK(cg_write(GROUP, "memory.zswap.writeback", "0"));
	ASSERT(zswap_set("enabled", "Y"));
	EXPECT(ktap_child(without_writeback, NULL));
	zswap_set("enabled", "N");
	EXPECT_OK(cg_remove(GROUP));
	EXPECT_OK(write_file(THP_ENABLED, "never"));
}

static const struct test tests[] = {
	/* from a swap file, as on a block device it does not hold */
	{ "c118_zswap_only_takes_single_pages", only_zswap },
	{ "c87_zswap_has_it", on },
	{ "c87_zswap_has_it_and_is_turned_off", turned_off },
	{ "c87_zswap_is_turned_on_later", turned_on },
	{ "c87_zswap_has_been_on", off_again },
	{ "c87_zswap_gets_full", gets_full },
};

int main(void)
{
	unsigned int first;

	mount_all();
	first = swap_kind() == SWAP_FILE ? 0 : 1;
	return ktap_run(tests + first, ARRAY_LEN(tests) - first);
}
