from __future__ import annotations

import uuid
from datetime import UTC, datetime

import pytest

from connectors.ldap.values import NEVER, Entry, epoch_days, file_time, generalized_time, guid, sid


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("20261121021500Z", datetime(2026, 11, 21, 2, 15, tzinfo=UTC)),
        ("20261121021500.0Z", datetime(2026, 11, 21, 2, 15, tzinfo=UTC)),
        ("20261121021500,25Z", datetime(2026, 11, 21, 2, 15, 0, 250_000, tzinfo=UTC)),
        ("202611210215Z", datetime(2026, 11, 21, 2, 15, tzinfo=UTC)),
        ("2026112102.5Z", datetime(2026, 11, 21, 2, 30, tzinfo=UTC)),
        ("20261121021500+0130", datetime(2026, 11, 21, 0, 45, tzinfo=UTC)),
        ("20261121021500-05", datetime(2026, 11, 21, 7, 15, tzinfo=UTC)),
    ],
)
def test_generalized_time(text: str, instant: datetime) -> None:
    assert generalized_time(text) == instant


@pytest.mark.parametrize(
    "text", ["", "20261121021500", "20261321021500Z", "2026-11-21", "000001010000Z", "99991231235959-1400"]
)
def test_what_is_no_generalized_time(text: str) -> None:
    with pytest.raises(ValueError):
        generalized_time(text)


def test_file_time() -> None:
    assert file_time(132223104000000000) == datetime(2020, 1, 1, tzinfo=UTC)
    assert [file_time(number) for number in (0, -1, NEVER, NEVER - 1)] == [None] * 4


def test_epoch_days() -> None:
    assert epoch_days(0) == datetime(1970, 1, 1, tzinfo=UTC)
    assert [epoch_days(number) for number in (-1, 9_999_999, 10**15)] == [None] * 3


def test_guid_and_sid() -> None:
    made = uuid.UUID("6f1b2c3d-0000-4000-8000-000000000010")
    assert guid(made.bytes_le) == str(made)
    assert sid(bytes.fromhex("0105000000000005150000000100000002000000030000000002 0000")) == "S-1-5-21-1-2-3-512"
    for broken in (b"", b"\x01\x05\x00", b"\x01\x02" + bytes(6)):
        with pytest.raises(ValueError):
            sid(broken)
    with pytest.raises(ValueError):
        guid(b"short")


def test_an_entry_says_what_it_holds() -> None:
    entry = Entry("cn=x", {"cn": [b" ", b"a"], "mail": [b"\xff"], "objectclass": [b"Top"], "n": [b"7"]})
    assert entry.text("absent", "CN") == "a"
    assert entry.texts("mail") == ["\\xff"]
    assert entry.classes() == {"top"}
    assert (entry.number("n"), entry.number("absent")) == (7, None)
