"""The same rules on Apache Spark: a file of its own, beside which Sail's can run on another core."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.engine import Rule
from reconciler.estate.results import Outcome
from tests.effort import QUICK
from tests.engine import engines
from tests.servers import spark


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Serve one JVM for every test."""
    with spark.serve() as served:
        yield served


def test_cases_say_the_same(url: str) -> None:
    """Where it is to go quickly, those that show two kinds of verdict at once: a JVM takes a second for each."""
    chosen = [replace(rule, cases=_most_telling(rule)) if QUICK else rule for rule in engines.bundled()]
    results = engines.run_all([rule for rule in chosen if rule.cases], url)
    assert len(results) == sum(len(rule.cases) for rule in chosen) > 10
    assert [result.detail for result in results if not result.passed] == []


def _most_telling(rule: Rule) -> tuple[Any, ...]:
    """Return a case with a violation and with something not evaluable; none where the rule has none such."""
    both = {Outcome.VIOLATION, Outcome.NOT_EVALUABLE}
    return tuple(case for case in rule.cases if both <= {row["verdict"] for row in case.expect})[:1]


def test_an_estate_has_one_digest(url: str, tmp_path: Path) -> None:
    """Where it is to go quickly, by every third rule."""
    engines.assert_one_digest(url, tmp_path, engines.bundled()[::3] if QUICK else engines.bundled())


@pytest.mark.parametrize("expression", list(engines.EXPRESSIONS))
def test_an_expression_means_the_same(expression: str, url: str) -> None:
    engines.assert_same_meaning(expression, url)


def test_a_day_that_begins_twice_ends_when_duckdb_says(url: str) -> None:
    engines.assert_same_midnights(url)
