"""The gates of ISO 9001 10.2 without any database: what is met, what is missing in words, and who may do what."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import date, datetime

import msgspec

from reconciler.nonconformity.record import MACHINE, Nonconformity, State, Transition

ACTS = {"corrected": "corrected it", "done": "did its action"}
"""What -> in words: whoever did one of these since it was last opened does not close it."""


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that must be there before a close. ``missing`` says what is not, empty where it is met."""

    name: str
    missing: str = ""
    by_machine: bool = False
    """Whether no person can meet it: only a run does."""
    needed: bool = True
    """False where it is left to people whether they enter it, and they have not."""

    @property
    def met(self) -> bool:
        """Whether it is met."""
        return not self.missing


class Owed(msgspec.Struct, frozen=True, kw_only=True):
    """What comes next, who owes it, and until when; ``due_on`` None where no day is set."""

    what: str
    by: str
    due_on: date | None = None


def state_of(held: Nonconformity) -> State:
    """Return the state that follows from everything else; ``held.state`` itself is not looked at."""
    if held.closed is not None:
        return State.CLOSED
    if held.set_aside is not None:
        return State.SET_ASIDE
    entered = all(gate.met for gate in gates(held) if not gate.by_machine)
    return State.VERIFYING if entered and held.verification and not held.standing else State.OPEN


def gates(held: Nonconformity) -> tuple[Gate, ...]:
    """Return every gate between the nonconformity and its close, in the order in which they are met."""
    return (
        Gate(name="containment", missing=_contain(held), needed=bool(held.containment) or held.grade == "major"),
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
        count = "1 finding stands" if held.standing == 1 else f"{held.standing:,} findings stand"
        return f"the machine's verification: {count}"
    if seen is None:
        return (
            "the machine's verification: no run that judged all of it, by whole pulls, saw its findings gone; what an"
            " exception covers is not gone"
        )
    if seen.verified_at is None or seen.verified_at < seen.watch_until:
        return (
            f"the machine's verification: its findings are gone since {_minute(seen.gone_at)}; a run that judges all"
            f" of it from {_minute(seen.watch_until)} on must see them still gone"
        )
    done = held.action.done_at if held.action else None
    if done is not None and seen.verified_at < done:
        return (
            f"the machine's verification: what it saw on {_minute(seen.verified_at)} was before the action was done"
            f" on {_minute(done)}; the next run that judges all of it verifies anew"
        )
    return ""


def _minute(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def owed(held: Nonconformity) -> Owed | None:
    """Return what comes next; None once it is closed, and while it is set aside."""
    if held.closed is not None or held.set_aside is not None:
        return None
    unmet = next((gate for gate in gates(held) if not gate.met), None)
    owner, due = held.owner or held.owner_role, held.due_at.date()
    seen = held.verification
    if unmet is None:
        verified = due if seen is None or seen.verified_at is None else seen.verified_at.date()
        return Owed(what="close", by=f"{owner}, or whoever did not act", due_on=max(due, verified))
    if unmet.by_machine and held.standing:
        return Owed(what="findings gone", by=owner, due_on=due)
    if unmet.by_machine:
        return Owed(what="verification", by=MACHINE, due_on=None if seen is None else seen.watch_until.date())
    if unmet.name == "action" and held.action is not None:
        return Owed(what="action done", by=held.action.owner_role, due_on=held.action.due_on)
    return Owed(what=unmet.name, by=owner, due_on=due)


def owes(held: Nonconformity) -> bool:
    """Return whether people owe something of it: it is neither over nor waits for a run alone."""
    next_owed = owed(held)
    return next_owed is not None and next_owed.by != MACHINE


def overdue(held: Nonconformity, at: datetime) -> bool:
    """Return whether what people owe of it is late at an instant; to wait for a run, or the watch, is not late."""
    next_owed = owed(held)
    if next_owed is None or not owes(held):
        return False
    action = held.action
    if action is not None and action.done_at is None and action.due_on < at.date():
        return True
    if next_owed.what == "close":
        return next_owed.due_on is not None and next_owed.due_on < at.date()
    return held.due_at < at


def same(one: str, other: str) -> bool:
    """Return whether two names are written alike but for case, spaces and forms of characters."""
    return _plain(one) == _plain(other)


def _plain(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def refused_to_enter(held: Nonconformity) -> str:
    """Say why nothing may be entered or amended; empty where it may."""
    return "it is closed" if held.closed is not None else ""


def refused_to_reopen(held: Nonconformity) -> str:
    """Say why a person may not reopen it; empty where they may."""
    return "" if held.closed is not None else f"it is not closed but {held.state}"


def refused_to_close(held: Nonconformity, history: Sequence[Transition], by: str) -> tuple[str, ...]:
    """Say what keeps ``by`` from closing it: every gate that is not met, and what they themselves did of it.

    Whoever corrected it or did its action since it was last opened does not close it, also where somebody else
    amended that entry afterwards.
    """
    if held.closed is not None:
        return ("it is closed already",)
    aside = ("that it is taken up again: it is set aside",) if held.set_aside else ()
    return (*aside, *missing(held), *_own_work(held, history, by))


def _own_work(held: Nonconformity, history: Sequence[Transition], by: str) -> tuple[str, ...]:
    opened = max((place for place, line in enumerate(history) if line.what == "reopened"), default=-1)
    did = {line.what for line in history[opened + 1 :] if line.what in ACTS and same(line.who, by)}
    if held.correction and same(held.correction.by, by):
        did.add("corrected")
    if held.action and held.action.done_by and same(held.action.done_by, by):
        did.add("done")
    words = " and ".join(said for what, said in ACTS.items() if what in did)
    return (f"somebody else to close it: {by} {words}",) if words else ()
