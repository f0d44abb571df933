// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Anonymous memory in a swap file that is in small pieces, on a device that is read
 * synchronously. What was written as single pages is read as large folios there, each
 * from one place on the device, whatever extents the file has.
 *
 * Run with vm/run --swap file --fragmented. The disk is copied to zram, which is such a
 * device, and used from there.
 */

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include "fixture.h"

#define DISK		"/dev/vda"
#define ZRAM		"/sys/block/zram0/"
#define ZRAM_DEV	"/dev/zram0"
#define DIR		"/swap"
#define THP		"/sys/kernel/mm/transparent_hugepage/hugepages-%" PRIu64 "kB/"
/* the smallest that anonymous memory can have; the largest that is read from swap */
#define MIN_ORDER	2
#define MAX_ORDER	(PMD_NR - 1)
#define MAPPED		(8 * PMD_PAGES)

static struct swap_list swaps;

static void copy(int from, int to)
{
	static char block[MiB];
	ssize_t n;

	while ((n = read(from, block, sizeof(block))) > 0)
		if (write(to, block, (size_t)n) != n)
			die(ZRAM_DEV ": %s", strerror(errno));
	if (n || fsync(to))
		die("cannot copy " DISK ": %s", strerror(errno));
}

static void move_to_zram(void)
{
	int disk, zram, ret;

	swap_list(&swaps);
	ret = swap_all_off(&swaps, 60);
	if (ret || umount(DIR))
		die(DIR ": %s", strerror(ret ? -ret : errno));
	disk = open(DISK, O_RDONLY | O_CLOEXEC);
	if (disk < 0)
		die(DISK ": %s", strerror(errno));
	ret = write_file(ZRAM "disksize", "%lld", (long long)lseek(disk, 0, SEEK_END));
	if (ret)
		die(ZRAM "disksize: %s", strerror(-ret));
	zram = open(ZRAM_DEV, O_WRONLY | O_CLOEXEC);
	if (zram < 0 || lseek(disk, 0, SEEK_SET))
		die(ZRAM_DEV ": %s", strerror(errno));
	copy(disk, zram);
	close(zram);
	close(disk);
	if (mount(ZRAM_DEV, DIR, "ext4", 0, NULL))
		die("mount " ZRAM_DEV ": %s", strerror(errno));
	ret = swap_all_on(&swaps);
	if (ret)
		die("swapon: %s", strerror(-ret));
}

/* What anonymous memory is allocated as, and read from swap, beside single pages */
static void allow_orders(unsigned long orders)
{
	unsigned int order;
	char path[128];

	for (order = MIN_ORDER; order <= PMD_NR; order++) {
		snprintf(path, sizeof(path), THP "enabled", (PAGE << order) / KiB);
		if (write_file(path, "%s", orders & (1UL << order) ? "always" : "never"))
			die("cannot write %s", path);
	}
}

static uint64_t stat_of(unsigned int order, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), THP "stats/%s", (PAGE << order) / KiB, name);
	return strtoull(must_read(path), NULL, 10);
}

static uint64_t stat_sum(const char *name)
{
	uint64_t sum = 0;
	unsigned int order;

	for (order = MIN_ORDER; order <= MAX_ORDER; order++)
		sum += stat_of(order, name);
	return sum;
}

/* The largest of the orders that is read: what is larger than any extent is not. */
static void read_with(unsigned long orders, unsigned int largest, bool backwards)
{
	uint64_t i, nr, wrong = 0, whole, refused, used;
	uint8_t *map;

	/* so that slots are given out from the first one on */
	ASSERT_OK(swap_all_off(&swaps, 60));
	ASSERT_OK(swap_all_on(&swaps));
	ASSERT_OK(run_on(0));
	map = mmap(NULL, MAPPED * PAGE + 2 * MiB, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT(map != MAP_FAILED);
	map += -(uintptr_t)map & (2 * MiB - 1);

	/* Slot 0 is the header, so page 1 comes first: a folio is as aligned as its slots */
	allow_orders(0);
	/* each page is a pattern of its own */
	for (nr = 1; nr < MAPPED; nr++)
		pattern_fill(test_source(), nr, map + nr * PAGE, PAGE);
	used = swap_used_pages();
	ASSERT(!madvise(map + PAGE, (MAPPED - 1) * PAGE, MADV_PAGEOUT));
	writeback_settle();
	ASSERT_GE(swap_used_pages() - used, MAPPED * 9 / 10);

	allow_orders(orders);
	whole = stat_of(largest, "swpin");
	refused = stat_sum("swpin_fallback");
	for (i = 1; i < MAPPED; i++) {
		nr = backwards ? MAPPED - i : i;
		if (pattern_check(test_source(), nr, map + nr * PAGE, PAGE) < 0)
			continue;
		if (!wrong++)
			test_note("page %" PRIu64 " begins with %#" PRIx64, nr,
				  *(uint64_t *)(map + nr * PAGE));
	}
	whole = stat_of(largest, "swpin") - whole;
	refused = stat_sum("swpin_fallback") - refused;
	allow_orders(0);
	test_note("read: %" PRIu64 " folios of %" PRIu64 " KiB; refused: %" PRIu64 " folios",
		  whole, (PAGE << largest) / KiB, refused);
	EXPECT_EQ(wrong, 0);
	/* or it has not been tried */
	EXPECT_GT(whole, 0);
	EXPECT_GT(refused, 0);
}

static void one_order(void)
{
	read_with(1UL << MIN_ORDER, MIN_ORDER, false);
}

static void all_orders(void)
{
	read_with((2UL << MAX_ORDER) - (1UL << MIN_ORDER), MAX_ORDER - 1, false);
}

static void all_orders_backwards(void)
{
	read_with((2UL << MAX_ORDER) - (1UL << MIN_ORDER), MAX_ORDER - 1, true);
}

static const struct test tests[] = {
	{ "c117_swap_file_read_in_one_order", one_order },
	{ "c117_swap_file_read_in_all_orders", all_orders },
	{ "c117_swap_file_read_backwards", all_orders_backwards },
};

int main(void)
{
	mount_all();
	if (swap_kind() != SWAP_FRAGMENTS)
		die("run with vm/run --swap file --fragmented");
	move_to_zram();
	return ktap_run(tests, ARRAY_LEN(tests));
}
