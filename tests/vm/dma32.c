// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * In a machine with memory above 4 GiB and a device that must not use it: what comes
 * back stays below.
 */

#include "direct_map.h"
#include "fixture.h"

#define GIB4_PFN	((4ull << 30) / PAGE)
#define SIZE		(16 * MiB + 7 * PAGE)

/* All WC there is lies low, and so much there is, where there is any. */
static bool below_4gib(uint64_t base, uint64_t pages)
{
	uint64_t high, all;
	struct direct_map m;

	if (vttm_caching(DRM_VTTM_WC) != DRM_VTTM_WC)
		pages = 0;
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

/* So does all that is inserted by a backup, which is where it was until then. */
static bool left_below_4gib(const struct gpu *g, const struct bo *b, bool swap)
{
	static struct moved moved[SIZE / PAGE];
	uint64_t pages = 0, high = 0;
	unsigned int n, i;

	if (!trace_on("shmem:shmem_insert_folio") ||
	    !(swap ? bo_swap_out(g, b) : bo_backup(g, b, false)))
		return false;
	n = trace_moved("shmem_insert_folio", moved, ARRAY_LEN(moved));
	trace_off();
	for (i = 0; i < n; i++) {
		uint64_t nr = 1ull << moved[i].order;

		pages += nr;
		if (moved[i].pfn + nr > GIB4_PFN)
			high += nr;
	}
	if (pages == PAGES(b->size) && !high)
		return true;
	FAIL("of %" PRIu64 " pages, %" PRIu64 " were inserted, %" PRIu64 " of them above 4 GiB",
	     PAGES(b->size), pages, high);
	return false;
}

static void dma32(void)
{
	uint64_t pages = PAGES(SIZE), base;
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
	ASSERT(bo_new(&g, &b, SIZE, DRM_VTTM_WC, 1));
	ASSERT(below_4gib(base, pages));
	for (round = 0; round < 4; round++) {
		backup_counters(&then);
		ASSERT(left_below_4gib(&g, &b, round & 1));
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
	EXPECT(left_below_4gib(&g, &b, false));
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
	EXPECT(left_below_4gib(&g, &b, false));
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
