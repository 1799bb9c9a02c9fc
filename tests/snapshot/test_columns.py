from __future__ import annotations

import enum
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.estate.tables import Column, tables
from reconciler.sdk.errors import Misbehaved
from reconciler.sdk.records import RECORDS, Account, Contract, Document, Grant, Person, Record, RoleHolder, Training
from reconciler.snapshot.columns import Strict, key_columns

CET = timezone(timedelta(hours=1))
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Kind(enum.StrEnum):
    HUMAN = "human"


class Weird(datetime):
    """A subclass, such as pandas.Timestamp is."""


def batch(table: str, *rows: Record) -> pa.RecordBatch:
    return Strict("s", tables()[table]).batch(rows, first=1)[0]


def account(**columns: Any) -> Account:
    return Account(**{"source": "s", "account_id": "a", **columns})


@pytest.mark.parametrize(
    ("table", "row", "says"),
    [
        ("accounts", account(created_at=datetime(2026, 1, 1)), "accounts.created_at holds an instant without"),  # noqa: DTZ001 - the point
        ("accounts", account(created_at=date(2026, 1, 1)), "accounts.created_at holds a date, where instant"),
        ("accounts", account(created_at=1_700_000_000), "accounts.created_at holds a int, where instant"),
        ("accounts", account(created_at="2026-01-01T00:00:00Z"), "accounts.created_at holds a str"),
        ("accounts", account(created_at=Weird(2026, 1, 1, tzinfo=UTC)), "accounts.created_at holds a Weird"),
        ("accounts", account(login=7), "accounts.login holds a int, where text is due"),
        ("accounts", account(login=b"x"), "accounts.login holds a bytes"),
        (
            "accounts",
            account(login="\ud800"),
            "accounts.login holds a str that cannot be kept (text that is no Unicode)",
        ),
        ("accounts", account(can_sign_in=1), "accounts.can_sign_in holds a int, where yes/no"),
        ("accounts", account(can_sign_in="yes"), "accounts.can_sign_in holds a str"),
        ("accounts", account(status="Enabled"), "accounts.status holds 'Enabled', which is none of enabled, disabled"),
        ("accounts", account(status=["enabled"]), "accounts.status holds a list, where text is due"),
        ("accounts", account(status=3), "accounts.status holds a int"),
        ("accounts", account(account_id=""), "accounts.account_id is empty"),
        ("accounts", account(account_id=None), "accounts.account_id is null"),
        ("accounts", account(account_id=5), "accounts.account_id holds a int"),
        ("accounts", account(source="t"), "accounts.source holds 't', which is none of s"),
        ("accounts", account(source=None), "accounts.source is null"),
        ("accounts", Document(document_id="d"), "accounts holds a Document, where a row of accounts is due"),
        ("people", Person(person_id="p", emails="a@b"), "people.emails holds a str, where list of text"),  # type: ignore[arg-type] # the point
        ("people", Person(person_id="p", emails=("a@b",)), "people.emails holds a tuple"),  # type: ignore[arg-type] # the point
        ("people", Person(person_id="p", emails=["a", None]), "people.emails holds a list with something"),  # type: ignore[list-item] # the point
        ("people", Person(person_id="p", starts_on=NOON), "people.starts_on holds a datetime, where date"),
        ("people", Person(person_id="p", starts_on=20_000), "people.starts_on holds a int"),  # type: ignore[arg-type] # the point
        ("contracts", Contract(contract_id="c", headcount=2.0), "contracts.headcount holds a float"),  # type: ignore[arg-type] # the point
        ("contracts", Contract(contract_id="c", headcount=True), "contracts.headcount holds a bool"),
        (
            "contracts",
            Contract(contract_id="c", headcount=2**70),
            "contracts.headcount holds a int that cannot be kept",
        ),
        ("role_holders", RoleHolder(role="r", person_id="p", since=None), "role_holders.since is null"),  # type: ignore[arg-type] # the point
        ("trainings", Training(person_id="p", course=""), "trainings.course is empty"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_by_name(table: str, row: Record, says: str) -> None:
    good = {"accounts": account(account_id="z"), "people": Person(person_id="z")}.get(table)
    rows = [good, good, row] if good else [row]
    with pytest.raises(Misbehaved) as caught:
        batch(table, *rows)
    assert says in caught.value.message
    assert caught.value.message.startswith("s: ")
    assert f"(row {len(rows)} of the partition)" in caught.value.message
    assert caught.value.advice


def test_row_numbers_count_on_from_earlier_rows_of_the_partition() -> None:
    with pytest.raises(Misbehaved, match=r"row 1001 of"):
        Strict("s", tables()["accounts"]).batch([account(), account(login=1)], first=1_000)


def test_an_instant_of_another_zone_is_kept_as_utc() -> None:
    kept = batch("accounts", account(created_at=NOON.astimezone(CET)), account(created_at=NOON), account())
    assert kept.column("created_at").to_pylist() == [NOON, NOON, None]


def test_a_text_of_a_subclass_is_its_text() -> None:
    kept = batch("accounts", account(kind=Kind.HUMAN, login=Kind.HUMAN), account(kind="guest"))
    assert kept.column("kind").to_pylist() == ["human", "guest"]
    assert kept.column("login").to_pylist() == ["human", None]


def test_unknown_stays_null_and_never_becomes_a_default() -> None:
    kept = batch("accounts", account(), account())
    assert {name for name in kept.schema.names if kept.column(name).null_count == 0} == {"source", "account_id"}


def test_the_value_of_a_personal_column_is_not_repeated_in_the_message() -> None:
    with pytest.raises(Misbehaved) as caught:
        batch("accounts", account(email=["jane@example.test"]))
    assert "jane" not in caught.value.message


def test_keys_leave_out_the_name_of_the_source_only_where_it_is_the_reader_s_own() -> None:
    assert key_columns(tables()["grants"]) == ("principal_kind", "principal_id", "entitlement_id", "assignment")
    assert key_columns(tables()["special_accounts"]) == ("source", "account_id")


def test_equal_keys_have_equal_hashes_and_others_do_not() -> None:
    def grant(account_id: str, entitlement: str) -> Grant:
        return Grant(
            source="s",
            principal_kind="account",
            principal_id=account_id,
            entitlement_id=entitlement,
            assignment="direct",
        )

    strict = Strict("s", tables()["grants"])
    _, keys = strict.batch([grant("a", "bc"), grant("ab", "c"), grant("a", "bc")], first=1)
    assert keys[0] == keys[2] != keys[1]


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_VALUES: dict[Any, st.SearchStrategy[Any]] = {
    str: _TEXT,
    bool: st.booleans(),
    int: st.integers(-(2**63), 2**63 - 1),
    float: st.floats(allow_nan=False),
    date: st.dates(),
    datetime: st.datetimes(timezones=st.sampled_from([UTC, CET])).filter(lambda d: 1 < d.year < 9999),
    list[str]: st.lists(_TEXT, max_size=3),
}


def _values(column: Column) -> st.SearchStrategy[Any]:
    if column.name == "source" and column.key:
        return st.just("s")
    known = st.sampled_from(column.values) if column.values else _VALUES[column.type]
    if column.key:
        return known.filter(lambda value: value != "")
    return st.none() | known


_ROWS = st.sampled_from(sorted(RECORDS)).flatmap(
    lambda name: st.tuples(
        st.just(name),
        st.lists(
            st.builds(RECORDS[name], **{c.name: _values(c) for c in tables()[name].columns}), min_size=1, max_size=5
        ),
    )
)


@settings(max_examples=150)
@given(_ROWS)
def test_every_record_comes_back_from_parquet_as_it_was(made: tuple[str, list[Record]]) -> None:
    name, rows = made
    kept, keys = Strict("s", tables()[name]).batch(rows, first=1)
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_batches([kept]), sink, compression="zstd")
    back = pq.read_table(pa.BufferReader(sink.getvalue()))
    assert back.schema == tables()[name].schema
    assert [RECORDS[name](**row) for row in back.to_pylist()] == rows
    assert len(keys) == len(rows)
