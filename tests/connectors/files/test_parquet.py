from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.connectors.files.conftest import Folder, SmallPages

NAIVE = datetime(2026, 7, 1, 12)  # noqa: DTZ001 - a time without a zone is the point


def save(folder: Folder, table: str, **columns: Any) -> None:
    pq.write_table(pa.table(columns), folder.path / f"{table}.parquet")


async def test_rows_come_with_the_count_of_the_footer(folder: Folder, small_pages: SmallPages) -> None:
    small_pages(2)
    save(folder, "people", person_id=["P1", "P2", "P3"], kind=["employee", "Supplier", None])
    first, second = await folder.pages("people")
    assert [getattr(row, "kind", "") for row in (*first.rows, *second.rows)] == ["employee", "supplier", None]
    assert (first.next, first.total) == ("2", 3)
    assert (second.next, second.total) == (None, 3)


async def test_no_rows_are_counted_too(folder: Folder) -> None:
    save(folder, "suppliers", supplier_id=pa.array([], pa.string()))
    (page,) = await folder.pages("suppliers")
    assert (list(page.rows), page.total) == ([], 0)


def test_every_type_that_fits_is_read(folder: Folder) -> None:
    moment = datetime(2026, 3, 31, 10, tzinfo=UTC)
    save(
        folder,
        "accounts",
        account_id=pa.array(["A1"], pa.large_string()),
        status=pa.array(["enabled"]).dictionary_encode(),
        mfa_enrolled=[True],
        created_at=pa.array([moment], pa.timestamp("ns", tz="Europe/Amsterdam")),
        expires_at=pa.array([moment], pa.timestamp("s", tz="+02:00")),
        deleted_at=pa.nulls(1),
    )
    account = folder.one("accounts")
    assert (account.status, account.mfa_enrolled, account.deleted_at) == ("enabled", True, None)
    assert account.created_at == account.expires_at == moment
    assert account.created_at.tzinfo is UTC
    save(
        folder,
        "contracts",
        contract_id=["C1"],
        headcount=pa.array([3], pa.uint8()),
        ends_on=pa.array([date(2026, 3, 31)], pa.date64()),
        scope=pa.array([["a", "b"]], pa.large_list(pa.string())),
    )
    contract = folder.one("contracts")
    assert (contract.headcount, contract.ends_on, contract.scope) == (3, date(2026, 3, 31), ["a", "b"])


@pytest.mark.parametrize(
    ("column", "values", "due"),
    [
        ("employee_id", pa.array([1]), "int64 where string is due"),
        ("email", pa.array([b"x"]), "binary where string is due"),
        ("mfa_enrolled", pa.array(["true"]), "string where bool is due"),
        ("created_at", pa.array(["2026-01-01T00:00:00Z"]), "string where timestamp with a time zone is due"),
        ("created_at", pa.array([NAIVE]), "timestamp[us] where timestamp with a time zone is due"),
        ("created_at", pa.array([date(2026, 1, 1)]), "date32[day] where timestamp with a time zone is due"),
        ("login", pa.array([["x"]]), "string> where string is due"),
        ("login", pa.array([{"x": 1}]), "struct<x: int64> where string is due"),
        ("status", pa.array([datetime(2026, 1, 1, tzinfo=UTC)]), "where string is due"),
    ],
)
def test_a_column_of_another_type_is_refused(folder: Folder, column: str, values: pa.Array[Any], due: str) -> None:
    save(folder, "accounts", account_id=["A1"], **{column: values})
    said = folder.error("accounts")
    assert f"accounts.parquet, column {column}: the column is " in said
    assert due in said


def test_lists_and_dates_and_numbers_have_their_types_too(folder: Folder) -> None:
    save(folder, "contracts", contract_id=["C"], scope=["a;b"], ends_on=["2026-01-01"], headcount=[1.0])
    said = folder.error("contracts")
    for due in ("string where list of string is due", "string where date32 is due", "double where an integer is due"):
        assert due in said


def test_naive_times_need_the_declared_zone(folder: Folder) -> None:
    save(folder, "accounts", account_id=["A1"], created_at=pa.array([NAIVE]))
    assert folder.one("accounts", time_zone="Europe/Amsterdam").created_at == datetime(2026, 7, 1, 10, tzinfo=UTC)


def test_values_are_checked_row_by_row(folder: Folder) -> None:
    save(folder, "people", person_id=["P1", "P1", None, ""], kind=["pirate", None, None, None])
    said = folder.error("people")
    assert "people.parquet, row 1, column kind: 'pirate'" in said
    assert "row 2: person_id 'P1' is on row 1 already" in said
    assert said.count("part of the key") == 2


def test_instants_outside_the_calendar_are_refused(folder: Folder) -> None:
    for moments in (pa.array([2**53], pa.timestamp("ms", tz="UTC")), pa.array([2**60], pa.timestamp("us", tz="UTC"))):
        save(folder, "accounts", account_id=["A1"], created_at=moments)
        assert "not a readable Parquet file" in folder.error("accounts")


def test_what_is_no_parquet_or_half_of_one_is_refused(folder: Folder) -> None:
    save(folder, "people", person_id=[f"P{number}" for number in range(1000)])
    whole = (folder.path / "people.parquet").read_bytes()
    for content in (b"", b"person_id\nP1\n", whole[:-20], whole[: len(whole) // 2]):
        folder.write("people.parquet", content)
        said = folder.error("people")
        assert ("the export may have failed" in said) if not content else ("not a readable Parquet file" in said)
    broken = bytearray(whole)
    broken[10:400] = b"\xff" * 390
    folder.write("people.parquet", bytes(broken))
    assert "not a readable Parquet file" in folder.error("people")
