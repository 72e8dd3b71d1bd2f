# phasegate: `make help` lists the targets.
SHELL := /bin/sh
PYTHON ?= python3
USERS ?= 100000
BASELINE ?= origin/main
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help run setup setup-dev test test-fast fmt check perf nightly perf-nightly perf-repeat lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: setup ## fresh clone → results/<run>/report.html (USERS=2000 for a small one)
	@$(BIN)/phasegate run --users $(USERS)

setup: $(VENV)/.run-$(shell cksum < requirements.lock | cut -d' ' -f1) ## the environment alone

setup-dev: $(VENV)/.dev-$(shell cksum < requirements-dev.lock | cut -d' ' -f1) ## the environment with the tools of the tests

# One stamp per lock file's content: a changed lock installs again, an unchanged one costs nothing.
$(VENV)/.run-%: | $(VENV)/bin/python
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev-%: | $(VENV)/bin/python
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@ $(VENV)/.run-$(shell cksum < requirements.lock | cut -d' ' -f1)

$(VENV)/bin/python:
	@command -v $(PYTHON) >/dev/null 2>&1 || { \
	  echo "phasegate needs Python 3.11 or newer, and there is no '$(PYTHON)'. Nothing was changed. Install it, or name one: make PYTHON=python3.12 $(MAKECMDGOALS)." >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "phasegate needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Nothing was changed. Name a newer one: make PYTHON=python3.12 $(MAKECMDGOALS)." >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "$(PYTHON) cannot create a virtual environment (on Debian: apt-get install python3-venv). Nothing else was changed." >&2; exit 2; }

test: check ## everything that must pass, from a fresh clone
	@.ci/test-parts $(TEST_JOBS) $(TEST_PARTS)

# Parts of the tests that run at the same time, the longest first: most of their time is waiting. Each
# is a process with a server of its own; pytest-xdist cannot, since gevent changes its threads too.
TEST_JOBS ?= 5
TEST_LONG := tests/report/ tests/compare/ tests/seeding/ tests/stack/ tests/nightly/
TEST_PARTS := 'tests/cli/test_[a-q]*.py' tests/report/ 'tests/load/test_[o-z]*.py' \
  'tests/cli/test_[s-z]*.py' tests/compare/ tests/seeding/ 'tests/load/test_[a-n]*.py' \
  'tests/cli/test_r*.py' tests/stack/ tests/nightly/ \
  $(filter-out tests/cli/ tests/load/ $(TEST_LONG), $(sort $(dir $(wildcard tests/*/test_*.py)))) 'tests/test_*.py'

test-fast: setup-dev ## the unit tests alone, in a minute
	@$(BIN)/pytest -q -m unit

fmt: setup-dev ## format, and mend what the linter can
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format --quiet .

check: setup-dev ## lint, types, import contracts, workflows
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/actionlint -shellcheck= -pyflakes=
	@$(BIN)/zizmor --offline --no-progress --quiet .github/workflows

perf: setup-dev ## our figures compared with peers and limits, as ratios in one run
	@$(BIN)/python -m instruments perf

nightly: setup ## HEAD against a pinned commit, and drift since (BASELINE=v1, by default origin/main)
	@$(BIN)/python -m phasegate.nightly.drift || echo "The night is judged without drift." >&2
	@$(BIN)/phasegate nightly --baseline '$(BASELINE)'

perf-nightly: setup-dev ## the nightly's detectors, proven on recordings of this machine
	@$(BIN)/python -m instruments perf --nightly

perf-repeat: setup-dev ## the benchmarks twice, on two seeds: are the answers the same?
	@$(BIN)/python -m instruments repeat

lock: setup-dev ## resolve pyproject.toml and drift-requirements.in into the lock files
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-annotate --no-header --python-version 3.11 pyproject.toml --output-file requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-annotate --no-header --python-version 3.11 --extra dev --constraints requirements.lock \
	  pyproject.toml --output-file requirements-dev.lock
	@$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-annotate --no-header --python-version 3.11 --no-deps \
	  phasegate/nightly/drift-requirements.in --output-file phasegate/nightly/drift-requirements.lock

clean: ## remove the environment and tool caches; results stay
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
