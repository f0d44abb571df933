// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * demo [--mib N] FILE...
 *
 * Fills more GPU memory than the machine has RAM with bytes cut from the
 * files, lets memory pressure swap it out, reads all of it back, by the CPU
 * and by the GPU, and compares checksums. What it sees of the machine while
 * doing so is printed for demo/run, a line each:
 *
 *	progress TEXT
 *	result NAME VALUE
 *	error TEXT
 *
 * Nothing is asked of the shrinker here: the kernel calls it when memory is
 * short. Only the last phase, the probe, does it by hand, with nothing else
 * going on, because only then can an allocated page be put down to the backup.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bo.h"
#include "pattern.h"
#include "stat.h"
#include "swap.h"
#include "system.h"
#include "vttm.h"

#define MAX_BUFFERS	1024
#define PROBE_SIZE	(32 * MiB)
#define STEP		(16 * MiB)	/* of work between progress lines */

static struct bo buffers[MAX_BUFFERS];
static unsigned int nr_buffers, errors;
/* which of them were read back right */
static bool by_cpu[MAX_BUFFERS], by_engine[MAX_BUFFERS];
static struct source source;
static unsigned int minor;
static int fd;

static void result(const char *name, uint64_t value)
{
	printf("result %s %" PRIu64 "\n", name, value);
}

static void error(const char *fmt, ...)
	__attribute__((format(printf, 1, 2)));

static void error(const char *fmt, ...)
{
	va_list ap;

	errors++;
	printf("error ");
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

static void progress(const char *what, uint64_t done, uint64_t total)
{
	struct backup_counters c;

	backup_counters(&c);
	printf("progress %s %" PRIu64 " of %" PRIu64 " MiB; backed up %" PRIu64
	       " by %s, in swap %" PRIu64 ", free %" PRIu64 "\n",
	       what, done / MiB, total / MiB,
	       (c.inserted + c.copied) * PAGE / MiB,
	       zero_copy_get() ? "insert" : "copy",
	       swap_used_pages() * PAGE / MiB, meminfo_kib("MemFree") / 1024);
}

/*
 * Sizes that are whole 2 MiB chunks, sizes with a tail of smaller ones, and
 * small ones; half of the buffers WC, half cached. Where WC is not coherent, all are
 * cached.
 */
static bool buffer_new(struct bo *b, unsigned int nr)
{
	static const uint64_t sizes[] = {
		16 * MiB, 8 * MiB, 5 * MiB + 12 * KiB, 4 * MiB,
		100 * KiB, 2 * MiB, 12 * MiB, 3 * MiB + 4 * KiB,
		24 * MiB, 6 * MiB, 1 * MiB, 7 * MiB + 500,
	};
	int ret;

	ret = bo_create(fd, b, sizes[(nr * 5) % ARRAY_LEN(sizes)],
			nr / 2 & 1 ? DRM_VTTM_CACHED : DRM_VTTM_WC, 0);
	if (ret) {
		error("creating buffer %u failed: %s", nr, strerror(-ret));
		return false;
	}
	ret = bo_map(fd, b);
	if (ret) {
		error("mapping buffer %u failed: %s", nr, strerror(-ret));
		bo_close(fd, b);
		return false;
	}
	return true;
}

static bool touchable(const struct bo *b, unsigned int nr)
{
	int64_t bad = bo_touch(b);

	if (bad >= 0)
		error("buffer %u: no memory for page %" PRId64 " (SIGBUS)", nr, bad);
	return bad < 0;
}

static bool fill_all(uint64_t goal)
{
	uint64_t done = 0, shown = 0;
	unsigned int nr;

	for (nr = 0; done < goal; nr++) {
		struct bo *b = &buffers[nr];

		if (nr == MAX_BUFFERS) {
			error("more than %u buffers", MAX_BUFFERS);
			return false;
		}
		if (!buffer_new(b, nr))
			return false;
		nr_buffers++;
		if (!touchable(b, nr))
			return false;
		bo_store(b, &source, nr + 1);
		done += b->size;
		if (done - shown >= STEP || done >= goal) {
			progress("filled", done, goal);
			shown = done;
		}
	}
	result("filled_bytes", done);
	return true;
}

static bool right(const struct bo *b, unsigned int nr)
{
	char text[128];

	bo_explain(b, &source, text, sizeof(text));
	if (*text)
		error("buffer %u (%s): %s", nr, b->caching == DRM_VTTM_WC ? "WC" : "cached",
		      text);
	return !*text;
}

static void check_all(bool engine, uint64_t total)
{
	uint64_t done = 0, shown = 0;
	unsigned int nr;

	for (nr = 0; nr < nr_buffers; nr++) {
		struct bo *b = &buffers[nr];
		uint32_t crc = 0;
		int ret = 0;

		if (engine) {
			ret = vttm_crc(fd, b->handle, b->size, &crc);
			if (ret)
				error("the engine cannot read buffer %u: %s",
				      nr, strerror(-ret));
			else if (crc != b->crc)
				error("the engine read %08x from buffer %u, stored was %08x",
				      crc, nr, b->crc);
			else
				by_engine[nr] = true;
		} else if (touchable(b, nr)) {
			by_cpu[nr] = right(b, nr);
		}
		done += b->size;
		if (done - shown >= STEP || nr == nr_buffers - 1) {
			progress(engine ? "read back by the engine" :
				 "read back by the CPU", done, total);
			shown = done;
		}
	}
}

/*
 * How many pages does the kernel allocate to back up 2 MiB, and to restore them?
 * Under pressure everything allocates at once and nothing can be put down to one
 * cause. So with all else freed and the pools empty, two buffers are filled and
 * the shrinker is told to take just them, without writeback; /proc/vmstat's
 * pgalloc counters, folded over the CPUs, are read before and after. What the
 * reading and the write() cost is measured by the same sequence with a request
 * that finds nothing to do, and subtracted. Then one word of each buffer is
 * read, which restores all of it, out of memory, as nothing was written to swap.
 */
static void probe(void)
{
	static const uint32_t caching[] = { DRM_VTTM_WC, DRM_VTTM_CACHED };
	uint64_t before, after, noise, pages, t, i, in;
	struct backup_counters then, c;
	struct bo b[2];
	uint32_t v;
	int ret;

	for (i = 0; i < ARRAY_LEN(b); i++) {
		if (bo_create(fd, &b[i], PROBE_SIZE, caching[i], 0) ||
		    bo_map(fd, &b[i])) {
			error("no memory for the probe");
			return;
		}
		if (!touchable(&b[i], MAX_BUFFERS + i))
			return;
		bo_store(&b[i], &source, MAX_BUFFERS + i);
	}
	writeback_settle();

	vttm_purge(minor, 1, NULL);
	vmstat_sum("pgalloc_");
	before = vmstat_sum("pgalloc_");
	vttm_purge(minor, 1, NULL);
	after = vmstat_sum("pgalloc_");
	noise = after - before;

	backup_counters(&then);
	before = vmstat_sum("pgalloc_");
	t = now_ns();
	ret = vttm_shrink(minor, 2 * PAGES(PROBE_SIZE), false, NULL);
	t = now_ns() - t;
	after = vmstat_sum("pgalloc_");
	backup_counters_since(&then, &c);
	pages = c.inserted + c.copied;
	if (ret)
		error("the probe could not be backed up: %s", strerror(-ret));
	if (pages != 2 * PAGES(PROBE_SIZE))
		error("%" PRIu64 " of the probe's %" PRIu64 " pages were backed up",
		      pages, (uint64_t)(2 * PAGES(PROBE_SIZE)));
	result("probe_pages_backed_up", pages);
	result("probe_pages_allocated",
	       after - before > noise ? after - before - noise : 0);
	result("probe_noise_pages", noise);
	result("probe_backup_ns", t);

	in = vmstat("pswpin");
	backup_counters(&then);
	before = vmstat_sum("pgalloc_");
	t = now_ns();
	for (i = 0; i < ARRAY_LEN(b); i++)
		if (!peek32(b[i].map, &v))
			error("no memory to restore the probe");
	t = now_ns() - t;
	after = vmstat_sum("pgalloc_");
	backup_counters_since(&then, &c);
	pages = restored_pages(&c);
	if (pages != 2 * PAGES(PROBE_SIZE))
		error("%" PRIu64 " of the probe's %" PRIu64 " pages were restored",
		      pages, (uint64_t)(2 * PAGES(PROBE_SIZE)));
	if (vmstat("pswpin") != in)
		error("the probe was restored from swap, not from memory");
	result("probe_pages_restored", pages);
	result("probe_restore_pages_allocated",
	       after - before > noise ? after - before - noise : 0);
	result("probe_restore_ns", t);

	for (i = 0; i < ARRAY_LEN(b); i++) {
		right(&b[i], MAX_BUFFERS + i);
		bo_close(fd, &b[i]);
	}
}

int main(int argc, char **argv)
{
	uint64_t mem, goal = 0, free_before, t0, t1, t2, t3, total = 0, oom;
	uint64_t swpout, whole, split, swpin;
	struct backup_counters then, c;
	unsigned int nr, good = 0, wc = 0;
	int i, ret;

	setvbuf(stdout, NULL, _IOLBF, 0);
	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--mib") && i + 1 < argc) {
			goal = parse_number("--mib", argv[++i], 1, 1 << 20) * MiB;
			continue;
		}
		ret = source_add(&source, argv[i]);
		if (ret)
			die("cannot read %s: %s", argv[i], strerror(-ret));
	}
	ret = source_add(&source, "/proc/self/exe");
	if (ret)
		die("cannot read /proc/self/exe: %s", strerror(-ret));

	mount_all();
	mem = meminfo_kib("MemTotal") * KiB;
	if (!goal)
		goal = mem + mem / 2;
	if (goal <= mem)
		die("--mib %" PRIu64 ": the machine has %" PRIu64 " MiB of RAM, nothing would be swapped out",
		    goal / MiB, mem / MiB);
	if (meminfo_kib("SwapTotal") * KiB < goal)
		die("%" PRIu64 " MiB of swap are too little for %" PRIu64 " MiB of buffers",
		    meminfo_kib("SwapTotal") / 1024, goal / MiB);
	fd = vttm_open(0, &minor);
	if (fd < 0)
		die("no vttm device: boot with vttm.devices=1");
	if (!have_backup_stats())
		die("debugfs ttm/backup_stats is missing: not a kernel of this project");

	result("zero_copy", zero_copy_get());
	result("page_bytes", PAGE);
	result("mem_bytes", mem);
	result("swap_bytes", meminfo_kib("SwapTotal") * KiB);
	result("source_bytes", source.len);
	free_before = free_2mib();
	oom = vmstat("oom_kill");
	swpout = vmstat("pswpout");
	swpin = vmstat("pswpin");
	whole = stat_2mib("swpout");
	split = stat_2mib("swpout_fallback");
	backup_counters(&then);

	t0 = now_ns();
	fill_all(goal);
	t1 = now_ns();
	for (nr = 0; nr < nr_buffers; nr++)
		total += buffers[nr].size;
	check_all(false, total);
	t2 = now_ns();
	check_all(true, total);
	t3 = now_ns();

	for (nr = 0; nr < nr_buffers; nr++) {
		good += by_cpu[nr] && by_engine[nr];
		wc += buffers[nr].caching == DRM_VTTM_WC;
	}
	backup_counters_since(&then, &c);
	result("buffers", nr_buffers);
	result("buffers_wc", wc);
	result("verified", good);
	result("pages_inserted", c.inserted);
	result("pages_copied", c.copied);
	result("folios_2mib_inserted", c.order[PMD_NR]);
	result("pages_restored_by_extraction", c.restored_extracted);
	result("pages_restored_by_adoption", c.restored_adopted);
	result("pages_restored_by_merging", c.restored_merged);
	result("pages_restored_by_copy", c.restored_copied);
	result("failed_pages_retained", c.retained);
	result("failed_folios_refused", c.refused);
	result("failed_extractions", c.extract_refused);
	result("swpout_2mib", stat_2mib("swpout") - whole);
	result("swpout_2mib_fallback", stat_2mib("swpout_fallback") - split);
	result("pswpout", vmstat("pswpout") - swpout);
	result("pswpin", vmstat("pswpin") - swpin);
	result("free_2mib_before", free_before);
	result("free_2mib_full", free_2mib());
	result("guest_ms_fill", (t1 - t0) / 1000000);
	result("guest_ms_read_cpu", (t2 - t1) / 1000000);
	result("guest_ms_read_engine", (t3 - t2) / 1000000);
	result("guest_ms", (t3 - t0) / 1000000);

	for (nr = 0; nr < nr_buffers; nr++)
		bo_close(fd, &buffers[nr]);
	pools_drain();
	result("free_2mib_after", free_2mib());
	printf("progress measuring a backup and a restore by hand\n");
	probe();

	result("oom_kill", vmstat("oom_kill") - oom);
	if (vmstat("oom_kill") != oom)
		error("the kernel killed a process for lack of memory");
	if (!(c.inserted + c.copied))
		error("nothing was backed up: there was no memory pressure");
	if (good != nr_buffers || !good)
		error("verified %u of %u buffers", good, nr_buffers);
	result("errors", errors);
	return errors ? 1 : 0;
}
