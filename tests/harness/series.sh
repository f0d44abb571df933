#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The patches of make series make the tree that is tested here.
set -uo pipefail
top=$(dirname "$0")/../..
echo "KTAP version 1"
echo "1..1"
if out=$("$top/tools/export-series" 2>&1); then
	echo "ok 1 git am makes the assembled tree"
else
	echo "# $out"
	echo "not ok 1 git am makes the assembled tree"
	exit 1
fi
