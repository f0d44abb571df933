// SPDX-License-Identifier: MIT
/*
 * Change of the caching of the kernel's mapping of pages.
 */

#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/pgtable.h>

#include <kunit/static_stub.h>

#ifdef CONFIG_X86
#include <asm/set_memory.h>
#endif

#include <drm/ttm/ttm_caching.h>

#include "ttm_pool_internal.h"

#ifdef CONFIG_X86
static int ttm_set_caching_array(struct page **pages, pgoff_t nr,
				 enum ttm_caching caching)
{
	int ret;

	switch (caching) {
	case ttm_write_combined:
		ret = set_pages_array_wc(pages, nr);
		break;
	case ttm_uncached:
		ret = set_pages_array_uc(pages, nr);
		break;
	default:
		return set_pages_array_wb(pages, nr);
	}

	/*
	 * They make -EINVAL of everything. With pages that are write-back cached
	 * nothing but a lack of memory can be behind it, and that passes.
	 */
	return ret ? -ENOMEM : 0;
}

static int ttm_set_caching_range(struct page *page, pgoff_t nr,
				 enum ttm_caching caching)
{
	unsigned long addr = (unsigned long)page_address(page);

	switch (caching) {
	case ttm_write_combined:
		return set_memory_wc(addr, nr);
	case ttm_uncached:
		return set_memory_uc(addr, nr);
	default:
		return set_memory_wb(addr, nr);
	}
}

/*
 * Number of pages from the first of @pages on that the kernel can map by large
 * entries, or 0 if it cannot.
 */
static pgoff_t ttm_caching_large(struct page **pages, pgoff_t nr)
{
	struct page *page = pages[0];
	pgoff_t large;

	if (PageHighMem(page) || !PageHead(page))
		return 0;

	/* Not all of a folio needs to be there: a restore may be under way. */
	large = folio_nr_pages(page_folio(page));
	if (large < PTRS_PER_PTE || large > nr ||
	    pages[large - 1] != page + large - 1)
		return 0;

	return large;
}

static int __ttm_pool_set_caching(struct page **pages, pgoff_t nr,
				  enum ttm_caching caching)
{
	pgoff_t i, large, run = 0;
	int ret;

	for (i = 0; i < nr; i += large ?: 1) {
		large = ttm_caching_large(pages + i, nr - i);
		if (!large) {
			run++;
			continue;
		}

		if (run) {
			ret = ttm_set_caching_array(pages + i - run, run, caching);
			if (ret)
				return ret;
			run = 0;
		}

		ret = ttm_set_caching_range(pages[i], large, caching);
		if (ret)
			return ret;
	}

	return run ? ttm_set_caching_array(pages + nr - run, run, caching) : 0;
}
#else
static int __ttm_pool_set_caching(struct page **pages, pgoff_t nr,
				  enum ttm_caching caching)
{
	return 0;
}
#endif

/**
 * ttm_pool_set_caching() - change the caching of the kernel's mapping of pages
 * @pages: Array of pages, without gaps.
 * @nr: Number of pages.
 * @caching: The caching that they are to have. Only pages that are write-back
 *	     cached may get another.
 *
 * A folio that a large entry of the kernel's page table can map is changed as
 * one range, and keeps its large entry. As an array of pages, it would have its
 * mapping taken apart for good, and each page looked up.
 *
 * Context: Process context, may sleep.
 * Return: 0 on success, or a negative error code, and some of the pages may have
 * the new caching. The way back to write-back for the same pages needs no memory
 * then, and does not fail.
 * * %-ENOMEM - no memory for a page table, or a page is not write-back cached
 * * %-EBUSY - a page of a huge folio is not write-back cached
 */
int ttm_pool_set_caching(struct page **pages, pgoff_t nr,
			 enum ttm_caching caching)
{
	KUNIT_STATIC_STUB_REDIRECT(ttm_pool_set_caching, pages, nr, caching);

	return __ttm_pool_set_caching(pages, nr, caching);
}
