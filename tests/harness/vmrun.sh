#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What vm/run promises: exit statuses, arguments, files, swap, exact time.

set -uo pipefail
# shellcheck source=tests/harness/ktap.bash
. "$(dirname "$0")/ktap.bash"
KERNEL=${KERNEL:-$BUILD/linux-test}

# run STATUS PATTERN NAME [OPTION]... -- COMMAND...
run()
{
	local want=$1 pattern=$2 name=$3 status=0
	shift 3
	"$TOP/vm/run" --kernel "$KERNEL" --timeout 120 "$@" >"$work/out" 2>"$work/err" </dev/null ||
		status=$?
	if [[ $status == "$want" ]] &&
	   { [[ -z $pattern ]] || grep -qE -- "$pattern" "$work/out" "$work/err"; }; then
		pass "$name"
	else
		sed 's/^/# /' "$work/out" "$work/err" | tail -n 20
		echo "# exit status $status, wanted: $want, /$pattern/"
		fail "$name"
	fi
}

echo "KTAP version 1"
run 0 '\[a  b\]\[\$x\]\[\]\[\*\]' "arguments arrive as they are" \
	-- printf '[%s]' 'a  b' '$x' '' '*'
run 3 '' "the exit status is the command's" -- sh -c 'exit 3'
run 137 'killed by signal 9' "a signal is told" -- sh -c 'kill -9 $$'
printf '#!/bin/sh\ncat /data/passwd\n' >"$work/script"
chmod +x "$work/script"
run 0 root: "files and a command of the host are taken along" \
	--file /etc/passwd:/data/ -- "$work/script"
run 0 root: "a program with shared libraries is taken along with them" \
	--file /usr/bin/getent --file /etc/passwd:/etc/passwd -- /usr/bin/env getent passwd root
run 0 '^/dev/zram0 +partition' "swap in zram" --swap zram -- cat /proc/swaps
run 0 '^/dev/vda +partition.*65532' "swap on a disk, of a size" \
	--swap disk --swap-size 64M -- cat /proc/swaps
run 0 '^/swap/file +file.*65532' "swap to a file, of a size" \
	--swap file --swap-size 64M -- cat /proc/swaps
run 126 "^vm/run: --swap: 'paper' is not zram, disk, file or none$" "swap of a kind that there is not" \
	--swap paper -- true
run 1 '' "no swap" -- grep /dev /proc/swaps
run 0 '^3$' "processors" --cpus 3 -- nproc
run 0 '^MemTotal: +2[0-9]{5} ' "memory" --mem 256M -- grep MemTotal /proc/meminfo
run 0 'ttm.test=1' "the command line" --append 'ttm.test=1' -- cat /proc/cmdline
run 124 'no end after 12 s' "a command without an end" --timeout 12 -- sleep 1000
run 123 'ended at: .* enough$' "a line of the log that ends it" --stop-at '\] enough$' -- \
	sh -c 'echo enough >/dev/kmsg; sleep 1000'
run 0 '^a$' "a WARN that is expected" --expect-warn 'lkdtm_WARNING' -- \
	sh -c 'echo WARNING >/sys/kernel/debug/provoke-crash/DIRECT; echo a'
run 125 'lkdtm_WARNING' "a WARN other than the expected one" --expect-warn 'ttm_' -- \
	sh -c 'echo WARNING >/sys/kernel/debug/provoke-crash/DIRECT; echo a'
run 125 'Out of memory: Killed process' "a process that is killed for lack of memory" --mem 128M -- \
	sh -c 'tail /dev/zero; echo a'
run 0 '^a$' "a process that may be killed for lack of memory" --mem 128M --allow-oom -- \
	sh -c 'tail /dev/zero; echo a'

# Which accelerator: QEMU is a script that ends as if a guest ran under KVM, or did
# not, and otherwise keeps what it was started with
copy=$work/copy
mkdir -p "$copy" "$work/bin"
cp -r "$TOP/tools" "$TOP/vm" "$copy/"
cat >"$work/bin/qemu-system-x86_64" <<EOF
#!/bin/sh
case "\$*" in *isa-debug-exit*) echo >>$work/probes; exit \$KVM ;; esac
echo "\$*" >$work/qemu
exit 1
EOF
chmod +x "$work/bin/qemu-system-x86_64"
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
accel "--gdb waits" '-S -gdb tcp:127.0.0.1:1234 .*nokaslr' 33 --gdb
rm "$copy/build/vm-kvm"
accel "emulation where no guest ends" '-accel tcg,thread=multi .*-cpu max' 124
rm "$copy/build/vm-kvm"
accel "or QEMU refuses" '-accel tcg,thread=multi' 1
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

# Guest time under --icount: the same work, up to interrupts' effects
for i in 1 2; do
	"$TOP/vm/run" --kernel "$KERNEL" --icount --swap zram -- sh -c '
		dd if=/dev/zero of=/tmp/x bs=1M count=50 2>/dev/null
		awk "/^now at/ { print \$3 }" /proc/timer_list' >"$work/$i" 2>&1
done
if awk 'NR == FNR { a = $1; next } { d = $1 - a; exit !(a > 0 && d * d <= (a / 1000) ^ 2) }' \
		"$work/1" "$work/2"; then
	pass "guest time is the same to 1 in 1000 under --icount"
else
	sed 's/^/# /' "$work/1" "$work/2"
	fail "guest time is the same to 1 in 1000 under --icount"
fi
finish
