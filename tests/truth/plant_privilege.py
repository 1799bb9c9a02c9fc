"""Privileges that stand, that lie deep, that no second factor guards; combinations; break-glass accounts."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from reconciler.estate.tables import Conflict
from reconciler.sdk.records import Account, Approval, Entitlement, Event, Grant, RoleHolder, SpecialAccount
from tests.truth.company import Company, Staff, approve, decided_by, event, hold, person, staff
from tests.truth.world import CLOUD, DAY, DIRECTORY, TODAY, World, account_of, entitlement, grant, when

COPIES = 2
SOON = when(-50)
"""When a grant ends that is meant to."""


def plant(world: World, firm: Company) -> None:
    """Plant privileges that are wrong, and others that are nearly so."""
    for _ in range(COPIES):
        _standing(world, firm)
        _not_standing(world, firm)
        _no_factor(world, firm)
        _nested(world, firm)
        _combined(world, firm)
        _not_combined(world, firm)
        _unattended(world, firm)
        _attended(world, firm)
        _used(world, firm)


def power(world: World, source: str = CLOUD, name: str | None = None, **values: Any) -> Entitlement:
    """Add a privileged entitlement."""
    return entitlement(world, source, name or world.number("Power"), **({"privileged": True} | values))


def give(world: World, firm: Company, who: Staff, held: Entitlement, **values: Any) -> Grant:
    """Give a person's account something, approved and reviewed; it ends unless told otherwise."""
    account = who.cloud if held.source == CLOUD else who.account
    return hold(world, firm, account, held, approve(world, firm, who.person, held), **({"expires_at": SOON} | values))


def within(world: World, below: Entitlement, above: Entitlement) -> None:
    """Put a group into something."""
    made = Grant(
        source=below.source,
        principal_kind="entitlement",
        principal_id=below.entitlement_id,
        entitlement_id=above.entitlement_id,
        assignment="direct",
    )
    world.add("grants", made)


def _keys(held: Grant) -> tuple[str, ...]:
    return held.source, held.principal_kind, held.principal_id, held.entitlement_id, held.assignment


def _account(account: Account) -> tuple[str, str]:
    return account.source, account.account_id


def _standing(world: World, firm: Company) -> None:
    for values in ({}, {"assignment": "dynamic"}, {"assignment": "inherited", "granted_at": None}):
        who = staff(world, firm)
        held = give(world, firm, who, firm.admins, expires_at=None, **values)
        world.violates("IG-PRV-001", *_keys(held))
    suspended = staff(world, firm)
    world.change("accounts", suspended.cloud, status="suspended", can_sign_in=False)
    world.violates("IG-PRV-001", *_keys(give(world, firm, suspended, firm.admins, expires_at=None)))
    unsaid = power(world, privileged=None)
    world.unknown("IG-PRV-001", *_keys(give(world, firm, staff(world, firm), unsaid, expires_at=None)))


def _not_standing(world: World, firm: Company) -> None:
    for values in ({"expires_at": when(-3000)}, {"assignment": "eligible", "expires_at": None}):
        give(world, firm, staff(world, firm), firm.admins, **values)
    give(world, firm, staff(world, firm), firm.admins, assignment="just_in_time", expires_at=None)
    give(world, firm, staff(world, firm), power(world, privileged=False), expires_at=None)
    closed = staff(world, firm)
    world.change("accounts", closed.cloud, status="disabled", can_sign_in=False)
    world.violates("IG-LVR-003", *_account(closed.cloud))
    give(world, firm, closed, firm.admins, expires_at=None)
    _glass(world, firm, steward=firm.deputy.person_id)


def _no_factor(world: World, firm: Company) -> None:
    for account_values in ({}, {"status": "locked"}, {"can_sign_in": None}):
        who = staff(world, firm)
        give(world, firm, who, firm.admins)
        world.change("accounts", who.cloud, mfa_enrolled=False, **account_values)
        world.violates("IG-PRV-002", *_account(who.cloud))
    # by a group that holds the power, and that the power holds again
    inside = staff(world, firm)
    group, above = entitlement(world, DIRECTORY, "Night Shift"), power(world, DIRECTORY)
    within(world, group, above)
    within(world, above, group)
    give(world, firm, inside, group)
    world.change("accounts", inside.account, mfa_enrolled=False)
    world.violates("IG-PRV-002", *_account(inside.account))

    for values in ({"status": "disabled", "can_sign_in": False}, {"kind": "service"}):
        who = staff(world, firm)
        give(world, firm, who, firm.admins)
        world.change("accounts", who.cloud, mfa_enrolled=False, **values)
        if values.get("status"):
            world.violates("IG-LVR-003", *_account(who.cloud))
    plain = staff(world, firm)
    world.change("accounts", plain.cloud, mfa_enrolled=False)
    give(world, firm, plain, power(world, DIRECTORY))

    unsaid, unclear, doubtful = (staff(world, firm) for _ in range(3))
    give(world, firm, unsaid, firm.admins)
    world.change("accounts", unsaid.cloud, mfa_enrolled=None)
    give(world, firm, unclear, firm.admins)
    world.change("accounts", unclear.cloud, mfa_enrolled=False, status=None, can_sign_in=None)
    world.unknown("IG-LVR-003", *_account(unclear.cloud))
    give(world, firm, doubtful, power(world, privileged=None))
    world.change("accounts", doubtful.cloud, mfa_enrolled=False)
    for who in (unsaid, unclear, doubtful):
        world.unknown("IG-PRV-002", *_account(who.cloud))


def _chain(world: World, length: int, *, privileged: bool | None = True, source: str = DIRECTORY) -> list[Entitlement]:
    """Add so many groups, each in the next, and what the last of them is in."""
    steps = [entitlement(world, source, world.number("Step")) for _ in range(length)]
    steps.append(power(world, source, privileged=privileged))
    for below, above in pairwise(steps):
        within(world, below, above)
    return steps


def _nested(world: World, firm: Company) -> None:
    for length in (2, 4):
        who, steps = staff(world, firm), _chain(world, length)
        give(world, firm, who, steps[0])
        world.violates("IG-PRV-003", *_account(who.account), steps[-1].entitlement_id)
    round_about, steps = staff(world, firm), _chain(world, 3, source=CLOUD)
    within(world, steps[2], steps[0])
    give(world, firm, round_about, steps[0])
    world.violates("IG-PRV-003", *_account(round_about.cloud), steps[-1].entitlement_id)

    near, short, closed = (staff(world, firm) for _ in range(3))
    give(world, firm, near, _chain(world, 1)[0])
    steps = _chain(world, 3)
    within(world, steps[0], steps[-1])
    give(world, firm, short, steps[0])
    give(world, firm, closed, _chain(world, 3)[0])
    world.change("accounts", closed.account, status="disabled", can_sign_in=False)
    world.violates("IG-LVR-003", *_account(closed.account))
    give(world, firm, staff(world, firm), _chain(world, 3, privileged=False)[0])

    doubtful, unclear = staff(world, firm), staff(world, firm)
    steps, others = _chain(world, 2, privileged=None), _chain(world, 2)
    give(world, firm, doubtful, steps[0])
    give(world, firm, unclear, others[0])
    world.change("accounts", unclear.account, status=None, can_sign_in=None)
    world.unknown("IG-LVR-003", *_account(unclear.account))
    for who, end in ((doubtful, steps[-1]), (unclear, others[-1])):
        world.unknown("IG-PRV-003", *_account(who.account), end.entitlement_id)


def _sides(world: World) -> tuple[str, Entitlement, Entitlement]:
    """Declare that nobody may both order and pay, by names of their own; return name and the two sides."""
    name = world.number("order and pay")
    one, two = entitlement(world, DIRECTORY, f"Order {name[-6:]}"), entitlement(world, CLOUD, f"Pay {name[-6:]}")
    for side, source, wanted in (("left", None, f"order {name[-6:]}*"), ("right", CLOUD, f"pay {name[-6:]}")):
        made: Any = {"conflict": name, "side": side, "source": source, "entitlement": wanted}
        world.declare("conflicts", Conflict(number=1, why="four eyes", **made))
    return name, one, two


def _combined(world: World, firm: Company) -> None:
    name, left, right = _sides(world)
    across = staff(world, firm)
    give(world, firm, across, left)
    give(world, firm, across, right)
    world.violates("IG-SOD-001", name, across.person.person_id)
    # called upon, by nesting with a cycle, and by a name in capitals
    eligible = staff(world, firm)
    group, loud = entitlement(world, CLOUD, "Buyers"), entitlement(world, CLOUD, f" {(left.name or '').upper()} II")
    within(world, group, loud)
    within(world, loud, group)
    give(world, firm, eligible, group)
    give(world, firm, eligible, right, assignment="eligible")
    world.violates("IG-SOD-001", name, eligible.person.person_id)
    # an account that is linked to nobody
    alone = {"employee_id": None, "email": None, "display_name": None, "login": world.number("till")}
    nobody = account_of(world, across.person, CLOUD, **alone)
    world.violates("IG-ORP-001", *_account(nobody))
    for held in (loud, right):
        grant(world, nobody, held)
    world.violates("IG-SOD-001", name, f"{CLOUD}/{nobody.account_id}")

    nameless = entitlement(world, CLOUD, "Lost")
    perhaps, unclear = staff(world, firm), staff(world, firm)
    give(world, firm, perhaps, left)
    give(world, firm, perhaps, world.change("entitlements", nameless, name=None))
    world.unknown("IG-SOD-001", name, perhaps.person.person_id)
    give(world, firm, unclear, left)
    give(world, firm, unclear, right)
    world.change("accounts", unclear.cloud, status=None, can_sign_in=None)
    world.unknown("IG-SOD-001", name, unclear.person.person_id)


def _not_combined(world: World, firm: Company) -> None:
    _, left, right = _sides(world)
    one_side, closed, other = staff(world, firm), staff(world, firm), staff(world, firm)
    give(world, firm, one_side, left)
    give(world, firm, other, right)
    for held in (left, right):
        give(world, firm, closed, held)
    world.change("accounts", closed.account, status="disabled", can_sign_in=False)
    # the right side is the cloud's: the directory's group of that name is another one
    wrong = staff(world, firm)
    give(world, firm, wrong, left)
    give(world, firm, wrong, entitlement(world, DIRECTORY, right.name or ""))
    # what nobody's break-glass account holds is watched by another rule
    glass = _glass(world, firm, steward=firm.deputy.person_id)
    for held in (entitlement(world, CLOUD, left.name or ""), right):
        grant(world, glass, held)
    # of two combinations one side each
    _, another, _ = _sides(world)
    mixed = staff(world, firm)
    give(world, firm, mixed, another)
    give(world, firm, mixed, right)


def _glass(world: World, firm: Company, source: str = CLOUD, **values: Any) -> Account:
    """Add a break-glass account: nobody's own, privileged for good, reviewed in time."""
    alone = {"employee_id": None, "email": None, "display_name": None, "login": world.number("glass")}
    account = account_of(world, firm.boss, source, **alone)
    grant(world, account, power(world, source))
    made: dict[str, Any] = {"kind": "break_glass", "purpose": "when nothing else works"}
    made |= {"reviewed_on": TODAY - 30 * DAY, "review_due_on": TODAY + 30 * DAY}
    world.add("special_accounts", SpecialAccount(source=source, account_id=account.login or "", **(made | values)))
    return account


def _unattended(world: World, firm: Company) -> None:
    values: dict[str, Any]
    role = world.number("vault keeper").lower()
    gone = staff(world, firm, status="left", ends_on=TODAY - DAY)
    for values in (
        {},
        {"steward": world.number("nobody")},
        {"steward": gone.person.person_id},
        {"owner_role": role},
        {"steward": person(world, manager=firm.boss, status="left").person_id},
        {"steward": firm.deputy.person_id, "review_due_on": TODAY - DAY},
    ):
        world.violates("IG-PRV-004", *_account(_glass(world, firm, **values)))
    world.violates("IG-GOV-002", role)
    unsure = person(world, manager=firm.boss, status="left", ends_on=TODAY + DAY)
    for values in (
        {"steward": unsure.person_id},
        {"steward": firm.deputy.person_id, "review_due_on": None},
    ):
        world.unknown("IG-PRV-004", *_account(_glass(world, firm, **values)))


def _attended(world: World, firm: Company) -> None:
    role = world.number("Vault Owner")
    world.add("role_holders", RoleHolder(role=role, person_id=firm.deputy.person_id, since=TODAY, until=TODAY))
    for values in (
        {"steward": firm.deputy.person_id, "review_due_on": TODAY},
        {"owner_role": f" {role.upper()}"},
        {"steward": staff(world, firm, ends_on=TODAY).person.person_id},
        {"steward": staff(world, firm, ends_on=TODAY - DAY, time_zone="America/Los_Angeles").person.person_id},
    ):
        _glass(world, firm, DIRECTORY, **values)


def _sign_in(world: World, account: Account, days: float, **values: Any) -> Event:
    return event(world, account, "sign_in", days, **({"raw_action": "user.session.start"} | values))


def _emergency(world: World, firm: Company, days: float, **values: Any) -> Approval:
    """Record an emergency that somebody else decided on."""
    who = firm.executor.person_id
    made: dict[str, Any] = {
        "kind": "emergency_access",
        "person_id": who,
        "system": CLOUD,
        **decided_by(firm, who),
        "justification": "outage",
        "decision": "approved",
        "decided_at": when(days),
        "valid_from": when(days),
        "valid_until": when(days - 0.25),
    }
    return world.add("approvals", Approval(approval_id=world.number("A"), **(made | values)))


def _used(world: World, firm: Company) -> None:
    """Emergencies are recorded for days 40 and 50 and nearby; nothing of others is, and an undecided one for 80."""
    steward = {"steward": firm.deputy.person_id}
    first = _emergency(world, firm, 40)
    _emergency(world, firm, 50, system=" Cloud ")
    _emergency(world, firm, 60, decision="rejected")
    undecided = _emergency(world, firm, 80, decision=None)
    world.unknown("IG-APR-006", undecided.approval_id)
    for days in (41.01, 38.74, 60, 45):
        account = _glass(world, firm, **steward)
        _sign_in(world, account, days)
        world.violates("IG-PRV-004", *_account(account))
    raised, unsaid = _glass(world, firm, **steward), _glass(world, firm, **steward)
    event(world, raised, "privilege_elevated", 45, approval_ref=undecided.approval_id)
    world.unknown("IG-PRV-004", *_account(raised))
    _sign_in(world, unsaid, 45, outcome=None)
    world.unknown("IG-PRV-004", *_account(unsaid))
    elsewhere = _glass(world, firm, DIRECTORY, **steward)
    _sign_in(world, elsewhere, 40)
    world.violates("IG-PRV-004", *_account(elsewhere))
    perhaps = _glass(world, firm, **steward)
    _sign_in(world, perhaps, 80)
    world.unknown("IG-PRV-004", *_account(perhaps))
    fine = _glass(world, firm, **steward)
    for days in (41, 40, 38.75, 50):
        _sign_in(world, fine, days)
    _sign_in(world, fine, 45, outcome="FAILURE: bad password")
    event(world, fine, "privilege_elevated", 45, approval_ref=f" {first.approval_id.lower()}")
