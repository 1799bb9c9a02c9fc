"""Nothing is filed twice and nothing is lost, whoever dies, however busy the server, whatever answer goes missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from tests.filing.desk import DeskSystem, behind, held
from tests.filing.desk import desk as simulator
from tests.filing.fire import LAG, PACE, SETTLE, Harm, under_fire


def desk(endpoint: str) -> DeskSystem:
    """Make the system that the workers file in."""
    return DeskSystem("desk", endpoint, settle_seconds=SETTLE)


def hasty_desk(endpoint: str) -> DeskSystem:
    """Make one that promises that its search sees everything at once, which is not true."""
    return DeskSystem("desk", endpoint, settle_seconds=0.0)


def test_each_ticket_is_filed_once(url: str) -> None:
    with simulator(lag=LAG) as system:
        fire = under_fire(
            url, system=system, opens=desk, held=lambda: held(system), behind=lambda: behind(system), tickets=400
        )
    fire.check()


def test_a_system_that_promises_too_much_is_found_out(tmp_path: Path) -> None:
    """What the fire is good for: where a search is believed too early, tickets are filed twice."""
    with simulator(lag=30.0) as system:
        fire = under_fire(
            f"sqlite:///{tmp_path / 'reconciler.db'}",
            system=system,
            opens=hasty_desk,
            held=lambda: held(system),
            tickets=20,
            harm=Harm(deaths=1, lost=0.4),
            pace=structs.replace(PACE, call=2.0, lease=3.0),
        )
    with pytest.raises(AssertionError):
        fire.check()
    assert max(fire.held.values()) > 1
