from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.servicenow import TicketSettings, open_tickets
from connectors.servicenow.tickets import ServiceNow
from reconciler.sdk.tickets import Ticket
from tests.simulators.servicenow.server import PASSWORD, USER
from tests.simulators.servicenow.server import ServiceNow as Simulator


@pytest.fixture
def instance(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    monkeypatch.setenv("SN_PASSWORD", PASSWORD)
    with Simulator() as running:
        yield running


@pytest.fixture
def given(instance: Simulator) -> dict[str, Any]:
    return {"connector": "servicenow", "url": instance.url, "user": USER, "password": "env:SN_PASSWORD"}


@pytest.fixture
async def system(given: dict[str, Any]) -> AsyncIterator[Callable[..., ServiceNow]]:
    async with AsyncExitStack() as stack:

        def make(**changes: Any) -> ServiceNow:
            made = open_tickets("itsm", TicketSettings.model_validate(given | changes), Path("/"))
            stack.push_async_callback(made.close)
            return made

        yield make


def ticket(key: str = "rec-nc-000001", **changes: Any) -> Ticket:
    told: dict[str, Any] = {
        "title": "NC-000001: 3 accounts outlived their owner",
        "body": "Three accounts.\n\n- a1\n- a2",
        "severity": "high",
        "due_at": datetime(2026, 3, 9, 17, 30, tzinfo=UTC),
    }
    return Ticket(key=key, **(told | changes))
