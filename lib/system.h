/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * The machine that a program runs in: its files, its processes.
 *
 * In all of lib/, functions that return int return 0 or a negative errno, unless said
 * otherwise. Functions that read a counter end the program with one line when the
 * counter does not exist: a figure that is silently zero would let a test pass that
 * checks nothing.
 */
#ifndef SYSTEM_H
#define SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Programs are built for one size of pages; see tests/vm/programs.mk for other ones. */
#ifndef PAGE
#define PAGE		4096UL
#endif
#define KiB		((uint64_t)1 << 10)
#define MiB		((uint64_t)1 << 20)
#define PAGES(bytes)	(((bytes) + PAGE - 1) / PAGE)
/* 2 MiB, which are TTM's largest chunks; a PMD maps them where pages have 4 KiB */
#define PMD_PAGES	(0x200000 / PAGE)
#define PMD_NR		__builtin_ctzl(PMD_PAGES)
#define ARRAY_LEN(a)	(sizeof(a) / sizeof((a)[0]))

#define DEBUGFS		"/sys/kernel/debug"
#define CGROUP		"/sys/fs/cgroup"
#define TRACING		"/sys/kernel/tracing"

void die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* What init may not have mounted yet; harmless when it has. */
void mount_all(void);

/* ---- processes ---- */

/* Ends the program when it fails, and leaves no output that both would print. */
pid_t fork_or_die(void);
/* Zeroed, and shared with children to come; ends the program when there is none. */
void *shared_memory(size_t size);
/* the calling thread, on that processor only */
int run_on(int cpu);
uint64_t now_ns(void);

/* ---- command line ---- */

/* of any base that C has; ends the program with one line if it is none, or not in range */
uint64_t parse_number(const char *what, const char *text, uint64_t min, uint64_t max);

/* ---- files ---- */

bool file_exists(const char *path);
int write_str(const char *path, const char *text);
int write_file(const char *path, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* NUL-terminated contents in a static buffer, NULL when it cannot be read */
const char *read_file(const char *path);
/* the same, but ends the program then */
const char *must_read(const char *path);
/* value of the line "name value" or "name: value" */
bool find_key(const char *text, const char *name, uint64_t *value);
uint64_t must_find(const char *path, const char *name);

/* Empty the trace of all that has been recorded. */
int trace_clear(void);

/*
 * The administrator's word on huge pages of shmem: deny, force, never... What it
 * is now, in a static buffer; NULL where there are no huge pages.
 */
const char *shmem_enabled_get(void);
int shmem_enabled_set(const char *policy);

#endif
