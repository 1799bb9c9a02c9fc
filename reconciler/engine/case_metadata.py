"""Read the cases of a rule's TOML into typed rows, naming every fault of them with file and line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from reconciler.clock import zones
from reconciler.engine.built import needed
from reconciler.engine.rule import Case, Notes, Param, parse_value
from reconciler.estate.results import Outcome
from reconciler.estate.tables import Column, tables
from reconciler.toml import Key

_KEYS = ("name", "as_of", "time_zone", "params", "given", "expect")
_EMITTED = set(Outcome) - {Outcome.PASS}
_EPOCH = datetime.min.replace(tzinfo=UTC)


class CaseReader:
    """Reads the cases of one rule; faults go to ``notes``."""

    def __init__(self, notes: Notes, params: Mapping[str, Param], reads: Sequence[str]) -> None:
        self.notes = notes
        self.params = params
        self.reads = reads

    def cases(self) -> list[Case]:
        """Return the cases as far as they could be read."""
        found = self.notes.document.data.get("case", [])
        if not isinstance(found, list) or not all(isinstance(case, dict) for case in found):
            self.notes.fault("case is no list of tables", "Write [[case]].", "case")
            return []
        cases = [self._case(raw, number) for number, raw in enumerate(found)]
        names = [case.name for case in cases]
        for case in cases:
            if names.index(case.name) != case.number:
                message = f"two cases are named {case.name!r}"
                self.notes.fault(message, "Name each by what it shows.", "case", case.number)
        return cases

    def _case(self, raw: dict[str, Any], number: int) -> Case:
        at = ("case", number)
        for key in raw:
            if key not in _KEYS:
                self.notes.fault(f"unknown key {key!r}", f"A case has: {', '.join(_KEYS)}.", *at, key)
        name, zone = raw.get("name"), raw.get("time_zone", "UTC")
        if not isinstance(name, str) or not name.strip():
            self.notes.fault("the case has no name", "Name it by what it shows, as a sentence.", *at)
        if zone not in zones():
            self.notes.fault(
                f"unknown time zone {zone!r}", "Write an IANA zone such as Europe/Paris.", *at, "time_zone"
            )
        return Case(
            number=number,
            name=str(name),
            at=self.notes.document.at(*at),
            as_of=self._as_of(raw, *at),
            time_zone=str(zone),
            params=self._params(raw, *at),
            given=self._given(raw, *at),
            expect=self._expect(raw, *at),
        )

    def _as_of(self, raw: dict[str, Any], *at: Key) -> datetime:
        as_of = raw.get("as_of")
        if isinstance(as_of, datetime) and as_of.tzinfo is not None:
            return as_of
        self.notes.fault(
            "as_of is no instant with a zone", "Write for example as_of = 2026-02-02T00:00:00Z.", *at, "as_of"
        )
        return _EPOCH

    def _params(self, raw: dict[str, Any], *at: Key) -> dict[str, object]:
        values: dict[str, object] = {}
        for key, value in self._table(raw, "params", *at).items():
            if key not in self.params:
                told = f"the rule has no parameter {key!r}"
                self.notes.fault(told, "Use a declared parameter.", *at, "params", key)
                continue
            try:
                values[key] = parse_value(self.params[key].type, value, self.params[key].values)
            except ValueError as error:
                self.notes.fault(str(error), f"Write a {self.params[key].type}.", *at, "params", key)
        return values

    def _given(self, raw: dict[str, Any], *at: Key) -> dict[str, list[dict[str, Any]]]:
        given: dict[str, list[dict[str, Any]]] = {}
        for table, rows in self._table(raw, "given", *at).items():
            here = (*at, "given", table)
            if table not in self.reads and not any(table in needed(name) for name in self.reads):
                self.notes.fault(f"{table!r} is given but not read", "Give tables that the rule reads.", *here)
            elif self._rows(rows, *here):
                given[table] = rows
                for index, row in enumerate(rows):
                    self._values(table, row, *here, index)
        return given

    def _expect(self, raw: dict[str, Any], *at: Key) -> list[dict[str, Any]]:
        expect = raw.get("expect")
        if not self._rows(expect, *at, "expect"):
            return []
        rows: list[dict[str, Any]] = expect  # type: ignore[assignment]  # _rows has looked
        for index, row in enumerate(rows):
            if row.get("verdict") not in _EMITTED:
                wrong = f"verdict {row.get('verdict')!r} is none that a rule emits"
                advice = "Use violation, not_evaluable or not_applicable."
                self.notes.fault(wrong, advice, *at, "expect", index)
        return rows

    def _table(self, raw: dict[str, Any], key: str, *at: Key) -> dict[str, Any]:
        value = raw.get(key, {})
        if isinstance(value, dict):
            return value
        self.notes.fault(f"{key} is no table", f"Write {key}.NAME = ...", *at, key)
        return {}

    def _rows(self, value: object, *at: Key) -> bool:
        if isinstance(value, list) and all(isinstance(row, dict) for row in value):
            return True
        self.notes.fault(f"{at[-1]} is no list of rows", "Write [{ column = value }, ...], or [] for none.", *at)
        return False

    def _values(self, table: str, row: dict[str, Any], *at: Key) -> None:
        for name, value in row.items():
            column = tables()[table].column(name)
            if column is None:
                known = ", ".join(c.name for c in tables()[table].columns)
                self.notes.fault(f"{table} has no column {name!r}", f"Use one of: {known}.", *at, name)
            elif not fits(column, value):
                told = f"one of: {', '.join(column.values)}" if column.values else f"a value of type {column.type_name}"
                shown = repr(value) if isinstance(value, str) else str(value)
                self.notes.fault(f"{table}.{name} cannot be {shown}", f"Write {told}.", *at, name)


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
