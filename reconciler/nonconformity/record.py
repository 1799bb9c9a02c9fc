"""A nonconformity as a value: what it is, what people entered, and what the machine saw."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import Literal

import msgspec

from reconciler.estate.results import Severity

MACHINE = "reconciler"
"""Who acts where the machine does; no person may call themselves so."""


class State(StrEnum):
    """Where it stands. Nothing but a close moves it to CLOSED, and no close passes a gate that is not met."""

    OPEN = "open"
    """A finding of it stands, or could not be judged, or something that people owe is missing."""
    VERIFYING = "verifying"
    """Correction, cause and a done action are there and its findings are gone: the watch period runs, or has run."""
    CLOSED = "closed"
    SET_ASIDE = "set_aside"
    """No run will look again, as somebody said: its source or rule left the configuration. Nothing of it is proven."""


Grade = Literal["minor", "major"]
Method = Literal["five_whys", "fishbone", "fault_tree", "is_is_not", "other"]


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """What findings of one nonconformity have in common; null where it is no part of the grouping."""

    rule_id: str | None = None
    source: str | None = None
    supplier_id: str | None = None
    owner_role: str | None = None
    department: str | None = None

    @property
    def key(self) -> str:
        """Return the cause as canonical JSON."""
        return msgspec.json.encode(msgspec.structs.asdict(self), order="sorted").decode()


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody entered, and when."""

    by: str
    at: datetime
    text: str


class Analysis(msgspec.Struct, frozen=True, kw_only=True):
    """The cause that somebody found, and by which method."""

    by: str
    at: datetime
    method: Method
    text: str


class Action(msgspec.Struct, frozen=True, kw_only=True):
    """The corrective action: who does what by when; ``done_by`` None until it is done."""

    by: str
    at: datetime
    text: str
    owner_role: str
    due_on: date
    done_by: str | None = None
    done_at: datetime | None = None


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What the machine saw: the run in which all findings were gone, and the one that saw them still gone."""

    gone_run: str
    gone_at: datetime
    watch_until: datetime
    verified_run: str | None = None
    verified_at: datetime | None = None


class Nonconformity(msgspec.Struct, frozen=True, kw_only=True):
    """One nonconformity. ``clauses``: framework -> clauses of the requirement that is not met."""

    nc_id: str
    """NC-000123."""
    cause: Cause
    rule_id: str
    source: str | None
    supplier_id: str | None
    title: str
    statement: str
    controls: tuple[str, ...]
    clauses: Mapping[str, tuple[str, ...]]
    severity: Severity
    grade: Grade
    grade_reason: str
    state: State
    detected_at: datetime
    detected_run: str
    owner_role: str
    owner: str | None
    escalated_to: str | None
    due_at: datetime
    containment: Entry | None = None
    correction: Entry | None = None
    analysis: Analysis | None = None
    action: Action | None = None
    verification: Verification | None = None
    closed: Entry | None = None
    set_aside: Entry | None = None
    times_reopened: int = 0
    recurrence_of: str | None = None
    standing: int = 0
    """Findings that stand; those of runs that could not judge them included."""
    findings: int = 0
    """Findings that ever belonged to it."""


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """One line of its history: who, when, what, and why."""

    at: datetime
    who: str
    what: str
    why: str
    run_id: str | None = None
    before: Mapping[str, object] | None = None
    """The columns that changed, as they were; None where none did."""
    after: Mapping[str, object] | None = None


def nc_id(number: int) -> str:
    """Return how a number is shown."""
    return f"NC-{number:06}"
