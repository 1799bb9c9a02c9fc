"""The company's governance files: CSV, a spreadsheet and JSON Lines, as a QMS would export them."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from xlsxwriter.workbook import Workbook  # type: ignore[import-untyped]  # xlsxwriter ships no types

from tests.demo import directory
from tests.demo.cloud import Ids
from tests.demo.company import LDAP, ZONE, Approval, Company, Contract, Exemption, Person
from tests.demo.names import SUPPLIERS

Row = Mapping[str, Any]


def write(company: Company, ids: Ids, folder: Path) -> None:
    """Write every file anew."""
    folder.mkdir(parents=True, exist_ok=True)
    _csv(folder / "people.csv", [_person(person, company.today) for person in company.people])
    _csv(folder / "approvals.csv", [_approval(n, one) for n, one in enumerate(company.approvals, start=1)])
    special = (
        {"source": s.source, "account_id": s.name, "kind": s.kind, "purpose": s.purpose} for s in company.special
    )
    _csv(folder / "special_accounts.csv", [row | _STEWARD for row in special])
    _sheet(folder / "suppliers.xlsx", [_supplier(*item) for item in SUPPLIERS.items()])
    _sheet(folder / "contracts.xlsx", [_contract(one) for one in company.contracts.values()])
    lines = (json.dumps(_exemption(one, ids), ensure_ascii=False) for one in company.exemptions)
    (folder / "exceptions.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


_STEWARD = {"owner_role": "IT manager", "steward": "P-0001", "reviewed_on": "2026-01-12", "review_due_on": "2026-07-12"}


def _person(person: Person, today: date) -> Row:
    gone = person.ends_on is not None and person.ends_on < today
    return {
        "person_id": person.person_id,
        "full_name": person.name,
        "emails": person.email,
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


def _approval(number: int, approval: Approval) -> Row:
    return {
        "approval_id": f"A-{number:05}",
        "kind": approval.kind,
        "person_id": approval.person.person_id,
        "system": approval.system,
        "entitlement": approval.entitlement,
        "requested_by": approval.person.person_id,
        "approved_by": approval.approved_by,
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
        "qualified_until": date(2027, 6, 30),
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
        "headcount": contract.headcount,
    }


def _exemption(exemption: Exemption, ids: Ids) -> Row:
    ldap = exemption.source == LDAP
    row = {
        "exception_id": exemption.exception_id,
        "rule_id": exemption.rule_id,
        "source": exemption.source,
        "account_id": directory.account_id(exemption.account) if ldap else ids.users[exemption.account],
        "person_id": exemption.person.person_id if exemption.person else None,
        "entitlement_id": _group(exemption, ids),
        "reason": exemption.reason,
        "compensating_control": "Weekly review of the sign-in log",
        "approved_by": "P-0001",
        "approved_at": _text(datetime(2026, 1, 5, 10, 0, tzinfo=UTC)),
        "expires_at": _text(exemption.expires_at),
        "review_owner": "P-0002",
        "status": "approved",
    }
    return {column: value for column, value in row.items() if value is not None}


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
