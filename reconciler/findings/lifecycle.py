"""How findings open, change, resolve and reopen: values in, values out.

The one law: data that is missing neither opens nor closes anything. A scope that was blocked, or was not
part of the evaluation, moves nothing; a violation that can no longer be evaluated stays a violation that is
unverified.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from reconciler.errors import ConfigurationError
from reconciler.estate.results import Outcome, RuleResult, State, Verdict
from reconciler.findings.identity import content, finding_id

KEPT = frozenset({Outcome.VIOLATION, Outcome.NOT_EVALUABLE})
"""Verdicts that are kept as findings. A violation is one; a not_evaluable subject needs someone's look."""


class Step(StrEnum):
    """What one evaluation did to one finding. All but PERSISTED are written and kept in its history."""

    OPENED = "opened"
    PERSISTED = "persisted"
    CHANGED = "changed"
    RESOLVED = "resolved"
    REOPENED = "reopened"


@dataclass(frozen=True, slots=True)
class Standing:
    """What is remembered of a finding, light enough to hold all those of a rule at once.

    ``held`` is the verdict it stands at, ``verified`` False where the last verdict fell from violation to
    not_evaluable, ``content`` the fingerprint of the last verdict that was applied.
    """

    source: str | None
    is_open: bool
    held: Outcome
    verified: bool
    content: str


@dataclass(frozen=True, slots=True)
class Move:
    """One finding after one evaluation, and what the step took it to.

    ``source``, ``held`` and ``verified`` are how it stands now; ``verdict`` is what the rule said of it, None
    where it was resolved by no longer being among the rule's verdicts.
    """

    finding_id: str
    step: Step
    source: str | None
    held: Outcome
    verified: bool
    verdict: Verdict | None
    content: str


def moves(previous: Mapping[str, Standing], result: RuleResult) -> Iterator[Move]:
    """Yield one move for each finding of this rule that an evaluated scope speaks of; of the others, none.

    ``previous`` holds every finding of the rule, open and resolved, by id. Raises ``ConfigurationError``
    where two verdicts have one subject, or where a verdict names a source that the rule has no scope for:
    to keep only one, or neither, would lose a violation without a trace.
    """
    scopes = {scope.source: not scope.blocked for scope in result.scopes}
    spoken: set[str] = set()
    for verdict in result.verdicts:
        if verdict.verdict not in KEPT:
            continue
        identity = finding_id(result.rule.rule_id, verdict.subject)
        if identity in spoken:
            raise _same_subject(result, verdict)
        if verdict.source not in scopes:
            raise _no_scope(result, verdict)
        spoken.add(identity)
        if scopes[verdict.source]:
            yield _seen(identity, previous.get(identity), verdict, content(result.rule, verdict))
    for identity, standing in previous.items():
        if standing.is_open and identity not in spoken and scopes.get(standing.source, False):
            yield Move(identity, Step.RESOLVED, standing.source, standing.held, True, None, standing.content)  # noqa: FBT003 - the fields of Move, in order


def _seen(identity: str, before: Standing | None, verdict: Verdict, said: str) -> Move:
    """Decide on one finding that was given a verdict in an evaluated scope."""
    if before is None or not before.is_open:
        step = Step.OPENED if before is None else Step.REOPENED
    elif before.content == said:
        return Move(identity, Step.PERSISTED, before.source, before.held, before.verified, verdict, said)
    elif before.held is Outcome.VIOLATION and verdict.verdict is Outcome.NOT_EVALUABLE:
        return Move(identity, Step.CHANGED, before.source, before.held, False, verdict, said)  # noqa: FBT003 - the fields of Move, in order
    else:
        step = Step.CHANGED
    return Move(identity, step, verdict.source, verdict.verdict, True, verdict, said)  # noqa: FBT003 - the fields of Move, in order


def state(*, is_open: bool, times_reopened: int, since: int, last_seen: int) -> State:
    """Return where a finding stands; ``since`` numbers the run that (re)opened it, ``last_seen`` the last that saw it.

    A finding is new, or reopened, until a later run has seen it again.
    """
    if not is_open:
        return State.RESOLVED
    if since != last_seen:
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
