"""What people put into a directory: odd names, keys of every form, searches that are none; on a real OpenLDAP."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from connectors.ldap.connector import Mapper
from connectors.ldap.policy import Policy
from connectors.ldap.profiles import OPENLDAP
from connectors.ldap.values import Entry
from reconciler.sdk.connector import Presence
from tests.connectors.ldap.company import CERTIFICATE, GROUPS, PEOPLE, company, group, person
from tests.connectors.ldap.pulling import pull, settings, source
from tests.servers.slapd import SUFFIX, VEILED, VEILED_PASSWORD, Slapd

M = pytest.MonkeyPatch
LOGINS = (
    "straße", "strasse", "#lead", "tail ", "comma, x", "plus+x", 'q"q', "b\\s", "lt<gt>", "semi;x", "eq=x",
    "nbsp\u00a0x", "İstanbul", "\u0131i", "ii", "名前", "😀", "e\u0301", "ﬁx", "Ⅷ",
)  # fmt: skip
URLS = {
    "no-base": "ldap:///??sub?(uid=ii)",
    "no-brackets": f"ldap:///{PEOPLE}??sub?uid=ii",
    "unbalanced": f"ldap:///{PEOPLE}??sub?(uid=ii",
    "no-dn": "ldap:///nonsense??sub?(uid=ii)",
    "unknown-type": f"ldap:///foo=bar,{SUFFIX}??sub?(uid=ii)",
    "absent-base": f"ldap:///ou=absent,{SUFFIX}??sub?(uid=ii)",
    "elsewhere": f"ldap://other/{PEOPLE}??sub?(uid=ii)",
    "no-ldap": "http://x",
}
BLOB = base64.b64encode(b"\0\0\0\x0bssh-ed25519" + bytes(36)).decode()
OTHER = base64.b64encode(b"\0\0\0\x0bssh-ed25519" + b"\1" * 36).decode()
KEYS: list[str | bytes] = [
    f'# laptop\nssh-ed25519 {BLOB} a\n\nfrom="10.0.0.1",command="x y" ssh-ed25519 {OTHER} b\n',
    f"---- BEGIN SSH2 PUBLIC KEY ----\n{BLOB[:40]}\n{BLOB[40:]}\n---- END SSH2 PUBLIC KEY ----",
    "revoked",
    b"\0\1\xff",
]


def named(login: str) -> str:
    """Return the DN of a person, escaped as RFC 4514 wants it."""
    return "uid=" + "".join(f"\\{ord(c):02x}" if c in '#,+"\\<>;= ' else c for c in login) + f",{PEOPLE}"


def finger(blob: str) -> str:
    return base64.b64encode(hashlib.sha256(base64.b64decode(blob)).digest()).decode().rstrip("=")


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """A directory of odd things; VEILED may not search departmentNumber."""
    entries: dict[str, dict[str, list[str | bytes]]] = {
        dn: {"objectClass": ["organizationalUnit"], "ou": [dn.partition(",")[0][3:]]} for dn in (PEOPLE, GROUPS)
    }
    entries |= {named(login): person(login, number) for number, login in enumerate(LOGINS, start=1)}
    entries[f"cn=Multi Val+uid=multi,{PEOPLE}"] = person("multi", 90, cn=["Multi Val"], shadowExpire=["999999999999"])
    entries[f"uid=keys,{PEOPLE}"] = person("keys", 91, sshPublicKey=KEYS, departmentNumber=["7"])
    entries[f"uid=revoked,{PEOPLE}"] = person("revoked", 92, sshPublicKey=["none"])
    entries[f"uid=noted,{PEOPLE}"] = person("noted", 93, sshPublicKey=["# lost in March"])
    members = [*map(named, LOGINS), f"UID=Multi + CN=multi  val, {PEOPLE}"]
    entries[f"cn=all,{GROUPS}"] = group("groupOfNames", "all", *members)
    urls = URLS | {"by-number": f"ldap:///{PEOPLE}??sub?(&(objectClass=person)(departmentNumber=7))"}
    for name, url in urls.items():
        entries[f"cn={name},{GROUPS}"] = {"objectClass": ["groupOfURLs"], "cn": [name], "memberURL": [url]}
    veil = f'access to attrs=departmentNumber by dn.exact="{VEILED}" none by * read'
    with Slapd(tmp_path_factory.mktemp("odd"), entries, access=veil) as server:
        yield server


async def test_every_odd_name_is_one_account_and_one_member(odd: Slapd, monkeypatch: M) -> None:
    people = {"base_dn": PEOPLE, "group_base_dn": GROUPS}
    accounts = (await pull(source(odd.url, monkeypatch, **people), "accounts")).by("login")
    assert set(accounts) == {"multi", "keys", "revoked", "noted", *(login.strip() for login in LOGINS)}
    assert (accounts["multi"].status, accounts["multi"].expires_at) == ("enabled", None)
    groups = (await pull(source(odd.url, monkeypatch, **people), "entitlements")).by("name")
    grants = (await pull(source(odd.url, monkeypatch, **people), "grants")).rows
    everybody = {row.principal_id for row in grants if row.entitlement_id == groups["all"].entitlement_id}
    apart = {login for login, row in accounts.items() if row.account_id not in everybody}
    assert apart == {"keys", "revoked", "noted"}


async def test_a_search_that_is_none_is_a_gap_of_its_group_and_no_end_of_the_run(odd: Slapd, monkeypatch: M) -> None:
    pulled = await pull(source(odd.url, monkeypatch), "grants")
    assert {gap.subject for gap in pulled.gaps} == {f"cn={name},{GROUPS}" for name in URLS}
    assert [row.assignment for row in pulled.rows].count("dynamic") == 1


async def test_a_dynamic_group_by_an_attribute_that_may_not_be_searched_is_a_gap(odd: Slapd, monkeypatch: M) -> None:
    veiled = {"bind_dn": VEILED, "password": VEILED_PASSWORD}
    pulled = await pull(source(odd.url, monkeypatch, **veiled), "grants")
    gap = next(gap for gap in pulled.gaps if gap.subject == f"cn=by-number,{GROUPS}")
    assert gap.missing_permission == "read and search access to departmentnumber"


async def test_every_key_that_is_listed_is_a_row(odd: Slapd, monkeypatch: M) -> None:
    pulled = await pull(source(odd.url, monkeypatch), "credentials")
    keys = [row.credential_id.partition(":ssh_key:")[2] for row in pulled.rows if row.kind == "ssh_key"]
    assert [key for key in keys if not key.startswith("unreadable:")] == [
        f"SHA256:{finger(blob)}" for blob in (BLOB, OTHER)
    ]
    assert len([key for key in keys if key.startswith("unreadable:")]) == len(set(keys)) - 2 == 4
    assert pulled.gaps == []


@pytest.mark.parametrize(
    ("login", "presence", "count"),
    [("keys", Presence.PRESENT, 5), ("revoked", Presence.NOT_EVALUABLE, 1), ("noted", Presence.GONE, 0)],
)
async def test_a_listed_key_that_cannot_be_read_is_neither_gone_nor_at_work(
    odd: Slapd, monkeypatch: M, login: str, presence: Presence, count: int
) -> None:
    account = (await pull(source(odd.url, monkeypatch), "accounts")).by("login")[login]
    live = await source(odd.url, monkeypatch).reread(account.account_id)
    keys = next(found for found in live.credentials if found.kind == "ssh_key")
    assert (keys.presence, len(keys.ids)) == (presence, count)


def test_an_end_beyond_the_calendar_is_never(monkeypatch: M) -> None:
    entry = Entry(
        "uid=x", {"entryuuid": [b"1"], "pwdchangedtime": [b"99990101000000Z"], "pwdpolicysubentry": [b"cn=p"]}
    )
    mapper = Mapper(
        "s", OPENLDAP, settings("ldap://localhost", monkeypatch), policies=lambda _: Policy(timedelta(9999))
    )
    assert next(mapper.credentials(entry)).expires_at is None


def test_a_broken_certificate_is_listed_with_its_dates_unknown(monkeypatch: M) -> None:
    mapper = Mapper("s", OPENLDAP, settings("ldap://localhost", monkeypatch))
    raw = [CERTIFICATE, CERTIFICATE[:-5], b"", b"0\x82"]
    found = list(mapper.credentials(Entry("uid=x", {"entryuuid": [b"1"], "usercertificate;binary": raw})))[1:]
    assert [row.expires_at is None for row in found] == [False, True, True, True]
    assert (len({row.credential_id for row in found}), mapper.gaps) == (4, [])


async def test_a_column_whose_attribute_is_hidden_is_withdrawn_and_the_rest_read(
    tmp_path: Path, monkeypatch: M
) -> None:
    veil = f'access to attrs=employeeNumber,mail by dn.exact="{VEILED}" none by * read'
    with Slapd(tmp_path / "veiled", company(), access=veil) as server:
        veiled = source(server.url, monkeypatch, bind_dn=VEILED, password=VEILED_PASSWORD, base_dn=[PEOPLE, GROUPS])
        below = source(server.url, monkeypatch, bind_dn=VEILED, password=VEILED_PASSWORD)
        told = {(gap.table, gap.column) for gap in await below.check()}
        assert told == {("accounts", "employee_id"), ("accounts", "email")}
        assert {gap.subject for gap in await veiled.check()} == {GROUPS}
        assert await source(server.url, monkeypatch).check() == []
