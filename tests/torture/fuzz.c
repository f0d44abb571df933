// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * test-fuzz [--seed N] [--seconds N] [--threads N]
 *
 * A user without privileges, with several threads, two devices and dma-bufs that go both ways,
 * makes calls that are right as often as not: most of them are built as they should
 * be and then, sometimes, spoiled in one field. Some are noise. Meanwhile root has the
 * devices shrink. Nothing must break, and nothing must be left when the user is gone.
 *
 * The seed says what each thread does. How that meets is up to the scheduler.
 */

#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <linux/dma-buf.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xf86drm.h>

#include "model.h"

#define DEVICES		2
#define SLOTS		48
#define MAX_THREADS	16
#define MAX_OPS		12
#define NOBODY		65534
/* of buffers, for each device: the machine has more */
#define MOST_BYTES	(48 * MiB)

struct slot {
	uint32_t handle;	/* 0: free */
	uint64_t size;
	bool imported;
};

static struct device {
	int fd;
	pthread_mutex_t lock;
	struct slot slot[SLOTS];
	uint64_t bytes;
	uint32_t syncobj[4];
} dev[DEVICES];

struct shared {
	atomic_bool stop;
	atomic_ulong calls, fine, submits, valid, imports, maps, sigbus, runs;
};

static struct shared *sh;
static uint64_t seed;
static unsigned int seconds = 30, nr_threads = 4;
static bool has_vram;
static int mem_fd;	/* of /proc/self/mem, for what debuggers do */

static long call(int fd, unsigned long request, void *arg)
{
	long ret = ioctl(fd, request, arg);

	atomic_fetch_add(&sh->calls, 1);
	if (ret >= 0)
		atomic_fetch_add(&sh->fine, 1);
	return ret;
}

/* One of the buffers, as it was a moment ago; others may close it. */
static bool pick(struct rng *r, struct device *d, struct slot *s)
{
	unsigned int i, start = rng_below(r, SLOTS);

	pthread_mutex_lock(&d->lock);
	for (i = 0; i < SLOTS; i++) {
		*s = d->slot[(start + i) % SLOTS];
		if (s->handle)
			break;
	}
	pthread_mutex_unlock(&d->lock);
	return i < SLOTS;
}

static void put(struct device *d, uint32_t handle, uint64_t size, bool imported)
{
	struct drm_gem_close c = { .handle = handle };
	unsigned int i;

	pthread_mutex_lock(&d->lock);
	for (i = 0; i < SLOTS; i++)
		if (!d->slot[i].handle || d->slot[i].handle == handle)
			break;
	if (i < SLOTS) {
		if (!d->slot[i].handle && !imported)
			d->bytes += size;
		d->slot[i] = (struct slot){ handle, size, imported };
	}
	pthread_mutex_unlock(&d->lock);
	if (i == SLOTS)
		call(d->fd, DRM_IOCTL_GEM_CLOSE, &c);
}

/* A word that is likely to be wrong in an interesting way */
static uint64_t odd(struct rng *r)
{
	static const uint64_t words[] = {
		0, 1, 2, 3, 4, 7, 8, 4095, 4096, 4097, 0x7fffffff, 0x80000000,
		0xffffffff, 0x100000000, 0x7fffffffffffffff, 0x8000000000000000,
		0xfffffffffffff000, 0xfffffffffffffffc, 0xffffffffffffffff,
	};

	return rng_one_in(r, 4) ? rng_next(r) : words[rng_below(r, ARRAY_LEN(words))];
}

/* Spoil one word of what is right. */
static void spoil(struct rng *r, void *arg, size_t size)
{
	uint32_t word = odd(r);

	memcpy((char *)arg + rng_below(r, size / 4) * 4, &word, 4);
}

static void do_create(struct rng *r, struct device *d)
{
	uint64_t kind = rng_below(r, 100);
	struct drm_vttm_create c = {
		.size = kind < 60 ? (1 + rng_below(r, 16)) * PAGE :
			kind < 95 ? rng_below(r, MiB) + 1 : 2 * MiB + rng_below(r, MiB),
		.caching = rng_below(r, 3),
		.flags = rng_one_in(r, 4) ? DRM_VTTM_CREATE_LOCAL : 0,
	};

	if (has_vram && rng_one_in(r, 2))
		c.flags |= DRM_VTTM_CREATE_VRAM;
	if (d->bytes > MOST_BYTES)
		return;
	if (rng_one_in(r, 8))
		spoil(r, &c, sizeof(c));
	if (!call(d->fd, DRM_IOCTL_VTTM_CREATE, &c))
		put(d, c.handle, c.size, false);
}

static void do_close(struct rng *r, struct device *d)
{
	struct drm_gem_close c = { 0 };
	unsigned int i = rng_below(r, SLOTS);

	pthread_mutex_lock(&d->lock);
	c.handle = d->slot[i].handle;
	if (c.handle && !d->slot[i].imported)
		d->bytes -= d->slot[i].size;
	d->slot[i].handle = 0;
	pthread_mutex_unlock(&d->lock);
	if (!c.handle && !rng_one_in(r, 16))
		return;
	if (!c.handle)
		c.handle = odd(r);
	call(d->fd, DRM_IOCTL_GEM_CLOSE, &c);
}

static uint64_t offset_within(struct rng *r, uint64_t size, uint64_t len)
{
	return size > len ? rng_below(r, (size - len) / 4 + 1) * 4 : 0;
}

static void do_submit(struct rng *r, struct device *d)
{
	unsigned int i, nr = 1 + rng_below(r, MAX_OPS);
	struct drm_vttm_op ops[MAX_OPS] = { 0 };
	struct drm_vttm_submit s = { .ops = (uintptr_t)ops };
	struct slot dst, src;

	for (i = 0; i < nr; i++) {
		struct drm_vttm_op *op = &ops[i];
		uint64_t most;

		if (!pick(r, d, &dst) || !pick(r, d, &src))
			return;
		op->opcode = rng_below(r, 3);
		/* the same memory in two places is refused where it overlaps */
		if (op->opcode == DRM_VTTM_OP_COPY &&
		    (dst.handle == src.handle || (dst.imported && src.imported)))
			op->opcode = DRM_VTTM_OP_CRC32;
		op->dst = dst.handle;
		most = dst.size < 64 * KiB ? dst.size : 64 * KiB;
		if (op->opcode != DRM_VTTM_OP_FILL) {
			op->src = src.handle;
			if (most > src.size)
				most = src.size;
		}
		op->size = (rng_below(r, most / 4) + 1) * 4;
		op->dst_offset = offset_within(r, dst.size, op->opcode == DRM_VTTM_OP_CRC32 ?
					       4 : op->size);
		if (op->opcode == DRM_VTTM_OP_FILL)
			op->value = rng_next(r);
		else
			op->src_offset = offset_within(r, src.size, op->size);
	}
	s.op_count = nr;
	if (rng_one_in(r, 3)) {
		s.syncobj = d->syncobj[rng_below(r, ARRAY_LEN(d->syncobj))];
		s.point = rng_one_in(r, 2) ? 1 + rng_below(r, 1000) : 0;
	}
	switch (rng_below(r, 12)) {
	case 0:
		spoil(r, &ops[rng_below(r, nr)], sizeof(*ops));
		break;
	case 1:
		spoil(r, &s, sizeof(s));
		break;
	}
	atomic_fetch_add(&sh->submits, 1);
	if (!call(d->fd, DRM_IOCTL_VTTM_SUBMIT, &s))
		atomic_fetch_add(&sh->valid, 1);
}

static void do_wait(struct rng *r, struct device *d)
{
	struct drm_vttm_wait w = { .timeout_ns = now_ns() + rng_below(r, 3000000) };
	struct slot s;

	if (!pick(r, d, &s))
		return;
	w.handle = s.handle;
	/* a wait without end does not end when all are to stop */
	if (rng_one_in(r, 8)) {
		spoil(r, &w, sizeof(w.handle) + sizeof(w.pad));
		w.timeout_ns = rng_one_in(r, 2) ? 0 : -(int64_t)(odd(r) >> 1);
	}
	call(d->fd, DRM_IOCTL_VTTM_WAIT, &w);
}

static void do_info(struct rng *r, struct device *d)
{
	struct drm_vttm_info i = { 0 };
	struct slot s;

	if (!pick(r, d, &s))
		return;
	i.handle = s.handle;
	if (rng_one_in(r, 8))
		spoil(r, &i, sizeof(i));
	call(d->fd, DRM_IOCTL_VTTM_INFO, &i);
}

/* Mostly back at once: what is not needed is of no use to the others. */
static void do_madvise(struct rng *r, struct device *d)
{
	struct drm_vttm_madvise m = { 0 };
	struct slot s;

	if (!pick(r, d, &s))
		return;
	m.handle = s.handle;
	m.madv = rng_one_in(r, 12) ? DRM_VTTM_MADV_DONTNEED : DRM_VTTM_MADV_WILLNEED;
	if (rng_one_in(r, 8))
		spoil(r, &m, sizeof(m));
	if (!call(d->fd, DRM_IOCTL_VTTM_MADVISE, &m) &&
	    m.madv == DRM_VTTM_MADV_DONTNEED && !rng_one_in(r, 4)) {
		m.pad = 0;
		m.madv = DRM_VTTM_MADV_WILLNEED;
		call(d->fd, DRM_IOCTL_VTTM_MADVISE, &m);
	}
}

static void use_map(struct rng *r, uint8_t *map, uint64_t size)
{
	unsigned int i;
	uint32_t v;

	for (i = 0; i < 3; i++) {
		uint8_t *at = map + rng_below(r, size / 4) * 4;

		if (peek32(at, &v))
			atomic_fetch_add(&sh->maps, 1);
		else
			atomic_fetch_add(&sh->sigbus, 1);
	}
	if (rng_one_in(r, 4)) {
		uint8_t bytes[2 * PAGE];
		size_t len = 1 + rng_below(r, sizeof(bytes));
		uint64_t at = (uintptr_t)map + rng_below(r, size);

		/* over the end as well; of what is written, nobody says what it should be */
		if (pread(mem_fd, bytes, len, at) > 0 && rng_one_in(r, 2) &&
		    at + len <= (uintptr_t)map + size)
			pwrite(mem_fd, bytes, len, at);
	}
	madvise(map, size, rng_one_in(r, 2) ? MADV_DONTNEED : MADV_WILLNEED);
}

static void do_map(struct rng *r, struct device *d)
{
	int prot = rng_one_in(r, 3) ? PROT_READ : PROT_READ | PROT_WRITE;
	int flags = rng_one_in(r, 16) ? MAP_PRIVATE : MAP_SHARED;
	struct drm_vttm_mmap_offset m = { 0 };
	uint64_t size;
	struct slot s;
	uint8_t *map;

	if (!pick(r, d, &s))
		return;
	m.handle = s.handle;
	if (rng_one_in(r, 16))
		spoil(r, &m, sizeof(m));
	if (call(d->fd, DRM_IOCTL_VTTM_MMAP_OFFSET, &m))
		return;
	size = rng_one_in(r, 4) ? PAGE : s.size;
	if (rng_one_in(r, 16))
		m.offset += odd(r) & ~(PAGE - 1);
	map = mmap(NULL, size, prot, flags, d->fd, m.offset);
	if (map == MAP_FAILED)
		return;
	use_map(r, map, size);
	munmap(map, size);
}

static void do_prime(struct rng *r, struct device *d)
{
	struct device *to = &dev[rng_one_in(r, 6) ? d - dev : !(d - dev)];
	struct drm_prime_handle p = { .flags = DRM_CLOEXEC | DRM_RDWR };
	struct dma_buf_export_sync_file e = { .flags = DMA_BUF_SYNC_RW };
	struct dma_buf_sync sync = { .flags = DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW };
	struct slot s;
	uint8_t *map;

	if (!pick(r, d, &s))
		return;
	p.handle = s.handle;
	if (rng_one_in(r, 16))
		spoil(r, &p, sizeof(p) - sizeof(p.fd));
	if (call(d->fd, DRM_IOCTL_PRIME_HANDLE_TO_FD, &p))
		return;
	switch (rng_below(r, 8)) {
	case 0:
		map = mmap(NULL, s.size, PROT_READ | PROT_WRITE, MAP_SHARED, p.fd, 0);
		if (map != MAP_FAILED) {
			call(p.fd, DMA_BUF_IOCTL_SYNC, &sync);
			use_map(r, map, s.size);
			sync.flags ^= DMA_BUF_SYNC_START ^ DMA_BUF_SYNC_END;
			call(p.fd, DMA_BUF_IOCTL_SYNC, &sync);
			munmap(map, s.size);
		}
		break;
	case 1:
		if (!call(p.fd, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &e))
			close(e.fd);
		break;
	default:
		p.handle = 0;
		if (!call(to->fd, DRM_IOCTL_PRIME_FD_TO_HANDLE, &p)) {
			/* where it came from, it has its place already */
			if (to != d)
				put(to, p.handle, s.size, true);
			atomic_fetch_add(&sh->imports, 1);
		}
	}
	close(p.fd);
}

static void do_syncobj(struct rng *r, struct device *d)
{
	uint32_t *syncobj = &d->syncobj[rng_below(r, ARRAY_LEN(d->syncobj))];
	uint32_t old = *syncobj, made = 0;
	uint64_t point = rng_below(r, 1000);

	switch (rng_below(r, 5)) {
	case 0:
		if (!drmSyncobjCreate(d->fd, 0, &made)) {
			*syncobj = made;
			drmSyncobjDestroy(d->fd, old);
		}
		break;
	case 1:
		drmSyncobjTimelineWait(d->fd, &old, &point, 1, now_ns() + 1000000,
				       DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT, NULL);
		break;
	case 2:
		drmSyncobjQuery(d->fd, &old, &point, 1);
		break;
	case 3:
		drmSyncobjTimelineSignal(d->fd, &old, &point, 1);
		break;
	default:
		drmSyncobjReset(d->fd, &old, 1);
	}
}

/* Any call, with anything in it. */
static void do_noise(struct rng *r, struct device *d)
{
	uint64_t words[16];
	unsigned int i, nr = rng_one_in(r, 2) ?
		DRM_COMMAND_BASE + rng_below(r, 8) : rng_below(r, 256);
	unsigned int dir = rng_below(r, 4), size = rng_below(r, sizeof(words) + 1);

	for (i = 0; i < ARRAY_LEN(words); i++)
		words[i] = odd(r);
	/* a wait that nobody ends, or that outlives all else */
	if (nr == DRM_COMMAND_BASE + DRM_VTTM_WAIT || (nr >= 0xbf && nr <= 0xcf))
		return;
	call(d->fd, _IOC(dir, DRM_IOCTL_BASE, nr, size), words);
}

static const struct {
	void (*fn)(struct rng *r, struct device *d);
	unsigned int weight;
} calls[] = {
	{ do_create, 14 }, { do_close, 8 }, { do_submit, 34 }, { do_wait, 6 },
	{ do_info, 6 }, { do_madvise, 6 }, { do_map, 12 }, { do_prime, 8 },
	{ do_syncobj, 4 }, { do_noise, 2 },
};

static void *thread(void *arg)
{
	struct rng r = { mix(seed, (uintptr_t)arg) };
	unsigned int i, sum = 0, n;

	for (i = 0; i < ARRAY_LEN(calls); i++)
		sum += calls[i].weight;
	while (!atomic_load(&sh->stop)) {
		n = rng_below(&r, sum);
		for (i = 0; n >= calls[i].weight; i++)
			n -= calls[i].weight;
		calls[i].fn(&r, &dev[rng_below(&r, DEVICES)]);
	}
	return NULL;
}

/* The user: no privileges from here on. */
static void user(unsigned int run)
{
	pthread_t threads[MAX_THREADS];
	unsigned int i, j;
	char path[32];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY))
		die("cannot become nobody: %s", strerror(errno));
	/* what has been root is not to be looked at, not even by itself */
	prctl(PR_SET_DUMPABLE, 1);
	mem_fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	if (mem_fd < 0)
		die("cannot open /proc/self/mem: %s", strerror(errno));
	for (i = 0; i < DEVICES; i++) {
		snprintf(path, sizeof(path), "/dev/dri/renderD%u", 128 + i);
		dev[i].fd = open(path, O_RDWR | O_CLOEXEC);
		if (dev[i].fd < 0)
			die("cannot open %s: %s", path, strerror(errno));
		pthread_mutex_init(&dev[i].lock, NULL);
		for (j = 0; j < ARRAY_LEN(dev[i].syncobj); j++)
			if (drmSyncobjCreate(dev[i].fd, 0, &dev[i].syncobj[j]))
				die("no syncobj: %s", strerror(errno));
	}
	for (i = 0; i < nr_threads; i++)
		if (pthread_create(&threads[i], NULL, thread,
				   (void *)(uintptr_t)(run * MAX_THREADS + i)))
			die("no thread: %s", strerror(errno));
	for (i = 0; i < nr_threads; i++)
		pthread_join(threads[i], NULL);
	_exit(0);
}

static void fuzz(void)
{
	uint64_t end = now_ns() + seconds * 1000000000ULL;
	struct rng r = { mix(seed, 4000) };
	struct gpu g[DEVICES];
	unsigned int i, run;
	char path[32];
	int status;

	sh = shared_memory(sizeof(*sh));
	for (i = 0; i < DEVICES; i++) {
		ASSERT(gpu_open_nth(&g[i], i));
		snprintf(path, sizeof(path), "/dev/dri/renderD%u", 128 + i);
		ASSERT_EQ(chmod(path, 0666), 0);
	}
	for (run = 0; now_ns() < end; run++) {
		uint64_t until = now_ns() + 3000000000ULL;
		bool kill_it = rng_one_in(&r, 2);
		pid_t pid = fork_or_die();

		if (!pid)
			user(run);
		atomic_fetch_add(&sh->runs, 1);
		while (now_ns() < until && now_ns() < end) {
			i = rng_below(&r, DEVICES);
			if (rng_one_in(&r, 6))
				vttm_purge(g[i].minor, 1 + rng_below(&r, 300), NULL);
			else
				vttm_shrink(g[i].minor, 1 + rng_below(&r, 600),
					    rng_one_in(&r, 3), NULL);
			usleep(rng_below(&r, 30000));
			if (waitpid(pid, &status, WNOHANG) == pid) {
				FAIL("the user ended with status %x", status);
				return;
			}
		}
		if (kill_it)
			kill(pid, SIGKILL);
		else
			atomic_store(&sh->stop, true);
		ASSERT_EQ(waitpid(pid, &status, 0), pid);
		EXPECT(kill_it ? WIFSIGNALED(status) : status == 0);
		atomic_store(&sh->stop, false);
	}
	test_note("%lu calls, %lu without an error; %lu submits, %lu of them valid; %lu imports, %lu accesses, %lu times SIGBUS; %lu processes",
		  atomic_load(&sh->calls), atomic_load(&sh->fine),
		  atomic_load(&sh->submits), atomic_load(&sh->valid),
		  atomic_load(&sh->imports), atomic_load(&sh->maps),
		  atomic_load(&sh->sigbus), atomic_load(&sh->runs));
	test_note("operations %lu", atomic_load(&sh->calls));
	test_note("seed %" PRIu64, seed);
	/* a run that was refused everything proves nothing */
	EXPECT_GT(atomic_load(&sh->submits), 100);
	EXPECT_GE(2 * atomic_load(&sh->valid), atomic_load(&sh->submits));
	EXPECT_GT(atomic_load(&sh->imports), 10);
	EXPECT_GT(atomic_load(&sh->maps), 100);
}

static const struct test tests[] = {
	{ "c109_user_without_privileges", fuzz },
};

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },
		{ "seconds", required_argument, NULL, 't' },
		{ "threads", required_argument, NULL, 'n' },
		{ 0 }
	};
	int c;

	seed = now_ns();
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's': seed = parse_number("--seed", optarg, 0, UINT64_MAX); break;
		case 't': seconds = parse_number("--seconds", optarg, 0, 1000000); break;
		case 'n': nr_threads = parse_number("--threads", optarg, 1, MAX_THREADS); break;
		default: die("usage: test-fuzz [--seed N] [--seconds N] [--threads N]");
		}
	}
	if (optind < argc || !nr_threads || !seconds)
		die("usage: test-fuzz [--seed N] [--seconds N] [--threads N]");
	mount_all();
	has_vram = vttm_vram_size();
	return ktap_run(tests, ARRAY_LEN(tests));
}
