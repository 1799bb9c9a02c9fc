"""Pages of a list: opaque cursors, Link headers as Okta sends them, and bodies that carry their own next link."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from typing import Literal, Protocol
from urllib.parse import urlencode

from aiohttp import web

from tests.simulators.okta.errors import refused
from tests.simulators.okta.rows import Row

LinkStyle = Literal["separate", "reversed", "joined"]
"""How self and next stand in an answer: two headers, two headers with next first, one header with a comma."""


class Sized(Protocol):
    """What a page is cut from."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Row: ...


def cut(
    rows: Sized,
    start: int,
    limit: int,
    keep: Callable[[Row], bool] | None = None,
) -> tuple[list[Row], int | None]:
    """Return up to ``limit`` rows from ``start`` on, and where the next page starts: None where nothing follows."""
    if keep is None:
        end = min(start + limit, len(rows))
        return [rows[index] for index in range(start, end)], end if end < len(rows) else None
    found: list[Row] = []
    for index, row in _from(rows, start):
        if not keep(row):
            continue
        if len(found) == limit:
            return found, index
        found.append(row)
    return found, None


def _from(rows: Sized, start: int) -> Iterator[tuple[int, Row]]:
    return ((index, rows[index]) for index in range(start, len(rows)))


def seal(kind: str, value: str) -> str:
    """Return an opaque cursor."""
    return base64.urlsafe_b64encode(f"{kind}:{value}".encode()).decode()


def unseal(request: web.Request, kind: str) -> str | None:
    """Return what the request's ``after`` holds, None without one; answers 400 for a cursor of another list."""
    after = request.query.get("after")
    if after is None:
        return None
    try:
        text = base64.urlsafe_b64decode(after.encode()).decode()
    except (binascii.Error, UnicodeError):
        text = ""
    if not text.startswith(kind + ":"):
        raise refused(400, "E0000001", "Api validation failed: after", "Invalid cursor")
    return text[len(kind) + 1 :]


def limit_of(request: web.Request, default: int, most: int) -> int:
    """Return the page size: what was asked for, within what the endpoint gives."""
    text = request.query.get("limit")
    if text is None:
        return default
    if not text.lstrip("-").isdecimal() or int(text) < 1:
        raise refused(400, "E0000001", "Api validation failed: limit", "limit: must be a positive number")
    return min(int(text), most)


def next_url(request: web.Request, base: str, after: str) -> str:
    """Return the URL of the next page: this request's with another cursor."""
    pairs = [(name, value) for name, value in request.query.items() if name != "after"]
    return f"{base}{request.path}?{urlencode([('after', after), *pairs])}"


def link(answer: web.StreamResponse, here: str, following: str | None, style: LinkStyle) -> None:
    """Add the Link headers of a page."""
    links = [f'<{here}>; rel="self"']
    if following is not None:
        links.append(f'<{following}>; rel="next"')
    if style == "reversed":
        links.reverse()
    if style == "joined":
        links = [", ".join(links)]
    for each in links:
        answer.headers.add("Link", each)
