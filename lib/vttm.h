/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* The vttm device: its ioctls and its files in debugfs. */
#ifndef VTTM_H
#define VTTM_H

#include <stdbool.h>
#include <stdint.h>

#include <drm.h>
#include <vttm_drm.h>

/* nth vttm device; *minor is what debugfs calls it. fd or -errno */
int vttm_open(unsigned int nth, unsigned int *minor);

int vttm_ioctl(int fd, unsigned long request, void *arg);
/* What a buffer of that caching is created with here: cached, where no other is coherent */
uint32_t vttm_caching(uint32_t caching);
int vttm_create(int fd, uint64_t *size, uint32_t caching, uint32_t *handle);
/* with DRM_VTTM_CREATE_*, and the caching as vttm_caching() says */
int vttm_create_flags(int fd, uint64_t *size, uint32_t caching, uint32_t flags,
		      uint32_t *handle);
int vttm_close(int fd, uint32_t handle);
void *vttm_map(int fd, uint32_t handle, uint64_t size);
/* What the device says of a buffer, and where its pages are, from debugfs */
struct vttm_state {
	uint32_t caching;
	uint32_t flags;		/* DRM_VTTM_INFO_* */
	uint64_t size;
	uint64_t resident_pages;
	uint64_t backed_up_pages;
	uint64_t inserted_pages;	/* of those backed up, the ones that were not copied */
};

int vttm_info(int fd, uint32_t handle, struct vttm_state *state);
int vttm_madvise(int fd, uint32_t handle, uint32_t madv, uint32_t *retained);
int vttm_submit(int fd, const struct drm_vttm_op *ops, unsigned int nr);
/* for so long from now; 0 polls, negative waits for ever */
int vttm_wait(int fd, uint32_t handle, int64_t timeout_ns);
/* CRC-32 of the whole buffer object as the engine reads it */
int vttm_crc(int fd, uint32_t handle, uint64_t size, uint32_t *crc);
/* of each device, as booted with vttm.vram=; 0 if there is none */
uint64_t vttm_vram_size(void);
/* booted with vttm.shrinker=0: it is TTM that swaps out, by itself or for tt_shrink() */
bool vttm_has_shrinker(void);
/*
 * One read of ttm/tt_shrink in debugfs: pages swapped out, of one buffer of any
 * device; 0 if there is none, or a negative errno
 */
int64_t tt_shrink(void);
/*
 * One write to the debugfs shrink file, or as many of tt_shrink() as it takes; pages
 * done in *done
 */
int vttm_shrink(unsigned int minor, uint64_t pages, bool writeback,
		uint64_t *done);
/* resident base pages by the order of the chunk that they lie in; how many orders */
unsigned int vttm_chunks(unsigned int minor, uint64_t *pages, unsigned int orders);
/* as vttm_shrink(), freeing what was given up with madvise instead */
int vttm_purge(unsigned int minor, uint64_t pages, uint64_t *done);
/* have a worker shrink what may be busy, as it does for kswapd; returns at once */
int vttm_shrink_busy(unsigned int minor, uint64_t pages);
/* give the pages that TTM's pools keep back to the system */
void pools_drain(void);

#endif
