/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What TTM offers to a driver that backs its buffer objects up, and what does
 * for it where TTM does not: then backups are complete and always copies.
 */
#ifndef _VTTM_BACKUP_H_
#define _VTTM_BACKUP_H_

#include <drm/ttm/ttm_backup.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_device.h>
#include <drm/ttm/ttm_resource.h>
#include <drm/ttm/ttm_tt.h>

#include "vttm_drv.h"

#if IS_ENABLED(CONFIG_SHMEM_INSERT)

#include <drm/ttm/ttm_backup_stats.h>

static inline void vttm_backup_count(struct ttm_tt *tt, struct vttm_tt_pages *out)
{
	struct ttm_backup_pages pages;

	ttm_tt_backup_pages(tt, &pages);
	out->resident = pages.resident;
	out->backed_up = pages.backed_up;
	out->inserted = pages.inserted;
}

static inline pgoff_t vttm_backup_shrinkable(struct ttm_tt *tt)
{
	return ttm_tt_shrinkable_pages(tt);
}

static inline void vttm_backup_drop(struct ttm_buffer_object *tbo)
{
	ttm_bo_drop_backup(tbo);
}

static inline int vttm_backup_evict(struct ttm_device *bdev,
				    struct ttm_resource_manager *man)
{
	return ttm_device_evict_for_hibernation(bdev, man);
}

#else

static inline void vttm_backup_count(struct ttm_tt *tt, struct vttm_tt_pages *out)
{
	pgoff_t i;

	for (i = 0; i < tt->num_pages; i++) {
		struct page *page = tt->pages[i];

		if (!page)
			continue;
		/* Handle 0 stands for a page in the midst of being restored. */
		if (ttm_backup_page_ptr_is_handle(page) &&
		    ttm_backup_page_ptr_to_handle(page))
			out->backed_up++;
		else
			out->resident++;
	}
}

static inline pgoff_t vttm_backup_shrinkable(struct ttm_tt *tt)
{
	return ttm_tt_is_populated(tt) ? tt->num_pages : 0;
}

static inline void vttm_backup_drop(struct ttm_buffer_object *tbo)
{
	/* All there is that drops a backup. It will be called once more. */
	ttm_tt_fini(tbo->ttm);
	ttm_tt_clear_backed_up(tbo->ttm);
}

static inline int vttm_backup_evict(struct ttm_device *bdev,
				    struct ttm_resource_manager *man)
{
	int ret = ttm_resource_manager_evict_all(bdev, man);

	return ret ?: ttm_device_prepare_hibernation(bdev);
}

#endif

#endif
