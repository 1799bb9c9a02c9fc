"""People who changed position: with what they kept, and with or without a record."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from reconciler.estate.tables import RoleMap
from reconciler.sdk.records import Account, Approval, Event, Grant, Person, SpecialAccount
from tests.truth.company import Company, Staff, approve, decided_by, event, hold, person, staff
from tests.truth.world import CLOUD, DIRECTORY, World, account_of, entitlement, when

COPIES = 2
MAPPED = "Assembly"
WINDOW, BEFORE, AFTER = 30, 30, 1
"""Days: for the hand-over, and around the event in which its record may be decided."""
SECOND = timedelta(seconds=1)


def plant(world: World, firm: Company) -> None:
    """Plant people who moved and kept what they held, others whose access was decided anew, and unrecorded moves."""
    for source, wanted in ((DIRECTORY, "office"), (None, "ledg*")):
        number = len(world.declared["role_maps"]) + 1
        world.declare("role_maps", RoleMap(number=number, department=MAPPED.lower(), source=source, entitlement=wanted))
    for _ in range(COPIES):
        _keeps(world, firm)
        _keeps_rightly(world, firm)
        _keeps_perhaps(world, firm)
        _unrecorded(world, firm)
        _recorded(world, firm)
        _recorded_perhaps(world, firm)


def move(world: World, firm: Company, who: Person, days: float, **values: Any) -> Approval:
    """Approve somebody's change of position, that many days ago."""
    made: dict[str, Any] = {
        "kind": "role_change",
        "person_id": who.person_id,
        **decided_by(firm, who.person_id),
        "decision": "approved",
        "decided_at": when(days),
        "valid_from": when(days),
    }
    return world.add("approvals", Approval(approval_id=world.number("A"), **(made | values)))


def changed(world: World, account: Account, days: float, **values: Any) -> Event:
    """Add the event of a changed role."""
    return event(world, account, "role_changed", days, **values)


def _keys(grant: Grant) -> tuple[str, ...]:
    return grant.source, grant.principal_kind, grant.principal_id, grant.entitlement_id, grant.assignment


def _kept(world: World, *grants: Grant) -> None:
    for grant in grants:
        world.violates("IG-MOV-001", *_keys(grant))


def _keeps(world: World, firm: Company) -> None:
    for days in (WINDOW, 60):
        who = staff(world, firm)
        move(world, firm, who.person, days)
        _kept(world, who.grant, who.ledger)
    told = staff(world, firm)
    changed(world, told.cloud, 60, approval_ref=told.approval.approval_id)
    _kept(world, told.grant, told.ledger)
    here = staff(world, firm)
    move(world, firm, here.person, 60, system=" CLOUD ", decision="Granted")
    _kept(world, here.ledger)
    # approved anew after the first move, not after the second
    twice = staff(world, firm)
    move(world, firm, twice.person, 200)
    move(world, firm, twice.person, 60)
    for held in (firm.office, firm.ledger):
        approve(world, firm, twice.person, held, decided_at=when(150), valid_from=when(150))
    _kept(world, twice.grant, twice.ledger)
    # the map is that of another department, or of another system
    mapped = staff(world, firm, department=MAPPED)
    move(world, firm, mapped.person, 60)
    office = entitlement(world, CLOUD, "Office")
    _kept(world, hold(world, firm, mapped.cloud, office, approve(world, firm, mapped.person, office)))


def _renewed(world: World, firm: Company, who: Staff, days: float, **values: Any) -> None:
    for held in (firm.office, firm.ledger):
        approve(world, firm, who.person, held, decided_at=when(days), valid_from=when(days), **values)


def _keeps_rightly(world: World, firm: Company) -> None:
    in_time = staff(world, firm)
    late = when(WINDOW) + SECOND
    move(world, firm, in_time.person, 0, decided_at=late, valid_from=late)
    for days in (60, 20):
        renewed = staff(world, firm)
        move(world, firm, renewed.person, 60)
        _renewed(world, firm, renewed, days)
    by_map = staff(world, firm, department=f" {MAPPED.upper()}")
    move(world, firm, by_map.person, 60)
    for decision in ("rejected", "withdrawn"):
        move(world, firm, staff(world, firm).person, 60, decision=decision)
    move(world, firm, staff(world, firm).person, 60, system="wiki")
    failed = staff(world, firm)
    changed(world, failed.cloud, 60, outcome="FAILURE")
    given = staff(world, firm)
    changed(
        world,
        given.cloud,
        60,
        raw_action="User.Account.Privilege.Grant",
        approval_ref=given.approval.approval_id,
    )
    # what follows from a rule, and what was granted for the new position
    moved = _bare(world, firm)
    move(world, firm, moved[0], 60)
    rule = entitlement(world, DIRECTORY, "Everybody", membership="dynamic")
    new = entitlement(world, DIRECTORY, "New Position")
    hold(world, firm, moved[1], rule, approve(world, firm, moved[0], rule))
    approval = approve(world, firm, moved[0], new, decided_at=when(60), valid_from=when(60))
    hold(world, firm, moved[1], new, approval, granted_at=when(59))


def _keeps_perhaps(world: World, firm: Company) -> None:
    undecided = staff(world, firm)
    record = move(world, firm, undecided.person, 60, decision=None)
    world.unknown("IG-APR-006", record.approval_id)
    undated, placeless, unsaid = staff(world, firm), staff(world, firm, department=None), staff(world, firm)
    for who in (undated, placeless):
        move(world, firm, who.person, 60)
    changed(world, unsaid.cloud, 60, outcome=None, approval_ref=unsaid.approval.approval_id)
    for who in (undecided, undated, placeless, unsaid):
        for grant in (who.grant, who.ledger):
            row = world.change("grants", grant, granted_at=None) if who is undated else grant
            world.unknown("IG-MOV-001", *_keys(row))


def _bare(world: World, firm: Company) -> tuple[Person, Account]:
    """Add a person with one account that holds nothing."""
    who = person(world, manager=firm.boss)
    return who, account_of(world, who, DIRECTORY)


def _unrecorded(world: World, firm: Company) -> None:
    def found(told: Event) -> None:
        world.violates("IG-MOV-002", told.source, told.event_id)

    found(changed(world, staff(world, firm).cloud, 5))
    found(changed(world, _bare(world, firm)[1], AFTER))
    found(changed(world, _bare(world, firm)[1], 20, approval_ref="CHG-404", outcome=" Ok"))
    who, account = _bare(world, firm)
    refused = move(world, firm, who, 6, decision="rejected")
    found(changed(world, account, 5, approval_ref=refused.approval_id))
    other, theirs = _bare(world, firm)
    approved = move(world, firm, other, 6)
    found(changed(world, account, 4, approval_ref=approved.approval_id))
    # a day too early, a second too late, and for the other system
    too_old, first = _bare(world, firm)
    move(world, firm, too_old, 5 + BEFORE + 1)
    found(changed(world, first, 5))
    too_late, second = _bare(world, firm)
    move(world, firm, too_late, 0, decided_at=when(5 - AFTER) + SECOND, valid_from=None)
    found(changed(world, second, 5))
    elsewhere, third = _bare(world, firm)
    move(world, firm, elsewhere, 6, system="cloud")
    found(changed(world, third, 5))
    changed(world, theirs, 5)


def _recorded(world: World, firm: Company) -> None:
    early, first = _bare(world, firm)
    move(world, firm, early, 5 + BEFORE)
    changed(world, first, 5)
    after, second = _bare(world, firm)
    move(world, firm, after, 5 - AFTER, system="DIRECTORY", valid_from=when(5))
    changed(world, second, 5)
    changed(world, _bare(world, firm)[1], AFTER - 0.0001)
    changed(world, _bare(world, firm)[1], 5, outcome="DENY")
    named, third = _bare(world, firm)
    record = move(world, firm, named, 100, change_ref=world.number("CHG"))
    changed(world, third, 5, approval_ref=f" {record.approval_id.lower()} ")
    changed(world, third, 4, approval_ref=(record.change_ref or "").lower())
    changed(world, third, 5, target_id=world.number("role"), target_kind="Group")
    service = account_of(
        world, named, CLOUD, employee_id=None, email=None, display_name=None, login=world.number("svc")
    )
    steward: dict[str, Any] = {"steward": firm.deputy.person_id, "purpose": "print"}
    world.add(
        "special_accounts", SpecialAccount(source=CLOUD, account_id=service.account_id, kind="service", **steward)
    )
    changed(world, service, 5)


def _recorded_perhaps(world: World, firm: Company) -> None:
    def doubt(told: Event) -> None:
        world.unknown("IG-MOV-002", told.source, told.event_id)

    who, account = _bare(world, firm)
    doubt(changed(world, account, 5, outcome=None))
    doubt(changed(world, account, 5, occurred_at=None))
    doubt(changed(world, account, 5, target_id=None))
    doubt(changed(world, account, 5, target_id=world.number("lost"), target_kind="user"))
    undecided = move(world, firm, who, 3, decision=None)
    world.unknown("IG-APR-006", undecided.approval_id)
    doubt(changed(world, account, 10, approval_ref=undecided.approval_id))
    alone = {"employee_id": None, "email": None, "display_name": None, "login": world.number("till")}
    nobody = account_of(world, who, CLOUD, **alone, status="disabled", can_sign_in=False)
    doubt(changed(world, nobody, 5))
