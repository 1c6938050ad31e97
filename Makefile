# One command for each job; each does all the set-up that it needs.
#   make demo    a cluster with a simulated sky, five queries, and how to go on
#   make demo-pixels   the same from raw images on: simulated, processed, ingested, held against the truth
#   make check   lint, types, the tests that need no server: below two minutes on two cores
#   make test    lint, types, the default tests, and the built wheel in a clean environment
# What is set up needs no network any more, but for the clean environment of wheel-test.
# PYTHON names the interpreter (3.11 or later), VENV the directory of the virtual environment,
# PROCESSES how many run the default or random tests at the same time.
PYTHON ?= python3
VENV ?= .venv
PROCESSES ?= 2
BIN := $(VENV)/bin
BASE := $(VENV)/.installed-base
PIXELS := $(VENV)/.installed-pipelines
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
export PIP_ROOT_USER_ACTION := ignore

.PHONY: setup demo demo-pixels check test lint types unit test-long test-random test-year-ahead test-pipelines test-clients test-sanitize wheel-test bench docs clean

setup: $(STAMP)

# What an editable installation depends on; Python sources are read in place, the C kernels are compiled.
SOURCES := pyproject.toml setup.py pipelines/kernels/build.py $(wildcard pipelines/kernels/c/*.[ch])

define install
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "qserv_py needs Python 3.11 or later; name one: make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || \
	  { echo "$(PYTHON) cannot make virtual environments; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@echo "setting up $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --editable '$(1)'
	@$(BIN)/python -c 'import qserv_py.pipelines.kernels._native' 2>/dev/null || \
	  echo "the image kernels were not built: they need gcc and Python.h; on Debian: apt-get install gcc python3-dev" >&2
	@touch $@
endef

# The demo needs the catalogue database alone, that from pixels Rubin's middleware, too, and tests all of it.
$(BASE): $(SOURCES)
	$(call install,.)

$(PIXELS): $(SOURCES)
	$(call install,.[pipelines])
	@touch $(BASE)

$(STAMP): $(SOURCES)
	$(call install,.[dev])
	@touch $(BASE) $(PIXELS)

demo: $(BASE)
	@$(BIN)/qserv demo --keep

demo-pixels: $(PIXELS)
	@$(BIN)/qserv demo --from-pixels --keep --dir demo-pixels

check: lint types
	$(BIN)/python -m pytest -n $(PROCESSES) --dist worksteal tests/unit tests/plans

test: lint types unit wheel-test

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(STAMP)
	$(BIN)/mypy -p qserv_py

unit: $(STAMP)
	$(BIN)/python -m pytest -n $(PROCESSES) --dist worksteal -m "not long"

# The default tests a year from now; 20,000 random queries, thousands of random sentences of ADQL's grammar, and every
# property test with new examples.
test-long: test-year-ahead test-random
	QSERV_TEST_RANDOM=1 $(BIN)/python -m pytest -n 2 --dist worksteal tests/property tests/integration/functions/test_functions.py
	QSERV_TEST_RANDOM=1 $(BIN)/python -m pytest -m long tests/unit/adql/test_adql_standard_grammar.py

# Random queries against one plain PostgreSQL, a process a core; with the SEED and LOG of a run that stopped it goes on.
SEED ?= $(shell date +%s)
COUNT ?= 20000
LOG ?= random-queries.jsonl
test-random: $(STAMP)
	PYTHONPATH=tests $(BIN)/python -m support.random_queries --seed $(SEED) --count $(COUNT) --log $(LOG) --processes $(PROCESSES)

# The default tests with the clock of all processes a year ahead: nothing may depend on the day.
test-year-ahead: $(STAMP)
	$(BIN)/python tests/support/later.py $(BIN)/python -m pytest -n 2 --dist worksteal -m "not long"

# Workflows that are killed and started again, Parsl, and the pages that process images.
test-pipelines: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist worksteal -m long tests/integration tests/end_to_end

# Answers in the programs that astronomers use; those that Python's packages do not have come from Debian's.
test-clients: $(STAMP)
	@command -v stilts >/dev/null || apt-get install --yes --quiet stilts || \
	  { echo "stilts cannot be installed here (needs root and Debian's packages)" >&2; exit 1; }
	$(BIN)/python -m pytest -n 2 -m clients tests/end_to_end

# The tests of the C kernels on a build that finds wrong memory accesses and undefined behaviour.
test-sanitize: $(STAMP)
	$(BIN)/python tests/support/sanitized_kernels.py

# The examples of README.md and docs/ against a real cluster, each command as a reader starts it, and the links between
# the pages. In the default tests most pages share one process's imports (tests/support/warm).
docs: $(STAMP)
	QSERV_TEST_PROCESSES=1 $(BIN)/python -m pytest -n 0 tests/end_to_end/test_docs.py tests/unit/docs/test_docs_links.py tests/unit/docs/test_docs_commands.py

wheel-test: $(STAMP)
	$(BIN)/python tests/support/wheel_smoke.py

bench: $(STAMP)
	@for script in benchmarks/[a-z]*.py; do $(BIN)/python $$script || exit 1; done

clean:
	rm -rf pipelines/kernels/*.so $(VENV) build dist report *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis random-queries.jsonl
