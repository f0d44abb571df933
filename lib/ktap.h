/* SPDX-License-Identifier: GPL-2.0 OR MIT */
/*
 * KTAP harness for the VM tests.
 *
 * Each test runs in a child process, so that a crash is that test's failure
 * and everything it holds is released before the leak check: shmem, GPU pages
 * and swap must be back at what they were before it.
 */
#ifndef KTAP_H
#define KTAP_H

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct test {
	/* starts with the clauses that it proves, as in c53_drop_reads_no_swap */
	const char *name;
	void (*fn)(void);
};

extern unsigned int test_failures;
/* processes may be killed for lack of memory: to be run with vm/run --allow-oom */
extern bool ktap_may_oom;

void test_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void test_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define FAIL(...)	test_fail(__FILE__, __LINE__, __VA_ARGS__)

#define EXPECT(cond)							\
do {									\
	if (!(cond))							\
		FAIL("not so: %s", #cond);				\
} while (0)

#define ASSERT(cond)							\
do {									\
	if (!(cond)) {							\
		FAIL("not so: %s", #cond);				\
		return;							\
	}								\
} while (0)

#define CMP_(a, op, b, ret)						\
do {									\
	int64_t a_ = (int64_t)(a), b_ = (int64_t)(b);			\
	if (!(a_ op b_)) {						\
		FAIL("%s %s %s: %" PRId64 " against %" PRId64,		\
		     #a, #op, #b, a_, b_);				\
		ret;							\
	}								\
} while (0)

#define EXPECT_EQ(a, b)	CMP_(a, ==, b, (void)0)
#define EXPECT_GE(a, b)	CMP_(a, >=, b, (void)0)
#define EXPECT_LE(a, b)	CMP_(a, <=, b, (void)0)
#define EXPECT_GT(a, b)	CMP_(a, >, b, (void)0)
#define ASSERT_EQ(a, b)	CMP_(a, ==, b, return)
#define ASSERT_GE(a, b)	CMP_(a, >=, b, return)
#define ASSERT_GT(a, b)	CMP_(a, >, b, return)
/* for calls that return 0 or a negative errno */
#define EXPECT_OK(call)							\
do {									\
	int ret_ = (call);						\
	if (ret_)							\
		FAIL("%s: %s", #call, strerror(-ret_));			\
} while (0)
#define ASSERT_OK(call)							\
do {									\
	int ret_ = (call);						\
	if (ret_) {							\
		FAIL("%s: %s", #call, strerror(-ret_));			\
		return;							\
	}								\
} while (0)
#define EXPECT_ERR(call, err)						\
do {									\
	int ret_ = (call);						\
	if (ret_ != -(err))						\
		FAIL("%s: %s, not %s", #call,				\
		     ret_ ? strerror(-ret_) : "succeeded",		\
		     strerror(err));					\
} while (0)

/*
 * Runs all, or those whose names have one of the words in the environment's KTAP_ONLY,
 * which commas separate, prints KTAP, returns the exit status of the program.
 */
int ktap_run(const struct test *tests, unsigned int nr);

/*
 * Run the function in a process of its own and return whether it saw no
 * failure; for tests that need two.
 */
bool ktap_child(void (*fn)(void *), void *arg);

#endif
