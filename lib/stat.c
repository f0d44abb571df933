// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Counters of the kernel. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stat.h"
#include "system.h"

#define STATS		DEBUGFS "/ttm/backup_stats"

/* Fold the per-CPU deltas, or figures lag by up to a batch for each CPU. */
static void vmstat_fold(void)
{
	int ret = write_str("/proc/sys/vm/stat_refresh", "1");

	if (ret)
		die("cannot write /proc/sys/vm/stat_refresh: %s",
		    strerror(-ret));
}

uint64_t vmstat(const char *name)
{
	vmstat_fold();
	return must_find("/proc/vmstat", name);
}

/* Of all lines "name value" whose name starts with the prefix. */
static uint64_t must_sum(const char *path, const char *prefix)
{
	const char *text = must_read(path), *end;
	uint64_t sum = 0;
	bool any = false;

	for (; *text; text = end + 1) {
		end = strchr(text, '\n');
		if (!strncmp(text, prefix, strlen(prefix))) {
			sum += strtoull(strchr(text, ' '), NULL, 10);
			any = true;
		}
		if (!end)
			break;
	}
	if (!any)
		die("%s has nothing that starts with \"%s\"", path, prefix);
	return sum;
}

uint64_t vmstat_sum(const char *prefix)
{
	vmstat_fold();
	return must_sum("/proc/vmstat", prefix);
}

uint64_t meminfo_kib(const char *name)
{
	return must_find("/proc/meminfo", name);
}

void free_blocks(uint64_t nr[FREE_ORDERS], bool dma)
{
	const char *p = must_read("/proc/buddyinfo");

	memset(nr, 0, FREE_ORDERS * sizeof(*nr));
	while ((p = strstr(p, " zone "))) {
		unsigned int order;
		const char *zone;
		char *end;

		p += strlen(" zone ");
		zone = p += strspn(p, " ");
		p += strcspn(p, " ");
		if (!dma && p - zone == 3 && !strncmp(zone, "DMA", 3))
			continue;
		for (order = 0; order < FREE_ORDERS; order++) {
			p += strspn(p, " ");
			if (*p < '0' || *p > '9')
				break;
			nr[order] += strtoull(p, &end, 10);
			p = end;
		}
	}
}

uint64_t free_2mib(void)
{
	uint64_t nr[FREE_ORDERS], blocks = 0;
	unsigned int order;

	free_blocks(nr, true);
	for (order = PMD_NR; order < FREE_ORDERS; order++)
		blocks += nr[order] << (order - PMD_NR);
	return blocks;
}

bool have_backup_stats(void)
{
	return file_exists(STATS);
}

uint64_t backup_stat(const char *name)
{
	return must_find(STATS, name);
}

uint64_t backup_stat_sum(const char *prefix)
{
	return must_sum(STATS, prefix);
}

void backup_counters(struct backup_counters *c)
{
	char name[32];
	unsigned int i;

	memset(c, 0, sizeof(*c));
	c->inserted = backup_stat("inserted");
	for (i = 0; i <= PMD_NR; i++) {
		/* there are lines for the orders that this kernel has */
		snprintf(name, sizeof(name), "inserted_order%u", i);
		if (!find_key(must_read(STATS), name, &c->order[i]) && !i)
			die("%s has no line \"%s\"", STATS, name);
	}
	c->copied = backup_stat("copied");
	c->restored_adopted = backup_stat("restored_adopted");
	c->restored_extracted = backup_stat("restored_extracted");
	c->restored_merged = backup_stat("restored_merged");
	c->restored_copied = backup_stat("restored_copied");
	c->retained = backup_stat("retained");
	c->refused = backup_stat_sum("refused_");
	c->extract_refused = backup_stat_sum("extract_refused_");
}

void backup_counters_since(const struct backup_counters *then,
			   struct backup_counters *out)
{
	unsigned int i;

	backup_counters(out);
	out->inserted -= then->inserted;
	for (i = 0; i <= PMD_NR; i++)
		out->order[i] -= then->order[i];
	out->copied -= then->copied;
	out->restored_adopted -= then->restored_adopted;
	out->restored_extracted -= then->restored_extracted;
	out->restored_merged -= then->restored_merged;
	out->restored_copied -= then->restored_copied;
	out->retained -= then->retained;
	out->refused -= then->refused;
	out->extract_refused -= then->extract_refused;
}

uint64_t restored_pages(const struct backup_counters *c)
{
	return c->restored_adopted + c->restored_extracted + c->restored_merged +
	       c->restored_copied;
}

#define ZERO_COPY	"/sys/module/ttm/parameters/zero_copy"

uint64_t stat_2mib(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path),
		 "/sys/kernel/mm/transparent_hugepage/hugepages-2048kB/stats/%s", name);
	return strtoull(must_read(path), NULL, 10);
}

bool zero_copy_get(void)
{
	return must_read(ZERO_COPY)[0] == 'Y';
}

const char *stats_read_one(const char *path)
{
	const char *text = read_file(path);

	if (text && *text)
		return NULL;
	if (text)
		errno = ENODATA;
	return path;
}

/* Files that only some kernels have */
static bool may_be_missing(const char *path)
{
	return strstr(path, "slabinfo") || strstr(path, "backup_stats");
}

const char *stats_read(unsigned int minor, unsigned int first)
{
	static const char *const files[] = {
		DEBUGFS "/ttm/backup_stats", DEBUGFS "/ttm/page_pool",
		DEBUGFS "/ttm/buffer_objects", DEBUGFS "/ttm/tt_shrink",
		DEBUGFS "/dma_buf/bufinfo",
		"/proc/vmstat", "/proc/meminfo", "/proc/buddyinfo", "/proc/zoneinfo",
		"/proc/swaps", "/proc/slabinfo", "/proc/pagetypeinfo",
	};
	static const char *const of_device[] = { "chunks", "clients", "gem_names", "name" };
	static char path[64];
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(files); i++) {
		const char *file = files[(i + first) % ARRAY_LEN(files)];

		if (may_be_missing(file) && !file_exists(file))
			continue;
		if (stats_read_one(file))
			return file;
	}
	for (i = 0; i < ARRAY_LEN(of_device); i++) {
		snprintf(path, sizeof(path), DEBUGFS "/dri/%u/%s", minor, of_device[i]);
		if (stats_read_one(path))
			return path;
	}
	return NULL;
}
