"""Shapes of each kind of directory, and the rows that must come of them.

``samba`` and ``389ds-2.3`` are what those servers sent (see the README, Tried on).
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.connectors.ldap.pulling import pull, source
from tests.simulators.ldap_server import LdapServer

FOLDER = Path(__file__).parents[3] / "connectors" / "ldap"
NAMES = sorted(path.stem for path in (FOLDER / "fixtures").glob("*.json"))
TABLES = ("accounts", "entitlements", "grants", "credentials")


def _values(given: list[Any]) -> list[str | bytes]:
    return [value if isinstance(value, str) else base64.b64decode(value["base64"]) for value in given]


async def _rows(name: str, monkeypatch: pytest.MonkeyPatch, *, told: bool = False) -> dict[str, Any]:
    fixture = json.loads((FOLDER / "fixtures" / f"{name}.json").read_text())
    profile = fixture["profile"] if told else "auto"
    entries = {dn: {name: _values(given) for name, given in entry.items()} for dn, entry in fixture["entries"].items()}
    server = LdapServer(entries, users={"cn=reader": "pw"}, profile=fixture["profile"], root_dse=fixture["root_dse"])
    found: dict[str, Any] = {}
    with server:
        for table in TABLES:
            reader = source(
                server.url,
                monkeypatch,
                bind_dn="cn=reader",
                password="pw",
                base_dn=fixture["base_dn"],
                profile=profile,
                page_size=4,
            )
            pulled = await pull(reader, table)
            assert pulled.gaps == []
            filled = {
                column for row in pulled.rows for column in row.__struct_fields__ if getattr(row, column) is not None
            }
            assert filled <= reader.reports[table]
            rows = [json.loads(msgspec.json.encode(row)) for row in pulled.rows]
            found[table] = kept = [{key: value for key, value in row.items() if value is not None} for row in rows]
            assert {column for row in kept for column in row} <= reader.reports[table]
    return found


@pytest.mark.parametrize("name", NAMES)
async def test_rows_are_as_expected(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = json.loads((FOLDER / "expected" / f"{name}.json").read_text())
    assert await _rows(name, monkeypatch) == expected


@pytest.mark.parametrize("name", NAMES)
async def test_the_root_entry_tells_the_profile(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await _rows(name, monkeypatch) == await _rows(name, monkeypatch, told=True)
