"""Mail servers, and the secrets of each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.settings import Settings
from tests.notices.posts import LOCAL, PASSWORD, SECRET, Post, configured


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAIL_PASSWORD", PASSWORD)
    monkeypatch.setenv("HOOK", SECRET)
    monkeypatch.setenv("UMLAUT", "pässword")


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    with Post(tmp_path) as server:
        yield server


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[tuple[Post, Settings]]:
    with Post(tmp_path, plain=True) as server:
        yield server, configured(tmp_path, LOCAL.format(port=server.port))
