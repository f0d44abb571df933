// SPDX-License-Identifier: MIT
/*
 * Backup files that take folios.
 *
 * They live on a mount of TTM's own, whose huge policy lets shmem accept large
 * folios regardless of the system's policy for shared memory. All of their
 * contents come from shmem_insert_folio(): a folio that shmem allocated by
 * itself could be a large one and cover the indices of other pages.
 */

#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/shmem_fs.h>
#include <linux/shmem_insert.h>
#include <linux/sizes.h>

#include <kunit/static_stub.h>
#include <kunit/visibility.h>

#include <drm/drm_gem.h>
#include <drm/ttm/ttm_backup.h>
#include <drm/ttm/ttm_tt.h>

#include "ttm_backup_file.h"
#include "ttm_pool_internal.h"

VISIBLE_IF_KUNIT bool ttm_zero_copy = true;
EXPORT_SYMBOL_IF_KUNIT(ttm_zero_copy);

MODULE_PARM_DESC(zero_copy, "Back up buffer objects by handing their pages to shmem instead of copying them, and restore by taking them back (default: Y)");
module_param_named(zero_copy, ttm_zero_copy, bool, 0444);

static struct vfsmount *ttm_backup_mnt;

/* The file that pages are allocated for until they are swapped out */
static struct file *ttm_backup_template;

static struct file *ttm_backup_file_setup(struct vfsmount *mnt, loff_t size,
					  vma_flags_t flags)
{
	struct file *file;

	file = shmem_file_setup_with_mnt(mnt, "ttm shmem backup", size, flags);
	if (IS_ERR(file))
		return file;

	/*
	 * Pages that are read from swap must not be movable, like those that
	 * the pools allocate.
	 */
	mapping_set_gfp_mask(file->f_mapping, GFP_HIGHUSER | __GFP_RECLAIMABLE);
	shmem_set_insertable(file);

	return file;
}

/**
 * ttm_backup_file_create() - create a backup file that takes folios
 * @size: The maximum size to back up, in bytes.
 *
 * Context: Process context, may sleep.
 * Return: The file, which the caller owns; an error pointer; or NULL if folios
 * are not wanted (ttm.zero_copy is off) or TTM has no mount of its own.
 */
struct file *ttm_backup_file_create(loff_t size)
{
	if (!ttm_backup_mnt)
		return NULL;

	return ttm_backup_file_setup(ttm_backup_mnt, size, EMPTY_VMA_FLAGS);
}

/**
 * ttm_backup_file_takes_folios() - whether a backup file gets its pages by insertion
 * @backup: The backup file, or NULL for none.
 *
 * Context: Any context.
 * Return: true for a file that ttm_backup_file_create() made.
 */
bool ttm_backup_file_takes_folios(const struct file *backup)
{
	return backup && ttm_backup_mnt && backup->f_path.mnt == ttm_backup_mnt;
}

/**
 * ttm_backup_file_for() - which file the pages of a struct ttm_tt are meant for
 * @tt: The struct ttm_tt.
 *
 * A struct ttm_tt that TTM swaps out has a backup file only while it is swapped
 * out. In memory, all of them share a file that is and stays empty.
 *
 * Context: Any context.
 * Return: The file, or NULL if the pages will never get into one.
 */
struct file *ttm_backup_file_for(const struct ttm_tt *tt)
{
	if (tt->backup || tt->page_flags & TTM_TT_FLAG_EXTERNAL)
		return tt->backup;

	return ttm_backup_template;
}

/* The highest order that can be copied or split at once without undue delay */
unsigned int ttm_backup_file_sane_order(void)
{
	KUNIT_STATIC_STUB_REDIRECT(ttm_backup_file_sane_order);

	return get_order(SZ_2M);
}

/**
 * ttm_backup_file_max_order() - highest order to allocate for a buffer object
 * @backup: Its backup file, or NULL for none.
 * @beneficial_order: The order that its device works best with, or 0.
 *
 * A chunk of a higher order than shmem accepts could not be inserted as a whole.
 * Where shmem accepts very large orders, as with base pages of 64 KiB, limit the
 * chunks anyway: one may have to be copied after all, or split by swap, and that
 * would be too much work at once.
 *
 * Context: Any context.
 * Return: The order; MAX_PAGE_ORDER if only single pages can be inserted, since
 * smaller chunks do not help then.
 */
unsigned int ttm_backup_file_max_order(struct file *backup,
				       unsigned int beneficial_order)
{
	unsigned int sane = max(ttm_backup_file_sane_order(), beneficial_order);
	unsigned long orders;

	if (!ttm_backup_file_takes_folios(backup))
		return MAX_PAGE_ORDER;

	orders = shmem_insert_orders(backup, 0);
	if (orders == BIT(0))
		return MAX_PAGE_ORDER;

	return min_t(unsigned int, __fls(orders), sane);
}

/**
 * ttm_backup_file_alloc_pages() - allocate pages that may be backed up later
 * @backup: The backup file, or NULL for none.
 * @nid: NUMA node, or NUMA_NO_NODE.
 * @gfp: Allocation flags.
 * @order: Allocation order.
 *
 * Context: Same as for the page allocator with @gfp.
 * Return: The head page of a folio if @backup accepts folios of this order,
 * otherwise a non-compound allocation; NULL if there is no memory. ->private of
 * the first page holds the order and tells the two apart.
 */
struct page *ttm_backup_file_alloc_pages(struct file *backup, int nid, gfp_t gfp,
					 unsigned int order)
{
	unsigned long private = order;
	struct folio *folio;
	struct page *page;

	if (ttm_backup_file_takes_folios(backup) &&
	    shmem_insert_orders(backup, 0) & BIT(order)) {
		folio = shmem_alloc_detached_folio(backup, order, nid, gfp);
		page = folio ? folio_page(folio, 0) : NULL;
		private |= TTM_POOL_PAGE_FOLIO;
	} else {
		page = alloc_pages_node(nid, gfp, order);
	}

	if (page)
		page->private = private;

	return page;
}

/**
 * ttm_backup_file_truncate() - drop a range of pages
 * @backup: The backup file.
 * @idx: Index of the first page.
 * @nr: Number of pages.
 *
 * Context: Process context, may sleep.
 */
void ttm_backup_file_truncate(struct file *backup, pgoff_t idx, pgoff_t nr)
{
	loff_t start = (loff_t)idx << PAGE_SHIFT;

	if (nr)
		shmem_truncate_range(file_inode(backup), start,
				     start + ((loff_t)nr << PAGE_SHIFT) - 1);
}

/**
 * ttm_backup_file_drop_entries() - drop the folios of adjacent entries of a page vector
 * @backup: The backup file.
 * @pages: The entries. The first is the handle of any page of a folio.
 * @nr: Number of entries that may be dropped, at least 1.
 *
 * Drops the folio of the first entry, and those of all that follow it in @pages and in
 * the file, up to the first entry that is no handle. shmem gives up pages and swap
 * entries in batches: dropped one by one, single pages cost several times as much.
 * Folios are always dropped whole: to drop a single page of a large folio that is in
 * swap, shmem would have to read all of it.
 *
 * Context: Process context, may sleep.
 * Return: Number of entries from the first one to the end of the last folio.
 */
pgoff_t ttm_backup_file_drop_entries(struct file *backup, struct page **pages,
				     pgoff_t nr)
{
	unsigned long handle = ttm_backup_page_ptr_to_handle(pages[0]);
	pgoff_t first = ttm_backup_handle_idx(handle);
	pgoff_t start = round_down(first, 1UL << ttm_backup_handle_order(handle));
	pgoff_t end = start;

	do {
		pgoff_t size = 1UL << ttm_backup_handle_order(handle);

		/* The first pages of a folio may be in others by now. */
		end = round_down(end, size) + size;
		if (end - first >= nr ||
		    !ttm_backup_page_ptr_is_handle(pages[end - first]))
			break;

		handle = ttm_backup_page_ptr_to_handle(pages[end - first]);
	} while (handle && ttm_backup_handle_idx(handle) == end);

	ttm_backup_file_truncate(backup, start, end - start);

	return end - first;
}

static int __init ttm_backup_file_init(void)
{
	const char *huge = NULL;
	struct vfsmount *mnt;
	struct file *template;

	if (!ttm_zero_copy)
		return 0;

	/* tmpfs refuses the option where it could not do what it says. */
	if (IS_ENABLED(CONFIG_TMPFS) && has_transparent_hugepage())
		huge = "within_size";

	mnt = drm_gem_huge_mnt_new("ttm", huge);
	if (IS_ERR(mnt)) {
		/* This is not fatal: without the mount, a backup copies. */
		pr_warn("[TTM] No mount for backup, pages will be copied (%pe)\n",
			mnt);
		return 0;
	}

	/* As large as the largest chunk, and committed to nothing */
	template = ttm_backup_file_setup(mnt, PAGE_SIZE << MAX_PAGE_ORDER,
					 mk_vma_flags(VMA_NORESERVE_BIT));
	if (IS_ERR(template)) {
		pr_warn("[TTM] No file for backup, pages will be copied (%pe)\n",
			template);
		kern_unmount(mnt);
		return 0;
	}

	ttm_backup_mnt = mnt;
	ttm_backup_template = template;

	return 0;
}

/* tmpfs has been registered long before, drivers come later. */
subsys_initcall(ttm_backup_file_init);

static void __exit ttm_backup_file_exit(void)
{
	if (!ttm_backup_mnt)
		return;

	fput(ttm_backup_template);
	kern_unmount(ttm_backup_mnt);
}
module_exit(ttm_backup_file_exit);
