"""What ``[sources.NAME]`` may say where ``connector = "compliancequest"``."""

from __future__ import annotations

from collections.abc import Mapping as ReadOnly
from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictFloat, StrictInt, StrictStr, model_validator

from reconciler.sdk.columns import columns_of, nearest
from reconciler.sdk.records import GOVERNANCE
from reconciler.sdk.settings import SourceSettings
from reconciler.sdk.values import Reading

from .connection import Connection
from .defaults import DEFAULTS, Mapping
from .soql import STEPS, Condition, is_name, is_path

Value = StrictBool | StrictInt | StrictFloat | StrictStr | datetime | date


class Comparison(BaseModel):
    """A comparison other than "is": what a field must not be, or whether it must be set."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    not_: Annotated[
        Value | list[Value] | None, Field(alias="not", description="Value, or values, that it must not have.")
    ] = None
    is_set: Annotated[bool | None, Field(alias="set", description="Whether it must have a value.")] = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.not_ is None) == (self.is_set is None) or self.not_ == []:
            message = "give either not = VALUE or set = true"
            raise ValueError(message)
        return self


class ObjectMap(BaseModel):
    """Which object fills an estate table, and how."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    object: Annotated[
        str | None,
        Field(description="API name of the object; with it nothing of the table's default mapping is kept."),
    ] = None
    columns: Annotated[
        dict[str, str | list[str]],
        Field(
            description='Estate column = field, or path over relationships such as Owner.Username; "" drops a default; '
            "a list column takes several."
        ),
    ] = Field(default_factory=dict)
    where: Annotated[
        dict[str, Value | list[Value] | Comparison] | None,
        Field(description="Records to read: field = value, field = [values], or { not = ... } or { set = true }."),
    ] = None
    values: Annotated[
        dict[str, dict[str, str]],
        Field(description='Per estate column: value of the field = value of the estate; "" for "not said".'),
    ] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _something(self) -> Self:
        if empty := [path for path, asked in (self.where or {}).items() if asked == []]:
            message = f"where: {empty[0]} = [] matches nothing"
            raise ValueError(message)
        return self


class Settings(SourceSettings, Connection):
    """Settings of a ComplianceQuest source."""

    objects: Annotated[
        dict[str, ObjectMap], Field(description="Per estate table: the object that fills it, and how.")
    ] = Field(default_factory=dict)
    page_size: Annotated[
        int, Field(ge=200, le=2000, description="Records asked for in one page; the service may give fewer.")
    ] = 2000
    time_zone: Annotated[
        str | None,
        Field(description="IANA zone in which a date becomes an instant and an instant a date, where columns need it."),
    ] = None
    list_separator: Annotated[
        str | None,
        Field(min_length=1, description="Text between items in a text field; left out: ; or | (mail fields also ,)."),
    ] = None

    @property
    def mappings(self) -> dict[str, Mapping]:
        """What is read, by estate table, in the estate's order."""
        chosen = self.tables if self.tables is not None else {*DEFAULTS, *self.objects}
        return {table: _merged(table, self.objects.get(table)) for table in GOVERNANCE if table in chosen}

    def reading(self) -> Reading:
        """Return how the values of fields are read."""
        return Reading(list_separator=self.list_separator, zone=ZoneInfo(self.time_zone) if self.time_zone else None)

    @model_validator(mode="after")
    def _zone(self) -> Self:
        try:
            self.reading()
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            message = f"time_zone: {self.time_zone!r} is not an IANA time zone; use for example Europe/Amsterdam"
            raise ValueError(message) from error
        return self

    @model_validator(mode="after")
    def _tables(self) -> Self:
        for key, tables in (("tables", self.tables or ()), ("objects", self.objects)):
            for table in tables:
                if table not in GOVERNANCE:
                    message = f"{key}: {table} is no governance table{nearest(table, GOVERNANCE)}"
                    raise ValueError(message)
        for table in self.objects:
            if self.tables is not None and table not in self.tables:
                message = f"objects.{table} does nothing: tables leaves {table} out"
                raise ValueError(message)
        for table in self.tables or self.objects:
            if table not in DEFAULTS and (table not in self.objects or self.objects[table].object is None):
                message = (
                    f"objects.{table}.object is missing: which object holds {table} differs by customer, so there is "
                    "no default"
                )
                raise ValueError(message)
        for mapping in self.mappings.values():
            _check(mapping)
        return self


def _merged(table: str, given: ObjectMap | None) -> Mapping:
    """Return the mapping of a table: the default, with what the settings say laid over it."""
    default = DEFAULTS.get(table)
    if given is None:
        return default or Mapping(table, "", {})
    base = Mapping(table, given.object or "", {}) if given.object is not None or default is None else default
    columns = base.columns | {name: _paths(paths) for name, paths in given.columns.items()}
    return Mapping(
        table,
        base.entity,
        {name: paths for name, paths in columns.items() if paths},
        base.where if given.where is None else tuple(_conditions(given.where)),
        {name: known for name, known in base.values.items() if columns.get(name)} | given.values,
    )


def _paths(given: str | list[str]) -> tuple[str, ...]:
    return tuple(given) if isinstance(given, list) else (given,) if given else ()


def _conditions(where: ReadOnly[str, Value | list[Value] | Comparison]) -> list[Condition]:
    found = []
    for path, asked in where.items():
        if isinstance(asked, Comparison) and asked.is_set is not None:
            found.append(Condition(path, negated=asked.is_set))
        elif isinstance(asked, Comparison):
            values = asked.not_ if isinstance(asked.not_, list) else [asked.not_]
            found.append(Condition(path, tuple(value for value in values if value is not None), negated=True))
        else:
            found.append(Condition(path, tuple(asked) if isinstance(asked, list) else (asked,)))
    return found


def _check(mapping: Mapping) -> None:
    """Raise ``ValueError`` naming the key for whatever cannot be asked for or cannot be kept."""
    table, here = mapping.table, f"objects.{mapping.table}"
    columns = {column.name: column for column in columns_of(table)}
    if not is_name(mapping.entity):
        message = f"{here}.object: {mapping.entity!r} is no API name"
        raise ValueError(message)
    for key, names in (("columns", mapping.columns), ("values", mapping.values)):
        if strange := [name for name in names if name not in columns]:
            message = f"{here}.{key}: no such column of {table}: {strange[0]}{nearest(strange[0], columns)}"
            raise ValueError(message)
    for name, paths in mapping.columns.items():
        if len(paths) > 1 and columns[name].kind != "list":
            message = f"{here}.columns.{name}: several fields fill a list only, and {name} is none"
            raise ValueError(message)
        _check_paths(paths, f"{here}.columns.{name}")
    _check_paths([condition.path for condition in mapping.where], f"{here}.where")
    if unkeyed := [one.name for one in columns.values() if one.key and one.name not in mapping.columns]:
        message = f"{here}.columns.{unkeyed[0]} is missing: it is part of the key"
        raise ValueError(message)
    if idle := [name for name in mapping.values if name not in mapping.columns]:
        message = f"{here}.values.{idle[0]} does nothing: no field fills {idle[0]}"
        raise ValueError(message)


def _check_paths(paths: Sequence[str], key: str) -> None:
    for path in paths:
        if not is_path(path):
            message = f"{key}: {path!r} is no field: letters, digits and _, at most {STEPS} relationships with dots"
            raise ValueError(message)
