// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What users can ask of the engine, and what that may cost others: work is bounded,
 * reclaim does not wait for it, and memory is charged to who asked for it.
 *
 * To be run with a short vttm.job_timeout_ms, as jobs that take too long are waited for.
 */

#include <dirent.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/sync_file.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/param.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xf86drm.h>

#include "fixture.h"

/* as the driver has it */
#define MAX_JOBS	64

#define FILE_MAX	"/proc/sys/fs/file-max"

struct shared {
	volatile uint32_t count;
	volatile bool ready, go, stop;
};

static bool bo_new_local(const struct gpu *g, struct bo *b, uint64_t size, uint32_t seed)
{
	return bo_new_flags(g, b, size, DRM_VTTM_CACHED, DRM_VTTM_CREATE_LOCAL, seed);
}

static int submit_fill(const struct gpu *g, const struct bo *b, uint32_t syncobj,
		       uint64_t point, uint32_t value)
{
	struct drm_vttm_op op = {
		.opcode = DRM_VTTM_OP_FILL, .dst = b->handle, .size = PAGE,
		.value = value,
	};
	struct drm_vttm_submit s = {
		.ops = (uintptr_t)&op, .op_count = 1, .syncobj = syncobj,
		.point = point,
	};

	return vttm_ioctl(g->fd, DRM_IOCTL_VTTM_SUBMIT, &s);
}

/* 1 if what the file stands for went well, a negative errno if not, 0 if it goes on */
static int sync_file_status(int fd)
{
	struct sync_file_info info = { 0 };

	return ioctl(fd, SYNC_IOC_FILE_INFO, &info) ? -errno : info.status;
}

/* Waits for the end. */
static int sync_file_result(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (poll(&p, 1, -1) < 0)
		if (errno != EINTR)
			return -errno;
	return sync_file_status(fd);
}

static int syncobj_result(const struct gpu *g, uint32_t syncobj)
{
	int fd, ret;

	if (drmSyncobjExportSyncFile(g->fd, syncobj, &fd))
		return -errno;
	ret = sync_file_result(fd);
	close(fd);
	return ret;
}

/* ---- bounded work ---- */

static void too_long(void)
{
	uint32_t syncobj[2], i, word;
	struct gpu g, other;
	struct bo b, theirs;

	ASSERT(gpu_open(&g));
	ASSERT(gpu_open(&other));
	ASSERT(bo_new(&g, &b, 6 * MiB, DRM_VTTM_CACHED, 1));
	word = *(uint32_t *)b.map;
	ASSERT(bo_new(&other, &theirs, PAGE, DRM_VTTM_CACHED, 2));
	for (i = 0; i < ARRAY_LEN(syncobj); i++)
		ASSERT_OK(drmSyncobjCreate(g.fd, 0, &syncobj[i]));
	ASSERT_OK(bo_keep_busy(&g, &b, 1, syncobj[0]));
	ASSERT_OK(submit_fill(&g, &b, syncobj[1], 0, 1));
	/* what took too long, and what was queued behind it */
	EXPECT_EQ(syncobj_result(&g, syncobj[0]), -ETIME);
	EXPECT_EQ(syncobj_result(&g, syncobj[1]), -ECANCELED);
	EXPECT_OK(vttm_wait(g.fd, b.handle, -1));
	EXPECT_ERR(submit_fill(&g, &b, 0, 0, 1), ECANCELED);
	/* others have nothing to do with it */
	EXPECT_OK(submit_fill(&other, &theirs, 0, 0, 0x4711));
	EXPECT_OK(vttm_wait(other.fd, theirs.handle, -1));
	EXPECT_EQ(*(uint32_t *)theirs.map, 0x4711);
	/* nor has the CPU, and nothing was written but the first word */
	*(uint32_t *)b.map = word;
	EXPECT(bo_check_map(&b));
}

static void closed(void)
{
	struct dma_buf_export_sync_file sync = { .flags = DMA_BUF_SYNC_RW };
	struct gpu g, other;
	struct bo b, theirs;
	int buf;

	ASSERT(gpu_open(&g));
	ASSERT(gpu_open(&other));
	ASSERT(bo_new(&g, &b, 6 * MiB, DRM_VTTM_CACHED, 1));
	ASSERT(bo_new(&other, &theirs, PAGE, DRM_VTTM_CACHED, 2));
	ASSERT_EQ(drmPrimeHandleToFD(g.fd, b.handle, DRM_CLOEXEC, &buf), 0);
	ASSERT_OK(bo_keep_busy(&g, &b, 1, 0));
	ASSERT_OK(bo_keep_busy(&g, &b, 1, 0));
	ASSERT_EQ(ioctl(buf, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &sync), 0);
	EXPECT_EQ(sync_file_status(sync.fd), 0);
	/* the mapping has a reference to the file */
	munmap(b.map, b.size);
	close(g.fd);
	/* cancelled, not waited for until the time is up */
	EXPECT(sync_file_result(sync.fd) < 0);
	EXPECT(sync_file_status(sync.fd) != -ETIME);
	close(sync.fd);
	close(buf);
	EXPECT_OK(submit_fill(&other, &theirs, 0, 0, 0x4711));
	EXPECT_OK(vttm_wait(other.fd, theirs.handle, -1));
	EXPECT_EQ(*(uint32_t *)theirs.map, 0x4711);
}

/*
 * The scheduler takes the next job while the file is closed: a race that is lost once
 * in a hundred rounds or so.
 */
static void closed_again_and_again(void)
{
	struct gpu g, other;
	struct bo b, theirs;
	unsigned int round, i;

	ASSERT(gpu_open(&other));
	ASSERT(bo_new(&other, &theirs, PAGE, DRM_VTTM_CACHED, 2));
	for (round = 0; round < 100; round++) {
		ASSERT(gpu_open(&g));
		ASSERT(bo_new(&g, &b, PAGE, DRM_VTTM_CACHED, 1));
		for (i = 0; i < MAX_JOBS; i++)
			ASSERT_OK(submit_fill(&g, &b, 0, 0, i));
		munmap(b.map, b.size);
		close(g.fd);
		ASSERT_OK(submit_fill(&other, &theirs, 0, 0, round));
		ASSERT_OK(vttm_wait(other.fd, theirs.handle, -1));
		ASSERT_EQ(*(uint32_t *)theirs.map, round);
	}
}

static bool waits_for_fence(pid_t pid)
{
	char path[32];
	const char *stack;

	snprintf(path, sizeof(path), "/proc/%d/stack", pid);
	stack = read_file(path);
	if (!stack)
		die("cannot read %s: %s", path, strerror(errno));
	return strstr(stack, "dma_fence") || strstr(stack, "dma_resv_wait") ||
	       strstr(stack, "ttm_bo_wait");
}

/*
 * A process that shrinks the device and waits for a busy buffer, with the buffer's lock
 * held. It has none of the files that others are to close.
 */
static pid_t shrinker_start(const struct gpu *g, const struct bo *b)
{
	pid_t pid = fork_or_die();

	if (!pid) {
		munmap(b->map, b->size);
		close(g->fd);
		vttm_shrink(g->minor, PAGES(b->size), false, NULL);
		_exit(0);
	}
	while (!waits_for_fence(pid))
		usleep(1000);
	return pid;
}

static void closed_while_shrunk(void)
{
	uint32_t syncobj;
	struct gpu g;
	struct bo b;
	pid_t pid;
	int fd;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new_local(&g, &b, 6 * MiB, 1));
	ASSERT_OK(drmSyncobjCreate(g.fd, 0, &syncobj));
	ASSERT_OK(bo_keep_busy(&g, &b, 1, syncobj));
	ASSERT_EQ(drmSyncobjExportSyncFile(g.fd, syncobj, &fd), 0);
	pid = shrinker_start(&g, &b);
	EXPECT_EQ(sync_file_status(fd), 0);
	munmap(b.map, b.size);
	close(g.fd);
	/* cancelled, although all that closing needs is locked until the job ends */
	EXPECT_EQ(sync_file_result(fd), -ECANCELED);
	EXPECT_EQ(waitpid(pid, NULL, 0), pid);
	close(fd);
}

/* Submissions behind a job of so many operations, which ends with that status. */
static void jobs_behind(unsigned int op_count, int *status)
{
	enum { JOBS = 3 * MAX_JOBS };
	static struct drm_vttm_op ops[24];
	struct drm_vttm_submit long_one = { .ops = (uintptr_t)ops, .op_count = op_count };
	struct shared *s = shared_memory(sizeof(*s));
	uint32_t most = 0, seen;
	struct gpu g;
	struct bo b;
	pid_t pid;
	size_t i;
	int fd;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, 6 * MiB, DRM_VTTM_CACHED, 1));
	ASSERT_OK(drmSyncobjCreate(g.fd, 0, &long_one.syncobj));
	for (i = 0; i < ARRAY_LEN(ops); i++)
		ops[i] = (struct drm_vttm_op){
			.opcode = DRM_VTTM_OP_CRC32, .dst = b.handle,
			.src = b.handle, .size = b.size,
		};
	ASSERT_OK(vttm_ioctl(g.fd, DRM_IOCTL_VTTM_SUBMIT, &long_one));
	ASSERT_EQ(drmSyncobjExportSyncFile(g.fd, long_one.syncobj, &fd), 0);
	pid = fork_or_die();
	if (!pid) {
		for (i = 0; i < JOBS; i++) {
			if (submit_fill(&g, &b, 0, 0, i + 1))
				_exit(1);
			s->count++;
		}
		_exit(0);
	}
	do {
		seen = s->count;
		/* taken before, so it is of a time when the first job ran */
		*status = sync_file_status(fd);
		if (*status)
			break;
		if (seen > most)
			most = seen;
		usleep(1000);
	} while (1);
	EXPECT_EQ(waitpid(pid, (int *)&seen, 0), pid);
	close(fd);
	if (*status != -ETIME) {
		EXPECT_EQ(*status, 1);
		EXPECT_EQ(most, MAX_JOBS - 1);
		EXPECT_EQ(seen, 0);
		EXPECT_OK(vttm_wait(g.fd, b.handle, -1));
		EXPECT_EQ(*(uint32_t *)b.map, JOBS);
	}
	bo_free(&g, &b);
	close(g.fd);
}

/* Submissions beyond what a file may have queued wait for the first ones. */
static void many_jobs(void)
{
	unsigned int op_count;
	int status = -ETIME;

	/* The first job takes a second or so, and more than it may on a busy host. */
	for (op_count = 24; op_count && status == -ETIME; op_count /= 2) {
		status = 0;
		jobs_behind(op_count, &status);
	}
	EXPECT(status != -ETIME);
}

/* ---- reclaim ---- */

static pid_t kswapd_pid(void)
{
	char path[32];
	pid_t pid;

	for (pid = 2; pid < 1000; pid++) {
		const char *comm;

		snprintf(path, sizeof(path), "/proc/%d/comm", pid);
		comm = read_file(path);
		if (comm && !strncmp(comm, "kswapd", 6))
			return pid;
	}
	die("there is no kswapd");
}

/*
 * Waits for fences that the kernel tells of itself, from waits_trace() on, of the tasks that
 * a filter says. Looking at stacks now and then would miss short ones.
 */
#define WAITS	TRACING "/events/dma_fence/dma_fence_wait_start"

static unsigned int waits_traced(void)
{
	return trace_count("dma_fence_wait_start", "");
}

/* An own one is told of first, as it would be easy to hear of none. */
static bool waits_trace(const char *filter)
{
	unsigned int i;
	struct gpu g;
	struct bo b;
	int ret;

	ret = write_file(WAITS "/filter", "common_pid == %d", getpid());
	if (ret) {
		FAIL(WAITS "/filter: %s", strerror(-ret));
		return false;
	}
	if (!trace_on("dma_fence:dma_fence_wait_start") || !gpu_open(&g) ||
	    !bo_new(&g, &b, PAGE, DRM_VTTM_CACHED, 1))
		return false;
	/* the job may have ended before it was waited for */
	for (i = 0; i < 100 && !waits_traced(); i++) {
		EXPECT_OK(bo_keep_busy(&g, &b, 1, 0));
		EXPECT_OK(vttm_wait(g.fd, b.handle, -1));
	}
	if (!waits_traced()) {
		FAIL("no wait is told of");
		return false;
	}
	bo_free(&g, &b);
	close(g.fd);
	ret = write_file(WAITS "/filter", "%s", filter) ?: trace_clear();
	if (ret)
		FAIL(WAITS "/filter, \"%s\": %s", filter, strerror(-ret));
	return !ret;
}

static void waits_trace_off(void)
{
	trace_off();
	EXPECT_OK(write_file(WAITS "/filter", "0"));
}

/* Does any of the kernel's workers wait for a fence, for the shrinker? */
static bool worker_waits(void)
{
	struct dirent *e;
	bool waits = false;
	DIR *proc = opendir("/proc");

	if (!proc)
		die("/proc: %s", strerror(errno));
	while (!waits && (e = readdir(proc))) {
		char path[32];
		const char *text;

		if (strtol(e->d_name, NULL, 10) <= 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%.10s/comm", e->d_name);
		text = read_file(path);
		if (!text || strncmp(text, "kworker/", 8))
			continue;
		snprintf(path, sizeof(path), "/proc/%.10s/stack", e->d_name);
		text = read_file(path);
		waits = text && strstr(text, "vttm_shrinker") &&
			(strstr(text, "dma_fence") || strstr(text, "dma_resv_wait"));
	}
	closedir(proc);
	return waits;
}

enum { BUSY = 8, IDLE = 10 };

/*
 * A process whose buffers are never idle, from busy_go() on: it submits jobs that name all
 * of them, or some if they are local and busy together, as many as it may, until it is to
 * stop. Then it looks whether they are as they should be.
 */
static pid_t busy_start(struct shared *s, uint32_t flags)
{
	const unsigned int first = flags & DRM_VTTM_CREATE_LOCAL ? BUSY / 2 : 0;
	static struct drm_vttm_op ops[BUSY];
	static struct bo b[BUSY];
	pid_t pid = fork_or_die();
	struct gpu g;
	unsigned int i;

	if (pid) {
		while (!s->ready && !waitpid(pid, NULL, WNOHANG))
			usleep(1000);
		return pid;
	}
	test_failures = 0;
	if (!gpu_open(&g))
		_exit(1);
	for (i = 0; i < BUSY; i++) {
		if (!bo_new_flags(&g, &b[i], 4 * MiB, DRM_VTTM_CACHED, flags, i + 1))
			_exit(1);
		ops[i] = (struct drm_vttm_op){
			.opcode = DRM_VTTM_OP_CRC32, .dst = b[first].handle,
			.src = b[i].handle, .size = 8 * KiB,
		};
	}
	s->ready = true;
	while (!s->go)
		usleep(1000);
	while (!s->stop) {
		if (vttm_submit(g.fd, ops + first, BUSY - first))
			_exit(1);
		s->count++;
	}
	for (i = 0; i < BUSY; i++)
		if (i != first && !bo_check_map(&b[i]))
			_exit(1);
	fflush(stdout);
	_exit(0);
}

static void busy_go(struct shared *s, pid_t pid)
{
	s->go = true;
	while (s->count < MAX_JOBS && !waitpid(pid, NULL, WNOHANG))
		usleep(1000);
}

static void busy_end(struct shared *s, pid_t pid)
{
	int status;

	s->stop = true;
	EXPECT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
}

/* Does it run, or sleep until something has been done for it? Idle, it just sleeps. */
static bool at_work(pid_t pid)
{
	char path[32];
	const char *state;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	state = strrchr(must_read(path), ')');
	return state && (state[2] == 'R' || state[2] == 'D');
}

/* So many looks have to meet who must not wait, while memory is taken. */
enum { LOOKS = 50, ROUNDS = 20 };

struct looks {
	unsigned int rounds, taken, met, waits;
};

/*
 * Memory is taken, as often as it takes to have looked so often. The first hog has been
 * started before; kswapd is to be met, or a worker of the shrinker.
 */
static void look(struct looks *l, struct hog *hog, pid_t kswapd)
{
	int status;

	memset(l, 0, sizeof(*l));
	do {
		if (l->rounds++)
			hog_start(hog, 12 * MiB);
		hog_go(hog);
		while (!waitpid(hog->pid, &status, WNOHANG)) {
			l->taken++;
			l->met += kswapd ? at_work(kswapd) : 1;
			l->waits += kswapd ? waits_for_fence(kswapd) : worker_waits();
			usleep(1000);
		}
		EXPECT_EQ(status, 0);
	} while (!status && !l->waits && l->met < LOOKS && l->rounds < ROUNDS);
	EXPECT_GE(l->met, LOOKS);
	EXPECT_EQ(l->waits, 0);
}

/*
 * All that the engine may be given, while somebody else needs memory: kswapd gets it
 * from what is idle, if there is any, and waits for nothing.
 */
static void kswapd_and(unsigned int idle)
{
	struct backup_counters then, now;
	struct shared *s = shared_memory(sizeof(*s));
	pid_t kswapd = kswapd_pid(), busy;
	static struct bo b[IDLE];
	struct looks looks;
	struct hog hog;
	uint64_t scanned;
	char filter[32];
	struct gpu g;
	unsigned int i;

	snprintf(filter, sizeof(filter), "common_pid == %d", kswapd);
	ASSERT(waits_trace(filter));
	ASSERT(gpu_open(&g));
	/* busy ones first, so that they are the first in line for the shrinker too */
	busy = busy_start(s, 0);
	for (i = 0; i < idle; i++)
		ASSERT(bo_new(&g, &b[i], 6 * MiB, i % 3, 100 + i));
	/* as long as nobody works, this takes little time */
	hog_start(&hog, 12 * MiB);
	busy_go(s, busy);
	scanned = vmstat("pgscan_kswapd");
	backup_counters(&then);
	look(&looks, &hog, kswapd);
	backup_counters_since(&then, &now);
	EXPECT_EQ(waits_traced(), 0);
	waits_trace_off();
	test_note("kswapd at work in %u of %u looks, %u rounds; %" PRIu64 " pages scanned by it, %" PRIu64 " backed up, %u jobs",
		  looks.met, looks.taken, looks.rounds, vmstat("pgscan_kswapd") - scanned,
		  now.inserted + now.copied, s->count);
	/* or there was no pressure and this proved nothing */
	EXPECT_GT(vmstat("pgscan_kswapd"), scanned);
	if (idle)
		EXPECT_GT(now.inserted + now.copied, 0);
	busy_end(s, busy);
	for (i = 0; i < idle; i++)
		EXPECT(bo_check_map(&b[i]));
}

static void kswapd_idle_left(void)
{
	kswapd_and(IDLE);
}

static void kswapd_all_busy(void)
{
	kswapd_and(0);
}

/*
 * Buffers that are never idle can be had all the same: who submits gives way, and nobody
 * waits with a lock held.
 */
static void never_idle(void)
{
	struct shared *s = shared_memory(sizeof(*s));
	struct backup_counters then, c;
	struct looks looks;
	unsigned int i, jobs;
	struct hog hog;
	pid_t busy;

	ASSERT(waits_trace("comm ~ \"kworker/*\""));
	busy = busy_start(s, DRM_VTTM_CREATE_LOCAL);
	hog_start(&hog, 12 * MiB);
	busy_go(s, busy);
	backup_counters(&then);
	look(&looks, &hog, 0);
	/* it may have to wait for as many jobs as there can be */
	jobs = s->count;
	for (i = 0; i < 3000 || s->count - jobs < 4 * MAX_JOBS; i++) {
		backup_counters_since(&then, &c);
		looks.waits += worker_waits();
		looks.taken++;
		if (c.inserted)
			break;
		usleep(10000);
	}
	EXPECT_GT(c.inserted, 0);
	EXPECT_EQ(looks.waits, 0);
	EXPECT_EQ(waits_traced(), 0);
	waits_trace_off();
	test_note("no worker waits in %u looks, %u rounds; %" PRIu64 " pages inserted, %u jobs",
		  looks.taken, looks.rounds, c.inserted, s->count);
	busy_end(s, busy);
}

/* Does it sleep until the shrinker has got what it submits? */
static bool gives_way(pid_t pid)
{
	char path[32];
	const char *text;

	snprintf(path, sizeof(path), "/proc/%d/stack", pid);
	text = read_file(path);
	return text && strstr(text, "vttm_shrinker_give_way");
}

/* Can be waited for afterwards */
static bool child_ended(pid_t pid)
{
	siginfo_t info = { .si_pid = 0 };

	return waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) || info.si_pid;
}

/* Two jobs over one small buffer, each when it is told to */
static void submit_small(struct shared *s)
{
	struct gpu g;
	struct bo b;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, 4 * PAGE, DRM_VTTM_CACHED, 1));
	for (s->ready = true; s->count < 2; s->count++) {
		while (!s->go)
			usleep(1000);
		s->go = false;
		ASSERT_OK(submit_fill(&g, &b, 0, 0, 1));
	}
}

/* A job over the large buffer that takes so many ops: a fraction of what it may take */
static int submit_large(const struct gpu *g, const struct bo *b, unsigned int nr)
{
	static struct drm_vttm_op ops[DRM_VTTM_SUBMIT_MAX_OPS];
	unsigned int i;

	for (i = 0; i < nr; i++)
		ops[i] = (struct drm_vttm_op){
			.opcode = DRM_VTTM_OP_CRC32, .dst = b->handle,
			.src = b->handle, .size = 256 * KiB,
		};
	return vttm_submit(g->fd, ops, nr);
}

/* How many of its operations take a fifth of a second, about: 4 s would be too long. */
static unsigned int large_takes(const struct gpu *g, const struct bo *b)
{
	uint64_t took, least = UINT64_MAX;
	unsigned int i, nr;

	for (i = 0; i < 3; i++) {
		took = now_ns();
		EXPECT_OK(submit_large(g, b, 16));
		EXPECT_OK(vttm_wait(g->fd, b->handle, -1));
		least = MIN(least, now_ns() - took);
	}
	nr = 16 * 200000000ULL / least;
	return MAX(1, MIN(nr, DRM_VTTM_SUBMIT_MAX_OPS));
}

/*
 * The job of the small buffer has those of the large one before and behind it. While
 * both are waited for, somebody wants to submit the small one again, and has to wait.
 * True if that ends while the large one is busy, as the small one has been shrunk.
 */
static bool small_goes_on(struct shared *s)
{
	bool gave_way = false, busy;
	struct bo large;
	unsigned int i, nr;
	struct gpu g;
	pid_t small;
	int status;

	memset(s, 0, sizeof(*s));
	if (!gpu_open(&g) || !bo_new(&g, &large, 8 * MiB, DRM_VTTM_CACHED, 2))
		return false;
	nr = large_takes(&g, &large);
	small = fork_or_die();
	if (!small) {
		test_failures = 0;
		submit_small(s);
		fflush(stdout);
		_exit(test_failures ? 1 : 0);
	}
	while (!s->ready && !child_ended(small))
		usleep(1000);
	for (i = 0; i < 10; i++)
		EXPECT_OK(submit_large(&g, &large, nr));
	for (s->go = true; s->count < 1 && !child_ended(small); )
		usleep(1000);
	/* far less than the 15 s after which the shrinker gives up */
	for (i = 0; i < 14; i++)
		EXPECT_OK(submit_large(&g, &large, nr));
	EXPECT(trace_on("workqueue:workqueue_execute_end"));
	/* both of them, and nothing else has anything to shrink */
	EXPECT_OK(vttm_shrink_busy(g.minor, 2 * PAGES(large.size)));
	while (!strstr(must_read(TRACING "/trace"), "vttm_shrinker_busy_work") &&
	       vttm_wait(g.fd, large.handle, 0) == -ETIME)
		usleep(1000);
	trace_off();
	for (s->go = true; s->count < 2 && !child_ended(small); usleep(1000))
		gave_way |= gives_way(small);
	busy = vttm_wait(g.fd, large.handle, 0) == -ETIME;
	bo_unmap(&large);
	close(g.fd);
	EXPECT_EQ(waitpid(small, &status, 0), small);
	EXPECT_EQ(status, 0);
	return gave_way && busy;
}

/*
 * Again where the machine has been away for so long that the small one was idle before
 * anybody looked, or the large one was before anybody looked again.
 */
static void got_goes_on(void)
{
	struct shared *s = shared_memory(sizeof(*s));
	bool went_on = false;
	unsigned int round;

	for (round = 1; round <= 5 && !went_on && !test_failures; round++)
		went_on = small_goes_on(s);
	test_note("%u rounds", round - 1);
	EXPECT(went_on);
}

/* Whoever makes a handle waits for who is exporting. */
static void export_of_locked(void)
{
	struct gpu g, other;
	struct bo b, theirs;
	uint32_t syncobj;
	int fd, buf;
	pid_t pid;

	ASSERT(gpu_open(&g));
	ASSERT(gpu_open(&other));
	ASSERT(bo_new(&g, &b, 6 * MiB, DRM_VTTM_CACHED, 1));
	ASSERT_OK(drmSyncobjCreate(g.fd, 0, &syncobj));
	ASSERT_OK(bo_keep_busy(&g, &b, 1, syncobj));
	ASSERT_EQ(drmSyncobjExportSyncFile(g.fd, syncobj, &fd), 0);
	pid = shrinker_start(&g, &b);
	EXPECT_EQ(drmPrimeHandleToFD(g.fd, b.handle, DRM_CLOEXEC, &buf), 0);
	EXPECT(bo_new(&other, &theirs, PAGE, DRM_VTTM_CACHED, 2));
	/* all of that while it was locked */
	EXPECT_EQ(sync_file_status(fd), 0);
	EXPECT_EQ(waitpid(pid, NULL, WNOHANG), 0);
	close(fd);
	close(buf);
	munmap(b.map, b.size);
	close(g.fd);
	EXPECT_EQ(waitpid(pid, NULL, 0), pid);
}

/* ---- who is charged ---- */

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

static void untouched_are_charged(void)
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

static void objects_are_charged(void)
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

static void jobs_are_charged(void)
{
	ASSERT_OK(cg_create("maker"));
	EXPECT(ktap_child(queue_jobs, NULL));
	EXPECT_OK(cg_remove("maker"));
}

/* ---- buffers that are local to a file ---- */

static void local_is_local(void)
{
	struct drm_gem_flink flink = { 0 };
	struct drm_gem_open open = { 0 };
	struct gpu g, other;
	struct vttm_state i;
	struct bo b;
	int fd;

	ASSERT(gpu_open(&g));
	ASSERT(gpu_open(&other));
	ASSERT(bo_new_local(&g, &b, 4 * PAGE, 1));
	ASSERT(bo_info(&g, &b, &i));
	EXPECT_EQ(i.flags, DRM_VTTM_INFO_LOCAL);
	EXPECT_EQ(drmPrimeHandleToFD(g.fd, b.handle, DRM_CLOEXEC, &fd), -1);
	EXPECT_EQ(errno, EPERM);
	flink.handle = b.handle;
	ASSERT_OK(vttm_ioctl(g.fd, DRM_IOCTL_GEM_FLINK, &flink));
	open.name = flink.name;
	EXPECT_ERR(vttm_ioctl(other.fd, DRM_IOCTL_GEM_OPEN, &open), EPERM);
	open.name = flink.name;
	EXPECT_ERR(vttm_ioctl(g.fd, DRM_IOCTL_GEM_OPEN, &open), EPERM);
	/* it goes on without its neighbours, and without a handle */
	EXPECT_OK(submit_fill(&g, &b, 0, 0, 7));
	EXPECT_OK(vttm_wait(g.fd, b.handle, -1));
	EXPECT_EQ(*(uint32_t *)b.map, 7);
	EXPECT_OK(vttm_close(g.fd, b.handle));
	EXPECT_EQ(*(uint32_t *)b.map, 7);
}

/* What moves together: one of three was used, and all of them are in use. */
static void moves_together(void)
{
	struct bo local[3], own[3], last;
	struct vttm_state i;
	unsigned int n;
	struct gpu g;

	ASSERT(gpu_open(&g));
	for (n = 0; n < ARRAY_LEN(own); n++)
		ASSERT(bo_new(&g, &own[n], 2 * MiB, DRM_VTTM_CACHED, n + 1));
	for (n = 0; n < ARRAY_LEN(local); n++)
		ASSERT(bo_new_local(&g, &local[n], 2 * MiB, n + 10));
	ASSERT(bo_new(&g, &last, 2 * MiB, DRM_VTTM_CACHED, 20));
	ASSERT_OK(submit_fill(&g, &own[1], 0, 0, 1));
	ASSERT_OK(submit_fill(&g, &local[1], 0, 0, 1));
	ASSERT_OK(vttm_wait(g.fd, own[1].handle, -1));
	ASSERT_OK(vttm_wait(g.fd, local[1].handle, -1));
	/* in the order of the last use: two of those with a life of their own, the last */
	ASSERT_OK(vttm_shrink(g.minor, 3 * PMD_PAGES, false, NULL));
	EXPECT(bo_check_where(&g, &own[0], 0, PMD_PAGES, PMD_PAGES));
	EXPECT(bo_check_where(&g, &own[2], 0, PMD_PAGES, PMD_PAGES));
	EXPECT(bo_check_where(&g, &last, 0, PMD_PAGES, PMD_PAGES));
	EXPECT(bo_check_where(&g, &own[1], PMD_PAGES, 0, 0));
	for (n = 0; n < ARRAY_LEN(local); n++) {
		ASSERT(bo_info(&g, &local[n], &i));
		EXPECT_EQ(i.resident_pages, PMD_PAGES);
	}
	for (n = 0; n < ARRAY_LEN(own); n += 2) {
		EXPECT(bo_check_map(&own[n]));
		EXPECT(bo_check_map(&local[n]));
	}
}

/* ---- times and timelines ---- */

static void absolute_time(void)
{
	struct drm_vttm_wait w = { 0 };
	struct gpu g;
	struct bo b;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, 6 * MiB, DRM_VTTM_CACHED, 1));
	ASSERT_OK(bo_keep_busy(&g, &b, 1, 0));
	w.handle = b.handle;
	EXPECT_ERR(vttm_ioctl(g.fd, DRM_IOCTL_VTTM_WAIT, &w), ETIME);
	w.timeout_ns = -1;
	EXPECT_ERR(vttm_ioctl(g.fd, DRM_IOCTL_VTTM_WAIT, &w), ETIME);
	/* long ago: relative, it would be most of a day */
	w.timeout_ns = now_ns() - 1;
	EXPECT_ERR(vttm_ioctl(g.fd, DRM_IOCTL_VTTM_WAIT, &w), ETIME);
	w.timeout_ns = now_ns() + 50000000;
	EXPECT_ERR(vttm_ioctl(g.fd, DRM_IOCTL_VTTM_WAIT, &w), ETIME);
	EXPECT_GE((int64_t)now_ns(), w.timeout_ns);
	w.timeout_ns = INT64_MAX;
	EXPECT_OK(vttm_ioctl(g.fd, DRM_IOCTL_VTTM_WAIT, &w));
}

static void timeline(void)
{
	uint64_t has = 0, point, points[2] = { 1, 5 };
	uint32_t syncobj, handles[2];
	struct gpu g;
	struct bo b;

	ASSERT(gpu_open(&g));
	ASSERT_EQ(drmGetCap(g.fd, DRM_CAP_SYNCOBJ_TIMELINE, &has), 0);
	EXPECT_EQ(has, 1);
	ASSERT(bo_new(&g, &b, PAGE, DRM_VTTM_CACHED, 1));
	ASSERT_OK(drmSyncobjCreate(g.fd, 0, &syncobj));
	ASSERT_OK(submit_fill(&g, &b, syncobj, points[0], 11));
	ASSERT_OK(submit_fill(&g, &b, syncobj, points[1], 12));
	handles[0] = syncobj;
	handles[1] = syncobj;
	EXPECT_OK(drmSyncobjTimelineWait(g.fd, handles, points, 2, INT64_MAX,
					 DRM_SYNCOBJ_WAIT_FLAGS_WAIT_ALL, NULL));
	EXPECT_EQ(*(uint32_t *)b.map, 12);
	EXPECT_OK(drmSyncobjQuery(g.fd, &syncobj, &point, 1));
	EXPECT_EQ(point, 5);
	EXPECT_OK(drmSyncobjDestroy(g.fd, syncobj));
}

/* ---- what is not needed ---- */

static void unneeded(void)
{
	struct drm_vttm_mmap_offset m = { 0 };
	struct gpu g;
	uint32_t v;
	struct bo b;
	int fd, mem;

	mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	ASSERT(mem >= 0);
	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, 2 * PAGE, DRM_VTTM_WC, 1));
	m.handle = b.handle;
	ASSERT_OK(vttm_ioctl(g.fd, DRM_IOCTL_VTTM_MMAP_OFFSET, &m));
	ASSERT_OK(vttm_madvise(g.fd, b.handle, DRM_VTTM_MADV_DONTNEED, NULL));
	EXPECT(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, g.fd, m.offset) == MAP_FAILED);
	EXPECT_EQ(errno, EBUSY);
	EXPECT_EQ(drmPrimeHandleToFD(g.fd, b.handle, DRM_CLOEXEC, &fd), -1);
	EXPECT_EQ(errno, EBUSY);
	EXPECT_ERR(submit_fill(&g, &b, 0, 0, 1), EBUSY);
	/* nor by a debugger, where a signal would come otherwise */
	EXPECT_EQ(pread(mem, &v, sizeof(v), (uintptr_t)b.map), -1);
	EXPECT_EQ(errno, EIO);
	/* all of it as before when it is needed again */
	ASSERT_OK(vttm_madvise(g.fd, b.handle, DRM_VTTM_MADV_WILLNEED, NULL));
	EXPECT(bo_check_map(&b));
	EXPECT(bo_check_engine(&g, &b));

	ASSERT_OK(vttm_madvise(g.fd, b.handle, DRM_VTTM_MADV_DONTNEED, NULL));
	ASSERT_OK(vttm_purge(g.minor, PAGES(b.size), NULL));
	EXPECT(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, g.fd, m.offset) == MAP_FAILED);
	EXPECT_EQ(errno, EINVAL);
	EXPECT_EQ(drmPrimeHandleToFD(g.fd, b.handle, DRM_CLOEXEC, &fd), -1);
	EXPECT_EQ(errno, EINVAL);
	EXPECT_ERR(submit_fill(&g, &b, 0, 0, 1), EFAULT);
	EXPECT(!peek32(b.map, &v));
	bo_free(&g, &b);

	/* what was never mapped has nothing to look at */
	ASSERT(bo_new(&g, &b, 2 * PAGE, DRM_VTTM_CACHED, 1));
	bo_unmap(&b);
	ASSERT_OK(bo_map(g.fd, &b));
	ASSERT_OK(vttm_madvise(g.fd, b.handle, DRM_VTTM_MADV_DONTNEED, NULL));
	EXPECT(!peek32(b.map, &v));
	ASSERT_OK(vttm_madvise(g.fd, b.handle, DRM_VTTM_MADV_WILLNEED, NULL));
	EXPECT(bo_check_map(&b));

	/* others may need it */
	ASSERT_EQ(drmPrimeHandleToFD(g.fd, b.handle, DRM_CLOEXEC, &fd), 0);
	EXPECT_ERR(vttm_madvise(g.fd, b.handle, DRM_VTTM_MADV_DONTNEED, NULL), EBUSY);
	close(fd);
	EXPECT(bo_check_map(&b));
}

/* An export that comes to nothing: nobody else has it. */
static void export_fails(void *arg)
{
	struct gpu g;
	struct bo b;
	int fd;

	(void)arg;
	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, PAGE, DRM_VTTM_CACHED, 1));
	/* no file for anybody who is not root, which this process is no more */
	ASSERT_OK(write_file(FILE_MAX, "0"));
	ASSERT_EQ(setuid(65534), 0);
	EXPECT_EQ(drmPrimeHandleToFD(g.fd, b.handle, DRM_CLOEXEC, &fd), -1);
	EXPECT_EQ(errno, ENFILE);
	EXPECT_OK(vttm_madvise(g.fd, b.handle, DRM_VTTM_MADV_DONTNEED, NULL));
	EXPECT_OK(vttm_madvise(g.fd, b.handle, DRM_VTTM_MADV_WILLNEED, NULL));
}

static void failed_export(void)
{
	char had[32];

	snprintf(had, sizeof(had), "%s", read_file(FILE_MAX));
	EXPECT(ktap_child(export_fails, NULL));
	EXPECT_OK(write_file(FILE_MAX, "%s", had));
}

static void pages_bad(void)
{
	static const char *const bad[] = { "", "x", "1", "-1 1" };
	char path[64], text[32];
	struct gpu g;
	struct bo b;
	size_t i;
	int ret;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, PAGE, DRM_VTTM_CACHED, 1));
	snprintf(path, sizeof(path), "/sys/kernel/debug/dri/%u/pages", g.minor);
	for (i = 1; i < ARRAY_LEN(bad); i++) {
		ret = write_file(path, "%s", bad[i]);
		if (ret != -EINVAL && ret != -EBADF)
			FAIL("\"%s\": %d", bad[i], ret);
	}
	/* a file of another kind, a handle that names nothing */
	EXPECT_ERR(write_file(path, "0 %u", b.handle), EBADF);
	snprintf(text, sizeof(text), "%d %u", g.fd, 0x7fff);
	EXPECT_ERR(write_file(path, "%s", text), ENOENT);
}

static const struct test tests[] = {
	{ "c102_job_that_takes_too_long", too_long },
	{ "c102_jobs_of_a_closed_file", closed },
	{ "c102_closed_again_and_again", closed_again_and_again },
	{ "c102_closed_while_its_buffers_are_locked", closed_while_shrunk },
	{ "c102_queue_is_bounded", many_jobs },
	{ "c103_kswapd_takes_what_is_idle", kswapd_idle_left },
	{ "c103_kswapd_waits_for_no_fence", kswapd_all_busy },
	{ "c103_never_idle_is_waited_for", never_idle },
	{ "c103_who_has_been_shrunk_goes_on", got_goes_on },
	{ "c103_export_waits_for_no_fence", export_of_locked },
	{ "c104_untouched_buffers_are_charged", untouched_are_charged },
	{ "c104_objects_are_charged", objects_are_charged },
	{ "c104_queued_jobs_are_charged", jobs_are_charged },
	{ "c105_local_is_local", local_is_local },
	{ "c105_local_buffers_move_together", moves_together },
	{ "c106_wait_is_absolute", absolute_time },
	{ "c106_points_of_a_timeline", timeline },
	{ "c107_unneeded_is_not_handed_out", unneeded },
	{ "c107_failed_export_is_none", failed_export },
	{ "debugfs_pages_refuses_bad_input", pages_bad },
};

int main(void)
{
	mount_all();
	return ktap_run(tests, ARRAY_LEN(tests));
}
