"""Attributes that are hidden, on a real OpenLDAP and on the simulator: nothing that is hidden passes for absent."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors.ldap.client import Client
from connectors.ldap.sight import unseen
from tests.connectors.ldap.company import GROUPS, PEOPLE, SECRET, company, group
from tests.connectors.ldap.pulling import Pulled, pull, settings, source
from tests.servers.slapd import SUFFIX, Slapd
from tests.simulators.ldap_server import Faults, LdapServer

M = pytest.MonkeyPatch
ACCESS = f"""\
access to dn.subtree="{PEOPLE}" attrs=pwdAccountLockedTime by * none
access to dn.base="cn=two,{GROUPS}" attrs=member by * search
access to dn.base="cn=odd,{GROUPS}" attrs=member by * none
access to dn.base="cn=empty,{GROUPS}" attrs=member by * none
access to attrs=uniqueMember,memberUid,memberURL by * none
"""


@pytest.fixture(scope="module")
def veiled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """The company, its locks and most of its members hidden, and one more group that is truly empty."""
    entries = {**company(), f"cn=void,{GROUPS}": group("groupOfMembers", "void")}
    with Slapd(tmp_path_factory.mktemp("veiled"), entries, access=ACCESS) as server:
        yield server


async def test_an_account_whose_lock_is_hidden_is_not_enabled(veiled: Slapd, monkeypatch: M) -> None:
    rows = (await pull(source(veiled.url, monkeypatch, base_dn=PEOPLE), "accounts")).rows
    assert {row.login for row in rows} >= {"ada", "bob", "cyd"}
    assert {(row.status, row.can_sign_in, row.raw_status) for row in rows} == {(None, None, None)}


async def test_where_locks_can_be_seen_their_absence_counts(veiled: Slapd, monkeypatch: M) -> None:
    rows = (await pull(source(veiled.url, monkeypatch, base_dn=SECRET), "accounts")).rows
    assert [(row.login, row.status, row.can_sign_in) for row in rows] == [("eve", "enabled", True)]


async def test_a_group_whose_members_are_hidden_is_not_empty(veiled: Slapd, monkeypatch: M) -> None:
    gaps = {gap.subject: gap for gap in (await pull(source(veiled.url, monkeypatch), "grants")).gaps}
    names = {subject.partition(",")[0]: gap.reason for subject, gap in gaps.items()}
    assert names == {
        "cn=two": "its member is hidden",
        "cn=odd": "its member is hidden",
        "cn=empty": "its member is hidden",
        "cn=three": "its uniqueMember is hidden",
        "cn=unix": "its memberUid is hidden",
        "cn=staff": "its memberURL is hidden",
    }
    assert gaps[f"cn=two,{GROUPS}"].missing_permission == "read and search access to member"


@pytest.mark.parametrize(
    ("base", "attribute", "hidden"),
    [
        (PEOPLE, "pwdAccountLockedTime", True),
        (PEOPLE, "mail", False),
        (PEOPLE, "description", False),
        (PEOPLE, "nsAccountLock", False),
        (f"cn=void,{GROUPS}", "pwdAccountLockedTime", False),
    ],
)
def test_unseen(veiled: Slapd, monkeypatch: M, base: str, attribute: str, hidden: bool) -> None:
    """False too where the server knows no such attribute, and where there is nobody to ask about."""
    client = Client(settings(veiled.url, monkeypatch), None)
    try:
        assert unseen(client, base, "(objectClass=person)", (attribute,)) is hidden
    finally:
        client.close()


async def _389(monkeypatch: M, table: str, *hidden: str) -> Pulled:
    entries = {
        SUFFIX: {"objectClass": ["domain"]},
        f"uid=ann,{SUFFIX}": {"objectClass": ["person"], "uid": ["ann"], "nsAccountLock": ["true"]},
        f"uid=ben,{SUFFIX}": {"objectClass": ["person"], "uid": ["ben"], "accountUnlockTime": ["19700101000000Z"]},
        f"uid=cas,{SUFFIX}": {"objectClass": ["person"], "uid": ["cas"]},
        f"cn=g,{SUFFIX}": {"objectClass": ["groupOfNames"], "cn": ["g"], "member": [f"uid=cas,{SUFFIX}"]},
        f"cn=void,{SUFFIX}": {"objectClass": ["groupOfNames"], "cn": ["void"]},
    }
    faults = Faults(hidden_attributes=hidden)
    with LdapServer(entries, users={"cn=reader": "pw"}, profile="389ds", faults=faults) as server:
        return await pull(source(server.url, monkeypatch, bind_dn="cn=reader", password="pw"), table)


@pytest.mark.parametrize(
    ("hidden", "expected"),
    [
        ((), {"ann": "disabled", "ben": "locked", "cas": "enabled"}),
        (("nsAccountLock",), {"ann": None, "ben": "locked", "cas": None}),
        (("accountUnlockTime",), {"ann": "disabled", "ben": None, "cas": None}),
    ],
)
async def test_locks_of_389(monkeypatch: M, hidden: tuple[str, ...], expected: dict[str, str | None]) -> None:
    rows = (await _389(monkeypatch, "accounts", *hidden)).rows
    assert {row.login: row.status for row in rows} == expected


async def test_members_of_389(monkeypatch: M) -> None:
    seen = await _389(monkeypatch, "grants")
    assert (len(seen.rows), seen.gaps) == (1, [])
    hidden = await _389(monkeypatch, "grants", "member")
    assert (hidden.rows, [gap.subject for gap in hidden.gaps]) == ([], [f"cn=g,{SUFFIX}", f"cn=void,{SUFFIX}"])
