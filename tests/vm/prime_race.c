// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Dma-bufs and handles that are made while others close them. */

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <unistd.h>

#include "prime.h"

enum { RACERS = 3 };

unsigned int race_rounds = 1000;

struct racer {
	pthread_t thread;
	const struct gpu *g;
	int fd;				/* to import from */
	pthread_barrier_t *barrier;	/* where each round begins and ends */
	atomic_uint *handle;		/* to export, 0 while there is none */
	atomic_bool *over;
	unsigned int done;
};

/* Handles are one for all threads of a file, and any of these may close it first. */
static void *import_and_close(void *arg)
{
	struct racer *r = arg;
	unsigned int i;
	uint32_t handle;
	int ret;

	for (i = 0; i < race_rounds; i++) {
		pthread_barrier_wait(r->barrier);
		ret = to_handle(r->g, r->fd, &handle);
		if (ret) {
			FAIL("import: %s", strerror(-ret));
		} else {
			ret = vttm_close(r->g->fd, handle);
			if (ret && ret != -EINVAL)
				FAIL("close: %s", strerror(-ret));
			r->done += !ret;
		}
		pthread_barrier_wait(r->barrier);
	}
	return NULL;
}

/* Devices that are attached to dma-bufs, all in all */
static unsigned int attached(void)
{
	const char *p = must_read(DEBUGFS "/dma_buf/bufinfo");
	unsigned int nr = 0;

	while ((p = strstr(p, "Total "))) {
		p += strlen("Total ");
		if (!strncmp(p + strspn(p, "0123456789"), " devices", strlen(" devices")))
			nr += strtoul(p, NULL, 10);
	}
	return nr;
}

void race_import_close(void)
{
	struct bo as_imported;
	struct racer r[RACERS];
	pthread_barrier_t barrier;
	unsigned int i, round, side, done;
	struct pair p;

	ASSERT(share(&p, DRM_VTTM_CACHED, false));
	ASSERT_EQ(attached(), 1);
	ASSERT(!pthread_barrier_init(&barrier, NULL, RACERS + 1));
	/* where it is a handle of the buffer's own, and where it is attached each time */
	for (side = 0; side < 2; side++) {
		struct gpu g;

		ASSERT(gpu_open_nth(&g, side));
		for (i = 0, done = 0; i < RACERS; i++) {
			r[i] = (struct racer){ .g = &g, .fd = p.fd, .barrier = &barrier };
			ASSERT(!pthread_create(&r[i].thread, NULL, import_and_close, &r[i]));
		}
		for (round = 0; round < race_rounds; round++) {
			pthread_barrier_wait(&barrier);
			pthread_barrier_wait(&barrier);
			/*
			 * A worker detaches what was locked when it was closed. Debugging of
			 * the DMA API warns if a page is mapped more often than seven times.
			 */
			while (attached() > 1)
				usleep(1000);
		}
		for (i = 0; i < RACERS; i++) {
			pthread_join(r[i].thread, NULL);
			done += r[i].done;
		}
		test_note("%u handles closed in %u rounds", done, round);
		/* or nobody ever had one */
		EXPECT_GE(done, race_rounds);
		as_imported = p.b;
		ASSERT_OK(to_handle(&g, p.fd, &as_imported.handle));
		EXPECT(bo_check_engine(&g, &as_imported));
		EXPECT_OK(vttm_close(g.fd, as_imported.handle));
		close(g.fd);
	}
	EXPECT(bo_check_map(&p.b));
	/* nothing is attached any more */
	ASSERT_OK(vttm_close(p.importer.fd, p.imported));
	ASSERT(back_up(&p.exporter, &p.b, false));
}

static void *export_again_and_again(void *arg)
{
	struct racer *r = arg;

	while (!atomic_load(r->over)) {
		uint32_t handle = atomic_load(r->handle), back;
		int fd, ret;

		if (!handle)
			continue;
		ret = to_fd(r->g, handle, &fd);
		if (ret) {
			if (ret != -ENOENT) {
				FAIL("export: %s", strerror(-ret));
				return NULL;
			}
			continue;
		}
		r->done++;
		/* it is whole, whatever has become of the handle */
		if (lseek(fd, 0, SEEK_END) != PAGE)
			FAIL("a dma-buf of %lld bytes", (long long)lseek(fd, 0, SEEK_END));
		ret = to_handle(r->g, fd, &back);
		if (ret)
			FAIL("import of one's own: %s", strerror(-ret));
		else
			vttm_close(r->g->fd, back);
		close(fd);
	}
	return NULL;
}

void race_export_close(void)
{
	atomic_uint handle = 0;
	atomic_bool over = false;
	unsigned int i, done = 0, closed = 0;
	struct racer r[2];
	struct gpu g;

	ASSERT(gpu_open(&g));
	for (i = 0; i < ARRAY_LEN(r); i++) {
		r[i] = (struct racer){ .g = &g, .handle = &handle, .over = &over };
		ASSERT(!pthread_create(&r[i].thread, NULL, export_again_and_again, &r[i]));
	}
	for (i = 0; i < race_rounds; i++) {
		uint64_t size = PAGE;
		uint32_t h;
		int ret;

		ret = vttm_create(g.fd, &size, DRM_VTTM_CACHED, &h);
		if (ret) {
			FAIL("create: %s", strerror(-ret));
			break;
		}
		atomic_store(&handle, h);
		sched_yield();
		ret = vttm_close(g.fd, h);
		/* the others may have closed what they had imported, which is the same */
		if (ret && ret != -EINVAL)
			FAIL("close: %s", strerror(-ret));
		closed += !ret;
	}
	atomic_store(&over, true);
	for (i = 0; i < ARRAY_LEN(r); i++) {
		pthread_join(r[i].thread, NULL);
		done += r[i].done;
	}
	test_note("%u exports beside %u closes", done, closed);
	EXPECT_GT(done, 0);
	EXPECT_GT(closed, 0);
	close(g.fd);
}
