"""No incident twice and none lost: workers killed, answers lost, the instance busy."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from connectors.servicenow import TicketSettings
from connectors.servicenow import open_tickets as opened
from connectors.servicenow.tickets import ServiceNow
from tests.filing.fire import under_fire
from tests.simulators.servicenow.server import USER
from tests.simulators.servicenow.server import ServiceNow as Simulator


def _open(endpoint: str, **changes: Any) -> ServiceNow:
    given = {"connector": "servicenow", "url": endpoint, "user": USER, "password": "env:SN_PASSWORD"}
    return opened("desk", TicketSettings.model_validate(given | {"settle_seconds": 0} | changes), Path("/"))


def open_table(endpoint: str) -> ServiceNow:
    """Make the system that files by the Table API."""
    return _open(endpoint)


def open_import_set(endpoint: str) -> ServiceNow:
    """Make the system that files by an import set that coalesces."""
    return _open(endpoint, import_set="u_reconciler_tickets")


def test_each_incident_is_filed_once(url: str, instance: Simulator) -> None:
    _filed(url, instance, "open_table", 60)


def test_each_incident_of_an_import_set_is_filed_once(tmp_path: Path, instance: Simulator) -> None:
    _filed(f"sqlite:///{tmp_path}/fire.db", instance, "open_import_set", 24)


def _filed(url: str, instance: Simulator, way: str, tickets: int) -> None:
    fire = under_fire(
        url,
        simulator=instance.url,
        open_tickets=f"tests.connectors.servicenow.test_fire:{way}",
        held=lambda: Counter(row["correlation_id"] for row in instance.records()),
        creates=lambda method, path: method == "POST" and path.startswith("/api/now/"),
        tickets=tickets,
    )
    fire.check(tickets)
