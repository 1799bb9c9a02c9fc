"""Typed rows to Arrow columns, strictly: a value of the wrong kind is refused, never converted.

pyarrow alone would take a naive datetime as UTC, an integer as an instant, an instant as a date, a number
with a fraction part of zero as an integer and the characters of a text as a list. Each of these would be a
guess that a rule later takes for a fact. Columns are checked rather than rows: a set of types per column
costs a fraction of what the conversion itself costs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from itertools import chain
from operator import attrgetter
from typing import Any, NoReturn, cast

import msgspec
import pyarrow as pa

from reconciler.estate.tables import Column, Table
from reconciler.log import redact
from reconciler.sdk.errors import Misbehaved
from reconciler.sdk.records import Record

_ADVICE = "This is a defect in the connector's mapping or in the source's answer: correct it there and pull again."
_NONE = type(None)
_SHOWN = 40
_PLAIN: dict[Any, frozenset[type]] = {
    str: frozenset({str}),
    bool: frozenset({bool}),
    int: frozenset({int}),
    float: frozenset({float}),
    datetime: frozenset({datetime}),
    date: frozenset({date}),
    list[str]: frozenset({list}),
}


class Strict:
    """Converts the rows of one table of one source into Arrow record batches."""

    def __init__(self, source: str, table: Table) -> None:
        self.source = source
        self.table = table
        self.schema = table.schema
        self._names = self.schema.names
        self._owned = table.group == "identity"
        self._keys = [self._names.index(name) for name in key_columns(table)]

    def batch(self, rows: Sequence[Record], *, first: int) -> tuple[pa.RecordBatch, list[int]]:
        """Return ``rows`` as a record batch, and a 64-bit hash of each row's key, good within this process.

        ``first`` is the number of the first row within its partition, counted from 1, for messages. Raises
        ``Misbehaved`` naming source, table, column, kind of value and row.
        """
        if set(map(type, rows)) != {self.table.record}:
            at = next(i for i, row in enumerate(rows) if type(row) is not self.table.record)
            self._refuse(None, first + at, f"holds a {_kind(rows[at])}, where a row of {self.table.name} is due")
        columns: list[tuple[Any, ...]] = list(zip(*map(msgspec.structs.astuple, rows), strict=True))
        arrays = [
            self._array(column, values, first) for column, values in zip(self.table.columns, columns, strict=True)
        ]
        keys = list(map(hash, zip(*(columns[i] for i in self._keys), strict=True)))
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema), keys

    def _array(self, column: Column, values: tuple[Any, ...], first: int) -> pa.Array[Any]:
        field = column.arrow
        if values[0] is None and not column.key and values.count(None) == len(values):
            return cast("pa.Array[Any]", pa.nulls(len(values), field.type))
        if column.values or (self._owned and column.name == "source"):
            found = self._check_values(column, values, first)
            if len(found) == 1:
                return cast("pa.Array[Any]", pa.repeat(pa.scalar(found.pop(), type=field.type), len(values)))
        else:
            self._check_kinds(column, values, first)
        try:
            return cast("pa.Array[Any]", pa.array(values, type=field.type))
        except (pa.ArrowException, OverflowError, UnicodeError, TypeError, ValueError) as error:
            at = min(_first(values, lambda value: _inconvertible(value, field.type)), len(values) - 1)
            self._refuse(column, first + at, f"holds a {_kind(values[at])} that cannot be kept ({_brief(error)})")

    def _check_values(self, column: Column, values: tuple[Any, ...], first: int) -> set[Any]:
        """Check a column that may hold a few texts only, and return those that it holds."""
        allowed = set(column.values or (self.source,)) | (set() if column.key else {None})
        try:
            found = set(values)
        except TypeError:
            found = {Ellipsis}
        if not found <= allowed:
            at = _first(values, lambda value: not (value is None or isinstance(value, str)) or value not in allowed)
            self._check_kinds(column, values[: at + 1], first)
            text = redact(repr(values[at]))[:_SHOWN]
            self._refuse(
                column, first + at, f"holds {text}, which is none of {', '.join(column.values or [self.source])}"
            )
        return found

    def _check_kinds(self, column: Column, values: tuple[Any, ...], first: int) -> None:
        """Check that a column holds values of its own kind only, and a key column neither null nor empty text."""
        kinds = set(map(type, values))
        strange = kinds - _PLAIN[column.type] - {_NONE}
        # A text of a subclass, such as a StrEnum's member, is still that text; nothing else may be a subclass.
        if column.type is str:
            strange = {kind for kind in strange if not issubclass(kind, str)}
        if strange:
            at = _first(values, lambda value: type(value) in strange)
            self._refuse(column, first + at, f"holds a {_kind(values[at])}, where {column.type_name} is due")
        if column.key and (_NONE in kinds or "" in values):
            at = _first(values, lambda value: value is None or value == "")
            what = "null" if values[at] is None else "empty"
            self._refuse(column, first + at, f"is {what}, and it is part of the key")
        if column.type is datetime:
            self._check_zones(column, values, first)
        elif column.type == list[str]:
            inner = set(map(type, chain.from_iterable(value for value in values if value is not None)))
            if not inner <= {str}:
                at = _first(values, lambda value: value is not None and any(type(v) is not str for v in value))
                self._refuse(column, first + at, "holds a list with something other than text in it")

    def _check_zones(self, column: Column, values: tuple[Any, ...], first: int) -> None:
        zones = set(map(attrgetter("tzinfo"), filter(None, values)))
        if zones <= {UTC}:
            return
        at = _first(values, lambda value: value is not None and value.utcoffset() is None)
        if at < len(values):
            self._refuse(column, first + at, "holds an instant without a time zone")

    def _refuse(self, column: Column | None, row: int, what: str) -> NoReturn:
        place = f"{self.table.name}.{column.name}" if column else self.table.name
        raise Misbehaved(f"{self.source}: {place} {what} (row {row} of the partition)", advice=_ADVICE)


def key_columns(table: Table) -> tuple[str, ...]:
    """Name the columns that tell rows of one source apart: the key, without the source's own name."""
    return tuple(name for name in table.key if not (table.group == "identity" and name == "source"))


def _first(values: Sequence[Any], wrong: Callable[[Any], bool]) -> int:
    """Return the position of the first value that is wrong; the length where none is."""
    return next((i for i, value in enumerate(values) if wrong(value)), len(values))


def _inconvertible(value: Any, kind: pa.DataType) -> bool:
    try:
        pa.scalar(value, type=kind)
    except (pa.ArrowException, OverflowError, UnicodeError, TypeError, ValueError):
        return True
    return False


def _kind(value: Any) -> str:
    return "null" if value is None else type(value).__name__


def _brief(error: Exception) -> str:
    # The text of the error may quote the value, which may be personal: its type says enough.
    return "text that is no Unicode" if isinstance(error, UnicodeError) else type(error).__name__
