"""Find the files of a folder: one for each estate table, and nothing that looks like data and is not read."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from reconciler.sdk.columns import nearest
from reconciler.sdk.errors import ConfigurationError, Refused, Unreachable
from reconciler.sdk.records import RECORDS

FORMATS = (".csv", ".json", ".jsonl", ".ndjson", ".xlsx", ".parquet")
"""Suffixes that are read; the format follows from the suffix alone."""

_OTHERS = (".tsv", ".txt", ".xls", ".xlsm", ".xlsb", ".ods", ".xml", ".gz", ".zip", ".feather", ".avro")

Signature = tuple[int, int, int, int]
"""What changes when a file is written or replaced."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """The file of one table; `shown` is its path as messages name it."""

    table: str
    path: Path
    shown: str

    @property
    def suffix(self) -> str:
        """The suffix in lower case: it decides the format."""
        return self.path.suffix.lower()

    def signature(self) -> Signature:
        """Return device, inode, size and time of change; raises as `reading` does."""
        with reading(self.shown):
            stat = self.path.stat()
        return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


@contextmanager
def reading(shown: str) -> Iterator[None]:
    """Turn what the operating system says about a file into the error that has the remedy."""
    try:
        yield
    except PermissionError as error:
        raise Refused(
            f"{shown}: {error.strerror}",
            advice="Let the account that runs reconciler read the folder and every file in it.",
            missing_permission=f"read {shown}",
        ) from error
    except (IsADirectoryError, NotADirectoryError) as error:
        raise ConfigurationError(f"{shown}: {error.strerror}", advice="Put a file of that name there.") from error
    except OSError as error:
        raise Unreachable(
            f"{shown}: {error.strerror or error}", advice="Look at the disk or the network share.", restart=True
        ) from error


def find(folder: Path, *, shown: str, tables: Collection[str] | None, ignore: Collection[str]) -> dict[str, DataFile]:
    """Return the file of each table, in estate order; `tables` None means every table that has a file.

    Raises `ConfigurationError` for a missing folder, a data file that is no table's, two files for one
    table, and a table asked for without a file; `Refused` where the folder may not be read.
    """
    if not folder.exists() and not os.path.lexists(folder):
        raise ConfigurationError(
            f"{shown}: no such folder", advice="Create it, or correct path; it is relative to the configuration file."
        )
    if folder.is_file():
        raise ConfigurationError(f"{shown}: is a file, not a folder", advice="Name the folder of the tables' files.")
    with reading(shown):
        names = sorted(entry.name for entry in os.scandir(folder))
    found: dict[str, list[str]] = {}
    wrong: list[str] = []
    for name in names:
        if name.startswith((".", "~$")) or any(fnmatch(name, pattern) for pattern in ignore):
            continue
        suffix = Path(name).suffix.lower()
        stem = name[: len(name) - len(suffix)].lower()
        if suffix in FORMATS and stem in RECORDS:
            found.setdefault(stem, []).append(name)
        elif suffix in FORMATS:
            wrong.append(f"{shown}/{name}: no such table{nearest(stem, RECORDS)}")
        elif suffix in _OTHERS and stem.split(".", 1)[0] in RECORDS:
            wrong.append(f"{shown}/{name}: files of this kind are not read; save it as one of {', '.join(FORMATS)}")
    wrong += [
        f"{shown}: {' and '.join(files)} are for one table; keep one of them"
        for files in found.values()
        if len(files) > 1
    ]
    wrong += [
        f"{shown}: no file for the table {table}, which tables asks for" for table in tables or () if table not in found
    ]
    if not found and not wrong:
        wrong.append(f"{shown}: no file of any table; expected for example people.csv")
    if wrong:
        advice = "A file is called after its table. Rename it, or list what is not for reconciler under ignore."
        raise ConfigurationError("\n  ".join(wrong), advice=advice)
    return {
        table: DataFile(table, folder / found[table][0], f"{shown}/{found[table][0]}")
        for table in RECORDS
        if table in found and (tables is None or table in tables)
    }
