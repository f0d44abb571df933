// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What the machine has in use. */

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "balance.h"
#include "ktap.h"
#include "cgroup.h"
#include "stat.h"
#include "system.h"

#define KMEMLEAK	"/sys/kernel/debug/kmemleak"
#define STACKS		"/sys/kernel/debug/page_owner_stacks/show_stacks"
#define HANDLES		"/sys/kernel/debug/page_owner_stacks/show_stacks_handles"
#define PAGES_OWNED	"/sys/kernel/debug/page_owner"

/*
 * What a counter of all memory cannot tell from noise: stacks that the kernel
 * remembers, the allocators' own tables. A bug that loses single pages here and
 * there can hide in it: the pages without a list, below, are for that.
 */
#define NOISE_PAGES	((int64_t)(4 * MiB / PAGE))
/* Anonymous pages are counted at another moment than their place on a list. */
#define NOISE_FILELESS	8

/*
 * Pages in use whose allocation had one of TTM's functions, or the one that
 * allocates for them, in its stack. Those of slabs belong to whoever comes next,
 * what swap reads ahead to whoever has the slots beside, and page tables of a kernel
 * mapping that was split stay.
 */
static uint64_t owned_pages(bool *known, bool show)
{
	static const char *const marks[] = {
		" shmem_alloc_detached_folio+", " ttm_pool_", " ttm_backup_", " ttm_tt_",
	};
	static const char *const others[] = {
		"slab", "stack_depot", "split_large_page", "__change_page_attr",
		"kmem_cache", "kasan", " swap_cluster_readahead+",
	};
	char line[256], stack[4096] = "";
	bool match = false, other = false;
	uint64_t sum = 0, pages;
	size_t i, len = 0;
	FILE *f;

	*known = false;
	f = fopen(STACKS, "re");
	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "nr_base_pages: %" SCNu64, &pages) == 1) {
			*known = true;
			if (match && !other) {
				sum += pages;
				if (show)
					test_note("%" PRIu64 " pages from:%s", pages, stack);
			}
			match = false;
			other = false;
			len = 0;
			stack[0] = '\0';
			continue;
		}
		for (i = 0; i < ARRAY_LEN(marks); i++)
			match |= strstr(line, marks[i]) != NULL;
		for (i = 0; i < ARRAY_LEN(others); i++)
			other |= strstr(line, others[i]) != NULL;
		line[strcspn(line, "+\n")] = '\0';
		if (len < sizeof(stack))
			len += snprintf(stack + len, sizeof(stack) - len, "%s", line);
	}
	fclose(f);
	return sum;
}

/*
 * Handles of the stacks that allocate for TTM, for shmem or from swap: what is
 * extracted may have been read by anybody, swapoff or reclaim included.
 */
static uint32_t folio_stacks[16384];
static size_t nr_folio_stacks;

static int compare_handles(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static bool find_folio_stacks(void)
{
	static const char *const marks[] = {
		" shmem_alloc_", " ttm_pool_", " ttm_backup_", " ttm_tt_",
		" swap_cache_alloc_folio+", " __swap_cache_alloc+",
	};
	static const char *const others[] = {
		"slab", "stack_depot", "split_large_page", "__change_page_attr",
		"kmem_cache", "kasan", " zs_", "swap_table",
	};
	bool match = false, other = false;
	char line[256];
	uint32_t handle;
	size_t i;
	FILE *f;

	nr_folio_stacks = 0;
	f = fopen(HANDLES, "re");
	if (!f)
		return false;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "handle: %" SCNu32, &handle) == 1) {
			if (match && !other && nr_folio_stacks < ARRAY_LEN(folio_stacks))
				folio_stacks[nr_folio_stacks++] = handle;
			match = false;
			other = false;
			continue;
		}
		for (i = 0; i < ARRAY_LEN(marks); i++)
			match |= strstr(line, marks[i]) != NULL;
		for (i = 0; i < ARRAY_LEN(others); i++)
			other |= strstr(line, others[i]) != NULL;
	}
	fclose(f);
	if (nr_folio_stacks == ARRAY_LEN(folio_stacks))
		die("more stacks of pages than there is room for");
	qsort(folio_stacks, nr_folio_stacks, sizeof(folio_stacks[0]), compare_handles);
	return true;
}

/* Is the flag among those that page owner shows as "Flags 0x0(one|two|three)"? */
static bool has_flag(const char *record, const char *flag)
{
	size_t len = strlen(flag);
	const char *p = strstr(record, " Flags ");

	p = p ? strchr(p, '(') : NULL;
	while (p && *p != ')' && *p != '\n') {
		p++;
		if (!strncmp(p, flag, len) && (p[len] == '|' || p[len] == ')'))
			return true;
		p += strcspn(p, "|)\n");
	}
	return false;
}

/*
 * Pages that were allocated for a file, for TTM or from swap, are on no LRU list
 * and charged to nobody. Those of files and of processes are charged, also while
 * they are on their way from one list to another; and TTM has none, once all is
 * idle. So this is exact, one page tells.
 */
static uint64_t pages_without_list(bool *known, bool show)
{
	char record[4096];
	const char *p;
	uint64_t sum = 0, seen = 0;
	unsigned int order;
	uint32_t handle;
	ssize_t n;
	int fd;

	*known = false;
	if (!find_folio_stacks())
		return 0;
	fd = open(PAGES_OWNED, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (write(fd, "mode=handle", 11) != 11)
		die("cannot write %s: %s", PAGES_OWNED, strerror(errno));
	/* each read gives one */
	while ((n = read(fd, record, sizeof(record) - 1)) > 0) {
		record[n] = '\0';
		p = strstr(record, "\nhandle: ");
		if (sscanf(record, "Page allocated via order %u", &order) != 1 || !p)
			die("%s is not what it was: %.60s", PAGES_OWNED, record);
		seen++;
		handle = strtoul(p + 9, NULL, 10);
		if (!bsearch(&handle, folio_stacks, nr_folio_stacks,
			     sizeof(folio_stacks[0]), compare_handles) ||
		    has_flag(record, "lru") || strstr(record, "\nCharged "))
			continue;
		sum += 1UL << order;
		if (show && sum < 4000)
			test_note("%.300s", record);
	}
	if (n < 0)
		die("cannot read %s: %s", PAGES_OWNED, strerror(errno));
	close(fd);
	*known = seen > 0;
	return sum;
}

/*
 * On an LRU list as anonymous memory and shmem are, but neither: not in a file
 * any more, and held by somebody.
 */
static uint64_t pages_without_file(void)
{
	uint64_t lists, owners;

	lists = vmstat("nr_active_anon") + vmstat("nr_inactive_anon") +
		vmstat("nr_isolated_anon");
	owners = vmstat("nr_anon_pages") + vmstat("nr_shmem");
	return lists > owners ? lists - owners : 0;
}

/* Free, but in the lists of a processor: huge ones too, of which few are many. */
static uint64_t per_cpu_pages(void)
{
	const char *line = read_file("/proc/zoneinfo");
	uint64_t sum = 0, pages;

	while (line && *line) {
		if (sscanf(line, " count: %" SCNu64, &pages) == 1)
			sum += pages;
		line = strchr(line, '\n');
		if (line)
			line++;
	}
	return sum;
}

static int64_t unaccounted_pages(void)
{
	static const char *const known[] = {
		"MemFree", "Active", "Inactive", "Unevictable", "Slab",
		"KernelStack", "PageTables", "SecPageTables", "Percpu",
		"VmallocUsed",
	};
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < ARRAY_LEN(known); i++)
		sum += meminfo_kib(known[i]);
	sum = sum * KiB / PAGE + vmstat("nr_gpu_active") + vmstat("nr_gpu_reclaim") +
	      vmstat("nr_zspages") + per_cpu_pages();
	return meminfo_kib("MemTotal") * KiB / PAGE - sum;
}

static uint64_t dying_cgroups(void)
{
	return cg_read_key(".", "cgroup.stat", "nr_dying_descendants");
}

static uint64_t files_open(void)
{
	const char *text = read_file("/proc/sys/fs/file-nr");

	if (!text)
		die("cannot read /proc/sys/fs/file-nr: %s", strerror(errno));
	return strtoull(text, NULL, 10);
}

static void read_counters(struct balance *b)
{
	usage_get(&b->usage);
	b->shmem_huge = vmstat("nr_shmem_hugepages");
	b->meminfo_shmem = meminfo_kib("Shmem");
	b->writeback = vmstat("nr_writeback");
	b->dying_cgroups = dying_cgroups();
	b->files = files_open();
	b->owned = owned_pages(&b->has_owned, false);
	b->listless = pages_without_list(&b->has_listless, false);
	b->fileless = pages_without_file();
	b->unaccounted = unaccounted_pages();
}

bool balance_take(struct balance *b)
{
	memset(b, 0, sizeof(*b));
	/* 4: without a word in the log */
	write_file("/proc/sys/vm/drop_caches", "7");
	if (!usage_settle(&b->usage, 300)) {
		FAIL("swap cannot be emptied");
		return false;
	}
	write_file("/proc/sys/vm/drop_caches", "7");
	write_file("/proc/sys/vm/compact_memory", "1");
	/* what was moved waits for its list; this makes all processors put it there */
	write_file("/proc/sys/vm/drop_caches", "5");
	read_counters(b);
	return true;
}

static bool settled(const struct balance *a, const struct balance *b)
{
	return a->usage.shmem == b->usage.shmem &&
	       a->usage.gpu_active == b->usage.gpu_active &&
	       a->usage.swap_used == b->usage.swap_used && a->files == b->files &&
	       a->dying_cgroups == b->dying_cgroups && a->owned == b->owned &&
	       a->listless == b->listless &&
	       b->fileless <= a->fileless + NOISE_FILELESS;
}

void balance_check(const struct balance *before)
{
	struct balance now;
	unsigned int i;
	bool ok;

	/* Files, inodes and cgroups are released by deferred work. */
	for (i = 0; i < 40; i++) {
		if (!balance_take(&now))
			return;
		if (settled(before, &now))
			break;
		usleep(250000);
	}
	ok = usage_same(&before->usage, &now.usage);
	ok &= amount_same("nr_shmem_hugepages", before->shmem_huge, now.shmem_huge);
	ok &= amount_same("Shmem in KiB", before->meminfo_shmem, now.meminfo_shmem);
	ok &= amount_same("nr_writeback", before->writeback, now.writeback);
	ok &= amount_same("cgroups that are dying", before->dying_cgroups, now.dying_cgroups);
	ok &= amount_same("open files", before->files, now.files);
	if (now.has_owned && !amount_same("pages that TTM allocated", before->owned, now.owned)) {
		owned_pages(&now.has_owned, true);
		ok = false;
	}
	if (now.has_listless &&
	    !amount_same("folios that nobody has", before->listless, now.listless)) {
		pages_without_list(&now.has_listless, true);
		ok = false;
	}
	if (now.fileless > before->fileless + NOISE_FILELESS) {
		test_note("leak: pages on a list, but in no file: %" PRIu64 " before, %" PRIu64 " now",
		     before->fileless, now.fileless);
		ok = false;
	}
	if (now.unaccounted > before->unaccounted + NOISE_PAGES) {
		test_note("leak: pages that no counter knows: %" PRId64 " before, %" PRId64 " now",
		     before->unaccounted, now.unaccounted);
		ok = false;
	}
	test_note("pages that no counter knows: %" PRId64 " before, %" PRId64 " now; without a file: %" PRIu64 ", %" PRIu64,
		  before->unaccounted, now.unaccounted, before->fileless, now.fileless);
	test_note("stacks of pages are %sknown; folios that nobody has: %" PRIu64 " before, %" PRIu64 " now",
		  now.has_owned && now.has_listless ? "" : "not ", before->listless,
		  now.listless);
	if (!ok)
		FAIL("what is in use is not what it was");
}

void leaks_forget(void)
{
	if (file_exists(KMEMLEAK) && write_file(KMEMLEAK, "clear"))
		die("cannot write %s", KMEMLEAK);
}

bool leaks_check(void)
{
	const char *text, *line;
	unsigned int i;

	if (!file_exists(KMEMLEAK)) {
		test_note("no kmemleak in this kernel");
		return true;
	}
	/* What it sees once may have been in a register; objects must age */
	for (i = 0; i < 3; i++) {
		if (write_file(KMEMLEAK, "scan")) {
			FAIL("kmemleak is off: see the kernel's log");
			return false;
		}
		sleep(3);
	}
	text = read_file(KMEMLEAK);
	if (!text) {
		FAIL("cannot read %s", KMEMLEAK);
		return false;
	}
	if (!*text) {
		test_note("kmemleak: nothing");
		return true;
	}
	FAIL("kmemleak:");
	for (line = text, i = 0; line && *line && i < 80; i++) {
		size_t n = strcspn(line, "\n");

		test_note("%.*s", (int)n, line);
		line += n + (line[n] == '\n');
	}
	return false;
}
