"""One page chain over many small ones: the members of each group, the users of each app.

The chain's cursor is its whole state: where the listing of parents goes on, which parents of the page at hand were
not begun, and which are under way with the link of their next page. So any page can be asked for again after a
failure, nothing is held between pages, and memory stays flat whatever the number of parents.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import msgspec

from reconciler.sdk.connector import Cursor, Gap, Page
from reconciler.sdk.errors import Misbehaved
from reconciler.sdk.records import Record


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of parents: a text each (an id, with whatever the connector needs to read below it)."""

    parents: Sequence[str]
    next: str | None = None
    rows: Sequence[Record] = ()
    """Rows that the listing itself gave."""
    gaps: Sequence[Gap] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """One page to read below one parent; ``link`` None is the first."""

    parent: str
    link: str | None


@dataclass(frozen=True, slots=True)
class Part:
    """What came of a job; ``next`` is None only where the source said that the parent's chain is closed."""

    rows: Sequence[Record] = ()
    next: str | None = None
    gaps: Sequence[Gap] = ()
    canaries: frozenset[str] = frozenset()


class _State(msgspec.Struct, array_like=True, frozen=True):
    listing: str | None = None
    listed: bool = False
    """Whether the last page of parents was read."""
    waiting: tuple[str, ...] = ()
    open: tuple[tuple[str, str], ...] = ()


_decode = msgspec.json.Decoder(_State).decode
_encode = msgspec.json.Encoder().encode


async def fan_out_page(
    cursor: Cursor | None,
    *,
    parents: Callable[[str | None], Awaitable[Listing]],
    read: Callable[[Sequence[Job]], Awaitable[Sequence[Part]]],
    width: int,
) -> Page:
    """Read the page at ``cursor`` of the combined chain: up to ``width`` pages, given to ``read`` at once.

    ``parents(link)`` reads one page of parents (None: the first; keep it to some hundreds, since those not yet begun
    stand in the cursor). ``read`` answers its jobs in their order and may raise by remedy: the page is then asked for
    again whole. Parents that have nothing below them give empty parts. Raises ``Misbehaved`` where a parent's link
    leads back to itself.
    """
    state = _State() if cursor is None else _decode(cursor)
    waiting, under_way = deque(state.waiting), list(state.open)
    rows: list[Record] = []
    gaps: list[Gap] = []
    listing, listed = state.listing, state.listed
    while not listed and len(under_way) + len(waiting) < width:
        page = await parents(listing)
        if page.next is not None and page.next == listing:
            raise Misbehaved("the listing's next link leads back to itself", advice="Report this to its provider.")
        listing, listed = page.next, page.next is None
        waiting.extend(page.parents)
        rows.extend(page.rows)
        gaps.extend(page.gaps)
        if not page.parents:
            break  # a page of its own, so that a listing that never ends is seen by the guards over the chain
    jobs = [Job(parent, link) for parent, link in under_way[:width]]
    jobs += [Job(waiting.popleft(), None) for _ in range(min(width - len(jobs), len(waiting)))]
    parts = await read(jobs) if jobs else ()
    ongoing: list[tuple[str, str]] = list(under_way[width:])
    canaries: frozenset[str] = frozenset()
    for job, part in zip(jobs, parts, strict=True):
        rows.extend(part.rows)
        gaps.extend(part.gaps)
        canaries |= part.canaries
        if part.next is not None:
            if part.next == job.link:
                raise Misbehaved(f"the next link below {job.parent} leads back to itself")
            ongoing.append((job.parent, part.next))
    following = _State(listing, listed, tuple(waiting), tuple(ongoing))
    closed = listed and not waiting and not ongoing
    return Page(rows, None if closed else _encode(following).decode(), gaps, canaries=canaries)
