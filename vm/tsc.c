// SPDX-License-Identifier: GPL-2.0-only
/*
 * Print the rate of this machine's time stamp counter in kHz.
 *
 * QEMU's emulation passes the counter on to the guest, which has nothing to
 * calibrate it against: its kernel has no ACPI, so no other precise clock.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <x86intrin.h>

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_RAW, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

int main(void)
{
	uint64_t t0 = now(), c0 = __rdtsc(), t1;

	do {
		t1 = now();
	} while (t1 - t0 < 20000000);
	printf("%llu\n", (unsigned long long)((__rdtsc() - c0) * 1000000 / (t1 - t0)));
	return 0;
}
