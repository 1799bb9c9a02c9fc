"""Findings under an exception, and new ones held for acceptance, on both databases."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
import pytest

from reconciler.errors import ConfigurationError
from reconciler.estate.results import ExceptionState, Outcome, RuleResult, Run, Scope, State, Verdict
from reconciler.findings.store import FindingStore
from tests.findings.nights import blocked, evaluation, night, only, result, rule, verdict

RULE = "IG-LVR-001"
END = night(40)


def under(found: Verdict, exception: str = "X1", until: datetime = END) -> Verdict:
    return msgspec.structs.replace(found, exception=exception, excepted_until=until)


def exception(name: str = "X1", **changes: object) -> ExceptionState:
    return msgspec.structs.replace(ExceptionState(exception_id=name, rule_id=RULE, expires_at=END), **changes)


def live(
    store: FindingStore,
    number: int,
    *results: RuleResult,
    exceptions: tuple[ExceptionState, ...] = (),
    unread: tuple[str, ...] = (),
    limit: int | None = None,
) -> Run:
    """Record the night of that number."""
    judged = msgspec.structs.replace(
        evaluation(*results, number=number), exceptions=exceptions, exceptions_unread=unread
    )
    return store.record(
        judged,
        run_id=f"run-{number}",
        estate="acme",
        coverage=(),
        recorded_at=night(number),
        limit=None if limit is None else lambda _rule, _scope: limit,
    )


def history(store: FindingStore) -> list[tuple[str, str]]:
    _, changes = store.show(only(store.findings()).finding_id)
    return [(change.change, change.reason) for change in changes]


def test_a_suppressed_finding_is_listed_and_does_not_count_as_open(store: FindingStore) -> None:
    run = live(store, 0, result(under(verdict("a")), verdict("b")), exceptions=(exception(suppresses=1),))
    assert (run.new, run.suppressed, run.unverified) == (1, 1, 0)
    assert run.exceptions == (exception(suppresses=1),)
    found = only(store.findings(state=State.SUPPRESSED))
    assert (found.state, found.exception, found.excepted_until) == (State.SUPPRESSED, "X1", END)
    assert [f.subject["account_id"] for f in store.findings(open_only=True)] == ["b"]
    again = live(store, 1, result(under(verdict("a")), verdict("b")), exceptions=(exception(),))
    assert (again.persisting, again.suppressed, again.unverified) == (1, 1, 0)


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (exception(expires_at=night(1)), "exception X1 ended on 2026-03-02; left on 2026-02-01"),
        (
            exception(no_effect="its status is 'revoked'"),
            "exception X1 ended on 2026-03-03: its status is 'revoked'; left on 2026-02-01",
        ),
        (None, "exception X1 ended on 2026-03-03: its register does not hold it any more; left on 2026-02-01"),
        (exception(), "exception X1 ended on 2026-03-03: it does not cover this; left on 2026-02-01"),
    ],
)
def test_when_an_exception_ends_the_finding_reopens_and_says_why(
    store: FindingStore, known: ExceptionState | None, said: str
) -> None:
    live(store, 0, result(verdict("a")))
    live(store, 1, result(under(verdict("a"))), exceptions=(exception(),))
    run = live(store, 2, result(verdict("a")), exceptions=(known,) if known else ())
    assert (run.reopened, run.suppressed, run.unverified) == (1, 0, 0)
    found = only(store.findings())
    assert (found.state, found.exception, found.times_reopened) == (State.REOPENED, None, 1)
    assert [change for change, _ in history(store)] == ["opened", "suppressed", "reopened"]
    assert history(store)[-1][1] == said
    live(store, 3, result(verdict("a")))
    assert only(store.findings()).state is State.PERSISTING


def test_exceptions_that_cannot_be_read_neither_open_nor_close(store: FindingStore) -> None:
    live(store, 0, result(under(verdict("a"))), exceptions=(exception(),))
    unread = ("qms: exceptions is FAILED",)
    for number in (1, 2):
        run = live(store, number, result(verdict("a"), verdict("b")), unread=unread)
        found = only(store.findings(state=State.SUPPRESSED))
        assert (found.verified, found.exception, run.suppressed) == (False, "X1", 1)
        assert run.exceptions_unread == unread
    assert [f.subject["account_id"] for f in store.findings(open_only=True)] == ["b"]
    _, changes = store.show(found.finding_id)
    assert [change.change for change in changes] == ["suppressed", "changed"], "the doubt is written once"
    assert "whether exception X1 still covers it is unknown: qms: exceptions is FAILED" in changes[-1].reason
    live(store, 3, result(under(verdict("a")), verdict("b")), exceptions=(exception(),))
    assert only(store.findings(state=State.SUPPRESSED)).verified


def test_figures_count_as_excepted_what_stays_suppressed_while_exceptions_cannot_be_read(store: FindingStore) -> None:
    scope = Scope(source="ldap", population=3, passes=1, violations=1, excepted=1)
    live(store, 0, result(under(verdict("a")), verdict("b"), scopes=[scope]), exceptions=(exception(),))
    blind = Scope(source="ldap", population=3, passes=1, violations=2)
    run = live(store, 1, result(verdict("a"), verdict("b"), scopes=[blind]), unread=("qms: exceptions is FAILED",))
    assert run.scopes[RULE] == (scope,), "the figures say what the findings do"
    assert run.suppressed == 1
    again = live(store, 2, result(verdict("a"), verdict("b"), scopes=[blind]))
    assert again.scopes[RULE] == (blind,), "over is over"


def test_what_an_exception_is_matched_by_and_cannot_be_read_leaves_it_standing(store: FindingStore) -> None:
    live(store, 0, result(under(verdict("a"))), exceptions=(exception(),))
    doubtful = [Scope(source="ldap", unmatched=("qms: people is FAILED",))]
    live(store, 1, result(verdict("a"), scopes=doubtful), exceptions=(exception(),))
    assert only(store.findings()).state is State.SUPPRESSED
    assert store.runs()[0].scopes[RULE] == tuple(doubtful)
    over = exception(no_effect="it ended", expires_at=night(1))
    live(store, 2, result(verdict("a"), scopes=doubtful), exceptions=(over,))
    assert only(store.findings()).state is State.REOPENED, "that it is over is known"


def test_a_suppressed_violation_that_cannot_be_judged_stays_until_its_exception_ends(store: FindingStore) -> None:
    live(store, 0, result(under(verdict("a"))), exceptions=(exception(),))
    live(store, 1, result(scopes=[blocked()]), exceptions=(exception(),))
    assert (only(store.findings()).state, only(store.findings()).verified) == (State.SUPPRESSED, False)
    unknown = verdict("a", Outcome.NOT_EVALUABLE, reason="status unknown")
    live(store, 2, result(under(unknown)), exceptions=(exception(),))
    assert (only(store.findings()).state, only(store.findings()).verified) == (State.SUPPRESSED, False)
    run = live(store, 3, result(unknown), exceptions=(exception(expires_at=night(2)),))
    found = only(store.findings())
    assert (found.verdict, found.verified, found.exception) == (Outcome.VIOLATION, False, None)
    assert (run.unverified, run.suppressed) == (1, 0)
    assert history(store)[-1][0] == "reopened"


def test_what_an_exception_covered_is_open_again_when_it_ends_though_its_source_cannot_be_read(
    store: FindingStore,
) -> None:
    live(store, 0, result(under(verdict("a")), verdict("b")), exceptions=(exception(),))
    live(store, 1, result(scopes=[blocked()]), exceptions=(exception(),))
    live(store, 2, result(scopes=[blocked()]), unread=("qms: exceptions is FAILED",))
    assert len(store.findings(state=State.SUPPRESSED)) == 1
    run = live(store, 3, result(scopes=[blocked()]), exceptions=(exception(expires_at=night(1), no_effect="over"),))
    assert (run.reopened, run.suppressed, run.unverified) == (0, 0, 2)
    found = only([f for f in store.findings() if f.subject["account_id"] == "a"])
    assert (found.state, found.verified, found.exception, found.last_seen) == (State.REOPENED, False, None, night(0))
    _, changes = store.show(found.finding_id)
    assert [change.change for change in changes] == ["suppressed", "reopened"]
    assert changes[-1].reason == "exception X1 ended on 2026-03-02; what is there now could not be judged"
    assert changes[-1].verdict is Outcome.VIOLATION
    live(store, 4, result(scopes=[blocked()]))
    assert len(store.show(found.finding_id)[1]) == 2, "it is said once"
    live(store, 5, result(verdict("a"), verdict("b")))
    assert [f.state for f in store.findings()] == [State.PERSISTING] * 2


def test_a_mass_of_exceptions_that_end_is_held_though_their_source_cannot_be_read(store: FindingStore) -> None:
    live(store, 0, result(*(under(v) for v in MANY)), exceptions=(exception(),), limit=2)
    run = live(store, 1, result(scopes=[blocked()]), exceptions=(exception(no_effect="it ended"),), limit=2)
    assert (run.held, run.suppressed, run.unverified) == (4, 0, 0)
    accepted = store.accept_findings(rule=RULE, source="ldap", by="Ada", reason="seen", at=night(1))
    assert accepted.findings == 4
    assert {f.verified for f in store.findings(open_only=True)} == {False}
    assert live(store, 2, result(*MANY), limit=2).persisting == 4


def test_a_renewed_exception_is_a_change_and_a_cured_subject_resolves(store: FindingStore) -> None:
    live(store, 0, result(under(verdict("a"))), exceptions=(exception(),))
    later = END + timedelta(days=90)
    live(store, 1, result(under(verdict("a"), until=later)), exceptions=(exception(expires_at=later),))
    assert only(store.findings()).excepted_until == later
    run = live(store, 2, result())
    assert (run.resolved, run.suppressed) == (1, 0)
    assert (only(store.findings()).state, only(store.findings()).exception) == (State.RESOLVED, None)
    live(store, 3, result(under(verdict("a"))), exceptions=(exception(),))
    assert (only(store.findings()).state, only(store.findings()).times_reopened) == (State.SUPPRESSED, 0)
    assert [change for change, _ in history(store)] == ["suppressed", "changed", "resolved", "suppressed"]


MANY = [verdict(name) for name in "abcd"]


def test_the_first_run_holds_nothing_and_later_more_than_the_limit_is_held(store: FindingStore) -> None:
    assert live(store, 0, result(*MANY[:2]), limit=1).held == 0
    run = live(store, 1, result(*MANY), limit=1)
    assert (run.new, run.persisting, run.held, run.unverified) == (0, 2, 2, 0)
    assert {f.subject["account_id"] for f in store.findings(state=State.HELD)} == {"c", "d"}
    assert len(store.findings(open_only=True)) == 2
    _, (change,) = store.show(store.findings(state=State.HELD)[0].finding_id)
    assert change.change == "held"
    assert change.reason.startswith("held: 2 new violations are more than the limit of 1; left on")


def test_a_rule_that_is_new_to_an_estate_with_history_is_held_too(store: FindingStore) -> None:
    live(store, 0, result(verdict("a")), limit=1)
    other = rule("IG-ORP-001", name="orphan")
    found = [verdict(name, rule_id="IG-ORP-001") for name in "xy"]
    assert live(store, 1, result(verdict("a")), result(*found, of=other), limit=1).held == 2


def test_a_first_run_that_could_judge_nothing_is_no_history(store: FindingStore) -> None:
    live(store, 0, result(scopes=[blocked()]), limit=1)
    run = live(store, 1, result(*MANY), limit=1)
    assert (run.new, run.held) == (4, 0)


def test_the_limit_is_of_each_source_and_counts_what_is_held_already(store: FindingStore) -> None:
    both = [Scope(source="ldap"), Scope(source="aws")]
    live(store, 0, result(scopes=both), limit=2)
    far = verdict("z", source="aws")
    run = live(store, 1, result(*MANY[:3], far, scopes=both), limit=2)
    assert (run.new, run.held) == (1, 3)
    second = live(store, 2, result(*MANY, far, scopes=both), limit=2)
    assert (second.new, second.persisting, second.held) == (0, 1, 4), "one more the next night does not slip through"
    gone = live(store, 3, result(far, scopes=both), limit=2)
    assert (gone.held, gone.persisting) == (0, 1)
    assert all(f.state is State.RESOLVED for f in store.findings(source="ldap"))
    back = live(store, 4, result(*MANY[:2], far, scopes=both), limit=2)
    assert (back.reopened, back.held) == (2, 0)


def test_what_is_not_evaluable_is_never_held_but_counts_once_it_is_a_violation(store: FindingStore) -> None:
    unknown = [verdict(name, Outcome.NOT_EVALUABLE) for name in "abc"]
    live(store, 0, result(), limit=2)
    assert live(store, 1, result(*unknown), limit=2).new == 3
    assert live(store, 2, result(*MANY[:3]), limit=2).held == 3


def test_a_mass_of_exceptions_that_end_is_held(store: FindingStore) -> None:
    live(store, 0, result(*(under(v) for v in MANY)), exceptions=(exception(),), limit=2)
    run = live(store, 1, result(*MANY), exceptions=(exception(expires_at=night(0)),), limit=2)
    assert (run.held, run.suppressed, run.reopened) == (4, 0, 0)
    _, changes = store.show(store.findings(state=State.HELD)[0].finding_id)
    assert "exception X1 ended on 2026-03-01; left" in changes[-1].reason


def test_an_acceptance_releases_what_is_held_and_is_kept(store: FindingStore) -> None:
    live(store, 0, result(scopes=[Scope(source="ldap"), Scope(source="aws")]), limit=1)
    far = [verdict(name, source="aws") for name in "ab"]
    live(store, 1, result(*MANY, *far, scopes=[Scope(source="ldap"), Scope(source="aws")]), limit=1)
    accepted = store.accept_findings(rule=RULE, source="ldap", by=" Ada ", reason="new office", at=night(1))
    assert (accepted.findings, accepted.accepted_by) == (4, "Ada")
    assert {f.state for f in store.findings(source="ldap")} == {State.NEW}
    assert {f.state for f in store.findings(source="aws")} == {State.HELD}
    _, changes = store.show(store.findings(source="ldap")[0].finding_id)
    assert changes[-1].change == "accepted"
    assert changes[-1].reason == "accepted by Ada on 2026-03-02 02:15: new office"
    assert (
        store.accept_findings(rule="leaver_can_sign_in", source=None, by="Bob", reason="y", at=night(1)).findings == 2
    )
    assert [(a.accepted_by, a.source) for a in store.accepted_findings()] == [("Bob", None), ("Ada", "ldap")]
    run = live(store, 2, result(*MANY, *far, scopes=[Scope(source="ldap"), Scope(source="aws")]), limit=1)
    assert (run.persisting, run.held) == (6, 0)


def test_an_acceptance_without_a_name_a_reason_or_anything_held_is_refused(store: FindingStore) -> None:
    live(store, 0, result(), limit=1)
    with pytest.raises(ConfigurationError, match="nothing of rule IG-LVR-001 is held") as refused:
        store.accept_findings(rule=RULE, source=None, by="Ada", reason="x", at=night(0))
    assert "no finding is held" in refused.value.advice
    live(store, 1, result(*MANY), limit=1)
    for by, reason in ((" ", "x"), ("Ada", "")):
        with pytest.raises(ConfigurationError, match="by a named person with a reason"):
            store.accept_findings(rule=RULE, source=None, by=by, reason=reason, at=night(1))
    with pytest.raises(ConfigurationError, match="is held in aws") as elsewhere:
        store.accept_findings(rule=RULE, source="aws", by="Ada", reason="x", at=night(1))
    assert RULE in elsewhere.value.advice
    assert len(store.findings(state=State.HELD)) == 4
    assert store.accepted_findings() == []


def test_the_name_of_several_rules_releases_none_of_them(store: FindingStore) -> None:
    live(store, 0, result(), limit=1)
    copied = rule("OWN-LVR-001")
    theirs = [verdict(name, rule_id="OWN-LVR-001") for name in "ab"]
    assert live(store, 1, result(*MANY), result(*theirs, of=copied), limit=1).held == 6
    with pytest.raises(ConfigurationError, match="rules IG-LVR-001, OWN-LVR-001 are all named leaver_can_sign_in"):
        store.accept_findings(rule="leaver_can_sign_in", source=None, by="Ada", reason="x", at=night(1))
    assert store.accept_findings(rule="OWN-LVR-001", source=None, by="Ada", reason="x", at=night(1)).findings == 2
