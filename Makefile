# vmlab's commands for people and for CI. `make demo` and `make test` do everything on a fresh machine.

SHELL := /bin/bash
export SWIFT ?= swift
# A release build is what people run; tests are built for debugging.
VMLAB := .build/release/vmlab

# The JSON Schema test's validator and the benchmarks' rival come from PyPI, in a folder of their own.
PYTHON := $(CURDIR)/.build/python/bin/python3

# Debian packages: libraries to build with, programs to run and build images with, and what the tests look on with.
PACKAGES := liblua5.4-dev libyaml-dev libedit-dev libpcre2-dev nettle-dev pkg-config \
	qemu-system-x86 qemu-utils cpio lz4 zstd xz-utils gzip util-linux squashfs-tools gcc libc6-dev binutils \
	busybox-static kmod e2fsprogs passt ovmf mtools mmdebstrap curl openssl libxml2-utils acpica-tools python3 python3-venv

.PHONY: demo nested test test-nested build guests check bench fuzz format lint deps clean

demo: build ## builds everything and runs a real lab of Linux and Windows-like guests
	$(VMLAB) run Labs/quickstart/lab.yaml

nested: build ## runs labs inside a guest that has a /dev/kvm like hardware's, on any host
	Labs/nested-kvm/build-disk
	$(VMLAB) run Labs/nested-kvm/lab.yaml

build: deps ## builds the release binary
	$(SWIFT) build -c release --product vmlab
	$(SWIFT) build -c release --product vmlab-vmm

guests: deps ## builds the freestanding test guests in .build/guests
	Tests/Guests/build

# Unit tests first: a few at a time, since all at once would wait for each other's turn past their deadlines; those that use up
# processors, count threads or look at the process's memory are alone. Then the inputs of real use, and then the tests that boot
# guests, one at a time, with the nested lab beside them. `Tests/repeat` does it all again and again on a busy machine.
ALONE := MicroVMTests|MachineMonitorTests|LuaRuntimeTests|CostTests|PatternsTests.BoundTests|finishedTasksAreOnDisk
test: export VMLAB_TEST_PYTHON = $(PYTHON)
test: deps guests $(PYTHON) ## builds and runs every test, the ones that boot guests too
	$(SWIFT) build --build-tests
	SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=8 Scripts/swift-test --skip-build --skip '^LabTests|$(ALONE)'
	Scripts/swift-test --skip-build --no-parallel --filter '$(ALONE)'
	.build/debug/vmlab images build
	VMLAB_BIN=.build/debug Tests/Field/run --quick --jobs 2 --time-factor 3
	VMLAB_BIN=.build/debug Labs/nested-kvm/build-disk
	Scripts/swift-test --skip-build --filter '^LabTests'

test-nested: deps ## builds, then tests the built-in backend against real guests in a nested guest
	$(SWIFT) build --build-tests
	VMLAB_BIN=.build/debug Labs/nested-kvm/build-disk
	Scripts/swift-test --skip-build --filter NestedTests

check: lint ## formatting, warnings as errors, the layers of imports
	$(SWIFT) build --build-tests
	Scripts/swift-test --skip-build --filter ArchitectureTests

bench: build $(PYTHON) ## prints ratios against named baselines
	$(PYTHON) Benchmarks/run

# Seconds of each target.
FUZZ_SECONDS ?= 60

fuzz: ## feeds hostile guests and kernel files to the machine's devices and boot loader
	for target in $$(ls Fuzz/Targets); do Fuzz/run $$target $(FUZZ_SECONDS) || exit 1; done

format: ## rewrites sources in the project's format
	$(SWIFT) format --in-place --recursive Package.swift Sources Tests Fuzz/Package.swift Fuzz/Support Fuzz/Targets

lint: ## fails on sources that are not in the project's format
	$(SWIFT) format lint --strict --recursive Package.swift Sources Tests Fuzz/Package.swift Fuzz/Support Fuzz/Targets

$(PYTHON): Tests/requirements.txt
	python3 -m venv .build/python
	.build/python/bin/pip install --quiet --requirement Tests/requirements.txt
	touch $@

deps: .build/deps-installed

# Installs what is missing, with sudo when we are not root; asks nothing when all is there.
.build/deps-installed: Makefile
	@mkdir -p .build
	Scripts/install-packages $(PACKAGES)
	@touch $@

clean: ## removes what was built here; images stay in the cache (`vmlab images rm`)
	rm -rf .build results
