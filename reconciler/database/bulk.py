"""Many rows written by one statement: SQLite runs it for each row, PostgreSQL takes all rows as one JSON value.

Row by row PostgreSQL would spend its time on messages, and to let SQLAlchemy bind a row takes longer than SQLite
needs to write it. Both statements are made of the model; they differ only in where the values come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

import msgspec
from sqlalchemy import JSON, Connection, Table, Text, bindparam, cast, column, func, inspect, literal_column
from sqlalchemy import insert as insertion
from sqlalchemy import select as columns
from sqlalchemy import update as alteration
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from reconciler.database.model import Instant, Model

Row = dict[str, Any]

_SQLITE = SQLiteDialect_pysqlite(paramstyle="named")


def insert(connection: Connection, model: type[Model], rows: Sequence[Row]) -> None:
    """Insert rows in their order; all must name the same columns. Instants in them are replaced by their text."""
    if not rows:
        return
    names = _instants_as_text(model, rows)
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(_insert_each(model, names), list(rows))
    else:
        _all(connection, _insert_all(model, names), rows)


def update(connection: Connection, model: type[Model], key: str, rows: Sequence[Row], *, count_up: str = "") -> None:
    """Set the columns that the rows name, all the same ones, where ``key`` is as the row says.

    ``count_up`` names a column that becomes one more than it was. Instants in the rows are replaced by their text.
    """
    if not rows:
        return
    names = _instants_as_text(model, rows)
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(_update_each(model, key, names, count_up), list(rows))
    else:
        _all(connection, _update_all(model, key, names, count_up), rows)


def _all(connection: Connection, statement: Any, rows: Sequence[Row]) -> None:
    connection.execute(statement, {"rows": msgspec.json.encode(rows).decode()})


def _table(model: type[Model]) -> Table:
    table: Table = inspect(model).local_table
    return table


@cache
def _insert_each(model: type[Model], names: tuple[str, ...]) -> str:
    return str(insertion(_table(model)).compile(dialect=_SQLITE, column_keys=names))


@cache
def _insert_all(model: type[Model], names: tuple[str, ...]) -> Any:
    return insertion(_table(model)).from_select(names, columns(*_unpacked(model, names).c))


@cache
def _update_each(model: type[Model], key: str, names: tuple[str, ...], count_up: str) -> str:
    table = _table(model)
    values: Row = {name: bindparam(name) for name in names if name != key}
    statement = alteration(table).where(table.c[key] == bindparam(key)).values(values | _one_more(table, count_up))
    return str(statement.compile(dialect=_SQLITE))


@cache
def _update_all(model: type[Model], key: str, names: tuple[str, ...], count_up: str) -> Any:
    table, told = _table(model), _unpacked(model, names)
    values = {name: told.c[name] for name in names if name != key}
    return alteration(table).where(table.c[key] == told.c[key]).values(values | _one_more(table, count_up))


def _one_more(table: Table, name: str) -> dict[str, Any]:
    return {name: table.c[name] + literal_column("1")} if name else {}


def _unpacked(model: type[Model], names: Sequence[str]) -> Any:
    """Return the rows that PostgreSQL makes of the JSON value, with the columns' own types."""
    types = _table(model).c
    value = cast(bindparam("rows", type_=Text()), JSON())
    rows = func.json_to_recordset(value).table_valued(*(column(name, types[name].type) for name in names))
    return rows.render_derived(name="told", with_types=True)


def _instants_as_text(model: type[Model], rows: Sequence[Row]) -> tuple[str, ...]:
    """Return the columns that the rows name, their instants written as SQLite's column does; PostgreSQL reads that."""
    names, types = tuple(rows[0]), _table(model).c
    for name in names:
        if isinstance(types[name].type, Instant):
            for row in rows:
                row[name] = _as_text(row[name])
    return names


@lru_cache(maxsize=64)
def _as_text(instant: Any) -> Any:
    """The rows of a night name few different instants."""
    return Instant().process_bind_param(instant, _SQLITE)
