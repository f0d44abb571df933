#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What must make "make test" fail does: the real runner on tests that fail.

set -euo pipefail
# shellcheck source=tests/harness/ktap.bash
. "$(dirname "$0")/ktap.bash"
KERNEL=${KERNEL:-$BUILD/linux-test}

# A program in the machine that reports what it is told and passes
good='printf "KTAP version 1\n1..2\nok 1 a\nok 2 b\n"'
lkdtm=/sys/kernel/debug/provoke-crash/DIRECT

# name | what the runner's output must have | its last line | options | script
# In machines: what a kernel does, and a test that passes
machines=(
	'a sound run passes||2 passed, 0 failed||'"$good"
	'a WARN fails|the kernel reported trouble|2 passed, 1 failed||'"$good; echo WARNING >$lkdtm; sleep 5"
	'a crash fails|the kernel reported trouble|2 passed, 1 failed||'"$good; echo PANIC >$lkdtm; sleep 5"
	'a BUG fails|the kernel reported trouble|2 passed, 1 failed||'"$good; echo BUG >$lkdtm; sleep 5"
	'what lockdep reports fails|possible recursive locking|2 passed, 1 failed|--append "kunit.enable=1 kunit.autorun=0 kunit.filter_glob=ttm_bo.ttm_bo_reserve_deadlock"|'"$good; echo 1 >/sys/kernel/debug/kunit/ttm_bo/run; sleep 1"
	# whichever the kernel notices first: scheduling while atomic, or a function that sleeps
	'scheduling with a lock held fails|scheduling while atomic OR sleeping function called from invalid context|2 passed, 1 failed||'"$good; echo SPINLOCKUP >$lkdtm; sleep 5"
	'a hung kernel fails|it did not end in time|2 passed, 1 failed|--timeout 20 --cpus 1|'"$good; sleep 1; echo HARDLOCKUP >$lkdtm"
	'a machine that reboots fails|without a verdict|2 passed, 1 failed||'"$good; sleep 1; reboot -f"
	'an OOM kill fails|the kernel reported trouble|2 passed, 1 failed|--mem 128M|'"$good; mkdir /m; mount -t tmpfs -o size=100% none /m; dd if=/dev/zero of=/m/x bs=1M count=400"
)
# On the host: what a program says, and how it ends. That both arrive here as they are in
# the machine is for vmrun.sh to prove.
programs=(
	'a test that does not end fails|it did not end in time|0 passed, 2 failed|--timeout 1|sleep 1000'
	'a test that reports nothing fails|reports nothing|0 passed, 1 failed||true'
	'a test without a plan fails|there is none|1 passed, 1 failed||printf "KTAP version 1\nok 1 a\n"'
	'fewer results than planned fail|plan is 3, results are 1|1 passed, 1 failed||printf "KTAP version 1\n1..3\nok 1 a\n"'
	'an empty plan fails|it is empty|0 passed, 1 failed||printf "KTAP version 1\n1..0\n"'
	'a failed result fails|not ok|1 passed, 1 failed||printf "KTAP version 1\n1..2\nok 1 a\nnot ok 2 b\n"; exit 1'
	'a failed result with exit status 0 fails|not ok|1 passed, 1 failed||printf "KTAP version 1\n1..2\nok 1 a\nnot ok 2 b\n"'
	'a failed subtest fails|not ok|1 passed, 1 failed||printf "KTAP version 1\n1..1\n    1..2\n    ok 1 a\n    not ok 2 b\nnot ok 1 g\n"'
	'a failed subtest of a test that says ok fails|reported ok|0 passed, 2 failed||printf "KTAP version 1\n1..1\n    1..1\n    not ok 1 a\nok 1 g\n"'
	'a skipped test fails unless allowed|skipped: no device|1 passed, 1 failed||printf "KTAP version 1\n1..2\nok 1 a\nok 2 b # SKIP no device\n"'
	'passing with an exit status other than 0 fails|exit status 3|2 passed, 1 failed||'"$good; exit 3"
	'a killed test fails|exit status 139|2 passed, 1 failed||'"$good; kill -SEGV \$\$"
	'a command that is not there fails|exit status 127|0 passed, 2 failed||exec nothing'
)

# A copy of the runner whose machine is a script that runs the command's script here
copy=$work/copy
mkdir -p "$copy/tests/vm" "$copy/vm"
cp -r "$TOP/tools" "$copy/"
cp "$TOP"/tests/{run,tap.sh,ktap.py} "$copy/tests/"
cat >"$copy/vm/run" <<'END'
#!/bin/bash
timeout='' script=''
while [[ $1 != -- ]]; do
	case $1 in
	--timeout) timeout=$2; shift 2 ;;
	--file) script=${2%%:*}; shift 2 ;;
	--append | --kernel | --log | --mem | --swap | --swap-size) shift 2 ;;
	*) echo "stub: what is $1?" >&2; exit 126 ;;
	esac
done
[[ "$*" == "-- sh /script" ]] || { echo "stub: what is $*?" >&2; exit 126; }
exec timeout "$timeout" sh "$script"
END
chmod +x "$copy/vm/run"

# check RUNNER NAME MUST LAST OPTIONS SCRIPT [COLUMN]: run a test that is alone in its
# table, whose line has another column or not; MUST is what the output has to have, one of
# several texts if there is OR between them
check()
{
	local runner=$1 name=$2 must=$3 last=$4 options=$5 problem='' status=0

	printf '%s\n' "$6" >"$work/script"
	echo "case | --file $work/script:/script $options | sh /script${7:+ | $7}" >"$work/list"
	"$runner/tests/run" --kernel "$KERNEL" --results "$work/results" \
		--list "$work/list" >"$work/out" 2>&1 ||
		status=$?
	if [[ $last == *' 0 failed'* ]]; then
		[[ $status == 0 ]] || problem="exit status $status"
	else
		[[ $status != 0 ]] || problem="exit status 0"
	fi
	grep -qF -- "${must// OR /$'\n'}" "$work/out" || problem="no '$must' in its output"
	[[ $(tail -n 1 "$work/out") == "$last" ]] ||
		problem="last line '$(tail -n 1 "$work/out")', not '$last'"
	if [[ -z $problem ]]; then
		pass "$name"
	else
		sed 's/^/# /' "$work/out" | tail -n 30
		echo "# $problem"
		fail "$name"
	fi
}

# more NAME ARGUMENT...: an option that --vm gives arrives at the machine
more()
{
	"$copy/tests/run" --kernel "$KERNEL" --results "$work/results" --vm '--log x --more' \
		"${@:2}" >"$work/out" 2>&1 || true
	if grep -qF "stub: what is --more?" "$work/out"; then
		pass "$1"
	else
		sed 's/^/# /' "$work/out" | tail -n 30
		fail "$1"
	fi
}

echo "KTAP version 1"
for entry in "${machines[@]}"; do
	IFS='|' read -r name must last options script <<<"$entry"
	check "$TOP" "$name" "$must" "$last" "$options" "$script"
done
for entry in "${programs[@]}"; do
	IFS='|' read -r name must last options script <<<"$entry"
	check "$copy" "$name" "$must" "$last" "$options" "$script"
done
# allowed by the table, a skip is counted on its own
check "$copy" "a skip that the table allows is counted apart" '# SKIP' \
	"1 passed, 0 failed, 1 skipped" '' \
	'printf "KTAP version 1\n1..2\nok 1 a\nok 2 b # SKIP no device\n"' skip-ok

# side NAME STATUS MUST ARGUMENT...: the tests of the table, which ends in that way with
# those lines
side()
{
	local name=$1 must=$3 status=0

	rm -f "$work/met-"*
	"$copy/tests/run" --kernel "$KERNEL" --results "$work/results" --list "$work/list" \
		"${@:4}" >"$work/out" 2>&1 || status=$?
	if [[ $status == "$2" && $(grep -v '^#' "$work/out") == "$must" ]]; then
		pass "$name"
	else
		sed 's/^/# /' "$work/out" | tail -n 30
		fail "$name"
	fi
}

# Each waits until the other is there, and the first one ends last
for row in a b; do
	cat >"$work/script-$row" <<END
touch $work/met-$row
for try in \$(seq 100); do
	[ "\$(ls $work/met-* | wc -l)" != 2 ] || break
	sleep 0.1
done
[ "\$(ls $work/met-* | wc -l)" = 2 ] || exit 1
[ $row = b ] || sleep 2
printf 'KTAP version 1\n1..1\nok 1 met\n'
END
	echo "$row | --file $work/script-$row:/script | sh /script"
done >"$work/list"
told=$'ok 1 vm/a: met\nok 2 vm/b: met\n1..2\n2 passed, 0 failed'
side "two machines run side by side, and are told of in order" 0 "$told" --jobs 2
side "with more than there are to run as well" 0 "$told" --jobs 9
side "unless it is one after the other" 1 \
	$'not ok 1 vm/a: output: reports nothing\nok 2 vm/b: met\n1..2\n1 passed, 1 failed'
for jobs in 0 -1 some ''; do
	side "'$jobs' machines side by side are none" 1 \
		"run: --jobs: '$jobs' is no number above 0" --jobs "$jobs"
done
# What is interrupted leaves no machine behind
"$copy/tests/run" --kernel "$KERNEL" --results "$work/results" --list "$work/list" \
	--jobs 1 >"$work/out" 2>&1 &
rm -f "$work/met-"*
until [[ -e $work/met-a ]]; do sleep 0.1; done
kill $!
wait $! || true
if pgrep -f "sh $work/script-a" >/dev/null; then
	fail "a run that is ended leaves no machine behind"
else
	pass "a run that is ended leaves no machine behind"
fi

# options for all machines: the script says which one it does not know
more "--vm has machines of a table started with options" --list "$work/list"
: >"$copy/tests/vm/list"
more "--vm has machines of KUnit suites started with options" kunit/shmem_batch
finish
