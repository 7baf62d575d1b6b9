# make demo and make test set everything up by themselves; make help lists the rest.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest -n 2 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-all lint format benchmarks notebooks docs lock clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "solvergan needs Python 3.11 or newer and found none: make PYTHON=/path/to/python3.11 setup"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check -q --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check -q --no-deps --no-build-isolation -e .
	@touch $@

setup: $(STAMP) ## make the environment (.venv) from the hashed lock file

demo: $(STAMP) ## data, training, comparison and report of the Kuramoto-Sivashinsky demo
	$(BIN)/python -m experiments run kuramoto_sivashinsky --preset demo $(ARGS)

test: $(STAMP) ## the fast tests (minutes)
	$(PYTEST) -m "not slow" $(ARGS)

test-all: $(STAMP) ## the fast and the slow tests (up to an hour)
	$(PYTEST) $(ARGS)

lint: $(STAMP) ## ruff, mypy and the architecture contract
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP) ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

benchmarks: $(STAMP) ## side-by-side timings against peers (installs the benchmarks extra)
	$(BIN)/python -m pip install --disable-pip-version-check -q -e ".[benchmarks]"
	$(BIN)/python benchmarks/etdrk_against_exponax.py

notebooks: $(STAMP) ## run the notebooks and keep what they show
	$(BIN)/jupytext --to ipynb notebooks/*.py
	$(BIN)/python -m pytest -n0 --nbmake --overwrite notebooks

docs: $(STAMP) ## build the documentation site in site/ (installs the docs extra)
	$(BIN)/python -m pip install --disable-pip-version-check -q -e ".[docs]"
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

lock: ## rewrite requirements.lock for every supported Python (needs uv)
	uv pip compile pyproject.toml --universal --python-version 3.11 --extra dev --extra notebooks \
	  --generate-hashes --no-emit-index-url --no-annotate --no-header -q -o requirements.lock

clean: ## remove caches and builds, but no run
	rm -rf .cache .pytest_cache .mypy_cache .ruff_cache build dist site
