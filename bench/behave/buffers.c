// SPDX-License-Identifier: GPL-2.0 OR MIT
/* The buffers of a test. */

#include <inttypes.h>
#include <stdio.h>

#include "behave.h"

void fill_buffers(uint64_t bytes, uint64_t size, bool noise)
{
	for (nr_bos = 0; bytes >= size; bytes -= size, nr_bos++) {
		struct bo *b = &bos[nr_bos];

		if (nr_bos == MAX_BUFFERS)
			die("more than %u buffers", MAX_BUFFERS);
		gpu_create(&gpu, b, size, nr_bos & 1 ? DRM_VTTM_CACHED : DRM_VTTM_WC);
		gpu_map(&gpu, b, NULL);
		fill(b, nr_bos + 1, noise);
	}
}

void unmap_buffers(void)
{
	unsigned int i;

	for (i = 0; i < nr_bos; i++)
		bo_unmap(&bos[i]);
}

static void each_buffer(void (*what)(const struct bo *b, uint32_t seed))
{
	unsigned int i;

	for (i = 0; i < nr_bos; i++) {
		if (!bos[i].map)
			gpu_map(&gpu, &bos[i], NULL);
		what(&bos[i], i + 1);
	}
}

void look_at_buffers(void)
{
	each_buffer(look);
}

void check_buffers(void)
{
	each_buffer(check);
}

void free_buffers(void)
{
	while (nr_bos)
		gpu_close(&gpu, &bos[--nr_bos]);
	pools_drain();
}

void print_restored(const struct backup_counters *c)
{
	printf(",\"restored_adopted_pages\":%" PRIu64
	       ",\"restored_extracted_pages\":%" PRIu64
	       ",\"restored_merged_pages\":%" PRIu64
	       ",\"restored_copied_pages\":%" PRIu64,
	       c->restored_adopted, c->restored_extracted, c->restored_merged,
	       c->restored_copied);
}
