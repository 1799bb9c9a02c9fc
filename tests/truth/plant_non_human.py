"""What the rules on non-human accounts must find, and what is nearly so: nobody's machines, and people at them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from reconciler.sdk.records import Account, RoleHolder, SpecialAccount
from tests.truth.company import APPROVER_ROLE, Company, event, person, staff
from tests.truth.world import AS_OF, CLOUD, DAY, DIRECTORY, TODAY, World, when

COPIES = 3
"""How often each thing is planted."""

SECOND = timedelta(seconds=1)
YESTERDAY = TODAY - DAY
LATE, EARLY, MARS = "America/Los_Angeles", "Asia/Tokyo", "Mars/Olympus"


def plant(world: World, firm: Company) -> None:
    """Plant hits and near misses of every rule on non-human accounts."""
    for _ in range(COPIES):
        _nobody_answers(world, firm)
        _owners_named_by_the_source(world, firm)
        _roles_that_answer(world, firm)
        _interactive(world, firm)
        _interactive_perhaps(world, firm)


def _nobody_answers(world: World, firm: Company) -> None:
    def steward(**values: Any) -> str:
        return person(world, manager=firm.boss, **values).person_id

    for register in _each(
        {"kind": "service"},
        {"kind": "agent", "steward": steward(ends_on=YESTERDAY)},
        {"kind": "shared", "steward": "P-unheard"},
        {"kind": "service", "steward": steward(ends_on=YESTERDAY, time_zone=EARLY)},
        {"kind": "service", "steward": steward(ends_on=TODAY - 400 * DAY)},
        {"kind": "service", "steward": steward(starts_on=TODAY + DAY)},
    ):
        found = _machine(world, register)
        world.violates("IG-NHI-001", CLOUD, found.account_id)
    for register in _each(
        {"kind": "service", "steward": steward(ends_on=TODAY)},
        {"kind": "agent", "steward": steward(ends_on=YESTERDAY, time_zone=LATE)},
        {"kind": "shared", "steward": steward(starts_on=TODAY)},
        {"kind": "service", "steward": steward(ends_on=TODAY + 90 * DAY, time_zone=MARS)},
        {"kind": "break_glass", "steward": steward()},
    ):
        _machine(world, register)
    _machine(world, {"kind": "service"}, status="disabled", can_sign_in=False)
    for register in _each(
        {"kind": "service", "steward": steward(status="terminated", ends_on=TODAY + DAY)},
        {"kind": "service", "steward": steward(ends_on=YESTERDAY, time_zone=MARS)},
    ):
        world.unknown("IG-NHI-001", CLOUD, _machine(world, register).account_id)
    nameless = _machine(world, {"kind": None})
    for rule_id in ("IG-NHI-001", "IG-PRV-004"):
        world.unknown(rule_id, CLOUD, nameless.account_id)
    unsure = _machine(world, {"kind": "service"}, status="suspended", can_sign_in=None)
    world.unknown("IG-NHI-001", CLOUD, unsure.account_id)


def _owners_named_by_the_source(world: World, firm: Company) -> None:
    """Machines that their source knows for such and that no register names: orphans, too, unless they are linked."""
    boss = firm.boss
    cloud = next(a for a in world.rows["accounts"] if isinstance(a, Account) and _is_of(a, boss.employee_id))
    left = person(world, manager=boss, ends_on=YESTERDAY)
    for kind, owner, found in (
        ("service", None, "violation"),
        ("agent", left.employee_id, "violation"),
        ("service", boss.person_id.lower(), "fine"),
        ("agent", str((boss.emails or [""])[0]).upper(), "fine"),
        ("service", f" {cloud.account_id} ", "fine"),
        ("service", "whoever", "unknown"),
        ("human", None, "fine"),
    ):
        account = _machine(world, None, kind=kind, owner_ref=owner)
        world.violates("IG-ORP-001", CLOUD, account.account_id)
        if found == "violation":
            world.violates("IG-NHI-001", CLOUD, account.account_id)
        elif found == "unknown":
            world.unknown("IG-NHI-001", CLOUD, account.account_id)
    _machine(world, None, kind="service", employee_id=staff(world, firm).person.employee_id)
    _machine(world, {"kind": "service", "steward": left.person_id}, owner_ref=boss.employee_id)


def _roles_that_answer(world: World, firm: Company) -> None:
    def held(**values: Any) -> str:
        role = world.number("machine keeper")
        made: dict[str, Any] = {"person_id": firm.deputy.person_id, "since": TODAY - 90 * DAY}
        world.add("role_holders", RoleHolder(role=role, **(made | values)))
        return role

    # that nobody holds the role is the register of roles' matter as well
    for role in (
        world.number("empty chair"),
        held(until=YESTERDAY),
        held(since=TODAY + DAY),
        held(person_id="P-unheard"),
        held(person_id=person(world, manager=firm.boss, ends_on=YESTERDAY).person_id),
    ):
        found = _machine(world, {"kind": "service", "owner_role": role})
        world.violates("IG-NHI-001", CLOUD, found.account_id)
        world.violates("IG-GOV-002", role.lower())
    for role in (f" {APPROVER_ROLE.upper()}", held(until=TODAY), held(since=TODAY)):
        _machine(world, {"kind": "service", "owner_role": role})
    gone = person(world, manager=firm.boss, ends_on=YESTERDAY)
    _machine(world, {"kind": "agent", "owner_role": APPROVER_ROLE, "steward": gone.person_id})


def _interactive(world: World, firm: Company) -> None:
    def signed_in(account: Account, raw: str = "user.session.start", days: float = 5, **values: Any) -> None:
        about = {"actor_id": account.account_id, "target_id": None, "raw_action": raw}
        world.change("events", event(world, account, "sign_in", days), **(about | values))

    robot: dict[str, Any] = {"kind": "service", "steward": firm.boss.person_id}
    for values in _each(
        {},
        {"raw": " Signin:ConsoleLogin"},
        {"raw": "InteractiveUser", "occurred_at": None},
        {"occurred_at": AS_OF},
        {"days": 1000, "outcome": "Allowed"},
    ):
        found = _machine(world, robot)
        signed_in(found, **values)
        world.violates("IG-NHI-002", CLOUD, found.account_id)
    agent, target = _machine(world, robot | {"kind": "agent"}), _machine(world, robot)
    signed_in(agent)
    signed_in(target, actor_id="gateway", target_id=target.account_id)
    for found in (agent, target):
        world.violates("IG-NHI-002", CLOUD, found.account_id)
    known = _machine(world, None, kind="service", employee_id=staff(world, firm).person.employee_id)
    signed_in(known)
    signed_in(known, days=9)
    world.violates("IG-NHI-002", CLOUD, known.account_id)
    for values in _each(
        {"raw": "NonInteractiveUser"},
        {"raw": "sts:AssumeRoleWithSAML"},
        {"outcome": "FAILURE: locked"},
        {"outcome": "Denied"},
        {"occurred_at": AS_OF + SECOND},
        {"source": DIRECTORY},
        {"action": "account_changed"},
    ):
        signed_in(_machine(world, robot), **values)
    signed_in(_machine(world, robot | {"kind": "shared"}))
    signed_in(staff(world, firm).cloud)
    # the register knows better than the source what the account is
    signed_in(_machine(world, robot | {"kind": "shared"}, kind="service"))


def _interactive_perhaps(world: World, firm: Company) -> None:
    robot: dict[str, Any] = {"kind": "service", "steward": firm.boss.person_id}
    for values in _each(
        {"raw_action": None},
        {"raw_action": "ldap.bind"},
        {"raw_action": "signin", "outcome": None},
        {"raw_action": "bind", "outcome": "SUCCESS", "occurred_at": None},
    ):
        found = _machine(world, robot)
        about = {"actor_id": found.account_id, "target_id": None}
        event(world, found, "sign_in", 5, **(about | values))
        world.unknown("IG-NHI-002", CLOUD, found.account_id)
    refused = _machine(world, robot)
    event(world, refused, "sign_in", 5, actor_id=refused.account_id, raw_action="ldap.bind", outcome="failure")


def _is_of(account: Account, employee_id: str | None) -> bool:
    return account.source == CLOUD and account.employee_id == employee_id


def _machine(world: World, register: dict[str, Any] | None, **values: Any) -> Account:
    """Add an account of nobody's own in the cloud, registered by its login unless ``register`` is None."""
    account_id = world.number("acc-machine")
    made: dict[str, Any] = {
        "login": f"svc-{account_id}",
        "kind": "service" if register is None else "unknown",
        "raw_status": "ACTIVE",
        "status": "enabled",
        "can_sign_in": True,
        "created_at": when(400),
        "last_sign_in_at": when(2),
        "last_sign_in_basis": "sign-in log",
        "mfa_enrolled": False,
        "attributes": "{}",
    }
    if register is not None:
        dates: dict[str, Any] = {
            "purpose": "backup",
            "reviewed_on": TODAY - 30 * DAY,
            "review_due_on": TODAY + 300 * DAY,
        }
        world.add(
            "special_accounts", SpecialAccount(source=CLOUD, account_id=f"SVC-{account_id}", **(dates | register))
        )
    return world.add("accounts", Account(source=CLOUD, account_id=account_id, **(made | values)))


def _each(*values: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    return values
