"""Okta's error answers."""

from __future__ import annotations

import json

from aiohttp import web

_SUMMARIES = {
    401: ("E0000011", "Invalid token provided"),
    403: ("E0000006", "You do not have permission to perform the requested action"),
    404: ("E0000007", "Not found: Resource not found"),
    405: ("E0000022", "The endpoint does not support the provided HTTP method"),
    429: ("E0000047", "API call exceeded rate limit due to too many requests."),
    500: ("E0000009", "Internal Server Error"),
    504: ("E0000009", "Gateway Timeout"),
    503: ("E0000010", "Service is in read only mode"),
}
_REQUEST_ID = "oaeSimulatedRequestId"
_EXCEPTIONS = {
    400: web.HTTPBadRequest,
    401: web.HTTPUnauthorized,
    403: web.HTTPForbidden,
    404: web.HTTPNotFound,
    429: web.HTTPTooManyRequests,
}


def body(code: str, summary: str, *causes: str) -> dict[str, object]:
    """Return an error as Okta writes it."""
    return {
        "errorCode": code,
        "errorSummary": summary,
        "errorLink": code,
        "errorId": _REQUEST_ID,
        "errorCauses": [{"errorSummary": cause} for cause in causes],
    }


def answer(status: int, headers: dict[str, str] | None = None) -> web.Response:
    """Return the error that goes with a status."""
    code, summary = _SUMMARIES[status]
    return web.json_response(body(code, summary), status=status, headers=headers)


def refused(
    status: int, code: str = "", summary: str = "", *causes: str, headers: dict[str, str] | None = None
) -> web.HTTPException:
    """Return an error to raise; without ``code`` the one that goes with the status."""
    if not code:
        code, summary = _SUMMARIES[status]
    text = json.dumps(body(code, summary, *causes))
    return _EXCEPTIONS[status](text=text, content_type="application/json", headers=headers)


def not_found(object_id: str, kind: str) -> web.HTTPException:
    """Return what Okta says of an id that is not there; ``kind`` such as User, UserGroup, AppInstance."""
    return refused(404, "E0000007", f"Not found: Resource not found: {object_id} ({kind})")
