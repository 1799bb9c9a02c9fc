"""The store of nonconformities: what people enter, each in one transaction with its line of history."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from typing import Any, Self

import msgspec
from sqlmodel import Session, col, select

from reconciler.database.connection import Database
from reconciler.database.nonconformities import AttachedRow, NonconformityRow
from reconciler.database.schema import opened
from reconciler.errors import ConfigurationError
from reconciler.nonconformity import entries, evidence, gates, listing, rows
from reconciler.nonconformity.evidence import Attached, Evidence, Judged, Looked
from reconciler.nonconformity.gates import Gate, Owed
from reconciler.nonconformity.record import Nonconformity, State, Transition, nc_id


class Dossier(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is kept of one nonconformity."""

    nonconformity: Nonconformity
    gates: tuple[Gate, ...]
    owed: Owed | None
    history: tuple[Transition, ...]
    findings: tuple[Attached, ...]
    runs: tuple[Evidence, ...]
    """The runs that record and history name, oldest first."""
    looked: tuple[Looked, ...]
    """What those did that found it, saw its findings gone, and saw them still gone."""
    judged: tuple[Judged, ...]
    """What the last run could judge of it."""
    recurred_as: tuple[str, ...]
    """Later ones of the same cause."""


class NonconformityStore:
    """Nonconformities in one SQLite or PostgreSQL database.

    Every method is one transaction; ``wanted`` names one as NC-000123. What a gate, the separation of duties or good
    sense refuses is a ``ConfigurationError`` that says what is missing; the database refuses the same by itself.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, url: str, *, to_read: bool = False) -> Self:
        """Return the store, the tables created in an empty database; see ``schema.opened`` for what it raises."""
        return cls(opened(url, to_read=to_read))

    def listed(self, *, overdue: datetime | None = None, **asked: object) -> list[Nonconformity]:
        """Return those that fit the ``listing.Filters``, open ones first, worst first, soonest due first.

        ``overdue``: only those that were due before this instant and are not closed. Raises ``ConfigurationError``
        for a word that means none, and for a rule or source that no run ever had.
        """
        wanted = listing.filters(asked)
        with self._database.reading() as session:
            found = listing.listed(session, wanted)
        return [held for held in found if overdue is None or gates.overdue(held, overdue)]

    def owing(self) -> list[Nonconformity]:
        """Return those of which people owe something now, worst first; none that waits for a run alone."""
        return [held for held in self.listed() if gates.owes(held)]

    def show(self, wanted: str) -> Dossier:
        """Return one with its history, findings and evidence."""
        number = entries.number(wanted)
        with self._database.reading() as session:
            held = _value(session, _row(session, number))
            history = rows.transitions(session, number)
            found = evidence.attached(session, number)
            seen = held.verification
            rests_on = {held.detected_run, *((seen.gone_run, seen.verified_run) if seen else ())}
            named = (
                rests_on
                | {line.run_id for line in history}
                | {run for a in found for run in (a.attached_run, a.detached_run)}
            )
            later = session.exec(select(NonconformityRow.number).where(NonconformityRow.recurrence_of == number)).all()
            return Dossier(
                nonconformity=held,
                gates=gates.gates(held),
                owed=gates.owed(held),
                history=tuple(history),
                findings=tuple(found),
                runs=tuple(evidence.runs(session, filter(None, named))),
                looked=tuple(evidence.looked(session, number, filter(None, rests_on))),
                judged=tuple(evidence.judged(session, number)),
                recurred_as=tuple(nc_id(each) for each in sorted(filter(None, later))),
            )

    def of_finding(self, finding_id: str) -> Nonconformity | None:
        """Return the one that holds a finding, else the last that did; None where none ever did."""
        with self._database.reading() as session:
            row = session.exec(
                select(NonconformityRow)
                .join(AttachedRow, col(AttachedRow.nonconformity) == col(NonconformityRow.number))
                .where(AttachedRow.finding_id == finding_id)
                .order_by(col(AttachedRow.detached_run).is_(None).desc(), col(AttachedRow.attached_run).desc())
                .limit(1)
            ).first()
            return None if row is None else _value(session, row)

    def contain(self, wanted: str, *, by: str, at: datetime, text: str, why: str | None = None) -> Nonconformity:
        """Enter how its effect was held off at once."""
        who, said = entries.person(by), entries.text(text, "the containment", "--text")
        columns = {"contained_by": who, "contained_at": at, "containment": said}
        return self._enter(wanted, "contained", columns, who=who, at=at, text=said, why=why)

    def correct(self, wanted: str, *, by: str, at: datetime, text: str, why: str | None = None) -> Nonconformity:
        """Enter what was put right."""
        who, said = entries.person(by), entries.text(text, "the correction", "--text")
        columns = {"corrected_by": who, "corrected_at": at, "correction": said}
        return self._enter(wanted, "corrected", columns, who=who, at=at, text=said, why=why)

    def analyse(
        self, wanted: str, *, by: str, at: datetime, method: str, text: str, why: str | None = None
    ) -> Nonconformity:
        """Enter the cause, and the method by which it was found."""
        who, said = entries.person(by), entries.text(text, "the cause", "--text")
        columns = {"cause_by": who, "cause_at": at, "cause_method": entries.method(method), "cause": said}
        return self._enter(wanted, "analysed", columns, who=who, at=at, text=said, why=why)

    def plan(
        self,
        wanted: str,
        *,
        by: str,
        at: datetime,
        text: str,
        owner_role: str,
        due_on: date,
        known_roles: Collection[str],
        why: str | None = None,
    ) -> Nonconformity:
        """Enter the corrective action: what, who answers for it, by when. One that was done is to be done anew."""
        who, said = entries.person(by), entries.text(text, "the corrective action", "--text")
        columns = {
            "action_by": who,
            "action_at": at,
            "action": said,
            "action_owner_role": entries.role(owner_role, known_roles),
            "action_due_on": entries.due(due_on, at),
            "action_done_by": None,
            "action_done_at": None,
        }
        return self._enter(wanted, "planned", columns, who=who, at=at, text=said, why=why)

    def do(self, wanted: str, *, by: str, at: datetime, why: str | None = None) -> Nonconformity:
        """Enter that the corrective action is done.

        A verification from before shows nothing of its effect and is dropped; the next run that may verify does so.
        """
        who = entries.person(by)
        with self._changing(wanted) as (session, row, held):
            if held.action is None:
                raise _refused(
                    held,
                    "its action cannot be done",
                    ("the action itself: what is done, which role answers for it, by when",),
                )
            said = f"done as planned: {held.action.text}"
            reason = entries.reason(why, said, amends=held.action.done_at is not None)
            columns: dict[str, Any] = {"action_done_by": who, "action_done_at": at}
            if row.verified_at is not None and row.verified_at < at:
                columns |= {"verified_run": None, "verified_at": None}
            rows.change(session, row, at=at, who=who, what="done", why=reason, **columns)
            return rows.settle(session, row)

    def close(self, wanted: str, *, by: str, at: datetime, reason: str) -> Nonconformity:
        """Close it, where every gate is met and ``by`` neither corrected it nor did its action."""
        who, why = entries.person(by), entries.text(reason, "the reason for closing", "--reason")
        number = entries.number(wanted)
        with self._database.writing() as session:
            row = _row(session, number)
            held = _value(session, row)
            refusals = gates.refused_to_close(held, rows.transitions(session, number), who)
            if held.closed is None and not held.standing:  # what stands has refused it already
                refusals += evidence.doubts(session, number, row.verified_run)
            if refusals:
                raise _refused(held, "it cannot be closed", refusals)
            columns: dict[str, Any] = {"state": "closed", "closed_by": who, "closed_at": at, "closed_reason": why}
            rows.change(session, row, at=at, who=who, what="closed", why=why, **columns)
            return _value(session, row)

    def reopen(self, wanted: str, *, by: str, at: datetime, reason: str) -> Nonconformity:
        """Open a closed one again; everything is owed anew, and what was entered stays in its history."""
        who, why = entries.person(by), entries.text(reason, "the reason for reopening", "--reason")
        number = entries.number(wanted)
        with self._database.writing() as session:
            row = _row(session, number)
            held = _value(session, row)
            said = gates.refused_to_reopen(held)
            if said:
                raise ConfigurationError(f"{held.nc_id} cannot be reopened: {said}", advice=_SHOW.format(held.nc_id))
            other = session.exec(
                select(NonconformityRow).where(
                    NonconformityRow.cause_key == row.cause_key, col(NonconformityRow.state) != State.CLOSED
                )
            ).first()
            if other is not None:
                raise ConfigurationError(
                    f"{held.nc_id} cannot be reopened: {nc_id(other.number or 0)} is open for the same cause",
                    advice="enter what is to be done there",
                )
            rows.reopen(session, row, at=at, who=who, why=why)
            return rows.settle(session, row)

    def set_aside(self, wanted: str, *, by: str, at: datetime, reason: str) -> Nonconformity:
        """Say that no run will look for it again, for its source or rule left the configuration.

        It proves nothing and closes nothing: nothing is owed meanwhile, and a run that looks again takes it up.
        """
        who, why = entries.person(by), entries.text(reason, "why it is set aside", "--reason")
        with self._changing(wanted) as (session, row, held):
            looked_for = evidence.looked_for(session, row.number or 0)
            refusals = ("that it is not set aside yet",) if held.set_aside else looked_for
            if refusals:
                raise _refused(held, "it cannot be set aside", refusals)
            columns: dict[str, Any] = dict(zip(rows.ASIDE, (who, at, why), strict=True))
            rows.change(session, row, at=at, who=who, what="set aside", why=why, **columns)
            return rows.settle(session, row)

    def take_up(self, wanted: str, *, by: str, at: datetime, reason: str) -> Nonconformity:
        """Take up again what was set aside."""
        who, why = entries.person(by), entries.text(reason, "why it is taken up", "--reason")
        with self._changing(wanted) as (session, row, held):
            if held.set_aside is None:
                raise ConfigurationError(
                    f"{held.nc_id} cannot be taken up: it is not set aside", advice=_SHOW.format(held.nc_id)
                )
            rows.change(session, row, at=at, who=who, what="taken up", why=why, **dict.fromkeys(rows.ASIDE))
            return rows.settle(session, row)

    def _enter(
        self,
        wanted: str,
        what: str,
        columns: Mapping[str, Any],
        *,
        who: str,
        at: datetime,
        text: str,
        why: str | None,
    ) -> Nonconformity:
        with self._changing(wanted) as (session, row, _):
            reason = entries.reason(why, text, amends=getattr(row, next(iter(columns))) is not None)
            rows.change(session, row, at=at, who=who, what=what, why=reason, **columns)
            return rows.settle(session, row)

    @contextmanager
    def _changing(self, wanted: str) -> Iterator[tuple[Session, NonconformityRow, Nonconformity]]:
        """Yield one that may still be changed, in the transaction of the only writer."""
        number = entries.number(wanted)
        with self._database.writing() as session:
            row = _row(session, number)
            held = _value(session, row)
            said = gates.refused_to_enter(held)
            if said:
                raise ConfigurationError(
                    f"nothing can be entered for {held.nc_id}: {said}",
                    advice=f"reopen it first: reconciler nonconformities reopen {held.nc_id}",
                )
            yield session, row, held


_SHOW = "see what it waits for: reconciler nonconformities show {}"


def _refused(held: Nonconformity, what: str, refusals: Collection[str]) -> ConfigurationError:
    listed = "".join(f"\n  - {said}" for said in refusals)
    return ConfigurationError(f"{held.nc_id}: {what}; missing:{listed}", advice=_SHOW.format(held.nc_id))


def _row(session: Session, number: int) -> NonconformityRow:
    row = session.get(NonconformityRow, number)
    if row is None:
        raise ConfigurationError(
            f"there is no nonconformity {nc_id(number)}", advice="list those there are: reconciler nonconformities list"
        )
    return row


def _value(session: Session, row: NonconformityRow) -> Nonconformity:
    [held] = rows.values(session, [row])
    return held
