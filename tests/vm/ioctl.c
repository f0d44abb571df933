// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * Every field of every ioctl, one bad value at a time: the errno is exact. And mmap(),
 * which has none to tell of signals.
 */

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <xf86drm.h>

#include "fixture.h"

#define BAD_HANDLE	0x7fffu

static void create_bad(void)
{
	static const struct {
		const char *what;
		struct drm_vttm_create c;
		int err;
	} bad[] = {
		{ "size 0", { .size = 0 }, EINVAL },
		{ "size over half of the address space",
		  { .size = (1ull << 63) + PAGE }, EINVAL },
		{ "size that overflows when rounded up",
		  { .size = UINT64_MAX }, EINVAL },
		{ "more than there is memory", { .size = 1ull << 46 }, ENOMEM },
		{ "caching 3", { .size = PAGE, .caching = 3 }, EINVAL },
		{ "caching ~0", { .size = PAGE, .caching = ~0u }, EINVAL },
		{ "no VRAM", { .size = PAGE, .flags = DRM_VTTM_CREATE_VRAM }, EOPNOTSUPP },
		{ "flags 4", { .size = PAGE, .flags = 4 }, EINVAL },
		{ "flags 1 << 31", { .size = PAGE, .flags = 1u << 31 }, EINVAL },
		{ "pad 1", { .size = PAGE, .pad = 1 }, EINVAL },
	};
	struct gpu g;
	size_t i;

	ASSERT(gpu_open(&g));
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		struct drm_vttm_create c = bad[i].c;
		int ret = vttm_ioctl(g.fd, DRM_IOCTL_VTTM_CREATE, &c);

		if (ret != -bad[i].err)
			FAIL("%s: %d, not %d", bad[i].what, ret, -bad[i].err);
	}
}

static void create_good(void)
{
	static const uint64_t sizes[] = { 1, PAGE - 1, PAGE, PAGE + 1, 3 * MiB + 5 };
	struct vttm_state info;
	uint32_t caching, handle;
	struct gpu g;
	size_t i;

	ASSERT(gpu_open(&g));
	for (caching = DRM_VTTM_CACHED; caching <= DRM_VTTM_UC; caching++) {
		for (i = 0; i < ARRAY_LEN(sizes); i++) {
			uint64_t size = sizes[i];

			ASSERT_OK(vttm_create(g.fd, &size, caching, &handle));
			EXPECT(handle);
			EXPECT_EQ(size, PAGES(sizes[i]) * PAGE);
			ASSERT_OK(vttm_info(g.fd, handle, &info));
			EXPECT_EQ(info.size, size);
			EXPECT_EQ(info.caching, vttm_caching(caching));
			EXPECT_EQ(info.flags, 0);
			EXPECT_OK(vttm_close(g.fd, handle));
			/* the handle is gone */
			EXPECT_ERR(vttm_info(g.fd, handle, &info), ENOENT);
			EXPECT_ERR(vttm_close(g.fd, handle), EINVAL);
		}
	}
}

/* Where a caching would not be coherent, a buffer is not silently given another one. */
static void create_caching(void)
{
	uint32_t caching;
	struct gpu g;

	ASSERT(gpu_open(&g));
	for (caching = DRM_VTTM_CACHED; caching <= DRM_VTTM_UC; caching++) {
		struct drm_vttm_create c = { .size = PAGE, .caching = caching };

		if (vttm_caching(caching) != caching) {
			EXPECT_ERR(vttm_ioctl(g.fd, DRM_IOCTL_VTTM_CREATE, &c), EOPNOTSUPP);
			continue;
		}
		ASSERT_OK(vttm_ioctl(g.fd, DRM_IOCTL_VTTM_CREATE, &c));
		EXPECT_OK(vttm_close(g.fd, c.handle));
	}
}

static void new_is_zero(void)
{
	static const uint8_t zero[PAGE];
	uint32_t caching, round, v;
	struct gpu g;
	struct bo b;
	uint64_t p;

	ASSERT(gpu_open(&g));
	for (caching = DRM_VTTM_CACHED; caching <= DRM_VTTM_UC; caching++) {
		/* the second round gets pages from the pool that held data */
		for (round = 0; round < 2; round++) {
			ASSERT_OK(bo_create(g.fd, &b, 2 * MiB + 3 * PAGE, caching, 0));
			ASSERT_OK(bo_map(g.fd, &b));
			for (p = 0; p < b.size; p += PAGE) {
				ASSERT(peek32(b.map + p, &v));
				ASSERT(!memcmp(b.map + p, zero, PAGE));
			}
			bo_free(&g, &b);
			ASSERT(bo_new(&g, &b, b.size, caching, 1));
			bo_free(&g, &b);
		}
	}
}

static void mmap_bad(void)
{
	struct drm_vttm_mmap_offset m;
	struct gpu g, other;
	struct bo b;

	ASSERT(gpu_open(&g));
	ASSERT(gpu_open(&other));
	ASSERT(bo_new(&g, &b, 4 * PAGE, DRM_VTTM_WC, 1));

	m = (struct drm_vttm_mmap_offset){ .handle = 0 };
	EXPECT_ERR(vttm_ioctl(g.fd, DRM_IOCTL_VTTM_MMAP_OFFSET, &m), ENOENT);
	m = (struct drm_vttm_mmap_offset){ .handle = BAD_HANDLE };
	EXPECT_ERR(vttm_ioctl(g.fd, DRM_IOCTL_VTTM_MMAP_OFFSET, &m), ENOENT);
	m = (struct drm_vttm_mmap_offset){ .handle = b.handle, .pad = 1 };
	EXPECT_ERR(vttm_ioctl(g.fd, DRM_IOCTL_VTTM_MMAP_OFFSET, &m), EINVAL);
	/* a handle of another open file is none of ours */
	m = (struct drm_vttm_mmap_offset){ .handle = b.handle };
	EXPECT_ERR(vttm_ioctl(other.fd, DRM_IOCTL_VTTM_MMAP_OFFSET, &m), ENOENT);

	m = (struct drm_vttm_mmap_offset){ .handle = b.handle };
	ASSERT_OK(vttm_ioctl(g.fd, DRM_IOCTL_VTTM_MMAP_OFFSET, &m));
	EXPECT(m.offset);
	EXPECT(!(m.offset % PAGE));
	/* more than the buffer */
	EXPECT(mmap(NULL, 5 * PAGE, PROT_READ, MAP_SHARED, g.fd, m.offset) ==
	       MAP_FAILED);
	EXPECT_EQ(errno, EINVAL);
	/* another open file has no right to it */
	EXPECT(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, other.fd, m.offset) ==
	       MAP_FAILED);
	EXPECT_EQ(errno, EACCES);
	/* an offset that names nothing */
	EXPECT(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, g.fd,
		    m.offset + (1ull << 30)) == MAP_FAILED);
	EXPECT_EQ(errno, EINVAL);
	EXPECT(bo_check_map(&b));
}

static void madvise_bad(void)
{
	struct drm_vttm_madvise m;
	struct vttm_state info;
	struct gpu g;
	struct bo b;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, 4 * PAGE, DRM_VTTM_CACHED, 1));
	m = (struct drm_vttm_madvise){ .handle = 0 };
	EXPECT_ERR(vttm_ioctl(g.fd, DRM_IOCTL_VTTM_MADVISE, &m), ENOENT);
	m = (struct drm_vttm_madvise){ .handle = BAD_HANDLE };
	EXPECT_ERR(vttm_ioctl(g.fd, DRM_IOCTL_VTTM_MADVISE, &m), ENOENT);
	m = (struct drm_vttm_madvise){ .handle = b.handle, .madv = 2 };
	EXPECT_ERR(vttm_ioctl(g.fd, DRM_IOCTL_VTTM_MADVISE, &m), EINVAL);
	m = (struct drm_vttm_madvise){ .handle = b.handle, .pad = 1 };
	EXPECT_ERR(vttm_ioctl(g.fd, DRM_IOCTL_VTTM_MADVISE, &m), EINVAL);
	m = (struct drm_vttm_madvise){
		.handle = b.handle, .madv = DRM_VTTM_MADV_DONTNEED, .pad = 1,
	};
	EXPECT_ERR(vttm_ioctl(g.fd, DRM_IOCTL_VTTM_MADVISE, &m), EINVAL);
	/* what failed had no effect */
	ASSERT(bo_info(&g, &b, &info));
	EXPECT_EQ(info.flags, 0);
	EXPECT(bo_check_map(&b));
}

static void info_bad(void)
{
	struct drm_vttm_info i;
	struct gpu g;
	struct bo b;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, PAGE, DRM_VTTM_CACHED, 1));
	i = (struct drm_vttm_info){ .handle = 0 };
	EXPECT_ERR(vttm_ioctl(g.fd, DRM_IOCTL_VTTM_INFO, &i), ENOENT);
	i = (struct drm_vttm_info){ .handle = BAD_HANDLE };
	EXPECT_ERR(vttm_ioctl(g.fd, DRM_IOCTL_VTTM_INFO, &i), ENOENT);
	i = (struct drm_vttm_info){ .handle = b.handle, .pad = 1 };
	EXPECT_ERR(vttm_ioctl(g.fd, DRM_IOCTL_VTTM_INFO, &i), EINVAL);
}

static void info_counts(void)
{
	struct backup_counters then, c;
	struct vttm_state i;
	uint64_t pages;
	struct gpu g;
	struct bo b;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, 2 * MiB + 3 * PAGE, DRM_VTTM_WC, 1));
	pages = PAGES(b.size);
	backup_counters(&then);
	ASSERT(bo_info(&g, &b, &i));
	EXPECT_EQ(i.resident_pages, pages);
	EXPECT_EQ(i.backed_up_pages + i.inserted_pages, 0);
	ASSERT(bo_backup(&g, &b, false));
	ASSERT(bo_info(&g, &b, &i));
	EXPECT_EQ(i.resident_pages, 0);
	EXPECT_EQ(i.backed_up_pages, pages);
	EXPECT_EQ(i.inserted_pages, pages);
	ASSERT(bo_check_map(&b));
	ASSERT(bo_info(&g, &b, &i));
	EXPECT_EQ(i.resident_pages, pages);
	EXPECT_EQ(i.backed_up_pages + i.inserted_pages, 0);
	/* how it came back is in TTM's statistics, for all buffers together */
	backup_counters_since(&then, &c);
	EXPECT_EQ(c.inserted, pages);
	EXPECT_EQ(c.copied, 0);
	EXPECT_EQ(c.restored_extracted, pages);
	EXPECT_EQ(c.restored_adopted + c.restored_copied, 0);
	ASSERT_OK(vttm_madvise(g.fd, b.handle, DRM_VTTM_MADV_DONTNEED, NULL));
	ASSERT_OK(vttm_purge(g.minor, 1, NULL));
	ASSERT(bo_info(&g, &b, &i));
	EXPECT_EQ(i.flags, DRM_VTTM_INFO_PURGED);
	EXPECT_EQ(i.resident_pages + i.backed_up_pages + i.inserted_pages, 0);
}

#define ORDER_PARAM	"/sys/module/vttm/parameters/beneficial_order"
#define PAGE_ALLOC	TRACING "/events/kmem/mm_page_alloc"

/* Allocations of that order that the trace tells of; all are to be an effort */
static unsigned int efforts(unsigned int order)
{
	const char *p = read_file(TRACING "/trace");
	unsigned int n = 0, len;
	char key[32];

	snprintf(key, sizeof(key), " order=%u ", order);
	for (; p && *p; p += len + (p[len] == '\n')) {
		char line[512];

		len = strcspn(p, "\n");
		snprintf(line, sizeof(line), "%.*s", (int)len, p);
		if (!strstr(line, ": mm_page_alloc: ") || !strstr(line, key))
			continue;
		n++;
		if (!strstr(line, "__GFP_RETRY_MAYFAIL") || strstr(line, "__GFP_NORETRY"))
			FAIL("not worth an effort: %s", line);
	}
	return n;
}

/* Unless somebody says otherwise, the device is at its best with chunks of 2 MiB. */
static void large_chunks(void)
{
	uint64_t pages[16], large = 0;
	unsigned int i, orders;
	struct gpu g;
	struct bo b;

	EXPECT_EQ(strtoul(must_read(ORDER_PARAM), NULL, 10), PMD_NR);
	ASSERT(gpu_open(&g));
	pools_drain();
	ASSERT_GE(free_2mib(), 16);
	ASSERT_OK(write_file(PAGE_ALLOC "/filter", "order == %u", PMD_NR));
	ASSERT(trace_on("kmem:mm_page_alloc"));
	ASSERT_OK(bo_create(g.fd, &b, 4 * MiB, DRM_VTTM_CACHED, 0));
	ASSERT_OK(bo_map(g.fd, &b));
	EXPECT_EQ(bo_touch(&b), -1);
	trace_off();
	EXPECT_OK(write_file(PAGE_ALLOC "/filter", "0"));
	EXPECT_GE(efforts(PMD_NR), 2);
	/* two that are side by side look like one */
	orders = vttm_chunks(g.minor, pages, ARRAY_LEN(pages));
	for (i = PMD_NR; i < orders; i++)
		large += pages[i];
	EXPECT_EQ(large, PAGES(b.size));
	for (i = 0; i < orders && i < PMD_NR; i++)
		EXPECT_EQ(pages[i], 0);
	bo_free(&g, &b);
}

/* A program built when a struct ended earlier gets what it knows, no more. */
static void submit_smaller(void)
{
	struct {
		__u64 ops;
		__u32 op_count, flags, syncobj, pad;
	} old;
	unsigned long request = _IOC(_IOC_WRITE, DRM_IOCTL_BASE,
				     DRM_COMMAND_BASE + DRM_VTTM_SUBMIT, sizeof(old));
	struct drm_vttm_op op = { .opcode = DRM_VTTM_OP_FILL, .size = 4, .value = 4711 };
	struct gpu g;
	struct bo b;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, PAGE, DRM_VTTM_UC, 1));
	op.dst = b.handle;
	memset(&old, 0, sizeof(old));
	old.ops = (uintptr_t)&op;
	old.op_count = 1;
	ASSERT_OK(vttm_ioctl(g.fd, request, &old));
	ASSERT_OK(vttm_wait(g.fd, b.handle, -1));
	EXPECT_EQ(*(uint32_t *)b.map, 4711);
	/* what it does know is looked at as before */
	old.pad = 1;
	EXPECT_ERR(vttm_ioctl(g.fd, request, &old), EINVAL);
}

static void wait_bad(void)
{
	struct drm_vttm_wait w;
	struct gpu g;
	struct bo b;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, PAGE, DRM_VTTM_CACHED, 1));
	w = (struct drm_vttm_wait){ .handle = 0 };
	EXPECT_ERR(vttm_ioctl(g.fd, DRM_IOCTL_VTTM_WAIT, &w), ENOENT);
	w = (struct drm_vttm_wait){ .handle = BAD_HANDLE };
	EXPECT_ERR(vttm_ioctl(g.fd, DRM_IOCTL_VTTM_WAIT, &w), ENOENT);
	w = (struct drm_vttm_wait){ .handle = b.handle, .pad = 1 };
	EXPECT_ERR(vttm_ioctl(g.fd, DRM_IOCTL_VTTM_WAIT, &w), EINVAL);
	/* idle: done at once, whatever the time given */
	EXPECT_OK(vttm_wait(g.fd, b.handle, 0));
	EXPECT_OK(vttm_wait(g.fd, b.handle, 1));
	EXPECT_OK(vttm_wait(g.fd, b.handle, INT64_MAX));
	EXPECT_OK(vttm_wait(g.fd, b.handle, -1));
	w = (struct drm_vttm_wait){ .handle = b.handle, .timeout_ns = INT64_MIN };
	EXPECT_OK(vttm_ioctl(g.fd, DRM_IOCTL_VTTM_WAIT, &w));
}

static void submit_bad(void)
{
	struct drm_vttm_op many[2];
	struct drm_vttm_submit s;
	struct drm_vttm_op fill;
	struct gpu g;
	struct bo b;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, 4 * PAGE, DRM_VTTM_WC, 1));
	fill = (struct drm_vttm_op){
		.opcode = DRM_VTTM_OP_FILL, .dst = b.handle, .size = PAGE,
		.value = 0xdeadbeef,
	};
	many[0] = fill;
	many[1] = fill;
	many[1].dst = BAD_HANDLE;

#define SUBMIT(...)							\
	(s = (struct drm_vttm_submit){ .ops = (uintptr_t)&fill,	\
				       .op_count = 1, __VA_ARGS__ },	\
	 vttm_ioctl(g.fd, DRM_IOCTL_VTTM_SUBMIT, &s))
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
	EXPECT_ERR(SUBMIT(.op_count = 0), EINVAL);
	EXPECT_ERR(SUBMIT(.op_count = DRM_VTTM_SUBMIT_MAX_OPS + 1), EINVAL);
	EXPECT_ERR(SUBMIT(.op_count = ~0u), EINVAL);
	EXPECT_ERR(SUBMIT(.flags = 1), EINVAL);
	EXPECT_ERR(SUBMIT(.pad = 1), EINVAL);
	EXPECT_ERR(SUBMIT(.ops = 0), EFAULT);
	EXPECT_ERR(SUBMIT(.ops = ~0ull - 4096), EFAULT);
	EXPECT_ERR(SUBMIT(.syncobj = 4711), ENOENT);
	EXPECT_ERR(SUBMIT(.syncobj = 4711, .point = 1), ENOENT);
	EXPECT_ERR(SUBMIT(.point = 1), EINVAL);
	/* the second operation is bad: the first must not run */
	EXPECT_ERR(SUBMIT(.ops = (uintptr_t)many, .op_count = 2), ENOENT);
	many[1] = fill;
	many[1].pad = 1;
	EXPECT_ERR(SUBMIT(.ops = (uintptr_t)many, .op_count = 2), EINVAL);
#pragma GCC diagnostic pop
#undef SUBMIT
	EXPECT_OK(vttm_wait(g.fd, b.handle, -1));
	EXPECT(bo_check_map(&b));
}

static void submit_op_bad(void)
{
	struct drm_vttm_op fill, copy, crc, op;
	struct gpu g;
	struct bo a, b;
	uint64_t size;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &a, 4 * PAGE, DRM_VTTM_WC, 1));
	ASSERT(bo_new(&g, &b, 4 * PAGE, DRM_VTTM_CACHED, 2));
	size = a.size;
	fill = (struct drm_vttm_op){
		.opcode = DRM_VTTM_OP_FILL, .dst = a.handle, .size = PAGE,
	};
	copy = (struct drm_vttm_op){
		.opcode = DRM_VTTM_OP_COPY, .dst = a.handle, .src = b.handle,
		.size = PAGE,
	};
	crc = (struct drm_vttm_op){
		.opcode = DRM_VTTM_OP_CRC32, .dst = a.handle, .src = b.handle,
		.size = PAGE,
	};

#define BAD(base, field, val, err)					\
do {									\
	op = base;							\
	op.field = val;							\
	if (vttm_submit(g.fd, &op, 1) != -(err))			\
		FAIL("%s with %s = %s: not %s", #base, #field, #val,	\
		     strerror(err));					\
} while (0)
	BAD(fill, opcode, 3, EINVAL);
	BAD(fill, opcode, ~0u, EINVAL);
	BAD(fill, dst, 0, ENOENT);
	BAD(fill, dst, BAD_HANDLE, ENOENT);
	BAD(fill, src, b.handle, EINVAL);
	BAD(fill, src_offset, 4, EINVAL);
	BAD(fill, pad, 1, EINVAL);
	BAD(fill, dst_offset, 2, EINVAL);
	BAD(fill, dst_offset, size, EINVAL);
	BAD(fill, dst_offset, size - PAGE + 4, EINVAL);
	BAD(fill, dst_offset, UINT64_MAX - 3, EINVAL);
	BAD(fill, size, 0, EINVAL);
	BAD(fill, size, 6, EINVAL);
	BAD(fill, size, size + 4, EINVAL);
	BAD(fill, size, UINT64_MAX - 3, EINVAL);

	BAD(copy, src, 0, ENOENT);
	BAD(copy, src, BAD_HANDLE, ENOENT);
	BAD(copy, dst, BAD_HANDLE, ENOENT);
	BAD(copy, value, 1, EINVAL);
	BAD(copy, pad, 1, EINVAL);
	BAD(copy, src_offset, 1, EINVAL);
	BAD(copy, src_offset, size, EINVAL);
	BAD(copy, src_offset, UINT64_MAX - 3, EINVAL);
	BAD(copy, dst_offset, 3, EINVAL);
	BAD(copy, dst_offset, size, EINVAL);
	BAD(copy, size, 0, EINVAL);
	BAD(copy, size, 5, EINVAL);
	BAD(copy, size, size + 4, EINVAL);
	/* overlap within one buffer */
	BAD(copy, src, a.handle, EINVAL);

	BAD(crc, src, BAD_HANDLE, ENOENT);
	BAD(crc, dst, BAD_HANDLE, ENOENT);
	BAD(crc, value, 1, EINVAL);
	BAD(crc, pad, 1, EINVAL);
	BAD(crc, dst_offset, 2, EINVAL);
	BAD(crc, dst_offset, size, EINVAL);
	BAD(crc, dst_offset, UINT64_MAX - 3, EINVAL);
	BAD(crc, src_offset, 2, EINVAL);
	BAD(crc, src_offset, size, EINVAL);
	BAD(crc, size, 0, EINVAL);
	BAD(crc, size, 7, EINVAL);
	BAD(crc, size, size + 4, EINVAL);
#undef BAD
	EXPECT(bo_check_map(&a));
	EXPECT(bo_check_map(&b));
}

static void submit_good(void)
{
	struct drm_vttm_op ops[4];
	uint32_t want[3 * PAGE / 4], crc;
	uint8_t before[PAGE];
	struct gpu g;
	struct bo a, b;
	size_t i;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &a, 4 * PAGE, DRM_VTTM_WC, 1));
	ASSERT(bo_new(&g, &b, 4 * PAGE, DRM_VTTM_UC, 2));
	memcpy(before, b.map, PAGE);

	/*
	 * In order: a fill that starts and ends inside pages, a copy of it to
	 * the other buffer, a copy of neighbouring ranges of one buffer, the
	 * checksum of all that.
	 */
	ops[0] = (struct drm_vttm_op){
		.opcode = DRM_VTTM_OP_FILL, .dst = a.handle,
		.dst_offset = 100, .size = PAGE, .value = 0xffffffff12345678ull,
	};
	ops[1] = (struct drm_vttm_op){
		.opcode = DRM_VTTM_OP_COPY, .dst = b.handle, .src = a.handle,
		.dst_offset = PAGE, .src_offset = 100, .size = PAGE,
	};
	ops[2] = (struct drm_vttm_op){
		.opcode = DRM_VTTM_OP_COPY, .dst = b.handle, .src = b.handle,
		.dst_offset = 2 * PAGE, .src_offset = PAGE, .size = PAGE,
	};
	ops[3] = (struct drm_vttm_op){
		.opcode = DRM_VTTM_OP_CRC32, .dst = a.handle, .src = b.handle,
		.dst_offset = 4 * PAGE - 4, .size = 3 * PAGE,
	};
	ASSERT_OK(vttm_submit(g.fd, ops, 4));
	ASSERT_OK(vttm_wait(g.fd, b.handle, -1));
	ASSERT_OK(vttm_wait(g.fd, a.handle, -1));

	memcpy(want, before, PAGE);
	for (i = PAGE / 4; i < ARRAY_LEN(want); i++)
		want[i] = 0x12345678;
	EXPECT(!memcmp(b.map, want, sizeof(want)));
	crc = crc32_update(0, want, sizeof(want));
	EXPECT_EQ(*(uint32_t *)(a.map + 4 * PAGE - 4), crc);
	/* what no operation named is as it was */
	pattern_page(test_source(), 2, 3, before);
	EXPECT(!memcmp(b.map + 3 * PAGE, before, PAGE));
	pattern_page(test_source(), 1, 0, before);
	EXPECT(!memcmp(a.map, before, 100));
	EXPECT_EQ(crc32_update(0, "123456789", 9), 0xcbf43926);
}

static void submit_syncobj(void)
{
	struct drm_vttm_submit s = { 0 };
	struct drm_vttm_op op;
	uint32_t syncobj;
	struct gpu g;
	struct bo b;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, 8 * MiB, DRM_VTTM_CACHED, 1));
	ASSERT_OK(drmSyncobjCreate(g.fd, 0, &syncobj));
	op = (struct drm_vttm_op){
		.opcode = DRM_VTTM_OP_FILL, .dst = b.handle, .size = b.size,
		.value = 0x0badcafe,
	};
	s.ops = (uintptr_t)&op;
	s.op_count = 1;
	s.syncobj = syncobj;
	ASSERT_OK(vttm_ioctl(g.fd, DRM_IOCTL_VTTM_SUBMIT, &s));
	ASSERT_OK(drmSyncobjWait(g.fd, &syncobj, 1, INT64_MAX, 0, NULL));
	/* the fence has signalled, so the work is done */
	EXPECT_EQ(*(uint32_t *)(b.map + b.size - 4), 0x0badcafe);
	EXPECT_OK(vttm_wait(g.fd, b.handle, 0));
	EXPECT_OK(drmSyncobjDestroy(g.fd, syncobj));
}

static void unknown_ioctl(void)
{
	struct gpu g;
	char arg[64] = { 0 };

	ASSERT(gpu_open(&g));
	EXPECT_ERR(vttm_ioctl(g.fd, DRM_IOWR(DRM_COMMAND_BASE + 6, char[64]), arg),
		   EINVAL);
}

static void shrink_bad(void)
{
	static const char *const bad[] = {
		"x", "-1", "12 pages", "busy", "0 busy", "12 writeback now", "writeback", "0",
		"99999999999999999999999",
	};
	char path[64];
	struct gpu g;
	struct bo b;
	size_t i;
	int ret;

	ASSERT(gpu_open(&g));
	ASSERT(bo_new(&g, &b, 4 * MiB, DRM_VTTM_CACHED, 1));
	snprintf(path, sizeof(path), "/sys/kernel/debug/dri/%u/shrink", g.minor);
	for (i = 0; i < ARRAY_LEN(bad); i++) {
		ret = write_file(path, "%s", bad[i]);
		if (ret != -EINVAL && ret != -ERANGE)
			FAIL("\"%s\": %d", bad[i], ret);
	}
	EXPECT(bo_check_where(&g, &b, PAGES(b.size), 0, 0));
}

/* ---- mmap() and signals ---- */

/* Has the buffer backed up and restored again and again, each time under its lock. */
static pid_t start_holder(const struct gpu *g, const struct bo *b)
{
	pid_t pid = fork_or_die();

	if (pid)
		return pid;
	for (;;) {
		uint32_t v;

		vttm_shrink(g->minor, PAGES(b->size), false, NULL);
		if (!peek32(b->map, &v))
			_exit(1);
	}
}

/* Sends its parent signals for some seconds, and exits. */
static pid_t start_interrupter(void)
{
	unsigned int sent;
	pid_t pid = fork_or_die();

	if (pid)
		return pid;
	for (sent = 0; sent < 2000; sent++) {
		kill(getppid(), SIGUSR1);
		usleep(1000);
	}
	_exit(0);
}

static void on_signal(int sig)
{
	(void)sig;	/* only there to interrupt */
}

static void mmap_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };
	pid_t holder, interrupter;
	int status = -1;
	struct gpu g;
	struct bo b;
	void *map;

	ASSERT(gpu_open(&g));
	ASSERT_OK(bo_create(g.fd, &b, 64 * MiB, DRM_VTTM_WC, 0));
	ASSERT_OK(bo_map(g.fd, &b));
	ASSERT(!sigaction(SIGUSR1, &sa, NULL));
	interrupter = start_interrupter();
	/* On one processor, so that who waits for a lock sleeps and does not spin. */
	ASSERT_OK(run_on(0));
	holder = start_holder(&g, &b);
	while (!waitpid(interrupter, &status, WNOHANG)) {
		map = vttm_map(g.fd, b.handle, b.size);
		if (map == MAP_FAILED) {
			FAIL("mmap: %s", strerror(errno));
			kill(interrupter, SIGKILL);
			break;
		}
		munmap(map, b.size);
	}
	EXPECT_EQ(status, 0);
	kill(holder, SIGKILL);
	EXPECT_EQ(waitpid(holder, &status, 0), holder);
	EXPECT_EQ(WTERMSIG(status), SIGKILL);
	bo_free(&g, &b);
}

/* By its name another file has it as well, and would lose what it maps. */
static void named_is_kept(void)
{
	struct drm_gem_flink flink = { 0 };
	struct drm_gem_open open = { 0 };
	struct gpu g, other;
	struct bo b;

	ASSERT(gpu_open(&g));
	ASSERT(gpu_open(&other));
	ASSERT(bo_new(&g, &b, PAGE, DRM_VTTM_CACHED, 1));
	flink.handle = b.handle;
	ASSERT_OK(vttm_ioctl(g.fd, DRM_IOCTL_GEM_FLINK, &flink));
	open.name = flink.name;
	/* nobody has opened it, and nobody can where it is not needed */
	ASSERT_OK(vttm_madvise(g.fd, b.handle, DRM_VTTM_MADV_DONTNEED, NULL));
	EXPECT_ERR(vttm_ioctl(other.fd, DRM_IOCTL_GEM_OPEN, &open), EBUSY);
	ASSERT_OK(vttm_madvise(g.fd, b.handle, DRM_VTTM_MADV_WILLNEED, NULL));
	open.name = flink.name;
	ASSERT_OK(vttm_ioctl(other.fd, DRM_IOCTL_GEM_OPEN, &open));
	EXPECT_ERR(vttm_madvise(g.fd, b.handle, DRM_VTTM_MADV_DONTNEED, NULL), EBUSY);
	EXPECT_ERR(vttm_madvise(other.fd, open.handle, DRM_VTTM_MADV_DONTNEED, NULL), EBUSY);
	EXPECT(bo_check_map(&b));
	vttm_close(other.fd, open.handle);
	bo_free(&g, &b);
	close(other.fd);

	/* neither can what has gone */
	ASSERT(gpu_open(&other));
	ASSERT(bo_new(&g, &b, PAGE, DRM_VTTM_CACHED, 2));
	flink.handle = b.handle;
	ASSERT_OK(vttm_ioctl(g.fd, DRM_IOCTL_GEM_FLINK, &flink));
	ASSERT_OK(vttm_madvise(g.fd, b.handle, DRM_VTTM_MADV_DONTNEED, NULL));
	ASSERT_OK(vttm_purge(g.minor, 1, NULL));
	open.name = flink.name;
	EXPECT_ERR(vttm_ioctl(other.fd, DRM_IOCTL_GEM_OPEN, &open), EINVAL);
	bo_free(&g, &b);
	close(other.fd);
}

static const struct test tests[] = {
	{ "ioctl_create_refuses_bad_input", create_bad },
	{ "ioctl_create_rounds_up_and_reports", create_good },
	{ "ioctl_create_refuses_incoherent_caching", create_caching },
	{ "ioctl_create_gives_zeroed_memory", new_is_zero },
	{ "ioctl_mmap_offset_refuses_bad_input", mmap_bad },
	{ "c115_mmap_ignores_signals", mmap_signals },
	{ "ioctl_madvise_refuses_bad_input", madvise_bad },
	{ "c107_named_is_not_given_up", named_is_kept },
	{ "ioctl_info_refuses_bad_input", info_bad },
	{ "ioctl_info_counts_what_came_back", info_counts },
	{ "ioctl_chunks_are_of_2_mib_by_default", large_chunks },
	{ "ioctl_submit_takes_a_smaller_struct", submit_smaller },
	{ "ioctl_wait_refuses_bad_input", wait_bad },
	{ "ioctl_submit_refuses_bad_input", submit_bad },
	{ "ioctl_submit_refuses_bad_operations", submit_op_bad },
	{ "ioctl_submit_does_what_it_says", submit_good },
	{ "ioctl_submit_signals_syncobj", submit_syncobj },
	{ "ioctl_unknown_is_refused", unknown_ioctl },
	{ "debugfs_shrink_refuses_bad_input", shrink_bad },
};

int main(void)
{
	return ktap_run(tests, ARRAY_LEN(tests));
}
