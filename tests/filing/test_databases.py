"""One ticket's whole life, on each kind of database."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from reconciler.database import opened
from reconciler.filing import decisions, known, ledger, outbox
from reconciler.filing.comparison import compare
from reconciler.filing.facts import example
from reconciler.filing.following import follow
from reconciler.filing.sending import Pace, Sent, send
from reconciler.sdk.errors import Throttled
from reconciler.sdk.tickets import Comment, Status, Ticket
from reconciler.sections.filing import Filing
from tests.filing.conftest import KEY
from tests.filing.paper import START, Clock, Paper, lost


async def test_a_ticket_is_made_followed_compared_and_given_up(url: str) -> None:
    database, clock = opened(url), Clock()
    paper = Paper(clock)

    async def sent() -> Sent:
        pace = Pace(look_again=1000.0, patience=1000.0)
        return await send(database, {"desk": paper}, workers=3, pace=pace, now=clock.now, sleep=clock.sleep)

    for number in (1, 2):
        with database.writing() as session:
            ticket = Ticket(f"rec-acme-nc-{number:06}", "Title", "Body\n", "high")
            outbox.ask(session, system="desk", ticket=ticket, about=f"NC-{number:06}", at=START)
    paper.before, paper.after = [Throttled("desk: HTTP 429", retry_after=5.0), None], [lost(), None]
    done = await sent()
    assert (done.filed, done.found) == (1, 1)
    assert sorted(ticket.key for ticket in paper.tickets) == [KEY, "rec-acme-nc-000002"]

    number = next(n for n, ticket in enumerate(paper.tickets) if ticket.key == KEY)
    paper.alter(number, status=Status.CLOSED, comments=(Comment("1", "Grace", START, "Done."),))
    clock.at += timedelta(days=1)
    facts = msgspec.structs.replace(example(), about="NC-000001", seen=2)
    followed = await follow(database, {"desk": paper}, [facts], Filing(), at=clock.at)
    assert (followed.read, len(followed.asked), followed.odd) == (2, 1, ())
    assert (await sent()).changed == 1
    assert paper.tickets[number].status == Status.OPEN

    (found,) = await compare(database, {"desk": paper}, estate="acme", at=clock.at)
    assert (found.there, found.agrees) == (2, True)
    paper.alter(number, status=Status.GONE)
    (found,) = await compare(database, {"desk": paper}, estate="acme", at=clock.at)
    assert found.missing == (KEY,)
    decisions.retry(database, "NC-1", recreate=True, by="ada", reason="deleted by mistake", at=clock.at)
    assert (await sent()).filed == 1
    decisions.abandon(database, KEY, by="ada", reason="closed by hand", at=clock.at)
    assert [entry.state for entry in ledger.status(database)] == ["abandoned", "filed"]
    assert ledger.status(database, about=KEY)[0].comments[0].text == "Done."
    assert ledger.undone(database, ["desk"]) == []
    assert known(database) == []
