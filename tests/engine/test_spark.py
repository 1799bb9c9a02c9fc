"""The same rules on DuckDB, on Sail and on Apache Spark."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from reconciler.bundled import root
from reconciler.engine import Options, Rule, RuleError, evaluate, load, run_cases
from reconciler.engine.dialect import SPACES, Untranslatable, Zones, translate
from reconciler.engine.sandbox import Sandbox
from reconciler.engine.spark import Server
from reconciler.errors import ConfigurationError, StoreError
from reconciler.estate.results import Outcome
from reconciler.sdk.records import Record
from tests.servers import sail, spark
from tests.truth.base import company, staff
from tests.truth.planted import world
from tests.truth.world import AS_OF, Sealing, World

UTC_ALONE = Zones("UTC", ("UTC",))


@cache
def bundled() -> Sequence[Rule]:
    return load([root("rules")])


@pytest.fixture(scope="module")
def sail_url() -> Iterator[str]:
    with sail.serve() as url:
        yield url


@pytest.fixture(scope="module")
def spark_url() -> Iterator[str]:
    with spark.serve() as url:
        yield url


def test_every_case_says_the_same_on_sail(sail_url: str) -> None:
    results = run_cases(bundled(), engine=sail_url)
    assert len(results) == sum(len(rule.cases) for rule in bundled())
    assert [result.detail for result in results if not result.passed] == []


def test_cases_of_every_verdict_say_the_same_on_apache_spark(spark_url: str) -> None:
    """One that fires, one that is not evaluable and one that stays silent a rule: a JVM takes a second for each."""
    chosen = [replace(rule, cases=_of_each_verdict(rule)) for rule in bundled()]
    results = run_cases(chosen, engine=spark_url)
    assert len(results) >= 3 * len(chosen)
    assert [result.detail for result in results if not result.passed] == []


def _of_each_verdict(rule: Rule) -> tuple[Any, ...]:
    def verdicts(case: Any) -> set[Any]:
        return {row["verdict"] for row in case.expect}

    fires = next(case for case in rule.cases if Outcome.VIOLATION in verdicts(case))
    unknown = next(case for case in rule.cases if Outcome.NOT_EVALUABLE in verdicts(case))
    silent = next(c for c in rule.cases if not verdicts(c) & {Outcome.VIOLATION, Outcome.NOT_EVALUABLE})
    return tuple({case.number: case for case in (fires, unknown, silent)}.values())


def spoiled(people: int) -> World:
    """Return a world in which one value in fifty is lost, and one day or instant in fifty is another."""
    made = world()
    firm = company(made)
    for _ in range(people):
        staff(made, firm)
    chance = random.Random(4)
    for table, rows in made.rows.items():
        made.rows[table] = [_spoil(row, chance) for row in rows]
    return made


def _spoil(row: Record, chance: random.Random) -> Record:
    changes: dict[str, Any] = {}
    for field in msgspec.structs.fields(type(row)):
        value = getattr(row, field.name)
        if field.required or value is None or chance.random() > 0.02:
            continue
        if isinstance(value, date) and chance.random() < 0.5:
            changes[field.name] = value - timedelta(days=chance.randrange(800))
        elif field.default is None:
            changes[field.name] = None
    return msgspec.structs.replace(row, **changes)


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> tuple[World, Any]:
    made = spoiled(300)
    return made, made.seal(tmp_path_factory.mktemp("estate"), Sealing(parts=2))


@cache
def _digest(made: World, snapshot: Any, engine: str) -> str:
    options = Options(time_zone="Europe/Berlin", declared=made.declared, engine=engine)
    evaluation = evaluate(snapshot, bundled(), as_of=AS_OF, options=options)
    assert sum(1 for result in evaluation.results if result.verdicts) > 40
    return evaluation.digest


def test_an_estate_has_one_digest_on_sail(estate: tuple[World, Any], sail_url: str) -> None:
    made, snapshot = estate
    assert _digest(made, snapshot, sail_url) == _digest(made, snapshot, "duckdb")


def test_an_estate_has_one_digest_on_apache_spark(estate: tuple[World, Any], spark_url: str) -> None:
    made, snapshot = estate
    assert _digest(made, snapshot, spark_url) == _digest(made, snapshot, "duckdb")


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


@pytest.mark.parametrize("expression", list(EXPRESSIONS))
@pytest.mark.parametrize("place", ["sail_url", "spark_url"])
def test_an_expression_means_the_same(expression: str, place: str, request: pytest.FixtureRequest) -> None:
    with closing(Sandbox()) as sandbox, closing(Server(request.getfixturevalue(place))) as server:
        here = sandbox.connection.execute(f"SELECT CAST({expression} AS VARCHAR)").fetchall()
        there = server.rows(translate(f"SELECT {expression} AS x", {}, UTC_ALONE)).to_pylist()
    assert here == [(EXPRESSIONS[expression],)]
    assert _plain(there[0]["x"]) == EXPRESSIONS[expression]


def _plain(value: object) -> str | None:
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


@pytest.mark.parametrize("place", ["sail_url", "spark_url"])
def test_a_day_that_begins_twice_ends_when_duckdb_says(place: str, request: pytest.FixtureRequest) -> None:
    """Havana's clocks are put back at one in the night: midnight comes twice."""
    sql = "SELECT access_deadline(day, zone, $grace) AS x FROM (VALUES (DATE '2026-10-31', {})) AS t(day, zone)"
    for zone in ("'America/Havana'", "'Europe/Berlin'", "'No/Where'", "cast(null as varchar)"):
        values: Mapping[str, object] = {"grace": timedelta(hours=1)}
        with closing(Sandbox()) as sandbox, closing(Server(request.getfixturevalue(place))) as server:
            named = ["America/Havana", "No/Where"]
            sandbox.zones("Europe/Berlin", named)
            known = server.zones("Europe/Berlin", named, sandbox.connection)
            text = sql.format(zone)
            here = sandbox.connection.execute(text, dict(values)).fetchall()
            there = server.rows(translate(text, values, known)).to_pylist()
        assert [row["x"] for row in there] == [x for (x,) in here]
        assert (here[0][0] is None) == (zone == "'No/Where'")


REFUSED = {
    "SELECT source\nFROM accounts\nWHERE strip_accents(login) = 'a'": ("strip_accents", 3),
    "SELECT login ilike 'a%' AS x FROM accounts": ("ilike", 1),
    "SELECT strftime(created_at, '%j') AS x FROM accounts": ("%j", 1),
    "SELECT concat('at ', created_at) AS x FROM accounts": ("strftime", 1),
    r"SELECT regexp_matches(login, '\w+') AS x FROM accounts": ("plain pattern", 1),
    "SELECT 1 / rows AS x FROM coverage": ("above 0", 1),
    "SELECT cast(login AS BIGINT) AS x FROM accounts": ("cast", 1),
    "SELECT json_extract_string(attributes, '$[0]') AS x FROM accounts": ("plain path", 1),
    "SELECT date_part('week', created_at) AS x FROM accounts": ("date_part", 1),
    "SELECT date_diff('week', created_at, expires_at) AS x FROM accounts": ("date_diff", 1),
}


@pytest.mark.parametrize("sql", list(REFUSED))
def test_what_cannot_be_said_is_refused(sql: str) -> None:
    word, line = REFUSED[sql]
    with pytest.raises(Untranslatable) as caught:
        translate(sql, {}, UTC_ALONE)
    assert word in caught.value.message
    assert caught.value.line == line


def test_a_rule_that_cannot_be_said_is_named_with_file_and_line(sail_url: str) -> None:
    rule = replace(bundled()[0], sql="SELECT source,\n strip_accents(login) AS x FROM accounts")
    with closing(Server(sail_url)) as server, pytest.raises(RuleError) as caught:
        server.judge(rule, {}, UTC_ALONE, 10)
    assert f"{rule.sql_path}:2: {rule.info.rule_id}: strip_accents" in str(caught.value)


def test_a_server_that_is_not_there_is_named_without_its_token() -> None:
    with pytest.raises(StoreError) as caught:
        Server("sc://127.0.0.1:9/;token=planted-secret")
    assert "sc://127.0.0.1:9 cannot be reached" in caught.value.message
    assert "planted-secret" not in f"{caught.value.message} {caught.value.advice}"


def test_an_engine_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="neither duckdb nor"):
        Server("postgresql://127.0.0.1")


def test_a_server_that_goes_away_ends_the_evaluation(tmp_path: Path) -> None:
    made = world()
    company(made)
    snapshot = made.seal(tmp_path, Sealing())
    with sail.serve() as url:
        server = Server(url)
    with closing(server), pytest.raises(StoreError, match="failed"):
        server.rows("SELECT 1")
    with pytest.raises(StoreError, match="cannot be reached"):
        evaluate(snapshot, bundled(), as_of=datetime(2026, 1, 1, tzinfo=UTC), options=Options(engine=url))
