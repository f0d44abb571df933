# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# The demo's table (what=table) or demo.json (what=json), from two files of
# lines "name value" that are called insert and copy. A figure that is missing
# is named and makes the exit status non-zero.

FNR == 1 {
	mode = FILENAME
	sub(/.*\//, "", mode)
}

{
	v[mode, $1] = $2
	if (mode == "insert")
		name[++names] = $1
}

function get(m, key)
{
	if ((m, key) in v)
		return v[m, key]
	if (!missing[m, key]++)
		printf "demo/run: no figure \"%s\" in the run by %s\n", key, m >"/dev/stderr"
	status = 1
	return 0
}

function per2m(m, allocated, moved,  pages)
{
	pages = get(m, moved)
	return pages ? get(m, allocated) * 512 / pages : -1
}

function backup2m(m)
{
	return per2m(m, "probe_pages_allocated", "probe_pages_backed_up")
}

function restore2m(m)
{
	return per2m(m, "probe_restore_pages_allocated", "probe_pages_restored")
}

function small(m)
{
	return get(m, "pswpout") - 512 * get(m, "thp_swpout")
}

function row(text, a, b)
{
	printf "%-46s %16s %16s\n", text, a, b
}

function figure(text, key)
{
	row(text, get("insert", key), get("copy", key))
}

function pair(text, one, two)
{
	row(text, get("insert", one) " / " get("insert", two), \
	    get("copy", one) " / " get("copy", two))
}

function time(text, key)
{
	row(text, sprintf("%.1f s", get("insert", key) / 1000), \
	    sprintf("%.1f s", get("copy", key) / 1000))
}

function verified(m)
{
	return get(m, "verified") " of " get(m, "buffers")
}

function table()
{
	printf "\n%.0f MiB of GPU memory in %d MiB of RAM: %d buffers, %d of them WC, the others cached; swap on %s\n\n", \
		get("insert", "filled_bytes") / 1048576, ram, \
		get("insert", "buffers"), get("insert", "buffers_wc"), swap
	row("", "insert", "copy")
	row("", "ttm.zero_copy=1", "ttm.zero_copy=0")
	figure("pages backed up by insert", "pages_inserted")
	figure("pages backed up by copy", "pages_copied")
	row("pages allocated per 2 MiB backed up (1)", \
	    sprintf("%.1f", backup2m("insert")), sprintf("%.1f", backup2m("copy")))
	figure("pages restored by extraction", "pages_restored_by_extraction")
	figure("pages restored by adoption (2)", "pages_restored_by_adoption")
	figure("pages restored by merging (3)", "pages_restored_by_merging")
	figure("pages restored by copy", "pages_restored_by_copy")
	row("pages allocated per 2 MiB restored (1)", \
	    sprintf("%.1f", restore2m("insert")), sprintf("%.1f", restore2m("copy")))
	figure("2 MiB swapouts, whole", "thp_swpout")
	figure("2 MiB swapouts that had to be split", "thp_swpout_fallback")
	row("pages swapped out in smaller pieces", small("insert"), small("copy"))
	pair("free order-9 blocks, before / after (4)", \
	     "free_order9_before", "free_order9_after")
	pair("failed backups: pages kept / folios refused", \
	     "failed_pages_retained", "failed_folios_refused")
	figure("OOM kills", "oom_kill")
	time("guest time (5): fill", "guest_ms_fill")
	time("guest time (5): read back by the CPU", "guest_ms_read_cpu")
	time("guest time (5): read back by the engine", "guest_ms_read_engine")
	time("guest time (5): all of it", "guest_ms")
	row("verified buffers", verified("insert"), verified("copy"))
	print ""
	print "(1) after the run, with nothing else going on: 64 MiB backed up by hand, and"
	print "    restored from memory"
	print "(2) a backup that was not complete had left them in their place"
	print "(3) copied to a larger chunk than they were in, because that was free"
	print "(4) blocks of 2 MiB; after: all buffers freed and TTM's pools drained"
	print "(5) of an emulated processor: compare the columns, quote neither"
	print ""
	print "verified " verified("insert") " buffers by insert, " verified("copy") " by copy"
}

function json_mode(m, comma,  i)
{
	printf "    \"%s\": {\n", m
	for (i = 1; i <= names; i++)
		printf "      \"%s\": %s,\n", name[i], get(m, name[i])
	printf "      \"pages_swapped_out_small\": %d,\n", small(m)
	printf "      \"pages_allocated_per_2mib\": %.3f,\n", backup2m(m)
	printf "      \"pages_allocated_per_2mib_restored\": %.3f\n", restore2m(m)
	printf "    }%s\n", comma
}

function json()
{
	printf "{\n  \"kernel\": \"%s\",\n  \"commit\": \"%s\",\n", release, commit
	printf "  \"ram_mib\": %d,\n  \"swap\": \"%s\",\n", ram, swap
	printf "  \"passed\": %s,\n  \"modes\": {\n", passed
	json_mode("insert", ",")
	json_mode("copy", "")
	printf "  }\n}\n"
}

END {
	if (what == "table")
		table()
	else
		json()
	exit status
}
