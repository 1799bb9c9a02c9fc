"""The connector against a real Samba domain controller, which keeps to Active Directory's schema and semantics."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.ldap.source import LdapSource
from reconciler.sdk.connector import PersonKeys, Presence
from reconciler.sdk.testing import check_source
from tests.connectors.ldap.domain import USERS, add, delete
from tests.connectors.ldap.pulling import pull, settings, source
from tests.connectors.ldap.stock import by_ldap3, by_us
from tests.servers.samba import ADMIN, ADMIN_PASSWORD, DELETED, READER, READER_PASSWORD, SUFFIX, Samba

M = pytest.MonkeyPatch
CANARY = f"CN=dee,{USERS}"
ABSENT = "00000000-0000-4000-8000-000000000000"
AS_READER: dict[str, Any] = {"bind_dn": READER, "password": READER_PASSWORD}
AS_ADMIN: dict[str, Any] = {"bind_dn": ADMIN, "password": ADMIN_PASSWORD}


def reader(samba: Samba, monkeypatch: M, **changes: Any) -> LdapSource:
    return source(samba.url, monkeypatch, **{"base_dn": SUFFIX, "canaries": [CANARY], **AS_READER, **changes})


async def test_the_contract_is_kept_and_nothing_is_missing(samba: Samba, monkeypatch: M) -> None:
    # This Samba's schema knows no device keys, the only credentials with a last use.
    unused = {"last_used_at", "last_used_basis"}
    unfilled = {"accounts": {"owner_ref"}, "entitlements": {"owner_ref"}, "credentials": unused}
    assert await reader(samba, monkeypatch).check() == []
    assert await check_source(reader(samba, monkeypatch, page_size=7), unfilled=unfilled) == []


async def test_accounts_of_a_domain(samba: Samba, monkeypatch: M) -> None:
    pulled = await pull(reader(samba, monkeypatch), "accounts")
    rows = pulled.by("login")
    assert pulled.gaps == []
    assert pulled.canaries == {CANARY}
    said = {
        name: (rows[name].status, rows[name].can_sign_in) for name in ("ann", "ben", "cas", "dee", "Guest", "krbtgt")
    }
    assert said == {
        "ann": ("enabled", True),
        "ben": ("disabled", False),
        "cas": ("enabled", False),  # accountExpires has passed
        "dee": ("enabled", True),
        "Guest": ("disabled", False),
        "krbtgt": ("disabled", False),
    }
    ann = rows["ann"]
    assert (ann.email, ann.employee_id, ann.department, ann.company) == ("ann@corp.test", "0007", "R&D", "Acme BV")
    assert (ann.manager_ref, ann.kind, rows["svc$"].kind) == (f"CN=ben,{USERS}", None, "service")
    assert "DC1$" not in rows  # a computer


async def test_grants_of_a_domain_hold_circles_and_primary_groups(samba: Samba, monkeypatch: M) -> None:
    accounts = (await pull(reader(samba, monkeypatch), "accounts")).rows
    groups = (await pull(reader(samba, monkeypatch), "entitlements")).rows
    grants = await pull(reader(samba, monkeypatch), "grants")
    names = {row.account_id: row.login for row in accounts} | {row.entitlement_id: row.name for row in groups}
    said = {(names[row.principal_id], names[row.entitlement_id]) for row in grants.rows}
    assert {
        ("two", "one"),
        ("three", "two"),
        ("one", "three"),
        ("ann", "one"),
        ("ben", "two"),
        ("cas", "three"),
    } <= said
    assert ("ann", "Domain Users") in said
    assert ("cas", "Domain Users") in said  # Samba keeps the old primary group as an ordinary membership
    assert ("Administrator", "Domain Admins") in said
    assert grants.gaps == []


async def test_credentials_of_a_domain(samba: Samba, monkeypatch: M) -> None:
    ann = (await pull(reader(samba, monkeypatch), "accounts")).by("login")["ann"].account_id
    mine = {
        row.kind: row for row in (await pull(reader(samba, monkeypatch), "credentials")).rows if row.account_id == ann
    }
    assert set(mine) == {"password", "certificate"}
    assert mine["password"].status == "expired"  # pwdLastSet is 0: it has to be changed first
    assert mine["certificate"].expires_at is not None


async def test_ldaps_of_a_domain(samba: Samba, monkeypatch: M) -> None:
    tls = source(samba.ldaps_url, monkeypatch, **AS_READER, base_dn=SUFFIX, ca_file=str(samba.ca_file))
    assert len((await pull(tls, "entitlements")).rows) > 30


def test_every_entry_is_the_same_as_by_ldap3(samba: Samba, monkeypatch: M) -> None:
    theirs = by_ldap3(samba.url, READER, READER_PASSWORD, SUFFIX)
    ours = by_us(settings(samba.url, monkeypatch, **AS_READER, base_dn=SUFFIX), SUFFIX)
    times = {"lastlogon", "lastlogontimestamp", "logoncount", "msds-tokengroupnames"}
    assert {dn: {k: v for k, v in e.items() if k not in times} for dn, e in ours.items()} == {
        dn: {k: v for k, v in e.items() if k not in times} for dn, e in theirs.items()
    }
    assert len(theirs) > 200


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (PersonKeys(employee_id="0007"), {"ann": ("employee_id",)}),
        (PersonKeys(emails=("ANN@corp.test",)), {"ann": ("email",)}),
        (PersonKeys(emails=("annie@old.test",)), {"ann": ("email",)}),
        (PersonKeys(emails=("ann.a@corp.test",)), {"ann": ("email",)}),
        (PersonKeys(logins=("CORP\\ann",)), {"ann": ("login",)}),
        (PersonKeys(logins=("ben",)), {"ben": ("login",)}),
        (PersonKeys(logins=("a*",), employee_id="*"), {}),
    ],
)
async def test_a_person_is_found_in_a_domain(
    samba: Samba, monkeypatch: M, keys: PersonKeys, expected: dict[str, tuple[str, ...]]
) -> None:
    found = await reader(samba, monkeypatch, **AS_ADMIN).find(keys)
    assert {account.login: account.matched_by for account in found.accounts} == expected
    assert found.gaps == ()


async def test_states_live(samba: Samba, monkeypatch: M) -> None:
    ids = {row.login: row.account_id for row in (await pull(reader(samba, monkeypatch), "accounts")).rows}
    live = {name: await reader(samba, monkeypatch).reread(ids[name]) for name in ("ann", "ben", "cas")}
    assert {name: found.presence for name, found in live.items()} == {
        "ann": Presence.PRESENT,
        "ben": Presence.DISABLED,
        "cas": Presence.PRESENT,
    }
    password = {name: found.credentials[0].presence for name, found in live.items()}
    assert password == {"ann": Presence.PRESENT, "ben": Presence.DISABLED, "cas": Presence.PRESENT}
    ann = {found.kind: found for found in live["ann"].credentials}
    assert ann["certificate"].presence is Presence.PRESENT
    assert (ann["ssh_key"].presence, ann["session"].presence) == (Presence.GONE, Presence.NOT_EVALUABLE)
    assert "10 hours" in ann["session"].lag


async def test_a_deleted_account_is_disabled_to_who_may_see_it_and_unknown_to_others(
    samba: Samba, monkeypatch: M
) -> None:
    dn = add(samba, "late", userAccountControl="544")
    late = (await pull(reader(samba, monkeypatch), "accounts")).by("login")["late"].account_id
    delete(samba, dn)
    seen = await reader(samba, monkeypatch, **AS_ADMIN).reread(late)
    assert (seen.presence, seen.status, seen.login) == (Presence.DISABLED, "deleted", "late")
    assert f"lastKnownParent={USERS}" in (seen.raw_status or "")
    unseen = await reader(samba, monkeypatch).reread(late)
    assert (unseen.presence, DELETED in unseen.reason) == (Presence.NOT_EVALUABLE, True)
    found = await reader(samba, monkeypatch, **AS_ADMIN).find(PersonKeys(logins=("late",), account_ids=(late,)))
    assert [(a.account_id, set(a.matched_by)) for a in found.accounts] == [(late, {"login", "account_id"})]
    ordinary = await reader(samba, monkeypatch).find(PersonKeys(logins=("late",)))
    assert (ordinary.accounts, [gap.subject for gap in ordinary.gaps]) == ((), [DELETED])


async def test_gone_from_a_domain_needs_the_deleted_objects_and_a_canary(samba: Samba, monkeypatch: M) -> None:
    whole = await reader(samba, monkeypatch, **AS_ADMIN).reread(ABSENT)
    assert (whole.presence, CANARY in whole.reason) == (Presence.GONE, True)
    blind = await reader(samba, monkeypatch, **AS_ADMIN, canaries=[]).reread(ABSENT)
    ordinary = await reader(samba, monkeypatch).reread(ABSENT)
    assert blind.presence is ordinary.presence is Presence.NOT_EVALUABLE
