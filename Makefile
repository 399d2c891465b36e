# make serve   .venv, install, fetch the model, index data/sample, serve http://127.0.0.1:8765; whoever activates .venv then
#              asks that index with that model
# make test    .venv, install with the test tools, run the suite; make test T=tests/search runs a part of it, JOBS=1 in a row
# make test-slow  the tests that `make test` leaves out, because each takes more than ten seconds; T and JOBS as above
# make check   ruff, mypy, import-linter
# make docs    write the pages that are made from the code
# make wheels  wheels with the kernels inside for Linux on x86-64 and AArch64, and the sdist, in dist/
# make bench   measure on this machine (see benchmarks/README.md)
# make faults  the whole fault suite, which also builds the container, sets a machine up and tries what Milvus may be set to;
#              `make test` runs a part of it

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
HOME_DIR ?= data/index
INSTALLED_FROM := pyproject.toml hatch_build.py $(wildcard localsearch/kernels/*.[ch])
# Modules of the reference that `make docs` writes to build/reference.
REFERENCE := localsearch.engine localsearch.types localsearch.errors localsearch.client localsearch.integrations localsearch.settings
export LOCALSEARCH_MODELS ?= $(CURDIR)/models
# What was compiled is kept for the tests, and by them; several processes may share it.
export ZIG_GLOBAL_CACHE_DIR ?= $(CURDIR)/build/zig
# The suite starts hundreds of processes: each would compile the package anew.
unexport PYTHONDONTWRITEBYTECODE

T ?=
# Processes that share the suite, a file of tests each at a time: more than two cores, as much of the time is spent
# waiting for disks, browsers and servers.
JOBS ?= 4
# The files that hold slow tests: to read all others takes each process ten seconds.
SLOW = $(sort $(shell grep -rl --include='test_*.py' 'mark\.slow' tests))
PYTEST := $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

.PHONY: serve test test-slow check docs wheels bench bench-quick faults clean

# Lines that `activate` gets: a place that is set already stays.
define ACTIVATED
export LOCALSEARCH_HOME="$${LOCALSEARCH_HOME:-$(if $(filter /%,$(HOME_DIR)),,$(CURDIR)/)$(HOME_DIR)}"
export LOCALSEARCH_MODELS="$${LOCALSEARCH_MODELS:-$(LOCALSEARCH_MODELS)}"
endef
export ACTIVATED

serve: $(VENV)/.installed $(VENV)/.activated
	$(BIN)/python -m localsearch --home $(HOME_DIR) serve data/sample

test: $(VENV)/.tested
	$(BIN)/python -m localsearch models pull all-MiniLM-L6-v2
	$(PYTEST) $(T)

test-slow: $(VENV)/.tested
	$(BIN)/python -m localsearch models pull all-MiniLM-L6-v2
	$(PYTEST) -m 'slow and not parity and not pictures' $(or $(T),$(SLOW))

check: $(VENV)/.developed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.tested
	LOCALSEARCH_WRITE_DOCS=1 $(BIN)/python -m pytest tests/docs
	$(BIN)/python -m pdoc -o build/reference $(REFERENCE)

wheels: $(VENV)/.tested
	for machine in x86_64 aarch64; do \
	  LOCALSEARCH_WHEEL=$$machine $(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist . || exit 1; done
	$(BIN)/python -m hatchling build -t sdist

bench: $(VENV)/.benched
	$(BIN)/python -m benchmarks --documents --check

bench-quick: $(VENV)/.benched
	$(BIN)/python -m benchmarks --quick

faults: $(VENV)/.tested
	LOCALSEARCH_FAULTS=all $(BIN)/python -m pytest -m "" tests/faults tests/backends -s

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.activated: | $(VENV)/bin/python
	@printf '%s\n' "$$ACTIVATED" >> $(BIN)/activate
	@touch $@

$(VENV)/.installed: $(INSTALLED_FROM) | $(VENV)/bin/python
	@echo "Installing packages from the registry: a minute or more, without a word unless something fails."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

$(VENV)/.tested: $(INSTALLED_FROM) | $(VENV)/bin/python
	@echo "Installing packages from the registry: a minute or more, without a word unless something fails."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -e '.[test]'
	@touch $@ $(VENV)/.installed

$(VENV)/.developed: $(INSTALLED_FROM) | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -e '.[test,dev]'
	@touch $@ $(VENV)/.installed $(VENV)/.tested

$(VENV)/.benched: $(INSTALLED_FROM) | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[bench]'
	@touch $@ $(VENV)/.installed
