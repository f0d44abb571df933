/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * Helpers for the programs that drive the vttm device: the demo, the VM tests
 * and the benchmarks.
 *
 * Functions that return int return 0 or a negative errno, unless said
 * otherwise. Functions that read a counter end the program with one line when
 * the counter does not exist: a figure that is silently zero would let a test
 * pass that checks nothing.
 */
#ifndef VTTM_UTIL_H
#define VTTM_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <drm.h>
#include <vttm_drm.h>

#define PAGE		4096UL
#define KiB		((uint64_t)1 << 10)
#define MiB		((uint64_t)1 << 20)
#define PAGES(bytes)	(((bytes) + PAGE - 1) / PAGE)
#define PMD_PAGES	512UL
#define PMD_NR		9
#define ARRAY_LEN(a)	(sizeof(a) / sizeof((a)[0]))

void die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* What init may not have mounted yet; harmless when it has. */
void mount_all(void);

/* ---- processes ---- */

/* Ends the program when it fails, and leaves no output that both would print. */
pid_t fork_or_die(void);
/* the calling thread, on that processor only */
int run_on(int cpu);

/* ---- command line ---- */

/* of any base that C has; ends the program with one line if it is none up to the most */
uint64_t parse_number(const char *what, const char *text, uint64_t max);

/* ---- files ---- */

int write_file(const char *path, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* NUL-terminated contents in a static buffer, NULL when it cannot be read */
const char *read_file(const char *path);
bool file_exists(const char *path);

/* ---- counters ---- */

uint64_t vmstat(const char *name);
/* sum of all counters whose name starts with the prefix */
uint64_t vmstat_sum(const char *prefix);
uint64_t meminfo_kib(const char *name);
/* free memory in blocks of 2 MiB that are whole, all zones */
uint64_t free_order9(void);
bool have_backup_stats(void);
uint64_t backup_stat(const char *name);
/* sum of all counters whose name starts with the prefix */
uint64_t backup_stat_sum(const char *prefix);
uint64_t now_ns(void);

struct backup_counters {
	uint64_t inserted;
	uint64_t order[PMD_NR + 1];
	uint64_t copied;
	uint64_t restored_adopted;
	uint64_t restored_extracted;
	uint64_t restored_merged;
	uint64_t restored_copied;
	uint64_t retained;
	uint64_t refused;
	uint64_t extract_refused;
};

void backup_counters(struct backup_counters *c);
/* now - then, field by field */
void backup_counters_since(const struct backup_counters *then,
			   struct backup_counters *out);
/* base pages that came back, in whichever way */
uint64_t restored_pages(const struct backup_counters *c);

/* 2 MiB folios that were read from swap as such */
uint64_t huge_swapins(void);

/* as booted: ttm.zero_copy= */
bool zero_copy_get(void);

/*
 * The administrator's word on huge pages of shmem: deny, force, never... What it
 * is now, in a static buffer; NULL where there are no huge pages.
 */
const char *shmem_enabled_get(void);
int shmem_enabled_set(const char *policy);

/* ---- swap ---- */

#define MAX_SWAPS	4
struct swap_list {
	unsigned int nr;
	char dev[MAX_SWAPS][64];
};

void swap_list(struct swap_list *l);
/* What the first of them is; ends the program when there is none */
enum swap_kind {
	SWAP_ZRAM,
	SWAP_DISK,
	SWAP_FILE,	/* mostly in pieces of 2 MiB and more */
	SWAP_FRAGMENTS,	/* a file that is in smaller ones */
};
enum swap_kind swap_kind(void);
/* -EINTR when swapoff made no end within the time: slots without an owner */
int swap_all_off(const struct swap_list *l, unsigned int timeout_s);
int swap_all_on(const struct swap_list *l);
uint64_t swap_used_pages(void);
/* that zram has refused; 0 where there is none */
uint64_t zram_failed_writes(void);
/* wait until nothing is under writeback */
void writeback_settle(void);
/*
 * Get single pages out of all processors' batches of LRU operations: what waits
 * in that of another one is restored by a copy.
 */
void lru_drain(void);

/* ---- memory cgroups ---- */

/* make the group and enable the memory controller for it */
int cg_create(const char *name);
int cg_remove(const char *name);
/* move the calling process */
int cg_enter(const char *name);
/* "." is the root */
int cg_write(const char *name, const char *file, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
uint64_t cg_read(const char *name, const char *file);
/* a "key value" line of one of the group's files */
uint64_t cg_read_key(const char *name, const char *file, const char *key);
/*
 * Reclaim so much of anonymous memory and shmem, whoever it is charged to; what is
 * backed up is charged to the root. This calls the shrinkers too. -EAGAIN when it
 * was less.
 */
int reclaim(uint64_t bytes);
/* until nothing is left in memory that can leave it, the shmem of tmpfs as well */
void reclaim_all(void);

/* ---- the device ---- */

/* nth vttm device; *minor is what debugfs calls it. fd or -errno */
int vttm_open(unsigned int nth, unsigned int *minor);

int vttm_ioctl(int fd, unsigned long request, void *arg);
int vttm_create(int fd, uint64_t *size, uint32_t caching, uint32_t *handle);
/* with DRM_VTTM_CREATE_* */
int vttm_create_flags(int fd, uint64_t *size, uint32_t caching, uint32_t flags,
		      uint32_t *handle);
int vttm_close(int fd, uint32_t handle);
void *vttm_map(int fd, uint32_t handle, uint64_t size);
/* What the device says of a buffer, and where its pages are, from debugfs */
struct vttm_state {
	uint32_t caching;
	uint32_t flags;		/* DRM_VTTM_INFO_* */
	uint64_t size;
	uint64_t resident_pages;
	uint64_t backed_up_pages;
	uint64_t inserted_pages;	/* of those backed up, the ones that were not copied */
};

int vttm_info(int fd, uint32_t handle, struct vttm_state *state);
int vttm_madvise(int fd, uint32_t handle, uint32_t madv, uint32_t *retained);
int vttm_submit(int fd, const struct drm_vttm_op *ops, unsigned int nr);
/* for so long from now; 0 polls, negative waits for ever */
int vttm_wait(int fd, uint32_t handle, int64_t timeout_ns);
/* CRC-32 of the whole buffer object as the engine reads it */
int vttm_crc(int fd, uint32_t handle, uint64_t size, uint32_t *crc);
/* booted with vttm.shrinker=0: it is TTM that swaps out, by itself or for tt_shrink() */
bool vttm_has_shrinker(void);
/*
 * One read of ttm/tt_shrink in debugfs: pages swapped out, of one buffer of any
 * device; 0 if there is none, or a negative errno
 */
int64_t tt_shrink(void);
/*
 * One write to the debugfs shrink file, or as many of tt_shrink() as it takes; pages
 * done in *done
 */
int vttm_shrink(unsigned int minor, uint64_t pages, bool writeback,
		uint64_t *done);
/* resident base pages by the order of the chunk that they lie in; how many orders */
unsigned int vttm_chunks(unsigned int minor, uint64_t *pages, unsigned int orders);
/* as vttm_shrink(), freeing what was given up with madvise instead */
int vttm_purge(unsigned int minor, uint64_t pages, uint64_t *done);
/* give the pages that TTM's pools keep back to the system */
void pools_drain(void);

/* ---- contents ---- */

/* The next of a series of words that do not compress; the state is not 0. */
uint64_t xorshift(uint64_t *state);

/*
 * Real bytes, cut from files, with every page made unique: see
 * pattern_page().
 */
struct source {
	uint8_t *data;
	size_t len;
};

int source_add(struct source *s, const char *path);

uint32_t crc32_update(uint32_t crc, const void *data, size_t len);
void pattern_page(const struct source *s, uint32_t seed, uint64_t page,
		  uint8_t *dst);
/* fill and return the CRC-32 of what was meant to be stored */
uint32_t pattern_fill(const struct source *s, uint32_t seed, void *map,
		      uint64_t size);
/* first page that differs from what pattern_fill() stored, or -1 */
int64_t pattern_check(const struct source *s, uint32_t seed, const void *map,
		      uint64_t size);
/* who the page was made for, by its stamp; false when it carries none */
bool pattern_owner(const void *page, uint32_t *seed, uint64_t *nr);

/* A read that may raise SIGBUS: false when it did. */
bool peek32(const volatile void *addr, uint32_t *value);
/* The handler that peek32() installs, for a handler that replaces it to call. */
void peek_sigbus(int sig);

#endif
