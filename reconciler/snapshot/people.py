"""Who holds a governance role on a day, and where people belong, as far as a snapshot says."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from reconciler import clock
from reconciler.sdk.connector import Status
from reconciler.snapshot.disk import storing
from reconciler.snapshot.store import Snapshot

LEFT = ("left", "leaver", "terminated", "ended", "departed", "inactive", "former", "offboarded")
"""Words of ``people.status``, in lower case, that say that a person has left."""


class Holder(msgspec.Struct, frozen=True):
    """A person who holds a role; ``name`` is the id again where no name is known."""

    person_id: str
    name: str
    since: date


class Holders(msgspec.Struct, frozen=True):
    """Role, in lower case -> who holds it, who came last first; ``unknown`` says why that is not known, else empty."""

    by_role: Mapping[str, Sequence[Holder]] = {}
    unknown: str = ""

    def of(self, role: str) -> str:
        """Say in words who holds a role."""
        if self.unknown:
            return f"holder not known: {self.unknown}"
        return ", ".join(sorted({each.name for each in self._all(role)})) or "held by nobody"

    def holder(self, role: str) -> str | None:
        """Return the person_id of who holds a role, of several who came last; None: nobody, or not known."""
        found = () if self.unknown else self._all(role)
        return found[0].person_id if found else None

    def vacant(self, role: str) -> bool:
        """Tell whether it is known that nobody holds a role; what is not known is not vacant."""
        return not self.unknown and not self._all(role)

    def _all(self, role: str) -> Sequence[Holder]:
        return self.by_role.get(_plain(role), ())


class Affiliation(msgspec.Struct, frozen=True):
    """Where a person belongs; null where no source says so."""

    supplier_id: str | None = None
    department: str | None = None


def holders(snapshot: Snapshot | None, *, as_of: datetime, time_zone: str, left: Collection[str] = LEFT) -> Holders:
    """Read the holders on the day of ``as_of`` in ``time_zone``, as rule IG-GOV-002 does.

    A term of office is in ``role_holders``. Who is not among the people, or has left them (``left`` are the words of a
    status that say so), holds nothing; where people were not read whole that takes nobody's role away.
    """
    if snapshot is None:
        return Holders(unknown="the run's snapshot is no longer there")
    sources = snapshot.sources_of("role_holders")
    if not sources:
        return Holders(unknown="no source reports role_holders")
    if unread := _unread(snapshot, "role_holders"):
        return Holders(unknown=f"role_holders of {', '.join(unread)} were not read whole")
    today = as_of.astimezone(ZoneInfo(time_zone)).date()
    terms = [
        row
        for row in _rows(snapshot, "role_holders", ("role", "person_id", "since", "until"))
        if row["since"] <= today and (row["until"] is None or today <= row["until"])
    ]
    columns = ("person_id", "full_name", "status", "ends_on", "time_zone")
    people = {row["person_id"]: row for row in _rows(snapshot, "people", columns, {t["person_id"] for t in terms})}
    whole = whole_people(snapshot)
    found: dict[str, list[Holder]] = {}
    for term in terms:
        person = people.get(term["person_id"])
        if whole and (person is None or _has_left(person, as_of, time_zone, left)):
            continue
        name = (person or {}).get("full_name") or term["person_id"]
        found.setdefault(_plain(term["role"]), []).append(Holder(term["person_id"], name, term["since"]))
    for each in found.values():
        each.sort(key=lambda one: (-one.since.toordinal(), one.person_id))
    return Holders(by_role=found)


def affiliations(snapshot: Snapshot, person_ids: Collection[str]) -> dict[str, Affiliation]:
    """Return where those of ``person_ids`` belong that a source which was read whole knows."""
    return {
        row["person_id"]: Affiliation(row["supplier_id"] or None, row["department"] or None)
        for row in _rows(snapshot, "people", ("person_id", "supplier_id", "department"), person_ids)
    }


def whole_people(snapshot: Snapshot) -> bool:
    """Tell whether a source reports people and every one that does was read whole."""
    return bool(snapshot.sources_of("people")) and not _unread(snapshot, "people")


def _unread(snapshot: Snapshot, table: str) -> list[str]:
    sources = snapshot.sources_of(table)
    return [source for source in sources if snapshot.status(source, table) is not Status.COMPLETE]


def _rows(
    snapshot: Snapshot, table: str, columns: Sequence[str], person_ids: Collection[str] | None = None
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table, those of ``person_ids`` where given: there may be a million others."""
    wanted = None if person_ids is None else pa.array(sorted(person_ids), pa.string())
    for path in snapshot.files(table):
        with storing(path, "read"):
            found = pq.read_table(path, columns=list(columns))
        if wanted is not None:
            found = found.filter(pc.is_in(found["person_id"], value_set=wanted))
        yield from found.to_pylist()


def _has_left(person: Mapping[str, Any], as_of: datetime, time_zone: str, left: Collection[str]) -> bool:
    """Tell whether a person surely has left: the last day is over where the person is, or only the status says so."""
    ends_on = person["ends_on"]
    if ends_on is None:
        return (person["status"] or "").strip().lower() in left
    zone = person["time_zone"] or time_zone
    return bool(zone in clock.zones() and ends_on < as_of.astimezone(ZoneInfo(zone)).date())


def _plain(role: str) -> str:
    return role.strip().lower()
