// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Live update: memfds that one kernel hands over to the next by kexec, which puts their
 * folios into new files. What runs first fills them, has the kernel's own tests do their
 * part, and starts the machine's kernel anew; what runs after that looks at what came.
 * The kernel that is started is KERNEL, its initramfs the one that is running.
 */

#include <fcntl.h>
#include <linux/types.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

#define KERNEL	"/kernel"
#define INITRD	"/sys/firmware/initrd"	/* with retain_initrd */
#define AFTER	"luo_stage=2"
#define DEVICE	"/dev/liveupdate"
#define GROUP	"liveupdate"
#define HUGE	(2 * MiB)
#define SYSLOG_READ_ALL	3
#define SYSLOG_CLEAR	5
/* Of what a file has and a group may have: some folios go in, and some do not */
#define FITS	(7 * MiB)

/* Of linux/liveupdate.h, which the C library's headers may not have */
struct luo_session {
	__u32 size;
	__s32 fd;
	__u8 name[64];
};

struct luo_file {
	__u32 size;
	__s32 fd;
	__aligned_u64 token;
};

struct luo_finish {
	__u32 size;
	__u32 reserved;
};

#define LUO_CREATE_SESSION	_IO(0xBA, 0x00)
#define LUO_RETRIEVE_SESSION	_IO(0xBA, 0x01)
#define LUO_PRESERVE_FD		_IO(0xBA, 0x40)
#define LUO_RETRIEVE_FD		_IO(0xBA, 0x41)
#define LUO_FINISH		_IO(0xBA, 0x42)

/* Those of tools/testing/selftests/liveupdate that go over a kexec */
#define OTHERS(other)			\
	other(luo_kexec_simple)		\
	other(luo_multi_session)	\
	other(luo_stress_files)	\
	other(luo_stress_sessions)

/* A memfd, in a session of its own */
struct kept {
	const char *name;
	const char *huge;	/* shmem_enabled */
	uint64_t size;
	uint64_t hole, hole_end;	/* never written */
	bool allocated;		/* as fallocate() does, the hole as well */
	bool swapped;		/* before it is handed over */
	off_t pos;
	int seals;
};

static const struct kept small = {
	.name = "small", .huge = "never", .size = 5 * MiB + 100, .pos = 4711,
	.seals = F_SEAL_GROW | F_SEAL_SHRINK
};
static const struct kept huge = { .name = "huge", .huge = "force", .size = 6 * MiB };
static const struct kept sparse = {
	.name = "sparse", .huge = "never", .size = MiB,
	.hole = 3 * PAGE, .hole_end = MiB - PAGE
};
static const struct kept allocated = {
	.name = "allocated", .huge = "force", .size = 4 * MiB,
	.hole = PAGE, .hole_end = 4 * MiB, .allocated = true
};
static const struct kept swapped = {
	.name = "swapped", .huge = "never", .size = 2 * MiB, .swapped = true
};
static const struct kept no_blocks = { .name = "no_blocks", .huge = "force", .size = 16 * MiB };
static const struct kept no_charge = { .name = "no_charge", .huge = "force", .size = 16 * MiB };
static const struct kept not_taken = { .name = "not_taken", .huge = "force", .size = 16 * MiB };

static const struct kept *const all[] = {
	&small, &huge, &sparse, &allocated, &swapped, &no_blocks, &no_charge, &not_taken
};

/* What is in the file, and zeros to the end of its last page */
static uint8_t *contents(const struct kept *k)
{
	uint8_t *bytes = calloc(PAGES(k->size), PAGE);

	if (!bytes)
		die("no memory for %s", k->name);
	pattern_fill(test_source(), k->size / PAGE + *k->name, bytes, PAGES(k->size) * PAGE);
	memset(bytes + k->hole, 0, k->hole_end - k->hole);
	memset(bytes + k->size, 0, PAGES(k->size) * PAGE - k->size);
	return bytes;
}

static void write_all(int fd, const uint8_t *bytes, uint64_t from, uint64_t to)
{
	ssize_t n;

	for (; from < to; from += n) {
		n = pwrite(fd, bytes + from, to - from, from);
		if (n <= 0)
			die("pwrite: %s", strerror(errno));
	}
}

static int make(const struct kept *k)
{
	int fd = memfd_create(k->name, MFD_ALLOW_SEALING);
	uint8_t *bytes = contents(k);

	if (fd < 0 || shmem_enabled_set(k->huge) || ftruncate(fd, k->size) ||
	    (k->allocated && fallocate(fd, 0, 0, k->size)))
		die("%s: %s", k->name, strerror(errno));
	write_all(fd, bytes, 0, k->hole);
	write_all(fd, bytes, k->hole_end, k->size);
	free(bytes);
	if (lseek(fd, k->pos, SEEK_SET) != k->pos || fcntl(fd, F_ADD_SEALS, k->seals))
		die("%s: %s", k->name, strerror(errno));
	return fd;
}

static int luo_open(void)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die("%s: %s", DEVICE, strerror(errno));
	return fd;
}

static int luo_session(unsigned long request, const char *name)
{
	struct luo_session arg = { .size = sizeof(arg) };
	int luo = luo_open(), ret;

	snprintf((char *)arg.name, sizeof(arg.name), "ttm-%s", name);
	ret = ioctl(luo, request, &arg) ? -errno : arg.fd;
	close(luo);
	return ret;
}

static int luo_preserve(int session, int fd)
{
	struct luo_file arg = { .size = sizeof(arg), .fd = fd };

	return ioctl(session, LUO_PRESERVE_FD, &arg) ? -errno : 0;
}

static int luo_retrieve(int session)
{
	struct luo_file arg = { .size = sizeof(arg) };

	return ioctl(session, LUO_RETRIEVE_FD, &arg) ? -errno : arg.fd;
}

static int luo_finish(int session)
{
	struct luo_finish arg = { .size = sizeof(arg) };
	int ret = ioctl(session, LUO_FINISH, &arg) ? -errno : 0;

	close(session);
	return ret;
}

/* ---- before ---- */

/* Its sessions are held by a process that it leaves behind. */
static void other_first(const char *name)
{
	char *const argv[] = { (char *)name, "-s", "1", NULL };
	int status, ret;
	pid_t pid;

	ret = posix_spawnp(&pid, name, NULL, NULL, argv, environ);
	if (ret)
		die("%s: %s", name, strerror(ret));
	if (waitpid(pid, &status, 0) != pid || status)
		die("%s: status %#x before the kexec", name, status);
}

static void load(void)
{
	int kernel = open(KERNEL, O_RDONLY | O_CLOEXEC);
	int initrd = open(INITRD, O_RDONLY | O_CLOEXEC);
	char cmdline[2048];

	if (kernel < 0 || initrd < 0)
		die("%s: %s", kernel < 0 ? KERNEL : INITRD, strerror(errno));
	snprintf(cmdline, sizeof(cmdline), "%s", must_read("/proc/cmdline"));
	cmdline[strcspn(cmdline, "\n")] = '\0';
	strncat(cmdline, " " AFTER, sizeof(cmdline) - strlen(cmdline) - 1);
	if (syscall(SYS_kexec_file_load, kernel, initrd, strlen(cmdline) + 1, cmdline, 0UL))
		die("kexec_file_load: %s", strerror(errno));
}

static void hand_over(void)
{
	unsigned int i;

	load();
#define FIRST(name)	other_first(#name);
	OTHERS(FIRST)
	for (i = 0; i < ARRAY_LEN(all); i++) {
		int session = luo_session(LUO_CREATE_SESSION, all[i]->name);
		uint64_t shmem = vmstat("nr_shmem");
		int fd = make(all[i]), ret;

		if (session < 0)
			die("%s: no session: %s", all[i]->name, strerror(-session));
		if (all[i]->swapped) {
			reclaim_all();
			if (vmstat("nr_shmem") > shmem)
				die("%s is not in swap", all[i]->name);
		}
		ret = luo_preserve(session, fd);
		if (ret)
			die("%s is not preserved: %s", all[i]->name, strerror(-ret));
		/* and stays open, or it is not */
	}
	test_note("over to the next kernel");
	fflush(stdout);
	reboot(RB_KEXEC);
	die("kexec: %s", strerror(errno));
}

/* ---- after ---- */

static void other_then(const char *name)
{
	char *const argv[] = { (char *)name, "-s", "2", NULL };
	pid_t pid;
	int status;

	fflush(stdout);
	ASSERT_OK(-posix_spawnp(&pid, name, NULL, NULL, argv, environ));
	ASSERT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
}

#define THEN(name)	static void name(void) { other_then(#name); }
OTHERS(THEN)

static bool intact(int fd, const struct kept *k)
{
	uint8_t *want = contents(k), *have = calloc(PAGES(k->size), PAGE);
	uint64_t done = 0;
	ssize_t n;
	bool same;

	if (!have)
		die("no memory for %s", k->name);
	do {
		n = pread(fd, have + done, PAGES(k->size) * PAGE - done, done);
		done += n > 0 ? n : 0;
	} while (n > 0);
	same = !n && done == k->size && !memcmp(want, have, PAGES(k->size) * PAGE);
	free(want);
	free(have);
	return same;
}

/*
 * Everything about it is as it was, its memory counted and charged as that of any shmem
 * file, and in the hands of reclaim.
 */
static void comes_back(const struct kept *k)
{
	uint64_t pages = PAGES(k->size), shmem, large, used;
	struct stat st;
	int session, fd;

	ASSERT_OK(cg_create(GROUP));
	ASSERT_OK(cg_enter(GROUP));
	ASSERT(reclaim_prepare());
	session = luo_session(LUO_RETRIEVE_SESSION, k->name);
	ASSERT_GE(session, 0);
	shmem = vmstat("nr_shmem");
	large = vmstat("nr_shmem_hugepages");
	fd = luo_retrieve(session);
	ASSERT_GE(fd, 0);
	EXPECT_EQ(vmstat("nr_shmem"), shmem + pages);
	EXPECT_EQ(vmstat("nr_shmem_hugepages") - large,
		  strcmp(k->huge, "force") ? 0 : k->size / HUGE);
	EXPECT_EQ(cg_read_key(GROUP, "memory.stat", "shmem"), pages * PAGE);

	EXPECT_OK(fstat(fd, &st));
	EXPECT_EQ(st.st_size, k->size);
	EXPECT_EQ(st.st_blocks, pages * (PAGE / 512));
	EXPECT_EQ(lseek(fd, 0, SEEK_CUR), k->pos);
	EXPECT_EQ(fcntl(fd, F_GET_SEALS), k->seals);
	EXPECT(intact(fd, k));
	/* from swap as well */
	used = swap_used_pages();
	reclaim_all();
	EXPECT_GE(swap_used_pages(), used + pages);
	EXPECT(intact(fd, k));

	EXPECT_OK(luo_finish(session));
	EXPECT_OK(close(fd));
	EXPECT_EQ(cg_read_key(GROUP, "memory.stat", "shmem"), 0);
	EXPECT_OK(cg_enter("."));
	EXPECT_OK(cg_remove(GROUP));
}

static void comes_small(void)
{
	comes_back(&small);
}

static void comes_huge(void)
{
	comes_back(&huge);
}

static void comes_sparse(void)
{
	comes_back(&sparse);
}

static void comes_allocated(void)
{
	comes_back(&allocated);
}

static void comes_swapped(void)
{
	comes_back(&swapped);
}

/* Those on the lists of processors as well: huge pages may be there. */
static uint64_t free_pages(void)
{
	uint64_t pages = vmstat("nr_free_pages"), n;
	const char *line = must_read("/proc/zoneinfo");

	while ((line = strchr(line, '\n')))
		if (sscanf(++line, " count: %" SCNu64, &n) == 1)
			pages += n;
	return pages;
}

/* Which folio the kernel says it could not put into a file; -1 if it does not say so */
static int failed_at(void)
{
	static char log[1 << 20];
	int n = klogctl(SYSLOG_READ_ALL, log, sizeof(log) - 1), at = -1;
	const char *line = log;

	log[n > 0 ? n : 0] = '\0';
	while ((line = strstr(line, "folio index ")))
		sscanf(line++, "folio index %d", &at);
	return at;
}

/* That file's memory is free now, all of it, though it was not before. */
static void expect_freed(const struct kept *k, uint64_t before, uint64_t committed)
{
	uint64_t pages = PAGES(k->size), now;

	lru_drain();
	now = free_pages();
	test_note("%" PRId64 " of %" PRIu64 " pages are free", (int64_t)(now - before), pages);
	/* a folio is more than what others may have taken meanwhile */
	EXPECT_GT(now + PMD_PAGES / 2, before + pages);
	EXPECT_LE(meminfo_kib("Committed_AS"), committed + HUGE / KiB / 2);
}

/* It fails in the middle; what was put into the file goes, and what was not. */
static void fails(const struct kept *k, int (*limit)(void), int (*unlimit)(void), int err)
{
	uint64_t before, shmem, committed;
	struct swap_list swaps;
	int session;

	swap_list(&swaps);
	ASSERT_OK(swap_all_off(&swaps, 60));
	ASSERT_OK(cg_create(GROUP));
	session = luo_session(LUO_RETRIEVE_SESSION, k->name);
	ASSERT_GE(session, 0);
	ASSERT_EQ(klogctl(SYSLOG_CLEAR, NULL, 0), 0);
	lru_drain();
	shmem = vmstat("nr_shmem");
	committed = meminfo_kib("Committed_AS");
	before = free_pages();
	EXPECT_OK(limit());
	EXPECT_ERR(luo_retrieve(session), err);
	EXPECT_OK(unlimit());
	EXPECT_GT(failed_at(), 0);
	EXPECT_GT(k->size / HUGE - 1, failed_at());
	EXPECT_EQ(vmstat("nr_shmem"), shmem);
	EXPECT_EQ(cg_read_key(GROUP, "memory.stat", "shmem"), 0);
	EXPECT_OK(cg_remove(GROUP));
	expect_freed(k, before, committed);
	/* nor is it tried again, or freed again */
	EXPECT_ERR(luo_retrieve(session), err);
	EXPECT_OK(luo_finish(session));
	expect_freed(k, before, committed);
}

static int limit_blocks(void)
{
	int ret = write_file("/proc/sys/vm/overcommit_kbytes", "%" PRIu64,
			     meminfo_kib("Committed_AS") + FITS / KiB);

	return ret ?: write_str("/proc/sys/vm/overcommit_memory", "2");
}

static int unlimit_blocks(void)
{
	return write_str("/proc/sys/vm/overcommit_memory", "0");
}

static void fails_without_blocks(void)
{
	fails(&no_blocks, limit_blocks, unlimit_blocks, ENOSPC);
}

static int limit_charge(void)
{
	int ret = cg_enter(GROUP);

	return ret ?: cg_write(GROUP, "memory.max", "%" PRIu64, FITS);
}

static int unlimit_charge(void)
{
	return cg_enter(".");
}

static void fails_without_charge(void)
{
	fails(&no_charge, limit_charge, unlimit_charge, ENOMEM);
}

/* What nobody asks for is freed when the session is over. */
static void not_asked_for(void)
{
	int session = luo_session(LUO_RETRIEVE_SESSION, not_taken.name);
	uint64_t before, committed = meminfo_kib("Committed_AS");

	ASSERT_GE(session, 0);
	lru_drain();
	before = free_pages();
	EXPECT_OK(luo_finish(session));
	expect_freed(&not_taken, before, committed);
}

static const struct test tests[] = {
	{ "memfd_comes_back", comes_small },
	{ "memfd_comes_back_huge", comes_huge },
	{ "memfd_comes_back_sparse", comes_sparse },
	{ "memfd_comes_back_allocated", comes_allocated },
	{ "memfd_comes_back_from_swap", comes_swapped },
	{ "memfd_fails_without_blocks", fails_without_blocks },
	{ "memfd_fails_without_charge", fails_without_charge },
	{ "memfd_not_asked_for", not_asked_for },
#define TEST(name)	{ #name, name },
	OTHERS(TEST)
};

int main(void)
{
	mount_all();
	if (!strstr(must_read("/proc/cmdline"), AFTER))
		hand_over();
	return ktap_run(tests, ARRAY_LEN(tests));
}
