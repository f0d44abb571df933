/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_SHMEM_INSERT_H
#define _LINUX_SHMEM_INSERT_H

#include <linux/alloc_tag.h>
#include <linux/bits.h>
#include <linux/err.h>
#include <linux/types.h>

struct file;
struct folio;
struct folio_batch;

#ifdef CONFIG_SHMEM_INSERT
void shmem_set_insertable(struct file *file);
unsigned long shmem_insert_orders(struct file *file, pgoff_t index);
struct folio *shmem_alloc_detached_folio_noprof(struct file *file,
						unsigned int order, int nid,
						gfp_t gfp);
#define shmem_alloc_detached_folio(...)	\
	alloc_hooks(shmem_alloc_detached_folio_noprof(__VA_ARGS__))
int shmem_insert_folio(struct file *file, struct folio *folio, pgoff_t index,
		       gfp_t gfp);
int shmem_insert_folios(struct file *file, struct folio_batch *fbatch,
			pgoff_t index, gfp_t gfp);
struct folio *shmem_extract_folio(struct file *file, pgoff_t index,
				  unsigned int min_order, int nid, gfp_t gfp);
unsigned int shmem_extract_folios(struct file *file, pgoff_t index, unsigned long nr,
				  int nid, gfp_t gfp, struct folio_batch *fbatch);
void shmem_extract_readahead(struct file *file, pgoff_t index, unsigned int order,
			     int nid, gfp_t gfp);
#else
static inline void shmem_set_insertable(struct file *file)
{
}

static inline unsigned long shmem_insert_orders(struct file *file, pgoff_t index)
{
	return BIT(0);
}

static inline struct folio *
shmem_alloc_detached_folio(struct file *file, unsigned int order, int nid,
			   gfp_t gfp)
{
	return NULL;
}

static inline int shmem_insert_folio(struct file *file, struct folio *folio,
				     pgoff_t index, gfp_t gfp)
{
	return -EOPNOTSUPP;
}

static inline int shmem_insert_folios(struct file *file,
				      struct folio_batch *fbatch, pgoff_t index,
				      gfp_t gfp)
{
	return -EOPNOTSUPP;
}

static inline struct folio *
shmem_extract_folio(struct file *file, pgoff_t index, unsigned int min_order,
		    int nid, gfp_t gfp)
{
	return ERR_PTR(-EOPNOTSUPP);
}

static inline unsigned int
shmem_extract_folios(struct file *file, pgoff_t index, unsigned long nr, int nid,
		     gfp_t gfp, struct folio_batch *fbatch)
{
	return 0;
}

static inline void shmem_extract_readahead(struct file *file, pgoff_t index,
					   unsigned int order, int nid, gfp_t gfp)
{
}
#endif /* CONFIG_SHMEM_INSERT */

#endif /* _LINUX_SHMEM_INSERT_H */
