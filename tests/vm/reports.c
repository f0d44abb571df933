// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * test-reports [stutter|tinyswap|small|submit|exits|readers|neighbours]
 *
 * What users of real drivers have reported, done with the virtual one; docs/reports.md
 * has the list. Without an argument, those that take no long time and no machine of a
 * special kind. Some say figures, in lines "# figure NAME VALUE", for a comparison of kernels.
 */

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xf86drm.h>

#include "fixture.h"

static void figure(const char *name, double value)
{
	test_note("figure %s %.4f", name, value);
}

static int touch(const struct gpu *g, const struct bo *b, unsigned int nr)
{
	struct drm_vttm_op ops[16];
	unsigned int i;
	int ret;

	if (nr > ARRAY_LEN(ops))
		die("%u buffers in one job", nr);
	/* reads a word of each and leaves it as it is, but for the first one's last */
	for (i = 0; i < nr; i++)
		ops[i] = (struct drm_vttm_op){
			.opcode = DRM_VTTM_OP_CRC32, .dst = b[0].handle,
			.dst_offset = b[0].size - 4, .src = b[i].handle, .size = 4,
		};
	ret = vttm_submit(g->fd, ops, nr);
	return ret ?: vttm_wait(g->fd, b[0].handle, -1);
}

/* Where the pages of all of these are; what else is in the state is that of the last one */
static bool where_are(const struct gpu *g, const struct bo *b, unsigned int nr,
		      struct vttm_state *sum)
{
	uint64_t resident = 0, backed_up = 0;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (!bo_info(g, &b[i], sum))
			return false;
		resident += sum->resident_pages;
		backed_up += sum->backed_up_pages;
	}
	sum->resident_pages = resident;
	sum->backed_up_pages = backed_up;
	return true;
}

/* ---- backups and restores that fail, again and again ---- */

static void fails_again(void)
{
	unsigned int i, round, gone, interval, failures = 0;
	struct vttm_state s;
	struct bo b[6];
	struct gpu g;
	int times;

	ASSERT(gpu_open(&g));
	for (i = 0; i < ARRAY_LEN(b); i++)
		ASSERT(bo_new(&g, &b[i], i & 1 ? 4 * KiB : 6 * MiB, i % 3, i + 1));
	for (round = 0; round < 12; round++) {
		/*
		 * Nothing goes, then up to some page, then all but one. There are 18 places
		 * that can fail: one for each chunk, and one for each buffer.
		 */
		times = round % 3 ? -1 : 1;
		if (!fault_inject_after(round * 3 / 2, times))
			return;
		for (i = 0; i < 4; i++)
			vttm_shrink(g.minor, 5000, round & 1, NULL);
		for (i = 0, gone = 0; i < ARRAY_LEN(b); i++) {
			ASSERT(bo_info(&g, &b[i], &s));
			gone += s.backed_up_pages > 0;
		}
		ASSERT(where_are(&g, b, ARRAY_LEN(b), &s));
		if (times > 0) {
			EXPECT(fault_injected());
			EXPECT_EQ(s.resident_pages, 0);
		} else {
			EXPECT_GT(s.resident_pages, 0);
		}
		/*
		 * It comes back in many attempts. As few places are sure to be passed as
		 * there are buffers that went, so no more of them can be asked to fail.
		 */
		interval = 1 + round % 3;
		times = !gone ? 0 : interval == 1 ? 1 + round * 3 : (gone - 1) / (interval - 1);
		if (!fault_inject(100, interval, times))
			return;
		for (i = 0; i < ARRAY_LEN(b); i++)
			EXPECT((i + round) & 1 ? bo_check_map(&b[i]) :
						 bo_check_engine(&g, &b[i]));
		EXPECT(fault_injected());
		failures += times;
		fault_inject_off();
		/* and goes and comes whole after that */
		for (i = 0; i < ARRAY_LEN(b); i++)
			ASSERT(bo_backup(&g, &b[i], false));
		for (i = 0; i < ARRAY_LEN(b); i++)
			EXPECT(bo_check_map(&b[i]));
	}
	test_note("%u attempts to restore failed", failures);
}

/* ---- a bulk move that loses one that is backed up in part ---- */

static void bulk_loses_one(void)
{
	enum { NR = 8, LOST = 2 };
	unsigned int i, round;
	struct vttm_state s;
	struct bo b[NR];
	struct gpu g;

	for (round = 0; round < 6; round++) {
		ASSERT(gpu_open(&g));
		for (i = 0; i < NR; i++) {
			/* six chunks */
			ASSERT(bo_new_flags(&g, &b[i], 2 * MiB + 31 * PAGE, i % 3,
					    DRM_VTTM_CREATE_LOCAL, i + 1));
		}
		/* the first two whole, the third in part, in the order of the LRU */
		ASSERT(bo_backup(&g, &b[0], false));
		ASSERT(bo_backup(&g, &b[1], false));
		/* a place for the buffer, and one for each of its chunks */
		if (!fault_inject_after(2 + round % 4, -1))
			return;
		vttm_shrink(g.minor, PAGES(b[LOST].size), round & 1, NULL);
		fault_inject_off();
		ASSERT(bo_info(&g, &b[LOST], &s));
		EXPECT_EQ(s.resident_pages + s.backed_up_pages, PAGES(b[LOST].size));
		EXPECT_GT(s.backed_up_pages, 0);
		EXPECT_GT(s.resident_pages, 0);
		bo_free(&g, &b[LOST]);
		b[LOST] = b[NR - 1];
		/* all that is left moves to the end, twice */
		for (i = 0; i < 2; i++)
			EXPECT_OK(touch(&g, b + 1, NR - 2));
		/* goes, all of it, and comes back */
		for (i = 0; i < NR - 1; i++)
			ASSERT(bo_backup(&g, &b[i], round & 1));
		for (i = 0; i < NR - 1; i++)
			EXPECT(i == 1 || bo_check_map(&b[i]));
		for (i = 0; i < NR - 1; i++)
			munmap(b[i].map, b[i].size);
		close(g.fd);
	}
}

/* ---- a group with much in buffers, and its neighbour ---- */

#define OWNER	"game"
#define OTHER	"compiler"

/* that the owner is to have in buffers, if that is said */
static uint64_t owner_has;

struct neighbours {
	atomic_uint ready;
	atomic_uint stop;
	/* bytes in the owner's buffers; pages of them that are backed up in the end */
	atomic_ulong has;
	atomic_ulong gone;
};

static void owner(void *arg)
{
	/* more than half of the memory */
	const unsigned int nr = meminfo_kib("MemTotal") * KiB / (10 * MiB);
	struct neighbours *n = arg;
	static struct bo b[80];
	struct vttm_state s;
	struct gpu g;
	unsigned int i;

	ASSERT_OK(cg_enter(OWNER));
	ASSERT(gpu_open(&g));
	ASSERT_GE(ARRAY_LEN(b), nr);
	for (i = 0; i < nr; i++)
		ASSERT(bo_new(&g, &b[i], 6 * MiB, i % 3, i + 1));
	atomic_store(&n->has, nr * 6 * MiB);
	atomic_store(&n->ready, 1);
	while (!atomic_load(&n->stop))
		usleep(10000);
	ASSERT(where_are(&g, b, nr, &s));
	atomic_store(&n->gone, s.backed_up_pages);
	for (i = 0; i < nr; i++)
		EXPECT(i & 1 ? bo_check_map(&b[i]) : bo_check_engine(&g, &b[i]));
}

static void other(void *arg)
{
	uint64_t len = *(uint64_t *)arg, at;
	uint8_t *p;

	ASSERT_OK(cg_enter(OTHER));
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		 -1, 0);
	ASSERT(p != MAP_FAILED);
	for (at = 0; at < len; at += PAGE)
		pattern_page(test_source(), 77, at / PAGE, p + at);
}

static void neighbours(void)
{
	struct neighbours *n = shared_memory(PAGE);
	uint64_t len = meminfo_kib("MemTotal") / 2 * KiB / PAGE * PAGE, charged, after;
	pid_t pid;
	int status;

	ASSERT_OK(cg_create(OWNER));
	ASSERT_OK(cg_create(OTHER));
	/* far less than it has in buffers, and none of that counts */
	ASSERT_OK(cg_write(OWNER, "memory.max", "64M"));
	ASSERT_OK(cg_write(OWNER, "memory.swap.max", "0"));
	pid = fork_or_die();
	if (!pid) {
		test_failures = 0;
		owner(n);
		fflush(stdout);
		_exit(test_failures ? 1 : 0);
	}
	while (!atomic_load(&n->ready) && !waitpid(pid, &status, WNOHANG))
		usleep(10000);
	ASSERT(atomic_load(&n->ready));
	EXPECT_GE(atomic_load(&n->has), owner_has);
	charged = cg_read(OWNER, "memory.current");
	EXPECT(ktap_child(other, &len));
	after = cg_read(OWNER, "memory.current");
	EXPECT_LE(after, charged + 4 * MiB);
	EXPECT_LE(cg_read(OTHER, "memory.current"), 8 * MiB);
	atomic_store(&n->stop, 1);
	EXPECT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
	/* or there was no pressure and this proved nothing */
	EXPECT_GT(atomic_load(&n->gone) * PAGE, len / 5);
	test_note("%" PRIu64 " of %" PRIu64 " MiB backed up; the owner is charged %" PRIu64 " KiB, before %" PRIu64 " KiB",
		  atomic_load(&n->gone) * PAGE / MiB, atomic_load(&n->has) / MiB,
		  after / KiB, charged / KiB);
	EXPECT_EQ(cg_read_key(OWNER, "memory.events", "oom_kill"), 0);
	EXPECT_EQ(cg_read_key(OTHER, "memory.events", "oom_kill"), 0);
	EXPECT_OK(cg_remove(OWNER));
	EXPECT_OK(cg_remove(OTHER));
}

/* in a machine of 640 MiB */
static void neighbours_of_300_mib(void)
{
	owner_has = 300 * MiB;
	neighbours();
}

/* ---- next to no swap ---- */

/*
 * Seconds for something to come to its end. A machine that stands still would take for
 * ever, one whose host is busy a minute.
 */
#define PATIENCE	200

/* Waits for so long; a child that goes on is killed. */
static bool ends_in_time(pid_t pid, const char *what, int *status)
{
	uint64_t end = now_ns() + PATIENCE * 1000000000ULL;
	pid_t ret;

	while (!(ret = waitpid(pid, status, WNOHANG)) && now_ns() < end)
		usleep(10000);
	if (ret == pid)
		return true;
	FAIL("%s is still there after %u s", what, PATIENCE);
	kill(pid, SIGKILL);
	waitpid(pid, status, 0);
	return false;
}

struct busy {
	atomic_uint jobs, in_vain, stop;
};

/* Jobs over the same buffers, some of them in vain for lack of memory. */
static void work(struct busy *w)
{
	static struct bo b[16];
	uint32_t *last, word;
	struct gpu g;
	unsigned int i;

	ASSERT(gpu_open(&g));
	for (i = 0; i < ARRAY_LEN(b); i++)
		ASSERT(bo_new(&g, &b[i], 6 * MiB, i % 3, 100 + i));
	last = (uint32_t *)(b[0].map + b[0].size - 4);
	word = *last;
	while (!atomic_load(&w->stop)) {
		int ret = touch(&g, b, ARRAY_LEN(b));

		if (ret && ret != -ENOMEM) {
			FAIL("job: %s", strerror(-ret));
			return;
		}
		atomic_fetch_add(ret ? &w->in_vain : &w->jobs, 1);
	}
	/* the only word that jobs write to */
	*last = word;
	for (i = 0; i < ARRAY_LEN(b); i++)
		EXPECT(bo_check_map(&b[i]));
}

/*
 * Far more idle buffers than swap, busy ones, and somebody who takes the rest. There is
 * not enough for all: who asks last does not get it, or is killed. It comes to an end
 * either way, jobs go on, and what was there first is as good as before.
 */
static void tiny_swap(void)
{
	static struct bo idle[50];
	struct busy *w = shared_memory(PAGE);
	uint64_t oom = vmstat("oom_kill"), start, took;
	unsigned int i, jobs, in_vain;
	pid_t worker, hog;
	struct gpu g;
	int status;

	ASSERT(gpu_open(&g));
	for (i = 0; i < ARRAY_LEN(idle); i++)
		ASSERT(bo_new(&g, &idle[i], 6 * MiB, i % 3, i + 1));
	worker = fork_or_die();
	if (!worker) {
		/* the hog, or this one: but not who checks what became of them */
		write_file("/proc/self/oom_score_adj", "-500");
		test_failures = 0;
		work(w);
		fflush(stdout);
		_exit(test_failures ? 1 : 0);
	}
	while (atomic_load(&w->jobs) < 10 && !waitpid(worker, &status, WNOHANG))
		usleep(1000);
	ASSERT_GE(atomic_load(&w->jobs), 10);
	write_file("/proc/self/oom_score_adj", "-900");
	jobs = atomic_load(&w->jobs);
	in_vain = atomic_load(&w->in_vain);
	start = now_ns();
	hog = fork_or_die();
	if (!hog) {
		uint64_t len = meminfo_kib("MemTotal") * KiB, at;
		uint8_t *p;

		write_file("/proc/self/oom_score_adj", "900");
		p = mmap(NULL, len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		for (at = 0; at < len; at += PAGE)
			pattern_page(test_source(), 77, at / PAGE, p + at);
		_exit(0);
	}
	/* more than there is: it is killed, and nobody else */
	if (ends_in_time(hog, "the hog", &status))
		EXPECT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	took = now_ns() - start;
	jobs = atomic_load(&w->jobs) - jobs;
	in_vain = atomic_load(&w->in_vain) - in_vain;
	test_note("the hog ended with status %x after %.1f s, %" PRIu64 " killed, %u jobs meanwhile, %u in vain",
		  status, took / 1e9, vmstat("oom_kill") - oom, jobs, in_vain);
	figure("tinyswap_seconds", took / 1e9);
	figure("tinyswap_jobs", jobs);
	EXPECT_EQ(vmstat("oom_kill") - oom, 1);
	EXPECT_GT(jobs, 0);
	/* and they go on when it has gone */
	jobs = atomic_load(&w->jobs);
	start = now_ns();
	while (atomic_load(&w->jobs) < jobs + 10 && now_ns() - start < PATIENCE * 1000000000ULL)
		usleep(10000);
	EXPECT_GE(atomic_load(&w->jobs), jobs + 10);
	atomic_store(&w->stop, 1);
	if (ends_in_time(worker, "who works", &status))
		EXPECT_EQ(status, 0);
	for (i = 0; i < ARRAY_LEN(idle); i++)
		EXPECT(bo_check_map(&idle[i]));
}

/* ---- jobs while there is no memory, but much that can be had ---- */

static unsigned int rounds = 10;

/* As little as was reported, about; the kernel would keep twice as much free here */
#define SHORT_KIB	(4 * 1024)
#define KEPT_KIB	1024
/* that is taken at most, to get there */
#define FILL		(64 * MiB)
#define KEPT		"/proc/sys/vm/min_free_kbytes"

static void submit_when_short(void)
{
	/* a fifth of the memory in others */
	const unsigned int nr = meminfo_kib("MemTotal") * KiB / (20 * MiB);
	static struct bo b[3], others[32];
	atomic_uint *stop = shared_memory(PAGE);
	const uint64_t kept = strtoull(must_read(KEPT), NULL, 10);
	const unsigned int half = (rounds + 1) / 2;
	unsigned int i, n, failed = 0, gone = 0, lacking = 0;
	uint64_t lowest = UINT64_MAX;
	struct vttm_state s;
	uint8_t *fill;
	struct gpu g;
	pid_t pid;
	int status;

	ASSERT(gpu_open(&g));
	ASSERT_GE(ARRAY_LEN(others), nr);
	for (i = 0; i < ARRAY_LEN(b); i++)
		ASSERT(bo_new(&g, &b[i], 4 * MiB + i * PAGE, i, i + 1));
	for (i = 0; i < nr; i++)
		ASSERT(bo_new(&g, &others[i], 4 * MiB, i % 3, i + 10));
	ASSERT_OK(write_file(KEPT, "%u", KEPT_KIB));
	/* Uses its memory all the time, all that there is and some more */
	pid = fork_or_die();
	if (!pid) {
		uint64_t len = meminfo_kib("MemFree") * KiB + 16 * MiB, at;
		uint8_t *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		for (at = 0; at < len; at += PAGE)
			pattern_page(test_source(), 77, at / PAGE, p + at);
		atomic_store(stop, 1);
		while (atomic_load(stop) != 2)
			for (at = 0; at < len && atomic_load(stop) != 2; at += PAGE)
				p[at]++;
		_exit(0);
	}
	while (!atomic_load(stop))
		usleep(1000);
	fill = mmap(NULL, FILL, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT(fill != MAP_FAILED);
	madvise(fill, FILL, MADV_NOHUGEPAGE);
	/* kswapd may be faster than whoever takes memory, so some rounds count for nothing */
	for (n = 0; n < rounds || (n < 8 * rounds && (gone < half || lacking < half)); n++) {
		uint64_t free, at;
		int ret;

		/* what was used longer ago goes first */
		for (i = 0; i < 8; i++) {
			vttm_shrink(g.minor, 2 * PMD_PAGES * ARRAY_LEN(b), n & 1, NULL);
			if (!where_are(&g, b, ARRAY_LEN(b), &s) || !s.resident_pages)
				break;
		}
		/* what that has freed is taken */
		for (at = 0; (free = meminfo_kib("MemFree")) > SHORT_KIB && at < FILL;)
			for (i = 0; i < 64 && at < FILL; i++, at += PAGE)
				fill[at] = 1;
		gone += !s.resident_pages;
		lacking += free <= SHORT_KIB;
		lowest = free < lowest ? free : lowest;
		ret = touch(&g, b, ARRAY_LEN(b));
		if (ret && !failed++)
			FAIL("round %u: %s, with %" PRIu64 " KiB free", n,
			     strerror(-ret), free);
		madvise(fill, FILL, MADV_DONTNEED);
	}
	munmap(fill, FILL);
	EXPECT_EQ(failed, 0);
	atomic_store(stop, 2);
	EXPECT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
	EXPECT_OK(write_file(KEPT, "%" PRIu64, kept));
	test_note("%u submits, all buffers backed up at %u of them, and at most %u KiB free at %u, down to %" PRIu64 " KiB, where %" PRIu64 " were kept",
		  n, gone, SHORT_KIB, lacking, lowest, kept);
	/* or these were jobs like any others */
	EXPECT_GE(gone, half);
	EXPECT_GE(lacking, half);
	for (i = 1; i < ARRAY_LEN(b); i++)
		EXPECT(bo_check_map(&b[i]));
	for (i = 0; i < nr; i++)
		EXPECT(bo_check_map(&others[i]));
}

/* ---- exits ---- */

/* A process that is looked at now and then */
struct watched {
	pid_t pid;		/* 0 if it has gone */
	bool told;
	uint64_t since;		/* first look that found it in the sleep it is in, or 0 */
	uint64_t switches;	/* of tasks, that tell one sleep from the next */
	uint64_t longest;	/* time from a look at that sleep to the next */
};

/*
 * For how long has it been in one and the same uninterruptible sleep? The last look at it
 * is so long ago.
 */
static uint64_t in_one_sleep(struct watched *w, uint64_t ago)
{
	uint64_t now = now_ns(), voluntary, forced;
	const char *text, *state;
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/status", w->pid);
	text = read_file(path);
	state = text ? strstr(text, "\nState:\t") : NULL;
	if (!state || state[8] != 'D' ||
	    !find_key(text, "voluntary_ctxt_switches", &voluntary) ||
	    !find_key(text, "nonvoluntary_ctxt_switches", &forced)) {
		w->since = 0;
		return 0;
	}
	if (w->since && w->switches == voluntary + forced) {
		w->longest = ago > w->longest ? ago : w->longest;
		return now - w->since;
	}
	w->longest = 0;
	w->switches = voluntary + forced;
	w->since = now_ns();
	return 0;
}

static void tell_stack(pid_t pid)
{
	char path[40];
	const char *p;

	snprintf(path, sizeof(path), "/proc/%d/stack", pid);
	for (p = read_file(path); p && *p; p += strcspn(p, "\n"), p += *p == '\n')
		test_note("%.*s", (int)strcspn(p, "\n"), p);
}

enum { EXITS = 4, STAYING = 2, DONE = 100 };

static void bring_back(atomic_uint *ready, uint32_t seed)
{
	struct bo b[4];
	struct gpu g;
	unsigned int n;

	ASSERT(gpu_open(&g));
	for (n = 0; n < ARRAY_LEN(b); n++)
		ASSERT(bo_new(&g, &b[n], 4 * MiB, n % 3, seed + n));
	atomic_fetch_add(ready, 1);
	for (n = 0; atomic_load(ready) < DONE && !test_failures; n++) {
		vttm_shrink(g.minor, PAGES(b[0].size), n & 1, NULL);
		bo_check_map(&b[n % ARRAY_LEN(b)]);
	}
}

/* Once all are ready, or the jobs of the first were over when the last comes */
static void leave_jobs(atomic_uint *ready, uint32_t seed)
{
	struct bo b[4];
	struct gpu g;
	unsigned int n;

	ASSERT(gpu_open(&g));
	for (n = 0; n < ARRAY_LEN(b); n++)
		ASSERT(bo_new(&g, &b[n], 2 * MiB, n % 3, seed + n));
	atomic_fetch_add(ready, 1);
	while (atomic_load(ready) < EXITS + STAYING)
		usleep(1000);
	/* another might have to wait for whoever shrinks, who waits for the first to end */
	ASSERT_OK(bo_keep_busy(&g, b, ARRAY_LEN(b), 0));
}

/*
 * Processes leave with jobs that would go on for long, while others bring buffers back:
 * nobody gets stuck meanwhile, neither those who leave nor those who stay.
 */
static void exits(void)
{
	atomic_uint *ready = shared_memory(PAGE);
	/* those that exit, then those that stay */
	struct watched watched[EXITS + STAYING] = { 0 };
	uint64_t last, longest = 0, worst = 0, looks = 0;
	unsigned int i, left = EXITS;
	int status;

	for (i = 0; i < EXITS + STAYING; i++) {
		watched[i].pid = fork_or_die();
		if (watched[i].pid)
			continue;
		test_failures = 0;
		if (i < EXITS)
			leave_jobs(ready, i * 10 + 50);
		else
			bring_back(ready, i * 10 + 50);
		/* nobody is to wait for one that failed */
		if (test_failures)
			atomic_store(ready, DONE);
		fflush(stdout);
		if (i & 1 && i < EXITS && !test_failures)
			kill(getpid(), SIGKILL);
		_exit(test_failures ? 1 : 0);
	}
	/* looking is not to wait for a processor */
	setpriority(PRIO_PROCESS, 0, -20);
	last = now_ns();
	while (left) {
		uint64_t ago;

		usleep(10000);
		for (i = 0; i < EXITS; i++) {
			if (!watched[i].pid ||
			    waitpid(watched[i].pid, &status, WNOHANG) != watched[i].pid)
				continue;
			EXPECT(status == 0 || (WIFSIGNALED(status) &&
					       WTERMSIG(status) == SIGKILL));
			watched[i].pid = 0;
			left--;
		}
		ago = now_ns() - last;
		last += ago;
		longest = ago > longest ? ago : longest;
		looks++;
		for (i = 0; i < ARRAY_LEN(watched); i++) {
			struct watched *w = &watched[i];
			uint64_t slept = w->pid ? in_one_sleep(w, ago) : 0;

			worst = slept > worst ? slept : worst;
			/* while looks take long, so does all else */
			if (w->told || slept <= 1000000000ULL + 10 * w->longest)
				continue;
			FAIL("process %u of %u sleeps for %.1f s, %u are to exit first", i,
			     (unsigned int)ARRAY_LEN(watched), slept / 1e9, EXITS);
			tell_stack(w->pid);
			w->told = true;
		}
	}
	atomic_store(ready, DONE);
	for (i = EXITS; i < EXITS + STAYING; i++) {
		EXPECT_EQ(waitpid(watched[i].pid, &status, 0), watched[i].pid);
		EXPECT_EQ(status, 0);
	}
	test_note("no longer than %.3f s in one sleep, at %" PRIu64 " looks, %.3f s apart at most",
		  worst / 1e9, looks, longest / 1e9);
}

/* ---- readers of all statistics ---- */

static unsigned int seconds = 5;

enum { READERS = 8, WORKERS = 4 };

/* What is read of, and who works: their open files, and their counts */
struct readers {
	unsigned int minor;
	pid_t pids[WORKERS];
	atomic_int fds[WORKERS];
	atomic_uint ready, stop, reads, shrinks;
	atomic_ulong pages;
};

static void read_all(const struct readers *r, unsigned int nr)
{
	char of_client[64];
	const char *bad;

	/* how much one of those who work has */
	snprintf(of_client, sizeof(of_client), "/proc/%d/fdinfo/%d", r->pids[nr % WORKERS],
		 atomic_load(&r->fds[nr % WORKERS]));
	bad = stats_read(r->minor, nr) ?: stats_read_one(of_client);
	if (bad)
		FAIL("%s: %s", bad, strerror(errno));
}

/* Has its buffers, of all kinds, backed up and gets them back; others come and go. */
static void shrink_and_restore(struct readers *r, unsigned int nr)
{
	struct bo b[9], unneeded;
	uint64_t done = 0;
	struct gpu g;
	unsigned int i, n;

	ASSERT(gpu_open(&g));
	for (i = 0; i < ARRAY_LEN(b); i++)
		ASSERT(bo_new(&g, &b[i], (i + 1) * 256 * KiB, (i + nr) % 3, nr * 100 + i + 1));
	atomic_store(&r->fds[nr], g.fd);
	atomic_fetch_add(&r->ready, 1);
	/* at least once, however long it took to get here */
	n = nr;
	do {
		vttm_shrink(g.minor, 1000, n & 1, &done);
		atomic_fetch_add(&r->pages, done);
		ASSERT(bo_check_map(&b[n % ARRAY_LEN(b)]));
		ASSERT(bo_check_engine(&g, &b[(n + 3) % ARRAY_LEN(b)]));
		ASSERT(bo_new(&g, &unneeded, 128 * KiB, n % 3, nr * 100 + 50));
		ASSERT_OK(vttm_madvise(g.fd, unneeded.handle, DRM_VTTM_MADV_DONTNEED, NULL));
		vttm_purge(g.minor, PAGES(unneeded.size), NULL);
		bo_free(&g, &unneeded);
		atomic_fetch_add(&r->shrinks, 1);
		n++;
	} while (!atomic_load(&r->stop));
	/* the files that are read of stay until nobody reads any more */
	for (i = 0; i < ARRAY_LEN(b); i++)
		EXPECT(bo_check_map(&b[i]));
}

static void readers(void)
{
	struct readers *r = shared_memory(PAGE);
	pid_t pids[READERS];
	struct hog hog;
	uint64_t end;
	unsigned int i, n;
	struct gpu g;
	int status;

	ASSERT(gpu_open(&g));
	r->minor = g.minor;
	for (i = 0; i < WORKERS; i++) {
		pid_t pid = fork_or_die();

		if (pid) {
			r->pids[i] = pid;
			continue;
		}
		test_failures = 0;
		shrink_and_restore(r, i);
		atomic_store(&r->stop, 1);
		fflush(stdout);
		_exit(test_failures ? 1 : 0);
	}
	/* unless one has gone, which is found at the end */
	while (atomic_load(&r->ready) < WORKERS && !atomic_load(&r->stop))
		usleep(1000);
	hog_start(&hog, 30 * MiB);
	end = now_ns() + seconds * 1000000000ULL;
	for (i = 0; i < READERS; i++) {
		pids[i] = fork_or_die();
		if (pids[i])
			continue;
		test_failures = 0;
		n = i;
		do {
			read_all(r, n++);
			atomic_fetch_add(&r->reads, 1);
		} while (now_ns() < end && !test_failures);
		fflush(stdout);
		_exit(test_failures ? 1 : 0);
	}
	hog_go(&hog);
	for (i = 0; i < READERS; i++) {
		EXPECT_EQ(waitpid(pids[i], &status, 0), pids[i]);
		EXPECT_EQ(status, 0);
	}
	atomic_store(&r->stop, 1);
	for (i = 0; i < WORKERS; i++) {
		EXPECT_EQ(waitpid(r->pids[i], &status, 0), r->pids[i]);
		EXPECT_EQ(status, 0);
	}
	EXPECT_EQ(hog_end(&hog), 0);
	EXPECT_GE(atomic_load(&r->reads), READERS);
	EXPECT_GE(atomic_load(&r->shrinks), WORKERS);
	/* or there was nothing to be read of */
	EXPECT_GT(atomic_load(&r->pages), 0);
	test_note("%u times all files were read beside %u shrinks of %lu pages",
		  atomic_load(&r->reads), atomic_load(&r->shrinks), atomic_load(&r->pages));
}

/* ---- very many small buffers ---- */

static uint64_t used_pages(void)
{
	return (meminfo_kib("MemTotal") - meminfo_kib("MemFree")) * KiB / PAGE;
}

static void small_buffers(void)
{
	enum { NR = 10000 };
	static uint32_t handles[NR];
	uint64_t size, pages = 0, before, made, after, done, shmem, swap, total = 0;
	struct gpu g;
	unsigned int i;
	uint32_t v;

	ASSERT(gpu_open(&g));
	shmem = vmstat("nr_shmem");
	swap = swap_used_pages();
	before = used_pages();
	for (i = 0; i < NR; i++) {
		void *map;

		/* mostly small, 4 to 256 KiB, 17 KiB in the mean */
		size = PAGE << (i % 64 < 33 ? 0 : i % 64 < 49 ? 1 : i % 64 < 57 ? 2 :
				i % 64 < 61 ? 4 : i % 64 < 63 ? 5 : 6);
		ASSERT_OK(vttm_create(g.fd, &size, DRM_VTTM_CACHED, &handles[i]));
		map = vttm_map(g.fd, handles[i], size);
		ASSERT(map != MAP_FAILED);
		ASSERT(peek32(map, &v));
		*(uint32_t *)map = i + 1;
		munmap(map, size);
		pages += PAGES(size);
	}
	made = used_pages();
	while (total < pages) {
		int ret = vttm_shrink(g.minor, pages - total, false, &done);

		ASSERT_OK(ret);
		total += done;
	}
	pools_drain();
	lru_drain();
	after = used_pages();
	/* what holds the contents is not what managing them takes */
	EXPECT_EQ(vmstat("nr_shmem") - shmem + swap_used_pages() - swap, pages);
	test_note("%" PRIu64 " pages in %u buffers: %" PRIu64 " pages of memory for them, %" PRIu64 " backed up",
		  pages, NR, made - before, after - before);
	figure("small_bytes_per_backed_up_byte", (double)(after - before) / pages);
	for (i = 0; i < NR; i += 7) {
		void *map;

		size = PAGE;
		map = vttm_map(g.fd, handles[i], size);
		ASSERT(map != MAP_FAILED);
		ASSERT(peek32(map, &v));
		EXPECT_EQ(v, i + 1);
		munmap(map, size);
	}
}

/* ---- a desktop on a machine whose free memory is in single pages ---- */

#define CLIENTS		10
#define CACHE		"/disk/cache"
#define FILE_PAGES	16
/* what is free when the page cache has got all that it gets: kswapd sleeps */
#define LEFT_KIB	(80 * 1024)

struct desktop {
	atomic_uint ready, stop, failed;
	atomic_ulong submits, restored;
};

static void client(struct desktop *d, unsigned int seed)
{
	static struct bo b[10];
	struct vttm_state s;
	struct gpu g;
	unsigned int i;

	if (!gpu_open(&g))
		_exit(1);
	for (i = 0; i < ARRAY_LEN(b); i++)
		if (!bo_new(&g, &b[i], 2 * MiB, DRM_VTTM_WC, seed * 100 + i))
			_exit(1);
	/* what went while others were filling theirs comes back before anything counts */
	atomic_fetch_add(&d->ready, 1);
	while (atomic_load(&d->ready) < CLIENTS)
		usleep(1000);
	if (touch(&g, b, ARRAY_LEN(b)))
		_exit(1);
	while (!atomic_load(&d->stop)) {
		unsigned long gone = 0;
		struct bo frame;

		/* what a frame wants anew: no pool has it, and no block is as large */
		if (!bo_new(&g, &frame, 2 * MiB, DRM_VTTM_CACHED, seed))
			_exit(1);
		for (i = 0; i < ARRAY_LEN(b); i++) {
			if (!bo_info(&g, &b[i], &s))
				_exit(1);
			gone += s.backed_up_pages;
		}
		if (touch(&g, b, ARRAY_LEN(b)))
			_exit(1);
		bo_free(&g, &frame);
		atomic_fetch_add(&d->submits, 1);
		atomic_fetch_add(&d->restored, gone);
	}
	for (i = 1; i < ARRAY_LEN(b); i++)
		if (!bo_check_map(&b[i]))
			_exit(1);
	_exit(0);
}

/* Free memory that is in single pages, of all zones. */
static uint64_t free_single_kib(void)
{
	uint64_t nr[FREE_ORDERS];

	free_blocks(nr, true);
	return nr[0] * PAGE / KiB;
}

static int cache_file(unsigned int nr, int flags)
{
	char path[32];

	snprintf(path, sizeof(path), CACHE "/%u", nr);
	return open(path, flags | O_CLOEXEC, 0600);
}

/*
 * All of memory in the page cache of small files, and every other page of that dropped:
 * no two of those that are free are side by side. Returns how many files there are.
 */
static unsigned int cache_fill(void)
{
	unsigned int nr, made, i;
	uint8_t page[PAGE];
	int fd;

	pattern_page(test_source(), 77, 0, page);
	if (mkdir(CACHE, 0700)) {
		FAIL("%s: %s, run with vm/run --disk", CACHE, strerror(errno));
		return 0;
	}
	for (made = 0; meminfo_kib("MemFree") > LEFT_KIB; made++) {
		fd = cache_file(made, O_WRONLY | O_CREAT | O_EXCL);
		/* one by one, or they would be in a large folio */
		for (i = 0; fd >= 0 && i < FILE_PAGES; i++) {
			if (write(fd, page, PAGE) != PAGE)
				break;
		}
		if (i < FILE_PAGES) {
			FAIL("file %u of " CACHE ": %s", made, strerror(errno));
			return 0;
		}
		close(fd);
	}
	/* what is dirty would stay */
	sync();
	for (nr = 0; nr < made; nr++) {
		fd = cache_file(nr, O_RDONLY);
		for (i = 0; fd >= 0 && i < FILE_PAGES; i += 2)
			posix_fadvise(fd, i * PAGE, PAGE, POSIX_FADV_DONTNEED);
		close(fd);
	}
	return made;
}

/* Pages that reclaim gets from files, those of programs with them. */
static uint64_t cache_pages(void)
{
	return vmstat("nr_file_pages") - vmstat("nr_shmem");
}

static void stutter(void)
{
	uint64_t kswapd, direct, swapped, others, kept, left, single, early = 0, late = 0;
	const unsigned int third = seconds < 3 ? 1 : seconds / 3;
	struct desktop *d = shared_memory(PAGE);
	pid_t pids[CLIENTS];
	unsigned int i, files;
	int status;

	others = cache_pages();
	files = cache_fill();
	ASSERT_GT(files, 0);
	kept = cache_pages() - others;
	single = free_single_kib();
	test_note("%u files, %" PRIu64 " of %u pages of them kept, %" PRIu64 " of %" PRIu64 " MiB free in single pages",
		  files, kept, files * FILE_PAGES, single / 1024,
		  meminfo_kib("MemFree") / 1024);
	/* or it is not every other page, or not the shape of memory that was reported */
	ASSERT_GE(kept, files * FILE_PAGES / 5 * 2);
	ASSERT_GE(files * FILE_PAGES / 5 * 3, kept);
	ASSERT_GE(single + LEFT_KIB, meminfo_kib("MemFree") / 4 * 3);
	for (i = 0; i < CLIENTS; i++) {
		pids[i] = fork_or_die();
		if (!pids[i]) {
			test_failures = 0;
			client(d, i + 1);
		}
	}
	while (atomic_load(&d->ready) < CLIENTS)
		usleep(10000);
	kswapd = vmstat("pgscan_kswapd");
	direct = vmstat("pgscan_direct");
	swapped = vmstat("pswpout");
	/* the clients have got all blocks of 2 MiB; compaction makes others for the frames */
	for (i = 0; i < 3 * third; i++) {
		sleep(1);
		if (i < third)
			early += free_2mib();
		else if (i >= 2 * third)
			late += free_2mib();
	}
	test_note("free %" PRIu64 " of %" PRIu64 " MiB", meminfo_kib("MemFree") / 1024,
		  meminfo_kib("MemTotal") / 1024);
	/* or there was no memory, and this says nothing */
	EXPECT_GE(meminfo_kib("MemFree") * 4, meminfo_kib("MemTotal"));
	/* in the mean, but for those in the hands of clients now and then */
	EXPECT_GT(late, 0);
	EXPECT_GE(late * 4, early * 3);
	kswapd = vmstat("pgscan_kswapd") - kswapd;
	direct = vmstat("pgscan_direct") - direct;
	swapped = vmstat("pswpout") - swapped;
	atomic_store(&d->stop, 1);
	for (i = 0; i < CLIENTS; i++) {
		EXPECT_EQ(waitpid(pids[i], &status, 0), pids[i]);
		EXPECT_EQ(status, 0);
	}
	left = cache_pages() - others;
	EXPECT_GT(atomic_load(&d->submits), CLIENTS);
	figure("stutter_submits", atomic_load(&d->submits));
	figure("stutter_restored_pages_per_submit",
	       (double)atomic_load(&d->restored) / atomic_load(&d->submits));
	figure("stutter_kswapd_scans", kswapd);
	figure("stutter_kswapd_scans_per_submit", (double)kswapd / atomic_load(&d->submits));
	figure("stutter_direct_scans", direct);
	figure("stutter_swapped_out", swapped);
	figure("stutter_cache_pages_lost", kept - left);
	figure("stutter_free_2mib_early", (double)early / third);
	figure("stutter_free_2mib_late", (double)late / third);
	/* less than a page of 5120 */
	EXPECT(atomic_load(&d->restored) < atomic_load(&d->submits));
	/* what fragments memory is still there */
	EXPECT_GE(left, kept / 2);
}

/* ---- ---- */

static const struct test tests_short[] = {
	{ "c108_r2_backups_and_restores_fail_again_and_again", fails_again },
	{ "c108_r4_bulk_move_loses_a_part_backed_up", bulk_loses_one },
	{ "c108_r8_neighbours_in_groups", neighbours },
	{ "c108_r12_jobs_with_little_free", submit_when_short },
	{ "c108_r13_exits_with_jobs_pending", exits },
	{ "c108_r14_readers_of_statistics", readers },
};

/* as the table's names of upstream's kernel too, where nothing can be made to fail */
static const struct {
	const char *mode;
	struct test test;
	bool may_oom;
} modes[] = {
	{ "stutter", { "c108_r1_desktop_on_fragmented_memory", stutter }, false },
	{ "tinyswap", { "c108_r9_next_to_no_swap", tiny_swap }, true },
	{ "small", { "c108_r16_many_small_buffers", small_buffers }, false },
	{ "submit", { "c108_r12_jobs_with_little_free", submit_when_short }, false },
	{ "exits", { "c108_r13_exits_with_jobs_pending", exits }, false },
	{ "readers", { "c108_r14_readers_of_statistics", readers }, false },
	{ "neighbours", { "c108_r8_neighbours_in_groups", neighbours_of_300_mib }, false },
};

int main(int argc, char **argv)
{
	unsigned int i;

	mount_all();
	if (argc < 2)
		return ktap_run(tests_short, ARRAY_LEN(tests_short));
	if (argc == 3) {
		rounds = strtoul(argv[2], NULL, 10);
		seconds = rounds;
		argc--;
	}
	for (i = 0; argc == 2 && i < ARRAY_LEN(modes); i++)
		if (!strcmp(argv[1], modes[i].mode)) {
			ktap_may_oom = modes[i].may_oom;
			return ktap_run(&modes[i].test, 1);
		}
	die("usage: test-reports [stutter|tinyswap|small|submit|exits|readers|neighbours [ROUNDS-OR-SECONDS]]");
}
