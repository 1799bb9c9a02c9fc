"""What a rule is: its two files as one value, and what can be wrong with them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from reconciler.errors import ConfigurationError
from reconciler.estate.results import RuleInfo
from reconciler.toml import Document, Key

AS_OF = "as_of"
"""The parameter every rule is given: the instant it judges."""

PARAM_TYPES = ("duration", "integer", "number", "text", "boolean", "list of text", "list of words", "date")
"""A word is a text that is compared in lower case."""

_COUNT = r"(\d{1,9})"
_DURATION = re.compile(rf"P(?=.)(?:{_COUNT}W)?(?:{_COUNT}D)?(?:T(?=\d)(?:{_COUNT}H)?(?:{_COUNT}M)?(?:{_COUNT}S)?)?")
_LONGEST = timedelta(days=36525)
_WIDEST = 2**63


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One fault of a rule: ``at`` is ``file:line:column``, or ``file:line`` where no column is known."""

    at: str
    message: str
    advice: str

    def __str__(self) -> str:
        return f"{self.at}: {self.message}. {self.advice}"


class RuleError(ConfigurationError):
    """Rules that cannot be loaded, or one that broke its contract while running; ``problems`` names each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(
            "\n".join(str(problem) for problem in self.problems),
            advice="Correct the rules named above; `reconciler rules lint` checks them without reading any source.",
        )


@dataclass(frozen=True, slots=True)
class Notes:
    """What is wrong with the TOML of one rule, gathered while it is read."""

    document: Document
    problems: list[Problem] = field(default_factory=list)

    def fault(self, message: str, advice: str, *keys: Key) -> None:
        """Note a fault at the line of ``keys``."""
        self.problems.append(Problem(self.document.exactly(*keys), message, advice))


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of a rule: its type, its default, and the value in force (they differ where configured)."""

    name: str
    type: str
    default: object
    value: object
    about: str = ""
    values: tuple[object, ...] = ()
    """What it may be; empty: anything of its type."""


@dataclass(frozen=True, slots=True)
class Case:
    """An example that a rule carries: tables in, every row the rule emits out."""

    number: int
    name: str
    at: str
    as_of: datetime
    time_zone: str
    params: Mapping[str, object]
    given: Mapping[str, Sequence[Mapping[str, Any]]]
    expect: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that passed every check.

    ``reads`` names the estate tables in its SQL; those in ``optional`` count as empty where no source reports
    them. ``needs`` are tables, each with columns of which a source must report one, else nothing is judged.
    ``across`` are identity tables whose rows in one source decide on subjects of another.
    ``columns`` are those that must be loaded for it, by table; ``types`` those it selects, with DuckDB's name of
    their type; ``asked`` the parameters that its SQL names.
    """

    info: RuleInfo
    sql: str
    sql_path: Path
    toml_path: Path
    reads: tuple[str, ...]
    optional: tuple[str, ...]
    across: tuple[str, ...]
    needs: tuple[tuple[str, tuple[str, ...]], ...]
    params: Mapping[str, Param]
    cases: tuple[Case, ...]
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    asked: frozenset[str] = frozenset()

    @property
    def output(self) -> tuple[str, ...]:
        """The columns that the rule selects, in order."""
        return tuple(self.types)

    @property
    def name(self) -> str:
        """The file's name: ``leaver_keeps_account``."""
        return self.info.name

    def values(self, as_of: datetime) -> dict[str, object]:
        """Return the value of every parameter that the SQL names."""
        values: dict[str, object] = {AS_OF: as_of} | {name: param.value for name, param in self.params.items()}
        return {name: value for name, value in values.items() if name in self.asked}

    def configured(self, values: Mapping[str, object]) -> Rule:
        """Return the rule with other values for some of its parameters; ``ValueError`` says what is wrong."""
        params = dict(self.params)
        for name, raw in values.items():
            if name not in params:
                message = f"{name}: the rule has no parameter {name!r}; it has: {', '.join(params) or 'none'}"
                raise ValueError(message)
            try:
                value = parse_value(params[name].type, raw, params[name].values)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
            params[name] = replace(params[name], value=value)
        said = {name: in_words(param.value) for name, param in params.items()}
        return replace(self, params=params, info=msgspec.structs.replace(self.info, parameters=said))


def in_words(value: object) -> str:
    """Say a parameter's value as people read it: ``24 hours``, ``a, b``."""
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
        for unit, size in (("day", 86400), ("hour", 3600), ("minute", 60)):
            if seconds % size == 0 and seconds >= 2 * size:  # up to two days people count hours
                return f"{seconds / size:,.0f} {unit}s"
        return f"{seconds:,.0f} second{'' if seconds == 1 else 's'}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def parse_value(kind: str, raw: object, values: tuple[object, ...] = ()) -> object:
    """Check a parameter's value against its type and the values it may take; a duration becomes a ``timedelta``.

    Raises ``ValueError``, also for what could never match: an empty list, a blank text, a word in upper case.
    """
    _can_match(kind, raw, values)
    match kind, raw:
        case "duration", str() | timedelta():
            return parse_duration(raw) if isinstance(raw, str) else raw
        case ("integer", bool()) | ("number", bool()):
            pass
        case ("text", str()) | ("boolean", bool()):
            return raw
        case "integer", int() if -_WIDEST <= raw < _WIDEST:
            return raw
        case "number", int() | float() if -_WIDEST <= raw < _WIDEST:
            return float(raw)
        case "list of text" | "list of words", list() | tuple() if all(isinstance(i, str) for i in raw):
            return list(raw)
        case "date", date() if not isinstance(raw, datetime):
            return raw
        case _:
            pass
    message = f"{raw!r} is no {kind}"
    raise ValueError(message)


def _can_match(kind: str, raw: object, values: tuple[object, ...]) -> None:
    """Raise ``ValueError`` where a value, or one of a list, could never equal anything."""
    if isinstance(raw, list | tuple) and not raw:
        message = "an empty list can never match"
        raise ValueError(message)
    for item in raw if isinstance(raw, list | tuple) else (raw,):
        if values and item not in values:
            message = f"{item!r} is none of: {', '.join(map(str, values))}"
            raise ValueError(message)
        if isinstance(item, str) and not item.strip():
            message = f"{item!r} is blank and can never match"
            raise ValueError(message)
        if kind == "list of words" and isinstance(item, str) and item != item.strip().lower():
            message = f"{item!r} can never match; write {item.strip().lower()!r}"
            raise ValueError(message)


def parse_duration(text: str) -> timedelta:
    """Read an ISO 8601 duration of weeks, days (24 hours each), hours, minutes and seconds."""
    match = _DURATION.fullmatch(text)
    if not match:
        message = f"{text!r} is no duration; write for example PT24H or P90D (months and years have no fixed length)"
        raise ValueError(message)
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    if (weeks * 7 + days) * 86400 + hours * 3600 + minutes * 60 + seconds > _LONGEST.total_seconds():
        message = f"{text!r} is longer than a hundred years"
        raise ValueError(message)
    return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
