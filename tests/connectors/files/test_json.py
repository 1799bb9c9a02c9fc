from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any, cast

import pytest

from reconciler.sdk.records import Person
from tests.connectors.files.conftest import Folder


@pytest.fixture(params=["json", "jsonl", "ndjson"])
def suffix(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def written(suffix: str, rows: list[Any]) -> str:
    if suffix == "json":
        return json.dumps(rows)
    return "".join(json.dumps(row) + "\n" for row in rows)


async def test_rows_and_columns_are_those_that_any_object_has(folder: Folder, suffix: str) -> None:
    rows = [
        {"person_id": "P1", "emails": ["a@x.test"], "kind": "EMPLOYEE", "ends_on": "2026-03-31"},
        {"ends_on": None, "person_id": "P2", "department": " ", "logins": []},
    ]
    folder.write(f"people.{suffix}", written(suffix, rows))
    (page,) = await folder.pages("people")
    first, second = cast("list[Person]", page.rows)
    assert (first.emails, first.kind, first.ends_on) == (["a@x.test"], "employee", date(2026, 3, 31))
    assert (second.ends_on, second.department, second.logins) == (None, None, [])
    assert folder.reports()["people"] == {"person_id", "emails", "kind", "ends_on", "department", "logins"}
    assert page.total == (2 if suffix == "json" else None)


def test_booleans_integers_instants_and_objects(folder: Folder, suffix: str) -> None:
    account: dict[str, object] = {"account_id": "A1", "mfa_enrolled": False, "created_at": "2026-01-01T01:00:00+01:00"}
    account["attributes"] = {"b": 1, "a": "é"}
    folder.write(f"accounts.{suffix}", written(suffix, [account]))
    folder.write(f"contracts.{suffix}", written(suffix, [{"contract_id": "C1", "headcount": 3}]))
    row = folder.one("accounts")
    assert row.mfa_enrolled is False
    assert row.created_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert row.attributes == '{"a": "é", "b": 1}'
    assert folder.one("contracts").headcount == 3


@pytest.mark.parametrize(
    ("table", "value", "says"),
    [
        ("people", {"person_id": 12345}, "column person_id: 12345 stands where text is due"),
        ("people", {"person_id": "P1", "emails": "a@x.test"}, "where a list of texts is due"),
        ("people", {"person_id": "P1", "emails": ["a", None]}, "stands in a list of texts"),
        ("people", {"person_id": "P1", "starts_on": 20260101}, "where a date is due"),
        ("people", {"person_id": "P1", "full_name": {"first": "A"}}, "where text is due"),
        ("people", {"person_id": "P1", "full_name": "\ud800"}, "half a character"),
        ("people", {"person_id": "P1", "full_name": "a\0b"}, "NUL"),
        ("people", {"person_id": None}, "part of the key"),
        ("people", {"full_name": "A"}, "part of the key"),
        ("accounts", {"account_id": "A", "mfa_enrolled": "true"}, "where true or false is due"),
        ("accounts", {"account_id": "A", "mfa_enrolled": 1}, "where true or false is due"),
        ("accounts", {"account_id": "A", "created_at": 1767225600}, "where an instant is due"),
        ("accounts", {"account_id": "A", "created_at": "2026-01-01T00:00:00"}, "no time zone"),
        ("accounts", {"account_id": "A", "attributes": [1]}, "where a JSON object is due"),
        ("contracts", {"contract_id": "C", "headcount": "3"}, "where a whole number is due"),
        ("contracts", {"contract_id": "C", "headcount": 3.0}, "where a whole number is due"),
        ("contracts", {"contract_id": "C", "headcount": True}, "where a whole number is due"),
        ("contracts", {"contract_id": "C", "headcount": 2**63}, "too large"),
    ],
)
def test_a_wrong_type_is_refused_never_converted(
    folder: Folder, suffix: str, table: str, value: dict[str, Any], says: str
) -> None:
    known = {"people": "person_id", "accounts": "account_id", "contracts": "contract_id"}[table]
    folder.write(f"{table}.{suffix}", written(suffix, [{known: "first"}, value]))
    said = folder.error(table)
    assert says in said
    assert f"{table}.{suffix}, line {1 if suffix == 'json' else 2}" in said


def test_lines_of_an_array_are_those_where_its_objects_start(folder: Folder) -> None:
    folder.write("people.json", '[\n  {"person_id": "P1"},\n\n  {\n   "person_id":\n "P1"},{"person_id": 3}\n]\n')
    said = folder.error("people")
    assert "people.json, line 4: person_id 'P1' is on line 2 already" in said
    assert "people.json, line 6, column person_id: 3 stands" in said
    folder.write("people.json", '[\n  {"person_id": "P1"},\n 4\n]\n')
    assert "line 3: 4 stands where an object is due" in folder.error("people")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "the export may have failed"),
        (" \n", "the export may have failed"),
        ('{"people": []}', "does not begin with an array"),
        ('[{"person_id": "P1"}', "the array is not closed"),
        ('[{"person_id": "P1"},', "line 1: malformed JSON at character 22"),
        ('[{"person_id": "P1"},]', "malformed JSON"),
        ('[\n{"person_id": "P1"}\n{"person_id": "P2"}]', "line 3: malformed JSON: '{' stands where a comma"),
        ('[\n{"person_id": "P1"}\n]\n[]', "text after the end"),
        ('[{"person_id": "P1",\n "full_name": "A}]', "line 2: malformed JSON"),
        ('[\n{"person_id": "P1", "person_id": "P2"}]', "line 2: the name 'person_id' stands twice"),
        ('[{"person_id": NaN}]', "NaN is not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("[,]", "malformed JSON"),
    ],
)
def test_a_malformed_array_names_the_line(folder: Folder, content: str, says: str) -> None:
    folder.write("people.json", content)
    assert says in folder.error("people")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "the export may have failed"),
        ("\n \r\n", "the export may have failed"),
        ('{"person_id": "P1"}\n{"person_id": "P2"', "line 2: malformed JSON at character 19"),
        ('{"person_id": "P1"} {"person_id": "P2"}\n', "line 1: malformed JSON"),
        ('\n[{"person_id": "P1"}]\n', "line 2: [{'person_id': 'P1'}] stands where an object is due"),
        ('{"person_id": "P1"}\n' + "[" * 100_000, "line 2: JSON nested too deeply"),
        ('{"person_id": "P1", "x": 1, "x": 2}', "line 1: the name 'x' stands twice"),
    ],
)
def test_a_malformed_line_is_named(folder: Folder, content: str, says: str) -> None:
    folder.write("people.jsonl", content)
    assert says in folder.error("people")


def test_blank_lines_and_strange_line_breaks_inside_texts_do_no_harm(folder: Folder) -> None:
    folder.write("people.jsonl", '\ufeff{"person_id": "P1", "full_name": "a\u2028b"}\r\n\r\n{"person_id": "P2"}')
    assert [row.full_name for row in folder.rows("people")] == ["a\u2028b", None]


def test_bytes_that_are_not_utf8_are_named(folder: Folder, suffix: str) -> None:
    row = b'\n{"person_id": "Andr\xe9"}'
    folder.write(f"people.{suffix}", b"[" + row + b"]" if suffix == "json" else row)
    said = folder.error("people")
    assert "line 2: byte" in said
    assert "is not utf-8-sig" in said


async def test_an_empty_array_is_no_rows_and_shows_no_more_than_the_key(folder: Folder) -> None:
    folder.write("suppliers.json", " [ ] ")
    (page,) = await folder.pages("suppliers")
    assert (list(page.rows), page.next, page.total) == ([], None, 0)
    assert folder.reports()["suppliers"] == {"supplier_id"}


def test_an_unknown_name_in_any_object_is_refused(folder: Folder, suffix: str) -> None:
    folder.write(f"people.{suffix}", written(suffix, [{"person_id": "P1"}, {"person_id": "P2", "ends_onn": "x"}]))
    assert "no such column of people: 'ends_onn'; did you mean ends_on?" in folder.error("people")
