"""Events are signed, the same for ever, and nothing is made up of a receiver that cannot be asked."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tenacity import wait_none

from connectors.webhook import TicketSettings, open_tickets
from connectors.webhook.tickets import WebhookTickets, _text, _web
from reconciler.sdk.errors import ConfigurationError, Refused, Throttled, Unreachable
from reconciler.sdk.tickets import Change, Status, Ticket, TicketRef, TicketSystem
from tests.simulators.hooks import SECRET, Receiver
from tests.simulators.http_injection import FaultKind

OLD = "whsec_dGhlLXNlY3JldC1iZWZvcmUtaXQtcGxhbnRlZC10b28="
TICKET = Ticket(
    key="rec-acme-nc-000001",
    title="NC-000001: a leaver can sign in",
    body="It does not hold.\n",
    severity="high",
    due_at=datetime(2026, 3, 8, tzinfo=UTC),
    fields={"queue": "access"},
)


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    monkeypatch.setenv("HOOK_OLD", OLD)
    monkeypatch.setattr("reconciler.sdk.http._BACKOFF", wait_none())
    with Receiver() as running:
        yield running


def opened(endpoint: str, name: str = "events", **changes: Any) -> WebhookTickets:
    given = {"connector": "webhook", "url": f"{endpoint}/hooks", "secret": "env:HOOK_SECRET"} | changes
    return open_tickets(name, TicketSettings.model_validate(given), Path("/"))


@pytest.fixture
async def events(receiver: Receiver) -> AsyncIterator[WebhookTickets]:
    system = opened(receiver.url)
    yield system
    await system.close()


async def test_a_ticket_is_a_signed_cloud_event(receiver: Receiver, events: WebhookTickets) -> None:
    assert isinstance(events, TicketSystem)
    made = await events.create(TICKET)
    assert made == TicketRef("T1", "1", "https://desk.test/T1")
    ((number, event),) = receiver.taken.items()
    assert event == {
        "specversion": "1.0",
        "id": number,
        "source": "/reconciler/events",
        "type": "io.reconciler.nonconformity.filed",
        "subject": TICKET.key,
        "datacontenttype": "application/json",
        "data": {
            "key": TICKET.key,
            "title": TICKET.title,
            "body": TICKET.body,
            "severity": "high",
            "due_at": "2026-03-08T00:00:00+00:00",
            "fields": {"queue": "access"},
        },
    }


async def test_the_same_operation_is_the_same_to_the_byte(receiver: Receiver, events: WebhookTickets) -> None:
    again = opened(receiver.url)
    assert await events.create(TICKET) == await again.create(TICKET)
    (first, one), (second, two) = receiver.deliveries
    assert (first["webhook-id"], one) == (second["webhook-id"], two)
    await again.change(TicketRef("T1"), Change(mark="m-1", comment="Here again."))
    await again.change(TicketRef("T1"), Change(mark="m-1", comment="Here again."))
    await again.change(TicketRef("T1"), Change(mark="m-2", status=Status.CLOSED))
    assert [event["data"].get("mark") for event in receiver.taken.values()] == [None, "m-1", "m-2"]
    assert [event["data"].get("status") for event in receiver.taken.values()] == [None, None, "closed"]
    await again.close()


async def test_what_is_previewed_is_what_is_sent(receiver: Receiver, events: WebhookTickets) -> None:
    preview = events.preview(TICKET)
    await events.create(TICKET)
    ((headers, body),) = receiver.deliveries
    assert (preview.method, preview.url) == ("POST", f"{receiver.url}/hooks")
    assert json.loads(preview.body) == json.loads(body)
    assert preview.headers["webhook-id"] == headers["webhook-id"]
    assert preview.headers["webhook-signature"] == "***"
    assert SECRET not in repr(preview)
    assert headers["webhook-signature"] not in repr(preview)


@pytest.mark.parametrize("speaks", ["text", "nothing"])
async def test_a_success_counts_whatever_it_says(receiver: Receiver, events: WebhookTickets, speaks: Any) -> None:
    receiver.speaks = speaks
    assert await events.create(TICKET) == TicketRef(TICKET.key)
    assert receiver.held() == {TICKET.key: 1}


async def test_a_lost_answer_is_asked_for_again_under_the_same_id(receiver: Receiver, events: WebhookTickets) -> None:
    receiver.faults.add(FaultKind.RESET_WITHIN)
    assert (await events.create(TICKET)).id == "T1"
    assert len(receiver.deliveries) == 2
    assert receiver.held() == {TICKET.key: 1}


async def test_a_disabled_endpoint_is_refused_and_says_so(receiver: Receiver, events: WebhookTickets) -> None:
    receiver.disabled = True
    with pytest.raises(Refused, match="has disabled this endpoint"):
        await events.create(TICKET)
    assert len(receiver.deliveries) == 1


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FaultKind.THROTTLED, Throttled),
        (FaultKind.SERVER_ERROR, Unreachable),
        (FaultKind.GATEWAY_TIMEOUT, Unreachable),
        (FaultKind.FORBIDDEN, Refused),
    ],
)
async def test_what_may_pass_is_told_from_what_will_not(
    receiver: Receiver, events: WebhookTickets, kind: FaultKind, error: type[Exception]
) -> None:
    receiver.faults.add(kind, times=None)
    with pytest.raises(error):
        await events.create(TICKET)
    assert receiver.taken == {}


async def test_a_secret_is_changed_over_without_a_gap(receiver: Receiver) -> None:
    system = opened(receiver.url, old_secret="env:HOOK_OLD")
    for secret in (SECRET, OLD):
        receiver.secret = secret
        assert (await system.create(TICKET)).id == "T1"
    receiver.secret = "whsec_" + "QUJD" * 8
    with pytest.raises(Refused, match="HTTP 401") as caught:
        await system.create(TICKET)
    assert "compare the secret" in caught.value.advice
    await system.close()


async def test_nothing_is_said_of_what_cannot_be_asked(events: WebhookTickets) -> None:
    assert not events.readable
    assert events.idempotent
    for asked in (events.find(TICKET.key), events.read(TicketRef("T1"))):
        with pytest.raises(Refused, match="cannot be asked what it holds"):
            await asked
    with pytest.raises(Refused, match="cannot be asked what it holds"):
        events.keyed("rec-acme-")
    (gap,) = await events.check()
    assert "is told and cannot be asked" in gap.reason


async def test_a_long_text_is_cut_and_keeps_its_mark(receiver: Receiver, events: WebhookTickets) -> None:
    await events.create(Ticket(key=TICKET.key, title="t", body='"é"\n' * 20_000, severity="low"))
    await events.change(TicketRef("T1"), Change(mark="m-1", comment="x" * 40_000 + "\n\n[m-1]"))
    filed, changed = (event["data"] for event in receiver.taken.values())
    assert "(cut: " in filed["body"]
    assert changed["comment"].endswith("[m-1]")
    assert all(len(body) < 20_000 for _, body in receiver.deliveries)


async def test_an_event_too_large_is_refused_before_it_is_sent(receiver: Receiver, events: WebhookTickets) -> None:
    with pytest.raises(ConfigurationError, match=r"20\d+ bytes, 20000 are the most"):
        await events.create(Ticket(key=TICKET.key, title="t", body="b", severity="low", fields={"x": "x" * 20_000}))
    with pytest.raises(ConfigurationError, match="no key of a ticket"):
        events.preview(Ticket(key="", title="t", body="b", severity="low"))
    assert receiver.deliveries == []


@pytest.mark.parametrize("secret", ["planted-no-whsec", "whsec_c2hvcnQ=", "whsec_%%%", f"whsec_{'QUJD' * 30}"])
async def test_a_secret_that_signs_nothing_is_named_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, events: WebhookTickets, secret: str
) -> None:
    monkeypatch.setenv("HOOK_SECRET", secret)
    with pytest.raises(ConfigurationError, match="the secret env:HOOK_SECRET signs no webhook") as caught:
        await events.check()
    assert secret not in str(caught.value)


def test_a_link_of_another_kind_is_not_kept() -> None:
    answer = {"id": True, "number": [], "url": "javascript:alert(1)"}
    assert (_text(answer, "id"), _text(answer, "number"), _web(answer)) == ("", "", "")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"url": "http://hooks.acme.example/x"}, "url: .*would carry the credentials unencrypted"),
        ({"url": "https://user:pw@hooks.acme.example/x"}, "url: not the URL of a service"),
        ({"secret": SECRET}, "must be a reference"),
        ({"headers": {"Authorization": "Bearer x"}}, "the signature proves who sends"),
        ({"headers": {"X-Env": "a\nb"}}, "cannot be sent as a header"),
        ({"type_prefix": "Not A Type"}, "type_prefix"),
    ],
)
def test_a_section_that_cannot_work_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        opened("https://hooks.acme.example", **changes)
