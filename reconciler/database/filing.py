"""The ledger of tickets, what is to be done to them, each attempt, what was said on them, and what others told us."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from sqlalchemy import CheckConstraint, Index, LargeBinary, Text
from sqlmodel import Field

from reconciler.database.model import BIG, Instant, Model


class TicketRow(Model, table=True):
    """One ticket of one system: ``key`` is ours, the same for ever; the rest is what the system said last."""

    __tablename__: ClassVar[str] = "tickets"
    __table_args__ = (CheckConstraint("key <> ''", name="key_is_said"),)

    system: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    about: str = Field(index=True)
    """What it is filed for, such as NC-000123."""
    state: str
    """waiting, filed, gone, conflict, abandoned."""
    remote_id: str | None
    remote_number: str | None
    remote_url: str | None
    status: str | None
    raw_status: str | None
    closed_seen_at: datetime | None = Field(sa_type=Instant)
    """When it was first seen closed; null while it is open, and again once it is."""
    assignee: str | None
    resolution: str | None = Field(sa_type=Text)
    remote_updated_at: datetime | None = Field(sa_type=Instant)
    read_at: datetime | None = Field(sa_type=Instant)
    note: str | None = Field(sa_type=Text)
    """Why it is a conflict, gone or abandoned; which extras were found."""


class OperationRow(Model, table=True):
    """Something to do to a ticket, in the order of ``number``; the first is to create it."""

    __tablename__: ClassVar[str] = "ticket_operations"
    __table_args__ = (
        Index(None, "state", "next_at"),
        Index(None, "system", "key", "mark", unique=True),
    )

    number: int | None = Field(default=None, primary_key=True, sa_type=BIG)
    system: str
    key: str
    mark: str
    """create, or the name of the change: the same change is asked for once."""
    payload: str = Field(sa_type=Text)
    """JSON of the ticket or the change, filled in when it was asked for."""
    state: str
    """waiting, sending, uncertain, done, failed."""
    attempts: int = 0
    asked_at: datetime = Field(sa_type=Instant)
    next_at: datetime = Field(sa_type=Instant)
    claimed_by: str | None
    claimed_until: datetime | None = Field(sa_type=Instant)
    error: str | None = Field(sa_type=Text)
    done_at: datetime | None = Field(sa_type=Instant)


class AttemptRow(Model, table=True):
    """One call, written down before it is made; ``outcome`` null: it was begun and nothing is known of its end."""

    __tablename__: ClassVar[str] = "ticket_attempts"

    number: int | None = Field(default=None, primary_key=True, sa_type=BIG)
    operation: int = Field(foreign_key="ticket_operations.number", index=True, sa_type=BIG)
    began_at: datetime = Field(sa_type=Instant)
    ended_at: datetime | None = Field(sa_type=Instant)
    outcome: str | None
    """done, found, throttled, refused, unknown, misbehaved; retried or abandoned is what a person decided."""
    detail: str | None = Field(sa_type=Text)


class CommentRow(Model, table=True):
    """A remark that somebody made on a ticket, as its system gave it."""

    __tablename__: ClassVar[str] = "ticket_comments"

    system: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    comment_id: str = Field(primary_key=True)
    author: str
    at: datetime | None = Field(sa_type=Instant)
    text: str = Field(sa_type=Text)
    read_at: datetime = Field(sa_type=Instant)


class DeliveryRow(Model, table=True):
    """A webhook that reached us, whole, as evidence; a delivery that comes again is told by its id."""

    __tablename__: ClassVar[str] = "deliveries"
    __table_args__ = (Index(None, "state", "next_at"),)

    endpoint: str = Field(primary_key=True)
    delivery_id: str = Field(primary_key=True)
    received_at: datetime = Field(sa_type=Instant)
    digest: str
    body: bytes = Field(sa_type=LargeBinary)
    headers: str = Field(sa_type=Text)
    """JSON of those that the signature covers or that name the delivery."""
    state: str
    """waiting, done, failed."""
    attempts: int = 0
    """How often its work was begun: counted before, so that one that ends the process is not begun for ever."""
    next_at: datetime = Field(sa_type=Instant)
    conflicts: int = 0
    """How often another body came, rightly signed, under this id."""
    outcome: str | None = Field(sa_type=Text)
    done_at: datetime | None = Field(sa_type=Instant)
