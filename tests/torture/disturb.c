// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What the machine does to the processes of test-torture meanwhile. */

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "torture.h"

static void cycle_swap(const struct swap_list *swaps, struct rng *r)
{
	int ret;

	if (!swaps->nr)
		return;
	ret = swap_all_off(swaps, 60);
	if (!ret)
		atomic_fetch_add(&sh->swap_cycles, 1);
	else
		atomic_fetch_add(&sh->swap_refused, 1);
	if (rng_one_in(r, 2))
		usleep(rng_below(r, 100000));
	/* one of several may be on still, which is no error */
	swap_all_on(swaps);
}

/* Pressure from memory that is nobody's business here. */
static void hog(struct rng *r)
{
	uint64_t avail = meminfo_kib("MemAvailable") * KiB;
	uint64_t swap = meminfo_kib("SwapFree") * KiB;
	uint64_t until = now_ns() + 3000000000ULL, len, at;
	uint8_t *m;

	/* never more than what swap has room for: nobody is to be killed */
	len = avail * (60 + rng_below(r, 60)) / 100;
	if (len > avail + swap / 4)
		len = avail + swap / 4;
	if (!swap)
		len = avail / 2;
	m = mmap(NULL, len, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m == MAP_FAILED)
		return;
	/* small pages are slow to come by */
	if (!rng_one_in(r, 4))
		madvise(m, len, MADV_HUGEPAGE);
	for (at = 0; at < len && !atomic_load(&sh->stop); at += PAGE) {
		*(uint64_t *)(m + at) = at;
		/* it is slow once the others want their memory back */
		if (at % (64 * PAGE) == 0 && now_ns() > until)
			break;
	}
	munmap(m, len);
}

static void limits(struct rng *r)
{
	unsigned int nr = rng_below(r, GROUPS);
	char name[16];
	uint64_t now;

	group_name(name, sizeof(name), nr);
	now = cg_read(name, "memory.current");
	switch (rng_below(r, 3)) {
	case 0:
		cg_write(name, "memory.reclaim", "%llu",
			 (unsigned long long)(now / (1 + rng_below(r, 4))));
		break;
	case 1:
		/* above what cannot be reclaimed, so that nobody is killed */
		cg_write(name, "memory.high", "%llu",
			 (unsigned long long)(now / 2 + 16 * MiB));
		usleep(rng_below(r, 200000));
		cg_write(name, "memory.high", "max");
		break;
	default:
		if (!meminfo_kib("SwapFree"))
			break;
		cg_write(name, "memory.max", "%llu",
			 (unsigned long long)(now / 2 + 24 * MiB));
		usleep(rng_below(r, 200000));
		cg_write(name, "memory.max", "max");
	}
}

void disturber(void)
{
	static const char *const huge[] = { "deny", "never", "force", "advise", "within_size" };
	const char *now = shmem_enabled_get();
	char usual[16] = "never";
	struct rng r = { 0 };
	struct swap_list swaps;
	uint64_t n = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	swap_list(&swaps);
	if (now)
		snprintf(usual, sizeof(usual), "%s", now);
	while (!atomic_load(&sh->stop)) {
		r.state = mix(mix(seed, 2000), ++n);
		switch (rng_below(&r, 40)) {
		case 0 ... 4:
			cycle_swap(&swaps, &r);
			break;
		case 5:
			hog(&r);
			break;
		case 6 ... 15:
			limits(&r);
			break;
		case 16 ... 19:
			write_file("/proc/sys/vm/compact_memory", "1");
			break;
		case 20 ... 23:
			write_file("/proc/sys/vm/drop_caches", "1");
			break;
		case 24:
			/* the shrinkers, again and again while they find work */
			write_file("/proc/sys/vm/drop_caches", "2");
			break;
		case 25 ... 27:
			/* what is backed up is charged to no group */
			reclaim(1 + rng_below(&r, 16 * MiB));
			break;
		case 28 ... 31:
			if (!now)
				break;
			shmem_enabled_set(huge[rng_below(&r, ARRAY_LEN(huge))]);
			usleep(rng_below(&r, 300000));
			shmem_enabled_set(usual);
			break;
		case 32 ... 35:
			read_file("/sys/kernel/debug/ttm/page_pool_shrink");
			break;
		default:
			read_file("/sys/kernel/debug/ttm/tt_shrink");
		}
		atomic_fetch_add(&sh->disturbances, 1);
		usleep(rng_below(&r, 200000));
	}
	if (now)
		shmem_enabled_set(usual);
	_exit(0);
}

/* What a worker has open, of which it may be killed meanwhile */
static void read_clients(struct rng *r)
{
	int pid = atomic_load(&sh->workers[rng_below(r, MAX_WORKERS)]), fd;
	char path[64];

	for (fd = 0; pid && fd < 16; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", pid, fd);
		read_file(path);
	}
}

void reader(void)
{
	struct rng r = { mix(seed, 4000 + slot) };
	const char *bad;
	unsigned int n;
	struct gpu g;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!gpu_open(&g))
		_exit(1);
	/* once at least, however late it comes to run */
	n = slot;
	do {
		bad = stats_read(g.minor, n++);
		/* a failure that is injected is none */
		if (bad && (!fault_percent || errno != ENOMEM)) {
			if (!atomic_exchange(&sh->failed, true))
				test_note("reader %u: %s: %s", slot, bad, strerror(errno));
			atomic_store(&sh->stop, true);
			_exit(1);
		}
		read_clients(&r);
		atomic_fetch_add(&sh->reads, 1);
	} while (!atomic_load(&sh->stop));
	_exit(0);
}
