"""A ComplianceQuest org with people of every kind, and the configuration that maps all of it."""

from __future__ import annotations

from typing import Any

from tests.simulators.salesforce.org import Org, User

PERSONNEL = "compliancequest__SQX_Personnel__c"
TRAINING = "compliancequest__SQX_Personnel_Document_Training__c"
DOCUMENT = "compliancequest__SQX_Controlled_Document__c"
APPROVAL, SUPPLIER, CONTRACT, EXCEPTION = "Acme_Approval__c", "Account", "Acme_Contract__c", "Acme_Exception__c"
REVIEW, ROLE, REGISTER = "Acme_Review__c", "Acme_Role_Holder__c", "Acme_Special_Account__c"


def org() -> Org:
    """Make the objects, without records."""
    made = Org()
    made.entity(
        "User", "Username:string", "Email:email", "EmployeeNumber:string", "Department:string", "IsActive:boolean"
    )
    made.entity("Group")
    made.entity(
        PERSONNEL,
        "compliancequest__Full_Name__c:string",
        "compliancequest__Active__c:boolean",
        "compliancequest__SQX_User__c:reference>User",
        "Kind__c:picklist",
        "Start__c:date",
        "End__c:date",
        "Manager__c:reference>" + PERSONNEL,
        "Other_Mails__c:textarea",
        "Zone__c:string",
    )
    made.entity(
        DOCUMENT,
        "compliancequest__Title__c:string",
        "compliancequest__Document_Category__c:picklist",
        "compliancequest__Revision__c:string",
        "compliancequest__Next_Review_Date__c:date",
        "compliancequest__Document_Status__c:picklist",
        "Approved__c:datetime",
    )
    made.entity(
        TRAINING,
        "compliancequest__SQX_Personnel__c:reference>" + PERSONNEL,
        "compliancequest__SQX_Controlled_Document__c:reference>" + DOCUMENT,
        "compliancequest__Completion_Date__c:date",
    )
    made.entity(
        APPROVAL,
        "Kind__c:picklist",
        "Person__c:reference>" + PERSONNEL,
        "Approver__c:reference>User|Group",
        "Decided__c:datetime",
        "From__c:date",
        "Until__c:date",
        "System__c:string",
    )
    made.entity(SUPPLIER, "Type:picklist", "Domains__c:multipicklist", "Status__c:picklist", "Qualified__c:datetime")
    made.entity(CONTRACT, "Account__c:reference>Account", "Head__c:double", "Scope__c:string", "End__c:date")
    made.entity(EXCEPTION, "Rule__c:string", "Expires__c:date", "Reason__c:textarea")
    made.entity(REVIEW, "System__c:string", "Account__c:string", "Entitlement__c:string", "Decision__c:picklist")
    made.entity(ROLE, "Role__c:string", "Person__c:reference>" + PERSONNEL, "Since__c:date")
    made.entity(REGISTER, "System__c:string", "Account__c:string", "Kind__c:picklist")
    return made


def reader(made: Org, **more: Any) -> User:
    """Add the running user as deploy/policies/compliancequest-read.json makes him."""
    everything = set(made.entities)
    system = {"ViewSetup", "ViewAllUsers", "ApiEnabled"}
    return made.user(
        "reconciler@acme.test", **({"reads": set(everything), "view_all": everything, "system": system} | more)
    )


def person(made: Org, number: int, **more: Any) -> str:
    """Add a person with a user of his own."""
    account = made.insert(
        "User", Username=f"p{number}@acme.test", Email=f"p{number}@acme.test", EmployeeNumber=f"{number:05d}"
    )
    given = {
        "compliancequest__Full_Name__c": f"Person {number}",
        "compliancequest__Active__c": True,
        "compliancequest__SQX_User__c": account,
    }
    return made.insert(PERSONNEL, **(given | more))


def people(made: Org, count: int) -> list[str]:
    """Add many people, an hour after one another, so that only the last is a recent change."""
    found = []
    for number in range(count):
        made.advance(hours=1)
        found.append(person(made, number))
    return found


OBJECTS: dict[str, Any] = {
    "people": {
        "columns": {
            "emails": ["compliancequest__SQX_User__r.Email", "Other_Mails__c"],
            "kind": "Kind__c",
            "starts_on": "Start__c",
            "ends_on": "End__c",
            "manager_id": "Manager__c",
            "time_zone": "Zone__c",
        },
        "values": {"kind": {"Full Time": "employee", "agency": "contractor", "Guest": ""}},
    },
    "approvals": {
        "object": APPROVAL,
        "columns": {
            "approval_id": "Name",
            "kind": "Kind__c",
            "person_id": "Person__c",
            "approved_by": "Approver__c",
            "decided_at": "Decided__c",
            "valid_from": "From__c",
            "valid_until": "Until__c",
            "system": "System__c",
        },
        "values": {"kind": {"Access": "access_request"}},
    },
    "suppliers": {
        "object": SUPPLIER,
        "columns": {
            "supplier_id": "Id",
            "name": "Name",
            "domains": "Domains__c",
            "status": "Status__c",
            "qualified_until": "Qualified__c",
            "owner_role": "Owner.Name",
        },
        "where": {"Type": ["Supplier", "Agency's"]},
        "values": {"domains": {"Acme": "acme.test"}},
    },
    "contracts": {
        "object": CONTRACT,
        "columns": {
            "contract_id": "Name",
            "supplier_id": "Account__c",
            "headcount": "Head__c",
            "scope": "Scope__c",
            "ends_on": "End__c",
        },
        "where": {"Account__c": {"set": True}},
    },
    "exceptions": {
        "object": EXCEPTION,
        "columns": {"exception_id": "Name", "rule_id": "Rule__c", "expires_at": "Expires__c", "reason": "Reason__c"},
    },
    "reviews": {
        "object": REVIEW,
        "columns": {
            "review_id": "Name",
            "source": "System__c",
            "account_id": "Account__c",
            "entitlement_id": "Entitlement__c",
            "decision": "Decision__c",
        },
    },
    "documents": {"columns": {"approved_at": "Approved__c"}},
    "role_holders": {
        "object": ROLE,
        "columns": {"role": "Role__c", "person_id": "Person__c", "since": "Since__c"},
    },
    "special_accounts": {
        "object": REGISTER,
        "columns": {"source": "System__c", "account_id": "Account__c", "kind": "Kind__c"},
    },
}
