/* SPDX-License-Identifier: MIT */
#ifndef _TTM_BACKUP_INSERT_H_
#define _TTM_BACKUP_INSERT_H_

#include <linux/gfp_types.h>
#include <linux/types.h>

struct ttm_pool;
struct ttm_tt;

long ttm_backup_insert_charged(struct ttm_pool *pool, struct ttm_tt *tt,
			       bool writeback, pgoff_t num_pages, gfp_t gfp,
			       int *err);
long ttm_backup_insert_tt(struct ttm_pool *pool, struct ttm_tt *tt,
			  bool writeback, pgoff_t num_pages, gfp_t gfp, int *err);

#endif
