// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Backup and restore with real bytes on a VM that has swap. */

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <unistd.h>

#include "fixture.h"

#define PIECES	8	/* see swap_to_pieces() */
#ifndef SWAP_FLAG_DISCARD_PAGES
#define SWAP_FLAG_DISCARD_PAGES	0x40000	/* linux/swap.h, which is not for users */
#endif
#define ODD	(5 * MiB + 7 * PAGE)	/* 2 MiB chunks and a tail of small ones */

/* Out of memory into swap. */
static bool push_out(const struct gpu *g, const struct bo *b)
{
	uint64_t out = vmstat("pswpout");

	if (!bo_backup(g, b, true))
		return false;
	reclaim_all();
	out = vmstat("pswpout") - out;
	if (out < PAGES(b->size)) {
		FAIL("%" PRIu64 " of %" PRIu64 " pages swapped out", out,
		     PAGES(b->size));
		return false;
	}
	return true;
}

static void round_trip(uint32_t caching)
{
	static const uint64_t sizes[] = {
		PAGE, 13 * PAGE, 2 * MiB, 2 * MiB + PAGE, ODD, 16 * MiB,
	};
	bool insert = zero_copy_get();
	struct gpu g;
	struct bo b;
	size_t i;

	ASSERT(gpu_open(&g));
	for (i = 0; i < ARRAY_LEN(sizes); i++) {
		uint64_t pages = PAGES(sizes[i]);
		uint32_t seed = 100 * (i + 1);

		ASSERT(bo_new(&g, &b, sizes[i], caching, seed));
		ASSERT(bo_check_where(&g, &b, pages, 0, 0));
		ASSERT(bo_backup(&g, &b, false));
		ASSERT(bo_check_where(&g, &b, 0, pages, insert ? pages : 0));
		ASSERT(bo_check_map(&b));
		ASSERT(bo_check_where(&g, &b, pages, 0, 0));

		/* other bytes, or a backup that was not redone would pass */
		ASSERT(bo_fill(&b, seed + 1));
		ASSERT(bo_backup(&g, &b, false));
		ASSERT(bo_check_engine(&g, &b));
		ASSERT(bo_check_where(&g, &b, pages, 0, 0));
		ASSERT(bo_check_map(&b));
		bo_free(&g, &b);
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

/* Through swap and back, several buffers of every caching at a time. */
static void swap_round_trip(void)
{
	struct gpu g;
	struct bo b[6];
	uint64_t in, in0, used = swap_used_pages(), pages = 0;
	unsigned int i;

	ASSERT(reclaim_prepare());
	ASSERT(gpu_open(&g));
	for (i = 0; i < ARRAY_LEN(b); i++) {
		ASSERT(bo_new(&g, &b[i], i < 3 ? 8 * MiB : ODD, i % 3, i + 1));
		pages += PAGES(b[i].size);
	}
	for (i = 0; i < ARRAY_LEN(b); i++)
		ASSERT(bo_backup(&g, &b[i], true));
	reclaim_all();
	EXPECT_GE(swap_used_pages() - used + SWAP_OTHERS, pages);
	in0 = vmstat("pswpin");
	for (i = 0; i < ARRAY_LEN(b); i++) {
		if (i & 1)
			EXPECT(bo_check_map(&b[i]));
		else
			EXPECT(bo_check_engine(&g, &b[i]));
	}
	in = vmstat("pswpin") - in0;
	/* it was in swap and nowhere else */
	EXPECT_GE(in, pages);
	for (i = 0; i < ARRAY_LEN(b); i++) {
		EXPECT(bo_check_map(&b[i]));
		EXPECT(bo_check_engine(&g, &b[i]));
	}
}

static void writeback_flag(void)
{
	uint64_t out, rotated, pages = PAGES(8 * MiB);
	struct gpu g;
	struct bo b;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, 8 * MiB, DRM_VTTM_WC, 1));
	writeback_settle();
	out = vmstat("pswpout");
	ASSERT(bo_backup(&g, &b, false));
	writeback_settle();
	EXPECT_EQ(vmstat("pswpout") - out, 0);
	ASSERT(bo_check_map(&b));

	rotated = vmstat("pgrotated");
	ASSERT(bo_backup(&g, &b, true));
	writeback_settle();
	EXPECT_GE(vmstat("pswpout") - out, pages);
	/* to where reclaim takes it next; a few may wait in a batch */
	if (zero_copy_get())
		EXPECT_GE(vmstat("pgrotated") - rotated, pages - 64);
	EXPECT(bo_check_engine(&g, &b));
	EXPECT(bo_check_map(&b));
}

/* What swap refuses is not tried page by page to the end of each folio. */
static void writeback_refused(void)
{
	uint64_t failed, folios = 4;
	struct gpu g;
	struct bo b;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, folios * 2 * MiB, DRM_VTTM_WC, 1));
	ASSERT_OK(write_file("/sys/block/zram0/mem_limit", "4K"));
	failed = zram_failed_writes();
	EXPECT(bo_backup(&g, &b, true));
	failed = zram_failed_writes() - failed;
	EXPECT_OK(write_file("/sys/block/zram0/mem_limit", "0"));
	test_note("%" PRIu64 " writes failed", failed);
	EXPECT_GE(failed, folios);
	EXPECT_LE(failed, 4 * folios);
	EXPECT(bo_check_map(&b));
}

/*
 * What goes to a swap file goes whole where 2 MiB of the file are in one piece on the
 * disk, and else in single pages. Either way it comes back with every byte.
 */
static void swapped_to_file(void)
{
	uint64_t out, in, pages = PAGES(16 * MiB), whole;
	bool fragments = swap_kind() == SWAP_FRAGMENTS;
	struct backup_counters then, c;
	uint32_t caching;
	struct gpu g;
	struct bo b;

	ASSERT(reclaim_prepare());
	ASSERT(gpu_open(&g));
	for (caching = DRM_VTTM_CACHED; caching <= DRM_VTTM_UC; caching++) {
		ASSERT(bo_new(&g, &b, 16 * MiB, caching, caching + 1));
		out = vmstat("pswpout");
		in = vmstat("pswpin");
		whole = vmstat("thp_swpout");
		backup_counters(&then);
		ASSERT(push_out(&g, &b));
		backup_counters_since(&then, &c);
		EXPECT_EQ(c.inserted, pages);
		EXPECT_EQ(c.copied, 0);
		EXPECT_GE(vmstat("pswpout") - out, pages);
		/* A piece of the file may end in the midst of a folio's place. */
		if (fragments)
			EXPECT_EQ(vmstat("thp_swpout") - whole, 0);
		else
			EXPECT_GE(vmstat("thp_swpout") - whole, 6);
		EXPECT(bo_check_map(&b));
		EXPECT_GE(vmstat("pswpin") - in, pages);
		backup_counters_since(&then, &c);
		EXPECT_EQ(c.restored_extracted + c.restored_merged, pages);
		EXPECT_EQ(c.restored_copied, 0);
		EXPECT(bo_check_engine(&g, &b));
		bo_free(&g, &b);
	}
}

/*
 * Swap to the file anew, with these flags of swapon(). Behind the first 2 MiB, which the
 * header is in, there is a border between two pieces in each of the next, so many times.
 */
static bool swap_to_pieces(unsigned int pieces, unsigned int flags)
{
	struct swap_list swaps;
	struct stat st;
	unsigned int i;
	int fd, ret;

	swap_list(&swaps);
	if (swap_all_off(&swaps, 60))
		return false;
	fd = open(swaps.dev[0], O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return false;
	ret = fstat(fd, &st);
	/* A page less in the midst of each, and as much more at the end */
	for (i = 1; !ret && i <= pieces; i++)
		ret = fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, (2 * i + 1) * MiB, PAGE);
	if (!ret)
		ret = fallocate(fd, 0, 0, st.st_size) || fsync(fd);
	close(fd);
	return !ret && !swapon(swaps.dev[0], flags);
}

/* Of eight folios, how many leave whole, and how many are split on the way? */
static void push_to_pieces(unsigned int pieces, uint64_t whole, uint64_t split)
{
	uint64_t whole_then, split_then;
	struct gpu g;
	struct bo b;

	ASSERT(reclaim_prepare());
	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, 16 * MiB, DRM_VTTM_CACHED, 1));
	ASSERT(swap_to_pieces(pieces, 0));
	whole_then = vmstat("thp_swpout");
	split_then = vmstat("thp_swpout_fallback");
	ASSERT(push_out(&g, &b));
	EXPECT_EQ(vmstat("thp_swpout") - whole_then, whole);
	EXPECT_EQ(vmstat("thp_swpout_fallback") - split_then, split);
	EXPECT(bo_check_map(&b));
	bo_free(&g, &b);
}

/* A folio goes past what is in pieces, as long as there is something else. */
static void past_the_pieces(void)
{
	push_to_pieces(PIECES, 8, 0);
}

/* No more than 64 places are looked at for one, and not the same for the next. */
static void goes_on_looking(void)
{
	push_to_pieces(100, 7, 1);
}

/* Discards of the disk with swap on it */
static uint64_t disk_discards(void)
{
	unsigned long long discards = 0;

	if (sscanf(must_read("/sys/block/vda/stat"),
		   "%*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %*u %llu", &discards) != 1)
		die("no discards in /sys/block/vda/stat");
	return discards;
}

/* What has been passed over has not been used, and is not discarded. */
static void pieces_are_not_discarded(void)
{
	uint64_t discards;
	struct gpu g;
	struct bo b;

	ASSERT(strcmp(must_read("/sys/block/vda/queue/discard_max_bytes"), "0\n"));
	ASSERT(reclaim_prepare());
	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, 16 * MiB, DRM_VTTM_CACHED, 1));
	ASSERT(swap_to_pieces(PIECES, SWAP_FLAG_DISCARD | SWAP_FLAG_DISCARD_PAGES));
	discards = disk_discards();
	ASSERT(push_out(&g, &b));
	/* not one for each; somebody else may have given swap back */
	EXPECT_LE(disk_discards() - discards, PIECES - 1);
	EXPECT(bo_check_map(&b));
	bo_free(&g, &b);
}

/* A 2 MiB folio leaves in one piece where the swap device can take it. */
static void swapped_whole(void)
{
	uint64_t whole, split;
	struct gpu g;
	struct bo b;

	ASSERT(gpu_open(&g));
	whole = vmstat("thp_swpout");
	split = vmstat("thp_swpout_fallback");
	ASSERT(bo_new(&g, &b, 16 * MiB, DRM_VTTM_WC, 1));
	ASSERT(bo_backup(&g, &b, true));
	writeback_settle();
	EXPECT_EQ(vmstat("thp_swpout") - whole, 8);
	EXPECT_EQ(vmstat("thp_swpout_fallback") - split, 0);
	EXPECT(bo_check_map(&b));
}

static void counters_exact(void)
{
	uint64_t pages = PAGES(ODD), sum = 0;
	struct backup_counters then, c;
	struct gpu g;
	struct bo b;
	unsigned int i;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, ODD, DRM_VTTM_WC, 1));
	backup_counters(&then);
	ASSERT(bo_backup(&g, &b, false));
	backup_counters_since(&then, &c);
	EXPECT_EQ(c.inserted, pages);
	for (i = 0; i <= PMD_NR; i++)
		sum += c.order[i] << i;
	EXPECT_EQ(sum, pages);
	EXPECT_EQ(c.order[PMD_NR], 2);
	EXPECT_EQ(c.copied, 0);
	EXPECT_EQ(c.retained, 0);
	EXPECT_EQ(c.refused, 0);
	EXPECT_EQ(c.restored_extracted, 0);
	EXPECT_EQ(c.restored_adopted, 0);
	EXPECT_EQ(c.restored_copied, 0);
	ASSERT(bo_check_map(&b));
	backup_counters_since(&then, &c);
	EXPECT_EQ(c.restored_extracted, pages);
	EXPECT_EQ(c.restored_adopted, 0);
	EXPECT_EQ(c.restored_copied, 0);
	EXPECT_EQ(c.extract_refused, 0);
	EXPECT_EQ(c.inserted, pages);
}

/* Nothing but the nodes that index the file: 1 page for 16 MiB, and noise. */
static void no_page_allocated(void)
{
	uint64_t pages = PAGES(32 * MiB), n;
	struct gpu g;
	struct bo b;

	ASSERT(gpu_open(&g));
	pools_drain();
	vmstat_sum("pgalloc_");
	n = vmstat_sum("pgalloc_");
	ASSERT(bo_new(&g, &b, 32 * MiB, DRM_VTTM_WC, 1));
	/* the way of counting sees it when there is something to see */
	EXPECT_GE(vmstat_sum("pgalloc_") - n, pages);
	n = vmstat_sum("pgalloc_");
	ASSERT(bo_backup(&g, &b, false));
	n = vmstat_sum("pgalloc_") - n;
	EXPECT_LE(n, 2 + 64);
	test_note("%" PRIu64 " pages allocated to back up %" PRIu64, n, pages);
	EXPECT(bo_check_map(&b));
}

static void resident_as_shmem(void)
{
	uint64_t shmem, huge, active, pages = PAGES(8 * MiB);
	struct gpu g;
	struct bo b;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, 8 * MiB, DRM_VTTM_CACHED, 1));
	shmem = vmstat("nr_shmem");
	huge = vmstat("nr_shmem_hugepages");
	active = vmstat("nr_gpu_active");
	ASSERT(bo_backup(&g, &b, false));
	EXPECT_EQ(vmstat("nr_shmem") - shmem, pages);
	EXPECT_EQ(vmstat("nr_shmem_hugepages") - huge, pages / PMD_PAGES);
	EXPECT_EQ(active - vmstat("nr_gpu_active"), pages);
	ASSERT(bo_check_map(&b));
	EXPECT_EQ(vmstat("nr_shmem"), shmem);
	EXPECT_EQ(vmstat("nr_shmem_hugepages"), huge);
	EXPECT_EQ(vmstat("nr_gpu_active"), active);
}

static void copy_mode(void)
{
	uint64_t pages = PAGES(ODD), n;
	struct backup_counters then, c;
	uint32_t caching;
	struct gpu g;
	struct bo b;

	ASSERT(gpu_open(&g));
	for (caching = DRM_VTTM_CACHED; caching <= DRM_VTTM_UC; caching++) {
		ASSERT(bo_new(&g, &b, ODD, caching, caching + 1));
		backup_counters(&then);
		n = vmstat_sum("pgalloc_");
		ASSERT(bo_backup(&g, &b, false));
		EXPECT_GE(vmstat_sum("pgalloc_") - n, pages);
		backup_counters_since(&then, &c);
		EXPECT_EQ(c.copied, pages);
		EXPECT_EQ(c.inserted, 0);
		EXPECT(bo_check_where(&g, &b, 0, pages, 0));
		EXPECT(bo_check_map(&b));
		backup_counters_since(&then, &c);
		EXPECT_EQ(c.restored_copied, pages);
		EXPECT_EQ(c.restored_extracted, 0);
		EXPECT_EQ(c.restored_adopted, 0);
		bo_free(&g, &b);
	}
}

/*
 * The administrator changes huge pages of shmem at run time: pages that were
 * allocated and pooled under one policy are backed up under another, and what
 * went under one comes back and is dropped under another.
 */
static void policies(void)
{
	static const char *const policy[] = { "deny", "never", "force" };
	struct bo b[4];
	unsigned int round, i;
	struct gpu g;

	ASSERT(gpu_open(&g));
	memset(b, 0, sizeof(b));
	for (round = 0; round < 12; round++) {
		i = round % ARRAY_LEN(b);
		ASSERT_OK(shmem_enabled_set(policy[round % 3]));
		if (b[i].handle)
			bo_free(&g, &b[i]);
		ASSERT(bo_new(&g, &b[i], ODD, 1 + (round / 2) % 2, round + 1));
		/* one backed up under each policy, the rest still resident */
		ASSERT_OK(shmem_enabled_set(policy[round / 3 % 3]));
		ASSERT(bo_backup(&g, &b[i], round % 3 == 0));
		ASSERT_OK(shmem_enabled_set(policy[(round + 1) % 3]));
		if (round >= 2)
			EXPECT(bo_check_map(&b[(round - 2) % ARRAY_LEN(b)]));
		if (round >= 3)
			EXPECT(bo_check_engine(&g, &b[(round - 3) % ARRAY_LEN(b)]));
	}
	for (i = 0; i < ARRAY_LEN(b); i++) {
		EXPECT(bo_check_map(&b[i]));
		EXPECT(bo_check_engine(&g, &b[i]));
	}
}

static void destroy_in_swap(bool with_mapping)
{
	struct level level;
	uint32_t caching;
	uint64_t in;
	struct gpu g;
	struct bo b;

	ASSERT(reclaim_prepare());
	ASSERT(gpu_open(&g));
	for (caching = DRM_VTTM_CACHED; caching <= DRM_VTTM_UC; caching++) {
		level_get(&level);
		ASSERT(bo_new(&g, &b, 8 * MiB + 5 * PAGE, caching, 1));
		ASSERT(push_out(&g, &b));
		EXPECT_GE(swap_used_pages() - level.swap + SWAP_OTHERS, PAGES(b.size));
		in = vmstat("pswpin");
		if (with_mapping) {
			/* the mapping holds the object: munmap destroys it */
			EXPECT_OK(vttm_close(g.fd, b.handle));
			munmap(b.map, b.size);
		} else {
			munmap(b.map, b.size);
			EXPECT_OK(vttm_close(g.fd, b.handle));
		}
		EXPECT_EQ(vmstat("pswpin") - in, 0);
		EXPECT(level_is(&level));
	}
}

static void destroy_reads_no_swap(void)
{
	destroy_in_swap(false);
}

static void unmap_reads_no_swap(void)
{
	destroy_in_swap(true);
}

/* Restoring writes nothing back and drops what was read at once. */
static void restore_drops(void)
{
	struct level level;
	struct gpu g;
	struct bo b;

	ASSERT(reclaim_prepare());
	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, 8 * MiB + 5 * PAGE, DRM_VTTM_WC, 1));
	/* what others have in memory goes out as well, so look at a second time */
	ASSERT(push_out(&g, &b));
	ASSERT(bo_check_map(&b));
	level_get(&level);
	ASSERT(push_out(&g, &b));
	ASSERT(bo_check_map(&b));
	EXPECT(level_is(&level));
}

/* One byte touched: the fault brings back the right one. */
static void fault_anywhere(void)
{
	static const uint64_t at[] = {
		0, PAGE - 4, 2 * MiB - 4, 2 * MiB, 3 * MiB + 4096, ODD - 4,
	};
	uint8_t page[PAGE];
	uint32_t got, want;
	struct gpu g;
	struct bo b;
	size_t i;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, ODD, DRM_VTTM_WC, 9));
	for (i = 0; i < ARRAY_LEN(at); i++) {
		ASSERT(bo_backup(&g, &b, i & 1));
		ASSERT(peek32(b.map + at[i], &got));
		pattern_page(test_source(), 9, at[i] / PAGE, page);
		memcpy(&want, page + at[i] % PAGE, 4);
		EXPECT_EQ(got, want);
	}
	EXPECT(bo_check_map(&b));
}

/* Engine writes reach a buffer that was backed up when they were queued. */
static void engine_writes(void)
{
	struct drm_vttm_op op = { .opcode = DRM_VTTM_OP_COPY };
	struct gpu g;
	struct bo a, b;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &a, ODD, DRM_VTTM_WC, 1));
	ASSERT(bo_new(&g, &b, ODD, DRM_VTTM_CACHED, 2));
	ASSERT(bo_backup(&g, &a, true));
	ASSERT(bo_backup(&g, &b, true));
	op.dst = a.handle;
	op.src = b.handle;
	op.size = a.size;
	ASSERT_OK(vttm_submit(g.fd, &op, 1));
	/* shrinking while the engine may still be at it must wait or refuse */
	vttm_shrink(g.minor, PAGES(a.size), false, NULL);
	ASSERT_OK(vttm_wait(g.fd, a.handle, -1));
	a.seed = b.seed;
	a.crc = b.crc;
	EXPECT(bo_check_map(&a));
	ASSERT(bo_backup(&g, &a, false));
	EXPECT(bo_check_engine(&g, &a));
	EXPECT(bo_check_map(&b));
}

/* The shrinker stops about where it was told to. */
static void shrink_budget(void)
{
	struct vttm_state i;
	uint64_t done, total = 0;
	struct bo b[4];
	unsigned int n;
	struct gpu g;

	ASSERT(gpu_open(&g));
	for (n = 0; n < ARRAY_LEN(b); n++)
		ASSERT(bo_new(&g, &b[n], 4 * MiB, n % 3, n + 1));
	ASSERT_OK(vttm_shrink(g.minor, PAGES(4 * MiB), false, &done));
	EXPECT_GE(done, PAGES(4 * MiB));
	for (n = 0; n < ARRAY_LEN(b); n++) {
		ASSERT(bo_info(&g, &b[n], &i));
		total += i.backed_up_pages;
	}
	EXPECT_EQ(total, done);
	EXPECT_LE(total, 2 * PAGES(4 * MiB));
	for (n = 0; n < ARRAY_LEN(b); n++)
		EXPECT(bo_check_map(&b[n]));
}

/* Purged is given back, not hidden, and nothing brings it back. */
static void expect_purged(const struct gpu *g, const struct bo *b)
{
	struct drm_vttm_op op = {
		.opcode = DRM_VTTM_OP_FILL, .dst = b->handle, .size = 4,
	};
	struct vttm_state i;
	uint32_t retained, v;

	ASSERT_OK(vttm_madvise(g->fd, b->handle, DRM_VTTM_MADV_WILLNEED,
			       &retained));
	EXPECT_EQ(retained, 0);
	ASSERT(bo_info(g, b, &i));
	EXPECT_EQ(i.flags, DRM_VTTM_INFO_PURGED);
	EXPECT_EQ(i.resident_pages, 0);
	EXPECT_EQ(i.backed_up_pages, 0);
	EXPECT_EQ(i.inserted_pages, 0);
	EXPECT(!peek32(b->map, &v));
	EXPECT(!peek32(b->map + b->size - 4, &v));
	EXPECT_ERR(vttm_submit(g->fd, &op, 1), EFAULT);
}

static void purge_resident(void)
{
	uint64_t active, out, shmem, done;
	struct vttm_state i;
	uint32_t retained;
	struct gpu g;
	struct bo keep, drop;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &keep, 4 * MiB, DRM_VTTM_WC, 1));
	shmem = vmstat("nr_shmem");
	active = vmstat("nr_gpu_active");
	ASSERT(bo_new(&g, &drop, 8 * MiB, DRM_VTTM_WC, 2));
	ASSERT_OK(vttm_madvise(g.fd, drop.handle, DRM_VTTM_MADV_DONTNEED,
			       &retained));
	EXPECT_EQ(retained, 1);
	ASSERT(bo_info(&g, &drop, &i));
	EXPECT_EQ(i.flags, DRM_VTTM_INFO_DONTNEED);
	/* second thoughts before any pressure: all is there */
	ASSERT_OK(vttm_madvise(g.fd, drop.handle, DRM_VTTM_MADV_WILLNEED,
			       &retained));
	EXPECT_EQ(retained, 1);
	ASSERT(bo_info(&g, &drop, &i));
	EXPECT_EQ(i.flags, 0);
	EXPECT(vttm_purge(g.minor, 1, NULL) < 0);
	ASSERT(bo_check_map(&drop));

	ASSERT_OK(vttm_madvise(g.fd, drop.handle, DRM_VTTM_MADV_DONTNEED, NULL));
	writeback_settle();
	out = vmstat("pswpout");
	ASSERT_OK(vttm_purge(g.minor, PAGES(keep.size) + PAGES(drop.size), &done));
	EXPECT_EQ(done, PAGES(drop.size));
	expect_purged(&g, &drop);
	/* given back without a detour */
	EXPECT_EQ(vmstat("nr_gpu_active"), active);
	EXPECT_EQ(vmstat("nr_shmem"), shmem);
	EXPECT_EQ(vmstat("pswpout"), out);
	EXPECT(bo_check_map(&keep));
}

/* Given up while out in swap: dropped there, without reading it. */
static void purge_backed_up(void)
{
	struct level level;
	uint64_t in;
	struct gpu g;
	struct bo b;

	ASSERT(reclaim_prepare());
	ASSERT(gpu_open(&g));
	level_get(&level);
	ASSERT(bo_new(&g, &b, 8 * MiB + 5 * PAGE, DRM_VTTM_WC, 1));
	ASSERT(push_out(&g, &b));
	in = vmstat("pswpin");
	ASSERT_OK(vttm_madvise(g.fd, b.handle, DRM_VTTM_MADV_DONTNEED, NULL));
	expect_purged(&g, &b);
	EXPECT_EQ(vmstat("pswpin"), in);
	EXPECT(level_is(&level));
}

static unsigned int trace_lines(const char *event)
{
	const char *p = read_file(TRACING "/trace");
	unsigned int n = 0;
	char key[64];

	if (!p)
		return 0;
	snprintf(key, sizeof(key), ": %s:", event);
	while ((p = strstr(p, key))) {
		n++;
		p += strlen(key);
	}
	return n;
}

static void tracepoint(void)
{
	const char *enable = TRACING "/events/shmem/shmem_insert_folio/enable";
	struct backup_counters then, c;
	unsigned int i, folios = 0;
	struct gpu g;
	struct bo b;

	ASSERT(gpu_open(&g));
	EXPECT(file_exists(TRACING "/events/shmem/shmem_insert_folio_fail/enable"));
	ASSERT(bo_new(&g, &b, ODD, DRM_VTTM_WC, 1));
	ASSERT_OK(write_file(TRACING "/trace", "\n"));
	ASSERT_OK(trace_clear());
	ASSERT_OK(write_file(enable, "1"));
	backup_counters(&then);
	EXPECT(bo_backup(&g, &b, false));
	EXPECT_OK(write_file(enable, "0"));
	backup_counters_since(&then, &c);
	for (i = 0; i <= PMD_NR; i++)
		folios += c.order[i];
	EXPECT_GT(folios, 0);
	EXPECT_EQ(trace_lines("shmem_insert_folio"), folios);
	EXPECT_EQ(trace_lines("shmem_insert_folio_fail"), 0);
	EXPECT(bo_check_map(&b));
}

/* Does reclaim see anything to take from the device? */
static bool reclaim_sees_buffers(void)
{
	const char *enable = TRACING "/events/vmscan/mm_shrink_slab_start/enable";
	const char *trace;

	EXPECT_OK(trace_clear());
	EXPECT_OK(write_file(enable, "1"));
	EXPECT_OK(write_file("/proc/sys/vm/drop_caches", "2"));
	EXPECT_OK(write_file(enable, "0"));
	trace = read_file(TRACING "/trace");
	return trace && strstr(trace, "vttm_shrinker_scan");
}

static void shrinker_forgets(void)
{
	uint32_t caching;
	struct gpu g;
	struct bo b;

	ASSERT(gpu_open(&g));
	EXPECT(!reclaim_sees_buffers());
	for (caching = DRM_VTTM_CACHED; caching <= DRM_VTTM_UC; caching++) {
		ASSERT(bo_new(&g, &b, ODD, caching, 1));
		EXPECT(reclaim_sees_buffers());
		ASSERT(bo_backup(&g, &b, false));
		EXPECT(!reclaim_sees_buffers());
		EXPECT(bo_check_map(&b));
		EXPECT(reclaim_sees_buffers());
		EXPECT(bo_check_map(&b));
		bo_free(&g, &b);
		EXPECT(!reclaim_sees_buffers());
	}
}

#define SWAPPED								\
	{ "c46_swap_round_trip", swap_round_trip },			\
	{ "c46_fault_anywhere_restores", fault_anywhere },		\
	{ "c46_engine_writes_after_backup", engine_writes },		\
	{ "c25_writeback_flag_reaches_swap", writeback_flag },		\
	{ "c53_destroy_reads_no_swap", destroy_reads_no_swap },		\
	{ "c53_last_unmap_reads_no_swap", unmap_reads_no_swap },	\
	{ "c53_restore_drops_backup", restore_drops },			\
	{ "c55_purge_backed_up", purge_backed_up },			\
	{ "c57_policy_changed_at_run_time", policies }

/*
 * Programs that decode a trace know numbers, not the kernel's names: each value that
 * has a text is a number.
 */
static void trace_formats(void)
{
	static const char *const events[] = {
		"ttm/ttm_backup_chunk", "ttm/ttm_restore_chunk",
		"shmem/shmem_insert_folio", "shmem/shmem_insert_folio_fail",
		"shmem/shmem_extract_folio", "shmem/shmem_extract_folio_fail",
	};
	unsigned int values = 0, n;
	const char *p;
	char path[128];

	for (n = 0; n < sizeof(events) / sizeof(events[0]); n++) {
		snprintf(path, sizeof(path), TRACING "/events/%s/format", events[n]);
		p = read_file(path);
		ASSERT(p);
		p = strstr(p, "print fmt:");
		ASSERT(p);
		for (p = strchr(p, '{'); p; p = strchr(p + 1, '{'), values++)
			if (!strchr("-0123456789", p[1 + strspn(p + 1, " (")]))
				FAIL("%s has %.32s", events[n], p);
	}
	/* the four ways of a restore at least */
	EXPECT(values >= 4);
}

static const struct test tests_zram[] = {
	{ "c46_cached_round_trip", round_trip_cached },
	{ "c46_wc_round_trip", round_trip_wc },
	{ "c46_uc_round_trip", round_trip_uc },
	{ "c23_c58_accounting_follows_pages", resident_as_shmem },
	{ "c60_c24_backup_allocates_no_page", no_page_allocated },
	{ "counters_exact", counters_exact },
	{ "shrink_keeps_to_its_budget", shrink_budget },
	{ "shrinker_forgets_what_is_gone", shrinker_forgets },
	{ "c55_purge_resident", purge_resident },
	{ "tracepoints_match_counters", tracepoint },
	{ "c124_trace_formats_have_numbers", trace_formats },
	{ "c82_refused_writeback_is_given_up", writeback_refused },
	SWAPPED,
	{ "c1_2mib_folio_swapped_whole", swapped_whole },
};

static const struct test tests_disk[] = {
	SWAPPED,
	{ "c1_2mib_folio_swapped_whole", swapped_whole },
};

static const struct test tests_file[] = {
	SWAPPED,
	{ "c80_file_takes_folios_whole", swapped_to_file },
	{ "c80_folios_go_past_the_pieces", past_the_pieces },
	{ "c80_pieces_are_not_discarded", pieces_are_not_discarded },
	{ "c80_next_folio_goes_on_looking", goes_on_looking },
};

static const struct test tests_fragments[] = {
	SWAPPED,
	{ "c80_fragments_take_single_pages", swapped_to_file },
};

/* booted with ttm.zero_copy=0 */
static const struct test tests_copy[] = {
	{ "zero_copy_off_copies", copy_mode },
	{ "copying_cached_round_trip", round_trip_cached },
	{ "copying_wc_round_trip", round_trip_wc },
	{ "copying_uc_round_trip", round_trip_uc },
	{ "copying_swap_round_trip", swap_round_trip },
	{ "copying_fault_anywhere_restores", fault_anywhere },
	{ "copying_writeback_flag_reaches_swap", writeback_flag },
	{ "copying_restore_drops_backup", restore_drops },
	{ "copying_policy_changed_at_run_time", policies },
};

int main(void)
{
	mount_all();
	return run_by_swap(TEST_TABLE(tests_zram), TEST_TABLE(tests_disk),
			   TEST_TABLE(tests_file), TEST_TABLE(tests_fragments),
			   TEST_TABLE(tests_copy));
}
