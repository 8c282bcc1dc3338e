# The front door. Everything else is CMake: see CMakePresets.json.
.PHONY: all build program setup demo test bench compare modes install format lint clean
PRESET ?= release
PREFIX ?= /usr/local
JOBS ?= $(shell getconf _NPROCESSORS_ONLN)

all: build

build: setup
	@cmake --preset $(PRESET) -Wno-dev >/dev/null
	@cmake --build --preset $(PRESET) -j $(JOBS)

# What people run, without the tests.
program: setup
	@cmake --preset $(PRESET) -Wno-dev >/dev/null
	@cmake --build --preset $(PRESET) -j $(JOBS) --target anemone

setup:
	@scripts/setup

demo: program
	@scripts/demo build/$(PRESET)/anemone

test: build
	@ctest --preset $(PRESET) -j $(JOBS)

bench: build
	@scripts/bench build/$(PRESET)/anemone

compare: build
	@scripts/compare build/$(PRESET)/anemone

modes: build
	@scripts/modes build/$(PRESET)/anemone

install: build
	@cmake --install build/$(PRESET) --prefix $(PREFIX)

format:
	@scripts/lint --fix

lint:
	@scripts/lint

clean:
	rm -rf build
