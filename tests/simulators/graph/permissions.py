"""Which application permissions open which path, and how each service refuses: from the API reference's tables."""

from __future__ import annotations

import json
import re

from tests.simulators.graph.answers import GraphError

_DIRECTORY = frozenset({"Directory.Read.All", "Directory.ReadWrite.All"})
_USERS = _DIRECTORY | {"User.Read.All", "User.ReadWrite.All"}
_GROUPS = _DIRECTORY | {"Group.Read.All", "Group.ReadWrite.All", "GroupMember.Read.All", "GroupMember.ReadWrite.All"}
_APPS = _DIRECTORY | {"Application.Read.All", "Application.ReadWrite.All"}
_ROLES = _DIRECTORY | {"RoleManagement.Read.Directory", "RoleManagement.ReadWrite.Directory", "RoleManagement.Read.All"}
_ROLE_PIM = frozenset(
    {"RoleManagement.Read.Directory", "RoleManagement.ReadWrite.Directory", "RoleManagement.Read.All"}
)
_AUDIT = frozenset({"AuditLog.Read.All"})

_PATHS: tuple[tuple[str, frozenset[str], str], ...] = (
    (
        "users/[^/]+/authentication/.*",
        frozenset({"UserAuthenticationMethod.Read.All", "UserAuthenticationMethod.ReadWrite.All"}),
        "methods",
    ),
    ("users/[^/]+/(transitiveMemberOf|memberOf)(/.*)?", _USERS | _GROUPS, "directory"),
    ("users/[^/]+/appRoleAssignments", _DIRECTORY | {"AppRoleAssignment.ReadWrite.All"}, "directory"),
    (
        "users/[^/]+/oauth2PermissionGrants",
        _DIRECTORY | {"DelegatedPermissionGrant.Read.All", "DelegatedPermissionGrant.ReadWrite.All"},
        "directory",
    ),
    ("users(/.*)?", _USERS, "directory"),
    ("groups/[^/]+/appRoleAssignments", _DIRECTORY | {"AppRoleAssignment.ReadWrite.All"}, "directory"),
    ("groups/[^/]+/owners(/.*)?", _GROUPS, "directory"),
    ("groups(/.*)?", _GROUPS, "directory"),
    (
        "servicePrincipals/[^/]+/(appRoleAssignments|appRoleAssignedTo)",
        _APPS | {"AppRoleAssignment.ReadWrite.All"},
        "directory",
    ),
    ("(servicePrincipals|applications)(\\(.*\\))?(/.*)?", _APPS | {"Application.ReadWrite.OwnedBy"}, "directory"),
    (
        "oauth2PermissionGrants(/.*)?",
        _DIRECTORY | {"DelegatedPermissionGrant.Read.All", "DelegatedPermissionGrant.ReadWrite.All"},
        "directory",
    ),
    ("directoryRoles(/.*)?", _ROLES, "directory"),
    ("devices(/.*)?", _DIRECTORY | {"Device.Read.All"}, "directory"),
    (
        "administrativeUnits(/.*)?|directory/administrativeUnits(/.*)?",
        _DIRECTORY | {"AdministrativeUnit.Read.All", "AdministrativeUnit.ReadWrite.All"},
        "directory",
    ),
    (r"directory/deletedItems/microsoft\.graph\.user(/\$count)?", _USERS, "directory"),
    (r"directory/deletedItems/microsoft\.graph\.group(/\$count)?", _GROUPS, "directory"),
    (r"directory/deletedItems/microsoft\.graph\.(application|servicePrincipal)(/\$count)?", _APPS, "directory"),
    ("directory/deletedItems/[^/]+", _USERS | _GROUPS | _APPS, "directory"),
    ("directoryObjects/.*", _DIRECTORY | _USERS | _GROUPS | _APPS, "directory"),
    (
        "organization|domains(/.*)?",
        _DIRECTORY | {"Organization.Read.All", "User.Read.All", "Domain.Read.All"},
        "directory",
    ),
    ("subscribedSkus", _DIRECTORY | {"Organization.Read.All", "LicenseAssignment.Read.All"}, "directory"),
    ("roleManagement/directory/(roleDefinitions|roleAssignments)(/.*)?", _ROLES, "directory"),
    (
        "roleManagement/directory/roleAssignmentSchedule.*",
        _ROLE_PIM | {"RoleAssignmentSchedule.Read.Directory", "RoleAssignmentSchedule.ReadWrite.Directory"},
        "pim",
    ),
    (
        "roleManagement/directory/roleEligibilitySchedule.*",
        _ROLE_PIM | {"RoleEligibilitySchedule.Read.Directory", "RoleEligibilitySchedule.ReadWrite.Directory"},
        "pim",
    ),
    (
        "identityGovernance/privilegedAccess/group/assignmentSchedule.*",
        frozenset(
            {
                "PrivilegedAssignmentSchedule.Read.AzureADGroup",
                "PrivilegedAssignmentSchedule.ReadWrite.AzureADGroup",
                "PrivilegedAccess.Read.AzureADGroup",
            }
        ),
        "pim",
    ),
    (
        "identityGovernance/privilegedAccess/group/eligibilitySchedule.*",
        frozenset(
            {
                "PrivilegedEligibilitySchedule.Read.AzureADGroup",
                "PrivilegedEligibilitySchedule.ReadWrite.AzureADGroup",
                "PrivilegedAccess.Read.AzureADGroup",
            }
        ),
        "pim",
    ),
    ("reports/authenticationMethods/.*", _AUDIT, "reports"),
    ("auditLogs/.*", _AUDIT, "reports"),
)
_COMPILED = tuple((re.compile(pattern), needed, service) for pattern, needed, service in _PATHS)
_READS = {
    "user": _USERS,
    "group": _GROUPS,
    "servicePrincipal": _APPS | {"Application.ReadWrite.OwnedBy"},
    "application": _APPS | {"Application.ReadWrite.OwnedBy"},
    "device": _DIRECTORY | {"Device.Read.All"},
    "directoryRole": _ROLES,
    "orgContact": _DIRECTORY | {"OrgContact.Read.All"},
    "administrativeUnit": _DIRECTORY | {"AdministrativeUnit.Read.All"},
}


def require(path: str, roles: frozenset[str]) -> None:
    """Raise the refusal of the service behind ``path`` unless one of its permissions was granted."""
    for pattern, needed, service in _COMPILED:
        if pattern.fullmatch(path):
            if not needed & roles:
                raise _refusal(service, needed)
            return
    raise GraphError(400, "BadRequest", f"Resource not found for the segment '{path.partition('/')[0]}'.")


def may_read(kind: str, roles: frozenset[str]) -> bool:
    """Tell whether objects of this type are shown whole; otherwise only their type and id are."""
    return bool(_READS[kind] & roles)


def _refusal(service: str, needed: frozenset[str]) -> GraphError:
    if service == "reports":
        return reports_refusal(min(needed))
    if service == "pim":
        inner = {
            "errorCode": "PermissionScopeNotGranted",
            "message": "Authorization failed due to missing permission scope " + ",".join(sorted(needed)) + ".",
            "instanceAnnotations": [],
        }
        return GraphError(403, "UnknownError", json.dumps(inner))
    if service == "methods":
        return GraphError(403, "accessDenied", "Request Authorization failed")
    return GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")


def reports_refusal(needed: str) -> GraphError:
    """Return how the reporting service refuses, also when asked for signInActivity."""
    return GraphError(
        403,
        "Authentication_MSGraphPermissionMissing",
        f"Calling principal does not have required MSGraph permissions {needed}",
    )
