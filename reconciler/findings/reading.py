"""Read runs, findings and their history as the values that reports take."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Select, func
from sqlalchemy import select as columns
from sqlmodel import Session, col, select

from reconciler.database.findings import ChangeRow, EvaluationRow, FindingRow, RunRow
from reconciler.errors import ConfigurationError
from reconciler.estate.results import (
    OPEN,
    SEVERITIES,
    Change,
    ExceptionState,
    Finding,
    Outcome,
    RuleInfo,
    Run,
    Scope,
    Severity,
    State,
)
from reconciler.estate.tables import Coverage
from reconciler.findings.identity import DIGITS
from reconciler.findings.lifecycle import KEPT
from reconciler.findings.lifecycle import state as stand

_ID = re.compile(rf"(?:F-)?([0-9a-f]{{1,{DIGITS}}})", re.IGNORECASE)
_SHOWN = 5
"""Candidates named where a prefix fits several findings."""


class Filters(msgspec.Struct, frozen=True, kw_only=True):
    """Which findings to list; None asks nothing. ``rule`` is a rule's id or name. Built by ``filters``."""

    state: State | None = None
    rule: str | None = None
    severity: Severity | None = None
    source: str | None = None
    person: str | None = None
    verdict: Outcome | None = None
    open_only: bool = False


def filters(**asked: object) -> Filters:
    """Return the filters asked for, as words or values; raise ``ConfigurationError`` for a word that means none.

    An unknown state or severity would list nothing, which would be taken for "nothing found".
    """
    try:
        return msgspec.convert(asked, Filters)
    except msgspec.ValidationError as error:
        raise ConfigurationError(
            f"findings cannot be listed by that: {error}",
            advice=f"state: {', '.join(State)}; severity: {', '.join(SEVERITIES)}; verdict: {', '.join(sorted(KEPT))}",
        ) from error


class _Nights:
    """Where the runs stand: their instants, and what evaluated what when."""

    def __init__(self, session: Session) -> None:
        self.as_of = dict(session.exec(select(RunRow.number, RunRow.as_of)).all())
        self.last = max((number for number in self.as_of if number is not None), default=0)
        self.evaluated = last_evaluated(session)

    def finding(self, row: Any) -> Finding:
        """Return the finding with its state, which is derived: rows of unchanged findings are never written."""
        latest = self.evaluated.get((row.rule_id, row.source), row.since_run)
        last_seen = row.last_seen_run or latest
        return Finding(
            finding_id=row.finding_id,
            rule_id=row.rule_id,
            rule=row.rule,
            rule_version=row.rule_version,
            verdict=Outcome(row.verdict),
            severity=row.severity,
            state=stand(
                is_open=row.is_open,
                times_reopened=row.times_reopened,
                since=row.since_run,
                last_seen=last_seen,
                exception=row.exception,
                waiting=row.waiting,
            ),
            source=row.source,
            subject=msgspec.json.decode(row.subject),
            reason=row.reason,
            person_id=row.person_id,
            first_seen=row.first_seen,
            last_seen=self.as_of[last_seen],
            resolved_at=row.resolved_at,
            times_reopened=row.times_reopened,
            verified=latest == self.last and (row.last_seen_run is None or not row.is_open),
            exception=row.exception,
            excepted_until=row.excepted_until,
        )


def last_evaluated(session: Session) -> dict[tuple[str, str | None], int]:
    """Return by rule id and source the number of the last run whose scope there was not blocked."""
    rows = session.exec(
        select(EvaluationRow.rule_id, EvaluationRow.source, func.max(EvaluationRow.run))
        .where(col(EvaluationRow.evaluated))
        .group_by(col(EvaluationRow.rule_id), col(EvaluationRow.source))
    )
    return {(rule_id, source): run for rule_id, source, run in rows}


def rule_evaluations(session: Session) -> dict[str, datetime]:
    """Return by rule the instant judged by the last run that could evaluate it somewhere."""
    last: dict[str, int] = {}
    for (rule_id, _), run in last_evaluated(session).items():
        last[rule_id] = max(run, last.get(rule_id, 0))
    as_of = dict(session.exec(select(RunRow.number, RunRow.as_of)).all())
    return {rule_id: as_of[run] for rule_id, run in sorted(last.items())}


def findings(session: Session, wanted: Filters) -> list[Finding]:
    """Return the findings asked for, worst first: by severity, rule, source, subject."""
    nights = _Nights(session)
    if nights.last:
        _refuse_unknown(session, wanted)
    listed = [nights.finding(row) for row in session.connection().execute(_query(wanted))]
    if wanted.state is not None:
        listed = [finding for finding in listed if finding.state is wanted.state]
    return sorted(listed, key=_worst_first)


def _query(wanted: Filters) -> Select[Any]:
    row = FindingRow
    query = columns(row)
    if wanted.rule is not None:
        query = query.where((col(row.rule_id) == wanted.rule) | (col(row.rule) == wanted.rule))
    for column, value in (
        (row.severity, wanted.severity),
        (row.source, wanted.source),
        (row.person_id, wanted.person),
        (row.verdict, wanted.verdict),
    ):
        if value is not None:
            query = query.where(col(column) == str(value))
    if wanted.open_only or wanted.state in OPEN:
        query = query.where(col(row.is_open), col(row.exception).is_(None), ~col(row.waiting))
    if wanted.state is State.SUPPRESSED:
        query = query.where(col(row.exception).is_not(None))
    if wanted.state is State.HELD:
        query = query.where(col(row.waiting))
    if wanted.state is State.RESOLVED:
        query = query.where(~col(row.is_open))
    return query


def _worst_first(finding: Finding) -> tuple[int, str, str, list[str]]:
    subject = [value or "" for value in finding.subject.values()]
    return SEVERITIES.index(finding.severity), finding.rule_id, finding.source or "", subject


def _refuse_unknown(session: Session, wanted: Filters) -> None:
    """Refuse a rule or source that no run ever had: an empty list would be taken for "nothing found"."""
    if wanted.rule is not None:
        ids = set(session.exec(select(EvaluationRow.rule_id).distinct()))
        names = set(session.exec(select(FindingRow.rule).distinct()))
        names |= {rule.name for rule in _last_rules(session)}
        if wanted.rule not in ids | names:
            raise ConfigurationError(
                f"no recorded run has evaluated a rule {wanted.rule!r}",
                advice="rules evaluated so far: " + (", ".join(sorted(ids)) or "none"),
            )
    if wanted.source is not None:
        sources = {name for name in session.exec(select(EvaluationRow.source).distinct()) if name is not None}
        if wanted.source not in sources:
            raise ConfigurationError(
                f"no recorded run has evaluated a rule in source {wanted.source!r}",
                advice="sources evaluated so far: " + (", ".join(sorted(sources)) or "none"),
            )


def _last_rules(session: Session) -> tuple[RuleInfo, ...]:
    last = last_run(session)
    return msgspec.json.decode(last.rules, type=tuple[RuleInfo, ...]) if last else ()


def show(session: Session, wanted: str) -> tuple[Finding, list[Change]]:
    """Return one finding and its history, oldest change first, by its id or the beginning of it.

    Raises ``ConfigurationError`` where none or several fit.
    """
    match = _ID.fullmatch(wanted.strip())
    if match is None:
        raise ConfigurationError(
            f"{wanted!r} is no finding id", advice="write F- and the first digits, as in: reconciler findings list"
        )
    prefix = f"F-{match[1].lower()}"
    rows = session.exec(select(FindingRow).where(col(FindingRow.finding_id).startswith(prefix)).limit(_SHOWN + 1)).all()
    if not rows:
        raise ConfigurationError(
            f"there is no finding {prefix}", advice="list those there are: reconciler findings list"
        )
    if len(rows) > 1:
        names = sorted(row.finding_id for row in rows)
        more = " and more" if len(rows) > _SHOWN else ""
        raise ConfigurationError(
            f"{prefix} fits several findings: {', '.join(names[:_SHOWN])}{more}", advice="write more of the id"
        )
    return _Nights(session).finding(rows[0]), list(_history(session, rows[0].finding_id))


def _history(session: Session, finding_id: str) -> Iterator[Change]:
    pairs = session.exec(
        select(ChangeRow, RunRow)
        .join(RunRow, col(RunRow.number) == ChangeRow.run)
        .where(ChangeRow.finding_id == finding_id)
        .order_by(col(ChangeRow.number))
    )
    for change, run in pairs:
        yield msgspec.convert(
            {
                "at": run.as_of,
                "run_id": run.run_id,
                "change": change.change,
                "verdict": change.verdict,
                "severity": change.severity,
                "reason": change.reason,
                "rule_version": change.rule_version,
            },
            Change,
        )


def last_run(session: Session) -> RunRow | None:
    """Return the row of the last recorded run, None before the first."""
    return session.exec(select(RunRow).order_by(col(RunRow.number).desc()).limit(1)).first()


def runs(
    session: Session, *, limit: int | None = None, run_id: str | None = None, snapshot: str | None = None
) -> list[Run]:
    """Return recorded runs, newest first; None asks nothing."""
    query = select(RunRow).order_by(col(RunRow.number).desc()).limit(limit)
    if run_id is not None:
        query = query.where(RunRow.run_id == run_id)
    if snapshot is not None:
        query = query.where(RunRow.snapshot == snapshot)
    return [_run(session, row) for row in session.exec(query)]


def _run(session: Session, row: RunRow) -> Run:
    scopes: dict[str, tuple[Scope, ...]] = {}
    evaluations = session.exec(
        select(EvaluationRow).where(EvaluationRow.run == row.number).order_by(col(EvaluationRow.position))
    )
    rules = msgspec.json.decode(row.rules, type=tuple[RuleInfo, ...])
    scopes = {rule.rule_id: () for rule in rules}
    for found in evaluations:
        scopes[found.rule_id] += (
            Scope(
                source=found.source,
                population=found.population,
                violations=found.violations,
                passes=found.passes,
                not_applicable=found.not_applicable,
                not_evaluable=found.not_evaluable,
                excepted=found.excepted,
                blocked=msgspec.json.decode(found.blocked, type=tuple[str, ...]),
                unmatched=msgspec.json.decode(found.unmatched, type=tuple[str, ...]),
            ),
        )
    return Run(
        run_id=row.run_id,
        estate=row.estate,
        snapshot=row.snapshot,
        as_of=row.as_of,
        recorded_at=row.recorded_at,
        digest=row.digest,
        rules=rules,
        scopes=scopes,
        coverage=msgspec.json.decode(row.coverage, type=tuple[Coverage, ...]),
        new=row.opened,
        persisting=row.persisting,
        resolved=row.resolved,
        reopened=row.reopened,
        unverified=row.unverified,
        suppressed=row.suppressed,
        held=row.held,
        exceptions=msgspec.json.decode(row.exceptions, type=tuple[ExceptionState, ...]),
        exceptions_unread=msgspec.json.decode(row.exceptions_unread, type=tuple[str, ...]),
    )
