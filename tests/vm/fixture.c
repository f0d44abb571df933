// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What nearly every VM test needs: a device, and filled buffers on it. */

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xf86drm.h>

#include "fixture.h"

const struct source *test_source(void)
{
	static struct source s;
	int ret;

	if (!s.len) {
		ret = source_add(&s, "/proc/self/exe");
		if (ret)
			die("cannot read /proc/self/exe: %s", strerror(-ret));
	}
	return &s;
}

bool bo_swap_out(const struct gpu *g, const struct bo *b)
{
	uint64_t used = swap_used_pages();

	if (!bo_backup(g, b, true))
		return false;
	reclaim_all();
	used = swap_used_pages() - used;
	if (used + SWAP_OTHERS >= PAGES(b->size))
		return true;
	FAIL("%" PRIu64 " of %" PRIu64 " pages are in swap", used, PAGES(b->size));
	return false;
}

const char *caching_name(uint32_t caching)
{
	static const char *const names[] = { "cached", "WC", "UC" };

	return caching < ARRAY_LEN(names) ? names[caching] : "?";
}

int bo_keep_busy(const struct gpu *g, const struct bo *b, unsigned int nr,
		 uint32_t syncobj)
{
	static struct drm_vttm_op ops[DRM_VTTM_SUBMIT_MAX_OPS];
	struct drm_vttm_submit s = {
		.ops = (uintptr_t)ops, .op_count = ARRAY_LEN(ops),
		.syncobj = syncobj,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(ops); i++)
		ops[i] = (struct drm_vttm_op){
			.opcode = DRM_VTTM_OP_CRC32, .dst = b[0].handle,
			.src = b[i % nr].handle, .size = b[i % nr].size,
		};
	return vttm_ioctl(g->fd, DRM_IOCTL_VTTM_SUBMIT, &s);
}

enum { HOG_STARTED, HOG_READY, HOG_GO };

/* Each page differs, and takes little time: the processor is emulated. */
static void hog_touch(uint8_t *p, uint64_t len)
{
	uint64_t state = 4711 + len, at, i;

	for (at = 0; at < len; at += PAGE)
		for (i = 0; i < 512; i += 8)
			*(uint64_t *)(p + at + i) = xorshift(&state);
}

void hog_start(struct hog *h, uint64_t more)
{
	uint64_t len = meminfo_kib("MemFree") * KiB / PAGE * PAGE, first;
	uint8_t *p;

	h->state = shared_memory(PAGE);
	h->pid = fork_or_die();
	if (!h->pid) {
		first = len > 24 * MiB ? len - 24 * MiB : 0;
		len += more;
		p = mmap(NULL, len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (p == MAP_FAILED)
			_exit(1);
		hog_touch(p, first);
		*h->state = HOG_READY;
		while (*h->state != HOG_GO)
			usleep(1000);
		hog_touch(p + first, len - first);
		_exit(0);
	}
	while (*h->state == HOG_STARTED && !waitpid(h->pid, NULL, WNOHANG))
		usleep(1000);
}

void hog_go(struct hog *h)
{
	*h->state = HOG_GO;
}

int hog_end(struct hog *h)
{
	int status = -1;

	while (waitpid(h->pid, &status, 0) < 0 && errno == EINTR)
		;
	munmap((void *)h->state, PAGE);
	return status;
}

bool gpu_open_nth(struct gpu *g, unsigned int nth)
{
	g->fd = vttm_open(nth, &g->minor);
	if (g->fd < 0) {
		FAIL("no vttm device %u: boot with vttm.devices=%u", nth, nth + 1);
		return false;
	}
	return true;
}

bool gpu_open(struct gpu *g)
{
	return gpu_open_nth(g, 0);
}

bool bo_new(const struct gpu *g, struct bo *b, uint64_t size, uint32_t caching,
	    uint32_t seed)
{
	return bo_new_flags(g, b, size, caching, 0, seed);
}

bool bo_new_flags(const struct gpu *g, struct bo *b, uint64_t size, uint32_t caching,
		  uint32_t flags, uint32_t seed)
{
	int ret;

	ret = bo_create(g->fd, b, size, caching, flags);
	if (ret) {
		FAIL("create %" PRIu64 " bytes %s: %s", size,
		     caching_name(caching), strerror(-ret));
		return false;
	}
	ret = bo_map(g->fd, b);
	if (ret) {
		FAIL("mmap of %" PRIu64 " bytes: %s", b->size, strerror(-ret));
		return false;
	}
	return bo_fill(b, seed);
}

/* A fault that fails would kill the test: find it first. */
static bool bo_touches(const struct bo *b)
{
	int64_t bad = bo_touch(b);

	if (bad >= 0)
		FAIL("SIGBUS at page %" PRId64, bad);
	return bad < 0;
}

bool bo_fill(struct bo *b, uint32_t seed)
{
	if (!bo_touches(b))
		return false;
	bo_store(b, test_source(), seed);
	return true;
}

void bo_free(const struct gpu *g, struct bo *b)
{
	EXPECT_OK(bo_close(g->fd, b));
}

bool bo_info(const struct gpu *g, const struct bo *b, struct vttm_state *i)
{
	int ret = vttm_info(g->fd, b->handle, i);

	if (ret)
		FAIL("INFO: %s", strerror(-ret));
	return !ret;
}

bool bo_shrink(const struct gpu *g, const struct bo *b, bool writeback)
{
	struct vttm_state i;
	unsigned int tries;
	int ret;

	for (tries = 0; tries < 64; tries++) {
		if (!bo_info(g, b, &i))
			return false;
		if (!i.resident_pages)
			return true;
		ret = vttm_shrink(g->minor, i.resident_pages, writeback, NULL);
		if (ret) {
			FAIL("shrink of %llu pages: %s",
			     (unsigned long long)i.resident_pages,
			     strerror(-ret));
			return false;
		}
	}
	FAIL("%llu pages still resident after %u shrinks",
	     (unsigned long long)i.resident_pages, tries);
	return false;
}

bool bo_backup(const struct gpu *g, const struct bo *b, bool writeback)
{
	if (!bo_shrink(g, b, writeback))
		return false;
	lru_drain();
	return true;
}

bool bo_check_map(const struct bo *b)
{
	char text[128];

	if (!bo_touches(b))
		return false;
	bo_explain(b, test_source(), text, sizeof(text));
	if (*text)
		FAIL("%s buffer %u: %s", caching_name(b->caching), b->seed, text);
	return !*text;
}

bool bo_check_engine(const struct gpu *g, const struct bo *b)
{
	uint32_t crc;
	int ret;

	ret = vttm_crc(g->fd, b->handle, b->size, &crc);
	if (ret) {
		FAIL("engine CRC of %s buffer %u: %s", caching_name(b->caching),
		     b->seed, strerror(-ret));
		return false;
	}
	if (crc != b->crc) {
		FAIL("engine read %08x from %s buffer %u, stored was %08x", crc,
		     caching_name(b->caching), b->seed, b->crc);
		return false;
	}
	return true;
}

void bo_check_read_only(int device, const struct bo *b)
{
	int mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC), fd;
	uint32_t word, changed;
	void *map;

	ASSERT(mem >= 0);
	ASSERT_EQ(drmPrimeHandleToFD(device, b->handle, DRM_CLOEXEC, &fd), 0);
	EXPECT(mmap(NULL, b->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
	map = mmap(NULL, b->size, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT(map != MAP_FAILED);
	EXPECT_EQ(pread(mem, &word, sizeof(word), (uintptr_t)map), sizeof(word));
	changed = ~word;
	EXPECT_EQ(pwrite(mem, &changed, sizeof(changed), (uintptr_t)map), -1);
	EXPECT(bo_check_map(b));
	EXPECT_EQ(pwrite(mem, &changed, sizeof(changed), (uintptr_t)b->map), sizeof(changed));
	EXPECT_EQ(*(const volatile uint32_t *)map, changed);
	EXPECT_EQ(pwrite(mem, &word, sizeof(word), (uintptr_t)b->map), sizeof(word));
	munmap(map, b->size);
	close(fd);
	close(mem);
}

void bo_check_debugger_writes(const struct bo *b, const void *map)
{
	int mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	uint32_t word, changed;

	ASSERT(mem >= 0);
	EXPECT_EQ(pread(mem, &word, sizeof(word), (uintptr_t)map), sizeof(word));
	EXPECT_EQ(word, *(const volatile uint32_t *)b->map);
	changed = ~word;
	EXPECT_EQ(pwrite(mem, &changed, sizeof(changed), (uintptr_t)map), sizeof(changed));
	EXPECT_EQ(*(const volatile uint32_t *)b->map, changed);
	EXPECT_EQ(pwrite(mem, &word, sizeof(word), (uintptr_t)map), sizeof(word));
	EXPECT(bo_check_map(b));
	close(mem);
}

bool bo_check_where(const struct gpu *g, const struct bo *b,
		    uint64_t resident, uint64_t backed_up, uint64_t inserted)
{
	struct vttm_state i;

	if (!bo_info(g, b, &i))
		return false;
	if (i.resident_pages == resident && i.backed_up_pages == backed_up &&
	    i.inserted_pages == inserted)
		return true;
	FAIL("resident/backed up/inserted pages %llu/%llu/%llu, not %llu/%llu/%llu",
	     (unsigned long long)i.resident_pages,
	     (unsigned long long)i.backed_up_pages,
	     (unsigned long long)i.inserted_pages,
	     (unsigned long long)resident, (unsigned long long)backed_up,
	     (unsigned long long)inserted);
	return false;
}

bool came_back(const struct backup_counters *then, uint64_t adopted,
	       uint64_t extracted, uint64_t copied)
{
	struct backup_counters c;

	backup_counters_since(then, &c);
	if (c.restored_adopted == adopted && c.restored_extracted == extracted &&
	    !c.restored_merged && c.restored_copied == copied)
		return true;
	FAIL("adopted/extracted/merged/copied %" PRIu64 "/%" PRIu64 "/%" PRIu64 "/%" PRIu64 " pages, not %" PRIu64 "/%" PRIu64 "/0/%" PRIu64,
	     c.restored_adopted, c.restored_extracted, c.restored_merged,
	     c.restored_copied, adopted, extracted, copied);
	return false;
}

bool shrink_all(uint64_t pages)
{
	uint64_t sum = 0;
	int64_t ret;

	while ((ret = tt_shrink()) > 0)
		sum += ret;
	lru_drain();
	if (ret == 0 && sum == pages)
		return true;
	FAIL("%" PRIu64 " of %" PRIu64 " pages swapped out, then %" PRId64, sum, pages,
	     ret);
	return false;
}

bool active_falls_to(uint64_t pages)
{
	uint64_t active = vmstat("nr_gpu_active");
	unsigned int i;

	for (i = 0; i < 1000 && active > pages; i++) {
		usleep(20000);
		active = vmstat("nr_gpu_active");
	}
	if (active <= pages)
		return true;
	FAIL("%" PRIu64 " pages in use after 20 s, before %" PRIu64, active, pages);
	return false;
}

bool trace_on(const char *event)
{
	int ret = write_file(TRACING "/set_event", "%s", event);

	if (!ret)
		ret = trace_clear();
	if (ret)
		FAIL("cannot trace %s: %s", event, strerror(-ret));
	return !ret;
}

void trace_off(void)
{
	EXPECT_OK(write_file(TRACING "/events/enable", "0"));
}

unsigned int trace_count(const char *event, const char *text)
{
	const char *p = must_read(TRACING "/trace");
	unsigned int nr;
	char key[96];

	snprintf(key, sizeof(key), ": %s: %s", event, text);
	for (nr = 0; (p = strstr(p, key)); nr++)
		p++;
	return nr;
}

unsigned int trace_moved(const char *event, struct moved *m, unsigned int max)
{
	const char *p = read_file(TRACING "/trace"), *pfn, *order;
	unsigned int n = 0;
	char key[64];

	snprintf(key, sizeof(key), ": %s: ", event);
	while (p && (p = strstr(p, key)) && n < max) {
		p += strlen(key);
		pfn = strstr(p, "pfn=0x");
		order = strstr(p, "order=");
		if (!pfn || !order)
			break;
		m[n].pfn = strtoull(pfn + 6, NULL, 16);
		m[n++].order = strtoul(order + 6, NULL, 10);
	}
	return n;
}

#define PAGES_LIMIT	"/sys/module/ttm/parameters/pages_limit"

static uint64_t limit_before;

bool limit_set(uint64_t pages)
{
	if (!limit_before)
		limit_before = strtoull(read_file(PAGES_LIMIT) ?: "0", NULL, 10);
	if (limit_before && !write_file(PAGES_LIMIT, "%" PRIu64, pages))
		return true;
	FAIL("%s cannot be set", PAGES_LIMIT);
	return false;
}

void limit_restore(void)
{
	write_file(PAGES_LIMIT, "%" PRIu64, limit_before);
}

void active_peak(uint64_t *most)
{
	uint64_t now;

	pools_drain();
	now = vmstat("nr_gpu_active");
	if (now > *most)
		*most = now;
}

void limit_check(const struct gpu *g, const struct bo *b, unsigned int nr, uint64_t limit,
		 uint64_t most)
{
	unsigned int i, round;

	for (round = 0; round < 3; round++) {
		for (i = 0; i < nr; i++) {
			const struct bo *bo = &b[(i * 5 + round) % nr];

			EXPECT(!g || i & 1 ? bo_check_map(bo) : bo_check_engine(g, bo));
			active_peak(&most);
		}
	}
	EXPECT_LE(most, limit);
	EXPECT_GE(most, limit / 2);
	test_note("%" PRIu64 " pages at most, where %" PRIu64 " are allowed", most, limit);
}

void swapout_check_memory(const struct bo *b, bool copied)
{
	uint64_t pages = PAGES(b->size), least = UINT64_MAX, took;
	unsigned int round;

	/* Others allocate as well, but not all the time. */
	for (round = 0; round < 5; round++) {
		took = vmstat_sum("pgalloc_");
		ASSERT_EQ(tt_shrink(), pages);
		took = vmstat_sum("pgalloc_") - took;
		if (took < least)
			least = took;
		ASSERT(bo_check_map(b));
	}
	test_note("%" PRIu64 " pages allocated to swap out %" PRIu64, least, pages);
	if (copied)
		EXPECT_GE(least, pages);
	else
		EXPECT_LE(least, pages / 1000);
}

#define INJECT	"/sys/kernel/debug/ttm/backup_fault_inject"

static bool inject(unsigned int probability, unsigned int interval, int times,
		   unsigned int space)
{
	int ret = write_file(INJECT "/probability", "%u", probability);

	if (!ret)
		ret = write_file(INJECT "/interval", "%u", interval);
	if (!ret)
		ret = write_file(INJECT "/times", "%d", times);
	if (!ret)
		ret = write_file(INJECT "/space", "%u", space);
	/* the stack of every hit would bury the log */
	if (!ret)
		ret = write_file(INJECT "/verbose", "0");
	if (ret)
		FAIL("%s: %s: the test kernel must have it", INJECT, strerror(-ret));
	return !ret;
}

bool fault_inject(unsigned int probability, unsigned int interval, int times)
{
	return inject(probability, interval, times, 0);
}

bool fault_inject_after(unsigned int passed, int times)
{
	return inject(100, 1, times, passed + 1);
}

void fault_inject_off(void)
{
	fault_inject(0, 1, 0);
}

bool fault_injected(void)
{
	const char *left = read_file(INJECT "/times");

	return left && !atoi(left);
}

bool reclaim_prepare(void)
{
	if (mlockall(MCL_CURRENT | MCL_FUTURE)) {
		FAIL("mlockall: %s", strerror(errno));
		return false;
	}
	/* read from a file in memory, which comes back for that */
	test_source();
	reclaim_all();
	return true;
}

void level_get(struct level *l)
{
	writeback_settle();
	l->shmem = vmstat("nr_shmem");
	l->active = vmstat("nr_gpu_active");
	l->swap = swap_used_pages();
}

bool level_is(const struct level *l)
{
	struct level now;

	level_get(&now);
	if (now.shmem <= l->shmem && now.active == l->active &&
	    now.shmem + now.swap <= l->shmem + l->swap + SWAP_OTHERS)
		return true;
	FAIL("shmem/GPU/swap pages %" PRIu64 "/%" PRIu64 "/%" PRIu64 ", were %" PRIu64 "/%" PRIu64 "/%" PRIu64,
	     now.shmem, now.active, now.swap, l->shmem, l->active, l->swap);
	return false;
}

int run_by_swap(struct test_table zram, struct test_table disk,
		struct test_table file, struct test_table fragments,
		struct test_table copy)
{
	const struct test_table *tables[] = {
		[SWAP_ZRAM] = &zram, [SWAP_DISK] = &disk,
		[SWAP_FILE] = &file, [SWAP_FRAGMENTS] = &fragments,
	};
	const struct test_table *t = zero_copy_get() ? tables[swap_kind()] : &copy;

	return ktap_run(t->tests, t->nr);
}
