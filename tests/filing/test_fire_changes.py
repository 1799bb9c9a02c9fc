"""Comments and changes of status are each made once, whoever dies, however busy the server, whatever answer is lost."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from msgspec import structs
from sqlmodel import select

from connectors.rest.tickets import RestTickets
from reconciler.database import Database
from reconciler.database.filing import TicketRow
from reconciler.filing.outbox import mark_line
from reconciler.sdk.tickets import Change, Status, TicketRef, TicketSystem
from tests.connectors.rest.desks import SECRETS, opened
from tests.filing.desk import DeskSystem, held
from tests.filing.desk import desk as simulator
from tests.filing.fire import PACE, SETTLE, Harm, under_fire
from tests.simulators.desks.zendesk import Zendesk

CHANGES = (
    Change("findings-7", comment="NC after the run run-7: 2 findings stand.\n\n1 finding came:\n- F-3: u-1003"),
    Change("verified-run-9", comment="The run run-9 verified the effect.", status=Status.RESOLVED),
)
TICKETS = 20
HARM = Harm(lost=0.35, deaths=2)
"""Enough of each that so few tickets meet all of it."""
ONCE = {"resolved": TICKETS, "findings-7 1": TICKETS, "verified-run-9 1": TICKETS}
PATIENT = structs.replace(PACE, least_settle=SETTLE)
"""No promise about tickets goes for comments: after an answer that was lost each waits out this."""


def desk(endpoint: str) -> DeskSystem:
    """Make the system that the workers file in."""
    return DeskSystem("desk", endpoint, settle_seconds=SETTLE)


def zendesk(endpoint: str) -> RestTickets:
    """Make the system that the workers file in: its comments are sent by PUT."""
    return opened("zendesk", endpoint, settle_seconds=SETTLE)


async def made(url: str, system: TicketSystem) -> Counter[str]:
    """Return what tickets show of the changes: how many carry each mark once, or in vain, and how they stand."""
    with Database(url).reading() as session:
        refs = [TicketRef(row.remote_id or "", row.remote_number or "") for row in session.exec(select(TicketRow))]
    found: Counter[str] = Counter()
    for ref in refs:
        view = await system.read(ref)
        found[view.status.value] += 1
        for change in CHANGES:
            times = sum(mark_line(change.mark) in comment.text for comment in view.comments)
            found[f"{change.mark} {times}"] += 1
    await system.close()
    return found


async def test_each_change_is_made_once(url: str) -> None:
    with simulator() as service:
        fire = under_fire(
            url,
            system=service,
            opens=desk,
            held=lambda: held(service),
            tickets=TICKETS,
            changes=CHANGES,
            harm=HARM,
            pace=PATIENT,
        )
        assert await made(url, desk(service)) == ONCE
    fire.check()


async def test_so_it_is_where_a_comment_is_sent_by_put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, secret in SECRETS.items():
        monkeypatch.setenv(name, secret)
    url = f"sqlite:///{tmp_path / 'reconciler.db'}"
    with Zendesk() as service:
        fire = under_fire(
            url,
            system=service.url,
            opens=zendesk,
            held=service.held,
            creates=lambda method, _path: method in {"POST", "PUT"},
            tickets=TICKETS,
            changes=CHANGES,
            harm=HARM,
            pace=PATIENT,
        )
        assert await made(url, zendesk(service.url)) == ONCE
    fire.check()
