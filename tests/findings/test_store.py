from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from msgspec.structs import replace
from sqlalchemy.exc import StatementError

from reconciler.errors import ConfigurationError, StoreError
from reconciler.estate.results import Outcome, Scope, State
from reconciler.estate.tables import Coverage
from reconciler.findings.store import FindingStore
from tests.findings.nights import blocked, evaluation, night, only, record, result, rule, verdict

NOT_EVALUABLE = Outcome.NOT_EVALUABLE


def changes(store: FindingStore, finding_id: str) -> list[tuple[str, str, Outcome, str]]:
    _, history = store.show(finding_id)
    return [(c.run_id, c.change, c.verdict, c.reason) for c in history]


def test_a_finding_is_new_then_persisting_then_resolved_then_reopened(store: FindingStore) -> None:
    run = record(store, 0, result(verdict("a", person="p1")))
    assert (run.new, run.persisting, run.resolved, run.reopened, run.unverified) == (1, 0, 0, 0, 0)
    found = only(store.findings())
    assert (found.rule_id, found.rule, found.rule_version) == ("IG-LVR-001", "leaver_can_sign_in", 1)
    assert (found.state, found.verdict, found.severity) == (State.NEW, Outcome.VIOLATION, "high")
    assert (found.source, found.person_id, found.reason) == ("ldap", "p1", "left on 2026-02-01")
    assert list(found.subject.items()) == [("source", "ldap"), ("account_id", "a")]
    assert (found.first_seen, found.last_seen, found.verified) == (night(0), night(0), True)

    run = record(store, 1, result(verdict("a", person="p1")))
    assert (run.new, run.persisting, run.resolved, run.reopened, run.unverified) == (0, 1, 0, 0, 0)
    found = only(store.findings())
    assert (found.state, found.first_seen, found.last_seen) == (State.PERSISTING, night(0), night(1))

    run = record(store, 2, result())
    assert (run.new, run.persisting, run.resolved, run.reopened, run.unverified) == (0, 0, 1, 0, 0)
    found = only(store.findings())
    assert (found.state, found.last_seen, found.resolved_at) == (State.RESOLVED, night(1), night(2))

    assert record(store, 3, result()).resolved == 0
    run = record(store, 4, result(verdict("a", person="p1")))
    assert (run.new, run.persisting, run.resolved, run.reopened, run.unverified) == (0, 0, 0, 1, 0)
    found = only(store.findings())
    assert (found.state, found.first_seen, found.last_seen) == (State.REOPENED, night(0), night(4))
    assert (found.resolved_at, found.times_reopened) == (None, 1)

    record(store, 5, result(verdict("a", person="p1")))
    assert only(store.findings()).state is State.PERSISTING
    assert changes(store, found.finding_id) == [
        ("run-0", "opened", Outcome.VIOLATION, "left on 2026-02-01"),
        ("run-2", "resolved", Outcome.PASS, "evaluated in snapshot snapshot-2 and no longer found"),
        ("run-4", "reopened", Outcome.VIOLATION, "left on 2026-02-01"),
    ]


def test_a_blocked_scope_leaves_its_findings_as_they_were_but_unverified(store: FindingStore) -> None:
    both = [Scope(source="ldap"), Scope(source="aws")]
    record(store, 0, result(verdict("a"), verdict("k", source="aws"), scopes=both))
    run = record(store, 1, result(verdict("k", source="aws"), scopes=[blocked("ldap"), Scope(source="aws")]))
    assert (run.new, run.persisting, run.resolved, run.unverified) == (0, 1, 0, 1)
    ldap, aws = only(store.findings(source="ldap")), only(store.findings(source="aws"))
    assert (ldap.state, ldap.last_seen, ldap.verified) == (State.NEW, night(0), False)
    assert (aws.state, aws.last_seen, aws.verified) == (State.PERSISTING, night(1), True)

    run = record(store, 2, result(verdict("a"), verdict("k", source="aws"), scopes=both))
    assert (run.persisting, run.unverified) == (2, 0)
    ldap = only(store.findings(source="ldap"))
    assert (ldap.state, ldap.last_seen, ldap.verified) == (State.PERSISTING, night(2), True)
    assert len(changes(store, ldap.finding_id)) == 1


def test_a_resolved_finding_in_a_blocked_scope_is_not_known_to_be_gone_still(store: FindingStore) -> None:
    record(store, 0, result(verdict("a")))
    record(store, 1, result())
    assert only(store.findings()).verified
    run = record(store, 2, result(scopes=[blocked()]))
    found = only(store.findings())
    assert (found.state, found.verified, found.resolved_at, run.unverified) == (State.RESOLVED, False, night(1), 0)


def test_findings_of_a_removed_source_or_rule_are_left_alone(store: FindingStore) -> None:
    other = rule("IG-ORP-001", name="orphan")
    record(store, 0, result(verdict("a")), result(verdict("b", rule_id="IG-ORP-001"), of=other))
    run = record(store, 1, result(scopes=[Scope(source="aws")]))
    assert (run.resolved, run.persisting, run.unverified) == (0, 0, 2)
    assert {(f.rule_id, f.state, f.verified) for f in store.findings()} == {
        ("IG-LVR-001", State.NEW, False),
        ("IG-ORP-001", State.NEW, False),
    }


def test_a_violation_that_cannot_be_evaluated_stays_open_and_says_why(store: FindingStore) -> None:
    record(store, 0, result(verdict("a")))
    record(store, 1, result(verdict("a")))
    for number in (2, 3):
        run = record(store, number, result(verdict("a", NOT_EVALUABLE, reason="status is not known")))
        assert (run.persisting, run.resolved, run.unverified) == (0, 0, 1)
        found = only(store.findings())
        assert (found.verdict, found.state, found.verified) == (Outcome.VIOLATION, State.PERSISTING, False)
        assert (found.reason, found.last_seen) == ("left on 2026-02-01", night(1))
    run = record(store, 4, result(verdict("a")))
    found = only(store.findings())
    assert (run.persisting, run.unverified, found.verified, found.last_seen) == (1, 0, True, night(4))
    assert [(run_id, verdict_) for run_id, _, verdict_, _ in changes(store, found.finding_id)] == [
        ("run-0", Outcome.VIOLATION),
        ("run-2", NOT_EVALUABLE),
        ("run-4", Outcome.VIOLATION),
    ]


def test_an_unverified_violation_that_then_passes_is_resolved_and_keeps_when_it_was_seen(store: FindingStore) -> None:
    record(store, 0, result(verdict("a")))
    record(store, 1, result(verdict("a", NOT_EVALUABLE)))
    assert record(store, 2, result()).resolved == 1
    found = only(store.findings())
    assert (found.state, found.last_seen, found.verified) == (State.RESOLVED, night(0), True)
    record(store, 3, result(verdict("a", NOT_EVALUABLE)))
    found = only(store.findings())
    assert (found.state, found.verdict, found.verified) == (State.REOPENED, NOT_EVALUABLE, True)


def test_what_was_never_evaluable_is_listed_and_becomes_a_violation_or_goes(store: FindingStore) -> None:
    unknown = [verdict(name, NOT_EVALUABLE, reason="status is not known") for name in ("a", "b")]
    record(store, 0, result(*unknown))
    assert {f.verdict for f in store.findings()} == {NOT_EVALUABLE}
    run = record(store, 1, result(verdict("a")))
    assert (run.new, run.persisting, run.resolved) == (0, 1, 1)
    a = only(store.findings(open_only=True))
    assert (a.verdict, a.reason, a.subject["account_id"]) == (Outcome.VIOLATION, "left on 2026-02-01", "a")
    assert [change for _, change, _, _ in changes(store, a.finding_id)] == ["opened", "changed"]


def test_what_a_rule_says_anew_is_kept_and_told(store: FindingStore) -> None:
    record(store, 0, result(verdict("a")))
    told = verdict("a", reason="left on 2026-01-31", person="p2")
    record(store, 1, result(told, of=rule(version=2, severity="critical", name="leaver_signs_in")))
    found = only(store.findings())
    assert (found.reason, found.person_id, found.rule_version) == ("left on 2026-01-31", "p2", 2)
    assert (found.severity, found.rule, found.state) == ("critical", "leaver_signs_in", State.PERSISTING)
    _, history = store.show(found.finding_id)
    assert [(c.at, c.change, c.severity, c.rule_version) for c in history] == [
        (night(0), "opened", "high", 1),
        (night(1), "changed", "critical", 2),
    ]


def test_a_rule_of_the_whole_estate_has_a_scope_without_a_source(store: FindingStore) -> None:
    whole = [Scope(source=None, population=3)]
    record(store, 0, result(verdict("a", source=None), scopes=whole))
    assert only(store.findings()).source is None
    assert record(store, 1, result(scopes=[Scope(source="ldap")])).resolved == 0
    assert record(store, 2, result(scopes=whole)).resolved == 1


def test_a_run_is_read_as_it_was_recorded(store: FindingStore) -> None:
    assert store.last_run() is None
    assert store.runs() == []
    coverage = (
        Coverage(source="ldap", table_name="accounts", partition="", status="PARTIAL", rows=3, gaps=["page 2"]),
        Coverage(source="aws", table_name="accounts", partition="1", status="COMPLETE", rows=9, canaries=["c"]),
    )
    scopes = [blocked("ldap"), Scope(source="aws", population=9, violations=1, passes=7, not_applicable=1)]
    silent = result(scopes=[], of=rule("IG-ORP-001"))
    seen = result(verdict("k", source="aws"), scopes=scopes)
    run = record(store, 0, seen, silent, coverage=coverage)
    assert run.rules == (rule(), rule("IG-ORP-001"))
    assert run.scopes == {"IG-LVR-001": tuple(scopes), "IG-ORP-001": ()}
    assert run.coverage == coverage
    assert (run.estate, run.snapshot, run.digest) == ("acme", "snapshot-0", "d1")
    assert (run.as_of, run.recorded_at) == (night(0), night(0) + timedelta(hours=2))
    assert store.last_run() == store.run("run-0") == store.run_of_snapshot("snapshot-0") == run


def test_runs_are_listed_newest_first(store: FindingStore) -> None:
    record(store, 0, result())
    record(store, 0, result(), run_id="again")
    record(store, 1, result())
    assert [run.run_id for run in store.runs()] == ["run-1", "again", "run-0"]
    assert [run.run_id for run in store.runs(2)] == ["run-1", "again"]
    again = store.run_of_snapshot("snapshot-0")
    assert again is not None
    assert again.run_id == "again"
    assert store.run_of_snapshot("snapshot-9") is None
    with pytest.raises(ConfigurationError, match="no run run-9"):
        store.run("run-9")


def test_a_run_out_of_turn_is_refused_and_changes_nothing(store: FindingStore) -> None:
    record(store, 5, result(verdict("a")))
    with pytest.raises(StoreError, match="run-5 is recorded already"):
        record(store, 6, result(), run_id="run-5")
    with pytest.raises(StoreError, match="before the last recorded run") as refused:
        record(store, 4, result())
    assert "run --replay snapshot-4" in refused.value.advice
    with pytest.raises(StoreError, match="the findings of estate 'acme', not of 'other'"):
        record(store, 6, result(), estate="other")
    assert [run.run_id for run in store.runs()] == ["run-5"]
    assert only(store.findings()).state is State.NEW


def test_a_rule_that_contradicts_itself_loses_the_run_but_nothing_else(store: FindingStore) -> None:
    record(store, 0, result(verdict("a")))
    with pytest.raises(ConfigurationError, match="two verdicts for one subject"):
        record(store, 1, result(verdict("b"), verdict("b")))
    assert [run.run_id for run in store.runs()] == ["run-0"]
    assert only(store.findings()).subject["account_id"] == "a"


def test_instants_keep_their_zone_and_microseconds(store: FindingStore) -> None:
    kathmandu = timezone(timedelta(hours=5, minutes=45))
    as_of = datetime(2026, 3, 1, 8, 0, 0, 123456, tzinfo=kathmandu)
    store.record(
        replace(evaluation(result(verdict("a"))), as_of=as_of),
        run_id="r",
        estate="acme",
        coverage=(),
        recorded_at=as_of,
    )
    run, found = store.run("r"), only(store.findings())
    for instant in (run.as_of, run.recorded_at, found.first_seen, found.last_seen):
        assert instant == as_of
        assert instant.tzinfo is UTC
    with pytest.raises(StatementError, match="no time zone"):
        store.record(
            replace(evaluation(result()), as_of=night(1)),
            run_id="r2",
            estate="acme",
            coverage=(),
            recorded_at=datetime(2026, 3, 2),  # noqa: DTZ001 - the naive instant is the point
        )


def test_text_of_any_kind_survives(store: FindingStore) -> None:
    odd = "Zoë O'Neil ; DROP TABLE findings;-- \u202e 漢字 \U0001f512 %s :name"
    record(
        store, 0, result(verdict(odd, reason=odd, person=odd), verdict("nul\x00", reason="nul\x00", person="nul\x00"))
    )
    plain = only(store.findings(person=odd))
    assert (plain.subject["account_id"], plain.reason) == (odd, odd)
    assert {(f.subject["account_id"], f.reason) for f in store.findings()} == {(odd, odd), ("nul\x00", "nul\ufffd")}
    assert record(store, 1, result(verdict(odd, reason=odd, person=odd))).persisting == 1


def test_findings_are_listed_worst_first(store: FindingStore) -> None:
    both = [Scope(source="ldap"), Scope(source="aws")]
    low = rule("IG-AAA-001", severity="low")
    worst = rule("IG-ZZZ-001", severity="critical")
    record(
        store,
        0,
        result(verdict("a", rule_id=low.rule_id), of=low),
        result(verdict("b"), verdict("a"), verdict("z", source="aws"), scopes=both),
        result(verdict(None, rule_id=worst.rule_id), verdict("a", rule_id=worst.rule_id), of=worst),
    )
    assert [(f.severity, f.rule_id, f.source, f.subject["account_id"]) for f in store.findings()] == [
        ("critical", "IG-ZZZ-001", "ldap", None),
        ("critical", "IG-ZZZ-001", "ldap", "a"),
        ("high", "IG-LVR-001", "aws", "z"),
        ("high", "IG-LVR-001", "ldap", "a"),
        ("high", "IG-LVR-001", "ldap", "b"),
        ("low", "IG-AAA-001", "ldap", "a"),
    ]


def test_findings_are_listed_by_what_is_asked(store: FindingStore) -> None:
    low = rule("IG-ORP-001", name="orphan", severity="low")
    both = [Scope(source="ldap"), Scope(source="aws")]
    record(store, 0, result(verdict("gone"), verdict("back")), result(of=low, scopes=both))
    record(store, 1, result(), result(of=low, scopes=both))
    record(
        store,
        2,
        result(verdict("back"), verdict("fresh", person="p1")),
        result(verdict("k", NOT_EVALUABLE, source="aws", rule_id=low.rule_id), of=low, scopes=both),
    )

    def listed(**asked: object) -> set[str | None]:
        return {f.subject["account_id"] for f in store.findings(**asked)}  # type: ignore[arg-type]  # any filter by name

    assert listed() == {"gone", "back", "fresh", "k"}
    assert listed(open_only=True) == {"back", "fresh", "k"}
    assert listed(state=State.NEW) == {"fresh", "k"}
    assert listed(state=State.REOPENED) == {"back"}
    assert listed(state=State.RESOLVED) == {"gone"}
    assert listed(state=State.PERSISTING) == set()
    assert listed(rule="IG-ORP-001") == listed(rule="orphan") == {"k"}
    assert listed(severity="high", open_only=True) == {"back", "fresh"}
    assert listed(source="aws") == listed(verdict=NOT_EVALUABLE) == {"k"}
    assert listed(person="p1") == {"fresh"}
    assert listed(state="new", verdict="not_evaluable") == {"k"}
    assert listed(state="resolved", severity="high", verdict="violation") == {"gone"}
    assert listed(state=State.NEW, source="ldap", rule="leaver_can_sign_in") == {"fresh"}


def test_a_mistyped_rule_or_source_is_no_empty_list(store: FindingStore) -> None:
    assert store.findings(rule="IG-LVR-01") == []  # nothing is recorded yet: there is nothing to be misled by
    record(store, 0, result())
    assert store.findings(rule="IG-LVR-001", source="ldap") == store.findings(rule="leaver_can_sign_in") == []
    with pytest.raises(ConfigurationError, match="a rule 'IG-LVR-01'") as refused:
        store.findings(rule="IG-LVR-01")
    assert "IG-LVR-001" in refused.value.advice
    with pytest.raises(ConfigurationError, match="in source 'ldpa'") as refused:
        store.findings(source="ldpa")
    assert "ldap" in refused.value.advice


def test_a_mistyped_word_is_no_empty_list(store: FindingStore) -> None:
    for wrong in ({"state": "gone"}, {"severity": "hihg"}, {"verdict": "fail"}):
        with pytest.raises(ConfigurationError, match="cannot be listed by that") as refused:
            store.findings(**wrong)  # type: ignore[arg-type]  # mistyped on purpose
        assert (
            "state: new, persisting, resolved, reopened, suppressed, held; severity: critical, high"
            in refused.value.advice
        )


def test_a_finding_is_shown_by_the_beginning_of_its_id(store: FindingStore) -> None:
    record(store, 0, result(*(verdict(f"account-{n}") for n in range(40))))
    found = store.findings()[7]
    assert store.show(found.finding_id)[0] == found
    assert store.show(found.finding_id.upper())[0] == found
    assert store.show(f" {found.finding_id[2:14]} ")[0] == found
    shared = next(f for f in store.findings() if sum(g.finding_id[2] == f.finding_id[2] for g in store.findings()) > 1)
    with pytest.raises(ConfigurationError, match="fits several findings: F-"):
        store.show(shared.finding_id[:3])
    with pytest.raises(ConfigurationError, match="there is no finding F-00000000000000000000"):
        store.show("F-" + "0" * 20)
    for wrong in ("", "F-", "F-xyz", "F-%", "IG-LVR-001"):
        with pytest.raises(ConfigurationError, match="is no finding id"):
            store.show(wrong)


def test_accepted_drops_are_kept_newest_first(store: FindingStore) -> None:
    assert store.accepted_drops() == []
    drops = [
        store.accept_drop(
            source=source,
            table_name="accounts",
            snapshot=f"s{number}",
            rows_before=5_000_000_000,
            rows_accepted=400,
            accepted_by="Mia Jansen",
            reason="the Lyon site was sold",
            at=night(number),
        )
        for number, source in enumerate(["ldap", "aws"])
    ]
    assert store.accepted_drops() == drops[::-1]
    assert store.accepted_drops(source="ldap") == drops[:1]
    assert store.accepted_drops(source="ldap", table_name="grants") == []
    assert drops[0].at == night(0)


def test_a_drop_is_not_accepted_without_name_reason_or_drop(store: FindingStore) -> None:
    drop: dict[str, object] = {
        "source": "ldap",
        "table_name": "accounts",
        "snapshot": "s",
        "rows_before": 500,
        "rows_accepted": 100,
        "accepted_by": "Mia",
        "reason": "sold",
        "at": night(0),
    }
    for wrong, message in (
        ({"accepted_by": "  "}, "a name is missing"),
        ({"reason": ""}, "a reason is missing"),
        ({"rows_accepted": 500}, "is no drop"),
        ({"rows_accepted": -1}, "is no drop"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            store.accept_drop(**drop | wrong)  # type: ignore[arg-type]  # one field is wrong on purpose
    assert store.accepted_drops() == []


def test_more_findings_than_fit_one_statement(store: FindingStore) -> None:
    many = [verdict(f"a{n}") for n in range(4_500)]
    assert record(store, 0, result(*many)).new == 4_500
    assert record(store, 1, result(*many[:10])).resolved == 4_490
    run = record(store, 2, result(*many))
    assert (run.persisting, run.reopened) == (10, 4_490)
    assert sum(f.times_reopened for f in store.findings()) == 4_490
