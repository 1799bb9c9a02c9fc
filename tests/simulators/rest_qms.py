"""A small quality management system with a JSON interface: every way of paging, every way of signing in.

People, approvals and suppliers are served below ``/STYLE/NAME``; STYLE is ``all link next cursor offset page``
(GET) or ``search`` (POST, the cursor in the body). Nothing here is a vendor's: each style is what public interfaces do.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import quote_plus

from aiohttp import web

from tests.simulators.http_injection import Injector, Listing, shaped
from tests.simulators.http_server import LoopbackServer

TOKEN = "planted-qms-T0ken-of-the-house"
PASSWORD = "planted-qms-pass/word"
CLIENT = ("recon ciler", "planted-client-secret")
_RETRY = {"Retry-After": "0"}


def person(number: int) -> dict[str, Any]:
    """Return a person as this system writes one."""
    return {
        "number": number,
        "name": {"full": f"Name {number}"},
        "mails": [f"p{number}@acme.test"],
        "type": "Contract" if number % 3 == 0 else "Staff",
        "leaving": "2026-03-31" if number % 2 else None,
        "changed": "2026-01-02 03:04:05",
    }


def approval(number: int) -> dict[str, Any]:
    """Return an approval as this system writes one."""
    return {"key": f"QA-{number}", "subject": {"number": number}, "decided": 1_767_319_445_000, "open": False}


@dataclass
class Qms:
    """The running system; change its attributes to change how it answers from then on."""

    people: list[dict[str, Any]] = field(default_factory=lambda: [person(n) for n in range(1, 12)])
    approvals: list[dict[str, Any]] = field(default_factory=lambda: [approval(n) for n in range(1, 4)])
    suppliers: list[dict[str, Any]] = field(default_factory=list)
    most: int = 100
    """Rows that a page has at most, whatever is asked for."""
    hidden: frozenset[int] = frozenset()
    """Places of rows that these credentials may not see: counted, and left out of the pages."""
    denied: frozenset[str] = frozenset()
    accepted: set[str] = field(default_factory=lambda: {f"Bearer {TOKEN}"})
    issued: int = 0
    expires_in: int = 3600
    targets: list[str] = field(default_factory=list)
    faults: Injector = field(default_factory=Injector)
    _server: LoopbackServer | None = None

    def __enter__(self) -> Self:
        self._server = LoopbackServer(self._application, tls=False)
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.stop()

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        assert self._server is not None
        return self._server.url

    def _application(self) -> web.Application:
        application = web.Application(middlewares=[self.faults.middleware(_refusal)])
        application.router.add_post("/token", self._token)
        application.router.add_post("/search/{name}", self._search)
        application.router.add_get("/{style}/{name}", self._listed)
        return application

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        pair = base64.b64encode(":".join(map(quote_plus, CLIENT)).encode()).decode()
        proven = request.headers.get("Authorization") == f"Basic {pair}"
        if not proven and (form.get("client_id"), form.get("client_secret")) != CLIENT:
            return web.json_response({"error": "invalid_client"}, status=401)
        self.issued += 1
        token = f"issued-token-number-{self.issued}"
        self.accepted = {f"Bearer {token}"}
        return web.json_response({"access_token": token, "token_type": "Bearer", "expires_in": self.expires_in})

    def _refused(self, request: web.Request) -> web.Response | None:
        said = request.headers.get("Authorization") or request.headers.get("X-API-Key", "")
        if said not in self.accepted:
            return web.json_response({"message": "who are you?"}, status=401)
        if request.match_info["name"] in self.denied:
            return web.json_response({"message": f"needs {request.match_info['name']}:read"}, status=403)
        return None

    async def _search(self, request: web.Request) -> web.Response:
        asked = await request.json()
        assert asked["query"] == "*"
        return self._answer(request, "search", int(asked.get("after") or 0), int(asked.get("size", 100)))

    async def _listed(self, request: web.Request) -> web.Response:
        style = request.match_info["style"]
        size = int(request.query.get("limit", "100"))
        begin = int(request.query.get("start", "0"))
        if style == "page":
            begin = (int(request.query.get("page", "1")) - 1) * min(size, self.most)
        if style == "all":
            size = self.most = 10**9
        return self._answer(request, style, begin, size)

    def _answer(self, request: web.Request, style: str, begin: int, size: int) -> web.Response:
        refused = self._refused(request)
        if refused is not None:
            return refused
        self.targets.append(str(request.rel_url))
        items = getattr(self, request.match_info["name"])
        end = min(begin + min(size, self.most), len(items))
        page = [item for place, item in enumerate(items[begin:end], start=begin) if place not in self.hidden]
        there = f"{self.url}/{style}/{request.match_info['name']}?start={end}&limit={size}"
        listing = shaped(self.faults, request, Listing(page, there if end < len(items) else None))
        body: dict[str, Any] = {"items": listing.items, "count": len(items)}
        headers: dict[str, str] = {"X-Total-Count": str(len(items))}
        if style == "link" and listing.next is not None:
            headers["Link"] = f'<{listing.next}>; rel="next"'
        elif style == "next":
            body["paging"] = {"next": listing.next, "more": listing.next is not None}
        elif style in {"cursor", "search"}:
            body["after"] = None if listing.next is None else str(end)
        elif style in {"offset", "page"}:
            body["last"] = listing.next is None
        return web.json_response(body, headers=headers)


def _refusal(status: int, *, announced: bool) -> web.Response:
    headers: Mapping[str, str] = _RETRY if announced and status in {429, 503} else {}
    return web.json_response({"message": f"fault {status}"}, status=status, headers=headers)
