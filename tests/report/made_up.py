"""Builders of runs and findings to report on: made up, but shaped like real ones."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from reconciler.estate.results import Finding, Outcome, RuleInfo, Run, Scope, State
from reconciler.estate.tables import Coverage

AS_OF = datetime(2026, 11, 21, 2, 15, tzinfo=UTC)

RULES = {
    "IG-LVR-001": ("leaver_keeps_account", "Leaver keeps a usable account", "critical", ("source", "account_id")),
    "IG-ORP-001": ("orphan_account", "Account that belongs to nobody", "high", ("source", "account_id")),
    "IG-APR-001": (
        "grant_without_approval",
        "Access that nobody approved",
        "high",
        ("source", "account_id", "entitlement_id"),
    ),
    "IG-CRD-001": ("credential_too_old", "Key past its rotation age", "medium", ("source", "credential_id")),
}


def rule(rule_id: str = "IG-LVR-001", **changes: Any) -> RuleInfo:
    name, title, severity, identity = RULES[rule_id]
    return RuleInfo(
        **{
            "rule_id": rule_id,
            "name": name,
            "version": 1,
            "title": title,
            "severity": severity,
            "stage": "deprovisioning",
            "layer": "enforcement",
            "status": "stable",
            "why": "Access must end with the employment or contract that justified it.",
            "remedy": "Disable the account in the named source, or record an exception with an end date.",
            "known_gaps": ("Accounts with no correlated person are covered by IG-ORP-001.",),
            "population": "accounts",
            "identity": identity,
            **changes,
        }
    )


def finding(number: int = 1, rule_id: str = "IG-LVR-001", **changes: Any) -> Finding:
    name, _, severity, identity = RULES[rule_id]
    source = changes.get("source", "corp-ldap")
    subject = {column: source if column == "source" else f"{column}-{number:05}" for column in identity}
    return Finding(
        **{
            "finding_id": f"{number:06}{rule_id.replace('-', '').lower()}",
            "rule_id": rule_id,
            "rule": name,
            "rule_version": 1,
            "verdict": Outcome.VIOLATION,
            "severity": severity,
            "state": State.NEW,
            "source": source,
            "subject": subject,
            "reason": f"Person {number} left on 2026-10-31; the account is still enabled.",
            "person_id": f"P{number:05}",
            "first_seen": AS_OF - timedelta(days=number % 40),
            "last_seen": AS_OF,
            **changes,
        }
    )


def read(source: str = "corp-ldap", table: str = "accounts", **changes: Any) -> Coverage:
    values: dict[str, Any] = {"partition": "", "status": "COMPLETE", "rows": 512}
    return Coverage(source=source, table_name=table, **(values | changes))


def run(
    *, rules: Iterable[RuleInfo] | None = None, scopes: dict[str, tuple[Scope, ...]] | None = None, **changes: Any
) -> Run:
    infos = tuple(rules) if rules is not None else (rule(),)
    judged = Scope(source="corp-ldap", population=512, violations=12, passes=480, not_applicable=18, not_evaluable=2)
    return Run(
        **{
            "run_id": "20261121T021500Z-run",
            "estate": "acme",
            "snapshot": "20261121T021500Z-a1b2c3",
            "as_of": AS_OF,
            "recorded_at": AS_OF + timedelta(minutes=3),
            "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "rules": infos,
            "scopes": scopes if scopes is not None else {info.rule_id: (judged,) for info in infos},
            "coverage": (read(),),
            **changes,
        }
    )
