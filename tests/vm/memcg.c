// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Who pays for a backed-up buffer: nobody, as nobody pays for one that is resident.
 * No group is charged, neither that of the owner nor that of who is reclaiming, so no
 * limit of a group stands in the way, and nobody dies of it.
 *
 * With "swapout", on devices without a shrinker: whoever allocates more than
 * ttm.pages_limit pays for what has to be swapped out for that, and when its group is at
 * its limit, there is no more.
 */

#include <sys/mman.h>
#include <sys/param.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

#define OWNER		"owner"
#define BYSTANDER	"bystander"

/* What a group is charged for beside: page tables, slab objects, batches */
#define SMALL		(2 * MiB)

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
			FAIL("shrink after %" PRIu64 " pages: %s", total,
			     strerror(-ret));
			return;
		}
		total += done;
	}
}

/* ---- who is charged ---- */

struct owned {
	const char *shrinker_cg;
	bool writeback;
};

static void nobody_is_charged(void *arg)
{
	const struct owned *o = arg;
	struct shrinker s = { .cg = o->shrinker_cg, .writeback = o->writeback };
	uint64_t mine, theirs, all, pages = 0;
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
	mine = cg_read(OWNER, "memory.current");
	theirs = cg_read(BYSTANDER, "memory.current");
	s.minor = g.minor;
	s.pages = pages;
	writeback_settle();
	all = vmstat("nr_shmem");
	backup_counters(&then);
	EXPECT(ktap_child(shrink_from, &s));
	backup_counters_since(&then, &c);
	EXPECT_EQ(c.inserted, pages);
	EXPECT_EQ(c.copied, 0);
	if (!o->writeback)
		EXPECT_EQ(vmstat("nr_shmem") - all, pages);
	expect_shmem(OWNER, 0);
	expect_shmem(BYSTANDER, 0);
	EXPECT_LE(cg_read(OWNER, "memory.current"), mine + SMALL);
	EXPECT_LE(cg_read(BYSTANDER, "memory.current"), theirs + SMALL);
	EXPECT_EQ(cg_read(OWNER, "memory.swap.current"), 0);
	EXPECT_EQ(cg_read(BYSTANDER, "memory.swap.current"), 0);
	for (i = 0; i < ARRAY_LEN(b); i++) {
		EXPECT(bo_check_map(&b[i]));
		EXPECT(bo_check_engine(&g, &b[i]));
	}
	EXPECT_LE(cg_read(OWNER, "memory.current"), mine + SMALL);
}

static void run_owned(const struct owned *o)
{
	ASSERT(groups_make());
	EXPECT(ktap_child(nobody_is_charged, (void *)o));
	groups_remove();
}

static void not_bystander(void)
{
	run_owned(&(struct owned){ .shrinker_cg = BYSTANDER });
}

static void not_owner(void)
{
	run_owned(&(struct owned){ .shrinker_cg = OWNER });
}

static void from_root(void)
{
	run_owned(&(struct owned){ .shrinker_cg = "." });
}

static void with_writeback(void)
{
	run_owned(&(struct owned){ .shrinker_cg = BYSTANDER, .writeback = true });
}

/* ---- a container with more idle buffers than it may have memory ---- */

#define LIMIT	(32 * MiB)
#define IDLE	(96 * MiB)
#define BO	(8 * MiB)

enum pressure {
	SHRUNK_BY_BYSTANDER,	/* the shrinker in somebody else's reclaim */
	SHRUNK_BY_ITSELF,	/* in its own */
	HOG,			/* somebody takes all memory there is */
	MORE_BUFFERS,		/* it does so itself, with buffers */
};

struct container {
	enum pressure pressure;
	const char *swap_max;
};

/* Takes what is free and much of what is not, as one that is charged for it */
static void hog(void *arg)
{
	uint64_t len = meminfo_kib("MemFree") * KiB + *(uint64_t *)arg, at;
	uint8_t *p;

	ASSERT_OK(cg_enter(BYSTANDER));
	p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT(p != MAP_FAILED);
	for (at = 0; at < len; at += PAGE)
		pattern_page(test_source(), 77, at / PAGE, p + at);
}

/* One MiB more, and who cannot have it is killed. */
static void one_mib(void *arg)
{
	uint8_t *p = mmap(NULL, MiB, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	(void)arg;
	ASSERT(p != MAP_FAILED);
	memset(p, 1, MiB);
}

static void contained(void *arg)
{
	const struct container *x = arg;
	uint64_t idle = IDLE, mine, kills;
	struct backup_counters then, c;
	static struct bo b[128];
	struct shrinker s = {
		.pages = IDLE / PAGE,
		.cg = x->pressure == SHRUNK_BY_BYSTANDER ? BYSTANDER : NULL,
	};
	unsigned int nr, i;
	struct gpu g;

	ASSERT_OK(cg_enter(OWNER));
	ASSERT(gpu_open(&g));
	s.minor = g.minor;
	for (nr = 0; nr < IDLE / BO; nr++)
		ASSERT(bo_new(&g, &b[nr], BO, nr % 3, nr + 1));
	mine = cg_read(OWNER, "memory.current");
	kills = cg_read_key(OWNER, "memory.events", "oom_kill");
	backup_counters(&then);
	switch (x->pressure) {
	case SHRUNK_BY_BYSTANDER:
	case SHRUNK_BY_ITSELF:
		EXPECT(ktap_child(shrink_from, &s));
		break;
	case HOG:
		EXPECT(ktap_child(hog, &idle));
		break;
	case MORE_BUFFERS:
		do {
			ASSERT(nr < ARRAY_LEN(b));
			ASSERT(bo_new(&g, &b[nr], BO, nr % 3, nr + 1));
			nr++;
			backup_counters_since(&then, &c);
		} while (c.inserted + c.copied < IDLE / PAGE);
		break;
	}
	backup_counters_since(&then, &c);
	/* or there was no pressure and this proved nothing */
	EXPECT_GT(c.inserted + c.copied, LIMIT / PAGE);
	test_note("%" PRIu64 " pages backed up, charged before %" PRIu64 " KiB, now %" PRIu64 " KiB; bystander %" PRIu64 " KiB",
		  c.inserted + c.copied, mine / KiB,
		  cg_read(OWNER, "memory.current") / KiB,
		  cg_read(BYSTANDER, "memory.current") / KiB);
	/* page tables of the buffers, at most */
	EXPECT_LE(cg_read(OWNER, "memory.current"), mine + 4 * SMALL);
	EXPECT_LE(cg_read(BYSTANDER, "memory.current"), 4 * SMALL);

	EXPECT(ktap_child(one_mib, NULL));
	/* all that were idle, and some of those that were not */
	for (i = 0; i < nr; i += i < IDLE / BO ? 1 : 5)
		EXPECT(i & 1 ? bo_check_map(&b[i]) : bo_check_engine(&g, &b[i]));
	EXPECT(ktap_child(one_mib, NULL));
	EXPECT_EQ(cg_read_key(OWNER, "memory.events", "oom_kill"), kills);
}

static void run_container(enum pressure pressure, const char *swap_max)
{
	struct container x = { .pressure = pressure, .swap_max = swap_max };

	ASSERT(groups_make());
	ASSERT_OK(cg_write(OWNER, "memory.max", "%llu", (unsigned long long)LIMIT));
	ASSERT_OK(cg_write(OWNER, "memory.swap.max", "%s", swap_max));
	/* its kill is to be that of the process that reports it */
	EXPECT(ktap_child(contained, &x));
	groups_remove();
}

#define CONTAINER(name, pressure)					\
static void name##_without_swap(void)					\
{									\
	run_container(pressure, "0");					\
}									\
									\
static void name##_with_swap(void)					\
{									\
	run_container(pressure, "max");					\
}

CONTAINER(shrunk_by_bystander, SHRUNK_BY_BYSTANDER)
CONTAINER(shrunk_by_itself, SHRUNK_BY_ITSELF)
CONTAINER(others_hog, HOG)
CONTAINER(more_buffers, MORE_BUFFERS)

/* ---- groups that go ---- */

struct left {
	struct gpu g;
	struct bo b;
};

static void leave_one(void *arg)
{
	struct left *l = arg;

	ASSERT_OK(cg_enter(OWNER));
	ASSERT(bo_new(&l->g, &l->b, 4 * MiB + PAGE, DRM_VTTM_WC, 1));
}

/*
 * Nothing of a buffer holds on to the group of who made it, wherever the buffer
 * is, and the buffer is as good when the group is gone.
 */
static void group_let_go(void)
{
	struct left *l = shared_memory(sizeof(*l));
	struct shrinker s = { .cg = BYSTANDER };
	uint64_t dying;
	unsigned int i;

	memset(l, 0, sizeof(*l));
	ASSERT(groups_make());
	ASSERT(gpu_open(&l->g));
	EXPECT(ktap_child(leave_one, l));
	ASSERT_OK(bo_map(l->g.fd, &l->b));
	s.minor = l->g.minor;
	s.pages = PAGES(l->b.size);
	EXPECT(ktap_child(shrink_from, &s));
	EXPECT(bo_check_where(&l->g, &l->b, 0, PAGES(l->b.size), PAGES(l->b.size)));
	groups_remove();
	/* It goes when the last reference does, in a worker and after RCU. */
	for (i = 0; i < 1500; i++) {
		dying = cg_read_key(".", "cgroup.stat", "nr_dying_descendants");
		if (!dying)
			break;
		usleep(20000);
	}
	EXPECT_EQ(dying, 0);
	EXPECT(bo_check_map(&l->b));
	ASSERT(bo_backup(&l->g, &l->b, true));
	EXPECT(bo_check_engine(&l->g, &l->b));
	bo_free(&l->g, &l->b);
	munmap(l, sizeof(*l));
}

/* ---- beyond the limit of TTM, without a shrinker ---- */

/* The limit of TTM, which is less than the buffers are in all */
#define BELOW	(24 * MiB)
#define CHUNK	(6 * MiB)

struct beyond {
	unsigned int device;
	const char *swap_max;
	uint64_t room;		/* in the group beside what it has */
};

static void no_limit(void *arg)
{
	const struct beyond *x = arg;
	static struct bo b[6];
	struct gpu g;
	unsigned int i;

	ASSERT_OK(cg_enter(BYSTANDER));
	ASSERT(gpu_open_nth(&g, x->device));
	for (i = 0; i < ARRAY_LEN(b); i++)
		ASSERT(bo_new(&g, &b[i], CHUNK, i % 3, i + 100));
	for (i = 0; i < ARRAY_LEN(b); i++)
		EXPECT(bo_check_map(&b[i]));
}

/* Buffers until a fault cannot be served, or as many as there may be */
static void fill_beyond(const struct gpu *g, struct bo *b, unsigned int most,
			unsigned int *nr, uint64_t *charged)
{
	unsigned int i;

	for (*nr = i = 0; i < most; *nr = ++i) {
		ASSERT_OK(bo_create(g->fd, &b[i], CHUNK, i % 3, 0));
		ASSERT_OK(bo_map(g->fd, &b[i]));
		if (bo_touch(&b[i]) >= 0) {
			bo_free(g, &b[i]);
			break;
		}
		ASSERT(bo_fill(&b[i], i + 1));
		*charged = MAX(*charged, cg_read(OWNER, "memory.current"));
	}
}

/* The device that is asked for room last has nothing, which is no reason to go on. */
static void no_room_on_the_other(const struct beyond *x, const struct gpu *g, struct bo *b,
				 unsigned int nr)
{
	struct gpu other;
	struct bo small;

	/* It is the last one because it was the last that could swap something out. */
	bo_free(g, &b[nr - 1]);
	ASSERT(gpu_open_nth(&other, !x->device));
	ASSERT(bo_new(&other, &small, PAGE, DRM_VTTM_CACHED, 1));
	EXPECT_EQ(tt_shrink(), 1);
	bo_free(&other, &small);
	close(other.fd);

	ASSERT(bo_new(g, &b[nr - 1], CHUNK, (nr - 1) % 3, nr));
	ASSERT_OK(bo_create(g->fd, &b[nr], CHUNK, DRM_VTTM_CACHED, 0));
	ASSERT_OK(bo_map(g->fd, &b[nr]));
	EXPECT_GE(bo_touch(&b[nr]), 0);
	bo_free(g, &b[nr]);
}

static void beyond(void *arg)
{
	const struct beyond *x = arg;
	bool swap = strcmp(x->swap_max, "0");
	uint64_t charged = 0, limit, kills;
	struct backup_counters then = {}, c = {};
	static struct bo b[16];
	unsigned int nr, i;
	struct gpu g;

	ASSERT_OK(cg_enter(OWNER));
	ASSERT(gpu_open_nth(&g, x->device));
	/* so that what the test itself needs is there */
	ASSERT(bo_new(&g, &b[0], CHUNK, DRM_VTTM_CACHED, 1));
	EXPECT(bo_check_engine(&g, &b[0]));
	bo_free(&g, &b[0]);
	limit = cg_read(OWNER, "memory.current") + x->room;
	ASSERT_OK(cg_write(OWNER, "memory.max", "%" PRIu64, limit));
	kills = cg_read_key(OWNER, "memory.events", "oom_kill");
	if (have_backup_stats())
		backup_counters(&then);
	fill_beyond(&g, b, ARRAY_LEN(b), &nr, &charged);
	if (have_backup_stats())
		backup_counters_since(&then, &c);
	test_note("%u buffers, %" PRIu64 " pages inserted, %" PRIu64 " copied; charged %" PRIu64 " KiB of %" PRIu64,
		  nr, c.inserted, c.copied, charged / KiB, limit / KiB);
	/* a few pages that are charged by force */
	EXPECT_LE(charged, limit + 64 * PAGE);
	EXPECT_LE(cg_read(BYSTANDER, "memory.current"), SMALL);
	if (swap) {
		EXPECT_EQ(nr, ARRAY_LEN(b));
		EXPECT_GT(cg_read(OWNER, "memory.swap.current"), CHUNK);
	} else {
		EXPECT_GT(ARRAY_LEN(b), nr);
		EXPECT_GT(nr, BELOW / CHUNK);
	}
	/* Large folios that the group has no room for go in single pages. */
	if (have_backup_stats())
		EXPECT_GT(x->room < 2 * MiB ? c.copied : c.inserted, 0);

	/* What is in memory needs no room, wherever the others have tried to find some. */
	if (!swap) {
		limit_set(PAGES(BELOW) - 1);
		for (i = nr - BELOW / CHUNK; i < nr; i++)
			EXPECT_EQ(bo_touch(&b[i]), -1);
		limit_set(PAGES(BELOW));
		no_room_on_the_other(x, &g, b, nr);
	}

	/* To fork must not be too much for the group. */
	ASSERT_OK(cg_write(OWNER, "memory.max", "%" PRIu64, limit + 4 * MiB));
	/* Others have their own limits. */
	EXPECT(ktap_child(no_limit, (void *)x));

	/* With some room, all the others are there, and there is some when they are back. */
	bo_free(&g, &b[--nr]);
	bo_free(&g, &b[--nr]);
	for (i = 0; i < nr; i++)
		EXPECT(i & 1 ? bo_check_map(&b[i]) : bo_check_engine(&g, &b[i]));
	EXPECT_EQ(cg_read_key(OWNER, "memory.events", "oom_kill"), kills);
}

static void run_beyond(unsigned int device, const char *swap_max, uint64_t room)
{
	struct beyond x = { .device = device, .swap_max = swap_max, .room = room };

	ASSERT(groups_make());
	ASSERT_OK(cg_write(OWNER, "memory.swap.max", "%s", swap_max));
	if (limit_set(PAGES(BELOW)))
		EXPECT(ktap_child(beyond, &x));
	limit_restore();
	groups_remove();
}

/* For so many whole buffers, and for what the test does when no more chunk fits */
#define ROOM	(5 * CHUNK + MiB)

static void beyond_with_swap(void)
{
	run_beyond(0, "max", ROOM);
}

static void beyond_without_swap(void)
{
	run_beyond(0, "0", ROOM);
	run_beyond(1, "0", ROOM);
}

static void beyond_little_room(void)
{
	run_beyond(0, "max", MiB);
}

static const struct test tests_swapout[] = {
	{ "c121_container_beyond_pages_limit", beyond_with_swap },
	{ "c121_container_beyond_pages_limit_no_swap", beyond_without_swap },
	{ "c121_container_with_less_than_a_chunk", beyond_little_room },
};

static const struct test tests[] = {
	{ "c22_c76_bystander_is_not_charged", not_bystander },
	{ "c22_c76_owner_is_not_charged", not_owner },
	{ "c22_c76_nobody_is_charged_from_root", from_root },
	{ "c22_c76_nobody_is_charged_with_writeback", with_writeback },
	{ "c22_c76_owner_group_let_go", group_let_go },
	{ "c76_container_shrunk_by_bystander", shrunk_by_bystander_with_swap },
	{ "c76_container_shrunk_by_bystander_no_swap", shrunk_by_bystander_without_swap },
	{ "c76_container_shrunk_by_itself", shrunk_by_itself_with_swap },
	{ "c76_container_shrunk_by_itself_no_swap", shrunk_by_itself_without_swap },
	{ "c76_container_beside_a_hog", others_hog_with_swap },
	{ "c76_container_beside_a_hog_no_swap", others_hog_without_swap },
	{ "c76_container_fills_memory", more_buffers_with_swap },
	{ "c76_container_fills_memory_no_swap", more_buffers_without_swap },
};

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "swapout"))
		return ktap_run(tests_swapout, ARRAY_LEN(tests_swapout));
	if (argc > 1)
		die("usage: test-memcg [swapout]");
	return ktap_run(tests, ARRAY_LEN(tests));
}
