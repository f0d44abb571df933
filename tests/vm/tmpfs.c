// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Swap that refuses a write once, and what becomes of the memory after that:
 * on plain tmpfs, without a GPU, and of anonymous memory beside it.
 */

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"

#define GROUP		"writefail"
#define DIR		"/tmp/writefail"
#define SIZE		(4 * MiB)
#define THP		"/sys/kernel/mm/transparent_hugepage/enabled"
#define ZRAM		"/sys/block/zram0/"

struct setup {
	const char *huge;	/* of the mount; NULL for anonymous memory */
	bool large;
};

static uint64_t failed_writes(void)
{
	const char *io = read_file(ZRAM "io_stat");
	unsigned long long reads, writes;

	if (!io || sscanf(io, "%llu %llu", &reads, &writes) != 2)
		die("cannot read " ZRAM "io_stat");
	return writes;
}

/* Every page its own, and none that compresses. */
static uint64_t next_word(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void fill(uint64_t *map)
{
	uint64_t i, state = 88172645463325252ULL;

	for (i = 0; i < SIZE / sizeof(*map); i++)
		map[i] = next_word(&state);
}

static bool intact(const uint64_t *map)
{
	uint64_t i, state = 88172645463325252ULL;

	for (i = 0; i < SIZE / sizeof(*map); i++)
		if (map[i] != next_word(&state))
			return false;
	return true;
}

static void *map_file(void)
{
	int fd = open(DIR "/file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	void *map;

	if (fd < 0 || ftruncate(fd, SIZE))
		return NULL;
	map = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return map == MAP_FAILED ? NULL : map;
}

static void *map_memory(const struct setup *s)
{
	char options[32];
	uint8_t *map;

	if (s->huge) {
		mkdir("/tmp", 0755);
		mkdir(DIR, 0700);
		snprintf(options, sizeof(options), "huge=%s", s->huge);
		return mount("none", DIR, "tmpfs", 0, options) ? NULL : map_file();
	}

	map = mmap(NULL, SIZE + 2 * MiB, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED)
		return NULL;
	map += -(uintptr_t)map & (2 * MiB - 1);
	/* off by default on a machine as small as this */
	if (write_file(THP, "madvise") ||
	    madvise(map, SIZE, s->large ? MADV_HUGEPAGE : MADV_NOHUGEPAGE))
		return NULL;
	return map;
}

static uint64_t group_stat(const char *key)
{
	return cg_read_key(GROUP, "memory.stat", key);
}

/* What of the memory has not left: as itself, or as a copy of what is in swap. */
static uint64_t resident(const struct setup *s)
{
	return group_stat(s->huge ? "shmem" : "anon") + group_stat("swapcached");
}

static void group_reclaim(uint64_t bytes)
{
	/* it says -EAGAIN where it could not get all of that */
	cg_write(GROUP, "memory.reclaim", "%llu", (unsigned long long)bytes);
	writeback_settle();
}

static void written_again(const struct setup *s)
{
	uint64_t *map, failed, activated;
	unsigned int i;

	/* what is charged to the group stays charged to it: it alone is reclaimed */
	ASSERT_OK(cg_create(GROUP));
	ASSERT_OK(cg_enter(GROUP));
	map = map_memory(s);
	ASSERT(map);
	fill(map);
	ASSERT_OK(cg_enter("."));
	if (s->large)
		EXPECT_EQ(group_stat(s->huge ? "shmem_thp" : "anon_thp"), SIZE);
	/* a file need not be mapped, and then nobody faults it in again */
	if (s->huge)
		munmap(map, SIZE);

	failed = failed_writes();
	ASSERT_OK(write_file(ZRAM "mem_limit", "4K"));
	group_reclaim(SIZE);
	EXPECT_OK(write_file(ZRAM "mem_limit", "0"));
	EXPECT_GT(failed_writes(), failed);
	EXPECT_GE(resident(s), SIZE / 2);
	test_note("refused: %" PRIu64 " writes; resident %" PRIu64 " KiB",
		  failed_writes() - failed, resident(s) / KiB);

	activated = vmstat("pgactivate");
	for (i = 0; i < 20 && resident(s) > SIZE / 16; i++)
		group_reclaim(SIZE);
	test_note("accepted: resident %" PRIu64 " KiB after %u reclaims, activated %" PRIu64 " pages",
		  resident(s) / KiB, i, vmstat("pgactivate") - activated);
	EXPECT_LE(resident(s), SIZE / 16);

	if (s->huge)
		map = map_file();
	ASSERT(map);
	EXPECT(intact(map));
	munmap(map, SIZE);
	if (s->huge)
		ASSERT(!umount(DIR));
	EXPECT_OK(cg_remove(GROUP));
}

static void tmpfs_small(void)
{
	written_again(&(struct setup){ .huge = "never" });
}

static void tmpfs_huge(void)
{
	written_again(&(struct setup){ .huge = "always", .large = true });
}

/* The controls: it has been so for anonymous memory all the time. */
static void anon_small(void)
{
	written_again(&(struct setup){ 0 });
}

static void anon_huge(void)
{
	written_again(&(struct setup){ .large = true });
}

static const struct test tests[] = {
	{ "c69_tmpfs_is_written_again", tmpfs_small },
	{ "c69_huge_tmpfs_is_written_again", tmpfs_huge },
	{ "c69_anonymous_memory_is_written_again", anon_small },
	{ "c69_huge_anonymous_memory_is_written_again", anon_huge },
};

int main(void)
{
	return ktap_run(tests, ARRAY_LEN(tests));
}
