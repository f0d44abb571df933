// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * bench-behave: what backing up does to the rest of the machine. See usage()
 * and docs/results.md. A line of JSON for each result.
 */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define TRACING		"/sys/kernel/tracing/"
#define EXTFRAG		"/sys/kernel/debug/extfrag/"
#define RECLAIM		"/sys/fs/cgroup/memory.reclaim"
#define MAX_BUFFERS	8192

static struct gpu gpu;
static struct bo bos[MAX_BUFFERS];
static unsigned int nr_bos;
static uint64_t ram;

static void usage(void)
{
	puts("usage: bench-behave [--node PATH] [--dumb] TEST [VALUE]...\n"
	     "\n"
	     "What backing up does to the rest of the machine, as lines of JSON. To be run\n"
	     "as root, with swap and with nothing else going on: memory does get short.\n"
	     "\n"
	     "  --node PATH     DRM node (default: the first vttm device)\n"
	     "  --dumb          the node is that of any driver: dumb buffers, which are backed\n"
	     "                  up with vm.drop_caches\n"
	     "\n"
	     "  peak PERCENT...      memory taken at most while one buffer of PERCENT of RAM is\n"
	     "                       backed up\n"
	     "  reserve PERCENT...   how much of the buffers direct reclaim gets backed up, with\n"
	     "                       free memory at PERCENT of the lowest watermark\n"
	     "  cycle PERCENT ROUNDS fill buffers worth PERCENT of RAM and read them ROUNDS times;\n"
	     "                       time, swap, fragmentation, types of page blocks\n"
	     "  readback MIB         how long it takes to read buffers that are all in swap, where\n"
	     "                       memory is plentiful, of 4 MiB each\n"
	     "  latency PERCENT      how long a page fault takes that has to wait for the\n"
	     "                       shrinker, with PERCENT of RAM in idle buffers\n"
	     "  spinner BUFFERS SECONDS [unfair]\n"
	     "                       how long it takes to read buffers of a page that were backed\n"
	     "                       up on a processor where SCHED_FIFO spins since then;\n"
	     "                       unfair: without the deadline server that makes way for others\n"
	     "  flush MIB...         interrupts between processors, by which they flush their TLBs,\n"
	     "                       for the backup and the restore of one buffer of MIB\n"
	     "  churn MIB COUNT      what it costs to create a buffer of MIB, touch it and destroy\n"
	     "                       it, COUNT times; and pages allocated, interrupts as above\n"
	     "  pins PERCENT         fill PERCENT of RAM with buffers of a page, each followed by\n"
	     "                       15 pages of anonymous memory, which then goes; how much of\n"
	     "                       what is free compaction puts together again\n"
	     "  group LIMIT MIB      buffers worth MIB, made and backed up in a memory cgroup with\n"
	     "                       a limit of LIMIT MiB; what that is charged for, and whether\n"
	     "                       it is killed\n"
	     "  direct ORDER...      what it costs to put 2 MiB of folios of an ORDER into the swap\n"
	     "                       cache and to take them back, and into a shmem file\n"
	     "  held MIB             the same with 2 MiB folios worth MIB, with swapoff and reclaim\n"
	     "                       while they are there; both need the kernel of build/alternatives\n"
	     "  oom KIND PERCENT half|noise TOUCH half|noise\n"
	     "                       whether a process that touches TOUCH percent of RAM is\n"
	     "                       killed, and how long it takes, with PERCENT of RAM in idle\n"
	     "                       memory of a KIND: gpu, tmpfs (huge=always), anon or thp;\n"
	     "                       what is in each compresses to a half or not at all");
	exit(0);
}

/* Buffers worth so many bytes, filled; every other one WC */
static void fill_buffers(uint64_t bytes, uint64_t size, bool noise)
{
	uint64_t nr;

	for (nr_bos = 0; bytes >= size; bytes -= size, nr_bos++) {
		struct bo *b = &bos[nr_bos];

		if (nr_bos == MAX_BUFFERS)
			die("more than %u buffers", MAX_BUFFERS);
		gpu_create(&gpu, b, size, nr_bos & 1 ? DRM_VTTM_CACHED : DRM_VTTM_WC);
		gpu_map(&gpu, b, NULL);
		for (nr = 0; nr < size / PAGE; nr++)
			fill_page(b->map + nr * PAGE, nr_bos + 1, nr, noise);
	}
}

static void free_buffers(void)
{
	while (nr_bos)
		gpu_close(&gpu, &bos[--nr_bos]);
	gpu_drain();
}

static void check_buffers(void)
{
	unsigned int i;

	for (i = 0; i < nr_bos; i++)
		check(&bos[i], i + 1);
}

/* ---- peak ---- */

static void tracing(const char *file, const char *value)
{
	char path[128];
	int ret;

	snprintf(path, sizeof(path), TRACING "%s", file);
	ret = write_file(path, "%s", value);
	if (ret)
		die("cannot write %s to %s: %s", value, path, strerror(-ret));
}

static void tracing_off(void)
{
	write_file(TRACING "events/kmem/mm_page_alloc/enable", "0");
	write_file(TRACING "events/kmem/mm_page_free/enable", "0");
	write_file(TRACING "buffer_size_kb", "1");
}

/* It is emptied by opening it */
static void trace_clear(void)
{
	int fd = open(TRACING "trace", O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd < 0)
		die(TRACING "trace: %s", strerror(errno));
	close(fd);
}

static uint64_t trace_lost(void)
{
	unsigned int cpu;
	uint64_t lost = 0;
	char path[128];

	for (cpu = 0; ; cpu++) {
		const char *text, *p;

		snprintf(path, sizeof(path), TRACING "per_cpu/cpu%u/stats", cpu);
		text = read_file(path);
		if (!text)
			return lost;
		p = strstr(text, "overrun: ");
		lost += p ? strtoull(p + strlen("overrun: "), NULL, 10) : 0;
		p = strstr(text, "dropped events: ");
		lost += p ? strtoull(p + strlen("dropped events: "), NULL, 10) : 0;
	}
}

/*
 * Every page that the machine allocates and frees meanwhile, counted by the
 * tracepoints of the page allocator.
 */
static void peak(uint64_t percent)
{
	int64_t pages = 0, most = 0, allocated = 0;
	uint64_t backed_up, size = ram * percent / 100 / (2 * MiB) * (2 * MiB);
	char line[512];
	FILE *trace;

	fill_buffers(size, size, false);
	bo_unmap(&bos[0]);
	writeback_settle();
	tracing("buffer_size_kb", "12288");
	trace_clear();
	tracing("events/kmem/mm_page_alloc/enable", "1");
	tracing("events/kmem/mm_page_free/enable", "1");
	backed_up = gpu_backup(&gpu, size / PAGE, false);
	tracing("events/kmem/mm_page_alloc/enable", "0");
	tracing("events/kmem/mm_page_free/enable", "0");
	if (trace_lost())
		die("the trace buffer is too small");
	trace = fopen(TRACING "trace", "r");
	if (!trace)
		die(TRACING "trace: %s", strerror(errno));
	while (fgets(line, sizeof(line), trace)) {
		const char *what = strstr(line, ": mm_page_"), *order, *pfn;
		int64_t nr;

		if (!what)
			continue;
		order = strstr(what, "order=");
		pfn = strstr(what, "pfn=");
		if (!order || !pfn)
			die("trace: cannot understand \"%s\"", line);
		nr = 1LL << strtoul(order + strlen("order="), NULL, 10);
		/* one that failed */
		if (!strtoull(pfn + strlen("pfn="), NULL, 16))
			continue;
		if (!strncmp(what, ": mm_page_alloc", 15)) {
			pages += nr;
			allocated += nr;
		} else {
			pages -= nr;
		}
		if (pages > most)
			most = pages;
	}
	fclose(trace);
	trace_clear();
	printf("{\"part\":\"peak\",\"percent\":%" PRIu64 ",\"bytes\":%" PRIu64
	       ",\"backed_up_bytes\":%" PRIu64 ",\"peak_bytes\":%" PRIu64
	       ",\"allocated_bytes\":%" PRIu64 "}\n", percent, size,
	       backed_up * PAGE, most * PAGE, allocated * PAGE);
	fflush(stdout);
	gpu_map(&gpu, &bos[0], NULL);
	check_buffers();
	free_buffers();
}

/* ---- reserve ---- */

#define RESERVE_FREE	(16 * MiB)	/* what is left free */

/*
 * A file that can be used while no page is to be had: open, and read once, so
 * that the kernel has its buffer for it, too.
 */
static int open_ahead(const char *path, int flags)
{
	char text[4096];
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0 || (flags == O_RDONLY && pread(fd, text, sizeof(text), 0) <= 0))
		die("%s: %s", path, strerror(errno));
	return fd;
}

struct held {
	uint64_t gpu;		/* pages that GPUs hold */
	uint64_t locked;	/* bytes that nobody can take away */
};

/* From /proc/meminfo. Nothing is allocated for that. */
static struct held held_now(int meminfo)
{
	static char text[4096];
	ssize_t len = pread(meminfo, text, sizeof(text) - 1, 0);
	const char *gpu, *locked;

	text[len > 0 ? len : 0] = '\0';
	gpu = strstr(text, "GPUActive:");
	locked = strstr(text, "Mlocked:");
	if (!gpu || !locked)
		die("/proc/meminfo does not tell GPUActive and Mlocked");
	return (struct held){
		.gpu = strtoull(gpu + strlen("GPUActive:"), NULL, 10) * KiB / PAGE,
		.locked = strtoull(locked + strlen("Mlocked:"), NULL, 10) * KiB,
	};
}

/*
 * All memory but RESERVE_FREE, taken by a child, which is the one to be killed
 * if that is too much.
 */
static pid_t take_memory(void)
{
	int ready[2];
	pid_t pid;
	char c;

	if (pipe2(ready, O_CLOEXEC))
		die("pipe: %s", strerror(errno));
	pid = fork_or_die();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		write_file("/proc/self/oom_score_adj", "1000");
		while (meminfo_kib("MemFree") * KiB > RESERVE_FREE + 2 * MiB)
			eat(2 * MiB);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	/* The parent's own pages are to stay, and to be its alone */
	if (mlockall(MCL_CURRENT))
		die("mlockall: %s", strerror(errno));
	if (read(ready[0], &c, 1) != 1)
		die("the memory could not be taken");
	close(ready[0]);
	return pid;
}

/* Back up as much as can be, with free memory at percent of the min watermark */
static void reserve_one(uint64_t percent, uint64_t size)
{
	int reclaim = open_ahead(RECLAIM, O_WRONLY);
	int watermark = open_ahead("/proc/sys/vm/min_free_kbytes", O_WRONLY);
	int meminfo = open_ahead("/proc/meminfo", O_RDONLY);
	struct held start, now, last = {};
	unsigned int i, same = 0;
	uint64_t free, oom;
	int ret, set, released;
	bool known = false;
	char min[32], all[64], backed_up[32] = "null";
	pid_t pid, dead;

	pid = take_memory();
	oom = vmstat("oom_kill");	/* and what processors count is summed up */
	start = held_now(meminfo);
	if (start.gpu < size / PAGE)
		die("buffers were backed up too early");
	free = meminfo_kib("MemFree");
	snprintf(min, sizeof(min), "%" PRIu64, free * 100 / percent);
	/*
	 * Direct reclaim, by the one way user space can ask for it; without
	 * swapping out what is not the GPU's.
	 */
	snprintf(all, sizeof(all), "%" PRIu64 " swappiness=0", size);

	/* From here on nothing is done that needs memory, until there is some */
	set = pwrite(watermark, min, strlen(min), 0);
	ret = set < 0 || pwrite(reclaim, all, strlen(all), 0) >= 0 ? 0 : -errno;
	/*
	 * What kswapd gets backed up meanwhile counts as well. What is backed up
	 * with the memory that a kill gives back does not.
	 */
	for (i = 0; i < 60 && same < 3; i++) {
		now = held_now(meminfo);
		if (now.locked + 2 * MiB < start.locked)
			break;
		same = known && now.gpu == last.gpu ? same + 1 : 0;
		last = now;
		known = true;
		sleep(1);
	}
	released = pwrite(watermark, "1024", 4, 0);

	oom = vmstat("oom_kill") - oom;
	dead = waitpid(pid, NULL, WNOHANG);
	if (!dead) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	munlockall();
	close(reclaim);
	close(watermark);
	close(meminfo);
	if (set < 0 || released < 0)
		die("cannot write min_free_kbytes");
	if (!oom && (dead || same < 3))
		die(dead ? "what held the memory ended by itself" :
		    "buffers were still being backed up after a minute");
	/* -EAGAIN: less than all, which is what the figure tells */
	if (ret && ret != -EAGAIN && ret != -EINTR)
		die("cannot write " RECLAIM ": %s", strerror(-ret));
	if (known)
		snprintf(backed_up, sizeof(backed_up), "%" PRIu64,
			 (start.gpu > last.gpu ? start.gpu - last.gpu : 0) * PAGE);
	printf("{\"part\":\"reserve\",\"percent\":%" PRIu64 ",\"free_kib\":%" PRIu64
	       ",\"min_free_kib\":%s,\"bytes\":%" PRIu64 ",\"backed_up_bytes\":%s"
	       ",\"oom_kills\":%" PRIu64 "}\n", percent, free, min, size, backed_up, oom);
	fflush(stdout);
}

static void reserve(int nr, char **percents)
{
	uint64_t size = ram / 4 / (2 * MiB) * (2 * MiB), n;
	int i;

	/* far from any watermark as it is, so nothing is reclaimed too early */
	sysctl_set("watermark_boost_factor", "0");
	sysctl_set("min_free_kbytes", "1024");
	for (i = 0; i < nr; i++) {
		/* anew, as what was restored may be in smaller pieces */
		fill_buffers(size, 2 * MiB, false);
		for (n = 0; n < nr_bos; n++)
			bo_unmap(&bos[n]);
		write_file("/proc/sys/vm/drop_caches", "1");
		reserve_one(parse_number("reserve", percents[i], 1, 1000), size);
		for (n = 0; n < nr_bos; n++) {
			gpu_map(&gpu, &bos[n], NULL);
			check(&bos[n], n + 1);
		}
		free_buffers();
		writeback_settle();
	}
}

/* ---- cycle ---- */

/* The column of order 9 in the last zone that is for general use */
static double extfrag(const char *name)
{
	char path[64], zone[16];
	const char *line, *p;
	double value = -9, v;

	snprintf(path, sizeof(path), EXTFRAG "%s", name);
	line = read_file(path);
	if (!line)
		die("cannot read %s: %s", path, strerror(errno));
	for (; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
		unsigned int order;
		char *next;

		p = strstr(line, "zone");
		if (!p || sscanf(p, "zone %15s", zone) != 1)
			break;
		if (strcmp(zone, "DMA32") && strcmp(zone, "Normal"))
			continue;
		p = strstr(p, zone) + strlen(zone);
		for (order = 0; order <= PMD_NR; order++, p = next) {
			v = strtod(p, &next);
			if (next == p)
				die("%s has no order %u", path, order);
		}
		value = v;
	}
	if (value == -9)
		die("%s tells nothing of a zone", path);
	return value;
}

/* Page blocks by type, all zones: {"Unmovable":10,...} */
static void page_blocks(char *out, size_t len)
{
	const char *text = read_file("/proc/pagetypeinfo"), *head, *line;
	uint64_t sum[8] = {};
	char name[8][16];
	unsigned int nr, i;
	size_t n = 0;

	head = text ? strstr(text, "Number of blocks type") : NULL;
	if (!head)
		die("cannot read /proc/pagetypeinfo: %s", strerror(errno));
	line = head + strlen("Number of blocks type");
	for (nr = 0; nr < 8; nr++) {
		int used;

		line += strspn(line, " ");
		if (*line == '\n' || sscanf(line, "%15s%n", name[nr], &used) != 1)
			break;
		line += used;
	}
	for (line = strchr(head, '\n'); line && line[1]; line = strchr(line + 1, '\n')) {
		const char *p = strstr(line, "zone");
		char *next;

		if (!p || sscanf(p, "zone %*s%n", (int *)&i) < 0)
			break;
		p += strlen("zone");
		p += strspn(p, " ");
		p += strcspn(p, " ");
		for (i = 0; i < nr; i++, p = next)
			sum[i] += strtoull(p, &next, 10);
	}
	for (i = 0; i < nr; i++)
		n += snprintf(out + n, len - n, "%s\"%s\":%" PRIu64, i ? "," : "{",
			      name[i], sum[i]);
	snprintf(out + n, len - n, "}");
}

static void memory_state(const char *when)
{
	char blocks[256];

	page_blocks(blocks, sizeof(blocks));
	printf(",\"%s\":{\"free_bytes\":%" PRIu64 ",\"free_order9\":%" PRIu64
	       ",\"unusable_index_order9\":%.3f,\"extfrag_index_order9\":%.3f,\"direct_map_4k_bytes\":%" PRIu64
	       ",\"page_blocks\":%s}",
	       when, meminfo_kib("MemFree") * KiB, free_2mib(),
	       extfrag("unusable_index"), extfrag("extfrag_index"),
	       meminfo_kib("DirectMap4k") * KiB, blocks);
}

/*
 * Reads all buffers, and looks after each of them at what is resident then: base
 * pages by the order of the chunk that they lie in, in per mille.
 */
static void check_chunks(void)
{
	uint64_t sum[16] = {}, pages[ARRAY_LEN(sum)], all = 0;
	unsigned int i, j, nr = 0;

	for (i = 0; i < nr_bos; i++) {
		check(&bos[i], i + 1);
		if (gpu.dumb)
			continue;
		nr = vttm_chunks(gpu.minor, pages, ARRAY_LEN(pages));
		for (j = 0; j < nr; j++) {
			sum[j] += pages[j];
			all += pages[j];
		}
	}
	if (!all)
		return;
	printf(",\"pages_by_order\":[");
	for (j = 0; j < nr; j++)
		printf("%s%" PRIu64, j ? "," : "", sum[j] * 1000 / all);
	printf("]");
}

static void cycle_child(uint64_t percent, uint64_t rounds)
{
	uint64_t t = now_ns(), filled;
	uint64_t i;

	fill_buffers(ram * percent / 100, 4 * MiB, false);
	filled = now_ns();
	for (i = 1; i < rounds; i++)
		check_buffers();
	check_chunks();
	printf(",\"fill_ns\":%" PRIu64 ",\"read_ns\":%" PRIu64, filled - t,
	       now_ns() - filled);
	memory_state("full");
	free_buffers();
	fflush(stdout);
	_exit(0);
}

/* In which way pages came back */
static void print_restored(const struct backup_counters *c)
{
	printf(",\"restored_adopted_pages\":%" PRIu64
	       ",\"restored_extracted_pages\":%" PRIu64
	       ",\"restored_merged_pages\":%" PRIu64
	       ",\"restored_copied_pages\":%" PRIu64,
	       c->restored_adopted, c->restored_extracted, c->restored_merged,
	       c->restored_copied);
}

static void cycle(uint64_t percent, uint64_t rounds)
{
	static const char *const counters[] = {
		"pswpout", "pswpin", "thp_swpout", "thp_swpout_fallback",
		"oom_kill",
	};
	uint64_t before[ARRAY_LEN(counters)];
	struct backup_counters then, c;
	unsigned int i;
	int status;
	pid_t pid;

	printf("{\"part\":\"cycle\",\"percent\":%" PRIu64 ",\"rounds\":%" PRIu64
	       ",\"ram_bytes\":%" PRIu64, percent, rounds, ram);
	gpu_drain();
	write_file("/proc/sys/vm/drop_caches", "3");
	memory_state("before");
	if (have_backup_stats())
		backup_counters(&then);
	for (i = 0; i < ARRAY_LEN(counters); i++)
		before[i] = vmstat(counters[i]);

	/* The one to be killed if there is not enough memory */
	pid = fork_or_die();
	if (!pid) {
		write_file("/proc/self/oom_score_adj", "1000");
		cycle_child(percent, rounds);
	}
	if (waitpid(pid, &status, 0) != pid)
		die("wait: %s", strerror(errno));
	/* a file that the child has died with leaves its buffers to the parent */
	printf(",\"completed\":%s", WIFEXITED(status) && !WEXITSTATUS(status) ?
	       "true" : "false");
	for (i = 0; i < ARRAY_LEN(counters); i++)
		printf(",\"%s\":%" PRIu64, counters[i], vmstat(counters[i]) - before[i]);
	if (have_backup_stats()) {
		backup_counters_since(&then, &c);
		printf(",\"inserted_pages\":%" PRIu64 ",\"copied_pages\":%" PRIu64
		       ",\"retained_pages\":%" PRIu64
		       ",\"inserted_order0_pages\":%" PRIu64 ",\"inserted_order9_pages\":%" PRIu64,
		       c.inserted, c.copied, c.retained, c.order[0],
		       c.order[PMD_NR] << PMD_NR);
		print_restored(&c);
	}
	close(gpu.fd);
	gpu_drain();
	write_file("/proc/sys/vm/drop_caches", "3");
	memory_state("after");
	puts("}");
}

/* ---- readback ---- */

static void readback(uint64_t mib)
{
	struct backup_counters then, c;
	uint64_t t, in, used;

	fill_buffers(mib * MiB, 4 * MiB, false);
	gpu_backup(&gpu, mib * MiB / PAGE, true);
	reclaim_all();
	used = swap_used_pages();
	if (used < mib * MiB / PAGE)
		die("only %" PRIu64 " pages are in swap", used);
	if (have_backup_stats())
		backup_counters(&then);
	in = vmstat("pswpin");
	t = now_ns();
	check_buffers();
	t = now_ns() - t;
	printf("{\"part\":\"readback\",\"bytes\":%" PRIu64 ",\"read_ns\":%" PRIu64
	       ",\"pswpin\":%" PRIu64, mib * MiB, t, vmstat("pswpin") - in);
	if (have_backup_stats()) {
		backup_counters_since(&then, &c);
		print_restored(&c);
	}
	puts("}");
	free_buffers();
}

/* ---- latency ---- */

static int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static void latency(uint64_t percent)
{
	uint64_t bytes = ram / 2, nr = bytes / PAGE, i, t, start, active;
	uint64_t *ns = eat(nr * sizeof(*ns));
	uint8_t *p;

	fill_buffers(ram * percent / 100, 4 * MiB, false);
	for (i = 0; i < nr_bos; i++)
		bo_unmap(&bos[i]);
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED || madvise(p, bytes, MADV_NOHUGEPAGE))
		die("no address space: %s", strerror(errno));
	active = gpu_active();
	start = now_ns();
	for (i = 0; i < nr; i++) {
		t = now_ns();
		*(volatile uint64_t *)(p + i * PAGE) = i;
		ns[i] = now_ns() - t;
	}
	start = now_ns() - start;
	active -= gpu_active();
	if ((int64_t)active <= 0)
		die("nothing was backed up: there was no memory pressure");
	qsort(ns, nr, sizeof(*ns), by_value);
	printf("{\"part\":\"latency\",\"percent\":%" PRIu64 ",\"faults\":%" PRIu64
	       ",\"backed_up_bytes\":%" PRIu64 ",\"total_ns\":%" PRIu64
	       ",\"p50_ns\":%" PRIu64 ",\"p99_ns\":%" PRIu64 ",\"p999_ns\":%" PRIu64
	       ",\"max_ns\":%" PRIu64 "}\n", percent, nr, active * PAGE, start,
	       ns[nr / 2], ns[nr - nr / 100], ns[nr - nr / 1000], ns[nr - 1]);
	munmap(p, bytes);
	free_buffers();
}

/* ---- spinner ---- */

#define FAIR_SERVER	"/sys/kernel/debug/sched/fair_server/cpu1/runtime"

static void stay_on(int cpu)
{
	int ret = run_on(cpu);

	if (ret)
		die("cannot run on processor %d: %s", cpu, strerror(-ret));
}

/*
 * Back up on processor 1, which leaves small folios in a batch of that processor,
 * and spin there with real-time priority; read on processor 0.
 */
static void spinner(uint64_t nr, uint64_t seconds, bool unfair)
{
	struct sched_param param = { .sched_priority = 50 };
	char usual[32] = "";
	uint64_t t, longest = 0, start, spun;
	const char *text;
	int ready[2], ret;
	unsigned int i;
	pid_t pid;
	char c;

	text = read_file(FAIR_SERVER);
	if (text)
		snprintf(usual, sizeof(usual), "%s", text);
	else if (unfair)
		die("cannot read " FAIR_SERVER ": %s", strerror(errno));
	stay_on(0);
	for (nr_bos = 0; nr_bos < nr; nr_bos++) {
		gpu_create(&gpu, &bos[nr_bos], PAGE, DRM_VTTM_CACHED);
		gpu_map(&gpu, &bos[nr_bos], NULL);
		fill(&bos[nr_bos], nr_bos + 1);
	}
	if (mlockall(MCL_CURRENT))
		die("mlockall: %s", strerror(errno));
	ret = unfair ? write_file(FAIR_SERVER, "0") : 0;
	if (ret)
		die("cannot write " FAIR_SERVER ": %s", strerror(-ret));
	if (pipe2(ready, O_CLOEXEC))
		die("pipe: %s", strerror(errno));
	pid = fork_or_die();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		stay_on(1);
		if (gpu_backup(&gpu, nr, false) < nr)
			die("not all buffers were backed up");
		if (sched_setscheduler(0, SCHED_FIFO, &param))
			die("SCHED_FIFO: %s", strerror(errno));
		start = now_ns();
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		while (now_ns() - start < seconds * 1000000000ULL)
			;
		_exit(0);
	}
	close(ready[1]);
	if (read(ready[0], &c, 1) != 1)
		die("the spinner does not start");
	start = now_ns();
	for (i = 0; i < nr_bos; i++) {
		t = now_ns();
		check(&bos[i], i + 1);
		t = now_ns() - t;
		if (t > longest)
			longest = t;
	}
	spun = now_ns() - start;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	munlockall();
	if (unfair)
		write_file(FAIR_SERVER, "%s", usual);
	printf("{\"part\":\"spinner\",\"buffers\":%" PRIu64 ",\"spins_ns\":%" PRIu64
	       ",\"unfair\":%s,\"longest_ns\":%" PRIu64 ",\"total_ns\":%" PRIu64 "}\n",
	       nr, seconds * 1000000000, unfair ? "true" : "false", longest, spun);
	free_buffers();
}

/* ---- flush ---- */

static const char *const caching_names[] = { "cached", "wc" };

/* Function calls (CAL) and shootdowns of user mappings (TLB), all processors */
static uint64_t interrupts(void)
{
	const char *text = read_file("/proc/interrupts"), *line;
	static const char *const names[] = { "CAL:", "TLB:" };
	uint64_t sum = 0, n;
	unsigned int i;
	char *next;

	for (i = 0; i < ARRAY_LEN(names); i++) {
		line = text ? strstr(text, names[i]) : NULL;
		if (!line)
			die("/proc/interrupts has no line %s", names[i]);
		for (line += strlen(names[i]); ; line = next) {
			n = strtoull(line, &next, 10);
			if (next == line)
				break;
			sum += n;
		}
	}
	return sum;
}

static void flush(uint64_t mib)
{
	uint64_t size = mib * MiB, backup, restore, backed_up;
	unsigned int i;

	/* cached, nothing is flushed for the caching: what others do meanwhile */
	for (i = 0; i < (gpu.dumb ? 1 : ARRAY_LEN(caching_names)); i++) {
		gpu_create(&gpu, &bos[0], size, i ? DRM_VTTM_WC : DRM_VTTM_CACHED);
		gpu_map(&gpu, &bos[0], NULL);
		fill(&bos[0], 1);
		bo_unmap(&bos[0]);
		writeback_settle();

		backup = interrupts();
		backed_up = gpu_backup(&gpu, size / PAGE, false);
		backup = interrupts() - backup;
		if (backed_up < size / PAGE)
			die("%" PRIu64 " of %" PRIu64 " pages were backed up",
			    backed_up, size / PAGE);

		gpu_map(&gpu, &bos[0], NULL);
		restore = interrupts();
		*(volatile uint8_t *)bos[0].map;
		restore = interrupts() - restore;
		check(&bos[0], 1);
		printf("{\"part\":\"flush\",\"caching\":\"%s\",\"cpus\":%ld,\"bytes\":%" PRIu64
		       ",\"backup_ipis\":%" PRIu64 ",\"restore_ipis\":%" PRIu64 "}\n",
		       gpu.dumb ? "driver" : caching_names[i], sysconf(_SC_NPROCESSORS_ONLN),
		       size, backup, restore);
		fflush(stdout);
		gpu_close(&gpu, &bos[0]);
		gpu_drain();
	}
}

/* ---- churn ---- */

/* What is in use changes hands: nothing of it may be left for the next one. */
static void check_cleared(const struct bo *b)
{
	uint64_t i;

	for (i = 0; i < b->size; i += 64)
		if (*(volatile uint64_t *)(b->map + i))
			die("a new buffer is not cleared");
}

static void churn(uint64_t mib, uint64_t count)
{
	uint64_t size = mib * MiB, i, ns, alloc, ipis;
	struct bo *b = &bos[0];
	uint32_t caching;

	for (caching = DRM_VTTM_CACHED; caching <= DRM_VTTM_WC; caching++) {
		/* two that are full, for the first ones to follow */
		for (i = 0; i < 2; i++) {
			gpu_create(&gpu, b, size, caching);
			gpu_map(&gpu, b, NULL);
			check_cleared(b);
			fill(b, 1);
			check(b, 1);
			gpu_close(&gpu, b);
		}
		alloc = vmstat_sum("pgalloc_");
		ipis = interrupts();
		ns = now_ns();
		for (i = 0; i < count; i++) {
			gpu_create(&gpu, b, size, caching);
			gpu_map(&gpu, b, NULL);
			*b->map = 1;
			gpu_close(&gpu, b);
		}
		ns = now_ns() - ns;
		ipis = interrupts() - ipis;
		alloc = vmstat_sum("pgalloc_") - alloc;
		gpu_create(&gpu, b, size, caching);
		gpu_map(&gpu, b, NULL);
		check_cleared(b);
		gpu_close(&gpu, b);
		gpu_drain();
		printf("{\"part\":\"churn\",\"caching\":\"%s\",\"bytes\":%" PRIu64
		       ",\"count\":%" PRIu64 ",\"ns\":%.1f,\"pages_allocated\":%.2f"
		       ",\"ipis\":%.2f}\n", caching_names[caching], size, count,
		       ns / (double)count, alloc / (double)count, ipis / (double)count);
		fflush(stdout);
	}
}

/* ---- pins ---- */

#define BETWEEN		15	/* pages of others, between two pins */

/* Have compaction do what it can, and tell what is free. */
static uint64_t compacted_order9(void)
{
	unsigned int i;

	gpu_drain();
	write_file("/proc/sys/vm/drop_caches", "3");
	for (i = 0; i < 3; i++)
		if (write_file("/proc/sys/vm/compact_memory", "1"))
			die("cannot write compact_memory: %s", strerror(errno));
	return free_2mib();
}

static void pins(uint64_t percent)
{
	uint64_t nr = ram * percent / 100 / PAGE / (BETWEEN + 1), i, before, fail, success;
	uint64_t size = nr * BETWEEN * PAGE, after, gone;
	char blocks[256];
	uint8_t *others;

	if (nr > MAX_BUFFERS)
		die("more than %u buffers", MAX_BUFFERS);
	before = compacted_order9();
	others = mmap(NULL, size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (others == MAP_FAILED || madvise(others, size, MADV_NOHUGEPAGE))
		die("no address space: %s", strerror(errno));
	for (i = 0; i < nr; i++) {
		gpu_create(&gpu, &bos[i], PAGE, DRM_VTTM_CACHED);
		gpu_map(&gpu, &bos[i], NULL);
		fill(&bos[i], i + 1);
		memset(others + i * BETWEEN * PAGE, 1, BETWEEN * PAGE);
	}
	nr_bos = nr;
	munmap(others, size);
	success = vmstat("compact_success");
	fail = vmstat("compact_fail");
	after = compacted_order9();
	page_blocks(blocks, sizeof(blocks));
	printf("{\"part\":\"pins\",\"percent\":%" PRIu64 ",\"pins\":%" PRIu64
	       ",\"free_order9_before\":%" PRIu64 ",\"free_order9\":%" PRIu64
	       ",\"free_bytes\":%" PRIu64 ",\"compact_success\":%" PRIu64
	       ",\"compact_fail\":%" PRIu64 ",\"page_blocks\":%s",
	       percent, nr, before, after, meminfo_kib("MemFree") * KiB,
	       vmstat("compact_success") - success, vmstat("compact_fail") - fail, blocks);
	check_buffers();
	free_buffers();
	gone = compacted_order9();
	printf(",\"free_order9_after\":%" PRIu64 "}\n", gone);
}

/* ---- direct, held ---- */

#define DIRECT		"/sys/kernel/debug/swap_direct"
#define SWAPOFF_S	5

static int direct_do(const char *what, uint64_t order, uint64_t nr)
{
	return write_file(DIRECT, "%s %" PRIu64 " %" PRIu64, what, order, nr);
}

static int64_t direct_value(const char *key)
{
	const char *text = read_file(DIRECT), *p;

	p = text ? strstr(text, key) : NULL;
	if (!p)
		die("cannot read %s of " DIRECT, key);
	return strtoll(p + strlen(key), NULL, 10);
}

static void direct(uint64_t order)
{
	static const char *const ways[] = { "swap", "shmem" };
	const uint64_t size = 16 * MiB;
	unsigned int i, round;
	uint64_t alloc;
	int ret;

	for (i = 0; i < ARRAY_LEN(ways); i++) {
		/* the first pays for first uses */
		for (round = 0; round < 2; round++) {
			alloc = vmstat_sum("pgalloc_");
			ret = direct_do(ways[i], order, (size / PAGE) >> order);
			if (ret)
				die("%s: %s", ways[i], strerror(-ret));
			alloc = vmstat_sum("pgalloc_") - alloc;
		}
		printf("{\"part\":\"direct\",\"way\":\"%s\",\"order\":%" PRIu64
		       ",\"put_ns\":%.1f,\"take_ns\":%.1f,\"slots\":%.1f"
		       ",\"pages_allocated\":%.1f}\n", ways[i], order,
		       direct_value("put_ns ") / (double)(size / (2 * MiB)),
		       direct_value("take_ns ") / (double)(size / (2 * MiB)),
		       direct_value("slots ") / (double)(size / (2 * MiB)),
		       (alloc - size / PAGE) / (double)(size / (2 * MiB)));
		fflush(stdout);
	}
}

static void held(uint64_t mib)
{
	uint64_t nr = mib / 2, slots, written, resident;
	struct swap_list swaps;
	int ret, off, again;

	swap_list(&swaps);
	slots = swap_used_pages();
	written = vmstat("pswpout");
	ret = direct_do("hold", PMD_NR, nr);
	if (ret)
		die("hold: %s", strerror(-ret));
	slots = swap_used_pages() - slots;
	written = vmstat("pswpout") - written;
	off = swap_all_off(&swaps, SWAPOFF_S);
	printf("{\"part\":\"held\",\"bytes\":%" PRIu64 ",\"slots\":%" PRIu64
	       ",\"written_pages\":%" PRIu64 ",\"swapoff_s\":%u,\"swapoff\":%d",
	       mib * MiB, slots, written, SWAPOFF_S, off);

	/* They must be there still, or what follows would be about nothing. */
	written = vmstat("pswpout");
	resident = vmstat("nr_swapcached");
	if (off != -EINTR)
		die("swapoff: %s", strerror(-off));
	reclaim_all();
	printf(",\"reclaimed_pages\":%" PRIu64 ",\"swapcached_pages\":%" PRIu64
	       ",\"swapcached_after_pages\":%" PRIu64,
	       vmstat("pswpout") - written, resident, vmstat("nr_swapcached"));
	ret = write_file(DIRECT, "drop");
	if (ret)
		die("drop: %s", strerror(-ret));
	printf(",\"read_folios\":%" PRId64, direct_value("read "));
	again = swap_all_off(&swaps, 60);
	printf(",\"swapoff_after\":%d}\n", again);
}

/* ---- group ---- */

#define GROUP		"bench"

struct grouped {
	uint64_t made, resident, backed_up;
	bool refused;
};

static uint64_t charged(void)
{
	return cg_read(GROUP, "memory.current");
}

static void group_child(uint64_t mib, volatile struct grouped *g)
{
	uint64_t before, size = 4 * MiB, nr;
	int ret;

	if (write_file("/proc/self/oom_score_adj", "1000") || cg_enter(GROUP))
		die("cannot enter the cgroup");
	before = charged();
	for (nr_bos = 0; nr_bos < mib * MiB / size; nr_bos++) {
		struct bo *b = &bos[nr_bos];

		gpu_create(&gpu, b, size, DRM_VTTM_WC);
		gpu_map(&gpu, b, NULL);
		for (nr = 0; nr < size / PAGE; nr++)
			fill_page(b->map + nr * PAGE, nr_bos + 1, nr, false);
		bo_unmap(b);
		g->made += size;
	}
	g->resident = charged() - before;
	ret = gpu_shrink(&gpu, mib * MiB / PAGE, false);
	g->refused = ret;
	if (ret && ret != -EBUSY)
		die("the shrinker: %s", strerror(-ret));
	/* Small changes are counted late. */
	sleep(3);
	g->backed_up = charged() - before;
	for (nr = 0; nr < nr_bos; nr++) {
		gpu_map(&gpu, &bos[nr], NULL);
		check(&bos[nr], nr + 1);
	}
	free_buffers();
	_exit(0);
}

static void group(uint64_t limit, uint64_t mib)
{
	volatile struct grouped *g;
	uint64_t kills;
	int ret, status;
	pid_t pid;

	ret = cg_create(GROUP);
	if (!ret)
		ret = cg_write(GROUP, "memory.max", "%" PRIu64, limit * MiB);
	if (ret)
		die("no cgroup: %s", strerror(-ret));
	g = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (g == MAP_FAILED)
		die("no memory: %s", strerror(errno));
	kills = vmstat("oom_kill");
	/* its device is its own, and gone with it */
	close(gpu.fd);
	pid = fork_or_die();
	if (!pid) {
		gpu_open(&gpu, NULL, false);
		group_child(mib, g);
	}
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid: %s", strerror(errno));
	/* killed by SIGKILL, or by SIGBUS for a page that could not be had */
	if (!(WIFSIGNALED(status) || (WIFEXITED(status) && !WEXITSTATUS(status))))
		die("who made the buffers ended with status %d", status);
	printf("{\"part\":\"group\",\"limit_bytes\":%" PRIu64 ",\"bytes\":%" PRIu64
	       ",\"made_bytes\":%" PRIu64 ",\"signal\":%d,\"oom_kills\":%" PRIu64,
	       limit * MiB, mib * MiB, g->made, WIFSIGNALED(status) ? WTERMSIG(status) : 0,
	       vmstat("oom_kill") - kills);
	if (WIFEXITED(status))
		printf(",\"charged_resident_bytes\":%" PRIu64
		       ",\"charged_backed_up_bytes\":%" PRIu64 ",\"refused\":%s",
		       g->resident, g->backed_up, g->refused ? "true" : "false");
	puts("}");
	cg_remove(GROUP);
}

/* ---- oom ---- */

#define TMPFS		"/tmp/bench-oom"
#define THP		"/sys/kernel/mm/transparent_hugepage/enabled"

struct idle {
	const char *kind;
	uint64_t size;		/* of tmpfs and anonymous memory, mapped in one piece */
	uint8_t *map;
	bool noise;
};

static bool on_gpu(const struct idle *idle)
{
	return !strcmp(idle->kind, "gpu");
}

static uint8_t *map_tmpfs(uint64_t size)
{
	uint8_t *map;
	int fd;

	fd = open(TMPFS "/file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)size))
		die(TMPFS "/file: %s", strerror(errno));
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		die("no address space: %s", strerror(errno));
	close(fd);
	return map;
}

static uint8_t *map_anonymous(uint64_t size, bool huge)
{
	uint8_t *map = mmap(NULL, size + 2 * MiB, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED)
		die("no address space: %s", strerror(errno));
	map += -(uintptr_t)map & (2 * MiB - 1);
	/* small machines have it off */
	if ((huge && write_file(THP, "madvise")) ||
	    madvise(map, size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE))
		die("no huge pages: %s", strerror(errno));
	return map;
}

/* Fill it, and leave it alone. */
static void idle_start(struct idle *idle, uint64_t bytes)
{
	uint64_t nr;

	if (on_gpu(idle)) {
		fill_buffers(bytes, 4 * MiB, idle->noise);
		for (nr = 0; nr < nr_bos; nr++)
			bo_unmap(&bos[nr]);
		return;
	}

	idle->size = bytes & -(2 * MiB);
	if (!strcmp(idle->kind, "tmpfs")) {
		mkdir("/tmp", 0755);
		mkdir(TMPFS, 0700);
		if (mount("none", TMPFS, "tmpfs", 0, "huge=always,size=100%"))
			die("cannot mount a tmpfs: %s", strerror(errno));
		idle->map = map_tmpfs(idle->size);
	} else {
		idle->map = map_anonymous(idle->size, !strcmp(idle->kind, "thp"));
	}
	for (nr = 0; nr < idle->size / PAGE; nr++)
		fill_page(idle->map + nr * PAGE, 1, nr, idle->noise);
	if (!strcmp(idle->kind, "tmpfs")) {
		munmap(idle->map, idle->size);
		idle->map = NULL;
	}
}

/* Every byte is there still. */
static void idle_end(struct idle *idle)
{
	uint64_t nr;

	if (on_gpu(idle)) {
		for (nr = 0; nr < nr_bos; nr++) {
			gpu_map(&gpu, &bos[nr], NULL);
			check(&bos[nr], (uint32_t)nr + 1);
			bo_unmap(&bos[nr]);
		}
		free_buffers();
		return;
	}

	if (!idle->map)
		idle->map = map_tmpfs(idle->size);
	for (nr = 0; nr < idle->size / PAGE; nr++)
		check_page(idle->map + nr * PAGE, 1, nr);
	munmap(idle->map, idle->size);
	if (!strcmp(idle->kind, "tmpfs"))
		umount(TMPFS);
}

struct touched {
	uint64_t total, longest;
};

/* In a process of its own, whose end says whether it has been killed. */
static bool touch(uint64_t bytes, bool noise, volatile struct touched *touched)
{
	uint64_t i, t, start, longest = 0;
	int status;
	pid_t pid;

	pid = fork_or_die();
	if (!pid) {
		uint8_t *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED || madvise(p, bytes, MADV_NOHUGEPAGE) ||
		    write_file("/proc/self/oom_score_adj", "0"))
			die("no memory to touch: %s", strerror(errno));
		start = now_ns();
		for (i = 0; i < bytes / PAGE; i++) {
			t = now_ns();
			*(volatile uint64_t *)(p + i * PAGE) = i;
			t = now_ns() - t;
			if (t > longest)
				longest = t;
			touched->longest = longest;
			if (noise)
				fill_page(p + i * PAGE, 0, i, true);
			touched->total = now_ns() - start;
		}
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid: %s", strerror(errno));
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return true;
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		die("who touched memory ended with status %d", status);
	return false;
}

/* Upstream's kernel inserts none, and has no counter for it. */
static uint64_t inserted_pages(void)
{
	return have_backup_stats() ? backup_stat("inserted") : 0;
}

static bool is_noise(const char *contents)
{
	if (strcmp(contents, "half") && strcmp(contents, "noise"))
		die("contents are half or noise, not '%s'", contents);
	return !strcmp(contents, "noise");
}

static void oom(char **argv)
{
	static const char *const kinds[] = { "gpu", "tmpfs", "anon", "thp" };
	struct idle idle = { .kind = argv[0], .noise = is_noise(argv[2]) };
	uint64_t percent = parse_number("oom", argv[1], 1, 300);
	uint64_t more = parse_number("oom", argv[3], 1, 300);
	uint64_t kills, swpout, fallback, failed, inserted, splits;
	struct touched *touched;
	bool killed;
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(kinds) && strcmp(kinds[i], idle.kind); i++)
		;
	if (i == ARRAY_LEN(kinds))
		die("oom: there is no memory of kind '%s' (bench-behave --help)", idle.kind);
	touched = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	/* who is killed is who touches memory */
	if (touched == MAP_FAILED || write_file("/proc/self/oom_score_adj", "-1000"))
		die("cannot set up: %s", strerror(errno));
	memset(touched, 0, sizeof(*touched));

	idle_start(&idle, ram * percent / 100);
	kills = vmstat("oom_kill");
	swpout = vmstat("thp_swpout");
	fallback = vmstat("thp_swpout_fallback");
	splits = vmstat("thp_split_page");
	failed = zram_failed_writes();
	inserted = inserted_pages();
	killed = touch(ram * more / 100, is_noise(argv[4]), touched);
	printf("{\"part\":\"oom\",\"kind\":\"%s\",\"percent\":%" PRIu64
	       ",\"contents\":\"%s\",\"touch\":%" PRIu64 ",\"touched\":\"%s\""
	       ",\"killed\":%d,\"kills\":%" PRIu64 ",\"total_ns\":%" PRIu64
	       ",\"max_ns\":%" PRIu64 ",\"inserted\":%" PRIu64
	       ",\"thp_swpout\":%" PRIu64 ",\"thp_swpout_fallback\":%" PRIu64
	       ",\"thp_split\":%" PRIu64 ",\"failed_writes\":%" PRIu64 "}\n",
	       idle.kind, percent, argv[2], more, argv[4], killed,
	       vmstat("oom_kill") - kills, touched->total, touched->longest,
	       inserted_pages() - inserted,
	       vmstat("thp_swpout") - swpout, vmstat("thp_swpout_fallback") - fallback,
	       vmstat("thp_split_page") - splits, zram_failed_writes() - failed);
	fflush(stdout);
	idle_end(&idle);
}

int main(int argc, char **argv)
{
	const char *node = NULL, *test;
	bool dumb = false;
	int i;

	for (i = 1; i < argc && argv[i][0] == '-'; i++) {
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			usage();
		else if (!strcmp(argv[i], "--dumb"))
			dumb = true;
		else if (!strcmp(argv[i], "--node") && i + 1 < argc)
			node = argv[++i];
		else
			die("%s: unknown, or without its value (bench-behave --help)", argv[i]);
	}
	if (i + 1 >= argc)
		die("no test, or no value for it (bench-behave --help)");
	test = argv[i++];
	mount_all();
	ram = meminfo_kib("MemTotal") * KiB;
	if (!meminfo_kib("SwapTotal"))
		die("nothing is backed up without swap");
	gpu_open(&gpu, node, dumb);
	if (!strcmp(test, "peak")) {
		atexit(tracing_off);
		for (; i < argc; i++)
			peak(parse_number(test, argv[i], 1, 90));
	} else if (!strcmp(test, "reserve")) {
		reserve(argc - i, argv + i);
	} else if (!strcmp(test, "readback")) {
		if (argc - i != 1)
			die("readback MIB");
		readback(parse_number(test, argv[i], 4, 65536));
	} else if (!strcmp(test, "cycle")) {
		if (i + 2 != argc)
			die("cycle PERCENT ROUNDS");
		cycle(parse_number(test, argv[i], 1, 1000), parse_number(test, argv[i + 1], 1, 1000));
	} else if (!strcmp(test, "latency")) {
		latency(parse_number(test, argv[i], 10, 90));
	} else if (!strcmp(test, "spinner")) {
		bool unfair = i + 3 == argc && !strcmp(argv[i + 2], "unfair");

		if (i + 2 != argc && !unfair)
			die("spinner BUFFERS SECONDS [unfair]");
		spinner(parse_number(test, argv[i], 1, MAX_BUFFERS),
			parse_number(test, argv[i + 1], 1, 20), unfair);
	} else if (!strcmp(test, "oom")) {
		if (i + 5 != argc)
			die("oom KIND PERCENT half|noise TOUCH half|noise");
		oom(argv + i);
	} else if (!strcmp(test, "churn")) {
		if (i + 2 != argc)
			die("churn MIB COUNT");
		churn(parse_number(test, argv[i], 1, 4096), parse_number(test, argv[i + 1], 1, 1 << 20));
	} else if (!strcmp(test, "pins")) {
		if (i + 1 != argc)
			die("pins PERCENT");
		pins(parse_number(test, argv[i], 1, 90));
	} else if (!strcmp(test, "direct")) {
		for (; i < argc; i++)
			direct(parse_number(test, argv[i], 0, PMD_NR));
	} else if (!strcmp(test, "held")) {
		if (i + 1 != argc)
			die("held MIB");
		held(parse_number(test, argv[i], 2, 4096));
	} else if (!strcmp(test, "group")) {
		if (i + 2 != argc)
			die("group LIMIT MIB");
		group(parse_number(test, argv[i], 1, 65536), parse_number(test, argv[i + 1], 4, 65536));
	} else if (!strcmp(test, "flush")) {
		for (; i < argc; i++)
			flush(parse_number(test, argv[i], 2, 1 << 20));
	} else {
		die("unknown test '%s' (bench-behave --help)", test);
	}
	return 0;
}
