// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Backup and restore that fail half-way, by the fault injection that TTM has
 * in a kernel with CONFIG_FAULT_INJECTION_DEBUG_FS: what could not be backed
 * up stays resident, a retry finishes it, and no byte is lost.
 */

#include "fixture.h"

static void partial(void)
{
	bool zero_copy = zero_copy_get();
	struct vttm_state i;
	unsigned int partly = 0, round;
	struct gpu g;
	struct bo b[3];
	size_t n;

	ASSERT(gpu_open(&g));
	for (n = 0; n < ARRAY_LEN(b); n++)
		ASSERT(bo_new(&g, &b[n], 8 * MiB + 7 * PAGE, n, n + 1));
	for (round = 1; round <= 6; round++) {
		/* a different first victim each round */
		if (!fault_inject(100, round, -1))
			break;
		vttm_shrink(g.minor, PAGES(b[0].size), false, NULL);
		fault_inject_off();
		for (n = 0; n < ARRAY_LEN(b); n++) {
			if (!bo_info(&g, &b[n], &i))
				break;
			EXPECT_EQ(i.resident_pages + i.backed_up_pages,
				  PAGES(b[n].size));
			if (i.resident_pages && i.backed_up_pages)
				partly++;
		}
		n = round % ARRAY_LEN(b);
		/* one is read in the state it is in, one retried to the end */
		EXPECT(bo_check_map(&b[n]));
		n = (round + 1) % ARRAY_LEN(b);
		/* upstream's way cannot resume, so restore first */
		if (!zero_copy)
			EXPECT(bo_check_map(&b[n]));
		if (!bo_backup(&g, &b[n], false))
			break;
		EXPECT(bo_check_engine(&g, &b[n]));
	}
	fault_inject_off();
	/* or the injection hit nothing and this proved nothing */
	EXPECT_GT(partly, 0);
	for (n = 0; n < ARRAY_LEN(b); n++) {
		EXPECT(bo_check_map(&b[n]));
		EXPECT(bo_check_engine(&g, &b[n]));
	}
}

/* Destroyed in whatever state a failure left it. */
static void destroy_partial(void)
{
	unsigned int round, partly = 0;
	struct vttm_state i;
	struct gpu g;
	struct bo b;

	ASSERT(gpu_open(&g));
	for (round = 1; round <= 8; round++) {
		if (!bo_new(&g, &b, round * MiB * 3 / 2 + 3 * PAGE, round % 3,
			    round))
			break;
		if (!fault_inject(100, 1, 1))
			break;
		/* one page will do, or the shrinker goes back for the rest */
		vttm_shrink(g.minor, 1, round & 1, NULL);
		fault_inject_off();
		if (bo_info(&g, &b, &i) && i.resident_pages && i.backed_up_pages)
			partly++;
		bo_free(&g, &b);
	}
	fault_inject_off();
	EXPECT_GT(partly, 0);
}

/*
 * A restore that is interrupted goes on where it was when the fault or the
 * submission is tried again.
 */
static void interrupted(void)
{
	bool zero_copy = zero_copy_get();
	unsigned int round, hit = 0;
	struct vttm_state i;
	struct gpu g;
	struct bo b;

	ASSERT(gpu_open(&g));
	for (round = 1; round <= 12; round++) {
		/* four chunks: 2 MiB twice, 16 KiB, 4 KiB */
		if (!bo_new(&g, &b, 4 * MiB + 5 * PAGE, round % 3, round))
			break;
		if (!bo_backup(&g, &b, round & 1))
			break;
		/* asked for each chunk, or for each page that is copied */
		if (!fault_inject(100, zero_copy ? 1 + round % 4 : 1 + round * 70, 1))
			break;
		if (round & 1)
			EXPECT(bo_check_map(&b));
		else
			EXPECT(bo_check_engine(&g, &b));
		hit += fault_injected();
		fault_inject_off();
		EXPECT(bo_check_map(&b));
		EXPECT(bo_check_engine(&g, &b));
		if (bo_info(&g, &b, &i))
			EXPECT_EQ(i.resident_pages, PAGES(b.size));
		bo_free(&g, &b);
	}
	fault_inject_off();
	test_note("%u of 12 restores interrupted", hit);
	EXPECT_GT(hit, 0);
}

#define FAILSLAB	"/sys/kernel/debug/failslab"
#define NODES		"/sys/kernel/slab/radix_tree_node/failslab"

#define NODE_SIZE	576	/* or so: "space" is in bytes */

/* All but the first few allocations of page cache nodes fail, for us only. */
static bool fail_nodes(unsigned int good)
{
	static const struct {
		const char *file, *value;
	} set[] = {
		{ FAILSLAB "/verbose", "0" },
		{ FAILSLAB "/task-filter", "Y" },
		{ FAILSLAB "/cache-filter", "Y" },
		{ FAILSLAB "/ignore-gfp-wait", "N" },
		{ FAILSLAB "/interval", "1" },
		{ FAILSLAB "/times", "-1" },
		{ NODES, "1" },
	};
	int ret = 0;
	size_t i;

	for (i = 0; i < ARRAY_LEN(set) && !ret; i++) {
		ret = write_file(set[i].file, "%s", set[i].value);
		if (ret)
			FAIL("%s: %s: the test kernel must have it",
			     set[i].file, strerror(-ret));
	}
	if (!ret)
		ret = write_file(FAILSLAB "/space", "%u", good * NODE_SIZE + 1);
	if (!ret)
		ret = write_file(FAILSLAB "/probability", "100");
	if (!ret)
		ret = write_file("/proc/self/make-it-fail", "1");
	return !ret;
}

static void fail_nodes_off(void)
{
	write_file("/proc/self/make-it-fail", "0");
	write_file(FAILSLAB "/probability", "0");
	write_file(NODES, "0");
}

/* No memory for the nodes of the page cache: what cannot go in stays. */
static void no_nodes(void)
{
	const char *trace = "/sys/kernel/tracing/events/shmem/shmem_insert_folio_fail/enable";
	struct backup_counters then, c;
	unsigned int good, partly = 0;
	struct vttm_state i;
	uint64_t enomem, shmem;
	struct gpu g;
	struct bo b;

	ASSERT(gpu_open(&g));
	shmem = vmstat("nr_shmem");
	enomem = backup_stat("refused_ENOMEM");
	backup_counters(&then);
	ASSERT_OK(write_file("/sys/kernel/tracing/trace", "\n"));
	ASSERT_OK(write_file(trace, "1"));
	for (good = 0; good < 8; good++) {
		if (!bo_new(&g, &b, 32 * MiB + 77 * PAGE, good % 3, good + 1))
			break;
		if (!fail_nodes(good))
			break;
		vttm_shrink(g.minor, PAGES(b.size), false, NULL);
		fail_nodes_off();
		if (!bo_info(&g, &b, &i))
			break;
		EXPECT_EQ(i.resident_pages + i.backed_up_pages, PAGES(b.size));
		EXPECT_EQ(vmstat("nr_shmem") - shmem, i.backed_up_pages);
		if (i.resident_pages && i.backed_up_pages)
			partly++;
		/* read as it is, or after the rest has gone too */
		if (good & 1)
			EXPECT(bo_backup(&g, &b, false));
		EXPECT(bo_check_map(&b));
		EXPECT(bo_check_engine(&g, &b));
		bo_free(&g, &b);
	}
	fail_nodes_off();
	write_file(trace, "0");
	backup_counters_since(&then, &c);
	EXPECT_GT(backup_stat("refused_ENOMEM"), enomem);
	EXPECT_GT(c.retained, 0);
	EXPECT_EQ(c.copied, 0);
	EXPECT_GT(partly, 0);
	/* each refusal has left a line in the trace */
	EXPECT_EQ(trace_count("shmem_insert_folio_fail", ""), c.refused);
	test_note("%" PRIu64 " folios refused, %u buffers backed up in part",
		  c.refused, partly);
}

static const struct test tests[] = {
	{ "c51_c56_partial_backup_resumes", partial },
	{ "c53_c56_destroy_partially_backed_up", destroy_partial },
	{ "c20_c51_no_memory_for_nodes", no_nodes },
	{ "c52_c56_interrupted_restore_resumes", interrupted },
};

/* booted with ttm.zero_copy=0 */
static const struct test tests_copy[] = {
	{ "c56_partial_backup_resumes_copying", partial },
	{ "c52_c56_interrupted_restore_resumes_copying", interrupted },
};

int main(void)
{
	mount_all();
	if (zero_copy_get())
		return ktap_run(tests, ARRAY_LEN(tests));
	return ktap_run(tests_copy, ARRAY_LEN(tests_copy));
}
