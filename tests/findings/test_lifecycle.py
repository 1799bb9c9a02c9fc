from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import ConfigurationError
from reconciler.estate.results import Outcome, RuleResult, Scope, State
from reconciler.findings.identity import content, finding_id
from reconciler.findings.lifecycle import Standing, Step, moves, state
from tests.findings.nights import blocked, result, rule, verdict

RULE = "IG-LVR-001"
NOT_EVALUABLE = Outcome.NOT_EVALUABLE
VIOLATION = Outcome.VIOLATION


def identity(account: str, source: str | None = "ldap") -> str:
    return finding_id(RULE, {"source": source, "account_id": account})


def standing(
    held: Outcome = VIOLATION, *, is_open: bool = True, verified: bool = True, said: Outcome | None = None
) -> dict[str, Standing]:
    return {identity("a"): Standing("ldap", is_open, held, verified, content(rule(), verdict("a", said or held)))}


def test_a_subject_never_seen_is_opened_with_its_verdict() -> None:
    found = list(moves({}, result(verdict("a"), verdict("b", NOT_EVALUABLE))))
    assert [(m.finding_id, m.step, m.held, m.verified) for m in found] == [
        (identity("a"), Step.OPENED, VIOLATION, True),
        (identity("b"), Step.OPENED, NOT_EVALUABLE, True),
    ]


@pytest.mark.parametrize(
    ("before", "now", "step", "held", "verified"),
    [
        (standing(), VIOLATION, Step.PERSISTED, VIOLATION, True),
        (standing(), NOT_EVALUABLE, Step.CHANGED, VIOLATION, False),
        (standing(verified=False, said=NOT_EVALUABLE), NOT_EVALUABLE, Step.PERSISTED, VIOLATION, False),
        (standing(verified=False, said=NOT_EVALUABLE), VIOLATION, Step.CHANGED, VIOLATION, True),
        (standing(NOT_EVALUABLE), VIOLATION, Step.CHANGED, VIOLATION, True),
        (standing(NOT_EVALUABLE), NOT_EVALUABLE, Step.PERSISTED, NOT_EVALUABLE, True),
        (standing(is_open=False), VIOLATION, Step.REOPENED, VIOLATION, True),
        (standing(is_open=False), NOT_EVALUABLE, Step.REOPENED, NOT_EVALUABLE, True),
        (standing(), Outcome.PASS, Step.RESOLVED, VIOLATION, True),
        (standing(NOT_EVALUABLE), Outcome.NOT_APPLICABLE, Step.RESOLVED, NOT_EVALUABLE, True),
    ],
)
def test_a_known_finding_moves(
    before: dict[str, Standing], now: Outcome, step: Step, held: Outcome, *, verified: bool
) -> None:
    (move,) = moves(before, result(verdict("a", now)))
    assert (move.finding_id, move.step, move.held, move.verified) == (identity("a"), step, held, verified)
    assert (move.verdict is None) == (step is Step.RESOLVED)


def test_what_is_absent_from_an_evaluated_scope_is_resolved() -> None:
    (move,) = moves(standing(), result())
    assert move.step is Step.RESOLVED


def test_what_is_resolved_and_absent_stays_untouched() -> None:
    assert not list(moves(standing(is_open=False), result()))


@pytest.mark.parametrize(
    "scopes",
    [[blocked("ldap")], [], [Scope(source="aws")], [Scope(source=None)], [blocked("ldap"), Scope(source=None)]],
)
def test_nothing_moves_where_the_scope_was_blocked_or_gone(scopes: list[Scope]) -> None:
    assert not list(moves(standing(), result(scopes=scopes)))


def test_a_verdict_in_a_blocked_scope_opens_and_resolves_nothing() -> None:
    assert not list(moves({}, result(verdict("a"), scopes=[blocked("ldap")])))
    moved = {identity("a"): Standing("aws", True, VIOLATION, True, "")}  # noqa: FBT003 - the fields of Standing, in order
    assert not list(moves(moved, result(verdict("a"), scopes=[blocked("ldap"), Scope(source="aws")])))


def test_two_verdicts_of_one_subject_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="two verdicts for one subject") as refused:
        list(moves({}, result(verdict("a"), verdict("a", reason="another"))))
    assert "identity" in refused.value.advice


@pytest.mark.parametrize("source", ["aws", None])
def test_a_verdict_from_nowhere_is_refused_not_lost(source: str | None) -> None:
    with pytest.raises(ConfigurationError, match="where it was not evaluated"):
        list(moves({}, result(verdict("a", source=source))))


def test_a_changed_reason_severity_or_version_is_a_change() -> None:
    for now in (
        result(verdict("a", reason="left on 2026-02-02")),
        result(verdict("a"), of=rule(severity="critical")),
        result(verdict("a"), of=rule(version=2)),
    ):
        (move,) = moves(standing(), now)
        assert move.step is Step.CHANGED


def test_a_state_lasts_until_a_later_run_has_seen_the_finding() -> None:
    assert state(is_open=True, times_reopened=0, since=3, last_seen=3) is State.NEW
    assert state(is_open=True, times_reopened=1, since=3, last_seen=3) is State.REOPENED
    assert state(is_open=True, times_reopened=1, since=3, last_seen=4) is State.PERSISTING
    assert state(is_open=False, times_reopened=1, since=3, last_seen=3) is State.RESOLVED


ACCOUNTS = ["a", "b", "c"]
SOURCES: list[str | None] = ["ldap", "aws", None]
SAID = st.sampled_from([None, Outcome.PASS, VIOLATION, NOT_EVALUABLE])


@st.composite
def results(draw: st.DrawFn) -> RuleResult:
    """One night: each source evaluated, blocked or not asked; each account of an evaluated one with any verdict."""
    scopes, verdicts = [], []
    for source in SOURCES:
        how = draw(st.sampled_from(["evaluated", "blocked", "absent"]))
        if how == "blocked":
            scopes.append(blocked(source))
        if how == "evaluated":
            scopes.append(Scope(source=source))
            said = {account: draw(SAID) for account in ACCOUNTS}
            verdicts += [verdict(account, outcome, source=source) for account, outcome in said.items() if outcome]
    return result(*verdicts, scopes=scopes)


@given(st.lists(results(), max_size=6))
def test_missing_data_never_opens_or_closes_anything(nights: list[RuleResult]) -> None:
    known: dict[str, Standing] = {}
    for night in nights:
        evaluated = {scope.source for scope in night.scopes if not scope.blocked}
        said = {finding_id(RULE, v.subject): v.verdict for v in night.verdicts}
        for move in moves(dict(known), night):
            before = known.get(move.finding_id)
            assert move.source in evaluated
            if before is not None and before.is_open and before.held is VIOLATION:
                assert (move.step is Step.RESOLVED) == (said.get(move.finding_id, Outcome.PASS) is Outcome.PASS)
                assert move.verified == (said.get(move.finding_id) is not NOT_EVALUABLE)
            known[move.finding_id] = Standing(
                move.source, move.step is not Step.RESOLVED, move.held, move.verified, move.content
            )
        for identity_, outcome in said.items():
            assert (identity_ in known and known[identity_].is_open) == (outcome is not Outcome.PASS)
