/* SPDX-License-Identifier: MIT */
#ifndef _TTM_BACKUP_FILE_H_
#define _TTM_BACKUP_FILE_H_

#include <linux/bits.h>
#include <linux/gfp_types.h>
#include <linux/types.h>

struct file;
struct page;
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

struct file *ttm_backup_file_create(loff_t size);
bool ttm_backup_file_takes_folios(const struct file *backup);
struct file *ttm_backup_file_for(const struct ttm_tt *tt);
unsigned int ttm_backup_file_sane_order(void);
unsigned int ttm_backup_file_max_order(struct file *backup,
				       unsigned int beneficial_order);
struct page *ttm_backup_file_alloc_pages(struct file *backup, int nid, gfp_t gfp,
					 unsigned int order);
void ttm_backup_file_truncate(struct file *backup, pgoff_t idx, pgoff_t nr);
pgoff_t ttm_backup_file_drop_entries(struct file *backup, struct page **pages,
				     pgoff_t nr);

#if IS_ENABLED(CONFIG_KUNIT)
extern bool ttm_zero_copy;
#endif

#endif
