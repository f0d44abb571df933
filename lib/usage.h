/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What is in use of what may leak, to be compared before and after. */
#ifndef USAGE_H
#define USAGE_H

#include <stdbool.h>
#include <stdint.h>

struct usage {
	uint64_t shmem;
	uint64_t gpu_active;
	uint64_t gpu_pooled;
	uint64_t swap_used;
	uint64_t oom_kill;
};

/* TTM's pools are drained first. */
void usage_get(struct usage *u);
/*
 * The same while swap is off, which may take so many seconds, and then is as it was at the
 * first call. A note says why that cannot be had.
 */
bool usage_settle(struct usage *u, unsigned int seconds);
/* A note for each that is not as it was; processes killed count unless ktap_may_oom. */
bool usage_same(const struct usage *before, const struct usage *now);
bool amount_same(const char *what, uint64_t before, uint64_t now);

#endif
