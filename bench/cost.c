// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * bench-cost: what backup, restore and drop of 2 MiB cost, with everything else
 * at rest. See usage() and docs/results.md.
 *
 * A line of JSON for each figure. Times are nanoseconds for 2 MiB: under
 * vm/run --icount the number of instructions that the processor executed.
 */

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define ROUNDS		3	/* the first pays for first uses */
/* What takes so few instructions that a tick of the timer shows is done again */
#define ROUNDS_RESIDENT	5
#define MAX_BUFFERS	4096

static struct gpu gpu, helper;
static struct bo bos[MAX_BUFFERS];
static unsigned int nr_bos;
static uint64_t others;		/* pages of a GPU that are not of these */
static struct fragments *fragments;
static unsigned int round_now;
static uint64_t shmem_that_stays;
static const char *const caching_names[] = { "cached", "wc", "uc" };
static struct {
	uint32_t caching;
	int order;		/* -1: as it comes */
	uint64_t bytes;
} now;

static void usage(void)
{
	puts("usage: bench-cost [OPTION]...\n"
	     "\n"
	     "What backup, restore, drop and purge cost for 2 MiB, as lines of JSON.\n"
	     "To be run as root, with nothing else going on.\n"
	     "\n"
	     "  --node PATH     DRM node (default: the first vttm device)\n"
	     "  --helper PATH   another vttm device, which --orders needs (default: the second)\n"
	     "  --dumb          the node is that of any driver: dumb buffers, which are backed\n"
	     "                  up with vm.drop_caches\n"
	     "  --mib N         size of what is measured (default 32)\n"
	     "  --orders LIST   0 to 8 and 9: break all free memory into blocks of that order,\n"
	     "                  one after the other; this takes nearly all memory\n"
	     "                  (default: none, memory is used as it comes)\n"
	     "  --states LIST   where a restore starts: resident, swapcache, swapped\n"
	     "                  (default: resident; the others need swap)\n"
	     "  --swap-name S   what to call the swap device in the results (default: swap)\n"
	     "  --growth MIB    instead of all that: one buffer of 2 MiB, 4 MiB, ... MIB");
	exit(0);
}

static void on_sigbus(int sig)
{
	static const char text[] = "bench-cost: no memory to restore into\n";

	(void)sig;
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(2);
	_exit(1);
}

/* ---- one measurement ---- */

struct meter {
	uint64_t ns, cpu, alloc;
	struct backup_counters stats;
};

static uint64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void meter_start(struct meter *m)
{
	if (have_backup_stats())
		backup_counters(&m->stats);
	m->alloc = vmstat_sum("pgalloc_");
	m->cpu = cpu_ns();
	m->ns = now_ns();
}

static void meter_stop(struct meter *m)
{
	m->ns = now_ns() - m->ns;
	m->cpu = cpu_ns() - m->cpu;
	m->alloc = vmstat_sum("pgalloc_") - m->alloc;
}

/* What a measurement itself allocates */
static uint64_t noise(void)
{
	struct meter m;

	meter_start(&m);
	meter_stop(&m);
	meter_start(&m);
	meter_stop(&m);
	return m.alloc;
}

/* Share of what was backed up that went in folios of the order asked for */
static double share(const struct meter *m)
{
	struct backup_counters c;

	if (!have_backup_stats() || now.order < 0)
		return -1;
	backup_counters_since(&m->stats, &c);
	if (!c.inserted)
		return -1;
	return (double)(c.order[now.order] << now.order) / c.inserted;
}

/* What the rounds of an operation came to: the least time, the most pages */
static struct figure {
	const char *op, *state;
	uint32_t caching;
	uint64_t ns, cpu, alloc;
	double order;
} figures[32];
static unsigned int nr_figures;

static void report(const char *op, const char *state, const struct meter *m,
		   uint64_t noise)
{
	uint64_t alloc = m->alloc > noise ? m->alloc - noise : 0;
	double order = share(m);
	struct figure *f;

	if (!round_now)
		return;
	if (order >= 0 && order < 0.98)
		die("%.0f %% of the pages were in folios of order %d", order * 100,
		    now.order);
	for (f = figures; f < figures + nr_figures; f++)
		if (!strcmp(f->op, op) && !strcmp(f->state, state) &&
		    f->caching == now.caching)
			break;
	if (f == figures + nr_figures) {
		if (nr_figures++ == ARRAY_LEN(figures))
			die("more figures than there is room for");
		*f = (struct figure) {
			.op = op, .state = state, .caching = now.caching,
			.ns = m->ns, .cpu = m->cpu, .alloc = alloc, .order = order,
		};
		return;
	}
	if (m->ns < f->ns)
		f->ns = m->ns;
	if (m->cpu < f->cpu)
		f->cpu = m->cpu;
	if (alloc > f->alloc)
		f->alloc = alloc;
	if (order < f->order)
		f->order = order;
}

static void print_figures(void)
{
	double per = now.bytes / (double)(2 * MiB);
	const struct figure *f;

	for (f = figures; f < figures + nr_figures; f++) {
		printf("{\"part\":\"cost\",\"op\":\"%s\",\"state\":\"%s\",\"caching\":\"%s\",\"order\":%d,\"bytes\":%" PRIu64
		       ",\"ns\":%.1f,\"cpu_ns\":%.1f,\"pages_allocated\":%.4f",
		       f->op, f->state, gpu.dumb ? "driver" : caching_names[f->caching],
		       now.order, now.bytes, f->ns / per, f->cpu / per, f->alloc / per);
		if (f->order >= 0)
			printf(",\"share_of_order\":%.4f", f->order);
		puts("}");
	}
	fflush(stdout);
	nr_figures = 0;
}

/* ---- the buffers ---- */

/* Are they in chunks of the order asked for? Adjacent ones may pass for larger. */
static void must_be_in_chunks(void)
{
	uint64_t pages[16], all = 0, large = 0;
	unsigned int nr, o;

	if (gpu.dumb || now.order < 0)
		return;
	nr = vttm_chunks(gpu.minor, pages, ARRAY_LEN(pages));
	for (o = 0; o < nr; o++) {
		all += pages[o];
		if (o >= (unsigned int)now.order)
			large += pages[o];
	}
	if (large < all * 98 / 100)
		die("%" PRIu64 " of %" PRIu64 " pages are in chunks of order %d",
		    large, all, now.order);
}

/*
 * An allocation that asks for more than there is in one piece wakes kswapd, which
 * asks the shrinker. Wait until it sleeps, and have back what it got.
 */
static void must_be_resident(void)
{
	uint64_t wanted = others + now.bytes / PAGE, scanned;
	unsigned int i, tries;

	if (gpu.dumb)
		return;
	for (tries = 0; tries < 20; tries++) {
		scanned = vmstat("pgscan_kswapd") + vmstat("slabs_scanned");
		if (gpu_active() < wanted)
			for (i = 0; i < nr_bos; i++) {
				gpu_map(&gpu, &bos[i], NULL);
				*(volatile uint8_t *)bos[i].map;
				bo_unmap(&bos[i]);
			}
		usleep(100000);
		if (gpu_active() >= wanted &&
		    scanned == vmstat("pgscan_kswapd") + vmstat("slabs_scanned"))
			return;
	}
	die("reclaim backs buffers up as soon as they are there");
}

static void create_all(uint64_t bo_size)
{
	unsigned int i;

	if (fragments)
		fragment_again(&helper, fragments);
	others = gpu_active();
	nr_bos = now.bytes / bo_size;
	for (i = 0; i < nr_bos; i++) {
		gpu_create(&gpu, &bos[i], bo_size, now.caching);
		gpu_map(&gpu, &bos[i], NULL);
		fill(&bos[i], i + 1, false);
		bo_unmap(&bos[i]);
	}
	must_be_resident();
	must_be_in_chunks();
	writeback_settle();
}

static void close_all(void)
{
	while (nr_bos)
		gpu_close(&gpu, &bos[--nr_bos]);
}

static void check_all(void)
{
	unsigned int i;

	for (i = 0; i < nr_bos; i++) {
		gpu_map(&gpu, &bos[i], NULL);
		check(&bos[i], i + 1);
		bo_unmap(&bos[i]);
	}
}

static void must_be_backed_up(uint64_t pages)
{
	if (pages < now.bytes / PAGE)
		die("%" PRIu64 " of %" PRIu64 " pages were backed up", pages,
		    now.bytes / PAGE);
}

/* Without the CPU's mappings: to tear them down costs the same whatever follows */
static void backup(const char *state, bool writeback)
{
	uint64_t pages, quiet, before;
	struct meter m;
	int ret;

	must_be_resident();
	quiet = noise();
	before = gpu_active();
	meter_start(&m);
	ret = gpu_shrink(&gpu, now.bytes / PAGE, writeback);
	meter_stop(&m);
	if (ret)
		die("the shrinker: %s", strerror(-ret));
	pages = gpu_active();
	must_be_backed_up(before > pages ? before - pages : 0);
	if (state)
		report("backup", state, &m, quiet);
}

/*
 * One fault for each buffer. The page that has the entries for it is there:
 * half of what it is for is memory that has been touched.
 */
static void touch_all(const char *op, const char *state)
{
	uint64_t bo_size = bos[0].size, slot, quiet = noise();
	uint8_t *arena, *base;
	struct meter m;
	unsigned int i;

	slot = (bo_size + 2 * MiB + 2 * MiB - 1) & ~(2 * MiB - 1);
	arena = mmap(NULL, slot * nr_bos + 2 * MiB, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (arena == MAP_FAILED)
		die("no address space: %s", strerror(errno));
	madvise(arena, slot * nr_bos + 2 * MiB, MADV_NOHUGEPAGE);
	base = (uint8_t *)(uintptr_t)(((uintptr_t)arena + 2 * MiB - 1) & ~(2 * MiB - 1));
	for (i = 0; i < nr_bos; i++) {
		base[slot * i] = 1;
		gpu_map(&gpu, &bos[i], base + slot * i + MiB);
	}
	meter_start(&m);
	for (i = 0; i < nr_bos; i++)
		*(volatile uint8_t *)bos[i].map;
	meter_stop(&m);
	if (op)
		report(op, state, &m, quiet);
	for (i = 0; i < nr_bos; i++)
		bos[i].map = NULL;
	munmap(arena, slot * nr_bos + 2 * MiB);
}

static void to_swapcache(const char *state)
{
	uint64_t cached = vmstat("nr_swapcached");

	if (gpu.dumb || gpu.swapout)
		die("with --dumb or vttm.shrinker=0 nothing can be left in the swap cache on purpose");
	backup(state, true);
	writeback_settle();
	cached = vmstat("nr_swapcached") - cached;
	if ((int64_t)cached < (int64_t)(now.bytes / PAGE * 9 / 10))
		die("%" PRId64 " of %" PRIu64 " pages are in the swap cache",
		    (int64_t)cached, now.bytes / PAGE);
}

static void to_swap(void)
{
	int64_t left;

	backup(NULL, false);
	reclaim_all();
	left = vmstat("nr_shmem") + vmstat("nr_swapcached") - shmem_that_stays;
	if (left > (int64_t)(now.bytes / PAGE / 100))
		die("%" PRId64 " of %" PRIu64 " pages did not leave memory", left,
		    now.bytes / PAGE);
}

static void drop_all(const char *state)
{
	uint64_t quiet = noise();
	struct meter m;
	unsigned int i;

	meter_start(&m);
	for (i = 0; i < nr_bos; i++)
		vttm_close(gpu.fd, bos[i].handle);
	meter_stop(&m);
	report("drop", state, &m, quiet);
	nr_bos = 0;
}

static void purge_all(void)
{
	uint64_t quiet = noise();
	struct meter m;
	unsigned int i;
	int ret;

	for (i = 0; i < nr_bos; i++) {
		ret = vttm_madvise(gpu.fd, bos[i].handle, DRM_VTTM_MADV_DONTNEED, NULL);
		if (ret)
			die("madvise: %s", strerror(-ret));
	}
	meter_start(&m);
	ret = vttm_purge(gpu.minor, now.bytes / PAGE, NULL);
	meter_stop(&m);
	if (ret)
		die("purge: %s", strerror(-ret));
	report("purge", "resident", &m, quiet);
	close_all();
}

/* ---- all of them ---- */

static bool wanted(const char *list, const char *name)
{
	size_t len = strlen(name);

	for (; list; list = strchr(list, ','), list = list ? list + 1 : NULL)
		if (!strncmp(list, name, len) && (list[len] == ',' || !list[len]))
			return true;
	return false;
}

static void one_case(const char *states, const char *swap_name)
{
	/* 2 MiB are asked for with effort, so smaller ones have to come of less */
	uint64_t bo_size = now.order >= 0 && now.order < 9 ? MiB : 2 * MiB;

	if (wanted(states, "resident")) {
		create_all(bo_size);
		backup("resident", false);
		touch_all("restore", "resident");
		touch_all("fault", "resident");
		check_all();
		if (gpu.swapout) {
			/* A swapout by copy leaves the pages in TTM's pools, until these shrink. */
			backup(NULL, false);
			pools_drain();
			touch_all("restore", "drained");
			check_all();
		}
		backup(NULL, false);
		drop_all("resident");
		pools_drain();
		if (!gpu.dumb && !gpu.swapout) {
			create_all(bo_size);
			purge_all();
			pools_drain();
		}
	}
	if (round_now >= ROUNDS)
		return;
	if (wanted(states, "swapcache")) {
		create_all(bo_size);
		to_swapcache("swapcache");
		touch_all("restore", "swapcache");
		check_all();
		close_all();
		pools_drain();
	}
	if (wanted(states, "swapped")) {
		create_all(bo_size);
		to_swap();
		touch_all("restore", swap_name);
		check_all();
		to_swap();
		drop_all(swap_name);
		pools_drain();
	}
}

static void growth(uint64_t mib)
{
	uint64_t size;
	unsigned int round;

	now.order = -1;
	for (size = 2 * MiB; size <= mib * MiB; size *= 2)
		for (round = 0; round < (size > 8 * MiB ? 1 : ROUNDS); round++) {
			struct meter m[2];
			uint64_t before;
			int ret;

			gpu_create(&gpu, &bos[0], size, now.caching);
			gpu_map(&gpu, &bos[0], NULL);
			if (*(volatile uint8_t *)bos[0].map)
				die("memory that is not cleared");
			bo_unmap(&bos[0]);
			before = gpu_active();
			meter_start(&m[0]);
			ret = gpu_shrink(&gpu, size / PAGE, false);
			meter_stop(&m[0]);
			now.bytes = size;
			if (ret)
				die("the shrinker: %s", strerror(-ret));
			must_be_backed_up(before - gpu_active());
			nr_bos = 1;
			gpu_map(&gpu, &bos[0], NULL);
			meter_start(&m[1]);
			*(volatile uint8_t *)bos[0].map;
			meter_stop(&m[1]);
			close_all();
			pools_drain();
			if (round || size > 8 * MiB)
				printf("{\"part\":\"growth\",\"caching\":\"%s\",\"bytes\":%" PRIu64
				       ",\"backup_ns\":%" PRIu64 ",\"restore_ns\":%" PRIu64 "}\n",
				       gpu.dumb ? "driver" : caching_names[now.caching],
				       size, m[0].ns, m[1].ns);
			fflush(stdout);
		}
}

int main(int argc, char **argv)
{
	const char *node = NULL, *helper_node = NULL, *states = "resident";
	const char *swap_name = "swap", *orders = NULL;
	uint64_t growth_mib = 0;
	bool dumb = false;
	int i;

	now.bytes = 32 * MiB;
	now.order = -1;
	for (i = 1; i < argc; i++) {
		const char *opt = argv[i], *arg = i + 1 < argc ? argv[i + 1] : NULL;

		if (!strcmp(opt, "--help") || !strcmp(opt, "-h"))
			usage();
		if (!strcmp(opt, "--dumb")) {
			dumb = true;
			continue;
		}
		if (!arg)
			die("%s: unknown, or without its value (bench-cost --help)", opt);
		i++;
		if (!strcmp(opt, "--node"))
			node = arg;
		else if (!strcmp(opt, "--helper"))
			helper_node = arg;
		else if (!strcmp(opt, "--states"))
			states = arg;
		else if (!strcmp(opt, "--swap-name"))
			swap_name = arg;
		else if (!strcmp(opt, "--orders"))
			orders = arg;
		else if (!strcmp(opt, "--mib"))
			now.bytes = parse_number(opt, arg, 2, MAX_BUFFERS) / 2 * 2 * MiB;
		else if (!strcmp(opt, "--growth"))
			growth_mib = parse_number(opt, arg, 2, 1 << 20);
		else
			die("unknown option %s (bench-cost --help)", opt);
	}
	mount_all();
	signal(SIGBUS, on_sigbus);
	gpu_open(&gpu, node, dumb);
	if (meminfo_kib("SwapTotal") * KiB < now.bytes + growth_mib * MiB)
		die("nothing is backed up without swap, of which there is too little");
	/*
	 * What is backed up is pushed out to swap by reclaim of all there is: what
	 * else can leave goes now, and what is measured stays.
	 */
	if (!growth_mib && strstr(states, "swapped")) {
		if (!file_exists("/sys/fs/cgroup/memory.reclaim"))
			die("the state \"swapped\" needs cgroup2 at /sys/fs/cgroup with the memory controller");
		if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT))
			die("mlockall: %s", strerror(errno));
		reclaim_all();
		shmem_that_stays = vmstat("nr_shmem") + vmstat("nr_swapcached");
	}

	if (growth_mib) {
		for (now.caching = DRM_VTTM_CACHED; now.caching <= DRM_VTTM_WC; now.caching++) {
			growth(growth_mib);
			if (dumb)
				break;
		}
		return 0;
	}
	if (orders && dumb)
		die("--orders needs vttm devices");
	if (orders && helper_node) {
		gpu_open(&helper, helper_node, false);
	} else if (orders) {
		helper.fd = vttm_open(1, &helper.minor);
		if (helper.fd < 0)
			die("--orders needs a second vttm device: boot with vttm.devices=2");
	}
	do {
		if (orders) {
			char *end;

			now.order = strtoul(orders, &end, 10);
			if (end == orders || (*end && *end != ',') || now.order > 9)
				die("--orders: a list like 0,4,9, not '%s'", orders);
			orders = *end ? end + 1 : NULL;
			if (now.order < 9)
				fragments = fragment(&helper, now.order);
		}
		for (round_now = 0; round_now < ROUNDS_RESIDENT; round_now++) {
			for (now.caching = DRM_VTTM_CACHED;
			     now.caching <= (dumb ? DRM_VTTM_CACHED : DRM_VTTM_WC);
			     now.caching++)
				one_case(states, swap_name);
		}
		print_figures();
		if (fragments)
			unfragment(&helper, fragments);
		fragments = NULL;
	} while (orders);
	return 0;
}
