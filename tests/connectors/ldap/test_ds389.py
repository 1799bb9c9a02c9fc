"""The connector against a real 389 Directory Server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from connectors.ldap.source import LdapSource
from reconciler.sdk.connector import PersonKeys, Presence
from reconciler.sdk.testing import check_source
from tests.connectors.ldap.company import PEOPLE, SECRET, person
from tests.connectors.ldap.pulling import pull, settings, source
from tests.connectors.ldap.stock import by_ldap3, by_us
from tests.servers.ds389 import READER, READER_PASSWORD, STRANGER, STRANGER_PASSWORD, SUFFIX, Ds389

M = pytest.MonkeyPatch
CANARY = f"uid=ada,{PEOPLE}"
ABSENT = "00000000-00000000-00000000-00000000"


def reader(ds389: Ds389, monkeypatch: M, **changes: Any) -> LdapSource:
    return source(ds389.url, monkeypatch, **{"canaries": [CANARY], **changes})


@pytest.fixture
def late(ds389: Ds389) -> Iterator[str]:
    """One more account, for one test."""
    dn = f"uid=late,{PEOPLE}"
    manager = ds389.manager()
    given = person("late", 77)
    manager.add(
        dn, [str(name) for name in given["objectClass"]], {k: v for k, v in given.items() if k != "objectClass"}
    )
    yield dn
    manager.search(PEOPLE, "(uid=late)", attributes=["1.1"])
    if manager.response:
        manager.delete(dn)
    manager.unbind()


async def test_the_contract_is_kept(ds389: Ds389, monkeypatch: M) -> None:
    opened = reader(ds389, monkeypatch, page_size=3, privileged_groups=["one"], attributes=["employeeNumber"])
    # pwdUpdateTime comes with the first change of a password.
    accounts = {"owner_ref", "last_sign_in_at", "last_sign_in_basis", "password_changed_at"}
    unfilled = {"accounts": accounts, "credentials": {"rotated_at"}}
    assert await opened.check() == []
    assert await check_source(opened, unfilled=unfilled) == []


async def test_states_of_389(ds389: Ds389, monkeypatch: M, late: str) -> None:
    manager = ds389.manager()
    manager.modify(late, {"nsAccountLock": [("MODIFY_REPLACE", ["true"])]})
    row = (await pull(reader(ds389, monkeypatch), "accounts")).by("login")["late"]
    assert (row.status, row.can_sign_in, row.raw_status) == ("disabled", False, "nsAccountLock=true")
    live = await reader(ds389, monkeypatch).reread(row.account_id)
    assert live.presence is Presence.DISABLED
    manager.modify(late, {"nsAccountLock": [("MODIFY_DELETE", [])]})
    live = await reader(ds389, monkeypatch).reread(row.account_id)
    assert (live.presence, live.status) == (Presence.PRESENT, "enabled")
    manager.delete(late)
    manager.unbind()
    live = await reader(ds389, monkeypatch).reread(row.account_id)
    assert live.presence is Presence.GONE
    assert (await reader(ds389, monkeypatch, canaries=[]).reread(row.account_id)).presence is Presence.NOT_EVALUABLE


@pytest.mark.parametrize("hidden", ["late", "secret"])
async def test_an_account_that_is_hidden_is_not_gone(ds389: Ds389, monkeypatch: M, late: str, hidden: str) -> None:
    """Alone among its neighbours, or with the branch that it lies in: the server's own count of entries tells."""
    login, veiled = {"late": ("late", late), "secret": ("eve", SECRET)}[hidden]
    row = (await pull(reader(ds389, monkeypatch), "accounts")).by("login")[login]
    deny = f'(targetattr = "*")(version 3.0; acl "veil"; deny (all) userdn = "ldap:///{READER}";)'
    manager = ds389.manager()
    manager.modify(veiled, {"aci": [("MODIFY_ADD", [deny])]})
    try:
        live = await reader(ds389, monkeypatch).reread(row.account_id)
    finally:
        manager.modify(veiled, {"aci": [("MODIFY_DELETE", [deny])]})
        manager.unbind()
    assert (live.presence, "numSubordinates counts" in live.reason) == (Presence.NOT_EVALUABLE, True)
    assert (await reader(ds389, monkeypatch).reread(ABSENT)).presence is Presence.GONE


async def test_nothing_is_gone_where_the_count_of_entries_is_hidden(ds389: Ds389, monkeypatch: M) -> None:
    deny = f'(targetattr = "numSubordinates")(version 3.0; acl "veil"; deny (all) userdn = "ldap:///{READER}";)'
    manager = ds389.manager()
    manager.modify(SUFFIX, {"aci": [("MODIFY_ADD", [deny])]})
    try:
        live = await reader(ds389, monkeypatch).reread(ABSENT)
    finally:
        manager.modify(SUFFIX, {"aci": [("MODIFY_DELETE", [deny])]})
        manager.unbind()
    assert (live.presence, "numSubordinates is hidden" in live.reason) == (Presence.NOT_EVALUABLE, True)


async def test_a_reader_without_rights_is_shown_success_and_nothing(ds389: Ds389, monkeypatch: M) -> None:
    stranger = reader(ds389, monkeypatch, bind_dn=STRANGER, password=STRANGER_PASSWORD)
    pulled = await pull(stranger, "accounts")
    assert (pulled.rows, pulled.canaries) == ([], set())
    assert {gap.subject for gap in await stranger.check()} == {SUFFIX, CANARY}
    found = await stranger.find(PersonKeys(logins=("ada",)))
    assert (found.accounts, len(found.gaps) > 0) == ((), True)
    assert (await stranger.reread(ABSENT)).presence is Presence.NOT_EVALUABLE


async def test_a_person_is_found_on_389(ds389: Ds389, monkeypatch: M) -> None:
    found = await reader(ds389, monkeypatch).find(PersonKeys(employee_id="0001", emails=("bob@acme.test",)))
    assert {a.login: a.matched_by for a in found.accounts} == {"ada": ("employee_id",), "bob": ("email",)}
    assert found.gaps == ()


async def test_dynamic_groups_of_389(ds389: Ds389, monkeypatch: M) -> None:
    groups = (await pull(reader(ds389, monkeypatch), "entitlements")).by("name")
    grants = await pull(reader(ds389, monkeypatch), "grants")
    staff = [row for row in grants.rows if row.entitlement_id == groups["staff"].entitlement_id]
    assert (groups["staff"].membership, {row.assignment for row in staff}, len(staff)) == ("dynamic", {"dynamic"}, 2)
    assert grants.gaps == []


def test_every_entry_is_the_same_as_by_ldap3(ds389: Ds389, monkeypatch: M) -> None:
    theirs = by_ldap3(ds389.url, READER, READER_PASSWORD, SUFFIX)
    assert by_us(settings(ds389.url, monkeypatch), SUFFIX) == theirs
    assert len(theirs) > 12
