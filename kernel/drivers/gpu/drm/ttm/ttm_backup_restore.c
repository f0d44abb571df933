// SPDX-License-Identifier: MIT
/*
 * Restore of a struct ttm_tt by taking its folios back from shmem.
 */

#include <kunit/static_stub.h>
#include <kunit/visibility.h>
#include <linux/highmem.h>
#include <linux/log2.h>
#include <linux/memcontrol.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/numa.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/shmem_insert.h>
#include <linux/sizes.h>
#include <linux/vmstat.h>
#include <linux/xarray.h>

#include <drm/ttm/ttm_backup.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_pool.h>
#include <drm/ttm/ttm_tt.h>

#include "ttm_backup_file.h"
#include "ttm_backup_restore.h"
#include "ttm_backup_stats.h"
#include "ttm_pool_internal.h"

/* Size of the readahead window, in base pages */
#define TTM_RESTORE_READAHEAD	(SZ_4M >> PAGE_SHIFT)

/**
 * ttm_backup_restore_page() - copy a page back
 * @backup: The backup file.
 * @dst: The page to copy into.
 * @handle: The handle of the page.
 * @intr: Whether to give up if a signal is pending.
 * @additional_gfp: Flags to add to those of the file for what has to be
 *		    allocated to read the page.
 *
 * If the file takes folios, the page is still in it: ttm_backup_restore_drop() drops what
 * has been copied, several pages at a time. Files like upstream's give it up at once.
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
	struct folio *folio;
	int ret;

	KUNIT_STATIC_STUB_REDIRECT(ttm_backup_restore_page, backup, dst, handle, intr,
				   additional_gfp);

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
	folio_put(folio);

	return 0;
}

/**
 * ttm_backup_restore_drop() - drop what has been copied back
 * @tt: The struct ttm_tt.
 * @attempt: The state of the attempt to restore @tt.
 * @next: Index in @tt of the first page that has not been restored.
 *
 * Pages are restored in ascending order. A folio is dropped when its last page has been
 * copied, even if it is only a part of the one that was inserted because swap returned
 * smaller folios: its contents must not stay in memory twice. It may be split, or go to
 * swap, after its first pages were copied, so drop everything from the page on that the
 * last call ended at.
 *
 * Context: Process context, may sleep.
 */
void ttm_backup_restore_drop(struct ttm_tt *tt, struct ttm_restore_attempt *attempt,
			     pgoff_t next)
{
	if (!ttm_backup_file_takes_folios(tt->backup))
		return;

	next = round_down(next, 1UL << xa_get_order(&tt->backup->f_mapping->i_pages, next));
	if (next <= attempt->dropped)
		return;

	ttm_backup_file_truncate(tt->backup, attempt->dropped, next - attempt->dropped);
	attempt->dropped = next;
}

static gfp_t ttm_backup_restore_gfp(struct ttm_pool *pool,
				    const struct ttm_operation_ctx *ctx)
{
	gfp_t gfp = GFP_USER | __GFP_RECLAIMABLE;

	gfp |= ttm_pool_uses_dma32(pool) ? GFP_DMA32 : GFP_HIGHUSER;
	if (ctx->gfp_retry_mayfail)
		gfp |= __GFP_RETRY_MAYFAIL | __GFP_NOWARN;

	return gfp;
}

/*
 * Start reading the chunks from @idx on, if they are in swap. Readahead only uses
 * free memory and does not reclaim.
 */
static void ttm_backup_restore_readahead(struct ttm_pool *pool, const struct ttm_tt *tt,
					 const struct ttm_operation_ctx *ctx,
					 pgoff_t idx)
{
	gfp_t gfp = ttm_backup_restore_gfp(pool, ctx) & ~__GFP_RECLAIM;
	pgoff_t end = min_t(pgoff_t, idx + TTM_RESTORE_READAHEAD, tt->num_pages);
	unsigned int order;

	for (; idx < end && !fatal_signal_pending(current); idx += 1UL << order) {
		struct page *page = tt->pages[idx];
		unsigned long handle;

		if (!page || !ttm_backup_page_ptr_is_handle(page))
			break;
		handle = ttm_backup_page_ptr_to_handle(page);
		if (!ttm_backup_handle_inserted(handle))
			break;
		order = ttm_backup_handle_order(handle);
		if (!order || !IS_ALIGNED(idx, 1UL << order))
			break;
		shmem_extract_readahead(tt->backup, idx, order, pool->nid, gfp);
	}
}

/*
 * A folio is dropped with the last page that is copied back. If swap has split it
 * meanwhile, and the rest is extracted, drop the part before @idx, of which copies are
 * in use: it would use memory or swap, and keep this range from being backed up again.
 */
static void ttm_backup_restore_drop_copied(struct ttm_tt *tt, pgoff_t idx)
{
	unsigned long handle = ttm_backup_page_ptr_to_handle(tt->pages[idx]);
	pgoff_t start = round_down(idx, 1UL << ttm_backup_handle_order(handle));
	unsigned long copied = start;

	if (idx != start && xa_find(&tt->backup->f_mapping->i_pages, &copied, idx - 1,
				    XA_PRESENT))
		ttm_backup_file_truncate(tt->backup, start, idx - start);
}

/* Put an extracted folio into the page vector. */
static void ttm_backup_restore_place(struct ttm_tt *tt, struct folio *folio, pgoff_t idx)
{
	pgoff_t i, nr = folio_nr_pages(folio);

	folio_page(folio, 0)->private = folio_order(folio) | TTM_POOL_PAGE_FOLIO;
	mod_node_page_state(folio_pgdat(folio), NR_GPU_ACTIVE, nr);
	for (i = 0; i < nr; i++)
		tt->pages[idx + i] = folio_page(folio, i);
}

/*
 * Take a chunk out of the backup file, after which it counts as retained. With
 * @effort, memory to read a chunk of @min_order is allocated the way the pool
 * allocates that order.
 */
VISIBLE_IF_KUNIT int
ttm_backup_restore_extract(struct ttm_pool *pool, struct ttm_tt *tt,
			   const struct ttm_operation_ctx *ctx, pgoff_t idx,
			   unsigned int min_order, bool effort, bool progress,
			   unsigned int *order)
{
	gfp_t gfp = ttm_backup_restore_gfp(pool, ctx);
	struct mem_cgroup *old_memcg;
	struct folio *folio;
	int ret;

	KUNIT_STATIC_STUB_REDIRECT(ttm_backup_restore_extract, pool, tt, ctx, idx,
				   min_order, effort, progress, order);

	if (ctx->interruptible && progress && signal_pending(current))
		return -EINTR;
	if (IS_ENABLED(CONFIG_FAULT_INJECTION) && ttm_backup_fault_inject_folio())
		return ctx->interruptible ? -EINTR : -ENOMEM;

	/* The node is that of the pool, if it has one, whatever the mask. */
	if (min_order && effort)
		gfp = (ttm_pool_order_gfp(pool, gfp, min_order) | __GFP_COMP) &
		      ~__GFP_THISNODE;

	folio = shmem_extract_folio(tt->backup, idx, min_order, pool->nid, gfp);
	if (IS_ERR(folio)) {
		ret = PTR_ERR(folio);
		ttm_backup_stats_extract_refused(ret);
		return ret;
	}

	/* Folios of a file that is never mapped are not collapsed. */
	if (WARN_ON_ONCE(tt->num_pages - idx < folio_nr_pages(folio))) {
		old_memcg = set_active_memcg(root_mem_cgroup);
		shmem_insert_folio(tt->backup, folio, idx, GFP_KERNEL);
		set_active_memcg(old_memcg);
		folio_put(folio);
		return -EIO;
	}

	ttm_backup_restore_drop_copied(tt, idx);
	*order = folio_order(folio);
	ttm_backup_restore_place(tt, folio, idx);

	return 0;
}

/* Count the pages from @idx on, up to @max, that have to be copied back. */
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

/* The order the device works best with or, by default, the first the pool tries */
static unsigned int ttm_backup_restore_best_order(struct ttm_pool *pool,
						  const struct ttm_restore_attempt *attempt)
{
	return min_not_zero(ttm_pool_beneficial_order(pool), attempt->max);
}

/**
 * ttm_backup_restore_no_memory() - note that there is no memory for a chunk
 * @pool: The pool that failed to allocate it.
 * @order: The order.
 * @attempt: The state of the attempt to restore a struct ttm_tt.
 *
 * Direct reclaim and compaction that failed once are not repeated. The pool uses them
 * for the order that the device works best with, or for all orders if there is none.
 * Other orders are cheap to try, so they are tried for each chunk.
 *
 * Context: Any context.
 */
void ttm_backup_restore_no_memory(struct ttm_pool *pool, unsigned int order,
				  struct ttm_restore_attempt *attempt)
{
	unsigned int beneficial = ttm_pool_beneficial_order(pool);

	if (!order)
		return;

	attempt->next = min(attempt->next, order - 1);
	if (!beneficial || order >= beneficial)
		attempt->highest = min(attempt->highest, order - 1);
}

/*
 * The order of a chunk, at most @max_order, that is worth copying the contents at
 * @idx to; 0 if there is none. This is the best order, or any order of at least
 * 64 KiB, the smallest size that GPUs benefit from, if the swap entry is smaller than
 * that. No part of the chunk may have been restored yet.
 */
static unsigned int ttm_backup_restore_merge_order(struct ttm_pool *pool,
						   const struct ttm_tt *tt, pgoff_t idx,
						   const struct ttm_restore_attempt *attempt,
						   unsigned int max_order)
{
	unsigned int best = ttm_backup_restore_best_order(pool, attempt);
	unsigned int least = min_t(unsigned int, best, get_order(SZ_64K));
	struct xarray *entries = &tt->backup->f_mapping->i_pages;
	unsigned int order = min3(best, attempt->next, max_order);
	pgoff_t i;

	if (!order || order < least)
		return 0;

	if (!xa_is_value(xa_load(entries, idx)) || xa_get_order(entries, idx) >= least)
		least = best;
	if (order < least)
		return 0;

	for (i = 0; i < 1UL << order; i++) {
		struct page *page = tt->pages[idx + i];

		if (page && !ttm_backup_page_ptr_is_handle(page))
			break;
	}
	order = ilog2(i);

	return order < least ? 0 : order;
}

/*
 * Extract chunks behind the one at @idx in one batch, if they are resident and were
 * backed up with the same order. Do not go beyond the place where a chunk of the best
 * order could start, since getting one has to be tried first there.
 */
static void ttm_backup_restore_followers(struct ttm_pool *pool, struct ttm_tt *tt,
					 const struct ttm_operation_ctx *ctx, pgoff_t idx,
					 unsigned int order,
					 struct ttm_restore_attempt *attempt)
{
	pgoff_t end, first = idx + (1UL << order);
	struct folio_batch fbatch;
	unsigned int i, nr;

	attempt->taken = first;
	if (xa_is_value(xa_load(&tt->backup->f_mapping->i_pages, first)))
		return;

	end = round_up(first, 1UL << ttm_backup_restore_best_order(pool, attempt));
	end = min3(end, first + ((pgoff_t)FOLIO_BATCH_SIZE << order),
		   (pgoff_t)tt->num_pages);

	for (idx = first; idx < end; idx += 1UL << order) {
		struct page *page = tt->pages[idx];
		unsigned long handle;

		if (!page || !ttm_backup_page_ptr_is_handle(page))
			break;
		handle = ttm_backup_page_ptr_to_handle(page);
		if (!ttm_backup_handle_inserted(handle) ||
		    ttm_backup_handle_order(handle) != order)
			break;
	}

	folio_batch_init(&fbatch);
	nr = shmem_extract_folios(tt->backup, first, idx - first, pool->nid,
				  ttm_backup_restore_gfp(pool, ctx), &fbatch);

	for (i = 0; i < nr; i++) {
		ttm_backup_restore_place(tt, fbatch.folios[i], first);
		first += folio_nr_pages(fbatch.folios[i]);
	}
	attempt->taken = first;
}

/* Should reclaim be used to get the chunk back as a whole, before anything else? */
static bool ttm_backup_restore_as_it_went(struct ttm_pool *pool, const struct ttm_tt *tt,
					  pgoff_t idx,
					  const struct ttm_restore_attempt *attempt,
					  unsigned int handle_order,
					  unsigned int max_order)
{
	if (attempt->merge || handle_order > max_order ||
	    handle_order > attempt->highest)
		return false;

	if (handle_order >= ttm_backup_restore_best_order(pool, attempt))
		return true;

	return !ttm_pool_beneficial_order(pool) &&
	       handle_order >= ttm_backup_restore_merge_order(pool, tt, idx, attempt,
							      max_order);
}

/*
 * The order of a chunk to copy to. It must not extend past the folio at @idx, since
 * what follows may not have to be copied.
 */
static unsigned int ttm_backup_restore_copy_order(const struct ttm_tt *tt,
						  pgoff_t idx, unsigned int max_order)
{
	struct folio *folio = filemap_get_folio(tt->backup->f_mapping, idx);
	pgoff_t nr;

	if (IS_ERR(folio))
		return max_order;

	nr = folio_next_index(folio) - idx;
	folio_put(folio);

	return min_t(unsigned int, max_order, ilog2(nr));
}

/**
 * ttm_backup_restore_chunk() - get a chunk of a struct ttm_tt back without a copy
 * @pool: The pool that the pages are restored for.
 * @tt: The struct ttm_tt, with a backup file that takes folios.
 * @ctx: The operation context.
 * @idx: Index in @tt of the first page that is not restored yet.
 * @attempt: The state of the attempt to restore @tt.
 * @order: On entry the highest order that the missing pages have room for, on return
 *	   the order of the chunk, or of the one that may be allocated instead.
 *
 * The chunk is one that was retained, or one that is taken out of the backup file.
 * Its pages are in @tt on return, write-back cached and not mapped for DMA.
 *
 * It is restored in the order that it was backed up with if there is memory for that.
 * If not, the order that the device works best with comes next: a chunk of that order
 * is allocated and the contents are copied, in preference to smaller folios without a
 * copy, and very small folios are copied to larger chunks if any are free. Failing
 * that, folios are taken as swap returns them. So a buffer object gets its large
 * chunks back when there is enough memory, and needs little of it otherwise.
 *
 * A chunk that is allocated instead must not be larger than @order: it would cover
 * pages that need not be copied, or be misaligned and could not be inserted as a
 * whole the next time.
 *
 * Context: Process context, may sleep. Never from reclaim.
 * Return: TTM_RESTORE_ADOPTED or TTM_RESTORE_EXTRACTED; TTM_RESTORE_COPIED or
 * TTM_RESTORE_MERGED if the contents are to be copied to new pages. On failure, a
 * negative error code, and @tt is unchanged: -EINTR for a signal, or the error of
 * shmem_extract_folio() if the contents cannot be read.
 */
int ttm_backup_restore_chunk(struct ttm_pool *pool, struct ttm_tt *tt,
			     const struct ttm_operation_ctx *ctx, pgoff_t idx,
			     struct ttm_restore_attempt *attempt,
			     unsigned int *order)
{
	unsigned int best = ttm_backup_restore_best_order(pool, attempt);
	struct page *page = tt->pages[idx];
	unsigned int handle_order, merge_order, max_order;
	unsigned long handle;
	int ret;

	if (page && !ttm_backup_page_ptr_is_handle(page)) {
		*order = ttm_pool_page_order(pool, page);
		return idx < attempt->taken ? TTM_RESTORE_EXTRACTED :
					      TTM_RESTORE_ADOPTED;
	}

	if (idx != attempt->idx) {
		attempt->idx = idx;
		attempt->next = attempt->highest;
		attempt->copy = false;
		attempt->merge = false;
	}

	max_order = *order;
	if (idx)
		max_order = min_t(unsigned int, max_order, __ffs(idx));
	*order = min(max_order, attempt->next);

	handle = page ? ttm_backup_page_ptr_to_handle(page) : 0;
	if (!ttm_backup_handle_inserted(handle)) {
		*order = ilog2(ttm_backup_restore_run(tt, idx, 1UL << *order));
		return TTM_RESTORE_COPIED;
	}

	handle_order = ttm_backup_handle_order(handle);
	if (attempt->copy)
		goto copy;

	/* First, as a whole */
	if (ttm_backup_restore_as_it_went(pool, tt, idx, attempt, handle_order,
					  max_order)) {
		ttm_backup_restore_readahead(pool, tt, ctx, idx);
		ret = ttm_backup_restore_extract(pool, tt, ctx, idx, handle_order,
						 true, attempt->progress, order);
		switch (ret) {
		case 0:
			goto extracted;
		case -EBUSY:
		case -EXDEV:
			goto copy;
		case -ENOMEM:
			if (!handle_order)
				return ret;
			ttm_backup_restore_no_memory(pool, handle_order, attempt);
			*order = min(max_order, attempt->next);
			break;
		case -EAGAIN:
			break;
		default:
			return ret;
		}
	}

	/* Next, in the order that the device works best with */
	merge_order = ttm_backup_restore_merge_order(pool, tt, idx, attempt, max_order);
	if (merge_order) {
		if (!attempt->merge && merge_order == best && handle_order > best) {
			ret = ttm_backup_restore_extract(pool, tt, ctx, idx,
							 best, false,
							 attempt->progress, order);
			if (!ret)
				return TTM_RESTORE_EXTRACTED;
			if (ret == -EINTR)
				return ret;
		}
		attempt->merge = true;
		*order = merge_order;
		return TTM_RESTORE_MERGED;
	}

	/* Last, in whatever order swap returns */
	ret = ttm_backup_restore_extract(pool, tt, ctx, idx, 0, false,
					 attempt->progress, order);
	switch (ret) {
	case 0:
		goto extracted;
	case -EAGAIN:
	case -EBUSY:
	case -EXDEV:
		break;
	default:
		return ret;
	}

copy:
	attempt->copy = true;
	*order = ttm_backup_restore_copy_order(tt, idx, min(*order, handle_order));

	return TTM_RESTORE_COPIED;

extracted:
	if (*order == handle_order)
		ttm_backup_restore_followers(pool, tt, ctx, idx, *order, attempt);

	return TTM_RESTORE_EXTRACTED;
}
