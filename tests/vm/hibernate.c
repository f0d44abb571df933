// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Hibernation, as far as one machine can do it without a reboot: the image is
 * written to swap, read again, and put in place of what is in memory. What buffers
 * hold is part of it, wherever it is.
 */

#include "fixture.h"

#define SIZE	(5 * MiB + PAGE)

enum place { IN_SWAP, IN_SHMEM, RESIDENT, NR_PLACES };

static const uint32_t cachings[] = { DRM_VTTM_CACHED, DRM_VTTM_WC, DRM_VTTM_UC };

#define NR_CACHINGS	ARRAY_LEN(cachings)

static struct bo bos[NR_PLACES][NR_CACHINGS];

static bool fill_all(const struct gpu *g)
{
	unsigned int place, i;

	for (place = 0; place < NR_PLACES; place++) {
		for (i = 0; i < NR_CACHINGS; i++)
			if (!bo_new(g, &bos[place][i], SIZE, cachings[i],
				    place * NR_CACHINGS + i + 1))
				return false;
		if (place == RESIDENT)
			break;
		for (i = 0; i < NR_CACHINGS; i++)
			if (!bo_backup(g, &bos[place][i], false))
				return false;
		if (place == IN_SWAP)
			reclaim_all();
	}
	return true;
}

/* image_size is what the image should not exceed, in bytes */
static void round_trip(uint64_t image_size)
{
	unsigned int place, i;
	struct gpu g;

	ASSERT(reclaim_prepare());
	ASSERT(gpu_open(&g));
	ASSERT(fill_all(&g));
	ASSERT_OK(write_file("/sys/power/image_size", "%" PRIu64, image_size));
	ASSERT_OK(hibernate());
	for (place = 0; place < NR_PLACES; place++) {
		for (i = 0; i < NR_CACHINGS; i++) {
			/* As they are: nothing has been restored yet */
			if (place != RESIDENT)
				EXPECT(bo_check_where(&g, &bos[place][i], 0,
						      PAGES(SIZE), PAGES(SIZE)));
			EXPECT(bo_check_map(&bos[place][i]));
			EXPECT(bo_check_engine(&g, &bos[place][i]));
			bo_free(&g, &bos[place][i]);
		}
	}
}

static void all_of_memory(void)
{
	round_trip(meminfo_kib("MemTotal") * KiB);
}

/* What can leave memory does before the image is made, by TTM's shrinkers as well. */
static void smallest_image(void)
{
	round_trip(0);
}

static const struct test tests[] = {
	{ "c64_hibernation_restores_buffers", all_of_memory },
	{ "c64_smallest_image_restores_buffers", smallest_image },
};

int main(void)
{
	mount_all();
	return ktap_run(tests, ARRAY_LEN(tests));
}
