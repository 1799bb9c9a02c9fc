"""What people decide about tickets: try again, file another in the place of one that is gone, or give one up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec
from sqlmodel import Session, col, or_, select

from reconciler.database import Database
from reconciler.database.filing import AttemptRow, OperationRow, TicketRow
from reconciler.errors import ConfigurationError
from reconciler.filing import queue
from reconciler.filing.keys import spoken
from reconciler.filing.outbox import CREATE, operation
from reconciler.sdk.tickets import Ticket

Refill = Callable[[str, str], Ticket | None]
"""Given a system and what a ticket is about, what it would be filed as today; None keeps what was asked for."""


def retry(
    database: Database,
    wanted: str | None,
    *,
    system: str | None = None,
    recreate: bool = False,
    by: str,
    reason: str,
    at: datetime,
    refill: Refill = lambda _system, _about: None,
) -> list[str]:
    """Have what failed tried again, and return it as SYSTEM KEY MARK.

    ``wanted`` is a key or what a ticket is about, as NC-000123; None: everything that failed. What may have been
    done is looked up before it is tried. ``recreate`` files another ticket in the place of one that is gone, that was
    given up, or that lost its key. Who decided and why is kept with each operation. Raises ``ConfigurationError``
    where nothing fits, and for a decision of nobody or without a reason.
    """
    _refuse_anonymous(by, reason)
    if recreate and wanted is None:
        raise ConfigurationError("tickets are recreated one by one", advice="Name the ticket by its key or number.")
    with database.writing() as session:
        rows = _tickets(session, wanted, system)
        again = [
            f"{row.system} {row.key} {mark}"
            for row in rows
            for mark in (_recreate if recreate else _retry)(session, row, f"{by}: {reason}", at, refill)
        ]
        if not again and wanted is not None:
            states = ", ".join(f"{row.system} {row.key} is {row.state}" for row in rows)
            raise ConfigurationError(
                f"nothing of {wanted} {'can be recreated' if recreate else 'failed'}: {states}",
                advice="`reconciler filing status` shows how each stands; --recreate is for tickets that are gone.",
            )
        return again


def abandon(
    database: Database, wanted: str, *, system: str | None = None, by: str, reason: str, at: datetime
) -> list[str]:
    """Do nothing more to the tickets of ``wanted``: not filed, not changed, not read; return each as SYSTEM KEY.

    What the ticket systems hold stays there. ``retry`` with ``recreate`` undoes it.
    """
    _refuse_anonymous(by, reason)
    with database.writing() as session:
        rows = _tickets(session, wanted, system)
        for row in rows:
            row.state, row.note = "abandoned", f"given up by {by}: {reason}"
            create = operation(session, row.system, row.key, CREATE)
            if create is not None:
                _remember(session, create, "abandoned", f"{by}: {reason}", at)
        return [f"{row.system} {row.key}" for row in rows]


def _retry(session: Session, row: TicketRow, who: str, at: datetime, refill: Refill) -> list[str]:
    if row.state in queue.STOPPED:
        return []  # nothing would be sent: --recreate is the way back
    failed = session.exec(
        select(OperationRow)
        .where(OperationRow.system == row.system, OperationRow.key == row.key, OperationRow.state == "failed")
        .order_by(col(OperationRow.number))
    ).all()
    for found in failed:
        _again(session, found, row.about, who=who, at=at, refill=refill)
    return [found.mark for found in failed]


def _recreate(session: Session, row: TicketRow, who: str, at: datetime, refill: Refill) -> list[str]:
    lost = row.state in queue.STOPPED or (row.state == "conflict" and (row.note or "").startswith(queue.TAKEN_OFF))
    create = operation(session, row.system, row.key, CREATE)
    if not lost or create is None:
        return []
    before = f", in the place of {row.remote_number or row.remote_id}" if row.remote_id else ""
    row.state, row.note = "waiting", f"filed again by {who}{before}"
    row.remote_id = row.remote_number = row.remote_url = None
    row.status = row.raw_status = row.assignee = row.resolution = None
    row.closed_seen_at = row.remote_updated_at = row.read_at = None
    _again(session, create, row.about, who=who, at=at, refill=refill)
    return [CREATE]


def _again(session: Session, found: OperationRow, about: str, *, who: str, at: datetime, refill: Refill) -> None:
    uncertain = queue.may_have_been_done(session, found)
    if found.mark == CREATE and (ticket := refill(found.system, about)) is not None:
        found.payload = msgspec.json.encode(ticket).decode()
    found.state = "uncertain" if uncertain is not None else "waiting"
    found.attempts, found.asked_at, found.next_at = 0, at, at
    found.error = found.done_at = found.claimed_by = found.claimed_until = None
    _remember(session, found, "retried", who, at)


def _remember(session: Session, found: OperationRow, what: str, who: str, at: datetime) -> None:
    session.add(AttemptRow(operation=found.number or 0, began_at=at, ended_at=at, outcome=what, detail=who))


def _tickets(session: Session, wanted: str | None, system: str | None) -> Sequence[TicketRow]:
    query = select(TicketRow).order_by(TicketRow.system, TicketRow.key)
    if wanted is not None:
        key, about = spoken(wanted)
        query = query.where(or_(col(TicketRow.key) == key, col(TicketRow.about) == about))
    if system is not None:
        query = query.where(TicketRow.system == system)
    rows = session.exec(query).all()
    if not rows and (wanted is not None or system is not None):
        named = " in ".join(filter(None, (wanted, system)))
        raise ConfigurationError(f"the ledger has no ticket of {named}", advice="List them: reconciler filing status.")
    return rows


def _refuse_anonymous(by: str, reason: str) -> None:
    if not by.strip() or not reason.strip():
        raise ConfigurationError(
            "a decision is made by a named person, with a reason", advice="Say who decides and why: --by and --reason."
        )
