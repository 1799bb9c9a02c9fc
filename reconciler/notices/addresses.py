"""Mail addresses: those of people, as a snapshot has them, and which can be used at all."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from reconciler.notices.values import Contacts, Due
from reconciler.settings import Settings
from reconciler.snapshot import Snapshot
from reconciler.snapshot.disk import storing
from reconciler.snapshot.people import Holders

_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_USABLE = re.compile(rf"(?=.{{1,64}}@.{{1,253}}\Z){_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*")
"""What every server takes, and what the library of mail makes a header of: a word between dots, never an empty one."""


def usable(address: str) -> bool:
    """Return whether mail can be sent to an address: one plain address, nothing beside it, of ASCII."""
    return _USABLE.fullmatch(address) is not None


def emails(snapshot: Snapshot | None, person_ids: Collection[str]) -> dict[str, str]:
    """Return the first usable address of each of ``person_ids`` that a source which was read whole has."""
    found: dict[str, str] = {}
    wanted = pa.array(sorted(person_ids), pa.string())
    for path in snapshot.files("people") if snapshot is not None else ():
        with storing(path, "read"):
            rows = pq.read_table(path, columns=["person_id", "emails"])
        for row in rows.filter(pc.is_in(rows["person_id"], value_set=wanted)).to_pylist():
            address = next((each for each in row["emails"] or () if usable(each)), None)
            if address is not None:
                found.setdefault(row["person_id"], address)
    return found


def contacts(settings: Settings, snapshot: Snapshot | None, holders: Holders, owed: Iterable[Due]) -> Contacts:
    """Return who can be told of what is owed: addresses of the configuration, else of the people who hold a role."""
    known = list(owed)
    roles = {one.owner_role for one in known} | {one.escalated_to for one in known if one.escalated_to}
    roles |= set(settings.config.nonconformities.escalate_to)
    people = {holders.holder(role) for role in roles} | {one.owner for one in known}
    return Contacts(
        addresses=settings.config.notices.addresses,
        holders=holders,
        emails=emails(snapshot, {person for person in people if person}),
    )
