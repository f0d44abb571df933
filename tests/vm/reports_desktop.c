// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What users have reported of a desktop on a machine whose free memory is in single pages. */

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "reports.h"

#define CLIENTS		10
#define CACHE		"/disk/cache"
#define FILE_PAGES	16
/* what is free when the page cache has got all that it gets: kswapd sleeps */
#define LEFT_KIB	(80 * 1024)

struct desktop {
	atomic_uint ready, stop, failed;
	atomic_ulong submits, restored;
};

static void client(struct desktop *d, unsigned int seed)
{
	static struct bo b[10];
	struct vttm_state s;
	struct gpu g;
	unsigned int i;

	if (!gpu_open(&g))
		_exit(1);
	for (i = 0; i < ARRAY_LEN(b); i++)
		if (!bo_new(&g, &b[i], 2 * MiB, DRM_VTTM_WC, seed * 100 + i))
			_exit(1);
	/* what went while others were filling theirs comes back before anything counts */
	atomic_fetch_add(&d->ready, 1);
	while (atomic_load(&d->ready) < CLIENTS)
		usleep(1000);
	if (touch(&g, b, ARRAY_LEN(b)))
		_exit(1);
	while (!atomic_load(&d->stop)) {
		unsigned long gone = 0;
		struct bo frame;

		/* what a frame wants anew: no pool has it, and no block is as large */
		if (!bo_new(&g, &frame, 2 * MiB, DRM_VTTM_CACHED, seed))
			_exit(1);
		for (i = 0; i < ARRAY_LEN(b); i++) {
			if (!bo_info(&g, &b[i], &s))
				_exit(1);
			gone += s.backed_up_pages;
		}
		if (touch(&g, b, ARRAY_LEN(b)))
			_exit(1);
		bo_free(&g, &frame);
		atomic_fetch_add(&d->submits, 1);
		atomic_fetch_add(&d->restored, gone);
	}
	for (i = 1; i < ARRAY_LEN(b); i++)
		if (!bo_check_map(&b[i]))
			_exit(1);
	_exit(0);
}

/* Free memory that is in single pages, of all zones. */
static uint64_t free_single_kib(void)
{
	uint64_t nr[FREE_ORDERS];

	free_blocks(nr, true);
	return nr[0] * PAGE / KiB;
}

static int cache_file(unsigned int nr, int flags)
{
	char path[32];

	snprintf(path, sizeof(path), CACHE "/%u", nr);
	return open(path, flags | O_CLOEXEC, 0600);
}

/*
 * All of memory in the page cache of small files, and every other page of that dropped:
 * no two of those that are free are side by side. Returns how many files there are.
 */
static unsigned int cache_fill(void)
{
	unsigned int nr, made, i;
	uint8_t page[PAGE];
	int fd;

	pattern_page(test_source(), 77, 0, page);
	if (mkdir(CACHE, 0700)) {
		FAIL("%s: %s, run with vm/run --disk", CACHE, strerror(errno));
		return 0;
	}
	for (made = 0; meminfo_kib("MemFree") > LEFT_KIB; made++) {
		fd = cache_file(made, O_WRONLY | O_CREAT | O_EXCL);
		/* one by one, or they would be in a large folio */
		for (i = 0; fd >= 0 && i < FILE_PAGES; i++) {
			if (write(fd, page, PAGE) != PAGE)
				break;
		}
		if (i < FILE_PAGES) {
			FAIL("file %u of " CACHE ": %s", made, strerror(errno));
			return 0;
		}
		close(fd);
	}
	/* what is dirty would stay */
	sync();
	for (nr = 0; nr < made; nr++) {
		fd = cache_file(nr, O_RDONLY);
		for (i = 0; fd >= 0 && i < FILE_PAGES; i += 2)
			posix_fadvise(fd, i * PAGE, PAGE, POSIX_FADV_DONTNEED);
		close(fd);
	}
	return made;
}

/* Pages that reclaim gets from files, those of programs with them. */
static uint64_t cache_pages(void)
{
	return vmstat("nr_file_pages") - vmstat("nr_shmem");
}

void stutter(void)
{
	uint64_t kswapd, direct, swapped, others, kept, left, single, early = 0, late = 0;
	const unsigned int third = seconds < 3 ? 1 : seconds / 3;
	struct desktop *d = shared_memory(PAGE);
	pid_t pids[CLIENTS];
	unsigned int i, files;
	int status;

	others = cache_pages();
	files = cache_fill();
	ASSERT_GT(files, 0);
	kept = cache_pages() - others;
	single = free_single_kib();
	test_note("%u files, %" PRIu64 " of %u pages of them kept, %" PRIu64 " of %" PRIu64 " MiB free in single pages",
		  files, kept, files * FILE_PAGES, single / 1024,
		  meminfo_kib("MemFree") / 1024);
	/* or it is not every other page, or not the shape of memory that was reported */
	ASSERT_GE(kept, files * FILE_PAGES / 5 * 2);
	ASSERT_GE(files * FILE_PAGES / 5 * 3, kept);
	ASSERT_GE(single + LEFT_KIB, meminfo_kib("MemFree") / 4 * 3);
	for (i = 0; i < CLIENTS; i++) {
		pids[i] = fork_or_die();
		if (!pids[i]) {
			test_failures = 0;
			client(d, i + 1);
		}
	}
	while (atomic_load(&d->ready) < CLIENTS)
		usleep(10000);
	kswapd = vmstat("pgscan_kswapd");
	direct = vmstat("pgscan_direct");
	swapped = vmstat("pswpout");
	/* the clients have got all blocks of 2 MiB; compaction makes others for the frames */
	for (i = 0; i < 3 * third; i++) {
		sleep(1);
		if (i < third)
			early += free_2mib();
		else if (i >= 2 * third)
			late += free_2mib();
	}
	test_note("free %" PRIu64 " of %" PRIu64 " MiB", meminfo_kib("MemFree") / 1024,
		  meminfo_kib("MemTotal") / 1024);
	/* or there was no memory, and this says nothing */
	EXPECT_GE(meminfo_kib("MemFree") * 4, meminfo_kib("MemTotal"));
	/* in the mean, but for those in the hands of clients now and then */
	EXPECT_GT(late, 0);
	EXPECT_GE(late * 4, early * 3);
	kswapd = vmstat("pgscan_kswapd") - kswapd;
	direct = vmstat("pgscan_direct") - direct;
	swapped = vmstat("pswpout") - swapped;
	atomic_store(&d->stop, 1);
	for (i = 0; i < CLIENTS; i++) {
		EXPECT_EQ(waitpid(pids[i], &status, 0), pids[i]);
		EXPECT_EQ(status, 0);
	}
	left = cache_pages() - others;
	EXPECT_GT(atomic_load(&d->submits), CLIENTS);
	figure("stutter_submits", atomic_load(&d->submits));
	figure("stutter_restored_pages_per_submit",
	       (double)atomic_load(&d->restored) / atomic_load(&d->submits));
	figure("stutter_kswapd_scans", kswapd);
	figure("stutter_kswapd_scans_per_submit", (double)kswapd / atomic_load(&d->submits));
	figure("stutter_direct_scans", direct);
	figure("stutter_swapped_out", swapped);
	figure("stutter_cache_pages_lost", kept - left);
	figure("stutter_free_2mib_early", (double)early / third);
	figure("stutter_free_2mib_late", (double)late / third);
	/* less than a page of 5120 */
	EXPECT(atomic_load(&d->restored) < atomic_load(&d->submits));
	/* what fragments memory is still there */
	EXPECT_GE(left, kept / 2);
}
