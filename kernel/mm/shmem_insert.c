// SPDX-License-Identifier: GPL-2.0
/*
 * Move folios between a temporary owner and a shmem file.
 *
 * Some drivers need memory that shmem does not provide, most notably pages
 * whose kernel mapping is write-combined or uncached. They pool such pages,
 * because changing the caching of a page is expensive. When memory gets tight,
 * the contents have to go where reclaim can find them. The functions here move
 * the folio itself into the file instead of copying its contents there, so
 * nothing is allocated but the page cache's xarray nodes, and a large folio
 * stays large all the way to swap.
 *
 * shmem stays the allocator: shmem_alloc_detached_folio() gives out a folio
 * with the gfp mask and up to the order that the file accepts,
 * shmem_insert_folio() takes it, and shmem_extract_folio() gives it out again
 * with its contents. In between, the owner may change the folio in any way, as
 * long as the change is undone before the folio is inserted.
 */

#include <linux/backing-dev.h>
#include <linux/cacheflush.h>
#include <linux/export.h>
#include <linux/folio_batch.h>
#include <linux/fs.h>
#include <linux/huge_mm.h>
#include <linux/memcontrol.h>
#include <linux/memory-tiers.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/page_idle.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/shmem_fs.h>
#include <linux/shmem_insert.h>
#include <linux/swap.h>

#include <trace/events/filemap.h>
#define CREATE_TRACE_POINTS
#include <trace/events/shmem_insert.h>

#include "internal.h"

/**
 * shmem_set_insertable() - let folios be moved into and out of a file
 * @file: A shmem file that has just been created and is not visible to others.
 *
 * Extraction removes pages that a reader or a mapping of the file may rely on,
 * so a file has to opt in. The caller promises that user space never gets a
 * file descriptor or a mapping of @file.
 *
 * This also means that such a file cannot be sealed and its mapping cannot be
 * frozen, since both need a file descriptor. Files of memfd_create(), System V
 * shared memory and shared anonymous mappings never have the property. It
 * belongs to the inode, for as long as the inode exists.
 *
 * Context: Any context, before @file becomes visible to others.
 */
void shmem_set_insertable(struct file *file)
{
	if (WARN_ON_ONCE(!shmem_mapping(file->f_mapping)))
		return;

	SHMEM_I(file_inode(file))->flags |= SHMEM_F_INSERTABLE;
}
EXPORT_SYMBOL_FOR_MODULES(shmem_set_insertable, "ttm");

/**
 * shmem_insert_orders() - get the folio orders that a file accepts
 * @file: A shmem file.
 * @index: Page index in @file that the folio is meant for.
 *
 * The result depends on the huge policy of the file's mount, the run-time setting
 * in /sys/kernel/mm/transparent_hugepage/shmem_enabled and, for
 * huge=within_size, the size of the file. It is a hint: the policy may change
 * before shmem_insert_folio() checks it again.
 *
 * Context: Any context.
 * Return: Bitmask of the allowed orders. Bit 0 is always set.
 */
unsigned long shmem_insert_orders(struct file *file, pgoff_t index)
{
	struct inode *inode = file_inode(file);
	unsigned int max = mapping_max_folio_order(inode->i_mapping);
	unsigned long orders;

	orders = shmem_allowable_huge_orders(inode, NULL, index, 0, false);

	return (orders & GENMASK(max, 0)) | BIT(0);
}
EXPORT_SYMBOL_FOR_MODULES(shmem_insert_orders, "ttm");

/**
 * shmem_alloc_detached_folio() - allocate a folio that a file will accept later
 * @file: A shmem file on the mount that the folio is meant for.
 * @order: Order of the folio, allowed by shmem_insert_orders(@file, 0).
 * @nid: NUMA node to allocate from, or NUMA_NO_NODE for the nearest one.
 * @gfp: Allocation flags. __GFP_ZERO, __GFP_THISNODE and the reclaim modifiers
 *	 are honoured. The zone is lowered to the one that the mapping's gfp mask
 *	 allows.
 *
 * Until it is inserted, the folio is not in the page cache, not on an LRU list
 * and not charged to a memcg. It cannot be moved while it is detached, but can
 * be reclaimed later, so it is grouped with reclaimable allocations and stays
 * out of ZONE_MOVABLE and CMA areas.
 *
 * A large folio is counted as allocated by shmem once, no matter how often it is
 * inserted and extracted.
 *
 * Context: Same as for the page allocator with @gfp.
 * Return: The folio, with one reference that the caller owns and gives back
 * with folio_put(); NULL if there is no memory or @order is not allowed.
 */
struct folio *shmem_alloc_detached_folio_noprof(struct file *file,
						unsigned int order, int nid,
						gfp_t gfp)
{
	gfp_t zone = gfp & GFP_ZONEMASK & ~__GFP_MOVABLE;
	gfp_t limit = mapping_gfp_mask(file->f_mapping) & GFP_ZONEMASK &
		      ~__GFP_MOVABLE;
	struct folio *folio;

	if (order >= BITS_PER_LONG ||
	    !(shmem_insert_orders(file, 0) & BIT(order)))
		return NULL;

	if (gfp_zone(zone) > gfp_zone(limit))
		zone = limit;

	gfp &= ~(GFP_ZONEMASK | __GFP_ACCOUNT);
	gfp |= zone | __GFP_RECLAIMABLE;

	if (nid == NUMA_NO_NODE)
		nid = numa_mem_id();

	folio = __folio_alloc_node_noprof(gfp, order, nid);
	if (folio) {
		if (folio_test_pmd_mappable(folio))
			count_vm_event(THP_FILE_ALLOC);
		count_mthp_stat(order, MTHP_STAT_SHMEM_ALLOC);
	}

	return folio;
}
EXPORT_SYMBOL_FOR_MODULES(shmem_alloc_detached_folio_noprof, "ttm");

/*
 * memory_failure() marks a page, head or tail, before it finds that the page is
 * not on an LRU list and gives up. By then it has neither set the flag of the
 * folio nor counted the page, so look at every page.
 */
static bool shmem_folio_poisoned(struct folio *folio)
{
#ifdef CONFIG_MEMORY_FAILURE
	unsigned long i, nr = folio_nr_pages(folio);

	for (i = 0; i < nr; i++)
		if (PageHWPoison(folio_page(folio, i)))
			return true;
#endif
	return false;
}

/* Check that a folio is as shmem_alloc_detached_folio() returns it. */
static bool shmem_folio_detached(struct folio *folio)
{
	/* The page type shares storage with the mapcount, so check it first. */
	if (page_has_type(&folio->page) || folio_mapped(folio))
		return false;

	/*
	 * A compound page that was set up by hand did not come from shmem.
	 * Without THP no folio has the flag, but then the order is refused.
	 */
	if (IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE) &&
	    folio_test_large(folio) && !folio_test_large_rmappable(folio))
		return false;

	/* Kernel memory must not get on the LRU lists. */
	return !folio->mapping && !folio_test_lru(folio) &&
	       !folio_test_swapcache(folio) && !folio_test_writeback(folio) &&
	       !folio_memcg_kmem(folio);
}

/* May folios be moved into and out of this file? */
static int shmem_insert_check_file(struct file *file)
{
	struct address_space *mapping = file->f_mapping;

	if (!shmem_mapping(mapping))
		return -EINVAL;

	if (!(SHMEM_I(mapping->host)->flags & SHMEM_F_INSERTABLE))
		return -EPERM;

	return 0;
}

/* The index after the last page of the file */
static pgoff_t shmem_insert_end(struct file *file)
{
	return DIV_ROUND_UP_ULL(i_size_read(file_inode(file)), PAGE_SIZE);
}

/* Check whether the file accepts this folio at this index. */
static int shmem_insert_check(struct file *file, struct folio *folio,
			      pgoff_t index)
{
	unsigned int order = folio_order(folio);
	unsigned long nr = folio_nr_pages(folio);
	pgoff_t end;

	if (!shmem_folio_detached(folio)) {
		VM_WARN_ON_ONCE_FOLIO(true, folio);
		return -EINVAL;
	}

	if (folio->private || folio_test_private(folio))
		return -EINVAL;

	end = shmem_insert_end(file);
	if (!IS_ALIGNED(index, nr) || index >= end || end - index < nr)
		return -EINVAL;

	if (folio_zonenum(folio) > gfp_zone(mapping_gfp_mask(file->f_mapping)))
		return -EINVAL;

	/* The policy may have changed since the folio was allocated. */
	if (order && !(shmem_insert_orders(file, index) & BIT(order)))
		return -EOPNOTSUPP;

	if (shmem_folio_poisoned(folio))
		return -EHWPOISON;

	return 0;
}

/* Lock a folio that the file takes at this index. */
static int shmem_insert_lock(struct file *file, struct folio *folio,
			     pgoff_t index)
{
	int ret;

	ret = shmem_insert_check(file, folio, index);
	if (ret)
		return ret;

	/*
	 * A speculative reference, such as that of a pfn walker, may come and
	 * go at any time and is harmless. One that is held now may belong to a
	 * user who relies on the folio being private.
	 */
	if (!folio_trylock(folio))
		return -EBUSY;
	if (folio_ref_count(folio) != 1) {
		folio_unlock(folio);
		return -EBUSY;
	}

	return 0;
}

/* Check whether both folios are accounted to the same counters. */
static bool shmem_folios_count_alike(struct folio *a, struct folio *b)
{
	return folio_pgdat(a) == folio_pgdat(b) &&
	       folio_memcg(a) == folio_memcg(b) &&
	       folio_test_pmd_mappable(a) == folio_test_pmd_mappable(b);
}

/*
 * Account for folios that were added to the page cache (@sign 1) or removed from
 * it (@sign -1). Updating the counters of a memcg is expensive, so do it once for
 * a run of folios that share them.
 */
static void shmem_count_folios(struct folio **folios, unsigned int nr, int sign)
{
	unsigned int i, next;

	guard(rcu)();

	for (i = 0; i < nr; i = next) {
		struct folio *folio = folios[i];
		long pages = folio_nr_pages(folio);

		for (next = i + 1; next < nr; next++) {
			if (!shmem_folios_count_alike(folio, folios[next]))
				break;
			pages += folio_nr_pages(folios[next]);
		}

		pages *= sign;
		lruvec_stat_mod_folio(folio, NR_FILE_PAGES, pages);
		lruvec_stat_mod_folio(folio, NR_SHMEM, pages);
		if (folio_test_pmd_mappable(folio))
			lruvec_stat_mod_folio(folio, NR_SHMEM_THPS, pages);
	}
}

/*
 * Add a folio to the page cache, as shmem_add_to_page_cache() does, but for the
 * counters. On error, which is in @xas, it is unchanged.
 */
static void shmem_insert_store(struct xa_state *xas, struct address_space *mapping,
			       struct folio *folio, pgoff_t index)
{
	bool uptodate = folio_test_uptodate(folio);
	bool dirty = folio_test_dirty(folio);
	pgoff_t old_index = folio->index;
	long nr = folio_nr_pages(folio);

	xas_set_order(xas, index, folio_order(folio));
	if (xas_find_conflict(xas)) {
		xas_set_err(xas, -EEXIST);
		return;
	}

	/* Speculative users may access the flags, so use atomic ops only. */
	folio_set_swapbacked(folio);
	folio_mark_uptodate(folio);
	folio_set_dirty(folio);
	folio_ref_add(folio, nr);
	folio->mapping = mapping;
	folio->index = index;

	xas_store(xas, folio);
	if (!xas_error(xas)) {
		mapping->nrpages += nr;
		return;
	}

	folio->index = old_index;
	folio->mapping = NULL;
	folio_ref_sub(folio, nr);
	if (!dirty)
		folio_clear_dirty(folio);
	if (!uptodate)
		folio_clear_uptodate(folio);
	folio_clear_swapbacked(folio);
}

/* Add locked and charged folios to the page cache. Returns the number added. */
static unsigned int shmem_insert_publish(struct address_space *mapping,
					 struct folio **folios, unsigned int nr,
					 pgoff_t index, gfp_t gfp, int *err)
{
	XA_STATE(xas, &mapping->i_pages, index);
	struct mem_cgroup *old_memcg;
	unsigned int i = 0, first;

	/* Without room for a node, it would look as if there was no memory. */
	old_memcg = set_active_memcg(root_mem_cgroup);
	do {
		xas_lock_irq(&xas);
		for (first = i; i < nr; i++) {
			shmem_insert_store(&xas, mapping, folios[i], index);
			if (xas_error(&xas))
				break;
			index += folio_nr_pages(folios[i]);
		}
		shmem_count_folios(folios + first, i - first, 1);
		xas_unlock_irq(&xas);
	} while (xas_nomem(&xas, gfp & GFP_RECLAIM_MASK));
	set_active_memcg(old_memcg);

	*err = xas_error(&xas);

	return i;
}

/* Returns the number of folios inserted, or the error for the first folio. */
static int __shmem_insert_folios(struct file *file, struct folio_batch *fbatch,
				 pgoff_t index, gfp_t gfp)
{
	unsigned int i, done = 0, locked, charged, nr = folio_batch_count(fbatch);
	struct address_space *mapping = file->f_mapping;
	struct inode *inode = mapping->host;
	struct folio **folios = fbatch->folios;
	DECLARE_BITMAP(ours, FOLIO_BATCH_SIZE);
	pgoff_t next = index;
	int ret;

	ret = shmem_insert_check_file(file);
	if (ret)
		return ret;

	/* The OOM killer is not for what the owner can keep. */
	gfp |= __GFP_RETRY_MAYFAIL;

	for (locked = 0; locked < nr; locked++) {
		ret = shmem_insert_lock(file, folios[locked], next);
		if (ret)
			break;
		next += folio_nr_pages(folios[locked]);
	}
	if (!locked)
		return ret;

	/* Account first: a folio cannot be taken back once it is published. */
	ret = shmem_inode_acct_blocks(inode, next - index);
	if (ret)
		goto out_unlock;

	for (charged = 0; charged < locked; charged++) {
		struct folio *folio = folios[charged];

		__assign_bit(charged, ours, !folio_memcg_charged(folio));
		if (test_bit(charged, ours)) {
			ret = mem_cgroup_charge(folio, NULL, gfp);
			if (ret) {
				ret = -EDQUOT;
				break;
			}
		}

		/* The owner may have written to it through the kernel mapping. */
		flush_dcache_folio(folio);
	}

	if (charged) {
		folio_throttle_swaprate(folios[0], gfp);
		done = shmem_insert_publish(mapping, folios, charged, index, gfp,
					    &ret);
	}

	for (i = done; i < charged; i++)
		if (test_bit(i, ours))
			mem_cgroup_uncharge(folios[i]);

	/* This also undoes the accounting of pages that were not added. */
	shmem_recalc_inode(inode, next - index, 0);

	for (i = 0; i < done; i++) {
		folio_add_lru(folios[i]);
		/* The folio lock still keeps it in the file. */
		trace_shmem_insert_folio(inode, folios[i], folios[i]->index);
	}

out_unlock:
	for (i = 0; i < locked; i++)
		folio_unlock(folios[i]);

	return done ?: ret;
}

/**
 * shmem_insert_folios() - make folios the contents of a file, without a copy
 * @file: Same as for shmem_insert_folio().
 * @fbatch: The folios, in the order of their place in the file, without gaps. Each
 *	    has to be as shmem_insert_folio() requires it.
 * @index: Page index in @file of the first folio.
 * @gfp: Same as for shmem_insert_folio().
 *
 * This has the effect of calling shmem_insert_folio() for one folio after the other,
 * up to the first that fails. It is cheaper because the accounting is done, and the
 * lock of the page cache is taken, once for the batch.
 *
 * The batch is not modified, and the caller keeps all references.
 *
 * Context: Same as for shmem_insert_folio().
 * Return: The number of folios inserted, starting with the first. If the first folio
 * cannot be inserted, the error of shmem_insert_folio() for it. On -ENOSPC, the mount
 * has no room for the whole batch, and nothing has been inserted.
 */
int shmem_insert_folios(struct file *file, struct folio_batch *fbatch,
			pgoff_t index, gfp_t gfp)
{
	int ret;

	if (!folio_batch_count(fbatch))
		return 0;

	ret = __shmem_insert_folios(file, fbatch, index, gfp);
	if (ret < 0)
		trace_shmem_insert_folio_fail(file_inode(file), fbatch->folios[0],
					      index, ret);

	return ret;
}
EXPORT_SYMBOL_FOR_MODULES(shmem_insert_folios, "ttm");

/**
 * shmem_insert_folio() - make a folio the contents of a file, without a copy
 * @file: A shmem file that shmem_set_insertable() was called for, whose size does
 *	  not change during the call.
 * @folio: The folio, as shmem_alloc_detached_folio() gave it out: with one
 *	   reference, unlocked, not mapped, ->private clear, its kernel mapping
 *	   write-back cached and no DMA going on. Its contents become those of the
 *	   file. It may have been charged to a memcg since, but not as kernel
 *	   memory.
 * @index: Page index in @file, a multiple of the folio's size in pages.
 * @gfp: Flags for the charge and the page cache's xarray nodes, nothing else is
 *	 allocated. Reclaim wants GFP_ATOMIC | __GFP_NOWARN: nodes may come from
 *	 the reserves, and the charge succeeds even above the limit, since memory
 *	 on its way out must not be stopped by one. A mask without any bit of
 *	 __GFP_RECLAIM means that the caller must not spin: charging is slower
 *	 then, and hitting a limit is not reported. The OOM killer is not invoked
 *	 in any case, as the caller can keep the folio.
 *
 * A folio that is charged already keeps its charge and its memcg in any case. Any
 * other folio is charged to the active memcg (see set_active_memcg()) or, without
 * one, to the memcg of the current task. Charging the root memcg is free. At the
 * limit of another one, its memory is reclaimed if @gfp allows it. Either way the
 * charge belongs to the page cache from then on, and ends with truncation, reclaim or
 * extraction. Nodes are charged to the root memcg.
 *
 * On return the folio is dirty and up to date on the LRU lists, and reclaim
 * treats it like any other shmem folio. A single page may still wait in this
 * CPU's batch of pages to be added.
 *
 * The caller keeps its reference. After success it may be used, for instance to
 * start writeback with shmem_write_folio(), and is dropped with folio_put().
 * After an error the folio, the file, the charge and all counters of memory in
 * use are as they were before.
 *
 * Context: Process context. Takes the folio lock by trylock and the xarray lock
 * with interrupts disabled. May be called from reclaim if @gfp does not allow
 * direct reclaim. May sleep.
 * Return:
 * * 0 - the file has the folio
 * * %-EOPNOTSUPP - the huge policy of the mount or of the system does not allow
 *   the order at @index; the caller can copy it to smaller folios
 * * %-EINVAL - not a shmem file, or the index is misaligned or not within the
 *   size, or the file does not take folios of this zone, or ->private is set;
 *   also, with a warning if CONFIG_DEBUG_VM is set, a folio that is on the LRU,
 *   mapped, in a page cache already or charged as kernel memory
 * * %-EPERM - the file was not made for this
 * * %-EHWPOISON - memory failure has struck the folio
 * * %-EBUSY - another user holds a reference or the folio lock
 * * %-EEXIST - the file has contents in this range, resident or in swap
 * * %-ENOSPC - the mount's limits do not allow more pages
 * * %-EDQUOT - the memcg has no room for the folio
 * * %-ENOMEM - no memory for xarray nodes
 */
int shmem_insert_folio(struct file *file, struct folio *folio, pgoff_t index,
		       gfp_t gfp)
{
	struct folio_batch fbatch;
	int ret;

	folio_batch_init(&fbatch);
	folio_batch_add(&fbatch, folio);

	ret = shmem_insert_folios(file, &fbatch, index, gfp);

	return min(ret, 0);
}
EXPORT_SYMBOL_FOR_MODULES(shmem_insert_folio, "ttm");

/* The flags that the page cache, the LRU lists and reclaim set on a folio. */
#define SHMEM_CACHE_FLAGS (BIT(PG_uptodate) | BIT(PG_dirty) |		\
			   BIT(PG_swapbacked) | BIT(PG_active) |	\
			   BIT(PG_unevictable) | BIT(PG_workingset) |	\
			   BIT(PG_reclaim) | BIT(PG_dropbehind) |	\
			   LRU_REFS_FLAGS)

/*
 * The new owner may pin the folio for long, so it must not be in memory that has
 * to stay movable. A folio that has just been read from swap is where the owner's
 * next allocation would be as well, so check only for the zones and areas that
 * such an allocation is never served from.
 */
static bool shmem_folio_must_move(struct folio *folio, bool read)
{
	unsigned long pfn = folio_pfn(folio);
	unsigned long end = pfn + folio_nr_pages(folio);

	if (!folio_is_longterm_pinnable(folio))
		return true;
	if (read)
		return false;

	for (; pfn < end; pfn += pageblock_nr_pages) {
		switch (get_pageblock_migratetype(pfn_to_page(pfn))) {
		case MIGRATE_UNMOVABLE:
		case MIGRATE_RECLAIMABLE:
		case MIGRATE_HIGHATOMIC:
			break;
		default:
			return true;
		}
	}

	return false;
}

/*
 * Allocators that have to stay on a node take single pages from any other that
 * they must not do without, so a node is only insisted on for large folios.
 */
static bool shmem_folio_wrong_node(struct folio *folio, int nid)
{
	if (folio_nid(folio) == nid)
		return false;
	if (nid != NUMA_NO_NODE && folio_test_large(folio))
		return true;
	/* Do not pin a folio in slow memory that it was demoted to. */
	return !node_is_toptier(folio_nid(folio));
}

/* Check whether the caller can use the folio. */
static int shmem_extract_check(struct folio *folio, pgoff_t index,
			       unsigned int min_order, int nid, gfp_t gfp,
			       bool read)
{
	if (shmem_folio_poisoned(folio))
		return -EHWPOISON;

	if (folio->index != index || folio_order(folio) < min_order)
		return -EAGAIN;

	if (folio_mapped(folio))
		return -EBUSY;

	if (folio_zonenum(folio) > gfp_zone(gfp))
		return -EXDEV;
	if (shmem_folio_wrong_node(folio, nid))
		return -EXDEV;
	if (shmem_folio_must_move(folio, read))
		return -EXDEV;

	return 0;
}

/* Returns the number of folios isolated, which stops at the first that cannot be. */
static unsigned int shmem_extract_isolate(struct folio_batch *fbatch)
{
	struct lruvec *lruvec = NULL;
	unsigned int i;

	for (i = 0; i < folio_batch_count(fbatch); i++) {
		struct folio *folio = fbatch->folios[i];

		if (!folio_test_clear_lru(folio))
			break;

		lruvec = folio_lruvec_relock_irq(folio, lruvec);
		lruvec_del_folio(lruvec, folio);
	}
	if (lruvec)
		lruvec_unlock_irq(lruvec);

	return i;
}

/*
 * Remove isolated folios from the page cache, up to the first that is in use
 * elsewhere. The only reference left to them is that of the new owner. This is
 * __filemap_remove_folio() for a batch: a shmem mapping has no dirty accounting and
 * needs no update of its shadow nodes.
 */
static unsigned int shmem_extract_remove(struct address_space *mapping,
					 struct folio **folios, unsigned int nr)
{
	XA_STATE(xas, &mapping->i_pages, folios[0]->index);
	unsigned int i, removed;

	xas_lock_irq(&xas);
	for (removed = 0; removed < nr; removed++) {
		struct folio *folio = folios[removed];
		long pages = folio_nr_pages(folio);

		/* References of the page cache and the caller */
		if (!folio_ref_freeze(folio, pages + 1))
			break;

		trace_mm_filemap_delete_from_page_cache(folio);
		xas_set_order(&xas, folio->index, folio_order(folio));
		xas_store(&xas, NULL);
		folio->mapping = NULL;
		mapping->nrpages -= pages;
	}
	shmem_count_folios(folios, removed, -1);
	xas_unlock_irq(&xas);

	for (i = 0; i < removed; i++)
		folio_ref_unfreeze(folios[i], 1);

	return removed;
}

/*
 * Take locked folios out of the file, up to the first that is in use elsewhere.
 * The folios that were not taken are removed from the batch and released.
 */
static unsigned int shmem_extract_take(struct address_space *mapping,
				       struct folio_batch *fbatch)
{
	unsigned int i, isolated, taken = 0, nr = folio_batch_count(fbatch);
	struct inode *inode = mapping->host;
	struct folio **folios = fbatch->folios;

	/*
	 * A small folio that was recently inserted, read or used may be in a
	 * batch of this CPU, which holds a reference. Leave the batches of
	 * other CPUs alone: draining them means to wait for a worker on each
	 * CPU, which may never run where a real-time task hogs the CPU.
	 */
	for (i = 0; i < nr; i++) {
		if (folio_may_be_lru_cached(folios[i]) &&
		    folio_ref_count(folios[i]) !=
		    folio_expected_ref_count(folios[i]) + 1) {
			lru_add_drain();
			break;
		}
	}

	isolated = shmem_extract_isolate(fbatch);
	if (isolated)
		taken = shmem_extract_remove(mapping, folios, isolated);

	for (i = taken; i < nr; i++) {
		folio_unlock(folios[i]);
		if (i < isolated)
			folio_putback_lru(folios[i]);
		else
			folio_put(folios[i]);
	}
	/* The next attempt may be made on another CPU. */
	if (taken < isolated)
		lru_add_drain();

	fbatch->nr = taken;
	if (!taken)
		return 0;

	mem_cgroup_uncharge_folios(fbatch);
	/* Account for the pages that left the mapping. */
	shmem_recalc_inode(inode, 0, 0);

	for (i = 0; i < taken; i++) {
		struct folio *folio = folios[i];

		trace_shmem_extract_folio(inode, folio, folio->index);
		/* Speculative users may access the flags, so use atomic ops only. */
		set_mask_bits(&folio->flags.f, SHMEM_CACHE_FLAGS, 0);
		folio_test_clear_young(folio);
		folio_clear_idle(folio);
		folio->index = 0;
		folio_unlock(folio);
	}

	return taken;
}

static struct folio *__shmem_extract_folio(struct file *file, pgoff_t index,
					   unsigned int min_order, int nid,
					   gfp_t gfp)
{
	struct address_space *mapping = file->f_mapping;
	unsigned int max_order = MAX_PAGECACHE_ORDER;
	struct folio_batch fbatch;
	unsigned long orders;
	struct folio *folio;
	bool read;
	int ret;

	if (index)
		max_order = min_t(unsigned int, max_order, __ffs(index));
	/* If no order fits, pass one that no folio has, to still detect a hole. */
	orders = min_order <= max_order ? GENMASK(max_order, min_order) :
					  BIT(BITS_PER_LONG - 1);

	folio = shmem_find_lock_folio(mapping->host, index, orders, nid, gfp, &read);
	if (IS_ERR(folio))
		return folio;

	ret = shmem_extract_check(folio, index, min_order, nid, gfp, read);
	if (ret) {
		folio_unlock(folio);
		folio_put(folio);
		return ERR_PTR(ret);
	}

	folio_batch_init(&fbatch);
	folio_batch_add(&fbatch, folio);

	return shmem_extract_take(mapping, &fbatch) ? folio : ERR_PTR(-EBUSY);
}

/**
 * shmem_extract_folio() - take a folio out of a file, without a copy
 * @file: A shmem file that shmem_set_insertable() was called for.
 * @index: Page index in @file of the first page of the folio.
 * @min_order: Smallest order that is useful to the caller. A smaller folio is
 *	       left alone, and not read if it is in swap.
 * @nid: NUMA node that a large folio has to be on, and to which it is read. A single
 *	 page is read to that node if there is memory, and may be on any node that
 *	 reclaim does not demote to. With NUMA_NO_NODE, a large folio may be as well,
 *	 and the memory policy of the caller selects the node to read to.
 * @gfp: Allocation flags for a folio that has to be read from swap. With
 *	 __GFP_COMP, they are used for a large folio as they are. Otherwise a large
 *	 folio is allocated with no more effort than in a page fault of shared
 *	 memory. The folio has to be in a zone that they allow.
 *
 * This reverses shmem_insert_folio(): it leaves a hole in the file, where a folio
 * can be inserted again, and the folio is in the state that
 * shmem_alloc_detached_folio() returns it in, with the contents of the file. It
 * is not charged, even if it was charged when it was inserted.
 *
 * A folio that is in swap is read first, in the highest order that there is memory
 * for, up to the order that it was swapped out with. zswap, and swap files that are
 * fragmented, hold single pages only. To try to get a folio back whole first, pass its order as
 * @min_order and __GFP_COMP in @gfp. A folio that was read and then refused is in
 * the page cache, where shmem_read_folio_gfp() finds it.
 *
 * A folio in a movable zone or a CMA area is refused, because the new owner would
 * pin it there. So is a resident folio that compaction has moved to a movable
 * pageblock.
 *
 * This waits for the folio lock and for swap I/O on the folio, but not for reclaim
 * or compaction to put back a folio that they have isolated, nor for another CPU's
 * batch of LRU operations that a small folio is in. How long these take is unknown,
 * and the caller can copy the contents instead. The folio lock serializes this with
 * truncation, swapoff and other extractions: at most one of them gets the folio.
 *
 * Context: Process context, may sleep. Takes the folio lock. Never from reclaim.
 * Return: The folio, with one reference that the caller owns and gives back with
 * folio_put(). Its order is at least @min_order, and it starts at @index. Otherwise
 * an error pointer; except for -EIO, the contents are still in the file:
 * * %-ENOENT - nothing at @index; nothing has been allocated
 * * %-EAGAIN - the folio is smaller than @min_order, or starts before @index
 * * %-EBUSY - the folio is in use elsewhere
 * * %-EXDEV - wrong node or zone, or among movable pages
 * * %-EIO - the contents could not be read from swap and are lost; for a large
 *   folio that was read at once, all of them
 * * %-EHWPOISON - memory failure has struck the folio
 * * %-ENOMEM - no memory to read the contents from swap
 * * %-EINVAL - not a shmem file, or @index is not within the size
 * * %-EPERM - the file was not made for this
 */
struct folio *shmem_extract_folio(struct file *file, pgoff_t index,
				  unsigned int min_order, int nid, gfp_t gfp)
{
	struct folio *folio;
	int ret;

	might_alloc(gfp);

	ret = shmem_insert_check_file(file);
	if (!ret && index >= shmem_insert_end(file))
		ret = -EINVAL;

	if (ret)
		folio = ERR_PTR(ret);
	else
		folio = __shmem_extract_folio(file, index, min_order, nid, gfp);

	if (IS_ERR(folio))
		trace_shmem_extract_folio_fail(file_inode(file), index, min_order,
					       PTR_ERR(folio));

	return folio;
}
EXPORT_SYMBOL_FOR_MODULES(shmem_extract_folio, "ttm");

/**
 * shmem_extract_folios() - take resident folios out of a file
 * @file: A shmem file that shmem_set_insertable() was called for.
 * @index: Page index in @file of the first page of the first folio.
 * @nr: Length of the range to take folios from, in pages.
 * @nid: Same as for shmem_extract_folio().
 * @gfp: Same as for shmem_extract_folio(). Nothing is allocated.
 * @fbatch: An empty batch, which the folios are added to.
 *
 * This has the effect of calling shmem_extract_folio() with a @min_order of 0 for one
 * folio after the other. It is cheaper because the accounting is done, and the locks
 * of the page cache and the LRU lists are taken, once for the batch.
 *
 * It stops at the first folio that is not resident, is locked, cannot be extracted or
 * exceeds the range, and when the batch is full. For why it stopped there, call
 * shmem_extract_folio().
 *
 * Context: Process context, may sleep. Takes folio locks by trylock. Never from
 * reclaim.
 * Return: The number of folios in @fbatch, each with one reference that the caller
 * owns and gives back with folio_put().
 */
unsigned int shmem_extract_folios(struct file *file, pgoff_t index, unsigned long nr,
				  int nid, gfp_t gfp, struct folio_batch *fbatch)
{
	struct address_space *mapping = file->f_mapping;
	pgoff_t start = index, end = index + nr;
	unsigned int i, found, usable;

	if (!nr || shmem_insert_check_file(file))
		return 0;

	found = filemap_get_folios_contig(mapping, &start, end - 1, fbatch);

	for (usable = 0; usable < found; usable++) {
		struct folio *folio = fbatch->folios[usable];

		if (!folio_trylock(folio))
			break;
		if (folio->mapping != mapping || !folio_test_uptodate(folio) ||
		    end - index < folio_nr_pages(folio) ||
		    shmem_extract_check(folio, index, 0, nid, gfp, false)) {
			folio_unlock(folio);
			break;
		}
		index = folio_next_index(folio);
	}

	for (i = usable; i < found; i++)
		folio_put(fbatch->folios[i]);
	fbatch->nr = usable;

	return usable ? shmem_extract_take(mapping, fbatch) : 0;
}
EXPORT_SYMBOL_FOR_MODULES(shmem_extract_folios, "ttm");

/**
 * shmem_extract_readahead() - start reading a folio that is to be extracted soon
 * @file: A shmem file that shmem_set_insertable() was called for.
 * @index: Page index in @file of the first page of the folio.
 * @order: Order of its swap entry.
 * @nid: Same as for shmem_extract_folio().
 * @gfp: Allocation flags, as for shmem_extract_folio(). The caller should not allow
 *	 reclaim.
 *
 * For callers that extract one folio after another: the next ones can be read while
 * the first one is being read and used. Nothing is read if memory is short, if the
 * swap device does not benefit from readahead, or if the swap entry is of another
 * order. A folio that is read but not extracted stays in the swap cache, with its
 * swap entries, until it is reclaimed.
 *
 * Context: Process context, may sleep. Does not wait for the read.
 */
void shmem_extract_readahead(struct file *file, pgoff_t index, unsigned int order,
			     int nid, gfp_t gfp)
{
	if (!shmem_insert_check_file(file) && IS_ALIGNED(index, 1UL << order) &&
	    index < shmem_insert_end(file))
		shmem_swap_readahead(file_inode(file), index, order, nid, gfp);
}
EXPORT_SYMBOL_FOR_MODULES(shmem_extract_readahead, "ttm");
