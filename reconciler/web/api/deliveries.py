"""Deliveries in the database: evidence first, then a queue of what is still to be looked at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec
from sqlmodel import Session, col, select, update

from reconciler.database import schema
from reconciler.database.filing import DeliveryRow
from reconciler.errors import ConfigurationError

State = Literal["waiting", "done", "failed"]
LATER = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2))
"""How long after each begin the next may be; after the last there is none."""
ATTEMPTS = len(LATER) + 1


class Handled(msgspec.Struct, frozen=True, kw_only=True):
    """One time that a delivery was looked at, or put back by somebody."""

    at: datetime
    by: str
    said: str


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a delivery. ``facts`` is what was read again, as plain JSON."""

    said: str
    check: str = ""
    event: str = ""
    subjects: tuple[str, ...] = ()
    facts: tuple[Mapping[str, Any], ...] = ()
    history: tuple[Handled, ...] = ()
    """Everything that was said of it, oldest first."""


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One delivery as it was kept; ``body`` is byte for byte what came, ``digest`` its SHA-256 (hex)."""

    endpoint: str
    delivery_id: str
    received_at: datetime
    digest: str
    body: bytes
    headers: Mapping[str, str]
    state: State
    attempts: int
    conflicts: int
    next_at: datetime
    outcome: Outcome | None
    done_at: datetime | None


class Kept(msgspec.Struct, frozen=True):
    """What keeping a delivery came to: ``new``, ``duplicate`` of the one named, or ``conflict`` with it."""

    how: Literal["new", "duplicate", "conflict"]
    delivery_id: str


class Deliveries:
    """The deliveries of one database. Every method is one transaction and raises ``StoreError`` with the remedy."""

    def __init__(self, url: str, *, to_read: bool = False) -> None:
        self._database = schema.opened(url, to_read=to_read)

    def keep(
        self,
        *,
        endpoint: str,
        delivery_id: str,
        digest: str,
        body: bytes,
        headers: Mapping[str, str],
        at: datetime,
        replay: timedelta | None = None,
        essence: Callable[[bytes], object] = bytes,
    ) -> Kept:
        """Keep a delivery, unless it is known.

        ``replay``: the id is not signed, so the same body under another id within that time is the same delivery; it
        is looked at once more, a minute later, since it may say the same of a record that changed again.
        ``essence``: what of a body stays the same when its sender sends it again.
        """
        with self._database.writing() as session:
            row = session.get(DeliveryRow, (endpoint, delivery_id))
            if row is not None:
                if row.digest == digest or essence(row.body) == essence(body):
                    return Kept("duplicate", row.delivery_id)
                row.conflicts += 1
                return Kept("conflict", row.delivery_id)
            if replay is not None and (other := _same_body(session, endpoint, digest, at - replay)) is not None:
                if other.state != "waiting":
                    said = Outcome(said=f"its body came again as {delivery_id}: looked at again")
                    _put_back(other, said, by="reconciler", at=at, due=at + LATER[0])
                return Kept("duplicate", other.delivery_id)
            session.add(
                DeliveryRow(
                    endpoint=endpoint,
                    delivery_id=delivery_id,
                    received_at=at,
                    digest=digest,
                    body=body,
                    headers=msgspec.json.encode(headers, order="sorted").decode(),
                    state="waiting",
                    next_at=at,
                    outcome=None,
                    done_at=None,
                )
            )
        return Kept("new", delivery_id)

    def answer(self) -> None:
        """Raise ``StoreError`` where the database does not answer."""
        with self._database.reading() as session:
            session.exec(select(DeliveryRow.endpoint).limit(1)).first()

    def find(self, endpoint: str, delivery_id: str) -> Delivery | None:
        """Return a delivery, None where there is none."""
        with self._database.reading() as session:
            row = session.get(DeliveryRow, (endpoint, delivery_id))
            return None if row is None else _value(row)

    def show(self, endpoint: str, delivery_id: str) -> Delivery:
        """Return a delivery; raise ``ConfigurationError`` where there is none."""
        found = self.find(endpoint, delivery_id)
        if found is None:
            raise ConfigurationError(
                f"{endpoint} received no delivery {delivery_id}", advice="`reconciler inbound list` names them."
            )
        return found

    def all(self, *, endpoint: str | None = None, state: State | None = None, limit: int = 100) -> list[Delivery]:
        """Return deliveries, newest first, at most ``limit``."""
        query = select(DeliveryRow).order_by(col(DeliveryRow.received_at).desc(), col(DeliveryRow.delivery_id))
        if endpoint is not None:
            query = query.where(DeliveryRow.endpoint == endpoint)
        if state is not None:
            query = query.where(DeliveryRow.state == state)
        with self._database.reading() as session:
            return [_value(row) for row in session.exec(query.limit(limit))]

    def resume(self, at: datetime) -> None:
        """Make every waiting delivery due: whoever worked on it is gone."""
        with self._database.writing() as session:
            session.execute(update(DeliveryRow).where(col(DeliveryRow.state) == "waiting").values(next_at=at))

    def take(self, at: datetime) -> Delivery | None:
        """Begin the oldest delivery that is due, None where none is.

        That it was begun is committed before anything is done; it is due again later, should nobody end it.
        """
        due = select(DeliveryRow).where(DeliveryRow.state == "waiting", col(DeliveryRow.next_at) <= at)
        with self._database.reading() as session:
            if session.exec(due.limit(1)).first() is None:
                return None  # asked first without the lock of the only writer
        with self._database.writing() as session:
            row = session.exec(due.order_by(col(DeliveryRow.next_at), col(DeliveryRow.received_at)).limit(1)).first()
            if row is None:
                return None
            return _begin(row, at)

    def begin(self, delivery: Delivery, at: datetime) -> Delivery:
        """Begin a delivery by name, whatever its state."""
        with self._database.writing() as session:
            return _begin(_row(session, delivery), at)

    def end(self, delivery: Delivery, outcome: Outcome, *, state: State, at: datetime) -> None:
        """Keep what came of a delivery that was begun; ``waiting`` leaves it due again later."""
        with self._database.writing() as session:
            row = _row(session, delivery)
            row.state = state
            row.done_at = None if state == "waiting" else at
            _say(row, outcome, at=at, by="reconciler")

    def put_back(self, delivery: Delivery, *, by: str, reason: str, at: datetime) -> None:
        """Have a delivery looked at again, on somebody's word."""
        if not by.strip() or not reason.strip():
            raise ConfigurationError("who and why must be said", advice="Give --by and --reason.")
        with self._database.writing() as session:
            _put_back(_row(session, delivery), Outcome(said=f"put back: {reason}"), by=by, at=at, due=at)


def _same_body(session: Session, endpoint: str, digest: str, since: datetime) -> DeliveryRow | None:
    query = select(DeliveryRow).where(
        DeliveryRow.endpoint == endpoint, DeliveryRow.digest == digest, col(DeliveryRow.received_at) >= since
    )
    return session.exec(query.limit(1)).first()


def _row(session: Session, delivery: Delivery) -> DeliveryRow:
    return session.exec(
        select(DeliveryRow).where(
            DeliveryRow.endpoint == delivery.endpoint, DeliveryRow.delivery_id == delivery.delivery_id
        )
    ).one()


def _put_back(row: DeliveryRow, said: Outcome, *, by: str, at: datetime, due: datetime) -> None:
    row.state, row.attempts, row.next_at, row.done_at = "waiting", 0, due, None
    _say(row, said, at=at, by=by)


def _begin(row: DeliveryRow, at: datetime) -> Delivery:
    row.attempts += 1
    row.next_at = at + LATER[min(row.attempts, len(LATER)) - 1]
    return _value(row)


def _say(row: DeliveryRow, outcome: Outcome, *, at: datetime, by: str) -> None:
    earlier = _outcome(row)
    said = Handled(at=at, by=by, said=outcome.said)
    outcome = msgspec.structs.replace(outcome, history=(*(earlier.history if earlier else ()), said))
    row.outcome = msgspec.json.encode(outcome).decode()


def _outcome(row: DeliveryRow) -> Outcome | None:
    return None if row.outcome is None else msgspec.json.decode(row.outcome, type=Outcome)


def _value(row: DeliveryRow) -> Delivery:
    return Delivery(
        endpoint=row.endpoint,
        delivery_id=row.delivery_id,
        received_at=row.received_at,
        digest=row.digest,
        body=row.body,
        headers=msgspec.json.decode(row.headers, type=dict[str, str]),
        state=row.state,  # type: ignore[arg-type] # written by this module only
        attempts=row.attempts,
        conflicts=row.conflicts,
        next_at=row.next_at,
        outcome=_outcome(row),
        done_at=row.done_at,
    )
