// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * test-reports [stutter|tinyswap|small|submit|exits|readers|neighbours]
 *
 * What users of real drivers have reported, done with the virtual one; docs/reports.md
 * has the list. Without an argument, those that take no long time and no machine of a
 * special kind. Some say figures, in lines "# figure NAME VALUE", for a comparison of kernels.
 */

#include <sys/mman.h>
#include <unistd.h>

#include <xf86drm.h>

#include "reports.h"

unsigned int rounds = 10;
unsigned int seconds = 5;

void figure(const char *name, double value)
{
	test_note("figure %s %.4f", name, value);
}

int touch(const struct gpu *g, const struct bo *b, unsigned int nr)
{
	struct drm_vttm_op ops[16];
	unsigned int i;
	int ret;

	if (nr > ARRAY_LEN(ops))
		die("%u buffers in one job", nr);
	/* reads a word of each and leaves it as it is, but for the first one's last */
	for (i = 0; i < nr; i++)
		ops[i] = (struct drm_vttm_op){
			.opcode = DRM_VTTM_OP_CRC32, .dst = b[0].handle,
			.dst_offset = b[0].size - 4, .src = b[i].handle, .size = 4,
		};
	ret = vttm_submit(g->fd, ops, nr);
	return ret ?: vttm_wait(g->fd, b[0].handle, -1);
}

bool where_are(const struct gpu *g, const struct bo *b, unsigned int nr,
	       struct vttm_state *sum)
{
	uint64_t resident = 0, backed_up = 0;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (!bo_info(g, &b[i], sum))
			return false;
		resident += sum->resident_pages;
		backed_up += sum->backed_up_pages;
	}
	sum->resident_pages = resident;
	sum->backed_up_pages = backed_up;
	return true;
}

/* ---- backups and restores that fail, again and again ---- */

static void fails_again(void)
{
	unsigned int i, round, gone, interval, failures = 0;
	struct vttm_state s;
	struct bo b[6];
	struct gpu g;
	int times;

	ASSERT(gpu_open(&g));
	for (i = 0; i < ARRAY_LEN(b); i++)
		ASSERT(bo_new(&g, &b[i], i & 1 ? 4 * KiB : 6 * MiB, i % 3, i + 1));
	for (round = 0; round < 12; round++) {
		/*
		 * Nothing goes, then up to some page, then all but one. There are 18 places
		 * that can fail: one for each chunk, and one for each buffer.
		 */
		times = round % 3 ? -1 : 1;
		if (!fault_inject_after(round * 3 / 2, times))
			return;
		for (i = 0; i < 4; i++)
			vttm_shrink(g.minor, 5000, round & 1, NULL);
		for (i = 0, gone = 0; i < ARRAY_LEN(b); i++) {
			ASSERT(bo_info(&g, &b[i], &s));
			gone += s.backed_up_pages > 0;
		}
		ASSERT(where_are(&g, b, ARRAY_LEN(b), &s));
		if (times > 0) {
			EXPECT(fault_injected());
			EXPECT_EQ(s.resident_pages, 0);
		} else {
			EXPECT_GT(s.resident_pages, 0);
		}
		/*
		 * It comes back in many attempts. As few places are sure to be passed as
		 * there are buffers that went, so no more of them can be asked to fail.
		 */
		interval = 1 + round % 3;
		times = !gone ? 0 : interval == 1 ? 1 + round * 3 : (gone - 1) / (interval - 1);
		if (!fault_inject(100, interval, times))
			return;
		for (i = 0; i < ARRAY_LEN(b); i++)
			EXPECT((i + round) & 1 ? bo_check_map(&b[i]) :
						 bo_check_engine(&g, &b[i]));
		EXPECT(fault_injected());
		failures += times;
		fault_inject_off();
		/* and goes and comes whole after that */
		for (i = 0; i < ARRAY_LEN(b); i++)
			ASSERT(bo_backup(&g, &b[i], false));
		for (i = 0; i < ARRAY_LEN(b); i++)
			EXPECT(bo_check_map(&b[i]));
	}
	test_note("%u attempts to restore failed", failures);
}

/* ---- a bulk move that loses one that is backed up in part ---- */

static void bulk_loses_one(void)
{
	enum { NR = 8, LOST = 2 };
	unsigned int i, round;
	struct vttm_state s;
	struct bo b[NR];
	struct gpu g;

	for (round = 0; round < 6; round++) {
		ASSERT(gpu_open(&g));
		for (i = 0; i < NR; i++) {
			/* six chunks */
			ASSERT(bo_new_flags(&g, &b[i], 2 * MiB + 31 * PAGE, i % 3,
					    DRM_VTTM_CREATE_LOCAL, i + 1));
		}
		/* the first two whole, the third in part, in the order of the LRU */
		ASSERT(bo_backup(&g, &b[0], false));
		ASSERT(bo_backup(&g, &b[1], false));
		/* a place for the buffer, and one for each of its chunks */
		if (!fault_inject_after(2 + round % 4, -1))
			return;
		vttm_shrink(g.minor, PAGES(b[LOST].size), round & 1, NULL);
		fault_inject_off();
		ASSERT(bo_info(&g, &b[LOST], &s));
		EXPECT_EQ(s.resident_pages + s.backed_up_pages, PAGES(b[LOST].size));
		EXPECT_GT(s.backed_up_pages, 0);
		EXPECT_GT(s.resident_pages, 0);
		bo_free(&g, &b[LOST]);
		b[LOST] = b[NR - 1];
		/* all that is left moves to the end, twice */
		for (i = 0; i < 2; i++)
			EXPECT_OK(touch(&g, b + 1, NR - 2));
		/* goes, all of it, and comes back */
		for (i = 0; i < NR - 1; i++)
			ASSERT(bo_backup(&g, &b[i], round & 1));
		for (i = 0; i < NR - 1; i++)
			EXPECT(i == 1 || bo_check_map(&b[i]));
		for (i = 0; i < NR - 1; i++)
			munmap(b[i].map, b[i].size);
		close(g.fd);
	}
}

/* ---- very many small buffers ---- */

static uint64_t used_pages(void)
{
	return (meminfo_kib("MemTotal") - meminfo_kib("MemFree")) * KiB / PAGE;
}

static void small_buffers(void)
{
	enum { NR = 10000 };
	static uint32_t handles[NR];
	uint64_t size, pages = 0, before, made, after, done, shmem, swap, total = 0;
	struct gpu g;
	unsigned int i;
	uint32_t v;

	ASSERT(gpu_open(&g));
	shmem = vmstat("nr_shmem");
	swap = swap_used_pages();
	before = used_pages();
	for (i = 0; i < NR; i++) {
		void *map;

		/* mostly small, 4 to 256 KiB, 17 KiB in the mean */
		size = PAGE << (i % 64 < 33 ? 0 : i % 64 < 49 ? 1 : i % 64 < 57 ? 2 :
				i % 64 < 61 ? 4 : i % 64 < 63 ? 5 : 6);
		ASSERT_OK(vttm_create(g.fd, &size, DRM_VTTM_CACHED, &handles[i]));
		map = vttm_map(g.fd, handles[i], size);
		ASSERT(map != MAP_FAILED);
		ASSERT(peek32(map, &v));
		*(uint32_t *)map = i + 1;
		munmap(map, size);
		pages += PAGES(size);
	}
	made = used_pages();
	while (total < pages) {
		int ret = vttm_shrink(g.minor, pages - total, false, &done);

		ASSERT_OK(ret);
		total += done;
	}
	pools_drain();
	lru_drain();
	after = used_pages();
	/* what holds the contents is not what managing them takes */
	EXPECT_EQ(vmstat("nr_shmem") - shmem + swap_used_pages() - swap, pages);
	test_note("%" PRIu64 " pages in %u buffers: %" PRIu64 " pages of memory for them, %" PRIu64 " backed up",
		  pages, NR, made - before, after - before);
	figure("small_bytes_per_backed_up_byte", (double)(after - before) / pages);
	for (i = 0; i < NR; i += 7) {
		void *map;

		size = PAGE;
		map = vttm_map(g.fd, handles[i], size);
		ASSERT(map != MAP_FAILED);
		ASSERT(peek32(map, &v));
		EXPECT_EQ(v, i + 1);
		munmap(map, size);
	}
}

/* ---- ---- */

static const struct test tests_short[] = {
	{ "c108_r2_backups_and_restores_fail_again_and_again", fails_again },
	{ "c108_r4_bulk_move_loses_a_part_backed_up", bulk_loses_one },
	{ "c108_r8_neighbours_in_groups", neighbours },
	{ "c108_r12_jobs_with_little_free", submit_when_short },
	{ "c108_r13_exits_with_jobs_pending", exits },
	{ "c108_r14_readers_of_statistics", readers },
};

/* as the table's names of upstream's kernel too, where nothing can be made to fail */
static const struct {
	const char *mode;
	struct test test;
	bool may_oom;
} modes[] = {
	{ "stutter", { "c108_r1_desktop_on_fragmented_memory", stutter }, false },
	{ "tinyswap", { "c108_r9_next_to_no_swap", tiny_swap }, true },
	{ "small", { "c108_r16_many_small_buffers", small_buffers }, false },
	{ "submit", { "c108_r12_jobs_with_little_free", submit_when_short }, false },
	{ "exits", { "c108_r13_exits_with_jobs_pending", exits }, false },
	{ "readers", { "c108_r14_readers_of_statistics", readers }, false },
	{ "neighbours", { "c108_r8_neighbours_in_groups", neighbours_of_300_mib }, false },
};

int main(int argc, char **argv)
{
	unsigned int i;

	mount_all();
	if (argc < 2)
		return ktap_run(tests_short, ARRAY_LEN(tests_short));
	if (argc == 3) {
		rounds = strtoul(argv[2], NULL, 10);
		seconds = rounds;
		argc--;
	}
	for (i = 0; argc == 2 && i < ARRAY_LEN(modes); i++)
		if (!strcmp(argv[1], modes[i].mode)) {
			ktap_may_oom = modes[i].may_oom;
			return ktap_run(&modes[i].test, 1);
		}
	die("usage: test-reports [stutter|tinyswap|small|submit|exits|readers|neighbours [ROUNDS-OR-SECONDS]]");
}
