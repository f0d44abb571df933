// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Whatever the administrator says about huge pages of shmem, and whenever: what is
 * inserted into a backup file is what shmem has allocated, in page blocks that are
 * not for unmovable pages. To be booted with page_owner=on, which tells both for
 * each page. "blocks" needs neither that nor this kernel, and says figures, as
 * test-reports does.
 */

#include <fcntl.h>
#include <unistd.h>

#include "fixture.h"

#define PAGE_OWNER	"/sys/kernel/debug/page_owner"
/* 2 MiB, 256 KiB, 32 KiB and single pages */
#define SIZE		(4 * MiB + 256 * KiB + 32 * KiB + 3 * PAGE)
#define BUFFERS		8

/* What is wrong with what was inserted */
struct found {
	uint64_t pages;		/* base pages, all of them */
	unsigned int looked_at, foreign, unmovable;
};

/* What page owner knows of the page: who allocated it, and where it lies */
static bool look_at(int fd, uint64_t pfn, unsigned int order, struct found *f)
{
	char text[PAGE], key[32];
	const char *owner, *block;
	ssize_t len;

	len = pread(fd, text, sizeof(text) - 1, pfn);
	if (len <= 0) {
		FAIL("%s: %s", PAGE_OWNER, len ? strerror(errno) : "the end");
		return false;
	}
	text[len] = '\0';
	/* or it is the next one that is there */
	snprintf(key, sizeof(key), "PFN 0x%" PRIx64 " ", pfn);
	owner = strstr(text, key);
	block = owner ? strstr(owner, " Block ") : NULL;
	if (!block) {
		FAIL("page 0x%" PRIx64 " of order %u has no owner", pfn, order);
		return false;
	}
	f->looked_at++;
	f->foreign += !strstr(block, " shmem_alloc_detached_folio");
	f->unmovable += strstr(block, " type Unmovable ") != NULL;
	return true;
}

/* All that was inserted since the trace was cleared */
static bool look_at_inserted(struct found *f)
{
	const char *event = ": shmem_insert_folio: ";
	const char *p = read_file(TRACING "/trace"), *at;
	unsigned int order, singles = 0;
	bool ok = true;
	uint64_t pfn;
	int fd;

	fd = open(PAGE_OWNER, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || !p) {
		FAIL("no %s: boot with page_owner=on", PAGE_OWNER);
		return false;
	}
	while (ok && (p = strstr(p, event))) {
		p += strlen(event);
		at = strstr(p, "pfn=0x");
		if (!at || sscanf(at, "pfn=0x%" SCNx64 " order=%u", &pfn, &order) != 2)
			break;
		f->pages += 1ull << order;
		/* single pages come by the thousand, from the same few blocks */
		if (order || singles++ % 16 == 0)
			ok = look_at(fd, pfn, order, f);
	}
	close(fd);
	return ok;
}

static bool trace_start(void)
{
	int ret = write_file(TRACING "/events/shmem/shmem_insert_folio/enable", "1");

	if (!ret)
		ret = trace_clear();
	if (ret)
		FAIL("cannot trace: %s", strerror(-ret));
	return !ret;
}

/* Blocks of 2 MiB that are for unmovable pages, all zones */
static uint64_t unmovable_blocks(void)
{
	const char *text = read_file("/proc/pagetypeinfo"), *line;
	uint64_t blocks = 0, n;
	char zone[16];

	/* "Unmovable" is the first column */
	text = text ? strstr(text, "Number of blocks type") : NULL;
	for (line = text; line; line = strchr(line + 1, '\n'))
		if (sscanf(line, "\nNode %*u, zone %15s %" SCNu64, zone, &n) == 2)
			blocks += n;
	if (!blocks)
		FAIL("/proc/pagetypeinfo tells nothing");
	return blocks;
}

/*
 * Allocated under one policy, backed up under another, and again under a third what
 * has come back under that.
 */
static void policies(const char *alloc, const char *backup, const char *then)
{
	uint64_t blocks, now, copied = 0;
	struct found f;
	struct backup_counters start, c;
	struct bo b[BUFFERS];
	unsigned int i, round;
	struct gpu g;

	ASSERT(gpu_open(&g));
	pools_drain();
	blocks = unmovable_blocks();
	ASSERT_OK(shmem_enabled_set(alloc));
	for (i = 0; i < BUFFERS; i++)
		ASSERT(bo_new(&g, &b[i], SIZE, i % 3, i + 1));
	for (round = 0; round < 2; round++) {
		memset(&f, 0, sizeof(f));
		ASSERT_OK(shmem_enabled_set(round ? then : backup));
		backup_counters(&start);
		for (i = 0; i < BUFFERS; i++) {
			ASSERT(trace_start());
			ASSERT(bo_backup(&g, &b[i], false));
			ASSERT(look_at_inserted(&f));
		}
		backup_counters_since(&start, &c);
		if (c.copied > copied)
			copied = c.copied;
		EXPECT_EQ(c.inserted + c.copied, BUFFERS * PAGES(SIZE));
		/* a page that is copied goes into one that is inserted */
		EXPECT_EQ(f.pages, c.inserted + c.copied);
		EXPECT_EQ(f.foreign, 0);
		EXPECT_EQ(f.unmovable, 0);
		test_note("%s, then %s: %" PRIu64 " pages inserted, %" PRIu64 " copied; of %u folios looked at %u are not shmem's, %u lie among unmovable pages",
			  alloc, round ? then : backup, c.inserted, c.copied,
			  f.looked_at, f.foreign, f.unmovable);
		for (i = 0; i < BUFFERS; i++) {
			EXPECT(bo_check_map(&b[i]));
			EXPECT(bo_check_engine(&g, &b[i]));
		}
	}
	EXPECT_OK(write_file(TRACING "/events/enable", "0"));
	now = unmovable_blocks();
	test_note("%" PRIu64 " blocks of unmovable pages before, %" PRIu64 " with %" PRIu64 " MiB of buffers, of which %" PRIu64 " MiB were copied",
		  blocks, now, BUFFERS * SIZE / MiB, copied * PAGE / MiB);
	/*
	 * What shmem does not take is in the blocks that upstream has all buffers in, and
	 * nothing else is. A few come and go with other things.
	 */
	EXPECT_LE(now, blocks + (copied * PAGE + 2 * MiB - 1) / (2 * MiB) + 4);
}

/*
 * The same for a comparison with upstream's kernel, which has no counters: how many
 * blocks there are more than at the start, with buffers that have come back.
 */
static void blocks_grow(void)
{
	static const char *const policy[] = { "force", "never", "deny" };
	uint64_t start, now, most;
	struct bo b[BUFFERS];
	unsigned int i, p, round;
	struct gpu g;

	ASSERT(gpu_open(&g));
	pools_drain();
	start = unmovable_blocks();
	for (p = 0; p < ARRAY_LEN(policy); p++) {
		most = 0;
		ASSERT_OK(shmem_enabled_set(policy[p]));
		for (i = 0; i < BUFFERS; i++)
			ASSERT(bo_new(&g, &b[i], SIZE, i % 3, i + 1));
		for (round = 0; round < 3; round++) {
			for (i = 0; i < BUFFERS; i++)
				ASSERT(bo_backup(&g, &b[i], round == 2));
			for (i = 0; i < BUFFERS; i++)
				EXPECT(bo_check_map(&b[i]));
			now = unmovable_blocks();
			if (now > start + most)
				most = now - start;
		}
		for (i = 0; i < BUFFERS; i++)
			bo_free(&g, &b[i]);
		pools_drain();
		test_note("figure unmovable_blocks_%s %" PRIu64, policy[p], most);
	}
}

static void deny(void)
{
	policies("deny", "deny", "deny");
}

static void force(void)
{
	policies("force", "force", "force");
}

static void denied_later(void)
{
	policies("never", "deny", "never");
}

static void allowed_later(void)
{
	policies("deny", "never", "force");
}

static void forced_later(void)
{
	policies("never", "force", "deny");
}

static void forced_then_denied(void)
{
	policies("force", "deny", "never");
}

static const struct test tests[] = {
	/* first, as blocks stay what they are for a while when their pages have gone */
	{ "c75_forced", force },
	{ "c75_denied", deny },
	{ "c75_denied_at_run_time", denied_later },
	{ "c75_allowed_at_run_time", allowed_later },
	{ "c75_forced_at_run_time", forced_later },
	{ "c75_forced_and_then_denied", forced_then_denied },
};

static const struct test blocks_test = {
	"c75_unmovable_blocks", blocks_grow
};

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "blocks"))
		return ktap_run(&blocks_test, 1);
	if (argc != 1)
		die("usage: test-policy [blocks]");
	return ktap_run(tests, ARRAY_LEN(tests));
}
