"""Read one sheet of an XLSX workbook; what the workbook hides behind an empty cell is an error."""

from __future__ import annotations

import posixpath
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook

from reconciler.sdk.columns import nearest
from reconciler.sdk.problems import Problems, shown
from reconciler.sdk.values import Family

from .empty_file import EMPTY, EMPTY_REMEDY

_DAMAGED = "Save the workbook again as XLSX, without a password."
_PICK = "Set sheets.{table} to the sheet that holds the rows."
_SHEETS = "xl/workbook.xml"
_LINKS = "xl/_rels/workbook.xml.rels"
_ID = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_ID_STRICT = "{http://purl.oclc.org/ooxml/officeDocument/relationships}id"


class SheetFile:
    """One sheet: its header is its first row that is not blank. The workbook is held in memory."""

    family: Family = "sheet"
    unit = "row"

    def __init__(self, path: Path, *, sheet: str | None, table: str) -> None:
        self._path = path
        self._wanted = sheet
        self._table = table
        self._sheet: CalamineSheet | None = None
        self._places: list[int] = []
        self._top = 0

    def header(self, problems: Problems) -> list[str]:
        """Return the names in the header row; columns without a name must be empty all the way down."""
        try:
            with self._path.open("rb") as handle, CalamineWorkbook.from_filelike(handle) as workbook:
                self._sheet = self._pick(workbook, problems)
        except CalamineError as error:
            empty = self._path.stat().st_size == 0
            problems.add(
                None, EMPTY if empty else f"not a readable workbook: {error}", EMPTY_REMEDY if empty else _DAMAGED
            )
        if self._sheet is None:
            return []
        self._refuse_hidden(self._sheet, problems)
        for row, cells in enumerate(self._sheet.iter_rows(), start=1):
            names = [_name(cell) for cell in cells]
            if any(names):
                self._top = row
                self._places = [place for place, name in enumerate(names) if name]
                return [names[place] for place in self._places]
        problems.add(None, f"the sheet {shown(self._sheet.name)} is empty", EMPTY_REMEDY)
        return []

    def rows(self, problems: Problems) -> Iterator[tuple[int, list[Any]]]:
        """Yield row number and cells of each row that is not blank; an empty cell is None."""
        named = set(self._places)
        for row, cells in enumerate(self._sheet.iter_rows() if self._sheet else (), start=1):
            if row <= self._top or all(_blank(cell) for cell in cells):
                continue
            if any(not _blank(cell) and place not in named for place, cell in enumerate(cells)):
                problems.add(row, "a value in a column that has no name", "Name the column in the header, or clear it.")
            yield row, [None if cells[place] == "" else cells[place] for place in self._places]

    def count(self) -> int | None:
        """Return None: a sheet does not say how many rows it should have."""
        return None

    def _pick(self, workbook: CalamineWorkbook, problems: Problems) -> CalamineSheet | None:
        names = workbook.sheet_names
        remedy = _PICK.format(table=self._table)
        if self._wanted is not None:
            if self._wanted in names:
                return workbook.get_sheet_by_name(self._wanted)
            problems.add(None, f"no sheet {shown(self._wanted)}{nearest(self._wanted, names)}", remedy)
            return None
        fitting = names if len(names) == 1 else [name for name in names if name.strip().lower() == self._table]
        if len(fitting) == 1:
            return workbook.get_sheet_by_name(fitting[0])
        problems.add(None, f"{len(names)} sheets, none called {self._table}: {', '.join(names)}", remedy)
        return None

    def _refuse_hidden(self, sheet: CalamineSheet, problems: Problems) -> None:
        """Report merged cells, failed formulas and formulas never computed: each would read as an empty cell."""
        for (top, left), (bottom, right) in sheet.merged_cell_ranges or ():
            problems.add(
                top + 1,
                f"merged cells {_cell(top, left)}:{_cell(bottom, right)}: only the first of them has the value",
                "Unmerge the cells and fill each of them.",
            )
        try:
            for row, where, what in _unsaid(self._path, sheet.name):
                problems.add(row, f"cell {where} {what}", "Correct the formula, or replace it by its value, and save.")
        except (zipfile.BadZipFile, ET.ParseError, LookupError) as error:
            problems.add(None, f"not a readable XLSX workbook: {error}", _DAMAGED)


def _unsaid(path: Path, sheet: str) -> Iterator[tuple[int, str, str]]:
    """Yield row, cell and complaint for each cell that shows no value though it ought to hold one.

    The reader gives an empty cell for these; "not said" must not be the result of a look-up that failed.
    """
    with zipfile.ZipFile(path) as archive:
        part = _part_of(archive, sheet)
        with archive.open(part) as stream:
            for _, element in ET.iterparse(stream):  # noqa: S314 - as above
                if _local(element.tag) == "c":
                    yield from _complaint(element)
                elif _local(element.tag) == "row":
                    element.clear()


def _complaint(cell: ET.Element) -> Iterator[tuple[int, str, str]]:
    where = cell.get("r", "?")
    row = int("".join(filter(str.isdigit, where)) or 0)
    parts = {_local(part.tag): part.text for part in cell}
    if cell.get("t") == "e":
        yield row, where, f"shows the error {parts.get('v') or '#N/A'}"
    elif "f" in parts and cell.get("t") != "str" and not parts.get("v"):
        yield row, where, "holds a formula that was never computed"


def _part_of(archive: zipfile.ZipFile, sheet: str) -> str:
    """Return the path inside the workbook of the sheet of that name."""
    book = ET.fromstring(archive.read(_SHEETS))  # noqa: S314 - as above
    links = ET.fromstring(archive.read(_LINKS))  # noqa: S314 - as above
    ids = {
        element.get("name"): element.get(_ID) or element.get(_ID_STRICT)
        for element in book.iter()
        if _local(element.tag) == "sheet"
    }
    targets = {link.get("Id"): link.get("Target", "") for link in links}
    return posixpath.normpath(posixpath.join("/xl", targets[ids[sheet]])).lstrip("/")


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _name(cell: object) -> str:
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def _blank(cell: object) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip())


def _cell(row: int, column: int) -> str:
    letters = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return f"{letters}{row + 1}"
