"""What is known from earlier nights is sealed with the rows, and a snapshot without it has an empty memory."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest

from reconciler.errors import StoreError
from reconciler.sdk.connector import Status
from reconciler.snapshot import Snapshot, SnapshotStore
from reconciler.snapshot.manifest import CoverageEntry, SourceEntry
from reconciler.snapshot.memory import Memory, RememberedLink

NOW = datetime(2026, 11, 21, 2, 15, tzinfo=UTC)
BEFORE = NOW - timedelta(days=1)
LINKS = (
    RememberedLink("s", "a", "p1", "linked", "email", 0.9, BEFORE),
    RememberedLink("s", "a", "p2", "rejected", "manual", None, None),
)
MEMORY = Memory(
    links=LINKS,
    complete={"s": {"accounts": BEFORE, "grants": BEFORE}, "gone": {"people": BEFORE}},
    evaluated={"IG-ORP-001": BEFORE},
)


def sealed(store: SnapshotStore, memory: Memory | None = MEMORY, *, estate: str = "e") -> Snapshot:
    """Seal accounts read whole and grants in part, credentials not at all."""
    writer = store.create(estate=estate, as_of=NOW, started_at=NOW)
    if memory is not None:
        writer.remember(memory)
    reports: dict[str, tuple[str, ...]] = dict.fromkeys(("accounts", "grants", "credentials"), ("source",))
    coverage = [
        CoverageEntry(source="s", table=table, partition=part, status=status, rows=0)
        for table, part, status in (
            ("accounts", "", Status.COMPLETE),
            ("grants", "1", Status.COMPLETE),
            ("grants", "2", Status.PARTIAL),
        )
    ]
    source = SourceEntry(name="s", connector="c", version="1", endpoint="https://s.test", reports=reports)
    return Snapshot(writer.seal(sources=[source], coverage=coverage, sealed_at=NOW))


def test_links_come_back_as_they_were_remembered(store: SnapshotStore) -> None:
    snapshot = sealed(store)
    path = snapshot.remembered_links()
    assert path is not None
    assert [RememberedLink(**row) for row in pq.read_table(path).to_pylist()] == list(LINKS)
    snapshot.verify()


def test_a_table_is_fresh_since_the_last_pull_that_read_all_of_it(store: SnapshotStore) -> None:
    snapshot = sealed(store)
    assert {(row.source, row.table_name): row.complete_at for row in snapshot.freshness()} == {
        ("s", "accounts"): NOW,
        ("s", "grants"): BEFORE,
        ("s", "credentials"): None,
    }
    assert snapshot.complete_at()["gone"] == {"people": BEFORE}, "a source that comes back is not new"
    assert [(row.rule_id, row.evaluated_at) for row in snapshot.rule_evaluations()] == [("IG-ORP-001", BEFORE)]


def test_a_snapshot_of_before_there_was_a_memory_is_read_as_ever(store: SnapshotStore) -> None:
    snapshot = sealed(store, None)
    assert snapshot.remembered_links() is None
    assert snapshot.rule_evaluations() == ()
    assert snapshot.complete_at() == {"s": {"accounts": NOW}}
    assert "memory" not in (snapshot.folder / "manifest.json").read_text()
    snapshot.verify()


@pytest.mark.parametrize("name", ["memory/links.parquet", "memory/notes.json"])
def test_an_altered_memory_is_found(store: SnapshotStore, name: str) -> None:
    snapshot = sealed(store)
    with (snapshot.folder / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(StoreError, match="altered after it was sealed"):
        snapshot.verify()


def test_a_damaged_memory_is_named(store: SnapshotStore) -> None:
    snapshot = sealed(store)
    (snapshot.folder / "memory/notes.json").write_text("{")
    with pytest.raises(StoreError, match=r"notes\.json is damaged"):
        snapshot.freshness()


def test_the_newest_snapshot_is_that_of_the_estate(store: SnapshotStore, seal: Callable[..., Snapshot]) -> None:
    mine = sealed(store, estate="mine")
    seal()
    found = store.latest_of("mine")
    assert found is not None
    assert found.snapshot_id == mine.snapshot_id
    assert store.latest_of("nobody's") is None
