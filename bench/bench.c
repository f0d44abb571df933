// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What the programs of the bench share. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <xf86drm.h>
#include <xf86drmMode.h>

#include "bench.h"

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED	24
#endif

/* ---- the GPU ---- */

/* Who swaps out what has no shrinker does so by the pages it counts. */
static void swapout_open(struct gpu *g)
{
	g->swapout = !g->dumb && !vttm_has_shrinker();
	/* When, this program says. */
	if (g->swapout && write_file("/sys/module/ttm/parameters/pages_limit", "%lu",
				     (unsigned long)INT64_MAX))
		die("ttm.pages_limit cannot be raised");
}

void gpu_open(struct gpu *g, const char *node, bool dumb)
{
	uint64_t has_dumb = 0;
	drmVersionPtr v;
	struct stat st;

	g->dumb = dumb;
	if (node) {
		g->fd = open(node, O_RDWR | O_CLOEXEC);
		if (g->fd < 0 || fstat(g->fd, &st))
			die("%s: %s", node, strerror(errno));
		g->minor = minor(st.st_rdev);
		v = drmGetVersion(g->fd);
		if (!v)
			die("%s is no DRM device", node);
		if (!dumb && strcmp(v->name, "vttm"))
			die("%s is driven by %s: use --dumb", node, v->name);
		drmFreeVersion(v);
	} else {
		g->fd = vttm_open(0, &g->minor);
		if (g->fd < 0)
			die("no vttm device: boot with vttm.devices=2, or name another with --node");
	}
	if (dumb && (drmGetCap(g->fd, DRM_CAP_DUMB_BUFFER, &has_dumb) || !has_dumb))
		die("the device has no dumb buffers");
	swapout_open(g);
}

void gpu_create(const struct gpu *g, struct bo *b, uint64_t size,
		uint32_t caching)
{
	uint32_t pitch;
	int ret;

	b->map = NULL;
	if (g->dumb) {
		/* rows of one page */
		ret = drmModeCreateDumbBuffer(g->fd, PAGE / 4, size / PAGE, 32, 0,
					      &b->handle, &pitch, &b->size);
		if (!ret && b->size != size)
			die("a dumb buffer of %" PRIu64 " bytes became one of %" PRIu64,
			    size, b->size);
	} else {
		b->size = size;
		ret = vttm_create(g->fd, &b->size, caching, &b->handle);
	}
	if (ret)
		die("no buffer of %" PRIu64 " KiB: %s", size / KiB, strerror(-ret));
}

void gpu_close(const struct gpu *g, struct bo *b)
{
	int ret = bo_close(g->fd, b);

	if (ret)
		die("closing a buffer: %s", strerror(-ret));
}

void gpu_map(const struct gpu *g, struct bo *b, void *at)
{
	uint64_t offset;
	int ret;

	if (g->dumb) {
		ret = drmModeMapDumbBuffer(g->fd, b->handle, &offset);
	} else {
		struct drm_vttm_mmap_offset m = { .handle = b->handle };

		ret = vttm_ioctl(g->fd, DRM_IOCTL_VTTM_MMAP_OFFSET, &m);
		offset = m.offset;
	}
	if (ret)
		die("no offset to map a buffer at: %s", strerror(-ret));
	b->map = mmap(at, b->size, PROT_READ | PROT_WRITE,
		      MAP_SHARED | (at ? MAP_FIXED : 0), g->fd, offset);
	if (b->map == MAP_FAILED)
		die("cannot map a buffer: %s", strerror(errno));
}

uint64_t gpu_active(void)
{
	return vmstat("nr_gpu_active");
}

int gpu_shrink(const struct gpu *g, uint64_t pages, bool writeback)
{
	if (g->dumb)
		return write_file("/proc/sys/vm/drop_caches", "2");
	return vttm_shrink(g->minor, pages, writeback, NULL);
}

uint64_t gpu_backup(const struct gpu *g, uint64_t pages, bool writeback)
{
	uint64_t before = gpu_active(), after;
	int ret = gpu_shrink(g, pages, writeback);

	/* -EBUSY: none of it; the caller sees that by the count */
	if (ret && ret != -EBUSY)
		die("the shrinker: %s", strerror(-ret));
	after = gpu_active();
	return before > after ? before - after : 0;
}

/* ---- contents ---- */

/*
 * Half of a page is of one value and half is noise: it compresses to about
 * half, as what is in GPU memory may. Or all of it is noise, and none is like
 * another. The first two words tell whose it is.
 */
#define STAMP_NOISE	(UINT64_C(1) << 63)

void fill_page(void *page, uint32_t seed, uint64_t nr, bool noise)
{
	static uint64_t some[PAGE / 8 + 512];
	uint64_t *p = page, x = 88172645463325252ULL;
	unsigned int i;

	if (noise) {
		x += ((uint64_t)seed << 32) + nr;
		for (i = 0; i < PAGE / 8; i++)
			p[i] = xorshift(&x);
	} else {
		if (!some[0])
			for (i = 0; i < ARRAY_LEN(some); i++)
				some[i] = xorshift(&x);
		memset(p + PAGE / 16, (int)(seed & 0xff), PAGE / 2);
		memcpy(p, some + (seed * 31 + nr) % 512, PAGE / 2);
	}
	p[0] = seed;
	p[1] = nr | (noise ? STAMP_NOISE : 0);
}

/* Only the stamp: to look at every byte takes longer than many a thing that is timed */
static void check_stamp(const void *page, uint32_t seed, uint64_t nr)
{
	const volatile uint64_t *p = page;

	if (p[0] != seed || (p[1] & ~STAMP_NOISE) != nr)
		die("page %" PRIu64 " of buffer %u is that of page %" PRIu64
		    " of buffer %" PRIu64, nr, seed, p[1] & ~STAMP_NOISE, p[0]);
}

void check_page(const void *page, uint32_t seed, uint64_t nr)
{
	static uint64_t expected[PAGE / 8];
	const volatile uint64_t *p = page;

	check_stamp(page, seed, nr);
	fill_page(expected, seed, nr, p[1] & STAMP_NOISE);
	if (memcmp(page, expected, PAGE))
		die("page %" PRIu64 " of buffer %u has other bytes", nr, seed);
}

void fill(struct bo *b, uint32_t seed, bool noise)
{
	uint64_t nr;

	for (nr = 0; nr < b->size / PAGE; nr++)
		fill_page(b->map + nr * PAGE, seed, nr, noise);
}

void look(const struct bo *b, uint32_t seed)
{
	uint64_t nr;

	for (nr = 0; nr < b->size / PAGE; nr++)
		check_stamp(b->map + nr * PAGE, seed, nr);
}

void check(const struct bo *b, uint32_t seed)
{
	uint64_t nr;

	for (nr = 0; nr < b->size / PAGE; nr++)
		check_page(b->map + nr * PAGE, seed, nr);
}

/* ---- processors ---- */

void stay_on(int cpu)
{
	int ret = run_on(cpu);

	if (ret)
		die("cannot run on processor %d: %s", cpu, strerror(-ret));
}

/* ---- memory ---- */

#define VM	"/proc/sys/vm/"

static struct {
	char name[48], value[64];
} saved[16];
static unsigned int nr_saved;

static void sysctl_restore(void)
{
	char path[80];

	while (nr_saved--) {
		snprintf(path, sizeof(path), VM "%s", saved[nr_saved].name);
		write_file(path, "%s", saved[nr_saved].value);
	}
	nr_saved = 0;
}

uint64_t sysctl_get(const char *name)
{
	char path[80];

	snprintf(path, sizeof(path), VM "%s", name);
	return strtoull(must_read(path), NULL, 10);
}

void sysctl_set(const char *name, const char *fmt, ...)
{
	char path[80], value[64];
	const char *old;
	unsigned int i;
	va_list ap;
	int ret;

	snprintf(path, sizeof(path), VM "%s", name);
	old = must_read(path);
	for (i = 0; i < nr_saved && strcmp(saved[i].name, name); i++)
		;
	if (i == nr_saved) {
		if (i == ARRAY_LEN(saved))
			die("too many settings");
		if (!i)
			atexit(sysctl_restore);
		snprintf(saved[i].name, sizeof(saved[i].name), "%s", name);
		snprintf(saved[i].value, sizeof(saved[i].value), "%s", old);
		saved[i].value[strcspn(saved[i].value, "\n")] = '\0';
		nr_saved++;
	}
	va_start(ap, fmt);
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	ret = write_file(path, "%s", value);
	if (ret)
		die("cannot write %s to %s: %s", value, path, strerror(-ret));
}

uint64_t free_from(unsigned int order)
{
	uint64_t nr[FREE_ORDERS], blocks = 0;

	for (free_blocks(nr, false); order < FREE_ORDERS; order++)
		blocks += nr[order];
	return blocks;
}

void *eat(uint64_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED || madvise(p, bytes, MADV_NOHUGEPAGE) ||
	    mlock(p, bytes))
		die("cannot lock %" PRIu64 " KiB: %s", bytes / KiB, strerror(errno));
	return p;
}

#define MAX_FILLERS	256

struct fragments {
	uint8_t *mem;
	uint64_t size, limit;
	struct bo filler[MAX_FILLERS];
	unsigned int nr_fillers;
	unsigned int order;
	int pinner;		/* another device, which they are shared with */
};

struct frame {
	uint64_t pfn;
	uint64_t page;		/* in ->mem */
};

static int by_pfn(const void *a, const void *b)
{
	const struct frame *x = a, *y = b;

	return x->pfn < y->pfn ? -1 : x->pfn > y->pfn;
}

int by_value(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Where the pages of the memory are */
static struct frame *frames(const struct fragments *f)
{
	uint64_t nr = f->size / PAGE, i, entry[512], got;
	struct frame *frame;
	int fd;

	frame = eat(nr * sizeof(*frame));
	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die("/proc/self/pagemap: %s", strerror(errno));
	for (i = 0; i < nr; i++) {
		if (!(i % ARRAY_LEN(entry))) {
			got = pread(fd, entry, sizeof(entry),
				    ((uintptr_t)f->mem / PAGE + i) * 8);
			if (got != sizeof(entry))
				die("/proc/self/pagemap: short read");
		}
		frame[i].page = i;
		frame[i].pfn = entry[i % ARRAY_LEN(entry)] & ((1ULL << 55) - 1);
		if (!frame[i].pfn)
			die("/proc/self/pagemap hides what it should tell: be root");
	}
	close(fd);
	qsort(frame, nr, sizeof(*frame), by_pfn);
	return frame;
}

static void give_back(struct fragments *f, uint64_t *page, uint64_t nr)
{
	uint64_t i, run;

	qsort(page, nr, sizeof(*page), by_value);
	for (i = 0; i < nr; i += run) {
		for (run = 1; i + run < nr && page[i + run] == page[i] + run; run++)
			;
		if (madvise(f->mem + page[i] * PAGE, run * PAGE, MADV_DONTNEED_LOCKED))
			die("MADV_DONTNEED_LOCKED: %s", strerror(errno));
	}
}

/* Reclaim is to leave it where it is: as a dma-buf that another device has */
static void pin(const struct gpu *helper, const struct fragments *f, const struct bo *b)
{
	uint32_t handle;
	int fd;

	if (drmPrimeHandleToFD(helper->fd, b->handle, DRM_CLOEXEC, &fd) ||
	    drmPrimeFDToHandle(f->pinner, fd, &handle))
		die("cannot share a buffer: %s", strerror(errno));
	/* the import is gone with its file */
	close(fd);
}

void fragment_again(const struct gpu *helper, struct fragments *f)
{
	uint64_t size = PAGE << (f->order + 1);
	unsigned int i;

	if (size < 256 * KiB)
		size = 256 * KiB;

	/*
	 * What was left before has larger ones, and these two tables had. What
	 * processors keep to themselves gets back within seconds.
	 */
	for (i = 0; i < 30; i++) {
		struct bo *b = &f->filler[f->nr_fillers];

		if (!free_from(f->order + 1)) {
			usleep(100000);
			continue;
		}
		i = 0;
		if (f->nr_fillers == MAX_FILLERS)
			die("memory does not get into pieces of order %u: %" PRIu64
			    " larger ones are left", f->order, free_from(f->order + 1));
		/* of a size that only a larger one has room for */
		gpu_create(helper, b, size, DRM_VTTM_CACHED);
		gpu_map(helper, b, NULL);
		*b->map = 1;
		pin(helper, f, b);
		f->nr_fillers++;
	}
}

struct fragments *fragment(const struct gpu *helper, unsigned int order)
{
	uint64_t step = 2 * MiB, block = 1ULL << order, nr, i, n = 0, *page;
	struct fragments *f = calloc(1, sizeof(*f));
	struct frame *frame;

	if (!f)
		die("no memory");
	for (i = 0; ; i++) {
		unsigned int minor;

		f->pinner = vttm_open(i, &minor);
		if (f->pinner < 0)
			die("no second vttm device: boot with vttm.devices=2");
		if (minor != helper->minor)
			break;
		close(f->pinner);
	}
	pools_drain();
	/*
	 * Nobody but this is to allocate, so the reserve may be small; and
	 * nobody is to put the blocks together again.
	 */
	sysctl_set("min_free_kbytes", "1024");
	sysctl_set("compaction_proactiveness", "0");
	sysctl_set("compact_unevictable_allowed", "0");
	sysctl_set("watermark_boost_factor", "0");
	/* What a processor keeps to itself is not seen, and large pieces form later */
	sysctl_set("percpu_pagelist_high_fraction", "1000");
	write_file("/proc/sys/vm/drop_caches", "3");

	/* The table of the frames and the page tables need some, too */
	f->limit = meminfo_kib("MemTotal") * KiB;
	f->mem = mmap(NULL, f->limit, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (f->mem == MAP_FAILED || madvise(f->mem, f->limit, MADV_NOHUGEPAGE))
		die("no address space: %s", strerror(errno));
	while (meminfo_kib("MemFree") * KiB > f->limit / 128 + step + 2 * MiB &&
	       f->size < f->limit) {
		if (mlock(f->mem + f->size, step))
			die("cannot lock memory: %s", strerror(errno));
		f->size += step;
	}
	frame = frames(f);
	nr = f->size / PAGE;
	page = eat(nr * sizeof(*page));
	/*
	 * Half of each page block that is all ours: as soon as half is free, the
	 * first allocation for a GPU makes it a reclaimable one. In a movable one
	 * nothing could be taken out of the backup file without a copy.
	 */
	for (i = 0; i + PMD_PAGES <= nr; i++) {
		uint64_t j;

		if (frame[i].pfn % PMD_PAGES ||
		    frame[i + PMD_PAGES - 1].pfn != frame[i].pfn + PMD_PAGES - 1)
			continue;
		for (j = 0; j < PMD_PAGES; j++)
			if (!(j / block % 2))
				page[n++] = frame[i + j].page;
		i += PMD_PAGES - 1;
	}
	give_back(f, page, n);
	munlock(page, nr * sizeof(*page));
	munmap(page, nr * sizeof(*page));
	munlock(frame, nr * sizeof(*frame));
	munmap(frame, nr * sizeof(*frame));

	f->order = order;
	fragment_again(helper, f);
	return f;
}

void unfragment(const struct gpu *helper, struct fragments *f)
{
	close(f->pinner);
	while (f->nr_fillers)
		gpu_close(helper, &f->filler[--f->nr_fillers]);
	munmap(f->mem, f->limit);
	free(f);
	pools_drain();
}
