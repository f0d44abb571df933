// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What memory backing up takes, and how little of it will do. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "behave.h"

#define RECLAIM		CGROUP "/memory.reclaim"

/* ---- peak ---- */

void tracing(const char *file, const char *value)
{
	char path[128];
	int ret;

	snprintf(path, sizeof(path), TRACING "/%s", file);
	ret = write_file(path, "%s", value);
	if (ret)
		die("cannot write %s to %s: %s", value, path, strerror(-ret));
}

static uint64_t trace_lost(void)
{
	unsigned int cpu;
	uint64_t lost = 0;
	char path[128];

	for (cpu = 0; ; cpu++) {
		const char *text, *p;

		snprintf(path, sizeof(path), TRACING "/per_cpu/cpu%u/stats", cpu);
		text = read_file(path);
		if (!text)
			return lost;
		p = strstr(text, "overrun: ");
		lost += p ? strtoull(p + strlen("overrun: "), NULL, 10) : 0;
		p = strstr(text, "dropped events: ");
		lost += p ? strtoull(p + strlen("dropped events: "), NULL, 10) : 0;
	}
}

void pages_trace_off(void)
{
	write_file(TRACING "/events/kmem/mm_page_alloc/enable", "0");
	write_file(TRACING "/events/kmem/mm_page_free/enable", "0");
	write_file(TRACING "/buffer_size_kb", "1");
}

void trace_begin(unsigned int kib)
{
	char size[16];
	int ret;

	snprintf(size, sizeof(size), "%u", kib);
	tracing("buffer_size_kb", size);
	ret = trace_clear();
	if (ret)
		die(TRACING "/trace: %s", strerror(-ret));
}

void pages_trace_on(void)
{
	tracing("events/kmem/mm_page_alloc/enable", "1");
	tracing("events/kmem/mm_page_free/enable", "1");
}

FILE *trace_end(void)
{
	FILE *trace;

	tracing("events/kmem/mm_page_alloc/enable", "0");
	tracing("events/kmem/mm_page_free/enable", "0");
	if (trace_lost())
		die("the trace buffer is too small");
	trace = fopen(TRACING "/trace", "r");
	if (!trace)
		die(TRACING "/trace: %s", strerror(errno));
	return trace;
}

void pages_trace_line(const char *line, struct pages_trace *t)
{
	const char *what = strstr(line, ": mm_page_"), *order, *pfn;
	int64_t nr;

	if (!what)
		return;
	order = strstr(what, "order=");
	pfn = strstr(what, "pfn=");
	if (!order || !pfn)
		die("trace: cannot understand \"%s\"", line);
	nr = 1LL << strtoul(order + strlen("order="), NULL, 10);
	/* one that failed */
	if (!strtoull(pfn + strlen("pfn="), NULL, 16))
		return;
	if (!strncmp(what, ": mm_page_alloc", 15)) {
		t->pages += nr;
		t->allocated += nr;
	} else {
		t->pages -= nr;
	}
	if (t->pages > t->most)
		t->most = t->pages;
}

static void peak_one(uint64_t percent)
{
	uint64_t backed_up, size = ram * percent / 100 / (2 * MiB) * (2 * MiB);
	struct pages_trace t = {};
	char line[512];
	FILE *trace;

	fill_buffers(size, size, false);
	bo_unmap(&bos[0]);
	writeback_settle();
	trace_begin(12288);
	pages_trace_on();
	backed_up = gpu_backup(&gpu, size / PAGE, false);
	trace = trace_end();
	while (fgets(line, sizeof(line), trace))
		pages_trace_line(line, &t);
	fclose(trace);
	trace_clear();
	printf("{\"part\":\"peak\",\"percent\":%" PRIu64 ",\"bytes\":%" PRIu64
	       ",\"backed_up_bytes\":%" PRIu64 ",\"peak_bytes\":%" PRIu64
	       ",\"allocated_bytes\":%" PRIu64 "}\n", percent, size,
	       backed_up * PAGE, t.most * PAGE, t.allocated * PAGE);
	fflush(stdout);
	check_buffers();
	free_buffers();
}

void peak(char **values)
{
	atexit(pages_trace_off);
	for (; *values; values++)
		peak_one(parse_number("peak", *values, 1, 90));
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

void reserve(char **values)
{
	uint64_t size = ram / 4 / (2 * MiB) * (2 * MiB);

	/* far from any watermark as it is, so nothing is reclaimed too early */
	sysctl_set("watermark_boost_factor", "0");
	sysctl_set("min_free_kbytes", "1024");
	for (; *values; values++) {
		uint64_t percent = parse_number("reserve", *values, 1, 1000);

		/* anew, as what was restored may be in smaller pieces */
		fill_buffers(size, 2 * MiB, false);
		unmap_buffers();
		write_file("/proc/sys/vm/drop_caches", "1");
		reserve_one(percent, size);
		check_buffers();
		free_buffers();
		writeback_settle();
	}
}
