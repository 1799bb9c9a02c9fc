"""The System Log: bounded requests end, polling requests always have a next link."""

from __future__ import annotations

from datetime import datetime, timedelta

from aiohttp import web

from reconciler.clock import parse_instant
from tests.simulators.okta.errors import refused
from tests.simulators.okta.paging import seal, unseal
from tests.simulators.okta.rows import Row, Rows
from tests.simulators.okta.search import compiled

_OPERATORS = frozenset({"eq", "ne", "sw", "co", "ew", "gt", "ge", "lt", "le", "pr"})


def log_page(request: web.Request, rows: Rows, limit: int, moment: datetime) -> tuple[list[Row], str | None]:
    """Return a page of events by time of publication, and the cursor of the next.

    Without ``until`` and in ascending order it is a polling request: its next link is always there, even behind an
    empty page, and brings what is published later. With ``until`` the chain ends.
    """
    query = request.query
    polling = "until" not in query and query.get("sortOrder", "ASCENDING").upper() != "DESCENDING"
    until = _instant(request, "until", moment)
    since = _instant(request, "since", until - timedelta(days=7))
    if since > until:
        raise refused(400, "E0000001", "Api validation failed: since", "since: must be before until")
    test = None
    if "filter" in query:
        test = compiled(query["filter"], "filter", operators=_OPERATORS, attributes=bool)
    keyword = query.get("q", "").casefold()
    found = []
    for index in range(len(rows)):
        row = rows[index]
        published = parse_instant(row["published"])
        if since <= published < until and (test is None or test(row)) and keyword in str(row).casefold():
            found.append(row)
    found.sort(key=lambda row: (row["published"], row["uuid"]))
    if query.get("sortOrder", "").upper() == "DESCENDING":
        found.reverse()
    start = int(unseal(request, "logs") or 0)
    items = found[start : start + limit]
    end = start + len(items)
    return items, seal("logs", str(end)) if polling or end < len(found) else None


def _instant(request: web.Request, name: str, default: datetime) -> datetime:
    text = request.query.get(name)
    if text is None:
        return default
    try:
        return parse_instant(text)
    except ValueError:
        raise refused(400, "E0000001", f"Api validation failed: {name}", f"{name}: must be ISO 8601") from None
