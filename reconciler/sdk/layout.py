"""From foreign rows to records of an estate table, cell by cell: pure, no disk and no network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, Protocol, Self

from reconciler.sdk.columns import Column, columns_of, nearest
from reconciler.sdk.problems import BadValueError, shown
from reconciler.sdk.records import IDENTITY, RECORDS, Record
from reconciler.sdk.values import Convert, ConvertAll, Family, Reading

Key = tuple[Any, ...]

NEVER_EMPTY = frozenset({*IDENTITY, "people", "approvals"})
"""Tables of which no estate has none: in data that a person mapped, no rows are a failure until settings say not."""

_OWN = "Give each system a source of its own, called as the column says; or leave the column out."
_KEY = "Give every row its key."


class Complaints(Protocol):
    """What takes the problems of a row: `Problems` for a file, gaps for the answer of an interface."""

    def add(self, place: int | None, message: str, remedy: str, *, column: str = "") -> None:
        """Keep one problem of the row at ``place``."""
        ...


@dataclass(frozen=True, slots=True)
class Field:
    """One estate column and the place of its cell in a row; `called` is how messages name it."""

    index: int
    column: Column
    called: str
    convert: Convert
    columnwise: ConvertAll | None = None
    """What reads many cells at once; None: one after the other."""

    @classmethod
    def of(cls, index: int, column: Column, called: str, *, family: Family, reading: Reading) -> Self:
        """Make the field of a cell that is read as this kind of data has it."""
        convert = reading.converter(column, family)
        return cls(index, column, called, convert, reading.columnwise(column, family, convert))

    def all(self, cells: Sequence[Any]) -> Collection[Any]:
        """Read many cells; raise `BadValueError` where one is wrong."""
        return self.columnwise(cells) if self.columnwise is not None else [self.convert(cell) for cell in cells]


@dataclass(frozen=True, slots=True)
class Layout:
    """How foreign rows become records of one table."""

    table: str
    source: str
    fields: tuple[Field, ...]
    fills_source: bool
    key: tuple[str, ...]
    _make: Callable[..., Record]

    @classmethod
    def of(cls, table: str, source: str, fields: Sequence[Field]) -> Self:
        """Lay out `table`; where no field is `source`, an identity table gets the name of the source itself."""
        fills_source = table in IDENTITY and all(field.column.name != "source" for field in fields)
        key = tuple(column.name for column in columns_of(table) if column.key)
        names = [*(field.column.name for field in fields), *(["source"] if fills_source else [])]
        return cls(table, source, tuple(fields), fills_source, key, _maker(table, names))

    @classmethod
    def straight(cls, table: str, names: Sequence[str], *, source: str, family: Family, reading: Reading) -> Self:
        """Lay out rows whose cells stand in the order of `names`, each the name of an estate column."""
        columns = {column.name: column for column in columns_of(table)}
        fields = [Field.of(i, columns[name], name, family=family, reading=reading) for i, name in enumerate(names)]
        return cls.of(table, source, fields)

    @property
    def reported(self) -> frozenset[str]:
        """The estate columns that these rows can fill; every other one stays unknown.

        Rows that name no columns (the JSON array `[]`) show no more than the keys.
        """
        names = frozenset(field.column.name for field in self.fields)
        return (names or frozenset(self.key)) | ({"source"} if self.fills_source else set())

    @property
    def _own_key(self) -> tuple[str, ...]:
        """The columns of the key that rows have to hold themselves."""
        return tuple(name for name in self.key if not (self.fills_source and name == "source"))

    def records(self, first: int, rows: Sequence[Sequence[Any]], problems: Complaints) -> list[Record]:
        """Make the records of rows, the first of which stands at place `first`, as `record` does of one.

        Rows without a problem, the rule, are read column by column; else row by row, for what to say and of which.
        """
        if not rows:
            return []
        found = self.whole(list(zip(*rows, strict=True)))
        if found is None:
            made = [self.record(place, row, problems)[1] for place, row in enumerate(rows, start=first)]
            found = [record for record in made if record is not None]
        return found

    def whole(self, columns: Sequence[Sequence[Any]]) -> list[Record] | None:
        """Make the records of rows given column by column, None where any cell of them is wrong."""
        values: list[Collection[Any] | repeat[str]] = []
        for field in self.fields:
            try:
                found = field.all(columns[field.index])
            except BadValueError:
                return None
            if field.column.key and None in found:
                return None
            if field.column.name == "source" and self.table in IDENTITY and not {self.source}.issuperset(found):
                return None
            values.append(found)
        if not {field.column.name for field in self.fields}.issuperset(self._own_key):
            return None
        return list(map(self._make, *values, *([repeat(self.source)] if self.fills_source else [])))

    def key_of(self, record: Record) -> Key:
        """Return the key of one of these records."""
        return tuple([getattr(record, name) for name in self.key])

    def record(self, place: int, cells: Sequence[Any], problems: Complaints) -> tuple[Key | None, Record | None]:
        """Make key and record of one row; each is None where a cell of the key is missing or wrong.

        Any other wrong cell leaves its column None. Both are told to `problems`, and a caller that goes on in spite
        of them must not call the rows whole.
        """
        values: dict[str, Any] = {"source": self.source} if self.fills_source else {}
        for field in self.fields:
            try:
                value = field.convert(cells[field.index])
            except BadValueError as error:
                problems.add(place, error.message, error.remedy, column=field.called)
                continue
            if field.column.name == "source" and self.table in IDENTITY and value not in {None, self.source}:
                problems.add(place, f"{shown(value)} is not this source, {self.source}", _OWN, column=field.called)
            elif value is not None:
                values[field.column.name] = value
            elif field.column.key:
                problems.add(place, "empty, and it is part of the key", _KEY, column=field.called)
        if not all(name in values for name in self.key):
            return None, None
        return tuple(values[name] for name in self.key), RECORDS[self.table](**values)

    def describe(self, key: Key) -> str:
        """Return a key in words: `person_id 'P1'`."""
        return ", ".join(f"{name} {shown(str(value))}" for name, value in zip(self.key, key, strict=True))


def _maker(table: str, names: Sequence[str]) -> Callable[..., Record]:
    """Return a function that takes the values of columns called `names`, in that order, and makes a record of them.

    Records take their columns by name; to write the names down once is four times as fast as to pass them with each.
    """
    text = f"lambda {', '.join(names)}: record({', '.join(f'{name}={name}' for name in names)})"
    made: Callable[..., Record] = eval(text, {"record": RECORDS[table]})  # noqa: S307 - names of the estate's columns only
    return made


def misfits(table: str, names: Sequence[str]) -> Iterator[str]:
    """Say in words what keeps columns called `names` from filling `table`: unknown, twice, or a key left out."""
    known = {column.name: column for column in columns_of(table)}
    for name, times in Counter(names).items():
        if name not in known:
            yield f"no such column of {table}: {shown(name)}{nearest(name, known)}"
        elif times > 1:
            yield f"the column {name} comes {times} times"
    for column in known.values():
        if column.key and column.name not in names and not (column.name == "source" and table in IDENTITY):
            yield f"the key column {column.name} is missing{nearest(column.name, names)}"
