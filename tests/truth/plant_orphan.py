"""Accounts of nobody, of two people, of somebody whose address went to another, and accounts that nobody uses."""

from __future__ import annotations

from typing import Any

from reconciler.sdk.records import Account, Person, SpecialAccount
from tests.truth.company import Company, Staff, person, staff
from tests.truth.world import CLOUD, DAY, DIRECTORY, TODAY, World, account_of, when

COPIES = 2
IDLE = 104
"""Days that may pass: ninety, and fourteen by which a figure may lag."""


def plant(world: World, firm: Company) -> None:
    """Plant accounts without an owner, or without use, and others that are nearly so."""
    for _ in range(COPIES):
        _orphans(world, firm)
        _no_orphans(world, firm)
        _ambiguous(world, firm)
        _recycled(world, firm)
        _dormant(world, firm)


def loose(world: World, firm: Company, source: str = DIRECTORY, **values: Any) -> Account:
    """Add an account in use that carries nothing of a person."""
    made = {
        "employee_id": None,
        "email": None,
        "display_name": None,
        "login": world.number("kiosk"),
        "department": None,
    }
    return account_of(world, firm.boss, source, **(made | values))


def register(world: World, firm: Company, source: str, name: str, kind: str = "shared") -> None:
    """Enter an account in the register of special accounts, with somebody who looks after it."""
    made: dict[str, Any] = {"kind": kind, "steward": firm.deputy.person_id, "purpose": "front desk"}
    made |= {"reviewed_on": TODAY - 30 * DAY, "review_due_on": TODAY + 300 * DAY}
    world.add("special_accounts", SpecialAccount(source=source, account_id=name, **made))


def unclear(world: World, account: Account) -> Account:
    """Take away what the source says of whether the account can be used."""
    return world.change("accounts", account, status=None, raw_status=None, can_sign_in=None)


def asleep(world: World, account: Account) -> Account:
    """Let the account be one that cannot be used."""
    return world.change("accounts", account, status="disabled", can_sign_in=False)


def violate(world: World, rule_id: str, account: Account) -> None:
    """Say that a rule finds this account."""
    world.violates(rule_id, account.source, account.account_id)


def doubt(world: World, rule_id: str, account: Account) -> None:
    """Say that a rule cannot judge this account."""
    world.unknown(rule_id, account.source, account.account_id)


def _orphans(world: World, firm: Company) -> None:
    violate(world, "IG-ORP-001", loose(world, firm))
    violate(world, "IG-ORP-001", loose(world, firm, CLOUD, can_sign_in=None))
    violate(world, "IG-ORP-001", loose(world, firm, CLOUD, status="suspended"))
    # a name proposes, and an address that a shared account carries does not link it
    number = world.number("Q")[-3:]
    somebody = person(world, manager=firm.boss, full_name=f"Zephyrine Quillfeather{number}")
    violate(world, "IG-ORP-001", loose(world, firm, display_name=f"Zefyrine Quillfeather{number}"))
    violate(world, "IG-ORP-001", loose(world, firm, kind="shared", email=(somebody.emails or [""])[0]))
    # registered, but in the other system
    elsewhere = loose(world, firm)
    register(world, firm, CLOUD, elsewhere.account_id)
    violate(world, "IG-ORP-001", elsewhere)
    doubt(world, "IG-ORP-001", unclear(world, loose(world, firm)))


def _no_orphans(world: World, firm: Company) -> None:
    asleep(world, loose(world, firm))
    world.change("accounts", loose(world, firm, CLOUD), status="suspended", can_sign_in=False)
    by_id, by_login = loose(world, firm), loose(world, firm, CLOUD)
    register(world, firm, DIRECTORY, by_id.account_id)
    register(world, firm, CLOUD, f" {(by_login.login or '').upper()} ")
    name = f"cn={world.number('desk')},dc=acme"
    loose(world, firm, attributes=f'{{"dn": "{name.upper()}"}}')
    register(world, firm, DIRECTORY, name)
    who = person(world, manager=firm.boss)
    loose(world, firm, email=(who.emails or [""])[0].upper())


def _two(world: World, firm: Company) -> tuple[Person, Person, str]:
    """Add two people who share an address."""
    shared = f"{world.number('pair')}@acme.example".lower()
    one, two = (person(world, manager=firm.boss, emails=[f"{world.number('own')}@acme.example", shared]) for _ in "ab")
    return one, two, shared


def _ambiguous(world: World, firm: Company) -> None:
    *_, shared = _two(world, firm)
    violate(world, "IG-ORP-002", loose(world, firm, email=shared))
    violate(world, "IG-ORP-002", loose(world, firm, CLOUD, email=f" {shared.upper()}"))
    login = world.number("desk")
    for _ in "ab":
        person(world, manager=firm.boss, logins=[login, world.number("own")])
    violate(world, "IG-ORP-002", loose(world, firm, login=login.upper()))
    number = world.number("twice")
    for _ in "ab":
        person(world, manager=firm.boss, employee_id=number)
    violate(world, "IG-ORP-002", loose(world, firm, employee_id=number))

    *_, other = _two(world, firm)
    asleep(world, loose(world, firm, email=other))
    registered = loose(world, firm, CLOUD, email=other)
    register(world, firm, CLOUD, registered.account_id)
    # the personnel number tells them apart
    one, *_, third = _two(world, firm)
    asleep(world, account_of(world, one, CLOUD, email=third))
    *_, fourth = _two(world, firm)
    doubt(world, "IG-ORP-002", unclear(world, loose(world, firm, email=fourth)))


def _recycled(world: World, firm: Company) -> None:
    """The old owner's account carries what was given to somebody new."""
    old, new = staff(world, firm), person(world, manager=firm.boss, logins=[world.number("new")])
    address, login = (new.emails or [""])[0], (new.logins or [""])[0]
    violate(world, "IG-ORP-003", world.change("accounts", old.account, email=address))
    violate(world, "IG-ORP-003", world.change("accounts", old.cloud, login=login.upper()))
    third = staff(world, firm)
    violate(world, "IG-ORP-003", world.change("accounts", third.cloud, email=address.upper(), status="locked"))
    world.change("accounts", third.account, email=(third.person.emails or [""])[0].upper())

    fourth, fifth = staff(world, firm), staff(world, firm)
    asleep(world, world.change("accounts", fourth.account, email=address))
    register(world, firm, CLOUD, world.change("accounts", fourth.cloud, email=address).account_id)
    asleep(world, world.change("accounts", fifth.account, email=address))
    doubt(world, "IG-ORP-003", unclear(world, world.change("accounts", fifth.cloud, email=address)))


def _unused(world: World, who: Staff, **values: Any) -> Account:
    return world.change("accounts", who.account, **values)


def _dormant(world: World, firm: Company) -> None:
    values: dict[str, Any]
    for values in (
        {"last_sign_in_at": when(IDLE + 0.001)},
        {"last_sign_in_at": when(300), "can_sign_in": None},
        {"last_sign_in_at": None, "last_sign_in_basis": "Never signed in"},
        {"last_sign_in_at": when(200), "created_at": None},
    ):
        violate(world, "IG-ORP-004", _unused(world, staff(world, firm), **values))
    for values in (
        {"last_sign_in_at": when(IDLE)},
        {"last_sign_in_at": when(IDLE - 1)},
        {"last_sign_in_at": None, "last_sign_in_basis": "never", "created_at": when(IDLE)},
        {"last_sign_in_at": None, "created_at": when(60)},
        {"last_sign_in_at": when(300), "status": "disabled", "can_sign_in": False},
        {"last_sign_in_at": when(300), "status": "suspended", "can_sign_in": False},
    ):
        _unused(world, staff(world, firm), **values)
    special = _unused(world, staff(world, firm), last_sign_in_at=when(300))
    register(world, firm, DIRECTORY, (special.login or "").upper(), kind="service")
    for values in (
        {"last_sign_in_at": when(300), "last_sign_in_basis": None},
        {"last_sign_in_at": None},
        {"last_sign_in_at": None, "created_at": None, "last_sign_in_basis": "never"},
        {"last_sign_in_at": when(300), "status": None, "can_sign_in": None},
    ):
        doubt(world, "IG-ORP-004", _unused(world, staff(world, firm), **values))
