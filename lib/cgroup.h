/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* Memory cgroups, and reclaim by their files. */
#ifndef CGROUP_H
#define CGROUP_H

#include <stdint.h>

/* make the group and enable the memory controller for it */
int cg_create(const char *name);
int cg_remove(const char *name);
/* move the calling process */
int cg_enter(const char *name);
/* "." is the root */
int cg_write(const char *name, const char *file, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
uint64_t cg_read(const char *name, const char *file);
/* a "key value" line of one of the group's files */
uint64_t cg_read_key(const char *name, const char *file, const char *key);
/*
 * Reclaim so much of anonymous memory and shmem, whoever it is charged to; what is
 * backed up is charged to the root. This calls the shrinkers too. -EAGAIN when it
 * was less.
 */
int reclaim(uint64_t bytes);
/* until nothing is left in memory that can leave it, the shmem of tmpfs as well */
void reclaim_all(void);

#endif
