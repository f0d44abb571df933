// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Swap that refuses a write, as zram does when there is no memory, and what becomes
 * of the memory after that: on plain tmpfs, without a GPU, and of anonymous
 * memory beside it.
 */

#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "fixture.h"

#define GROUP		"writefail"
#define DIR		"/tmp/writefail"
#define SIZE		(2 * MiB)
#define THP		"/sys/kernel/mm/transparent_hugepage/enabled"
#define ZRAM		"/sys/block/zram0/"

struct setup {
	const char *huge;	/* of the mount; NULL for anonymous memory */
	bool large;
};

/* Every page its own, and none that compresses. */
static void fill(uint64_t *map)
{
	uint64_t i, state = 88172645463325252ULL;

	for (i = 0; i < SIZE / sizeof(*map); i++)
		map[i] = xorshift(&state);
}

static bool intact(const uint64_t *map)
{
	uint64_t i, state = 88172645463325252ULL;

	for (i = 0; i < SIZE / sizeof(*map); i++)
		if (map[i] != xorshift(&state))
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

static bool mount_tmpfs(const char *huge)
{
	char options[32];

	mkdir("/tmp", 0755);
	mkdir(DIR, 0700);
	snprintf(options, sizeof(options), "huge=%s", huge);
	return !mount("none", DIR, "tmpfs", 0, options);
}

static void *map_memory(const struct setup *s)
{
	uint8_t *map;

	if (s->huge)
		return mount_tmpfs(s->huge) ? map_file() : NULL;

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

/* Blocks of the tmpfs that belong to a file, wherever they are */
static uint64_t blocks_used(void)
{
	struct statfs st;

	if (statfs(DIR, &st))
		die(DIR ": %s", strerror(errno));
	return st.f_blocks - st.f_bfree;
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

	failed = zram_failed_writes();
	ASSERT_OK(write_file(ZRAM "mem_limit", "4K"));
	group_reclaim(SIZE);
	EXPECT_OK(write_file(ZRAM "mem_limit", "0"));
	EXPECT_GT(zram_failed_writes(), failed);
	EXPECT_GE(resident(s), SIZE / 2);
	test_note("refused: %" PRIu64 " writes; resident %" PRIu64 " KiB",
		  zram_failed_writes() - failed, resident(s) / KiB);

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

/* Memory that zram has for what has been written, as long as nobody drops it */
static uint64_t stored(void)
{
	const char *stat = read_file(ZRAM "mm_stat");
	unsigned long long original, compressed, used;

	if (!stat || sscanf(stat, "%llu %llu %llu", &original, &compressed, &used) != 3)
		die("cannot read " ZRAM "mm_stat");
	return used;
}

/*
 * There is room for a part of a huge folio only: that much of it leaves, rather than
 * nothing, and what was stored of it before there was no more room is dropped.
 */
static void huge_in_parts(void)
{
	const struct setup s = { .huge = "always", .large = true };
	uint64_t *map, room = MiB, before = stored(), left;
	unsigned int i;

	ASSERT_OK(cg_create(GROUP));
	ASSERT_OK(cg_enter(GROUP));
	map = map_memory(&s);
	ASSERT(map);
	fill(map);
	ASSERT_OK(cg_enter("."));
	EXPECT_EQ(group_stat("shmem_thp"), SIZE);
	munmap(map, SIZE);

	ASSERT_OK(write_file(ZRAM "mem_limit", "%" PRIu64, room + before));
	for (i = 0; i < 3; i++)
		group_reclaim(SIZE);
	left = SIZE - resident(&s);
	test_note("room for %" PRIu64 " KiB: %" PRIu64 " KiB left, zram has %" PRIu64 " KiB more",
		  room / KiB, left / KiB, (stored() - before) / KiB);
	EXPECT_GE(left, room * 3 / 4);
	EXPECT_EQ(blocks_used(), SIZE / PAGE);
	EXPECT_LE(stored() - before, left + 16 * PAGE);

	/* the rest goes when it can */
	EXPECT_OK(write_file(ZRAM "mem_limit", "0"));
	for (i = 0; i < 20 && resident(&s) > SIZE / 16; i++)
		group_reclaim(SIZE);
	EXPECT_LE(resident(&s), SIZE / 16);

	map = map_file();
	ASSERT(map);
	EXPECT(intact(map));
	munmap(map, SIZE);
	unlink(DIR "/file");
	EXPECT_EQ(blocks_used(), 0);
	ASSERT(!umount(DIR));
	EXPECT_OK(cg_remove(GROUP));
}

/* ---- the same while files change and go away, and swap as well ---- */

#define FILES		3
#define FILE_PAGES	(2 * PMD_PAGES)
#define USERS		2
#define USER_OPS	120

struct file {
	pthread_mutex_t lock;	/* its users'; reclaim and swapoff ask nobody */
	unsigned int nr;
	int fd;
	uint64_t *map;
	uint32_t stamp[FILE_PAGES];	/* what is stored there, 0 for zeroes */
};

static struct {
	struct file files[FILES];
	unsigned int users;	/* that are not done yet */
	struct swap_list swaps;
	unsigned int swapoffs;
} race;

static bool file_open(struct file *f)
{
	char path[32];

	snprintf(path, sizeof(path), DIR "/%u", f->nr);
	f->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (f->fd < 0 || ftruncate(f->fd, FILE_PAGES * PAGE))
		return false;
	f->map = mmap(NULL, FILE_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
		      f->fd, 0);
	return f->map != MAP_FAILED;
}

static void file_unmap(struct file *f)
{
	munmap(f->map, FILE_PAGES * PAGE);
}

/* Its last user: the inode goes, whatever is being written of it. */
static void file_remove(struct file *f)
{
	char path[32];

	snprintf(path, sizeof(path), DIR "/%u", f->nr);
	unlink(path);
	close(f->fd);
	memset(f->stamp, 0, sizeof(f->stamp));
}

static void page_store(struct file *f, uint64_t nr, uint32_t stamp)
{
	uint64_t *p = f->map + nr * PAGE / sizeof(*p), state = stamp * 2654435761ULL + nr;
	unsigned int i;

	for (i = 0; i < PAGE / sizeof(*p); i++)
		p[i] = xorshift(&state);
	f->stamp[nr] = stamp;
}

static bool page_right(const struct file *f, uint64_t nr)
{
	const uint64_t *p = f->map + nr * PAGE / sizeof(*p);
	uint64_t state = f->stamp[nr] * 2654435761ULL + nr;
	unsigned int i;

	for (i = 0; i < PAGE / sizeof(*p); i++)
		if (p[i] != (f->stamp[nr] ? xorshift(&state) : 0))
			return false;
	return true;
}

static void file_use(struct file *f, uint64_t rnd)
{
	uint64_t first = rnd / 64 % FILE_PAGES, nr = rnd / 65536 % (FILE_PAGES - first) + 1, i;

	switch (rnd % 8) {
	case 0:
		file_unmap(f);
		file_remove(f);
		EXPECT(file_open(f));
		break;
	case 1:
		EXPECT(!fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				  (off_t)(first * PAGE), (off_t)(nr * PAGE)));
		memset(f->stamp + first, 0, nr * sizeof(*f->stamp));
		break;
	case 2:
		EXPECT(!ftruncate(f->fd, (off_t)(first * PAGE)));
		EXPECT(!ftruncate(f->fd, FILE_PAGES * PAGE));
		memset(f->stamp + first, 0, (FILE_PAGES - first) * sizeof(*f->stamp));
		break;
	case 3:
	case 4:
		for (i = 0; i < FILE_PAGES && !test_failures; i++)
			if (!page_right(f, i))
				FAIL("file %u: page %" PRIu64 " is not what was stored",
				     f->nr, i);
		break;
	default:
		/* a whole file of huge folios, mostly */
		for (i = 0; i < FILE_PAGES; i++)
			page_store(f, i, (uint32_t)(rnd >> 32) | 1);
		madvise(f->map, FILE_PAGES * PAGE, MADV_COLD);
	}
}

static void *user(void *arg)
{
	uint64_t state = (uintptr_t)arg;
	unsigned int i;

	for (i = 0; i < USER_OPS && !test_failures; i++) {
		uint64_t rnd = xorshift(&state);
		struct file *f = &race.files[rnd % FILES];

		pthread_mutex_lock(&f->lock);
		file_use(f, rnd >> 8);
		pthread_mutex_unlock(&f->lock);
	}
	__atomic_sub_fetch(&race.users, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static bool racing(void)
{
	return __atomic_load_n(&race.users, __ATOMIC_SEQ_CST);
}

static void *reclaimer(void *arg)
{
	while (racing())
		cg_write(GROUP, "memory.reclaim", "8M");
	return arg;
}

static void *limiter(void *arg)
{
	static const char *const limits[] = { "4K", "1M", "2500K", "0" };
	unsigned int i;

	for (i = 0; racing(); i++) {
		write_file(ZRAM "mem_limit", "%s", limits[i % ARRAY_LEN(limits)]);
		usleep(20000);
		if (i % 32 == 31) {
			race.swapoffs += !swap_all_off(&race.swaps, 60);
			EXPECT_OK(swap_all_on(&race.swaps));
		}
	}
	write_file(ZRAM "mem_limit", "0");
	return arg;
}

static void huge_races(void)
{
	void *(*const others[])(void *) = { reclaimer, reclaimer, limiter };
	pthread_t threads[USERS + ARRAY_LEN(others)];
	uint64_t failed = zram_failed_writes(), fallback = vmstat("thp_swpout_fallback");
	unsigned int i, nr = 0;

	swap_list(&race.swaps);
	ASSERT_OK(cg_create(GROUP));
	ASSERT(mount_tmpfs("always"));
	ASSERT_OK(cg_enter(GROUP));
	for (i = 0; i < FILES; i++) {
		race.files[i].nr = i;
		pthread_mutex_init(&race.files[i].lock, NULL);
		ASSERT(file_open(&race.files[i]));
	}
	race.users = USERS;
	for (i = 0; i < USERS; i++)
		ASSERT(!pthread_create(&threads[nr++], NULL, user,
				       (void *)(uintptr_t)(i + 20261127)));
	for (i = 0; i < ARRAY_LEN(others); i++)
		ASSERT(!pthread_create(&threads[nr++], NULL, others[i], NULL));
	while (nr)
		pthread_join(threads[--nr], NULL);
	test_note("%" PRIu64 " failed writes, %" PRIu64 " huge folios split on the way to swap, %u times swap off",
		  zram_failed_writes() - failed, vmstat("thp_swpout_fallback") - fallback,
		  race.swapoffs);
	/* or nothing of it has happened */
	EXPECT_GT(zram_failed_writes(), failed);
	EXPECT_GT(vmstat("thp_swpout_fallback"), fallback);
	for (i = 0; i < FILES; i++) {
		file_use(&race.files[i], 3);
		file_unmap(&race.files[i]);
		file_remove(&race.files[i]);
	}
	EXPECT_EQ(blocks_used(), 0);
	ASSERT_OK(cg_enter("."));
	ASSERT(!umount(DIR));
	EXPECT_OK(cg_remove(GROUP));
}

/*
 * A file goes while a folio of it is being written, which takes its time: who writes
 * has the lowest priority there is, on a processor that somebody else uses as well.
 */
#define REMOVALS	25

static struct {
	struct file file;
	bool stop;
} removal;

static bool removing(void)
{
	return !__atomic_load_n(&removal.stop, __ATOMIC_SEQ_CST);
}

static void *slow_reclaimer(void *arg)
{
	struct sched_param param = { 0 };

	EXPECT_OK(run_on(1));
	EXPECT(!sched_setscheduler(0, SCHED_IDLE, &param));
	while (removing())
		cg_write(GROUP, "memory.reclaim", "4M");
	return arg;
}

static void *processor_hog(void *arg)
{
	EXPECT_OK(run_on(1));
	while (removing()) {
		uint64_t end = now_ns() + 60000000;

		while (now_ns() < end)
			;
		usleep(4000);
	}
	return arg;
}

static void removed_while_written(void)
{
	void *(*const others[])(void *) = { slow_reclaimer, processor_hog };
	pthread_t threads[ARRAY_LEN(others)];
	uint64_t failed = zram_failed_writes(), nr;
	struct file *f = &removal.file;
	unsigned int i;

	ASSERT_OK(cg_create(GROUP));
	ASSERT(mount_tmpfs("always"));
	ASSERT_OK(cg_enter(GROUP));
	ASSERT_OK(run_on(0));
	/* it fails after most of a huge folio has been stored */
	ASSERT_OK(write_file(ZRAM "mem_limit", "%" PRIu64, stored() + 1900 * KiB));
	for (i = 0; i < ARRAY_LEN(others); i++)
		ASSERT(!pthread_create(&threads[i], NULL, others[i], NULL));
	for (i = 0; i < REMOVALS && !test_failures; i++) {
		ASSERT(file_open(f));
		for (nr = 0; nr < FILE_PAGES; nr++)
			page_store(f, nr, i + 1);
		file_unmap(f);
		/* some time in the midst of it */
		usleep(i * 79193 % 200000);
		file_remove(f);
	}
	__atomic_store_n(&removal.stop, true, __ATOMIC_SEQ_CST);
	for (i = 0; i < ARRAY_LEN(others); i++)
		pthread_join(threads[i], NULL);
	EXPECT_OK(write_file(ZRAM "mem_limit", "0"));
	test_note("%" PRIu64 " failed writes", zram_failed_writes() - failed);
	EXPECT_GT(zram_failed_writes(), failed);
	ASSERT_OK(cg_enter("."));
	ASSERT(!umount(DIR));
	EXPECT_OK(cg_remove(GROUP));
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
	{ "c82_huge_tmpfs_is_written_in_parts", huge_in_parts },
	{ "c82_huge_tmpfs_races", huge_races },
	{ "c82_huge_tmpfs_removed_while_written", removed_while_written },
	{ "c69_anonymous_memory_is_written_again", anon_small },
	{ "c69_huge_anonymous_memory_is_written_again", anon_huge },
};

int main(void)
{
	return ktap_run(tests, ARRAY_LEN(tests));
}
