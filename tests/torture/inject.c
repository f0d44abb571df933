// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Allocations that fail. */

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "inject.h"
#include "ktap.h"
#include "cgroup.h"
#include "stat.h"
#include "swap.h"
#include "system.h"
#include "vttm.h"

#define DEBUG		"/sys/kernel/debug/"
/* counted down by the kernel with each failure */
#define TIMES		1000000000UL

static const char *const attrs[] = {
	DEBUG "failslab", DEBUG "fail_page_alloc", DEBUG "ttm/backup_fault_inject",
};

static unsigned long counted;
static bool counting;

static void set(const char *dir, const char *file, const char *value)
{
	char path[128];
	int ret;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	ret = write_file(path, "%s", value);
	if (ret)
		die("cannot write %s: %s: the kernel must have it", path,
		    strerror(-ret));
}

static void set_number(const char *dir, const char *file, unsigned long value)
{
	char text[32];

	snprintf(text, sizeof(text), "%lu", value);
	set(dir, file, text);
}

static int compare(const void *a, const void *b)
{
	unsigned long x = *(const unsigned long *)a, y = *(const unsigned long *)b;

	return x < y ? -1 : x > y;
}

/*
 * TTM's functions stand side by side, but for those that are only used at boot
 * or that the compiler put elsewhere: take what is near ttm_pool_backup().
 */
static void ttm_text(unsigned long *start, unsigned long *end)
{
	static unsigned long at[8192];
	const unsigned long gap = 128 * KiB;
	unsigned long addr, anchor = 0;
	char line[512], name[256], type;
	size_t nr = 0, i, first, last;
	FILE *f;

	f = fopen("/proc/kallsyms", "re");
	if (!f)
		die("cannot read /proc/kallsyms: %s", strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx %c %255s", &addr, &type, name) != 3 ||
		    (type != 't' && type != 'T') || strncmp(name, "ttm_", 4) ||
		    strstr(name, ".cold"))
			continue;
		if (!strcmp(name, "ttm_pool_backup"))
			anchor = addr;
		if (nr < ARRAY_LEN(at))
			at[nr++] = addr;
	}
	fclose(f);
	if (!anchor)
		die("/proc/kallsyms does not know ttm_pool_backup()");
	qsort(at, nr, sizeof(at[0]), compare);
	for (i = 0; i < nr && at[i] != anchor; i++)
		;
	for (first = i; first > 0 && at[first] - at[first - 1] < gap; first--)
		;
	for (last = i; last + 1 < nr && at[last + 1] - at[last] < gap; last++)
		;
	*start = at[first];
	*end = at[last] + 4 * KiB;
}

void inject_start(unsigned int percent)
{
	unsigned long start, end;
	char text[32];
	size_t i;

	ttm_text(&start, &end);
	for (i = 0; i < ARRAY_LEN(attrs); i++) {
		set_number(attrs[i], "probability", 0);
		snprintf(text, sizeof(text), "0x%lx", start);
		set(attrs[i], "require-start", text);
		snprintf(text, sizeof(text), "0x%lx", end);
		set(attrs[i], "require-end", text);
		set_number(attrs[i], "stacktrace-depth", 32);
		/* the stack of each would bury the log */
		set_number(attrs[i], "verbose", 0);
		set_number(attrs[i], "interval", 1);
		set_number(attrs[i], "space", 0);
		set_number(attrs[i], "times", TIMES);
	}
	set(attrs[0], "ignore-gfp-wait", "N");
	set(attrs[1], "ignore-gfp-wait", "N");
	set(attrs[1], "ignore-gfp-highmem", "N");
	set_number(attrs[1], "min-order", 0);
	counting = true;
	for (i = 0; i < ARRAY_LEN(attrs); i++)
		set_number(attrs[i], "probability", percent);
}

static unsigned long count_now(void)
{
	unsigned long sum = 0;
	const char *text;
	char path[128];
	size_t i;

	for (i = 0; i < ARRAY_LEN(attrs); i++) {
		snprintf(path, sizeof(path), "%s/times", attrs[i]);
		text = read_file(path);
		if (!text)
			die("cannot read %s", path);
		sum += TIMES - strtoul(text, NULL, 10);
	}
	return sum;
}

void inject_stop(void)
{
	size_t i;

	for (i = 0; i < ARRAY_LEN(attrs); i++)
		set_number(attrs[i], "probability", 0);
	counted = count_now();
	counting = false;
}

unsigned long inject_count(void)
{
	return counting ? count_now() : counted;
}

static int nth_fd = -1;

void nth_prepare(void)
{
	size_t i;

	for (i = 0; i < 2; i++) {
		set_number(attrs[i], "probability", 0);
		set_number(attrs[i], "verbose", 0);
		set(attrs[i], "ignore-gfp-wait", "N");
	}
	set_number(attrs[2], "verbose", 0);
	set(attrs[1], "ignore-gfp-highmem", "N");
	set_number(attrs[1], "min-order", 0);
	if (file_exists(DEBUG "fail_usercopy/verbose"))
		set_number(DEBUG "fail_usercopy", "verbose", 0);
	if (nth_fd >= 0)
		close(nth_fd);
	nth_fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	if (nth_fd < 0)
		die("/proc/thread-self/fail-nth: %s: the kernel must have it",
		    strerror(errno));
}

static bool nth_write(unsigned int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", n);

	return pwrite(nth_fd, text, len, 0) == len;
}

void nth_arm(unsigned int n)
{
	if (!nth_write(n))
		die("cannot write fail-nth: %s", strerror(errno));
}

bool nth_disarm(void)
{
	char text[16] = "";
	unsigned int tries;

	/* If it is one of these that fails, then it was not the operation. */
	for (tries = 0; pread(nth_fd, text, sizeof(text) - 1, 0) <= 0; tries++)
		;
	while (!nth_write(0))
		;
	return !tries && !strtoul(text, NULL, 10);
}
