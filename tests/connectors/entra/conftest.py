"""A simulated tenant on loopback, sources that read it, and a walk over whole tables."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pyarrow import parquet

from connectors.entra import Settings, open_source
from connectors.entra.source import EntraSource
from reconciler.collect import Limits, Pull, pull
from reconciler.estate.tables import tables
from reconciler.sdk.connector import Gap, Partition, Status
from reconciler.snapshot.columns import key_columns
from reconciler.snapshot.store import Snapshot, SnapshotStore
from tests.simulators.graph.sample import sample
from tests.simulators.graph.server import CLIENT_ID, READER, SECRET, GraphSimulator

EVERYTHING = READER | {"Member.Read.Hidden"}
Opener = Callable[..., EntraSource]


@dataclass
class Part:
    """One partition of one table, read to its end."""

    rows: list[Any] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    total: int | None = None
    pages: int = 0
    canaries: set[str] = field(default_factory=set)

    def by(self, column: str) -> dict[str, Any]:
        """Return the rows by one column, which must be unique."""
        found = {getattr(row, column): row for row in self.rows}
        assert len(found) == len(self.rows)
        return found


async def read(source: EntraSource, table: str, part: str) -> Part:
    """Read one partition page by page."""
    found, cursor = Part(), None
    while True:
        page = await source.page(table, Partition(part), cursor)
        found.rows += page.rows
        found.gaps += page.gaps
        found.total = page.total if page.total is not None else found.total
        found.canaries |= page.canaries
        found.pages += 1
        cursor = page.next
        if cursor is None:
            return found


def settings(graph: GraphSimulator, **changes: Any) -> Settings:
    """Settings of a reader of the simulated tenant."""
    given: dict[str, Any] = {
        "connector": "entra",
        "tenant_id": graph.tenant.tenant_id,
        "client_id": CLIENT_ID,
        "client_secret": "env:ENTRA_SECRET",
        "authority_url": graph.authority,
        "endpoint_url": graph.url,
        "ca_file": str(graph.ca_file),
    }
    return Settings(**{name: value for name, value in (given | changes).items() if value is not None})


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENTRA_SECRET", SECRET)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def graph() -> Iterator[GraphSimulator]:
    """A small company with everything in it."""
    with GraphSimulator(sample(), roles=EVERYTHING) as server:
        yield server


@pytest_asyncio.fixture
async def opened() -> AsyncIterator[Opener]:
    """Open sources that are closed when the test ends."""
    sources: list[EntraSource] = []

    def opener(graph: GraphSimulator, **changes: Any) -> EntraSource:
        sources.append(open_source("entra", settings(graph, **changes), Path("/")))
        return sources[-1]

    yield opener
    for source in sources:
        await source.close()


async def pull_whole(source: EntraSource, given: Settings, folder: Path) -> Snapshot:
    """Pull as the product does; nothing waits between retries but what Graph itself asked for."""
    return await pull(
        [Pull(source, "entra", given)],
        SnapshotStore(folder / "snapshots"),
        estate="acme",
        as_of=datetime(2026, 11, 21, tzinfo=UTC),
        limits=Limits(),
        accepted=[],
        report=lambda _: None,
        sleep=_at_once,
    )


async def _at_once(seconds: float) -> None:
    del seconds


@dataclass(frozen=True)
class Sealed:
    """What a pull said of one partition, and the keys of the rows that it sealed."""

    status: Status
    gaps: tuple[str, ...]
    keys: frozenset[tuple[Any, ...]]


def sealed(snapshot: Snapshot) -> dict[tuple[str, str], Sealed]:
    """Return every partition of a snapshot."""
    found = {}
    for entry in snapshot.manifest.coverage:
        names = key_columns(tables()[entry.table])
        keys: set[tuple[Any, ...]] = set()
        for file in entry.files:
            rows = parquet.read_table(snapshot.folder / file.path, columns=list(names)).to_pylist()
            keys.update(tuple(row[name] for name in names) for row in rows)
        gaps = tuple(gap.words for gap in entry.gaps)
        found[entry.table, entry.partition] = Sealed(entry.status, gaps, frozenset(keys))
    return found
