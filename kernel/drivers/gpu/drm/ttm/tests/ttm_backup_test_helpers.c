// SPDX-License-Identifier: MIT
/*
 * Shared by the KUnit tests of backup and swapout by insertion: counters, the
 * contents of pages, their caching, a device, and memory that runs out.
 */

#include <linux/cgroup.h>
#include <linux/cpumask.h>
#include <linux/debugfs.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/initrd.h>
#include <linux/list.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/smp.h>
#include <linux/spinlock.h>
#include <linux/xarray.h>

#ifdef CONFIG_X86
#include <asm/memtype.h>
#include <asm/set_memory.h>
#endif

#include <drm/drm_gem.h>
#include <drm/ttm/ttm_bo.h>
#include <drm/ttm/ttm_tt.h>

#include "../ttm_backup_file.h"
#include "../ttm_backup_restore.h"
#include "../ttm_module.h"
#include "ttm_backup_test_helpers.h"

/*
 * Includes the counters of the processors. If one of these is added to the
 * counter of the node between the reads, the sum lacks it.
 */
long backup_node_stat(enum node_stat_item item)
{
	struct pglist_data *pgdat;
	long sum = 0, node, cpus;

	for_each_online_pgdat(pgdat) {
		do {
			int cpu;

			node = atomic_long_read(&pgdat->vm_stat[item]);
			cpus = 0;
#ifdef CONFIG_SMP
			for_each_possible_cpu(cpu)
				/* That CPU may change it at any time. */
				cpus += data_race(per_cpu_ptr(pgdat->per_cpu_nodestats,
							      cpu)->vm_node_stat_diff[item]);
#endif
		} while (node != atomic_long_read(&pgdat->vm_stat[item]));
		sum += node + cpus;
	}

	return sum;
}

unsigned long backup_vm_events(unsigned int first, unsigned int last)
{
	static unsigned long events[NR_VM_EVENT_ITEMS];
	unsigned long sum = 0;

	all_vm_events(events);
	while (first <= last)
		sum += events[first++];

	return sum;
}

unsigned long backup_pages_allocated(void)
{
	return backup_vm_events(PGALLOC_MOVABLE - ZONE_MOVABLE, PGALLOC_MOVABLE);
}

void *backup_debugfs_value(const char *dir_name, const char *name)
{
	struct dentry *dir = debugfs_lookup(dir_name, NULL), *file;
	void *value = NULL;

	if (IS_ERR_OR_NULL(dir))
		return NULL;

	file = debugfs_lookup(name, dir);
	if (!IS_ERR_OR_NULL(file)) {
		value = d_inode(file)->i_private;
		dput(file);
	}
	dput(dir);

	return value;
}

/* Number of DMA mappings, if the DMA API keeps track of them. */
unsigned int backup_dma_mappings(void)
{
	u32 *total = backup_debugfs_value("dma-api", "nr_total_entries");
	u32 *unused = backup_debugfs_value("dma-api", "num_free_entries");

	return total && unused ? READ_ONCE(*total) - READ_ONCE(*unused) : 0;
}

/* Number of backup files that take folios, with the one that all share */
static unsigned int backup_files(void)
{
	static const struct ttm_tt none;
	struct file *shared = ttm_backup_file_for(&none);
	struct super_block *sb;
	unsigned int files = 0;
	struct list_head *pos;

	if (!shared)
		return 0;

	sb = file_inode(shared)->i_sb;
	spin_lock(&sb->s_inode_list_lock);
	list_for_each(pos, &sb->s_inodes)
		files++;
	spin_unlock(&sb->s_inode_list_lock);

	return files;
}

struct backup_counters backup_counters(void)
{
	/* Kernel threads leave the closing of files to a worker. */
	flush_delayed_fput();

	return (struct backup_counters) {
		.gpu_active = backup_node_stat(NR_GPU_ACTIVE),
		.gpu_reclaim = backup_node_stat(NR_GPU_RECLAIM),
		.shmem = backup_node_stat(NR_SHMEM),
		.shmem_thps = backup_node_stat(NR_SHMEM_THPS),
		.swapins = backup_vm_events(PSWPIN, PSWPIN),
		.dma_mappings = backup_dma_mappings(),
		.files = backup_files(),
	};
}

/* Has the page pools give up all that they hold. */
void backup_empty_pools(long base)
{
	unsigned int tries;

	for (tries = 0; tries < 100; tries++) {
		if (backup_node_stat(NR_GPU_RECLAIM) <= base)
			break;
		drop_slab();
	}
}

/* Is everything as it was before? */
void backup_expect_counters(struct kunit *test,
			    const struct backup_counters *before)
{
	struct backup_counters now;

	backup_empty_pools(before->gpu_reclaim);
	now = backup_counters();

	KUNIT_EXPECT_EQ(test, now.gpu_active, before->gpu_active);
	KUNIT_EXPECT_EQ(test, now.gpu_reclaim, before->gpu_reclaim);
	KUNIT_EXPECT_EQ(test, now.shmem, before->shmem);
	KUNIT_EXPECT_EQ(test, now.shmem_thps, before->shmem_thps);
	KUNIT_EXPECT_EQ(test, now.dma_mappings, before->dma_mappings);
	KUNIT_EXPECT_EQ(test, now.files, before->files);
}

static u64 backup_word(u64 seed, size_t page, size_t word)
{
	return (seed << 52) ^ ((u64)page << 16) ^ word ^ 0x0a5a500000000000ULL;
}

void backup_fill_words(u64 *p, u64 seed, size_t page)
{
	size_t word;

	for (word = 0; word < PAGE_SIZE / sizeof(*p); word++)
		p[word] = backup_word(seed, page, word);
}

bool backup_words_intact(const u64 *p, u64 seed, size_t page)
{
	size_t word;

	for (word = 0; word < PAGE_SIZE / sizeof(*p); word++)
		if (p[word] != backup_word(seed, page, word))
			return false;

	return true;
}

/* How the kernel has a page mapped that is to have this caching. */
enum ttm_caching backup_expected_caching(struct page *page, enum ttm_caching caching)
{
	return IS_ENABLED(CONFIG_X86) && !PageHighMem(page) ? caching : ttm_cached;
}

/* How the kernel has a page mapped: high memory only for an access, and cached. */
enum ttm_caching backup_page_caching(struct page *page)
{
#ifdef CONFIG_X86
	unsigned int level;
	pgprot_t prot;
	pte_t *pte;

	if (PageHighMem(page))
		return ttm_cached;

	pte = lookup_address((unsigned long)page_address(page), &level);
	prot = pte_pgprot(*pte);

	if (level != PG_LEVEL_4K)
		prot = pgprot_large_2_4k(prot);

	switch (pgprot2cachemode(prot)) {
	case _PAGE_CACHE_MODE_WB:
		return ttm_cached;
	case _PAGE_CACHE_MODE_WC:
		return ttm_write_combined;
	default:
		return ttm_uncached;
	}
#else
	return ttm_cached;
#endif
}

static int backup_fake_extract(struct ttm_pool *pool, struct ttm_tt *tt,
			       const struct ttm_operation_ctx *ctx, pgoff_t idx,
			       unsigned int min_order, bool effort, bool progress,
			       unsigned int *order)
{
	return -EBUSY;
}

/* Nothing is taken out, so all of it is copied back, until this is deactivated. */
void backup_extraction_fails(struct kunit *test)
{
	kunit_activate_static_stub(test, ttm_backup_restore_extract,
				   backup_fake_extract);
}

void backup_extraction_works(struct kunit *test)
{
	kunit_deactivate_static_stub(test, ttm_backup_restore_extract);
}

/* Split the folios of a backup file before @end to that order, as reclaim may. */
void backup_split_in_file(struct kunit *test, struct file *backup, unsigned int order,
			  pgoff_t end)
{
	pgoff_t i;

	for (i = 0; i < end; i += 1UL << order) {
		struct folio *folio = filemap_lock_folio(backup->f_mapping, i);

		KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
		if (folio_order(folio) > order)
			KUNIT_EXPECT_EQ(test, split_folio_to_order(folio, order), 0);
		folio_unlock(folio);
		folio_put(folio);
	}
}

#if defined(CONFIG_FAIL_PAGE_ALLOC) && defined(CONFIG_FAULT_INJECTION_DEBUG_FS)
static struct {
	struct fault_attr *attr, old;
	bool *highmem, old_highmem;
	bool *wait, old_wait;
	u32 *min_order, old_order;
} backup_memory_fault;

static void backup_memory_fault_end(void *data)
{
	struct fault_attr *attr = backup_memory_fault.attr;

	/* That of another task, after a failed assertion, has died with it. */
	current->make_it_fail = 0;

	*backup_memory_fault.min_order = backup_memory_fault.old_order;
	*backup_memory_fault.wait = backup_memory_fault.old_wait;
	*backup_memory_fault.highmem = backup_memory_fault.old_highmem;
	attr->probability = backup_memory_fault.old.probability;
	attr->interval = backup_memory_fault.old.interval;
	attr->task_filter = backup_memory_fault.old.task_filter;
	attr->verbose = backup_memory_fault.old.verbose;
	atomic_set(&attr->times, atomic_read(&backup_memory_fault.old.times));
	atomic_set(&attr->space, atomic_read(&backup_memory_fault.old.space));
}

/*
 * Of all allocations of the page allocator, fail so many after so many pages. That ends
 * with backup_memory_works() or with the case.
 */
void backup_memory_fails(struct kunit *test, unsigned int pages, int times)
{
	unsigned long *probability = backup_debugfs_value("fail_page_alloc",
							  "probability");
	struct fault_attr *attr;

	backup_memory_fault.highmem = backup_debugfs_value("fail_page_alloc",
							   "ignore-gfp-highmem");
	backup_memory_fault.wait = backup_debugfs_value("fail_page_alloc",
							"ignore-gfp-wait");
	backup_memory_fault.min_order = backup_debugfs_value("fail_page_alloc",
							     "min-order");
	if (!probability || !backup_memory_fault.highmem || !backup_memory_fault.wait ||
	    !backup_memory_fault.min_order)
		kunit_skip(test, "no fail_page_alloc in debugfs");

	attr = container_of(probability, struct fault_attr, probability);
	backup_memory_fault.attr = attr;
	backup_memory_fault.old = *attr;
	backup_memory_fault.old_highmem = *backup_memory_fault.highmem;
	backup_memory_fault.old_wait = *backup_memory_fault.wait;
	backup_memory_fault.old_order = *backup_memory_fault.min_order;
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action(test, backup_memory_fault_end, NULL));

	attr->probability = 100;
	attr->interval = 1;
	attr->task_filter = true;
	attr->verbose = 0;
	atomic_set(&attr->times, times);
	atomic_set(&attr->space, pages + 1);
	*backup_memory_fault.highmem = false;
	*backup_memory_fault.wait = false;
	*backup_memory_fault.min_order = 0;

	current->make_it_fail = 1;
}

/* From now on, let only allocations of at least this order fail. */
void backup_memory_fails_from(unsigned int order)
{
	*backup_memory_fault.min_order = order;
}

/* Returns how many failures of those wanted have not come. */
int backup_memory_works(struct kunit *test)
{
	int left = atomic_read(&backup_memory_fault.attr->times);

	kunit_release_action(test, backup_memory_fault_end, NULL);

	return left;
}
#endif

#ifdef CONFIG_FAULT_INJECTION_DEBUG_FS
static struct fault_attr *backup_fault_attr(struct kunit *test)
{
	struct dentry *dir = debugfs_lookup("backup_fault_inject",
					    ttm_debugfs_root);
	struct dentry *file;
	struct fault_attr *attr;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dir);
	file = debugfs_lookup("probability", dir);
	dput(dir);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	attr = container_of((unsigned long *)d_inode(file)->i_private,
			    struct fault_attr, probability);
	dput(file);

	return attr;
}

static void backup_fault_end(void *attr)
{
	((struct fault_attr *)attr)->probability = 0;
}

/*
 * Interrupt one restore, the Nth time that one could be. Zero: no more, which the end of
 * the case stands for as well.
 */
void backup_interrupt_at(struct kunit *test, unsigned int n)
{
	struct fault_attr *attr = backup_fault_attr(test);

	kunit_release_action(test, backup_fault_end, attr);
	if (!n)
		return;

	KUNIT_ASSERT_EQ(test, 0, kunit_add_action(test, backup_fault_end, attr));
	attr->probability = 100;
	attr->interval = n;
	attr->count = 0;
	attr->verbose = 0;
	atomic_set(&attr->space, 0);
	atomic_set(&attr->times, 1);
}

/*
 * Let the Nth call fail that a backup makes, and the next one: a chunk that ends a
 * batch is the first of the next batch.
 */
void backup_fail_at(struct kunit *test, unsigned int n)
{
	struct fault_attr *attr = backup_fault_attr(test);

	backup_interrupt_at(test, 1);
	atomic_set(&attr->space, n);
	atomic_set(&attr->times, 2);
}
#endif

static unsigned int backup_fake_sane_order(void)
{
	return ilog2(BACKUP_CHUNK);
}

/*
 * A folio that waits in the batches of another processor, where a case ran before it was
 * moved, is busy. That takes nothing but time from users, but upsets what cases count.
 */
void backup_stay_on_cpu(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, 0,
			set_cpus_allowed_ptr(current, cpumask_of(raw_smp_processor_id())));
}

/*
 * A device that can address all memory. The cases rely on the chunks that there
 * are with pages of 4 KiB, so chunks have the same number of pages on all
 * machines.
 */
void backup_alloc_drm(struct kunit *test, u64 *dma_mask,
		      struct device **dev, struct drm_device **drm)
{
	*dev = drm_kunit_helper_alloc_device(test);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, *dev);
	*dma_mask = DMA_BIT_MASK(64);
	(*dev)->dma_mask = dma_mask;
	(*dev)->coherent_dma_mask = DMA_BIT_MASK(64);

	*drm = __drm_kunit_helper_alloc_drm_device(test, *dev, sizeof(**drm), 0,
						   DRIVER_GEM);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, *drm);

	kunit_activate_static_stub(test, ttm_backup_file_sane_order,
				   backup_fake_sane_order);
}

/* For drivers' buffer objects that a test allocates */
void backup_bo_destroy(struct ttm_buffer_object *bo)
{
	drm_gem_object_release(&bo->base);
}

void backup_bo_fini(void *data)
{
	struct ttm_buffer_object *bo = data;

	dma_resv_lock(bo->base.resv, NULL);
	ttm_bo_set_bulk_move(bo, NULL);
	dma_resv_unlock(bo->base.resv);
	ttm_bo_fini(bo);
}

#ifdef CONFIG_MEMCG
KUNIT_DEFINE_ACTION_WRAPPER(backup_put_css, css_put, struct cgroup_subsys_state *);

/* The group that the harness makes, in which there is no memory to be had */
struct mem_cgroup *backup_memcg(struct kunit *test)
{
	struct cgroup_subsys_state *css;
	struct cgroup *cgroup;

	cgroup = cgroup_get_from_path("/kunit");
	if (IS_ERR(cgroup))
		kunit_skip(test, "no cgroup /kunit: make it, and set its memory.max to 0");
	css = cgroup_get_e_css(cgroup, &memory_cgrp_subsys);
	cgroup_put(cgroup);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, backup_put_css, css));

	return mem_cgroup_from_css(css);
}

/* The pages in the backup file that are charged to @memcg, be it the root one */
pgoff_t backup_pages_charged(const struct ttm_tt *tt, const struct mem_cgroup *memcg)
{
	unsigned long index;
	pgoff_t pages = 0;
	void *entry;

	xa_for_each(&tt->backup->f_mapping->i_pages, index, entry) {
		struct folio *folio = entry;

		if (xa_is_value(entry))
			continue;
		rcu_read_lock();
		if (folio_memcg_charged(folio) && folio_memcg(folio) == memcg)
			pages += folio_nr_pages(folio);
		rcu_read_unlock();
	}

	return pages;
}
#endif

int backup_suite_init(struct kunit_suite *suite)
{
	/* The initramfs is unpacked to shmem, which has to be over by now. */
	wait_for_initramfs();

	return 0;
}
