"""Every rule finds exactly what was planted for it and nothing that was nearly so, however the rows come."""

from __future__ import annotations

import copy
from collections import defaultdict
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from reconciler.engine.built import made_of
from reconciler.engine.rule import Rule
from reconciler.estate.results import Evaluation, Outcome
from reconciler.estate.tables import tables
from reconciler.sdk.records import Account, Record
from tests.truth import judged, planted
from tests.truth.world import CLOUD, DIRECTORY, QMS, Subject, World

# A seed that fails is no simpler for being smaller: nothing is shrunk.
MANY = settings(
    max_examples=3,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def world() -> World:
    return planted.world()


@pytest.fixture(scope="module")
def evaluation(world: World, tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    return judged.judge(world, tmp_path_factory.mktemp("truth"))


def test_precision_and_recall_are_one(world: World, evaluation: Evaluation) -> None:
    assert judged.differences(world, evaluation) == []


def test_something_is_planted_for_every_rule(world: World) -> None:
    assert {rule.info.rule_id for rule in judged.rules()} - set(world.violations) == set()


@MANY
@given(order=st.integers(0, 2**32))
def test_the_order_of_rows_changes_nothing(world: World, evaluation: Evaluation, order: int, tmp_path: Path) -> None:
    again = judged.judge(world, tmp_path / str(order), order=order)
    assert again.results == evaluation.results


@MANY
@given(seed=st.integers(1, 2**32))
def test_the_place_of_people_among_others_changes_nothing(seed: int, tmp_path: Path) -> None:
    other = planted.world(seed)
    assert judged.differences(other, judged.judge(other, tmp_path / str(seed))) == []


def test_renamed_logins_change_no_verdict(world: World, evaluation: Evaluation, tmp_path: Path) -> None:
    accounts = [row for row in world.rows["accounts"] if isinstance(row, Account)]
    # a login without a dot is one that a plant chose for what it says
    logins = {account.login.lower() for account in accounts if account.login and "." in account.login}
    renamed = copy.copy(world)
    renamed.rows = defaultdict(list)
    for table, rows in world.rows.items():
        renamed.rows[table] = [_renamed(row, logins) for row in rows]
    assert _subjects(judged.judge(renamed, tmp_path)) == _subjects(evaluation)


def test_rows_split_over_many_parts_change_nothing(world: World, evaluation: Evaluation, tmp_path: Path) -> None:
    assert judged.judge(world, tmp_path, parts=7).results == evaluation.results


def test_an_unrelated_source_changes_nothing_of_the_others(
    world: World, evaluation: Evaluation, tmp_path: Path
) -> None:
    again = judged.judge(world, tmp_path, beside="wiki")
    for before, after in zip(evaluation.results, again.results, strict=True):
        assert [v for v in after.verdicts if v.source != "wiki"] == list(before.verdicts)


@pytest.mark.parametrize("source", [DIRECTORY, CLOUD])
def test_what_a_lost_source_showed_is_neither_passed_nor_found(
    world: World, evaluation: Evaluation, tmp_path: Path, source: str
) -> None:
    again = judged.judge(world, tmp_path, failed=source)
    before = judged.found(evaluation, Outcome.VIOLATION)
    asking = {rule.info.rule_id for rule in judged.rules() if _asks_sources(rule)}
    for result in again.results:
        for scope in result.scopes:
            # A rule that reads records of governance alone may speak of a source, but asks nothing of it.
            if scope.source == source and result.rule.rule_id in asking:
                assert scope.blocked
                assert (scope.passes, scope.violations, scope.population) == (0, 0, 0)
        found = {tuple(v.subject.values()) for v in result.verdicts if v.verdict is Outcome.VIOLATION}
        assert found <= before[result.rule.rule_id], result.rule.rule_id


@pytest.mark.parametrize("source", [DIRECTORY, CLOUD, QMS])
def test_a_lost_source_turns_nothing_that_was_found_into_a_pass(
    world: World, evaluation: Evaluation, tmp_path: Path, source: str
) -> None:
    """A source that left altogether is sealed as one that failed, until somebody accepts that it is gone."""
    again = judged.judge(world, tmp_path, failed=source)
    for before, after in zip(evaluation.results, again.results, strict=True):
        judged_still = {scope.source for scope in after.scopes if not scope.blocked}
        verdicts = {tuple(v.subject.values()): v.verdict for v in after.verdicts}
        for was in before.verdicts:
            now = verdicts.get(tuple(was.subject.values()))
            if was.source in judged_still:
                assert now in {was.verdict, Outcome.NOT_EVALUABLE}, (was, now)


def _asks_sources(rule: Rule) -> bool:
    return any(tables()[name].group == "identity" for read in rule.reads for name in made_of(read))


def _renamed(row: Record, logins: set[str]) -> Record:
    """Give a record another login wherever it names one of these, in whatever case: it tells no more than the old."""
    texts = {name: getattr(row, name) for name in row.__struct_fields__}
    named = {name: text.strip() for name, text in texts.items() if isinstance(text, str)}
    changed = {name: f"renamed.{text}" for name, text in named.items() if text.lower() in logins}
    return msgspec.structs.replace(row, **changed)


def _subjects(evaluation: Evaluation) -> dict[Any, dict[str, set[Subject]]]:
    return {outcome: judged.found(evaluation, outcome) for outcome in (Outcome.VIOLATION, Outcome.NOT_EVALUABLE)}
