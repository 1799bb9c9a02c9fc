"""Faults of HTTP services, injected by request number or path into any simulator built on aiohttp.web.

A simulator makes one ``Injector``, puts ``injector.middleware(refusal)`` in front of its handlers and passes each
page of a list through ``shaped`` before it is written. Nothing here knows a vendor: what an error looks like is
the simulator's ``refusal``, how a page is written (Link header, ``@odata.nextLink``) is its own affair.

    okta.faults.add(FaultKind.RESET_WITHIN, at=7)                        # the seventh request
    okta.faults.add(FaultKind.THROTTLED, path=r"/groups/.*/users", times=3)
    okta.faults.add(FaultKind.FORBIDDEN, path=r"^/api/v1/logs", times=None)      # for ever
"""

from __future__ import annotations

import asyncio
import copy
import json
import re
import socket
import struct
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Protocol

from aiohttp import web
from aiohttp.typedefs import Middleware

FOREIGN = "https://elsewhere.invalid"
"""Where a foreign next link leads; the name never resolves (RFC 2606)."""
UNKNOWN = "SOMETHING_NEW"
"""The value that no documentation knows."""
_HTML = "<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please sign in</body></html>"
_DRIP_SECONDS = 0.05


class FaultKind(StrEnum):
    """What can go wrong with one answer."""

    UNAUTHORIZED = "401"
    FORBIDDEN = "403"
    THROTTLED = "429"
    THROTTLED_SILENT = "429 without headers"
    SERVER_ERROR = "500"
    BAD_GATEWAY_HTML = "502 in HTML"
    UNAVAILABLE = "503"
    GATEWAY_TIMEOUT = "504"
    EMPTY_BODY = "200 without a body"
    HTML_OK = "200 in HTML"
    MALFORMED_JSON = "200 with JSON that stops half-way"
    WRONG_TYPE = "200 with another top-level type"
    CUT_BY_LENGTH = "fewer bytes than announced"
    CUT_CHUNKED = "chunks without an end"
    RESET_BEFORE = "reset before the answer"
    RESET_WITHIN = "reset within the body"
    HANG = "no answer"
    DRIP = "a byte now and then"
    EMPTY_PAGE = "an empty page that has a next link"
    EMPTY_END = "an empty page that ends the chain"
    NEXT_MISSING = "no next link half-way"
    NEXT_REPEATED = "a next link that leads to this very page"
    NEXT_FOREIGN = "a next link to another host"
    DUPLICATED_PAGE = "the same page once more under another cursor"
    REORDERED_PAGE = "the items of a page in another order"
    OVERLAPPING_PAGE = "a page that begins with the last item of the page before"
    UNKNOWN_VALUE = "a value no documentation knows"
    FIELD_MISSING = "a field left out"
    FIELD_MISTYPED = "a field of another type"


STATUS_OF = {
    FaultKind.UNAUTHORIZED: 401,
    FaultKind.FORBIDDEN: 403,
    FaultKind.THROTTLED: 429,
    FaultKind.THROTTLED_SILENT: 429,
    FaultKind.SERVER_ERROR: 500,
    FaultKind.BAD_GATEWAY_HTML: 502,
    FaultKind.UNAVAILABLE: 503,
    FaultKind.GATEWAY_TIMEOUT: 504,
}
PAGE_KINDS = frozenset(
    {
        FaultKind.EMPTY_PAGE,
        FaultKind.EMPTY_END,
        FaultKind.NEXT_MISSING,
        FaultKind.NEXT_REPEATED,
        FaultKind.NEXT_FOREIGN,
        FaultKind.DUPLICATED_PAGE,
        FaultKind.REORDERED_PAGE,
        FaultKind.OVERLAPPING_PAGE,
        FaultKind.UNKNOWN_VALUE,
        FaultKind.FIELD_MISSING,
        FaultKind.FIELD_MISTYPED,
    }
)
"""Kinds that change a page of a list; on any other answer they do nothing and count as not fired."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: what, at which matching request (from 1), for which requests, how often.

    ``path`` is a regular expression searched in path and query; empty matches every request, and ``at`` then
    counts all of them. ``times`` counts matching requests from ``at`` on; None is for ever. ``field`` names the
    field that item kinds change (dots lead inside); empty changes another field of each item of the page.
    A fault that ``waits``, and finds nothing to change at its request (a page without a next link, no page at all),
    stays for the next request that it can change.
    """

    kind: FaultKind
    at: int = 1
    path: str = ""
    times: int | None = 1
    field: str = ""
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Fired:
    """A fault that really changed an answer: the number of the request in the simulator's life, and its target."""

    fault: Fault
    number: int
    target: str


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of a list before it is written; ``next`` is the URL of the next page."""

    items: list[Any]
    next: str | None


class Refusal(Protocol):
    """The vendor's own error answer for a status; ``announced`` asks for its headers on when to come back."""

    def __call__(self, status: int, *, announced: bool) -> web.Response: ...


@dataclass(slots=True)
class _Armed:
    fault: Fault
    seen: int = 0
    struck: int = 0
    """How often it changed an answer, or may be about to."""

    def meets(self) -> bool:
        """Say whether the fault meets the request that was just counted."""
        fault = self.fault
        if self.seen < fault.at:
            return False
        return fault.times is None or (self.struck if fault.waits else self.seen - fault.at) < fault.times


@dataclass
class Injector:
    """The faults of one simulator, and what they did. Safe to use from the test's thread while it serves."""

    number: int = 0
    """Requests so far."""
    fired: list[Fired] = field(default_factory=list)
    _armed: list[_Armed] = field(default_factory=list)
    _last: dict[str, Any] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(
        self,
        kind: FaultKind,
        *,
        at: int = 1,
        path: str = "",
        times: int | None = 1,
        field: str = "",
        waits: bool = False,
    ) -> Fault:
        """Inject a fault from now on; ``at`` counts the requests after this call."""
        fault = Fault(kind, at, path, times, field, waits)
        with self._lock:
            self._armed.append(_Armed(fault))
        return fault

    def clear(self) -> None:
        """Behave from now on, and forget what fired."""
        with self._lock:
            self._armed.clear()
            self.fired.clear()
            self._last.clear()

    def take(self, target: str) -> Fault | None:
        """Count a request and return the fault it meets: the one added first, where several fit."""
        meeting = self.meet(target)
        return None if meeting is None else meeting.fault

    def meet(self, target: str) -> Meeting | None:
        """Count a request as ``take`` does, and return what keeps track of its fault."""
        with self._lock:
            self.number += 1
            met = None
            for armed in self._armed:
                if not re.search(armed.fault.path, target):
                    continue
                armed.seen += 1
                if met is None and armed.meets():
                    armed.struck += 1
                    met = Meeting(self, armed, self.number)
            return met

    def middleware(self, refusal: Refusal) -> Middleware:
        """Return the outermost aiohttp middleware of a simulator."""

        @web.middleware
        async def inject(request: web.Request, handler: _Handler) -> web.StreamResponse:
            meeting = self.meet(str(request.rel_url))
            if meeting is None:
                return await handler(request)
            request[_ON] = meeting
            try:
                return await _spoil(request, handler, refusal)
            finally:
                self.settle(meeting)

        return inject

    def note(self, meeting: Meeting, target: str) -> None:
        """Record that a fault changed an answer."""
        with self._lock:
            meeting.changed = True
            self.fired.append(Fired(meeting.fault, meeting.number, target))

    def settle(self, meeting: Meeting) -> None:
        """Give back the turn of a fault that changed nothing."""
        with self._lock:
            meeting.armed.struck -= not meeting.changed

    def remember(self, path: str, item: Any) -> Any:
        """Keep the last item of the latest page of ``path`` while a fault needs it, and return the one kept before."""
        with self._lock:
            if not any(armed.fault.kind is FaultKind.OVERLAPPING_PAGE for armed in self._armed):
                return None
            before = self._last.get(path)
            self._last[path] = item
            return before


_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Meeting:
    """A request that meets a fault."""

    injector: Injector
    armed: _Armed
    number: int
    changed: bool = False

    @property
    def fault(self) -> Fault:
        return self.armed.fault


_ON = web.RequestKey("injected_fault", Meeting)


def shaped(injector: Injector, request: web.Request, listing: Listing) -> Listing:
    """Return the page as the fault of this request, if it has one, would have it."""
    return shaped_by(injector, request.get(_ON), listing, str(request.url))


def shaped_by(injector: Injector, meeting: Meeting | None, listing: Listing, here: str) -> Listing:
    """Return the page at the URL ``here`` as the fault that it meets, if any, would have it."""
    target = re.sub(r"^[a-z]+://[^/]+", "", here)
    before = injector.remember(target.partition("?")[0], listing.items[-1] if listing.items else None)
    if meeting is None or meeting.fault.kind not in PAGE_KINDS:
        return listing
    changed = _reshape(meeting, listing, here, before)
    if changed != listing:
        injector.note(meeting, target)
    return changed


def _reshape(meeting: Meeting, listing: Listing, here: str, before: Any) -> Listing:  # noqa: PLR0911 - one return per kind
    kind, items = meeting.fault.kind, listing.items
    if kind is FaultKind.EMPTY_END:
        return Listing([], None)
    if kind is FaultKind.REORDERED_PAGE:
        return replace(listing, items=items[::-1])
    if kind is FaultKind.OVERLAPPING_PAGE:
        return listing if before is None else replace(listing, items=[before, *items])
    if kind in {FaultKind.UNKNOWN_VALUE, FaultKind.FIELD_MISSING, FaultKind.FIELD_MISTYPED}:
        return replace(listing, items=[_damaged(meeting, item, place) for place, item in enumerate(items)])
    if kind is FaultKind.DUPLICATED_PAGE:
        mark = f"once_more={meeting.number}"
        return listing if not items else replace(listing, next=here + ("&" if "?" in here else "?") + mark)
    if listing.next is None:
        return listing
    if kind is FaultKind.EMPTY_PAGE:
        return replace(listing, items=[])
    path = re.sub(r"^[a-z]+://[^/]+", "", listing.next)
    return replace(
        listing,
        next={FaultKind.NEXT_MISSING: None, FaultKind.NEXT_REPEATED: here, FaultKind.NEXT_FOREIGN: FOREIGN + path}[
            kind
        ],
    )


def _damaged(meeting: Meeting, item: Any, place: int) -> Any:
    """Return ``item`` with one field changed: the one asked for, or another for each item and request."""
    if not isinstance(item, dict) or not item:
        return item
    kind, wanted = meeting.fault.kind, meeting.fault.field
    changed = copy.deepcopy(item)
    holder, name = changed, wanted
    if wanted:
        *path, name = [wanted] if wanted in item else wanted.split(".")  # "@odata.type" is one name
        for step in path:
            holder = holder.get(step, {})
        if name not in holder:
            return item
    else:
        fields = sorted(item)
        if kind is FaultKind.UNKNOWN_VALUE:
            fields = [each for each in fields if _enumerated(each, item[each])] or [""]
        name = fields[(place + meeting.number) % len(fields)]
        if not name:
            return item
    if kind is FaultKind.FIELD_MISSING:
        del holder[name]
    elif kind is FaultKind.UNKNOWN_VALUE:
        holder[name] = UNKNOWN
    else:
        holder[name] = {"unexpected": True} if isinstance(holder[name], (str, int, float, type(None))) else "unexpected"
    return changed


def _enumerated(name: str, value: Any) -> bool:
    return isinstance(value, str) and name.lower().endswith(("status", "type", "mode", "state", "provider", "kind"))


async def _spoil(  # noqa: PLR0911 - one return per kind
    request: web.Request, handler: _Handler, refusal: Refusal
) -> web.StreamResponse:
    """Answer a request that meets a fault."""
    meeting = request[_ON]
    kind = meeting.fault.kind
    if kind in PAGE_KINDS:
        return await handler(request)
    meeting.injector.note(meeting, str(request.rel_url))
    if kind is FaultKind.BAD_GATEWAY_HTML:
        return web.Response(status=502, text=_HTML, content_type="text/html")
    if kind in STATUS_OF:
        return refusal(STATUS_OF[kind], announced=kind is not FaultKind.THROTTLED_SILENT)
    if kind is FaultKind.RESET_BEFORE:
        return _reset(request)
    if kind is FaultKind.HANG:
        await asyncio.Event().wait()
    if kind is FaultKind.HTML_OK:
        return web.Response(text=_HTML, content_type="text/html")
    answer = await handler(request)
    body = answer.body if isinstance(answer, web.Response) and isinstance(answer.body, bytes) else b""
    kept = {name: value for name, value in answer.headers.items() if name not in {"Content-Length", "Content-Type"}}
    if kind is FaultKind.EMPTY_BODY:
        body = b""
    elif kind is FaultKind.MALFORMED_JSON:
        body = body[: len(body) // 2] or b"{"
    elif kind is FaultKind.WRONG_TYPE:
        content = json.loads(body or b"null")
        body = json.dumps([content] if isinstance(content, dict) else {"unexpected": content}).encode()
    else:
        return await _broken_off(request, kind, body, kept)
    return web.Response(body=body, content_type="application/json", headers=_several(answer, kept))


def _several(answer: web.StreamResponse, kept: dict[str, str]) -> Any:
    """Return the headers to keep, repeated ones (Link) repeated."""
    names = answer.headers.copy()
    for name in list(names):
        if name not in kept:
            names.popall(name, None)
    return names


async def _broken_off(
    request: web.Request, kind: FaultKind, body: bytes, headers: dict[str, str]
) -> web.StreamResponse:
    """Begin an answer that never ends as announced."""
    answer = web.StreamResponse(headers={**headers, "Content-Type": "application/json"})
    if kind is FaultKind.CUT_CHUNKED:
        answer.enable_chunked_encoding()
    else:
        # A drip must not reach what was announced, however short the body is.
        answer.content_length = len(body) + (1_000_000 if kind is FaultKind.DRIP else 1)
    await answer.prepare(request)
    await answer.write(body if kind is FaultKind.CUT_CHUNKED else body[: max(1, len(body) // 2)])
    if kind is FaultKind.RESET_WITHIN:
        return _reset(request, answer)
    while kind is FaultKind.DRIP:
        await asyncio.sleep(_DRIP_SECONDS)
        await answer.write(b" ")
    if request.transport is not None:
        request.transport.close()
    return answer


def _reset(request: web.Request, answer: web.StreamResponse | None = None) -> web.StreamResponse:
    """Send a TCP reset instead of what is still to come."""
    transport = request.transport
    if transport is not None:
        sock: socket.socket = transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return answer or web.Response()
