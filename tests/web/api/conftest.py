"""Servers that listen, and the secrets that their senders sign with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.web.api import app
from reconciler.web.api.deliveries import Deliveries
from tests.servers.slapd import READER_PASSWORD
from tests.web.api import serving
from tests.web.api.serving import GITHUB, OLD, STANDARD, Here, on_sqlite, served


@pytest.fixture(autouse=True, scope="module")
def _secrets() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOOK", STANDARD)
        patch.setenv("HOOK_OLD", OLD)
        patch.setenv("HOOK_GITHUB", GITHUB)
        patch.setenv("LDAP_PASSWORD", READER_PASSWORD)
        yield


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database with its tables, to be copied."""
    path = tmp_path_factory.mktemp("empty") / "reconciler.db"
    Deliveries(f"sqlite:///{path}")
    return path


@pytest.fixture
def here(tmp_path: Path, url: str) -> Iterator[Here]:
    settings = serving.configured(tmp_path, url)
    with served(app(settings)) as address:
        yield Here(address, settings, tmp_path)


@pytest.fixture
def local(tmp_path: Path, empty: Path) -> Iterator[Here]:
    """The same on SQLite alone, for what does not depend on the database."""
    settings = on_sqlite(tmp_path, empty)
    with served(app(settings)) as address:
        yield Here(address, settings, tmp_path)


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory, empty: Path) -> Iterator[Here]:
    """One server for all that is refused: nothing is ever kept there."""
    folder = tmp_path_factory.mktemp("strict")
    settings = on_sqlite(folder, empty)
    with served(app(settings)) as address:
        yield Here(address, settings, folder)
