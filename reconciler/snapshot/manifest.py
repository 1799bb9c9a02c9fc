"""What a sealed snapshot says about itself: what was read, how much of it, by what, and the digest of every file."""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import msgspec

from reconciler.errors import StoreError
from reconciler.sdk.connector import Status
from reconciler.snapshot.disk import storing

FORMAT: Literal[1] = 1
"""The layout that this version writes and reads."""

NAME = "manifest.json"

_ADVICE = "Do not use this snapshot: restore its folder from a backup, or move it out of the snapshots folder."


class _Entry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A part of the manifest; a key that this version does not know is refused, not passed over."""


class SourceEntry(_Entry, frozen=True, kw_only=True, omit_defaults=True):
    """A source as it was read. ``reports`` holds each table that it declares and the columns it can fill.

    ``unknown`` says, by ``table.column``, why a column that its connector knows could not be filled this time.
    """

    name: str
    connector: str
    version: str
    endpoint: str
    reports: dict[str, tuple[str, ...]]
    unknown: dict[str, str] = msgspec.field(default_factory=dict)


class FileEntry(_Entry, frozen=True, kw_only=True):
    """A Parquet file; ``path`` is relative to the snapshot's folder, with forward slashes."""

    path: str
    rows: int
    bytes: int
    sha256: str


class GapEntry(_Entry, frozen=True, kw_only=True):
    """Something that could not be read, as ``reconciler.sdk.connector.Gap`` tells it."""

    table: str
    subject: str
    reason: str
    missing_permission: str

    @property
    def words(self) -> str:
        """The gap as one line for people."""
        lead = f"{self.subject}: " if self.subject else ""
        grant = f" (missing: {self.missing_permission})" if self.missing_permission else ""
        return f"{lead}{self.reason}{grant}"


class CoverageEntry(_Entry, frozen=True, kw_only=True):
    """How much of one (source, table, partition) was read.

    ``rows`` counts what came; ``files`` is empty unless the status is COMPLETE and there were rows.
    ``provider_count`` is None where the provider gave no count of its own.
    """

    source: str
    table: str
    partition: str
    status: Status
    rows: int
    provider_count: int | None = None
    gaps: tuple[GapEntry, ...] = ()
    canaries: tuple[str, ...] = ()
    files: tuple[FileEntry, ...] = ()


class MemoryEntry(_Entry, frozen=True, kw_only=True):
    """The files that hold what was known before this snapshot: see ``memory``."""

    links: FileEntry
    notes: FileEntry


class Manifest(_Entry, frozen=True, kw_only=True):
    """The whole of a snapshot; ``digest`` is the SHA-256 of all the rest in canonical JSON.

    ``memory`` is left out where nothing was remembered yet when the snapshot was sealed, as in the oldest ones.
    """

    format: Literal[1] = FORMAT
    snapshot_id: str
    estate: str
    as_of: datetime
    started_at: datetime
    sealed_at: datetime
    product_version: str
    sources: tuple[SourceEntry, ...]
    coverage: tuple[CoverageEntry, ...]
    memory: MemoryEntry | msgspec.UnsetType = msgspec.UNSET
    digest: str = ""

    def files(self) -> list[FileEntry]:
        """Return every file of the snapshot but for the manifest itself."""
        remembered = [] if self.memory is msgspec.UNSET else [self.memory.links, self.memory.notes]
        return [*remembered, *(file for entry in self.coverage for file in entry.files)]


def digest_of(manifest: Manifest) -> str:
    """Return the SHA-256 of the manifest without its digest, as lower-case hex."""
    bare = msgspec.structs.replace(manifest, digest="")
    return hashlib.sha256(msgspec.json.encode(bare, order="deterministic")).hexdigest()


def encode(manifest: Manifest) -> bytes:
    """Return the manifest as indented JSON, with its digest filled in."""
    whole = msgspec.structs.replace(manifest, digest=digest_of(manifest))
    return msgspec.json.format(msgspec.json.encode(whole, order="deterministic"), indent=1) + b"\n"


def read(folder: Path) -> Manifest:
    """Read the manifest of the snapshot in ``folder``.

    Raises ``StoreError`` where it is missing, damaged, of another format, or altered since it was sealed.
    """
    path = folder / NAME
    with storing(path, "read"):
        text = path.read_bytes()
    try:
        loose: Any = msgspec.json.decode(text)
        if isinstance(loose, dict) and loose.get("format", FORMAT) != FORMAT:
            raise StoreError(
                f"{path} has format {loose['format']}; this version reads format {FORMAT}",
                advice="Use the version of reconciler that wrote it.",
            )
        manifest = msgspec.json.decode(text, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StoreError(f"{path} is damaged: {error}", advice=_ADVICE) from error
    if manifest.digest != digest_of(manifest):
        raise StoreError(f"{path} was altered after it was sealed: its digest does not match", advice=_ADVICE)
    for file in manifest.files():
        if PurePosixPath(file.path).is_absolute() or ".." in PurePosixPath(file.path).parts:
            raise StoreError(f"{path} names a file outside its folder: {file.path}", advice=_ADVICE)
    return manifest
