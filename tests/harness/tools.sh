#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The tools on bad input: one line, a non-zero exit status, nothing left behind.
# On a copy of the project and a tree of a few files that stands for a kernel.

set -uo pipefail
# shellcheck source=tests/harness/ktap.bash
. "$(dirname "$0")/ktap.bash"

# A kernel of the files that hooks touch, and what makes a tree a kernel
real=$("$TOP/tools/fetch-source") || exit 1
kernel=$work/kernel
mkdir -p "$kernel"
sed -n 's,^\(---\|+++\) [ab]/\([^\t]*\).*,\2,p' "$TOP/hooks/$KSERIES"/*.patch | sort -u |
while read -r file; do
	if [[ -f $real/$file ]]; then
		mkdir -p "$kernel/$(dirname "$file")"
		cp "$real/$file" "$kernel/$file"
	fi
done
cp "$real/Makefile" "$real/Kbuild" "$kernel/"
copy=$work/copy
mkdir "$copy"
cp -r "$TOP"/{tools,hooks,kernel,vm} "$copy/"
export KERNEL_SRC=$kernel

# check NAME PATTERN FAILS COMMAND...: the command fails (or not), and one line
# of what it says on stderr matches
check()
{
	local name=$1 pattern=$2 fails=$3 status=0
	shift 3
	"$@" >"$work/out" 2>"$work/err" || status=$?
	if [[ $fails == fails && $status != 0 && $(wc -l <"$work/err") == 1 || \
	      $fails == works && $status == 0 ]] &&
	   { [[ -z $pattern ]] || grep -qE -- "$pattern" "$work/err"; }; then
		pass "$name"
	else
		sed 's/^/# /' "$work/out" "$work/err"
		echo "# exit status $status, wanted: $fails, /$pattern/"
		fail "$name"
	fi
}

assemble() { "$copy/tools/assemble" linux; }
tree=$copy/build/linux
state() { find "$tree" -type f ! -path '*/.ttm-zerocopy/*' -printf '%P %T@\n' | sort | md5sum; }
same() { [[ $(state) == "$before" ]]; }
no_leftovers() { ! ls -d "$copy"/build/.assemble.* "$copy"/build/.vm.* 2>/dev/null; }

hooks() { awk '$1 != "" && $1 !~ /^#/ { print $1 }' "$copy/hooks/$KSERIES/series"; }
# file_of HOOK: the first that it changes
file_of() { sed -n 's,^+++ b/\([^\t]*\).*,\1,p' "$copy/hooks/$KSERIES/$1" | head -n 1; }

echo "KTAP version 1"
hook=$(hooks | head -n 1)
file=$(file_of "$hook")

check "a tree is assembled" "files changed" works assemble
before=$(state)
cp -r "$kernel" "$work/patched"
hooks | while read -r name; do
	patch -s --no-backup-if-mismatch -d "$work/patched" -p1 <"$copy/hooks/$KSERIES/$name"
done
cp -r "$copy/kernel/." "$work/patched/"
is "and has the hooks and the new files" diff -r -x .ttm-zerocopy "$work/patched" "$tree"
check "assembling again changes nothing" "" works assemble
is "not even a time stamp" same

overlay=$(cd "$copy/kernel" && find . -name '*.c' -printf '%P\n' | sort | head -n 1)
echo "/* changed */" >>"$copy/kernel/$overlay"
check "one file changed is one file changed" ": 1 files changed" works assemble
cp "$TOP/kernel/$overlay" "$copy/kernel/$overlay"
echo "int x;" >"$copy/kernel/mm/new_file.c"
assemble 2>/dev/null
rm "$copy/kernel/mm/new_file.c"
assemble 2>/dev/null
is "a file that is gone from kernel/ is gone from the tree" test ! -e "$tree/mm/new_file.c"

before=$(state)
sed -i 's/^/x/' "$kernel/$file"
check "a hook that does not apply is named with its file and the hunk" \
	"$hook does not apply to Linux $KTESTED: $file, hunk 1 at line [0-9]+\$" fails assemble
is "and the tree stays as it was" same
mv "$kernel/$file" "$work/file"
check "and so is one whose file is not there" \
	"$hook does not apply to Linux $KTESTED: $file\$" fails assemble
is "which leaves the tree alone, too" same
cp "$real/$file" "$kernel/$file"

sed -i 's/^SUBLEVEL = .*/SUBLEVEL = 99/' "$kernel/Makefile"
check "another release of the series is said to be one" \
	"$KSERIES.99: the hooks were tested on $KTESTED" works assemble
before=$(state)
sed -i 's/^PATCHLEVEL = .*/PATCHLEVEL = 99/' "$kernel/Makefile"
check "another series is refused" \
	"Linux ${KSERIES%.*}.99.99, but the hooks are for ([0-9.]+ )*$KSERIES: " fails assemble
is "before a tree is made anew" same

# One that the first hook which replaces a line does not apply to, with another in its place
hook=$(hooks | while read -r name; do
	grep -q '^-[^-]' "$copy/hooks/$KSERIES/$name" && echo "$name"
done | head -n 1)
file=$(file_of "$hook")
next=$copy/hooks/${KSERIES%.*}.99
mkdir "$next"
line=$(sed -n '/^@@ /,$ s/^-//p' "$copy/hooks/$KSERIES/$hook" | head -n 1)
# changed FILE: with another line in place of that which the hook changes
changed() { awk -v line="$line" '$0 == line || $0 == "-" line { $0 = $0 " /* changed */" } 1' "$1"; }
changed "$real/$file" >"$kernel/$file"
check "a hook that does not apply to another series" "$hook does not apply to Linux .*, hunk 1 at" \
	fails assemble
cp "$copy/hooks/$KSERIES/$hook" "$next/no-such-hook.patch"
check "a hook that stands in for none" "no-such-hook.patch: hooks/$KSERIES has no patch" fails assemble
rm "$next/no-such-hook.patch"
changed "$copy/hooks/$KSERIES/$hook" >"$next/$hook"
check "one that stands in for it" "files changed" works assemble
is "makes the same of it" cmp "$work/patched/$file" "$tree/$file"
# and options, of which none survives where make does nothing
echo CONFIG_OF_THAT_SERIES=y >"$next/base.config"
mkdir "$work/make"
printf '#!/bin/sh\n: >"$KCONFIG_CONFIG"\n' >"$work/make/make"
chmod +x "$work/make/make"
configures() { PATH=$work/make:$PATH "$copy/tools/build-kernel" linux; }
check "that series has options of its own" "did not survive: .*CONFIG_OF_THAT_SERIES=y" fails configures
KERNEL_SRC=$work/nothing check "KERNEL_SRC that is not there" \
	"no such directory" fails assemble
mkdir "$work/empty"
KERNEL_SRC=$work/empty check "KERNEL_SRC that is no kernel" \
	"not a kernel source tree" fails assemble
# where hooks/alternatives change what no other hook does
is "the alternatives apply" env KERNEL_SRC="$real" "$TOP/tools/assemble" --check alternatives
check "an unknown tree" "unknown tree" fails "$copy/tools/assemble" other
check "building what is not assembled" "build/pristine is missing" fails \
	"$copy/tools/build-kernel" pristine

run=$copy/vm/run
check "vm/run without a command" "no command given" fails "$run"
check "vm/run without a kernel" "make kernel" fails "$run" -- true
check "vm/run with a kernel that is not there" "no such directory" fails \
	"$run" --kernel "$work/nothing" -- true
KERNEL=${KERNEL:-$BUILD/linux-test}
for args in "--mem 5" "--mem 9999G" "--disk-speed ssd" "--disk-written" "--disk x" "--disk-speed tape --swap disk" "--swap tape" "--gpu voodoo" "--gpu" "--swap-size x" "--cpus 0" \
	"--timeout soon" "--file $work/nothing" "--log $work/no/log" "--gcov $work/gcov" "--vmcore $work/no/core" "--bogus" \
	"--icount --cpus 2" "--numa --cpus 4" "--numa --icount" "--file /etc/passwd:relative"; do
	# shellcheck disable=SC2086	# options and their values
	check "vm/run $args" "^vm/run: " fails "$run" --kernel "$KERNEL" $args -- true
done
head -c 65536 /dev/zero >"$work/no-disk"
check "vm/run --root without a disk" "no file that can be written" fails \
	"$run" --root "$work/nothing" --kernel 7.3.4 -- true
check "vm/run --root without a file system" "no ext4 file system with /boot/vmlinuz-7.3.4" fails \
	"$run" --root "$work/no-disk" --kernel 7.3.4 -- true
check "vm/run --root with a tree for its kernel" "has to name a kernel" fails \
	"$run" --root "$work/no-disk" --kernel "$KERNEL" -- true
check "vm/run --root with files" "not with --swap, --disk" fails \
	"$run" --root "$work/no-disk" --kernel 7.3.4 --file "$work/no-disk" -- true
check "vm/run with a file as its command that is not there" "no such command" fails \
	"$run" --kernel "$KERNEL" -- ./nothing
is "nothing is left behind" no_leftovers

# A machine where a package is missing: what tools/deps looks for is there but for
# one, and apt-get and id say what they are told
bin=$work/bin
mkdir "$bin"
for tool in $(awk -F'\t+' '/^[a-z0-9.-]+\t/ && $2 !~ /^\// { print $2 }' "$TOP/tools/deps"); do
	printf '#!/bin/sh\n' >"$bin/$tool"
done
rm "$bin/cpio"
printf '#!/bin/sh\necho "$@" >>%s\nexit 0\n' "$work/apt" >"$bin/apt-get"
printf '#!/bin/sh\necho ${FAKE_UID:-0}\n' >"$bin/id"
for tool in bash dirname awk grep mktemp rm tail cat; do
	ln -sf "$(command -v "$tool")" "$bin/$tool"
done
chmod +x "$bin"/*
# deps UID [NAME=VALUE...] [ARGUMENT...]: tools/deps on such a machine
deps()
{
	local uid=$1
	shift
	: >"$work/apt"
	env -i "HOME=$HOME" "PATH=$bin" "FAKE_UID=$uid" "${1:-CI=}" "$copy/tools/deps" "${@:2}"
}
none() { [[ ! -s $work/apt ]]; }
installed() { grep -q '^install .* cpio$' "$work/apt"; }
# what the list has as files is not here either, so cpio is not alone
check "a missing package is named, with the command" "run: make deps .*cpio" fails deps 0
is "and not installed, even by root" none
check "who is not root needs sudo" "run: sudo make deps .*cpio" fails deps 1000
check "make deps installs" "installing .*cpio" works deps 0 CI= --install
is "by apt-get" installed
check "so does DEPS=install" "installing .*cpio" works deps 0 DEPS=install
check "and continuous integration" "installing .*cpio" works deps 0 CI=true
check "but not CI=false" "run: make deps" fails deps 0 CI=false
is "which leaves all as it is" none
check "nobody but root installs" "run: sudo apt-get install" fails deps 1000 CI= --install
# A tree that a compiler which is not here has to compile
for tool in basename flock mkdir uname; do
	ln -sf "$(command -v "$tool")" "$bin/$tool"
done
mkdir "$copy/build/clang"
: >"$copy/build/clang/Makefile"
rm "$bin/clang-19"
check "a tree for clang where there is none" "clang-19 is missing: apt-get install clang-19" \
	fails env -i "HOME=$HOME" "PATH=$bin" "$copy/tools/build-kernel" clang
check "an unknown group of packages" "unknown argument 'toys'" fails deps 0 CI= toys

# tools/ttm-stat, on a file with what a kernel would say
stat=$TOP/tools/ttm-stat
page=$(getconf PAGESIZE)
printf '%s %s\n' inserted $((100 * 1048576 / page)) copied $((2 * 1048576 / page)) \
	retained $((3 * 1048576 / page)) restored_adopted $((4 * 1048576 / page)) \
	restored_extracted $((50 * 1048576 / page)) restored_merged $((6 * 1048576 / page)) \
	restored_copied $((7 * 1048576 / page)) >"$work/stats"
is "ttm-stat shows all in MiB" grep -qE \
	'^ +100\.0 +2\.0 +3\.0 +\| +4\.0 +50\.0 +6\.0 +7\.0 \|' \
	<("$stat" --file "$work/stats")
{ sleep 0.5; sed -i "s/^inserted.*/inserted $((101 * 1048576 / page))/" "$work/stats"; } &
"$stat" --file "$work/stats" 1 1 >"$work/line"
wait
is "and what has happened since" grep -qE '^ +1\.0 +0\.0 +0\.0 +\|' "$work/line"
check "ttm-stat without the series" "TTM is not loaded|does not have the series|run it as root|mount -t debugfs" \
	fails "$stat" --file "$work/no-stats"
check "ttm-stat for no time" "'soon' is not a number of seconds" fails "$stat" soon
check "ttm-stat with an option that there is not" "unknown option --bogus" fails "$stat" --bogus
check "packages with a configuration that is not there" "is not debian, running or a file" \
	fails "$copy/tools/build-deb" --config "$work/no-config"
check "or an lsmod that is not" "no such file" fails "$copy/tools/build-deb" --lsmod "$work/no-lsmod"

# Packages, by a make that notes what it is called with in place of the kernel's. What
# is trimmed is up to upstream's own script, for which lsmod says that TTM is loaded.
mkdir -p "$kernel"/{scripts,drivers/gpu/drm/ttm,fs/isofs} "$work/deb"
cp "$real/Makefile" "$kernel/"
cp "$real/$file" "$kernel/$file"
cp -r "$real/scripts/config" "$real/scripts/kconfig" "$kernel/scripts/"
cp "$real/drivers/gpu/drm/ttm/Makefile" "$kernel/drivers/gpu/drm/ttm/"
cp "$real/fs/isofs/Makefile" "$kernel/fs/isofs/"
cat >"$kernel/Kconfig" <<'END'
config MODULES
	bool "modules"
	modules
config DRM_TTM
	tristate "TTM"
config ISO9660_FS
	tristate "CDs"
END
printf 'CONFIG_%s\n' MODULES=y DRM_TTM=m ISO9660_FS=m SHMEM_INSERT=y TRANSPARENT_HUGEPAGE=y SWAP=y \
	>"$work/config"
for tool in dpkg-buildpackage dh rsync depmod xz; do
	printf '#!/bin/sh\n' >"$work/deb/$tool"
done
printf '#!/bin/sh\nprintf "Module Size Used by\\nttm 4096 0\\n"\n' >"$work/deb/lsmod"
printf 'Module Size Used by\nisofs 4096 0\n' >"$work/lsmod"
cat >"$work/deb/make" <<'END'
#!/bin/bash
there=$(dirname "$0")
[[ $1 == -C ]] && cd "$2" || exit 1
echo "$* version=$KDEB_PKGVERSION" >>"$there/calls"
case " $* " in
*' localmodconfig '*)
	# the lsmod here, not that in /sbin
	sed "s,\"/sbin\",\"$there\"," scripts/kconfig/streamline_config.pl >"$there/streamline"
	perl "$there/streamline" --localmodconfig . Kconfig >"$there/trimmed" || exit 1
	cp "$there/trimmed" .config ;;
*' bindeb-pkg '*)
	cp .config "$there/built"
	touch ../linux-{image-x,image-x-dbg,headers-x,libc-dev}_1_amd64.deb \
		../linux-upstream_1_amd64.{buildinfo,changes} ;;
esac
END
chmod +x "$work"/deb/*
# packages [OPTION]...: tools/build-deb with that configuration
packages()
{
	rm -rf "$work"/deb/{calls,built,packages}
	env -u DEBUG "PATH=$work/deb:$PATH" "$copy/tools/build-deb" --config "$work/config" \
		--output "$work/deb/packages" "$@"
}
# called TARGET...: make was asked for these, one after the other
called() { diff <(sed 's/ version=.*//; s/.* //' "$work/deb/calls") <(printf '%s\n' "$@"); }
# built PATTERN...: the configuration that was built has such a line for each
built()
{
	local line

	for line; do
		grep -qxE -- "$line" "$work/deb/built" || { echo "not there: $line"; return 1; }
	done
}
made() { diff <(ls "$work/deb/packages") <(printf '%s\n' linux-{headers,image}-x_1_amd64.deb); }
no_packages() { ! ls -d "$copy"/build/{*.deb,linux-upstream*,.deb.*} 2>/dev/null; }
check "packages are built" "building build/deb" works packages
is "by the kernel's own rules" called olddefconfig bindeb-pkg
is "with a version of this project" \
	grep -qE 'bindeb-pkg version=[0-9.]+-1\+ttm[0-9]+$' "$work/deb/calls"
is "under a name of their own, not signed, without debug information, with all modules" built \
	'CONFIG_LOCALVERSION="-ttm-zerocopy"' '# CONFIG_MODULE_SIG is not set' \
	CONFIG_DEBUG_INFO_NONE=y CONFIG_DEBUG_FS=y CONFIG_DRM_TTM=m CONFIG_ISO9660_FS=m
is "of which image and headers are kept" made
is "and nothing else" no_packages
check "packages of what is in use" "building build/deb" works packages --trim
is "have the modules that are loaded" called localmodconfig olddefconfig bindeb-pkg
is "and not the others" built CONFIG_DRM_TTM=m '# CONFIG_ISO9660_FS is not set'
LSMOD='' check "an LSMOD that is empty is none" "building build/deb" works packages --trim
check "packages of what is in use elsewhere, where TTM is not" "no driver that uses TTM" fails \
	packages --lsmod "$work/lsmod"
is "are not built" called localmodconfig olddefconfig

check "a Debian with packages that are not there" "no linux-image-\*.deb in .*: make deb" fails \
	"$TOP/tests/torture/deb" --packages "$work"
check "torture on a kernel that no phase has" "no 'linux' in variants and machines; there are: no-thp" \
	fails "$TOP/tests/torture/run" --kernel linux
check "or of a phase that has one" "only for the phases variants and machines" \
	fails "$TOP/tests/torture/run" --kernel distro --phase kasan

# a phase whose program is missing, which is said before anything is built
for tool in make od sort tr; do
	ln -sf "$(command -v "$tool")" "$bin/$tool"
done
rm -f "$bin/jq"
check "the phase oom without jq" "jq is missing: apt-get install jq" \
	fails env -i "HOME=$HOME" "PATH=$bin" "$TOP/tests/torture/run" --phase oom
check "jq is asked for with what all targets need" "run: make deps .*jq" fails deps 0

# What tools/check-series runs after a patch: the suites of a tree, of whatever age
mkdir -p "$work/suites/mm/tests" "$work/suites/drivers/gpu/drm/ttm/tests"
cat >"$work/suites/mm/tests/b.c" <<'END'
static struct kunit_case b_cases[] = {
	{ .name = "a case" },
};
static struct kunit_suite b_suite = {
	.name = "second",
	.test_cases = b_cases,
};
static struct kunit_suite c_suite = {
	.init = b_init,
	.name = "third",
};
static const struct drm_driver driver = {
	.name = "a driver",
};
END
sed 's/second/first/; s/third/fourth/' "$work/suites/mm/tests/b.c" \
	>"$work/suites/drivers/gpu/drm/ttm/tests/a.c"
is "the KUnit suites of a tree are found" \
	cmp <(printf '%s\n' first fourth second third) <(kunit_suites "$work/suites")
# those of kernel/ and of upstream's TTM, each of which has a line in tests/run
kunit_suites "$TOP/kernel" >"$work/found"
kunit_suites "$real" | grep '^ttm_' >>"$work/found"
missing_suites() { while read -r suite; do grep -qw "$suite" "$TOP/tests/run" || echo "$suite"; done <"$work/found"; }
is "tests/run has a line for each" test -s "$work/found" -a -z "$(missing_suites)"
check "series-check from a patch that is no number" "^check-series: usage" fails \
	"$TOP/tools/check-series" --from all
check "or to one before it" "that is before --from 7" fails \
	"$TOP/tools/check-series" --from 7 --to 6

# What build/coverage counts is what the hooks for its kernel change
for dir in "$KSERIES" "${KSERIES%.*}.99"; do
	mkdir -p "$work/counted/"{kernel/{mm,drivers/gpu/drm/ttm},hooks/"$dir"}
done
touch "$work/counted/kernel/mm/ours.c"
printf '+++ b/mm/%s.c\n' both >"$work/counted/hooks/$KSERIES/both.patch"
printf '+++ b/mm/%s.c\n' here >"$work/counted/hooks/$KSERIES/other.patch"
printf '+++ b/mm/%s.c\n' there >"$work/counted/hooks/${KSERIES%.*}.99/other.patch"
counted() { diff <(printf 'mm/%s.c\n' "${@:2}") <(TOP=$work/counted gcov_files "$1"); }
is "lines are counted in what hooks change" counted "$KSERIES" both here ours
is "and in what others change that stand in for them" counted "${KSERIES%.*}.99" both ours there

check "coverage without its kernel" "no kernel in build/coverage: make coverage" fails \
	"$copy/tools/coverage"
check "coverage of two patterns" "one pattern only" fails "$copy/tools/coverage" a b

# Whoever runs a script can ask it how
while read -r script; do
	if "$TOP/$script" --help >"$work/out" 2>"$work/err" </dev/null &&
	   [[ -s $work/out && ! -s $work/err ]]; then
		continue
	fi
	sed 's/^/# /' "$work/out" "$work/err"
	fail "$script has no --help"
done < <(cd "$TOP" && grep -rlE '^#!' .ci bench demo tests tools vm 2>/dev/null)
pass "every script was asked for --help"
finish
