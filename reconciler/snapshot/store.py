"""Sealed snapshots: find them, open them, and know what each of them could not see."""

from __future__ import annotations

import difflib
import hashlib
import re
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

import msgspec

from reconciler.errors import ConfigurationError, StoreError
from reconciler.estate.tables import Coverage, Freshness, RuleEvaluation
from reconciler.sdk.connector import Status
from reconciler.sdk.records import ExceptionRecord
from reconciler.snapshot import manifest
from reconciler.snapshot.disk import Lock, storing
from reconciler.snapshot.manifest import CoverageEntry, Manifest
from reconciler.snapshot.memory import Notes, read_notes
from reconciler.snapshot.writer import UNSEALED, SnapshotWriter

_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")
_WORST = {Status.COMPLETE: 0, Status.PARTIAL: 1, Status.FAILED: 2}
_HEX = 1 << 24
_NAMED = 3


class Snapshot:
    """One sealed snapshot. Its rows are those of COMPLETE partitions only; the rest is named in the gaps."""

    def __init__(self, folder: Path) -> None:
        """Read the manifest; ``StoreError`` where it is missing, damaged or altered. ``verify`` checks the rows."""
        self.folder = folder
        self.manifest: Manifest = manifest.read(folder)
        if self.manifest.snapshot_id != folder.name:
            raise StoreError(
                f"{folder} holds the manifest of another snapshot, {self.manifest.snapshot_id}",
                advice="Give the folder its own name back, or restore it from a backup.",
            )
        self._entries: dict[tuple[str, str], list[CoverageEntry]] = {}
        for entry in self.manifest.coverage:
            self._entries.setdefault((entry.source, entry.table), []).append(entry)

    @property
    def snapshot_id(self) -> str:
        """The id, which sorts by time."""
        return self.manifest.snapshot_id

    @property
    def as_of(self) -> datetime:
        """The instant that the snapshot is taken to show."""
        return self.manifest.as_of

    def files(self, table: str, source: str | None = None) -> list[Path]:
        """Return the Parquet files of a table, of one source or all; empty where nothing was read whole."""
        return [
            self.folder / PurePosixPath(file.path)
            for (owner, name), entries in self._entries.items()
            if name == table and source in {None, owner}
            for entry in entries
            for file in entry.files
        ]

    def rows(self, source: str, table: str) -> int:
        """Return how many rows came, whether or not they were read whole."""
        return sum(entry.rows for entry in self._entries.get((source, table), ()))

    def status(self, source: str, table: str) -> Status:
        """Return the worst status of the table's partitions; FAILED where there is none, for nothing was read."""
        found = [entry.status for entry in self._entries.get((source, table), ())]
        return max(found, key=_WORST.__getitem__, default=Status.FAILED)

    def gaps(self, source: str, table: str) -> tuple[str, ...]:
        """Say in words what could not be read of a table, each gap once; empty where it is COMPLETE."""
        entries = self._entries.get((source, table))
        if entries is None:
            return ("no part of this table was read",)
        found: dict[str, list[str]] = {}
        for entry in entries:
            for words in dict.fromkeys(gap.words for gap in entry.gaps):
                found.setdefault(words, []).append(entry.partition)
        return tuple(_placed(words, places, of=len(entries)) for words, places in found.items())

    def sources_of(self, table: str) -> list[str]:
        """Name the sources that report a table, in the order of the manifest."""
        return [source.name for source in self.manifest.sources if table in source.reports]

    def coverage(self) -> tuple[Coverage, ...]:
        """Return the estate's coverage table."""
        return tuple(
            Coverage(
                source=entry.source,
                table_name=entry.table,
                partition=entry.partition,
                status=entry.status.value,
                rows=entry.rows,
                provider_count=entry.provider_count,
                gaps=[gap.words for gap in entry.gaps],
                canaries=list(entry.canaries),
            )
            for entry in self.manifest.coverage
        )

    def remembered_links(self) -> Path | None:
        """Return the Parquet file of the links known before this snapshot; None where none were sealed."""
        memory = self.manifest.memory
        return None if memory is msgspec.UNSET else self.folder / PurePosixPath(memory.links.path)

    def complete_at(self) -> dict[str, dict[str, datetime]]:
        """Return source -> table -> start of the last pull, this one among them, that read it whole."""
        known = {source: dict(found) for source, found in self._notes().complete.items()}
        for source, table in self._entries:
            if self.status(source, table) is Status.COMPLETE:
                known.setdefault(source, {})[table] = self.manifest.started_at
        return known

    def freshness(self) -> tuple[Freshness, ...]:
        """Return a row for each table that each source of this snapshot reports: when it was last read whole."""
        known = self.complete_at()
        return tuple(
            Freshness(source=source.name, table_name=table, complete_at=known.get(source.name, {}).get(table))
            for source in self.manifest.sources
            for table in source.reports
        )

    def rule_evaluations(self) -> tuple[RuleEvaluation, ...]:
        """Return when each rule was last evaluated, as it was known before this snapshot."""
        return tuple(
            RuleEvaluation(rule_id=rule_id, evaluated_at=at) for rule_id, at in self._notes().evaluated.items()
        )

    def accepted_risks(self) -> tuple[ExceptionRecord, ...]:
        """Return the risks that people had accepted here before this snapshot."""
        return self._notes().accepted

    def _notes(self) -> Notes:
        memory = self.manifest.memory
        return Notes() if memory is msgspec.UNSET else read_notes(self.folder / PurePosixPath(memory.notes.path))

    def verify(self) -> None:
        """Hash every file again; raise ``StoreError`` naming the first that is missing or was altered."""
        for file in self.manifest.files():
            path = self.folder / PurePosixPath(file.path)
            with storing(path, "read"), path.open("rb") as stream:
                found = hashlib.file_digest(stream, "sha256").hexdigest()
            if found != file.sha256:
                raise StoreError(
                    f"{path} was altered after it was sealed",
                    advice="Do not use this snapshot: restore its folder from a backup, or pull again.",
                )


class SnapshotStore:
    """The folder of snapshots: sealed ones by id, and unsealed ones that a crash left behind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def create(self, *, estate: str, as_of: datetime, started_at: datetime) -> SnapshotWriter:
        """Start a snapshot, making the folder where there is none; both instants name their zone.

        Raises ``StoreError`` where the folder cannot be written or another pull is under way in it.
        """
        if as_of.tzinfo is None or started_at.tzinfo is None:
            message = "as_of and started_at must name a time zone"
            raise ValueError(message)
        with storing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = Lock(self.folder)
        snapshot_id = _next_id(started_at, self._newest())
        lock.take(snapshot_id)
        try:
            return SnapshotWriter(
                self.folder,
                snapshot_id,
                lock,
                estate=estate,
                as_of=as_of.astimezone(UTC),
                started_at=started_at.astimezone(UTC),
            )
        except BaseException:
            lock.free()
            raise

    def ids(self) -> list[str]:
        """Name the sealed snapshots, newest first; empty where the folder is empty or not there yet."""
        with storing(self.folder, "read"):
            if not self.folder.exists():
                return []
            return sorted(
                (path.name for path in self.folder.iterdir() if _ID.fullmatch(path.name) and path.is_dir()),
                reverse=True,
            )

    def of(self, estate: str) -> Iterator[Snapshot]:
        """Open the sealed snapshots of an estate one by one, newest first; several estates may share a folder."""
        opened = (Snapshot(self.folder / snapshot_id) for snapshot_id in self.ids())
        return (snapshot for snapshot in opened if snapshot.manifest.estate == estate)

    def latest_of(self, estate: str) -> Snapshot | None:
        """Open the newest sealed snapshot of an estate; None where there is none."""
        return next(self.of(estate), None)

    def open(self, id_or_path: str) -> Snapshot:
        """Open a sealed snapshot by its id, or by the path of its folder.

        Raises ``ConfigurationError`` where there is no such snapshot, and ``StoreError`` where it is damaged.
        """
        known = self.ids()
        if id_or_path in known:
            return Snapshot(self.folder / id_or_path)
        path = Path(id_or_path).resolve()
        if id_or_path.endswith(UNSEALED) or (self.folder / f"{id_or_path}{UNSEALED}").is_dir():
            raise ConfigurationError(
                f"the snapshot {id_or_path} was never sealed: its pull did not end, and nothing may be read from it",
                advice=f"Use a sealed one: {', '.join(known[:3]) or 'there is none yet, pull first'}.",
            )
        if _ID.fullmatch(path.name) and path.is_dir():
            return Snapshot(path)
        near = difflib.get_close_matches(id_or_path, known, n=3, cutoff=0.5) or known[:3]
        raise ConfigurationError(
            f"there is no snapshot {id_or_path!r} in {self.folder}",
            advice=f"Did you mean {' or '.join(near)}?" if near else "There is none yet: run `reconciler pull` first.",
        )

    def unsealed(self) -> list[Path]:
        """Return the folders that crashed pulls left behind, oldest first; nothing reads them.

        The folder of a pull that is under way now is not among them. They may be deleted.
        """
        with storing(self.folder, "read"):
            if not self.folder.exists():
                return []
            busy = Lock(self.folder).holder() + UNSEALED
            return sorted(path for path in self.folder.iterdir() if path.name.endswith(UNSEALED) and path.name != busy)

    def _newest(self) -> str:
        return next(iter(self.ids()), "")


def _next_id(started_at: datetime, newest: str) -> str:
    """Make an id that sorts after ``newest`` even within a second of it, or after the clock went back."""
    stamp = started_at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    low = 0
    if newest and newest[: len(stamp)] >= stamp:
        stamp, low = newest[: len(stamp)], int(newest[-6:], 16) + 1
    # Halving what is left keeps room for thousands of ids within one second.
    high = low + max((_HEX - low) // 1024, 1) if low else _HEX // 2
    return f"{stamp}-{low + secrets.randbelow(high - low):06x}"


def _placed(words: str, places: list[str], *, of: int) -> str:
    """Say in which of a table's partitions a gap is; nothing where it is in all ``of`` several."""
    if len(places) == of > 1 or not any(places):
        return words
    named = ", ".join(places[:_NAMED])
    more = f" and {len(places) - _NAMED} more" if len(places) > _NAMED else ""
    return f"{named}{more}: {words}"
