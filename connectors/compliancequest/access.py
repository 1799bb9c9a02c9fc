"""Whether the running user sees all records: sharing rules leave out the rest without a word."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from .client import Client, NotShown
from .soql import Condition, select

USERS = "User"
OPEN = frozenset({"Group", "RecordType", "UserRole", "Profile", "Organization"})
"""Objects without sharing and without object permissions: every internal user sees all of them."""

_SYSTEM = ("PermissionsViewAllData", "PermissionsViewAllUsers")


@dataclass(frozen=True, slots=True)
class Sight:
    """Objects of which records may be hidden, each with why and the permission to grant; no entry: all are seen."""

    hidden: Mapping[str, tuple[str, str]]


async def read_sight(client: Client, entities: Iterable[str]) -> Sight:
    """Ask for the permissions of the running user over ``entities``; what cannot be told counts as hidden."""
    wanted = sorted(set(entities) - OPEN)
    answer = await client.query(select("UserPermissionAccess", _SYSTEM, ordered=False))
    system = {name for name in _SYSTEM for record in answer.records if record.get(name) is True}
    hidden: dict[str, tuple[str, str]] = {}
    if USERS in wanted and "PermissionsViewAllUsers" not in system:
        hidden[USERS] = ("users may be hidden from the running user", "View All Users")
    asked = [entity for entity in wanted if entity != USERS and "PermissionsViewAllData" not in system]
    if not asked:
        return Sight(hidden)
    try:
        granted = await _view_all(client, asked)
    except NotShown:
        reason = (
            "whether sharing rules hide records of it cannot be told: permissions are not shown to the running user"
        )
        return Sight(hidden | dict.fromkeys(asked, (reason, "View Setup and Configuration")))
    for entity in asked:
        if entity.casefold() not in granted:
            hidden[entity] = (
                "sharing rules may hide records of it from the running user",
                f"View All Records on {entity}",
            )
    return Sight(hidden)


async def _view_all(client: Client, entities: list[str]) -> set[str]:
    """Return the objects, in lower case, on which the profile or a permission set grants View All Records."""
    user = Condition("AssigneeId", (await client.user_id(),))
    mine = select("PermissionSetAssignment", ["PermissionSetId"], [user], ordered=False)
    conditions = [Condition("PermissionsViewAllRecords", (True,)), Condition("SobjectType", tuple(entities))]
    soql = select("ObjectPermissions", ["SobjectType"], conditions, ordered=False)
    granted: set[str] = set()
    answer = await client.query(f"{soql} AND ParentId IN ({mine})")
    while True:
        granted |= {str(record.get("SobjectType")).casefold() for record in answer.records}
        if answer.next is None:
            return granted
        answer = await client.more(answer.next)
