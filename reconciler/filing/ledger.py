"""How every ticket stands, for people and reports: what was filed, what waits, what failed and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime

import msgspec
from sqlmodel import col, select

from reconciler.database import Database
from reconciler.database.filing import CommentRow, OperationRow, TicketRow
from reconciler.filing.keys import spoken


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is still to be done to a ticket, or that failed."""

    mark: str
    state: str
    attempts: int
    asked_at: datetime
    next_at: datetime
    error: str | None


class Remark(msgspec.Struct, frozen=True, kw_only=True):
    """A comment as its system gave it."""

    author: str
    at: datetime | None
    text: str


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One ticket of one system; what its system never said is None."""

    system: str
    key: str
    about: str
    state: str
    """waiting, filed, gone, conflict, abandoned."""
    remote_id: str | None
    remote_number: str | None
    remote_url: str | None
    status: str | None
    raw_status: str | None
    assignee: str | None
    resolution: str | None
    remote_updated_at: datetime | None
    read_at: datetime | None
    """When its system was last asked; what it said then may have changed."""
    note: str | None
    open_operations: tuple[Operation, ...] = ()
    comments: tuple[Remark, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether something of it was given up and waits for a person."""
        return any(found.state == "failed" for found in self.open_operations)


def status(
    database: Database, *, system: str | None = None, about: str | None = None, state: str | None = None
) -> list[Entry]:
    """Return the tickets that fit, by system and key; None asks nothing. ``about`` may be a key too.

    ``state`` is a state of a ticket, or ``failed`` for those of which something was given up.
    """
    with database.reading() as session:
        query = select(TicketRow).order_by(TicketRow.system, TicketRow.key)
        if system is not None:
            query = query.where(TicketRow.system == system)
        operations: defaultdict[tuple[str, str], list[Operation]] = defaultdict(list)
        for row in session.exec(
            select(OperationRow).where(OperationRow.state != "done").order_by(col(OperationRow.number))
        ):
            operations[row.system, row.key].append(_operation(row))
        comments: defaultdict[tuple[str, str], list[Remark]] = defaultdict(list)
        for said in session.exec(select(CommentRow).order_by(col(CommentRow.read_at), col(CommentRow.comment_id))):
            comments[said.system, said.key].append(Remark(author=said.author, at=said.at, text=said.text))
        entries = [
            msgspec.structs.replace(
                _entry(row),
                open_operations=tuple(operations[row.system, row.key]),
                comments=tuple(comments[row.system, row.key]),
            )
            for row in session.exec(query)
        ]
    if about is not None:
        key, shown = spoken(about)
        entries = [e for e in entries if e.key == key or e.about == shown]
    if state == "failed":
        return [e for e in entries if e.failed]
    return [e for e in entries if state is None or e.state == state]


def undone(database: Database, systems: Collection[str]) -> list[str]:
    """Return what was asked for of ``systems`` and is not done, failed ones first, each as SYSTEM KEY MARK: why.

    What belongs to tickets that were given up is left out.
    """
    entries = [e for e in status(database) if e.system in systems and e.state != "abandoned"]
    lines = [
        (
            left.state != "failed",
            f"{entry.system} {entry.key} {left.mark} {left.state}: {left.error or entry.note or ''}",
        )
        for entry in entries
        for left in entry.open_operations
    ]
    return [line.rstrip(": ") for _, line in sorted(lines, key=lambda one: one[0])]


def _operation(row: OperationRow) -> Operation:
    return Operation(
        mark=row.mark,
        state=row.state,
        attempts=row.attempts,
        asked_at=row.asked_at,
        next_at=row.next_at,
        error=row.error,
    )


def _entry(row: TicketRow) -> Entry:
    held = row.model_dump()
    return Entry(**{name: held[name] for name in Entry.__struct_fields__ if name in held})
