"""Nonconformities, the findings attached to them, everything that happened to them, and risks that people accept."""

from __future__ import annotations

from datetime import date, datetime
from typing import ClassVar

from sqlalchemy import CheckConstraint, Date, Index, Text, text
from sqlmodel import Field

from reconciler.database.model import BIG, Instant, Model


class NonconformityRow(Model, table=True):
    """A nonconformity as it stands. What was entered is null until somebody did; JSON where said.

    The gates of ISO 9001 10.2 are constraints: it cannot be closed without correction, cause, a done action and a
    verification by machine, nor by whoever did what is verified. Triggers hold what no one row shows: the runs that saw
    its findings gone, and still gone, judged all of them, none is there, history tells of every entry, of what was seen
    and of the close, and a closed row is only reopened.
    """

    __tablename__: ClassVar[str] = "nonconformities"
    __table_args__ = (
        CheckConstraint(
            "state <> 'closed' OR (correction IS NOT NULL AND cause IS NOT NULL AND action IS NOT NULL"
            " AND (grade <> 'major' OR containment IS NOT NULL)"
            " AND action_done_at IS NOT NULL AND gone_at IS NOT NULL AND verified_at IS NOT NULL"
            " AND verified_at >= action_done_at"
            " AND closed_by IS NOT NULL AND closed_at IS NOT NULL AND closed_reason IS NOT NULL)",
            name="closed_past_every_gate",
        ),
        CheckConstraint(
            "closed_by IS NULL OR (lower(trim(closed_by)) <> lower(trim(COALESCE(corrected_by, '')))"
            " AND lower(trim(closed_by)) <> lower(trim(COALESCE(action_done_by, ''))))",
            name="closed_by_somebody_else",
        ),
        CheckConstraint(
            "state IN ('open', 'verifying', 'closed')",
            name="known_state",
        ),
        CheckConstraint(
            "grade IN ('minor', 'major')",
            name="known_grade",
        ),
        CheckConstraint(
            "cause_method IS NULL OR cause_method IN ('five_whys', 'fishbone', 'fault_tree', 'is_is_not', 'other')",
            name="known_cause_method",
        ),
        CheckConstraint(
            "(contained_by IS NULL) = (contained_at IS NULL) AND (contained_by IS NULL) = (containment IS NULL)",
            name="containment_whole",
        ),
        CheckConstraint(
            "(corrected_by IS NULL) = (corrected_at IS NULL) AND (corrected_by IS NULL) = (correction IS NULL)",
            name="correction_whole",
        ),
        CheckConstraint(
            "(cause_by IS NULL) = (cause_at IS NULL) AND (cause_by IS NULL) = (cause IS NULL)"
            " AND (cause_by IS NULL) = (cause_method IS NULL)",
            name="cause_whole",
        ),
        CheckConstraint(
            "(action_by IS NULL) = (action_at IS NULL) AND (action_by IS NULL) = (action IS NULL)"
            " AND (action_by IS NULL) = (action_owner_role IS NULL) AND (action_by IS NULL) = (action_due_on IS NULL)",
            name="action_whole",
        ),
        CheckConstraint(
            "(action_done_by IS NULL) = (action_done_at IS NULL) AND (action_done_by IS NULL OR action_by IS NOT NULL)",
            name="action_done_whole",
        ),
        CheckConstraint(
            "(gone_run IS NULL) = (gone_at IS NULL) AND (gone_run IS NULL) = (watch_until IS NULL)"
            " AND (gone_run IS NULL OR watch_until >= gone_at)",
            name="gone_whole",
        ),
        CheckConstraint(
            "(verified_run IS NULL) = (verified_at IS NULL)"
            " AND (verified_run IS NULL OR gone_run IS NOT NULL)"
            " AND (verified_run IS NULL OR (verified_run >= gone_run AND verified_at >= watch_until))",
            name="verified_whole",
        ),
        CheckConstraint(
            "(state = 'closed') = (closed_by IS NOT NULL) AND (closed_by IS NULL) = (closed_at IS NULL)"
            " AND (closed_by IS NULL) = (closed_reason IS NULL)",
            name="closed_whole",
        ),
        CheckConstraint(
            "lower(trim(COALESCE(contained_by, '-'))) NOT IN ('', 'reconciler')"
            " AND lower(trim(COALESCE(corrected_by, '-'))) NOT IN ('', 'reconciler')"
            " AND lower(trim(COALESCE(cause_by, '-'))) NOT IN ('', 'reconciler')"
            " AND lower(trim(COALESCE(action_by, '-'))) NOT IN ('', 'reconciler')"
            " AND lower(trim(COALESCE(action_done_by, '-'))) NOT IN ('', 'reconciler')"
            " AND lower(trim(COALESCE(closed_by, '-'))) NOT IN ('', 'reconciler')",
            name="people_are_named",
        ),
        CheckConstraint(
            "trim(COALESCE(containment, '-')) <> '' AND trim(COALESCE(correction, '-')) <> ''"
            " AND trim(COALESCE(cause, '-')) <> '' AND trim(COALESCE(action, '-')) <> ''"
            " AND trim(COALESCE(action_owner_role, '-')) <> '' AND trim(COALESCE(closed_reason, '-')) <> ''",
            name="entries_say_something",
        ),
        Index(
            "uq_nonconformities_open_cause_key",
            "cause_key",
            unique=True,
            sqlite_where=text("state <> 'closed'"),
            postgresql_where=text("state <> 'closed'"),
        ),
    )

    number: int | None = Field(default=None, primary_key=True)
    """Shown as NC-000123."""
    cause_key: str
    """What its findings have in common, as canonical JSON: one is open for each cause."""
    rule_id: str = Field(index=True)
    source: str | None
    supplier_id: str | None
    title: str
    statement: str = Field(sa_type=Text)
    requirement: str = Field(sa_type=Text)
    """JSON: control ids, and framework -> clauses."""
    severity: str
    grade: str
    grade_reason: str
    state: str
    detected_at: datetime = Field(sa_type=Instant)
    detected_run: int = Field(foreign_key="runs.number")
    owner_role: str
    owner: str | None
    """person_id of the role's present holder; null where nobody holds it."""
    escalated_to: str | None
    """The role that it went up to."""
    due_at: datetime = Field(sa_type=Instant)
    contained_by: str | None
    contained_at: datetime | None = Field(sa_type=Instant)
    containment: str | None = Field(sa_type=Text)
    corrected_by: str | None
    corrected_at: datetime | None = Field(sa_type=Instant)
    correction: str | None = Field(sa_type=Text)
    cause_by: str | None
    cause_at: datetime | None = Field(sa_type=Instant)
    cause_method: str | None
    cause: str | None = Field(sa_type=Text)
    action_by: str | None
    action_at: datetime | None = Field(sa_type=Instant)
    action: str | None = Field(sa_type=Text)
    action_owner_role: str | None
    action_due_on: date | None = Field(sa_type=Date)
    action_done_by: str | None
    action_done_at: datetime | None = Field(sa_type=Instant)
    gone_run: int | None = Field(foreign_key="runs.number")
    """The first run that judged all of it, by whole pulls, and saw none of its findings."""
    gone_at: datetime | None = Field(sa_type=Instant)
    watch_until: datetime | None = Field(sa_type=Instant)
    verified_run: int | None = Field(foreign_key="runs.number")
    """The run that saw them still gone after the watch period."""
    verified_at: datetime | None = Field(sa_type=Instant)
    closed_by: str | None
    closed_at: datetime | None = Field(sa_type=Instant)
    closed_reason: str | None = Field(sa_type=Text)
    times_reopened: int = 0
    recurrence_of: int | None = Field(foreign_key="nonconformities.number")
    set_aside_by: str | None = None
    """Who said that no run will look again, for its source or rule left the configuration; null while one does."""
    set_aside_at: datetime | None = Field(default=None, sa_type=Instant)
    set_aside_reason: str | None = Field(default=None, sa_type=Text)


class AttachedRow(Model, table=True):
    """A finding of a nonconformity, from one run to another; ``detached_run`` null while it stands."""

    __tablename__: ClassVar[str] = "nonconformity_findings"
    __table_args__ = (Index(None, "finding_id"),)

    nonconformity: int = Field(primary_key=True, foreign_key="nonconformities.number")
    finding_id: str = Field(primary_key=True, foreign_key="findings.finding_id")
    attached_run: int = Field(primary_key=True, foreign_key="runs.number")
    detached_run: int | None = Field(foreign_key="runs.number")
    detached_why: str | None


class TransitionRow(Model, table=True):
    """What happened to a nonconformity: who, when, what, and why; rows are added and never altered.

    ``who`` is a person_id, or ``reconciler`` for what the machine saw. Triggers refuse UPDATE and DELETE.
    """

    __tablename__: ClassVar[str] = "nonconformity_transitions"
    __table_args__ = (CheckConstraint("trim(who) <> '' AND trim(what) <> '' AND trim(why) <> ''", name="who_what_why"),)

    number: int | None = Field(default=None, primary_key=True, sa_type=BIG)
    nonconformity: int = Field(foreign_key="nonconformities.number", index=True)
    at: datetime = Field(sa_type=Instant)
    who: str
    what: str
    why: str = Field(sa_type=Text)
    run: int | None = Field(foreign_key="runs.number")
    before: str | None = Field(sa_type=Text)
    """JSON of the columns that changed, as they were."""
    after: str | None = Field(sa_type=Text)


class RiskRow(Model, table=True):
    """A risk that somebody asks to accept, from a finding: an exception once somebody else approved it.

    Triggers hold that it begins as a request, that what was asked and decided never changes, and that who decides is
    not the one whom the finding is about. Rows are never deleted.
    """

    __tablename__: ClassVar[str] = "risk_acceptances"
    __table_args__ = (
        CheckConstraint(
            "approved_by IS NULL OR (lower(trim(approved_by)) <> lower(trim(requested_by))"
            " AND lower(trim(approved_by)) <> lower(trim(COALESCE(person_id, ''))))",
            name="four_eyes",
        ),
        CheckConstraint("approved_by IS NULL OR approved_at IS NOT NULL", name="decided_at_an_instant"),
        CheckConstraint("state <> 'approved' OR approved_by IS NOT NULL", name="approved_by_somebody"),
        CheckConstraint("state IN ('requested', 'approved', 'rejected', 'withdrawn', 'ended')", name="known_state"),
        CheckConstraint("expires_at > requested_at", name="ends_after_it_begins"),
    )

    number: int | None = Field(default=None, primary_key=True)
    """Shown as RA-000123: the exception_id."""
    finding_id: str = Field(foreign_key="findings.finding_id", index=True)
    state: str
    rule_id: str
    source: str | None
    account_id: str | None
    person_id: str | None
    entitlement_id: str | None
    reason: str = Field(sa_type=Text)
    compensating_control: str = Field(sa_type=Text)
    review_owner: str
    requested_by: str
    requested_at: datetime = Field(sa_type=Instant)
    expires_at: datetime = Field(sa_type=Instant)
    approved_by: str | None = None
    """Who approved or rejected it: neither who asked nor whom it is about."""
    approved_at: datetime | None = Field(default=None, sa_type=Instant)
    decision_reason: str | None = Field(default=None, sa_type=Text)
    written_to: str | None = None
    """The QMS that it was written to, and its id there."""
    ended_by: str | None = None
    """Who withdrew it, or ended it before its time."""
    ended_at: datetime | None = Field(default=None, sa_type=Instant)
    ended_reason: str | None = Field(default=None, sa_type=Text)


class NoticeRow(Model, table=True):
    """A message that was or is to be sent about a nonconformity: each kind and stage once."""

    __tablename__: ClassVar[str] = "notices"
    __table_args__ = (Index(None, "kind", "about", "stage", "recipient", unique=True),)

    number: int | None = Field(default=None, primary_key=True, sa_type=BIG)
    kind: str
    """reminder, escalation, digest."""
    about: str
    stage: str
    recipient: str
    channel: str
    state: str
    """waiting, sending, sent, unknown (whether it arrived), failed, dropped (no longer due before it could be sent)."""
    due_at: datetime = Field(sa_type=Instant)
    tried_at: datetime | None = Field(sa_type=Instant)
    """When the last attempt began: one of long ago without an end was ended by a kill."""
    sent_at: datetime | None = Field(sa_type=Instant)
    attempts: int = 0
    error: str | None = Field(sa_type=Text)
