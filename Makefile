# Two commands do everything on a machine with Python 3.11+ and make: `make race` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The tested versions, except where CONSTRAINTS= says to take what the ranges of pyproject.toml admit.
CONSTRAINTS ?= -c constraints.txt
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet $(CONSTRAINTS)

.PHONY: race test lint format clean

race: $(VENV)/installed ## the default race; says where its report and figures are
	$(BIN)/python -m arena $(ARGS)

test: $(VENV)/tested ## lint, types and the whole suite
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto # small tests: a process a core, a thread a process

format: $(VENV)/tested ## put the code into the form `make test` asks for
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable .
	touch $@

$(VENV)/tested: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) --editable '.[test]'
	touch $@ $(VENV)/installed
