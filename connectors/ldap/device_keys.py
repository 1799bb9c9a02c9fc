"""Keys of msDS-KeyCredentialLink (MS-ADTS 2.2.20): Windows Hello and security keys that sign in to Active Directory.

Whoever may write this attribute may sign in as the account, so each key is a credential to be seen.
"""

from __future__ import annotations

import binascii
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from .values import file_time

_VERSION = 0x200
_KEY_ID, _SOURCE, _LAST_USED, _CREATED = 1, 5, 8, 9
_HEADER = 3
_FROM_AD = 0
_TICKS = 0x3FFF_FFFF_FFFF_FFFF
_YEAR_ONE = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class DeviceKey:
    """One key: its id (hex), and its times; None is not told."""

    identifier: str
    created_at: datetime | None
    last_used_at: datetime | None


def device_key(text: str) -> DeviceKey:
    """Read a value in the syntax DN-Binary, ``B:count:hex:dn``; raises ``ValueError`` where it is none."""
    marker, _, rest = text.partition(":")
    count, _, rest = rest.partition(":")
    hexadecimal = rest.partition(":")[0]
    if marker != "B" or not count.isdigit() or int(count) != len(hexadecimal):
        message = "msDS-KeyCredentialLink is no DN with binary"
        raise ValueError(message)
    try:
        parts = _parts(binascii.unhexlify(hexadecimal))
    except (struct.error, binascii.Error) as error:
        message = "msDS-KeyCredentialLink is no key credential"
        raise ValueError(message) from error
    if _KEY_ID not in parts:
        message = "a key of msDS-KeyCredentialLink has no id"
        raise ValueError(message)
    from_ad = parts.get(_SOURCE, b"\0") == bytes((_FROM_AD,))
    return DeviceKey(
        parts[_KEY_ID].hex(), _time(parts.get(_CREATED), from_ad=from_ad), _time(parts.get(_LAST_USED), from_ad=from_ad)
    )


def _parts(blob: bytes) -> dict[int, bytes]:
    """Take a blob apart: a version, then (length, identifier, value) each; raises ``ValueError``."""
    if struct.unpack_from("<I", blob)[0] != _VERSION:
        message = "a key of msDS-KeyCredentialLink has an unknown version"
        raise ValueError(message)
    found: dict[int, bytes] = {}
    at = 4
    while at < len(blob):
        length, identifier = struct.unpack_from("<HB", blob, at)
        value = blob[at + _HEADER : at + _HEADER + length]
        if len(value) != length:
            message = "a key of msDS-KeyCredentialLink is cut short"
            raise ValueError(message)
        found[identifier] = value
        at += _HEADER + length
    return found


def _time(raw: bytes | None, *, from_ad: bool) -> datetime | None:
    """Read a time: a file time of Active Directory, or ticks since year 1 of Entra; None for none."""
    if raw is None or len(raw) != 8:  # noqa: PLR2004 - both are 64 bits
        return None
    number = int.from_bytes(raw, "little", signed=True)
    if from_ad:
        return file_time(number)
    try:
        return _YEAR_ONE + timedelta(microseconds=(number & _TICKS) // 10) if number else None
    except OverflowError:
        return None
