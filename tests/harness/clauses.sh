#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# tests/clauses finds what is wrong with the table or with what ran.

set -uo pipefail
# shellcheck source=tests/harness/ktap.bash
. "$(dirname "$0")/ktap.bash"

# check NAME STATUS PATTERN [TABLE_SED [TAP_SED]]: on a table and results that
# agree but for these edits
check()
{
	local name=$1 want=$2 pattern=$3 status=0
	sed "${4:-}" "$work/table" >"$work/table.now"
	sed "${5:-}" "$work/tap" >"$work/tap.now"
	CLAUSES=$work/table.now "$TOP/tests/clauses" "$work/tap.now" >"$work/out" 2>&1 || status=$?
	if [[ $status == "$want" ]] && grep -qE -- "$pattern" "$work/out"; then
		pass "$name"
	else
		sed 's/^/# /' "$work/out"
		echo "# exit status $status, wanted: $want, /$pattern/"
		fail "$name"
	fi
}

# 68 rows, and the tests in them
{
	echo '| clause | what holds | tests |'
	echo '|---|---|---|'
	for ((i = 1; i <= 68; i++)); do
		case $i in
		5) echo "| $i | text | gap: no hardware |" ;;
		7) echo "| $i | text | \`insert_a\` \`c7_c8_b\` gap: not all |" ;;
		8) echo "| $i | text | \`c7_c8_b\` |" ;;
		9) echo "| $i | text | \`torture/c9_t\` |" ;;
		68) echo "| $i | text | \`kunit/ttm_x.*\` |" ;;
		*) echo "| $i | text | \`c${i}_a\` |" ;;
		esac
	done
} >"$work/table"
{
	for ((i = 1; i <= 68; i++)); do
		case $i in
		5 | 8 | 9) echo "ok $i vm/x: unnumbered_$i" ;;
		7) echo "ok $i kunit/shmem.insert_a" ;;
		68) echo "ok $i kunit/ttm_x.a.of two words" ;;
		*) echo "ok $i vm/x: c${i}_a" ;;
		esac
	done
	echo "ok 69 vm/x-disk: c7_c8_b"
	echo "ok 70 vm/x-zram: c7_c8_b"
	echo "ok 71 kunit/ttm_x.b # SKIP no hardware"
	echo "ok 72 kunit-disk/shmem.insert_a"
	echo "1..72"
} >"$work/tap"

echo "KTAP version 1"
check "what agrees passes" 0 '^clauses proven: 66 of 68; with a gap: 5 7$'
check "tests of make torture wait for its results" 0 '^1 tests of make torture were not'
check "and are looked at then" 0 '^clauses proven: 67 of 68' '' '5s,.*,ok 5 torture/vm/lockdep: c9_t,'
check "and fail" 1 '^clause 9: torture/c9_t failed' '' '5s,.*,not ok 5 torture/vm/lockdep: c9_t,'
check "and are found missing" 1 '^clause 9: torture/c9_t did not run' '' '5s,.*,ok 5 torture/vm/lockdep: a,'
check "a KUnit case on another kernel stands in its row" 0 '^clauses proven: 67 of 68' '' '5s,.*,ok 5 torture/vm/a: c9_t,;6s,$,\nok 1 torture/no-thp/kunit/shmem.c10_a # SKIP needs large folios,'
check "and is looked for under its name" 1 '^clause 9: torture/c9_t was skipped' '' '5s,.*,ok 5 torture/no-thp/kunit-disk/shmem.c9_t # SKIP no memory,'
check "and has a row" 1 '^torture/c12_new ran and is in no row' '' '5s,.*,ok 5 torture/no-thp/kunit/shmem.c12_new,'
check "a test that did not run" 1 '^clause 11: c11_a did not run' '' '/c11_a/d'
check "a test that failed" 1 '^clause 11: c11_a failed' '' 's/^ok \(.*c11_a\)/not ok \1: why/'
check "a test that failed in one machine of two" 1 '^clause 8: c7_c8_b failed' '' '/x-disk/s/^/not /'
check "a KUnit case that failed with one swap device of two" 1 'clause 7: insert_a failed' '' '/kunit-disk/s/^/not /'
check "a test that was skipped" 1 '^clause 11: c11_a was skipped' '' '/c11_a/s/$/ # SKIP no device/'
check "a suite that did not run" 1 '^clause 68: kunit/ttm_x.\* did not run' '' '/ttm_x/d'
check "a suite with a failure" 1 '^clause 68: kunit/ttm_x.\* failed' '' '/ttm_x.a/s/^/not /'
check "a suite that was skipped" 1 '^clause 68: kunit/ttm_x.\* was skipped' '' '/ttm_x.a/d'
check "a test that is not in its row" 1 '^clause 12: c12_new ran and is not' '' '5s/: .*/: c12_new/'
check "a KUnit case that is in no row" 1 '^insert_new ran and is in no row' '' '5s,vm.*,kunit-disk/shmem.insert_new,'
check "which the row of another suite does not make up for" 1 '^new ran and is in no row' '' '5s,vm.*,kunit/ttm_xy.new,'
check "a name that cases of two suites have" 1 '^insert_a is in more than one suite: other, shmem$' '' '5s,vm.*,kunit/other.insert_a,'
check "a test with two clauses that is in one row only" 1 '^clause 8: c7_c8_b ran and is not' '/^| 8 /s/`.*`/gap: a reason/'
check "a failed test that is not in its row" 1 '^clause 12: c12_new ran and is not' '' '5s/.*/not ok 5 vm\/x: c12_new: because/'
check "a clause that there is not" 1 'c69_a: there is no clause 69' '' '5s/: .*/: c69_a/'
check "a row that is missing" 1 '^clause 30 is missing' '/^| 30 /d'
check "the last row is missing" 1 'ends with clause 67' '/^| 68 /d'
check "a row that is there twice" 1 '^clause 31 is missing' '/^| 30 /p'
check "a row without a test" 1 '^clause 30: no test, and no gap' '/^| 30 /s/`.*`//'
check "a gap without a reason" 1 '^clause 5: no test, and no gap' '/^| 5 /s/no hardware//'
check "a row without the third column" 1 '^clause 30: its row is not' '/^| 30 /s/| `.*//'
check "a name that can be none" 1 '^clause 30: "make test" is not the name' '/^| 30 /s/`.*`/`make test`/'
check "no results" 1 '^there are no results' '' 'd'
if "$TOP/tests/clauses" "$work/nothing" 2>"$work/err" || [[ $(wc -l <"$work/err") != 1 ]]; then
	fail "results that are not there"
else
	pass "results that are not there"
fi
finish
