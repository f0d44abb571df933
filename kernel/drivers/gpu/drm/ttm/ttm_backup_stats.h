/* SPDX-License-Identifier: MIT */
#ifndef _TTM_BACKUP_STATS_H_
#define _TTM_BACKUP_STATS_H_

#include <linux/atomic.h>
#include <linux/mmzone.h>
#include <linux/types.h>

struct dentry;
struct ttm_tt;

/**
 * enum ttm_restore_how - how a chunk was restored
 * @TTM_RESTORE_COPIED: Copied to new pages.
 * @TTM_RESTORE_ADOPTED: It had been retained, and is used as it is.
 * @TTM_RESTORE_EXTRACTED: Taken out of the backup file.
 * @TTM_RESTORE_MERGED: Copied to a larger chunk, because the folios of the backup
 *			file were smaller than the device works best with.
 * @TTM_RESTORE_NUM: Number of ways.
 */
enum ttm_restore_how {
	TTM_RESTORE_COPIED,
	TTM_RESTORE_ADOPTED,
	TTM_RESTORE_EXTRACTED,
	TTM_RESTORE_MERGED,
	TTM_RESTORE_NUM,
};

struct ttm_backup_stats {
	atomic_long_t inserted_pages;
	atomic_long_t inserted_folios[NR_PAGE_ORDERS];
	atomic_long_t copied;
	atomic_long_t restored[TTM_RESTORE_NUM];
	atomic_long_t cancelled;
	atomic_long_t retained;
};

#if IS_ENABLED(CONFIG_KUNIT)
extern struct ttm_backup_stats ttm_backup_stats;
#endif

void ttm_backup_stats_inserted(const struct ttm_tt *tt, pgoff_t idx,
			       unsigned int order);
void ttm_backup_stats_copied(const struct ttm_tt *tt, pgoff_t idx, pgoff_t nr);
void ttm_backup_stats_retained(pgoff_t nr);
void ttm_backup_stats_restored(const struct ttm_tt *tt, pgoff_t idx,
			       unsigned int order, enum ttm_restore_how how);
void ttm_backup_stats_cancelled(void);
void ttm_backup_stats_insert_refused(int err);
void ttm_backup_stats_extract_refused(int err);
void ttm_backup_stats_init(struct dentry *root);

#endif
