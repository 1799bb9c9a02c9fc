"""Small evaluations, written as tests tell them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from reconciler.estate.results import (
    Evaluation,
    Finding,
    NewLink,
    Outcome,
    RuleInfo,
    RuleResult,
    Run,
    Scope,
    Severity,
    Verdict,
)
from reconciler.estate.tables import Coverage
from reconciler.findings.store import FindingStore

START = datetime(2026, 3, 1, 2, 15, tzinfo=UTC)


def night(number: int) -> datetime:
    return START + timedelta(days=number)


def rule(
    rule_id: str = "IG-LVR-001",
    *,
    name: str = "leaver_can_sign_in",
    version: int = 1,
    severity: Severity = "high",
) -> RuleInfo:
    return RuleInfo(
        rule_id=rule_id,
        name=name,
        version=version,
        title="A leaver can sign in",
        severity=severity,
        stage="termination",
        layer="enforcement",
        status="stable",
        why="Access outlives its reason.",
        remedy="Disable the account.",
        population="linked accounts",
        identity=("source", "account_id"),
    )


def verdict(
    account: str | None,
    outcome: Outcome = Outcome.VIOLATION,
    *,
    source: str | None = "ldap",
    reason: str = "left on 2026-02-01",
    person: str | None = None,
    rule_id: str = "IG-LVR-001",
) -> Verdict:
    return Verdict(
        rule_id=rule_id,
        verdict=outcome,
        subject={"source": source, "account_id": account},
        source=source,
        person_id=person,
        reason=reason,
    )


def blocked(source: str | None = "ldap") -> Scope:
    return Scope(source=source, blocked=(f"{source} accounts FAILED: does not answer",))


def result(
    *verdicts: Verdict, scopes: Sequence[Scope] = (Scope(source="ldap"),), of: RuleInfo | None = None
) -> RuleResult:
    return RuleResult(rule=of or rule(), scopes=tuple(scopes), verdicts=verdicts)


def evaluation(*results: RuleResult, number: int = 0, digest: str = "d1") -> Evaluation:
    return Evaluation(snapshot=f"snapshot-{number}", as_of=night(number), results=results, digest=digest)


def record(
    store: FindingStore,
    number: int,
    *results: RuleResult,
    run_id: str | None = None,
    estate: str = "acme",
    coverage: Sequence[Coverage] = (),
    links: tuple[NewLink, ...] = (),
) -> Run:
    """Record the night of that number, two hours after it was read."""
    return store.record(
        msgspec.structs.replace(evaluation(*results, number=number), links=links),
        run_id=run_id or f"run-{number}",
        estate=estate,
        coverage=coverage,
        recorded_at=night(number) + timedelta(hours=2),
    )


def only(found: Sequence[Finding]) -> Finding:
    assert len(found) == 1
    return found[0]
