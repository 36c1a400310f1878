# Two commands do everything on a machine with Python 3.11+ and make: `make race` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Install the tested versions. CONSTRAINTS= (empty) takes what the ranges of pyproject.toml admit.
CONSTRAINTS ?= -c constraints.txt
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet $(CONSTRAINTS)
# The tests are small: one process per core, one thread per process. An idle process takes over waiting tests.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist worksteal --durations 20

.PHONY: race test test-fast lint pytest format clean

race: $(VENV)/installed ## run the default race; prints where its report and figures are
	$(BIN)/arena $(ARGS)

test: lint pytest ## lint, types and the whole test suite

test-fast: lint $(VENV)/tested ## lint, types, and the tests that take two to three minutes in all
	$(PYTEST) -m "not slow"

lint: $(VENV)/tested ## lint, format and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python

pytest: $(VENV)/tested ## the whole test suite
	$(PYTEST)

format: $(VENV)/tested ## format the code as `make lint` requires
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable .
	touch $@

$(VENV)/tested: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable '.[test]'
	touch $@ $(VENV)/installed
