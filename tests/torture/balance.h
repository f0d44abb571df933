/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What the machine has in use, to be compared before and after: a page, a
 * charge, a swap slot or a file that somebody forgot shows up here.
 */
#ifndef BALANCE_H
#define BALANCE_H

#include <stdbool.h>
#include <stdint.h>

#include "usage.h"

struct balance {
	struct usage usage;
	uint64_t shmem_huge;	/* 2 MiB pages in shmem */
	uint64_t meminfo_shmem;	/* KiB, /proc/meminfo */
	uint64_t writeback;
	uint64_t dying_cgroups;	/* something is still charged to them */
	uint64_t files;
	uint64_t owned;		/* pages with TTM in the stack of their allocation */
	uint64_t listless;	/* folios that nobody has: no list, no charge */
	uint64_t fileless;	/* pages on such a list that are in no file */
	int64_t unaccounted;	/* pages that no counter knows; some are counted twice */
	bool has_owned;
	bool has_listless;
};

/*
 * Everything that can be given back is, first: swap is emptied, TTM's pools and
 * the caches are drained. Reports a failure of the test if that cannot be done.
 */
bool balance_take(struct balance *b);

/* Wait until it is as before; all differences together are a failure. */
void balance_check(const struct balance *before);

/* kmemleak: forget what it has seen; report what it sees. No-ops without it. */
void leaks_forget(void);
bool leaks_check(void);

#endif
