from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.findings.store import FindingStore
from tests.servers.postgres import Server, postgres


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


@pytest.fixture
def store(url: str) -> FindingStore:
    return FindingStore.open(url)
