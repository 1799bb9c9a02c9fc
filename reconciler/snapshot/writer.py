"""Writing a snapshot: rows stream to Parquet beside the sealed ones, and are sealed whole or not at all."""

from __future__ import annotations

import re
import shutil
from array import array
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Literal, cast

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from reconciler import __version__
from reconciler.estate.tables import tables
from reconciler.sdk.connector import Status
from reconciler.sdk.records import Record
from reconciler.snapshot import manifest, memory
from reconciler.snapshot.columns import Strict
from reconciler.snapshot.disk import HashedFile, Lock, storing, sync
from reconciler.snapshot.manifest import CoverageEntry, FileEntry, Manifest, MemoryEntry, SourceEntry

UNSEALED = ".unsealed"
"""Suffix of a snapshot's folder until it is sealed."""

COMPRESSION: Literal["zstd"] = "zstd"
GROUP_ROWS = 65_536
"""Rows in a row group: large enough to compress and scan well, small enough to hold in memory."""
_BATCH_ROWS = 4_096
# Pages may be tiny: rows are gathered to this many before they become Arrow columns, whose fixed cost is high.


class PartitionWriter:
    """Writes the rows of one partition to one Parquet file, created when the first rows are flushed."""

    def __init__(self, path: Path, name: str, strict: Strict) -> None:
        self._path = path
        self._name = name
        self._strict = strict
        self._pending: list[Record] = []
        self._batches: list[pa.RecordBatch] = []
        self._batched = 0
        self._file: HashedFile | None = None
        self._parquet: pq.ParquetWriter | None = None
        self.rows = 0
        """Rows taken so far."""
        self.keys = array("q")
        """A hash of each row's key, in order, once the rows are flushed: equal keys have equal hashes."""
        self.file: FileEntry | None = None
        """The finished file; None before ``finish`` and where there were no rows."""

    def write(self, rows: Sequence[Record]) -> None:
        """Take one page of rows.

        Raises ``Misbehaved`` for a value of the wrong kind and ``StoreError`` where the disk refuses; either
        may come up to a few thousand rows late, and at the latest from ``finish``.
        """
        self._pending.extend(rows)
        self.rows += len(rows)
        if len(self._pending) >= _BATCH_ROWS:
            self._convert()

    def finish(self) -> FileEntry | None:
        """Write what is still in memory and close the file; return its entry, None where there were no rows."""
        self._convert()
        self._flush()
        if self._parquet is not None and self._file is not None:
            with storing(self._path):
                self._parquet.close()
                self._file.close()
            self._parquet = None
            self.file = FileEntry(path=self._name, rows=self.rows, bytes=self._file.size, sha256=self._file.sha256)
        return self.file

    def discard(self) -> None:
        """Forget the rows and delete the file; the writer is then as new."""
        self._pending, self._batches, self._batched, self.rows = [], [], 0, 0
        self.keys, self.file = array("q"), None
        parquet, self._parquet, file, self._file = self._parquet, None, self._file, None
        if file is None:
            return
        with storing(self._path, "delete"):
            file.drop()
            try:
                if parquet is not None:
                    parquet.close()
            finally:
                file.close()
                self._path.unlink(missing_ok=True)

    def _convert(self) -> None:
        if not self._pending:
            return
        batch, keys = self._strict.batch(self._pending, first=len(self.keys) + 1)
        self._pending = []
        self.keys.extend(keys)
        self._batches.append(batch)
        self._batched += batch.num_rows
        if self._batched >= GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if not self._batches:
            return
        with storing(self._path):
            if self._parquet is None:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._file = HashedFile(self._path)
                self._parquet = pq.ParquetWriter(
                    cast("IO[bytes]", self._file), self._strict.schema, compression=COMPRESSION
                )
            self._parquet.write_table(pa.Table.from_batches(self._batches), row_group_size=GROUP_ROWS)
        self._batches, self._batched = [], 0


class SnapshotWriter:
    """A snapshot in the making: ``<id>.unsealed`` until ``seal`` renames it, gone after ``abandon``."""

    def __init__(
        self, root: Path, snapshot_id: str, lock: Lock, *, estate: str, as_of: datetime, started_at: datetime
    ) -> None:
        self.snapshot_id = snapshot_id
        self.folder = root / f"{snapshot_id}{UNSEALED}"
        self._root = root
        self._lock = lock
        self._estate = estate
        self._as_of = as_of
        self._started_at = started_at
        self._count = 0
        self._memory: MemoryEntry | msgspec.UnsetType = msgspec.UNSET
        with storing(self.folder):
            self.folder.mkdir(mode=0o700)

    def partition(self, source: str, table: str) -> PartitionWriter:
        """Start the file of one partition of a table."""
        self._count += 1
        slug = re.sub(r"[^A-Za-z0-9_-]", "_", source)[:60]
        name = f"{table}/{slug}-{self._count:05d}.parquet"
        return PartitionWriter(self.folder / name, name, Strict(source, tables()[table]))

    def read(self, file: FileEntry, columns: Sequence[str]) -> Iterator[tuple[tuple[object, ...], ...]]:
        """Yield the columns of a finished file batch by batch, as plain Python values."""
        path = self.folder / file.path
        with storing(path, "read"), pq.ParquetFile(path) as parquet:
            for batch in parquet.iter_batches(batch_size=_BATCH_ROWS, columns=list(columns)):
                yield tuple(tuple(batch.column(name).to_pylist()) for name in columns)

    def remember(self, known: memory.Memory) -> None:
        """Write what was known before this pull, once."""
        self._memory = memory.write(self.folder, known)

    def seal(self, *, sources: Sequence[SourceEntry], coverage: Sequence[CoverageEntry], sealed_at: datetime) -> Path:
        """Make the snapshot whole and final, and return its folder.

        Files that no COMPLETE entry names are deleted first; then everything is on the disk itself before the
        folder gets its name. Raises ``StoreError``, and nothing is sealed, where the disk refuses.
        """
        if any(entry.files and entry.status is not Status.COMPLETE for entry in coverage):
            message = "only COMPLETE partitions have files"
            raise ValueError(message)
        text = manifest.encode(
            whole := Manifest(
                snapshot_id=self.snapshot_id,
                estate=self._estate,
                as_of=self._as_of,
                started_at=self._started_at,
                sealed_at=sealed_at,
                product_version=__version__,
                sources=tuple(sources),
                coverage=tuple(coverage),
                memory=self._memory,
            )
        )
        kept = {file.path for file in whole.files()}
        final = self._root / self.snapshot_id
        with storing(self.folder):
            for path in sorted(self.folder.rglob("*.parquet")):
                if path.relative_to(self.folder).as_posix() in kept:
                    sync(path)
                else:
                    path.unlink()
            for folder in [path for path in self.folder.iterdir() if path.is_dir()]:
                if any(folder.iterdir()):
                    sync(folder)
                else:
                    folder.rmdir()
            (self.folder / manifest.NAME).write_bytes(text)
            sync(self.folder / manifest.NAME)
            sync(self.folder)
            self.folder.rename(final)
            sync(self._root)
        self._lock.free()
        return final

    def abandon(self) -> None:
        """Delete what was written and free the lock; what cannot be deleted stays unsealed and unread."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self._lock.free()
