// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Folios that are put into the swap cache: for build/alternatives. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "behave.h"

#define DIRECT		DEBUGFS "/swap_direct"
#define SWAPOFF_S	5

static int direct_do(const char *what, uint64_t order, uint64_t nr)
{
	return write_file(DIRECT, "%s %" PRIu64 " %" PRIu64, what, order, nr);
}

static int64_t direct_value(const char *key)
{
	const char *p = strstr(must_read(DIRECT), key);

	if (!p)
		die("cannot read %s of " DIRECT, key);
	return strtoll(p + strlen(key), NULL, 10);
}

static void direct_one(uint64_t order)
{
	static const char *const ways[] = { "swap", "shmem" };
	const uint64_t size = 16 * MiB;
	unsigned int i, round;
	uint64_t alloc;
	int ret;

	for (i = 0; i < ARRAY_LEN(ways); i++) {
		/* the first pays for first uses */
		for (round = 0; round < 2; round++) {
			alloc = vmstat_sum("pgalloc_");
			ret = direct_do(ways[i], order, (size / PAGE) >> order);
			if (ret)
				die("%s: %s", ways[i], strerror(-ret));
			alloc = vmstat_sum("pgalloc_") - alloc;
		}
		printf("{\"part\":\"direct\",\"way\":\"%s\",\"order\":%" PRIu64
		       ",\"put_ns\":%.1f,\"take_ns\":%.1f,\"slots\":%.1f"
		       ",\"pages_allocated\":%.1f}\n", ways[i], order,
		       direct_value("put_ns ") / (double)(size / (2 * MiB)),
		       direct_value("take_ns ") / (double)(size / (2 * MiB)),
		       direct_value("slots ") / (double)(size / (2 * MiB)),
		       (alloc - size / PAGE) / (double)(size / (2 * MiB)));
		fflush(stdout);
	}
}

void direct(char **values)
{
	for (; *values; values++)
		direct_one(parse_number("direct", *values, 0, PMD_NR));
}

void held(char **values)
{
	uint64_t mib = parse_number("held", values[0], 2, 4096);
	uint64_t order = parse_number("held", values[1], 0, PMD_NR);
	uint64_t nr = (mib * MiB / PAGE) >> order, slots, written, resident;
	struct swap_list swaps;
	int ret, off, again;

	swap_list(&swaps);
	slots = swap_used_pages();
	written = vmstat("pswpout");
	ret = direct_do("hold", order, nr);
	if (ret)
		die("hold: %s", strerror(-ret));
	slots = swap_used_pages() - slots;
	written = vmstat("pswpout") - written;
	off = swap_all_off(&swaps, SWAPOFF_S);
	printf("{\"part\":\"held\",\"order\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"slots\":%" PRIu64
	       ",\"written_pages\":%" PRIu64 ",\"swapoff_s\":%u,\"swapoff\":%d",
	       order, mib * MiB, slots, written, SWAPOFF_S, off);

	/* They must be there still, or what follows would be about nothing. */
	written = vmstat("pswpout");
	resident = vmstat("nr_swapcached");
	if (off != -EINTR)
		die("swapoff: %s", strerror(-off));
	reclaim_all();
	printf(",\"reclaimed_pages\":%" PRIu64 ",\"swapcached_pages\":%" PRIu64
	       ",\"swapcached_after_pages\":%" PRIu64,
	       vmstat("pswpout") - written, resident, vmstat("nr_swapcached"));
	ret = write_file(DIRECT, "drop");
	if (ret)
		die("drop: %s", strerror(-ret));
	printf(",\"read_folios\":%" PRId64, direct_value("read "));
	again = swap_all_off(&swaps, 60);
	printf(",\"swapoff_after\":%d}\n", again);
	fflush(stdout);
	swap_all_on(&swaps);
}
