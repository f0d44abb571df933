#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# In the virtual machine: load TTM and the virtual GPU as modules, run a command,
# unload them.

case ${1:-} in
--help)
	sed -n '3,$s/^# \{0,1\}//p; /^$/q' "$0"
	exit 0 ;;
esac

loaded=
for name in drm_exec gpu-sched ttm drm_ttm_helper vttm; do
	[ -f "/ko/$name.ko" ] || continue
	parameters=
	[ "$name" != vttm ] || parameters=devices=2
	if ! insmod "/ko/$name.ko" $parameters; then
		echo "# cannot load $name"
		exit 1
	fi
	loaded="$name $loaded"
done
"$@"
status=$?
for name in $loaded; do
	if ! rmmod "$name"; then
		echo "# cannot unload $name"
		status=1
	fi
done
exit "$status"
