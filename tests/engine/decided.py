"""Grants, decisions and events of a small estate, as tests of assurance tell them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from reconciler.engine.assurance import Assurance
from reconciler.sdk.records import Account, Approval, Entitlement, Event, Grant, Person, Record
from tests.engine.conftest import Read

DECIDED = datetime(2026, 1, 10, 9, tzinfo=UTC)
IN_TIME = DECIDED + timedelta(hours=72)

PEOPLE = [Person(person_id="p1", employee_id="E1", department="Sales"), Person(person_id="p2", employee_id="E2")]
ACCOUNTS = [
    Account(source="ldap", account_id="a", login="ada", employee_id="E1", status="enabled", can_sign_in=True),
    Account(source="ldap", account_id="b", login="bob", employee_id="E2", status="disabled", can_sign_in=False),
    Account(source="ldap", account_id="n", login="nobody", status="enabled", can_sign_in=True),
]
ENTITLEMENTS = [
    Entitlement(source="ldap", entitlement_id="e1", name="Finance"),
    Entitlement(source="ldap", entitlement_id="e2"),
]


def holds(account: str = "a", entitlement: str = "e1", assignment: Any = "direct") -> Grant:
    return Grant(
        source="ldap",
        principal_kind="account",
        principal_id=account,
        entitlement_id=entitlement,
        assignment=assignment,
    )


def event(action: Any, at: datetime | None = IN_TIME, **changes: Any) -> Event:
    values: dict[str, Any] = {"event_id": "v1", "target_id": "a", "occurred_at": at}
    return Event(source="ldap", action=action, **(values | changes))


def granted(at: datetime | None = IN_TIME, **changes: Any) -> Event:
    return event("entitlement_granted", at, **({"entitlement_id": "e1"} | changes))


def approval(**changes: Any) -> Approval:
    values: dict[str, Any] = {
        "approval_id": "A1",
        "kind": "access_request",
        "person_id": "p1",
        "system": "LDAP",
        "entitlement": "finance",
        "decision": "Approved",
        "decided_at": DECIDED,
    }
    return Approval(**(values | changes))


def termination(**changes: Any) -> Approval:
    return approval(**({"kind": "termination", "person_id": "p2", "entitlement": None} | changes))


def reads(**rows: Iterable[Record] | Read | None) -> list[Read]:
    """Return an estate of one source; a table given as None is reported by nobody."""
    found: dict[str, Any] = {
        "people": PEOPLE,
        "accounts": ACCOUNTS,
        "entitlements": ENTITLEMENTS,
        "grants": [],
        "approvals": [],
        "events": [],
        **rows,
    }
    made = []
    for table, given in found.items():
        home = "qms" if table in {"people", "approvals", "reviews", "special_accounts"} else "ldap"
        if given is not None:
            made.append(given if isinstance(given, Read) else Read(home, table, list(given)))
    return made


def everything(assurance: Assurance) -> list[dict[str, Any]]:
    return [
        row
        for verdict in (
            "proven",
            "approved_not_executed",
            "executed_without_approval",
            "revocation_unproven",
            "not_evaluable",
        )
        for row in assurance.examples(100, verdict=verdict)
    ]
