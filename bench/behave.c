// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * bench-behave: what backing up does to the rest of the machine. See usage()
 * and docs/results.md. A line of JSON for each result. The tests are in behave/.
 */

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "behave/behave.h"

struct gpu gpu;
struct bo bos[MAX_BUFFERS];
unsigned int nr_bos;
uint64_t ram;

static const struct {
	const char *name;
	const char *values;
	int min, max;		/* of them */
	void (*run)(char **values);
	const char *help;
} tests[] = {
	{ "peak", "PERCENT...", 1, INT_MAX, peak,
	  "memory taken at most while one buffer of PERCENT of RAM is\n"
	  "backed up" },
	{ "reserve", "PERCENT...", 1, INT_MAX, reserve,
	  "how much of the buffers direct reclaim gets backed up, with\n"
	  "free memory at PERCENT of the lowest watermark" },
	{ "hibernate", "VRAM MIB LIMIT", 3, 3, hibernation,
	  "what it takes to hibernate with MIB of memory in use, VRAM MiB\n"
	  "in VRAM (vttm.vram), and a ttm.pages_limit of LIMIT MiB; to be\n"
	  "run with vm/hibernate.sh" },
	{ "cycle", "PERCENT ROUNDS [madvise]", 2, 3, cycle,
	  "fill buffers worth PERCENT of RAM and read them ROUNDS times;\n"
	  "time, swap, fragmentation, types of page blocks;\n"
	  "madvise: huge pages enabled so, also in a small machine" },
	{ "readback", "MIB", 1, 1, readback,
	  "how long it takes to read buffers that are all in swap, where\n"
	  "memory is plentiful, of 4 MiB each" },
	{ "latency", "PERCENT", 1, 1, latency,
	  "how long a page fault takes that has to wait for the\n"
	  "shrinker, with PERCENT of RAM in idle buffers" },
	{ "spinner", "BUFFERS SECONDS [unfair]", 2, 3, spinner,
	  "how long it takes to read buffers of a page that were backed\n"
	  "up on a processor where SCHED_FIFO spins since then;\n"
	  "unfair: without the deadline server that makes way for others" },
	{ "flush", "MIB...", 1, INT_MAX, flush,
	  "interrupts between processors, by which they flush their TLBs,\n"
	  "for the backup and the restore of one buffer of MIB" },
	{ "churn", "MIB COUNT", 2, 2, churn,
	  "what it costs to create a buffer of MIB, touch it and destroy\n"
	  "it, COUNT times; and pages allocated, interrupts as above" },
	{ "limit", "MIB ROUNDS", 2, 2, limit,
	  "what it costs to use a buffer of 4 MiB, of which there are MIB,\n"
	  "one after the other, ROUNDS times, with a ttm.pages_limit of\n"
	  "half of that, and interrupts and pages as above; to be booted\n"
	  "with vttm.shrinker=0" },
	{ "pins", "PERCENT", 1, 1, pins,
	  "fill PERCENT of RAM with buffers of a page, each followed by\n"
	  "15 pages of anonymous memory, which then goes; how much of\n"
	  "what is free compaction puts together again" },
	{ "group", "LIMIT MIB", 2, 2, group,
	  "buffers worth MIB, made and backed up in a memory cgroup with\n"
	  "a limit of LIMIT MiB; what that is charged for, and whether\n"
	  "it is killed" },
	{ "direct", "ORDER...", 1, INT_MAX, direct,
	  "what it costs to put 2 MiB of folios of an ORDER into the swap\n"
	  "cache and to take them back, and into a shmem file" },
	{ "held", "MIB ORDER", 2, 2, held,
	  "the same with 2 MiB folios worth MIB, with swapoff and reclaim\n"
	  "while they are there; both need the kernel of build/alternatives" },
	{ "oom", "KIND PERCENT half|noise TOUCH half|noise", 5, 5, oom,
	  "whether a process that touches TOUCH percent of RAM is\n"
	  "killed, and how long it takes, with PERCENT of RAM in idle\n"
	  "memory of a KIND: gpu, tmpfs (huge=always), anon or thp;\n"
	  "what is in each compresses to a half or not at all" },
};

#define INDENT	23	/* of the column with the help */

static void usage(void)
{
	const char *line;
	unsigned int i;
	int len;

	puts("usage: bench-behave [--node PATH] [--dumb] TEST [VALUE]...\n"
	     "\n"
	     "What backing up does to the rest of the machine, as lines of JSON. To be run\n"
	     "as root, with swap and with nothing else going on: memory does get short.\n"
	     "\n"
	     "  --node PATH     DRM node (default: the first vttm device)\n"
	     "  --dumb          the node is that of any driver: dumb buffers, which are backed\n"
	     "                  up with vm.drop_caches\n");
	for (i = 0; i < ARRAY_LEN(tests); i++) {
		len = printf("  %s %s", tests[i].name, tests[i].values);
		if (len >= INDENT) {
			putchar('\n');
			len = 0;
		}
		printf("%*s", INDENT - len, "");
		for (line = tests[i].help; *line; line++) {
			putchar(*line);
			if (*line == '\n')
				printf("%*s", INDENT, "");
		}
		putchar('\n');
	}
	exit(0);
}

int main(int argc, char **argv)
{
	const char *node = NULL, *test;
	bool dumb = false;
	unsigned int t;
	int i;

	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			usage();
		else if (!strcmp(argv[i], "--dumb"))
			dumb = true;
		else if (!strcmp(argv[i], "--node") && i + 1 < argc)
			node = argv[++i];
		else
			die("%s: unknown, or without its value (bench-behave --help)", argv[i]);
	}
	test = i < argc ? argv[i++] : NULL;
	if (!test)
		die("no test (bench-behave --help)");
	for (t = 0; t < ARRAY_LEN(tests) && strcmp(tests[t].name, test); t++)
		;
	if (t == ARRAY_LEN(tests))
		die("unknown test '%s' (bench-behave --help)", test);
	if (argc - i < tests[t].min || argc - i > tests[t].max)
		die("usage: %s %s (bench-behave --help)", test, tests[t].values);

	mount_all();
	ram = meminfo_kib("MemTotal") * KiB;
	if (!meminfo_kib("SwapTotal"))
		die("nothing is backed up without swap");
	gpu_open(&gpu, node, dumb);
	tests[t].run(argv + i);
	return 0;
}
