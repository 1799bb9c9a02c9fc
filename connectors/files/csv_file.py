"""Read CSV strictly: a row that does not fit its header is an error, never a shorter row."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import IO, Any

from reconciler.sdk.problems import Problems
from reconciler.sdk.values import Family

from .empty_file import EMPTY, EMPTY_REMEDY

_BLOCK = 1 << 20
_UNCLOSED = "Look for a quote that was never closed, or for a quote inside a field that is not doubled."
_FIELDS = "Quote fields that hold the delimiter or a line break, and set delimiter to the one the file uses."


class CsvFile:
    """One CSV file: its header, and its rows with the physical line that each starts on."""

    family: Family = "text"
    unit = "line"

    def __init__(self, path: Path, *, delimiter: str, encoding: str) -> None:
        self._path = path
        self._delimiter = delimiter
        self._encoding = encoding

    def header(self, problems: Problems) -> list[str]:
        """Return the names in the first line that is not blank; a file without one is a problem."""
        for _, fields in self._records(problems):
            return [name.strip() for name in fields]
        if not problems:
            problems.add(None, EMPTY, EMPTY_REMEDY)
        return []

    def rows(self, problems: Problems) -> Iterator[tuple[int, list[str]]]:
        """Yield line and fields of each row; a row with another number of fields is a problem and left out."""
        records = self._records(problems)
        header: Sequence[str] = next(records, (0, ()))[1]
        width = len(header)
        for line, fields in records:
            if len(fields) == width:
                yield line, fields
            else:
                found, at = ("too few", header[len(fields)]) if len(fields) < width else ("too many", header[-1])
                where = f"none for column {at}" if found == "too few" else f"more than one after column {at}"
                problems.add(line, f"{found} fields: {len(fields)}, the header has {width}; {where}", _FIELDS)

    def count(self) -> int | None:
        """Return None: a CSV file does not say how many rows it holds."""
        return None

    def _records(self, problems: Problems) -> Iterator[tuple[int, list[str]]]:
        with self._path.open("rb") as handle, self._decoded(handle) as lines:
            reader = csv.reader(lines, delimiter=self._delimiter, strict=True)
            start = 1
            try:
                for fields in reader:
                    if fields:
                        if any("\0" in value for value in fields):
                            problems.add(start, "a NUL byte", f"The file is damaged or not {self._encoding}.")
                        else:
                            yield start, fields
                    start = reader.line_num + 1
            except csv.Error as error:
                problems.add(start, f"malformed CSV: {error}", _UNCLOSED)
            except UnicodeError:
                report_bytes(self._path, self._encoding, problems)

    def _decoded(self, handle: IO[bytes]) -> TextIOWrapper:
        return TextIOWrapper(handle, encoding=self._encoding, errors="strict", newline="")


def report_bytes(path: Path, encoding: str, problems: Problems) -> None:
    """Find and report the first byte of `path` that is not `encoding`: its offset from 0 and its line."""
    decoder: Any = codecs.getincrementaldecoder(encoding)(errors="strict")
    remedy = f"Save the file as {encoding}, or set encoding to what it is, such as cp1252 or utf-16."
    offset, line = 0, 1
    with path.open("rb") as handle:
        while True:
            block = handle.read(_BLOCK)
            try:
                line += decoder.decode(block, final=not block).count("\n")
            except UnicodeDecodeError as error:
                line += error.object[: error.start].count(b"\n")
                at = offset + len(block) - len(error.object) + error.start
                problems.add(line, f"byte {at} is not {encoding}: {error.reason}", remedy)
                return
            except UnicodeError as error:
                problems.add(line, f"the text is not {encoding}: {error}", remedy)
                return
            if not block:
                return
            offset += len(block)
