"""No ticket twice and none lost in a real RT: workers killed, answers lost, requests that come late, RT busy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec import structs

from connectors.request_tracker import open_tickets
from connectors.request_tracker.tickets import RequestTracker as System
from tests.connectors.request_tracker.parts import settings
from tests.filing.fire import DATABASES, PACE, under_fire
from tests.servers.request_tracker import FILER, KEY_FIELD, RequestTracker

pytestmark = pytest.mark.parametrize("url", DATABASES, indirect=True)


@pytest.fixture(scope="module")
def busy_rt(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RequestTracker]:
    """RT with a process for each worker, and nothing in it."""
    with RequestTracker(tmp_path_factory.mktemp("rt") / "server", processes=3, mails=False) as server:
        yield server


def desk(endpoint: str) -> System:
    """Make the system that the workers file in."""
    return open_tickets("desk", settings(endpoint, "env:RT_TOKEN"), Path())


def test_each_ticket_is_filed_once(busy_rt: RequestTracker, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RT_TOKEN", busy_rt.tokens[FILER])
    estate = url.partition(":")[0].partition("+")[0]
    fire = under_fire(
        url,
        system=busy_rt.url,
        opens=desk,
        estate=estate,
        held=lambda: Counter(_keys(busy_rt, f"rec-{estate}-")),
        creates=lambda method, path: method == "POST" and path == "/REST/2.0/ticket",
        # RT shows a ticket at once, so its promise is 0 s: what was sent before must have ended by ``least_settle``.
        pace=structs.replace(PACE, least_settle=4.0),
    )
    fire.check()


def _keys(rt: RequestTracker, prefix: str) -> Iterator[str]:
    """Yield the key of each ticket that carries one of a prefix."""
    query = {"query": f"CF.{{{KEY_FIELD}}} STARTSWITH '{prefix}'", "fields": "CustomFields", "per_page": "100"}
    seen, page = 0, 1
    while True:
        found = rt.call("GET", "tickets", params={**query, "orderby": "id", "page": str(page)}).json
        for ticket in found["items"]:
            for field in ticket["CustomFields"]:
                if field["name"] == KEY_FIELD:
                    yield from field["values"]
        seen, page = seen + found["count"], page + 1
        if seen == found["total"]:
            return
        assert found["count"]
