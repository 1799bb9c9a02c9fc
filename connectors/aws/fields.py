"""Take fields out of AWS objects; what AWS documents as always present must be present. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from reconciler.sdk.errors import Misbehaved

Item = Mapping[str, Any]


def text(item: Item, name: str) -> str:
    """Return a text that is always there and never empty; raises ``Misbehaved`` where it is not."""
    value = item.get(name)
    if not isinstance(value, str) or not value:
        raise Misbehaved(f"AWS sent an object without {name}")
    return value


def listed(item: Item, name: str) -> Sequence[Any]:
    """Return a list that AWS always sends; its absence is no empty list and raises ``Misbehaved``."""
    value = item.get(name)
    if not isinstance(value, list):
        raise Misbehaved(f"AWS sent {item.get('Arn')} without {name}")
    return value


def instant(value: object) -> datetime | None:
    """Return an instant in UTC; None stays None. Raises ``Misbehaved`` for anything but a zoned instant."""
    if value is None:
        return None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise Misbehaved(f"AWS sent {value!r} where an instant is due")
    return value.astimezone(UTC)
