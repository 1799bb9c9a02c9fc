"""What holds for every test."""

from __future__ import annotations

import pytest

from reconciler import log


@pytest.fixture(autouse=True)
def _secrets_of_one_test_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what a test hides: its password would be taken out of every later test's messages."""
    monkeypatch.setattr(log, "_hidden", set(log._hidden))
