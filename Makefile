# Works with GNU make 3.81 (macOS) and later. Needs nothing but Python 3.11 or newer.
# Words for the command itself go into ARGS: make test ARGS="tests/bridge -x", make demo ARGS=--once

.DEFAULT_GOAL := help
.PHONY: demo dev test chaos chaos-selftest lint types fmt bench lock environment hooks help

PYTHON := .venv/bin/python
ARGS :=
SEEDS := 1
FAULT := *
COMPILE := $(PYTHON) .ci/run_uv.py pip compile pyproject.toml --quiet --universal --generate-hashes --no-header --no-annotate $(ARGS)

demo: environment ## Start everything, send example events, show what arrives
	@exec $(PYTHON) -m tidings demo $(ARGS)

dev: environment ## Start everything and keep it running
	@exec $(PYTHON) -m tidings dev $(ARGS)

test: environment ## Run the tests (real servers; up to 18 minutes)
	@exec $(PYTHON) -m pytest $(ARGS)

chaos: environment ## Strike real processes under load and account for every event: make chaos SEEDS=3 FAULT='worker-*'
	@exec $(PYTHON) -m tests.chaos --seeds $(SEEDS) --fault '$(FAULT)' $(ARGS)

chaos-selftest: environment ## Take each safeguard out and see that the harness notices
	@exec $(PYTHON) -m tests.chaos.selftest $(ARGS)

lint: environment ## Check format, rules and layers
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	.venv/bin/lint-imports

types: environment ## Check types
	$(PYTHON) -m mypy

fmt: environment ## Format, and mend what can be mended
	$(PYTHON) -m ruff check --fix-only --quiet .
	$(PYTHON) -m ruff format .

bench: environment ## Run the benchmarks
	@for file in benchmarks/*.py; do \
		name=$$(basename "$$file" .py); \
		case "$$name" in _*) continue ;; esac; \
		echo "== $$name"; $(PYTHON) -m "benchmarks.$$name" $(ARGS) || exit 1; \
	done
	@echo "== campaign"; $(PYTHON) -m benchmarks.campaign $(ARGS)
	@echo "== isolation"; exec $(PYTHON) -m benchmarks.isolation --scale 0.1 $(ARGS)

lock: environment ## Make the lock files again
	$(COMPILE) --group environment --group devstack --group test --group lint \
		--output-file requirements.lock
	$(COMPILE) --constraint requirements.lock --output-file deploy/requirements.lock
	$(COMPILE) --group sandbox --constraint requirements.lock --output-file deploy/sandbox.lock

hooks: environment ## Check format, rules, types and layers before each commit
	.venv/bin/pre-commit install

environment: ## Make .venv, or bring it up to date
	@sh .ci/environment.sh

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile
