"""What is late goes up: the record says the role that ``notices`` tells of it, whether or not anybody can be told."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import timedelta

from sqlmodel import col, select

from reconciler.database.connection import Database
from reconciler.database.findings import RunRow
from reconciler.database.nonconformities import NonconformityRow
from reconciler.estate.results import Run
from reconciler.nonconformity import rows
from reconciler.nonconformity.gates import owes
from reconciler.nonconformity.owners import above
from reconciler.nonconformity.record import MACHINE, nc_id
from reconciler.snapshot.people import Holders


def escalate(
    database: Database, run: Run, *, days_after: Collection[int], escalate_to: Sequence[str], holders: Holders
) -> tuple[str, ...]:
    """Let what people owe and is late go up one role for each of ``days_after`` that has passed; name what did.

    It never comes down again: that somebody was asked in is so. What waits for a run alone is not late.
    """
    with database.writing() as session:
        number = session.exec(select(RunRow.number).where(RunRow.run_id == run.run_id)).one()
        late = select(NonconformityRow).where(
            NonconformityRow.state == "open", col(NonconformityRow.due_at) <= run.as_of
        )
        found = session.exec(late.order_by(col(NonconformityRow.number))).all()
        gone_up = []
        for row, held in zip(found, rows.values(session, found), strict=True):
            if not owes(held):
                continue
            passed = sum(run.as_of >= row.due_at + timedelta(days=days) for days in set(days_after))
            up = _up(row.owner_role, passed, escalate_to, holders)
            if up is not None and _height(up, escalate_to) > _height(row.escalated_to, escalate_to):
                why = f"due on {row.due_at:%Y-%m-%d}, and late: it goes up to {up}"
                at = run.recorded_at
                rows.change(session, row, at=at, who=MACHINE, what="escalated", why=why, run=number, escalated_to=up)
                gone_up.append(nc_id(row.number or 0))
        return tuple(gone_up)


def _up(role: str, times: int, escalate_to: Sequence[str], holders: Holders) -> str | None:
    """Return the role that is so many above whoever answers, or the last there is; None: nobody is above."""
    answering = above(role, escalate_to, holders) if holders.vacant(role) else role
    up = None
    for _ in range(times):
        up = above(up or answering or role, escalate_to, holders) or up
    return up


def _height(role: str | None, escalate_to: Sequence[str]) -> int:
    return next((n for n, each in enumerate(escalate_to) if role and each.strip().lower() == role.strip().lower()), -1)
