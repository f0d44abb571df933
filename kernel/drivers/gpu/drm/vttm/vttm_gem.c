// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * GEM: handles, CPU mappings, dma-bufs, and the ioctls that make and describe
 * buffer objects.
 */

#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/mm.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include <drm/drm_drv.h>
#include <drm/drm_dumb_buffers.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>
#include <drm/drm_gem_ttm_helper.h>
#include <drm/drm_mode.h>
#include <drm/drm_prime.h>
#include <drm/drm_vma_manager.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_placement.h>
#include <uapi/drm/vttm_drm.h>

#include "vttm_drv.h"

static void vttm_gem_free(struct drm_gem_object *obj)
{
	ttm_bo_fini(&gem_to_vttm_bo(obj)->tbo);
}

/* May others begin to use the contents? To be called with one of the locks held. */
static int vttm_gem_check_needed(struct vttm_bo *bo)
{
	switch (bo->madv) {
	case VTTM_MADV_WILLNEED:
		return 0;
	case VTTM_MADV_DONTNEED:
		return -EBUSY;
	default:
		return -EINVAL;
	}
}

/* Have the contents kept from now on, for others to use. */
static int vttm_gem_share(struct vttm_bo *bo)
{
	int ret;

	spin_lock(&bo->lock);
	ret = vttm_gem_check_needed(bo);
	if (!ret)
		bo->shared = true;
	spin_unlock(&bo->lock);

	return ret;
}

/*
 * A local buffer object is in the bulk move as long as it has a handle. Without
 * a handle it is not used by jobs, and may lose the reservation object that all
 * buffer objects of a bulk move share.
 */
static int vttm_gem_open(struct drm_gem_object *obj, struct drm_file *file)
{
	struct vttm_bo *bo = gem_to_vttm_bo(obj);
	int ret;

	/* Nobody else has a buffer object when it gets its first handle. */
	if (!bo->vfile)
		return obj->handle_count > 1 ? vttm_gem_share(bo) : 0;

	/* Another file may try to open it by name. */
	if (bo->vfile != file->driver_priv)
		return -EPERM;

	ret = dma_resv_lock_interruptible(obj->resv, NULL);
	if (ret)
		return ret;
	/* The first handle to be closed would take the second one's place. */
	if (bo->tbo.bulk_move)
		ret = -EPERM;
	else
		ttm_bo_set_bulk_move(&bo->tbo, &bo->vfile->bulk);
	dma_resv_unlock(obj->resv);

	return ret;
}

static void vttm_gem_close(struct drm_gem_object *obj, struct drm_file *file)
{
	struct vttm_bo *bo = gem_to_vttm_bo(obj);

	if (!bo->vfile)
		return;

	dma_resv_lock(obj->resv, NULL);
	ttm_bo_set_bulk_move(&bo->tbo, NULL);
	dma_resv_unlock(obj->resv);
}

static struct dma_buf *vttm_gem_export(struct drm_gem_object *obj, int flags)
{
	struct vttm_bo *bo = gem_to_vttm_bo(obj);
	struct dma_buf *dma_buf;
	bool was_shared;
	int ret;

	/* It has no reservation object of its own. */
	if (bo->vfile)
		return ERR_PTR(-EPERM);

	/*
	 * All tasks that create handles wait for this function, so it must not
	 * wait for users that hold the reservation lock.
	 */
	spin_lock(&bo->lock);
	was_shared = bo->shared;
	ret = vttm_gem_check_needed(bo);
	/* The handle was closed and is that of another one since that has left VRAM. */
	if (!ret && READ_ONCE(bo->vram))
		ret = -EBUSY;
	if (!ret)
		bo->shared = true;
	spin_unlock(&bo->lock);
	if (ret)
		return ERR_PTR(ret);

	dma_buf = drm_gem_prime_export(obj, flags);
	if (IS_ERR(dma_buf)) {
		spin_lock(&bo->lock);
		bo->shared = was_shared;
		spin_unlock(&bo->lock);
	}

	return dma_buf;
}

static int vttm_gem_pin(struct drm_gem_object *obj)
{
	struct ttm_buffer_object *tbo = &gem_to_vttm_bo(obj)->tbo;
	/*
	 * Let the importer be interrupted, and get -ENOMEM without memory. All tasks
	 * that create handles on its device wait for it, so do not wait for jobs.
	 */
	struct ttm_operation_ctx ctx = {
		.interruptible = true,
		.no_wait_gpu = true,
		.gfp_retry_mayfail = true,
	};
	int ret;

	ret = vttm_bo_leave_vram(tbo, &ctx);
	if (!ret)
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

/* The mapping refers to the pages, so keep them where they are. */
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
	struct vttm_bo *bo = gem_to_vttm_bo(obj);
	int ret;

	if (!drm_gem_is_imported(obj)) {
		/* With mmap_lock held, do not wait for who has reserved it. */
		spin_lock(&bo->lock);
		ret = vttm_gem_check_needed(bo);
		spin_unlock(&bo->lock);

		return ret ?: drm_gem_ttm_mmap(obj, vma);
	}

	/* Not all exporters set these, and ours are wrong for the dma-buf. */
	vma->vm_private_data = NULL;
	vma->vm_ops = NULL;

	ret = dma_buf_mmap(bo->dma_buf, vma, 0);

	/* The mapping has a reference to the dma-buf instead. */
	if (!ret)
		drm_gem_object_put(obj);

	return ret;
}

static enum drm_gem_object_status vttm_gem_status(struct drm_gem_object *obj)
{
	struct vttm_bo *bo = gem_to_vttm_bo(obj);
	enum drm_gem_object_status status = 0;

	/*
	 * A snapshot for statistics: no lock can be taken here. The page vector of
	 * a buffer object for VRAM comes and goes, so that counts as resident. Where
	 * it has left VRAM for good, it has one.
	 */
	if (smp_load_acquire(&bo->vram))
		status |= DRM_GEM_OBJECT_RESIDENT;
	else if (!drm_gem_is_imported(obj) &&
		 /* Its page vector stays. */
		 data_race(ttm_tt_is_populated(bo->tbo.ttm)))
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
	 * may pick any task. A task that needs more memory than there is gets
	 * SIGBUS instead, like -ENOMEM for a submit.
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
		/* It may be purged at any time, so it must not be accessed. */
		if (ttm_to_vttm_bo(tbo)->madv != VTTM_MADV_WILLNEED)
			ret = VM_FAULT_SIGBUS;
		else
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

	/* It has just been used, so the shrinker should get it last. */
	ttm_bo_move_to_lru_tail_unlocked(tbo);
	dma_resv_unlock(tbo->base.resv);

	return ret;
}

/*
 * Let a debugger read or write. TTM's function would have the OOM killer make room and
 * wait for it whatever signal comes, and it gives access to contents that may be purged,
 * but none to those in VRAM.
 */
static int vttm_bo_access(struct vm_area_struct *vma, unsigned long addr, void *buf,
			  int len, int write)
{
	struct ttm_buffer_object *tbo = vma->vm_private_data;
	struct vttm_bo *bo = ttm_to_vttm_bo(tbo);
	struct ttm_operation_ctx ctx = {
		.interruptible = true,
		.gfp_retry_mayfail = true,
	};
	u64 offset, part;
	int ret, done;

	offset = addr - vma->vm_start +
		 ((u64)(vma->vm_pgoff - drm_vma_node_start(&tbo->base.vma_node)) << PAGE_SHIFT);
	if (len < 1 || offset + len > tbo->base.size)
		return -EIO;
	/* Debuggers write where their task does not, but not where it never may. */
	if (write && !(vma->vm_flags & VM_MAYWRITE))
		return -EIO;

	ret = ttm_bo_reserve(tbo, true, false, NULL);
	if (ret)
		return ret;

	ret = bo->madv == VTTM_MADV_WILLNEED ? ttm_bo_populate(tbo, &ctx) : -EIO;
	if (ret)
		goto out_unreserve;

	for (done = 0; done < len; done += part) {
		void *vaddr;

		part = len - done;
		vaddr = vttm_bo_map_local(bo, offset + done, &part);
		if (write)
			memcpy(vaddr, buf + done, part);
		else
			memcpy(buf + done, vaddr, part);
		vttm_bo_unmap_local(bo, vaddr);
	}
	ret = len;

out_unreserve:
	ttm_bo_unreserve(tbo);
	return ret;
}

static const struct vm_operations_struct vttm_vm_ops = {
	.fault = vttm_bo_fault,
	.open = ttm_bo_vm_open,
	.close = ttm_bo_vm_close,
	.access = vttm_bo_access,
};

const struct drm_gem_object_funcs vttm_gem_funcs = {
	.free = vttm_gem_free,
	.open = vttm_gem_open,
	.close = vttm_gem_close,
	.export = vttm_gem_export,
	.pin = vttm_gem_pin,
	.unpin = vttm_gem_unpin,
	.get_sg_table = vttm_gem_get_sg_table,
	.vmap = vttm_gem_vmap,
	.vunmap = vttm_gem_vunmap,
	.mmap = vttm_gem_mmap,
	.status = vttm_gem_status,
	.vm_ops = &vttm_vm_ops,
};

/*
 * Where write-combined and uncached mappings are not coherent with the kernel's
 * own cached one, they would need cache maintenance that is not there.
 */
static bool vttm_caching_supported(u32 caching)
{
	return caching == DRM_VTTM_CACHED || IS_ENABLED(CONFIG_X86);
}

/* Create a buffer object that only the handle refers to. */
static int vttm_bo_create_handle(struct drm_file *file, u64 size, u32 caching,
				 u32 flags, u32 *handle)
{
	struct vttm_file *vfile = file->driver_priv;
	struct vttm_bo *bo;
	int ret;

	bo = vttm_bo_create(vfile->vdev, size, caching, flags & DRM_VTTM_CREATE_VRAM,
			    flags & DRM_VTTM_CREATE_LOCAL ? vfile : NULL, NULL, NULL);
	if (IS_ERR(bo))
		return PTR_ERR(bo);

	ret = drm_gem_handle_create(file, &bo->tbo.base, handle);
	drm_gem_object_put(&bo->tbo.base);

	return ret;
}

/* For good, as importers of a busy buffer object in VRAM would have to wait for it. */
static int vttm_gem_leave_vram(struct drm_gem_object *obj)
{
	struct vttm_bo *bo = gem_to_vttm_bo(obj);
	struct ttm_operation_ctx ctx = {
		.interruptible = true,
		.no_wait_gpu = true,
		.gfp_retry_mayfail = true,
	};
	bool busy;
	long ret;

	do {
		/* Others may want its lock meanwhile. */
		ret = dma_resv_wait_timeout(obj->resv, DMA_RESV_USAGE_BOOKKEEP, true,
					    MAX_SCHEDULE_TIMEOUT);
		if (ret < 0)
			return ret;

		ret = ttm_bo_reserve(&bo->tbo, true, false, NULL);
		if (ret)
			return ret;

		busy = !dma_resv_test_signaled(obj->resv, DMA_RESV_USAGE_BOOKKEEP);
		ret = vttm_gem_check_needed(bo);
		if (!ret && !busy)
			ret = vttm_bo_leave_vram(&bo->tbo, &ctx);
		if (!ret && !busy) {
			/* Pairs with vttm_gem_status(). */
			smp_store_release(&bo->vram, false);
		}
		ttm_bo_unreserve(&bo->tbo);
	} while (!ret && busy);

	return ret;
}

/**
 * vttm_gem_prime_handle_to_fd() - export a buffer object as a dma-buf
 * @drm: DRM device.
 * @file: DRM file.
 * @handle: Handle of the buffer object.
 * @flags: Flags of the file.
 * @fd: The file descriptor, on success.
 *
 * Unlike vttm_gem_export(), nobody waits for this but its caller, who waits until
 * a buffer object in VRAM is idle.
 *
 * Return: 0 or a negative errno.
 */
int vttm_gem_prime_handle_to_fd(struct drm_device *drm, struct drm_file *file,
				u32 handle, u32 flags, int *fd)
{
	struct drm_gem_object *obj;
	int ret = 0;

	obj = drm_gem_object_lookup(file, handle);
	if (!obj)
		return -ENOENT;

	if (READ_ONCE(gem_to_vttm_bo(obj)->vram) && !gem_to_vttm_bo(obj)->vfile)
		ret = vttm_gem_leave_vram(obj);
	drm_gem_object_put(obj);

	return ret ?: drm_gem_prime_handle_to_fd(drm, file, handle, flags, fd);
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
			    false, NULL, dma_buf, sg);
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

	return vttm_bo_create_handle(file, args->size,
				     vttm_caching_supported(DRM_VTTM_WC) ?
				     DRM_VTTM_WC : DRM_VTTM_CACHED,
				     0, &args->handle);
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

	if (args->flags & ~(DRM_VTTM_CREATE_LOCAL | DRM_VTTM_CREATE_VRAM) || args->pad ||
	    args->caching > DRM_VTTM_UC)
		return -EINVAL;

	if (!args->size || args->size > LONG_MAX - PAGE_SIZE + 1)
		return -EINVAL;
	size = PAGE_ALIGN(args->size);

	if (!vttm_caching_supported(args->caching))
		return -EOPNOTSUPP;

	if (args->flags & DRM_VTTM_CREATE_VRAM &&
	    !ttm_manager_type(&to_vttm_device(drm)->ttm, TTM_PL_VRAM))
		return -EOPNOTSUPP;

	ret = vttm_bo_create_handle(file, size, args->caching, args->flags, &handle);
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

	ret = vttm_bo_madvise(gem_to_vttm_bo(obj), args->madv == DRM_VTTM_MADV_DONTNEED);
	dma_resv_unlock(obj->resv);
	if (ret >= 0) {
		args->retained = ret;
		ret = 0;
	}

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
	args->caching = bo->caching;
	args->flags = 0;
	if (bo->madv == VTTM_MADV_PURGED)
		args->flags |= DRM_VTTM_INFO_PURGED;
	if (bo->madv == VTTM_MADV_DONTNEED)
		args->flags |= DRM_VTTM_INFO_DONTNEED;
	if (drm_gem_is_imported(obj))
		args->flags |= DRM_VTTM_INFO_IMPORTED;
	if (bo->vfile)
		args->flags |= DRM_VTTM_INFO_LOCAL;
	if (vttm_vram_contains(&bo->tbo))
		args->flags |= DRM_VTTM_INFO_VRAM;
	args->size = obj->size;

	dma_resv_unlock(obj->resv);
out_put:
	drm_gem_object_put(obj);
	return ret;
}
