"""What the rules on drift of governance must find, and what is nearly so: documents, roles, controls, sources."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from reconciler.estate.tables import Control, ControlRule
from reconciler.sdk.records import ControlTest, Document, RoleHolder
from tests.truth.company import Company, person
from tests.truth.world import AS_OF, DAY, TODAY, World, when

COPIES = 3
"""How often each thing is planted."""

SECOND = timedelta(seconds=1)
YESTERDAY, TOMORROW = TODAY - DAY, TODAY + DAY
LATE, EARLY, MARS = "America/Los_Angeles", "Asia/Tokyo", "Mars/Olympus"
FRESH, STALE, EDGE, NEVER = "IG-ZZZ-001", "IG-ZZZ-002", "IG-ZZZ-003", "IG-ZZZ-004"
"""Rules evaluated a day ago, three days ago, two days ago to the second, and never."""


def plant(world: World, firm: Company) -> None:
    """Plant hits and near misses of every rule on drift of governance."""
    world.evaluated |= {FRESH: when(1), STALE: when(3), EDGE: when(2)}
    for _ in range(COPIES):
        _documents(world)
        _vacant(world, firm)
        _held(world, firm)
        _without_evidence(world)
        _tests(world)
        _collectors(world)


def _documents(world: World) -> None:
    for day in (YESTERDAY, TODAY - 400 * DAY, date(2024, 2, 29)):
        world.violates("IG-GOV-001", _document(world, next_review_on=day).document_id)
    for day in (TODAY, TOMORROW, date(2028, 2, 29)):
        _document(world, next_review_on=day)
    world.unknown("IG-GOV-001", _document(world, next_review_on=None).document_id)


def _vacant(world: World, firm: Company) -> None:
    def left(**values: Any) -> str:
        return person(world, manager=firm.boss, **values).person_id

    for terms in _terms(
        [],
        [{"until": YESTERDAY}],
        [{"since": TOMORROW}],
        [{"person_id": "P-unheard"}],
        [{"person_id": left(ends_on=YESTERDAY)}],
        [{"person_id": left(ends_on=YESTERDAY, time_zone=EARLY)}, {"until": date(2024, 2, 29)}],
    ):
        world.violates("IG-GOV-002", _role(world, firm, terms))
    for terms in _terms(
        [{"person_id": left(ends_on=YESTERDAY, time_zone=MARS)}],
        [{"person_id": left(status="Terminated", ends_on=TOMORROW)}, {"until": YESTERDAY}],
    ):
        world.unknown("IG-GOV-002", _role(world, firm, terms))


def _held(world: World, firm: Company) -> None:
    def leaving(**values: Any) -> str:
        return person(world, manager=firm.boss, **values).person_id

    for terms in _terms(
        [{}],
        [{"until": TODAY}],
        [{"since": TODAY}],
        [{"person_id": leaving(ends_on=TODAY)}],
        [{"person_id": leaving(ends_on=YESTERDAY, time_zone=LATE)}],
        [{"person_id": leaving(ends_on=TODAY + 90 * DAY, time_zone=MARS)}],
        [{"person_id": leaving(ends_on=YESTERDAY)}, {}],
        [{"person_id": leaving(ends_on=YESTERDAY, time_zone=MARS)}, {}],
    ):
        _role(world, firm, terms)
    shouted = world.number("warden")
    _document(world, owner_role=f" {shouted.upper()} ")
    _holder(world, shouted, firm.boss.person_id)
    # needed by nothing, held by nobody
    _holder(world, world.number("idle role"), firm.boss.person_id, until=YESTERDAY)


def _without_evidence(world: World) -> None:
    stale: list[tuple[tuple[str, ...], tuple[dict[str, Any], ...]]] = [
        ((STALE,), ()),
        ((), ()),
        ((NEVER,), ()),
        ((STALE, NEVER), ({"performed_at": AS_OF - 2 * DAY - SECOND},)),
        ((STALE,), ({"performed_at": AS_OF + SECOND},)),
        ((), ({"performed_at": when(30)},)),
    ]
    for rules, tests in stale:
        found = _control(world, rules, tests)
        world.violates("IG-GOV-003", found)
    world.violates("IG-GOV-003", _control(world, (STALE,), ({"outcome": "inconclusive"},)))
    unsaid = _control(world, (STALE,), ({"outcome": None},))
    world.violates("IG-GOV-003", unsaid)
    world.unknown("IG-GOV-004", unsaid)
    failed = _control(world, (STALE,), ({"outcome": "failed"},))
    world.violates("IG-GOV-003", failed)
    world.violates("IG-GOV-004", failed)
    fresh: list[tuple[tuple[str, ...], tuple[dict[str, Any], ...]]] = [
        ((FRESH,), ()),
        ((EDGE,), ()),
        ((STALE, NEVER, FRESH), ()),
        ((STALE,), ({"performed_at": AS_OF - 2 * DAY},)),
        ((), ({"performed_at": AS_OF},)),
    ]
    for rules, tests in fresh:
        _control(world, rules, tests)
    world.unknown("IG-GOV-003", _control(world, (FRESH,), evidence_days=None))
    undated = _control(world, (STALE,), ({"performed_at": None},))
    world.unknown("IG-GOV-003", undated)
    world.unknown("IG-GOV-004", undated)


def _tests(world: World) -> None:
    def tried(*tests: dict[str, Any], test_days: int | None = 90) -> str:
        return _control(world, (FRESH,), tests, test_days=test_days)

    edge = AS_OF - 90 * DAY
    for found in (
        tried(),
        tried({"performed_at": edge - SECOND}),
        tried({"outcome": "failed"}),
        tried({"performed_at": when(9)}, {"performed_at": when(8), "outcome": "failed"}),
        tried({"performed_at": when(9)}, {"performed_at": when(9), "outcome": "failed"}),
        tried({"performed_at": when(200), "outcome": "failed"}, test_days=None),
        tried({"performed_at": AS_OF + SECOND}),
        tried({"performed_at": when(91), "outcome": "inconclusive"}),
    ):
        world.violates("IG-GOV-004", found)
    tried({"performed_at": edge})
    tried({"performed_at": when(9), "outcome": "failed"}, {"performed_at": when(8)})
    tried({"performed_at": when(9)}, {"performed_at": AS_OF + SECOND, "outcome": "failed"})
    tried({"performed_at": when(9)}, {"performed_at": when(9), "outcome": "inconclusive"}, test_days=None)
    tried(test_days=None)
    for found in (
        tried({"outcome": "inconclusive"}),
        tried({"outcome": None}),
        tried({"performed_at": when(9)}, {"performed_at": None, "outcome": "failed"}),
    ):
        world.unknown("IG-GOV-004", found)


def _collectors(world: World) -> None:
    """Collectors of events that could not be read this time: what counts is when they last were."""

    def collector(complete_at: datetime | None) -> tuple[str, str]:
        name = world.number("collector").lower()
        world.unread[name] = complete_at
        return name, "events"

    for complete_at in (None, when(3), AS_OF - 2 * DAY - SECOND):
        world.violates("IG-GOV-005", *collector(complete_at))
    for complete_at in (AS_OF - 2 * DAY, when(1), AS_OF + 2 * DAY):
        collector(complete_at)
    world.unknown("IG-GOV-005", *collector(AS_OF + 2 * DAY + SECOND))


def _document(world: World, **values: Any) -> Document:
    """Add a document in order."""
    made: dict[str, Any] = {
        "title": "Leaver procedure",
        "kind": "Procedure",
        "owner_role": "Access Governance Owner",
        "version": "1",
        "approved_at": when(100),
        "next_review_on": TODAY + 200 * DAY,
    }
    return world.add("documents", Document(document_id=world.number("D-planted"), **(made | values)))


def _role(world: World, firm: Company, terms: list[dict[str, Any]]) -> str:
    """Add a role that a document names, held as ``terms`` say; return it as the rule tells it."""
    role = world.number("Keeper")
    _document(world, owner_role=role)
    for values in terms:
        _holder(world, role, **({"person_id": firm.deputy.person_id} | values))
    return role.lower()


def _holder(world: World, role: str, person_id: str, **values: Any) -> None:
    made: dict[str, Any] = {"since": TODAY - 90 * DAY}
    world.add("role_holders", RoleHolder(role=role, person_id=person_id, **(made | values)))


def _control(world: World, rules: tuple[str, ...], tests: tuple[dict[str, Any], ...] = (), **values: Any) -> str:
    """Declare a control of the organisation's own, with its rules and tests; a test was passed yesterday."""
    control_id = world.number("MY-C")
    made: dict[str, Any] = {"title": "Keys are counted", "owner_role": "access governance owner", "evidence_days": 2}
    world.declare("controls", Control(control_id=control_id, **(made | values)))
    for rule_id in rules:
        world.declare("control_rules", ControlRule(control_id=control_id, rule_id=rule_id))
    for test in tests:
        about: dict[str, Any] = {"performed_at": when(1), "outcome": "passed", "performed_by": "P-000002"}
        world.add("control_tests", ControlTest(control_id=control_id, test_id=world.number("T"), **(about | test)))
    return control_id


def _terms(*terms: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], ...]:
    return terms
