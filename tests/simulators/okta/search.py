"""Okta's filter expressions (SCIM operators): what ``search`` and ``filter`` take, and whether an object meets them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tests.simulators.okta.errors import refused
from tests.simulators.okta.rows import Row

Test = Callable[[Row], bool]
_TOKEN = re.compile(r'\s*(?:(\()|(\))|"((?:[^"\\]|\\.)*)"|([^\s()"]+))')
_OPERATORS = {"eq", "ne", "sw", "co", "ew", "gt", "ge", "lt", "le", "pr"}


class _Wrong(Exception):  # noqa: N818 - becomes an HTTP answer
    """The expression cannot be read."""


def compiled(text: str, parameter: str, *, operators: frozenset[str], attributes: Callable[[str], bool]) -> Test:
    """Return the test that an expression stands for; answers 400 as Okta does where it cannot be read."""
    parts = list(_TOKEN.finditer(text))
    if "".join(match.group() for match in parts).strip() != text.strip():
        raise _invalid(text, parameter)
    reader = _Reader([_read(match) for match in parts], operators, attributes)
    try:
        return reader.whole()
    except (_Wrong, IndexError):
        raise _invalid(text, parameter) from None


def _invalid(text: str, parameter: str) -> Exception:
    if parameter == "search":
        return refused(400, "E0000031", f"Invalid search criteria: {text}")
    return refused(400, "E0000053", f"Invalid filter '{text}'")


def _read(match: re.Match[str]) -> tuple[str, str]:
    opening, closing, quoted, word = match.groups()
    if quoted is not None:
        return "text", re.sub(r"\\(.)", r"\1", quoted)
    return ("(", "") if opening else (")", "") if closing else ("word", word)


class _Reader:
    """A recursive-descent reader: ``or`` binds loosest, then ``and``, then ``not`` and brackets."""

    def __init__(self, parts: list[tuple[str, str]], operators: frozenset[str], known: Callable[[str], bool]) -> None:
        self._parts = parts
        self._at = 0
        self._operators = operators
        self._known = known

    def whole(self) -> Test:
        test = self.either()
        if self._rest():
            raise _Wrong
        return test

    def either(self) -> Test:
        tests = [self._all()]
        while self._word("or"):
            tests.append(self._all())
        return lambda row: any(test(row) for test in tests)

    def _all(self) -> Test:
        tests = [self._one()]
        while self._word("and"):
            tests.append(self._one())
        return lambda row: all(test(row) for test in tests)

    def _one(self) -> Test:
        if self._word("not"):
            test = self._one()
            return lambda row: not test(row)
        kind, name = self._next()
        if kind == "(":
            test = self.either()
            if self._next()[0] != ")":
                raise _Wrong
            return test
        operator = self._next()[1].lower()
        if kind != "word" or operator not in _OPERATORS & self._operators or not self._known(name):
            raise _Wrong
        if operator == "pr":
            return lambda row: bool(values(row, name))
        kind, value = self._next()
        if kind not in {"text", "word"}:
            raise _Wrong
        return lambda row: any(
            _holds(each, operator, value) for each in values(row, name) or ([None] if operator == "ne" else [])
        )

    def _rest(self) -> bool:
        return self._at < len(self._parts)

    def _word(self, word: str) -> bool:
        if self._rest() and self._parts[self._at][0] == "word" and self._parts[self._at][1].lower() == word:
            self._at += 1
            return True
        return False

    def _next(self) -> tuple[str, str]:
        part = self._parts[self._at]
        self._at += 1
        return part


def values(row: Row, name: str) -> list[Any]:
    """Return what stands at a dotted name: each element of a list, nothing where it is null or absent."""
    found: list[Any] = [row]
    for step in name.split("."):
        found = [inner for each in found if isinstance(each, dict) and (inner := each.get(step)) is not None]
        found = [inner for each in found for inner in (each if isinstance(each, list) else [each])]
    return found


def _holds(have: Any, operator: str, want: str) -> bool:
    if isinstance(have, bool):
        have = "true" if have else "false"
    left, right = str(have).casefold(), want.casefold()
    if isinstance(have, (int, float)) and re.fullmatch(r"-?\d+(\.\d+)?", want):
        return _compare(float(have), operator, float(want))
    if operator in {"sw", "co", "ew"}:
        return {"sw": left.startswith(right), "co": right in left, "ew": left.endswith(right)}[operator]
    return _compare(_instant(left), operator, _instant(right))


def _compare(left: Any, operator: str, right: Any) -> bool:
    return bool(
        {
            "eq": left == right,
            "ne": left != right,
            "gt": left > right,
            "ge": left >= right,
            "lt": left < right,
            "le": left <= right,
        }[operator]
    )


def _instant(text: str) -> str:
    """Bring the forms of an instant (with and without milliseconds) to one, so that they compare as texts."""
    return text[:-1] + ".000z" if re.fullmatch(r"\d{4}-\d\d-\d\dt\d\d:\d\d:\d\dz", text) else text
