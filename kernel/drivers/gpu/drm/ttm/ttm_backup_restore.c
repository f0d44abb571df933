// SPDX-License-Identifier: MIT
/*
 * Restore of a struct ttm_tt by taking its folios back from shmem.
 */

#include <kunit/static_stub.h>
#include <kunit/visibility.h>
#include <linux/highmem.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/numa.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/shmem_insert.h>
#include <linux/vmstat.h>

#include <drm/ttm/ttm_backup.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_pool.h>
#include <drm/ttm/ttm_tt.h>

#include "ttm_backup_file.h"
#include "ttm_backup_insert.h"
#include "ttm_backup_restore.h"
#include "ttm_backup_stats.h"
#include "ttm_pool_internal.h"

/**
 * ttm_backup_restore_page() - copy a page back and release it
 * @backup: The backup file.
 * @dst: The page to copy into.
 * @handle: The handle of the page.
 * @intr: Whether to give up if a signal is pending.
 * @additional_gfp: Flags to add to those of the file for what has to be
 *		    allocated to read the page.
 *
 * Pages are restored in ascending order. A folio is dropped with its last page,
 * also if it is but a part of what was inserted: swap has given that back in
 * smaller ones, and they must not stay in memory twice.
 *
 * Context: Process context, may sleep. Never from reclaim.
 * Return: 0 on success, negative error code on failure: -ENOMEM, -EIO, or -EINTR
 * if @intr is set and a signal is pending. The page is still in @backup then.
 */
int ttm_backup_restore_page(struct file *backup, struct page *dst,
			    unsigned long handle, bool intr,
			    gfp_t additional_gfp)
{
	struct address_space *mapping = backup->f_mapping;
	pgoff_t idx = ttm_backup_handle_idx(handle);
	pgoff_t nr = 1UL << ttm_backup_handle_order(handle);
	struct folio *folio;
	pgoff_t start, end;
	int ret;

	if (!ttm_backup_file_takes_folios(backup)) {
		ret = ttm_backup_copy_page(backup, dst, handle, intr,
					   additional_gfp);
		if (!ret)
			ttm_backup_drop(backup, handle);
		return ret;
	}

	if (intr && signal_pending(current))
		return -EINTR;

	folio = shmem_read_folio_gfp(mapping, idx,
				     mapping_gfp_mask(mapping) | additional_gfp);
	if (IS_ERR(folio))
		return PTR_ERR(folio);

	if (PageHWPoison(folio_file_page(folio, idx))) {
		folio_put(folio);
		return -EIO;
	}

	copy_highpage(dst, folio_file_page(folio, idx));
	start = folio->index;
	end = folio_next_index(folio);
	folio_put(folio);

	if (IS_ALIGNED(idx + 1, nr))
		ttm_backup_file_drop(backup, handle);
	else if (idx + 1 == end)
		ttm_backup_file_truncate(backup, start, end - start);

	return 0;
}

/* Take a chunk out of the backup file, as a retained one. */
VISIBLE_IF_KUNIT int
ttm_backup_restore_extract(struct ttm_pool *pool, struct ttm_tt *tt,
			   const struct ttm_operation_ctx *ctx, pgoff_t idx,
			   bool progress, unsigned int *order)
{
	gfp_t gfp = GFP_USER | __GFP_RECLAIMABLE;
	struct page **pages = &tt->pages[idx];
	struct folio *folio;
	pgoff_t i, nr;
	int ret;

	KUNIT_STATIC_STUB_REDIRECT(ttm_backup_restore_extract, pool, tt, ctx, idx,
				   progress, order);

	if (ctx->interruptible && progress && signal_pending(current))
		return -EINTR;
	if (IS_ENABLED(CONFIG_FAULT_INJECTION) && ctx->interruptible &&
	    ttm_backup_fault_inject_folio())
		return -EINTR;

	gfp |= ttm_pool_uses_dma32(pool) ? GFP_DMA32 : GFP_HIGHUSER;
	if (ctx->gfp_retry_mayfail)
		gfp |= __GFP_RETRY_MAYFAIL | __GFP_NOWARN;

	/*
	 * The pools insist on their node for chunks only. A single page may have
	 * come from another one, and where there is no memory it always has.
	 */
	folio = shmem_extract_folio(tt->backup, idx, *order,
				    *order ? pool->nid : NUMA_NO_NODE, gfp);
	if (IS_ERR(folio)) {
		ret = PTR_ERR(folio);
		ttm_backup_stats_extract_refused(ret);
		return ret;
	}

	nr = folio_nr_pages(folio);
	/* Nothing merges the folios of a file that is never mapped. */
	if (WARN_ON_ONCE(!IS_ALIGNED(idx, nr) || tt->num_pages - idx < nr)) {
		ttm_backup_insert_charged(tt, folio, round_down(idx, nr));
		folio_put(folio);
		return -EIO;
	}

	*order = folio_order(folio);
	folio_page(folio, 0)->private = *order | TTM_POOL_PAGE_FOLIO;
	mod_node_page_state(folio_pgdat(folio), NR_GPU_ACTIVE, nr);
	for (i = 0; i < nr; i++)
		pages[i] = folio_page(folio, i);

	return 0;
}

/* How many pages from @idx on, up to @max, have to come back by a copy? */
static pgoff_t ttm_backup_restore_run(const struct ttm_tt *tt, pgoff_t idx,
				      pgoff_t max)
{
	pgoff_t i;

	for (i = 0; i < max; i++) {
		struct page *page = tt->pages[idx + i];
		unsigned long handle;

		if (!page)
			continue;
		if (!ttm_backup_page_ptr_is_handle(page))
			break;

		handle = ttm_backup_page_ptr_to_handle(page);
		if (ttm_backup_handle_inserted(handle))
			break;
	}

	return i;
}

/**
 * ttm_backup_restore_chunk() - get a chunk of a struct ttm_tt back without a copy
 * @pool: The pool that the pages are restored for.
 * @tt: The struct ttm_tt, with a backup file that takes folios.
 * @ctx: The operation context.
 * @idx: Index in @tt of the first page that is not restored yet.
 * @extract: Whether to try it where the chunk is in the backup file.
 * @progress: Whether the restore has made progress since it was called, so that
 *	      it may end for a signal.
 * @order: On entry the highest order that fits, on return the order of the chunk,
 *	   or of the one that may be allocated instead.
 *
 * The chunk is one that was retained, or taken out of the backup file. Its pages
 * are in @tt on return, write-back cached and not mapped for DMA.
 *
 * A chunk that is allocated instead must not be larger than what @order says: it
 * would span one that need not be copied, or lie where it could not be inserted
 * as a whole the next time.
 *
 * Context: Process context, may sleep. Never from reclaim.
 * Return: TTM_RESTORE_ADOPTED or TTM_RESTORE_EXTRACTED; TTM_RESTORE_COPIED if the
 * contents have to be copied to new pages. Or a negative error code, and @tt is
 * as it was: -EINTR for a signal, else the error of shmem_extract_folio() if the
 * contents cannot be had.
 */
int ttm_backup_restore_chunk(struct ttm_pool *pool, struct ttm_tt *tt,
			     const struct ttm_operation_ctx *ctx, pgoff_t idx,
			     bool extract, bool progress, unsigned int *order)
{
	unsigned int handle_order, chunk_order;
	struct page *page = tt->pages[idx];
	unsigned long handle;
	int ret;

	if (page && !ttm_backup_page_ptr_is_handle(page)) {
		*order = ttm_pool_page_order(pool, page);
		return TTM_RESTORE_ADOPTED;
	}

	if (idx)
		*order = min_t(unsigned int, *order, __ffs(idx));

	handle = page ? ttm_backup_page_ptr_to_handle(page) : 0;
	if (!ttm_backup_handle_inserted(handle)) {
		*order = ilog2(ttm_backup_restore_run(tt, idx, 1UL << *order));
		return TTM_RESTORE_COPIED;
	}

	handle_order = ttm_backup_handle_order(handle);
	/* In the midst of one, its first part has been copied already. */
	if (extract && IS_ALIGNED(idx, 1UL << handle_order)) {
		chunk_order = handle_order;
		ret = ttm_backup_restore_extract(pool, tt, ctx, idx, progress,
						 &chunk_order);
		switch (ret) {
		case 0:
			*order = chunk_order;
			return TTM_RESTORE_EXTRACTED;
		case -ENOMEM:
			/* Single pages may be had still. */
			if (!handle_order)
				return ret;
			break;
		case -EAGAIN:
		case -EBUSY:
		case -EXDEV:
			/* A copy will do. */
			break;
		default:
			return ret;
		}
	}

	*order = min(*order, handle_order);

	return TTM_RESTORE_COPIED;
}
