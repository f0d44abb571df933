// SPDX-License-Identifier: GPL-2.0 OR MIT
/* The device: its ioctls and its files in debugfs. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <xf86drm.h>

#include "pattern.h"
#include "stat.h"
#include "system.h"
#include "vttm.h"

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

uint32_t vttm_caching(uint32_t caching)
{
#if defined(__x86_64__) || defined(__i386__)
	return caching;
#else
	return caching <= DRM_VTTM_UC ? DRM_VTTM_CACHED : caching;
#endif
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
	return vttm_create_flags(fd, size, vttm_caching(caching), 0, handle);
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

uint64_t vttm_vram_size(void)
{
	const char *text = read_file("/sys/module/vttm/parameters/vram");
	uint64_t size;
	char *end;

	if (!text || !strchr(text, '@'))
		return 0;
	size = strtoull(text, &end, 0);
	if (!size || *end != 'M')
		die("vttm.vram= is not a size in MiB");
	return size * MiB;
}

int64_t tt_shrink(void)
{
	static int fd = -1;
	char text[32];
	ssize_t n;

	if (fd < 0)
		fd = open(DEBUGFS "/ttm/tt_shrink", O_RDONLY | O_CLOEXEC);
	/* may be injected */
	if (fd < 0 && errno == ENOMEM)
		return -ENOMEM;
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

int vttm_shrink_busy(unsigned int minor, uint64_t pages)
{
	return shrink(minor, pages, " busy", NULL);
}

void pools_drain(void)
{
	unsigned int i;

	for (i = 0; i < 100000 && vmstat("nr_gpu_reclaim"); i++)
		must_read(DEBUGFS "/ttm/page_pool_shrink");
}
