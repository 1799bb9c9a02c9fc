"""The ledger and a ticket system are compared whole, or nothing is concluded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from reconciler.database import Database
from reconciler.filing.comparison import Comparison, compare
from reconciler.filing.sending import Pace, send
from reconciler.sdk.errors import Misbehaved
from reconciler.sdk.tickets import Status
from tests.filing.conftest import KEY, Rows
from tests.filing.paper import Clock, Paper, lost

Compared = Callable[[], Awaitable[Comparison]]


@pytest.fixture
async def compared(database: Database, clock: Clock, paper: Paper, ask: Callable[..., None]) -> Compared:
    """File the tickets of two nonconformities, then compare a day later."""
    ask(1)
    ask(2)
    await send(database, {"desk": paper}, pace=Pace(look_again=1000.0), now=clock.now, sleep=clock.sleep)
    clock.at += timedelta(days=1)

    async def compared() -> Comparison:
        (found,) = await compare(database, {"desk": paper}, estate="acme", at=clock.at)
        return found

    return compared


async def test_what_agrees_says_so(compared: Compared) -> None:
    found = await compared()
    assert found == Comparison(system="desk", there=2)
    assert found.agrees


async def test_tickets_of_others_are_none_of_ours(compared: Compared, paper: Paper) -> None:
    paper.add("rec-acme-nc-eu-nc-000001")
    paper.add("rec-acme-nc-12")
    paper.add("rec-acme-ra-000001")
    assert await compared() == Comparison(system="desk", there=2)


async def test_one_that_is_gone_there_is_gone_here(compared: Compared, rows: Rows, paper: Paper) -> None:
    paper.alter(0, status=Status.GONE)
    found = await compared()
    assert (found.missing, found.there, found.agrees) == ((KEY,), 1, False)
    assert rows.ticket().state == "gone"
    assert (await compared()).missing == ()


async def test_one_that_the_list_lacks_and_its_id_finds_is_not_gone(
    compared: Compared, rows: Rows, paper: Paper
) -> None:
    paper.alter(0, key="")
    found = await compared()
    assert (found.missing, found.unlisted) == ((), (KEY,))
    assert rows.ticket().state == "filed"


async def test_a_list_that_lags_is_not_held_against_a_new_ticket(
    compared: Compared, paper: Paper, clock: Clock
) -> None:
    paper.alter(0, key="")
    clock.at -= timedelta(days=1) - timedelta(seconds=59)
    assert (await compared()).agrees


async def test_one_that_the_ledger_does_not_know_is_reported(compared: Compared, paper: Paper) -> None:
    paper.add("rec-acme-nc-000099")
    found = await compared()
    assert found.extra == ("rec-acme-nc-000099: T3",)
    assert not found.agrees


async def test_duplicates_are_a_conflict_until_a_person_took_the_key_off(
    compared: Compared, rows: Rows, paper: Paper
) -> None:
    paper.add(KEY)
    found = await compared()
    assert found.duplicates == (f"{KEY}: T1, T3",)
    assert rows.ticket().state == "conflict"
    assert "T3" in (rows.ticket().note or "")
    paper.alter(2, key="")
    assert (await compared()).agrees
    assert (rows.ticket().state, rows.ticket().note) == ("filed", None)


async def test_one_that_was_given_up_and_is_there_is_linked(compared: Compared, database: Database, rows: Rows) -> None:
    with database.writing() as session:
        connection = session.connection()
        connection.exec_driver_sql("UPDATE ticket_operations SET state = 'failed' WHERE number = 1")
        connection.exec_driver_sql("UPDATE tickets SET state = 'waiting', remote_id = NULL WHERE key LIKE '%1'")
    found = await compared()
    assert found.linked == (KEY,)
    assert found.agrees
    assert (rows.ticket().state, rows.ticket().remote_id) == ("filed", "1")
    assert rows.operation().state == "done"


@pytest.mark.parametrize("error", [lost(), Misbehaved("desk: the cursor repeats"), KeyError("next")])
async def test_a_list_that_breaks_off_shows_nothing(
    compared: Compared, rows: Rows, paper: Paper, error: Exception
) -> None:
    paper.alter(0, status=Status.GONE)
    paper.add("rec-acme-nc-000099")
    paper.after = [error]
    found = await compared()
    assert found.unread
    assert (found.missing, found.extra, found.there) == ((), (), 0)
    assert not found.agrees
    assert rows.ticket().state == "filed"


async def test_one_that_does_not_answer_is_not_asked_again(database: Database, paper: Paper, clock: Clock) -> None:
    silent = {"desk": "it does not answer"}
    (found,) = await compare(database, {"desk": paper}, estate="acme", at=clock.at, silent=silent)
    assert found == Comparison(system="desk", unread="it does not answer")


async def test_one_that_cannot_be_asked_is_not_compared(database: Database, paper: Paper, clock: Clock) -> None:
    paper.readable = False
    assert await compare(database, {"desk": paper}, estate="acme", at=clock.at) == []
