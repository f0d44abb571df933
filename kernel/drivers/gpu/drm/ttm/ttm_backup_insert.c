// SPDX-License-Identifier: MIT
/*
 * Backup of a struct ttm_tt by handing its folios to shmem.
 */

#include <linux/folio_batch.h>
#include <linux/highmem.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/shmem_fs.h>
#include <linux/shmem_insert.h>
#include <linux/sizes.h>
#include <linux/swap.h>
#include <linux/unroll.h>
#include <linux/vmstat.h>

#include <drm/ttm/ttm_backup.h>
#include <drm/ttm/ttm_tt.h>

#include "ttm_backup_file.h"
#include "ttm_backup_insert.h"
#include "ttm_backup_stats.h"
#include "ttm_pool_internal.h"

/* The most to insert at once, in base pages, unless a chunk is larger */
#define TTM_BACKUP_RUN	(SZ_2M >> PAGE_SHIFT)

/* Start writeback of a folio that is on the LRU. */
static void ttm_backup_insert_write(const struct file *backup, struct folio *folio)
{
	/* If it is locked, reclaim is probably writing it already. */
	if (!folio_trylock(folio))
		return;

	/* It may even have gone to swap in between. */
	if (folio->mapping != backup->f_mapping || folio_mapped(folio) ||
	    !folio_clear_dirty_for_io(folio)) {
		folio_unlock(folio);
		return;
	}

	folio_set_reclaim(folio);
	if (shmem_write_folio(folio) == AOP_WRITEPAGE_ACTIVATE) {
		folio_clear_reclaim(folio);
		folio_unlock(folio);
	} else if (!folio_test_writeback(folio)) {
		/* Synchronous swap is done already. */
		folio_clear_reclaim(folio);
	}
}

/* Start writeback of a folio that has just been inserted at @idx. */
static void ttm_backup_insert_writeback(const struct file *backup,
					struct folio *folio, pgoff_t idx)
{
	pgoff_t end = idx + folio_nr_pages(folio);

	/* Without swap space for all of it, the folio would be split for nothing. */
	if (get_nr_swap_pages() < (long)folio_nr_pages(folio))
		return;

	ttm_backup_insert_write(backup, folio);

	/*
	 * For swap that takes single pages only, such as a fragmented swap file,
	 * the folio was split and its first page written. Write the others.
	 */
	for (idx += folio_nr_pages(folio); idx < end; idx++) {
		struct folio *rest = filemap_get_folio(backup->f_mapping, idx);
		bool refused;

		if (IS_ERR(rest))
			continue;

		ttm_backup_insert_write(backup, rest);
		refused = folio_test_dirty(rest);
		folio_put(rest);
		/* If one is refused, leave the rest to reclaim. */
		if (refused)
			break;
	}
}

/* Collect the chunks from @idx on that can be inserted in one batch. */
static int ttm_backup_insert_collect(struct ttm_pool *pool, struct ttm_tt *tt,
				     pgoff_t idx, pgoff_t end,
				     struct folio_batch *fbatch)
{
	end = min(end, idx + TTM_BACKUP_RUN);

	do {
		struct page *page = tt->pages[idx];

		if (!page || ttm_backup_page_ptr_is_handle(page) ||
		    !ttm_pool_page_is_folio(page))
			break;
		if (IS_ENABLED(CONFIG_FAULT_INJECTION) &&
		    ttm_backup_fault_inject_folio())
			return folio_batch_count(fbatch) ? 0 : -ENOMEM;

		idx += 1UL << ttm_pool_page_order(pool, page);
		if (idx > end && folio_batch_count(fbatch))
			break;
		if (!folio_batch_add(fbatch, page_folio(page)))
			break;
	} while (idx < end);

	return 0;
}

/* Update the counters of the nodes. Those of memcgs do not include GPU memory. */
static void ttm_backup_insert_unaccount(struct folio **folios, unsigned int nr)
{
	unsigned int i, next;

	for (i = 0; i < nr; i = next) {
		struct pglist_data *pgdat = folio_pgdat(folios[i]);
		long pages = 0;

		for (next = i; next < nr && folio_pgdat(folios[next]) == pgdat; next++)
			pages += folio_nr_pages(folios[next]);

		mod_node_page_state(pgdat, NR_GPU_ACTIVE, -pages);
	}
}

/*
 * Back up chunks between @idx and @end by inserting them into the backup file, as many
 * as one batch has room for, and replace their pages by handles. Returns the number of
 * pages backed up, or the error for the first chunk, in which case all are unchanged.
 */
static long ttm_backup_insert_run(struct ttm_pool *pool, struct ttm_tt *tt,
				  bool writeback, pgoff_t idx, pgoff_t end,
				  gfp_t gfp)
{
	struct page **pages = tt->pages;
	struct folio_batch fbatch;
	pgoff_t first = idx;
	int i, nr;

	/* Insert only folios that were allocated by shmem. */
	if (!ttm_pool_page_is_folio(pages[idx]))
		return -EOPNOTSUPP;

	folio_batch_init(&fbatch);
	nr = ttm_backup_insert_collect(pool, tt, idx, end, &fbatch);
	if (nr)
		goto out_refused;

	/* The pools keep the order here, and that it is a folio. */
	for (i = 0; i < folio_batch_count(&fbatch); i++)
		folio_change_private(fbatch.folios[i], NULL);

	nr = shmem_insert_folios(tt->backup, &fbatch, idx, gfp);

	for (i = max(nr, 0); i < folio_batch_count(&fbatch); i++) {
		struct page *page = folio_page(fbatch.folios[i], 0);

		page->private = folio_order(fbatch.folios[i]) | TTM_POOL_PAGE_FOLIO;
	}

	if (nr < 0)
		goto out_refused;

	ttm_backup_insert_unaccount(fbatch.folios, nr);

	for (i = 0; i < nr; i++) {
		struct folio *folio = fbatch.folios[i];
		unsigned int order = folio_order(folio);
		pgoff_t next = idx + folio_nr_pages(folio);
		unsigned long handle = ttm_backup_insert_handle(idx, order);

		ttm_backup_stats_inserted(tt, idx, order);

		if (writeback)
			ttm_backup_insert_writeback(tt->backup, folio, idx);
		folio_put(folio);

		/* For a huge folio, this loop is most of the work. */
		unrolled_count(4)
		for (; idx < next; idx++)
			pages[idx] = ttm_backup_handle_to_page_ptr(handle++);
	}

	return idx - first;

out_refused:
	ttm_backup_stats_insert_refused(nr);
	return nr;
}

/**
 * struct ttm_backup_insert_lack - what failed and need not be tried again
 * @insert: The error of an insertion that all others would get as well: -ENOMEM
 *	    without memory for xarray nodes, -EDQUOT if the memcg has no room for a
 *	    page.
 * @folio_order: The smallest order of a folio that the memcg has no room for.
 * @copy_order: The smallest order of a chunk that it has no room for in single pages.
 * @copies: Whether there is no memory for copies.
 */
struct ttm_backup_insert_lack {
	int insert;
	unsigned int folio_order;
	unsigned int copy_order;
	bool copies;
};

/*
 * Copy the pages of a chunk to single pages and insert these. Returns the number
 * of pages inserted, or an error if there are none.
 */
static long ttm_backup_insert_copies(struct ttm_tt *tt, struct page *page,
				     unsigned int order, bool writeback, pgoff_t idx,
				     gfp_t gfp, struct ttm_backup_insert_lack *lack)
{
	/* In reclaim as well, where it does not recurse, and upstream copies with it. */
	gfp_t copy_gfp = gfp | GFP_HIGHUSER | __GFP_NOWARN | __GFP_RETRY_MAYFAIL;
	pgoff_t i, nr = 1UL << order;
	struct folio *folio;
	int ret = 0;

	/* A large chunk cannot be freed until all of it has been copied. */
	if (order)
		copy_gfp |= __GFP_NOMEMALLOC;

	for (i = 0; i < nr; i++) {
		folio = shmem_alloc_detached_folio(tt->backup, 0,
						   page_to_nid(page), copy_gfp);
		if (!folio) {
			lack->copies = true;
			ret = -ENOMEM;
			break;
		}

		copy_highpage(folio_page(folio, 0), page + i);

		ret = shmem_insert_folio(tt->backup, folio, idx + i, gfp);
		if (ret == -ENOMEM || (ret == -EDQUOT && !i))
			lack->insert = ret;
		if (!ret && writeback)
			ttm_backup_insert_writeback(tt->backup, folio, idx + i);
		folio_put(folio);
		if (ret)
			break;
	}

	/* A folio can only be freed as a whole, so drop what was copied. */
	if (ret && PageCompound(page)) {
		ttm_backup_file_truncate(tt->backup, idx, i);
		return ret;
	}

	return i ?: ret;
}

/* Copy a chunk, or as much of it as possible, and free the pages. */
static long ttm_backup_copy_chunk(struct ttm_pool *pool, struct ttm_tt *tt,
				  unsigned int order, bool writeback, pgoff_t idx,
				  gfp_t gfp, struct ttm_backup_insert_lack *lack)
{
	struct page **pages = &tt->pages[idx];
	struct page *page = pages[0];
	long i, nr;

	nr = ttm_backup_insert_copies(tt, page, order, writeback, idx, gfp, lack);
	if (nr <= 0)
		return nr;

	if (nr < 1L << order) {
		ttm_pool_split_for_swap(pool, page);
		for (i = 0; i < nr; i++)
			ttm_pool_put_pages(page + i, 0, false);
	} else {
		page->private = 0;
		ttm_pool_put_pages(page, order, false);
	}

	for (i = 0; i < nr; i++)
		pages[i] = ttm_backup_handle_to_page_ptr(ttm_backup_handle(idx + i));

	ttm_backup_stats_copied(tt, idx, nr);

	return nr;
}

/*
 * Back up the chunk at @idx, together with chunks behind it if they can be inserted in
 * one batch. Returns the number of pages backed up, which can be less than a chunk if
 * it is not a folio, or an error if there are none; the chunk is retained then.
 */
static long ttm_backup_insert_chunk(struct ttm_pool *pool, struct ttm_tt *tt,
				    unsigned int order, bool writeback,
				    pgoff_t idx, pgoff_t end, gfp_t gfp,
				    struct ttm_backup_insert_lack *lack)
{
	long ret = -EDQUOT;
	bool limited;

	if (lack->insert)
		return lack->insert;

	if (order < lack->folio_order)
		ret = ttm_backup_insert_run(pool, tt, writeback, idx, end, gfp);
	switch (ret) {
	case -EDQUOT:
		/*
		 * Reclaim may not make room for all of a large folio at once, but for
		 * single pages, one after the other.
		 */
		if (order)
			break;
		fallthrough;
	case -ENOMEM:
		lack->insert = ret;
		return ret;
	case -EOPNOTSUPP:
		/* Not a folio, or the huge policy no longer allows it */
		break;
	default:
		return ret;
	}

	limited = ret == -EDQUOT;
	if (limited)
		lack->folio_order = min(lack->folio_order, order);
	if (order >= lack->copy_order)
		return -EDQUOT;

	ret = -ENOMEM;
	if (!lack->copies)
		ret = ttm_backup_copy_chunk(pool, tt, order, writeback, idx, gfp, lack);
	if (ret == -EDQUOT)
		lack->copy_order = min(lack->copy_order, order);
	/* Without memory for a copy, it is still for the memcg that there has to be one. */
	if (limited && ret == -ENOMEM)
		ret = -EDQUOT;

	return ret;
}

/*
 * Try to back up each chunk once. Prefers -EBUSY to other errors, unless there is no
 * memory, or no room in the memcg, for anything.
 */
static int ttm_backup_insert_pass(struct ttm_pool *pool, struct ttm_tt *tt,
				  bool writeback, pgoff_t num_pages, gfp_t gfp,
				  long *backed_up, long *retained)
{
	struct ttm_backup_insert_lack lack = {
		.folio_order = NR_PAGE_ORDERS,
		.copy_order = NR_PAGE_ORDERS,
	};
	pgoff_t i, nr;
	int err = 0;
	long ret;

	*retained = 0;

	for (i = 0; i < num_pages; i += nr) {
		struct page *page = tt->pages[i];
		unsigned int order;

		nr = 1;
		if (!page || ttm_backup_page_ptr_is_handle(page))
			continue;

		order = ttm_pool_page_order(pool, page);
		nr = 1UL << order;
		if (i + nr > num_pages)
			break;

		ret = ttm_backup_insert_chunk(pool, tt, order, writeback, i, num_pages,
					      gfp, &lack);
		if (ret > 0) {
			*backed_up += ret;
			/* If pages are left, they are single pages now. */
			nr = ret;
			continue;
		}

		*retained += nr;
		/* -EBUSY means that a second pass is worth it. */
		if (err != -EBUSY)
			err = ret;
	}

	return lack.insert ?: err;
}

/**
 * ttm_backup_insert_charged() - back up the pages of a struct ttm_tt by insertion
 * @pool: The pool used when allocating the pages.
 * @tt: The struct ttm_tt, with a backup file that takes folios and its pages
 *	write-back cached and not mapped for DMA.
 * @writeback: Whether to start writeback of the pages at once.
 * @num_pages: Number of pages to look at, from the start of @tt.
 * @gfp: Flags for xarray nodes, and for what has to be copied. In reclaim,
 *	 GFP_ATOMIC | __GFP_NOWARN: do not wait or reclaim, but use the reserves
 *	 for a handful of xarray nodes.
 * @err: Set to 0 if all of them were backed up, or else to the error of
 *	 shmem_insert_folio() or of the copy. -EBUSY and -ENOMEM are temporary,
 *	 other errors may not be. -EDQUOT if the memcg has no room for what is
 *	 left.
 *
 * Pages are replaced by handles. A chunk that cannot be backed up now is retained,
 * and the next call tries it again. The active memcg, or without one that of the current
 * task, is charged for what is not charged already.
 *
 * __ttm_pool_alloc() aligns chunks to their size in @tt, so they are aligned in
 * the file as well.
 *
 * Context: Process context, may sleep. In reclaim, the shrinker's gfp mask needs
 * __GFP_FS, and __GFP_IO if @writeback is set.
 * Return: Number of pages backed up.
 */
long ttm_backup_insert_charged(struct ttm_pool *pool, struct ttm_tt *tt,
			       bool writeback, pgoff_t num_pages, gfp_t gfp,
			       int *err)
{
	long backed_up = 0, retained;

	*err = ttm_backup_insert_pass(pool, tt, writeback, num_pages, gfp,
				      &backed_up, &retained);
	/* A folio is busy mostly because of a pfn walker, which is soon done. */
	if (*err == -EBUSY)
		*err = ttm_backup_insert_pass(pool, tt, writeback, num_pages, gfp,
					      &backed_up, &retained);

	ttm_backup_stats_retained(retained);

	return backed_up;
}

/**
 * ttm_backup_insert_tt() - back up pages by insertion, charged to the root memcg
 * @pool: The pool used when allocating the pages.
 * @tt: The struct ttm_tt.
 * @writeback: Whether to start writeback of the pages at once.
 * @num_pages: Number of pages to look at, from the start of @tt.
 * @gfp: Flags for allocations.
 * @err: Set to an error, or 0.
 *
 * Does the same as ttm_backup_insert_charged(). GPU memory is not charged while it is
 * resident, and backing it up does not change that: the root memcg gets the charge. In
 * reclaim the current task is not related to the buffer object, and the memcg of its
 * owner need not have room for all of its buffer objects. A folio that is charged
 * already keeps its charge.
 *
 * Context: As for ttm_backup_insert_charged().
 * Return: Number of pages backed up.
 */
long ttm_backup_insert_tt(struct ttm_pool *pool, struct ttm_tt *tt,
			  bool writeback, pgoff_t num_pages, gfp_t gfp, int *err)
{
	struct mem_cgroup *old_memcg;
	long ret;

	old_memcg = set_active_memcg(root_mem_cgroup);
	ret = ttm_backup_insert_charged(pool, tt, writeback, num_pages, gfp, err);
	set_active_memcg(old_memcg);

	return ret;
}
