"""What is right with everybody: the company, its roles and registers, and people whose access is in order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from reconciler.sdk.records import (
    Account,
    Approval,
    Contract,
    ControlTest,
    Document,
    Entitlement,
    Event,
    Grant,
    Person,
    Review,
    RoleHolder,
    Supplier,
    Training,
)
from tests.truth.world import CLOUD, DAY, DIRECTORY, TODAY, World, account_of, entitlement, grant, when

APPROVER_ROLE = "access approver"
COURSE = "information security"


@dataclass(frozen=True)
class Company:
    """What plants build on: a boss who approves, a reviewer, an executor, entitlements, a supplier in order."""

    boss: Person
    deputy: Person
    reviewer: Person
    executor: Person
    office: Entitlement
    ledger: Entitlement
    admins: Entitlement
    supplier: Supplier
    contract: Contract


def company(world: World) -> Company:
    """Found the company: four people who answer for things, entitlements of two systems, one supplier."""
    boss = person(world, manager=None)
    deputy = person(world, manager=boss)
    reviewer, executor = person(world, manager=boss), person(world, manager=boss)
    office = entitlement(world, DIRECTORY, "Office")
    ledger = entitlement(world, CLOUD, "Ledger")
    admins = entitlement(world, CLOUD, "Cloud Admins", privileged=True, kind="admin_role")
    supplier = world.add(
        "suppliers",
        Supplier(
            supplier_id="S-1",
            name="Good Supplier",
            domains=["good.example"],
            status="qualified",
            qualified_until=TODAY + 300 * DAY,
            owner_role="supplier manager",
        ),
    )
    contract = world.add(
        "contracts",
        Contract(
            contract_id="C-1",
            supplier_id="S-1",
            status="active",
            starts_on=TODAY - 400 * DAY,
            ends_on=TODAY + 300 * DAY,
            time_zone="Europe/Paris",
            scope=["Office", "Ledger"],
            headcount=1000,
            business_owner=boss.person_id,
        ),
    )
    for role in (APPROVER_ROLE, "supplier manager", "access governance owner"):
        for holder in (boss, deputy):
            world.add("role_holders", RoleHolder(role=role, person_id=holder.person_id, since=TODAY - 900 * DAY))
    world.add(
        "documents",
        Document(
            document_id="D-1",
            title="Access policy",
            kind="policy",
            owner_role="access governance owner",
            version="3",
            approved_at=when(100),
            next_review_on=TODAY + 200 * DAY,
        ),
    )
    found = Company(boss, deputy, reviewer, executor, office, ledger, admins, supplier, contract)
    for each in (boss, deputy, reviewer, executor):
        equip(world, found, each)
    return found


def person(world: World, *, manager: Person | None, **values: Any) -> Person:
    """Add a person who is engaged and trained; no account yet."""
    person_id = world.number("P")
    made: dict[str, Any] = {
        "person_id": person_id,
        "full_name": f"Person {person_id[2:]}",
        "emails": [f"{person_id.lower()}@acme.example"],
        "employee_id": f"E{person_id[2:]}",
        "kind": "employee",
        "status": "active",
        "starts_on": TODAY - 800 * DAY,
        "time_zone": "Europe/Paris",
        "manager_id": manager.person_id if manager else None,
        "department": "Operations",
        "business_unit": "Europe",
    }
    found = world.add("people", Person(**(made | values)))
    world.add(
        "trainings",
        Training(
            person_id=found.person_id,
            course=COURSE,
            completed_on=TODAY - 700 * DAY,
            valid_until=TODAY + 100 * DAY,
        ),
    )
    return found


@dataclass(frozen=True)
class Staff:
    """A person with an account in each system, each with one approved, executed and reviewed grant."""

    person: Person
    account: Account
    cloud: Account
    grant: Grant
    ledger: Grant
    approval: Approval


def equip(world: World, firm: Company, who: Person) -> Staff:
    """Give a person an account in both systems, with an approved grant in each."""
    account, cloud = account_of(world, who, DIRECTORY), account_of(world, who, CLOUD)
    onboard(world, firm, account)
    onboard(world, firm, cloud)
    approval = approve(world, firm, who, firm.office)
    office = hold(world, firm, account, firm.office, approval)
    ledger = hold(world, firm, cloud, firm.ledger, approve(world, firm, who, firm.ledger))
    return Staff(who, account, cloud, office, ledger, approval)


def staff(world: World, firm: Company, **values: Any) -> Staff:
    """Add a person in order, with everything in order."""
    return equip(world, firm, person(world, manager=firm.boss, **values))


def supplier_staff(world: World, firm: Company, **values: Any) -> Staff:
    """Add a person of the supplier in order, under its contract."""
    made = {"kind": "contractor", "supplier_id": "S-1", "contract_id": firm.contract.contract_id}
    return staff(world, firm, **(made | values))


def onboard(world: World, firm: Company, account: Account) -> None:
    """Record that the account itself was approved, and the event that made it."""
    # The newest first: it is nearly always the last one, and a hundred thousand are looked up.
    person_id = next(
        p.person_id
        for p in reversed(world.rows["people"])
        if isinstance(p, Person) and p.employee_id == account.employee_id
    )
    approval = world.add(
        "approvals",
        Approval(
            approval_id=world.number("A"),
            kind="onboarding",
            person_id=person_id,
            system=account.source,
            **decided_by(firm, person_id),
            justification="starts work",
            decision="approved",
            decided_at=when(402),
            valid_from=when(402),
        ),
    )
    event(world, account, "account_created", 400, approval_ref=approval.approval_id)


def approve(world: World, firm: Company, who: Person, held: Entitlement, **values: Any) -> Approval:
    """Add an approval of one entitlement for a person, decided before it was granted."""
    made: dict[str, Any] = {
        "kind": "access_request",
        "person_id": who.person_id,
        "system": held.source,
        "entitlement": held.entitlement_id,
        **decided_by(firm, who.person_id),
        "justification": "needs it for the work",
        "decision": "approved",
        "decided_at": when(351),
        "valid_from": when(351),
        "valid_until": when(-200),
    }
    return world.add("approvals", Approval(approval_id=world.number("A"), **(made | values)))


def hold(world: World, firm: Company, account: Account, held: Entitlement, approval: Approval, **values: Any) -> Grant:
    """Grant an entitlement, with the event that did it and a review that kept it."""
    made = grant(world, account, held, **values)
    if made.granted_at is not None:
        world.add(
            "events",
            Event(
                source=account.source,
                event_id=world.number("ev"),
                occurred_at=made.granted_at,
                actor_id="provisioning",
                actor_kind="service",
                action="entitlement_granted",
                raw_action="group.add",
                target_id=account.account_id,
                target_kind="account",
                entitlement_id=held.entitlement_id,
                approval_ref=approval.approval_id,
                outcome="SUCCESS",
            ),
        )
    world.add(
        "reviews",
        Review(
            review_id=world.number("R"),
            source=account.source,
            account_id=account.account_id,
            entitlement_id=held.entitlement_id,
            campaign="2026 H2",
            reviewer_id=(firm.boss if approval.person_id == firm.reviewer.person_id else firm.reviewer).person_id,
            decision="keep",
            decided_at=when(20) + timedelta(minutes=7 * len(world.rows["reviews"])),
            due_at=when(10),
        ),
    )
    return made


def event(world: World, account: Account, action: str, days: float, **values: Any) -> Event:
    """Add an event about an account, that many days ago."""
    made: dict[str, Any] = {
        "occurred_at": when(days),
        "actor_id": "provisioning",
        "actor_kind": "service",
        "action": action,
        "raw_action": action,
        "target_id": account.account_id,
        "target_kind": "account",
        "outcome": "SUCCESS",
    }
    return world.add("events", Event(source=account.source, event_id=world.number("ev"), **(made | values)))


def tested(world: World, control_id: str) -> None:
    """Record that a control was tested lately and passed."""
    world.add(
        "control_tests",
        ControlTest(
            control_id=control_id,
            test_id=world.number("T"),
            performed_at=when(30),
            performed_by="P-000002",
            outcome="passed",
            evidence="file 7",
        ),
    )


def decided_by(firm: Company, person_id: str) -> dict[str, Any]:
    """Return who approves and who executes for a person: neither is that person."""
    approver = firm.deputy if person_id == firm.boss.person_id else firm.boss
    executor = firm.reviewer if person_id == firm.executor.person_id else firm.executor
    return {"requested_by": person_id, "approved_by": approver.person_id, "executed_by": executor.person_id}
