"""Every case of every bundled rule, and what the set of them must be."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from reconciler.bundled import root
from reconciler.engine import CaseResult, Rule, load, run_cases

CATALOGUE = {
    "IG-APR-001": "grant_without_approval",
    "IG-APR-002": "approval_expired",
    "IG-APR-003": "granted_before_approval",
    "IG-APR-004": "approved_not_executed",
    "IG-APR-005": "self_approval",
    "IG-APR-006": "unauthorised_approver",
    "IG-APR-007": "untrained_approver",
    "IG-APR-008": "rejected_but_granted",
    "IG-APR-009": "unrecorded_provisioning",
    "IG-CRD-001": "credential_too_old",
    "IG-CRD-002": "credential_unused",
    "IG-CRD-003": "credential_expiring",
    "IG-EXC-001": "exception_expired",
    "IG-EXC-002": "exception_incomplete",
    "IG-EXC-003": "exception_owner_left",
    "IG-EXC-004": "exception_too_long",
    "IG-GOV-001": "document_overdue",
    "IG-GOV-002": "role_vacant",
    "IG-GOV-003": "control_without_evidence",
    "IG-GOV-004": "control_test_overdue",
    "IG-GOV-005": "source_stale",
    "IG-LVR-001": "leaver_keeps_account",
    "IG-LVR-002": "leaver_keeps_credential",
    "IG-LVR-003": "leaver_keeps_entitlement",
    "IG-LVR-004": "revocation_unproven",
    "IG-LVR-005": "late_revocation",
    "IG-LVR-006": "split_offboarding",
    "IG-LVR-007": "leaver_owns_object",
    "IG-LVR-008": "reactivated_after_exit",
    "IG-MOV-001": "mover_keeps_access",
    "IG-MOV-002": "role_change_without_record",
    "IG-NHI-001": "no_accountable_owner",
    "IG-NHI-002": "interactive_use",
    "IG-ORP-001": "orphan_account",
    "IG-ORP-002": "ambiguous_owner",
    "IG-ORP-003": "recycled_identifier",
    "IG-ORP-004": "dormant_account",
    "IG-PRV-001": "standing_privilege",
    "IG-PRV-002": "privileged_without_mfa",
    "IG-PRV-003": "nested_privilege",
    "IG-PRV-004": "break_glass_unattended",
    "IG-REC-001": "review_overdue",
    "IG-REC-002": "revoked_in_review_still_held",
    "IG-REC-003": "self_review",
    "IG-REC-004": "rubber_stamp",
    "IG-SOD-001": "toxic_combination",
    "IG-SUP-001": "contract_ended",
    "IG-SUP-002": "no_contract",
    "IG-SUP-003": "supplier_not_qualified",
    "IG-SUP-004": "out_of_scope",
    "IG-SUP-005": "shared_supplier_account",
    "IG-SUP-006": "headcount_exceeded",
    "IG-SUP-007": "guest_without_sponsor",
    "IG-SUP-008": "contract_ending_soon",
}


@cache
def bundled() -> list[Rule]:
    return load([root("rules")])


@cache
def results(rule_id: str) -> dict[str, CaseResult]:
    """Run a rule's cases when the first of them is asked for, so that collecting the tests costs nothing."""
    return {result.name: result for result in run_cases(rule for rule in bundled() if rule.info.rule_id == rule_id)}


@pytest.mark.parametrize(
    ("rule_id", "name"), [(rule.info.rule_id, case.name) for rule in bundled() for case in rule.cases]
)
def test_case(rule_id: str, name: str) -> None:
    result = results(rule_id)[name]
    assert result.passed, result.detail


def test_the_catalogue_keeps_its_ids() -> None:
    found = {rule.info.rule_id: rule.name for rule in bundled()}
    assert found == CATALOGUE


def test_the_bundled_rules_are_locked() -> None:
    lock = root("rules") / "versions.lock"
    assert {line.split()[0] for line in lock.read_text().splitlines() if not line.startswith("#")} == {
        rule.info.rule_id for rule in bundled()
    }


def test_the_readme_lists_every_rule_as_it_is() -> None:
    text = (root("rules") / "README.md").read_text()
    for rule in bundled():
        info = rule.info
        assert f"| {info.rule_id} | `{rule.name}` | {info.severity} | {info.title} |" in text


def test_no_reason_tells_an_age() -> None:
    """A reason that changes by itself every night would be a change in the finding's history every night."""
    for rule in bundled():
        for case in rule.cases:
            given = set(str(case.given).replace("'", " ").split())  # a reason may repeat what a source says of itself
            for row in case.expect:
                assert not {"today", "days", "ago"} & (set(str(row.get("reason", "")).split()) - given), case.name


def test_rules_hold_no_python() -> None:
    assert list(Path(root("rules")).rglob("*.py")) == []
