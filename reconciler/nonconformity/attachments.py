"""How findings stand to nonconformities, read for all of them at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import case, func
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from reconciler.database.findings import FindingRow
from reconciler.database.nonconformities import AttachedRow, NonconformityRow, TransitionRow
from reconciler.estate.results import Outcome, Severity
from reconciler.nonconformity.grouping import Found
from reconciler.nonconformity.record import Cause

Place = tuple[str, str | None]
"""A rule id and a source; None: the whole estate."""

CHUNK = 1_000
"""Values named by one statement."""

SEVERITIES: tuple[Severity, ...] = ("critical", "high", "medium", "low")
_GRAVITY = case({severity: place for place, severity in enumerate(SEVERITIES)}, value=col(FindingRow.severity))
_NOT_CLOSED = col(NonconformityRow.state) != "closed"


class Held(msgspec.Struct, frozen=True):
    """The findings that ever belonged to a nonconformity, counted."""

    places: frozenset[Place]
    ever: int
    there: int
    """Those that are not resolved, whether or not they stand: suppressed, held and not evaluable ones too.

    One that stands in another nonconformity by now is that one's.
    """
    excepted: frozenset[Place]
    """Where violations of it are that an exception covers."""
    standing: frozenset[Place]
    """Where some of them stand."""
    worst: Severity | None
    """The worst severity of those that stand; None where none does."""


def holdings(session: Session) -> dict[int, Held]:
    """Return for each nonconformity that is not closed its findings, counted."""
    row, finding = AttachedRow, FindingRow
    stands = col(row.detached_run).is_(None)
    elsewhere = aliased(AttachedRow)
    excepted = col(finding.exception).is_not(None) & (col(finding.verdict) == Outcome.VIOLATION.value)
    here = col(finding.is_open) & col(elsewhere.finding_id).is_(None)
    query = (
        select(row.nonconformity, finding.rule_id, finding.source)
        .add_columns(
            func.count(col(row.finding_id).distinct()),
            func.count(case((here, col(row.finding_id))).distinct()),
            func.count(case((here & excepted, 1))),
            func.min(case((stands, _GRAVITY))),
        )
        .join(finding, col(finding.finding_id) == col(row.finding_id))
        .join(NonconformityRow, col(NonconformityRow.number) == col(row.nonconformity))
        .join(
            elsewhere,
            (col(elsewhere.finding_id) == col(row.finding_id))
            & col(elsewhere.detached_run).is_(None)
            & (col(elsewhere.nonconformity) != col(row.nonconformity)),
            isouter=True,
        )
        .where(_NOT_CLOSED)
        .group_by(col(row.nonconformity), col(finding.rule_id), col(finding.source))
    )
    parts: defaultdict[int, list[Any]] = defaultdict(list)
    for number, *part in session.execute(query):
        parts[number].append(part)
    return {number: _counted(found) for number, found in parts.items()}


def _counted(parts: Sequence[Any]) -> Held:
    worst = min((gravity for *_, gravity in parts if gravity is not None), default=None)
    return Held(
        places=frozenset((rule_id, source) for rule_id, source, *_ in parts),
        ever=sum(ever for _, _, ever, *_ in parts),
        there=sum(there for _, _, _, there, *_ in parts),
        excepted=frozenset((rule_id, source) for rule_id, source, _, _, covered, _ in parts if covered),
        standing=frozenset((rule_id, source) for rule_id, source, *_, gravity in parts if gravity is not None),
        worst=None if worst is None else SEVERITIES[worst],
    )


def leaving(session: Session, below: Collection[Severity]) -> Sequence[tuple[int, Any]]:
    """Return nonconformity and finding of what is attached and stands no more.

    That is what is resolved, suppressed, held, or of a severity that is ``below`` the least.
    """
    finding = FindingRow
    stands_not = (
        ~col(finding.is_open)
        | col(finding.exception).is_not(None)
        | col(finding.waiting)
        | col(finding.severity).in_(below)
    )
    query = (
        select(AttachedRow.nonconformity, finding.finding_id, finding.rule_id, finding.source)
        .add_columns(col(finding.severity), col(finding.is_open), col(finding.exception), col(finding.waiting))
        .join(finding, col(finding.finding_id) == col(AttachedRow.finding_id))
        .join(NonconformityRow, col(NonconformityRow.number) == col(AttachedRow.nonconformity))
        .where(col(AttachedRow.detached_run).is_(None), _NOT_CLOSED, stands_not)
    )
    return [(row[0], row) for row in session.execute(query)]


def loose(session: Session) -> list[Found]:
    """Return the violations that stand open and are attached to nothing."""
    finding = FindingRow
    query = (
        select(finding.finding_id, finding.rule_id, finding.rule, finding.source)
        .add_columns(col(finding.severity), col(finding.person_id))
        .join(
            AttachedRow,
            (col(AttachedRow.finding_id) == col(finding.finding_id)) & col(AttachedRow.detached_run).is_(None),
            isouter=True,
        )
        .where(
            col(AttachedRow.finding_id).is_(None),
            col(finding.is_open),
            col(finding.exception).is_(None),
            ~col(finding.waiting),
            col(finding.verdict) == Outcome.VIOLATION.value,
        )
        .order_by(col(finding.finding_id))
    )
    return [Found(*row) for row in session.execute(query)]


def waiting(session: Session) -> set[Place]:
    """Return where new violations are held, and wait for somebody to accept them."""
    held = select(FindingRow.rule_id, FindingRow.source).where(col(FindingRow.is_open), col(FindingRow.waiting))
    return set(session.exec(held.distinct()))


def homes(session: Session) -> dict[str, int]:
    """Return for open findings that are attached to nothing the nonconformity that they belonged to last."""
    query = (
        select(AttachedRow.finding_id, AttachedRow.nonconformity)
        .join(FindingRow, col(FindingRow.finding_id) == col(AttachedRow.finding_id))
        .where(col(FindingRow.is_open), col(AttachedRow.detached_run).is_not(None))
        .order_by(col(AttachedRow.attached_run), col(AttachedRow.nonconformity))
    )
    return {finding_id: number for finding_id, number in session.exec(query)}  # noqa: C416 - the last of each counts


def causes(session: Session, numbers: Collection[int]) -> dict[int, Cause]:
    """Return the cause of each of ``numbers``."""
    query = select(NonconformityRow.number, NonconformityRow.cause_key).where(col(NonconformityRow.number).in_(numbers))
    return {number or 0: msgspec.json.decode(key, type=Cause) for number, key in session.exec(query)}


def last_closed(session: Session, keys: Collection[str]) -> dict[str, NonconformityRow]:
    """Return by cause the nonconformity that was closed last."""
    found: dict[str, NonconformityRow] = {}
    wanted = sorted(keys)
    for start in range(0, len(wanted), CHUNK):
        query = (
            select(NonconformityRow)
            .where(~_NOT_CLOSED)
            .where(col(NonconformityRow.cause_key).in_(wanted[start : start + CHUNK]))
            .order_by(col(NonconformityRow.closed_at), col(NonconformityRow.number))
        )
        found |= {row.cause_key: row for row in session.exec(query)}
    return found


def for_vacancy(session: Session, numbers: Sequence[int]) -> set[int]:
    """Return those of ``numbers`` that last went up because a role was vacant."""
    line = TransitionRow
    query = (
        select(line.nonconformity, line.what)
        .where(col(line.what).in_(("vacant", "escalated")), col(line.nonconformity).in_(numbers))
        .order_by(col(line.number))
    )
    last = {number: what for number, what in session.exec(query)}  # noqa: C416 - the last of each counts
    return {number for number, what in last.items() if what == "vacant"}
