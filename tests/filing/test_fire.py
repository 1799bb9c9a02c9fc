"""Nothing is filed twice and nothing is lost, whoever dies, however busy the server, whatever answer goes missing."""

from __future__ import annotations

from tests.filing.desk import desk, held
from tests.filing.fire import under_fire

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
