"""The application permissions that a reader needs, and what each missing one hides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reconciler.sdk.connector import Gap

DIRECTORY = "Directory.Read.All"
USERS = "User.Read.All"
GROUPS = "GroupMember.Read.All"
HIDDEN = "Member.Read.Hidden"
APPS = "Application.Read.All"
CONSENTS = "DelegatedPermissionGrant.Read.All"
ROLES = "RoleManagement.Read.Directory"
ELIGIBLE = "RoleEligibilitySchedule.Read.Directory"
ACTIVE = "RoleAssignmentSchedule.Read.Directory"
GROUP_PIM = "PrivilegedEligibilitySchedule.Read.AzureADGroup"
METHODS = "UserAuthenticationMethod.Read.All"
AUDIT = "AuditLog.Read.All"
BOTH_SCHEDULES = frozenset({ROLES, "RoleManagement.Read.All", "RoleManagement.ReadWrite.Directory"})
"""Each of these shows who is eligible for directory roles and who holds them."""


@dataclass(frozen=True, slots=True)
class Permission:
    """An application permission of Microsoft Graph, by name and by the id of its app role.

    ``instead`` are others that give the same. ``hides`` are (table, partition, column) that are unknown without it.
    """

    name: str
    app_role_id: str
    purpose: str
    instead: tuple[str, ...]
    hides: tuple[tuple[str, str, str], ...]


_DIRECTORY = (DIRECTORY, "Directory.ReadWrite.All")
NEEDED = (
    Permission(
        USERS,
        "df021288-bdef-4463-88db-98f22de89214",
        "users, guests and deleted users with all their properties; when passwords were set",
        (*_DIRECTORY, "User.ReadWrite.All"),
        (("accounts", "users", ""), ("accounts", "deleted users", ""), ("credentials", "passwords", "")),
    ),
    Permission(
        GROUPS,
        "98830695-27a2-44f7-8c18-0c3ebc9698f6",
        "groups, their owners and members",
        (*_DIRECTORY, "Group.Read.All", "Group.ReadWrite.All", "GroupMember.ReadWrite.All"),
        (("entitlements", "groups", ""), ("grants", "group members", "")),
    ),
    Permission(
        HIDDEN,
        "658aa5d8-239f-45c4-aa12-864f4fc7e490",
        "members of groups with hidden membership",
        (),
        (),
    ),
    Permission(
        APPS,
        "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30",
        "applications, service principals and managed identities, their secrets, certificates, roles and assignments",
        (*_DIRECTORY, "Application.ReadWrite.All"),
        (
            ("accounts", "service principals", ""),
            ("accounts", "deleted service principals", ""),
            ("entitlements", "applications", ""),
            ("grants", "app role assignments", ""),
            ("grants", "service principals in groups", ""),
            ("credentials", "application credentials", ""),
            ("credentials", "service principal credentials", ""),
        ),
    ),
    Permission(
        CONSENTS,
        "81b4724a-58aa-41c1-8a55-84ef97466587",
        "delegated permission grants: what applications may do for users",
        (*_DIRECTORY, "DelegatedPermissionGrant.ReadWrite.All"),
        (("entitlements", "user consents", ""), ("grants", "consents", "")),
    ),
    Permission(
        ROLES,
        "483bed4a-2ad3-4361-a73b-c83ccdbdc53c",
        "directory roles and who holds them",
        (*_DIRECTORY, "RoleManagement.Read.All", "RoleManagement.ReadWrite.Directory"),
        (
            ("entitlements", "directory roles", ""),
            ("entitlements", "scoped roles", ""),
            ("grants", "directory roles", ""),
        ),
    ),
    Permission(
        ELIGIBLE,
        "ff278e11-4a33-4d0c-83d2-d01dc58929a5",
        "who is eligible for directory roles (Privileged Identity Management)",
        (
            ROLES,
            "RoleManagement.Read.All",
            "RoleManagement.ReadWrite.Directory",
            "RoleEligibilitySchedule.ReadWrite.Directory",
        ),
        (("grants", "eligible roles", ""),),
    ),
    Permission(
        ACTIVE,
        "d5fe8ce8-684c-4c83-a52c-46e882ce4be1",
        "which directory roles are activated for a time (Privileged Identity Management)",
        (
            ROLES,
            "RoleManagement.Read.All",
            "RoleManagement.ReadWrite.Directory",
            "RoleAssignmentSchedule.ReadWrite.Directory",
        ),
        (("grants", "activated roles", ""), ("grants", "directory roles", "")),
    ),
    Permission(
        GROUP_PIM,
        "edb419d6-7edc-42a3-9345-509bfdf5d87c",
        "who is eligible for groups (Privileged Identity Management)",
        ("PrivilegedAccess.Read.AzureADGroup", "PrivilegedEligibilitySchedule.ReadWrite.AzureADGroup"),
        (("grants", "eligible for groups", ""),),
    ),
    Permission(
        METHODS,
        "38d9df27-64da-44fd-b7c5-a6fbac20248f",
        "registered authentication methods of users",
        ("UserAuthenticationMethod.ReadWrite.All",),
        (("credentials", "authentication methods", ""),),
    ),
    Permission(
        AUDIT,
        "b0afded3-3588-46d8-8b3d-9842eff778da",
        "directory audits, sign-ins, and when each user signed in last",
        (),
        (
            ("events", "directory audits", ""),
            ("events", "sign-ins", ""),
            ("accounts", "", "last_sign_in_at"),
            ("accounts", "", "last_sign_in_basis"),
        ),
    ),
    Permission(
        DIRECTORY,
        "7ab1d382-f21e-4acd-a863-ba3e13f7da61",
        "directory audits, for which Microsoft asks for it beside AuditLog.Read.All",
        ("Directory.ReadWrite.All",),
        (),
    ),
)


def has(roles: frozenset[str], name: str) -> bool:
    """Return whether ``roles`` give the permission ``name``, or one that gives the same."""
    permission = next(one for one in NEEDED if one.name == name)
    return bool(roles & {permission.name, *permission.instead})


def missing(roles: frozenset[str], read: frozenset[tuple[str, str]]) -> Iterator[Gap]:
    """Yield a gap for each thing hidden from a token with ``roles``, of the parts that are ``read``."""
    for permission in NEEDED:
        if has(roles, permission.name):
            continue
        for table, part, column in permission.hides:
            if not column and (table, part) not in read:
                continue
            if column and not any(name == table for name, _ in read):
                continue
            reason = f"without it Graph does not show {permission.purpose}"
            yield Gap(table, part, reason, permission.name, column)
