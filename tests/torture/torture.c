// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * test-torture [--seed N] [--seconds N] [--workers N] [--faults PERCENT]
 *
 * Many processes use buffers in all ways there are, while others shrink the
 * device, take swap away, move limits, compact, drop caches and kill. Each
 * byte that is read is compared with what was stored there last, and at the end
 * nothing may be in use that was not before.
 *
 * What each process does, and in which order, follows from the seed alone; how
 * that meets is up to the scheduler.
 */

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xf86drm.h>

#include "balance.h"
#include "inject.h"
#include "model.h"

#define MAX_WORKERS	16
#define BUFFERS		20
#define GROUPS		3

enum op {
	OP_CREATE, OP_DESTROY, OP_WRITE, OP_CHECK, OP_CHECK_ALL, OP_PEEK,
	OP_ENGINE_FILL, OP_ENGINE_COPY, OP_ENGINE_CRC, OP_WAIT, OP_INFO,
	OP_DONTNEED, OP_WILLNEED, OP_SHRINK, OP_PURGE, OP_REMAP, OP_PRIME,
	OP_FORK, OP_REOPEN,
	NR_OPS
};

static const struct {
	const char *name;
	unsigned int weight;
} ops[NR_OPS] = {
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

/* What all processes share. */
struct shared {
	atomic_bool stop;
	atomic_bool failed;
	atomic_ulong ops[NR_OPS];
	atomic_ulong pages_checked;
	atomic_ulong purged;
	atomic_ulong no_memory;
	atomic_ulong kills;
	atomic_ulong respawns;
	atomic_ulong disturbances;
	atomic_ulong swap_cycles;
	atomic_ulong swap_refused;
	atomic_ulong shrinks;
};

static struct shared *sh;
static uint64_t seed;
static unsigned int seconds = 60, nr_workers = 4, fault_percent;
static uint64_t worker_pages = 20 * MiB / PAGE;

/* ---- a worker ---- */

static unsigned int slot, generation;
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

	vttm_info(g.fd, b->handle, &i);
	if (a == ACCESS_WRONG)
		buffer_explain(b, map, page, text, sizeof(text));
	bad("page %" PRIu64 " of %" PRIu64 ", %s, state %u, %llu resident %llu backed up %llu inserted, read %s: %s",
	    page, b->pages, caching_name(b->caching), b->state[page].kind,
	    (unsigned long long)i.resident_pages,
	    (unsigned long long)i.backed_up_pages,
	    (unsigned long long)i.inserted_pages, how, text);
}

static bool idle(struct buffer *b)
{
	if (b->busy && !b->closed) {
		int ret = vttm_wait(g.fd, b->handle, -1);

		if (ret)
			bad("wait: %s", strerror(-ret));
	}
	/* without a handle there is nothing to wait with: leave it alone */
	if (b->busy && b->closed)
		return false;
	b->busy = false;
	return true;
}

static void check_range(struct buffer *b, uint64_t first, uint64_t nr)
{
	uint64_t at = first;
	enum access a;

	a = buffer_check(b, first, nr, &at);
	if (a == ACCESS_SIGBUS && (b->dontneed || b->purged))
		return;
	if (a == ACCESS_OK && b->purged)
		bad("page %" PRIu64 " can be read after it was purged", first);
	if (a != ACCESS_OK)
		explain(b, b->map, at, a, "by the CPU");
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

static void op_create(struct rng *r)
{
	uint64_t pages = pick_pages(r), first, nr;
	uint32_t caching = pick_caching(r), value = rng_next(r);
	bool touch = !rng_one_in(r, 4), local = rng_one_in(r, 3);
	struct buffer *b = NULL;
	unsigned int i;

	for (i = 0; i < BUFFERS && !b; i++)
		if (!bufs[i].used)
			b = &bufs[i];
	if (!b || pages_held + pages > worker_pages)
		return;
	if (!worked(buffer_create(g.fd, b, pages, caching, local), "create"))
		return;
	pages_held += pages;
	if (!worked(buffer_map(g.fd, b), "mmap"))
		return;
	pick_range(r, b, 8, &first, &nr);
	if (touch && buffer_write(b, first, nr, value) != ACCESS_OK)
		bad("SIGBUS in the first write");
	done(OP_CREATE);
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

static void op_destroy(struct rng *r)
{
	struct buffer *b = pick(r);
	unsigned int way = rng_below(r, 3);

	if (!b)
		return;
	switch (way) {
	case 0:
		buffer_unmap(b);
		close_handle(b);
		break;
	case 1:
		close_handle(b);
		buffer_unmap(b);
		break;
	default:
		/* the mapping goes on without the handle, for a while */
		if (!b->map || b->closed || !idle(b)) {
			buffer_unmap(b);
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
	if (!b->map && !b->closed && !b->dontneed && !b->purged)
		worked(buffer_map(g.fd, b), "mmap");
	return b->map;
}

static void op_write(struct rng *r)
{
	struct buffer *b = pick(r);
	uint32_t value = rng_next(r);
	uint64_t first, nr;

	if (!b || b->dontneed || b->purged || !mapped(b) || !idle(b))
		return;
	pick_range(r, b, rng_one_in(r, 50) ? 600 : 4, &first, &nr);
	if (buffer_write(b, first, nr, value) != ACCESS_OK)
		bad("SIGBUS in a write to pages from %" PRIu64 " on", first);
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
		explain(b, b->map, page, ACCESS_WRONG, "through /proc/self/mem");
	atomic_fetch_add(&sh->pages_checked, 1);
	done(OP_PEEK);
}

static bool submit(struct buffer *dst, struct buffer *src, struct drm_vttm_op *op)
{
	int ret;

	op->dst = dst->handle;
	if (src)
		op->src = src->handle;
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
	uint32_t crc, want;
	uint64_t first, nr;

	if (!for_engine(b))
		return;
	pick_range(r, b, 8, &first, &nr);
	op.src_offset = first * PAGE;
	op.size = nr * PAGE;
	if (!result.used && !worked(buffer_create(g.fd, &result, 1, 0, false), "create"))
		return;
	if (!result.map && !worked(buffer_map(g.fd, &result), "mmap"))
		return;
	if (!submit(&result, b, &op)) {
		done(OP_ENGINE_CRC);
		return;
	}
	idle(&result);
	if (!peek32(result.map, &crc))
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
	ret = vttm_wait(g.fd, b->handle, rng_one_in(r, 2) ? 0 : 1000000);
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
	ret = vttm_info(g.fd, b->handle, &i);
	if (!worked(ret, "info"))
		return;
	sum = i.resident_pages + i.backed_up_pages;
	if (i.size != b->size || i.caching != b->caching ||
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
	done(OP_INFO);
}

static void op_dontneed(struct rng *r)
{
	struct buffer *b = pick(r);
	uint32_t retained;
	int ret;

	if (!b || b->closed)
		return;
	ret = vttm_madvise(g.fd, b->handle, DRM_VTTM_MADV_DONTNEED, &retained);
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
	if (!worked(vttm_madvise(g.fd, b->handle, DRM_VTTM_MADV_WILLNEED,
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
	if (b->map && idle(b))
		check_range(b, 0, b->pages < 16 ? b->pages : 16);
	if (b->purged) {
		buffer_unmap(b);
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
	if (b && b->map && !b->dontneed && !b->purged && idle(b)) {
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
	buffer_unmap(b);
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
	if (drmPrimeHandleToFD(g.fd, b->handle, DRM_CLOEXEC | DRM_RDWR, &fd)) {
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
	import.handle = handle;
	import.map = NULL;
	if (worked(buffer_map(other.fd, &import), "mmap of an import")) {
		a = buffer_check_at(b, import.map, page, 1, &at);
		if (a != ACCESS_OK)
			explain(b, import.map, page, a, "through an import");
		buffer_unmap(&import);
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
			buffer_unmap(&bufs[i]);
	for (i = 0; i < BUFFERS; i++)
		if (bufs[i].used && bufs[i].map)
			idle(&bufs[i]);
	close(g.fd);
	close(other.fd);
	if (result.used) {
		buffer_unmap(&result);
		buffer_forget(&result);
	}
	for (i = 0; i < BUFFERS; i++) {
		struct buffer *b = &bufs[i];

		if (!b->used)
			continue;
		b->closed = true;
		if (b->map && !b->busy)
			check_range(b, 0, 1);
		buffer_unmap(b);
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

static void group_name(char *name, size_t len, unsigned int nr)
{
	snprintf(name, len, "torture%u", nr % GROUPS);
}

static void __attribute__((noreturn)) worker(void)
{
	struct rng r = { mix(mix(seed, slot), generation) };
	unsigned int total = 0, i;
	struct itimerval off = { 0 };
	char group[16];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
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
			buffer_unmap(b);
			close_handle(b);
		}
	}
	fflush(stdout);
	_exit(0);
}

/* ---- those that make it hard ---- */

static void __attribute__((noreturn)) shrinker(void)
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

#define SHMEM_ENABLED	"/sys/kernel/mm/transparent_hugepage/shmem_enabled"

static void cycle_swap(const struct swap_list *swaps, struct rng *r)
{
	int ret;

	if (!swaps->nr)
		return;
	ret = swap_all_off(swaps, 60);
	if (!ret)
		atomic_fetch_add(&sh->swap_cycles, 1);
	else
		atomic_fetch_add(&sh->swap_refused, 1);
	if (rng_one_in(r, 2))
		usleep(rng_below(r, 100000));
	/* one of several may be on still, which is no error */
	swap_all_on(swaps);
}

/* Pressure from memory that is nobody's business here. */
static void hog(struct rng *r)
{
	uint64_t avail = meminfo_kib("MemAvailable") * KiB;
	uint64_t swap = meminfo_kib("SwapFree") * KiB;
	uint64_t until = now_ns() + 3000000000ULL, len, at;
	uint8_t *m;

	/* never more than what swap has room for: nobody is to be killed */
	len = avail * (60 + rng_below(r, 60)) / 100;
	if (len > avail + swap / 4)
		len = avail + swap / 4;
	if (!swap)
		len = avail / 2;
	m = mmap(NULL, len, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m == MAP_FAILED)
		return;
	/* small pages are slow to come by */
	if (!rng_one_in(r, 4))
		madvise(m, len, MADV_HUGEPAGE);
	for (at = 0; at < len && !atomic_load(&sh->stop); at += PAGE) {
		*(uint64_t *)(m + at) = at;
		/* it is slow once the others want their memory back */
		if (at % (64 * PAGE) == 0 && now_ns() > until)
			break;
	}
	munmap(m, len);
}

static void limits(struct rng *r)
{
	unsigned int nr = rng_below(r, GROUPS);
	char name[16];
	uint64_t now;

	group_name(name, sizeof(name), nr);
	now = cg_read(name, "memory.current");
	switch (rng_below(r, 3)) {
	case 0:
		cg_write(name, "memory.reclaim", "%llu",
			 (unsigned long long)(now / (1 + rng_below(r, 4))));
		break;
	case 1:
		/* above what cannot be reclaimed, so that nobody is killed */
		cg_write(name, "memory.high", "%llu",
			 (unsigned long long)(now / 2 + 16 * MiB));
		usleep(rng_below(r, 200000));
		cg_write(name, "memory.high", "max");
		break;
	default:
		if (!meminfo_kib("SwapFree"))
			break;
		cg_write(name, "memory.max", "%llu",
			 (unsigned long long)(now / 2 + 24 * MiB));
		usleep(rng_below(r, 200000));
		cg_write(name, "memory.max", "max");
	}
}

static void __attribute__((noreturn)) disturber(void)
{
	static const char *const huge[] = { "deny", "never", "force", "advise", "within_size" };
	char usual[16] = "never";
	struct rng r = { 0 };
	struct swap_list swaps;
	const char *p;
	uint64_t n = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	swap_list(&swaps);
	p = read_file(SHMEM_ENABLED);
	p = p ? strchr(p, '[') : NULL;
	if (p)
		snprintf(usual, sizeof(usual), "%.*s", (int)strcspn(p + 1, "]"), p + 1);
	while (!atomic_load(&sh->stop)) {
		r.state = mix(mix(seed, 2000), ++n);
		switch (rng_below(&r, 40)) {
		case 0 ... 4:
			cycle_swap(&swaps, &r);
			break;
		case 5:
			hog(&r);
			break;
		case 6 ... 15:
			limits(&r);
			break;
		case 16 ... 19:
			write_file("/proc/sys/vm/compact_memory", "1");
			break;
		case 20 ... 23:
			write_file("/proc/sys/vm/drop_caches", "1");
			break;
		case 24:
			/* the shrinkers, again and again while they find work */
			write_file("/proc/sys/vm/drop_caches", "2");
			break;
		case 25 ... 27:
			/* what is backed up is charged to no group */
			reclaim(1 + rng_below(&r, 16 * MiB));
			break;
		case 28 ... 31:
			if (!file_exists(SHMEM_ENABLED))
				break;
			write_file(SHMEM_ENABLED, "%s",
				   huge[rng_below(&r, ARRAY_LEN(huge))]);
			usleep(rng_below(&r, 300000));
			write_file(SHMEM_ENABLED, "%s", usual);
			break;
		case 32 ... 35:
			read_file("/sys/kernel/debug/ttm/page_pool_shrink");
			break;
		default:
			read_file("/sys/kernel/debug/ttm/tt_shrink");
		}
		atomic_fetch_add(&sh->disturbances, 1);
		usleep(rng_below(&r, 200000));
	}
	if (file_exists(SHMEM_ENABLED))
		write_file(SHMEM_ENABLED, "%s", usual);
	_exit(0);
}

/* ---- the run ---- */

static pid_t start(void (*fn)(void))
{
	pid_t pid = fork_or_die();

	if (!pid) {
		fn();
		_exit(0);
	}
	return pid;
}

static unsigned long total_ops(void)
{
	unsigned long sum = 0;
	unsigned int i;

	for (i = 0; i < NR_OPS; i++)
		sum += atomic_load(&sh->ops[i]);
	return sum;
}

static void reap_helper(pid_t pid, const char *what)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			die("waitpid: %s", strerror(errno));
	if (status)
		FAIL("%s ended with status %x", what, status);
}

static void run_all(void)
{
	struct rng r = { mix(seed, 3000) };
	uint64_t end = now_ns() + seconds * 1000000000ULL, shown = now_ns();
	pid_t pids[MAX_WORKERS], shrinkers[1], disturb;
	unsigned int generations[MAX_WORKERS] = { 0 };
	bool killed[MAX_WORKERS] = { false };
	unsigned int i;

	if (fault_percent)
		inject_start(fault_percent);
	for (slot = 0; slot < nr_workers; slot++)
		pids[slot] = start(worker);
	for (i = 0; i < ARRAY_LEN(shrinkers); i++)
		shrinkers[i] = start(shrinker);
	disturb = start(disturber);

	while (now_ns() < end && !atomic_load(&sh->stop)) {
		int status;

		usleep(20000 + rng_below(&r, 200000));
		if (rng_one_in(&r, 8)) {
			i = rng_below(&r, nr_workers);
			if (!killed[i] && !kill(pids[i], SIGKILL)) {
				killed[i] = true;
				atomic_fetch_add(&sh->kills, 1);
			}
		}
		for (i = 0; i < nr_workers && !atomic_load(&sh->stop); i++) {
			if (waitpid(pids[i], &status, WNOHANG) != pids[i])
				continue;
			pids[i] = 0;
			if (atomic_load(&sh->stop))
				break;
			if (!killed[i] || !WIFSIGNALED(status)) {
				FAIL("worker %u.%u ended with status %x", i,
				     generations[i], status);
				atomic_store(&sh->stop, true);
				break;
			}
			killed[i] = false;
			slot = i;
			generation = ++generations[i];
			pids[i] = start(worker);
			atomic_fetch_add(&sh->respawns, 1);
		}
		if (now_ns() - shown > 15000000000ULL) {
			test_note("%lu actions, %lu pages checked, %" PRIu64 " pages of swap used",
				  total_ops(), atomic_load(&sh->pages_checked),
				  swap_used_pages());
			shown = now_ns();
		}
	}
	atomic_store(&sh->stop, true);
	/* shrinking goes on while they finish */
	for (i = 0; i < nr_workers; i++) {
		int status;

		if (pids[i] <= 0)
			continue;
		while (waitpid(pids[i], &status, 0) < 0)
			if (errno != EINTR)
				die("waitpid: %s", strerror(errno));
		if (status && !atomic_load(&sh->failed) &&
		    !(killed[i] && WIFSIGNALED(status)))
			FAIL("worker %u.%u ended with status %x", i,
			     generations[i], status);
	}
	for (i = 0; i < ARRAY_LEN(shrinkers); i++)
		reap_helper(shrinkers[i], "a shrinker");
	reap_helper(disturb, "the disturber");
	if (fault_percent)
		inject_stop();
	if (atomic_load(&sh->failed))
		FAIL("something was wrong, see above");
}

static void torture(void)
{
	struct backup_counters then, c;
	uint64_t extracted, adopted;
	struct balance before;
	unsigned int i;
	char name[16];

	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE,
		  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT(sh != MAP_FAILED);
	*(volatile char *)sh = 0;
	test_source();
	leaks_forget();
	ASSERT(balance_take(&before));
	for (i = 0; i < GROUPS; i++) {
		group_name(name, sizeof(name), i);
		ASSERT_OK(cg_create(name));
	}
	backup_counters(&then);
	extracted = backup_stat("restored_extracted");
	adopted = backup_stat("restored_adopted");
	run_all();
	backup_counters_since(&then, &c);
	for (i = 0; i < GROUPS; i++) {
		group_name(name, sizeof(name), i);
		EXPECT_OK(cg_remove(name));
	}
	balance_check(&before);
	EXPECT(leaks_check());

	for (i = 0; i < NR_OPS; i++)
		test_note("%s: %lu", ops[i].name, atomic_load(&sh->ops[i]));
	test_note("%lu pages checked, %lu purged, %lu times no memory",
		  atomic_load(&sh->pages_checked), atomic_load(&sh->purged),
		  atomic_load(&sh->no_memory));
	test_note("%lu kills, %lu shrinks, %lu disturbances, swap off and on %lu times, %lu times in vain",
		  atomic_load(&sh->kills), atomic_load(&sh->shrinks),
		  atomic_load(&sh->disturbances), atomic_load(&sh->swap_cycles),
		  atomic_load(&sh->swap_refused));
	test_note("%" PRIu64 " pages inserted, %" PRIu64 " copied, %" PRIu64 " folios refused",
		  c.inserted, c.copied, c.refused);
	test_note("%" PRIu64 " pages extracted, %" PRIu64 " adopted, %" PRIu64 " restored by a copy",
		  backup_stat("restored_extracted") - extracted,
		  backup_stat("restored_adopted") - adopted, c.restored_copied);
	test_note("operations %lu", total_ops());
	test_note("faults injected %lu", inject_count());
	test_note("seed %" PRIu64, seed);
	/* a run that did nothing proves nothing */
	EXPECT_GT(total_ops(), 0);
	if (meminfo_kib("SwapTotal")) {
		EXPECT_GT(c.inserted, 0);
		EXPECT_GT(backup_stat("restored_extracted"), extracted);
	}
	if (fault_percent)
		EXPECT_GT(inject_count(), 0);
}

static const struct test tests[] = {
	{ "c46_c53_c55_c58_torture", torture },
};

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "seconds", required_argument, NULL, 't' },
		{ "workers", required_argument, NULL, 'w' },
		{ "faults", required_argument, NULL, 'f' },
		{ 0 }
	};
	int c;

	seed = now_ns();
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's': seed = parse_number("--seed", optarg, UINT64_MAX); break;
		case 't': seconds = parse_number("--seconds", optarg, 1000000); break;
		case 'w': nr_workers = parse_number("--workers", optarg, MAX_WORKERS); break;
		case 'f': fault_percent = parse_number("--faults", optarg, 100); break;
		default: die("usage: test-torture [--seed N] [--seconds N] [--workers N] [--faults PERCENT]");
		}
	}
	if (optind < argc || !nr_workers || !seconds)
		die("usage: test-torture [--seed N] [--seconds N] [--workers N] [--faults PERCENT]");
	return ktap_run(tests, ARRAY_LEN(tests));
}
