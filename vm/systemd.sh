#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In a system that vm/run --root boots, as a service of its systemd: run the command, and
# tell the host how it ended, as vm/init.c does in the other machines.

set -uo pipefail

# port NAME: print the device of that virtio port
port()
{
	local file

	file=$(grep -lsx -- "$1" /sys/class/virtio-ports/*/name) || return
	echo "/dev/$(basename "${file%/name}")"
}

main()
{
	local args=() status=0 verdict output

	case ${1:-} in
	--help | -h) sed -n '4,/^$/s/^# \{0,1\}//p' "$0"; return ;;
	esac
	if ! verdict=$(port verdict) || ! output=$(port output); then
		echo "systemd.sh: runs in a machine of vm/run --root only" >&2
		return 1
	fi
	exec 3>"$verdict"
	export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
	export HOME=/root TERM=dumb
	mapfile -d '' -t args </.vm/args
	(cd /root && "${args[@]}") >"$output" 2>&1 </dev/null 3>&- || status=$?
	# the bits that vm/init.c looks at
	echo "taint $(($(</proc/sys/kernel/tainted) & (1 << 5 | 1 << 7 | 1 << 9 | 1 << 14)))" >&3
	echo "exit $status" >&3
	# the file systems are in order before QEMU ends, which it does at a reset
	systemctl --no-block reboot
}

main "$@"
