"""From records as SOQL answers with them to records of the estate: pure, no network."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from reconciler.sdk.columns import Column, columns_of
from reconciler.sdk.connector import Gap
from reconciler.sdk.layout import Field, Layout
from reconciler.sdk.problems import BadValueError, shown
from reconciler.sdk.records import Record
from reconciler.sdk.values import Reading

from .schema import Resolved

QUEUE = "00G"
"""How the id of a queue or public group begins; a user's begins with 005."""

PERSONS = frozenset(
    {"person_id", "manager_id", "requested_by", "approved_by", "executed_by", "business_owner", "review_owner"}
    | {"reviewer_id", "steward"}
)
"""Columns that name a person: work that waits in a queue is nobody's yet."""

_ABSENT = object()
_REPORT = "Report this to the provider."


@dataclass(slots=True)
class Complaints:
    """The problems of the records of one page, as gaps that name each record."""

    table: str
    entity: str
    ids: Sequence[str]
    gaps: list[Gap] = field(default_factory=list)

    def add(self, place: int | None, message: str, remedy: str, *, column: str = "") -> None:
        """Keep one problem of the record at ``place``."""
        subject = self.entity if place is None else f"{self.entity} {self.ids[place]}"
        self.gaps.append(Gap(self.table, subject, f"{column}: {message}. {remedy}"))


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the records of one object into one table."""

    table: str
    entity: str
    layout: Layout
    sources: tuple[tuple[Resolved, ...], ...]
    """The paths of each field of the layout, in its order."""

    @property
    def paths(self) -> list[str]:
        """What to select: the record's id, and each path once."""
        return list(dict.fromkeys(["Id", *(one.text for paths in self.sources for one in paths)]))

    def read(self, records: Sequence[Mapping[str, Any]]) -> tuple[list[Record], list[Gap]]:
        """Return a row for each record whose key can be read, and a gap for everything that cannot."""
        complaints = Complaints(self.table, self.entity, [str(record.get("Id")) for record in records])
        rows = []
        for place, record in enumerate(records):
            cells = [[_at(record, one.path) for one in paths] for paths in self.sources]
            _, row = self.layout.record(place, cells, complaints)
            if row is not None:
                rows.append(row)
        return rows, complaints.gaps

    def without(self, columns: Collection[str]) -> Reader:
        """Return a reader that leaves columns alone."""
        kept = [
            (one, paths)
            for one, paths in zip(self.layout.fields, self.sources, strict=True)
            if one.column.name not in columns
        ]
        fields = [replace(one, index=place) for place, (one, _) in enumerate(kept)]
        layout = Layout.of(self.table, self.layout.source, fields)
        return replace(self, layout=layout, sources=tuple(paths for _, paths in kept))

    def seen(self, rows: Sequence[Record], wanted: frozenset[str]) -> frozenset[str]:
        """Return which of the canaries are a key, or a part of one, of these rows."""
        if not wanted:
            return frozenset()
        return wanted.intersection(str(getattr(row, name)) for row in rows for name in self.layout.key)


def reader(
    table: str,
    entity: str,
    columns: Mapping[str, tuple[Resolved, ...]],
    values: Mapping[str, Mapping[str, str]],
    *,
    source: str,
    reading: Reading,
) -> Reader:
    """Lay out a table: how each column is read from its fields."""
    known = {column.name: column for column in columns_of(table)}
    fields = [
        Field(place, known[name], name, _Cells(table, known[name], paths, values.get(name, {}), reading))
        for place, (name, paths) in enumerate(columns.items())
    ]
    return Reader(table, entity, Layout.of(table, source, fields), tuple(columns.values()))


def _at(record: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    """Return what stands at a path; None for an empty field or lookup, ``_ABSENT`` where the answer leaves it out."""
    if len(path) == 1:
        return record.get(path[0], _ABSENT)
    found: Any = record
    for step in path:
        if found is None:
            return None
        if not isinstance(found, dict):
            return _ABSENT
        found = found.get(step, _ABSENT)
    return found


class _Cells:
    """Reads one column of a table from the values of its fields."""

    def __init__(
        self, table: str, column: Column, paths: tuple[Resolved, ...], values: Mapping[str, str], reading: Reading
    ) -> None:
        self._table = table
        self._column = column
        self._paths = paths
        self._exact = dict(values)
        self._folded = {name.casefold(): value for name, value in values.items()}
        self._reading = reading
        self._convert = reading.converter(column, "json")
        self._text = reading.converter(column, "text")
        plain = column.kind in {"text", "zone", "list", "date", "instant"} and not _prepared(paths[0], column)
        self._direct = plain and len(paths) == 1 and not values

    def __call__(self, cells: list[Any]) -> Any:
        """Return the value of the column, None for "not said"; raise ``BadValueError``."""
        # Most cells are text that is taken as it is, or nothing: half of the time of a pull is spent here.
        if self._direct and type(cells[0]) is str:
            return self._text(cells[0]) or None
        values = [self._one(cell, resolved) for cell, resolved in zip(cells, self._paths, strict=True)]
        if self._column.kind != "list":
            return self._converted(values[0])
        items: list[str] = []
        for value, resolved in zip(values, self._paths, strict=True):
            items += self._items(value, resolved)
        return list(dict.fromkeys(items)) or None

    def _one(self, cell: Any, resolved: Resolved) -> Any:
        if cell is _ABSENT:
            raise BadValueError(f"the answer leaves out {resolved.text}, which was asked for", _REPORT)
        value = self._mapped(cell)
        if not isinstance(value, str):
            whole = self._column.kind == "integer" and isinstance(value, float) and value.is_integer()
            return int(value) if whole else value
        return prepare(value, resolved, self._column, self._reading) if value else None

    def _mapped(self, value: Any) -> Any:
        text = ("true" if value else "false") if isinstance(value, bool) else value
        if not isinstance(text, str) or not self._exact:
            return text
        return self._exact.get(text, self._folded.get(text.casefold(), text))

    def _converted(self, value: Any) -> Any:
        try:
            return self._convert(value)
        except BadValueError as error:
            if self._column.kind != "choice":
                raise
            key = f"objects.{self._table}.values.{self._column.name}"
            raise BadValueError(error.message, f'Map it under {key}, to "" where it says nothing.') from error

    def _items(self, value: Any, resolved: Resolved) -> list[str]:
        if value is None:
            return []
        if not isinstance(value, str):
            raise BadValueError(f"{shown(value)} stands where text is due", _REPORT)
        if resolved.field.type != "multipicklist":
            return self._text(value) or []
        return [item for item in map(self._mapped, value.split(";")) if item]


def _prepared(resolved: Resolved, column: Column) -> bool:
    """Say whether ``prepare`` or a split at its own mark may change what a field holds for a column."""
    kinds = {"reference", "multipicklist"} | ({"date", "datetime"} if column.kind in {"instant", "date"} else set())
    return resolved.field.type in kinds and resolved.field.type != column.kind


def prepare(value: str, resolved: Resolved, column: Column, reading: Reading) -> str | None:
    """Return text as JSON would hold it for this column, where Salesforce's own type differs from it.

    A date where an instant is due is read as the only one of its instants that never credits anyone: what begins,
    begins with the day; all else is over with it.
    """
    kind = resolved.field.type
    if kind == "reference" and len(resolved.field.reference_to) > 1 and column.name in PERSONS:
        return None if value.startswith(QUEUE) else value
    if kind == "date" and column.kind == "instant":
        return f"{value}T{'00:00:00' if column.name == 'valid_from' else '23:59:59'}"
    if kind == "datetime" and column.kind == "date" and reading.zone is not None:
        try:
            return datetime.fromisoformat(value).astimezone(reading.zone).date().isoformat()
        except (ValueError, OverflowError) as error:
            raise BadValueError(f"{shown(value)} is no instant", _REPORT) from error
    return value
