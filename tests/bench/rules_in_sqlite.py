"""The same rules in SQLite: their own texts, transpiled, over tables with the indexes that their joins need."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import duckdb
import sqlglot
from sqlglot import exp

from reconciler.engine import Rule
from reconciler.engine.built import SELECTS, VIEWED
from reconciler.estate.tables import tables
from reconciler.sdk.records import Record
from reconciler.snapshot import Snapshot
from tests.bench.large_estate import AS_OF

_INDEXES = {
    "accounts": ["source, account_id"],
    "entitlements": ["source, entitlement_id"],
    "grants": ["source, principal_id, entitlement_id", "source, entitlement_id"],
    "people": ["person_id"],
    "approvals": ["approval_id", "person_id, entitlement", "lower(trim(approval_id))", "lower(trim(change_ref))"],
    "contracts": ["contract_id"],
    "reviews": ["source, account_id, entitlement_id"],
    "events": ["source, target_id, entitlement_id"],
    "links": ["source, account_id", "person_id"],
    "nesting": ["source, entitlement_id", "source, held_id"],
    "special_accounts": ["source, account_id"],
    "covering": ["source, account_id, entitlement_id", "approval_id"],
    "specials": ["source, account_id"],
    "free_to_hold": ["source, entitlement_id"],
    "positions": ["source, entitlement_id, department"],
}
_MADE = ("specials", "covering", "free_to_hold", "positions")
"""Made here, once for all rules, as the product does; the views after them."""
_PLAIN = {"TIMESTAMP WITH TIME ZONE": "strftime(\"{0}\", '%Y-%m-%d %H:%M:%S')", "DATE": "strftime(\"{0}\", '%Y-%m-%d')"}
_BATCH = 50_000


def fill(path: Path, snapshot: Snapshot, declared: Mapping[str, Sequence[Record]], built: Path) -> sqlite3.Connection:
    """Load what the rules read into a SQLite file, with indexes; ``links`` and ``nesting`` come from ``built``."""
    target = sqlite3.connect(path, isolation_level=None)
    target.executescript(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -2000000; "
        "PRAGMA temp_store = MEMORY; PRAGMA case_sensitive_like = ON; PRAGMA threads = 2"
    )
    with duckdb.connect() as source:
        source.execute("SET TimeZone = 'UTC'")
        source.execute(f"ATTACH '{built}' AS built (READ_ONLY)")
        for name, table in tables().items():
            if name in {"links", "nesting"}:
                _copy(source, target, name, f"built.{name}")
            elif files := [str(file) for file in snapshot.files(name)]:
                _copy(source, target, name, f"read_parquet({files})")
            elif name in declared:
                columns = [column.name for column in table.columns]
                target.execute(f"CREATE TABLE {name} ({', '.join(columns)})")
                rows = [tuple(getattr(row, column) for column in columns) for row in declared[name]]
                target.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' for _ in columns)})", rows)  # noqa: S608  # a name of the estate
    for name in _INDEXES:
        if name not in _MADE:
            _index(target, name)
    target.execute("ANALYZE")
    return target


def build(target: sqlite3.Connection) -> None:
    """Make what the product, too, makes once for all rules, and the views."""
    for name in _MADE:
        target.execute(f"CREATE TABLE {name} AS {_translated(SELECTS[name], {})}")
        _index(target, name)
    for name in VIEWED:
        target.execute(f"CREATE VIEW {name} AS {_translated(SELECTS[name], {})}")
    target.execute("ANALYZE")


def judge(target: sqlite3.Connection, rule: Rule) -> Mapping[str, int]:
    """Keep what a rule says in a table, as the product does; return verdict -> rows."""
    text = _translated(rule.sql, rule.values(AS_OF))
    target.execute("DROP TABLE IF EXISTS judged")
    target.execute(f"CREATE TABLE judged AS {text}")
    return dict(target.execute("SELECT verdict, count(*) FROM judged GROUP BY verdict").fetchall())


def _copy(source: duckdb.DuckDBPyConnection, target: sqlite3.Connection, name: str, given: str) -> None:
    columns = tables()[name].columns
    listed = ", ".join(
        f'CAST(to_json("{c.name}") AS VARCHAR)' if c.sql.endswith("[]") else _PLAIN.get(c.sql, '"{0}"').format(c.name)
        for c in columns
    )
    target.execute(f"CREATE TABLE {name} ({', '.join(c.name for c in columns)})")
    found = source.execute(f"SELECT {listed} FROM {given}")  # noqa: S608  # names of the estate
    insert = f"INSERT INTO {name} VALUES ({', '.join('?' for _ in columns)})"  # noqa: S608  # a name of the estate
    target.execute("BEGIN")
    while rows := found.fetchmany(_BATCH):
        target.executemany(insert, rows)
    target.execute("COMMIT")


def _index(target: sqlite3.Connection, name: str) -> None:
    for number, columns in enumerate(_INDEXES[name]):
        target.execute(f"CREATE INDEX {name}_{number} ON {name} ({columns})")


def _translated(sql: str, values: Mapping[str, object]) -> str:
    tree, before = sqlglot.parse_one(sql, read="duckdb"), ""
    # What stands inside something rewritten is reached by the next round.
    while (text := tree.sql("sqlite")) != before:
        tree, before = tree.transform(_rewritten, values), text
    return text


def _rewritten(node: exp.Expression, values: Mapping[str, object]) -> exp.Expression:  # noqa: PLR0911  # one for each kind of node
    """Say in SQLite's words what it spells otherwise; parameters become literals, so that its planner sees them."""
    match node:
        case exp.ArrayContains():
            words = values[node.this.name]
            return exp.In(this=node.expression, expressions=[exp.Literal.string(word) for word in words])  # type: ignore[attr-defined]  # a list of words
        case exp.Concat():
            parts = [exp.Coalesce(this=part, expressions=[exp.Literal.string("")]) for part in node.expressions]
            joined: exp.Expression = parts[0]
            for part in parts[1:]:
                joined = exp.DPipe(this=joined, expression=part)
            return exp.Paren(this=joined)
        case exp.Add() | exp.Sub() if isinstance(_value(node.expression, values), timedelta):
            seconds = int(_value(node.expression, values).total_seconds())  # type: ignore[attr-defined]  # the guard says so
            sign = "+" if isinstance(node, exp.Add) else "-"
            return exp.Anonymous(
                this="datetime", expressions=[node.this, exp.Literal.string(f"{sign}{seconds} seconds")]
            )
        case exp.RegexpLike():
            return exp.Paren(this=exp.Glob(this=node.this, expression=exp.Literal.string("*[*?]*")))
        case exp.Select() if node.find(exp.Explode) and len(node.expressions) > 1:
            listed = node.find(exp.Explode)
            if listed is not None and listed.find_ancestor(exp.Select) is node:
                column = listed.this.sql("sqlite")
                kept = [
                    part if not part.find(exp.Explode) else exp.column("value").as_(part.alias)
                    for part in node.expressions
                ]
                return node.select(*kept, append=False).join(
                    exp.func("json_each", sqlglot.parse_one(column)), join_type="cross"
                )
    if isinstance(node, exp.Placeholder | exp.Parameter) and not isinstance(node.parent, exp.ArrayContains):
        return _literal(_value(node, values), node)
    return node


def _value(node: exp.Expression, values: Mapping[str, object]) -> object:
    return values.get(node.name) if isinstance(node, exp.Placeholder | exp.Parameter) else None


def _literal(value: object, node: exp.Expression) -> exp.Expression:
    if value is None or isinstance(value, timedelta | list):
        return node
    if value == AS_OF:
        return exp.Literal.string(f"{AS_OF:%Y-%m-%d %H:%M:%S}")
    return exp.Literal.number(value) if isinstance(value, int | float) else exp.Literal.string(str(value))
