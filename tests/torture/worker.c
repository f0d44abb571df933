// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What the processes of test-torture do to buffers, and that their bytes are right. */

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xf86drm.h>

#include "inject.h"
#include "torture.h"

#define BUFFERS		20
#define MAX_TRIES	20

const struct op_kind ops[NR_OPS] = {
	[OP_CREATE] = { "create", 40 },
	[OP_DESTROY] = { "destroy", 28 },
	[OP_WRITE] = { "write", 220 },
	[OP_CHECK] = { "check", 420 },
	[OP_CHECK_ALL] = { "check all", 20 },
	[OP_PEEK] = { "peek", 70 },
	[OP_ENGINE_FILL] = { "engine fill", 50 },
	[OP_ENGINE_COPY] = { "engine copy", 60 },
	[OP_ENGINE_CRC] = { "engine crc", 60 },
	[OP_WAIT] = { "wait", 30 },
	[OP_INFO] = { "info", 70 },
	[OP_DONTNEED] = { "madvise dontneed", 8 },
	[OP_WILLNEED] = { "madvise willneed", 12 },
	[OP_SHRINK] = { "shrink", 14 },
	[OP_PURGE] = { "purge", 5 },
	[OP_REMAP] = { "remap", 12 },
	[OP_PRIME] = { "prime", 6 },
	[OP_FORK] = { "fork", 1 },
	[OP_REOPEN] = { "reopen", 1 },
};

unsigned int slot, generation;
static unsigned long op_nr;
static enum op op_now;
static struct gpu g, other;
static struct buffer bufs[BUFFERS];
static struct buffer result;	/* of checksums */
static uint64_t pages_held;
static int mem_fd;

/* The first to find something wrong says so, and all stop. */
static void __attribute__((noreturn, format(printf, 1, 2))) bad(const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!atomic_exchange(&sh->failed, true))
		test_note("seed %" PRIu64 " worker %u.%u action %lu (%s): %s",
			  seed, slot, generation, op_nr, ops[op_now].name, text);
	atomic_store(&sh->stop, true);
	fflush(stdout);
	_exit(1);
}

/*
 * Did it work? There may be no memory, with good reason: then nothing must have
 * changed, which later checks find out.
 */
static bool worked(int ret, const char *what)
{
	if (!ret)
		return true;
	if (ret != -ENOMEM && ret != -EAGAIN)
		bad("%s: %s", what, strerror(-ret));
	atomic_fetch_add(&sh->no_memory, 1);
	return false;
}

static void done(enum op op)
{
	atomic_fetch_add(&sh->ops[op], 1);
}

static void explain(struct buffer *b, const uint8_t *map, uint64_t page,
		    enum access a, const char *how)
{
	char text[200] = "SIGBUS";
	struct vttm_state i = { 0 };

	vttm_info(g.fd, b->bo.handle, &i);
	if (a == ACCESS_WRONG)
		buffer_explain(b, map, page, text, sizeof(text));
	bad("page %" PRIu64 " of %" PRIu64 ", %s, state %u, %llu resident %llu backed up %llu inserted, read %s: %s",
	    page, b->pages, caching_name(b->bo.caching), b->state[page].kind,
	    (unsigned long long)i.resident_pages,
	    (unsigned long long)i.backed_up_pages,
	    (unsigned long long)i.inserted_pages, how, text);
}

static bool idle(struct buffer *b)
{
	if (b->busy && !b->closed) {
		int ret = vttm_wait(g.fd, b->bo.handle, -1);

		if (ret)
			bad("wait: %s", strerror(-ret));
	}
	/* without a handle there is nothing to wait with: leave it alone */
	if (b->busy && b->closed)
		return false;
	b->busy = false;
	return true;
}

/*
 * Where faults are injected, there may be no memory for what is to come back. Of what TTM
 * has swapped out nothing stays then, so some tries may not do: it is left for later. No
 * fault is injected after the workers have been stopped, and all has to come back.
 */
struct patience {
	unsigned int tries;
	bool stopped;
};

static bool try_again(struct patience *p, enum access a)
{
	if (a != ACCESS_SIGBUS || !fault_percent || p->stopped || p->tries == MAX_TRIES)
		return false;
	atomic_fetch_add(&sh->no_memory, 1);
	p->tries++;
	p->stopped = atomic_load(&sh->stop);
	return true;
}

static bool in_vain(const struct patience *p, enum access a)
{
	return a == ACCESS_SIGBUS && !p->stopped && p->tries == MAX_TRIES;
}

static void check_range(struct buffer *b, uint64_t first, uint64_t nr)
{
	struct patience p = { 0 };
	uint64_t at = first;
	enum access a;

	do {
		a = buffer_check(b, first, nr, &at);
		if (a == ACCESS_SIGBUS && (b->dontneed || b->purged))
			return;
	} while (try_again(&p, a));
	if (in_vain(&p, a))
		return;
	if (a == ACCESS_OK && b->purged)
		bad("page %" PRIu64 " can be read after it was purged", first);
	if (a != ACCESS_OK)
		explain(b, b->bo.map, at, a, "by the CPU");
	atomic_fetch_add(&sh->pages_checked, nr);
}

/* Sizes: mostly small, some that are just 2 MiB, few large. */
static uint64_t pick_pages(struct rng *r)
{
	uint64_t kind = rng_below(r, 1000);

	if (kind < 820)
		return 1 + rng_below(r, 4);
	if (kind < 950)
		return 5 + rng_below(r, 28);
	if (kind < 985)
		return 33 + rng_below(r, 300);
	if (kind < 995)
		return PMD_PAGES + rng_below(r, 20);
	return PMD_PAGES * (1 + rng_below(r, 3)) + rng_below(r, 300);
}

static struct buffer *pick(struct rng *r)
{
	unsigned int i, start = rng_below(r, BUFFERS);

	for (i = 0; i < BUFFERS; i++) {
		struct buffer *b = &bufs[(start + i) % BUFFERS];

		if (b->used)
			return b;
	}
	return NULL;
}

static void pick_range(struct rng *r, const struct buffer *b, uint64_t max,
		       uint64_t *first, uint64_t *nr)
{
	*nr = 1 + rng_below(r, b->pages < max ? b->pages : max);
	*first = rng_below(r, b->pages - *nr + 1);
}

/* Cached most of the time: to change the caching is slow, under emulation too. */
static uint32_t pick_caching(struct rng *r)
{
	uint64_t kind = rng_below(r, 100);

	return kind < 80 ? DRM_VTTM_CACHED : kind < 92 ? DRM_VTTM_WC : DRM_VTTM_UC;
}

static void forget(struct buffer *b)
{
	pages_held -= b->pages;
	buffer_forget(b);
}

static void close_handle(struct buffer *b)
{
	int ret = b->closed ? 0 : buffer_close(g.fd, b);

	if (ret)
		bad("close: %s", strerror(-ret));
}

static void write_range(struct buffer *b, uint64_t first, uint64_t nr, uint32_t value)
{
	struct patience p = { 0 };
	enum access a;

	do {
		a = buffer_write(b, first, nr, value);
	} while (try_again(&p, a));
	if (a == ACCESS_OK)
		return;
	if (!in_vain(&p, a))
		bad("SIGBUS in a write to pages from %" PRIu64 " on", first);
	/* a page may have been written in part */
	bo_unmap(&b->bo);
	close_handle(b);
	forget(b);
}

static void op_create(struct rng *r)
{
	uint64_t pages = pick_pages(r), first, nr;
	uint32_t caching = pick_caching(r), value = rng_next(r);
	bool touch = !rng_one_in(r, 4);
	struct buffer *b = NULL;
	uint32_t flags = 0;
	unsigned int i;

	if (rng_one_in(r, 3))
		flags |= DRM_VTTM_CREATE_LOCAL;
	if (sh->vram_pages && rng_one_in(r, 2)) {
		flags |= DRM_VTTM_CREATE_VRAM;
		/* drives out all others that are idle */
		if (rng_one_in(r, 4))
			pages = sh->vram_pages;
	}

	for (i = 0; i < BUFFERS && !b; i++)
		if (!bufs[i].used)
			b = &bufs[i];
	if (!b || pages_held + pages > worker_pages)
		return;
	if (!worked(buffer_create(g.fd, b, pages, caching, flags), "create"))
		return;
	pages_held += pages;
	if (!worked(bo_map(g.fd, &b->bo), "mmap"))
		return;
	pick_range(r, b, 8, &first, &nr);
	if (touch)
		write_range(b, first, nr, value);
	done(OP_CREATE);
}

static void op_destroy(struct rng *r)
{
	struct buffer *b = pick(r);
	unsigned int way = rng_below(r, 3);

	if (!b)
		return;
	switch (way) {
	case 0:
		bo_unmap(&b->bo);
		close_handle(b);
		break;
	case 1:
		close_handle(b);
		bo_unmap(&b->bo);
		break;
	default:
		/* the mapping goes on without the handle, for a while */
		if (!b->bo.map || b->closed || !idle(b)) {
			bo_unmap(&b->bo);
			close_handle(b);
			break;
		}
		close_handle(b);
		check_range(b, 0, 1);
		done(OP_DESTROY);
		return;
	}
	forget(b);
	done(OP_DESTROY);
}

static bool mapped(struct buffer *b)
{
	/* what is not needed is not mapped either */
	if (!b->bo.map && !b->closed && !b->dontneed && !b->purged)
		worked(bo_map(g.fd, &b->bo), "mmap");
	return b->bo.map;
}

static void op_write(struct rng *r)
{
	struct buffer *b = pick(r);
	uint32_t value = rng_next(r);
	uint64_t first, nr;

	if (!b || b->dontneed || b->purged || !mapped(b) || !idle(b))
		return;
	pick_range(r, b, rng_one_in(r, 50) ? 600 : 4, &first, &nr);
	write_range(b, first, nr, value);
	done(OP_WRITE);
}

static void op_check(struct rng *r)
{
	struct buffer *b = pick(r);
	uint64_t first, nr;

	if (!b || !mapped(b) || !idle(b))
		return;
	pick_range(r, b, 4, &first, &nr);
	check_range(b, first, nr);
	done(OP_CHECK);
}

static void op_check_all(struct rng *r)
{
	struct buffer *b = pick(r);

	if (!b || !mapped(b) || !idle(b))
		return;
	check_range(b, 0, b->pages);
	done(OP_CHECK_ALL);
}

static void op_peek(struct rng *r)
{
	struct buffer *b = pick(r);
	uint64_t page;
	bool right;
	int ret;

	if (!b || b->dontneed || b->purged || !mapped(b) || !idle(b))
		return;
	page = rng_below(r, b->pages);
	ret = buffer_peek(b, mem_fd, page, &right);
	/* all errors look the same here, lack of memory and signals too */
	if (ret == -EIO || ret == -EINTR) {
		atomic_fetch_add(&sh->no_memory, 1);
		return;
	}
	if (ret)
		bad("reading through /proc/self/mem: %s", strerror(-ret));
	if (!right)
		explain(b, b->bo.map, page, ACCESS_WRONG, "through /proc/self/mem");
	atomic_fetch_add(&sh->pages_checked, 1);
	done(OP_PEEK);
}

static bool submit(struct buffer *dst, struct buffer *src, struct drm_vttm_op *op)
{
	int ret;

	op->dst = dst->bo.handle;
	if (src)
		op->src = src->bo.handle;
	ret = vttm_submit(g.fd, op, 1);
	if (ret == -EFAULT && (dst->purged || (src && src->purged)))
		return false;
	if (dst->purged || (src && src->purged))
		bad("submission with a purged buffer: %s", strerror(-ret));
	if (!worked(ret, "submit"))
		return false;
	dst->busy = true;
	if (src)
		src->busy = true;
	return true;
}

static bool for_engine(const struct buffer *b)
{
	return b && !b->closed && !b->dontneed;
}

static void op_engine_fill(struct rng *r)
{
	struct buffer *b = pick(r);
	struct drm_vttm_op op = { .opcode = DRM_VTTM_OP_FILL };
	uint32_t value = rng_next(r);
	uint64_t first, nr, p;

	if (!for_engine(b))
		return;
	pick_range(r, b, 8, &first, &nr);
	op.dst_offset = first * PAGE;
	op.size = nr * PAGE;
	op.value = value;
	if (submit(b, NULL, &op))
		for (p = first; p < first + nr; p++)
			b->state[p] = (struct page_state) {
				.kind = PAGE_WORD, .value = value,
			};
	done(OP_ENGINE_FILL);
}

static void op_engine_copy(struct rng *r)
{
	struct buffer *dst = pick(r), *src = pick(r);
	struct drm_vttm_op op = { .opcode = DRM_VTTM_OP_COPY };
	uint64_t from, to, nr;

	if (!for_engine(dst) || !for_engine(src))
		return;
	pick_range(r, src, dst->pages < 8 ? dst->pages : 8, &from, &nr);
	if (nr > dst->pages)
		return;
	to = rng_below(r, dst->pages - nr + 1);
	if (dst == src && to < from + nr && from < to + nr)
		return;
	op.dst_offset = to * PAGE;
	op.src_offset = from * PAGE;
	op.size = nr * PAGE;
	if (submit(dst, src, &op))
		memmove(dst->state + to, src->state + from,
			nr * sizeof(*dst->state));
	done(OP_ENGINE_COPY);
}

static void op_engine_crc(struct rng *r)
{
	struct buffer *b = pick(r);
	struct drm_vttm_op op = { .opcode = DRM_VTTM_OP_CRC32 };
	struct patience p = { 0 };
	uint32_t crc, want;
	enum access a;
	uint64_t first, nr;

	if (!for_engine(b))
		return;
	pick_range(r, b, 8, &first, &nr);
	op.src_offset = first * PAGE;
	op.size = nr * PAGE;
	if (!result.used && !worked(buffer_create(g.fd, &result, 1, 0, 0), "create"))
		return;
	if (!result.bo.map && !worked(bo_map(g.fd, &result.bo), "mmap"))
		return;
	if (!submit(&result, b, &op)) {
		done(OP_ENGINE_CRC);
		return;
	}
	idle(&result);
	do {
		a = peek32(result.bo.map, &crc) ? ACCESS_OK : ACCESS_SIGBUS;
	} while (try_again(&p, a));
	if (in_vain(&p, a))
		return;
	if (a != ACCESS_OK)
		bad("SIGBUS in the result of a checksum");
	want = buffer_crc(b, first, nr);
	if (crc != want)
		bad("the engine read %08x from pages %" PRIu64 " to %" PRIu64 ", not %08x",
		    crc, first, first + nr, want);
	atomic_fetch_add(&sh->pages_checked, nr);
	done(OP_ENGINE_CRC);
}

static void op_wait(struct rng *r)
{
	struct buffer *b = pick(r);
	int ret;

	if (!b || b->closed)
		return;
	ret = vttm_wait(g.fd, b->bo.handle, rng_one_in(r, 2) ? 0 : 1000000);
	if (ret && ret != -ETIME)
		bad("wait: %s", strerror(-ret));
	if (!ret)
		b->busy = false;
	done(OP_WAIT);
}

static void op_info(struct rng *r)
{
	struct buffer *b = pick(r);
	struct vttm_state i;
	uint64_t sum;
	int ret;

	if (!b || b->closed)
		return;
	ret = vttm_info(g.fd, b->bo.handle, &i);
	if (!worked(ret, "info"))
		return;
	sum = i.resident_pages + i.backed_up_pages;
	if (i.size != b->bo.size || i.caching != b->bo.caching ||
	    (sum && sum != b->pages) || i.inserted_pages > i.backed_up_pages)
		bad("info: %llu resident, %llu backed up, %llu inserted of %" PRIu64 " pages",
		    (unsigned long long)i.resident_pages,
		    (unsigned long long)i.backed_up_pages,
		    (unsigned long long)i.inserted_pages, b->pages);
	if (!!(i.flags & DRM_VTTM_INFO_DONTNEED) !=
	    (b->dontneed && !(i.flags & DRM_VTTM_INFO_PURGED)))
		bad("info: flags %x", i.flags);
	if (i.flags & DRM_VTTM_INFO_PURGED && !b->dontneed && !b->purged)
		bad("purged, and it was needed");
	if (i.flags & DRM_VTTM_INFO_VRAM && !b->vram)
		bad("info: in VRAM, where it was not to go");
	if (b->vram && !b->exported)
		atomic_fetch_add(i.flags & DRM_VTTM_INFO_VRAM ? &sh->in_vram : &sh->evicted, 1);
	done(OP_INFO);
}

static void op_dontneed(struct rng *r)
{
	struct buffer *b = pick(r);
	uint32_t retained;
	int ret;

	if (!b || b->closed)
		return;
	ret = vttm_madvise(g.fd, b->bo.handle, DRM_VTTM_MADV_DONTNEED, &retained);
	/* others may need it */
	if (ret == -EBUSY && b->exported)
		return;
	if (!worked(ret, "madvise"))
		return;
	b->dontneed = true;
	done(OP_DONTNEED);
}

static void op_willneed(struct rng *r)
{
	struct buffer *b = pick(r);
	uint32_t retained;
	unsigned int i;

	/* one that is not needed, if there is one */
	for (i = 0; i < BUFFERS; i++)
		if (bufs[i].used && bufs[i].dontneed && !bufs[i].closed) {
			b = &bufs[i];
			break;
		}
	if (!b || b->closed)
		return;
	if (!worked(vttm_madvise(g.fd, b->bo.handle, DRM_VTTM_MADV_WILLNEED,
				 &retained), "madvise"))
		return;
	if (!retained && !b->dontneed && !b->purged)
		bad("purged, and it was needed");
	if (retained && b->purged)
		bad("back after it was purged");
	if (!retained && !b->purged)
		atomic_fetch_add(&sh->purged, 1);
	b->dontneed = false;
	b->purged = !retained;
	/* what is still there must be right, and nothing purged to be seen */
	if (b->bo.map && idle(b))
		check_range(b, 0, b->pages < 16 ? b->pages : 16);
	if (b->purged) {
		bo_unmap(&b->bo);
		close_handle(b);
		forget(b);
	}
	done(OP_WILLNEED);
}

static void shrink(struct rng *r, bool writeback)
{
	int ret = vttm_shrink(g.minor, 1 + rng_below(r, rng_one_in(r, 20) ? 1000 : 32), writeback, NULL);

	/* nothing to shrink, no swap now, a signal */
	if (ret && ret != -EBUSY && ret != -ENOSPC && ret != -EINTR &&
	    ret != -ENOMEM)
		bad("shrink: %s", strerror(-ret));
}

static void op_shrink(struct rng *r)
{
	struct buffer *b = pick(r);
	uint64_t first, nr;

	shrink(r, rng_one_in(r, 3));
	/* in the midst of what the shrinker has left behind */
	if (b && b->bo.map && !b->dontneed && !b->purged && idle(b)) {
		pick_range(r, b, 4, &first, &nr);
		check_range(b, first, nr);
	}
	done(OP_SHRINK);
}

static void op_purge(struct rng *r)
{
	int ret = vttm_purge(g.minor, 1 + rng_below(r, 100), NULL);

	if (ret && ret != -EBUSY && ret != -EINTR && ret != -ENOMEM)
		bad("purge: %s", strerror(-ret));
	done(OP_PURGE);
}

static void op_remap(struct rng *r)
{
	struct buffer *b = pick(r);

	if (!b || b->closed)
		return;
	bo_unmap(&b->bo);
	if (!mapped(b) || !idle(b))
		return;
	check_range(b, rng_below(r, b->pages), 1);
	done(OP_REMAP);
}

/* Shared with the other device, which pins it, looks at it and writes to it. */
static void op_prime(struct rng *r)
{
	struct buffer *b = pick(r), import;
	struct drm_vttm_op op = { .opcode = DRM_VTTM_OP_FILL };
	uint32_t handle, value = rng_next(r);
	uint64_t page, at;
	enum access a;
	int fd, ret;

	if (!for_engine(b) || b->purged || b->local || !idle(b))
		return;
	page = rng_below(r, b->pages);
	b->exported = true;
	if (drmPrimeHandleToFD(g.fd, b->bo.handle, DRM_CLOEXEC | DRM_RDWR, &fd)) {
		worked(-errno, "export");
		return;
	}
	ret = drmPrimeFDToHandle(other.fd, fd, &handle) ? -errno : 0;
	if (rng_one_in(r, 2)) {
		close(fd);
		fd = -1;
	}
	if (!worked(ret, "import"))
		goto out_close;

	import = *b;
	import.bo.handle = handle;
	import.bo.map = NULL;
	if (worked(bo_map(other.fd, &import.bo), "mmap of an import")) {
		a = buffer_check_at(b, import.bo.map, page, 1, &at);
		if (a != ACCESS_OK)
			explain(b, import.bo.map, page, a, "through an import");
		bo_unmap(&import.bo);
	}
	op.dst = handle;
	op.dst_offset = page * PAGE;
	op.size = PAGE;
	op.value = value;
	/* upstream's dma_buf_vmap() warns about lack of memory */
	if (!fault_percent && worked(vttm_submit(other.fd, &op, 1), "submit to an import")) {
		b->state[page] = (struct page_state) {
			.kind = PAGE_WORD, .value = value,
		};
		b->busy = true;
	}
	ret = vttm_close(other.fd, handle);
	if (ret)
		bad("close of an import: %s", strerror(-ret));
	if (mapped(b) && idle(b))
		check_range(b, page, 1);
out_close:
	if (fd >= 0)
		close(fd);
	done(OP_PRIME);
}

/* Others read the same mapping, and some are killed while they do. */
static void op_fork(struct rng *r)
{
	struct buffer *b = pick(r);
	bool kill_it = rng_one_in(r, 2);
	useconds_t when = rng_below(r, 3000);
	struct itimerval off = { 0 };
	int status;
	pid_t pid;

	if (!b || b->dontneed || b->purged || !mapped(b) || !idle(b))
		return;
	fflush(stdout);
	pid = fork();
	if (pid < 0) {
		worked(-errno, "fork");
		return;
	}
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setitimer(ITIMER_REAL, &off, NULL);
		check_range(b, 0, b->pages < 600 ? b->pages : 600);
		_exit(0);
	}
	shrink(r, false);
	if (kill_it) {
		usleep(when);
		kill(pid, SIGKILL);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			bad("waitpid: %s", strerror(errno));
	if (WIFSIGNALED(status) && !(kill_it && WTERMSIG(status) == SIGKILL))
		bad("a child was killed by signal %d", WTERMSIG(status));
	if (WIFEXITED(status) && WEXITSTATUS(status))
		_exit(1);
	done(OP_FORK);
}

static void open_devices(void)
{
	g.fd = vttm_open(0, &g.minor);
	other.fd = vttm_open(1, &other.minor);
	if (g.fd < 0 || other.fd < 0)
		bad("open: %s", strerror(g.fd < 0 ? -g.fd : -other.fd));
}

/* All handles at once; mappings, and jobs that are queued, go on without. */
static void op_reopen(struct rng *r)
{
	bool unmap_first = rng_one_in(r, 2);
	unsigned int i;

	if (unmap_first)
		for (i = 0; i < BUFFERS; i++)
			bo_unmap(&bufs[i].bo);
	for (i = 0; i < BUFFERS; i++)
		if (bufs[i].used && bufs[i].bo.map)
			idle(&bufs[i]);
	close(g.fd);
	close(other.fd);
	if (result.used) {
		bo_unmap(&result.bo);
		buffer_forget(&result);
	}
	for (i = 0; i < BUFFERS; i++) {
		struct buffer *b = &bufs[i];

		if (!b->used)
			continue;
		b->closed = true;
		if (b->bo.map && !b->busy)
			check_range(b, 0, 1);
		bo_unmap(&b->bo);
		forget(b);
	}
	open_devices();
	done(OP_REOPEN);
}

static void (*const do_op[NR_OPS])(struct rng *) = {
	[OP_CREATE] = op_create, [OP_DESTROY] = op_destroy,
	[OP_WRITE] = op_write, [OP_CHECK] = op_check,
	[OP_CHECK_ALL] = op_check_all, [OP_PEEK] = op_peek,
	[OP_ENGINE_FILL] = op_engine_fill, [OP_ENGINE_COPY] = op_engine_copy,
	[OP_ENGINE_CRC] = op_engine_crc, [OP_WAIT] = op_wait,
	[OP_INFO] = op_info, [OP_DONTNEED] = op_dontneed,
	[OP_WILLNEED] = op_willneed, [OP_SHRINK] = op_shrink,
	[OP_PURGE] = op_purge, [OP_REMAP] = op_remap, [OP_PRIME] = op_prime,
	[OP_FORK] = op_fork, [OP_REOPEN] = op_reopen,
};

static void on_alarm(int sig)
{
	(void)sig;	/* only there to interrupt */
}

static void interrupts(struct rng *r)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	struct itimerval t = {
		.it_interval.tv_usec = 4000 + rng_below(r, 40000),
		.it_value.tv_usec = 5000,
	};

	sigaction(SIGALRM, &sa, NULL);
	setitimer(ITIMER_REAL, &t, NULL);
}

void group_name(char *name, size_t len, unsigned int nr)
{
	snprintf(name, len, "torture%u", nr % GROUPS);
}

void worker(void)
{
	struct rng r = { mix(mix(seed, slot), generation) };
	unsigned int total = 0, i;
	struct itimerval off = { 0 };
	char group[16];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	atomic_store(&sh->workers[slot], getpid());
	for (i = 0; i < NR_OPS; i++)
		total += ops[i].weight;
	group_name(group, sizeof(group), slot);
	if (cg_enter(group))
		bad("cannot enter the group %s", group);
	mem_fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	if (mem_fd < 0)
		bad("/proc/self/mem: %s", strerror(errno));
	test_source();
	open_devices();
	interrupts(&r);
	while (!atomic_load(&sh->stop)) {
		unsigned int n;

		/* its own generator for each action: what one makes of its
		 * numbers must not change the next */
		r.state = mix(mix(mix(seed, slot), generation), ++op_nr);
		n = rng_below(&r, total);
		for (op_now = 0; n >= ops[op_now].weight; op_now++)
			n -= ops[op_now].weight;
		do_op[op_now](&r);
	}
	setitimer(ITIMER_REAL, &off, NULL);
	if (atomic_load(&sh->failed))
		_exit(0);
	/* all bytes of all buffers, once more; half of them then exit as is */
	for (i = 0; i < BUFFERS; i++) {
		struct buffer *b = &bufs[i];

		op_now = OP_CHECK_ALL;
		if (b->used && mapped(b) && idle(b)) {
			check_range(b, 0, b->pages);
			done(OP_CHECK_ALL);
		}
		if (b->used && slot & 1) {
			bo_unmap(&b->bo);
			close_handle(b);
		}
	}
	fflush(stdout);
	_exit(0);
}

void shrinker(void)
{
	struct rng r = { mix(seed, 1000) };
	uint64_t n = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	g.fd = vttm_open(0, &g.minor);
	if (g.fd < 0)
		bad("open: %s", strerror(-g.fd));
	while (!atomic_load(&sh->stop)) {
		r.state = mix(mix(seed, 1000), ++n);
		op_now = OP_SHRINK;
		shrink(&r, rng_one_in(&r, 2));
		atomic_fetch_add(&sh->shrinks, 1);
		usleep(rng_below(&r, 30000));
	}
	_exit(0);
}
