/* SPDX-License-Identifier: MIT */
#ifndef _TTM_BACKUP_INTERNAL_H_
#define _TTM_BACKUP_INTERNAL_H_

#include <linux/bits.h>
#include <linux/gfp_types.h>
#include <linux/mm_types.h>
#include <linux/types.h>

struct dentry;
struct file;
struct ttm_backup_flags;
struct ttm_operation_ctx;
struct ttm_pool;
struct ttm_tt;

/*
 * The handle of a page is its index in the backup file plus one. The bits above
 * carry how the page came into the file: the order of the folio that was
 * inserted there, plus one, or zero for a page that was copied. The topmost bit
 * is left for the tag that tells handles from page pointers.
 */
#define TTM_BACKUP_ORDER_BITS	5
#define TTM_BACKUP_ORDER_SHIFT	(BITS_PER_LONG - 1 - TTM_BACKUP_ORDER_BITS)

static inline unsigned long ttm_backup_handle(pgoff_t idx)
{
	return idx + 1;
}

static inline unsigned long ttm_backup_insert_handle(pgoff_t idx,
						     unsigned int order)
{
	return (idx + 1) | ((unsigned long)order + 1) << TTM_BACKUP_ORDER_SHIFT;
}

static inline pgoff_t ttm_backup_handle_idx(unsigned long handle)
{
	return (handle & (BIT(TTM_BACKUP_ORDER_SHIFT) - 1)) - 1;
}

static inline bool ttm_backup_handle_inserted(unsigned long handle)
{
	return handle >> TTM_BACKUP_ORDER_SHIFT;
}

static inline unsigned int ttm_backup_handle_order(unsigned long handle)
{
	unsigned int order = handle >> TTM_BACKUP_ORDER_SHIFT;

	return order ? order - 1 : 0;
}

/**
 * enum ttm_restore_how - in which way a chunk came back
 * @TTM_RESTORE_COPIED: Copied to new pages.
 * @TTM_RESTORE_ADOPTED: It had been retained, and stayed where it was.
 * @TTM_RESTORE_EXTRACTED: Taken out of the backup file.
 * @TTM_RESTORE_NUM: Number of ways.
 */
enum ttm_restore_how {
	TTM_RESTORE_COPIED,
	TTM_RESTORE_ADOPTED,
	TTM_RESTORE_EXTRACTED,
	TTM_RESTORE_NUM,
};

struct file *ttm_backup_insert_create(loff_t size);
bool ttm_backup_takes_folios(const struct file *backup);
int ttm_backup_insert_folio(struct ttm_tt *tt, struct folio *folio,
			    bool writeback, pgoff_t idx);
long ttm_pool_backup_folios(struct ttm_pool *pool, struct ttm_tt *tt,
			    bool writeback, pgoff_t num_pages);
pgoff_t ttm_backup_drop_range(struct file *backup, unsigned long handle);
int ttm_backup_restore_page(struct file *backup, struct page *dst,
			    unsigned long handle, bool intr,
			    gfp_t additional_gfp);
int ttm_backup_take_chunk(struct ttm_pool *pool, struct ttm_tt *tt,
			  const struct ttm_operation_ctx *ctx, pgoff_t idx,
			  bool extract, bool progress, unsigned int *order);
void ttm_backup_count_restored(struct ttm_tt *tt, pgoff_t idx,
			       unsigned int order, enum ttm_restore_how how);
int ttm_backup_undo_wb(struct ttm_tt *tt, pgoff_t end);
int ttm_pool_backup_cancel(struct ttm_pool *pool, struct ttm_tt *tt);
struct page *ttm_backup_alloc_pages(int nid, gfp_t gfp, unsigned int order);
unsigned int ttm_backup_max_order(void);
void ttm_backup_count_copied(pgoff_t nr);
void ttm_backup_debugfs_init(struct dentry *root);

#endif
