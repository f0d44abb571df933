/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What bench-behave's tests share: the device, its buffers, and how they are called. */
#ifndef BEHAVE_H
#define BEHAVE_H

#include <stdio.h>

#include "bench.h"

#define MAX_BUFFERS	8192
#define THP		"/sys/kernel/mm/transparent_hugepage/enabled"

extern struct gpu gpu;
extern struct bo bos[MAX_BUFFERS];
extern unsigned int nr_bos;
extern uint64_t ram;		/* bytes */

/* ---- buffers ---- */

/* Buffers worth so many bytes, filled and mapped; every other one WC */
void fill_buffers(uint64_t bytes, uint64_t size, bool noise);
void unmap_buffers(void);
/*
 * die if one has not what was filled in; those that are not mapped, are then. What is
 * timed compares the stamps only.
 */
void look_at_buffers(void);
void check_buffers(void);
void free_buffers(void);

/* memory of a process, in 2 MiB pages where they are to be had, or in small ones */
uint8_t *map_anonymous(uint64_t size, bool huge);

/* ---- the trace: pages that the machine allocates and frees ---- */

struct pages_trace {
	int64_t pages;		/* in use now, above what was at the start */
	int64_t most;
	int64_t allocated;	/* in all */
};

/* write to a file of the tracer */
void tracing(const char *file, const char *value);
/* Empty the trace, which then has room for so many KiB for each processor. */
void trace_begin(unsigned int kib);
/* by the tracepoints of the page allocator, from now on */
void pages_trace_on(void);
/* Stop, and read what there is. Ends the program if something was lost. */
FILE *trace_end(void);
/* a line of it, which may be about something else */
void pages_trace_line(const char *line, struct pages_trace *t);
/* for atexit(); the buffer goes */
void pages_trace_off(void);

/* ---- results ---- */

/* In which way pages came back: members of an object of JSON */
void print_restored(const struct backup_counters *c);

/* ---- tests: what follows the name, and NULL; main() has counted them ---- */

void peak(char **values);
void reserve(char **values);
void hibernation(char **values);
void cycle(char **values);
void readback(char **values);
void latency(char **values);
void spinner(char **values);
void flush(char **values);
void churn(char **values);
void limit(char **values);
void pins(char **values);
void group(char **values);
void direct(char **values);
void held(char **values);
void oom(char **values);

#endif
