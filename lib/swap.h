/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What pages are swapped to, and when they are there. */
#ifndef SWAP_H
#define SWAP_H

#include <stdint.h>

#define MAX_SWAPS	4
struct swap_list {
	unsigned int nr;
	char dev[MAX_SWAPS][64];
};

void swap_list(struct swap_list *l);
/* What the first of them is; ends the program when there is none */
enum swap_kind {
	SWAP_ZRAM,
	SWAP_DISK,
	SWAP_FILE,	/* mostly in pieces of 2 MiB and more */
	SWAP_FRAGMENTS,	/* a file that is in smaller ones */
};
enum swap_kind swap_kind(void);
/* -EINTR when swapoff made no end within the time: slots without an owner */
int swap_all_off(const struct swap_list *l, unsigned int timeout_s);
int swap_all_on(const struct swap_list *l);
uint64_t swap_used_pages(void);
/* that zram has refused; 0 where there is none */
uint64_t zram_failed_writes(void);
/* wait until nothing is under writeback */
void writeback_settle(void);
/*
 * Get single pages out of all processors' batches of LRU operations: what waits
 * in that of another one is restored by a copy.
 */
void lru_drain(void);
/*
 * The image is written to swap, read again, and put in place of what is in memory.
 * Returns in the machine that was restored, or with an error in the one that was.
 */
int hibernate(void);

#endif
