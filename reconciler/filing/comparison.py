"""Compare our ledger with what a ticket system holds under our keys: nightly, whole, or not at all.

A system that could not be listed to its end shows nothing: no ticket is missing because a page of the list was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import msgspec
from sqlmodel import Session, col, select

from reconciler.database import Database
from reconciler.database.filing import OperationRow, TicketRow
from reconciler.filing import queue
from reconciler.filing.keys import is_ours, prefix
from reconciler.filing.outbox import CREATE
from reconciler.log import explained
from reconciler.sdk.tickets import Status, TicketRef, TicketSystem

_DUPLICATE = "carried by other tickets too"


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger and one system hold against one another. Each entry names a key."""

    system: str
    unread: str | None = None
    """Why the system could not be listed whole; then nothing else is said."""
    there: int = 0
    """Tickets of ours that the system lists."""
    missing: tuple[str, ...] = ()
    """In our ledger, and gone there."""
    unlisted: tuple[str, ...] = ()
    """There when asked for by id, but not in the list: the key was taken off, or these credentials do not see it."""
    extra: tuple[str, ...] = ()
    """There under our key, and not in our ledger: of another installation, or of a ledger that was restored."""
    duplicates: tuple[str, ...] = ()
    """There more than once under one key."""
    linked: tuple[str, ...] = ()
    """There, while our ledger did not know that it was made: linked now."""

    @property
    def agrees(self) -> bool:
        """Whether a person has nothing to look at."""
        return self.unread is None and not (self.missing or self.unlisted or self.extra or self.duplicates)


async def compare(
    database: Database,
    systems: Mapping[str, TicketSystem],
    *,
    estate: str,
    at: datetime,
    silent: Mapping[str, str] = {},
    seconds: float = 1800.0,
) -> list[Comparison]:
    """Compare each system that can be read, all at once; one that fails keeps no other from being compared.

    Those in ``silent``, system -> why, are not asked. ``seconds`` bounds each.
    """
    readable = [system for system in systems.values() if system.readable]
    return await asyncio.gather(
        *(
            _compare(database, system, estate=estate, at=at, silent=silent.get(system.name), seconds=seconds)
            for system in readable
        )
    )


async def _compare(
    database: Database, system: TicketSystem, *, estate: str, at: datetime, silent: str | None, seconds: float
) -> Comparison:
    name = system.name
    if silent is not None:
        return Comparison(system=name, unread=silent)
    try:
        async with asyncio.timeout(seconds):
            before = _ledger(database, name)
            there = await _listed(system, estate)
            doubtful = {key: row for key, row in before.items() if _expected(row) and key not in there}
            answers = {key: await system.read(_ref(row)) for key, row in doubtful.items()}
    except Exception as error:  # noqa: BLE001 - a list that broke off in any way shows nothing
        return Comparison(system=name, unread=explained(error))
    gone = [key for key, view in answers.items() if view.status == Status.GONE]
    settled = at - timedelta(seconds=max(system.settle_seconds, 60.0))
    with database.writing() as session:
        linked = [key for key, refs in there.items() if key in before and _link(session, name, key, refs, at)]
        for key in gone:
            row = session.get_one(TicketRow, (name, key))
            row.state, row.status, row.read_at, row.note = "gone", Status.GONE.value, at, queue.GONE
        duplicates = [key for key, refs in there.items() if key in before and _duplicated(session, name, key, refs)]
        unlisted = [key for key in answers if key not in gone and _filed_at(session, name, key) <= settled]
    return Comparison(
        system=name,
        there=sum(len(refs) for refs in there.values()),
        missing=tuple(gone),
        unlisted=tuple(unlisted),
        extra=tuple(
            f"{key}: {', '.join(ref.number or ref.id for ref in refs)}"
            for key, refs in there.items()
            if key not in before and not _asked_since(database, name, key)
        ),
        duplicates=tuple(f"{key}: {', '.join(ref.number or ref.id for ref in there[key])}" for key in duplicates),
        linked=tuple(linked),
    )


async def _listed(system: TicketSystem, estate: str) -> dict[str, list[TicketRef]]:
    """Return every ticket of ours by key, oldest first as the system lists them; raise where it breaks off."""
    there: dict[str, list[TicketRef]] = {}
    async for key, ref in system.keyed(prefix(estate)):
        refs = there.setdefault(key, []) if is_ours(estate, key) else []
        if all(ref.id != other.id for other in refs):
            refs.append(ref)
    return dict(sorted(there.items()))


def _ledger(database: Database, system: str) -> dict[str, TicketRow]:
    with database.reading() as session:
        rows = session.exec(select(TicketRow).where(TicketRow.system == system).order_by(TicketRow.key)).all()
        session.expunge_all()
        return {row.key: row for row in rows}


def _expected(row: TicketRow) -> bool:
    return row.remote_id is not None and row.state in ("filed", "conflict")


def _ref(row: TicketRow) -> TicketRef:
    return TicketRef(row.remote_id or "", row.remote_number or "", row.remote_url or "")


def _link(session: Session, system: str, key: str, refs: list[TicketRef], at: datetime) -> bool:
    """Link a ticket that is there to the ledger where making it was given up, its end unknown."""
    row = session.get_one(TicketRow, (system, key))
    create = _create(session, system, key)
    if row.remote_id is not None or row.state != "waiting" or create is None or create.state != "failed":
        return False
    ref = refs[0]
    row.state, row.remote_id, row.remote_number, row.remote_url = "filed", ref.id, ref.number or None, ref.url or None
    row.note = "making it had been given up; the comparison found it"
    create.state, create.done_at, create.error = "done", at, None
    return True


def _duplicated(session: Session, system: str, key: str, refs: list[TicketRef]) -> bool:
    """Keep whether others carry the key of a ticket; return whether they do."""
    row = session.get_one(TicketRow, (system, key))
    extras = [ref for ref in refs if ref.id != row.remote_id]
    if row.remote_id is not None and extras:
        row.state, row.note = "conflict", queue.duplicates(extras)
        return True
    if row.state == "conflict" and (row.note or "").startswith(_DUPLICATE):
        row.state, row.note = "filed", None
    return len(refs) > 1


def _filed_at(session: Session, system: str, key: str) -> datetime:
    create = _create(session, system, key)
    return create.done_at if create is not None and create.done_at is not None else datetime.min.replace(tzinfo=UTC)


def _create(session: Session, system: str, key: str) -> OperationRow | None:
    return session.exec(
        select(OperationRow).where(
            OperationRow.system == system, OperationRow.key == key, col(OperationRow.mark) == CREATE
        )
    ).one_or_none()


def _asked_since(database: Database, system: str, key: str) -> bool:
    with database.reading() as session:
        return session.get(TicketRow, (system, key)) is not None
