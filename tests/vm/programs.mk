# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# The programs that run in the virtual machine: $(BIN)/NAME, static. To be
# included by a Makefile, or used by itself:
#	make -f tests/vm/programs.mk

PROGRAMS_TOP := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))/../..)
BIN ?= $(PROGRAMS_TOP)/build/bin
PROGRAMS_VM := $(PROGRAMS_TOP)/tests/vm
PROGRAMS_TORTURE := $(PROGRAMS_TOP)/tests/torture

VM_TESTS := ioctl engine reports backup swapoff swapfull noswap memcg prime dumb pressure fault restore race hibernate policy nofit spinner tmpfs zswap swapout vram gpus
TORTURE_TESTS := torture nth fuzz
VM_PROGRAMS := $(VM_TESTS:%=$(BIN)/test-%) $(TORTURE_TESTS:%=$(BIN)/test-%) \
	$(BIN)/demo $(BIN)/bench-cost $(BIN)/bench-behave

PROGRAMS_CFLAGS := -std=gnu11 -O2 -g -Wall -Wextra -D_GNU_SOURCE \
	-I$(PROGRAMS_VM) -I$(PROGRAMS_TORTURE) -I$(PROGRAMS_TOP)/kernel/include/uapi/drm \
	$(shell pkg-config --cflags libdrm 2>/dev/null || echo -I/usr/include/libdrm)
PROGRAMS_HEADERS := $(wildcard $(PROGRAMS_VM)/*.h $(PROGRAMS_TORTURE)/*.h) \
	$(PROGRAMS_TOP)/kernel/include/uapi/drm/vttm_drm.h

.PHONY: programs
programs: $(VM_PROGRAMS)

define program_build
	@mkdir -p $(BIN)
	$(CC) $(PROGRAMS_CFLAGS) -static -o $@ $(filter %.c,$^) -ldrm -lm
endef

$(BIN)/test-%: $(PROGRAMS_VM)/%.c $(PROGRAMS_VM)/vttm_util.c \
		$(PROGRAMS_VM)/ktap.c $(PROGRAMS_VM)/fixture.c $(PROGRAMS_HEADERS)
	$(program_build)

$(TORTURE_TESTS:%=$(BIN)/test-%): $(BIN)/test-%: $(PROGRAMS_TORTURE)/%.c \
		$(PROGRAMS_TORTURE)/model.c $(PROGRAMS_TORTURE)/balance.c \
		$(PROGRAMS_TORTURE)/inject.c $(PROGRAMS_VM)/vttm_util.c \
		$(PROGRAMS_VM)/ktap.c $(PROGRAMS_VM)/fixture.c $(PROGRAMS_HEADERS)
	$(program_build)

$(BIN)/demo: $(PROGRAMS_TOP)/demo/demo.c $(PROGRAMS_VM)/vttm_util.c $(PROGRAMS_HEADERS)
	$(program_build)

$(BIN)/bench-%: $(PROGRAMS_TOP)/bench/%.c $(PROGRAMS_TOP)/bench/bench.c $(PROGRAMS_VM)/vttm_util.c \
		$(PROGRAMS_HEADERS) $(PROGRAMS_TOP)/bench/bench.h
	$(program_build)
