// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of shmem_insert_folio() and shmem_extract_folio() against others that want
 * the same folio or place at the same time: one wins.
 *
 * They need two processors.
 */

#include <kunit/test.h>
#include <linux/kthread.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/workqueue.h>

#include "shmem_insert_kunit.h"
#include "../page_alloc.h"

struct insert_racer {
	struct task_struct *task;
	struct file *file;
	struct folio *folio;
	pgoff_t index;
	atomic_t *ready;
	int racers;
	int ret;
};

static int insert_race(void *data)
{
	struct insert_racer *racer = data;

	atomic_inc(racer->ready);
	while (atomic_read(racer->ready) < racer->racers)
		cond_resched();

	racer->ret = shmem_insert_folio(racer->file, racer->folio, racer->index,
					GFP_KERNEL);

	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);

	return 0;
}

static void insert_one_winner(struct kunit *test)
{
	unsigned int order = min(insert_max_order(), 4U);
	struct file *file = insert_file(test, insert_always, 16);
	struct insert_racer racers[3];
	unsigned int round, i;

	for (round = 0; round < 60; round++) {
		unsigned int winners = 0, winner = 0;
		atomic_t ready = ATOMIC_INIT(0);
		long shmem = insert_node_stat(NR_SHMEM);

		for (i = 0; i < ARRAY_SIZE(racers); i++) {
			/* In every other round, a large folio takes part. */
			unsigned int o = round & 1 && !i ? order : 0;

			racers[i] = (struct insert_racer) {
				.file = file,
				.folio = insert_folio(test, file, o, i + 1),
				.index = o ? 0 : 5,
				.ready = &ready,
				.racers = ARRAY_SIZE(racers),
				.ret = 1,
			};
			racers[i].task = kthread_create(insert_race, &racers[i],
							"insert_race/%u", i);
			KUNIT_ASSERT_NOT_ERR_OR_NULL(test, racers[i].task);
			get_task_struct(racers[i].task);
		}
		for (i = 0; i < ARRAY_SIZE(racers); i++)
			wake_up_process(racers[i].task);
		while (atomic_read(&ready) < ARRAY_SIZE(racers))
			cond_resched();
		for (i = 0; i < ARRAY_SIZE(racers); i++) {
			kthread_stop(racers[i].task);
			put_task_struct(racers[i].task);
		}
		lru_add_drain_all();

		for (i = 0; i < ARRAY_SIZE(racers); i++) {
			struct folio *folio = racers[i].folio;

			if (!racers[i].ret) {
				winners++;
				winner = i;
				KUNIT_EXPECT_PTR_EQ(test, folio->mapping,
						    file->f_mapping);
				continue;
			}
			KUNIT_EXPECT_EQ(test, racers[i].ret, -EEXIST);
			KUNIT_EXPECT_NULL(test, folio->mapping);
			KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
			KUNIT_EXPECT_FALSE(test, folio_test_dirty(folio));
			KUNIT_EXPECT_FALSE(test, folio_memcg_charged(folio));
		}
		KUNIT_ASSERT_EQ(test, winners, 1);
		KUNIT_EXPECT_EQ(test, insert_node_stat(NR_SHMEM) - shmem,
				folio_nr_pages(racers[winner].folio));
		KUNIT_EXPECT_EQ(test, SHMEM_I(file_inode(file))->alloced,
				folio_nr_pages(racers[winner].folio));
		insert_expect_read(test, file, racers[winner].index,
				   folio_order(racers[winner].folio), winner + 1);

		shmem_truncate_range(file_inode(file), 0, -1);
		for (i = 0; i < ARRAY_SIZE(racers); i++)
			kunit_release_action(test, insert_put, racers[i].folio);
	}
}

struct extract_work {
	struct kunit *test;
	struct file *file;
	struct folio *folio;
	bool accessed;
	bool batched;
	int ret;
};

static long extract_batch_work(void *data)
{
	struct extract_work *work = data;

	if (work->accessed) {
		/* It becomes active when this batch is drained. */
		folio_mark_accessed(work->folio);
		folio_mark_accessed(work->folio);
		work->batched = folio_ref_count(work->folio) > 2;
		return 0;
	}
	work->ret = shmem_insert_folio(work->file, work->folio, 0, GFP_KERNEL);
	work->batched = !folio_test_lru(work->folio);

	return 0;
}

static long extract_work(void *data)
{
	struct extract_work *work = data;

	work->folio = shmem_extract_folio(work->file, 0, 0, NUMA_NO_NODE, EXTRACT_GFP);

	return 0;
}

/*
 * Puts the folio into a batch of another CPU: it is to be added, or to become
 * active. False if the batch was drained already, which may happen at any time.
 */
static bool extract_batch(struct kunit *test, struct extract_work *work,
			  unsigned int there)
{
	if (work->accessed) {
		insert_expect_inserted(test, work->file, work->folio, 0);
		lru_add_drain_all();
	}
	work_on_cpu(there, extract_batch_work, work);
	KUNIT_ASSERT_EQ(test, work->ret, 0);
	kunit_release_action(test, insert_put, work->folio);

	return work->batched;
}

/* Its own batches are drained for it, those of others are not. */
static void extract_batches(struct kunit *test)
{
	struct file *file = extract_file(test, insert_always, 1);
	unsigned int here = cpumask_first(cpu_online_mask);
	unsigned int there = cpumask_next(here, cpu_online_mask);
	unsigned int round, batched[4] = { };

	if (there >= nr_cpu_ids)
		kunit_skip(test, "needs two processors");

	for (round = 0; round < 256 && (batched[0] < 4 || batched[1] < 4 ||
					batched[2] < 4 || batched[3] < 4); round++) {
		struct extract_work work = { .file = file, .accessed = round & 1 };
		struct folio *folio = insert_folio(test, file, 0, round);
		bool own = round & 2;
		int ret;

		work.folio = folio;
		batched[round & 3] += extract_batch(test, &work, there);

		work_on_cpu(own ? there : here, extract_work, &work);
		ret = PTR_ERR_OR_ZERO(work.folio);
		if (own) {
			KUNIT_EXPECT_EQ(test, ret, 0);
		} else if (ret) {
			KUNIT_ASSERT_EQ(test, ret, -EBUSY);
			/* It is as good as before, and can be read. */
			extract_expect_refused(test, file, folio, 0, 1, NUMA_NO_NODE,
					       EXTRACT_GFP, -EAGAIN, "in a batch");
			insert_expect_read(test, file, 0, 0, round);
		} else {
			/* Drained in the meantime */
			batched[round & 3] -= work.batched;
		}
		if (ret)
			work.folio = shmem_extract_folio(file, 0, 0, NUMA_NO_NODE,
							 EXTRACT_GFP);
		KUNIT_ASSERT_PTR_EQ(test, work.folio, folio);
		KUNIT_ASSERT_EQ(test, 0,
				kunit_add_action_or_reset(test, insert_put, folio));
		KUNIT_EXPECT_TRUE(test, insert_intact(folio, round));
		extract_expect_fresh(test, file, folio, "from a batch");
		kunit_release_action(test, insert_put, folio);
	}
	KUNIT_EXPECT_GE(test, batched[0], 4);
	KUNIT_EXPECT_GE(test, batched[1], 4);
	KUNIT_EXPECT_GE(test, batched[2], 4);
	KUNIT_EXPECT_GE(test, batched[3], 4);
}

struct extract_hog {
	bool started;
	bool stop;
	bool gave_up;
};

/* Nothing else runs on its CPU, not even a worker of the highest priority. */
static int extract_hog(void *data)
{
	struct extract_hog *hog = data;
	unsigned long end;

	preempt_disable();
	WRITE_ONCE(hog->started, true);
	end = jiffies + 10 * HZ;
	while (!READ_ONCE(hog->stop) && time_before(jiffies, end))
		cpu_relax();
	WRITE_ONCE(hog->gave_up, !READ_ONCE(hog->stop));
	preempt_enable();

	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);

	return 0;
}

static void extract_cpu_that_never_schedules(struct kunit *test)
{
	struct file *file = extract_file(test, insert_always, 1);
	unsigned int here = cpumask_first(cpu_online_mask);
	unsigned int there = cpumask_next(here, cpu_online_mask);
	struct extract_work work = { .file = file };
	struct extract_hog hog = { };
	struct task_struct *task;
	struct folio *folio;
	unsigned int tries;

	if (there >= nr_cpu_ids)
		kunit_skip(test, "needs two processors");

	/* Not where nothing else is going to run */
	KUNIT_ASSERT_EQ(test, 0, set_cpus_allowed_ptr(current, cpumask_of(here)));

	for (tries = 0; ; tries++) {
		folio = insert_folio(test, file, 0, tries);
		work.folio = folio;
		if (extract_batch(test, &work, there) || tries == 64)
			break;
		shmem_truncate_range(file_inode(file), 0, -1);
	}

	task = kthread_create(extract_hog, &hog, "extract_hog");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	kthread_bind(task, there);
	get_task_struct(task);
	wake_up_process(task);
	while (!READ_ONCE(hog.started))
		schedule_timeout_uninterruptible(1);

	work_on_cpu(here, extract_work, &work);
	WRITE_ONCE(hog.stop, true);
	kthread_stop(task);
	put_task_struct(task);

	KUNIT_EXPECT_FALSE_MSG(test, hog.gave_up, "waited for CPU %u", there);
	KUNIT_EXPECT_EQ(test, PTR_ERR_OR_ZERO(work.folio), -EBUSY);
	if (!IS_ERR(work.folio)) {
		folio_put(work.folio);
		return;
	}

	lru_add_drain_all();
	KUNIT_EXPECT_PTR_EQ(test, folio, extract_ok(test, file, 0, 0, EXTRACT_GFP));
	KUNIT_EXPECT_TRUE(test, insert_intact(folio, tries));
}

static long extract_free_pages(void)
{
	lru_add_drain_all();
	drain_all_pages(NULL);

	return global_zone_page_state(NR_FREE_PAGES);
}

/* Did the racer get it, with all of its bytes? Drops it then. */
static bool extract_won(struct kunit *test, struct extract_racer *racer, u64 seed)
{
	struct folio *folio = racer->folio;

	if (IS_ERR(folio)) {
		if (PTR_ERR(folio) != -EBUSY)
			KUNIT_EXPECT_EQ(test, PTR_ERR(folio), -ENOENT);
		return false;
	}

	KUNIT_EXPECT_EQ(test, folio_order(folio), racer->order);
	KUNIT_EXPECT_TRUE(test, insert_intact(folio, seed));
	extract_expect_fresh(test, racer->file, folio, "won");
	folio_put(folio);

	return true;
}

static void extract_one_winner(struct kunit *test)
{
	unsigned int round, orders[] = { 0, min(insert_max_order(), 4U) };
	struct file *file = extract_file(test, insert_always, 16);
	struct extract_counters base;

	extract_get_counters(&base, file);
	for (round = 0; round < 100; round++) {
		atomic_t ready = ATOMIC_INIT(0);
		unsigned int order = orders[round & 1];
		struct extract_racer racers[2] = {
			{ .kind = EXTRACT_IT, .file = file, .order = order,
			  .ready = &ready },
			{ .kind = EXTRACT_IT, .file = file, .order = order,
			  .ready = &ready },
		};
		unsigned int winners = 0;

		extract_insert(test, file, order, 0, round);
		extract_start(test, &racers[1]);
		extract_racer_acts(&racers[0]);
		extract_join(&racers[1]);

		winners += extract_won(test, &racers[0], round);
		winners += extract_won(test, &racers[1], round);
		KUNIT_EXPECT_LE(test, winners, 1);
		/* Both may back off, but then it is still there. */
		if (!winners)
			extract_expect_all(test, file, 0, 1UL << order, round);
		KUNIT_EXPECT_EQ(test, file->f_mapping->nrpages, 0);
	}
	extract_expect_counters(test, file, &base, "two at once");
}

static void extract_hole_punch(struct kunit *test)
{
	unsigned int round, max = insert_2mib_order(), orders[] = { 0, max, 2 };
	struct file *file = extract_file(test, insert_always, 1UL << max);
	unsigned int won = 0, lost = 0;
	struct extract_counters base;
	long leaked = 0;

	extract_get_counters(&base, file);
	for (round = 0; round < 150; round++) {
		unsigned int order = min(orders[round % ARRAY_SIZE(orders)], max);
		atomic_t ready = ATOMIC_INIT(0);
		struct extract_racer punch = {
			.kind = EXTRACT_PUNCH, .file = file, .end = -1,
			.ready = &ready, .delay = round % 8 * 100,
		};
		struct extract_racer extract = {
			.kind = EXTRACT_IT, .file = file, .order = order,
			.ready = &ready,
		};

		/* The first rounds warm up what is allocated once. */
		if (round == 6)
			leaked = extract_free_pages();
		extract_insert(test, file, order, 0, round);
		lru_add_drain();
		extract_start(test, &punch);
		extract_racer_acts(&extract);
		extract_join(&punch);

		if (extract_won(test, &extract, round))
			won++;
		else
			lost++;
		/* Either of them has taken it. */
		KUNIT_EXPECT_NULL(test, xa_load(&file->f_mapping->i_pages, 0));
		KUNIT_EXPECT_EQ(test, file->f_mapping->nrpages, 0);
		KUNIT_EXPECT_EQ(test, file_inode(file)->i_blocks, 0);
	}
	leaked -= extract_free_pages();
	extract_expect_counters(test, file, &base, "punched");
	kunit_info(test, "extraction won %u times, truncation %u times", won, lost);
	/* A dozen of the 48 large folios would be seen, what others use not. */
	KUNIT_EXPECT_LT(test, leaked, 24L << (20 - PAGE_SHIFT));
}

/*
 * Takes all out of a range of which the second page was punched out: a hole if
 * the folio could be split for that, else it is full of zeroes in a whole folio.
 */
static void extract_expect_punched(struct kunit *test, struct file *file,
				   pgoff_t nr, u64 seed)
{
	unsigned long page, pages;
	pgoff_t i;

	for (i = 0; i < nr; i += pages) {
		struct folio *folio;
		int bad = 0;

		pages = 1;
		if (i == 1 && !xa_load(&file->f_mapping->i_pages, i))
			continue;

		folio = extract_patiently(test, file, i, 0);
		pages = folio_nr_pages(folio);
		for (page = 0; page < pages; page++) {
			if (i + page != 1) {
				bad += insert_differs(folio, page, i + page, seed);
			} else {
				void *p = kmap_local_folio(folio, page * PAGE_SIZE);

				bad += !!memchr_inv(p, 0, PAGE_SIZE);
				kunmap_local(p);
			}
		}
		KUNIT_EXPECT_EQ_MSG(test, bad, 0, "from page %lu on", i);
		kunit_release_action(test, insert_put, folio);
	}
}

/* One page of many is punched out; the folio may be split for that. */
static void extract_partial_punch(struct kunit *test)
{
	unsigned int round, max = insert_2mib_order(), orders[] = { 2, max };
	struct file *file = extract_file(test, insert_always, 1UL << max);
	struct extract_counters base;

	if (max < 2)
		kunit_skip(test, "needs large folios");

	extract_get_counters(&base, file);
	for (round = 0; round < 40; round++) {
		unsigned int order = orders[round & 1];
		atomic_t ready = ATOMIC_INIT(0);
		struct extract_racer punch = {
			.kind = EXTRACT_PUNCH, .file = file, .ready = &ready,
			.delay = round % 8 * 100, .start = PAGE_SIZE, .end = 2 * PAGE_SIZE - 1,
		};
		struct extract_racer extract = {
			.kind = EXTRACT_IT, .file = file, .order = order,
			.ready = &ready,
		};
		struct folio *folio;
		unsigned long i, nr = 1UL << order;

		extract_insert(test, file, order, 0, round);
		lru_add_drain();
		extract_start(test, &punch);
		extract_racer_acts(&extract);
		extract_join(&punch);

		folio = extract.folio;
		if (!IS_ERR(folio)) {
			int bad = 0;

			for (i = 0; i < nr; i++)
				bad += i != 1 && insert_differs(folio, i, i, round);
			KUNIT_EXPECT_EQ(test, bad, 0);
			if (insert_differs(folio, 1, 1, round)) {
				void *p = kmap_local_folio(folio, PAGE_SIZE);

				KUNIT_EXPECT_NULL(test, memchr_inv(p, 0, PAGE_SIZE));
				kunmap_local(p);
			}
			extract_expect_fresh(test, file, folio, "punched");
			folio_put(folio);
			KUNIT_EXPECT_EQ(test, file->f_mapping->nrpages, 0);
			continue;
		}

		if (PTR_ERR(folio) != -EBUSY)
			KUNIT_EXPECT_EQ(test, PTR_ERR(folio), -EAGAIN);
		extract_expect_punched(test, file, nr, round);
		KUNIT_EXPECT_EQ(test, file->f_mapping->nrpages, 0);
	}
	extract_expect_counters(test, file, &base, "punched");
}

struct extract_disturber {
	struct file *file;
	unsigned int max;
	unsigned int rounds;
	unsigned int migrated;
	bool refused;		/* there was no memory to migrate to */
};

static struct folio *extract_migrate_to(struct folio *src, unsigned long private)
{
	struct extract_disturber *disturber = (void *)private;
	struct folio *folio;

	folio = shmem_alloc_detached_folio(disturber->file, folio_order(src),
					   NUMA_NO_NODE, EXTRACT_GFP);
	if (!folio)
		WRITE_ONCE(disturber->refused, true);

	return folio;
}

/* Use a folio the way compaction, reclaim and pfn walkers do */
static int extract_disturb(void *data)
{
	struct extract_disturber *disturber = data;
	struct address_space *mapping = disturber->file->f_mapping;

	for (; !kthread_should_stop(); disturber->rounds++) {
		pgoff_t index = (pgoff_t)(disturber->rounds % 3) << disturber->max;
		struct folio *folio = filemap_get_folio(mapping, index);
		unsigned int migrated = 0;
		LIST_HEAD(list);

		cond_resched();
		if (IS_ERR(folio))
			continue;

		switch (disturber->rounds / 3 % 5) {
		case 0:
			folio_put(folio);
			break;
		case 1:
			if (folio_isolate_lru(folio)) {
				cond_resched();
				folio_putback_lru(folio);
			}
			folio_put(folio);
			break;
		case 2:
			folio_lock(folio);
			cond_resched();
			folio_unlock(folio);
			folio_put(folio);
			break;
		case 3:
			folio_mark_accessed(folio);
			folio_put(folio);
			break;
		default:
			if (isolate_folio_to_list(folio, &list)) {
				folio_put(folio);
				if (migrate_pages(&list, extract_migrate_to, NULL,
						  (unsigned long)disturber,
						  MIGRATE_SYNC, MR_COMPACTION,
						  &migrated))
					putback_movable_pages(&list);
				disturber->migrated += migrated;
			} else {
				folio_put(folio);
			}
		}
	}

	return 0;
}

static void extract_discard(struct file *file, pgoff_t index, unsigned int order)
{
	loff_t start = (loff_t)index << PAGE_SHIFT;

	shmem_truncate_range(file_inode(file), start, start + (PAGE_SIZE << order) - 1);
}

static void extract_migration(struct kunit *test)
{
	unsigned int i, round, max = insert_2mib_order();
	unsigned int orders[] = { 0, min(max, 2U), max };
	struct file *file = extract_file(test, insert_always, 3UL << max);
	struct extract_disturber disturber = { .file = file, .max = max };
	struct extract_counters base;
	struct task_struct *task;
	bool intact = true;

	extract_get_counters(&base, file);
	task = kthread_run(extract_disturb, &disturber, "extract_disturb");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);

	/* No assertion may leave the thread behind. */
	for (round = 0; intact && round < 2000 &&
	     (round < 40 || disturber.migrated < 10); round++) {
		for (i = 0; intact && i < ARRAY_SIZE(orders); i++) {
			pgoff_t index = (pgoff_t)i << max;
			unsigned int tries, moved = disturber.migrated;
			struct folio *folio, *out = NULL;
			int ret = -EBUSY;

			folio = shmem_alloc_detached_folio(file, orders[i],
							   NUMA_NO_NODE, EXTRACT_GFP);
			if (!folio)
				continue;
			insert_fill(folio, round);
			for (tries = 0; ret == -EBUSY && tries < EXTRACT_PATIENCE;
			     tries++)
				ret = shmem_insert_folio(file, folio, index, GFP_KERNEL);
			folio_put(folio);
			KUNIT_EXPECT_EQ(test, ret, 0);

			/* Give the others time. */
			for (tries = 0; round & 1 && tries < 100 &&
			     moved == disturber.migrated; tries++)
				cond_resched();

			ret = -EBUSY;
			for (tries = 0; ret == -EBUSY && tries < EXTRACT_PATIENCE;
			     tries++) {
				out = shmem_extract_folio(file, index, orders[i],
							  NUMA_NO_NODE, EXTRACT_GFP);
				ret = PTR_ERR_OR_ZERO(out);
				extract_wait(tries + 1);
			}
			/* Migration splits what it finds no memory for. */
			if (ret == -EAGAIN && READ_ONCE(disturber.refused)) {
				extract_discard(file, index, orders[i]);
				continue;
			}
			KUNIT_EXPECT_EQ(test, ret, 0);
			intact = !ret && insert_intact(out, round);
			KUNIT_EXPECT_TRUE_MSG(test, intact, "round %u, order %u",
					      round, orders[i]);
			if (!ret) {
				KUNIT_EXPECT_EQ(test, folio_order(out), orders[i]);
				KUNIT_EXPECT_EQ(test, extract_flags(out, 0) &
						~BIT(PG_head), 0);
				folio_put(out);
			}
		}
	}
	kthread_stop(task);

	kunit_info(test, "%u rounds, %u of the other, %u migrations", round,
		   disturber.rounds, disturber.migrated);
	KUNIT_EXPECT_GE(test, disturber.migrated, 10);
	KUNIT_EXPECT_EQ(test, file->f_mapping->nrpages, 0);
	extract_expect_counters(test, file, &base, "disturbed");
}

static struct kunit_case insert_race_cases[] = {
	KUNIT_CASE_SLOW(insert_one_winner),
	{}
};

static struct kunit_suite insert_race_suite = {
	.name = "shmem_insert_race",
	.suite_init = insert_suite_init,
	.suite_exit = insert_suite_exit,
	.test_cases = insert_race_cases,
};

static struct kunit_case extract_race_cases[] = {
	KUNIT_CASE_SLOW(extract_batches),
	KUNIT_CASE_SLOW(extract_cpu_that_never_schedules),
	KUNIT_CASE_SLOW(extract_one_winner),
	KUNIT_CASE_SLOW(extract_migration),
	KUNIT_CASE_SLOW(extract_hole_punch),
	KUNIT_CASE_SLOW(extract_partial_punch),
	{}
};

static struct kunit_suite extract_race_suite = {
	.name = "shmem_extract_race",
	.suite_init = insert_suite_init,
	.suite_exit = insert_suite_exit,
	.test_cases = extract_race_cases,
};

kunit_test_suites(&insert_race_suite, &extract_race_suite);
