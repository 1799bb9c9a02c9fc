"""Who holds a governance role on a day, as far as a snapshot says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

import msgspec
import pyarrow.parquet as pq

from reconciler.sdk.connector import Status
from reconciler.snapshot import Snapshot
from reconciler.snapshot.disk import storing


class Holders(msgspec.Struct, frozen=True):
    """Role -> names of who holds it; ``unknown`` says why that is not known, empty where it is."""

    by_role: Mapping[str, Sequence[str]] = {}
    unknown: str = ""

    def of(self, role: str) -> str:
        """Say in words who holds a role."""
        if self.unknown:
            return f"holder not known: {self.unknown}"
        return ", ".join(self.by_role.get(_plain(role), ())) or "held by nobody"


def holders(snapshot: Snapshot | None, *, as_of: datetime, time_zone: str) -> Holders:
    """Read the holders on the day of ``as_of`` in ``time_zone``; names where people could be read whole."""
    if snapshot is None:
        return Holders(unknown="the run's snapshot is no longer there")
    sources = snapshot.sources_of("role_holders")
    if not sources:
        return Holders(unknown="no source reports role_holders")
    unread = [source for source in sources if snapshot.status(source, "role_holders") != Status.COMPLETE]
    if unread:
        return Holders(unknown=f"role_holders of {', '.join(unread)} were not read whole")
    today = as_of.astimezone(ZoneInfo(time_zone)).date()
    names = {row["person_id"]: row["full_name"] for row in _rows(snapshot, "people", ("person_id", "full_name"))}
    found: dict[str, list[str]] = {}
    for row in _rows(snapshot, "role_holders", ("role", "person_id", "since", "until")):
        if _holds(row["since"], row["until"], today):
            found.setdefault(_plain(str(row["role"])), []).append(str(names.get(row["person_id"]) or row["person_id"]))
    return Holders(by_role={role: sorted(set(who)) for role, who in found.items()})


def _rows(snapshot: Snapshot, table: str, columns: Sequence[str]) -> Sequence[Mapping[str, object]]:
    found: list[Mapping[str, object]] = []
    for path in snapshot.files(table):
        with storing(path, "read"):
            found += pq.read_table(path, columns=list(columns)).to_pylist()
    return found


def _holds(since: object, until: object, day: date) -> bool:
    return isinstance(since, date) and since <= day and (not isinstance(until, date) or day <= until)


def _plain(role: str) -> str:
    return role.strip().casefold()
