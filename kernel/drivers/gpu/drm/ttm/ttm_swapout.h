/* SPDX-License-Identifier: MIT */
#ifndef _TTM_SWAPOUT_H_
#define _TTM_SWAPOUT_H_

#include <linux/atomic.h>
#include <linux/gfp_types.h>
#include <linux/types.h>

struct ttm_device;
struct ttm_operation_ctx;
struct ttm_pool;
struct ttm_tt;

/**
 * struct ttm_swapout - a swapout on its way through the driver's unpopulate callback
 * @gfp: Allocation flags.
 * @pages: Number of pages that have gone to the backup file.
 * @err: Why not all of them have.
 * @taken: Whether the pages have come to ttm_pool_free().
 */
struct ttm_swapout {
	gfp_t gfp;
	long pages;
	int err;
	bool taken;
};

bool ttm_swapout_inserts(struct ttm_device *bdev, const struct ttm_tt *tt);
int ttm_swapout_insert(struct ttm_device *bdev, struct ttm_tt *tt, gfp_t gfp);
int ttm_swapout_restore(struct ttm_pool *pool, struct ttm_tt *tt,
			const struct ttm_operation_ctx *ctx);
bool ttm_swapout_take(struct ttm_pool *pool, struct ttm_tt *tt);
void ttm_swapout_release(struct ttm_tt *tt);

#if IS_ENABLED(CONFIG_KUNIT)
extern atomic_long_t ttm_pages_allocated;
#endif

#endif
