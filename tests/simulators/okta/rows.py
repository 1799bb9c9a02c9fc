"""Rows of an org in the order of their ids: listed one by one, or made from their number when asked for."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

Row = dict[str, Any]
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


class Rows(Protocol):
    """Objects with an ``id``, ordered by it."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Row: ...

    def index(self, object_id: str) -> int | None:
        """Return where the object stands, None where there is none of that id."""
        ...

    def after(self, object_id: str) -> int:
        """Return where the first object behind this id stands, whether or not the id is still there."""
        ...


class Listed:
    """Rows in memory, which may be added, changed and removed."""

    def __init__(self, rows: Iterable[Row] = (), *, key: str = "id") -> None:
        self._key = key
        self._by_id: dict[str, Row] = {}
        self._ids: list[str] = []
        for row in rows:
            self.put(row)

    def __len__(self) -> int:
        return len(self._ids)

    def __getitem__(self, index: int) -> Row:
        return self._by_id[self._ids[index]]

    def __iter__(self) -> Iterator[Row]:
        return (self._by_id[each] for each in self._ids)

    def index(self, object_id: str) -> int | None:
        return self.after(object_id) - 1 if object_id in self._by_id else None

    def after(self, object_id: str) -> int:
        return bisect.bisect_right(self._ids, object_id)

    def put(self, row: Row) -> Row:
        """Add a row, or replace the one of that id."""
        object_id = row[self._key]
        if object_id not in self._by_id:
            bisect.insort(self._ids, object_id)
        self._by_id[object_id] = row
        return row

    def drop(self, object_id: str) -> None:
        """Remove a row; an id that is not there is left alone."""
        if self._by_id.pop(object_id, None) is not None:
            self._ids.remove(object_id)


class Made:
    """``count`` rows that are made from their number each time they are asked for."""

    def __init__(self, prefix: str, count: int, make: Callable[[int], Row]) -> None:
        self.prefix = prefix
        self._count = count
        self._make = make

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: int) -> Row:
        if not 0 <= index < self._count:
            raise IndexError(index)
        return self._make(index)

    def index(self, object_id: str) -> int | None:
        number = number_of(object_id, self.prefix)
        return number if number is not None and number < self._count else None

    def after(self, object_id: str) -> int:
        number = number_of(object_id, self.prefix)
        return min(number + 1, self._count) if number is not None else 0


def find(rows: Rows, object_id: str) -> Row | None:
    """Return the row of that id, None where there is none."""
    index = rows.index(object_id)
    return None if index is None else rows[index]


def okta_id(prefix: str, number: int) -> str:
    """Return an id of 20 characters, as Okta's are, whose order is that of the numbers."""
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return prefix + "1sim" + digits.rjust(16 - len(prefix), "0")


def number_of(object_id: str, prefix: str) -> int | None:
    """Return the number that ``okta_id`` made an id of, None for any other text."""
    head = prefix + "1sim"
    if len(object_id) != 20 or not object_id.startswith(head):
        return None
    try:
        number = int(object_id[len(head) :], 36)
    except ValueError:
        return None
    return number if okta_id(prefix, number) == object_id else None
