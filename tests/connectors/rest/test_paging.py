from __future__ import annotations

from typing import Any

import pytest

from reconciler.sdk.connector import Page
from reconciler.sdk.errors import Misbehaved
from tests.connectors.rest.conftest import PEOPLE, STYLES, pages_of, source_of
from tests.simulators.http_injection import FaultKind
from tests.simulators.rest_qms import Qms, person


def numbers(pages: list[Page]) -> list[str]:
    return [row.person_id for page in pages for row in page.rows]  # type: ignore[attr-defined] # people


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("count", [0, 3, 4, 11])
async def test_every_style_reads_every_row_once(qms: Qms, style: str, count: int) -> None:
    qms.people = [person(n) for n in range(1, count + 1)]
    pages = await pages_of(source_of(qms, style, may_be_empty=["people"]))
    assert numbers(pages) == [str(n) for n in range(1, count + 1)]
    if STYLES[style].keys() & {"total", "total_header"}:
        assert pages[-1].total == count


async def test_a_search_by_post_carries_the_cursor_in_its_body(qms: Qms) -> None:
    paging = {"style": "cursor", "parameter": "after", "next": "after", "limit_parameter": "size", "limit": 4}
    people = {**PEOPLE, "path": "search/people", "method": "POST", "body": {"query": "*"}}
    people["paging"] = {**paging, "in_body": True, "total": "count"}
    pages = await pages_of(source_of(qms, mapping={"people": people}))
    assert len(numbers(pages)) == 11
    assert [page.next for page in pages] == ["=4", "=8", None]


@pytest.mark.parametrize("style", ["offset", "page"])
async def test_the_last_page_is_known_by_its_flag(qms: Qms, style: str) -> None:
    paging = {**STYLES[style], "last": "last"}
    assert len(numbers(await pages_of(source_of(qms, style, paging=paging)))) == 11
    qms.faults.add(FaultKind.EMPTY_PAGE)
    with pytest.raises(Misbehaved, match="an empty page that is not the last"):
        await pages_of(source_of(qms, style, paging=paging))
    with pytest.raises(Misbehaved, match="neither true nor false"):
        await pages_of(source_of(qms, style, paging={**paging, "last": "finished"}))


@pytest.mark.parametrize("style", ["offset", "page"])
async def test_a_short_page_ends_the_chain_only_where_the_service_promises_that(qms: Qms, style: str) -> None:
    paging = {key: value for key, value in STYLES[style].items() if key != "total"} | {"short_page_ends": True}
    assert len(numbers(await pages_of(source_of(qms, style, paging=paging)))) == 11
    qms.people = qms.people[:8]
    assert [len(page.rows) for page in await pages_of(source_of(qms, style, paging=paging))] == [4, 4, 0]


@pytest.mark.parametrize("style", ["offset", "page"])
async def test_a_page_shorter_than_it_should_be_is_not_the_end(qms: Qms, style: str) -> None:
    qms.most = 3
    with pytest.raises(Misbehaved, match="a page of 3 rows where 4 were asked for") as caught:
        await pages_of(source_of(qms, style))
    assert "paging.limit" in caught.value.advice
    qms.most, qms.hidden = 100, frozenset({5})
    with pytest.raises(Misbehaved, match="7 of 11 read"):
        await pages_of(source_of(qms, style))


async def test_parameters_without_effect_are_noticed(qms: Qms) -> None:
    paging = {**STYLES["offset"], "limit_parameter": "size"}
    with pytest.raises(Misbehaved, match="11 rows where 4 were asked for"):
        await pages_of(source_of(qms, "offset", paging=paging))


async def test_hidden_rows_are_missing_from_the_service_s_own_count(qms: Qms) -> None:
    qms.hidden = frozenset({0, 5})
    pages = await pages_of(source_of(qms, "link"))
    assert (len(numbers(pages)), pages[-1].total) == (9, 11)


@pytest.mark.parametrize("style", ["link", "next"])
@pytest.mark.parametrize(
    ("kind", "says"),
    [(FaultKind.NEXT_FOREIGN, "elsewhere.invalid"), (FaultKind.NEXT_REPEATED, "this page again")],
)
async def test_links_that_lead_astray_are_not_followed(qms: Qms, style: str, kind: FaultKind, says: str) -> None:
    qms.faults.add(kind, at=2, times=None)
    with pytest.raises(Misbehaved, match=says):
        await pages_of(source_of(qms, style))


async def test_a_next_page_that_is_announced_but_not_named_is_no_end(qms: Qms) -> None:
    paging = {**STYLES["next"], "next": "paging.nxt"}
    with pytest.raises(Misbehaved, match="announced and none is named"):
        await pages_of(source_of(qms, "next", paging=paging))
    with pytest.raises(Misbehaved, match="gives no text"):
        await pages_of(source_of(qms, "next", paging={**paging, "next": "paging"}))


@pytest.mark.parametrize("wrong", [{"total": "items"}, {"total": "nothing"}, {"total_header": "X-Count"}])
async def test_a_count_that_is_not_there_is_not_passed_over(qms: Qms, wrong: dict[str, Any]) -> None:
    paging = {key: value for key, value in STYLES["offset"].items() if key != "total"} | wrong
    with pytest.raises(Misbehaved, match="holds no count"):
        await pages_of(source_of(qms, "offset", paging=paging))


async def test_a_link_that_vanishes_half_way_shows_in_the_count(qms: Qms) -> None:
    qms.faults.add(FaultKind.NEXT_MISSING, at=2)
    pages = await pages_of(source_of(qms, "link"))
    assert (len(numbers(pages)), pages[-1].total) == (8, 11)
