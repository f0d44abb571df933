// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The virtual engine: an ordered workqueue that runs jobs of fill, copy and
 * checksum operations and signals a fence after each. The DRM scheduler hands
 * them over, one at a time.
 */

#include <linux/crc32.h>
#include <linux/dma-buf.h>
#include <linux/dma-fence.h>
#include <linux/dma-fence-chain.h>
#include <linux/dma-resv.h>
#include <linux/jiffies.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <drm/drm_exec.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>
#include <drm/drm_syncobj.h>
#include <drm/drm_utils.h>
#include <drm/gpu_scheduler.h>
#include <uapi/drm/vttm_drm.h>

#include "vttm_drv.h"

/**
 * struct vttm_job - a submission
 * @base: The scheduler's part. Its fence is the one that others see.
 * @run_work: Runs the job.
 * @free_work: Frees the job after it has run.
 * @vfile: File that it was submitted by.
 * @scheduled: Whether @base has been set up.
 * @started: When it was handed over, in jiffies.
 * @timed_out: It took too long.
 * @fence: Signals when the job has run. Initialized when it is handed over.
 * @ops: Operations.
 * @nr_ops: Number of @ops.
 * @objs: GEM objects of the operations, a referenced dst and src for each. The
 * latter may be NULL.
 * @nr_begun: How many of @objs have been looked through for imported ones, to
 * begin CPU access to these.
 */
struct vttm_job {
	struct drm_sched_job base;
	struct work_struct run_work;
	struct work_struct free_work;
	struct vttm_file *vfile;
	bool scheduled;
	unsigned long started;
	bool timed_out;
	struct dma_fence *fence;
	struct drm_vttm_op *ops;
	unsigned int nr_ops;
	struct drm_gem_object **objs;
	unsigned int nr_begun;
};

static struct vttm_job *to_vttm_job(struct drm_sched_job *sched_job)
{
	return container_of(sched_job, struct vttm_job, base);
}

static struct vttm_bo *vttm_job_dst(struct vttm_job *job, unsigned int i)
{
	return gem_to_vttm_bo(job->objs[2 * i]);
}

static struct vttm_bo *vttm_job_src(struct vttm_job *job, unsigned int i)
{
	return gem_to_vttm_bo(job->objs[2 * i + 1]);
}

/* dst comes at even places */
static bool vttm_job_obj_is_dst(unsigned int i)
{
	return !(i & 1);
}

static enum dma_data_direction vttm_job_obj_dir(unsigned int i)
{
	return vttm_job_obj_is_dst(i) ? DMA_BIDIRECTIONAL : DMA_FROM_DEVICE;
}

static const char *vttm_fence_get_driver_name(struct dma_fence *fence)
{
	return "vttm";
}

static const char *vttm_fence_get_timeline_name(struct dma_fence *fence)
{
	return "engine";
}

/* No release() or wait(), so signalled fences may outlive the module. */
static const struct dma_fence_ops vttm_fence_ops = {
	.get_driver_name = vttm_fence_get_driver_name,
	.get_timeline_name = vttm_fence_get_timeline_name,
};

/* The file is closed, or an earlier job has taken too long. */
static bool vttm_job_is_cancelled(const struct vttm_job *job)
{
	return READ_ONCE(job->vfile->closed) || atomic_read(&job->vfile->guilty);
}

static void vttm_engine_fill(const struct vttm_job *job, struct vttm_bo *dst,
			     u64 offset, u64 size, u32 value)
{
	while (size && !vttm_job_is_cancelled(job)) {
		u64 len = min_t(u64, size, PAGE_SIZE);
		void *vaddr = vttm_bo_map_local(dst, offset, &len);

		memset32(vaddr, value, len / sizeof(u32));
		vttm_bo_unmap_local(dst, vaddr);

		offset += len;
		size -= len;
		cond_resched();
	}
}

static void vttm_engine_copy(const struct vttm_job *job, struct vttm_bo *dst,
			     u64 dst_offset, struct vttm_bo *src, u64 src_offset,
			     u64 size)
{
	while (size && !vttm_job_is_cancelled(job)) {
		u64 len = min_t(u64, size, PAGE_SIZE);
		void *to = vttm_bo_map_local(dst, dst_offset, &len);
		void *from = vttm_bo_map_local(src, src_offset, &len);

		memcpy(to, from, len);
		vttm_bo_unmap_local(src, from);
		vttm_bo_unmap_local(dst, to);

		dst_offset += len;
		src_offset += len;
		size -= len;
		cond_resched();
	}
}

static u32 vttm_engine_crc32(const struct vttm_job *job, struct vttm_bo *src,
			     u64 offset, u64 size)
{
	u32 crc = ~0;

	while (size && !vttm_job_is_cancelled(job)) {
		u64 len = min_t(u64, size, PAGE_SIZE);
		void *vaddr = vttm_bo_map_local(src, offset, &len);

		crc = crc32_le(crc, vaddr, len);
		vttm_bo_unmap_local(src, vaddr);

		offset += len;
		size -= len;
		cond_resched();
	}

	return ~crc;
}

static void vttm_job_run_op(struct vttm_job *job, unsigned int i)
{
	const struct drm_vttm_op *op = &job->ops[i];
	struct vttm_bo *dst = vttm_job_dst(job, i);
	u32 crc;

	switch (op->opcode) {
	case DRM_VTTM_OP_FILL:
		vttm_engine_fill(job, dst, op->dst_offset, op->size, op->value);
		break;
	case DRM_VTTM_OP_COPY:
		vttm_engine_copy(job, dst, op->dst_offset, vttm_job_src(job, i),
				 op->src_offset, op->size);
		break;
	case DRM_VTTM_OP_CRC32:
		crc = vttm_engine_crc32(job, vttm_job_src(job, i),
					op->src_offset, op->size);
		vttm_engine_fill(job, dst, op->dst_offset, sizeof(crc), crc);
		break;
	}
}

static void vttm_job_run(struct work_struct *work)
{
	struct vttm_job *job = container_of(work, struct vttm_job, run_work);
	unsigned int i;
	bool cookie;

	cookie = dma_fence_begin_signalling();

	for (i = 0; i < job->nr_ops && !vttm_job_is_cancelled(job); i++)
		vttm_job_run_op(job, i);

	/* Wait for writes through write-combined mappings. */
	wmb();

	if (vttm_job_is_cancelled(job))
		dma_fence_set_error(job->fence, READ_ONCE(job->timed_out) ?
				    -ETIME : -ECANCELED);
	dma_fence_signal(job->fence);
	dma_fence_end_signalling(cookie);
}

/*
 * To be called when the fence has signalled: exporters may take locks for this
 * whose holders wait for the fence. So where an exporter has something to do here,
 * which is where the device is not coherent with the CPU, the fence is early.
 */
static void vttm_job_end_cpu_access(struct vttm_job *job)
{
	unsigned int i;

	for (i = 0; i < job->nr_begun; i++) {
		struct drm_gem_object *obj = job->objs[i];

		if (obj && drm_gem_is_imported(obj))
			dma_buf_end_cpu_access(gem_to_vttm_bo(obj)->dma_buf,
					       vttm_job_obj_dir(i));
	}
}

/* Give the slot back that vttm_file_get_slot() took. */
static void vttm_file_put_slot(struct vttm_file *vfile)
{
	atomic_dec(&vfile->jobs);
	wake_up(&vfile->wait);
}

/* A file has a bounded number of jobs, and with the time limit a bounded backlog. */
static int vttm_file_get_slot(struct vttm_file *vfile)
{
	return wait_event_interruptible(vfile->wait,
					atomic_add_unless(&vfile->jobs, 1, VTTM_MAX_JOBS));
}

static void vttm_job_free(struct vttm_job *job)
{
	struct vttm_file *vfile = job->vfile;
	struct vttm_engine *engine = &vfile->vdev->engine;
	unsigned int i;

	if (job->scheduled)
		drm_sched_job_cleanup(&job->base);
	/* There may have been no need to hand it over. */
	if (job->fence && dma_fence_was_initialized(job->fence))
		dma_fence_put(job->fence);
	else
		kfree(job->fence);

	vttm_job_end_cpu_access(job);
	for (i = 0; job->objs && i < 2 * job->nr_ops; i++)
		if (job->objs[i])
			drm_gem_object_put(job->objs[i]);

	kvfree(job->objs);
	kvfree(job->ops);
	kfree(job);

	vttm_file_put_slot(vfile);
	vttm_file_put(vfile);
	if (atomic_dec_and_test(&engine->jobs))
		wake_up(&engine->idle);
}

static void vttm_job_free_work(struct work_struct *work)
{
	vttm_job_free(container_of(work, struct vttm_job, free_work));
}

static struct dma_fence *vttm_sched_run_job(struct drm_sched_job *sched_job)
{
	struct vttm_job *job = to_vttm_job(sched_job);
	struct vttm_engine *engine = &job->vfile->vdev->engine;

	/* An earlier job of the file has taken too long. */
	if (sched_job->s_fence->finished.error)
		return NULL;

	job->started = jiffies;
	/* Pairs with vttm_sched_timedout_job(). */
	smp_wmb();
	dma_fence_init(job->fence, &vttm_fence_ops, NULL, engine->context, ++engine->seqno);
	dma_fence_get(job->fence);
	queue_work(engine->wq, &job->run_work);

	return job->fence;
}

static enum drm_gpu_sched_stat vttm_sched_timedout_job(struct drm_sched_job *sched_job)
{
	struct vttm_job *job = to_vttm_job(sched_job);

	/*
	 * The one that took too long may have ended just now. Then this is the next one,
	 * which may not even have been handed over.
	 */
	if (!dma_fence_was_initialized(job->fence))
		return DRM_GPU_SCHED_STAT_NO_HANG;
	/* Pairs with vttm_sched_run_job(). */
	smp_rmb();
	if (dma_fence_is_signaled(job->fence) ||
	    time_before(jiffies, job->started + sched_job->sched->timeout / 2))
		return DRM_GPU_SCHED_STAT_NO_HANG;

	WRITE_ONCE(job->timed_out, true);
	atomic_set(&job->vfile->guilty, 1);
	/* It stops after a page. There is nothing to reset then. */
	flush_work(&job->run_work);

	return DRM_GPU_SCHED_STAT_NO_HANG;
}

static void vttm_sched_free_job(struct drm_sched_job *sched_job)
{
	struct vttm_job *job = to_vttm_job(sched_job);

	queue_work(job->vfile->vdev->engine.free_wq, &job->free_work);
}

static const struct drm_sched_backend_ops vttm_sched_ops = {
	.run_job = vttm_sched_run_job,
	.timedout_job = vttm_sched_timedout_job,
	.free_job = vttm_sched_free_job,
};

static bool vttm_range_valid(const struct drm_gem_object *obj, u64 offset, u64 size)
{
	return IS_ALIGNED(offset, sizeof(u32)) && offset <= obj->size &&
	       size <= obj->size - offset;
}

static bool vttm_same_memory(const struct drm_gem_object *a,
			     const struct drm_gem_object *b)
{
	/* A dma-buf can be imported more than once. */
	return a == b || (drm_gem_is_imported(a) && drm_gem_is_imported(b) &&
			  a->import_attach->dmabuf == b->import_attach->dmabuf);
}

/* Check all that can be checked without the buffer objects. */
static int vttm_op_check(const struct drm_vttm_op *op)
{
	if (op->pad || !op->size || !IS_ALIGNED(op->size, sizeof(u32)))
		return -EINVAL;

	switch (op->opcode) {
	case DRM_VTTM_OP_FILL:
		return op->src || op->src_offset ? -EINVAL : 0;
	case DRM_VTTM_OP_COPY:
	case DRM_VTTM_OP_CRC32:
		return op->value ? -EINVAL : 0;
	default:
		return -EINVAL;
	}
}

/* Look up the buffer objects of an operation and check its ranges. */
static int vttm_op_lookup(struct drm_file *file, const struct drm_vttm_op *op,
			  struct drm_gem_object **objs)
{
	u64 dst_size = op->size;

	objs[0] = drm_gem_object_lookup(file, op->dst);
	if (!objs[0])
		return -ENOENT;

	if (op->opcode != DRM_VTTM_OP_FILL) {
		objs[1] = drm_gem_object_lookup(file, op->src);
		if (!objs[1])
			return -ENOENT;

		if (!vttm_range_valid(objs[1], op->src_offset, op->size))
			return -EINVAL;
	}

	if (op->opcode == DRM_VTTM_OP_CRC32)
		dst_size = sizeof(u32);

	if (!vttm_range_valid(objs[0], op->dst_offset, dst_size))
		return -EINVAL;

	if (op->opcode == DRM_VTTM_OP_COPY && vttm_same_memory(objs[0], objs[1]) &&
	    op->dst_offset < op->src_offset + op->size &&
	    op->src_offset < op->dst_offset + op->size)
		return -EINVAL;

	return 0;
}

/* On success, and on failure, the slot that the caller has got is the job's. */
static struct vttm_job *vttm_job_create(struct vttm_file *vfile, struct drm_file *file,
					const struct drm_vttm_submit *args)
{
	struct vttm_job *job;
	unsigned int i;
	int ret;

	job = kzalloc_obj(*job, GFP_KERNEL_ACCOUNT);
	if (!job) {
		vttm_file_put_slot(vfile);
		return ERR_PTR(-ENOMEM);
	}

	job->vfile = vttm_file_get(vfile);
	atomic_inc(&vfile->vdev->engine.jobs);
	INIT_WORK(&job->run_work, vttm_job_run);
	INIT_WORK(&job->free_work, vttm_job_free_work);

	job->ops = kvmalloc_objs(*job->ops, args->op_count, GFP_KERNEL_ACCOUNT);
	job->objs = kvzalloc_objs(*job->objs, 2 * args->op_count, GFP_KERNEL_ACCOUNT);
	if (!job->ops || !job->objs) {
		ret = -ENOMEM;
		goto err_free;
	}
	job->nr_ops = args->op_count;

	if (copy_from_user(job->ops, u64_to_user_ptr(args->ops),
			   job->nr_ops * sizeof(*job->ops))) {
		ret = -EFAULT;
		goto err_free;
	}

	for (i = 0; i < job->nr_ops; i++) {
		ret = vttm_op_check(&job->ops[i]);
		if (ret)
			goto err_free;
	}

	for (i = 0; i < job->nr_ops; i++) {
		ret = vttm_op_lookup(file, &job->ops[i], &job->objs[2 * i]);
		if (ret)
			goto err_free;
	}

	job->fence = kzalloc_obj(*job->fence, GFP_KERNEL_ACCOUNT);
	if (!job->fence) {
		ret = -ENOMEM;
		goto err_free;
	}

	ret = drm_sched_job_init(&job->base, &vfile->entity, 1, file, file->client_id);
	if (ret)
		goto err_free;
	job->scheduled = true;

	return job;

err_free:
	vttm_job_free(job);
	return ERR_PTR(ret);
}

/*
 * Have exporters prepare their dma-bufs for access by the CPU, which the engine
 * runs on. This is done before any lock is taken, as it waits for all users of
 * a dma-buf, and undone after the job.
 */
static int vttm_job_begin_cpu_access(struct vttm_job *job)
{
	unsigned int i;
	int ret;

	for (i = 0; i < 2 * job->nr_ops; i++) {
		struct drm_gem_object *obj = job->objs[i];

		if (obj && drm_gem_is_imported(obj)) {
			ret = dma_buf_begin_cpu_access(gem_to_vttm_bo(obj)->dma_buf,
						       vttm_job_obj_dir(i));
			if (ret)
				return ret;
		}
		job->nr_begun = i + 1;
	}

	return 0;
}

/* Called before any lock is taken. A wait ends when the shrinker gives up. */
static int vttm_job_give_way(struct vttm_job *job)
{
	unsigned int i;
	int ret;

	for (i = 0; i < 2 * job->nr_ops; i++) {
		if (!job->objs[i])
			continue;

		ret = vttm_shrinker_give_way(job->vfile->vdev, gem_to_vttm_bo(job->objs[i]));
		if (ret)
			return ret;
	}

	return 0;
}

static int vttm_job_lock(struct vttm_job *job, struct drm_exec *exec)
{
	unsigned int i;
	int ret = 0;

	drm_exec_until_all_locked(exec) {
		for (i = 0; i < 2 * job->nr_ops; i++) {
			if (!job->objs[i])
				continue;

			ret = drm_exec_lock_obj(exec, job->objs[i]);
			drm_exec_retry_on_contention(exec);
			if (ret)
				return ret;
		}
	}

	return 0;
}

/* With all objects locked, do everything that may fail. */
static int vttm_job_prepare(struct vttm_job *job)
{
	struct ttm_operation_ctx ctx = {
		.interruptible = true,
		.gfp_retry_mayfail = true,
	};
	unsigned int i;
	int ret;

	for (i = 0; i < 2 * job->nr_ops; i++) {
		struct drm_gem_object *obj = job->objs[i];

		if (!obj)
			continue;

		ret = vttm_bo_prepare(gem_to_vttm_bo(obj), &ctx);
		if (ret)
			return ret;

		ret = drm_sched_job_add_implicit_dependencies(&job->base, obj,
							      vttm_job_obj_is_dst(i));
		if (ret)
			return ret;

		/* Two GEM objects may share this, one a dst and one a src. */
		ret = dma_resv_reserve_fences(obj->resv, 2);
		if (ret)
			return ret;
	}

	return 0;
}

/* Just used, so last for the shrinker. Local buffer objects move as one. */
static void vttm_job_move_to_lru_tail(struct vttm_job *job)
{
	bool local = false;
	unsigned int i;

	for (i = 0; i < 2 * job->nr_ops; i++) {
		struct drm_gem_object *obj = job->objs[i];

		if (!obj)
			continue;
		if (gem_to_vttm_bo(obj)->vfile)
			local = true;
		else
			ttm_bo_move_to_lru_tail_unlocked(&gem_to_vttm_bo(obj)->tbo);
	}

	if (local) {
		struct ttm_device *bdev = &job->vfile->vdev->ttm;

		spin_lock(&bdev->lru_lock);
		ttm_lru_bulk_move_tail(&job->vfile->bulk);
		spin_unlock(&bdev->lru_lock);
	}
}

/*
 * Publish the job's fence and queue the job: the order of both has to be the
 * same, and from the former to the end of the job nothing may wait for memory.
 * After this the job may be gone.
 */
static struct dma_fence *vttm_job_push(struct vttm_job *job)
{
	struct vttm_file *vfile = job->vfile;
	struct dma_fence *fence;
	unsigned int i;
	bool cookie;

	vttm_job_move_to_lru_tail(job);

	mutex_lock(&vfile->lock);
	cookie = dma_fence_begin_signalling();

	drm_sched_job_arm(&job->base);
	fence = dma_fence_get(&job->base.s_fence->finished);

	for (i = 0; i < 2 * job->nr_ops; i++)
		if (job->objs[i])
			dma_resv_add_fence(job->objs[i]->resv, fence,
					   vttm_job_obj_is_dst(i) ?
					   DMA_RESV_USAGE_WRITE :
					   DMA_RESV_USAGE_READ);

	drm_sched_entity_push_job(&job->base);

	dma_fence_end_signalling(cookie);
	mutex_unlock(&vfile->lock);

	return fence;
}

/**
 * vttm_submit_ioctl() - DRM_IOCTL_VTTM_SUBMIT
 * @drm: DRM device.
 * @data: struct drm_vttm_submit.
 * @file: DRM file.
 *
 * Return: 0 or a negative errno.
 */
int vttm_submit_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct vttm_file *vfile = file->driver_priv;
	struct drm_vttm_submit *args = data;
	struct dma_fence_chain *chain = NULL;
	struct drm_syncobj *syncobj = NULL;
	struct dma_fence *fence;
	struct drm_exec exec;
	struct vttm_job *job;
	int ret;

	if (args->flags || args->pad || !args->op_count ||
	    args->op_count > DRM_VTTM_SUBMIT_MAX_OPS ||
	    (args->point && !args->syncobj))
		return -EINVAL;

	ret = vttm_file_get_slot(vfile);
	if (ret)
		return ret;

	job = vttm_job_create(vfile, file, args);
	if (IS_ERR(job))
		return PTR_ERR(job);

	if (args->syncobj) {
		syncobj = drm_syncobj_find(file, args->syncobj);
		if (!syncobj) {
			ret = -ENOENT;
			goto err_free;
		}
	}
	if (args->point) {
		chain = dma_fence_chain_alloc();
		if (!chain) {
			ret = -ENOMEM;
			goto err_put;
		}
	}

	ret = vttm_job_give_way(job);
	if (ret)
		goto err_chain;

	ret = vttm_job_begin_cpu_access(job);
	if (ret)
		goto err_chain;

	drm_exec_init(&exec, DRM_EXEC_INTERRUPTIBLE_WAIT | DRM_EXEC_IGNORE_DUPLICATES, 0);

	ret = vttm_job_lock(job, &exec);
	if (!ret)
		ret = vttm_job_prepare(job);
	if (!ret && atomic_read(&vfile->guilty))
		ret = -ECANCELED;
	if (ret)
		goto err_unlock;

	fence = vttm_job_push(job);
	drm_exec_fini(&exec);

	if (chain)
		drm_syncobj_add_point(syncobj, chain, fence, args->point);
	else if (syncobj)
		drm_syncobj_replace_fence(syncobj, fence);
	if (syncobj)
		drm_syncobj_put(syncobj);
	dma_fence_put(fence);

	return 0;

err_unlock:
	drm_exec_fini(&exec);
err_chain:
	dma_fence_chain_free(chain);
err_put:
	if (syncobj)
		drm_syncobj_put(syncobj);
err_free:
	vttm_job_free(job);
	return ret;
}

/**
 * vttm_wait_ioctl() - DRM_IOCTL_VTTM_WAIT
 * @drm: DRM device.
 * @data: struct drm_vttm_wait.
 * @file: DRM file.
 *
 * Return: 0 or a negative errno.
 */
int vttm_wait_ioctl(struct drm_device *drm, void *data, struct drm_file *file)
{
	struct drm_vttm_wait *args = data;
	struct drm_gem_object *obj;
	long ret;

	if (args->pad)
		return -EINVAL;

	obj = drm_gem_object_lookup(file, args->handle);
	if (!obj)
		return -ENOENT;

	/* The time is absolute: a call that a signal interrupts can be repeated as it is. */
	ret = dma_resv_wait_timeout(obj->resv, DMA_RESV_USAGE_READ, true,
				    drm_timeout_abs_to_jiffies(args->timeout_ns));
	drm_gem_object_put(obj);
	if (ret < 0)
		return ret;

	return ret ? 0 : -ETIME;
}

/**
 * vttm_engine_init() - set up the engine of a device
 * @vdev: Device.
 * @timeout_ms: How long a job may run, in milliseconds.
 *
 * Return: 0 or -ENOMEM.
 */
int vttm_engine_init(struct vttm_device *vdev, unsigned int timeout_ms)
{
	struct vttm_engine *engine = &vdev->engine;
	const struct drm_sched_init_args args = {
		.ops = &vttm_sched_ops,
		.num_rqs = DRM_SCHED_PRIORITY_COUNT,
		.credit_limit = 1,
		.timeout = msecs_to_jiffies(timeout_ms),
		.name = "vttm",
		.dev = vdev->drm.dev,
	};
	int ret = -ENOMEM;

	engine->context = dma_fence_context_alloc(1);
	init_waitqueue_head(&engine->idle);

	/* Both get memory reclaim further: fences to wait for, pages to free. */
	engine->wq = alloc_ordered_workqueue("vttm-engine", WQ_MEM_RECLAIM);
	if (!engine->wq)
		return ret;

	engine->free_wq = alloc_workqueue("vttm-free", WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	if (!engine->free_wq)
		goto err_wq;

	ret = drm_sched_init(&engine->sched, &args);
	if (ret)
		goto err_free_wq;

	return 0;

err_free_wq:
	destroy_workqueue(engine->free_wq);
err_wq:
	destroy_workqueue(engine->wq);
	return ret;
}

/**
 * vttm_engine_fini() - finish all jobs and tear down the engine
 * @vdev: Device.
 */
void vttm_engine_fini(struct vttm_device *vdev)
{
	struct vttm_engine *engine = &vdev->engine;

	/*
	 * All files are closed, so no job will run for long, but the scheduler
	 * drops those that were queued in its own time.
	 */
	wait_event(engine->idle, !atomic_read(&engine->jobs));
	destroy_workqueue(engine->free_wq);

	/*
	 * All fences have signalled, but a reader may be using the name of one:
	 * of the scheduler, which is about to be freed, or of this module.
	 */
	synchronize_rcu();
	drm_sched_fini(&engine->sched);
	destroy_workqueue(engine->wq);
}
