"""Request Tracker as a system that tickets are filed in: which requests, in which order, what each answer proves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from reconciler.sdk.connector import Gap
from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused, SourceError
from reconciler.sdk.tickets import Change, Comment, Request, Status, Ticket, TicketRef, TicketView, checked, prefixed

from .client import Client, Hidden, NotThere, Record
from .connector import (
    REMARKS,
    comment,
    creation,
    custom_names,
    lacking,
    meaning,
    number_of,
    plain,
    ref_of,
    update,
    values_of,
    view,
)
from .settings import TicketSettings
from .sight import Sight

_log = logging.getLogger(__name__)

_ENTRIES_AT_ONCE = 20
_EMPTY_PAGES = 10
"""Pages of a history on which nothing shows, one after another, until it counts as broken off."""


class RequestTracker:
    """Files tickets in one queue of one RT; a custom field carries the key."""

    version = "1"
    idempotent = False
    readable = True

    def __init__(self, name: str, settings: TicketSettings, base: Path) -> None:
        """Make it; no network yet."""
        self.name = name
        # A search reads the database that a create was committed to before it was answered.
        self.settle_seconds = 0.0 if settings.settle_seconds is None else settings.settle_seconds
        self._settings = settings
        self._client = Client(settings, base)
        self.endpoint = self._client.origin
        self._sight = Sight(settings, self._client)
        self._first = asyncio.Lock()
        self._kept = False
        """Whether a ticket that was made is known to have kept its key."""
        self._stopped = ""
        """Why no ticket is made any more: the last one did not keep its key."""
        self._deaf: bool | None = None
        """Whether remarks are hidden from the token; None: not known yet."""

    async def check(self) -> Sequence[Gap]:
        """Look at the queue, its custom fields and one of its tickets, and say which rights are missing."""
        await self._client.version()
        await self._sight.fields(custom_names(self._settings.fields))
        return await self._sight.gaps()

    def preview(self, ticket: Ticket) -> Request:
        """Return the request that ``create`` sends."""
        return self._client.shown(creation(self._settings, ticket))

    async def find(self, key: str) -> Sequence[TicketRef]:
        """Return every ticket that carries ``key``, in any queue that shows, by id; RT finds no deleted one."""
        checked(key)
        self._sight.refuse_if_blind()
        field = (await self._sight.place()).key_field
        found = [
            ref_of(self._settings, str(record["id"]))
            async for record in self._every(f"CF.{{{field}}} = '{key}'")
            # RT compares without regard to case. A field that does not show, after a move, was compared all the same.
            if (held := values_of(record, self._settings.key_field)) is None or key in held
        ]
        if not found:
            await self._sight.believe_nothing_found()
        return found

    async def create(self, ticket: Ticket) -> TicketRef:
        """Make the ticket. Raise ``Misbehaved`` where it did not keep its key, and make no other from then on."""
        body = creation(self._settings, ticket)
        await self._sight.fields(custom_names(body))
        if not (await self._sight.place()).creates:
            raise Refused(
                f"no ticket can be made in queue {self._settings.queue!r}",
                advice="Grant the token's user CreateTicket in it.",
                missing_permission="CreateTicket",
            )
        if self._kept:
            return ref_of(self._settings, await self._made(body))
        async with self._first:  # one alone, until it is known that a ticket keeps its key and shows
            number = await self._made(body)
            if not self._kept:
                await self._prove(number, ticket.key)
        return ref_of(self._settings, number)

    async def read(self, ref: TicketRef) -> TicketView:
        """Return the ticket with its remarks. GONE: it is deleted, or RT has no such id, as RT itself says."""
        number = number_of(ref)
        try:
            record, last = await self._ticket(number)
        except NotThere:
            await self._client.version()
            return TicketView(ref, Status.GONE, "")
        if meaning(self._settings, record["Status"]) is Status.GONE:
            return TicketView(ref, Status.GONE, record["Status"])
        if self._deaf:
            raise self._refuse_deaf()
        return view(self._settings, ref_of(self._settings, number), record, await self._remarks(number, last))

    async def change(self, ref: TicketRef, change: Change) -> None:
        """Set fields and status first, then remark, so that the mark in a remark says that all of it was done."""
        body = update(self._settings, change)
        number = number_of(ref)
        if change.comment and self._deaf:
            raise self._refuse_deaf()
        await self._sight.fields(custom_names(body))
        record, _ = await self._ticket(number)
        if str(record["id"]) != number:
            raise Refused(
                f"ticket {number} was merged into ticket {record['id']}",
                advice="Look at both in RT; what is asked of the one would be done to the other.",
            )
        stands = meaning(self._settings, record["Status"])
        if stands is Status.GONE:
            raise Refused(f"ticket {number} is deleted", advice="Undelete it in RT first, if it is to go on.")
        if stands is change.status:
            del body["Status"]
        await self._set(number, body)
        if not change.comment:
            return
        entry = await self._client.remark(number, self._settings.remark, plain(change.comment))
        if self._settings.remark == "correspond" and change.status is not None:
            # RT itself reopens a ticket that is corresponded on.
            await self._set(number, update(self._settings, Change(change.mark, status=change.status)))
        if self._deaf is None and entry is not None:
            self._deaf = not await self._client.sees_entry(entry)

    async def keyed(self, prefix: str) -> AsyncIterator[tuple[str, TicketRef]]:
        """Yield each ticket whose key starts with ``prefix``, by id; RT lists no deleted one."""
        prefixed(prefix)
        self._sight.refuse_if_blind()
        field = (await self._sight.place()).key_field
        nothing = True
        async for record in self._every(f"CF.{{{field}}} STARTSWITH '{prefix}'"):
            nothing = False
            held = values_of(record, self._settings.key_field)
            if held is None:
                raise Refused(
                    f"ticket {record['id']} carries a key of ours, and does not show it",
                    advice="Apply the custom field to the queue that the ticket was moved to, or to all.",
                    missing_permission="SeeCustomField",
                )
            for key in held:
                if key.startswith(prefix):
                    yield key, ref_of(self._settings, str(record["id"]))
        if nothing:
            await self._sight.believe_nothing_found()

    async def close(self) -> None:
        """Close every connection; safe to call twice."""
        await self._client.close()

    async def _made(self, body: Record) -> str:
        if self._stopped:
            raise Refused(self._stopped, advice="Mend that first; then start again.")
        self._sight.refuse_if_blind()
        return await self._client.create(body)

    async def _ticket(self, number: str) -> tuple[Record, int | None]:
        try:
            return await self._client.ticket(number)
        except Hidden:
            self._sight.missed(number)
            raise Refused(
                f"ticket {number} is there, and hidden from this token",
                advice="Grant the token's user ShowTicket in the queue that the ticket is in.",
                missing_permission="ShowTicket",
            ) from None

    async def _prove(self, number: str, key: str) -> None:
        """Look once at a ticket that was made: whether it shows, and kept its key. It is filed whatever is seen."""
        try:
            record, _ = await self._ticket(number)
        except SourceError as error:
            _log.warning("%s: ticket %s was made, and cannot be looked at: %s", self.name, number, error.message)
            return
        if values_of(record, self._settings.key_field) == [key]:
            self._kept = True
            return
        self._stopped = f"ticket {number} was made, and did not keep its key in {self._settings.key_field!r}"
        raise Misbehaved(
            self._stopped,
            advice=f"Grant the token's user SetInitialCustomField on it; then write {key} into that field of the "
            "ticket, or delete the ticket, before you file again.",
        )

    async def _set(self, number: str, body: Record) -> None:
        """Set fields, and look whether they stand: RT answers 200 where it refused them, in the user's language."""
        if not body:
            return
        said = await self._client.update(number, body)
        record, _ = await self._ticket(number)
        if missed := lacking(body, record):
            raise Refused(
                f"ticket {number}: {', '.join(missed)} did not change{f' ({said})' if said else ''}",
                advice="Grant the token's user ModifyTicket, and ModifyCustomField on custom fields; check that the "
                "lifecycle of the queue lets this status follow, and that the value is one that RT knows.",
                missing_permission="ModifyTicket",
            )

    async def _every(self, query: str) -> AsyncIterator[Record]:
        """Yield every ticket of a query by id; raise where RT does not close the list by its own count."""
        last = 0
        while True:
            page = await self._client.search(f"id > {last} AND {query}")
            if page.total is None:
                raise ConfigurationError(
                    "RT does not count what a search finds, so that nobody can tell whether a list is whole",
                    advice="Set UseSQLForACLChecks to 1 in RT's configuration, which is its default.",
                )
            for record in page.items:
                number = str(record["id"])
                if not number.isdigit() or int(number) <= last:
                    raise Misbehaved("RT does not list tickets by id", advice="Report this with RT's version.")
                last = int(number)
                yield record
            if page.total == len(page.items):
                return
            if not page.items or page.total < len(page.items):
                raise Misbehaved(
                    f"RT counts {page.total} tickets more and lists {len(page.items)}",
                    advice="Try again; where it stays, report this with RT's version.",
                )

    async def _remarks(self, number: str, last: int | None) -> list[Comment]:
        """Return what was remarked on a ticket; raise where the history ends before the entry it ends with."""
        entries = [one for one in await self._history(number, last) if one.get("Type") in REMARKS]
        found = []
        for start in range(0, len(entries), _ENTRIES_AT_ONCE):
            some = entries[start : start + _ENTRIES_AT_ONCE]
            texts = await self._texts(number, [int(one["id"]) for one in some])
            found += [comment(one, [t for t in texts if str(t.get("TransactionId")) == str(one["id"])]) for one in some]
        return found

    async def _history(self, number: str, last: int | None) -> list[Record]:
        """Return a ticket's history to the entry ``last``. RT counts none, and a page lacks what does not show."""
        entries: list[Record] = []
        after, empty = 0, 0
        while last is not None and after < last:
            page = await self._client.history(number, after, 1 + empty)
            entries += page.items
            empty = 0 if page.items else empty + 1
            after = int(page.items[-1]["id"]) if page.items else after
            if empty >= _EMPTY_PAGES:
                raise Misbehaved(
                    f"the history of ticket {number} breaks off before its last entry",
                    advice="Try again; where it stays, report this with RT's version.",
                )
        return entries

    async def _texts(self, number: str, entries: Sequence[int]) -> list[Record]:
        """Return every attachment of some entries that show."""
        found: list[Record] = []
        while True:
            page = await self._client.texts(number, entries, int(found[-1]["id"]) if found else 0)
            found += page.items
            if len(page.items) < self._settings.page_size:
                return found

    def _refuse_deaf(self) -> Refused:
        return Refused(
            "remarks on tickets are hidden from this token: what was said, and what we said, cannot be told",
            advice="Grant the token's user ShowTicketComments in the queue.",
            missing_permission="ShowTicketComments",
        )
