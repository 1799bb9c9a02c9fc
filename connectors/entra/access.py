"""Groups, directory roles, app roles and scopes, and who holds them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from reconciler.sdk.connector import Gap
from reconciler.sdk.records import Assignment, Entitlement, EntitlementKind, Grant, PrincipalKind

from .shapes import (
    AppRoleAssignment,
    Consent,
    Group,
    GroupEligibility,
    Ref,
    RoleAssignment,
    RoleDefinition,
    ServicePrincipal,
    utc,
)

NO_ROLE = "00000000-0000-0000-0000-000000000000"
"""The app role of those who were assigned to an application without any role."""
TENANT = "/"
PRIVILEGED_ROLES = frozenset(
    {
        "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3",  # Application Administrator
        "cf1c38e5-3621-4004-a7cb-879624dced7c",  # Application Developer
        "c4e39bd9-1100-46d3-8c65-fb160da0071f",  # Authentication Administrator
        "25a516ed-2fa0-40ea-a2d0-12923a21473a",  # Authentication Extensibility Administrator
        "aaf43236-0c0d-4d5f-883a-6955382ac081",  # B2C IEF Keyset Administrator
        "158c047a-c907-4556-b7ef-446551a6b5f7",  # Cloud Application Administrator
        "7698a772-787b-4ac8-901f-60d6b08affd2",  # Cloud Device Administrator
        "b1be1c3e-b65d-4f19-8427-f6fa0d97feb9",  # Conditional Access Administrator
        "9360feb5-f418-4baa-8175-e2a00bac4301",  # Directory Writers
        "8329153b-31d0-4727-b945-745eb3bc5f31",  # Domain Name Administrator
        "d29b2b05-8046-44ba-8758-1e26182fcf32",  # Directory Synchronization Accounts
        "be2f45a1-457d-42af-a067-6ec1fa63bc45",  # External Identity Provider Administrator
        "62e90394-69f5-4237-9190-012177145e10",  # Global Administrator
        "f2ef992c-3afb-46b9-b7cf-a126ee74c451",  # Global Reader
        "729827e3-9c14-49f7-bb1b-9608f156bbb8",  # Helpdesk Administrator
        "8ac3fc64-6eca-42ea-9e69-59f4c7b60eb2",  # Hybrid Identity Administrator
        "3a2c62db-5318-420d-8d74-23affee5d9d5",  # Intune Administrator
        "4ba39ca4-527c-499a-b93d-d9b492c50246",  # Partner Tier1 Support
        "e00e864a-17c5-4a4b-9c06-f5b95a8d5bd8",  # Partner Tier2 Support
        "966707d0-3269-4727-9be2-8c3a10f19b9d",  # Password Administrator
        "7be44c8a-adaf-4e2a-84d6-ab2649e08a13",  # Privileged Authentication Administrator
        "e8611ab8-c189-46e8-94e1-60213ab1f814",  # Privileged Role Administrator
        "194ae4cb-b126-40b2-bd5b-6091b380977d",  # Security Administrator
        "5f2222b1-57c3-48ba-8ad5-d4759f1fde6f",  # Security Operator
        "5d6b6bb7-de71-4623-b4af-96380a352509",  # Security Reader
        "fe930be7-5e62-47db-91af-98c3a49a38b1",  # User Administrator
    }
)
"""Template ids of the built-in roles that Microsoft marks PRIVILEGED in its list; v1.0 does not send the mark."""
PRIVILEGED_APP_ROLES = frozenset(
    {
        "AppRoleAssignment.ReadWrite.All",
        "Application.ReadWrite.All",
        "Directory.ReadWrite.All",
        "Group.ReadWrite.All",
        "GroupMember.ReadWrite.All",
        "PrivilegedAccess.ReadWrite.AzureADGroup",
        "PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup",
        "PrivilegedEligibilitySchedule.ReadWrite.AzureADGroup",
        "RoleAssignmentSchedule.ReadWrite.Directory",
        "RoleEligibilitySchedule.ReadWrite.Directory",
        "RoleManagement.ReadWrite.Directory",
        "User.ReadWrite.All",
        "UserAuthenticationMethod.ReadWrite.All",
    }
)
"""Names of application permissions that lead to administration of the tenant."""
_ACCOUNTS = frozenset({"#microsoft.graph.user", "#microsoft.graph.agentUser"})
SERVICES = frozenset(
    {
        "#microsoft.graph.servicePrincipal",
        "#microsoft.graph.agentIdentity",
        "#microsoft.graph.agentIdentityBlueprintPrincipal",
    }
)
_GROUP = "#microsoft.graph.group"
_THINGS = frozenset({"#microsoft.graph.device", "#microsoft.graph.orgContact", "#microsoft.graph.administrativeUnit"})


def group_row(source: str, group: Group, owner: str | None = None) -> Entitlement:
    """Map a group; ``owner`` is one of its owners. One that may hold directory roles is privileged."""
    dynamic = "DynamicMembership" in (group.group_types or ())
    return Entitlement(
        source=source,
        entitlement_id=group.id,
        kind="group",
        name=group.display_name,
        description=group.description,
        privileged=True if group.is_assignable_to_role else (False if group.is_assignable_to_role is False else None),
        owner_ref=owner,
        membership=None if group.group_types is None else ("dynamic" if dynamic else "assigned"),
    )


def role_row(source: str, role: RoleDefinition, scope: str = TENANT) -> Entitlement:
    """Map a directory role, as it stands in ``scope``."""
    known: bool | None = role.is_privileged
    if known is None and role.is_built_in:
        known = (role.template_id or role.id) in PRIVILEGED_ROLES
    name = role.display_name
    return Entitlement(
        source=source,
        entitlement_id=role_id(role.id, scope),
        kind="admin_role",
        name=name if scope == TENANT or name is None else f"{name} ({scope})",
        description=role.description,
        privileged=known,
        membership="assigned",
    )


def role_id(definition: str, scope: str | None) -> str:
    """Return the id of a directory role in a scope: its own over the whole tenant, else with the scope behind it."""
    return definition if scope in {None, "", TENANT} else f"{definition}{scope}"


def app_rows(source: str, item: ServicePrincipal) -> Iterator[Entitlement]:
    """Map an application, its roles and its scopes to what can be granted of it."""
    name = item.display_name or item.app_id or item.id
    yield Entitlement(
        source=source, entitlement_id=item.id, kind="app", name=name, description="Assigned without a role"
    )
    for role in item.app_roles or ():
        yield Entitlement(
            source=source,
            entitlement_id=app_role_id(item.id, role.id),
            kind="role",
            name=f"{name}: {role.value or role.display_name or role.id}",
            description=role.description,
            privileged=role.value in PRIVILEGED_APP_ROLES if role.value else None,
            membership="assigned",
        )
    for scope in item.oauth2_permission_scopes or ():
        if scope.value:
            yield _scope(source, f"{item.id}/{scope.value}", f"{name}: {scope.value}", scope.admin_consent_description)


def app_role_id(resource: str, role: str | None) -> str:
    """Return the id of an app role: unique only within its application, and the application itself where it is none."""
    return resource if role in {None, "", NO_ROLE} else f"{resource}/{role}"


def consent_rows(source: str, consent: Consent) -> Iterator[tuple[Entitlement | None, Grant]]:
    """Map delegated permissions, one grant a scope.

    What everybody consented to is held by the client. What one user consented to is held by that user, through the
    client: an entitlement of its own, given beside the grant.
    """
    client, resource = consent.client_id, consent.resource_id
    if not client or not resource:
        return
    for value in dict.fromkeys((consent.scope or "").split()):
        if consent.consent_type == "Principal" and consent.principal_id:
            through = f"{client}/{resource}/{value}"
            yield (
                _scope(
                    source, through, f"{value} through {client}", f"Client {client} acts for the user on {resource}"
                ),
                _grant(source, "account", consent.principal_id, through, "direct", condition=f"consent {consent.id}"),
            )
        else:
            said = f"consentType={consent.consent_type}; consent {consent.id}"
            yield None, _grant(source, "account", client, f"{resource}/{value}", "direct", condition=said)


def consent_gaps(table: str, consents: Iterable[Consent]) -> list[Gap]:
    """Return the gaps of consents that do not say who may do what for whom."""
    return [
        Gap(table, one.id, f"a consent of which client, resource or type ({one.consent_type}) is not known")
        for one in consents
        if not one.client_id
        or not one.resource_id
        or one.scope is None
        or one.consent_type not in {"AllPrincipals", "Principal"}
        or (one.consent_type == "Principal" and not one.principal_id)
    ]


def member_row(source: str, group: str, member: Ref, *, dynamic: bool) -> Grant | None:
    """Map a direct member; None for a device or contact, which is no account, and for a service principal.

    v1.0 leaves service principals out of members, or not: they are read from their own side.
    """
    kind = principal_kind(member.type)
    if kind is None or member.type in SERVICES:
        return None
    return _grant(source, kind, member.id, group, "dynamic" if dynamic else "direct")


def member_gap(group: str, member: Ref) -> Gap | None:
    """Return the gap of a member of a type that is not known."""
    if principal_kind(member.type) is not None or member.type in _THINGS:
        return None
    return Gap("grants", group, f"its member {member.id} is of unknown type {member.type}")


def role_grant(
    source: str, item: RoleAssignment, schedule: RoleAssignment | None = None
) -> tuple[Grant | None, Gap | None]:
    """Map a directory role that is held; ``schedule`` is what Privileged Identity Management says of it."""
    end = utc(schedule.end_date_time) if schedule is not None else None
    start = utc(schedule.start_date_time) if schedule is not None else None
    return _role(source, item, "direct", item.condition, start, end)


def instance_grant(source: str, item: RoleAssignment, assignment: Assignment) -> tuple[Grant | None, Gap | None]:
    """Map a schedule's instance: a role activated for a time, or one that may be."""
    return _role(source, item, assignment, item.condition, utc(item.start_date_time), utc(item.end_date_time))


def eligibility_grant(source: str, item: GroupEligibility) -> tuple[Grant | None, Gap | None]:
    """Map a membership that may be activated; ownership gives no membership and no grant."""
    if item.access_id != "member":
        return None, None
    if not item.principal_id or not item.group_id:
        return None, Gap("grants", item.id, "an eligibility without principal or group")
    kind = principal_kind(item.principal.type if item.principal is not None else None) or "account"
    start, end = utc(item.start_date_time), utc(item.end_date_time)
    return _grant(source, kind, item.principal_id, item.group_id, "eligible", start, end), None


def app_grant(source: str, item: AppRoleAssignment) -> tuple[Grant | None, Gap | None]:
    """Map an app role that is held."""
    kinds: dict[str, PrincipalKind] = {"User": "account", "ServicePrincipal": "account", "Group": "entitlement"}
    kind = kinds.get(item.principal_type or "")
    if kind is None or not item.principal_id or not item.resource_id:
        return None, Gap("grants", item.id, f"an app role assignment to an unknown principal ({item.principal_type})")
    role = app_role_id(item.resource_id, item.app_role_id)
    return _grant(source, kind, item.principal_id, role, "direct", utc(item.created_date_time)), None


def principal_kind(odata_type: str | None) -> PrincipalKind | None:
    """Return what a directory object is to a grant; None for a device, a contact, or what is not known."""
    if odata_type in _ACCOUNTS or odata_type in SERVICES:
        return "account"
    return "entitlement" if odata_type == _GROUP else None


def once(rows: Iterable[Grant]) -> list[Grant]:
    """Return each key once: Graph lists overlapping schedules of one role as several instances."""
    return list({(r.principal_kind, r.principal_id, r.entitlement_id, r.assignment): r for r in rows}.values())


def scope_of(item: RoleAssignment) -> str:
    """Return where a role assignment holds: ``/`` is the whole tenant."""
    return item.directory_scope_id or item.app_scope_id or TENANT


def _role(  # noqa: PLR0917 -- an assignment and what its kind adds to it
    source: str,
    item: RoleAssignment,
    assignment: Assignment,
    condition: str | None,
    start: datetime | None,
    end: datetime | None,
) -> tuple[Grant | None, Gap | None]:
    if not item.principal_id or not item.role_definition_id:
        return None, Gap("grants", item.id, "a role assignment without principal or role")
    kind = principal_kind(item.principal.type if item.principal is not None else None)
    if kind is None:
        return None, Gap("grants", item.id, "a role assignment to a principal of unknown type")
    role = role_id(item.role_definition_id, scope_of(item))
    return _grant(source, kind, item.principal_id, role, assignment, start, end, condition), None


def _grant(  # noqa: PLR0917 -- the columns of a grant in their order
    source: str,
    kind: PrincipalKind,
    principal: str,
    entitlement: str,
    assignment: Assignment,
    start: datetime | None = None,
    end: datetime | None = None,
    condition: str | None = None,
) -> Grant:
    return Grant(
        source=source,
        principal_kind=kind,
        principal_id=principal,
        entitlement_id=entitlement,
        assignment=assignment,
        granted_at=start,
        expires_at=end,
        condition=condition,
    )


def _scope(source: str, entitlement_id: str, name: str, description: str | None) -> Entitlement:
    kind: EntitlementKind = "scope"
    return Entitlement(source=source, entitlement_id=entitlement_id, kind=kind, name=name, description=description)
