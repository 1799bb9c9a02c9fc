"""The guards over one chain of pages: what no page may do, whichever connector made it."""

from __future__ import annotations

import re
from array import array
from urllib.parse import urlsplit

import numpy as np

from reconciler.sdk.connector import Cursor, Page
from reconciler.sdk.errors import Misbehaved

EMPTY_PAGES = 1_000
"""Pages without a row, one after the other, after which a chain is taken to have no end."""
_FIRST_LOOK = 1_000
_URL = re.compile(r"\s*([a-z][a-z0-9+.-]*:)?[\\/]{2}", re.IGNORECASE)
_PORTS = {"http": 80, "https": 443, "ldap": 389, "ldaps": 636}
_REPORT = "Report this as a defect of the connector, or of the source that it reads."


class Chain:
    """Watches one chain of pages and raises ``Misbehaved`` where it cannot be trusted to be whole."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        # Hashes rather than cursors: a chain may have a million pages, and a cursor may be a long URL.
        self._seen: set[int] = set()
        self._pages = 0
        self._rows = 0
        self._empty = 0
        self._next_look = _FIRST_LOOK

    def accept(self, page: object) -> Page:
        """Return ``page`` where it has the shape of a page and leads on to a place not seen before."""
        if not isinstance(page, Page):
            raise Misbehaved(f"the connector returned {type(page).__name__}, not a page", advice=_REPORT)
        rows: object = page.rows
        if not isinstance(rows, list | tuple):
            raise Misbehaved(f"the rows of a page are {type(rows).__name__}, not a list", advice=_REPORT)
        total: object = page.total
        if total is not None and (type(total) is not int or total < 0):
            raise Misbehaved(f"the provider's own count is {total!r}", advice=_REPORT)
        self._pages += 1
        self._rows += len(page.rows)
        self._empty = 0 if page.rows else self._empty + 1
        if page.next is not None:
            self._follow(page.next)
        return page

    def _follow(self, cursor: Cursor) -> None:
        text: object = cursor
        if not isinstance(text, str) or not text:
            raise Misbehaved("the next cursor is no text: the chain neither goes on nor ends", advice=_REPORT)
        if _URL.match(cursor) and not same_origin(cursor, self._endpoint):
            host = urlsplit(cursor.strip().replace("\\", "/")).netloc.rpartition("@")[2]
            raise Misbehaved(
                f"the next link leads to another origin ({host or 'unknown'}), not to {self._endpoint or 'a folder'}",
                advice="The credentials would go there too, so it is not followed: check the endpoint in the "
                "configuration and any proxy that rewrites links.",
            )
        if hash(cursor) in self._seen:
            raise Misbehaved(
                f"the cursor after page {self._pages} was seen before: the chain goes round", advice=_REPORT
            )
        self._seen.add(hash(cursor))
        if self._empty >= EMPTY_PAGES:
            raise Misbehaved(f"{EMPTY_PAGES} pages in a row held nothing and the chain still goes on", advice=_REPORT)

    def look_for_rounds(self, keys: array[int]) -> None:
        """Refuse a chain that gives the same rows again under ever new cursors, and would never end.

        ``keys`` are the hashes of the rows' keys so far. Looks after 1,000, 2,000, 4,000, ... pages only.
        """
        if self._pages < self._next_look:
            return
        self._next_look *= 2
        ordered = np.sort(np.frombuffer(keys, dtype=np.int64))
        if np.count_nonzero(ordered[1:] == ordered[:-1]) * 2 > len(keys):
            raise Misbehaved(
                f"after {self._pages} pages more than half of the rows had come before: the chain goes round",
                advice=_REPORT,
            )


def same_origin(url: str, endpoint: str) -> bool:
    """Return whether ``url`` has the scheme, host and port of ``endpoint``; false where either is no clean URL."""
    if re.search(r"[\s\\\x00-\x20]", url):
        return False
    try:
        there, here = urlsplit(url), urlsplit(endpoint)
        ports = (there.port or _PORTS.get(there.scheme), here.port or _PORTS.get(here.scheme))
    except ValueError:
        return False
    scheme = there.scheme or here.scheme
    if not there.scheme:
        ports = (there.port or _PORTS.get(scheme), ports[1])
    stranger = there.username is not None and there.username != here.username
    return (
        bool(here.hostname)
        and (scheme, there.hostname, ports[0]) == (here.scheme, here.hostname, ports[1])
        and (not stranger)
    )
