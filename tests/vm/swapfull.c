// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Swap that is full, or so nearly full that nothing can be written out. */

#include <sys/mman.h>

#include "fixture.h"

/* What is left when swap is "nearly full": less than any test's buffer. */
#define SPARE	(1 * MiB)

/*
 * Use up swap until no more than the spare is left. The pages hold one
 * repeated word, of which zram keeps no copy, so it is swap that fills, not
 * the memory under it.
 */
static uint8_t *swap_hog(uint64_t spare, uint64_t *len)
{
	uint64_t free = meminfo_kib("SwapFree") * KiB, at, chunk = 4 * MiB;
	uint8_t *hog;

	*len = free + 64 * MiB;
	hog = mmap(NULL, *len, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (hog == MAP_FAILED) {
		FAIL("mmap of %" PRIu64 " bytes: %s", *len, strerror(errno));
		return NULL;
	}
	madvise(hog, *len, MADV_NOHUGEPAGE);
	for (at = 0; at < *len; at += chunk) {
		uint64_t p;

		free = meminfo_kib("SwapFree") * KiB;
		if (free <= spare)
			return hog;
		chunk = free - spare < 4 * MiB ? free - spare : 4 * MiB;
		if (at + chunk > *len)
			break;
		for (p = 0; p < chunk; p += PAGE)
			memset(hog + at + p, 0xa5, PAGE);
		if (madvise(hog + at, chunk, MADV_PAGEOUT)) {
			FAIL("MADV_PAGEOUT: %s", strerror(errno));
			return NULL;
		}
		writeback_settle();
	}
	FAIL("%" PRIu64 " KiB of swap still free", meminfo_kib("SwapFree"));
	return NULL;
}

static void stays_resident(bool writeback)
{
	uint64_t shmem, pages = PAGES(8 * MiB), len, in;
	struct backup_counters then, c;
	uint32_t caching;
	struct gpu g;
	struct bo b[3];
	uint8_t *hog;

	ASSERT(gpu_open(&g));
	for (caching = 0; caching < ARRAY_LEN(b); caching++)
		ASSERT(bo_new(&g, &b[caching], 8 * MiB, caching, caching + 1));
	hog = swap_hog(SPARE, &len);
	ASSERT(hog);
	shmem = vmstat("nr_shmem");
	in = vmstat("pswpin");
	backup_counters(&then);
	for (caching = 0; caching < ARRAY_LEN(b); caching++) {
		/* What there is of swap may be used up by the first. */
		if (!meminfo_kib("SwapFree"))
			break;
		ASSERT(bo_backup(&g, &b[caching], writeback));
		EXPECT(bo_check_where(&g, &b[caching], 0, pages, pages));
	}
	EXPECT_GT(caching, 0);
	backup_counters_since(&then, &c);
	EXPECT_EQ(c.inserted, caching * pages);
	EXPECT_EQ(c.copied, 0);
	writeback_settle();
	/* what found no room in swap is in memory */
	EXPECT_GE(vmstat("nr_shmem") - shmem + SPARE / PAGE, caching * pages);
	if (!writeback)
		EXPECT_EQ(vmstat("nr_shmem") - shmem, caching * pages);
	for (caching = 0; caching < ARRAY_LEN(b); caching++) {
		EXPECT(bo_check_map(&b[caching]));
		EXPECT(bo_check_engine(&g, &b[caching]));
	}
	if (!writeback)
		EXPECT_EQ(vmstat("pswpin") - in, 0);
	munmap(hog, len);
}

static void nearly_full(void)
{
	stays_resident(false);
}

static void nearly_full_writeback(void)
{
	stays_resident(true);
}

/* Not a page of swap left: backing up would only move memory about. */
static void full(void)
{
	uint64_t len;
	struct gpu g;
	struct bo b;
	uint8_t *hog;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, 4 * MiB, DRM_VTTM_WC, 1));
	hog = swap_hog(0, &len);
	ASSERT(hog);
	EXPECT_EQ(meminfo_kib("SwapFree"), 0);
	EXPECT(vttm_shrink(g.minor, PAGES(b.size), false, NULL) < 0);
	EXPECT(bo_check_where(&g, &b, PAGES(b.size), 0, 0));
	EXPECT(bo_check_map(&b));
	munmap(hog, len);
	/* and with room again it works */
	ASSERT(bo_backup(&g, &b, false));
	EXPECT(bo_check_map(&b));
}

/*
 * Where swap has no room for them, writing starts on none of them: to be split for
 * the sake of a single page is no good to anybody. They come back as they went.
 */
static void not_split(void)
{
	static struct bo b[40];
	uint64_t pages = ARRAY_LEN(b) * PMD_PAGES, len, split, fallback;
	struct backup_counters then, c;
	unsigned int i;
	struct gpu g;
	uint8_t *hog;

	ASSERT(gpu_open(&g));
	for (i = 0; i < ARRAY_LEN(b); i++)
		ASSERT(bo_new(&g, &b[i], 2 * MiB, DRM_VTTM_CACHED, i + 1));
	hog = swap_hog(SPARE, &len);
	ASSERT(hog);
	EXPECT_GT(meminfo_kib("SwapFree"), 0);
	split = vmstat("thp_split_page");
	fallback = vmstat("thp_swpout_fallback");
	backup_counters(&then);
	for (i = 0; i < ARRAY_LEN(b); i++)
		ASSERT(bo_backup(&g, &b[i], true));
	backup_counters_since(&then, &c);
	EXPECT_EQ(c.order[PMD_NR], ARRAY_LEN(b));
	EXPECT_EQ(c.copied, 0);
	writeback_settle();
	EXPECT_EQ(vmstat("thp_split_page") - split, 0);
	EXPECT_EQ(vmstat("thp_swpout_fallback") - fallback, 0);
	for (i = 0; i < ARRAY_LEN(b); i++) {
		EXPECT(bo_check_map(&b[i]));
		EXPECT(bo_check_engine(&g, &b[i]));
	}
	backup_counters_since(&then, &c);
	EXPECT_EQ(c.restored_extracted, pages);
	EXPECT_EQ(c.restored_copied, 0);
	munmap(hog, len);
}

static const struct test tests[] = {
	{ "c27_swap_full_inserts_and_stays_resident", nearly_full },
	{ "c27_swap_full_with_writeback", nearly_full_writeback },
	{ "c78_not_split_for_nothing", not_split },
	{ "c59_no_backup_with_swap_used_up", full },
};

int main(void)
{
	return ktap_run(tests, ARRAY_LEN(tests));
}
