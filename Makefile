# Two commands do all set-up on a fresh machine with Python 3.11: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.synced
# Hundreds of commands are started: to compile a thousand modules for each takes longer than what they do.
unexport PYTHONDONTWRITEBYTECODE
DEBIAN := slapd ldap-utils postgresql chromium 389-ds-base samba samba-ad-provision samba-dsdb-modules samba-vfs-modules winbind \
  openjdk-17-jre-headless request-tracker5 rt5-db-sqlite rt5-standalone dbconfig-no-thanks msmtp-mta

.PHONY: demo test thorough bench lint fmt setup servers clean

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

# Many tests wait for a server: three at once keep two cores busy.
PYTEST := $(BIN)/pytest --numprocesses=3 --dist=loadfile --no-loadscope-reorder

# The servers' packages are fetched while the linters compute.
test: setup
	@$(MAKE) --no-print-directory --jobs=2 servers lint
	QUICK=1 $(PYTEST) $(PYTEST_ARGS)

# The same tests as far as they go, in an hour: 400 tickets through every connector by each way of creating, on both
# databases; every case of every rule on Apache Spark; new examples each time; and how much of the code they cover.
thorough: setup servers lint
	$(PYTEST) --cov --cov-report=term $(PYTEST_ARGS)

# python3-ldap runs under Debian's own Python: it is what the LDAP connector is measured against.
bench: setup
	@$(PYTHON) tests/servers/install.py slapd python3-ldap openjdk-17-jre-headless
	$(BIN)/python -m tests.bench

fmt: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) .uv dist build demo .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
