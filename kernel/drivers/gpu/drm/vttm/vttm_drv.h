/* SPDX-License-Identifier: GPL-2.0 OR MIT */
#ifndef _VTTM_DRV_H_
#define _VTTM_DRV_H_

#include <linux/iosys-map.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include <drm/drm_device.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_device.h>
#include <drm/ttm/ttm_tt.h>

struct dma_buf;
struct dma_buf_attachment;
struct drm_file;
struct drm_minor;
struct drm_mode_create_dumb;
struct sg_table;
struct shrinker;
struct workqueue_struct;

/**
 * struct vttm_shrinker - per-device shrinker
 * @shrinkable_pages: Resident pages that could be backed up.
 * @purgeable_pages: Resident pages that could be freed.
 * @shrink: The shrinker registered with the memory manager.
 */
struct vttm_shrinker {
	/** @lock: Protects the counters. */
	spinlock_t lock;
	long shrinkable_pages;
	long purgeable_pages;
	struct shrinker *shrink;
};

/**
 * struct vttm_engine - the virtual engine
 * @wq: Ordered queue that the jobs run on.
 * @free_wq: Queue that finished jobs are freed on. Dropping the last reference
 * to a buffer object may take locks that a waiter for the next fence holds.
 * @context: Fence context.
 * @seqno: Sequence number of the last fence, protected by @lock.
 */
struct vttm_engine {
	struct workqueue_struct *wq;
	struct workqueue_struct *free_wq;
	/** @lock: Makes the order of the fences that of the queue. */
	struct mutex lock;
	u64 context;
	u64 seqno;
};

/**
 * struct vttm_device - a virtual TTM device
 * @drm: DRM device.
 * @ttm: TTM device.
 * @shrinker: Shrinker.
 * @engine: Engine.
 * @debugfs_shrunk: Pages shrunk by the last write to debugfs.
 */
struct vttm_device {
	struct drm_device drm;
	struct ttm_device ttm;
	struct vttm_shrinker shrinker;
	struct vttm_engine engine;
	atomic_long_t debugfs_shrunk;
};

/**
 * enum vttm_madv_state - fate of the contents of a buffer object
 * @VTTM_MADV_WILLNEED: To be kept.
 * @VTTM_MADV_DONTNEED: May be purged.
 * @VTTM_MADV_PURGED: Gone for good.
 */
enum vttm_madv_state {
	VTTM_MADV_WILLNEED,
	VTTM_MADV_DONTNEED,
	VTTM_MADV_PURGED,
};

/**
 * struct vttm_bo - buffer object
 * @tbo: TTM buffer object, holding the GEM object.
 * @caching: CPU caching, one of enum drm_vttm_caching.
 * @madv: Fate of the contents, protected by the reservation lock.
 * @dma_buf: Imported dma-buf, kept until the buffer object is gone because its
 * reservation object is in use until then. NULL if not imported.
 * @map: Kernel mapping of @dma_buf, set up when the engine first needs it.
 */
struct vttm_bo {
	struct ttm_buffer_object tbo;
	u32 caching;
	enum vttm_madv_state madv;
	struct dma_buf *dma_buf;
	struct iosys_map map;
};

/**
 * struct vttm_tt_pages - where the pages of a ttm_tt are
 * @resident: Pages in memory.
 * @backed_up: Pages in the backup file.
 * @inserted: Those of @backed_up that were not copied there.
 */
struct vttm_tt_pages {
	pgoff_t resident;
	pgoff_t backed_up;
	pgoff_t inserted;
};

/**
 * struct vttm_shrink_walk - walk over the buffer objects to shrink some
 * @ctx: How to wait.
 * @flags: Purge what is purgeable or else back up, with writeback or without.
 * @sleep: Wait for buffer object locks. Never from reclaim.
 * @to_scan: Stop when so many pages were tried.
 * @to_free: Stop when so many pages were freed.
 * @scanned: Pages tried.
 * @freed: Pages freed.
 */
struct vttm_shrink_walk {
	struct ttm_operation_ctx ctx;
	struct ttm_bo_shrink_flags flags;
	bool sleep;
	unsigned long to_scan;
	unsigned long to_free;
	unsigned long scanned;
	unsigned long freed;
};

static inline struct vttm_device *to_vttm_device(struct drm_device *drm)
{
	return container_of(drm, struct vttm_device, drm);
}

static inline struct vttm_bo *ttm_to_vttm_bo(struct ttm_buffer_object *tbo)
{
	return container_of(tbo, struct vttm_bo, tbo);
}

static inline struct vttm_bo *gem_to_vttm_bo(struct drm_gem_object *obj)
{
	return container_of(obj, struct vttm_bo, tbo.base);
}

/* vttm_bo.c */
extern const struct ttm_device_funcs vttm_ttm_funcs;

long vttm_bo_shrink(struct ttm_operation_ctx *ctx, struct ttm_buffer_object *tbo,
		    struct ttm_bo_shrink_flags flags, unsigned long *scanned);
int vttm_bo_prepare(struct vttm_bo *bo, struct ttm_operation_ctx *ctx);
struct drm_gem_object *
vttm_gem_prime_import_sg_table(struct drm_device *drm,
			       struct dma_buf_attachment *attach,
			       struct sg_table *sg);
int vttm_dumb_create(struct drm_file *file, struct drm_device *drm,
		     struct drm_mode_create_dumb *args);
int vttm_create_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int vttm_mmap_offset_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int vttm_madvise_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int vttm_info_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

/* vttm_engine.c */
int vttm_engine_init(struct vttm_device *vdev);
void vttm_engine_fini(struct vttm_device *vdev);
int vttm_submit_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int vttm_wait_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

/* vttm_shrinker.c */
int vttm_shrinker_init(struct vttm_device *vdev);
void vttm_shrinker_fini(struct vttm_device *vdev);
void vttm_shrinker_mod_pages(struct vttm_device *vdev, long shrinkable, long purgeable);
int vttm_shrinker_walk(struct vttm_device *vdev, struct vttm_shrink_walk *walk);

/* vttm_debugfs.c */
#ifdef CONFIG_DEBUG_FS
void vttm_debugfs_init(struct drm_minor *minor);
#endif

#endif
