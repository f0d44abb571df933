/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What nearly every VM test needs: a device, and filled buffers on it. */
#ifndef FIXTURE_H
#define FIXTURE_H

#include "bo.h"
#include "cgroup.h"
#include "ktap.h"
#include "pattern.h"
#include "stat.h"
#include "swap.h"
#include "system.h"
#include "vttm.h"

struct gpu {
	int fd;
	unsigned int minor;
};

/* The bytes that buffers are filled with: this very program. */
const struct source *test_source(void);

/*
 * All of these report what goes wrong as a failure of the test; false says
 * that going on makes no sense.
 */
bool gpu_open_nth(struct gpu *g, unsigned int nth);
bool gpu_open(struct gpu *g);
bool bo_new(const struct gpu *g, struct bo *b, uint64_t size, uint32_t caching,
	    uint32_t seed);
/* with DRM_VTTM_CREATE_* */
bool bo_new_flags(const struct gpu *g, struct bo *b, uint64_t size, uint32_t caching,
		  uint32_t flags, uint32_t seed);
bool bo_fill(struct bo *b, uint32_t seed);
void bo_free(const struct gpu *g, struct bo *b);
bool bo_info(const struct gpu *g, const struct bo *b, struct vttm_state *i);
/* until no page is resident; small folios may stay in this processor's LRU batch */
bool bo_shrink(const struct gpu *g, const struct bo *b, bool writeback);
/* so do not, or a restore on another processor would copy them */
bool bo_backup(const struct gpu *g, const struct bo *b, bool writeback);
/* bytes as stored, seen through the CPU mapping; through the engine */
bool bo_check_map(const struct bo *b);
bool bo_check_engine(const struct gpu *g, const struct bo *b);
/* as a dma-buf that is for reading only: a debugger cannot write there, only to b->map */
void bo_check_read_only(int device, const struct bo *b);
/* "map" has the buffer without PROT_WRITE, which its task might add: a debugger can */
void bo_check_debugger_writes(const struct bo *b, const void *map);
bool bo_check_where(const struct gpu *g, const struct bo *b,
		    uint64_t resident, uint64_t backed_up, uint64_t inserted);

/* A folio, as the tracepoints of insertion and extraction tell of it. */
struct moved {
	uint64_t pfn;
	unsigned int order;
};

/* of that event, and nothing else, from now on */
bool trace_on(const char *event);
void trace_off(void);
/* how often the trace tells of it, with a text that begins like that */
unsigned int trace_count(const char *event, const char *text);
/* the folios that an event tells of */
unsigned int trace_moved(const char *event, struct moved *m, unsigned int max);

/*
 * TTM's fault injection: of every "interval" places where a backup or a restore
 * can fail, "probability" per cent do, "times" times, or -1 for ever.
 */
bool fault_inject(unsigned int probability, unsigned int interval, int times);
/* the first of these places are passed, then so many fail, or -1 for all */
bool fault_inject_after(unsigned int passed, int times);
void fault_inject_off(void);
/* all times are used up: what fails with -EINTR is retried where nobody sees it */
bool fault_injected(void);

/* Pages that came back since then, of all buffers there are, in which way; none merged. */
bool came_back(const struct backup_counters *then, uint64_t adopted,
	       uint64_t extracted, uint64_t copied);

/* tt_shrink() until all buffers are out, which are so many pages */
bool shrink_all(uint64_t pages);
/*
 * A job that has ended holds its buffers until a worker of the scheduler has freed it,
 * closed ones as well: wait until no more than so many pages are in use.
 */
bool active_falls_to(uint64_t pages);
/* ttm.pages_limit for a test; what it was comes back with limit_restore(). */
bool limit_set(uint64_t pages);
void limit_restore(void);
/* Raises the most to what is in use now, other than by pools. */
void active_peak(uint64_t *most);
/*
 * Reads buffers that are more than the limit again and again, by the engine as well if
 * there is a GPU: more than the limit is never in use. The most was so until now.
 */
void limit_check(const struct gpu *g, const struct bo *b, unsigned int nr, uint64_t limit,
		 uint64_t most);
/*
 * Has the only buffer swapped out, which takes a thousandth of it at most, or as much as
 * it is large where it is copied.
 */
void swapout_check_memory(const struct bo *b, bool copied);

/* out of memory into swap; after reclaim_prepare() */
bool bo_swap_out(const struct gpu *g, const struct bo *b);

const char *caching_name(uint32_t caching);

/*
 * A job over all of the buffers that takes far longer than the engine allows; it writes
 * the first word of the first one.
 */
int bo_keep_busy(const struct gpu *g, const struct bo *b, unsigned int nr,
		 uint32_t syncobj);

/*
 * A process that takes nearly all memory that is free. On hog_go() it takes so much more
 * than what was free, and exits; the result is that of waitpid().
 */
struct hog {
	pid_t pid;
	volatile uint32_t *state;
};

void hog_start(struct hog *h, uint64_t more);
void hog_go(struct hog *h);
int hog_end(struct hog *h);

/*
 * Before buffers are pushed out to swap with reclaim_all(): the test's own memory
 * stays, and what else can leave is gone, so that it does not count as theirs.
 */
bool reclaim_prepare(void);
/*
 * Pages of swap that others may have taken or given back since.
 * What of a buffer's is left there for good, ktap_run() finds.
 */
#define SWAP_OTHERS	16

/* Memory that backups and restores move to and fro. */
struct level {
	uint64_t shmem;
	uint64_t active;
	uint64_t swap;
};

void level_get(struct level *l);
/* Is it that again? What others have in shmem may have gone to swap meanwhile. */
bool level_is(const struct level *l);

/* What a program runs depends on what pages are swapped to and on ttm.zero_copy. */
struct test_table {
	const struct test *tests;
	unsigned int nr;
};

#define TEST_TABLE(t)	((struct test_table){ t, ARRAY_LEN(t) })

int run_by_swap(struct test_table zram, struct test_table disk,
		struct test_table file, struct test_table fragments,
		struct test_table copy);

#endif
