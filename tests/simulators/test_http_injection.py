"""Each fault of the shared injection module reaches a client as what it says it is."""

import asyncio
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from aiohttp import web

from tests.simulators.http_injection import PAGE_KINDS, STATUS_OF, FaultKind, Injector, Listing, shaped
from tests.simulators.http_server import LoopbackServer

ITEMS = [{"id": f"i{number}", "status": "ACTIVE", "size": number} for number in range(6)]

_RESET = (httpx.ReadError, httpx.RemoteProtocolError)
"""Below TLS, Python's ssl module reports a reset as the end of the stream."""


class Service:
    """Six items, two a page, the next link in a Link header."""

    def __init__(self, *, tls: bool = False) -> None:
        self.faults = Injector()
        self.server = LoopbackServer(self._app, tls=tls)

    def _app(self) -> web.Application:
        app = web.Application(middlewares=[self.faults.middleware(self._refuse)])
        app.router.add_get("/items", self._items)
        return app

    def _refuse(self, status: int, *, announced: bool) -> web.Response:
        headers = {"Retry-After": "1"} if announced and status == 429 else {}
        return web.json_response({"error": status}, status=status, headers=headers)

    async def _items(self, request: web.Request) -> web.Response:
        start = int(request.query.get("after", "0"))
        following = f"{self.server.url}/items?after={start + 2}" if start + 2 < len(ITEMS) else None
        page = shaped(self.faults, request, Listing(ITEMS[start : start + 2], following))
        answer = web.json_response(page.items)
        answer.headers.add("Link", f'<{request.url}>; rel="self"')
        if page.next is not None:
            answer.headers.add("Link", f'<{page.next}>; rel="next"')
        return answer


@contextmanager
def serving(*, tls: bool = False) -> Iterator[Service]:
    service = Service(tls=tls)
    with service.server:
        yield service


def get(service: Service, path: str = "/items", *, read: float = 30.0) -> httpx.Response:
    verify: ssl.SSLContext | bool = True
    if service.server.ca_file is not None:
        verify = ssl.create_default_context(cafile=str(service.server.ca_file))
    with httpx.Client(verify=verify, timeout=httpx.Timeout(30.0, read=read), trust_env=False) as client:
        return client.get(path if "://" in path else service.server.url + path)


def pages(service: Service) -> list[list[dict[str, object]]]:
    seen, path = [], "/items"
    while True:
        answer = get(service, path)
        seen.append(answer.json())
        if "next" not in answer.links:
            return seen
        path = answer.links["next"]["url"]


def test_without_faults_every_item_comes_once() -> None:
    with serving() as service:
        assert [item for page in pages(service) for item in page] == ITEMS
        assert service.faults.fired == []


@pytest.mark.parametrize("kind", sorted(STATUS_OF))
def test_a_status_is_answered_once_and_then_no_more(kind: FaultKind) -> None:
    with serving() as service:
        service.faults.add(kind)
        answer = get(service)
        assert answer.status_code == STATUS_OF[kind]
        assert ("retry-after" in answer.headers) == (kind is FaultKind.THROTTLED)
        assert answer.headers["content-type"].startswith(
            "text/html" if kind is FaultKind.BAD_GATEWAY_HTML else "application/json"
        )
        assert get(service).json() == ITEMS[:2]
        assert [fired.number for fired in service.faults.fired] == [1]


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FaultKind.CUT_BY_LENGTH, httpx.RemoteProtocolError),
        (FaultKind.CUT_CHUNKED, httpx.RemoteProtocolError),
        (FaultKind.RESET_BEFORE, _RESET),
        (FaultKind.RESET_WITHIN, _RESET),
        (FaultKind.HANG, httpx.ReadTimeout),
    ],
)
def test_an_answer_breaks_off(kind: FaultKind, error: type[Exception] | tuple[type[Exception], ...], tls: bool) -> None:
    with serving(tls=tls) as service:
        service.faults.add(kind)
        with pytest.raises(error):
            get(service, read=0.5 if kind is FaultKind.HANG else 30.0)
        assert get(service).status_code == 200


async def test_a_dripping_answer_never_ends_and_no_single_read_takes_long() -> None:
    with serving() as service:
        service.faults.add(FaultKind.DRIP)
        async with httpx.AsyncClient(timeout=2.0, trust_env=False) as client:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(3.0):
                    await client.get(service.server.url + "/items")


def test_bodies_that_are_whole_and_wrong() -> None:
    with serving() as service:
        for kind in (FaultKind.EMPTY_BODY, FaultKind.HTML_OK, FaultKind.MALFORMED_JSON, FaultKind.WRONG_TYPE):
            service.faults.add(kind, at=1, times=1)
            answer = get(service)
            assert answer.status_code == 200
            assert ("next" in answer.links) == (kind is not FaultKind.HTML_OK)
            if kind is FaultKind.EMPTY_BODY:
                assert answer.content == b""
            elif kind is FaultKind.WRONG_TYPE:
                assert answer.json() == {"unexpected": ITEMS[:2]}
            else:
                with pytest.raises(json.JSONDecodeError):
                    answer.json()
            service.faults.clear()


def test_pages_lose_repeat_and_move_items() -> None:
    with serving() as service:
        expected: dict[FaultKind, list[int]] = {
            FaultKind.EMPTY_PAGE: [0, 1, 4, 5],
            FaultKind.EMPTY_END: [0, 1],
            FaultKind.NEXT_MISSING: [0, 1, 2, 3],
            FaultKind.NEXT_REPEATED: [0, 1, 2, 3, 2, 3, 4, 5],
            FaultKind.DUPLICATED_PAGE: [0, 1, 2, 3, 2, 3, 4, 5],
            FaultKind.REORDERED_PAGE: [0, 1, 3, 2, 4, 5],
            FaultKind.OVERLAPPING_PAGE: [0, 1, 1, 2, 3, 4, 5],
        }
        for kind, sizes in expected.items():
            service.faults.add(kind, at=2)
            assert [item["size"] for page in pages(service) for item in page] == sizes, kind
            assert len(service.faults.fired) == 1, kind
            service.faults.clear()


def test_a_next_link_leads_to_another_host() -> None:
    with serving() as service:
        service.faults.add(FaultKind.NEXT_FOREIGN)
        assert get(service).links["next"]["url"] == "https://elsewhere.invalid/items?after=2"


def test_items_are_damaged_field_by_field() -> None:
    with serving() as service:
        service.faults.add(FaultKind.UNKNOWN_VALUE)
        assert {item["status"] for item in get(service).json()} == {"SOMETHING_NEW"}
        service.faults.add(FaultKind.FIELD_MISSING, field="id")
        assert [sorted(item) for item in get(service).json()] == [["size", "status"]] * 2
        service.faults.add(FaultKind.FIELD_MISTYPED, field="size")
        assert get(service).json()[0] == ITEMS[0] | {"size": {"unexpected": True}}
        service.faults.add(FaultKind.FIELD_MISSING)
        first, second = get(service).json()
        assert len(first) == len(second) == 2
        assert sorted(first) != sorted(second)


def test_a_fault_that_fits_nothing_is_not_said_to_have_fired() -> None:
    with serving() as service:
        service.faults.add(FaultKind.NEXT_MISSING)
        assert get(service, "/items?after=4").json() == ITEMS[4:]
        assert service.faults.fired == []
        assert FaultKind.NEXT_MISSING in PAGE_KINDS


def test_a_fault_that_waits_strikes_where_it_can() -> None:
    with serving() as service:
        service.faults.add(FaultKind.NEXT_MISSING, waits=True)
        answers = [get(service, f"/items?after={after}") for after in (4, 4, 0, 0)]
        assert ["next" in answer.links for answer in answers] == [False, False, False, True]
        assert [fired.number for fired in service.faults.fired] == [3]


def test_paths_counts_and_for_ever() -> None:
    with serving() as service:
        service.faults.add(FaultKind.SERVER_ERROR, at=2, path="after=2", times=2)
        service.faults.add(FaultKind.FORBIDDEN, path="after=4", times=None)
        answers = [get(service, f"/items?after={after}").status_code for after in (0, 2, 2, 0, 2, 2, 4, 4, 4)]
        assert answers == [200, 200, 500, 200, 500, 200, 403, 403, 403]
