"""Leavers: accounts, credentials, privileges and objects that outlive an engagement, and offboardings in order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from reconciler.sdk.records import Account, Approval, Credential, Entitlement, Grant, SpecialAccount
from tests.truth.company import Company, Staff, approve, decided_by, event, hold, staff
from tests.truth.world import CLOUD, DAY, DIRECTORY, TODAY, World, account_of, entitlement, grant, when

COPIES = 2
LONG_AGO = TODAY - 10 * DAY
YESTERDAY = TODAY - DAY
PARIS, NEW_YORK, AUCKLAND, NOWHERE = "Europe/Paris", "America/New_York", "Pacific/Auckland", "Mars/Olympus"
MINUTE = timedelta(minutes=1)


def plant(world: World, firm: Company) -> None:
    """Plant leavers whose access stayed, and leavers and others in whom nothing is wrong."""
    for account in both(staff(world, firm)):
        event(world, account, "account_changed", 3000)  # so far back do events reach
    for _ in range(COPIES):
        _keeps_account(world, firm)
        _keeps_account_not_quite(world, firm)
        _account_unknown(world, firm)
        _keeps_credential(world, firm)
        _keeps_entitlement(world, firm)
        _unproven(world, firm)
        _proven(world, firm)
        _late(world, firm)
        _split(world, firm)
        _owns(world, firm)
        _reactivated(world, firm)


def leaver(
    world: World, firm: Company, ends_on: date | None = LONG_AGO, zone: str | None = PARIS, **values: Any
) -> Staff:
    """Add somebody who left and whose accounts nobody closed."""
    made = {"ends_on": ends_on, "time_zone": zone, "status": "left", "starts_on": date(2020, 1, 1)}
    return staff(world, firm, **(made | values))


def gone(world: World, firm: Company, ends_on: date = LONG_AGO, zone: str | None = PARIS, **values: Any) -> Staff:
    """Add somebody who left and whose accounts were closed within the day, as their events tell."""
    who = leaver(world, firm, ends_on, zone, **values)
    at = datetime(ends_on.year, ends_on.month, ends_on.day, 2, tzinfo=UTC) + DAY
    return replace(who, account=close(world, who.account, at), cloud=close(world, who.cloud, at))


def close(world: World, account: Account, at: datetime | None, **values: Any) -> Account:
    """Disable an account, with the event that tells of it."""
    event(world, account, "account_disabled", 0, occurred_at=at, **values)
    return shut(world, account)


def shut(world: World, account: Account, **values: Any) -> Account:
    """Disable an account, and let no event tell of it."""
    made = {"status": "disabled", "raw_status": "DISABLED", "can_sign_in": False}
    return world.change("accounts", account, **(made | values))


def unclear(world: World, account: Account) -> Account:
    """Take away what the source says of whether the account can be used."""
    return world.change("accounts", account, status=None, raw_status=None, can_sign_in=None)


def reopen(world: World, who: Staff, account: Account, at: datetime | None, **values: Any) -> None:
    """Add the event of an account that was enabled, by an approval that is known."""
    ref = who.approval.approval_id
    event(world, account, "account_enabled", 0, occurred_at=at, approval_ref=ref, **values)


def credential(world: World, account: Account, **values: Any) -> Credential:
    """Add a fresh key that was used yesterday."""
    made: dict[str, Any] = {
        "account_id": account.account_id,
        "kind": "access_key",
        "status": "active",
        "created_at": when(20),
        "rotated_at": when(20),
        "last_used_at": when(1),
        "last_used_basis": "request log",
    }
    return world.add(
        "credentials", Credential(source=account.source, credential_id=world.number("key"), **(made | values))
    )


def both(who: Staff) -> tuple[Account, Account]:
    """Return the two accounts of a person."""
    return who.account, who.cloud


def violate(world: World, rule_id: str, *accounts: Account) -> None:
    """Say that a rule whose subjects are accounts finds these."""
    for account in accounts:
        world.violates(rule_id, account.source, account.account_id)


def doubt(world: World, account: Account, *rule_ids: str) -> None:
    """Say that rules whose subjects are accounts cannot judge this one."""
    for rule_id in rule_ids:
        world.unknown(rule_id, account.source, account.account_id)


def _keeps_account(world: World, firm: Company) -> None:
    for ends_on, zone in (
        (LONG_AGO, PARIS),
        (TODAY - 2 * DAY, PARIS),
        (TODAY - 2 * DAY, AUCKLAND),
        (TODAY - 2 * DAY, None),
        (TODAY - 3 * DAY, NEW_YORK),
        (date(2024, 2, 29), PARIS),
        (date(2026, 10, 24), PARIS),
    ):
        violate(world, "IG-LVR-001", *both(leaver(world, firm, ends_on, zone)))
    who = leaver(world, firm, status="active")
    for account, values in ((who.account, {"can_sign_in": None}), (who.cloud, {"status": None})):
        violate(world, "IG-LVR-001", world.change("accounts", account, **values))


def _keeps_account_not_quite(world: World, firm: Company) -> None:
    for ends_on, zone, status in (
        (YESTERDAY, PARIS, "left"),
        (TODAY - 2 * DAY, NEW_YORK, "active"),
        (YESTERDAY, AUCKLAND, "active"),
        (TODAY, PARIS, "active"),
        (TODAY + 2 * DAY, NOWHERE, "active"),
        (None, PARIS, "on leave"),
    ):
        leaver(world, firm, ends_on, zone, status=status)
    for account in both(leaver(world, firm, TODAY + DAY, NOWHERE, status="active")):
        doubt(world, account, "IG-LVR-008")  # which has no grace
    gone(world, firm)
    who = leaver(world, firm)
    for account in both(who):
        world.change("accounts", account, status="suspended", can_sign_in=False)


def _account_unknown(world: World, firm: Company) -> None:
    for account in both(leaver(world, firm)):
        doubt(world, unclear(world, account), "IG-LVR-001", "IG-LVR-005", "IG-LVR-006")
    for ends_on, zone in ((TODAY - 3 * DAY, NOWHERE), (None, PARIS), (TODAY + 9 * DAY, PARIS)):
        for account in both(leaver(world, firm, ends_on, zone)):
            doubt(world, account, "IG-LVR-001", "IG-LVR-005", "IG-LVR-008")


def _keeps_credential(world: World, firm: Company) -> None:
    left = gone(world, firm)
    closed = staff(world, firm)
    shut_one = shut(world, closed.cloud)
    asleep = leaver(world, firm)
    for account in both(asleep):
        world.change("accounts", account, status="suspended", can_sign_in=False)
    deleted = gone(world, firm)
    world.change("accounts", deleted.cloud, status="deleted")
    found = [
        credential(world, left.account),
        credential(world, left.cloud, kind="session", last_used_at=when(9)),
        credential(world, shut_one, kind="api_token"),
        credential(world, asleep.account),
        credential(world, deleted.cloud, kind="ssh_key"),
        credential(world, deleted.cloud, account_id=world.number("never"), kind="service_credential"),
    ]
    for key in found:
        world.violates("IG-LVR-002", key.source, key.credential_id)
    for values in ({"status": "inactive"}, {"status": "revoked"}, {"kind": "password"}, {"expires_at": when(3)}):
        credential(world, left.cloud, **values)
    active = staff(world, firm)
    credential(world, world.change("accounts", active.account, status="locked", can_sign_in=False))
    credential(world, leaver(world, firm, YESTERDAY).cloud)
    doubtful = [
        credential(world, left.account, kind=None, expires_at=when(-200)),
        credential(world, left.account, status=None),
        credential(world, left.account, account_id=None),
        credential(world, unclear(world, active.cloud)),
    ]
    for key in doubtful:
        world.unknown("IG-LVR-002", key.source, key.credential_id)


def _powers(world: World, firm: Company, who: Staff, account: Account, power: Entitlement) -> None:
    """Give an account something privileged, as it should be given: approved, reviewed, and with an end."""
    hold(world, firm, account, power, approve(world, firm, who.person, power), expires_at=when(-50))


def _keeps_entitlement(world: World, firm: Company) -> None:
    left = gone(world, firm)
    _powers(world, firm, left, left.cloud, firm.admins)
    violate(world, "IG-LVR-003", left.cloud)

    on_leave = staff(world, firm)
    _powers(world, firm, on_leave, shut(world, on_leave.cloud, status="deleted"), firm.admins)
    violate(world, "IG-LVR-003", on_leave.cloud)

    asleep = leaver(world, firm)
    for account in both(asleep):
        world.change("accounts", account, status="suspended", can_sign_in=False)
    _powers(world, firm, asleep, asleep.cloud, firm.admins)
    violate(world, "IG-LVR-003", asleep.cloud)

    # reached through a group that holds a group that holds the first again
    deep = gone(world, firm)
    inner, outer = entitlement(world, DIRECTORY, "Inner"), entitlement(world, DIRECTORY, "Outer")
    power = entitlement(world, DIRECTORY, "Domain Admins", privileged=True)
    for below, above in ((inner, outer), (outer, inner), (outer, power)):
        world.add("grants", _nested(below, above))
    _powers(world, firm, deep, deep.account, inner)
    violate(world, "IG-LVR-003", deep.account)

    for ends_on, status in ((YESTERDAY, "left"), (None, "active")):
        who = leaver(world, firm, ends_on, status=status)
        _powers(
            world, firm, who, world.change("accounts", who.cloud, status="suspended", can_sign_in=False), firm.admins
        )
    plain = gone(world, firm)
    _powers(world, firm, plain, plain.account, inner_of(world))
    machine = account_of(world, firm.boss, CLOUD, employee_id=None, email=None, display_name=None, login=None)
    grant(world, shut(world, machine, kind="service"), firm.admins)
    world.add(
        "special_accounts",
        SpecialAccount(source=CLOUD, account_id=machine.account_id, kind="service", steward=firm.deputy.person_id),
    )

    silent = entitlement(world, CLOUD, "Silent Role", privileged=None)
    one, two = gone(world, firm), staff(world, firm)
    _powers(world, firm, one, one.cloud, silent)
    _powers(world, firm, two, unclear(world, two.cloud), firm.admins)
    doubt(world, one.cloud, "IG-LVR-003")
    doubt(world, two.cloud, "IG-LVR-003")


def inner_of(world: World) -> Entitlement:
    """Return a group that is in another one; neither gives power."""
    below, above = entitlement(world, DIRECTORY, "Chess Club"), entitlement(world, DIRECTORY, "Clubs")
    world.add("grants", _nested(below, above))
    return below


def _nested(below: Entitlement, above: Entitlement) -> Grant:
    return Grant(
        source=below.source,
        principal_kind="entitlement",
        principal_id=below.entitlement_id,
        entitlement_id=above.entitlement_id,
        assignment="direct",
    )


def terminate(world: World, firm: Company, who: Staff, **values: Any) -> Approval:
    """Approve the end of somebody's engagement, ten days ago."""
    made: dict[str, Any] = {
        "kind": "termination",
        "person_id": who.person.person_id,
        **decided_by(firm, who.person.person_id),
        "decision": "approved",
        "decided_at": when(10),
        "valid_from": when(9),
    }
    return world.add("approvals", Approval(approval_id=world.number("A"), **(made | values)))


def _unproven(world: World, firm: Company) -> None:
    shut_silently = staff(world, firm)
    terminate(world, firm, shut_silently)
    violate(world, "IG-LVR-004", *(shut(world, account) for account in both(shut_silently)))

    failed = staff(world, firm)
    terminate(world, firm, failed, decision="Yes ", valid_from=None)
    for account in both(failed):
        event(world, account, "account_disabled", 9, outcome="FAILURE")
    violate(world, "IG-LVR-004", *both(failed))

    one_system = staff(world, firm)
    terminate(world, firm, one_system, system=" Cloud")
    violate(world, "IG-LVR-004", one_system.cloud)

    # what can still be used after the last day is a state; that nobody carried out the approval is another matter
    stays = leaver(world, firm)
    terminate(world, firm, stays, valid_from=None)
    for rule_id in ("IG-LVR-001", "IG-LVR-004"):
        violate(world, rule_id, *both(stays))

    old = staff(world, firm)
    terminate(world, firm, old)
    violate(world, "IG-LVR-004", *(close(world, account, when(200)) for account in both(old)))
    for account in both(old):
        reopen(world, old, account, when(150))

    undecided, undated = staff(world, firm), staff(world, firm)
    terminate(world, firm, undecided, decision=None)
    terminate(world, firm, undated)
    for account in (*both(undecided), *(close(world, account, None) for account in both(undated))):
        doubt(world, account, "IG-LVR-004")
    unsaid = staff(world, firm)
    terminate(world, firm, unsaid)
    for account in both(unsaid):
        event(world, account, "account_disabled", 9, outcome=None)
        doubt(world, account, "IG-LVR-004")


def _proven(world: World, firm: Company) -> None:
    terminate(world, firm, gone(world, firm))
    deleted = staff(world, firm)
    terminate(world, firm, deleted)
    for account in both(deleted):
        shut(world, account, status="deleted", deleted_at=when(9))
    early = staff(world, firm)
    terminate(world, firm, early)
    for account in both(early):
        close(world, account, when(15))
    for values in (
        {"decision": "rejected"},
        {"valid_from": when(0.9)},
        {"valid_from": when(-3)},
        {"decided_at": when(900), "valid_from": when(890)},
        {"system": "hr portal"},
    ):
        terminate(world, firm, staff(world, firm), **values)


def _late(world: World, firm: Company) -> None:
    # the last day ends at 23:00 UTC in Paris, in New York at 05:00, in Auckland at 11:00 the day before
    for ends_on, zone, due in (
        (LONG_AGO, PARIS, datetime(2026, 11, 11, 23, tzinfo=UTC)),
        (LONG_AGO, NEW_YORK, datetime(2026, 11, 12, 5, tzinfo=UTC)),
        (LONG_AGO, AUCKLAND, datetime(2026, 11, 11, 11, tzinfo=UTC)),
        (date(2026, 10, 24), PARIS, datetime(2026, 10, 25, 22, tzinfo=UTC)),
    ):
        just, late = leaver(world, firm, ends_on, zone), leaver(world, firm, ends_on, zone)
        for account in both(just):
            close(world, account, due + timedelta(seconds=59))
        violate(world, "IG-LVR-005", *(close(world, account, due + MINUTE) for account in both(late)))
    dropped = leaver(world, firm)
    for account in both(dropped):
        violate(world, "IG-LVR-005", shut(world, account, status="deleted", deleted_at=when(3)))
    tidy = gone(world, firm)
    for account in both(tidy):
        world.change("accounts", account, status="deleted", deleted_at=when(3))

    silent, perhaps = leaver(world, firm), leaver(world, firm)
    for account in both(silent):
        doubt(world, shut(world, account), "IG-LVR-005")
    for account in both(perhaps):
        event(world, account, "account_disabled", 9.5, outcome=None)
        doubt(world, close(world, account, when(3)), "IG-LVR-005")


def _split(world: World, firm: Company) -> None:
    for closing, open_one in (("cloud", "account"), ("account", "cloud")):
        who = leaver(world, firm)
        close(world, getattr(who, closing), when(9))
        for rule_id in ("IG-LVR-001", "IG-LVR-006"):
            violate(world, rule_id, getattr(who, open_one))
    locked = leaver(world, firm)
    shut(world, locked.account, status="deleted", deleted_at=when(9))
    world.change("accounts", locked.cloud, status="locked", can_sign_in=True)
    for rule_id in ("IG-LVR-001", "IG-LVR-006"):
        violate(world, rule_id, locked.cloud)
    ended = staff(world, firm)
    terminate(world, firm, ended)
    close(world, ended.cloud, when(9))
    for rule_id in ("IG-LVR-004", "IG-LVR-006"):
        violate(world, rule_id, ended.account)

    for who in (staff(world, firm), leaver(world, firm, YESTERDAY), leaver(world, firm, None, status="active")):
        close(world, who.cloud, when(9))
    refused = staff(world, firm)
    terminate(world, firm, refused, decision="rejected")
    close(world, refused.cloud, when(9))
    asleep = leaver(world, firm)
    world.change("accounts", asleep.account, status="suspended", can_sign_in=False)
    violate(world, "IG-LVR-001", asleep.cloud)
    twice = gone(world, firm)
    world.remove("accounts", world.rows["accounts"][-1])
    again = account_of(world, twice.person, CLOUD)
    for rule_id in ("IG-LVR-001", "IG-LVR-006"):
        violate(world, rule_id, again)

    perhaps = leaver(world, firm)
    close(world, perhaps.account, when(9))
    doubt(world, unclear(world, perhaps.cloud), "IG-LVR-001", "IG-LVR-005", "IG-LVR-006")


def _service(world: World, firm: Company, **values: Any) -> Account:
    """Add a service account that its register says somebody active looks after."""
    made = {"employee_id": None, "email": None, "display_name": None, "kind": "service", "mfa_enrolled": None}
    account = account_of(world, firm.boss, CLOUD, **(made | {"login": world.number("svc")} | values))
    world.add(
        "special_accounts",
        SpecialAccount(
            source=CLOUD,
            account_id=account.account_id,
            kind="service",
            steward=firm.deputy.person_id,
            purpose="nightly export",
            reviewed_on=TODAY - 30 * DAY,
            review_due_on=TODAY + 300 * DAY,
        ),
    )
    return account


def _owns(world: World, firm: Company) -> None:
    left, soon, active = gone(world, firm), leaver(world, firm, YESTERDAY), staff(world, firm)
    who = left.person.person_id
    service = _service(world, firm, owner_ref=(left.cloud.login or "").upper())
    world.violates("IG-LVR-007", who, CLOUD, "account", service.account_id)
    group = entitlement(world, DIRECTORY, "Owned", owner_ref=who)
    world.violates("IG-LVR-007", who, DIRECTORY, "entitlement", group.entitlement_id)
    key = credential(world, active.cloud, created_by=left.cloud.account_id)
    world.violates("IG-LVR-007", who, CLOUD, "credential", key.credential_id)
    mailed = entitlement(world, CLOUD, "Mailed", owner_ref=f" {(left.person.emails or [''])[0].upper()}")
    world.violates("IG-LVR-007", who, CLOUD, "entitlement", mailed.entitlement_id)

    _service(world, firm, owner_ref=soon.cloud.login)
    _service(world, firm, owner_ref=active.cloud.account_id)
    _service(world, firm, owner_ref="the web team")
    shut(world, _service(world, firm, owner_ref=left.cloud.account_id), status="deleted")
    world.change("accounts", left.account, owner_ref=left.account.login)
    credential(world, active.cloud, created_by=left.cloud.account_id, status="revoked")
    credential(world, active.account, created_by=left.cloud.account_id)

    shared = f"{world.number('team')}@acme.example"
    first, second = gone(world, firm, emails=[shared]), staff(world, firm, emails=[shared])
    for each in (*both(first), *both(second)):
        world.change("accounts", _now(world, each), email=None)
    doubtful = entitlement(world, DIRECTORY, "Whose", owner_ref=shared)
    world.unknown("IG-LVR-007", first.person.person_id, DIRECTORY, "entitlement", doubtful.entitlement_id)


def _now(world: World, account: Account) -> Account:
    """Return an account's row as it is now."""
    return next(
        row
        for row in reversed(world.rows["accounts"])
        if isinstance(row, Account) and (row.source, row.account_id) == (account.source, account.account_id)
    )


def _reactivated(world: World, firm: Company) -> None:
    closed_again = gone(world, firm)
    for account in both(closed_again):
        reopen(world, closed_again, account, when(5))
        event(world, account, "account_disabled", 4)
    violate(world, "IG-LVR-008", *both(closed_again))

    opened, silently = leaver(world, firm), leaver(world, firm)
    for who in (opened, silently):
        for account in both(who):
            event(world, account, "account_disabled", 9)
        for rule_id in ("IG-LVR-001", "IG-LVR-008"):
            violate(world, rule_id, *both(who))
    for account in both(opened):
        reopen(world, opened, account, when(5), outcome="ok")

    _reactivated_at_the_turn(world, firm)
    harmless = gone(world, firm)
    for account in both(harmless):
        reopen(world, harmless, account, when(100))
        reopen(world, harmless, account, when(5), outcome="DENIED")
        event(world, account, "account_changed", 5)

    for values in ({"at": None}, {"at": when(5), "outcome": None}):
        unsure = gone(world, firm)
        for account in both(unsure):
            reopen(world, unsure, account, **values)
            doubt(world, account, "IG-LVR-008")


def _reactivated_at_the_turn(world: World, firm: Company) -> None:
    """The last day ends in New York six hours after it does in Paris."""
    five = datetime(2026, 11, 11, 5, tzinfo=UTC)
    for zone, at, late in ((NEW_YORK, five, True), (NEW_YORK, five - MINUTE, False), (PARIS, five - MINUTE, True)):
        who = leaver(world, firm, LONG_AGO, zone)
        for account in both(who):
            reopen(world, who, account, at)
            close(world, account, at + 2 * MINUTE)
            if late:
                violate(world, "IG-LVR-008", account)
