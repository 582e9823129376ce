# Holdfast. `make` or `make help` lists the targets; `make run` and `make test` do the set-up they need by themselves.

.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-builtin-rules

# The first Python that is 3.11 to 3.13; override with `make PYTHON=/path/to/python setup`.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	"$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && { echo "$$p"; break; }; done)

VENV ?= venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PROJECT ?= demo
WORKERS ?= 2
TESTS ?=

##@ Use

.PHONY: setup
setup: $(STAMP) ## make venv/ with everything that is needed, from requirements.lock

# The stamp says that venv/ holds what the lock and pyproject ask for; a killed install leaves no stamp.
$(STAMP): requirements.lock pyproject.toml
	@PYTHON="$(PYTHON)" VENV="$(VENV)" ./setup.sh

.PHONY: install
install: ## the same into the active virtual environment, or into venv/ (safe to run again)
	@if [ -n "$${VIRTUAL_ENV:-}" ]; then VENV="$$VIRTUAL_ENV" ./setup.sh; else $(MAKE) --no-print-directory setup; fi

# Half a gigabyte that a laptop does not need: without it, and Java 17, the tests that need Spark are skipped.
.PHONY: setup-spark
setup-spark: $(STAMP) ## add PySpark to venv/, from requirements-spark.lock (data.engine.kind: spark)
	$(BIN)/python -m pip --disable-pip-version-check install --quiet --require-hashes --no-build-isolation \
		-r requirements-spark.lock

.PHONY: run
run: $(STAMP) ## the whole pipeline on the built-in company: data to decisions, with a summary (PROJECT=demo)
	$(BIN)/holdfast run --project $(PROJECT)

.PHONY: api
api: $(STAMP) ## serve 127.0.0.1:8000 (the interactive documentation is at /docs)
	$(BIN)/holdfast serve --project $(PROJECT)

##@ Check

.PHONY: test
test: $(STAMP) ## every test (TESTS=tests/unit for some, WORKERS=2)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(TESTS)

.PHONY: lint
lint: $(STAMP) ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: types
types: $(STAMP) ## mypy --strict
	$(BIN)/mypy

.PHONY: imports
imports: $(STAMP) ## the layers of the house (import-linter)
	$(BIN)/lint-imports

##@ Prove

.PHONY: prove
prove: $(STAMP) ## every claim at full size, written to benchmarks/results/ (long)
	@echo "== property tests, 20,000 generated customers against the oracle"
	@HOLDFAST_PROPERTY_EXAMPLES=286 $(BIN)/python -m pytest -n $(WORKERS) --timeout=0 tests/property \
		| tee benchmarks/results/property.txt
	@for program in $$(ls benchmarks/[a-z]*.py 2>/dev/null); do \
		name=$$(basename "$$program" .py); echo "== $$name"; \
		$(BIN)/python "$$program" | tee "benchmarks/results/$$name.txt"; done

.PHONY: bench
bench: prove ## the same as prove

##@ Keep

.PHONY: lock
lock: $(STAMP) ## resolve requirements.lock and requirements-spark.lock anew from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --extra dev --extra postgres --extra redis --universal --python-version 3.11 --generate-hashes \
		--no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
		--quiet -o requirements.lock
	$(BIN)/python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['spark'], sep='\n')" \
		| $(BIN)/uv pip compile - --constraint requirements.lock --universal --python-version 3.11 --generate-hashes \
		--no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
		--quiet -o requirements-spark.lock

.PHONY: docs
docs: $(STAMP) ## write docs/reference anew from the code
	$(BIN)/python docs/generate.py

.PHONY: clean
clean: ## remove venv/, caches and build output; var/ (data, models, state) is kept
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

.PHONY: help
help: ## this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z_-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
