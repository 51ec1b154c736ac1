# Every target sets up .venv first if it has to; nothing needs installing by hand but Python 3.11 or newer.

PYTHON ?= python3
# more arguments for pytest: make test PYTEST_ARGS="-k tokenizer -x"
PYTEST_ARGS ?=
# processes that run tests at the same time; 0 runs them in the process of pytest itself, which --pdb needs
PYTEST_WORKERS ?= auto

SHELL := /bin/bash
VENV := .venv
RUN := $(VENV)/bin/python
PYTEST := $(RUN) -m pytest -n $(PYTEST_WORKERS) --maxprocesses 4 --dist worksteal --doctest-modules --durations=15
STAMP := $(VENV)/.installed

# Real data (see README.md, "Data"): a folder beside the project, unless the caller names another one.
ifeq ($(strip $(SEQCLF_DATA)),)
  SEQCLF_DATA := $(shell cd ../shared/data 2>/dev/null && pwd -P)
endif
ifneq ($(strip $(SEQCLF_DATA)),)
  export SEQCLF_DATA
endif

export MPLBACKEND ?= Agg
# Waiting threads sleep instead of spinning: on a machine that is busy with other work the many small fits of tests and
# examples are several times faster. The demo, which shows times, runs as a user would run it.
test test-all test-oldest test-newest test-mlflow examples: export OMP_WAIT_POLICY ?= PASSIVE
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Pins what the build itself needs too; newer pips read the second variable for that.
export PIP_CONSTRAINT := constraints.txt
export PIP_BUILD_CONSTRAINT := $(PIP_CONSTRAINT)
# A C++ error stops the set-up; without a compiler: make SEQCLF_REQUIRE_KERNELS=0 test
export SEQCLF_REQUIRE_KERNELS ?= 1
# 1 in .ci/run: all but torch is checked by hash sums, the tools of the build too, which are then not fetched once more.
SEQCLF_REQUIRE_HASHES ?= 0
INSTALL := $(RUN) -m pip install --quiet --no-input --progress-bar off
KERNEL_SOURCES := CMakeLists.txt $(wildcard seqclf/_native/csrc/*.* seqclf/_native/csrc/*/*.*)

.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-oldest test-newest test-mlflow sanitize sanitize-threads emulate lint types examples setup clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

demo: $(STAMP) ## train on real reviews (or on docstrings), print accuracy and time, save the model and a picture
	$(RUN) examples/demo.py

test: $(STAMP) ## all quick tests and the examples of the docstrings
	$(PYTEST) -m "not slow" seqclf tests $(PYTEST_ARGS)

test-all: $(STAMP) ## the slow tests too
	$(PYTEST) seqclf tests $(PYTEST_ARGS)

test-oldest: ## the quick tests with every lower bound of pyproject.toml, in an environment of its own
	$(PYTHON) tools/test_versions oldest $(PYTEST_ARGS)

test-newest: ## the quick tests with the newest Python and the newest version of everything, in an environment of its own
	$(PYTHON) tools/test_versions newest $(PYTEST_ARGS)

test-mlflow: ## the tests with MLflow and skops, in an environment of its own
	$(PYTHON) tools/test_versions mlflow $(PYTEST_ARGS)

sanitize: $(STAMP) ## the kernels' tests on a build with AddressSanitizer and UndefinedBehaviorSanitizer, which checks its calls
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" tools/sanitize $(PYTEST_ARGS)

sanitize-threads: $(STAMP) ## the kernels, called from several threads at once, on a build with ThreadSanitizer
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" tools/sanitize threads

emulate: $(STAMP) ## the kernels' tests as other processors and systems run them, in the emulators that are here
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" tools/emulate all $(PYTEST_ARGS)

lint: $(STAMP) ## ruff, clang-format, and warnings of the C++ compiler
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" tools/lint_cpp

types: $(STAMP) ## mypy over the package and the examples
	$(RUN) -m mypy

# SEQCLF_EXAMPLES_QUICK=0 runs them at full size.
examples: export SEQCLF_EXAMPLES_QUICK ?= 1
examples: $(STAMP) ## run every example on little data
	@set -e; for script in examples/*.py; do \
	  echo "== $$script"; start=$$SECONDS; $(RUN) "$$script"; echo "== $$script: $$((SECONDS - start)) s"; \
	done

setup: $(STAMP) ## make .venv and install the package with everything for development

# Made again when the requirements or the C++ sources change (the latter alone: compiled again and nothing else); touched
# last, so an interrupted installation is taken up again.
$(STAMP): pyproject.toml constraints.txt $(KERNEL_SOURCES)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "seqclf needs Python 3.11 or newer, but '$(PYTHON)' is $$($(PYTHON) --version 2>&1 | head -n 1)." >&2; \
	  echo "Name another one: make PYTHON=/path/to/python3.11 (or newer)" >&2; exit 1; }
	@if [ -e $(VENV) ] && ! $(RUN) -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	  echo "$(VENV) is broken or older than Python 3.11: it is made anew."; rm -rf $(VENV); fi
	@test -x $(RUN) || $(PYTHON) -m venv $(VENV) || { \
	  rm -rf $(VENV); echo "'$(PYTHON) -m venv' failed (on Debian and Ubuntu: install python3-venv)." >&2; exit 1; }
	$(if $(filter 1,$(SEQCLF_REQUIRE_HASHES)),$(INSTALL) --no-deps --require-hashes -r constraints-hashed.txt)
	$(INSTALL) $(if $(filter 1,$(SEQCLF_REQUIRE_HASHES)),--no-build-isolation) \
	  $(if $(filter pyproject.toml constraints.txt,$?),-e ".[dev]",--no-deps -e .)
	@touch $@

clean: ## remove .venv, caches and outputs
	rm -rf $(VENV) demo_output build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
