// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What pages are swapped to. */

#include <errno.h>
#include <fcntl.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "stat.h"
#include "swap.h"
#include "system.h"

void swap_list(struct swap_list *l)
{
	const char *line;

	l->nr = 0;
	/* a kernel that cannot swap has no such file */
	if (access("/proc/swaps", F_OK))
		return;
	line = strchr(must_read("/proc/swaps"), '\n');
	while (line && line[1] && l->nr < MAX_SWAPS) {
		if (sscanf(line + 1, "%63s", l->dev[l->nr]) == 1)
			l->nr++;
		line = strchr(line + 1, '\n');
	}
}

/* How many blocks of 2 MiB, counted from 0, are between the two? */
static uint64_t huge_blocks(uint64_t start, uint64_t end)
{
	uint64_t first = (start + 2 * MiB - 1) / (2 * MiB), last = end / (2 * MiB);

	return last > first ? last - first : 0;
}

/* How many of a file's are in one piece on the disk? */
static uint64_t huge_blocks_of_file(const char *path)
{
	struct {
		struct fiemap map;
		struct fiemap_extent extents[64];
	} f = { };
	uint64_t start = 0, end = 0, physical = 0, blocks = 0;
	bool last = false;
	unsigned int i;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	while (!last) {
		f.map = (struct fiemap) {
			.fm_start = end,
			.fm_length = FIEMAP_MAX_OFFSET - end,
			.fm_extent_count = ARRAY_LEN(f.extents),
		};
		if (ioctl(fd, FS_IOC_FIEMAP, &f.map) || !f.map.fm_mapped_extents)
			die("FIEMAP of %s: %s", path, strerror(errno));
		for (i = 0; i < f.map.fm_mapped_extents; i++) {
			const struct fiemap_extent *e = &f.extents[i];

			/* What one ends with, the next may go on with. */
			if (e->fe_physical != physical + (end - start)) {
				blocks += huge_blocks(start, end);
				start = e->fe_logical;
				physical = e->fe_physical;
			}
			end = e->fe_logical + e->fe_length;
			last = e->fe_flags & FIEMAP_EXTENT_LAST;
		}
	}
	close(fd);
	return blocks + huge_blocks(start, end);
}

enum swap_kind swap_kind(void)
{
	struct stat st;

	struct swap_list l;

	swap_list(&l);
	if (!l.nr)
		die("no swap: run with vm/run --swap");
	if (strstr(l.dev[0], "zram"))
		return SWAP_ZRAM;
	if (!strncmp(l.dev[0], "/dev/", 5))
		return SWAP_DISK;
	if (stat(l.dev[0], &st))
		die("%s: %s", l.dev[0], strerror(errno));
	return huge_blocks_of_file(l.dev[0]) > (uint64_t)st.st_size / (4 * MiB) ?
	       SWAP_FILE : SWAP_FRAGMENTS;
}

static void on_alarm(int sig)
{
	(void)sig;	/* only there to make swapoff() return EINTR */
}

int swap_all_off(const struct swap_list *l, unsigned int timeout_s)
{
	struct sigaction sa = { .sa_handler = on_alarm }, old;
	unsigned int i;
	int ret = 0;

	sigaction(SIGALRM, &sa, &old);
	alarm(timeout_s);
	for (i = 0; i < l->nr && !ret; i++)
		if (swapoff(l->dev[i]))
			ret = -errno;
	alarm(0);
	sigaction(SIGALRM, &old, NULL);
	return ret;
}

int swap_all_on(const struct swap_list *l)
{
	unsigned int i;

	for (i = 0; i < l->nr; i++)
		if (swapon(l->dev[i], 0))
			return -errno;
	return 0;
}

uint64_t zram_failed_writes(void)
{
	const char *io = read_file("/sys/block/zram0/io_stat");
	unsigned long long reads, writes = 0;

	if (io && sscanf(io, "%llu %llu", &reads, &writes) != 2)
		die("cannot read zram's io_stat");
	return writes;
}

uint64_t swap_used_pages(void)
{
	return (meminfo_kib("SwapTotal") - meminfo_kib("SwapFree")) * KiB / PAGE;
}

void lru_drain(void)
{
	cpu_set_t allowed;
	void *p;
	int ret;

	/* the other processors' batches: dropping the page cache begins with them */
	if (sched_getaffinity(0, sizeof(allowed), &allowed) || run_on(sched_getcpu()))
		die("cannot stay on a processor: %s", strerror(errno));
	ret = write_file("/proc/sys/vm/drop_caches", "4");	/* not to the log */
	if (!ret)
		ret = write_file("/proc/sys/vm/drop_caches", "1");
	if (ret)
		die("cannot drop the page cache: %s", strerror(-ret));
	/* and this one's, where all is now that could not be dropped: munlock() does that */
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || mlock(p, PAGE) || munlock(p, PAGE) || munmap(p, PAGE) ||
	    sched_setaffinity(0, sizeof(allowed), &allowed))
		die("cannot drain LRU batches: %s", strerror(errno));
}

void writeback_settle(void)
{
	unsigned int i;

	for (i = 0; i < 1000; i++) {
		if (!vmstat("nr_writeback"))
			return;
		usleep(20000);
	}
	die("pages still under writeback after 20 s");
}

int hibernate(void)
{
	struct swap_list swaps;
	struct stat st;
	int ret;

	swap_list(&swaps);
	if (swaps.nr != 1 || stat(swaps.dev[0], &st))
		return -ENODEV;
	ret = write_file("/sys/power/resume", "%u:%u", major(st.st_rdev),
			 minor(st.st_rdev));
	if (!ret)
		ret = write_file("/sys/power/disk", "test_resume");
	if (!ret)
		ret = write_file("/sys/power/state", "disk");
	return ret;
}
