"""Read TOML so that whoever finds fault with a value can name the file and the line it stands on.

``tomllib`` forgets where a value stood; ``line_of`` finds it again by walking the text once more. The text
must have parsed before: the walk does not look for errors.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reconciler.errors import ConfigurationError

Key = str | int
"""A step to a value: a table's key, or the number of an element of an array (from 0)."""

Place = tuple[int, int]
"""A line and a column, both from 1; columns count characters."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_DOT = re.compile(r"[ \t]*\.[ \t]*")
_PART = re.compile(r'"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'|[A-Za-z0-9_-]+')
_TEXT = re.compile(r'"""(?:\\.|[^\\])*?"{3,5}(?!")|\'\'\'.*?\'{3,5}(?!\')|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'', re.DOTALL)
_BARE = re.compile(r"[^,\]}\n#]*")
_AT = re.compile(r"\(at line (\d+), column (\d+)\)")
_LONG_NUMBER = re.compile(r"\d[\d_]{4299,}")


@dataclass(frozen=True, slots=True)
class Document:
    """A TOML file: its values and where they stand."""

    path: Path
    text: str
    data: dict[str, Any]
    _places: dict[tuple[Key, ...], Place] = field(default_factory=dict, repr=False, compare=False)

    def line(self, *keys: Key) -> int:
        """Return the line of a value, or of the nearest table around it where the value is not there."""
        return self._place(keys)[0]

    def at(self, *keys: Key) -> str:
        """Return ``file:line`` of a value, to begin a message with."""
        return f"{self.path}:{self.line(*keys)}"

    def exactly(self, *keys: Key) -> str:
        """Return ``file:line:column`` of a value's key."""
        line, column = self._place(keys)
        return f"{self.path}:{line}:{column}"

    def _place(self, keys: tuple[Key, ...]) -> Place:
        if not self._places:
            self._places.update(_positions(self.text))
        return _nearest(self._places, keys)


def read(path: Path) -> Document:
    """Read a TOML file; raises ``ConfigurationError`` naming ``file:line:column`` where it is none."""
    return parse(_bytes(path), path)


def read_text(path: Path) -> str:
    """Read a file of text, its line breaks made plain; raises ``ConfigurationError`` naming ``file:line:column``."""
    return _text(_bytes(path), path).replace("\r\n", "\n").replace("\r", "\n")


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            f"{path}: {error.strerror or error}", advice="Check the path and that this user may read the file."
        ) from error


def _text(raw: bytes, path: Path) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = _end(raw[: error.start].decode(errors="replace"))
        raise ConfigurationError(f"{path}:{place}: not UTF-8 text", advice="Save the file as UTF-8.") from error


def _end(text: str) -> str:
    """Return line and column, both from 1, of what follows a text."""
    return f"{text.count(chr(10)) + 1}:{len(text) - text.rfind(chr(10))}"


def parse(raw: bytes, path: Path) -> Document:
    """Parse the bytes of a TOML file; ``path`` is only named in messages."""
    text = _text(raw, path)
    try:
        data = tomllib.loads(text)
    except RecursionError as error:
        raise ConfigurationError(
            f"{path}:{_deepest(text)}:1: nested too deeply to be read", advice="Take out the nested brackets."
        ) from error
    except ValueError as error:
        message = str(error)
        if found := _AT.search(message):
            place, message = f"{found[1]}:{found[2]}", _AT.sub("", message).strip()
        elif long := _LONG_NUMBER.search(text):
            place, message = _end(text[: long.start()]), "a number of too many digits"
        else:
            place = _end(text.rstrip())
        raise ConfigurationError(
            f"{path}:{place}: not TOML: {message}", advice="Correct the line; texts stand in quotes, lists in brackets."
        ) from error
    return Document(path, text, data)


def _deepest(text: str) -> int:
    """Return the line with the most opening brackets: no honest line comes near the one that nests too deeply."""
    counts = [line.count("[") + line.count("{") for line in text.splitlines()]
    return counts.index(max(counts)) + 1


def line_of(text: str, keys: tuple[Key, ...]) -> int:
    """Return the line (from 1) of the value at ``keys``, or of the nearest table around it.

    ``("case", 1, "expect")`` is the key ``expect`` of the second ``[[case]]``.
    """
    return _nearest(_positions(text), keys)[0]


def _nearest(places: dict[tuple[Key, ...], Place], keys: tuple[Key, ...]) -> Place:
    while keys and keys not in places:
        keys = keys[:-1]
    return places.get(keys, (1, 1))


def _positions(text: str) -> dict[tuple[Key, ...], Place]:
    """Map every key path of the text to the place where it first stands."""
    breaks = [match.start() for match in re.finditer("\n", text)]
    places: dict[tuple[Key, ...], Place] = {}
    walked = 0
    for keys, offset in _walk(text):
        while walked < len(breaks) and breaks[walked] < offset:
            walked += 1
        for end in range(1, len(keys) + 1):
            places.setdefault(keys[:end], (walked + 1, offset - (breaks[walked - 1] if walked else -1)))
    return places


def _walk(text: str) -> Iterator[tuple[tuple[Key, ...], int]]:
    """Yield every key path with the offset where it stands, in the order of the text."""
    counts: dict[tuple[Key, ...], int] = {}
    table: tuple[Key, ...] = ()
    at = _skip(text, 0)
    while at < len(text):
        if text[at] == "[":
            many = text.startswith("[[", at)
            parts, end = _dotted(text, at + 1 + many)
            table = ()
            for number, part in enumerate(parts, start=1):
                table = (*table, part)
                if many and number == len(parts):
                    counts[table] = counts.get(table, -1) + 1
                if table in counts:
                    table = (*table, counts[table])
            yield table, at
            at = _skip(text, end + 1 + many)
        else:
            at = yield from _pair(text, at, table)
            at = _skip(text, at)


def _pair(text: str, at: int, table: tuple[Key, ...]) -> Generator[tuple[tuple[Key, ...], int], None, int]:
    parts, end = _dotted(text, at)
    keys = (*table, *parts)
    yield keys, at
    return (yield from _value(text, _skip(text, text.index("=", end) + 1), keys))


def _value(text: str, at: int, keys: tuple[Key, ...]) -> Generator[tuple[tuple[Key, ...], int], None, int]:
    if text[at] in "[{":
        closing, number = "]" if text[at] == "[" else "}", 0
        at = _skip(text, at + 1)
        while text[at] != closing:
            if closing == "]":
                yield (*keys, number), at
                at = yield from _value(text, at, (*keys, number))
                number += 1
            else:
                at = yield from _pair(text, at, keys)
            at = _skip(text, at)
            if text[at] == ",":
                at = _skip(text, at + 1)
        return at + 1
    literal = _TEXT.match(text, at) or _BARE.match(text, at)
    return literal.end() if literal else at


def _dotted(text: str, at: int) -> tuple[list[str], int]:
    """Read a dotted key; return its parts and the offset behind it."""
    parts: list[str] = []
    at = _skip(text, at)
    while part := _PART.match(text, at):
        bare = part[0]
        parts.append(next(iter(tomllib.loads(f"{bare} = 0"))) if bare[0] in "\"'" else bare)
        at = part.end()
        dot = _DOT.match(text, at)
        if not dot:
            break
        at = dot.end()
    return parts, _skip_spaces(text, at)


def _skip(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at


def _skip_spaces(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t":
        at += 1
    return at
