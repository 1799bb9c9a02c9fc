"""The report as an XLSX workbook: Summary, Findings, Nonconformities, Exceptions, Coverage, Rules."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from datetime import UTC

from xlsxwriter.format import Format  # type: ignore[import-untyped]  # xlsxwriter ships no types
from xlsxwriter.workbook import Workbook  # type: ignore[import-untyped]  # xlsxwriter ships no types
from xlsxwriter.worksheet import Worksheet  # type: ignore[import-untyped]  # xlsxwriter ships no types

from reconciler.report.model import ReportModel
from reconciler.report.neutral import neutral
from reconciler.report.rows import (
    Row,
    exception_row,
    finding_columns,
    finding_row,
    header_rows,
    read_row,
    rule_rows,
    unjudged_row,
)
from reconciler.report.treated import COLUMNS, treated_row

CELL_LIMIT = 32_767
"""Characters that a cell may hold; xlsxwriter drops a longer text whole and only returns a code."""

ROW_LIMIT = 1_048_576
"""Rows that a sheet may hold."""

_CUT = " … (cut here: a cell holds no more; the JSON report has it whole)"
_COVERAGE = (
    "source",
    "table",
    "status",
    "rows",
    "provider_count",
    "partitions",
    "incomplete_partitions",
    "gaps",
    "canaries",
)
_TALLY = (
    "severity",
    "open",
    "new",
    "reopened",
    "persisting",
    "unverified",
    "held",
    "suppressed",
    "resolved by this run",
)
_EXCEPTIONS = (
    *("exception", "suppresses", "owner", "expires_at", "why_nothing", "rule_id", "control_id"),
    *("source", "account_id", "person_id", "entitlement_id", "reason"),
)
_NUMBERS = frozenset(
    {
        "suppresses",
        *("standing", "findings"),
        *("version", "rows", "provider_count", "partitions", "times_reopened"),
        *("population", "violations", "excepted", "passes", "not_applicable", "not_evaluable", *_TALLY[1:]),
    }
)
_WIDE = {
    "reason": 90,
    "gaps": 80,
    "why": 60,
    "remedy": 60,
    "known_gaps": 60,
    "parameters": 40,
    "not_judged_because": 60,
    "why_nothing": 60,
    "title": 40,
}
_MIDDLE = {
    "finding_id": 28,
    "first_seen": 22,
    "last_seen": 22,
    "resolved_at": 22,
    "excepted_until": 22,
    "expires_at": 22,
    "detected_at": 22,
    "due_at": 22,
    "gone_at": 22,
    "verified_at": 22,
    "owner_role": 26,
    "escalated_to": 26,
    "rule": 26,
    "canaries": 30,
}


def to_xlsx(model: ReportModel, *, row_limit: int = ROW_LIMIT) -> bytes:
    """Write the report as a workbook. Every text is a text cell, neutralised besides.

    Findings beyond ``row_limit`` go on in further sheets, ``Findings 2`` and so on.
    """
    # In memory first: xlsxwriter leaves its archive half open where the disk fills up under it.
    target = io.BytesIO()
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with Workbook(target, options) as book:
        # Without this the file would hold the present time and differ from itself when written again.
        book.set_properties({"created": model.run.recorded_at.astimezone(UTC).replace(tzinfo=None)})
        sheets = _Sheets(book)
        _summary(sheets, model)
        columns = finding_columns(model)
        size = row_limit - 1
        for number, start in enumerate(range(0, max(len(model.findings), 1), size), start=1):
            rows = (finding_row(finding, model.answers(finding)) for finding in model.findings[start : start + size])
            sheets.table("Findings" if number == 1 else f"Findings {number}", columns, rows)
        sheets.table("Nonconformities", COLUMNS, map(treated_row, model.nonconformities))
        _exceptions(sheets, model)
        sheets.table("Coverage", _COVERAGE, (read_row(read) for read in model.coverage.reads))
        rules = list(rule_rows(model))
        sheets.table("Rules", list(dict.fromkeys(name for row in rules for name in row)) or ["rule_id"], rules)
    return target.getvalue()


class _Sheets:
    """Writes sheets row by row, as constant memory demands."""

    def __init__(self, book: Workbook) -> None:
        self._book = book
        self.plain: Format = book.add_format({"valign": "top", "text_wrap": True})
        self.bold: Format = book.add_format({"bold": True, "valign": "top"})
        self.title: Format = book.add_format({"bold": True, "font_size": 16})
        self.alarm: Format = book.add_format({"bold": True, "bg_color": "#FDE7C7", "text_wrap": True, "valign": "top"})
        self._head: Format = book.add_format({"bold": True, "bg_color": "#E8EBF0", "bottom": 1})

    def sheet(self, name: str) -> Worksheet:
        """Add an empty sheet."""
        return self._book.add_worksheet(name)

    def table(self, name: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
        """Add a sheet that is one table: heading frozen, filter on every column."""
        sheet = self.sheet(name)
        for index, column in enumerate(columns):
            sheet.set_column(index, index, _width(column))
        sheet.freeze_panes(1, 0)
        sheet.repeat_rows(0)
        sheet.set_landscape()
        self.heading(sheet, 0, columns)
        last = 0
        for last, row in enumerate(rows, start=1):
            for index, column in enumerate(columns):
                self.cell(sheet, last, index, row.get(column, ""), number=column in _NUMBERS)
        sheet.autofilter(0, 0, last, len(columns) - 1)

    def heading(self, sheet: Worksheet, row: int, columns: Sequence[str]) -> None:
        """Write a row of column names."""
        for index, column in enumerate(columns):
            sheet.write_string(row, index, neutral(column), self._head)

    def cell(
        self, sheet: Worksheet, row: int, column: int, text: str, *, number: bool = False, style: Format | None = None
    ) -> None:
        """Write a text cell, or a number where ``number`` says so; empty text leaves the cell empty."""
        if number and text:
            sheet.write_number(row, column, int(text), style or self.plain)
        elif text:
            sheet.write_string(row, column, _fitting(neutral(text)), style or self.plain)


def _exceptions(sheets: _Sheets, model: ReportModel) -> None:
    """Add the sheet of exceptions; where the register was not read whole, its first rows say so."""
    doubts: list[Row] = [
        {"why_nothing": f"NOT READ WHOLE: {reason}. What stood suppressed stays so."}
        for reason in model.run.exceptions_unread
    ]
    sheets.table("Exceptions", _EXCEPTIONS, [*doubts, *map(exception_row, model.exceptions)])


def _summary(sheets: _Sheets, model: ReportModel) -> None:
    sheet = sheets.sheet("Summary")
    sheet.set_column(0, 0, 22)
    sheet.set_column(1, 1, 60)
    sheet.set_column(2, 9, 14)
    lines: list[tuple[Format, list[str]]] = [
        (sheets.title, [f"Reconciliation of {model.run.estate}"]),
        (sheets.plain if model.coverage.complete else sheets.alarm, ["verdict", model.headline]),
        *((sheets.plain, [name, value]) for name, value in header_rows(model)),
        (sheets.plain, []),
        (sheets.bold, ["could not be seen"]),
        *_unseen(sheets, model),
        (sheets.plain, []),
    ]
    for row, (style, cells) in enumerate(lines):
        for column, text in enumerate(cells):
            sheets.cell(sheet, row, column, text, style=style)
    start = len(lines)
    sheets.heading(sheet, start, _TALLY)
    for row, tally in enumerate(model.tallies, start=start + 1):
        seen = (tally.open, tally.new, tally.reopened, tally.persisting, tally.unverified)
        figures = (*seen, tally.held, tally.suppressed, tally.resolved)
        sheets.cell(sheet, row, 0, tally.severity)
        for column, figure in enumerate(figures, start=1):
            sheets.cell(sheet, row, column, str(figure), number=True)


def _unseen(sheets: _Sheets, model: ReportModel) -> list[tuple[Format, list[str]]]:
    missing = [read_row(read) for read in model.coverage.missing]
    lines = [
        [f"{row['source']} {row['table']}", f"{row['status']}. {row['incomplete_partitions']} {row['gaps']}"]
        for row in missing
    ]
    for blocked in model.coverage.blocked:
        row = unjudged_row(blocked)
        lines.append([row["rule_id"], f"not judged in {row['source']}: {row['not_judged_because']}"])
    if not lines and not model.coverage.complete:
        lines.append(["everything", "Nothing was read." if not model.coverage.reads else "No rule was evaluated."])
    return [(sheets.alarm, line) for line in lines] or [
        (sheets.plain, ["nothing", "Every source was read whole and every rule could judge."])
    ]


def _width(column: str) -> float:
    if column.startswith("subject_"):
        return 36
    return _WIDE.get(column) or _MIDDLE.get(column) or max(12, len(column) + 4)


def _fitting(text: str) -> str:
    return text if len(text) <= CELL_LIMIT else text[: CELL_LIMIT - len(_CUT)] + _CUT
