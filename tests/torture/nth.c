// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * test-nth [--seed N] [--seconds N] [--only PART-OF-NAME]
 *
 * Each thing that is done to a buffer is done again and again from the same
 * state, with the first place in it that can fail failing, then the second, and
 * so on until one goes through without a failure: allocations of slabs and
 * pages, copies to and from user space, and what TTM's own fault injection
 * covers. After each, all bytes have to be right and the thing has to work when
 * it is tried again. In buffers of more than 64 pages, whose places differ by the
 * page only, the first hundred fail in turn and then one in eight.
 *
 * Booted with vttm.shrinker=0, it is TTM that swaps out: when it is asked to, and for
 * lack of room below its limit. Booted with vttm.vram=, only what moves to and from
 * there is done.
 *
 * Two rounds, of small sizes, are done to their end. With --seconds, the sequence then
 * starts anew with other sizes until the time is up.
 */

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#include <xf86drm.h>

#include "balance.h"
#include "inject.h"
#include "model.h"

static uint64_t seed;
static unsigned int seconds;
static uint64_t end_ns;
static const char *only = "";
static uint64_t vram_size;	/* 0 if there is none */

/* Survives the test, which is a process of its own. */
static struct totals {
	unsigned long operations;
	unsigned long faults;
	unsigned long deepest;
} *totals;

struct scene {
	struct gpu g, other;
	struct buffer b;
	struct buffer leaves;	/* of the same size, if used; has to make room for b */
	uint32_t value;		/* differs each time */
	uint64_t pages;
	uint32_t caching;
	int mem;
	int dmabuf;
	struct swap_list swaps;
};

/* ---- states to start from ---- */

static bool prepare(struct scene *s, struct buffer *b, bool map, uint32_t flags)
{
	int ret = buffer_create(s->g.fd, b, s->pages, s->caching, flags);

	if (!ret && map)
		ret = bo_map(s->g.fd, &b->bo);
	if (ret)
		FAIL("preparing: %s", strerror(-ret));
	return !ret;
}

static bool prepare_buffer(struct scene *s, bool map)
{
	return prepare(s, &s->b, map, 0);
}

static bool write_all(struct scene *s, struct buffer *b)
{
	if (buffer_write(b, 0, s->pages, s->value) == ACCESS_OK)
		return true;
	FAIL("preparing: SIGBUS");
	return false;
}

static bool state_none(struct scene *s)
{
	(void)s;
	return true;
}

static bool state_untouched(struct scene *s)
{
	/* what the pools have cannot fail to be allocated */
	pools_drain();
	return prepare_buffer(s, true);
}

static bool state_resident(struct scene *s)
{
	return prepare_buffer(s, true) && write_all(s, &s->b);
}

/* TTM may not allocate it as long as the other one is resident */
static bool state_limited(struct scene *s)
{
	return prepare(s, &s->leaves, true, 0) && write_all(s, &s->leaves) &&
	       limit_set(s->pages + s->pages / 2) && state_untouched(s);
}

static bool back_up(struct scene *s, bool writeback)
{
	struct vttm_state i;
	unsigned int tries;
	int ret;

	for (tries = 0; tries < 50; tries++) {
		ret = vttm_info(s->g.fd, s->b.bo.handle, &i);
		if (ret) {
			FAIL("info: %s", strerror(-ret));
			return false;
		}
		if (!i.resident_pages)
			return true;
		ret = vttm_shrink(s->g.minor, i.resident_pages, writeback, NULL);
		if (ret && ret != -EBUSY) {
			FAIL("preparing: shrink: %s", strerror(-ret));
			return false;
		}
	}
	FAIL("preparing: %llu pages stay resident",
	     (unsigned long long)i.resident_pages);
	return false;
}

/* Call all shrinkers there are, and leave the page cache as it is. */
static int call_shrinkers(void)
{
	return write_file("/proc/sys/vm/drop_caches", "2");
}

/* in the page cache */
static bool state_backed_up(struct scene *s)
{
	if (!state_resident(s) || !back_up(s, false))
		return false;
	/* Upstream's swapout leaves pages in the pools: nothing would have to be allocated. */
	return zero_copy_get() || vttm_has_shrinker() || !call_shrinkers();
}

/* Of all files, what is not in swap, or still in memory as well. */
static uint64_t shmem_in_memory(void)
{
	return vmstat("nr_shmem") + vmstat("nr_swapcached");
}

/* Have it go to swap, and see that it does. All else that could go is gone before. */
static bool swap_out(struct scene *s, bool (*state)(struct scene *s))
{
	int64_t memory, used;

	reclaim_all();
	memory = shmem_in_memory();
	used = swap_used_pages();
	if (!state(s) || !back_up(s, true))
		return false;
	reclaim_all();
	memory = shmem_in_memory() - memory;
	used = swap_used_pages() - used;
	if (memory <= 0 && used + SWAP_OTHERS >= (int64_t)s->pages)
		return true;
	FAIL("preparing: %" PRId64 " of %" PRIu64 " pages stay in memory, %" PRId64 " are in swap",
	     memory, s->pages, used);
	return false;
}

/* in swap */
static bool state_swapped(struct scene *s)
{
	return swap_out(s, state_resident);
}

static bool is_in_vram(struct scene *s, bool expected)
{
	struct vttm_state i;
	int ret = vttm_info(s->g.fd, s->b.bo.handle, &i);

	if (ret) {
		FAIL("where the buffer is: %s", strerror(-ret));
		return false;
	}
	if (!!(i.flags & DRM_VTTM_INFO_VRAM) == expected)
		return true;
	FAIL("the buffer is %s VRAM", expected ? "not in" : "in");
	return false;
}

/* Create a buffer that takes all of VRAM, and close it. */
static int fill_vram(struct scene *s)
{
	uint64_t size = vram_size;
	uint32_t handle;
	int ret;

	ret = vttm_create_flags(s->g.fd, &size, DRM_VTTM_CACHED, DRM_VTTM_CREATE_VRAM,
				&handle);
	return ret ? ret : vttm_close(s->g.fd, handle);
}

static bool state_in_vram(struct scene *s)
{
	return prepare(s, &s->b, true, DRM_VTTM_CREATE_VRAM) && write_all(s, &s->b) &&
	       is_in_vram(s, true);
}

static bool state_evicted(struct scene *s)
{
	int ret;

	if (!state_in_vram(s))
		return false;
	ret = fill_vram(s);
	if (ret)
		FAIL("preparing: filling VRAM: %s", strerror(-ret));
	return !ret && is_in_vram(s, false);
}

/* in swap, and there is room in VRAM */
static bool state_evicted_and_swapped(struct scene *s)
{
	return swap_out(s, state_evicted);
}

/* Memory has no room for it as long as the other one is resident. */
static bool state_in_vram_limited(struct scene *s)
{
	return prepare(s, &s->leaves, true, 0) && write_all(s, &s->leaves) &&
	       limit_set(s->pages + s->pages / 2) && state_in_vram(s);
}

/* one part here and one there; a buffer of one page has but one part */
static bool state_partial(struct scene *s)
{
	if (!state_resident(s))
		return false;
	nth_arm(1 + s->value % (s->pages + 1));
	vttm_shrink(s->g.minor, 1, false, NULL);
	nth_disarm();
	return true;
}

static bool state_dontneed(struct scene *s)
{
	int ret;

	if (!state_resident(s))
		return false;
	ret = vttm_madvise(s->g.fd, s->b.bo.handle, DRM_VTTM_MADV_DONTNEED, NULL);
	if (ret)
		FAIL("preparing: madvise: %s", strerror(-ret));
	s->b.dontneed = true;
	return !ret;
}

static bool state_exported(struct scene *s)
{
	if (!state_backed_up(s))
		return false;
	if (drmPrimeHandleToFD(s->g.fd, s->b.bo.handle, DRM_CLOEXEC | DRM_RDWR,
			       &s->dmabuf)) {
		FAIL("preparing: export: %s", strerror(errno));
		return false;
	}
	return true;
}

/* ---- things to do ---- */

static int do_create(struct scene *s)
{
	return buffer_create(s->g.fd, &s->b, s->pages, s->caching, 0);
}

static int do_open(struct scene *s)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/dev/dri/card%u", s->g.minor);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int do_map(struct scene *s)
{
	bo_unmap(&s->b.bo);
	return bo_map(s->g.fd, &s->b.bo);
}

static int do_touch(struct scene *s)
{
	uint32_t v;

	/* a fault that finds no memory is tried again by the kernel */
	return peek32(s->b.bo.map + s->value % s->pages * PAGE, &v) ? 0 : -EFAULT;
}

static int do_peek(struct scene *s)
{
	bool right = true;
	int ret = buffer_peek(&s->b, s->mem, s->value % s->pages, &right);

	if (!right)
		FAIL("wrong bytes through /proc/self/mem");
	return ret;
}

static int do_fill(struct scene *s)
{
	struct drm_vttm_op op = {
		.opcode = DRM_VTTM_OP_FILL, .dst = s->b.bo.handle,
		.dst_offset = s->value % s->pages * PAGE, .size = PAGE,
		.value = s->value,
	};
	int ret = vttm_submit(s->g.fd, &op, 1);

	if (!ret) {
		s->b.state[s->value % s->pages] = (struct page_state) {
			.kind = PAGE_WORD, .value = s->value,
		};
		s->b.busy = true;
	}
	return ret;
}

static int do_wait(struct scene *s)
{
	return vttm_wait(s->g.fd, s->b.bo.handle, -1);
}

static int do_info(struct scene *s)
{
	struct vttm_state i;

	return vttm_info(s->g.fd, s->b.bo.handle, &i);
}

static int do_shrink(struct scene *s)
{
	return vttm_shrink(s->g.minor, s->pages, false, NULL);
}

static int do_writeback(struct scene *s)
{
	return vttm_shrink(s->g.minor, s->pages, true, NULL);
}

static int do_purge(struct scene *s)
{
	return vttm_purge(s->g.minor, s->pages, NULL);
}

static int do_dontneed(struct scene *s)
{
	int ret = vttm_madvise(s->g.fd, s->b.bo.handle, DRM_VTTM_MADV_DONTNEED, NULL);

	/* the answer can get lost */
	s->b.dontneed = true;
	return ret;
}

static int do_close(struct scene *s)
{
	bo_unmap(&s->b.bo);
	return buffer_close(s->g.fd, &s->b);
}

static int do_export(struct scene *s)
{
	int next = dup(s->g.fd), ret;

	close(next);
	ret = drmPrimeHandleToFD(s->g.fd, s->b.bo.handle, DRM_CLOEXEC | DRM_RDWR,
				 &s->dmabuf) ? -errno : 0;
	/* the file may be there, with its number lost on the way to user space */
	if (ret && fcntl(next, F_GETFD) >= 0)
		close(next);
	return ret;
}

/*
 * Pins it, so it has to come back first. Nothing is submitted to the import here:
 * upstream's dma_buf_vmap() warns about each failure, lack of memory included.
 */
static int do_import(struct scene *s)
{
	uint32_t handle;

	if (drmPrimeFDToHandle(s->other.fd, s->dmabuf, &handle))
		return -errno;
	return vttm_close(s->other.fd, handle);
}

static int do_drop_caches(struct scene *s)
{
	(void)s;
	return call_shrinkers();
}

static int do_reclaim(struct scene *s)
{
	int ret = reclaim(s->b.bo.size);

	/* less was reclaimed than asked for */
	return ret == -EAGAIN ? 0 : ret;
}

static int do_swapoff(struct scene *s)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < s->swaps.nr && !ret; i++)
		if (swapoff(s->swaps.dev[i]))
			ret = -errno;
	return ret;
}

static int do_compact(struct scene *s)
{
	(void)s;
	return write_file("/proc/sys/vm/compact_memory", "1");
}

static int do_drain(struct scene *s)
{
	(void)s;
	return read_file("/sys/kernel/debug/ttm/page_pool_shrink") ? 0 : -errno;
}

enum {
	MAY_BE_SAFE = 1,	/* may have no place that can fail */
	SWAPOUT = 2,		/* only where it is TTM that swaps out */
	/* only where there is VRAM, and only these there: it moves, if nothing fails */
	TO_VRAM = 4,
	FROM_VRAM = 8,
};

struct scenario {
	const char *name;
	bool (*state)(struct scene *s);
	int (*act)(struct scene *s);
	uint64_t max_pages;	/* larger ones have too many places to be done here */
	unsigned int flags;
};

static const struct scenario scenarios[] = {
	{ "open", state_none, do_open, 1, 0 },
	{ "create", state_none, do_create, 600, 0 },
	{ "map", state_resident, do_map, 13, 0 },
	{ "first touch", state_untouched, do_touch, 1100, 0 },
	{ "submit to untouched", state_untouched, do_fill, 1100, 0 },
	{ "submit to resident", state_resident, do_fill, 600, 0 },
	{ "wait", state_resident, do_wait, 1, MAY_BE_SAFE },
	{ "info", state_resident, do_info, 1, MAY_BE_SAFE },
	{ "shrink", state_resident, do_shrink, 1100, 0 },
	{ "shrink with writeback", state_resident, do_writeback, 1100, 0 },
	{ "shrink what is left", state_partial, do_shrink, 600, 0 },
	{ "touch after backup", state_backed_up, do_touch, 1100, 0 },
	{ "touch after swapout", state_swapped, do_touch, 1100, 0 },
	{ "touch after half a backup", state_partial, do_touch, 600, MAY_BE_SAFE },
	{ "submit after backup", state_backed_up, do_fill, 1100, 0 },
	{ "submit after swapout", state_swapped, do_fill, 1100, 0 },
	{ "peek after backup", state_backed_up, do_peek, 600, 0 },
	{ "close after backup", state_backed_up, do_close, 600, MAY_BE_SAFE },
	{ "close after swapout", state_swapped, do_close, 600, MAY_BE_SAFE },
	{ "close after half a backup", state_partial, do_close, 600, MAY_BE_SAFE },
	{ "madvise after swapout", state_swapped, do_dontneed, 600, MAY_BE_SAFE },
	{ "purge", state_dontneed, do_purge, 600, MAY_BE_SAFE },
	{ "export", state_backed_up, do_export, 13, 0 },
	{ "import after backup", state_exported, do_import, 600, 0 },
	{ "shrinkers", state_resident, do_drop_caches, 13, 0 },
	{ "reclaim after backup", state_backed_up, do_reclaim, 600, 0 },
	{ "swapoff", state_swapped, do_swapoff, 13, 0 },
	{ "compaction after backup", state_backed_up, do_compact, 600, MAY_BE_SAFE },
	{ "drain", state_resident, do_drain, 13, MAY_BE_SAFE },
	{ "first touch at the limit", state_limited, do_touch, 1100, SWAPOUT },
	{ "submit at the limit", state_limited, do_fill, 1100, SWAPOUT },
	{ "move to VRAM", state_evicted, do_fill, 600, TO_VRAM },
	{ "move to VRAM after swapout", state_evicted_and_swapped, do_fill, 1100, TO_VRAM },
	{ "evict VRAM", state_in_vram, fill_vram, 600, FROM_VRAM },
	{ "evict VRAM while at the limit", state_in_vram_limited, fill_vram, 600,
	  FROM_VRAM | SWAPOUT },
};

/* ---- one after the other ---- */

static bool allowed(int ret)
{
	switch (ret) {
	case 0:
	case -ENOMEM:
	case -EFAULT:	/* of a copy to or from user space */
	case -EAGAIN:
	case -EINTR:	/* what TTM's injection returns */
	case -EBUSY:	/* nothing could be shrunk */
	case -EIO:	/* what reading through /proc/self/mem makes of all errors */
		return true;
	}
	return false;
}

static bool bytes_right(const struct scene *s, struct buffer *b, const char *what)
{
	char text[200] = "SIGBUS";
	enum access a;
	uint64_t at;

	a = buffer_check(b, 0, s->pages, &at);
	if (a == ACCESS_OK)
		return true;
	if (a == ACCESS_WRONG)
		buffer_explain(b, b->bo.map, at, text, sizeof(text));
	FAIL("%s: page %" PRIu64 " of %" PRIu64 ", %s: %s", what, at, s->pages,
	     caching_name(s->caching), text);
	return false;
}

static bool all_right(struct scene *s, const char *what)
{
	struct drm_vttm_op op = { .opcode = DRM_VTTM_OP_CRC32 };
	uint32_t crc, retained;
	struct buffer result;
	int ret;

	if (s->b.dontneed) {
		ret = vttm_madvise(s->g.fd, s->b.bo.handle, DRM_VTTM_MADV_WILLNEED,
				   &retained);
		if (ret) {
			FAIL("%s: madvise afterwards: %s", what, strerror(-ret));
			return false;
		}
		s->b.dontneed = false;
		if (!retained) {
			if (peek32(s->b.bo.map, &crc))
				FAIL("%s: can be read after it was purged", what);
			return true;
		}
	}
	ret = vttm_wait(s->g.fd, s->b.bo.handle, -1);
	if (ret)
		FAIL("%s: wait afterwards: %s", what, strerror(-ret));
	if (!s->b.bo.map)
		ret = bo_map(s->g.fd, &s->b.bo);
	if (ret) {
		FAIL("%s: mmap afterwards: %s", what, strerror(-ret));
		return false;
	}
	if (!bytes_right(s, &s->b, what))
		return false;
	if (s->leaves.used && !bytes_right(s, &s->leaves, what))
		return false;
	/* and what the engine sees, of a part */
	ret = buffer_create(s->g.fd, &result, 1, DRM_VTTM_CACHED, 0);
	op.dst = result.bo.handle;
	op.src = s->b.bo.handle;
	op.size = (s->pages < 16 ? s->pages : 16) * PAGE;
	if (!ret)
		ret = vttm_submit(s->g.fd, &op, 1);
	if (!ret)
		ret = vttm_wait(s->g.fd, result.bo.handle, -1);
	if (!ret)
		ret = bo_map(s->g.fd, &result.bo);
	if (ret) {
		FAIL("%s: checksum afterwards: %s", what, strerror(-ret));
		return false;
	}
	crc = buffer_crc(&s->b, 0, op.size / PAGE);
	if (crc != *(uint32_t *)result.bo.map)
		FAIL("%s: the engine sees other bytes", what);
	bo_unmap(&result.bo);
	buffer_close(s->g.fd, &result);
	buffer_forget(&result);
	return true;
}

static void clean_up_buffer(const struct scene *s, struct buffer *b)
{
	if (!b->used)
		return;
	bo_unmap(&b->bo);
	if (!b->closed)
		EXPECT_OK(buffer_close(s->g.fd, b));
	buffer_forget(b);
}

static void clean_up(struct scene *s)
{
	if (s->dmabuf >= 0)
		close(s->dmabuf);
	s->dmabuf = -1;
	clean_up_buffer(s, &s->b);
	if (s->leaves.used)
		limit_restore();
	clean_up_buffer(s, &s->leaves);
}

static bool time_up(uint64_t until)
{
	return until && now_ns() >= until;
}

/* Swap has much else in it, which comes back at places of its own. */
static unsigned int next_place(const struct scene *s, const struct scenario *c,
			       unsigned int n)
{
	if (n < 100 || (s->pages <= 64 && c->act != do_swapoff))
		return n + 1;
	return n + 1 + mix(mix(seed, n), s->pages) % 15;
}

/* Returns whether each place has failed, and all went through in the end. */
static bool run_scenario(struct scene *s, const struct scenario *c, uint64_t until)
{
	unsigned int n, before = test_failures;
	char what[120];
	bool hit = true;
	int ret;

	for (n = 1; hit && test_failures == before; n = next_place(s, c, n)) {
		s->value = mix(seed, n);
		if (!c->state(s)) {
			clean_up(s);
			return false;
		}
		nth_arm(n);
		ret = c->act(s);
		hit = nth_disarm();
		snprintf(what, sizeof(what), "%s, %" PRIu64 " pages, %s, zero_copy=%u, fault %u%s",
			 c->name, s->pages, caching_name(s->caching),
			 zero_copy_get(), n, hit ? "" : " (none)");
		totals->operations++;
		totals->faults += hit;
		if (hit && n > totals->deepest)
			totals->deepest = n;
		if (!allowed(ret))
			FAIL("%s: %s", what, strerror(-ret));
		if (!hit && ret && ret != -EBUSY && ret != -EIO)
			FAIL("%s: %s without a fault", what, strerror(-ret));
		if (!hit && c->flags & (TO_VRAM | FROM_VRAM))
			is_in_vram(s, c->flags & TO_VRAM);
		/* as it is, and after it was done again */
		if (c->act == do_swapoff)
			swap_all_on(&s->swaps);
		if (s->b.used && !s->b.closed && all_right(s, what) &&
		    !s->b.dontneed && c->act != do_dontneed && c->act != do_close &&
		    c->act != do_purge && c->act != do_export &&
		    c->act != do_create && n % 4 == 0) {
			ret = c->act(s);
			totals->operations++;
			if (ret && ret != -EBUSY)
				FAIL("%s: %s when done again", what, strerror(-ret));
			if (c->act == do_swapoff)
				swap_all_on(&s->swaps);
			all_right(s, what);
		}
		clean_up(s);
		totals->operations++;
		if (time_up(until))
			break;
	}
	return !hit;
}

struct in_use {
	uint64_t files;
	uint64_t gpu;
};

static void in_use(struct in_use *u)
{
	const char *text = read_file("/proc/sys/fs/file-nr");

	u->files = text ? strtoull(text, NULL, 10) : 0;
	u->gpu = vmstat("nr_gpu_active");
}

static bool scene_open(struct scene *s)
{
	memset(s, 0, sizeof(*s));
	s->dmabuf = -1;
	if (!gpu_open_nth(&s->g, 0) || !gpu_open_nth(&s->other, 1))
		return false;
	s->mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	if (s->mem < 0) {
		FAIL("/proc/self/mem: %s", strerror(errno));
		return false;
	}
	swap_list(&s->swaps);
	return true;
}

static void scene_close(struct scene *s)
{
	close(s->mem);
	close(s->g.fd);
	close(s->other.fd);
}

/* Small ones first; what the time is left for is then of any size. */
static uint64_t pick_pages(unsigned int round, const struct scenario *c, unsigned int nr)
{
	static const uint64_t sizes[] = { 1, 13, PMD_PAGES + 5, 2 * PMD_PAGES + 3 };
	uint64_t r;

	if (round < ARRAY_LEN(sizes))
		return sizes[round] <= c->max_pages ? sizes[round] : 0;
	/* large ones take long, and most of what can go wrong is in small ones */
	r = mix(mix(seed, round), nr);
	if (r % 4)
		return 1 + (r >> 8) % (c->max_pages < 40 ? c->max_pages : 40);
	return 1 + (r >> 8) % c->max_pages;
}

/* Those of small sizes, see pick_pages() */
#define COMPLETE_ROUNDS	2

/* Without an end, each place has to have its turn. */
static void one_scenario(const struct scenario *c, uint64_t pages, uint32_t caching,
			 uint64_t until)
{
	unsigned long faults = totals->faults;
	bool complete;
	struct in_use then, now;
	struct scene s;

	in_use(&then);
	if (!scene_open(&s))
		return;
	if (s.swaps.nr) {
		s.pages = pages;
		s.caching = caching;
		complete = run_scenario(&s, c, until);
		test_note("%s, %" PRIu64 " pages, %s: %lu faults%s", c->name, pages,
			  caching_name(caching), totals->faults - faults,
			  complete ? "" : ", not complete");
		if (!until)
			EXPECT(complete);
		/* one in which nothing can fail tests nothing */
		if (!until && !(c->flags & MAY_BE_SAFE))
			EXPECT_GT(totals->faults, faults);
	} else {
		FAIL("%s: no swap", c->name);
	}
	/* also the handles whose number did not make it to user space */
	scene_close(&s);
	/* whose it was, if there is a leak in the end */
	in_use(&now);
	if (memcmp(&now, &then, sizeof(now)))
		test_note("%s: %" PRIu64 " files, %" PRIu64 " GPU pages before, %" PRIu64 ", %" PRIu64 " now",
			  c->name, then.files, then.gpu, now.files, now.gpu);
}

/* Is it done in this machine, and wanted? */
static bool is_chosen(const struct scenario *c)
{
	if (c->flags & SWAPOUT && vttm_has_shrinker())
		return false;
	return !!(c->flags & (TO_VRAM | FROM_VRAM)) == !!vram_size && strstr(c->name, only);
}

static void rounds(void)
{
	uint64_t until = 0, cancelled = backup_stat("cancelled");
	struct balance before;
	unsigned int round;
	size_t i;

	ASSERT(reclaim_prepare());
	nth_prepare();
	leaks_forget();
	/* which keeps its file open */
	if (!vttm_has_shrinker())
		tt_shrink();
	ASSERT(balance_take(&before));
	for (round = 0; (end_ns || round < 4) && !time_up(until); round++) {
		/* each place of each thing, whatever the time */
		until = round < COMPLETE_ROUNDS ? 0 : end_ns;
		for (i = 0; i < ARRAY_LEN(scenarios) && !time_up(until); i++) {
			/* the order differs, or a short time would leave out the last */
			size_t nr = (i + seed + round * 7) % ARRAY_LEN(scenarios);
			const struct scenario *c = &scenarios[nr];
			uint64_t pages = pick_pages(round, c, nr);

			if (!is_chosen(c) || !pages)
				continue;
			one_scenario(c, pages, mix(mix(seed, nr), round) % 3, until);
			if (test_failures > 10)
				goto out;
		}
	}
	test_note("%u rounds begun", round);
out:
	cancelled = backup_stat("cancelled") - cancelled;
	test_note("%" PRIu64 " restores cancelled", cancelled);
	/* nothing was chosen, or nothing failed after a part had been restored */
	EXPECT_GT(totals->operations, 0);
	if (!*only && !vttm_has_shrinker() && zero_copy_get())
		EXPECT_GT(cancelled, 0);
	balance_check(&before);
	EXPECT(leaks_check());
}

static const struct test tests[] = {
	{ "c20_c52_c53_c54_c56_every_site_fails", rounds },
};

/* booted with vttm.shrinker=0 */
static const struct test tests_swapout[] = {
	{ "c94_c96_c97_every_site_of_a_swapout_fails", rounds },
};

/* booted with vttm.vram= */
static const struct test tests_vram[] = {
	{ "c98_c113_every_site_of_a_move_fails", rounds },
};

/* booted with ttm.zero_copy=0 */
static const struct test tests_copy[] = {
	{ "c56_every_site_fails_copying", rounds },
};

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "seconds", required_argument, NULL, 't' },
		{ "only", required_argument, NULL, 'o' },
		{ 0 }
	};
	static const char usage[] =
		"usage: test-nth [--seed N] [--seconds N] [--only PART-OF-NAME]";
	int c, ret;

	seed = now_ns();
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'o') {
			only = optarg;
			continue;
		}
		if (c != 's' && c != 't')
			die("%s", usage);
		if (c == 's')
			seed = parse_number("--seed", optarg, 0, UINT64_MAX);
		else
			seconds = parse_number("--seconds", optarg, 0, 1000000);
	}
	if (optind < argc)
		die("%s", usage);
	totals = shared_memory(sizeof(*totals));
	/* this is shmem too: allocated now, or it would look like a leak */
	totals->operations = 0;
	if (seconds)
		end_ns = now_ns() + seconds * 1000000000ULL;
	mount_all();
	vram_size = vttm_vram_size();
	if (vram_size)
		ret = ktap_run(tests_vram, ARRAY_LEN(tests_vram));
	else if (zero_copy_get() && !vttm_has_shrinker())
		ret = ktap_run(tests_swapout, ARRAY_LEN(tests_swapout));
	else if (zero_copy_get())
		ret = ktap_run(tests, ARRAY_LEN(tests));
	else
		ret = ktap_run(tests_copy, ARRAY_LEN(tests_copy));
	test_note("operations %lu", totals->operations);
	test_note("faults injected %lu", totals->faults);
	test_note("the deepest was the %luth; seed %" PRIu64, totals->deepest, seed);
	return ret;
}
