// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * debugfs file "shrink": writing "N" backs up at least N pages now, reading
 * tells how many pages the last write got. "N writeback" also starts writing
 * them to swap, "N purge" frees N purgeable pages instead.
 */

#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/slab.h>
#include <linux/string.h>

#include <drm/drm_file.h>
#include <drm/ttm/ttm_backup.h>

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

/**
 * vttm_debugfs_init() - create the debugfs files of a device
 * @minor: Primary node of the device.
 */
void vttm_debugfs_init(struct drm_minor *minor)
{
	debugfs_create_file("shrink", 0600, minor->debugfs_root,
			    to_vttm_device(minor->dev), &vttm_shrink_fops);
}
