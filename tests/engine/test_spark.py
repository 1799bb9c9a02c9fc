"""The same rules on DuckDB and over Spark Connect on Sail; what cannot be said there; servers that fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.engine import Options, RuleError, evaluate
from reconciler.engine.dialect import Untranslatable, translate
from reconciler.engine.sandbox import RuleFailed
from reconciler.engine.spark import Server
from reconciler.errors import ConfigurationError, StoreError
from tests.engine import engines
from tests.engine.engines import UTC_ALONE, bundled
from tests.servers import sail
from tests.truth.company import company
from tests.truth.planted import world
from tests.truth.world import Sealing


@pytest.fixture(scope="module")
def sail_url() -> Iterator[str]:
    with sail.serve() as url:
        yield url


def test_every_case_says_the_same(sail_url: str) -> None:
    results = engines.run_all(bundled(), sail_url)
    assert len(results) == sum(len(rule.cases) for rule in bundled())
    assert [result.detail for result in results if not result.passed] == []


def test_an_estate_has_one_digest(sail_url: str, tmp_path: Path) -> None:
    engines.assert_one_digest(sail_url, tmp_path, bundled())


@pytest.mark.parametrize("expression", list(engines.EXPRESSIONS))
def test_an_expression_means_the_same(expression: str, sail_url: str) -> None:
    engines.assert_same_meaning(expression, sail_url)


def test_a_day_that_begins_twice_ends_when_duckdb_says(sail_url: str) -> None:
    engines.assert_same_midnights(sail_url)


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


def test_a_rule_that_takes_too_long_is_stopped_on_the_server(sail_url: str) -> None:
    rule = replace(bundled()[0], sql="SELECT count(*) AS n FROM coverage a JOIN coverage b ON a.rows <> b.rows")
    before = "WITH coverage AS (SELECT id AS `rows` FROM range(1000000)) "
    with closing(Server(sail_url)) as server:
        with pytest.raises(RuleFailed) as caught:
            server.judge(rule, {}, UTC_ALONE, 0.5, before)
        assert server.rows("SELECT 1 AS x").to_pylist() == [{"x": 1}]
    assert caught.value.stopped


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
