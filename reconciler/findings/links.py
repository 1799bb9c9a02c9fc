"""Links between accounts and people: those made, those decided by a person, and those that must never be made.

A link is kept by the account's immutable id. An account has at most one link that holds (linked, manual), and any
number of rejected ones: a rejection outlives whatever the account is linked to later.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, Literal

import msgspec
from sqlalchemy import insert
from sqlmodel import Session, col, select

from reconciler.database.links import LinkDecisionRow, LinkRow
from reconciler.errors import ConfigurationError
from reconciler.estate.results import NewLink
from reconciler.snapshot.memory import RememberedLink

HOLDS = ("linked", "manual")
"""States of a link that names the account's person."""

MANUAL = "manual"
"""The method of what a person decided."""

_CHUNK = 10_000
_LOOK_UP = 500
"""Accounts asked for by one statement: SQLite takes only so many values in one."""


class LinkDecision(msgspec.Struct, frozen=True, kw_only=True):
    """One decision; ``before`` says in words how the account stood when it was taken."""

    source: str
    account_id: str
    person_id: str
    decision: Literal["link", "reject"]
    before: str
    decided_by: str
    decided_at: datetime
    reason: str


def remembered(session: Session) -> Iterator[RememberedLink]:
    """Yield every link that is kept, ordered by its key, without holding them all in memory."""
    row = LinkRow
    key = (col(row.source), col(row.account_id), col(row.person_id))
    query = select(*key, col(row.state)).add_columns(col(row.method), col(row.confidence), col(row.since))
    found = session.connection().execution_options(yield_per=_CHUNK).execute(query.order_by(*key))
    for values in found:
        yield RememberedLink(*values)


def of_account(session: Session, source: str, account_id: str) -> list[RememberedLink]:
    """Return what is kept about one account, the link that holds first."""
    query = select(LinkRow).where(LinkRow.source == source, LinkRow.account_id == account_id)
    rows = sorted(session.exec(query), key=lambda row: (row.state not in HOLDS, row.person_id))
    return [
        RememberedLink(row.source, row.account_id, row.person_id, row.state, row.method, row.confidence, row.since)
        for row in rows
    ]


def decisions(session: Session, source: str, account_id: str) -> list[LinkDecision]:
    """Return what people decided about one account, oldest first."""
    query = select(LinkDecisionRow).where(LinkDecisionRow.source == source, LinkDecisionRow.account_id == account_id)
    rows = session.exec(query.order_by(col(LinkDecisionRow.number)))
    return [msgspec.convert(row.model_dump(exclude={"number"}), LinkDecision) for row in rows]


def keep(session: Session, made: Sequence[NewLink]) -> None:
    """Keep links that an evaluation made; what is kept or was decided about an account before stands.

    An evaluation may be recorded twice, or after somebody decided otherwise.
    """
    # PostgreSQL holds no NUL in text: such an account is matched anew each night.
    fit = (link for link in made if "\x00" not in link.account_id + link.person_id)
    anything = session.exec(select(LinkRow.source).limit(1)).first() is not None
    step = _LOOK_UP if anything else _CHUNK
    connection = session.connection()
    for source, of_source in groupby(sorted(fit, key=lambda link: link.source), key=lambda link: link.source):
        batch = list(of_source)
        for start in range(0, len(batch), step):
            part = batch[start : start + step]
            taken = _taken(session, source, part) if anything else set()
            rows = [
                {**msgspec.structs.asdict(link), "state": "linked"}
                for link in part
                if (link.account_id, None) not in taken and (link.account_id, link.person_id) not in taken
            ]
            if rows:
                connection.execute(insert(LinkRow), rows)


def _taken(session: Session, source: str, part: Sequence[NewLink]) -> set[tuple[str, str | None]]:
    """Return what may not be written: (account, None) for one that is linked, (account, person) for a rejected pair."""
    row = LinkRow
    query = select(row.account_id, row.person_id, row.state).where(
        row.source == source, col(row.account_id).in_([link.account_id for link in part])
    )
    return {(account_id, None if state in HOLDS else person_id) for account_id, person_id, state in session.exec(query)}


def link(session: Session, *, source: str, account_id: str, person_id: str, by: str, at: datetime, reason: str) -> None:
    """Link an account to a person by hand; it survives every run, and takes back an earlier rejection.

    Raises ``ConfigurationError`` where nobody or no reason is named, or where that link was made by hand already.
    """
    _refuse_nameless(by, reason)
    kept = of_account(session, source, account_id)
    if any(one.state == "manual" and one.person_id == person_id for one in kept):
        raise ConfigurationError(
            f"{source} {account_id} is linked to {person_id} by hand already",
            advice=f"See by whom: reconciler links explain {source} {account_id}",
        )
    decision = _note(
        session, kept, "link", (source, account_id, person_id), decided_by=by, decided_at=at, reason=reason
    )
    since = next((one.since for one in kept if one.person_id == person_id and one.state in HOLDS), None)
    for one in kept:
        if one.state in HOLDS or one.person_id == person_id:
            session.delete(session.get_one(LinkRow, (source, account_id, one.person_id)))
    session.flush()
    session.add(
        LinkRow(
            source=source,
            account_id=account_id,
            person_id=person_id,
            state="manual",
            method=MANUAL,
            confidence=1.0,
            since=since or at,
            decided_by=decision.decided_by,
            decided_at=at,
            reason=decision.reason,
        )
    )


def reject(
    session: Session, *, source: str, account_id: str, person_id: str | None, by: str, at: datetime, reason: str
) -> str:
    """Say that an account is not that person's, for ever unless it is linked by hand; return the person.

    ``person_id`` None means the one that it is linked to. Raises ``ConfigurationError`` where nobody or no reason is
    named, where it is linked to nobody, or where that pair was rejected already.
    """
    _refuse_nameless(by, reason)
    kept = of_account(session, source, account_id)
    person = person_id or next((one.person_id for one in kept if one.state in HOLDS), None)
    if person is None:
        raise ConfigurationError(
            f"no link of {source} {account_id} is kept",
            advice=f"To rule a person out: reconciler links reject {source} {account_id} PERSON",
        )
    if any(one.state == "rejected" and one.person_id == person for one in kept):
        raise ConfigurationError(
            f"{person} was rejected for {source} {account_id} already",
            advice=f"See by whom: reconciler links explain {source} {account_id}",
        )
    key = (source, account_id, person)
    decision = _note(session, kept, "reject", key, decided_by=by, decided_at=at, reason=reason)
    since = next((one.since for one in kept if one.person_id == person), None)
    if since is not None:
        session.delete(session.get_one(LinkRow, key))
        session.flush()
    session.add(
        LinkRow(
            source=source,
            account_id=account_id,
            person_id=person,
            state="rejected",
            method=MANUAL,
            confidence=None,
            since=since,
            decided_by=decision.decided_by,
            decided_at=at,
            reason=decision.reason,
        )
    )
    return person


def _refuse_nameless(by: str, reason: str) -> None:
    for value, word in ((by, "a name"), (reason, "a reason")):
        if not value.strip():
            raise ConfigurationError(
                f"a link is decided by a named person with a reason; {word} is missing",
                advice="Say who decides and why: --by NAME --reason TEXT.",
            )


def _note(
    session: Session, kept: Sequence[RememberedLink], decision: str, key: tuple[str, str, str], **said: Any
) -> LinkDecisionRow:
    """Add the decision to the history, with how the account stood before it."""
    before = "; ".join(_words(one) for one in kept) or "nothing was kept"
    said["decided_by"], said["reason"] = said["decided_by"].strip(), said["reason"].strip()
    source, account_id, person_id = key
    row = LinkDecisionRow(
        source=source, account_id=account_id, person_id=person_id, decision=decision, before=before, **said
    )
    session.add(row)
    return row


def _words(kept: RememberedLink) -> str:
    if kept.state == "rejected":
        return f"{kept.person_id} rejected"
    how = "by hand" if kept.state == "manual" else f"by {kept.method}"
    since = f" since {kept.since:%Y-%m-%d}" if kept.since else ""
    return f"linked to {kept.person_id} {how}{since}"
