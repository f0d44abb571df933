/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* A buffer object, where it is mapped, and the bytes that were stored in it. */
#ifndef BO_H
#define BO_H

#include <stddef.h>
#include <stdint.h>

#include "pattern.h"

struct bo {
	uint32_t handle;
	uint32_t caching;
	uint32_t seed;	/* of what was stored; its CRC-32 */
	uint32_t crc;
	uint64_t size;
	uint8_t *map;	/* NULL while it is not mapped */
};

/* with DRM_VTTM_CREATE_*; the size is rounded up to what was made */
int bo_create(int fd, struct bo *b, uint64_t size, uint32_t caching, uint32_t flags);
int bo_map(int fd, struct bo *b);
void bo_unmap(struct bo *b);
/* the mapping, if there is one, and the handle */
int bo_close(int fd, struct bo *b);
/* Fault all of it in: the first page that raises SIGBUS, or -1. */
int64_t bo_touch(const struct bo *b);
void bo_store(struct bo *b, const struct source *s, uint32_t seed);
/* A line on what is wrong with the contents that are mapped; *text is empty if nothing is. */
void bo_explain(const struct bo *b, const struct source *s, char *text, size_t len);

#endif
