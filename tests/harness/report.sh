#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# That the page of results can be made of what bench/run measures, before an hour of that,
# and of an older bench that lacks parts. On a copy, with a program that stands for the
# machines and says something of all there is.

set -uo pipefail
# shellcheck source=tests/harness/ktap.bash
. "$(dirname "$0")/ktap.bash"

echo "KTAP version 1"
# Plots are not looked at, and gnuplot is installed for the bench only.
mkdir "$work/path"
cat >"$work/path/gnuplot" <<'END'
#!/bin/sh
sed -n 's/^set output "\(.*\)"/\1/p' "$@" | xargs touch
END
chmod +x "$work/path/gnuplot"
PATH=$work/path:$PATH

# shellcheck source=tests/harness/bench.bash
. "$(dirname "$0")/bench.bash"
mkdir "$copy/docs"
install -m 755 "$TOP/tests/harness/machine.py" "$copy/vm/run"

json=$copy/build/results/bench.json
page=$copy/docs/results.md
report() { "$copy/bench/report" >"$work/said" 2>&1; }
# has PATTERN: a line of the page
has() { grep -q -- "$1" "$page"; }
fails() { ! "$@"; }
is "a bench of all there is" "$copy/bench/run"
cp "$json" "$work/bench.json"
is "is a page" report
is "in which nothing is left to be run" fails has 'not run'
is "nor a table to be filled in" fails has '^@'
is "kills are those of all kinds of swap" has '^| OOM kills then, on disk; file; disk, huge pages off; zram, huge pages off | 0 | 0 | yes |'
is "and of the runs that wait" has '^| page faults that have to wait, 48 runs, swap on zram: OOM kills | 0 | 0 | yes |'
is "each size of memory has its line" has '^| 384 MiB | 12 | 0 |'
is "a spinner is compared with the copy" has '^| beside a process that never stops, against zero_copy=0, at most | ≤ 3 × | 1.00 × | yes |'
is "reclaim without memory is tried on a disk" has '^| the same with swap on a disk | 100 % | 100 % | yes |'
is "a swap file is in the tables" has '^| swap file | cached | 9 |'
is "zswap as well" has '^| zswap | WC | 0 |'
is "a disk has all orders" has '^| disk | cached | 6 |'
is "sweeps of all kinds have lines" has '^| file | 3 × | zero_copy=1 |'
is "with huge pages off as well" has '^| disk, huge pages off | 3 × | zero_copy=1 |'
is "the limit of pages has some" has '^| WC | 4 | 2.00 ms |'
is "instructions, with one processor" has '^| cached | 1 | 2.00 M instructions |'

# what was not there in the first bench that the page was made of
jq '.results |= map(select((.name | startswith("kills-")) or .part == "limit" or
	(.part == "spinner" and .mode == "copy") or (.state | IN("file", "zswap")) or
	(.name | IN("sweep-zram", "sweep-file", "sweep-off", "reserve-disk")) | not))' "$work/bench.json" >"$json"
is "one without what came later is a page" report
is "which says so of the runs that wait" has '^| page faults that have to wait, swap on zram: OOM kills | 0 | – | not run |'
is "of zero_copy=0 beside a spinner" has '^| beside a process that never stops, against zero_copy=0, at most | ≤ 3 × | – | not run |'
is "of reclaim on a disk" has '^| the same with swap on a disk | 100 % | – | not run |'
is "and of zswap" has '^| restore from zswap, any order, at least | ≥ 1 × | – | not run |'
is "two tables are not there" test "$(grep -c '^This part was not run\.$' "$page")" = 2
is "of huge pages off" has '^| the same with huge pages off | ≤ 0.12 × | – | not run |'
is "kills are those on a disk" has '^| OOM kills then, on disk | 0 | 0 | yes |'
finish
