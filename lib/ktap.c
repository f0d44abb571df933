// SPDX-License-Identifier: GPL-2.0 OR MIT
/* KTAP harness for the VM tests. */

#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cgroup.h"
#include "ktap.h"
#include "stat.h"
#include "swap.h"
#include "system.h"
#include "vttm.h"

unsigned int test_failures;
bool ktap_may_oom;

void test_fail(const char *file, int line, const char *fmt, ...)
{
	const char *base = strrchr(file, '/');
	va_list ap;

	/* tests have threads */
	__atomic_add_fetch(&test_failures, 1, __ATOMIC_RELAXED);
	printf("# %s:%d: ", base ? base + 1 : file, line);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

void test_note(const char *fmt, ...)
{
	va_list ap;

	printf("# ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

static bool reap(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		FAIL("no child: %s", strerror(errno));
		return false;
	}
	if (WIFSIGNALED(status))
		test_note("killed by signal %d (%s)", WTERMSIG(status),
			  strsignal(WTERMSIG(status)));
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

bool ktap_child(void (*fn)(void *), void *arg)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		test_failures = 0;
		fn(arg);
		fflush(stdout);
		_exit(test_failures ? 1 : 0);
	}
	return reap(pid);
}

static void run_one(void *arg)
{
	const struct test *t = arg;

	t->fn();
}

struct usage {
	uint64_t shmem;
	uint64_t gpu_active;
	uint64_t gpu_pooled;
	uint64_t swap_used;
	uint64_t oom_kill;
};

static void usage_get(struct usage *u)
{
	pools_drain();
	u->shmem = vmstat("nr_shmem");
	u->gpu_active = vmstat("nr_gpu_active");
	u->gpu_pooled = vmstat("nr_gpu_reclaim");
	u->swap_used = swap_used_pages();
	u->oom_kill = vmstat("oom_kill");
}

/*
 * Cycling swap brings everything that has an owner back to memory, so
 * afterwards a page that leaked into swap is counted as shmem, and a slot
 * without an owner keeps swapoff from ending.
 */
static bool settle(struct usage *u)
{
	static struct swap_list at_start;
	static bool known;
	struct swap_list swaps;
	int ret;

	writeback_settle();
	swap_list(&swaps);
	if (!known)
		at_start = swaps;
	known = true;
	ret = swap_all_off(&swaps, 120);
	if (ret) {
		test_note("swapoff: %s%s", strerror(-ret),
			  ret == -EINTR ? ": swap slots without an owner" : "");
		return false;
	}
	usage_get(u);
	/* also what a test that gave up half-way left off */
	ret = swap_all_on(&at_start);
	if (ret) {
		test_note("swapon: %s", strerror(-ret));
		return false;
	}
	return true;
}

static bool same(const char *what, uint64_t before, uint64_t after)
{
	if (before == after)
		return true;
	test_note("leak: %s was %" PRIu64 " before and is %" PRIu64 " now",
		  what, before, after);
	return false;
}

/* Files of exited children are released by deferred work: allow for it. */
static bool leak_check(const struct usage *before)
{
	struct usage now;
	unsigned int i;
	bool ok;

	for (i = 0; i < 100; i++) {
		if (!settle(&now))
			return false;
		if (now.shmem == before->shmem &&
		    now.gpu_active == before->gpu_active)
			break;
		usleep(50000);
	}
	ok = same("nr_shmem", before->shmem, now.shmem);
	ok &= same("nr_gpu_active", before->gpu_active, now.gpu_active);
	ok &= same("nr_gpu_reclaim", before->gpu_pooled, now.gpu_pooled);
	ok &= same("pages of swap used", before->swap_used, now.swap_used);
	if (!ktap_may_oom)
		ok &= same("oom_kill", before->oom_kill, now.oom_kill);
	return ok;
}

int ktap_run(const struct test *tests, unsigned int nr)
{
	const char *only = getenv("KTAP_ONLY");
	unsigned int i, failed = 0, done = 0, selected = 0;
	const char *policy;
	struct usage before;
	char usual[16];

	setvbuf(stdout, NULL, _IOLBF, 0);
	mount_all();
	policy = shmem_enabled_get();
	snprintf(usual, sizeof(usual), "%s", policy ? policy : "");
	for (i = 0; i < nr; i++)
		selected += !only || strstr(tests[i].name, only);
	if (!selected)
		die("no test has \"%s\" in its name", only);
	printf("KTAP version 1\n1..%u\n", selected);
	for (i = 0; i < nr; i++) {
		bool ok;

		if (only && !strstr(tests[i].name, only))
			continue;
		ok = settle(&before);

		if (ok) {
			ok = ktap_child(run_one, (void *)&tests[i]);
			if (policy)
				shmem_enabled_set(usual);
			ok &= leak_check(&before);
		}
		printf("%sok %u %s\n", ok ? "" : "not ", ++done, tests[i].name);
		fflush(stdout);
		failed += !ok;
	}
	return failed ? 1 : 0;
}
