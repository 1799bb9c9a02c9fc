"""Read a rule's TOML into typed values, naming every fault of it with file and line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from reconciler.engine.built import made_of
from reconciler.engine.case_metadata import CaseReader
from reconciler.engine.rule import AS_OF, PARAM_TYPES, Notes, Param, Rule, in_words, parse_value
from reconciler.estate.results import RuleInfo, Severity
from reconciler.estate.tables import tables

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
_OPTIONAL = ("needs", "optional", "across", "params", "case")
_KEYS = (*_TEXTS, "version", *_LISTS, *_OPTIONAL)


class MetadataReader:
    """Reads one rule's TOML; faults go to ``notes``, and only a rule without any may be used."""

    def __init__(self, notes: Notes, sql_path: Path) -> None:
        self.notes = notes
        self.data = notes.document.data
        self.sql_path = sql_path

    def rule(self, sql: str) -> Rule:
        """Return the rule as far as it could be read; see ``notes`` before using it."""
        for key in self.data:
            if key not in _KEYS:
                self.notes.fault(f"unknown key {key!r}", f"Use one of: {', '.join(_KEYS)}.", key)
        texts = {key: self._text(key) for key in _TEXTS}
        lists = {key: self._texts(key, required=True) for key in _LISTS}
        reads = self._tables("reads", lists["reads"])
        optional = self._tables("optional", self._texts("optional"))
        across = self._tables("across", self._texts("across"))
        params = self._params()
        self._hold(texts, lists, reads, optional)
        for number, table in enumerate(across):
            if table not in reads or tables()[table].group != "identity":
                told = f"across table {table!r} is no identity table that the rule reads"
                self.notes.fault(told, "Take it out, or add it to reads.", "across", number)
        return Rule(
            info=RuleInfo(
                rule_id=texts["id"],
                name=self.sql_path.stem,
                version=self._version(),
                title=texts["title"],
                severity=texts["severity"],  # type: ignore[arg-type]  # held to the choices
                stage=texts["stage"],
                layer=texts["layer"],
                status=texts["status"],
                why=texts["why"],
                remedy=texts["remedy"],
                known_gaps=tuple(lists["known_gaps"]),
                population=texts["population"],
                identity=tuple(lists["identity"]),
                parameters={name: in_words(param.value) for name, param in params.items()},
            ),
            sql=sql,
            sql_path=self.sql_path,
            toml_path=self.notes.document.path,
            reads=tuple(reads),
            optional=tuple(optional),
            across=tuple(across),
            needs=tuple(self._needs(reads)),
            params=params,
            cases=tuple(CaseReader(self.notes, params, reads).cases()),
        )

    def _hold(
        self, texts: dict[str, str], lists: dict[str, list[str]], reads: Sequence[str], optional: Sequence[str]
    ) -> None:
        """Hold the values to one another and to what they may be."""
        for key, choices in _CHOICES.items():
            if texts[key] and texts[key] not in choices:
                self.notes.fault(f"{key} {texts[key]!r} is unknown", f"Use one of: {', '.join(choices)}.", key)
        if texts["id"] and not _ID.fullmatch(texts["id"]):
            self.notes.fault(f"{texts['id']!r} is no id", "Write it like IG-LVR-001; it never changes.", "id")
        for number, table in enumerate(optional):
            if table not in _below(reads):
                advice = "Take it out, or add it to reads."
                self.notes.fault(f"optional table {table!r} is not read", advice, "optional", number)
        population = texts["population"]
        if population and population not in tables():
            self.notes.fault(f"unknown table {population!r}", f"Use one of: {', '.join(tables())}.", "population")
        elif population and population not in _below(reads):
            self.notes.fault("the population is not read", "Count a table that the rule reads.", "population")
        if "identity" in self.data and not lists["identity"]:
            self.notes.fault("identity is empty", "Name the columns that tell one subject from another.", "identity")

    def _version(self) -> int:
        version = self.data.get("version")
        if type(version) is int and version >= 1:
            return version
        told = "version is missing" if version is None else f"version {version!r} is no whole number from 1"
        self.notes.fault(told, "Begin with version = 1.", "version")
        return 0

    def _text(self, key: str) -> str:
        value = self.data.get(key)
        if value is None:
            self.notes.fault(f"{key} is missing", "Every rule says this of itself; see rules/README.md.")
        elif not isinstance(value, str) or not value.strip():
            self.notes.fault(f"{key} is no text, or an empty one", "Write it in words, in quotes.", key)
        else:
            return value
        return ""

    def _texts(self, key: str, *, required: bool = False) -> list[str]:
        value = self.data.get(key)
        if value is None and required:
            self.notes.fault(f"{key} is missing", "Write a list of texts; known_gaps may be empty.")
        elif value is not None and not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
            self.notes.fault(f"{key} is no list of texts", f'Write {key} = ["...", "..."].', key)
        elif value is not None and len(set(value)) != len(value):
            self.notes.fault(f"{key} names something twice", "Name each once.", key)
        elif value is not None:
            return list(value)
        return []

    def _tables(self, key: str, names: list[str]) -> list[str]:
        for number, name in enumerate(names):
            if name not in tables():
                self.notes.fault(f"unknown table {name!r}", f"Use one of: {', '.join(tables())}.", key, number)
        return names

    def _needs(self, reads: Sequence[str]) -> list[tuple[str, tuple[str, ...]]]:
        """Read ``table.column`` or ``table.one | table.other``, of which either will do."""
        needs, below = [], _below(reads)
        for number, text in enumerate(self._texts("needs")):
            pairs = [part.strip().partition(".") for part in text.split("|")]
            table = pairs[0][0]
            known = all(
                name == table and name in below and name in tables() and tables()[name].column(column)
                for name, _, column in pairs
            )
            if known:
                needs.append((table, tuple(column for _, _, column in pairs)))
            else:
                told = f"needs names {text!r}, which is no column of a table read"
                self.notes.fault(told, "Write table.column.", "needs", number)
        return needs

    def _params(self) -> dict[str, Param]:
        params: dict[str, Param] = {}
        found = self.data.get("params", {})
        if not isinstance(found, dict):
            self.notes.fault("params is no table", "Write [params.NAME].", "params")
            return {}
        for name, given in found.items():
            at = ("params", name)
            if not isinstance(given, dict) or not {"type", "default"} <= set(given) <= {
                "type",
                "default",
                "about",
                "values",
            }:
                self.notes.fault(f"parameter {name!r} needs type and default", "about and values may follow.", *at)
            elif name == AS_OF or not _NAME.fullmatch(name):
                self.notes.fault(f"{name!r} is no name for a parameter", "as_of is given; use lower_case words.", *at)
            elif given["type"] not in PARAM_TYPES:
                self.notes.fault(
                    f"unknown type {given['type']!r}", f"Use one of: {', '.join(PARAM_TYPES)}.", *at, "type"
                )
            else:
                values = tuple(given["values"]) if isinstance(given.get("values"), list) else ()
                try:
                    value = parse_value(given["type"], given["default"], values)
                except ValueError as error:
                    self.notes.fault(str(error), f"Write a {given['type']}.", *at, "default")
                else:
                    params[name] = Param(name, given["type"], value, value, str(given.get("about", "")), values)
        return params


def _below(reads: Sequence[str]) -> set[str]:
    """Return the tables that a rule reads, and those that sources report and built ones are made of."""
    return {*reads, *(table for name in reads for table in made_of(name))}
