// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * VRAM: a range of physical memory that the kernel was told to leave alone. It is
 * not saved in a hibernation image, as that of a real GPU is not, so its buffer
 * objects are evicted before.
 */

#include <linux/device.h>
#include <linux/dma-resv.h>
#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/platform_device.h>
#include <linux/pm_domain.h>
#include <linux/string.h>
#include <linux/suspend.h>

#include <drm/drm_gem.h>
#include <drm/drm_print.h>
#include <drm/ttm/ttm_placement.h>
#include <drm/ttm/ttm_range_manager.h>

#include "vttm_drv.h"

static char *vttm_vram;
module_param_named(vram, vttm_vram, charp, 0444);
MODULE_PARM_DESC(vram, "VRAM of each device, one behind the other, as SIZE@ADDRESS of reserved memory (default: none)");

static bool vttm_evict_at_once;
module_param_named(evict_at_once, vttm_evict_at_once, bool, 0644);
MODULE_PARM_DESC(evict_at_once, "For hibernation, evict all VRAM before any of it is swapped out (default N)");

/* VRAM, evicting other buffer objects if need be; or else system memory. */
static const struct ttm_place vttm_vram_places[] = {
	{ .mem_type = TTM_PL_VRAM },
	{ .mem_type = TTM_PL_SYSTEM, .flags = TTM_PL_FLAG_FALLBACK },
};

struct ttm_placement vttm_vram_placement = {
	.num_placement = ARRAY_SIZE(vttm_vram_places),
	.placement = vttm_vram_places,
};

/**
 * vttm_vram_contains() - whether a buffer object is in VRAM
 * @tbo: The locked or busy TTM buffer object.
 *
 * Return: true if it is. Then it has no page vector.
 */
bool vttm_vram_contains(const struct ttm_buffer_object *tbo)
{
	return tbo->resource && tbo->resource->mem_type == TTM_PL_VRAM;
}

static void *vttm_vram_address(struct vttm_device *vdev, const struct ttm_resource *res)
{
	return vdev->vram.vaddr + ((u64)res->start << PAGE_SHIFT);
}

/**
 * vttm_vram_map() - where a buffer object in VRAM is mapped
 * @tbo: The TTM buffer object.
 *
 * Return: the address of its first byte. All of it is mapped, write-combined.
 */
void *vttm_vram_map(const struct ttm_buffer_object *tbo)
{
	return vttm_vram_address(to_vttm_device(tbo->base.dev), tbo->resource);
}

/**
 * vttm_vram_io_mem_reserve() - tell TTM where a resource is mapped
 * @bdev: TTM device.
 * @res: Resource.
 *
 * Return: 0.
 */
int vttm_vram_io_mem_reserve(struct ttm_device *bdev, struct ttm_resource *res)
{
	struct vttm_device *vdev = container_of(bdev, struct vttm_device, ttm);

	if (res->mem_type != TTM_PL_VRAM)
		return 0;

	res->bus.addr = vttm_vram_address(vdev, res);
	res->bus.offset = vdev->vram.start + ((u64)res->start << PAGE_SHIFT);
	res->bus.is_iomem = true;
	res->bus.caching = ttm_write_combined;

	return 0;
}

/**
 * vttm_vram_move() - move a buffer object into VRAM or out of it
 * @tbo: The locked TTM buffer object.
 * @ctx: How to wait and allocate.
 * @new_mem: Where to.
 *
 * Return: 0, -EBUSY if it is busy and @ctx says not to wait, or is so for as long as
 * TTM waits, -ENOMEM, -EINTR or -ERESTARTSYS.
 */
int vttm_vram_move(struct ttm_buffer_object *tbo, struct ttm_operation_ctx *ctx,
		   struct ttm_resource *new_mem)
{
	int ret;

	/* Clear the contents of the previous buffer object. */
	if (!tbo->resource) {
		memset(vttm_vram_address(to_vttm_device(tbo->base.dev), new_mem), 0,
		       tbo->base.size);
		ttm_bo_move_null(tbo, new_mem);
		return 0;
	}

	ret = ttm_bo_wait_ctx(tbo, ctx);
	if (ret)
		return ret;

	return ttm_bo_move_memcpy(tbo, ctx, new_mem);
}

/**
 * vttm_vram_enter() - move a buffer object to VRAM if there is room
 * @bo: The locked buffer object.
 * @ctx: How to wait and allocate.
 *
 * No other buffer object is evicted for one that was evicted itself, and one that is
 * busy is not waited for, as others may want the locks that the caller has.
 *
 * Return: 0, also if it stays where it is, -ENOMEM, -EINTR or -ERESTARTSYS.
 */
int vttm_vram_enter(struct vttm_bo *bo, struct ttm_operation_ctx *ctx)
{
	if (!bo->vram || bo->tbo.pin_count || bo->madv != VTTM_MADV_WILLNEED ||
	    !dma_resv_test_signaled(bo->tbo.base.resv, DMA_RESV_USAGE_BOOKKEEP))
		return 0;

	return ttm_bo_validate(&bo->tbo, &vttm_vram_placement, ctx);
}

/* As a real driver does before the image is made */
static int vttm_vram_prepare(struct device *dev)
{
	struct vttm_device *vdev = dev_get_drvdata(dev);
	struct ttm_resource_manager *man = ttm_manager_type(&vdev->ttm, TTM_PL_VRAM);
	int ret;

	/* It is kept while the machine is suspended to memory. */
	if (vdev->vram.suspending)
		return 0;

	if (READ_ONCE(vttm_evict_at_once)) {
		ret = ttm_resource_manager_evict_all(&vdev->ttm, man);
		if (!ret)
			ret = ttm_device_prepare_hibernation(&vdev->ttm);
	} else {
		ret = ttm_device_evict_for_hibernation(&vdev->ttm, man);
	}
	if (ret)
		drm_err(&vdev->drm, "VRAM cannot be evicted: %d\n", ret);

	return ret;
}

static int vttm_vram_pm_notify(struct notifier_block *nb, unsigned long action, void *data)
{
	struct vttm_vram *vram = container_of(nb, struct vttm_vram, pm_nb);

	if (action == PM_SUSPEND_PREPARE)
		vram->suspending = true;
	else if (action == PM_POST_SUSPEND)
		vram->suspending = false;

	return NOTIFY_DONE;
}

static struct dev_pm_domain vttm_vram_pm_domain = {
	.ops.prepare = vttm_vram_prepare,
};

static void vttm_vram_pm_unregister(void *data)
{
	platform_device_unregister(data);
}

/* Faux devices have no power management, so use another device for it. */
static int vttm_vram_pm_register(struct vttm_device *vdev)
{
	struct platform_device *pdev;
	int ret;

	pdev = platform_device_alloc("vttm-vram", PLATFORM_DEVID_AUTO);
	if (!pdev)
		return -ENOMEM;

	pdev->dev.parent = vdev->drm.dev;
	platform_set_drvdata(pdev, vdev);
	dev_pm_domain_set(&pdev->dev, &vttm_vram_pm_domain);

	ret = platform_device_add(pdev);
	if (ret) {
		platform_device_put(pdev);
		return ret;
	}

	return devm_add_action_or_reset(vdev->drm.dev, vttm_vram_pm_unregister, pdev);
}

/* Get the VRAM of a device from vttm.vram=. The size is 0 if there is none. */
static int vttm_vram_parse(const struct device *dev, resource_size_t *start,
			   resource_size_t *size)
{
	unsigned int nr;
	char *end;

	*size = 0;
	if (!vttm_vram)
		return 0;

	*size = memparse(vttm_vram, &end);
	if (!*size || !PAGE_ALIGNED(*size) || *end++ != '@')
		return -EINVAL;
	*start = memparse(end, &end);
	if (!*start || !PAGE_ALIGNED(*start) || *end)
		return -EINVAL;

	if (kstrtouint(strrchr(dev_name(dev), '.') + 1, 10, &nr))
		return -EINVAL;
	*start += nr * *size;

	return 0;
}

/**
 * vttm_vram_init() - set up the VRAM of a device, if it is to have some
 * @vdev: Device.
 *
 * Return: 0, -EINVAL if what vttm.vram= says is no range of pages, -EBUSY if it is memory
 * that is in use, or -ENOMEM.
 */
int vttm_vram_init(struct vttm_device *vdev)
{
	struct vttm_vram *vram = &vdev->vram;
	resource_size_t size;
	int ret;

	ret = vttm_vram_parse(vdev->drm.dev, &vram->start, &size);
	if (ret || !size)
		return ret;

	if (region_intersects(vram->start, size, IORESOURCE_SYSTEM_RAM,
			      IORES_DESC_NONE) != REGION_DISJOINT ||
	    !request_mem_region(vram->start, size, "vttm VRAM"))
		return -EBUSY;

	vram->vaddr = memremap(vram->start, size, MEMREMAP_WC);
	if (!vram->vaddr) {
		ret = -ENOMEM;
		goto err_release;
	}

	ret = ttm_range_man_init(&vdev->ttm, TTM_PL_VRAM, false, size >> PAGE_SHIFT);
	if (ret)
		goto err_unmap;

	vram->pm_nb.notifier_call = vttm_vram_pm_notify;
	ret = register_pm_notifier(&vram->pm_nb);
	if (ret)
		goto err_man;

	ret = vttm_vram_pm_register(vdev);
	if (ret)
		goto err_notifier;

	vram->size = size;
	return 0;

err_notifier:
	unregister_pm_notifier(&vram->pm_nb);
err_man:
	ttm_range_man_fini(&vdev->ttm, TTM_PL_VRAM);
err_unmap:
	memunmap(vram->vaddr);
err_release:
	release_mem_region(vram->start, size);
	return ret;
}

/**
 * vttm_vram_fini() - undo vttm_vram_init()
 * @vdev: Device.
 */
void vttm_vram_fini(struct vttm_device *vdev)
{
	struct vttm_vram *vram = &vdev->vram;

	if (!vram->size)
		return;

	unregister_pm_notifier(&vram->pm_nb);
	ttm_range_man_fini(&vdev->ttm, TTM_PL_VRAM);
	memunmap(vram->vaddr);
	release_mem_region(vram->start, vram->size);
}
