"""What services are free to do: links of every form, pages cut short, rows that go while they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from reconciler.connectors import load
from reconciler.sdk.connector import Partition, Source
from reconciler.sdk.errors import Misbehaved, Unreachable
from tests.connectors.rest.conftest import pages_of
from tests.simulators.http_server import LoopbackServer

Answer = Callable[[Mapping[str, str]], tuple[Any, dict[str, str]]]


@dataclass
class Service:
    """Answers below /api/v1 as the test says."""

    answer: Answer = field(default=lambda _: ({"items": []}, {}))
    url: str = ""

    async def handle(self, request: web.Request) -> web.Response:
        body, headers = self.answer(request.query)
        return web.json_response(body, headers=headers)

    def make(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/api/v1/people", self.handle)
        return app

    def source(self, paging: dict[str, Any], **mapping: Any) -> Source:
        people = {"path": "v1/people", "rows": "items", "columns": {"person_id": "id"}, **mapping}
        given = {"connector": "rest", "url": f"{self.url}/api", "paging": paging, "mapping": {"people": people}}
        made: Source = load("rest").open_source("qms", load("rest").Settings.model_validate(given), Path("/"))
        return made

    async def ids(self, paging: dict[str, Any], **mapping: Any) -> list[str]:
        pages = await pages_of(self.source(paging, **mapping))
        return [row.person_id for page in pages for row in page.rows]  # type: ignore[attr-defined] # people's


@pytest.fixture(scope="module")
def running() -> Iterator[Service]:
    service = Service()
    with LoopbackServer(service.make, tls=False) as server:
        service.url = server.url
        yield service


def rows(first: int, last: int) -> list[dict[str, Any]]:
    return [{"id": f"P{number}"} for number in range(first, last + 1)]


@pytest.mark.parametrize("link", ["?page=2", "people?page=2", "/api/v1/people?page=2"])
@pytest.mark.parametrize("style", ["link", "next_url"])
async def test_a_relative_link_starts_at_its_own_page(running: Service, style: str, link: str) -> None:
    paging = {"style": "link"} if style == "link" else {"style": "next_url", "next": "next"}

    def answer(query: Mapping[str, str]) -> tuple[Any, dict[str, str]]:
        if "page" in query:
            return {"items": rows(3, 4)}, {}
        return {"items": rows(1, 2), "next": link}, {"Link": f'<{link}>; rel="next"'}

    running.answer = answer
    assert await running.ids(paging) == ["P1", "P2", "P3", "P4"]


async def test_a_token_that_looks_like_a_link_is_none(running: Service) -> None:
    running.answer = lambda query: (
        ({"items": rows(3, 4) if "at" in query else rows(1, 2)}, {})
        if query.get("at") == "//2=="
        else ({"items": rows(1, 2), "next": "//2=="}, {})
    )
    assert await running.ids({"style": "cursor", "parameter": "at", "next": "next"}) == ["P1", "P2", "P3", "P4"]


async def test_one_answer_does_not_hold_all_where_a_header_names_another(running: Service) -> None:
    running.answer = lambda _: ({"items": rows(1, 2)}, {"Link": '<?page=2>; rel="next"'})
    with pytest.raises(Misbehaved, match="names a next page"):
        await running.ids({"style": "none"})


@pytest.mark.parametrize("style", ["offset", "page"])
async def test_pages_that_the_service_cuts_short_are_not_the_end(running: Service, style: str) -> None:
    def answer(query: Mapping[str, str]) -> tuple[Any, dict[str, str]]:
        begun = int(query["offset"]) if style == "offset" else (int(query["page"]) - 1) * 2
        return {"items": rows(1, 8)[begun : begun + 2]}, {}

    running.answer = answer
    paging = {"style": style, "limit_parameter": "limit", "limit": 4, "short_page_ends": True}
    with pytest.raises(Misbehaved, match="allows fewer a page"):
        await running.ids(paging)
    assert len(await running.ids({**paging, "limit": 2})) == 8


async def test_a_row_that_goes_while_pages_are_read_has_them_read_again(running: Service) -> None:
    people = rows(1, 10)

    def answer(query: Mapping[str, str]) -> tuple[Any, dict[str, str]]:
        begun = int(query["offset"])
        return {"items": people[begun : begun + 4], "count": len(people)}, {}

    running.answer = answer
    paging = {"style": "offset", "limit_parameter": "limit", "limit": 4, "total": "count"}
    source = running.source(paging)
    first = await source.page("people", Partition(), None)
    del people[0]
    with pytest.raises(Unreachable, match="count fell from 10 to 9") as caught:
        await source.page("people", Partition(), first.next)
    assert caught.value.restart
    assert sum(len(page.rows) for page in await pages_of(source)) == 9


@pytest.mark.parametrize("path", ["/v1/people", "//v1/people", "./v1/people"])
async def test_every_path_lies_below_the_url(running: Service, path: str) -> None:
    running.answer = lambda _: ({"items": rows(1, 1)}, {})
    assert await running.ids({"style": "none"}, path=path) == ["P1"]


@pytest.mark.parametrize("path", ["https://elsewhere.test/v1", "v1/all people", "v1\\people"])
def test_a_path_that_is_none_is_an_error_of_its_key(running: Service, path: str) -> None:
    with pytest.raises(ValueError, match=r"mapping\.people\.path\n.*is no path below url"):
        running.source({"style": "none"}, path=path)


async def test_a_name_that_is_missing_deeper_down_takes_the_column_away(running: Service) -> None:
    running.answer = lambda _: (
        {"items": [{"id": 1, "job": None}, {"id": 2, "job": {"ends": None, "unit": {"name": "x"}}}]},
        {},
    )
    columns = {"person_id": "id", "ends_on": "job.end", "department": "job.unit.name", "supplier_id": "job.ends.x"}
    source = running.source({"style": "none"}, columns=columns)
    gaps = await source.check()
    await source.close()
    assert [(gap.column, "'end'; did you mean ends?" in gap.reason) for gap in gaps] == [("ends_on", True)]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"url": "http://qms.acme.test"}, "url: .*would carry the credentials unencrypted"),
        ({"url": "https://ann:planted@qms.acme.test"}, "url: not the URL of a service"),
        ({"url": "https://qms.acme.test/x?key=planted"}, "url: not the URL of a service"),
        ({"url": "ftp://qms.acme.test"}, "url: not the URL of a service"),
        ({"values": {"kind": {"Staff": "emploee"}}}, r"mapping\.people\.values\.kind: 'emploee' is not one of"),
        ({"constants": {"kind": "emploee"}}, r"mapping\.people\.constants\.kind: 'emploee' is not one of"),
    ],
)
def test_what_cannot_work_is_an_error_of_the_configuration(changes: dict[str, Any], says: str) -> None:
    people = {"path": "p", "rows": "@", "columns": {"person_id": "id", "kind": "k"}}
    if "constants" in changes:
        people["columns"] = {"person_id": "id"}
    given = {
        "connector": "rest",
        "url": changes.get("url", "https://qms.acme.test"),
        "auth": {"type": "bearer", "token": "env:T"},
        "mapping": {"people": {**people, **{key: each for key, each in changes.items() if key != "url"}}},
    }
    with pytest.raises(ValueError, match=says) as caught:
        load("rest").Settings.model_validate(given)
    assert "planted" not in "; ".join(error["msg"] for error in caught.value.errors())  # type: ignore[attr-defined] # pydantic's
