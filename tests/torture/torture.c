// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * test-torture [--seed N] [--seconds N] [--workers N] [--readers N] [--faults PERCENT]
 *
 * Many processes use buffers in all ways there are, while others shrink the
 * device, take swap away, move limits, compact, drop caches, kill, and read all
 * statistics. Each byte that is read is compared with what was stored there last,
 * and at the end nothing may be in use that was not before.
 *
 * What each process does, and in which order, follows from the seed alone; how
 * that meets is up to the scheduler.
 */

#include <getopt.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "balance.h"
#include "inject.h"
#include "torture.h"

#define MAX_READERS	16

#define USAGE	"usage: test-torture [--seed N] [--seconds N] [--workers N] [--readers N] [--faults PERCENT]"

struct shared *sh;
uint64_t seed;
unsigned int fault_percent;
uint64_t worker_pages = 20 * MiB / PAGE;
static unsigned int seconds = 60, nr_workers = 4, nr_readers;

static pid_t start(void (*fn)(void))
{
	pid_t pid = fork_or_die();

	if (!pid) {
		fn();
		_exit(0);
	}
	return pid;
}

static unsigned long total_ops(void)
{
	unsigned long sum = 0;
	unsigned int i;

	for (i = 0; i < NR_OPS; i++)
		sum += atomic_load(&sh->ops[i]);
	return sum;
}

static void reap_helper(pid_t pid, const char *what)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			die("waitpid: %s", strerror(errno));
	if (status)
		FAIL("%s ended with status %x", what, status);
}

static void run_all(void)
{
	struct rng r = { mix(seed, 3000) };
	uint64_t end = now_ns() + seconds * 1000000000ULL, shown = now_ns();
	pid_t pids[MAX_WORKERS], readers[MAX_READERS], shrinkers[1], disturb;
	unsigned int generations[MAX_WORKERS] = { 0 };
	bool killed[MAX_WORKERS] = { false };
	unsigned int i;

	if (fault_percent)
		inject_start(fault_percent);
	for (slot = 0; slot < nr_workers; slot++)
		pids[slot] = start(worker);
	for (i = 0; i < ARRAY_LEN(shrinkers); i++)
		shrinkers[i] = start(shrinker);
	for (slot = 0; slot < nr_readers; slot++)
		readers[slot] = start(reader);
	disturb = start(disturber);

	while (now_ns() < end && !atomic_load(&sh->stop)) {
		int status;

		usleep(20000 + rng_below(&r, 200000));
		if (rng_one_in(&r, 8)) {
			i = rng_below(&r, nr_workers);
			if (!killed[i] && !kill(pids[i], SIGKILL)) {
				killed[i] = true;
				atomic_fetch_add(&sh->kills, 1);
			}
		}
		for (i = 0; i < nr_workers && !atomic_load(&sh->stop); i++) {
			if (waitpid(pids[i], &status, WNOHANG) != pids[i])
				continue;
			pids[i] = 0;
			if (atomic_load(&sh->stop))
				break;
			if (!killed[i] || !WIFSIGNALED(status)) {
				FAIL("worker %u.%u ended with status %x", i,
				     generations[i], status);
				atomic_store(&sh->stop, true);
				break;
			}
			killed[i] = false;
			slot = i;
			generation = ++generations[i];
			pids[i] = start(worker);
			atomic_fetch_add(&sh->respawns, 1);
		}
		if (now_ns() - shown > 15000000000ULL) {
			test_note("%lu actions, %lu pages checked, %" PRIu64 " pages of swap used",
				  total_ops(), atomic_load(&sh->pages_checked),
				  swap_used_pages());
			shown = now_ns();
		}
	}
	/* what is checked in the end has to be there */
	if (fault_percent)
		inject_stop();
	atomic_store(&sh->stop, true);
	/* shrinking goes on while they finish */
	for (i = 0; i < nr_workers; i++) {
		int status;

		if (pids[i] <= 0)
			continue;
		while (waitpid(pids[i], &status, 0) < 0)
			if (errno != EINTR)
				die("waitpid: %s", strerror(errno));
		if (status && !atomic_load(&sh->failed) &&
		    !(killed[i] && WIFSIGNALED(status)))
			FAIL("worker %u.%u ended with status %x", i,
			     generations[i], status);
	}
	for (i = 0; i < ARRAY_LEN(shrinkers); i++)
		reap_helper(shrinkers[i], "a shrinker");
	for (i = 0; i < nr_readers; i++)
		reap_helper(readers[i], "a reader");
	reap_helper(disturb, "the disturber");
	if (atomic_load(&sh->failed))
		FAIL("something was wrong, see above");
}

static void torture(void)
{
	struct backup_counters then, c;
	uint64_t extracted, adopted, cancelled;
	struct balance before;
	unsigned int i;
	char name[16];

	sh = shared_memory(sizeof(*sh));
	*(volatile char *)sh = 0;
	sh->vram_pages = vttm_vram_size() / PAGE;
	test_source();
	leaks_forget();
	ASSERT(balance_take(&before));
	for (i = 0; i < GROUPS; i++) {
		group_name(name, sizeof(name), i);
		ASSERT_OK(cg_create(name));
	}
	backup_counters(&then);
	extracted = backup_stat("restored_extracted");
	adopted = backup_stat("restored_adopted");
	cancelled = backup_stat("cancelled");
	run_all();
	backup_counters_since(&then, &c);
	cancelled = backup_stat("cancelled") - cancelled;
	for (i = 0; i < GROUPS; i++) {
		group_name(name, sizeof(name), i);
		EXPECT_OK(cg_remove(name));
	}
	balance_check(&before);
	EXPECT(leaks_check());

	for (i = 0; i < NR_OPS; i++)
		test_note("%s: %lu", ops[i].name, atomic_load(&sh->ops[i]));
	test_note("%lu pages checked, %lu purged, %lu times no memory",
		  atomic_load(&sh->pages_checked), atomic_load(&sh->purged),
		  atomic_load(&sh->no_memory));
	test_note("%lu kills, %lu shrinks, %lu disturbances, swap off and on %lu times, %lu times in vain",
		  atomic_load(&sh->kills), atomic_load(&sh->shrinks),
		  atomic_load(&sh->disturbances), atomic_load(&sh->swap_cycles),
		  atomic_load(&sh->swap_refused));
	if (nr_readers)
		test_note("%lu times all statistics were read", atomic_load(&sh->reads));
	test_note("%" PRIu64 " pages inserted, %" PRIu64 " copied, %" PRIu64 " folios refused",
		  c.inserted, c.copied, c.refused);
	test_note("%" PRIu64 " pages extracted, %" PRIu64 " adopted, %" PRIu64 " restored by a copy",
		  backup_stat("restored_extracted") - extracted,
		  backup_stat("restored_adopted") - adopted, c.restored_copied);
	test_note("%" PRIu64 " restores cancelled", cancelled);
	if (sh->vram_pages)
		test_note("%lu times in VRAM, %lu times not when it was meant to be",
			  atomic_load(&sh->in_vram), atomic_load(&sh->evicted));
	test_note("operations %lu", total_ops());
	test_note("faults injected %lu", inject_count());
	test_note("seed %" PRIu64, seed);
	/* a run that did nothing proves nothing */
	EXPECT_GT(total_ops(), 0);
	if (meminfo_kib("SwapTotal")) {
		EXPECT_GT(c.inserted, 0);
		EXPECT_GT(backup_stat("restored_extracted"), extracted);
	}
	EXPECT_GE(atomic_load(&sh->reads), nr_readers);
	if (sh->vram_pages) {
		EXPECT_GT(atomic_load(&sh->in_vram), 0);
		EXPECT_GT(atomic_load(&sh->evicted), 0);
	}
	if (fault_percent)
		EXPECT_GT(inject_count(), 0);
	/*
	 * TTM gives up what it swaps in only in part, drivers with a shrinker go on with it.
	 * With few faults, none may be in the midst of a buffer.
	 */
	if (fault_percent && !vttm_has_shrinker() && zero_copy_get() &&
	    meminfo_kib("SwapTotal") && inject_count() >= 100)
		EXPECT_GT(cancelled, 0);
}

static const struct test tests[] = {
	{ "c46_c53_c55_c58_torture", torture },
};

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "seconds", required_argument, NULL, 't' },
		{ "workers", required_argument, NULL, 'w' },
		{ "readers", required_argument, NULL, 'r' },
		{ "faults", required_argument, NULL, 'f' },
		{ 0 }
	};
	int c;

	seed = now_ns();
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's': seed = parse_number("--seed", optarg, 0, UINT64_MAX); break;
		case 't': seconds = parse_number("--seconds", optarg, 0, 1000000); break;
		case 'w': nr_workers = parse_number("--workers", optarg, 1, MAX_WORKERS); break;
		case 'r': nr_readers = parse_number("--readers", optarg, 0, MAX_READERS); break;
		case 'f': fault_percent = parse_number("--faults", optarg, 0, 100); break;
		default: die(USAGE);
		}
	}
	if (optind < argc || !nr_workers || !seconds)
		die(USAGE);
	return ktap_run(tests, ARRAY_LEN(tests));
}
