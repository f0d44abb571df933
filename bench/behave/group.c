// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What a memory cgroup is charged for. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "behave.h"

#define GROUP		"bench"

struct grouped {
	uint64_t made, resident, backed_up;
	bool refused;
};

static uint64_t charged(void)
{
	return cg_read(GROUP, "memory.current");
}

static void group_child(uint64_t mib, volatile struct grouped *g)
{
	uint64_t before, size = 4 * MiB;
	int ret;

	if (write_file("/proc/self/oom_score_adj", "1000") || cg_enter(GROUP))
		die("cannot enter the cgroup");
	before = charged();
	for (nr_bos = 0; nr_bos < mib * MiB / size; nr_bos++) {
		struct bo *b = &bos[nr_bos];

		gpu_create(&gpu, b, size, DRM_VTTM_WC);
		gpu_map(&gpu, b, NULL);
		fill(b, nr_bos + 1, false);
		bo_unmap(b);
		g->made += size;
	}
	g->resident = charged() - before;
	ret = gpu_shrink(&gpu, mib * MiB / PAGE, false);
	g->refused = ret;
	if (ret && ret != -EBUSY)
		die("the shrinker: %s", strerror(-ret));
	/* Small changes are counted late. */
	sleep(3);
	g->backed_up = charged() - before;
	check_buffers();
	free_buffers();
	_exit(0);
}

void group(char **values)
{
	uint64_t limit = parse_number("group", values[0], 1, 65536);
	uint64_t mib = parse_number("group", values[1], 4, 65536);
	volatile struct grouped *g;
	uint64_t kills;
	int ret, status;
	pid_t pid;

	ret = cg_create(GROUP);
	if (!ret)
		ret = cg_write(GROUP, "memory.max", "%" PRIu64, limit * MiB);
	if (ret)
		die("no cgroup: %s", strerror(-ret));
	g = shared_memory(sizeof(*g));
	kills = vmstat("oom_kill");
	/* its device is its own, and gone with it */
	close(gpu.fd);
	pid = fork_or_die();
	if (!pid) {
		gpu_open(&gpu, NULL, false);
		group_child(mib, g);
	}
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid: %s", strerror(errno));
	/* killed by SIGKILL, or by SIGBUS for a page that could not be had */
	if (!(WIFSIGNALED(status) || (WIFEXITED(status) && !WEXITSTATUS(status))))
		die("who made the buffers ended with status %d", status);
	printf("{\"part\":\"group\",\"limit_bytes\":%" PRIu64 ",\"bytes\":%" PRIu64
	       ",\"made_bytes\":%" PRIu64 ",\"signal\":%d,\"oom_kills\":%" PRIu64,
	       limit * MiB, mib * MiB, g->made, WIFSIGNALED(status) ? WTERMSIG(status) : 0,
	       vmstat("oom_kill") - kills);
	if (WIFEXITED(status))
		printf(",\"charged_resident_bytes\":%" PRIu64
		       ",\"charged_backed_up_bytes\":%" PRIu64 ",\"refused\":%s",
		       g->resident, g->backed_up, g->refused ? "true" : "false");
	puts("}");
	cg_remove(GROUP);
}
