/* SPDX-License-Identifier: MIT */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM ttm

#define TRACE_INCLUDE_PATH ../../drivers/gpu/drm/ttm
#define TRACE_INCLUDE_FILE ttm_backup_trace

#if !defined(_TTM_BACKUP_TRACE_H_) || defined(TRACE_HEADER_MULTI_READ)
#define _TTM_BACKUP_TRACE_H_

#include <linux/tracepoint.h>

#include <drm/ttm/ttm_tt.h>

#include "ttm_backup_stats.h"

TRACE_DEFINE_ENUM(TTM_RESTORE_COPIED);
TRACE_DEFINE_ENUM(TTM_RESTORE_ADOPTED);
TRACE_DEFINE_ENUM(TTM_RESTORE_EXTRACTED);
TRACE_DEFINE_ENUM(TTM_RESTORE_MERGED);

TRACE_EVENT(ttm_backup_chunk,

	TP_PROTO(const struct ttm_tt *tt, pgoff_t idx, pgoff_t nr,
		 bool inserted),

	TP_ARGS(tt, idx, nr, inserted),

	TP_STRUCT__entry(
		__field(const void *, tt)
		__field(unsigned long, idx)
		__field(unsigned long, nr)
		__field(bool, inserted)
	),

	TP_fast_assign(
		__entry->tt = tt;
		__entry->idx = idx;
		__entry->nr = nr;
		__entry->inserted = inserted;
	),

	TP_printk("tt=%p index=%lu pages=%lu %s", __entry->tt, __entry->idx,
		  __entry->nr, __entry->inserted ? "inserted" : "copied")
);

TRACE_EVENT(ttm_restore_chunk,

	TP_PROTO(const struct ttm_tt *tt, pgoff_t idx, unsigned int order,
		 unsigned int how),

	TP_ARGS(tt, idx, order, how),

	TP_STRUCT__entry(
		__field(const void *, tt)
		__field(unsigned long, idx)
		__field(unsigned int, order)
		__field(unsigned int, how)
	),

	TP_fast_assign(
		__entry->tt = tt;
		__entry->idx = idx;
		__entry->order = order;
		__entry->how = how;
	),

	TP_printk("tt=%p index=%lu order=%u %s", __entry->tt, __entry->idx,
		  __entry->order,
		  __print_symbolic(__entry->how,
				   { TTM_RESTORE_COPIED, "copied" },
				   { TTM_RESTORE_ADOPTED, "adopted" },
				   { TTM_RESTORE_EXTRACTED, "extracted" },
				   { TTM_RESTORE_MERGED, "merged" }))
);

#endif

#include <trace/define_trace.h>
