// SPDX-License-Identifier: GPL-2.0 OR MIT
/* What buffers ought to contain. */

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include "model.h"

uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t x = a * 0x9e3779b97f4a7c15ull ^ (b + 0x632be59bd9b4e019ull);

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

uint64_t rng_next(struct rng *r)
{
	r->state += 0x9e3779b97f4a7c15ull;
	return mix(r->state, 0);
}

uint64_t rng_below(struct rng *r, uint64_t n)
{
	return rng_next(r) % n;
}

bool rng_one_in(struct rng *r, unsigned int n)
{
	return !rng_below(r, n);
}

int buffer_create(int fd, struct buffer *b, uint64_t pages, uint32_t caching,
		  uint32_t flags)
{
	struct bo bo;
	int ret;

	ret = bo_create(fd, &bo, pages * PAGE, caching, flags);
	if (ret)
		return ret;
	memset(b, 0, sizeof(*b));
	b->bo = bo;
	b->used = true;
	b->local = flags & DRM_VTTM_CREATE_LOCAL;
	b->vram = flags & DRM_VTTM_CREATE_VRAM;
	b->pages = pages;
	b->state = calloc(pages, sizeof(*b->state));
	if (!b->state)
		die("no memory for the states of %" PRIu64 " pages", pages);
	return 0;
}

int buffer_close(int fd, struct buffer *b)
{
	int ret = vttm_close(fd, b->bo.handle);

	if (!ret)
		b->closed = true;
	return ret;
}

void buffer_forget(struct buffer *b)
{
	free(b->state);
	memset(b, 0, sizeof(*b));
}

void page_expect(const struct page_state *s, uint8_t *dst)
{
	uint32_t *words = (uint32_t *)dst;
	size_t i;

	switch (s->kind) {
	case PAGE_PATTERN:
		pattern_page(test_source(), s->value, s->page, dst);
		break;
	case PAGE_WORD:
		for (i = 0; i < PAGE / sizeof(*words); i++)
			words[i] = s->value;
		break;
	default:
		memset(dst, 0, PAGE);
	}
}

static sigjmp_buf bus_env;
static volatile sig_atomic_t bus_armed;

static void on_bus(int sig)
{
	if (bus_armed)
		siglongjmp(bus_env, 1);
	/* that of peek32(), or else nobody's: die of it */
	peek_sigbus(sig);
}

/* Each time, as peek32() installs a handler of its own. Armed for accesses only. */
static void bus_init(void)
{
	struct sigaction sa = { .sa_handler = on_bus, .sa_flags = SA_NODEFER };

	sigaction(SIGBUS, &sa, NULL);
}

enum access buffer_write(struct buffer *b, uint64_t first, uint64_t nr, uint32_t seed)
{
	static uint8_t bytes[PAGE] __attribute__((aligned(8)));
	volatile uint64_t p;

	bus_init();
	for (p = first; p < first + nr; p++) {
		struct page_state s = {
			.kind = PAGE_PATTERN, .value = seed, .page = p,
		};

		page_expect(&s, bytes);
		if (sigsetjmp(bus_env, 0)) {
			bus_armed = 0;
			return ACCESS_SIGBUS;
		}
		bus_armed = 1;
		memcpy(b->bo.map + p * PAGE, bytes, PAGE);
		bus_armed = 0;
		b->state[p] = s;
	}
	return ACCESS_OK;
}

enum access buffer_check_at(struct buffer *b, const uint8_t *map, uint64_t first,
			    uint64_t nr, uint64_t *at)
{
	static uint8_t want[PAGE] __attribute__((aligned(8)));
	volatile uint64_t p;
	int differs;

	bus_init();
	for (p = first; p < first + nr; p++) {
		page_expect(&b->state[p], want);
		if (sigsetjmp(bus_env, 0)) {
			bus_armed = 0;
			*at = p;
			return ACCESS_SIGBUS;
		}
		bus_armed = 1;
		differs = memcmp(map + p * PAGE, want, PAGE);
		bus_armed = 0;
		if (differs) {
			*at = p;
			return ACCESS_WRONG;
		}
	}
	return ACCESS_OK;
}

enum access buffer_check(struct buffer *b, uint64_t first, uint64_t nr, uint64_t *at)
{
	return buffer_check_at(b, b->bo.map, first, nr, at);
}

int buffer_peek(struct buffer *b, int mem, uint64_t page, bool *right)
{
	static uint8_t got[PAGE], want[PAGE] __attribute__((aligned(8)));
	ssize_t n;

	n = pread(mem, got, PAGE, (off_t)(uintptr_t)(b->bo.map + page * PAGE));
	if (n < 0)
		return -errno;
	page_expect(&b->state[page], want);
	/* a signal may end it early */
	*right = !memcmp(got, want, n);
	return 0;
}

uint32_t buffer_crc(const struct buffer *b, uint64_t first, uint64_t nr)
{
	static uint8_t want[PAGE] __attribute__((aligned(8)));
	uint32_t crc = 0;
	uint64_t p;

	for (p = first; p < first + nr; p++) {
		page_expect(&b->state[p], want);
		crc = crc32_update(crc, want, PAGE);
	}
	return crc;
}

void buffer_explain(const struct buffer *b, const uint8_t *map, uint64_t page,
		    char *text, size_t len)
{
	static uint8_t want[PAGE] __attribute__((aligned(8)));
	const uint8_t *got = map + page * PAGE;
	uint64_t owner_page;
	uint32_t owner;
	size_t i, first = PAGE, differ = 0;

	page_expect(&b->state[page], want);
	for (i = 0; i < PAGE; i++)
		if (got[i] != want[i]) {
			if (first == PAGE)
				first = i;
			differ++;
		}
	if (!differ)
		snprintf(text, len, "right on a second look");
	else if (pattern_owner(got, &owner, &owner_page))
		snprintf(text, len, "has the bytes of pattern %u page %" PRIu64,
			 owner, owner_page);
	else
		snprintf(text, len, "%zu bytes differ from byte %zu on, the first is %02x, not %02x",
			 differ, first, got[first], want[first]);
}
