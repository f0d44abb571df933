/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What the files of test-prime share. prime.c has the table of the tests. */
#ifndef PRIME_H
#define PRIME_H

#include "fixture.h"

#define SIZE	(4 * MiB + 3 * PAGE)

/* A buffer of one device, the file that it is as a dma-buf, and its handle in another. */
struct pair {
	struct gpu exporter, importer;
	struct bo b;
	int fd;
	uint32_t imported;
};

int to_fd(const struct gpu *g, uint32_t handle, int *fd);
int to_handle(const struct gpu *g, int fd, uint32_t *handle);
/* As bo_backup(), but somebody else who shrinks may have been first. */
bool back_up(const struct gpu *g, const struct bo *b, bool writeback);
bool share(struct pair *p, uint32_t caching, bool backed_up);

/* prime_file.c */
void size_and_seek(void);
void mapped(void);
void access_mode(void);

/* prime_fence.c */
void sync_arguments(void);
void sync_waits(void);
void polled(void);
void sync_files(void);

/* prime_race.c: in so many rounds, fewer where shrinking takes its time of each */
extern unsigned int race_rounds;
void race_import_close(void);
void race_export_close(void);

#endif
