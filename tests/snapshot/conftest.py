"""A snapshot in the making, without a pull."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.sdk.connector import Status
from reconciler.sdk.records import Account, Record
from reconciler.snapshot import Snapshot, SnapshotStore
from reconciler.snapshot.manifest import CoverageEntry, SourceEntry

NOW = datetime(2026, 11, 21, 2, 15, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> SnapshotStore:
    return SnapshotStore(tmp_path / "snapshots")


@pytest.fixture
def seal(store: SnapshotStore) -> Callable[..., Snapshot]:
    """Seal rows of one table of one source, as one COMPLETE partition."""

    def make(
        rows: Sequence[Record] = (Account(source="s", account_id="a"),),
        table: str = "accounts",
        started: datetime = NOW,
    ) -> Snapshot:
        writer = store.create(estate="e", as_of=NOW, started_at=started)
        part = writer.partition("s", table)
        part.write(rows)
        file = part.finish()
        reports: dict[str, tuple[str, ...]] = {table: ("account_id",)}
        source = SourceEntry(name="s", connector="c", version="1", endpoint="https://s.test", reports=reports)
        entry = CoverageEntry(
            source="s",
            table=table,
            partition="",
            status=Status.COMPLETE,
            rows=len(rows),
            files=(file,) if file else (),
        )
        return Snapshot(writer.seal(sources=[source], coverage=[entry], sealed_at=NOW))

    return make
