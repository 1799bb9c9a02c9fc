"""The company's governance files: CSV, a spreadsheet and JSON Lines, as a QMS would export them."""

from __future__ import annotations

import csv
import json
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import cycle
from pathlib import Path
from typing import Any

from xlsxwriter.workbook import Workbook  # type: ignore[import-untyped]  # xlsxwriter ships no types

from reconciler.bundled import root
from tests.demo import directory
from tests.demo.cloud import Ids
from tests.demo.company import (
    AGENCY,
    FIRST_NIGHT,
    KEEPERS,
    LDAP,
    ZONE,
    Approval,
    Company,
    Contract,
    Exemption,
    Person,
    Review,
)
from tests.demo.names import SUPPLIERS

Row = Mapping[str, Any]
DAY_ONE = FIRST_NIGHT.date()
QUALIFIED_UNTIL = {"S-05": DAY_ONE - timedelta(days=5)}
"""Supplier -> last day of its qualification, where that is not far away."""
DOCUMENTS = (
    ("Access control policy", "policy", 200),
    ("Supplier access procedure", "procedure", -3),
    ("Joiner, mover and leaver procedure", "procedure", 0),
    ("Acceptable use policy", "policy", 90),
)
"""Title, kind, and days from the first day to the next review."""


def write(company: Company, ids: Ids, folder: Path) -> None:
    """Write every file anew."""
    folder.mkdir(parents=True, exist_ok=True)
    _csv(folder / "people.csv", [_person(person, company.today) for person in company.people])
    _csv(folder / "approvals.csv", [_approval(one) for one in company.approvals])
    special = (
        {
            "source": one.source,
            "account_id": one.name,
            "kind": one.kind,
            "purpose": one.purpose,
            "owner_role": one.owner_role,
            "steward": one.steward,
            "reviewed_on": "2026-01-12",
            "review_due_on": "2026-07-12",
        }
        for one in company.special
    )
    _csv(folder / "special_accounts.csv", list(special))
    _csv(folder / "role_holders.csv", list(_role_holders(company)))
    _csv(folder / "trainings.csv", list(_trainings(company)))
    _csv(folder / "documents.csv", _documents())
    _csv(folder / "reviews.csv", [_review(one) for one in company.reviews])
    _csv(folder / "control_tests.csv", list(_control_tests(company)))
    everyone = SUPPLIERS | {AGENCY: ("Quill Staffing", "quill.example", 0)}
    _sheet(folder / "suppliers.xlsx", [_supplier(*item) for item in everyone.items()])
    _sheet(folder / "contracts.xlsx", [_contract(one) for one in company.contracts.values()])
    lines = (json.dumps(_exemption(one, ids), ensure_ascii=False) for one in company.exemptions)
    (folder / "exceptions.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


_LONG_AGO = date(2010, 1, 1)
_ROLES = ("IT manager", "Purchasing manager", "Quality manager", "ciso")


def _controls() -> Mapping[str, Row]:
    declared = tomllib.loads((root("rules") / "controls.toml").read_text(encoding="utf-8"))["control"]
    return {control["id"]: control for control in declared}


def _role_holders(company: Company) -> Iterator[Row]:
    """Every governance role has a holder, but for those that are vacant; who manages may approve."""
    owners = {str(control["owner_role"]) for control in _controls().values()}
    managers = {person.manager_id for person in company.people if person.manager_id}
    for role, holder in zip(sorted(owners.union(_ROLES)), cycle(sorted(managers)), strict=False):
        until = DAY_ONE - timedelta(days=10) if role in company.vacant else None
        yield {"role": role, "person_id": holder, "since": _LONG_AGO, "until": until}
    for person_id in sorted(managers.union(KEEPERS)):
        yield {"role": "Line manager", "person_id": person_id, "since": _LONG_AGO, "until": None}


def _trainings(company: Company) -> Iterator[Row]:
    for person in company.people:
        until = date(2026, 10, 31)
        if person.person_id in company.untrained:
            last = company.untrained[person.person_id]
            if last is None:
                continue
            until = last
        done = until - timedelta(days=365)
        row = {"person_id": person.person_id, "course": "Access and privacy", "completed_on": done}
        yield row | {"valid_until": until}


def _documents() -> list[Row]:
    return [
        {
            "document_id": f"D-{number:02}",
            "title": title,
            "kind": kind,
            "owner_role": "Quality manager",
            "version": "3",
            "approved_at": datetime(2025, 3, 10, 9, 0, tzinfo=UTC),
            "next_review_on": DAY_ONE + timedelta(days=days),
        }
        for number, (title, kind, days) in enumerate(DOCUMENTS, start=1)
    ]


def _review(review: Review) -> Row:
    return {
        "review_id": review.review_id,
        "source": LDAP,
        "account_id": directory.account_id(review.uid),
        "entitlement_id": directory.group_id(review.group),
        "campaign": "Privileged access 2026-1",
        "reviewer_id": review.reviewer,
        "decision": review.decision,
        "decided_at": review.decided_at,
        "due_at": review.due_at,
    }


def _control_tests(company: Company) -> Iterator[Row]:
    for control_id in _controls():
        age = 800 if control_id in company.overdue_tests else 60
        yield {
            "control_id": control_id,
            "test_id": f"T-{control_id}",
            "performed_at": FIRST_NIGHT - timedelta(days=age),
            "performed_by": KEEPERS[1],
            "outcome": "failed" if control_id in company.failed_tests else "passed",
            "evidence": f"audits/{control_id}.pdf",
        }


def _person(person: Person, today: date) -> Row:
    gone = person.ends_on is not None and person.ends_on < today
    return {
        "person_id": person.person_id,
        "full_name": person.name,
        "emails": "|".join([person.email, *([person.also] if person.also else [])]),
        "employee_id": person.employee_id,
        "kind": person.kind,
        "status": person.status or ("left" if gone else "active"),
        "starts_on": person.starts_on,
        "ends_on": person.ends_on,
        "time_zone": person.office.zone,
        "manager_id": person.manager_id,
        "department": person.department,
        "supplier_id": person.supplier_id,
        "contract_id": person.contract_id,
    }


def _approval(approval: Approval) -> Row:
    return {
        "approval_id": approval.approval_id,
        "kind": approval.kind,
        "person_id": approval.person.person_id,
        "system": approval.system,
        "entitlement": approval.entitlement,
        "requested_by": approval.requested_by,
        "approved_by": approval.approved_by,
        "executed_by": approval.executed_by,
        "justification": approval.justification,
        "decision": approval.decision,
        "decided_at": approval.decided_at,
        "valid_from": approval.decided_at,
        "valid_until": approval.valid_until,
    }


def _supplier(supplier_id: str, details: tuple[str, str, int]) -> Row:
    name, domain, _ = details
    return {
        "supplier_id": supplier_id,
        "name": name,
        "domains": domain,
        "status": "qualified",
        "qualified_until": QUALIFIED_UNTIL.get(supplier_id, date(2027, 6, 30)),
        "owner_role": "Purchasing manager",
    }


def _contract(contract: Contract) -> Row:
    return {
        "contract_id": contract.contract_id,
        "supplier_id": contract.supplier_id,
        "status": contract.status,
        "starts_on": contract.starts_on,
        "ends_on": contract.ends_on,
        "time_zone": ZONE,
        "scope": "|".join(contract.scope),
        "headcount": contract.headcount,
        "business_owner": KEEPERS[0],
    }


def _exemption(exemption: Exemption, ids: Ids) -> Row:
    row = {
        "exception_id": exemption.exception_id,
        "rule_id": exemption.rule_id,
        "source": exemption.source,
        "account_id": _excepted(exemption, ids),
        "person_id": exemption.person.person_id if exemption.person else None,
        "entitlement_id": _group(exemption, ids),
        "reason": exemption.reason,
        "compensating_control": exemption.compensation,
        "approved_by": "P-0001",
        "approved_at": _text(exemption.approved_at),
        "expires_at": _text(exemption.expires_at),
        "review_owner": exemption.review_owner,
        "status": "approved",
    }
    return {column: value for column, value in row.items() if value is not None}


def _excepted(exemption: Exemption, ids: Ids) -> str | None:
    if exemption.account is None:
        return None
    return directory.account_id(exemption.account) if exemption.source == LDAP else ids.users[exemption.account]


def _group(exemption: Exemption, ids: Ids) -> str | None:
    if exemption.group is None:
        return None
    return directory.group_id(exemption.group) if exemption.source == LDAP else ids.groups[exemption.group]


def _csv(path: Path, rows: Sequence[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({column: _text(value) for column, value in row.items()} for row in rows)


def _sheet(path: Path, rows: Iterable[Row]) -> None:
    with Workbook(path, {"strings_to_formulas": False, "strings_to_urls": False}) as book:
        sheet, day = book.add_worksheet(path.stem), book.add_format({"num_format": "yyyy-mm-dd"})
        for number, row in enumerate(rows, start=1):
            for column, (name, value) in enumerate(row.items()):
                sheet.write_string(0, column, name)
                if isinstance(value, date):
                    sheet.write_datetime(number, column, value, day)
                else:
                    sheet.write(number, column, value)


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return "" if value is None else str(value)
