"""After each run: what opens, what comes and goes, what is seen gone, and what a night that saw little moves."""

from __future__ import annotations

from collections.abc import Collection

import pytest
from sqlmodel import Session

from reconciler.errors import ConfigurationError, StoreError
from reconciler.nonconformity import attachments, following
from reconciler.nonconformity.record import Entry, Nonconformity, State
from reconciler.snapshot.people import Affiliation, Holders
from tests.findings.nights import night, record, result, rule, verdict
from tests.nonconformity.worlds import LEAVER, World, roles


def closed(url: str, **section: object) -> World:
    """Return a world whose only nonconformity was closed on day 20; its finding is account a of ldap."""
    world = World(url, watch_days=14, **section)
    world.live(0, {"ldap": {"a"}})
    world.enter_all(0)
    world.live(1, {"ldap": ()})
    world.live(15, {"ldap": ()})
    world.close(20)
    return world


def test_a_cause_opens_one_nonconformity_and_findings_come_and_go(url: str) -> None:
    world = World(url, watch_days=14)
    first = world.live(0, {"ldap": {"a", "b"}, "aws": {"c"}})
    assert (first.opened, first.attached) == (("NC-000001", "NC-000002"), 3)
    held = world.show("NC-000002").nonconformity
    assert (held.source, held.standing, held.severity, held.grade, held.state) == ("ldap", 2, "high", "minor", "open")
    assert (held.owner_role, held.owner, held.escalated_to) == ("it-operations-lead", "P-ops", None)
    assert (held.detected_at, held.due_at) == (night(0), night(7))
    assert held.title == "A leaver can sign in in ldap"
    assert held.statement == (
        "Found in ldap: A leaver can sign in (IG-LVR-001). 2 subjects when it was detected.\n"
        "Required: IG-C-07 Access ends when its reason ends.\n"
        "Clauses: ISO/IEC 27001:2022: A.5.18.\n"
        "Why it matters: Access outlives its reason."
    )
    assert (held.controls, held.clauses) == (("IG-C-07",), {"iso27001": ("A.5.18",)})

    second = world.live(1, {"ldap": {"b", "d"}, "aws": {"c"}})
    assert (second.opened, second.attached, second.detached) == ((), 1, 1)
    found = {one.detached_why for one in world.show("NC-000002").findings}
    assert found == {None, "resolved"}
    third = world.live(2, {"ldap": (), "aws": {"c"}})
    assert third.gone == ("NC-000002",)
    assert world.live(3, {"ldap": (), "aws": {"c"}}).verified == ()
    assert world.live(15, {"ldap": (), "aws": {"c"}}).verified == ()
    last = world.live(16, {"ldap": (), "aws": {"c"}})
    assert last.verified == ("NC-000002",)
    seen = world.show("NC-000002").nonconformity.verification
    assert seen is not None
    assert (seen.gone_run, seen.gone_at, seen.watch_until) == ("run-2", night(2), night(16))
    assert (seen.verified_run, seen.verified_at) == ("run-16", night(16))
    history = world.show("NC-000002").history
    assert [line.what for line in history] == [
        *("opened", "answered", "detached", "attached", "detached", "gone", "verified")
    ]
    assert {line.who for line in history} == {"reconciler"}
    assert all(line.why and line.run_id for line in history)
    assert [line.at.hour for line in history] == [4] * 7, "the instant at which the run was recorded"


def test_the_same_run_followed_twice_changes_nothing(file: str) -> None:
    world = World(file)
    run = world.record(0, {"ldap": {"a", "b"}})
    world.follow(run)
    before = world.show()
    again = world.follow(run)
    assert again == following.Followed()
    assert world.show() == before


def test_a_night_that_died_before_it_was_followed_is_caught_up(file: str) -> None:
    world = World(file)
    world.live(0, {"ldap": {"a"}}, follows=False)
    world.live(1, {"ldap": {"a", "b"}})
    assert world.only().standing == 2
    late = world.record(2, {"ldap": {"a", "b"}})
    world.live(3, {"ldap": {"b"}})
    with pytest.raises(StoreError, match="run run-2 is not the last recorded one"):
        world.follow(late)


def test_a_failure_halfway_leaves_nothing_done(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(file)
    world.live(0, {"ldap": {"a"}})
    before = world.show()

    def fail(_: Session) -> None:
        raise StoreError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(attachments, "holdings", fail)
        with pytest.raises(StoreError):
            world.live(1, {"ldap": {"b"}, "aws": {"c"}})
    assert [one.nc_id for one in world.store.listed()] == ["NC-000001"]
    assert world.show().findings == before.findings
    assert world.show().history == before.history


def test_a_partial_pull_moves_nothing(file: str) -> None:
    world = World(file, watch_days=1)
    world.live(0, {"ldap": {"a"}, "aws": {"c"}})
    before = world.standing()
    for number in (1, 2):
        moved = world.live(number, {"ldap": None, "aws": None})
        assert moved == following.Followed()
    assert world.standing() == before
    world.live(3, {"ldap": (), "aws": {"c"}})
    assert world.live(5, {"ldap": None, "aws": {"c"}}).verified == ()
    assert world.live(6, {"ldap": (), "aws": {"c"}}).verified == ("NC-000002",)


def test_a_finding_that_was_open_before_opens_nothing_in_a_night_that_could_not_judge_it(file: str) -> None:
    world = World(file)
    world.live(0, {"ldap": {"a"}, "aws": {"c"}}, follows=False)
    assert world.live(1, {"ldap": None, "aws": {"c"}}).opened == ("NC-000001",)
    assert world.only().source == "aws"


def test_where_no_source_is_in_the_grouping_all_of_them_must_be_judged(file: str) -> None:
    world = World(file, group_by=["rule"], watch_days=0)
    world.live(0, {"ldap": {"a"}, "aws": ()})
    assert world.only().source == "ldap"
    assert world.live(1, {"ldap": (), "aws": None}).gone == ()
    assert world.live(2, {"ldap": (), "aws": ()}).gone == ("NC-000001",)
    assert world.live(3, {"ldap": (), "aws": ()}).verified == ("NC-000001",)


def test_a_finding_that_comes_back_begins_the_watch_anew(file: str) -> None:
    world = World(file, watch_days=3)
    world.live(0, {"ldap": {"a"}})
    world.live(1, {"ldap": ()})
    assert world.live(2, {"ldap": {"a"}}).returned == ("NC-000001",)
    held = world.only()
    assert (held.verification, held.standing, held.findings) == (None, 1, 1)
    assert world.live(3, {"ldap": ()}).gone == ("NC-000001",)
    assert world.live(5, {"ldap": ()}).verified == ()
    assert world.live(6, {"ldap": ()}).verified == ("NC-000001",)
    assert world.live(7, {"ldap": {"b"}}).returned == ("NC-000001",), "one of the same cause counts as well"


def test_an_old_snapshot_judged_again_as_of_a_later_day_verifies_nothing(file: str) -> None:
    world = World(file, watch_days=3)
    world.live(2, {"ldap": {"a"}})
    assert world.follow(world.record(3, {"ldap": ()}), shown=1).gone == (), "it shows a day before it was detected"
    assert world.follow(world.record(4, {"ldap": ()}), shown=4).gone == ("NC-000001",)
    assert world.follow(world.record(9, {"ldap": ()}), shown=4).verified == ()
    assert world.live(10, {"ldap": ()}).verified == ("NC-000001",)


def test_several_rules_are_watched_for_as_long_as_the_one_that_asks_for_most(file: str) -> None:
    world = World(file, group_by=["source"], watch_days=1, rules={"IG-ORP-001": {"watch_days": 5}})

    def live(number: int, accounts: Collection[str]) -> following.Followed:
        found = [
            result(*(verdict(account, rule_id=each) for account in accounts), of=rule(each))
            for each in (LEAVER, "IG-ORP-001")
        ]
        return world.follow(record(world.findings, number, *found))

    assert live(0, {"a"}).opened == ("NC-000001",)
    assert live(1, ()).gone == ("NC-000001",)
    seen = world.only().verification
    assert seen is not None
    assert seen.watch_until == night(6)


def test_what_an_exception_covers_is_neither_standing_nor_gone(file: str) -> None:
    world = World(file, watch_days=0)
    world.live(0, {"ldap": {"a"}})
    covered = world.live(1, {"ldap": {"a"}}, excepted={"a": "E-1"})
    assert (covered.detached, covered.gone) == (1, ())
    assert world.show().findings[0].detached_why == "suppressed by exception E-1"
    assert world.only().standing == 0
    assert world.live(2, {"ldap": {"a"}}).attached == 1
    assert world.live(3, {"ldap": ()}).gone == ("NC-000001",)
    assert world.live(4, {"ldap": {"a"}}, excepted={"a": "E-1"}).returned == ("NC-000001",)
    assert world.only().verification is None


def test_what_is_held_or_cannot_be_judged_opens_nothing_and_is_not_gone(file: str) -> None:
    world = World(file, watch_days=0)
    assert world.live(0, {"ldap": {"x"}}, unsure={"x"}).opened == ()
    world.live(1, {"ldap": {"a"}})
    assert world.live(2, {"ldap": {"a"}}, unsure={"a"}).detached == 0, "unverified, it stands"
    assert world.live(3, {"ldap": ()}).gone == ("NC-000001",)
    assert world.live(4, {"ldap": {"a"}}, unsure={"a"}) == following.Followed(), "unknown: neither back nor gone"
    world.live(5, {"ldap": ()})
    held = world.live(6, {"ldap": {"a", "b"}}, limit=1)
    assert (held.attached, held.verified, held.returned) == (0, (), ())


def test_what_is_held_before_its_resolving_was_followed_leaves_too(file: str) -> None:
    world = World(file)
    world.live(0, {"ldap": {"a"}})
    world.live(1, {"ldap": ()}, follows=False)
    assert world.live(2, {"ldap": {"a", "b", "c"}}, limit=1).detached == 1
    assert world.show().findings[0].detached_why == "held for acceptance"
    assert (world.only().standing, world.only().verification) == (0, None)


def test_while_new_violations_are_held_it_is_unknown_whether_its_cause_is_gone(file: str) -> None:
    world = World(file, watch_days=0)
    world.live(0, {"ldap": {"a"}})
    held = world.live(1, {"ldap": {"b", "c"}}, limit=1)
    assert (held.detached, held.gone) == (1, ())
    assert world.live(2, {"ldap": {"b", "c"}}, limit=1).gone == ()
    assert world.live(3, {"ldap": ()}).gone == ("NC-000001",)


def test_a_finding_that_is_held_or_excepted_is_there_and_keeps_it_from_closing(file: str) -> None:
    world = World(file, watch_days=1)
    world.live(0, {"ldap": {"a"}})
    world.enter_all(0)
    world.live(1, {"ldap": ()})
    world.live(2, {"ldap": ()})
    world.live(3, {"ldap": {"a", "b"}}, limit=1)
    assert world.only().state is State.VERIFYING, "unknown: neither back nor gone"
    with pytest.raises(ConfigurationError, match="still open, though no longer attached; what is held"):
        world.close(3)
    world.live(4, {"ldap": ()})
    world.live(5, {"ldap": {"a"}}, excepted={"a": "E-1"}, follows=False)
    with pytest.raises(ConfigurationError, match="still open, though no longer attached; what is held"):
        world.close(5)
    world.live(6, {"ldap": ()})
    world.close(6)


def test_what_no_run_looks_for_any_more_is_set_aside_and_taken_up_by_the_run_that_does(url: str) -> None:
    world, nc = World(url), "NC-000002"

    def set_aside(number: int) -> Nonconformity:
        return world.store.set_aside(nc, by="ada", at=night(number).replace(hour=9), reason="The directory is gone")

    world.live(0, {"ldap": {"a"}, "aws": {"c"}})
    with pytest.raises(ConfigurationError, match="the last run looked for all of it"):
        set_aside(0)
    world.live(1, {"ldap": None, "aws": {"c"}})
    with pytest.raises(ConfigurationError, match="the last run looked for all of it"):
        set_aside(1)
    world.live(2, {"aws": {"c"}})
    held = set_aside(2)
    assert (held.state, held.standing, held.closed, held.verification) == (State.SET_ASIDE, 1, None, None)
    assert held.set_aside == Entry(by="ada", at=night(2).replace(hour=9), text="The directory is gone")
    assert [one.nc_id for one in world.store.listed(state="set_aside")] == [nc]
    assert [one.nc_id for one in world.store.listed(state="open")] == ["NC-000001"]
    assert nc not in [one.nc_id for one in world.store.listed(overdue=night(99))]
    assert world.show(nc).owed is None
    with pytest.raises(ConfigurationError, match="that it is not set aside yet"):
        set_aside(2)
    with pytest.raises(ConfigurationError, match="that it is taken up again: it is set aside"):
        world.close(2, nc)
    assert world.live(3, {"aws": {"c"}}) == following.Followed()
    assert world.show(nc).nonconformity.state is State.SET_ASIDE
    world.live(4, {"ldap": None, "aws": {"c"}})
    assert (world.show(nc).nonconformity.state, world.whats(nc)[-1]) == (State.OPEN, "taken up")
    assert world.show(nc).history[-1].who == "reconciler"
    with pytest.raises(ConfigurationError, match="it is not set aside"):
        world.store.take_up(nc, by="ada", at=night(4), reason="A mistake")
    world.live(5, {"aws": {"c"}})
    set_aside(5)
    back = world.store.take_up(nc, by="bob", at=night(5), reason="It comes back next week")
    assert (back.state, back.set_aside) == (State.OPEN, None)


def test_of_several_sources_one_that_left_hides_no_finding_of_another(file: str) -> None:
    world = World(file, group_by=["rule"])
    world.live(0, {"ldap": {"a"}, "aws": {"c"}})
    world.live(1, {"aws": {"c"}})
    with pytest.raises(ConfigurationError, match="findings gone of IG-LVR-001 in aws"):
        world.store.set_aside("NC-1", by="ada", at=night(1), reason="The directory is gone")
    world.live(2, {"aws": ()})
    world.store.set_aside("NC-1", by="ada", at=night(2), reason="The directory is gone")
    world.live(3, {"aws": ()})
    assert world.only().state is State.SET_ASIDE
    world.live(4, {"aws": {"d"}})
    assert (world.only().state, world.only().standing) == (State.OPEN, 2)


def test_findings_below_the_least_severity_become_none_and_leave(file: str) -> None:
    world = World(file, least_severity="medium")
    assert world.live(0, {"ldap": {"a"}}, severity="low").opened == ()
    assert world.live(1, {"ldap": {"a"}}, severity="medium").opened == ("NC-000001",)
    world.live(2, {"ldap": {"a"}}, severity="low")
    assert world.show().findings[0].detached_why == "below the least severity, medium"
    assert world.only().verification is None


def test_severity_and_grade_follow_and_what_is_due_only_comes_nearer(file: str) -> None:
    world = World(file)
    world.live(0, {"ldap": {"a"}}, severity="low")
    assert (world.only().severity, world.only().due_at) == ("low", night(90))
    world.live(1, {"ldap": {"a"}}, severity="critical")
    held = world.only()
    assert (held.severity, held.grade, held.due_at) == ("critical", "major", night(2))
    assert held.grade_reason == "severity critical, major from critical on"
    world.live(2, {"ldap": {"a"}}, severity="medium")
    held = world.only()
    assert (held.severity, held.grade, held.due_at) == ("medium", "minor", night(2))
    world.live(3, {"ldap": ()})
    assert world.only().severity == "medium"


def test_many_findings_make_it_major_and_mending_some_does_not_make_it_minor(file: str) -> None:
    world = World(file, major_count=3)
    world.live(0, {"ldap": {"a", "b"}})
    assert world.only().grade == "minor"
    world.live(1, {"ldap": {"a", "b", "c"}})
    assert (world.only().grade, world.only().grade_reason) == ("major", "3 findings, major from 3 on")
    world.live(2, {"ldap": {"a"}})
    assert world.only().grade == "major"


def test_the_same_cause_shortly_after_closing_reopens_it_and_all_is_owed_anew(url: str) -> None:
    world = closed(url, reopen_days=30)
    again = world.live(40, {"ldap": {"b"}})
    assert (again.opened, again.reopened) == ((), ("NC-000001",))
    held = world.only()
    assert (held.state, held.times_reopened, held.grade) == (State.OPEN, 1, "major")
    assert held.grade_reason == "it recurs: it was opened again after a close, once"
    assert (held.correction, held.analysis, held.action, held.verification, held.closed) == (None,) * 5
    assert (held.due_at, held.escalated_to, held.owner) == (night(47), "identity-governance-lead", "P-ops")
    assert world.whats()[-4:] == ["reopened", "weighed", "escalated", "weighed"]
    corrected = next(line for line in world.show().history if line.what == "corrected")
    assert corrected.after is not None
    assert corrected.after["correction"] == "Accounts disabled"


def test_the_same_cause_long_after_closing_opens_a_linked_one_that_is_major_and_goes_up(file: str) -> None:
    world = closed(file, reopen_days=10)
    again = world.live(40, {"ldap": {"a"}})
    assert (again.opened, again.reopened) == (("NC-000002",), ())
    held = world.show("NC-000002").nonconformity
    assert (held.recurrence_of, held.grade, held.grade_reason) == (
        *("NC-000001", "major", "it recurs: NC-000001 had the same cause"),
    )
    assert (held.escalated_to, held.owner) == ("identity-governance-lead", "P-ops")
    assert [one.nc_id for one in world.store.listed(owner="Identity-Governance-Lead")] == ["NC-000002"]
    assert world.show().nonconformity.state == State.CLOSED
    assert world.show().recurred_as == ("NC-000002",)
    assert world.live(41, {"ldap": {"a"}}) == following.Followed()


def test_a_machine_that_verified_before_the_action_was_done_verifies_anew(file: str) -> None:
    world = World(file, watch_days=1)
    world.live(0, {"ldap": {"a"}})
    world.live(1, {"ldap": ()})
    world.live(3, {"ldap": ()})
    world.enter_all(4)
    assert world.only().state == State.VERIFYING
    assert world.live(5, {"ldap": ()}).verified == ("NC-000001",)
    assert world.live(6, {"ldap": ()}).verified == ()
    world.close(7)


def test_findings_of_a_supplier_are_a_cause_of_their_own(file: str) -> None:
    world = World(file)
    world.people = {"P-a": Affiliation("S-1"), "P-b": Affiliation("S-2"), "P-c": Affiliation(None, "Sales")}
    world.live(0, {"ldap": {"a", "b", "c", "d"}})
    found = {one.supplier_id: (one.standing, one.cause.owner_role) for one in world.store.listed()}
    assert found == {"S-1": (1, None), "S-2": (1, None), None: (2, "it-operations-lead")}


def test_a_supplier_that_is_unknown_tonight_moves_no_finding_from_its_cause(file: str) -> None:
    world = World(file, reopen_days=0, watch_days=1)
    world.people = {"P-a": Affiliation("S-1")}
    world.live(0, {"ldap": {"a"}})
    world.people, world.people_whole = {}, False
    assert world.live(1, {"ldap": {"a"}}) == following.Followed()
    world.live(2, {"ldap": ()})
    assert world.live(3, {"ldap": {"a"}}).returned == ("NC-000001",), "it goes back to where it was"
    world.enter_all(3)
    world.live(4, {"ldap": ()})
    world.live(5, {"ldap": ()})
    world.close(5)
    assert world.live(9, {"ldap": {"a"}}).opened == ("NC-000002",)
    again = world.show("NC-000002").nonconformity
    assert (again.supplier_id, again.recurrence_of) == ("S-1", "NC-000001")


def test_owners_follow_the_holders_of_roles_and_a_vacant_role_goes_up(file: str) -> None:
    world = World(file)
    world.live(0, {"ldap": {"a"}})
    world.holders = roles(it_operations_lead="P-new", identity_governance_lead="P-lead")
    world.live(1, {"ldap": {"a"}})
    assert world.only().owner == "P-new"
    world.holders = Holders(unknown="role_holders of qms were not read whole")
    assert world.live(2, {"ldap": {"a"}}) == following.Followed()
    assert (world.only().owner, world.only().escalated_to) == ("P-new", None)
    world.holders = roles(identity_governance_lead="P-lead")
    world.live(3, {"ldap": {"a"}})
    assert (world.only().owner, world.only().escalated_to) == ("P-lead", "identity-governance-lead")
    line = world.show().history[-1]
    assert (line.what, line.why) == (
        "vacant",
        "role it-operations-lead is vacant: it goes up to identity-governance-lead",
    )
    world.holders = roles(it_operations_lead="P-ops")
    world.live(4, {"ldap": {"a"}})
    assert (world.only().owner, world.only().escalated_to) == ("P-ops", None)
    assert world.show().history[-1].why == "role it-operations-lead is held again"
    length = len(world.show().history)
    world.live(5, {"ldap": {"a"}})
    assert len(world.show().history) == length


def test_a_role_that_went_up_by_recurrence_stays_up(file: str) -> None:
    world = closed(file, reopen_days=30)
    world.live(40, {"ldap": {"a"}})
    world.holders = roles(ciso="P-ciso")
    world.live(41, {"ldap": {"a"}})
    assert (world.only().owner, world.only().escalated_to) == ("P-ciso", "ciso")
    world.holders = roles()
    world.live(42, {"ldap": {"a"}})
    assert (world.only().owner, world.only().escalated_to) == (None, "ciso")


def test_that_nobody_holds_any_role_is_said_when_it_opens(file: str) -> None:
    world = World(file)
    world.holders = roles()
    world.live(0, {"ldap": {"a"}})
    assert (world.only().owner, world.only().escalated_to) == (None, None)
    line = world.show().history[-1]
    assert (line.what, line.why) == ("answered", "role it-operations-lead is vacant, and no role above it is held")


def test_a_storm_of_five_thousand_findings_opens_one(url: str) -> None:
    world = World(url)
    storm = world.live(0, {"ldap": {f"u{n:05}" for n in range(5_000)}})
    assert (storm.opened, storm.attached) == (("NC-000001",), 5_000)
    held = world.only()
    assert (held.standing, held.grade, held.grade_reason) == (5_000, "major", "5,000 findings, major from 50 on")
    assert world.live(1, {"ldap": ()}).detached == 5_000
