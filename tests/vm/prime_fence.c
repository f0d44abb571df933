// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Who waits for the engine before it has access to a dma-buf, and for what of it. */

#include <linux/dma-buf.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "prime.h"

static int cpu_sync(int fd, uint64_t flags)
{
	struct dma_buf_sync sync = { .flags = flags };

	return ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync) ? -errno : 0;
}

void sync_arguments(void)
{
	static const uint64_t bad[] = {
		0, DMA_BUF_SYNC_END, DMA_BUF_SYNC_RW << 2, DMA_BUF_SYNC_RW | 1ULL << 63,
		DMA_BUF_SYNC_VALID_FLAGS_MASK + 1,
	};
	static const uint64_t good[] = {
		DMA_BUF_SYNC_READ, DMA_BUF_SYNC_WRITE, DMA_BUF_SYNC_RW,
	};
	unsigned int i;
	struct pair p;

	ASSERT(share(&p, DRM_VTTM_CACHED, false));
	for (i = 0; i < ARRAY_LEN(good); i++) {
		EXPECT_OK(cpu_sync(p.fd, DMA_BUF_SYNC_START | good[i]));
		/* they may be within each other */
		EXPECT_OK(cpu_sync(p.fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ));
		EXPECT_OK(cpu_sync(p.fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ));
		EXPECT_OK(cpu_sync(p.fd, DMA_BUF_SYNC_END | good[i]));
	}
	for (i = 0; i < ARRAY_LEN(bad); i++)
		EXPECT_ERR(cpu_sync(p.fd, bad[i]), EINVAL);
	EXPECT_EQ(ioctl(p.fd, DMA_BUF_IOCTL_SYNC, NULL), -1);
	EXPECT_EQ(errno, EFAULT);
	EXPECT_EQ(ioctl(p.fd, _IO(DMA_BUF_BASE, 99)), -1);
	EXPECT_EQ(errno, ENOTTY);
	EXPECT(bo_check_map(&p.b));
}

/* A job with so many operations that read "src" and write to the first word of "dst" */
static int read_often(const struct gpu *g, const struct bo *dst, const struct bo *src,
		      unsigned int nr)
{
	static struct drm_vttm_op ops[DRM_VTTM_SUBMIT_MAX_OPS];
	unsigned int i;

	for (i = 0; i < nr; i++)
		ops[i] = (struct drm_vttm_op){
			.opcode = DRM_VTTM_OP_CRC32, .dst = dst->handle,
			.src = src->handle, .size = src->size,
		};
	return vttm_submit(g->fd, ops, nr);
}

/* What the engine writes, on whichever device, is there when CPU access has begun. */
void sync_waits(void)
{
	struct bo src, dst;
	unsigned int nr, side;
	struct pair p;

	ASSERT(share(&p, DRM_VTTM_CACHED, false));
	for (side = 0; side < 2; side++) {
		const struct gpu *g = side ? &p.importer : &p.exporter;

		dst = p.b;
		if (side)
			dst.handle = p.imported;
		ASSERT(bo_new(g, &src, 64 * KiB, DRM_VTTM_CACHED, 5));
		/* one that is still at work when the other file asks, then that one waits */
		for (nr = 16; nr <= DRM_VTTM_SUBMIT_MAX_OPS; nr *= 2) {
			*(uint32_t *)p.b.map = ~src.crc;
			ASSERT_OK(read_often(g, &dst, &src, nr));
			if (vttm_wait(p.exporter.fd, p.b.handle, 0) == -ETIME)
				break;
			ASSERT_OK(vttm_wait(p.exporter.fd, p.b.handle, -1));
		}
		/* or there was nothing to wait for */
		EXPECT_LE(nr, DRM_VTTM_SUBMIT_MAX_OPS);
		EXPECT_OK(cpu_sync(p.fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ));
		EXPECT_OK(vttm_wait(p.exporter.fd, p.b.handle, 0));
		EXPECT_EQ(*(uint32_t *)p.b.map, src.crc);
		EXPECT_OK(cpu_sync(p.fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ));
		bo_free(g, &src);
	}
}

static bool polls(int fd, int events, int timeout)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, timeout) == 1 && p.revents == events;
}

/*
 * To read it, one waits for who writes, and to write it for who reads as well. The job is
 * of the importer's, and goes on until its file is closed.
 */
void polled(void)
{
	struct bo b[2];
	struct pair p;
	int read;

	ASSERT(share(&p, DRM_VTTM_CACHED, false));
	ASSERT(polls(p.fd, POLLIN, 0));
	ASSERT(polls(p.fd, POLLOUT, 0));
	ASSERT(bo_new(&p.importer, &b[1], SIZE, DRM_VTTM_CACHED, 9));
	ASSERT_OK(to_fd(&p.importer, b[1].handle, &read));
	b[0] = p.b;
	b[0].handle = p.imported;
	ASSERT_OK(read_often(&p.importer, &b[0], &b[1], DRM_VTTM_SUBMIT_MAX_OPS));
	EXPECT(!polls(p.fd, POLLIN, 0));
	EXPECT(!polls(p.fd, POLLOUT, 0));
	EXPECT(polls(read, POLLIN, 0));
	EXPECT(!polls(read, POLLOUT, 0));
	/* reading beside a reader waits for nothing */
	EXPECT_OK(cpu_sync(read, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ));
	/* all of that while the job went on */
	EXPECT_ERR(vttm_wait(p.exporter.fd, p.b.handle, 0), ETIME);
	EXPECT_OK(cpu_sync(read, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ));
	munmap(b[1].map, b[1].size);
	close(p.importer.fd);
	EXPECT(polls(p.fd, POLLIN, -1));
	EXPECT(polls(p.fd, POLLOUT, -1));
	EXPECT(polls(read, POLLOUT, -1));
	EXPECT_OK(vttm_wait(p.exporter.fd, p.b.handle, -1));
	close(read);
	close(p.fd);
}

/* Its fences come out as a file, and what is in such a file goes to another buffer. */
void sync_files(void)
{
	struct dma_buf_export_sync_file out = { .flags = DMA_BUF_SYNC_RW };
	struct dma_buf_import_sync_file in = { .flags = DMA_BUF_SYNC_WRITE };
	struct bo busy, idle;
	struct gpu g, other;
	int fd[2];

	ASSERT(gpu_open_nth(&g, 0));
	ASSERT(gpu_open_nth(&other, 1));
	ASSERT(bo_new(&g, &busy, SIZE, DRM_VTTM_CACHED, 1));
	ASSERT(bo_new(&other, &idle, PAGE, DRM_VTTM_CACHED, 2));
	ASSERT_OK(to_fd(&g, busy.handle, &fd[0]));
	ASSERT_OK(to_fd(&other, idle.handle, &fd[1]));
	ASSERT_EQ(ioctl(fd[0], DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &out), 0);
	EXPECT(polls(out.fd, POLLIN, 0));
	close(out.fd);
	ASSERT_OK(bo_keep_busy(&g, &busy, 1, 0));
	ASSERT_EQ(ioctl(fd[0], DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &out), 0);
	EXPECT(!polls(out.fd, POLLIN, 0));
	EXPECT_OK(vttm_wait(other.fd, idle.handle, 0));
	in.fd = out.fd;
	ASSERT_EQ(ioctl(fd[1], DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &in), 0);
	EXPECT(!polls(fd[1], POLLIN, 0));
	EXPECT_ERR(vttm_wait(other.fd, idle.handle, 0), ETIME);
	/* neither without a direction nor of what is no fence */
	in.flags = 0;
	EXPECT_EQ(ioctl(fd[1], DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &in), -1);
	EXPECT_EQ(errno, EINVAL);
	in.flags = DMA_BUF_SYNC_WRITE;
	in.fd = fd[0];
	EXPECT_EQ(ioctl(fd[1], DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &in), -1);
	EXPECT_EQ(errno, EINVAL);
	munmap(busy.map, busy.size);
	close(g.fd);
	EXPECT(polls(out.fd, POLLIN, -1));
	EXPECT(polls(fd[1], POLLIN, -1));
	EXPECT_OK(vttm_wait(other.fd, idle.handle, -1));
	EXPECT(bo_check_map(&idle));
	close(out.fd);
	close(fd[0]);
	close(fd[1]);
}
