#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# In the virtual machine: IGT's programs, one after the other, on vttm:
# igt.sh idle|shrinking PROGRAM...

case ${1:-} in
--help)
	sed -n '3,$s/^# \{0,1\}//p; /^$/q' "$0"
	exit 0 ;;
esac

mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null
export LD_LIBRARY_PATH=/igt/lib IGT_FORCE_DRIVER=vttm

if [ "$1" = shrinking ]; then
	while :; do
		for device in 0 1; do
			echo 1000000 2>/dev/null >"/sys/kernel/debug/dri/$device/shrink"
		done
		usleep 2000
	done 2>/dev/null &
fi
shift
for program; do
	echo "== $program"
	"/igt/bin/$program" 2>&1
	echo "== exit $?"
done
