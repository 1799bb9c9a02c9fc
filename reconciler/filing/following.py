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
from reconciler.filing import queue, telling
from reconciler.filing.facts import Facts
from reconciler.filing.outbox import ask_change
from reconciler.log import explained
from reconciler.sdk.errors import Throttled, Unreachable
from reconciler.sdk.tickets import Change, Status, TicketRef, TicketSystem, TicketView
from reconciler.sections.filing import Filing

_ENDED = (Status.RESOLVED, Status.CLOSED)
_AT_ONCE = 4
_ENOUGH = 3
"""Tickets in a row that a system gave no answer about; of the rest it is not asked."""


class Followed(msgspec.Struct, frozen=True, kw_only=True):
    """What one look at the tickets showed."""

    read: int = 0
    unread: tuple[str, ...] = ()
    """Tickets that could not be read, each with why; nothing is concluded of them."""
    odd: tuple[str, ...] = ()
    """Tickets that are gone or in conflict, each with why: a person decides what becomes of them."""
    asked: tuple[str, ...] = ()
    """Changes that policy asks for, each as SYSTEM KEY MARK; sent with the rest of the outbox."""
    silent: Mapping[str, str] = {}
    """Systems that gave no answer, with why: of the rest of their tickets they were not asked."""


async def follow(
    database: Database,
    systems: Mapping[str, TicketSystem],
    facts: Sequence[Facts],
    policy: Filing,
    *,
    at: datetime,
    time_zone: str = "UTC",
    seconds: float = 120.0,
) -> Followed:
    """Read every ticket that may still change back into the ledger, and ask for what ``policy`` says.

    ``facts`` are the nonconformities as the last run left them; of a ticket whose nonconformity is not among them
    only what its system says is kept. ``seconds`` bounds the reading of one ticket. Days in comments are of
    ``time_zone``.
    """
    known = {fact.about: fact for fact in facts}
    due = Due(policy, time_zone)
    looks = [_Look(database, system, known, due, at=at, seconds=seconds) for system in systems.values()]
    await asyncio.gather(*(look.all() for look in looks))
    return Followed(
        read=sum(look.read for look in looks),
        unread=tuple(line for look in looks for line in look.unread),
        odd=_odd(database, systems),
        asked=tuple(line for look in looks for line in look.asked),
        silent={look.name: f"it does not answer: {look.silent}" for look in looks if look.silent},
    )


class _Look:
    """One look at the tickets of a system."""

    def __init__(
        self,
        database: Database,
        system: TicketSystem,
        known: Mapping[str, Facts],
        due: Due,
        *,
        at: datetime,
        seconds: float,
    ) -> None:
        self.name = system.name
        self.read = 0
        self.unread: list[str] = []
        self.asked: list[str] = []
        self.silent = ""
        self._database, self._system, self._known, self._due = database, system, known, due
        self._at, self._seconds = at, seconds
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._unanswered = 0

    async def all(self) -> None:
        """Read each ticket, a few at once, until the system gives no answer about several in a row."""
        rows = _may_change(self._database, self.name, self._known)
        await asyncio.gather(*(self._one(row) for row in rows))
        if left := len(rows) - self.read - len(self.unread) if self._system.readable else 0:
            self.unread.append(f"{self.name}: {left} more of its tickets were not asked for, since it does not answer")

    async def _one(self, row: TicketRow) -> None:
        if not self._system.readable:
            with self._database.writing() as session:
                self._ask(session, row)
            return
        async with self._slots:
            if self.silent:
                return
            try:
                async with asyncio.timeout(self._seconds):
                    view = await self._system.read(_ref(row))
            except Exception as error:  # noqa: BLE001 - one ticket that cannot be read keeps no other from being read
                why = explained(error)
                self.unread.append(f"{row.system} {row.key}: {why}")
                answered = not isinstance(error, Unreachable | Throttled | TimeoutError | OSError)
                self._unanswered = 0 if answered else self._unanswered + 1
                if self._unanswered >= _ENOUGH:
                    self.silent = why
                return
        self._unanswered = 0
        self.read += 1
        with self._database.writing() as session:
            if keep(session, row, view, at=self._at):
                self._ask(session, row)

    def _ask(self, session: Session, row: TicketRow) -> None:
        row = session.get_one(TicketRow, (row.system, row.key))
        marks = self._due.ask(session, row, self._known.get(row.about), self._at)
        self.asked += [f"{row.system} {row.key} {mark}" for mark in marks]


def _ref(row: TicketRow) -> TicketRef:
    return TicketRef(row.remote_id or "", row.remote_number or "", row.remote_url or "")


def _odd(database: Database, systems: Mapping[str, TicketSystem]) -> tuple[str, ...]:
    with database.reading() as session:
        rows = session.exec(
            select(TicketRow)
            .where(col(TicketRow.system).in_(list(systems)), col(TicketRow.state).in_(("gone", "conflict")))
            .order_by(TicketRow.system, TicketRow.key)
        )
        return tuple(f"{row.system} {row.key} {row.state}: {row.note}" for row in rows)


def _may_change(database: Database, system: str, known: Mapping[str, Facts]) -> Sequence[TicketRow]:
    """Return tickets that are there, but for those closed at both ends."""
    with database.reading() as session:
        rows = session.exec(
            select(TicketRow)
            .where(
                TicketRow.system == system,
                col(TicketRow.remote_id).is_not(None),
                TicketRow.state != "abandoned",
                or_(
                    col(TicketRow.status).is_(None),
                    TicketRow.status != Status.CLOSED.value,
                    col(TicketRow.about).in_(list(known)),
                ),
            )
            .order_by(TicketRow.key)
        ).all()
        session.expunge_all()
        return rows


def keep(session: Session, row: TicketRow, view: TicketView, *, at: datetime) -> bool:
    """Write what a system says of a ticket into the ledger; return whether there is something to be done to it."""
    system, key = row.system, row.key
    row = session.get_one(TicketRow, (system, key))
    if row.remote_id != view.ref.id or row.state == "abandoned":
        return False  # another was filed in its place, or it was given up, while this one was read
    row.read_at = at
    if view.status == Status.GONE:
        row.state, row.status, row.raw_status, row.note = "gone", Status.GONE.value, view.raw_status, queue.GONE
        return False
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
    return True


class Due:
    """What policy says is to be done to tickets as the ledger has them; each once for each occasion."""

    def __init__(self, policy: Filing, time_zone: str) -> None:
        self._policy, self._zone = policy, time_zone

    def ask(self, session: Session, row: TicketRow, facts: Facts | None, at: datetime) -> list[str]:
        """Ask for what is due to a ticket; return the marks of what was not asked for before."""
        if facts is None:
            return []
        ended = row.closed_seen_at is not None
        tells = self._policy.on_changed == "comment" and not ended and row.state not in queue.STOPPED
        listed = self._policy.listed_findings
        told = telling.news(session, row, facts, listed=listed, time_zone=self._zone) if tells else None
        wanted = filter(None, (told, self._disagreement(row, facts)))
        return [c.mark for c in wanted if ask_change(session, system=row.system, key=row.key, change=c, at=at)]

    def _disagreement(self, row: TicketRow, facts: Facts) -> Change | None:
        """Return what is due where a ticket and its findings disagree.

        An occasion is one closing of the ticket, or one run that verified the effect. Findings that the last run could
        not judge are no ground to reopen anything, nor are those that it saw before the ticket was closed.
        """
        ended = row.closed_seen_at is not None
        if ended and facts.seen:
            if _closed_since(row, facts):
                return None
            found = "1 finding" if facts.seen == 1 else f"{facts.seen} findings"
            comment = (
                f"This ticket is closed, and the run {facts.last_run} still saw {found} of {facts.about}. "
                "It counts as corrected once a run that read everything sees none."
            )
            mark = f"still-found-{row.closed_seen_at:%Y%m%dt%H%M%Sz}"
            reopens = self._policy.on_closed_but_found == "reopen"
            return Change(mark=mark, comment=comment, status=Status.OPEN if reopens else None)
        if facts.verified_run is not None and not facts.seen and self._policy.on_verified != "nothing":
            comment = (
                f"The run {facts.verified_run} verified the effect for {facts.about}: its findings are gone, and "
                "stayed gone for the watch period."
            )
            mark = f"verified-{re.sub(r'[^a-z0-9]+', '-', facts.verified_run.lower()).strip('-')}"[:64]
            closes = self._policy.on_verified == "close" and not ended
            return Change(mark=mark, comment=comment, status=Status.CLOSED if closes else None)
        return None


def _closed_since(row: TicketRow, facts: Facts) -> bool:
    """Return whether the ticket was closed after the last run looked, so that only the next can tell.

    Where its system does not say when it last changed, it was closed when that was first seen, and nobody knows.
    """
    looked, changed = facts.looked_at, row.remote_updated_at
    if looked is None or changed is None or row.closed_seen_at is None:
        return False
    return min(row.closed_seen_at, changed) > looked
