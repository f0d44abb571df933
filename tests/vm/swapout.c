// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Swapout by TTM itself, on a device without a shrinker (vttm.shrinker=0), as it is
 * with most drivers: for lack of room below ttm.pages_limit, or because somebody
 * reads ttm/tt_shrink in debugfs.
 */

#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

#define ODD		(5 * MiB + 7 * PAGE)	/* 2 MiB chunks and a tail of small ones */

static bool gone(const struct gpu *g, const struct bo *b)
{
	uint64_t pages = PAGES(b->size);

	return bo_check_where(g, b, 0, pages, zero_copy_get() ? pages : 0);
}

static void round_trip(void)
{
	static const uint64_t sizes[] = {
		PAGE, 13 * PAGE, 2 * MiB, 2 * MiB + PAGE, ODD, 16 * MiB,
	};
	uint64_t active = vmstat("nr_gpu_active");
	uint32_t caching;
	struct gpu g;
	struct bo b;
	size_t i;

	ASSERT(gpu_open(&g));
	for (caching = DRM_VTTM_CACHED; caching <= DRM_VTTM_UC; caching++) {
		for (i = 0; i < ARRAY_LEN(sizes); i++) {
			uint64_t pages = PAGES(sizes[i]);
			uint32_t seed = 100 * (i + 1);

			ASSERT(bo_new(&g, &b, sizes[i], caching, seed));
			ASSERT(shrink_all(pages));
			ASSERT(gone(&g, &b));
			ASSERT(bo_check_map(&b));
			ASSERT(bo_check_where(&g, &b, pages, 0, 0));

			/* other bytes, or what was not written anew would pass */
			ASSERT(bo_fill(&b, seed + 1));
			ASSERT(shrink_all(pages));
			ASSERT(bo_check_engine(&g, &b));
			ASSERT(bo_check_where(&g, &b, pages, 0, 0));
			ASSERT(bo_check_map(&b));
			bo_free(&g, &b);
			ASSERT(active_falls_to(active));
		}
	}
}

/* Many at a time, in swap and nowhere else */
static void through_swap(void)
{
	bool insert = zero_copy_get();
	uint64_t used = swap_used_pages(), in, pages = 0;
	struct backup_counters then = {}, since = {};
	struct gpu g;
	struct bo b[6];
	unsigned int i;

	ASSERT(reclaim_prepare());
	ASSERT(gpu_open(&g));
	for (i = 0; i < ARRAY_LEN(b); i++) {
		ASSERT(bo_new(&g, &b[i], i < 3 ? 8 * MiB : ODD, i % 3, i + 1));
		pages += PAGES(b[i].size);
	}
	backup_counters(&then);
	ASSERT(shrink_all(pages));
	reclaim_all();
	EXPECT_GE(swap_used_pages() - used + SWAP_OTHERS, pages);
	in = vmstat("pswpin");
	for (i = 0; i < ARRAY_LEN(b); i++) {
		if (i & 1)
			EXPECT(bo_check_map(&b[i]));
		else
			EXPECT(bo_check_engine(&g, &b[i]));
	}
	EXPECT_GE(vmstat("pswpin") - in, pages);

	backup_counters_since(&then, &since);
	EXPECT_EQ(since.inserted, insert ? pages : 0);
	EXPECT_EQ(since.copied, 0);
	EXPECT_EQ(restored_pages(&since), insert ? pages : 0);
	/* From a file some or all come in single pages, and are merged. */
	if (insert && swap_kind() < SWAP_FILE)
		EXPECT_EQ(since.restored_copied + since.restored_merged, 0);
	for (i = 0; i < ARRAY_LEN(b); i++) {
		EXPECT(bo_check_map(&b[i]));
		EXPECT(bo_check_engine(&g, &b[i]));
	}
}

/* Three times as much as may be allocated; what is used next finds room. */
static void limit_is_kept(void)
{
	const uint64_t limit = PAGES(24 * MiB), size = 6 * MiB;
	uint64_t most = 0;
	struct gpu g;
	struct bo b[12];
	unsigned int i;

	ASSERT(gpu_open(&g));
	ASSERT(limit_set(limit));
	for (i = 0; i < ARRAY_LEN(b); i++) {
		if (!bo_new(&g, &b[i], size, i % 3, i + 1))
			goto out;
		active_peak(&most);
	}
	limit_check(&g, b, ARRAY_LEN(b), limit, most);
out:
	limit_restore();
}

/*
 * What is swapped out counts as free below the limit, and what is back as in use:
 * however often, it comes to nothing.
 */
static void limit_does_not_drift(void)
{
	const uint64_t limit = PAGES(24 * MiB);
	struct gpu g;
	struct bo b, c;
	unsigned int round;

	ASSERT(gpu_open(&g));
	ASSERT(limit_set(limit));
	if (!bo_new(&g, &b, 20 * MiB, DRM_VTTM_WC, 1))
		goto out;
	/* 20 MiB each time would be much more than the limit */
	for (round = 0; round < 10; round++) {
		EXPECT(shrink_all(PAGES(b.size)));
		if (!round) {
			if (!bo_new(&g, &c, 20 * MiB, DRM_VTTM_CACHED, 2))
				goto out;
			EXPECT(gone(&g, &b));
			EXPECT(shrink_all(PAGES(c.size)));
			bo_free(&g, &c);
		}
		EXPECT(bo_check_map(&b));
	}
	/* There is room for as much as at first beside it: nothing has to go. */
	EXPECT(bo_new(&g, &c, 3 * MiB, DRM_VTTM_CACHED, 3));
	EXPECT(bo_check_where(&g, &b, PAGES(b.size), 0, 0));
	/* And for no more than that. */
	bo_free(&g, &c);
	EXPECT(bo_new(&g, &c, 5 * MiB, DRM_VTTM_CACHED, 4));
	EXPECT(gone(&g, &b));
	EXPECT(bo_check_map(&b));
	EXPECT(bo_check_map(&c));
out:
	limit_restore();
}

static void needs_no_memory(void)
{
	struct gpu g;
	struct bo b;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, 64 * MiB, DRM_VTTM_CACHED, 1));
	swapout_check_memory(&b, !zero_copy_get());
}

static void on_alarm(int sig)
{
	(void)sig;
}

/* Faults on what is swapped out, with a signal coming every few milliseconds */
static void signal_storm(void)
{
	const struct itimerval often = { { 0, 3000 }, { 0, 3000 } }, never = {};
	struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	struct gpu g;
	struct bo b;
	unsigned int round;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, 16 * MiB + 13 * PAGE, DRM_VTTM_WC, 1));
	ASSERT(!sigaction(SIGALRM, &sa, NULL));
	for (round = 0; round < 6; round++) {
		ASSERT(shrink_all(PAGES(b.size)));
		if (round & 1)
			reclaim_all();
		ASSERT(!setitimer(ITIMER_REAL, &often, NULL));
		if (round % 3)
			EXPECT(bo_check_map(&b));
		else
			EXPECT(bo_check_engine(&g, &b));
		ASSERT(!setitimer(ITIMER_REAL, &never, NULL));
		EXPECT(bo_check_where(&g, &b, PAGES(b.size), 0, 0));
	}
}

/* What nobody wants any more is not read again; ktap_run() looks for the rest. */
static void destroyed(void)
{
	uint64_t in;
	struct gpu g;
	struct bo b[4];
	unsigned int i;

	ASSERT(reclaim_prepare());
	ASSERT(gpu_open(&g));
	for (i = 0; i < ARRAY_LEN(b); i++)
		ASSERT(bo_new(&g, &b[i], ODD, i % 3, i + 1));
	ASSERT(shrink_all(ARRAY_LEN(b) * PAGES(ODD)));
	reclaim_all();
	in = vmstat("pswpin");
	for (i = 0; i < ARRAY_LEN(b); i++)
		bo_free(&g, &b[i]);
	EXPECT_LE(vmstat("pswpin") - in, SWAP_OTHERS);
}

/* The device's own way out is shut: TTM's is the only one. */
static void no_shrinker(void)
{
	char path[64];
	struct gpu g;
	struct bo b;

	ASSERT(!vttm_has_shrinker());

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, ODD, DRM_VTTM_WC, 1));
	reclaim_all();
	snprintf(path, sizeof(path), "/sys/kernel/debug/dri/%u/shrink", g.minor);
	write_file(path, "%" PRIu64, PAGES(b.size));
	EXPECT(bo_check_where(&g, &b, PAGES(b.size), 0, 0));
	EXPECT(shrink_all(PAGES(b.size)));
	EXPECT(gone(&g, &b));
	EXPECT(bo_check_map(&b));
}

/* Several processes over the limit, all swapping each other's buffers out */
static void compete(void *arg)
{
	unsigned int id = *(unsigned int *)arg, i, round;
	struct gpu g;
	struct bo b[5];

	ASSERT(gpu_open(&g));
	for (i = 0; i < ARRAY_LEN(b); i++)
		ASSERT(bo_new(&g, &b[i], 3 * MiB + id * PAGE, (id + i) % 3, 10 * id + i));
	for (round = 0; round < 4; round++)
		for (i = 0; i < ARRAY_LEN(b); i++)
			EXPECT(i & 1 ? bo_check_map(&b[i]) : bo_check_engine(&g, &b[i]));
}

static void competition(void)
{
	unsigned int id, nr = 4;
	pid_t pid[4];

	ASSERT(limit_set(PAGES(20 * MiB)));
	for (id = 0; id < nr; id++) {
		pid[id] = fork_or_die();
		if (!pid[id]) {
			test_failures = 0;
			compete(&id);
			fflush(stdout);
			_exit(!!test_failures);
		}
	}
	for (id = 0; id < nr; id++) {
		int status;

		EXPECT(waitpid(pid[id], &status, 0) == pid[id] && !status);
	}
	limit_restore();
}

static const struct test tests[] = {
	{ "c63_c101_no_shrinker", no_shrinker },
	{ "c63_c91_swapped_out_and_back", round_trip },
	{ "c63_c91_through_swap", through_swap },
	{ "c91_swapout_needs_no_memory", needs_no_memory },
	{ "c93_limit_is_kept", limit_is_kept },
	{ "c93_limit_does_not_drift", limit_does_not_drift },
	{ "c93_limit_with_competition", competition },
	{ "c96_signal_storm", signal_storm },
	{ "c97_destroyed_while_in_swap", destroyed },
};

static const struct test tests_copy[] = {
	{ "c92_swapped_out_and_back_by_a_copy", round_trip },
	{ "c92_through_swap_by_a_copy", through_swap },
	{ "c92_swapout_by_a_copy_needs_memory", needs_no_memory },
	{ "c93_limit_is_kept_by_a_copy", limit_is_kept },
};

int main(void)
{
	mount_all();
	return run_by_swap(TEST_TABLE(tests), TEST_TABLE(tests), TEST_TABLE(tests),
			   TEST_TABLE(tests), TEST_TABLE(tests_copy));
}
