"""The rows every connector fills and every rule reads: one typed record per estate table.

This is the one place where tables and columns are written down; ``reconciler.estate`` derives the Arrow
schema, the empty DDL and the reference page from it. Null (None) means "the source did not say": never a
default and never "no". Ids are the source's own immutable ids, never an e-mail address or a name.
Instants are aware datetimes; business dates stay dates and carry a time zone beside them.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

import msgspec

AccountKind = Literal["human", "guest", "service", "shared", "agent", "unknown"]
AccountStatus = Literal["enabled", "disabled", "suspended", "locked", "staged", "deleted"]
EntitlementKind = Literal["group", "role", "app", "policy", "permission_set", "admin_role", "scope"]
Membership = Literal["assigned", "dynamic", "primary"]
PrincipalKind = Literal["account", "entitlement"]
Assignment = Literal["direct", "dynamic", "eligible", "just_in_time", "inherited"]
CredentialKind = Literal[
    "password",
    "login_profile",
    "access_key",
    "api_token",
    "client_secret",
    "certificate",
    "ssh_key",
    "service_credential",
    "mfa_factor",
    "session",
    "refresh_token",
]
CredentialStatus = Literal["active", "inactive", "expired", "revoked"]
Action = Literal[
    "account_created",
    "account_enabled",
    "account_disabled",
    "account_deleted",
    "account_changed",
    "entitlement_granted",
    "entitlement_revoked",
    "role_changed",
    "credential_created",
    "credential_rotated",
    "credential_revoked",
    "session_revoked",
    "privilege_elevated",
    "privilege_ended",
    "sign_in",
]
PersonKind = Literal["employee", "contractor", "supplier", "external"]
ApprovalKind = Literal[
    "access_request", "role_change", "emergency_access", "recertification", "onboarding", "termination"
]
SupplierStatus = Literal["qualified", "conditional", "suspended", "disqualified"]
ReviewDecision = Literal["keep", "revoke", "change", "undecided"]
TestOutcome = Literal["passed", "failed", "inconclusive"]
SpecialKind = Literal["break_glass", "service", "shared", "agent"]


def doc(text: str) -> msgspec.Meta:
    """Describe a column."""
    return msgspec.Meta(description=text)


def key(text: str) -> msgspec.Meta:
    """Describe a column that is part of the table's key: never null, unique together with the others."""
    return msgspec.Meta(description=text, extra={"key": True})


SourceName = Annotated[str, key("Name of the source in the configuration.")]


class Record(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A row of an estate table; every column but the key may be null."""


class Account(Record, frozen=True, kw_only=True, gc=False):
    """Accounts, as an identity source reports them."""

    source: SourceName
    account_id: Annotated[str, key("The source's own immutable id.")]
    login: Annotated[str | None, doc("Sign-in name; may be renamed and reused.")] = None
    display_name: Annotated[str | None, doc("Name shown to people.")] = None
    email: Annotated[str | None, doc("Mail address; proposes a person, never identifies one alone.")] = None
    employee_id: Annotated[str | None, doc("Personnel number that the source carries.")] = None
    kind: Annotated[AccountKind | None, doc("What uses it, as far as the source says.")] = None
    raw_status: Annotated[str | None, doc("Status in the source's own words.")] = None
    status: Annotated[AccountStatus | None, doc("Status mapped by the connector's table.")] = None
    can_sign_in: Annotated[bool | None, doc("Whether the account can be used now; follows from the status.")] = None
    created_at: Annotated[datetime | None, doc("When it was created.")] = None
    last_sign_in_at: Annotated[datetime | None, doc("Last use known to the source.")] = None
    last_sign_in_basis: Annotated[str | None, doc("What that figure is and how far it may lag.")] = None
    password_changed_at: Annotated[datetime | None, doc("When the password was last set.")] = None
    expires_at: Annotated[datetime | None, doc("When the source will stop it by itself.")] = None
    deleted_at: Annotated[datetime | None, doc("When it was soft-deleted.")] = None
    manager_ref: Annotated[str | None, doc("Manager, as the source names him.")] = None
    owner_ref: Annotated[str | None, doc("Owner of a non-human account, as the source names him.")] = None
    department: Annotated[str | None, doc("Department.")] = None
    company: Annotated[str | None, doc("Company.")] = None
    title: Annotated[str | None, doc("Job title.")] = None
    mfa_enrolled: Annotated[bool | None, doc("Whether a second factor is enrolled.")] = None
    attributes: Annotated[str | None, doc("JSON object of the attributes allow-listed in the configuration.")] = None


class Entitlement(Record, frozen=True, kw_only=True, gc=False):
    """Entitlements: what can be granted."""

    source: SourceName
    entitlement_id: Annotated[str, key("The source's own immutable id.")]
    kind: Annotated[EntitlementKind | None, doc("What it is.")] = None
    name: Annotated[str | None, doc("Name shown to people.")] = None
    description: Annotated[str | None, doc("Description in the source.")] = None
    privileged: Annotated[
        bool | None, doc("Whether it gives administrative power, by the source or configuration.")
    ] = None
    environment: Annotated[str | None, doc("Environment it belongs to, such as production.")] = None
    owner_ref: Annotated[str | None, doc("Owner, as the source names him.")] = None
    membership: Annotated[Membership | None, doc("How members come about.")] = None


class Grant(Record, frozen=True, kw_only=True, gc=False):
    """Grants: who or what holds an entitlement directly. Nested groups are grants to an entitlement."""

    source: SourceName
    principal_kind: Annotated[PrincipalKind, key("Whether an account or another entitlement holds it.")]
    principal_id: Annotated[str, key("account_id or entitlement_id of the holder.")]
    entitlement_id: Annotated[str, key("The entitlement held.")]
    assignment: Annotated[Assignment, key("How it is held.")]
    granted_at: Annotated[datetime | None, doc("When it was granted.")] = None
    expires_at: Annotated[
        datetime | None, doc("When it ends by itself; null where the column is reported: it has no end.")
    ] = None
    condition: Annotated[str | None, doc("Condition under which it applies, in the source's own terms.")] = None


class Credential(Record, frozen=True, kw_only=True, gc=False):
    """Credentials: what proves an account; each may outlive the account's own status."""

    source: SourceName
    credential_id: Annotated[str, key("The source's own immutable id.")]
    account_id: Annotated[str | None, doc("The account it belongs to.")] = None
    kind: Annotated[CredentialKind | None, doc("What it is.")] = None
    status: Annotated[CredentialStatus | None, doc("Whether it works.")] = None
    created_at: Annotated[datetime | None, doc("When it was created.")] = None
    created_by: Annotated[str | None, doc("Who created it.")] = None
    expires_at: Annotated[datetime | None, doc("When it ends by itself.")] = None
    rotated_at: Annotated[datetime | None, doc("When its secret was last replaced.")] = None
    last_used_at: Annotated[datetime | None, doc("Last use known to the source.")] = None
    last_used_basis: Annotated[str | None, doc("What that figure is and how far it may lag.")] = None


class Event(Record, frozen=True, kw_only=True, gc=False):
    """Identity events, in the standard form."""

    source: SourceName
    event_id: Annotated[str, key("The source's own id of the event.")]
    occurred_at: Annotated[datetime | None, doc("When it happened, by the source's clock.")] = None
    actor_id: Annotated[str | None, doc("Who did it.")] = None
    actor_kind: Annotated[str | None, doc("What the actor is.")] = None
    action: Annotated[Action | None, doc("What was done.")] = None
    raw_action: Annotated[str | None, doc("The source's own name of the event.")] = None
    target_id: Annotated[str | None, doc("What it was done to.")] = None
    target_kind: Annotated[str | None, doc("What the target is.")] = None
    entitlement_id: Annotated[str | None, doc("The entitlement concerned.")] = None
    approval_ref: Annotated[str | None, doc("Approval that the event itself names.")] = None
    environment: Annotated[str | None, doc("Environment.")] = None
    business_unit: Annotated[str | None, doc("Business unit.")] = None
    outcome: Annotated[str | None, doc("Outcome, in the source's own terms.")] = None
    exception_status: Annotated[str | None, doc("Exception under which it was done.")] = None
    raw_digest: Annotated[str | None, doc("SHA-256 of the event as the source sent it.")] = None


class Person(Record, frozen=True, kw_only=True, gc=False):
    """People whom the organisation answers for."""

    person_id: Annotated[str, key("Personnel or supplier-person number.")]
    full_name: Annotated[str | None, doc("Name.")] = None
    emails: Annotated[list[str] | None, doc("Mail addresses.")] = None
    logins: Annotated[list[str] | None, doc("Sign-in names.")] = None
    employee_id: Annotated[str | None, doc("Number that accounts carry; matched exactly.")] = None
    kind: Annotated[PersonKind | None, doc("How the person is engaged.")] = None
    status: Annotated[str | None, doc("Status in the system of record.")] = None
    starts_on: Annotated[date | None, doc("First day.")] = None
    ends_on: Annotated[date | None, doc("Last day, inclusive, in time_zone.")] = None
    time_zone: Annotated[str | None, doc("IANA zone of the dates; null: the estate's.")] = None
    manager_id: Annotated[str | None, doc("person_id of the manager.")] = None
    department: Annotated[str | None, doc("Department.")] = None
    business_unit: Annotated[str | None, doc("Business unit.")] = None
    supplier_id: Annotated[str | None, doc("Supplier that sends the person.")] = None
    contract_id: Annotated[str | None, doc("Contract under which the person works.")] = None


class Approval(Record, frozen=True, kw_only=True, gc=False):
    """Approvals: what was decided, which is no proof that it was done."""

    approval_id: Annotated[str, key("Number of the record.")]
    kind: Annotated[ApprovalKind | None, doc("What was decided on.")] = None
    person_id: Annotated[str | None, doc("Whom it concerns.")] = None
    system: Annotated[str | None, doc("Source it concerns; null: any.")] = None
    entitlement: Annotated[str | None, doc("Entitlement id, name or pattern (* and ?); null: the account itself.")] = (
        None
    )
    requested_by: Annotated[str | None, doc("person_id of the requester.")] = None
    approved_by: Annotated[str | None, doc("person_id of the approver.")] = None
    executed_by: Annotated[str | None, doc("person_id of who carried it out.")] = None
    justification: Annotated[str | None, doc("Reason given.")] = None
    decision: Annotated[str | None, doc("Decision, such as approved or rejected.")] = None
    decided_at: Annotated[datetime | None, doc("When it was decided.")] = None
    valid_from: Annotated[datetime | None, doc("From when it covers.")] = None
    valid_until: Annotated[datetime | None, doc("Until when it covers; null: without end.")] = None
    environment: Annotated[str | None, doc("Environment it is limited to.")] = None
    change_ref: Annotated[str | None, doc("Change record.")] = None


class Supplier(Record, frozen=True, kw_only=True, gc=False):
    """Suppliers and their qualification."""

    supplier_id: Annotated[str, key("Number of the supplier.")]
    name: Annotated[str | None, doc("Name.")] = None
    domains: Annotated[list[str] | None, doc("Mail domains.")] = None
    status: Annotated[SupplierStatus | None, doc("Qualification.")] = None
    qualified_until: Annotated[date | None, doc("Last day of the qualification, inclusive.")] = None
    owner_role: Annotated[str | None, doc("Governance role that answers for the supplier.")] = None


class Contract(Record, frozen=True, kw_only=True, gc=False):
    """Supplier contracts."""

    contract_id: Annotated[str, key("Number of the contract.")]
    supplier_id: Annotated[str | None, doc("The supplier.")] = None
    status: Annotated[str | None, doc("Status in the system of record.")] = None
    starts_on: Annotated[date | None, doc("First day.")] = None
    ends_on: Annotated[date | None, doc("Last day, inclusive, in time_zone.")] = None
    time_zone: Annotated[str | None, doc("IANA zone of the dates; null: the estate's.")] = None
    scope: Annotated[list[str] | None, doc("Entitlements that the contract covers.")] = None
    headcount: Annotated[int | None, doc("People that the contract allows.")] = None
    business_owner: Annotated[str | None, doc("person_id of who answers for it inside.")] = None


class ExceptionRecord(Record, frozen=True, kw_only=True, gc=False):
    """Exceptions: deviations that somebody accepted, for a time."""

    exception_id: Annotated[str, key("Number of the exception.")]
    rule_id: Annotated[str | None, doc("Rule it excepts from.")] = None
    control_id: Annotated[str | None, doc("Control it excepts from.")] = None
    source: Annotated[str | None, doc("Source it is limited to.")] = None
    account_id: Annotated[str | None, doc("Account it is limited to.")] = None
    person_id: Annotated[str | None, doc("Person it is limited to.")] = None
    entitlement_id: Annotated[str | None, doc("Entitlement it is limited to.")] = None
    reason: Annotated[str | None, doc("Why.")] = None
    compensating_control: Annotated[str | None, doc("What is done instead.")] = None
    approved_by: Annotated[str | None, doc("person_id of who accepted it.")] = None
    approved_at: Annotated[datetime | None, doc("When.")] = None
    expires_at: Annotated[datetime | None, doc("Until when.")] = None
    review_owner: Annotated[str | None, doc("person_id of who reviews it.")] = None
    status: Annotated[str | None, doc("Status in the system of record.")] = None


class Review(Record, frozen=True, kw_only=True, gc=False):
    """Recertification decisions."""

    review_id: Annotated[str, key("Number of the review.")]
    source: Annotated[str, key("Source of the account reviewed.")]
    account_id: Annotated[str, key("Account reviewed.")]
    entitlement_id: Annotated[str, key("Entitlement reviewed.")]
    campaign: Annotated[str | None, doc("Recertification campaign.")] = None
    reviewer_id: Annotated[str | None, doc("person_id of the reviewer.")] = None
    decision: Annotated[ReviewDecision | None, doc("Decision.")] = None
    decided_at: Annotated[datetime | None, doc("When.")] = None
    due_at: Annotated[datetime | None, doc("Until when it was due.")] = None


class Training(Record, frozen=True, kw_only=True, gc=False):
    """Trainings completed."""

    person_id: Annotated[str, key("Who.")]
    course: Annotated[str, key("Course.")]
    completed_on: Annotated[date | None, doc("When.")] = None
    valid_until: Annotated[date | None, doc("Last day it counts, inclusive.")] = None


class Document(Record, frozen=True, kw_only=True, gc=False):
    """Controlled documents."""

    document_id: Annotated[str, key("Number of the document.")]
    title: Annotated[str | None, doc("Title.")] = None
    kind: Annotated[str | None, doc("Policy, procedure, form.")] = None
    owner_role: Annotated[str | None, doc("Governance role that owns it.")] = None
    version: Annotated[str | None, doc("Version.")] = None
    approved_at: Annotated[datetime | None, doc("When this version was approved.")] = None
    next_review_on: Annotated[date | None, doc("When it is due for review.")] = None


class RoleHolder(Record, frozen=True, kw_only=True, gc=False):
    """Who holds a governance role, and since when."""

    role: Annotated[str, key("Governance role.")]
    person_id: Annotated[str, key("Who.")]
    since: Annotated[date, key("First day.")]
    until: Annotated[date | None, doc("Last day, inclusive; null: still.")] = None


class SpecialAccount(Record, frozen=True, kw_only=True, gc=False):
    """The register of accounts that are nobody's own: break-glass, service, shared, agent."""

    source: SourceName
    account_id: Annotated[str, key("The source's own immutable id, the login, or the DN or ARN.")]
    kind: Annotated[SpecialKind | None, doc("What it is.")] = None
    owner_role: Annotated[str | None, doc("Governance role that answers for it.")] = None
    steward: Annotated[str | None, doc("person_id of who looks after it.")] = None
    purpose: Annotated[str | None, doc("What it is for.")] = None
    reviewed_on: Annotated[date | None, doc("Last review.")] = None
    review_due_on: Annotated[date | None, doc("Next review.")] = None


class ControlTest(Record, frozen=True, kw_only=True, gc=False):
    """Tests of controls: what was tried, and how it came out."""

    control_id: Annotated[str, key("Control that was tested.")]
    test_id: Annotated[str, key("Number of the test.")]
    performed_at: Annotated[datetime | None, doc("When.")] = None
    performed_by: Annotated[str | None, doc("person_id of who tested it.")] = None
    outcome: Annotated[TestOutcome | None, doc("How it came out.")] = None
    evidence: Annotated[str | None, doc("Where the evidence lies.")] = None


IDENTITY: dict[str, type[Record]] = {
    "accounts": Account,
    "entitlements": Entitlement,
    "grants": Grant,
    "credentials": Credential,
    "events": Event,
}
"""Tables of identity sources, in the order they are pulled: fan-out looks back, never ahead."""

GOVERNANCE: dict[str, type[Record]] = {
    "people": Person,
    "approvals": Approval,
    "suppliers": Supplier,
    "contracts": Contract,
    "exceptions": ExceptionRecord,
    "reviews": Review,
    "trainings": Training,
    "documents": Document,
    "role_holders": RoleHolder,
    "special_accounts": SpecialAccount,
    "control_tests": ControlTest,
}
"""Tables of governance sources (QMS, HR, contracts)."""

RECORDS: dict[str, type[Record]] = IDENTITY | GOVERNANCE

WITHOUT_END: dict[str, frozenset[str]] = {"grants": frozenset({"expires_at"})}
"""Columns that a source reports, and leaves empty, to say that nothing of its ends by itself."""
