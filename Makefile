# One word each. `make` alone lists them.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check --no-input install
LOCK := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-annotate \
	--python-version 3.11 pyproject.toml --group build
# What pytest gets on top, as in `make test PYTEST='-k lock -x'`; '-n 0' runs all in one process.
PYTEST ?=
# What the benchmark gets, as in `make bench BENCH='--only put_4k --only-servers ours-embedded,wsgidav-fs'`.
BENCH ?=

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install run test check prove bench lock clean

help:
	@echo 'make install   a .venv with all that running needs'
	@echo 'make run       the drive, with SQLite and a folder, both in ./var'
	@echo 'make test      all tests, and what they need on a bare Debian machine'
	@echo 'make prove     faults, crashes and random days at full length: hours'
	@echo 'make bench     against other servers, as it grows, with slow neighbours: writes docs/benchmarks.md; an hour'
	@echo 'make check     format, lint, types, imports and unit tests; no servers'
	@echo 'make lock      the lock files anew, from pyproject.toml'
	@echo 'make clean     removes what was built; leaves ./var alone'

install: .venv/.runs

run: install
	@$(BIN)/davserver serve

test: .venv/.tests
	@scripts/debian-packages
	$(static)
	@$(BIN)/python -m pytest -n 2 --dist worksteal $(PYTEST)

check: .venv/.tests
	$(static)
	@$(BIN)/python -m pytest -q -m 'not server and not slow' tests/unit tests/house $(PYTEST)

prove: .venv/.tests
	@scripts/debian-packages
	@DAVSERVER_PROVE=1 $(BIN)/python -m pytest -s tests/faults tests/model tests/crash tests/deploy \
		tests/e2e/test_fuzzed.py tests/e2e/test_rest_fuzzed.py $(PYTEST)

bench: .venv/.bench
	@[ -x /usr/sbin/apache2 ] || scripts/debian-packages apache2-bin || true
	@$(BIN)/python -m tests.load.bench $(BENCH)

# What needs no run of the program to be found wrong.
define static
@$(BIN)/ruff format --check --quiet --output-format concise . || { echo 'Format it: .venv/bin/ruff format .' >&2; exit 1; }
@$(BIN)/ruff check --quiet .
@$(BIN)/mypy --no-error-summary
@$(BIN)/lint-imports --no-logo >.venv/imports.txt 2>&1 || { cat .venv/imports.txt >&2; exit 1; }
endef

lock: .venv/bin/uv
	@$(LOCK) --group test --group check -o requirements-dev.lock $(LOCKARGS)
	@$(LOCK) --group bench -c requirements-dev.lock -o requirements-bench.lock $(LOCKARGS)
	@$(LOCK) -c requirements-dev.lock -o requirements.lock $(LOCKARGS)

clean:
	@rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist *.egg-info
	@find . -name __pycache__ -not -path './var/*' -prune -exec rm -rf {} +

# The stamps: a target does its work again only when a lock file or pyproject.toml is newer.

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo 'davserver needs Python 3.11 or newer; name one with: make PYTHON=python3.12 ...' >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || scripts/debian-packages python3-venv
	@$(PYTHON) -m venv .venv

.venv/.runs: requirements.lock pyproject.toml | .venv/bin/python
	@echo 'Installing what running needs into .venv (the first time takes a minute) ...'
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

.venv/.tests: requirements-dev.lock pyproject.toml | .venv/bin/python
	@echo 'Installing what the tests need into .venv (the first time takes a minute or two) ...'
	@$(PIP) --require-hashes -r requirements-dev.lock
	@$(PIP) --no-deps --no-build-isolation -e .
	@touch .venv/.runs $@

.venv/.bench: requirements-bench.lock .venv/.tests
	@$(PIP) --require-hashes -r requirements-bench.lock
	@touch $@

.venv/bin/uv: | .venv/bin/python
	@$(PIP) uv
