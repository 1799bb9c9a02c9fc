"""Those who approve: for themselves, without the role, after they left, or without the training that it asks."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from reconciler.sdk.records import Approval, Person, RoleHolder, Training
from tests.truth.company import APPROVER_ROLE, COURSE, Company, Staff, approve, decided_by, hold, person, staff
from tests.truth.world import CLOUD, DAY, DIRECTORY, TODAY, World, entitlement, when

COPIES = 2
SECOND = timedelta(seconds=1)
DECIDED = datetime(2026, 10, 24, 12, tzinfo=UTC)
"""The day before clocks were set back, twenty-seven days ago."""
THAT_DAY = DECIDED.date()
MIDNIGHT = datetime(2026, 10, 24, 22, tzinfo=UTC)
"""When that day ended in the zone of the estate."""


def plant(world: World, firm: Company) -> None:
    """Plant approvals by those who may not give them, and by others who nearly may not."""
    for _ in range(COPIES):
        _of_oneself(world, firm)
        _of_another(world, firm)
        _without_role(world, firm)
        _with_role(world, firm)
        _role_unknown(world, firm)
        _untrained(world, firm)
        _trained(world, firm)
        _training_unknown(world, firm)


def record(world: World, firm: Company, **values: Any) -> Approval:
    """Add an approval of somebody's account in the directory, which is there; in order, unless told otherwise."""
    who = staff(world, firm).person.person_id if "person_id" not in values else values["person_id"]
    made: dict[str, Any] = {
        "kind": "onboarding",
        "person_id": who,
        "system": DIRECTORY,
        **decided_by(firm, who),
        "decision": "approved",
        "decided_at": DECIDED,
        "valid_from": DECIDED,
    }
    return world.add("approvals", Approval(approval_id=world.number("A"), **(made | values)))


def approver(world: World, firm: Company, *, since: date = TODAY - 900 * DAY, **values: Any) -> Person:
    """Add somebody who holds the role that approves; ``until``, ``role`` and what a person has may be given."""
    term: dict[str, Any] = {"role": APPROVER_ROLE, "since": since}
    term |= {name: values.pop(name) for name in ("until", "role") if name in values}
    who = staff(world, firm, **values).person
    world.add("role_holders", RoleHolder(person_id=who.person_id, **term))
    return who


def trained(world: World, who: Person, **values: Any) -> None:
    """Put other trainings in the place of somebody's; none for no values."""
    for row in [row for row in world.rows["trainings"] if isinstance(row, Training) and row.person_id == who.person_id]:
        world.remove("trainings", row)
    if values:
        world.add("trainings", Training(**({"person_id": who.person_id, "course": COURSE} | values)))


def _of_oneself(world: World, firm: Company) -> None:
    for role in ("person_id", "requested_by", "executed_by"):
        who = approver(world, firm).person_id
        found = record(world, firm, approved_by=who, **{role: who})
        world.violates("IG-APR-005", found.approval_id)
    everything = approver(world, firm).person_id
    mine = {"person_id": everything, "requested_by": None, "approved_by": everything, "executed_by": None}
    world.violates("IG-APR-005", record(world, firm, decision="Accepted ", **mine).approval_id)
    for lacking in ("requested_by", "executed_by", "approved_by"):
        unnamed = record(world, firm, **{lacking: None})
        world.unknown("IG-APR-005", unnamed.approval_id)
    world.unknown("IG-APR-006", unnamed.approval_id)


def _of_another(world: World, firm: Company) -> None:
    who, other = approver(world, firm).person_id, staff(world, firm).person.person_id
    record(world, firm, person_id=other, requested_by=other, executed_by=other)
    record(world, firm, person_id=who, approved_by=who, decision="rejected")
    record(world, firm, person_id=who, approved_by=who, requested_by=who, kind="termination", valid_from=when(-9))
    record(world, firm, person_id=who, approved_by=who, decision="pending")


def _without_role(world: World, firm: Company) -> None:
    def found(who: str, **values: Any) -> None:
        world.violates("IG-APR-006", record(world, firm, approved_by=who, **values).approval_id)

    found(staff(world, firm).person.person_id)
    found(world.number("stranger"))
    found(approver(world, firm, until=THAT_DAY - DAY).person_id)
    found(approver(world, firm, until=THAT_DAY).person_id, decided_at=MIDNIGHT)
    found(approver(world, firm, since=THAT_DAY + DAY).person_id, decided_at=MIDNIGHT - SECOND)
    chair = world.number("chair").lower()
    found(approver(world, firm, role=chair).person_id)
    # an approver who had left in Paris when those in New York had not
    for zone, at, late in (
        ("Europe/Paris", MIDNIGHT, True),
        ("Europe/Paris", MIDNIGHT - SECOND, False),
        ("America/New_York", MIDNIGHT + timedelta(hours=5), False),
    ):
        gone = person(world, manager=firm.boss, ends_on=THAT_DAY, time_zone=zone, status="left")
        world.add(
            "role_holders",
            RoleHolder(role=APPROVER_ROLE, person_id=gone.person_id, since=TODAY - 900 * DAY),
        )
        (found if late else _fine(world, firm))(gone.person_id, decided_at=at)


def _fine(world: World, firm: Company) -> Any:
    return lambda who, **values: record(world, firm, approved_by=who, **values)


def _with_role(world: World, firm: Company) -> None:
    last, first = approver(world, firm, until=THAT_DAY), approver(world, firm, since=THAT_DAY + DAY)
    record(world, firm, approved_by=last.person_id, decided_at=MIDNIGHT - SECOND)
    record(world, firm, approved_by=first.person_id, decided_at=MIDNIGHT)
    loud = approver(world, firm, role=f" {APPROVER_ROLE.upper()}")
    record(world, firm, approved_by=loud.person_id)
    nobody = staff(world, firm).person.person_id
    record(world, firm, approved_by=nobody, decision="rejected")
    record(world, firm, approved_by=nobody, kind="termination", valid_from=when(-9))


def _role_unknown(world: World, firm: Company) -> None:
    undated, undecided = record(world, firm, decided_at=None), record(world, firm, decision=None)
    lost, stranger = person(world, manager=firm.boss, ends_on=THAT_DAY, time_zone="Mars/Olympus"), world.number("lost")
    world.change("people", lost, ends_on=THAT_DAY)
    for who in (lost.person_id, stranger):
        world.add("role_holders", RoleHolder(role=APPROVER_ROLE, person_id=who, since=TODAY - 900 * DAY))
    by_lost, by_stranger = record(world, firm, approved_by=lost.person_id), record(world, firm, approved_by=stranger)
    for each in (undated, undecided, by_lost, by_stranger):
        world.unknown("IG-APR-006", each.approval_id)


def _operator(world: World, firm: Company, **values: Any) -> Staff:
    """Add somebody who works with privileged access to the cloud, for a time."""
    who = staff(world, firm)
    power = entitlement(world, CLOUD, world.number("Operate"), **({"privileged": True} | values))
    hold(world, firm, who.cloud, power, approve(world, firm, who.person, power), expires_at=when(-50))
    return who


def _untrained(world: World, firm: Company) -> None:
    for values, at in (
        ({"valid_until": THAT_DAY - DAY, "completed_on": TODAY - 300 * DAY}, DECIDED),
        ({"valid_until": THAT_DAY, "completed_on": TODAY - 300 * DAY}, MIDNIGHT),
        ({"completed_on": THAT_DAY + DAY, "valid_until": TODAY + 300 * DAY}, DECIDED),
        ({"completed_on": THAT_DAY - 366 * DAY}, DECIDED),
        ({"course": "Fire safety", "completed_on": TODAY - 99 * DAY, "valid_until": TODAY + 99 * DAY}, DECIDED),
        ({}, when(89.999)),
    ):
        who = approver(world, firm)
        trained(world, who, **values)
        record(world, firm, approved_by=who.person_id, decided_at=at)
        world.violates("IG-APR-007", who.person_id, None)
    for values in ({}, {"valid_until": TODAY - DAY, "completed_on": TODAY - 300 * DAY}):
        operator = _operator(world, firm).person
        trained(world, operator, **values)
        world.violates("IG-APR-007", operator.person_id, CLOUD)


def _trained(world: World, firm: Company) -> None:
    for values, at in (
        ({"valid_until": THAT_DAY, "completed_on": TODAY - 300 * DAY}, MIDNIGHT - SECOND),
        ({"completed_on": THAT_DAY, "valid_until": TODAY - 3 * DAY}, DECIDED),
        ({"completed_on": THAT_DAY - 364 * DAY}, DECIDED),
        ({"course": " Security AWARENESS", "completed_on": TODAY - 99 * DAY}, DECIDED),
        ({}, when(90)),
        ({}, None),
    ):
        who = approver(world, firm)
        trained(world, who, **values)
        if at is None:
            record(world, firm, approved_by=who.person_id, decision="rejected")
        else:
            record(world, firm, approved_by=who.person_id, decided_at=at)
    last_day = _operator(world, firm).person
    trained(world, last_day, completed_on=TODAY - 300 * DAY, valid_until=TODAY)
    trained(world, _operator(world, firm, privileged=False).person)
    closed = _operator(world, firm)
    trained(world, closed.person)
    world.change("accounts", closed.cloud, status="disabled", can_sign_in=False)
    world.violates("IG-LVR-003", CLOUD, closed.cloud.account_id)


def _training_unknown(world: World, firm: Company) -> None:
    undated, timeless = approver(world, firm), approver(world, firm)
    trained(world, undated, valid_until=TODAY + 99 * DAY)
    record(world, firm, approved_by=undated.person_id)
    trained(world, timeless)
    world.unknown("IG-APR-006", record(world, firm, approved_by=timeless.person_id, decided_at=None).approval_id)
    for who in (undated, timeless):
        world.unknown("IG-APR-007", who.person_id, None)
    operator, doubtful = _operator(world, firm).person, _operator(world, firm, privileged=None).person
    trained(world, operator, valid_until=TODAY + 99 * DAY)
    trained(world, doubtful)
    for who in (operator, doubtful):
        world.unknown("IG-APR-007", who.person_id, CLOUD)
