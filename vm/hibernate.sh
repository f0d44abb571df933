#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# In the virtual machine: run a command that hibernates it, and hand on what it said.
# The driver of virtio ports loses those that were open, so it is bound anew.

case ${1:-} in
--help)
	sed -n '3,$s/^# \{0,1\}//p; /^$/q' "$0"
	exit 0 ;;
esac

driver=/sys/bus/virtio/drivers/virtio_console
"$@" >/tmp/output 2>&1
status=$?
for device in "$driver"/virtio*; do
	device=${device##*/}
	echo "$device" >"$driver/unbind"
	echo "$device" >"$driver/bind"
done
# the host names the ports a moment later
tries=0
until port=$(grep -lx output /sys/class/virtio-ports/*/name); do
	tries=$((tries + 1))
	[ "$tries" -lt 100 ] || exit 1
	usleep 100000
done
port=${port%/name}
cat /tmp/output >"/dev/${port##*/}"
exit "$status"
