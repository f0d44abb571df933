// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * vttm is a TTM driver without hardware. Its buffer objects live in system
 * memory from TTM's page pools, or in reserved memory that stands for VRAM. Its
 * shrinker backs them up under memory pressure as a driver of an integrated GPU
 * would, and its engine is a workqueue. It exists to exercise and measure TTM's
 * backup and restore of buffer objects on any machine.
 */

#include <linux/device/faux.h>
#include <linux/dma-mapping.h>
#include <linux/fs.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>
#include <drm/drm_gem_ttm_helper.h>
#include <drm/drm_ioctl.h>
#include <drm/drm_managed.h>
#include <drm/drm_print.h>
#include <drm/ttm/ttm_allocation.h>
#include <uapi/drm/vttm_drm.h>

#include "vttm_drv.h"

#define DRIVER_NAME	"vttm"
#define DRIVER_DESC	"Virtual TTM GPU"
#define DRIVER_MAJOR	1
#define DRIVER_MINOR	0

#define VTTM_MAX_DEVICES	16

static unsigned int vttm_devices;
module_param_named(devices, vttm_devices, uint, 0444);
MODULE_PARM_DESC(devices, "Number of devices to create, 0 to 16 (default 0)");

static bool vttm_dma32;
module_param_named(dma32, vttm_dma32, bool, 0444);
MODULE_PARM_DESC(dma32, "Use memory below 4 GiB only (default N)");

/* As that of xe and amdgpu */
static unsigned int vttm_beneficial_order = ilog2(SZ_2M >> PAGE_SHIFT);
module_param_named(beneficial_order, vttm_beneficial_order, uint, 0444);
MODULE_PARM_DESC(beneficial_order, "Allocation order that the device is said to work best with, 0 for none (default: that of 2 MiB)");

static unsigned int vttm_job_timeout_ms = 10000;
module_param_named(job_timeout_ms, vttm_job_timeout_ms, uint, 0444);
MODULE_PARM_DESC(job_timeout_ms, "Time after which a job is given up, and with it the file that submitted it (default 10000)");

bool vttm_has_shrinker = true;
module_param_named(shrinker, vttm_has_shrinker, bool, 0444);
MODULE_PARM_DESC(shrinker, "Have a shrinker, as xe, or leave it to TTM to swap out, as most drivers do (default Y)");

static struct faux_device *vttm_fdevs[VTTM_MAX_DEVICES];

static const struct drm_ioctl_desc vttm_ioctls[] = {
	DRM_IOCTL_DEF_DRV(VTTM_CREATE, vttm_create_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(VTTM_MMAP_OFFSET, vttm_mmap_offset_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(VTTM_MADVISE, vttm_madvise_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(VTTM_SUBMIT, vttm_submit_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(VTTM_WAIT, vttm_wait_ioctl, DRM_RENDER_ALLOW),
	DRM_IOCTL_DEF_DRV(VTTM_INFO, vttm_info_ioctl, DRM_RENDER_ALLOW),
};

static const struct file_operations vttm_fops = {
	.owner = THIS_MODULE,
	.open = drm_open,
	.release = vttm_file_release,
	.unlocked_ioctl = drm_ioctl,
	.compat_ioctl = drm_compat_ioctl,
	.poll = drm_poll,
	.read = drm_read,
	.llseek = noop_llseek,
	.get_unmapped_area = drm_gem_get_unmapped_area,
	.mmap = drm_gem_mmap,
	.show_fdinfo = drm_show_fdinfo,
	.fop_flags = FOP_UNSIGNED_OFFSET,
};

static const struct drm_driver vttm_driver = {
	.driver_features = DRIVER_GEM | DRIVER_RENDER | DRIVER_SYNCOBJ |
			   DRIVER_SYNCOBJ_TIMELINE,
	.open = vttm_file_open,
	.postclose = vttm_file_postclose,
	.ioctls = vttm_ioctls,
	.num_ioctls = ARRAY_SIZE(vttm_ioctls),
	.fops = &vttm_fops,
	.prime_handle_to_fd = vttm_gem_prime_handle_to_fd,
	.gem_prime_import_sg_table = vttm_gem_prime_import_sg_table,
	/* As vgem: without DRIVER_MODESET there is no capability that tells of it. */
	.dumb_create = vttm_dumb_create,
	.dumb_map_offset = drm_gem_ttm_dumb_map_offset,
	.show_fdinfo = drm_show_memory_stats,
#ifdef CONFIG_DEBUG_FS
	.debugfs_init = vttm_debugfs_init,
#endif
	.name = DRIVER_NAME,
	.desc = DRIVER_DESC,
	.major = DRIVER_MAJOR,
	.minor = DRIVER_MINOR,
};

static void vttm_device_fini(struct drm_device *drm, void *arg)
{
	struct vttm_device *vdev = arg;

	/*
	 * Jobs hold the last references to buffer objects. Freeing those
	 * changes the shrinker's accounting, also from TTM's own workqueue,
	 * which ttm_device_fini() drains.
	 */
	vttm_engine_fini(vdev);
	vttm_shrinker_fini(vdev);
	vttm_vram_fini(vdev);
	ttm_device_fini(&vdev->ttm);

	drm_WARN_ON(drm, vdev->shrinker.shrinkable_pages);
	drm_WARN_ON(drm, vdev->shrinker.purgeable_pages);
}

static int vttm_probe(struct faux_device *fdev)
{
	unsigned int alloc_flags = TTM_ALLOCATION_POOL_BENEFICIAL_ORDER(vttm_beneficial_order);
	struct device *dev = &fdev->dev;
	struct vttm_device *vdev;
	struct drm_device *drm;
	int ret;

	vdev = devm_drm_dev_alloc(dev, &vttm_driver, struct vttm_device, drm);
	if (IS_ERR(vdev))
		return PTR_ERR(vdev);
	drm = &vdev->drm;

	/* For the dma-bufs of others, which get mapped for this device. */
	ret = dma_coerce_mask_and_coherent(dev, DMA_BIT_MASK(64));
	if (ret)
		return ret;

	dev->dma_parms = devm_kzalloc(dev, sizeof(*dev->dma_parms), GFP_KERNEL);
	if (!dev->dma_parms)
		return -ENOMEM;
	dma_set_max_seg_size(dev, UINT_MAX);

	if (vttm_dma32)
		alloc_flags |= TTM_ALLOCATION_POOL_USE_DMA32;

	ret = ttm_device_init(&vdev->ttm, &vttm_ttm_funcs, dev,
			      drm->anon_inode->i_mapping,
			      drm->vma_offset_manager, alloc_flags);
	if (ret)
		return ret;

	ret = vttm_vram_init(vdev);
	if (ret)
		goto err_ttm;

	ret = vttm_shrinker_init(vdev);
	if (ret)
		goto err_vram;

	ret = vttm_engine_init(vdev, vttm_job_timeout_ms);
	if (ret)
		goto err_shrinker;

	ret = drmm_add_action_or_reset(drm, vttm_device_fini, vdev);
	if (ret)
		return ret;

	ret = drm_dev_register(drm, 0);
	if (ret)
		return ret;

	faux_device_set_drvdata(fdev, vdev);

	return 0;

err_shrinker:
	vttm_shrinker_fini(vdev);
err_vram:
	vttm_vram_fini(vdev);
err_ttm:
	ttm_device_fini(&vdev->ttm);
	return ret;
}

static void vttm_remove(struct faux_device *fdev)
{
	struct vttm_device *vdev = faux_device_get_drvdata(fdev);

	drm_dev_unplug(&vdev->drm);
}

static const struct faux_device_ops vttm_faux_ops = {
	.probe = vttm_probe,
	.remove = vttm_remove,
};

static void vttm_destroy_devices(unsigned int nr)
{
	while (nr--)
		faux_device_destroy(vttm_fdevs[nr]);
}

static int __init vttm_init(void)
{
	unsigned int i;

	if (vttm_devices > VTTM_MAX_DEVICES) {
		pr_err(DRIVER_NAME ": devices=%u is over the limit of %u\n",
		       vttm_devices, VTTM_MAX_DEVICES);
		return -EINVAL;
	}
	if (!vttm_job_timeout_ms) {
		pr_err(DRIVER_NAME ": job_timeout_ms=0 leaves no time for a job\n");
		return -EINVAL;
	}
	if (vttm_beneficial_order > MAX_PAGE_ORDER) {
		pr_err(DRIVER_NAME ": beneficial_order=%u is over the limit of %u\n",
		       vttm_beneficial_order, MAX_PAGE_ORDER);
		return -EINVAL;
	}

	for (i = 0; i < vttm_devices; i++) {
		char name[16];

		snprintf(name, sizeof(name), DRIVER_NAME ".%u", i);
		vttm_fdevs[i] = faux_device_create(name, NULL, &vttm_faux_ops);
		if (!vttm_fdevs[i]) {
			vttm_destroy_devices(i);
			return -ENODEV;
		}
	}

	return 0;
}

static void __exit vttm_exit(void)
{
	vttm_destroy_devices(vttm_devices);
}

module_init(vttm_init);
module_exit(vttm_exit);

MODULE_DESCRIPTION(DRIVER_DESC);
MODULE_LICENSE("Dual MIT/GPL");
MODULE_IMPORT_NS("DMA_BUF");
