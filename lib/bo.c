// SPDX-License-Identifier: GPL-2.0 OR MIT
/* A buffer object, where it is mapped, and the bytes that were stored in it. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "bo.h"
#include "system.h"
#include "vttm.h"

int bo_create(int fd, struct bo *b, uint64_t size, uint32_t caching, uint32_t flags)
{
	memset(b, 0, sizeof(*b));
	b->size = size;
	b->caching = vttm_caching(caching);
	return vttm_create_flags(fd, &b->size, b->caching, flags, &b->handle);
}

int bo_map(int fd, struct bo *b)
{
	void *map = vttm_map(fd, b->handle, b->size);

	if (map == MAP_FAILED)
		return -errno;
	b->map = map;
	return 0;
}

void bo_unmap(struct bo *b)
{
	if (b->map && munmap(b->map, b->size))
		die("munmap: %s", strerror(errno));
	b->map = NULL;
}

int bo_close(int fd, struct bo *b)
{
	bo_unmap(b);
	return vttm_close(fd, b->handle);
}

int64_t bo_touch(const struct bo *b)
{
	uint64_t at;
	uint32_t v;

	for (at = 0; at < b->size; at += PAGE)
		if (!peek32(b->map + at, &v))
			return at / PAGE;
	return -1;
}

void bo_store(struct bo *b, const struct source *s, uint32_t seed)
{
	b->seed = seed;
	b->crc = pattern_fill(s, seed, b->map, b->size);
}

void bo_explain(const struct bo *b, const struct source *s, char *text, size_t len)
{
	uint64_t owner_page;
	uint32_t owner;
	int64_t bad;

	*text = '\0';
	if (crc32_update(0, b->map, b->size) == b->crc)
		return;
	bad = pattern_check(s, b->seed, b->map, b->size);
	if (bad < 0)
		snprintf(text, len, "checksum differs, every page is right on a second look");
	else if (pattern_owner(b->map + bad * PAGE, &owner, &owner_page) &&
		 (owner != b->seed || owner_page != (uint64_t)bad))
		snprintf(text, len, "page %" PRId64 " has the bytes of buffer %u page %" PRIu64,
			 bad, owner, owner_page);
	else
		snprintf(text, len, "page %" PRId64 " is wrong, first word %08x", bad,
			 *(uint32_t *)(b->map + bad * PAGE));
}
