from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from tenacity import wait_none

from reconciler.connectors import load
from reconciler.sdk.connector import Gap, Page, Partition, Source
from tests.simulators.rest_qms import TOKEN, Qms

PEOPLE: dict[str, Any] = {
    "rows": "items",
    "columns": {
        "person_id": "number",
        "full_name": "name.full",
        "emails": "mails",
        "kind": "type",
        "ends_on": "leaving",
    },
    "values": {"kind": {"Staff": "employee", "Contract": "contractor"}},
}
STYLES: dict[str, dict[str, Any]] = {
    "link": {"style": "link", "total_header": "X-Total-Count", "limit_parameter": "limit", "limit": 4},
    "next": {"style": "next_url", "next": "paging.next", "more": "paging.more", "limit_parameter": "limit", "limit": 4},
    "cursor": {"style": "cursor", "parameter": "start", "next": "after", "limit_parameter": "limit", "limit": 4},
    "offset": {"style": "offset", "parameter": "start", "limit_parameter": "limit", "limit": 4, "total": "count"},
    "page": {"style": "page", "limit_parameter": "limit", "limit": 4, "total": "count"},
    "all": {"style": "none", "total": "count"},
}

Make = Callable[..., Source]


@pytest.fixture
def qms(monkeypatch: pytest.MonkeyPatch) -> Iterator[Qms]:
    monkeypatch.setenv("QMS_TOKEN", TOKEN)
    monkeypatch.setattr("reconciler.sdk.http._BACKOFF", wait_none())
    with Qms() as running:
        yield running


def settings_of(qms: Qms, style: str = "link", **changes: Any) -> Any:
    people = {"path": f"{style}/people", **PEOPLE}
    given = {
        "connector": "rest",
        "url": qms.url,
        "auth": {"type": "bearer", "token": "env:QMS_TOKEN"},
        "paging": STYLES[style],
        "mapping": {"people": people},
        **changes,
    }
    return load("rest").Settings.model_validate(given)


def source_of(qms: Qms, style: str = "link", **changes: Any) -> Source:
    made: Source = load("rest").open_source("qms", settings_of(qms, style, **changes), Path("/"))
    return made


async def pages_of(source: Source, table: str = "people") -> list[Page]:
    try:
        pages = [await source.page(table, Partition(), None)]
        while pages[-1].next is not None:
            assert len(pages) < 50
            pages.append(await source.page(table, Partition(), pages[-1].next))
        return pages
    finally:
        await source.close()


async def checked(source: Source) -> Sequence[Gap]:
    """Check a source and close it."""
    try:
        return await source.check()
    finally:
        await source.close()
