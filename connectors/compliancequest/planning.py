"""What is asked of one object, once describe has shown which of its fields the running user sees."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from reconciler.sdk.columns import columns_of
from reconciler.sdk.connector import Gap
from reconciler.sdk.values import Reading

from .access import Sight
from .client import Client, NotShown
from .connector import Reader, reader
from .defaults import Mapping
from .schema import (
    Described,
    NotVisibleError,
    Resolved,
    check_condition,
    check_fit,
    find_field,
    find_relationship,
    named_field,
)
from .soql import Condition, count, select

STAMP = "SystemModstamp"


@dataclass(frozen=True, slots=True)
class Plan:
    """The queries of one table, how their answers are read, and which columns had to be left out, and why."""

    entity: str
    reader: Reader
    where: tuple[Condition, ...]
    filtered_over: tuple[str, ...] = ()
    """Objects that the conditions lead over: a record of theirs that is hidden hides the row."""
    gaps: tuple[Gap, ...] = ()

    @property
    def over(self) -> list[str]:
        """Every object that is looked into beside the table's own."""
        paths = [path for paths in self.reader.sources for path in paths]
        return [*self.filtered_over, *(entity for path in paths for entity in path.through)]

    def rows(self) -> str:
        """Ask for every record that matches."""
        return select(self.entity, self.reader.paths, self.where)

    def changed(self, since: str) -> str:
        """Ask for the records that match and changed since."""
        return select(self.entity, self.reader.paths, self.where, since=since)

    def touched(self, since: str) -> str:
        """Ask for the ids of all records that changed since, whether they match or not."""
        return select(self.entity, ["Id"], since=since)

    def count(self) -> str:
        """Ask how many match."""
        return count(self.entity, self.where)

    def doubts(self, sight: Sight) -> list[Gap]:
        """Return what sharing may hide: rows of the object itself, or values that are looked up in another.

        At most one gap for each column.
        """
        table, key = self.reader.table, set(self.reader.layout.key)
        found = [
            Gap(table, "", f"{entity}: {reason}", missing_permission=permission)
            for entity, (reason, permission) in sight.hidden.items()
            if entity in {self.entity, *self.filtered_over}
        ]
        for column, paths in zip(self.reader.layout.fields, self.reader.sources, strict=True):
            over = dict.fromkeys(entity for path in paths for entity in path.through if entity in sight.hidden)
            if not over:
                continue
            name = column.column.name
            reasons = "; ".join(f"{name} is looked up in {entity}: {sight.hidden[entity][0]}" for entity in over)
            rights = ", ".join(sight.hidden[entity][1] for entity in over)
            found.append(Gap(table, "", reasons, missing_permission=rights, column="" if name in key else name))
        return found

    def without(self, columns: Collection[str]) -> Plan:
        """Return the plan that leaves columns alone, since what came for them might be less than there is."""
        return replace(self, reader=self.reader.without(columns)) if columns else self


async def make_plan(client: Client, mapping: Mapping, *, source: str, reading: Reading) -> Plan:
    """Hold a mapping to what the running user sees.

    A column whose field is not shown becomes a gap of that column. Raises ``NotShown`` naming the key of the
    configuration where the object, a field of the key or of a condition is not shown, and ``ConfigurationError`` where
    a field is of a type that does not fit.
    """
    here = f"objects.{mapping.table}"
    try:
        described = await client.describe(mapping.entity)
    except NotShown as error:
        raise NotShown(
            f"{here}.object: {mapping.entity} is not shown to the running user: {error.message}",
            advice="Grant the user Read on the object, or correct its name.",
            missing_permission=f"Read on {mapping.entity}",
        ) from error
    columns = {column.name: column for column in columns_of(mapping.table)}
    found: dict[str, tuple[Resolved, ...]] = {}
    gaps: list[Gap] = []
    for name, paths in mapping.columns.items():
        key = f"{here}.columns.{name}"
        try:
            resolved = tuple([await _resolve(client, mapping.entity, path) for path in paths])
        except NotVisibleError as error:
            if columns[name].key:
                raise _not_shown(error, key) from error
            gaps.append(Gap(mapping.table, "", _said(error, key), missing_permission=error.permission, column=name))
            continue
        for one in resolved:
            check_fit(one, columns[name], key, zoned=reading.zone is not None)
        found[name] = resolved
    where: list[Condition] = []
    over: list[str] = []
    try:
        find_field(described, STAMP)
        for condition in mapping.where:
            one = await _resolve(client, mapping.entity, condition.path)
            check_condition(one, condition, f"{here}.where")
            where.append(Condition(one.text, condition.values, condition.negated))
            over.extend(one.through)
    except NotVisibleError as error:
        raise _not_shown(error, f"{here}.where") from error
    made = reader(mapping.table, described.name, found, mapping.values, source=source, reading=reading)
    return Plan(described.name, made, tuple(where), tuple(over), tuple(gaps))


async def _resolve(client: Client, entity: str, path: str) -> Resolved:
    """Follow a path from object to object; raise ``NotVisibleError`` where it leads to nothing that is shown."""
    *steps, last = path.split(".")
    names: list[str] = []
    through: list[str] = []
    for place, step in enumerate(steps):
        lookup = find_relationship(await _shown(client, entity, step), step)
        names.append(lookup.relationship or step)
        if len(lookup.reference_to) > 1:
            if place + 1 < len(steps):
                raise NotVisibleError(entity, path, f": {step} may lead to several objects, and no further than one")
            through.extend(sorted(lookup.reference_to))
            info = named_field(step, last)
            return Resolved((*names, info.name), info, tuple(through))
        entity = lookup.reference_to[0]
        through.append(entity)
    info = find_field(await _shown(client, entity, last), last)
    return Resolved((*names, info.name), info, tuple(through))


async def _shown(client: Client, entity: str, name: str) -> Described:
    try:
        return await client.describe(entity)
    except NotShown as error:
        raise NotVisibleError(entity, name, ", since the object is not shown at all") from error


def _not_shown(error: NotVisibleError, key: str) -> NotShown:
    return NotShown(
        _said(error, key),
        advice="Grant the user Read on it (field-level security), or correct the name.",
        missing_permission=error.permission,
    )


def _said(error: NotVisibleError, key: str) -> str:
    return f"{key}: {error}: it is misspelt, or field-level security hides it from the running user"
