/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Counters of the kernel: of memory, and of TTM's backups. */
#ifndef STAT_H
#define STAT_H

#include <stdbool.h>
#include <stdint.h>

#include "system.h"

uint64_t vmstat(const char *name);
/* sum of all counters whose name starts with the prefix */
uint64_t vmstat_sum(const char *prefix);
uint64_t meminfo_kib(const char *name);
/* more than any kernel has */
#define FREE_ORDERS	16
/* how many blocks of each order are free; "dma": also in the zone kept for devices of old */
void free_blocks(uint64_t nr[FREE_ORDERS], bool dma);
/* free memory in blocks of 2 MiB that are whole, all zones */
uint64_t free_2mib(void);
/* of folios of 2 MiB: swpin, those that were read from swap as such, and so on */
uint64_t stat_2mib(const char *name);

/* as booted: ttm.zero_copy= */
bool zero_copy_get(void);

bool have_backup_stats(void);
uint64_t backup_stat(const char *name);
/* sum of all counters whose name starts with the prefix */
uint64_t backup_stat_sum(const char *prefix);

struct backup_counters {
	uint64_t inserted;
	uint64_t order[PMD_NR + 1];
	uint64_t copied;
	uint64_t restored_adopted;
	uint64_t restored_extracted;
	uint64_t restored_merged;
	uint64_t restored_copied;
	uint64_t retained;
	uint64_t refused;
	uint64_t extract_refused;
};

void backup_counters(struct backup_counters *c);
/* now - then, field by field */
void backup_counters_since(const struct backup_counters *then,
			   struct backup_counters *out);
/* The path if it cannot be read, or says nothing, with errno; else NULL */
const char *stats_read_one(const char *path);
/*
 * Reads all that there are of TTM, of memory, and of the device of that number, beginning
 * with the "first" of them: NULL, or as above.
 */
const char *stats_read(unsigned int minor, unsigned int first);

/* base pages that came back, in whichever way */
uint64_t restored_pages(const struct backup_counters *c);

#endif
