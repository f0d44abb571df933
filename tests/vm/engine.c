// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * What users can ask of the engine, and what that may cost others: work is bounded,
 * reclaim does not wait for it, and memory is charged to who asked for it.
 *
 * To be run with a short vttm.job_timeout_ms, as jobs that take too long are waited for.
 */

#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/sync_file.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xf86drm.h>

#include "engine.h"

#define FILE_MAX	"/proc/sys/fs/file-max"

static bool bo_new_local(const struct gpu *g, struct bo *b, uint64_t size, uint32_t seed)
{
	return bo_new_flags(g, b, size, DRM_VTTM_CACHED, DRM_VTTM_CREATE_LOCAL, seed);
}

int submit_fill(const struct gpu *g, const struct bo *b, uint32_t syncobj,
		uint64_t point, uint32_t value)
{
	struct drm_vttm_op op = {
		.opcode = DRM_VTTM_OP_FILL, .dst = b->handle, .size = PAGE,
		.value = value,
	};
	struct drm_vttm_submit s = {
		.ops = (uintptr_t)&op, .op_count = 1, .syncobj = syncobj,
		.point = point,
	};

	return vttm_ioctl(g->fd, DRM_IOCTL_VTTM_SUBMIT, &s);
}

int sync_file_status(int fd)
{
	struct sync_file_info info = { 0 };

	return ioctl(fd, SYNC_IOC_FILE_INFO, &info) ? -errno : info.status;
}

/* Waits for the end. */
static int sync_file_result(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (poll(&p, 1, -1) < 0)
		if (errno != EINTR)
			return -errno;
	return sync_file_status(fd);
}

static int syncobj_result(const struct gpu *g, uint32_t syncobj)
{
	int fd, ret;

	if (drmSyncobjExportSyncFile(g->fd, syncobj, &fd))
		return -errno;
	ret = sync_file_result(fd);
	close(fd);
	return ret;
}

/* ---- bounded work ---- */

static void too_long(void)
{
	uint32_t syncobj[2], i, word;
	struct gpu g, other;
	struct bo b, theirs;

	ASSERT(gpu_open(&g));
	ASSERT(gpu_open(&other));
	ASSERT(bo_new(&g, &b, 6 * MiB, DRM_VTTM_CACHED, 1));
	word = *(uint32_t *)b.map;
	ASSERT(bo_new(&other, &theirs, PAGE, DRM_VTTM_CACHED, 2));
	for (i = 0; i < ARRAY_LEN(syncobj); i++)
		ASSERT_OK(drmSyncobjCreate(g.fd, 0, &syncobj[i]));
	ASSERT_OK(bo_keep_busy(&g, &b, 1, syncobj[0]));
	ASSERT_OK(submit_fill(&g, &b, syncobj[1], 0, 1));
	/* what took too long, and what was queued behind it */
	EXPECT_EQ(syncobj_result(&g, syncobj[0]), -ETIME);
	EXPECT_EQ(syncobj_result(&g, syncobj[1]), -ECANCELED);
	EXPECT_OK(vttm_wait(g.fd, b.handle, -1));
	EXPECT_ERR(submit_fill(&g, &b, 0, 0, 1), ECANCELED);
	/* others have nothing to do with it */
	EXPECT_OK(submit_fill(&other, &theirs, 0, 0, 0x4711));
	EXPECT_OK(vttm_wait(other.fd, theirs.handle, -1));
	EXPECT_EQ(*(uint32_t *)theirs.map, 0x4711);
	/* nor has the CPU, and nothing was written but the first word */
	*(uint32_t *)b.map = word;
	EXPECT(bo_check_map(&b));
}

static void closed(void)
{
	struct dma_buf_export_sync_file sync = { .flags = DMA_BUF_SYNC_RW };
	struct gpu g, other;
	struct bo b, theirs;
	int buf;

	ASSERT(gpu_open(&g));
	ASSERT(gpu_open(&other));
	ASSERT(bo_new(&g, &b, 6 * MiB, DRM_VTTM_CACHED, 1));
	ASSERT(bo_new(&other, &theirs, PAGE, DRM_VTTM_CACHED, 2));
	ASSERT_EQ(drmPrimeHandleToFD(g.fd, b.handle, DRM_CLOEXEC, &buf), 0);
	ASSERT_OK(bo_keep_busy(&g, &b, 1, 0));
	ASSERT_OK(bo_keep_busy(&g, &b, 1, 0));
	ASSERT_EQ(ioctl(buf, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &sync), 0);
	EXPECT_EQ(sync_file_status(sync.fd), 0);
	/* the mapping has a reference to the file */
	munmap(b.map, b.size);
	close(g.fd);
	/* cancelled, not waited for until the time is up */
	EXPECT(sync_file_result(sync.fd) < 0);
	EXPECT(sync_file_status(sync.fd) != -ETIME);
	close(sync.fd);
	close(buf);
	EXPECT_OK(submit_fill(&other, &theirs, 0, 0, 0x4711));
	EXPECT_OK(vttm_wait(other.fd, theirs.handle, -1));
	EXPECT_EQ(*(uint32_t *)theirs.map, 0x4711);
}

/*
 * The scheduler takes the next job while the file is closed: a race that is lost once
 * in a hundred rounds or so.
 */
static void closed_again_and_again(void)
{
	struct gpu g, other;
	struct bo b, theirs;
	unsigned int round, i;

	ASSERT(gpu_open(&other));
	ASSERT(bo_new(&other, &theirs, PAGE, DRM_VTTM_CACHED, 2));
	for (round = 0; round < 100; round++) {
		ASSERT(gpu_open(&g));
		ASSERT(bo_new(&g, &b, PAGE, DRM_VTTM_CACHED, 1));
		for (i = 0; i < MAX_JOBS; i++)
			ASSERT_OK(submit_fill(&g, &b, 0, 0, i));
		munmap(b.map, b.size);
		close(g.fd);
		ASSERT_OK(submit_fill(&other, &theirs, 0, 0, round));
		ASSERT_OK(vttm_wait(other.fd, theirs.handle, -1));
		ASSERT_EQ(*(uint32_t *)theirs.map, round);
	}
}

bool waits_for_fence(pid_t pid)
{
	char path[32];
	const char *stack;

	snprintf(path, sizeof(path), "/proc/%d/stack", pid);
	stack = read_file(path);
	if (!stack)
		die("cannot read %s: %s", path, strerror(errno));
	return strstr(stack, "dma_fence") || strstr(stack, "dma_resv_wait") ||
	       strstr(stack, "ttm_bo_wait");
}

pid_t shrinker_start(const struct gpu *g, const struct bo *b)
{
	pid_t pid = fork_or_die();

	if (!pid) {
		munmap(b->map, b->size);
		close(g->fd);
		vttm_shrink(g->minor, PAGES(b->size), false, NULL);
		_exit(0);
	}
	while (!waits_for_fence(pid))
		usleep(1000);
	return pid;
}

static void closed_while_shrunk(void)
{
	uint32_t syncobj;
	struct gpu g;
	struct bo b;
	pid_t pid;
	int fd;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new_local(&g, &b, 6 * MiB, 1));
	ASSERT_OK(drmSyncobjCreate(g.fd, 0, &syncobj));
	ASSERT_OK(bo_keep_busy(&g, &b, 1, syncobj));
	ASSERT_EQ(drmSyncobjExportSyncFile(g.fd, syncobj, &fd), 0);
	pid = shrinker_start(&g, &b);
	EXPECT_EQ(sync_file_status(fd), 0);
	munmap(b.map, b.size);
	close(g.fd);
	/* cancelled, although all that closing needs is locked until the job ends */
	EXPECT_EQ(sync_file_result(fd), -ECANCELED);
	EXPECT_EQ(waitpid(pid, NULL, 0), pid);
	close(fd);
}

/* Submissions behind a job of so many operations, which ends with that status. */
static void jobs_behind(unsigned int op_count, int *status)
{
	enum { JOBS = 3 * MAX_JOBS };
	static struct drm_vttm_op ops[24];
	struct drm_vttm_submit long_one = { .ops = (uintptr_t)ops, .op_count = op_count };
	struct shared *s = shared_memory(sizeof(*s));
	uint32_t most = 0, seen;
	struct gpu g;
	struct bo b;
	pid_t pid;
	size_t i;
	int fd;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, 6 * MiB, DRM_VTTM_CACHED, 1));
	ASSERT_OK(drmSyncobjCreate(g.fd, 0, &long_one.syncobj));
	for (i = 0; i < ARRAY_LEN(ops); i++)
		ops[i] = (struct drm_vttm_op){
			.opcode = DRM_VTTM_OP_CRC32, .dst = b.handle,
			.src = b.handle, .size = b.size,
		};
	ASSERT_OK(vttm_ioctl(g.fd, DRM_IOCTL_VTTM_SUBMIT, &long_one));
	ASSERT_EQ(drmSyncobjExportSyncFile(g.fd, long_one.syncobj, &fd), 0);
	pid = fork_or_die();
	if (!pid) {
		for (i = 0; i < JOBS; i++) {
			if (submit_fill(&g, &b, 0, 0, i + 1))
				_exit(1);
			s->count++;
		}
		_exit(0);
	}
	do {
		seen = s->count;
		/* taken before, so it is of a time when the first job ran */
		*status = sync_file_status(fd);
		if (*status)
			break;
		if (seen > most)
			most = seen;
		usleep(1000);
	} while (1);
	EXPECT_EQ(waitpid(pid, (int *)&seen, 0), pid);
	close(fd);
	if (*status != -ETIME) {
		EXPECT_EQ(*status, 1);
		EXPECT_EQ(most, MAX_JOBS - 1);
		EXPECT_EQ(seen, 0);
		EXPECT_OK(vttm_wait(g.fd, b.handle, -1));
		EXPECT_EQ(*(uint32_t *)b.map, JOBS);
	}
	bo_free(&g, &b);
	close(g.fd);
}

/* Submissions beyond what a file may have queued wait for the first ones. */
static void many_jobs(void)
{
	unsigned int op_count;
	int status = -ETIME;

	/* The first job takes a second or so, and more than it may on a busy host. */
	for (op_count = 24; op_count && status == -ETIME; op_count /= 2) {
		status = 0;
		jobs_behind(op_count, &status);
	}
	EXPECT(status != -ETIME);
}

/* ---- buffers that are local to a file ---- */

static void local_is_local(void)
{
	struct drm_gem_flink flink = { 0 };
	struct drm_gem_open open = { 0 };
	struct gpu g, other;
	struct vttm_state i;
	struct bo b;
	int fd;

	ASSERT(gpu_open(&g));
	ASSERT(gpu_open(&other));
	ASSERT(bo_new_local(&g, &b, 4 * PAGE, 1));
	ASSERT(bo_info(&g, &b, &i));
	EXPECT_EQ(i.flags, DRM_VTTM_INFO_LOCAL);
	EXPECT_EQ(drmPrimeHandleToFD(g.fd, b.handle, DRM_CLOEXEC, &fd), -1);
	EXPECT_EQ(errno, EPERM);
	flink.handle = b.handle;
	ASSERT_OK(vttm_ioctl(g.fd, DRM_IOCTL_GEM_FLINK, &flink));
	open.name = flink.name;
	EXPECT_ERR(vttm_ioctl(other.fd, DRM_IOCTL_GEM_OPEN, &open), EPERM);
	open.name = flink.name;
	EXPECT_ERR(vttm_ioctl(g.fd, DRM_IOCTL_GEM_OPEN, &open), EPERM);
	/* it goes on without its neighbours, and without a handle */
	EXPECT_OK(submit_fill(&g, &b, 0, 0, 7));
	EXPECT_OK(vttm_wait(g.fd, b.handle, -1));
	EXPECT_EQ(*(uint32_t *)b.map, 7);
	EXPECT_OK(vttm_close(g.fd, b.handle));
	EXPECT_EQ(*(uint32_t *)b.map, 7);
}

/* What moves together: one of three was used, and all of them are in use. */
static void moves_together(void)
{
	struct bo local[3], own[3], last;
	struct vttm_state i;
	unsigned int n;
	struct gpu g;

	ASSERT(gpu_open(&g));
	for (n = 0; n < ARRAY_LEN(own); n++)
		ASSERT(bo_new(&g, &own[n], 2 * MiB, DRM_VTTM_CACHED, n + 1));
	for (n = 0; n < ARRAY_LEN(local); n++)
		ASSERT(bo_new_local(&g, &local[n], 2 * MiB, n + 10));
	ASSERT(bo_new(&g, &last, 2 * MiB, DRM_VTTM_CACHED, 20));
	ASSERT_OK(submit_fill(&g, &own[1], 0, 0, 1));
	ASSERT_OK(submit_fill(&g, &local[1], 0, 0, 1));
	ASSERT_OK(vttm_wait(g.fd, own[1].handle, -1));
	ASSERT_OK(vttm_wait(g.fd, local[1].handle, -1));
	/* in the order of the last use: two of those with a life of their own, the last */
	ASSERT_OK(vttm_shrink(g.minor, 3 * PMD_PAGES, false, NULL));
	EXPECT(bo_check_where(&g, &own[0], 0, PMD_PAGES, PMD_PAGES));
	EXPECT(bo_check_where(&g, &own[2], 0, PMD_PAGES, PMD_PAGES));
	EXPECT(bo_check_where(&g, &last, 0, PMD_PAGES, PMD_PAGES));
	EXPECT(bo_check_where(&g, &own[1], PMD_PAGES, 0, 0));
	for (n = 0; n < ARRAY_LEN(local); n++) {
		ASSERT(bo_info(&g, &local[n], &i));
		EXPECT_EQ(i.resident_pages, PMD_PAGES);
	}
	for (n = 0; n < ARRAY_LEN(own); n += 2) {
		EXPECT(bo_check_map(&own[n]));
		EXPECT(bo_check_map(&local[n]));
	}
}

/* ---- times and timelines ---- */

static void absolute_time(void)
{
	struct drm_vttm_wait w = { 0 };
	struct gpu g;
	struct bo b;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, 6 * MiB, DRM_VTTM_CACHED, 1));
	ASSERT_OK(bo_keep_busy(&g, &b, 1, 0));
	w.handle = b.handle;
	EXPECT_ERR(vttm_ioctl(g.fd, DRM_IOCTL_VTTM_WAIT, &w), ETIME);
	w.timeout_ns = -1;
	EXPECT_ERR(vttm_ioctl(g.fd, DRM_IOCTL_VTTM_WAIT, &w), ETIME);
	/* long ago: relative, it would be most of a day */
	w.timeout_ns = now_ns() - 1;
	EXPECT_ERR(vttm_ioctl(g.fd, DRM_IOCTL_VTTM_WAIT, &w), ETIME);
	w.timeout_ns = now_ns() + 50000000;
	EXPECT_ERR(vttm_ioctl(g.fd, DRM_IOCTL_VTTM_WAIT, &w), ETIME);
	EXPECT_GE((int64_t)now_ns(), w.timeout_ns);
	w.timeout_ns = INT64_MAX;
	EXPECT_OK(vttm_ioctl(g.fd, DRM_IOCTL_VTTM_WAIT, &w));
}

static void timeline(void)
{
	uint64_t has = 0, point, points[2] = { 1, 5 };
	uint32_t syncobj, handles[2];
	struct gpu g;
	struct bo b;

	ASSERT(gpu_open(&g));
	ASSERT_EQ(drmGetCap(g.fd, DRM_CAP_SYNCOBJ_TIMELINE, &has), 0);
	EXPECT_EQ(has, 1);
	ASSERT(bo_new(&g, &b, PAGE, DRM_VTTM_CACHED, 1));
	ASSERT_OK(drmSyncobjCreate(g.fd, 0, &syncobj));
	ASSERT_OK(submit_fill(&g, &b, syncobj, points[0], 11));
	ASSERT_OK(submit_fill(&g, &b, syncobj, points[1], 12));
	handles[0] = syncobj;
	handles[1] = syncobj;
	EXPECT_OK(drmSyncobjTimelineWait(g.fd, handles, points, 2, INT64_MAX,
					 DRM_SYNCOBJ_WAIT_FLAGS_WAIT_ALL, NULL));
	EXPECT_EQ(*(uint32_t *)b.map, 12);
	EXPECT_OK(drmSyncobjQuery(g.fd, &syncobj, &point, 1));
	EXPECT_EQ(point, 5);
	EXPECT_OK(drmSyncobjDestroy(g.fd, syncobj));
}

/* ---- what is not needed ---- */

static void unneeded(void)
{
	struct drm_vttm_mmap_offset m = { 0 };
	struct gpu g;
	uint32_t v;
	struct bo b;
	int fd, mem;

	mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	ASSERT(mem >= 0);
	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, 2 * PAGE, DRM_VTTM_WC, 1));
	m.handle = b.handle;
	ASSERT_OK(vttm_ioctl(g.fd, DRM_IOCTL_VTTM_MMAP_OFFSET, &m));
	ASSERT_OK(vttm_madvise(g.fd, b.handle, DRM_VTTM_MADV_DONTNEED, NULL));
	EXPECT(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, g.fd, m.offset) == MAP_FAILED);
	EXPECT_EQ(errno, EBUSY);
	EXPECT_EQ(drmPrimeHandleToFD(g.fd, b.handle, DRM_CLOEXEC, &fd), -1);
	EXPECT_EQ(errno, EBUSY);
	EXPECT_ERR(submit_fill(&g, &b, 0, 0, 1), EBUSY);
	/* nor by a debugger, where a signal would come otherwise */
	EXPECT_EQ(pread(mem, &v, sizeof(v), (uintptr_t)b.map), -1);
	EXPECT_EQ(errno, EIO);
	/* all of it as before when it is needed again */
	ASSERT_OK(vttm_madvise(g.fd, b.handle, DRM_VTTM_MADV_WILLNEED, NULL));
	EXPECT(bo_check_map(&b));
	EXPECT(bo_check_engine(&g, &b));

	ASSERT_OK(vttm_madvise(g.fd, b.handle, DRM_VTTM_MADV_DONTNEED, NULL));
	ASSERT_OK(vttm_purge(g.minor, PAGES(b.size), NULL));
	EXPECT(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, g.fd, m.offset) == MAP_FAILED);
	EXPECT_EQ(errno, EINVAL);
	EXPECT_EQ(drmPrimeHandleToFD(g.fd, b.handle, DRM_CLOEXEC, &fd), -1);
	EXPECT_EQ(errno, EINVAL);
	EXPECT_ERR(submit_fill(&g, &b, 0, 0, 1), EFAULT);
	EXPECT(!peek32(b.map, &v));
	bo_free(&g, &b);

	/* what was never mapped has nothing to look at */
	ASSERT(bo_new(&g, &b, 2 * PAGE, DRM_VTTM_CACHED, 1));
	bo_unmap(&b);
	ASSERT_OK(bo_map(g.fd, &b));
	ASSERT_OK(vttm_madvise(g.fd, b.handle, DRM_VTTM_MADV_DONTNEED, NULL));
	EXPECT(!peek32(b.map, &v));
	ASSERT_OK(vttm_madvise(g.fd, b.handle, DRM_VTTM_MADV_WILLNEED, NULL));
	EXPECT(bo_check_map(&b));

	/* others may need it */
	ASSERT_EQ(drmPrimeHandleToFD(g.fd, b.handle, DRM_CLOEXEC, &fd), 0);
	EXPECT_ERR(vttm_madvise(g.fd, b.handle, DRM_VTTM_MADV_DONTNEED, NULL), EBUSY);
	close(fd);
	EXPECT(bo_check_map(&b));
}

/* An export that comes to nothing: nobody else has it. */
static void export_fails(void *arg)
{
	struct gpu g;
	struct bo b;
	int fd;

	(void)arg;
	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, PAGE, DRM_VTTM_CACHED, 1));
	/* no file for anybody who is not root, which this process is no more */
	ASSERT_OK(write_file(FILE_MAX, "0"));
	ASSERT_EQ(setuid(65534), 0);
	EXPECT_EQ(drmPrimeHandleToFD(g.fd, b.handle, DRM_CLOEXEC, &fd), -1);
	EXPECT_EQ(errno, ENFILE);
	EXPECT_OK(vttm_madvise(g.fd, b.handle, DRM_VTTM_MADV_DONTNEED, NULL));
	EXPECT_OK(vttm_madvise(g.fd, b.handle, DRM_VTTM_MADV_WILLNEED, NULL));
}

static void failed_export(void)
{
	char had[32];

	snprintf(had, sizeof(had), "%s", read_file(FILE_MAX));
	EXPECT(ktap_child(export_fails, NULL));
	EXPECT_OK(write_file(FILE_MAX, "%s", had));
}

static void pages_bad(void)
{
	static const char *const bad[] = { "", "x", "1", "-1 1" };
	char path[64], text[32];
	struct gpu g;
	struct bo b;
	size_t i;
	int ret;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, PAGE, DRM_VTTM_CACHED, 1));
	snprintf(path, sizeof(path), "/sys/kernel/debug/dri/%u/pages", g.minor);
	for (i = 1; i < ARRAY_LEN(bad); i++) {
		ret = write_file(path, "%s", bad[i]);
		if (ret != -EINVAL && ret != -EBADF)
			FAIL("\"%s\": %d", bad[i], ret);
	}
	/* a file of another kind, a handle that names nothing */
	EXPECT_ERR(write_file(path, "0 %u", b.handle), EBADF);
	snprintf(text, sizeof(text), "%d %u", g.fd, 0x7fff);
	EXPECT_ERR(write_file(path, "%s", text), ENOENT);
}

static const struct test tests[] = {
	{ "c102_job_that_takes_too_long", too_long },
	{ "c102_jobs_of_a_closed_file", closed },
	{ "c102_closed_again_and_again", closed_again_and_again },
	{ "c102_closed_while_its_buffers_are_locked", closed_while_shrunk },
	{ "c102_queue_is_bounded", many_jobs },
	{ "c103_kswapd_takes_what_is_idle", kswapd_idle_left },
	{ "c103_kswapd_waits_for_no_fence", kswapd_all_busy },
	{ "c103_never_idle_is_waited_for", never_idle },
	{ "c103_who_has_been_shrunk_goes_on", got_goes_on },
	{ "c103_export_waits_for_no_fence", export_of_locked },
	{ "c104_untouched_buffers_are_charged", untouched_are_charged },
	{ "c104_objects_are_charged", objects_are_charged },
	{ "c104_queued_jobs_are_charged", jobs_are_charged },
	{ "c105_local_is_local", local_is_local },
	{ "c105_local_buffers_move_together", moves_together },
	{ "c106_wait_is_absolute", absolute_time },
	{ "c106_points_of_a_timeline", timeline },
	{ "c107_unneeded_is_not_handed_out", unneeded },
	{ "c107_failed_export_is_none", failed_export },
	{ "debugfs_pages_refuses_bad_input", pages_bad },
};

int main(void)
{
	mount_all();
	return ktap_run(tests, ARRAY_LEN(tests));
}
