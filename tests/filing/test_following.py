"""What a ticket system says is read back, and what policy asks for is asked for once an occasion."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from sqlmodel import select

from reconciler.database import Database
from reconciler.database.filing import CommentRow
from reconciler.filing import decisions
from reconciler.filing.facts import Facts, example
from reconciler.filing.following import Followed, follow
from reconciler.filing.sending import Pace, send
from reconciler.sdk.tickets import Comment, Status
from reconciler.sections.filing import Filing
from tests.filing.conftest import KEY, Rows
from tests.filing.paper import START, Clock, Paper, lost

Night = Callable[..., Awaitable[Followed]]
STANDS = msgspec.structs.replace(example(), about="NC-000001", last_run="run-7", seen=3)
UNJUDGED = msgspec.structs.replace(STANDS, seen=0)
VERIFIED = msgspec.structs.replace(STANDS, seen=0, verified_run="20260401T021500Z-0a1b2c")


@pytest.fixture
def night(database: Database, clock: Clock, paper: Paper, ask: Callable[..., None]) -> Night:
    """File the ticket before the first night; each night read it back, and send what policy asks for."""
    ask()

    async def night(*facts: Facts, **policy: Any) -> Followed:
        pace = Pace(look_again=1000.0)
        await send(database, {"desk": paper}, pace=pace, now=clock.now, sleep=clock.sleep)
        clock.at += timedelta(days=1)
        followed = await follow(database, {"desk": paper}, facts, Filing(**policy), at=clock.at)
        await send(database, {"desk": paper}, pace=pace, now=clock.now, sleep=clock.sleep)
        return followed

    return night


def said(paper: Paper) -> list[str]:
    return [comment.text for comment in paper.tickets[0].comments]


async def test_what_its_system_says_is_kept(night: Night, rows: Rows, paper: Paper, clock: Clock) -> None:
    await night()
    comments = (Comment("7", "Grace", START, "On it.\0"),)
    paper.alter(
        0, status=Status.RESOLVED, raw_status="Fixed", assignee="Grace", resolution="removed", comments=comments
    )
    assert await night(UNJUDGED) == Followed(read=1)
    ticket = rows.ticket()
    assert (ticket.status, ticket.raw_status, ticket.assignee) == ("resolved", "Fixed", "Grace")
    assert (ticket.resolution, ticket.read_at, ticket.closed_seen_at) == ("removed", clock.at, clock.at)
    await night(UNJUDGED)
    with rows.database.reading() as session:
        assert [(c.author, c.text) for c in session.exec(select(CommentRow))] == [("Grace", "On it.\ufffd")]


async def test_a_closed_ticket_whose_findings_stand_is_reopened_each_time_it_is_closed(
    night: Night, rows: Rows, paper: Paper
) -> None:
    await night()
    paper.alter(0, status=Status.CLOSED)
    followed = await night(STANDS)
    assert [line.rpartition("-")[0] for line in followed.asked] == [f"desk {KEY} still-found"]
    assert paper.tickets[0].status == Status.OPEN
    assert "run-7 still saw 3 findings of NC-000001" in said(paper)[0]
    assert rows.ticket().closed_seen_at is None
    assert (await night(STANDS)).asked == ()
    paper.alter(0, status=Status.CLOSED)
    assert len((await night(STANDS)).asked) == 1
    assert paper.tickets[0].status == Status.OPEN
    assert len(said(paper)) == 2


async def test_one_that_was_closed_after_the_run_looked_waits_for_the_next(
    night: Night, paper: Paper, clock: Clock
) -> None:
    await night()
    looked = clock.at + timedelta(hours=20)
    closed = msgspec.structs.replace(STANDS, looked_at=looked)
    paper.alter(0, status=Status.CLOSED, updated_at=looked + timedelta(minutes=5))
    assert (await night(closed)).asked == ()
    later = msgspec.structs.replace(STANDS, looked_at=looked + timedelta(days=1))
    paper.alter(0, updated_at=looked + timedelta(days=2))
    assert len((await night(later)).asked) == 1


async def test_a_system_that_does_not_answer_is_not_asked_about_every_ticket(
    night: Night, paper: Paper, ask: Callable[..., None], database: Database, clock: Clock
) -> None:
    for number in range(2, 40):
        ask(number)
    await night()
    paper.before = [lost() for _ in range(100)]
    paper.calls.clear()
    followed = await follow(database, {"desk": paper}, [STANDS], Filing(), at=clock.at)
    asked = paper.calls.count("read")
    assert (followed.read, list(followed.silent)) == (0, ["desk"])
    assert len(followed.unread) <= 8
    assert re.fullmatch("desk: 3[0-9] more of its tickets were not asked for, .*", followed.unread[-1])
    assert asked < 20


async def test_or_it_is_told_so_once(night: Night, paper: Paper) -> None:
    await night()
    paper.alter(0, status=Status.RESOLVED)
    for _ in range(3):
        await night(msgspec.structs.replace(STANDS, seen=1), on_closed_but_found="comment")
    assert paper.tickets[0].status == Status.RESOLVED
    assert len(said(paper)) == 1
    assert "saw 1 finding of" in said(paper)[0]


async def test_findings_that_nobody_could_judge_reopen_nothing(night: Night, paper: Paper) -> None:
    await night()
    paper.alter(0, status=Status.CLOSED)
    assert (await night(UNJUDGED)).asked == ()
    assert paper.tickets[0].status == Status.CLOSED


@pytest.mark.parametrize(
    ("policy", "status", "comments"),
    [("close", Status.CLOSED, 1), ("comment", Status.OPEN, 1), ("nothing", Status.OPEN, 0)],
)
async def test_a_verified_effect_ends_the_ticket_as_policy_says(
    night: Night, paper: Paper, policy: str, status: Status, comments: int
) -> None:
    await night()
    for _ in range(2):
        await night(VERIFIED, on_verified=policy)
    assert paper.tickets[0].status == status
    assert len(said(paper)) == comments


async def test_one_that_is_closed_already_is_only_told(night: Night, paper: Paper) -> None:
    await night()
    paper.alter(0, status=Status.RESOLVED)
    await night(VERIFIED, on_verified="close")
    assert paper.tickets[0].status == Status.RESOLVED
    assert len(said(paper)) == 1


async def test_a_ticket_that_is_gone_is_shown_and_not_filed_again(night: Night, rows: Rows, paper: Paper) -> None:
    await night()
    paper.alter(0, status=Status.GONE)
    followed = await night(STANDS)
    assert followed.asked == ()
    assert followed.odd[0].startswith(f"desk {KEY} gone: its system says that there is no such ticket")
    assert (rows.ticket().state, rows.ticket().status) == ("gone", "gone")
    await night(STANDS)
    assert len(paper.tickets) == 1
    paper.alter(0, status=Status.OPEN)
    await night(STANDS)
    assert (rows.ticket().state, rows.ticket().note) == ("filed", None)


async def test_a_ticket_whose_key_was_taken_off_is_a_conflict_until_it_is_back(
    night: Night, rows: Rows, paper: Paper
) -> None:
    await night()
    paper.alter(0, key="")
    await night(STANDS)
    assert rows.ticket().state == "conflict"
    assert "no longer carries its key: it says ''" in (rows.ticket().note or "")
    paper.alter(0, key=KEY)
    await night(STANDS)
    assert (rows.ticket().state, rows.ticket().note) == ("filed", None)


async def test_a_person_may_have_another_filed_in_the_place_of_one_without_its_key(
    night: Night, rows: Rows, paper: Paper
) -> None:
    await night()
    paper.alter(0, key="")
    await night(STANDS)
    decisions.retry(rows.database, KEY, recreate=True, by="ada", reason="the first was merged", at=START)
    await night(STANDS)
    assert (rows.ticket().state, rows.ticket().remote_id) == ("filed", "2")
    assert len(paper.carrying(KEY)) == 1


@pytest.mark.parametrize("error", [lost(), ValueError("a defect")])
async def test_a_ticket_that_cannot_be_read_stays_as_it_was(
    night: Night, rows: Rows, paper: Paper, error: Exception
) -> None:
    await night(STANDS)
    read_at = rows.ticket().read_at
    paper.before = [error]
    followed = await night(STANDS)
    assert followed.read == 0
    assert followed.unread[0].startswith(f"desk {KEY}: ")
    assert rows.ticket().read_at == read_at


async def test_what_is_closed_at_both_ends_is_left_alone(night: Night, paper: Paper) -> None:
    await night()
    paper.alter(0, status=Status.CLOSED)
    assert (await night()).read == 1
    assert (await night()).read == 0
    assert (await night(UNJUDGED)).read == 1


async def test_one_that_cannot_be_asked_is_told_what_it_should_know(night: Night, rows: Rows, paper: Paper) -> None:
    paper.readable = False
    await night()
    assert (await night(VERIFIED, on_verified="close")).unread == ()
    assert "read" not in paper.calls
    assert rows.ticket().status == "closed"
    assert len(said(paper)) == 1


async def test_a_ticket_that_was_replaced_meanwhile_is_not_overwritten(
    night: Night, rows: Rows, paper: Paper, database: Database
) -> None:
    await night()
    paper.during = lambda: None
    original = paper.read

    async def read(ref: Any) -> Any:
        view = await original(ref)
        with database.writing() as session:
            session.connection().exec_driver_sql("UPDATE tickets SET remote_id = '9'")
        return view

    paper.read = read  # type: ignore[method-assign] # something else happens while it is read
    await follow(database, {"desk": paper}, [STANDS], Filing(), at=START)
    assert rows.ticket().remote_id == "9"
    assert rows.ticket().read_at != START
