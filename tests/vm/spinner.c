// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * A processor that a process with real-time priority keeps for itself: what was
 * backed up there comes back all the same, without waiting for it to end.
 */

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixture.h"

#define FAIR_SERVER	"/sys/kernel/debug/sched/fair_server/cpu1/runtime"
/* fewer than a processor's batch of what is to be put on the LRU lists */
#define BUFFERS		24
/* no stall of RCU, and very much longer than it takes */
#define GIVE_UP		(15 * 1000000000ULL)

struct shared {
	bool spinning, stop, gave_up;
};

/* Back up on processor 1, and never let go of that */
static void spin(const struct gpu *g, struct bo *b, unsigned int nr, struct shared *s)
{
	struct sched_param param = { .sched_priority = 50 };
	unsigned int i;
	uint64_t start;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	ASSERT_OK(run_on(1));
	for (i = 0; i < nr; i++)
		ASSERT(bo_shrink(g, &b[i], false));
	ASSERT(!sched_setscheduler(0, SCHED_FIFO, &param));
	start = now_ns();
	__atomic_store_n(&s->spinning, true, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&s->stop, __ATOMIC_ACQUIRE)) {
		if (now_ns() - start < GIVE_UP)
			continue;
		__atomic_store_n(&s->gave_up, true, __ATOMIC_RELEASE);
		return;
	}
}

static void beside(uint64_t size)
{
	struct backup_counters then, c;
	static struct bo b[BUFFERS];
	struct shared *s;
	bool gave_up;
	char usual[32];
	const char *p;
	unsigned int i;
	struct gpu g;
	int status;
	pid_t pid;

	s = shared_memory(sizeof(*s));
	memset(s, 0, sizeof(*s));
	ASSERT_OK(run_on(0));
	ASSERT(gpu_open(&g));
	for (i = 0; i < BUFFERS; i++)
		ASSERT(bo_new(&g, &b[i], size, i % 3, i + 1));
	p = read_file(FAIR_SERVER);
	ASSERT(p);
	snprintf(usual, sizeof(usual), "%s", p);
	/* or it would be given some of the processor's time */
	ASSERT_OK(write_file(FAIR_SERVER, "0"));
	backup_counters(&then);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		test_failures = 0;
		spin(&g, b, BUFFERS, s);
		fflush(stdout);
		_exit(test_failures ? 1 : 0);
	}
	while (!__atomic_load_n(&s->spinning, __ATOMIC_ACQUIRE) &&
	       !waitpid(pid, &status, WNOHANG))
		usleep(1000);
	for (i = 0; i < BUFFERS; i++)
		EXPECT(bo_check_map(&b[i]));
	gave_up = __atomic_load_n(&s->gave_up, __ATOMIC_ACQUIRE);
	__atomic_store_n(&s->stop, true, __ATOMIC_RELEASE);
	EXPECT_EQ(waitpid(pid, &status, 0), pid);
	EXPECT_EQ(status, 0);
	EXPECT_OK(write_file(FAIR_SERVER, "%s", usual));
	EXPECT(!gave_up);
	/* or there was nothing to wait for */
	backup_counters_since(&then, &c);
	EXPECT_EQ(c.inserted, BUFFERS * PAGES(size));
	for (i = 0; i < BUFFERS; i++)
		bo_free(&g, &b[i]);
	munmap(s, sizeof(*s));
}

static void small(void)
{
	beside(PAGE);
}

static void large(void)
{
	beside(2 * MiB);
}

static const struct test tests[] = {
	{ "c74_small_buffers_beside_a_spinner", small },
	{ "c74_large_buffers_beside_a_spinner", large },
};

int main(void)
{
	return ktap_run(tests, ARRAY_LEN(tests));
}
