#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# tests/mutate tells the mutants that are caught from those that are not, and
# both from those that say nothing. On a copy of the project with a tree of one
# file, whose words make the build and the tests end as they do; and the mutants
# themselves apply to the tree under test.

set -uo pipefail
# shellcheck source=tests/harness/ktap.bash
. "$(dirname "$0")/ktap.bash"
KERNEL=${KERNEL:-$BUILD/linux-test}

copy=$work/copy
mutants=$copy/tests/mutants
mkdir -p "$copy/tools" "$mutants" "$work/source"
cp "$TOP/tools/lib.sh" "$copy/tools/"
cp "$TOP/tests/mutate" "$copy/tests/"

printf '%s\n' /one /two /three '/twin a' '/twin b' /twin '/twin b' /end >"$work/source/x.c"
cat >"$copy/tools/assemble" <<EOF
#!/bin/sh
tree=$copy/build/\$1
mkdir -p \$tree/mm \$tree/.ttm-zerocopy
cp $work/source/x.c \$tree/mm/x.c
echo mm/x.c >\$tree/.ttm-zerocopy/manifest
printf '.PHONY: vmlinux\nvmlinux:\n\t@! grep -q NOBUILD mm/x.c\n\t@sed "s, *//.*,," mm/x.c >vmlinux\n' >\$tree/Makefile
EOF
cat >"$copy/tools/build-kernel" <<EOF
#!/bin/sh
make -s -C $copy/build/\$1 vmlinux
EOF
cat >"$copy/tests/run" <<'EOF'
#!/bin/sh
kernel=$2 results=$4 pattern=$5
has() { grep -q "$1" "$kernel/vmlinux"; }
# the log of a kernel that has much to say
has NOBOOT || { echo 'Run /init as init process'; seq 50000; } >"$results/a.log"
echo "$pattern" >>"$results/../../ran"
case $pattern in none*) echo "# no test matches '$pattern'"; echo "0 passed, 0 failed"; exit 1 ;; esac
if has NOMACHINE; then
	echo "not ok 1 vm/a: the machine could not be started"; echo "0 passed, 1 failed"; exit 1
fi
if has NOEND; then
	echo "ok 1 a"; exit 1
fi
if has NOBOOT || has "BAD $pattern"; then
	echo "not ok 1 vm/a: c1_x"; echo "not ok 2 vm/a: c2_x"; echo "0 passed, 2 failed"; exit 1
fi
echo "ok 1 a"; echo "1 passed, 0 failed"
EOF
chmod +x "$copy"/tools/assemble "$copy"/tools/build-kernel "$copy"/tests/run

# mutant NAME TESTS TEXT [KNOWN]: replaces the second line by TEXT
mutant()
{
	{
		echo "Breaks: something"
		echo "Tests: $2"
		[[ -z ${4:-} ]] || echo "Known: $4"
		printf '%s\n' '--- a/mm/x.c' '+++ b/mm/x.c' '@@ -1,3 +1,3 @@' \
			' /one' '-/two' "+$3" ' /three'
	} >"$mutants/$1.patch"
}

# check NAME STATUS PATTERN [ARGUMENT]...: exit status of tests/mutate, and what
# it says; mutants are gone afterwards
check()
{
	local name=$1 want=$2 pattern=$3 status=0
	shift 3
	"$copy/tests/mutate" "$@" >"$work/out" 2>&1 || status=$?
	if [[ $status == "$want" ]] && grep -qE -- "$pattern" "$work/out" &&
	   { [[ ! -f $copy/build/mutants/mm/x.c ]] ||
	     cmp -s "$work/source/x.c" "$copy/build/mutants/mm/x.c"; }; then
		pass "$name"
	else
		sed 's/^/# /' "$work/out"
		echo "# exit status $status, wanted: $want, /$pattern/"
		fail "$name"
	fi
	rm -f "$mutants"/*
}

# said NAME PATTERN: of the check before
said()
{
	if grep -qE -- "$2" "$work/out"; then
		pass "$1"
	else
		sed 's/^/# /' "$work/out"
		fail "$1"
	fi
}

echo "KTAP version 1"
mutant a t1 'BAD t1'
check "a mutant that is caught" 0 '^caught 1 of 1$'
said "with the test that caught it" '^ok 1 a: caught by vm/a: c1_x, and 1 more$'
mutant a 't1 t2' 'BAD t2'
check "the second test catches it" 0 '^caught 1 of 1$'
mutant a t1 'harmless'
mutant b t1 'BAD t1'
check "a mutant that survives" 1 '^survivors: a$'
said "is counted" '^caught 1 of 2$'
mutant a t1 'BAD t1'
mutant b t1 'harmless'
check "one mutant by its name" 0 '^caught 1 of 1$' a
mutant a t1 'harmless' 'nobody can know'
check "a survivor that is known" 0 '^survivors that are known: a$'
said "with the reason" '^ok 1 a: survives, as is known: nobody can know$'
mutant a t1 'BAD t1' 'nobody can know'
check "one that is known as a survivor and is caught" 0 "^# take out its line 'Known"
mutant a t1 'BAD t1'
sed -i 's,^-/two,-/2,' "$mutants/a.patch"
mutant b t1 'BAD t1'
check "a mutant that does not apply" 1 '^errors: a$'
said "is told from the others" '^caught 1 of 1$'
mutant a t1 'BAD t1'
sed -i '/^@@/,$d' "$mutants/a.patch"
printf '%s\n' '@@ -5,2 +5,2 @@' ' /twin b' '-/twin' '+BAD t1' '@@ -7,1 +7,1 @@' '-/twin b' '+/b' >>"$mutants/a.patch"
check "a mutant that fits in two places" 1 'ERROR: fits 2 places of mm/x.c'
mutant a t1 'BAD t1'
sed -i 's,mm/x,mm/y,' "$mutants/a.patch"
check "a mutant of a file that is not ours" 1 'mm/y.c is not a file of this project'
mutant a t1 'BAD t1'
sed -i '/^@@/,$d' "$mutants/a.patch"
check "a mutant that changes nothing" 1 'ERROR: has no hunk'
mutant a t1 'NOBUILD BAD t1'
check "a mutant that does not build" 1 'ERROR: does not build'
mutant a t1 '/two // BAD t1'
check "a mutant that makes the same kernel" 1 'ERROR: makes no difference'
mutant a t1 'NOBOOT'
check "a mutant that does not boot" 1 'ERROR: does not boot'
mutant a t1 'NOMACHINE'
check "a machine that does not start catches nothing" 1 'ERROR: .*could not be started'
mutant a t1 'NOEND'
check "a runner that does not come to its end catches nothing" 1 'ERROR: tests/run did not'
mutant a t1 'BAD t1'
sed -i s,/end,BAD\ t1, "$work/source/x.c"
check "a tree that fails without a bug" 1 'without a bug, t1 does not pass: caught'
sed -i s,BAD\ t1,NOBUILD, "$work/source/x.c"
mutant a t1 'BAD t1'
check "a tree that does not build without a bug" 2 'Error 1'
sed -i s,NOBUILD,/end, "$work/source/x.c"
mutant a none 'BAD t1'
check "a mutant whose test is not there" 1 'without a bug, none does not pass: error no test matches'
mutant a t1 'BAD t1'
mutant b t1 'BAD t1'
check "a budget that is used up" 0 '^not run, the 0 minutes are over: a b$' --budget 0
mutant a t1 'BAD t1'
sed -i 's/^Tests/Test/' "$mutants/a.patch"
check "a mutant with a wrong head" 1 "mutate: a: 'Test: t1' is not"
mutant a t1 'BAD t1'
sed -i '/^Tests/d' "$mutants/a.patch"
check "a mutant without tests" 1 "mutate: a: 'Breaks:' and 'Tests:' must be there"
check "a mutant that is not there" 1 "mutate: no such mutant: b" b
check "no mutants" 1 "mutate: no mutants"
check "an unknown option" 1 "mutate: unknown option --bogus" --bogus
check "a budget that is none" 1 "mutate: --budget: 'x' is not" --budget x
check "a seed that is none" 1 "mutate: --seed: 'x' is not" --seed x
check "an option without its value" 1 "mutate: --budget needs a value" --budget
for name in a b c d e f; do mutant "$name" t1 'BAD t1'; done
mkdir "$work/keep"
cp "$mutants"/* "$work/keep"
check "an order of a seed" 0 '^caught 6 of 6$' --seed 7
first=$(grep -o '^ok [0-9]* .' "$work/out")
cp "$work/keep"/* "$mutants"
check "is the same with the same seed" 0 '^caught 6 of 6$' --seed 7
if [[ $(grep -o '^ok [0-9]* .' "$work/out") == "$first" &&
      $(awk '{ print $3 }' <<<"$first" | tr -d '\n') != abcdef ]]; then
	pass "and another than that of the names"
else
	fail "and another than that of the names"
fi

if "$TOP/tests/mutate" --check --tree "$KERNEL" >"$work/out" 2>&1; then
	pass "the mutants of this project apply"
else
	grep -v '^ok' "$work/out" | sed 's/^/# /'
	fail "the mutants of this project apply"
fi
finish
