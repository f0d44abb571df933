// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What is in use of what may leak. */

#include "ktap.h"
#include "stat.h"
#include "swap.h"
#include "usage.h"
#include "vttm.h"

void usage_get(struct usage *u)
{
	pools_drain();
	u->shmem = vmstat("nr_shmem");
	u->gpu_active = vmstat("nr_gpu_active");
	u->gpu_pooled = vmstat("nr_gpu_reclaim");
	u->swap_used = swap_used_pages();
	u->oom_kill = vmstat("oom_kill");
}

/*
 * Cycling swap brings everything that has an owner back to memory, so
 * afterwards a page that leaked into swap is counted as shmem, and a slot
 * without an owner keeps swapoff from ending.
 */
bool usage_settle(struct usage *u, unsigned int seconds)
{
	static struct swap_list at_start;
	static bool known;
	struct swap_list swaps;
	int ret;

	writeback_settle();
	swap_list(&swaps);
	if (!known)
		at_start = swaps;
	known = true;
	ret = swap_all_off(&swaps, seconds);
	if (ret) {
		test_note("swapoff: %s%s", strerror(-ret),
			  ret == -EINTR ? ": swap slots without an owner" : "");
		return false;
	}
	usage_get(u);
	/* also what a test that gave up half-way left off */
	ret = swap_all_on(&at_start);
	if (ret) {
		test_note("swapon: %s", strerror(-ret));
		return false;
	}
	return true;
}

bool amount_same(const char *what, uint64_t before, uint64_t now)
{
	if (before == now)
		return true;
	test_note("leak: %s was %" PRIu64 " before and is %" PRIu64 " now",
		  what, before, now);
	return false;
}

bool usage_same(const struct usage *before, const struct usage *now)
{
	bool ok;

	ok = amount_same("nr_shmem", before->shmem, now->shmem);
	ok &= amount_same("nr_gpu_active", before->gpu_active, now->gpu_active);
	ok &= amount_same("nr_gpu_reclaim", before->gpu_pooled, now->gpu_pooled);
	ok &= amount_same("pages of swap used", before->swap_used, now->swap_used);
	if (!ktap_may_oom)
		ok &= amount_same("oom_kill", before->oom_kill, now->oom_kill);
	return ok;
}
