"""The status mapping: the table in the README is the table of this test, row by row."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.ldap.profiles import PROFILES
from connectors.ldap.values import Entry

NOW = datetime(2026, 11, 21, tzinfo=UTC)
README = Path(__file__).parents[3] / "connectors" / "ldap" / "README.md"
PAST, FUTURE = "132223104000000000", "150000000000000000"
ROWS = [
    ("openldap", "", "enabled", "yes"),
    ("openldap", "pwdAccountLockedTime=000001010000Z", "locked", "no"),
    ("openldap", "pwdAccountLockedTime=20261119101112Z", "locked", "unknown"),
    ("openldap", "pwdEndTime=20270101000000Z", "enabled", "unknown"),
    ("openldap", "shadowExpire=20000", "enabled", "yes"),
    ("389ds", "", "enabled", "yes"),
    ("389ds", "nsAccountLock=false", "enabled", "yes"),
    ("389ds", "nsAccountLock=TRUE", "disabled", "no"),
    ("389ds", "accountUnlockTime=19700101000000Z", "locked", "no"),
    ("389ds", "accountUnlockTime=20261121031500Z", "locked", "unknown"),
    ("ad", "", "", "unknown"),
    ("ad", "userAccountControl=512", "enabled", "unknown"),
    ("ad", "userAccountControl=514", "disabled", "no"),
    ("ad", "userAccountControl=514 lockoutTime=132223104000000000", "disabled", "no"),
    ("ad", "userAccountControl=512 msDS-User-Account-Control-Computed=16", "locked", "no"),
    ("ad", "userAccountControl=512 lockoutTime=132223104000000000", "locked", "unknown"),
    (
        "ad",
        "userAccountControl=512 accountExpires=0 lockoutTime=132223104000000000 msDS-User-Account-Control-Computed=0",
        "enabled",
        "yes",
    ),
    ("ad", "userAccountControl=512 accountExpires=0 lockoutTime=0", "enabled", "yes"),
    ("ad", "userAccountControl=512 accountExpires=0", "enabled", "yes"),
    ("ad", "userAccountControl=512 accountExpires=9223372036854775807", "enabled", "yes"),
    ("ad", "userAccountControl=512 accountExpires=132223104000000000", "enabled", "no"),
    ("ad", "userAccountControl=512 accountExpires=150000000000000000", "enabled", "yes"),
]


def entry(said: str) -> Entry:
    pairs = (pair.partition("=") for pair in said.split())
    return Entry("cn=x", {name.lower(): [value.encode()] for name, _, value in pairs})


@pytest.mark.parametrize(("profile", "said", "status", "can"), ROWS)
def test_mapping(profile: str, said: str, status: str, can: str) -> None:
    state = PROFILES[profile].state(entry(said), NOW if profile == "ad" else None)
    assert state.status == (status or None)
    assert state.can_sign_in is {"yes": True, "no": False, "unknown": None}[can]
    for pair in said.split():
        if pair.startswith(("pwdAccountLockedTime", "nsAccountLock", "accountUnlockTime", "userAccountControl")):
            assert pair in (state.raw or "")


@pytest.mark.parametrize("row", ROWS)
def test_the_readme_says_the_same(row: tuple[str, str, str, str]) -> None:
    profile, said, status, can = row
    line = f"| {profile} | {f'`{said}`' if said else 'no such attribute'} | {status or 'unknown'} | {can} |"
    assert line in README.read_text().splitlines()


def test_an_expiry_needs_the_servers_time() -> None:
    state = PROFILES["ad"].state(entry(f"userAccountControl=512 accountExpires={PAST}"), None)
    assert (state.status, state.can_sign_in) == ("enabled", None)
    assert state.expires_at == datetime(2020, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("profile", "said", "expires"),
    [
        ("openldap", "shadowExpire=20000", datetime(2024, 10, 4, tzinfo=UTC)),
        ("openldap", "shadowExpire=-1", None),
        ("openldap", "shadowExpire=1 pwdEndTime=20270101000000Z", datetime(2027, 1, 1, tzinfo=UTC)),
        ("389ds", "shadowExpire=20000", datetime(2024, 10, 4, tzinfo=UTC)),
        ("ad", "userAccountControl=512 accountExpires=0", None),
        ("ad", "userAccountControl=512 accountExpires=9223372036854775807", None),
        ("ad", "userAccountControl=512 accountExpires=9223372036854775806", None),
        ("ad", f"userAccountControl=514 accountExpires={FUTURE}", datetime(2076, 5, 1, 2, 40, tzinfo=UTC)),
    ],
)
def test_expiry(profile: str, said: str, expires: datetime | None) -> None:
    assert PROFILES[profile].state(entry(said), NOW).expires_at == expires
