"""Between the tables and the values: read rows as nonconformities, change a row, and add what happened to its history.

Whoever changes a nonconformity, a person through the store or the machine after a run, does it by ``change`` or
``reopen``: no row changes without a line that tells who, when, what and why.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

import msgspec
from sqlalchemy import case, func
from sqlmodel import Session, col, select

from reconciler.database.findings import RunRow
from reconciler.database.nonconformities import AttachedRow, NonconformityRow, TransitionRow
from reconciler.nonconformity.gates import state_of
from reconciler.nonconformity.record import (
    Action,
    Analysis,
    Cause,
    Entry,
    Nonconformity,
    State,
    Transition,
    Verification,
    nc_id,
)

CLOSING = ("closed_by", "closed_at", "closed_reason")
ASIDE = ("set_aside_by", "set_aside_at", "set_aside_reason")
SEEN = ("gone_run", "gone_at", "watch_until", "verified_run", "verified_at")
"""What the machine saw; ``gone_at`` and ``verified_at`` are the ``as_of`` of those runs."""
ACTED = (
    *("contained_by", "contained_at", "containment"),
    *("corrected_by", "corrected_at", "correction"),
    *("cause_by", "cause_at", "cause_method", "cause"),
    *("action_by", "action_at", "action", "action_owner_role", "action_due_on", "action_done_by", "action_done_at"),
)
"""What people entered."""


class Counts(msgspec.Struct, frozen=True):
    """How many findings of a nonconformity stand, and how many ever belonged to it."""

    standing: int = 0
    findings: int = 0


class _Requirement(msgspec.Struct, frozen=True):
    controls: tuple[str, ...] = ()
    clauses: dict[str, tuple[str, ...]] = {}


def requirement(controls: Iterable[str], clauses: Mapping[str, Iterable[str]]) -> str:
    """Return the requirement that is not met as the column holds it."""
    held = _Requirement(tuple(controls), {framework: tuple(those) for framework, those in clauses.items()})
    return msgspec.json.encode(held, order="deterministic").decode()


def counts(session: Session, numbers: Collection[int] | None = None) -> dict[int, Counts]:
    """Return by nonconformity its counts; None: of all. One without findings is left out."""
    stands = case((col(AttachedRow.detached_run).is_(None), col(AttachedRow.finding_id)))
    query = select(
        AttachedRow.nonconformity,
        func.count(stands.distinct()),
        func.count(col(AttachedRow.finding_id).distinct()),
    ).group_by(col(AttachedRow.nonconformity))
    if numbers is not None:
        query = query.where(col(AttachedRow.nonconformity).in_(numbers))
    return {number: Counts(standing, findings) for number, standing, findings in session.exec(query)}


def run_ids(session: Session, rows: Iterable[NonconformityRow]) -> dict[int, str]:
    """Return number -> run_id of the runs that the rows name."""
    numbers = {n for row in rows for n in (row.detected_run, row.gone_run, row.verified_run) if n is not None}
    found = session.exec(select(RunRow.number, RunRow.run_id).where(col(RunRow.number).in_(numbers)))
    return {number: run_id for number, run_id in found if number is not None}


def values(session: Session, rows: Collection[NonconformityRow]) -> list[Nonconformity]:
    """Return the rows as values, in their order."""
    counted = counts(session, [row.number for row in rows if row.number is not None])
    named = run_ids(session, rows)
    return [value(row, counted.get(row.number or 0, Counts()), named) for row in rows]


def value(row: NonconformityRow, counted: Counts, runs: Mapping[int, str]) -> Nonconformity:
    """Return a row as a value. ``runs`` gives the run_id of the numbers that it names."""
    required = msgspec.json.decode(row.requirement, type=_Requirement)
    return msgspec.convert(
        {
            "nc_id": nc_id(row.number or 0),
            "cause": msgspec.json.decode(row.cause_key, type=Cause),
            "rule_id": row.rule_id,
            "source": row.source,
            "supplier_id": row.supplier_id,
            "title": row.title,
            "statement": row.statement,
            "controls": required.controls,
            "clauses": required.clauses,
            "severity": row.severity,
            "grade": row.grade,
            "grade_reason": row.grade_reason,
            "state": row.state if row.set_aside_by is None else State.SET_ASIDE,
            "detected_at": row.detected_at,
            "detected_run": runs[row.detected_run],
            "owner_role": row.owner_role,
            "owner": row.owner,
            "escalated_to": row.escalated_to,
            "due_at": row.due_at,
            "containment": _entry(row.contained_by, row.contained_at, row.containment),
            "correction": _entry(row.corrected_by, row.corrected_at, row.correction),
            "analysis": _analysis(row),
            "action": _action(row),
            "verification": _verification(row, runs),
            "closed": _entry(row.closed_by, row.closed_at, row.closed_reason),
            "set_aside": _entry(row.set_aside_by, row.set_aside_at, row.set_aside_reason),
            "times_reopened": row.times_reopened,
            "recurrence_of": None if row.recurrence_of is None else nc_id(row.recurrence_of),
            "standing": counted.standing,
            "findings": counted.findings,
        },
        Nonconformity,
    )


def _entry(by: str | None, at: datetime | None, text: str | None) -> Entry | None:
    return None if by is None or at is None or text is None else Entry(by=by, at=at, text=text)


def _analysis(row: NonconformityRow) -> Analysis | None:
    if row.cause is None:
        return None
    held = {"by": row.cause_by, "at": row.cause_at, "method": row.cause_method, "text": row.cause}
    return msgspec.convert(held, Analysis)


def _action(row: NonconformityRow) -> Action | None:
    if row.action is None:
        return None
    held = {
        "by": row.action_by,
        "at": row.action_at,
        "text": row.action,
        "owner_role": row.action_owner_role,
        "due_on": row.action_due_on,
        "done_by": row.action_done_by,
        "done_at": row.action_done_at,
    }
    return msgspec.convert(held, Action)


def _verification(row: NonconformityRow, runs: Mapping[int, str]) -> Verification | None:
    if row.gone_run is None:
        return None
    held = {
        "gone_run": runs[row.gone_run],
        "gone_at": row.gone_at,
        "watch_until": row.watch_until,
        "verified_run": None if row.verified_run is None else runs[row.verified_run],
        "verified_at": row.verified_at,
    }
    return msgspec.convert(held, Verification)


def settle(session: Session, row: NonconformityRow) -> Nonconformity:
    """Set the state that follows from everything else, and return the value; call it after whatever changed."""
    session.flush()
    [held] = values(session, [row])
    row.state = kept_state(held)
    session.add(row)
    session.flush()
    return msgspec.structs.replace(held, state=state_of(held))


def kept_state(held: Nonconformity) -> State:
    """Return the state as its column holds it: one that is set aside is open there, and its columns say by whom."""
    state = state_of(held)
    return State.OPEN if state is State.SET_ASIDE else state


def change(
    session: Session,
    row: NonconformityRow,
    *,
    at: datetime,
    who: str,
    what: str,
    why: str,
    run: int | None = None,
    **columns: Any,
) -> None:
    """Set columns of a row and add to its history what they were and what they became.

    ``run`` is the number of the run in which the machine saw it; None where a person acts.
    """
    before = {name: getattr(row, name) for name in columns}
    altered = [name for name, new in columns.items() if new != before[name]]
    transition(
        session,
        row.number or 0,
        at=at,
        who=who,
        what=what,
        why=why,
        run=run,
        before={name: before[name] for name in altered} or None,
        after={name: columns[name] for name in altered} or None,
    )
    session.flush()  # the line comes first: a close of which history does not tell is refused
    for name, new in columns.items():
        setattr(row, name, new)
    session.add(row)
    session.flush()


def reopen(
    session: Session, row: NonconformityRow, *, at: datetime, who: str, why: str, run: int | None = None
) -> None:
    """Open a closed one again: what people had entered did not last, so all of it is owed anew.

    It stays in the history. The database lets a closed row change in no other way.
    """
    cleared: dict[str, Any] = dict.fromkeys((*CLOSING, *SEEN, *ACTED))
    columns = {**cleared, "state": "open", "times_reopened": row.times_reopened + 1}
    change(session, row, at=at, who=who, what="reopened", why=why, run=run, **columns)


def transition(
    session: Session,
    number: int,
    *,
    at: datetime,
    who: str,
    what: str,
    why: str,
    run: int | None = None,
    before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
) -> None:
    """Add a line to the history of nonconformity ``number``; ``before`` and ``after`` are columns that changed."""
    session.add(
        TransitionRow(
            nonconformity=number,
            at=at,
            who=who,
            what=what,
            why=why,
            run=run,
            before=None if before is None else _json(before),
            after=None if after is None else _json(after),
        )
    )


def transitions(session: Session, number: int) -> list[Transition]:
    """Return the history of a nonconformity, oldest first."""
    query = (
        select(TransitionRow, RunRow.run_id)
        .join(RunRow, col(RunRow.number) == col(TransitionRow.run), isouter=True)
        .where(TransitionRow.nonconformity == number)
        .order_by(col(TransitionRow.number))
    )
    return [
        Transition(
            at=row.at,
            who=row.who,
            what=row.what,
            why=row.why,
            run_id=run_id,
            before=_columns(row.before),
            after=_columns(row.after),
        )
        for row, run_id in session.exec(query)
    ]


def _columns(held: str | None) -> dict[str, object] | None:
    return None if held is None else msgspec.json.decode(held, type=dict[str, object])


def _json(columns: Mapping[str, object]) -> str:
    plain = {name: _plain(held) for name, held in columns.items()}
    return msgspec.json.encode(plain, order="sorted").decode()


def _plain(held: object) -> object:
    if isinstance(held, datetime):
        return held.astimezone(UTC).isoformat()
    return held.isoformat() if isinstance(held, date) else held
