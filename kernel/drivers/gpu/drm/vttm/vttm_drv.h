/* SPDX-License-Identifier: GPL-2.0 OR MIT */
#ifndef _VTTM_DRV_H_
#define _VTTM_DRV_H_

#include <linux/atomic.h>
#include <linux/dma-resv.h>
#include <linux/iosys-map.h>
#include <linux/kref.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <drm/drm_device.h>
#include <drm/gpu_scheduler.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_device.h>
#include <drm/ttm/ttm_resource.h>
#include <drm/ttm/ttm_tt.h>

struct dma_buf;
struct dma_buf_attachment;
struct drm_file;
struct drm_minor;
struct drm_mode_create_dumb;
struct file;
struct inode;
struct sg_table;
struct shrinker;

/* Jobs of one file that may be queued; submitting more waits for one of them */
#define VTTM_MAX_JOBS	64

/**
 * struct vttm_shrinker - per-device shrinker
 * @shrinkable_pages: Resident pages that could be backed up.
 * @purgeable_pages: Resident pages that could be freed.
 * @purged_in_vain: When, in jiffies, less was purgeable than asked for.
 * @shrink: The shrinker registered with the memory manager.
 * @busy_wq: Queue that @busy_work runs on.
 * @busy_work: Shrinks buffer objects that have to be waited for, for kswapd.
 * @busy_goal: Pages that @busy_work should free.
 * @busy_tries: How often it has tried to in this round.
 * @busy_round: Number of the last walk of this round, or of none. Claims of walks
 * before that one do not hold any more.
 * @busy_wait: Woken when it changes.
 */
struct vttm_shrinker {
	/** @lock: Protects the counters. */
	spinlock_t lock;
	long shrinkable_pages;
	long purgeable_pages;
	unsigned long purged_in_vain;
	struct shrinker *shrink;
	struct workqueue_struct *busy_wq;
	struct delayed_work busy_work;
	unsigned long busy_goal;
	unsigned int busy_tries;
	unsigned long busy_round;
	wait_queue_head_t busy_wait;
};

/**
 * struct vttm_engine - the virtual engine
 * @sched: Decides which job is next, and gives up on one that takes too long.
 * @wq: Ordered queue that the jobs run on, in place of hardware.
 * @free_wq: Queue that finished jobs are freed on. Dropping the last reference
 * to a buffer object may take locks that a waiter for the next fence holds.
 * @context: Context of the fences that @wq signals.
 * @seqno: Sequence number of the last of these fences.
 * @jobs: Jobs that exist.
 * @idle: Woken when there are none.
 */
struct vttm_engine {
	struct drm_gpu_scheduler sched;
	struct workqueue_struct *wq;
	struct workqueue_struct *free_wq;
	u64 context;
	u64 seqno;
	atomic_t jobs;
	wait_queue_head_t idle;
};

/**
 * struct vttm_file - an open file
 * @ref: References: the file, its local buffer objects, its jobs.
 * @vdev: Device.
 * @resv: Reservation object of the local buffer objects.
 * @bulk: The local buffer objects on the LRU, in one piece.
 * @entity: Queue of jobs.
 * @jobs: Jobs that exist, up to VTTM_MAX_JOBS.
 * @wait: Woken when there is one less.
 * @guilty: A job took too long. There will be no others.
 * @closed: The file is closed. Its jobs are of no use any more.
 * @claim: As that of a buffer object, for all local ones.
 */
struct vttm_file {
	struct kref ref;
	struct vttm_device *vdev;
	struct dma_resv resv;
	struct ttm_lru_bulk_move bulk;
	/** @lock: Makes the order of the fences that of the queue. */
	struct mutex lock;
	struct drm_sched_entity entity;
	atomic_t jobs;
	wait_queue_head_t wait;
	atomic_t guilty;
	bool closed;
	unsigned long claim;
};

/**
 * struct vttm_vram - memory of the device's own
 * @start: Physical address.
 * @size: Bytes, 0 if there is none.
 * @vaddr: Where it is mapped.
 * @pm_nb: Told when the machine is about to be suspended to memory.
 * @suspending: It is.
 */
struct vttm_vram {
	resource_size_t start;
	resource_size_t size;
	void *vaddr;
	struct notifier_block pm_nb;
	bool suspending;
};

/**
 * struct vttm_device - a virtual TTM device
 * @drm: DRM device.
 * @ttm: TTM device.
 * @shrinker: Shrinker.
 * @engine: Engine.
 * @vram: VRAM.
 * @debugfs_shrunk: Pages shrunk by the last write to debugfs.
 */
struct vttm_device {
	struct drm_device drm;
	struct ttm_device ttm;
	struct vttm_shrinker shrinker;
	struct vttm_engine engine;
	struct vttm_vram vram;
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
 * @madv: Fate of the contents. Changes with both the reservation lock and @lock held.
 * @shared: Others may use it, protected by @lock.
 * @claim: Last walk of the shrinker that waits for it to become idle.
 * @vram: It is in VRAM if there is room. Changes to false only, with the reservation
 * lock held.
 * @vfile: The file that it is local to, or NULL.
 * @dma_buf: Imported dma-buf, kept until the buffer object is gone because its
 * reservation object is in use until then. NULL if not imported.
 * @map: Kernel mapping of @dma_buf, set up when the engine first needs it.
 */
struct vttm_bo {
	struct ttm_buffer_object tbo;
	u32 caching;
	/** @lock: Orders giving up the contents and handing them out. */
	spinlock_t lock;
	enum vttm_madv_state madv;
	bool shared;
	unsigned long claim;
	bool vram;
	struct vttm_file *vfile;
	struct dma_buf *dma_buf;
	struct iosys_map map;
};

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
 * @claim: If not 0, the number of this walk, which claims what is busy.
 * @to_scan: Stop when so many pages were tried.
 * @to_free: Stop when so many pages were freed.
 * @scanned: Pages tried.
 * @freed: Pages freed.
 * @claimed: Pages that were busy and are claimed.
 */
struct vttm_shrink_walk {
	struct ttm_operation_ctx ctx;
	struct ttm_bo_shrink_flags flags;
	bool sleep;
	unsigned long claim;
	unsigned long to_scan;
	unsigned long to_free;
	unsigned long scanned;
	unsigned long freed;
	unsigned long claimed;
};

static inline struct vttm_device *to_vttm_device(struct drm_device *drm)
{
	return container_of(drm, struct vttm_device, drm);
}

static inline struct vttm_tt *to_vttm_tt(struct ttm_tt *tt)
{
	return container_of(tt, struct vttm_tt, ttm);
}

static inline struct vttm_bo *ttm_to_vttm_bo(struct ttm_buffer_object *tbo)
{
	return container_of(tbo, struct vttm_bo, tbo);
}

static inline struct vttm_bo *gem_to_vttm_bo(struct drm_gem_object *obj)
{
	return container_of(obj, struct vttm_bo, tbo.base);
}

/* vttm_tt.c */
struct ttm_tt *vttm_tt_create(struct ttm_buffer_object *tbo, u32 page_flags);
int vttm_tt_populate(struct ttm_device *bdev, struct ttm_tt *tt,
		     struct ttm_operation_ctx *ctx);
void vttm_tt_unpopulate(struct ttm_device *bdev, struct ttm_tt *tt);
void vttm_tt_destroy(struct ttm_device *bdev, struct ttm_tt *tt);
void vttm_tt_account(struct ttm_tt *tt, bool pinned);
pgoff_t vttm_tt_shrinkable_pages(struct ttm_tt *tt);
void vttm_tt_count(struct ttm_tt *tt, struct vttm_tt_pages *out);

/* vttm_bo.c */
extern const struct ttm_device_funcs vttm_ttm_funcs;

struct vttm_bo *vttm_bo_create(struct vttm_device *vdev, u64 size, u32 caching,
			       bool vram, struct vttm_file *vfile,
			       struct dma_buf *dma_buf, struct sg_table *sg);
int vttm_bo_leave_vram(struct ttm_buffer_object *tbo, struct ttm_operation_ctx *ctx);
int vttm_bo_prepare(struct vttm_bo *bo, struct ttm_operation_ctx *ctx);
void *vttm_bo_map_local(struct vttm_bo *bo, u64 offset, u64 *len);
void vttm_bo_unmap_local(struct vttm_bo *bo, void *vaddr);
void vttm_bo_account(struct ttm_buffer_object *tbo);
int vttm_bo_madvise(struct vttm_bo *bo, bool purgeable);
pgoff_t vttm_bo_shrinkable(struct ttm_buffer_object *tbo,
			   struct ttm_bo_shrink_flags flags, bool *purge);
long vttm_bo_shrink(struct ttm_operation_ctx *ctx, struct ttm_buffer_object *tbo,
		    struct ttm_bo_shrink_flags flags, unsigned long *scanned);

/* vttm_vram.c */
extern struct ttm_placement vttm_vram_placement;

int vttm_vram_init(struct vttm_device *vdev);
void vttm_vram_fini(struct vttm_device *vdev);
bool vttm_vram_contains(const struct ttm_buffer_object *tbo);
void *vttm_vram_map(const struct ttm_buffer_object *tbo);
int vttm_vram_io_mem_reserve(struct ttm_device *bdev, struct ttm_resource *res);
int vttm_vram_move(struct ttm_buffer_object *tbo, struct ttm_operation_ctx *ctx,
		   struct ttm_resource *new_mem);
int vttm_vram_enter(struct vttm_bo *bo, struct ttm_operation_ctx *ctx);

/* vttm_gem.c */
extern const struct drm_gem_object_funcs vttm_gem_funcs;

int vttm_gem_prime_handle_to_fd(struct drm_device *drm, struct drm_file *file,
				u32 handle, u32 flags, int *fd);
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

/* vttm_file.c */
int vttm_file_open(struct drm_device *drm, struct drm_file *file);
int vttm_file_release(struct inode *inode, struct file *filp);
void vttm_file_postclose(struct drm_device *drm, struct drm_file *file);
struct vttm_file *vttm_file_get(struct vttm_file *vfile);
void vttm_file_put(struct vttm_file *vfile);

/* vttm_engine.c */
int vttm_engine_init(struct vttm_device *vdev, unsigned int timeout_ms);
void vttm_engine_fini(struct vttm_device *vdev);
int vttm_submit_ioctl(struct drm_device *drm, void *data, struct drm_file *file);
int vttm_wait_ioctl(struct drm_device *drm, void *data, struct drm_file *file);

/* vttm_drv.c */
extern bool vttm_has_shrinker;

/* vttm_shrinker.c */
int vttm_shrinker_init(struct vttm_device *vdev);
void vttm_shrinker_fini(struct vttm_device *vdev);
void vttm_shrinker_mod_pages(struct vttm_device *vdev, long shrinkable, long purgeable);
int vttm_shrinker_give_way(struct vttm_device *vdev, struct vttm_bo *bo);
void vttm_shrinker_get_busy(struct vttm_device *vdev, unsigned long pages);
int vttm_shrinker_walk(struct vttm_device *vdev, struct vttm_shrink_walk *walk);

/* vttm_debugfs.c */
#ifdef CONFIG_DEBUG_FS
void vttm_debugfs_init(struct drm_minor *minor);
#endif

#endif
