"""Findings and gaps as flat rows, for the formats that are tables."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from reconciler.estate.results import ExceptionState, Finding, RuleInfo
from reconciler.report.excepted import effect
from reconciler.report.model import Check, ReportModel, pass_rate
from reconciler.report.seen import Blocked, Read
from reconciler.report.wording import percent

Row = dict[str, str]
"""Column -> text; a column that is missing is empty: the value is not known."""


def stamp(instant: datetime | None) -> str:
    """Write an instant as ISO 8601 in UTC, ``2026-11-21T02:15:00Z``; None is empty."""
    return "" if instant is None else instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def subject_columns(model: ReportModel) -> list[str]:
    """Name the identity columns that occur, in the order of the rules and then of the findings."""
    names = [name for rule in model.run.rules for name in rule.identity]
    names += [name for finding in model.findings for name in finding.subject]
    return [name for name in dict.fromkeys(names) if name != "source"]


def finding_columns(model: ReportModel) -> list[str]:
    """Name the columns of the findings table."""
    return [
        "severity",
        "state",
        "verified",
        "verdict",
        "rule_id",
        "rule",
        "source",
        *(f"subject_{name}" for name in subject_columns(model)),
        "person_id",
        "reason",
        "first_seen",
        "last_seen",
        "resolved_at",
        "times_reopened",
        "exception",
        "exception_owner",
        "excepted_until",
        "finding_id",
    ]


def finding_row(finding: Finding, owner: str | None = None) -> Row:
    """Write one finding as a row; ``owner`` answers for the exception that covers it."""
    return {
        "severity": finding.severity,
        "state": finding.state.value,
        "verified": "yes" if finding.verified else "no",
        "verdict": finding.verdict.value,
        "rule_id": finding.rule_id,
        "rule": finding.rule,
        "source": finding.source or finding.subject.get("source") or "",
        **{f"subject_{name}": value or "" for name, value in finding.subject.items() if name != "source"},
        "person_id": finding.person_id or "",
        "reason": finding.reason,
        "first_seen": stamp(finding.first_seen),
        "last_seen": stamp(finding.last_seen),
        "resolved_at": stamp(finding.resolved_at),
        "times_reopened": str(finding.times_reopened),
        "exception": finding.exception or "",
        "exception_owner": owner or "",
        "excepted_until": stamp(finding.excepted_until),
        "finding_id": finding.finding_id,
    }


def exception_row(state: ExceptionState) -> Row:
    """Write one exception as a row."""
    return {
        "exception": state.exception_id,
        "suppresses": str(state.suppresses),
        "owner": state.owner or "",
        "expires_at": stamp(state.expires_at),
        "why_nothing": effect(state),
        "rule_id": state.rule_id or "",
        "control_id": state.control_id or "",
        "source": state.source or "",
        "account_id": state.account_id or "",
        "person_id": state.person_id or "",
        "entitlement_id": state.entitlement_id or "",
        "reason": state.reason or "",
    }


def read_row(read: Read) -> Row:
    """Write one source and table of the coverage as a row."""
    return {
        "source": read.source,
        "table": read.table,
        "status": read.status,
        "rows": "" if read.rows is None else str(read.rows),
        "provider_count": "" if read.provider_count is None else str(read.provider_count),
        "partitions": str(read.partitions),
        "incomplete_partitions": ", ".join(read.incomplete),
        "gaps": " ".join(read.gaps),
        "canaries": ", ".join(read.canaries),
    }


def check_row(check: Check) -> Row:
    """Write one rule and scope as a row; ``pass_rate`` is of what was evaluated only."""
    rule, scope = check.rule, check.scope
    return {
        **_rule_columns(rule),
        "source": scope.source or "(whole estate)",
        "population_of": rule.population,
        "population": str(scope.population),
        "violations": str(scope.violations),
        "excepted": str(scope.excepted),
        "passes": str(scope.passes),
        "not_applicable": str(scope.not_applicable),
        "not_evaluable": str(scope.not_evaluable),
        "pass_rate": "" if scope.blocked else percent(pass_rate(scope)),
        "not_judged_because": " ".join(scope.blocked),
        "why": rule.why,
        "remedy": rule.remedy,
        "known_gaps": " ".join(rule.known_gaps),
    }


def unjudged_row(blocked: Blocked) -> Row:
    """Write a rule that had no scope at all as a row of the rules table, without figures."""
    return {
        **_rule_columns(blocked.rule),
        "source": blocked.source or "(whole estate)",
        "not_judged_because": " ".join(blocked.reasons),
        "why": blocked.rule.why,
        "remedy": blocked.rule.remedy,
        "known_gaps": " ".join(blocked.rule.known_gaps),
    }


def rule_rows(model: ReportModel) -> Iterator[Row]:
    """Write every rule in every scope, those that judged nothing included."""
    for check in model.checks:
        yield check_row(check)
    for blocked in model.coverage.blocked:
        if not model.run.scopes.get(blocked.rule.rule_id):
            yield unjudged_row(blocked)


def header_rows(model: ReportModel) -> list[tuple[str, str]]:
    """Name what identifies the report: estate, run, snapshot, instants, digest, and what was left out."""
    run = model.run
    return [
        ("estate", run.estate),
        ("as_of", stamp(run.as_of)),
        ("time_zone", model.time_zone),
        ("run_id", run.run_id),
        ("recorded_at", stamp(run.recorded_at)),
        ("snapshot", run.snapshot),
        ("digest", run.digest),
        ("filter", "none: every finding of the run, resolved ones included"),
    ]


def _rule_columns(rule: RuleInfo) -> Row:
    return {
        "rule_id": rule.rule_id,
        "rule": rule.name,
        "version": str(rule.version),
        "title": rule.title,
        "severity": rule.severity,
        "stage": rule.stage,
        "layer": rule.layer,
        "status": rule.status,
        "parameters": "; ".join(f"{name}: {value}" for name, value in rule.parameters.items()),
    }
