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

# help: what a script says at its beginning is what its --help prints. One that has
# more to say has a function usage() of its own.
help()
{
	awk 'NR == 1 || /SPDX-License-Identifier/ { next }
		/^#/ { sub(/^# ?/, ""); if ($0 != "" || text) { print; text = 1 } next }
		{ exit }' "$0"
}
case ${1:-} in
--help | -h)
	if ! grep -q '^usage()' "$0"; then
		help
		exit 0
	fi ;;
esac

die()
{
	echo "${0##*/}: $*" >&2
	exit 1
}

note()
{
	echo "${0##*/}: $*" >&2
}

# project_git ARGUMENT...: git in the repository of this project, whoever owns it: in
# continuous integration that is somebody else
project_git()
{
	git -c safe.directory='*' -C "$TOP" "$@"
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

# hook_bases: the series of kernels there are hooks for, oldest first, one a line
hook_bases()
{
	(cd "$TOP/hooks" && printf '%s\n' [0-9]*/ | tr -d / | sort -V)
}

# trees: the kernel trees there are, one a line
#
#   linux       the feature
#   linux-test  the same source, and test.config
#   mutants     as linux-test; tests/mutate breaks it, one bug at a time
#   deb         the feature, configured as tools/build-deb is told
#   pristine    the virtual driver alone, on upstream's TTM
#   alternatives  the feature, and hooks/alternatives on top of it
#   NAME        the source of linux-test, and on top of its configuration
#               vm/config/NAME.config
#   arm64, arm64-16k, arm64-64k
#               such ones, for arm64, with pages of that size
#   i386        such a one, for 32-bit x86
#   hibernate   the feature, configured as linux, with hibernation
#   liveupdate  the source of alternatives, configured as such a one
#   selftests-pristine, hibernate-pristine
#               the source of pristine, configured as selftests and hibernate
trees()
{
	local overlay name

	printf '%s\n' linux linux-test mutants deb pristine alternatives \
		selftests-pristine hibernate-pristine
	for overlay in "$TOP"/vm/config/*.config; do
		name=$(basename "$overlay" .config)
		[[ $name == base || $name == test ]] || echo "$name"
	done
}

# is_pristine TREE: is that upstream's kernel, with the virtual driver alone?
is_pristine()
{
	[[ $1 == pristine || $1 == *-pristine ]]
}

# is_alternatives TREE: are hooks/alternatives in it?
is_alternatives()
{
	[[ $1 == alternatives || $1 == liveupdate ]]
}

# tree_arch TREE: the kind of machine that a tree is for, as make calls it
tree_arch()
{
	case $1 in
	arm64 | arm64-*) echo arm64 ;;
	i386) echo i386 ;;
	*) echo x86_64 ;;
	esac
}

# tree_page TREE: the size of its pages in KiB
tree_page()
{
	case $1 in
	*-16k) echo 16 ;;
	*-64k) echo 64 ;;
	*) echo 4 ;;
	esac
}

# tree_bin TREE: where the programs for its machines are
tree_bin()
{
	case $(tree_arch "$1") in
	x86_64) echo "$BUILD/bin" ;;
	*) echo "$BUILD/bin-$1" ;;
	esac
}

# cross_prefix ARCH: what goes before the names of the compiler's programs
cross_prefix()
{
	case $1 in
	arm64) echo aarch64-linux-gnu- ;;
	i386) echo i686-linux-gnu- ;;
	esac
}

# changed_line SOURCE TREE FILE LINE: does upstream, which is in SOURCE, lack that line of
# FILE in TREE? The same text elsewhere in the file is another line.
changed_line()
{
	[[ -f $1/$3 ]] || return 0
	{ diff --old-line-format='' --unchanged-line-format='' --new-line-format=$'%dn\n' \
		"$1/$3" "$2/$3" || true; } | grep -x "$4" >/dev/null
}

# need_tree NAME: fail with one line if there is no such tree
need_tree()
{
	trees | grep -xF -- "$1" >/dev/null ||
		die "unknown tree '$1'; there are: $(trees | tr '\n' ' ' | sed 's/ $//')"
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

# build_environment DIR: what make is run with in a kernel tree; sets kmake
build_environment()
{
	local prefix

	# What was built must not depend on who built it, where and when
	export KBUILD_BUILD_TIMESTAMP=@0 KBUILD_BUILD_USER=ttm KBUILD_BUILD_HOST=zerocopy
	export KBUILD_BUILD_VERSION=1 LC_ALL=C
	ARCH=$(tree_arch "$(basename "$1")")
	prefix=$(cross_prefix "$ARCH")
	export ARCH
	unset KCONFIG_CONFIG KCONFIG_ALLCONFIG KBUILD_OUTPUT O MAKEFLAGS MFLAGS MAKELEVEL
	# shellcheck disable=SC2034	# used by the scripts that source this
	kmake=(make -C "$1" "CROSS_COMPILE=$prefix")
	if command -v ccache >/dev/null; then
		# Paths are relative in a build in the tree, so without debug
		# information a tree elsewhere compiles to the same objects.
		export CCACHE_DIR=${CCACHE_DIR:-$CACHE/ccache}
		export CCACHE_BASEDIR=$1 CCACHE_COMPILERCHECK=content
		[[ -n ${DEBUG:-} ]] || export CCACHE_NOHASHDIR=1
		export CCACHE_SLOPPINESS=time_macros,include_file_mtime,include_file_ctime
		export CCACHE_MAXSIZE=${CCACHE_MAXSIZE:-3G}
		kmake+=("CC=ccache ${prefix}gcc" "HOSTCC=ccache gcc")
	fi
}

# use_clang SUFFIX: LLVM's tools of that version in place of GNU's; after build_environment
use_clang()
{
	local ccache=

	! command -v ccache >/dev/null || ccache='ccache '
	# the last ones given to make are those that count
	kmake+=("LLVM=$1" "CC=${ccache}clang$1" "HOSTCC=${ccache}clang$1")
}

# configure DIR: what DIR/.config.wanted asks for, on top of allnoconfig, becomes
# DIR/.config, which is touched only if it changes. After build_environment; false if
# make fails. Sets missing: the options that did not survive, in one line.
configure()
{
	local dir=$1

	(cd "$dir" && KCONFIG_ALLCONFIG=.config.wanted KCONFIG_CONFIG=.config.new \
		"${kmake[@]}" allnoconfig) || return
	# shellcheck disable=SC2034	# used by the scripts that source this
	missing=$(awk -v config="$dir/.config.new" '
		function name(line) {
			if (line ~ /^# CONFIG_[A-Z0-9_a-z]+ is not set$/)
				return substr(line, 3, length(line) - 13)
			if (line ~ /^CONFIG_[A-Z0-9_a-z]+=/)
				return substr(line, 1, index(line, "=") - 1)
			return ""
		}
		function value(line) {
			return line ~ /^#/ ? "n" : substr(line, index(line, "=") + 1)
		}
		BEGIN {
			while ((getline line < config) > 0)
				if (name(line) != "")
					have[name(line)] = value(line)
		}
		# a later fragment overrides an earlier one
		name($0) != "" { want[name($0)] = value($0); next }
		/^#? *CONFIG_/ { print "malformed line in a fragment: " $0 }
		END {
			for (n in want) {
				got = n in have ? have[n] : "n"
				if (got != want[n])
					print n "=" want[n] " (is " got ")"
			}
		}' "$dir/.config.wanted" | sort | tr '\n' ';' | sed 's/;$//; s/;/; /g')
	if ! cmp -s "$dir/.config.new" "$dir/.config"; then
		mv "$dir/.config.new" "$dir/.config"
	else
		rm "$dir/.config.new"
	fi
	rm -f "$dir/.config.wanted"
}

# machines_at_once: how many to run: one for each processor, as far as memory goes
machines_at_once()
{
	awk -v most="$(nproc)" '$1 == "MemAvailable:" {
		fit = int($2 / (5 * 1024 * 1024))
		if (fit > most)
			fit = most
		print (fit > 1 ? fit : 1) }' /proc/meminfo
}

# kunit_suites DIR: the KUnit suites of mm and TTM that a kernel tree has, one a line
kunit_suites()
{
	find "$1/mm/tests" "$1/drivers/gpu/drm/ttm/tests" -name '*.c' -exec awk '
		FNR == 1 { suite = 0 }
		/^static struct kunit_suite / { suite = 1 }
		suite && /\.name = "/ { split($0, part, "\""); print part[2] }
		/^}/ { suite = 0 }' {} + | LC_ALL=C sort
}

# gcov_files VERSION: the C files of mm and TTM that are ours or that the hooks for that
# series of kernels change, without tests, one a line: those whose lines build/coverage counts
gcov_files()
{
	local hook own

	{
		(cd "$TOP/kernel" && find mm drivers/gpu/drm/ttm -name '*.c')
		for hook in "$TOP/hooks/$KSERIES"/*.patch; do
			own=$TOP/hooks/$1/${hook##*/}
			[[ ! -r $own ]] || hook=$own
			sed -n 's,^+++ b/\(\(mm\|drivers/gpu/drm/ttm\)/[^\t]*\.c\).*,\1,p' "$hook"
		done
	} | grep -v '/tests/' | LC_ALL=C sort -u
}

# definitions: the functions that the C files define whose names come in, one a line
definitions()
{
	xargs sed -nE 's/^([a-z][A-Za-z0-9_ *]*[ *])?([a-z_][a-z0-9_]*)\([^;]*$/\2/p' |
		LC_ALL=C sort -u
}

# our_functions TREE: the functions of TTM, of the new files, and that hooks add to files
# of mm, without tests, one a line. By their source: an object has what it is given by
# headers as well.
our_functions()
{
	local src changed

	src=$("$TOP/tools/fetch-source") || return
	changed=$(cd "$src" && gcov_files "$KSERIES" | grep '^mm/' | xargs ls -d 2>/dev/null) || true
	{
		(cd "$TOP/kernel" && find . -name '*.[ch]' -printf '%P\n'
		 cd "$BUILD/$1" && printf '%s\n' drivers/gpu/drm/ttm/*.[ch]) |
			grep -v -e /tests/ -e '^include/' | LC_ALL=C sort -u |
			(cd "$BUILD/$1" && definitions)
		LC_ALL=C comm -13 <(cd "$src" && definitions <<<"$changed") \
			<(cd "$BUILD/$1" && definitions <<<"$changed")
	} | LC_ALL=C sort -u
}

# patches_in DIR: the patches of an exported series, without its cover letter
patches_in()
{
	local patch

	for patch in "$1"/*.patch; do
		[[ $patch == *0000-cover-letter.patch ]] || echo "$patch"
	done
}
