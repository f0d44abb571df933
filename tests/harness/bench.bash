# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# What the checks of the bench share: a copy of it, with kernels that nothing boots. What
# they put there as vm/run stands for the machines.

# shellcheck disable=SC2154 # ktap.bash has made this directory
copy=$work/copy
mkdir -p "$copy"/{vm,tests/vm,build/{linux,pristine,hibernate,hibernate-pristine}/include/config}
cp -r "$TOP"/{bench,tools} "$copy/"
for tree in linux pristine hibernate hibernate-pristine; do
	echo "$tree" | tee "$copy/build/$tree/vmlinux" >"$copy/build/$tree/.config"
	echo 7.3.4 >"$copy/build/$tree/include/config/kernel.release"
done
printf '%%/bench-cost %%/bench-behave:\n\t@:\n' >"$copy/tests/vm/programs.mk"
