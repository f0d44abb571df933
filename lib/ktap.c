// SPDX-License-Identifier: GPL-2.0 OR MIT
/* KTAP harness for the VM tests. */

#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ktap.h"
#include "system.h"
#include "usage.h"

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

/* Files of exited children are released by deferred work: allow for it. */
static bool leak_check(const struct usage *before)
{
	struct usage now;
	unsigned int i;

	for (i = 0; i < 100; i++) {
		if (!usage_settle(&now, 120))
			return false;
		if (now.shmem == before->shmem &&
		    now.gpu_active == before->gpu_active)
			break;
		usleep(50000);
	}
	return usage_same(before, &now);
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
		ok = usage_settle(&before, 120);

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
