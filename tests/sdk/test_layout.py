"""Foreign values and rows: what each family of data may hold, and what is said of the rest."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.sdk.columns import columns_of
from reconciler.sdk.errors import ConfigurationError, Misbehaved
from reconciler.sdk.layout import Layout, misfits
from reconciler.sdk.problems import BadValueError, Problems
from reconciler.sdk.records import Account, Person
from reconciler.sdk.values import Epoch, Family, Reading


def read(table: str, column: str, family: Family, cell: object, *, epoch: Epoch | None = None) -> Any:
    found = next(each for each in columns_of(table) if each.name == column)
    return Reading(epoch=epoch).converter(found, family)(cell)


@pytest.mark.parametrize(
    ("table", "column", "family", "cell", "value"),
    [
        ("people", "person_id", "sql", 17, "17"),
        ("people", "person_id", "sql", Decimal("17.0"), "17"),
        ("people", "person_id", "sql", UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        ("people", "ends_on", "sql", datetime(2026, 3, 31), date(2026, 3, 31)),  # noqa: DTZ001 - as a driver gives it
        ("people", "emails", "sql", ("a@x", "b@x"), ["a@x", "b@x"]),
        ("contracts", "headcount", "sql", Decimal(12), 12),
        ("accounts", "can_sign_in", "sql", 1, True),
        ("accounts", "can_sign_in", "sql", "no", False),
        ("accounts", "attributes", "sql", {"b": 1, "a": "é"}, '{"a": "é", "b": 1}'),
        ("people", "person_id", "api", 17, "17"),
        ("people", "logins", "api", [1, "ann"], ["1", "ann"]),
        ("people", "emails", "api", "a@x; b@x", ["a@x", "b@x"]),
        ("contracts", "headcount", "api", "12", 12),
        ("accounts", "can_sign_in", "api", False, False),
        ("accounts", "attributes", "api", {"a": 1}, '{"a": 1}'),
        ("people", "person_id", "api", None, None),
    ],
)
def test_what_loses_nothing_is_taken(table: str, column: str, family: Family, cell: object, value: object) -> None:
    assert read(table, column, family, cell) == value


@pytest.mark.parametrize(
    ("table", "column", "family", "cell", "says"),
    [
        ("people", "person_id", "sql", 1.0, "1.0 stands where text is due"),
        ("people", "person_id", "sql", Decimal("1.5"), "1.5 stands where text is due"),
        ("people", "person_id", "sql", Decimal("NaN"), "NaN stands"),
        ("people", "person_id", "sql", True, "True stands"),
        ("people", "person_id", "sql", b"x", "stands where text is due"),
        ("people", "ends_on", "sql", datetime(2026, 3, 31, 12), "time of day"),  # noqa: DTZ001 - as a driver gives it
        ("contracts", "headcount", "sql", 2**63, "too large"),
        ("people", "time_zone", "api", "localtime", "is not an IANA time zone"),
        ("accounts", "can_sign_in", "sql", 2, "2 stands where true or false is due"),
        ("people", "person_id", "api", 1.5, "1.5 stands where text is due"),
        ("people", "person_id", "api", ["P1"], "stands where text is due"),
        ("people", "emails", "api", ["a@x", None], "None stands in a list of texts"),
        ("accounts", "can_sign_in", "api", 1, "1 stands where true or false is due"),
        ("accounts", "created_at", "api", 1_767_319_445, "stands where an instant is due"),
    ],
)
def test_what_would_lose_something_is_not(table: str, column: str, family: Family, cell: object, says: str) -> None:
    with pytest.raises(BadValueError) as caught:
        read(table, column, family, cell)
    assert says in caught.value.message
    assert caught.value.remedy


def test_a_number_is_an_instant_only_where_that_is_said() -> None:
    at = datetime(2026, 1, 2, 2, 4, 5, tzinfo=UTC)
    assert read("accounts", "created_at", "api", 1_767_319_445, epoch="seconds") == at
    assert read("accounts", "created_at", "api", 1_767_319_445_000, epoch="milliseconds") == at
    with pytest.raises(BadValueError, match="outside the calendar"):
        read("accounts", "created_at", "api", 10**18, epoch="seconds")


def test_a_wrong_cell_leaves_its_column_unknown_and_a_wrong_key_leaves_no_record() -> None:
    layout = Layout.straight("people", ["person_id", "kind"], source="hr", family="api", reading=Reading())
    problems = Problems("hr", unit="row", what="answer", error=Misbehaved)
    key, record = layout.record(1, ["P1", "robot"], problems)
    assert (key, record) == (("P1",), Person(person_id="P1"))
    assert layout.record(2, [None, "employee"], problems) == (None, None)
    assert layout.record(3, [{}, "employee"], problems) == (None, None)
    with pytest.raises(Misbehaved, match="has 3 problems") as caught:
        problems.stop()
    assert "row 1, column kind: 'robot' is not one of" in caught.value.message
    assert "row 2, column person_id: empty" in caught.value.message
    assert "Nothing of this answer was used." in caught.value.advice


def test_an_identity_row_belongs_to_its_source() -> None:
    layout = Layout.straight("accounts", ["account_id"], source="app", family="sql", reading=Reading())
    assert layout.reported == {"source", "account_id"}
    assert layout.record(1, [7], Problems("x"))[1] == Account(source="app", account_id="7")
    layout = Layout.straight("accounts", ["source", "account_id"], source="app", family="sql", reading=Reading())
    problems = Problems("x", limit=1)
    with pytest.raises(ConfigurationError, match="'other' is not this source, app"):
        layout.record(1, ["other", 7], problems)


def test_names_that_do_not_fit_are_told_with_the_nearest() -> None:
    assert list(misfits("people", ["person_id", "ful_name", "ends_on", "ends_on"])) == [
        "no such column of people: 'ful_name'; did you mean full_name?",
        "the column ends_on comes 2 times",
    ]
    assert list(misfits("accounts", ["login"])) == ["the key column account_id is missing"]
    assert list(misfits("exceptions", ["exception_id"])) == []


_TEXTS = [
    *["", " ", "P1", " x ", "a@x.test; b@x.test", "[1]", '["a"]', "employee", "Employee", "2026-03-31", "n/a", "é"],
    *["yes", "12", "{}", "2026-03-31T10:00:00Z", "2026-03-31T10:00:00", "Europe/Amsterdam"],
    *["\ud800", "a\nb", "a\tb", "\0"],
]
_CELLS: dict[Family, list[Any]] = {
    "text": _TEXTS,
    "json": [*_TEXTS, None, 1, True, ["a"], [1], {"a": 1}],
    "sheet": [*_TEXTS, None, 1.0, 2, date(2026, 3, 31)],
    "arrow": [*_TEXTS, None, 1, date(2026, 3, 31), datetime(2026, 3, 31, tzinfo=UTC)],
    "sql": [*_TEXTS, None, 1, 2**70, Decimal(7), UUID(int=7), ["a"], date(2026, 3, 31)],
    "api": [*_TEXTS, None, 1, 2**70, False, ["a", 1], {"a": 1}],
}
_COLUMNS = ["source", "account_id", "login", "kind", "can_sign_in", "created_at", "attributes"]


@pytest.mark.parametrize("family", list(_CELLS))
@given(data=st.data())
def test_many_rows_become_what_each_of_them_becomes(family: Family, data: st.DataObject) -> None:
    table, names = data.draw(
        st.sampled_from(
            [("accounts", _COLUMNS), ("people", ["person_id", "emails", "logins", "kind", "ends_on", "time_zone"])]
        )
    )
    one = st.sampled_from(_CELLS[family])
    likely = {"source": st.just("qms"), "account_id": st.sampled_from(["P1", "P2"]), "person_id": st.just("P1")}
    few = [st.one_of(likely.get(name, one), st.sampled_from(data.draw(st.lists(one, min_size=1)))) for name in names]
    rows = data.draw(st.lists(st.tuples(*few), max_size=8))
    reading = Reading(null_values=frozenset({"n/a"}), list_separator=data.draw(st.sampled_from([None, "/"])))
    layout = Layout.straight(table, names, source="qms", family=family, reading=reading)
    each, together = Problems("q", limit=1_000), Problems("q", limit=1_000)
    made = [layout.record(place, row, each)[1] for place, row in enumerate(rows, start=5)]
    assert layout.records(5, rows, together) == [record for record in made if record is not None]
    said = []
    for problems in (each, together):
        try:
            problems.stop()
        except ConfigurationError as error:
            said.append(error.message)
    assert said in ([], [*said[:1] * 2])
