/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What the two programs of the bench share: a GPU that may be vttm or, with
 * dumb buffers, that of any other driver, and memory whose free blocks are of
 * a chosen order. On top of lib/.
 *
 * Functions end the program with one line when something is in the way: a
 * figure that is not what it says is worse than none.
 */
#ifndef BENCH_H
#define BENCH_H

#include "bo.h"
#include "cgroup.h"
#include "stat.h"
#include "swap.h"
#include "system.h"
#include "vttm.h"

/* ---- the GPU ---- */

struct gpu {
	int fd;
	unsigned int minor;
	/*
	 * Not vttm, or not to be treated as such: only what any driver has is
	 * used, dumb buffers, and the system's shrinkers are called all
	 * together by vm.drop_caches.
	 */
	bool dumb;
	/* vttm.shrinker=0: TTM swaps out. */
	bool swapout;
};

/* node NULL: the first vttm device */
void gpu_open(struct gpu *g, const char *node, bool dumb);
/* caching is for vttm; a dumb buffer has what its driver gives it */
void gpu_create(const struct gpu *g, struct bo *b, uint64_t size,
		uint32_t caching);
void gpu_close(const struct gpu *g, struct bo *b);
/* at NULL: anywhere */
void gpu_map(const struct gpu *g, struct bo *b, void *at);
/*
 * Run the shrinker for at least so many pages, or have TTM swap them out where there
 * is none. Returns 0 or a negative errno.
 */
int gpu_shrink(const struct gpu *g, uint64_t pages, bool writeback);
/* Back up at least so many pages. Returns how many left the GPU's hands. */
uint64_t gpu_backup(const struct gpu *g, uint64_t pages, bool writeback);
/* base pages that GPUs hold now, all devices */
uint64_t gpu_active(void);

/* ---- contents: a stamp in each page, and bytes that compress or do not ---- */

void fill_page(void *page, uint32_t seed, uint64_t nr, bool noise);
/* die if a byte of a page is not what fill_page() left there */
void check_page(const void *page, uint32_t seed, uint64_t nr);
/* the pages of a buffer; both restore it: look() compares the stamps, check() all bytes */
void fill(struct bo *b, uint32_t seed, bool noise);
void look(const struct bo *b, uint32_t seed);
void check(const struct bo *b, uint32_t seed);

/* die if this cannot run on that processor, and on no other from now on */
void stay_on(int cpu);

/* for qsort() of uint64_t */
int by_value(const void *a, const void *b);

/* ---- memory ---- */

/* write to a file below /proc/sys/vm that is put back at exit */
void sysctl_set(const char *name, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
uint64_t sysctl_get(const char *name);

/*
 * Take nearly all memory and give back every other block of an order, so that
 * the largest that can be allocated is of that order. The helper's buffers fill
 * what is larger.
 */
struct fragments;
struct fragments *fragment(const struct gpu *helper, unsigned int order);
/* take what larger ones others have given back since */
void fragment_again(const struct gpu *helper, struct fragments *f);
void unfragment(const struct gpu *helper, struct fragments *f);
/* free blocks of at least that order that are for general use */
uint64_t free_from(unsigned int order);
/* memory that is taken and locked, in whole pages */
void *eat(uint64_t bytes);

#endif
