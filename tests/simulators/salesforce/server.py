"""Salesforce over HTTPS: the OAuth token endpoint, describe, query with locators, upsert by external id, limits.

Behaves as documented: locators belong to the session that opened them, field-level security and sharing leave things
out without a word, errors are a list with ``errorCode``, every answer carries ``Sforce-Limit-Info``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import jwt
from aiohttp import web

from reconciler import clock
from tests.simulators.http_injection import Injector, Listing, shaped
from tests.simulators.http_server import LoopbackServer
from tests.simulators.salesforce.org import Org, Row, User
from tests.simulators.salesforce.soql import Query, SoqlError, parse
from tests.simulators.salesforce.writing import USER, WriteError, Writing, Written

VERSION = "62.0"
_DATA = f"/services/data/v{VERSION}"
TOKEN = web.RequestKey("token", str)
_ORG = "00D000000000001EAA"
_JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_WORDS = {401: "INVALID_SESSION_ID", 403: "REQUEST_LIMIT_EXCEEDED", 429: "REQUEST_LIMIT_EXCEEDED"}


@dataclass
class App:
    """An external client app: its secret, or the public key that its assertions are checked with, and its user."""

    client_id: str
    user: User
    secret: str = ""
    public_key: str = ""


@dataclass
class _Locator:
    key: str
    token: str
    query: Query
    deleted: bool
    size: int
    ids: list[str]


@dataclass
class Salesforce:
    """A simulated org on a loopback port."""

    org: Org = field(default_factory=Org)
    tls: bool = True
    faults: Injector = field(default_factory=Injector)
    apps: list[App] = field(default_factory=list)
    audience: str = "https://login.salesforce.com"
    instance_url: str | None = None
    """What the token answer says; None: this server."""
    api_limit: int = 1_000_000
    shrink: int | None = None
    """Rows that a page really has at most, whatever was asked; None: as asked, 200 to 2,000."""
    locators: Literal["frozen", "live"] = "frozen"
    """Whether a locator keeps the ids of its query, or counts through what matches at the time."""
    after_page: Callable[[int], object] | None = None
    """Called after each page of records was written, with its number from 1: to change records between pages."""
    tokens_given: int = 0
    queries: list[str] = field(default_factory=list)
    written: Written = field(default_factory=Written)
    """How records are written: the org's validation rules, and what was done."""
    pages: int = 0
    used: int = 0
    omit: frozenset[str] = frozenset()
    """Keys left out of every page: ``done``, ``nextRecordsUrl``, ``totalSize``, ..."""
    refuse: str = ""
    """Error code that every query is answered with; empty: none."""
    identity: str | None = None
    """What the root says of the running user; None: the truth."""
    _sessions: dict[str, User] = field(default_factory=dict)
    _locators: dict[str, _Locator] = field(default_factory=dict)
    _server: LoopbackServer | None = None

    def __enter__(self) -> Self:
        self._server = LoopbackServer(self._application, tls=self.tls)
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.stop()

    @property
    def url(self) -> str:
        """The My Domain of the org."""
        assert self._server is not None
        return self._server.url

    @property
    def ca_file(self) -> str | None:
        """The authority to trust; None without TLS."""
        assert self._server is not None
        return None if self._server.ca_file is None else str(self._server.ca_file)

    def end_sessions(self) -> None:
        """End every session, as an administrator or the time-out does."""
        self._sessions.clear()

    def forget_locators(self) -> None:
        """Let every locator expire."""
        self._locators.clear()

    def _application(self) -> web.Application:
        app = web.Application(middlewares=[self.faults.middleware(self._refusal), self._metered])
        app.router.add_post("/services/oauth2/token", self._token)
        app.router.add_get(_DATA, self._root)
        app.router.add_get(_DATA + "/limits", self._limits)
        app.router.add_get(_DATA + "/query", self._query)
        app.router.add_get(_DATA + "/queryAll", self._query)
        app.router.add_get(_DATA + "/query/{locator}", self._more)
        app.router.add_get(_DATA + "/queryAll/{locator}", self._more)
        app.router.add_get(_DATA + "/sobjects/{entity}/describe", self._describe)
        app.router.add_get(_DATA + "/sobjects/{entity}/{id}", self._record)
        Writing(self.org, self.written, _DATA).add_to(app)
        return app

    def _refusal(self, status: int, *, announced: bool) -> web.Response:
        headers = {"Retry-After": "0"} if announced and status in {429, 503} else {}
        code = _WORDS.get(status, "UNKNOWN_EXCEPTION")
        return _error(status, code, f"injected {status}", headers)

    @web.middleware
    async def _metered(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.path == "/services/oauth2/token":
            return await handler(request)  # type: ignore[no-any-return] # aiohttp's handlers are not typed
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self._sessions:
            return _error(401, "INVALID_SESSION_ID", "Session expired or invalid")
        if self.used >= self.api_limit:
            return _error(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
        self.used += 1
        request[TOKEN], request[USER] = token, self._sessions[token]
        try:
            answer: web.StreamResponse = await handler(request)
        except SoqlError as error:
            answer = _error(400, error.code, error.message)
        except WriteError as error:
            answer = web.json_response(error.problems, status=error.status)
        answer.headers["Sforce-Limit-Info"] = f"api-usage={self.used}/{self.api_limit}"
        return answer

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        app = self._assertion(form) if form.get("grant_type") == _JWT else self._client(form)
        if isinstance(app, str):
            code = "invalid_client" if app == "invalid client credentials" else "invalid_grant"
            return web.json_response({"error": code, "error_description": app}, status=400)
        self.tokens_given += 1
        token = f"{_ORG}!planted.Session{self.tokens_given:04d}"
        self._sessions[token] = app.user
        content = {
            "access_token": token,
            "signature": "c2lnbmF0dXJl",
            "scope": "api",
            "instance_url": self.instance_url or f"{request.scheme}://{request.host}",
            "id": f"https://login.salesforce.com/id/{_ORG}/{app.user.id}",
            "token_type": "Bearer",
            "issued_at": "1772352000000",
        }
        return web.json_response(content)

    def _client(self, form: Any) -> App | str:
        for app in self.apps:
            if app.secret and (form.get("client_id"), form.get("client_secret")) == (app.client_id, app.secret):
                return app
        return "invalid client credentials"

    def _assertion(self, form: Any) -> App | str:
        text = str(form.get("assertion", ""))
        for app in self.apps:
            try:
                claims = jwt.decode(
                    text, app.public_key, ["RS256"], audience=self.audience, options={"require": ["exp", "iss", "sub"]}
                )
            except jwt.PyJWTError:
                continue
            if claims["exp"] - clock.now().timestamp() > 300:
                return "assertion lives too long"
            if (claims["iss"], claims["sub"]) == (app.client_id, app.user.username):
                return app
            return "user hasn't approved this consumer"
        return "invalid assertion"

    async def _root(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "identity": f"https://login.salesforce.com/id/{_ORG}/{request[USER].id}"
                if self.identity is None
                else self.identity,
                "query": f"{_DATA}/query",
                "sobjects": f"{_DATA}/sobjects",
            }
        )

    async def _limits(self, _: web.Request) -> web.Response:
        left = {"Max": self.api_limit, "Remaining": self.api_limit - self.used}
        return web.json_response({"DailyApiRequests": left})

    async def _describe(self, request: web.Request) -> web.Response:
        entity, user = request.match_info["entity"], request[USER]
        fields = self.org.describe(entity, user)
        if fields is None:
            return _error(404, "NOT_FOUND", "The requested resource does not exist")
        shown = [
            {
                "name": one.name,
                "type": one.type,
                "referenceTo": list(one.reference_to),
                "relationshipName": one.relationship,
                "filterable": one.type != "textarea",
                "length": one.length,
                "extraTypeInfo": ("richtextarea" if one.rich else "plaintextarea") if one.type == "textarea" else None,
                "externalId": one.external_id,
                "unique": one.unique,
                "createable": (may := entity in user.edits and f"{entity}.{one.name}" not in user.locked),
                "updateable": may,
            }
            for one in fields
        ]
        return web.json_response({"name": entity, "queryable": True, "fields": shown})

    async def _record(self, request: web.Request) -> web.Response:
        entity, record = request.match_info["entity"], request.match_info["id"]
        fields = self.org.describe(entity, request[USER]) or []
        query = Query(entity, tuple(one.name for one in fields))
        found = [row for row in self.org.select(query, request[USER]) if row["Id"] == record]
        if not found:
            return _error(404, "NOT_FOUND", "The requested resource does not exist")
        return web.json_response(self.org.shape(query, found[0]))

    async def _query(self, request: web.Request) -> web.Response:
        self.queries.append(request.query["q"])
        if self.refuse:
            return _error(400, self.refuse, "injected")
        query = parse(request.query["q"])
        deleted = request.path.endswith("/queryAll")
        user: User = request[USER]
        if query.aggregates:
            row = {"attributes": {"type": "AggregateResult"}} | self.org.aggregate(query, user, deleted=deleted)
            return web.json_response({"totalSize": 1, "done": True, "records": [row]})
        rows = self.org.select(query, user, deleted=deleted)
        if not query.paths:
            return web.json_response({"totalSize": len(rows), "done": True, "records": []})
        asked = re.search(r"batchSize=(\d+)", request.headers.get("Sforce-Query-Options", ""))
        size = self.shrink or min(2_000, max(200, int(asked[1]) if asked else 2_000))
        key = f"0r8{len(self._locators):015d}"
        opened = _Locator(key, request[TOKEN], query, deleted, size, [str(row.get("Id")) for row in rows])
        self._locators[key] = opened
        return self._page(request, opened, rows[:size], (0, len(rows)))

    async def _more(self, request: web.Request) -> web.Response:
        key, _, begin = request.match_info["locator"].rpartition("-")
        opened = self._locators.get(key)
        if opened is None or opened.token != request[TOKEN]:
            return _error(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
        start = int(begin)
        if self.locators == "live":
            rows = self.org.select(opened.query, request[USER], deleted=opened.deleted)
            return self._page(request, opened, rows[start : start + opened.size], (start, len(rows)))
        visible = {
            str(row["Id"]): row
            for row in self.org.select(Query(opened.query.entity), request[USER], deleted=opened.deleted)
        }
        wanted = [visible[one] for one in opened.ids[start : start + opened.size] if one in visible]
        return self._page(request, opened, wanted, (start, len(opened.ids)))

    def _page(self, request: web.Request, opened: _Locator, rows: list[Row], span: tuple[int, int]) -> web.Response:
        start, count = span
        stop = start + opened.size
        here = "queryAll" if opened.deleted else "query"
        listing = Listing(
            [self.org.shape(opened.query, row) for row in rows],
            f"{_DATA}/{here}/{opened.key}-{stop}" if stop < count else None,
        )
        listing = shaped(self.faults, request, listing)
        content: dict[str, Any] = {"totalSize": len(opened.ids), "done": listing.next is None, "records": listing.items}
        if listing.next is not None:
            content["nextRecordsUrl"] = listing.next
        if opened.query.entity in self.org.entities:
            self.pages += 1
            if self.after_page is not None:
                self.after_page(self.pages)
        return web.json_response({name: value for name, value in content.items() if name not in self.omit})


def _error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response([{"message": message, "errorCode": code}], status=status, headers=headers)


__all__ = ["VERSION", "App", "Salesforce"]
