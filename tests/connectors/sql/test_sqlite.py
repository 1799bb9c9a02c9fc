from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.collect import Limits, Pull, pull
from reconciler.connectors import load
from reconciler.sdk.connector import Partition, Status
from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused, Unreachable
from reconciler.snapshot.store import SnapshotStore
from tests.connectors.sql.conftest import PEOPLE, STAFF, Qms


async def test_a_pull_seals_what_is_whole_and_names_what_is_not(file: Qms, tmp_path: Path) -> None:
    queries = {"people": PEOPLE, "suppliers": "SELECT id AS supplier_id FROM vendors", "contracts": PEOPLE}
    connector = load("sql")
    settings = connector.Settings.model_validate(
        {
            "connector": "sql",
            "url": file.url,
            "queries": {**queries, "contracts": "SELECT id AS contract_id, 'x' AS headcount FROM staff"},
        }
    )
    snapshot = await pull(
        [Pull(connector.open_source("qms", settings, file.folder), "sql", settings)],
        SnapshotStore(tmp_path / "snapshots"),
        estate="acme",
        as_of=datetime(2026, 11, 21, tzinfo=UTC),
        limits=Limits(),
        accepted=(),
        report=lambda _: None,
    )
    assert snapshot.status("qms", "people") is Status.COMPLETE
    assert snapshot.rows("qms", "people") == len(STAFF)
    assert snapshot.status("qms", "suppliers") is Status.FAILED
    assert snapshot.status("qms", "contracts") is Status.FAILED
    assert any("row 1, column headcount: 'x' is no whole number" in gap for gap in snapshot.gaps("qms", "contracts"))
    assert len(snapshot.gaps("qms", "suppliers")) == 1


async def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="unable to open"):
        await Qms("sqlite:///missing.db", tmp_path).source().check()
    assert not (tmp_path / "missing.db").exists()


async def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path: Path) -> None:
    (tmp_path / "qms.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(Misbehaved, match="not a database"):
        await Qms("sqlite:///qms.db", tmp_path).source().check()


async def test_a_lock_is_waited_for_so_long_and_no_longer(file: Qms) -> None:
    writer = sqlite3.connect(file.folder / "qms.db", isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    with pytest.raises(Unreachable, match="locked") as caught:
        await file.source(lock_seconds=1).check()
    assert caught.value.restart
    writer.close()
    assert await file.source().check() == []


async def test_a_query_without_end_is_interrupted(file: Qms) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS person_id FROM n WHERE i < 0"
    with pytest.raises(Unreachable, match="interrupted"):
        await file.pages(queries={"people": endless}, statement_seconds=1)


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?uri=true"])
async def test_a_url_that_names_no_file_is_a_configuration_error(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"\[sources.qms\] url"):
        await Qms(url, tmp_path).source().check()


@pytest.mark.parametrize("url", ["nosuchdb://host/x", "mysql+pymysql://reader@host/x"])
async def test_a_driver_that_is_missing_is_a_configuration_error(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigurationError, match="driver is not installed"):
        await Qms(url, tmp_path).source().check()


async def test_attaching_another_file_gives_no_rows(file: Qms) -> None:
    with pytest.raises((Refused, Unreachable)):
        await file.pages(queries={"people": "ATTACH 'other.db' AS other"})
    assert not (file.folder / "other.db").exists()


async def test_a_table_without_a_query_is_none_of_this_source_s(file: Qms) -> None:
    with pytest.raises(Misbehaved):
        await file.source().partitions("suppliers", None)  # type: ignore[arg-type] # not looked at
    source = file.source()
    assert await source.partitions("people", None) == (Partition(),)  # type: ignore[arg-type] # as above
