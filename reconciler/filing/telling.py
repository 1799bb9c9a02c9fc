"""Tell an open ticket what became of its nonconformity since it was last told: what came, what went, what stands.

What a ticket was told last is known from the outbox alone: its own text speaks of the run before it was asked for, and
each comment of this kind names in its mark the last run that it speaks of. So a night that was missed is told with
the next, and what came and went in between is not told at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import func
from sqlmodel import Session, col, or_, select

from reconciler.database.filing import OperationRow, TicketRow
from reconciler.database.findings import FindingRow, RunRow
from reconciler.database.nonconformities import AttachedRow, NonconformityRow, TransitionRow
from reconciler.filing.facts import Facts, line
from reconciler.filing.outbox import CREATE, operation
from reconciler.filing.reading import account_of, number_of
from reconciler.sdk.tickets import Change

_MARK = "findings-"
_LISTED = 20
"""Findings that came, and findings that went, that one comment names at most."""


class _Moved(msgspec.Struct, frozen=True, gc=False):
    """A finding that came or went; ``why`` it went."""

    finding_id: str
    account: str
    why: str = ""


def news(session: Session, row: TicketRow, facts: Facts, *, listed: int, time_zone: str) -> Change | None:
    """Return the comment that tells a ticket what it was not told yet, None where there is nothing to tell.

    Of people it names nobody: accounts go by their id. While one such comment is not made, another is not asked for;
    the next tells what both would have.
    """
    number = number_of(facts.about)
    held = None if number is None else session.get(NonconformityRow, number)
    told = None if held is None else _told(session, row)
    if held is None or told is None:
        return None
    came, went, last_moved = _moved(session, held.number or 0, told)
    before, last_weighed = _weighed(session, held.number or 0, told)
    lines = [*_listed("came", came, min(listed, _LISTED)), *_listed("went", went, min(listed, _LISTED))]
    severity = before.get("severity", held.severity)
    if severity != held.severity:
        lines.append(f"Severity: {held.severity}, it was {severity}.")
    due = datetime.fromisoformat(before["due_at"]) if "due_at" in before else held.due_at
    if due != held.due_at:
        lines.append(f"Due: {_day(held.due_at, time_zone)}, it was {_day(due, time_zone)}.")
    if not lines:
        return None
    heading = f"{facts.about} after the run {facts.last_run}: {_standing(session, held.number or 0, facts.seen)}."
    return Change(mark=f"{_MARK}{max(last_moved, last_weighed)}", comment="\n".join([heading, "", *lines]))


def _told(session: Session, row: TicketRow) -> int | None:
    """Return the number of the last run that the ticket speaks of; None where it is not there, or a comment waits."""
    create = operation(session, row.system, row.key, CREATE)
    if create is None or create.state != "done":
        return None
    asked = session.exec(select(func.max(RunRow.number)).where(RunRow.recorded_at <= create.asked_at)).one()
    told = [asked or 0]
    comments = select(OperationRow.mark, OperationRow.state).where(
        OperationRow.system == row.system, OperationRow.key == row.key, col(OperationRow.mark).startswith(_MARK)
    )
    for mark, state in session.exec(comments):
        if state != "done":
            return None
        told.append(int(mark.removeprefix(_MARK)))
    return max(told)


def _moved(session: Session, number: int, told: int) -> tuple[list[_Moved], list[_Moved], int]:
    """Return the findings that stand now and did not stand then, those the other way round, and the last run of it."""
    found = session.exec(
        select(AttachedRow, FindingRow.subject)
        .join(FindingRow, col(FindingRow.finding_id) == col(AttachedRow.finding_id))
        .where(AttachedRow.nonconformity == number)
        .where(or_(col(AttachedRow.attached_run) > told, col(AttachedRow.detached_run) > told))
        .order_by(col(AttachedRow.finding_id), col(AttachedRow.attached_run))
    )
    came: dict[str, _Moved] = {}
    went: dict[str, _Moved] = {}
    last = told
    for row, subject in found:
        account = account_of(msgspec.json.decode(subject, type=dict[str, str | None]))
        last = max(last, row.attached_run, row.detached_run or 0)
        if row.attached_run <= told:
            went[row.finding_id] = _Moved(row.finding_id, account, row.detached_why or "")
        elif row.detached_run is None:
            came[row.finding_id] = _Moved(row.finding_id, account)
    only_came = [moved for finding_id, moved in came.items() if finding_id not in went]
    return only_came, [moved for finding_id, moved in went.items() if finding_id not in came], last


def _weighed(session: Session, number: int, told: int) -> tuple[Mapping[str, Any], int]:
    """Return severity and due date as the ticket knows them, where runs changed them since, and the last of these."""
    found = session.exec(
        select(TransitionRow.run, TransitionRow.before)
        .where(TransitionRow.nonconformity == number, TransitionRow.what == "weighed")
        .where(col(TransitionRow.run) > told)
        .order_by(col(TransitionRow.number).desc())
    )
    before: dict[str, Any] = {}
    last = told
    for run, columns in found:
        before |= msgspec.json.decode(columns or "{}", type=dict[str, Any])
        last = max(last, run or 0)
    return before, last


def _standing(session: Session, number: int, seen: int) -> str:
    stands = select(func.count(col(AttachedRow.finding_id))).where(
        AttachedRow.nonconformity == number, col(AttachedRow.detached_run).is_(None)
    )
    count = session.exec(stands).one()
    said = f"{_count(count)} {'stands' if count == 1 else 'stand'}"
    return said if seen == count else f"{said}, of which it saw {seen:,}"


def _listed(what: str, moved: Sequence[_Moved], most: int) -> list[str]:
    if not moved:
        return []
    lines = [f"{_count(len(moved))} {what}:"]
    for one in moved[:most]:
        named = ": ".join(filter(None, (one.finding_id, line(one.account))))
        lines.append(f"- {named}{f' ({line(one.why)})' if one.why else ''}")
    if len(moved) > most:
        unnamed = "1 that is" if len(moved) == 1 else f"{len(moved):,} that are"
        lines.append(f"- and {len(moved) - most:,} more" if most else f"- {unnamed} not named here")
    return [*lines, ""]


def _count(count: int) -> str:
    return "1 finding" if count == 1 else f"{count:,} findings"


def _day(at: datetime, time_zone: str) -> str:
    return at.astimezone(ZoneInfo(time_zone)).date().isoformat()
