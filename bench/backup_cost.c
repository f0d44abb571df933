// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * backup_cost [--mib N]
 *
 * What backing up 2 MiB costs, with everything else at rest: guest time, which
 * is the number of instructions executed when the machine runs under
 * vm/run --icount, and pages allocated. One line for each caching and round:
 *
 *	cost CACHING ZERO_COPY PAGES NS_PER_2MIB PAGES_ALLOCATED_PER_2MIB
 *
 * The time is that of the write() to the debugfs shrink file, so it has the
 * walk to the buffer, and for WC the change of the caching, in it too. The CPU
 * mapping is gone by then: tearing that down costs the same whatever comes next.
 */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "vttm_util.h"

#define ROUNDS	2

static struct source source;

static void one(int fd, unsigned int minor, uint32_t caching, uint64_t size)
{
	static const char *const names[] = { "cached", "WC", "UC" };
	struct backup_counters then, c;
	uint64_t pages, t, alloc, noise;
	uint32_t handle, crc, v;
	uint8_t *map;
	int ret;

	ret = vttm_create(fd, &size, caching, &handle);
	if (ret)
		die("create: %s", strerror(-ret));
	map = vttm_map(fd, handle, size);
	if (map == MAP_FAILED || !peek32(map, &v))
		die("no memory for a buffer of %" PRIu64 " MiB", size / MiB);
	crc = pattern_fill(&source, 1, map, size);
	munmap(map, size);
	writeback_settle();

	vttm_purge(minor, 1, NULL);
	vmstat_sum("pgalloc_");
	noise = vmstat_sum("pgalloc_");
	vttm_purge(minor, 1, NULL);
	noise = vmstat_sum("pgalloc_") - noise;

	backup_counters(&then);
	alloc = vmstat_sum("pgalloc_");
	t = now_ns();
	ret = vttm_shrink(minor, PAGES(size), false, NULL);
	t = now_ns() - t;
	alloc = vmstat_sum("pgalloc_") - alloc;
	backup_counters_since(&then, &c);
	if (ret)
		die("shrink: %s", strerror(-ret));
	alloc = alloc > noise ? alloc - noise : 0;
	pages = c.inserted + c.copied;
	if (pages != PAGES(size))
		die("%" PRIu64 " of %" PRIu64 " pages were backed up", pages,
		    (uint64_t)PAGES(size));
	if (c.inserted && c.copied)
		die("some pages were inserted and some copied");
	map = vttm_map(fd, handle, size);
	if (map == MAP_FAILED || !peek32(map, &v))
		die("no memory to restore into");
	if (crc32_update(0, map, size) != crc)
		die("%s buffer differs after the restore", names[caching]);
	printf("cost %s %d %" PRIu64 " %" PRIu64 " %.3f\n", names[caching],
	       !!c.inserted, pages, t * PMD_PAGES / pages,
	       (double)alloc * PMD_PAGES / pages);
	munmap(map, size);
	vttm_close(fd, handle);
}

int main(int argc, char **argv)
{
	uint64_t size = 64 * MiB;
	uint32_t caching;
	unsigned int minor, round;
	int fd, ret;
	char *end;

	if (argc == 3 && !strcmp(argv[1], "--mib")) {
		size = strtoull(argv[2], &end, 10) * MiB;
		if (*end || size < 2 * MiB || size % (2 * MiB))
			die("--mib %s: not an even number of MiB", argv[2]);
	} else if (argc != 1) {
		die("usage: backup_cost [--mib N]");
	}
	mount_all();
	ret = source_add(&source, "/proc/self/exe");
	if (ret)
		die("cannot read /proc/self/exe: %s", strerror(-ret));
	fd = vttm_open(0, &minor);
	if (fd < 0)
		die("no vttm device: boot with vttm.devices=1");
	for (round = 0; round < ROUNDS; round++)
		for (caching = DRM_VTTM_CACHED; caching <= DRM_VTTM_WC; caching++)
			one(fd, minor, caching, size);
	return 0;
}
