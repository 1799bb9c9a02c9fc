"""Veeva Vault: sessions, upsert over a unique field, VQL; what goes wrong comes with HTTP 200."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.simulators.desks.service import Row, Service

USER, PASSWORD = "reconciler@acme.test", "planted-vault-pass&word"
OBJECT, NOTE = "quality_event__qdm", "reconciler_note__c"
_API = "/api/v25.1"
_STAMP = "2026-03-01T08:00:00.000Z"
_LONGEST = {"name__v": 128, "external_id__v": 255, "description__c": 32_000, "text__c": 32_000}
"""Field -> characters that it holds."""
_ACTION = re.compile(rf"Objectaction\.{OBJECT}\.(\w+__[cv])")
_QUERY = re.compile(r"SELECT ([\w, ]+) FROM (\w+) WHERE (\w+) (=|LIKE) '([^']*)'( ORDER BY \w+)?")


@dataclass
class Vault(Service):
    """The running Vault."""

    size: int = 2
    """Records of a page of a query."""
    fault: str = ""
    """Type of the error that the next request after the log-in is answered with."""
    busy: bool = False
    """Whether so many sessions were opened lately that no other is."""
    sessions: list[str] = field(default_factory=list)
    notes: dict[str, Row] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    """Fields without which no record is made."""
    fields: frozenset[str] = frozenset({*_LONGEST, "record__c", "product__v", "email"})
    """Fields that may be set."""
    _ended: set[str] = field(default_factory=set)

    def number(self, count: int) -> str:
        return f"V0Q{count:012}"

    def key(self, row: Row) -> str:
        return str(row["external_id__v"])

    def end_sessions(self) -> None:
        """End every session, as inactivity does."""
        self._ended.update(self.sessions)

    def routes(self, app: web.Application) -> None:
        app.router.add_post(f"{_API}/auth", self._open)
        app.router.add_post(f"{_API}/query", self._query)
        app.router.add_post(f"{_API}/query/page", self._query)
        app.router.add_post(f"{_API}/vobjects/{{object}}", self._upsert)
        app.router.add_post(f"{_API}/vobjects/{{object}}/{{id}}/actions/{{action}}", self._act)

    def refused(self, request: web.Request) -> web.Response | None:
        if request.path == f"{_API}/auth":
            return None
        said = request.headers.get("Authorization", "")
        if said not in self.sessions or said in self._ended:
            return _failure("INVALID_SESSION_ID", "Invalid or expired session ID.")
        if self.fault:
            kind, self.fault = self.fault, ""
            return _failure(kind, f"injected {kind}")
        return None

    def refusal(self, status: int, *, announced: bool) -> web.Response:
        headers = {"Retry-After": "0"} if announced and status in {429, 503} else {}
        return web.json_response({"responseStatus": "EXCEPTION"}, status=status, headers=headers)

    async def _open(self, request: web.Request) -> web.Response:
        form = await request.post()
        if self.busy:
            return _failure("API_LIMIT_EXCEEDED", "You have exceeded the maximum number of authentication API calls.")
        if (form.get("username"), form.get("password")) != (USER, PASSWORD):
            return _failure("USERNAME_OR_PASSWORD_INCORRECT", "Authentication failed for user.")
        self.sessions.append(f"planted-session-{len(self.sessions) + 1:04}")
        return web.json_response({"responseStatus": "SUCCESS", "sessionId": self.sessions[-1], "userId": 1})

    async def _upsert(self, request: web.Request) -> web.Response:
        name = request.query["idParam"]
        records = await request.json()
        done = [self._one(request.match_info["object"], name, record) for record in records]
        return web.json_response({"responseStatus": "SUCCESS", "data": done})

    def _one(self, entity: str, name: str, record: Row) -> Row:
        if missing := sorted(one for one in self.required if not record.get(one)):
            message = f"Missing required parameter [{missing[0]}]"
            return {"responseStatus": "FAILURE", "errors": [{"type": "PARAMETER_REQUIRED", "message": message}]}
        for field_name, value in record.items():
            if field_name not in self.fields:
                return _refused(f"The field [{field_name}] does not exist on the object [{entity}]")
            if not isinstance(value, str) or len(value) > _LONGEST.get(field_name, 1500):
                return _refused(f"Invalid value for the field [{field_name}]")
        rows = self.notes if entity == NOTE else self.tickets
        there = next((one for one in rows.values() if one[name] == record[name]), None)
        event = "updated" if there is not None else "created"
        if there is None and entity == NOTE:
            there = self.notes[record[name]] = {"id": f"V0N{len(self.notes) + 1}", "created_by__v": 7}
            there["created_date__v"] = _STAMP
        elif there is None:
            there = self.add(state__v="open_state__c", modified_date__v=_STAMP)
        there.update(record)
        data = {"id": there["id"], "url": f"{_API}/vobjects/{entity}/{there['id']}"}
        return {"responseStatus": "SUCCESS", "event": event, "data": data}

    async def _act(self, request: web.Request) -> web.Response:
        row = self.tickets[request.match_info["id"]]
        action = _ACTION.fullmatch(request.match_info["action"])
        if action is None:
            return _failure("INVALID_DATA", f"The action [{request.match_info['action']}] is invalid")
        row["state__v"] = action[1]
        return web.json_response({"responseStatus": "SUCCESS"})

    async def _query(self, request: web.Request) -> web.Response:
        form = await request.post()
        text = str(request.query.get("of") or form.get("q", ""))
        parsed = _QUERY.fullmatch(text)
        if parsed is None:
            return _failure("MALFORMED_QUERY", f"cannot read {text}")
        columns, entity, path, sign, value = parsed.groups()[:5]
        rows: list[Row] = list((self.notes if entity == NOTE else self.tickets).values())
        if sign == "LIKE":
            rows = [row for row in rows if str(row.get(path) or "").startswith(value.removesuffix("%"))]
        else:
            rows = [row for row in rows if row.get(path) == value]
        begin = int(request.query.get("pageoffset", "0"))
        end = begin + self.size
        details: dict[str, Any] = {"pagesize": self.size, "pageoffset": begin, "total": len(rows)}
        shown = [{name: row.get(name) for name in columns.split(", ")} for row in rows[begin:end]]
        details["size"] = len(shown)
        if end < len(rows):
            details["next_page"] = str(
                request.rel_url.with_path(f"{_API}/query/page").with_query({"of": text, "pageoffset": end})
            )
        return web.json_response({"responseStatus": "SUCCESS", "responseDetails": details, "data": shown})


def _refused(message: str) -> Row:
    """Return the answer of one record of a batch that is refused."""
    return {"responseStatus": "FAILURE", "errors": [{"type": "INVALID_DATA", "message": message}]}


def _failure(kind: str, message: str) -> web.Response:
    return web.json_response({"responseStatus": "FAILURE", "errors": [{"type": kind, "message": message}]})
