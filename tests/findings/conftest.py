from __future__ import annotations

import pytest

from reconciler.findings.store import FindingStore


@pytest.fixture
def store(url: str) -> FindingStore:
    return FindingStore.open(url)
