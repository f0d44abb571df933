// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Page vectors: where the pages of buffer objects come from and go to, and how
 * many of them the shrinker could get.
 */

#include <linux/slab.h>
#include <linux/string.h>

#include <drm/ttm/ttm_backup_stats.h>
#include <drm/ttm/ttm_caching.h>
#include <drm/ttm/ttm_pool.h>
#include <uapi/drm/vttm_drm.h>

#include "vttm_drv.h"

/* Are the pages those of an imported dma-buf? */
static bool vttm_tt_is_imported(const struct ttm_tt *tt)
{
	return (tt->page_flags & (TTM_TT_FLAG_EXTERNAL | TTM_TT_FLAG_EXTERNAL_MAPPABLE)) ==
	       TTM_TT_FLAG_EXTERNAL;
}

/* Does the shrinker of this driver, and not TTM, back the pages up? */
static bool vttm_tt_is_shrinkable(const struct ttm_tt *tt)
{
	return tt->page_flags & TTM_TT_FLAG_EXTERNAL_MAPPABLE;
}

/**
 * vttm_tt_count() - find out where the pages are
 * @tt: Page vector of a locked buffer object.
 * @out: The counts, all zero if there are no pages.
 */
void vttm_tt_count(struct ttm_tt *tt, struct vttm_tt_pages *out)
{
	struct ttm_backup_pages pages;

	memset(out, 0, sizeof(*out));

	if (vttm_tt_is_imported(tt) || to_vttm_tt(tt)->purged)
		return;
	if (tt->page_flags & TTM_TT_FLAG_SWAPPED) {
		out->backed_up = tt->num_pages;
		return;
	}
	/* A failed allocation leaves pointers to pages that it has freed. */
	if (!ttm_tt_is_populated(tt) && !ttm_tt_is_backed_up(tt))
		return;

	ttm_tt_backup_pages(tt, &pages);
	out->resident = pages.resident;
	out->backed_up = pages.backed_up;
	out->inserted = pages.inserted;
}

/**
 * vttm_tt_shrinkable_pages() - how many pages backing up or purging would free
 * @tt: Page vector of a locked buffer object.
 *
 * Return: number of pages.
 */
pgoff_t vttm_tt_shrinkable_pages(struct ttm_tt *tt)
{
	return vttm_tt_is_shrinkable(tt) ? ttm_tt_shrinkable_pages(tt) : 0;
}

static void vttm_tt_set_accounted(struct vttm_tt *vtt, long pages)
{
	long shrinkable = 0, purgeable = 0;

	if (vtt->accounted_purgeable)
		purgeable -= vtt->accounted;
	else
		shrinkable -= vtt->accounted;

	vtt->accounted = pages;
	vtt->accounted_purgeable = vtt->purgeable;

	if (vtt->accounted_purgeable)
		purgeable += pages;
	else
		shrinkable += pages;

	if (shrinkable || purgeable)
		vttm_shrinker_mod_pages(vtt->vdev, shrinkable, purgeable);
}

/**
 * vttm_tt_account() - account the pages that could be shrunk
 * @tt: Page vector of a locked buffer object.
 * @pinned: None can be.
 *
 * To be called when their number or their purpose has changed.
 */
void vttm_tt_account(struct ttm_tt *tt, bool pinned)
{
	vttm_tt_set_accounted(to_vttm_tt(tt), pinned ? 0 : vttm_tt_shrinkable_pages(tt));
}

/**
 * vttm_tt_create() - create the page vector of a buffer object
 * @tbo: TTM buffer object.
 * @page_flags: TTM's flags.
 *
 * Return: the page vector, without pages, or NULL if there is no memory.
 */
struct ttm_tt *vttm_tt_create(struct ttm_buffer_object *tbo, u32 page_flags)
{
	struct vttm_bo *bo = ttm_to_vttm_bo(tbo);
	enum ttm_caching caching = ttm_cached;
	struct vttm_tt *vtt;

	vtt = kzalloc_obj(*vtt, GFP_KERNEL_ACCOUNT);
	if (!vtt)
		return NULL;

	vtt->vdev = to_vttm_device(tbo->base.dev);
	/* The buffer object comes from VRAM, where it had no ttm_tt. */
	vtt->purgeable = bo->madv == VTTM_MADV_DONTNEED;

	switch (bo->caching) {
	case DRM_VTTM_WC:
		caching = ttm_write_combined;
		break;
	case DRM_VTTM_UC:
		caching = ttm_uncached;
		break;
	}

	/*
	 * The driver backs pages up by itself: keep TTM from swapping out
	 * behind its back, but let it map them.
	 */
	if (tbo->type != ttm_bo_type_sg && vttm_has_shrinker)
		page_flags |= TTM_TT_FLAG_EXTERNAL | TTM_TT_FLAG_EXTERNAL_MAPPABLE;

	if (ttm_tt_init(&vtt->ttm, tbo, page_flags, caching, 0))
		goto err_free;

	/* Create the file now, as memory will be short when it is needed. */
	if (vttm_tt_is_shrinkable(&vtt->ttm) && ttm_tt_setup_backup(&vtt->ttm))
		goto err_fini;

	return &vtt->ttm;

err_fini:
	ttm_tt_fini(&vtt->ttm);
err_free:
	kfree(vtt);
	return NULL;
}

/**
 * vttm_tt_populate() - bring pages back or allocate them
 * @bdev: TTM device.
 * @tt: Page vector of a locked buffer object.
 * @ctx: How to wait and allocate.
 *
 * Return: 0, -EFAULT if the pages were purged, -ENOMEM, -EINTR or -ERESTARTSYS.
 */
int vttm_tt_populate(struct ttm_device *bdev, struct ttm_tt *tt,
		     struct ttm_operation_ctx *ctx)
{
	struct vttm_tt *vtt = to_vttm_tt(tt);
	int ret;

	/* Nothing to do: the engine goes through the dma-buf's own mapping. */
	if (vttm_tt_is_imported(tt))
		return 0;

	if (vtt->purged)
		return -EFAULT;

	if (vttm_tt_is_shrinkable(tt) && ttm_tt_is_backed_up(tt)) {
		ret = ttm_tt_restore(bdev, tt, ctx);
		/* Once begun, a restore can only be completed or dropped. */
		if (ret)
			vttm_tt_account(tt, false);
	} else {
		ret = ttm_pool_alloc(&bdev->pool, tt, ctx);
	}
	if (ret)
		return ret;

	vttm_tt_set_accounted(vtt, vttm_tt_is_shrinkable(tt) ? tt->num_pages : 0);

	return 0;
}

/**
 * vttm_tt_unpopulate() - free the pages
 * @bdev: TTM device.
 * @tt: Page vector of a locked buffer object.
 */
void vttm_tt_unpopulate(struct ttm_device *bdev, struct ttm_tt *tt)
{
	if (vttm_tt_is_imported(tt))
		return;

	ttm_pool_free(&bdev->pool, tt);
	vttm_tt_set_accounted(to_vttm_tt(tt), 0);
}

/**
 * vttm_tt_destroy() - free the page vector, and what was backed up
 * @bdev: TTM device.
 * @tt: Page vector, without pages.
 */
void vttm_tt_destroy(struct ttm_device *bdev, struct ttm_tt *tt)
{
	struct vttm_tt *vtt = to_vttm_tt(tt);

	vttm_tt_set_accounted(vtt, 0);
	ttm_tt_fini(tt);
	kfree(vtt);
}
