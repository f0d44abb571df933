/* SPDX-License-Identifier: MIT */
#ifndef _TTM_BACKUP_RESTORE_H_
#define _TTM_BACKUP_RESTORE_H_

#include <linux/gfp_types.h>
#include <linux/types.h>

struct file;
struct page;
struct ttm_operation_ctx;
struct ttm_pool;
struct ttm_tt;

int ttm_backup_restore_page(struct file *backup, struct page *dst,
			    unsigned long handle, bool intr,
			    gfp_t additional_gfp);
int ttm_backup_restore_chunk(struct ttm_pool *pool, struct ttm_tt *tt,
			     const struct ttm_operation_ctx *ctx, pgoff_t idx,
			     bool extract, bool progress, unsigned int *order);

#if IS_ENABLED(CONFIG_KUNIT)
int ttm_backup_restore_extract(struct ttm_pool *pool, struct ttm_tt *tt,
			       const struct ttm_operation_ctx *ctx, pgoff_t idx,
			       bool progress, unsigned int *order);
#endif

#endif
