# Two commands do all that a newcomer needs: `make demo` and `make test`.
BUILD ?= build
PRESET ?= release
DATA ?= $(CACHECTL_DATA)
JOBS ?= $(shell nproc)
export PATH := $(abspath $(BUILD))/bin:$(PATH)

.DEFAULT_GOAL := help
.PHONY: help setup configure build test demo experiment bench lint format asan clean

help:  ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## install the Debian and npm packages that are missing (asks for nothing)
	@scripts/setup.sh

$(BUILD)/build.ninja: CMakeLists.txt CMakePresets.json scripts/packages.txt | setup
	@cmake --preset $(PRESET) -B $(BUILD) -DCACHECTL_DATA=$(abspath $(DATA)) >$(BUILD).configure.log 2>&1 \
	  || { cat $(BUILD).configure.log; exit 1; }
	@mv $(BUILD).configure.log $(BUILD)/configure.log

configure: $(BUILD)/build.ninja

build: configure  ## set up, configure and build everything
	@cmake --build $(BUILD) -j $(JOBS)

# Tests run side by side: threads that wait must not spin.
test asan: export OMP_WAIT_POLICY = passive

test: build  ## run all tests (DATA=folder: also those on real data)
	@CACHECTL_DATA=$(abspath $(DATA)) ctest --test-dir $(BUILD) -j $(JOBS) --output-on-failure --no-tests=error

# Experiments run what was just built. Their own make gets no flags of this one: it would warn that
# there are no jobs to share, and with a + to share them, make -n would run the experiment.
demo experiment: export BIN = $(abspath $(BUILD))/bin

demo: build  ## the whole chain on the synthetic set, ending with its report
	@MAKEFLAGS= pipelines/demo.sh runs/demo

experiment: build  ## EXP=name DATA=folder [SEED=2]: an experiment of configs/, into runs/name[-seed2]
	@MAKEFLAGS= pipelines/run.sh configs/$(EXP).yaml runs/$(EXP)$(if $(SEED),-seed$(SEED)) \
	  $(if $(DATA),--data-root $(abspath $(DATA))) $(if $(SEED),--seed $(SEED)) $(FLAGS)

bench: configure  ## loading, learning, selection, engine... as JSON into runs/bench, on an idle machine (DATA=folder)
	@cmake -B $(BUILD) -DCACHECTL_BENCHMARKS=ON >/dev/null
	@cmake --build $(BUILD) -j $(JOBS)
	@BUILD=$(abspath $(BUILD)) benchmarks/run.sh runs/bench $(if $(DATA),$(abspath $(DATA)))

asan: setup  ## unit tests under the address and undefined-behaviour sanitizers
	@cmake --preset asan >/dev/null
	@cmake --build build-asan -j $(JOBS) --target unit-tests
	@ctest --test-dir build-asan -L unit -j $(JOBS) --output-on-failure --no-tests=error

lint: build  ## format check, headers that compile alone, clang-tidy on what changed
	@BUILD=$(BUILD) scripts/lint.sh

format:  ## format all sources in place
	@git ls-files '*.cpp' '*.h' | xargs clang-format -i

clean:  ## remove build folders (runs/ stays)
	@rm -rf build build-asan build-debug build-tsan
