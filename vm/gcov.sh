#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# In the virtual machine: run a command, and send what the kernel has counted of its lines
# to the port of vm/run --gcov: gcov.sh COMMAND [ARGUMENT]...

case ${1:-} in
--help)
	sed -n '3,${/^#/!q; s/^# \{0,1\}//p;}' "$0"
	exit 0 ;;
'' | -*)
	echo "gcov.sh: '${1:-}' is not a command (gcov.sh --help)" >&2
	exit 1 ;;
esac

"$@"
status=$?
port=$(grep -lx gcov /sys/class/virtio-ports/*/name)
port=${port%/name}
cd /sys/kernel/debug/gcov || exit 1
# these files have no size, so they have to be read before tar can take them
find . -name '*.gcda' | while read -r file; do
	mkdir -p "/tmp/gcov/${file%/*}"
	cat "$file" >"/tmp/gcov/$file"
done
tar -c -f - -C /tmp/gcov . >"/dev/${port##*/}" || exit 1
exit "$status"
