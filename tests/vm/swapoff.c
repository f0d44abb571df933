// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Swap taken away while buffers are backed up in it. */

#include "fixture.h"

/* Shmem that is in use when all of it is in memory */
static bool shmem_all(const struct swap_list *swaps, uint64_t *pages)
{
	int ret = swap_all_off(swaps, 300);

	*pages = vmstat("nr_shmem");
	if (!ret)
		ret = swap_all_on(swaps);
	if (ret)
		FAIL("swapoff, swapon: %s", strerror(-ret));
	return !ret;
}

/* Chunks large and small, in every caching, out in swap. */
static bool out_in_swap(const struct gpu *g, struct bo *b, unsigned int nr)
{
	uint64_t used = swap_used_pages(), pages = 0;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (!bo_new(g, &b[i], i & 1 ? 6 * MiB : 4 * MiB + 9 * PAGE,
			    i % 3, i + 1))
			return false;
		pages += PAGES(b[i].size);
	}
	for (i = 0; i < nr; i++)
		if (!bo_backup(g, &b[i], true))
			return false;
	reclaim_all();
	if (swap_used_pages() - used + SWAP_OTHERS >= pages)
		return true;
	FAIL("%" PRIu64 " of %" PRIu64 " pages are in swap",
	     swap_used_pages() - used, pages);
	return false;
}

static void swapoff_keeps(void)
{
	struct swap_list swaps;
	uint64_t in, pages = 0, shmem;
	struct gpu g;
	struct bo b[6];
	unsigned int i;

	ASSERT(reclaim_prepare());
	ASSERT(gpu_open(&g));
	swap_list(&swaps);
	ASSERT_GT(swaps.nr, 0);
	ASSERT(shmem_all(&swaps, &shmem));
	ASSERT(out_in_swap(&g, b, ARRAY_LEN(b)));
	for (i = 0; i < ARRAY_LEN(b); i++)
		pages += PAGES(b[i].size);
	ASSERT_OK(swap_all_off(&swaps, 300));
	EXPECT_EQ(meminfo_kib("SwapTotal"), 0);
	/* back in memory, still in the backup file, and no swap to read from */
	EXPECT_EQ(vmstat("nr_shmem") - shmem, pages);
	in = vmstat("pswpin");
	for (i = 0; i < ARRAY_LEN(b); i++) {
		EXPECT(bo_check_where(&g, &b[i], 0, PAGES(b[i].size),
				      PAGES(b[i].size)));
		if (i & 1)
			EXPECT(bo_check_map(&b[i]));
		else
			EXPECT(bo_check_engine(&g, &b[i]));
		EXPECT(bo_check_map(&b[i]));
	}
	EXPECT_EQ(vmstat("pswpin") - in, 0);
	EXPECT_EQ(vmstat("nr_shmem"), shmem);
	EXPECT_OK(swap_all_on(&swaps));
}

static void swapoff_drop(void)
{
	struct swap_list swaps;
	uint64_t shmem;
	struct gpu g;
	struct bo b[4];
	unsigned int i;

	ASSERT(reclaim_prepare());
	ASSERT(gpu_open(&g));
	swap_list(&swaps);
	ASSERT(shmem_all(&swaps, &shmem));
	ASSERT(out_in_swap(&g, b, ARRAY_LEN(b)));
	ASSERT_OK(swap_all_off(&swaps, 300));
	for (i = 0; i < ARRAY_LEN(b); i++)
		bo_free(&g, &b[i]);
	EXPECT_EQ(vmstat("nr_shmem"), shmem);
	EXPECT_OK(swap_all_on(&swaps));
}

/* The same pages to swap again after swapoff brought them back. */
static void swapoff_again(void)
{
	struct swap_list swaps;
	struct gpu g;
	struct bo b[4];
	unsigned int i, round;

	ASSERT(reclaim_prepare());
	ASSERT(gpu_open(&g));
	swap_list(&swaps);
	ASSERT(out_in_swap(&g, b, ARRAY_LEN(b)));
	for (round = 0; round < 3; round++) {
		ASSERT_OK(swap_all_off(&swaps, 300));
		ASSERT_OK(swap_all_on(&swaps));
		reclaim_all();
		/* half of them come home and leave again */
		for (i = round & 1; i < ARRAY_LEN(b); i += 2) {
			ASSERT(bo_check_map(&b[i]));
			ASSERT(bo_fill(&b[i], 10 * round + i));
			ASSERT(bo_backup(&g, &b[i], true));
		}
		reclaim_all();
	}
	for (i = 0; i < ARRAY_LEN(b); i++) {
		EXPECT(bo_check_engine(&g, &b[i]));
		EXPECT(bo_check_map(&b[i]));
	}
}

static const struct test tests[] = {
	{ "c40_swapoff_while_backed_up", swapoff_keeps },
	{ "c53_drop_after_swapoff", swapoff_drop },
	{ "c40_swap_cycled_while_backed_up", swapoff_again },
};

int main(void)
{
	return ktap_run(tests, ARRAY_LEN(tests));
}
