"""What the engines are held to: the same cases, expressions, midnights and digest of one estate."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from reconciler.bundled import root
from reconciler.engine import Options, Rule, evaluate, load, run_cases
from reconciler.engine.cases import CaseResult
from reconciler.engine.dialect import SPACES, Zones, translate
from reconciler.engine.sandbox import Sandbox
from reconciler.engine.spark import Server
from reconciler.sdk.records import Record
from tests.truth.company import company, staff
from tests.truth.planted import world
from tests.truth.world import AS_OF, Sealing, World

UTC_ALONE = Zones("UTC", ("UTC",))


@cache
def bundled() -> Sequence[Rule]:
    return load([root("rules")])


def run_all(rules: Sequence[Rule], url: str) -> list[CaseResult]:
    """Run the cases in two sessions at once: a statement's time is planning, which one core does."""
    with ThreadPoolExecutor(2) as pool:
        halves = pool.map(lambda half: run_cases(half, engine=url), (rules[::2], rules[1::2]))
        return [result for half in halves for result in half]


def spoiled(people: int) -> World:
    """Return a world with every plant and so many more people; one value in fifty is lost, one day in fifty another."""
    made = world()
    firm = company(made)
    for _ in range(people):
        staff(made, firm)
    chance = random.Random(4)
    for table, rows in made.rows.items():
        made.rows[table] = [_spoil(row, chance) for row in rows]
    return made


@cache  # else each row's types are resolved anew: a quarter of a millisecond each, of a million rows
def _fields(kind: type[Record]) -> Sequence[msgspec.structs.FieldInfo]:
    return msgspec.structs.fields(kind)


def _spoil(row: Record, chance: random.Random) -> Record:
    changes: dict[str, Any] = {}
    for field in _fields(type(row)):
        value = getattr(row, field.name)
        if field.required or value is None or chance.random() > 0.02:
            continue
        if isinstance(value, date) and chance.random() < 0.5:
            changes[field.name] = value - timedelta(days=chance.randrange(800))
        elif field.default is None:
            changes[field.name] = None
    return msgspec.structs.replace(row, **changes)


def assert_one_digest(url: str, folder: Path, rules: Sequence[Rule]) -> None:
    """Judge a small estate with every plant, spoiled, by rules here and there."""
    made = spoiled(0)
    snapshot = made.seal(folder, Sealing(parts=2))
    digests = []
    for engine in ("duckdb", url):
        options = Options(time_zone="Europe/Berlin", declared=made.declared, engine=engine)
        evaluation = evaluate(snapshot, rules, as_of=AS_OF, options=options)
        assert sum(1 for result in evaluation.results if result.verdicts) > 0.75 * len(rules)
        digests.append(evaluation.digest)
    assert digests[0] == digests[1]


EXPRESSIONS = {
    "concat('a', cast(null as varchar), 'b')": "ab",
    "'a' || cast(null as varchar)": None,
    f"trim('{SPACES}a{SPACES}')": "a",
    "lower('\u0391\u03a3 \u0130')": "\u03b1\u03c3 i",
    "upper('straße ﬁ')": "STRAẞE ﬁ",
    r"'a_b' like 'a\_b' escape '\'": "true",
    r"'a\b' like 'a\b'": "true",
    "regexp_matches('a*', '[*?]')": "true",
    "list_contains(['a', null], 'b')": "false",
    "json_extract_string('{\"dn\": \"x\"}', '$.dn')": "x",
    "json_valid('{bad')": "false",
    "date_diff('day', date '2026-01-31', date '2026-03-01')": "29",
    "date '2026-03-01' - date '2026-01-31'": "29",
    "strftime(date '2028-02-29' + 1, '%Y-%m-%d')": "2028-03-01",
    "strftime(timestamptz '2026-01-02 03:04:05.000006+00', '%Y-%m-%dT%H:%M:%S.%f')": "2026-01-02T03:04:05.000006",
    "date_diff('minute', timestamptz '2026-01-01 00:00:59+00', timestamptz '2026-01-01 00:01:00+00')": "1",
}


def assert_same_meaning(expression: str, url: str) -> None:
    """Hold an expression to its value here and there."""
    with closing(Sandbox()) as sandbox, closing(Server(url)) as server:
        here = sandbox.connection.execute(f"SELECT CAST({expression} AS VARCHAR)").fetchall()
        there = server.rows(translate(f"SELECT {expression} AS x", {}, UTC_ALONE)).to_pylist()
    assert here == [(EXPRESSIONS[expression],)]
    assert _plain(there[0]["x"]) == EXPRESSIONS[expression]


def _plain(value: object) -> str | None:
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def assert_same_midnights(url: str) -> None:
    """Ask when a day ends: Havana's clocks are put back at one in the night, and midnight comes twice."""
    sql = "SELECT access_deadline(day, zone, $grace) AS x FROM (VALUES (DATE '2026-10-31', {})) AS t(day, zone)"
    values: Mapping[str, object] = {"grace": timedelta(hours=1)}
    named = ["America/Havana", "No/Where"]
    for zone in ("'America/Havana'", "'Europe/Berlin'", "'No/Where'", "cast(null as varchar)"):
        with closing(Sandbox()) as sandbox, closing(Server(url)) as server:
            sandbox.zones("Europe/Berlin", named)
            known = server.zones("Europe/Berlin", named, sandbox.connection)
            text = sql.format(zone)
            here = sandbox.connection.execute(text, dict(values)).fetchall()
            there = server.rows(translate(text, values, known)).to_pylist()
        assert [row["x"] for row in there] == [x for (x,) in here]
        assert (here[0][0] is None) == (zone == "'No/Where'")
