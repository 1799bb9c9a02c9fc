"""The outbox: what is to be filed, written down in the transaction of whoever asks, and sent by others later.

Whatever is asked for twice is done once: a ticket by its system and key, a change by its mark as well.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
from sqlmodel import Session, select

from reconciler.database.filing import OperationRow, TicketRow
from reconciler.errors import ConfigurationError
from reconciler.filing.keys import checked
from reconciler.sdk.tickets import Change, Ticket

CREATE = "create"
"""The mark of the operation that creates the ticket."""


def ask(session: Session, *, system: str, ticket: Ticket, about: str, at: datetime) -> bool:
    """Ask for a ticket about ``about``, such as NC-000123; return whether it had not been asked for before.

    Raises ``ConfigurationError`` for a key that is empty or could not be looked up.
    """
    key = checked(ticket.key)
    if session.get(TicketRow, (system, key)) is not None:
        return False
    session.add(
        TicketRow(
            system=system,
            key=key,
            about=about,
            state="waiting",
            remote_id=None,
            remote_number=None,
            remote_url=None,
            status=None,
            raw_status=None,
            closed_seen_at=None,
            assignee=None,
            resolution=None,
            remote_updated_at=None,
            read_at=None,
            note=None,
        )
    )
    _put(session, system, key, mark=CREATE, payload=msgspec.json.encode(ticket).decode(), at=at)
    return True


def ask_change(session: Session, *, system: str, key: str, change: Change, at: datetime) -> bool:
    """Ask for a change to a ticket; return whether it had not been asked for before.

    It waits until the ticket is filed. A comment gets its mark as its last line, by which it is found again. Raises
    ``ConfigurationError`` for a ticket that was never asked for, and for a mark that is none.
    """
    mark = checked(change.mark, "mark")
    if mark == CREATE or session.get(TicketRow, (system, checked(key))) is None:
        raise ConfigurationError(
            f"{system} has no ticket {key} to do {mark} to", advice="Ask for the ticket first, and name the change."
        )
    if asked(session, system, key, mark):
        return False
    comment = marked(change) if change.comment else ""
    change = Change(mark=mark, comment=comment, status=change.status, fields=change.fields)
    _put(session, system, key, mark=mark, payload=msgspec.json.encode(change).decode(), at=at)
    return True


def asked(session: Session, system: str, key: str, mark: str) -> bool:
    """Return whether the operation was asked for before, whatever became of it."""
    return operation(session, system, key, mark) is not None


def operation(session: Session, system: str, key: str, mark: str) -> OperationRow | None:
    """Return the row of an operation, None where it was never asked for."""
    query = select(OperationRow).where(
        OperationRow.system == system, OperationRow.key == key, OperationRow.mark == mark
    )
    return session.exec(query).one_or_none()


def marked(change: Change) -> str:
    """Return the comment of a change with its mark as the last line."""
    line = mark_line(change.mark)
    return change.comment if line in change.comment else f"{change.comment.rstrip()}\n\n{line}"


def mark_line(mark: str) -> str:
    """Return how a mark stands in the text of a comment: in brackets, so that no mark is part of another."""
    return f"[{mark}]"


def _put(session: Session, system: str, key: str, *, mark: str, payload: str, at: datetime) -> None:
    session.add(
        OperationRow(
            system=system,
            key=key,
            mark=mark,
            payload=payload,
            state="waiting",
            asked_at=at,
            next_at=at,
            claimed_by=None,
            claimed_until=None,
            error=None,
            done_at=None,
        )
    )
    session.flush()  # numbered now, in the order they are asked for
