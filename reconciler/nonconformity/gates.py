"""The gates of ISO 9001 10.2 without any database: which a nonconformity has met, and what is missing in words."""

from __future__ import annotations

from datetime import datetime

import msgspec

from reconciler.nonconformity.record import Nonconformity, State


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that must be there before a close. ``missing`` says what is not, empty where it is met."""

    name: str
    missing: str = ""
    by_machine: bool = False
    """Whether no person can meet it: only a run does."""

    @property
    def met(self) -> bool:
        """Whether it is met."""
        return not self.missing


def state_of(held: Nonconformity) -> State:
    """Return the state that follows from everything else; ``held.state`` itself is not looked at."""
    if held.closed is not None:
        return State.CLOSED
    entered = held.correction and held.analysis and held.action and held.action.done_at
    if entered and held.verification and not held.standing and not _contain(held):
        return State.VERIFYING
    return State.OPEN


def gates(held: Nonconformity) -> tuple[Gate, ...]:
    """Return every gate between the nonconformity and its close, in the order in which they are met."""
    return (
        Gate(name="containment", missing=_contain(held)),
        Gate(name="correction", missing="" if held.correction else "the correction: what was put right"),
        Gate(name="cause", missing="" if held.analysis else "the cause, and the method by which it was found"),
        Gate(name="action", missing=_act(held)),
        Gate(name="verification", missing=_verify(held), by_machine=True),
    )


def missing(held: Nonconformity) -> tuple[str, ...]:
    """Return in words what is missing before a close; empty where every gate is met."""
    return tuple(gate.missing for gate in gates(held) if not gate.met)


def _contain(held: Nonconformity) -> str:
    if held.containment or held.grade != "major":
        return ""
    return "the containment, which a major one needs: how its effect was held off at once"


def _act(held: Nonconformity) -> str:
    if held.action is None:
        return "the corrective action, with the role that answers for it and its due date"
    if held.action.done_at is None:
        return f"the corrective action done: {held.action.owner_role} answers for it, due on {held.action.due_on}"
    return ""


def _verify(held: Nonconformity) -> str:
    seen = held.verification
    if held.standing:
        count = "1 finding stands" if held.standing == 1 else f"{held.standing} findings stand"
        return f"the machine's verification: {count}"
    if seen is None:
        return "the machine's verification: no run that judged all of it, by whole pulls, saw its findings gone"
    if seen.verified_at is None or seen.verified_at < seen.watch_until:
        return (
            f"the machine's verification: its findings are gone since {_day(seen.gone_at)}; a run that judges all of it"
            f" from {_day(seen.watch_until)} on must see them still gone"
        )
    done = held.action.done_at if held.action else None
    if done is not None and seen.verified_at < done:
        return (
            f"the machine's verification: what it saw on {_day(seen.verified_at)} was before the action was done on"
            f" {_day(done)}; the next run that judges all of it verifies anew"
        )
    return ""


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M %Z}"
