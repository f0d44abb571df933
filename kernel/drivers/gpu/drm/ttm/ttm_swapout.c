// SPDX-License-Identifier: MIT
/*
 * Swapout of a struct ttm_tt by handing its folios to shmem, for drivers without a
 * shrinker of their own.
 *
 * Their unpopulate callback takes the pages out of the GART and all other
 * mappings, and ends in ttm_pool_free(). Their populate callback begins with
 * ttm_pool_alloc(). So these two functions move the pages to a backup file
 * instead of freeing them, and back from it instead of allocating new ones, and
 * no driver has to be changed for that.
 */

#include <linux/bug.h>
#include <linux/err.h>
#include <linux/errno.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/math.h>
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include <linux/xarray.h>

#include <drm/ttm/ttm_backup.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_device.h>
#include <drm/ttm/ttm_pool.h>
#include <drm/ttm/ttm_tt.h>

#include "ttm_backup_file.h"
#include "ttm_backup_insert.h"
#include "ttm_backup_stats.h"
#include "ttm_pool_internal.h"
#include "ttm_swapout.h"

/**
 * ttm_swapout_inserts() - whether a struct ttm_tt is swapped out by insertion
 * @bdev: The TTM device.
 * @tt: The struct ttm_tt.
 *
 * Pages from the DMA API cannot be handed to shmem.
 *
 * Context: Any context.
 * Return: true if ttm_swapout_insert() can be used.
 */
bool ttm_swapout_inserts(struct ttm_device *bdev, const struct ttm_tt *tt)
{
	return !ttm_pool_uses_dma_alloc(&bdev->pool) &&
	       !(tt->page_flags & TTM_TT_FLAG_DECRYPTED) &&
	       ttm_backup_file_takes_folios(ttm_backup_file_for(tt));
}

/*
 * Insert the pages in memory, which are write-back cached and not mapped.
 * Returns the number of pages that were inserted. Whoever needs memory is charged for
 * them, as for a copy: what is beyond ttm.pages_limit must not be beyond the limit of
 * a memcg as well.
 */
static long ttm_swapout_pages(struct ttm_pool *pool, struct ttm_tt *tt,
			      struct ttm_swapout *swapout)
{
	return ttm_backup_insert_charged(pool, tt, false, tt->num_pages, swapout->gfp,
					 &swapout->err);
}

/**
 * ttm_swapout_take() - swap out the pages that a driver frees
 * @pool: The pool that the driver allocated them from.
 * @tt: The struct ttm_tt, in ttm_swapout_insert().
 *
 * Called by ttm_pool_free(). The pages are write-back cached already.
 *
 * Context: Process context, may sleep.
 * Return: false if the pages are from the DMA API and must be freed after all.
 * ttm_swapout_inserts() is false for drivers with such pages, so this is a bug.
 */
bool ttm_swapout_take(struct ttm_pool *pool, struct ttm_tt *tt)
{
	if (WARN_ON_ONCE(ttm_pool_uses_dma_alloc(pool)))
		return false;

	if (tt->dma_address)
		ttm_pool_unmap_tt(pool, tt, tt->num_pages);

	tt->swapout->pages = ttm_swapout_pages(pool, tt, tt->swapout);
	tt->swapout->taken = true;

	return true;
}

/* Have the driver give up all pages, and take them. */
static long ttm_swapout_unpopulate(struct ttm_device *bdev, struct ttm_tt *tt,
				   struct ttm_swapout *swapout)
{
	struct mem_cgroup *old_memcg;
	struct file *backup;
	int ret;

	/*
	 * A file for this swapout only: what has been committed for a file counts
	 * for as long as it is there. Like the buffer object, the file belongs to
	 * somebody else, so do not charge the current task for it.
	 */
	old_memcg = set_active_memcg(root_mem_cgroup);
	backup = ttm_backup_file_create((loff_t)tt->num_pages << PAGE_SHIFT);
	set_active_memcg(old_memcg);
	if (IS_ERR_OR_NULL(backup))
		return backup ? PTR_ERR(backup) : -ENOMEM;

	/* The last step that can fail without leaving pages retained */
	if (tt->caching != ttm_cached) {
		if (ttm_pool_tt_set_wb(&bdev->pool, tt, tt->num_pages)) {
			ret = -EBUSY;
			goto err_fini;
		}
	}

	tt->backup = backup;
	tt->swapout = swapout;
	ttm_tt_unpopulate(bdev, tt);
	tt->swapout = NULL;

	/* If the driver did not call ttm_pool_free(), the pages are lost. */
	if (WARN_ON_ONCE(!swapout->taken)) {
		tt->backup = NULL;
		ret = -EIO;
		goto err_fini;
	}

	ttm_tt_set_backed_up(tt);

	return swapout->pages;

err_fini:
	ttm_backup_fini(backup);
	return ret;
}

/**
 * ttm_swapout_insert() - swap out a struct ttm_tt by insertion
 * @bdev: The TTM device.
 * @tt: The struct ttm_tt, populated, or backed up in part. Its buffer object is
 *	reserved and idle, not mapped to user space, and in no memory type but
 *	TTM_PL_SYSTEM.
 * @gfp: Flags for xarray nodes, and for single pages where something has to be
 *	 copied.
 *
 * Pages that cannot be inserted now are retained: they stay in memory, and the
 * next call goes on with them. Populating @tt brings all pages back.
 *
 * Context: Process context, may sleep, not in reclaim.
 * Return: Number of pages inserted, at least 1; -EBUSY if there were none, and
 * @tt is as it was, or all pages are retained; -EDQUOT if that is because the memcg has
 * no room for any of its chunks, and hardly for those of others; -EIO if the driver has
 * freed its pages by itself; or the error that no file could be created with.
 */
int ttm_swapout_insert(struct ttm_device *bdev, struct ttm_tt *tt, gfp_t gfp)
{
	struct ttm_swapout swapout = { .gfp = gfp };
	pgoff_t resident = tt->num_pages;
	long ret;

	/* The pages that a failed restore could not give back are mapped for DMA. */
	if (tt->restore)
		return -EBUSY;

	if (ttm_tt_is_backed_up(tt)) {
		resident = tt->retained;
		ret = ttm_swapout_pages(&bdev->pool, tt, &swapout);
	} else {
		ret = ttm_swapout_unpopulate(bdev, tt, &swapout);
	}
	if (ret < 0)
		return ret;

	tt->retained = resident - ret;
	if (ret)
		return ret;

	return swapout.err == -EDQUOT ? -EDQUOT : -EBUSY;
}

/* How many of the @nr pages from @idx on are in the backup file as well? */
static pgoff_t ttm_swapout_pages_in_file(const struct ttm_tt *tt, pgoff_t idx,
					 pgoff_t nr)
{
	pgoff_t i, in_file = 0;

	for (i = 0; i < nr; i++)
		in_file += !!xa_load(&tt->backup->f_mapping->i_pages, idx + i);

	return in_file;
}

/*
 * A folio that is copied back is dropped with its last page. If @next could not be
 * copied, free the copies of the pages before it whose folio is in the file.
 * Extracted chunks have no other copy, and are left as they are.
 */
static void ttm_swapout_undo_copies(struct ttm_pool *pool, struct ttm_tt *tt,
				    pgoff_t next)
{
	struct page *page = next < tt->num_pages ? tt->pages[next] : NULL;
	unsigned long handle;
	pgoff_t i, j, nr;

	if (!page || !ttm_backup_page_ptr_is_handle(page))
		return;

	handle = ttm_backup_page_ptr_to_handle(page);
	if (!ttm_backup_handle_inserted(handle))
		return;

	for (i = round_down(next, 1UL << ttm_backup_handle_order(handle)); i < next; i += nr) {
		unsigned int order;
		pgoff_t in_file;

		page = tt->pages[i];
		order = ttm_pool_page_order(pool, page);
		nr = 1UL << order;
		in_file = ttm_swapout_pages_in_file(tt, i, nr);
		/* A part of a folio can only leave in single pages. */
		if (in_file && in_file < nr) {
			ttm_pool_split_for_swap(pool, page);
			order = 0;
			nr = 1;
			in_file = ttm_swapout_pages_in_file(tt, i, nr);
		}
		if (!in_file)
			continue;

		page->private = 0;
		ttm_pool_put_pages(page, order, false);
		for (j = i; j < i + nr; j++)
			tt->pages[j] = ttm_backup_handle_to_page_ptr(handle - (next - j));
	}
}

/**
 * ttm_swapout_restore() - populate a struct ttm_tt that has been swapped out
 * @pool: The pool of the driver.
 * @tt: The struct ttm_tt.
 * @ctx: The operation context. Signals are ignored, since a struct ttm_tt that has
 *	 been restored in part could not be swapped out.
 *
 * On failure, what has been restored goes back to the backup file, so that a
 * buffer object that does not fit takes no memory. Pages that cannot be
 * inserted are retained, as by ttm_swapout_insert().
 *
 * Context: Process context, may sleep. Never from reclaim.
 * Return: 0 if the contents are back and the file is closed, which the driver must
 * not fail after; or the error of ttm_pool_restore_and_alloc().
 */
int ttm_swapout_restore(struct ttm_pool *pool, struct ttm_tt *tt,
			const struct ttm_operation_ctx *ctx)
{
	struct ttm_operation_ctx restore_ctx = *ctx;
	pgoff_t next;
	int ret, err;

	restore_ctx.interruptible = false;
	ret = ttm_pool_restore_and_alloc(pool, tt, &restore_ctx);
	if (!ret) {
		ttm_tt_clear_backed_up(tt);
		ttm_swapout_release(tt);
		return 0;
	}

	if (tt->restore && !ttm_pool_restore_cancel(tt, &next)) {
		ttm_swapout_undo_copies(pool, tt, next);
		/* The limit of the current task's memcg must not be in the way. */
		ttm_backup_insert_tt(pool, tt, false, tt->num_pages,
				     GFP_KERNEL | __GFP_NOWARN | __GFP_RETRY_MAYFAIL,
				     &err);
		tt->retained = ttm_pool_resident_pages(tt);
		ttm_backup_stats_cancelled();
	}

	return ret;
}

/**
 * ttm_swapout_release() - close the backup file of a swapout
 * @tt: The struct ttm_tt, of which nothing is backed up any more.
 *
 * Drivers with a shrinker keep theirs.
 *
 * Context: Process context, may sleep.
 */
void ttm_swapout_release(struct ttm_tt *tt)
{
	if (!tt->backup || tt->page_flags & TTM_TT_FLAG_EXTERNAL)
		return;

	ttm_backup_fini(tt->backup);
	tt->backup = NULL;
}
