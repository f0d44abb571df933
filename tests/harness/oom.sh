#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What tests/torture/oom takes for worse than upstream's kernel, and what for noise. On a
# copy of it, with a program that stands for the machines.

set -uo pipefail
# shellcheck source=tests/harness/ktap.bash
. "$(dirname "$0")/ktap.bash"

copy=$work/copy
mkdir -p "$copy"/{vm,tests/vm,tests/torture,build/{linux,pristine}}
cp -r "$TOP/tools" "$copy/"
cp "$TOP/tests/tap.sh" "$copy/tests/"
cp "$TOP/tests/torture/oom" "$copy/tests/torture/"
printf '%%/bench-behave:\n\t@:\n' >"$copy/tests/vm/programs.mk"
# Runs of a kernel are the words of the file of its name, TIME:LONGEST in ms, in this order
# and then again; "killed" is one that ends so, "hangs" one that says nothing. "naps" is
# how long each takes.
cat >"$copy/vm/run" <<'STUB'
#!/bin/bash
cd "$(dirname "$0")/.."
mode=linux
[[ "$*" != *build/pristine* ]] || mode=pristine
while [[ $1 != --log ]]; do shift; done
exec 9>lock && flock 9
echo "$mode $*" >>calls
read -ra words <"$mode"
word=${words[$(($(grep -c "^$mode " calls) - 1)) % ${#words[@]}]}
echo "$(($(cat now 2>/dev/null) + 1))" >now && cat now >>at_a_time
flock -u 9
[[ ! -f naps ]] || sleep "$(<naps)"
flock 9
echo "$(($(<now) - 1))" >now
flock -u 9
[[ $word != hangs ]] || exit 124
killed=0
if [[ $word == killed ]]; then
	killed=1 word=500:700
	echo '[    3.217000] kswapd0 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0' >"$2"
fi
echo "{\"part\":\"oom\",\"killed\":$killed,\"total_ns\":${word%:*}000000,\"max_ns\":${word#*:}000000,\"inserted\":512,\"thp_split\":3,\"failed_writes\":7}"
STUB
chmod +x "$copy/vm/run"

CELL=128M/disk/4/mglru/half/40/noise
CONTROL=128M/disk/2/mglru/half/50/half
forget() { rm -f "$copy"/{calls,at_a_time,now,naps}; rm -f "$copy/build/results/oom.json"; : >"$copy/calls"; }

# oom HERE THERE [ARGUMENT...]: with runs like these; its status
oom()
{
	forget
	again "$@"
}
again()
{
	echo "$1" >"$copy/linux" && echo "$2" >"$copy/pristine"
	cp "$copy/linux" "$copy/build/linux/vmlinux" && cp "$copy/pristine" "$copy/build/pristine/vmlinux"
	"$copy/tests/torture/oom" "${@:3}" >"$work/said" 2>"$work/err"
}
# judged RESULTS HERE THERE [ARGUMENT...]: the results of the kills, the time and the
# longest fault, "ok", "not ok" or "-"
judged()
{
	local wanted=$1 what line got=()

	oom "$2" "$3" "${@:4}" "$CELL"
	for what in killed 'takes no longer' 'waits no longer'; do
		line=$(grep "^\(not \)\?ok .*insert: $what" "$work/said") || line='- '
		line=${line%% [0-9]*}
		got+=("${line% }")
	done
	line=$(printf '%s, ' "${got[@]}")
	cat "$work/said" "$work/err"
	[[ ${line%, } == "$wanted" ]]
}
says() { grep -q -- "$1" "$work/said"; }
noted() { grep -q -- "$1" "$work/err"; }
calls() { grep -cE '^(linux|pristine) ' "$copy/calls"; }
fails() { ! "$@"; }

echo "KTAP version 1"
same='1000:200 1200:300 1100:250 1400:400 1050:220 1300:350'
is "the same is no worse" judged "ok, ok, ok" "$same" "$same"
is "and was run six times on each" test "$(calls)" = 12
is "two machines at a time at most" test "$(sort -n "$copy/at_a_time" | tail -n 1)" -le "$(($(nproc) < 2 ? 1 : 2))"
is "less is no worse" judged "ok, ok, ok" "500:100 600:100" "$same"
is "the table has what was inserted, split and failed" says \
	'insert: killed 0 of 6, 0.6 s, longest fault 0.1 s; inserted 512 pages, split 3, failed writes 7'
is "a kill where there was none is worse" judged "not ok, ok, ok" "1000:200 1200:300 1100:250 1400:400 1050:220 killed" "$same"
is "who ran out of memory is told" says 'insert: kswapd0 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0$'
is "where upstream's has as many, it is not" judged "ok, ok, ok" "killed $same" "killed $same"
is "a kill is no short time" judged "ok, ok, ok" "9000:5000" "killed"
is "nor for this kernel" judged "not ok, not ok, not ok" "killed" "9000:5000"
is "all runs take longer" judged "ok, not ok, ok" "2000:200 2400:300 2200:250 2800:400 2100:220 2600:350" "$same"
is "some do, as far as the others differ" judged "ok, ok, ok" "1100:200 1350:300 1250:250 1500:400 1000:220 1400:350" "$same"
is "all by less than a tenth" judged "ok, ok, ok" "1050:200" "1000:200"
is "all by less than a tenth of a second" judged "ok, ok, ok" "150:90" "100:20"
is "all wait longer" judged "ok, ok, not ok" "1000:800 1200:900 1100:850" "$same"
is "one waits, and very long" judged "ok, ok, not ok" "1000:200 1200:300 1100:250 1400:400 1050:220 1300:1350" "$same"
is "two runs are too few for that" judged "ok, -, -" "5000:4000" "$same" --runs 2
is "which is said" says 'takes no longer than upstream: too few runs to tell'
is "three are not" judged "ok, not ok, not ok" "5000:4000" "$same" --runs 3
is "a machine that hangs is worse" judged "not ok, ok, ok" "$same hangs" "$same" --runs 7
is "its exit status says so" fails oom "$same hangs" "$same" --runs 7 "$CELL"
is "what was run" oom "$same" "$same" --runs 2 "$CELL"
is "is not run again" again "$same" "$same" --runs 2 "$CELL"
is "but counts" test "$(calls)" = 4
is "and more of it is added" again "$same" "$same" --runs 3 "$CELL"
is "as much as is missing" test "$(calls)" = 6
is "another kernel has all its runs" again "1000:200" "$same" --runs 3 "$CELL"
is "and upstream's none" test "$(calls)" = 9

is "controls are in some cells" oom "$same" "$same" --runs 1 "$CONTROL"
is "of all kinds" test "$(calls)" = 9
is "each beside its own on upstream's kernel" says "ok .*/half: thp: killed no more often than thp-upstream"
is "what was sampled is told" noted "1 of 1 cells in the order of seed 1, 1 of them with controls, 9 machines"
is "or what is asked for" oom "$same" "$same" --runs 1 --modes insert "$CONTROL"
is "and nothing else" test "$(calls)" = 1
is "what there is nothing to compare with is told" says "nothing of upstream, or of it: too few"

forget
echo 2 >"$copy/naps"
is "the time may end within a cell" again "$same" "$same" --jobs 1 --time 6 "$CELL"
is "after the machine that runs" test "$(calls)" -lt 12
is "and what there is, is judged" says "^ok .*insert: killed no more often"
finish
