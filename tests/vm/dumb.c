// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * A client that knows nothing of vttm: libdrm's dumb buffers only. Its
 * buffers are backed up and come back behind its back.
 */

#include <sys/mman.h>

#include <xf86drm.h>
#include <xf86drmMode.h>

#include "fixture.h"

#define WIDTH	1000
#define HEIGHT	1500

struct dumb {
	struct bo b;
	uint32_t pitch;
};

static bool dumb_new(const struct gpu *g, struct dumb *d, uint32_t seed)
{
	uint64_t offset;
	int ret;

	memset(d, 0, sizeof(*d));
	ret = drmModeCreateDumbBuffer(g->fd, WIDTH, HEIGHT, 32, 0, &d->b.handle,
				      &d->pitch, &d->b.size);
	if (!ret)
		ret = drmModeMapDumbBuffer(g->fd, d->b.handle, &offset);
	if (ret) {
		FAIL("dumb buffer: %s", strerror(-ret));
		return false;
	}
	d->b.map = mmap(NULL, d->b.size, PROT_READ | PROT_WRITE, MAP_SHARED,
			g->fd, offset);
	if (d->b.map == MAP_FAILED) {
		FAIL("mmap: %s", strerror(errno));
		return false;
	}
	return bo_fill(&d->b, seed);
}

static void round_trip(void)
{
	uint64_t has_dumb = 0;
	struct dumb d[4];
	unsigned int i, round;
	struct gpu g;

	ASSERT(gpu_open(&g));
	/* There is no display, so nothing about one can be asked for, as with vgem. */
	EXPECT_EQ(drmGetCap(g.fd, DRM_CAP_DUMB_BUFFER, &has_dumb), -1);
	EXPECT_EQ(errno, EOPNOTSUPP);
	for (i = 0; i < ARRAY_LEN(d); i++) {
		ASSERT(dumb_new(&g, &d[i], i + 1));
		EXPECT_GE(d[i].pitch, WIDTH * 4);
		EXPECT_GE(d[i].b.size, (uint64_t)d[i].pitch * HEIGHT);
	}
	for (round = 0; round < 2; round++) {
		for (i = 0; i < ARRAY_LEN(d); i++)
			ASSERT(bo_backup(&g, &d[i].b, round));
		for (i = 0; i < ARRAY_LEN(d); i++)
			EXPECT(bo_check_map(&d[i].b));
	}
	ASSERT(bo_backup(&g, &d[0].b, true));
	for (i = 0; i < ARRAY_LEN(d); i++) {
		munmap(d[i].b.map, d[i].b.size);
		EXPECT_OK(drmModeDestroyDumbBuffer(g.fd, d[i].b.handle));
	}
	EXPECT(drmModeDestroyDumbBuffer(g.fd, d[0].b.handle) < 0);
}

static void bad_input(void)
{
	static const struct {
		uint32_t width, height, bpp, flags;
	} bad[] = {
		{ 0, HEIGHT, 32, 0 },
		{ WIDTH, 0, 32, 0 },
		{ WIDTH, HEIGHT, 0, 0 },
		{ UINT32_MAX, UINT32_MAX, 32, 0 },
		{ UINT32_MAX, 1, 32, 0 },
		{ WIDTH, UINT32_MAX, UINT32_MAX, 0 },
	};
	uint32_t handle, pitch;
	uint64_t size, offset;
	struct gpu g;
	size_t i;

	ASSERT(gpu_open(&g));
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		int ret = drmModeCreateDumbBuffer(g.fd, bad[i].width,
						  bad[i].height, bad[i].bpp,
						  bad[i].flags, &handle, &pitch,
						  &size);

		if (ret != -EINVAL)
			FAIL("%ux%u at %u bpp: %d", bad[i].width, bad[i].height,
			     bad[i].bpp, ret);
	}
	EXPECT_ERR(drmModeMapDumbBuffer(g.fd, 0x7fff, &offset), ENOENT);
}

static const struct test tests[] = {
	{ "dumb_buffers_survive_backup", round_trip },
	{ "dumb_buffers_refuse_bad_input", bad_input },
};

int main(void)
{
	return ktap_run(tests, ARRAY_LEN(tests));
}
