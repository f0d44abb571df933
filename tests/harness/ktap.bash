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

# finish: to end a script with, false if anything failed
finish()
{
	tap_plan
	((tap_failed == 0))
}
