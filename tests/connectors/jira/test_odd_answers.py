"""Answers that are not what the reference promises: none of them is taken for an empty one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from connectors.jira.tickets import Jira
from reconciler.sdk.errors import Misbehaved, Refused, SourceError, Unreachable
from reconciler.sdk.tickets import Change, TicketRef
from tests.connectors.jira.conftest import ticket
from tests.simulators.http_faults import FaultServer, in_json

KEY = "rec-acme-nc-000001"
SEARCH, ISSUE = "/rest/api/3/search/jql", "/rest/api/3/issue/10001"
REF = TicketRef("10001", "GRC-1")
FIELDS = {"labels": [KEY], "status": {"name": "Odd", "statusCategory": {"key": "undefined"}}, "updated": "yesterday"}


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    async with FaultServer() as running:
        yield running


@pytest.fixture
def odd(system: Callable[..., Jira], server: FaultServer) -> Jira:
    return system(url=server.url)


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ({"isLast": True}, "has no list of issues"),
        ({"issues": ["GRC-1"], "isLast": True}, "has no list of issues"),
        ({"issues": [], "isLast": False}, "neither ends nor leads on"),
        ({"issues": [], "nextPageToken": 7}, "leads to one that was read"),
        ({"issues": [{"id": "10001", "key": "GRC-1"}]}, "an issue without fields"),
        ({"issues": [{"id": "10001", "key": "GRC-1", "fields": {}}]}, "labels does not show"),
        ({"issues": [{"id": None, "key": "GRC-1", "fields": {"labels": [KEY]}}]}, "names no issue"),
    ],
)
async def test_a_page_of_another_shape_is_no_answer(
    odd: Jira, server: FaultServer, page: dict[str, Any], message: str
) -> None:
    server.script(SEARCH, in_json(page))
    with pytest.raises(Misbehaved, match=message):
        await odd.find(KEY)


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ({"values": []}, "has no list comments"),
        ({"comments": []}, "has no list comments with its total"),
        ({"comments": [], "total": 3}, "0 of 3 comments came"),
    ],
)
async def test_remarks_that_do_not_come_whole_are_no_silence(
    odd: Jira, server: FaultServer, listed: dict[str, Any], message: str
) -> None:
    server.script(ISSUE, in_json({"id": "10001", "key": "GRC-1", "fields": FIELDS}))
    server.script(f"{ISSUE}/comment", in_json(listed))
    with pytest.raises(Misbehaved, match=message):
        await odd.read(REF)


async def test_a_status_without_a_category_has_no_meaning(odd: Jira, server: FaultServer) -> None:
    fields = FIELDS | {"status": {"name": "Done"}}
    server.script(ISSUE, in_json({"id": "10001", "key": "GRC-1", "fields": fields}))
    server.script(f"{ISSUE}/comment", in_json({"comments": [], "total": 0}))
    with pytest.raises(Misbehaved, match="a status without a category"):
        await odd.read(REF)


async def test_what_cannot_be_read_of_a_ticket_is_left_out_and_not_guessed(odd: Jira, server: FaultServer) -> None:
    comment = {"id": "7", "created": "2026-03-01T08:00:00", "body": "plain"}
    server.script(ISSUE, in_json({"id": "10001", "key": "GRC-1", "fields": FIELDS}))
    server.script(f"{ISSUE}/comment", in_json({"comments": [comment], "total": 1}))
    view = await odd.read(REF)
    assert (view.updated_at, view.raw_status, view.status.value) == (None, "Odd", "open")
    assert [(one.author, one.at, one.text) for one in view.comments] == [("", None, "")]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (409, {"errorMessages": ["The issue was changed"], "errors": {}}, Unreachable),
        (400, {"errorMessages": ["No"]}, Refused),
        (400, ["what"], Refused),
        (400, {}, Refused),
        (200, {"id": "10001"}, Unreachable),
        (201, [], Unreachable),
    ],
)
async def test_what_a_creation_may_be_answered_with(
    odd: Jira, server: FaultServer, status: int, body: Any, kind: type[SourceError]
) -> None:
    server.script("/rest/api/3/issue", in_json(body, status))
    with pytest.raises(kind):
        await odd.create(ticket())
    assert len(server.requests) == 1


async def test_labels_and_fields_are_set_in_one_request(odd: Jira, server: FaultServer) -> None:
    server.script(ISSUE, in_json({}, 200))
    await odd.change(REF, Change("rec-m-1", fields={"labels": ["a"], "priority": {"name": "Low"}}))
    (request,) = server.requests
    assert request.body == b'{"fields":{"priority":{"name":"Low"}},"update":{"labels":[{"add":"a"}]}}'
