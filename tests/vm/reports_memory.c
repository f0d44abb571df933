// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What users have reported of machines that have little memory left, or little swap. */

#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "reports.h"

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

void neighbours(void)
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
void neighbours_of_300_mib(void)
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
void tiny_swap(void)
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

/* As little as was reported, about; the kernel would keep twice as much free here */
#define SHORT_KIB	(4 * 1024)
#define KEPT_KIB	1024
/* that is taken at most, to get there */
#define FILL		(64 * MiB)
#define KEPT		"/proc/sys/vm/min_free_kbytes"

void submit_when_short(void)
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
