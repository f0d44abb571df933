// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * The way back: what was handed over comes back without a copy, as what it was,
 * and a restore that is disturbed goes on where it stopped.
 */

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "direct_map.h"
#include "fixture.h"

#define ODD		(5 * MiB + 7 * PAGE)	/* 2 MiB chunks and smaller ones */
#define ODD_WHOLE	2			/* of which so many are 2 MiB */

/* One page is touched; the fault restores all. */
static bool restore(const struct bo *b)
{
	uint32_t v;

	if (peek32(b->map, &v))
		return true;
	FAIL("SIGBUS");
	return false;
}

/* ---- resident ---- */

static void round_trip(uint32_t caching)
{
	static const uint64_t sizes[] = {
		PAGE, 13 * PAGE, 2 * MiB, 2 * MiB + PAGE, ODD, 16 * MiB,
	};
	struct backup_counters then;
	struct uncached before;
	struct level level;
	unsigned int turn;
	struct gpu g;
	struct bo b;
	size_t i;

	ASSERT(gpu_open(&g));
	ASSERT(uncached_get(&before));
	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		uint64_t pages = PAGES(sizes[i]);

		ASSERT(bo_new(&g, &b, sizes[i], caching, 10 * i + 1));
		ASSERT(uncached_since(&before, caching, pages));
		level_get(&level);
		for (turn = 0; turn < 2; turn++) {
			backup_counters(&then);
			ASSERT_OK(run_on(0));
			ASSERT(bo_backup(&g, &b, false));
			ASSERT(bo_check_where(&g, &b, 0, pages, pages));
			/* whatever shmem has is cached */
			ASSERT(uncached_since(&before, caching, 0));
			/* no LRU batch of another processor has any of it */
			ASSERT_OK(run_on(1));
			if (turn)
				ASSERT(bo_check_engine(&g, &b));
			else
				ASSERT(bo_check_map(&b));
			pools_drain();
			ASSERT(bo_check_where(&g, &b, pages, 0, 0));
			EXPECT(came_back(&then, 0, pages, 0));
			ASSERT(uncached_since(&before, caching, pages));
			EXPECT(level_is(&level));
			ASSERT(bo_check_map(&b));
			/* other bytes, or old ones could pass for new */
			ASSERT(bo_fill(&b, 10 * i + 2));
		}
		bo_free(&g, &b);
		pools_drain();
		ASSERT(uncached_since(&before, caching, 0));
	}
}

static void round_trip_cached(void)
{
	round_trip(DRM_VTTM_CACHED);
}

static void round_trip_wc(void)
{
	round_trip(DRM_VTTM_WC);
}

static void round_trip_uc(void)
{
	round_trip(DRM_VTTM_UC);
}

/* The very folios that shmem gave out are those of the buffer, as they were. */
static void same_folios(void)
{
	struct moved in[64], out[64];
	unsigned int n_in, n_out, i;
	struct direct_map map;
	uint32_t caching;
	uint64_t pages;
	struct gpu g;
	struct bo b;

	ASSERT(gpu_open(&g));
	for (caching = DRM_VTTM_CACHED; caching <= DRM_VTTM_UC; caching++) {
		ASSERT(bo_new(&g, &b, ODD, caching, caching + 1));
		ASSERT(trace_on("shmem:shmem_insert_folio"));
		EXPECT(bo_backup(&g, &b, false));
		n_in = trace_moved("shmem_insert_folio", in, ARRAY_LEN(in));
		ASSERT(trace_on("shmem:shmem_extract_folio"));
		EXPECT(restore(&b));
		n_out = trace_moved("shmem_extract_folio", out, ARRAY_LEN(out));
		trace_off();
		ASSERT_GT(n_in, ODD_WHOLE);
		ASSERT_EQ(n_out, n_in);
		ASSERT(direct_map_get(&map));
		for (i = 0, pages = 0; i < n_out; i++) {
			uint64_t p, end = out[i].pfn + (1ull << out[i].order);

			EXPECT_EQ(out[i].pfn, in[i].pfn);
			EXPECT_EQ(out[i].order, in[i].order);
			EXPECT_LE(out[i].order, PMD_NR);
			for (p = out[i].pfn; p < end; p++, pages++)
				if (direct_map_caching(&map, p) != vttm_caching(caching)) {
					FAIL("page 0x%" PRIx64 " is %s, not %s",
					     p, caching_name(direct_map_caching(&map, p)),
					     caching_name(caching));
					break;
				}
		}
		EXPECT_EQ(pages, PAGES(ODD));
		direct_map_free(&map);
		EXPECT(bo_check_map(&b));
		bo_free(&g, &b);
	}
}

static void resident_no_page(void)
{
	uint64_t pages = PAGES(32 * MiB), n;
	struct backup_counters then;
	uint32_t caching;
	struct gpu g;
	struct bo b;

	ASSERT(gpu_open(&g));
	for (caching = DRM_VTTM_CACHED; caching <= DRM_VTTM_UC; caching++) {
		pools_drain();
		vmstat_sum("pgalloc_");
		n = vmstat_sum("pgalloc_");
		ASSERT(bo_new(&g, &b, 32 * MiB, caching, 1));
		/* the way of counting sees it when there is something to see */
		EXPECT_GE(vmstat_sum("pgalloc_") - n, pages);
		backup_counters(&then);
		ASSERT(bo_backup(&g, &b, false));
		pools_drain();
		n = vmstat_sum("pgalloc_");
		ASSERT(restore(&b));
		n = vmstat_sum("pgalloc_") - n;
		EXPECT_LE(n, 64);
		test_note("%" PRIu64 " pages allocated to restore %" PRIu64 " %s",
			  n, pages, caching_name(caching));
		EXPECT(came_back(&then, 0, pages, 0));
		EXPECT(bo_check_map(&b));
		bo_free(&g, &b);
	}
}

/* The statistics of all buffers and what the only one has say the same. */
static void stats_match_info(void)
{
	uint64_t pages = PAGES(ODD);
	struct backup_counters then, c;
	struct vttm_state i;
	unsigned int deny;
	struct gpu g;
	struct bo b;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, ODD, DRM_VTTM_WC, 1));
	for (deny = 0; deny <= 1; deny++) {
		backup_counters(&then);
		if (deny)
			ASSERT_OK(shmem_enabled_set("deny"));
		EXPECT(bo_backup(&g, &b, false));
		if (deny)
			ASSERT_OK(shmem_enabled_set("never"));
		ASSERT(bo_info(&g, &b, &i));
		backup_counters_since(&then, &c);
		EXPECT_EQ(i.backed_up_pages, pages);
		EXPECT_EQ(c.inserted, i.inserted_pages);
		EXPECT_EQ(c.copied, i.backed_up_pages - i.inserted_pages);
		/* which is no word on the page at the end, that was single before */
		EXPECT_EQ(i.inserted_pages, deny ? 1 : pages);
		ASSERT(deny ? bo_check_map(&b) : bo_check_engine(&g, &b));
		EXPECT(came_back(&then, 0, i.inserted_pages,
				 pages - i.inserted_pages));
	}
}

/* Booted with ttm.zero_copy=0: a copy there and back. */
static void copied_when_told(void)
{
	struct backup_counters then, c;
	uint64_t pages = PAGES(ODD);
	struct uncached before;
	struct level level;
	uint32_t caching;
	struct gpu g;
	struct bo b;

	ASSERT(reclaim_prepare());
	ASSERT(gpu_open(&g));
	ASSERT(uncached_get(&before));
	for (caching = DRM_VTTM_CACHED; caching <= DRM_VTTM_UC; caching++) {
		ASSERT(bo_new(&g, &b, ODD, caching, caching + 1));
		level_get(&level);
		backup_counters(&then);
		ASSERT(bo_backup(&g, &b, false));
		ASSERT(bo_check_where(&g, &b, 0, pages, 0));
		ASSERT(uncached_since(&before, caching, 0));
		EXPECT(bo_check_map(&b));
		EXPECT(came_back(&then, 0, 0, pages));
		backup_counters_since(&then, &c);
		EXPECT_EQ(c.inserted, 0);
		EXPECT_EQ(c.copied, pages);
		pools_drain();
		EXPECT(uncached_since(&before, caching, pages));
		EXPECT(level_is(&level));

		/* and once more, with other bytes and through swap */
		ASSERT(bo_fill(&b, 10 + caching));
		ASSERT(bo_swap_out(&g, &b));
		EXPECT(bo_check_engine(&g, &b));
		EXPECT(came_back(&then, 0, 0, 2 * pages));
		pools_drain();
		EXPECT(uncached_since(&before, caching, pages));
		EXPECT(level_is(&level));
		bo_free(&g, &b);
		pools_drain();
	}
}

/* ---- from swap ---- */

/* 2 MiB are read into one folio, and that is the buffer's. */
static void whole_from_swap(void)
{
	uint64_t pages = PAGES(16 * MiB), n, huge;
	struct backup_counters then;
	struct uncached before;
	struct level level;
	uint32_t caching;
	struct gpu g;
	struct bo b;

	ASSERT(reclaim_prepare());
	ASSERT(gpu_open(&g));
	ASSERT(uncached_get(&before));
	for (caching = DRM_VTTM_CACHED; caching <= DRM_VTTM_UC; caching++) {
		ASSERT(bo_new(&g, &b, 16 * MiB, caching, caching + 1));
		level_get(&level);
		backup_counters(&then);
		ASSERT(bo_swap_out(&g, &b));
		pools_drain();
		huge = stat_2mib("swpin");
		vmstat_sum("pgalloc_");
		n = vmstat_sum("pgalloc_");
		ASSERT(restore(&b));
		n = vmstat_sum("pgalloc_") - n;
		EXPECT_EQ(stat_2mib("swpin") - huge, pages / PMD_PAGES);
		EXPECT(came_back(&then, 0, pages, 0));
		/* one folio for each 2 MiB, and no second one for a copy */
		EXPECT_GE(n, pages);
		EXPECT_LE(n, pages + 128);
		test_note("%" PRIu64 " pages allocated to restore %" PRIu64 " %s",
			  n, pages, caching_name(caching));
		EXPECT(uncached_since(&before, caching, pages));
		EXPECT(level_is(&level));
		EXPECT(bo_check_map(&b));
		EXPECT(bo_check_engine(&g, &b));
		bo_free(&g, &b);
		pools_drain();
	}
}

/*
 * From a file in fragments, 2 MiB come in single pages. They are put together, down to 64 KiB,
 * also for a device that does not say what it works best with.
 */
static void pages_from_swap(void)
{
	uint64_t pages = PAGES(ODD), merged = pages & ~15UL;
	struct backup_counters then, c;
	struct uncached before;
	struct level level;
	uint32_t caching;
	struct gpu g;
	struct bo b;

	ASSERT(reclaim_prepare());
	ASSERT(gpu_open(&g));
	ASSERT(uncached_get(&before));
	for (caching = DRM_VTTM_CACHED; caching <= DRM_VTTM_UC; caching++) {
		ASSERT(bo_new(&g, &b, ODD, caching, caching + 1));
		level_get(&level);
		backup_counters(&then);
		ASSERT(bo_swap_out(&g, &b));
		ASSERT(bo_check_map(&b));
		backup_counters_since(&then, &c);
		EXPECT_LE(c.restored_merged, merged);
		EXPECT_GE(c.restored_merged + SWAP_OTHERS, merged);
		EXPECT_EQ(c.restored_copied, 0);
		EXPECT_EQ(restored_pages(&c), pages);
		pools_drain();
		EXPECT(uncached_since(&before, caching, pages));
		EXPECT(level_is(&level));
		EXPECT(bo_check_engine(&g, &b));
		bo_free(&g, &b);
		pools_drain();
	}
}

/* Written out but not gone yet: the swap cache has it, nothing is read. */
static void from_swap_cache(void)
{
	uint64_t pages = PAGES(ODD), in;
	struct backup_counters then, c;
	struct gpu g;
	struct bo b;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, ODD, DRM_VTTM_WC, 1));
	backup_counters(&then);
	in = vmstat("pswpin");
	/* no waiting: some is under writeback, some is written */
	ASSERT(bo_backup(&g, &b, true));
	ASSERT(bo_check_map(&b));
	backup_counters_since(&then, &c);
	EXPECT_EQ(restored_pages(&c), pages);
	/*
	 * What had to be split to be written is not what went any more. The single
	 * page may be in another processor's batch, and is copied then.
	 */
	if (swap_kind() != SWAP_FRAGMENTS)
		EXPECT_GE(c.restored_extracted + 1, pages);
	EXPECT_EQ(vmstat("pswpin"), in);
	EXPECT(bo_check_engine(&g, &b));
}

/* What was copied back can be handed over whole again, and no chunk is larger. */
static void again_whole(void)
{
	struct backup_counters then, c;
	unsigned int round, i;
	struct gpu g;
	struct bo b;

	ASSERT(reclaim_prepare());
	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, 16 * MiB, DRM_VTTM_WC, 1));
	for (round = 0; round < 3; round++) {
		ASSERT(bo_swap_out(&g, &b));
		ASSERT(bo_check_map(&b));
		ASSERT(bo_fill(&b, round + 2));
		backup_counters(&then);
		ASSERT(bo_backup(&g, &b, false));
		backup_counters_since(&then, &c);
		EXPECT_EQ(c.order[PMD_NR], 8);
		for (i = 0; i < PMD_NR; i++)
			EXPECT_EQ(c.order[i], 0);
		EXPECT_EQ(c.refused, 0);
		ASSERT(bo_check_engine(&g, &b));
	}
}

/* ---- disturbed ---- */

/* One attempt of the engine's to use the buffer, without drmIoctl()'s retry. */
static int submit_once(const struct gpu *g, const struct bo *b,
		       const struct bo *result)
{
	struct drm_vttm_op op = {
		.opcode = DRM_VTTM_OP_CRC32,
		.dst = result->handle,
		.src = b->handle,
		.size = b->size,
	};
	struct drm_vttm_submit s = {
		.ops = (uintptr_t)&op,
		.op_count = 1,
	};

	return ioctl(g->fd, DRM_IOCTL_VTTM_SUBMIT, &s) ? -errno : 0;
}

/*
 * Interrupt a restore when a part is back, and no more than a part. The
 * injection counts chunks where these come back by extraction, and pages where
 * they are copied.
 */
static bool half_restored(const struct gpu *g, const struct bo *b,
			  const struct bo *result)
{
	static const unsigned int after[] = { 1, PMD_PAGES + 100 };
	struct vttm_state i;
	unsigned int n;
	int ret;

	for (n = 0; n < ARRAY_LEN(after); n++) {
		if (!fault_inject_after(after[n], 1))
			return false;
		ret = submit_once(g, b, result);
		fault_inject_off();
		if (ret != -EINTR) {
			FAIL("restore was to be interrupted: %s",
			     ret ? strerror(-ret) : "it was not");
			return false;
		}
		if (!bo_info(g, b, &i))
			return false;
		if (i.resident_pages + i.backed_up_pages != PAGES(b->size)) {
			FAIL("%llu pages resident, %llu backed up of %" PRIu64,
			     (unsigned long long)i.resident_pages,
			     (unsigned long long)i.backed_up_pages,
			     PAGES(b->size));
			return false;
		}
		if (i.resident_pages && i.backed_up_pages)
			return true;
	}
	FAIL("no part of the buffer came back");
	return false;
}

/* While one chunk is put to use, the next one is being read. */
static void reads_ahead(void)
{
	struct backup_counters then, c;
	struct bo b, result;
	uint64_t cached, pages;
	struct gpu g;

	ASSERT(reclaim_prepare());
	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, 8 * MiB, DRM_VTTM_WC, 1));
	ASSERT(bo_swap_out(&g, &b));
	ASSERT(bo_new(&g, &result, PAGE, DRM_VTTM_CACHED, 99));
	cached = vmstat("nr_swapcached");
	backup_counters(&then);
	/* It ends with the first chunk, and what is ahead stays there. */
	ASSERT(half_restored(&g, &b, &result));
	backup_counters_since(&then, &c);
	EXPECT_EQ(c.restored_extracted, PMD_PAGES);
	pages = vmstat("nr_swapcached") - cached;
	EXPECT_GE(pages + SWAP_OTHERS, PMD_PAGES);
	EXPECT_LE(pages, 2 * PMD_PAGES);
	EXPECT(bo_check_map(&b));
	EXPECT(came_back(&then, 0, PAGES(8 * MiB), 0));
	EXPECT(bo_check_engine(&g, &b));
}

/* Interrupted again and again, and in between it is still all there. */
static void interrupted(bool from_swap)
{
	struct backup_counters then, c, last;
	struct vttm_state i, was;
	struct bo b, result;
	struct uncached before;
	unsigned int hits;
	struct level level;
	uint32_t caching;
	struct gpu g;
	int ret = 0;

	ASSERT(reclaim_prepare());
	ASSERT(gpu_open(&g));
	ASSERT(uncached_get(&before));
	for (caching = DRM_VTTM_CACHED; caching <= DRM_VTTM_UC; caching++) {
		ASSERT(bo_new(&g, &result, PAGE, DRM_VTTM_CACHED, 99));
		ASSERT(bo_new(&g, &b, 8 * MiB + 7 * PAGE, caching, caching + 1));
		level_get(&level);
		if (from_swap)
			ASSERT(bo_swap_out(&g, &b));
		else
			ASSERT(bo_backup(&g, &b, false));
		ASSERT(restore(&result));
		ASSERT(bo_info(&g, &b, &was));
		backup_counters(&then);
		last = (struct backup_counters){};
		/* one step an attempt, and longer ones where steps are pages */
		for (hits = 0; hits < 2 * PAGES(b.size); hits++) {
			ASSERT(fault_inject_after(hits < 6 ? 1 : 40 * hits, 1));
			ret = submit_once(&g, &b, &result);
			fault_inject_off();
			if (ret != -EINTR)
				break;
			ASSERT(bo_info(&g, &b, &i));
			EXPECT_EQ(i.resident_pages + i.backed_up_pages,
				  PAGES(b.size));
			EXPECT_GE(i.resident_pages, was.resident_pages);
			was = i;
			backup_counters_since(&then, &c);
			EXPECT_GE(restored_pages(&c), restored_pages(&last));
			last = c;
		}
		EXPECT_OK(ret);
		EXPECT_GT(hits, 3);
		ASSERT_OK(vttm_wait(g.fd, result.handle, -1));
		EXPECT_EQ(*(uint32_t *)result.map, b.crc);
		ASSERT(bo_info(&g, &b, &i));
		EXPECT_EQ(i.resident_pages, PAGES(b.size));
		/* nothing came back twice */
		backup_counters_since(&then, &c);
		EXPECT_EQ(restored_pages(&c), PAGES(b.size));
		if (!from_swap)
			EXPECT_EQ(c.restored_extracted, PAGES(b.size));
		EXPECT_EQ(c.restored_adopted, 0);
		test_note("interrupted %u times: %" PRIu64 " pages extracted, %" PRIu64 " copied",
			  hits, c.restored_extracted, c.restored_copied);
		EXPECT(bo_check_map(&b));
		bo_free(&g, &result);
		pools_drain();
		EXPECT(uncached_since(&before, caching, PAGES(b.size)));
		level.active--;		/* that of the result */
		EXPECT(level_is(&level));
		bo_free(&g, &b);
		pools_drain();
	}
}

static void interrupted_resident(void)
{
	interrupted(false);
}

static void interrupted_swapped(void)
{
	interrupted(true);
}

struct storm {
	pthread_t target;
	volatile bool over;
	volatile unsigned int seen;
	unsigned int sent;
};

static struct storm storm;

static void storm_signal(int sig)
{
	(void)sig;
	storm.seen++;
}

/* The next signal comes when the last has been dealt with. */
static void *storm_run(void *arg)
{
	(void)arg;
	while (!storm.over && storm.sent < 100000) {
		unsigned int seen = storm.seen;

		if (pthread_kill(storm.target, SIGUSR1))
			break;
		storm.sent++;
		while (!storm.over && storm.seen == seen)
			usleep(50);
		usleep(300);
	}
	return NULL;
}

/* Signals all the time, at the engine's front door and in the page fault. */
static void signal_storm(void)
{
	struct sigaction sa = { .sa_handler = storm_signal };
	unsigned int round, interrupts = 0;
	struct backup_counters then, c;
	struct vttm_state i;
	struct bo b, result;
	struct uncached before;
	struct level level;
	pthread_t thread;
	struct gpu g;
	int ret;

	ASSERT(reclaim_prepare());
	ASSERT(gpu_open(&g));
	ASSERT(uncached_get(&before));
	ASSERT(!sigaction(SIGUSR1, &sa, NULL));
	ASSERT(bo_new(&g, &result, PAGE, DRM_VTTM_CACHED, 99));
	/* From fragments of swap, a signal may come for each page. */
	ASSERT(bo_new(&g, &b, 16 * MiB + 5 * PAGE, DRM_VTTM_WC, 1));
	level_get(&level);
	for (round = 0; round < 4; round++) {
		ASSERT(bo_swap_out(&g, &b));
		ASSERT(restore(&result));
		backup_counters(&then);
		storm = (struct storm){ .target = pthread_self() };
		ASSERT(!pthread_create(&thread, NULL, storm_run, NULL));
		if (round & 1) {
			EXPECT(restore(&b));
		} else {
			while ((ret = submit_once(&g, &b, &result)) == -EINTR)
				interrupts++;
			EXPECT_OK(ret);
		}
		storm.over = true;
		pthread_join(thread, NULL);
		ASSERT_OK(vttm_wait(g.fd, result.handle, -1));
		ASSERT(bo_info(&g, &b, &i));
		EXPECT_EQ(i.resident_pages, PAGES(b.size));
		backup_counters_since(&then, &c);
		EXPECT_EQ(restored_pages(&c), PAGES(b.size));
		EXPECT(bo_check_map(&b));
		ASSERT(bo_fill(&b, round + 2));
	}
	test_note("%u submissions interrupted", interrupts);
	/* or the signals hit nothing and this proved nothing */
	EXPECT_GT(interrupts, 0);
	EXPECT(level_is(&level));
	bo_free(&g, &result);
	pools_drain();
	EXPECT(uncached_since(&before, DRM_VTTM_WC, PAGES(b.size)));
}

/* Gone while half of it is back: neither half is leaked, nothing is read. */
static void destroy_half_restored(bool from_swap)
{
	unsigned int round;
	struct uncached before;
	struct level level;
	struct bo b, result;
	uint64_t in;
	struct gpu g;

	ASSERT(reclaim_prepare());
	ASSERT(gpu_open(&g));
	ASSERT(uncached_get(&before));
	level_get(&level);
	for (round = 0; round < 6; round++) {
		ASSERT(bo_new(&g, &result, PAGE, DRM_VTTM_CACHED, 99));
		ASSERT(bo_new(&g, &b, 8 * MiB + 7 * PAGE, round % 3, round + 1));
		if (from_swap)
			ASSERT(bo_swap_out(&g, &b));
		else
			ASSERT(bo_backup(&g, &b, false));
		ASSERT(restore(&result));
		ASSERT(half_restored(&g, &b, &result));
		writeback_settle();
		in = vmstat("pswpin");
		if (round < 3) {
			bo_free(&g, &b);
		} else {
			/* purged, which drops what is there at once */
			EXPECT_OK(vttm_madvise(g.fd, b.handle,
					       DRM_VTTM_MADV_DONTNEED, NULL));
			EXPECT(bo_check_where(&g, &b, 0, 0, 0));
		}
		EXPECT_EQ(vmstat("pswpin"), in);
		if (round >= 3)
			bo_free(&g, &b);
		bo_free(&g, &result);
		pools_drain();
		EXPECT(uncached_since(&before, DRM_VTTM_CACHED, 0));
		EXPECT(level_is(&level));
	}
}

static void destroy_half_resident(void)
{
	destroy_half_restored(false);
}

static void destroy_half_swapped(void)
{
	destroy_half_restored(true);
}

/* Half-way back, and then another try, with the pages away to swap meanwhile. */
static void half_restored_then_swapped(void)
{
	struct backup_counters then, c;
	struct bo b, result;
	uint32_t caching;
	struct gpu g;

	ASSERT(reclaim_prepare());
	ASSERT(gpu_open(&g));
	for (caching = DRM_VTTM_CACHED; caching <= DRM_VTTM_UC; caching++) {
		ASSERT(bo_new(&g, &result, PAGE, DRM_VTTM_CACHED, 99));
		ASSERT(bo_new(&g, &b, 8 * MiB + 7 * PAGE, caching, caching + 1));
		ASSERT(bo_backup(&g, &b, true));
		ASSERT(restore(&result));
		backup_counters(&then);
		ASSERT(half_restored(&g, &b, &result));
		/* the rest leaves memory; the shrinker must not touch the half */
		vttm_shrink(g.minor, PAGES(b.size), true, NULL);
		reclaim_all();
		EXPECT(bo_check_map(&b));
		backup_counters_since(&then, &c);
		EXPECT_EQ(restored_pages(&c), PAGES(b.size));
		EXPECT_EQ(c.restored_adopted, 0);
		EXPECT(bo_check_engine(&g, &b));
		bo_free(&g, &b);
		bo_free(&g, &result);
	}
}

/*
 * Make the backup stop after some chunks. The first chance to fail is that of
 * the backup as a whole, then comes one for each chunk.
 */
static bool back_up_partly(const struct gpu *g, const struct bo *b,
			   unsigned int chunks, struct vttm_state *i)
{
	if (!fault_inject_after(1 + chunks, -1))
		return false;
	/* one page will do, or the shrinker goes back for the rest */
	vttm_shrink(g->minor, 1, false, NULL);
	fault_inject_off();
	if (!bo_info(g, b, i))
		return false;
	if (i->resident_pages && i->backed_up_pages)
		return true;
	FAIL("%llu pages resident and %llu backed up: that is no partial backup",
	     (unsigned long long)i->resident_pages,
	     (unsigned long long)i->backed_up_pages);
	return false;
}

/* What the backup left stays where it is when the rest comes back. */
static void retained_adopted(void)
{
	struct backup_counters then;
	struct vttm_state i;
	struct uncached before;
	unsigned int chunks;
	struct level level;
	uint32_t caching;
	uint64_t n;
	struct gpu g;
	struct bo b;

	ASSERT(gpu_open(&g));
	ASSERT(uncached_get(&before));
	for (caching = DRM_VTTM_CACHED; caching <= DRM_VTTM_UC; caching++) {
		for (chunks = 1; chunks <= 5; chunks += 2) {
			ASSERT(bo_new(&g, &b, 12 * MiB + 7 * PAGE, caching,
				      10 * chunks + caching));
			level_get(&level);
			backup_counters(&then);
			ASSERT(back_up_partly(&g, &b, chunks, &i));
			EXPECT_EQ(i.backed_up_pages, chunks * PMD_PAGES);
			EXPECT(uncached_since(&before, caching, 0));
			vmstat_sum("pgalloc_");
			n = vmstat_sum("pgalloc_");
			ASSERT(restore(&b));
			n = vmstat_sum("pgalloc_") - n;
			EXPECT_LE(n, 64);
			EXPECT(came_back(&then, i.resident_pages,
					 i.backed_up_pages, 0));
			EXPECT(uncached_since(&before, caching, PAGES(b.size)));
			EXPECT(level_is(&level));
			EXPECT(bo_check_map(&b));
			EXPECT(bo_check_engine(&g, &b));
			/* and once more, in full */
			ASSERT(bo_fill(&b, 100 + chunks));
			backup_counters(&then);
			ASSERT(bo_backup(&g, &b, false));
			EXPECT(bo_check_map(&b));
			EXPECT(came_back(&then, 0, PAGES(b.size), 0));
			bo_free(&g, &b);
			pools_drain();
		}
	}
}

/* The backup goes on where it stopped, so nothing is left to adopt. */
static void resumed_extracted(void)
{
	struct backup_counters then;
	struct vttm_state i;
	unsigned int chunks;
	uint64_t pages;
	struct gpu g;
	struct bo b;

	ASSERT(gpu_open(&g));
	for (chunks = 1; chunks <= 5; chunks++) {
		ASSERT(bo_new(&g, &b, 12 * MiB + 7 * PAGE, chunks % 3, chunks));
		pages = PAGES(b.size);
		backup_counters(&then);
		ASSERT(back_up_partly(&g, &b, chunks, &i));
		ASSERT(bo_backup(&g, &b, false));
		ASSERT(bo_check_where(&g, &b, 0, pages, pages));
		EXPECT(bo_check_map(&b));
		EXPECT(came_back(&then, 0, pages, 0));
		bo_free(&g, &b);
	}
}

/* Some adopted, some extracted, some from swap, and interrupted in between. */
static void retained_interrupted(void)
{
	struct backup_counters then, c;
	struct vttm_state part;
	struct uncached before;
	struct bo b, result;
	unsigned int chunks;
	struct gpu g;

	ASSERT(reclaim_prepare());
	ASSERT(gpu_open(&g));
	ASSERT(uncached_get(&before));
	for (chunks = 2; chunks <= 5; chunks++) {
		ASSERT(bo_new(&g, &b, 12 * MiB + 7 * PAGE, DRM_VTTM_WC, chunks));
		ASSERT(back_up_partly(&g, &b, chunks, &part));
		ASSERT(bo_new(&g, &result, PAGE, DRM_VTTM_CACHED, 99));
		if (chunks & 1) {
			/* which calls the shrinker, and that goes on */
			reclaim_all();
			ASSERT(restore(&result));
			ASSERT(bo_info(&g, &b, &part));
		}
		backup_counters(&then);
		ASSERT(half_restored(&g, &b, &result));
		EXPECT(bo_check_engine(&g, &b));
		backup_counters_since(&then, &c);
		EXPECT_EQ(restored_pages(&c), PAGES(b.size));
		EXPECT_EQ(c.restored_adopted, part.resident_pages);
		EXPECT(bo_check_map(&b));
		bo_free(&g, &result);
		pools_drain();
		EXPECT(uncached_since(&before, DRM_VTTM_WC, PAGES(b.size)));
		bo_free(&g, &b);
		pools_drain();
	}
}

/* ---- mixtures ---- */

/*
 * The first chunks handed over, the rest copied into single pages, because the
 * administrator said "deny" meanwhile; back, and the same again with other bytes.
 */
static void mixed(bool swapped)
{
	struct backup_counters then, c;
	struct vttm_state part;
	struct uncached before;
	struct level level;
	unsigned int round;
	uint64_t pages;
	struct gpu g;
	struct bo b;

	ASSERT(reclaim_prepare());
	ASSERT(gpu_open(&g));
	ASSERT(uncached_get(&before));
	ASSERT(bo_new(&g, &b, 6 * MiB + 77 * PAGE, DRM_VTTM_WC, 1));
	pages = PAGES(b.size);
	level_get(&level);
	for (round = 1; round <= 4; round++) {
		backup_counters(&then);
		ASSERT(back_up_partly(&g, &b, round, &part));
		ASSERT_OK(shmem_enabled_set("deny"));
		EXPECT(bo_backup(&g, &b, false));
		ASSERT_OK(shmem_enabled_set("never"));
		/* which is no word on the page at the end, that was single before */
		ASSERT(bo_check_where(&g, &b, 0, pages, part.backed_up_pages + 1));
		if (swapped)
			reclaim_all();
		if (round & 1)
			ASSERT(bo_check_map(&b));
		else
			ASSERT(bo_check_engine(&g, &b));
		backup_counters_since(&then, &c);
		EXPECT_EQ(restored_pages(&c), pages);
		EXPECT_EQ(c.restored_adopted, 0);
		if (!swapped)
			EXPECT_GE(c.restored_extracted, part.backed_up_pages);
		pools_drain();
		EXPECT(uncached_since(&before, DRM_VTTM_WC, pages));
		EXPECT(level_is(&level));
		ASSERT(bo_fill(&b, round + 1));
	}
}

static void mixed_resident(void)
{
	mixed(false);
}

static void mixed_swapped(void)
{
	mixed(true);
}

/*
 * A file that gave a folio out has nothing to do with it any more: what is
 * written to one buffer shows in no other, and a new backup holds the new bytes.
 */
static void never_alias(void)
{
	struct bo b[4];
	unsigned int round, n;
	struct level level;
	struct gpu g;

	ASSERT(reclaim_prepare());
	ASSERT(gpu_open(&g));
	for (n = 0; n < ARRAY_LEN(b); n++)
		ASSERT(bo_new(&g, &b[n], n & 1 ? ODD : 4 * MiB, n % 3, n + 1));
	level_get(&level);
	for (round = 1; round <= 8; round++) {
		for (n = 0; n < ARRAY_LEN(b); n++)
			ASSERT(bo_backup(&g, &b[n], round & 1));
		if (round & 2)
			reclaim_all();
		/* half of them come back, change, and go again */
		for (n = round & 1; n < ARRAY_LEN(b); n += 2) {
			EXPECT(bo_check_map(&b[n]));
			ASSERT(bo_fill(&b[n], 10 * round + n));
			ASSERT(bo_backup(&g, &b[n], false));
		}
		for (n = 0; n < ARRAY_LEN(b); n++)
			if (round & 4)
				EXPECT(bo_check_engine(&g, &b[n]));
			else
				EXPECT(bo_check_map(&b[n]));
		EXPECT(level_is(&level));
	}
}

/* which have nothing to do with swap */
#define RESIDENT							\
	{ "c46_c48_cached_extracted", round_trip_cached },		\
	{ "c46_c48_wc_extracted_is_wc_again", round_trip_wc },		\
	{ "c46_c48_uc_extracted_is_uc_again", round_trip_uc },		\
	{ "c48_c67_same_folios_come_back", same_folios },		\
	{ "c61_resident_restore_allocates_no_page", resident_no_page },	\
	{ "c58_statistics_match_info", stats_match_info },		\
	{ "c52_resident_restore_interrupted", interrupted_resident },	\
	{ "c54_destroy_half_restored", destroy_half_resident },		\
	{ "c51_retained_is_adopted", retained_adopted },		\
	{ "c51_resumed_backup_is_extracted", resumed_extracted },	\
	{ "c57_mixed_orders_back_up_again", mixed_resident }

#define SWAPPED								\
	{ "c32_from_swap_cache_reads_nothing", from_swap_cache },	\
	{ "c67_comes_back_fit_to_go_whole", again_whole },		\
	{ "c52_swapped_restore_interrupted", interrupted_swapped },	\
	{ "c52_signal_storm", signal_storm },				\
	{ "c52_swapped_while_half_restored", half_restored_then_swapped }, \
	{ "c53_c54_destroy_half_restored_from_swap", destroy_half_swapped }, \
	{ "c51_c52_partial_backup_interrupted_restore", retained_interrupted }, \
	{ "c57_mixed_orders_through_swap", mixed_swapped },		\
	{ "c66_never_alias", never_alias }

static const struct test tests_zram[] = {
	RESIDENT,
	SWAPPED,
	{ "c33_zram_gives_2mib_back_whole", whole_from_swap },
};

static const struct test tests_disk[] = {
	SWAPPED,
	{ "c33_disk_gives_2mib_back_whole", whole_from_swap },
	{ "c88_disk_is_read_ahead", reads_ahead },
};

static const struct test tests_file[] = {
	SWAPPED,
};

static const struct test tests_fragments[] = {
	SWAPPED,
	{ "c34_c80_c86_fragments_give_right_bytes_back", pages_from_swap },
};

/* booted with ttm.zero_copy=0 */
static const struct test tests_copy[] = {
	{ "c46_c48_zero_copy_off_copies_back", copied_when_told },
};

int main(void)
{
	mount_all();
	return run_by_swap(TEST_TABLE(tests_zram), TEST_TABLE(tests_disk),
			   TEST_TABLE(tests_file), TEST_TABLE(tests_fragments),
			   TEST_TABLE(tests_copy));
}
