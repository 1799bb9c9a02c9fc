from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from reconciler.errors import ConfigurationError, StoreError
from reconciler.sdk.connector import Status
from reconciler.sdk.records import Account
from reconciler.snapshot import Snapshot, SnapshotStore
from reconciler.snapshot.manifest import CoverageEntry, FileEntry, GapEntry
from tests.snapshot.conftest import NOW

Seal = Callable[..., Snapshot]


def accounts(count: int) -> list[Account]:
    return [Account(source="s", account_id=f"a{i}") for i in range(count)]


def test_a_sealed_snapshot_is_found_whole(store: SnapshotStore, seal: Seal) -> None:
    made = seal(accounts(3))
    found = store.open(made.snapshot_id)
    found.verify()
    assert store.ids() == [made.snapshot_id]
    assert (latest := store.latest_of("e"))
    assert latest.manifest == made.manifest
    assert (found.as_of, found.manifest.estate) == (NOW, "e")
    assert found.status("s", "accounts") is Status.COMPLETE
    assert found.rows("s", "accounts") == 3
    assert found.sources_of("accounts") == ["s"]
    assert found.sources_of("grants") == []
    assert [path.exists() for path in found.files("accounts", "s")] == [True]
    assert found.files("accounts", "other") == found.files("grants") == []
    assert [entry.status for entry in found.coverage()] == ["COMPLETE"]
    assert store.unsealed() == []


def test_a_table_without_an_entry_is_failed_not_empty(seal: Seal) -> None:
    made = seal()
    assert made.status("s", "grants") is Status.FAILED
    assert made.gaps("s", "grants") == ("no part of this table was read",)
    assert made.gaps("s", "accounts") == ()


def test_status_is_the_worst_partition_and_gaps_are_words(store: SnapshotStore) -> None:
    writer = store.create(estate="e", as_of=NOW, started_at=NOW)
    gap = GapEntry(table="accounts", subject="ou=x", reason="denied", missing_permission="read")
    entries = [
        CoverageEntry(source="s", table="accounts", partition="one", status=Status.COMPLETE, rows=0, provider_count=0),
        CoverageEntry(source="s", table="accounts", partition="two", status=Status.PARTIAL, rows=4, gaps=(gap, gap)),
    ]
    made = Snapshot(writer.seal(sources=[], coverage=entries, sealed_at=NOW))
    assert made.status("s", "accounts") is Status.PARTIAL
    assert made.gaps("s", "accounts") == ("two: ou=x: denied (missing: read)",)
    assert made.coverage()[1].gaps == ["ou=x: denied (missing: read)"] * 2


def test_a_gap_of_the_whole_table_is_said_once(store: SnapshotStore) -> None:
    writer = store.create(estate="e", as_of=NOW, started_at=NOW)
    whole, some = (GapEntry(table="accounts", subject="", reason=r, missing_permission="") for r in ("all", "some"))
    entries = [
        CoverageEntry(
            source="s",
            table="accounts",
            partition=f"p{i}",
            status=Status.PARTIAL,
            rows=0,
            gaps=(whole, some) if i else (whole,),
        )
        for i in range(6)
    ]
    made = Snapshot(writer.seal(sources=[], coverage=entries, sealed_at=NOW))
    assert made.gaps("s", "accounts") == ("all", "p1, p2, p3 and 2 more: some")


def test_a_folder_under_another_name_is_refused(store: SnapshotStore, seal: Seal) -> None:
    made = seal()
    other = made.folder.with_name("20261121T021500Z-ffffff")
    made.folder.rename(other)
    with pytest.raises(StoreError, match="another snapshot"):
        store.open(other.name)


def test_a_manifest_that_leads_out_of_its_folder_is_refused(store: SnapshotStore) -> None:
    for path in ("/etc/passwd", "../x.parquet"):
        writer = store.create(estate="e", as_of=NOW, started_at=NOW)
        file = FileEntry(path=path, rows=1, bytes=1, sha256="")
        entry = CoverageEntry(source="s", table="accounts", partition="", status=Status.COMPLETE, rows=1, files=(file,))
        with pytest.raises(StoreError, match="outside its folder"):
            Snapshot(writer.seal(sources=[], coverage=[entry], sealed_at=NOW))


def test_ids_sort_by_time_even_within_a_second_and_when_the_clock_goes_back(seal: Seal, store: SnapshotStore) -> None:
    made = [seal(started=NOW - timedelta(hours=i % 3)).snapshot_id for i in range(40)]
    assert store.ids() == made[::-1] == sorted(made, reverse=True)


def test_rows_of_what_is_not_complete_are_not_sealed(store: SnapshotStore) -> None:
    writer = store.create(estate="e", as_of=NOW, started_at=NOW)
    part = writer.partition("s", "accounts")
    part.write(accounts(2))
    file = part.finish()
    assert file
    entry = CoverageEntry(source="s", table="accounts", partition="", status=Status.PARTIAL, rows=2)
    with pytest.raises(ValueError, match="only COMPLETE"):
        writer.seal(sources=[], coverage=[msgspec.structs.replace(entry, files=(file,))], sealed_at=NOW)
    made = Snapshot(writer.seal(sources=[], coverage=[entry], sealed_at=NOW))
    assert sorted(path.name for path in made.folder.rglob("*")) == ["manifest.json"]


def test_a_discarded_attempt_leaves_nothing_behind(store: SnapshotStore) -> None:
    writer = store.create(estate="e", as_of=NOW, started_at=NOW)
    part = writer.partition("s", "accounts")
    part.write(accounts(70_000))
    part.discard()
    assert list(writer.folder.rglob("*.parquet")) == []
    part.write(accounts(2))
    file = part.finish()
    assert file
    assert (file.rows, part.rows, len(part.keys)) == (2, 2, 2)
    assert [values for (values,) in writer.read(file, ["account_id"])] == [("a0", "a1")]


def test_a_partition_without_rows_has_no_file(store: SnapshotStore) -> None:
    writer = store.create(estate="e", as_of=NOW, started_at=NOW)
    assert writer.partition("s", "accounts").finish() is None
    writer.abandon()
    assert list(store.folder.glob("2*")) == []


def test_sources_of_any_name_stay_inside_the_folder(store: SnapshotStore) -> None:
    writer = store.create(estate="e", as_of=NOW, started_at=NOW)
    for name in ("../../etc", "a/b", "ü" * 300, ".."):
        part = writer.partition(name, "accounts")
        part.write([Account(source=name, account_id="a")])
        part.finish()
    assert len(list((writer.folder / "accounts").glob("*.parquet"))) == 4
    writer.abandon()


def test_an_unknown_id_names_the_nearest(store: SnapshotStore, seal: Seal) -> None:
    with pytest.raises(ConfigurationError) as none:
        store.open("20261121T021500Z-000000")
    assert "pull" in none.value.advice
    made = seal()
    with pytest.raises(ConfigurationError) as caught:
        store.open(made.snapshot_id[:-2])
    assert made.snapshot_id in caught.value.advice


def test_a_snapshot_opens_by_its_path(store: SnapshotStore, seal: Seal, tmp_path: Path) -> None:
    made = seal()
    elsewhere = tmp_path / made.snapshot_id
    made.folder.rename(elsewhere)
    assert store.open(str(elsewhere)).snapshot_id == made.snapshot_id


def test_an_unsealed_one_is_reported_and_never_opened(store: SnapshotStore, seal: Seal) -> None:
    sealed = seal()
    left = store.folder / "20261120T021500Z-abcdef.unsealed"
    left.mkdir()
    (left / "manifest.json").write_bytes((sealed.folder / "manifest.json").read_bytes())
    assert store.unsealed() == [left]
    assert store.ids() == [sealed.snapshot_id]
    for name in ("20261120T021500Z-abcdef", left.name, str(left)):
        with pytest.raises(ConfigurationError, match="never sealed"):
            store.open(name)


def test_the_folder_need_not_be_there_yet(store: SnapshotStore) -> None:
    assert (store.ids(), store.latest_of("e"), store.unsealed()) == ([], None, [])


def _edit(folder: Path, change: Callable[[dict[str, object]], object]) -> None:
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_a_manifest_altered_in_any_place_is_refused(store: SnapshotStore, seal: Seal) -> None:
    made = seal()
    kept = (made.folder / "manifest.json").read_text()
    for change, says in (
        (lambda c: c["coverage"][0].update(rows=2), "altered"),
        (lambda c: c["coverage"][0].update(status="FAILED"), "altered"),
        (lambda c: c.update(as_of="2026-11-22T00:00:00Z"), "altered"),
        (lambda c: c.update(digest=""), "altered"),
        (lambda c: c["coverage"].clear(), "altered"),
        (lambda c: c.update(extra=1), "damaged"),
        (lambda c: c.pop("coverage"), "damaged"),
        (lambda c: c.update(format=2), "format 2"),
    ):
        _edit(made.folder, change)
        with pytest.raises(StoreError, match=says) as caught:
            store.open(made.snapshot_id)
        assert caught.value.advice
        (made.folder / "manifest.json").write_text(kept)
    for text in (kept[: len(kept) // 2], "", "\ufffd", "[]"):
        (made.folder / "manifest.json").write_text(text)
        with pytest.raises(StoreError, match="damaged"):
            store.open(made.snapshot_id)
    (made.folder / "manifest.json").unlink()
    with pytest.raises(StoreError, match="cannot read"):
        store.latest_of("e")


def test_an_altered_or_missing_file_is_named(seal: Seal) -> None:
    made = seal(accounts(10))
    (path,) = made.files("accounts")
    content = bytearray(path.read_bytes())
    content[20] ^= 1
    path.write_bytes(content)
    with pytest.raises(StoreError, match=f"{path.name} was altered"):
        made.verify()
    path.unlink()
    with pytest.raises(StoreError, match=path.name):
        made.verify()


def _try_to_pull(folder: str, answer: multiprocessing.Queue[str]) -> None:
    try:
        SnapshotStore(Path(folder)).create(estate="e", as_of=NOW, started_at=NOW)
    except StoreError as error:
        answer.put(error.message)
    else:
        answer.put("no error")


def test_one_pull_at_a_time(store: SnapshotStore) -> None:
    writer = store.create(estate="e", as_of=NOW, started_at=NOW)
    assert store.unsealed() == []
    context = multiprocessing.get_context("spawn")
    answer: multiprocessing.Queue[str] = context.Queue()
    other = context.Process(target=_try_to_pull, args=(str(store.folder), answer))
    other.start()
    assert f"another pull is under way in {store.folder} (process {os.getpid()})" in answer.get(timeout=60)
    other.join()
    writer.abandon()
    store.create(estate="e", as_of=NOW, started_at=NOW).abandon()


def test_instants_name_their_zone(store: SnapshotStore) -> None:
    with pytest.raises(ValueError, match="time zone"):
        store.create(estate="e", as_of=datetime(2026, 1, 1), started_at=NOW)  # noqa: DTZ001 - the point
