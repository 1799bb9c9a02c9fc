"""What was sent to whom: each notice is written down before it is sent, and never sent twice unasked."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Literal

import msgspec
from sqlmodel import Session, col, select

from reconciler.database import schema
from reconciler.database.nonconformities import NoticeRow
from reconciler.errors import ConfigurationError
from reconciler.notices.values import Notice

State = Literal["waiting", "sending", "sent", "unknown", "failed", "dropped"]
DEAD = timedelta(minutes=15)
"""After which an attempt that has no end was ended by a kill: none takes that long."""
_KILLED = "the process ended while it was being sent: it is not known whether it arrived"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One notice as it stands. ``error`` says why it is not sent, or why that is not known."""

    number: int
    kind: str
    about: str
    stage: str
    recipient: str
    channel: str
    state: State
    due_at: datetime
    tried_at: datetime | None
    sent_at: datetime | None
    attempts: int
    error: str | None

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What it is the only one of."""
        return self.kind, self.about, self.stage, self.recipient


class Ledger:
    """The notices of one database. Every method is one transaction and raises ``StoreError`` with the remedy."""

    def __init__(self, url: str, *, to_read: bool = False) -> None:
        self._database = schema.opened(url, to_read=to_read)

    def all(self, *, state: State | None = None) -> list[Entry]:
        """Return notices, newest first."""
        query = select(NoticeRow).order_by(col(NoticeRow.number).desc())
        if state is not None:
            query = query.where(NoticeRow.state == state)
        with self._database.reading() as session:
            return [_value(row) for row in session.exec(query)]

    def give_up(self, *, at: datetime) -> list[Entry]:
        """End the attempts whose process was killed; return the mail of which nobody knows now whether it arrived.

        An event waits again: its receiver tells one that comes twice by its id.
        """
        with self._database.writing() as session:
            dead = [
                row
                for row in session.exec(select(NoticeRow).where(NoticeRow.state == "sending"))
                if row.tried_at is None or at - row.tried_at > DEAD
            ]
            for row in dead:
                row.state, row.error = "unknown" if row.channel == "mail" else "waiting", _KILLED
            return [_value(row) for row in dead if row.state == "unknown"]

    def enter(self, notices: Sequence[Notice]) -> dict[tuple[str, str, str, str], Entry]:
        """Write down what is planned, and return every planned notice as it stands.

        What waits and is planned no longer is dropped; what was dropped and is planned again waits again.
        """
        planned = {notice.key: notice for notice in notices}
        with self._database.writing() as session:
            for row in session.exec(select(NoticeRow).where(col(NoticeRow.state).in_(("waiting", "dropped")))):
                key = (row.kind, row.about, row.stage, row.recipient)
                if row.state == "waiting" and key not in planned:
                    row.state = "dropped"
                    row.error = "no longer due before it could be sent" + (f"; {row.error}" if row.error else "")
                elif row.state == "dropped" and key in planned:
                    row.state = "waiting"
            known = {key: found for key in planned if (found := _row(session, key)) is not None}
            for key, notice in planned.items():
                if key not in known:
                    row = NoticeRow(
                        kind=notice.kind,
                        about=notice.about,
                        stage=notice.stage,
                        recipient=notice.recipient,
                        channel=notice.channel,
                        state="waiting",
                        due_at=notice.due_at,
                        tried_at=None,
                        sent_at=None,
                        error=None,
                    )
                    session.add(row)
                    known[key] = row
            session.flush()
            return {key: _value(row) for key, row in known.items()}

    def begin(self, number: int, *, at: datetime) -> bool:
        """Write down that a notice that waits is being sent; return whether it was ours to send."""
        with self._database.writing() as session:
            row = session.get_one(NoticeRow, number)
            if row.state != "waiting":
                return False
            row.state, row.tried_at, row.attempts = "sending", at, row.attempts + 1
            return True

    def end(self, number: int, state: State, *, at: datetime, error: str | None = None) -> None:
        """Write down how an attempt ended."""
        with self._database.writing() as session:
            row = session.get_one(NoticeRow, number)
            row.state, row.error = state, error
            row.sent_at = at if state == "sent" else None

    def again(self, number: int, due: Collection[tuple[str, str, str, str]], *, by: str, reason: str) -> Entry:
        """Let a notice be sent that failed, or of which nobody knows whether it arrived, on somebody's word.

        ``due`` are the keys of what is due now: nobody is told what is due no longer.
        """
        if not by.strip() or not reason.strip():
            raise ConfigurationError("who and why must be said", advice="Give --by and --reason.")
        with self._database.writing() as session:
            row = session.get(NoticeRow, number)
            if row is None or row.state not in {"unknown", "failed"}:
                stands = "is not known" if row is None else f"is {row.state}"
                raise ConfigurationError(
                    f"notice {number} {stands}: only one that is unknown or failed is sent again",
                    advice="`reconciler notices list` names them.",
                )
            if _value(row).key not in due:
                raise ConfigurationError(
                    f"notice {number} is no longer due: {row.kind} {row.stage} about {row.about} to {row.recipient}",
                    advice="`reconciler notices preview` shows what is.",
                )
            before = f"; before: {row.error}" if row.error else ""
            row.state, row.error = "waiting", f"to be sent again, says {by}: {reason}{before}"
            return _value(row)


def _row(session: Session, key: tuple[str, str, str, str]) -> NoticeRow | None:
    kind, about, stage, recipient = key
    return session.exec(
        select(NoticeRow).where(
            NoticeRow.kind == kind,
            NoticeRow.about == about,
            NoticeRow.stage == stage,
            NoticeRow.recipient == recipient,
        )
    ).one_or_none()


def _value(row: NoticeRow) -> Entry:
    if row.number is None:
        raise AssertionError(row.about)
    return Entry(
        number=row.number,
        kind=row.kind,
        about=row.about,
        stage=row.stage,
        recipient=row.recipient,
        channel=row.channel,
        state=row.state,  # type: ignore[arg-type] # written by this module only
        due_at=row.due_at,
        tried_at=row.tried_at,
        sent_at=row.sent_at,
        attempts=row.attempts,
        error=row.error,
    )
