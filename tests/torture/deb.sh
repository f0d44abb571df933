#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# In the Debian that tests/torture/deb boots, as root:
#
#	deb.sh new RELEASE MIB	on the kernel of the packages: TTM backs up, and says so, when
#				buffers of MIB MiB, which is more than there is, are in use
#	deb.sh old RELEASE	on the kernel that was there before: the packages go away
#
# A line for each result, "ok NAME" or "not ok NAME".

set -uo pipefail

failed=0

# is NAME COMMAND...: the command succeeds, and what it says is a comment
is()
{
	local name=$1

	if "${@:2}" 2>&1 | sed 's/^/# /'; then
		echo "ok $name"
	else
		echo "not ok $name"
		failed=1
	fi
}

# up: systemd has come to an end with starting everything, and nothing has failed. Its own
# --wait has been seen to wait for ever where there is no D-Bus.
up()
{
	local state='' tries

	for ((tries = 0; tries < 600; tries++)); do
		state=$(systemctl is-system-running)
		[[ $state == initializing || $state == starting ]] || break
		sleep 1
	done
	echo "$state"
	systemctl list-units --failed --plain --no-legend
	[[ $state == running ]]
}

# reads FILE TEXT: the file has just that text
reads()
{
	echo "$1: $(cat "$1")"
	[[ $(<"$1") == "$2" ]]
}

# absent GLOB...: no such file, and for each that is there a line
absent() { ! compgen -G "$1" && { [[ $# == 1 ]] || absent "${@:2}"; }; }

swap()
{
	modprobe zram && echo "$1M" >/sys/block/zram0/disksize &&
		mkswap -q /dev/zram0 && swapon /dev/zram0
}

# counted NAME: that counter of backup_stats is not zero
counted()
{
	grep "^$1 " /sys/kernel/debug/ttm/backup_stats &&
		[[ $(awk -v name="$1" '$1 == name { print $2 }' /sys/kernel/debug/ttm/backup_stats) -gt 0 ]]
}

# shown: tools/ttm-stat says that MiB were inserted, and extracted again
shown()
{
	ttm-stat | tee /dev/stderr | awk '$1 + 0 >= 1 && $6 + 0 >= 1 { found = 1 } END { exit !found }'
}

new()
{
	is "systemd comes up on it" up
	is "it is the kernel that runs" reads /proc/sys/kernel/osrelease "$1"
	is "a module that was not in use is not in the package" absent "/lib/modules/$1/kernel/fs/isofs/*"
	is "the virtual GPU is there, and TTM as its modules" modprobe vttm
	is "ttm.zero_copy is a parameter, and on" reads /sys/module/ttm/parameters/zero_copy Y
	is "swap on zram" swap $(($2 * 2))
	is "more GPU memory than RAM is read back as it was" demo --mib "$2"
	is "backup_stats counts insertions" counted inserted
	is "and extractions" counted restored_extracted
	is "tools/ttm-stat shows them" shown
}

old()
{
	local release

	release=$(uname -r)
	is "systemd comes up on the kernel from before" up
	is "which is another one" [ "$release" != "$1" ]
	is "the packages can be removed" env DEBIAN_FRONTEND=noninteractive \
		apt-get -q -y remove "linux-image-$1" "linux-headers-$1"
	is "and leave nothing behind" absent "/boot/*$1*" "/lib/modules/$1*" "/usr/src/*$1*" \
		"/var/lib/initramfs-tools/$1*"
	is "but the kernel from before" ls "/boot/vmlinuz-$release" "/boot/initrd.img-$release"
}

main()
{
	case ${1:-} in
	--help | -h) sed -n '4,/^$/s/^# \{0,1\}//p' "$0"; return ;;
	new | old) ;;
	*) echo "deb.sh: '${1:-}' is not new or old (--help)" >&2; return 1 ;;
	esac
	if [[ ! -e /.vm/args ]]; then
		echo "deb.sh: runs in a machine of vm/run --root only" >&2
		return 1
	fi
	"$@"
	return "$failed"
}

main "$@"
