"""ServiceNow over HTTP: Table API, Import Set API, OAuth; counts before access rules, pages by Link."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import urlencode

from aiohttp import web

from tests.simulators.http_injection import Injector
from tests.simulators.http_server import LoopbackServer
from tests.simulators.servicenow.instance import CHOICES, Instance, RefusedError, Row

USER = "reconciler"
PASSWORD = "planted-Pass/word=now"
CLIENT = ("planted-client", "planted-cl1ent+secret")


@dataclass
class ServiceNow:
    """A simulated instance on a loopback port."""

    instance: Instance = field(default_factory=Instance)
    faults: Injector = field(default_factory=Injector)
    most: int = 10_000
    """Records that a page has at most, whatever was asked."""
    silent_imports: bool = False
    """Answer 201 without a body, as an import set does where a right is missing."""
    cancelled: bool = False
    """End every reading as 200 with the rows so far and an error."""
    counted: bool = True
    """Whether X-Total-Count is sent."""
    requests: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    _issued: int = 0
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
        """The address of the instance."""
        assert self._server is not None
        return self._server.url

    def records(self, table: str = "incident") -> list[Row]:
        """Return every record of a table, oldest first."""
        return sorted(self.instance.tables[table].values(), key=lambda row: row["sys_created_on"])

    def _application(self) -> web.Application:
        app = web.Application(middlewares=[self.faults.middleware(_refusal), self._guard])
        app.router.add_post("/oauth_token.do", self._token)
        app.router.add_get("/api/now/table/{table}", self._list)
        app.router.add_post("/api/now/table/{table}", self._insert)
        app.router.add_patch("/api/now/table/{table}/{sys_id}", self._update)
        app.router.add_post("/api/now/import/{table}", self._import)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.path != "/oauth_token.do":
            said = request.headers.get("Authorization", "")
            word = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            if said != f"Basic {word}" and said.removeprefix("Bearer ") not in self.tokens:
                return _error(401, "User Not Authenticated", "Required to provide Auth information")
        try:
            answer: web.StreamResponse = await handler(request)
        except RefusedError as error:
            return _error(error.status, error.message, error.detail)
        return answer

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        if (form.get("client_id"), form.get("client_secret")) != CLIENT:
            return web.json_response({"error": "server_error", "error_description": "access_denied"}, status=401)
        self._issued += 1
        token = f"planted-token-{self._issued}"
        self.tokens = {token}
        return web.json_response({"access_token": token, "token_type": "Bearer", "expires_in": 1799, "scope": ""})

    async def _list(self, request: web.Request) -> web.Response:
        table, query = request.match_info["table"], request.query
        rows = self.instance.select(table, query.get("sysparm_query", ""))
        begin, size = int(query.get("sysparm_offset", "0")), min(int(query.get("sysparm_limit", "10000")), self.most)
        page = [row for row in rows[begin : begin + size] if not self.instance.hides(table, row["sys_id"])]
        headers = {"X-Total-Count": str(len(rows))} if self.counted else {}
        if begin + size < len(rows):
            there = urlencode({**query, "sysparm_offset": begin + size, "sysparm_limit": size})
            headers["Link"] = f'<{self.url}{request.path}?{there}>;rel="next"'
        content: dict[str, Any] = {"result": [self._shape(table, row, request) for row in page]}
        if self.cancelled:
            content |= {
                "error": {"message": "Transaction cancelled: maximum execution time exceeded", "detail": ""},
                "status": "failure",
            }
        return web.json_response(content, headers=headers)

    async def _insert(self, request: web.Request) -> web.Response:
        table, body = request.match_info["table"], await self._body(request)
        row = self.instance.insert(table, body, USER)
        return web.json_response({"result": self._shape(table, row, request)}, status=201)

    async def _update(self, request: web.Request) -> web.Response:
        table, body = request.match_info["table"], await self._body(request)
        row = self.instance.update(table, request.match_info["sys_id"], body, USER)
        return web.json_response({"result": self._shape(table, row, request)})

    async def _import(self, request: web.Request) -> web.Response:
        staging, body = request.match_info["table"], await self._body(request)
        result: dict[str, Any] = {"transform_map": "Reconciler", "table": "incident"}
        try:
            status, row = self.instance.transform(staging, body, USER)
            link = f"{self.url}/api/now/table/incident/{row['sys_id']}"
            result |= {"display_name": "number", "display_value": row["number"], "record_link": link}
            result |= {"status": status, "sys_id": row["sys_id"]}
        except RefusedError as error:
            if error.status != 403 or "Data Policy" not in error.detail:
                raise
            result |= {"status": "error", "error_message": error.detail}
        if self.silent_imports:
            return web.Response(status=201)
        content = {"import_set": "ISET0010001", "staging_table": staging, "result": [result]}
        return web.json_response(content, status=201)

    async def _body(self, request: web.Request) -> dict[str, Any]:
        body: dict[str, Any] = await request.json()
        self.requests.append((request.method, str(request.url), body))
        return body

    def _shape(self, table: str, row: Row, request: web.Request) -> dict[str, Any]:
        """Write a row: the asked-for fields that show, as values, or as values with what people see."""
        asked = request.query.get("sysparm_fields", "")
        names = self.instance.columns(table)
        if asked:
            names = [name for name in asked.split(",") if name in names]
        if request.query.get("sysparm_display_value") != "all":
            return {name: row[name] for name in names}
        return {name: {"value": row[name], "display_value": self._display(table, row, name)} for name in names}

    def _display(self, table: str, row: Row, name: str) -> str:
        if name in {"work_notes", "comments"}:
            said = self.instance.tables["sys_journal_field"].values()
            entries = [one for one in said if (one["element_id"], one["element"]) == (row["sys_id"], name)]
            return "\n\n".join(
                f"{one['sys_created_on']} - {one['sys_created_by']} (Work notes)\n{one['value']}" for one in entries
            )
        return CHOICES.get(table, {}).get(row[name], row[name]) if name == "state" else row[name]


def _refusal(status: int, *, announced: bool) -> web.Response:
    headers = {"Retry-After": "0"} if announced and status in {429, 503} else {}
    words = "Rate limit exceeded" if status == 429 else f"injected {status}"
    return _error(status, words, "", headers)


def _error(status: int, message: str, detail: str, headers: dict[str, str] | None = None) -> web.Response:
    content = {"error": {"message": message, "detail": detail}, "status": "failure"}
    return web.json_response(content, status=status, headers=headers)


__all__ = ["CLIENT", "PASSWORD", "USER", "ServiceNow"]
