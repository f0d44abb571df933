# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# What the checks of the harness share: a directory to work in, and their results.

. "$(dirname "${BASH_SOURCE[0]}")/../../tools/lib.sh"
. "$TOP/tests/tap.sh"
mkdir -p "$BUILD"
work=$(mktemp -d "$BUILD/.harness.XXXXXX")
trap 'rm -rf "$work"' EXIT

pass() { tap_ok "$1"; }
fail() { tap_not_ok "$1"; }

# is NAME COMMAND...: the command succeeds
is()
{
	local name=$1
	shift
	if "$@" >"$work/out" 2>&1; then
		pass "$name"
	else
		tail -n 20 "$work/out" | sed 's/^/# /'
		fail "$name"
	fi
}

# finish: to end a script with, false if anything failed
finish()
{
	tap_plan
	((tap_failed == 0))
}
