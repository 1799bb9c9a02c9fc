"""Columns of the estate's tables, as readers of foreign data need them: name, kind, key and allowed values."""

from __future__ import annotations

import types
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from reconciler.sdk.records import RECORDS

Kind = Literal["text", "choice", "zone", "object", "yes/no", "integer", "date", "instant", "list"]
"""How a column is read. `choice` is text out of a list, `zone` an IANA name, `object` a JSON object as text."""

_KINDS: dict[Any, Kind] = {
    str: "text",
    bool: "yes/no",
    int: "integer",
    date: "date",
    datetime: "instant",
    list[str]: "list",
}
_SPECIAL: dict[str, Kind] = {"time_zone": "zone", "attributes": "object"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column of an estate table; `values` holds the allowed values of a choice, else it is empty."""

    name: str
    kind: Kind
    key: bool
    values: tuple[str, ...] = ()


@cache
def columns_of(table: str) -> tuple[Column, ...]:
    """Return the columns of an estate table in their order; `KeyError` where there is no such table."""
    record = RECORDS[table]
    hints = get_type_hints(record, include_extras=True)
    return tuple(_column(name, hints[name]) for name in record.__struct_fields__)


def _column(name: str, hint: Any) -> Column:
    extra = next((m.extra for m in getattr(hint, "__metadata__", ()) if isinstance(m, msgspec.Meta)), None)
    bare = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    if get_origin(bare) in {Union, types.UnionType}:
        bare = next(part for part in get_args(bare) if part is not type(None))
    is_key = bool(extra and extra.get("key"))
    if get_origin(bare) is Literal:
        return Column(name, "choice", is_key, get_args(bare))
    return Column(name, _SPECIAL.get(name, _KINDS[bare]), is_key)


def nearest(name: str, among: Iterable[str]) -> str:
    """Return `; did you mean X?` for the name most like `name`, empty where none is."""
    folded = {other.casefold(): other for other in among}
    close = get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return f"; did you mean {folded[close[0]]}?" if close else ""
