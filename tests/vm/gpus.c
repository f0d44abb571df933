// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Drivers of GPUs that QEMU emulates, qxl and radeon: TTM swaps their buffers out, by
 * the drivers' own hooks. For build/gpus and vm/run --gpu; "test-gpus copy" where the
 * pages are those of the DMA API, which are copied. With "hibernate" only that is tried.
 */

#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include <qxl_drm.h>
#include <radeon_drm.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

#include "fixture.h"

#define WIDTH	1024	/* of which a line is a page */
#define ODD	(5 * MiB + 7 * PAGE)
#define MAX_LOCAL	8

static bool copied;	/* as the command line says */

struct card {
	int fd;
	bool radeon;
};

/* The two ways to a buffer in system memory, and one to memory of the GPU */
enum kind {
	DUMB,		/* radeon's begins in memory of the GPU */
	SYSTEM,		/* radeon only */
	LOCAL,
};

static bool card_open(struct card *c)
{
	char path[32];
	unsigned int i;

	for (i = 0; i < 8; i++) {
		drmVersionPtr version;
		bool qxl;

		snprintf(path, sizeof(path), "/dev/dri/card%u", i);
		c->fd = open(path, O_RDWR | O_CLOEXEC);
		if (c->fd < 0)
			continue;
		version = drmGetVersion(c->fd);
		qxl = version && !strcmp(version->name, "qxl");
		c->radeon = version && !strcmp(version->name, "radeon");
		drmFreeVersion(version);
		if (qxl || c->radeon)
			return true;
		close(c->fd);
	}
	return false;
}

static int create(const struct card *c, enum kind kind, uint64_t size, uint32_t *handle)
{
	uint32_t pitch;
	uint64_t got;
	int ret;

	if (kind == DUMB) {
		ret = drmModeCreateDumbBuffer(c->fd, WIDTH, PAGES(size), 32, 0, handle,
					      &pitch, &got);
		return ret ?: got == size ? 0 : -EMSGSIZE;
	}
	if (c->radeon) {
		struct drm_radeon_gem_create create = {
			.size = size,
			.initial_domain = kind == LOCAL ? RADEON_GEM_DOMAIN_VRAM :
							  RADEON_GEM_DOMAIN_CPU,
		};

		ret = drmCommandWriteRead(c->fd, DRM_RADEON_GEM_CREATE, &create,
					  sizeof(create));
		*handle = create.handle;
	} else {
		struct drm_qxl_alloc alloc = { .size = size };

		ret = drmCommandWriteRead(c->fd, DRM_QXL_ALLOC, &alloc, sizeof(alloc));
		*handle = alloc.handle;
	}
	return ret;
}

static int map_offset(const struct card *c, enum kind kind, const struct bo *b,
		      uint64_t *offset)
{
	int ret;

	if (kind == DUMB)
		return drmModeMapDumbBuffer(c->fd, b->handle, offset);
	if (c->radeon) {
		struct drm_radeon_gem_mmap map = { .handle = b->handle, .size = b->size };

		ret = drmCommandWriteRead(c->fd, DRM_RADEON_GEM_MMAP, &map, sizeof(map));
		*offset = map.addr_ptr;
	} else {
		struct drm_qxl_map map = { .handle = b->handle };

		ret = drmCommandWriteRead(c->fd, DRM_QXL_MAP, &map, sizeof(map));
		*offset = map.offset;
	}
	return ret;
}

static bool buffer_new(const struct card *c, struct bo *b, enum kind kind,
		       uint64_t size, uint32_t seed)
{
	uint64_t offset;
	int ret;

	memset(b, 0, sizeof(*b));
	b->size = size;
	ret = create(c, kind, size, &b->handle);
	if (!ret)
		ret = map_offset(c, kind, b, &offset);
	if (ret) {
		FAIL("a buffer of %" PRIu64 " bytes: %s", size, strerror(-ret));
		return false;
	}
	b->map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd, offset);
	if (b->map == MAP_FAILED) {
		FAIL("mmap of %" PRIu64 " bytes: %s", size, strerror(errno));
		return false;
	}
	return bo_fill(b, seed);
}

static void buffer_free(const struct card *c, struct bo *b)
{
	munmap(b->map, b->size);
	EXPECT_OK(drmCloseBufferHandle(c->fd, b->handle));
}

/* in system memory from the start */
static enum kind in_system(const struct card *c)
{
	return c->radeon ? SYSTEM : DUMB;
}

/* All of these pages are inserted, or all are copied. */
static bool gone_since(const struct backup_counters *then, uint64_t pages)
{
	struct backup_counters since;

	backup_counters_since(then, &since);
	if (since.inserted == (copied ? 0 : pages) && !since.copied && !since.refused)
		return true;
	FAIL("%" PRIu64 " of %" PRIu64 " pages inserted, %" PRIu64 " copied, %" PRIu64 " refusals",
	     since.inserted, pages, since.copied, since.refused);
	return false;
}

static bool back_since(const struct backup_counters *then, uint64_t pages)
{
	struct backup_counters since;

	backup_counters_since(then, &since);
	if (since.restored_extracted == (copied ? 0 : pages) &&
	    since.restored_extracted == restored_pages(&since))
		return true;
	FAIL("%" PRIu64 " of %" PRIu64 " pages extracted, %" PRIu64 " restored",
	     since.restored_extracted, pages, restored_pages(&since));
	return false;
}

/* Each order that TTM asks for, and those next to it; in memory, and through swap */
static void round_trip(void)
{
	struct backup_counters then;
	unsigned int order, odd, swap;
	struct card c;
	struct bo b;

	ASSERT(reclaim_prepare());
	ASSERT(card_open(&c));
	for (order = 0; order <= 10; order++) {
		for (odd = 0; odd < 2; odd++) {
			uint64_t size = (PAGE << order) + odd * PAGE;
			uint32_t seed = 10 * order + odd + 1;

			ASSERT(buffer_new(&c, &b, in_system(&c), size, seed));
			for (swap = 0; swap < 2; swap++) {
				backup_counters(&then);
				ASSERT(shrink_all(PAGES(size)));
				ASSERT(gone_since(&then, PAGES(size)));
				if (swap)
					reclaim_all();
				ASSERT(bo_check_map(&b));
				ASSERT(back_since(&then, PAGES(size)));
				/* other bytes, or what was not written anew would pass */
				ASSERT(bo_fill(&b, seed + 1000));
			}
			buffer_free(&c, &b);
		}
	}
}

/* Many at a time, in swap and nowhere else */
static void through_swap(void)
{
	uint64_t used = swap_used_pages(), in, pages = 0;
	struct backup_counters then;
	struct card c;
	struct bo b[6];
	unsigned int i;

	ASSERT(reclaim_prepare());
	ASSERT(card_open(&c));
	for (i = 0; i < ARRAY_LEN(b); i++) {
		ASSERT(buffer_new(&c, &b[i], in_system(&c), i & 1 ? 8 * MiB : ODD, i + 1));
		pages += PAGES(b[i].size);
	}
	backup_counters(&then);
	ASSERT(shrink_all(pages));
	EXPECT(gone_since(&then, pages));
	reclaim_all();
	EXPECT_GE(swap_used_pages() - used + SWAP_OTHERS, pages);
	in = vmstat("pswpin");
	for (i = 0; i < ARRAY_LEN(b); i++)
		EXPECT(bo_check_map(&b[i]));
	EXPECT_GE(vmstat("pswpin") - in, pages);
	EXPECT(back_since(&then, pages));
	for (i = 0; i < ARRAY_LEN(b); i++)
		EXPECT(bo_check_map(&b[i]));
}

/* Three times as much as may be allocated; what is used next finds room. */
static void limit_is_kept(void)
{
	const uint64_t limit = PAGES(12 * MiB), size = 3 * MiB;
	struct card c;
	struct bo b[12];
	unsigned int i;

	ASSERT(card_open(&c));
	ASSERT(limit_set(limit));
	for (i = 0; i < ARRAY_LEN(b); i++)
		if (!buffer_new(&c, &b[i], in_system(&c), size, i + 1))
			goto out;
	limit_check(NULL, b, ARRAY_LEN(b), limit, 0);
out:
	limit_restore();
}

static void needs_no_memory(void)
{
	struct card c;
	struct bo b;

	ASSERT(card_open(&c));
	ASSERT(buffer_new(&c, &b, in_system(&c), 32 * MiB, 1));
	swapout_check_memory(&b, copied);
}

/*
 * Buffers for memory of the GPU, some of which have to leave it for others: TTM can
 * swap these out. All of their pages or none are in the file of a buffer.
 */
static bool fill_local(const struct card *c, struct bo *b, uint64_t *evicted)
{
	struct backup_counters then;
	unsigned int i;
	int64_t ret;

	for (i = 0; i < MAX_LOCAL; i++)
		if (!buffer_new(c, &b[i], LOCAL, ODD, i + 1))
			return false;
	backup_counters(&then);
	for (*evicted = 0; (ret = tt_shrink()) > 0; *evicted += ret)
		;
	EXPECT_EQ(ret, 0);
	EXPECT_EQ(*evicted % PAGES(ODD), 0);
	EXPECT_GE(*evicted, 2 * PAGES(ODD));
	EXPECT_LE(*evicted, (MAX_LOCAL - 1) * PAGES(ODD));
	return gone_since(&then, *evicted);
}

static void evicted(void)
{
	struct backup_counters then;
	struct bo b[MAX_LOCAL];
	uint64_t pages;
	struct card c;
	unsigned int i;

	ASSERT(reclaim_prepare());
	ASSERT(card_open(&c));
	backup_counters(&then);
	ASSERT(fill_local(&c, b, &pages));
	reclaim_all();
	for (i = 0; i < MAX_LOCAL; i++)
		EXPECT(bo_check_map(&b[i]));
	EXPECT(back_since(&then, pages));
}

/* radeon's cursor has to be in memory of the GPU: all of it moves there from swap. */
static void moved_back(void)
{
	struct backup_counters then;
	drmModeResPtr resources;
	struct bo b[MAX_LOCAL];
	uint64_t pages;
	struct card c;
	unsigned int i;

	ASSERT(card_open(&c));
	resources = drmModeGetResources(c.fd);
	ASSERT(resources && resources->count_crtcs);
	backup_counters(&then);
	ASSERT(fill_local(&c, b, &pages));
	/* one after the other, as there is no room for more */
	for (i = 0; i < MAX_LOCAL; i++) {
		EXPECT_OK(drmModeSetCursor(c.fd, resources->crtcs[0], b[i].handle, 64, 64));
		EXPECT(bo_check_map(&b[i]));
	}
	EXPECT_OK(drmModeSetCursor(c.fd, resources->crtcs[0], 0, 0, 0));
	EXPECT(back_since(&then, pages));
	for (i = 0; i < MAX_LOCAL; i++)
		EXPECT(bo_check_map(&b[i]));
	drmModeFreeResources(resources);
}

/* What is given for reading only is not written as a debugger can, either. */
static void read_only(void)
{
	struct card c;
	struct bo b;

	ASSERT(card_open(&c));
	ASSERT(buffer_new(&c, &b, in_system(&c), ODD, 1));
	bo_check_read_only(c.fd, &b);
	buffer_free(&c, &b);
	close(c.fd);
}

/* As ROCm maps memory of the GPU that the processor does not get to */
static void not_accessible(void)
{
	static const int prots[] = { PROT_NONE, PROT_READ };
	enum kind kind;
	uint64_t offset;
	uint8_t *map;
	struct card c;
	unsigned int i;
	struct bo b;

	ASSERT(card_open(&c));
	kind = in_system(&c);
	ASSERT(buffer_new(&c, &b, kind, ODD, 1));
	ASSERT_OK(map_offset(&c, kind, &b, &offset));
	for (i = 0; i < ARRAY_LEN(prots); i++) {
		map = mmap(NULL, b.size, prots[i], MAP_SHARED, c.fd, offset);
		ASSERT(map != MAP_FAILED);
		bo_check_debugger_writes(&b, map);
		munmap(map, b.size);
	}
	buffer_free(&c, &b);
	close(c.fd);
}

/*
 * A real image is written and resumed. Before it is made, the drivers evict what memory of
 * the GPU holds, which QEMU would not lose; the rest is in swap, in files, and in memory.
 * Nothing comes back before it is used.
 */
static void hibernated(void)
{
	enum { IN_SWAP, IN_SHMEM, RESIDENT, NR_PLACES };
	struct bo local[MAX_LOCAL], b[NR_PLACES], fresh;
	const uint64_t all = (MAX_LOCAL + NR_PLACES) * PAGES(ODD);
	struct backup_counters then, since;
	unsigned int place, i;
	uint64_t out, more;
	struct card c;
	int64_t ret;

	ASSERT(reclaim_prepare());
	ASSERT(card_open(&c));
	ASSERT(fill_local(&c, local, &out));
	for (place = 0; place < NR_PLACES; place++) {
		ASSERT(buffer_new(&c, &b[place], in_system(&c), ODD, 100 + place));
		if (place == RESIDENT)
			break;
		ASSERT(shrink_all(PAGES(ODD)));
		out += PAGES(ODD);
		if (place == IN_SWAP)
			reclaim_all();
	}

	backup_counters(&then);
	ASSERT_OK(hibernate());
	backup_counters_since(&then, &since);
	EXPECT_EQ(restored_pages(&since), 0);
	/* Where nothing is left in memory of the GPU, all of it can be swapped out. */
	for (more = 0; (ret = tt_shrink()) > 0; more += ret)
		;
	EXPECT_EQ(ret, 0);
	EXPECT_GE(more, all - out);
	for (i = 0; i < MAX_LOCAL; i++)
		EXPECT(bo_check_map(&local[i]));
	for (place = 0; place < NR_PLACES; place++)
		EXPECT(bo_check_map(&b[place]));
	EXPECT(back_since(&then, all));
	/* There is memory of the GPU as before. */
	ASSERT(buffer_new(&c, &fresh, LOCAL, ODD, 200));
	EXPECT(bo_check_map(&fresh));
}

static const struct test hibernate_tests[] = {
	{ "c114_hibernated", hibernated },
};

static const struct test tests[] = {
	{ "c114_swapped_out_and_back", round_trip },
	{ "c114_through_swap", through_swap },
	{ "c114_limit_is_kept", limit_is_kept },
	{ "c114_swapout_needs_no_memory", needs_no_memory },
	{ "c114_evicted_and_swapped_out", evicted },
	{ "c116_read_only_for_debuggers", read_only },
	{ "c116_debuggers_write_what_is_not_accessible", not_accessible },
	/* radeon only, so it comes last */
	{ "c114_moved_to_the_gpu_from_swap", moved_back },
};

int main(int argc, char **argv)
{
	bool hibernation = false;
	struct card c;
	int i;

	mount_all();
	/* a single page in the LRU batch of another processor comes back by a copy */
	if (run_on(0))
		die("cannot stay on a processor");
	if (!card_open(&c))
		die("neither qxl nor radeon: to be run with vm/run --gpu");
	close(c.fd);
	for (i = 1; i < argc; i++) {
		copied |= !strcmp(argv[i], "copy");
		hibernation |= !strcmp(argv[i], "hibernate");
	}
	if (hibernation)
		return ktap_run(hibernate_tests, ARRAY_LEN(hibernate_tests));
	return ktap_run(tests, ARRAY_LEN(tests) - !c.radeon);
}
