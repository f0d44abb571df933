// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What the processor's page tables say about caching, from debugfs. */

#include "direct_map.h"
#include "fixture.h"

/*
 * A line begins with "0xSTART-0xEND SIZE", and has flags. With Linux's setup of the PAT,
 * PWT alone is write-combined, PCD is uncached.
 */
#ifdef __x86_64__
#define TABLES		DEBUGFS "/page_tables/kernel"
#define MEMORY		"Low Kernel Mapping"
#define FLAG_WC		" PWT"
#define FLAG_UC		" PCD"
#else
#define TABLES		DEBUGFS "/kernel_page_tables"
#define MEMORY		"Linear Mapping start"
#define FLAG_WC		" MEM/NORMAL-NC"
#define FLAG_UC		" DEVICE/"
#endif

bool direct_map_get(struct direct_map *m)
{
	const char *path = TABLES;
	bool within = false, found = false;
	uint64_t start, end, base = 0;
	FILE *f = fopen(path, "r");
	char line[256];

	m->range = NULL;
	m->nr = 0;
	if (!f) {
		FAIL("%s: %s: the test kernel must have it", path, strerror(errno));
		return false;
	}
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, "---", 3)) {
			within = strstr(line, MEMORY);
			continue;
		}
		if (!within ||
		    sscanf(line, "0x%" SCNx64 "-0x%" SCNx64, &start, &end) != 2)
			continue;
		if (!found)
			base = start;
		found = true;
		if (!strstr(line, FLAG_WC) && !strstr(line, FLAG_UC))
			continue;
		m->range = realloc(m->range, (m->nr + 1) * sizeof(*m->range));
		if (!m->range)
			die("no memory");
		m->range[m->nr++] = (struct direct_range) {
			.pfn = (start - base) / PAGE,
			.end = (end - base) / PAGE,
			.caching = strstr(line, FLAG_UC) ? DRM_VTTM_UC :
							   DRM_VTTM_WC,
		};
	}
	fclose(f);
	if (!found)
		FAIL("%s has no mapping of the memory", path);
	return found;
}

void direct_map_free(struct direct_map *m)
{
	free(m->range);
	m->range = NULL;
}

uint64_t direct_map_pages(const struct direct_map *m, uint32_t caching, uint64_t from_pfn)
{
	uint64_t pages = 0;
	unsigned int i;

	for (i = 0; i < m->nr; i++) {
		const struct direct_range *r = &m->range[i];

		if (r->caching == caching && r->end > from_pfn)
			pages += r->end - (r->pfn > from_pfn ? r->pfn : from_pfn);
	}
	return pages;
}

uint32_t direct_map_caching(const struct direct_map *m, uint64_t pfn)
{
	unsigned int i;

	for (i = 0; i < m->nr; i++)
		if (pfn >= m->range[i].pfn && pfn < m->range[i].end)
			return m->range[i].caching;
	return DRM_VTTM_CACHED;
}

bool uncached_get(struct uncached *u)
{
	struct direct_map m;

	if (!direct_map_get(&m))
		return false;
	u->wc = direct_map_pages(&m, DRM_VTTM_WC, 0);
	u->uc = direct_map_pages(&m, DRM_VTTM_UC, 0);
	direct_map_free(&m);
	return true;
}

bool uncached_since(const struct uncached *then, uint32_t caching, uint64_t pages)
{
	struct uncached now;
	uint64_t wc, uc;

	caching = vttm_caching(caching);
	wc = caching == DRM_VTTM_WC ? pages : 0;
	uc = caching == DRM_VTTM_UC ? pages : 0;
	if (!uncached_get(&now))
		return false;
	if (now.wc - then->wc == wc && now.uc - then->uc == uc)
		return true;
	FAIL("%" PRId64 " pages are WC and %" PRId64 " UC, not %" PRIu64 " and %" PRIu64,
	     (int64_t)(now.wc - then->wc), (int64_t)(now.uc - then->uc), wc, uc);
	return false;
}
