// SPDX-License-Identifier: GPL-2.0
/*
 * Hand over folios between their temporary owner and a shmem file.
 *
 * Some drivers need memory that shmem cannot hand out as it is, pages with
 * write-combined or uncached CPU mappings above all, and pool it, because
 * changing the caching of a page is costly. When memory gets tight, the
 * contents have to go where reclaim can find them. The functions here move the
 * folio itself into the file instead of copying its contents there, so that
 * nothing is allocated but the page cache's xarray nodes, and a large folio
 * stays large all the way to swap.
 *
 * shmem stays the allocator: shmem_alloc_detached_folio() gives out a folio
 * with the gfp mask and up to the order that the file accepts,
 * shmem_insert_folio() takes it, and shmem_extract_folio() gives it out again
 * with its contents. While it is out, the owner may do anything with it that is
 * undone before it comes back.
 */

#include <linux/backing-dev.h>
#include <linux/cacheflush.h>
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/huge_mm.h>
#include <linux/memcontrol.h>
#include <linux/memory-tiers.h>
#include <linux/mm.h>
#include <linux/page_idle.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/shmem_fs.h>
#include <linux/shmem_insert.h>
#include <linux/swap.h>

#define CREATE_TRACE_POINTS
#include <trace/events/shmem_insert.h>

#include "internal.h"

/**
 * shmem_set_insertable() - let folios be moved into and out of a file
 * @file: A shmem file that has just been created and that nobody else knows.
 *
 * Extraction takes pages from under whoever reads or maps the file, so files
 * have to be made for it. The creator promises that there will never be a file
 * descriptor of @file, nor a mapping of it in user space.
 *
 * Nobody can seal such a file or freeze its mapping, as that takes a file
 * descriptor; those of memfd_create(), System V shared memory and shared
 * anonymous mappings do not get here. The inode keeps the property for as long
 * as it lives, and no other inode inherits it.
 *
 * Context: Any context, before others can reach @file.
 */
void shmem_set_insertable(struct file *file)
{
	if (WARN_ON_ONCE(!shmem_mapping(file->f_mapping)))
		return;

	SHMEM_I(file_inode(file))->flags |= SHMEM_F_INSERTABLE;
}
EXPORT_SYMBOL_FOR_MODULES(shmem_set_insertable, "ttm");

/**
 * shmem_insert_orders() - which folio orders a file takes
 * @file: A shmem file.
 * @index: Page index in @file that the folio is meant for.
 *
 * The answer follows the huge policy of the file's mount, the run-time setting
 * in /sys/kernel/mm/transparent_hugepage/shmem_enabled and, for
 * huge=within_size, the size of the file. It is advice: the policy can change
 * before shmem_insert_folio() looks at it again.
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
 * The folio is in no page cache, on no LRU list and charged to no memcg until
 * it is inserted. It is reclaimable later on but not movable now, so it is
 * grouped with the reclaimable allocations and stays out of ZONE_MOVABLE and
 * CMA areas.
 *
 * As it is shmem's, a large one is counted as allocated by shmem, once, however
 * often it goes in and out.
 *
 * Context: As the page allocator's for @gfp.
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
 * memory_failure() gives up on pages that are on no LRU list after it has marked
 * them, tail pages as well, and does not get to telling the head, nor to counting.
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

/* Things that no owner of a detached folio can have done to it by accident. */
static bool shmem_folio_detached(struct folio *folio)
{
	/* The type shares its storage with the mapcount: ask for it first. */
	if (page_has_type(&folio->page) || folio_mapped(folio))
		return false;

	/*
	 * A compound page that somebody built by hand is no folio of ours. No
	 * folio has the flag without THP, and there no large one is taken.
	 */
	if (IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE) &&
	    folio_test_large(folio) && !folio_test_large_rmappable(folio))
		return false;

	/* What is charged as kernel memory must not get on the LRU lists. */
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

/* Does the file take this folio at this index? */
static int shmem_insert_check(struct file *file, struct folio *folio,
			      pgoff_t index)
{
	struct address_space *mapping = file->f_mapping;
	unsigned long nr = folio_nr_pages(folio);
	pgoff_t end;
	int ret;

	ret = shmem_insert_check_file(file);
	if (ret)
		return ret;

	if (!shmem_folio_detached(folio)) {
		VM_WARN_ON_ONCE_FOLIO(true, folio);
		return -EINVAL;
	}

	if (folio->private || folio_test_private(folio))
		return -EINVAL;

	end = shmem_insert_end(file);
	if (!IS_ALIGNED(index, nr) || index >= end || end - index < nr)
		return -EINVAL;

	if (folio_zonenum(folio) > gfp_zone(mapping_gfp_mask(mapping)))
		return -EINVAL;

	/* The policy may have changed since the folio was allocated. */
	if (!(shmem_insert_orders(file, index) & BIT(folio_order(folio))))
		return -EOPNOTSUPP;

	if (shmem_folio_poisoned(folio))
		return -EHWPOISON;

	return 0;
}

static int __shmem_insert_folio(struct file *file, struct folio *folio,
				pgoff_t index, gfp_t gfp)
{
	struct address_space *mapping = file->f_mapping;
	struct inode *inode = mapping->host;
	long nr = folio_nr_pages(folio);
	bool charged, dirty, uptodate;
	pgoff_t old_index;
	int ret;

	ret = shmem_insert_check(file, folio, index);
	if (ret)
		return ret;

	/*
	 * A speculative reference, such as a pfn walker's, may come and go at
	 * any time and does no harm. One that is there now may be somebody who
	 * thinks that the folio is still private.
	 */
	if (!folio_trylock(folio))
		return -EBUSY;
	if (folio_ref_count(folio) != 1) {
		ret = -EBUSY;
		goto err_unlock;
	}

	/* Account first: once published, the folio cannot be taken back. */
	ret = shmem_inode_acct_blocks(inode, nr);
	if (ret)
		goto err_unlock;

	charged = folio_memcg_charged(folio);
	if (!charged) {
		ret = mem_cgroup_charge(folio, NULL, gfp);
		if (ret)
			goto err_unacct;
	}

	old_index = folio->index;
	dirty = folio_test_dirty(folio);
	uptodate = folio_test_uptodate(folio);

	/* Others can look at the flags word all the time: atomic ops only. */
	folio_set_swapbacked(folio);
	folio_mark_uptodate(folio);
	folio_set_dirty(folio);

	/* The owner may have written it by way of the kernel's mapping. */
	flush_dcache_folio(folio);

	ret = shmem_add_to_page_cache(folio, mapping, index, NULL, gfp);
	if (ret)
		goto err_uncharge;

	shmem_recalc_inode(inode, nr, 0);
	folio_add_lru(folio);

	/* Still locked, so it is still ours to look at. */
	trace_shmem_insert_folio(inode, folio, index);
	folio_unlock(folio);

	return 0;

err_uncharge:
	if (!dirty)
		folio_clear_dirty(folio);
	if (!uptodate)
		folio_clear_uptodate(folio);
	folio_clear_swapbacked(folio);
	folio->index = old_index;
	if (!charged)
		mem_cgroup_uncharge(folio);
err_unacct:
	/* Pages that were accounted but never came are found missing. */
	shmem_recalc_inode(inode, nr, 0);
err_unlock:
	folio_unlock(folio);
	return ret;
}

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
 *	 on its way out must not be stopped by one. Without any of the bits of
 *	 __GFP_RECLAIM, the caller would be taken for one that must not spin: the
 *	 charge would be made the slow way, and nobody notified of a limit.
 *
 * A folio that is charged keeps its charge and its memcg, whatever happens here.
 * Another one is charged to the active memcg, see set_active_memcg(), or else to
 * the current task's; to the root memcg, that costs nobody anything. Either way
 * the charge is the page cache's from then on, and ends with truncation, reclaim
 * or extraction.
 *
 * On return the folio is dirty and up to date on the LRU lists, and reclaim
 * treats it like any other shmem folio. A single page may still wait in this
 * CPU's batch of pages to be added.
 *
 * The caller's reference stays the caller's: after success it may be used, for
 * instance to start writeback with shmem_write_folio(), and is dropped with
 * folio_put(). After an error the folio, the file, the charge and all counters
 * of memory in use are as they were before.
 *
 * Context: Process context. Takes the folio lock by trylock and the xarray lock
 * with interrupts disabled. May be called from reclaim if @gfp does not allow
 * direct reclaim. May sleep.
 * Return:
 * * 0 - the file has the folio
 * * %-EOPNOTSUPP - the huge policy of the mount or of the system does not allow
 *   the order at @index: copy it to smaller folios
 * * %-EINVAL - not a shmem file, or the index is misaligned or not within the
 *   size, or the file does not take folios of this zone, or ->private is set;
 *   also, with a warning if CONFIG_DEBUG_VM is set, a folio that is on the LRU,
 *   mapped, in a page cache already or charged as kernel memory
 * * %-EPERM - the file was not made for this
 * * %-EHWPOISON - memory failure has struck the folio
 * * %-EBUSY - somebody else holds a reference or the folio lock
 * * %-EEXIST - the file has contents in this range, resident or in swap
 * * %-ENOSPC - the mount's limits do not allow more pages
 * * %-ENOMEM - over the memcg's limit, or no memory for xarray nodes
 */
int shmem_insert_folio(struct file *file, struct folio *folio, pgoff_t index,
		       gfp_t gfp)
{
	int ret = __shmem_insert_folio(file, folio, index, gfp);

	if (ret)
		trace_shmem_insert_folio_fail(file_inode(file), folio, index, ret);

	return ret;
}
EXPORT_SYMBOL_FOR_MODULES(shmem_insert_folio, "ttm");

/* What the page cache, the LRU lists and reclaim leave in a folio's flags. */
#define SHMEM_CACHE_FLAGS (BIT(PG_uptodate) | BIT(PG_dirty) |		\
			   BIT(PG_swapbacked) | BIT(PG_active) |	\
			   BIT(PG_unevictable) | BIT(PG_workingset) |	\
			   BIT(PG_reclaim) | BIT(PG_dropbehind) |	\
			   LRU_REFS_FLAGS)

/*
 * Would the folio, pinned for as long as its new owner likes, be in the way? One
 * that has just been read lies where the next allocation of its owner would lie
 * as well, so only zones and areas matter that this never comes from.
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

/* Is the folio one that the caller can use? */
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
	/* Nothing is demoted from the file to stay in slow memory for good. */
	if (nid == NUMA_NO_NODE ? !node_is_toptier(folio_nid(folio)) :
				  folio_nid(folio) != nid)
		return -EXDEV;
	if (shmem_folio_must_move(folio, read))
		return -EXDEV;

	return 0;
}

/* Leaves the folio with the one reference that its new owner gets. */
static bool shmem_remove_isolated(struct address_space *mapping,
				  struct folio *folio)
{
	/* The page cache's, the caller's, and that of the isolation */
	int refs = folio_nr_pages(folio) + 2;
	bool removed;

	xa_lock_irq(&mapping->i_pages);
	removed = folio_ref_freeze(folio, refs);
	if (removed)
		__filemap_remove_folio(folio, NULL);
	xa_unlock_irq(&mapping->i_pages);

	if (removed)
		folio_ref_unfreeze(folio, 1);

	return removed;
}

static struct folio *__shmem_extract_folio(struct file *file, pgoff_t index,
					   unsigned int min_order, int nid,
					   gfp_t gfp)
{
	struct address_space *mapping = file->f_mapping;
	unsigned int max_order = MAX_PAGECACHE_ORDER;
	struct inode *inode = mapping->host;
	unsigned long orders;
	struct folio *folio;
	bool read;
	int ret;

	if (index)
		max_order = min_t(unsigned int, max_order, __ffs(index));
	/* If no order fits, ask for one that nothing has: a hole is found still. */
	orders = min_order <= max_order ? GENMASK(max_order, min_order) :
					  BIT(BITS_PER_LONG - 1);

	folio = shmem_find_lock_folio(inode, index, orders, gfp, &read);
	if (IS_ERR(folio))
		return folio;

	ret = shmem_extract_check(folio, index, min_order, nid, gfp, read);
	if (ret)
		goto err_unlock;

	/*
	 * Just inserted, read or used, a small folio may be in a batch of this
	 * CPU, which has a reference. The batches of other CPUs are left alone:
	 * to drain them is to wait until each of these CPUs has run a worker,
	 * and one that a real-time task keeps for itself may never do so.
	 */
	if (folio_may_be_lru_cached(folio) &&
	    folio_ref_count(folio) != folio_expected_ref_count(folio) + 1)
		lru_add_drain();

	ret = -EBUSY;
	if (!folio_isolate_lru(folio))
		goto err_unlock;
	if (!shmem_remove_isolated(mapping, folio))
		goto err_putback;

	trace_shmem_extract_folio(inode, folio, folio->index);

	mem_cgroup_uncharge(folio);
	/* Pages that left the mapping are found missing. */
	shmem_recalc_inode(inode, 0, 0);

	/* A speculative reference may look on: atomic ops only. */
	set_mask_bits(&folio->flags.f, SHMEM_CACHE_FLAGS, 0);
	folio_test_clear_young(folio);
	folio_clear_idle(folio);
	folio->index = 0;
	folio_unlock(folio);

	return folio;

err_putback:
	folio_putback_lru(folio);
err_unlock:
	folio_unlock(folio);
	folio_put(folio);
	return ERR_PTR(ret);
}

/**
 * shmem_extract_folio() - take a folio out of a file, without a copy
 * @file: A shmem file that shmem_set_insertable() was called for.
 * @index: Page index in @file of the first page of the folio.
 * @min_order: Smallest order of use to the caller. A smaller folio stays where
 *	       it is, and if it is in swap it is not read.
 * @nid: NUMA node that the folio has to be on, or NUMA_NO_NODE for any but those
 *	 that reclaim demotes to. Callers that allocate with __GFP_THISNODE want
 *	 the former. Where the allocator may fall back to other nodes, and a node
 *	 without memory always does, insisting on one would mean to read a folio
 *	 from swap only to have it refused, each time.
 * @gfp: Allocation flags for a folio that has to be read from swap. With
 *	 __GFP_COMP, they are used for a large folio as they are, else no more
 *	 effort is made for one than in a fault of shared memory. The folio has to
 *	 be in a zone that they allow.
 *
 * This is the way back of shmem_insert_folio(): the file has a hole afterwards,
 * where a folio can be inserted again, and the folio is as
 * shmem_alloc_detached_folio() gave it out, but with the contents of the file. It
 * is charged to nobody, also if it came charged when it was inserted.
 *
 * A folio that is in swap is read first, in the highest order that there is memory
 * for, and as large as it went at most: swap files, of which mm uses single pages
 * only, and pages that are in zswap give single pages. With the order that the folio
 * went with as @min_order and __GFP_COMP in @gfp, a caller can try to get it back
 * whole before it asks for less. What was read and then refused is in the page cache,
 * for shmem_read_folio_gfp() to find.
 *
 * A folio in a movable zone or a CMA area is refused, because the new owner would
 * pin it there, and so is a resident one in a pageblock of movable pages, to which
 * compaction has moved it.
 *
 * The folio lock is waited for, what swap takes to read or write the folio, and
 * nothing else. Where reclaim or compaction have isolated the folio, or a small one
 * waits in another CPU's batch of LRU operations, nobody can tell how long that will
 * last: the contents can be copied meanwhile. Against truncation, swapoff and other
 * extractions the lock protects: exactly one of them gets the folio.
 *
 * Context: Process context, may sleep. Takes the folio lock. Never from reclaim.
 * Return: The folio, with one reference that the caller owns and gives back with
 * folio_put(). Its order is at least @min_order, and it starts at @index. Otherwise
 * an error pointer, and the contents, but for -EIO, are still in the file:
 * * %-ENOENT - nothing at @index; nothing has been allocated
 * * %-EAGAIN - the folio is smaller than @min_order, or starts before @index
 * * %-EBUSY - somebody else uses the folio
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
 * shmem_extract_readahead() - begin to read a folio that will be taken out of a file
 * @file: A shmem file that shmem_set_insertable() was called for.
 * @index: Page index in @file of the first page of the folio.
 * @order: Order that it is in swap with.
 * @gfp: Allocation flags, as for shmem_extract_folio(). Reclaim is up to the caller
 *	 to forbid.
 *
 * For callers that take out one folio after another: the next ones can be read while
 * the first is waited for and put to use. Nothing is read if memory is short, if the
 * swap device has nothing to gain from it, or if what is in swap is not of that
 * order. What is read and not taken out after all stays in the swap cache, with its
 * swap entries, until reclaim gets there.
 *
 * Context: Process context, may sleep. Does not wait for the read.
 */
void shmem_extract_readahead(struct file *file, pgoff_t index, unsigned int order,
			     gfp_t gfp)
{
	if (!shmem_insert_check_file(file) && IS_ALIGNED(index, 1UL << order) &&
	    index < shmem_insert_end(file))
		shmem_swap_readahead(file_inode(file), index, order, gfp);
}
EXPORT_SYMBOL_FOR_MODULES(shmem_extract_readahead, "ttm");
