/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Contents of buffers: real bytes, each page stamped with whose it is. */
#ifndef PATTERN_H
#define PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The next of a series of words that do not compress; the state is not 0. */
uint64_t xorshift(uint64_t *state);

/*
 * Real bytes, cut from files, with every page made unique: see
 * pattern_page().
 */
struct source {
	uint8_t *data;
	size_t len;
};

int source_add(struct source *s, const char *path);

uint32_t crc32_update(uint32_t crc, const void *data, size_t len);
void pattern_page(const struct source *s, uint32_t seed, uint64_t page,
		  uint8_t *dst);
/* fill and return the CRC-32 of what was meant to be stored */
uint32_t pattern_fill(const struct source *s, uint32_t seed, void *map,
		      uint64_t size);
/* first page that differs from what pattern_fill() stored, or -1 */
int64_t pattern_check(const struct source *s, uint32_t seed, const void *map,
		      uint64_t size);
/* who the page was made for, by its stamp; false when it carries none */
bool pattern_owner(const void *page, uint32_t *seed, uint64_t *nr);

/* A read that may raise SIGBUS: false when it did. */
bool peek32(const volatile void *addr, uint32_t *value);
/* The handler that peek32() installs, for a handler that replaces it to call. */
void peek_sigbus(int sig);

#endif
