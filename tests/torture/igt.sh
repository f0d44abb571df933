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

# Tests run against the clock, so this must not keep them from a processor
shrink()
{
	while :; do
		for device in 0 1; do
			echo 1000000 2>/dev/null >"/sys/kernel/debug/dri/$device/shrink"
		done
		usleep 20000
	done
}

if [ "$1" = shrinking ]; then
	shrink 2>/dev/null &
	renice -n 19 -p $! >/dev/null
fi
shift
for program; do
	echo "== $program"
	"/igt/bin/$program" 2>&1
	echo "== exit $?"
done
