"""Check one rule's SQL against its metadata: what it reads, selects, names and promises by its cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import duckdb

from reconciler.engine.built import COUNTED
from reconciler.engine.parse_tree import Query, read_query
from reconciler.engine.rule import AS_OF, Notes, Problem, Rule
from reconciler.engine.sandbox import RuleFailed, Sandbox
from reconciler.estate.results import Outcome
from reconciler.estate.tables import tables
from reconciler.toml import Key

LINT_SECONDS = 10.0
"""A rule over empty tables takes milliseconds; what takes this long has no end."""

TOO_MUCH = "Let it work on less: join on keys, filter early, and cross nothing with everything."
"""What to do about a rule that takes too long or too much memory."""

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_TEXTS = {"verdict", "reason", "source", "person_id"}
_SCALARS = {"VARCHAR", "DATE", "TIMESTAMP WITH TIME ZONE", "BIGINT", "INTEGER", "BOOLEAN"}


def wrapped(sql: str) -> str:
    """Return the rule's SELECT as a sub-query; its first line is the second of the result."""
    raw, end = sql.encode(), len(sql.encode())
    # A semicolon at the end, and comments behind it, would end the sub-query early.
    for offset, kind in reversed(duckdb.tokenize(sql)):
        if raw[offset : offset + 1] == b";":
            end = offset
        elif kind != duckdb.token_type.comment:
            break
    return f"(\n{raw[:end].decode()}\n) AS verdicts"


def required_identity(rule: Rule) -> list[str]:
    """Return the identity columns that are never null.

    A row about a governance record may concern no source and no account; its own key it always has.
    """
    population = tables()[rule.info.population]
    if population.group == "identity":
        return list(rule.info.identity)
    return [name for name in rule.info.identity if name in population.key]


def bind(rule: Rule, sandbox: Sandbox) -> None:
    """Run the rule with its parameters over empty tables; raise ``RuleFailed`` where DuckDB refuses it."""
    sandbox.run(f"FROM {wrapped(rule.sql)}", rule.values(_EPOCH), LINT_SECONDS, before=1)


class Lint:
    """Checks one rule; faults go to ``notes``. The sandbox holds every estate table, empty, and is locked."""

    def __init__(self, rule: Rule, notes: Notes, sandbox: Sandbox) -> None:
        self.rule = rule
        self.notes = notes
        self.sandbox = sandbox

    def check(self) -> Rule:
        """Return the rule with the columns that it reads and selects; see ``notes`` before using it."""
        query = read_query(self.sandbox.connection, self.rule.sql, tables())
        for fault in query.faults:
            self._sql(self._place(fault.offset), fault.message, fault.advice)
        self.rule = replace(self.rule, asked=frozenset(query.params))
        for name in {"verdict", "reason"} & set(self.rule.info.identity):
            advice = "Identity is what stays: the keys of what is judged."
            self.notes.fault(f"identity names {name}, which may change from night to night", advice, "identity")
        self._reads(query)
        self._params(query)
        self._cases()
        output = self._bind() if not self.notes.problems else ()
        if output:
            self._output(output)
        columns = {
            name: tuple(c.name for c in tables()[name].columns if c.key or c.name in query.columns)
            for name in query.tables
        }
        return replace(self.rule, columns=columns, types=dict(output))

    def _place(self, offset: int | None) -> tuple[int, int]:
        """Return line and column, both from 1, of an offset in bytes."""
        before = self.rule.sql.encode()[: offset or 0].decode(errors="replace")
        return before.count("\n") + 1, len(before) - before.rfind("\n")

    def _sql(self, place: tuple[int | None, int | None], message: str, advice: str) -> None:
        line, column = place
        self.notes.problems.append(Problem(f"{self.rule.sql_path}:{line or 1}:{column or 1}", message, advice))

    def _reads(self, query: Query) -> None:
        for name, offset in query.tables.items():
            if name not in self.rule.reads:
                self._sql(self._place(offset), f"{name} is read, but `reads` does not say so", "Add it to reads.")
        for number, name in enumerate(self.rule.reads):
            if name not in query.tables and not query.faults:
                self.notes.fault(f"reads names {name}, which the SQL does not read", "Take it out.", "reads", number)

    def _params(self, query: Query) -> None:
        for name, offset in query.params.items():
            if name != AS_OF and name not in self.rule.params:
                self._sql(self._place(offset), f"parameter ${name} is not declared", f"Write [params.{name}].")
        for name in self.rule.params:
            if name not in query.params and not query.faults:
                self.notes.fault(f"parameter {name!r} is not used", "Take it out, or use it.", "params", name)

    def _cases(self) -> None:
        fires = silent = unknown = False
        for case in self.rule.cases:
            verdicts = {row.get("verdict") for row in case.expect}
            fires |= Outcome.VIOLATION in verdicts
            unknown |= Outcome.NOT_EVALUABLE in verdicts
            silent |= not verdicts & {Outcome.VIOLATION, Outcome.NOT_EVALUABLE}
            self._expect(case.number, case.expect)
        for found, what in ((fires, "fires"), (silent, "stays silent"), (unknown, "is not evaluable")):
            if not found:
                self.notes.fault(f"no case in which the rule {what}", "Add a [[case]] that shows it.", "case")

    def _expect(self, number: int, rows: Sequence[Any]) -> None:
        seen = set()
        required = required_identity(self.rule)
        for index, row in enumerate(rows):
            missing = [name for name in required if name not in row]
            if missing:
                self.notes.fault(
                    f"expect lacks {', '.join(missing)}", "Give every identity column.", *_row(number, index)
                )
            subject = tuple(str(row.get(name)) for name in self.rule.info.identity)
            if not missing and subject in seen:
                self.notes.fault("expect names a subject twice", "A subject has one verdict.", *_row(number, index))
            seen.add(subject)

    def _bind(self) -> tuple[tuple[str, str], ...]:
        """Run over the empty tables; return the columns selected with their types, none where it failed."""
        try:
            bind(self.rule, self.sandbox)
        except RuleFailed as error:
            named = "The tables and columns stand in reconciler/estate/README.md."
            self._sql((error.line, error.column), error.message, TOO_MUCH if error.stopped or error.starved else named)
            return ()
        described = self.sandbox.connection.description or []
        return tuple((str(column[0]), str(column[1])) for column in described)

    def _output(self, output: tuple[tuple[str, str], ...]) -> None:
        info, types = self.rule.info, dict(output)
        population = tables()[info.population]
        if population.group == "built" and population.name not in COUNTED:
            advice = f"Count a table that sources report or that is declared, or one of: {', '.join(sorted(COUNTED))}."
            self.notes.fault(f"{population.name} cannot be a population", advice, "population")
        if population.group == "identity" and "source" not in info.identity:
            self.notes.fault("identity lacks source", "Subjects of two systems are two subjects.", "identity")
        wanted = {"verdict", "reason", *info.identity, *population.key}
        if any(tables()[name].group == "identity" for name in self.rule.reads):
            wanted.add("source")
        for name in sorted(wanted - set(types)):
            self._sql(
                (1, 1), f"column {name!r} is not selected", "Select verdict, reason, identity and population key."
            )
        for name in sorted(set(types) - wanted - {"person_id"}):
            self._sql((1, 1), f"selected column {name!r} leads nowhere", "Put it into reason, or into identity.")
        for name, kind in types.items():
            if name in _TEXTS and kind != "VARCHAR":
                self._sql((1, 1), f"column {name!r} is {kind}, not text", "Cast it, or select the right column.")
            elif name in wanted and kind not in _SCALARS:
                self._sql((1, 1), f"column {name!r} is {kind}, which identifies nothing", "Select a plain value.")


def _row(number: int, index: int) -> tuple[Key, ...]:
    return ("case", number, "expect", index)
