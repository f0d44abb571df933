#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# In the virtual machine: what upstream's selftests expect to find, then one of them.

case ${1:-} in
--help)
	sed -n '3,$s/^# \{0,1\}//p; /^$/q' "$0"
	exit 0 ;;
esac
set -e

mkdir /disk /huge
mke2fs /dev/ram0 >/dev/null
mount -t ext4 /dev/ram0 /disk
mount -t tmpfs -o huge=advise,size=100% huge /huge
truncate -s 640M /huge/stress

# What a program has printed must not be lost when it aborts
export LD_PRELOAD=/libstdbuf.so _STDBUF_O=L
cd /disk
exec "$@"
