"""The query options of OData that a reader needs: $select, $top, $filter, $orderby, $count, $expand, $search."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.simulators.graph.answers import Json, bad

Predicate = Callable[[Json], bool]
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<time>\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d))|"
    r"(?P<guid>[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12})|(?P<number>-?\d+)|"
    r"(?P<word>[\w$@.]+(?:/[\w$@.]+)*)|(?P<mark>[(),:]))"
)
_OPERATORS = {"eq", "ne", "ge", "le", "gt", "lt"}


@dataclass(frozen=True, slots=True)
class Options:
    """What a query asks for."""

    select: tuple[str, ...] = ()
    expand: tuple[str, ...] = ()
    top: int | None = None
    filter: str | None = None
    order: str | None = None
    search: str | None = None
    count: bool = False
    skip_token: str | None = None
    delta_token: str | None = None


def options(query: Mapping[str, str]) -> Options:
    """Read the options; with or without the dollar sign, as Graph allows."""
    given = {name.lstrip("$").lower(): value for name, value in query.items()}
    top = given.get("top")
    if top is not None and not re.fullmatch(r"-?\d+", top):
        bad(f"Invalid value '{top}' for $top query option found. The $top query option requires an integer value.")
    if "skip" in given:
        bad("'$skip' is not supported by the service.")
    return Options(
        select=_names(given.get("select")),
        expand=_names(given.get("expand")),
        top=None if top is None else int(top),
        filter=given.get("filter"),
        order=given.get("orderby"),
        search=given.get("search"),
        count=given.get("count", "false").lower() == "true",
        skip_token=given.get("skiptoken"),
        delta_token=given.get("deltatoken"),
    )


def _names(text: str | None) -> tuple[str, ...]:
    """Split at commas, but not inside the parentheses of $expand=manager($select=id)."""
    return tuple(name.strip() for name in re.split(r",(?![^(]*\))", text or "") if name.strip())


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter ready to be asked, and whether only the advanced engine answers it."""

    matches: Predicate
    advanced: bool
    equals: Mapping[str, Any]
    """Properties that it holds to one value, all of which must hold."""


def parse_filter(text: str) -> Filter:
    """Read a filter; refuses what Graph would not understand."""
    parser = _Parser(text)
    matches = parser.either()
    if parser.peek() is not None:
        bad(f"Invalid filter clause: syntax error at position {parser.position} in '{text}'.")
    return Filter(matches, parser.advanced, {} if parser.loose else dict(parser.equals))


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens: list[tuple[str, str]] = []
        self.position = 0
        self.advanced = False
        self.loose = False
        self.equals: dict[str, Any] = {}
        at = 0
        stripped = text.rstrip()
        while at < len(stripped):
            found = _TOKEN.match(stripped, at)
            if found is None or found.lastgroup is None:
                bad(f"Invalid filter clause: syntax error at position {at} in '{text}'.")
            self.tokens.append((found.lastgroup, found[found.lastgroup]))
            at = found.end()

    def peek(self) -> str | None:
        return self.tokens[self.position][1] if self.position < len(self.tokens) else None

    def take(self, wanted: str | None = None) -> tuple[str, str]:
        if self.position >= len(self.tokens) or (wanted is not None and self.peek() != wanted):
            bad(f"Invalid filter clause: syntax error at position {self.position} in '{self.text}'.")
        self.position += 1
        return self.tokens[self.position - 1]

    def either(self) -> Predicate:
        parts = [self.both()]
        while self.peek() == "or":
            self.loose = True
            self.take()
            parts.append(self.both())
        return parts[0] if len(parts) == 1 else lambda row: any(part(row) for part in parts)

    def both(self) -> Predicate:
        parts = [self.one()]
        while self.peek() == "and":
            self.take()
            parts.append(self.one())
        return parts[0] if len(parts) == 1 else lambda row: all(part(row) for part in parts)

    def one(self) -> Predicate:
        if self.peek() == "(":
            self.take()
            inner = self.either()
            self.take(")")
            return inner
        if self.peek() == "not":
            self.take()
            self.advanced = self.loose = True
            inner = self.one()
            return lambda row: not inner(row)
        _, word = self.take()
        if word.lower() in {"startswith", "endswith"} and self.peek() == "(":
            return self._text_function(word.lower())
        if word.endswith("/any") and self.peek() == "(":
            return self._any(word.removesuffix("/any"))
        return self._comparison(word)

    def _text_function(self, name: str) -> Predicate:
        self.take("(")
        _, path = self.take()
        self.take(",")
        sought = str(self._value(self.take())).lower()
        self.take(")")
        if name == "endswith":
            self.advanced = True
            return lambda row: str(_at(row, path) or "").lower().endswith(sought)
        return lambda row: str(_at(row, path) or "").lower().startswith(sought)

    def _any(self, path: str) -> Predicate:
        """``proxyAddresses/any(p:p eq 'x')``, ``identities/any(i:i/issuer eq 'x')``."""
        self.take("(")
        _, variable = self.take()
        self.take(":")
        was = self.equals
        self.equals = {}
        inner = self.either()
        self.equals = was
        self.take(")")

        def matches(row: Json) -> bool:
            return any(inner({variable: each}) for each in _at(row, path) or ())

        return matches

    def _comparison(self, path: str) -> Predicate:
        operator = self.take()[1]
        if operator == "in":
            self.take("(")
            values = [self._value(self.take())]
            while self.peek() == ",":
                self.take()
                values.append(self._value(self.take()))
            self.take(")")
            folded = {_fold(value) for value in values}
            return lambda row: _fold(_at(row, path)) in folded
        if operator not in _OPERATORS:
            bad(f"Invalid filter clause: '{operator}' is no operator.")
        kind, word = self.take()
        if kind == "guid" and path == "id":
            bad("Invalid filter clause: a binary operator with incompatible types: Edm.String and Edm.Guid.")
        value = self._value((kind, word))
        if operator == "ne" or path.endswith("/$count"):
            self.advanced = True
        if operator == "eq":
            self.equals[path] = value
        return _compare(path, operator, value)

    def _value(self, token: tuple[str, str]) -> Any:
        kind, word = token
        if kind == "text":
            return word[1:-1].replace("''", "'")
        if kind in {"time", "guid"}:
            return word
        if kind == "number":
            return int(word)
        if word not in {"true", "false", "null"}:
            bad(f"Invalid filter clause: '{word}' is no value.")
        return {"true": True, "false": False, "null": None}[word]


def _compare(path: str, operator: str, value: Any) -> Predicate:
    sought = _fold(value)
    if operator == "eq":
        return lambda row: bool(_fold(_at(row, path)) == sought)
    if operator == "ne":
        return lambda row: bool(_fold(_at(row, path)) != sought)

    def ordered(row: Json) -> bool:
        held = _fold(_at(row, path))
        if held is None or sought is None:
            return False
        return bool({"ge": held >= sought, "le": held <= sought, "gt": held > sought, "lt": held < sought}[operator])

    return ordered


def _fold(value: Any) -> Any:
    """Compare text without case, as the directory does; times by their text, which is always UTC here."""
    if isinstance(value, str):
        folded = value.lower()
        if re.fullmatch(r"\d{4}-\d\d-\d\dt[\d:.]+z", folded):
            whole, _, part = folded.removesuffix("z").partition(".")
            return f"{whole}.{part:0<7}"
        return folded
    return value


def _at(row: Any, path: str) -> Any:
    held = row
    for name in path.split("/"):
        if name == "$count":
            return len(held or ())
        held = held.get(name) if isinstance(held, dict) else None
    return held


def order_key(order: str) -> tuple[Callable[[Json], Any], bool]:
    """Return the key of $orderby and whether it descends."""
    name, _, direction = order.strip().partition(" ")
    if direction.strip() not in {"", "asc", "desc"} or "," in order:
        bad(f"Invalid $orderby: '{order}'.")

    def key(row: Json) -> Any:
        held = _fold(_at(row, name))
        return (held is not None, held)

    return key, direction.strip() == "desc"
