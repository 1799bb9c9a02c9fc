"""The connector inside the product: whole pulls of real servers sealed, and faults at every page of every table."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from connectors.ldap.settings import Settings
from connectors.ldap.source import LdapSource
from reconciler.collect import Limits, Pull
from reconciler.collect import pull as collect
from reconciler.sdk.connector import Status
from reconciler.snapshot.store import Snapshot, SnapshotStore
from tests.connectors.ldap.company import GROUPS, PEOPLE, group, person
from tests.connectors.ldap.domain import USERS
from tests.connectors.ldap.pulling import settings
from tests.servers import ds389 as ds389_server
from tests.servers import samba as samba_server
from tests.servers.ds389 import Ds389
from tests.servers.samba import Samba
from tests.servers.slapd import READER, READER_PASSWORD, SUFFIX, Slapd
from tests.simulators.ldap_server import Faults, LdapServer

M = pytest.MonkeyPatch
TABLES = ("accounts", "entitlements", "grants", "credentials")
CANARIES = [f"uid=ada,{PEOPLE}", f"cn=one,{GROUPS}"]


async def seal(folder: Path, given: Settings) -> Snapshot:
    """Pull a whole source into a snapshot, without waiting between retries."""
    return await collect(
        [Pull(LdapSource("corp", given, Path("/")), "ldap", given)],
        SnapshotStore(folder / "snapshots"),
        estate="acme",
        as_of=datetime(2026, 11, 21, tzinfo=UTC),
        limits=Limits(),
        accepted=(),
        report=lambda _progress: None,
        sleep=_at_once,
    )


async def _at_once(_seconds: float) -> None:
    """Wait for nothing."""


def everything(folder: Path) -> str:
    """Return all that the snapshots below ``folder`` hold, decoded."""
    said = []
    for path in folder.rglob("*"):
        if path.suffix == ".parquet":
            said.append(repr(pyarrow.parquet.read_table(path).to_pylist()))
        elif path.is_file():
            said.append(path.read_bytes().decode(errors="replace"))
    assert said
    return "\n".join(said)


async def test_a_company_on_openldap_is_sealed_whole(
    slapd: Slapd, tmp_path: Path, monkeypatch: M, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    snapshot = await seal(tmp_path, settings(slapd.url, monkeypatch, canaries=CANARIES, page_size=3))
    assert {table: (snapshot.status("corp", table), snapshot.gaps("corp", table)) for table in TABLES} == dict.fromkeys(
        TABLES, (Status.COMPLETE, ())
    )
    kept = everything(tmp_path) + caplog.text
    assert "ada@acme.test" in kept
    for secret in ("planted-secret", READER_PASSWORD, "AAAAC3NzaC1"):
        assert secret not in kept


async def test_a_domain_is_sealed_whole(samba: Samba, tmp_path: Path, monkeypatch: M) -> None:
    reader: dict[str, Any] = {"bind_dn": samba_server.READER, "password": samba_server.READER_PASSWORD}
    canaries = [f"CN=dee,{USERS}", f"CN=one,{USERS}"]
    given = settings(samba.url, monkeypatch, base_dn=samba_server.SUFFIX, canaries=canaries, page_size=9, **reader)
    snapshot = await seal(tmp_path, given)
    assert {snapshot.status("corp", table) for table in TABLES} == {Status.COMPLETE}
    assert samba_server.READER_PASSWORD not in everything(tmp_path)


async def test_389_with_its_changelog_is_sealed_whole(ds389: Ds389, tmp_path: Path, monkeypatch: M) -> None:
    given = settings(ds389.url, monkeypatch, canaries=CANARIES, accesslog_base=ds389_server.CHANGELOG, page_size=4)
    snapshot = await seal(tmp_path, given)
    assert {snapshot.status("corp", table) for table in (*TABLES, "events")} == {Status.COMPLETE}
    kept = everything(tmp_path)
    assert "account_created" in kept
    assert [word for word in ("planted", "PBKDF2", "{SSHA", READER_PASSWORD) if word in kept] == []


async def test_389_without_rights_is_partial_and_never_an_empty_company(
    ds389: Ds389, tmp_path: Path, monkeypatch: M
) -> None:
    stranger = {"bind_dn": ds389_server.STRANGER, "password": ds389_server.STRANGER_PASSWORD}
    snapshot = await seal(tmp_path, settings(ds389.url, monkeypatch, **stranger))
    assert {snapshot.status("corp", table) for table in TABLES} == {Status.PARTIAL}


FAULTS: dict[str, Any] = {
    "cut": lambda page: Faults(cut_after_pages=page - 1, cut_times=1_000),
    "reset": lambda page: Faults(cut_after_entries=(page - 1) * 3 + 1, cut_times=1_000, reset=True),
    "time limit": lambda page: Faults(code_on_page=(page, 3)),
    "size limit": lambda page: Faults(code_on_page=(page, 4)),
    "administrative limit": lambda page: Faults(code_on_page=(page, 11)),
    "operations error": lambda page: Faults(code_on_page=(page, 1)),
    "busy": lambda page: Faults(code_on_page=(page, 51)),
    "other": lambda page: Faults(code_on_page=(page, 80)),
    "no control": lambda page: Faults(no_control_on_page=page),
    "garbled": lambda page: Faults(garble_on_page=page),
    "a value too long": lambda page: Faults(spoil_on_page=(page, "value")),
    "a cookie cut short": lambda page: Faults(spoil_on_page=(page, "cookie")),
}


def directory() -> dict[str, dict[str, list[str | bytes]]]:
    entries: dict[str, dict[str, list[str | bytes]]] = {
        SUFFIX: {"objectClass": ["dcObject", "organization"], "dc": ["acme"]},
        PEOPLE: {"objectClass": ["organizationalUnit"]},
        GROUPS: {"objectClass": ["organizationalUnit"]},
        f"uid=ada,{PEOPLE}": person("ada", 0),
        f"cn=one,{GROUPS}": group("groupOfNames", "one", f"uid=ada,{PEOPLE}"),
    }
    entries |= {f"uid=p{n},{PEOPLE}": person(f"p{n}", n) for n in range(1, 8)}
    entries |= {f"cn=g{n},{GROUPS}": group("groupOfNames", f"g{n}", f"uid=p{n},{PEOPLE}") for n in range(1, 8)}
    return entries


@pytest.mark.parametrize("page", [1, 2, 3])
@pytest.mark.parametrize("fault", FAULTS)
async def test_no_fault_at_any_page_makes_fewer_rows_complete(
    tmp_path: Path, monkeypatch: M, fault: str, page: int
) -> None:
    with LdapServer(directory(), users={READER: READER_PASSWORD}, faults=FAULTS[fault](page)) as server:
        snapshot = await seal(
            tmp_path, settings(server.url, monkeypatch, canaries=CANARIES, page_size=3, timeout_seconds=3)
        )
    for table in TABLES:
        assert snapshot.status("corp", table) in {Status.PARTIAL, Status.FAILED}, table
        assert snapshot.gaps("corp", table), table


@pytest.mark.parametrize("sent", range(1, 12, 2))
async def test_a_fault_that_passes_is_survived_whole(tmp_path: Path, monkeypatch: M, sent: int) -> None:
    """The first of these entries are asked for by ``check``, the others by the pages of the tables."""
    faults = Faults(cut_after_entries=sent)
    with LdapServer(directory(), users={READER: READER_PASSWORD}, faults=faults) as server:
        snapshot = await seal(tmp_path, settings(server.url, monkeypatch, canaries=CANARIES, page_size=3))
    assert {table: snapshot.gaps("corp", table) for table in TABLES} == dict.fromkeys(TABLES, ())
    assert {snapshot.status("corp", table) for table in TABLES} == {Status.COMPLETE}
    assert everything(tmp_path).count("'login': 'p") == 7
