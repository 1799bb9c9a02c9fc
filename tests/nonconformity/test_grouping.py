"""What findings share, what that is called, and how grave it is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.estate.results import Severity
from reconciler.nonconformity.grouping import Found, Policy, Requirement, by_cause, draft
from reconciler.nonconformity.record import Cause
from reconciler.sections.nonconformities import Nonconformities
from reconciler.snapshot.people import Affiliation
from tests.findings.nights import night, rule

LEAVER, ORPHAN = "IG-LVR-001", "IG-ORP-001"
BOTH = {LEAVER: rule(LEAVER), ORPHAN: rule(ORPHAN, name="orphan")}
NAMES = Requirement(controls={"C-1": "One"}, clauses={"iso": ("A.1", "A.2")}, owner_role="keeper")
MORE = Requirement(controls={"C-2": "Two", "C-1": "One"}, clauses={"iso": ("A.2", "A.3"), "pci": ("7",)})


def policy(requirements: dict[str, Requirement] | None = None, **section: Any) -> Policy:
    return Policy(
        section=Nonconformities.model_validate(section), requirements=requirements or {LEAVER: NAMES}, rules=BOTH
    )


def found(number: int = 1, rule_id: str = LEAVER, source: str | None = "ldap", severity: Severity = "high") -> Found:
    return Found(f"F-{number:04}", rule_id, "leaver", source, severity, f"person {number}")


@pytest.mark.parametrize(
    ("group_by", "where", "cause"),
    [
        (None, Affiliation(), Cause(rule_id=LEAVER, source="ldap", owner_role="keeper")),
        (None, Affiliation("S-1", "Sales"), Cause(rule_id=LEAVER, source="ldap", supplier_id="S-1")),
        (["rule"], Affiliation("S-1"), Cause(rule_id=LEAVER)),
        (["department"], Affiliation("S-1", "Sales"), Cause(department="Sales")),
        (["supplier"], Affiliation(), Cause()),
        (["source", "owner_role"], Affiliation("S-1"), Cause(source="ldap", owner_role="keeper")),
    ],
)
def test_a_cause_is_what_the_configuration_groups_by(
    group_by: list[str] | None, where: Affiliation, cause: Cause
) -> None:
    section = {"group_by": group_by} if group_by else {}
    chosen = Policy(section=Nonconformities.model_validate(section), requirements={LEAVER: NAMES}, rules=BOTH)
    assert chosen.cause(found(), where) == cause


def test_who_answers_is_the_rules_own_role_then_the_controls_then_the_organisations() -> None:
    assert policy().owner_role(LEAVER) == "keeper"
    assert policy().owner_role(ORPHAN) == "identity-governance-lead"
    assert policy(rules={LEAVER: {"owner_role": "warden"}}).owner_role(LEAVER) == "warden"


def test_what_is_due_and_watched_is_by_severity_and_by_rule() -> None:
    chosen = policy(rules={ORPHAN: {"due_days": 3, "watch_days": 2}}, due_days={"low": 60})
    assert chosen.due(LEAVER, "critical", night(0)) == night(1)
    assert chosen.due(LEAVER, "low", night(0)) == night(60)
    assert chosen.due(ORPHAN, "low", night(0)) == night(3)
    assert (chosen.watch(LEAVER).days, chosen.watch(ORPHAN).days) == (14, 2)


@pytest.mark.parametrize(
    ("severity", "count", "more", "grade", "reason"),
    [
        ("high", 1, {}, "minor", "severity high, major from critical on; 1 finding, major from 50 on; no recurrence"),
        ("critical", 2, {}, "major", "severity critical, major from critical on"),
        ("low", 50, {}, "major", "50 findings, major from 50 on"),
        ("low", 1, {"reopened": 2}, "major", "it recurs: it was opened again after a close, 2 times"),
        ("low", 1, {"recurrence_of": "NC-000001"}, "major", "it recurs: NC-000001 had the same cause"),
    ],
)
def test_the_grade_says_why(severity: Severity, count: int, more: dict[str, Any], grade: str, reason: str) -> None:
    assert policy().grade(LEAVER, severity, count, **more) == (grade, reason)


def test_a_rule_may_be_major_from_fewer_on_and_a_severity_from_lower_on() -> None:
    assert policy(rules={LEAVER: {"major_count": 2}}).grade(LEAVER, "low", 2)[0] == "major"
    assert policy(major_severity="medium").grade(LEAVER, "high", 1)[0] == "major"
    assert policy(major_severity="medium").grade(LEAVER, "low", 1)[0] == "minor"


def test_a_nonconformity_of_several_rules_says_all_of_them() -> None:
    chosen = policy({LEAVER: NAMES, ORPHAN: MORE}, group_by=["department"])
    several = [found(1), found(2, ORPHAN, "aws", "critical"), found(3, "IG-NEW-001", None)]
    made = draft(Cause(department="Sales"), several, chosen)
    assert (made.rule_id, made.source, made.severity, made.owner_role) == (
        ORPHAN,
        None,
        "critical",
        "identity-governance-lead",
    )
    assert made.title == "Violations of 3 rules in aws, ldap, department Sales"
    assert made.statement == (
        "Found in aws, ldap, department Sales: A leaver can sign in (IG-LVR-001); leaver (IG-NEW-001); "
        "A leaver can sign in (IG-ORP-001). 3 subjects when it was detected.\n"
        "Required: C-1 One; C-2 Two.\n"
        "Clauses: iso: A.1, A.2, A.3; pci: 7."
    )
    assert made.requirement.clauses == {"iso": ("A.1", "A.2", "A.3"), "pci": ("7",)}


def test_a_rule_that_no_control_names_says_so() -> None:
    made = draft(Cause(rule_id=ORPHAN), [found(1, ORPHAN, None)], policy())
    assert made.title == "A leaver can sign in"
    assert "Required: what the rule says; no control names it." in made.statement
    assert "1 subject when" in made.statement


FINDINGS = st.builds(
    found,
    st.integers(0, 9999),
    st.sampled_from([LEAVER, ORPHAN]),
    st.sampled_from(["ldap", "aws", None]),
    st.sampled_from(["critical", "high", "medium", "low"]),
)


@given(st.lists(FINDINGS, min_size=1, max_size=20, unique_by=lambda one: one.finding_id), st.randoms())
def test_grouping_loses_nothing_and_no_order_matters(findings: list[Found], chance: Any) -> None:
    chosen = policy()

    def cause(finding: Found) -> Cause:
        return chosen.cause(finding, Affiliation())

    groups = by_cause(findings, cause)
    assert sorted(f.finding_id for each in groups.values() for f in each) == sorted(f.finding_id for f in findings)
    made = {of.key: draft(of, each, chosen) for of, each in groups.items()}
    shuffled = list(findings)
    chance.shuffle(shuffled)
    again = by_cause(shuffled, cause)
    assert list(again) == list(groups)
    assert {of.key: draft(of, each, chosen) for of, each in again.items()} == made
    for of, each in groups.items():
        assert not any(f.person_id and f.person_id in made[of.key].title + made[of.key].statement for f in each)
