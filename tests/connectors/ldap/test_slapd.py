"""The connector against a real OpenLDAP."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509

from connectors.ldap import open_source
from reconciler.sdk.connector import Partition, Source
from reconciler.sdk.errors import Misbehaved, Refused, Unreachable
from reconciler.sdk.testing import check_source
from tests.connectors.ldap.company import CERTIFICATE, GROUPS, PEOPLE, SECRET, company, group, person
from tests.connectors.ldap.pulling import NoParents, Pulled, pull, settings, source
from tests.servers.slapd import (
    LIMITED,
    LIMITED_PASSWORD,
    SUFFIX,
    VEILED,
    VEILED_PASSWORD,
    Slapd,
)
from tests.simulators.ldap_server import LdapServer

M = pytest.MonkeyPatch
TABLES = ("accounts", "entitlements", "grants", "credentials")


async def names(url: str, monkeypatch: M, **changes: object) -> tuple[set[tuple[str, str, str]], Pulled]:
    """Pull grants and say them by name: (holder, group, assignment)."""
    accounts = await pull(source(url, monkeypatch, **changes), "accounts")
    groups = await pull(source(url, monkeypatch, **changes), "entitlements")
    grants = await pull(source(url, monkeypatch, **changes), "grants")
    known = {row.account_id: row.login for row in accounts.rows} | {row.entitlement_id: row.name for row in groups.rows}
    said = [(known[row.principal_id], known[row.entitlement_id], row.assignment) for row in grants.rows]
    assert len(said) == len(set(said))
    return set(said), grants


async def test_account_columns_come_from_their_attributes(slapd: Slapd, monkeypatch: M) -> None:
    pulled = await pull(source(slapd.url, monkeypatch, attributes=["employeeNumber", "loginShell"]), "accounts")
    ada = pulled.by("login")["ada"]
    assert (ada.display_name, ada.email, ada.employee_id) == ("Ada L.", "ada@acme.test", "0001")
    assert (ada.title, ada.company, ada.department) == ("Engineer", "Acme BV", "R&D")
    assert ada.manager_ref == f"uid=bob,{PEOPLE}"
    assert ada.created_at == datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert ada.password_changed_at == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert ada.last_sign_in_at == datetime(2026, 11, 20, 7, tzinfo=UTC)
    assert "pwdLastSuccess" in ada.last_sign_in_basis
    assert json.loads(ada.attributes) == {"employeeNumber": ["0001"], "dn": f"uid=ada,{PEOPLE}"}
    assert (ada.status, ada.can_sign_in, ada.kind) == ("enabled", True, None)


async def test_password_policy_locks_show_as_the_mapping_table_says(slapd: Slapd, monkeypatch: M) -> None:
    accounts = (await pull(source(slapd.url, monkeypatch), "accounts")).by("login")
    bob, cyd = accounts["bob"], accounts["cyd"]
    assert (bob.raw_status, bob.status, bob.can_sign_in) == ("pwdAccountLockedTime=20261119101112Z", "locked", None)
    assert (cyd.raw_status, cyd.status, cyd.can_sign_in) == ("pwdAccountLockedTime=000001010000Z", "locked", False)
    assert cyd.expires_at == datetime(2024, 10, 4, tzinfo=UTC)


async def test_an_entry_that_signs_in_and_is_no_person_is_a_service_account(slapd: Slapd, monkeypatch: M) -> None:
    accounts = (await pull(source(slapd.url, monkeypatch), "accounts")).by("login")
    assert accounts["backup"].kind == "service"
    assert set(accounts) == {"reader", "limited", "veiled", "backup", "ada", "bob", "cyd", "dé, x", "eve"}


async def test_groups_of_every_kind_are_entitlements(slapd: Slapd, monkeypatch: M) -> None:
    chosen = source(slapd.url, monkeypatch, privileged_groups=["ONE", f"cn=v*,{GROUPS}"])
    groups = (await pull(chosen, "entitlements")).by("name")
    assert set(groups) == {"one", "two", "three", "odd", "empty", "unix", "staff", "vault"}
    assert groups["staff"].membership == "dynamic"
    assert groups["one"].owner_ref == f"uid=bob,{PEOPLE}"
    assert groups["two"].description == "second"
    assert {name for name, row in groups.items() if row.privileged} == {"one", "vault"}
    assert groups["two"].privileged is None


async def test_grants_follow_every_kind_of_membership(slapd: Slapd, monkeypatch: M) -> None:
    said, grants = await names(slapd.url, monkeypatch)
    assert said == {
        ("two", "one", "direct"),
        ("ada", "one", "direct"),
        ("three", "two", "direct"),
        ("bob", "two", "direct"),
        ("one", "three", "direct"),
        ("cyd", "three", "direct"),
        ("dé, x", "odd", "direct"),
        ("dé, x", "unix", "direct"),
        ("bob", "staff", "dynamic"),
        ("cyd", "staff", "dynamic"),
        ("eve", "vault", "direct"),
        # by gidNumber; ada is listed by memberUid too and comes once
        ("ada", "unix", "direct"),
        ("bob", "unix", "direct"),
        ("cyd", "unix", "direct"),
        ("eve", "unix", "direct"),
    }
    assert grants.gaps == []


async def test_credentials_are_dates_and_fingerprints_and_never_the_secret(slapd: Slapd, monkeypatch: M) -> None:
    ada = (await pull(source(slapd.url, monkeypatch), "accounts")).by("login")["ada"].account_id
    pulled = await pull(source(slapd.url, monkeypatch), "credentials")
    mine = {row.kind: row for row in pulled.rows if row.account_id == ada}
    assert mine["password"].credential_id == f"{ada}:password"
    assert mine["password"].rotated_at == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert mine["password"].status is None
    assert mine["ssh_key"].status == "active"
    assert mine["certificate"].status is None
    assert mine["ssh_key"].credential_id.startswith(f"{ada}:ssh_key:SHA256:")
    assert len(pulled.by("credential_id")) == len([row for row in pulled.rows if row.kind == "password"]) + 2
    certificate = x509.load_der_x509_certificate(CERTIFICATE)
    assert f"{certificate.serial_number:x}" in mine["certificate"].credential_id
    assert mine["certificate"].expires_at == certificate.not_valid_after_utc
    assert mine["certificate"].created_at == certificate.not_valid_before_utc
    assert "AAAAC3" not in repr(pulled.rows)
    assert "planted-secret" not in repr(pulled.rows)


async def test_every_column_that_is_filled_is_reported_and_no_other(slapd: Slapd, monkeypatch: M) -> None:
    reader = source(slapd.url, monkeypatch)
    assert "privileged" in reader.reports["entitlements"]  # the profile is not known yet: any
    for table in TABLES:
        pulled = await pull(reader, table)
        filled = {name for row in pulled.rows for name in row.__struct_fields__ if getattr(row, name) is not None}
        assert filled <= reader.reports[table]
    assert "privileged" not in reader.reports["entitlements"]


async def test_the_contract_is_kept(slapd: Slapd, monkeypatch: M) -> None:
    reader = source(slapd.url, monkeypatch, page_size=3, attributes=["employeeNumber"], privileged_groups=["one"])
    assert await check_source(reader, unfilled={"accounts": {"owner_ref"}}) == []


async def test_canaries_are_known_by_any_spelling_of_their_dn(slapd: Slapd, monkeypatch: M) -> None:
    canaries = [f"UID=Ada, ou=People,{SUFFIX}", f"cn=One,{GROUPS}", f"uid=nobody,{PEOPLE}"]
    reader = source(slapd.url, monkeypatch, canaries=canaries)
    assert (await pull(reader, "accounts")).canaries == {canaries[0]}
    assert (await pull(reader, "entitlements")).canaries == {canaries[1]}
    assert (await pull(reader, "grants")).canaries == {canaries[0], canaries[1]}
    gaps = await reader.check()
    assert [gap.subject for gap in gaps] == [canaries[2]]


async def test_pages_join_to_the_whole(tmp_path: Path, monkeypatch: M) -> None:
    people = {f"uid=p{n},{PEOPLE}": person(f"p{n}", n) for n in range(3000)}
    crowd = {f"cn=crowd,{GROUPS}": group("groupOfNames", "crowd", *people)}
    with Slapd(tmp_path, {**company(), **people, **crowd}) as server:
        accounts = await pull(source(server.url, monkeypatch, page_size=700), "accounts")
        assert accounts.sizes == [700, 700, 700, 700, 209]
        assert len(accounts.by("account_id")) == 3009
        grants = await pull(source(server.url, monkeypatch, page_size=700), "grants")
        keys = {(row.principal_id, row.entitlement_id, row.assignment) for row in grants.rows}
        assert len(keys) == len(grants.rows) == 15 + 3000 + 3000
        assert max(grants.sizes) == 5000  # a page ends in the middle of a group if need be


async def test_the_servers_size_limit_is_no_complete_read(tmp_path: Path, monkeypatch: M) -> None:
    people = {f"uid=p{n},{PEOPLE}": person(f"p{n}", n) for n in range(200)}
    with Slapd(tmp_path, {**company(), **people}) as server:
        limited = {"bind_dn": LIMITED, "password": LIMITED_PASSWORD, "page_size": 50}
        for table in ("accounts", "credentials", "grants"):
            with pytest.raises(Refused, match="size limit") as refused:
                await pull(source(server.url, monkeypatch, **limited), table)
            assert "size limit" in refused.value.missing_permission
            assert LIMITED in refused.value.missing_permission


async def test_a_server_killed_between_pages_asks_for_a_restart(tmp_path: Path, monkeypatch: M) -> None:
    people = {f"uid=p{n},{PEOPLE}": person(f"p{n}", n) for n in range(100)}
    with Slapd(tmp_path, {**company(), **people}) as server:
        reader = source(server.url, monkeypatch, page_size=20)
        first = await reader.page("accounts", Partition(SUFFIX), None)
        server.kill()
        with pytest.raises(Unreachable) as broken:
            await reader.page("accounts", Partition(SUFFIX), first.next)
        assert broken.value.restart
        with pytest.raises(Unreachable) as gone:
            await reader.page("accounts", Partition(SUFFIX), None)
        assert gone.value.restart
        server.start()
        with pytest.raises(Unreachable) as stale:  # the old cursor does not come back to life
            await reader.page("accounts", Partition(SUFFIX), first.next)
        assert stale.value.restart
        assert len((await pull(reader, "accounts")).rows) == 109


async def test_a_hidden_member_is_a_gap_and_a_hidden_base_is_refused(slapd: Slapd, monkeypatch: M) -> None:
    veiled = {"bind_dn": VEILED, "password": VEILED_PASSWORD}
    grants = await pull(source(slapd.url, monkeypatch, **veiled), "grants")
    assert [gap.subject for gap in grants.gaps] == [f"uid=eve,{SECRET}"]
    assert SECRET in grants.gaps[0].missing_permission
    known = await pull(source(slapd.url, monkeypatch, **veiled, leave_out=[SECRET]), "grants")
    assert known.gaps == []
    hidden = source(slapd.url, monkeypatch, **veiled, base_dn=[PEOPLE, SECRET])
    with pytest.raises(Refused, match="ou=secret"):
        await pull(hidden, "accounts")
    gaps = await hidden.check()
    assert {(gap.table, gap.subject) for gap in gaps} == {(table, SECRET) for table in TABLES}


async def test_members_outside_every_base_are_gaps(slapd: Slapd, monkeypatch: M) -> None:
    grants = await pull(source(slapd.url, monkeypatch, base_dn=[GROUPS]), "grants")
    subjects = {gap.subject for gap in grants.gaps}
    assert {f"uid=bob,{PEOPLE}", f"uid=cyd,{PEOPLE}", f"uid=eve,{SECRET}", "ada", "dé, x"} <= subjects
    assert f"uid=gone,{PEOPLE}" not in subjects
    assert "nobody-here" not in subjects
    assert all("base_dn that holds" in gap.missing_permission for gap in grants.gaps)
    assert {row.principal_kind for row in grants.rows} == {"entitlement"}


async def test_each_base_dn_is_a_partition(slapd: Slapd, monkeypatch: M) -> None:
    reader = source(slapd.url, monkeypatch, base_dn=[PEOPLE, GROUPS])
    partitions = await reader.partitions("accounts", NoParents())
    assert [partition.name for partition in partitions] == [PEOPLE, GROUPS]
    assert await reader.partitions("people", NoParents()) == []
    counts = []
    for partition in partitions:
        page = await reader.page("accounts", partition, None)
        assert page.next is None
        counts.append(len(page.rows))
    assert counts == [4, 0]


async def test_groups_may_have_a_base_of_their_own(slapd: Slapd, monkeypatch: M) -> None:
    apart = {"base_dn": [PEOPLE, SECRET], "group_base_dn": [GROUPS]}
    reader = source(slapd.url, monkeypatch, **apart)
    found = {table: [part.name for part in await reader.partitions(table, NoParents())] for table in TABLES}
    assert found["accounts"] == found["credentials"] == [PEOPLE, SECRET]
    assert found["entitlements"] == found["grants"] == [GROUPS]
    said, grants = await names(slapd.url, monkeypatch, **apart)
    assert grants.gaps == []
    assert said == (await names(slapd.url, monkeypatch))[0]
    assert await reader.check() == []


async def test_primary_groups_come_once_however_the_groups_are_split(slapd: Slapd, monkeypatch: M) -> None:
    split = {"base_dn": [PEOPLE, SECRET], "group_base_dn": [f"cn=unix,{GROUPS}", f"cn=one,{GROUPS}"]}
    said, grants = await names(slapd.url, monkeypatch, **split)
    assert {pair for pair in said if pair[1] == "unix"} == {
        (name, "unix", "direct") for name in ("ada", "bob", "cyd", "eve", "dé, x")
    }
    assert [gap.subject for gap in grants.gaps] == [f"cn=two,{GROUPS}"]


async def test_wrong_password_and_absent_base(slapd: Slapd, monkeypatch: M) -> None:
    with pytest.raises(Refused, match="refuses cn=reader") as wrong:
        await source(slapd.url, monkeypatch, password="wrong-one").check()
    assert "bind_password" in wrong.value.advice
    assert "wrong-one" not in str(wrong.value)
    absent = source(slapd.url, monkeypatch, base_dn="ou=absent,dc=acme,dc=test")
    with pytest.raises(Refused, match="ou=absent"):
        await pull(absent, "accounts")
    assert all("ou=absent" in gap.subject for gap in await absent.check())


async def test_anonymous_sees_nothing_and_says_so(slapd: Slapd, monkeypatch: M) -> None:
    anonymous = source(slapd.url, monkeypatch, bind_dn=None, bind_password=None)
    with pytest.raises(Refused):
        await pull(anonymous, "accounts")
    assert {gap.table for gap in await anonymous.check()} == set(TABLES)


async def test_check_finds_nothing_amiss(slapd: Slapd, monkeypatch: M) -> None:
    assert await source(slapd.url, monkeypatch).check() == []


async def test_an_unreadable_id_is_refused_by_name(tmp_path: Path, monkeypatch: M) -> None:
    with Slapd(tmp_path, company(), access="access to attrs=entryUUID by * none") as server:
        reader = source(server.url, monkeypatch)
        with pytest.raises(Refused, match="entryUUID") as refused:
            await pull(reader, "accounts")
        assert refused.value.missing_permission == "read access to entryUUID"
        assert {gap.missing_permission for gap in await reader.check()} == {"read access to entryUUID"}


async def test_a_filter_of_ones_own(slapd: Slapd, monkeypatch: M) -> None:
    chosen = {"user_filter": "(uid=ada)", "group_filter": "(cn=one)", "map": {"employee_id": "uidNumber"}}
    accounts = await pull(source(slapd.url, monkeypatch, **chosen), "accounts")
    assert [row.employee_id for row in accounts.rows] == ["10001"]
    grants = await pull(source(slapd.url, monkeypatch, **chosen), "grants")
    # "two" is no entitlement by this filter: a member that is neither account nor group grants nobody anything
    assert len(grants.rows) == 1
    assert grants.gaps == []


async def test_a_filter_that_does_not_parse_is_a_configuration_error(slapd: Slapd, monkeypatch: M) -> None:
    with pytest.raises(Exception, match="is no LDAP filter") as wrong:
        await pull(source(slapd.url, monkeypatch, user_filter="(&(uid=a)b)"), "accounts")
    assert type(wrong.value).__name__ == "ConfigurationError"


async def test_the_simulator_agrees_with_the_real_server(slapd: Slapd, monkeypatch: M) -> None:
    """What the faults are shown on must behave, without faults, as the real one."""
    users = {f"cn=reader,{SUFFIX}": "reader-pw"}
    entries = {dn: dict(values) for dn, values in company().items()}
    entries[SUFFIX] = {"objectClass": ["dcObject", "organization"], "dc": ["acme"], "o": ["acme"]}
    with LdapServer(entries, users=users) as simulator:
        simulated, gaps = await names(simulator.url, monkeypatch, page_size=3)
        real, real_gaps = await names(slapd.url, monkeypatch, page_size=3)
    assert simulated == real
    assert gaps.gaps == real_gaps.gaps == []


def test_the_product_can_load_it(monkeypatch: M) -> None:
    opened = open_source("corp", settings("ldap://127.0.0.1:1", monkeypatch), Path("/"))
    assert isinstance(opened, Source)
    assert (opened.name, opened.endpoint) == ("corp", "ldap://127.0.0.1:1")
    assert Misbehaved.retriable is False
