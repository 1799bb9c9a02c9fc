"""Values that flow from the engine through findings to reports: verdicts, scopes, findings, runs.

They stand here because engine, findings and report are siblings and know one another only through the estate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Literal

import msgspec

from reconciler.estate.tables import Coverage

SEVERITIES = ("critical", "high", "medium", "low")
"""From worst to least."""

Severity = Literal["critical", "high", "medium", "low"]


class Outcome(StrEnum):
    """The four verdicts; a rule emits those that are no pass, a pass is what remains of its population."""

    VIOLATION = "violation"
    PASS = "pass"  # noqa: S105 - a verdict, not a password
    NOT_APPLICABLE = "not_applicable"
    NOT_EVALUABLE = "not_evaluable"


class State(StrEnum):
    """Where a finding stands after the last evaluation that could see it."""

    NEW = "new"
    PERSISTING = "persisting"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    SUPPRESSED = "suppressed"
    """A violation that an exception in force covers."""
    HELD = "held"
    """One of more new violations than the rule's limit: it counts once a named person has accepted them."""


OPEN = frozenset({State.NEW, State.PERSISTING, State.REOPENED})
"""The states that count as open: neither resolved, nor suppressed by an exception, nor held for acceptance."""


class RuleInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a reader of a finding must know of its rule."""

    rule_id: str
    name: str
    version: int
    title: str
    severity: Severity
    stage: str
    layer: str
    status: str
    why: str
    remedy: str
    known_gaps: tuple[str, ...] = ()
    population: str
    identity: tuple[str, ...]
    parameters: Mapping[str, str] = {}
    """Parameter -> the value in force, in words; empty too in runs recorded before it was kept."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One subject that a rule did not pass: a violation, or not evaluable with the reason why."""

    rule_id: str
    verdict: Outcome
    subject: dict[str, str | None]
    """Identity column -> value, in the rule's order; dates and instants as ISO 8601 text."""
    source: str | None = None
    person_id: str | None = None
    reason: str
    exception: str | None = None
    """The exception in force that covers the subject, the one that lasts longest where several do."""
    excepted_until: datetime | None = None


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule did in one source (None: the whole estate).

    ``blocked`` names what could not be read; where it is not empty nothing was evaluated here, the counts
    are zero, and no finding of this rule and source is opened or resolved. ``violations`` are those that no
    exception covers, ``excepted`` those that one does; of a recorded run also those that stay suppressed because
    their exception could not be read. ``unmatched`` names what could not be read of that by
    which exceptions are matched: a finding that stood suppressed stays so.
    """

    source: str | None
    population: int = 0
    violations: int = 0
    passes: int = 0
    not_applicable: int = 0
    not_evaluable: int = 0
    excepted: int = 0
    blocked: tuple[str, ...] = ()
    unmatched: tuple[str, ...] = ()


class RuleResult(msgspec.Struct, frozen=True, kw_only=True):
    """A rule over a snapshot: its scopes and the verdicts that are no pass, ordered by subject."""

    rule: RuleInfo
    scopes: tuple[Scope, ...]
    verdicts: Sequence[Verdict] = ()
    """A tuple, or ``packed`` where there are many."""


class NewLink(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A link that an evaluation made from an account to a person, to be kept by the account's immutable id."""

    source: str
    account_id: str
    person_id: str
    method: str
    confidence: float
    since: datetime


class ExceptionState(msgspec.Struct, frozen=True, kw_only=True):
    """An exception of the register as one evaluation took it."""

    exception_id: str
    rule_id: str | None = None
    control_id: str | None = None
    source: str | None = None
    account_id: str | None = None
    person_id: str | None = None
    entitlement_id: str | None = None
    reason: str | None = None
    owner: str | None = None
    """Who reviews it, else who approved it."""
    expires_at: datetime | None = None
    no_effect: str = ""
    """Why it suppresses nothing, whatever is found; empty where it is in force."""
    suppresses: int = 0
    """Violations that the evaluation left uncounted for it."""
    unlisted: str = ""
    """What it names that no source lists, though all that could was read whole; empty where there is nothing such."""


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """All rules over one snapshot.

    ``digest`` is the SHA-256 of every verdict and scope in canonical order: the same snapshot, rules and
    parameters give the same digest for ever. ``exceptions_unread`` says why the register of exceptions could
    not be read whole; where it is not empty no exception has an effect, and what stood suppressed stays so.
    """

    snapshot: str
    as_of: datetime
    results: tuple[RuleResult, ...]
    digest: str
    idle: tuple[tuple[str | int, ...], ...] = ()
    """The ways to entries of the configuration that fit nothing, though all that they could fit was read whole."""
    exceptions: tuple[ExceptionState, ...] = ()
    exceptions_unread: tuple[str, ...] = ()
    links: tuple[NewLink, ...] = ()
    """Links made here that the snapshot did not remember; nothing where a table that decides them was not whole."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a finding's history."""

    at: datetime
    run_id: str
    change: Literal["opened", "resolved", "reopened", "changed", "suppressed", "held", "accepted"]
    verdict: Outcome
    severity: Severity
    reason: str
    rule_version: int | None = None
    """The version of the rule that said so; None: not known."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A difference that is kept: the same rule and subject give the same ``finding_id`` in every run."""

    finding_id: str
    rule_id: str
    rule: str
    rule_version: int
    verdict: Outcome
    severity: Severity
    state: State
    source: str | None
    subject: dict[str, str | None]
    reason: str
    person_id: str | None
    first_seen: datetime
    last_seen: datetime
    resolved_at: datetime | None = None
    times_reopened: int = 0
    verified: bool = True
    """False where the last run could not evaluate the rule in this source: the state is the last known."""
    exception: str | None = None
    """The exception that suppresses it."""
    excepted_until: datetime | None = None


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded night: what was read, what every rule did, and how the findings moved."""

    run_id: str
    estate: str
    snapshot: str
    as_of: datetime
    recorded_at: datetime
    digest: str
    rules: tuple[RuleInfo, ...]
    scopes: dict[str, tuple[Scope, ...]]
    """rule_id -> scopes."""
    coverage: tuple[Coverage, ...]
    new: int = 0
    persisting: int = 0
    resolved: int = 0
    reopened: int = 0
    unverified: int = 0
    """Open findings that this run could not check; new, persisting, reopened and these are all that is open."""
    suppressed: int = 0
    """Violations that stand under an exception."""
    held: int = 0
    """Violations that wait for acceptance."""
    exceptions: tuple[ExceptionState, ...] = ()
    exceptions_unread: tuple[str, ...] = ()
