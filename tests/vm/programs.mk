# SPDX-License-Identifier: GPL-2.0 OR MIT
#
# The programs that run in the virtual machine: $(BIN)/NAME, static. To be
# included by a Makefile, or used by itself:
#	make -f tests/vm/programs.mk
# With BIN=build/bin-arm64, or that and -16k or -64k, they are for arm64 and its larger
# pages; with BIN=build/bin-i386, for 32-bit x86.

PROGRAMS_TOP := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))/../..)
BIN ?= $(PROGRAMS_TOP)/build/bin
ifneq ($(filter bin-arm64%,$(notdir $(BIN))),)
PROGRAMS_CC := aarch64-linux-gnu-gcc
PROGRAMS_LDFLAGS := -L$(shell $(PROGRAMS_TOP)/tools/fetch-binaries arm64)
PROGRAMS_PAGE := $(if $(filter %-16k,$(BIN)),-DPAGE=16384UL,$(if $(filter %-64k,$(BIN)),-DPAGE=65536UL))
else ifeq ($(notdir $(BIN)),bin-i386)
PROGRAMS_CC := i686-linux-gnu-gcc
PROGRAMS_LDFLAGS := -L$(shell $(PROGRAMS_TOP)/tools/fetch-binaries i386)
# off_t, as sizes of buffers are
PROGRAMS_WIDTH := -D_FILE_OFFSET_BITS=64
else
PROGRAMS_CC := $(CC)
endif
PROGRAMS_LIB := $(PROGRAMS_TOP)/lib
PROGRAMS_VM := $(PROGRAMS_TOP)/tests/vm
PROGRAMS_TORTURE := $(PROGRAMS_TOP)/tests/torture
PROGRAMS_BENCH := $(PROGRAMS_TOP)/bench

VM_TESTS := ioctl engine reports backup swapoff swapfull noswap memcg prime dumb pressure fault restore dma32 race hibernate policy nofit spinner tmpfs swapfile zswap swapout vram gpus liveupdate udmabuf
ifeq ($(notdir $(BIN)),bin-i386)
# live update is not for 32 bits, nor is the system call that it begins with
VM_TESTS := $(filter-out liveupdate,$(VM_TESTS))
endif
TORTURE_TESTS := torture nth fuzz
VM_PROGRAMS := $(VM_TESTS:%=$(BIN)/test-%) $(TORTURE_TESTS:%=$(BIN)/test-%) \
	$(BIN)/demo $(BIN)/bench-cost $(BIN)/bench-behave

PROGRAMS_CFLAGS := -std=gnu11 -O2 -g -Wall -Wextra -D_GNU_SOURCE $(PROGRAMS_PAGE) $(PROGRAMS_WIDTH) \
	-I$(PROGRAMS_LIB) -I$(PROGRAMS_VM) -I$(PROGRAMS_TORTURE) -I$(PROGRAMS_BENCH) \
	-I$(PROGRAMS_TOP)/kernel/include/uapi/drm \
	$(shell pkg-config --cflags libdrm 2>/dev/null || echo -I/usr/include/libdrm)
PROGRAMS_HEADERS := $(wildcard $(PROGRAMS_LIB)/*.h $(PROGRAMS_VM)/*.h $(PROGRAMS_TORTURE)/*.h) \
	$(PROGRAMS_TOP)/kernel/include/uapi/drm/vttm_drm.h
BENCH_HEADERS := $(PROGRAMS_BENCH)/bench.h $(PROGRAMS_BENCH)/behave/behave.h

# What several programs are made of is compiled once
LIB_OBJECTS := $(patsubst $(PROGRAMS_LIB)/%.c,$(BIN)/lib/%.o,$(wildcard $(PROGRAMS_LIB)/*.c))
FIXTURE := $(BIN)/lib/fixture.o $(BIN)/lib/direct_map.o
MODEL := $(patsubst %,$(BIN)/lib/%.o,model balance inject)
ENGINE := $(patsubst %,$(BIN)/lib/%.o,engine_charge engine_reclaim)
PRIME := $(patsubst %,$(BIN)/lib/%.o,prime_fence prime_file prime_race)
REPORTS := $(patsubst %,$(BIN)/lib/%.o,reports_desktop reports_memory reports_process)
BEHAVE := $(patsubst $(PROGRAMS_BENCH)/behave/%.c,$(BIN)/lib/%.o,$(wildcard $(PROGRAMS_BENCH)/behave/*.c))

.PHONY: programs
programs: $(VM_PROGRAMS)

define program_build
	@mkdir -p $(BIN)
	$(PROGRAMS_CC) $(PROGRAMS_CFLAGS) -static -o $@ $(filter %.c %.o,$^) $(PROGRAMS_LDFLAGS) -ldrm -lm
endef

define object_build
	@mkdir -p $(@D)
	$(PROGRAMS_CC) $(PROGRAMS_CFLAGS) -c -o $@ $<
endef

$(BIN)/lib/%.o: $(PROGRAMS_LIB)/%.c $(PROGRAMS_HEADERS)
	$(object_build)

$(BIN)/lib/%.o: $(PROGRAMS_VM)/%.c $(PROGRAMS_HEADERS)
	$(object_build)

$(BIN)/lib/%.o: $(PROGRAMS_TORTURE)/%.c $(PROGRAMS_HEADERS)
	$(object_build)

$(BIN)/test-engine: $(ENGINE)
$(BIN)/test-prime: $(PRIME)
$(BIN)/test-reports: $(REPORTS)

$(BIN)/test-%: $(PROGRAMS_VM)/%.c $(FIXTURE) $(LIB_OBJECTS) $(PROGRAMS_HEADERS)
	$(program_build)

$(BIN)/test-torture: $(patsubst %,$(BIN)/lib/%.o,worker disturb)

$(TORTURE_TESTS:%=$(BIN)/test-%): $(BIN)/test-%: $(PROGRAMS_TORTURE)/%.c $(MODEL) \
		$(FIXTURE) $(LIB_OBJECTS) $(PROGRAMS_HEADERS)
	$(program_build)

$(BIN)/demo: $(PROGRAMS_TOP)/demo/demo.c $(LIB_OBJECTS) $(PROGRAMS_HEADERS)
	$(program_build)

$(BIN)/lib/%.o: $(PROGRAMS_BENCH)/%.c $(PROGRAMS_HEADERS) $(BENCH_HEADERS)
	$(object_build)

$(BIN)/lib/%.o: $(PROGRAMS_BENCH)/behave/%.c $(PROGRAMS_HEADERS) $(BENCH_HEADERS)
	$(object_build)

$(BIN)/bench-behave: $(BEHAVE)

$(BIN)/bench-%: $(PROGRAMS_BENCH)/%.c $(BIN)/lib/bench.o $(LIB_OBJECTS) \
		$(PROGRAMS_HEADERS) $(BENCH_HEADERS)
	$(program_build)

# kept: they would be taken for intermediate files
.SECONDARY: $(LIB_OBJECTS) $(FIXTURE) $(MODEL) $(ENGINE) $(PRIME) $(REPORTS) $(BEHAVE) \
	$(patsubst %,$(BIN)/lib/%.o,bench worker disturb)
