// SPDX-License-Identifier: GPL-2.0 OR MIT
/* The file that a dma-buf is: its size, its mappings, and who may write to it. */

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <xf86drm.h>

#include "prime.h"

void size_and_seek(void)
{
	static const int whence[] = { SEEK_CUR, SEEK_DATA, SEEK_HOLE, 17 };
	int fd[2], other;
	struct pair p;
	unsigned int i, n;
	char byte;

	ASSERT(share(&p, DRM_VTTM_CACHED, true));
	fd[0] = p.fd;
	ASSERT_OK(to_fd(&p.importer, p.imported, &fd[1]));
	for (i = 0; i < ARRAY_LEN(fd); i++) {
		EXPECT_EQ(lseek(fd[i], 0, SEEK_END), p.b.size);
		EXPECT_EQ(lseek(fd[i], 0, SEEK_SET), 0);
		for (n = 0; n < ARRAY_LEN(whence); n++) {
			EXPECT_EQ(lseek(fd[i], 0, whence[n]), -1);
			EXPECT_EQ(errno, EINVAL);
		}
		EXPECT_EQ(lseek(fd[i], PAGE, SEEK_SET), -1);
		EXPECT_EQ(errno, EINVAL);
		EXPECT_EQ(lseek(fd[i], -(off_t)PAGE, SEEK_END), -1);
		EXPECT_EQ(errno, EINVAL);
		/* it is there to be mapped */
		EXPECT_EQ(read(fd[i], &byte, 1), -1);
		EXPECT_EQ(write(fd[i], &byte, 1), -1);
		EXPECT_EQ(ftruncate(fd[i], PAGE), -1);
	}
	ASSERT_OK(to_fd(&p.exporter, p.b.handle, &other));
	EXPECT_EQ(lseek(other, 0, SEEK_END), p.b.size);
	close(other);
	close(fd[1]);
	EXPECT(bo_check_map(&p.b));
}

static void *map_dma_buf(int fd, uint64_t offset, uint64_t size, int prot)
{
	void *map = mmap(NULL, size, prot, MAP_SHARED, fd, offset);

	return map == MAP_FAILED ? NULL : map;
}

static void write_as_child(void *arg)
{
	const struct bo *b = arg;

	EXPECT(bo_check_map(b));
	*(uint32_t *)(b->map + PAGE) = 0xc0ffee;
}

/* Parts of it, in other processes, and when all else has gone. */
void mapped(void)
{
	struct bo through, part;
	struct pair p;
	uint32_t *word;
	int fd[2];

	ASSERT(share(&p, DRM_VTTM_WC, false));
	fd[0] = p.fd;
	/* an import of it, which is mapped through the exporter */
	ASSERT_OK(to_fd(&p.importer, p.imported, &fd[1]));
	through = p.b;
	through.map = map_dma_buf(fd[1], 0, p.b.size, PROT_READ | PROT_WRITE);
	ASSERT(through.map);
	EXPECT(bo_check_map(&through));
	/* neither past the end nor private */
	EXPECT(!map_dma_buf(p.fd, p.b.size, PAGE, PROT_READ));
	EXPECT(!map_dma_buf(p.fd, PAGE, p.b.size, PROT_READ));
	EXPECT(!map_dma_buf(p.fd, 0, p.b.size + PAGE, PROT_READ));
	/* the middle of it, twice */
	part.map = map_dma_buf(p.fd, 2 * MiB, MiB, PROT_READ | PROT_WRITE);
	ASSERT(part.map);
	word = map_dma_buf(p.fd, 2 * MiB, PAGE, PROT_READ | PROT_WRITE);
	ASSERT(word);
	EXPECT(!memcmp(part.map, through.map + 2 * MiB, MiB));
	EXPECT_EQ(*word, *(uint32_t *)(p.b.map + 2 * MiB));
	munmap(part.map, MiB);
	munmap(word, PAGE);
	/* a child has what its parent has mapped, and not a copy */
	word = (uint32_t *)(p.b.map + PAGE);
	EXPECT(ktap_child(write_as_child, &through));
	EXPECT_EQ(*word, 0xc0ffee);
	EXPECT(bo_fill(&p.b, 3));
	through.seed = p.b.seed;
	through.crc = p.b.crc;
	/* the mapping is all that is left */
	munmap(p.b.map, p.b.size);
	close(fd[0]);
	close(fd[1]);
	close(p.importer.fd);
	close(p.exporter.fd);
	EXPECT(bo_check_map(&through));
	vttm_shrink(p.exporter.minor, PAGES(p.b.size), false, NULL);
	EXPECT(bo_check_map(&through));
	munmap(through.map, through.size);
}

/* DRM_RDWR decides who may write, for all that is opened in its place as well. */
void access_mode(void)
{
	int ro, rw, copy;
	struct gpu g;
	uint8_t *map;
	struct bo b;

	/* the first to export decides, so it takes two buffers */
	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, 2 * PAGE, DRM_VTTM_CACHED, 1));
	ASSERT_EQ(drmPrimeHandleToFD(g.fd, b.handle, DRM_CLOEXEC, &ro), 0);
	EXPECT_EQ(fcntl(ro, F_GETFL) & O_ACCMODE, O_RDONLY);
	EXPECT_EQ(fcntl(ro, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	copy = dup(ro);
	EXPECT(!map_dma_buf(ro, 0, b.size, PROT_READ | PROT_WRITE));
	EXPECT_EQ(errno, EACCES);
	EXPECT(!map_dma_buf(copy, 0, b.size, PROT_WRITE));
	EXPECT_EQ(errno, EACCES);
	map = map_dma_buf(ro, 0, b.size, PROT_READ);
	ASSERT(map);
	EXPECT(!memcmp(map, b.map, b.size));
	EXPECT_EQ(mprotect(map, b.size, PROT_READ | PROT_WRITE), -1);
	munmap(map, b.size);
	close(copy);
	close(ro);
	bo_free(&g, &b);

	ASSERT(bo_new(&g, &b, 2 * PAGE, DRM_VTTM_CACHED, 2));
	ASSERT_EQ(drmPrimeHandleToFD(g.fd, b.handle, DRM_RDWR, &rw), 0);
	EXPECT_EQ(fcntl(rw, F_GETFL) & O_ACCMODE, O_RDWR);
	EXPECT_EQ(fcntl(rw, F_GETFD) & FD_CLOEXEC, 0);
	map = map_dma_buf(rw, 0, b.size, PROT_READ | PROT_WRITE);
	ASSERT(map);
	*(uint32_t *)(map + PAGE) = 0xabcd;
	EXPECT_EQ(*(uint32_t *)(b.map + PAGE), 0xabcd);
	munmap(map, b.size);
	close(rw);
	/* no flag of somebody else's */
	EXPECT_EQ(drmPrimeHandleToFD(g.fd, b.handle, O_APPEND, &rw), -1);
	EXPECT_EQ(errno, EINVAL);
	bo_free(&g, &b);
}
