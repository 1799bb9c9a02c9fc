"""Looking one person up live on a real OpenLDAP: found in every state, and gone only with proof."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.sdk.connector import Found, LiveAccount, LiveCredentials, Lookup, PersonKeys, Presence
from reconciler.sdk.errors import ConfigurationError, Refused, Unreachable
from tests.connectors.ldap.company import GROUPS, PEOPLE, SECRET, company, person
from tests.connectors.ldap.pulling import pull, source
from tests.servers.slapd import SUFFIX, VEILED, VEILED_PASSWORD, Slapd
from tests.simulators.ldap_server import Faults, LdapServer

M = pytest.MonkeyPatch
CANARY = f"uid=ada,{PEOPLE}"
ABSENT = "00000000-0000-4000-8000-000000000000"
NO_PASSWORDS = "access to attrs=userPassword by anonymous auth by * none"


def by_kind(account: LiveAccount) -> dict[str, LiveCredentials]:
    assert len({found.kind for found in account.credentials}) == len(account.credentials) == 5
    return {found.kind: found for found in account.credentials}


def logins(found: Found) -> dict[str | None, set[str]]:
    return {account.login: set(account.matched_by) for account in found.accounts}


async def id_of(url: str, monkeypatch: M, login: str, **changes: object) -> str:
    accounts = await pull(source(url, monkeypatch, **changes), "accounts")
    return str(accounts.by("login")[login].account_id)


def test_the_source_is_a_lookup(slapd: Slapd, monkeypatch: M) -> None:
    assert isinstance(source(slapd.url, monkeypatch), Lookup)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (PersonKeys(employee_id="0001"), {"ada": {"employee_id"}}),
        (PersonKeys(emails=("ADA@acme.test",)), {"ada": {"email"}}),
        (PersonKeys(logins=("bob",)), {"bob": {"login"}}),
        (PersonKeys(logins=("ACME\\bob",)), {"bob": {"login"}}),
        (PersonKeys(logins=("a.lovelace",)), {"ada": {"login"}}),
        (PersonKeys(logins=("dé, x",), emails=("dé, x@acme.test",)), {"dé, x": {"login"}}),
        (PersonKeys(employee_id="0002", logins=("cyd", " ")), {"bob": {"employee_id"}, "cyd": {"login"}}),
        (PersonKeys(logins=("*", "b*", "x)(uid=*")), {}),
        (
            PersonKeys(employee_id="0001", emails=("ada@acme.test",), logins=("ada",)),
            {"ada": {"employee_id", "email", "login"}},
        ),
        (PersonKeys(account_ids=("not-an-id", ABSENT)), {}),
    ],
)
async def test_a_person_is_found_by_every_key_and_by_nothing_else(
    slapd: Slapd, monkeypatch: M, keys: PersonKeys, expected: dict[str, set[str]]
) -> None:
    found = await source(slapd.url, monkeypatch).find(keys)
    assert logins(found) == expected
    assert found.gaps == ()


@pytest.mark.parametrize("keys", [PersonKeys(person_id="P1"), PersonKeys(account_ids=("not-an-id",), logins=(" ",))])
async def test_a_person_of_whom_nothing_is_known_is_not_without_accounts(
    slapd: Slapd, monkeypatch: M, keys: PersonKeys
) -> None:
    found = await source(slapd.url, monkeypatch).find(keys)
    assert (found.accounts, [gap.reason for gap in found.gaps]) == (
        (),
        ["nothing is known of the person that this directory could be asked for"],
    )


async def test_an_account_is_found_by_its_old_id_and_in_spite_of_the_filter(slapd: Slapd, monkeypatch: M) -> None:
    bob = await id_of(slapd.url, monkeypatch, "bob")
    reader = source(slapd.url, monkeypatch, user_filter="(&(uid=*)(!(pwdAccountLockedTime=*)))", canaries=[CANARY])
    found = await reader.find(PersonKeys(account_ids=(bob.upper(),)))
    assert [(account.account_id, account.matched_by) for account in found.accounts] == [(bob, ("account_id",))]


async def test_what_is_hidden_from_a_search_is_a_gap(tmp_path: Path, monkeypatch: M) -> None:
    with Slapd(tmp_path, company(), access="access to attrs=mail by * none") as server:
        keys = PersonKeys(emails=("ada@acme.test",), employee_id="0001")
        found = await source(server.url, monkeypatch, base_dn=PEOPLE).find(keys)
        assert logins(found) == {"ada": {"employee_id"}}
        wanted = [(PEOPLE, "read and search access to mail")]
        assert [(gap.subject, gap.missing_permission) for gap in found.gaps] == wanted
        veiled = {"bind_dn": VEILED, "password": VEILED_PASSWORD}
        blind = source(server.url, monkeypatch, **veiled, canaries=[f"uid=eve,{SECRET}"])
        assert "canary" in (await blind.find(PersonKeys(employee_id="0001"))).gaps[0].reason


async def test_a_base_that_fails_is_a_gap_and_all_of_them_an_error(slapd: Slapd, monkeypatch: M) -> None:
    veiled = {"bind_dn": VEILED, "password": VEILED_PASSWORD}
    two = source(slapd.url, monkeypatch, **veiled, base_dn=[PEOPLE, SECRET])
    found = await two.find(PersonKeys(employee_id="0001"))
    assert logins(found) == {"ada": {"employee_id"}}
    assert {gap.subject for gap in found.gaps} == {SECRET}
    with pytest.raises(Refused):
        await source(slapd.url, monkeypatch, **veiled, base_dn=[SECRET]).find(PersonKeys(employee_id="0001"))
    with pytest.raises(Refused, match="refuses"):
        await source(slapd.url, monkeypatch, password="wrong-one").find(PersonKeys(employee_id="0001"))
    with pytest.raises(Unreachable):
        await source("ldap://127.0.0.1:1", monkeypatch).find(PersonKeys(employee_id="0001"))


async def test_a_present_account_and_its_credentials(slapd: Slapd, monkeypatch: M) -> None:
    ada = await id_of(slapd.url, monkeypatch, "ada")
    listed = await pull(source(slapd.url, monkeypatch), "credentials")
    live = await source(slapd.url, monkeypatch).reread(ada)
    assert (live.account_id, live.presence, live.login, live.status) == (ada, Presence.PRESENT, "ada", "enabled")
    assert len(live.digest) == 64
    kinds = by_kind(live)
    assert {kind: found.presence for kind, found in kinds.items()} == {
        "password": Presence.PRESENT,  # pwdChangedTime tells that one was set
        "ssh_key": Presence.PRESENT,
        "certificate": Presence.PRESENT,
        "mfa_factor": Presence.NOT_EVALUABLE,
        "session": Presence.NOT_EVALUABLE,
    }
    ids = {row.credential_id for row in listed.rows if row.account_id == ada}
    assert ids == {name for found in kinds.values() for name in found.ids}
    assert "until its CA revokes it" in kinds["certificate"].lag or "CA revokes" in kinds["certificate"].lag
    assert all(found.reason for found in kinds.values() if found.presence is Presence.NOT_EVALUABLE)
    assert "planted-secret" not in repr(live)


async def test_a_locked_account_is_present_and_a_hidden_password_not_evaluable(slapd: Slapd, monkeypatch: M) -> None:
    live = await source(slapd.url, monkeypatch).reread(await id_of(slapd.url, monkeypatch, "cyd"))
    assert (live.presence, live.status, live.raw_status) == (
        Presence.PRESENT,
        "locked",
        "pwdAccountLockedTime=000001010000Z",
    )
    kinds = by_kind(live)
    assert kinds["password"].presence is Presence.NOT_EVALUABLE
    assert "may not search userPassword" in kinds["password"].reason
    assert (kinds["ssh_key"].presence, kinds["certificate"].presence) == (Presence.GONE, Presence.GONE)


async def test_gone_is_said_by_the_server_and_proven_by_canaries(tmp_path: Path, monkeypatch: M) -> None:
    with Slapd(tmp_path, company()) as server:
        bob = await id_of(server.url, monkeypatch, "bob")
        reader = source(server.url, monkeypatch, canaries=[CANARY])
        assert (await reader.reread(bob)).presence is Presence.PRESENT
        server.delete(f"uid=bob,{PEOPLE}")
        live = await reader.reread(bob)
        assert live.presence is Presence.GONE
        assert CANARY in live.reason
        kinds = by_kind(live)
        assert {kinds[k].presence for k in ("password", "ssh_key", "certificate")} == {Presence.GONE}
        assert {kinds[k].presence for k in ("mfa_factor", "session")} == {Presence.NOT_EVALUABLE}
        assert live.digest
        none = await source(server.url, monkeypatch).reread(bob)
        assert (none.presence, "no canary is configured" in none.reason) == (Presence.NOT_EVALUABLE, True)
        group = await source(server.url, monkeypatch, canaries=[f"cn=one,{GROUPS}"]).reread(bob)
        assert group.presence is Presence.NOT_EVALUABLE  # a group proves nothing of accounts
        one_sided = source(server.url, monkeypatch, base_dn=[PEOPLE, SECRET], canaries=[CANARY])
        assert (await one_sided.reread(bob)).presence is Presence.NOT_EVALUABLE
        both = source(server.url, monkeypatch, base_dn=[PEOPLE, SECRET], canaries=[CANARY, f"uid=eve,{SECRET}"])
        assert (await both.reread(bob)).presence is Presence.GONE


async def test_a_moved_account_is_found_outside_its_base(tmp_path: Path, monkeypatch: M) -> None:
    with Slapd(tmp_path, company()) as server:
        bob = await id_of(server.url, monkeypatch, "bob")
        server.move(f"uid=bob,{PEOPLE}", SECRET)
        live = await source(server.url, monkeypatch, base_dn=PEOPLE, canaries=[CANARY]).reread(bob)
        assert (live.presence, "outside every base_dn" in live.reason) == (Presence.PRESENT, True)


@pytest.mark.parametrize("account_id", ["", "nonsense", "*", "cn=x", ABSENT[:-1]])
async def test_a_text_that_is_no_id_is_never_gone(slapd: Slapd, monkeypatch: M, account_id: str) -> None:
    live = await source(slapd.url, monkeypatch, canaries=[CANARY]).reread(account_id)
    assert (live.presence, live.account_id) == (Presence.NOT_EVALUABLE, account_id)
    assert {found.presence for found in live.credentials} == {Presence.NOT_EVALUABLE}


async def test_what_cannot_be_asked_is_not_evaluable_and_no_exception(slapd: Slapd, monkeypatch: M) -> None:
    cases: list[tuple[str, dict[str, object]]] = [
        (slapd.url, {"password": "wrong-one"}),
        ("ldap://127.0.0.1:1", {}),
        (slapd.url, {"base_dn": f"ou=absent,{SUFFIX}"}),
        (slapd.url, {"bind_dn": None, "bind_password": None}),
    ]
    for url, changes in cases:
        live = await source(url, monkeypatch, canaries=[CANARY], **changes).reread(ABSENT)
        assert live.presence is Presence.NOT_EVALUABLE
        assert live.reason
        assert "wrong-one" not in repr(live)
    monkeypatch.delenv("LDAP_PASSWORD")
    unset = source(slapd.url, monkeypatch)
    monkeypatch.delenv("LDAP_PASSWORD")
    with pytest.raises(ConfigurationError, match="LDAP_PASSWORD"):
        await unset.reread(ABSENT)


async def test_hidden_ids_locks_and_keys_are_no_absence(tmp_path: Path, monkeypatch: M) -> None:
    hidden = "access to attrs=pwdAccountLockedTime,sshPublicKey,userCertificate by * none"
    with Slapd(tmp_path / "a", company(), access=hidden) as server:
        live = await source(server.url, monkeypatch).reread(await id_of(server.url, monkeypatch, "ada"))
        kinds = by_kind(live)
        assert (live.presence, live.status) == (Presence.NOT_EVALUABLE, None)
        assert {kinds[k].presence for k in ("password", "ssh_key", "certificate")} == {Presence.NOT_EVALUABLE}
        assert "sshPublicKey is hidden" in kinds["ssh_key"].reason
    veiled = f'access to dn.subtree="{PEOPLE}" attrs=entryUUID by * none'
    with Slapd(tmp_path / "b", company(), access=veiled) as server:
        live = await source(server.url, monkeypatch, canaries=[CANARY]).reread(ABSENT)
        assert (live.presence, "entryUUID" in live.reason) == (Presence.NOT_EVALUABLE, True)


async def test_a_password_that_may_be_asked_for_is_told_by_its_being_there(tmp_path: Path, monkeypatch: M) -> None:
    people = {f"uid=bare,{PEOPLE}": {k: v for k, v in person("bare", 9).items() if k != "userPassword"}}
    search = f'access to attrs=userPassword by dn.exact="cn=reader,{SUFFIX}" search by anonymous auth by * none'
    with Slapd(tmp_path, {**company(), **people}, passwords=search) as server:
        reader = source(server.url, monkeypatch)
        bob = by_kind(await reader.reread(await id_of(server.url, monkeypatch, "bob")))
        bare = by_kind(await reader.reread(await id_of(server.url, monkeypatch, "bare")))
        assert (bob["password"].presence, bare["password"].presence) == (Presence.PRESENT, Presence.GONE)


async def test_faults_while_rereading_never_make_an_account_gone(monkeypatch: M) -> None:
    entries = {dn: dict(values) for dn, values in company().items()}
    entries[SUFFIX] = {"objectClass": ["dcObject", "organization"], "dc": ["acme"], "o": ["acme"]}
    users = {f"cn=reader,{SUFFIX}": "reader-pw"}
    url = f"ldap://other.acme.test/ou=branch,{SUFFIX}??sub"
    for faults in (
        Faults(cut_after_pages=0, cut_times=9),
        Faults(code_on_page=(1, 4)),
        Faults(code_on_page=(1, 51)),
        Faults(no_control_on_page=1),
        Faults(garble_on_page=1),
        Faults(spoil_on_page=(1, "cookie")),
        Faults(empty_results=True),
        Faults(referrals=[url]),
        Faults(hidden=[PEOPLE]),
        Faults(hidden_attributes=["entryUUID"]),
        Faults(refused=[SUFFIX]),
    ):
        with LdapServer(entries, users=users, faults=faults) as server:
            live = await source(server.url, monkeypatch, canaries=[CANARY], timeout_seconds=3).reread(ABSENT)
            assert live.presence is Presence.NOT_EVALUABLE, faults
    with LdapServer(entries, users=users) as server:
        assert (await source(server.url, monkeypatch, canaries=[CANARY]).reread(ABSENT)).presence is Presence.GONE


async def test_nothing_is_gone_where_a_branch_shows_none_of_its_entries(tmp_path: Path, monkeypatch: M) -> None:
    veil = f'access to dn.children="{GROUPS}" by * none'
    with Slapd(tmp_path / "veiled", company(), access=veil) as server:
        live = await source(server.url, monkeypatch, canaries=[CANARY]).reread(ABSENT)
    assert (live.presence, f"{GROUPS} has entries below it" in live.reason) == (Presence.NOT_EVALUABLE, True)
