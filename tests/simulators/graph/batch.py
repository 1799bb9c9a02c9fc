"""POST /$batch: up to twenty calls in one, each with a status of its own, answered in no particular order."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, unquote

from tests.simulators.graph.answers import Answer, Call, GraphError, Json, bad
from tests.simulators.http_injection import STATUS_OF, FaultKind, Injector, Listing, shaped_by

MOST = 20
Shape = Callable[[Listing], Listing]
"""What the fault of an item makes of its page."""
Each = Callable[[Call, Shape], Answer]
_ON_ITEMS = frozenset({*STATUS_OF, FaultKind.EMPTY_BODY, FaultKind.WRONG_TYPE})
"""Faults of an item beside those of its page, and beside its getting no answer."""


def answer_batch(
    call: Call, each: Each, faults: Injector, refusal: Callable[[int, bool], Answer], *, root: str
) -> Answer:
    """Answer the items, the last first; the batch itself is a 200 whatever befell them. ``root`` is the API's URL."""
    try:
        items: list[Json] = json.loads(call.body)["requests"]
    except (ValueError, KeyError, TypeError):
        bad("Invalid batch payload format.", "BadRequest")
    if len(items) > MOST:
        bad(f"Number of batch request steps exceeds the maximum value of {MOST}.", "BadRequest")
    ids = [str(item.get("id", "")) for item in items]
    if "" in ids or len(set(ids)) < len(ids):
        bad("Every batch request step must have an id of its own.", "BadRequest")
    responses = []
    for item in reversed(items):
        response = _item(call, item, each, faults, refusal, root)
        if response is not None:
            responses.append(response)
    return Answer(200, {"responses": responses})


def _item(  # noqa: PLR0917 - an item, and what its batch is answered with
    outer: Call, item: Json, each: Each, faults: Injector, refusal: Callable[[int, bool], Answer], root: str
) -> Json | None:
    url = str(item.get("url", ""))
    meeting = faults.meet(url)
    fault = None if meeting is None else meeting.fault
    if meeting is not None and fault is not None and fault.kind is FaultKind.RESET_BEFORE:
        faults.note(meeting, url)
        return None  # the item is not answered at all
    if fault is not None and fault.kind in STATUS_OF:
        answer = refusal(STATUS_OF[fault.kind], fault.kind is not FaultKind.THROTTLED_SILENT)
    else:
        answer = _run(
            outer, item, url, lambda call: each(call, lambda page: shaped_by(faults, meeting, page, root + url))
        )
    if meeting is not None and fault is not None:
        if fault.kind in _ON_ITEMS:
            faults.note(meeting, url)
        faults.settle(meeting)
    body: Any = answer.content
    kind = answer.headers.get("Content-Type", "application/json")
    if isinstance(body, str):
        body = base64.b64encode(body.encode()).decode()
    if fault is not None and fault.kind is FaultKind.EMPTY_BODY:
        body = None
    if fault is not None and fault.kind is FaultKind.WRONG_TYPE:
        body = [body]
    return {
        "id": item["id"],
        "status": answer.status,
        "headers": {**answer.headers, "Content-Type": kind},
        "body": body,
    }


def _run(outer: Call, item: Json, url: str, each: Callable[[Call], Answer]) -> Answer:
    try:
        if not url.startswith("/"):
            bad("Invalid batch request step: the url must be relative.", "BadRequest")
        path, _, query = url.partition("?")
        return each(
            Call(
                method=str(item.get("method", "GET")),
                path=unquote(path.lstrip("/")),
                query=dict(parse_qsl(query, keep_blank_values=True)),
                headers={str(name).lower(): str(value) for name, value in (item.get("headers") or {}).items()},
                roles=outer.roles,
                version=outer.version,
                body=json.dumps(item["body"]).encode() if "body" in item else b"",
            )
        )
    except GraphError as error:
        return error.answer
