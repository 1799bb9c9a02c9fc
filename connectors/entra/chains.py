"""Page chains over Graph's collections: where they stand, that they do not go round, and whether they are whole."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from reconciler.sdk.connector import Cursor, Gap, Page
from reconciler.sdk.errors import Misbehaved, Refused
from reconciler.sdk.fan_out import Job, Listing, Part, fan_out_page
from reconciler.sdk.records import Record

from .client import BATCH, Answer, Ask, GraphClient, shown
from .failures import NoLicence, NotFound
from .shapes import Items, Problem, Ref, Shape

_PLAIN = "plain"
"""Note of a chain that Graph does not count."""
_OK, _GONE = 200, 404
_REF = Shape(Ref)


class State(msgspec.Struct, array_like=True, frozen=True):
    """Where a chain stands; as JSON it is the cursor."""

    link: str | None = None
    """The next link, or the fan-out's own cursor."""
    phase: int = 0
    rows: int = 0
    seen: int = 0
    """Objects that Graph listed, of which each may give several rows or none."""
    counted: int | None = None
    whole: bool = True
    """Whether nothing so far was a gap."""
    note: str = ""
    below: int = 0
    """Objects that a fan-out listed below its parents."""
    asked: int = 0
    """Parents that a fan-out asked for."""


_decode = msgspec.json.Decoder(State).decode
_encode = msgspec.json.Encoder().encode


def read_state(cursor: Cursor | None) -> State:
    """Return the state in a cursor; a fresh one for None."""
    return State() if cursor is None else _decode(cursor)


def write_state(state: State) -> Cursor:
    """Return a state as a cursor."""
    return _encode(state).decode()


Make = Callable[[Items[Any]], Awaitable[tuple[Sequence[Record], Sequence[Gap]]]]


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection of Graph's: its first URL, its shape, and how its objects become rows.

    ``count`` is the path of its ``/$count``, empty where it has none; ``plain`` is the URL to ask instead of ``first``
    where Graph turns out not to count here; ``apart`` says that the count is asked for on its own, since the index that
    counts cannot do all that ``first`` asks. ``optional`` says that a tenant without the
    licence has none of it. ``proven`` says that rows are made of the objects alone, so that no row of some objects
    is a fact; without it only a count vouches for nothing.
    """

    first: str
    shape: Shape[Any]
    make: Make
    permission: str
    count: str = ""
    plain: str = ""
    apart: bool = False
    optional: bool = False
    proven: bool = False


@dataclass(slots=True)
class Rounds:
    """Which link each chain was led to from where: one that is led to twice goes round."""

    seen: dict[str, dict[int, int]] = field(default_factory=dict)

    def begin(self, chain: str) -> None:
        """Forget what was seen of a chain that starts anew."""
        self.seen[chain] = {}

    def step(self, chain: str, origin: str, link: str) -> None:
        """Take a step; the same step may be taken again, after a failure."""
        known = self.seen.setdefault(chain, {})
        if link == origin or known.setdefault(hash(link), hash(origin)) != hash(origin):
            raise Misbehaved(
                f"{shown(link)}: the next link leads back to a page that was read", advice="Report this to Microsoft."
            )


async def read_collections(
    client: GraphClient,
    rounds: Rounds,
    cursor: Cursor | None,
    *,
    table: str,
    name: str,
    parts: Sequence[Collection],
) -> Page:
    """Read a page of a chain over one collection, or over several one after the other."""
    state = read_state(cursor)
    if cursor is None:
        rounds.begin(f"{table}/{name}")
    part = parts[state.phase]
    url = state.link or part.first
    try:
        plain = part.plain if state.link is None else ""
        body = await client.get(
            Ask(
                url,
                part.permission,
                eventual=bool(part.count) and not part.apart and not _uncounted(state),
                plain=plain,
            )
        )
    except NoLicence:
        if not part.optional or state.link is not None:
            raise
        return _close(state, parts, (), (), proven=True)
    items = part.shape.page(body, shown(url))
    rows, found = await part.make(items)
    gaps = [*problems(table, items.problems), *found]
    counted = items.count if state.link is None else state.counted
    if part.apart and state.link is None:
        counted = await client.count(Ask(part.count, part.permission, eventual=True))
    if part.count and counted is None and not part.plain:
        gaps.append(
            Gap(table, name, f"Graph did not count {shown(part.first)} as asked: nothing says whether all came")
        )
    state = msgspec.structs.replace(
        state,
        rows=state.rows + len(rows),
        seen=state.seen + len(items.value),
        counted=counted,
        whole=state.whole and not gaps,
    )
    if items.link is not None:
        link = client.follow(items.link)
        rounds.step(f"{table}/{name}", url, link)
        note = _PLAIN if part.plain and counted is None else ""
        return Page(rows, write_state(msgspec.structs.replace(state, link=link, note=note)), gaps)
    ok = part.proven and state.seen > 0
    if counted is not None:
        short = await shortfall(client, part.count, part.permission, counted, state.seen)
        ok = not short
        gaps += [Gap(table, name, short)] if short else []
    return _close(msgspec.structs.replace(state, whole=state.whole and not gaps), parts, rows, gaps, proven=ok)


def _close(
    state: State, parts: Sequence[Collection], rows: Sequence[Record], gaps: Sequence[Gap], *, proven: bool
) -> Page:
    """Go on to the next collection, or end the chain with the number of rows where that is vouched for."""
    whole = state.whole and (proven or state.rows > 0)
    if state.phase + 1 < len(parts):
        following = State(phase=state.phase + 1, rows=state.rows, whole=whole)
        return Page(rows, write_state(following), gaps)
    return Page(rows, None, gaps, total=state.rows if whole and proven else None)


async def shortfall(client: GraphClient, path: str, permission: str, counted: int, seen: int) -> str:
    """Return in words that fewer objects came than Graph counts; empty where they did not.

    A collection that shrank while it was read is asked for its count again: what came must reach the smaller one.
    """
    if seen >= counted:
        return ""
    again = await client.count(Ask(path, permission, eventual=True))
    if seen >= again:
        return ""
    return f"Graph counts {again} ({counted} at first) and {seen} came: the chain of pages ended early"


def problems(table: str, found: Sequence[Problem]) -> list[Gap]:
    """Return the gaps of values that were not what Graph documents."""
    return [Gap(table, one.subject, one.reason) for one in found]


@dataclass(frozen=True, slots=True)
class FanOut:
    """A small chain below each object of a collection.

    ``parents`` turns a page of objects into the parents' texts, the id first, parted by a blank from whatever else is
    needed. ``first`` gives the URL below one, ``make`` the rows of a page below it. ``count`` gives the path of its
    ``/$count`` where the first page is counted; ``plain`` the URL to ask where Graph turns out not to count here.
    """

    above: Collection
    parents: Callable[[Any], str | None]
    first: Callable[[str], str]
    shape: Shape[Any]
    make: Callable[[str, Sequence[Any]], tuple[Sequence[Record], Sequence[Gap]]]
    permission: str
    count: Callable[[str], str] | None = None
    elsewhere: Callable[[str], str] | None = None
    """The count of objects that Graph counts below a parent and does not list there."""
    optional: bool = False
    plain: Callable[[str], str] | None = None


class _Walk:
    """One page of a fan-out: what it read above and below."""

    def __init__(
        self, client: GraphClient, rounds: Rounds, state: State, *, table: str, name: str, spec: FanOut
    ) -> None:
        self.client, self.table, self.name, self.spec, self.rounds = client, table, name, spec, rounds
        self.seen, self.counted = state.seen, state.counted
        self.uncounted = _uncounted(state)
        self.below, self.asked = state.below, state.asked

    async def parents(self, link: str | None) -> Listing:
        """Read a page of the objects above."""
        above = self.spec.above
        url = link or above.first
        body = await self.client.get(Ask(url, above.permission, eventual=bool(above.count)))
        items = above.shape.page(body, shown(url))
        if link is None:
            self.seen, self.counted = 0, items.count
        self.seen += len(items.value)
        following = None if items.link is None else self.client.follow(items.link)
        if following is not None:
            self.rounds.step(f"{self.table}/{self.name}", url, following)
        _, strange = await above.make(items)
        gaps = [*problems(self.table, items.problems), *strange]
        if following is None:
            gaps += await self._short()
        texts = [text for item in items.value if (text := self.spec.parents(item)) is not None]
        self.asked += len(texts)
        return Listing(texts, following, gaps=gaps)

    async def read(self, jobs: Sequence[Job]) -> list[Part]:
        """Read a page below each parent."""
        asks = [self._ask(job) for job in jobs]
        batches = [asks[start : start + BATCH] for start in range(0, len(asks), BATCH)]
        answers = [answer for found in await _together(self.client, batches) for answer in found]
        parts = []
        refused: list[Refused] = []
        deleted = await self._deleted(
            [job for job, answer in zip(jobs, answers, strict=True) if answer.status == _GONE]
        )
        for job, answer in zip(jobs, answers, strict=True):
            if job.parent in deleted:
                parts.append(Part())
                continue
            try:
                parts.append(await self._part(job, answer))
            except NoLicence:
                raise
            except Refused as error:
                refused.append(error)
                gone = "it went away while it was read" if isinstance(error, NotFound) else error.message
                gap = Gap(self.table, _id(job.parent), gone, error.missing_permission)
                parts.append(Part(gaps=[gap]))
        if refused and len(refused) == len(jobs) and not any(isinstance(error, NotFound) for error in refused):
            raise refused[0]
        return parts

    async def _deleted(self, jobs: Sequence[Job]) -> set[str]:
        """Return those parents of ``jobs`` that are among the deleted items now: nothing is below them any more.

        In a large tenant somebody is deleted in every hour that a pull takes. What is not found there either may only
        be unknown yet to the server that was asked.
        """
        found: set[str] = set()
        for start in range(0, len(jobs), BATCH):
            part = jobs[start : start + BATCH]
            asks = [Ask(f"/directory/deletedItems/{_id(job.parent)}?$select=id") for job in part]
            for job, answer in zip(part, await self.client.batch(asks), strict=True):
                if answer.status == _OK:
                    item, _ = _REF.one(answer.json(), shown(answer.ask.url))
                    found |= {job.parent} if item.id == _id(job.parent) else set()
        return found

    def _ask(self, job: Job) -> Ask:
        spec = self.spec
        if job.link is not None:
            _, counted, url = _split(job.link)
            return Ask(url, spec.permission, eventual=counted is not None)
        plain = "" if spec.plain is None else spec.plain(job.parent)
        return Ask(spec.first(job.parent), spec.permission, eventual=spec.count is not None, plain=plain)

    async def _part(self, job: Job, answer: Answer) -> Part:
        seen, counted, url = _split(job.link) if job.link is not None else (0, None, answer.ask.url)
        items = self.spec.shape.page(answer.json(), shown(url))
        rows, found = self.spec.make(job.parent, items.value)
        gaps = [*problems(self.table, items.problems), *found]
        seen += len(items.value)
        self.below += len(items.value)
        counted = items.count if job.link is None else counted
        if items.link is not None:
            link = self.client.follow(items.link)
            self.rounds.step(f"{self.table}/{self.name}/{_id(job.parent)}", url, link)
            return Part(rows, f"{seen} {'' if counted is None else counted} {link}", gaps)
        self.rounds.seen.pop(f"{self.table}/{self.name}/{_id(job.parent)}", None)
        if self.spec.count is not None:
            gaps += await self._below_short(job.parent, counted, seen)
        return Part(rows, None, gaps)

    async def _below_short(self, parent: str, counted: int | None, seen: int) -> list[Gap]:
        assert self.spec.count is not None  # noqa: S101 -- asked by the caller
        if counted is None and self.spec.plain is not None:
            self.uncounted = True
            return []
        if counted is None:
            return [Gap(self.table, _id(parent), "Graph did not count what is below it as asked")]
        if seen < counted and self.spec.elsewhere is not None:
            seen += await self.client.count(Ask(self.spec.elsewhere(parent), self.spec.permission, eventual=True))
        short = await shortfall(self.client, self.spec.count(parent), self.spec.permission, counted, seen)
        return [Gap(self.table, _id(parent), short)] if short else []

    async def _short(self) -> list[Gap]:
        above = self.spec.above
        if not above.count:
            return []
        if self.counted is None:
            return [Gap(self.table, self.name, f"Graph did not count {shown(above.first)} as asked")]
        short = await shortfall(self.client, above.count, above.permission, self.counted, self.seen)
        return [Gap(self.table, self.name, short)] if short else []


async def read_fan_out(
    client: GraphClient, rounds: Rounds, cursor: Cursor | None, *, table: str, name: str, spec: FanOut, width: int
) -> Page:
    """Read a page of the chain below every object of a collection, twenty requests a batch."""
    state = read_state(cursor)
    if cursor is None:
        rounds.begin(f"{table}/{name}")
    walk = _Walk(client, rounds, state, table=table, name=name, spec=spec)
    try:
        page = await fan_out_page(state.link, parents=walk.parents, read=walk.read, width=width)
    except NoLicence:
        if not spec.optional or state.rows:
            raise
        return Page((), None, total=0)
    state = msgspec.structs.replace(
        state,
        link=page.next,
        rows=state.rows + len(page.rows),
        seen=walk.seen,
        counted=walk.counted,
        whole=state.whole and not page.gaps,
        note=_PLAIN if walk.uncounted else "",
        below=walk.below,
        asked=walk.asked,
    )
    if page.next is not None:
        return Page(page.rows, write_state(state), page.gaps)
    vouched = spec.count is not None and not walk.uncounted
    # No row of objects that came is a fact, and so is none below no parent at all: Graph counted the parents.
    empty = state.rows == 0 and (state.below > 0 or state.asked == 0)
    proven = state.whole and state.counted is not None and (vouched or empty)
    return Page(page.rows, None, page.gaps, total=state.rows if proven else None)


async def first_of_each(
    client: GraphClient, table: str, paths: Sequence[tuple[str, str]], shape: Shape[Any], permission: str
) -> tuple[dict[str, str], list[Gap]]:
    """Return for each (id, path) the first object below it, twenty a batch: an owner, of whom there may be several."""
    asks = [Ask(path, permission) for _, path in paths]
    batches = [asks[start : start + BATCH] for start in range(0, len(asks), BATCH)]
    found: dict[str, str] = {}
    gaps: list[Gap] = []
    answers = [answer for batch in await _together(client, batches) for answer in batch]
    for (subject, _), answer in zip(paths, answers, strict=True):
        try:
            items = shape.page(answer.json(), shown(answer.ask.url))
        except NotFound:
            gaps.append(Gap(table, subject, "it went away while it was read"))
            continue
        if items.value:
            found[subject] = min(item.id for item in items.value)
    return found, gaps


async def _together(client: GraphClient, batches: Sequence[Sequence[Ask]]) -> list[list[Answer]]:
    """Send some batches at once; the first failure stops the others."""
    tasks = [asyncio.ensure_future(client.batch(batch)) for batch in batches]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()


def _uncounted(state: State) -> bool:
    return state.note == _PLAIN


def _split(link: str) -> tuple[int, int | None, str]:
    seen, counted, url = link.split(" ", 2)
    return int(seen), int(counted) if counted else None, url


def _id(parent: str) -> str:
    return parent.partition(" ")[0]
