// SPDX-License-Identifier: MIT
/*
 * Counters and trace events for how pages are backed up and restored.
 */

#include <kunit/visibility.h>
#include <linux/array_size.h>
#include <linux/atomic.h>
#include <linux/debugfs.h>
#include <linux/export.h>
#include <linux/mmzone.h>
#include <linux/pagemap.h>
#include <linux/seq_file.h>

#include <drm/ttm/ttm_backup.h>
#include <drm/ttm/ttm_backup_stats.h>
#include <drm/ttm/ttm_tt.h>

#include "ttm_backup_file.h"
#include "ttm_backup_stats.h"

#define CREATE_TRACE_POINTS
#include "ttm_backup_trace.h"

VISIBLE_IF_KUNIT struct ttm_backup_stats ttm_backup_stats;

struct ttm_backup_refusal {
	const char *name;
	int err;
	atomic_long_t count;
};

/* The last one is for all other errors. */
static struct ttm_backup_refusal ttm_insert_refusals[] = {
	{ "EOPNOTSUPP", -EOPNOTSUPP },
	{ "EBUSY", -EBUSY },
	{ "ENOMEM", -ENOMEM },
	{ "EDQUOT", -EDQUOT },
	{ "EEXIST", -EEXIST },
	{ "EPERM", -EPERM },
	{ "EINVAL", -EINVAL },
	{ "other", 0 },
};

static struct ttm_backup_refusal ttm_extract_refusals[] = {
	{ "EAGAIN", -EAGAIN },
	{ "EBUSY", -EBUSY },
	{ "EXDEV", -EXDEV },
	{ "ENOMEM", -ENOMEM },
	{ "other", 0 },
};

static void ttm_backup_stats_refused(struct ttm_backup_refusal *refusal, int err)
{
	while (refusal->err && refusal->err != err)
		refusal++;

	atomic_long_inc(&refusal->count);
}

/**
 * ttm_backup_stats_insert_refused() - count a folio that was not inserted
 * @err: The error of shmem_insert_folio().
 *
 * Context: Any context.
 */
void ttm_backup_stats_insert_refused(int err)
{
	ttm_backup_stats_refused(ttm_insert_refusals, err);
}

/**
 * ttm_backup_stats_extract_refused() - count a folio that was not extracted
 * @err: The error of shmem_extract_folio().
 *
 * Context: Any context.
 */
void ttm_backup_stats_extract_refused(int err)
{
	ttm_backup_stats_refused(ttm_extract_refusals, err);
}

/**
 * ttm_backup_stats_inserted() - count a chunk that was inserted
 * @tt: The struct ttm_tt that the chunk belonged to.
 * @idx: Index of the chunk's first page in @tt.
 * @order: Order of the chunk.
 *
 * Context: Any context.
 */
void ttm_backup_stats_inserted(const struct ttm_tt *tt, pgoff_t idx,
			       unsigned int order)
{
	atomic_long_add(1UL << order, &ttm_backup_stats.inserted_pages);
	atomic_long_inc(&ttm_backup_stats.inserted_folios[order]);
	trace_ttm_backup_chunk(tt, idx, 1UL << order, true);
}

/**
 * ttm_backup_stats_copied() - count pages that were backed up by copying
 * @tt: The struct ttm_tt that the pages belonged to.
 * @idx: Index of the first of them in @tt.
 * @nr: Number of base pages.
 *
 * Context: Any context.
 */
void ttm_backup_stats_copied(const struct ttm_tt *tt, pgoff_t idx, pgoff_t nr)
{
	atomic_long_add(nr, &ttm_backup_stats.copied);
	trace_ttm_backup_chunk(tt, idx, nr, false);
}

/**
 * ttm_backup_stats_retained() - count pages that could not be backed up
 * @nr: Number of base pages.
 *
 * Context: Any context.
 */
void ttm_backup_stats_retained(pgoff_t nr)
{
	atomic_long_add(nr, &ttm_backup_stats.retained);
}

/**
 * ttm_backup_stats_restored() - count a chunk that was restored
 * @tt: The struct ttm_tt that the chunk belongs to.
 * @idx: Index of the chunk's first page in @tt.
 * @order: Order of the chunk.
 * @how: How it was restored.
 *
 * Context: Any context.
 */
void ttm_backup_stats_restored(const struct ttm_tt *tt, pgoff_t idx,
			       unsigned int order, enum ttm_restore_how how)
{
	atomic_long_add(1UL << order, &ttm_backup_stats.restored[how]);
	trace_ttm_restore_chunk(tt, idx, order, how);
}

/**
 * ttm_backup_stats_cancelled() - count a restore that was cancelled
 *
 * What it has restored is counted as restored all the same.
 *
 * Context: Any context.
 */
void ttm_backup_stats_cancelled(void)
{
	atomic_long_inc(&ttm_backup_stats.cancelled);
}

#ifdef CONFIG_DEBUG_FS
static void ttm_backup_stats_show_refusals(struct seq_file *m, const char *prefix,
					   struct ttm_backup_refusal *refusals,
					   unsigned int num)
{
	unsigned int i;

	for (i = 0; i < num; i++)
		seq_printf(m, "%s_%s %lu\n", prefix, refusals[i].name,
			   atomic_long_read(&refusals[i].count));
}

static int ttm_backup_stats_show(struct seq_file *m, void *data)
{
	unsigned int i;

	seq_printf(m, "inserted %lu\n",
		   atomic_long_read(&ttm_backup_stats.inserted_pages));
	for (i = 0; i < ARRAY_SIZE(ttm_backup_stats.inserted_folios) &&
	     i <= MAX_PAGECACHE_ORDER; i++)
		seq_printf(m, "inserted_order%u %lu\n", i,
			   atomic_long_read(&ttm_backup_stats.inserted_folios[i]));
	seq_printf(m, "copied %lu\n",
		   atomic_long_read(&ttm_backup_stats.copied));
	seq_printf(m, "restored_adopted %lu\n",
		   atomic_long_read(&ttm_backup_stats.restored[TTM_RESTORE_ADOPTED]));
	seq_printf(m, "restored_extracted %lu\n",
		   atomic_long_read(&ttm_backup_stats.restored[TTM_RESTORE_EXTRACTED]));
	seq_printf(m, "restored_merged %lu\n",
		   atomic_long_read(&ttm_backup_stats.restored[TTM_RESTORE_MERGED]));
	seq_printf(m, "restored_copied %lu\n",
		   atomic_long_read(&ttm_backup_stats.restored[TTM_RESTORE_COPIED]));
	seq_printf(m, "cancelled %lu\n",
		   atomic_long_read(&ttm_backup_stats.cancelled));
	seq_printf(m, "retained %lu\n",
		   atomic_long_read(&ttm_backup_stats.retained));
	ttm_backup_stats_show_refusals(m, "refused", ttm_insert_refusals,
				       ARRAY_SIZE(ttm_insert_refusals));
	ttm_backup_stats_show_refusals(m, "extract_refused", ttm_extract_refusals,
				       ARRAY_SIZE(ttm_extract_refusals));

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(ttm_backup_stats);
#endif

/**
 * ttm_backup_stats_init() - create the backup_stats file
 * @root: TTM's debugfs directory, which is removed with all files in it.
 *
 * Context: Process context, may sleep.
 */
void ttm_backup_stats_init(struct dentry *root)
{
#ifdef CONFIG_DEBUG_FS
	debugfs_create_file("backup_stats", 0444, root, NULL,
			    &ttm_backup_stats_fops);
#endif
}

/**
 * ttm_tt_backup_pages() - count resident and backed up pages of a struct ttm_tt
 * @tt: The struct ttm_tt.
 * @out: The counts.
 *
 * Context: Any context. The caller holds the reservation of the buffer object.
 */
void ttm_tt_backup_pages(const struct ttm_tt *tt, struct ttm_backup_pages *out)
{
	pgoff_t i, nr;

	*out = (struct ttm_backup_pages) {};

	for (i = 0; i < tt->num_pages; i += nr) {
		struct page *page = tt->pages[i];
		unsigned long handle;

		nr = 1;
		if (!page)
			continue;

		if (!ttm_backup_page_ptr_is_handle(page)) {
			out->resident++;
			continue;
		}

		/* A page that an interrupted restore has restored already. */
		handle = ttm_backup_page_ptr_to_handle(page);
		if (!handle) {
			out->resident++;
			continue;
		}

		/* Pages are restored in order, so the rest of the chunk is not. */
		if (ttm_backup_handle_inserted(handle)) {
			nr = 1UL << ttm_backup_handle_order(handle);
			nr -= ttm_backup_handle_idx(handle) & (nr - 1);
			out->inserted += nr;
		}
		out->backed_up += nr;
	}
}
EXPORT_SYMBOL(ttm_tt_backup_pages);
