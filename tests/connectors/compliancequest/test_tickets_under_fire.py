"""No record twice and none lost, whoever dies and whichever answer goes missing."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.connectors.compliancequest import quality
from tests.filing.fire import Harm, under_fire


def test_each_ticket_becomes_one_record(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CQ_SECRET", quality.SECRET)
    with quality.running() as salesforce:
        fire = under_fire(
            url,
            simulator=salesforce.url,
            open_tickets="tests.connectors.compliancequest.quality:desk",
            held=lambda: Counter(str(row[quality.KEY]) for row in salesforce.org.entities[quality.NC].rows.values()),
            creates=lambda method, _path: method == "PATCH",
            fields={quality.STATUS: "Open"},
            harm=Harm(deaths=3),
        )
    fire.check(40)
