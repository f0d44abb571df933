// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Interrupts between processors. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "behave.h"

/* ---- flush ---- */

static const char *const caching_names[] = { "cached", "wc" };

/* Function calls (CAL) and shootdowns of user mappings (TLB), all processors */
static uint64_t interrupts(void)
{
	static const char *const names[] = { "CAL:", "TLB:" };
	const char *text = must_read("/proc/interrupts"), *line;
	uint64_t sum = 0, n;
	unsigned int i;
	char *next;

	for (i = 0; i < ARRAY_LEN(names); i++) {
		line = strstr(text, names[i]);
		if (!line)
			die("/proc/interrupts has no line %s", names[i]);
		for (line += strlen(names[i]); ; line = next) {
			n = strtoull(line, &next, 10);
			if (next == line)
				break;
			sum += n;
		}
	}
	return sum;
}

static void flush_one(uint64_t mib)
{
	uint64_t size = mib * MiB, backup, restore, backed_up;
	unsigned int i;

	/* cached, nothing is flushed for the caching: what others do meanwhile */
	for (i = 0; i < (gpu.dumb ? 1 : ARRAY_LEN(caching_names)); i++) {
		gpu_create(&gpu, &bos[0], size, i ? DRM_VTTM_WC : DRM_VTTM_CACHED);
		gpu_map(&gpu, &bos[0], NULL);
		fill(&bos[0], 1, false);
		bo_unmap(&bos[0]);
		writeback_settle();

		backup = interrupts();
		backed_up = gpu_backup(&gpu, size / PAGE, false);
		backup = interrupts() - backup;
		if (backed_up < size / PAGE)
			die("%" PRIu64 " of %" PRIu64 " pages were backed up",
			    backed_up, size / PAGE);

		gpu_map(&gpu, &bos[0], NULL);
		restore = interrupts();
		*(volatile uint8_t *)bos[0].map;
		restore = interrupts() - restore;
		check(&bos[0], 1);
		printf("{\"part\":\"flush\",\"caching\":\"%s\",\"cpus\":%ld,\"bytes\":%" PRIu64
		       ",\"backup_ipis\":%" PRIu64 ",\"restore_ipis\":%" PRIu64 "}\n",
		       gpu.dumb ? "driver" : caching_names[i], sysconf(_SC_NPROCESSORS_ONLN),
		       size, backup, restore);
		fflush(stdout);
		gpu_close(&gpu, &bos[0]);
		pools_drain();
	}
}

void flush(char **values)
{
	for (; *values; values++)
		flush_one(parse_number("flush", *values, 2, 1 << 20));
}

/* ---- churn ---- */

/* What is in use changes hands: nothing of it may be left for the next one. */
static void check_cleared(const struct bo *b)
{
	uint64_t i;

	for (i = 0; i < b->size; i += sizeof(i))
		if (*(volatile uint64_t *)(b->map + i))
			die("a new buffer is not cleared");
}

void churn(char **values)
{
	uint64_t mib = parse_number("churn", values[0], 1, 4096);
	uint64_t count = parse_number("churn", values[1], 1, 1 << 20);
	uint64_t size = mib * MiB, i, ns, alloc, ipis;
	struct bo *b = &bos[0];
	uint32_t caching;

	/*
	 * Whom unmapping interrupts depends on where this has run before. Whom the change of
	 * the caching interrupts does not.
	 */
	stay_on(0);
	for (caching = DRM_VTTM_CACHED; caching <= DRM_VTTM_WC; caching++) {
		/* two that are full, for the first ones to follow */
		for (i = 0; i < 2; i++) {
			gpu_create(&gpu, b, size, caching);
			gpu_map(&gpu, b, NULL);
			check_cleared(b);
			fill(b, 1, false);
			check(b, 1);
			gpu_close(&gpu, b);
		}
		alloc = vmstat_sum("pgalloc_");
		ipis = interrupts();
		ns = now_ns();
		for (i = 0; i < count; i++) {
			gpu_create(&gpu, b, size, caching);
			gpu_map(&gpu, b, NULL);
			*b->map = 1;
			gpu_close(&gpu, b);
		}
		ns = now_ns() - ns;
		ipis = interrupts() - ipis;
		alloc = vmstat_sum("pgalloc_") - alloc;
		gpu_create(&gpu, b, size, caching);
		gpu_map(&gpu, b, NULL);
		check_cleared(b);
		gpu_close(&gpu, b);
		pools_drain();
		printf("{\"part\":\"churn\",\"caching\":\"%s\",\"bytes\":%" PRIu64
		       ",\"count\":%" PRIu64 ",\"ns\":%.1f,\"pages_allocated\":%.2f"
		       ",\"ipis\":%.2f}\n", caching_names[caching], size, count,
		       ns / (double)count, alloc / (double)count, ipis / (double)count);
		fflush(stdout);
	}
}

/* ---- limit ---- */

#define PAGES_LIMIT	"/sys/module/ttm/parameters/pages_limit"
#define LIMIT_BUFFER	(4 * MiB)

/* Each page is read and written, which leaves in it what is in it. */
static void use(struct bo *b, uint32_t seed)
{
	uint64_t i;

	gpu_map(&gpu, b, NULL);
	look(b, seed);
	for (i = 0; i < b->size; i += PAGE)
		*(volatile uint64_t *)(b->map + i) = seed;
	bo_unmap(b);
}

/*
 * Buffers of which a half has room below ttm.pages_limit, used in turn: each has to be
 * swapped in, and another one out for that.
 */
static void limit_one(uint32_t caching, uint64_t mib, uint64_t rounds)
{
	uint64_t nr = mib * MiB / LIMIT_BUFFER, ns, alloc, ipis, round, active, i;

	if (nr > MAX_BUFFERS)
		die("more than %u buffers", MAX_BUFFERS);
	for (nr_bos = 0; nr_bos < nr; nr_bos++) {
		struct bo *b = &bos[nr_bos];

		gpu_create(&gpu, b, LIMIT_BUFFER, caching);
		gpu_map(&gpu, b, NULL);
		fill(b, nr_bos + 1, false);
		bo_unmap(b);
	}
	/* the first round pays for first uses */
	for (i = 0; i < nr; i++)
		use(&bos[i], i + 1);
	alloc = vmstat_sum("pgalloc_");
	ipis = interrupts();
	ns = now_ns();
	for (round = 0; round < rounds; round++)
		for (i = 0; i < nr; i++)
			use(&bos[i], i + 1);
	ns = now_ns() - ns;
	ipis = interrupts() - ipis;
	alloc = vmstat_sum("pgalloc_") - alloc;
	active = gpu_active() * PAGE;
	if (active > mib * MiB / 2 + LIMIT_BUFFER)
		die("%" PRIu64 " MiB are in memory: nothing was swapped out", active / MiB);
	printf("{\"part\":\"limit\",\"caching\":\"%s\",\"cpus\":%ld,\"bytes\":%" PRIu64
	       ",\"limit_bytes\":%" PRIu64 ",\"buffer_bytes\":%" PRIu64 ",\"rounds\":%" PRIu64
	       ",\"ns\":%.1f,\"ipis\":%.2f,\"pages_allocated\":%.2f}\n",
	       caching_names[caching], sysconf(_SC_NPROCESSORS_ONLN), mib * MiB,
	       mib * MiB / 2, LIMIT_BUFFER, rounds, ns / (double)(rounds * nr),
	       ipis / (double)(rounds * nr), alloc / (double)(rounds * nr));
	fflush(stdout);
	check_buffers();
	free_buffers();
}

void limit(char **values)
{
	uint64_t mib = parse_number("limit", values[0], 16, 65536);
	uint64_t rounds = parse_number("limit", values[1], 1, 1000);
	uint32_t caching;

	if (!gpu.swapout)
		die("the device has a shrinker: boot with vttm.shrinker=0");
	/* whom unmapping interrupts depends on where this has run before */
	stay_on(0);
	for (caching = DRM_VTTM_CACHED; caching <= DRM_VTTM_WC; caching++) {
		if (write_file(PAGES_LIMIT, "%" PRIu64, mib * MiB / 2 / PAGE))
			die("ttm.pages_limit cannot be set");
		limit_one(caching, mib, rounds);
	}
}
