// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * In a machine with memory above 4 GiB and a device that must not use it: what comes
 * back stays below.
 */

#include "direct_map.h"
#include "fixture.h"

#define GIB4_PFN	(1ull << 20)

/* All WC there is lies low, and so much there is. */
static bool below_4gib(uint64_t base, uint64_t pages)
{
	uint64_t high, all;
	struct direct_map m;

	if (!direct_map_get(&m))
		return false;
	all = direct_map_pages(&m, DRM_VTTM_WC, 0) - base;
	high = direct_map_pages(&m, DRM_VTTM_WC, GIB4_PFN);
	direct_map_free(&m);
	if (all == pages && !high)
		return true;
	FAIL("%" PRIu64 " pages are WC, not %" PRIu64 ", and %" PRIu64 " of them above 4 GiB",
	     all, pages, high);
	return false;
}

static void dma32(void)
{
	uint64_t pages = PAGES(16 * MiB + 7 * PAGE), base;
	const char *param = read_file("/sys/module/vttm/parameters/dma32");
	struct backup_counters then, c;
	unsigned int round;
	struct direct_map m;
	struct gpu g;
	struct bo b;

	ASSERT(param && *param == 'Y');
	ASSERT(reclaim_prepare());
	ASSERT(gpu_open(&g));
	ASSERT(direct_map_get(&m));
	base = direct_map_pages(&m, DRM_VTTM_WC, 0);
	direct_map_free(&m);
	ASSERT(bo_new(&g, &b, 16 * MiB + 7 * PAGE, DRM_VTTM_WC, 1));
	ASSERT(below_4gib(base, pages));
	for (round = 0; round < 4; round++) {
		backup_counters(&then);
		if (round & 1)
			ASSERT(bo_swap_out(&g, &b));
		else
			ASSERT(bo_backup(&g, &b, false));
		if (round & 2)
			ASSERT(bo_check_engine(&g, &b));
		else
			ASSERT(bo_check_map(&b));
		pools_drain();
		EXPECT(below_4gib(base, pages));
		if (!(round & 1))
			EXPECT(came_back(&then, 0, pages, 0));
		backup_counters_since(&then, &c);
		EXPECT_EQ(restored_pages(&c), pages);
		test_note("%s: %" PRIu64 " pages extracted, %" PRIu64 " copied",
			  round & 1 ? "swapped" : "resident",
			  c.restored_extracted, c.restored_copied);
		ASSERT(bo_fill(&b, round + 2));
	}
}

/*
 * Swap taken away brings the pages to wherever there is memory, above 4 GiB
 * too: what lies there is not for this device, and is copied.
 */
static void dma32_high(void)
{
	uint64_t pages = PAGES(16 * MiB), base, refused;
	struct backup_counters then, c;
	struct swap_list swaps;
	struct direct_map m;
	struct gpu g;
	struct bo b;

	ASSERT(reclaim_prepare());
	ASSERT(gpu_open(&g));
	ASSERT(direct_map_get(&m));
	base = direct_map_pages(&m, DRM_VTTM_WC, 0);
	direct_map_free(&m);
	ASSERT(bo_new(&g, &b, 16 * MiB, DRM_VTTM_WC, 1));
	ASSERT(bo_swap_out(&g, &b));
	swap_list(&swaps);
	ASSERT_OK(swap_all_off(&swaps, 300));
	refused = backup_stat("extract_refused_EXDEV");
	backup_counters(&then);
	EXPECT(bo_check_map(&b));
	backup_counters_since(&then, &c);
	test_note("%" PRIu64 " pages extracted, %" PRIu64 " copied",
		  c.restored_extracted, c.restored_copied);
	EXPECT_EQ(restored_pages(&c), pages);
	EXPECT_GT(c.restored_copied, 0);
	EXPECT_GT(backup_stat("extract_refused_EXDEV"), refused);
	pools_drain();
	EXPECT(below_4gib(base, pages));
	EXPECT_OK(swap_all_on(&swaps));
}

static const struct test tests[] = {
	{ "c49_dma32_comes_back_below_4gib", dma32 },
	{ "c38_c49_dma32_refuses_what_lies_above", dma32_high },
};

int main(void)
{
	mount_all();
	return ktap_run(tests, ARRAY_LEN(tests));
}
