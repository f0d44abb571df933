// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Buffers shared between two vttm devices as dma-bufs. */

#include <fcntl.h>
#include <linux/dma-buf.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xf86drm.h>

#include "fixture.h"

#define SIZE	(4 * MiB + 3 * PAGE)

struct pair {
	struct gpu exporter, importer;
	struct bo b;
	int fd;
	uint32_t imported;
};

static int to_fd(const struct gpu *g, uint32_t handle, int *fd)
{
	return drmPrimeHandleToFD(g->fd, handle, DRM_CLOEXEC | DRM_RDWR, fd) ?
		-errno : 0;
}

static int to_handle(const struct gpu *g, int fd, uint32_t *handle)
{
	return drmPrimeFDToHandle(g->fd, fd, handle) ? -errno : 0;
}

static bool share(struct pair *p, uint32_t caching, bool backed_up)
{
	int ret;

	if (!gpu_open_nth(&p->exporter, 0) || !gpu_open_nth(&p->importer, 1) ||
	    !bo_new(&p->exporter, &p->b, SIZE, caching, caching + 1))
		return false;
	if (backed_up && !bo_backup(&p->exporter, &p->b, true))
		return false;
	ret = to_fd(&p->exporter, p->b.handle, &p->fd);
	if (!ret)
		ret = to_handle(&p->importer, p->fd, &p->imported);
	if (ret)
		FAIL("sharing: %s", strerror(-ret));
	return !ret;
}

static void imported_content(bool backed_up)
{
	struct vttm_state i;
	struct bo as_imported;
	struct pair p;
	uint32_t caching;

	for (caching = DRM_VTTM_CACHED; caching <= DRM_VTTM_UC; caching++) {
		ASSERT(share(&p, caching, backed_up));
		ASSERT_OK(vttm_info(p.importer.fd, p.imported, &i));
		EXPECT_EQ(i.size, p.b.size);
		EXPECT(i.flags & DRM_VTTM_INFO_IMPORTED);
		as_imported = p.b;
		as_imported.handle = p.imported;
		EXPECT(bo_check_engine(&p.importer, &as_imported));
		/* under pressure on both sides, whatever can move */
		vttm_shrink(p.exporter.minor, PAGES(p.b.size), true, NULL);
		vttm_shrink(p.importer.minor, PAGES(p.b.size), true, NULL);
		EXPECT(bo_check_engine(&p.importer, &as_imported));
		EXPECT(bo_check_map(&p.b));
		EXPECT(bo_check_engine(&p.exporter, &p.b));
		close(p.fd);
		close(p.importer.fd);
		close(p.exporter.fd);
		munmap(p.b.map, p.b.size);
	}
}

static void content(void)
{
	imported_content(false);
}

static void content_backed_up(void)
{
	imported_content(true);
}

static void engine_writes_through(void)
{
	struct drm_vttm_op op = { .opcode = DRM_VTTM_OP_FILL };
	struct pair p;
	uint64_t at;

	ASSERT(share(&p, DRM_VTTM_WC, false));
	op.dst = p.imported;
	op.dst_offset = MiB;
	op.size = MiB;
	op.value = 0x600df00d;
	ASSERT_OK(vttm_submit(p.importer.fd, &op, 1));
	ASSERT_OK(vttm_wait(p.importer.fd, p.imported, -1));
	for (at = MiB; at < 2 * MiB; at += 4)
		ASSERT_EQ(*(uint32_t *)(p.b.map + at), 0x600df00d);
	EXPECT_EQ(pattern_check(test_source(), p.b.seed, p.b.map, MiB), -1);
}

/* The importer's access outlives the exporter's handle, file and mapping. */
static void exporter_gone(void)
{
	struct bo as_imported;
	struct pair p;

	ASSERT(share(&p, DRM_VTTM_WC, false));
	munmap(p.b.map, p.b.size);
	close(p.fd);
	close(p.exporter.fd);
	as_imported = p.b;
	as_imported.handle = p.imported;
	vttm_shrink(p.exporter.minor, PAGES(p.b.size), false, NULL);
	EXPECT(bo_check_engine(&p.importer, &as_imported));
	EXPECT_OK(vttm_close(p.importer.fd, p.imported));
}

static void dmabuf_mmap(void)
{
	struct dma_buf_sync sync = { 0 };
	struct bo through;
	struct pair p;

	ASSERT(share(&p, DRM_VTTM_CACHED, true));
	through = p.b;
	through.map = mmap(NULL, p.b.size, PROT_READ | PROT_WRITE, MAP_SHARED,
			   p.fd, 0);
	ASSERT(through.map != MAP_FAILED);
	sync.flags = DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW;
	ASSERT_EQ(ioctl(p.fd, DMA_BUF_IOCTL_SYNC, &sync), 0);
	EXPECT(bo_check_map(&through));
	EXPECT(bo_fill(&through, 77));
	sync.flags = DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW;
	ASSERT_EQ(ioctl(p.fd, DMA_BUF_IOCTL_SYNC, &sync), 0);
	p.b.seed = through.seed;
	p.b.crc = through.crc;
	EXPECT(bo_check_map(&p.b));
	EXPECT(bo_check_engine(&p.exporter, &p.b));
	munmap(through.map, through.size);
}

static void self_import(void)
{
	struct gpu g;
	struct bo b;
	uint32_t handle;
	int fd;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, SIZE, DRM_VTTM_WC, 1));
	ASSERT_OK(to_fd(&g, b.handle, &fd));
	ASSERT_OK(to_handle(&g, fd, &handle));
	EXPECT_EQ(handle, b.handle);
	/* exported, but nobody is attached: it may still be backed up */
	ASSERT(bo_backup(&g, &b, false));
	EXPECT(bo_check_map(&b));
	close(fd);
}

static void bad_input(void)
{
	struct drm_vttm_madvise m = { .madv = DRM_VTTM_MADV_DONTNEED };
	struct pair p;
	uint32_t handle;
	int fd, null;

	ASSERT(share(&p, DRM_VTTM_CACHED, false));
	EXPECT_ERR(to_fd(&p.exporter, 0x7fff, &fd), ENOENT);
	null = open("/dev/null", O_RDWR);
	EXPECT_ERR(to_handle(&p.importer, null, &handle), EINVAL);
	EXPECT_ERR(to_handle(&p.importer, -1, &handle), EBADF);
	close(null);
	/* the contents of an import are not the importer's to give up */
	m.handle = p.imported;
	EXPECT_ERR(vttm_ioctl(p.importer.fd, DRM_IOCTL_VTTM_MADVISE, &m), EINVAL);
	EXPECT(bo_check_map(&p.b));
}

/* Whoever has been given a dma-buf to read from cannot write to it as a debugger can. */
static void read_only(void)
{
	struct gpu g;
	struct bo b;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, SIZE, DRM_VTTM_WC, 1));
	bo_check_read_only(g.fd, &b);
	bo_free(&g, &b);
}

/* No file that is read-only here, so that the task may have access if it likes to. */
static void not_accessible(void)
{
	static const int prots[] = { PROT_NONE, PROT_READ };
	unsigned int i;
	struct gpu g;
	uint8_t *map;
	struct bo b;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, SIZE, DRM_VTTM_WC, 1));
	for (i = 0; i < ARRAY_LEN(prots); i++) {
		map = vttm_map(g.fd, b.handle, b.size);
		ASSERT(map != MAP_FAILED);
		ASSERT_EQ(mprotect(map, b.size, prots[i]), 0);
		bo_check_debugger_writes(&b, map);
		munmap(map, b.size);
	}
	bo_free(&g, &b);
}

static const struct test tests[] = {
	{ "prime_import_sees_content", content },
	{ "prime_import_of_backed_up_buffer", content_backed_up },
	{ "prime_engine_writes_reach_exporter", engine_writes_through },
	{ "prime_import_outlives_exporter", exporter_gone },
	{ "prime_dmabuf_mmap", dmabuf_mmap },
	{ "prime_self_import_is_same_handle", self_import },
	{ "prime_refuses_bad_input", bad_input },
	{ "c116_read_only_for_debuggers", read_only },
	{ "c116_debuggers_write_what_is_not_accessible", not_accessible },
};

int main(void)
{
	return ktap_run(tests, ARRAY_LEN(tests));
}
