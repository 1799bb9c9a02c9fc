"""The queue in the database: who does what next, written down before it is done.

Every function is one transaction of the only writer, so that no operation is claimed by two. Nothing here talks to a
ticket system.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec
from sqlalchemy import ColumnElement, and_, exists, func, or_, update
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from reconciler.database import Database
from reconciler.database.filing import AttemptRow, OperationRow, TicketRow
from reconciler.filing.outbox import CREATE
from reconciler.sdk.tickets import Change, Status, Ticket, TicketRef

UNKNOWN = ("unknown", "misbehaved")
"""Outcomes after which the call may have been carried out; so may it where none is written."""
_NO_ATTEMPT = ("retried", "abandoned")
"""What stands among the attempts of an operation because a person decided it."""
STOPPED = ("gone", "abandoned")
"""States of a ticket that nothing is done to until a person decides."""
_UNFINISHED = ("waiting", "sending", "uncertain")


class Settle(NamedTuple):
    """Seconds after an attempt of unknown end until a look may be believed: one for a ticket, and for a change."""

    create: float
    change: float

    def of(self, mark: str) -> timedelta:
        """Return what goes for the operation with this mark."""
        return timedelta(seconds=self.create if mark == CREATE else self.change)


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """An operation that this worker alone may do, until ``until``."""

    number: int
    system: str
    key: str
    mark: str
    payload: str
    tries: int
    asked_at: datetime
    uncertain: bool
    """Whether it may have been done by an attempt whose end is not known."""
    token: str
    until: datetime
    ref: TicketRef | None
    """The ticket, None while there is none."""

    @property
    def creates(self) -> bool:
        """Whether it makes the ticket; else it changes one."""
        return self.mark == CREATE

    def ticket(self) -> Ticket:
        """Return the ticket to make."""
        return msgspec.json.decode(self.payload, type=Ticket)

    def change(self) -> Change:
        """Return the change to do."""
        return msgspec.json.decode(self.payload, type=Change)


def claim(database: Database, settle: Mapping[str, Settle], *, lease: float, at: datetime) -> Claim | None:
    """Take the oldest operation that is due of the systems in ``settle``; None where none is.

    A claim whose lease has run out is given up first: where its attempt was begun, the worker died in it, and its end
    is unknown.
    """
    with database.writing() as session:
        _give_up(session, settle, at)
        row = _next(session, settle, at)
        if row is None:
            return None
        uncertain = row.state == "uncertain"
        row.state = "sending"
        row.claimed_by = secrets.token_hex(8)
        row.claimed_until = at + timedelta(seconds=lease)
        ticket = session.get_one(TicketRow, (row.system, row.key))
        return Claim(
            number=row.number or 0,
            system=row.system,
            key=row.key,
            mark=row.mark,
            payload=row.payload,
            tries=row.attempts,
            asked_at=row.asked_at,
            uncertain=uncertain,
            token=row.claimed_by,
            until=row.claimed_until,
            ref=_ref(ticket),
        )


def _next(session: Session, settle: Mapping[str, Settle], at: datetime) -> OperationRow | None:
    """Return the oldest operation that is due; an uncertain one is not while a look would prove nothing."""
    due = (
        select(OperationRow)
        .where(
            col(OperationRow.state).in_(("waiting", "uncertain")),
            OperationRow.next_at <= at,
            _may_be_done(settle),
        )
        .order_by(col(OperationRow.number))
        .limit(1)
    )
    while (row := session.exec(due).first()) is not None:
        began = may_have_been_done(session, row) if row.state == "uncertain" else None
        if began is None or (believable := began + settle[row.system].of(row.mark)) <= at:
            return row
        row.next_at = believable
        session.flush()
    return None


def may_have_been_done(session: Session, row: OperationRow) -> datetime | None:
    """Return when the last attempt ended, or when we ceased to wait for it, if it may have been carried out."""
    last = session.exec(
        select(AttemptRow)
        .where(AttemptRow.operation == row.number, col(AttemptRow.outcome).not_in(_NO_ATTEMPT))
        .order_by(col(AttemptRow.number).desc())
        .limit(1)
    ).first()
    return last.ended_at if last is not None and last.outcome in UNKNOWN else None


def next_due(database: Database, systems: Collection[str]) -> datetime | None:
    """Return when the next operation may be done, or its lease runs out; None where nothing is left to do."""
    with database.reading() as session:
        found = session.exec(
            select(
                func.min(OperationRow.next_at).filter(col(OperationRow.state) != "sending"),
                func.min(OperationRow.claimed_until).filter(col(OperationRow.state) == "sending"),
            ).where(col(OperationRow.state).in_(_UNFINISHED), _may_be_done(systems))
        ).one()
    return min((at for at in found if at is not None), default=None)


def begin(database: Database, claimed: Claim, *, at: datetime, call: float) -> int | None:
    """Write down that a call of at most ``call`` seconds is about to be made; return its number.

    None where the claim is no longer ours, or would not be until the call has surely ended.
    """
    with database.writing() as session:
        row = _ours(session, claimed)
        if row is None or at + timedelta(seconds=call) > claimed.until:
            return None
        attempt = AttemptRow(operation=claimed.number, began_at=at, ended_at=None, outcome=None, detail=None)
        row.attempts += 1
        session.add(attempt)
        session.flush()
        return attempt.number


def holds(database: Database, claimed: Claim) -> bool:
    """Return whether the claim is still ours: nobody else may have begun what it is for."""
    with database.reading() as session:
        return _ours(session, claimed) is not None


def done(
    database: Database,
    claimed: Claim,
    attempt: int | None,
    *,
    at: datetime,
    ref: TicketRef | None = None,
    extras: Collection[TicketRef] = (),
    note: str | None = None,
) -> None:
    """Write down that it is done, whoever holds the claim by now; ``attempt`` None: a look showed that it was.

    ``ref`` is the ticket that was made or found, ``extras`` others that carry its key too. A ticket made beside the
    one that the ledger has is an extra as well.
    """
    with database.writing() as session:
        row = session.get_one(OperationRow, claimed.number)
        ticket = session.get_one(TicketRow, (claimed.system, claimed.key))
        if attempt is None:
            shown = ref.number or ref.id if ref else claimed.mark
            session.add(AttemptRow(operation=claimed.number, began_at=at, ended_at=at, outcome="found", detail=shown))
        else:
            _end(session, attempt, "done", ref.id if ref else None, at)
        if row.state != "done":
            row.state, row.done_at, row.error = "done", at, None
            row.claimed_by = row.claimed_until = None
        if ref is not None:
            _filed(ticket, ref, extras, note)
        else:
            _changed(ticket, claimed.change(), at)


def _filed(ticket: TicketRow, ref: TicketRef, extras: Collection[TicketRef], note: str | None) -> None:
    others = [extra for extra in extras if extra.id != ref.id]
    if ticket.remote_id is None:
        ticket.remote_id, ticket.remote_number, ticket.remote_url = ref.id, ref.number or None, ref.url or None
        if ticket.state == "abandoned":
            return  # given up while it was made: its id is kept, and nothing more is done to it
        ticket.state = "filed"
        ticket.note = note or ticket.note
    elif ticket.remote_id != ref.id:
        others.append(ref)
    if others:
        ticket.state = "conflict"
        ticket.note = duplicates(others)


def duplicates(extras: Collection[TicketRef]) -> str:
    """Return the note on a ticket that others carry the key of too."""
    named = ", ".join(f"{extra.number} ({extra.id})" if extra.number else extra.id for extra in extras)
    return f"carried by other tickets too: {named}; take the key off them, or delete them, in the ticket system"


def _changed(ticket: TicketRow, change: Change, at: datetime) -> None:
    """Remember what we did to the status, so that the next thing done to it by others is told from it."""
    if change.status is None:
        return
    ticket.status = change.status.value
    if change.status == Status.OPEN:
        ticket.closed_seen_at = None
    else:
        ticket.closed_seen_at = ticket.closed_seen_at or at


def later(
    database: Database,
    claimed: Claim,
    attempt: int | None,
    *,
    outcome: str,
    error: str,
    next_at: datetime,
    at: datetime,
) -> None:
    """Put it back until ``next_at``; uncertain where this attempt or one before it may have been carried out.

    ``attempt`` None: nothing was tried, a look before it failed; that counts as a try all the same.
    """
    with database.writing() as session:
        if attempt is not None:
            _end(session, attempt, outcome, error, at)
        row = _ours(session, claimed)
        if row is None:
            return
        if attempt is None:
            row.attempts += 1
        uncertain = outcome in UNKNOWN if attempt is not None else claimed.uncertain
        row.state = "uncertain" if uncertain else "waiting"
        row.next_at, row.error = next_at, error
        row.claimed_by = row.claimed_until = None


def failed(database: Database, claimed: Claim, attempt: int | None, *, outcome: str, error: str, at: datetime) -> None:
    """Give it up until a person has it tried again."""
    with database.writing() as session:
        if attempt is not None:
            _end(session, attempt, outcome, error, at)
        row = _ours(session, claimed)
        if row is not None:
            row.state, row.error = "failed", error
            row.claimed_by = row.claimed_until = None


def gone(database: Database, claimed: Claim, *, at: datetime) -> None:
    """Write down that the ticket is no longer there: the change waits until a person decides."""
    with database.writing() as session:
        ticket = session.get_one(TicketRow, (claimed.system, claimed.key))
        ticket.state, ticket.status, ticket.read_at = "gone", Status.GONE.value, at
        ticket.note = GONE
        row = _ours(session, claimed)
        if row is not None:
            row.state = "waiting"
            row.claimed_by = row.claimed_until = None


TAKEN_OFF = "no longer carries its key"
GONE = "its system says that there is no such ticket; `reconciler filing retry KEY --recreate` files another"


def hold_back(database: Database, system: str, until: datetime) -> None:
    """Let nothing more be sent to a system before ``until``: it asked everybody to wait, not one ticket."""
    with database.writing() as session:
        session.execute(
            update(OperationRow)
            .where(
                col(OperationRow.system) == system,
                col(OperationRow.state).in_(("waiting", "uncertain")),
                col(OperationRow.next_at) < until,
            )
            .values(next_at=until)
        )


def _give_up(session: Session, settle: Mapping[str, Settle], at: datetime) -> None:
    """Take operations from workers whose lease has run out; one that was in a call leaves it uncertain."""
    expired = session.exec(
        select(OperationRow).where(
            OperationRow.state == "sending",
            col(OperationRow.claimed_until) <= at,
            col(OperationRow.system).in_(list(settle)),
        )
    )
    for row in expired.all():
        begun = session.exec(
            select(AttemptRow).where(AttemptRow.operation == row.number, col(AttemptRow.outcome).is_(None))
        ).all()
        for attempt in begun:
            # The call ended with the lease at the latest, so that is when the wait begins.
            attempt.outcome, attempt.ended_at = "unknown", row.claimed_until
            attempt.detail = "the worker ended in the middle of the call"
            row.error = "the worker ended in the middle of the call: it is not known whether it was carried out"
        session.flush()
        row.state = "waiting" if may_have_been_done(session, row) is None else "uncertain"
        row.claimed_by = row.claimed_until = None
    session.flush()


def _may_be_done(systems: Collection[str]) -> ColumnElement[bool]:
    """Return the condition that an operation's turn has come: nothing asked for before it is left to do.

    Changes wait for the ticket, and for each other, in the order they were asked for; a change that failed holds
    up no other.
    """
    before = aliased(OperationRow)
    earlier = and_(
        col(before.system) == col(OperationRow.system),
        col(before.key) == col(OperationRow.key),
        col(before.number) < col(OperationRow.number),
        or_(
            col(before.state).in_(_UNFINISHED),
            and_(col(before.state) == "failed", col(before.mark) == CREATE),
        ),
    )
    stopped = and_(
        col(TicketRow.system) == col(OperationRow.system),
        col(TicketRow.key) == col(OperationRow.key),
        col(TicketRow.state).in_(STOPPED),
    )
    return and_(col(OperationRow.system).in_(list(systems)), ~exists().where(earlier), ~exists().where(stopped))


def _ours(session: Session, claimed: Claim) -> OperationRow | None:
    row = session.get_one(OperationRow, claimed.number)
    return row if row.state == "sending" and row.claimed_by == claimed.token else None


def _end(session: Session, attempt: int, outcome: str, detail: str | None, at: datetime) -> None:
    row = session.get_one(AttemptRow, attempt)
    row.ended_at, row.outcome, row.detail = at, outcome, detail


def _ref(ticket: TicketRow) -> TicketRef | None:
    if ticket.remote_id is None:
        return None
    return TicketRef(ticket.remote_id, ticket.remote_number or "", ticket.remote_url or "")
