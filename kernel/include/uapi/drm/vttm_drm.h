/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
#ifndef _UAPI_VTTM_DRM_H_
#define _UAPI_VTTM_DRM_H_

#include "drm.h"

#if defined(__cplusplus)
extern "C" {
#endif

/**
 * DOC: vttm user space interface
 *
 * vttm is a TTM driver without hardware: buffer objects live in system memory
 * that TTM's page pools provide, with the CPU caching that user space asks
 * for, or in VRAM if there is some, and a virtual engine works on them. Buffers
 * that are idle can be backed up by the driver's shrinker at any time and come
 * back when they are next used, by a CPU fault or by the engine.
 *
 * Every reserved field ("pad") must be zero, and unknown flags are refused. An
 * ioctl that fails has no effect that can be seen through this interface;
 * a submission that fails runs none of its operations, but may have made
 * buffer objects resident or moved them to VRAM, and a buffer object that
 * cannot be created or exported may have made others or itself leave VRAM.
 */

#define DRM_VTTM_CREATE		0x00
#define DRM_VTTM_MMAP_OFFSET	0x01
#define DRM_VTTM_MADVISE	0x02
#define DRM_VTTM_SUBMIT		0x03
#define DRM_VTTM_WAIT		0x04
#define DRM_VTTM_INFO		0x05

/**
 * enum drm_vttm_caching - CPU caching of a buffer object
 */
enum drm_vttm_caching {
	/** @DRM_VTTM_CACHED: write-back */
	DRM_VTTM_CACHED = 0,
	/** @DRM_VTTM_WC: write-combined */
	DRM_VTTM_WC = 1,
	/** @DRM_VTTM_UC: uncached */
	DRM_VTTM_UC = 2,
};

/**
 * DRM_VTTM_CREATE_LOCAL - only this file will use the buffer object
 *
 * All local buffer objects of a file share one reservation object and move
 * together when the kernel records their last use: submitting is cheaper.
 * They count as busy together, too, and cannot be exported or opened by name.
 */
#define DRM_VTTM_CREATE_LOCAL	(1 << 0)

/**
 * DRM_VTTM_CREATE_VRAM - the buffer object is to be in VRAM
 *
 * Others that are idle are evicted from VRAM to make room for a new one. It may
 * be evicted itself, is in system memory then, and moves back when it is
 * submitted, is idle and there is room. In VRAM it is write-combined, whatever
 * its caching. Once it has been exported, it stays in system memory.
 */
#define DRM_VTTM_CREATE_VRAM	(1 << 1)

/**
 * struct drm_vttm_create - create a buffer object
 *
 * Errors: EINVAL for a zero size, a size over half of the address space,
 * an unknown caching or flag; EOPNOTSUPP for a caching that is not coherent on
 * this architecture, and for VRAM of a device without; ENOMEM; EINTR / ERESTARTSYS.
 */
struct drm_vttm_create {
	/** @size: in: bytes wanted; out: bytes given, a multiple of the page size */
	__u64 size;
	/** @caching: in: one of &enum drm_vttm_caching */
	__u32 caching;
	/** @flags: in: DRM_VTTM_CREATE_* */
	__u32 flags;
	/** @handle: out: GEM handle */
	__u32 handle;
	/** @pad: must be zero */
	__u32 pad;
};

/**
 * struct drm_vttm_mmap_offset - ask for the offset to mmap() a buffer object at
 *
 * Errors: ENOENT for a handle that names nothing; EINVAL for non-zero padding.
 */
struct drm_vttm_mmap_offset {
	/** @handle: in: GEM handle */
	__u32 handle;
	/** @pad: must be zero */
	__u32 pad;
	/** @offset: out: fake offset, to be used with mmap() on the DRM file */
	__u64 offset;
};

/**
 * enum drm_vttm_madv - whether the contents of a buffer object are needed
 */
enum drm_vttm_madv {
	/** @DRM_VTTM_MADV_WILLNEED: the contents must be kept */
	DRM_VTTM_MADV_WILLNEED = 0,
	/**
	 * @DRM_VTTM_MADV_DONTNEED: the contents may be purged under pressure,
	 * and at once if they are backed up
	 */
	DRM_VTTM_MADV_DONTNEED = 1,
};

/**
 * struct drm_vttm_madvise - say whether the contents are needed
 *
 * As long as the contents are not needed, mmap(), the export as a dma-buf,
 * opening it by name and submissions fail with EBUSY, and CPU access may raise
 * SIGBUS. A buffer object that was purged stays purged: CPU access raises SIGBUS,
 * mmap(), export and opening by name fail with EINVAL, and a submission naming it
 * with EFAULT.
 *
 * Errors: ENOENT for a handle that names nothing; EINVAL for an unknown
 * advice, non-zero padding, or an imported buffer object; EBUSY for
 * DRM_VTTM_MADV_DONTNEED if it was ever exported or opened by name; EINTR / ERESTARTSYS.
 */
struct drm_vttm_madvise {
	/** @handle: in: GEM handle */
	__u32 handle;
	/** @madv: in: one of &enum drm_vttm_madv */
	__u32 madv;
	/** @retained: out: 1 if the contents are still there, 0 if purged */
	__u32 retained;
	/** @pad: must be zero */
	__u32 pad;
};

/**
 * enum drm_vttm_opcode - what the virtual engine does
 */
enum drm_vttm_opcode {
	/** @DRM_VTTM_OP_FILL: store the low 32 bits of @value over the dst range */
	DRM_VTTM_OP_FILL = 0,
	/** @DRM_VTTM_OP_COPY: copy the src range to the dst range */
	DRM_VTTM_OP_COPY = 1,
	/**
	 * @DRM_VTTM_OP_CRC32: store the CRC-32 (IEEE 802.3, as zlib computes
	 * it) of the src range as a 32-bit word at the dst offset
	 */
	DRM_VTTM_OP_CRC32 = 2,
};

/**
 * struct drm_vttm_op - one operation of a submission
 */
struct drm_vttm_op {
	/** @opcode: one of &enum drm_vttm_opcode */
	__u32 opcode;
	/** @dst: GEM handle written to */
	__u32 dst;
	/** @src: GEM handle read from; must be zero for FILL */
	__u32 src;
	/** @pad: must be zero */
	__u32 pad;
	/** @dst_offset: bytes, a multiple of 4 */
	__u64 dst_offset;
	/** @src_offset: bytes, a multiple of 4; must be zero for FILL */
	__u64 src_offset;
	/** @size: bytes, a multiple of 4, not zero */
	__u64 size;
	/** @value: the word to fill with; must be zero for other opcodes */
	__u64 value;
};

/** DRM_VTTM_SUBMIT_MAX_OPS - most operations in one submission */
#define DRM_VTTM_SUBMIT_MAX_OPS	1024

/**
 * struct drm_vttm_submit - queue operations to the virtual engine
 *
 * All buffer objects that the operations name are made resident, then the
 * operations run in order, asynchronously. Completion is seen by
 * DRM_VTTM_WAIT on any of the buffer objects, by a syncobj, or by the implicit
 * fences of an exported dma-buf. COPY with overlapping ranges of one buffer
 * object is refused.
 *
 * The submissions of one file run in order. If there are too many, the next one
 * waits until one of them has run, and if it names an imported buffer object, until
 * all that others do with that one is done. Under memory pressure, it may also wait
 * until the kernel has got the pages of what it names, or has given up to.
 *
 * A submission that runs for too long is aborted; it and all others of the file
 * complete with an error, and the file can submit no more. All are aborted when the
 * file is closed.
 *
 * Errors: ENOENT for a handle or syncobj that names nothing; EINVAL for an
 * operation whose fields are out of range; EFAULT for memory that cannot be
 * read and for a purged buffer object; EBUSY for one that is not needed;
 * EOPNOTSUPP for an imported buffer object that the CPU cannot map as memory;
 * ECANCELED if a submission of the file has run for too long; EINTR /
 * ERESTARTSYS; ENOMEM.
 */
struct drm_vttm_submit {
	/** @ops: in: user pointer to @op_count &struct drm_vttm_op */
	__u64 ops;
	/** @op_count: in: 1 .. DRM_VTTM_SUBMIT_MAX_OPS */
	__u32 op_count;
	/** @flags: in: must be zero */
	__u32 flags;
	/** @syncobj: in: syncobj to attach the fence to, or 0 */
	__u32 syncobj;
	/** @pad: must be zero */
	__u32 pad;
	/**
	 * @point: in: point of the timeline that @syncobj is, or 0 to replace
	 * what is in it; must be zero without @syncobj
	 */
	__u64 point;
};

/**
 * struct drm_vttm_wait - wait until the engine is done with a buffer object
 *
 * Errors: ENOENT for a handle that names nothing; ETIME when the time is up;
 * EINVAL for non-zero padding; EINTR / ERESTARTSYS.
 */
struct drm_vttm_wait {
	/** @handle: in: GEM handle */
	__u32 handle;
	/** @pad: must be zero */
	__u32 pad;
	/**
	 * @timeout_ns: in: until when to wait, by CLOCK_MONOTONIC in
	 * nanoseconds; 0 and what has passed poll
	 */
	__s64 timeout_ns;
};

/** DRM_VTTM_INFO_PURGED - the contents were purged */
#define DRM_VTTM_INFO_PURGED	(1 << 0)
/** DRM_VTTM_INFO_DONTNEED - the contents may be purged */
#define DRM_VTTM_INFO_DONTNEED	(1 << 1)
/** DRM_VTTM_INFO_IMPORTED - the pages belong to another driver's dma-buf */
#define DRM_VTTM_INFO_IMPORTED	(1 << 2)

/** DRM_VTTM_INFO_LOCAL - only this file will use the buffer object */
#define DRM_VTTM_INFO_LOCAL	(1 << 3)
/** DRM_VTTM_INFO_VRAM - it is in VRAM at the moment */
#define DRM_VTTM_INFO_VRAM	(1 << 4)

/**
 * struct drm_vttm_info - what a buffer object is
 *
 * Errors: ENOENT for a handle that names nothing; EINVAL for non-zero padding;
 * EINTR / ERESTARTSYS.
 */
struct drm_vttm_info {
	/** @handle: in: GEM handle */
	__u32 handle;
	/** @caching: out: one of &enum drm_vttm_caching */
	__u32 caching;
	/** @flags: out: DRM_VTTM_INFO_* */
	__u32 flags;
	/** @pad: must be zero */
	__u32 pad;
	/** @size: out: bytes */
	__u64 size;
};

#define DRM_IOCTL_VTTM_CREATE		DRM_IOWR(DRM_COMMAND_BASE + DRM_VTTM_CREATE, \
						 struct drm_vttm_create)
#define DRM_IOCTL_VTTM_MMAP_OFFSET	DRM_IOWR(DRM_COMMAND_BASE + DRM_VTTM_MMAP_OFFSET, \
						 struct drm_vttm_mmap_offset)
#define DRM_IOCTL_VTTM_MADVISE		DRM_IOWR(DRM_COMMAND_BASE + DRM_VTTM_MADVISE, \
						 struct drm_vttm_madvise)
#define DRM_IOCTL_VTTM_SUBMIT		DRM_IOW(DRM_COMMAND_BASE + DRM_VTTM_SUBMIT, \
						struct drm_vttm_submit)
#define DRM_IOCTL_VTTM_WAIT		DRM_IOW(DRM_COMMAND_BASE + DRM_VTTM_WAIT, \
						struct drm_vttm_wait)
#define DRM_IOCTL_VTTM_INFO		DRM_IOWR(DRM_COMMAND_BASE + DRM_VTTM_INFO, \
						 struct drm_vttm_info)

#if defined(__cplusplus)
}
#endif

#endif
