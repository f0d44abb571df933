// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Memory cgroups, and reclaim by their files. */

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroup.h"
#include "stat.h"
#include "swap.h"
#include "system.h"

int cg_create(const char *name)
{
	char path[128];
	int ret;

	if (!file_exists(CGROUP "/cgroup.procs"))
		return -ENOENT;
	ret = write_str(CGROUP "/cgroup.subtree_control", "+memory");
	if (ret)
		return ret;
	snprintf(path, sizeof(path), CGROUP "/%s", name);
	if (mkdir(path, 0755) && errno != EEXIST)
		return -errno;
	return 0;
}

int cg_remove(const char *name)
{
	char path[128];
	unsigned int i;

	snprintf(path, sizeof(path), CGROUP "/%s", name);
	/* A child that has just exited may still be on its way out. */
	for (i = 0; i < 250; i++) {
		if (!rmdir(path) || errno == ENOENT)
			return 0;
		if (errno != EBUSY)
			break;
		usleep(20000);
	}
	return -errno;
}

int cg_enter(const char *name)
{
	return cg_write(name, "cgroup.procs", "0");
}

int cg_write(const char *name, const char *file, const char *fmt, ...)
{
	char path[192], text[64];
	va_list ap;

	snprintf(path, sizeof(path), CGROUP "/%s/%s", name, file);
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return write_str(path, text);
}

uint64_t cg_read(const char *name, const char *file)
{
	char path[192];

	snprintf(path, sizeof(path), CGROUP "/%s/%s", name, file);
	return strtoull(must_read(path), NULL, 10);
}

uint64_t cg_read_key(const char *name, const char *file, const char *key)
{
	char path[192];

	snprintf(path, sizeof(path), CGROUP "/%s/%s", name, file);
	return must_find(path, key);
}

int reclaim(uint64_t bytes)
{
	return cg_write(".", "memory.reclaim", "%llu swappiness=max",
			(unsigned long long)bytes);
}

void reclaim_all(void)
{
	uint64_t left, least = UINT64_MAX;
	unsigned int tries, none = 0, futile = 0;

	/*
	 * What waits in a processor's batch is not counted, and is looked for where
	 * reclaim finds nothing else. What was in use lately takes some tries.
	 */
	for (tries = 0; tries < 50 && futile < 8; tries++) {
		left = vmstat("nr_inactive_anon") + vmstat("nr_active_anon");
		none = left ? 0 : none + 1;
		if (none == 2)
			break;
		futile = left < least ? 0 : futile + 1;
		if (left < least)
			least = left;
		reclaim(left ? left * PAGE : 4 * MiB);
		writeback_settle();
	}
}
