"""Groups, apps, admin roles and OAuth scopes as entitlements, and who holds them as grants. No network."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from reconciler.sdk.records import Assignment, Entitlement, Grant, Membership, PrincipalKind

from .shapes import App, AppGroup, AppRef, AppUser, Group, Labelled, RoleAssignment, ScopeGrant, utc

STANDARD_ROLES: Mapping[str, str] = {
    "SUPER_ADMIN": "Super Administrator",
    "ORG_ADMIN": "Organization Administrator",
    "APP_ADMIN": "Application Administrator",
    "USER_ADMIN": "Group Administrator",
    "GROUP_MEMBERSHIP_ADMIN": "Group Membership Administrator",
    "HELP_DESK_ADMIN": "Help Desk Administrator",
    "READ_ONLY_ADMIN": "Read-only Administrator",
    "REPORT_ADMIN": "Report Administrator",
    "API_ACCESS_MANAGEMENT_ADMIN": "API Access Management Administrator",
    "WORKFLOWS_ADMIN": "Workflows Administrator",
    "ACCESS_CERTIFICATIONS_ADMIN": "Access Certifications Administrator",
    "ACCESS_REQUESTS_ADMIN": "Access Requests Administrator",
}
"""Okta's own roles, which no call lists: type -> label."""

ADMIN_CONSOLE = "saasure"
"""Name of the app that is Okta's own administration."""
_AT_WORK = {"ACTIVE", "PROVISIONED"}
_ASSIGNED: Mapping[str, Assignment] = {"USER": "direct", "CLIENT": "direct", "GROUP": "inherited"}
_SCOPES: Mapping[str, Assignment] = {"USER": "direct", "GROUP": "inherited"}


class Access:
    """Makes entitlement and grant rows of one source."""

    def __init__(self, source: str, privileged: Collection[str], ordinary: Collection[str] = ()) -> None:
        self._source = source
        self._privileged = frozenset(privileged)
        self._ordinary = frozenset(ordinary)

    def group(self, group: Group, rules: Mapping[str, Sequence[str]] | None) -> Entitlement:
        """Map a group; ``rules`` are the active rules that feed each, by group id, None where they were not read."""
        profile = group.profile
        name = profile.name if profile else None
        privileged = True if {group.id, name} & self._privileged else group.administers
        if privileged is None and {group.id, name} & self._ordinary:
            privileged = False
        return Entitlement(
            source=self._source,
            entitlement_id=group.id,
            kind="group",
            name=name,
            description=profile.description if profile else None,
            privileged=privileged,
            membership=None if rules is None else membership(group, rules),
        )

    def app(self, app: App) -> Entitlement:
        """Map an app; that its use gives administrative power is known of Okta's own console and by configuration."""
        names = {app.id, app.name, app.label}
        privileged = True if names & self._privileged or app.name == ADMIN_CONSOLE else None
        if privileged is None and names & self._ordinary:
            privileged = False
        words = " ".join(part for part in (app.name, app.sign_on_mode) if part)
        off = f" ({app.status})" if app.status not in {None, "ACTIVE"} else ""
        return Entitlement(
            source=self._source,
            entitlement_id=app.id,
            kind="app",
            name=app.label,
            description=(words + off).strip() or None,
            privileged=privileged,
            membership="assigned",
        )

    def standard_roles(self) -> list[Entitlement]:
        """Return Okta's own admin roles."""
        return [self._role(kind, label, None) for kind, label in STANDARD_ROLES.items()]

    def custom_role(self, role: Labelled) -> Entitlement:
        """Map a custom admin role."""
        return self._role(role.id, role.label, role.description)

    def scopes(self, app: AppRef, grants: Iterable[ScopeGrant]) -> list[Entitlement]:
        """Map the scopes that were granted to, or through, an app."""
        return [
            Entitlement(
                source=self._source,
                entitlement_id=_scope_id(app, grant),
                kind="scope",
                name=grant.scope_id if grant.user_id is None else f"{grant.scope_id} through {app.label}",
                privileged=(grant.scope_id or "").endswith(".manage") if grant.user_id is None else None,
                membership="assigned",
            )
            for grant in grants
            if grant.scope_id
        ]

    def members(self, group: str, ids: Iterable[str], assignment: Assignment) -> list[Grant]:
        """Map the members of a group."""
        source = self._source
        return [
            Grant(
                source=source, principal_kind="account", principal_id=one, entitlement_id=group, assignment=assignment
            )
            for one in ids
        ]

    def app_user(self, app: str, user: AppUser) -> Grant:
        """Map a user's assignment to an app, his own or by a group; a state other than at work is the condition."""
        return Grant(
            source=self._source,
            principal_kind="account",
            principal_id=user.id,
            entitlement_id=app,
            assignment=_SCOPES.get(user.scope or "", "direct"),
            granted_at=utc(user.created),
            condition=None if user.status in _AT_WORK else f"status {user.status or 'unknown'}",
        )

    def app_group(self, app: str, group: AppGroup) -> Grant:
        """Map a group's assignment to an app."""
        return Grant(
            source=self._source,
            principal_kind="entitlement",
            principal_id=group.id,
            entitlement_id=app,
            assignment="direct",
        )

    def roles(
        self, kind: PrincipalKind, holder: str, assigned: Sequence[tuple[RoleAssignment, str | None]]
    ) -> list[Grant]:
        """Map the admin roles of one holder; each comes with the targets it is limited to (None: to none).

        One role held several times (a custom role on several resource sets, one by several groups) is one grant,
        with the limits side by side, and with none where one of them has none.
        """
        found: dict[tuple[str, Assignment], list[tuple[RoleAssignment, str | None]]] = {}
        for role, limit in assigned:
            # A group's own role says GROUP, as does the role that its member has of it.
            how = _ASSIGNED.get(role.assignment_type or "", "direct") if kind == "account" else "direct"
            key = (role.role or role.type or role.id, how)
            found.setdefault(key, []).append((role, limit))
        return [
            Grant(
                source=self._source,
                principal_kind=kind,
                principal_id=holder,
                entitlement_id=role_id,
                assignment=assignment,
                granted_at=min((utc(role.created) for role, _ in held if role.created), default=None),  # type: ignore[type-var] # none is None here
                condition=_limits(held),
            )
            for (role_id, assignment), held in found.items()
        ]

    def scope_grants(self, app: AppRef, grants: Iterable[ScopeGrant]) -> list[Grant]:
        """Map the scopes of an app: its own where it acts for itself, else held through it; or consented by a user."""
        rows: dict[tuple[str, str], Grant] = {}
        for grant in grants:
            if not grant.scope_id:
                continue
            own: PrincipalKind = "account" if app.is_service else "entitlement"
            row = Grant(
                source=self._source,
                principal_kind="account" if grant.user_id else own,
                principal_id=grant.user_id or app.id,
                entitlement_id=_scope_id(app, grant),
                assignment="direct",
                granted_at=utc(grant.created),
                condition=None if grant.status == "ACTIVE" else f"status {grant.status or 'unknown'}",
            )
            key = (row.principal_id, row.entitlement_id)
            if key not in rows or row.condition is None:
                rows[key] = row
        return list(rows.values())

    def _role(self, role_id: str, label: str | None, description: str | None) -> Entitlement:
        return Entitlement(
            source=self._source,
            entitlement_id=role_id,
            kind="admin_role",
            name=label,
            description=description,
            privileged=True,
            membership="assigned",
        )


def membership(group: Group, rules: Mapping[str, Sequence[str]]) -> Membership | None:
    """Return how members come about: by a rule, or by Okta itself for Everyone; None for a type that is unknown."""
    if group.id in rules or group.type == "BUILT_IN":
        return "dynamic"
    return "assigned" if group.type in {"OKTA_GROUP", "APP_GROUP"} else None


def unclear_role(kind: PrincipalKind, role: RoleAssignment) -> str | None:
    """Return in words what cannot be told of an admin role that is held, though its grant has to say it; else None."""
    if kind == "account" and role.assignment_type not in _ASSIGNED:
        return (
            f"whether this role is the holder's own or a group's is not known (assignmentType {role.assignment_type})"
        )
    if role.type == "CUSTOM" and not (role.role and role.resource_set):
        return "which custom role this is, or on which resource set, is not known"
    return None


def unclear_app_user(app: str, user: AppUser) -> str | None:
    """Return in words that an assignment to an app may be the user's own or a group's; None where Okta says which.

    One without a scope is told when it is decoded.
    """
    if user.scope is None or user.scope in _SCOPES:
        return None
    return f"whether it is assigned to {app} by itself or by a group is not known (scope {user.scope})"


def _scope_id(app: AppRef, grant: ScopeGrant) -> str:
    """Name a scope: the organisation's own, or, consented to by users, the scope through this app."""
    return str(grant.scope_id) if grant.user_id is None else f"{app.id}/{grant.scope_id}"


def _limits(held: Sequence[tuple[RoleAssignment, str | None]]) -> str | None:
    limits = [limit for _, limit in held]
    idle = [role for role, _ in held if role.status not in {None, "ACTIVE"}]
    words = [] if None in limits else sorted({limit for limit in limits if limit})
    if idle and len(idle) == len(held):
        words.append(f"status {idle[0].status}")
    return "; ".join(words) or None
