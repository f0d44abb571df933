// SPDX-License-Identifier: GPL-2.0 OR MIT
/* Contents of buffers, and whose they are. */

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pattern.h"
#include "system.h"

uint64_t xorshift(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

int source_add(struct source *s, const char *path)
{
	struct stat st;
	uint8_t *data;
	size_t got = 0;
	ssize_t n;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || st.st_size < (off_t)PAGE) {
		close(fd);
		return -EINVAL;
	}
	data = realloc(s->data, s->len + st.st_size);
	if (!data) {
		close(fd);
		return -ENOMEM;
	}
	s->data = data;
	while (got < (size_t)st.st_size) {
		n = read(fd, data + s->len + got, st.st_size - got);
		if (n <= 0) {
			close(fd);
			return n ? -errno : -EIO;
		}
		got += n;
	}
	s->len += got;
	close(fd);
	return 0;
}

static uint32_t crc_table[8][256];

static void crc32_init(void)
{
	unsigned int i, j;
	uint32_t c;

	for (i = 0; i < 256; i++) {
		c = i;
		for (j = 0; j < 8; j++)
			c = (c >> 1) ^ (c & 1 ? 0xedb88320u : 0);
		crc_table[0][i] = c;
	}
	for (i = 0; i < 256; i++)
		for (j = 1; j < 8; j++)
			crc_table[j][i] = (crc_table[j - 1][i] >> 8) ^
				crc_table[0][crc_table[j - 1][i] & 0xff];
}

/* CRC-32 as zlib has it, eight bytes a step: the guest CPU is emulated. */
uint32_t crc32_update(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t w;

	if (!crc_table[0][1])
		crc32_init();
	crc = ~crc;
	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&w, p, 8);
		w ^= crc;
		crc = crc_table[7][w & 0xff] ^
		      crc_table[6][(w >> 8) & 0xff] ^
		      crc_table[5][(w >> 16) & 0xff] ^
		      crc_table[4][(w >> 24) & 0xff] ^
		      crc_table[3][(w >> 32) & 0xff] ^
		      crc_table[2][(w >> 40) & 0xff] ^
		      crc_table[1][(w >> 48) & 0xff] ^
		      crc_table[0][w >> 56];
	}
	while (len--)
		crc = (crc >> 8) ^ crc_table[0][(crc ^ *p++) & 0xff];
	return ~crc;
}

static uint64_t mix64(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

struct stamp {
	uint64_t page;
	uint32_t seed;
	uint32_t check;
};

#define WINDOW		(PAGE / 2)
#define STAMP_AT(mix)	((((mix) >> 32) % (PAGE / 16)) * 16)

static uint32_t stamp_check(uint32_t seed, uint64_t page)
{
	return mix64(((uint64_t)seed << 32) ^ page ^ 0x5eed) >> 16;
}

/*
 * One page of a buffer: 2 KiB of the source, rotated and XORed by amounts
 * that depend on the buffer and the page, then the same again as an image
 * repeats its rows, then a stamp that names buffer and page.
 *
 * Every page of every buffer differs, so one that is lost, stale or put in
 * another's place changes the checksum, and the stamp tells whose it is. Yet
 * the bytes stay as compressible as the contents of GPU buffers commonly are,
 * three or four to one: swap on zram lives in the RAM whose shortage the demo is
 * about, so 1.5 times the RAM fits only if it compresses, and a constant, or
 * pages of one repeated word, which zram keeps in no memory at all, would
 * prove nothing. XOR with one byte and rotation change every byte but no
 * repetition, so the compressor sees what it would see in the source.
 */
void pattern_page(const struct source *s, uint32_t seed, uint64_t page,
		  uint8_t *dst)
{
	uint64_t mix = mix64(((uint64_t)seed << 32) ^ page);
	uint64_t key = (mix & 0xff) * 0x0101010101010101ull;
	size_t rot = (mix >> 8) % (WINDOW / 8) * 8;
	struct stamp stamp = {
		.page = page,
		.seed = seed,
		.check = stamp_check(seed, page),
	};
	const uint8_t *src;
	uint64_t w;
	size_t i;

	src = s->data + (seed * 7919ull * WINDOW + page * WINDOW) %
			(s->len - WINDOW);
	for (i = 0; i < WINDOW; i += 8) {
		memcpy(&w, src + (i + rot) % WINDOW, 8);
		w ^= key;
		memcpy(dst + i, &w, 8);
	}
	memcpy(dst + WINDOW, dst, WINDOW);
	memcpy(dst + STAMP_AT(mix), &stamp, sizeof(stamp));
}

bool pattern_owner(const void *page, uint32_t *seed, uint64_t *nr)
{
	struct stamp stamp;
	size_t at;

	for (at = 0; at < PAGE; at += 16) {
		memcpy(&stamp, (const uint8_t *)page + at, sizeof(stamp));
		if ((stamp.seed || stamp.page) &&
		    stamp.check == stamp_check(stamp.seed, stamp.page)) {
			*seed = stamp.seed;
			*nr = stamp.page;
			return true;
		}
	}
	return false;
}

uint32_t pattern_fill(const struct source *s, uint32_t seed, void *map,
		      uint64_t size)
{
	uint8_t scratch[PAGE];
	uint32_t crc = 0;
	uint64_t page;

	/* Built in cached memory: a checksum read back from WC is slow. */
	for (page = 0; page < size / PAGE; page++) {
		pattern_page(s, seed, page, scratch);
		crc = crc32_update(crc, scratch, PAGE);
		memcpy((uint8_t *)map + page * PAGE, scratch, PAGE);
	}
	return crc;
}

int64_t pattern_check(const struct source *s, uint32_t seed, const void *map,
		      uint64_t size)
{
	uint8_t want[PAGE];
	uint64_t page;

	for (page = 0; page < size / PAGE; page++) {
		pattern_page(s, seed, page, want);
		if (memcmp((const uint8_t *)map + page * PAGE, want, PAGE))
			return page;
	}
	return -1;
}

static __thread sigjmp_buf peek_env;
static __thread volatile sig_atomic_t peeking;

void peek_sigbus(int sig)
{
	if (peeking)
		siglongjmp(peek_env, 1);
	/* not ours: again, and to death */
	signal(sig, SIG_DFL);
}

bool peek32(const volatile void *addr, uint32_t *value)
{
	static bool installed;
	/* SA_NODEFER: the signal is not blocked when the handler jumps away */
	struct sigaction sa = { .sa_handler = peek_sigbus, .sa_flags = SA_NODEFER };
	volatile bool ok = false;

	if (!__atomic_exchange_n(&installed, true, __ATOMIC_ACQ_REL))
		sigaction(SIGBUS, &sa, NULL);
	if (!sigsetjmp(peek_env, 0)) {
		peeking = 1;
		*value = *(const volatile uint32_t *)addr;
		ok = true;
	}
	peeking = 0;
	return ok;
}
