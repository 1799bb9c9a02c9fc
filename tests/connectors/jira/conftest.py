from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.jira import TicketSettings, open_tickets
from connectors.jira.tickets import Jira
from reconciler.sdk.tickets import Ticket
from tests.simulators.jira.server import TOKEN, USER
from tests.simulators.jira.server import Jira as Simulator

REQUEST = {"service_desk": "3", "request_type": "25"}


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    monkeypatch.setenv("JIRA_TOKEN", TOKEN)
    with Simulator() as running:
        yield running


@pytest.fixture
def given(site: Simulator) -> dict[str, Any]:
    return {
        "connector": "jira",
        "url": site.url,
        "user": USER,
        "api_token": "env:JIRA_TOKEN",
        "project": "GRC",
    }


@pytest.fixture
async def system(given: dict[str, Any]) -> AsyncIterator[Callable[..., Jira]]:
    async with AsyncExitStack() as stack:

        def make(**changes: Any) -> Jira:
            made = open_tickets("jira", TicketSettings.model_validate(given | changes), Path("/"))
            stack.push_async_callback(made.close)
            return made

        yield make


def ticket(key: str = "rec-acme-nc-000001", **changes: Any) -> Ticket:
    told: dict[str, Any] = {
        "title": "NC-000001: 3 accounts outlived their owner",
        "body": "Three accounts.\n\nThey are:\n- a1\n- a2\n",
        "severity": "high",
        "due_at": datetime(2026, 3, 9, 17, 30, tzinfo=UTC),
    }
    return Ticket(key=key, **(told | changes))
