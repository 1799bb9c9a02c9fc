"""The part of SOQL that the simulator understands; anything else is MALFORMED_QUERY, as the vendor says it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

_TOKENS = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*')|(?P<instant>\d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:?\d\d))?)"
    r"|(?P<number>-?\d+(?:\.\d+)?)|(?P<word>[A-Za-z_][\w.]*)|(?P<sign>!=|<=|>=|[=<>(),]))"
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
_RESERVED = {"AND", "OR", "NOT", "IN", "LIKE", "FROM", "WHERE", "ORDER", "LIMIT", "GROUP", "SELECT"}


class SoqlError(Exception):
    """A query that the vendor would refuse: its error code and words."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Literal:
    """A value in a condition; ``kind`` is how it was written: text, instant, number, word (true, false, null)."""

    kind: str
    value: Any


@dataclass(frozen=True)
class Condition:
    """One comparison; ``values`` are literals, or a query whose only column they come from."""

    path: str
    operator: str
    values: tuple[Literal, ...] | Query


@dataclass(frozen=True)
class Aggregate:
    """COUNT or MAX of a path under an alias."""

    function: str
    path: str
    alias: str


@dataclass(frozen=True)
class Query:
    """A parsed query; ``paths`` empty and ``aggregates`` too: SELECT COUNT()."""

    entity: str
    paths: tuple[str, ...] = ()
    aggregates: tuple[Aggregate, ...] = ()
    where: tuple[Condition, ...] = ()
    order: tuple[str, ...] = ()
    limit: int | None = None


def parse(text: str) -> Query:
    """Parse a query; raise ``SoqlError`` MALFORMED_QUERY for anything beyond this subset."""
    reader = _Reader(text)
    query = reader.query()
    reader.end()
    return query


class _Reader:
    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, str]] = []
        place = 0
        text = text.strip()
        while place < len(text):
            found = _TOKENS.match(text, place)
            if found is None or found.lastgroup is None:
                raise SoqlError("MALFORMED_QUERY", f"unexpected token: '{text[place : place + 20]}'")
            self._tokens.append((found.lastgroup, found[found.lastgroup]))
            place = found.end()
        self._next = 0

    def query(self) -> Query:
        self._expect("SELECT")
        paths, aggregates = self._columns()
        self._expect("FROM")
        entity = self._take("word")
        where: tuple[Condition, ...] = ()
        order: tuple[str, ...] = ()
        limit = None
        if self._if("WHERE"):
            where = self._several(self._condition, "AND")
        if self._if("ORDER"):
            self._expect("BY")
            order = self._several(lambda: self._take("word"), ",")
        if self._if("LIMIT"):
            limit = int(self._take("number"))
        return Query(entity, paths, aggregates, where, order, limit)

    def end(self) -> None:
        if self._next < len(self._tokens):
            raise SoqlError("MALFORMED_QUERY", f"unexpected token: '{self._tokens[self._next][1]}'")

    def _columns(self) -> tuple[tuple[str, ...], tuple[Aggregate, ...]]:
        paths: list[str] = []
        aggregates: list[Aggregate] = []
        while True:
            word = self._take("word")
            if not self._if("("):
                paths.append(word)
            elif self._if(")"):
                return (), ()
            else:
                if word.upper() not in {"COUNT", "MAX"}:
                    raise SoqlError("MALFORMED_QUERY", f"unknown function: {word}")
                path = self._take("word")
                self._expect(")")
                aggregates.append(Aggregate(word.upper(), path, self._take("word")))
            if not self._if(","):
                break
        if paths and aggregates:
            raise SoqlError("MALFORMED_QUERY", f"Field must be grouped or aggregated: {paths[0]}")
        return tuple(paths), tuple(aggregates)

    def _condition(self) -> Condition:
        path = self._take("word")
        if self._if("NOT"):
            self._expect("IN")
            return Condition(path, "NOT IN", self._set())
        if self._if("IN"):
            return Condition(path, "IN", self._set())
        if self._if("LIKE"):
            return Condition(path, "LIKE", (self._literal(),))
        operator = self._take("sign")
        if operator in "(),":
            raise SoqlError("MALFORMED_QUERY", f"unexpected token: '{operator}'")
        return Condition(path, operator, (self._literal(),))

    def _set(self) -> tuple[Literal, ...] | Query:
        self._expect("(")
        inner = self._tokens[self._next : self._next + 1]
        found: tuple[Literal, ...] | Query
        found = self.query() if inner and inner[0][1].upper() == "SELECT" else self._several(self._literal, ",")
        self._expect(")")
        return found

    def _literal(self) -> Literal:
        kind, text = self._tokens[self._next] if self._next < len(self._tokens) else ("", "")
        self._next += 1
        if kind == "text":
            return Literal(kind, re.sub(r"\\(.)", lambda m: _ESCAPES.get(m[1].lower(), m[1]), text[1:-1]))
        if kind == "number":
            return Literal(kind, float(text))
        if kind == "instant":
            return Literal("instant" if "T" in text else "date", text)
        if kind == "word" and text.lower() in {"true", "false", "null"}:
            return Literal(kind, {"true": True, "false": False, "null": None}[text.lower()])
        raise SoqlError("MALFORMED_QUERY", f"unexpected token: '{text}'")

    def _several(self, one: Callable[[], T], between: str) -> tuple[T, ...]:
        found = [one()]
        while self._if(between):
            found.append(one())
        return tuple(found)

    def _take(self, kind: str) -> str:
        found, text = self._tokens[self._next] if self._next < len(self._tokens) else ("", "<EOF>")
        if found != kind or (kind == "word" and text.upper() in _RESERVED):
            raise SoqlError("MALFORMED_QUERY", f"unexpected token: '{text}'")
        self._next += 1
        return text

    def _if(self, text: str) -> bool:
        if self._next < len(self._tokens):
            kind, found = self._tokens[self._next]
            if kind in {"word", "sign"} and found.upper() == text:
                self._next += 1
                return True
        return False

    def _expect(self, text: str) -> None:
        if not self._if(text):
            found = self._tokens[self._next][1] if self._next < len(self._tokens) else "<EOF>"
            raise SoqlError("MALFORMED_QUERY", f"expecting '{text}', found '{found}'")
