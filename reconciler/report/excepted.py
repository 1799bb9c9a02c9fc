"""The exceptions of a run as every surface lists them: who answers, until when, how many findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from reconciler.estate.results import ExceptionState, Finding, Run, State


def exceptions(run: Run, findings: Iterable[Finding]) -> tuple[ExceptionState, ...]:
    """Return the exceptions that the run read, and those that still suppress findings although it did not.

    ``suppresses`` counts the findings that stand suppressed now.
    """
    standing = [finding for finding in findings if finding.state is State.SUPPRESSED]
    counted = Counter(finding.exception or "" for finding in standing)
    until = {finding.exception or "": finding.excepted_until for finding in standing}
    told = [msgspec.structs.replace(state, suppresses=counted[state.exception_id]) for state in run.exceptions]
    told += [
        # Its register was not read: what is known of it is what it suppresses.
        ExceptionState(
            exception_id=name, expires_at=until[name], no_effect="not read by the last run", suppresses=counted[name]
        )
        for name in sorted(set(counted) - {state.exception_id for state in told})
    ]
    return tuple(told)


def effect(state: ExceptionState) -> str:
    """Say why an exception suppresses nothing, or nothing new; empty where it suppresses findings as it should."""
    if state.no_effect or state.suppresses:
        return state.no_effect
    return f"in force; {state.unlisted or 'nothing that it fits was found'}"


def reach(state: ExceptionState) -> str:
    """Say what an exception covers, part by part."""
    parts = (
        state.rule_id,
        state.control_id and f"control {state.control_id}",
        state.source and f"in {state.source}",
        state.account_id and f"account {state.account_id}",
        state.person_id and f"person {state.person_id}",
        state.entitlement_id and f"entitlement {state.entitlement_id}",
    )
    return ", ".join(part for part in parts if part)
