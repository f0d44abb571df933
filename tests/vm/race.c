// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * race [SEED]
 *
 * Backup and restore of the same buffers at the same time, while others turn
 * swap off and on, compact memory, drop caches, push to swap, and destroy and
 * create buffers. Every byte that is read is checked. What is done follows from
 * the seed and ends after so many operations; how it interleaves is up to the
 * machine.
 */

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fixture.h"

#define BUFFERS		6
#define USERS		2
#define SHRINKERS	2
#define MAX_THREADS	(USERS + SHRINKERS + 1)

struct shared {
	struct bo b;
	/* for reading: its bytes stay what they are, and it stays */
	pthread_rwlock_t lock;
};

enum disturbance {
	SWAP_OFF_ON	= 1 << 0,
	COMPACT		= 1 << 1,
	DROP_CACHES	= 1 << 2,
	PUSH_OUT	= 1 << 3,
	DESTROY		= 1 << 4,	/* by the users, and purge */
};

static struct {
	struct gpu g;
	struct shared buf[BUFFERS];
	struct swap_list swaps;
	unsigned int disturb;
	unsigned int user_ops, shrink_ops, disturb_ops;
	unsigned int next_seed;
	unsigned int users;		/* that are not done yet */
} race;

static uint64_t seed = 1;

struct worker {
	pthread_t thread;
	uint64_t rnd;
	unsigned int done[8];
};

static uint32_t rnd(struct worker *w, uint32_t limit)
{
	return (xorshift(&w->rnd) >> 33) % limit;
}

static uint32_t new_seed(void)
{
	return __atomic_add_fetch(&race.next_seed, 1, __ATOMIC_RELAXED);
}

static bool buffer_new(struct worker *w, struct shared *s)
{
	static const uint64_t sizes[] = {
		PAGE, 100 * KiB, 2 * MiB, 2 * MiB + 3 * PAGE, 4 * MiB,
		3 * MiB + 5 * PAGE,
	};

	return bo_new(&race.g, &s->b, sizes[rnd(w, ARRAY_LEN(sizes))], rnd(w, 3),
		      new_seed());
}

static bool check_page(struct worker *w, const struct bo *b)
{
	uint64_t nr = rnd(w, PAGES(b->size));
	uint8_t want[PAGE];
	uint32_t v;

	if (!peek32(b->map + nr * PAGE, &v)) {
		FAIL("SIGBUS at page %" PRIu64, nr);
		return false;
	}
	pattern_page(test_source(), b->seed, nr, want);
	if (!memcmp(b->map + nr * PAGE, want, PAGE))
		return true;
	FAIL("%s buffer %u: page %" PRIu64 " is wrong", caching_name(b->caching),
	     b->seed, nr);
	return false;
}

static bool user_op(struct worker *w)
{
	struct shared *s = &race.buf[rnd(w, BUFFERS)];
	unsigned int what = rnd(w, 16);
	bool ok;

	if (what < 13) {
		pthread_rwlock_rdlock(&s->lock);
		if (what < 4) {
			w->done[0]++;
			ok = bo_check_map(&s->b);
		} else if (what < 8) {
			w->done[1]++;
			ok = bo_check_engine(&race.g, &s->b);
		} else {
			w->done[2]++;
			ok = check_page(w, &s->b);
		}
	} else {
		pthread_rwlock_wrlock(&s->lock);
		if (what == 13 || !(race.disturb & DESTROY)) {
			w->done[3]++;
			ok = bo_fill(&s->b, new_seed());
		} else {
			w->done[4]++;
			/* half of them purged first */
			if (what == 14)
				EXPECT_OK(vttm_madvise(race.g.fd, s->b.handle,
						       DRM_VTTM_MADV_DONTNEED,
						       NULL));
			bo_free(&race.g, &s->b);
			ok = buffer_new(w, s);
		}
	}
	pthread_rwlock_unlock(&s->lock);
	return ok;
}

static void *user_run(void *arg)
{
	struct worker *w = arg;
	unsigned int i;

	for (i = 0; i < race.user_ops && user_op(w); i++)
		;
	__atomic_sub_fetch(&race.users, 1, __ATOMIC_RELEASE);
	return NULL;
}

static void *shrinker_run(void *arg)
{
	struct worker *w = arg;
	uint64_t pages;
	int ret;

	/* attempts that find all in use do not count, so the users set the end */
	while (w->done[0] < race.shrink_ops &&
	       __atomic_load_n(&race.users, __ATOMIC_ACQUIRE)) {
		pages = 1 + rnd(w, 2048);
		ret = vttm_shrink(race.g.minor, pages, rnd(w, 2), NULL);
		/* all are in use; no swap just now */
		if (ret && ret != -EBUSY && ret != -ENOSPC) {
			FAIL("shrink of %" PRIu64 " pages: %s", pages,
			     strerror(-ret));
			break;
		}
		w->done[0] += !ret;
		/* or the users would never get to the end of a buffer */
		usleep(rnd(w, 4000));
	}
	return NULL;
}

static void disturb_op(struct worker *w)
{
	unsigned int what;
	int ret = 0;

	do {
		what = rnd(w, 4);
	} while (!(race.disturb & 1u << what));
	w->done[what]++;
	switch (1u << what) {
	case SWAP_OFF_ON:
		ret = swap_all_off(&race.swaps, 120);
		usleep(rnd(w, 5000));
		if (!ret)
			ret = swap_all_on(&race.swaps);
		if (ret)
			FAIL("swapoff, swapon: %s", strerror(-ret));
		break;
	case COMPACT:
		EXPECT_OK(write_file("/proc/sys/vm/compact_memory", "1"));
		break;
	case DROP_CACHES:
		EXPECT_OK(write_file("/proc/sys/vm/drop_caches", "3"));
		break;
	case PUSH_OUT:
		/* as much as there is, which is less */
		ret = reclaim(1u << (20 + rnd(w, 5)));
		if (ret && ret != -EAGAIN)
			FAIL("memory.reclaim: %s", strerror(-ret));
		break;
	}
}

static void *disturber_run(void *arg)
{
	struct worker *w = arg;
	unsigned int i;

	for (i = 0; i < race.disturb_ops; i++) {
		disturb_op(w);
		usleep(rnd(w, 20000));
	}
	return NULL;
}

static void run(unsigned int disturb, unsigned int user_ops,
		unsigned int shrink_ops, unsigned int disturb_ops)
{
	static struct worker w[MAX_THREADS];
	struct backup_counters then, c;
	unsigned int i, n, thread = 0;
	pthread_attr_t attr;

	race.disturb = disturb;
	race.user_ops = user_ops;
	race.shrink_ops = shrink_ops;
	race.disturb_ops = disturb_ops;
	race.next_seed = 1000 * disturb;
	race.users = USERS;
	ASSERT(reclaim_prepare());
	ASSERT(gpu_open(&race.g));
	swap_list(&race.swaps);
	ASSERT_GT(race.swaps.nr, 0);
	backup_counters(&then);
	for (i = 0; i < MAX_THREADS; i++) {
		memset(&w[i], 0, sizeof(w[i]));
		w[i].rnd = (seed * MAX_THREADS + i + 1) * 0x9e3779b97f4a7c15ull;
	}
	for (i = 0; i < BUFFERS; i++) {
		pthread_rwlock_init(&race.buf[i].lock, NULL);
		ASSERT(buffer_new(&w[0], &race.buf[i]));
	}
	/* all memory of the test is locked, stacks too: no need for 8 MiB */
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 256 * KiB);
	for (i = 0; i < USERS; i++, thread++)
		ASSERT(!pthread_create(&w[thread].thread, &attr, user_run,
				       &w[thread]));
	for (i = 0; i < SHRINKERS; i++, thread++)
		ASSERT(!pthread_create(&w[thread].thread, &attr, shrinker_run,
				       &w[thread]));
	ASSERT(!pthread_create(&w[thread].thread, &attr, disturber_run,
			       &w[thread]));
	for (i = 0; i < MAX_THREADS; i++)
		pthread_join(w[i].thread, NULL);

	for (i = 0; i < BUFFERS; i++) {
		EXPECT(bo_check_map(&race.buf[i].b));
		EXPECT(bo_check_engine(&race.g, &race.buf[i].b));
		bo_free(&race.g, &race.buf[i].b);
	}
	backup_counters_since(&then, &c);
	for (i = 1; i < USERS; i++)
		for (n = 0; n < ARRAY_LEN(w[0].done); n++)
			w[0].done[n] += w[i].done[n];
	test_note("seed %" PRIu64 ": %u buffers read by the CPU, %u by the engine, %u pages looked at, %u filled, %u destroyed",
		  seed, w[0].done[0], w[0].done[1], w[0].done[2], w[0].done[3],
		  w[0].done[4]);
	test_note("%u times backed up; swap off and on %u times, compaction %u, drop_caches %u, pushed out %u",
		  w[USERS].done[0] + w[USERS + 1].done[0],
		  w[thread].done[0], w[thread].done[1], w[thread].done[2],
		  w[thread].done[3]);
	test_note("pages: %" PRIu64 " inserted, %" PRIu64 " copied out; %" PRIu64 " extracted, %" PRIu64 " adopted, %" PRIu64 " copied back; refused: %" PRIu64 " and %" PRIu64,
		  c.inserted, c.copied, c.restored_extracted, c.restored_adopted,
		  c.restored_copied, c.refused, c.extract_refused);
	/* or they missed each other and this proved nothing */
	EXPECT_GT(c.inserted, 0);
	EXPECT_GT(c.restored_extracted, 0);
}

static void swapoff_race(void)
{
	run(SWAP_OFF_ON | PUSH_OUT, 60, 20, 15);
}

static void compaction_race(void)
{
	run(COMPACT | DROP_CACHES | PUSH_OUT, 60, 20, 20);
}

static void destroy_race(void)
{
	run(PUSH_OUT | DROP_CACHES | DESTROY, 60, 20, 20);
}

static void all_race(void)
{
	run(SWAP_OFF_ON | COMPACT | DROP_CACHES | PUSH_OUT | DESTROY, 80, 30, 25);
}

static const struct test tests[] = {
	{ "c40_backup_and_restore_against_swapoff", swapoff_race },
	{ "c41_backup_and_restore_against_compaction", compaction_race },
	{ "c42_backup_and_restore_against_destruction", destroy_race },
	{ "c40_c41_c42_all_at_once", all_race },
};

int main(int argc, char **argv)
{
	if (argc > 1)
		seed = strtoull(argv[1], NULL, 0);
	return ktap_run(tests, ARRAY_LEN(tests));
}
