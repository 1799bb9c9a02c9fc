"""What the credential rules must find, and what is nearly so: keys too old, unused, or about to expire."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from reconciler.sdk.records import Account, Credential, SpecialAccount, SpecialKind
from tests.truth.company import Company, staff
from tests.truth.world import AS_OF, CLOUD, DAY, DIRECTORY, TODAY, World, when

COPIES = 4
"""How often each thing is planted."""

SECOND = timedelta(seconds=1)
NINETY, THIRTY = AS_OF - 90 * DAY, AS_OF + 30 * DAY
LEAP_DAY = datetime(2024, 2, 29, 12, tzinfo=UTC)


def plant(world: World, firm: Company) -> None:
    """Plant hits and near misses of every credential rule."""
    for _ in range(COPIES):
        account = staff(world, firm).account
        other = staff(world, firm).cloud
        for each in (account, other):
            _too_old(world, each)
            _unused(world, each)
            _expiring(world, each)
        _unused_break_glass(world, firm, staff(world, firm).account)


def _too_old(world: World, account: Account) -> None:
    for values in _each(
        {"created_at": NINETY - SECOND},
        {"created_at": when(800), "rotated_at": when(91), "kind": "ssh_key"},
        {"created_at": LEAP_DAY, "kind": "client_secret", "expires_at": when(-400)},
        {"created_at": when(95), "expires_at": AS_OF + SECOND, "kind": "api_token"},
        {"created_at": None, "rotated_at": when(120), "kind": "service_credential"},
        # said to have been replaced before it was made: the later of the two counts
        {"created_at": when(91), "rotated_at": when(300)},
        {"created_at": when(91), "account_id": None, "kind": "api_token"},
    ):
        found = _key(world, account, **values)
        world.violates("IG-CRD-001", account.source, found.credential_id)
        if found.account_id is None:
            world.unknown("IG-LVR-002", account.source, found.credential_id)
    for values in _each(
        {"created_at": NINETY},
        {"created_at": when(800), "rotated_at": when(89)},
        {"created_at": when(800), "status": "inactive"},
        {"created_at": when(800), "status": "revoked", "kind": "ssh_key"},
        {"created_at": when(800), "expires_at": AS_OF},
        {"created_at": when(800), "kind": "password"},
        {"created_at": when(800), "kind": "certificate", "expires_at": when(-200)},
        {"created_at": when(800), "kind": "mfa_factor"},
        {"created_at": None, "status": "inactive"},
    ):
        _key(world, account, **values)
    for values in _each(
        {"created_at": None},
        {"created_at": when(91), "status": None},
        {"created_at": when(91), "kind": None},
    ):
        if values.get("kind", "") is None:
            values["expires_at"] = when(-400)
        found = _key(world, account, **values)
        world.unknown("IG-CRD-001", account.source, found.credential_id)


def _unused(world: World, account: Account) -> None:
    never = {"last_used_at": None, "created_at": when(91)}
    for values in _each(
        {"last_used_at": NINETY - SECOND},
        {"last_used_at": LEAP_DAY, "kind": "ssh_key"},
        {"last_used_at": when(91), "kind": "api_token", "expires_at": AS_OF + SECOND},
        {"kind": "refresh_token"} | never,
        {"kind": "login_profile"} | never,
        {"kind": "certificate", "expires_at": when(-200)} | never,
        {"kind": "refresh_token", "last_used_at": None, "created_at": None, "rotated_at": when(91)},
    ):
        found = _key(world, account, **values)
        world.violates("IG-CRD-002", account.source, found.credential_id)
    for values in _each(
        {"last_used_at": NINETY},
        {"last_used_at": None, "created_at": when(89)},
        {"last_used_at": when(400), "status": "inactive"},
        {"last_used_at": when(400), "status": "revoked", "kind": "refresh_token"},
        {"last_used_at": when(400), "expires_at": AS_OF},
        {"kind": "password"} | never,
        {"kind": "mfa_factor"} | never,
        {"kind": "session"} | never,
        {"last_used_at": when(5), "last_used_basis": None},
    ):
        _key(world, account, **values)
    for values in _each(
        {"last_used_at": when(91), "last_used_basis": None},
        {"last_used_at": when(91), "last_used_basis": "  "},
        {"last_used_at": when(91), "status": None},
        {"last_used_at": when(91), "kind": None, "expires_at": when(-400)},
        {"last_used_at": None, "created_at": None, "kind": "refresh_token"},
    ):
        found = _key(world, account, **values)
        world.unknown("IG-CRD-002", account.source, found.credential_id)


def _unused_break_glass(world: World, firm: Company, account: Account) -> None:
    """A key of a break-glass account is meant to lie unused; one of a service account is not."""
    kinds: list[tuple[SpecialKind, str]] = [("break_glass", DIRECTORY), ("service", CLOUD)]
    for kind, where in kinds:
        held = account if where == DIRECTORY else staff(world, firm).cloud
        world.add(
            "special_accounts",
            SpecialAccount(
                source=where,
                account_id=held.account_id.upper(),
                kind=kind,
                steward=firm.boss.person_id,
                reviewed_on=TODAY - 30 * DAY,
                review_due_on=TODAY + 300 * DAY,
            ),
        )
        found = _key(world, held, last_used_at=when(91))
        if kind == "service":
            world.violates("IG-CRD-002", where, found.credential_id)
    vague = staff(world, firm).cloud
    world.add(
        "special_accounts", SpecialAccount(source=CLOUD, account_id=vague.account_id, steward=firm.boss.person_id)
    )
    world.unknown("IG-CRD-002", CLOUD, _key(world, vague, last_used_at=when(91)).credential_id)
    world.unknown("IG-PRV-004", CLOUD, vague.account_id)
    # an account of the same id in the other system is registered, not this one
    twin = staff(world, firm).cloud
    world.add("accounts", msgspec.structs.replace(twin, source=DIRECTORY))
    world.add(
        "special_accounts",
        SpecialAccount(
            source=DIRECTORY,
            account_id=twin.account_id,
            kind="break_glass",
            steward=firm.boss.person_id,
            review_due_on=TODAY + 300 * DAY,
        ),
    )
    world.violates("IG-CRD-002", CLOUD, _key(world, twin, last_used_at=when(91)).credential_id)


def _expiring(world: World, account: Account) -> None:
    for values in _each(
        {"expires_at": THIRTY},
        {"expires_at": when(-1)},
        {"expires_at": AS_OF + SECOND, "kind": "certificate"},
        {"expires_at": AS_OF},
        {"expires_at": LEAP_DAY, "kind": "certificate", "status": "expired"},
        {"expires_at": None, "status": "expired"},
    ):
        found = _key(world, account, **({"kind": "client_secret"} | values))
        world.violates("IG-CRD-003", account.source, found.credential_id)
    for values in _each(
        {"expires_at": THIRTY + SECOND},
        {"expires_at": when(-400), "kind": "certificate"},
        {"expires_at": when(-1), "status": "revoked"},
        {"expires_at": when(10), "status": "inactive", "kind": "certificate"},
        {"expires_at": when(-1), "kind": "access_key"},
        {"expires_at": when(-1), "kind": "session"},
    ):
        _key(world, account, **({"kind": "client_secret"} | values))
    for values in _each(
        {"expires_at": None},
        {"expires_at": when(-1), "status": None},
        {"expires_at": when(-1), "kind": None},
    ):
        found = _key(world, account, **({"kind": "certificate"} | values))
        world.unknown("IG-CRD-003", account.source, found.credential_id)


def _key(world: World, account: Account, **values: Any) -> Credential:
    """Add a credential in order: an active access key, ten days old and in use."""
    made: dict[str, Any] = {
        "account_id": account.account_id,
        "kind": "access_key",
        "status": "active",
        "created_at": when(10),
        "last_used_at": when(1),
        "last_used_basis": "access log",
    }
    return world.add(
        "credentials",
        Credential(source=account.source, credential_id=world.number("key"), **(made | values)),
    )


def _each(*values: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    return values
