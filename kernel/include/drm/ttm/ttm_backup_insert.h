/* SPDX-License-Identifier: MIT */
#ifndef _TTM_BACKUP_INSERT_H_
#define _TTM_BACKUP_INSERT_H_

#include <linux/types.h>

struct ttm_tt;

/**
 * struct ttm_backup_pages - where the pages of a struct ttm_tt are
 * @resident: Base pages that TTM holds, those retained by a partial backup
 *	      included.
 * @backed_up: Base pages that are in the backup file.
 * @inserted: Those of @backed_up that were handed over without a copy.
 * @adopted: Base pages that restores have found retained, by a backup or by a
 *	     restore that failed, since the struct ttm_tt exists.
 * @extracted: Base pages that restores have taken out of the backup file.
 * @copied: Base pages that restores have copied to new pages.
 */
struct ttm_backup_pages {
	pgoff_t resident;
	pgoff_t backed_up;
	pgoff_t inserted;
	pgoff_t adopted;
	pgoff_t extracted;
	pgoff_t copied;
};

bool ttm_tt_backup_resumable(const struct ttm_tt *tt);
void ttm_tt_backup_pages(const struct ttm_tt *tt, struct ttm_backup_pages *out);

#endif
