// SPDX-License-Identifier: GPL-2.0 OR MIT
/* A VM without swap: nothing is backed up and nothing is lost. */

#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "fixture.h"

#define SCALE_FACTOR	"/proc/sys/vm/watermark_scale_factor"

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

static uint64_t page_faults(void)
{
	struct rusage u;

	if (getrusage(RUSAGE_SELF, &u))
		die("getrusage: %s", strerror(errno));
	return u.ru_minflt;
}

/*
 * What cannot be had is left alone, also if there is something that kswapd, and then the
 * worker, gets: a purgeable buffer that is busy, until its job has taken too long.
 */
static void nothing_is_unmapped(void)
{
	unsigned int factor = atoi(read_file(SCALE_FACTOR)), i;
	uint64_t at, faults, start, seen = 0;
	struct vttm_state s;
	struct bo keep, drop;
	struct gpu g, other;
	struct hog hog;

	ASSERT(gpu_open(&g));
	ASSERT(gpu_open(&other));
	ASSERT(bo_new(&g, &drop, 4 * MiB, DRM_VTTM_CACHED, 1));
	ASSERT(bo_new(&other, &keep, 4 * MiB, DRM_VTTM_CACHED, 2));
	EXPECT(bo_check_map(&keep));
	hog_start(&hog, 0);
	EXPECT_OK(bo_keep_busy(&g, &drop, 1, 0));
	EXPECT_OK(vttm_madvise(g.fd, drop.handle, DRM_VTTM_MADV_DONTNEED, NULL));
	/* what the hog has left is low for kswapd from now on, and for nobody else */
	EXPECT_OK(write_file(SCALE_FACTOR, "3000"));
	start = now_ns();
	for (i = 0; i < 3000; i++) {
		bool busy = vttm_wait(g.fd, drop.handle, 0) == -ETIME;
		void *p = mmap(NULL, MiB, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

		munmap(p, MiB);
		if (!bo_info(&g, &drop, &s) || s.flags & DRM_VTTM_INFO_PURGED)
			break;
		if (busy)
			seen = now_ns() - start;
		usleep(10000);
	}
	EXPECT(s.flags & DRM_VTTM_INFO_PURGED);
	/* or it was idle when kswapd came */
	EXPECT_GE(seen, 100 * 1000000);
	faults = page_faults();
	for (at = 0; at < keep.size; at += PAGE)
		*(volatile uint8_t *)(keep.map + at);
	/* 64, if all of it comes back */
	EXPECT_LE(page_faults() - faults, 2);
	kill(hog.pid, SIGKILL);
	hog_end(&hog);
	EXPECT_OK(write_file(SCALE_FACTOR, "%u", factor));
	EXPECT(bo_check_map(&keep));
}

static const struct test tests[] = {
	/* first, as kswapd, once it has given up without swap, may do so for a long time */
	{ "c59_nothing_is_unmapped_without_swap", nothing_is_unmapped },
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
