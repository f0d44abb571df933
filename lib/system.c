// SPDX-License-Identifier: GPL-2.0 OR MIT
/* The machine that a program runs in. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cgroup.h"
#include "system.h"

void die(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

void mount_all(void)
{
	static const struct {
		const char *type, *dir, *probe;
	} fs[] = {
		{ "proc", "/proc", "/proc/self" },
		{ "sysfs", "/sys", "/sys/kernel" },
		{ "devtmpfs", "/dev", "/dev/null" },
		{ "debugfs", DEBUGFS, DEBUGFS "/dri" },
		{ "tracefs", TRACING, TRACING "/trace" },
		{ "cgroup2", CGROUP, CGROUP "/cgroup.procs" },
	};
	size_t i;

	if (sysconf(_SC_PAGESIZE) != PAGE)
		die("this program is for pages of %lu bytes", PAGE);

	for (i = 0; i < ARRAY_LEN(fs); i++) {
		if (file_exists(fs[i].probe))
			continue;
		mkdir(fs[i].dir, 0755);
		/* Who needs one that is missing says so when it reads there. */
		mount(fs[i].type, fs[i].dir, fs[i].type, 0, NULL);
	}
}

pid_t fork_or_die(void)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("fork: %s", strerror(errno));
	return pid;
}

void *shared_memory(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		die("no shared memory: %s", strerror(errno));
	return p;
}

int run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) ? -errno : 0;
}

uint64_t parse_number(const char *what, const char *text, uint64_t min, uint64_t max)
{
	char *end = NULL;
	uint64_t n = 0;

	errno = 0;
	if (text)
		n = strtoull(text, &end, 0);
	if (!text || errno || *end || end == text || *text == '-' || n < min || n > max)
		die("%s: a number from %" PRIu64 " to %" PRIu64 ", not '%s'", what, min,
		    max, text ? text : "");
	return n;
}

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

bool file_exists(const char *path)
{
	return !access(path, F_OK);
}

int write_str(const char *path, const char *text)
{
	ssize_t len = strlen(text);
	int fd, ret = 0;

	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, len) != len)
		ret = -errno;
	close(fd);
	return ret;
}

int write_file(const char *path, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return write_str(path, text);
}

const char *read_file(const char *path)
{
	static char buf[256 * 1024];
	size_t len = 0;
	ssize_t n;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	while (len < sizeof(buf) - 1) {
		n = read(fd, buf + len, sizeof(buf) - 1 - len);
		if (n < 0) {
			close(fd);
			return NULL;
		}
		if (!n)
			break;
		len += n;
	}
	close(fd);
	buf[len] = '\0';
	return buf;
}

const char *must_read(const char *path)
{
	const char *text = read_file(path);

	if (!text)
		die("cannot read %s: %s", path, strerror(errno));
	return text;
}

bool find_key(const char *text, const char *name, uint64_t *value)
{
	size_t len = strlen(name);

	while (text && *text) {
		if (!strncmp(text, name, len) &&
		    (text[len] == ' ' || text[len] == ':' || text[len] == '\t')) {
			*value = strtoull(text + len + 1, NULL, 10);
			return true;
		}
		text = strchr(text, '\n');
		if (text)
			text++;
	}
	return false;
}

uint64_t must_find(const char *path, const char *name)
{
	uint64_t value;

	if (!find_key(must_read(path), name, &value))
		die("%s has no line \"%s\"", path, name);
	return value;
}

int trace_clear(void)
{
	/* to open it so empties it */
	int fd = open(TRACING "/trace", O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

#define SHMEM_ENABLED	"/sys/kernel/mm/transparent_hugepage/shmem_enabled"

const char *shmem_enabled_get(void)
{
	const char *text = read_file(SHMEM_ENABLED);
	static char policy[16];

	/* all of them, with the one that holds in brackets */
	text = text ? strchr(text, '[') : NULL;
	if (!text)
		return NULL;
	snprintf(policy, sizeof(policy), "%.*s", (int)strcspn(text + 1, "]"),
		 text + 1);
	return policy;
}

int shmem_enabled_set(const char *policy)
{
	return write_str(SHMEM_ENABLED, policy);
}
