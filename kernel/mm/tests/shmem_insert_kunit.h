/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Helpers of the KUnit tests of shmem_insert_folio() and shmem_extract_folio():
 * mounts, files and folios, the state of both, reclaim of a single folio, tasks that
 * race, and injection of faults.
 */
#ifndef _MM_TESTS_SHMEM_INSERT_KUNIT_H
#define _MM_TESTS_SHMEM_INSERT_KUNIT_H

#include <kunit/test.h>
#include <linux/fault-inject.h>
#include <linux/file.h>
#include <linux/highmem.h>
#include <linux/memcontrol.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/percpu_counter.h>
#include <linux/sched.h>
#include <linux/shmem_fs.h>
#include <linux/shmem_insert.h>
#include <linux/swap.h>
#include <linux/vmstat.h>

#include "../internal.h"

/* The gfp mask that reclaim passes; failslab does not ignore it. */
#define GFP_RECLAIM_INSERT	(GFP_ATOMIC | __GFP_NOWARN)

/* The gfp mask that an owner of detached folios would use */
#define EXTRACT_GFP	(GFP_HIGHUSER | __GFP_RECLAIMABLE | __GFP_NOWARN)

/* A zone that an owner may be bound to, if memory is also in the one above it */
#if defined(CONFIG_HIGHMEM)
#define INSERT_LOW_ZONE	ZONE_NORMAL
#define INSERT_LOW_GFP	GFP_KERNEL
#elif defined(CONFIG_ZONE_DMA32)
#define INSERT_LOW_ZONE	ZONE_DMA32
#define INSERT_LOW_GFP	(GFP_KERNEL | GFP_DMA32)
#endif

/* No folio is kept busy for longer than this. */
#define EXTRACT_PATIENCE	100000

/* Everything of a folio and a file that a refusal could have changed. */
enum insert_item {
	INSERT_FLAGS,
	INSERT_REFS,
	INSERT_MEMCG,
	INSERT_INDEX,
	INSERT_PRIVATE,
	INSERT_MAPPING,
	INSERT_FIRST_ENTRY,
	INSERT_LAST_ENTRY,
	INSERT_NRPAGES,
	INSERT_ALLOCED,
	INSERT_SWAPPED,
	INSERT_BLOCKS,
	INSERT_MOUNT_BLOCKS,
	INSERT_SIZE,
	INSERT_SHMEM,
	INSERT_SHMEM_THPS,
	INSERT_FILE_PAGES,
	INSERT_COMMITTED,
	INSERT_SWAPINS,
	INSERT_ITEMS,
};

struct insert_state {
	u64 items[INSERT_ITEMS];
};

/* Everything that counts pages that a file has, and that it has not any more */
enum extract_counter {
	EXTRACT_SHMEM,
	EXTRACT_SHMEM_THPS,
	EXTRACT_FILE_PAGES,
	EXTRACT_INACTIVE,
	EXTRACT_UNEVICTABLE,
	EXTRACT_ISOLATED,
	EXTRACT_BLOCKS,
	EXTRACT_MOUNT_BLOCKS,
	EXTRACT_ALLOCED,
	EXTRACT_SWAPPED,
	EXTRACT_NRPAGES,
	EXTRACT_COMMITTED,
	EXTRACT_COUNTERS,
};

struct extract_counters {
	s64 items[EXTRACT_COUNTERS];
};

enum extract_kind {
	EXTRACT_IT,
	EXTRACT_PUNCH,
	EXTRACT_UNUSE,
};

struct extract_racer {
	struct task_struct *task;
	enum extract_kind kind;
	struct file *file;
	pgoff_t index;
	unsigned int order;
	loff_t start, end;
	unsigned int type;
	unsigned int delay;	/* in microseconds, so that each wins at times */
	atomic_t *ready;
	struct folio *folio;
	int ret;
};

extern struct vfsmount *insert_always, *insert_within;
extern const char * const insert_items[INSERT_ITEMS];

void insert_unmount(void *mnt);
void insert_close(void *file);
void insert_put(void *folio);
struct vfsmount *insert_test_mount(struct kunit *test, int flags,
				   const char *key, const char *value);
struct vfsmount *insert_noswap_mount(struct kunit *test);
struct file *insert_keep_file(struct kunit *test, struct file *file);
struct file *insert_plain_file(struct kunit *test, struct vfsmount *mnt,
			       loff_t size);
struct file *insert_file_bytes(struct kunit *test, struct vfsmount *mnt,
			       loff_t size);
struct file *insert_memfd(struct kunit *test, loff_t size);
struct file *insert_shared_memory(struct kunit *test, loff_t size);
struct file *insert_shared_anonymous(struct kunit *test, loff_t size);
struct file *insert_file(struct kunit *test, struct vfsmount *mnt,
			 pgoff_t pages);
void insert_fill(struct folio *folio, u64 seed);
bool insert_differs(struct folio *folio, size_t page, size_t filled, u64 seed);
bool insert_intact(struct folio *folio, u64 seed);
bool insert_large_denied(void);
struct folio *insert_folio(struct kunit *test, struct file *file,
			   unsigned int order, u64 seed);
void insert_expect_read(struct kunit *test, struct file *file,
			pgoff_t index, unsigned int order, u64 seed);
unsigned int insert_max_order(void);
unsigned int insert_2mib_order(void);
unsigned int insert_swap_order(void);
long insert_node_stat(enum node_stat_item item);
unsigned long insert_vm_events(unsigned int first, unsigned int last);
long insert_pages_allocated(void);
void insert_get_state(struct insert_state *state, struct file *file,
		      struct folio *folio, pgoff_t index);
void insert_expect_same(struct kunit *test, const struct insert_state *a,
			const struct insert_state *b, const char *what);
void insert_expect_inserted(struct kunit *test, struct file *file,
			    struct folio *folio, pgoff_t index);
bool insert_reclaim(struct kunit *test, struct file *file,
		    struct folio *folio);
struct file *extract_file(struct kunit *test, struct vfsmount *mnt,
			  pgoff_t pages);
unsigned long extract_flags(struct folio *folio, unsigned long page);
void extract_expect_fresh(struct kunit *test, struct file *file,
			  struct folio *folio, const char *what);
void extract_get_counters(struct extract_counters *counters,
			  struct file *file);
void extract_expect_counters(struct kunit *test, struct file *file,
			     const struct extract_counters *base,
			     const char *what);
void insert_expect_refused(struct kunit *test, struct file *file,
			   struct folio *folio, pgoff_t index, gfp_t gfp,
			   int err, const char *what);
void insert_expect_misused(struct kunit *test, struct file *file,
			   struct folio *folio, const char *what);
struct folio *extract_insert(struct kunit *test, struct file *file,
			     unsigned int order, pgoff_t index, u64 seed);
struct folio *extract_ok(struct kunit *test, struct file *file, pgoff_t index,
			 unsigned int min_order, gfp_t gfp);
void extract_wait(unsigned int tries);
struct folio *extract_patiently(struct kunit *test, struct file *file,
				pgoff_t index, unsigned int min_order);

/* One that the folio is not on, whether there is such a node or not */
static inline int extract_other_node(struct folio *folio)
{
	return folio_nid(folio) ? 0 : 1;
}

int extract_error(struct file *file, pgoff_t index, unsigned int min_order,
		  int nid, gfp_t gfp);
void extract_expect_refused(struct kunit *test, struct file *file,
			    struct folio *folio, pgoff_t index,
			    unsigned int min_order, int nid, gfp_t gfp,
			    int err, const char *what);
void extract_expect_all_at(struct kunit *test, struct file *file,
			   pgoff_t index, pgoff_t nr, pgoff_t first, u64 seed);
void extract_expect_all(struct kunit *test, struct file *file,
			pgoff_t index, pgoff_t nr, u64 seed);
void extract_expect_reclaimable(struct kunit *test, struct folio *folio);
void extract_racer_acts(struct extract_racer *racer);
void extract_start(struct kunit *test, struct extract_racer *racer);
void extract_join(struct extract_racer *racer);
void *insert_fault_setting(const char *name, const char *setting);
struct fault_attr *insert_fault_attr(const char *name);
void insert_start_faults(struct fault_attr *attr,
			 struct fault_attr *old, int space);
void insert_stop_faults(struct fault_attr *attr,
			const struct fault_attr *old);
struct mem_cgroup *insert_memcg(struct kunit *test);
void insert_expect_usage(struct kunit *test, struct mem_cgroup *memcg,
			 unsigned long pages, const char *when);
int insert_suite_init(struct kunit_suite *suite);
void insert_suite_exit(struct kunit_suite *suite);
int insert_swap_init(struct kunit *test);

#endif /* _MM_TESTS_SHMEM_INSERT_KUNIT_H */
