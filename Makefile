# Every target sets up .venv first if necessary; the only manual requirement is Python 3.11 or newer.

PYTHON ?= python3
# Additional arguments for pytest: make test PYTEST_ARGS="-k tokenizer -x"
PYTEST_ARGS ?=
# The number of parallel test processes. 0 runs the tests in the process of pytest, which --pdb needs.
PYTEST_WORKERS ?= auto

SHELL := /bin/bash
VENV := .venv
RUN := $(VENV)/bin/python
PYTEST := $(RUN) -m pytest -n $(PYTEST_WORKERS) --maxprocesses 4 --dist worksteal --doctest-modules --durations=15
STAMP := $(VENV)/.installed
SITE_VENV := .venv-site
SITE_RUN := $(SITE_VENV)/bin/python
SITE_STAMP := $(SITE_VENV)/.installed
# Additional arguments for Sphinx: make site SPHINX_ARGS="-D plot_gallery=0"
SPHINX_ARGS ?=

# Real data (see docs/install.md, "Data sets"): a folder next to the project, unless the caller sets SEQCLF_DATA.
ifeq ($(strip $(SEQCLF_DATA)),)
  SEQCLF_DATA := $(shell cd ../shared/data 2>/dev/null && pwd -P)
endif
ifneq ($(strip $(SEQCLF_DATA)),)
  export SEQCLF_DATA
endif

export MPLBACKEND ?= Agg
# Waiting threads sleep instead of spinning: on a busy machine this makes the many small fits of tests and examples
# several times faster. The demo measures times, so it runs with the defaults.
test test-all test-oldest test-newest test-mlflow test-ray site: export OMP_WAIT_POLICY ?= PASSIVE
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# The pins also apply to the build requirements; newer versions of pip read the second variable for these.
export PIP_CONSTRAINT := constraints.txt
export PIP_BUILD_CONSTRAINT := $(PIP_CONSTRAINT)
# A C++ error aborts the set-up. Without a compiler: make SEQCLF_REQUIRE_KERNELS=0 test
export SEQCLF_REQUIRE_KERNELS ?= 1
# 1 in .ci/run: all packages except torch are verified by hashes, including the build tools, which pip then does not
# download again for the build.
SEQCLF_REQUIRE_HASHES ?= 0
INSTALL := $(RUN) -m pip install --quiet --no-input --progress-bar off
KERNEL_SOURCES := CMakeLists.txt $(wildcard seqclf/_native/csrc/*.* seqclf/_native/csrc/*/*.*)

.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-oldest test-newest test-mlflow test-ray sanitize sanitize-threads emulate lint types \
  site site-test setup clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

demo: $(STAMP) ## train on real reviews (or on docstrings), print accuracy and time, save the model and a picture
	$(RUN) examples/demo.py

test: $(STAMP) ## run the quick tests and the examples of the docstrings
	$(PYTEST) -m "not slow" seqclf tests $(PYTEST_ARGS)

test-all: $(STAMP) ## run the slow tests too
	$(PYTEST) seqclf tests $(PYTEST_ARGS)

test-oldest: ## run the quick tests with every lower bound of pyproject.toml, in a separate environment
	$(PYTHON) tools/test_versions oldest $(PYTEST_ARGS)

test-newest: ## run the quick tests with the newest Python and the newest dependencies, in a separate environment
	$(PYTHON) tools/test_versions newest $(PYTEST_ARGS)

test-mlflow: ## run the tests with MLflow and skops, in a separate environment
	$(PYTHON) tools/test_versions mlflow $(PYTEST_ARGS)

test-ray: ## run the tests of searches on Dask and Ray, in a separate environment
	$(PYTHON) tools/test_versions ray $(PYTEST_ARGS)

sanitize: $(STAMP) ## run the kernel tests on a build with AddressSanitizer, UndefinedBehaviorSanitizer and checks of the calls
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" tools/sanitize $(PYTEST_ARGS)

sanitize-threads: $(STAMP) ## call the kernels from several threads at once, on a build with ThreadSanitizer
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" tools/sanitize threads

emulate: $(STAMP) ## run the kernel tests for other processors and systems, in the installed emulators
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" tools/emulate all $(PYTEST_ARGS)

lint: $(STAMP) ## run ruff, clang-format and the C++ compiler with warnings
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" tools/lint_cpp

types: $(STAMP) ## run mypy on the package and the examples
	$(RUN) -m mypy

# SEQCLF_EXAMPLES_QUICK=0 runs the examples on all data.
site: export SEQCLF_EXAMPLES_QUICK ?= 1
site: $(SITE_STAMP) ## build the documentation site, and run its examples on a small part of their data
	@test -d docs/_build/html/_static || rm -f docs/_build/html/_static # the theme leaves a file after a failed build
	$(SITE_RUN) -m sphinx -W --keep-going -q -b html docs docs/_build/html $(SPHINX_ARGS)
	@echo "The site is in docs/_build/html/index.html"

site-test: site ## build the site, and test it in headless Chromium
	$(SITE_RUN) -m pytest tests/site $(PYTEST_ARGS)

setup: $(STAMP) ## create .venv and install the package with all development tools

# Installs again when the requirements or the C++ sources change; if only C++ sources have changed, it only recompiles. The
# stamp is touched last, so an interrupted installation is repeated.
$(STAMP): pyproject.toml constraints.txt $(KERNEL_SOURCES)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "seqclf needs Python 3.11 or newer, but '$(PYTHON)' is $$($(PYTHON) --version 2>&1 | head -n 1)." >&2; \
	  echo "Choose another Python: make PYTHON=/path/to/python3.11 (or newer)" >&2; exit 1; }
	@if [ -e $(VENV) ] && ! $(RUN) -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	  echo "$(VENV) is broken or older than Python 3.11: it is created again."; rm -rf $(VENV); fi
	@test -x $(RUN) || $(PYTHON) -m venv $(VENV) || { \
	  rm -rf $(VENV); echo "'$(PYTHON) -m venv' failed (on Debian and Ubuntu: install python3-venv)." >&2; exit 1; }
	$(if $(filter 1,$(SEQCLF_REQUIRE_HASHES)),$(INSTALL) --no-deps --require-hashes -r constraints-hashed.txt)
	$(INSTALL) $(if $(filter 1,$(SEQCLF_REQUIRE_HASHES)),--no-build-isolation) \
	  $(if $(filter pyproject.toml constraints.txt,$?),-e ".[dev]",--no-deps -e .)
	@touch $@

# The tools of the site, in an environment of their own that also sees the packages of .venv.
$(SITE_STAMP): docs/requirements.txt $(STAMP)
	rm -rf $(SITE_VENV)
	$(RUN) -m venv $(SITE_VENV)
	echo "import site; site.addsitedir('$$($(RUN) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')')" \
	  > $$($(SITE_RUN) -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/main_environment.pth
	PIP_CONSTRAINT= $(SITE_RUN) -m pip install --quiet --no-input --progress-bar off --no-deps --require-hashes \
	  -r docs/requirements.txt
	@touch $@

clean: ## remove the environments, caches and outputs
	rm -rf $(VENV) $(SITE_VENV) docs/_build docs/auto_examples docs/generated demo_output build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
