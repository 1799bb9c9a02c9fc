"""What a misbehaving server may do, and that none of it passes for a complete read."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from reconciler.sdk.connector import Partition
from reconciler.sdk.errors import Misbehaved, Refused, SourceError, Unreachable
from tests.connectors.ldap.company import GROUPS, PEOPLE, group, person
from tests.connectors.ldap.pulling import Pulled, pull, source
from tests.servers.slapd import READER, READER_PASSWORD, SUFFIX
from tests.simulators.ldap_server import Faults, LdapServer

M = pytest.MonkeyPatch
Entries = dict[str, dict[str, list[str | bytes]]]


def directory(people: int = 10) -> Entries:
    entries: Entries = {
        SUFFIX: {"objectClass": ["dcObject", "organization"], "dc": ["acme"]},
        PEOPLE: {"objectClass": ["organizationalUnit"]},
        GROUPS: {"objectClass": ["organizationalUnit"]},
    }
    entries |= {f"uid=p{n},{PEOPLE}": person(f"p{n}", n) for n in range(people)}
    members = [dn for dn in entries if dn.startswith("uid=")]
    entries[f"cn=all,{GROUPS}"] = group("groupOfNames", "all", *members)
    return entries


async def read(
    monkeypatch: M,
    faults: Faults,
    table: str = "accounts",
    entries: Entries | None = None,
    server: dict[str, Any] | None = None,
    **changes: Any,
) -> Pulled:
    with LdapServer(
        entries or directory(), users={READER: READER_PASSWORD}, faults=faults, **(server or {})
    ) as simulator:
        return await pull(source(simulator.url, monkeypatch, **({"page_size": 3} | changes)), table)


async def test_without_faults_all_comes_back(monkeypatch: M) -> None:
    assert (await read(monkeypatch, Faults())).sizes == [3, 3, 3, 1]


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize("table", ["accounts", "grants", "credentials"])
async def test_a_connection_cut_in_a_page_asks_for_a_restart(monkeypatch: M, table: str, *, reset: bool) -> None:
    with pytest.raises(Unreachable) as broken:
        await read(monkeypatch, Faults(cut_after_entries=4, reset=reset), table)
    assert broken.value.restart
    assert broken.value.advice


async def test_a_connection_cut_between_pages_asks_for_a_restart_and_the_restart_is_whole(monkeypatch: M) -> None:
    faults = Faults(cut_after_pages=2)
    with LdapServer(directory(), users={READER: READER_PASSWORD}, faults=faults) as simulator:
        reader = source(simulator.url, monkeypatch, page_size=3)
        with pytest.raises(Unreachable) as broken:
            await pull(reader, "accounts")
        assert broken.value.restart
        assert len((await pull(reader, "accounts")).by("login")) == 10


@pytest.mark.parametrize(("code", "word"), [(3, "time"), (4, "size"), (11, "administrative")])
async def test_a_limit_on_the_third_page_is_no_end(monkeypatch: M, code: int, word: str) -> None:
    with pytest.raises(Refused, match=f"{word} limit") as limited:
        await read(monkeypatch, Faults(code_on_page=(3, code)))
    assert word in limited.value.missing_permission


async def test_a_size_limit_without_paging_is_no_end(monkeypatch: M) -> None:
    with pytest.raises(Refused, match="size limit"):
        await read(monkeypatch, Faults(size_limit=5))


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (51, Unreachable),
        (52, Unreachable),
        (50, Refused),
        (1, Refused),
        (80, Misbehaved),
        (10, Refused),
        (9, Misbehaved),
    ],
)
async def test_any_other_result_on_a_page_has_its_remedy(monkeypatch: M, code: int, error: type[SourceError]) -> None:
    with pytest.raises(error):
        await read(monkeypatch, Faults(code_on_page=(2, code)))


@pytest.mark.parametrize("page", [1, 2, 4])
async def test_a_page_without_the_paging_control_is_misbehaviour(monkeypatch: M, page: int) -> None:
    with pytest.raises(Misbehaved, match="paged-results control"):
        await read(monkeypatch, Faults(no_control_on_page=page))


async def test_a_server_without_paging_is_told_by_check_and_by_the_pull(monkeypatch: M) -> None:
    with LdapServer(directory(), users={READER: READER_PASSWORD}, faults=Faults(no_paging=True)) as simulator:
        reader = source(simulator.url, monkeypatch)
        with pytest.raises(Misbehaved, match="paged results") as missing:
            await pull(reader, "accounts")
        assert "1.2.840.113556.1.4.319" in missing.value.advice
        gaps = await reader.check()
    assert {gap.table for gap in gaps} == {"accounts", "entitlements", "grants", "credentials"}
    assert "paged results" in gaps[0].reason


async def test_a_cookie_that_stays_the_same_is_no_circle(monkeypatch: M) -> None:
    """389 Directory Server numbers the chain, not the page; but empty pages may not go on for ever."""
    with pytest.raises(Misbehaved, match="circle"):
        await read(monkeypatch, Faults(repeat_cookie=True))


async def test_the_same_page_again_is_a_circle(monkeypatch: M) -> None:
    with pytest.raises(Misbehaved, match="circle"):
        await read(monkeypatch, Faults(repeat_page=True))


async def test_an_empty_result_is_zero_rows_and_no_canary(monkeypatch: M) -> None:
    canary = f"uid=p1,{PEOPLE}"
    pulled = await read(monkeypatch, Faults(empty_results=True), canaries=[canary])
    assert (pulled.rows, pulled.canaries) == ([], set())
    assert (await read(monkeypatch, Faults(), canaries=[canary])).canaries == {canary}
    with LdapServer(directory(), users={READER: READER_PASSWORD}, faults=Faults(empty_results=True)) as simulator:
        gaps = await source(simulator.url, monkeypatch).check()
    assert [(gap.table, gap.subject) for gap in gaps] == [("accounts", SUFFIX)]
    assert "no account" in gaps[0].reason


@pytest.mark.parametrize("table", ["accounts", "entitlements", "grants", "credentials"])
async def test_a_referral_is_a_gap_in_every_table(monkeypatch: M, table: str) -> None:
    url = f"ldap://other.acme.test/ou=branch,{SUFFIX}??sub"
    pulled = await read(monkeypatch, Faults(referrals=[url]), table)
    assert [(gap.table, gap.subject) for gap in pulled.gaps] == [(table, url)]
    left_out = await read(monkeypatch, Faults(referrals=[url]), table, leave_out=[f"OU=Branch,{SUFFIX}"])
    assert left_out.gaps == []


async def test_a_server_that_stalls_is_unreachable(monkeypatch: M) -> None:
    with pytest.raises(Unreachable) as stalled:
        await read(monkeypatch, Faults(stall_on_page=2), timeout_seconds=1)
    assert stalled.value.restart
    assert "timeout_seconds" in stalled.value.advice


async def test_nonsense_inside_a_page_is_misbehaviour(monkeypatch: M) -> None:
    with pytest.raises(Misbehaved, match="no LDAP"):
        await read(monkeypatch, Faults(garble_on_page=2))


async def test_nobody_listens(monkeypatch: M) -> None:
    simulator = LdapServer(directory())
    simulator.start()
    simulator.stop()
    with pytest.raises(Unreachable) as closed:
        await source(simulator.url, monkeypatch).check()
    assert "127.0.0.1" in closed.value.message


async def test_a_member_that_may_not_be_read_is_a_gap(monkeypatch: M) -> None:
    entries = directory()
    hidden = f"uid=hidden,ou=secret,{SUFFIX}"
    entries[f"ou=secret,{SUFFIX}"] = {"objectClass": ["organizationalUnit"]}
    entries[hidden] = person("hidden", 77)
    entries[f"cn=vault,{GROUPS}"] = group("groupOfNames", "vault", hidden, f"uid=gone,{PEOPLE}", "")
    for faults in (Faults(hidden=[f"ou=secret,{SUFFIX}"]), Faults(refused=[hidden], hidden=[hidden])):
        pulled = await read(monkeypatch, faults, "grants", entries)
        assert [gap.subject for gap in pulled.gaps] == [hidden]
        assert pulled.gaps[0].missing_permission.startswith("read access to ")


async def test_a_placeholder_outside_the_directory_is_a_gap_until_it_is_left_out(monkeypatch: M) -> None:
    entries = directory()
    entries[f"cn=new,{GROUPS}"] = group("groupOfNames", "new", "cn=nobody")
    assert [gap.subject for gap in (await read(monkeypatch, Faults(), "grants", entries)).gaps] == ["cn=nobody"]
    assert (await read(monkeypatch, Faults(), "grants", entries, leave_out=["cn=nobody"])).gaps == []


async def test_two_accounts_of_one_uid_make_memberuid_a_gap(monkeypatch: M) -> None:
    entries = directory(2)
    entries[f"uid=p1,ou=more,{SUFFIX}"] = person("p1", 99)
    entries[f"cn=unix,{GROUPS}"] = group("posixGroup", "unix", "p0", "p1", gidNumber=["7"])
    pulled = await read(monkeypatch, Faults(), "grants", entries)
    assert [gap.subject for gap in pulled.gaps] == ["p1"]
    assert "more than one account" in pulled.gaps[0].reason


@pytest.mark.parametrize(
    "url",
    [
        f"ldap://elsewhere/{PEOPLE}??sub?(uid=*)",
        f"ldap:///{PEOPLE}?member?sub?(uid=*)",
        f"ldap:///{PEOPLE}??children?(uid=*)",
        "ldap:///??sub?(uid=*)",
        f"ldap:///ou=absent,{SUFFIX}??sub?(uid=*)",
    ],
)
async def test_a_dynamic_group_that_cannot_be_followed_is_a_gap(monkeypatch: M, url: str) -> None:
    entries = directory()
    entries[f"cn=dynamic,{GROUPS}"] = {"objectClass": ["groupOfURLs"], "cn": ["dynamic"], "memberURL": [url]}
    pulled = await read(monkeypatch, Faults(), "grants", entries)
    assert [gap.subject for gap in pulled.gaps] == [f"cn=dynamic,{GROUPS}"]
    assert len(pulled.rows) == 10


async def test_dynamic_groups_are_read_beside_the_paged_search(monkeypatch: M) -> None:
    """Many groups, many pages, one search more for each: no cookie may be lost."""
    entries = directory()
    for n in range(50):
        url = f"ldap:///{PEOPLE}??one?(uid=p{n % 10})"
        entries[f"cn=d{n},{GROUPS}"] = {"objectClass": ["groupOfURLs"], "cn": [f"d{n}"], "memberURL": [url]}
    pulled = await read(monkeypatch, Faults(), "grants", entries)
    assert pulled.gaps == []
    assert sum(row.assignment == "dynamic" for row in pulled.rows) == 50


async def test_a_value_that_breaks_its_syntax_is_a_gap(monkeypatch: M) -> None:
    entries = directory(2)
    entries[f"uid=p0,{PEOPLE}"] |= {"pwdChangedTime": ["yesterday"], "sshPublicKey": ["no key"]}
    entries[f"uid=p0,{PEOPLE}"] |= {"userCertificate;binary": [b"\x30\x00"], "shadowExpire": ["soon"]}
    accounts = await read(monkeypatch, Faults(), "accounts", entries)
    assert {gap.subject for gap in accounts.gaps} == {f"uid=p0,{PEOPLE}"}
    assert accounts.by("login")["p0"].status is None
    credentials = await read(monkeypatch, Faults(), "credentials", entries)
    assert len(credentials.gaps) == 1
    kinds = {row.kind: row for row in credentials.rows if row.account_id == accounts.by("login")["p0"].account_id}
    assert set(kinds) == {"password", "ssh_key", "certificate"}
    assert all("unreadable" in kinds[kind].credential_id for kind in ("ssh_key", "certificate"))
    assert (kinds["ssh_key"].status, kinds["certificate"].expires_at) == (None, None)


async def test_hidden_members_without_number_are_counted_off(monkeypatch: M) -> None:
    monkeypatch.setattr("connectors.ldap.grants.GAPS", 3)
    entries = directory(2)
    secret = [f"uid=s{n},ou=secret,{SUFFIX}" for n in range(9)]
    entries[f"cn=vault,{GROUPS}"] = group("groupOfNames", "vault", *secret)
    gaps = (await read(monkeypatch, Faults(), "grants", entries)).gaps
    assert [gap.subject for gap in gaps] == [*secret[:3], SUFFIX]
    assert "more members" in gaps[3].reason


async def test_a_server_that_hides_its_root_leaves_memberuid_open(monkeypatch: M) -> None:
    entries = directory(2)
    entries[f"cn=unix,{GROUPS}"] = group("posixGroup", "unix", "p0", "stranger", gidNumber=["7"])
    bare: dict[str, Any] = {"root_dse": {"namingContexts": []}}
    pulled = await read(monkeypatch, Faults(), "grants", entries, server=bare)
    assert [gap.subject for gap in pulled.gaps] == ["stranger"]
    refused: dict[str, Any] = {"root_dse": {"namingContexts": [SUFFIX, "dc=closed"]}}
    pulled = await read(monkeypatch, Faults(refused=["dc=closed"]), "grants", entries, server=refused)
    assert "read access to dc=closed" in pulled.gaps[0].missing_permission


async def test_an_entry_that_is_account_and_group_holds_as_a_group(monkeypatch: M) -> None:
    entries = directory(2)
    both = f"cn=both,{GROUPS}"
    entries[both] = {"objectClass": ["groupOfNames", "simpleSecurityObject"], "cn": ["both"], "member": [""]}
    entries[f"cn=all,{GROUPS}"]["member"].append(both)
    pulled = await read(monkeypatch, Faults(), "grants", entries)
    assert sorted(row.principal_kind for row in pulled.rows) == ["account", "account", "entitlement"]


async def test_connections_do_not_outlive_their_chains(monkeypatch: M) -> None:
    with LdapServer(directory(), users={READER: READER_PASSWORD}) as simulator:
        reader = source(simulator.url, monkeypatch, page_size=3)
        first = await reader.page("accounts", Partition(SUFFIX), None)
        await reader.page("accounts", Partition(SUFFIX), None)  # begins anew: the chain before it is closed
        await reader.page("entitlements", Partition(SUFFIX), None)
        assert first.next is not None
        await reader.close()
        await reader.close()
        _settle(simulator)
        assert simulator.open_connections == 0


def _settle(simulator: LdapServer) -> None:
    """Wait until the server has seen that its clients are gone."""
    waited = threading.Event()
    for _ in range(200):
        if not simulator.open_connections:
            return
        waited.wait(0.02)


async def test_a_new_pull_sees_new_accounts(monkeypatch: M) -> None:
    """The index of principals belongs to one pull."""
    with LdapServer(directory(2), users={READER: READER_PASSWORD}) as simulator:
        reader = source(simulator.url, monkeypatch)
        assert len((await pull(reader, "grants")).rows) == 2
        simulator.directory.put(f"uid=late,{PEOPLE}", person("late", 55))
        simulator.directory.put(f"cn=more,{GROUPS}", group("groupOfNames", "more", f"uid=late,{PEOPLE}"))
        assert len((await pull(reader, "grants")).rows) == 3


async def test_an_account_made_during_the_pull_is_found(monkeypatch: M) -> None:
    entries = directory(2)
    entries |= {f"cn=g{n},{GROUPS}": group("groupOfNames", f"g{n}", f"uid=late,{PEOPLE}") for n in range(30)}
    with LdapServer(entries, users={READER: READER_PASSWORD}) as simulator:
        reader = source(simulator.url, monkeypatch)
        monkeypatch.setattr("connectors.ldap.grants.ROWS", 1)
        first = await reader.page("grants", Partition(SUFFIX), None)
        simulator.directory.put(f"uid=late,{PEOPLE}", person("late", 55))
        simulator.directory.put(f"cn=latest,{GROUPS}", group("groupOfNames", "latest"))
        rows, cursor = list(first.rows), first.next
        while cursor is not None:
            page = await reader.page("grants", Partition(SUFFIX), cursor)
            assert not page.gaps
            rows += page.rows
            cursor = page.next
        assert len(rows) == 32
