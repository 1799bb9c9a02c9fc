"""The contract between the product and a connector.

A connector turns one page of one table of one system into typed rows. The loop over pages, retries,
concurrency, guards, canaries and sealing belong to the product (``reconciler.collect``), so that they are
written, and tested against a misbehaving source, once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol, runtime_checkable

from reconciler.sdk.records import Record

Cursor = str
"""Where the next page starts, in the source's own terms: an opaque text, or an absolute URL."""


class Status(StrEnum):
    """How much of a (source, table, partition) was read. Absence is only ever concluded from COMPLETE."""

    COMPLETE = "COMPLETE"
    PARTIAL = "PARTIAL"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that could not be read, and why: never an empty list.

    ``table`` empty means every table. ``subject`` names the object or part (empty: the whole table); where it is
    the name of a partition, only that partition is in doubt. ``missing_permission`` is the scope, role or right
    to grant, where the system said which.
    """

    table: str
    subject: str
    reason: str
    missing_permission: str = ""


@dataclass(frozen=True, slots=True)
class Partition:
    """An independent part of a table with a page chain of its own: a base DN, an AWS account, a file."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of rows of one table.

    ``next`` is None only where the source itself said that the chain is closed; a connector that cannot tell
    raises ``Misbehaved``. ``total`` is the provider's own count of rows in this partition, None where it
    gives none. ``canaries`` names those of the configured canaries that this page contains.
    """

    rows: Sequence[Record]
    next: Cursor | None = None
    gaps: Sequence[Gap] = ()
    total: int | None = None
    canaries: frozenset[str] = field(default_factory=frozenset)


class Parents(Protocol):
    """The rows of this pull that are already on disk, for fan-out over them."""

    def values(self, table: str, column: str) -> Iterator[str]:
        """Yield one column of an earlier table of the same source, in the order it was read."""
        ...


@runtime_checkable
class Source(Protocol):
    """Read one system and never write to it."""

    name: str
    """The name of the source in the configuration; fills the ``source`` column of every identity row."""
    version: str
    """The connector's version, kept in the manifest."""
    endpoint: str
    """Where it reads: ``scheme://host:port`` or a folder; a URL cursor must stay on this origin."""
    reports: Mapping[str, frozenset[str]]
    """Table name -> the columns this source can fill. Every other column is null: unknown, not "no"."""

    async def check(self) -> Sequence[Gap]:
        """Connect and say what these credentials cannot see; raise ``SourceError`` where nothing can be."""
        ...

    async def partitions(self, table: str, parents: Parents) -> Sequence[Partition]:
        """List the parts of ``table``, each with a page chain of its own; tables are asked in estate order."""
        ...

    async def page(self, table: str, partition: Partition, cursor: Cursor | None) -> Page:
        """Read one page; ``cursor`` None is the first. Raise by remedy, never return less than was asked."""
        ...

    async def close(self) -> None:
        """Release connections; safe to call twice."""
        ...
