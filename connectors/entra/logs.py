"""Directory audits and sign-ins of a fixed span of time, with the oldest event as the proof that all came."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from reconciler.sdk.connector import Cursor, Gap, Page
from reconciler.sdk.records import Event
from reconciler.sdk.window import lookback

from . import permissions, queries, shapes
from .chains import Rounds, problems
from .client import Ask, GraphClient, shown
from .events import audit_event, sign_in_event
from .shapes import Shape

_AUDIT = Shape(shapes.DirectoryAudit)
_SIGN_IN = Shape(shapes.SignIn)
_Make = Callable[[str, Any, bytes], Event]
_LOGS: dict[str, tuple[Callable[..., str], Shape[Any], _Make]] = {
    "directory audits": (queries.audits, _AUDIT, audit_event),
    "sign-ins": (queries.sign_ins, _SIGN_IN, sign_in_event),
}


class _State(msgspec.Struct, array_like=True, frozen=True):
    since: datetime
    until: datetime
    link: str | None = None
    oldest: str | None = None
    met: bool = False


_decode = msgspec.json.Decoder(_State).decode
_encode = msgspec.json.Encoder().encode


async def read_log(
    client: GraphClient, rounds: Rounds, cursor: Cursor | None, *, source: str, part: str, days: float
) -> Page:
    """Read a page of a log. The span stands in the cursor, so that the chain does not chase the present.

    These logs have no count. The newest events come first, so the oldest one of the span, asked for on its own,
    must have come by the end. Where none came, an older one of the same log proves that it can be read, and that
    nothing happened in the span.
    """
    query, shape, make = _LOGS[part]
    if cursor is None:
        rounds.begin(f"events/{part}")
        since, until = lookback(days)
        oldest = query(since, until, oldest=True)
        first = shape.page(await client.get(Ask(oldest, permissions.AUDIT)), shown(oldest))
        state = _State(since, until, oldest=first.value[0].id if first.value else None)
    else:
        state = _decode(cursor)
    url = state.link or query(state.since, state.until)
    pairs, items = shape.raw(await client.get(Ask(url, permissions.AUDIT)), shown(url))
    rows = [make(source, item, raw) for item, raw in pairs]
    gaps = problems("events", items.problems)
    met = state.met or any(item.id == state.oldest for item in items.value)
    if items.link is not None:
        link = client.follow(items.link)
        rounds.step(f"events/{part}", url, link)
        return Page(rows, _encode(msgspec.structs.replace(state, link=link, met=met)).decode(), gaps)
    if state.oldest is not None and not met:
        gaps.append(Gap("events", part, f"its oldest event ({state.oldest}) did not come: the chain ended early"))
    quiet = cursor is None and not rows and not gaps
    if quiet:
        before = query(None, state.since)
        quiet = bool(shape.page(await client.get(Ask(before, permissions.AUDIT)), shown(before)).value)
    return Page(rows, None, gaps, total=0 if quiet else None)
