// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of shmem_insert_folios() and shmem_extract_folios().
 *
 * Suite "shmem_batch" needs nothing but memory. Suite "shmem_batch_swap" needs a
 * swap device, and its case on memory cgroups one named "/kunit", as those of
 * shmem_insert_folio() do.
 */

#include <kunit/test.h>
#include <linux/folio_batch.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>

#include "shmem_insert_kunit.h"

#define BATCH_GFP	(GFP_HIGHUSER | __GFP_RECLAIMABLE)
#define BATCH		FOLIO_BATCH_SIZE

/* Folios of these orders, one after the other; the test has a reference of each. */
static pgoff_t batch_make(struct kunit *test, struct file *file,
			  struct folio_batch *fbatch, const unsigned int *orders,
			  unsigned int nr)
{
	pgoff_t pages = 0;
	unsigned int i;

	folio_batch_init(fbatch);
	for (i = 0; i < nr; i++) {
		struct folio *folio = insert_folio(test, file, orders ? orders[i] : 0,
						   i + 1);

		folio_batch_add(fbatch, folio);
		pages += folio_nr_pages(folio);
	}

	return pages;
}

static void batch_drop(struct kunit *test, struct folio_batch *fbatch)
{
	unsigned int i;

	for (i = 0; i < folio_batch_count(fbatch); i++)
		kunit_release_action(test, insert_put, fbatch->folios[i]);
}

/* The first of them are in the file, each as if it had been inserted alone. */
static void batch_expect_inserted(struct kunit *test, struct file *file,
				  struct folio_batch *fbatch, unsigned int nr,
				  pgoff_t index)
{
	unsigned int i;

	lru_add_drain_all();
	for (i = 0; i < nr; i++) {
		struct folio *folio = fbatch->folios[i];

		KUNIT_ASSERT_PTR_EQ(test, folio->mapping, file->f_mapping);
		KUNIT_EXPECT_EQ(test, folio->index, index);
		KUNIT_EXPECT_EQ(test, folio_ref_count(folio), folio_nr_pages(folio) + 1);
		KUNIT_EXPECT_FALSE(test, folio_test_locked(folio));
		KUNIT_EXPECT_TRUE(test, folio_test_uptodate(folio));
		KUNIT_EXPECT_TRUE(test, folio_test_dirty(folio));
		KUNIT_EXPECT_TRUE(test, folio_test_swapbacked(folio));
		KUNIT_EXPECT_TRUE(test, folio_test_lru(folio));
		if (IS_ENABLED(CONFIG_MEMCG) && !mem_cgroup_disabled())
			KUNIT_EXPECT_TRUE(test, folio_memcg_charged(folio));
		insert_expect_read(test, file, index, folio_order(folio), i + 1);
		index += folio_nr_pages(folio);
	}
}

/* So many pages more than before are the file's, in everything that counts them. */
static void batch_expect_counted(struct kunit *test, struct file *file,
				 const struct extract_counters *base, long pages,
				 const char *what)
{
	struct shmem_sb_info *sbinfo = file_inode(file)->i_sb->s_fs_info;
	struct extract_counters more = *base;

	more.items[EXTRACT_SHMEM] += pages;
	more.items[EXTRACT_FILE_PAGES] += pages;
	more.items[EXTRACT_INACTIVE] += pages;
	more.items[EXTRACT_BLOCKS] += pages * (long)(PAGE_SIZE / SECTOR_SIZE);
	/* Only a mount with a limit counts them. */
	more.items[EXTRACT_MOUNT_BLOCKS] += sbinfo->max_blocks ? pages : 0;
	more.items[EXTRACT_ALLOCED] += pages;
	more.items[EXTRACT_NRPAGES] += pages;
	more.items[EXTRACT_COMMITTED] += pages;
	extract_expect_counters(test, file, &more, what);
}

/*
 * Insertion
 */

static void batch_insert_one_after_the_other(struct kunit *test)
{
	static const unsigned int mixed[] = { 2, 0, 0, 1, 3, 0, 0, 0, 0 };
	struct file *file = extract_file(test, insert_always, 256);
	struct extract_counters base;
	struct folio_batch fbatch;
	pgoff_t pages;

	/* Over the border of two nodes of the xarray */
	extract_get_counters(&base, file);
	pages = batch_make(test, file, &fbatch, NULL, BATCH);
	KUNIT_ASSERT_EQ(test, shmem_insert_folios(file, &fbatch, XA_CHUNK_SIZE - 7,
						  GFP_KERNEL), BATCH);
	KUNIT_EXPECT_EQ(test, folio_batch_count(&fbatch), BATCH);
	batch_expect_counted(test, file, &base, pages, "single pages");
	batch_expect_inserted(test, file, &fbatch, BATCH, XA_CHUNK_SIZE - 7);
	batch_drop(test, &fbatch);

	folio_batch_init(&fbatch);
	KUNIT_EXPECT_EQ(test, shmem_insert_folios(file, &fbatch, 0, GFP_KERNEL), 0);

	if (insert_max_order() < 3)
		return;
	extract_get_counters(&base, file);
	pages = batch_make(test, file, &fbatch, mixed, ARRAY_SIZE(mixed));
	KUNIT_ASSERT_EQ(test, shmem_insert_folios(file, &fbatch, 128, GFP_KERNEL),
			ARRAY_SIZE(mixed));
	batch_expect_counted(test, file, &base, pages, "mixed orders");
	batch_expect_inserted(test, file, &fbatch, ARRAY_SIZE(mixed), 128);
}

enum batch_obstacle {
	BATCH_OCCUPIED,
	BATCH_REFERENCE,
	BATCH_LOCKED,
	BATCH_PRIVATE,
	BATCH_TWICE,
	BATCH_OBSTACLES,
};

static const struct {
	const char *what;
	int err;
} batch_obstacles[BATCH_OBSTACLES] = {
	[BATCH_OCCUPIED] = { "occupied", -EEXIST },
	[BATCH_REFERENCE] = { "somebody else's reference", -EBUSY },
	[BATCH_LOCKED] = { "locked", -EBUSY },
	[BATCH_PRIVATE] = { "->private", -EINVAL },
	[BATCH_TWICE] = { "in the batch twice", -EBUSY },
};

static void batch_put_obstacle(struct kunit *test, struct file *file,
			       struct folio_batch *fbatch, unsigned int at,
			       enum batch_obstacle obstacle, bool there)
{
	struct folio *folio = fbatch->folios[at];

	switch (obstacle) {
	case BATCH_OCCUPIED:
		if (there)
			insert_expect_inserted(test, file,
					       insert_folio(test, file, 0, 77), at);
		break;
	case BATCH_REFERENCE:
		if (there)
			folio_get(folio);
		else
			folio_put(folio);
		break;
	case BATCH_LOCKED:
		if (there)
			folio_lock(folio);
		else
			folio_unlock(folio);
		break;
	case BATCH_PRIVATE:
		folio_change_private(folio, there ? folio : NULL);
		break;
	case BATCH_TWICE:
		if (there)
			fbatch->folios[at] = fbatch->folios[0];
		break;
	case BATCH_OBSTACLES:
		break;
	}
}

static void batch_insert_up_to_an_obstacle(struct kunit *test)
{
	static const unsigned int places[] = { 1, 15, BATCH - 1, 0 };
	unsigned int i, place, obstacle;

	for (obstacle = 0; obstacle < BATCH_OBSTACLES; obstacle++) {
		const char *what = batch_obstacles[obstacle].what;

		for (i = 0; i < ARRAY_SIZE(places); i++) {
			struct file *file = extract_file(test, insert_always, BATCH);
			struct insert_state before, after;
			struct extract_counters base;
			struct folio *refused, *last;
			struct folio_batch fbatch;
			unsigned int at = places[i];
			int ret;

			if (!at && obstacle == BATCH_TWICE)
				continue;

			batch_make(test, file, &fbatch, NULL, BATCH);
			refused = fbatch.folios[at];
			batch_put_obstacle(test, file, &fbatch, at, obstacle, true);
			extract_get_counters(&base, file);
			insert_get_state(&before, file, refused, at);

			ret = shmem_insert_folios(file, &fbatch, 0, GFP_KERNEL);
			KUNIT_EXPECT_EQ_MSG(test, ret,
					    at ? at : batch_obstacles[obstacle].err,
					    "%s at %u", what, at);
			batch_expect_counted(test, file, &base, at, what);
			insert_get_state(&after, file, refused, at);
			/* These are of the folio alone. */
			for (place = INSERT_FLAGS; place <= INSERT_MAPPING; place++)
				KUNIT_EXPECT_EQ_MSG(test, before.items[place],
						    after.items[place],
						    "%s at %u: %s has changed", what,
						    at, insert_items[place]);
			last = fbatch.folios[BATCH - 1];
			if (at < BATCH - 1) {
				KUNIT_EXPECT_NULL(test, last->mapping);
				KUNIT_EXPECT_FALSE(test, folio_test_locked(last));
				KUNIT_EXPECT_EQ(test, folio_ref_count(last), 1);
				KUNIT_EXPECT_FALSE(test, folio_memcg_charged(last));
			}
			batch_expect_inserted(test, file, &fbatch, at, 0);

			/* Without the obstacle, it and those behind it go. */
			batch_put_obstacle(test, file, &fbatch, at, obstacle, false);
			if (obstacle == BATCH_TWICE)
				fbatch.folios[at] = refused;
			if (obstacle == BATCH_OCCUPIED)
				shmem_truncate_range(file_inode(file),
						     at * PAGE_SIZE,
						     (at + 1) * PAGE_SIZE - 1);
			memmove(fbatch.folios, fbatch.folios + at,
				(BATCH - at) * sizeof(refused));
			fbatch.nr = BATCH - at;
			KUNIT_EXPECT_EQ_MSG(test, shmem_insert_folios(file, &fbatch, at,
								      GFP_KERNEL),
					    BATCH - at, "%s at %u", what, at);
			KUNIT_EXPECT_EQ(test, file->f_mapping->nrpages, BATCH);
			insert_expect_read(test, file, BATCH - 1, 0, BATCH);
			kunit_release_action(test, insert_close, file);
		}
	}
}

static void batch_misaligned_or_past_the_end(struct kunit *test)
{
	static const unsigned int orders[] = { 0, 1 };
	struct file *file = extract_file(test, insert_always, 8);
	struct folio_batch fbatch;

	batch_make(test, file, &fbatch, NULL, 4);
	KUNIT_EXPECT_EQ(test, shmem_insert_folios(file, &fbatch, 8, GFP_KERNEL),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, shmem_insert_folios(file, &fbatch, 6, GFP_KERNEL), 2);
	batch_expect_inserted(test, file, &fbatch, 2, 6);
	KUNIT_EXPECT_EQ(test, file->f_mapping->nrpages, 2);

	if (!insert_max_order())
		return;
	/* After a single page at an even index, larger folios are misaligned. */
	batch_make(test, file, &fbatch, orders, 2);
	KUNIT_EXPECT_EQ(test, shmem_insert_folios(file, &fbatch, 0, GFP_KERNEL), 1);
	batch_expect_inserted(test, file, &fbatch, 1, 0);
	KUNIT_EXPECT_EQ(test, file->f_mapping->nrpages, 3);
}

static void batch_mount_is_full(struct kunit *test)
{
	struct vfsmount *mnt = insert_test_mount(test, SB_KERNMOUNT, "nr_blocks",
						 "5");
	struct file *file = extract_file(test, mnt, 16);
	struct extract_counters base;
	struct folio_batch fbatch;

	batch_make(test, file, &fbatch, NULL, 6);
	extract_get_counters(&base, file);
	KUNIT_EXPECT_EQ(test, shmem_insert_folios(file, &fbatch, 0, GFP_KERNEL),
			-ENOSPC);
	batch_expect_counted(test, file, &base, 0, "full");
	fbatch.nr = 5;
	KUNIT_EXPECT_EQ(test, shmem_insert_folios(file, &fbatch, 0, GFP_KERNEL), 5);
	batch_expect_inserted(test, file, &fbatch, 5, 0);
}

static void batch_other_files(struct kunit *test)
{
	struct file *own = extract_file(test, insert_always, 4);
	struct file *memfd = insert_memfd(test, 4 * PAGE_SIZE);
	struct folio_batch fbatch;

	batch_make(test, own, &fbatch, NULL, 4);
	KUNIT_EXPECT_EQ(test, shmem_insert_folios(memfd, &fbatch, 0, GFP_KERNEL),
			-EPERM);
	KUNIT_EXPECT_EQ(test, memfd->f_mapping->nrpages, 0);
	KUNIT_EXPECT_EQ(test, shmem_insert_folios(own, &fbatch, 0, GFP_KERNEL), 4);
}

#if defined(CONFIG_FAILSLAB) && defined(CONFIG_FAULT_INJECTION_DEBUG_FS)
static void batch_no_memory_for_nodes(struct kunit *test)
{
	struct fault_attr *attr = insert_fault_attr("failslab"), old;
	pgoff_t index = XA_CHUNK_SIZE - 10;
	unsigned int nodes, failed = 0;
	int ret = 0;

	if (!attr)
		kunit_skip(test, "no failslab in debugfs");

	/* A node at the top, and two for pages */
	for (nodes = 0; ret != BATCH && nodes < 8; nodes++) {
		/* Nodes that a failure leaves behind would be reused. */
		struct file *file = extract_file(test, insert_always, 128);
		struct extract_counters base;
		struct folio_batch fbatch;

		batch_make(test, file, &fbatch, NULL, BATCH);
		extract_get_counters(&base, file);
		insert_start_faults(attr, &old,
				    nodes * sizeof(struct xa_node) + 1);
		ret = shmem_insert_folios(file, &fbatch, index, GFP_RECLAIM_INSERT);
		insert_stop_faults(attr, &old);

		if (ret != BATCH)
			failed++;
		if (ret < 0)
			KUNIT_EXPECT_EQ(test, ret, -ENOMEM);
		else if (ret != BATCH)
			KUNIT_EXPECT_EQ(test, ret, 10);
		batch_expect_counted(test, file, &base, max(ret, 0), "nodes");
		batch_expect_inserted(test, file, &fbatch, max(ret, 0), index);
		kunit_release_action(test, insert_close, file);
	}
	KUNIT_EXPECT_EQ(test, ret, BATCH);
	KUNIT_EXPECT_GE(test, failed, 2);
}
#endif

/*
 * Extraction
 */

/* A file with a full batch of single pages in it, and no reference to them */
static struct file *batch_file(struct kunit *test, struct folio_batch *fbatch)
{
	struct file *file = extract_file(test, insert_always, 256);

	batch_make(test, file, fbatch, NULL, BATCH);
	KUNIT_ASSERT_EQ(test, shmem_insert_folios(file, fbatch, 0, GFP_KERNEL), BATCH);
	batch_drop(test, fbatch);
	lru_add_drain_all();

	return file;
}

static void batch_put(struct folio_batch *fbatch)
{
	while (fbatch->nr)
		folio_put(fbatch->folios[--fbatch->nr]);
}

static unsigned int batch_extract(struct file *file, pgoff_t index, unsigned long nr,
				  struct folio_batch *fbatch)
{
	folio_batch_init(fbatch);

	return shmem_extract_folios(file, index, nr, NUMA_NO_NODE, BATCH_GFP, fbatch);
}

static void batch_extract_one_after_the_other(struct kunit *test)
{
	static const unsigned int mixed[] = { 2, 0, 0, 1, 3, 0, 0, 0, 0 };
	struct folio_batch in, out;
	struct extract_counters base;
	struct file *file;
	unsigned int i, nr;
	pgoff_t pages;

	file = extract_file(test, insert_always, 256);
	extract_get_counters(&base, file);
	for (nr = 1; nr <= BATCH; nr += 5) {
		batch_make(test, file, &in, NULL, nr);
		KUNIT_ASSERT_EQ(test, shmem_insert_folios(file, &in, 3, GFP_KERNEL),
				nr);
		batch_drop(test, &in);
		lru_add_drain_all();

		KUNIT_ASSERT_EQ(test, batch_extract(file, 3, 200, &out), nr);
		KUNIT_ASSERT_EQ(test, folio_batch_count(&out), nr);
		for (i = 0; i < nr; i++) {
			KUNIT_EXPECT_PTR_EQ(test, out.folios[i], in.folios[i]);
			KUNIT_EXPECT_TRUE(test, insert_intact(out.folios[i], i + 1));
			extract_expect_fresh(test, file, out.folios[i], "batch");
		}
		extract_expect_counters(test, file, &base, "all are out");
		batch_put(&out);
	}
	KUNIT_EXPECT_TRUE(test, xa_empty(&file->f_mapping->i_pages));

	if (insert_max_order() < 3)
		return;
	pages = batch_make(test, file, &in, mixed, ARRAY_SIZE(mixed));
	KUNIT_ASSERT_EQ(test, shmem_insert_folios(file, &in, 64, GFP_KERNEL),
			ARRAY_SIZE(mixed));
	batch_drop(test, &in);
	lru_add_drain_all();
	/* No more than what was asked for: the last but three is too long. */
	KUNIT_ASSERT_EQ(test, batch_extract(file, 64, 15, &out), 4);
	batch_put(&out);
	KUNIT_ASSERT_EQ(test, batch_extract(file, 72, pages - 8, &out),
			ARRAY_SIZE(mixed) - 4);
	for (i = 0; i < folio_batch_count(&out); i++) {
		KUNIT_EXPECT_PTR_EQ(test, out.folios[i], in.folios[i + 4]);
		KUNIT_EXPECT_TRUE(test, insert_intact(out.folios[i], i + 5));
		extract_expect_fresh(test, file, out.folios[i], "mixed");
	}
	extract_expect_counters(test, file, &base, "all are out");
	batch_put(&out);
}

/* These stay, and are as they were. */
static void batch_expect_stay(struct kunit *test, struct file *file,
			      struct folio_batch *fbatch, unsigned int first,
			      unsigned int skip)
{
	unsigned int i;

	lru_add_drain_all();
	for (i = first; i < BATCH; i++) {
		struct folio *folio = fbatch->folios[i];

		if (i == skip)
			continue;
		KUNIT_ASSERT_PTR_EQ(test, folio->mapping, file->f_mapping);
		KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
		KUNIT_EXPECT_TRUE(test, folio_test_lru(folio));
		KUNIT_EXPECT_TRUE(test, folio_test_dirty(folio));
		KUNIT_EXPECT_FALSE(test, folio_test_locked(folio));
		insert_expect_read(test, file, i, 0, i + 1);
	}
}

static void batch_extract_up_to_an_obstacle(struct kunit *test)
{
	static const unsigned int places[] = { 0, 1, 15, BATCH - 1 };
	enum { HOLE, LOCKED, REFERENCE, NOT_ON_LRU, OBSTACLES } obstacle;
	unsigned int i;

	for (obstacle = HOLE; obstacle < OBSTACLES; obstacle++) {
		for (i = 0; i < ARRAY_SIZE(places); i++) {
			struct folio_batch in, out;
			struct file *file = batch_file(test, &in);
			unsigned int at = places[i];
			struct folio *folio = in.folios[at];
			struct extract_counters base;

			folio_get(folio);
			switch (obstacle) {
			case HOLE:
				shmem_truncate_range(file_inode(file), at * PAGE_SIZE,
						     (at + 1) * PAGE_SIZE - 1);
				break;
			case LOCKED:
				folio_put(folio);
				folio_lock(folio);
				break;
			case NOT_ON_LRU:
				KUNIT_ASSERT_TRUE(test, folio_isolate_lru(folio));
				break;
			default:
				break;
			}
			extract_get_counters(&base, file);

			KUNIT_EXPECT_EQ_MSG(test, batch_extract(file, 0, BATCH, &out),
					    at, "obstacle %u", obstacle);
			KUNIT_EXPECT_EQ(test, folio_batch_count(&out), at);
			batch_put(&out);
			batch_expect_counted(test, file, &base, -(long)at, "rest");
			batch_expect_stay(test, file, &in, at, at);

			switch (obstacle) {
			case LOCKED:
				KUNIT_EXPECT_TRUE(test, folio_test_locked(folio));
				folio_unlock(folio);
				break;
			case NOT_ON_LRU:
				folio_putback_lru(folio);
				fallthrough;
			default:
				folio_put(folio);
			}
			lru_add_drain_all();
			if (obstacle != HOLE) {
				KUNIT_EXPECT_EQ(test, batch_extract(file, at, BATCH, &out),
						BATCH - at);
				KUNIT_EXPECT_TRUE(test, insert_intact(out.folios[0], at + 1));
				batch_put(&out);
			}
			kunit_release_action(test, insert_close, file);
		}
	}
}

static void batch_nothing_to_take(struct kunit *test)
{
	struct folio_batch in, out;
	struct file *file = batch_file(test, &in);
	struct file *memfd = insert_memfd(test, 4 * PAGE_SIZE);
	static const unsigned int orders[] = { 2 };
	int other;

	KUNIT_EXPECT_EQ(test, batch_extract(file, 0, 0, &out), 0);
	KUNIT_EXPECT_EQ(test, batch_extract(file, BATCH, 10, &out), 0);
	KUNIT_EXPECT_EQ(test, batch_extract(memfd, 0, 4, &out), 0);
	batch_expect_stay(test, file, &in, 0, BATCH);

	if (insert_max_order() < 2)
		return;
	/* The middle of a folio is no place to begin at. */
	batch_make(test, file, &in, orders, 1);
	other = extract_other_node(in.folios[0]);
	KUNIT_ASSERT_EQ(test, shmem_insert_folios(file, &in, 64, GFP_KERNEL), 1);
	batch_drop(test, &in);
	KUNIT_EXPECT_EQ(test, batch_extract(file, 65, 3, &out), 0);
	KUNIT_EXPECT_EQ(test, batch_extract(file, 64, 3, &out), 0);
	folio_batch_init(&out);
	KUNIT_EXPECT_EQ(test, shmem_extract_folios(file, 64, 4, other, BATCH_GFP, &out), 0);
	KUNIT_EXPECT_EQ(test, folio_batch_count(&out), 0);
	KUNIT_EXPECT_EQ(test, batch_extract(file, 64, 4, &out), 1);
	batch_put(&out);
}

/* Folios this CPU has just inserted are in its batch for the LRU lists. */
static long batch_at_once(void *data)
{
	struct folio_batch out, *in = data;
	struct file *file = in->folios[BATCH - 1]->private;
	unsigned int nr = BATCH - 1;

	in->folios[BATCH - 1]->private = NULL;
	if (shmem_insert_folios(file, in, 0, GFP_KERNEL) != BATCH)
		return 0;
	for (nr = 0; nr < BATCH; nr++)
		folio_put(in->folios[nr]);
	nr = batch_extract(file, 0, BATCH, &out);
	batch_put(&out);

	return nr;
}

static void batch_in_a_batch_of_this_cpu(struct kunit *test)
{
	struct file *file = extract_file(test, insert_always, BATCH);
	struct folio_batch in;
	unsigned int i;

	batch_make(test, file, &in, NULL, BATCH);
	for (i = 0; i < BATCH; i++)
		kunit_remove_action(test, insert_put, in.folios[i]);
	in.folios[BATCH - 1]->private = file;
	KUNIT_EXPECT_EQ(test, work_on_cpu(cpumask_first(cpu_online_mask),
					  batch_at_once, &in), BATCH);
	KUNIT_EXPECT_EQ(test, file->f_mapping->nrpages, 0);
}

struct batch_racer {
	struct file *file;
	struct completion done;
	unsigned long bytes_wrong;
	unsigned long taken;
	bool one_by_one;
};

#define BATCH_RACE	(4 * BATCH)

/* Takes what it gets, from the first index to the last, again and again. */
static int batch_race(void *data)
{
	struct batch_racer *racer = data;
	struct address_space *mapping = racer->file->f_mapping;
	unsigned int round, i;
	pgoff_t index;

	for (round = 0; round < 200 && READ_ONCE(mapping->nrpages); round++) {
		for (index = 0; index < BATCH_RACE; index++) {
			struct folio_batch out;

			folio_batch_init(&out);
			if (racer->one_by_one) {
				struct folio *folio;

				folio = shmem_extract_folio(racer->file, index, 0,
							    NUMA_NO_NODE, BATCH_GFP);
				if (!IS_ERR(folio))
					folio_batch_add(&out, folio);
			} else {
				shmem_extract_folios(racer->file, index,
						     BATCH_RACE - index,
						     NUMA_NO_NODE, BATCH_GFP, &out);
			}
			for (i = 0; i < folio_batch_count(&out); i++)
				racer->bytes_wrong +=
					!insert_intact(out.folios[i], index + i + 1);
			racer->taken += folio_batch_count(&out);
			batch_put(&out);
		}
		lru_add_drain_all();
	}
	complete(&racer->done);

	return 0;
}

static void batch_one_winner(struct kunit *test)
{
	unsigned int round, i, j;

	for (round = 0; round < 8; round++) {
		struct file *file = extract_file(test, insert_always, BATCH_RACE);
		struct batch_racer racers[3] = { };
		struct extract_counters base;
		unsigned long sum = 0;

		extract_get_counters(&base, file);
		for (i = 0; i < BATCH_RACE; i += BATCH) {
			struct folio_batch in;

			folio_batch_init(&in);
			for (j = 0; j < BATCH; j++)
				folio_batch_add(&in, insert_folio(test, file, 0,
								  i + j + 1));
			KUNIT_ASSERT_EQ(test, shmem_insert_folios(file, &in, i,
								  GFP_KERNEL), BATCH);
			batch_drop(test, &in);
		}
		lru_add_drain_all();

		for (i = 0; i < ARRAY_SIZE(racers); i++) {
			racers[i].file = file;
			racers[i].one_by_one = i == 2;
			init_completion(&racers[i].done);
		}
		for (i = 0; i < ARRAY_SIZE(racers); i++) {
			struct task_struct *task = kthread_run(batch_race, &racers[i],
							       "batch_race");

			if (IS_ERR(task)) {
				KUNIT_FAIL(test, "no thread: %pe", task);
				complete(&racers[i].done);
			}
		}
		for (i = 0; i < ARRAY_SIZE(racers); i++) {
			wait_for_completion(&racers[i].done);
			KUNIT_EXPECT_EQ(test, racers[i].bytes_wrong, 0);
			sum += racers[i].taken;
		}
		KUNIT_EXPECT_EQ(test, sum, BATCH_RACE);
		extract_expect_counters(test, file, &base, "after the race");
		kunit_release_action(test, insert_close, file);
	}
}

static void batch_up_to_what_is_in_swap(struct kunit *test)
{
	struct file *file = extract_file(test, insert_always, BATCH);
	struct folio_batch in, out;
	struct folio *folio;

	batch_make(test, file, &in, NULL, BATCH);
	KUNIT_ASSERT_EQ(test, shmem_insert_folios(file, &in, 0, GFP_KERNEL), BATCH);
	KUNIT_ASSERT_TRUE(test, insert_reclaim(test, file, in.folios[9]));

	in.nr = 9;
	batch_drop(test, &in);
	KUNIT_EXPECT_EQ(test, batch_extract(file, 0, BATCH, &out), 9);
	batch_put(&out);
	KUNIT_EXPECT_EQ(test, batch_extract(file, 9, BATCH - 9, &out), 0);
	/* That one is for the caller to ask for. */
	folio = shmem_extract_folio(file, 9, 0, NUMA_NO_NODE, BATCH_GFP);
	KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
	KUNIT_EXPECT_TRUE(test, insert_intact(folio, 10));
	folio_put(folio);
}

#ifdef CONFIG_MEMCG
/* Exact: what is left to be flushed is flushed. */
static unsigned long batch_memcg_shmem(struct mem_cgroup *memcg)
{
	css_rstat_flush(&memcg->css);

	return memcg_page_state(memcg, NR_SHMEM);
}

static void batch_charges_are_kept(struct kunit *test)
{
	/* Runs of the memcg's in between those of root's */
	static const struct {
		unsigned int first, end;
	} runs[] = { { 0, 10 }, { 11, 12 }, { 20, 26 } };
	const unsigned int charged = 10 + 1 + 6;
	struct mem_cgroup *memcg = insert_memcg(test), *old;
	struct file *file = extract_file(test, insert_always, BATCH);
	struct folio_batch in, out;
	unsigned long usage, shmem;
	unsigned int i, j, left;
	int ret;

	usage = page_counter_read(&memcg->memory);
	shmem = batch_memcg_shmem(memcg);
	batch_make(test, file, &in, NULL, BATCH);
	old = set_active_memcg(memcg);
	for (i = 0; i < ARRAY_SIZE(runs); i++)
		for (j = runs[i].first; j < runs[i].end; j++)
			KUNIT_EXPECT_EQ(test, mem_cgroup_charge(in.folios[j], NULL,
								GFP_ATOMIC), 0);
	set_active_memcg(old);

	/* The others are to be root's. */
	old = set_active_memcg(root_mem_cgroup);
	ret = shmem_insert_folios(file, &in, 0, GFP_KERNEL);
	set_active_memcg(old);
	KUNIT_ASSERT_EQ(test, ret, BATCH);
	insert_expect_usage(test, memcg, usage + charged, "inserted");
	KUNIT_EXPECT_EQ(test, batch_memcg_shmem(memcg), shmem + charged);
	left = charged;
	rcu_read_lock();
	for (i = 0; i < BATCH; i++)
		left -= folio_memcg(in.folios[i]) == memcg;
	rcu_read_unlock();
	KUNIT_EXPECT_EQ(test, left, 0);
	batch_drop(test, &in);
	lru_add_drain_all();

	KUNIT_EXPECT_EQ(test, batch_extract(file, 0, BATCH, &out), BATCH);
	insert_expect_usage(test, memcg, usage, "extracted");
	KUNIT_EXPECT_EQ(test, batch_memcg_shmem(memcg), shmem);
	for (i = 0; i < folio_batch_count(&out); i++)
		KUNIT_EXPECT_FALSE(test, folio_memcg_charged(out.folios[i]));
	batch_put(&out);
}

/* Folios that are not inserted are not charged. */
static void batch_memcg_limit(struct kunit *test)
{
	struct mem_cgroup *memcg = insert_memcg(test), *old;
	struct file *file = extract_file(test, insert_always, BATCH + 1);
	struct extract_counters base;
	struct folio_batch in;
	unsigned long usage;
	unsigned int i;
	int ret;

	batch_make(test, file, &in, NULL, BATCH);
	old = set_active_memcg(root_mem_cgroup);
	/* The xarray's nodes are charged as well: there is one from here on. */
	ret = shmem_insert_folio(file, insert_folio(test, file, 0, 99), BATCH,
				 GFP_KERNEL);
	for (i = 0; i < 5; i++)
		ret = ret ?: mem_cgroup_charge(in.folios[i], NULL, GFP_KERNEL);
	set_active_memcg(old);
	KUNIT_ASSERT_EQ(test, ret, 0);

	usage = page_counter_read(&memcg->memory);
	extract_get_counters(&base, file);
	old = set_active_memcg(memcg);
	ret = shmem_insert_folios(file, &in, 0, GFP_KERNEL | __GFP_NORETRY | __GFP_NOWARN);
	set_active_memcg(old);
	KUNIT_EXPECT_EQ(test, ret, 5);
	insert_expect_usage(test, memcg, usage, "over the limit");
	KUNIT_EXPECT_FALSE(test, folio_memcg_charged(in.folios[5]));
	batch_expect_counted(test, file, &base, 5, "limit");
	batch_expect_inserted(test, file, &in, 5, 0);
}
#endif

static struct kunit_case batch_cases[] = {
	KUNIT_CASE(batch_insert_one_after_the_other),
	KUNIT_CASE_SLOW(batch_insert_up_to_an_obstacle),
	KUNIT_CASE(batch_misaligned_or_past_the_end),
	KUNIT_CASE(batch_mount_is_full),
	KUNIT_CASE(batch_other_files),
#if defined(CONFIG_FAILSLAB) && defined(CONFIG_FAULT_INJECTION_DEBUG_FS)
	KUNIT_CASE(batch_no_memory_for_nodes),
#endif
	KUNIT_CASE_SLOW(batch_extract_one_after_the_other),
	KUNIT_CASE_SLOW(batch_extract_up_to_an_obstacle),
	KUNIT_CASE(batch_nothing_to_take),
	KUNIT_CASE(batch_in_a_batch_of_this_cpu),
	KUNIT_CASE_SLOW(batch_one_winner),
	{}
};

static struct kunit_suite batch_suite = {
	.name = "shmem_batch",
	.suite_init = insert_suite_init,
	.suite_exit = insert_suite_exit,
	.test_cases = batch_cases,
};

static struct kunit_case batch_swap_cases[] = {
	KUNIT_CASE(batch_up_to_what_is_in_swap),
#ifdef CONFIG_MEMCG
	KUNIT_CASE(batch_charges_are_kept),
	KUNIT_CASE(batch_memcg_limit),
#endif
	{}
};

static struct kunit_suite batch_swap_suite = {
	.name = "shmem_batch_swap",
	.suite_init = insert_suite_init,
	.suite_exit = insert_suite_exit,
	.init = insert_swap_init,
	.test_cases = batch_swap_cases,
};

kunit_test_suites(&batch_suite, &batch_swap_suite);
