# One command for each job; each does all the set-up that it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: setup test lint types demo bench docs test-long wheel-test clean

setup: $(STAMP)

$(STAMP): pyproject.toml setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/qserv demo --keep

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(STAMP)
	$(BIN)/mypy -p qserv_py

test: lint types $(STAMP)
	$(BIN)/python -m pytest -n 2 -m "not long"
	$(MAKE) wheel-test

test-long: $(STAMP)
	$(BIN)/python -m pytest -n 2 -m long

clean:
	rm -rf $(VENV) build dist report *.egg-info
