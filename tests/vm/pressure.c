// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Real memory pressure: more GPU memory than RAM, so that the shrinker runs
 * from everybody's allocations, its owners' and others'.
 */

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

#define MAX_BOS	256

struct load {
	uint64_t bytes;
	uint32_t seed;
	unsigned int rounds;
};

static uint64_t ram(void)
{
	return meminfo_kib("MemTotal") * KiB;
}

/* Buffers in every caching; rewritten, replaced and read for some rounds. */
static void load(void *arg)
{
	static const uint64_t sizes[] = {
		4 * MiB, 300 * KiB, 2 * MiB, 7 * MiB + 5 * PAGE, PAGE,
	};
	const struct load *l = arg;
	static struct bo b[MAX_BOS];
	uint64_t total = 0;
	unsigned int nr, i, round;
	struct gpu g;

	ASSERT(gpu_open(&g));
	for (nr = 0; nr < MAX_BOS && total < l->bytes; nr++) {
		ASSERT(bo_new(&g, &b[nr], sizes[nr % ARRAY_LEN(sizes)],
			      (nr + l->seed) % 3, l->seed + nr));
		total += b[nr].size;
	}
	ASSERT_GE(total, l->bytes);
	for (round = 0; round < l->rounds; round++) {
		for (i = 0; i < nr; i++) {
			if ((i + round) & 1)
				ASSERT(bo_check_engine(&g, &b[i]));
			else
				ASSERT(bo_check_map(&b[i]));
			if ((i + round) % 5 == 0)
				ASSERT(bo_fill(&b[i], b[i].seed + 1000));
			if ((i + round) % 7 == 0) {
				uint64_t size = b[i].size;
				uint32_t seed = b[i].seed + 2000;

				bo_free(&g, &b[i]);
				ASSERT(bo_new(&g, &b[i], size, i % 3, seed));
			}
		}
	}
}

static void load_start(pid_t *pid, const struct load *l)
{
	fflush(stdout);
	*pid = fork();
	if (!*pid) {
		test_failures = 0;
		load((void *)l);
		fflush(stdout);
		_exit(test_failures ? 1 : 0);
	}
}

static bool load_end(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		return false;
	if (WIFSIGNALED(status))
		test_note("killed by signal %d", WTERMSIG(status));
	return WIFEXITED(status) && !WEXITSTATUS(status);
}

static void two_processes(void)
{
	uint64_t oom = vmstat("oom_kill"), total = ram();
	struct load a = { .bytes = total * 6 / 10, .seed = 10000, .rounds = 2 };
	struct load b = { .bytes = total * 6 / 10, .seed = 50000, .rounds = 2 };
	struct backup_counters then, c;
	pid_t pa, pb;

	backup_counters(&then);
	load_start(&pa, &a);
	load_start(&pb, &b);
	EXPECT(load_end(pa));
	EXPECT(load_end(pb));
	backup_counters_since(&then, &c);
	/* or there was no pressure and this proved nothing */
	EXPECT_GT(c.inserted, 0);
	EXPECT_GT(c.restored_extracted + c.restored_copied, 0);
	EXPECT_EQ(c.copied, 0);
	EXPECT_EQ(vmstat("oom_kill"), oom);
	test_note("%" PRIu64 " pages inserted, %" PRIu64 " extracted, %" PRIu64 " copied back, %" PRIu64 " folios refused",
		  c.inserted, c.restored_extracted, c.restored_copied, c.refused);
}

/* The GPU's memory makes way for a process that has nothing to do with it. */
static void anon(void *arg)
{
	uint64_t len = *(uint64_t *)arg, p;
	uint8_t *m, want[PAGE];

	m = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		 -1, 0);
	ASSERT(m != MAP_FAILED);
	for (p = 0; p < len / PAGE; p++)
		pattern_page(test_source(), 4242, p, m + p * PAGE);
	for (p = 0; p < len / PAGE; p++) {
		pattern_page(test_source(), 4242, p, want);
		ASSERT(!memcmp(m + p * PAGE, want, PAGE));
	}
}

static void makes_way(void)
{
	uint64_t len = ram() * 6 / 10, total = 0, oom = vmstat("oom_kill");
	static struct bo b[MAX_BOS];
	struct backup_counters then, c;
	unsigned int nr, i;
	struct gpu g;

	ASSERT(gpu_open(&g));
	backup_counters(&then);
	for (nr = 0; nr < MAX_BOS && total < len; nr++) {
		ASSERT(bo_new(&g, &b[nr], nr & 1 ? 4 * MiB : 1 * MiB + PAGE,
			      nr % 3, nr + 1));
		total += b[nr].size;
	}
	EXPECT(ktap_child(anon, &len));
	backup_counters_since(&then, &c);
	EXPECT_GT(c.inserted, 0);
	for (i = 0; i < nr; i++) {
		EXPECT(bo_check_map(&b[i]));
		EXPECT(bo_check_engine(&g, &b[i]));
	}
	EXPECT_EQ(vmstat("oom_kill"), oom);
}

/* Leaving in the middle, with memory in every state, gives all of it back. */
static void exit_early(void)
{
	struct load a = { .bytes = ram() * 11 / 10, .seed = 90000, .rounds = 0 };
	pid_t pid;

	load_start(&pid, &a);
	EXPECT(load_end(pid));
}

/* of the flags in /proc/kpageflags */
#define KPF_LRU		(1ULL << 5)
#define KPF_SLAB	(1ULL << 7)
#define KPF_HEAD	(1ULL << 15)
#define KPF_TAIL	(1ULL << 16)

/* What all pages of the machine are. User space cannot tell what it has mapped of TTM's. */
static uint64_t *page_flags(size_t *nr)
{
	size_t max = 2 * ram() / PAGE + 1024 * MiB / PAGE;
	uint64_t *flags = malloc(max * sizeof(*flags));
	int fd = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
	ssize_t ret = 0;

	if (!flags || fd < 0)
		die("/proc/kpageflags: %s", strerror(errno));
	for (*nr = 0; *nr < max; *nr += ret / sizeof(*flags)) {
		ret = read(fd, flags + *nr, (max - *nr) * sizeof(*flags));
		if (ret <= 0)
			break;
	}
	if (ret < 0)
		die("/proc/kpageflags: %s", strerror(errno));
	close(fd);
	return flags;
}

/* A folio of 2 MiB that belongs to a driver, and was none before, or 0 */
static uint64_t new_chunk(const uint64_t *before, const uint64_t *now, size_t nr)
{
	const uint64_t pages = PAGES(2 * MiB);
	uint64_t pfn, i;

	for (pfn = pages; pfn + pages < nr; pfn += pages) {
		if (before[pfn] & KPF_HEAD || !(now[pfn] & KPF_HEAD) ||
		    now[pfn] & (KPF_LRU | KPF_SLAB))
			continue;
		for (i = 1; i < pages && now[pfn + i] & KPF_TAIL; i++)
			;
		if (i == pages)
			return pfn;
	}
	return 0;
}

/*
 * A chunk that can never be inserted is what the shrinker meets first, each time. It
 * has more pages than the shrinker is asked for at a time. It stays in that state, so
 * this comes last.
 */
static void poisoned(void)
{
	enum { OTHERS = 8, SIZE = 4 * MiB };
	struct bo bad, b[OTHERS];
	uint64_t *before, *now, pfn, left;
	unsigned int i, tries;
	struct vttm_state s;
	struct gpu g;
	size_t nr;

	ASSERT(gpu_open(&g));
	pools_drain();
	before = page_flags(&nr);
	ASSERT(bo_new(&g, &bad, SIZE, DRM_VTTM_CACHED, 1));
	now = page_flags(&nr);
	pfn = new_chunk(before, now, nr);
	free(before);
	free(now);
	ASSERT(pfn);
	for (i = 0; i < OTHERS; i++)
		ASSERT(bo_new(&g, &b[i], SIZE, i % 3, i + 2));

	/* -EBUSY says that the page is in use, and it is marked nevertheless */
	write_file(DEBUGFS "/hwpoison/corrupt-pfn", "%" PRIu64, pfn + 1);
	for (tries = 0; tries < 50; tries++) {
		reclaim(32 * MiB);
		for (left = 0, i = 0; i < OTHERS; i++) {
			ASSERT(bo_info(&g, &b[i], &s));
			left += s.resident_pages;
		}
		if (!left)
			break;
	}
	EXPECT_EQ(left, 0);
	/* Or this proves nothing */
	EXPECT(bo_check_where(&g, &bad, PAGES(2 * MiB), PAGES(2 * MiB), PAGES(2 * MiB)));
	EXPECT(bo_check_map(&bad));
	bo_free(&g, &bad);
	for (i = 0; i < OTHERS; i++) {
		EXPECT(bo_check_map(&b[i]));
		bo_free(&g, &b[i]);
	}
}

static unsigned int count_purged(const struct gpu *g, const struct bo *b, unsigned int nr)
{
	struct vttm_state s;
	unsigned int i, n = 0;

	for (i = 0; i < nr; i++)
		n += bo_info(g, &b[i], &s) && s.flags & DRM_VTTM_INFO_PURGED;
	return n;
}

/* Reclaim takes nothing that is needed as long as there is something that is not. */
static void purged_first(void)
{
	enum { NR = 16, SIZE = 2 * MiB };
	unsigned int i, tries, purged = 0, between = 0;
	struct bo keep[NR], drop[NR];
	struct gpu g;

	ASSERT(gpu_open(&g));
	for (i = 0; i < NR; i++)
		ASSERT(bo_new(&g, &keep[i], SIZE, i % 3, i + 1));
	for (i = 0; i < NR; i++) {
		ASSERT(bo_new(&g, &drop[i], SIZE, i % 3, i + 100));
		ASSERT_OK(vttm_madvise(g.fd, drop[i].handle, DRM_VTTM_MADV_DONTNEED, NULL));
	}
	for (tries = 0; tries < 500 && purged < NR; tries++) {
		reclaim(256 * KiB);
		purged = count_purged(&g, drop, NR);
		between += purged && purged < NR;
		if (purged == NR)
			break;
		for (i = 0; i < NR; i++)
			ASSERT(bo_check_where(&g, &keep[i], PAGES(SIZE), 0, 0));
	}
	EXPECT_EQ(purged, NR);
	/* Or this proves nothing */
	EXPECT_GT(between, 0);
	for (i = 0; i < NR; i++) {
		EXPECT(bo_check_map(&keep[i]));
		bo_free(&g, &keep[i]);
		bo_free(&g, &drop[i]);
	}
}

static const struct test tests[] = {
	/*
	 * zram only: where swap is written to later, nothing else is free at once, and
	 * reclaim goes on until all of it has been purged
	 */
	{ "c55_reclaim_purges_first", purged_first },
	{ "c46_two_processes_over_ram", two_processes },
	{ "c25_buffers_make_way_for_anon_memory", makes_way },
	{ "c53_exit_under_pressure_frees_all", exit_early },
	{ "c77_poisoned_does_not_stop_the_shrinker", poisoned },
};

int main(void)
{
	unsigned int first;

	mount_all();
	first = swap_kind() != SWAP_ZRAM;
	return ktap_run(tests + first, ARRAY_LEN(tests) - first);
}
