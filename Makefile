# Each target sets up what it needs by itself; only Python 3.11+ and make are assumed.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
ARGS   ?=
# How many tests run at a time. More than 2 want more than 2 cores: some of them wait for a screen.
JOBS   ?= 2

.DEFAULT_GOAL := help
.PHONY: help run test check format readme bench screenshots soak clean

help: ## Show what can be made
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# One stamp file an extra: made again when the requirements change.
$(VENV)/.made:
	$(PYTHON) -c 'import sys; sys.exit("ringtop needs Python 3.11 or newer; this is %d.%d. Try: make PYTHON=python3.12 ..." % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	@touch $@

# Without disks where rocksdict has no wheel for the machine.
$(VENV)/.run: $(VENV)/.made pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[durable]' || \
		$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.test: $(VENV)/.made pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@ $(VENV)/.run

$(VENV)/.check: $(VENV)/.made pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test,check]'
	@touch $@ $(VENV)/.test $(VENV)/.run

$(VENV)/.bench: $(VENV)/.made pyproject.toml
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test,bench]'
	@touch $@ $(VENV)/.test $(VENV)/.run

run: $(VENV)/.run ## Open the dashboard; make run ARGS="--servers 6" passes arguments on
	@$(BIN)/ringtop $(ARGS)

test: $(VENV)/.test ## Run every test, two at a time; make test JOBS=0 runs one by one
	$(BIN)/python -m pytest -q --numprocesses $(JOBS) --dist worksteal $(ARGS)

check: $(VENV)/.check ## Lint, formatting, types and the layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.check ## Put the code in the project's format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

readme: $(VENV)/.run ## Put the table of keys into the README
	$(BIN)/python -m tests.readme

# What users install is measured: a wheel, compiled where there is a C compiler. -P keeps the sources
# in this directory from coming first.
INSTALLED := build/installed
bench: $(VENV)/.bench ## Measure speed as ratios against floors and peers
	@rm -rf $(INSTALLED) build/wheel
	@$(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir build/wheel .
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --target $(INSTALLED) build/wheel/*.whl
	@PYTHONPATH=$(INSTALLED):. $(BIN)/python -P -m tests.benchmarks $(ARGS)

screenshots: $(VENV)/.test ## Draw screenshots/ from seeded fixtures
	$(BIN)/python -m tests.screenshots $(ARGS)

soak: $(VENV)/.test ## Run the long tests
	$(BIN)/python -m pytest -q -m soak --timeout 14400 $(ARGS)

clean: ## Remove what was made
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
