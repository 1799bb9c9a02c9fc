"""Answers that are not what the reference promises: none of them is taken for an empty one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from connectors.servicenow.tickets import ServiceNow
from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused, SourceError, Unreachable
from reconciler.sdk.tickets import Change, TicketRef
from tests.connectors.servicenow.conftest import ticket
from tests.simulators.http_faults import FaultServer, in_json

KEY = "rec-nc-000001"
TABLE = "/api/now/table/incident"
ID = "0a" * 16
ROW = {"sys_id": {"value": ID}, "correlation_id": {"value": KEY}, "number": {"value": "INC1"}}


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    async with FaultServer() as running:
        yield running


@pytest.fixture
def odd(system: Callable[..., ServiceNow], server: FaultServer) -> ServiceNow:
    return system(url=server.url)


@pytest.mark.parametrize(
    ("content", "headers", "message"),
    [
        ({}, {"X-Total-Count": "0"}, "has no list of records"),
        ({"result": {}}, {"X-Total-Count": "1"}, "has no list of records"),
        ({"result": [ROW]}, {"X-Total-Count": "many"}, "X-Total-Count"),
        ({"result": [ROW | {"sys_id": {"value": ""}}]}, {"X-Total-Count": "1"}, "without a sys_id"),
        (
            {"result": [ROW]},
            {"X-Total-Count": "9", "Link": f'<{TABLE}?sysparm_offset=1>;rel="next"'},
            "leads to one that was read",
        ),
    ],
)
async def test_a_page_of_another_shape_is_no_answer(
    odd: ServiceNow, server: FaultServer, content: dict[str, Any], headers: dict[str, str], message: str
) -> None:
    server.script(TABLE, in_json(content, headers=headers))
    with pytest.raises(Misbehaved, match=message):
        await odd.find(KEY)


async def test_a_next_page_elsewhere_is_not_asked_for(odd: ServiceNow, server: FaultServer) -> None:
    headers = {"X-Total-Count": "2", "Link": '<https://elsewhere.invalid/api>;rel="next"'}
    server.script(TABLE, in_json({"result": [ROW]}, headers=headers))
    with pytest.raises(Misbehaved, match="elsewhere"):
        await odd.find(KEY)


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        (200, {"error": {"message": "Transaction cancelled"}}, Unreachable, "Transaction cancelled"),
        (201, {"result": {}, "error": "odd"}, Unreachable, "odd"),
        (201, {"result": {}, "error": {}}, Unreachable, "without words"),
        (201, {"result": "made"}, Misbehaved, "without a sys_id"),
        (400, {"error": {"message": "Exception while reading request"}}, Refused, "Exception while reading"),
        (400, {"error": {"message": "Invalid table x"}}, ConfigurationError, "Invalid table"),
        (400, ["no"], Refused, "HTTP 400"),
        (409, {"error": {"message": "Conflict"}}, Refused, "HTTP 409"),
    ],
)
async def test_what_a_creation_may_be_answered_with(
    odd: ServiceNow, server: FaultServer, *, status: int, body: Any, kind: type[SourceError], message: str
) -> None:
    server.script(TABLE, in_json(body, status))
    with pytest.raises(kind, match=message):
        await odd.create(ticket())
    assert len(server.requests) == 1


async def test_controls_need_a_link_whoever_names_them(odd: ServiceNow, server: FaultServer) -> None:
    with pytest.raises(ConfigurationError, match="does nothing without control_link"):
        await odd.change(TicketRef(ID), Change("rec-m-1", fields={"control_items": [ID]}))
    with pytest.raises(ConfigurationError, match="does nothing without control_link"):
        await odd.create(ticket(fields={"control_items": [ID]}))
    with pytest.raises(ConfigurationError, match="does nothing without control_link"):
        odd.preview(ticket(fields={"control_items": [ID]}))
    assert server.requests == []


async def test_what_cannot_be_read_of_a_record_is_left_out_and_not_guessed(
    odd: ServiceNow, server: FaultServer
) -> None:
    row = ROW | {"state": {"value": "1"}, "sys_updated_on": {"value": "yesterday"}}
    server.script(TABLE, in_json({"result": [row]}, headers={"X-Total-Count": "1"}))
    server.script("/api/now/table/sys_journal_field", in_json({"result": []}, headers={"X-Total-Count": "0"}))
    view = await odd.read(TicketRef(ID))
    assert (view.updated_at, view.raw_status, view.assignee) == (None, "1", None)


async def test_without_a_due_date_none_is_written(odd: ServiceNow) -> None:
    assert "due_date" not in odd.preview(ticket(due_at=None)).body
    assert "impact" not in odd.preview(ticket(severity="unheard of")).body
