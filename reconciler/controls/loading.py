"""Read files of controls; every fault of every file at once, as file, line, field and remedy."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from reconciler import toml
from reconciler.controls.control import LAYERS, STAGES, Catalogue, Control
from reconciler.errors import ConfigurationError

_ID = re.compile(r"[A-Z][A-Z0-9]*(?:-[A-Z0-9]+)+")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
_DAYS = ("retention_days", "evidence_days", "test_days")
_MOST_DAYS = 36_525
_KEYS = ("id", "title", "stage", "owner_role", "rules", "evidence", "assurance", *_DAYS, "clauses")
_FIGURES = ("grants", "revocations")


def load(bundled: Path, own: Path | None, rules: Collection[str] | None = None) -> Catalogue:
    """Load the bundled controls and, beside them, the organisation's own.

    ``rules`` are the ids that there are: an own control that names another one is an error (None: that is not
    looked at). Raises ``ConfigurationError`` that lists every fault found.
    """
    catalogue = read(bundled)
    return catalogue if own is None else read(own, rules, beside=catalogue)


def read(path: Path, rules: Collection[str] | None = None, *, beside: Catalogue | None = None) -> Catalogue:
    """Read one file of controls, added to those of ``beside``; ``rules`` None: any id may stand for a rule."""
    document = toml.read(path)
    reader = _Reader(document, rules, dict(beside.frameworks) if beside else {}, beside)
    catalogue = reader.catalogue()
    if reader.problems:
        raise ConfigurationError("\n".join(reader.problems), advice="Correct the file of controls named above.")
    return catalogue


@dataclass(slots=True)
class _Reader:
    document: toml.Document
    rules: Collection[str] | None
    frameworks: dict[str, str]
    beside: Catalogue | None
    problems: list[str] = field(default_factory=list)

    def fault(self, said: str, remedy: str, *keys: toml.Key) -> None:
        name = ".".join(str(key + 1) if isinstance(key, int) else key for key in keys)
        self.problems.append(f"{self.document.at(*keys)}: {f'{name}: ' if name else ''}{said}. {remedy}")

    def catalogue(self) -> Catalogue:
        data = self.document.data
        self._unknown(data, ("frameworks", "control"))
        self._frameworks(data.get("frameworks", {}))
        entries = data.get("control")
        if not isinstance(entries, list) or not entries:
            self.fault("there is no control", "Write each control as a table [[control]].", "control")
            entries = []
        before = self.beside.controls if self.beside else ()
        taken = {control.control_id: "the bundled controls" for control in before}
        controls = list(before)
        for number, entry in enumerate(entries):
            if not isinstance(entry, dict):
                self.fault("is no table", "Write each control as a table [[control]].", "control", number)
                continue
            control = self._control(entry, "control", number)
            if control.control_id in taken:
                said = f"{control.control_id} is taken by {taken[control.control_id]}"
                self.fault(said, "Give the control an id of its own.", "control", number, "id")
            elif control.control_id:
                taken[control.control_id] = self.document.at("control", number, "id")
            controls.append(control)
        return Catalogue(frameworks=self.frameworks, controls=tuple(controls))

    def _frameworks(self, given: object) -> None:
        if not isinstance(given, dict):
            self.fault("is no table", 'Write [frameworks] and lines such as iso27001 = "ISO/IEC 27001".', "frameworks")
            return
        for name, title in given.items():
            if not _NAME.fullmatch(name):
                self.fault("is no name", "Use lower-case letters, digits and hyphens.", "frameworks", name)
            elif not isinstance(title, str) or not title.strip():
                self.fault("has no title", "Write its title with the edition, in quotes.", "frameworks", name)
            elif self.frameworks.get(name, title) != title:
                said = f"is declared before as {self.frameworks[name]!r}"
                self.fault(said, "Leave the line out, or take another name.", "frameworks", name)
            else:
                self.frameworks[name] = title

    def _control(self, entry: Mapping[str, Any], *at: toml.Key) -> Control:
        self._unknown(entry, _KEYS, *at)
        control_id = self._text(entry, "id", *at)
        if control_id and not _ID.fullmatch(control_id):
            self.fault(f"{control_id!r} is no id", "Write for example ACME-C-01.", *at, "id")
        assurance = entry.get("assurance")
        if assurance not in (None, *_FIGURES):
            self.fault(f"{assurance!r} is no such figure", f"Use one of: {', '.join(_FIGURES)}.", *at, "assurance")
        return Control(
            control_id=control_id,
            title=self._text(entry, "title", *at),
            stage=self._one_of(entry, "stage", STAGES, *at),
            owner_role=self._text(entry, "owner_role", *at),
            rules=self._named_rules(entry, *at),
            evidence=self._evidence(entry.get("evidence"), *at, "evidence"),
            retention_days=self._days(entry, "retention_days", *at) or 0,
            evidence_days=self._days(entry, "evidence_days", *at) or 0,
            test_days=self._days(entry, "test_days", *at) if "test_days" in entry else None,
            assurance=cast("Any", assurance),
            clauses=self._clauses(entry.get("clauses", {}), *at, "clauses"),
        )

    def _unknown(self, entry: Mapping[str, Any], known: Collection[str], *at: toml.Key) -> None:
        for name in entry:
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                remedy = f"Did you mean {close[0]}?" if close else f"Use: {', '.join(known)}."
                self.fault("unknown key", remedy, *at, name)

    def _text(self, entry: Mapping[str, Any], name: str, *at: toml.Key) -> str:
        value = entry.get(name)
        if isinstance(value, str) and value.strip():
            return value.strip()
        said = "is missing" if name not in entry else "is no text" if not isinstance(value, str) else "is blank"
        self.fault(said, f'Write {name} = "..."', *at, name)
        return ""

    def _one_of(self, entry: Mapping[str, Any], name: str, values: Collection[str], *at: toml.Key) -> str:
        value = self._text(entry, name, *at)
        if value and value not in values:
            self.fault(f"{value!r} is none", f"Use one of: {', '.join(values)}.", *at, name)
        return value

    def _days(self, entry: Mapping[str, Any], name: str, *at: toml.Key) -> int | None:
        value = entry.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _MOST_DAYS:
            return value
        said = "is missing" if name not in entry else f"{value!r} is no number of days"
        self.fault(said, f"Write a whole number from 1 to {_MOST_DAYS:,}.", *at, name)
        return None

    def _named_rules(self, entry: Mapping[str, Any], *at: toml.Key) -> tuple[str, ...]:
        named = list(self._texts(entry.get("rules"), *at, "rules"))
        if not named:
            self.fault("no rule shows whether it holds", 'Write rules = ["IG-LVR-001", ...].', *at, "rules")
        for number, rule in enumerate(named):
            if rule in named[:number]:
                self.fault(f"{rule} is named twice", "Leave one of them out.", *at, "rules", number)
            elif self.rules is not None and rule not in self.rules:
                close = difflib.get_close_matches(rule, self.rules, n=1)
                remedy = f"Did you mean {close[0]}? " if close else ""
                remedy += "`reconciler rules list` names them."
                self.fault(f"there is no rule {rule}", remedy, *at, "rules", number)
        return tuple(named)

    def _evidence(self, given: object, *at: toml.Key) -> dict[str, str]:
        if not isinstance(given, dict):
            remedy = f"Say for each layer what is expected to show it: {', '.join(LAYERS)}."
            self.fault("is missing" if given is None else "is no table", remedy, *at)
            return {}
        self._unknown(given, LAYERS, *at)
        return {layer: self._text(given, layer, *at) for layer in LAYERS}

    def _clauses(self, given: object, *at: toml.Key) -> dict[str, tuple[str, ...]]:
        if not isinstance(given, dict):
            self.fault("is no table", 'Write for example clauses.iso27001 = ["A.5.18"].', *at)
            return {}
        found = {}
        for name, clauses in given.items():
            if name not in self.frameworks:
                close = difflib.get_close_matches(name, self.frameworks, n=1)
                remedy = f"Did you mean {close[0]}?" if close else "Declare it under [frameworks]."
                self.fault(f"there is no framework {name}", remedy, *at, name)
            found[name] = tuple(dict.fromkeys(self._texts(clauses, *at, name)))
            if not found[name]:
                self.fault("names no clause", "Name one, or leave the line out.", *at, name)
        return found

    def _texts(self, given: object, *at: toml.Key) -> Iterator[str]:
        if not isinstance(given, list):
            if given is not None:
                self.fault("is no list", 'Write a list of texts: ["..."].', *at)
            return
        for number, value in enumerate(given):
            if isinstance(value, str) and value.strip():
                yield value.strip()
            else:
                self.fault("is no text", "Write it in quotes.", *at, number)
