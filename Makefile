# Everything a checkout needs, with nothing installed but Python 3.11, make and a POSIX shell.
# All of it goes into .venv; a target that is up to date does nothing.

PYTHON ?= python3
PYTEST_ARGS ?=
NATIVE ?= 1

BIN := .venv/bin
STAMPS := .venv/stamps
PIP := $(BIN)/python -m pip --quiet --no-input --disable-pip-version-check
PINNED := $(PIP) install --require-hashes --no-deps

# The stamps of what one machine needs and another does not.
compiler := $(shell command -v $(CC) || command -v gcc || command -v clang)
native := $(if $(filter 0,$(NATIVE)),,$(STAMPS)/native-$(or $(notdir $(compiler)),none))
postgresql := $(if $(shell command -v postgres || ls /usr/lib/postgresql/*/bin/postgres 2>/dev/null),,$(STAMPS)/postgresql-server)

# Whether the .venv was made here: in a copy of a checkout its programs would run the original's code.
ours := $(shell grep -qsF -e " $(realpath .venv)" -e " $(CURDIR)/.venv" .venv/pyvenv.cfg && echo yes)

# A package that the caller's PYTHONPATH shows would count as installed.
unexport PYTHONPATH

.NOTPARALLEL:
.PHONY: always help setup run test lint bench format blocklist lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' Makefile

setup: $(STAMPS)/watchword $(native) ## make .venv/bin/watchword (PYTHON=python3.12; NATIVE=0: do not compile Argon2)

ifndef WATCHWORD_ISSUER_FILE
ifneq (,$(filter 127.0.0.1:% localhost:%,$(BIND)))
# Where the `curl` leads that is printed, and whose tokens are given.
run: export WATCHWORD_ISSUER ?= http://$(BIND)
endif
endif
run: setup ## create what is missing, then serve (BIND=127.0.0.1:9000)
	@$(BIN)/watchword init
	@exec $(BIN)/watchword serve $(if $(BIND),--bind "$(BIND)")

test: setup $(STAMPS)/develop $(postgresql) ## run every test (PYTEST_ARGS="-k login")
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

lint: setup $(STAMPS)/develop ## check style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup $(STAMPS)/develop $(postgresql) ## measure beside Flask, fastapi-users and Quart, write docs/performance.md (QUICK=1: a minute)
	$(BIN)/python -m benchmarks $(if $(QUICK),--quick)

format: $(STAMPS)/develop ## put the code in shape
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

blocklist: $(STAMPS)/develop ## make the list of common passwords anew that comes with the package
	$(BIN)/python scripts/build_blocklist.py

clean: ## remove all that make made; the instance folder stays
	rm -rf .venv dist .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- what .venv is made of ---------------------------------------------------------------------------------------

# Without its stamp a .venv is half made, or not ours: begin again.
$(STAMPS)/venv: $(if $(ours),,always)
	@$(PYTHON) -c 'import sys; sys.exit("Watchword needs Python 3.11 or newer, and $(PYTHON) is %d.%d: make setup PYTHON=python3.12" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@echo "Making .venv"
	@$(PYTHON) -m venv --clear .venv
	@mkdir $(STAMPS) && touch $@

$(STAMPS)/service: requirements/service.txt $(STAMPS)/venv
	@echo "Installing requirements/service.txt"
	@$(PINNED) -r $<
	@touch $@

# The build tools stand beside site-packages, so that the service cannot import them.
$(STAMPS)/watchword: pyproject.toml requirements/build.txt $(STAMPS)/service
	@echo "Installing Watchword itself, editable"
	@rm -rf .venv/build-tools
	@$(PINNED) --target .venv/build-tools -r requirements/build.txt
	@PYTHONPATH=.venv/build-tools $(PIP) install --no-build-isolation --no-deps -e .
	@touch $@

$(STAMPS)/native-%: scripts/native-argon2 requirements/native.txt $(STAMPS)/service
	@sh scripts/native-argon2
	@touch $@

$(STAMPS)/develop: requirements/develop.txt $(STAMPS)/watchword
	@echo "Installing requirements/develop.txt"
	@$(PINNED) -r $<
	@touch $@

$(STAMPS)/postgresql-server: requirements/postgresql-server.txt $(STAMPS)/develop
	@echo "Installing requirements/postgresql-server.txt"
	@$(PINNED) -r $<
	@touch $@

# --- the pins ----------------------------------------------------------------------------------------------------

UV := .venv/lock/bin/uv
COMPILE = $(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
  --no-emit-index-url --no-annotate --custom-compile-command "make lock"

# Each file is resolved within the ones before it where both end up in one site-packages.
lock: ## pin the newest versions that pyproject.toml allows, with hashes
	$(PYTHON) -m venv --clear .venv/lock
	.venv/lock/bin/python -m pip --quiet --no-input --disable-pip-version-check install uv
	$(COMPILE) pyproject.toml --extra postgresql -o requirements/service.txt
	$(COMPILE) --group develop -c requirements/service.txt -o requirements/develop.txt
	$(COMPILE) requirements/postgresql-server.in -c requirements/service.txt -c requirements/develop.txt -o requirements/postgresql-server.txt
	$(COMPILE) requirements/build.in -c requirements/develop.txt -o requirements/build.txt
	$(COMPILE) requirements/native.in -o requirements/native.txt
	for peer in flask fastapi_users quart; do $(COMPILE) benchmarks/requirements/$$peer.in -o benchmarks/requirements/$$peer.txt || exit 1; done
	rm -rf .venv/lock
