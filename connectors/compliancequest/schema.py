"""What describe says of an object, and whether a field can fill a column: pure, no network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.sdk.columns import Column, nearest
from reconciler.sdk.errors import ConfigurationError, Misbehaved

from .soql import Condition

NAME_FIELDS = frozenset({"Alias", "Email", "FirstName", "LastName", "Name", "Title", "Type", "Username"})
"""What a lookup to several objects (an owner: user or queue) leads on to: the fields of Salesforce's object Name."""

_NUMBERS = frozenset({"int", "long", "double", "currency", "percent"})
_TEXTS = frozenset(
    {"string", "textarea", "picklist", "multipicklist", "email", "phone", "url", "id", "reference", "combobox"}
)
_FITS: dict[str, frozenset[str]] = {
    "text": _TEXTS | {"boolean", "date", "datetime"},
    "choice": _TEXTS | {"boolean"},
    "zone": _TEXTS,
    "list": _TEXTS,
    "integer": _NUMBERS,
    "date": frozenset({"date", "datetime"}),
    "instant": frozenset({"date", "datetime"}),
}


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """A field that the running user may see."""

    name: str
    type: str
    reference_to: tuple[str, ...] = ()
    relationship: str | None = None
    filterable: bool = True
    external_id: bool = False
    unique: bool = False
    writable: bool = True
    """Whether the running user may set it, in a new record and in one that is there."""
    length: int = 0
    """Characters that it holds; 0: not said."""
    rich: bool = False
    """Whether its text is HTML."""


@dataclass(frozen=True, slots=True)
class Described:
    """An object that the running user may see, by lower-case names of its fields and relationships."""

    name: str
    fields: Mapping[str, FieldInfo]
    relationships: Mapping[str, FieldInfo]


@dataclass(frozen=True, slots=True)
class Resolved:
    """A path with the names as the service writes them, and the field that it ends in.

    ``through`` are the objects that it leads over; empty: the field is the object's own.
    """

    path: tuple[str, ...]
    field: FieldInfo
    through: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """As SOQL writes it."""
        return ".".join(self.path)


class NotVisibleError(Exception):
    """A field or relationship that describe does not show: misspelt, or hidden by field-level security."""

    def __init__(self, entity: str, name: str, hint: str) -> None:
        super().__init__(f"{entity} shows no {name}{hint}")
        self.permission = f"Read on {entity}.{name}"


def read_describe(content: Mapping[str, Any], shown: str) -> Described:
    """Read the answer of describe; raise ``Misbehaved`` where it is none."""
    name, fields = content.get("name"), content.get("fields")
    if not isinstance(name, str) or not isinstance(fields, list):
        raise Misbehaved(f"describe of {shown} has no name or no fields", advice="Check api_version.")
    found: dict[str, FieldInfo] = {}
    for one in fields:
        if not isinstance(one, dict) or not isinstance(one.get("name"), str) or not isinstance(one.get("type"), str):
            raise Misbehaved(f"describe of {shown} has a field without name or type", advice="Check api_version.")
        targets = one.get("referenceTo")
        relationship = one.get("relationshipName")
        found[one["name"].casefold()] = FieldInfo(
            one["name"],
            one["type"],
            tuple(target for target in targets if isinstance(target, str)) if isinstance(targets, list) else (),
            relationship if isinstance(relationship, str) else None,
            one.get("filterable") is not False,
            one.get("externalId") is True,
            one.get("unique") is True,
            one.get("createable") is not False and one.get("updateable") is not False,
            one["length"] if type(one.get("length")) is int else 0,
            one.get("extraTypeInfo") == "richtextarea",
        )
    return Described(
        name, found, {info.relationship.casefold(): info for info in found.values() if info.relationship is not None}
    )


def find_field(described: Described, name: str) -> FieldInfo:
    """Return a field in whatever case; raise ``NotVisibleError``."""
    info = described.fields.get(name.casefold())
    if info is None:
        raise NotVisibleError(described.name, name, nearest(name, [one.name for one in described.fields.values()]))
    return info


def find_relationship(described: Described, name: str) -> FieldInfo:
    """Return the lookup behind a relationship in whatever case; raise ``NotVisibleError``."""
    info = described.relationships.get(name.casefold())
    if info is None or not info.reference_to:
        known = [one.relationship for one in described.relationships.values() if one.relationship is not None]
        raise NotVisibleError(described.name, name, nearest(name, known))
    return info


def named_field(relationship: str, name: str) -> FieldInfo:
    """Return a field of the object Name, for lookups to several objects; raise ``NotVisibleError``."""
    for known in NAME_FIELDS:
        if known.casefold() == name.casefold():
            return FieldInfo(known, "string")
    raise NotVisibleError(f"Name (by {relationship})", name, f"; it has {', '.join(sorted(NAME_FIELDS))}")


def check_fit(resolved: Resolved, column: Column, key: str, *, zoned: bool) -> None:
    """Raise ``ConfigurationError`` naming ``key`` where a field of this type cannot fill the column."""
    kind, place = resolved.field.type, f"{key}: {resolved.text} is a {resolved.field.type} field"
    if kind == "encryptedstring":
        raise ConfigurationError(
            f"{place}, which is masked for most users", advice="Map a field that is not encrypted."
        )
    if kind not in _FITS.get(column.kind, frozenset()):
        raise ConfigurationError(
            f"{place}, and {column.name} is {column.kind}",
            advice="Map a field of a fitting type; a number is not taken for an id, since it has lost its zeros.",
        )
    if {kind, column.kind} in ({"date", "instant"}, {"datetime", "date"}) and not zoned:
        raise ConfigurationError(
            f"{place}, and {column.name} is {'an instant' if column.kind == 'instant' else 'a date'}",
            advice="Set time_zone to the zone whose days are meant, or map another field.",
        )


def check_condition(resolved: Resolved, condition: Condition, key: str) -> None:
    """Raise ``ConfigurationError`` naming ``key`` where a field cannot be compared with these values."""
    kind = resolved.field.type
    if not resolved.field.filterable:
        raise ConfigurationError(
            f"{key}: {resolved.text} cannot be filtered by", advice="Take another field, such as a picklist."
        )
    for value in condition.values:
        written = type(value).__name__
        fits = {"bool": {"boolean"}, "int": _NUMBERS, "float": _NUMBERS, "date": {"date"}, "datetime": {"datetime"}}
        if kind not in fits.get(written, _TEXTS | {"encryptedstring"}):
            raise ConfigurationError(
                f"{key}: {resolved.text} is a {kind} field, and {value!r} is none",
                advice="Write true or false, numbers and dates without quotes, and text in quotes.",
            )
