// SPDX-License-Identifier: GPL-2.0
/*
 * Helpers of the KUnit tests of shmem_insert_folio() and shmem_extract_folio():
 * mounts, files and folios, the state of both, reclaim of a single folio, tasks that
 * race, and injection of faults.
 */

#include <linux/cgroup.h>
#include <linux/cpumask.h>
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/fs_context.h>
#include <linux/initrd.h>
#include <linux/kthread.h>
#include <linux/memfd.h>
#include <linux/mman.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/smp.h>
#include <linux/string.h>

#include <uapi/linux/memfd.h>

#include "shmem_insert_kunit.h"

struct vfsmount *insert_always, *insert_within;

static struct vfsmount *insert_mount(int flags, const char *key, const char *value)
{
	struct file_system_type *type = get_fs_type("tmpfs");
	struct vfsmount *mnt;
	struct fs_context *fc;
	int ret;

	if (!type)
		return ERR_PTR(-ENODEV);

	fc = fs_context_for_mount(type, flags);
	if (IS_ERR(fc))
		return ERR_CAST(fc);

	/* Without THP, there is no option "huge", and no need for it. */
	if (IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE)) {
		ret = vfs_parse_fs_string(fc, "huge", "always");
		if (ret)
			goto out_err;
	}
	if (key && (IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE) || strcmp(key, "huge"))) {
		ret = vfs_parse_fs_string(fc, key, value);
		if (ret)
			goto out_err;
	}

	mnt = fc_mount_longterm(fc);
	put_fs_context(fc);

	return mnt;

out_err:
	put_fs_context(fc);
	return ERR_PTR(ret);
}

void insert_unmount(void *mnt)
{
	kern_unmount(mnt);
}

void insert_close(void *file)
{
	__fput_sync(file);
}

void insert_put(void *folio)
{
	folio_put(folio);
}

/* A mount of the test's own. */
struct vfsmount *insert_test_mount(struct kunit *test, int flags,
				   const char *key, const char *value)
{
	struct vfsmount *mnt = insert_mount(flags, key, value);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mnt);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, insert_unmount, mnt));

	return mnt;
}

/* Kernel mounts know no such option, but shmem would do as it is told. */
struct vfsmount *insert_noswap_mount(struct kunit *test)
{
	struct vfsmount *mnt = insert_test_mount(test, SB_KERNMOUNT, NULL, NULL);
	struct shmem_sb_info *sbinfo = mnt->mnt_sb->s_fs_info;

	sbinfo->noswap = true;

	return mnt;
}

/* The file is closed at the end of the test. */
struct file *insert_keep_file(struct kunit *test, struct file *file)
{
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, insert_close, file));

	return file;
}

/* A file that was not made for insertion */
struct file *insert_plain_file(struct kunit *test, struct vfsmount *mnt,
			       loff_t size)
{
	/* Without a reservation, each page is accounted when it comes. */
	return insert_keep_file(test, shmem_file_setup_with_mnt(mnt, "insert", size,
						mk_vma_flags(VMA_NORESERVE_BIT)));
}

struct file *insert_file_bytes(struct kunit *test, struct vfsmount *mnt,
			       loff_t size)
{
	struct file *file = insert_plain_file(test, mnt, size);

	shmem_set_insertable(file);

	return file;
}

/* A file as memfd_create() makes it, with seals */
struct file *insert_memfd(struct kunit *test, loff_t size)
{
	struct file *file = insert_keep_file(test, memfd_alloc_file("insert",
							MFD_ALLOW_SEALING));

	i_size_write(file_inode(file), size);

	return file;
}

/* A file as shmget() and mmap() of shared anonymous memory make it */
struct file *insert_shared_memory(struct kunit *test, loff_t size)
{
	return insert_keep_file(test, shmem_kernel_file_setup("SYSV00000000", size,
						mk_vma_flags(VMA_NORESERVE_BIT)));
}

struct file *insert_shared_anonymous(struct kunit *test, loff_t size)
{
	struct vm_area_desc desc = {
		.end = size, .vma_flags = mk_vma_flags(VMA_NORESERVE_BIT),
	};

	KUNIT_ASSERT_EQ(test, shmem_zero_setup_desc(&desc), 0);

	return insert_keep_file(test, desc.vm_file);
}

struct file *insert_file(struct kunit *test, struct vfsmount *mnt,
			 pgoff_t pages)
{
	return insert_file_bytes(test, mnt, (loff_t)pages << PAGE_SHIFT);
}

static u64 insert_word(u64 seed, size_t page, size_t word)
{
	return (seed << 48) ^ ((u64)page << 16) ^ word ^ 0x5aa5000000000000ULL;
}

void insert_fill(struct folio *folio, u64 seed)
{
	size_t page, word;

	for (page = 0; page < folio_nr_pages(folio); page++) {
		u64 *p = kmap_local_folio(folio, page * PAGE_SIZE);

		for (word = 0; word < PAGE_SIZE / sizeof(*p); word++)
			p[word] = insert_word(seed, page, word);
		kunmap_local(p);
	}
}

/* Does this page of the folio differ from that page of what was filled in? */
bool insert_differs(struct folio *folio, size_t page, size_t filled, u64 seed)
{
	u64 *p = kmap_local_folio(folio, page * PAGE_SIZE);
	size_t word;

	for (word = 0; word < PAGE_SIZE / sizeof(*p); word++)
		if (p[word] != insert_word(seed, filled, word))
			break;
	kunmap_local(p);

	return word < PAGE_SIZE / sizeof(*p);
}

bool insert_intact(struct folio *folio, u64 seed)
{
	size_t page;

	for (page = 0; page < folio_nr_pages(folio); page++)
		if (insert_differs(folio, page, page, seed))
			return false;

	return true;
}

/* Has the administrator forbidden large folios for the whole system? */
bool insert_large_denied(void)
{
	bool denied = false;
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	char *buf = (char *)__get_free_page(GFP_KERNEL);

	if (buf) {
		shmem_enabled_attr.show(NULL, NULL, buf);
		denied = strstr(buf, "[deny]");
		free_page((unsigned long)buf);
	}
#endif
	return denied;
}

/* A detached folio, filled; the test's reference is dropped at its end. */
struct folio *insert_folio(struct kunit *test, struct file *file,
			   unsigned int order, u64 seed)
{
	struct folio *folio;

	folio = shmem_alloc_detached_folio(file, order, NUMA_NO_NODE,
					   GFP_HIGHUSER | __GFP_RETRY_MAYFAIL);
	if (!folio && order && insert_large_denied())
		kunit_skip(test, "needs large folios");
	KUNIT_ASSERT_NOT_NULL_MSG(test, folio, "no memory for order %u", order);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, insert_put, folio));
	insert_fill(folio, seed);

	return folio;
}

/* The bytes that a reader of the file gets. */
void insert_expect_read(struct kunit *test, struct file *file,
			pgoff_t index, unsigned int order, u64 seed)
{
	pgoff_t i, nr = 1UL << order;

	for (i = 0; i < nr; i++) {
		struct folio *folio = shmem_read_folio(file->f_mapping, index + i);
		u64 *p;
		size_t word;
		int bad = 0;

		KUNIT_ASSERT_FALSE_MSG(test, IS_ERR(folio), "page %lu of order %u",
				       i, order);
		p = kmap_local_page(folio_file_page(folio, index + i));
		for (word = 0; word < PAGE_SIZE / sizeof(*p); word++)
			bad += p[word] != insert_word(seed, i, word);
		kunmap_local(p);
		folio_put(folio);
		KUNIT_ASSERT_EQ_MSG(test, bad, 0, "page %lu of order %u", i, order);
	}
}

unsigned int insert_max_order(void)
{
	if (!IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE) || insert_large_denied())
		return 0;

	return MAX_PAGECACHE_ORDER;
}

/*
 * The order of 2 MiB, if there is one, for what is done many times: with pages of 64 KiB,
 * the highest order is that of 128 MiB.
 */
unsigned int insert_2mib_order(void)
{
	return min(insert_max_order(), 21 - PAGE_SHIFT);
}

/* The highest order that goes to swap as one, and is not split for it */
unsigned int insert_swap_order(void)
{
	return IS_ENABLED(CONFIG_THP_SWAP) ? insert_2mib_order() : 0;
}

/*
 * Includes the counters of the processors. If one of these is added to the
 * counter of the node between the reads, the sum lacks it.
 */
long insert_node_stat(enum node_stat_item item)
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

unsigned long insert_vm_events(unsigned int first, unsigned int last)
{
	static unsigned long events[NR_VM_EVENT_ITEMS];
	unsigned long sum = 0;

	all_vm_events(events);
	while (first <= last)
		sum += events[first++];

	return sum;
}

/* Pages that were allocated, but for those of the slab allocator. */
long insert_pages_allocated(void)
{
	return insert_vm_events(PGALLOC_MOVABLE - ZONE_MOVABLE, PGALLOC_MOVABLE) -
	       insert_node_stat(NR_SLAB_RECLAIMABLE_B) -
	       insert_node_stat(NR_SLAB_UNRECLAIMABLE_B);
}

const char * const insert_items[INSERT_ITEMS] = {
	"flags", "refcount", "memcg", "index", "private", "mapping",
	"first entry", "last entry", "nrpages", "alloced", "swapped", "i_blocks",
	"used blocks of the mount", "i_size", "NR_SHMEM", "NR_SHMEM_THPS",
	"NR_FILE_PAGES", "committed memory", "pages swapped in",
};

void insert_get_state(struct insert_state *state, struct file *file,
		      struct folio *folio, pgoff_t index)
{
	struct address_space *mapping = file->f_mapping;
	struct inode *inode = mapping->host;
	struct shmem_inode_info *info = SHMEM_I(inode);
	struct shmem_sb_info *sbinfo = inode->i_sb->s_fs_info;
	pgoff_t last = index + folio_nr_pages(folio) - 1;
	u64 *items = state->items;

	memset(state, 0, sizeof(*state));
	items[INSERT_FLAGS] = folio->flags.f;
	items[INSERT_REFS] = folio_ref_count(folio);
#ifdef CONFIG_MEMCG
	items[INSERT_MEMCG] = folio->memcg_data;
#endif
	items[INSERT_INDEX] = folio->index;
	items[INSERT_PRIVATE] = (unsigned long)folio->private;
	items[INSERT_MAPPING] = (unsigned long)folio->mapping;
	items[INSERT_FIRST_ENTRY] = (unsigned long)xa_load(&mapping->i_pages, index);
	items[INSERT_LAST_ENTRY] = (unsigned long)xa_load(&mapping->i_pages, last);
	items[INSERT_NRPAGES] = mapping->nrpages;
	items[INSERT_ALLOCED] = info->alloced;
	items[INSERT_SWAPPED] = info->swapped;
	items[INSERT_BLOCKS] = inode->i_blocks;
	items[INSERT_MOUNT_BLOCKS] = percpu_counter_sum(&sbinfo->used_blocks);
	items[INSERT_SIZE] = i_size_read(inode);
	items[INSERT_SHMEM] = insert_node_stat(NR_SHMEM);
	items[INSERT_SHMEM_THPS] = insert_node_stat(NR_SHMEM_THPS);
	items[INSERT_FILE_PAGES] = insert_node_stat(NR_FILE_PAGES);
	items[INSERT_COMMITTED] = percpu_counter_sum(&vm_committed_as);
#ifdef CONFIG_SWAP
	items[INSERT_SWAPINS] = insert_vm_events(PSWPIN, PSWPIN);
#endif
}

void insert_expect_same(struct kunit *test, const struct insert_state *a,
			const struct insert_state *b, const char *what)
{
	unsigned int i;

	for (i = 0; i < INSERT_ITEMS; i++)
		KUNIT_EXPECT_EQ_MSG(test, a->items[i], b->items[i],
				    "%s: %s has changed", what, insert_items[i]);
}

void insert_expect_inserted(struct kunit *test, struct file *file,
			    struct folio *folio, pgoff_t index)
{
	int ret = shmem_insert_folio(file, folio, index, GFP_KERNEL);

	KUNIT_ASSERT_EQ_MSG(test, ret, 0, "order %u at %lu", folio_order(folio),
			    index);
	KUNIT_ASSERT_PTR_EQ(test, folio->mapping, file->f_mapping);
}

/*
 * Has a folio swapped out, of which the test gives up its reference. True if
 * it went as a whole.
 */
bool insert_reclaim(struct kunit *test, struct file *file,
		    struct folio *folio)
{
	struct xarray *pages = &file->f_mapping->i_pages;
	unsigned int order = folio_order(folio);
	pgoff_t index = folio->index;
	bool isolated = false;
	unsigned int tries;
	LIST_HEAD(list);

	lru_add_drain_all();
	kunit_remove_action(test, insert_put, folio);
	for (tries = 0; tries < 8; tries++) {
		void *entry = xa_load(pages, index);

		if (xa_is_value(entry))
			break;
		folio = filemap_get_folio(file->f_mapping, index);
		/* Others may be reclaiming it as well. */
		if (IS_ERR(folio))
			continue;
		if (!tries)
			folio_put(folio);
		if (!folio_isolate_lru(folio)) {
			folio_put(folio);
			lru_add_drain_all();
			continue;
		}
		isolated = true;
		folio_put(folio);
		if (folio_test_unevictable(folio)) {
			folio_putback_lru(folio);
			break;
		}
		list_add(&folio->lru, &list);
		reclaim_pages(&list);
		lru_add_drain_all();
	}

	KUNIT_ASSERT_TRUE(test, isolated || xa_is_value(xa_load(pages, index)));

	return xa_is_value(xa_load(pages, index)) &&
	       xa_get_order(pages, index) == order;
}

struct file *extract_file(struct kunit *test, struct vfsmount *mnt,
			  pgoff_t pages)
{
	struct file *file = insert_file(test, mnt, pages);

	mapping_set_gfp_mask(file->f_mapping, GFP_HIGHUSER | __GFP_RECLAIMABLE);

	return file;
}

/* Everything of a page's flags but where the page is */
unsigned long extract_flags(struct folio *folio, unsigned long page)
{
	return folio_page(folio, page)->flags.f & PAGE_FLAGS_CHECK_AT_PREP;
}

/* An extracted folio is as shmem_alloc_detached_folio() gives them out. */
void extract_expect_fresh(struct kunit *test, struct file *file,
			  struct folio *folio, const char *what)
{
	unsigned int order = folio_order(folio);
	unsigned long i;
	struct folio *fresh;
	int different = 0;

	fresh = shmem_alloc_detached_folio(file, order, NUMA_NO_NODE,
					   GFP_HIGHUSER | __GFP_RETRY_MAYFAIL);
	KUNIT_ASSERT_NOT_NULL(test, fresh);

	KUNIT_EXPECT_EQ_MSG(test, extract_flags(folio, 0), extract_flags(fresh, 0),
			    "%s, order %u", what, order);
	for (i = 1; i < folio_nr_pages(folio); i++)
		different += extract_flags(folio, i) != extract_flags(fresh, i);
	KUNIT_EXPECT_EQ_MSG(test, different, 0, "%s: tail pages", what);
	KUNIT_EXPECT_EQ_MSG(test, folio_ref_count(folio), 1, "%s", what);
	KUNIT_EXPECT_NULL_MSG(test, folio->mapping, "%s", what);
	KUNIT_EXPECT_NULL_MSG(test, folio->private, "%s", what);
	KUNIT_EXPECT_EQ_MSG(test, folio->index, 0, "%s", what);
	KUNIT_EXPECT_EQ_MSG(test, atomic_read(&folio->_mapcount),
			    atomic_read(&fresh->_mapcount), "%s", what);
#ifdef CONFIG_MEMCG
	KUNIT_EXPECT_EQ_MSG(test, folio->memcg_data, fresh->memcg_data, "%s", what);
#endif
	if (order) {
		KUNIT_EXPECT_EQ_MSG(test, folio_test_large_rmappable(folio),
				    folio_test_large_rmappable(fresh), "%s", what);
		KUNIT_EXPECT_EQ_MSG(test, folio_large_mapcount(folio),
				    folio_large_mapcount(fresh), "%s", what);
		KUNIT_EXPECT_EQ_MSG(test, folio_entire_mapcount(folio),
				    folio_entire_mapcount(fresh), "%s", what);
	}
	if (order > 1) {
		KUNIT_EXPECT_TRUE_MSG(test, list_empty(&folio->_deferred_list),
				      "%s", what);
		KUNIT_EXPECT_EQ_MSG(test, atomic_read(&folio->_pincount),
				    atomic_read(&fresh->_pincount), "%s", what);
	}

	folio_put(fresh);
}

static const char * const extract_counter_names[EXTRACT_COUNTERS] = {
	"NR_SHMEM", "NR_SHMEM_THPS", "NR_FILE_PAGES", "NR_INACTIVE_ANON",
	"NR_UNEVICTABLE", "NR_ISOLATED_ANON", "i_blocks",
	"used blocks of the mount", "alloced", "swapped", "nrpages",
	"committed memory",
};

void extract_get_counters(struct extract_counters *counters,
			  struct file *file)
{
	struct inode *inode = file_inode(file);
	struct shmem_sb_info *sbinfo = inode->i_sb->s_fs_info;
	s64 *items = counters->items;

	lru_add_drain_all();
	items[EXTRACT_SHMEM] = insert_node_stat(NR_SHMEM);
	items[EXTRACT_SHMEM_THPS] = insert_node_stat(NR_SHMEM_THPS);
	items[EXTRACT_FILE_PAGES] = insert_node_stat(NR_FILE_PAGES);
	items[EXTRACT_INACTIVE] = insert_node_stat(NR_INACTIVE_ANON);
	items[EXTRACT_UNEVICTABLE] = insert_node_stat(NR_UNEVICTABLE);
	items[EXTRACT_ISOLATED] = insert_node_stat(NR_ISOLATED_ANON);
	items[EXTRACT_BLOCKS] = inode->i_blocks;
	items[EXTRACT_MOUNT_BLOCKS] = percpu_counter_sum(&sbinfo->used_blocks);
	items[EXTRACT_ALLOCED] = SHMEM_I(inode)->alloced;
	items[EXTRACT_SWAPPED] = SHMEM_I(inode)->swapped;
	items[EXTRACT_NRPAGES] = inode->i_mapping->nrpages;
	items[EXTRACT_COMMITTED] = percpu_counter_sum(&vm_committed_as);
}

void extract_expect_counters(struct kunit *test, struct file *file,
			     const struct extract_counters *base,
			     const char *what)
{
	struct extract_counters now;
	unsigned int i;

	extract_get_counters(&now, file);
	for (i = 0; i < EXTRACT_COUNTERS; i++)
		KUNIT_EXPECT_EQ_MSG(test, now.items[i], base->items[i],
				    "%s: %s is off", what, extract_counter_names[i]);
}

/* Inserting is refused with this error, and nothing has changed by it. */
void insert_expect_refused(struct kunit *test, struct file *file,
			   struct folio *folio, pgoff_t index, gfp_t gfp,
			   int err, const char *what)
{
	struct insert_state before, after;
	int ret;

	insert_get_state(&before, file, folio, index);
	ret = shmem_insert_folio(file, folio, index, gfp);
	insert_get_state(&after, file, folio, index);

	KUNIT_EXPECT_EQ_MSG(test, ret, err, "%s", what);
	insert_expect_same(test, &before, &after, what);
	/* There is no going on with a folio that is not detached any more. */
	KUNIT_ASSERT_NE_MSG(test, ret, 0, "%s", what);
}

/* -EINVAL, one warning on the first occasion, no second one, and no BUG. */
void insert_expect_misused(struct kunit *test, struct file *file,
			   struct folio *folio, const char *what)
{
	int warnings = IS_ENABLED(CONFIG_DEBUG_VM);

	memset(__start_once, 0, __end_once - __start_once);

	kunit_warning_suppress(test) {
		insert_expect_refused(test, file, folio, 0, GFP_KERNEL, -EINVAL,
				      what);
		KUNIT_EXPECT_EQ_MSG(test, KUNIT_SUPPRESSED_WARNING_COUNT(),
				    warnings, "%s", what);
		insert_expect_refused(test, file, folio, 0, GFP_KERNEL, -EINVAL,
				      what);
		KUNIT_EXPECT_EQ_MSG(test, KUNIT_SUPPRESSED_WARNING_COUNT(),
				    warnings, "%s, again", what);
	}
}

/* A folio of the file, of which the test has no reference. */
struct folio *extract_insert(struct kunit *test, struct file *file,
			     unsigned int order, pgoff_t index, u64 seed)
{
	struct folio *folio = insert_folio(test, file, order, seed);

	insert_expect_inserted(test, file, folio, index);
	kunit_release_action(test, insert_put, folio);

	return folio;
}

/* Extraction works; the test's reference is dropped at its end. */
struct folio *extract_ok(struct kunit *test, struct file *file, pgoff_t index,
			 unsigned int min_order, gfp_t gfp)
{
	struct folio *folio;

	/* The test may have been on another CPU when the folio got in. */
	lru_add_drain_all();
	folio = shmem_extract_folio(file, index, min_order, NUMA_NO_NODE, gfp);
	KUNIT_ASSERT_EQ_MSG(test, PTR_ERR_OR_ZERO(folio), 0,
			    "order %u at %lu", min_order, index);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, insert_put, folio));

	return folio;
}

/* Gives others time, and gets the folio out of their batches now and then. */
void extract_wait(unsigned int tries)
{
	if (tries % 16)
		cond_resched();
	else
		lru_add_drain_all();
}

/* Like extract_ok(), while others take the folio for a moment. */
struct folio *extract_patiently(struct kunit *test, struct file *file,
				pgoff_t index, unsigned int min_order)
{
	struct folio *folio;
	unsigned int tries;

	for (tries = 0; tries < EXTRACT_PATIENCE; tries++) {
		folio = shmem_extract_folio(file, index, min_order, NUMA_NO_NODE,
					    EXTRACT_GFP);
		if (PTR_ERR_OR_ZERO(folio) != -EBUSY)
			break;
		extract_wait(tries);
	}
	KUNIT_ASSERT_EQ_MSG(test, PTR_ERR_OR_ZERO(folio), 0,
			    "order %u at %lu", min_order, index);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, insert_put, folio));

	return folio;
}

int extract_error(struct file *file, pgoff_t index, unsigned int min_order,
		  int nid, gfp_t gfp)
{
	struct folio *folio = shmem_extract_folio(file, index, min_order, nid, gfp);

	if (!IS_ERR(folio)) {
		folio_put(folio);
		return 0;
	}

	return PTR_ERR(folio);
}

/* Extraction of this resident folio is refused, and nothing has changed by it. */
void extract_expect_refused(struct kunit *test, struct file *file,
			    struct folio *folio, pgoff_t index,
			    unsigned int min_order, int nid, gfp_t gfp,
			    int err, const char *what)
{
	struct insert_state before, after;
	int ret;

	/* A folio in a batch has an additional reference and is not on the LRU yet. */
	lru_add_drain_all();
	insert_get_state(&before, file, folio, folio->index);
	ret = extract_error(file, index, min_order, nid, gfp);
	KUNIT_ASSERT_EQ_MSG(test, ret, err, "%s", what);
	lru_add_drain_all();
	insert_get_state(&after, file, folio, folio->index);

	insert_expect_same(test, &before, &after, what);
	KUNIT_EXPECT_TRUE_MSG(test, folio_test_dirty(folio), "%s", what);
	KUNIT_EXPECT_TRUE_MSG(test, folio_test_lru(folio), "%s", what);
	KUNIT_EXPECT_FALSE_MSG(test, folio_test_locked(folio), "%s", what);
	KUNIT_EXPECT_PTR_EQ_MSG(test, folio->mapping, file->f_mapping, "%s", what);
}

/* Takes all out of a range that was filled as one folio, and looks at it. */
void extract_expect_all_at(struct kunit *test, struct file *file,
			   pgoff_t index, pgoff_t nr, pgoff_t first, u64 seed)
{
	pgoff_t i = 0;

	while (i < nr) {
		struct folio *folio = extract_patiently(test, file, index + i, 0);
		unsigned long page, pages = folio_nr_pages(folio);
		int bad = 0;

		extract_expect_fresh(test, file, folio, "one of many");
		KUNIT_ASSERT_TRUE(test, IS_ALIGNED(index + i, pages));
		for (page = 0; page < pages; page++)
			bad += insert_differs(folio, page, first + i + page, seed);
		KUNIT_EXPECT_EQ_MSG(test, bad, 0, "from page %lu on", i);
		kunit_release_action(test, insert_put, folio);
		i += pages;
	}
}

void extract_expect_all(struct kunit *test, struct file *file,
			pgoff_t index, pgoff_t nr, u64 seed)
{
	extract_expect_all_at(test, file, index, nr, 0, seed);
}

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
void extract_expect_reclaimable(struct kunit *test, struct folio *folio)
{
	unsigned long pfn = folio_pfn(folio), end = pfn + folio_nr_pages(folio);

	/* A block as a whole changes its type with its use. */
	KUNIT_ASSERT_GE(test, folio_order(folio), pageblock_order);
	for (; pfn < end; pfn += pageblock_nr_pages)
		KUNIT_EXPECT_EQ(test, get_pageblock_migratetype(pfn_to_page(pfn)),
				MIGRATE_RECLAIMABLE);
}
#endif

void extract_racer_acts(struct extract_racer *racer)
{
	atomic_inc(racer->ready);
	while (atomic_read(racer->ready) < 2)
		cond_resched();
	udelay(racer->delay);

	switch (racer->kind) {
	case EXTRACT_IT:
		racer->folio = shmem_extract_folio(racer->file, racer->index,
						   racer->order, NUMA_NO_NODE,
						   EXTRACT_GFP);
		break;
	case EXTRACT_PUNCH:
		shmem_truncate_range(file_inode(racer->file), racer->start, racer->end);
		break;
	case EXTRACT_UNUSE:
#ifdef CONFIG_SWAP
		racer->ret = shmem_unuse(racer->type);
#endif
		break;
	}
}

static int extract_race(void *data)
{
	extract_racer_acts(data);
	while (!kthread_should_stop())
		schedule_timeout_interruptible(1);

	return 0;
}

/* Starts the other one of two; extract_racer_acts() is the first's part. */
void extract_start(struct kunit *test, struct extract_racer *racer)
{
	racer->task = kthread_create(extract_race, racer, "extract_race");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, racer->task);
	get_task_struct(racer->task);
	wake_up_process(racer->task);
}

/* It has begun, so it ends before it sees that it has to stop. */
void extract_join(struct extract_racer *racer)
{
	kthread_stop(racer->task);
	put_task_struct(racer->task);
}

#ifdef CONFIG_FAULT_INJECTION_DEBUG_FS
/* The private pointer of a file that fault injection has in debugfs */
void *insert_fault_setting(const char *name, const char *setting)
{
	struct dentry *dir = debugfs_lookup(name, NULL), *file;
	void *where = NULL;

	if (IS_ERR_OR_NULL(dir))
		return NULL;

	file = debugfs_lookup(setting, dir);
	if (!IS_ERR_OR_NULL(file)) {
		where = d_inode(file)->i_private;
		dput(file);
	}
	dput(dir);

	return where;
}

struct fault_attr *insert_fault_attr(const char *name)
{
	unsigned long *probability = insert_fault_setting(name, "probability");

	return probability ? container_of(probability, struct fault_attr,
					  probability) : NULL;
}

/* Let each allocation of this task fail once it has had so much. */
void insert_start_faults(struct fault_attr *attr,
			 struct fault_attr *old, int space)
{
	*old = *attr;
	attr->probability = 100;
	attr->interval = 1;
	attr->task_filter = true;
	attr->verbose = 0;
	atomic_set(&attr->times, -1);
	atomic_set(&attr->space, space);
	current->make_it_fail = 1;
}

void insert_stop_faults(struct fault_attr *attr,
			const struct fault_attr *old)
{
	current->make_it_fail = 0;
	attr->probability = old->probability;
	attr->interval = old->interval;
	attr->task_filter = old->task_filter;
	attr->verbose = old->verbose;
	atomic_set(&attr->times, atomic_read(&old->times));
	atomic_set(&attr->space, atomic_read(&old->space));
}
#endif

#ifdef CONFIG_MEMCG
KUNIT_DEFINE_ACTION_WRAPPER(insert_put_css, css_put, struct cgroup_subsys_state *);

/* A memory cgroup that has nothing to spend */
struct mem_cgroup *insert_memcg(struct kunit *test)
{
	struct cgroup_subsys_state *css;
	struct mem_cgroup *memcg;
	struct cgroup *cgroup;

	cgroup = cgroup_get_from_path("/kunit");
	if (IS_ERR(cgroup))
		kunit_skip(test, "no cgroup /kunit: make it, and set its memory.max to 0");
	css = cgroup_get_e_css(cgroup, &memory_cgrp_subsys);
	cgroup_put(cgroup);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, insert_put_css, css));
	memcg = mem_cgroup_from_css(css);
	if (READ_ONCE(memcg->memory.max))
		kunit_skip(test, "the memory.max of /kunit is not 0");

	return memcg;
}

/* Except for a few pages of slab, which may be freed at any time */
void insert_expect_usage(struct kunit *test, struct mem_cgroup *memcg,
			 unsigned long pages, const char *when)
{
	long off = page_counter_read(&memcg->memory) - pages;

	KUNIT_EXPECT_LE_MSG(test, abs(off), 4, "%s", when);
}
#endif

int insert_suite_init(struct kunit_suite *suite)
{
	/* The initramfs is unpacked to shmem, which has to be over by now. */
	wait_for_initramfs();

	insert_always = insert_mount(SB_KERNMOUNT, "huge", "always");
	if (IS_ERR(insert_always))
		return PTR_ERR(insert_always);

	insert_within = insert_mount(SB_KERNMOUNT, "huge", "within_size");
	if (IS_ERR(insert_within)) {
		kern_unmount(insert_always);
		return PTR_ERR(insert_within);
	}

	return 0;
}

void insert_suite_exit(struct kunit_suite *suite)
{
	if (suite->suite_init_err)
		return;

	kern_unmount(insert_within);
	kern_unmount(insert_always);
}

int insert_swap_init(struct kunit *test)
{
	if (!total_swap_pages)
		kunit_skip(test, "no swap: enable it, then write to this suite's run file");

	/* Folios in the batches of a processor that a case has left are busy. */
	return set_cpus_allowed_ptr(current, cpumask_of(raw_smp_processor_id()));
}
