// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What becomes of free memory, and of its page blocks. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "behave.h"

#define EXTFRAG		DEBUGFS "/extfrag/"

/* ---- what is free ---- */

/* The column of order 9 in the last zone that is for general use */
static double extfrag(const char *name)
{
	char path[64], zone[16];
	const char *line, *p;
	double value = -9, v;

	snprintf(path, sizeof(path), EXTFRAG "%s", name);
	for (line = must_read(path); line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
		unsigned int order;
		char *next;

		p = strstr(line, "zone");
		if (!p || sscanf(p, "zone %15s", zone) != 1)
			break;
		if (strcmp(zone, "DMA32") && strcmp(zone, "Normal"))
			continue;
		p = strstr(p, zone) + strlen(zone);
		for (order = 0; order <= PMD_NR; order++, p = next) {
			v = strtod(p, &next);
			if (next == p)
				die("%s has no order %u", path, order);
		}
		value = v;
	}
	if (value == -9)
		die("%s tells nothing of a zone", path);
	return value;
}

/* Page blocks by type, all zones: {"Unmovable":10,...} */
static void page_blocks(char *out, size_t len)
{
	const char *head, *line;
	uint64_t sum[8] = {};
	char name[8][16];
	unsigned int nr, i;
	size_t n = 0;

	head = strstr(must_read("/proc/pagetypeinfo"), "Number of blocks type");
	if (!head)
		die("/proc/pagetypeinfo does not tell of blocks");
	line = head + strlen("Number of blocks type");
	for (nr = 0; nr < 8; nr++) {
		int used;

		line += strspn(line, " ");
		if (*line == '\n' || sscanf(line, "%15s%n", name[nr], &used) != 1)
			break;
		line += used;
	}
	for (line = strchr(head, '\n'); line && line[1]; line = strchr(line + 1, '\n')) {
		const char *p = strstr(line, "zone");
		char *next;

		if (!p || sscanf(p, "zone %*s%n", (int *)&i) < 0)
			break;
		p += strlen("zone");
		p += strspn(p, " ");
		p += strcspn(p, " ");
		for (i = 0; i < nr; i++, p = next)
			sum[i] += strtoull(p, &next, 10);
	}
	for (i = 0; i < nr; i++)
		n += snprintf(out + n, len - n, "%s\"%s\":%" PRIu64, i ? "," : "{",
			      name[i], sum[i]);
	snprintf(out + n, len - n, "}");
}

static void memory_state(const char *when)
{
	char blocks[256];

	page_blocks(blocks, sizeof(blocks));
	printf(",\"%s\":{\"free_bytes\":%" PRIu64 ",\"free_order9\":%" PRIu64
	       ",\"unusable_index_order9\":%.3f,\"extfrag_index_order9\":%.3f,\"direct_map_4k_bytes\":%" PRIu64
	       ",\"page_blocks\":%s}",
	       when, meminfo_kib("MemFree") * KiB, free_2mib(),
	       extfrag("unusable_index"), extfrag("extfrag_index"),
	       meminfo_kib("DirectMap4k") * KiB, blocks);
}

/*
 * How many 2 MiB pages a process gets that wants half of RAM in such. Small machines have
 * reclaim and compaction for them off, so it is what is free in one piece.
 */
static void thp_share(void)
{
	uint64_t huge = PAGE << PMD_NR, size = ram / 2 / huge * huge, then;
	uint8_t *map = map_anonymous(size, true);

	then = vmstat("thp_fault_alloc");
	memset(map, 1, size);
	printf(",\"thp_asked\":%" PRIu64 ",\"thp_fault_alloc\":%" PRIu64, size / huge,
	       vmstat("thp_fault_alloc") - then);
	munmap(map, size);
}

/* ---- cycle ---- */

/*
 * Reads all buffers, and looks after each of them at what is resident then: base
 * pages by the order of the chunk that they lie in, in per mille.
 */
static void check_chunks(void)
{
	uint64_t sum[16] = {}, pages[ARRAY_LEN(sum)], all = 0;
	unsigned int i, j, nr = 0;

	for (i = 0; i < nr_bos; i++) {
		look(&bos[i], i + 1);
		if (gpu.dumb)
			continue;
		nr = vttm_chunks(gpu.minor, pages, ARRAY_LEN(pages));
		for (j = 0; j < nr; j++) {
			sum[j] += pages[j];
			all += pages[j];
		}
	}
	if (!all)
		return;
	printf(",\"pages_by_order\":[");
	for (j = 0; j < nr; j++)
		printf("%s%" PRIu64, j ? "," : "", sum[j] * 1000 / all);
	printf("]");
}

static void cycle_child(uint64_t percent, uint64_t rounds)
{
	uint64_t t = now_ns(), filled;
	uint64_t i;

	fill_buffers(ram * percent / 100, 4 * MiB, false);
	filled = now_ns();
	for (i = 1; i < rounds; i++)
		look_at_buffers();
	check_chunks();
	printf(",\"fill_ns\":%" PRIu64 ",\"read_ns\":%" PRIu64, filled - t,
	       now_ns() - filled);
	memory_state("full");
	check_buffers();
	free_buffers();
	fflush(stdout);
	_exit(0);
}

void cycle(char **values)
{
	static const char *const counters[] = {
		"pswpout", "pswpin", "thp_swpout", "thp_swpout_fallback",
		"oom_kill",
	};
	uint64_t percent = parse_number("cycle", values[0], 1, 1000);
	uint64_t rounds = parse_number("cycle", values[1], 1, 1000);
	uint64_t before[ARRAY_LEN(counters)];
	struct backup_counters then, c;
	unsigned int i;
	int status;
	pid_t pid;

	if (values[2] && strcmp(values[2], "madvise"))
		die("cycle: madvise or nothing, not '%s'", values[2]);
	if (values[2] && write_file(THP, values[2]))
		die("cannot write %s", THP);
	printf("{\"part\":\"cycle\",\"percent\":%" PRIu64 ",\"rounds\":%" PRIu64
	       ",\"ram_bytes\":%" PRIu64, percent, rounds, ram);
	pools_drain();
	write_file("/proc/sys/vm/drop_caches", "3");
	memory_state("before");
	if (have_backup_stats())
		backup_counters(&then);
	for (i = 0; i < ARRAY_LEN(counters); i++)
		before[i] = vmstat(counters[i]);

	/* The one to be killed if there is not enough memory */
	pid = fork_or_die();
	if (!pid) {
		write_file("/proc/self/oom_score_adj", "1000");
		cycle_child(percent, rounds);
	}
	if (waitpid(pid, &status, 0) != pid)
		die("wait: %s", strerror(errno));
	/* a file that the child has died with leaves its buffers to the parent */
	printf(",\"completed\":%s", WIFEXITED(status) && !WEXITSTATUS(status) ?
	       "true" : "false");
	for (i = 0; i < ARRAY_LEN(counters); i++)
		printf(",\"%s\":%" PRIu64, counters[i], vmstat(counters[i]) - before[i]);
	if (have_backup_stats()) {
		backup_counters_since(&then, &c);
		printf(",\"inserted_pages\":%" PRIu64 ",\"copied_pages\":%" PRIu64
		       ",\"retained_pages\":%" PRIu64
		       ",\"inserted_order0_pages\":%" PRIu64 ",\"inserted_order9_pages\":%" PRIu64,
		       c.inserted, c.copied, c.retained, c.order[0],
		       c.order[PMD_NR] << PMD_NR);
		print_restored(&c);
	}
	close(gpu.fd);
	pools_drain();
	write_file("/proc/sys/vm/drop_caches", "3");
	memory_state("after");
	thp_share();
	puts("}");
}

/* ---- pins ---- */

#define BETWEEN		15	/* pages of others, between two pins */

/* Have compaction do what it can, and tell what is free. */
static uint64_t compacted_order9(void)
{
	unsigned int i;

	pools_drain();
	write_file("/proc/sys/vm/drop_caches", "3");
	for (i = 0; i < 3; i++)
		if (write_file("/proc/sys/vm/compact_memory", "1"))
			die("cannot write compact_memory: %s", strerror(errno));
	return free_2mib();
}

void pins(char **values)
{
	uint64_t percent = parse_number("pins", values[0], 1, 90);
	uint64_t nr = ram * percent / 100 / PAGE / (BETWEEN + 1), i, before;
	uint64_t size = nr * BETWEEN * PAGE, after, gone;
	char blocks[256];
	uint8_t *others;

	if (nr > MAX_BUFFERS)
		die("more than %u buffers", MAX_BUFFERS);
	before = compacted_order9();
	others = mmap(NULL, size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (others == MAP_FAILED || madvise(others, size, MADV_NOHUGEPAGE))
		die("no address space: %s", strerror(errno));
	for (i = 0; i < nr; i++) {
		gpu_create(&gpu, &bos[i], PAGE, DRM_VTTM_CACHED);
		gpu_map(&gpu, &bos[i], NULL);
		fill(&bos[i], i + 1, false);
		memset(others + i * BETWEEN * PAGE, 1, BETWEEN * PAGE);
	}
	nr_bos = nr;
	munmap(others, size);
	after = compacted_order9();
	page_blocks(blocks, sizeof(blocks));
	printf("{\"part\":\"pins\",\"percent\":%" PRIu64 ",\"pins\":%" PRIu64
	       ",\"free_order9_before\":%" PRIu64 ",\"free_order9\":%" PRIu64
	       ",\"pinned_bytes\":%" PRIu64 ",\"free_bytes\":%" PRIu64 ",\"page_blocks\":%s",
	       percent, nr, before, after, nr * PAGE, meminfo_kib("MemFree") * KiB, blocks);
	check_buffers();
	free_buffers();
	gone = compacted_order9();
	printf(",\"free_order9_after\":%" PRIu64 "}\n", gone);
}
