// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Memory is charged to who asked for it: untouched buffers, what describes them, jobs. */

#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "engine.h"

static void make_untouched(void *arg)
{
	uint64_t size = meminfo_kib("MemTotal") / 100 * 98 * KiB / PAGE * PAGE;
	const uint64_t vector = size / PAGE * sizeof(void *);
	unsigned int i, nr = *(unsigned int *)arg;
	struct gpu g;
	uint64_t then;

	ASSERT_OK(cg_enter("maker"));
	ASSERT(gpu_open(&g));
	then = cg_read("maker", "memory.current");
	for (i = 0; i < nr; i++) {
		uint64_t given = size;
		uint32_t handle;

		ASSERT_OK(vttm_create(g.fd, &given, i % 3, &handle));
	}
	test_note("%u untouched buffers of %" PRIu64 " MiB, %" PRIu64 " KiB charged",
		  nr, size / MiB, (cg_read("maker", "memory.current") - then) / KiB);
	/* less what is batched */
	EXPECT_GE(cg_read("maker", "memory.current") - then + MiB, nr * vector);
	/* the pages of the vectors, and no others */
	EXPECT_GE(nr * (vector + 128 * KiB), cg_read("maker", "memory.current") - then);
}

void untouched_are_charged(void)
{
	unsigned int nr = 300;

	ASSERT_OK(cg_create("maker"));
	EXPECT(ktap_child(make_untouched, &nr));
	EXPECT_OK(cg_remove("maker"));
}

/* Files and inodes are freed after a while. */
static bool charge_falls_to(uint64_t bytes)
{
	uint64_t now = cg_read("maker", "memory.current");
	unsigned int i;

	for (i = 0; i < 1000 && now > bytes; i++) {
		usleep(20000);
		now = cg_read("maker", "memory.current");
	}
	if (now > bytes)
		FAIL("%" PRIu64 " KiB are charged after 20 s, not %" PRIu64, now / KiB,
		     bytes / KiB);
	return now <= bytes;
}

/*
 * Buffers of one page that nobody touches are objects only: the buffer, more than 512 bytes
 * and so 1 KiB as kmalloc() has it, the page vector and its description, and the file for
 * backups. A memfd is such a file and nothing else.
 */
static void make_many(void *arg)
{
	enum { NR = 4000 };
	static uint32_t handles[NR];
	static int fds[NR];
	const struct rlimit files = { NR + 100, NR + 100 };
	uint64_t then, file, made;
	unsigned int i;
	struct gpu g;

	(void)arg;
	ASSERT_OK(cg_enter("maker"));
	ASSERT(gpu_open(&g));
	ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
	/* the table of open files, and these arrays, are not to count */
	ASSERT_EQ(dup2(g.fd, NR + 50), NR + 50);
	memset(handles, 1, sizeof(handles));
	memset(fds, 1, sizeof(fds));

	then = cg_read("maker", "memory.current");
	for (i = 0; i < NR; i++) {
		fds[i] = memfd_create("file", MFD_CLOEXEC);
		ASSERT_GE(fds[i], 0);
	}
	file = cg_read("maker", "memory.current") - then;
	for (i = 0; i < NR; i++)
		close(fds[i]);
	EXPECT(charge_falls_to(then + 2 * MiB));

	then = cg_read("maker", "memory.current");
	for (i = 0; i < NR; i++) {
		uint64_t size = PAGE;

		ASSERT_OK(vttm_create(g.fd, &size, i % 3, &handles[i]));
	}
	made = cg_read("maker", "memory.current") - then;
	test_note("%u buffers of one page: %" PRIu64 " bytes charged for each, %" PRIu64 " for a file",
		  NR, made / NR, file / NR);
	/* less what is batched */
	EXPECT_GE(made + MiB, file + NR * KiB);
	for (i = 0; i < NR; i++)
		ASSERT_OK(vttm_close(g.fd, handles[i]));
	/* each processor keeps some of what it has given back */
	EXPECT(charge_falls_to(then + 2 * MiB));
}

void objects_are_charged(void)
{
	ASSERT_OK(cg_create("maker"));
	EXPECT(ktap_child(make_many, NULL));
	EXPECT_OK(cg_remove("maker"));
}

/* Queued operations are the owner's as well: 48 KiB of them in each job. */
static void queue_jobs(void *arg)
{
	enum { QUEUED = 16 };
	static struct drm_vttm_op ops[DRM_VTTM_SUBMIT_MAX_OPS];
	uint64_t then;
	struct gpu g;
	unsigned int i;
	struct bo b;

	(void)arg;
	ASSERT_OK(cg_enter("maker"));
	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, 6 * MiB, DRM_VTTM_CACHED, 1));
	ASSERT_OK(bo_keep_busy(&g, &b, 1, 0));
	for (i = 0; i < ARRAY_LEN(ops); i++)
		ops[i] = (struct drm_vttm_op){
			.opcode = DRM_VTTM_OP_FILL, .dst = b.handle, .size = 4,
		};
	then = cg_read("maker", "memory.current");
	for (i = 0; i < QUEUED; i++)
		ASSERT_OK(vttm_submit(g.fd, ops, ARRAY_LEN(ops)));
	/* less what is batched */
	EXPECT_GE(cg_read("maker", "memory.current") + 256 * KiB,
		  then + QUEUED * sizeof(ops));
}

void jobs_are_charged(void)
{
	ASSERT_OK(cg_create("maker"));
	EXPECT(ktap_child(queue_jobs, NULL));
	EXPECT_OK(cg_remove("maker"));
}
