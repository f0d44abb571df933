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

/* Takes the next of the words, which are separated by commas. */
static bool next_word(const char **words, char *word, size_t size)
{
	size_t len = strcspn(*words, ",");

	if (len >= size)
		die("KTAP_ONLY: \"%s\" is too long", *words);
	memcpy(word, *words, len);
	word[len] = 0;
	*words += len + ((*words)[len] == ',');
	return len > 0;
}

/* Is one of them in the name? Without any, all are meant. */
static bool wanted(const struct test *t, const char *only)
{
	char word[64];

	if (!only)
		return true;
	while (next_word(&only, word, sizeof(word)))
		if (strstr(t->name, word))
			return true;
	return false;
}

/* Nothing that is asked for is left out without a word. */
static void check_only(const struct test *tests, unsigned int nr, const char *only)
{
	char word[64];
	unsigned int i;

	if (!*only)
		die("KTAP_ONLY is empty");
	while (next_word(&only, word, sizeof(word))) {
		for (i = 0; i < nr && !strstr(tests[i].name, word); i++)
			;
		if (i == nr)
			die("no test has \"%s\" in its name", word);
	}
	if (*only)
		die("KTAP_ONLY has a comma too many before \"%s\"", only);
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
	if (only)
		check_only(tests, nr, only);
	for (i = 0; i < nr; i++)
		selected += wanted(&tests[i], only);
	printf("KTAP version 1\n1..%u\n", selected);
	for (i = 0; i < nr; i++) {
		bool ok;

		if (!wanted(&tests[i], only))
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
