"""Run the cases that rules carry: typed tables in, exactly the rows named out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

import duckdb

from reconciler.engine.access import CLOSED, EFFECTIVE_ACCESS, close_groups
from reconciler.engine.built import SELECTS, needed
from reconciler.engine.lint import LINT_SECONDS, wrapped
from reconciler.engine.rule import Case, Rule, RuleError
from reconciler.engine.runner import Relation
from reconciler.engine.sandbox import RuleFailed, Sandbox
from reconciler.estate.tables import tables

MADE = SELECTS | {"effective_access": EFFECTIVE_ACCESS}
"""Built tables that are made of what a case gives, unless the case gives them."""

Place = Callable[[Sandbox, Rule, Case, Mapping[str, object], int], Relation]
"""Where a case's SELECT runs: gives the rows as a relation of the sandbox."""


@dataclass(frozen=True, slots=True)
class CaseResult:
    """How one case went; ``detail`` says in words what differed, empty where it passed. ``at`` is file:line."""

    rule_id: str
    rule: str
    name: str
    at: str
    passed: bool
    detail: str


def run_cases(rules: Iterable[Rule], *, engine: str = "duckdb") -> list[CaseResult]:
    """Run every case of every rule, each over tables of its own, with the parameters' defaults or the case's.

    ``engine`` is ``duckdb``, or the URL of a Spark Connect server, over which the rules' SELECTs then run. In DuckDB
    each case is run a second time, with its rows in reverse.
    """
    with closing(Sandbox()) as sandbox:
        sandbox.create_all()
        sandbox.lock()
        if engine == "duckdb":
            return [_run(sandbox, _duckdb, rule, case) for rule in rules for case in rule.cases]
        from reconciler.engine.spark_cases import CasesThere  # noqa: PLC0415  # its client is an extra, slow to import

        with closing(CasesThere(engine)) as there:
            return [_run(sandbox, there.relation, rule, case) for rule in rules for case in rule.cases]


def _duckdb(sandbox: Sandbox, rule: Rule, case: Case, values: Mapping[str, object], step: int) -> Relation:
    """Return the rule's rows over the tables that the sandbox was filled with."""
    del sandbox, case, step
    return wrapped(rule.sql), values


def _run(sandbox: Sandbox, place: Place, rule: Rule, case: Case) -> CaseResult:
    try:
        rows = _rows(sandbox, place, rule, case, 1)
        # What is left to the order of rows is a matter of the text, and DuckDB's to find.
        turned = _rows(sandbox, place, rule, case, -1) if place is _duckdb else rows
    except (RuleFailed, RuleError, duckdb.Error) as error:
        differences = [f"it failed: {error}"]
    else:
        differences = list(_compare(rule, rows, case.expect))
        if turned != rows:
            differences.append(f"with the rows given in reverse it says otherwise: {_first_other(turned, rows)}")
    detail = "\n".join(f"{case.at}: {difference}" for difference in differences)
    return CaseResult(rule.info.rule_id, rule.name, case.name, case.at, not differences, detail)


def _first_other(turned: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]]) -> str:
    other = [row for row in turned if row not in rows] or [row for row in rows if row not in turned]
    return ", ".join(f"{name}={value}" for name, value in other[0].items()) if other else "rows more than once"


def _rows(sandbox: Sandbox, place: Place, rule: Rule, case: Case, step: int) -> list[dict[str, Any]]:
    """Run the rule over the case's rows, given in their order (``step`` 1) or in reverse (-1)."""
    read = list(dict.fromkeys(below for name in rule.reads for below in (name, *needed(name))))
    made = [name for name in MADE if name in read and name not in case.given]
    for name in read:
        sandbox.connection.execute(f'TRUNCATE "{name}"')
        for row in case.given.get(name, ())[::step]:
            columns = ", ".join(f'"{column}"' for column in row)
            marks = ", ".join("?" for _ in row)
            sandbox.connection.execute(f'INSERT INTO "{name}" ({columns}) VALUES ({marks})', list(row.values()))  # noqa: S608  # names were checked against the estate
    if CLOSED.intersection(made):
        close_groups(sandbox.connection)
    for name in made:
        sandbox.connection.execute(f'INSERT INTO "{name}" {MADE[name]}')  # all of it is our text
    sandbox.zones(case.time_zone, named_zones(case))
    params = {name: replace(p, value=case.params.get(name, p.default)) for name, p in rule.params.items()}
    values = replace(rule, params=params).values(case.as_of)
    columns = ", ".join(_text(name) for name in rule.output)
    relation, given = place(sandbox, rule, case, values, step)
    sql = f"SELECT {columns} FROM {relation} ORDER BY ALL"  # noqa: S608  # a rule that passed every check
    sandbox.run(sql, given, LINT_SECONDS, before=1)
    return [dict(zip(rule.output, row, strict=True)) for row in sandbox.connection.fetchall()]


def _text(name: str) -> str:
    return f'CAST("{name}" AS VARCHAR) AS "{name}"'


def named_zones(case: Case) -> set[str]:
    """Return the zones that the case's rows name."""
    rows = (row for name, given in case.given.items() if tables()[name].column("time_zone") for row in given)
    return {row["time_zone"] for row in rows if "time_zone" in row}


def _compare(rule: Rule, rows: Sequence[dict[str, Any]], expect: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    identity = rule.info.identity
    wanted = {tuple(_plain(row.get(name)) for name in identity): row for row in expect}
    seen = set()
    for row in rows:
        subject = tuple(row[name] for name in identity)
        shown = ", ".join(f"{name}={value}" for name, value in zip(identity, subject, strict=True))
        if subject in seen:
            yield f"{shown} was emitted twice; a subject has one verdict"
        if row["reason"] is None:
            yield f"{shown} has no reason; a value it is made of is null: use concat() or coalesce()"
        seen.add(subject)
        expected = wanted.get(subject)
        if expected is None:
            yield f"{shown} was not expected: {row['verdict']}, {row['reason']}"
            continue
        for name, value in expected.items():
            if name not in row:
                yield f"{shown}: expect names {name!r}, which the rule does not select"
            elif _plain(value) != row[name]:
                yield f"{shown}: {name} is {row[name]!r}, not {_plain(value)!r}"
    for subject in wanted.keys() - seen:
        shown = ", ".join(f"{name}={value}" for name, value in zip(identity, subject, strict=True))
        yield f"{shown} was expected: {wanted[subject]['verdict']}"


def _plain(value: object) -> str | None:
    """Return a TOML value as DuckDB writes it when cast to text."""
    if value is None:
        return None
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S+00")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)
