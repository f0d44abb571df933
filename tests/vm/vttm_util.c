// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Helpers for the programs that drive the vttm device. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <xf86drm.h>

#include "vttm_util.h"

#define DEBUGFS		"/sys/kernel/debug"
#define CGROUP		"/sys/fs/cgroup"
#define STATS		DEBUGFS "/ttm/backup_stats"

void die(const char *fmt, ...)
{
	va_list ap;

	fflush(stdout);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

void mount_all(void)
{
	static const struct {
		const char *type, *dir, *probe;
	} fs[] = {
		{ "proc", "/proc", "/proc/self" },
		{ "sysfs", "/sys", "/sys/kernel" },
		{ "devtmpfs", "/dev", "/dev/null" },
		{ "debugfs", DEBUGFS, DEBUGFS "/dri" },
		{ "tracefs", "/sys/kernel/tracing", "/sys/kernel/tracing/trace" },
		{ "cgroup2", CGROUP, CGROUP "/cgroup.procs" },
	};
	size_t i;

	for (i = 0; i < ARRAY_LEN(fs); i++) {
		if (file_exists(fs[i].probe))
			continue;
		mkdir(fs[i].dir, 0755);
		/* Who needs one that is missing says so when it reads there. */
		mount(fs[i].type, fs[i].dir, fs[i].type, 0, NULL);
	}
}

bool file_exists(const char *path)
{
	return !access(path, F_OK);
}

static int write_str(const char *path, const char *text)
{
	ssize_t len = strlen(text);
	int fd, ret = 0;

	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, len) != len)
		ret = -errno;
	close(fd);
	return ret;
}

int write_file(const char *path, const char *fmt, ...)
{
	char text[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return write_str(path, text);
}

const char *read_file(const char *path)
{
	static char buf[256 * 1024];
	size_t len = 0;
	ssize_t n;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return NULL;
	while (len < sizeof(buf) - 1) {
		n = read(fd, buf + len, sizeof(buf) - 1 - len);
		if (n < 0) {
			close(fd);
			return NULL;
		}
		if (!n)
			break;
		len += n;
	}
	close(fd);
	buf[len] = '\0';
	return buf;
}

static const char *must_read(const char *path)
{
	const char *text = read_file(path);

	if (!text)
		die("cannot read %s: %s", path, strerror(errno));
	return text;
}

/* Value of the line "name value" or "name: value". */
static bool find_key(const char *text, const char *name, uint64_t *value)
{
	size_t len = strlen(name);

	while (text && *text) {
		if (!strncmp(text, name, len) &&
		    (text[len] == ' ' || text[len] == ':' || text[len] == '\t')) {
			*value = strtoull(text + len + 1, NULL, 10);
			return true;
		}
		text = strchr(text, '\n');
		if (text)
			text++;
	}
	return false;
}

static uint64_t must_find(const char *path, const char *name)
{
	uint64_t value;

	if (!find_key(must_read(path), name, &value))
		die("%s has no line \"%s\"", path, name);
	return value;
}

/* Fold the per-CPU deltas, or figures lag by up to a batch for each CPU. */
static void vmstat_fold(void)
{
	int ret = write_str("/proc/sys/vm/stat_refresh", "1");

	if (ret)
		die("cannot write /proc/sys/vm/stat_refresh: %s",
		    strerror(-ret));
}

uint64_t vmstat(const char *name)
{
	vmstat_fold();
	return must_find("/proc/vmstat", name);
}

/* Of all lines "name value" whose name starts with the prefix. */
static uint64_t must_sum(const char *path, const char *prefix)
{
	const char *text = must_read(path), *end;
	uint64_t sum = 0;
	bool any = false;

	for (; *text; text = end + 1) {
		end = strchr(text, '\n');
		if (!strncmp(text, prefix, strlen(prefix))) {
			sum += strtoull(strchr(text, ' '), NULL, 10);
			any = true;
		}
		if (!end)
			break;
	}
	if (!any)
		die("%s has nothing that starts with \"%s\"", path, prefix);
	return sum;
}

uint64_t vmstat_sum(const char *prefix)
{
	vmstat_fold();
	return must_sum("/proc/vmstat", prefix);
}

uint64_t meminfo_kib(const char *name)
{
	return must_find("/proc/meminfo", name);
}

uint64_t free_order9(void)
{
	const char *line = must_read("/proc/buddyinfo");
	uint64_t blocks = 0;

	while (line && *line) {
		const char *p = strstr(line, "zone");
		const char *end = strchr(line, '\n');
		unsigned int order;
		char *next;

		if (!p || (end && p > end))
			break;
		p += strlen("zone");
		while (*p == ' ')
			p++;
		while (*p && *p != ' ')		/* the zone's name */
			p++;
		for (order = 0; *p && *p != '\n'; order++) {
			uint64_t n = strtoull(p, &next, 10);

			if (next == p)
				break;
			p = next;
			while (*p == ' ')
				p++;
			if (order >= PMD_NR)
				blocks += n << (order - PMD_NR);
		}
		line = end ? end + 1 : NULL;
	}
	return blocks;
}

bool have_backup_stats(void)
{
	return file_exists(STATS);
}

uint64_t backup_stat(const char *name)
{
	return must_find(STATS, name);
}

uint64_t backup_stat_sum(const char *prefix)
{
	return must_sum(STATS, prefix);
}

void backup_counters(struct backup_counters *c)
{
	char name[32];
	unsigned int i;

	memset(c, 0, sizeof(*c));
	c->inserted = backup_stat("inserted");
	for (i = 0; i <= PMD_NR; i++) {
		/* there are lines for the orders that this kernel has */
		snprintf(name, sizeof(name), "inserted_order%u", i);
		if (!find_key(must_read(STATS), name, &c->order[i]) && !i)
			die("%s has no line \"%s\"", STATS, name);
	}
	c->copied = backup_stat("copied");
	c->restored_adopted = backup_stat("restored_adopted");
	c->restored_extracted = backup_stat("restored_extracted");
	c->restored_merged = backup_stat("restored_merged");
	c->restored_copied = backup_stat("restored_copied");
	c->retained = backup_stat("retained");
	c->refused = backup_stat_sum("refused_");
	c->extract_refused = backup_stat_sum("extract_refused_");
}

void backup_counters_since(const struct backup_counters *then,
			   struct backup_counters *out)
{
	unsigned int i;

	backup_counters(out);
	out->inserted -= then->inserted;
	for (i = 0; i <= PMD_NR; i++)
		out->order[i] -= then->order[i];
	out->copied -= then->copied;
	out->restored_adopted -= then->restored_adopted;
	out->restored_extracted -= then->restored_extracted;
	out->restored_merged -= then->restored_merged;
	out->restored_copied -= then->restored_copied;
	out->retained -= then->retained;
	out->refused -= then->refused;
	out->extract_refused -= then->extract_refused;
}

uint64_t restored_pages(const struct backup_counters *c)
{
	return c->restored_adopted + c->restored_extracted + c->restored_merged +
	       c->restored_copied;
}

uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

#define ZERO_COPY	"/sys/module/ttm/parameters/zero_copy"

uint64_t huge_swapins(void)
{
	return strtoull(must_read("/sys/kernel/mm/transparent_hugepage/hugepages-2048kB/stats/swpin"),
			NULL, 10);
}

bool zero_copy_get(void)
{
	return must_read(ZERO_COPY)[0] == 'Y';
}

#define SHMEM_ENABLED	"/sys/kernel/mm/transparent_hugepage/shmem_enabled"

const char *shmem_enabled_get(void)
{
	const char *text = read_file(SHMEM_ENABLED);
	static char policy[16];

	/* all of them, with the one that holds in brackets */
	text = text ? strchr(text, '[') : NULL;
	if (!text)
		return NULL;
	snprintf(policy, sizeof(policy), "%.*s", (int)strcspn(text + 1, "]"),
		 text + 1);
	return policy;
}

int shmem_enabled_set(const char *policy)
{
	return write_str(SHMEM_ENABLED, policy);
}

/* ---- command line ---- */

uint64_t parse_number(const char *what, const char *text, uint64_t max)
{
	char *end;
	uint64_t n;

	errno = 0;
	n = strtoull(text, &end, 0);
	if (errno || *end || end == text || *text == '-' || n > max)
		die("%s: '%s' is not a number up to %" PRIu64, what, text, max);
	return n;
}

/* ---- swap ---- */

void swap_list(struct swap_list *l)
{
	const char *line;

	l->nr = 0;
	/* a kernel that cannot swap has no such file */
	if (access("/proc/swaps", F_OK))
		return;
	line = strchr(must_read("/proc/swaps"), '\n');
	while (line && line[1] && l->nr < MAX_SWAPS) {
		if (sscanf(line + 1, "%63s", l->dev[l->nr]) == 1)
			l->nr++;
		line = strchr(line + 1, '\n');
	}
}

/* How many blocks of 2 MiB, counted from 0, are between the two? */
static uint64_t huge_blocks(uint64_t start, uint64_t end)
{
	uint64_t first = (start + 2 * MiB - 1) / (2 * MiB), last = end / (2 * MiB);

	return last > first ? last - first : 0;
}

/* How many of a file's are in one piece on the disk? */
static uint64_t huge_blocks_of_file(const char *path)
{
	struct {
		struct fiemap map;
		struct fiemap_extent extents[64];
	} f = { };
	uint64_t start = 0, end = 0, physical = 0, blocks = 0;
	bool last = false;
	unsigned int i;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die("%s: %s", path, strerror(errno));
	while (!last) {
		f.map = (struct fiemap) {
			.fm_start = end,
			.fm_length = FIEMAP_MAX_OFFSET - end,
			.fm_extent_count = ARRAY_LEN(f.extents),
		};
		if (ioctl(fd, FS_IOC_FIEMAP, &f.map) || !f.map.fm_mapped_extents)
			die("FIEMAP of %s: %s", path, strerror(errno));
		for (i = 0; i < f.map.fm_mapped_extents; i++) {
			const struct fiemap_extent *e = &f.extents[i];

			/* What one ends with, the next may go on with. */
			if (e->fe_physical != physical + (end - start)) {
				blocks += huge_blocks(start, end);
				start = e->fe_logical;
				physical = e->fe_physical;
			}
			end = e->fe_logical + e->fe_length;
			last = e->fe_flags & FIEMAP_EXTENT_LAST;
		}
	}
	close(fd);
	return blocks + huge_blocks(start, end);
}

enum swap_kind swap_kind(void)
{
	struct stat st;

	struct swap_list l;

	swap_list(&l);
	if (!l.nr)
		die("no swap: run with vm/run --swap");
	if (strstr(l.dev[0], "zram"))
		return SWAP_ZRAM;
	if (!strncmp(l.dev[0], "/dev/", 5))
		return SWAP_DISK;
	if (stat(l.dev[0], &st))
		die("%s: %s", l.dev[0], strerror(errno));
	return huge_blocks_of_file(l.dev[0]) > (uint64_t)st.st_size / (4 * MiB) ?
	       SWAP_FILE : SWAP_FRAGMENTS;
}

static void on_alarm(int sig)
{
	(void)sig;	/* only there to make swapoff() return EINTR */
}

int swap_all_off(const struct swap_list *l, unsigned int timeout_s)
{
	struct sigaction sa = { .sa_handler = on_alarm }, old;
	unsigned int i;
	int ret = 0;

	sigaction(SIGALRM, &sa, &old);
	alarm(timeout_s);
	for (i = 0; i < l->nr && !ret; i++)
		if (swapoff(l->dev[i]))
			ret = -errno;
	alarm(0);
	sigaction(SIGALRM, &old, NULL);
	return ret;
}

int swap_all_on(const struct swap_list *l)
{
	unsigned int i;

	for (i = 0; i < l->nr; i++)
		if (swapon(l->dev[i], 0))
			return -errno;
	return 0;
}

pid_t fork_or_die(void)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("fork: %s", strerror(errno));
	return pid;
}

int run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) ? -errno : 0;
}

uint64_t xorshift(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

uint64_t zram_failed_writes(void)
{
	const char *io = read_file("/sys/block/zram0/io_stat");
	unsigned long long reads, writes = 0;

	if (io && sscanf(io, "%llu %llu", &reads, &writes) != 2)
		die("cannot read zram's io_stat");
	return writes;
}

uint64_t swap_used_pages(void)
{
	return (meminfo_kib("SwapTotal") - meminfo_kib("SwapFree")) * KiB / PAGE;
}

void lru_drain(void)
{
	/* of no cache that matters here, but it begins with that; 4 is for silence */
	write_file("/proc/sys/vm/drop_caches", "5");
}

void writeback_settle(void)
{
	unsigned int i;

	for (i = 0; i < 1000; i++) {
		if (!vmstat("nr_writeback"))
			return;
		usleep(20000);
	}
	die("pages still under writeback after 20 s");
}

/* ---- memory cgroups ---- */

int cg_create(const char *name)
{
	char path[128];
	int ret;

	if (!file_exists(CGROUP "/cgroup.procs"))
		return -ENOENT;
	ret = write_str(CGROUP "/cgroup.subtree_control", "+memory");
	if (ret)
		return ret;
	snprintf(path, sizeof(path), CGROUP "/%s", name);
	if (mkdir(path, 0755) && errno != EEXIST)
		return -errno;
	return 0;
}

int cg_remove(const char *name)
{
	char path[128];
	unsigned int i;

	snprintf(path, sizeof(path), CGROUP "/%s", name);
	/* A child that has just exited may still be on its way out. */
	for (i = 0; i < 250; i++) {
		if (!rmdir(path) || errno == ENOENT)
			return 0;
		if (errno != EBUSY)
			break;
		usleep(20000);
	}
	return -errno;
}

int cg_enter(const char *name)
{
	return cg_write(name, "cgroup.procs", "0");
}

int cg_write(const char *name, const char *file, const char *fmt, ...)
{
	char path[192], text[64];
	va_list ap;

	snprintf(path, sizeof(path), CGROUP "/%s/%s", name, file);
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return write_str(path, text);
}

uint64_t cg_read(const char *name, const char *file)
{
	char path[192];

	snprintf(path, sizeof(path), CGROUP "/%s/%s", name, file);
	return strtoull(must_read(path), NULL, 10);
}

uint64_t cg_read_key(const char *name, const char *file, const char *key)
{
	char path[192];

	snprintf(path, sizeof(path), CGROUP "/%s/%s", name, file);
	return must_find(path, key);
}

int reclaim(uint64_t bytes)
{
	return cg_write(".", "memory.reclaim", "%llu swappiness=max",
			(unsigned long long)bytes);
}

void reclaim_all(void)
{
	uint64_t left, least = UINT64_MAX;
	unsigned int tries, none = 0, futile = 0;

	/*
	 * What waits in a processor's batch is not counted, and is looked for where
	 * reclaim finds nothing else. What was in use lately takes some tries.
	 */
	for (tries = 0; tries < 50 && futile < 8; tries++) {
		left = vmstat("nr_inactive_anon") + vmstat("nr_active_anon");
		none = left ? 0 : none + 1;
		if (none == 2)
			break;
		futile = left < least ? 0 : futile + 1;
		if (left < least)
			least = left;
		reclaim(left ? left * PAGE : 4 * MiB);
		writeback_settle();
	}
}

/* ---- the device ---- */

int vttm_open(unsigned int nth, unsigned int *minor)
{
	unsigned int i, seen = 0;

	for (i = 0; i < 64; i++) {
		char path[32];
		drmVersionPtr v;
		struct stat st;
		bool match;
		int fd;

		snprintf(path, sizeof(path), "/dev/dri/card%u", i);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		v = drmGetVersion(fd);
		match = v && !strcmp(v->name, "vttm");
		drmFreeVersion(v);
		if (match && seen++ == nth) {
			if (fstat(fd, &st)) {
				close(fd);
				return -errno;
			}
			if (minor)
				*minor = minor(st.st_rdev);
			return fd;
		}
		close(fd);
	}
	return -ENODEV;
}

int vttm_ioctl(int fd, unsigned long request, void *arg)
{
	return drmIoctl(fd, request, arg) ? -errno : 0;
}

int vttm_create_flags(int fd, uint64_t *size, uint32_t caching, uint32_t flags,
		      uint32_t *handle)
{
	struct drm_vttm_create c = {
		.size = *size, .caching = caching, .flags = flags,
	};
	int ret = vttm_ioctl(fd, DRM_IOCTL_VTTM_CREATE, &c);

	if (ret)
		return ret;
	*size = c.size;
	*handle = c.handle;
	return 0;
}

int vttm_create(int fd, uint64_t *size, uint32_t caching, uint32_t *handle)
{
	return vttm_create_flags(fd, size, caching, 0, handle);
}

int vttm_close(int fd, uint32_t handle)
{
	struct drm_gem_close c = { .handle = handle };

	return vttm_ioctl(fd, DRM_IOCTL_GEM_CLOSE, &c);
}

void *vttm_map(int fd, uint32_t handle, uint64_t size)
{
	struct drm_vttm_mmap_offset m = { .handle = handle };
	int ret = vttm_ioctl(fd, DRM_IOCTL_VTTM_MMAP_OFFSET, &m);

	if (ret) {
		errno = -ret;
		return MAP_FAILED;
	}
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, m.offset);
}

static int vttm_pages(int fd, uint32_t handle, struct vttm_state *state)
{
	char path[64], text[128];
	struct stat st;
	int dfd, ret = 0;
	ssize_t n;

	if (fstat(fd, &st))
		return -errno;
	snprintf(path, sizeof(path), DEBUGFS "/dri/%u/pages", minor(st.st_rdev));
	dfd = open(path, O_RDWR | O_CLOEXEC);
	if (dfd < 0)
		return -errno;
	n = snprintf(text, sizeof(text), "%d %u", fd, handle);
	while (write(dfd, text, n) != n) {
		ret = -errno;
		if (ret != -EINTR)
			goto out;
		ret = 0;
	}
	n = pread(dfd, text, sizeof(text) - 1, 0);
	if (n <= 0) {
		ret = n ? -errno : -EIO;
		goto out;
	}
	text[n] = '\0';
	if (!find_key(text, "resident", &state->resident_pages) ||
	    !find_key(text, "backed_up", &state->backed_up_pages) ||
	    !find_key(text, "inserted", &state->inserted_pages))
		die("%s does not say where the pages are", path);
out:
	close(dfd);
	return ret;
}

int vttm_info(int fd, uint32_t handle, struct vttm_state *state)
{
	struct drm_vttm_info i = { .handle = handle };
	int ret = vttm_ioctl(fd, DRM_IOCTL_VTTM_INFO, &i);

	memset(state, 0, sizeof(*state));
	if (ret)
		return ret;
	state->caching = i.caching;
	state->flags = i.flags;
	state->size = i.size;
	return vttm_pages(fd, handle, state);
}

int vttm_madvise(int fd, uint32_t handle, uint32_t madv, uint32_t *retained)
{
	struct drm_vttm_madvise m = { .handle = handle, .madv = madv };
	int ret = vttm_ioctl(fd, DRM_IOCTL_VTTM_MADVISE, &m);

	if (!ret && retained)
		*retained = m.retained;
	return ret;
}

int vttm_submit(int fd, const struct drm_vttm_op *ops, unsigned int nr)
{
	struct drm_vttm_submit s = {
		.ops = (uintptr_t)ops,
		.op_count = nr,
	};

	return vttm_ioctl(fd, DRM_IOCTL_VTTM_SUBMIT, &s);
}

int vttm_wait(int fd, uint32_t handle, int64_t timeout_ns)
{
	struct drm_vttm_wait w = { .handle = handle };
	int64_t now = now_ns();

	if (timeout_ns < 0 || timeout_ns > INT64_MAX - now)
		w.timeout_ns = INT64_MAX;
	else if (timeout_ns)
		w.timeout_ns = now + timeout_ns;

	return vttm_ioctl(fd, DRM_IOCTL_VTTM_WAIT, &w);
}

int vttm_crc(int fd, uint32_t handle, uint64_t size, uint32_t *crc)
{
	uint64_t dst_size = PAGE;
	struct drm_vttm_op op = {
		.opcode = DRM_VTTM_OP_CRC32,
		.src = handle,
		.size = size,
	};
	void *map;
	int ret;

	ret = vttm_create(fd, &dst_size, DRM_VTTM_CACHED, &op.dst);
	if (ret)
		return ret;
	ret = vttm_submit(fd, &op, 1);
	if (!ret)
		ret = vttm_wait(fd, op.dst, -1);
	if (!ret) {
		map = vttm_map(fd, op.dst, dst_size);
		if (map == MAP_FAILED) {
			ret = -errno;
		} else {
			if (!peek32(map, crc))
				ret = -EFAULT;
			munmap(map, dst_size);
		}
	}
	vttm_close(fd, op.dst);
	return ret;
}

static int shrink(unsigned int minor, uint64_t pages, const char *mode,
		  uint64_t *done)
{
	char path[64], text[64];
	ssize_t n;
	int fd, ret = 0;

	snprintf(path, sizeof(path), DEBUGFS "/dri/%u/shrink", minor);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = snprintf(text, sizeof(text), "%llu%s", (unsigned long long)pages, mode);
	if (done)
		*done = 0;
	if (write(fd, text, n) != n) {
		ret = -errno;
	} else if (done) {
		n = pread(fd, text, sizeof(text) - 1, 0);
		if (n <= 0) {
			ret = n ? -errno : -EIO;
		} else {
			text[n] = '\0';
			*done = strtoull(text, NULL, 10);
		}
	}
	close(fd);
	return ret;
}

bool vttm_has_shrinker(void)
{
	const char *text = read_file("/sys/module/vttm/parameters/shrinker");

	return !text || *text != 'N';
}

int64_t tt_shrink(void)
{
	static int fd = -1;
	char text[32];
	ssize_t n;

	if (fd < 0)
		fd = open(DEBUGFS "/ttm/tt_shrink", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		die(DEBUGFS "/ttm/tt_shrink: %s", strerror(errno));
	n = pread(fd, text, sizeof(text) - 1, 0);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	return strtoll(text, NULL, 10);
}

static int swapout(uint64_t pages, uint64_t *done)
{
	uint64_t sum = 0;
	int64_t n = 0;

	while (sum < pages) {
		n = tt_shrink();
		if (n <= 0)
			break;
		sum += n;
	}
	if (done)
		*done = sum;
	return sum ? 0 : n;
}

int vttm_shrink(unsigned int minor, uint64_t pages, bool writeback,
		uint64_t *done)
{
	if (!vttm_has_shrinker())
		return swapout(pages, done);
	return shrink(minor, pages, writeback ? " writeback" : "", done);
}

unsigned int vttm_chunks(unsigned int minor, uint64_t *pages, unsigned int orders)
{
	char path[64], name[16];
	const char *text;
	unsigned int i;

	snprintf(path, sizeof(path), DEBUGFS "/dri/%u/chunks", minor);
	text = must_read(path);
	for (i = 0; i < orders; i++) {
		snprintf(name, sizeof(name), "order%u", i);
		if (!find_key(text, name, &pages[i]))
			break;
	}
	return i;
}

int vttm_purge(unsigned int minor, uint64_t pages, uint64_t *done)
{
	return shrink(minor, pages, " purge", done);
}

void pools_drain(void)
{
	unsigned int i;

	for (i = 0; i < 100000 && vmstat("nr_gpu_reclaim"); i++)
		must_read(DEBUGFS "/ttm/page_pool_shrink");
}

/* ---- contents ---- */

int source_add(struct source *s, const char *path)
{
	struct stat st;
	uint8_t *data;
	size_t got = 0;
	ssize_t n;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || st.st_size < (off_t)PAGE) {
		close(fd);
		return -EINVAL;
	}
	data = realloc(s->data, s->len + st.st_size);
	if (!data) {
		close(fd);
		return -ENOMEM;
	}
	s->data = data;
	while (got < (size_t)st.st_size) {
		n = read(fd, data + s->len + got, st.st_size - got);
		if (n <= 0) {
			close(fd);
			return n ? -errno : -EIO;
		}
		got += n;
	}
	s->len += got;
	close(fd);
	return 0;
}

static uint32_t crc_table[8][256];

static void crc32_init(void)
{
	unsigned int i, j;
	uint32_t c;

	for (i = 0; i < 256; i++) {
		c = i;
		for (j = 0; j < 8; j++)
			c = (c >> 1) ^ (c & 1 ? 0xedb88320u : 0);
		crc_table[0][i] = c;
	}
	for (i = 0; i < 256; i++)
		for (j = 1; j < 8; j++)
			crc_table[j][i] = (crc_table[j - 1][i] >> 8) ^
				crc_table[0][crc_table[j - 1][i] & 0xff];
}

/* CRC-32 as zlib has it, eight bytes a step: the guest CPU is emulated. */
uint32_t crc32_update(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t w;

	if (!crc_table[0][1])
		crc32_init();
	crc = ~crc;
	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&w, p, 8);
		w ^= crc;
		crc = crc_table[7][w & 0xff] ^
		      crc_table[6][(w >> 8) & 0xff] ^
		      crc_table[5][(w >> 16) & 0xff] ^
		      crc_table[4][(w >> 24) & 0xff] ^
		      crc_table[3][(w >> 32) & 0xff] ^
		      crc_table[2][(w >> 40) & 0xff] ^
		      crc_table[1][(w >> 48) & 0xff] ^
		      crc_table[0][w >> 56];
	}
	while (len--)
		crc = (crc >> 8) ^ crc_table[0][(crc ^ *p++) & 0xff];
	return ~crc;
}

static uint64_t mix64(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

struct stamp {
	uint64_t page;
	uint32_t seed;
	uint32_t check;
};

#define WINDOW		(PAGE / 2)
#define STAMP_AT(mix)	((((mix) >> 32) % (PAGE / 16)) * 16)

static uint32_t stamp_check(uint32_t seed, uint64_t page)
{
	return mix64(((uint64_t)seed << 32) ^ page ^ 0x5eed) >> 16;
}

/*
 * One page of a buffer: 2 KiB of the source, rotated and XORed by amounts
 * that depend on the buffer and the page, then the same again as an image
 * repeats its rows, then a stamp that names buffer and page.
 *
 * Every page of every buffer differs, so one that is lost, stale or put in
 * another's place changes the checksum, and the stamp tells whose it is. Yet
 * the bytes stay as compressible as the contents of GPU buffers commonly are,
 * three or four to one: swap on zram lives in the RAM whose shortage the demo is
 * about, so 1.5 times the RAM fits only if it compresses, and a constant, or
 * pages of one repeated word, which zram keeps in no memory at all, would
 * prove nothing. XOR with one byte and rotation change every byte but no
 * repetition, so the compressor sees what it would see in the source.
 */
void pattern_page(const struct source *s, uint32_t seed, uint64_t page,
		  uint8_t *dst)
{
	uint64_t mix = mix64(((uint64_t)seed << 32) ^ page);
	uint64_t key = (mix & 0xff) * 0x0101010101010101ull;
	size_t rot = (mix >> 8) % (WINDOW / 8) * 8;
	struct stamp stamp = {
		.page = page,
		.seed = seed,
		.check = stamp_check(seed, page),
	};
	const uint8_t *src;
	uint64_t w;
	size_t i;

	src = s->data + (seed * 7919ull * WINDOW + page * WINDOW) %
			(s->len - WINDOW);
	for (i = 0; i < WINDOW; i += 8) {
		memcpy(&w, src + (i + rot) % WINDOW, 8);
		w ^= key;
		memcpy(dst + i, &w, 8);
	}
	memcpy(dst + WINDOW, dst, WINDOW);
	memcpy(dst + STAMP_AT(mix), &stamp, sizeof(stamp));
}

bool pattern_owner(const void *page, uint32_t *seed, uint64_t *nr)
{
	struct stamp stamp;
	size_t at;

	for (at = 0; at < PAGE; at += 16) {
		memcpy(&stamp, (const uint8_t *)page + at, sizeof(stamp));
		if ((stamp.seed || stamp.page) &&
		    stamp.check == stamp_check(stamp.seed, stamp.page)) {
			*seed = stamp.seed;
			*nr = stamp.page;
			return true;
		}
	}
	return false;
}

uint32_t pattern_fill(const struct source *s, uint32_t seed, void *map,
		      uint64_t size)
{
	uint8_t scratch[PAGE];
	uint32_t crc = 0;
	uint64_t page;

	/* Built in cached memory: a checksum read back from WC is slow. */
	for (page = 0; page < size / PAGE; page++) {
		pattern_page(s, seed, page, scratch);
		crc = crc32_update(crc, scratch, PAGE);
		memcpy((uint8_t *)map + page * PAGE, scratch, PAGE);
	}
	return crc;
}

int64_t pattern_check(const struct source *s, uint32_t seed, const void *map,
		      uint64_t size)
{
	uint8_t want[PAGE];
	uint64_t page;

	for (page = 0; page < size / PAGE; page++) {
		pattern_page(s, seed, page, want);
		if (memcmp((const uint8_t *)map + page * PAGE, want, PAGE))
			return page;
	}
	return -1;
}

static __thread sigjmp_buf peek_env;
static __thread volatile sig_atomic_t peeking;

void peek_sigbus(int sig)
{
	if (peeking)
		siglongjmp(peek_env, 1);
	/* not ours: again, and to death */
	signal(sig, SIG_DFL);
}

bool peek32(const volatile void *addr, uint32_t *value)
{
	static bool installed;
	/* SA_NODEFER: the signal is not blocked when the handler jumps away */
	struct sigaction sa = { .sa_handler = peek_sigbus, .sa_flags = SA_NODEFER };
	volatile bool ok = false;

	if (!__atomic_exchange_n(&installed, true, __ATOMIC_ACQ_REL))
		sigaction(SIGBUS, &sa, NULL);
	if (!sigsetjmp(peek_env, 0)) {
		peeking = 1;
		*value = *(const volatile uint32_t *)addr;
		ok = true;
	}
	peeking = 0;
	return ok;
}
