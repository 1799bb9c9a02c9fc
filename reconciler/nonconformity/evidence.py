"""What shows that a nonconformity is there, or no longer is: its findings, and the runs that saw them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache

import msgspec
from sqlalchemy import ColumnElement, and_, case, exists, func
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from reconciler.database.findings import EvaluationRow, FindingRow, RunRow
from reconciler.database.nonconformities import AttachedRow

LEFT_OUT = "the last run did not evaluate it"
"""Why a rule was not judged in a source where it was not even tried."""
_SHOWN = 5
"""Findings named where several stand."""


class Attached(msgspec.Struct, frozen=True, kw_only=True):
    """A finding of a nonconformity, from one run to another; ``detached_run`` None while it stands."""

    finding_id: str
    rule_id: str
    source: str | None
    account_id: str | None
    subject: Mapping[str, str | None]
    """Identity column -> value."""
    reason: str
    """What the rule said of it last."""
    attached_run: str
    attached_at: datetime
    detached_run: str | None
    detached_at: datetime | None
    detached_why: str | None


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """A run that the record names: the snapshot that it judged, and the digest of what it found.

    ``as_of`` is the instant that it judged, ``recorded_at`` the clock's when it was recorded.
    """

    run_id: str
    snapshot: str
    as_of: datetime
    recorded_at: datetime
    digest: str


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """What a run that the record rests on did with one rule in one source; ``unread`` says why it could not judge."""

    run_id: str
    rule_id: str
    rule_version: int | None
    source: str | None
    population: int
    violations: int
    excepted: int
    passes: int
    not_applicable: int
    not_evaluable: int
    unread: tuple[str, ...]


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What the last run could say of one rule in one source; ``unread`` says why it could not judge, empty if it did.

    ``last_judged`` is the instant of the last run that did; None where none ever did.
    """

    rule_id: str
    source: str | None
    unread: tuple[str, ...]
    last_judged: datetime | None


def attached(session: Session, number: int) -> list[Attached]:
    """Return the findings that ever belonged to it, in the order in which they came."""
    rows = session.exec(
        select(AttachedRow, FindingRow)
        .join(FindingRow, col(FindingRow.finding_id) == col(AttachedRow.finding_id))
        .where(AttachedRow.nonconformity == number)
        .order_by(col(AttachedRow.attached_run), col(AttachedRow.finding_id))
    ).all()
    numbers = {n for row, _ in rows for n in (row.attached_run, row.detached_run) if n is not None}
    known = {run.number: run for run in session.exec(select(RunRow).where(col(RunRow.number).in_(numbers)))}
    return [
        Attached(
            finding_id=finding.finding_id,
            rule_id=finding.rule_id,
            source=finding.source,
            account_id=(subject := msgspec.json.decode(finding.subject, type=dict[str, str | None])).get("account_id"),
            subject=subject,
            reason=finding.reason,
            attached_run=known[row.attached_run].run_id,
            attached_at=known[row.attached_run].as_of,
            detached_run=None if row.detached_run is None else known[row.detached_run].run_id,
            detached_at=None if row.detached_run is None else known[row.detached_run].as_of,
            detached_why=row.detached_why,
        )
        for row, finding in rows
    ]


def runs(session: Session, run_ids: Iterable[str]) -> list[Evidence]:
    """Return the runs of those ids, oldest first."""
    wanted = set(run_ids)
    rows = session.exec(select(RunRow).where(col(RunRow.run_id).in_(wanted)).order_by(col(RunRow.number)))
    return [
        Evidence(
            run_id=row.run_id, snapshot=row.snapshot, as_of=row.as_of, recorded_at=row.recorded_at, digest=row.digest
        )
        for row in rows
    ]


def looked(session: Session, number: int, run_ids: Iterable[str]) -> list[Looked]:
    """Return what the runs of those ids did with each rule and source of its findings, oldest run first."""
    places = _places(session, number)
    rows = session.exec(
        select(RunRow, EvaluationRow)
        .join(EvaluationRow, col(EvaluationRow.run) == col(RunRow.number))
        .where(col(RunRow.run_id).in_(set(run_ids)), col(EvaluationRow.rule_id).in_({rule for rule, _ in places}))
        .order_by(col(RunRow.number), col(EvaluationRow.position))
    ).all()
    return [
        Looked(
            run_id=run.run_id,
            rule_id=row.rule_id,
            rule_version=_versions(run.rules).get(row.rule_id),
            source=row.source,
            population=row.population,
            violations=row.violations,
            excepted=row.excepted,
            passes=row.passes,
            not_applicable=row.not_applicable,
            not_evaluable=row.not_evaluable,
            unread=msgspec.json.decode(row.blocked, type=tuple[str, ...]),
        )
        for run, row in rows
        if (row.rule_id, row.source) in places
    ]


class _Version(msgspec.Struct):
    rule_id: str
    version: int


@lru_cache(maxsize=4)
def _versions(rules: str) -> dict[str, int]:
    return {each.rule_id: each.version for each in msgspec.json.decode(rules, type=list[_Version])}


def _places(session: Session, number: int) -> dict[tuple[str, str | None], int]:
    """Return by rule and source of its findings, in their order, how many stand there."""
    found = session.exec(
        select(FindingRow.rule_id, FindingRow.source, func.count(case((col(AttachedRow.detached_run).is_(None), 1))))
        .join(AttachedRow, col(AttachedRow.finding_id) == col(FindingRow.finding_id))
        .where(AttachedRow.nonconformity == number)
        .group_by(col(FindingRow.rule_id), col(FindingRow.source))
        .order_by(col(FindingRow.rule_id), col(FindingRow.source))
    )
    return {(rule_id, source): standing for rule_id, source, standing in found}


def judged(session: Session, number: int) -> list[Judged]:
    """Return, for each rule and source of its findings, whether the last run could judge it."""
    last = session.exec(select(func.max(RunRow.number))).one()
    return [_judged(session, rule_id, source, last or 0) for rule_id, source in _places(session, number)]


def _judged(session: Session, rule_id: str, source: str | None, last: int) -> Judged:
    of_it = and_(col(EvaluationRow.rule_id) == rule_id, col(EvaluationRow.source).is_not_distinct_from(source))
    row = session.exec(select(EvaluationRow).where(of_it, EvaluationRow.run == last)).first()
    if row is None:
        unread: tuple[str, ...] = (LEFT_OUT,)
    else:
        unread = msgspec.json.decode(row.blocked, type=tuple[str, ...])
    as_of = session.exec(
        select(RunRow.as_of)
        .join(EvaluationRow, col(EvaluationRow.run) == col(RunRow.number))
        .where(of_it, col(EvaluationRow.evaluated))
        .order_by(col(RunRow.number).desc())
        .limit(1)
    ).first()
    return Judged(rule_id=rule_id, source=source, unread=unread, last_judged=as_of)


def looked_for(session: Session, number: int) -> tuple[str, ...]:
    """Say what keeps a nonconformity from being set aside: the last run looks for it. Empty where it may be.

    A rule or source that could not be read counts as looked for: it is expected back.
    """
    last = session.exec(select(func.max(RunRow.number))).one()
    looked = set(session.exec(select(EvaluationRow.rule_id, EvaluationRow.source).where(EvaluationRow.run == last)))
    places = _places(session, number)
    if places.keys() <= looked:
        return ("that a rule or source of it left the configuration: the last run looked for all of it",)
    return tuple(
        f"findings gone of {rule_id} in {source or 'the whole estate'}"
        for (rule_id, source), standing in places.items()
        if standing and (rule_id, source) in looked
    )


def doubts(session: Session, number: int, verified_run: int | None) -> tuple[str, ...]:
    """Say what the findings themselves hold against a close, though the row of the nonconformity says otherwise.

    The nightly following has not seen it yet, or somebody altered the row by hand. The database refuses the same.
    """
    said = []
    belongs = _of_it(number)
    if session.exec(select(AttachedRow).where(AttachedRow.nonconformity == number).limit(1)).first() is None:
        said.append("a finding: none ever belonged to it, so no run could see it gone")
    still = session.exec(
        select(FindingRow.finding_id)
        .where(belongs, col(FindingRow.is_open), ~_elsewhere(number))
        .order_by(col(FindingRow.finding_id))
        .limit(_SHOWN)
    ).all()
    if still:
        there = f"{', '.join(still)} still open, though no longer attached"
        said.append(f"the machine's verification: {there}; what is held, or under an exception, is not gone")
    unseen = session.exec(
        select(FindingRow.rule_id, FindingRow.source)
        .where(belongs, ~_elsewhere(number), ~_evaluated(verified_run))
        .distinct()
    ).all()
    if verified_run is not None and unseen:
        where = ", ".join(sorted(f"{rule_id} in {source or 'the whole estate'}" for rule_id, source in unseen))
        said.append(f"the machine's verification: the run that is said to have verified did not judge {where}")
    return tuple(said)


def _of_it(number: int) -> ColumnElement[bool]:
    row = aliased(AttachedRow)
    return exists().where(col(row.finding_id) == col(FindingRow.finding_id), col(row.nonconformity) == number)


def _elsewhere(number: int) -> ColumnElement[bool]:
    """Whether a finding stands in another nonconformity."""
    other = aliased(AttachedRow)
    return exists().where(
        col(other.finding_id) == col(FindingRow.finding_id),
        col(other.nonconformity) != number,
        col(other.detached_run).is_(None),
    )


def _evaluated(run: int | None) -> ColumnElement[bool]:
    return exists().where(
        col(EvaluationRow.run) == run,
        col(EvaluationRow.rule_id) == col(FindingRow.rule_id),
        col(EvaluationRow.source).is_not_distinct_from(col(FindingRow.source)),
        col(EvaluationRow.evaluated),
    )
