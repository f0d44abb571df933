// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Shrinker: backs buffer objects up, or frees those that are not needed, in the
 * order of their last use.
 */

#include <linux/dma-resv.h>
#include <linux/jiffies.h>
#include <linux/kref.h>
#include <linux/shrinker.h>
#include <linux/swap.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <drm/drm_gem.h>
#include <drm/ttm/ttm_backup.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_placement.h>

#include "vttm_drv.h"

/* How often to try busy buffer objects: as long as TTM waits for a fence */
#define VTTM_BUSY_DELAY	(HZ / 10)
#define VTTM_BUSY_TRIES	150

/* How soon it is worth while to look again for what can be freed */
#define VTTM_PURGE_DELAY	(HZ / 10)

/**
 * vttm_shrinker_mod_pages() - change the page counters
 * @vdev: Device.
 * @shrinkable: Change of the number of pages that could be backed up.
 * @purgeable: Change of the number of pages that could be freed.
 */
void vttm_shrinker_mod_pages(struct vttm_device *vdev, long shrinkable, long purgeable)
{
	struct vttm_shrinker *shrinker = &vdev->shrinker;

	spin_lock(&shrinker->lock);
	shrinker->shrinkable_pages += shrinkable;
	shrinker->purgeable_pages += purgeable;
	spin_unlock(&shrinker->lock);
}

static bool vttm_shrink_done(const struct vttm_shrink_walk *walk)
{
	return walk->scanned >= walk->to_scan || walk->freed >= walk->to_free;
}

/* All buffer objects that are local to a file are busy together. */
static unsigned long *vttm_bo_claim(struct vttm_bo *bo)
{
	return bo->vfile ? &bo->vfile->claim : &bo->claim;
}

/* Let submissions that would keep a buffer object busy wait. */
static void vttm_shrink_claim(struct ttm_buffer_object *tbo, struct vttm_shrink_walk *walk)
{
	struct vttm_bo *bo = ttm_to_vttm_bo(tbo);
	bool purge;
	pgoff_t nr;

	nr = vttm_bo_shrinkable(tbo, walk->flags, &purge);
	if (!nr)
		return;

	walk->claimed += nr;
	/* A buffer object without its GEM object cannot be submitted. */
	if (kref_read(&tbo->base.refcount))
		WRITE_ONCE(*vttm_bo_claim(bo), walk->claim);
}

static bool vttm_bo_is_claimed(struct vttm_shrinker *shrinker, struct vttm_bo *bo)
{
	unsigned long claim = READ_ONCE(*vttm_bo_claim(bo));

	return (long)(claim - READ_ONCE(shrinker->busy_round)) >= 0;
}

/**
 * vttm_shrinker_give_way() - wait until the shrinker has got a buffer object
 * @vdev: Device.
 * @bo: Buffer object that is about to become busy. Nothing is locked.
 *
 * Returns at once unless the shrinker has claimed @bo, which was busy when
 * memory was needed. The shrinker may give up without having got @bo.
 *
 * Return: 0 or -ERESTARTSYS.
 */
int vttm_shrinker_give_way(struct vttm_device *vdev, struct vttm_bo *bo)
{
	struct vttm_shrinker *shrinker = &vdev->shrinker;

	return wait_event_interruptible(shrinker->busy_wait,
					!vttm_bo_is_claimed(shrinker, bo));
}

static int vttm_shrink_bo(struct ttm_buffer_object *tbo, struct vttm_shrink_walk *walk)
{
	unsigned long before = walk->scanned;
	long ret;

	ret = vttm_bo_shrink(&walk->ctx, tbo, walk->flags, &walk->scanned);
	if (ret > 0)
		walk->freed += ret;
	else
		/* A large one that always fails is not to be all that is tried. */
		walk->scanned = min(walk->scanned, before + SWAP_CLUSTER_MAX);

	/* Try the next one. */
	return ret == -EBUSY ? 0 : min(ret, 0L);
}

/**
 * vttm_shrinker_walk() - shrink buffer objects
 * @vdev: Device.
 * @walk: What to do, and on return what was done.
 *
 * Return: 0, also if less was shrunk than asked for, -EINTR or -ERESTARTSYS.
 */
int vttm_shrinker_walk(struct vttm_device *vdev, struct vttm_shrink_walk *walk)
{
	struct ttm_resource_manager *man = ttm_manager_type(&vdev->ttm, TTM_PL_SYSTEM);
	struct ttm_lru_walk_arg arg = {
		.ctx = &walk->ctx,
		.trylock_only = !walk->sleep,
		.sleeping_lock = walk->sleep,
	};
	struct ttm_bo_lru_cursor curs;
	struct ttm_buffer_object *tbo;
	int ret;

	ttm_bo_lru_for_each_reserved_guarded(&curs, man, &arg, tbo) {
		ret = 0;
		if (ttm_bo_shrink_suitable(tbo, &walk->ctx))
			ret = vttm_shrink_bo(tbo, walk);
		else if (walk->claim)
			vttm_shrink_claim(tbo, walk);

		if (ret || vttm_shrink_done(walk) ||
		    walk->freed + walk->claimed >= walk->to_free)
			return ret;
	}

	return PTR_ERR_OR_ZERO(tbo);
}

/*
 * Any user can keep any number of buffer objects busy for as long as a job may
 * take. xe has kswapd wait for those, but all tasks depend on kswapd, and on
 * locks that would be held meanwhile. So this work runs again until they are
 * idle, and submissions that would keep them busy have to wait: until the next
 * walk, if that finds them shrunk, or does not get as far.
 */
static void vttm_shrinker_busy_work(struct work_struct *work)
{
	struct vttm_shrinker *shrinker = container_of(to_delayed_work(work),
						      struct vttm_shrinker, busy_work);
	struct vttm_device *vdev = container_of(shrinker, struct vttm_device, shrinker);
	struct vttm_shrink_walk walk = {
		.ctx.no_wait_gpu = true,
		.claim = shrinker->busy_round + 1,
		.to_scan = ULONG_MAX,
		.to_free = READ_ONCE(shrinker->busy_goal),
	};

	vttm_shrinker_walk(vdev, &walk);

	if (!vttm_shrink_done(&walk) && walk.claimed &&
	    ++shrinker->busy_tries < VTTM_BUSY_TRIES) {
		WRITE_ONCE(shrinker->busy_goal, walk.to_free - walk.freed);
		WRITE_ONCE(shrinker->busy_round, walk.claim);
		queue_delayed_work(shrinker->busy_wq, &shrinker->busy_work, VTTM_BUSY_DELAY);
	} else {
		shrinker->busy_tries = 0;
		WRITE_ONCE(shrinker->busy_round, walk.claim + 1);
	}
	wake_up_all(&shrinker->busy_wait);
}

/**
 * vttm_shrinker_get_busy() - have buffer objects shrunk that are busy
 * @vdev: Device, with a shrinker.
 * @pages: How many pages to get, unless that takes too long.
 *
 * Returns at once.
 */
void vttm_shrinker_get_busy(struct vttm_device *vdev, unsigned long pages)
{
	struct vttm_shrinker *shrinker = &vdev->shrinker;

	WRITE_ONCE(shrinker->busy_goal, pages);
	queue_delayed_work(shrinker->busy_wq, &shrinker->busy_work, VTTM_BUSY_DELAY);
}

static unsigned long vttm_shrinker_count(struct shrinker *shrink,
					 struct shrink_control *sc)
{
	struct vttm_device *vdev = shrink->private_data;
	struct vttm_shrinker *shrinker = &vdev->shrinker;
	unsigned long pages = 0;

	/* Backing up enters shmem, a filesystem. Freeing does not. */
	if (sc->gfp_mask & __GFP_FS)
		pages = ttm_backup_bytes_avail() >> PAGE_SHIFT;

	spin_lock(&shrinker->lock);
	pages = min_t(unsigned long, pages, shrinker->shrinkable_pages);
	pages += shrinker->purgeable_pages;
	spin_unlock(&shrinker->lock);

	return pages ?: SHRINK_EMPTY;
}

/*
 * Free buffer objects that are not needed. The walk meets all others on its way, so it
 * takes a share of what there is at a time, and when it has got all that is idle, it
 * leaves some time for others to become so.
 */
static void vttm_shrinker_purge(struct vttm_device *vdev, struct vttm_shrink_walk *walk)
{
	struct vttm_shrinker *shrinker = &vdev->shrinker;
	unsigned long pages = READ_ONCE(shrinker->purgeable_pages);
	unsigned long in_vain = READ_ONCE(shrinker->purged_in_vain);
	unsigned long to_scan = walk->to_scan;

	if (!pages || time_in_range(jiffies, in_vain, in_vain + VTTM_PURGE_DELAY))
		return;

	walk->flags.purge = true;
	walk->to_scan = max(to_scan, pages / 8);
	vttm_shrinker_walk(vdev, walk);
	if (!vttm_shrink_done(walk))
		WRITE_ONCE(shrinker->purged_in_vain, jiffies);
	walk->flags.purge = false;
	walk->to_scan = to_scan;
}

/*
 * Frees buffer objects that are not needed, then backs up idle ones, then does
 * the same with writeback, if kswapd asks. Once only busy ones are left, a
 * worker gets these.
 */
static unsigned long vttm_shrinker_scan(struct shrinker *shrink,
					struct shrink_control *sc)
{
	struct vttm_device *vdev = shrink->private_data;
	struct vttm_shrink_walk walk = {
		.ctx.no_wait_gpu = true,
		.to_scan = sc->nr_to_scan,
		.to_free = ULONG_MAX,
	};

	vttm_shrinker_purge(vdev, &walk);

	if (!(sc->gfp_mask & __GFP_FS))
		goto out;

	if (!vttm_shrink_done(&walk))
		vttm_shrinker_walk(vdev, &walk);

	if (!current_is_kswapd())
		goto out;

	/* Swap I/O must not be started without __GFP_IO. */
	walk.flags.writeback = !!(sc->gfp_mask & __GFP_IO);
	if (!vttm_shrink_done(&walk) && walk.flags.writeback)
		vttm_shrinker_walk(vdev, &walk);

	if (!vttm_shrink_done(&walk))
		vttm_shrinker_get_busy(vdev, sc->nr_to_scan);

out:
	sc->nr_scanned = walk.scanned;

	return walk.scanned ? walk.freed : SHRINK_STOP;
}

/**
 * vttm_shrinker_init() - set up the shrinker of a device
 * @vdev: Device.
 *
 * Return: 0 or -ENOMEM.
 */
int vttm_shrinker_init(struct vttm_device *vdev)
{
	struct vttm_shrinker *shrinker = &vdev->shrinker;

	spin_lock_init(&shrinker->lock);
	INIT_DELAYED_WORK(&shrinker->busy_work, vttm_shrinker_busy_work);
	init_waitqueue_head(&shrinker->busy_wait);
	shrinker->purged_in_vain = jiffies - VTTM_PURGE_DELAY - 1;
	/* No buffer object is claimed by the walk before. */
	shrinker->busy_round = 1;
	if (!vttm_has_shrinker)
		return 0;

	shrinker->busy_wq = alloc_workqueue("vttm-shrink", WQ_MEM_RECLAIM | WQ_UNBOUND, 1);
	if (!shrinker->busy_wq)
		return -ENOMEM;

	shrinker->shrink = shrinker_alloc(0, "drm-vttm_gem:%s", vdev->drm.unique);
	if (!shrinker->shrink) {
		destroy_workqueue(shrinker->busy_wq);
		return -ENOMEM;
	}

	shrinker->shrink->count_objects = vttm_shrinker_count;
	shrinker->shrink->scan_objects = vttm_shrinker_scan;
	shrinker->shrink->private_data = vdev;
	shrinker_register(shrinker->shrink);

	return 0;
}

/**
 * vttm_shrinker_fini() - stop shrinking
 * @vdev: Device.
 *
 * The counters stay usable.
 */
void vttm_shrinker_fini(struct vttm_device *vdev)
{
	if (!vttm_has_shrinker)
		return;

	shrinker_free(vdev->shrinker.shrink);
	cancel_delayed_work_sync(&vdev->shrinker.busy_work);
	destroy_workqueue(vdev->shrinker.busy_wq);
}
