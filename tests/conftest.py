"""What holds for every test."""

from __future__ import annotations

import sys

import pytest
from hypothesis import settings

from reconciler import log

# pyspark takes a process whose main module has no file, as a worker of pytest-xdist is, for a run of its own doctests.
vars(sys.modules["__main__"]).setdefault("__file__", __file__)

# Machines are shared and noisy: how long an example takes says nothing of the code.
settings.register_profile("reconciler", deadline=None)
settings.load_profile("reconciler")


@pytest.fixture(autouse=True)
def _secrets_of_one_test_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what a test hides: its password would be taken out of every later test's messages."""
    monkeypatch.setattr(log, "_hidden", set(log._hidden))
