// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Buffers in VRAM, which is less than they need, so that TTM evicts some of them to
 * system memory, and swaps them out there where the device has no shrinker; with
 * "hibernate", more than memory has room for. The machine has a piece of its memory
 * reserved for each device.
 */

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xf86drm.h>

#include "fixture.h"

#define SIZE	(4 * MiB + PAGE)
/* more than 64 MiB */
#define BUFFERS	24

static bool in_vram(const struct gpu *g, const struct bo *b)
{
	struct vttm_state i;

	return bo_info(g, b, &i) && i.flags & DRM_VTTM_INFO_VRAM;
}

static unsigned int count_in_vram(const struct gpu *g, const struct bo *b,
				  unsigned int nr)
{
	unsigned int i, n = 0;

	for (i = 0; i < nr; i++)
		n += in_vram(g, &b[i]);
	return n;
}

static bool fill_vram(const struct gpu *g, struct bo *b, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (!bo_new_flags(g, &b[i], SIZE, i % 3, DRM_VTTM_CREATE_VRAM, i + 1))
			return false;
	return true;
}

static void check_and_free(const struct gpu *g, struct bo *b, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		EXPECT(bo_check_map(&b[i]));
		EXPECT(bo_check_engine(g, &b[i]));
		bo_free(g, &b[i]);
	}
}

static void evicted(void)
{
	static struct bo b[BUFFERS];
	unsigned int n, room = vttm_vram_size() / SIZE;
	struct gpu g;

	ASSERT(gpu_open(&g));
	ASSERT(room > 1 && room < BUFFERS);
	ASSERT(fill_vram(&g, b, BUFFERS));
	/* The last ones drove out the first ones. */
	n = count_in_vram(&g, b, BUFFERS);
	EXPECT_EQ(n, room);
	EXPECT(!in_vram(&g, &b[0]));
	EXPECT(in_vram(&g, &b[BUFFERS - 1]));
	check_and_free(&g, b, BUFFERS);
}

static void comes_back(bool backed_up)
{
	static struct bo b[BUFFERS];
	unsigned int i;
	struct gpu g;

	ASSERT(gpu_open(&g));
	ASSERT(fill_vram(&g, b, BUFFERS));
	ASSERT(!in_vram(&g, &b[0]));
	/* There is no room, and nobody is driven out for it. */
	EXPECT(bo_check_engine(&g, &b[0]));
	EXPECT(!in_vram(&g, &b[0]));
	if (backed_up) {
		ASSERT(bo_backup(&g, &b[0], true));
		EXPECT(bo_check_where(&g, &b[0], 0, PAGES(SIZE),
				      zero_copy_get() ? PAGES(SIZE) : 0));
	}
	for (i = 1; i < BUFFERS; i++)
		bo_free(&g, &b[i]);
	EXPECT(bo_check_engine(&g, &b[0]));
	EXPECT(in_vram(&g, &b[0]));
	check_and_free(&g, b, 1);
}

static void evicted_comes_back(void)
{
	comes_back(false);
}

static void swapped_comes_back(void)
{
	comes_back(true);
}

static void copied_across(void)
{
	struct bo vram, sys;
	struct gpu g;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new_flags(&g, &vram, SIZE, DRM_VTTM_WC, DRM_VTTM_CREATE_VRAM, 1));
	ASSERT(bo_new(&g, &sys, SIZE, DRM_VTTM_WC, 2));
	EXPECT(in_vram(&g, &vram));
	EXPECT(!in_vram(&g, &sys));
	ASSERT_OK(vttm_submit(g.fd, &(struct drm_vttm_op) {
			.opcode = DRM_VTTM_OP_COPY, .dst = sys.handle,
			.src = vram.handle, .size = SIZE,
		  }, 1));
	ASSERT_OK(vttm_wait(g.fd, sys.handle, -1));
	sys.seed = vram.seed;
	sys.crc = vram.crc;
	EXPECT(bo_check_map(&sys));
	EXPECT(bo_check_engine(&g, &sys));
	ASSERT(bo_fill(&sys, 3));
	ASSERT_OK(vttm_submit(g.fd, &(struct drm_vttm_op) {
			.opcode = DRM_VTTM_OP_COPY, .dst = vram.handle,
			.src = sys.handle, .size = SIZE,
		  }, 1));
	ASSERT_OK(vttm_wait(g.fd, vram.handle, -1));
	vram.seed = sys.seed;
	vram.crc = sys.crc;
	EXPECT(in_vram(&g, &vram));
	check_and_free(&g, &vram, 1);
	bo_free(&g, &sys);
}

static void new_is_zero(void)
{
	uint64_t size = vttm_vram_size() / 2, p, bad = 0;
	struct gpu g;
	struct bo b;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new_flags(&g, &b, size, DRM_VTTM_WC, DRM_VTTM_CREATE_VRAM, 1));
	EXPECT(in_vram(&g, &b));
	bo_free(&g, &b);
	/* where that was */
	ASSERT_OK(bo_create(g.fd, &b, size, DRM_VTTM_WC, DRM_VTTM_CREATE_VRAM));
	ASSERT_OK(bo_map(g.fd, &b));
	for (p = 0; p < b.size; p += sizeof(uint32_t))
		bad += *(uint32_t *)(b.map + p) != 0;
	EXPECT_EQ(bad, 0);
	bo_free(&g, &b);
}

/* Through the kernel, across the border of a page, where the buffer is and elsewhere */
static void debugged(void)
{
	uint32_t words[4], back[4];
	struct gpu g;
	struct bo b;
	off_t at;
	int mem;

	mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	ASSERT(mem >= 0);
	ASSERT(gpu_open(&g));
	ASSERT(bo_new_flags(&g, &b, SIZE, DRM_VTTM_WC, DRM_VTTM_CREATE_VRAM, 1));
	EXPECT(in_vram(&g, &b));
	at = (uintptr_t)b.map + 3 * PAGE - sizeof(words) / 2;
	memcpy(words, b.map + 3 * PAGE - sizeof(words) / 2, sizeof(words));
	EXPECT_EQ(pread(mem, back, sizeof(back), at), sizeof(back));
	EXPECT_EQ(memcmp(words, back, sizeof(back)), 0);
	words[1] = 0x4711;
	words[2] = 0x0815;
	EXPECT_EQ(pwrite(mem, words, sizeof(words), at), sizeof(words));
	EXPECT(in_vram(&g, &b));
	EXPECT_EQ(memcmp(words, b.map + 3 * PAGE - sizeof(words) / 2, sizeof(words)), 0);
	bo_free(&g, &b);

	ASSERT(bo_new(&g, &b, SIZE, DRM_VTTM_WC, 1));
	EXPECT(bo_backup(&g, &b, false));
	at = (uintptr_t)b.map + 3 * PAGE - sizeof(words) / 2;
	EXPECT_EQ(pread(mem, back, sizeof(back), at), sizeof(back));
	EXPECT(bo_check_map(&b));
	EXPECT_EQ(memcmp(back, b.map + 3 * PAGE - sizeof(words) / 2, sizeof(back)), 0);
	bo_free(&g, &b);
	close(mem);
}

/* A buffer in VRAM, and a dma-buf of it */
static bool export_from_vram(struct gpu *g, struct gpu *other, struct bo *b, int *fd)
{
	if (!gpu_open(g) || !gpu_open_nth(other, 1) ||
	    !bo_new_flags(g, b, SIZE, DRM_VTTM_WC, DRM_VTTM_CREATE_VRAM, 1))
		return false;
	EXPECT(in_vram(g, b));
	EXPECT(!drmPrimeHandleToFD(g->fd, b->handle, DRM_CLOEXEC | DRM_RDWR, fd));
	return !test_failures;
}

/* Others get at pages, so these are in system memory as long as they do. */
static void shared_leaves(void)
{
	struct gpu g, other;
	struct bo b, as_imported;
	int fd;

	ASSERT(export_from_vram(&g, &other, &b, &fd));
	as_imported = b;
	ASSERT(!drmPrimeFDToHandle(other.fd, fd, &as_imported.handle));
	close(fd);
	EXPECT(bo_check_engine(&other, &as_imported));
	EXPECT(!in_vram(&g, &b));
	EXPECT(bo_check_engine(&g, &b));
	vttm_close(other.fd, as_imported.handle);
	check_and_free(&g, &b, 1);
}

/* Who exports has it moved, so that nobody who imports waits for that with locks held. */
static void exported_leaves(void)
{
	struct gpu g, other;
	struct bo b;
	uint32_t handle;
	int fd;

	ASSERT(export_from_vram(&g, &other, &b, &fd));
	EXPECT(!in_vram(&g, &b));
	EXPECT(bo_check_engine(&g, &b));
	EXPECT(!in_vram(&g, &b));
	ASSERT_OK(bo_keep_busy(&g, &b, 1, 0));
	ASSERT(!drmPrimeFDToHandle(other.fd, fd, &handle));
	EXPECT_ERR(vttm_wait(g.fd, b.handle, 0), ETIME);
	close(fd);
	bo_unmap(&b);
	close(g.fd);
	close(other.fd);
}

/* With its lock held, others of the same file would wait as well. */
static void busy_is_not_waited_for(void)
{
	static struct bo b[BUFFERS];
	unsigned int i, room = vttm_vram_size() / SIZE;
	struct bo first, more;
	struct gpu g, other;

	ASSERT(gpu_open(&g));
	ASSERT(gpu_open(&other));
	/* driven out by those that fill VRAM */
	ASSERT(bo_new_flags(&g, &first, SIZE, DRM_VTTM_WC, DRM_VTTM_CREATE_VRAM, 99));
	ASSERT(fill_vram(&g, b, room));
	ASSERT_EQ(count_in_vram(&g, b, room), room);
	ASSERT(!in_vram(&g, &first));
	ASSERT_OK(bo_keep_busy(&g, b, room, 0));
	/* nobody who could be driven out is idle */
	ASSERT(bo_new_flags(&other, &more, SIZE, DRM_VTTM_WC, DRM_VTTM_CREATE_VRAM, 98));
	EXPECT_ERR(vttm_wait(g.fd, b[0].handle, 0), ETIME);
	EXPECT(!in_vram(&other, &more));
	EXPECT(bo_check_map(&more));
	bo_free(&other, &more);
	for (i = 0; i < room; i++)
		bo_unmap(&b[i]);
	bo_unmap(&first);
	close(g.fd);
	/* its jobs go with it, and its buffers with these */
	ASSERT(active_falls_to(0));

	ASSERT(gpu_open(&g));
	ASSERT(bo_new_flags(&g, &first, SIZE, DRM_VTTM_WC, DRM_VTTM_CREATE_VRAM, 97));
	ASSERT(fill_vram(&g, b, room));
	ASSERT(!in_vram(&g, &first));
	ASSERT_OK(bo_keep_busy(&g, &first, 1, 0));
	for (i = 0; i < room; i++)
		bo_free(&g, &b[i]);
	/* there is room now, and it does not move there until it is idle */
	ASSERT_OK(vttm_submit(g.fd, &(struct drm_vttm_op) {
			.opcode = DRM_VTTM_OP_FILL, .dst = first.handle, .size = PAGE,
		  }, 1));
	EXPECT_ERR(vttm_wait(g.fd, first.handle, 0), ETIME);
	EXPECT(!in_vram(&g, &first));
	bo_unmap(&first);
	close(g.fd);
	close(other.fd);
}

/* What others have in VRAM is theirs when it is evicted as well. */
static void evictor_is_not_charged(void)
{
	enum { NR = 4000 };
	static uint32_t handles[NR];
	uint64_t size = PAGE, charged;
	struct gpu g, other;
	unsigned int i;
	struct bo b;

	ASSERT_OK(cg_create("evictor"));
	ASSERT(gpu_open(&g));
	ASSERT(gpu_open(&other));
	for (i = 0; i < NR; i++)
		ASSERT_OK(vttm_create_flags(g.fd, &size, DRM_VTTM_CACHED,
					    DRM_VTTM_CREATE_VRAM, &handles[i]));
	/* charges are made for a batch at a time, 256 KiB, for each processor */
	ASSERT_OK(run_on(0));
	ASSERT_OK(cg_enter("evictor"));
	charged = cg_read("evictor", "memory.current");
	/* this has to drive all of them out */
	ASSERT_OK(bo_create(other.fd, &b, vttm_vram_size(), DRM_VTTM_CACHED, DRM_VTTM_CREATE_VRAM));
	ASSERT(in_vram(&other, &b));
	charged = cg_read("evictor", "memory.current") - charged;
	ASSERT_OK(cg_enter("."));
	test_note("%" PRIu64 " KiB charged to who evicts %u buffers", charged / KiB, NR);
	/* each of them takes more than 200 bytes, or than 1 KiB with its file */
	EXPECT_GE(NR * 128, charged);
	vttm_close(other.fd, b.handle);
	close(g.fd);
	close(other.fd);
	EXPECT_OK(cg_remove("evictor"));
}

/* Evicted while it is not needed, it can be given up there. */
static void unneeded_is_purged(void)
{
	static struct bo b[BUFFERS];
	uint32_t retained;
	struct vttm_state i;
	uint64_t done;
	struct gpu g;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new_flags(&g, &b[0], SIZE, DRM_VTTM_WC, DRM_VTTM_CREATE_VRAM, 1));
	ASSERT_OK(vttm_madvise(g.fd, b[0].handle, DRM_VTTM_MADV_DONTNEED, &retained));
	EXPECT_EQ(retained, 1);
	EXPECT(in_vram(&g, &b[0]));
	ASSERT(fill_vram(&g, b + 1, BUFFERS - 1));
	EXPECT(!in_vram(&g, &b[0]));
	ASSERT_OK(vttm_purge(g.minor, PAGES(SIZE), &done));
	EXPECT_EQ(done, PAGES(SIZE));
	ASSERT(bo_info(&g, &b[0], &i));
	EXPECT_EQ(i.flags, DRM_VTTM_INFO_PURGED);
	bo_free(&g, &b[0]);
	check_and_free(&g, b + 1, BUFFERS - 1);
}

static bool check_all(const struct gpu *g, const struct bo *b, unsigned int nr)
{
	unsigned int i;
	bool ok = true;

	for (i = 0; i < nr; i++)
		ok &= bo_check_engine(g, &b[i]) && bo_check_map(&b[i]);
	return ok;
}

#define KEPT	(16 * MiB)

/* All of VRAM is in use, and memory has not room for it. */
static void larger_than_memory(void)
{
	unsigned int nr = vttm_vram_size() / SIZE, i;
	struct bo *b = calloc(nr, sizeof(*b));
	struct gpu g;
	void *kept;
	int ret;

	ASSERT(b);
	ASSERT(reclaim_prepare());
	ASSERT(vttm_vram_size() > meminfo_kib("MemTotal") * KiB);
	ASSERT(gpu_open(&g));
	ASSERT(fill_vram(&g, b, nr));
	ASSERT_EQ(count_in_vram(&g, b, nr), nr);

	ASSERT_OK(hibernate());
	EXPECT_EQ(count_in_vram(&g, b, nr), 0);
	EXPECT(check_all(&g, b, nr));

	/* The engine has them in VRAM again. This is how upstream does it. */
	ASSERT_EQ(count_in_vram(&g, b, nr), nr);
	ASSERT_OK(write_file("/sys/module/vttm/parameters/evict_at_once", "1"));
	/* It leaves no memory for the rest of this test, so keep some. */
	kept = mmap(NULL, KEPT, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED | MAP_POPULATE, -1, 0);
	ASSERT(kept != MAP_FAILED);
	ret = hibernate();
	munmap(kept, KEPT);
	EXPECT_EQ(ret, -ENOMEM);
	EXPECT(count_in_vram(&g, b, nr) > 0);
	EXPECT(check_all(&g, b, nr));
	for (i = 0; i < nr; i++)
		bo_free(&g, &b[i]);
	free(b);
}

static const struct test tests[] = {
	{ "c113_evicted_with_every_byte", evicted },
	{ "c113_evicted_comes_back", evicted_comes_back },
	{ "c113_swapped_comes_back", swapped_comes_back },
	{ "c113_copied_across", copied_across },
	{ "c113_new_is_zero", new_is_zero },
	{ "c113_shared_leaves_vram", shared_leaves },
	{ "c113_exported_leaves_vram", exported_leaves },
	{ "c113_busy_is_not_waited_for", busy_is_not_waited_for },
	{ "c104_evictor_in_a_group_is_not_charged", evictor_is_not_charged },
	{ "c113_debugger_sees_what_is_there", debugged },
	/* the last one, as TTM purges nothing by itself */
	{ "c113_unneeded_is_purged", unneeded_is_purged },
};

/* booted with ttm.zero_copy=0 */
static const struct test copy_tests[] = {
	{ "c92_c113_swapped_comes_back_by_a_copy", swapped_comes_back },
	{ "c92_c113_debugger_sees_what_was_copied", debugged },
};

static const struct test hibernate_tests[] = {
	{ "c111_vram_larger_than_memory", larger_than_memory },
};

int main(int argc, char **argv)
{
	mount_all();
	if (!vttm_vram_size())
		die("no VRAM: boot with vttm.vram=");
	if (argc > 1 && !strcmp(argv[1], "hibernate"))
		return ktap_run(hibernate_tests, ARRAY_LEN(hibernate_tests));
	if (!zero_copy_get())
		return ktap_run(copy_tests, ARRAY_LEN(copy_tests));
	return ktap_run(tests, ARRAY_LEN(tests) - !vttm_has_shrinker());
}
