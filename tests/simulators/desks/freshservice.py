"""Freshservice v2: nothing unique, a filter that lags, a trash, texts in HTML."""

from __future__ import annotations

import base64
import html
import re
from dataclasses import dataclass

from aiohttp import web

from tests.simulators.desks.service import Row, Service

KEY = "planted-freshservice-key"
_STAMP = "2026-03-01T08:00:00Z"
_CLAUSE = re.compile(r"\"(\w+):'([^']*)'\"")


@dataclass
class Freshservice(Service):
    """The running account."""

    most: int = 100
    """Tickets of a page at most, whatever was asked for."""

    def key(self, row: Row) -> str:
        return str(row["custom_fields"]["reconciler_key"])

    def routes(self, app: web.Application) -> None:
        app.router.add_post("/api/v2/tickets", self._create)
        app.router.add_get("/api/v2/tickets/filter", self._filter)
        app.router.add_get("/api/v2/tickets/{id}", self._show)
        app.router.add_put("/api/v2/tickets/{id}", self._update)
        app.router.add_get("/api/v2/tickets/{id}/conversations", self._conversations)
        app.router.add_post("/api/v2/tickets/{id}/notes", self._note)

    def refused(self, request: web.Request) -> web.Response | None:
        said = request.headers.get("Authorization", "").removeprefix("Basic ")
        if base64.b64decode(said).decode().partition(":")[0] == KEY:
            return None
        return web.json_response({"code": "invalid_credentials", "message": "You have to be logged in"}, status=401)

    def refusal(self, status: int, *, announced: bool) -> web.Response:
        headers = {"Retry-After": "0"} if announced and status in {429, 503} else {}
        return web.json_response({"message": f"fault {status}"}, status=status, headers=headers)

    async def _create(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        errors = [
            {"field": name, "message": "It should be a valid value", "code": "missing_field"}
            for name in ("subject", "description", "email", "priority", "status")
            if not wanted.get(name)
        ]
        if errors:
            return web.json_response({"description": "Validation failed", "errors": errors}, status=400)
        more: Row = {"responder_id": None, "deleted": False, "spam": False, "updated_at": _STAMP, "said": []}
        return web.json_response({"ticket": self._shown(self.add(**wanted, **more))}, status=201)

    async def _filter(self, request: web.Request) -> web.Response:
        clause = _CLAUSE.fullmatch(request.query["query"])
        if clause is None:
            return web.json_response({"description": "Validation failed", "errors": []}, status=400)
        name, value = clause.groups()
        rows = self.searchable()
        if name == "tag":
            rows = [row for row in rows if value in row.get("tags", [])]
        else:
            rows = [row for row in rows if row["custom_fields"].get(name) == value]
        size = min(int(request.query.get("per_page", "30")), self.most)
        begin = (int(request.query.get("page", "1")) - 1) * size
        found = [self._shown(row) for row in rows[begin : begin + size]]
        return web.json_response({"tickets": found, "total": len(rows)})

    async def _show(self, request: web.Request) -> web.Response:
        row = self.tickets.get(request.match_info["id"])
        if row is None:
            return web.json_response(None, status=404)
        return web.json_response({"ticket": self._shown(row)})

    async def _update(self, request: web.Request) -> web.Response:
        row = self.tickets[request.match_info["id"]]
        wanted = await request.json()
        if not isinstance(wanted.get("status", 2), int):
            errors = [{"field": "status", "message": "It should be one of these values: '2,3,4,5'"}]
            return web.json_response({"description": "Validation failed", "errors": errors}, status=400)
        row.update(wanted)
        return web.json_response({"ticket": self._shown(row)})

    async def _conversations(self, request: web.Request) -> web.Response:
        said = self.tickets[request.match_info["id"]]["said"]
        size = int(request.query["per_page"])
        begin = (int(request.query["page"]) - 1) * size
        return web.json_response({"conversations": said[begin : begin + size]})

    async def _note(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        said = self.tickets[request.match_info["id"]]["said"]
        text = html.unescape(re.sub(r"<[^>]+>", " ", wanted["body"])).strip()
        said.append({"id": len(said) + 1, "user_id": 7, "created_at": _STAMP, "body_text": text, **wanted})
        return web.json_response({"conversation": said[-1]}, status=201)

    @staticmethod
    def _shown(row: Row) -> Row:
        return {name: value for name, value in row.items() if name != "said"}
