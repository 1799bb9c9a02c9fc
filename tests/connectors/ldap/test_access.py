"""The access rules in deploy/policies are enough for the connector, on the real servers, and show no password."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import ldap3
import pytest

from connectors.ldap.client import Client, Search
from connectors.ldap.source import LdapSource
from reconciler.sdk.connector import Presence
from tests.connectors.ldap.company import PEOPLE, company
from tests.connectors.ldap.pulling import pull, settings, source
from tests.servers.ds389 import CHANGELOG, Ds389
from tests.servers.slapd import SUFFIX, Slapd

M = pytest.MonkeyPatch
POLICIES = Path(__file__).parents[3] / "deploy" / "policies"
RECONCILER, PASSWORD = f"cn=reconciler,{SUFFIX}", "reconciler-pw"
ENTRY: dict[str, list[str | bytes]] = {
    "objectClass": ["organizationalRole", "simpleSecurityObject"],
    "cn": ["reconciler"],
    "userPassword": [PASSWORD],
}
AS_RECONCILER: dict[str, Any] = {"bind_dn": RECONCILER, "password": PASSWORD, "canaries": [f"uid=ada,{PEOPLE}"]}
SECRETS = ("userPassword", "pwdHistory", "passwordHistory")


def rules(name: str) -> str:
    return (POLICIES / name).read_text().replace("dc=example,dc=org", SUFFIX)


async def reads_all(reader: LdapSource, tables: tuple[str, ...]) -> None:
    assert await reader.check() == []
    for table in tables:
        pulled = await pull(reader, table)
        assert (pulled.gaps, bool(pulled.rows)) == ([], True)
        if table == "accounts":
            assert {row.status for row in pulled.rows} <= {"enabled", "locked", "disabled"}


def shows_no_secret(url: str, monkeypatch: M) -> None:
    client = Client(settings(url, monkeypatch, **AS_RECONCILER), None)
    try:
        shown = client.page(Search(SUFFIX, "(objectClass=*)", ("*", "+", *SECRETS), 500), None).entries
    finally:
        client.close()
    assert len(shown) > 10
    assert [entry.dn for entry in shown if any(entry.raw(name) for name in SECRETS)] == []


async def test_openldap(tmp_path: Path, monkeypatch: M) -> None:
    main = rules("ldap-openldap.ldif").partition("\ndn: olcDatabase={2}mdb")[0]
    lines = [f"access {line}" for line in re.findall(r"^olcAccess: \{\d+\}(.*)$", main, re.MULTILINE)]
    lines += [f"limits {line}" for line in re.findall(r"^olcLimits: \{\d+\}(.*)$", main, re.MULTILINE)]
    assert len(lines) == 4
    passwords = "\n".join([*lines, "access to attrs=userPassword by anonymous auth by * none"])
    with Slapd(tmp_path, {**company(), RECONCILER: ENTRY}, passwords=passwords) as server:
        await reads_all(
            source(server.url, monkeypatch, **AS_RECONCILER), ("accounts", "entitlements", "grants", "credentials")
        )
        shows_no_secret(server.url, monkeypatch)
        eve = (await pull(source(server.url, monkeypatch, **AS_RECONCILER), "accounts")).by("login")["eve"].account_id
        live = await source(server.url, monkeypatch, **AS_RECONCILER).reread(eve)
        assert live.credentials[0].presence is Presence.PRESENT  # told by the filter that rule {0} allows


async def test_389(ds389: Ds389, monkeypatch: M) -> None:
    manager = ds389.manager()
    manager.add(RECONCILER, ENTRY["objectClass"], {"cn": "reconciler", "userPassword": PASSWORD})
    blocks = re.findall(r"^dn: (.*)\nchangetype: modify\n((?:.+\n)+)", rules("ldap-389ds.ldif"), re.MULTILINE)
    assert [dn for dn, _ in blocks] == [SUFFIX, RECONCILER, CHANGELOG]
    added: list[tuple[str, list[str]]] = []
    try:
        for dn, block in blocks:
            acis = re.findall(r"^aci: (.*)$", block, re.MULTILINE)
            if acis:
                manager.modify(dn, {"aci": [(ldap3.MODIFY_ADD, acis)]})
                added.append((dn, acis))
            for name, value in re.findall(r"^(ns\w+): (.*)$", block, re.MULTILINE):
                manager.modify(dn, {name: [(ldap3.MODIFY_REPLACE, [value])]})
        reader = source(ds389.url, monkeypatch, **AS_RECONCILER, accesslog_base=CHANGELOG)
        await reads_all(reader, ("accounts", "entitlements", "grants", "credentials", "events"))
        shows_no_secret(ds389.url, monkeypatch)
    finally:
        for dn, acis in added:
            manager.modify(dn, {"aci": [(ldap3.MODIFY_DELETE, acis)]})
        manager.delete(RECONCILER)
        manager.unbind()
