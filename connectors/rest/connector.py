"""From the items of an answer to records of an estate table: pure, no network."""

from __future__ import annotations

from collections.abc import Mapping as Map
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from reconciler.sdk.columns import columns_of, nearest
from reconciler.sdk.connector import Gap
from reconciler.sdk.layout import Key, Layout
from reconciler.sdk.problems import shown
from reconciler.sdk.records import Record
from reconciler.sdk.values import Reading

from .settings import Mapping

GAPS = 20
"""Gaps that a page names; of the rest it says how many there are."""


@dataclass(slots=True)
class Wrong:
    """What is wrong with the rows of one page, as gaps: the rows are kept, and the table is not whole."""

    source: str
    table: str
    gaps: list[Gap] = field(default_factory=list)
    more: int = 0
    row: str = ""
    """The row at hand, in words."""

    def add(self, place: int | None, message: str, remedy: str, *, column: str = "") -> None:
        """Keep one problem of the row at hand."""
        del place
        if len(self.gaps) >= GAPS:
            self.more += 1
            return
        where = f"[sources.{self.source}.mapping.{self.table}.columns] {column}" if column else self.table
        self.gaps.append(Gap(self.table, self.row, f"{where}: {message}. {remedy}"))

    def all(self) -> list[Gap]:
        """Return the gaps, with the number of those that are not named."""
        if not self.more:
            return self.gaps
        return [*self.gaps, Gap(self.table, "", f"{self.more} further values of this page are wrong")]


class Fields:
    """The columns of one table: what is taken from each item, and how it is read."""

    def __init__(self, table: str, mapping: Mapping, *, source: str, reading: Reading) -> None:
        self.table = table
        self._mapping = mapping
        names = [*mapping.columns, *mapping.constants]
        self.layout = Layout.straight(table, names, source=source, family="api", reading=reading)
        self._constants = list(mapping.constants.values())
        self._keys = {name: mapping.columns[name] for name in self.layout.key if name in mapping.columns}

    def records(self, items: Sequence[Any], wrong: Wrong) -> list[Record]:
        """Make a record of each item; one whose key is missing or wrong is left out, and told."""
        found = self._whole(items)
        if found is not None:
            return found
        found = []
        for number, item in enumerate(items, start=1):
            wrong.row = self._called(number, item)
            if not isinstance(item, dict):
                wrong.add(number, f"{shown(item)} stands where an object is due", "Correct the expression `rows`.")
                continue
            record = self._record(number, item, wrong)
            if record is not None:
                found.append(record)
        return found

    def absent(self, items: Sequence[Any]) -> list[tuple[str, str]]:
        """Return the columns whose expression is a path that no item has, and the name that is missing."""
        found = []
        for column, expression in self._mapping.columns.items():
            objects = [item for item in items if isinstance(item, dict)]
            for name in expression.names():
                have = {key for each in objects for key in each}
                # Where there is nothing to look into (null, or no rows) a name is neither there nor missing.
                if have and name not in have:
                    found.append((column, f"{shown(name)}{nearest(name, have)}"))
                    break
                objects = [each[name] for each in objects if isinstance(each.get(name), dict)]
        return found

    def keys(self, record: Record) -> Key:
        """Return the values of the key."""
        return tuple(getattr(record, name) for name in self.layout.key)

    def _whole(self, items: Sequence[Any]) -> list[Record] | None:
        """Make all records column by column, None where anything is wrong or there is nothing to make."""
        if set(map(type, items)) != {dict}:
            return None
        columns: list[Sequence[Any]] = []
        for column, expression in self._mapping.columns.items():
            try:
                cells = expression.search_all(items)
            except ValueError:
                return None
            if (translations := self._mapping.values.get(column)) is not None:
                kinds = set(map(type, cells)) - {str, type(None)}
                if kinds not in ({bool}, {int}, set()):  # True and 1 are one to a dict
                    return None
                known = {cell: None if cell is None else self._meant(translations, cell) for cell in set(cells)}
                if any(new is None and old is not None for old, new in known.items()):
                    return None
                cells = [known[cell] or None for cell in cells]
            columns.append(cells)
        return self.layout.whole([*columns, *([constant] * len(items) for constant in self._constants)])

    @staticmethod
    def _meant(translations: Map[str, str], cell: Any) -> str | None:
        """Return what the value map says of a cell: "" for not said, None where it says nothing."""
        text = str(cell).lower() if isinstance(cell, bool) else str(cell) if isinstance(cell, str | int) else None
        meant = translations.get(text.strip()) if text is not None else None
        return translations.get("*") if meant is None else meant

    def _record(self, number: int, item: Map[str, Any], wrong: Wrong) -> Record | None:
        cells: list[Any] = []
        for column, expression in self._mapping.columns.items():
            try:
                cell = expression.search(item)
            except ValueError as error:
                wrong.add(number, f"{expression} fails: {error}", "Correct the expression.", column=column)
                cell = None
            cells.append(self._translated(number, column, cell, wrong))
        return self.layout.record(number, [*cells, *self._constants], wrong)[1]

    def _translated(self, number: int, column: str, cell: Any, wrong: Wrong) -> Any:
        """Return what the value map makes of a cell; one that it does not hold is told, and not said."""
        translations = self._mapping.values.get(column)
        if translations is None or cell is None:
            return cell
        meant = self._meant(translations, cell)
        if meant is None:
            known = ", ".join(sorted(translations))
            wrong.add(
                number,
                f"{shown(cell)} is none of the values that are mapped: {known}",
                f'Add it under values.{column}, or map "*" for all others.',
                column=column,
            )
        return meant or None

    def _called(self, number: int, item: Any) -> str:
        """Return the row in words: by its key where it has one, else by its place in the page."""
        parts = []
        for name, expression in self._keys.items():
            try:
                value = expression.search(item)
            except ValueError:
                value = None
            if isinstance(value, str | int):
                parts.append(f"{name} {value}")
        return ", ".join(parts) or f"row {number} of the page"


def optional(table: str) -> frozenset[str]:
    """Return the columns that are no part of the key: those that may be withdrawn."""
    return frozenset(column.name for column in columns_of(table) if not column.key)
