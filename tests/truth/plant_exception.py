"""What the exception rules must find, and what is nearly so: expired, incomplete, ownerless and endless ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from reconciler.sdk.records import Account, ExceptionRecord
from tests.truth.company import Company, Staff, approve, hold, person, staff
from tests.truth.world import AS_OF, CLOUD, DAY, DIRECTORY, TODAY, World, entitlement, when

COPIES = 3
"""How often each thing is planted."""

SECOND = timedelta(seconds=1)
YESTERDAY = TODAY - DAY
NEXT_MONTH = AS_OF + 30 * DAY


def plant(world: World, firm: Company) -> None:
    """Plant hits and near misses of every exception rule."""
    for _ in range(COPIES):
        _expired(world, firm)
        _expired_on_entitlements(world, firm)
        _replaced(world, firm)
        _incomplete(world, firm)
        _owner_left(world, firm)
        _too_long(world, firm)
        _renewed(world, firm)


def _expired(world: World, firm: Company) -> None:
    def ended(each: Staff, **values: Any) -> ExceptionRecord:
        made = {"source": DIRECTORY, "account_id": each.account.account_id, "expires_at": when(3)}
        return _exception(world, firm, **(made | values))

    for values in _each(
        {},
        {"expires_at": AS_OF - SECOND},
        {"expires_at": datetime(2024, 2, 29, tzinfo=UTC), "approved_at": None},
        {"expires_at": when(-30), "status": "Expired "},
        {"source": None, "status": "parked"},
        {"source": "DIRECTORY", "rule_id": None, "control_id": "IG-C-77"},
    ):
        each = staff(world, firm)
        found = ended(each, **values)
        world.violates("IG-EXC-001", found.exception_id, DIRECTORY, each.account.account_id)
    spelt = staff(world, firm)
    found = ended(spelt, account_id=f" {spelt.account.account_id.upper()} ")
    world.violates("IG-EXC-001", found.exception_id, DIRECTORY, spelt.account.account_id)
    whole = staff(world, firm)
    found = ended(whole, source=None, account_id=None, person_id=whole.person.person_id)
    for account in (whole.account, whole.cloud):
        world.violates("IG-EXC-001", found.exception_id, account.source, account.account_id)
    for values in _each(
        {"expires_at": AS_OF},
        {"expires_at": when(-30)},
        {"status": "Remedied"},
        {"rule_id": "ig-crd-001"},
        {"source": CLOUD},
        {"account_id": "acc-gone"},
        {"account_id": None},
    ):
        ended(staff(world, firm), **values)
    off, unsure = staff(world, firm), staff(world, firm)
    world.change("accounts", off.account, status="disabled", can_sign_in=False)
    ended(off)
    world.change("accounts", unsure.account, status="suspended", can_sign_in=None)
    world.unknown("IG-EXC-001", ended(unsure).exception_id, DIRECTORY, unsure.account.account_id)


def _expired_on_entitlements(world: World, firm: Company) -> None:
    name = world.number("Archive")
    rare = entitlement(world, CLOUD, name)
    holders = [staff(world, firm), staff(world, firm)]
    for each in holders:
        hold(world, firm, each.cloud, rare, approve(world, firm, each.person, rare))
    over: dict[str, Any] = {"source": CLOUD, "expires_at": when(3)}
    everybody = _exception(world, firm, entitlement_id=f" {name.upper()}", **over)
    for each in holders:
        world.violates("IG-EXC-001", everybody.exception_id, CLOUD, each.cloud.account_id)
    one = _exception(world, firm, entitlement_id=rare.entitlement_id, account_id=holders[0].cloud.account_id, **over)
    world.violates("IG-EXC-001", one.exception_id, CLOUD, holders[0].cloud.account_id)
    person_id = holders[1].person.person_id
    ones = _exception(world, firm, entitlement_id=rare.entitlement_id, person_id=person_id, **over)
    world.violates("IG-EXC-001", ones.exception_id, CLOUD, holders[1].cloud.account_id)
    # held by an account that is switched off, the entitlement is still there
    off = staff(world, firm)
    hold(world, firm, off.cloud, rare, approve(world, firm, off.person, rare))
    world.change("accounts", off.cloud, status="disabled", can_sign_in=False)
    world.violates("IG-EXC-001", everybody.exception_id, CLOUD, off.cloud.account_id)
    _exception(world, firm, entitlement_id=rare.entitlement_id, account_id=staff(world, firm).cloud.account_id, **over)
    _exception(world, firm, entitlement_id=rare.entitlement_id, source=DIRECTORY, expires_at=when(3))
    _exception(world, firm, entitlement_id="ent-gone", **over)


def _replaced(world: World, firm: Company) -> None:
    """An ended exception is no finding where another in force replaces it, as wide and accepted."""
    ways: list[tuple[dict[str, Any], bool]] = [
        ({}, True),
        ({"status": None}, True),
        ({"source": None, "account_id": "by person"}, True),
        ({"rule_id": None, "control_id": None}, True),
        ({"approved_at": AS_OF}, True),
        ({"approved_at": AS_OF + SECOND}, False),
        ({"status": "Pending"}, False),
        ({"rule_id": "IG-MOV-001"}, False),
        ({"source": CLOUD}, False),
        ({"entitlement_id": firm.office.entitlement_id}, False),
    ]
    for values, replaced in ways:
        each = staff(world, firm)
        about = {"source": DIRECTORY, "account_id": each.account.account_id}
        old = _exception(world, firm, **about, expires_at=when(3))
        renewed: dict[str, Any] = about | values
        if renewed["account_id"] == "by person":
            renewed |= {"account_id": None, "person_id": each.person.person_id}
        new = _exception(world, firm, **({"approved_at": when(4)} | renewed))
        if not replaced:
            world.violates("IG-EXC-001", old.exception_id, DIRECTORY, each.account.account_id)
        if "control_id" in values:
            world.violates("IG-EXC-002", new.exception_id)


def _incomplete(world: World, firm: Company) -> None:
    nothing = {"source": None, "account_id": None, "person_id": None, "entitlement_id": None}
    for values in _each(
        {"expires_at": None},
        {"review_owner": None},
        {"review_owner": " ", "status": None},
        {"compensating_control": None, "status": " ACTIVE "},
        {"compensating_control": ""},
        nothing,
        {"rule_id": None},
        {"rule_id": " ", "control_id": " "},
        {"expires_at": None, "approved_at": None, "status": "in force"},
        {"expires_at": AS_OF, "compensating_control": None},
    ):
        found = _about(world, firm, **values)
        world.violates("IG-EXC-002", found.exception_id)
    for values in _each(
        {"rule_id": None, "control_id": "IG-C-77"},
        {"account_id": None, "person_id": "P-planted", "source": None},
        {"account_id": None, "source": DIRECTORY},
        {"status": "Draft", "review_owner": None, "expires_at": None},
        {"status": "withdrawn", "compensating_control": None},
        {"status": "parked"},
    ):
        _about(world, firm, **values)
    _about(world, firm, expires_at=AS_OF - SECOND, compensating_control=None, account_id="acc-gone")
    for values in _each({"review_owner": None}, {"expires_at": None}, {"compensating_control": " "}):
        found = _about(world, firm, status="parked", **values)
        world.unknown("IG-EXC-002", found.exception_id)


def _owner_left(world: World, firm: Company) -> None:
    def owned(status: str | None = "active", expires_at: datetime = NEXT_MONTH, **owner: Any) -> str:
        who = person(world, manager=firm.boss, **owner)
        found = _about(world, firm, review_owner=f" {who.person_id}", status=status, expires_at=expires_at)
        return found.exception_id

    tokyo, angeles = "Asia/Tokyo", "America/Los_Angeles"
    for found in (
        owned(ends_on=YESTERDAY),
        owned(ends_on=YESTERDAY, time_zone=tokyo),
        owned(ends_on=TODAY - 2 * DAY, time_zone=angeles, expires_at=AS_OF),
        owned(status=None, ends_on=datetime(2024, 2, 29, tzinfo=UTC).date()),
        _about(world, firm, review_owner=_said_to_have_left(world, firm)).exception_id,
    ):
        world.violates("IG-EXC-003", found)
    owned(ends_on=TODAY)
    owned(ends_on=YESTERDAY, time_zone=angeles)
    owned(ends_on=TODAY, time_zone=tokyo)
    owned(ends_on=TODAY + 90 * DAY, time_zone="Mars/Olympus")
    owned(ends_on=YESTERDAY, status="closed")
    owned(ends_on=YESTERDAY, status="draft")
    person_left = person(world, manager=firm.boss, ends_on=YESTERDAY)
    _exception(world, firm, account_id="acc-gone", review_owner=person_left.person_id, expires_at=AS_OF - SECOND)
    contradicted = person(world, manager=firm.boss, status="terminated", ends_on=TODAY + DAY)
    for found in (
        owned(ends_on=YESTERDAY, time_zone="Mars/Olympus"),
        owned(ends_on=YESTERDAY, status="parked"),
        _about(world, firm, review_owner="P-unheard").exception_id,
        _about(world, firm, review_owner=contradicted.person_id).exception_id,
    ):
        world.unknown("IG-EXC-003", found)


def _said_to_have_left(world: World, firm: Company) -> str:
    return person(world, manager=firm.boss, status="Departed").person_id


def _too_long(world: World, firm: Company) -> None:
    year = 366 * DAY
    for values in _each(
        {"expires_at": when(100) + year + SECOND},
        {"expires_at": datetime(2099, 12, 31, tzinfo=UTC), "status": None},
        # 2027-03-01 to 2028-03-01 has 366 days, one more than 2026-03-01 to 2027-03-01
        {"approved_at": datetime(2027, 3, 1, tzinfo=UTC), "expires_at": datetime(2028, 3, 2, tzinfo=UTC)},
        {"approved_at": when(400), "expires_at": AS_OF},
    ):
        found = _about(world, firm, **values)
        world.violates("IG-EXC-004", found.exception_id)
    for values in _each(
        {"expires_at": when(100) + year},
        {"approved_at": datetime(2027, 3, 1, tzinfo=UTC), "expires_at": datetime(2028, 3, 1, tzinfo=UTC)},
        {"expires_at": when(-900), "status": "withdrawn"},
        {"expires_at": when(-900), "status": "Rejected"},
        {"expires_at": when(-900), "status": "pending"},
        {"approved_at": when(900), "expires_at": AS_OF - SECOND, "account_id": "acc-gone"},
        {"approved_at": when(100), "expires_at": when(-200), "status": "parked"},
    ):
        _about(world, firm, **values)
    for values in _each({"approved_at": None}, {"expires_at": when(-900), "status": "parked"}):
        found = _about(world, firm, **values)
        world.unknown("IG-EXC-004", found.exception_id)


def _renewed(world: World, firm: Company) -> None:
    def chain(*before: dict[str, Any], **last: Any) -> str:
        """Return the exception that follows others for the same, accepted one after another."""
        about: dict[str, Any] = {"source": DIRECTORY, "account_id": _bystander(world, firm).account_id}
        for number, values in enumerate(before):
            made = {"approved_at": when(300 - number), "expires_at": when(200), "status": "closed"}
            _exception(world, firm, **(about | made | values))
        return _exception(world, firm, **(about | {"approved_at": when(50)} | last)).exception_id

    for found in (chain({}, {}, {}), chain({}, {}, {}, {}, status=None), chain({}, {"rule_id": "ig-prv-001"}, {})):
        world.violates("IG-EXC-004", found)
    endless = chain({}, {}, {}, expires_at=None)
    world.violates("IG-EXC-004", endless)
    world.violates("IG-EXC-002", endless)
    chain({}, {})
    chain({}, {}, {"status": "Rejected"})
    chain({}, {}, {"status": "draft"})
    chain({}, {}, {"rule_id": "IG-MOV-001"})
    chain({}, {}, {"source": CLOUD})
    chain({}, {}, {"account_id": "acc-gone"})
    chain({}, {}, {}, status="resolved")
    world.unknown("IG-EXC-004", chain({}, {}, {"approved_at": None}))
    world.unknown("IG-EXC-004", chain({}, {}, {}, status="parked"))


def _bystander(world: World, firm: Company) -> Account:
    return staff(world, firm).account


def _about(world: World, firm: Company, **values: Any) -> ExceptionRecord:
    """Add an exception in order about an account of its own."""
    account = _bystander(world, firm)
    made = {"rule_id": "IG-ORP-004", "source": account.source, "account_id": account.account_id}
    return _exception(world, firm, **(made | values))


def _exception(world: World, firm: Company, **values: Any) -> ExceptionRecord:
    """Add an exception in order: accepted, with an end, an owner and something done instead."""
    made: dict[str, Any] = {
        "rule_id": "IG-PRV-001",
        "reason": "until the migration is over",
        "compensating_control": "weekly look at the log",
        "approved_by": firm.boss.person_id,
        "approved_at": when(100),
        "expires_at": when(-30),
        "review_owner": firm.reviewer.person_id,
        "status": "active",
    }
    return world.add("exceptions", ExceptionRecord(exception_id=world.number("X"), **(made | values)))


def _each(*values: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    return values
