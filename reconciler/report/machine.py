"""The report as JSON, for programs: nothing rounded, nothing neutralised, unknown stays null."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from reconciler.estate.results import Finding
from reconciler.report.model import Check, ReportModel, pass_rate
from reconciler.report.rows import stamp
from reconciler.report.seen import Blocked, Read
from reconciler.report.treated import Treated

FORMAT = "reconciler.report"
VERSION = 1
"""Goes up when a key changes its meaning or goes away; new keys may come at any time."""


def to_json(model: ReportModel) -> bytes:
    """Write the report as JSON, indented, keys and lists in a fixed order."""
    return msgspec.json.format(msgspec.json.encode(_document(model)), indent=1) + b"\n"


def _document(model: ReportModel) -> dict[str, Any]:
    run = model.run
    return {
        "format": FORMAT,
        "version": VERSION,
        "estate": run.estate,
        "time_zone": model.time_zone,
        "as_of": stamp(run.as_of),
        "run": {
            "run_id": run.run_id,
            "recorded_at": stamp(run.recorded_at),
            "snapshot": run.snapshot,
            "digest": run.digest,
            "new": run.new,
            "persisting": run.persisting,
            "resolved": run.resolved,
            "reopened": run.reopened,
            "unverified": run.unverified,
            "suppressed": run.suppressed,
            "held": run.held,
        },
        "headline": model.headline,
        "violations": {
            tally.severity: {
                "open": tally.open,
                "new": tally.new,
                "reopened": tally.reopened,
                "persisting": tally.persisting,
                "unverified": tally.unverified,
                "held": tally.held,
                "suppressed": tally.suppressed,
                "resolved": tally.resolved,
            }
            for tally in model.tallies
        },
        "coverage": {
            "complete": model.coverage.complete,
            "reads": [_read(read) for read in model.coverage.reads],
            "not_judged": [_blocked(blocked) for blocked in model.coverage.blocked],
        },
        "exceptions_unread": list(run.exceptions_unread),
        "exceptions": [
            {**msgspec.to_builtins(state), "expires_at": _or_null(state.expires_at)} for state in model.exceptions
        ],
        "nonconformities": [_treated(one) for one in model.nonconformities],
        "rules": [_rule(rule.rule_id, model) for rule in run.rules],
        "findings": [_finding(finding, model.answers(finding)) for finding in model.findings],
    }


def _read(read: Read) -> dict[str, Any]:
    return {
        "source": read.source,
        "table": read.table,
        "status": read.status,
        "rows": read.rows,
        "provider_count": read.provider_count,
        "partitions": read.partitions,
        "incomplete_partitions": list(read.incomplete),
        "gaps": list(read.gaps),
        "canaries": list(read.canaries),
    }


def _blocked(blocked: Blocked) -> dict[str, Any]:
    return {"rule_id": blocked.rule.rule_id, "source": blocked.source, "reasons": list(blocked.reasons)}


def _rule(rule_id: str, model: ReportModel) -> dict[str, Any]:
    info = next(rule for rule in model.run.rules if rule.rule_id == rule_id)
    scopes = [_scope(check) for check in model.checks if check.rule.rule_id == rule_id]
    return {**msgspec.to_builtins(info), "scopes": scopes}


def _scope(check: Check) -> dict[str, Any]:
    return {**msgspec.to_builtins(check.scope), "pass_rate": pass_rate(check.scope)}


def _finding(finding: Finding, owner: str | None) -> dict[str, Any]:
    return {
        "finding_id": finding.finding_id,
        "rule_id": finding.rule_id,
        "rule": finding.rule,
        "rule_version": finding.rule_version,
        "verdict": finding.verdict.value,
        "severity": finding.severity,
        "state": finding.state.value,
        "verified": finding.verified,
        "source": finding.source,
        "subject": finding.subject,
        "reason": finding.reason,
        "person_id": finding.person_id,
        "first_seen": stamp(finding.first_seen),
        "last_seen": stamp(finding.last_seen),
        "resolved_at": _or_null(finding.resolved_at),
        "times_reopened": finding.times_reopened,
        "exception": finding.exception,
        "exception_owner": owner,
        "excepted_until": _or_null(finding.excepted_until),
    }


def _treated(one: Treated) -> dict[str, Any]:
    instants = ("detected_at", "due_at", "gone_at", "verified_at")
    return {**msgspec.to_builtins(one), **{name: _or_null(getattr(one, name)) for name in instants}}


def _or_null(instant: datetime | None) -> str | None:
    return None if instant is None else stamp(instant)
