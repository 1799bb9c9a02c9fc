"""The paths of Microsoft Graph v1.0 that are asked; page sizes are what each reference page allows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from urllib.parse import quote

USER_PROPERTIES = (
    "id",
    "userPrincipalName",
    "displayName",
    "mail",
    "otherMails",
    "proxyAddresses",
    "employeeId",
    "employeeType",
    "accountEnabled",
    "userType",
    "creationType",
    "externalUserState",
    "createdDateTime",
    "lastPasswordChangeDateTime",
    "signInSessionsValidFromDateTime",
    "passwordPolicies",
    "department",
    "companyName",
    "jobTitle",
    "isResourceAccount",
    "identityParentId",
    "onPremisesSyncEnabled",
    "onPremisesImmutableId",
    "onPremisesSamAccountName",
    "onPremisesDistinguishedName",
    "onPremisesDomainName",
    "onPremisesUserPrincipalName",
    "onPremisesSecurityIdentifier",
    "onPremisesLastSyncDateTime",
)
ACTIVITY_PAGE = 500
"""Most users a page where signInActivity is selected."""
OWNED_PAGE = 100
"""Objects a page where each one's owners are asked for too: five batches."""
PARENT_PAGE = 200
"""Parents a page of a fan-out: those not yet begun stand in the cursor."""
LOG_PAGE = 999
_SERVICE = (
    "id,appId,displayName,accountEnabled,disabledByMicrosoftStatus,servicePrincipalType,appOwnerOrganizationId,"
    "appRoleAssignmentRequired,alternativeNames"
)
SERVICE_COUNT = "/servicePrincipals/$count"
USER_COUNT = "/users/$count"
GROUP_COUNT = "/groups/$count"
APPLICATION_COUNT = "/applications/$count"
_DELETED = "/directory/deletedItems/microsoft.graph."
DELETED_USERS = f"{_DELETED}user"
DELETED_SERVICES = f"{_DELETED}servicePrincipal"


def users(page: int, extra: Iterable[str], *, activity: bool) -> str:
    """All users with every property that is used, and their managers."""
    select = ",".join((*USER_PROPERTIES, *(["signInActivity"] if activity else []), *extra))
    top = min(page, ACTIVITY_PAGE) if activity else page
    return f"/users?$select={select}&$expand=manager($select=id)&$top={top}"


def deleted_users(page: int, extra: Iterable[str]) -> str:
    """Users that were deleted and can be restored."""
    select = ",".join((*USER_PROPERTIES, "deletedDateTime", *extra))
    return f"{DELETED_USERS}?$select={select}&$top={page}&$count=true"


def services(page: int) -> str:
    """Service principals, managed identities and agents."""
    return f"/servicePrincipals?$select={_SERVICE}&$top={min(page, OWNED_PAGE)}&$count=true"


def deleted_services(page: int) -> str:
    """Service principals that were deleted and can be restored."""
    return f"{DELETED_SERVICES}?$select={_SERVICE},deletedDateTime&$top={page}&$count=true"


def service_parts(page: int, *names: str) -> str:
    """Service principals with some of their properties."""
    return f"/servicePrincipals?$select={','.join(('id', 'appId', 'displayName', *names))}&$top={page}&$count=true"


def passwords(page: int) -> str:
    """Users with what is known of their passwords."""
    names = "id,userPrincipalName,accountEnabled,externalUserState,createdDateTime,lastPasswordChangeDateTime"
    return f"/users?$select={names}&$top={page}&$count=true"


def applications(page: int) -> str:
    """Registered applications with their secrets and certificates."""
    names = "id,appId,displayName,passwordCredentials,keyCredentials"
    return f"/applications?$select={names}&$top={min(page, OWNED_PAGE)}&$count=true"


def groups(page: int) -> str:
    """Groups."""
    names = "id,displayName,description,groupTypes,isAssignableToRole,securityEnabled,visibility,membershipRule"
    return f"/groups?$select={names}&$top={min(page, OWNED_PAGE)}&$count=true"


def group_parents(page: int) -> str:
    """Groups, as much of them as their members and eligible members need."""
    names = "id,groupTypes,visibility,onPremisesSyncEnabled,isAssignableToRole"
    return f"/groups?$select={names}&$top={min(page, PARENT_PAGE)}&$count=true"


def service_parents(page: int) -> str:
    """Service principals by id."""
    return f"/servicePrincipals?$select=id&$top={min(page, PARENT_PAGE)}&$count=true"


def user_parents(page: int) -> str:
    """Users by id."""
    return f"/users?$select=id&$top={min(page, PARENT_PAGE)}&$count=true"


def group_members(group: str) -> str:
    """Direct members of a group; service principals are not always among them."""
    return f"/groups/{group}/members?$select=id&$top=999&$count=true"


def group_eligible(group: str) -> str:
    """Who may activate membership of a group now."""
    where = quote(f"groupId eq '{group}'")
    return f"/identityGovernance/privilegedAccess/group/eligibilityScheduleInstances?$filter={where}&$expand=principal"


def service_groups(service: str) -> str:
    """Groups that a service principal is a direct member of."""
    return f"/servicePrincipals/{service}/memberOf/microsoft.graph.group?$select=id&$top=999&$count=true"


def assigned_to(service: str, *, counted: bool = True) -> str:
    """Who was assigned to an application, and with which role."""
    return f"/servicePrincipals/{service}/appRoleAssignedTo?$top=999{'&$count=true' if counted else ''}"


def methods(user: str) -> str:
    """Registered authentication methods of a user: one page."""
    return f"/users/{user}/authentication/methods"


ROLE_DEFINITIONS = "/roleManagement/directory/roleDefinitions"
_ASSIGNMENTS = "/roleManagement/directory/roleAssignments"
_ACTIVE = "/roleManagement/directory/roleAssignmentScheduleInstances"
_ELIGIBLE = "/roleManagement/directory/roleEligibilityScheduleInstances"


def role_assignment(assignment: str) -> str:
    """One role assignment."""
    return f"{_ASSIGNMENTS}/{quote(assignment, safe='')}"


ROLE_ASSIGNMENTS = f"{_ASSIGNMENTS}?$expand=principal"
SCOPED_ASSIGNMENTS = f"{_ASSIGNMENTS}?$expand=roleDefinition"
ACTIVE_ROLES = f"{_ACTIVE}?$expand=principal"
SCOPED_ACTIVE = f"{_ACTIVE}?$expand=roleDefinition"
ELIGIBLE_ROLES = f"{_ELIGIBLE}?$expand=principal"
SCOPED_ELIGIBLE = f"{_ELIGIBLE}?$expand=roleDefinition"
CONSENTS_PLAIN = "/oauth2PermissionGrants?$top=999"
CONSENTS = f"{CONSENTS_PLAIN}&$count=true"
CONSENT_COUNT = "/oauth2PermissionGrants/$count"


def audits(since: datetime | None, until: datetime, *, oldest: bool = False) -> str:
    """Directory audits of a span of time; with ``oldest`` the first of them alone; without ``since`` the last alone."""
    return _log("/auditLogs/directoryAudits", "activityDateTime", since, until, oldest=oldest)


def sign_ins(since: datetime | None, until: datetime, *, oldest: bool = False) -> str:
    """Sign-ins of a span of time; with ``oldest`` the first of them alone; without ``since`` the last alone."""
    return _log("/auditLogs/signIns", "createdDateTime", since, until, oldest=oldest)


def _log(path: str, name: str, since: datetime | None, until: datetime, *, oldest: bool) -> str:
    end = f"{name} le {_moment(until)}"
    if since is None:
        return f"{path}?$filter={quote(end)}&$top=1"
    where = quote(f"{name} ge {_moment(since)} and {end}")
    tail = f"$orderby={quote(f'{name} asc')}&$top=1" if oldest else f"$top={LOG_PAGE}"
    return f"{path}?$filter={where}&{tail}"


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def service_of(app_id: str) -> str:
    """The service principal of an application, if it has one here."""
    return f"/servicePrincipals?$filter={quote(f'appId eq {text(app_id)}')}&$select=id"


def registration_of(app_id: str) -> str:
    """The registration of an application with its secrets and certificates, if it is kept here."""
    names = "id,appId,passwordCredentials,keyCredentials"
    return f"/applications?$filter={quote(f'appId eq {text(app_id)}')}&$select={names}"


def text(value: str) -> str:
    """Return a value as a text of a filter, in quotes."""
    return "'" + value.replace("'", "''") + "'"
