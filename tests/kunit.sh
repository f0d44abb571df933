#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# In the virtual machine: run KUnit suites, print their results.
for suite; do
	dir=/sys/kernel/debug/kunit/$suite
	echo "@suite $suite"
	if [ -d "$dir" ]; then
		echo 1 >"$dir/run"
		cat "$dir/results"
	fi
done
echo @all /sys/kernel/debug/kunit/*/
echo @end
