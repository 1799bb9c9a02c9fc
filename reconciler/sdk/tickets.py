"""The contract between the product and a system that nonconformities are filed in.

Filing once is the product's work (``reconciler.filing``): it writes down each attempt before the call, looks a
ticket up by its key before it tries again, and waits out what the system says of its own search. A connector says
what its system can promise, turns a ticket into the system's own fields, and reads it back; it never retries what
may have been done.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, Field

from reconciler.sdk.connector import Gap
from reconciler.sdk.errors import ConfigurationError

KEY = r"[a-z0-9][a-z0-9-]{2,63}"
"""What a key may look like: no character of it is an operator in anybody's query language."""


def checked(key: str) -> str:
    """Return a key as it is; raise ``ConfigurationError`` for one that could be more than a value in a query."""
    if not re.fullmatch(KEY, key):
        raise ConfigurationError(f"no key of a ticket: {key!r}", advice="A key is a-z, 0-9 and -, 3 to 64 characters.")
    return key


def prefixed(prefix: str) -> str:
    """Return the beginning of keys as it is; raise ``ConfigurationError`` for one that could be more in a query."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", prefix):
        raise ConfigurationError(f"no beginning of a key: {prefix!r}", advice="A key is a-z, 0-9 and -.")
    return prefix


def legible(body: object) -> str:
    """Return the body of a request as ``Request`` has it for people: JSON, on lines of its own."""
    return json.dumps(body, indent=2, ensure_ascii=False)


class Status(StrEnum):
    """How a ticket stands, whatever its system calls it; the system's own word is kept beside it."""

    OPEN = "open"
    RESOLVED = "resolved"
    """Done as the system sees it, and still to be confirmed there."""
    CLOSED = "closed"
    GONE = "gone"
    """The system, asked by the ticket's own id with rights that see it, says that there is none, or no longer."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """What is filed. ``fields`` are the system's own fields, as configured and already filled in."""

    key: str
    """Ours, the same for ever: one ticket a key. Fits ``KEY``."""
    title: str
    body: str
    """Plain text; a line that is empty parts paragraphs, one that starts with ``- `` is an item."""
    severity: str
    """critical, high, medium or low."""
    due_at: datetime | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TicketRef:
    """A ticket in its system: its immutable id, what people call it, and where they open it."""

    id: str
    number: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Comment:
    """A remark on a ticket; ``id`` is the system's own."""

    id: str
    author: str
    at: datetime | None
    text: str


@dataclass(frozen=True, slots=True)
class TicketView:
    """A ticket as its system answered just now; a value that the system did not give is None or empty."""

    ref: TicketRef
    status: Status
    raw_status: str
    key: str = ""
    """The key that it carries; empty where somebody took it away."""
    assignee: str | None = None
    resolution: str | None = None
    updated_at: datetime | None = None
    comments: tuple[Comment, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """What to do to a ticket that is there: any of these together. ``mark`` names this change, for ever.

    A comment carries its mark in its text, so that after a lost answer ``read`` tells whether it was made.
    """

    mark: str
    comment: str = ""
    status: Status | None = None
    """OPEN reopens, RESOLVED or CLOSED ends; None leaves it."""
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it would be sent, with ``***`` for every secret: what ``filing preview`` shows."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: str


class TicketSettings(BaseModel):
    """Keys common to every ``[filing.systems.NAME]`` section; a connector's own settings extend it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    connector: Annotated[str, Field(description="Connector that files there.")]
    title: Annotated[
        str | None, Field(min_length=1, description="Template of the title, in place of [filing] title.")
    ] = None
    body: Annotated[str | None, Field(min_length=1, description="Template of the text, in place of [filing] body.")] = (
        None
    )
    fields: Annotated[
        dict[str, Any],
        Field(description="Field of the system = value, or a template of it; lists and tables may nest."),
    ] = {}
    settle_seconds: Annotated[
        float | None,
        Field(ge=0, le=86_400, description="Seconds until a search surely finds a new ticket; left out: as is known."),
    ] = None


@runtime_checkable
class TicketSystem(Protocol):
    """File tickets in one system, and read them back.

    Every method raises by remedy (``reconciler.sdk.errors``). ``create`` and ``change`` raise ``Unreachable`` where it
    is not known whether the system did it; then nobody calls again before looking. ``Refused`` says that it surely
    was not done.
    """

    name: str
    """The name of the section in the configuration."""
    version: str
    endpoint: str
    """Where it files: scheme, host and port."""
    idempotent: bool
    """Whether ``create`` twice with one key makes one ticket, by the system's own promise."""
    settle_seconds: float
    """How long after a create ``find`` may still not see it; 0 where a search sees what was written before."""
    readable: bool
    """Whether it can be asked what it holds. False (a webhook): ``find``, ``read`` and ``keyed`` raise ``Refused``,
    since nothing they could return would be known; ``create`` and ``change`` may be sent again, as the receiver tells
    a repetition by its id."""

    async def check(self) -> Sequence[Gap]:
        """Connect without writing, and say what these credentials cannot do; raise where nothing can be."""
        ...

    def preview(self, ticket: Ticket) -> Request:
        """Return the request that ``create`` would send; no network. Raise ``ConfigurationError`` as it would."""
        ...

    async def find(self, key: str) -> Sequence[TicketRef]:
        """Return every ticket that carries ``key``, oldest first, closed ones too; several are duplicates."""
        ...

    async def create(self, ticket: Ticket) -> TicketRef:
        """Make the ticket, carrying its key. Never looks first, never tries twice what may have been done."""
        ...

    async def read(self, ref: TicketRef) -> TicketView:
        """Return the ticket as it is now; status GONE where the system says that there is no such ticket."""
        ...

    async def change(self, ref: TicketRef, change: Change) -> None:
        """Do a change to a ticket that is there."""
        ...

    def keyed(self, prefix: str) -> AsyncIterator[tuple[str, TicketRef]]:
        """Yield every ticket of the system whose key starts with ``prefix``, for the nightly comparison."""
        ...

    async def close(self) -> None:
        """Release connections; safe to call twice."""
        ...


@runtime_checkable
class ExceptionRegister(Protocol):
    """A system of record of accepted risks: a ticket system that is one too, where its section says how.

    ``isinstance(system, ExceptionRegister)`` tells which are; ``holds_exceptions`` whether its section says how.
    """

    name: str
    holds_exceptions: bool

    async def put(self, exception_id: str, fields: Mapping[str, Any]) -> str:
        """Write the exception under its id, over what stands there, and return the system's own id of the record.

        ``fields`` are columns of the estate's table ``exceptions``, text, instants or None, so that a later pull of
        the register reads back what was written. Twice with one id makes one record, so it may be sent again whatever
        came of it. Raises by remedy; ``ConfigurationError`` naming the key where the section does not say how.
        """
        ...
