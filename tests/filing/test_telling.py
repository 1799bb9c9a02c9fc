"""An open ticket is told once a run what came and went, how many stand, and how severe and how soon due it became."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from reconciler.database.findings import FindingRow
from reconciler.estate.results import Scope, Severity
from reconciler.filing import known, outbox
from reconciler.filing.following import follow
from reconciler.filing.reading import account_of
from reconciler.filing.sending import Pace, send
from reconciler.nonconformity import following
from reconciler.sdk.errors import Unreachable
from reconciler.sdk.tickets import Status, Ticket
from reconciler.sections.filing import Filing
from reconciler.snapshot.people import Affiliation, Holders
from tests.filing.conftest import KEY
from tests.filing.paper import Clock, Paper, lost
from tests.findings.nights import night, record, result, rule, verdict
from tests.nonconformity.nights import NC, Nights


class Desk:
    """Nights of a directory, and the ticket of what they show, filed after the first."""

    def __init__(self, url: str, *first: str) -> None:
        self.clock = Clock()
        self.paper = Paper(self.clock)
        self.nights = Nights(url)
        self.live(0, *first)
        with self.nights.database.writing() as session:
            ticket = Ticket(KEY, "Title", "Body\n", "high")
            outbox.ask(session, system="desk", ticket=ticket, about=NC, at=night(0) + timedelta(hours=3))

    def live(self, number: int, *accounts: str, severity: Severity = "high") -> None:
        found = [verdict(one, reason=f"Ada Byron ({one}) left", person="P-42") for one in accounts]
        of = rule(severity=severity)
        run = record(self.nights.findings, number, result(*found, scopes=[Scope(source="ldap")], of=of))
        following.follow(
            self.nights.database,
            run,
            self.nights.policy,
            shown_at=run.as_of,
            holders=Holders(unknown="no source"),
            affiliations=_nowhere,
        )

    async def exchange(self, number: int, **policy: Any) -> list[str]:
        """File and tell after the night of that number; return what was said on the ticket by now."""
        self.clock.at = night(number) + timedelta(hours=3)
        database, systems = self.nights.database, {"desk": self.paper}
        at, zone = self.clock.at, "Europe/Amsterdam"
        await follow(database, systems, known(database), Filing(**policy), at=at, time_zone=zone)
        pace = Pace(look_again=1000.0)
        await send(database, systems, pace=pace, now=self.clock.now, sleep=self.clock.sleep)
        return [comment.text for comment in self.paper.tickets[0].comments]

    def finding(self, account: str) -> str:
        return next(f.finding_id for f in self.nights.findings.findings() if f.subject["account_id"] == account)


def _nowhere(_ids: Collection[str]) -> tuple[Mapping[str, Affiliation], bool]:
    return {}, True


@pytest.fixture
def file(tmp_path: Any) -> str:
    return f"sqlite:///{tmp_path / 'reconciler.db'}"


async def test_a_ticket_is_told_once_a_run_what_came_and_went(url: str) -> None:
    desk = Desk(url, "a", "b")
    assert await desk.exchange(0) == []
    desk.live(1, "b", "c", "d")
    told = (
        "NC-000001 after the run run-1: 3 findings stand.\n\n"
        "2 findings came:\n"
        + "\n".join(sorted(f"- {desk.finding(one)}: {one}" for one in "cd"))
        + f"\n\n1 finding went:\n- {desk.finding('a')}: a (resolved)\n\n[findings-2]"
    )
    assert await desk.exchange(1) == [told]
    assert await desk.exchange(1) == [told]
    desk.nights.live(2, None)
    desk.nights.live(3, {"b", "c", "d"})
    assert await desk.exchange(3) == [told]
    desk.live(4)
    *_, last = await desk.exchange(4)
    assert last.startswith("NC-000001 after the run run-4: 0 findings stand.\n\n3 findings went:\n- ")


async def test_what_a_missed_night_would_have_told_is_told_with_the_next(file: str) -> None:
    desk = Desk(file, "a")
    await desk.exchange(0)
    desk.live(1, "a", "b", "brief")
    desk.live(2, "a", "b")
    (told,) = await desk.exchange(2)
    assert "2 findings stand.\n\n1 finding came:\n" in told
    assert "brief" not in told
    assert told.endswith("[findings-3]")
    assert len(await desk.exchange(2)) == 1


async def test_one_that_went_and_came_back_in_between_did_not_move(file: str) -> None:
    desk = Desk(file, "a", "b")
    await desk.exchange(0)
    desk.live(1, "b")
    desk.live(2, "a", "b")
    assert await desk.exchange(2) == []


async def test_a_comment_is_capped_and_names_nobody(file: str) -> None:
    desk = Desk(file, "a")
    await desk.exchange(0)
    desk.live(1, *(f"u-{number:02}" for number in range(30)))
    (told,) = await desk.exchange(1, personal_data=True)
    assert "30 findings came:\n" in told
    assert told.count("\n- F-") == 21
    assert "- and 10 more\n" in told
    assert "Ada" not in told
    assert "P-42" not in told
    desk.live(2, "a")
    *_, told = await desk.exchange(2, listed_findings=0)
    assert "1 finding came:\n- 1 that is not named here\n" in told
    assert "30 findings went:\n- 30 that are not named here\n" in told


async def test_it_is_told_that_it_became_worse_and_is_due_sooner(file: str) -> None:
    desk = Desk(file, "a")
    await desk.exchange(0)
    desk.live(1, "a", severity="critical")
    desk.live(2, "a", severity="low")
    (told,) = await desk.exchange(2)
    assert told == (
        "NC-000001 after the run run-2: 1 finding stands.\n\n"
        "Severity: low, it was high.\nDue: 2026-03-03, it was 2026-03-08.\n\n[findings-3]"
    )


async def test_policy_may_leave_it_untold(file: str) -> None:
    desk = Desk(file, "a")
    await desk.exchange(0)
    desk.live(1, "b")
    assert await desk.exchange(1, on_changed="nothing") == []
    assert len(await desk.exchange(1)) == 1


async def test_a_closed_ticket_is_told_once_it_is_open_again(file: str) -> None:
    desk = Desk(file, "a")
    await desk.exchange(0)
    desk.paper.alter(0, status=Status.CLOSED)
    desk.live(1, "a", "b")
    (told,) = await desk.exchange(1)
    assert "still saw 2 findings" in told
    assert len(await desk.exchange(1)) == 2
    assert "1 finding came:" in (await desk.exchange(1))[1]


async def test_nothing_is_told_before_the_ticket_is_there_or_while_a_comment_waits(file: str) -> None:
    desk = Desk(file, "a")
    desk.paper.find_fails = [Unreachable("desk: HTTP 503")] * 10
    desk.live(1, "b")
    desk.clock.at = night(1) + timedelta(hours=3)
    database, systems = desk.nights.database, {"desk": desk.paper}
    assert (await follow(database, systems, known(database), Filing(), at=desk.clock.at)).asked == ()
    desk.paper.find_fails = []
    await desk.exchange(1)
    assert (await follow(database, systems, known(database), Filing(), at=desk.clock.at)).asked != ()
    desk.live(2, "c")
    assert (await follow(database, systems, known(database), Filing(), at=desk.clock.at)).asked == ()
    assert len(await desk.exchange(2)) == 1
    assert len(await desk.exchange(2)) == 2


async def test_a_comment_whose_answer_was_lost_is_made_once(file: str) -> None:
    desk = Desk(file, "a")
    await desk.exchange(0)
    desk.live(1, "b")
    desk.paper.after = [lost()]
    assert len(await desk.exchange(1)) == 1
    assert len(await desk.exchange(1)) == 1


async def test_what_the_last_run_did_not_see_is_not_said_to_stand_as_if_it_had(file: str) -> None:
    desk = Desk(file, "a", "b")
    await desk.exchange(0)
    desk.live(1, "a", "b", "c")
    database = desk.nights.database
    with database.writing() as session:
        row = session.get_one(FindingRow, desk.finding("a"))
        row.last_seen_run = 1
    (told,) = await desk.exchange(1)
    assert "3 findings stand, of which it saw 2.\n" in told


def test_the_account_of_a_finding_is_its_holder_where_that_is_an_account() -> None:
    assert account_of({"source": "ldap", "account_id": "u-1"}) == "u-1"
    assert account_of({"principal_kind": "account", "principal_id": "u-2"}) == "u-2"
    assert account_of({"principal_kind": "entitlement", "principal_id": "admins"}) == ""
    assert account_of({"document_id": "D-1", "account_id": None}) == ""


def test_facts_name_the_instant_that_the_last_run_looked(file: str) -> None:
    desk = Desk(file, "a")
    (facts,) = known(desk.nights.database)
    assert facts.looked_at == night(0)
    assert msgspec.structs.asdict(facts)["last_run"] == "run-0"
