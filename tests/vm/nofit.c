// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * A buffer that does not fit, whatever is done: who asks for it is told, and nobody
 * else notices.
 */

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xf86drm.h>

#include "fixture.h"

#define BYSTANDERS	4
#define BYSTANDER_SIZE	(8 * MiB)
#define TRIES		5

/* as tests/vm/list has it */
#define VRAM_SIZE	(64 * MiB)

static pid_t bystander[BYSTANDERS];

/* Has something in memory and sleeps; one is what the OOM killer likes best. */
static bool bystanders_start(void)
{
	unsigned int i;
	int ready[2];
	char c;

	if (pipe(ready)) {
		FAIL("pipe: %s", strerror(errno));
		return false;
	}
	for (i = 0; i < BYSTANDERS; i++) {
		fflush(stdout);
		bystander[i] = fork();
		if (bystander[i] < 0) {
			bystander[i] = 0;
			FAIL("fork: %s", strerror(errno));
			break;
		}
		if (!bystander[i]) {
			uint8_t *p = mmap(NULL, BYSTANDER_SIZE, PROT_READ | PROT_WRITE,
					  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (p == MAP_FAILED ||
			    (!i && write_file("/proc/self/oom_score_adj", "500")))
				_exit(1);
			pattern_fill(test_source(), i, p, BYSTANDER_SIZE);
			if (write(ready[1], "", 1) != 1)
				_exit(1);
			close(ready[1]);
			for (;;)
				pause();
		}
	}
	close(ready[1]);
	for (i = 0; i < BYSTANDERS; i++)
		if (read(ready[0], &c, 1) != 1) {
			FAIL("the bystanders do not start");
			return false;
		}
	close(ready[0]);
	return true;
}

static void bystanders_kill(void)
{
	unsigned int i;

	for (i = 0; i < BYSTANDERS; i++) {
		if (!bystander[i])
			continue;
		kill(bystander[i], SIGKILL);
		waitpid(bystander[i], NULL, 0);
		bystander[i] = 0;
	}
}

static void bystanders_end(void)
{
	unsigned int i;
	int status;

	for (i = 0; i < BYSTANDERS; i++) {
		if (!bystander[i] || !waitpid(bystander[i], &status, WNOHANG))
			continue;
		FAIL("bystander %u is gone, status 0x%x", i, status);
		/* its number may be that of another process now */
		bystander[i] = 0;
	}
	bystanders_kill();
}

/* More than can be had, but no more than there is: that is refused earlier */
static uint64_t too_much(void)
{
	uint64_t size = (meminfo_kib("MemTotal") - 8 * MiB / KiB) * KiB;

	return size / PAGE * PAGE;
}

/* As much as can be, page by page, until one cannot be had */
static void touch(void *arg)
{
	uint32_t caching = *(uint32_t *)arg, v;
	struct gpu g;
	struct bo b;

	ASSERT(gpu_open(&g));
	ASSERT_OK(bo_create(g.fd, &b, too_much(), caching, 0));
	ASSERT_OK(bo_map(g.fd, &b));
	if (bo_touch(&b) < 0)
		FAIL("%" PRIu64 " MiB of %s are there", b.size / MiB,
		     caching_name(caching));
	/* again: it is not used up, and nothing is stuck */
	EXPECT(!peek32(b.map, &v));
	bo_free(&g, &b);
}

static void submit(void *arg)
{
	struct drm_vttm_op op = { .opcode = DRM_VTTM_OP_FILL, .value = 1 };
	uint32_t caching = *(uint32_t *)arg;
	uint64_t size = too_much();
	struct gpu g;

	ASSERT(gpu_open(&g));
	ASSERT_OK(vttm_create(g.fd, &size, caching, &op.dst));
	op.size = size;
	EXPECT_ERR(vttm_submit(g.fd, &op, 1), ENOMEM);
	EXPECT_OK(vttm_close(g.fd, op.dst));
}

/* The other device's import has all pages brought in. */
static void import(void *arg)
{
	uint32_t caching = *(uint32_t *)arg, handle, theirs;
	uint64_t size = too_much();
	struct gpu g, other;
	int fd;

	ASSERT(gpu_open(&g));
	ASSERT(gpu_open_nth(&other, 1));
	ASSERT_OK(vttm_create(g.fd, &size, caching, &handle));
	ASSERT_EQ(drmPrimeHandleToFD(g.fd, handle, DRM_CLOEXEC, &fd), 0);
	EXPECT_EQ(drmPrimeFDToHandle(other.fd, fd, &theirs), -1);
	EXPECT_EQ(errno, ENOMEM);
	close(fd);
	EXPECT_OK(vttm_close(g.fd, handle));
}

/* A debugger looks at a word, for which all of the buffer is brought in. */
static void look(void *arg)
{
	int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	uint32_t caching = *(uint32_t *)arg, v;
	struct gpu g;
	struct bo b;

	ASSERT(mem >= 0);
	ASSERT(gpu_open(&g));
	ASSERT_OK(bo_create(g.fd, &b, too_much(), caching, 0));
	ASSERT_OK(bo_map(g.fd, &b));
	EXPECT_EQ(pread(mem, &v, sizeof(v), (uintptr_t)b.map), -1);
	EXPECT_EQ(errno, EIO);
	bo_free(&g, &b);
	close(mem);
}

/* Another buffer would have to leave VRAM, but a third one has all the memory. */
static void evict(void *arg)
{
	uint32_t caching = *(uint32_t *)arg, handle;
	uint64_t size = VRAM_SIZE, rest;
	struct bo in_vram, in_memory;
	struct vttm_state i;
	struct gpu g;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new_flags(&g, &in_vram, VRAM_SIZE, caching, DRM_VTTM_CREATE_VRAM, 1));
	ASSERT_OK(vttm_info(g.fd, in_vram.handle, &i));
	ASSERT(i.flags & DRM_VTTM_INFO_VRAM);
	/* what the pools have is not available, and is to be had */
	pools_drain();
	rest = (meminfo_kib("MemAvailable") - VRAM_SIZE / 4 / KiB) * KiB / PAGE * PAGE;
	ASSERT(bo_new(&g, &in_memory, rest, caching, 2));
	EXPECT_ERR(vttm_create_flags(g.fd, &size, caching, DRM_VTTM_CREATE_VRAM, &handle),
		   ENOMEM);
	ASSERT_OK(vttm_info(g.fd, in_vram.handle, &i));
	EXPECT(i.flags & DRM_VTTM_INFO_VRAM);
	EXPECT(bo_check_map(&in_vram));
	EXPECT(bo_check_engine(&g, &in_vram));
	bo_free(&g, &in_memory);
	bo_free(&g, &in_vram);
}

/*
 * While there is no memory left, kthreadd may need some for a new worker. It is not the
 * buffer's fault that it has a process killed then. Has nobody else, since @kmsg was last
 * read? Who is not told of counts as somebody else.
 */
static bool killed_for_a_worker(int kmsg)
{
	const char *what = " invoked oom-killer", *invoker, *end;
	unsigned int excused = 0, others = 0;
	/* more than the kernel prints in one record */
	char record[8 * KiB];
	ssize_t n;

	for (;;) {
		n = read(kmsg, record, sizeof(record) - 1);
		/* records have been overwritten: go on with the next that is there */
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			break;
		record[n] = '\0';
		invoker = strchr(record, ';');
		end = invoker ? strstr(invoker, what) : NULL;
		if (!end)
			continue;
		invoker++;
		test_note("%.*s%s", (int)(end - invoker), invoker, what);
		if (!strncmp(invoker, "kthreadd ", strlen("kthreadd ")))
			excused++;
		else
			others++;
	}
	return excused && !others;
}

/* Returns how many have been killed for what is not the buffer's fault. */
static uint64_t asks(void (*ask)(void *), uint32_t caching, int kmsg)
{
	uint64_t kills, excused = 0;
	unsigned int tries;

	for (tries = 0; tries < TRIES; tries++) {
		kills = vmstat("oom_kill");
		/* in a process of its own, which is not to be killed either */
		EXPECT(ktap_child(ask, &caching));
		kills = vmstat("oom_kill") - kills;
		if (!kills)
			return excused;
		if (!killed_for_a_worker(kmsg)) {
			FAIL("a process was killed for a buffer");
			return excused;
		}
		excused += kills;
		bystanders_kill();
		if (!bystanders_start())
			return excused;
	}
	FAIL("kthreadd ran out of memory %u times in a row", tries);
	return excused;
}

static void does_not_fit(void (*ask)(void *))
{
	uint64_t kills = vmstat("oom_kill"), excused = 0;
	uint32_t caching;
	struct gpu g;
	struct bo b;
	int kmsg;

	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	ASSERT_GE(kmsg, 0);
	ASSERT_GE(lseek(kmsg, 0, SEEK_END), 0);
	ASSERT(bystanders_start());
	for (caching = DRM_VTTM_CACHED; caching <= DRM_VTTM_UC; caching++) {
		excused += asks(ask, caching, kmsg);
		/* what does fit is to be had as before */
		ASSERT(gpu_open(&g));
		ASSERT(bo_new(&g, &b, 64 * MiB, caching, caching + 1));
		EXPECT(bo_check_map(&b));
		EXPECT(bo_check_engine(&g, &b));
		bo_free(&g, &b);
		close(g.fd);
	}
	close(kmsg);
	EXPECT_EQ(vmstat("oom_kill") - kills, excused);
	bystanders_end();
}

static void fault(void)
{
	does_not_fit(touch);
}

static void job(void)
{
	does_not_fit(submit);
}

static void shared(void)
{
	does_not_fit(import);
}

static void debugger(void)
{
	does_not_fit(look);
}

static void eviction(void)
{
	does_not_fit(evict);
}

static const struct test tests[] = {
	{ "c79_fault_that_does_not_fit", fault },
	{ "c79_job_that_does_not_fit", job },
	{ "c79_import_that_does_not_fit", shared },
	{ "c79_debugger_sees_what_does_not_fit", debugger },
};

static const struct test vram_tests[] = {
	{ "c79_eviction_that_does_not_fit", eviction },
};

int main(void)
{
	const char *vram;

	/* which of the tests judge */
	ktap_may_oom = true;
	mount_all();
	vram = read_file("/sys/module/vttm/parameters/vram");
	if (vram && strchr(vram, '@'))
		return ktap_run(vram_tests, ARRAY_LEN(vram_tests));
	return ktap_run(tests, ARRAY_LEN(tests));
}
