// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Buffer objects on TTM, in system memory or VRAM.
 */

#include <linux/dma-buf.h>
#include <linux/dma-resv.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include <drm/drm_gem.h>
#include <drm/drm_prime.h>
#include <drm/ttm/ttm_backup.h>
#include <drm/ttm/ttm_placement.h>

#include "vttm_drv.h"

static const struct ttm_place vttm_sys_place = {
	.mem_type = TTM_PL_SYSTEM,
};

static struct ttm_placement vttm_sys_placement = {
	.num_placement = 1,
	.placement = &vttm_sys_place,
};

static void vttm_evict_flags(struct ttm_buffer_object *tbo,
			     struct ttm_placement *placement)
{
	*placement = vttm_sys_placement;
}

/* Who wants its place in VRAM does not wait until it is idle. */
static bool vttm_eviction_valuable(struct ttm_buffer_object *tbo,
				   const struct ttm_place *place)
{
	if (vttm_vram_contains(tbo) &&
	    !dma_resv_test_signaled(tbo->base.resv, DMA_RESV_USAGE_BOOKKEEP))
		return false;

	return ttm_bo_eviction_valuable(tbo, place);
}

static int vttm_bo_move(struct ttm_buffer_object *tbo, bool evict,
			struct ttm_operation_ctx *ctx,
			struct ttm_resource *new_mem, struct ttm_place *hop)
{
	if (vttm_vram_contains(tbo) || new_mem->mem_type == TTM_PL_VRAM)
		return vttm_vram_move(tbo, ctx, new_mem);

	/* This is the initial placement. */
	ttm_bo_move_null(tbo, new_mem);
	return 0;
}

/**
 * vttm_bo_leave_vram() - move a buffer object to system memory
 * @tbo: The locked TTM buffer object.
 * @ctx: How to wait and allocate.
 *
 * Return: 0, -EBUSY if it is busy and @ctx says not to wait, or is so for as long as
 * TTM waits, -ENOMEM, -EINTR or -ERESTARTSYS.
 */
int vttm_bo_leave_vram(struct ttm_buffer_object *tbo, struct ttm_operation_ctx *ctx)
{
	return vttm_vram_contains(tbo) ?
	       ttm_bo_validate(tbo, &vttm_sys_placement, ctx) : 0;
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
	.eviction_valuable = vttm_eviction_valuable,
	.evict_flags = vttm_evict_flags,
	.move = vttm_bo_move,
	.io_mem_reserve = vttm_vram_io_mem_reserve,
	.delete_mem_notify = vttm_delete_mem_notify,
};

/**
 * vttm_bo_account() - account the pages that could be shrunk
 * @tbo: The locked TTM buffer object.
 *
 * To be called when their number or their purpose has changed.
 */
void vttm_bo_account(struct ttm_buffer_object *tbo)
{
	dma_resv_assert_held(tbo->base.resv);

	if (tbo->ttm)
		vttm_tt_account(tbo->ttm, tbo->pin_count);
}

static void vttm_bo_set_purged(struct ttm_buffer_object *tbo)
{
	struct vttm_bo *bo = ttm_to_vttm_bo(tbo);

	spin_lock(&bo->lock);
	WRITE_ONCE(bo->madv, VTTM_MADV_PURGED);
	spin_unlock(&bo->lock);

	to_vttm_tt(tbo->ttm)->purged = true;
}

/**
 * vttm_bo_madvise() - note whether the contents are needed
 * @bo: The locked buffer object.
 * @purgeable: They are not.
 *
 * Return: 1 if the contents are there, 0 if they were purged, -EBUSY if others may
 * need them.
 */
int vttm_bo_madvise(struct vttm_bo *bo, bool purgeable)
{
	int ret = 1;

	spin_lock(&bo->lock);
	if (purgeable && bo->shared)
		ret = -EBUSY;
	else if (bo->madv == VTTM_MADV_PURGED)
		ret = 0;
	else
		WRITE_ONCE(bo->madv, purgeable ? VTTM_MADV_DONTNEED : VTTM_MADV_WILLNEED);
	spin_unlock(&bo->lock);
	if (ret <= 0)
		return ret;

	if (!bo->tbo.ttm)
		return 1;
	to_vttm_tt(bo->tbo.ttm)->purgeable = purgeable;

	/* Do not keep contents in swap that are not needed. */
	if (purgeable && ttm_tt_is_backed_up(bo->tbo.ttm)) {
		ttm_bo_drop_backup(&bo->tbo);
		vttm_bo_set_purged(&bo->tbo);
	}

	vttm_bo_account(&bo->tbo);

	return bo->madv != VTTM_MADV_PURGED;
}

/**
 * vttm_bo_shrinkable() - how many pages shrinking a buffer object would free
 * @tbo: The locked TTM buffer object. Its GEM object may be gone already.
 * @flags: With @purge, only what is purgeable is to be shrunk.
 * @purge: On return, whether that is by freeing it.
 *
 * Unlike TTM's helper, this does not look at fences.
 *
 * Return: number of pages, 0 if this buffer object is not to be shrunk.
 */
pgoff_t vttm_bo_shrinkable(struct ttm_buffer_object *tbo,
			   struct ttm_bo_shrink_flags flags, bool *purge)
{
	dma_resv_assert_held(tbo->base.resv);

	if (!tbo->resource || !tbo->ttm || tbo->pin_count)
		return 0;

	/* Without the GEM object, the contents cannot be accessed. */
	*purge = to_vttm_tt(tbo->ttm)->purgeable || !kref_read(&tbo->base.refcount);

	/* Without room in swap, a try would only remove users' mappings. */
	if (!*purge && (flags.purge || !ttm_backup_bytes_avail()))
		return 0;

	return vttm_tt_shrinkable_pages(tbo->ttm);
}

/**
 * vttm_bo_shrink() - back up or purge a buffer object
 * @ctx: How to wait for fences.
 * @tbo: The locked TTM buffer object. Its GEM object may be gone already.
 * @flags: With @purge only what is purgeable is shrunk, by freeing it. Without,
 * that is freed and all else is backed up, as long as there is room for it.
 * @scanned: Incremented by the number of pages tried.
 *
 * Return: number of pages freed, 0 if this buffer object is not to be shrunk,
 * -EBUSY if it cannot be now, -EINTR or -ERESTARTSYS.
 */
long vttm_bo_shrink(struct ttm_operation_ctx *ctx, struct ttm_buffer_object *tbo,
		    struct ttm_bo_shrink_flags flags, unsigned long *scanned)
{
	bool purge;
	pgoff_t nr;
	long ret;

	nr = vttm_bo_shrinkable(tbo, flags, &purge);
	if (!nr)
		return 0;

	*scanned += nr;

	ret = ttm_bo_shrink(ctx, tbo, (struct ttm_bo_shrink_flags) {
				.purge = purge,
				.writeback = !purge && flags.writeback,
			    });
	if (ret > 0 && purge)
		vttm_bo_set_purged(tbo);
	/* After a failure, the pages may be gone as well. */
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
 * Return: 0, -EBUSY if the contents are not needed, -EFAULT if they were purged,
 * -EOPNOTSUPP for a dma-buf that has no CPU mapping in memory, -ENOMEM, -EINTR or
 * -ERESTARTSYS.
 */
int vttm_bo_prepare(struct vttm_bo *bo, struct ttm_operation_ctx *ctx)
{
	struct iosys_map map;
	int ret;

	if (bo->madv == VTTM_MADV_DONTNEED)
		return -EBUSY;

	if (!drm_gem_is_imported(&bo->tbo.base)) {
		ret = vttm_vram_enter(bo, ctx);
		return ret ?: ttm_bo_populate(&bo->tbo, ctx);
	}

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

/**
 * vttm_bo_map_local() - map some bytes of a buffer object
 * @bo: The buffer object, which stays ready for use.
 * @offset: The first byte.
 * @len: In: how many are wanted. Out: how many are contiguous, and mapped.
 *
 * Mappings nest and are not kept, as the pages of a large buffer object would
 * not fit into the kernel's address space everywhere.
 *
 * Return: the address of the first byte.
 */
void *vttm_bo_map_local(struct vttm_bo *bo, u64 offset, u64 *len)
{
	struct ttm_tt *tt = bo->tbo.ttm;
	struct page *page;
	pgprot_t prot;

	if (drm_gem_is_imported(&bo->tbo.base))
		return bo->map.vaddr + offset;
	if (vttm_vram_contains(&bo->tbo))
		return vttm_vram_map(&bo->tbo) + offset;

	page = tt->pages[offset >> PAGE_SHIFT];
	prot = ttm_io_prot(&bo->tbo, bo->tbo.resource, PAGE_KERNEL);
	*len = min(*len, PAGE_SIZE - offset_in_page(offset));

	return kmap_local_page_prot(page, prot) + offset_in_page(offset);
}

/**
 * vttm_bo_unmap_local() - undo vttm_bo_map_local()
 * @bo: The buffer object.
 * @vaddr: What that has returned. The last mapping goes first.
 */
void vttm_bo_unmap_local(struct vttm_bo *bo, void *vaddr)
{
	if (!drm_gem_is_imported(&bo->tbo.base) && !vttm_vram_contains(&bo->tbo))
		kunmap_local(vaddr);
}

static void vttm_bo_destroy(struct ttm_buffer_object *tbo)
{
	struct vttm_bo *bo = ttm_to_vttm_bo(tbo);

	if (drm_gem_is_imported(&tbo->base))
		drm_prime_gem_destroy(&tbo->base, tbo->sg);
	if (bo->dma_buf)
		dma_buf_put(bo->dma_buf);

	drm_gem_object_release(&tbo->base);
	if (bo->vfile)
		vttm_file_put(bo->vfile);
	kfree(bo);
}

/**
 * vttm_bo_create() - create a buffer object
 * @vdev: Device.
 * @size: Bytes, a multiple of the page size.
 * @caching: CPU caching in system memory, one of enum drm_vttm_caching.
 * @vram: Put it in VRAM if there is room, or can be made without waiting.
 * @vfile: The file that it is local to, or NULL.
 * @dma_buf: The dma-buf that it is imported from, or NULL.
 * @sg: Mapping of @dma_buf.
 *
 * Return: the buffer object, with one reference, or an error pointer.
 */
struct vttm_bo *vttm_bo_create(struct vttm_device *vdev, u64 size, u32 caching,
			       bool vram, struct vttm_file *vfile,
			       struct dma_buf *dma_buf, struct sg_table *sg)
{
	/*
	 * Others may be evicted to memory, which is not worth a task. Those that are
	 * busy are not, as they would be locked until they are idle.
	 */
	struct ttm_operation_ctx ctx = {
		.interruptible = true,
		.no_wait_gpu = vram,
		.gfp_retry_mayfail = true,
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

	if (dma_buf)
		resv = dma_buf->resv;
	else if (vfile)
		resv = &vfile->resv;

	if (resv) {
		ret = dma_resv_lock_interruptible(resv, NULL);
		if (ret)
			return ERR_PTR(ret);
	}

	bo = kzalloc_obj(*bo, GFP_KERNEL_ACCOUNT);
	if (!bo) {
		ret = -ENOMEM;
		goto err_unlock;
	}

	spin_lock_init(&bo->lock);
	bo->caching = caching;
	bo->vram = vram;
	bo->madv = VTTM_MADV_WILLNEED;
	bo->tbo.base.funcs = &vttm_gem_funcs;
	drm_gem_private_object_init(&vdev->drm, &bo->tbo.base, size);

	if (dma_buf) {
		get_dma_buf(dma_buf);
		bo->dma_buf = dma_buf;
	}
	if (vfile)
		bo->vfile = vttm_file_get(vfile);

	/* On failure this also frees the buffer object. */
	ret = ttm_bo_init_reserved(&vdev->ttm, &bo->tbo,
				   dma_buf ? ttm_bo_type_sg : ttm_bo_type_device,
				   vram ? &vttm_vram_placement : &vttm_sys_placement, 0,
				   &ctx, sg, resv,
				   vttm_bo_destroy);
	if (ret)
		goto err_unlock;

	ttm_bo_unreserve(&bo->tbo);

	return bo;

err_unlock:
	if (resv)
		dma_resv_unlock(resv);
	return ERR_PTR(ret);
}
