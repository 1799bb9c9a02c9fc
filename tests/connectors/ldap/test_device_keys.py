"""Keys of devices in Active Directory: as values, and as credentials of an account."""

from __future__ import annotations

import struct
from datetime import UTC, datetime

import pytest

from connectors.ldap.device_keys import device_key
from reconciler.sdk.connector import Presence
from tests.connectors.ldap.pulling import pull, source
from tests.connectors.ldap.test_ad import D, domain
from tests.simulators.ldap_server import LdapServer

M = pytest.MonkeyPatch
WHEN = datetime(2020, 1, 1, tzinfo=UTC)
FILE_TIME = struct.pack("<q", 132223104000000000)
TICKS = struct.pack("<q", 0x4000_0000_0000_0000 | int((WHEN - datetime(1, 1, 1, tzinfo=UTC)).total_seconds()) * 10**7)
KEY = b"\x11" * 32


def value(*parts: tuple[int, bytes], version: int = 0x200) -> str:
    blob = struct.pack("<I", version) + b"".join(struct.pack("<HB", len(v), number) + v for number, v in parts)
    return f"B:{len(blob) * 2}:{blob.hex().upper()}:CN=p0,CN=Users,{D}"


@pytest.mark.parametrize(("origin", "time"), [(b"\0", FILE_TIME), (b"\1", TICKS)])
def test_a_key_tells_its_id_and_times(origin: bytes, time: bytes) -> None:
    key = device_key(value((1, KEY), (3, b"material"), (5, origin), (8, time), (9, time)))
    assert (key.identifier, key.created_at, key.last_used_at) == (KEY.hex(), WHEN, WHEN)


def test_times_that_are_not_told_are_unknown() -> None:
    for parts in (
        [(1, KEY)],
        [(1, KEY), (9, b"short")],
        [(1, KEY), (5, b"\1"), (9, bytes(8))],
        [(1, KEY), (9, bytes(8))],
    ):
        assert device_key(value(*parts)).created_at is None
    assert device_key(value((1, KEY), (5, b"\1"), (9, b"\xff" * 8))).created_at is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "CN=x",
        "B:4:00:CN=x",
        "B:2:zz:CN=x",
        "B:2:00:CN=x",
        value((3, b"no id")),
        value((1, KEY), version=1),
        value((1, KEY)).replace(f"B:{(4 + 3 + 32) * 2}", "B:76").replace("11:CN", ":CN"),
    ],
)
def test_what_is_no_key_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="KeyCredentialLink"):
        device_key(text)


async def test_keys_are_credentials_and_found_live(monkeypatch: M) -> None:
    entries = domain(2)
    entries[f"CN=p0,CN=Users,{D}"]["msDS-KeyCredentialLink"] = [
        value((1, KEY), (5, b"\0"), (8, FILE_TIME), (9, FILE_TIME))
    ]
    entries[f"CN=p1,CN=Users,{D}"]["msDS-KeyCredentialLink"] = ["B:0::CN=x"]
    given = {"bind_dn": "reader@corp.test", "password": "pw", "base_dn": D}
    with LdapServer(entries, users={"reader@corp.test": "pw"}, profile="ad") as server:
        accounts = (await pull(source(server.url, monkeypatch, **given), "accounts")).by("login")
        pulled = await pull(source(server.url, monkeypatch, **given), "credentials")
        live = await source(server.url, monkeypatch, **given).reread(accounts["p0"].account_id)
        unread = await source(server.url, monkeypatch, **given).reread(accounts["p1"].account_id)
    key, other = [row for row in pulled.rows if row.kind == "mfa_factor"]
    assert (key.account_id, key.status, key.created_at, key.last_used_at) == (
        accounts["p0"].account_id,
        "active",
        WHEN,
        WHEN,
    )
    assert (other.account_id, other.status, pulled.gaps) == (accounts["p1"].account_id, None, [])
    factor = next(found for found in unread.credentials if found.kind == "mfa_factor")
    assert (factor.presence, factor.ids) == (Presence.NOT_EVALUABLE, (other.credential_id,))
    factor = next(found for found in live.credentials if found.kind == "mfa_factor")
    assert (factor.presence, factor.ids) == (Presence.PRESENT, (key.credential_id,))
