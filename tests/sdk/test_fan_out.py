"""Many small chains read as one: whole, bounded, and repeatable at any page."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.sdk.connector import Gap, Page
from reconciler.sdk.errors import Misbehaved, Unreachable
from reconciler.sdk.fan_out import Job, Listing, Part, fan_out_page
from reconciler.sdk.records import Grant


def member(group: str, number: int) -> Grant:
    return Grant(
        source="s", principal_kind="account", principal_id=str(number), entitlement_id=group, assignment="direct"
    )


class Directory:
    """Groups of given sizes; ``listing`` groups a page of the listing, ``page`` members a page of a group."""

    def __init__(self, sizes: Sequence[int], *, listing: int, page: int) -> None:
        self.sizes = dict(zip(map(str, range(len(sizes))), sizes, strict=True))
        self.listing, self.page = listing, page
        self.most = 0
        self.fail_next = False

    async def parents(self, link: str | None) -> Listing:
        start = int(link or 0)
        names = list(self.sizes)[start : start + self.listing]
        stop = start + self.listing
        return Listing(names, str(stop) if stop < len(self.sizes) else None)

    async def read(self, jobs: Sequence[Job]) -> Sequence[Part]:
        self.most = max(self.most, len(jobs))
        if self.fail_next:
            self.fail_next = False
            raise Unreachable("a reset")
        return [self._part(job) for job in jobs]

    def _part(self, job: Job) -> Part:
        start, size = int(job.link or 0), self.sizes[job.parent]
        stop = min(start + self.page, size)
        return Part([member(job.parent, n) for n in range(start, stop)], str(stop) if stop < size else None)

    async def every(self, width: int) -> list[Page]:
        pages = [await fan_out_page(None, parents=self.parents, read=self.read, width=width)]
        while (cursor := pages[-1].next) is not None:
            pages.append(await fan_out_page(cursor, parents=self.parents, read=self.read, width=width))
        return pages


def keys(pages: Sequence[Page]) -> list[tuple[str, str]]:
    return sorted((row.entitlement_id, row.principal_id) for p in pages for row in p.rows if isinstance(row, Grant))


@given(
    sizes=st.lists(st.integers(0, 12), max_size=14),
    listing=st.integers(1, 5),
    page=st.integers(1, 4),
    width=st.integers(1, 6),
)
async def test_every_child_of_every_parent_comes_once(sizes: list[int], listing: int, page: int, width: int) -> None:
    directory = Directory(sizes, listing=listing, page=page)
    pages = await directory.every(width)
    assert keys(pages) == sorted((g, str(n)) for g, size in directory.sizes.items() for n in range(size))
    assert directory.most <= width
    assert all(len(one.rows) <= width * page for one in pages)


async def test_a_page_may_be_asked_for_again_after_a_failure() -> None:
    directory = Directory([3, 0, 5, 2], listing=2, page=2)
    expected = keys(await directory.every(2))
    pages: list[Page] = []
    cursor: str | None = None
    while True:
        directory.fail_next = True
        with pytest.raises(Unreachable):
            await fan_out_page(cursor, parents=directory.parents, read=directory.read, width=2)
        pages.append(await fan_out_page(cursor, parents=directory.parents, read=directory.read, width=2))
        cursor = pages[-1].next
        if cursor is None:
            break
    assert keys(pages) == expected


async def test_no_parents_is_one_closed_page_without_rows() -> None:
    (only,) = await Directory([], listing=3, page=3).every(4)
    assert (list(only.rows), only.next) == ([], None)


async def test_gaps_and_canaries_of_parts_and_rows_and_gaps_of_the_listing_come_with_the_page() -> None:
    async def parents(_link: str | None) -> Listing:
        return Listing(["g"], rows=[member("listed", 1)], gaps=[Gap("grants", "listing", "unclear")])

    async def read(_jobs: Sequence[Job]) -> Sequence[Part]:
        return [Part([member("g", 2)], gaps=[Gap("grants", "g", "denied")], canaries=frozenset({"c"}))]

    page = await fan_out_page(None, parents=parents, read=read, width=3)
    assert keys([page]) == [("g", "2"), ("listed", "1")]
    assert [gap.subject for gap in page.gaps] == ["listing", "g"]
    assert (page.canaries, page.next) == (frozenset({"c"}), None)


@pytest.mark.parametrize("where", ["listing", "child"])
async def test_a_link_that_leads_back_to_itself_is_refused(where: str) -> None:
    async def parents(link: str | None) -> Listing:
        return Listing(["g", "h"], "again" if where == "listing" or link is None else None)

    async def read(jobs: Sequence[Job]) -> Sequence[Part]:
        return [Part(next="again" if where == "child" else None) for _ in jobs]

    async def follow() -> None:
        cursor: str | None = None
        for _ in range(10):
            cursor = (await fan_out_page(cursor, parents=parents, read=read, width=2)).next

    with pytest.raises(Misbehaved, match="leads back to itself"):
        await follow()


async def test_a_listing_of_empty_pages_gives_a_page_each_so_that_the_guards_see_them() -> None:
    async def parents(link: str | None) -> Listing:
        number = int(link or 0)
        return Listing((), str(number + 1) if number < 3 else None)

    async def read(_jobs: Sequence[Job]) -> Sequence[Part]:
        raise AssertionError

    count, cursor = 0, None
    while count == 0 or cursor is not None:
        cursor = (await fan_out_page(cursor, parents=parents, read=read, width=2)).next
        count += 1
    assert count == 4
