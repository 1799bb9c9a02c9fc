"""What holds for every test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from reconciler import log
from tests.effort import QUICK
from tests.servers.postgres import Server, postgres

# pyspark takes a process whose main module has no file, as a worker of pytest-xdist is, for a run of its own doctests.
vars(sys.modules["__main__"]).setdefault("__file__", __file__)

# Machines are shared and noisy: how long an example takes says nothing of the code. Where it is to go quickly, examples
# are the same each time, so that what fails is the change at hand.
settings.register_profile(
    "reconciler", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=QUICK, print_blob=True
)
settings.load_profile("reconciler")


_LONG = ("test_apache_spark", "test_fire", "test_spark", "test_real", "test_truth", "test_clean", "test_demo")
"""What the names of files begin with that take minutes, though their tests are few."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files: processes that share the tests then end together."""
    items.sort(key=lambda item: not item.path.name.startswith(_LONG))


@pytest.fixture(autouse=True)
def _secrets_of_one_test_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what a test hides: its password would be taken out of every later test's messages."""
    monkeypatch.setattr(log, "_hidden", set(log._hidden))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    with postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, once on each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'reconciler.db'}"
    server: Server = request.getfixturevalue("postgres_server")
    return server.url(server.new_database())
