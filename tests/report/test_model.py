"""The model claims no more than the run saw."""

import csv
import io
from datetime import timedelta
from typing import Any

import pytest

from reconciler.errors import ConfigurationError
from reconciler.estate.results import Outcome, Scope, State
from reconciler.report import build
from reconciler.report.delimited import to_csv
from reconciler.report.model import pass_rate, standing
from reconciler.report.page import to_html
from reconciler.report.wording import count, joined, percent
from tests.report.made_up import AS_OF, finding, read, rule, run


def test_all_seen_and_nothing_found_is_the_only_way_to_no_violations_stand() -> None:
    model = build(run(), [], time_zone="UTC")
    assert model.coverage.complete
    assert model.sentences == ("No violations stand.",)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"coverage": ()}, "Nothing was read in this run"),
        ({"rules": (), "scopes": {}}, "No rule was evaluated"),
        ({"scopes": {}}, "1 rule could not judge everywhere"),
        (
            {"scopes": {"IG-LVR-001": (Scope(source="aws", blocked=("aws accounts FAILED",)),)}},
            "1 rule could not judge",
        ),
    ],
)
def test_each_way_of_not_seeing_is_said_and_no_calm_is_claimed(changes: dict[str, Any], said: str) -> None:
    model = build(run(**changes), [], time_zone="UTC")
    assert not model.coverage.complete
    assert model.sentences[0] == "No violations are known, in the part that could be seen."
    assert said in model.headline


@pytest.mark.parametrize("status", ["PARTIAL", "FAILED", None])
def test_one_bad_partition_makes_the_whole_read_bad_and_a_lost_status_is_not_complete(status: str | None) -> None:
    parts = (
        read(partition="a", rows=10),
        read(partition="b", rows=None, status=status, gaps=["refused", "refused"]),
        read(partition="c", rows=5),
    )
    model = build(run(coverage=parts), [], time_zone="UTC")
    (cell,) = model.coverage.reads
    assert cell.status == (status or "UNKNOWN")
    assert (cell.rows, cell.partitions, cell.incomplete, cell.gaps) == (None, 3, ("b",), ("refused",))
    assert "1 of 1 table could not be read whole" in model.headline


def test_an_incomplete_read_without_a_reason_says_that_there_is_none() -> None:
    model = build(run(coverage=(read(status="PARTIAL"),)), [], time_zone="UTC")
    assert model.coverage.missing[0].gaps == ("The source gave no reason.",)


def test_tables_stand_in_the_estates_order_and_unknown_ones_last() -> None:
    coverage = (read("b", "zebras"), read("b", "people"), read("a", "grants"), read("a", "accounts"))
    seen = build(run(coverage=coverage), [], time_zone="UTC").coverage
    assert seen.tables == ("accounts", "grants", "people", "zebras")
    assert seen.sources == ("a", "b")
    assert seen.read("a", "people") is None


def test_what_the_last_run_could_not_verify_counts_neither_as_new_nor_as_persisting() -> None:
    findings = [
        finding(1, state=State.NEW),
        finding(2, state=State.NEW, verified=False),
        finding(3, state=State.PERSISTING, verified=False),
        finding(4, state=State.REOPENED),
        finding(5, state=State.PERSISTING),
    ]
    model = build(run(), findings, time_zone="UTC")
    tally = model.tallies[0]
    assert (tally.severity, tally.new, tally.persisting, tally.reopened, tally.unverified) == ("critical", 1, 1, 1, 2)
    assert tally.open == 5
    assert [standing(f) for f in model.violations[0].findings] == [
        "new",
        "reopened",
        "persisting",
        "unverified",
        "unverified",
    ]
    assert model.headline == (
        "3 violations stand: 3 critical; 2 more are last known, not verified by this run. 1 is new and 1 has come back."
    )


def test_the_count_of_an_earlier_night_is_never_given_as_tonight_s() -> None:
    dark = (read("corp-ldap", "accounts", status="FAILED", gaps=["refused"]),)
    known = [finding(n, verified=False) for n in range(3)]
    unknown = [finding(n, verdict=Outcome.NOT_EVALUABLE, verified=False) for n in range(10, 14)]
    model = build(run(coverage=dark), [*known, *unknown], time_zone="UTC")
    assert model.sentences[:2] == (
        "No violations were found, in the part that could be seen; 3 are last known, not verified by this run.",
        "4 subjects without a verdict are last known, not verified by this run.",
    )
    assert (model.tallies[0].verified, model.tallies[0].unverified) == (0, 3)
    mixed = build(run(coverage=dark), [*unknown, finding(1, verdict=Outcome.NOT_EVALUABLE)], time_zone="UTC")
    assert (
        "1 subject could not be judged for want of data; 4 more are last known, not verified by this run."
        in mixed.sentences
    )


def test_what_cannot_be_evaluated_is_neither_a_violation_nor_resolved() -> None:
    findings = [finding(1, verdict=Outcome.NOT_EVALUABLE), finding(2)]
    model = build(run(), findings, time_zone="UTC")
    assert [len(group.findings) for group in (*model.violations, *model.not_evaluable)] == [1, 1]
    assert sum(tally.open for tally in model.tallies) == 1
    assert "1 subject could not be judged for want of data." in model.sentences


def test_only_what_this_run_resolved_counts_as_resolved_by_it() -> None:
    night = run()
    gone = {"state": State.RESOLVED}
    findings = [
        finding(1, **gone, resolved_at=night.as_of),
        finding(2, **gone, resolved_at=night.recorded_at),
        finding(3, **gone, resolved_at=night.as_of - timedelta(days=1)),
        finding(4, **gone, resolved_at=night.as_of, verdict=Outcome.NOT_EVALUABLE),
    ]
    model = build(night, findings, time_zone="UTC")
    assert model.tallies[0].resolved == 2
    assert "2 were resolved by this run." in model.sentences
    assert sum(len(group.findings) for group in model.resolved) == 4
    assert not model.violations


def test_groups_come_worst_first_then_largest() -> None:
    findings = [
        finding(1, "IG-CRD-001"),
        finding(2, "IG-APR-001", source="aws"),
        *(finding(n, "IG-APR-001") for n in range(3, 6)),
        finding(9, "IG-LVR-001"),
    ]
    rules = [rule(name) for name in ("IG-CRD-001", "IG-APR-001", "IG-LVR-001")]
    model = build(run(rules=rules), findings, time_zone="UTC")
    assert [(group.rule_id, group.source) for group in model.violations] == [
        ("IG-LVR-001", "corp-ldap"),
        ("IG-APR-001", "corp-ldap"),
        ("IG-APR-001", "aws"),
        ("IG-CRD-001", "corp-ldap"),
    ]
    assert model.violations[1].columns == ("account_id", "entitlement_id")
    assert [check.rule.rule_id for check in model.checks] == ["IG-LVR-001", "IG-APR-001", "IG-CRD-001"]
    assert len({f.finding_id for f in model.findings}) == len(findings)


def test_what_all_subjects_of_a_group_share_is_said_once_but_an_id_stays_with_its_subject() -> None:
    subjects: list[dict[str, str | None]] = [
        {"source": "aws", "account_id": "a", "assignment": "direct", "entitlement_id": "same"},
        {"source": "aws", "account_id": "b", "assignment": "direct", "entitlement_id": "same"},
    ]
    findings = [finding(n, source="aws", subject=subject) for n, subject in enumerate(subjects)]
    (group,) = build(run(), findings, time_zone="UTC").violations
    assert (group.columns, group.shared) == (("account_id", "entitlement_id"), (("assignment", "direct"),))
    (alone,) = build(run(), findings[:1], time_zone="UTC").violations
    assert (alone.columns, alone.shared) == (("account_id", "assignment", "entitlement_id"), ())


def test_the_order_does_not_depend_on_the_order_given() -> None:
    findings = [finding(n, state=state) for n, state in enumerate(State)]
    assert build(run(), findings, time_zone="UTC") == build(run(), findings[::-1], time_zone="UTC")


def test_findings_of_a_rule_that_was_not_run_are_kept_and_marked_so() -> None:
    (group,) = build(run(rules=()), [finding(1)], time_zone="UTC").violations
    assert (group.rule, group.scope, group.title) == (None, None, "leaver_keeps_account")


def test_a_group_takes_the_figures_of_the_whole_estate_where_its_source_has_none() -> None:
    whole = Scope(source=None, population=7)
    (group,) = build(run(scopes={"IG-LVR-001": (whole,)}), [finding(1)], time_zone="UTC").violations
    assert group.scope == whole


def test_the_pass_rate_is_of_what_was_evaluated_and_none_of_nothing() -> None:
    assert pass_rate(Scope(source=None, population=100, passes=3, violations=1, not_evaluable=96)) == 0.75
    assert pass_rate(Scope(source=None, population=5, not_evaluable=5)) is None


def test_a_hundred_percent_means_every_single_one() -> None:
    assert percent(999_999 / 1_000_000) == "99.9 %"
    assert percent(1.0) == "100.0 %"
    assert percent(0.7) == "70.0 %"
    assert percent(None) == "–"


def test_words() -> None:
    assert (count(1, "table"), count(1200, "table"), count(2, "person", "people")) == (
        "1 table",
        "1,200 tables",
        "2 people",
    )
    assert (joined([]), joined(["a"]), joined(["a", "b", "c"])) == ("", "a", "a, b and c")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../etc/passwd", "Europe"])
def test_an_unknown_time_zone_is_refused_with_advice(zone: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        build(run(), [], time_zone=zone)
    assert "IANA" in refused.value.advice


def test_what_is_suppressed_or_held_stands_apart_and_is_said() -> None:
    until = AS_OF + timedelta(days=9)
    model = build(
        run(),
        [
            finding(1),
            finding(2, state=State.SUPPRESSED, exception="X1", excepted_until=until),
            finding(3, state=State.SUPPRESSED, exception="X1", excepted_until=until, verified=False),
            finding(4, state=State.HELD),
        ],
        time_zone="UTC",
    )
    tally = model.tallies[0]
    assert (tally.open, tally.new, tally.suppressed, tally.held) == (1, 1, 2, 1)
    assert [len(part[0].findings) for part in (model.violations, model.held, model.suppressed)] == [1, 1, 2]
    assert model.sentences[0] == "1 new violation waits for acceptance: more at once than the limit."
    assert "2 violations are suppressed by exceptions." in model.headline
    assert len(model.findings) == 4
    page = b"".join(to_html(model)).decode()
    assert "Held for acceptance" in page
    assert f"exception X1, until {until:%Y-%m-%d}" in page
    rows = list(csv.DictReader(io.StringIO(to_csv(model).decode("utf-8-sig"), newline="")))
    assert [row["exception"] for row in rows if row["state"] == "suppressed"] == ["X1", "X1"]
    assert pass_rate(Scope(source="ldap", passes=3, excepted=1)) == 0.75
