# make help
.DEFAULT_GOAL := help
.PHONY: help demo up check test bench crash crash-mutants storm clean
VENV := .venv
unexport PYTHONDONTWRITEBYTECODE  # some hosts set it; a suite that starts hundreds of processes would compile the house in each
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
# The first of these that is Python 3.11 or newer; `make PYTHON=/path/to/python demo` takes another.
# A name on PATH may be a shim that only complains, so each one is tried.
PYTHON ?= $(firstword $(foreach name,python3.13 python3.12 python3.11 python3,$(shell \
	$(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $(name))))
ARGS ?=
# Tests wait for nodes more than they calculate: one process more than there are cores, six at most.
AT_ONCE ?= $(shell cores=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); echo $$((cores < 5 ? cores + 1 : 6)))

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

demo: $(VENV)/.runs  ## install into .venv and carry out 30 orders on simulated nodes (ARGS="--orders 100 --keep"); `vzq demo` shows more
	@$(BIN)/vzq demo orders $(ARGS)

up: $(VENV)/.runs  ## bring up a house with three simulated nodes, until Ctrl-C (ARGS="--lab 3 --state DIR")
	@$(BIN)/vzq up $(if $(ARGS),$(ARGS),--lab 3)

check: $(VENV)/.develops  ## lint, types, import contracts and the quick tests; under a minute
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest -q -m quick -n $(AT_ONCE) $(ARGS)

test: $(VENV)/.develops  ## the whole suite, against real Redis, SQLite and PostgreSQL (ARGS="-k sentence")
	$(BIN)/python -m pytest -q -n $(AT_ONCE) --dist worksteal $(ARGS)

bench: $(VENV)/.benches  ## benchmarks: ratios, measured in one interleaved run
	$(BIN)/python -m tests.bench $(ARGS)

crash: $(VENV)/.develops  ## every plan, killed and cut at drawn points, in virtual time (CASES=10000 SEED=1); replays with ARGS="--replay N"
	@$(BIN)/python -m tests.crash --cases $(or $(CASES),1000) --seed $(or $(SEED),1) $(ARGS)

crash-mutants: $(VENV)/.develops  ## builds that lack one guard each: all must be caught
	@$(BIN)/python -m tests.crash --mutants

storm: $(VENV)/.develops  ## real processes while everything that can fail does (SECONDS=900 DB=postgresql SEED=1)
	@$(BIN)/python -m tests.storm --seconds $(or $(SECONDS),120) --db $(or $(DB),sqlite) --seed $(or $(SEED),1)

clean:  ## remove .venv, caches and builds
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

# Stamps: installed again only when what is to be installed has changed.
$(VENV)/.runs: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing vzq into $(VENV)"
	@$(PIP) -e .
	@touch $@

$(VENV)/.develops: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing vzq and the tools for its tests into $(VENV)"
	@$(PIP) -e '.[dev]'
	@touch $@ $(VENV)/.runs

$(VENV)/.benches: $(VENV)/.develops
	@$(PIP) -e '.[bench]'
	@touch $@

$(VENV)/bin/python:
	$(if $(PYTHON),,$(error vzq needs Python 3.11 or newer and found none on PATH; install one, or name it: make PYTHON=/path/to/python demo))
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "$(PYTHON) cannot make a virtual environment (on Debian: apt install python3-venv)" >&2; exit 1; }
