/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Allocations that fail: at random in what TTM does, or the n-th of a task. */
#ifndef INJECT_H
#define INJECT_H

#include <stdbool.h>

/*
 * From now on, allocations with TTM in their call chain fail this often, in
 * whichever task, and what TTM's own fault injection covers.
 */
void inject_start(unsigned int percent);
void inject_stop(void);
/* How many have failed since the start. */
unsigned long inject_count(void);

/*
 * The n-th of all places of this task that can fail is to fail, from now on.
 * Returns whether it did, when disarmed.
 */
void nth_prepare(void);
void nth_arm(unsigned int n);
bool nth_disarm(void);

#endif
