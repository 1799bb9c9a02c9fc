"""No record twice and none lost: workers killed, answers lost, requests that come late, the instance busy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from connectors.servicenow import TicketSettings, open_tickets
from connectors.servicenow.tickets import ServiceNow
from tests.filing.fire import DATABASES, SETTLE, under_fire
from tests.simulators.servicenow.server import USER
from tests.simulators.servicenow.server import ServiceNow as Simulator

pytestmark = pytest.mark.parametrize("url", DATABASES, indirect=True)


def incidents(endpoint: str, **changes: Any) -> ServiceNow:
    """Make the system that files incidents by the Table API."""
    given = {"connector": "servicenow", "url": endpoint, "user": USER, "password": "env:SN_PASSWORD"}
    return open_tickets("desk", TicketSettings.model_validate(given | {"settle_seconds": SETTLE} | changes), Path("/"))


def import_set(endpoint: str) -> ServiceNow:
    """Make the system that files incidents by an import set that coalesces."""
    return incidents(endpoint, import_set="u_reconciler_tickets")


@pytest.mark.parametrize("opens", [incidents, import_set])
def test_each_ticket_is_filed_once(url: str, instance: Simulator, opens: Callable[[str], ServiceNow]) -> None:
    fire = under_fire(
        url,
        system=instance.url,
        opens=opens,
        held=lambda: Counter(row["correlation_id"] for row in instance.records()),
        creates=lambda method, path: method == "POST" and path.startswith("/api/now/"),
    )
    fire.check()
