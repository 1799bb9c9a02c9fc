"""No event is taken twice and none lost: workers killed, answers lost, deliveries that come late, the receiver busy."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.webhook import TicketSettings, open_tickets
from connectors.webhook.tickets import WebhookTickets
from tests.filing.fire import DATABASES, under_fire
from tests.simulators.hooks import SECRET, Receiver

pytestmark = pytest.mark.parametrize("url", DATABASES, indirect=True)


def desk(endpoint: str) -> WebhookTickets:
    """Make the system that the workers file in."""
    given = {"connector": "webhook", "url": f"{endpoint}/hooks", "secret": "env:HOOK_SECRET"}
    return open_tickets("desk", TicketSettings.model_validate(given), Path("/"))


def test_each_ticket_is_taken_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    with Receiver() as receiver:
        fire = under_fire(url, system=receiver.url, opens=desk, held=receiver.held)
    fire.check()
