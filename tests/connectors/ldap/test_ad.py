"""Active Directory's ways: ranges, primary groups, foreign principals, referrals of its own, page limits."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from reconciler.sdk.errors import ConfigurationError, Refused
from tests.connectors.ldap.pulling import Pulled, pull, source
from tests.simulators.ldap_server import Faults, LdapServer

M = pytest.MonkeyPatch
D = "DC=corp,DC=test"
Entries = dict[str, dict[str, list[str | bytes]]]


def sid(*parts: int) -> bytes:
    return bytes([1, len(parts), 0, 0, 0, 0, 0, 5]) + b"".join(struct.pack("<I", part) for part in parts)


def user(name: str, rid: int, **more: list[str | bytes]) -> dict[str, list[str | bytes]]:
    entry: dict[str, list[str | bytes]] = {
        "objectClass": ["top", "person", "organizationalPerson", "user"],
        "objectCategory": [f"CN=Person,CN=Schema,CN=Configuration,{D}"],
        "cn": [name],
        "sAMAccountName": [name],
        "userAccountControl": ["512"],
        "primaryGroupID": ["513"],
        "objectSid": [sid(21, 1, 2, 3, rid)],
    }
    return entry | more


def group(name: str, rid: int, *members: str) -> dict[str, list[str | bytes]]:
    return {
        "objectClass": ["top", "group"],
        "cn": [name],
        "objectSid": [sid(21, 1, 2, 3, rid)],
        "member": list(members),
    }


def domain(people: int = 7) -> Entries:
    entries: Entries = {D: {"objectClass": ["domainDNS"]}, f"CN=Users,{D}": {"objectClass": ["container"]}}
    entries |= {f"CN=p{n},CN=Users,{D}": user(f"p{n}", 1000 + n) for n in range(people)}
    entries[f"CN=Domain Users,CN=Users,{D}"] = group("Domain Users", 513)
    entries[f"CN=crowd,{D}"] = group("crowd", 2000, *[dn for dn in entries if dn.startswith("CN=p")])
    return entries


async def read(
    monkeypatch: M, table: str, faults: Faults | None = None, entries: Entries | None = None, **changes: Any
) -> Pulled:
    users = {"reader@corp.test": "pw"}
    with LdapServer(entries or domain(), users=users, profile="ad", faults=faults or Faults()) as server:
        given = {"bind_dn": "reader@corp.test", "password": "pw", "base_dn": D} | changes
        return await pull(source(server.url, monkeypatch, **given), table)


@pytest.mark.parametrize("size", [1, 3, 4, 7, 8])
async def test_ranged_members_are_followed_to_the_end(monkeypatch: M, size: int) -> None:
    pulled = await read(monkeypatch, "grants", Faults(range_size=size, max_page=2))
    assert pulled.gaps == []
    assert len(pulled.rows) == 14
    assert len({(row.principal_id, row.entitlement_id) for row in pulled.rows}) == 14


async def test_a_range_that_breaks_off_is_a_gap(monkeypatch: M) -> None:
    pulled = await read(monkeypatch, "grants", Faults(range_size=3, range_breaks_at=3))
    assert [gap.subject for gap in pulled.gaps] == [f"CN=crowd,{D}"]
    assert "from number 4 on" in pulled.gaps[0].reason
    assert len(pulled.rows) == 10


async def test_the_primary_group_is_a_direct_grant(monkeypatch: M) -> None:
    entries = domain(1)
    entries[f"CN=p0,CN=Users,{D}"]["primaryGroupID"] = ["512"]
    entries[f"CN=Domain Admins,CN=Users,{D}"] = group("Domain Admins", 512)
    groups = (await read(monkeypatch, "entitlements", entries=entries)).by("name")
    grants = await read(monkeypatch, "grants", entries=entries)
    admins = [row for row in grants.rows if row.entitlement_id == groups["Domain Admins"].entitlement_id]
    assert [row.assignment for row in admins] == ["direct"]


async def test_a_primary_group_out_of_sight_is_a_gap(monkeypatch: M) -> None:
    entries = domain(3)
    del entries[f"CN=Domain Users,CN=Users,{D}"]
    pulled = await read(monkeypatch, "grants", entries=entries)
    assert [gap.subject for gap in pulled.gaps] == ["S-1-5-21-1-2-3-513"]
    assert "group_base_dn" in pulled.gaps[0].missing_permission


async def test_a_foreign_account_is_a_gap_and_a_well_known_principal_a_group(monkeypatch: M) -> None:
    entries = domain(1)
    foreign, known = (f"CN={name},CN=ForeignSecurityPrincipals,{D}" for name in ("S-1-5-21-9-9-9-1105", "S-1-5-11"))
    for dn in (foreign, known):
        entries[dn] = {"objectClass": ["top", "foreignSecurityPrincipal"], "cn": [dn[3:].partition(",")[0]]}
    entries[f"CN=mixed,{D}"] = group("mixed", 2001, foreign, known)
    pulled = await read(monkeypatch, "grants", entries=entries)
    assert [gap.subject for gap in pulled.gaps] == [foreign]
    left_out = [f"CN=ForeignSecurityPrincipals,{D}"]
    known_left = await read(monkeypatch, "grants", entries=entries, leave_out=left_out)
    assert (known_left.gaps, len(known_left.rows)) == ([], len(pulled.rows))
    groups = (await read(monkeypatch, "entitlements", entries=entries)).by("name")
    assert set(groups) == {"Domain Users", "crowd", "mixed", "Authenticated Users (S-1-5-11)"}
    assert groups["Authenticated Users (S-1-5-11)"].entitlement_id in {row.principal_id for row in pulled.rows}


async def test_referrals_that_every_domain_sends_are_no_gap_but_a_child_domain_is(monkeypatch: M) -> None:
    # The simulator refers to the configuration and the DNS zones from the root of the domain, as every DC does.
    assert (await read(monkeypatch, "accounts")).gaps == []
    others = ["ldap://sub.corp.test/DC=sub,DC=corp,DC=test", "ldap://corp.test/OU=CN=Configuration,DC=corp,DC=test"]
    pulled = await read(monkeypatch, "accounts", Faults(referrals=others))
    assert [gap.subject for gap in pulled.gaps] == others


async def test_only_active_directory_refers_to_partitions_without_people(monkeypatch: M) -> None:
    own = "ldap://other.test/CN=Configuration,DC=corp,DC=test"
    with LdapServer(domain(), users={"reader": "pw"}, faults=Faults(referrals=[own])) as server:
        given = {"bind_dn": "reader", "password": "pw", "base_dn": D, "user_filter": "(objectClass=user)"}
        pulled = await pull(source(server.url, monkeypatch, **given), "accounts")
    assert [gap.subject for gap in pulled.gaps] == [own]


async def test_the_servers_own_page_limit_is_obeyed(monkeypatch: M) -> None:
    assert (await read(monkeypatch, "accounts", Faults(max_page=3), page_size=1000)).sizes == [3, 3, 1]


async def test_a_login_of_several_names_and_a_protected_group(monkeypatch: M) -> None:
    entries = domain(1)
    entries[f"CN=crowd,{D}"]["adminCount"] = ["1"]
    groups = (await read(monkeypatch, "entitlements", entries=entries)).by("name")
    assert {name: row.privileged for name, row in groups.items()} == {"Domain Users": None, "crowd": True}
    assert {name: row.membership for name, row in groups.items()} == {"Domain Users": "primary", "crowd": "assigned"}
    looked_at = (await read(monkeypatch, "entitlements", entries=entries, ordinary_groups=["*"])).by("name")
    assert {name: row.privileged for name, row in looked_at.items()} == {"Domain Users": False, "crowd": True}
    accounts = await read(monkeypatch, "accounts", entries=entries, map={"login": "cn"})
    assert [row.login for row in accounts.rows] == ["p0"]


async def test_computers_are_no_accounts_and_hold_no_grants(monkeypatch: M) -> None:
    entries = domain(1)
    classes = ["top", "person", "organizationalPerson", "user", "computer"]
    category = [f"CN=Computer,CN=Schema,CN=Configuration,{D}"]
    entries[f"CN=pc,{D}"] = user("pc$", 3000, objectClass=[*classes], objectCategory=[*category])
    entries[f"CN=crowd,{D}"]["member"].append(f"CN=pc,{D}")
    assert [row.login for row in (await read(monkeypatch, "accounts", entries=entries)).rows] == ["p0"]
    grants = await read(monkeypatch, "grants", entries=entries)
    assert (len(grants.rows), grants.gaps) == (2, [])


async def test_a_disabled_reader_is_named_as_such(monkeypatch: M) -> None:
    with pytest.raises(Refused, match="wrong name or password"):
        await read(monkeypatch, "accounts", password="wrong")


async def test_anonymous_is_told_to_sign_in(monkeypatch: M) -> None:
    with pytest.raises(Refused, match="successful bind") as refused:
        await read(monkeypatch, "accounts", bind_dn=None, bind_password=None)
    assert "bind_dn" in refused.value.advice


async def test_a_primary_group_number_that_is_hidden_is_a_gap(monkeypatch: M) -> None:
    entries = domain(2)
    del entries[f"CN=p1,CN=Users,{D}"]["primaryGroupID"]
    pulled = await read(monkeypatch, "grants", entries=entries)
    assert [(gap.subject, gap.reason) for gap in pulled.gaps] == [
        (f"CN=p1,CN=Users,{D}", "its primary group is hidden")
    ]


async def test_a_member_that_is_listed_and_not_shown_is_hidden_not_gone(monkeypatch: M) -> None:
    pulled = await read(monkeypatch, "grants", Faults(hidden=[f"CN=p1,CN=Users,{D}"]), domain(2))
    assert [gap.subject for gap in pulled.gaps] == [f"CN=p1,CN=Users,{D}"]
    assert pulled.gaps[0].missing_permission == f"read access to cn=users,{D.lower()}"


async def test_a_member_in_another_domain_of_the_forest_is_a_gap(monkeypatch: M) -> None:
    entries = domain(1)
    entries[f"CN=crowd,{D}"]["member"].append(f"CN=kim,CN=Users,DC=sub,{D}")
    pulled = await read(monkeypatch, "grants", entries=entries)
    assert [gap.subject for gap in pulled.gaps] == [f"CN=kim,CN=Users,DC=sub,{D}"]
    assert "lies on another server" in pulled.gaps[0].reason
    left_out = await read(monkeypatch, "grants", entries=entries, leave_out=[f"DC=sub,{D}"])
    assert (left_out.gaps, len(left_out.rows)) == ([], 2)


async def test_a_base_in_another_domain_is_refused(monkeypatch: M) -> None:
    with pytest.raises(Refused, match="does not hold DC=other,DC=test and refers to ldap://other"):
        await read(monkeypatch, "accounts", base_dn="DC=other,DC=test")


async def test_a_member_in_another_partition_is_a_gap_although_its_name_lies_below_the_base(monkeypatch: M) -> None:
    # Samba lists Everyone by its entry in the configuration partition, which no search of the domain reaches.
    entries = domain(1)
    everyone = f"CN=Everyone,CN=WellKnown Security Principals,CN=Configuration,{D}"
    entries[everyone] = {"objectClass": ["top", "foreignSecurityPrincipal"], "cn": ["Everyone"]}
    entries[f"CN=crowd,{D}"]["member"].append(everyone)
    contexts = {"namingContexts": [D, f"CN=Configuration,{D}"]}
    with LdapServer(entries, users={"reader": "pw"}, profile="ad", root_dse=contexts) as server:
        given = {"bind_dn": "reader", "password": "pw", "base_dn": [f"CN=Users,{D}", f"CN=crowd,{D}"]}
        assert (await pull(source(server.url, monkeypatch, **given), "grants")).gaps[0].subject == everyone
        given["base_dn"] = D
        assert (await pull(source(server.url, monkeypatch, **given), "grants")).gaps[0].subject == everyone


async def test_members_by_logon_name_are_found(monkeypatch: M) -> None:
    entries = domain(2)
    entries[f"CN=p1,CN=Users,{D}"]["uid"] = ["unix-name"]
    entries[f"CN=nis,{D}"] = group("nis", 2002) | {"memberUid": ["P0", "unix-name", "nobody"]}
    pulled = await read(monkeypatch, "grants", entries=entries)
    nis = (await read(monkeypatch, "entitlements", entries=entries)).by("name")["nis"].entitlement_id
    accounts = (await read(monkeypatch, "accounts", entries=entries)).by("login")
    holders = {row.principal_id for row in pulled.rows if row.entitlement_id == nis}
    assert holders == {accounts["p0"].account_id, accounts["p1"].account_id}
    assert pulled.gaps == []


@pytest.mark.parametrize("kind", ["Managed", "GroupManaged", "DelegatedManaged"])
async def test_managed_service_accounts_are_service_accounts(monkeypatch: M, kind: str) -> None:
    entries = domain(0)
    classes = ["top", "person", "organizationalPerson", "user", "computer", f"msDS-{kind}ServiceAccount"]
    category = [f"CN=ms-DS-{kind}-Service-Account,CN=Schema,CN=Configuration,{D}"]
    entries[f"CN=svc,{D}"] = user("svc$", 3001, objectClass=[*classes], objectCategory=[*category])
    assert [(row.login, row.kind) for row in (await read(monkeypatch, "accounts", entries=entries)).rows] == [
        ("svc$", "service")
    ]


async def test_a_global_catalog_is_refused(monkeypatch: M) -> None:
    with LdapServer(domain(), users={"reader": "pw"}, profile="ad") as server:
        monkeypatch.setattr("connectors.ldap.source._GLOBAL_CATALOG", (int(server.url.rpartition(":")[2]),))
        with pytest.raises(ConfigurationError, match="global catalog") as refused:
            await pull(source(server.url, monkeypatch, bind_dn="reader", password="pw", base_dn=D), "grants")
    assert "636" in refused.value.advice


async def test_only_the_groups_of_a_kind_are_primary_not_the_domain_controllers(monkeypatch: M) -> None:
    entries = domain(0)
    entries |= {f"CN=g{rid},{D}": group(f"g{rid}", rid) for rid in (512, 514, 515, 516)}
    groups = (await read(monkeypatch, "entitlements", entries=entries)).by("name")
    assert {name for name, row in groups.items() if row.membership == "primary"} == {"Domain Users", "g514", "g515"}
