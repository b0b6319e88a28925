# Postrider's commands. They set up what a fresh Debian with Rust needs, and respect CARGO_TARGET_DIR.

.DEFAULT_GOAL := help
.PHONY: help demo test bench chaos soak lint format

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

demo: ## See deliveries in a minute: an engine with a sample receiver and sample events
	@scripts/prepare engine
	@echo "Building: a few minutes the first time."
	@cargo build --locked
	@cargo run --locked --quiet -- demo

test: ## Everything: format, lints, docs, both databases, end to end
	@scripts/prepare engine tests
	@scripts/test all

RUNS ?= 3
bench: ## What a delivery costs: CPU, latency, memory, on both databases, RUNS times (ARGS=--help)
	@scripts/prepare engine tests
	@echo "Building the optimised engine: some minutes the first time." >&2
	@cargo test --release --locked --quiet --test bench -- --runs $(RUNS) $(ARGS)

chaos: ## A bad day, with numbers: dead endpoints, crashes, overload, a million owed (ARGS=--help)
	@scripts/prepare engine tests
	@echo "Building the optimised engine: some minutes the first time."
	@cargo test --release --locked --quiet --test chaos -- $(ARGS)

SECONDS ?= 3600
soak: ## The storm of crashes for SECONDS (3600 by default) on each database
	@scripts/prepare engine tests
	@echo "Building the optimised engine: some minutes the first time."
	@cargo test --release --locked --quiet --test chaos -- storm --seconds $(SECONDS) $(ARGS)

lint: ## Format, lints and docs only
	@scripts/prepare engine
	@scripts/test lint

format: ## Format the code
	cargo fmt
