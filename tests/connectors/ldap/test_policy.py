"""Password policies on a real OpenLDAP: when a password expires, and whether a lock passes by itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.connectors.ldap.company import PEOPLE, person
from tests.connectors.ldap.pulling import pull, source
from tests.servers.slapd import SUFFIX, Entries, Slapd

M = pytest.MonkeyPatch
STRICT, MILD, BARE = (f"cn={name},{SUFFIX}" for name in ("strict", "mild", "bare"))
CHANGED, LOCKED = "20260301120000Z", "20261119101112Z"


def policy(name: str, **given: str) -> dict[str, list[str | bytes]]:
    entry: dict[str, list[str | bytes]] = {
        "objectClass": ["device", "pwdPolicy"],
        "cn": [name],
        "pwdAttribute": ["userPassword"],
    }
    return entry | {key: [value] for key, value in given.items()}


def governed_person(name: str, dn: str) -> dict[str, list[str | bytes]]:
    entry = person(name, 1, pwdChangedTime=[CHANGED], pwdAccountLockedTime=[LOCKED])
    return entry | {"pwdPolicySubentry": [dn]} if dn else entry


@pytest.fixture(scope="module")
def governed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    """People under three policies, all locked, their passwords set on one day."""
    chosen = {"ann": STRICT, "ben": MILD, "cas": BARE, "dee": "", "eli": f"cn=absent,{SUFFIX}"}
    entries: Entries = {
        PEOPLE: {"objectClass": ["organizationalUnit"], "ou": ["people"]},
        STRICT: policy("strict", pwdMaxAge="7776000", pwdLockoutDuration="0"),
        MILD: policy("mild", pwdMaxAge="0", pwdLockoutDuration="900"),
        BARE: policy("bare"),
        **{f"uid={name},{PEOPLE}": governed_person(name, dn) for name, dn in chosen.items()},
    }
    with Slapd(tmp_path_factory.mktemp("governed"), entries) as server:
        yield server


@pytest.mark.parametrize("default", [None, STRICT])
async def test_what_follows_from_a_policy(governed: Slapd, monkeypatch: M, default: str | None) -> None:
    given = {"password_policy": default, "base_dn": PEOPLE, "page_size": 2}
    accounts = (await pull(source(governed.url, monkeypatch, **given), "accounts")).by("login")
    credentials = await pull(source(governed.url, monkeypatch, **given), "credentials")
    ends = {row.account_id: row.expires_at for row in credentials.rows if row.kind == "password"}
    told = {name: (row.can_sign_in, ends[row.account_id]) for name, row in accounts.items()}
    strict = (False, datetime(2026, 5, 30, 12, tzinfo=UTC))
    unknown = (None, None)
    assert told == {
        "ann": strict,
        "ben": unknown,  # the lock passes by itself, and the password never ends
        "cas": unknown,
        "dee": unknown if default is None else strict,
        "eli": unknown,
    }
    assert {row.status for row in accounts.values()} == {"locked"}
