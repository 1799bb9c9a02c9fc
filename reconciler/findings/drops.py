"""Drops in a table's rows that a named person accepted: evidence, and leave for the mass-change stop."""

from __future__ import annotations

from datetime import datetime

import msgspec
from sqlmodel import Session, col, select

from reconciler.database.findings import DropRow
from reconciler.errors import ConfigurationError


class AcceptedDrop(msgspec.Struct, frozen=True, kw_only=True):
    """One drop: from ``rows_before``, down to ``rows_accepted`` as in ``snapshot``; ``at`` is when it was accepted."""

    source: str
    table_name: str
    snapshot: str
    rows_before: int
    rows_accepted: int
    accepted_by: str
    reason: str
    at: datetime


def accept(session: Session, drop: AcceptedDrop) -> None:
    """Keep the acceptance; raise ``ConfigurationError`` for one that names nobody, no reason or no drop."""
    for field, word in (
        ("accepted_by", "a name"),
        ("reason", "a reason"),
        ("source", "a source"),
        ("table_name", "a table"),
    ):
        if not getattr(drop, field).strip():
            raise ConfigurationError(
                f"a drop is accepted by a named person with a reason; {word} is missing",
                advice="say who accepts the drop, and why it is right",
            )
    if not 0 <= drop.rows_accepted < drop.rows_before:
        raise ConfigurationError(
            f"from {drop.rows_before} to {drop.rows_accepted} rows is no drop in {drop.source} {drop.table_name}",
            advice="accept a drop only where the mass-change stop held one",
        )
    session.add(DropRow(**msgspec.structs.asdict(drop)))


def accepted(session: Session, *, source: str | None = None, table_name: str | None = None) -> list[AcceptedDrop]:
    """Return acceptances, newest first; None asks nothing."""
    query = select(DropRow).order_by(col(DropRow.number).desc())
    if source is not None:
        query = query.where(DropRow.source == source)
    if table_name is not None:
        query = query.where(DropRow.table_name == table_name)
    return [AcceptedDrop(**row.model_dump(exclude={"number"})) for row in session.exec(query)]
