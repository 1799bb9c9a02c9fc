"""New findings that the mass result stop held and that a named person accepted: evidence, and their release."""

from __future__ import annotations

from datetime import datetime

import msgspec
from sqlalchemy import insert
from sqlmodel import Session, col, select

from reconciler.database.findings import AcceptanceRow, ChangeRow, FindingRow
from reconciler.errors import ConfigurationError
from reconciler.findings.reading import last_evaluated, last_run


class Acceptance(msgspec.Struct, frozen=True, kw_only=True):
    """One acceptance of what was held of a rule, in one source or (None) in all; ``findings`` counts them."""

    rule_id: str
    source: str | None
    findings: int
    accepted_by: str
    reason: str
    at: datetime


def accept(session: Session, *, rule: str, source: str | None, by: str, reason: str, at: datetime) -> Acceptance:
    """Release the findings of a rule (id or name) that are held, and keep who did so and why.

    Raises ``ConfigurationError`` for an acceptance that names nobody or no reason, where nothing is held, and for the
    name of several rules.
    """
    by, reason = by.strip(), reason.strip()
    for value, word in ((by, "a name"), (reason, "a reason")):
        if not value:
            raise ConfigurationError(
                f"held findings are accepted by a named person with a reason; {word} is missing",
                advice="say who reviewed them, and why they are right: --by NAME --reason TEXT",
            )
    row = FindingRow
    query = select(row).where(col(row.waiting), (col(row.rule_id) == rule) | (col(row.rule) == rule))
    if source is not None:
        query = query.where(row.source == source)
    held = list(session.exec(query))
    last = last_run(session)
    if not held or last is None:
        raise ConfigurationError(
            f"nothing of rule {rule} is held" + (f" in {source}" if source is not None else ""), advice=_others(session)
        )
    rule_id, *others = sorted({found.rule_id for found in held})
    if others:
        raise ConfigurationError(
            f"rules {', '.join((rule_id, *others))} are all named {rule}", advice="Accept each by its id."
        )
    evaluated = last_evaluated(session)
    number = last.number or 0
    for found in held:
        # It is new from the last run on that judged it: what that run said is what was accepted.
        found.waiting = False
        found.since_run = found.last_seen_run or evaluated.get((rule_id, found.source), number)
        session.add(found)
    told = f"accepted by {by} on {at:%Y-%m-%d %H:%M}: {reason}"
    said = [
        {
            "finding_id": found.finding_id,
            "run": number,
            "change": "accepted",
            "verdict": found.verdict,
            "severity": found.severity,
            "rule_version": found.rule_version,
            "reason": told.replace("\x00", "\N{REPLACEMENT CHARACTER}"),
        }
        for found in held
    ]
    session.flush()
    session.connection().execute(insert(ChangeRow), said)
    acceptance = Acceptance(rule_id=rule_id, source=source, findings=len(held), accepted_by=by, reason=reason, at=at)
    session.add(AcceptanceRow(run=number, **msgspec.structs.asdict(acceptance)))
    return acceptance


def accepted(session: Session) -> list[Acceptance]:
    """Return every acceptance, newest first."""
    rows = session.exec(select(AcceptanceRow).order_by(col(AcceptanceRow.number).desc()))
    return [Acceptance(**row.model_dump(exclude={"number", "run"})) for row in rows]


def _others(session: Session) -> str:
    """Say which rules have findings that are held."""
    rules = session.exec(select(FindingRow.rule_id).where(col(FindingRow.waiting)).distinct()).all()
    return f"held are findings of: {', '.join(sorted(rules))}" if rules else "no finding is held: nothing to accept"
