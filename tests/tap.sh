# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Sourced by the scripts that report tests: results as TAP, and how many there were.
# If tap_file is set, the results are appended there as well.

tap_file=
tap_number=0 tap_passed=0 tap_failed=0 tap_skipped=0

# tap_say LINE: a line of TAP that is no result
tap_say()
{
	printf '%s\n' "$1"
	[[ -z $tap_file ]] || printf '%s\n' "$1" >>"$tap_file"
}

# tap_note [TEXT]: comments, of the text or of standard input
tap_note()
{
	if [[ $# -gt 0 ]]; then
		tap_say "# $1"
	else
		local line
		while IFS= read -r line; do
			tap_say "# $line"
		done
	fi
}

# tap_ok NAME
tap_ok()
{
	tap_number=$((tap_number + 1)) tap_passed=$((tap_passed + 1))
	tap_say "ok $tap_number $1"
}

# tap_not_ok NAME [WHY]
tap_not_ok()
{
	tap_number=$((tap_number + 1)) tap_failed=$((tap_failed + 1))
	tap_say "not ok $tap_number $1${2:+: $2}"
}

# tap_skip NAME WHY: counted apart from what passed
tap_skip()
{
	tap_number=$((tap_number + 1)) tap_skipped=$((tap_skipped + 1))
	tap_say "ok $tap_number $1 # SKIP ${2:-}"
}

# tap_plan: how many results there were, at their end
tap_plan()
{
	tap_say "1..$tap_number"
}

# tap_summary: print "N passed, N failed", and how many were skipped, if any
tap_summary()
{
	local text="$tap_passed passed, $tap_failed failed"
	((tap_skipped == 0)) || text+=", $tap_skipped skipped"
	echo "$text"
}
