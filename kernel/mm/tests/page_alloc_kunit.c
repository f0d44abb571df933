// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of allocations that get the last pages there are, by reclaim and by
 * others. They use up all memory for a short time, so do not run them on a machine
 * that is in use.
 */

#include <kunit/test.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/module.h>
#include <linux/oom.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/swap.h>
#include <linux/workqueue.h>

#include "../page_alloc.h"

/* As many as lists keep by default. Others use them as well. */
#define PARKED		128
#define OTHERS		(PARKED / 2)

#define ROUNDS		4

/* kswapd is not to run, which would free some */
#define PAGES_GFP	((GFP_HIGHUSER & ~__GFP_KSWAPD_RECLAIM) | __GFP_NOWARN)

/* With all that can be reclaimed, but without a kill */
#define TRY_GFP		(PAGES_GFP | __GFP_RETRY_MAYFAIL)

struct page_work {
	unsigned int there;	/* the CPU whose lists are looked at */
	bool reclaim;		/* or somebody else who may use the reserves */
	unsigned long boost;	/* of the watermarks, in pages */
	unsigned long nr;	/* pages got until there were no more */
	unsigned long left;	/* what its lists had at that time */
};

static unsigned long pages_on_lists(unsigned int cpu)
{
	unsigned long nr = 0;
	struct zone *zone;

	for_each_populated_zone(zone)
		nr += READ_ONCE(per_cpu_ptr(zone->per_cpu_pageset, cpu)->count);

	return nr;
}

static unsigned long pages_take(struct list_head *pages, unsigned long most,
				gfp_t gfp)
{
	struct page *page;
	unsigned long nr;

	for (nr = 0; nr < most; nr++) {
		if (nr % PARKED == 0)
			cond_resched();
		page = alloc_page(gfp);
		if (!page)
			break;
		list_add(&page->lru, pages);
	}

	return nr;
}

static void pages_give_back(struct list_head *pages, unsigned long most)
{
	struct page *page, *next;

	list_for_each_entry_safe(page, next, pages, lru) {
		if (!most--)
			break;
		list_del(&page->lru);
		__free_page(page);
	}
}

/* Leave pages on the lists of the CPU this runs on. */
static long pages_park(void *arg)
{
	struct page_work *work = arg;
	LIST_HEAD(pages);

	drain_all_pages(NULL);
	pages_take(&pages, PARKED, PAGES_GFP);
	pages_give_back(&pages, PARKED);
	work->left = pages_on_lists(raw_smp_processor_id());

	return 0;
}

/* As reclaim does it: down to the last page. */
static long pages_exhaust(void *arg)
{
	struct page_work *work = arg;
	struct reclaim_state reclaim_state = { };
	unsigned int flags = memalloc_noreclaim_save();
	LIST_HEAD(pages);

	current->reclaim_state = work->reclaim ? &reclaim_state : NULL;
	work->nr = pages_take(&pages, ULONG_MAX, PAGES_GFP);
	work->left = pages_on_lists(work->there);
	current->reclaim_state = NULL;
	pages_give_back(&pages, ULONG_MAX);
	memalloc_noreclaim_restore(flags);

	return 0;
}

static void boost_watermarks(unsigned long boost)
{
	unsigned long flags;
	struct zone *zone;

	for_each_populated_zone(zone) {
		spin_lock_irqsave(&zone->lock, flags);
		zone->watermark_boost = boost;
		spin_unlock_irqrestore(&zone->lock, flags);
	}
}

/* The processor that has pages on its lists, and returns the one that wants them */
static unsigned int choose_cpus(struct kunit *test, struct page_work *work)
{
	unsigned int here = cpumask_first(cpu_online_mask);

	work->there = cpumask_next(here, cpu_online_mask);
	if (work->there >= nr_cpu_ids)
		kunit_skip(test, "needs two processors");

	return here;
}

static void pages_until_none(struct kunit *test, struct page_work *work)
{
	unsigned int here = choose_cpus(test, work);

	work_on_cpu(work->there, pages_park, work);
	KUNIT_ASSERT_GE(test, work->left, PARKED - OTHERS / 2);

	/* Do not be killed if another task, such as a worker, needs memory. */
	KUNIT_ASSERT_TRUE(test, oom_killer_disable(HZ));
	work_on_cpu(here, pages_exhaust, work);
	oom_killer_enable();
	kunit_info(test, "%lu pages, %lu are on the lists of CPU %u",
		   work->nr, work->left, work->there);
}

static void page_alloc_reclaim_gets_the_last_page(struct kunit *test)
{
	struct page_work work = { .reclaim = true };

	pages_until_none(test, &work);
	KUNIT_EXPECT_LT(test, work.left, OTHERS);
}

static void page_alloc_others_do_not_drain(struct kunit *test)
{
	struct page_work work = { .reclaim = false };

	pages_until_none(test, &work);
	KUNIT_EXPECT_GE(test, work.left, OTHERS);
}

static void pages_run_on(unsigned int cpu)
{
	set_cpus_allowed_ptr(current, cpumask_of(cpu));
}

/*
 * As everybody else: down to the watermark, nothing on the lists, and nothing left
 * to reclaim. What is being written then can be later.
 */
static void pages_hold_all(struct list_head *held)
{
	unsigned int tries, none;

	for (tries = 0, none = 0; tries < 500 && none < 5; tries++) {
		none = pages_take(held, ULONG_MAX, TRY_GFP) ? 0 : none + 1;
		drain_all_pages(NULL);
		msleep(20);
	}
}

/* The pages below a boost. kswapd may end it, so it is there for each of them. */
static void pages_below_a_boost(struct page_work *work, struct list_head *held)
{
	unsigned int i;

	pages_give_back(held, work->boost / 2);
	drain_all_pages(NULL);
	for (i = 0; i < OTHERS; i++) {
		boost_watermarks(work->boost);
		work->nr += pages_take(held, 1, TRY_GFP);
	}
	boost_watermarks(0);
}

/* Those on the lists of another processor: more than these have no place for */
static void pages_on_other_lists(struct page_work *work, struct list_head *held,
				 unsigned int here)
{
	pages_run_on(work->there);
	pages_give_back(held, PARKED);
	work->left = min(work->left, pages_on_lists(work->there));
	pages_run_on(here);
	work->nr += pages_take(held, OTHERS, TRY_GFP);
}

/*
 * Are there pages where some are free, but do not count as such? Workers would do
 * for this, but for one that is missing: it could not be made while all memory is
 * held. Somebody else may make them available, so this is done more than once.
 */
static void pages_held_back(struct kunit *test, struct page_work *work)
{
	unsigned int here = choose_cpus(test, work), round;
	LIST_HEAD(held);

	KUNIT_ASSERT_TRUE(test, oom_killer_disable(HZ));
	work->left = ULONG_MAX;
	pages_run_on(here);
	for (round = 0; round < ROUNDS; round++) {
		pages_hold_all(&held);
		if (work->boost)
			pages_below_a_boost(work, &held);
		else
			pages_on_other_lists(work, &held, here);
	}
	pages_give_back(&held, ULONG_MAX);
	set_cpus_allowed_ptr(current, cpu_possible_mask);
	oom_killer_enable();
	kunit_info(test, "%lu pages", work->nr);
}

static void page_alloc_others_drain_before_they_fail(struct kunit *test)
{
	struct page_work work = { };

	pages_held_back(test, &work);
	/* They are shorter where memory is small, or processors are many. */
	if (work.left < PARKED - OTHERS / 2)
		kunit_skip(test, "lists have %lu pages only", work.left);
	KUNIT_EXPECT_EQ(test, work.nr, ROUNDS * OTHERS);
}

static void page_alloc_fails_for_no_boost(struct kunit *test)
{
	struct page_work work = { .boost = 8 * PARKED };

	pages_held_back(test, &work);
	KUNIT_EXPECT_EQ(test, work.nr, ROUNDS * OTHERS);
}

static struct kunit_case page_alloc_cases[] = {
	KUNIT_CASE_SLOW(page_alloc_reclaim_gets_the_last_page),
	KUNIT_CASE_SLOW(page_alloc_others_do_not_drain),
	KUNIT_CASE_SLOW(page_alloc_others_drain_before_they_fail),
	KUNIT_CASE_SLOW(page_alloc_fails_for_no_boost),
	{}
};

static struct kunit_suite page_alloc_suite = {
	.name = "page_alloc_reclaim",
	.test_cases = page_alloc_cases,
};

kunit_test_suite(page_alloc_suite);

MODULE_DESCRIPTION("KUnit tests of the last pages that the page allocator has");
MODULE_LICENSE("GPL");
