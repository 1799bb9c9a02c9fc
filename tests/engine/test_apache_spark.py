"""The same rules on Apache Spark: a file of its own, beside which Sail's can run on another core."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.engine import Rule
from reconciler.estate.results import Outcome
from tests.engine import engines
from tests.servers import spark


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Serve one JVM for every test."""
    with spark.serve() as served:
        yield served


def test_cases_of_every_verdict_say_the_same(url: str) -> None:
    """One that fires, one that is not evaluable and one that stays silent a rule: a JVM takes a second for each."""
    chosen = [replace(rule, cases=_of_each_verdict(rule)) for rule in engines.bundled()]
    results = engines.run_all(chosen, url)
    assert len(results) >= 3 * len(chosen)
    assert [result.detail for result in results if not result.passed] == []


def _of_each_verdict(rule: Rule) -> tuple[Any, ...]:
    def verdicts(case: Any) -> set[Any]:
        return {row["verdict"] for row in case.expect}

    fires = next(case for case in rule.cases if Outcome.VIOLATION in verdicts(case))
    unknown = next(case for case in rule.cases if Outcome.NOT_EVALUABLE in verdicts(case))
    silent = next(c for c in rule.cases if not verdicts(c) & {Outcome.VIOLATION, Outcome.NOT_EVALUABLE})
    return tuple({case.number: case for case in (fires, unknown, silent)}.values())


def test_an_estate_has_one_digest(url: str, tmp_path: Path) -> None:
    engines.assert_one_digest(url, tmp_path)


@pytest.mark.parametrize("expression", list(engines.EXPRESSIONS))
def test_an_expression_means_the_same(expression: str, url: str) -> None:
    engines.assert_same_meaning(expression, url)


def test_a_day_that_begins_twice_ends_when_duckdb_says(url: str) -> None:
    engines.assert_same_midnights(url)
