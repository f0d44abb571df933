// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * debugfs file "shrink": writing "N" backs up at least N pages now, reading
 * tells how many pages the last write got. "N writeback" also starts writing
 * them to swap, "N purge" frees N purgeable pages instead.
 *
 * debugfs file "chunks": the resident pages of all idle and unlocked buffer objects,
 * by the order of the naturally aligned runs in which they are adjacent in memory,
 * which is what a page table entry of a real GPU could cover.
 */

#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <drm/drm_file.h>
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
	else if (mode)
		return -EINVAL;

	atomic_long_set(&vdev->debugfs_shrunk, 0);

	if (!walk.flags.purge && !ttm_backup_bytes_avail())
		return -ENOSPC;

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
 * vttm_debugfs_init() - create the debugfs files of a device
 * @minor: Primary node of the device.
 */
void vttm_debugfs_init(struct drm_minor *minor)
{
	debugfs_create_file("shrink", 0600, minor->debugfs_root,
			    to_vttm_device(minor->dev), &vttm_shrink_fops);
	debugfs_create_file("chunks", 0400, minor->debugfs_root,
			    to_vttm_device(minor->dev), &vttm_chunks_fops);
}
