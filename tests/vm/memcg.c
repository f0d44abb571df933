// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Who pays for a backed-up buffer: its owner, within the owner's limits. */

#include <unistd.h>

#include "fixture.h"

#define OWNER		"owner"
#define BYSTANDER	"bystander"

static uint64_t shmem_of(const char *cg)
{
	return cg_read_key(cg, "memory.stat", "shmem") / PAGE;
}

/* Small changes reach memory.stat up to two seconds late. */
static void expect_shmem(const char *cg, uint64_t pages)
{
	unsigned int i;

	for (i = 0; i < 250 && shmem_of(cg) != pages; i++)
		usleep(20000);
	if (shmem_of(cg) != pages)
		FAIL("%s is charged for %" PRIu64 " pages of shmem, not %" PRIu64,
		     cg, shmem_of(cg), pages);
}

static bool groups_make(void)
{
	int ret = cg_create(OWNER);

	if (!ret)
		ret = cg_create(BYSTANDER);
	if (ret)
		FAIL("cgroups: %s: is CONFIG_MEMCG there?", strerror(-ret));
	return !ret;
}

static void groups_remove(void)
{
	EXPECT_OK(cg_remove(OWNER));
	EXPECT_OK(cg_remove(BYSTANDER));
}

struct shrinker {
	unsigned int minor;
	uint64_t pages;
	const char *cg;
	bool writeback;
	bool may_fail;
};

/* Shrinks from a process in another group, as a bystander in reclaim does. */
static void shrink_from(void *arg)
{
	const struct shrinker *s = arg;
	uint64_t done, total = 0;
	int ret;

	if (s->cg)
		ASSERT_OK(cg_enter(s->cg));
	while (total < s->pages) {
		ret = vttm_shrink(s->minor, s->pages - total, s->writeback,
				  &done);
		if (ret || !done) {
			if (!s->may_fail)
				FAIL("shrink after %" PRIu64 " pages: %s", total,
				     strerror(-ret));
			return;
		}
		total += done;
	}
}

struct owned {
	const char *shrinker_cg;
	uint64_t limit;
	bool writeback;
};

static void owner_limited(const struct owned *o)
{
	uint64_t mine, theirs, pages = 0, oom;
	struct shrinker s = { .cg = o->shrinker_cg, .writeback = o->writeback };
	struct backup_counters then, c;
	struct bo b[3];
	struct gpu g;
	unsigned int i;

	ASSERT_OK(cg_enter(OWNER));
	ASSERT(gpu_open(&g));
	for (i = 0; i < ARRAY_LEN(b); i++) {
		ASSERT(bo_new(&g, &b[i], 6 * MiB + 5 * PAGE, i, i + 1));
		pages += PAGES(b[i].size);
	}
	if (o->limit)
		ASSERT_OK(cg_write(OWNER, "memory.max", "%llu",
				   (unsigned long long)(cg_read(OWNER, "memory.current") +
							o->limit)));
	oom = cg_read_key(OWNER, "memory.events", "oom_kill");
	mine = shmem_of(OWNER);
	theirs = shmem_of(BYSTANDER);
	s.minor = g.minor;
	s.pages = pages;
	s.may_fail = o->limit;
	backup_counters(&then);
	EXPECT(ktap_child(shrink_from, &s));
	backup_counters_since(&then, &c);
	EXPECT_EQ(c.copied, 0);

	/* never the one who happened to be reclaiming */
	expect_shmem(BYSTANDER, theirs);
	if (!o->limit) {
		EXPECT_EQ(c.inserted, pages);
		if (!o->writeback)
			expect_shmem(OWNER, mine + pages);
	} else {
		/*
		 * Reclaim may go over the limit, or push what was charged
		 * before to swap, or keep the rest: all of it is the owner's.
		 */
		EXPECT_LE(shmem_of(OWNER) - mine, c.inserted);
		EXPECT_GT(c.inserted, 0);
	}
	for (i = 0; i < ARRAY_LEN(b); i++) {
		EXPECT(bo_check_map(&b[i]));
		EXPECT(bo_check_engine(&g, &b[i]));
	}
	/* restored, so no longer charged */
	expect_shmem(OWNER, mine);
	EXPECT_EQ(cg_read_key(OWNER, "memory.events", "oom_kill"), oom);
}

static void owner_child(void *arg)
{
	owner_limited(arg);
}

static void run_owned(const struct owned *o)
{
	ASSERT(groups_make());
	EXPECT(ktap_child(owner_child, (void *)o));
	groups_remove();
}

static void charged_from_bystander(void)
{
	run_owned(&(struct owned){ .shrinker_cg = BYSTANDER });
}

static void charged_from_root(void)
{
	run_owned(&(struct owned){ 0 });
}

static void charged_writeback(void)
{
	run_owned(&(struct owned){ .shrinker_cg = BYSTANDER, .writeback = true });
}

static void limit(void)
{
	run_owned(&(struct owned){ .shrinker_cg = BYSTANDER, .limit = 4 * MiB });
}

static void limit_zero(void)
{
	run_owned(&(struct owned){ .shrinker_cg = BYSTANDER, .limit = PAGE });
}

/* A group that is gone leaves its backed-up buffers usable. */
static void owner_leaves(void)
{
	struct shrinker s = { 0 };
	struct gpu g;
	struct bo b;

	ASSERT(groups_make());
	ASSERT_OK(cg_enter(OWNER));
	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, 4 * MiB + PAGE, DRM_VTTM_WC, 1));
	ASSERT_OK(cg_enter(BYSTANDER));
	ASSERT_OK(cg_remove(OWNER));
	s.minor = g.minor;
	s.pages = PAGES(b.size);
	EXPECT(ktap_child(shrink_from, &s));
	EXPECT(bo_check_where(&g, &b, 0, PAGES(b.size), PAGES(b.size)));
	EXPECT(bo_check_map(&b));
	ASSERT(bo_backup(&g, &b, true));
	EXPECT(bo_check_engine(&g, &b));
}

/* Nothing of a buffer that is gone holds on to the group of its owner. */
static void owner_let_go(void)
{
	uint64_t dying;
	unsigned int i;

	run_owned(&(struct owned){ .shrinker_cg = BYSTANDER });
	/* It goes when the last reference does, in a worker and after RCU. */
	for (i = 0; i < 1500; i++) {
		dying = cg_read_key(".", "cgroup.stat", "nr_dying_descendants");
		if (!dying)
			break;
		usleep(20000);
	}
	EXPECT_EQ(dying, 0);
}

static const struct test tests[] = {
	{ "c22_charged_to_owner_not_bystander", charged_from_bystander },
	{ "c22_charged_to_owner_not_root", charged_from_root },
	{ "c22_charged_to_owner_with_writeback", charged_writeback },
	{ "c21_limit_loses_nothing", limit },
	{ "c21_limit_reached_loses_nothing", limit_zero },
	{ "c22_owner_group_removed", owner_leaves },
	{ "c22_owner_group_let_go", owner_let_go },
};

int main(void)
{
	return ktap_run(tests, ARRAY_LEN(tests));
}
