#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What tests/torture/selftests takes for the same on two kernels, and what not.

set -uo pipefail
# shellcheck source=tests/harness/ktap.bash
. "$(dirname "$0")/ktap.bash"

# check NAME PATCHED PRISTINE WANTED: on results like "1 a ok; 1 b skip"
check()
{
	local name=$1
	lines "$2" >"$work/patched"
	lines "$3" >"$work/pristine"
	lines "$4" >"$work/wanted"
	if "$TOP/tests/torture/compare.py" "$work/patched" "$work/pristine" >"$work/out" &&
	   diff "$work/wanted" "$work/out" >"$work/diff"; then
		pass "$name"
	else
		sed 's/^/# /' "$work/diff"
		fail "$name"
	fi
}

# lines TEXT: fields with an underscore for each space in them, a line for each ";"
lines()
{
	[[ -z $1 ]] || tr ';' '\n' <<<"$1" | sed 's/^ *//; s/ /\t/g; s/_/ /g'
}

echo "KTAP version 1"
check "equal results are the same" "1 a ok; 1 b skip" "1 a ok; 1 b skip" \
	"same a ok; same b skip"
check "a case that fails differs" "1 a not_ok; 1 b ok" "1 a ok; 1 b ok" \
	"differ a not_ok ok; same b ok"
check "one that fails upstream only does, too" "1 a ok" "1 a not_ok" "differ a ok not_ok"
check "one that is skipped does, too" "1 a skip" "1 a ok" "differ a skip ok"
check "a case that is missing differs" "1 a ok" "1 a ok; 1 b ok" "same a ok; differ b missing ok"
check "a case that is new differs" "1 a ok; 1 b ok" "1 a ok" "same a ok; differ b ok missing"
check "no results at all differ" "" "1 a ok" "differ a missing ok"
check "on either side" "1 a ok" "" "differ a ok missing"
check "what fails on both is named" "1 a not_ok; 1 end exit_status_1" "1 a not_ok; 1 end exit_status_1" \
	"fails a not_ok; same end exit_status_1"
check "what sometimes fails on both is named" "1 a not_ok; 2 a ok" "1 a ok; 2 a not_ok" \
	"flaky a not_ok,_ok"
check "what sometimes fails on one differs" "1 a not_ok; 2 a ok" "1 a ok; 2 a ok" \
	"differ a not_ok,_ok ok"
check "what is sometimes missing on one differs" "1 a ok; 1 b ok; 2 a ok" "1 a ok; 1 b ok; 2 a ok; 2 b ok" \
	"same a ok; differ b missing,_ok ok"
check "what is sometimes missing on both does not" "1 a ok; 1 b ok; 2 a ok" "1 a ok; 2 a ok; 2 b ok" \
	"same a ok; flaky b missing,_ok"
finish
