// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Whether processes are killed for lack of memory. */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "behave.h"

#define TMPFS		"/tmp/bench-oom"

struct idle {
	const char *kind;
	uint64_t size;		/* of tmpfs and anonymous memory, mapped in one piece */
	uint8_t *map;
	bool noise;
};

static bool on_gpu(const struct idle *idle)
{
	return !strcmp(idle->kind, "gpu");
}

static uint8_t *map_tmpfs(uint64_t size)
{
	uint8_t *map;
	int fd;

	fd = open(TMPFS "/file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)size))
		die(TMPFS "/file: %s", strerror(errno));
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		die("no address space: %s", strerror(errno));
	close(fd);
	return map;
}

uint8_t *map_anonymous(uint64_t size, bool huge)
{
	uint8_t *map = mmap(NULL, size + 2 * MiB, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (map == MAP_FAILED)
		die("no address space: %s", strerror(errno));
	map += -(uintptr_t)map & (2 * MiB - 1);
	/* small machines have it off */
	if ((huge && write_file(THP, "madvise")) ||
	    madvise(map, size, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE))
		die("no huge pages: %s", strerror(errno));
	return map;
}

/* Fill it, and leave it alone. */
static void idle_start(struct idle *idle, uint64_t bytes)
{
	uint64_t nr;

	if (on_gpu(idle)) {
		fill_buffers(bytes, 4 * MiB, idle->noise);
		unmap_buffers();
		return;
	}

	idle->size = bytes & -(2 * MiB);
	if (!strcmp(idle->kind, "tmpfs")) {
		mkdir("/tmp", 0755);
		mkdir(TMPFS, 0700);
		if (mount("none", TMPFS, "tmpfs", 0, "huge=always,size=100%"))
			die("cannot mount a tmpfs: %s", strerror(errno));
		idle->map = map_tmpfs(idle->size);
	} else {
		idle->map = map_anonymous(idle->size, !strcmp(idle->kind, "thp"));
	}
	for (nr = 0; nr < idle->size / PAGE; nr++)
		fill_page(idle->map + nr * PAGE, 1, nr, idle->noise);
	if (!strcmp(idle->kind, "tmpfs")) {
		munmap(idle->map, idle->size);
		idle->map = NULL;
	}
}

/* Every byte is there still. */
static void idle_end(struct idle *idle)
{
	uint64_t nr;

	if (on_gpu(idle)) {
		check_buffers();
		free_buffers();
		return;
	}

	if (!idle->map)
		idle->map = map_tmpfs(idle->size);
	for (nr = 0; nr < idle->size / PAGE; nr++)
		check_page(idle->map + nr * PAGE, 1, nr);
	munmap(idle->map, idle->size);
	if (!strcmp(idle->kind, "tmpfs"))
		umount(TMPFS);
}

struct touched {
	uint64_t total, longest;
};

/* In a process of its own, whose end says whether it has been killed. */
static bool touch(uint64_t bytes, bool noise, volatile struct touched *touched)
{
	uint64_t i, t, start, longest = 0;
	int status;
	pid_t pid;

	pid = fork_or_die();
	if (!pid) {
		uint8_t *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED || madvise(p, bytes, MADV_NOHUGEPAGE) ||
		    write_file("/proc/self/oom_score_adj", "0"))
			die("no memory to touch: %s", strerror(errno));
		start = now_ns();
		for (i = 0; i < bytes / PAGE; i++) {
			t = now_ns();
			*(volatile uint64_t *)(p + i * PAGE) = i;
			t = now_ns() - t;
			if (t > longest)
				longest = t;
			touched->longest = longest;
			if (noise)
				fill_page(p + i * PAGE, 0, i, true);
			touched->total = now_ns() - start;
		}
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid: %s", strerror(errno));
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return true;
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		die("who touched memory ended with status %d", status);
	return false;
}

/* Upstream's kernel inserts none, and has no counter for it. */
static uint64_t inserted_pages(void)
{
	return have_backup_stats() ? backup_stat("inserted") : 0;
}

static bool is_noise(const char *contents)
{
	if (strcmp(contents, "half") && strcmp(contents, "noise"))
		die("contents are half or noise, not '%s'", contents);
	return !strcmp(contents, "noise");
}

void oom(char **values)
{
	static const char *const kinds[] = { "gpu", "tmpfs", "anon", "thp" };
	struct idle idle = { .kind = values[0], .noise = is_noise(values[2]) };
	uint64_t percent = parse_number("oom", values[1], 1, 300);
	uint64_t more = parse_number("oom", values[3], 1, 300);
	bool noise = is_noise(values[4]), killed;
	uint64_t kills, swpout, fallback, failed, inserted, splits;
	struct touched *touched;
	unsigned int i;

	for (i = 0; i < ARRAY_LEN(kinds) && strcmp(kinds[i], idle.kind); i++)
		;
	if (i == ARRAY_LEN(kinds))
		die("oom: there is no memory of kind '%s' (bench-behave --help)", idle.kind);
	touched = shared_memory(sizeof(*touched));
	/* who is killed is who touches memory */
	if (write_file("/proc/self/oom_score_adj", "-1000"))
		die("cannot write oom_score_adj");
	memset(touched, 0, sizeof(*touched));

	idle_start(&idle, ram * percent / 100);
	kills = vmstat("oom_kill");
	swpout = vmstat("thp_swpout");
	fallback = vmstat("thp_swpout_fallback");
	splits = vmstat("thp_split_page");
	failed = zram_failed_writes();
	inserted = inserted_pages();
	killed = touch(ram * more / 100, noise, touched);
	printf("{\"part\":\"oom\",\"kind\":\"%s\",\"percent\":%" PRIu64
	       ",\"contents\":\"%s\",\"touch\":%" PRIu64 ",\"touched\":\"%s\""
	       ",\"killed\":%d,\"kills\":%" PRIu64 ",\"total_ns\":%" PRIu64
	       ",\"max_ns\":%" PRIu64 ",\"inserted\":%" PRIu64
	       ",\"thp_swpout\":%" PRIu64 ",\"thp_swpout_fallback\":%" PRIu64
	       ",\"thp_split\":%" PRIu64 ",\"failed_writes\":%" PRIu64 "}\n",
	       idle.kind, percent, values[2], more, values[4], killed,
	       vmstat("oom_kill") - kills, touched->total, touched->longest,
	       inserted_pages() - inserted,
	       vmstat("thp_swpout") - swpout, vmstat("thp_swpout_fallback") - fallback,
	       vmstat("thp_split_page") - splits, zram_failed_writes() - failed);
	fflush(stdout);
	idle_end(&idle);
}
