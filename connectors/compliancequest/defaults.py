"""The mapping that holds in every ComplianceQuest org: only names that stand in public code, or are Salesforce's own.

Everything else differs by customer and has to be mapped; see README.md on what each name rests on.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .soql import Condition


@dataclass(frozen=True, slots=True)
class Mapping:
    """Where an estate table comes from: object, the field paths of each column, conditions, and value maps."""

    table: str
    entity: str
    columns: dict[str, tuple[str, ...]]
    where: tuple[Condition, ...] = ()
    values: dict[str, dict[str, str]] = field(default_factory=dict)


_CQ = "compliancequest__"
_PERSON = f"{_CQ}SQX_User__r"

DEFAULTS: dict[str, Mapping] = {
    "people": Mapping(
        "people",
        f"{_CQ}SQX_Personnel__c",
        {
            "person_id": ("Id",),
            "full_name": (f"{_CQ}Full_Name__c",),
            "emails": (f"{_PERSON}.Email",),
            "logins": (f"{_PERSON}.Username",),
            "employee_id": (f"{_PERSON}.EmployeeNumber",),
            "status": (f"{_CQ}Active__c",),
            "department": (f"{_PERSON}.Department",),
        },
        values={"status": {"true": "active", "false": "inactive"}},
    ),
    "trainings": Mapping(
        "trainings",
        f"{_CQ}SQX_Personnel_Document_Training__c",
        {
            "person_id": (f"{_CQ}SQX_Personnel__c",),
            "course": (f"{_CQ}SQX_Controlled_Document__r.Name",),
            "completed_on": (f"{_CQ}Completion_Date__c",),
        },
        where=(Condition(f"{_CQ}Completion_Date__c", negated=True),),
    ),
    "documents": Mapping(
        "documents",
        f"{_CQ}SQX_Controlled_Document__c",
        {
            "document_id": ("Id",),
            "title": (f"{_CQ}Title__c",),
            "kind": (f"{_CQ}Document_Category__c",),
            "version": (f"{_CQ}Revision__c",),
            "next_review_on": (f"{_CQ}Next_Review_Date__c",),
        },
        where=(Condition(f"{_CQ}Document_Status__c", ("Current",)),),
    ),
}
"""By estate table; tables that are not here have no public name and must be mapped."""
