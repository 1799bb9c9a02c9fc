"""Zero rows of a file: for most tables a failed export, for some an ordinary state."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import openpyxl  # type: ignore[import-untyped] # it ships no types, and only makes workbooks here
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reconciler.collect import Limits, Pull, pull
from reconciler.sdk.connector import Source
from reconciler.sdk.records import IDENTITY, RECORDS
from reconciler.sdk.settings import SourceSettings
from reconciler.snapshot import Snapshot, SnapshotStore
from tests.connectors.files.conftest import Folder

NEEDED = ("people", "approvals", "accounts", "entitlements", "grants", "credentials", "events")
KEYS = {
    table: [name for name in record.__struct_fields__ if name != "source" or table not in IDENTITY]
    for table, record in RECORDS.items()
}


def csv(path: Path, table: str) -> None:
    path.with_suffix(".csv").write_text(",".join(KEYS[table]) + "\n")


def json(path: Path, _table: str) -> None:
    path.with_suffix(".json").write_text("[]")


def xlsx(path: Path, table: str) -> None:
    book = openpyxl.Workbook()
    book.active.append(KEYS[table])
    book.save(path.with_suffix(".xlsx"))


def parquet(path: Path, table: str) -> None:
    pq.write_table(pa.table({name: pa.nulls(0) for name in KEYS[table]}), path.with_suffix(".parquet"))


async def night(source: Source, folder: Folder) -> Snapshot:
    return await pull(
        [Pull(source, "files", SourceSettings(connector="files"))],
        SnapshotStore(folder.path.parent / "snapshots"),
        estate="acme",
        as_of=datetime(2026, 11, 21, tzinfo=UTC),
        limits=Limits(),
        accepted=(),
        report=lambda _progress: None,
    )


@pytest.mark.parametrize("save", [csv, json, xlsx, parquet])
async def test_no_rows_of_a_table_that_every_estate_has_are_a_failed_export(
    save: Callable[[Path, str], None], folder: Folder
) -> None:
    for table in NEEDED:
        save(folder.path / table, table)
        (page,) = await folder.pages(table)
        assert (list(page.rows), page.total) == ([], None)
    snapshot = await night(folder.source(), folder)
    for table in NEEDED:
        assert snapshot.status("qms", table) == "PARTIAL"
        (gap,) = snapshot.gaps("qms", table)
        assert f"{table}.{save.__name__} has no rows, as after an export that failed" in gap
        assert f'set may_be_empty = ["{table}"] in [sources.qms]' in gap


@pytest.mark.parametrize("save", [csv, json, xlsx, parquet])
async def test_may_be_empty_vouches_for_no_rows(save: Callable[[Path, str], None], folder: Folder) -> None:
    for table in NEEDED:
        save(folder.path / table, table)
    snapshot = await night(folder.source(may_be_empty=list(NEEDED)), folder)
    assert {snapshot.status("qms", table) for table in NEEDED} == {"COMPLETE"}


@pytest.mark.parametrize("save", [csv, json, xlsx, parquet])
async def test_having_none_of_the_rest_is_an_ordinary_state(save: Callable[[Path, str], None], folder: Folder) -> None:
    rest = [table for table in RECORDS if table not in NEEDED]
    for table in rest:
        save(folder.path / table, table)
    snapshot = await night(folder.source(), folder)
    assert {snapshot.status("qms", table) for table in rest} == {"COMPLETE"}


async def test_a_single_row_is_enough(folder: Folder) -> None:
    folder.write("people.csv", "person_id\nP1\n")
    (page,) = await folder.pages("people")
    assert (len(page.rows), page.gaps) == (1, ())
