"""What the product remembers from earlier nights, sealed into each snapshot so that its verdicts need nothing else.

Links that were made or decided, when each table was last read whole, when each rule was last evaluated, and the risks
that people accepted here. A snapshot that was sealed without these has an empty memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from reconciler.errors import StoreError
from reconciler.sdk.records import ExceptionRecord
from reconciler.snapshot.disk import HashedFile, storing, sync
from reconciler.snapshot.manifest import FileEntry, MemoryEntry

LINKS = "memory/links.parquet"
NOTES = "memory/notes.json"
_GROUP_ROWS = 65_536
_FIELDS: list[pa.Field[Any]] = [
    pa.field("source", pa.string(), nullable=False),
    pa.field("account_id", pa.string(), nullable=False),
    pa.field("person_id", pa.string(), nullable=False),
    pa.field("state", pa.string(), nullable=False),
    pa.field("method", pa.string(), nullable=False),
    pa.field("confidence", pa.float64()),
    pa.field("since", pa.timestamp("us", tz="UTC")),
]
_SCHEMA = pa.schema(_FIELDS)


class RememberedLink(NamedTuple):
    """An account and a person; ``state`` is linked, manual, or rejected: never to be linked by a matcher."""

    source: str
    account_id: str
    person_id: str
    state: str
    method: str
    confidence: float | None
    since: datetime | None


class Notes(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``complete``: source -> table -> start of the last pull that read it whole; ``evaluated``: rule -> instant.

    ``accepted``: risks accepted here, in the words of a register of exceptions.
    """

    complete: dict[str, dict[str, datetime]] = {}
    evaluated: dict[str, datetime] = {}
    accepted: tuple[ExceptionRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class Memory:
    """What is to be sealed into a snapshot; ``links`` is gone through once."""

    links: Iterable[RememberedLink] = ()
    complete: Mapping[str, Mapping[str, datetime]] = field(default_factory=dict)
    evaluated: Mapping[str, datetime] = field(default_factory=dict)
    accepted: Sequence[ExceptionRecord] = ()


def write(folder: Path, memory: Memory) -> MemoryEntry:
    """Write the memory below a snapshot's folder and onto the disk itself; return its files for the manifest."""
    with storing(folder):
        (folder / LINKS).parent.mkdir(exist_ok=True)
    notes = Notes(
        complete={source: dict(tables) for source, tables in memory.complete.items()},
        evaluated=dict(memory.evaluated),
        accepted=tuple(memory.accepted),
    )
    return MemoryEntry(links=_write_links(folder, memory.links), notes=_write_notes(folder, notes))


def _write_links(folder: Path, links: Iterable[RememberedLink]) -> FileEntry:
    path, rows = folder / LINKS, 0
    with storing(path):
        file = HashedFile(path)
        with pq.ParquetWriter(cast("IO[bytes]", file), _SCHEMA, compression="zstd") as parquet:
            for batch in _batches(links):
                parquet.write_batch(batch)
                rows += batch.num_rows
        file.close()
        sync(path)
    return FileEntry(path=LINKS, rows=rows, bytes=file.size, sha256=file.sha256)


def _batches(links: Iterable[RememberedLink]) -> Iterator[pa.RecordBatch]:
    found = iter(links)
    while rows := list(islice(found, _GROUP_ROWS)):
        columns = zip(*rows, strict=True)
        arrays = [pa.array(values, type=one.type) for values, one in zip(columns, _SCHEMA, strict=True)]
        yield pa.RecordBatch.from_arrays(arrays, schema=_SCHEMA)


def _write_notes(folder: Path, notes: Notes) -> FileEntry:
    path = folder / NOTES
    text = msgspec.json.format(msgspec.json.encode(notes, order="sorted"), indent=1) + b"\n"
    with storing(path):
        file = HashedFile(path)
        file.write(text)
        file.close()
        sync(path)
    return FileEntry(path=NOTES, rows=1, bytes=file.size, sha256=file.sha256)


def read_notes(path: Path) -> Notes:
    """Read what was written beside the links; ``StoreError`` where it is missing or damaged."""
    with storing(path, "read"):
        text = path.read_bytes()
    try:
        return msgspec.json.decode(text, type=Notes)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StoreError(
            f"{path} is damaged: {error}",
            advice="Do not use this snapshot: restore its folder from a backup, or pull again.",
        ) from error
