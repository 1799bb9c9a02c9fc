"""The formats: what a reader of one file has to offer, and which suffix is read by which."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

from reconciler.sdk.columns import Kind
from reconciler.sdk.problems import Problems
from reconciler.sdk.values import Family

from .csv_file import CsvFile
from .folder import DataFile
from .json_file import JsonFile, JsonLinesFile
from .settings import Settings


class Reader(Protocol):
    """One file of one format. Every method may raise `OSError`; what is wrong inside goes into `problems`."""

    family: Family
    unit: str
    """What places are counted in, from 1: line or row."""

    def header(self, problems: Problems) -> list[str]:
        """Return the names of the columns, in order; empty where the file has no rows and names none."""
        ...

    def rows(self, problems: Problems) -> Iterator[tuple[int, Sequence[object]]]:
        """Yield each row's place and its cells in the order of the header, which has been read before."""
        ...

    def count(self) -> int | None:
        """Return how many rows the file itself says it holds, once its header is read; None where it does not say."""
        ...


@runtime_checkable
class DeclaresTypes(Protocol):
    """A format that says what type each column has, before the first row."""

    def check_types(self, kinds: Mapping[str, Kind], problems: Problems) -> None:
        """Report the columns whose declared type cannot hold what is due."""
        ...


def reader_of(file: DataFile, settings: Settings) -> Reader:
    """Return the reader for the suffix of `file`."""
    if file.suffix == ".csv":
        return CsvFile(file.path, delimiter=settings.delimiter, encoding=settings.encoding)
    if file.suffix == ".json":
        return JsonFile(file.path, encoding=settings.encoding)
    if file.suffix == ".xlsx":
        from .sheet_file import SheetFile  # noqa: PLC0415 - native code, loaded only where a workbook is read

        return SheetFile(file.path, sheet=settings.sheets.get(file.table), table=file.table)
    if file.suffix == ".parquet":
        from .parquet_file import ParquetFile  # noqa: PLC0415 - pyarrow is slow to load; settings must not need it

        return ParquetFile(file.path, zone=settings.time_zone)
    return JsonLinesFile(file.path, encoding=settings.encoding)
