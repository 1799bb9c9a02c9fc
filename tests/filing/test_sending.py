"""One operation at a time is done once, whatever its system answers, and whoever dies."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from reconciler.database import Database
from reconciler.errors import ConfigurationError, StoreError
from reconciler.filing import decisions, outbox, queue
from reconciler.filing.sending import Pace, Sent, remaining, send
from reconciler.sdk.errors import Misbehaved, Refused, Throttled, Unreachable
from reconciler.sdk.tickets import Change, Comment, Status, Ticket, TicketRef, TicketView
from tests.filing import desk
from tests.filing.conftest import KEY, Rows
from tests.filing.paper import START, Clock, Paper, lost
from tests.simulators.http_server import LoopbackServer

Ask = Callable[..., None]
Run = Callable[..., Awaitable[Sent]]
SETTLE = {"desk": queue.Settle(60.0, 60.0)}


@pytest.fixture
def run(database: Database, clock: Clock, paper: Paper) -> Run:
    async def run(*, workers: int = 1, **pace: Any) -> Sent:
        chosen = Pace(**({"patience": 600.0, "look_again": 1000.0} | pace))
        return await send(database, {"desk": paper}, workers=workers, pace=chosen, now=clock.now, sleep=clock.sleep)

    return run


async def test_a_ticket_is_made_once_and_kept_in_the_ledger(ask: Ask, run: Run, rows: Rows, paper: Paper) -> None:
    ask()
    assert await run() == Sent(filed=1)
    assert await run() == Sent()
    ticket = rows.ticket()
    assert (ticket.state, ticket.remote_id, ticket.remote_number) == ("filed", "1", "T1")
    assert rows.outcomes() == ["done"]
    assert paper.calls == ["find", "create"]


async def test_several_workers_share_the_work(ask: Ask, run: Run, paper: Paper) -> None:
    for number in range(1, 8):
        ask(number)
    assert (await run(workers=3)).filed == 7
    assert len({ticket.key for ticket in paper.tickets}) == len(paper.tickets) == 7


async def test_an_answer_that_is_lost_is_looked_up_after_the_settle_time(
    ask: Ask, run: Run, rows: Rows, paper: Paper
) -> None:
    ask()
    paper.after = [lost()]
    assert await run(patience=59.0) == Sent()
    assert rows.operation().state == "uncertain"
    assert rows.ticket().state == "waiting"
    assert paper.calls == ["find", "create"]
    assert await run() == Sent(found=1)
    assert len(paper.tickets) == 1
    assert rows.outcomes() == ["unknown", "found"]
    assert rows.ticket().note is None


async def test_what_surely_was_not_done_is_tried_again(ask: Ask, run: Run, rows: Rows, paper: Paper) -> None:
    ask()
    paper.before = [lost()]
    assert await run() == Sent(filed=1)
    assert paper.calls == ["find", "create", "find", "create"]
    assert rows.outcomes() == ["unknown", "done"]


async def test_a_search_that_lags_is_waited_out(database: Database, ask: Ask, clock: Clock) -> None:
    ask()
    paper = Paper(clock, settle_seconds=300.0, lag=299.0)
    paper.after = [lost()]
    pace = Pace(patience=1000.0, look_again=1000.0)
    await send(database, {"desk": paper}, workers=2, pace=pace, now=clock.now, sleep=clock.sleep)
    assert len(paper.tickets) == 1


async def test_no_search_is_believed_at_once_whatever_the_system_promises(
    database: Database, ask: Ask, clock: Clock
) -> None:
    ask()
    paper = Paper(clock, settle_seconds=0.0, lag=20.0)
    paper.after = [lost()]
    await send(database, {"desk": paper}, pace=Pace(look_again=1000.0), now=clock.now, sleep=clock.sleep)
    assert len(paper.tickets) == 1


async def test_an_idempotent_system_need_not_settle(ask: Ask, run: Run, rows: Rows, paper: Paper) -> None:
    ask()
    paper.idempotent = True
    paper.before = [lost()]
    assert await run(patience=20.0) == Sent(filed=1)
    assert rows.outcomes() == ["unknown", "done"]


async def test_what_a_system_promises_of_tickets_goes_for_no_comment(
    ask: Ask, run: Run, rows: Rows, paper: Paper
) -> None:
    """A server that is still at work on the first comment would take the second one too."""
    paper.idempotent = True
    ask()
    ask(change=Change("verified-1", comment="Gone."))
    paper.after = [None, lost()]
    assert await run(patience=59.0) == Sent(filed=1)
    assert rows.operation("verified-1").state == "uncertain"
    assert await run() == Sent(found=1)
    assert len(paper.tickets[0].comments) == 1


async def test_what_cannot_be_asked_is_sent_again(ask: Ask, run: Run, paper: Paper) -> None:
    paper.readable = False
    ask()
    ask(change=Change("verified-1", comment="Gone."))
    paper.before = [lost()]
    assert await run(patience=30.0) == Sent(filed=1, changed=1)
    assert paper.calls == ["create", "create", "change verified-1"]


@pytest.mark.parametrize("error", [Misbehaved("desk: no JSON"), KeyError("id"), OSError("gone"), TimeoutError()])
async def test_an_answer_that_makes_no_sense_may_have_been_done(
    ask: Ask, run: Run, rows: Rows, paper: Paper, error: Exception
) -> None:
    ask()
    paper.after = [error]
    assert await run(patience=59.0) == Sent()
    assert rows.operation().state == "uncertain"
    assert await run() == Sent(found=1)
    assert len(paper.tickets) == 1


async def test_a_system_that_asks_to_wait_is_left_alone_by_everybody(
    ask: Ask, run: Run, rows: Rows, paper: Paper, clock: Clock
) -> None:
    ask(1)
    ask(2)
    paper.before = [Throttled("desk: HTTP 429", retry_after=200.0)]
    assert await run(patience=199.0) == Sent()
    assert paper.calls == ["find", "create"]
    assert await run(patience=210.0) == Sent(filed=2)
    assert clock.at >= START + timedelta(seconds=200)
    assert rows.outcomes() == ["throttled", "done", "done"]


async def test_one_that_does_not_say_how_long_is_tried_again_soon(ask: Ask, run: Run, paper: Paper) -> None:
    ask()
    paper.before = [Throttled("desk: HTTP 429")]
    assert await run(patience=10.0) == Sent(filed=1)


@pytest.mark.parametrize(
    "error", [Refused("desk: HTTP 403", advice="Grant it."), ConfigurationError("field", advice="Correct it.")]
)
async def test_a_refusal_waits_for_a_person(ask: Ask, run: Run, rows: Rows, paper: Paper, error: Exception) -> None:
    ask()
    ask(change=Change("verified-1", comment="Gone."))
    paper.before = [error]
    sent = await run()
    assert [failure.key for failure in sent.failed] == [KEY]
    assert "it." in sent.failed[0].error
    assert await run() == Sent()
    assert rows.operation().state == "failed"
    again = decisions.retry(rows.database, "nc-000001", by="ada", reason="right granted", at=START)
    assert again == [f"desk {KEY} create"]
    assert await run() == Sent(filed=1, changed=1)
    assert "ada: right granted" in rows.details()


async def test_what_goes_on_failing_is_given_up(ask: Ask, run: Run, rows: Rows, paper: Paper) -> None:
    ask()
    paper.before = [lost() for _ in range(3)]
    sent = await run(tries=3)
    assert "given up after 3 tries" in sent.failed[0].error
    assert rows.operation().state == "failed"
    assert paper.tickets == []


async def test_so_is_what_failed_for_days(ask: Ask, run: Run, paper: Paper, clock: Clock) -> None:
    ask()
    clock.at += timedelta(days=8)
    paper.find_fails = [lost()]
    sent = await run()
    assert len(sent.failed) == 1
    assert paper.calls == ["find"]


async def test_given_up_while_uncertain_it_is_still_looked_up_when_a_person_tries_it_again(
    ask: Ask, run: Run, rows: Rows, paper: Paper, clock: Clock
) -> None:
    ask()
    paper.after = [lost()]
    assert len((await run(tries=1)).failed) == 1
    decisions.retry(rows.database, None, by="ada", reason="again", at=clock.at)
    assert rows.operation().state == "uncertain"
    assert await run(patience=59.0) == Sent()
    assert await run() == Sent(found=1)
    assert len(paper.tickets) == 1


async def test_a_look_that_fails_is_no_attempt(ask: Ask, run: Run, rows: Rows, paper: Paper) -> None:
    ask()
    paper.find_fails = [Unreachable("desk: HTTP 503"), Misbehaved("desk: no JSON")]
    assert await run() == Sent(filed=1)
    assert rows.outcomes() == ["done"]
    assert rows.operation().attempts == 3


async def test_a_worker_that_dies_in_its_call_leaves_it_uncertain(
    ask: Ask, run: Run, rows: Rows, paper: Paper, clock: Clock
) -> None:
    ask()
    claimed = queue.claim(rows.database, SETTLE, lease=400.0, at=clock.at)
    assert claimed is not None
    assert queue.begin(rows.database, claimed, at=clock.at, call=120.0) is not None
    paper.add(KEY)
    assert await run(patience=399.0) == Sent()
    assert rows.operation().state == "sending"
    clock.at += timedelta(seconds=400)
    assert await run(patience=59.0) == Sent()
    assert rows.operation().state == "uncertain"
    assert await run() == Sent(found=1)
    assert clock.at >= START + timedelta(seconds=460)
    assert rows.outcomes() == ["unknown", "found"]


async def test_one_that_dies_before_its_call_leaves_it_waiting(
    ask: Ask, run: Run, rows: Rows, paper: Paper, clock: Clock
) -> None:
    ask()
    assert queue.claim(rows.database, SETTLE, lease=400.0, at=clock.at) is not None
    clock.at += timedelta(seconds=400)
    assert await run(patience=1.0) == Sent(filed=1)
    assert paper.calls == ["find", "create"]
    assert rows.outcomes() == ["done"]


async def test_a_look_that_takes_too_long_leaves_it_waiting_and_says_so(
    ask: Ask, run: Run, rows: Rows, paper: Paper, clock: Clock
) -> None:
    ask()
    original = paper.find

    async def slow(key: str) -> Sequence[TicketRef]:
        clock.at += timedelta(seconds=300)
        return await original(key)

    paper.find = slow  # type: ignore[method-assign] # as a search that takes its time
    assert await run(patience=1.0) == Sent()
    paper.find = original  # type: ignore[method-assign] # quick again
    operation = rows.operation()
    assert (operation.state, operation.attempts, paper.tickets) == ("waiting", 1, [])
    assert "running out before anything was sent" in (operation.error or "")
    assert await run() == Sent(filed=1)


def test_a_process_that_was_stopped_too_long_sends_nothing_more(ask: Ask, database: Database, clock: Clock) -> None:
    """Between writing down that the call begins and its first byte, another had time to do it all."""
    ask()
    pace = Pace(look_again=1000.0, patience=1000.0)

    async def file(url: str, now: Clock, reached: Callable[[str], None] = lambda _: None) -> Sent:
        system = desk.DeskSystem("desk", url)
        try:
            systems = {"desk": system}
            return await send(database, systems, workers=1, pace=pace, now=now.now, sleep=now.sleep, reached=reached)
        finally:
            await system.close()

    with LoopbackServer(lambda: desk.Desk(0.0).application(), tls=False) as server, ThreadPoolExecutor(1) as pool:
        other = Clock()
        other.at += timedelta(seconds=500)
        done: list[Sent] = []

        def stopped(point: str) -> None:
            if point == "begun" and not done:
                done.append(pool.submit(asyncio.run, file(server.url, other)).result(timeout=60))

        assert asyncio.run(file(server.url, clock, stopped)).filed == 0
        assert done == [Sent(filed=1)]
        assert desk.held(server.url) == {KEY: 1}


async def test_nor_does_one_whose_clock_alone_went_on(ask: Ask, database: Database, rows: Rows, clock: Clock) -> None:
    ask()

    def stopped(point: str) -> None:
        clock.at += timedelta(seconds=121 if point == "begun" else 0)

    with LoopbackServer(lambda: desk.Desk(0.0).application(), tls=False) as server:
        system = desk.DeskSystem("desk", server.url)
        pace = Pace(patience=1.0)
        await send(database, {"desk": system}, workers=1, pace=pace, now=clock.now, sleep=clock.sleep, reached=stopped)
        await system.close()
        assert desk.held(server.url) == {}
    assert rows.operation().state == "uncertain"


async def test_a_system_that_does_not_answer_is_left_alone_and_holds_up_no_other(
    ask: Ask, database: Database, rows: Rows, paper: Paper, clock: Clock
) -> None:
    for number in range(1, 6):
        ask(number)
    paper.find_fails = [Unreachable("desk: no connection in time") for _ in range(100)]
    other = Paper(clock, name="other")
    with database.writing() as session:
        assert outbox.ask(session, system="other", ticket=Ticket(KEY, "T", "B\n", "high"), about="NC-000001", at=START)
    systems = {"desk": paper, "other": other}
    sent = await send(database, systems, pace=Pace(longest_wait=20.0), now=clock.now, sleep=clock.sleep)
    assert sent == Sent(filed=1, silent={"desk": "it does not answer: desk: no connection in time"})
    assert clock.at - START < timedelta(seconds=180)
    assert rows.operation().state == "waiting"
    assert paper.tickets == []


async def test_while_something_is_done_nobody_loses_patience(ask: Ask, run: Run, paper: Paper, clock: Clock) -> None:
    for number in range(1, 9):
        ask(number)

    def slow() -> None:
        clock.at += timedelta(seconds=100)

    paper.during = slow
    assert (await run(patience=150.0, longest=450.0)).filed == 5
    assert (await run(patience=150.0)).filed == 3


async def test_a_worker_that_slept_through_its_lease_makes_no_call(ask: Ask, database: Database, clock: Clock) -> None:
    ask()
    claimed = queue.claim(database, SETTLE, lease=400.0, at=clock.at)
    assert claimed is not None
    assert queue.begin(database, claimed, at=clock.at + timedelta(seconds=300), call=120.0) is None
    later = queue.claim(database, SETTLE, lease=400.0, at=clock.at + timedelta(seconds=400))
    assert later is not None
    assert later.token != claimed.token
    assert queue.begin(database, claimed, at=clock.at, call=120.0) is None
    queue.later(database, claimed, None, outcome="unknown", error="x", next_at=clock.at, at=clock.at)
    queue.failed(database, claimed, None, outcome="refused", error="x", at=clock.at)
    queue.gone(database, claimed, at=clock.at)
    assert queue.begin(database, later, at=clock.at + timedelta(seconds=400), call=120.0) is not None


async def test_a_second_ticket_made_by_a_late_worker_is_a_conflict(
    ask: Ask, rows: Rows, database: Database, clock: Clock
) -> None:
    ask()
    claimed = queue.claim(database, SETTLE, lease=400.0, at=clock.at)
    assert claimed is not None
    first = queue.begin(database, claimed, at=clock.at, call=120.0)
    queue.done(database, claimed, first, at=clock.at, ref=TicketRef("1", "T1"))
    queue.done(database, claimed, first, at=clock.at, ref=TicketRef("1", "T1"))
    assert rows.ticket().state == "filed"
    queue.done(database, claimed, first, at=clock.at, ref=TicketRef("2", "T2"))
    assert (rows.ticket().state, rows.ticket().remote_id) == ("conflict", "1")
    assert "T2 (2)" in (rows.ticket().note or "")


async def test_of_several_that_carry_the_key_the_oldest_is_ours(ask: Ask, run: Run, rows: Rows, paper: Paper) -> None:
    paper.add(KEY, status=Status.GONE)
    paper.add(KEY)
    paper.add(KEY)
    ask()
    assert await run() == Sent(found=1)
    assert (rows.ticket().state, rows.ticket().remote_id) == ("conflict", "2")
    assert "T3" in (rows.ticket().note or "")


async def test_one_that_was_there_before_is_taken_over_and_says_so(
    ask: Ask, run: Run, rows: Rows, paper: Paper
) -> None:
    paper.add(KEY)
    ask()
    assert await run() == Sent(found=1)
    assert "taken over" in (rows.ticket().note or "")
    assert len(paper.tickets) == 1


async def test_changes_follow_the_ticket_in_their_order(ask: Ask, run: Run, rows: Rows, paper: Paper) -> None:
    ask()
    ask(change=Change("one-1", comment="One."))
    ask(change=Change("two-2", comment="Two.", status=Status.RESOLVED))
    ask(change=Change("three-3", fields={"priority": 1}))
    paper.before = [None, None, Refused("desk: HTTP 403")]
    sent = await run(workers=3)
    assert (sent.filed, sent.changed, [f.mark for f in sent.failed]) == (1, 2, ["one-1"])
    assert [call for call in paper.calls if call.startswith("change")] == [
        "change one-1",
        "change two-2",
        "change three-3",
    ]
    assert rows.ticket().status == "resolved"
    assert rows.ticket().closed_seen_at is not None


async def test_a_change_whose_answer_was_lost_is_known_by_its_mark(
    ask: Ask, run: Run, rows: Rows, paper: Paper
) -> None:
    ask()
    ask(change=Change("verified-1", comment="Gone.", status=Status.CLOSED))
    paper.after = [None, lost()]
    assert await run() == Sent(filed=1, found=1)
    assert [comment.text for comment in paper.tickets[0].comments] == ["Gone.\n\n[verified-1]"]
    assert rows.outcomes() == ["done", "unknown", "found"]


async def test_a_change_to_a_ticket_that_is_gone_waits_for_a_person(
    ask: Ask, run: Run, rows: Rows, paper: Paper, database: Database
) -> None:
    ask()
    await run()
    paper.alter(0, status=Status.GONE)
    ask(change=Change("verified-1", comment="Gone."))
    assert await run() == Sent()
    assert rows.ticket().state == "gone"
    assert "--recreate" in (rows.ticket().note or "")
    assert await run() == Sent()
    with pytest.raises(ConfigurationError, match="nothing of"):
        decisions.retry(database, KEY, by="ada", reason="please", at=START)
    decisions.retry(database, KEY, recreate=True, by="ada", reason="deleted by mistake", at=START)
    assert await run() == Sent(filed=1, changed=1)
    assert rows.ticket().remote_id == "2"
    assert "in the place of T1" in (rows.ticket().note or "")


async def test_nothing_is_done_to_a_ticket_that_was_given_up(
    ask: Ask, run: Run, rows: Rows, paper: Paper, database: Database
) -> None:
    ask()
    assert decisions.abandon(database, KEY, by="ada", reason="filed by hand", at=START) == [f"desk {KEY}"]
    assert await run() == Sent()
    assert paper.calls == []
    assert rows.ticket().state == "abandoned"
    decisions.retry(database, KEY, recreate=True, by="ada", reason="after all", at=START)
    assert await run() == Sent(filed=1)


async def test_one_that_is_given_up_while_it_is_made_stays_given_up(
    ask: Ask, run: Run, rows: Rows, paper: Paper, database: Database
) -> None:
    ask()

    def give_up() -> None:
        decisions.abandon(database, KEY, by="ada", reason="by hand", at=START)

    paper.during = give_up
    assert await run() == Sent(filed=1)
    assert (rows.ticket().state, rows.ticket().remote_id) == ("abandoned", "1")


async def test_what_failed_of_a_ticket_that_was_given_up_is_not_tried_again(
    ask: Ask, run: Run, paper: Paper, database: Database
) -> None:
    ask()
    paper.before = [Refused("desk: HTTP 403")]
    await run()
    decisions.abandon(database, KEY, by="ada", reason="by hand", at=START)
    assert decisions.retry(database, None, by="ada", reason="x", at=START) == []
    with pytest.raises(ConfigurationError, match="is abandoned"):
        decisions.retry(database, KEY, by="ada", reason="x", at=START)


async def test_a_change_without_a_ticket_id_is_a_fault_that_is_said(
    ask: Ask, run: Run, database: Database, clock: Clock
) -> None:
    ask()
    ask(change=Change("verified-1", comment="Gone."))
    claimed = queue.claim(database, SETTLE, lease=400.0, at=clock.at)
    assert claimed is not None
    with database.writing() as session:
        session.connection().exec_driver_sql("UPDATE ticket_operations SET state = 'done' WHERE mark = 'create'")
    sent = await run()
    assert "its id there is not known" in sent.failed[0].error


async def test_a_database_that_fails_is_said_by_its_own_error(
    ask: Ask, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask()

    def fail(*_: object, **__: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr(queue, "begin", fail)
    with pytest.raises(StoreError, match="the disk is full"):
        await run(workers=3)


@pytest.mark.parametrize("by", [("", "why"), ("ada", " ")])
def test_nobody_decides_anonymously(database: Database, ask: Ask, by: tuple[str, str]) -> None:
    ask()
    with pytest.raises(ConfigurationError, match="named person"):
        decisions.retry(database, KEY, by=by[0], reason=by[1], at=START)
    with pytest.raises(ConfigurationError, match="named person"):
        decisions.abandon(database, KEY, by=by[0], reason=by[1], at=START)


def test_decisions_name_a_ticket_that_is_there(database: Database, ask: Ask) -> None:
    ask()
    with pytest.raises(ConfigurationError, match="no ticket of NC-9 in desk"):
        decisions.retry(database, "NC-9", system="desk", by="ada", reason="x", at=START)
    with pytest.raises(ConfigurationError, match="one by one"):
        decisions.retry(database, None, recreate=True, by="ada", reason="x", at=START)
    with pytest.raises(ConfigurationError, match=r"nothing of NC-000001 can be recreated: desk .* is waiting"):
        decisions.retry(database, "NC-000001", recreate=True, by="ada", reason="x", at=START)
    assert decisions.retry(database, None, by="ada", reason="x", at=START) == []


def test_what_is_left_of_a_change() -> None:
    view = TicketView(TicketRef("1"), Status.RESOLVED, "Done", comments=(Comment("1", "r", None, "Gone. [m-11]"),))
    assert remaining(Change("m-1", comment="Gone."), view) == Change("m-1", comment="Gone.")
    assert remaining(Change("m-11", comment="Gone."), view) is None
    assert remaining(Change("m-11", comment="Gone.", status=Status.CLOSED), view) is None
    assert remaining(Change("m-11", comment="Gone.", status=Status.OPEN), view) == Change("m-11", status=Status.OPEN)
    assert remaining(Change("m-1", fields={"a": 1}), view) == Change("m-1", fields={"a": 1})
    assert remaining(Change("m-11", comment="Gone.", fields={"a": 1}), view) is None
