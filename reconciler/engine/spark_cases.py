"""Run the rules' cases on a Spark Connect server: one statement a case, its rows written into it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.engine.access import CLOSED, CLOSURE
from reconciler.engine.built import READS
from reconciler.engine.cases import MADE, named_zones
from reconciler.engine.dialect import Zones, translate
from reconciler.engine.lint import LINT_SECONDS
from reconciler.engine.rule import Case, Rule
from reconciler.engine.runner import Relation
from reconciler.engine.sandbox import Sandbox
from reconciler.engine.spark import Columns, Server, emitted, given
from reconciler.estate.tables import tables

_SECONDS = 6 * LINT_SECONDS
"""A server compiles each statement anew."""


class CasesThere:
    """A session in which cases run; the sandbox has the closure of each case's groups ready."""

    def __init__(self, url: str) -> None:
        self.server = Server(url)

    def close(self) -> None:
        """End the session."""
        self.server.close()

    def relation(self, sandbox: Sandbox, rule: Rule, case: Case, values: Mapping[str, object], step: int) -> Relation:
        """Return the rows that the rule emits over the case's rows, in their order or (``step`` -1) in reverse."""
        zones = self.server.zones(case.time_zone, named_zones(case), sandbox.connection)
        named = [f"`{name}` AS ({text})" for name, text in _tables(sandbox, rule, case, zones, step)]
        before = f"WITH {', '.join(named)} " if named else ""
        return emitted(sandbox, rule, self.server.judge(rule, values, zones, _SECONDS, before)), {}


def _tables(sandbox: Sandbox, rule: Rule, case: Case, zones: Zones, step: int) -> Iterator[tuple[str, str]]:
    """Yield every table that the rule reads, with what it is made of before it."""
    base = dict.fromkeys(below for name in rule.reads for below in _below(name, case))
    made = [name for name in MADE if name in base and name not in case.given]
    columns = {name: set(listed) for name, listed in rule.columns.items()}
    for name in made:
        for table, listed in READS[name].items():
            columns.setdefault(table, set()).update(listed)
    for name in base:
        if name not in made:
            chosen: Columns = [(c.name, c.sql) for c in tables()[name].columns if c.name in columns.get(name, ())]
            yield name, given(chosen, case.given.get(name, ())[::step])
    if CLOSED.intersection(made):
        found = sandbox.connection.execute("SELECT source, below, above, depth, path FROM group_closure").fetchall()
        names = [name for name, _ in CLOSURE]
        yield "group_closure", given(CLOSURE, [dict(zip(names, row, strict=True)) for row in found])
    for name in made:
        yield name, translate(MADE[name], {}, zones)


def _below(name: str, case: Case) -> Iterator[str]:
    """Yield a table, and what it is made of where the case does not give it."""
    yield name
    if name in MADE and name not in case.given:
        for table in READS[name]:
            yield from _below(table, case)
