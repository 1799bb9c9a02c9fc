"""The only module that asks the time; everything else is handed ``as_of``."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import cache
from zoneinfo import available_timezones

_NO_ZONES = {"localtime", "Factory", "posixrules"}
"""Files of a zone folder that name this machine's zone, or none."""


def now() -> datetime:
    """Return the present instant in UTC."""
    return datetime.now(UTC)  # noqa: TID251 - this is the one place


def monotonic() -> float:
    """Return seconds on a clock that never goes back, for measuring how long work took."""
    return time.monotonic()


@cache
def zones() -> frozenset[str]:
    """Return the names of IANA's zones, which mean the same on every machine."""
    return frozenset(available_timezones() - _NO_ZONES)


def parse_instant(text: str) -> datetime:
    """Read an ISO 8601 instant that names its zone, as UTC.

    Raises ``ValueError`` for text that is no instant and for one without a zone: a guess here would move
    every deadline by hours.
    """
    instant = datetime.fromisoformat(text.strip())
    if instant.tzinfo is None:
        message = f"{text!r} has no time zone; write for example {text.strip()}Z or {text.strip()}+01:00"
        raise ValueError(message)
    return instant.astimezone(UTC)
