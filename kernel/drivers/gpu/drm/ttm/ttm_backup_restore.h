/* SPDX-License-Identifier: MIT */
#ifndef _TTM_BACKUP_RESTORE_H_
#define _TTM_BACKUP_RESTORE_H_

#include <linux/gfp_types.h>
#include <linux/sizes.h>
#include <linux/types.h>

#include <asm/page.h>

struct file;
struct page;
struct ttm_operation_ctx;
struct ttm_pool;
struct ttm_tt;

/*
 * Pages to copy back before they are dropped, if their folios are not larger than that; in
 * between, they are in memory twice.
 */
#define TTM_RESTORE_DROP_BATCH	(SZ_64K >> PAGE_SHIFT)

/**
 * struct ttm_restore_attempt - state of an attempt to restore a struct ttm_tt
 * @max: The highest order to allocate.
 * @highest: The highest order that direct reclaim and compaction have not failed for.
 * @idx: Index of the chunk that is being restored.
 * @next: The highest order that no allocation for this chunk has failed for.
 * @taken: Index of the first page behind those that were extracted ahead of time.
 * @dropped: Index of the first page that may be in the backup file.
 * @copy: Whether this chunk has to be copied, to new chunks of any order.
 * @merge: Whether a larger chunk was tried, to merge this one with its neighbours.
 * @progress: Whether anything has been restored, so that a signal may interrupt it.
 */
struct ttm_restore_attempt {
	unsigned int max;
	unsigned int highest;
	pgoff_t idx;
	unsigned int next;
	pgoff_t taken;
	pgoff_t dropped;
	bool copy;
	bool merge;
	bool progress;
};

void ttm_backup_restore_no_memory(struct ttm_pool *pool, unsigned int order,
				  struct ttm_restore_attempt *attempt);
int ttm_backup_restore_page(struct file *backup, struct page *dst,
			    unsigned long handle, bool intr,
			    gfp_t additional_gfp);
void ttm_backup_restore_drop(struct ttm_tt *tt, struct ttm_restore_attempt *attempt,
			     pgoff_t next);
int ttm_backup_restore_chunk(struct ttm_pool *pool, struct ttm_tt *tt,
			     const struct ttm_operation_ctx *ctx, pgoff_t idx,
			     struct ttm_restore_attempt *attempt,
			     unsigned int *order);

#if IS_ENABLED(CONFIG_KUNIT)
int ttm_backup_restore_extract(struct ttm_pool *pool, struct ttm_tt *tt,
			       const struct ttm_operation_ctx *ctx, pgoff_t idx,
			       unsigned int min_order, bool effort, bool progress,
			       unsigned int *order);
#endif

#endif
