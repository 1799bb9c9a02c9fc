"""Reviews that nobody decided, that changed nothing, that nobody read, and that people made of their own access."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from reconciler.sdk.records import Person, Review
from tests.truth.company import Company, Staff, person, staff
from tests.truth.world import AS_OF, CLOUD, DIRECTORY, World, account_of, when

COPIES = 2
SECOND = timedelta(seconds=1)
ALLOWED = 20
"""Decisions that one reviewer may take within a minute."""


def plant(world: World, firm: Company) -> None:
    """Plant reviews that show nothing, and others in order."""
    for _ in range(COPIES):
        _overdue(world, firm)
        _still_held(world, firm)
        _not_held(world, firm)
        _self_reviewed(world, firm)
        _stamped(world, firm)


def review(world: World, firm: Company, **values: Any) -> Review:
    """Add a review of something that is not held, kept five days ago by a reviewer who decides little else."""
    made: dict[str, Any] = {
        "review_id": world.number("R"),
        "source": DIRECTORY,
        "account_id": world.number("reviewed"),
        "entitlement_id": world.number("reviewed-ent"),
        "campaign": "2026 Q4",
        "decision": "keep",
        "decided_at": when(5),
        "due_at": when(4),
    }
    if "reviewer_id" not in values:
        made["reviewer_id"] = person(world, manager=firm.boss).person_id
    return world.add("reviews", Review(**(made | values)))


def _unread(world: World, firm: Company) -> Staff:
    """Add somebody whose access nobody reviewed yet."""
    who = staff(world, firm)
    own = (who.account.account_id, who.cloud.account_id)
    for row in [row for row in world.rows["reviews"] if isinstance(row, Review) and row.account_id in own]:
        world.remove("reviews", row)
    return who


def _of(who: Staff) -> dict[str, Any]:
    """Return what a review of a person's ledger names."""
    return {"source": CLOUD, "account_id": who.cloud.account_id, "entitlement_id": who.ledger.entitlement_id}


def _subject(found: Review) -> tuple[str, ...]:
    return found.review_id, found.source, found.account_id, found.entitlement_id


def _overdue(world: World, firm: Company) -> None:
    open_one = {"decision": "undecided", "decided_at": None}
    who = staff(world, firm)
    for values in (
        {"due_at": when(3)},
        {"due_at": AS_OF - SECOND},
        {"due_at": when(100), "reviewer_id": None},
        {"due_at": when(3), **_of(who)},
    ):
        world.violates("IG-REC-001", *_subject(review(world, firm, **(open_one | values))))
    for values in ({"due_at": AS_OF}, {"due_at": when(-1)}):
        review(world, firm, **(open_one | values))
    review(world, firm, due_at=when(90))
    for values in ({"due_at": None}, {"due_at": when(3), "decision": None}):
        world.unknown("IG-REC-001", *_subject(review(world, firm, **(open_one | values))))


def _still_held(world: World, firm: Company) -> None:
    for decided_at in (when(7), when(8), when(19)):
        who = _unread(world, firm)
        found = review(world, firm, decision="revoke", decided_at=decided_at, **_of(who))
        world.violates("IG-REC-002", *_subject(found))
    undated = _unread(world, firm)
    world.change("grants", undated.ledger, granted_at=None)
    found = review(world, firm, decision="revoke", decided_at=when(12), **_of(undated))
    world.violates("IG-REC-002", *_subject(found))

    timeless, perhaps = _unread(world, firm), _unread(world, firm)
    found = review(world, firm, decision="revoke", decided_at=None, **_of(timeless))
    for rule_id in ("IG-REC-002", "IG-REC-004"):
        world.unknown(rule_id, *_subject(found))
    found = review(world, firm, decision="revoke", decided_at=when(12), **_of(perhaps))
    world.unknown("IG-REC-002", *_subject(found))
    world.unknown("IG-REC-004", *_subject(review(world, firm, decided_at=None, **_of(perhaps))))


def _not_held(world: World, firm: Company) -> None:
    in_time, lifted, changed, other = (_unread(world, firm) for _ in range(4))
    review(world, firm, decision="revoke", decided_at=when(7) + SECOND, **_of(in_time))
    review(world, firm, decision="revoke", decided_at=when(12), **_of(lifted))
    review(world, firm, decision="keep", decided_at=when(11), **_of(lifted))
    review(world, firm, decision="change", decided_at=when(12), **_of(changed))
    # the same entitlement of another account is no matter of this review
    review(
        world,
        firm,
        decision="revoke",
        decided_at=when(12),
        **(_of(other) | {"account_id": in_time.cloud.account_id[::-1]}),
    )
    gone = _unread(world, firm)
    world.change("approvals", gone.approval, valid_until=when(9))
    world.remove("grants", gone.grant)
    named = {"account_id": gone.account.account_id, "entitlement_id": gone.grant.entitlement_id}
    review(world, firm, decision="revoke", decided_at=when(12), **named)
    anew = _unread(world, firm)
    world.change("grants", anew.ledger, granted_at=when(3))
    review(world, firm, decision="revoke", decided_at=when(12), **_of(anew))


def _self_reviewed(world: World, firm: Company) -> None:
    for decision in ("keep", "change"):
        who = staff(world, firm)
        found = review(world, firm, reviewer_id=who.person.person_id, decision=decision, **_of(who))
        world.violates("IG-REC-003", *_subject(found))
    # of what the account does not hold any more, and without the word for what was decided
    who = staff(world, firm)
    for values in ({"decision": "revoke"}, {"decision": None}):
        named = {"source": CLOUD, "account_id": who.cloud.account_id, "reviewer_id": who.person.person_id}
        world.violates("IG-REC-003", *_subject(review(world, firm, **named, **values)))

    peer, boss = staff(world, firm), staff(world, firm)
    review(world, firm, reviewer_id=boss.person.person_id, **_of(peer))
    own = {"reviewer_id": peer.person.person_id}
    review(world, firm, decision="undecided", decided_at=None, due_at=when(-9), **own, **_of(peer))
    review(world, firm, **own)
    unnamed = review(world, firm, reviewer_id=None, **_of(boss))
    for rule_id in ("IG-REC-003", "IG-REC-004"):
        world.unknown(rule_id, *_subject(unnamed))
    shared = f"{world.number('pair')}@acme.example"
    one, two = (person(world, manager=firm.boss, emails=[shared]) for _ in "ab")
    theirs = account_of(
        world, one, CLOUD, employee_id=None, display_name=None, email=shared, status="disabled", can_sign_in=False
    )
    named = {"source": CLOUD, "account_id": theirs.account_id}
    found = review(world, firm, reviewer_id=two.person_id, **named)
    world.unknown("IG-REC-003", *_subject(found))
    review(world, firm, **named)


def _run(world: World, firm: Company, reviewer: Person, count: int, every: float, **values: Any) -> list[Review]:
    """Add so many decisions of one reviewer, that many seconds apart."""
    return [
        review(world, firm, reviewer_id=reviewer.person_id, decided_at=_at(number * every), **values)
        for number in range(count)
    ]


def _at(seconds: float) -> datetime:
    return when(5) + timedelta(seconds=seconds)


def _stamped(world: World, firm: Company) -> None:
    first, second, third, fourth = (person(world, manager=firm.boss) for _ in range(4))
    world.violates("IG-REC-004", *_subject(_run(world, firm, first, ALLOWED + 1, 3)[0]))
    world.violates("IG-REC-004", *_subject(_run(world, firm, second, ALLOWED + 1, 0)[0]))
    # across campaigns, and decisions whose word is not known count
    run = _run(world, firm, third, 12, 1, campaign="2026 Q2")
    _run(world, firm, third, 12, 0.5, campaign=None, source=CLOUD, decision=None)
    world.violates("IG-REC-004", *_subject(min(run, key=lambda r: (r.decided_at or AS_OF, r.review_id))))

    _run(world, firm, fourth, ALLOWED + 1, 3.01)
    for reviewer in (person(world, manager=firm.boss) for _ in "ab"):
        _run(world, firm, reviewer, ALLOWED, 0)
        review(world, firm, reviewer_id=reviewer.person_id, decided_at=_at(61))
        review(world, firm, reviewer_id=reviewer.person_id, decision="undecided", decided_at=None, due_at=when(-9))
