"""Access that nobody approved, and approvals that approve nothing; beside them approvals that nearly do not."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from reconciler.estate.tables import ApprovalScope, RoleMap
from reconciler.sdk.records import Approval, Entitlement, Grant, SpecialAccount
from tests.truth.company import Company, Staff, approve, event, hold, person, staff
from tests.truth.world import AS_OF, CLOUD, DIRECTORY, World, account_of, entitlement, grant, when

COPIES = 2
SECOND = timedelta(seconds=1)
MAPPED = "Welding"


def plant(world: World, firm: Company) -> None:
    """Plant grants and approvals that do not belong together."""
    for number, (wanted, approval) in enumerate((("free but asked*", "required"), ("free*", "not_required")), start=1):
        made: Any = {"entitlement": wanted, "approval": approval}
        world.declare("approval_scope", ApprovalScope(number=number, source=DIRECTORY, **made))
    number = len(world.declared["role_maps"]) + 1
    world.declare("role_maps", RoleMap(number=number, department=MAPPED.lower(), entitlement="weld*"))
    for _ in range(COPIES):
        _unapproved(world, firm)
        _approved(world, firm)
        _approved_perhaps(world, firm)
        _expired(world, firm)
        _early(world, firm)
        _not_done(world, firm)
        _done(world, firm)
        _not_done_perhaps(world, firm)
        _refused(world, firm)
        _unrecorded(world, firm)


def thing(world: World, source: str = DIRECTORY, name: str | None = None, **values: Any) -> Entitlement:
    """Add an entitlement of its own name."""
    return entitlement(world, source, name or world.number("Thing"), **values)


def has(world: World, firm: Company, who: Staff, held: Entitlement, **values: Any) -> Grant:
    """Give a person's account something whose event names an approval, though of something else."""
    return hold(world, firm, who.cloud if held.source == CLOUD else who.account, held, who.approval, **values)


def keys(held: Grant) -> tuple[str, ...]:
    """Return what tells a grant from others."""
    return held.source, held.principal_kind, held.principal_id, held.entitlement_id, held.assignment


def _unapproved(world: World, firm: Company) -> None:
    def found(who: Staff, held: Entitlement, **values: Any) -> None:
        world.violates("IG-APR-001", *keys(has(world, firm, who, held, **values)))

    who, other = staff(world, firm), staff(world, firm)
    found(who, thing(world), assignment="eligible")
    found(who, thing(world, CLOUD), granted_at=None)
    found(who, thing(world, DIRECTORY, world.number("Free but asked")))
    found(who, thing(world, CLOUD, world.number("Free")))
    found(who, thing(world, CLOUD, world.number("Weld")))
    theirs = thing(world)
    has(world, firm, other, theirs)
    approve(world, firm, other.person, theirs)
    found(who, theirs)
    # the system beside it, a word that is no yes, another matter, and a start that is to come
    twice = thing(world, CLOUD, world.number("Twice"))
    here = thing(world, DIRECTORY, twice.name)
    approve(world, firm, who.person, twice, entitlement=twice.name)
    has(world, firm, who, twice)
    found(who, here)
    for values in (
        {"decision": "in progress"},
        {"kind": "recertification"},
        {"kind": "termination"},
        {"valid_from": AS_OF + SECOND},
        {"entitlement": "thingummy*", "decision": "pending"},
    ):
        held = thing(world)
        approve(world, firm, who.person, held, **values)
        found(who, held)


def _approved(world: World, firm: Company) -> None:
    who = staff(world, firm, department=f" {MAPPED.upper()} ")
    name = world.number("Payroll")
    for values in (
        {"entitlement": f" {name.upper()} "},
        {"entitlement": f"{name[:-1].lower()}?"},
        {"entitlement": f"*{name[3:]}", "system": " Directory"},
        {"entitlement": name, "system": None, "decision": " YES", "kind": "onboarding"},
        {"entitlement": name, "environment": "Production ", "valid_until": AS_OF},
        {"entitlement": name, "valid_from": None, "valid_until": None},
    ):
        held = thing(world, DIRECTORY, name)
        each = staff(world, firm)
        approve(world, firm, each.person, held, **values)
        has(world, firm, each, held)
    has(world, firm, who, thing(world, DIRECTORY, world.number("FREE of charge")))
    has(world, firm, who, thing(world, CLOUD, world.number("Weld")))
    has(world, firm, who, thing(world, membership="dynamic"))
    has(world, firm, who, thing(world, membership="primary"))
    has(world, firm, who, thing(world), assignment="inherited")
    alone = {"employee_id": None, "email": None, "display_name": None, "login": world.number("printer")}
    special = account_of(world, who.person, CLOUD, **alone)
    grant(world, special, thing(world, CLOUD))
    steward = firm.deputy.person_id
    world.add(
        "special_accounts",
        SpecialAccount(source=CLOUD, account_id=special.login or "", kind="service", steward=steward),
    )


def _approved_perhaps(world: World, firm: Company) -> None:
    for values, others in (
        ({"decision": None}, ("IG-APR-006",)),
        ({"kind": None}, ("IG-APR-006",)),
    ):
        who, held = staff(world, firm), thing(world)
        approval = approve(world, firm, who.person, held, **values)
        kept = has(world, firm, who, held)
        for rule_id in others:
            world.unknown(rule_id, approval.approval_id)
        for rule_id in ("IG-APR-001", "IG-APR-003"):
            world.unknown(rule_id, *keys(kept))
    for lacking, asked in (("environment", {"environment": "production"}), ("name", {"entitlement": "Nameless"})):
        who, held = staff(world, firm), thing(world, CLOUD)
        approval = approve(world, firm, who.person, held, **asked)
        kept = has(world, firm, who, world.change("entitlements", held, **{lacking: None}))
        world.unknown("IG-APR-004", approval.approval_id, CLOUD)
        for rule_id in ("IG-APR-001", "IG-APR-003"):
            world.unknown(rule_id, *keys(kept))
    mapped = staff(world, firm, department=None)
    world.unknown("IG-APR-001", *keys(has(world, firm, mapped, thing(world, CLOUD, world.number("Weld")))))


def _expired(world: World, firm: Company) -> None:
    def over(who: Staff, held: Entitlement, **values: Any) -> Grant:
        approve(world, firm, who.person, held, **({"valid_until": when(9)} | values))
        return has(world, firm, who, held)

    for values in (
        {},
        {"valid_until": AS_OF - SECOND},
        {"kind": "emergency_access", "valid_until": when(300), "system": DIRECTORY},
        {"entitlement": "THING*"},
    ):
        who, held = staff(world, firm), thing(world)
        if len(values) == 2:
            approve(world, firm, who.person, held, valid_until=when(100))
        world.violates("IG-APR-002", *keys(over(who, held, **values)))
    who = staff(world, firm, department=MAPPED)
    over(who, thing(world), valid_until=AS_OF)
    renewed = thing(world)
    over(who, renewed)
    approve(world, firm, who.person, renewed, decided_at=when(10), valid_from=when(9))
    over(who, thing(world, DIRECTORY, world.number("Free")))
    over(who, thing(world, CLOUD, world.number("Weld")))
    over(who, thing(world, membership="dynamic"))
    undecided, held = staff(world, firm), thing(world)
    world.unknown("IG-APR-002", *keys(over(undecided, held)))
    world.unknown("IG-APR-006", approve(world, firm, undecided.person, held, decision=None).approval_id)


def _early(world: World, firm: Company) -> None:
    def given(at: float, **values: Any) -> Grant:
        who, held = staff(world, firm), thing(world)
        approve(world, firm, who.person, held, **values)
        return has(world, firm, who, held, granted_at=when(at))

    for early in (given(360), given(351.0001), given(100, decided_at=when(3), valid_from=None)):
        world.violates("IG-APR-003", *keys(early))
    # the approval before had ended when it was granted anew
    who, held = staff(world, firm), thing(world)
    approve(world, firm, who.person, held, valid_until=when(200))
    approve(world, firm, who.person, held, decided_at=when(90), valid_from=when(90))
    world.violates("IG-APR-003", *keys(has(world, firm, who, held, granted_at=when(100))))
    # the event tells of an earlier time than the system's own record
    told, mine = staff(world, firm), thing(world)
    approve(world, firm, told.person, mine)
    world.violates(
        "IG-APR-003",
        *keys(world.change("grants", has(world, firm, told, mine, granted_at=when(380)), granted_at=when(300))),
    )

    given(351)
    free, own = staff(world, firm), thing(world, DIRECTORY, world.number("Free"))
    approve(world, firm, free.person, own)
    has(world, firm, free, own, granted_at=when(360))
    again, renewed = staff(world, firm), thing(world)
    approve(world, firm, again.person, renewed)
    approve(world, firm, again.person, renewed, decided_at=when(30), valid_from=when(30))
    has(world, firm, again, renewed)
    undated, held = staff(world, firm), thing(world)
    approve(world, firm, undated.person, held)
    world.unknown("IG-APR-003", *keys(has(world, firm, undated, held, granted_at=None)))


def _not_done(world: World, firm: Company) -> None:
    for values in (
        {"decided_at": when(7), "valid_from": when(9)},
        {"decided_at": when(60), "valid_from": when(7), "entitlement": None},
        {"entitlement": "nothing like *"},
    ):
        who = person(world, manager=firm.boss)
        source = CLOUD if "entitlement" in values else DIRECTORY
        lacking = approve(world, firm, who, thing(world, source), **values)
        world.violates("IG-APR-004", lacking.approval_id, source)
    anywhere = approve(world, firm, staff(world, firm).person, thing(world), system=None)
    world.violates("IG-APR-004", anywhere.approval_id, None)
    # what was made before was closed, and the new approval did not open it
    before = staff(world, firm)
    world.change("accounts", before.account, status="disabled", can_sign_in=False)
    made = approve(world, firm, before.person, thing(world), entitlement=None, decided_at=when(50), valid_from=None)
    world.violates("IG-APR-004", made.approval_id, DIRECTORY)


def _done(world: World, firm: Company) -> None:
    who = staff(world, firm)
    group, above = thing(world), thing(world)
    world.add(
        "grants",
        Grant(
            source=DIRECTORY,
            principal_kind="entitlement",
            principal_id=group.entitlement_id,
            entitlement_id=above.entitlement_id,
            assignment="direct",
        ),
    )
    for each in (group, above):
        approve(world, firm, who.person, each)
    has(world, firm, who, group)
    for values in (
        {"decided_at": when(7) + SECOND},
        {"decided_at": when(30), "valid_from": when(7) + SECOND},
        {"decision": "rejected"},
        {"valid_until": when(0.1)},
        {"kind": "role_change", "entitlement": None, "decided_at": when(9), "valid_from": when(9)},
        {"system": f" {CLOUD.upper()}", "entitlement": f"{(firm.ledger.name or '').upper()[:3]}*"},
    ):
        approve(world, firm, who.person, thing(world), **values)
    suspended = staff(world, firm)
    world.change("accounts", suspended.account, status="suspended", can_sign_in=False)
    left = person(world, manager=firm.boss, ends_on=when(1).date(), status="left")
    approve(world, firm, left, thing(world))


def _not_done_perhaps(world: World, firm: Company) -> None:
    who = person(world, manager=firm.boss)
    for values, others in (
        ({"decision": None}, ("IG-APR-006",)),
        ({"person_id": None}, ("IG-APR-005",)),
        ({"decided_at": None, "valid_from": None}, ("IG-APR-006",)),
        ({"kind": None}, ("IG-APR-006",)),
    ):
        open_one = approve(world, firm, who, thing(world), **values)
        world.unknown("IG-APR-004", open_one.approval_id, DIRECTORY)
        for rule_id in others:
            world.unknown(rule_id, open_one.approval_id)
    world.unknown("IG-APR-004", approve(world, firm, who, thing(world), system="SAP").approval_id, None)


def _refused(world: World, firm: Company) -> None:
    def refuse(who: Staff, held: Entitlement, days: float, **values: Any) -> Approval:
        return approve(world, firm, who.person, held, **({"decision": "rejected", "decided_at": when(days)} | values))

    values: dict[str, Any]
    who = staff(world, firm)
    for values in (
        {},
        {"decision": " No "},
        {"kind": "recertification", "decision": "Denied"},
        {"entitlement": "thing-*"},
    ):
        each, held = staff(world, firm), thing(world)
        approve(world, firm, each.person, held)
        refuse(each, held, 100, **values)
        world.violates("IG-APR-008", *keys(has(world, firm, each, held)))
    # refused, and approved by nobody: that is two matters
    never = thing(world, CLOUD)
    refuse(who, never, 400)
    kept = has(world, firm, who, never)
    for rule_id in ("IG-APR-001", "IG-APR-008"):
        world.violates(rule_id, *keys(kept))
    for days, values in (
        (360, {}),
        (-1, {}),
        (100, {"system": CLOUD}),
        (100, {"kind": "termination"}),
        (100, {"decision": "withdrawn"}),
        (100, {"environment": "test"}),
    ):
        each, held = staff(world, firm), thing(world)
        approve(world, firm, each.person, held)
        refuse(each, held, days, **values)
        has(world, firm, each, held)
    for days, values in ((351, {}), (100, {"kind": None})):
        each, held = staff(world, firm), thing(world)
        approve(world, firm, each.person, held)
        refuse(each, held, days, **values)
        world.unknown("IG-APR-008", *keys(has(world, firm, each, held)))


def _unrecorded(world: World, firm: Company) -> None:
    who, asked = staff(world, firm), thing(world, DIRECTORY, world.number("Free but asked"))
    ref = who.approval.approval_id
    for action, values in (
        ("account_created", {}),
        ("account_enabled", {"approval_ref": "  "}),
        ("entitlement_granted", {"approval_ref": f"{ref}-x", "entitlement_id": asked.entitlement_id}),
        ("privilege_elevated", {"approval_ref": who.person.person_id}),
    ):
        told = event(world, who.account, action, 40, **values)
        world.violates("IG-APR-009", told.source, told.event_id)
    rule, free = thing(world, membership="dynamic"), thing(world, DIRECTORY, world.number("Free"))
    for action, values in (
        ("account_created", {"approval_ref": f" {ref.lower()}"}),
        ("account_enabled", {"outcome": "AccessDenied"}),
        ("account_changed", {}),
        ("entitlement_revoked", {}),
        ("entitlement_granted", {"entitlement_id": rule.entitlement_id}),
        ("entitlement_granted", {"entitlement_id": free.entitlement_id}),
    ):
        event(world, who.account, action, 40, **values)
    nameless = world.change("entitlements", thing(world), name=None)
    granted = event(world, who.account, "entitlement_granted", 40, entitlement_id=nameless.entitlement_id)
    odd = world.change("events", event(world, who.account, "account_changed", 40), action=None)
    unsaid = event(world, who.account, "privilege_elevated", 40, outcome=None)
    for told in (granted, odd, unsaid):
        world.unknown("IG-APR-009", told.source, told.event_id)
