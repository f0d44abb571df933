/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What bench-behave's tests share: the device, its buffers, and how they are called. */
#ifndef BEHAVE_H
#define BEHAVE_H

#include "bench.h"

#define MAX_BUFFERS	8192

extern struct gpu gpu;
extern struct bo bos[MAX_BUFFERS];
extern unsigned int nr_bos;
extern uint64_t ram;		/* bytes */

/* ---- buffers ---- */

/* Buffers worth so many bytes, filled and mapped; every other one WC */
void fill_buffers(uint64_t bytes, uint64_t size, bool noise);
void unmap_buffers(void);
/* die if one has not what was filled in; those that are not mapped, are then */
void check_buffers(void);
void free_buffers(void);

/* ---- results ---- */

/* In which way pages came back: members of an object of JSON */
void print_restored(const struct backup_counters *c);

/* ---- tests: what follows the name, and NULL; main() has counted them ---- */

void peak(char **values);
void reserve(char **values);
void cycle(char **values);
void readback(char **values);
void latency(char **values);
void spinner(char **values);
void flush(char **values);
void churn(char **values);
void pins(char **values);
void group(char **values);
void direct(char **values);
void held(char **values);
void oom(char **values);

#endif
