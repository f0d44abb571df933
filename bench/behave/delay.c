// SPDX-License-Identifier: GPL-2.0 OR MIT
/* How long others wait. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "behave.h"

/* ---- readback ---- */

void readback(char **values)
{
	uint64_t mib = parse_number("readback", values[0], 4, 65536);
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
	look_at_buffers();
	t = now_ns() - t;
	printf("{\"part\":\"readback\",\"bytes\":%" PRIu64 ",\"read_ns\":%" PRIu64
	       ",\"pswpin\":%" PRIu64, mib * MiB, t, vmstat("pswpin") - in);
	if (have_backup_stats()) {
		backup_counters_since(&then, &c);
		print_restored(&c);
	}
	puts("}");
	fflush(stdout);
	check_buffers();
	free_buffers();
}

/* ---- latency ---- */

void latency(char **values)
{
	uint64_t percent = parse_number("latency", values[0], 10, 90);
	uint64_t bytes = ram / 2, nr = bytes / PAGE, i, t, start, active;
	uint64_t *ns = eat(nr * sizeof(*ns));
	uint8_t *p;

	fill_buffers(ram * percent / 100, 4 * MiB, false);
	unmap_buffers();
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

/*
 * Back up on processor 1, which leaves small folios in a batch of that processor,
 * and spin there with real-time priority; read on processor 0.
 */
void spinner(char **values)
{
	uint64_t nr = parse_number("spinner", values[0], 1, MAX_BUFFERS);
	uint64_t seconds = parse_number("spinner", values[1], 1, 20);
	bool unfair = values[2];
	struct sched_param param = { .sched_priority = 50 };
	char usual[32] = "";
	uint64_t t, longest = 0, start, spun;
	const char *text;
	int ready[2], ret;
	unsigned int i;
	pid_t pid;
	char c;

	if (unfair && strcmp(values[2], "unfair"))
		die("spinner: unfair or nothing, not '%s'", values[2]);
	text = read_file(FAIR_SERVER);
	if (text)
		snprintf(usual, sizeof(usual), "%s", text);
	else if (unfair)
		die("cannot read " FAIR_SERVER ": %s", strerror(errno));
	stay_on(0);
	for (nr_bos = 0; nr_bos < nr; nr_bos++) {
		gpu_create(&gpu, &bos[nr_bos], PAGE, DRM_VTTM_CACHED);
		gpu_map(&gpu, &bos[nr_bos], NULL);
		fill(&bos[nr_bos], nr_bos + 1, false);
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
		look(&bos[i], i + 1);
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
	fflush(stdout);
	check_buffers();
	free_buffers();
}
