"""Zendesk Support: Idempotency-Key kept for two hours, external_id that need not be unique, lists that lag."""

from __future__ import annotations

import base64
import html
import re
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.simulators.desks.service import Row, Service

USER, TOKEN = "agent@acme.test/token", "planted-zendesk-T0ken"
_AGENT = 361_000_001
_KEPT = 7_200.0
_STAMP = "2026-03-01T08:00:00Z"
_CHOICES = {
    "priority": ("urgent", "high", "normal", "low"),
    "status": ("new", "open", "pending", "hold", "solved", "closed"),
}
_LONGEST = 65_535
"""Characters of a comment."""


@dataclass
class Zendesk(Service):
    """The running account."""

    size: int = 2
    """Tickets of a page of a list or search."""
    lookups: list[str] = field(default_factory=list)
    """What x-idempotency-lookup said of each create."""
    _keys: dict[str, tuple[float, Row, str]] = field(default_factory=dict)

    def key(self, row: Row) -> str:
        return str(row["external_id"])

    def routes(self, app: web.Application) -> None:
        app.router.add_post("/api/v2/tickets.json", self._create)
        app.router.add_get("/api/v2/tickets.json", self._list)
        app.router.add_get("/api/v2/search/export.json", self._search)
        app.router.add_get("/api/v2/tickets/{id}.json", self._show)
        app.router.add_put("/api/v2/tickets/{id}.json", self._update)
        app.router.add_get("/api/v2/tickets/{id}/comments.json", self._comments)

    def refused(self, request: web.Request) -> web.Response | None:
        pair = base64.b64encode(f"{USER}:{TOKEN}".encode()).decode()
        if request.headers.get("Authorization") == f"Basic {pair}":
            return None
        return web.json_response({"error": "Couldn't authenticate you"}, status=401)

    def refusal(self, status: int, *, announced: bool) -> web.Response:
        headers = {"Retry-After": "0"} if announced and status in {429, 503} else {}
        return web.json_response({"error": f"fault {status}"}, status=status, headers=headers)

    async def _create(self, request: web.Request) -> web.Response:
        wanted = await request.json()
        name = request.headers.get("Idempotency-Key", "")
        kept = self._keys.get(name)
        if kept is not None and self.now - kept[0] < _KEPT:
            if kept[1] != wanted:
                message = "Request parameters don't match the given idempotency key"
                return web.json_response({"error": "IdempotentRequestError", "description": message}, status=400)
            self.lookups.append("hit")
            return web.json_response(
                {"ticket": self._shown(kept[2])}, status=201, headers={"x-idempotency-lookup": "hit"}
            )
        asked = dict(wanted["ticket"])
        first = _comment(asked.pop("comment", {}), 1)
        if first is None or (problem := _wrong(asked)):
            return _invalid("Description: cannot be blank" if first is None else problem)
        row = self.add(status="new", assignee_id=None, updated_at=_STAMP, **asked, said=[first])
        if name:
            self._keys[name] = (self.now, wanted, str(row["id"]))
        self.lookups.append("miss")
        return web.json_response(
            {"ticket": self._shown(str(row["id"]))}, status=201, headers={"x-idempotency-lookup": "miss"}
        )

    async def _list(self, request: web.Request) -> web.Response:
        rows = [row for row in self.searchable() if row["external_id"] == request.query.get("external_id")]
        page = int(request.query.get("page", "1"))
        shown = rows[(page - 1) * self.size : page * self.size]
        there = str(request.url.update_query(page=page + 1)) if page * self.size < len(rows) else None
        return web.json_response({"tickets": [self._shown(str(r["id"])) for r in shown], "next_page": there})

    async def _search(self, request: web.Request) -> web.Response:
        assert request.query["filter[type]"] == "ticket"
        wanted = request.query["query"].removeprefix("tags:")
        rows = [row for row in self.searchable() if wanted in row.get("tags", [])]
        begin = int(request.query.get("page[after]", "0"))
        end = begin + self.size
        there = request.url.update_query({"page[after]": str(end)})
        content: dict[str, Any] = {"results": [self._shown(str(row["id"])) for row in rows[begin:end]]}
        content |= {"meta": {"has_more": end < len(rows)}, "links": {"next": str(there)}}
        return web.json_response(content)

    async def _show(self, request: web.Request) -> web.Response:
        if request.match_info["id"] not in self.tickets:
            return self._nothing()
        return web.json_response({"ticket": self._shown(request.match_info["id"])})

    async def _update(self, request: web.Request) -> web.Response:
        row = self.tickets.get(request.match_info["id"])
        if row is None:
            return self._nothing()
        wanted = (await request.json())["ticket"]
        said = wanted.pop("comment", None)
        remark = _comment(said, len(row["said"]) + 1) if said is not None else None
        if row["status"] == "closed" or (problem := _wrong(wanted)):
            return _invalid("Status: closed prevents ticket update" if row["status"] == "closed" else problem)
        if said is not None and remark is None:
            return _invalid("Comment: cannot be blank")
        if remark is not None:
            row["said"].append(remark)
        row.update(wanted)
        return web.json_response({"ticket": self._shown(request.match_info["id"])})

    async def _comments(self, request: web.Request) -> web.Response:
        row = self.tickets.get(request.match_info["id"])
        if row is None:
            return self._nothing()
        return web.json_response({"comments": row["said"], "next_page": None, "count": len(row["said"])})

    def _shown(self, number: str) -> Row:
        return {name: value for name, value in self.tickets[number].items() if name != "said"}

    @staticmethod
    def _nothing() -> web.Response:
        return web.json_response({"error": "RecordNotFound", "description": "Not found"}, status=404)


def _comment(asked: Row, number: int) -> Row | None:
    """Return a comment as it is kept, None for an empty one: ``body`` is Markdown, ``html_body`` is not."""
    page = asked.get("html_body") or _rendered(asked.get("body", ""))
    plain = html.unescape(re.sub(r"<[^>]+>", "", re.sub(r"</(p|li)>|<br>", "\n", page))).strip()
    if not plain or len(page) > _LONGEST:
        return None
    made = {"id": number, "author_id": _AGENT, "created_at": _STAMP, "public": asked.get("public", True)}
    return made | {"html_body": page, "plain_body": plain, "body": plain}


def _rendered(text: str) -> str:
    """Read the Markdown that could do harm: links and images; HTML in it is escaped."""
    text = re.sub(r"!\[([^\]]*)\]\(([^)]*)\)", r'<img alt="\1" src="\2">', html.escape(text, quote=False))
    return re.sub(r"\[([^\]]*)\]\(([^)]*)\)", r'<a href="\2">\1</a>', text)


def _wrong(asked: Row) -> str:
    """Return what Zendesk says against a ticket; fields that it does not know it passes over."""
    for name, choices in _CHOICES.items():
        if asked.get(name, choices[0]) not in choices:
            return f"{name.title()}: {asked[name]} is not a valid {name}"
    return ""


def _invalid(description: str) -> web.Response:
    details = {"base": [{"description": description, "error": "InvalidValue"}]}
    content = {"error": "RecordInvalid", "description": "Record validation errors", "details": details}
    return web.json_response(content, status=422)
