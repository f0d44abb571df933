// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What users have reported of processes that leave, or look at the others. */

#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "reports.h"

/* ---- exits ---- */

/* A process that is looked at now and then */
struct watched {
	pid_t pid;		/* 0 if it has gone */
	bool told;
	uint64_t since;		/* first look that found it in the sleep it is in, or 0 */
	uint64_t switches;	/* of tasks, that tell one sleep from the next */
	uint64_t longest;	/* time from a look at that sleep to the next */
};

/*
 * For how long has it been in one and the same uninterruptible sleep? The last look at it
 * is so long ago.
 */
static uint64_t in_one_sleep(struct watched *w, uint64_t ago)
{
	uint64_t now = now_ns(), voluntary, forced;
	const char *text, *state;
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/status", w->pid);
	text = read_file(path);
	state = text ? strstr(text, "\nState:\t") : NULL;
	if (!state || state[8] != 'D' ||
	    !find_key(text, "voluntary_ctxt_switches", &voluntary) ||
	    !find_key(text, "nonvoluntary_ctxt_switches", &forced)) {
		w->since = 0;
		return 0;
	}
	if (w->since && w->switches == voluntary + forced) {
		w->longest = ago > w->longest ? ago : w->longest;
		return now - w->since;
	}
	w->longest = 0;
	w->switches = voluntary + forced;
	w->since = now_ns();
	return 0;
}

static void tell_stack(pid_t pid)
{
	char path[40];
	const char *p;

	snprintf(path, sizeof(path), "/proc/%d/stack", pid);
	for (p = read_file(path); p && *p; p += strcspn(p, "\n"), p += *p == '\n')
		test_note("%.*s", (int)strcspn(p, "\n"), p);
}

enum { EXITS = 4, STAYING = 2, DONE = 100 };

static void bring_back(atomic_uint *ready, uint32_t seed)
{
	struct bo b[4];
	struct gpu g;
	unsigned int n;

	ASSERT(gpu_open(&g));
	for (n = 0; n < ARRAY_LEN(b); n++)
		ASSERT(bo_new(&g, &b[n], 4 * MiB, n % 3, seed + n));
	atomic_fetch_add(ready, 1);
	for (n = 0; atomic_load(ready) < DONE && !test_failures; n++) {
		vttm_shrink(g.minor, PAGES(b[0].size), n & 1, NULL);
		bo_check_map(&b[n % ARRAY_LEN(b)]);
	}
}

/* Once all are ready, or the jobs of the first were over when the last comes */
static void leave_jobs(atomic_uint *ready, uint32_t seed)
{
	struct bo b[4];
	struct gpu g;
	unsigned int n;

	ASSERT(gpu_open(&g));
	for (n = 0; n < ARRAY_LEN(b); n++)
		ASSERT(bo_new(&g, &b[n], 2 * MiB, n % 3, seed + n));
	atomic_fetch_add(ready, 1);
	while (atomic_load(ready) < EXITS + STAYING)
		usleep(1000);
	/* another might have to wait for whoever shrinks, who waits for the first to end */
	ASSERT_OK(bo_keep_busy(&g, b, ARRAY_LEN(b), 0));
}

/*
 * Processes leave with jobs that would go on for long, while others bring buffers back:
 * nobody gets stuck meanwhile, neither those who leave nor those who stay.
 */
void exits(void)
{
	atomic_uint *ready = shared_memory(PAGE);
	/* those that exit, then those that stay */
	struct watched watched[EXITS + STAYING] = { 0 };
	uint64_t last, longest = 0, worst = 0, looks = 0;
	unsigned int i, left = EXITS;
	int status;

	for (i = 0; i < EXITS + STAYING; i++) {
		watched[i].pid = fork_or_die();
		if (watched[i].pid)
			continue;
		test_failures = 0;
		if (i < EXITS)
			leave_jobs(ready, i * 10 + 50);
		else
			bring_back(ready, i * 10 + 50);
		/* nobody is to wait for one that failed */
		if (test_failures)
			atomic_store(ready, DONE);
		fflush(stdout);
		if (i & 1 && i < EXITS && !test_failures)
			kill(getpid(), SIGKILL);
		_exit(test_failures ? 1 : 0);
	}
	/* looking is not to wait for a processor */
	setpriority(PRIO_PROCESS, 0, -20);
	last = now_ns();
	while (left) {
		uint64_t ago;

		usleep(10000);
		for (i = 0; i < EXITS; i++) {
			if (!watched[i].pid ||
			    waitpid(watched[i].pid, &status, WNOHANG) != watched[i].pid)
				continue;
			EXPECT(status == 0 || (WIFSIGNALED(status) &&
					       WTERMSIG(status) == SIGKILL));
			watched[i].pid = 0;
			left--;
		}
		ago = now_ns() - last;
		last += ago;
		longest = ago > longest ? ago : longest;
		looks++;
		for (i = 0; i < ARRAY_LEN(watched); i++) {
			struct watched *w = &watched[i];
			uint64_t slept = w->pid ? in_one_sleep(w, ago) : 0;

			worst = slept > worst ? slept : worst;
			/* while looks take long, so does all else */
			if (w->told || slept <= 1000000000ULL + 10 * w->longest)
				continue;
			FAIL("process %u of %u sleeps for %.1f s, %u are to exit first", i,
			     (unsigned int)ARRAY_LEN(watched), slept / 1e9, EXITS);
			tell_stack(w->pid);
			w->told = true;
		}
	}
	atomic_store(ready, DONE);
	for (i = EXITS; i < EXITS + STAYING; i++) {
		EXPECT_EQ(waitpid(watched[i].pid, &status, 0), watched[i].pid);
		EXPECT_EQ(status, 0);
	}
	test_note("no longer than %.3f s in one sleep, at %" PRIu64 " looks, %.3f s apart at most",
		  worst / 1e9, looks, longest / 1e9);
}

/* ---- readers of all statistics ---- */

enum { READERS = 8, WORKERS = 4 };

/* What is read of, and who works: their open files, and their counts */
struct readers {
	unsigned int minor;
	pid_t pids[WORKERS];
	atomic_int fds[WORKERS];
	atomic_uint ready, stop, reads, shrinks;
	atomic_ulong pages;
};

static void read_all(const struct readers *r, unsigned int nr)
{
	char of_client[64];
	const char *bad;

	/* how much one of those who work has */
	snprintf(of_client, sizeof(of_client), "/proc/%d/fdinfo/%d", r->pids[nr % WORKERS],
		 atomic_load(&r->fds[nr % WORKERS]));
	bad = stats_read(r->minor, nr) ?: stats_read_one(of_client);
	if (bad)
		FAIL("%s: %s", bad, strerror(errno));
}

/* Has its buffers, of all kinds, backed up and gets them back; others come and go. */
static void shrink_and_restore(struct readers *r, unsigned int nr)
{
	struct bo b[9], unneeded;
	uint64_t done = 0;
	struct gpu g;
	unsigned int i, n;

	ASSERT(gpu_open(&g));
	for (i = 0; i < ARRAY_LEN(b); i++)
		ASSERT(bo_new(&g, &b[i], (i + 1) * 256 * KiB, (i + nr) % 3, nr * 100 + i + 1));
	atomic_store(&r->fds[nr], g.fd);
	atomic_fetch_add(&r->ready, 1);
	/* at least once, however long it took to get here */
	n = nr;
	do {
		vttm_shrink(g.minor, 1000, n & 1, &done);
		atomic_fetch_add(&r->pages, done);
		ASSERT(bo_check_map(&b[n % ARRAY_LEN(b)]));
		ASSERT(bo_check_engine(&g, &b[(n + 3) % ARRAY_LEN(b)]));
		ASSERT(bo_new(&g, &unneeded, 128 * KiB, n % 3, nr * 100 + 50));
		ASSERT_OK(vttm_madvise(g.fd, unneeded.handle, DRM_VTTM_MADV_DONTNEED, NULL));
		vttm_purge(g.minor, PAGES(unneeded.size), NULL);
		bo_free(&g, &unneeded);
		atomic_fetch_add(&r->shrinks, 1);
		n++;
	} while (!atomic_load(&r->stop));
	/* the files that are read of stay until nobody reads any more */
	for (i = 0; i < ARRAY_LEN(b); i++)
		EXPECT(bo_check_map(&b[i]));
}

void readers(void)
{
	struct readers *r = shared_memory(PAGE);
	pid_t pids[READERS];
	struct hog hog;
	uint64_t end;
	unsigned int i, n;
	struct gpu g;
	int status;

	ASSERT(gpu_open(&g));
	r->minor = g.minor;
	for (i = 0; i < WORKERS; i++) {
		pid_t pid = fork_or_die();

		if (pid) {
			r->pids[i] = pid;
			continue;
		}
		test_failures = 0;
		shrink_and_restore(r, i);
		atomic_store(&r->stop, 1);
		fflush(stdout);
		_exit(test_failures ? 1 : 0);
	}
	/* unless one has gone, which is found at the end */
	while (atomic_load(&r->ready) < WORKERS && !atomic_load(&r->stop))
		usleep(1000);
	hog_start(&hog, 30 * MiB);
	end = now_ns() + seconds * 1000000000ULL;
	for (i = 0; i < READERS; i++) {
		pids[i] = fork_or_die();
		if (pids[i])
			continue;
		test_failures = 0;
		n = i;
		do {
			read_all(r, n++);
			atomic_fetch_add(&r->reads, 1);
		} while (now_ns() < end && !test_failures);
		fflush(stdout);
		_exit(test_failures ? 1 : 0);
	}
	hog_go(&hog);
	for (i = 0; i < READERS; i++) {
		EXPECT_EQ(waitpid(pids[i], &status, 0), pids[i]);
		EXPECT_EQ(status, 0);
	}
	atomic_store(&r->stop, 1);
	for (i = 0; i < WORKERS; i++) {
		EXPECT_EQ(waitpid(r->pids[i], &status, 0), r->pids[i]);
		EXPECT_EQ(status, 0);
	}
	EXPECT_EQ(hog_end(&hog), 0);
	EXPECT_GE(atomic_load(&r->reads), READERS);
	EXPECT_GE(atomic_load(&r->shrinks), WORKERS);
	/* or there was nothing to be read of */
	EXPECT_GT(atomic_load(&r->pages), 0);
	test_note("%u times all files were read beside %u shrinks of %lu pages",
		  atomic_load(&r->reads), atomic_load(&r->shrinks), atomic_load(&r->pages));
}
