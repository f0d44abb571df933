/* SPDX-License-Identifier: GPL-2.0 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM shmem

#define TRACE_INCLUDE_PATH trace/events
#define TRACE_INCLUDE_FILE shmem_insert

#if !defined(_TRACE_SHMEM_INSERT_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_SHMEM_INSERT_H

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/tracepoint.h>

DECLARE_EVENT_CLASS(shmem_folio_moved,

	TP_PROTO(const struct inode *inode, const struct folio *folio,
		 pgoff_t index),

	TP_ARGS(inode, folio, index),

	TP_STRUCT__entry(
		__field(u64, ino)
		__field(unsigned long, pfn)
		__field(unsigned long, index)
		__field(unsigned int, order)
	),

	TP_fast_assign(
		__entry->ino = inode->i_ino;
		__entry->pfn = folio_pfn(folio);
		__entry->index = index;
		__entry->order = folio_order(folio);
	),

	TP_printk("ino=%llu index=%lu pfn=0x%lx order=%u", __entry->ino,
		  __entry->index, __entry->pfn, __entry->order)
);

DEFINE_EVENT(shmem_folio_moved, shmem_insert_folio,
	TP_PROTO(const struct inode *inode, const struct folio *folio,
		 pgoff_t index),
	TP_ARGS(inode, folio, index)
);

DEFINE_EVENT(shmem_folio_moved, shmem_extract_folio,
	TP_PROTO(const struct inode *inode, const struct folio *folio,
		 pgoff_t index),
	TP_ARGS(inode, folio, index)
);

TRACE_EVENT(shmem_insert_folio_fail,

	TP_PROTO(const struct inode *inode, const struct folio *folio,
		 pgoff_t index, int error),

	TP_ARGS(inode, folio, index, error),

	TP_STRUCT__entry(
		__field(u64, ino)
		__field(unsigned long, pfn)
		__field(unsigned long, index)
		__field(unsigned int, order)
		__field(int, error)
	),

	TP_fast_assign(
		__entry->ino = inode->i_ino;
		__entry->pfn = folio_pfn(folio);
		__entry->index = index;
		__entry->order = folio_order(folio);
		__entry->error = error;
	),

	TP_printk("ino=%llu index=%lu pfn=0x%lx order=%u error=%d",
		  __entry->ino, __entry->index, __entry->pfn, __entry->order,
		  __entry->error)
);

TRACE_EVENT(shmem_extract_folio_fail,

	TP_PROTO(const struct inode *inode, pgoff_t index,
		 unsigned int min_order, int error),

	TP_ARGS(inode, index, min_order, error),

	TP_STRUCT__entry(
		__field(u64, ino)
		__field(unsigned long, index)
		__field(unsigned int, min_order)
		__field(int, error)
	),

	TP_fast_assign(
		__entry->ino = inode->i_ino;
		__entry->index = index;
		__entry->min_order = min_order;
		__entry->error = error;
	),

	TP_printk("ino=%llu index=%lu min_order=%u error=%d", __entry->ino,
		  __entry->index, __entry->min_order, __entry->error)
);

#endif /* _TRACE_SHMEM_INSERT_H */

#include <trace/define_trace.h>
