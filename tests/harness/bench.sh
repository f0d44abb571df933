#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The bench with machines that fail: nothing of a long run is lost. On a copy of it,
# with a program that stands for the machines.

set -uo pipefail
# shellcheck source=tests/harness/ktap.bash
. "$(dirname "$0")/ktap.bash"
# shellcheck source=tests/harness/bench.bash
. "$(dirname "$0")/bench.bash"

# Each call is noted. Those that match the file "fails" fail, as often as it says, also if
# two ask at the same time.
cat >"$copy/vm/run" <<'EOF'
#!/bin/bash
cd "$(dirname "$0")/.."
echo "$*" >>calls
exec 9>lock && flock 9
if [[ -f fails ]] && read -r times pattern <fails && [[ "$*" == *$pattern* ]] && ((times)); then
	echo "$((times - 1)) $pattern" >fails
	echo "Out of memory: Killed process 1" >&2
	exit 1
fi
echo '{"part":"fake"}'
EOF
chmod +x "$copy/vm/run"

bench() { : >"$copy/calls"; "$copy/bench/run" "$@" >/dev/null 2>"$work/err"; }
calls() { wc -l <"$copy/calls"; }
json=$copy/build/results/bench.json
left=$copy/build/results/bench-unfinished
says() { grep -q -- "$1" "$work/err"; }
one_line() { [[ $(wc -l <"$work/err") == 1 ]] && says "$1"; }
fails() { ! "$@"; }

echo "KTAP version 1"
is "there must be a run to go on with" fails bench --resume
is "which is said in one line" one_line "no run to go on with"

is "a run without trouble" bench
all=$(calls)
is "has its figures" jq -e --argjson all "$all" '.results | length == $all' "$json"
is "and leaves nothing behind" test ! -e "$left"
is "nor a directory of its own" sh -c "! ls -d $copy/build/.bench.* 2>/dev/null"

echo "2 --swap disk" >"$copy/fails"
is "a machine that fails twice is started again" bench
is "and the run says so" says "failed, once more"
is "with two starts more" test "$(calls)" = $((all + 2))
is "and how often it was killed" jq -e '[.results[].kills // 0] | add == 2' "$json"

rm "$json"
echo "99 --swap file" >"$copy/fails"
is "one that always fails ends the run" fails bench
is "which says how to go on" says "--resume goes on from here"
is "there are no figures then" test ! -e "$json"
done=$(find "$left" -name 'out.*.json' | wc -l)
is "those that there are, are kept" test "$done" -gt 0
rm "$copy/fails"
cp "$copy/build/linux/vmlinux" "$work/vmlinux"
echo other >"$copy/build/linux/vmlinux"
is "not with another kernel" fails bench --resume
is "which is said in one line" one_line "with other kernels: make bench"
cp "$work/vmlinux" "$copy/build/linux/vmlinux"
is "going on" bench --resume
is "runs what is left" test "$(calls)" = $((all - done))
is "and has all figures" jq -e --argjson all "$all" '.results | length == $all' "$json"
is "once" test ! -e "$left"

# An image that was resumed has to be in the log; where there is none, there is an error.
mv "$copy/vm/run" "$copy/vm/run-all"
cat >"$copy/vm/run" <<'EOF'
#!/bin/bash
while [[ $1 != --log ]]; do shift; done
cat "$(dirname "$0")/said" >"$2"
echo "{\"part\":\"hibernate\",\"error\":$(cat "$(dirname "$0")/error")}"
EOF
chmod +x "$copy/vm/run"
only() { bench --only 'hibernate-384:256:150:*'; }
first() { jq -e ".results[0] | $1" "$copy/build/results/bench-only.json"; }
cp "$json" "$work/bench.json"
printf '[    1.5] PM: hibernation: hibernation entry\n[    4.0] PM: hibernation: Wrote 8 kbytes in 1.00 seconds (8.00 MB/s)\n' >"$copy/vm/said"
# the second one is not asked for
printf '[    7.0] PM: hibernation: hibernation entry\n[    9.0] PM: hibernation: Wrote 16 kbytes in 1.00 seconds (16.00 MB/s)\n' >>"$copy/vm/said"
echo 0 >"$copy/vm/error"
is "one part only" only
is "for each kernel" jq -e '[.results[].mode] | sort == ["copy", "insert", "pristine"]' "$copy/build/results/bench-only.json"
is "the first image is the one that counts" first '.image_bytes == 8192 and .image_ns == 2500000000'
: >"$copy/vm/said"
is "hibernation without an image" fails only
is "which is said" says "the log does not tell of an image"
echo 12 >"$copy/vm/error"
is "hibernation that fails has none" only
is "nor a figure of it" first '.error == 12 and .image_bytes == null'
mv "$copy/build/pristine" "$work/pristine"
is "of other kernels there is no need" only
mv "$work/pristine" "$copy/build/pristine"
mv "$copy/build/hibernate" "$work/hibernate"
is "but of its own" fails only
is "which is said in one line" one_line "no kernel in build/hibernate: make bench"
mv "$work/hibernate" "$copy/build/hibernate"
is "no part has that name" fails bench --only nothing
is "which is said in one line" one_line "no part has a name like 'nothing'"
is "the bench's own figures stay" cmp "$json" "$work/bench.json"
mv "$copy/vm/run-all" "$copy/vm/run"

is "without their kernel, no alternatives" fails bench --alternatives
is "which is said in one line" one_line "no kernel in build/alternatives"
mkdir -p "$copy/build/alternatives/include/config"
for tree in alternatives linux pristine; do
	cp "$copy/build/linux/"{vmlinux,.config} "$copy/build/$tree/" 2>/dev/null || true
	echo 7.3.4 >"$copy/build/$tree/include/config/kernel.release"
	# what the sizes are taken of
	cp /bin/true "$copy/build/$tree/vmlinux"
	mkdir -p "$copy/build/$tree"/{mm,drivers/gpu/drm/{ttm,vttm}}
	for object in mm/shmem_insert drivers/gpu/drm/vttm/vttm_native \
			drivers/gpu/drm/ttm/ttm_{pool,backup,backup_file,backup_insert,backup_restore,backup_stats,swapout}; do
		cp /bin/true "$copy/build/$tree/$object.o"
	done
done
is "with it, there are" bench --alternatives
alternatives=$copy/build/results/alternatives.json
is "with figures of three kernels" jq -e '.kernels | keys == ["alternatives", "linux", "pristine"]' "$alternatives"
is "of each way" jq -e '[.results[].mode] | unique == ["direct", "insert", "kept", "movable", "native", "pristine"]' \
	"$alternatives"
is "and the size of the code" jq -e '.sizes | .native > 0 and .insert > .pristine' "$alternatives"
is "those of the bench stay" cmp "$json" "$work/bench.json"
finish
