# Every task of the project, one line each: `make help`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help setup lock gen check types rules test test-faults test-unit bench demo up clean

help: ## show this text
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  \033[1m%-10s\033[0m %s\n", $$1, $$2}'

setup: $(READY) ## make the virtual environment, with everything pinned

$(READY): requirements.lock requirements-uv.lock pyproject.toml
	@echo "setting up $(VENV) (once)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "TaskFlow needs Python 3.11 or newer: make PYTHON=...")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

lock: $(READY) ## pin the newest allowed dependencies, with hashes
	@$(BIN)/uv pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --custom-compile-command "make lock" --quiet --upgrade -o requirements.lock
	@$(BIN)/uv --version | sed 's/uv \([^ ]*\).*/uv==\1/' | $(BIN)/uv pip compile - --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --custom-compile-command "make lock" --quiet -o requirements-uv.lock

gen: $(READY) ## write everything in gen/ anew from proto/
	@$(BIN)/python gen/generate.py

check: $(READY) ## all that needs no running service: format, lint, types, layers, contract, generated code
	@$(MAKE) --no-print-directory -j 2 types rules

types: $(READY)
	@$(BIN)/python -m mypy

rules: $(READY)
	@$(BIN)/python -m ruff format --check .
	@$(BIN)/python -m ruff check .
	@$(BIN)/lint-imports
	@$(BIN)/python gen/lint.py
	@$(BIN)/python gen/generate.py --check
	@$(BIN)/python -m taskflow_dev.envoy

test: $(READY) ## all tests but those that break things for minutes
	@$(BIN)/python -m pytest -m "not faults"

test-faults: $(READY) ## kill, freeze, cut off and restart everything; no task may be lost, doubled or stuck
	@$(BIN)/python -m pytest tests/faults

test-unit: $(READY) ## the tests that do no I/O
	@$(BIN)/python -m pytest tests/unit

demo: $(READY) ## the whole of TaskFlow in half a minute; leaves nothing running
	@$(BIN)/python clients/python/examples/demo.py

up: $(READY) ## keep everything running on this machine, until Ctrl-C
	@$(BIN)/python -m taskflow_cli dev

bench: $(READY) ## measure throughput, latency and idle cost on this machine
	@$(BIN)/python tests/benchmarks

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
