// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Real memory pressure: more GPU memory than RAM, so that the shrinker runs
 * from everybody's allocations, its owners' and others'.
 */

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

#define MAX_BOS	256

struct load {
	uint64_t bytes;
	uint32_t seed;
	unsigned int rounds;
};

static uint64_t ram(void)
{
	return meminfo_kib("MemTotal") * KiB;
}

/* Buffers in every caching; rewritten, replaced and read for some rounds. */
static void load(void *arg)
{
	static const uint64_t sizes[] = {
		4 * MiB, 300 * KiB, 2 * MiB, 7 * MiB + 5 * PAGE, PAGE,
	};
	const struct load *l = arg;
	static struct bo b[MAX_BOS];
	uint64_t total = 0;
	unsigned int nr, i, round;
	struct gpu g;

	ASSERT(gpu_open(&g));
	for (nr = 0; nr < MAX_BOS && total < l->bytes; nr++) {
		ASSERT(bo_new(&g, &b[nr], sizes[nr % ARRAY_LEN(sizes)],
			      (nr + l->seed) % 3, l->seed + nr));
		total += b[nr].size;
	}
	ASSERT_GE(total, l->bytes);
	for (round = 0; round < l->rounds; round++) {
		for (i = 0; i < nr; i++) {
			if ((i + round) & 1)
				ASSERT(bo_check_engine(&g, &b[i]));
			else
				ASSERT(bo_check_map(&b[i]));
			if ((i + round) % 5 == 0)
				ASSERT(bo_fill(&b[i], b[i].seed + 1000));
			if ((i + round) % 7 == 0) {
				uint64_t size = b[i].size;
				uint32_t seed = b[i].seed + 2000;

				bo_free(&g, &b[i]);
				ASSERT(bo_new(&g, &b[i], size, i % 3, seed));
			}
		}
	}
}

static void load_start(pid_t *pid, const struct load *l)
{
	fflush(stdout);
	*pid = fork();
	if (!*pid) {
		test_failures = 0;
		load((void *)l);
		fflush(stdout);
		_exit(test_failures ? 1 : 0);
	}
}

static bool load_end(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return false;
	if (WIFSIGNALED(status))
		test_note("killed by signal %d", WTERMSIG(status));
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

static void two_processes(void)
{
	uint64_t oom = vmstat("oom_kill"), total = ram();
	struct load a = { .bytes = total * 6 / 10, .seed = 10000, .rounds = 2 };
	struct load b = { .bytes = total * 6 / 10, .seed = 50000, .rounds = 2 };
	struct backup_counters then, c;
	pid_t pa, pb;

	backup_counters(&then);
	load_start(&pa, &a);
	load_start(&pb, &b);
	EXPECT(load_end(pa));
	EXPECT(load_end(pb));
	backup_counters_since(&then, &c);
	/* or there was no pressure and this proved nothing */
	EXPECT_GT(c.inserted, 0);
	EXPECT_GT(c.restored_extracted + c.restored_copied, 0);
	EXPECT_EQ(c.copied, 0);
	EXPECT_EQ(vmstat("oom_kill"), oom);
	test_note("%" PRIu64 " pages inserted, %" PRIu64 " extracted, %" PRIu64 " copied back, %" PRIu64 " folios refused",
		  c.inserted, c.restored_extracted, c.restored_copied, c.refused);
}

/* The GPU's memory makes way for a process that has nothing to do with it. */
static void anon(void *arg)
{
	uint64_t len = *(uint64_t *)arg, p;
	uint8_t *m, want[PAGE];

	m = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		 -1, 0);
	ASSERT(m != MAP_FAILED);
	for (p = 0; p < len / PAGE; p++)
		pattern_page(test_source(), 4242, p, m + p * PAGE);
	for (p = 0; p < len / PAGE; p++) {
		pattern_page(test_source(), 4242, p, want);
		ASSERT(!memcmp(m + p * PAGE, want, PAGE));
	}
}

static void makes_way(void)
{
	uint64_t len = ram() * 6 / 10, total = 0, oom = vmstat("oom_kill");
	static struct bo b[MAX_BOS];
	struct backup_counters then, c;
	unsigned int nr, i;
	struct gpu g;

	ASSERT(gpu_open(&g));
	backup_counters(&then);
	for (nr = 0; nr < MAX_BOS && total < len; nr++) {
		ASSERT(bo_new(&g, &b[nr], nr & 1 ? 4 * MiB : 1 * MiB + PAGE,
			      nr % 3, nr + 1));
		total += b[nr].size;
	}
	EXPECT(ktap_child(anon, &len));
	backup_counters_since(&then, &c);
	EXPECT_GT(c.inserted, 0);
	for (i = 0; i < nr; i++) {
		EXPECT(bo_check_map(&b[i]));
		EXPECT(bo_check_engine(&g, &b[i]));
	}
	EXPECT_EQ(vmstat("oom_kill"), oom);
}

/* Leaving in the middle, with memory in every state, gives all of it back. */
static void exit_early(void)
{
	struct load a = { .bytes = ram() * 11 / 10, .seed = 90000, .rounds = 0 };
	pid_t pid;

	load_start(&pid, &a);
	EXPECT(load_end(pid));
}

static const struct test tests[] = {
	{ "c46_two_processes_over_ram", two_processes },
	{ "c25_buffers_make_way_for_anon_memory", makes_way },
	{ "c53_exit_under_pressure_frees_all", exit_early },
};

int main(void)
{
	return ktap_run(tests, ARRAY_LEN(tests));
}
