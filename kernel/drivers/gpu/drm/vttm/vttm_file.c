// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Open files: each has a queue of jobs, and a reservation object and a place on
 * the LRU that its local buffer objects share.
 */

#include <linux/fs.h>
#include <linux/slab.h>

#include <drm/drm_file.h>

#include "vttm_drv.h"

static void vttm_file_free(struct kref *ref)
{
	struct vttm_file *vfile = container_of(ref, struct vttm_file, ref);

	ttm_lru_bulk_move_fini(&vfile->vdev->ttm, &vfile->bulk);
	dma_resv_fini(&vfile->resv);
	mutex_destroy(&vfile->lock);
	kfree(vfile);
}

/**
 * vttm_file_get() - take a reference
 * @vfile: File.
 *
 * Return: @vfile.
 */
struct vttm_file *vttm_file_get(struct vttm_file *vfile)
{
	kref_get(&vfile->ref);
	return vfile;
}

/**
 * vttm_file_put() - drop a reference
 * @vfile: File.
 */
void vttm_file_put(struct vttm_file *vfile)
{
	kref_put(&vfile->ref, vttm_file_free);
}

/**
 * vttm_file_open() - set up a file
 * @drm: DRM device.
 * @file: DRM file.
 *
 * Return: 0 or -ENOMEM.
 */
int vttm_file_open(struct drm_device *drm, struct drm_file *file)
{
	struct vttm_device *vdev = to_vttm_device(drm);
	struct drm_gpu_scheduler *sched = &vdev->engine.sched;
	struct vttm_file *vfile;
	int ret;

	vfile = kzalloc_obj(*vfile, GFP_KERNEL_ACCOUNT);
	if (!vfile)
		return -ENOMEM;

	ret = drm_sched_entity_init(&vfile->entity, DRM_SCHED_PRIORITY_NORMAL,
				    &sched, 1, &vfile->guilty);
	if (ret) {
		kfree(vfile);
		return ret;
	}

	kref_init(&vfile->ref);
	vfile->vdev = vdev;
	dma_resv_init(&vfile->resv);
	ttm_lru_bulk_move_init(&vfile->bulk);
	mutex_init(&vfile->lock);
	init_waitqueue_head(&vfile->wait);
	file->driver_priv = vfile;

	return 0;
}

/**
 * vttm_file_release() - close a file
 * @inode: Inode of the device.
 * @filp: File.
 *
 * Cancels the jobs of the file: their results can only be seen through a
 * dma-buf, whose users find an error in the fence. This comes before anything
 * else is released, since a release may need locks that are held by a task
 * which waits for the jobs.
 *
 * Return: 0.
 */
int vttm_file_release(struct inode *inode, struct file *filp)
{
	struct drm_file *file = filp->private_data;
	struct vttm_file *vfile = file->driver_priv;

	WRITE_ONCE(vfile->closed, true);

	return drm_release(inode, filp);
}

/**
 * vttm_file_postclose() - tear down a file that is closed
 * @drm: DRM device.
 * @file: DRM file.
 */
void vttm_file_postclose(struct drm_device *drm, struct drm_file *file)
{
	struct vttm_file *vfile = file->driver_priv;

	drm_sched_entity_fini(&vfile->entity);
	vttm_file_put(vfile);
}
