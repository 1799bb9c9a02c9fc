"""Read a rule's TOML into typed values, naming every fault of it with file and line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, get_args
from zoneinfo import available_timezones

from reconciler.engine.rule import AS_OF, PARAM_TYPES, Case, Param, Problem, Rule, parse_value
from reconciler.estate.results import Outcome, RuleInfo, Severity
from reconciler.estate.tables import Column, tables
from reconciler.toml import Document, Key

_ID = re.compile(r"[A-Z][A-Z0-9]*(?:-[A-Z0-9]+)+")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_CHOICES = {
    "severity": get_args(Severity),
    "stage": (
        "access_request",
        "provisioning",
        "role_change",
        "recertification",
        "deprovisioning",
        "supplier_onboarding",
        "governance",
    ),
    "layer": ("policy", "workflow", "enforcement"),
    "status": ("draft", "trial", "stable", "retired"),
}
_TEXTS = ("id", "title", "severity", "stage", "layer", "status", "why", "remedy", "population")
_LISTS = ("known_gaps", "reads", "identity")
_OPTIONAL = ("needs", "optional", "params", "case")
_KEYS = (*_TEXTS, "version", *_LISTS, *_OPTIONAL)
_CASE_KEYS = ("name", "as_of", "time_zone", "params", "given", "expect")


class MetadataReader:
    """Reads one rule's TOML; ``problems`` grows, and only a rule without any may be used."""

    def __init__(self, document: Document, sql_path: Path) -> None:
        self.document = document
        self.sql_path = sql_path
        self.problems: list[Problem] = []

    def rule(self, sql: str) -> Rule:
        """Return the rule with what could be read; see ``problems`` before using it."""
        data = self.document.data
        for key in data:
            if key not in _KEYS:
                self.fault(f"unknown key {key!r}", f"Use one of: {', '.join(_KEYS)}.", key)
        texts = {key: self._text(key) for key in _TEXTS}
        lists = {key: self._texts(key, required=True) for key in _LISTS}
        for key, choices in _CHOICES.items():
            if key in data and texts[key] not in choices:
                self.fault(f"{key} {texts[key]!r} is unknown", f"Use one of: {', '.join(choices)}.", key)
        if texts["id"] and not _ID.fullmatch(texts["id"]):
            self.fault(f"id {texts['id']!r} has no form of an id", "Write it like IG-LVR-001; it never changes.", "id")
        if "version" not in data:
            self.fault("version is missing", "Begin with version = 1.")
        version = data.get("version", 0)
        if "version" in data and (type(version) is not int or version < 1):
            self.fault(f"version {version!r} is no whole number from 1", "Begin with version = 1.", "version")
        params = self._params()
        reads = self._tables("reads", lists["reads"])
        optional = self._tables("optional", self._texts("optional"))
        for number, table in enumerate(optional):
            if table not in reads:
                self.fault(
                    f"optional table {table!r} is not read", "Take it out, or add it to reads.", "optional", number
                )
        if texts["population"] and texts["population"] not in tables():
            self.fault(f"unknown table {texts['population']!r}", f"Use one of: {', '.join(tables())}.", "population")
        elif texts["population"] and texts["population"] not in reads:
            self.fault("the population is not read", "Count a table that the rule reads.", "population")
        if "identity" in data and not lists["identity"]:
            self.fault("identity is empty", "Name the columns that tell one subject from another.", "identity")
        info = RuleInfo(
            rule_id=texts["id"],
            name=f"{self.sql_path.parent.name}/{self.sql_path.stem}",
            version=version if type(version) is int else 0,
            title=texts["title"],
            severity=texts["severity"],  # type: ignore[arg-type]  # held to the choices above
            stage=texts["stage"],
            layer=texts["layer"],
            status=texts["status"],
            why=texts["why"],
            remedy=texts["remedy"],
            known_gaps=tuple(lists["known_gaps"]),
            population=texts["population"],
            identity=tuple(lists["identity"]),
        )
        return Rule(
            info=info,
            sql=sql,
            sql_path=self.sql_path,
            toml_path=self.document.path,
            reads=tuple(reads),
            optional=tuple(optional),
            needs=tuple(self._needs(reads)),
            params=params,
            cases=tuple(self._cases(params, reads)),
        )

    def fault(self, message: str, advice: str, *keys: Key) -> None:
        """Note a fault at the line of ``keys``."""
        self.problems.append(Problem(self.document.at(*keys), message, advice))

    def _text(self, key: str) -> str:
        value = self.document.data.get(key)
        if value is None:
            self.fault(f"{key} is missing", "Every rule says this of itself; see rules/README.md.")
        elif not isinstance(value, str) or not value.strip():
            self.fault(f"{key} is no text, or an empty one", "Write it in words, in quotes.", key)
        else:
            return value
        return ""

    def _texts(self, key: str, *, required: bool = False) -> list[str]:
        value = self.document.data.get(key)
        if value is None and required:
            self.fault(f"{key} is missing", "Write a list of texts; known_gaps may be empty.")
        elif value is not None and not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
            self.fault(f"{key} is no list of texts", f'Write {key} = ["...", "..."].', key)
        elif value is not None and len(set(value)) != len(value):
            self.fault(f"{key} names something twice", "Name each once.", key)
        elif value is not None:
            return list(value)
        return []

    def _tables(self, key: str, names: list[str]) -> list[str]:
        for number, name in enumerate(names):
            if name not in tables():
                self.fault(f"unknown table {name!r}", f"Use one of: {', '.join(tables())}.", key, number)
        return names

    def _needs(self, reads: list[str]) -> list[tuple[str, str]]:
        needs = []
        for number, name in enumerate(self._texts("needs")):
            table, _, column = name.partition(".")
            if table in tables() and tables()[table].column(column) and table in reads:
                needs.append((table, column))
            else:
                self.fault(
                    f"needs names {name!r}, which is no column of a table read", "Write table.column.", "needs", number
                )
        return needs

    def _params(self) -> dict[str, Param]:
        params: dict[str, Param] = {}
        found = self.document.data.get("params", {})
        if not isinstance(found, dict):
            self.fault("params is no table", "Write [params.NAME].", "params")
            return {}
        for name, given in found.items():
            at = ("params", name)
            if not isinstance(given, dict) or not {"type", "default"} <= set(given) <= {"type", "default", "about", "values"}:
                self.fault(f"parameter {name!r} needs type and default", "about and values may follow.", *at)
            elif name == AS_OF or not _NAME.fullmatch(name):
                self.fault(f"{name!r} is no name for a parameter", "as_of is given; use lower_case words.", *at)
            elif given["type"] not in PARAM_TYPES:
                self.fault(f"unknown type {given['type']!r}", f"Use one of: {', '.join(PARAM_TYPES)}.", *at, "type")
            else:
                values = tuple(given.get("values", ()))
                try:
                    value = parse_value(given["type"], given["default"], values)
                except ValueError as error:
                    self.fault(str(error), f"Write a {given['type']}.", *at, "default")
                else:
                    params[name] = Param(name, given["type"], value, value, str(given.get("about", "")), values)
        return params

    def _cases(self, params: Mapping[str, Param], reads: list[str]) -> list[Case]:
        found = self.document.data.get("case", [])
        if not isinstance(found, list) or not all(isinstance(case, dict) for case in found):
            self.fault("case is no list of tables", "Write [[case]].", "case")
            return []
        cases = [self._case(number, raw, params, reads) for number, raw in enumerate(found)]
        names = [case.name for case in cases]
        for case in cases:
            if names.index(case.name) != case.number:
                self.fault(f"two cases are named {case.name!r}", "Name each by what it shows.", "case", case.number)
        return cases

    def _case(self, number: int, raw: dict[str, Any], params: Mapping[str, Param], reads: list[str]) -> Case:
        at: tuple[Key, ...] = ("case", number)
        for key in raw:
            if key not in _CASE_KEYS:
                self.fault(f"unknown key {key!r}", f"A case has: {', '.join(_CASE_KEYS)}.", *at, key)
        name, as_of, zone = raw.get("name"), raw.get("as_of"), raw.get("time_zone", "UTC")
        if not isinstance(name, str) or not name.strip():
            self.fault("the case has no name", "Name it by what it shows, as a sentence.", *at)
        if not isinstance(as_of, datetime) or as_of.tzinfo is None:
            self.fault(
                "as_of is no instant with a zone", "Write for example as_of = 2026-02-02T00:00:00Z.", *at, "as_of"
            )
            as_of = datetime.min.replace(tzinfo=UTC)
        if zone not in available_timezones():
            self.fault(f"unknown time zone {zone!r}", "Write an IANA zone such as Europe/Paris.", *at, "time_zone")
        values: dict[str, object] = {}
        for key, value in self._table(raw, "params", at).items():
            try:
                values[key] = parse_value(params[key].type, value, params[key].values)
            except (KeyError, ValueError) as error:
                told = str(error) if isinstance(error, ValueError) else f"the rule has no parameter {key!r}"
                self.fault(told, "Use a declared parameter and its type.", *at, "params", key)
        given: dict[str, list[dict[str, Any]]] = {}
        for table, rows in self._table(raw, "given", at).items():
            if table not in reads:
                self.fault(f"{table!r} is given but not read", "Give tables that the rule reads.", *at, "given", table)
            elif self._rows(rows, *at, "given", table):
                given[table] = rows
                for index, row in enumerate(rows):
                    self._values(table, row, *at, "given", table, index)
        expect = raw.get("expect")
        if not self._rows(expect, *at, "expect"):
            expect = []
        for index, row in enumerate(expect or []):
            if row.get("verdict") not in set(Outcome) - {Outcome.PASS}:
                wrong = f"verdict {row.get('verdict')!r} is none that a rule emits"
                self.fault(wrong, "Use violation, not_evaluable or not_applicable.", *at, "expect", index)
        return Case(number, str(name), self.document.at(*at), as_of, str(zone), values, given, expect or [])

    def _table(self, raw: dict[str, Any], key: str, at: tuple[Key, ...]) -> dict[str, Any]:
        value = raw.get(key, {})
        if isinstance(value, dict):
            return value
        self.fault(f"{key} is no table", f"Write {key}.NAME = ...", *at, key)
        return {}

    def _rows(self, value: object, *at: Key) -> bool:
        if isinstance(value, list) and all(isinstance(row, dict) for row in value):
            return True
        self.fault(f"{at[-1]} is no list of rows", "Write [{ column = value }, ...], or [] for none.", *at)
        return False

    def _values(self, table: str, row: dict[str, Any], *at: Key) -> None:
        for name, value in row.items():
            column = tables()[table].column(name)
            if column is None:
                known = ", ".join(c.name for c in tables()[table].columns)
                self.fault(f"{table} has no column {name!r}", f"Use one of: {known}.", *at, name)
            elif not fits(column, value):
                allowed = (
                    f"one of: {', '.join(column.values)}" if column.values else f"a value of type {column.type_name}"
                )
                self.fault(f"{table}.{name} cannot be {value!r}", f"Write {allowed}.", *at, name)


def fits(column: Column, value: object) -> bool:
    """Say whether a TOML value is what the column holds; an instant needs its zone."""
    if column.values and value not in column.values:
        return False
    if column.type is datetime:
        return isinstance(value, datetime) and value.tzinfo is not None
    if column.type is date:
        return isinstance(value, date) and not isinstance(value, datetime)
    if column.type == list[str]:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if column.type is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is column.type
