"""The ticket system: whatever the requests of the configuration make of a JSON interface."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reconciler.sdk.connector import Gap
from reconciler.sdk.errors import ConfigurationError, Misbehaved
from reconciler.sdk.tickets import Change, Comment, Request, Status, Ticket, TicketRef, TicketView, checked, prefixed

from .expressions import Expression
from .tickets_client import NoSuch, TicketClient
from .tickets_settings import TicketSettings

VERSION = "1.0.0"
_NOBODY = "rec-check-nothing"
"""A key that no ticket carries."""
_SETTLE = 60.0
"""Seconds, where nobody says how far the service's search lags."""


class RestTickets:
    """File in a JSON interface; see README.md, Filing."""

    version = VERSION
    readable = True

    def __init__(self, name: str, settings: TicketSettings, base: Path) -> None:
        self.name = name
        self._settings = settings
        self._client = TicketClient(name, settings, base)
        self._statuses = {word.casefold(): Status(value) for word, value in settings.statuses.items()}
        self.endpoint = self._client.origin
        self.idempotent = settings.idempotent
        self.settle_seconds = _SETTLE if settings.settle_seconds is None else settings.settle_seconds

    async def check(self) -> Sequence[Gap]:
        """Look for a key that nothing carries, and name what the configuration leaves out."""
        await self.find(_NOBODY)
        lacks = {
            "comments": "what people say there is not read",
            "comment": "nothing can be said on a ticket",
            "change": "no status can be set",
        }
        return [
            Gap("tickets", "", f"[filing.systems.{self.name}] {key} is missing: {what}")
            for key, what in lacks.items()
            if getattr(self._settings, key) is None
        ]

    def preview(self, ticket: Ticket) -> Request:
        """Return the request that makes a ticket."""
        return self._client.shown(self._settings.create, self._facts(ticket), ticket.fields)

    async def find(self, key: str) -> Sequence[TicketRef]:
        """Return the tickets that carry the key; of numbered ones the lowest, which is the oldest, first."""
        refs = [ref async for found, ref in self._carrying("find", {"key": checked(key)}) if found == key]
        return sorted(refs, key=lambda ref: int(ref.id)) if all(ref.id.isdigit() for ref in refs) else refs

    async def create(self, ticket: Ticket) -> TicketRef:
        """Make the ticket. An answer that does not name it raises ``Misbehaved``: then it is looked for."""
        create = self._settings.create
        found = await self._client.ask(create, self._facts(ticket), ticket.fields)
        number = _text(create.id, found)
        if not number:
            raise Misbehaved(
                f"{self.endpoint}: the answer does not name the ticket: create.id = {create.id} finds nothing",
                advice="Correct create.id.",
            )
        return TicketRef(number, _text(create.number, found), _text(create.url, found))

    async def read(self, ref: TicketRef) -> TicketView:
        """Read a ticket and what was said on it; GONE where the service says so, by status or in its answer."""
        read = self._settings.read
        facts = {"id": ref.id, "number": ref.number}
        try:
            found = await self._client.ask(read, facts)
        except NoSuch as error:
            if error.status not in read.gone_statuses:
                raise
            if read.gone_error is not None and not _true(read.gone_error, error.body):
                raise
            # A service that is not where it was answers so too: one that still lists tickets means what it says.
            await self.find(_NOBODY)
            return TicketView(ref, Status.GONE, "")
        raw = _text(read.status, found)
        if read.gone is not None and _true(read.gone, found):
            return TicketView(ref, Status.GONE, raw)
        return TicketView(
            ref=TicketRef(ref.id, _text(read.number, found) or ref.number, _text(read.url, found) or ref.url),
            status=self._standing(raw),
            raw_status=raw,
            key=_text(read.key, found),
            assignee=_text(read.assignee, found) or None,
            resolution=_text(read.resolution, found) or None,
            updated_at=_instant(read.updated_at, found),
            comments=tuple([comment async for comment in self._comments(facts)]),
        )

    async def change(self, ref: TicketRef, change: Change) -> None:
        """Set status and fields, which twice is once; then say the comment, whose mark says that all is done."""
        facts = {"id": ref.id, "number": ref.number, "mark": change.mark}
        alter = self._settings.change
        if change.status is not None or change.fields:
            if alter is None or (change.status is None and not alter.status_into):
                raise self._missing("change", "which request sets status and fields of a ticket")
            fields = dict(change.fields)
            value: Any = None
            if change.status is not None:
                value = self._settings.status_values.get(change.status.value)  # type: ignore[call-overload] # GONE is no key
                if value is None:
                    raise self._missing(f"status_values.{change.status}", "what makes a ticket so")
            if value is not None and alter.status_into:
                fields[alter.status_into] = value
            await self._client.ask(alter, {**facts, "status": value}, fields)
        if change.comment:
            if self._settings.comment is None:
                raise self._missing("comment", "which request says something on a ticket")
            await self._client.ask(self._settings.comment, {**facts, "comment": change.comment})

    async def keyed(self, prefix: str) -> AsyncIterator[tuple[str, TicketRef]]:
        """Yield every ticket whose key starts with ``prefix``."""
        async for key, ref in self._carrying("keyed", {"prefix": prefixed(prefix)}):
            if key.startswith(prefix):
                yield key, ref

    async def close(self) -> None:
        """Close every connection; safe to call twice."""
        await self._client.close()

    def _facts(self, ticket: Ticket) -> Mapping[str, Any]:
        due = ticket.due_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if ticket.due_at is not None else None
        return {
            "key": checked(ticket.key),
            "title": ticket.title,
            "body": ticket.body,
            "severity": ticket.severity,
            "priority": self._settings.priorities.get(ticket.severity, ticket.severity),  # type: ignore[call-overload] # any text may be asked for
            "due_at": due,
        }

    async def _carrying(self, which: str, facts: Mapping[str, Any]) -> AsyncIterator[tuple[str, TicketRef]]:
        call = self._settings.find if which == "find" else self._settings.keyed
        async for item in self._client.listed(call, facts, which):
            if call.left_out is not None and _true(call.left_out, item):
                continue
            key, number = _text(call.key, item), _text(call.id, item)
            if not number:
                raise Misbehaved(f"{self.endpoint}: a ticket without an id", advice=f"Correct {which}.id.")
            if which == "find" and not key:
                raise Misbehaved(
                    f"{self.endpoint}: ticket {number} is found by a key and shows none: find.key = {call.key} finds "
                    "nothing",
                    advice="Correct find.key, or grant the right to see the field; it may be the ticket that is meant.",
                )
            yield key, TicketRef(number, _text(call.number, item), _text(call.url, item))

    async def _comments(self, facts: Mapping[str, Any]) -> AsyncIterator[Comment]:
        call = self._settings.comments
        if call is None:
            return
        async for item in self._client.listed(call, facts, "comments"):
            yield Comment(
                _text(call.id, item), _text(call.author, item), _instant(call.at, item), _text(call.text, item)
            )

    def _standing(self, word: str) -> Status:
        found = self._statuses.get(word.casefold())
        if found is None:
            raise Misbehaved(
                f"[filing.systems.{self.name}] statuses: {word!r} is not mapped",
                advice="Add it, as open, resolved or closed.",
            )
        return found

    def _missing(self, key: str, what: str) -> ConfigurationError:
        return ConfigurationError(f"[filing.systems.{self.name}] {key} is missing: {what}", advice=f"Set {key}.")


def _text(expression: Expression | None, found: Any) -> str:
    """Return a text or a number that stands there as text; empty where there is none."""
    if expression is None:
        return ""
    try:
        value = expression.search(found)
    except ValueError as error:
        raise Misbehaved(f"{expression} fails: {error}", advice="Correct the expression.") from None
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _true(expression: Expression, found: Any) -> bool:
    try:
        return expression.search(found) is True
    except ValueError:
        return False


def _instant(expression: Expression | None, found: Any) -> datetime | None:
    try:
        return datetime.fromisoformat(_text(expression, found))
    except ValueError:
        return None
