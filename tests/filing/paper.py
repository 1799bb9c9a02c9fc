"""A ticket system on paper: it does what it is told to, fails as it is told to, and keeps what it was asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from reconciler.sdk.connector import Gap
from reconciler.sdk.errors import Unreachable
from reconciler.sdk.tickets import Change, Comment, Request, Status, Ticket, TicketRef, TicketView

START = datetime(2026, 3, 1, 2, 15, tzinfo=UTC)


class Clock:
    """The time of a test: it moves when somebody sleeps."""

    def __init__(self) -> None:
        self.at = START

    def now(self) -> datetime:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


class Paper:
    """Tickets in a list. ``before`` and ``after`` hold errors to raise before or after the next call is carried out."""

    version = "1"
    endpoint = "paper://"

    def __init__(self, clock: Clock, *, name: str = "desk", settle_seconds: float = 60.0, lag: float = 0.0) -> None:
        self.name = name
        self.settle_seconds = settle_seconds
        self.idempotent = False
        self.readable = True
        self.tickets: list[TicketView] = []
        self.calls: list[str] = []
        self.before: list[Exception | None] = []
        self.after: list[Exception | None] = []
        self.find_fails: list[Exception] = []
        self.during: Callable[[], None] = lambda: None
        self._clock = clock
        self._lag = timedelta(seconds=lag)
        self._made: dict[str, datetime] = {}

    def add(self, key: str, **values: Any) -> TicketView:
        ref = TicketRef(str(len(self.tickets) + 1), f"T{len(self.tickets) + 1}")
        self.tickets.append(replace(TicketView(ref, Status.OPEN, "New", key=key), **values))
        self._made[ref.id] = self._clock.at
        return self.tickets[-1]

    def alter(self, number: int, **values: Any) -> None:
        self.tickets[number] = replace(self.tickets[number], **values)

    def carrying(self, key: str) -> list[TicketView]:
        return [ticket for ticket in self.tickets if ticket.key == key and ticket.status != Status.GONE]

    async def check(self) -> Sequence[Gap]:
        return ()

    def preview(self, ticket: Ticket) -> Request:
        return Request("POST", "paper:///tickets", {}, ticket.body)

    async def find(self, key: str) -> Sequence[TicketRef]:
        self.calls.append("find")
        if self.find_fails:
            raise self.find_fails.pop(0)
        return [t.ref for t in self.tickets if t.key == key and self._clock.at - self._made[t.ref.id] >= self._lag]

    async def create(self, ticket: Ticket) -> TicketRef:
        self.calls.append("create")
        self._fail(self.before)
        made = self.add(ticket.key)
        self.during()
        self._fail(self.after)
        return made.ref

    async def read(self, ref: TicketRef) -> TicketView:
        self.calls.append("read")
        self._fail(self.before)
        return next(t for t in self.tickets if t.ref.id == ref.id)

    async def change(self, ref: TicketRef, change: Change) -> None:
        self.calls.append(f"change {change.mark}")
        if self.readable:
            self._fail(self.before)
        number = next(n for n, t in enumerate(self.tickets) if t.ref.id == ref.id)
        ticket = self.tickets[number]
        if change.comment:
            said = Comment(str(len(ticket.comments)), "reconciler", self._clock.at, change.comment)
            ticket = replace(ticket, comments=(*ticket.comments, said))
        self.tickets[number] = replace(ticket, status=change.status or ticket.status)
        self._fail(self.after)

    async def keyed(self, prefix: str) -> AsyncIterator[tuple[str, TicketRef]]:
        for ticket in self.tickets:
            if ticket.key.startswith(prefix) and ticket.status != Status.GONE:
                yield ticket.key, ticket.ref
        self._fail(self.after)

    async def close(self) -> None:
        self.calls.append("close")

    def _fail(self, errors: list[Exception | None]) -> None:
        if errors and (error := errors.pop(0)) is not None:
            raise error


def lost() -> Unreachable:
    return Unreachable("desk: the connection was reset", advice="Look first.")
