// SPDX-License-Identifier: MIT
/*
 * KUnit tests of buffer objects as a driver's shrinker sees them: which of them are on
 * the LRU lists, in bulk moves, and met by a walk, in any state of their backup.
 */

#include <kunit/static_stub.h>
#include <kunit/test.h>
#include <linux/mm.h>

#include <drm/ttm/ttm_placement.h>
#include <drm/ttm/ttm_resource.h>

#include "../ttm_pool_internal.h"
#include "ttm_backup_test_fixture.h"

/* In an LRU list; a driver's buffer objects share a lock if they move as one. */
struct backup_bos {
	struct backup_test *priv;
	struct ttm_lru_bulk_move bulk;
	struct ttm_buffer_object *bo[3];
};

/* Not locked; populated and filled. With @bulk, @resv is not NULL. */
static struct ttm_buffer_object *backup_bo(struct kunit *test, pgoff_t pages,
					   struct ttm_lru_bulk_move *bulk,
					   struct dma_resv *resv)
{
	const struct ttm_place place = { .mem_type = TTM_PL_SYSTEM };
	struct ttm_placement placement = { .num_placement = 1, .placement = &place };
	struct backup_test *priv = test->priv;
	struct ttm_operation_ctx ctx = {};
	struct ttm_buffer_object *bo;
	int ret;

	bo = kunit_kzalloc(test, sizeof(*bo), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, bo);
	drm_gem_private_object_init(priv->drm, &bo->base, pages << PAGE_SHIFT);
	if (resv)
		dma_resv_lock(resv, NULL);
	ret = ttm_bo_init_reserved(&priv->bdev, bo, ttm_bo_type_kernel, &placement, 1,
				   &ctx, NULL, resv, backup_bo_destroy);
	if (!ret) {
		ttm_bo_set_bulk_move(bo, bulk);
		ret = ttm_bo_populate(bo, &ctx);
		dma_resv_unlock(bo->base.resv);
		if (ret)
			backup_bo_fini(bo);
	} else if (resv) {
		dma_resv_unlock(resv);
	}
	KUNIT_ASSERT_EQ(test, ret, 0);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, backup_bo_fini, bo));
	to_backup_tt(bo->ttm)->priv = priv;
	backup_fill(bo->ttm, pages + 1);

	return bo;
}

/* Three of them, of which one may be larger, with or without a bulk move */
static struct backup_bos *backup_bos(struct kunit *test, bool bulk,
				     unsigned int nth, pgoff_t pages)
{
	struct backup_bos *bos = kunit_kzalloc(test, sizeof(*bos), GFP_KERNEL);
	struct backup_test *priv = test->priv;
	struct dma_resv *resv = NULL;
	struct ttm_tt *tt;
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, bos);
	/* The chunks of 67 pages are 64, 2 and 1 pages. */
	tt = backup_filled_tt(test, ttm_cached, 67, false);
	backup_needs_large(test, tt);
	backup_tt_free(test, tt);

	bos->priv = priv;
	ttm_lru_bulk_move_init(&bos->bulk);
	for (i = 0; i < ARRAY_SIZE(bos->bo); i++) {
		bos->bo[i] = backup_bo(test, i == nth ? pages : 67,
				       bulk ? &bos->bulk : NULL, resv);
		if (bulk)
			resv = bos->bo[0]->base.resv;
	}

	return bos;
}

static void backup_bos_free(struct kunit *test, struct backup_bos *bos)
{
	unsigned int i;

	/* The lock is the first one's. */
	for (i = ARRAY_SIZE(bos->bo); i-- > 0; )
		if (bos->bo[i])
			kunit_release_action(test, backup_bo_fini, bos->bo[i]);
}

static unsigned int backup_bos_bit(struct backup_bos *bos, struct ttm_resource *res)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(bos->bo); i++)
		if (bos->bo[i] && bos->bo[i]->resource == res)
			return BIT(i);

	return 0;
}

/* Which of them a shrinker would come across, a bit for each */
static unsigned int backup_bos_on_lru(struct backup_bos *bos)
{
	struct ttm_device *bdev = &bos->priv->bdev;
	struct ttm_resource_manager *man = ttm_manager_type(bdev, TTM_PL_SYSTEM);
	struct ttm_lru_item *lru;
	unsigned int bits = 0;

	spin_lock(&bdev->lru_lock);
	list_for_each_entry(lru, &man->lru[0], link)
		if (ttm_lru_item_is_res(lru))
			bits |= backup_bos_bit(bos, ttm_lru_item_to_res(lru));
	spin_unlock(&bdev->lru_lock);

	return bits;
}

/* Which of them move as one; ~0 if what should be a range is none. */
static unsigned int backup_bos_in_bulk(struct backup_bos *bos)
{
	struct ttm_lru_bulk_move_pos *pos = &bos->bulk.pos[TTM_PL_SYSTEM][0];
	struct ttm_device *bdev = &bos->priv->bdev;
	struct ttm_resource_manager *man = ttm_manager_type(bdev, TTM_PL_SYSTEM);
	bool inside = false, found = false;
	struct ttm_lru_item *lru;
	unsigned int bits = 0;

	if (!pos->first && !pos->last)
		return 0;

	spin_lock(&bdev->lru_lock);
	list_for_each_entry(lru, &man->lru[0], link) {
		struct ttm_resource *res;

		if (!ttm_lru_item_is_res(lru))
			continue;
		res = ttm_lru_item_to_res(lru);
		if (res == pos->first)
			inside = true;
		if (inside)
			bits |= backup_bos_bit(bos, res);
		if (inside && res == pos->last) {
			found = true;
			break;
		}
	}
	spin_unlock(&bdev->lru_lock);

	return found ? bits : ~0U;
}

static bool backup_bo_suitable(struct ttm_buffer_object *bo)
{
	struct ttm_operation_ctx ctx = { .no_wait_gpu = true };
	bool suitable;

	dma_resv_lock(bo->base.resv, NULL);
	suitable = ttm_bo_shrink_suitable(bo, &ctx);
	dma_resv_unlock(bo->base.resv);

	return suitable;
}

static long backup_bo_shrink(struct ttm_buffer_object *bo, bool purge)
{
	struct ttm_bo_shrink_flags flags = { .purge = purge };
	struct ttm_operation_ctx ctx = { .no_wait_gpu = true };
	long ret;

	dma_resv_lock(bo->base.resv, NULL);
	ret = ttm_bo_shrink(&ctx, bo, flags);
	dma_resv_unlock(bo->base.resv);

	return ret;
}

static int backup_bo_populate(struct ttm_buffer_object *bo, bool interruptible)
{
	struct ttm_operation_ctx ctx = { .interruptible = interruptible };
	int ret;

	dma_resv_lock(bo->base.resv, NULL);
	ret = ttm_bo_populate(bo, &ctx);
	dma_resv_unlock(bo->base.resv);

	return ret;
}

/* All of its range, and then itself within that */
static void backup_move_to_lru_tail(struct backup_bos *bos,
				    struct ttm_buffer_object *bo)
{
	dma_resv_lock(bo->base.resv, NULL);
	spin_lock(&bos->priv->bdev.lru_lock);
	if (bo->bulk_move)
		ttm_lru_bulk_move_tail(bo->bulk_move);
	ttm_bo_move_to_lru_tail(bo);
	spin_unlock(&bos->priv->bdev.lru_lock);
	dma_resv_unlock(bo->base.resv);
}

struct backup_walk {
	unsigned int tried;
	unsigned int busy;
	long freed;
	int err;
};

/* As xe's shrinker does it */
static struct backup_walk backup_walk(struct backup_bos *bos)
{
	struct ttm_resource_manager *man = ttm_manager_type(&bos->priv->bdev,
							    TTM_PL_SYSTEM);
	struct ttm_operation_ctx ctx = { .no_wait_gpu = true };
	struct ttm_lru_walk_arg arg = { .ctx = &ctx, .trylock_only = true };
	struct ttm_bo_shrink_flags flags = {};
	struct ttm_bo_lru_cursor curs;
	struct ttm_buffer_object *bo;
	struct backup_walk walk = {};

	ttm_bo_lru_for_each_reserved_guarded(&curs, man, &arg, bo) {
		unsigned int bit = backup_bos_bit(bos, bo->resource);
		long ret;

		if (!ttm_bo_shrink_suitable(bo, &ctx))
			continue;

		walk.tried |= bit;
		ret = ttm_bo_shrink(&ctx, bo, flags);
		if (ret == -EBUSY) {
			walk.busy |= bit;
			continue;
		}
		if (ret < 0) {
			walk.err = ret;
			break;
		}
		walk.freed += ret;
	}

	return walk;
}

static void backup_expect_walk(struct kunit *test, struct backup_bos *bos,
			       unsigned int tried, unsigned int busy, long freed)
{
	struct backup_walk walk = backup_walk(bos);

	KUNIT_EXPECT_EQ(test, walk.err, 0);
	KUNIT_EXPECT_EQ(test, walk.tried, tried);
	KUNIT_EXPECT_EQ(test, walk.busy, busy);
	KUNIT_EXPECT_EQ(test, walk.freed, freed);
}

/*
 * Each folio of the first of three has an additional reference all the time.
 * The second time, not even its DMA mapping can be restored.
 */
static void backup_the_walk_goes_on(struct kunit *test)
{
	unsigned int round, i, n;

	for (round = 0; round < 2; round++) {
		struct backup_bos *bos = backup_bos(test, false, 0, 67);
		struct folio *folio[8];
		struct ttm_tt *tt;

		tt = bos->bo[0]->ttm;
		KUNIT_EXPECT_EQ(test, backup_bos_on_lru(bos), 7);
		n = backup_hold_chunks(test, tt, folio, ARRAY_SIZE(folio));
		if (round)
			backup_map_fails(test, tt, 1);
		backup_expect_walk(test, bos, 7, 1, 2 * 67);
		if (round)
			kunit_deactivate_static_stub(test, ttm_pool_map);
		/* Objects that can be shrunk stay on the LRU, others do not. */
		KUNIT_EXPECT_EQ(test, backup_bos_on_lru(bos), 1);
		KUNIT_EXPECT_EQ(test, ttm_tt_is_populated(tt), !round);
		KUNIT_EXPECT_EQ(test, ttm_tt_shrinkable_pages(tt), 67);
		backup_expect_backed_up(test, bos->bo[1]->ttm);
		backup_expect_backed_up(test, bos->bo[2]->ttm);

		/* The reason still exists */
		backup_expect_walk(test, bos, 1, 1, 0);
		for (i = 0; i < n; i++)
			folio_put(folio[i]);
		backup_expect_walk(test, bos, 1, 0, 67);
		KUNIT_EXPECT_EQ(test, backup_bos_on_lru(bos), 0);
		backup_expect_walk(test, bos, 0, 0, 0);

		for (i = 0; i < ARRAY_SIZE(bos->bo); i++) {
			KUNIT_EXPECT_EQ(test, backup_bo_populate(bos->bo[i], false), 0);
			backup_expect_populated(test, bos->bo[i]->ttm);
		}
		KUNIT_EXPECT_EQ(test, backup_bos_on_lru(bos), 7);
		backup_expect_walk(test, bos, 7, 0, 3 * 67);
		backup_bos_free(test, bos);
	}
}

#ifdef CONFIG_FAULT_INJECTION_DEBUG_FS
/* Why a backup is incomplete, and how much of it is done then */
enum backup_incomplete {
	BACKUP_BUSY,
	BACKUP_NO_MEMORY,
	BACKUP_HALF,
	BACKUP_INCOMPLETE_NUM,
};

static const pgoff_t backup_incomplete_pages[] = { 67, 67, 1100 };
static const pgoff_t backup_incomplete_done[] = { 3, 64, 512 };

static long backup_bo_shrink_in_part(struct kunit *test,
				     struct ttm_buffer_object *bo,
				     enum backup_incomplete why)
{
	struct folio *folio = backup_tt_folio(bo->ttm, 0);
	long ret;

	if (why == BACKUP_BUSY)
		folio_get(folio);
	/* First for all of the second half, then for each chunk */
	else if (why == BACKUP_HALF)
		backup_interrupt_at(test, 1);
	else
		backup_fail_at(test, 3);
	ret = backup_bo_shrink(bo, false);
	if (why == BACKUP_BUSY)
		folio_put(folio);
	else
		backup_interrupt_at(test, 0);

	return ret;
}

static void backup_incomplete_on_the_lru(struct kunit *test, bool in_bulk,
					 unsigned int nth,
					 enum backup_incomplete why)
{
	const pgoff_t pages = backup_incomplete_pages[why];
	const pgoff_t done = backup_incomplete_done[why];
	struct backup_bos *bos = backup_bos(test, in_bulk, nth, pages);
	unsigned int others = 7 & ~BIT(nth), bulk = in_bulk ? 7 : 0;
	struct ttm_buffer_object *bo = bos->bo[nth];

	KUNIT_EXPECT_EQ(test, backup_bos_in_bulk(bos), bulk);
	KUNIT_EXPECT_EQ(test, backup_bo_shrink_in_part(test, bo, why), done);
	backup_expect_retained(test, bo->ttm, pages - done);
	KUNIT_EXPECT_TRUE(test, backup_bo_suitable(bo));
	KUNIT_EXPECT_EQ(test, backup_bos_on_lru(bos), 7);
	KUNIT_EXPECT_EQ(test, backup_bos_in_bulk(bos), bulk);

	/* Moved by itself or with its range, it stays there. */
	backup_move_to_lru_tail(bos, bo);
	KUNIT_EXPECT_EQ(test, backup_bos_on_lru(bos), 7);
	KUNIT_EXPECT_EQ(test, backup_bos_in_bulk(bos), bulk);

	/* It leaves when there is nothing left of it. */
	KUNIT_EXPECT_EQ(test, backup_bo_shrink(bo, false), pages - done);
	backup_expect_backed_up(test, bo->ttm);
	KUNIT_EXPECT_FALSE(test, backup_bo_suitable(bo));
	KUNIT_EXPECT_EQ(test, backup_bos_on_lru(bos), others);
	KUNIT_EXPECT_EQ(test, backup_bos_in_bulk(bos), bulk & others);

	KUNIT_EXPECT_EQ(test, backup_bo_populate(bo, false), 0);
	backup_expect_populated(test, bo->ttm);
	KUNIT_EXPECT_EQ(test, backup_bos_on_lru(bos), 7);
	KUNIT_EXPECT_EQ(test, backup_bos_in_bulk(bos), bulk);

	/* Incomplete again, and back without having left: it keeps its place. */
	backup_move_to_lru_tail(bos, bos->bo[(nth + 1) % 3]);
	KUNIT_EXPECT_EQ(test, backup_bo_shrink_in_part(test, bo, why), done);
	KUNIT_EXPECT_EQ(test, backup_bo_populate(bo, false), 0);
	backup_expect_populated(test, bo->ttm);
	if (in_bulk)
		KUNIT_EXPECT_PTR_EQ(test, bos->bulk.pos[TTM_PL_SYSTEM][0].last,
				    bos->bo[(nth + 1) % 3]->resource);
	KUNIT_EXPECT_EQ(test, backup_bos_on_lru(bos), 7);
	KUNIT_EXPECT_EQ(test, backup_bos_in_bulk(bos), bulk);

	/* A walk finds the rest of it. */
	KUNIT_EXPECT_EQ(test, backup_bo_shrink_in_part(test, bo, why), done);
	backup_expect_walk(test, bos, 7, 0, 2 * 67 + pages - done);
	KUNIT_EXPECT_EQ(test, backup_bos_on_lru(bos), 0);
	KUNIT_EXPECT_EQ(test, backup_bos_in_bulk(bos), 0);
	/* Nothing is backed up twice, even if a caller does not check first. */
	KUNIT_EXPECT_EQ(test, backup_bo_shrink(bo, false), 0);
	KUNIT_EXPECT_EQ(test, backup_bos_in_bulk(bos), 0);
	backup_bos_free(test, bos);
	backup_expect_baseline(test);
}

/* At any place of a range that moves as one, and without that */
static void backup_incomplete_stays_on_the_lru(struct kunit *test)
{
	enum backup_incomplete why;
	unsigned int nth;

	for (why = 0; why < BACKUP_INCOMPLETE_NUM; why++) {
		for (nth = 0; nth < 3; nth++) {
			backup_incomplete_on_the_lru(test, false, nth, why);
			backup_incomplete_on_the_lru(test, true, nth, why);
		}
	}
}

/* Half-way back it is not for the shrinker, wherever it lies. */
static void backup_restore_in_a_bulk_move(struct kunit *test)
{
	unsigned int nth, complete;

	for (nth = 0; nth < 3; nth++) {
		for (complete = 0; complete <= 1; complete++) {
			unsigned int left = complete ? 7 & ~BIT(nth) : 7;
			struct backup_bos *bos = backup_bos(test, true, 0, 67);
			struct ttm_buffer_object *bo = bos->bo[nth];

			KUNIT_EXPECT_EQ(test,
					backup_bo_shrink_in_part(test, bo,
								 BACKUP_NO_MEMORY),
					64);
			if (complete)
				KUNIT_EXPECT_EQ(test, backup_bo_shrink(bo, false), 3);
			backup_interrupt_at(test, 1);
			KUNIT_EXPECT_EQ(test, backup_bo_populate(bo, true), -EINTR);
			backup_interrupt_at(test, 0);

			KUNIT_EXPECT_NOT_NULL(test, bo->ttm->restore);
			KUNIT_EXPECT_EQ(test, ttm_tt_shrinkable_pages(bo->ttm), 0);
			KUNIT_EXPECT_FALSE(test, backup_bo_suitable(bo));
			KUNIT_EXPECT_EQ(test, backup_bos_on_lru(bos), left);
			KUNIT_EXPECT_EQ(test, backup_bos_in_bulk(bos), left);
			backup_expect_walk(test, bos, 7 & ~BIT(nth), 0, 2 * 67);

			KUNIT_EXPECT_EQ(test, backup_bo_populate(bo, false), 0);
			backup_expect_populated(test, bo->ttm);
			KUNIT_EXPECT_EQ(test, backup_bos_on_lru(bos), BIT(nth));
			KUNIT_EXPECT_EQ(test, backup_bos_in_bulk(bos), BIT(nth));
			backup_bos_free(test, bos);
		}
	}
}

/* Given up, it is as good as new, and where new ones are. */
static void backup_dropped_in_a_bulk_move(struct kunit *test)
{
	unsigned int nth, how;

	for (nth = 0; nth < 3; nth++) {
		/* Incomplete or complete, and half-way back from that */
		for (how = 0; how < 4; how++) {
			struct backup_bos *bos = backup_bos(test, true, 0, 67);
			struct ttm_buffer_object *bo = bos->bo[nth];
			pgoff_t i;

			KUNIT_EXPECT_EQ(test,
					backup_bo_shrink_in_part(test, bo,
								 BACKUP_NO_MEMORY),
					64);
			if (how & 1)
				KUNIT_EXPECT_EQ(test, backup_bo_shrink(bo, false), 3);
			if (how & 2) {
				/* The first chunk is back, where there is a second. */
				backup_interrupt_at(test, how & 1 ? 2 : 1);
				KUNIT_EXPECT_EQ(test, backup_bo_populate(bo, true),
						-EINTR);
				backup_interrupt_at(test, 0);
			}
			dma_resv_lock(bo->base.resv, NULL);
			ttm_bo_drop_backup(bo);
			dma_resv_unlock(bo->base.resv);

			KUNIT_EXPECT_EQ(test, backup_bos_on_lru(bos), 7);
			KUNIT_EXPECT_EQ(test, backup_bos_in_bulk(bos), 7);
			KUNIT_EXPECT_FALSE(test, ttm_tt_is_backed_up(bo->ttm));
			KUNIT_EXPECT_FALSE(test, ttm_tt_is_populated(bo->ttm));
			KUNIT_EXPECT_FALSE(test, backup_bo_suitable(bo));
			KUNIT_EXPECT_EQ(test, bo->ttm->retained, 0);
			KUNIT_EXPECT_NULL(test, bo->ttm->restore);
			for (i = 0; i < 67; i++)
				KUNIT_ASSERT_NULL(test, bo->ttm->pages[i]);
			backup_expect_pages(test, bo->ttm, 0, 0, 0);

			KUNIT_EXPECT_EQ(test, backup_bo_populate(bo, false), 0);
			backup_fill(bo->ttm, 9);
			backup_expect_populated(test, bo->ttm);
			backup_expect_walk(test, bos, 7, 0, 3 * 67);
			KUNIT_EXPECT_EQ(test, backup_bos_in_bulk(bos), 0);
			backup_bos_free(test, bos);
			backup_expect_baseline(test);
		}
	}
}

enum backup_bo_state {
	BACKUP_BO_POPULATED,
	BACKUP_BO_INCOMPLETE,
	BACKUP_BO_INCOMPLETE_HALF_RESTORED,
	BACKUP_BO_COMPLETE,
	BACKUP_BO_COMPLETE_HALF_RESTORED,
	BACKUP_BO_INCOMPLETE_PURGED,
	BACKUP_BO_STATES,
};

static void backup_bo_reach(struct kunit *test, struct ttm_buffer_object *bo,
			    enum backup_bo_state state)
{
	switch (state) {
	case BACKUP_BO_POPULATED:
		return;
	case BACKUP_BO_INCOMPLETE:
	case BACKUP_BO_INCOMPLETE_HALF_RESTORED:
	case BACKUP_BO_INCOMPLETE_PURGED:
		KUNIT_EXPECT_EQ(test,
				backup_bo_shrink_in_part(test, bo, BACKUP_NO_MEMORY),
				64);
		break;
	default:
		KUNIT_EXPECT_EQ(test, backup_bo_shrink(bo, false), 67);
		break;
	}

	switch (state) {
	case BACKUP_BO_INCOMPLETE_HALF_RESTORED:
	case BACKUP_BO_COMPLETE_HALF_RESTORED:
		backup_interrupt_at(test, 1);
		KUNIT_EXPECT_EQ(test, backup_bo_populate(bo, true), -EINTR);
		backup_interrupt_at(test, 0);
		break;
	case BACKUP_BO_INCOMPLETE_PURGED:
		KUNIT_EXPECT_EQ(test, backup_bo_shrink(bo, true), 3);
		KUNIT_EXPECT_FALSE(test, backup_bo_suitable(bo));
		break;
	default:
		break;
	}
}

/* The others of its range are still a range. */
static void backup_destroyed_in_any_state(struct kunit *test)
{
	enum backup_bo_state state;
	unsigned int place;

	for (state = 0; state < BACKUP_BO_STATES; state++) {
		/* First, in the midst of it, last */
		for (place = 0; place < 3; place++) {
			struct backup_bos *bos = backup_bos(test, true, 0, 67);
			struct ttm_buffer_object *bo = bos->bo[1];

			/* The first one has the lock, so this one goes. */
			if (place != 1)
				backup_move_to_lru_tail(bos, bos->bo[place ? 1 : 0]);
			backup_bo_reach(test, bo, state);
			bos->bo[1] = NULL;
			kunit_release_action(test, backup_bo_fini, bo);
			KUNIT_EXPECT_EQ(test, backup_bos_on_lru(bos), 5);
			KUNIT_EXPECT_EQ(test, backup_bos_in_bulk(bos), 5);

			/* They leave it one by one, and come back. */
			backup_expect_walk(test, bos, 5, 0, 2 * 67);
			KUNIT_EXPECT_EQ(test, backup_bos_in_bulk(bos), 0);
			KUNIT_EXPECT_EQ(test, backup_bo_populate(bos->bo[0], false), 0);
			KUNIT_EXPECT_EQ(test, backup_bo_populate(bos->bo[2], false), 0);
			KUNIT_EXPECT_EQ(test, backup_bos_in_bulk(bos), 5);
			backup_bos_free(test, bos);
			KUNIT_EXPECT_NULL(test, bos->bulk.pos[TTM_PL_SYSTEM][0].first);
			backup_expect_baseline(test);
		}
	}
}
#endif

static struct kunit_case backup_lru_cases[] = {
	KUNIT_CASE(backup_the_walk_goes_on),
#ifdef CONFIG_FAULT_INJECTION_DEBUG_FS
	KUNIT_CASE(backup_incomplete_stays_on_the_lru),
	KUNIT_CASE(backup_restore_in_a_bulk_move),
	KUNIT_CASE(backup_dropped_in_a_bulk_move),
	KUNIT_CASE(backup_destroyed_in_any_state),
#endif
	{}
};

static struct kunit_suite backup_lru_suite = {
	.name = "ttm_backup_lru",
	.suite_init = backup_suite_init,
	.init = backup_init,
	.test_cases = backup_lru_cases,
};

kunit_test_suite(backup_lru_suite);
