"""What an object should say and does not, where a row of another key, or none, would come of taking a default. Pure.

Graph sends these properties whenever they are asked for, null or empty where there is nothing: one that is missing, or
whose value is not documented, is not taken for its most harmless meaning.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from msgspec import UNSET

from reconciler.sdk.connector import Gap

from .shapes import (
    Application,
    AppRoleAssignment,
    Group,
    GroupEligibility,
    Method,
    RoleAssignment,
    ServicePrincipal,
    User,
)

_MEMBER_TYPES = frozenset({"direct", "group", "inherited"})
_ASSIGNMENT_TYPES = frozenset({"Assigned", "Activated"})
_ACCESS = frozenset({"member", "owner"})


def of_groups(groups: Iterable[Group]) -> list[Gap]:
    """Return the gaps of groups that do not say whether a rule makes their members."""
    return [
        Gap("grants", one.id, "whether a rule makes its members is not known: groupTypes did not come")
        for one in groups
        if one.group_types is None
    ]


def of_scope(table: str, item: RoleAssignment) -> list[Gap]:
    """Return the gap of a role assignment that does not say where, or of which role, it is."""
    if item.role_definition_id and (item.directory_scope_id or item.app_scope_id):
        return []
    return [Gap(table, item.id, "of which role it is, or over what, is not known: it may be less than the tenant")]


def no_roles() -> Gap:
    """Return the gap of a list of directory roles without any: every tenant has those that are built in."""
    return Gap(
        "entitlements", "directory roles", "Graph lists no role at all, though every tenant has the built-in ones"
    )


def of_unlisted(held: Iterable[RoleAssignment], listed: AbstractSet[str]) -> list[Gap]:
    """Return the gaps of roles that somebody holds and that were not listed: Graph does not count roles."""
    lost = {one.role_definition_id for one in held if one.role_definition_id} - listed
    return [
        Gap("entitlements", one, "this role is held and was not among the listed: the list of roles ended early")
        for one in sorted(lost)
    ]


def of_member_type(item: RoleAssignment | GroupEligibility) -> list[Gap]:
    """Return the gap of a schedule's instance that may be the principal's own, or a group's."""
    if item.member_type is not None and item.member_type.lower() in _MEMBER_TYPES:
        return []
    return [Gap("grants", item.id, f"whether it is by a group is not known (memberType {item.member_type})")]


def of_active(item: RoleAssignment) -> list[Gap]:
    """Return the gaps of an active role's instance of which PIM does not say how, and until when, it is held."""
    gaps = of_member_type(item)
    if (
        item.assignment_type not in _ASSIGNMENT_TYPES
        or not item.role_assignment_origin_id
        or item.end_date_time is UNSET
    ):
        said = f"assignmentType {item.assignment_type}"
        gaps.append(Gap("grants", item.id, f"whether it was activated, and until when, is not known ({said})"))
    return gaps


def of_eligibility(item: GroupEligibility) -> list[Gap]:
    """Return the gaps of a membership that may be activated: it may be an ownership, or a group's."""
    gaps = of_member_type(item)
    if item.access_id not in _ACCESS:
        gaps.append(Gap("grants", item.id, f"whether it is of a member is not known (accessId {item.access_id})"))
    return gaps


def of_app_role(item: AppRoleAssignment) -> list[Gap]:
    """Return the gap of an assignment that does not say which app role it gives."""
    return [] if item.app_role_id else [Gap("grants", item.id, "which app role it gives is not known")]


def of_application(item: ServicePrincipal) -> list[Gap]:
    """Return the gap of an application that does not say all that can be granted of it."""
    scopes = item.oauth2_permission_scopes
    if item.app_roles is not None and scopes is not None and all(scope.value for scope in scopes):
        return []
    return [Gap("entitlements", item.id, "which roles or scopes this application has did not come whole")]


def of_secrets(item: Application | ServicePrincipal) -> list[Gap]:
    """Return the gap of an application or service principal that does not say whether it has secrets."""
    if item.password_credentials is not None and item.key_credentials is not None:
        return []
    return [Gap("credentials", item.id, "whether it has secrets or certificates did not come whole")]


def of_password(user: User) -> list[Gap]:
    """Return the gap of a user who may be a guest, whose password is not here."""
    if user.user_principal_name is not None:
        return []
    return [
        Gap("credentials", user.id, "whether its password is kept here is not known: userPrincipalName did not come")
    ]


def of_method(user: str, method: Method) -> list[Gap]:
    """Return the gap of a registered method of which nothing says what it is."""
    return [] if method.type else [Gap("credentials", user, f"what its method {method.id} is did not come")]
