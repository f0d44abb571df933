#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# In the virtual machine, with swap in RAM: 80 % of RAM idle, in buffers of a GPU or in
# huge folios of a tmpfs, with contents that compress to a half; then somebody
# touches 40 % of RAM and must not be killed. Prints KTAP.
# tests/torture/oom does that in machines of every size, also with contents that do
# not compress, for which a kernel with this many debug options has no memory, and
# compares with upstream.

case ${1:-} in
--help)
	sed -n '3,$s/^# \{0,1\}//p; /^$/q' "$0"
	exit 0 ;;
esac

n=0 failed=0
echo 'KTAP version 1'
echo '1..2'
for kind in gpu tmpfs; do
	n=$((n + 1)) status=0
	bench-behave oom "$kind" 80 half 40 half >/oom.out 2>&1 || status=$?
	sed 's/^/# /' /oom.out
	if [ $status = 0 ] && grep -q '"killed":0,"kills":0,' /oom.out; then
		echo "ok $n c84_${kind}_nobody_killed"
	else
		echo "not ok $n c84_${kind}_nobody_killed"
		failed=1
	fi
done
exit $failed
