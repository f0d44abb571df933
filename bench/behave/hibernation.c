// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What it takes to hibernate with all of VRAM in use. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "behave.h"

#define SIZE		(4 * MiB)
#define EVENT		"events/power/suspend_resume/enable"
/* of the trace, for each processor */
#define FEW_KIB		64
#define MANY_KIB	16384

struct run {
	int error;
	uint64_t swapped;		/* pages written to swap before the image was */
	/* while devices were prepared, and user space was frozen */
	uint64_t prepare_ns;
	struct pages_trace pages;
};

static uint64_t event_ns(const char *line, const char *event)
{
	const char *p = event;
	double seconds;

	/* "name-pid [cpu] flags seconds: event" */
	while (p > line && p[-1] != ' ')
		p--;
	if (sscanf(p, "%lf:", &seconds) != 1)
		die("trace: cannot understand \"%s\"", line);
	return seconds * 1e9;
}

static void prepared_read(struct run *r)
{
	FILE *trace = trace_end();
	uint64_t begin = 0;
	char line[512];

	r->prepare_ns = 0;
	r->pages = (struct pages_trace){};
	while (!r->prepare_ns && fgets(line, sizeof(line), trace)) {
		const char *event = strstr(line, ": suspend_resume: dpm_prepare[");

		if (event && strstr(event, "] begin"))
			begin = event_ns(line, event);
		else if (event)
			r->prepare_ns = event_ns(line, event) - begin;
		else if (begin)
			pages_trace_line(line, &r->pages);
	}
	fclose(trace);
	if (!begin || !r->prepare_ns)
		die("the trace does not tell when devices were prepared");
}

static void fill_vram(uint64_t bytes)
{
	struct vttm_state state;
	struct bo *b;
	int ret;

	for (nr_bos = 0; nr_bos < bytes / SIZE; nr_bos++) {
		b = &bos[nr_bos];
		ret = bo_create(gpu.fd, b, SIZE, DRM_VTTM_WC, DRM_VTTM_CREATE_VRAM);
		if (ret)
			die("no buffer of %" PRIu64 " KiB: %s", SIZE / KiB, strerror(-ret));
		gpu_map(&gpu, b, NULL);
		fill(b, nr_bos + 1, false);
	}
	for (b = bos; b < bos + nr_bos; b++)
		if (vttm_info(gpu.fd, b->handle, &state) ||
		    !(state.flags & DRM_VTTM_INFO_VRAM))
			die("VRAM has no room for %" PRIu64 " MiB", bytes / MiB);
	unmap_buffers();
}

static struct run hibernate_once(uint64_t vram, uint64_t used, bool traced)
{
	uint64_t kib = traced ? MANY_KIB : FEW_KIB, buffers;
	struct run r;
	uint64_t nr, out;
	uint8_t *mem;

	/* of the machine's memory, this is a part of what is in use */
	trace_begin(kib);
	buffers = kib * KiB * sysconf(_SC_NPROCESSORS_ONLN);
	if (used <= buffers)
		die("the trace takes %" PRIu64 " MiB", buffers / MiB);
	used -= buffers;
	mem = mmap(NULL, used, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (mem == MAP_FAILED)
		die("mmap: %s", strerror(errno));
	for (nr = 0; nr < used / PAGE; nr++)
		fill_page(mem + nr * PAGE, 0, nr, false);
	fill_vram(vram);
	writeback_settle();

	out = vmstat("pswpout");
	tracing(EVENT, "1");
	if (traced)
		pages_trace_on();
	r.error = -hibernate();
	tracing(EVENT, "0");
	r.swapped = vmstat("pswpout") - out;
	prepared_read(&r);
	pages_trace_off();

	for (nr = 0; nr < used / PAGE; nr++)
		check_page(mem + nr * PAGE, 0, nr);
	munmap(mem, used);
	check_buffers();
	free_buffers();
	return r;
}

/*
 * Twice: tracing the page allocator takes time and memory. Times and the image are
 * those of the first one.
 */
void hibernation(char **values)
{
	uint64_t vram = parse_number("hibernate", values[0], 4, 1 << 20) * MiB;
	uint64_t used = parse_number("hibernate", values[1], 1, 1 << 20) * MiB;
	uint64_t limit = parse_number("hibernate", values[2], 1, 1 << 20) * MiB;
	struct run plain, traced;

	if (write_file("/sys/module/ttm/parameters/pages_limit", "%" PRIu64, limit / PAGE))
		die("ttm.pages_limit cannot be set");
	atexit(pages_trace_off);
	plain = hibernate_once(vram, used, false);
	traced = hibernate_once(vram, used, true);
	if (plain.error != traced.error)
		die("hibernation gave %d, and then %d", plain.error, traced.error);
	printf("{\"part\":\"hibernate\",\"ram_bytes\":%" PRIu64 ",\"vram_bytes\":%" PRIu64
	       ",\"used_bytes\":%" PRIu64 ",\"limit_bytes\":%" PRIu64 ",\"error\":%d,\"prepare_ns\":%" PRIu64
	       ",\"swapped_bytes\":%" PRIu64 ",\"peak_bytes\":%" PRIu64
	       ",\"allocated_bytes\":%" PRIu64 "}\n", ram, vram, used, limit,
	       plain.error, plain.prepare_ns, plain.swapped * PAGE, traced.pages.most * PAGE,
	       traced.pages.allocated * PAGE);
}
