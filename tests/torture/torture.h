/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The processes of test-torture: those that use buffers, and those that make it hard. */
#ifndef TORTURE_H
#define TORTURE_H

#include <stdatomic.h>
#include <stdint.h>

#include "model.h"

#define GROUPS		3
#define MAX_WORKERS	16

enum op {
	OP_CREATE, OP_DESTROY, OP_WRITE, OP_CHECK, OP_CHECK_ALL, OP_PEEK,
	OP_ENGINE_FILL, OP_ENGINE_COPY, OP_ENGINE_CRC, OP_WAIT, OP_INFO,
	OP_DONTNEED, OP_WILLNEED, OP_SHRINK, OP_PURGE, OP_REMAP, OP_PRIME,
	OP_FORK, OP_REOPEN,
	NR_OPS
};

struct op_kind {
	const char *name;
	unsigned int weight;
};

extern const struct op_kind ops[NR_OPS];

/* What all processes share. */
struct shared {
	atomic_bool stop;
	atomic_bool failed;
	uint64_t vram_pages;		/* of the device */
	atomic_ulong ops[NR_OPS];
	atomic_ulong pages_checked;
	atomic_ulong purged;
	atomic_ulong no_memory;
	atomic_ulong in_vram;		/* buffers for VRAM when they were looked at, */
	atomic_ulong evicted;		/* and those in system memory */
	atomic_ulong kills;
	atomic_ulong respawns;
	atomic_ulong disturbances;
	atomic_ulong swap_cycles;
	atomic_ulong swap_refused;
	atomic_ulong shrinks;
	atomic_ulong reads;
	atomic_int workers[MAX_WORKERS];	/* their processes */
};

extern struct shared *sh;
extern uint64_t seed;
extern unsigned int fault_percent;
/* that a worker may hold, and which one this is: the how many-eth in its place */
extern uint64_t worker_pages;
extern unsigned int slot, generation;

/* The memory cgroups that workers are in. */
void group_name(char *name, size_t len, unsigned int nr);

/* Each in a process of its own, until sh->stop. */
void worker(void) __attribute__((noreturn));
void shrinker(void) __attribute__((noreturn));
void disturber(void) __attribute__((noreturn));
void reader(void) __attribute__((noreturn));

#endif
