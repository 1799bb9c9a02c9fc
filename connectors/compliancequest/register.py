"""From an accepted risk to the fields of its record: pure, no network."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from reconciler.sdk.errors import ConfigurationError

from .schema import Described
from .tickets_settings import ExceptionMap

_MOMENT = timedelta(seconds=1)


def written(where: ExceptionMap, described: Described, fields: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the values of the record; a column that the mapping leaves out is not written.

    Raises ``ConfigurationError`` naming the key where a field is not shown, or holds dates and no zone is set.
    """
    found: dict[str, Any] = {}
    for column, name in where.columns.items():
        info = described.fields.get(name.casefold())
        if info is None:
            raise ConfigurationError(
                f"{key} columns.{column}: {where.object} shows no {name}",
                advice="Correct the name, or grant the user Edit on the field.",
            )
        value = fields.get(column)
        if isinstance(value, datetime) and info.type == "date":
            if where.zone is None:
                raise ConfigurationError(
                    f"{key} time_zone is missing: {info.name} holds dates", advice="Set the zone of its days."
                )
            value = last_day(value, where.zone) if column == "expires_at" else value.astimezone(where.zone).date()
            value = value.isoformat()
        elif isinstance(value, datetime):
            value = value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        elif value is not None:
            value = where.values.get(column, {}).get(str(value), str(value))
        found[info.name] = value
    return found


def last_day(until: datetime, zone: ZoneInfo) -> Any:
    """Return the last day that is over when ``until`` comes: read back as its end, it never lasts longer."""
    return (until + _MOMENT).astimezone(zone).date() - timedelta(days=1)
