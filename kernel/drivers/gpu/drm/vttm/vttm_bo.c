// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * GEM objects on TTM, in system memory only.
 */

#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include <drm/drm_drv.h>
#include <drm/drm_dumb_buffers.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>
#include <drm/drm_gem_ttm_helper.h>
#include <drm/drm_mode.h>
#include <drm/drm_prime.h>
#include <drm/drm_vma_manager.h>
#include <drm/ttm/ttm_backup.h>
#include <drm/ttm/ttm_placement.h>
#include <drm/ttm/ttm_pool.h>
#include <uapi/drm/vttm_drm.h>

#if IS_ENABLED(CONFIG_SHMEM_INSERT)
#include <drm/ttm/ttm_backup_stats.h>
#endif

#include "vttm_drv.h"

/**
 * struct vttm_tt - page vector of a buffer object
 * @ttm: TTM's part.
 * @vdev: Device.
 * @accounted: Pages that the shrinker's counters hold for this one.
 * @accounted_purgeable: Which of the counters holds them.
 * @purgeable: The contents may be freed.
 * @purged: The contents were freed: there is nothing to come back.
 *
 * All but @vdev is protected by the lock of the buffer object.
 */
struct vttm_tt {
	struct ttm_tt ttm;
	struct vttm_device *vdev;
	long accounted;
	bool accounted_purgeable;
	bool purgeable;
	bool purged;
};

static const struct ttm_place vttm_sys_place = {
	.mem_type = TTM_PL_SYSTEM,
};

static struct ttm_placement vttm_sys_placement = {
	.num_placement = 1,
	.placement = &vttm_sys_place,
};

static struct vttm_tt *to_vttm_tt(struct ttm_tt *tt)
{
	return container_of(tt, struct vttm_tt, ttm);
}

/* Are the pages those of an imported dma-buf? */
static bool vttm_tt_is_imported(const struct ttm_tt *tt)
{
	return !(tt->page_flags & TTM_TT_FLAG_EXTERNAL_MAPPABLE);
}

static void vttm_tt_count(struct ttm_tt *tt, struct vttm_tt_pages *out)
{
	memset(out, 0, sizeof(*out));

	if (vttm_tt_is_imported(tt) || to_vttm_tt(tt)->purged)
		return;
	/* An allocation that failed leaves the pointers of what it has freed. */
	if (!ttm_tt_is_populated(tt) && !ttm_tt_is_backed_up(tt))
		return;

#if IS_ENABLED(CONFIG_SHMEM_INSERT)
	struct ttm_backup_pages pages;

	ttm_tt_backup_pages(tt, &pages);
	out->resident = pages.resident;
	out->backed_up = pages.backed_up;
	out->inserted = pages.inserted;
#else
	for (pgoff_t i = 0; i < tt->num_pages; i++) {
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
#endif
}

/* How many pages would the shrinker get by backing up or purging? */
static pgoff_t vttm_tt_shrinkable_pages(struct ttm_tt *tt)
{
	if (vttm_tt_is_imported(tt))
		return 0;

#if IS_ENABLED(CONFIG_SHMEM_INSERT)
	return ttm_tt_shrinkable_pages(tt);
#else
	return ttm_tt_is_populated(tt) ? tt->num_pages : 0;
#endif
}

static void vttm_tt_account(struct vttm_tt *vtt, long pages)
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

static struct ttm_tt *vttm_tt_create(struct ttm_buffer_object *tbo, u32 page_flags)
{
	struct vttm_bo *bo = ttm_to_vttm_bo(tbo);
	enum ttm_caching caching = ttm_cached;
	struct vttm_tt *vtt;

	vtt = kzalloc_obj(*vtt);
	if (!vtt)
		return NULL;

	vtt->vdev = to_vttm_device(tbo->base.dev);

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
	if (tbo->type != ttm_bo_type_sg)
		page_flags |= TTM_TT_FLAG_EXTERNAL | TTM_TT_FLAG_EXTERNAL_MAPPABLE;

	if (ttm_tt_init(&vtt->ttm, tbo, page_flags, caching, 0))
		goto err_free;

	/* Now, as memory will be short when it is needed. */
	if (tbo->type != ttm_bo_type_sg && ttm_tt_setup_backup(&vtt->ttm))
		goto err_fini;

	return &vtt->ttm;

err_fini:
	ttm_tt_fini(&vtt->ttm);
err_free:
	kfree(vtt);
	return NULL;
}

static int vttm_tt_populate(struct ttm_device *bdev, struct ttm_tt *tt,
			    struct ttm_operation_ctx *ctx)
{
	struct vttm_tt *vtt = to_vttm_tt(tt);
	int ret;

	/* Nothing to do: the engine goes through the dma-buf's own mapping. */
	if (vttm_tt_is_imported(tt))
		return 0;

	if (vtt->purged)
		return -EFAULT;

	if (ttm_tt_is_backed_up(tt)) {
		ret = ttm_tt_restore(bdev, tt, ctx);
		/* Once begun, a restore can only be completed or dropped. */
		if (ret)
			vttm_tt_account(vtt, vttm_tt_shrinkable_pages(tt));
	} else {
		ret = ttm_pool_alloc(&bdev->pool, tt, ctx);
	}
	if (ret)
		return ret;

	vttm_tt_account(vtt, tt->num_pages);

	return 0;
}

static void vttm_tt_unpopulate(struct ttm_device *bdev, struct ttm_tt *tt)
{
	if (vttm_tt_is_imported(tt))
		return;

	ttm_pool_free(&bdev->pool, tt);
	vttm_tt_account(to_vttm_tt(tt), 0);
}

static void vttm_tt_destroy(struct ttm_device *bdev, struct ttm_tt *tt)
{
	struct vttm_tt *vtt = to_vttm_tt(tt);

	vttm_tt_account(vtt, 0);
	ttm_tt_fini(tt);
	kfree(vtt);
}

static void vttm_evict_flags(struct ttm_buffer_object *tbo,
			     struct ttm_placement *placement)
{
	*placement = vttm_sys_placement;
}

static int vttm_bo_move(struct ttm_buffer_object *tbo, bool evict,
			struct ttm_operation_ctx *ctx,
			struct ttm_resource *new_mem, struct ttm_place *hop)
{
	/* There is but one place, so this is the initial placement. */
	ttm_bo_move_null(tbo, new_mem);
	return 0;
}

static void vttm_delete_mem_notify(struct ttm_buffer_object *tbo)
{
	struct vttm_bo *bo = ttm_to_vttm_bo(tbo);

	if (iosys_map_is_set(&bo->map)) {
		dma_buf_vunmap(bo->dma_buf, &bo->map);
		iosys_map_clear(&bo->map);
	}
}

const struct ttm_device_funcs vttm_ttm_funcs = {
	.ttm_tt_create = vttm_tt_create,
	.ttm_tt_populate = vttm_tt_populate,
	.ttm_tt_unpopulate = vttm_tt_unpopulate,
	.ttm_tt_destroy = vttm_tt_destroy,
	.eviction_valuable = ttm_bo_eviction_valuable,
	.evict_flags = vttm_evict_flags,
	.move = vttm_bo_move,
	.delete_mem_notify = vttm_delete_mem_notify,
};

/* Account the pages that could be shrunk, to be called when that changed. */
static void vttm_bo_account(struct ttm_buffer_object *tbo)
{
	struct ttm_tt *tt = tbo->ttm;
	pgoff_t pages = tbo->pin_count ? 0 : vttm_tt_shrinkable_pages(tt);

	dma_resv_assert_held(tbo->base.resv);

	vttm_tt_account(to_vttm_tt(tt), pages);
}

static void vttm_bo_set_purged(struct ttm_buffer_object *tbo)
{
	WRITE_ONCE(ttm_to_vttm_bo(tbo)->madv, VTTM_MADV_PURGED);
	to_vttm_tt(tbo->ttm)->purged = true;
}

/* Drop what was backed up. Nothing will populate it again. */
static void vttm_bo_drop_backup(struct ttm_buffer_object *tbo)
{
#if IS_ENABLED(CONFIG_SHMEM_INSERT)
	ttm_bo_drop_backup(tbo);
#else
	/* TTM has no call for that, but it will be called once more. */
	ttm_tt_fini(tbo->ttm);
	ttm_tt_clear_backed_up(tbo->ttm);
#endif
}

/* Is there anything to shrink? Unlike TTM's helper, this does not look at fences. */
static bool vttm_bo_shrinkable(struct ttm_buffer_object *tbo)
{
	dma_resv_assert_held(tbo->base.resv);

	return tbo->resource && tbo->ttm && !tbo->pin_count &&
	       vttm_tt_shrinkable_pages(tbo->ttm);
}

/**
 * vttm_bo_shrink() - back up or purge a buffer object
 * @ctx: How to wait for fences.
 * @tbo: The locked TTM buffer object. Its GEM object may be gone already.
 * @flags: With @purge only what is purgeable is shrunk, by freeing it. Without,
 * that is freed and all else is backed up.
 * @scanned: Incremented by the number of pages tried.
 *
 * Return: number of pages freed, 0 if this buffer object is not to be shrunk,
 * -EBUSY if it cannot be now, -EINTR or -ERESTARTSYS.
 */
long vttm_bo_shrink(struct ttm_operation_ctx *ctx, struct ttm_buffer_object *tbo,
		    struct ttm_bo_shrink_flags flags, unsigned long *scanned)
{
	struct ttm_tt *tt = tbo->ttm;
	bool alive = kref_read(&tbo->base.refcount);
	bool purge;
	long ret;

	if (!vttm_bo_shrinkable(tbo))
		return 0;

	/* Nobody can look at the contents without the GEM object. */
	purge = to_vttm_tt(tt)->purgeable || !alive;
	if (flags.purge && !purge)
		return 0;

	*scanned += vttm_tt_shrinkable_pages(tt);

	ret = ttm_bo_shrink(ctx, tbo, (struct ttm_bo_shrink_flags) {
				.purge = purge,
				.writeback = !purge && flags.writeback,
			    });
	if (ret > 0 && purge)
		vttm_bo_set_purged(tbo);
	/* Also what failed may be no longer populated. */
	vttm_bo_account(tbo);

	return ret;
}

/**
 * vttm_bo_prepare() - make a buffer object ready for use by the engine
 * @bo: The locked buffer object.
 * @ctx: How to wait and allocate.
 *
 * The buffer object stays ready while it is locked, and after that until all
 * fences that were added to it have signalled.
 *
 * Return: 0, -EFAULT if it was purged, -EOPNOTSUPP for a dma-buf that has no
 * CPU mapping in memory, -ENOMEM, -EINTR or -ERESTARTSYS.
 */
int vttm_bo_prepare(struct vttm_bo *bo, struct ttm_operation_ctx *ctx)
{
	struct iosys_map map;
	int ret;

	if (!drm_gem_is_imported(&bo->tbo.base))
		return ttm_bo_populate(&bo->tbo, ctx);

	if (iosys_map_is_set(&bo->map))
		return 0;

	ret = dma_buf_vmap(bo->dma_buf, &map);
	if (ret)
		return ret == -EINVAL ? -EOPNOTSUPP : ret;

	if (map.is_iomem) {
		dma_buf_vunmap(bo->dma_buf, &map);
		return -EOPNOTSUPP;
	}

	bo->map = map;
	return 0;
}

static void vttm_bo_destroy(struct ttm_buffer_object *tbo)
{
	struct vttm_bo *bo = ttm_to_vttm_bo(tbo);

	if (drm_gem_is_imported(&tbo->base))
		drm_prime_gem_destroy(&tbo->base, tbo->sg);
	if (bo->dma_buf)
		dma_buf_put(bo->dma_buf);

	drm_gem_object_release(&tbo->base);
	kfree(bo);
}

static void vttm_gem_free(struct drm_gem_object *obj)
{
	ttm_bo_fini(&gem_to_vttm_bo(obj)->tbo);
}

static int vttm_gem_pin(struct drm_gem_object *obj)
{
	struct ttm_buffer_object *tbo = &gem_to_vttm_bo(obj)->tbo;
	struct ttm_operation_ctx ctx = {};
	int ret;

	ret = ttm_bo_populate(tbo, &ctx);
	if (ret)
		return ret;

	ttm_bo_pin(tbo);
	vttm_bo_account(tbo);

	return 0;
}

static void vttm_gem_unpin(struct drm_gem_object *obj)
{
	struct ttm_buffer_object *tbo = &gem_to_vttm_bo(obj)->tbo;

	ttm_bo_unpin(tbo);
	vttm_bo_account(tbo);
}

static struct sg_table *vttm_gem_get_sg_table(struct drm_gem_object *obj)
{
	struct ttm_tt *tt = gem_to_vttm_bo(obj)->tbo.ttm;

	return drm_prime_pages_to_sg(obj->dev, tt->pages, tt->num_pages);
}

/* The mapping is of pages, so these must not be taken away. */
static int vttm_gem_vmap(struct drm_gem_object *obj, struct iosys_map *map)
{
	int ret;

	if (drm_gem_is_imported(obj))
		return dma_buf_vmap(gem_to_vttm_bo(obj)->dma_buf, map);

	ret = vttm_gem_pin(obj);
	if (ret)
		return ret;

	ret = drm_gem_ttm_vmap(obj, map);
	if (ret)
		vttm_gem_unpin(obj);

	return ret;
}

static void vttm_gem_vunmap(struct drm_gem_object *obj, struct iosys_map *map)
{
	if (drm_gem_is_imported(obj)) {
		dma_buf_vunmap(gem_to_vttm_bo(obj)->dma_buf, map);
		return;
	}

	drm_gem_ttm_vunmap(obj, map);
	vttm_gem_unpin(obj);
}

static int vttm_gem_mmap(struct drm_gem_object *obj, struct vm_area_struct *vma)
{
	int ret;

	if (!drm_gem_is_imported(obj))
		return drm_gem_ttm_mmap(obj, vma);

	/* Not all exporters set these, and ours are wrong for the dma-buf. */
	vma->vm_private_data = NULL;
	vma->vm_ops = NULL;

	ret = dma_buf_mmap(gem_to_vttm_bo(obj)->dma_buf, vma, 0);

	/* The mapping has a reference to the dma-buf instead. */
	if (!ret)
		drm_gem_object_put(obj);

	return ret;
}

static enum drm_gem_object_status vttm_gem_status(struct drm_gem_object *obj)
{
	struct vttm_bo *bo = gem_to_vttm_bo(obj);
	enum drm_gem_object_status status = 0;

	/* A snapshot for statistics: no lock can be taken here. */
	if (!drm_gem_is_imported(obj) && data_race(ttm_tt_is_populated(bo->tbo.ttm)))
		status |= DRM_GEM_OBJECT_RESIDENT;
	if (READ_ONCE(bo->madv) == VTTM_MADV_DONTNEED)
		status |= DRM_GEM_OBJECT_PURGEABLE;

	return status;
}

static vm_fault_t vttm_bo_fault_populate(struct ttm_buffer_object *tbo)
{
	struct ttm_operation_ctx ctx = {
		.interruptible = true,
		.gfp_retry_mayfail = true,
	};

	/*
	 * TTM's fault handler would do it too, but with the OOM killer, which
	 * may pick anybody. Who asks for more than there is gets SIGBUS, like
	 * -ENOMEM for a submit.
	 */
	switch (ttm_bo_populate(tbo, &ctx)) {
	case 0:
		return 0;
	case -EINTR:
	case -ERESTARTSYS:
	case -EAGAIN:
		return VM_FAULT_NOPAGE;
	default:
		return VM_FAULT_SIGBUS;
	}
}

static vm_fault_t vttm_bo_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct ttm_buffer_object *tbo = vma->vm_private_data;
	vm_fault_t ret;
	int idx;

	ret = ttm_bo_vm_reserve(tbo, vmf);
	if (ret)
		return ret;

	if (drm_dev_enter(tbo->base.dev, &idx)) {
		ret = vttm_bo_fault_populate(tbo);
		if (!ret)
			ret = ttm_bo_vm_fault_reserved(vmf, vma->vm_page_prot,
						       TTM_BO_VM_NUM_PREFAULT);
		drm_dev_exit(idx);
	} else {
		ret = ttm_bo_vm_dummy_page(vmf, vma->vm_page_prot);
	}

	/* The lock was dropped to wait. */
	if (ret == VM_FAULT_RETRY && !(vmf->flags & FAULT_FLAG_RETRY_NOWAIT))
		return ret;

	/* Used now, hence last in line for the shrinker. */
	ttm_bo_move_to_lru_tail_unlocked(tbo);
	dma_resv_unlock(tbo->base.resv);

	return ret;
}

static const struct vm_operations_struct vttm_vm_ops = {
	.fault = vttm_bo_fault,
	.open = ttm_bo_vm_open,
	.close = ttm_bo_vm_close,
	.access = ttm_bo_vm_access,
};

static const struct drm_gem_object_funcs vttm_gem_funcs = {
	.free = vttm_gem_free,
	.pin = vttm_gem_pin,
	.unpin = vttm_gem_unpin,
	.get_sg_table = vttm_gem_get_sg_table,
	.vmap = vttm_gem_vmap,
	.vunmap = vttm_gem_vunmap,
	.mmap = vttm_gem_mmap,
	.status = vttm_gem_status,
	.vm_ops = &vttm_vm_ops,
};

static struct vttm_bo *vttm_bo_create(struct vttm_device *vdev, u64 size, u32 caching,
				      struct dma_buf *dma_buf, struct sg_table *sg)
{
	struct ttm_operation_ctx ctx = {
		.interruptible = true,
	};
	struct dma_resv *resv = NULL;
	struct vttm_bo *bo;
	int ret;

	/*
	 * All pages have to be resident whenever one of them is used, and the
	 * page vector has to be allocated.
	 */
	if (size >> PAGE_SHIFT > min_t(u64, totalram_pages(),
				       INT_MAX / sizeof(struct page *)))
		return ERR_PTR(-ENOMEM);

	bo = kzalloc_obj(*bo);
	if (!bo)
		return ERR_PTR(-ENOMEM);

	bo->caching = caching;
	bo->madv = VTTM_MADV_WILLNEED;
	bo->tbo.base.funcs = &vttm_gem_funcs;
	drm_gem_private_object_init(&vdev->drm, &bo->tbo.base, size);

	if (dma_buf) {
		get_dma_buf(dma_buf);
		bo->dma_buf = dma_buf;
		resv = dma_buf->resv;
		dma_resv_lock(resv, NULL);
	}

	/* On failure this also frees the buffer object. */
	ret = ttm_bo_init_reserved(&vdev->ttm, &bo->tbo,
				   dma_buf ? ttm_bo_type_sg : ttm_bo_type_device,
				   &vttm_sys_placement, 0, &ctx, sg, resv,
				   vttm_bo_destroy);
	if (ret) {
		if (resv)
			dma_resv_unlock(resv);
		return ERR_PTR(ret);
	}

	ttm_bo_unreserve(&bo->tbo);

	return bo;
}

/* Create a buffer object that only the handle refers to. */
static int vttm_bo_create_handle(struct vttm_device *vdev, struct drm_file *file,
				 u64 size, u32 caching, u32 *handle)
{
	struct vttm_bo *bo;
	int ret;

	bo = vttm_bo_create(vdev, size, caching, NULL, NULL);
	if (IS_ERR(bo))
		return PTR_ERR(bo);

	ret = drm_gem_handle_create(file, &bo->tbo.base, handle);
	drm_gem_object_put(&bo->tbo.base);

	return ret;
}

/**
 * vttm_gem_prime_import_sg_table() - import a dma-buf
 * @drm: DRM device.
 * @attach: Attachment of the device to the dma-buf.
 * @sg: Mapping of the attachment. Pins the pages, is not used otherwise.
 *
 * Return: the new GEM object or an error pointer.
 */
struct drm_gem_object *
vttm_gem_prime_import_sg_table(struct drm_device *drm,
			       struct dma_buf_attachment *attach,
			       struct sg_table *sg)
{
	struct dma_buf *dma_buf = attach->dmabuf;
	struct vttm_bo *bo;

	if (!dma_buf->size || !PAGE_ALIGNED(dma_buf->size))
		return ERR_PTR(-EINVAL);

	bo = vttm_bo_create(to_vttm_device(drm), dma_buf->size, DRM_VTTM_CACHED,
			    dma_buf, sg);
	if (IS_ERR(bo))
		return ERR_CAST(bo);

	return &bo->tbo.base;
}

/**
 * vttm_dumb_create() - create a dumb buffer
 * @file: DRM file.
 * @drm: DRM device.
 * @args: Size wanted, and handle, size and pitch given.
 *
 * Return: 0 or a negative errno.
 */
int vttm_dumb_create(struct drm_file *file, struct drm_device *drm,
		     struct drm_mode_create_dumb *args)
{
	int ret;

	ret = drm_mode_size_dumb(drm, args, SZ_64, 0);
	if (ret)
		return ret;

	return vttm_bo_create_handle(to_vttm_device(drm), file, args->size,
				     DRM_VTTM_WC, &args->handle);
}

/**
 * vttm_create_ioctl() - DRM_IOCTL_VTTM_CREATE
 * @drm: DRM device.
 * @data: struct drm_vttm_create.
 * @file: DRM file.
 *
 * Return: 0 or a negative errno.
 */
int vttm_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_vttm_create *args = data;
	u32 handle;
	u64 size;
	int ret;

	if (args->flags || args->pad || args->caching > DRM_VTTM_UC)
		return -EINVAL;

	if (!args->size || args->size > LONG_MAX - PAGE_SIZE + 1)
		return -EINVAL;
	size = PAGE_ALIGN(args->size);

	ret = vttm_bo_create_handle(to_vttm_device(drm), file, size,
				    args->caching, &handle);
	if (ret)
		return ret;

	args->size = size;
	args->handle = handle;

	return 0;
}

/**
 * vttm_mmap_offset_ioctl() - DRM_IOCTL_VTTM_MMAP_OFFSET
 * @drm: DRM device.
 * @data: struct drm_vttm_mmap_offset.
 * @file: DRM file.
 *
 * Return: 0 or a negative errno.
 */
int vttm_mmap_offset_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_vttm_mmap_offset *args = data;

	if (args->pad)
		return -EINVAL;

	return drm_gem_ttm_dumb_map_offset(file, drm, args->handle, &args->offset);
}

/**
 * vttm_madvise_ioctl() - DRM_IOCTL_VTTM_MADVISE
 * @drm: DRM device.
 * @data: struct drm_vttm_madvise.
 * @file: DRM file.
 *
 * Return: 0 or a negative errno.
 */
int vttm_madvise_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_vttm_madvise *args = data;
	struct drm_gem_object *obj;
	struct vttm_bo *bo;
	int ret;

	if (args->pad || args->madv > DRM_VTTM_MADV_DONTNEED)
		return -EINVAL;

	obj = drm_gem_object_lookup(file, args->handle);
	if (!obj)
		return -ENOENT;

	if (drm_gem_is_imported(obj)) {
		ret = -EINVAL;
		goto out_put;
	}

	ret = dma_resv_lock_interruptible(obj->resv, NULL);
	if (ret)
		goto out_put;

	bo = gem_to_vttm_bo(obj);
	if (bo->madv != VTTM_MADV_PURGED) {
		bool purgeable = args->madv == DRM_VTTM_MADV_DONTNEED;

		WRITE_ONCE(bo->madv, purgeable ? VTTM_MADV_DONTNEED : VTTM_MADV_WILLNEED);
		to_vttm_tt(bo->tbo.ttm)->purgeable = purgeable;

		/* Swap space is no place for what nobody needs. */
		if (purgeable && ttm_tt_is_backed_up(bo->tbo.ttm)) {
			vttm_bo_drop_backup(&bo->tbo);
			vttm_bo_set_purged(&bo->tbo);
		}

		vttm_bo_account(&bo->tbo);
	}
	args->retained = bo->madv != VTTM_MADV_PURGED;

	dma_resv_unlock(obj->resv);
out_put:
	drm_gem_object_put(obj);
	return ret;
}

/**
 * vttm_info_ioctl() - DRM_IOCTL_VTTM_INFO
 * @drm: DRM device.
 * @data: struct drm_vttm_info.
 * @file: DRM file.
 *
 * Return: 0 or a negative errno.
 */
int vttm_info_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_vttm_info *args = data;
	struct vttm_tt_pages pages;
	struct drm_gem_object *obj;
	struct vttm_bo *bo;
	int ret;

	if (args->pad)
		return -EINVAL;

	obj = drm_gem_object_lookup(file, args->handle);
	if (!obj)
		return -ENOENT;

	ret = dma_resv_lock_interruptible(obj->resv, NULL);
	if (ret)
		goto out_put;

	bo = gem_to_vttm_bo(obj);
	vttm_tt_count(bo->tbo.ttm, &pages);

	args->caching = bo->caching;
	args->flags = 0;
	if (bo->madv == VTTM_MADV_PURGED)
		args->flags |= DRM_VTTM_INFO_PURGED;
	if (bo->madv == VTTM_MADV_DONTNEED)
		args->flags |= DRM_VTTM_INFO_DONTNEED;
	if (drm_gem_is_imported(obj))
		args->flags |= DRM_VTTM_INFO_IMPORTED;
	args->size = obj->size;
	args->resident_pages = pages.resident;
	args->backed_up_pages = pages.backed_up;
	args->inserted_pages = pages.inserted;

	dma_resv_unlock(obj->resv);
out_put:
	drm_gem_object_put(obj);
	return ret;
}
