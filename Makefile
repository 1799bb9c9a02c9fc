# Two commands do all set-up on a fresh machine with Python 3.11: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.synced
DEBIAN := slapd ldap-utils postgresql chromium 389-ds-base samba samba-ad-provision samba-dsdb-modules samba-vfs-modules winbind \
  openjdk-17-jre-headless request-tracker5 rt5-db-sqlite rt5-standalone dbconfig-no-thanks msmtp-mta

.PHONY: demo test fire bench lint fmt setup servers clean

# uv lives in a venv of its own, so that nothing is installed outside this folder.
.uv/bin/uv:
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; set PYTHON=..." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .uv
	.uv/bin/pip install --quiet uv

$(STAMP): .uv/bin/uv pyproject.toml uv.lock
	UV_PROJECT_ENVIRONMENT=$(VENV) .uv/bin/uv sync --frozen --all-extras --quiet --python $(PYTHON)
	@touch $@

setup: $(STAMP)

# The demo needs nothing but Python: its company is served on loopback by in-process servers.
demo: setup
	$(BIN)/python -m tests.demo

# Real servers that the tests start themselves, on free loopback ports.
servers:
	@$(PYTHON) tests/servers/install.py $(DEBIAN)

lint: setup
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy --no-error-summary
	$(BIN)/lint-imports --no-logo

# Many tests wait for a server: three at once keep two cores busy. `make fire` is thorough where this is quick.
test: setup servers lint
	FIRE_TICKETS=100 $(BIN)/pytest --numprocesses=3 --dist=loadfile --no-loadscope-reorder --cov --cov-report=term $(PYTEST_ARGS)

# Every connector that files, by each way of creating, on both databases: 400 tickets each.
fire: setup servers
	$(BIN)/pytest --numprocesses=3 --dist=loadfile tests/filing/test_fire.py tests/connectors/*/test_fire.py

# python3-ldap runs under Debian's own Python: it is what the LDAP connector is measured against.
bench: setup
	@$(PYTHON) tests/servers/install.py slapd python3-ldap openjdk-17-jre-headless
	$(BIN)/python -m tests.bench

fmt: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .uv dist build demo .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
