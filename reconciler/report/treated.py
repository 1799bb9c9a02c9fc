"""Nonconformities as a report lists them: plain values, and the row that tables write."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from reconciler.estate.results import Severity


class Treated(msgspec.Struct, frozen=True, kw_only=True):
    """One nonconformity as it stands after the run."""

    nc_id: str
    title: str
    severity: Severity
    grade: str
    state: str
    rule_id: str
    source: str | None
    supplier_id: str | None
    owner_role: str
    owner: str | None
    """person_id of who answers; null where nobody does, or nobody is known to."""
    escalated_to: str | None
    detected_at: datetime
    due_at: datetime
    standing: int
    findings: int
    gone_at: datetime | None = None
    verified_at: datetime | None = None
    recurrence_of: str | None = None
    times_reopened: int = 0


COLUMNS = (
    *("nonconformity", "state", "severity", "grade", "title", "rule_id", "source", "supplier_id"),
    *("owner_role", "owner", "escalated_to", "detected_at", "due_at", "standing", "findings"),
    *("gone_at", "verified_at", "recurrence_of", "times_reopened"),
)


def treated_row(one: Treated) -> dict[str, str]:
    """Write one nonconformity as a row."""
    return {
        "nonconformity": one.nc_id,
        "state": one.state,
        "severity": one.severity,
        "grade": one.grade,
        "title": one.title,
        "rule_id": one.rule_id,
        "source": one.source or "",
        "supplier_id": one.supplier_id or "",
        "owner_role": one.owner_role,
        "owner": one.owner or "",
        "escalated_to": one.escalated_to or "",
        "detected_at": _stamp(one.detected_at),
        "due_at": _stamp(one.due_at),
        "standing": str(one.standing),
        "findings": str(one.findings),
        "gone_at": _stamp(one.gone_at),
        "verified_at": _stamp(one.verified_at),
        "recurrence_of": one.recurrence_of or "",
        "times_reopened": str(one.times_reopened),
    }


def told(one: Treated) -> str:
    """Say a nonconformity in a line, for a file that has no columns for it."""
    who = f"{one.owner_role} ({one.owner})" if one.owner else f"{one.owner_role} (nobody that is known)"
    up = f", gone up to {one.escalated_to}" if one.escalated_to else ""
    return (
        f"{one.nc_id} {one.state}, {one.grade}: {one.title}; {one.standing:,} of {one.findings:,} findings stand; "
        f"answers: {who}{up}; due {one.due_at:%Y-%m-%d}"
    )


def _stamp(instant: datetime | None) -> str:
    return "" if instant is None else instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
