// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Reclaim does not wait for the engine, and gets what it is busy with all the same. */

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/param.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xf86drm.h>

#include "engine.h"

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

void kswapd_idle_left(void)
{
	kswapd_and(IDLE);
}

void kswapd_all_busy(void)
{
	kswapd_and(0);
}

/*
 * Buffers that are never idle can be had all the same: who submits gives way, and nobody
 * waits with a lock held.
 */
void never_idle(void)
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
void got_goes_on(void)
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
void export_of_locked(void)
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
