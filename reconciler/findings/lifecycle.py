"""How findings open, change, resolve and reopen, stand suppressed or wait: values in, values out.

The one law: data that is missing neither opens nor closes anything. A scope that was blocked, or was not
part of the evaluation, moves nothing; a violation that can no longer be evaluated stays a violation that is
unverified; what stood under an exception stays so while the exceptions cannot be read. That an exception is over
is no missing data: what it covered is open again, unverified where the rule could not be judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from reconciler.errors import ConfigurationError
from reconciler.estate.results import Evaluation, ExceptionState, Outcome, RuleResult, Scope, State, Verdict
from reconciler.findings.identity import content, finding_id

KEPT = frozenset({Outcome.VIOLATION, Outcome.NOT_EVALUABLE})
"""Verdicts that are kept as findings. A violation is one; a not_evaluable subject needs someone's look."""

Limit = Callable[[Scope], int]
"""How many new violations of one rule in a scope may open in one run."""


class Step(StrEnum):
    """What one evaluation did to one finding. All but PERSISTED are written and kept in its history."""

    OPENED = "opened"
    PERSISTED = "persisted"
    CHANGED = "changed"
    RESOLVED = "resolved"
    REOPENED = "reopened"
    SUPPRESSED = "suppressed"
    HELD = "held"


class Standing(Struct, frozen=True, gc=False):
    """What is remembered of a finding, light enough to hold all those of a rule at once.

    ``held`` is the verdict it stands at, ``verified`` False where the last verdict could not confirm that,
    ``content`` the fingerprint of the last verdict that was applied. ``exception`` suppresses it; ``waiting``
    says that it waits for acceptance.
    """

    source: str | None
    is_open: bool
    held: Outcome
    verified: bool
    content: str
    exception: str | None = None
    until: datetime | None = None
    waiting: bool = False


class Move(Struct, frozen=True, gc=False):
    """One finding after one evaluation, and what the step took it to.

    ``source``, ``held``, ``verified``, ``exception``, ``until`` and ``waiting`` are how it stands now; ``verdict``
    is what the rule said of it, None where it was resolved by no longer being among the rule's verdicts, and where
    its exception ended while the rule could not be judged.
    ``before`` is how it stood, None where it was never seen; ``why`` says what the verdict's reason does not.
    """

    finding_id: str
    step: Step
    source: str | None
    held: Outcome
    verified: bool
    verdict: Verdict | None
    content: str
    exception: str | None = None
    until: datetime | None = None
    waiting: bool = False
    before: Standing | None = None
    why: str = ""

    @property
    def counts(self) -> bool:
        """Whether it counts as open where it is not resolved: no exception covers it and nobody need accept it."""
        return self.exception is None and not self.waiting

    @property
    def comes_back(self) -> bool:
        """Whether it was known and did not count as open before, whatever it is now."""
        return self.before is not None and (not self.before.is_open or self.before.exception is not None)


class Exceptions:
    """What one evaluation knew of the exceptions."""

    def __init__(self, evaluation: Evaluation | None = None) -> None:
        self.unread = evaluation.exceptions_unread if evaluation else ()
        self.as_of = evaluation.as_of if evaluation else None
        self.known: dict[str, ExceptionState] = (
            {state.exception_id: state for state in evaluation.exceptions} if evaluation else {}
        )

    def doubt(self, exception_id: str, scope: Scope) -> str:
        """Return why it is unknown whether an exception that covered a finding still does; empty where it is known."""
        known = self.known.get(exception_id)
        unread = self.unread or (scope.unmatched if known is not None and not known.no_effect else ())
        return f"whether exception {exception_id} still covers it is unknown: {'; '.join(unread)}" if unread else ""

    def is_over(self, exception_id: str) -> bool:
        """Tell whether it is known, whatever is found, that an exception covers nothing any more."""
        known = self.known.get(exception_id)
        return not self.unread and (known is None or bool(known.no_effect))

    def ending(self, exception_id: str) -> str:
        """Say how an exception ended that covered a finding and does so no more."""
        known = self.known.get(exception_id)
        if known and known.expires_at and self.as_of and known.expires_at < self.as_of:
            return f"exception {exception_id} ended on {known.expires_at:%Y-%m-%d}"
        why = "its register does not hold it any more" if known is None else known.no_effect or "it does not cover this"
        on = f" on {self.as_of:%Y-%m-%d}" if self.as_of else ""
        return f"exception {exception_id} ended{on}: {why}"


def moves(
    previous: Mapping[str, Standing],
    result: RuleResult,
    *,
    exceptions: Exceptions | None = None,
    limit: Limit | None = None,
) -> Iterator[Move]:
    """Yield one move for each finding of this rule that an evaluated scope speaks of, or whose exception is over.

    ``previous`` holds every finding of the rule, open and resolved, by id. Where more violations are new in a
    scope than ``limit`` allows, those that wait already counted, they are held; None: none is. Raises
    ``ConfigurationError`` where two verdicts have one subject, or where a verdict names a source that the
    rule has no scope for: to keep only one, or neither, would lose a violation without a trace.
    """
    told = exceptions or Exceptions()
    scopes = {scope.source: scope for scope in result.scopes}
    spoken: set[str] = set()
    fresh: dict[str | None, list[Move]] = {}
    waiting: dict[str | None, int] = {}
    for verdict in result.verdicts:
        if verdict.verdict not in KEPT:
            continue
        identity = finding_id(result.rule.rule_id, verdict.subject)
        if identity in spoken:
            raise _same_subject(result, verdict)
        if verdict.source not in scopes:
            raise _no_scope(result, verdict)
        spoken.add(identity)
        scope = scopes[verdict.source]
        if scope.blocked:
            continue
        said = _as_said(identity, previous.get(identity), verdict, content(result.rule, verdict))
        move = _seen(said, verdict, told, scope)
        waiting[scope.source] = waiting.get(scope.source, 0) + move.waiting
        if limit is not None and _is_new_violation(move):
            fresh.setdefault(scope.source, []).append(move)
        else:
            yield move
    for source, found in fresh.items():
        yield from _within(found, waiting[source], limit(scopes[source]) if limit else len(found))
    yield from _gone(previous, spoken, scopes)
    for scope in scopes.values():
        if scope.blocked:
            yield from _lapsed(previous, spoken, scope, told, limit)


def _gone(previous: Mapping[str, Standing], spoken: set[str], scopes: Mapping[str | None, Scope]) -> Iterator[Move]:
    for identity, standing in previous.items():
        scope = scopes.get(standing.source)
        if standing.is_open and identity not in spoken and scope is not None and not scope.blocked:
            yield Move(
                identity,
                Step.RESOLVED,
                standing.source,
                standing.held,
                verified=True,
                verdict=None,
                content=standing.content,
                before=standing,
            )


def _lapsed(
    previous: Mapping[str, Standing], spoken: set[str], scope: Scope, told: Exceptions, limit: Limit | None
) -> Iterator[Move]:
    """Reopen, unverified, what stands under an exception that is over in a scope where the rule could not be judged."""
    here = {identity: known for identity, known in previous.items() if known.source == scope.source}
    found = [
        Move(
            identity,
            Step.REOPENED,
            known.source,
            known.held,
            verified=False,
            verdict=None,
            content=known.content,
            before=known,
            why=f"{told.ending(known.exception)}; what is there now could not be judged",
        )
        for identity, known in here.items()
        if known.exception is not None and identity not in spoken and told.is_over(known.exception)
    ]
    if found:
        waiting = sum(known.waiting for known in here.values())
        yield from _within(found, waiting, limit(scope) if limit else len(found) + waiting)


def _is_new_violation(move: Move) -> bool:
    """Tell whether a violation begins to count as open with this move."""
    if move.held is not Outcome.VIOLATION or not move.counts:
        return False
    return move.step in {Step.OPENED, Step.REOPENED} or (move.before is not None and move.before.held is not move.held)


def _within(found: list[Move], waiting: int, limit: int) -> Iterator[Move]:
    """Yield the new violations of one scope as they are where the limit allows them, else held."""
    if waiting + len(found) <= limit:
        yield from found
        return
    already = f" and {waiting:,} that wait already" if waiting else ""
    why = f"held: {len(found):,} new violations{already} are more than the limit of {limit:,}"
    for move in found:
        told = f"{why}; {move.why}" if move.why else why
        yield replace(move, step=Step.HELD, waiting=True, why=told)


def _as_said(identity: str, before: Standing | None, verdict: Verdict, said: str) -> Move:
    """Return the move that takes a finding to what the verdict says of it."""
    covering = verdict.exception if verdict.verdict is Outcome.VIOLATION else None
    return Move(
        identity,
        Step.CHANGED,
        verdict.source,
        verdict.verdict,
        verified=True,
        verdict=verdict,
        content=said,
        exception=covering,
        until=verdict.excepted_until if covering else None,
        before=before,
    )


def _seen(said: Move, verdict: Verdict, told: Exceptions, scope: Scope) -> Move:
    """Decide on one finding that was given a verdict in an evaluated scope."""
    before = said.before
    if before is None or not before.is_open:
        step = Step.SUPPRESSED if said.exception else Step.OPENED if before is None else Step.REOPENED
        return replace(said, step=step)
    if before.exception is not None and verdict.exception is None:
        return _uncovered(said, before, before.exception, told, scope)
    if before.content == said.content:
        return _as_before(said, before, verified=before.verified)
    if before.held is Outcome.VIOLATION and verdict.verdict is Outcome.NOT_EVALUABLE:
        return _as_before(said, before, verified=False)
    if said.exception:
        return replace(said, step=Step.CHANGED if before.exception else Step.SUPPRESSED)
    return replace(said, waiting=before.waiting)


def _uncovered(said: Move, before: Standing, exception: str, told: Exceptions, scope: Scope) -> Move:
    """Decide on a finding that stood under an exception which no verdict names any more."""
    if doubt := told.doubt(exception, scope):
        return _as_before(said, before, verified=False, why=doubt)
    how = told.ending(exception)
    if said.held is Outcome.VIOLATION:
        return replace(said, step=Step.REOPENED, why=how)
    kept = _as_before(said, before, verified=False, why=how)
    return replace(kept, step=Step.REOPENED, exception=None, until=None)


def _as_before(move: Move, before: Standing, *, verified: bool, why: str = "") -> Move:
    """Return the move that leaves a finding where it stood; it persists where nothing new was said either."""
    step = Step.PERSISTED if before.content == move.content and before.verified == verified else Step.CHANGED
    return replace(
        move,
        step=step,
        source=before.source,
        held=before.held,
        verified=verified,
        exception=before.exception,
        until=before.until,
        waiting=before.waiting,
        why=why,
    )


def state(
    *,
    is_open: bool,
    times_reopened: int,
    since: int,
    last_seen: int,
    exception: str | None = None,
    waiting: bool = False,
) -> State:
    """Return where a finding stands; ``since`` numbers the run that (re)opened it, ``last_seen`` the last that saw it.

    A finding is new, or reopened, until a later run has seen it again; a run that reopens may see nothing itself.
    """
    if not is_open:
        return State.RESOLVED
    if waiting:
        return State.HELD
    if exception is not None:
        return State.SUPPRESSED
    if since < last_seen:
        return State.PERSISTING
    return State.REOPENED if times_reopened else State.NEW


def _same_subject(result: RuleResult, verdict: Verdict) -> ConfigurationError:
    return ConfigurationError(
        f"rule {result.rule.rule_id} gave two verdicts for one subject: {verdict.subject}",
        advice=f"add to the identity of {result.rule.rule_id} the columns that tell its subjects apart",
    )


def _no_scope(result: RuleResult, verdict: Verdict) -> ConfigurationError:
    where = f"source {verdict.source!r}" if verdict.source else "no source"
    return ConfigurationError(
        f"rule {result.rule.rule_id} gave a verdict for {where}, where it was not evaluated: {verdict.subject}",
        advice=f"let the source column of {result.rule.rule_id} come from the table that it reads",
    )
