"""What the token sees: RT answers a search that it may not make with 200 and nothing, and drops what it may not set.

So "nothing found" counts only where the field that carries the key shows, and where tickets of the queue show. A queue
that shows none is empty, or hidden: then the ids beside the newest ticket that shows are asked for one by one, since RT
answers 404 for an id that is free and 403 for one that is hidden.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.sdk.connector import Gap
from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused

from .client import Client, Hidden, NotThere, Record
from .settings import TicketSettings

_BESIDE = 10
"""Ids asked for on each side of the newest ticket that shows."""


@dataclass(frozen=True, slots=True)
class Place:
    """The queue, as the token sees it."""

    queue: str
    """Its id."""
    key_field: str
    """Id of the custom field that carries the key."""
    fields: Mapping[str, str]
    """Custom field of its tickets, in lower case -> its id."""
    creates: bool
    """Whether the token may make tickets in it."""


class Sight:
    """Learns once what the token sees, and remembers what was proven either way."""

    def __init__(self, settings: TicketSettings, client: Client) -> None:
        """Make it; no network yet."""
        self._settings = settings
        self._client = client
        self._place: Place | None = None
        self._turn = asyncio.Lock()
        self._blind = ""

    async def place(self) -> Place:
        """Return the queue, asked for once; raise naming the key or the right where something is not there."""
        async with self._turn:
            if self._place is None:
                self._place = await self._look()
            return self._place

    async def fields(self, names: Sequence[str]) -> None:
        """Raise ``ConfigurationError`` for a custom field that the queue does not have: RT would drop it."""
        for name in names:
            place = await self.place()
            if name.casefold() not in place.fields and name not in place.fields.values():
                raise ConfigurationError(
                    f"fields.CustomFields: tickets of queue {self._settings.queue!r} show no custom field {name!r}",
                    advice="Correct the name, apply the field to the queue, or grant SeeCustomField and "
                    "ModifyCustomField on it.",
                )

    def refuse_if_blind(self) -> None:
        """Raise ``Refused`` where it was proven that tickets do not show: what we file could not be found again."""
        if self._blind:
            raise self._refusal(self._blind)

    def missed(self, number: str) -> None:
        """Remember that a ticket of ours is there and hidden."""
        self._blind = f"ticket {number} is there, and hidden from this token"

    async def believe_nothing_found(self) -> None:
        """Return where a search that found nothing proves that there is nothing; raise ``Refused`` where not."""
        place = await self.place()
        if (await self._client.search(f"Queue = {place.queue}", size=1)).items:
            return
        if hidden := await self._hidden_beside():
            raise self._refusal(f"no ticket of queue {self._settings.queue!r} shows, and ticket {hidden} is hidden")

    async def gaps(self) -> list[Gap]:
        """Return what the token cannot see or do in the queue, as far as RT tells without writing."""
        place = await self.place()
        found = []
        if not place.creates:
            found.append(self._gap("no ticket can be made", "CreateTicket"))
        field = await self._client.custom_field(place.key_field)
        if str(field.get("Type")) != "Freeform" or str(field.get("MaxValues")) != "1":
            reason = "key_field is no field for one value of free text"
            found.append(Gap("", self._settings.key_field, reason))
        newest = await self._client.search(f"Queue = {place.queue}", descending=True, size=1)
        if newest.items:
            return found + await self._on_ticket(str(newest.items[0]["id"]))
        if hidden := await self._hidden_beside():
            found.append(self._gap(f"no ticket of the queue shows, and ticket {hidden} is hidden", "ShowTicket"))
        return found

    async def _on_ticket(self, number: str) -> list[Gap]:
        """Return the rights that a ticket of the queue shows to be missing."""
        record, _ = await self._client.ticket(number)
        links = record.get("_hyperlinks")
        may = {str(one.get("ref")) for one in links if isinstance(one, dict)} if isinstance(links, list) else set()
        found = []
        if self._settings.remark not in may:
            right = {"comment": "CommentOnTicket", "correspond": "ReplyToTicket"}[self._settings.remark]
            found.append(self._gap("nothing can be remarked on a ticket", right))
        if "lifecycle" not in may:
            found.append(self._gap(f"the status of ticket {number} cannot be changed", "ModifyTicket"))
        return found

    async def _look(self) -> Place:
        settings = self._settings
        try:
            record = await self._client.queue(settings.queue)
        except NotThere:
            await self._client.version()
            raise ConfigurationError(
                f"queue: RT has no queue {settings.queue!r}", advice="Set queue to a name or an id that RT lists."
            ) from None
        except Hidden:
            raise Refused(
                f"queue: {settings.queue!r} is hidden from this token",
                advice="Grant the token's user SeeQueue in it.",
                missing_permission="SeeQueue",
            ) from None
        if str(record.get("Disabled")) == "1":
            raise ConfigurationError(
                f"queue: {settings.queue!r} is disabled", advice="Enable it in RT, or name another."
            )
        listed, links = record.get("TicketCustomFields"), record.get("_hyperlinks")
        if not isinstance(listed, list) or not isinstance(links, list):
            raise Misbehaved("RT does not list the custom fields of a queue", advice="RT 5.0 or later is needed.")
        fields = {str(one["name"]).casefold(): str(one["id"]) for one in listed if isinstance(one, dict)}
        key_field = fields.get(settings.key_field.casefold())
        if key_field is None:
            raise Refused(
                f"key_field: tickets of queue {settings.queue!r} show no custom field {settings.key_field!r}",
                advice="Make it in RT (Enter one value), apply it to the queue, and grant the token's user "
                "SeeCustomField and SetInitialCustomField on it; without it no ticket is found again.",
                missing_permission="SeeCustomField",
            )
        creates = any(isinstance(one, dict) and one.get("ref") == "create" for one in links)
        return Place(_id(record), key_field, fields, creates)

    async def _hidden_beside(self) -> int | None:
        """Return the id of a ticket that is there and hidden, among those beside the newest that shows."""
        newest = await self._client.search("id > 0", descending=True, size=1)
        top = int(newest.items[0]["id"]) if newest.items else 0
        for number in (*range(top + 1, top + 1 + _BESIDE), *range(top - 1, max(0, top - 1 - _BESIDE), -1)):
            if await self._client.hides_ticket(number):
                return int(number)
        return None

    def _refusal(self, why: str) -> Refused:
        queue = self._settings.queue
        return Refused(
            f"{why}: whether a ticket of ours is there cannot be told",
            advice=f"Grant the token's user ShowTicket in queue {queue!r}; where it has it and the queue is empty, "
            "open one ticket there by hand, which proves it.",
            missing_permission="ShowTicket",
        )

    def _gap(self, reason: str, right: str) -> Gap:
        return Gap("", f"queue {self._settings.queue}", reason, missing_permission=right)


def _id(record: Record) -> str:
    found: Any = record.get("id")
    if not str(found).isdigit():
        raise Misbehaved("RT gives a queue without an id", advice="Report this with RT's version.")
    return str(found)
