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

from reconciler.sdk.records import AccountStatus, CredentialKind, Record

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
    to grant, where the system said which. ``column``, in gaps of ``check`` only, says that no more than this
    column of ``table`` cannot be filled: the table stays whole, the column is unknown, and rules that need it
    say so.
    """

    table: str
    subject: str
    reason: str
    missing_permission: str = ""
    column: str = ""


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


class Presence(StrEnum):
    """What a live re-read found. GONE is only ever said by the system itself, about this very id."""

    PRESENT = "PRESENT"
    """It is there and works, or would work once something else (a lock, a suspension) is lifted."""
    DISABLED = "DISABLED"
    """It is there and an administrator's act keeps it from being used."""
    GONE = "GONE"
    """The system, asked by immutable id with rights that see it, said that there is no such thing."""
    NOT_EVALUABLE = "NOT_EVALUABLE"
    """It could not be told; the reason stands beside it."""


@dataclass(frozen=True, slots=True)
class PersonKeys:
    """What is known of a person, to look for their accounts with; unknown is empty."""

    person_id: str = ""
    employee_id: str = ""
    emails: tuple[str, ...] = ()
    logins: tuple[str, ...] = ()
    account_ids: tuple[str, ...] = ()
    """Immutable ids of accounts that were theirs before: found although renamed, disabled or soft-deleted."""


@dataclass(frozen=True, slots=True)
class AccountRef:
    """An account that may be the person's; ``matched_by`` names the keys that led to it (``email``, ``login``, ...)."""

    account_id: str
    login: str | None
    matched_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found, and where it could not look: no account is "none" only where ``gaps`` is empty."""

    accounts: tuple[AccountRef, ...]
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True)
class LiveCredentials:
    """All credentials of one kind of one account, now.

    PRESENT: at least one works. DISABLED: some are there and none works. GONE: the system lists none.
    ``ids`` are those that are there. ``reason`` says why it could not be told, or what the answer rests on.
    ``lag`` is what the provider says, in words, about how long such a credential works on after it was revoked or
    its account was disabled; empty: none known.
    """

    kind: CredentialKind
    presence: Presence
    ids: tuple[str, ...] = ()
    reason: str = ""
    lag: str = ""


@dataclass(frozen=True, slots=True)
class LiveAccount:
    """One account and each class of its credentials, as the system itself answered just now.

    ``credentials`` holds every class that this system has; one that the system never lists is NOT_EVALUABLE and
    says so. ``digest`` is the SHA-256 (hex) of the answers it rests on, empty where none came.
    """

    account_id: str
    presence: Presence
    login: str | None = None
    raw_status: str | None = None
    status: AccountStatus | None = None
    reason: str = ""
    credentials: tuple[LiveCredentials, ...] = ()
    digest: str = ""


@runtime_checkable
class Lookup(Protocol):
    """Re-read single objects by immutable id: the only way anything is ever called gone.

    A ``Source`` of an identity system is a ``Lookup`` too.
    """

    async def find(self, person: PersonKeys) -> Found:
        """Look live for the accounts of ``person`` in every state; raise ``SourceError`` where nothing can be asked."""
        ...

    async def reread(self, account_id: str) -> LiveAccount:
        """Read one account and its credentials live; what cannot be told is NOT_EVALUABLE, never an exception.

        Raises ``ConfigurationError`` alone, for settings that cannot be used at all.
        """
        ...
