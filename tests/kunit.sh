#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# In the virtual machine: run KUnit suites, print their results.

case ${1:-} in
--help)
	sed -n '3,$s/^# \{0,1\}//p; /^$/q' "$0"
	exit 0 ;;
esac

# For the case that wants a memory cgroup that has nothing to spend
echo +memory >/sys/fs/cgroup/cgroup.subtree_control
mkdir /sys/fs/cgroup/kunit
echo 0 >/sys/fs/cgroup/kunit/memory.max

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
