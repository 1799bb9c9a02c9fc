"""From the rows of a file to records of an estate table: pure, no disk."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from reconciler.sdk.columns import columns_of, nearest
from reconciler.sdk.layout import Field, Layout
from reconciler.sdk.problems import Problems, shown
from reconciler.sdk.values import Family, Reading

_EVERY = "*"


def lay_out(
    table: str,
    header: Sequence[str],
    *,
    source: str,
    family: Family,
    mapping: Mapping[str, str],
    ignored: Iterable[str],
    reading: Reading,
    problems: Problems,
) -> Layout:
    """Match a header with the columns of `table`; what does not match is added to `problems`.

    A column of the file that `mapping` names fills what the map says and nothing else.

    `mapping` gives, per estate column, the file's own name of it; `ignored` names columns of the file to
    leave alone. An empty `header` is that of a file without rows that names no columns.
    """
    estate = {column.name: column for column in columns_of(table)}
    if not header:
        return Layout.of(table, source, ())
    _check_header(header, problems)
    for name, called in mapping.items():
        if called not in header:
            problems.add(
                None,
                f"columns.{table} takes {name} from {shown(called)}, which is not a column{nearest(called, header)}",
                "Correct the column map.",
            )
    _check_unused(table, header, mapping, frozenset(ignored), problems)
    left_alone = {*ignored, *mapping.values()}
    places = {called: index for index, called in enumerate(header)}
    fields = []
    for name, column in estate.items():
        called = mapping.get(name, name)
        if called in places and (name in mapping or called not in left_alone):
            label = name if called == name else f"{called} ({name})"
            fields.append(Field.of(places[called], column, label, family=family, reading=reading))
    layout = Layout.of(table, source, fields)
    have = {field.column.name for field in fields} | ({"source"} if layout.fills_source else set())
    for name in layout.key:
        if name not in have and name not in mapping:
            problems.add(
                None,
                f"the key column {name} is missing{nearest(name, header)}",
                f'Add it, or name the file\'s own column: [sources.{source}.columns.{table}] {name} = "...".',
            )
    return layout


def _check_header(header: Sequence[str], problems: Problems) -> None:
    for place, name in enumerate(header, start=1):
        if not name:
            problems.add(None, f"column {place} has no name", "Name it in the header, or remove the column.")
        elif name in header[: place - 1]:
            problems.add(None, f"the header has {shown(name)} twice", "Keep one of the columns.")


def _check_unused(
    table: str, header: Sequence[str], mapping: Mapping[str, str], ignored: frozenset[str], problems: Problems
) -> None:
    """Report what would be read by nobody: most often a misspelt name, and then a fact that is lost."""
    names = [column.name for column in columns_of(table)]
    taken = set(mapping.values())
    for called in dict.fromkeys(name for name in header if name):
        if called in taken or called in ignored:
            continue
        if called in mapping:
            if _EVERY not in ignored:
                problems.add(
                    None,
                    f"{shown(called)} is a column, but the column map takes {called} from {shown(mapping[called])}",
                    f"Correct the map, or list it: ignore_columns.{table} = [{shown(called)}].",
                )
        elif called not in names and _EVERY not in ignored:
            hint = nearest(called, names)
            if len(header) == 1 and (other := next((mark for mark in ";\t|," if mark in called), None)):
                hint = f"; the delimiter seems to be {shown(other)}"
            problems.add(
                None,
                f"no such column of {table}: {shown(called)}{hint}",
                f"Correct the name, map it under columns.{table}, or list it under ignore_columns.{table}.",
            )
    for called in sorted(ignored - set(header) - {_EVERY}):
        if header:
            problems.add(None, f"ignore_columns.{table} names {shown(called)}, which is not a column", "Remove it.")
