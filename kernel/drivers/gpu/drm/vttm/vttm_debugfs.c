// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * debugfs file "shrink": writing "N" backs up at least N pages now, reading
 * tells how many pages the last write got. "N writeback" also starts writing
 * them to swap, "N purge" frees N purgeable pages instead. "N busy" waits for
 * nothing: a worker backs up N pages that may be busy, as it does for kswapd.
 *
 * debugfs file "chunks": the resident pages of all idle and unlocked buffer objects,
 * by the order of the naturally aligned runs in which they are adjacent in memory,
 * which is what a page table entry of a real GPU could cover.
 *
 * debugfs file "pages": writing "FD HANDLE" chooses a buffer object by the writer's
 * open file of the device and a handle of that file, reading tells where the pages
 * of it were then.
 */

#include <linux/debugfs.h>
#include <linux/dma-resv.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <drm/drm_drv.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>
#include <drm/ttm/ttm_backup.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_placement.h>
#include <drm/ttm/ttm_resource.h>
#include <drm/ttm/ttm_tt.h>

#include "vttm_drv.h"

static ssize_t vttm_shrink_read(struct file *file, char __user *ubuf,
				size_t count, loff_t *ppos)
{
	struct vttm_device *vdev = file->private_data;
	char buf[24];
	int len;

	len = scnprintf(buf, sizeof(buf), "%ld\n",
			atomic_long_read(&vdev->debugfs_shrunk));

	return simple_read_from_buffer(ubuf, count, ppos, buf, len);
}

static ssize_t vttm_shrink_write(struct file *file, const char __user *ubuf,
				 size_t count, loff_t *ppos)
{
	struct vttm_device *vdev = file->private_data;
	struct vttm_shrink_walk walk = {
		.ctx.interruptible = true,
		.sleep = true,
		.to_scan = ULONG_MAX,
	};
	char buf[64], *mode, *num;
	bool busy = false;
	int ret;

	if (!count || count >= sizeof(buf))
		return -EINVAL;
	if (copy_from_user(buf, ubuf, count))
		return -EFAULT;
	buf[count] = '\0';

	mode = strim(buf);
	num = strsep(&mode, " ");
	ret = kstrtoul(num, 0, &walk.to_free);
	if (ret)
		return ret;
	if (!walk.to_free)
		return -EINVAL;

	if (mode && !strcmp(mode, "writeback"))
		walk.flags.writeback = true;
	else if (mode && !strcmp(mode, "purge"))
		walk.flags.purge = true;
	else if (mode && !strcmp(mode, "busy"))
		busy = true;
	else if (mode)
		return -EINVAL;

	atomic_long_set(&vdev->debugfs_shrunk, 0);

	if (!walk.flags.purge && !ttm_backup_bytes_avail())
		return -ENOSPC;

	if (busy) {
		if (!vttm_has_shrinker)
			return -EOPNOTSUPP;
		vttm_shrinker_get_busy(vdev, walk.to_free);
		return count;
	}

	ret = vttm_shrinker_walk(vdev, &walk);
	atomic_long_set(&vdev->debugfs_shrunk, walk.freed);
	if (walk.freed)
		return count;

	return ret ?: -EBUSY;
}

static const struct file_operations vttm_shrink_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.read = vttm_shrink_read,
	.write = vttm_shrink_write,
};

/* The order of the run that begins at @i, aligned in memory and in the buffer object */
static unsigned int vttm_run_order(const struct ttm_tt *tt, pgoff_t i)
{
	unsigned long pfn = page_to_pfn(tt->pages[i]);
	unsigned int order;
	pgoff_t nr = 1;

	for (order = 0; order < MAX_PAGE_ORDER; order++) {
		pgoff_t end = i + (2UL << order);

		if (!IS_ALIGNED(pfn | i, 2UL << order) || end > tt->num_pages)
			break;
		while (nr < end - i && page_to_pfn(tt->pages[i + nr]) == pfn + nr)
			nr++;
		if (nr < end - i)
			break;
	}

	return order;
}

static int vttm_chunks_show(struct seq_file *m, void *data)
{
	struct vttm_device *vdev = m->private;
	struct ttm_resource_manager *man = ttm_manager_type(&vdev->ttm, TTM_PL_SYSTEM);
	struct ttm_operation_ctx ctx = { .no_wait_gpu = true };
	struct ttm_lru_walk_arg arg = { .ctx = &ctx, .trylock_only = true };
	unsigned long pages[NR_PAGE_ORDERS] = {};
	struct ttm_bo_lru_cursor curs;
	struct ttm_buffer_object *tbo;
	unsigned int order;

	ttm_bo_lru_for_each_reserved_guarded(&curs, man, &arg, tbo) {
		struct ttm_tt *tt = tbo->ttm;
		pgoff_t i;

		if (!tt || !ttm_tt_is_populated(tt))
			continue;
		for (i = 0; i < tt->num_pages; i += 1UL << order) {
			order = vttm_run_order(tt, i);
			pages[order] += 1UL << order;
		}
	}
	if (IS_ERR(tbo))
		return PTR_ERR(tbo);

	for (order = 0; order < ARRAY_SIZE(pages); order++)
		seq_printf(m, "order%u %lu\n", order, pages[order]);

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(vttm_chunks);

/**
 * struct vttm_pages_file - an open file "pages"
 * @vdev: Device.
 * @pages: The result of the last write.
 */
struct vttm_pages_file {
	struct vttm_device *vdev;
	/** @lock: Protects @pages. */
	struct mutex lock;
	struct vttm_tt_pages pages;
};

static int vttm_pages_open(struct inode *inode, struct file *file)
{
	struct vttm_pages_file *pf = kzalloc_obj(*pf);

	if (!pf)
		return -ENOMEM;

	pf->vdev = inode->i_private;
	mutex_init(&pf->lock);
	file->private_data = pf;

	return 0;
}

static int vttm_pages_release(struct inode *inode, struct file *file)
{
	struct vttm_pages_file *pf = file->private_data;

	mutex_destroy(&pf->lock);
	kfree(pf);

	return 0;
}

static int vttm_pages_count(struct drm_gem_object *obj, struct vttm_tt_pages *pages)
{
	int ret;

	ret = dma_resv_lock_interruptible(obj->resv, NULL);
	if (ret)
		return ret;
	/* None are in VRAM. */
	if (gem_to_vttm_bo(obj)->tbo.ttm)
		vttm_tt_count(gem_to_vttm_bo(obj)->tbo.ttm, pages);
	else
		memset(pages, 0, sizeof(*pages));
	dma_resv_unlock(obj->resv);

	return 0;
}

static struct drm_gem_object *vttm_pages_lookup(struct vttm_device *vdev, int fd, u32 handle)
{
	struct drm_gem_object *obj;
	struct drm_file *drm_file;

	CLASS(fd, f)(fd);

	if (fd_empty(f) || fd_file(f)->f_op != vdev->drm.driver->fops)
		return ERR_PTR(-EBADF);

	drm_file = fd_file(f)->private_data;
	if (drm_file->minor->dev != &vdev->drm)
		return ERR_PTR(-EBADF);

	obj = drm_gem_object_lookup(drm_file, handle);

	return obj ?: ERR_PTR(-ENOENT);
}

static ssize_t vttm_pages_write(struct file *file, const char __user *ubuf,
				size_t count, loff_t *ppos)
{
	struct vttm_pages_file *pf = file->private_data;
	struct drm_gem_object *obj;
	struct vttm_tt_pages pages;
	char buf[32];
	u32 handle;
	int ret, fd;

	if (!count || count >= sizeof(buf))
		return -EINVAL;
	if (copy_from_user(buf, ubuf, count))
		return -EFAULT;
	buf[count] = '\0';
	if (sscanf(buf, "%d %u", &fd, &handle) != 2)
		return -EINVAL;

	obj = vttm_pages_lookup(pf->vdev, fd, handle);
	if (IS_ERR(obj))
		return PTR_ERR(obj);

	ret = vttm_pages_count(obj, &pages);
	drm_gem_object_put(obj);
	if (ret)
		return ret;

	mutex_lock(&pf->lock);
	pf->pages = pages;
	mutex_unlock(&pf->lock);

	return count;
}

static ssize_t vttm_pages_read(struct file *file, char __user *ubuf,
			       size_t count, loff_t *ppos)
{
	struct vttm_pages_file *pf = file->private_data;
	char buf[96];
	int len;

	mutex_lock(&pf->lock);
	len = scnprintf(buf, sizeof(buf), "resident %lu\nbacked_up %lu\ninserted %lu\n",
			pf->pages.resident, pf->pages.backed_up, pf->pages.inserted);
	mutex_unlock(&pf->lock);

	return simple_read_from_buffer(ubuf, count, ppos, buf, len);
}

static const struct file_operations vttm_pages_fops = {
	.owner = THIS_MODULE,
	.open = vttm_pages_open,
	.read = vttm_pages_read,
	.write = vttm_pages_write,
	.release = vttm_pages_release,
};

/**
 * vttm_debugfs_init() - create the debugfs files of a device
 * @minor: Primary node of the device.
 */
void vttm_debugfs_init(struct drm_minor *minor)
{
	debugfs_create_file("shrink", 0600, minor->debugfs_root,
			    to_vttm_device(minor->dev), &vttm_shrink_fops);
	debugfs_create_file("chunks", 0400, minor->debugfs_root,
			    to_vttm_device(minor->dev), &vttm_chunks_fops);
	debugfs_create_file("pages", 0600, minor->debugfs_root,
			    to_vttm_device(minor->dev), &vttm_pages_fops);
}
