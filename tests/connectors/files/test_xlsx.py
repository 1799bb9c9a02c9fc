from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import openpyxl  # type: ignore[import-untyped] # it ships no types, and only makes workbooks here
import pytest

from tests.connectors.files.conftest import Folder

Edit = Callable[[Any, Any], None]

NAIVE = dt.datetime(2026, 7, 1, 12, 30)  # noqa: DTZ001 - as Excel keeps it


def save(folder: Folder, table: str, rows: list[list[Any]], *, edit: Edit | None = None, title: str = "Sheet1") -> None:
    book = openpyxl.Workbook()
    sheet: Any = book.active
    sheet.title = title
    for row in rows:
        sheet.append(row)
    if edit:
        edit(book, sheet)
    book.save(folder.path / f"{table}.xlsx")


def test_cells_are_read_as_what_was_typed(folder: Folder) -> None:
    head = ["person_id", "full_name", "emails", "kind", "starts_on", "ends_on", "manager_id"]
    day = dt.date(2026, 3, 31)
    first = [12345, " Ann ", "a@x;b@y", "Employee", day, "2026-04-30", "00017"]
    save(folder, "people", [head, first, [None] * 7, ["P2"]])
    ann, other = folder.rows("people")
    assert (ann.person_id, ann.full_name, ann.emails, ann.kind) == ("12345", "Ann", ["a@x", "b@y"], "employee")
    assert (ann.starts_on, ann.ends_on, ann.manager_id) == (day, dt.date(2026, 4, 30), "00017")
    assert (other.person_id, other.full_name, other.ends_on) == ("P2", None, None)


def test_numbers_and_booleans(folder: Folder) -> None:
    save(folder, "contracts", [["contract_id", "headcount"], ["C1", 12], ["C2", "13"], ["C3", None]])
    assert [row.headcount for row in folder.rows("contracts")] == [12, 13, None]
    rows = [[f"A{n}", cell] for n, cell in enumerate([True, 0, 1, "yes", None])]
    save(folder, "accounts", [["account_id", "mfa_enrolled"], *rows])
    assert [row.mfa_enrolled for row in folder.rows("accounts")] == [True, False, True, True, None]


def test_times_have_no_zone_in_a_spreadsheet_so_it_has_to_be_declared(folder: Folder) -> None:
    save(folder, "approvals", [["approval_id", "decided_at"], ["A1", NAIVE], ["A2", "2026-07-01T00:00:00Z"]])
    said = folder.error("approvals")
    assert "approvals.xlsx, row 2, column decided_at: '2026-07-01T12:30:00' has no time zone" in said
    assert "set time_zone" in said
    first, _ = folder.rows("approvals", time_zone="Europe/Amsterdam")
    assert first.decided_at == dt.datetime(2026, 7, 1, 10, 30, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("person_id", 12.5, "the number 12.5 stands where text is due"),
        ("person_id", 1234567890123456, "stands where text is due"),
        ("person_id", True, "stands where text is due"),
        ("full_name", 5, "stands where text is due"),
        ("department", dt.date(2026, 1, 2), "'2026-01-02' stands where text is due"),
        ("starts_on", 46000, "stands where a date is due"),
        ("starts_on", NAIVE, "has a time of day where a date is due"),
        ("starts_on", dt.time(3, 4), "stands where a date is due"),
        ("kind", "pirate", "is not one of"),
        ("kind", 7, "stands where text is due"),
    ],
)
def test_what_excel_made_of_a_value_is_refused_where_it_may_have_changed_it(
    folder: Folder, column: str, value: Any, says: str
) -> None:
    row = {"person_id": "P1"} | {column: value}
    save(folder, "people", [list(row), list(row.values())])
    said = folder.error("people")
    assert f"people.xlsx, row 2, column {column}" in said
    assert says in said


def test_a_date_where_an_instant_is_due_is_refused(folder: Folder) -> None:
    save(folder, "approvals", [["approval_id", "decided_at"], ["A1", dt.date(2026, 7, 1)]])
    assert "a date without time and zone where an instant is due" in folder.error("approvals", time_zone="UTC")


def test_cells_that_hide_a_value_are_refused(folder: Folder) -> None:
    def edit(book: Any, sheet: Any) -> None:
        sheet["B2"] = "=VLOOKUP(A2, other!A:B, 2)"
        sheet["B3"] = "#N/A"
        sheet["B3"].data_type = "e"
        sheet["A6"] = "P4"
        sheet.merge_cells("B6:B7")
        book.create_sheet("other")["A1"] = "=1/0"

    save(folder, "people", [["person_id", "ends_on"], ["P1"], ["P2"], ["P3"]], edit=edit)
    said = folder.error("people", sheets={"people": "Sheet1"})
    assert "people.xlsx, row 2: cell B2 holds a formula that was never computed" in said
    assert "people.xlsx, row 3: cell B3 shows the error #N/A" in said
    assert "people.xlsx, row 6: merged cells B6:B7" in said
    assert "A1" not in said


def test_the_sheet_is_the_only_one_or_the_one_of_the_tables_name_or_the_configured_one(folder: Folder) -> None:
    def edit(book: Any, _: Any) -> None:
        book.create_sheet("Notes")["A1"] = "hello"

    rows = [["person_id"], ["P1"]]
    save(folder, "people", rows, edit=edit, title="People")
    assert folder.one("people").person_id == "P1"
    assert "no such column of people: 'hello'" in folder.error("people", sheets={"people": "Notes"})
    assert "no sheet 'Peple'; did you mean People?" in folder.error("people", sheets={"people": "Peple"})
    save(folder, "people", rows, edit=edit, title="Data")
    said = folder.error("people")
    assert "2 sheets, none called people: Data, Notes" in said
    assert "sheets.people" in said


def test_rows_above_and_columns_beside_the_table_may_be_blank(folder: Folder) -> None:
    rows = [[None, "person_id", None, "kind"], [None, "P1", None, "employee"], [None, None, " "]]
    save(folder, "people", [[], [], *rows])
    assert folder.one("people").kind == "employee"
    save(folder, "people", [["person_id", None, "kind"], ["P1", "stray", "employee"]])
    assert "row 2: a value in a column that has no name" in folder.error("people")


async def test_a_header_alone_is_no_rows(folder: Folder) -> None:
    save(folder, "suppliers", [["supplier_id"]])
    (page,) = await folder.pages("suppliers")
    assert (list(page.rows), page.total) == ([], 0)


def test_what_is_no_workbook_is_refused(folder: Folder) -> None:
    save(folder, "people", [])
    assert "the sheet 'Sheet1' is empty" in folder.error("people")
    for content in (b"person_id\nP1\n", (folder.path / "people.xlsx").read_bytes()[:900]):
        folder.write("people.xlsx", content)
        assert "not a readable workbook" in folder.error("people")
    folder.write("people.xlsx", b"")
    assert "the export may have failed" in folder.error("people")


def test_a_number_as_a_column_name_is_its_digits(folder: Folder) -> None:
    save(folder, "people", [["person_id", 2026], ["P1", "Ann"]])
    assert folder.one("people", columns={"people": {"full_name": "2026"}}).full_name == "Ann"
