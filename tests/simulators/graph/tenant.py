"""What a simulated tenant holds: explicit objects by hand, behind the same few questions as a generated one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tests.simulators.graph.answers import Json

TENANT_ID = "0f0e0d0c-0b0a-4908-8706-050403020100"
P1, P2 = "P1", "P2"

TYPES = {
    "users": "user",
    "groups": "group",
    "servicePrincipals": "servicePrincipal",
    "applications": "application",
    "devices": "device",
    "directoryRoles": "directoryRole",
    "administrativeUnits": "administrativeUnit",
    "contacts": "orgContact",
}
"""Collections of directory objects, and the type of each."""


class Rows(Protocol):
    """A collection in the service's own order."""

    def __len__(self) -> int:
        """Count the rows."""

    def window(self, start: int, count: int) -> Sequence[Json]:
        """Return up to ``count`` rows from ``start`` on."""

    def find(self, name: str) -> Json | None:
        """Return the row of that id (of a user: or user principal name)."""


class Directory(Protocol):
    """What the services ask of a tenant."""

    tenant_id: str
    domain: str
    licences: frozenset[str]
    skus: list[Json]

    def rows(self, name: str) -> Rows:
        """Return a collection by its path, such as ``users`` or ``auditLogs/signIns``; an empty one if unknown."""

    def deleted(self, kind: str) -> Rows:
        """Return the deleted objects of a type."""

    def find(self, name: str) -> tuple[str, Json] | None:
        """Return the type and row of a directory object that is not deleted."""

    def linked(self, link: str, name: str) -> Sequence[str]:
        """Return the ids that ``name`` is linked to: members, owners, memberOf, manager."""

    def methods(self, user: str) -> Sequence[Json]:
        """Return the authentication methods of a user."""

    def related(self, name: str, column: str, value: str) -> Rows:
        """Return the rows of a collection whose ``column`` is ``value``."""


class ListRows:
    """Rows that are held in a list; found by id and, for users, by user principal name."""

    def __init__(self, held: Sequence[Json]) -> None:
        self.held = held

    def __len__(self) -> int:
        return len(self.held)

    def window(self, start: int, count: int) -> Sequence[Json]:
        return self.held[start : start + count]

    def find(self, name: str) -> Json | None:
        sought = name.lower()
        for row in self.held:
            if row["id"] == name or str(row.get("userPrincipalName", "")).lower() == sought:
                return row
        return None


@dataclass
class Tenant:
    """A tenant of explicit objects: plain JSON as Graph would give it with everything selected."""

    tenant_id: str = TENANT_ID
    domain: str = "contoso.onmicrosoft.com"
    licences: frozenset[str] = frozenset({P1, P2})
    skus: list[Json] = field(default_factory=list)
    """Rows of /subscribedSkus."""
    collections: dict[str, list[Json]] = field(default_factory=dict)
    """By path: ``users``, ``groups``, ``roleManagement/directory/roleAssignments``, ``auditLogs/signIns``, ..."""
    deleted_items: dict[str, list[Json]] = field(default_factory=dict)
    """Deleted objects by type: ``user``, ``group``, ``application``, ``servicePrincipal``."""
    links: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    """``members`` and ``owners``: from an object's id to those of others; ``manager`` has one."""
    authentication: dict[str, list[Json]] = field(default_factory=dict)

    def rows(self, name: str) -> Rows:
        return ListRows(self.collections.get(name, []))

    def deleted(self, kind: str) -> Rows:
        return ListRows(self.deleted_items.get(kind, []))

    def find(self, name: str) -> tuple[str, Json] | None:
        for path, kind in TYPES.items():
            row = self.rows(path).find(name)
            if row is not None:
                return kind, row
        return None

    def linked(self, link: str, name: str) -> Sequence[str]:
        if link == "memberOf":
            return [holder for holder, members in self.links.get("members", {}).items() if name in members]
        return self.links.get(link, {}).get(name, [])

    def methods(self, user: str) -> Sequence[Json]:
        return self.authentication.get(user, [])

    def related(self, name: str, column: str, value: str) -> Rows:
        return ListRows([row for row in self.collections.get(name, []) if row.get(column) == value])

    def add(self, collection: str, *rows: Json) -> None:
        """Add rows to a collection."""
        self.collections.setdefault(collection, []).extend(rows)

    def link(self, link: str, holder: str, *others: str) -> None:
        """Link ``holder`` to others: ``link("members", group, user)``."""
        self.links.setdefault(link, {}).setdefault(holder, []).extend(others)

    def soft_delete(self, collection: str, name: str, when: str) -> None:
        """Move an object to the deleted items, as DELETE does: its links go with it."""
        row = self.rows(collection).find(name)
        assert row is not None, name
        self.collections[collection].remove(row)
        self.deleted_items.setdefault(TYPES[collection], []).append({**row, "deletedDateTime": when})
        for held in self.links.values():
            held.pop(row["id"], None)
            for others in held.values():
                if row["id"] in others:
                    others.remove(row["id"])

    def purge(self, kind: str, name: str) -> None:
        """Delete a deleted object for good."""
        self.deleted_items[kind] = [row for row in self.deleted_items.get(kind, []) if row["id"] != name]


def closure(tenant: Directory, link: str, name: str) -> Iterator[str]:
    """Yield every id reached from ``name`` over ``link``, each once; cycles end."""
    seen: set[str] = set()
    waiting: list[Iterable[str]] = [tenant.linked(link, name)]
    while waiting:
        for each in waiting.pop():
            if each not in seen:
                seen.add(each)
                yield each
                waiting.append(tenant.linked(link, each))
