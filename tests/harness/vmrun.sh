#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What vm/run promises: exit statuses, arguments, files, swap, exact time.

set -uo pipefail
# shellcheck source=tests/harness/ktap.bash
. "$(dirname "$0")/ktap.bash"
KERNEL=${KERNEL:-$BUILD/linux-test}

# boot [OPTION]... -- COMMAND...: a machine, or what is in its place
into=$work
boot()
{
	status=0
	"$TOP/vm/run" --kernel "$KERNEL" --timeout 120 "$@" >"$into/out" 2>"$into/err" </dev/null ||
		status=$?
}

# gave STATUS PATTERN NAME: that is how the last one ended, and what it said
gave()
{
	if [[ $status == "$1" ]] &&
	   { [[ -z $2 ]] || grep -qE -- "$2" "$work/out" "$work/err"; }; then
		pass "$3"
	else
		sed 's/^/# /' "$work/out" "$work/err" | tail -n 20
		echo "# exit status $status, wanted: $1, /$2/"
		fail "$3"
	fi
}

# run STATUS PATTERN NAME [OPTION]... -- COMMAND...: one that is asked for one thing
run()
{
	local want=$1 pattern=$2 name=$3

	shift 3
	boot "$@"
	gave "$want" "$pattern" "$name"
}

echo "KTAP version 1"
# Under --icount twice the same, which takes longer than all the others, so these come
# meanwhile
for i in 1 2; do
	mkdir "$work/$i"
	{
		# shellcheck disable=SC2016	# for the shell over there
		into=$work/$i boot --timeout 300 --icount --swap zram -- sh -c '
			cat /proc/swaps
			dd if=/dev/zero of=/tmp/x bs=1M count=50 2>/dev/null
			awk "/^now at/ { print \"time: \" \$3 }" /proc/timer_list
			kill -9 $$'
		echo "$status" >"$work/$i/status"
	} &
done

# Nearly all of the time is that of booting, so a machine shows all that fits in it
cat >"$work/script" <<'EOF'
#!/bin/sh
printf 'arguments: '
printf '[%s]' "$@"
printf '\nfile: '
cat /data/passwd
echo "program: $(/usr/bin/env getent passwd root)"
echo "processors: $(nproc)"
cat /proc/swaps /proc/cmdline /proc/meminfo
exit 3
EOF
chmod +x "$work/script"
# shellcheck disable=SC2016	# $x is to arrive as it is
boot --file /etc/passwd:/data/ --file /usr/bin/getent --file /etc/passwd:/etc/passwd \
	--swap disk --swap-size 64M --cpus 3 --mem 256M --append 'ttm.test=1' -- \
	"$work/script" 'a  b' '$x' '' '*'
# shellcheck disable=SC2016
gave 3 '^arguments: \[a  b\]\[\$x\]\[\]\[\*\]$' "arguments arrive as they are"
gave 3 '' "the exit status is the command's"
gave 3 '^file: root:' "files and a command of the host are taken along"
gave 3 '^program: root:' "a program with shared libraries is taken along with them"
gave 3 '^/dev/vda +partition.*65532' "swap on a disk, of a size"
gave 3 '^processors: 3$' "processors"
gave 3 '^MemTotal: +2[0-9]{5} ' "memory"
gave 3 'ttm.test=1' "the command line"

boot --swap file --swap-size 64M --stop-at '\] enough$' -- \
	sh -c 'cat /proc/swaps; echo enough >/dev/kmsg; sleep 1000'
gave 123 'ended at: .* enough$' "a line of the log that ends it"
gave 123 '^/swap/file +file.*65532' "swap to a file, of a size"

# is_core NAME: what was kept is the memory of a machine
is_core()
{
	if readelf -h "$work/core" 2>/dev/null | grep -q 'CORE'; then pass "$1"; else fail "$1"; fi
}
boot --mem 128M --vmcore "$work/core" -- sh -c '
	echo "marker $$" >/dev/kmsg
	echo PANIC >/sys/kernel/debug/provoke-crash/DIRECT'
gave 125 '^vm/run: memory of the machine: .*/core$' "a kernel that panics has its memory kept"
gave 125 'Kernel panic - not syncing: dumptest' "and its log shown"
is_core "in a core file"
if grep -qa 'marker [0-9]' "$work/core"; then pass "with all that was in it"; else fail "with all that was in it"; fi
# Again with more time where the host is so busy that it does not get to its command. What it
# says is in its memory: nobody may be left to write it to the console.
for seconds in 20 60 180; do
	boot --mem 128M --cpus 1 --timeout $seconds --vmcore "$work/core" -- \
		sh -c 'echo HARDLOCKUP >/sys/kernel/debug/provoke-crash/DIRECT'
	! grep -qa 'direct entry HARDLOCKUP' "$work/core" || break
done
if grep -qa 'direct entry HARDLOCKUP' "$work/core"; then
	pass "a kernel that hangs has got to where it does"
else
	fail "a kernel that hangs has got to where it does"
fi
gave 124 '^vm/run: memory of the machine: .*/core$' "and has its memory kept as well"
is_core "in a core file, too"
run 126 "^vm/run: --vmcore: cannot write $work/no/core$" "memory that cannot be kept" \
	--vmcore "$work/no/core" -- true
run 126 "^vm/run: --vmcore: not with --interactive or --gdb$" "or that is looked at by a debugger" \
	--vmcore "$work/core" --gdb -- true

run 126 "^vm/run: --swap: 'paper' is not zram, disk, file or none$" "swap of a kind that there is not" \
	--swap paper -- true

# A kernel that warns and kills, where both is expected
boot --mem 128M --expect-warn lkdtm_WARNING --allow-oom --log "$work/log" -- sh -c '
	grep /dev /proc/swaps
	echo "grep: $?"
	echo WARNING >/sys/kernel/debug/provoke-crash/DIRECT
	echo warned
	tail /dev/zero
	echo killed'
gave 0 '^grep: 1$' "no swap"
gave 0 '^warned$' "a WARN that is expected"
gave 0 '^killed$' "a process that may be killed for lack of memory"

wait
for i in 1 2; do
	cp "$work/$i"/{out,err} "$work/"
	status=$(cat "$work/$i/status")
	gave 137 'killed by signal 9' "a signal is told, machine $i"
	gave 137 '^/dev/zram0 +partition' "swap in zram, machine $i"
done
# up to interrupts' effects
if awk '!/^time: / { next }
	NR == FNR { a = $2; next }
	{ d = $2 - a; same = a > 0 && d * d <= (a / 1000) ^ 2 }
	END { exit !same }' "$work/1/out" "$work/2/out"; then
	pass "guest time is the same to 1 in 1000 under --icount"
else
	sed 's/^/# /' "$work"/[12]/out
	fail "guest time is the same to 1 in 1000 under --icount"
fi

# From here on QEMU is a script. Asked whether a guest runs under KVM, it ends as if one
# did ($KVM), or not. Otherwise it hangs, says what the kernel above has said, or keeps
# what it was started with ($QEMU).
mkdir "$work/bin"
cat >"$work/bin/qemu-system-x86_64" <<EOF
#!/bin/sh
case "\$*" in *isa-debug-exit*) echo >>$work/probes; exit \$KVM ;; esac
echo "\$*" >$work/qemu
case \$QEMU in
hangs) exec sleep 1000 ;;
speaks) ;;
*) exit 1 ;;
esac
for arg; do
	case \$arg in
	file,id=log,path=*) cat $work/log >"\${arg##*=}" ;;
	file,id=output,path=*) echo a >"\${arg##*=}" ;;
	file,id=verdict,path=*) echo exit 0 >"\${arg##*=}" ;;
	esac
done
EOF
chmod +x "$work/bin/qemu-system-x86_64"
# stub HOW STATUS PATTERN NAME [OPTION]... -- COMMAND...: what that makes of it
stub()
{
	local how=$1

	shift
	QEMU=$how VM_ACCEL=tcg PATH=$work/bin:$PATH run "$@"
}
warn=(--expect-warn lkdtm_WARNING)
stub hangs 124 'no end after 2 s' "a machine without an end" --timeout 2 -- true
stub speaks 0 '^a$' "the same log once more" "${warn[@]}" --allow-oom -- true
stub speaks 0 '^a$' "a kernel that is sound" "${warn[@]}" --allow-oom --vmcore "$work/core" -- true
if [[ -e $work/core ]]; then fail "has no memory kept"; else pass "has no memory kept"; fi
stub speaks 125 'lkdtm_WARNING' "a WARN other than the expected one" --expect-warn ttm_ --allow-oom -- true
stub speaks 125 'lkdtm_WARNING' "a WARN where none is expected" --allow-oom -- true
echo ttm_tt_populate >"$work/functions"
stub speaks 125 'lkdtm_WARNING' "a WARN where data races are expected" --races "$work/functions" --allow-oom -- true
run 126 "^vm/run: --races: no functions in $work/no$" "data races of nobody" --races "$work/no" -- true
stub speaks 125 'Out of memory: Killed process' "a process that is killed for lack of memory" "${warn[@]}" -- true

# Which accelerator and GPU it is started with
copy=$work/copy
mkdir "$copy"
cp -r "$TOP/tools" "$TOP/vm" "$copy/"
# accel NAME PATTERN KVM [OPTION]...: how QEMU is started
accel()
{
	local name=$1 pattern=$2 kvm=$3
	shift 3
	rm -f "$work/qemu"
	KVM=$kvm PATH=$work/bin:$PATH "$copy/vm/run" --kernel "$KERNEL" "$@" -- true \
		>"$work/out" 2>"$work/err" </dev/null
	if grep -qE -- "$pattern" "$work/qemu"; then
		pass "$name"
	else
		sed 's/^/# /' "$work/qemu" "$work/err"
		fail "$name"
	fi
}
rm -f "$work/probes"
accel "KVM where a guest runs under it" '-accel kvm .*-cpu host' 33
accel "and once more" '-accel kvm ' 33
if [[ $(wc -l <"$work/probes") == 1 ]]; then
	pass "which is tried once"
else
	fail "which is tried once"
fi
accel "no KVM with --icount" '-accel tcg -icount' 33 --icount
accel "nor with --accel tcg" '-accel tcg,thread=multi' 33 --accel tcg
VM_ACCEL=tcg accel "nor where the environment says so" '-accel tcg,' 33
if grep -q -e -vga "$work/qemu"; then
	fail "no GPU unless it is asked for"
else
	pass "no GPU unless it is asked for"
fi
accel "qxl" ' -device qxl-vga,' 33 --gpu qxl
accel "radeon" ' -device ati-vga,model=rv100,' 33 --gpu radeon
run 126 "^vm/run: --gpu: 'voodoo' is not qxl or radeon$" "a GPU that there is not" --gpu voodoo -- true
accel "--numa: processors" '-smp 8,' 33 --numa
accel "--numa: memory of nodes" \
	'id=near,size=257M .*id=next,size=128M .*memdev=near,cpus=0-2,.*nodeid=2,cpus=6-7 .*nodeid=3,memdev=far,' \
	33 --numa --mem 513M
accel "--numa: what is far and slow" \
	'dist,src=0,dst=3,val=60 .*initiator=0,target=3,hierarchy=memory,data-type=access-latency,latency=60 ' \
	33 --numa
accel "--gdb waits" '-S -gdb tcp:127.0.0.1:1234 .*nokaslr' 33 --gdb
rm "$copy/build/vm-kvm"
accel "emulation where no guest ends" '-accel tcg,thread=multi .*-cpu max' 124
rm "$copy/build/vm-kvm"
accel "or QEMU refuses" '-accel tcg,thread=multi' 1
# A disk with a system on it, from a directory with a blank in its path
spaced="$work/a copy"
mkdir -p "$spaced" "$work/system/"{boot,etc/systemd/system}
cp -r "$TOP/tools" "$TOP/vm" "$spaced/"
for file in vmlinuz initrd.img; do echo "$file" >"$work/system/boot/$file-7.3.4"; done
truncate -s 8M "$work/a disk"
PATH=$PATH:/usr/sbin:/sbin mke2fs -q -F -d "$work/system" "$work/a disk" >"$work/out" 2>&1
rm -f "$work/qemu"
PATH=$work/bin:$PATH "$spaced/vm/run" --accel tcg --root "$work/a disk" --kernel 7.3.4 -- true \
	>"$work/out" 2>"$work/err" </dev/null
if grep -qE -- "-kernel $spaced/build/.*/kernel .*file=$work/a disk," "$work/qemu"; then
	pass "a system is booted wherever this project and the disk are"
else
	sed 's/^/# /' "$work/out" "$work/err"
	fail "a system is booted wherever this project and the disk are"
fi
run 126 "^vm/run: --icount counts what is emulated" "KVM cannot count" --icount --accel kvm -- true
run 126 "^vm/run: --accel: 'xen' is not" "an accelerator that there is not" --accel xen -- true
# the sector that tells whether a guest runs does so, if it can
sed -n '/^boot_sector()/,/^}/p' "$TOP/vm/run" >"$work/sector.sh"
bash -c '. "$1"; boot_sector' sh "$work/sector.sh" >"$work/sector"
status=0
timeout 60 qemu-system-x86_64 -nodefaults -no-user-config -display none -machine pc \
	-accel tcg -m 16M -no-reboot -device isa-debug-exit,iobase=0xf4,iosize=1 \
	-drive "file=$work/sector,format=raw,if=ide" </dev/null >"$work/out" 2>&1 || status=$?
if [[ $status == 33 && $(stat -c %s "$work/sector") == 512 ]]; then
	pass "a guest that runs is seen"
else
	sed 's/^/# /' "$work/out"
	echo "# exit status $status"
	fail "a guest that runs is seen"
fi
finish
