"""Events from the change logs of a real OpenLDAP and a real 389 Directory Server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ldap3
import pytest

from connectors.ldap.changes import from_accesslog, from_changelog
from connectors.ldap.events import steps
from connectors.ldap.values import Entry
from reconciler.sdk.errors import ConfigurationError, Refused
from tests.connectors.ldap.company import GROUPS, PEOPLE, company, person
from tests.connectors.ldap.pulling import Pulled, pull, source
from tests.servers.ds389 import CHANGELOG, STRANGER, STRANGER_PASSWORD, Ds389
from tests.servers.samba import READER as AD_READER
from tests.servers.samba import READER_PASSWORD as AD_PASSWORD
from tests.servers.samba import SUFFIX as AD_SUFFIX
from tests.servers.samba import Samba
from tests.servers.slapd import ACCESSLOG, SUFFIX, VEILED, VEILED_PASSWORD, Slapd

M = pytest.MonkeyPatch
NEW, RENAMED = f"uid=new,{PEOPLE}", f"uid=newer,{PEOPLE}"
ONE = f"cn=one,{GROUPS}"
PLANTED = "planted-new-secret"


def write(connection: Any, lock: str, locked: str) -> None:
    """A life: hired, given access, key and password, locked and unlocked, renamed, moved out, deleted."""
    given = person("new", 99)
    connection.add(
        NEW, [str(name) for name in given["objectClass"]], {k: v for k, v in given.items() if k != "objectClass"}
    )
    connection.modify(ONE, {"member": [("MODIFY_ADD", [NEW])]})
    connection.modify(NEW, {"userPassword": [("MODIFY_REPLACE", [PLANTED])]})
    connection.modify(NEW, {"title": [("MODIFY_REPLACE", ["Clerk"])], "mail": [("MODIFY_REPLACE", ["n@acme.test"])]})
    connection.modify(NEW, {lock: [("MODIFY_REPLACE", [locked])]})
    connection.modify(NEW, {lock: [("MODIFY_DELETE", [])]})
    connection.modify(ONE, {"member": [("MODIFY_DELETE", [NEW])]})
    connection.modify_dn(NEW, "uid=newer")
    connection.delete(RENAMED)


EXPECTED = [
    ("add", "account_created"),
    ("modify", "entitlement_granted"),
    ("modify", "credential_rotated"),
    ("modify", "account_changed"),
    ("modify", "account_disabled"),
    ("modify", "account_enabled"),
    ("modify", "entitlement_revoked"),
    ("modrdn", "account_changed"),
    ("delete", "account_deleted"),
]


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """The company with an access log, in which something happened."""
    with Slapd(tmp_path_factory.mktemp("logged"), company(), logged=True) as server:
        administrator = server.administrator()
        # pwdAccountLockedTime is the server's own: an administrator writes it with the relax control.
        write(_Relaxed(administrator), "pwdAccountLockedTime", "000001010000Z")
        administrator.unbind()
        refused = ldap3.Connection(ldap3.Server(server.url, get_info="NO_INFO"), f"uid=ada,{PEOPLE}", "wrong")
        assert not refused.bind()
        refused.unbind()
        yield server


class _Relaxed:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def modify(self, dn: str, changes: dict[str, Any]) -> None:
        relax = [("1.3.6.1.4.1.4203.666.5.12", True, None)] if "pwdAccountLockedTime" in changes else None
        self._connection.modify(dn, changes, controls=relax)


def told(pulled: Pulled) -> list[tuple[str, str]]:
    return [(row.raw_action, row.action) for row in pulled.rows if row.action not in {"sign_in", None}]


async def test_the_accesslog_tells_a_life(logged: Slapd, monkeypatch: M) -> None:
    reader = source(logged.url, monkeypatch, accesslog_base=ACCESSLOG, page_size=4)
    assert await reader.check() == []
    pulled = await pull(reader, "events")
    assert pulled.gaps == []
    assert told(pulled) == EXPECTED
    rows = {row.action: row for row in pulled.rows}
    account, group = rows["account_created"].target_id, rows["entitlement_granted"].entitlement_id
    assert len(account) == 36
    assert rows["account_deleted"].target_id == rows["credential_rotated"].target_id == account
    groups = (await pull(source(logged.url, monkeypatch), "entitlements")).by("name")
    assert group == rows["entitlement_revoked"].entitlement_id == groups["one"].entitlement_id
    assert rows["entitlement_granted"].target_id == NEW  # nobody has this name any more
    assert rows["account_created"].actor_id == f"cn=admin,{SUFFIX}"
    assert {row.outcome for row in pulled.rows if row.action != "sign_in"} == {"success"}
    ids = (await pull(source(logged.url, monkeypatch), "accounts")).by("login")
    refused = [row for row in pulled.rows if row.action == "sign_in" and row.outcome == "result 49"]
    assert {row.target_id for row in refused} == {ids["ada"].account_id}
    assert len(pulled.by("event_id")) == len(pulled.rows)
    assert all(len(row.raw_digest) == 64 and row.occurred_at is not None for row in pulled.rows)
    filled = {name for row in pulled.rows for name in row.__struct_fields__ if getattr(row, name) is not None}
    assert filled == reader.reports["events"]
    assert PLANTED not in repr(pulled.rows)


async def test_a_hidden_accesslog_is_refused_and_told_by_check(logged: Slapd, monkeypatch: M) -> None:
    veiled = source(logged.url, monkeypatch, bind_dn=VEILED, password=VEILED_PASSWORD, accesslog_base=ACCESSLOG)
    assert ("events", ACCESSLOG) in {(gap.table, gap.subject) for gap in await veiled.check()}
    with pytest.raises(Refused, match="accesslog"):
        await pull(veiled, "events")


async def test_only_the_days_asked_for_are_read(logged: Slapd, monkeypatch: M) -> None:
    recent = source(logged.url, monkeypatch, accesslog_base=ACCESSLOG, events_days=1e-9)
    assert (await pull(recent, "events")).rows == []


async def test_what_a_log_holds_from_before_the_window_makes_no_pages(ds389: Ds389, monkeypatch: M) -> None:
    late = source(ds389.url, monkeypatch, accesslog_base=CHANGELOG, events_days=1e-9, page_size=1)
    pulled = await pull(late, "events")
    assert (pulled.rows, pulled.gaps, pulled.sizes) == ([], [], [0])


async def test_the_retro_changelog_tells_a_life(ds389: Ds389, monkeypatch: M) -> None:
    manager = ds389.manager()
    write(manager, "nsAccountLock", "true")
    manager.unbind()
    reader = source(ds389.url, monkeypatch, accesslog_base=CHANGELOG, page_size=4)
    assert await reader.check() == []
    pulled = await pull(reader, "events")
    assert pulled.gaps == []
    first = next(
        at for at, row in enumerate(pulled.rows) if row.action == "entitlement_granted" and row.target_id == NEW
    )
    mine = [(row.raw_action, row.action) for row in pulled.rows[first - 1 :] if row.action is not None]
    assert mine[: len(EXPECTED)] == EXPECTED
    created = pulled.rows[first - 1]
    assert created.actor_id == "cn=directory manager"
    assert [row.action for row in pulled.rows if row.target_id == created.target_id][-1] == "account_deleted"
    assert PLANTED not in repr(pulled.rows)


async def test_a_changelog_that_is_hidden_is_a_gap_by_the_servers_own_counter(ds389: Ds389, monkeypatch: M) -> None:
    stranger = source(ds389.url, monkeypatch, bind_dn=STRANGER, password=STRANGER_PASSWORD, accesslog_base=CHANGELOG)
    pulled = await pull(stranger, "events")
    assert pulled.rows == []
    assert "the newest that was sent is none" in pulled.gaps[0].reason


async def test_the_counter_of_389_vouches_for_an_empty_window(ds389: Ds389, monkeypatch: M) -> None:
    reader = source(ds389.url, monkeypatch, accesslog_base=CHANGELOG, events_days=1e-9)
    [part] = await reader.partitions("events", None)  # type: ignore[arg-type] # parents are not asked
    page = await reader.page("events", part, None)
    assert (list(page.rows), page.total, list(page.gaps)) == ([], 0, [])


async def test_active_directory_has_no_events_in_ldap(samba: Samba, monkeypatch: M) -> None:
    given: dict[str, Any] = {"bind_dn": AD_READER, "password": AD_PASSWORD, "base_dn": AD_SUFFIX}
    with pytest.raises(ConfigurationError, match="accesslog_base"):
        await source(samba.url, monkeypatch, **given, accesslog_base=ACCESSLOG).check()


def _change(kind: str, *modifications: str) -> Any:
    found = {
        "reqstart": [b"20261121101112.000001Z"],
        "reqtype": [kind.encode()],
        "reqdn": [b"cn=x"],
        "reqresult": [b"0"],
    }
    return from_accesslog(Entry("reqStart=1,cn=accesslog", found | {"reqmod": [m.encode() for m in modifications]}))


@pytest.mark.parametrize(
    ("kind", "modifications", "expected"),
    [
        ("account", ["userPassword:- {SSHA}old", "userPassword:+ {SSHA}new"], ["credential_rotated"]),
        ("account", ["userPassword:-"], ["credential_revoked"]),
        ("account", ["sshPublicKey:+ ssh-ed25519 AAAA"], ["credential_created"]),
        ("account", ["sshPublicKey:- ssh-ed25519 AAAA"], ["credential_revoked"]),
        ("account", ["userCertificate;binary:= x"], ["credential_rotated"]),
        ("account", ["pwdAccountLockedTime:= 20261119101112Z"], ["account_changed"]),
        ("account", ["pwdAccountLockedTime:="], ["account_enabled"]),
        ("account", ["nsAccountLock:= false"], ["account_enabled"]),
        ("account", ["title:= a: b", "userPassword:= x", "mail:= y"], ["account_changed", "credential_rotated"]),
        ("account", ["pwdFailureTime:+ 20261119101112Z", "modifyTimestamp:= 20261119101112Z"], [None]),
        (
            "entitlement",
            ["member:+ cn=a", "member:+ cn=b", "uniqueMember:- cn=c"],
            ["entitlement_granted"] * 2 + ["entitlement_revoked"],
        ),
        ("entitlement", ["member:= cn=a"], ["role_changed"]),
        ("entitlement", ["member:-"], ["role_changed"]),
        ("entitlement", ["description:= x"], [None]),
        (None, ["description:= x"], [None]),
    ],
)
def test_actions(kind: str | None, modifications: list[str], expected: list[str | None]) -> None:
    assert [step.action for step in steps(_change("modify", *modifications), kind)] == expected


def test_changes_that_cannot_be_read_are_errors_without_their_content() -> None:
    good = {"changenumber": [b"1"], "changetype": [b"modify"], "targetdn": [b"cn=x"]}
    for spoilt in (
        {"changes": [b"replace: userPassword\nuserPassword:: planted-secret!\n-\n\0"]},
        {"changes": [b"planted-secret"]},
        {"changenumber": [b"one"]},
        {"changetime": [b"yesterday"]},
    ):
        with pytest.raises(ValueError) as wrong:
            from_changelog(Entry("changenumber=1,cn=changelog", good | spoilt))
        assert "planted" not in str(wrong.value)
    with pytest.raises(ValueError, match="reqStart"):
        from_accesslog(Entry("cn=accesslog", {}))
    folded = from_changelog(Entry("c", good | {"changes": [b"add: description\ndescription: long\n er\n-\n"]}))
    assert [(m.attribute, m.verb, m.values) for m in folded.modifications] == [("description", "+", ("longer",))]


def test_settings_of_events_that_do_nothing_are_errors(monkeypatch: M, tmp_path: Path) -> None:
    del tmp_path
    with pytest.raises(ValueError, match="events_days does nothing without accesslog_base"):
        source("ldap://127.0.0.1:1", monkeypatch, events_days=3)
    with pytest.raises(ValueError, match="accesslog_base is for OpenLDAP and 389"):
        source("ldap://127.0.0.1:1", monkeypatch, profile="ad", accesslog_base=ACCESSLOG)
