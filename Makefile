# threenines: `make` prints this help. Everything below works on a fresh Debian or Ubuntu
# with Python 3.11+, make and a compiler; nothing is installed outside .venv.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-done
JS_CLIENT := tests/clients/js
NODE_STAMP := $(JS_CLIENT)/node_modules/.package-lock.json
UV = $(BIN)/uv --quiet
# One more process of tests than this machine has cores, as they wait for leases and outages half of
# their time; a file stays in one process, so its engines start once.
TEST_PROCESSES ?= $(shell expr `nproc 2>/dev/null || echo 2` + 1)
ENGINE_TESTS := tests/contract tests/rpc tests/scenario
export PYTHONPATH := $(CURDIR):$(CURDIR)/protos/gen:$(CURDIR)/clients/python

# uv trusts only certificates of its own unless told; the machine's are those that its proxy needs.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt),)
export UV_SYSTEM_CERTS ?= true
endif
# An account without a home of its own (a CI runner) keeps the downloads in .venv.
ifeq ($(shell test -w "$$HOME" && echo yes),)
export UV_CACHE_DIR ?= $(CURDIR)/$(VENV)/cache
endif

.DEFAULT_GOAL := help
.PHONY: help setup node-clients lock demo up warm test test-containers lint type protos protos-check bench clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

setup: $(STAMP) node-clients ## Make .venv from requirements.lock (hashes checked)
$(STAMP): $(VENV)/.synced pyproject.toml
	$(UV) pip install --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

# From nothing, so that no package of an older lock leaves files behind.
$(VENV)/.synced: requirements.lock
	$(PYTHON) -m venv --clear $(VENV)
	awk '/^[a-z]/ {mine = /^uv==/} mine' requirements.lock > $(VENV)/uv.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $(VENV)/uv.lock
	$(UV) pip sync --python $(BIN)/python --require-hashes requirements.lock
	@touch $@

# A client under test, nothing that the services need: without node, npm or a registry its test says
# that it was skipped, and everything else goes on.
node-clients: ## Install the OpenTelemetry SDK for JavaScript for its test, where node and npm are
	@if ! { command -v node && command -v npm; } >/dev/null; then echo "no node and npm: the test of the JavaScript SDK is skipped"; \
	elif [ ! $(NODE_STAMP) -nt $(JS_CLIENT)/package-lock.json ]; then \
	  npm ci --prefix $(JS_CLIENT) --ignore-scripts --no-fund --no-audit --loglevel=error --fetch-retries=1 --fetch-timeout=60000 \
	  && touch $(NODE_STAMP) || echo "npm cannot install: the test of the JavaScript SDK is skipped"; fi

lock: ## Write requirements.lock again from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --group dev --extra embedded --extra containers --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --quiet -o requirements.lock

warm: setup ## Compile the kernels into their cache: a minute the first time, a second later on
	$(BIN)/threenines warm

demo: warm ## The whole way on real telemetry: three clients, an outage, an alert, a recovery
	$(BIN)/python -m services.cli.main demo

up: warm ## Start the engines and the four services on this machine
	$(BIN)/threenines up

test: warm lint type protos-check ## Lint, types, drift check and all tests on the real embedded engines
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder --durations 10

test-containers: setup ## The engine tests against ClickHouse, NATS and Redis in containers (needs Docker)
	THREENINES_TEST_ENGINES=containers $(BIN)/python -m pytest $(ENGINE_TESTS)

lint: setup ## ruff and the import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

type: setup ## mypy, strict
	$(BIN)/mypy

protos: setup ## Generate protos/gen from protos/threenines
	$(BIN)/python protos/generate.py

protos-check: setup ## Fail when protos/gen is not what the protos say
	$(BIN)/python protos/generate.py --check

bench: setup ## Ratios against rivals and naive versions
	$(BIN)/python -m tests.bench

clean: ## Remove .venv, caches and demo data
	rm -rf $(VENV) $(JS_CLIENT)/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis .threenines demo-data demo-report
