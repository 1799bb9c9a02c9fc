"""Nothing is filed twice and nothing is lost, whoever dies, however busy the server, whatever answer goes missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.filing.sending import Pace
from tests.filing.desk import desk, held
from tests.filing.fire import Harm, under_fire

TICKETS = 400


def test_four_hundred_tickets_are_each_filed_once(url: str) -> None:
    with desk(lag=1.0) as simulator:
        fire = under_fire(
            url,
            simulator=simulator,
            open_tickets="tests.filing.desk:open_desk",
            held=lambda: held(simulator),
            creates=lambda method, path: method == "POST" and path == "/tickets",
            tickets=TICKETS,
        )
    fire.check(TICKETS)


def test_a_system_that_promises_too_much_is_found_out(tmp_path: Path) -> None:
    """What the fire is good for: where a search is believed too early, tickets are filed twice."""
    with desk(lag=30.0) as simulator:
        fire = under_fire(
            f"sqlite:///{tmp_path / 'reconciler.db'}",
            simulator=simulator,
            open_tickets="tests.filing.desk:open_hasty_desk",
            held=lambda: held(simulator),
            creates=lambda method, path: method == "POST" and path == "/tickets",
            tickets=20,
            harm=Harm(deaths=1, lost=0.4),
            pace=Pace(call=4.0, lease=6.0, least_settle=0.0, first_wait=0.05, longest_wait=0.5, tries=60),
        )
    with pytest.raises(AssertionError):
        fire.check(20)
    assert max(fire.held.values()) > 1
