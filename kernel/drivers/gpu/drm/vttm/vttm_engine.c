// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The virtual engine: an ordered workqueue that runs jobs of fill, copy and
 * checksum operations and signals a fence after each.
 */

#include <linux/crc32.h>
#include <linux/dma-buf.h>
#include <linux/dma-fence.h>
#include <linux/dma-resv.h>
#include <linux/highmem.h>
#include <linux/jiffies.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include <drm/drm_exec.h>
#include <drm/drm_file.h>
#include <drm/drm_gem.h>
#include <drm/drm_syncobj.h>
#include <uapi/drm/vttm_drm.h>

#include "vttm_drv.h"

/**
 * struct vttm_job - a submission
 * @run_work: Runs the job.
 * @free_work: Frees the job after it has run.
 * @engine: Engine.
 * @fence: Signals when the job has run.
 * @ops: Operations.
 * @nr_ops: Number of @ops.
 * @objs: GEM objects of the operations, a referenced dst and src for each. The
 * latter may be NULL.
 * @deps: Fences that the job has to wait for.
 * @nr_deps: Number of @deps.
 */
struct vttm_job {
	struct work_struct run_work;
	struct work_struct free_work;
	struct vttm_engine *engine;
	struct dma_fence *fence;
	struct drm_vttm_op *ops;
	unsigned int nr_ops;
	struct drm_gem_object **objs;
	struct dma_fence **deps;
	unsigned int nr_deps;
};

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

/*
 * Map the page at @offset and cut @len down to what is contiguous there.
 * Mappings nest and are not kept, as the pages of a large buffer object would
 * not fit into the kernel's address space everywhere.
 */
static void *vttm_engine_map(struct vttm_bo *bo, u64 offset, u64 *len)
{
	struct ttm_tt *tt = bo->tbo.ttm;
	struct page *page;
	pgprot_t prot;

	if (drm_gem_is_imported(&bo->tbo.base))
		return bo->map.vaddr + offset;

	page = tt->pages[offset >> PAGE_SHIFT];
	prot = ttm_io_prot(&bo->tbo, bo->tbo.resource, PAGE_KERNEL);
	*len = min(*len, PAGE_SIZE - offset_in_page(offset));

	return kmap_local_page_prot(page, prot) + offset_in_page(offset);
}

static void vttm_engine_unmap(struct vttm_bo *bo, void *vaddr)
{
	if (!drm_gem_is_imported(&bo->tbo.base))
		kunmap_local(vaddr);
}

static void vttm_engine_fill(struct vttm_bo *dst, u64 offset, u64 size, u32 value)
{
	while (size) {
		u64 len = min_t(u64, size, PAGE_SIZE);
		void *vaddr = vttm_engine_map(dst, offset, &len);

		memset32(vaddr, value, len / sizeof(u32));
		vttm_engine_unmap(dst, vaddr);

		offset += len;
		size -= len;
		cond_resched();
	}
}

static void vttm_engine_copy(struct vttm_bo *dst, u64 dst_offset,
			     struct vttm_bo *src, u64 src_offset, u64 size)
{
	while (size) {
		u64 len = min_t(u64, size, PAGE_SIZE);
		void *to = vttm_engine_map(dst, dst_offset, &len);
		void *from = vttm_engine_map(src, src_offset, &len);

		memcpy(to, from, len);
		vttm_engine_unmap(src, from);
		vttm_engine_unmap(dst, to);

		dst_offset += len;
		src_offset += len;
		size -= len;
		cond_resched();
	}
}

static u32 vttm_engine_crc32(struct vttm_bo *src, u64 offset, u64 size)
{
	u32 crc = ~0;

	while (size) {
		u64 len = min_t(u64, size, PAGE_SIZE);
		void *vaddr = vttm_engine_map(src, offset, &len);

		crc = crc32_le(crc, vaddr, len);
		vttm_engine_unmap(src, vaddr);

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
		vttm_engine_fill(dst, op->dst_offset, op->size, op->value);
		break;
	case DRM_VTTM_OP_COPY:
		vttm_engine_copy(dst, op->dst_offset, vttm_job_src(job, i),
				 op->src_offset, op->size);
		break;
	case DRM_VTTM_OP_CRC32:
		crc = vttm_engine_crc32(vttm_job_src(job, i), op->src_offset,
					op->size);
		vttm_engine_fill(dst, op->dst_offset, sizeof(crc), crc);
		break;
	}
}

static void vttm_job_run(struct work_struct *work)
{
	struct vttm_job *job = container_of(work, struct vttm_job, run_work);
	unsigned int i;
	bool cookie;

	/*
	 * All of these were there before the job's fence was, so that they
	 * cannot depend on it. Failed or not, the memory is free to be used.
	 */
	for (i = 0; i < job->nr_deps; i++)
		dma_fence_wait(job->deps[i], false);

	cookie = dma_fence_begin_signalling();

	for (i = 0; i < job->nr_ops; i++)
		vttm_job_run_op(job, i);

	/* What was written through write-combined mappings must be seen. */
	wmb();

	dma_fence_signal(job->fence);
	dma_fence_end_signalling(cookie);

	queue_work(job->engine->free_wq, &job->free_work);
}

static void vttm_job_free(struct vttm_job *job)
{
	unsigned int i;

	for (i = 0; i < job->nr_deps; i++)
		dma_fence_put(job->deps[i]);
	for (i = 0; job->objs && i < 2 * job->nr_ops; i++)
		if (job->objs[i])
			drm_gem_object_put(job->objs[i]);

	kvfree(job->deps);
	kvfree(job->objs);
	kvfree(job->ops);
	kfree(job);
}

static void vttm_job_free_work(struct work_struct *work)
{
	struct vttm_job *job = container_of(work, struct vttm_job, free_work);

	dma_fence_put(job->fence);
	vttm_job_free(job);
}

static bool vttm_range_valid(const struct drm_gem_object *obj, u64 offset, u64 size)
{
	return IS_ALIGNED(offset, sizeof(u32)) && offset <= obj->size &&
	       size <= obj->size - offset;
}

static bool vttm_same_memory(const struct drm_gem_object *a,
			     const struct drm_gem_object *b)
{
	/* A dma-buf can be imported more than once. */
	return a == b || a->resv == b->resv;
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

static struct vttm_job *vttm_job_create(struct vttm_device *vdev, struct drm_file *file,
					const struct drm_vttm_submit *args)
{
	struct vttm_job *job;
	unsigned int i;
	int ret;

	job = kzalloc_obj(*job);
	if (!job)
		return ERR_PTR(-ENOMEM);

	job->engine = &vdev->engine;
	INIT_WORK(&job->run_work, vttm_job_run);
	INIT_WORK(&job->free_work, vttm_job_free_work);

	job->ops = vmemdup_array_user(u64_to_user_ptr(args->ops), args->op_count,
				      sizeof(*job->ops));
	if (IS_ERR(job->ops)) {
		ret = PTR_ERR(job->ops);
		job->ops = NULL;
		goto err_free;
	}

	for (i = 0; i < args->op_count; i++) {
		ret = vttm_op_check(&job->ops[i]);
		if (ret)
			goto err_free;
	}

	job->nr_ops = args->op_count;
	job->objs = kvzalloc_objs(*job->objs, 2 * job->nr_ops);
	job->deps = kvzalloc_objs(*job->deps, 2 * job->nr_ops);
	if (!job->objs || !job->deps) {
		ret = -ENOMEM;
		goto err_free;
	}

	for (i = 0; i < job->nr_ops; i++) {
		ret = vttm_op_lookup(file, &job->ops[i], &job->objs[2 * i]);
		if (ret)
			goto err_free;
	}

	return job;

err_free:
	vttm_job_free(job);
	return ERR_PTR(ret);
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

/* Get hold of the fences that the operations have to come after. */
static int vttm_job_add_deps(struct vttm_job *job, struct drm_gem_object *obj, bool write)
{
	struct dma_fence *fence;
	int ret;

	ret = dma_resv_get_singleton(obj->resv, dma_resv_usage_rw(write), &fence);
	if (ret)
		return ret;

	/* The engine's own fences come in order. */
	if (!fence || fence->context == job->engine->context)
		dma_fence_put(fence);
	else
		job->deps[job->nr_deps++] = fence;

	return 0;
}

/* With all objects locked, do all that may fail. */
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

		ret = vttm_job_add_deps(job, obj, vttm_job_obj_is_dst(i));
		if (ret)
			return ret;

		/* Two GEM objects may share this, one a dst and one a src. */
		ret = dma_resv_reserve_fences(obj->resv, 2);
		if (ret)
			return ret;
	}

	job->fence = kzalloc_obj(*job->fence);

	return job->fence ? 0 : -ENOMEM;
}

/*
 * Publish the job's fence and queue the job: the order of both has to be the
 * same, and from the former to the end of the job nothing may wait for memory.
 * After this the job may be gone.
 */
static struct dma_fence *vttm_job_push(struct vttm_job *job)
{
	struct vttm_engine *engine = job->engine;
	struct dma_fence *fence = job->fence;
	unsigned int i;
	bool cookie;

	mutex_lock(&engine->lock);
	cookie = dma_fence_begin_signalling();

	dma_fence_init(fence, &vttm_fence_ops, NULL, engine->context, ++engine->seqno);
	dma_fence_get(fence);

	for (i = 0; i < 2 * job->nr_ops; i++) {
		struct drm_gem_object *obj = job->objs[i];

		if (!obj)
			continue;

		dma_resv_add_fence(obj->resv, fence, vttm_job_obj_is_dst(i) ?
				   DMA_RESV_USAGE_WRITE : DMA_RESV_USAGE_READ);
		ttm_bo_move_to_lru_tail_unlocked(&gem_to_vttm_bo(obj)->tbo);
	}

	queue_work(engine->wq, &job->run_work);

	dma_fence_end_signalling(cookie);
	mutex_unlock(&engine->lock);

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
	struct drm_vttm_submit *args = data;
	struct drm_syncobj *syncobj = NULL;
	struct dma_fence *fence;
	struct drm_exec exec;
	struct vttm_job *job;
	int ret;

	if (args->flags || args->pad || !args->op_count ||
	    args->op_count > DRM_VTTM_SUBMIT_MAX_OPS)
		return -EINVAL;

	job = vttm_job_create(to_vttm_device(drm), file, args);
	if (IS_ERR(job))
		return PTR_ERR(job);

	if (args->syncobj) {
		syncobj = drm_syncobj_find(file, args->syncobj);
		if (!syncobj) {
			ret = -ENOENT;
			goto err_free;
		}
	}

	drm_exec_init(&exec, DRM_EXEC_INTERRUPTIBLE_WAIT | DRM_EXEC_IGNORE_DUPLICATES, 0);

	ret = vttm_job_lock(job, &exec);
	if (!ret)
		ret = vttm_job_prepare(job);
	if (ret)
		goto err_unlock;

	fence = vttm_job_push(job);
	drm_exec_fini(&exec);

	if (syncobj) {
		drm_syncobj_replace_fence(syncobj, fence);
		drm_syncobj_put(syncobj);
	}
	dma_fence_put(fence);

	return 0;

err_unlock:
	drm_exec_fini(&exec);
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
	unsigned long timeout = MAX_SCHEDULE_TIMEOUT;
	struct drm_gem_object *obj;
	long ret;

	if (args->pad)
		return -EINVAL;

	obj = drm_gem_object_lookup(file, args->handle);
	if (!obj)
		return -ENOENT;

	/* Not less than asked for, and not forever unless asked for. */
	if (!args->timeout_ns)
		timeout = 0;
	else if (args->timeout_ns > 0)
		timeout = min(nsecs_to_jiffies(args->timeout_ns) + 1,
			      MAX_SCHEDULE_TIMEOUT - 1UL);

	ret = dma_resv_wait_timeout(obj->resv, DMA_RESV_USAGE_READ, true, timeout);
	drm_gem_object_put(obj);
	if (ret < 0)
		return ret;

	return ret ? 0 : -ETIME;
}

/**
 * vttm_engine_init() - set up the engine of a device
 * @vdev: Device.
 *
 * Return: 0 or -ENOMEM.
 */
int vttm_engine_init(struct vttm_device *vdev)
{
	struct vttm_engine *engine = &vdev->engine;

	mutex_init(&engine->lock);
	engine->context = dma_fence_context_alloc(1);

	/* Both get memory reclaim further: fences to wait for, pages to free. */
	engine->wq = alloc_ordered_workqueue("vttm-engine", WQ_MEM_RECLAIM);
	if (!engine->wq)
		return -ENOMEM;

	engine->free_wq = alloc_workqueue("vttm-free", WQ_MEM_RECLAIM | WQ_UNBOUND, 0);
	if (!engine->free_wq) {
		destroy_workqueue(engine->wq);
		return -ENOMEM;
	}

	return 0;
}

/**
 * vttm_engine_fini() - finish all jobs and tear down the engine
 * @vdev: Device.
 */
void vttm_engine_fini(struct vttm_device *vdev)
{
	struct vttm_engine *engine = &vdev->engine;

	/* The one queues work to the other. */
	destroy_workqueue(engine->wq);
	destroy_workqueue(engine->free_wq);
	mutex_destroy(&engine->lock);
}
