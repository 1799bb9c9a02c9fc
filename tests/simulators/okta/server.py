"""An HTTP server that behaves as Okta's Management API is documented to, and breaks as real services do on request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Self

import msgspec
from aiohttp import web

from reconciler.clock import now
from tests.simulators.http_injection import Injector, Listing, shaped
from tests.simulators.http_server import LoopbackServer
from tests.simulators.okta import errors, listings
from tests.simulators.okta.auth import Gate, Principal, ServiceApp
from tests.simulators.okta.limits import UNLIMITED, RateLimits, headers
from tests.simulators.okta.org import Org
from tests.simulators.okta.paging import LinkStyle, link
from tests.simulators.okta.shapes import BASE

TOKEN = "00simulatedSuperAdminToken-not-a-secret-42ab"
"""The API token of a super admin, unless others are given."""
ADMIN = "00u1simadmin00000000"
"""The user whom that token belongs to."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A request that arrived."""

    method: str
    path: str
    query: Mapping[str, str]
    authorization: str


@dataclass
class OktaSimulator:
    """Serve an org on a free loopback port; a context manager, or ``start`` and ``stop``.

    ``page_size`` caps every page below what the endpoint would give. ``limits`` are requests a window by pattern of
    path; ``concurrency`` is how many requests may be under way at once. ``delay`` seconds pass before each answer.
    ``keep_requests`` False keeps memory flat in long runs.
    """

    org: Org
    tokens: Mapping[str, Principal] = field(default_factory=lambda: {TOKEN: Principal(user_id=ADMIN)})
    clients: Mapping[str, ServiceApp] = field(default_factory=dict)
    limits: Mapping[str, int] = field(default_factory=lambda: UNLIMITED)
    window_seconds: float = 60.0
    concurrency: int = 75
    page_size: int | None = None
    links: LinkStyle = "separate"
    tls: bool = True
    port: int = 0
    delay: float = 0.0
    keep_requests: bool = True

    def __post_init__(self) -> None:
        self.faults = Injector()
        self.gate = Gate(dict(self.tokens), dict(self.clients))
        self.rate = RateLimits(self.limits, self.window_seconds)
        self.requests: list[Seen] = []
        """Every request that arrived, in order."""
        self.most_at_once = 0
        self._open = 0
        self._server = LoopbackServer(self._app, tls=self.tls, port=self.port)

    @property
    def url(self) -> str:
        """The org's URL; no slash at the end."""
        return self._server.url

    @property
    def ca_file(self) -> Path | None:
        """The authority that signed the server's certificate, None without TLS."""
        return self._server.ca_file

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen; returns when connections are accepted."""
        self._server.start()

    def stop(self) -> None:
        """Drop every connection; safe to call twice."""
        self._server.stop()

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[self._record, self.faults.middleware(self._refusal), self._bound])
        app.router.add_post("/oauth2/v1/token", self._token)
        for path, handler in listings.routes(self):
            app.router.add_get(path, handler)
        return app

    async def _token(self, request: web.Request) -> web.Response:
        return await self.gate.token(request, f"{self.url}/oauth2/v1/token")

    @web.middleware
    async def _record(self, request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
        seen = Seen(request.method, request.path, dict(request.query), request.headers.get("Authorization", ""))
        if self.keep_requests:
            self.requests.append(seen)
        self._open += 1
        self.most_at_once = max(self.most_at_once, self._open)
        try:
            answer: web.StreamResponse = await handler(request)
        finally:
            self._open -= 1
        return answer

    @web.middleware
    async def _bound(self, request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
        """Hold requests to the limits, and turn what no endpoint takes into Okta's errors."""
        date = {"Date": format_datetime(now(), usegmt=True)}
        if self._open > self.concurrency:
            self.rate.refused += 1
            soon = int(now().timestamp()) + 1
            return errors.answer(429, date | headers(0, 0, soon))
        within, counted = self.rate.count(request.path)
        if not within:
            return errors.answer(429, date | counted)
        if self.delay:
            await asyncio.sleep(self.delay)
        try:
            answer: web.StreamResponse = await handler(request)
        except web.HTTPException as error:
            if error.content_type != "application/json":
                return errors.answer(405 if error.status == 405 else 404, date | counted)
            error.headers.update(date | counted)
            raise
        answer.headers.update(date | counted)
        return answer

    def _refusal(self, status: int, *, announced: bool) -> web.Response:
        stamp = now()
        told = {"Date": format_datetime(stamp, usegmt=True)} | headers(600, 0, int(stamp.timestamp()) + 1)
        return errors.answer(status, told if announced and status == 429 else None)

    def page(
        self, request: web.Request, items: list[Any], following: str | None, *, key: str = "", links: bool = True
    ) -> web.Response:
        """Write a page: with links in headers, or under ``key`` with the next link in the body."""
        listing = shaped(self.faults, request, Listing(items, following))
        content: Any = listing.items
        if key:
            next_link = {} if listing.next is None else {"next": {"href": listing.next}}
            content = {key: listing.items, "_links": next_link}
        answer = self.json(content)
        if links and not key:
            link(answer, f"{self.url}{request.rel_url}", listing.next, self.links)
        return answer

    def json(self, content: Any) -> web.Response:
        """Write an object, with this server's URL in its links."""
        body = msgspec.json.encode(content).replace(BASE.encode(), self.url.encode())
        return web.Response(body=body, content_type="application/json")
