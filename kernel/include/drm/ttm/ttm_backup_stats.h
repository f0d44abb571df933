/* SPDX-License-Identifier: MIT */
#ifndef _DRM_TTM_BACKUP_STATS_H_
#define _DRM_TTM_BACKUP_STATS_H_

#include <linux/types.h>

struct ttm_tt;

/**
 * struct ttm_backup_pages - resident and backed up pages of a struct ttm_tt
 * @resident: Base pages that TTM holds, those retained by a partial backup
 *	      included.
 * @backed_up: Base pages that are in the backup file.
 * @inserted: Those of @backed_up that were inserted without a copy.
 */
struct ttm_backup_pages {
	pgoff_t resident;
	pgoff_t backed_up;
	pgoff_t inserted;
};

void ttm_tt_backup_pages(const struct ttm_tt *tt, struct ttm_backup_pages *out);

#endif
