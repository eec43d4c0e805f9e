# Tidemark: every command of the project. `make help` lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.set-up
PACKAGES := protocols sandbox tidemark leaderboard evaluator local

.DEFAULT_GOAL := help
.PHONY: help setup lock demo serve manage test lint format types bench browser clean

help: ## list every command
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## make the Python environment in .venv from requirements.lock

$(STAMP): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Tidemark needs Python 3.11 or newer as $(PYTHON): make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || $(MAKE) --no-print-directory debian PACKAGE=python3-venv
	@echo "Making the Python environment in $(VENV) …"
	@began=$$(date +%s) && \
	{ test -x $(BIN)/pip || $(PYTHON) -m venv $(VENV); } && \
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock && \
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . && \
	echo $$(( $$(date +%s) - began )) > $@

lock: ## write requirements.lock anew from pyproject.toml, with the newest versions
	$(PYTHON) -m venv --clear build/lock
	build/lock/bin/pip install --quiet --disable-pip-version-check 'setuptools>=77' '.[dev]'
	build/lock/bin/pip freeze --all --exclude tidemark --exclude pip > requirements.lock

demo: setup ## run the whole benchmark on simulated images, or on CORPUS=DIR, and serve it (PORT=8000 WORKERS=1 ARRIVALS=1)
	@$(BIN)/python -m local.demo

serve: setup ## serve this machine's Tidemark until Ctrl-C (PORT=8000 WORKERS=1)
	@$(BIN)/python -m local.serve

manage: setup ## run a management command: make manage ARGS="createsuperuser"
	@$(BIN)/python -m local.manage $(ARGS)

test: setup browser ## run every test, with real PostgreSQL, Redis, workers, containers and a browser (ARGS="-k name")
	$(BIN)/pytest $(ARGS)

lint: setup ## check style, formatting, import directions and missing migrations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	@# Without a database it warns that it can't check the history, which is not what is asked here.
	$(BIN)/python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run

format: setup ## format the code and mend what can be mended by itself
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

types: setup ## check the types
	$(BIN)/mypy $(PACKAGES)

bench: setup ## measure what steps, staging, an arrival, the search for duplicates and the pages cost
	@command -v wrk >/dev/null || $(MAKE) --no-print-directory debian PACKAGE=wrk
	$(BIN)/python -m benchmarks

browser: # what the tests drive besides: a browser, and curl for the commands of the README
	@command -v chromium >/dev/null || $(MAKE) --no-print-directory debian PACKAGE=chromium
	@command -v curl >/dev/null || $(MAKE) --no-print-directory debian PACKAGE=curl

clean: ## delete the environment and what was built; var/ with its data stays
	rm -rf $(VENV) build .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info

# Installs PACKAGE as root on Debian and Ubuntu; elsewhere says which command does.
.PHONY: debian
debian:
	@if [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then \
		echo "$(PACKAGE) is missing: sudo apt-get install $(PACKAGE)"; exit 1; fi
	@echo "Installing $(PACKAGE) with apt-get …"
	@DEBIAN_FRONTEND=noninteractive apt-get -qq update
	@DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends $(PACKAGE) >/dev/null
