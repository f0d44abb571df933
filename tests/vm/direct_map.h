/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What the processor's page tables say about caching, from debugfs. */
#ifndef DIRECT_MAP_H
#define DIRECT_MAP_H

#include <stdbool.h>
#include <stdint.h>

struct direct_range {
	uint64_t pfn;
	uint64_t end;
	uint32_t caching;
};

/* All of the kernel's own mapping of memory that is not write-back cached. */
struct direct_map {
	struct direct_range *range;
	unsigned int nr;
};

/* Those that return bool report what is wrong as a failure of the test. */
bool direct_map_get(struct direct_map *m);
void direct_map_free(struct direct_map *m);
/* of that caching, at that frame and above */
uint64_t direct_map_pages(const struct direct_map *m, uint32_t caching, uint64_t from_pfn);
uint32_t direct_map_caching(const struct direct_map *m, uint64_t pfn);

struct uncached {
	uint64_t wc;
	uint64_t uc;
};

bool uncached_get(struct uncached *u);
/* So many pages more than then, and all of them of what this caching is here. */
bool uncached_since(const struct uncached *then, uint32_t caching, uint64_t pages);

#endif
