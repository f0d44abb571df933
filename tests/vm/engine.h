/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What the files of test-engine share. engine.c has the table of the tests. */
#ifndef ENGINE_H
#define ENGINE_H

#include "fixture.h"

/* as the driver has it */
#define MAX_JOBS	64

struct shared {
	volatile uint32_t count;
	volatile bool ready, go, stop;
};

int submit_fill(const struct gpu *g, const struct bo *b, uint32_t syncobj,
		uint64_t point, uint32_t value);
/* 1 if what the file stands for went well, a negative errno if not, 0 if it goes on */
int sync_file_status(int fd);
bool waits_for_fence(pid_t pid);
/*
 * A process that shrinks the device and waits for a busy buffer, with the buffer's lock
 * held. It has none of the files that others are to close.
 */
pid_t shrinker_start(const struct gpu *g, const struct bo *b);

/* engine_reclaim.c */
void kswapd_idle_left(void);
void kswapd_all_busy(void);
void never_idle(void);
void got_goes_on(void);
void export_of_locked(void);

/* engine_charge.c */
void untouched_are_charged(void);
void objects_are_charged(void);
void jobs_are_charged(void);

#endif
