// SPDX-License-Identifier: MIT
/*
 * Backup of a struct ttm_tt by handing its folios to shmem, and restore by
 * taking them back.
 *
 * The files here live on a mount of TTM's own, whose huge policy lets shmem take
 * large folios whatever the system's policy for shared memory is. They get their
 * contents by shmem_insert_folio() and no other way: a page that shmem allocated
 * by itself could be a large one and block the place of its neighbours.
 */

#include <linux/atomic.h>
#include <linux/debugfs.h>
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/highmem.h>
#include <linux/init.h>
#include <linux/memcontrol.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/shmem_fs.h>
#include <linux/shmem_insert.h>
#include <linux/unroll.h>
#include <linux/vmstat.h>

#include <drm/ttm/ttm_backup.h>
#include <drm/ttm/ttm_backup_insert.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_pool.h>
#include <drm/ttm/ttm_tt.h>

#include "ttm_backup_internal.h"
#include "ttm_pool_internal.h"

#define CREATE_TRACE_POINTS
#include "ttm_backup_trace.h"

static bool ttm_zero_copy = true;

MODULE_PARM_DESC(zero_copy, "Back up buffer objects by handing their pages to shmem instead of copying them, and restore by taking them back (default: Y)");
module_param_named(zero_copy, ttm_zero_copy, bool, 0644);

static struct vfsmount *ttm_backup_mnt;
/* Never has contents: it stands for the mount's policy when there is no file. */
static struct file *ttm_backup_policy;

static struct {
	atomic_long_t inserted_pages;
	atomic_long_t inserted_folios[NR_PAGE_ORDERS];
	atomic_long_t copied;
	atomic_long_t restored[TTM_RESTORE_NUM];
	atomic_long_t retained;
} ttm_backup_stats;

struct ttm_backup_refusal {
	const char *name;
	int err;
	atomic_long_t count;
};

/* The last one is for all errors that have no line of their own. */
static struct ttm_backup_refusal ttm_insert_refusals[] = {
	{ "EINVAL", -EINVAL },
	{ "EBUSY", -EBUSY },
	{ "ENOMEM", -ENOMEM },
	{ "EEXIST", -EEXIST },
	{ "EPERM", -EPERM },
	{ "other", 0 },
};

static struct ttm_backup_refusal ttm_extract_refusals[] = {
	{ "EAGAIN", -EAGAIN },
	{ "EBUSY", -EBUSY },
	{ "EXDEV", -EXDEV },
	{ "ENOMEM", -ENOMEM },
	{ "other", 0 },
};

static void ttm_backup_count_refused(struct ttm_backup_refusal *refusal, int err)
{
	while (refusal->err && refusal->err != err)
		refusal++;

	atomic_long_inc(&refusal->count);
}

/**
 * ttm_backup_count_copied() - count pages that were backed up by a copy
 * @nr: Number of base pages.
 *
 * Context: Any context.
 */
void ttm_backup_count_copied(pgoff_t nr)
{
	atomic_long_add(nr, &ttm_backup_stats.copied);
}

/**
 * ttm_backup_count_restored() - count a chunk that has come back
 * @tt: The struct ttm_tt that has the chunk now.
 * @idx: Index of the chunk's first page in @tt.
 * @order: Order of the chunk.
 * @how: In which way.
 *
 * Context: Any context. The caller holds the reservation of the buffer object.
 */
void ttm_backup_count_restored(struct ttm_tt *tt, pgoff_t idx,
			       unsigned int order, enum ttm_restore_how how)
{
	pgoff_t nr = 1UL << order;

	switch (how) {
	case TTM_RESTORE_ADOPTED:
		tt->restored.adopted += nr;
		break;
	case TTM_RESTORE_EXTRACTED:
		tt->restored.extracted += nr;
		break;
	default:
		tt->restored.copied += nr;
		break;
	}

	atomic_long_add(nr, &ttm_backup_stats.restored[how]);
	trace_ttm_restore_chunk(tt, idx, order, how);
}

#ifdef CONFIG_DEBUG_FS
static void ttm_backup_show_refusals(struct seq_file *m, const char *prefix,
				     struct ttm_backup_refusal *refusals,
				     unsigned int num)
{
	unsigned int i;

	for (i = 0; i < num; i++)
		seq_printf(m, "%s_%s %lu\n", prefix, refusals[i].name,
			   atomic_long_read(&refusals[i].count));
}

static int ttm_backup_stats_show(struct seq_file *m, void *data)
{
	unsigned int i;

	seq_printf(m, "inserted %lu\n",
		   atomic_long_read(&ttm_backup_stats.inserted_pages));
	for (i = 0; i < ARRAY_SIZE(ttm_backup_stats.inserted_folios) &&
	     i <= MAX_PAGECACHE_ORDER; i++)
		seq_printf(m, "inserted_order%u %lu\n", i,
			   atomic_long_read(&ttm_backup_stats.inserted_folios[i]));
	seq_printf(m, "copied %lu\n",
		   atomic_long_read(&ttm_backup_stats.copied));
	seq_printf(m, "restored_adopted %lu\n",
		   atomic_long_read(&ttm_backup_stats.restored[TTM_RESTORE_ADOPTED]));
	seq_printf(m, "restored_extracted %lu\n",
		   atomic_long_read(&ttm_backup_stats.restored[TTM_RESTORE_EXTRACTED]));
	seq_printf(m, "restored_copied %lu\n",
		   atomic_long_read(&ttm_backup_stats.restored[TTM_RESTORE_COPIED]));
	seq_printf(m, "retained %lu\n",
		   atomic_long_read(&ttm_backup_stats.retained));
	ttm_backup_show_refusals(m, "refused", ttm_insert_refusals,
				 ARRAY_SIZE(ttm_insert_refusals));
	ttm_backup_show_refusals(m, "extract_refused", ttm_extract_refusals,
				 ARRAY_SIZE(ttm_extract_refusals));

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(ttm_backup_stats);
#endif

/**
 * ttm_backup_debugfs_init() - create the backup_stats file
 * @root: TTM's debugfs directory, which is removed with all files in it.
 *
 * Context: Process context, may sleep.
 */
void ttm_backup_debugfs_init(struct dentry *root)
{
#ifdef CONFIG_DEBUG_FS
	debugfs_create_file("backup_stats", 0444, root, NULL,
			    &ttm_backup_stats_fops);
#endif
}

static struct file *ttm_backup_setup_file(const char *name, loff_t size,
					  vma_flags_t flags)
{
	struct file *file = shmem_file_setup_with_mnt(ttm_backup_mnt, name, size,
						      flags);

	/*
	 * Pages that come back from swap one day are not to be movable, like
	 * those that the pools allocate.
	 */
	if (!IS_ERR(file))
		mapping_set_gfp_mask(file->f_mapping,
				     GFP_HIGHUSER | __GFP_RECLAIMABLE);

	return file;
}

/**
 * ttm_backup_insert_create() - create a backup file that takes folios
 * @size: The maximum size to back up, in bytes.
 *
 * Context: Process context, may sleep.
 * Return: The file, which the caller owns; an error pointer; or NULL if folios
 * are not wanted (ttm.zero_copy is off) or TTM has no mount of its own.
 */
struct file *ttm_backup_insert_create(loff_t size)
{
	if (!READ_ONCE(ttm_zero_copy) || !ttm_backup_mnt)
		return NULL;

	return ttm_backup_setup_file("ttm shmem backup", size, EMPTY_VMA_FLAGS);
}

/**
 * ttm_backup_takes_folios() - whether a backup file gets its pages by insertion
 * @backup: The backup file, or NULL for none.
 *
 * Context: Any context.
 * Return: true for a file that ttm_backup_insert_create() made.
 */
bool ttm_backup_takes_folios(const struct file *backup)
{
	return backup && ttm_backup_mnt && backup->f_path.mnt == ttm_backup_mnt;
}

/**
 * ttm_backup_max_order() - highest order that the page pools should allocate
 *
 * A chunk of a higher order than shmem takes could not be handed over whole.
 *
 * Context: Any context.
 * Return: The order; MAX_PAGE_ORDER if nothing but single pages can be inserted,
 * so that smaller chunks would not help.
 */
unsigned int ttm_backup_max_order(void)
{
	unsigned long orders;

	if (!READ_ONCE(ttm_zero_copy) || !ttm_backup_policy)
		return MAX_PAGE_ORDER;

	orders = shmem_insert_orders(ttm_backup_policy, 0);

	return orders > BIT(0) ? __fls(orders) : MAX_PAGE_ORDER;
}

/**
 * ttm_backup_alloc_pages() - allocate pages for a pool
 * @nid: NUMA node, or NUMA_NO_NODE.
 * @gfp: Allocation flags.
 * @order: Allocation order.
 *
 * Context: As the page allocator's for @gfp.
 * Return: A folio's head page if shmem takes folios of this order, else pages
 * that are not compound; NULL if there is no memory.
 */
struct page *ttm_backup_alloc_pages(int nid, gfp_t gfp, unsigned int order)
{
	struct folio *folio;

	if (!READ_ONCE(ttm_zero_copy) || !ttm_backup_policy ||
	    !(shmem_insert_orders(ttm_backup_policy, 0) & BIT(order)))
		return alloc_pages_node(nid, gfp, order);

	folio = shmem_alloc_detached_folio(ttm_backup_policy, order, nid, gfp);

	return folio ? folio_page(folio, 0) : NULL;
}

/* Insert on behalf of the owner of the buffer object, whoever shrinks it. */
static int ttm_backup_insert_charged(struct ttm_tt *tt, struct folio *folio,
				     pgoff_t idx)
{
	/*
	 * This is what reclaim can afford: no waiting and no reclaim, but the
	 * reserves for a handful of xarray nodes. The charge is forced, because
	 * memory that is on its way out must not fail on a limit.
	 */
	gfp_t gfp = __GFP_HIGH | __GFP_NOWARN;
	struct mem_cgroup *old_memcg;
	int ret;

	old_memcg = set_active_memcg(tt->backup_memcg);
	ret = shmem_insert_folio(tt->backup, folio, idx, gfp);
	set_active_memcg(old_memcg);

	return ret;
}

/* Start writeback of a folio that has just been put on the LRU. */
static void ttm_backup_writeback(const struct file *backup, struct folio *folio)
{
	/* If it is locked, reclaim is already at it. */
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

/**
 * ttm_backup_insert_folio() - back up a folio by handing it to the backup file
 * @tt: The struct ttm_tt that the folio belongs to.
 * @folio: The folio, write-back cached and not mapped for DMA.
 * @writeback: Whether to start writeback at once.
 * @idx: Index of the folio's first page in @tt.
 *
 * Context: Process context, may sleep. In reclaim, the shrinker's gfp mask needs
 * __GFP_FS, and __GFP_IO if @writeback is set.
 * Return: 0 if the file owns the folio now; the caller's reference is gone.
 * Otherwise the error of shmem_insert_folio(), and the folio is as it was.
 */
int ttm_backup_insert_folio(struct ttm_tt *tt, struct folio *folio,
			    bool writeback, pgoff_t idx)
{
	struct pglist_data *pgdat = folio_pgdat(folio);
	unsigned int order = folio_order(folio);
	long nr = folio_nr_pages(folio);
	void *private;
	int ret;

	/* The pools keep the order here. */
	private = folio_change_private(folio, NULL);

	if (IS_ENABLED(CONFIG_FAULT_INJECTION) && ttm_backup_fault_inject_folio())
		ret = -ENOMEM;
	else
		ret = ttm_backup_insert_charged(tt, folio, idx);
	if (ret) {
		folio->private = private;
		ttm_backup_count_refused(ttm_insert_refusals, ret);
		return ret;
	}

	/*
	 * The folio belongs to a memcg now, which knows nothing of GPU memory:
	 * take it off the node's count only.
	 */
	mod_node_page_state(pgdat, NR_GPU_ACTIVE, -nr);
	atomic_long_add(nr, &ttm_backup_stats.inserted_pages);
	atomic_long_inc(&ttm_backup_stats.inserted_folios[order]);

	if (writeback)
		ttm_backup_writeback(tt->backup, folio);

	folio_put(folio);

	return 0;
}

static void ttm_backup_truncate(struct file *backup, pgoff_t idx, pgoff_t nr)
{
	loff_t start = (loff_t)idx << PAGE_SHIFT;

	if (nr)
		shmem_truncate_range(file_inode(backup), start,
				     start + ((loff_t)nr << PAGE_SHIFT) - 1);
}

/* Copy a chunk, or none of it, into single pages and insert those. */
static int ttm_backup_copy_chunk(struct ttm_tt *tt, struct page *page,
				 unsigned int order, bool writeback, pgoff_t idx)
{
	gfp_t gfp = GFP_HIGHUSER | __GFP_HIGH | __GFP_NOWARN |
		    __GFP_RETRY_MAYFAIL;
	pgoff_t i, nr = 1UL << order;
	struct folio *folio;
	int ret;

	/* Copying a large chunk frees nothing until it is done. */
	if (order)
		gfp |= __GFP_NOMEMALLOC;

	for (i = 0; i < nr; i++) {
		folio = shmem_alloc_detached_folio(tt->backup, 0,
						   page_to_nid(page), gfp);
		if (!folio) {
			ret = -ENOMEM;
			goto err_drop;
		}

		copy_highpage(folio_page(folio, 0), page + i);
		ret = ttm_backup_insert_charged(tt, folio, idx + i);
		if (ret) {
			folio_put(folio);
			goto err_drop;
		}

		if (writeback)
			ttm_backup_writeback(tt->backup, folio);
		folio_put(folio);
	}

	ttm_backup_count_copied(nr);

	return 0;

err_drop:
	ttm_backup_truncate(tt->backup, idx, i);
	return ret;
}

/*
 * Back up one chunk and replace its pages by handles. On failure the chunk is
 * retained as it is.
 */
static int ttm_pool_backup_chunk(struct ttm_pool *pool, struct ttm_tt *tt,
				 unsigned int order, bool writeback, pgoff_t idx)
{
	struct page **pages = &tt->pages[idx];
	struct page *page = pages[0];
	pgoff_t i, nr = 1UL << order;
	unsigned long handle;
	bool inserted;
	int ret = -EINVAL;

	if (READ_ONCE(ttm_zero_copy))
		ret = ttm_backup_insert_folio(tt, page_folio(page), writeback,
					      idx);
	inserted = !ret;
	if (inserted) {
		handle = ttm_backup_insert_handle(idx, order);
	} else if (ret == -EINVAL) {
		/* Not wanted, or not by shmem's policy as it is now. */
		ret = ttm_backup_copy_chunk(tt, page, order, writeback, idx);
		if (ret)
			return ret;

		page->private = 0;
		__free_pages_gpu_account(page, order, false);
		handle = ttm_backup_handle(idx);
	} else {
		return ret;
	}

	/* All else is done for a huge folio once, this for each of its pages. */
	unrolled_count(4)
	for (i = 0; i < nr; i++)
		pages[i] = ttm_backup_handle_to_page_ptr(handle + i);

	trace_ttm_backup_chunk(tt, idx, order, inserted);

	return 0;
}

/* Look at all chunks once. Returns -EBUSY rather than other errors. */
static int ttm_pool_backup_pass(struct ttm_pool *pool, struct ttm_tt *tt,
				bool writeback, pgoff_t num_pages,
				long *backed_up, long *retained)
{
	int ret, err = 0;
	pgoff_t i, nr;

	*retained = 0;

	for (i = 0; i < num_pages; i += nr) {
		struct page *page = tt->pages[i];
		unsigned int order;

		nr = 1;
		if (!page || ttm_backup_page_ptr_is_handle(page))
			continue;

		order = ttm_pool_page_order(pool, page);
		/* What is no folio can be taken apart without harm. */
		if (order && !PageCompound(page)) {
			ttm_pool_split_for_swap(pool, page);
			order = 0;
		}

		nr = 1UL << order;
		if (i + nr > num_pages)
			break;

		ret = ttm_pool_backup_chunk(pool, tt, order, writeback, i);
		if (!ret) {
			*backed_up += nr;
			continue;
		}

		*retained += nr;
		/* What is worth a second look must not get lost. */
		if (err != -EBUSY)
			err = ret;
		/* It won't get better with the next chunk. */
		if (ret == -ENOMEM)
			return ret;
	}

	return err;
}

/**
 * ttm_pool_backup_folios() - back up the pages of a struct ttm_tt by insertion
 * @pool: The pool used when allocating the pages.
 * @tt: The struct ttm_tt, with a backup file that takes folios and its pages
 *	write-back cached and not mapped for DMA.
 * @writeback: Whether to start writeback of the pages at once.
 * @num_pages: Number of pages to look at, from the start of @tt.
 *
 * Pages are replaced by handles. A chunk that cannot be backed up now stays
 * where it is, and the next call tries it again.
 *
 * Chunks lie at multiples of their size in @tt: __ttm_pool_alloc() sees to that.
 * So they are aligned in the file, too.
 *
 * Context: Process context, may sleep. In reclaim, the shrinker's gfp mask needs
 * __GFP_FS, and __GFP_IO if @writeback is set.
 * Return: Number of pages backed up, or if there were none, a negative error
 * code of shmem_insert_folio(): -EBUSY and -ENOMEM pass, the others need not.
 */
long ttm_pool_backup_folios(struct ttm_pool *pool, struct ttm_tt *tt,
			    bool writeback, pgoff_t num_pages)
{
	long backed_up = 0, retained;
	int err;

	err = ttm_pool_backup_pass(pool, tt, writeback, num_pages, &backed_up,
				   &retained);
	/* What kept a folio busy, a pfn walker mostly, is likely gone by now. */
	if (err == -EBUSY)
		err = ttm_pool_backup_pass(pool, tt, writeback, num_pages,
					   &backed_up, &retained);

	atomic_long_add(retained, &ttm_backup_stats.retained);

	return backed_up ?: err;
}

/**
 * ttm_backup_drop_range() - drop the folio that a handle belongs to
 * @backup: The backup file.
 * @handle: The handle of any page of it.
 *
 * What was inserted whole has to go whole: to drop one page of a large folio
 * that is in swap, shmem would have to read all of it.
 *
 * Context: Process context, may sleep.
 * Return: Number of base pages from the one named by @handle to the end of the
 * folio.
 */
pgoff_t ttm_backup_drop_range(struct file *backup, unsigned long handle)
{
	pgoff_t nr = 1UL << ttm_backup_handle_order(handle);
	pgoff_t idx = ttm_backup_handle_idx(handle);
	pgoff_t start = round_down(idx, nr);

	ttm_backup_truncate(backup, start, nr);

	return start + nr - idx;
}

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

	if (!ttm_backup_takes_folios(backup)) {
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
		ttm_backup_drop_range(backup, handle);
	else if (idx + 1 == end)
		ttm_backup_truncate(backup, start, end - start);

	return 0;
}

/* Take a chunk out of the backup file, as a retained one. */
static int ttm_backup_extract_chunk(struct ttm_pool *pool, struct ttm_tt *tt,
				    const struct ttm_operation_ctx *ctx,
				    pgoff_t idx, bool progress,
				    unsigned int *order)
{
	gfp_t gfp = GFP_USER | __GFP_RECLAIMABLE;
	struct page **pages = &tt->pages[idx];
	struct folio *folio;
	pgoff_t i, nr;
	int ret;

	if (ctx->interruptible && progress && signal_pending(current))
		return -EINTR;
	if (IS_ENABLED(CONFIG_FAULT_INJECTION) && ctx->interruptible &&
	    ttm_backup_fault_inject_folio())
		return -EINTR;

	gfp |= ttm_pool_uses_dma32(pool) ? GFP_DMA32 : GFP_HIGHUSER;
	if (ctx->gfp_retry_mayfail)
		gfp |= __GFP_RETRY_MAYFAIL | __GFP_NOWARN;

	folio = shmem_extract_folio(tt->backup, idx, *order, pool->nid, gfp);
	if (IS_ERR(folio)) {
		ret = PTR_ERR(folio);
		ttm_backup_count_refused(ttm_extract_refusals, ret);
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
	folio_page(folio, 0)->private = *order;
	mod_node_page_state(folio_pgdat(folio), NR_GPU_ACTIVE, nr);
	for (i = 0; i < nr; i++)
		pages[i] = folio_page(folio, i);

	return 0;
}

/* How many pages from @idx on, up to @max, have to come back by a copy? */
static pgoff_t ttm_backup_copy_run(const struct ttm_tt *tt, pgoff_t idx,
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
 * ttm_backup_take_chunk() - get a chunk of a struct ttm_tt back without a copy
 * @pool: The pool that the pages are restored for.
 * @tt: The struct ttm_tt, with a backup file that takes folios.
 * @ctx: The operation context.
 * @idx: Index in @tt of the first page that is not restored yet.
 * @extract: Whether to try it where the chunk is in the backup file.
 * @progress: Whether the restore has got somewhere since it was called, so that
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
int ttm_backup_take_chunk(struct ttm_pool *pool, struct ttm_tt *tt,
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
		*order = ilog2(ttm_backup_copy_run(tt, idx, 1UL << *order));
		return TTM_RESTORE_COPIED;
	}

	handle_order = ttm_backup_handle_order(handle);
	/* In the midst of one, its first part has been copied already. */
	if (extract && READ_ONCE(ttm_zero_copy) &&
	    IS_ALIGNED(idx, 1UL << handle_order)) {
		chunk_order = handle_order;
		ret = ttm_backup_extract_chunk(pool, tt, ctx, idx, progress,
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

/* Change the caching of the pages before @end, which has no handles before it. */
static int ttm_backup_set_caching(struct ttm_tt *tt, pgoff_t end,
				  enum ttm_caching caching)
{
	pgoff_t i, nr;
	int ret;

	for (i = 0; i < end; i += nr) {
		nr = 1;
		if (!tt->pages[i])
			continue;

		while (i + nr < end && tt->pages[i + nr])
			nr++;

		ret = ttm_pool_set_caching(&tt->pages[i], nr, caching);
		if (ret)
			return ret;
	}

	return 0;
}

/**
 * ttm_backup_undo_wb() - give pages the caching of their struct ttm_tt back
 * @tt: The struct ttm_tt.
 * @end: End of the range of pages that were made write-back cached.
 *
 * This is best effort where it follows a failure of ttm_pool_set_caching(): with
 * the kernel's page attributes out of order nothing better is left to do.
 *
 * Context: Process context, may sleep.
 * Return: 0 on success, negative error code on failure.
 */
int ttm_backup_undo_wb(struct ttm_tt *tt, pgoff_t end)
{
	if (tt->caching == ttm_cached)
		return 0;

	return ttm_backup_set_caching(tt, end, tt->caching);
}

/* Unmap the pages before @end for DMA. */
static void ttm_pool_backup_unmap(struct ttm_pool *pool, struct ttm_tt *tt,
				  pgoff_t end)
{
	pgoff_t i, nr;

	for (i = 0; i < end; i += nr) {
		nr = 1;
		if (!tt->pages[i])
			continue;

		nr = 1UL << ttm_pool_page_order(pool, tt->pages[i]);
		ttm_pool_unmap(pool, tt->dma_address[i], nr);
	}
}

/**
 * ttm_pool_backup_cancel() - make a struct ttm_tt usable again after a failure
 * @pool: The pool used when allocating the pages.
 * @tt: The struct ttm_tt, with all its pages write-back cached and not mapped
 *	for DMA, and none of them backed up.
 *
 * A backup that got nowhere leaves @tt populated, so its pages need their
 * DMA addresses and their caching back.
 *
 * Context: Process context, may sleep.
 * Return: 0 on success. On failure, a negative error code, and @tt is still as
 * described above: fit for ttm_pool_restore_and_alloc() only.
 */
int ttm_pool_backup_cancel(struct ttm_pool *pool, struct ttm_tt *tt)
{
	pgoff_t i, j, nr;
	int ret;

	for (i = 0; tt->dma_address && i < tt->num_pages; i += nr) {
		struct page *page = tt->pages[i];
		unsigned int order;
		dma_addr_t addr;

		nr = 1;
		if (!page)
			continue;

		order = ttm_pool_page_order(pool, page);
		nr = 1UL << order;
		ret = ttm_pool_map(pool, order, page, &addr);
		if (ret)
			goto err_unmap;

		for (j = 0; j < nr; j++)
			tt->dma_address[i + j] = addr + (j << PAGE_SHIFT);
	}

	ret = ttm_backup_undo_wb(tt, tt->num_pages);
	if (ret)
		goto err_wb;

	return 0;

err_wb:
	/* Going back to write-back needs no memory and cannot fail halfway. */
	ttm_backup_set_caching(tt, tt->num_pages, ttm_cached);
	i = tt->dma_address ? tt->num_pages : 0;
err_unmap:
	ttm_pool_backup_unmap(pool, tt, i);
	return ret;
}

/**
 * ttm_tt_backup_resumable() - whether ttm_tt_backup() can go on with a backup
 * @tt: The struct ttm_tt.
 *
 * Context: Any context. The caller holds the reservation of the buffer object.
 * Return: true if @tt is backed up, at least in part, by insertion, and no
 * restore has begun.
 */
bool ttm_tt_backup_resumable(const struct ttm_tt *tt)
{
	return ttm_tt_is_backed_up(tt) && !tt->restore &&
	       ttm_backup_takes_folios(tt->backup);
}
EXPORT_SYMBOL(ttm_tt_backup_resumable);

/**
 * ttm_tt_backup_pages() - count the pages of a struct ttm_tt by where they are
 * @tt: The struct ttm_tt.
 * @out: The counts.
 *
 * Context: Any context. The caller holds the reservation of the buffer object.
 */
void ttm_tt_backup_pages(const struct ttm_tt *tt, struct ttm_backup_pages *out)
{
	pgoff_t i, nr;

	*out = (struct ttm_backup_pages) {
		.adopted = tt->restored.adopted,
		.extracted = tt->restored.extracted,
		.copied = tt->restored.copied,
	};

	for (i = 0; i < tt->num_pages; i += nr) {
		struct page *page = tt->pages[i];
		unsigned long handle;

		nr = 1;
		if (!page)
			continue;

		if (!ttm_backup_page_ptr_is_handle(page)) {
			out->resident++;
			continue;
		}

		/* A page that an interrupted restore has got back already. */
		handle = ttm_backup_page_ptr_to_handle(page);
		if (!handle) {
			out->resident++;
			continue;
		}

		/* Chunks come back from their first page on: all after it is there. */
		if (ttm_backup_handle_inserted(handle)) {
			nr = 1UL << ttm_backup_handle_order(handle);
			nr -= ttm_backup_handle_idx(handle) & (nr - 1);
			out->inserted += nr;
		}
		out->backed_up += nr;
	}
}
EXPORT_SYMBOL(ttm_tt_backup_pages);

static struct vfsmount *ttm_backup_mount(void)
{
	struct file_system_type *type;
	struct vfsmount *mnt;
	struct fs_context *fc;
	int ret;

	type = get_fs_type("tmpfs");
	if (!type)
		return ERR_PTR(-EOPNOTSUPP);

	fc = fs_context_for_mount(type, SB_KERNMOUNT);
	if (IS_ERR(fc))
		return ERR_CAST(fc);

	ret = vfs_parse_fs_string(fc, "source", "ttm");
	if (ret) {
		mnt = ERR_PTR(ret);
		goto out_put;
	}

	/* Without huge pages, single pages can be inserted all the same. */
	if (IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE) && IS_ENABLED(CONFIG_TMPFS))
		(void)vfs_parse_fs_string(fc, "huge", "within_size");

	mnt = fc_mount_longterm(fc);

out_put:
	put_fs_context(fc);
	return mnt;
}

static int __init ttm_backup_insert_init(void)
{
	struct vfsmount *mnt = ttm_backup_mount();
	struct file *file;

	/* Nothing depends on it: without the mount, backup copies. */
	if (IS_ERR(mnt)) {
		pr_warn("[TTM] No mount for backup, pages will be copied (%pe)\n",
			mnt);
		return 0;
	}

	ttm_backup_mnt = mnt;
	file = ttm_backup_setup_file("ttm backup policy",
				     PAGE_SIZE << MAX_PAGECACHE_ORDER,
				     mk_vma_flags(VMA_NORESERVE_BIT));
	if (IS_ERR(file)) {
		pr_warn("[TTM] No backup file, pages will be copied (%pe)\n",
			file);
		ttm_backup_mnt = NULL;
		kern_unmount(mnt);
		return 0;
	}
	ttm_backup_policy = file;

	return 0;
}

/* tmpfs has been registered long before, drivers come later. */
subsys_initcall(ttm_backup_insert_init);

static void __exit ttm_backup_insert_exit(void)
{
	if (!ttm_backup_mnt)
		return;

	fput(ttm_backup_policy);
	kern_unmount(ttm_backup_mnt);
}
module_exit(ttm_backup_insert_exit);
