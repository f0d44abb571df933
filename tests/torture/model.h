/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * What buffers ought to contain. Both torture programs do things to buffers,
 * note here what that means for each page, and compare every byte later.
 */
#ifndef MODEL_H
#define MODEL_H

#include "bo.h"
#include "fixture.h"

/* Contents of one page. All zero: never written, so it must read as zeros. */
struct page_state {
	uint32_t kind;
	uint32_t value;		/* seed of the pattern, or the word it is filled with */
	uint32_t page;		/* which page of the pattern */
};

enum { PAGE_ZERO, PAGE_PATTERN, PAGE_WORD };

struct buffer {
	struct bo bo;
	bool used;
	bool busy;		/* the engine may not be done with it */
	bool dontneed;		/* may be purged at any time */
	bool purged;		/* has been */
	bool local;		/* cannot be shared */
	bool vram;		/* is to be in VRAM, if there is room */
	bool exported;		/* has been shared */
	bool closed;		/* no handle any more, only the mapping */
	uint64_t pages;
	struct page_state *state;
};

/* The same for the same arguments, whatever else happened. */
uint64_t mix(uint64_t a, uint64_t b);

/* A generator of its own for each thing to be done */
struct rng {
	uint64_t state;
};

uint64_t rng_next(struct rng *r);
/* 0 .. n - 1 */
uint64_t rng_below(struct rng *r, uint64_t n);
bool rng_one_in(struct rng *r, unsigned int n);

/* The functions below that return int return 0 or a negative errno. */
/* with DRM_VTTM_CREATE_* */
int buffer_create(int fd, struct buffer *b, uint64_t pages, uint32_t caching,
		  uint32_t flags);
/* the handle only: what is mapped stays */
int buffer_close(int fd, struct buffer *b);
/* forget it, when handle and mapping are gone */
void buffer_forget(struct buffer *b);

/* What a page should read like. */
void page_expect(const struct page_state *s, uint8_t *dst);

enum access {
	ACCESS_OK,
	ACCESS_SIGBUS,
	ACCESS_WRONG,	/* not the bytes that belong there; *at says where */
};

/* Through the CPU mapping, page by page. */
enum access buffer_write(struct buffer *b, uint64_t first, uint64_t nr, uint32_t seed);
enum access buffer_check(struct buffer *b, uint64_t first, uint64_t nr, uint64_t *at);
/* the same through another mapping of it */
enum access buffer_check_at(struct buffer *b, const uint8_t *map, uint64_t first,
			    uint64_t nr, uint64_t *at);
/* Through the kernel, as a debugger reads it; fd is of /proc/self/mem. */
int buffer_peek(struct buffer *b, int mem, uint64_t page, bool *right);
/* What the engine's checksum of these pages must be. */
uint32_t buffer_crc(const struct buffer *b, uint64_t first, uint64_t nr);
/* A line on what is wrong with a page. */
void buffer_explain(const struct buffer *b, const uint8_t *map, uint64_t page,
		    char *text, size_t len);

#endif
