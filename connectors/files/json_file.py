"""Read JSON (an array of objects) and JSON Lines (an object a line), each object with the line it starts on."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from reconciler.sdk.problems import Problems, shown
from reconciler.sdk.values import Family

from .csv_file import report_bytes
from .empty_file import EMPTY, EMPTY_REMEDY

_SPACE = re.compile(r"[ \t\r\n]*")
_MALFORMED = "Export the file again; where it ends too early the export was cut short."
_ARRAY = 'Write one array of objects: [{"person_id": "P1"}, ...].'
_OBJECT = 'Write every row as an object: {"person_id": "P1"}.'


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        message = f"the name {shown(twice)} stands twice in one object"
        raise ValueError(message)
    return found


def _no_constant(name: str) -> NoReturn:
    message = f"{name} is not JSON"
    raise ValueError(message)


_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_constant)


class _Objects(ABC):
    """Rows that are objects: the header is every name that any of them has, so it takes one reading of its own."""

    family: Family = "json"
    unit = "line"

    def __init__(self, path: Path, *, encoding: str) -> None:
        self._path = path
        self._encoding = encoding
        self._header: list[str] = []
        self._objects = 0

    def header(self, problems: Problems) -> list[str]:
        """Return every name used in the file, in order of appearance; empty for a file without rows."""
        names: dict[str, None] = {}
        self._objects = 0
        for _, row in self._parsed(problems):
            names.update(dict.fromkeys(row))
            self._objects += 1
        self._header = list(names)
        return self._header

    def rows(self, problems: Problems) -> Iterator[tuple[int, list[Any]]]:
        """Yield line and values of each object; a name that it does not have is null."""
        for line, row in self._parsed(problems):
            yield line, [row.get(name) for name in self._header]

    def count(self) -> int | None:
        """Return None, unless the format closes its list."""
        return None

    def _parsed(self, problems: Problems) -> Iterator[tuple[int, dict[str, Any]]]:
        try:
            yield from self._read(problems)
        except UnicodeError:
            report_bytes(self._path, self._encoding, problems)

    @abstractmethod
    def _read(self, problems: Problems) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the objects of the file with their lines."""


class JsonFile(_Objects):
    """One array of objects. The text is held in memory while it is read, the objects are not."""

    def count(self) -> int | None:
        """Return the length of the array."""
        return self._objects

    def _read(self, problems: Problems) -> Iterator[tuple[int, dict[str, Any]]]:
        text = self._path.read_text(encoding=self._encoding)
        at = _skip(text, 0)
        if at == len(text):
            problems.add(None, EMPTY, EMPTY_REMEDY)
            return
        if text[at] != "[":
            problems.add(None, "the file does not begin with an array", _ARRAY)
            return
        line, counted = 1, 0
        at = _skip(text, at + 1)
        first = True
        while first or text[at : at + 1] == ",":
            if first and text[at : at + 1] == "]":
                break
            start = at if first else _skip(text, at + 1)
            line += text.count("\n", counted, start)
            counted, first = start, False
            try:
                found, at = _DECODER.raw_decode(text, start)
            except (ValueError, RecursionError) as error:
                _malformed(error, line, problems)
                return
            if isinstance(found, dict):
                yield line, found
            else:
                problems.add(line, f"{shown(found)} stands where an object is due", _OBJECT)
            at = _skip(text, at)
        if text[at : at + 1] != "]":
            line += text.count("\n", counted, at)
            problems.add(
                line,
                "malformed JSON: the array is not closed"
                if at == len(text)
                else f"malformed JSON: {shown(text[at])} stands where a comma or ] is due",
                _MALFORMED,
            )
        elif _skip(text, at + 1) != len(text):
            line += text.count("\n", counted, at)
            problems.add(line, "malformed JSON: text after the end of the array", _ARRAY)


class JsonLinesFile(_Objects):
    """One object a line; blank lines are skipped, memory stays flat."""

    def _read(self, problems: Problems) -> Iterator[tuple[int, dict[str, Any]]]:
        blank = True
        with self._path.open(encoding=self._encoding, newline="\n") as lines:
            for line, text in enumerate(lines, start=1):
                bare = text.strip(" \t\r\n")
                if not bare:
                    continue
                blank = False
                try:
                    found = _DECODER.decode(bare)
                except (ValueError, RecursionError) as error:
                    _malformed(error, line, problems, within=line)
                    continue
                if isinstance(found, dict):
                    yield line, found
                else:
                    problems.add(line, f"{shown(found)} stands where an object is due", _OBJECT)
        if blank:
            problems.add(None, EMPTY, EMPTY_REMEDY)


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _malformed(error: ValueError | RecursionError, line: int, problems: Problems, *, within: int | None = None) -> None:
    """Report what the parser found; `within` is the line where the parser saw a single one."""
    if isinstance(error, json.JSONDecodeError):
        place = within or error.lineno
        problems.add(place, f"malformed JSON at character {error.colno}: {error.msg}", _MALFORMED)
    elif isinstance(error, RecursionError):
        problems.add(line, "JSON nested too deeply", _MALFORMED)
    else:
        problems.add(line, str(error), "Correct the object.")
