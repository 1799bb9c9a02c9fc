"""Read a rule's SQL as DuckDB's own parser reads it, and refuse whatever is not on the list.

The tree comes from ``json_serialize_sql``: what is judged here is what would run, so comments, quoting and
Unicode look-alikes hide nothing. The list names what is allowed; a construct of tomorrow's DuckDB is refused
until somebody adds it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import duckdb

from reconciler.engine.determinism import doubt
from reconciler.engine.functions import CLOCKS, FUNCTIONS, ROW_NUMBERS, SESSION

_NODES = {
    "SELECT_NODE",
    "SET_OPERATION_NODE",
    "BASE_TABLE",
    "JOIN",
    "SUBQUERY",
    "EMPTY",
    "EXPRESSION_LIST",
    "ORDER_MODIFIER",
    "DISTINCT_MODIFIER",
    "ORDER_DEFAULT",
    "ASCENDING",
    "DESCENDING",
}
_EXPRESSIONS = {
    "BETWEEN",
    "CASE",
    "CAST",
    "COLUMN_REF",
    "COMPARISON",
    "CONJUNCTION",
    "CONSTANT",
    "FUNCTION",
    "LAMBDA",
    "OPERATOR",
    "PARAMETER",
    "SUBQUERY",
    "TYPE",
    "WINDOW",
}
_JOINS = {"REGULAR", "CROSS", "DEPENDENT"}
_REFUSED_KEYS = {
    "sample": "a sample of rows",
    "at_clause": "a table's older version",
}
_CLOCK = "Use $as_of, so that a replay gives the same verdicts."
_WORDS = {
    "TABLE_FUNCTION": "a table function",
    "SHOW_REF": "SHOW, DESCRIBE or SUMMARIZE",
    "LIMIT_MODIFIER": "LIMIT",
    "LIMIT_PERCENT_MODIFIER": "LIMIT",
    "RECURSIVE_CTE_NODE": "a recursive query",
    "STAR": "* for columns",
    "COLLATE": "COLLATE",
    "PIVOT": "PIVOT",
}
_ADVICE = {
    "TABLE_FUNCTION": "Read the tables of the estate only; files, settings and other queries are out of reach.",
    "SHOW_REF": "Select from the tables of the estate.",
    "LIMIT_MODIFIER": "Judge every row of the population.",
    "LIMIT_PERCENT_MODIFIER": "Judge every row of the population.",
    "RECURSIVE_CTE_NODE": "Nested groups are closed already: read effective_access.",
    "STAR": "Name the columns, so that it can be checked which ones the rule depends on.",
}


_SELECT = duckdb.StatementType.SELECT
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_UPPER = {letter: letter + 32 for letter in range(ord("A"), ord("Z") + 1)}
_MOMENTS = {"now", "today", "tomorrow", "yesterday"}


@dataclass(frozen=True, slots=True)
class Fault:
    """Something in the SQL that is refused; ``offset`` counts bytes, None where the parser does not say."""

    offset: int | None
    message: str
    advice: str


@dataclass(slots=True)
class Query:
    """What a rule's SQL refers to, and what in it is refused."""

    tables: dict[str, int] = field(default_factory=dict)
    """Table -> offset of its first mention; the query's own WITH names are not tables."""
    columns: set[str] = field(default_factory=set)
    """Every part of every column reference: a superset of the columns read."""
    params: dict[str, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def read_query(connection: duckdb.DuckDBPyConnection, sql: str, known: Mapping[str, object]) -> Query:
    """Parse ``sql`` (nothing is bound or run) and walk its tree; ``known`` are the tables of the estate."""
    query = Query()
    if "\0" in sql:
        before = len(sql[: sql.index("\0")].encode())
        query.faults.append(Fault(before, "a NUL byte", "Save the file as plain UTF-8 text."))
        return query
    row = connection.execute(
        "select json_serialize_sql(?, skip_null := true, skip_empty := true, skip_default := true)", [sql]
    ).fetchone()
    tree: dict[str, Any] = json.loads(row[0]) if row else {"error": True, "error_message": "the parser gave nothing"}
    if tree["error"]:
        if tree.get("error_type") == "not implemented":
            other = next((s.query for s in connection.extract_statements(sql) if s.type != _SELECT), sql)
            advice = "A rule is one SELECT; it changes, attaches, loads and copies nothing."
            offset = len(sql[: sql.find(other)].encode()) if other in sql else None
            query.faults.append(Fault(offset, f"{_verb(other)} is not a SELECT", advice))
        else:
            position = tree.get("position")
            offset = int(position) if position is not None else None
            query.faults.append(Fault(offset, f"SQL: {tree['error_message']}", "Correct the SQL (DuckDB's dialect)."))
        return query
    statements = tree["statements"]
    if len(statements) != 1:
        advice = "A rule is one SELECT; remove what follows the semicolon." if statements else "A rule is one SELECT."
        query.faults.append(Fault(None, f"{len(statements) or 'no'} statements", advice))
    for statement in statements:
        _Walk(query, known).visit(statement, _Scope())
    return query


def fold(name: str) -> str:
    """Return a name as DuckDB compares it: only A to Z have another case, so that no look-alike becomes a letter."""
    return name.translate(_UPPER)


def _verb(sql: str) -> str:
    words = _COMMENT.sub(" ", sql).split()
    return words[0].upper() if words else "an empty file"


@dataclass(frozen=True, slots=True)
class _Scope:
    """What names mean at one place: the WITH names in sight, and the tables and aliases of the FROMs around it."""

    names: frozenset[str] = frozenset()
    aliases: frozenset[str] = frozenset()


class _Walk:
    def __init__(self, query: Query, known: Mapping[str, object]) -> None:
        self.query = query
        self.known = known

    def visit(self, node: Any, scope: _Scope) -> None:
        """Check one node and what is below it."""
        if isinstance(node, list):
            for item in node:
                self.visit(item, scope)
        elif isinstance(node, dict):
            below = self._node(node, scope)
            for key, value in node.items():
                if key in _REFUSED_KEYS:
                    self._refuse(node, f"{_REFUSED_KEYS[key]} is refused", "Judge every row as the snapshot holds it.")
                elif key not in {"cte_map", "literal"} and not (key == "select_list" and _is_values(node)):
                    self.visit(value, below)

    def _node(self, node: dict[str, Any], scope: _Scope) -> _Scope:
        kind = node.get("class", node.get("type"))
        if "class" in node:
            self._expression(node, str(kind), scope)
        elif isinstance(kind, str):
            if kind not in _NODES:
                self._refuse(
                    node, f"{_WORDS.get(kind, kind)}{_called(node)} is refused", _ADVICE.get(kind, "Use plain SELECTs.")
                )
            if kind == "BASE_TABLE":
                self._table(node, scope)
            if kind == "JOIN" and node.get("ref_type", "REGULAR") not in _JOINS:
                self._refuse(node, f"a {node['ref_type']} join is refused", "Join with ON or USING.")
            if kind == "DISTINCT_MODIFIER" and node.get("distinct_on_targets"):
                self._refuse(
                    node, "DISTINCT ON is refused", "Which row it keeps is chance: use GROUP BY with min or max."
                )
        return self._with(node, scope)

    def _with(self, node: dict[str, Any], scope: _Scope) -> _Scope:
        names = scope.names
        for entry in node.get("cte_map", {}).get("map", []):
            name = fold(str(entry["key"]))
            if name in self.known:
                self._refuse(node, f"WITH names a query {name!r} like a table of the estate", "Give it another name.")
            self.visit(entry["value"], _Scope(names, scope.aliases))
            names |= {name}
        return _Scope(names, scope.aliases | set(_aliases(node.get("from_table"))))

    def _table(self, node: dict[str, Any], scope: _Scope) -> None:
        path = node.get("qualified_name", {}).get("path", [])
        name = str(node.get("table_name", ""))
        if len(path) == 1 and fold(name) in scope.names:
            return
        if len(path) != 1 or fold(name) not in self.known:
            self._refuse(
                node,
                f"unknown table {'.'.join(map(str, path)) or name!r}",
                f"Read one of: {', '.join(self.known)}.",
            )
            return
        self.query.tables.setdefault(fold(name), node.get("query_location", 0))

    def _expression(self, node: dict[str, Any], kind: str, scope: _Scope) -> None:
        if kind not in _EXPRESSIONS:
            self._refuse(node, f"{_WORDS.get(kind, kind)} is refused", _ADVICE.get(kind, "Use plain expressions."))
        elif kind == "COLUMN_REF":
            self._column(node, [fold(str(part)) for part in node["column_names"]], scope)
        elif kind == "PARAMETER":
            self.query.params.setdefault(str(node.get("identifier", "")), node.get("query_location", 0))
        elif kind in {"FUNCTION", "WINDOW"}:
            self._function(node)
        elif kind == "CAST":
            literal = node.get("child", {}).get("literal", {})
            if fold(str(literal.get("text", "")).strip()) in _MOMENTS:
                self._refuse(node, f"a cast of {literal['text']!r} asks the clock", _CLOCK)

    def _column(self, node: dict[str, Any], path: list[str], scope: _Scope) -> None:
        self.query.columns.update(path)
        # A table's name in place of a column is its whole row: columns would be read that nobody named.
        whole = len(path) == 1 or path[0] not in scope.aliases or path[-1] in self.known
        if path[-1] in scope.aliases and whole:
            self._refuse(
                node,
                f"{'.'.join(path)} is the whole row of a table",
                "Name the column; where a column has that name, give the table another alias, or write alias.column.",
            )
        if path[-1] in ROW_NUMBERS:
            self._refuse(node, f"{path[-1]} is no column of the estate", "Order and count by the table's own columns.")
        # Without brackets the standard's clock and session functions are parsed as columns.
        if len(path) == 1 and path[0] in CLOCKS:
            self._refuse(node, f"{path[0]} asks the clock", _CLOCK)
        if len(path) == 1 and path[0] in SESSION:
            self._refuse(node, f"{path[0]} asks the session", "Judge by the tables of the estate alone.")

    def _function(self, node: dict[str, Any]) -> None:
        path = [str(part) for part in node.get("qualified_name", {}).get("path", [])]
        name = fold(str(node.get("function_name", "")))
        if name in CLOCKS:
            self._refuse(node, f"{name}() asks the clock", _CLOCK)
        elif len(path) > 1 or name not in FUNCTIONS:
            self._refuse(
                node,
                f"function {'.'.join(path) or name}() is not allowed",
                "Use one of the functions listed in reconciler/engine/functions.py.",
            )
        elif found := doubt(name, node):
            self._refuse(node, found.message, found.advice)

    def _refuse(self, node: dict[str, Any], message: str, advice: str) -> None:
        offset = node.get("query_location")
        self.query.faults.append(Fault(offset if offset is not None else next(_offsets(node), None), message, advice))


def _is_values(node: dict[str, Any]) -> bool:
    """Say whether a SELECT stands for VALUES alone: the parser then writes the star itself."""
    return node.get("from_table", {}).get("type") == "EXPRESSION_LIST" and all(
        item.get("class") == "STAR" and "query_location" not in item for item in node.get("select_list", ())
    )


def _aliases(table: Any) -> Iterator[str]:
    """Yield the names by which a FROM calls its tables."""
    if not isinstance(table, dict):
        return
    if table.get("type") == "JOIN":
        yield from _aliases(table.get("left"))
        yield from _aliases(table.get("right"))
    elif name := table.get("alias") or table.get("table_name"):
        yield fold(str(name))


def _called(node: dict[str, Any]) -> str:
    name = node.get("function", {}).get("function_name")
    return f" ({name})" if name else ""


def _offsets(node: Any) -> Iterator[int]:
    if isinstance(node, dict):
        if "query_location" in node:
            yield node["query_location"]
        for value in node.values():
            yield from _offsets(value)
    elif isinstance(node, list):
        for value in node:
            yield from _offsets(value)
