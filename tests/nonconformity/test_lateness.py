"""What is late goes up in the record, a role for each stage, and says so once."""

from __future__ import annotations

from reconciler.nonconformity.lateness import escalate
from reconciler.snapshot.people import Holders
from tests.findings.nights import night
from tests.nonconformity.worlds import EVERYBODY, World, roles

UP = ("identity-governance-lead", "ciso")


def passed(world: World, number: int, accounts: str = "a", holders: Holders = EVERYBODY) -> tuple[str, ...]:
    """Live a night in which these accounts are found, as the product does; return what went up."""
    world.holders = holders
    run = world.record(number, {"ldap": accounts})
    world.follow(run)
    return escalate(world.database, run, days_after=[1, 7], escalate_to=UP, holders=holders)


def test_what_is_late_goes_up_a_role_each_time_and_stays_there(url: str) -> None:
    world = World(url)
    passed(world, 0)
    assert world.only().due_at == night(7)
    assert passed(world, 7) == ()
    assert passed(world, 8) == ("NC-000001",)
    assert (world.only().escalated_to, world.only().owner) == ("identity-governance-lead", "P-ops")
    assert passed(world, 9) == ()
    assert passed(world, 14) == ("NC-000001",)
    assert world.only().escalated_to == "ciso"
    assert passed(world, 60) == ()
    lines = [(line.what, line.why) for line in world.show().history if line.what == "escalated"]
    assert lines == [("escalated", f"due on {night(7):%Y-%m-%d}, and late: it goes up to {role}") for role in UP]


def test_what_waits_for_a_run_is_not_late_and_a_week_without_runs_is_made_up_for(file: str) -> None:
    world = World(file)
    passed(world, 0)
    world.enter_all(0)
    assert passed(world, 20, "") == ()
    assert world.only().state == "verifying"
    assert passed(world, 21) == ("NC-000001",)
    assert world.only().escalated_to == "ciso"


def test_what_an_exception_covers_or_was_set_aside_owes_nothing_and_is_not_late(file: str) -> None:
    world = World(file)
    passed(world, 0)
    world.enter_all(0)
    world.follow(world.record(1, {"ldap": {"a"}}, excepted={"a": "E-1"}))
    assert (world.only().state, world.store.owing()) == ("open", [])
    run = world.record(20, {"ldap": {"a"}}, excepted={"a": "E-1"})
    world.follow(run)
    assert escalate(world.database, run, days_after=[1], escalate_to=UP, holders=EVERYBODY) == ()
    assert world.store.owing() == []
    assert passed(world, 21) == ("NC-000001",)
    assert [one.nc_id for one in world.store.owing()] == ["NC-000001"]
    world.live(30, {"aws": ()})
    world.store.set_aside("NC-1", by="ada", at=night(30), reason="The directory is gone")
    assert world.store.owing() == []
    run = world.record(99, {"aws": ()})
    assert escalate(world.database, run, days_after=[1, 7, 60], escalate_to=(*UP, "board"), holders=EVERYBODY) == ()


def test_a_vacant_role_is_passed_by_and_one_that_went_up_for_it_goes_further(file: str) -> None:
    world = World(file)
    nobody = roles(ciso="P-ciso")
    passed(world, 0, holders=roles(it_operations_lead="P-ops", ciso="P-ciso"))
    assert passed(world, 8, holders=roles(it_operations_lead="P-ops", ciso="P-ciso")) == ("NC-000001",)
    assert world.only().escalated_to == "ciso"
    assert passed(world, 9, holders=nobody) == ()
    assert (world.only().escalated_to, world.only().owner) == ("ciso", "P-ciso")
    other = World(file.replace(".db", "-other.db"))
    led = roles(identity_governance_lead="P-lead", ciso="P-ciso")
    passed(other, 0, holders=led)
    assert other.only().escalated_to == "identity-governance-lead"
    assert passed(other, 8, holders=led) == ("NC-000001",)
    assert other.only().escalated_to == "ciso"


def test_whom_nobody_is_above_goes_nowhere(file: str) -> None:
    world = World(file)
    passed(world, 0)
    run = world.record(20, {"ldap": {"a"}})
    world.follow(run)
    assert escalate(world.database, run, days_after=[1], escalate_to=(), holders=EVERYBODY) == ()
    assert world.only().escalated_to is None
