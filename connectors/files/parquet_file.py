"""Read Parquet: the declared types must be the right ones, nothing is converted but the zone of an instant."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from reconciler.sdk.columns import Kind
from reconciler.sdk.problems import Problems
from reconciler.sdk.values import Family

from .empty_file import EMPTY, EMPTY_REMEDY

_ROWS = 5_000
_UTC = pa.timestamp("us", tz="UTC")
_DAMAGED = "Export the file again; where it ends too early the export was cut short."
_DUE: dict[Kind, str] = {
    "yes/no": "bool",
    "integer": "an integer",
    "date": "date32",
    "instant": "timestamp with a time zone",
    "list": "list of string",
}


class ParquetFile:
    """One Parquet file, read batch by batch; its footer says how many rows it has."""

    family: Family = "arrow"
    unit = "row"

    def __init__(self, path: Path, *, zone: str | None) -> None:
        self._path = path
        self._zone = zone
        self._count: int | None = None
        self._schema: pa.Schema = pa.schema([])

    def header(self, problems: Problems) -> list[str]:
        """Return the names of the columns."""
        if self._path.stat().st_size == 0:
            problems.add(None, EMPTY, EMPTY_REMEDY)
            return []
        with _content(problems), pq.ParquetFile(self._path) as file:
            self._count = file.metadata.num_rows
            self._schema = file.schema_arrow
            if not self._schema.names:
                problems.add(None, "the file has no columns", EMPTY_REMEDY)
        return list(self._schema.names)

    def check_types(self, kinds: Mapping[str, Kind], problems: Problems) -> None:
        """Report every column that is not of the type its estate column needs."""
        for name, kind in kinds.items():
            found = self._schema.field(name).type
            if not _fits(found, kind, zoned=self._zone is not None):
                due = _DUE.get(kind, "string")
                problems.add(
                    None,
                    f"the column is {found} where {due} is due",
                    "Have the export write that type; nothing is converted: an id kept as a number has lost its zeros.",
                    column=name,
                )

    def rows(self, problems: Problems) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """Yield row number (from 1) and values; instants that have a zone come in UTC."""
        row = 0
        with _content(problems), pq.ParquetFile(self._path) as file:
            for batch in file.iter_batches(batch_size=_ROWS):
                for cells in zip(*(_instants(column).to_pylist() for column in batch.columns), strict=True):
                    row += 1
                    yield row, cells

    def count(self) -> int | None:
        """Return the number of rows in the footer."""
        return self._count


@contextmanager
def _content(problems: Problems) -> Iterator[None]:
    """Tell what is wrong with the file from what is wrong with the disk: only the latter has an error number."""
    try:
        yield
    except (pa.ArrowException, OverflowError, ValueError) as error:
        problems.add(None, f"not a readable Parquet file: {error}", _DAMAGED)
    except OSError as error:
        if error.errno is not None:
            raise
        problems.add(None, f"not a readable Parquet file: {error}", _DAMAGED)


def _fits(found: pa.DataType, kind: Kind, *, zoned: bool) -> bool:
    if isinstance(found, pa.DictionaryType):
        found = found.value_type
    if pa.types.is_null(found):
        return True
    if isinstance(found, pa.ListType | pa.LargeListType | pa.FixedSizeListType):
        return kind == "list" and _is_text(found.value_type)
    if isinstance(found, pa.TimestampType):
        return kind == "instant" and (found.tz is not None or zoned)
    plain = {
        "yes/no": pa.types.is_boolean(found),
        "integer": pa.types.is_integer(found),
        "date": pa.types.is_date(found),
        "instant": False,
        "list": False,
    }
    return plain.get(kind, _is_text(found))


def _is_text(found: pa.DataType) -> bool:
    return pa.types.is_string(found) or pa.types.is_large_string(found) or pa.types.is_string_view(found)


def _instants(column: pa.Array[Any]) -> pa.Array[Any]:
    """Bring instants to microseconds (nanoseconds are cut, never rounded up) and zoned ones to UTC."""
    found = column.type
    if not isinstance(found, pa.TimestampType):
        return column
    return column.cast(_UTC if found.tz is not None else pa.timestamp("us"), safe=found.unit != "ns")
