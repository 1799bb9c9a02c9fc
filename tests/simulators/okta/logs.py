"""The System Log: bounded requests end, polling requests always have a next link."""

from __future__ import annotations

import bisect
from datetime import datetime, timedelta

from aiohttp import web

from reconciler.clock import parse_instant
from tests.simulators.okta.errors import refused
from tests.simulators.okta.paging import Sized, seal, unseal
from tests.simulators.okta.rows import Row
from tests.simulators.okta.search import compiled
from tests.simulators.okta.shapes import stamp

_OPERATORS = frozenset({"eq", "ne", "sw", "co", "ew", "gt", "ge", "lt", "le", "pr"})


def log_page(request: web.Request, events: Sized, limit: int, moment: datetime) -> tuple[list[Row], str | None]:
    """Return a page of events by time of publication, and the cursor of the next.

    Without ``until`` and in ascending order it is a polling request: its next link is always there, even behind an
    empty page, and brings what is published later. With ``until`` the chain ends.
    """
    query = request.query
    descending = query.get("sortOrder", "ASCENDING").upper() == "DESCENDING"
    polling = "until" not in query and not descending
    until = _instant(request, "until", moment)
    since = _instant(request, "since", until - timedelta(days=7))
    if since > until:
        raise refused(400, "E0000001", "Api validation failed: since", "since: must be before until")
    begin, end = _place(events, since), _place(events, until)
    places = range(end - 1, begin - 1, -1) if descending else range(begin, end)
    after = unseal(request, "logs")
    if after is not None:
        at = int(after)
        places = range(at, begin - 1, -1) if descending else range(at, end)
    test = None
    if "filter" in query:
        test = compiled(query["filter"], "filter", operators=_OPERATORS, attributes=bool)
    keyword = query.get("q", "").casefold()
    items: list[Row] = []
    for place in places:
        row = events[place]
        if (test is not None and not test(row)) or (keyword and keyword not in str(row).casefold()):
            continue
        if len(items) == limit:
            return items, seal("logs", str(place))
        items.append(row)
    return items, seal("logs", str(max(end, places.start))) if polling else None


def _place(events: Sized, instant: datetime) -> int:
    """Return how many events were published before this instant."""
    return bisect.bisect_left(range(len(events)), stamp(instant), key=lambda place: str(events[place]["published"]))


def _instant(request: web.Request, name: str, default: datetime) -> datetime:
    text = request.query.get(name)
    if text is None:
        return default
    try:
        return parse_instant(text)
    except ValueError:
        raise refused(400, "E0000001", f"Api validation failed: {name}", f"{name}: must be ISO 8601") from None
