# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Sourced by the scripts of this project: paths and messages they share.

# shellcheck disable=SC2034	# used by the scripts that source this
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034
BUILD=$TOP/build
CACHE=${XDG_CACHE_HOME:-${HOME:?HOME is not set, and neither is XDG_CACHE_HOME}/.cache}/ttm-zerocopy

# The series of kernels the hooks are for, and the one they were tested on.
# shellcheck disable=SC2034
KSERIES=7.3
# shellcheck disable=SC2034
KTESTED=7.3.4

die()
{
	echo "${0##*/}: $*" >&2
	exit 1
}

note()
{
	echo "${0##*/}: $*" >&2
}

# need COMMAND PACKAGE: fail with one line if COMMAND is not installed
need()
{
	command -v "$1" >/dev/null || die "$1 is missing: apt-get install $2"
}

# kernel_version DIR: print the x.y.z of a kernel tree, nothing if it is none
kernel_version()
{
	[[ -f $1/Makefile && -f $1/Kbuild && -d $1/mm ]] || return 0
	awk -F' *= *' '
		$1 == "VERSION" { v = $2 }
		$1 == "PATCHLEVEL" { p = $2 }
		$1 == "SUBLEVEL" { s = $2; exit }
		END { if (v != "") print v "." p "." s }' "$1/Makefile"
}

# lock FILE: one run at a time; the lock is held until this process ends
lock()
{
	mkdir -p "$(dirname "$1")"
	exec {lock_fd}>"$1"
	if ! flock -n "$lock_fd"; then
		note "waiting for another run to finish (${1##*/})"
		flock "$lock_fd"
	fi
}
