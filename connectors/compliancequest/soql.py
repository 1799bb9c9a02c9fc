"""SOQL text, built so that no name and no value of the configuration can become syntax."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

Scalar = bool | int | float | str | date | datetime

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,254}", re.ASCII)
STEPS = 5
"""Relationships that Salesforce follows from child to parent in one path."""
_ESCAPED = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison of a field: with one of ``values``, or (``negated``) with none of them; empty: with null."""

    path: str
    values: tuple[Scalar, ...] = ()
    negated: bool = False


def is_name(text: str) -> bool:
    """Say whether ``text`` is the API name of an object."""
    return NAME.fullmatch(text) is not None


def is_path(text: str) -> bool:
    """Say whether ``text`` is a field, or leads to one over relationships: ``Owner.Name``, ``A__r.B__r.C__c``."""
    steps = text.split(".")
    return len(steps) <= STEPS + 1 and all(NAME.fullmatch(step) for step in steps)


def literal(value: Scalar) -> str:
    """Write a value as SOQL does; an instant without a zone is UTC."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        moment = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, int | float):
        return repr(value)
    return "'" + "".join(_ESCAPED.get(letter, letter) for letter in value) + "'"


def select(
    entity: str, columns: Sequence[str], where: Iterable[Condition] = (), *, since: str = "", ordered: bool = True
) -> str:
    """Write a query; ``since`` limits it to what changed at or after that instant, as SOQL writes it."""
    order = " ORDER BY Id" if ordered else ""
    return f"SELECT {', '.join(columns)} FROM {entity}{_where(where, since)}{order}"  # noqa: S608 - names are checked


def count(entity: str, where: Iterable[Condition]) -> str:
    """Ask for the number of records that match."""
    return select(entity, ["COUNT()"], where, ordered=False)


def starting(entity: str, columns: Sequence[str], path: str, prefix: str) -> str:
    """Ask for the records whose text begins with ``prefix``, of letters, digits and hyphens alone."""
    like = literal(prefix + "%")
    return f"SELECT {', '.join(columns)} FROM {entity} WHERE {path} LIKE {like} ORDER BY Id"  # noqa: S608 - names are checked


def latest(entity: str) -> str:
    """Ask for the last change of any record of an object."""
    return f"SELECT MAX(SystemModstamp) latest FROM {entity}"  # noqa: S608 - names are checked


def _where(conditions: Iterable[Condition], since: str) -> str:
    parts = [_compare(condition) for condition in conditions]
    if since:
        parts.append(f"SystemModstamp >= {since}")
    return f" WHERE {' AND '.join(parts)}" if parts else ""


def _compare(condition: Condition) -> str:
    written = [literal(value) for value in condition.values]
    if len(written) > 1:
        return f"{condition.path} {'NOT IN' if condition.negated else 'IN'} ({', '.join(written)})"
    return f"{condition.path} {'!=' if condition.negated else '='} {written[0] if written else 'null'}"
