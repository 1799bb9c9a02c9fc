"""Read back what became of each ticket, and do what policy says where a ticket and its findings disagree.

A closed ticket never says that something is fixed: only a run that looked does. A ticket that is gone, or whose key
somebody took away, is a state that people see; nothing is filed in its place until one of them says so.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from sqlmodel import Session, col, or_, select

from reconciler.database import Database
from reconciler.database.filing import CommentRow, TicketRow
from reconciler.errors import ReconcilerError
from reconciler.filing import queue
from reconciler.filing.facts import Facts
from reconciler.filing.outbox import ask_change
from reconciler.sdk.secrets import redact
from reconciler.sdk.tickets import Change, Status, TicketRef, TicketSystem, TicketView
from reconciler.sections.filing import Filing

_ENDED = (Status.RESOLVED, Status.CLOSED)
_AT_ONCE = 4


class Followed(msgspec.Struct, frozen=True, kw_only=True):
    """What one look at the tickets showed."""

    read: int = 0
    unread: tuple[str, ...] = ()
    """Tickets that could not be read, each with why; nothing is concluded of them."""
    odd: tuple[str, ...] = ()
    """Tickets that are gone or in conflict, each with why: a person decides what becomes of them."""
    asked: tuple[str, ...] = ()
    """Changes that policy asks for, each as SYSTEM KEY MARK; sent with the rest of the outbox."""


async def follow(
    database: Database,
    systems: Mapping[str, TicketSystem],
    facts: Sequence[Facts],
    policy: Filing,
    *,
    at: datetime,
    seconds: float = 120.0,
) -> Followed:
    """Read every ticket that may still change back into the ledger, and ask for what ``policy`` says.

    ``facts`` are the nonconformities as the last run left them; of a ticket whose nonconformity is not among them
    only what its system says is kept. ``seconds`` bounds the reading of one ticket.
    """
    known = {fact.about: fact for fact in facts}
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(row: TicketRow) -> tuple[str, str | None, list[str]]:
        name = f"{row.system} {row.key}"
        ref = TicketRef(row.remote_id or "", row.remote_number or "", row.remote_url or "")
        if not systems[row.system].readable:
            with database.writing() as session:
                return name, "", _ask(session, row, known.get(row.about), policy, at)
        try:
            async with slots, asyncio.timeout(seconds):
                view = await systems[row.system].read(ref)
        except ReconcilerError as error:
            return name, redact(f"{error.message.rstrip('.')}. {error.advice}".strip()), []
        except Exception as error:  # noqa: BLE001 - one ticket that cannot be read keeps no other from being read
            return name, redact(f"{type(error).__name__}: {error}"), []
        with database.writing() as session:
            return name, None, keep(session, row, view, known.get(row.about), policy, at=at)

    answers = await asyncio.gather(*(one(row) for row in _may_change(database, systems, known)))
    return Followed(
        read=sum(why is None for _, why, _ in answers),
        unread=tuple(f"{name}: {why}" for name, why, _ in answers if why),
        odd=_odd(database, systems),
        asked=tuple(f"{name} {mark}" for name, _, marks in answers for mark in marks),
    )


def _odd(database: Database, systems: Mapping[str, TicketSystem]) -> tuple[str, ...]:
    with database.reading() as session:
        rows = session.exec(
            select(TicketRow)
            .where(col(TicketRow.system).in_(list(systems)), col(TicketRow.state).in_(("gone", "conflict")))
            .order_by(TicketRow.system, TicketRow.key)
        )
        return tuple(f"{row.system} {row.key} {row.state}: {row.note}" for row in rows)


def _may_change(
    database: Database, systems: Mapping[str, TicketSystem], known: Mapping[str, Facts]
) -> Sequence[TicketRow]:
    """Return tickets that are there, but for those closed at both ends."""
    with database.reading() as session:
        rows = session.exec(
            select(TicketRow)
            .where(
                col(TicketRow.system).in_(list(systems)),
                col(TicketRow.remote_id).is_not(None),
                TicketRow.state != "abandoned",
                or_(
                    col(TicketRow.status).is_(None),
                    TicketRow.status != Status.CLOSED.value,
                    col(TicketRow.about).in_(list(known)),
                ),
            )
            .order_by(TicketRow.system, TicketRow.key)
        ).all()
        session.expunge_all()
        return rows


def keep(
    session: Session,
    row: TicketRow,
    view: TicketView,
    facts: Facts | None,
    policy: Filing,
    *,
    at: datetime,
) -> list[str]:
    """Write what a system says of a ticket into the ledger, and ask for what policy says; return those marks."""
    system, key = row.system, row.key
    row = session.get_one(TicketRow, (system, key))
    if row.remote_id != view.ref.id:
        return []  # another was filed in its place while this one was read
    row.read_at = at
    if view.status == Status.GONE:
        row.state, row.status, row.raw_status, row.note = "gone", Status.GONE.value, view.raw_status, queue.GONE
        return []
    row.remote_number = view.ref.number or row.remote_number
    row.remote_url = view.ref.url or row.remote_url
    row.status, row.raw_status = view.status.value, view.raw_status
    row.assignee, row.resolution, row.remote_updated_at = view.assignee, view.resolution, view.updated_at
    row.closed_seen_at = (row.closed_seen_at or at) if view.status in _ENDED else None
    if view.key != key:
        row.state = "conflict"
        row.note = f"{queue.TAKEN_OFF}: it says {view.key!r}; give it back, or have another filed with retry --recreate"
    elif row.state == "gone" or (row.note or "").startswith(queue.TAKEN_OFF):
        row.state, row.note = "filed", None
    for comment in view.comments:
        if session.get(CommentRow, (system, key, comment.id)) is None:
            session.add(
                CommentRow(
                    system=system,
                    key=key,
                    comment_id=comment.id,
                    author=comment.author,
                    at=comment.at,
                    text=comment.text.replace("\x00", "\ufffd"),
                    read_at=at,
                )
            )
    return _ask(session, row, facts, policy, at)


def _ask(session: Session, row: TicketRow, facts: Facts | None, policy: Filing, at: datetime) -> list[str]:
    wanted = [] if facts is None else due(row, facts, policy)
    return [c.mark for c in wanted if ask_change(session, system=row.system, key=row.key, change=c, at=at)]


def due(row: TicketRow, facts: Facts, policy: Filing) -> list[Change]:
    """Return what policy says is to be done to a ticket as the ledger has it; each once for each occasion.

    An occasion is one closing of the ticket, or one run that verified the effect. Findings that the last run could
    not judge are no ground to reopen anything.
    """
    ended = row.closed_seen_at is not None
    if ended and facts.seen:
        found = "1 finding" if facts.seen == 1 else f"{facts.seen} findings"
        comment = (
            f"This ticket is closed, and the run {facts.last_run} still saw {found} of {facts.about}. "
            "It counts as corrected once a run that read everything sees none."
        )
        mark = f"still-found-{row.closed_seen_at:%Y%m%dt%H%M%Sz}"
        return [
            Change(mark=mark, comment=comment, status=Status.OPEN if policy.on_closed_but_found == "reopen" else None)
        ]
    if facts.verified_run is not None and not facts.seen and policy.on_verified != "nothing":
        comment = (
            f"The run {facts.verified_run} verified the effect for {facts.about}: its findings are gone, and stayed "
            "gone for the watch period."
        )
        mark = f"verified-{re.sub(r'[^a-z0-9]+', '-', facts.verified_run.lower()).strip('-')}"[:64]
        return [
            Change(
                mark=mark,
                comment=comment,
                status=Status.CLOSED if policy.on_verified == "close" and not ended else None,
            )
        ]
    return []
