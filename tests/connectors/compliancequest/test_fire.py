"""No record twice and none lost: workers killed, answers lost, requests that come late, the org busy."""

from __future__ import annotations

from collections import Counter

import pytest

from connectors.compliancequest.tickets import ComplianceQuestTickets
from tests.connectors.compliancequest import quality
from tests.filing.fire import DATABASES, under_fire

pytestmark = pytest.mark.parametrize("url", DATABASES, indirect=True)


def desk(endpoint: str) -> ComplianceQuestTickets:
    """Make the system that the workers file in."""
    return quality.opened(endpoint, name="desk", max_attempts=1)


def test_each_ticket_becomes_one_record(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CQ_SECRET", quality.SECRET)
    with quality.running() as salesforce:
        fire = under_fire(
            url,
            system=salesforce.url,
            opens=desk,
            held=lambda: Counter(str(row[quality.KEY]) for row in salesforce.org.entities[quality.NC].rows.values()),
            creates=lambda method, _path: method == "PATCH",
            fields={quality.STATUS: "Open"},
        )
    fire.check()
