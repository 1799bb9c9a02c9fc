"""Gates, what is owed next, and what is late: as values, without a database."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest

from reconciler.nonconformity.gates import Owed, gates, missing, overdue, owed, refused_to_close, same, state_of
from reconciler.nonconformity.record import (
    Action,
    Analysis,
    Cause,
    Entry,
    Nonconformity,
    State,
    Transition,
    Verification,
)

START = datetime(2026, 3, 1, tzinfo=UTC)


def day(number: int) -> datetime:
    return START + timedelta(days=number)


ENTRY = Entry(by="ada", at=day(1), text="Disabled")
ANALYSIS = Analysis(by="ada", at=day(1), method="five_whys", text="No feed")
PLAN = Action(by="ada", at=day(1), text="A feed", owner_role="ciso", due_on=date(2026, 3, 5))
DONE = msgspec.structs.replace(PLAN, done_by="ada", done_at=day(2))
GONE = Verification(gone_run="run-3", gone_at=day(3), watch_until=day(17))
VERIFIED = msgspec.structs.replace(GONE, verified_run="run-17", verified_at=day(17))
NEW = Nonconformity(
    nc_id="NC-000001",
    cause=Cause(rule_id="IG-LVR-001"),
    rule_id="IG-LVR-001",
    source="ldap",
    supplier_id=None,
    title="Leavers can sign in",
    statement="They can.",
    controls=(),
    clauses={},
    severity="high",
    grade="minor",
    grade_reason="few",
    state=State.OPEN,
    detected_at=day(0),
    detected_run="run-0",
    owner_role="lead",
    owner=None,
    escalated_to=None,
    due_at=day(7),
    standing=2,
    findings=2,
)
ENTERED: dict[str, Any] = {"correction": ENTRY, "analysis": ANALYSIS, "action": DONE}
WATCHED: dict[str, Any] = {**ENTERED, "standing": 0, "verification": GONE}
SEEN: dict[str, Any] = {**WATCHED, "verification": VERIFIED}


def held(**other: Any) -> Nonconformity:
    return msgspec.structs.replace(NEW, **other)


@pytest.mark.parametrize(
    ("so_far", "expected"),
    [
        ({}, Owed(what="correction", by="lead", due_on=date(2026, 3, 8))),
        ({"grade": "major", "owner": "P1"}, Owed(what="containment", by="P1", due_on=date(2026, 3, 8))),
        ({"correction": ENTRY}, Owed(what="cause", by="lead", due_on=date(2026, 3, 8))),
        ({**ENTERED, "action": None}, Owed(what="action", by="lead", due_on=date(2026, 3, 8))),
        ({**ENTERED, "action": PLAN}, Owed(what="action done", by="ciso", due_on=date(2026, 3, 5))),
        (ENTERED, Owed(what="findings gone", by="lead", due_on=date(2026, 3, 8))),
        ({**ENTERED, "standing": 0}, Owed(what="verification", by="reconciler")),
        (WATCHED, Owed(what="verification", by="reconciler", due_on=date(2026, 3, 18))),
        (SEEN, Owed(what="close", by="lead, or whoever did not act", due_on=date(2026, 3, 18))),
        ({**SEEN, "closed": ENTRY}, None),
    ],
)
def test_what_is_owed_next(so_far: dict[str, Any], expected: Owed | None) -> None:
    assert owed(held(**so_far)) == expected


@pytest.mark.parametrize(
    ("so_far", "at", "late"),
    [
        ({}, day(7), False),
        ({}, day(8), True),
        ({"action": PLAN}, day(4) + timedelta(hours=23), False),
        ({"action": PLAN}, day(5), True),
        (ENTERED, day(8), True),
        ({**ENTERED, "standing": 0}, day(8), False),
        (WATCHED, day(30), False),
        (SEEN, day(17), False),
        (SEEN, day(18), True),
        ({**SEEN, "closed": ENTRY}, day(99), False),
    ],
)
def test_to_wait_for_a_run_is_not_late(so_far: dict[str, Any], at: datetime, *, late: bool) -> None:
    assert overdue(held(**so_far), at) is late


@pytest.mark.parametrize(
    ("so_far", "state"),
    [
        ({}, State.OPEN),
        (ENTERED, State.OPEN),
        ({**ENTERED, "standing": 0}, State.OPEN),
        (WATCHED, State.VERIFYING),
        ({**WATCHED, "grade": "major"}, State.OPEN),
        ({**WATCHED, "grade": "major", "containment": ENTRY}, State.VERIFYING),
        ({**WATCHED, "standing": 1}, State.OPEN),
        ({**WATCHED, "action": PLAN}, State.OPEN),
        (SEEN, State.VERIFYING),
        ({**SEEN, "closed": ENTRY}, State.CLOSED),
    ],
)
def test_the_state_follows_from_everything_else(so_far: dict[str, Any], state: State) -> None:
    assert state_of(held(**so_far)) is state


def test_every_gate_is_met_only_by_all_of_it() -> None:
    assert missing(held(**SEEN)) == ()
    assert [gate.name for gate in gates(held(**SEEN)) if not gate.needed] == ["containment"]
    early = msgspec.structs.replace(VERIFIED, verified_at=day(16))
    assert "must see them still gone" in missing(held(**{**SEEN, "verification": early}))[0]
    late = msgspec.structs.replace(DONE, done_at=day(18))
    assert "was before the action was done" in missing(held(**{**SEEN, "action": late}))[0]


def test_own_work_before_it_was_opened_again_does_not_count() -> None:
    lines = [Transition(at=day(0), who="grace", what=what, why="x") for what in ("corrected", "reopened", "analysed")]
    assert refused_to_close(held(**SEEN), lines, "Grace") == ()
    lines.append(Transition(at=day(0), who=" GRACE", what="done", why="x"))
    assert refused_to_close(held(**SEEN), lines, "Grace") == ("somebody else to close it: Grace did its action",)


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [("Ada", " ada ", True), ("Ada  B", "ada b", True), ("\uff21da", "ada", True), ("ada", "adam", False)],
)
def test_a_name_is_the_same_in_other_letters(one: str, other: str, *, alike: bool) -> None:
    assert same(one, other) is alike
