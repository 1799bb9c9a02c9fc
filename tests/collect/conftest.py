"""Pull a source into a store, without waiting between retries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from reconciler.collect import Acceptance, Limits, Progress, Pull, pull
from reconciler.sdk.connector import Source
from reconciler.sdk.settings import SourceSettings
from reconciler.snapshot import Snapshot, SnapshotStore

NOW = datetime(2026, 11, 21, 2, 15, tzinfo=UTC)


class Night:
    """One store, and pulls into it; keeps what the last pull waited and reported."""

    def __init__(self, folder: Path) -> None:
        self.store = SnapshotStore(folder)
        self.waits: list[float] = []
        self.progress: list[Progress] = []
        self.accepted: list[Acceptance] = []
        self.limits = Limits()
        self.matchers: Sequence[str] = ("employee_id", "email", "login")

    async def pull(self, *sources: Source, estate: str = "acme", **settings: Any) -> Snapshot:
        self.waits, self.progress = [], []
        made = SourceSettings(connector="simulated", **settings)
        return await pull(
            [Pull(source, "simulated", made) for source in sources],
            self.store,
            estate=estate,
            as_of=NOW,
            limits=self.limits,
            accepted=self.accepted,
            report=self.progress.append,
            matchers=self.matchers,
            sleep=self._sleep,
        )

    def run(self, *sources: Source, **settings: Any) -> Snapshot:
        return asyncio.run(self.pull(*sources, **settings))

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(0)


@pytest.fixture
def night(tmp_path: Path) -> Night:
    return Night(tmp_path / "snapshots")


@pytest.fixture
def ids() -> Callable[[Snapshot, str], Sequence[str]]:
    """Read the key column of a table's sealed rows."""
    import duckdb

    def read(snapshot: Snapshot, table: str) -> Sequence[str]:
        files = [str(path) for path in snapshot.files(table)]
        column = {"accounts": "account_id", "credentials": "credential_id", "entitlements": "entitlement_id"}
        name = column.get(table, "principal_id || entitlement_id")
        if not files:
            return []
        query = f"SELECT {name} FROM read_parquet(?)"  # noqa: S608 - our own names
        return [row[0] for row in duckdb.execute(query, [files]).fetchall()]

    return read
