/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/* What the files of test-reports share. reports.c has the tables of the tests. */
#ifndef REPORTS_H
#define REPORTS_H

#include "fixture.h"

/* of a test that does something again and again, or for a while */
extern unsigned int rounds;
extern unsigned int seconds;

/* for a comparison of kernels */
void figure(const char *name, double value);
/* A job that uses all of these, and the wait for it. */
int touch(const struct gpu *g, const struct bo *b, unsigned int nr);
/* Where the pages of all of these are; what else is in the state is that of the last one */
bool where_are(const struct gpu *g, const struct bo *b, unsigned int nr,
	       struct vttm_state *sum);

/* reports_memory.c */
void neighbours(void);
void neighbours_of_300_mib(void);
void tiny_swap(void);
void submit_when_short(void);

/* reports_process.c */
void exits(void);
void readers(void);

/* reports_desktop.c */
void stutter(void);

#endif
