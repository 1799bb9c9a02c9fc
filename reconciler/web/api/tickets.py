"""Read one ticket back into the ledger, because somebody said that it changed."""

from __future__ import annotations

import asyncio

from sqlmodel import or_, select

from reconciler import clock
from reconciler.database import schema
from reconciler.database.connection import Database
from reconciler.database.filing import TicketRow
from reconciler.filing import following
from reconciler.filing.systems import open_systems
from reconciler.sdk.errors import Unreachable
from reconciler.sdk.tickets import TicketRef, TicketSystem, TicketView
from reconciler.settings import Settings

_SECONDS = 120.0


def read_back(settings: Settings, system: str, subject: str) -> str | None:
    """Read the ticket that ``system`` knows by this id, number or key of ours, and say how it stands there now.

    None: no ticket of ours goes by it. What policy says about it is for the next run, which knows its findings.
    Raises as ``TicketSystem.read`` does.
    """
    database = schema.opened(settings.database_url)
    row = _row(database, system, subject)
    if row is None:
        return None
    (opened,) = open_systems(settings, [system]).values()
    if not opened.readable:
        return "it cannot be read back from there"
    ref = TicketRef(row.remote_id or "", row.remote_number or "", row.remote_url or "")
    try:
        view = asyncio.run(_read(opened, ref))
    except TimeoutError:
        raise Unreachable(f"{system}: no answer in {_SECONDS:.0f} s", advice="It is asked again later.") from None
    with database.writing() as session:
        following.keep(session, row, view, at=clock.now())
    now = _row(database, system, subject)
    note = f"; {now.note}" if now is not None and now.note else ""
    return f"{row.about} {row.key} is {view.status.value} there ({view.raw_status or 'no status'}){note}"


def _row(database: Database, system: str, subject: str) -> TicketRow | None:
    with database.reading() as session:
        row = session.exec(
            select(TicketRow).where(
                TicketRow.system == system,
                or_(TicketRow.remote_id == subject, TicketRow.remote_number == subject, TicketRow.key == subject),
                TicketRow.remote_id != None,  # noqa: E711 - SQL: IS NOT NULL
            )
        ).first()
        session.expunge_all()
        return row


async def _read(system: TicketSystem, ref: TicketRef) -> TicketView:
    try:
        async with asyncio.timeout(_SECONDS):
            return await system.read(ref)
    finally:
        await system.close()
