"""The endpoints of RT's REST2 that are used, one method a request."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import msgspec

from reconciler.sdk.answers import clean
from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused, SourceError, Unreachable
from reconciler.sdk.http import HttpClient, Limits, bearer
from reconciler.sdk.tickets import Request, legible

from .settings import TicketSettings

Record = Mapping[str, Any]

_UNKNOWN = "It is not known whether RT did it: look for the result before you send it again."
_ETAG = re.compile(r'(?:W/)?"(\d+)(?:-\w+)?"')
_TRANSACTION = re.compile(r"/transaction/(\d+)/?$")


class NotThere(Refused):
    """RT says that it has no such object; it says so before it looks at rights."""


class Hidden(Refused):
    """RT says that the object is there, and not for this token."""


@dataclass(frozen=True, slots=True)
class Page:
    """Items of one page; ``total`` is RT's own count of what the search found, None where it does not count."""

    items: Sequence[Record]
    total: int | None


class Client:
    """Ask one RT, as the user of one token."""

    def __init__(self, settings: TicketSettings, base: Path) -> None:
        """Make a client; no network yet."""
        limits = Limits(read_seconds=settings.timeout_seconds, request_seconds=settings.timeout_seconds)
        self._base = f"{settings.url}/REST/2.0/"
        self._size = settings.page_size
        self._http = HttpClient(
            self._base,
            authorize=bearer(settings.token, "token"),
            ca_file=(base / Path(settings.ca_file).expanduser()).resolve() if settings.ca_file else None,
            limits=limits,
            errors=explain,
        )

    @property
    def origin(self) -> str:
        """Scheme, host and port of RT."""
        return self._http.origin

    def shown(self, body: Record) -> Request:
        """Return the request that ``create`` sends, without its token."""
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "Authorization": "token ***",
        }
        return Request("POST", f"{self._base}ticket", headers, legible(body))

    async def version(self) -> str:
        """Return RT's version; raise where it is not RT that answers."""
        found, _ = await self._http.get_json("rt")
        version = found.get("Version")
        if not isinstance(version, str) or not version:
            raise Misbehaved(
                f"{self._base}rt does not say which version of RT it is", advice="Set url to the address of RT."
            )
        return version

    async def queue(self, name: str) -> Record:
        """Return a queue by name or id, with the custom fields of its tickets that the token sees."""
        found, _ = await self._http.get_json(f"queue/{quote(name, safe='')}")
        return dict(found)

    async def custom_field(self, number: str) -> Record:
        """Return how a custom field is made."""
        found, _ = await self._http.get_json(f"customfield/{number}")
        return dict(found)

    async def search(self, query: str, *, descending: bool = False, size: int | None = None) -> Page:
        """Return the first tickets of a TicketSQL query by id, each with its custom fields."""
        params: dict[str, str | int] = {
            "query": query,
            "fields": "CustomFields",
            "orderby": "id",
            "order": "DESC" if descending else "ASC",
            "per_page": size or self._size,
        }
        found, _ = await self._http.get_json("tickets", params)
        return _page(found, size or self._size)

    async def ticket(self, number: str) -> tuple[Record, int | None]:
        """Return a ticket, and the id of the last entry of its history that the token sees; None: it sees none."""
        found, headers = await self._http.get_json(f"ticket/{number}")
        if "id" not in found or not isinstance(found.get("Status"), str):
            raise Misbehaved(f"{self._base}ticket/{number}: the answer is no ticket", advice="Check url.")
        last = _ETAG.fullmatch(headers.get("etag", ""))
        return dict(found), int(last.group(1)) if last else None

    async def history(self, number: str, after: int, page: int) -> Page:
        """Return a page, from 1, of the entries of a ticket's history with ids above ``after``, in their order."""
        query = [{"field": "id", "operator": ">", "value": after}]
        return await self._entries(f"ticket/{number}/history", "Type,Creator,Created", query, page)

    async def texts(self, number: str, entries: Sequence[int], after: int) -> Page:
        """Return the texts that came with some entries, with ids above ``after``; files of text are among them."""
        query = [{"field": "TransactionId", "value": entry, "entry_aggregator": "OR"} for entry in entries]
        query.append({"field": "id", "operator": ">", "value": after})
        query.append({"field": "ContentType", "operator": "STARTSWITH", "value": "text/"})
        return await self._entries(f"ticket/{number}/attachments", "ContentType,Filename,TransactionId,Content", query)

    async def create(self, body: Record) -> str:
        """Make a ticket and return its id. Raise ``Unreachable`` where it is not known whether it was made."""
        try:
            found, _ = await self._http.request("POST", "ticket", json=body, accept=frozenset({201}))
        except Misbehaved as error:
            raise Unreachable(error.message, advice=_UNKNOWN) from None
        number = str(found.get("id", ""))
        if not number.isascii() or not number.isdigit():
            raise Unreachable(f"{self._base}ticket: HTTP 201 without the ticket's id", advice=_UNKNOWN)
        return number

    async def update(self, number: str, body: Record) -> str:
        """Set fields of a ticket; return what RT says of each, which is no proof: it says 200 to what it refused."""
        said, _ = await self._http.request("PUT", f"ticket/{number}", json=body, again=True, expect=list)
        return clean("; ".join(str(one) for one in said))

    async def remark(self, number: str, kind: str, text: str) -> int | None:
        """Comment or correspond once; return the id of the entry that it made, None where RT does not say."""
        body = {"Content": text, "ContentType": "text/plain"}
        try:
            _, headers = await self._http.request(
                "POST", f"ticket/{number}/{kind}", json=body, accept=frozenset({201}), expect=list
            )
        except Misbehaved as error:
            raise Unreachable(error.message, advice=_UNKNOWN) from None
        made = _TRANSACTION.search(headers.get("location", ""))
        return int(made.group(1)) if made else None

    async def sees_entry(self, entry: int) -> bool:
        """Whether the token sees an entry of a history."""
        try:
            await self._http.get_json(f"transaction/{entry}")
        except Hidden:
            return False
        return True

    async def hides_ticket(self, number: int) -> bool:
        """Whether a ticket of this id is there and not for this token."""
        try:
            await self._http.get_json(f"ticket/{number}")
        except Hidden:
            return True
        except NotThere:
            return False
        return False

    async def close(self) -> None:
        """Close every connection; safe to call twice."""
        await self._http.close()

    async def _entries(self, path: str, fields: str, query: Sequence[Record], page: int = 1) -> Page:
        params: dict[str, str | int] = {
            "page": page,
            "query": msgspec.json.encode(query).decode(),
            "fields": fields,
            "orderby": "id",
            "order": "ASC",
            "per_page": self._size,
        }
        found, _ = await self._http.get_json(path, params)
        return _page(found, self._size)


def explain(status: int, body: bytes, shown: str) -> SourceError | ConfigurationError | None:
    """Return what RT means by an error; None: what HTTP says."""
    said = _words(body)
    if said is None:
        return None
    message = f"{shown}: HTTP {status}{f' ({said})' if said else ''}"
    if status == httpx.codes.UNAUTHORIZED:
        return Refused(message, advice="Check token: it is wrong or revoked, or its user is disabled.")
    if status == httpx.codes.NOT_FOUND:
        return NotThere(message, advice="Check the id; RT has no such object.")
    if status == httpx.codes.FORBIDDEN:
        return Hidden(message, advice="Grant the token's user the right in the queue.")
    return None


def _words(body: bytes) -> str | None:
    """Return what RT says in its own form, ``{"message": ...}``; None where the answer is not RT's."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    said = found.get("message") if isinstance(found, dict) else None
    return clean(said) if isinstance(said, str) else None


def _page(found: Record, size: int) -> Page:
    items, count, total = found.get("items"), found.get("count"), found.get("total")
    if not isinstance(items, list) or not all(isinstance(item, dict) and "id" in item for item in items):
        raise Misbehaved("a page of RT has no list of items with ids", advice="Check RT's version: 5.0 or later.")
    if count != len(items) or len(items) > size or not (total is None or type(total) is int):
        raise Misbehaved("a page of RT contradicts its own count", advice="Report this with RT's version.")
    return Page(items, total)
