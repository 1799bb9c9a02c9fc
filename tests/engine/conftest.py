"""A snapshot from rows, written by the real writer, and rules from texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.estate.tables import tables
from reconciler.sdk.connector import Status
from reconciler.sdk.records import Record
from reconciler.snapshot import Snapshot, SnapshotStore
from reconciler.snapshot.manifest import CoverageEntry, GapEntry, SourceEntry

NIGHT = datetime(2026, 2, 3, tzinfo=UTC)


@dataclass(frozen=True)
class Read:
    """What one source gave of one table; ``columns`` None: it can fill all of them."""

    source: str
    table: str
    rows: Sequence[Record] = ()
    status: Status = Status.COMPLETE
    gap: str = "the connection broke"
    columns: Sequence[str] | None = None
    unknown: Mapping[str, str] = field(default_factory=dict)
    """Why a column could not be filled this time, by ``table.column``."""


Seal = Callable[[Sequence[Read]], Snapshot]


@pytest.fixture
def seal(tmp_path: Path) -> Seal:
    """Write a snapshot of what sources gave; only COMPLETE tables get a file, as in a real pull."""
    store = SnapshotStore(tmp_path / "snapshots")

    def make(reads: Sequence[Read]) -> Snapshot:
        writer = store.create(estate="test", as_of=NIGHT, started_at=NIGHT)
        coverage: list[CoverageEntry] = []
        reports: dict[str, dict[str, tuple[str, ...]]] = {}
        for read in reads:
            columns = read.columns if read.columns is not None else [c.name for c in tables()[read.table].columns]
            reports.setdefault(read.source, {})[read.table] = tuple(columns)
            part = writer.partition(read.source, read.table)
            part.write(list(read.rows))
            file = part.finish()
            whole = read.status is Status.COMPLETE
            gap = GapEntry(table=read.table, subject="", reason=read.gap, missing_permission="")
            coverage.append(
                CoverageEntry(
                    source=read.source,
                    table=read.table,
                    partition="",
                    status=read.status,
                    rows=len(read.rows),
                    gaps=() if whole else (gap,),
                    files=(file,) if file and whole else (),
                )
            )
        sources = [
            SourceEntry(
                name=name,
                connector="test",
                version="1",
                endpoint="test://",
                reports=tables_of,
                unknown={key: why for read in reads if read.source == name for key, why in read.unknown.items()},
            )
            for name, tables_of in reports.items()
        ]
        return Snapshot(writer.seal(sources=sources, coverage=coverage, sealed_at=NIGHT))

    return make
