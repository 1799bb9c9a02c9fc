"""Risks that people accept: asked for from a finding, decided on by somebody else, and always with an end.

An approved one is an exception from its rule, in the words of the register of exceptions: the next snapshot remembers
it, and the engine honours it where it honours all others.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, Self, get_args

import msgspec
from sqlmodel import Session, col, select

from reconciler.database.connection import Database
from reconciler.database.findings import FindingRow
from reconciler.database.nonconformities import RiskRow
from reconciler.database.schema import opened
from reconciler.errors import ConfigurationError
from reconciler.estate.results import OPEN, Finding, Outcome, State
from reconciler.nonconformity import entries
from reconciler.nonconformity.gates import same
from reconciler.sdk.records import ExceptionRecord

Standing = Literal["requested", "approved", "rejected", "withdrawn", "ended"]
STANDINGS: tuple[Standing, ...] = get_args(Standing)
Reach = Literal["subject", "account", "person"]
REACHES: tuple[Reach, ...] = get_args(Reach)

_NUMBER = re.compile(r"(?:RA-?)?0*([1-9][0-9]{0,8})", re.IGNORECASE)


class Risk(msgspec.Struct, frozen=True, kw_only=True):
    """A risk that somebody asks to accept. ``decided_by`` approved or rejected it."""

    risk_id: str
    """RA-000123: the exception_id."""
    finding_id: str
    state: Standing
    rule_id: str
    source: str | None
    account_id: str | None
    person_id: str | None
    entitlement_id: str | None
    reason: str
    compensating_control: str
    review_owner: str
    requested_by: str
    requested_at: datetime
    expires_at: datetime
    decided_by: str | None = None
    decided_at: datetime | None = None
    decision_reason: str | None = None
    written_to: str | None = None
    ended_by: str | None = None
    ended_at: datetime | None = None
    ended_reason: str | None = None


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody asks for: why, what is done instead, who reviews it, until when, and how far it reaches."""

    reason: str
    compensating_control: str
    review_owner: str
    expires_at: datetime
    reach: Reach = "subject"


class Limits(NamedTuple):
    """What an exception is limited to; None: not by that."""

    source: str | None
    account_id: str | None
    person_id: str | None
    entitlement_id: str | None


class Register:
    """Accepted risks in one database; every method is one transaction, and refuses with ``ConfigurationError``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @classmethod
    def open(cls, url: str, *, to_read: bool = False) -> Self:
        """Return the register, the tables created in an empty database; see ``schema.opened`` for what it raises."""
        return cls(opened(url, to_read=to_read))

    def request(self, finding: Finding, asked: Asked, *, by: str, at: datetime, longest: timedelta) -> Risk:
        """Ask to accept what a finding says, for no longer than ``longest``."""
        who = entries.person(by)
        if finding.verdict is not Outcome.VIOLATION or finding.state not in {*OPEN, State.HELD}:
            what = "is not evaluable" if finding.verdict is not Outcome.VIOLATION else f"is {finding.state}"
            raise ConfigurationError(
                f"finding {finding.finding_id} {what}: there is no risk to accept",
                advice="`reconciler findings list --open --verdict violation` lists what can be.",
            )
        limits = scope(finding, asked.reach)
        row = RiskRow(
            finding_id=finding.finding_id,
            state="requested",
            rule_id=finding.rule_id,
            source=limits.source,
            account_id=limits.account_id,
            person_id=limits.person_id,
            entitlement_id=limits.entitlement_id,
            reason=entries.text(asked.reason, "why the risk is accepted", "--reason"),
            compensating_control=entries.text(asked.compensating_control, "what is done instead", "--instead"),
            review_owner=entries.person(asked.review_owner),
            requested_by=who,
            requested_at=at,
            expires_at=_ends(asked.expires_at, at, longest),
        )
        with self._database.writing() as session:
            same_finding = select(RiskRow).where(RiskRow.finding_id == finding.finding_id, RiskRow.state == "requested")
            if waiting := session.exec(same_finding).first():
                raise ConfigurationError(
                    f"{risk_id(waiting.number)} asks for the same already",
                    advice="have it approved, rejected or withdrawn first",
                )
            session.add(row)
            session.flush()
            return _value(row)

    def decide(self, wanted: str, *, approve: bool, by: str, at: datetime, why: str) -> Risk:
        """Approve or reject what somebody else asked for."""
        who, reason = entries.person(by), entries.text(why, "why it is decided so", "--reason")
        with self._database.writing() as session:
            row = _row(session, wanted)
            _only(row, "requested", "decided on")
            if same(who, row.requested_by):
                raise _eyes(row, f"{who} asked for it")
            about = row.person_id or session.get_one(FindingRow, row.finding_id).person_id
            if about and same(who, about):
                raise _eyes(row, f"it is about {who}")
            if approve and row.expires_at <= at:
                raise ConfigurationError(
                    f"{risk_id(row.number)} would have ended on {row.expires_at:%Y-%m-%d}: too late to approve it",
                    advice="ask anew with a later end",
                )
            row.state = "approved" if approve else "rejected"
            row.approved_by, row.approved_at, row.decision_reason = who, at, reason
            session.add(row)
            return _value(row)

    def end(self, wanted: str, *, by: str, at: datetime, why: str) -> Risk:
        """Withdraw what was asked for, or end what was approved before its time; anybody may."""
        who, reason = entries.person(by), entries.text(why, "why it ends", "--reason")
        with self._database.writing() as session:
            row = _row(session, wanted)
            if row.state not in {"requested", "approved"}:
                raise ConfigurationError(
                    f"{risk_id(row.number)} is {row.state}: there is nothing to end", advice="ask anew if it is needed"
                )
            row.state = "withdrawn" if row.state == "requested" else "ended"
            row.ended_by, row.ended_at, row.ended_reason = who, at, reason
            row.written_to = None  # what the QMS holds of it is no longer so
            session.add(row)
            return _value(row)

    def written(self, risk: Risk, where: str) -> None:
        """Keep where the register of the QMS holds it as ``risk`` says.

        One that was ended meanwhile is owed, even where its end was written: nobody knows which came there last.
        """
        with self._database.writing() as session:
            row = _row(session, risk.risk_id)
            row.written_to = where if row.state == risk.state else None
            session.add(row)

    def listed(self, *, state: Standing | None = None) -> list[Risk]:
        """Return all, or those of one state, newest first."""
        query = select(RiskRow).order_by(col(RiskRow.number).desc())
        with self._database.reading() as session:
            return [
                _value(row) for row in session.exec(query if state is None else query.where(RiskRow.state == state))
            ]

    def show(self, wanted: str) -> Risk:
        """Return one, as RA-000123 or 123."""
        with self._database.reading() as session:
            return _value(_row(session, wanted))

    def records(self) -> tuple[ExceptionRecord, ...]:
        """Return those that were ever approved, oldest first, in the words of a register of exceptions."""
        return tuple(record(risk) for risk in reversed(self.listed()) if risk.state in {"approved", "ended"})


def record(risk: Risk) -> ExceptionRecord:
    """Return a risk in the words of the register of exceptions."""
    return ExceptionRecord(
        exception_id=risk.risk_id,
        rule_id=risk.rule_id,
        source=risk.source,
        account_id=risk.account_id,
        person_id=risk.person_id,
        entitlement_id=risk.entitlement_id,
        reason=risk.reason,
        compensating_control=risk.compensating_control,
        approved_by=risk.decided_by,
        approved_at=risk.decided_at,
        expires_at=risk.expires_at,
        review_owner=risk.review_owner,
        status=risk.state,
    )


def scope(finding: Finding, reach: Reach) -> Limits:
    """Return what an exception from a finding is limited to: its very subject, its account, or its person.

    Raises ``ConfigurationError`` where the finding names nothing of the kind: an exception without a limit would
    except everybody.
    """
    subject: Mapping[str, str | None] = finding.subject
    account = subject.get("account_id") or _account(subject)
    limits = {
        "subject": Limits(
            finding.source, account, None if account else finding.person_id, subject.get("entitlement_id")
        ),
        "account": Limits(finding.source, account, None, None),
        "person": Limits(None, None, finding.person_id, None),
    }[reach]
    if not any((limits.account_id, limits.person_id, limits.entitlement_id)):
        raise ConfigurationError(
            f"finding {finding.finding_id} names no {'account or person' if reach == 'subject' else reach} "
            "that an exception could be limited to",
            advice="record it in the register of exceptions of the QMS, with a scope of its own",
        )
    return limits


def risk_id(number: int | None) -> str:
    """Return how a number is shown."""
    return f"RA-{number or 0:06}"


def _account(subject: Mapping[str, str | None]) -> str | None:
    for what in ("principal", "target"):
        if subject.get(f"{what}_id") and subject.get(f"{what}_kind", "account") == "account":
            return subject[f"{what}_id"]
    return None


def _ends(expires_at: datetime, at: datetime, longest: timedelta) -> datetime:
    if expires_at <= at:
        raise ConfigurationError(f"{expires_at:%Y-%m-%d} is past: it would never hold", advice="give a later --until")
    if expires_at - at > longest:
        raise ConfigurationError(
            f"until {expires_at:%Y-%m-%d} is longer than the {longest.days} days that policy allows",
            advice="give an earlier --until; IG-EXC-004 max_length in [rules.params] holds the policy",
        )
    return expires_at


def _eyes(row: RiskRow, why: str) -> ConfigurationError:
    return ConfigurationError(
        f"{risk_id(row.number)} needs the eyes of somebody else: {why}", advice="let another person decide: --by"
    )


def _only(row: RiskRow, state: Standing, what: str) -> None:
    if row.state != state:
        raise ConfigurationError(
            f"{risk_id(row.number)} is {row.state}: it cannot be {what}",
            advice="`reconciler exceptions requests` lists them",
        )


def _row(session: Session, wanted: str) -> RiskRow:
    match = _NUMBER.fullmatch(wanted.strip())
    row = session.get(RiskRow, int(match[1])) if match else None
    if row is None:
        raise ConfigurationError(
            f"there is no accepted risk {wanted!r}", advice="`reconciler exceptions requests` lists them, as RA-000123"
        )
    return row


def _value(row: RiskRow) -> Risk:
    renamed = {"number", "approved_by", "approved_at"}
    return msgspec.convert(
        {
            **row.model_dump(exclude=renamed),
            "risk_id": risk_id(row.number),
            "decided_by": row.approved_by,
            "decided_at": row.approved_at,
        },
        Risk,
    )


def unwritten(risks: Sequence[Risk]) -> list[Risk]:
    """Return those that were decided and that no register of the QMS holds as they now stand."""
    return [risk for risk in risks if risk.state in {"approved", "ended"} and risk.written_to is None]
