# make help lists the targets.

# Where `make run` listens, and how long a demo archive it makes when no archive is configured.
LISTEN ?= 127.0.0.1:8000
DEMO_MINUTES ?= 2

# rustup's cargo before the distribution's, which may be too old.
export PATH := $(or $(CARGO_HOME),$(HOME)/.cargo)/bin:$(PATH)
TARGET := $(or $(CARGO_TARGET_DIR),target)
MOVIOLA := $(or $(CARGO_TARGET_DIR),target)/release/moviola
SHELL := /bin/bash

.DEFAULT_GOAL := help
.PHONY: help run test page golden matrix soak bench prepare

help: ## this list
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18
	@echo
	@echo '  LISTEN=127.0.0.1:8000  MOVIOLA_ARCHIVE=DIR  DEMO_MINUTES=2  CARGO_TARGET_DIR=target  NO_INSTALL=1'

run: ## build and serve MOVIOLA_ARCHIVE, or a demo archive made in ./demo
	@scripts/prepare.sh build
	@$(MAKE) --no-print-directory page
	@cargo build --release --locked
	@if [ -z "$$MOVIOLA_ARCHIVE" ] && [ ! -d demo ]; then \
	    rm -rf demo.part && \
	    "$(MOVIOLA)" demo --minutes $(DEMO_MINUTES) demo.part && \
	    mv demo.part demo || exit 1; \
	fi; \
	exec "$(MOVIOLA)" serve --archive "$${MOVIOLA_ARCHIVE:-demo}" --listen "$(LISTEN)"

# Clippy as the compiler of the tests, with warnings denied: what is linted is also run, and dependencies are built once for
# both. cargo-clippy hands over its arguments in the same way.
LINTED := RUSTC_WORKSPACE_WRAPPER=clippy-driver CLIPPY_ARGS=-D__CLIPPY_HACKERY__warnings

test: ## format, lints, all tests, the page in a browser
	@scripts/prepare.sh test
	@$(MAKE) --no-print-directory page
	cargo fmt --check
	$(LINTED) cargo test --locked --no-run --all-targets
	$(LINTED) cargo test --locked
	cd web && npm run --silent unit
	@browser="$${CHROMIUM:-$$(command -v chromium)}"; \
	if [ -z "$$browser" ]; then echo 'no Chromium: the page was not tried in a browser; set CHROMIUM to one'; exit 0; fi; \
	cd web && CARGO_TARGET_DIR="$(abspath $(TARGET))" CHROMIUM="$$browser" npm run --silent e2e

# Built anew only where a source is newer, so that the binary is not linked again for nothing.
PAGE := $(shell find web/src web/public web/index.html web/package.json web/package-lock.json web/tsconfig.json web/vite.config.ts -type f 2>/dev/null)

page: ## the editor page, into web/dist
	@if scripts/prepare.sh page; then $(MAKE) --no-print-directory web/dist/index.html; \
	else echo 'no Node.js 18 or later with npm: nothing is built of the page'; fi

web/dist/index.html: $(PAGE) web/node_modules/.package-lock.json
	@cd web && npm run --silent build

web/node_modules/.package-lock.json: web/package-lock.json
	@cd web && npm ci --no-audit --no-fund --loglevel=error && touch node_modules/.package-lock.json

golden: ## the whole comparison with the recorded server (makes its archive once: 15 minutes, 1.2 GB)
	@scripts/prepare.sh test
	MOVIOLA_GOLDEN=full cargo test --locked --release --test it golden:: -- --nocapture

# The second judge is a newer libav, where its Python wheel (av) is installed.
matrix: ## fifty random cuts of each synthesised source, judged by FFmpeg (half an hour)
	@scripts/prepare.sh test
	@python3 -c 'import av' 2>/dev/null && export MOVIOLA_MATRIX_JUDGE="$$PWD/scripts/judge.py"; \
	MOVIOLA_MATRIX_CUTS=$${MOVIOLA_MATRIX_CUTS:-50} cargo test --locked --release --test it matrix:: -- --nocapture

soak: ## a day of a recorded source by a clock that leaps, with a look at memory (minutes)
	@scripts/prepare.sh test
	MOVIOLA_SOAK_MINUTES=$${MOVIOLA_SOAK_MINUTES:-1440} cargo test --locked --release --test it live::soak -- --nocapture

# Each by itself: cargo bench --bench NAME, with words after -- for parts of it.
BENCHES := $(patsubst benches/%.rs,%,$(wildcard benches/*.rs))

bench: ## measure everything in benches/ (a quarter of an hour); figures are ratios to a named peer or limit
	@scripts/prepare.sh test
	@for bench in $(BENCHES); do printf '%s\t' "$$bench"; sed -n '1s|//! ||p' "benches/$$bench.rs"; done | expand -t 12
	cargo bench --locked --no-run
	@for bench in $(BENCHES); do printf '\n== %s\n' "$$bench"; cargo bench --locked --quiet --bench "$$bench" || exit 1; done

prepare: ## install what building and testing need (apt, rustup)
	@scripts/prepare.sh test
