// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Engine access to a dma-buf of an exporter that wants to know of it: udmabuf, which
 * syncs for the CPU where access begins, and for the device where it ends.
 */

#include <fcntl.h>
#include <linux/udmabuf.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xf86drm.h>

#include "fixture.h"

/* In one piece it is more than the device of udmabuf says it can map, if it is larger. */
#define SIZE	(64 * KiB)

/* A file in memory, the dma-buf that udmabuf makes of it, and vttm's handle for that */
struct shared {
	struct gpu g;
	struct bo b;
};

static bool share(struct shared *s)
{
	struct udmabuf_create create = { .size = SIZE };
	int memfd, dev, fd;
	bool ok = false;

	if (!gpu_open(&s->g))
		return false;
	memfd = memfd_create("shared", MFD_ALLOW_SEALING);
	dev = open("/dev/udmabuf", O_RDWR);
	s->b = (struct bo){ .size = SIZE };
	if (memfd < 0 || dev < 0 || ftruncate(memfd, SIZE) ||
	    fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK)) {
		FAIL("memory to share: %s", strerror(errno));
		goto out;
	}
	s->b.map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0);
	create.memfd = memfd;
	fd = ioctl(dev, UDMABUF_CREATE, &create);
	if (s->b.map == MAP_FAILED || fd < 0) {
		FAIL("udmabuf: %s", strerror(errno));
		goto out;
	}
	/* as a vttm buffer from here on, but that its mapping is the file's */
	if (drmPrimeFDToHandle(s->g.fd, fd, &s->b.handle)) {
		FAIL("import: %s", strerror(errno));
	} else {
		bo_store(&s->b, test_source(), 1);
		ok = true;
	}
	close(fd);
out:
	close(dev);
	close(memfd);
	return ok;
}

static void unshare(struct shared *s)
{
	munmap(s->b.map, SIZE);
	close(s->g.fd);
}

static bool trace_brackets(void)
{
	if (!trace_on("dma:dma_sync_sg_for_cpu"))
		return false;
	if (!write_str(TRACING "/events/dma/dma_sync_sg_for_device/enable", "1"))
		return true;
	FAIL("cannot trace the end of access");
	return false;
}

/* How often access in that direction has begun, and ended */
static unsigned int begun(const char *dir)
{
	return trace_count("dma_sync_sg_for_cpu", dir);
}

static unsigned int ended(const char *dir)
{
	return trace_count("dma_sync_sg_for_device", dir);
}

/* The last of a job is done by a worker, after its fence has signalled. */
static void expect_ended(const char *dir, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < 1000 && ended(dir) < nr; i++)
		usleep(10000);
	EXPECT_EQ(ended(dir), nr);
}

#define READ	"udmabuf dir=FROM_DEVICE "
#define WRITE	"udmabuf dir=BIDIRECTIONAL "

static void each_job(void)
{
	struct shared s;
	struct bo own;
	unsigned int i;
	uint32_t crc;

	ASSERT(share(&s));
	ASSERT(bo_new(&s.g, &own, SIZE, DRM_VTTM_WC, 2));
	ASSERT(trace_brackets());
	/* of a buffer of its own, which nobody else has to know of */
	ASSERT_OK(vttm_crc(s.g.fd, own.handle, own.size, &crc));
	EXPECT_EQ(crc, own.crc);
	EXPECT_EQ(begun(READ) + begun(WRITE), 0);

	for (i = 1; i <= 3; i++) {
		struct drm_vttm_op read = {
			.opcode = DRM_VTTM_OP_COPY, .dst = own.handle, .src = s.b.handle,
			.size = SIZE,
		}, write = {
			.opcode = DRM_VTTM_OP_FILL, .dst = s.b.handle, .size = PAGE,
			.value = i,
		};

		/* udmabuf maps it as who comes first needs it: that has to do for all */
		ASSERT_OK(vttm_submit(s.g.fd, &write, 1));
		EXPECT_EQ(begun(WRITE), i);
		ASSERT_OK(vttm_submit(s.g.fd, &read, 1));
		EXPECT_EQ(begun(READ), i);
		ASSERT_OK(vttm_wait(s.g.fd, own.handle, -1));
		EXPECT_EQ(*(uint32_t *)(s.b.map + PAGE - 4), i);
		expect_ended(READ, i);
		expect_ended(WRITE, i);
		EXPECT_EQ(memcmp(s.b.map, own.map, SIZE), 0);
	}
	trace_off();
	bo_free(&s.g, &own);
	unshare(&s);
}

/* It ends after the job and not before, also where the job is cancelled. */
static void after_the_job(void)
{
	static struct drm_vttm_op ops[DRM_VTTM_SUBMIT_MAX_OPS];
	struct shared s;
	struct bo own;
	unsigned int i;

	ASSERT(share(&s));
	ASSERT(bo_new(&s.g, &own, 2 * MiB, DRM_VTTM_CACHED, 2));
	ops[0] = (struct drm_vttm_op){
		.opcode = DRM_VTTM_OP_FILL, .dst = s.b.handle, .size = SIZE,
	};
	/* far more than there is time for */
	for (i = 1; i < ARRAY_LEN(ops); i++)
		ops[i] = (struct drm_vttm_op){
			.opcode = DRM_VTTM_OP_CRC32, .dst = own.handle, .src = own.handle,
			.size = own.size,
		};
	ASSERT(trace_brackets());
	ASSERT_OK(vttm_submit(s.g.fd, ops, ARRAY_LEN(ops)));
	EXPECT_EQ(begun(WRITE), 1);
	EXPECT_ERR(vttm_wait(s.g.fd, s.b.handle, 0), ETIME);
	EXPECT_EQ(ended(WRITE), 0);
	bo_unmap(&own);
	unshare(&s);
	expect_ended(WRITE, 1);
	trace_off();
}

/* What has begun ends as well where the job comes to nothing. */
static void failed_submit(void)
{
	struct drm_vttm_op ops[2];
	struct shared s;
	struct bo gone;
	uint64_t done;

	ASSERT(share(&s));
	ASSERT(bo_new(&s.g, &gone, SIZE, DRM_VTTM_CACHED, 3));
	ASSERT_OK(vttm_madvise(s.g.fd, gone.handle, DRM_VTTM_MADV_DONTNEED, NULL));
	ASSERT_OK(vttm_purge(s.g.minor, PAGES(SIZE), &done));
	EXPECT_EQ(done, PAGES(SIZE));
	ASSERT(trace_brackets());
	ops[0] = (struct drm_vttm_op){
		.opcode = DRM_VTTM_OP_FILL, .dst = s.b.handle, .size = SIZE,
	};
	ops[1] = ops[0];
	ops[1].dst = gone.handle;
	EXPECT_ERR(vttm_submit(s.g.fd, ops, ARRAY_LEN(ops)), EFAULT);
	EXPECT_EQ(begun(WRITE), 1);
	EXPECT_EQ(ended(WRITE), 1);
	EXPECT(bo_check_map(&s.b));
	trace_off();
	bo_free(&s.g, &gone);
	unshare(&s);
}

static const struct test tests[] = {
	{ "c120_engine_access_begins_and_ends", each_job },
	{ "c120_engine_access_ends_after_the_job", after_the_job },
	{ "c120_engine_access_ends_where_submit_fails", failed_submit },
};

int main(void)
{
	mount_all();
	return ktap_run(tests, ARRAY_LEN(tests));
}
