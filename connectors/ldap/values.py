"""Attribute values as directories write them: times, GUIDs, SIDs, text; and the entry that holds them."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

_TIME = re.compile(
    r"(?P<stamp>\d{10}(?:\d\d){0,2})(?:[.,](?P<fraction>\d+))?(?:Z|(?P<sign>[+-])(?P<hours>\d\d)(?P<minutes>\d\d)?)"
)
_UNITS = {10: timedelta(hours=1), 12: timedelta(minutes=1), 14: timedelta(seconds=1)}
_FORMATS = {10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}
_WINDOWS_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NEVER = 0x7FFF_FFFF_FFFF_FFFF


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as the server sent it: its DN, and lower-case attribute names with raw values."""

    dn: str
    attributes: Mapping[str, Sequence[bytes]]

    def raw(self, name: str) -> Sequence[bytes]:
        """Return the raw values; empty where the server sent none (absent, or not readable)."""
        return self.attributes.get(name.lower(), ())

    def texts(self, name: str) -> list[str]:
        """Return the values as text; octets that are no UTF-8 stay visible as escapes."""
        return [value.decode(errors="backslashreplace") for value in self.raw(name)]

    def text(self, *names: str) -> str | None:
        """Return the first value of the first of ``names`` that has one which is not blank."""
        for name in names:
            for value in self.texts(name):
                if value.strip():
                    return value.strip()
        return None

    def number(self, name: str) -> int | None:
        """Return an integer value; raises ``ValueError`` where it is none."""
        value = self.text(name)
        return None if value is None else int(value)

    def classes(self) -> frozenset[str]:
        """Return the object classes, in lower case."""
        return frozenset(value.lower() for value in self.texts("objectClass"))


def generalized_time(text: str) -> datetime:
    """Read a Generalized Time (RFC 4517, 3.3.13) as UTC; raises ``ValueError`` for anything else."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        message = f"{text!r} is no Generalized Time"
        raise ValueError(message)
    size = len(match["stamp"])
    instant = datetime.strptime(match["stamp"], _FORMATS[size]).replace(tzinfo=UTC)
    if match["fraction"]:
        instant += _UNITS[size] * float(f"0.{match['fraction']}")
    if match["sign"]:
        shift = timedelta(hours=int(match["hours"]), minutes=int(match["minutes"] or 0))
        zone = timezone(shift if match["sign"] == "+" else -shift)
        instant = instant.replace(tzinfo=zone)
    try:
        return instant.astimezone(UTC)
    except OverflowError as error:
        message = f"{text!r} lies outside the years 1 to 9999"
        raise ValueError(message) from error


def file_time(number: int) -> datetime | None:
    """Read 100 ns ticks since 1601 (Active Directory); None for 0, 0x7FFF... and beyond the year 9999: never."""
    if number <= 0 or number >= NEVER:
        return None
    try:
        return _WINDOWS_EPOCH + timedelta(microseconds=number // 10)
    except OverflowError:
        return None


def epoch_days(number: int) -> datetime | None:
    """Read days since 1970 (shadowExpire); None for negative numbers and beyond the year 9999: never."""
    try:
        return None if number < 0 else _UNIX_EPOCH + timedelta(days=number)
    except OverflowError:
        return None


def guid(raw: bytes) -> str:
    """Return an objectGUID as canonical text; raises ``ValueError`` where it is not 16 octets."""
    return str(uuid.UUID(bytes_le=raw))


def sid(raw: bytes) -> str:
    """Return an objectSid as ``S-1-...``; raises ``ValueError`` where it is none."""
    if len(raw) < 8 or len(raw) != 8 + 4 * raw[1]:  # noqa: PLR2004 - a SID's header is 8 octets
        message = f"{raw.hex()} is no SID"
        raise ValueError(message)
    parts = [int.from_bytes(raw[at : at + 4], "little") for at in range(8, len(raw), 4)]
    return "-".join(["S", str(raw[0]), str(int.from_bytes(raw[2:8], "big")), *map(str, parts)])
