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
    "IG-CRD-001": "credential_too_old",
    "IG-EXC-001": "exception_expired",
    "IG-LVR-001": "leaver_keeps_account",
    "IG-LVR-002": "leaver_keeps_credential",
    "IG-ORP-001": "orphan_account",
    "IG-SUP-001": "contract_ended",
}


@cache
def bundled() -> list[Rule]:
    return load([root("rules")])


@cache
def results() -> dict[str, CaseResult]:
    return {f"{result.rule_id}: {result.name}": result for result in run_cases(bundled())}


@pytest.mark.parametrize("name", list(results()))
def test_case(name: str) -> None:
    result = results()[name]
    assert result.passed, result.detail


def test_the_catalogue_keeps_its_ids() -> None:
    found = {rule.info.rule_id: rule.name for rule in bundled()}
    assert found.items() >= CATALOGUE.items()


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
            for row in case.expect:
                assert not {"today", "days", "ago"} & set(str(row.get("reason", "")).split())


def test_rules_hold_no_python() -> None:
    assert list(Path(root("rules")).rglob("*.py")) == []
