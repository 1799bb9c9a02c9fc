"""Whole pulls: every table, what each kind of field becomes, and what a running user may not see."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

from connectors.compliancequest.source import ComplianceQuestSource
from reconciler.sdk.connector import Status
from reconciler.sdk.testing import check_source
from tests.connectors.compliancequest import company
from tests.connectors.compliancequest.company import OBJECTS, person
from tests.simulators.salesforce.org import Org
from tests.simulators.salesforce.server import Salesforce

ZONE = "Europe/Amsterdam"


def fill(org: Org) -> dict[str, str]:
    """Add a record of everything, and return the ids that others point at."""
    boss = person(org, 1, Kind__c="Full Time", Zone__c="Europe/Paris", Start__c="2020-01-01", End__c="2026-12-31")
    temp = person(
        org,
        2,
        Kind__c="AGENCY",
        Manager__c=boss,
        compliancequest__Active__c=False,
        Other_Mails__c="two@home.test; second@home.test",
    )
    bare = org.insert(company.PERSONNEL, compliancequest__Full_Name__c="Nobody", Kind__c="Guest")
    queue = org.insert("Group", Name="Quality queue")
    org.entities["Group"].rows["00G000000000001AAA"] = org.entities["Group"].rows.pop(queue) | {
        "Id": "00G000000000001AAA"
    }
    document = org.insert(
        company.DOCUMENT,
        Name="SOP-1 [B]",
        compliancequest__Title__c="Access control",
        compliancequest__Document_Category__c="Procedure",
        compliancequest__Revision__c="B",
        compliancequest__Next_Review_Date__c="2027-01-31",
        compliancequest__Document_Status__c="Current",
        Approved__c="2026-02-28T23:30:00.000+0000",
    )
    org.insert(company.DOCUMENT, Name="SOP-1 [A]", compliancequest__Document_Status__c="Obsolete")
    for done in ("2026-02-01", None):
        org.insert(
            company.TRAINING,
            compliancequest__SQX_Personnel__c=temp,
            compliancequest__SQX_Controlled_Document__c=document,
            compliancequest__Completion_Date__c=done,
        )
    user = org.entities[company.PERSONNEL].rows[boss]["compliancequest__SQX_User__c"]
    common = {"Kind__c": "Access", "Person__c": temp, "System__c": "okta", "From__c": "2026-03-01"}
    org.insert(
        company.APPROVAL,
        **common,
        Name="A-1",
        Approver__c=user,
        Decided__c="2026-02-27T10:15:00.000+0000",
        Until__c="2026-03-31",
    )
    org.insert(company.APPROVAL, **common, Name="A-2", Approver__c="00G000000000001AAA")
    supplier = org.insert(
        company.SUPPLIER,
        Name="Temps Ltd",
        Type="Agency's",
        Domains__c="Acme;temps.test",
        Status__c="Qualified",
        Qualified__c="2026-06-30T22:30:00.000+0000",
        OwnerId="00G000000000001AAA",
    )
    org.insert(company.SUPPLIER, Name="A customer", Type="Customer")
    org.insert(company.CONTRACT, Name="C-1", Account__c=supplier, Head__c=12.0, Scope__c="g1|g2", End__c="2026-12-31")
    org.insert(company.CONTRACT, Name="C-2")
    org.insert(company.EXCEPTION, Name="E-1", Rule__c="mfa", Expires__c="2026-03-29", Reason__c="Line one\nline two")
    org.insert(company.REVIEW, Name="R-1", System__c="okta", Account__c="u1", Entitlement__c="g1", Decision__c="Keep")
    org.insert(company.ROLE, Role__c="QA head", Person__c=boss, Since__c="2024-05-01")
    org.insert(company.REGISTER, System__c="aws", Account__c="root", Kind__c="break_glass")
    return {"boss": boss, "temp": temp, "bare": bare, "document": document, "supplier": supplier, "user": str(user)}


async def test_every_table_comes_whole_and_every_kind_of_field_is_read(
    salesforce: Salesforce, collected: Callable[..., Any]
) -> None:
    ids = fill(salesforce.org)
    tables = ["people", "approvals", "suppliers", "contracts", "exceptions", "reviews", "trainings", "documents"]
    tables += ["role_holders", "special_accounts"]
    pulled = await collected(objects=OBJECTS, tables=None, time_zone=ZONE)
    assert {table: (pulled.status(table), pulled.gaps(table)) for table in tables} == dict.fromkeys(
        tables, (Status.COMPLETE, "")
    )
    boss, temp, bare = pulled.rows()
    assert boss == {
        "person_id": ids["boss"],
        "full_name": "Person 1",
        "emails": ["p1@acme.test"],
        "logins": ["p1@acme.test"],
        "employee_id": "00001",
        "kind": "employee",
        "status": "active",
        "starts_on": date(2020, 1, 1),
        "ends_on": date(2026, 12, 31),
        "time_zone": "Europe/Paris",
    }
    assert (temp["emails"], temp["kind"], temp["status"], temp["manager_id"]) == (
        ["p2@acme.test", "two@home.test", "second@home.test"],
        "contractor",
        "inactive",
        ids["boss"],
    )
    assert bare == {"person_id": ids["bare"], "full_name": "Nobody"}
    assert pulled.rows("approvals") == [
        {
            "approval_id": "A-1",
            "kind": "access_request",
            "person_id": ids["temp"],
            "approved_by": ids["user"],
            "system": "okta",
            "decided_at": datetime(2026, 2, 27, 10, 15, tzinfo=UTC),
            "valid_from": datetime(2026, 2, 28, 23, tzinfo=UTC),
            "valid_until": datetime(2026, 3, 31, 21, 59, 59, tzinfo=UTC),
        },
        {
            "approval_id": "A-2",
            "kind": "access_request",
            "person_id": ids["temp"],
            "system": "okta",
            "valid_from": datetime(2026, 2, 28, 23, tzinfo=UTC),
        },
    ]
    assert pulled.rows("suppliers") == [
        {
            "supplier_id": ids["supplier"],
            "name": "Temps Ltd",
            "domains": ["acme.test", "temps.test"],
            "status": "qualified",
            "qualified_until": date(2026, 7, 1),
            "owner_role": "Quality queue",
        }
    ]
    assert pulled.rows("contracts") == [
        {
            "contract_id": "C-1",
            "supplier_id": ids["supplier"],
            "headcount": 12,
            "scope": ["g1", "g2"],
            "ends_on": date(2026, 12, 31),
        }
    ]
    assert pulled.rows("exceptions")[0]["expires_at"] == datetime(2026, 3, 29, 21, 59, 59, tzinfo=UTC)
    assert pulled.rows("trainings") == [
        {"person_id": ids["temp"], "course": "SOP-1 [B]", "completed_on": date(2026, 2, 1)}
    ]
    assert [row["version"] for row in pulled.rows("documents")] == ["B"]
    assert pulled.rows("reviews")[0]["decision"] == "keep"
    assert pulled.rows("special_accounts")[0]["kind"] == "break_glass"
    assert pulled.rows("role_holders")[0]["since"] == date(2024, 5, 1)


async def test_the_conformance_kit_finds_nothing(
    salesforce: Salesforce, source: Callable[..., ComplianceQuestSource]
) -> None:
    fill(salesforce.org)
    assert (
        await check_source(source(objects=OBJECTS, tables=None, time_zone=ZONE), unfilled={"people": {"department"}})
        == []
    )


async def test_a_value_that_is_not_mapped_is_a_gap_that_says_where_to_map_it(
    salesforce: Salesforce, collected: Callable[..., Any]
) -> None:
    record = person(salesforce.org, 1, Kind__c="Visitor")
    pulled = await collected(objects={"people": OBJECTS["people"]})
    assert pulled.status() is Status.PARTIAL
    assert record in pulled.gaps()
    assert "'Visitor' is not one of employee" in pulled.gaps()
    assert "objects.people.values.kind" in pulled.gaps()


async def test_no_records_are_complete_on_the_word_of_the_service(collected: Callable[..., Any]) -> None:
    pulled = await collected()
    assert (pulled.status(), pulled.count(), pulled.gaps()) == (Status.COMPLETE, 0, "")


async def test_canaries_are_ids_or_keys(salesforce: Salesforce, collected: Callable[..., Any]) -> None:
    fill(salesforce.org)
    tables = {"tables": ["approvals", "people"], "objects": {k: OBJECTS[k] for k in ("people", "approvals")}}
    record = next(iter(salesforce.org.entities[company.PERSONNEL].rows))
    assert (await collected(canaries=["A-1", record], time_zone=ZONE, **tables)).gaps("approvals") == ""
    assert "canary" in (await collected(canaries=["A-9"], time_zone=ZONE, **tables)).gaps("approvals")
