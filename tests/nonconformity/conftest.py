from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def file(tmp_path: Path) -> str:
    """The URL of an empty SQLite database, where one kind is enough."""
    return f"sqlite:///{tmp_path / 'reconciler.db'}"
