"""Findings, the runs that moved them, and what people accepted."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from sqlalchemy import BigInteger, Index, Text
from sqlmodel import Field

from reconciler.database.model import BIG, Instant, Model


class RunRow(Model, table=True):
    """A recorded run. ``number`` orders runs; ``rules``, ``coverage`` and what is told of exceptions are JSON."""

    __tablename__: ClassVar[str] = "runs"

    number: int | None = Field(default=None, primary_key=True)
    run_id: str = Field(unique=True)
    estate: str
    snapshot: str = Field(index=True)
    as_of: datetime = Field(sa_type=Instant)
    recorded_at: datetime = Field(sa_type=Instant)
    digest: str
    rules: str = Field(sa_type=Text)
    coverage: str = Field(sa_type=Text)
    opened: int = 0
    persisting: int = 0
    resolved: int = 0
    reopened: int = 0
    unverified: int = 0
    suppressed: int = 0
    held: int = 0
    exceptions: str = Field(default="[]", sa_type=Text)
    exceptions_unread: str = Field(default="[]", sa_type=Text)


class EvaluationRow(Model, table=True):
    """What one run's rule did in one source (null: the whole estate), in the evaluation's order.

    ``evaluated`` is false where ``blocked``, a JSON list of what could not be read, is not empty; ``unmatched`` is
    such a list of that by which exceptions are matched.
    """

    __tablename__: ClassVar[str] = "evaluations"
    __table_args__ = (Index(None, "rule_id", "source", "evaluated", "run"),)

    run: int = Field(primary_key=True, foreign_key="runs.number")
    position: int = Field(primary_key=True)
    rule_id: str
    source: str | None
    population: int = Field(sa_type=BigInteger)
    violations: int = Field(sa_type=BigInteger)
    passes: int = Field(sa_type=BigInteger)
    not_applicable: int = Field(sa_type=BigInteger)
    not_evaluable: int = Field(sa_type=BigInteger)
    evaluated: bool
    blocked: str = Field(sa_type=Text)
    excepted: int = Field(default=0, sa_type=BigInteger)
    unmatched: str = Field(default="[]", sa_type=Text)


class FindingRow(Model, table=True):
    """A finding as it stands. Only what differs is written: a finding seen again unchanged is not touched.

    ``since_run`` is the run that opened or last reopened it. ``last_seen_run`` is null while every run that
    evaluates its rule and source sees it; it is set to the last that did when the finding is resolved or can
    no longer be verified. ``content`` is the fingerprint of the last verdict applied. An open finding that has an
    ``exception`` is suppressed, one that is ``waiting`` is held until somebody accepts it; never both.
    """

    __tablename__: ClassVar[str] = "findings"

    finding_id: str = Field(primary_key=True)
    rule_id: str = Field(index=True)
    rule: str
    rule_version: int
    verdict: str
    severity: str
    source: str | None
    subject: str = Field(sa_type=Text)
    person_id: str | None = Field(index=True)
    reason: str = Field(sa_type=Text)
    is_open: bool
    content: str
    first_seen: datetime = Field(sa_type=Instant)
    opened_run: int = Field(foreign_key="runs.number")
    since_run: int = Field(foreign_key="runs.number")
    last_seen_run: int | None = Field(foreign_key="runs.number")
    resolved_run: int | None = Field(foreign_key="runs.number")
    resolved_at: datetime | None = Field(sa_type=Instant)
    times_reopened: int
    exception: str | None = None
    excepted_until: datetime | None = Field(default=None, sa_type=Instant)
    waiting: bool = False


class ChangeRow(Model, table=True):
    """One line of a finding's history; rows are added and never altered."""

    __tablename__: ClassVar[str] = "finding_changes"

    number: int | None = Field(default=None, primary_key=True, sa_type=BIG)
    finding_id: str = Field(foreign_key="findings.finding_id", index=True)
    run: int = Field(foreign_key="runs.number")
    change: str
    verdict: str
    severity: str
    rule_version: int
    reason: str = Field(sa_type=Text)


class DropRow(Model, table=True):
    """A drop in the rows of a table that a named person accepted, with the reason."""

    __tablename__: ClassVar[str] = "accepted_drops"

    number: int | None = Field(default=None, primary_key=True)
    source: str
    table_name: str
    snapshot: str
    rows_before: int = Field(sa_type=BigInteger)
    rows_accepted: int = Field(sa_type=BigInteger)
    accepted_by: str
    reason: str = Field(sa_type=Text)
    at: datetime = Field(sa_type=Instant)


class AcceptanceRow(Model, table=True):
    """New findings of a rule (in one source; null: in all) that were held and that a named person accepted."""

    __tablename__: ClassVar[str] = "accepted_findings"

    number: int | None = Field(default=None, primary_key=True)
    rule_id: str
    source: str | None
    run: int = Field(foreign_key="runs.number")
    findings: int = Field(sa_type=BigInteger)
    accepted_by: str
    reason: str = Field(sa_type=Text)
    at: datetime = Field(sa_type=Instant)
