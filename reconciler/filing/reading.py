"""Read what filing needs to know of nonconformities from the database's tables, as the last run left them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec
from sqlalchemy import or_
from sqlmodel import Session, col, select

from reconciler.database import Database
from reconciler.database.filing import TicketRow
from reconciler.database.findings import EvaluationRow, FindingRow, RunRow
from reconciler.database.nonconformities import AttachedRow, NonconformityRow
from reconciler.errors import ConfigurationError
from reconciler.filing.facts import Facts, Named
from reconciler.sdk.tickets import Status

_NUMBER = re.compile(r"NC-0*([1-9][0-9]{0,8})", re.IGNORECASE)


class _Requirement(msgspec.Struct, frozen=True):
    controls: tuple[str, ...] = ()
    clauses: Mapping[str, tuple[str, ...]] = {}


def known(database: Database) -> list[Facts]:
    """Return every nonconformity that is open, and closed ones that have a ticket which is not."""
    ended = (Status.CLOSED.value, Status.GONE.value)
    with database.reading() as session:
        abouts = session.exec(
            select(TicketRow.about).where(
                or_(col(TicketRow.status).is_(None), col(TicketRow.status).not_in(ended)),
            )
        )
        numbers = {number for about in abouts if (number := number_of(about)) is not None}
        rows = session.exec(
            select(NonconformityRow)
            .where(or_(col(NonconformityRow.state) != "closed", col(NonconformityRow.number).in_(numbers)))
            .order_by(col(NonconformityRow.number))
        ).all()
        return _facts(session, rows)


def one(database: Database, wanted: str) -> Facts:
    """Return one nonconformity, by its number as NC-000123; raise ``ConfigurationError`` where there is none."""
    number = number_of(wanted)
    with database.reading() as session:
        row = None if number is None else session.get(NonconformityRow, number)
        if row is None:
            raise ConfigurationError(
                f"there is no nonconformity {wanted}", advice="List those there are: reconciler nonconformities list."
            )
        return _facts(session, [row])[0]


def number_of(about: str) -> int | None:
    """Return the number of a nonconformity as NC-000123, None for what is none."""
    found = _NUMBER.fullmatch(about.strip())
    return int(found[1]) if found else None


def account_of(subject: Mapping[str, str | None]) -> str:
    """Return the id of the account that a finding is about, empty where it is about none."""
    holder = subject.get("principal_id") if subject.get("principal_kind") == "account" else None
    return subject.get("account_id") or holder or ""


def _facts(session: Session, rows: Sequence[NonconformityRow]) -> list[Facts]:
    numbers = {n for row in rows for n in (row.detected_run, row.verified_run) if n is not None}
    found = session.exec(select(RunRow.number, RunRow.run_id, RunRow.snapshot).where(col(RunRow.number).in_(numbers)))
    runs = {number or 0: (run_id, snapshot) for number, run_id, snapshot in found}
    last = session.exec(select(RunRow).order_by(col(RunRow.number).desc()).limit(1)).first()
    named, seen = _findings(session, [row.number or 0 for row in rows], last.number if last else None)
    return [_of(row, runs, last, named[row.number or 0], seen[row.number or 0]) for row in rows]


def _of(
    row: NonconformityRow, runs: Mapping[int, tuple[str, str]], last: RunRow | None, named: Sequence[Named], seen: int
) -> Facts:
    required = msgspec.json.decode(row.requirement, type=_Requirement)
    run_id, snapshot = runs[row.detected_run]
    return Facts(
        about=f"NC-{row.number:06}",
        title=row.title,
        statement=row.statement,
        rule_id=row.rule_id,
        source=row.source,
        supplier_id=row.supplier_id,
        controls=required.controls,
        clauses=required.clauses,
        severity=row.severity,
        grade=row.grade,
        owner_role=row.owner_role,
        owner=row.owner,
        detected_at=row.detected_at,
        due_at=row.due_at,
        findings=named,
        run_id=run_id,
        snapshot=snapshot,
        last_run=last.run_id if last is not None else "",
        looked_at=last.as_of if last is not None else None,
        seen=seen,
        verified_run=runs[row.verified_run][0] if row.verified_run is not None else None,
        closed=row.state == "closed",
    )


def _findings(
    session: Session, numbers: Sequence[int], last: int | None
) -> tuple[Mapping[int, list[Named]], Mapping[int, int]]:
    """Return by nonconformity the findings that stand, and how many of them the last run saw.

    It saw those that it could judge, holds to be violations, and neither excepts nor holds back.
    """
    judged = set(
        session.exec(
            select(EvaluationRow.rule_id, EvaluationRow.source).where(
                EvaluationRow.run == last, col(EvaluationRow.evaluated)
            )
        ).all()
    )
    found = session.exec(
        select(AttachedRow.nonconformity, FindingRow)
        .join(FindingRow, col(FindingRow.finding_id) == col(AttachedRow.finding_id))
        .where(col(AttachedRow.nonconformity).in_(numbers), col(AttachedRow.detached_run).is_(None))
        .order_by(col(AttachedRow.nonconformity), col(AttachedRow.attached_run), col(AttachedRow.finding_id))
    )
    named: defaultdict[int, list[Named]] = defaultdict(list)
    seen: defaultdict[int, int] = defaultdict(int)
    for number, row in found:
        subject = msgspec.json.decode(row.subject, type=dict[str, str | None])
        named[number].append(
            Named(
                finding_id=row.finding_id,
                account=account_of(subject),
                reason=row.reason,
                person_id=row.person_id or "",
            )
        )
        stands = row.is_open and row.exception is None and not row.waiting and row.last_seen_run is None
        seen[number] += stands and row.verdict == "violation" and (row.rule_id, row.source) in judged
    return named, seen
