"""The product's own filing over ServiceNow: filed, followed, changed, and compared with what people did meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from connectors.servicenow.tickets import ServiceNow
from reconciler import clock
from reconciler.database import opened
from reconciler.database.filing import TicketRow
from reconciler.filing import outbox
from reconciler.filing.comparison import compare
from reconciler.filing.following import follow
from reconciler.filing.sending import Pace, send
from reconciler.sdk.tickets import Change, Status, Ticket
from reconciler.sections.filing import Filing
from tests.simulators.servicenow.server import ServiceNow as Simulator

KEYS = [f"rec-acme-nc-{number:06}" for number in range(1, 5)]


async def test_what_people_do_to_tickets_is_told_apart(
    system: Callable[..., ServiceNow], instance: Simulator, tmp_path: Path
) -> None:
    database, made, at = opened(f"sqlite:///{tmp_path}/filing.db"), system(settle_seconds=0), clock.now()
    pace = Pace(patience=60, least_settle=0)
    with database.writing() as session:
        for key in KEYS:
            outbox.ask(session, system="itsm", ticket=Ticket(key, "A leaver", "Text\n", "high"), about=key[-9:], at=at)
    assert (await send(database, {"itsm": made}, pace=pace)).filed == 4
    with database.reading() as session:
        ids = {key: session.get_one(TicketRow, ("itsm", key)).remote_id or "" for key in KEYS}
    deleted, copied, stripped, closed = KEYS
    instance.instance.delete("incident", ids[deleted])
    instance.instance.insert("incident", {"correlation_id": copied}, "ada")
    instance.instance.update("incident", ids[stripped], {"correlation_id": ""}, "ada")
    ended = {"state": "7", "close_code": "Duplicate", "close_notes": "Not ours."}
    instance.instance.update("incident", ids[closed], ended, "ada")

    (found,) = await compare(database, {"itsm": made}, estate="acme", at=at + timedelta(days=1))
    assert (found.missing, found.unlisted, found.linked) == ((deleted,), (stripped,), ())
    assert [text.partition(":")[0] for text in found.duplicates] == [copied]

    assert (await follow(database, {"itsm": made}, [], Filing(), at=at)).unread == ()
    with database.reading() as session:
        rows = {key: session.get_one(TicketRow, ("itsm", key)) for key in KEYS}
        assert [rows[key].state for key in KEYS] == ["gone", "conflict", "conflict", "filed"]
        assert (rows[closed].status, rows[closed].resolution) == ("closed", "Duplicate: Not ours.")

    with database.writing() as session:
        change = Change("still-found-1", "It is found still.", Status.OPEN)
        outbox.ask_change(session, system="itsm", key=closed, change=change, at=at)
    assert (await send(database, {"itsm": made}, pace=pace)).changed == 1
    (ref,) = await made.find(closed)
    view = await made.read(ref)
    assert (view.status, [one.text for one in view.comments]) == (
        Status.OPEN,
        ["It is found still.\n\n[still-found-1]"],
    )


async def test_a_list_that_hides_something_shows_nothing_missing(
    system: Callable[..., ServiceNow], instance: Simulator, tmp_path: Path
) -> None:
    database, made, at = opened(f"sqlite:///{tmp_path}/filing.db"), system(settle_seconds=0), clock.now()
    with database.writing() as session:
        outbox.ask(session, system="itsm", ticket=Ticket(KEYS[0], "A leaver", "Text\n", "high"), about="NC-1", at=at)
    await send(database, {"itsm": made}, pace=Pace(patience=60, least_settle=0))
    instance.instance.hidden_tables.add("incident")
    (found,) = await compare(database, {"itsm": made}, estate="acme", at=at + timedelta(days=1))
    assert "hidden from these credentials" in (found.unread or "")
    assert found.missing == ()
