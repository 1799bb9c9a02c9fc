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
_QUERY = re.compile(r"\"(\w+):'([^']*)'(?: AND workspace_id:(\d+))?\"")
_WHOLE = {"priority": range(1, 5), "status": range(2, 6), "source": range(1, 16)}
_TEXTS = ("subject", "description", "email", "resolution_notes", "category")
_NUMBERS = ("group_id", "requester_id", "responder_id", "department_id", "workspace_id", "urgency", "impact")
_LONGEST = 255
"""Characters of a subject."""


@dataclass
class Freshservice(Service):
    """The running account."""

    most: int = 100
    """Tickets of a page at most, whatever was asked for."""
    fields: frozenset[str] = frozenset({"reconciler_key"})
    """Ticket fields that an administrator added."""

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
        needed = ("subject", "description", "email", "priority", "status")
        if errors := self._errors(wanted) + [_error(name, "missing_field") for name in needed if not wanted.get(name)]:
            return _refused(errors)
        wanted.setdefault("workspace_id", 2)
        more: Row = {"responder_id": None, "deleted": False, "spam": False, "updated_at": _STAMP, "said": []}
        return web.json_response({"ticket": self._shown(self.add(**wanted, **more))}, status=201)

    async def _filter(self, request: web.Request) -> web.Response:
        clause = _QUERY.fullmatch(request.query["query"])
        if clause is None or not (clause[1] == "tag" or clause[1] in self.fields):
            return _refused([_error("query", "invalid_value")])
        name, value, workspace = clause.groups()
        # Who does not name a workspace is shown the primary one.
        rows = [row for row in self.searchable() if row["workspace_id"] == int(workspace or 2)]
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
        if errors := self._errors(wanted):
            return _refused(errors)
        row.update(wanted)
        return web.json_response({"ticket": self._shown(row)})

    async def _conversations(self, request: web.Request) -> web.Response:
        said = self.tickets[request.match_info["id"]]["said"]
        size = int(request.query["per_page"])
        begin = (int(request.query["page"]) - 1) * size
        return web.json_response({"conversations": said[begin : begin + size]})

    async def _note(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        if strange := sorted(set(wanted) - {"body", "private", "notify_emails"}):
            return _refused([_error(strange[0], "invalid_field")])
        said = self.tickets[request.match_info["id"]]["said"]
        text = html.unescape(re.sub(r"<[^>]+>", " ", wanted["body"])).strip()
        said.append({"id": len(said) + 1, "user_id": 7, "created_at": _STAMP, "body_text": text, **wanted})
        return web.json_response({"conversation": said[-1]}, status=201)

    def _errors(self, wanted: Row) -> list[Row]:
        """Return what the service says against the fields of a ticket: unknown, of another type, out of range."""
        found = []
        for name, value in wanted.items():
            if name in _WHOLE:
                well = type(value) is int and value in _WHOLE[name]
            elif name in _NUMBERS:
                well = type(value) is int
            elif name in _TEXTS:
                well = isinstance(value, str) and (name != "subject" or len(value) <= _LONGEST)
            elif name == "tags":
                well = isinstance(value, list) and all(isinstance(one, str) for one in value)
            elif name == "custom_fields":
                well = isinstance(value, dict) and set(value) <= self.fields
            else:
                found.append(_error(name, "invalid_field"))
                continue
            if not well:
                found.append(_error(name, "invalid_value"))
        return found

    @staticmethod
    def _shown(row: Row) -> Row:
        return {name: value for name, value in row.items() if name != "said"}


def _error(name: str, code: str) -> Row:
    said = {"invalid_field": "Unexpected/invalid field in request", "missing_field": "It should be a valid value"}
    return {"field": name, "message": said.get(code, "It should be one of the possible values"), "code": code}


def _refused(errors: list[Row]) -> web.Response:
    return web.json_response({"description": "Validation failed", "errors": errors}, status=400)
