"""What comes of answers that a real RT gives seldom, and of those that are not RT's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from connectors.request_tracker import open_tickets
from connectors.request_tracker.tickets import RequestTracker
from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused, SourceError, Unreachable
from reconciler.sdk.tickets import Change, Status, TicketRef
from tests.connectors.request_tracker.parts import settings, ticket
from tests.simulators.http_faults import Behaviour, FaultServer, closed, in_json, text

KEY = {"name": "Reconciler key", "id": "4"}
PATH = "/REST/2.0"
REF = TicketRef("7", "7")


def _queue(**more: Any) -> Behaviour:
    links = [{"ref": "self"}, {"ref": "create"}]
    return in_json({"id": 3, "Disabled": "0", "TicketCustomFields": [KEY], "_hyperlinks": links} | more)


def _ticket(number: str = "7", etag: str = '"90"', **more: Any) -> Behaviour:
    held = [KEY | {"values": ["acme-0001"]}]
    body = {"id": int(number), "Status": "open", "LastUpdated": "2026-11-21T10:00:00Z", "CustomFields": held}
    return in_json(body | more, headers={"ETag": etag})


def _items(*items: dict[str, Any], total: int | None = None, count: int | None = None) -> Behaviour:
    return in_json({"items": list(items), "count": len(items) if count is None else count, "total": total})


@pytest.fixture
async def server() -> AsyncIterator[FaultServer]:
    async with FaultServer() as running:
        running.script(f"{PATH}/rt", in_json({"Version": "5.0.3"}))
        running.script(f"{PATH}/queue/Identity%20governance", _queue())
        running.script(f"{PATH}/ticket/7", _ticket())
        yield running


@pytest.fixture
async def system(server: FaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RequestTracker]:
    monkeypatch.setenv("RT_TOKEN", "1-14-planted")
    opened = open_tickets("itsm", settings(server.url, "env:RT_TOKEN"), tmp_path)
    yield opened
    await opened.close()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (closed(), Unreachable),
        (in_json({"message": "Internal Server Error"}, 500), Unreachable),
        (in_json({"message": "no"}, 503), Unreachable),
        (in_json({"type": "ticket"}, 201), Unreachable),
        (in_json({"id": "x"}, 201), Unreachable),
        (text(b"<html>", "text/html", 201), Unreachable),
        (text(b"{", status=201), Unreachable),
        (in_json({"message": "Precondition Failed"}, 412), Refused),
        (in_json({"message": "Not Found"}, 404), Refused),
        (in_json({"message": "Field FileName is required"}, 400), Refused),
        (in_json({"message": "No permission to create tickets in the queue"}, 403), Refused),
        (text(b"too large", "text/plain", 413), Refused),
    ],
)
async def test_a_ticket_is_made_surely_or_surely_not_or_nobody_knows(
    server: FaultServer, system: RequestTracker, answer: Behaviour, error: type[SourceError]
) -> None:
    server.script(f"{PATH}/ticket", answer)
    with pytest.raises(error) as caught:
        await system.create(ticket("acme-0001"))
    assert [request.method for request in server.requests].count("POST") == 1
    if error is Unreachable:
        assert "look for" in caught.value.advice


async def test_a_ticket_that_cannot_be_looked_at_after_it_was_made_is_filed(
    server: FaultServer, system: RequestTracker
) -> None:
    server.script(f"{PATH}/ticket", in_json({"id": "7", "type": "ticket"}, 201))
    server.script(f"{PATH}/ticket/7", in_json({"message": "Not Found"}, 404))
    assert (await system.create(ticket("acme-0001"))).id == "7"


@pytest.mark.parametrize(
    "answer",
    [
        text(b"<html>404</html>", "text/html", 404),
        in_json({"error": "no route"}, 404),
        text(b"<html>log in</html>", "text/html"),
        in_json({"id": 7}),
        in_json({"message": "Forbidden"}, 403),
    ],
)
async def test_gone_is_said_by_rt_alone(server: FaultServer, system: RequestTracker, answer: Behaviour) -> None:
    server.script(f"{PATH}/ticket/7", answer)
    with pytest.raises((Refused, Misbehaved)):
        await system.read(REF)


async def test_a_ticket_that_rt_does_not_have_is_gone(server: FaultServer, system: RequestTracker) -> None:
    server.script(f"{PATH}/ticket/7", in_json({"message": "Not Found"}, 404))
    assert (await system.read(REF)).status is Status.GONE
    server.script(f"{PATH}/rt", in_json({"version": "of something else"}))
    with pytest.raises(Misbehaved, match="does not say which version"):
        await system.read(REF)


async def test_a_status_that_nobody_explained_is_no_status(server: FaultServer, system: RequestTracker) -> None:
    server.script(f"{PATH}/ticket/7", _ticket(Status="approved"))
    with pytest.raises(ConfigurationError, match="what RT's status 'approved' means") as caught:
        await system.read(REF)
    assert 'approved = "open"' in caught.value.advice


async def test_a_ticket_without_the_field_says_nothing_of_its_key(server: FaultServer, system: RequestTracker) -> None:
    server.script(f"{PATH}/ticket/7", _ticket(etag="", CustomFields=[]))
    with pytest.raises(Refused, match="ticket 7 does not show 'Reconciler key'"):
        await system.read(REF)


async def test_a_history_is_read_past_what_is_hidden_to_its_last_entry(
    server: FaultServer, system: RequestTracker
) -> None:
    said = {"id": "90", "Type": "Comment", "Creator": {"id": "ann"}, "Created": "2026-11-21T10:00:00Z"}
    server.script(f"{PATH}/ticket/7", _ticket(etag='W/"90-gzip"'))
    server.script(f"{PATH}/ticket/7/history", _items(), _items({"id": "80", "Type": "Create"}), _items(), _items(said))
    texts = {"id": "1", "TransactionId": "90", "ContentType": "text/plain", "Content": "Seen.", "Filename": ""}
    server.script(f"{PATH}/ticket/7/attachments", _items(texts))
    (comment,) = (await system.read(REF)).comments
    assert (comment.id, comment.author, comment.text) == ("90", "ann", "Seen.")


async def test_a_history_that_ends_before_its_last_entry_is_not_whole(
    server: FaultServer, system: RequestTracker
) -> None:
    server.script(f"{PATH}/ticket/7/history", _items({"id": "80", "Type": "Create"}), _items())
    with pytest.raises(Misbehaved, match="breaks off"):
        await system.read(REF)


@pytest.mark.parametrize(
    ("pages", "error", "said"),
    [
        ([_items({"id": "1"}, total=None)], ConfigurationError, "does not count"),
        ([_items({"id": "1"}, total=3), _items(total=2)], Misbehaved, "counts 2 tickets more and lists 0"),
        ([_items({"id": "1"}, {"id": "2"}, total=1)], Misbehaved, "counts 1 tickets more and lists 2"),
        ([_items({"id": "1"}, total=2), _items({"id": "1"}, total=1)], Misbehaved, "by id"),
        ([_items({"id": "1"}, total=1, count=2)], Misbehaved, "own count"),
        ([in_json({"count": 0, "total": 0})], Misbehaved, "no list of items"),
        ([in_json({"message": "Wrong query"}, 400)], Refused, "Wrong query"),
    ],
)
async def test_a_list_that_does_not_close_is_none(
    server: FaultServer, system: RequestTracker, pages: list[Behaviour], error: type[Exception], said: str
) -> None:
    server.script(f"{PATH}/tickets", *pages)
    with pytest.raises(error, match=said):
        await system.find("acme-0001")


async def test_a_key_of_another_case_is_not_ours_and_one_that_does_not_show_stops_the_list(
    server: FaultServer, system: RequestTracker
) -> None:
    other, hidden = KEY | {"values": ["ACME-0001"]}, {"id": "2", "CustomFields": []}
    server.script(f"{PATH}/tickets", _items({"id": "1", "CustomFields": [other]}, hidden, total=2))
    assert [ref.id for ref in await system.find("acme-0001")] == ["2"]
    with pytest.raises(Refused, match="ticket 2 carries a key of ours, and does not show it"):
        [one async for one in system.keyed("acme-")]


@pytest.mark.parametrize(
    ("queue", "error", "said"),
    [
        (_queue(TicketCustomFields=None), Misbehaved, "does not list the custom fields"),
        (_queue(id=None), Misbehaved, "without an id"),
        (_queue(_hyperlinks=[{"ref": "self"}]), Refused, "no ticket can be made"),
        (text(b"<html>log in</html>", "text/html"), Misbehaved, "instead of JSON"),
    ],
)
async def test_a_queue_that_is_not_as_it_should_be_stops_it(
    server: FaultServer, system: RequestTracker, queue: Behaviour, error: type[Exception], said: str
) -> None:
    server.script(f"{PATH}/queue/Identity%20governance", queue)
    with pytest.raises(error, match=said):
        await system.create(ticket("acme-0001"))


async def test_a_key_field_of_another_kind_is_a_gap(server: FaultServer, system: RequestTracker) -> None:
    server.script(f"{PATH}/customfield/4", in_json({"Type": "Select", "MaxValues": "0"}))
    server.script(f"{PATH}/tickets", _items(total=0))
    for number in range(1, 11):
        server.script(f"{PATH}/ticket/{number}", in_json({"message": "Not Found"}, 404))
    (gap,) = await system.check()
    assert gap.subject == "Reconciler key"
    assert "one value of free text" in gap.reason


async def test_a_remark_whose_answer_is_lost_is_made_once(server: FaultServer, system: RequestTracker) -> None:
    for answer in (closed(), text(b"<html>", "text/html", 201)):
        server.script(f"{PATH}/ticket/7/comment", answer)
        before = len(server.requests)
        with pytest.raises(Unreachable):
            await system.change(REF, Change("m", comment="Hello. [m]"))
        assert [request.method for request in server.requests[before:]] == ["GET", "POST"]


async def test_a_remark_without_an_entry_to_look_at_is_made(server: FaultServer, system: RequestTracker) -> None:
    server.script(f"{PATH}/ticket/7/comment", in_json(["Comments added"], 201))
    await system.change(REF, Change("m", comment="Hello. [m]"))
    assert server.requests[-1].method == "POST"
