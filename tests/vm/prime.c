// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * test-prime [shrinking]
 *
 * Buffers shared between two vttm devices as dma-bufs. With "shrinking", what is said of
 * any dma-buf, while all that can be backed up is, again and again.
 */

#include <fcntl.h>
#include <linux/dma-buf.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xf86drm.h>

#include "prime.h"

int to_fd(const struct gpu *g, uint32_t handle, int *fd)
{
	return drmPrimeHandleToFD(g->fd, handle, DRM_CLOEXEC | DRM_RDWR, fd) ?
		-errno : 0;
}

int to_handle(const struct gpu *g, int fd, uint32_t *handle)
{
	return drmPrimeFDToHandle(g->fd, fd, handle) ? -errno : 0;
}

bool back_up(const struct gpu *g, const struct bo *b, bool writeback)
{
	struct vttm_state i;
	unsigned int tries;

	for (tries = 0; tries < 64; tries++) {
		if (!bo_info(g, b, &i))
			return false;
		if (!i.resident_pages) {
			lru_drain();
			return true;
		}
		vttm_shrink(g->minor, i.resident_pages, writeback, NULL);
	}
	FAIL("%" PRIu64 " pages still resident after %u shrinks", i.resident_pages, tries);
	return false;
}

bool share(struct pair *p, uint32_t caching, bool backed_up)
{
	int ret;

	if (!gpu_open_nth(&p->exporter, 0) || !gpu_open_nth(&p->importer, 1) ||
	    !bo_new(&p->exporter, &p->b, SIZE, caching, caching + 1))
		return false;
	if (backed_up && !back_up(&p->exporter, &p->b, true))
		return false;
	ret = to_fd(&p->exporter, p->b.handle, &p->fd);
	if (!ret)
		ret = to_handle(&p->importer, p->fd, &p->imported);
	if (ret)
		FAIL("sharing: %s", strerror(-ret));
	return !ret;
}

static void imported_content(bool backed_up)
{
	struct vttm_state i;
	struct bo as_imported;
	struct pair p;
	uint32_t caching;

	for (caching = DRM_VTTM_CACHED; caching <= DRM_VTTM_UC; caching++) {
		ASSERT(share(&p, caching, backed_up));
		ASSERT_OK(vttm_info(p.importer.fd, p.imported, &i));
		EXPECT_EQ(i.size, p.b.size);
		EXPECT(i.flags & DRM_VTTM_INFO_IMPORTED);
		as_imported = p.b;
		as_imported.handle = p.imported;
		EXPECT(bo_check_engine(&p.importer, &as_imported));
		/* under pressure on both sides, whatever can move */
		vttm_shrink(p.exporter.minor, PAGES(p.b.size), true, NULL);
		vttm_shrink(p.importer.minor, PAGES(p.b.size), true, NULL);
		EXPECT(bo_check_engine(&p.importer, &as_imported));
		EXPECT(bo_check_map(&p.b));
		EXPECT(bo_check_engine(&p.exporter, &p.b));
		close(p.fd);
		close(p.importer.fd);
		close(p.exporter.fd);
		munmap(p.b.map, p.b.size);
	}
}

static void content(void)
{
	imported_content(false);
}

static void content_backed_up(void)
{
	imported_content(true);
}

static void engine_writes_through(void)
{
	struct drm_vttm_op op = { .opcode = DRM_VTTM_OP_FILL };
	struct pair p;
	uint64_t at;

	ASSERT(share(&p, DRM_VTTM_WC, false));
	op.dst = p.imported;
	op.dst_offset = MiB;
	op.size = MiB;
	op.value = 0x600df00d;
	ASSERT_OK(vttm_submit(p.importer.fd, &op, 1));
	ASSERT_OK(vttm_wait(p.importer.fd, p.imported, -1));
	for (at = MiB; at < 2 * MiB; at += 4)
		ASSERT_EQ(*(uint32_t *)(p.b.map + at), 0x600df00d);
	EXPECT_EQ(pattern_check(test_source(), p.b.seed, p.b.map, MiB), -1);
}

/* The importer's access outlives the exporter's handle, file and mapping. */
static void exporter_gone(void)
{
	struct bo as_imported;
	struct pair p;

	ASSERT(share(&p, DRM_VTTM_WC, false));
	munmap(p.b.map, p.b.size);
	close(p.fd);
	close(p.exporter.fd);
	as_imported = p.b;
	as_imported.handle = p.imported;
	vttm_shrink(p.exporter.minor, PAGES(p.b.size), false, NULL);
	EXPECT(bo_check_engine(&p.importer, &as_imported));
	EXPECT_OK(vttm_close(p.importer.fd, p.imported));
}

static void dmabuf_mmap(void)
{
	struct dma_buf_sync sync = { 0 };
	struct bo through;
	struct pair p;

	ASSERT(share(&p, DRM_VTTM_CACHED, true));
	through = p.b;
	through.map = mmap(NULL, p.b.size, PROT_READ | PROT_WRITE, MAP_SHARED,
			   p.fd, 0);
	ASSERT(through.map != MAP_FAILED);
	sync.flags = DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW;
	ASSERT_EQ(ioctl(p.fd, DMA_BUF_IOCTL_SYNC, &sync), 0);
	EXPECT(bo_check_map(&through));
	EXPECT(bo_fill(&through, 77));
	sync.flags = DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW;
	ASSERT_EQ(ioctl(p.fd, DMA_BUF_IOCTL_SYNC, &sync), 0);
	p.b.seed = through.seed;
	p.b.crc = through.crc;
	EXPECT(bo_check_map(&p.b));
	EXPECT(bo_check_engine(&p.exporter, &p.b));
	munmap(through.map, through.size);
}

static void self_import(void)
{
	struct gpu g;
	struct bo b;
	uint32_t handle;
	int fd;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, SIZE, DRM_VTTM_WC, 1));
	ASSERT_OK(to_fd(&g, b.handle, &fd));
	ASSERT_OK(to_handle(&g, fd, &handle));
	EXPECT_EQ(handle, b.handle);
	/* exported, but nobody is attached: it may still be backed up */
	ASSERT(back_up(&g, &b, false));
	EXPECT(bo_check_map(&b));
	close(fd);
}

static void bad_input(void)
{
	struct drm_vttm_madvise m = { .madv = DRM_VTTM_MADV_DONTNEED };
	struct pair p;
	uint32_t handle;
	int fd, null;

	ASSERT(share(&p, DRM_VTTM_CACHED, false));
	EXPECT_ERR(to_fd(&p.exporter, 0x7fff, &fd), ENOENT);
	null = open("/dev/null", O_RDWR);
	EXPECT_ERR(to_handle(&p.importer, null, &handle), EINVAL);
	EXPECT_ERR(to_handle(&p.importer, -1, &handle), EBADF);
	close(null);
	/* the contents of an import are not the importer's to give up */
	m.handle = p.imported;
	EXPECT_ERR(vttm_ioctl(p.importer.fd, DRM_IOCTL_VTTM_MADVISE, &m), EINVAL);
	EXPECT(bo_check_map(&p.b));
}

/* Whoever has been given a dma-buf to read from cannot write to it as a debugger can. */
static void read_only(void)
{
	struct gpu g;
	struct bo b;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, SIZE, DRM_VTTM_WC, 1));
	bo_check_read_only(g.fd, &b);
	bo_free(&g, &b);
}

/* No file that is read-only here, so that the task may have access if it likes to. */
static void not_accessible(void)
{
	static const int prots[] = { PROT_NONE, PROT_READ };
	unsigned int i;
	struct gpu g;
	uint8_t *map;
	struct bo b;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, SIZE, DRM_VTTM_WC, 1));
	for (i = 0; i < ARRAY_LEN(prots); i++) {
		map = vttm_map(g.fd, b.handle, b.size);
		ASSERT(map != MAP_FAILED);
		ASSERT_EQ(mprotect(map, b.size, prots[i]), 0);
		bo_check_debugger_writes(&b, map);
		munmap(map, b.size);
	}
	bo_free(&g, &b);
}

/* ---- one buffer, and what stands for it ---- */

static bool same_file(int a, int b)
{
	struct stat x, y;

	return !fstat(a, &x) && !fstat(b, &y) && x.st_ino == y.st_ino && x.st_dev == y.st_dev;
}

/* As often as it is exported, one dma-buf; as often as that is imported, one handle. */
static void one_handle(void)
{
	struct pair p;
	struct bo b;
	int again, copy, other, back;
	uint32_t handle;

	ASSERT(share(&p, DRM_VTTM_CACHED, false));
	ASSERT(bo_new(&p.exporter, &b, PAGE, DRM_VTTM_CACHED, 7));
	ASSERT_OK(to_fd(&p.exporter, p.b.handle, &again));
	ASSERT_OK(to_fd(&p.exporter, b.handle, &other));
	copy = dup(p.fd);
	ASSERT_GE(copy, 0);
	EXPECT(same_file(p.fd, again));
	EXPECT(same_file(p.fd, copy));
	EXPECT(!same_file(p.fd, other));
	/* where it is from */
	ASSERT_OK(to_handle(&p.exporter, again, &handle));
	EXPECT_EQ(handle, p.b.handle);
	ASSERT_OK(to_handle(&p.exporter, copy, &handle));
	EXPECT_EQ(handle, p.b.handle);
	ASSERT_OK(to_handle(&p.exporter, other, &handle));
	EXPECT_EQ(handle, b.handle);
	/* where it has been imported, and with the first file descriptor gone */
	close(p.fd);
	ASSERT_OK(to_handle(&p.importer, again, &handle));
	EXPECT_EQ(handle, p.imported);
	ASSERT_OK(to_handle(&p.importer, copy, &handle));
	EXPECT_EQ(handle, p.imported);
	ASSERT_OK(to_handle(&p.importer, other, &handle));
	EXPECT(handle != p.imported);
	/* what is exported there is not a dma-buf of the importer's */
	ASSERT_OK(to_fd(&p.importer, p.imported, &back));
	EXPECT(same_file(back, again));
	ASSERT_OK(to_handle(&p.exporter, back, &handle));
	EXPECT_EQ(handle, p.b.handle);
	/* the handle was one for all of these */
	ASSERT_OK(vttm_close(p.importer.fd, p.imported));
	EXPECT_ERR(vttm_close(p.importer.fd, p.imported), EINVAL);
	close(again);
	close(copy);
	close(other);
	close(back);
}

/* From a device to another and back to a second file of the first: the very buffer. */
static void round_trip(void)
{
	struct drm_vttm_op op = { .opcode = DRM_VTTM_OP_FILL, .size = 4, .value = 0x4711 };
	struct vttm_state i;
	struct gpu third;
	struct pair p;
	uint32_t word;
	struct bo b;
	int fd;

	ASSERT(share(&p, DRM_VTTM_WC, false));
	ASSERT(gpu_open_nth(&third, 0));
	word = *(uint32_t *)p.b.map;
	ASSERT_OK(to_fd(&p.importer, p.imported, &fd));
	b = p.b;
	ASSERT_OK(to_handle(&third, fd, &b.handle));
	ASSERT_OK(bo_map(third.fd, &b));
	EXPECT(bo_check_map(&b));
	EXPECT(bo_check_engine(&third, &b));
	/* its own there, so it may be backed up and written as such */
	ASSERT_OK(vttm_info(third.fd, b.handle, &i));
	EXPECT(!(i.flags & DRM_VTTM_INFO_IMPORTED));
	EXPECT_EQ(i.caching, p.b.caching);
	op.dst = b.handle;
	ASSERT_OK(vttm_submit(third.fd, &op, 1));
	ASSERT_OK(vttm_wait(p.exporter.fd, p.b.handle, -1));
	EXPECT_EQ(*(uint32_t *)p.b.map, 0x4711);
	ASSERT_OK(vttm_close(p.importer.fd, p.imported));
	close(fd);
	close(p.fd);
	ASSERT(back_up(&p.exporter, &p.b, false));
	EXPECT_EQ(*(uint32_t *)p.b.map, 0x4711);
	*(uint32_t *)b.map = word;
	EXPECT(bo_check_map(&b));
	EXPECT(bo_check_map(&p.b));
}

/* ---- how long it lives ---- */

/* Without a handle, the dma-buf has the buffer, whether that is backed up or not. */
static void no_handle(void)
{
	struct vttm_state i;
	unsigned int round;
	struct gpu g;
	struct bo b;
	int fd;

	for (round = 0; round < 2; round++) {
		ASSERT(gpu_open(&g));
		ASSERT(bo_new(&g, &b, SIZE, DRM_VTTM_WC, 1 + round));
		ASSERT_OK(to_fd(&g, b.handle, &fd));
		if (round)
			ASSERT(back_up(&g, &b, false));
		bo_free(&g, &b);
		EXPECT_ERR(vttm_info(g.fd, b.handle, &i), ENOENT);
		/* nor a file of the device */
		close(g.fd);
		ASSERT(gpu_open(&g));
		ASSERT_OK(to_handle(&g, fd, &b.handle));
		close(fd);
		EXPECT_ERR(to_handle(&g, fd, &b.handle), EBADF);
		ASSERT_OK(bo_map(g.fd, &b));
		EXPECT(bo_check_map(&b));
		EXPECT(bo_check_engine(&g, &b));
		bo_free(&g, &b);
		close(g.fd);
	}
}

/* An import keeps the pages where they are, and nothing does when it has gone. */
static void unpinned(void)
{
	struct vttm_state i;
	unsigned int round;
	struct pair p;

	ASSERT(share(&p, DRM_VTTM_CACHED, false));
	for (round = 0; round < 3; round++) {
		vttm_shrink(p.exporter.minor, PAGES(p.b.size), false, NULL);
		ASSERT(bo_info(&p.exporter, &p.b, &i));
		EXPECT_EQ(i.resident_pages, PAGES(p.b.size));
		ASSERT_OK(vttm_close(p.importer.fd, p.imported));
		ASSERT(back_up(&p.exporter, &p.b, false));
		/* to import it again brings it back */
		ASSERT_OK(to_handle(&p.importer, p.fd, &p.imported));
		ASSERT(bo_info(&p.exporter, &p.b, &i));
		EXPECT_EQ(i.backed_up_pages, 0);
		EXPECT(bo_check_map(&p.b));
	}
	close(p.fd);
	close(p.importer.fd);
	ASSERT(back_up(&p.exporter, &p.b, false));
	EXPECT(bo_check_map(&p.b));
}

/* ---- who is charged ---- */

/* Each file that imports it has a page vector for it, which is the file's. */
static void import_again_and_again(void *arg)
{
	/* seven mappings of a page for DMA are as many as can be debugged */
	enum { FILES = 6 };
	struct pair *p = arg;
	struct gpu g[FILES];
	uint32_t handle;
	unsigned int i;
	uint64_t then;

	/* charges are made for a batch at a time, for each processor */
	ASSERT_OK(run_on(0));
	ASSERT_OK(cg_enter("importer"));
	for (i = 0; i < FILES; i++)
		ASSERT(gpu_open_nth(&g[i], 1));
	then = cg_read("importer", "memory.current");
	for (i = 0; i < FILES; i++)
		ASSERT_OK(to_handle(&g[i], p->fd, &handle));
	/* the array of pages that each attachment maps is not charged */
	EXPECT_GE(cg_read("importer", "memory.current"),
		  then + FILES * PAGES(p->b.size) * sizeof(void *));
}

static void imports_are_charged(void)
{
	struct pair p;

	ASSERT_OK(cg_create("importer"));
	ASSERT(gpu_open(&p.exporter));
	ASSERT(bo_new(&p.exporter, &p.b, 64 * MiB, DRM_VTTM_CACHED, 1));
	ASSERT_OK(to_fd(&p.exporter, p.b.handle, &p.fd));
	EXPECT(ktap_child(import_again_and_again, &p));
	EXPECT_OK(cg_remove("importer"));
	close(p.fd);
	bo_free(&p.exporter, &p.b);
	close(p.exporter.fd);
}

static const struct test tests[] = {
	{ "prime_import_sees_content", content },
	{ "prime_import_of_backed_up_buffer", content_backed_up },
	{ "prime_engine_writes_reach_exporter", engine_writes_through },
	{ "prime_import_outlives_exporter", exporter_gone },
	{ "prime_dmabuf_mmap", dmabuf_mmap },
	{ "prime_self_import_is_same_handle", self_import },
	{ "prime_refuses_bad_input", bad_input },
	{ "c104_imports_are_charged", imports_are_charged },
	{ "c116_read_only_for_debuggers", read_only },
	{ "c116_debuggers_write_what_is_not_accessible", not_accessible },
	{ "c120_one_dma_buf_one_handle", one_handle },
	{ "c120_to_another_device_and_back", round_trip },
	{ "c120_dma_buf_without_a_handle", no_handle },
	{ "c120_imports_pin_while_they_are", unpinned },
	{ "c120_size_and_seek", size_and_seek },
	{ "c120_mappings_of_a_dma_buf", mapped },
	{ "c120_who_may_write", access_mode },
	{ "c120_sync_refuses_bad_input", sync_arguments },
	{ "c120_sync_waits_for_the_engine", sync_waits },
	{ "c120_poll_waits_for_the_engine", polled },
	{ "c120_fences_as_files", sync_files },
	{ "c120_import_races_with_close", race_import_close },
	{ "c120_export_races_with_close", race_export_close },
};

/*
 * Calls the shrinkers of both devices all the time. To write to their files "shrink" would
 * have them wait for jobs, with a buffer locked that a test looks at meanwhile.
 */
static pid_t start_shrinking(atomic_ulong *pages)
{
	pid_t pid = fork_or_die();
	uint64_t then;

	if (pid)
		return pid;
	/* no line in the log for each, then objects only */
	write_str("/proc/sys/vm/drop_caches", "4");
	do {
		usleep(1000);
		then = backup_stat("inserted");
		if (write_str("/proc/sys/vm/drop_caches", "2"))
			_exit(1);
		atomic_fetch_add(pages, backup_stat("inserted") - then);
	} while (true);
}

static int run_shrinking(void)
{
	atomic_ulong *pages = shared_memory(PAGE);
	unsigned int first;
	int ret, status = 0;
	pid_t pid;

	for (first = 0; strncmp(tests[first].name, "c120_", 5); first++)
		;
	mount_all();
	race_rounds = 200;
	pid = start_shrinking(pages);
	ret = ktap_run(tests + first, ARRAY_LEN(tests) - first);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	test_note("%lu pages backed up meanwhile", atomic_load(pages));
	/* or the tests have seen nothing of it; one of them alone may have all pinned */
	if (!WIFSIGNALED(status) || (!getenv("KTAP_ONLY") && atomic_load(pages) < 10 * PAGES(SIZE)))
		die("nobody was shrunk");
	return ret;
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "shrinking"))
		return run_shrinking();
	if (argc > 1)
		die("usage: test-prime [shrinking]");
	return ktap_run(tests, ARRAY_LEN(tests));
}
