# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# What the checks of the harness share: a directory to work in, and their results.

. "$(dirname "${BASH_SOURCE[0]}")/../../tools/lib.sh"
mkdir -p "$BUILD"
work=$(mktemp -d "$BUILD/.harness.XXXXXX")
trap 'rm -rf "$work"' EXIT
number=0 failures=0

pass()
{
	number=$((number + 1))
	echo "ok $number $1"
}

fail()
{
	number=$((number + 1))
	failures=$((failures + 1))
	echo "not ok $number $1"
}

# finish: to end a script with, false if anything failed
finish()
{
	echo "1..$number"
	((failures == 0))
}
