"""What is known of a nonconformity, as plain values: what a ticket says of it, and what a ticket is held against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """A finding that stands. ``account`` is the account's immutable id, empty where the finding is of no account."""

    finding_id: str
    account: str = ""
    reason: str = ""
    """May name people: in tickets with ``personal_data`` only."""
    person_id: str = ""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """One nonconformity after a run.

    ``title`` must name nobody: it goes into every ticket. ``statement`` may name people, and is then in tickets with
    ``personal_data`` only. ``run_id`` and ``snapshot`` are the evidence: the run that detected it, and
    what that run judged.
    """

    about: str
    """Its number, NC-000123."""
    title: str
    statement: str
    rule_id: str
    source: str | None
    supplier_id: str | None = None
    controls: tuple[str, ...] = ()
    clauses: Mapping[str, tuple[str, ...]] = {}
    severity: str
    grade: str
    owner_role: str
    owner: str | None = None
    detected_at: datetime
    due_at: datetime
    findings: Sequence[Named] = ()
    """Those that stand, or could not be judged."""
    run_id: str
    snapshot: str

    last_run: str
    looked_at: datetime | None = None
    """The instant that the last run judged as of: it did not see what became of an account after it."""
    seen: int = 0
    """Findings of it that the last run saw: what it could not judge counts neither way."""
    verified_run: str | None = None
    """The run that verified the effect: all gone, and still gone after the watch period. None where none did."""
    closed: bool = False
    """Whether the nonconformity is closed here: then nothing new is filed for it."""


def example() -> Facts:
    """Return a nonconformity that is made up, to look at templates with."""
    detected = datetime(2026, 3, 1, 2, 15, tzinfo=UTC)
    return Facts(
        about="NC-000000",
        title="A leaver can sign in, in an example source",
        statement="This nonconformity is made up.",
        rule_id="IG-LVR-001",
        source="example",
        controls=("EXAMPLE-1",),
        clauses={"iso27001": ("A.5.18",)},
        severity="high",
        grade="minor",
        owner_role="identity-governance-lead",
        detected_at=detected,
        due_at=detected + timedelta(days=7),
        findings=(
            Named(finding_id="F-0000000000000000000a", account="example-account-1"),
            Named(finding_id="F-0000000000000000000b", account="example-account-2"),
        ),
        run_id="example-run",
        snapshot="example-snapshot",
        last_run="example-run",
    )


def mapping(facts: Facts, *, personal_data: bool, listed: int, time_zone: str) -> dict[str, Any]:
    """Return the facts that templates read, as ``reconciler.sections.templates`` documents them.

    Without ``personal_data`` the statement is not the nonconformity's own, which may quote reasons, but one that is
    put together here from the title, the rule and the number of findings: nobody can be named by it.
    """
    zone = ZoneInfo(time_zone)
    findings = [
        {"finding_id": line(f.finding_id), "account": line(f.account)}
        | ({"reason": line(f.reason), "person_id": line(f.person_id)} if personal_data else {})
        for f in facts.findings[:listed]
    ]
    return {
        "number": facts.about,
        "title": line(facts.title),
        "statement": _text(facts.statement) if personal_data else _statement(facts),
        "rule_id": line(facts.rule_id),
        "source": line(facts.source or ""),
        "supplier_id": line(facts.supplier_id or ""),
        "controls": [line(control) for control in facts.controls],
        "clauses": {name: list(clauses) for name, clauses in facts.clauses.items()},
        "severity": facts.severity,
        "grade": facts.grade,
        "owner_role": line(facts.owner_role),
        "detected_on": facts.detected_at.astimezone(zone).date().isoformat(),
        "due_on": facts.due_at.astimezone(zone).date().isoformat(),
        "findings_count": len(facts.findings),
        "findings": findings,
        "more_findings": len(facts.findings) - len(findings),
        "run_id": facts.run_id,
        "snapshot": facts.snapshot,
    } | ({"owner": line(facts.owner or "")} if personal_data else {})


def _statement(facts: Facts) -> str:
    count = len(facts.findings)
    found = (
        f"1 finding of rule {line(facts.rule_id)} stands"
        if count == 1
        else (f"{count} findings of rule {line(facts.rule_id)} stand")
    )
    return f"{line(facts.title)}: {found}."


def line(text: str) -> str:
    """Return a value on one line: what a source said must not begin a line, or a list, of ours."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _text(text: str) -> str:
    return "\n".join(map(line, text.splitlines()))
