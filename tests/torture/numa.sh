#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# In the virtual machine: see that it is that of vm/run --numa, have reclaim demote folios
# to the node that is far, run a command, and say how many were demoted:
#
#	numa.sh [--demoted] COMMAND [ARGUMENT]...
#
# With --demoted it is a failure if none were.

case ${1:-} in
--help)
	sed -n '3,${/^#/!q; s/^# \{0,1\}//p;}' "$0"
	exit 0 ;;
esac
must=0
if [ "${1:-}" = --demoted ]; then
	must=1
	shift
fi
case ${1:-} in
'' | -*)
	echo "numa.sh: '${1:-}' is not a command (numa.sh --help)" >&2
	exit 1 ;;
esac

node=/sys/devices/system/node
tiers=/sys/devices/virtual/memory_tiering
# is WHAT VALUES FILE...: what the files have, sorted, is that
is()
{
	what=$1 want=$2
	shift 2
	found=$(cat "$@" | sort | paste -s -d ' ')
	if [ "$found" != "$want" ]; then
		echo "# $what: '$found', not '$want'"
		exit 1
	fi
}
is "nodes" 0-3 "$node/online"
is "nodes with processors" 0-2 "$node/has_cpu"
is "nodes with memory" 0-1,3 "$node/has_memory"
is "tiers of memory" '0-1 3' "$tiers"/memory_tier*/nodelist
echo 1 >/sys/kernel/mm/numa/demotion_enabled || exit 1

# demoted: pages, by whomever
demoted() { awk '/^pgdemote_/ { sum += $2 } END { print sum + 0 }' /proc/vmstat; }
before=$(demoted)
"$@"
status=$?
demoted=$(($(demoted) - before))
echo "# pages demoted: $demoted"
[ "$demoted" -ge "$must" ] || exit 1
exit "$status"
