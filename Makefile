# SPDX-License-Identifier: GPL-2.0-only
# Entry points of the project; "make help" lists them.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
export DEBUG
.SUFFIXES:

.PHONY: help
help:
	@echo 'make deps     install the Debian packages that all of this needs, as root'
	@echo 'make demo     fill more GPU memory than there is RAM, with and without copies'
	@echo 'make bench    what it costs, beside upstream: figures, docs/results.md and plots;'
	@echo '              QUICK=1 only sees that this works; ALTERNATIVES=1 measures what else'
	@echo '              could have been done, and makes docs/alternatives.md'
	@echo 'make test     run all tests; T=PATTERN runs those whose name matches;'
	@echo '              MACHINE=arm64 in machines of that kind, or arm64-16k, arm64-64k, i386'
	@echo '              JOBS=N runs that many machines side by side, not what fits'
	@echo 'make coverage which lines of ours the tests run; T=PATTERN, JOBS=N as for make test'
	@echo 'make torture  debug kernels, everything at random, allocations that fail:'
	@echo '              TIME=40m SEED=N PHASE="kasan lockdep kcsan fault variants swaps machines oom reports deb selftests mutate clauses"'
	@echo '              KERNEL="no-thp distro ..." of variants and machines only those'
	@echo
	@echo 'make kernel   the kernel of the demo (build/linux)'
	@echo 'make tree     its source only: pristine source, kernel/ and hooks/'
	@echo 'make shell    a shell in the virtual machine'
	@echo 'make deb      Debian packages of a kernel with the series (build/packages):'
	@echo '              CONFIG=debian|running|FILE TRIM=1 for only the modules in use'
	@echo 'make series   the kernel changes as mails, for git am and git send-email (build/series):'
	@echo '              V=2 RFC=1 BASE=COMMIT, DRAFT=1 where git does not know who you are'
	@echo 'make series-check  that each of them compiles and passes its tests by itself:'
	@echo '              FROM=N TO=M only those'
	@echo 'make style    checkpatch, sparse, W=1, coccinelle, kernel-doc, shellcheck'
	@echo 'make analyze  clang'"'"'s static analyzer on our files of the kernel, for some minutes'
	@echo 'make compile_commands.json  for clangd and the like'
	@echo 'make clean    remove what was built'
	@echo 'make distclean   and the kernel trees, and the source that was fetched'
	@echo
	@echo 'KERNEL_SRC=DIR   use that Linux 7.3.y tree instead of Debian'"'"'s source'
	@echo 'SHELL_ARGS=...   options of vm/run for make shell, such as --gdb'
	@echo 'DEBUG=1          kernels with debug information: lines in traces, for gdb, too'

# Only this target installs anything; the others say what is missing
.PHONY: deps need-deps
deps:
	@tools/deps --install style analyze series bench deb torture arm64 i386
need-deps:
	@tools/deps

.PHONY: tree tree-linux-test tree-pristine tree-alternatives tree-hibernate
tree: need-deps
	@tools/assemble linux
tree-linux-test: need-deps
	@tools/assemble linux-test
tree-pristine: need-deps
	@tools/assemble pristine
tree-alternatives: need-deps
	@tools/assemble alternatives
tree-hibernate: need-deps
	@tools/assemble hibernate-pristine
	@tools/assemble hibernate

.PHONY: kernel kernel-linux-test kernel-pristine kernel-alternatives kernel-hibernate
kernel: tree
	@tools/build-kernel linux
kernel-linux-test: tree-linux-test
	@tools/build-kernel linux-test
kernel-pristine: tree-pristine
	@tools/build-kernel pristine
kernel-alternatives: tree-alternatives
	@tools/build-kernel alternatives
kernel-hibernate: tree-hibernate
	@tools/build-kernel hibernate-pristine
	@tools/build-kernel hibernate

# The programs that run in the virtual machine come before the kernel: what does
# not compile should be said soon
.PHONY: programs
programs: need-deps
	@$(MAKE) -s -f tests/vm/programs.mk programs

.PHONY: demo
demo: programs kernel
	@demo/run $(DEMO_ARGS)

.PHONY: test
ifdef MACHINE
test:
	@tools/deps $(firstword $(subst -, ,$(MACHINE)))
	@$(MAKE) -s -f tests/vm/programs.mk BIN=build/bin-$(MACHINE) programs
	@tools/assemble $(MACHINE)
	@tools/build-kernel $(MACHINE)
	@tests/run --kernel build/$(MACHINE) --skips-ok --jobs '$(or $(JOBS),auto)' $(if $(T),'$(T)')
else
test: programs kernel-linux-test
	@tests/run --jobs '$(or $(JOBS),auto)' $(if $(T),'$(T)')
endif

.PHONY: coverage
coverage: programs
	@tools/assemble coverage
	@tools/build-kernel coverage
	@tools/coverage --jobs '$(or $(JOBS),auto)' $(if $(T),'$(T)')

# Builds the kernels that its phases need, which are not the test's
.PHONY: torture
torture: programs
	@tools/deps $(if $(filter variants,$(or $(PHASE),variants)),torture) \
		$(if $(filter machines,$(or $(PHASE),machines)),arm64 i386) \
		$(if $(filter deb,$(or $(PHASE),deb)),deb)
	@tests/torture/run $(if $(TIME),--time '$(TIME)') $(if $(SEED),--seed '$(SEED)') \
		$(foreach k,$(KERNEL),--kernel '$k') \
		$(foreach phase,$(PHASE),--phase '$(phase)')

# Figures of the quick mode are for nobody to cite, so they leave docs/ alone
.PHONY: bench
bench: programs
	@tools/deps bench
	@$(MAKE) kernel-pristine
	@$(MAKE) kernel
	@$(MAKE) $(if $(ALTERNATIVES),kernel-alternatives,kernel-hibernate)
	@bench/run $(if $(ALTERNATIVES),--alternatives) $(if $(QUICK),--quick)
	@bench/report $(if $(ALTERNATIVES),--alternatives) $(if $(QUICK),--quick)

.PHONY: shell
shell: programs kernel
	@vm/run --interactive --swap zram $(patsubst %,--file %,$(filter-out %/lib,$(wildcard build/bin/*))) \
		--append vttm.devices=1 $(SHELL_ARGS) -- sh -l

.PHONY: deb
deb: need-deps
	@tools/deps deb
	@tools/build-deb $(if $(CONFIG),--config '$(CONFIG)') $(if $(TRIM),--trim) \
		$(if $(LSMOD),--lsmod '$(LSMOD)')

.PHONY: series
series:
	@tools/deps series
	@tools/export-series $(if $(V),--version '$(V)') $(if $(RFC),--rfc) \
		$(if $(BASE),--base '$(BASE)') $(if $(DRAFT),--draft)

# Each patch for itself; takes about half an hour
.PHONY: series-check
series-check: need-deps
	@tools/deps series
	@tools/check-series $(if $(FROM),--from '$(FROM)') $(if $(TO),--to '$(TO)')

.PHONY: style
style: tree
	@tools/deps style
	@tools/style

.PHONY: analyze
analyze: need-deps
	@tools/deps analyze
	@tools/analyze

.PHONY: compile_commands.json
compile_commands.json: kernel
	@tools/compile-commands linux

.PHONY: clean
clean:
	@for tree in $$(bash -c '. tools/lib.sh; trees'); do \
		[ ! -f build/$$tree/Makefile ] || \
			$(MAKE) -s -C build/$$tree \
				ARCH=$$(bash -c '. tools/lib.sh; tree_arch $$1' - $$tree) clean || exit 1; \
	done
	@rm -rf build/bin build/bin-* build/results build/series build/packages build/vm-* build/*.log \
		build/*.objects build/.vm.* build/.assemble.*

.PHONY: distclean
distclean:
	@rm -rf build "$${XDG_CACHE_HOME:-$$HOME/.cache}/ttm-zerocopy"
