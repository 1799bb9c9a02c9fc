"""An org: objects with their fields, records, users and what each of them may see; no network."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.simulators.salesforce.soql import Condition, Literal, Query, SoqlError, parse

Row = dict[str, Any]

LENGTHS = {"string": 255, "picklist": 255, "textarea": 32_768, "richtext": 32_768}
_SYSTEM = ("Id:id", "Name:string", "OwnerId:reference>User|Group", "CreatedDate:datetime", "SystemModstamp:datetime")


@dataclass(frozen=True)
class Field:
    """A field as describe shows it."""

    name: str
    type: str
    reference_to: tuple[str, ...] = ()
    external_id: bool = False
    unique: bool = False
    length: int = 0
    """Characters that a text holds; 0: as many as its type does."""
    rich: bool = False

    @property
    def relationship(self) -> str | None:
        """How a path leads on from it."""
        if not self.reference_to:
            return None
        return self.name[:-3] + "__r" if self.name.endswith("__c") else self.name.removesuffix("Id")


@dataclass
class Entity:
    """An object: its fields by name, its records by id."""

    name: str
    fields: dict[str, Field]
    rows: dict[str, Row] = field(default_factory=dict)


@dataclass
class User:
    """A running user: what permission sets and field-level security leave to see."""

    id: str
    username: str
    reads: set[str] = field(default_factory=set)
    """Objects with Read."""
    view_all: set[str] = field(default_factory=set)
    """Objects with View All Records; of others only own records are shared."""
    hidden: set[str] = field(default_factory=set)
    """``Object.Field`` without Read."""
    edits: set[str] = field(default_factory=set)
    """Objects with Create and Edit."""
    locked: set[str] = field(default_factory=set)
    """``Object.Field`` that may be read only."""
    system: set[str] = field(default_factory=lambda: {"ViewSetup"})
    """System permissions: ViewAllData, ViewAllUsers, ViewSetup, ..."""


def fields_of(*written: str) -> dict[str, Field]:
    """Read fields written as ``Name:type`` or ``Name__c:reference>Target``.

    ``Name__c:string!`` is an External ID that is Unique, ``Name__c:string?`` one that is not; ``Name__c:string(80)``
    holds 80 characters, ``Name__c:richtext`` HTML.
    """
    found = {}
    for text in written:
        name, _, kind = text.partition(":")
        kind, _, target = kind.partition(">")
        marked = kind.endswith(("!", "?"))
        plain, _, length = kind.rstrip("!?)").partition("(")
        found[name] = Field(
            name,
            "textarea" if plain == "richtext" else plain,
            tuple(target.split("|")) if target else (),
            external_id=marked,
            unique=kind.endswith("!"),
            length=int(length) if length else LENGTHS.get(plain, 0),
            rich=plain == "richtext",
        )
    return found


class Org:
    """The data of one org; its clock ticks a second for every change."""

    def __init__(self) -> None:
        self.entities: dict[str, Entity] = {}
        self.users: dict[str, User] = {}
        self.now = datetime(2026, 3, 1, 8, tzinfo=UTC)
        self._serial = 0

    def entity(self, name: str, *written: str) -> Entity:
        """Add an object; the system fields come by themselves."""
        self.entities[name] = Entity(name, fields_of(*_SYSTEM, "IsDeleted:boolean", *written))
        return self.entities[name]

    def user(self, username: str, **more: Any) -> User:
        """Add a running user."""
        self._serial += 1
        user = User(f"005{self._serial:012d}AAA", username, **more)
        self.users[user.id] = user
        return user

    def insert(self, entity: str, **values: Any) -> str:
        """Add a record and return its id."""
        self._serial += 1
        known = self.entities[entity]
        prefix = "005" if entity == "User" else f"a{list(self.entities).index(entity):02d}"
        row = dict.fromkeys(known.fields) | {"Id": f"{prefix}{self._serial:012d}AAA", "IsDeleted": False}
        row |= {"Name": f"N-{self._serial}", "CreatedDate": self._tick()} | values
        self._write(known, row)
        return str(row["Id"])

    def update(self, entity: str, record: str, **values: Any) -> None:
        """Change a record."""
        self._write(self.entities[entity], self.entities[entity].rows[record] | values)

    def delete(self, entity: str, record: str, *, purge: bool = False) -> None:
        """Put a record in the recycle bin; with ``purge`` past it."""
        if purge:
            del self.entities[entity].rows[record]
        else:
            self.update(entity, record, IsDeleted=True)

    def advance(self, **span: float) -> None:
        """Let time pass."""
        self.now += timedelta(**span)

    def describe(self, entity: str, user: User) -> list[Field] | None:
        """Return the fields that ``user`` sees, None for an object that he does not."""
        known = self.entities.get(entity)
        if known is None or entity not in user.reads:
            return None
        return [one for one in known.fields.values() if f"{entity}.{one.name}" not in user.hidden]

    def select(self, query: Query, user: User, *, deleted: bool = False) -> list[Row]:
        """Return the records that match, as they are stored, in order; raise ``SoqlError`` as the vendor would."""
        rows = self._visible(query.entity, user, deleted=deleted)
        for path in (*query.paths, *query.order, *(c.path for c in query.where)):
            self._check(query.entity, path, user)
        for condition in query.where:
            rows = [row for row in rows if self._holds(query.entity, row, condition, user)]
        for path in reversed(query.order):
            rows.sort(key=lambda row, path=path: str(self.value(query.entity, row, path) or ""))  # type: ignore[misc]
        return rows if query.limit is None else rows[: query.limit]

    def aggregate(self, query: Query, user: User, *, deleted: bool = False) -> Row:
        """Return the one row of an aggregate query."""
        rows = self.select(Query(query.entity, ("Id",), where=query.where), user, deleted=deleted)
        found: Row = {}
        for each in query.aggregates:
            self._check(query.entity, each.path, user)
            values = [v for row in rows if (v := self.value(query.entity, row, each.path)) is not None]
            found[each.alias] = len(values) if each.function == "COUNT" else max(values, default=None)
        return found

    def shape(self, query: Query, row: Row) -> Row:
        """Return a record as a query answers with it: relationships nested, null where a lookup is empty."""
        found: Row = {"attributes": {"type": query.entity, "url": f"/services/data/v62.0/sobjects/{row.get('Id')}"}}
        for path in query.paths:
            *steps, last = path.split(".")
            place, entity, here = found, query.entity, row
            for step in steps:
                target = self._follow(entity, here, step)
                if target is None:
                    place[step] = None
                    break
                entity, here = target
                place = place.setdefault(step, {"attributes": {"type": entity}})
            else:
                place[last] = here.get(last)
        return found

    def value(self, entity: str, row: Row, path: str) -> Any:
        """Return what stands at a path, None where a lookup on the way is empty."""
        *steps, last = path.split(".")
        for step in steps:
            target = self._follow(entity, row, step)
            if target is None:
                return None
            entity, row = target
        return row.get(last)

    def _tick(self) -> str:
        self.now += timedelta(seconds=1)
        return self.now.strftime("%Y-%m-%dT%H:%M:%S.000+0000")

    def _write(self, entity: Entity, row: Row) -> None:
        if strange := set(row) - set(entity.fields):
            raise KeyError(strange)
        entity.rows[str(row["Id"])] = row | {"SystemModstamp": self._tick()}

    def _visible(self, entity: str, user: User, *, deleted: bool) -> list[Row]:
        rows: Iterable[Row]
        if entity == "UserPermissionAccess":
            rows = [{f"Permissions{name}": name in user.system for name in _SYSTEM_PERMISSIONS}]
        elif entity == "PermissionSetAssignment" and "ViewSetup" in user.system:
            rows = [{"AssigneeId": one.id, "PermissionSetId": f"0PS{one.id[3:]}"} for one in self.users.values()]
        elif entity == "ObjectPermissions" and "ViewSetup" in user.system:
            rows = [
                _permission(one, name) for one in self.users.values() for name in sorted(one.reads - {"User", "Group"})
            ]
        elif entity not in self.entities or entity not in user.reads:
            raise SoqlError("INVALID_TYPE", f"sObject type '{entity}' is not supported.")
        else:
            rows = self.entities[entity].rows.values()
            everything = entity in user.view_all or "ViewAllData" in user.system
            rows = [row for row in rows if everything or row["OwnerId"] == user.id]
            rows = [row for row in rows if deleted or not row["IsDeleted"]]
        return list(rows)

    def _check(self, entity: str, path: str, user: User) -> None:
        """Raise INVALID_FIELD for a path that leads to something unknown or hidden."""
        if entity not in self.entities:
            return
        *steps, last = path.split(".")
        for step in steps:
            known = [one for one in self.entities[entity].fields.values() if one.relationship == step]
            if not known or f"{entity}.{known[0].name}" in user.hidden or known[0].reference_to[0] not in user.reads:
                raise SoqlError("INVALID_FIELD", f"Didn't understand relationship '{step}' in field path.")
            entity = known[0].reference_to[0]
        if last not in self.entities[entity].fields or f"{entity}.{last}" in user.hidden:
            raise SoqlError("INVALID_FIELD", f"No such column '{last}' on entity '{entity}'.")

    def _follow(self, entity: str, row: Row, step: str) -> tuple[str, Row] | None:
        for one in self.entities[entity].fields.values():
            if one.relationship == step and row.get(one.name) is not None:
                for target in one.reference_to:
                    if (found := self.entities[target].rows.get(row[one.name])) is not None:
                        return target, found
        return None

    def _holds(self, entity: str, row: Row, condition: Condition, user: User) -> bool:
        found = self.value(entity, row, condition.path)
        literals: Sequence[Any]
        if isinstance(condition.values, Query):
            inner = self.select(condition.values, user)
            literals = [self.value(condition.values.entity, one, condition.values.paths[0]) for one in inner]
        else:
            for literal in condition.values:
                self._fits(entity, condition.path, literal)
            literals = [_comparable(one.value) for one in condition.values]
        found = _comparable(found)
        if condition.operator == "LIKE":
            return found is not None and _like(str(literals[0])).fullmatch(str(found)) is not None
        if condition.operator in {"=", "IN"}:
            return found in literals
        if condition.operator in {"!=", "NOT IN"}:
            return found not in literals
        return found is not None and bool(_ORDERED[condition.operator](found, literals[0]))

    def _fits(self, entity: str, path: str, literal: Literal) -> None:
        """Raise INVALID_FIELD for a literal of another type than the field, as the vendor does."""
        if entity not in self.entities or literal.value is None:
            return
        *steps, last = path.split(".")
        for step in steps:
            entity = next(o for o in self.entities[entity].fields.values() if o.relationship == step).reference_to[0]
        kind = self.entities[entity].fields[last].type
        due = {"boolean": "word", "date": "date", "datetime": "instant", "double": "number", "int": "number"}
        if literal.kind != due.get(kind, "text"):
            raise SoqlError(
                "INVALID_FIELD", f"value of filter criterion for field '{last}' must be of type {kind} and fit."
            )


_ORDERED = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
_SYSTEM_PERMISSIONS = ("ViewAllData", "ModifyAllData", "ViewAllUsers", "ViewSetup", "ApiEnabled")


def _permission(user: User, entity: str) -> Row:
    return {
        "ParentId": f"0PS{user.id[3:]}",
        "SobjectType": entity,
        "PermissionsRead": True,
        "PermissionsViewAllRecords": entity in user.view_all,
    }


def _like(pattern: str) -> re.Pattern[str]:
    """Read a pattern of LIKE, which does not tell upper from lower case."""
    parts = re.split(r"([%_])", pattern)
    return re.compile("".join({"%": ".*", "_": "."}.get(part, re.escape(part)) for part in parts), re.IGNORECASE)


def _comparable(value: Any) -> Any:
    """Return instants as instants, everything else as it is."""
    if isinstance(value, str) and len(value) > len("2026-03-31T") and value[4:5] == "-" and value[10:11] == "T":
        return datetime.fromisoformat(value)
    return value


__all__ = ["Entity", "Field", "Org", "Row", "SoqlError", "User", "parse"]
