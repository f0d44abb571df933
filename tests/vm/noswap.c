// SPDX-License-Identifier: GPL-2.0 OR MIT
/* A VM without swap: nothing is backed up and nothing is lost. */

#include "fixture.h"

static void no_backup(void)
{
	struct backup_counters then, c;
	uint32_t caching;
	struct gpu g;
	struct bo b;
	int ret;

	ASSERT_EQ(meminfo_kib("SwapTotal"), 0);
	ASSERT(gpu_open(&g));
	backup_counters(&then);
	for (caching = DRM_VTTM_CACHED; caching <= DRM_VTTM_UC; caching++) {
		ASSERT(bo_new(&g, &b, 5 * MiB + PAGE, caching, caching + 1));
		ret = vttm_shrink(g.minor, PAGES(b.size), false, NULL);
		if (ret >= 0)
			FAIL("shrink without swap claims success");
		ret = vttm_shrink(g.minor, PAGES(b.size), true, NULL);
		if (ret >= 0)
			FAIL("shrink with writeback without swap claims success");
		EXPECT(bo_check_where(&g, &b, PAGES(b.size), 0, 0));
		EXPECT(bo_check_map(&b));
		EXPECT(bo_check_engine(&g, &b));
		bo_free(&g, &b);
	}
	backup_counters_since(&then, &c);
	EXPECT_EQ(c.inserted, 0);
	EXPECT_EQ(c.copied, 0);
}

/* Purging needs no swap. */
static void purge(void)
{
	uint32_t retained, v;
	uint64_t active, done;
	struct gpu g;
	struct bo keep, drop;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &keep, 4 * MiB, DRM_VTTM_WC, 1));
	active = vmstat("nr_gpu_active");
	ASSERT(bo_new(&g, &drop, 4 * MiB, DRM_VTTM_WC, 2));
	ASSERT_OK(vttm_madvise(g.fd, drop.handle, DRM_VTTM_MADV_DONTNEED, NULL));
	ASSERT_OK(vttm_purge(g.minor, PAGES(keep.size) + PAGES(drop.size),
			     &done));
	EXPECT_EQ(done, PAGES(drop.size));
	EXPECT_OK(vttm_madvise(g.fd, drop.handle, DRM_VTTM_MADV_WILLNEED,
			       &retained));
	EXPECT_EQ(retained, 0);
	EXPECT(!peek32(drop.map, &v));
	EXPECT_EQ(vmstat("nr_gpu_active"), active);
	EXPECT(bo_check_map(&keep));
	EXPECT(bo_check_engine(&g, &keep));
}

static const struct test tests[] = {
	{ "c59_no_backup_without_swap", no_backup },
	{ "c55_purge_without_swap", purge },
};

/* booted with ttm.zero_copy=0 */
static const struct test tests_copy[] = {
	{ "c59_no_backup_without_swap_copying", no_backup },
};

int main(void)
{
	mount_all();
	if (zero_copy_get())
		return ktap_run(tests, ARRAY_LEN(tests));
	return ktap_run(tests_copy, ARRAY_LEN(tests_copy));
}
