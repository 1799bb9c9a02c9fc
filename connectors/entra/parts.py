"""Which collections make up which part of which table, and how their objects become rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from reconciler.sdk.connector import Gap
from reconciler.sdk.records import Entitlement, Grant, Record
from reconciler.sdk.window import lookback

from . import access, doubts, permissions, proofs, queries, shapes
from .chains import Collection, FanOut, first_of_each
from .client import GraphClient
from .connector import is_microsofts, service_account, user_account
from .settings import Settings
from .shapes import Items, Shape

Rows = tuple[Sequence[Record], Sequence[Gap]]

_SERVICE = Shape(shapes.ServicePrincipal)
_APPLICATION = Shape(shapes.Application)
_GROUP = Shape(shapes.Group)
_REF = Shape(shapes.Ref)
_ROLE = Shape(shapes.RoleDefinition)
_HELD = Shape(shapes.RoleAssignment)
_ASSIGNED = Shape(shapes.AppRoleAssignment)
_CONSENT = Shape(shapes.Consent)
_METHOD = Shape(shapes.Method)
_ELIGIBLE = Shape(shapes.GroupEligibility)
_USER = Shape(shapes.User)


class _Scoped(shapes.RoleAssignment, gc=False):
    """A role assignment with its role."""

    role_definition: shapes.RoleDefinition | None = None


_SCOPED = Shape(_Scoped)


class Parts:
    """The parts of one tenant's tables; holds what some of them need to know of others."""

    def __init__(self, name: str, settings: Settings, client: GraphClient) -> None:
        self._name = name
        self._settings = settings
        self._client = client
        extra = [one for one in settings.attributes if one not in queries.USER_PROPERTIES]
        self._extra = tuple(extra)
        kind = msgspec.defstruct(
            "User", [(one, Any, None) for one in extra], bases=(shapes.User,), rename=None, gc=False
        )
        self._users: Shape[Any] = Shape(kind) if extra else _USER
        self._scopes: set[str] = set()
        self._roles: set[str] = set()
        """Directory roles that were listed: each that is held must be among them."""
        self._consents: set[str] = set()
        self.activated: dict[str, dict[str, shapes.RoleAssignment]] = {}
        """For each part that needs them, role assignments as PIM knows them, by their id."""
        self.met: dict[str, set[str]] = {"directory roles": set(), "activated roles": set()}
        """Ids of assignments that came in the chain under way: there are as many as administrators."""

    def accounts(self, part: str, *, activity: bool) -> Sequence[Collection]:
        """Return the collections of a part of accounts."""
        page, client = self._settings.page_size, self._client

        async def users(items: Items[Any]) -> Rows:
            withheld = [user.id for user in items.value if user.account_enabled is None]
            gaps = [_withheld(withheld)] if withheld else []
            return [user_account(self._name, user, self._extra) for user in items.value], gaps

        async def deleted(items: Items[Any]) -> Rows:
            return [user_account(self._name, user, self._extra, deleted=True) for user in items.value], ()

        async def services(items: Items[Any]) -> Rows:
            wanted = self._wanted(items)
            paths = [(one.id, f"/servicePrincipals/{one.id}/owners?$select=id") for one in wanted]
            owners, gaps = await first_of_each(client, "accounts", paths, _REF, permissions.APPS)
            return [service_account(self._name, one, owners.get(one.id)) for one in wanted], gaps

        async def deleted_services(items: Items[Any]) -> Rows:
            return [service_account(self._name, one, deleted=True) for one in self._wanted(items)], ()

        found = {
            "users": Collection(
                queries.users(page, self._extra, activity=activity),
                self._users,
                users,
                permissions.USERS,
                queries.USER_COUNT,
                apart=True,
            ),
            "deleted users": Collection(
                queries.deleted_users(page, self._extra),
                self._users,
                deleted,
                permissions.USERS,
                f"{queries.DELETED_USERS}/$count",
            ),
            "service principals": Collection(
                queries.services(page), _SERVICE, services, permissions.APPS, queries.SERVICE_COUNT
            ),
            "deleted service principals": Collection(
                queries.deleted_services(page),
                _SERVICE,
                deleted_services,
                permissions.APPS,
                f"{queries.DELETED_SERVICES}/$count",
            ),
        }
        return [found[part]]

    def entitlements(self, part: str, *, first: bool) -> Sequence[Collection]:
        """Return the collections of a part of entitlements; ``first`` says that its chain starts anew."""
        page, client = self._settings.page_size, self._client
        if first and part == "directory roles":
            self._scopes, self._roles = set(), set()
        if first and part == "user consents":
            self._consents = set()

        async def groups(items: Items[Any]) -> Rows:
            paths = [(one.id, f"/groups/{one.id}/owners?$select=id") for one in items.value]
            owners, gaps = await first_of_each(client, "entitlements", paths, _REF, permissions.GROUPS)
            return [access.group_row(self._name, one, owners.get(one.id)) for one in items.value], gaps

        async def roles(items: Items[Any]) -> Rows:
            self._roles.update(one.id for one in items.value)
            gaps = [] if self._roles or items.link else [doubts.no_roles()]
            return [access.role_row(self._name, one) for one in items.value], gaps

        async def apps(items: Items[Any]) -> Rows:
            rows = [row for one in items.value for row in access.app_rows(self._name, one)]
            return rows, _all(map(doubts.of_application, items.value))

        async def consents(items: Items[Any]) -> Rows:
            made = (entitlement for one in items.value for entitlement, _ in access.consent_rows(self._name, one))
            return _new(self._consents, made), access.consent_gaps("entitlements", items.value)

        scoped = self._scoped
        found = {
            "groups": [
                Collection(queries.groups(page), _GROUP, groups, permissions.GROUPS, queries.GROUP_COUNT),
            ],
            "directory roles": [
                Collection(queries.ROLE_DEFINITIONS, _ROLE, roles, permissions.ROLES),
                Collection(queries.SCOPED_ASSIGNMENTS, _SCOPED, scoped, permissions.ROLES, proven=True),
                Collection(queries.SCOPED_ELIGIBLE, _SCOPED, scoped, permissions.ELIGIBLE, optional=True, proven=True),
            ],
            "applications": [
                Collection(
                    queries.service_parts(page, "appRoles", "oauth2PermissionScopes"),
                    _SERVICE,
                    apps,
                    permissions.APPS,
                    queries.SERVICE_COUNT,
                ),
            ],
            "user consents": [
                Collection(
                    queries.CONSENTS,
                    _CONSENT,
                    consents,
                    permissions.CONSENTS,
                    queries.CONSENT_COUNT,
                    queries.CONSENTS_PLAIN,
                    proven=True,
                )
            ],
        }
        return found[part]

    def grants(self, part: str) -> Sequence[Collection]:
        """Return the collections of a part of grants that is a plain list."""

        async def held(items: Items[Any]) -> Rows:
            activated = self.activated.get(part, {})
            self.met[part].update(one.id for one in items.value)
            lasting = [one for one in items.value if not _passing(activated.get(one.id))]
            rows, gaps = _parted(access.role_grant(self._name, one, activated.get(one.id)) for one in lasting)
            return rows, [*gaps, *_all(doubts.of_scope("grants", one) for one in items.value)]

        async def active(items: Items[Any]) -> Rows:
            self.met[part].update(one.role_assignment_origin_id or one.id for one in items.value)
            passing = [one for one in items.value if _direct(one) and _passing(one)]
            rows, gaps = _parted(access.instance_grant(self._name, one, "just_in_time") for one in passing)
            strange = [*map(doubts.of_active, items.value), *(doubts.of_scope("grants", one) for one in items.value)]
            return rows, [*gaps, *_all(strange)]

        async def eligible(items: Items[Any]) -> Rows:
            own = [one for one in items.value if _direct(one)]
            rows, gaps = _parted(access.instance_grant(self._name, one, "eligible") for one in own)
            strange = [
                *map(doubts.of_member_type, items.value),
                *(doubts.of_scope("grants", one) for one in items.value),
            ]
            return rows, [*gaps, *_all(strange)]

        async def consents(items: Items[Any]) -> Rows:
            made = (grant for one in items.value for _, grant in access.consent_rows(self._name, one))
            return access.once(made), access.consent_gaps("grants", items.value)

        found = {
            "directory roles": Collection(queries.ROLE_ASSIGNMENTS, _HELD, held, permissions.ROLES, proven=True),
            "activated roles": Collection(
                queries.ACTIVE_ROLES, _HELD, active, permissions.ACTIVE, optional=True, proven=True
            ),
            "eligible roles": Collection(
                queries.ELIGIBLE_ROLES, _HELD, eligible, permissions.ELIGIBLE, optional=True, proven=True
            ),
            "consents": Collection(
                queries.CONSENTS,
                _CONSENT,
                consents,
                permissions.CONSENTS,
                queries.CONSENT_COUNT,
                queries.CONSENTS_PLAIN,
                proven=True,
            ),
        }
        return [found[part]]

    def credentials(self, part: str) -> Sequence[Collection]:
        """Return the collections of a part of credentials that is a plain list."""
        page, client = self._settings.page_size, self._client

        async def passwords(items: Items[Any]) -> Rows:
            made = (proofs.password_row(self._name, user) for user in items.value)
            return [row for row in made if row is not None], _all(map(doubts.of_password, items.value))

        async def applications(items: Items[Any]) -> Rows:
            holders = [one for one in items.value if one.password_credentials or one.key_credentials]
            principals = await self._principals(client, holders)
            now = lookback(0)[1]
            made = (proofs.application_rows(self._name, one, principals.get(one.app_id or ""), now) for one in holders)
            return [row for rows in made for row in rows], _all(map(doubts.of_secrets, items.value))

        async def services(items: Items[Any]) -> Rows:
            now = lookback(0)[1]
            made = (proofs.application_rows(self._name, one, one.id, now) for one in items.value)
            return [row for rows in made for row in rows], _all(map(doubts.of_secrets, items.value))

        found = {
            "passwords": Collection(queries.passwords(page), _USER, passwords, permissions.USERS, queries.USER_COUNT),
            "application credentials": Collection(
                queries.applications(page), _APPLICATION, applications, permissions.APPS, queries.APPLICATION_COUNT
            ),
            "service principal credentials": Collection(
                queries.service_parts(page, "passwordCredentials", "keyCredentials"),
                _SERVICE,
                services,
                permissions.APPS,
                queries.SERVICE_COUNT,
            ),
        }
        return [found[part]]

    def fan_out(self, part: str, *, hidden: bool) -> FanOut:
        """Return a part that is read object by object; ``hidden`` says that hidden memberships can be seen."""
        page = self._settings.page_size
        groups = Collection(queries.group_parents(page), _GROUP, _kinds, permissions.GROUPS, queries.GROUP_COUNT)
        services = Collection(queries.service_parents(page), _SERVICE, _none, permissions.APPS, queries.SERVICE_COUNT)
        users = Collection(queries.user_parents(page), _REF, _none, permissions.USERS, queries.USER_COUNT)

        def members(parent: str, found: Sequence[Any]) -> Rows:
            group, _, flags = parent.partition(" ")
            made = [access.member_row(self._name, group, one, dynamic="d" in flags) for one in found]
            gaps = [gap for one in found if (gap := access.member_gap(group, one)) is not None]
            if "h" in flags and not hidden:
                gaps.append(Gap("grants", group, "its membership is hidden from this reader", permissions.HIDDEN))
            return [row for row in made if row is not None], gaps

        def in_groups(parent: str, found: Sequence[Any]) -> Rows:
            return [_member(self._name, parent, one.id) for one in found], ()

        def assigned(parent: str, found: Sequence[Any]) -> Rows:
            del parent
            rows, gaps = _parted(access.app_grant(self._name, one) for one in found)
            return rows, [*gaps, *_all(map(doubts.of_app_role, found))]

        def eligible(parent: str, found: Sequence[Any]) -> Rows:
            del parent
            rows, gaps = _parted(access.eligibility_grant(self._name, one) for one in found if _direct(one))
            return rows, [*gaps, *_all(map(doubts.of_eligibility, found))]

        def methods(parent: str, found: Sequence[Any]) -> Rows:
            made = (proofs.method_row(self._name, parent, one) for one in found)
            return [row for row in made if row is not None], _all(doubts.of_method(parent, one) for one in found)

        fans: dict[str, Callable[[], FanOut]] = {
            "group members": lambda: FanOut(
                groups,
                _group_text,
                lambda parent: queries.group_members(parent.partition(" ")[0]),
                _REF,
                members,
                permissions.GROUPS,
                count=lambda parent: f"/groups/{parent.partition(' ')[0]}/members/$count",
                elsewhere=lambda parent: (
                    f"/groups/{parent.partition(' ')[0]}/members/microsoft.graph.servicePrincipal/$count"
                ),
            ),
            "service principals in groups": lambda: FanOut(
                services,
                _id,
                queries.service_groups,
                _REF,
                in_groups,
                permissions.APPS,
                count=lambda parent: f"/servicePrincipals/{parent}/memberOf/microsoft.graph.group/$count",
            ),
            "app role assignments": lambda: FanOut(
                services,
                _id,
                queries.assigned_to,
                _ASSIGNED,
                assigned,
                permissions.APPS,
                count=lambda parent: f"/servicePrincipals/{parent}/appRoleAssignedTo/$count",
                plain=lambda parent: queries.assigned_to(parent, counted=False),
            ),
            "eligible for groups": lambda: FanOut(
                groups, _pim_text, queries.group_eligible, _ELIGIBLE, eligible, permissions.GROUP_PIM, optional=True
            ),
            "authentication methods": lambda: FanOut(
                users, _id, queries.methods, _METHOD, methods, permissions.METHODS
            ),
        }
        return fans[part]()

    def _wanted(self, items: Items[shapes.ServicePrincipal]) -> list[shapes.ServicePrincipal]:
        """Return the service principals that are accounts by the settings."""
        everybody = self._settings.microsoft_service_principals
        return [one for one in items.value if everybody or not is_microsofts(one)]

    async def _scoped(self, items: Items[Any]) -> Rows:
        """Make an entitlement of each role in each scope smaller than the tenant, once."""
        made = []
        for one in items.value:
            scope = access.scope_of(one)
            if scope != access.TENANT and one.role_definition_id:
                role = one.role_definition or shapes.RoleDefinition(id=one.role_definition_id)
                made.append(access.role_row(self._name, role, scope))
        gaps = _all(doubts.of_scope("entitlements", one) for one in items.value)
        return _new(self._scopes, made), [*gaps, *doubts.of_unlisted(items.value, self._roles)]

    async def _principals(self, client: GraphClient, holders: Sequence[shapes.Application]) -> dict[str, str]:
        """Return the service principal of each application that has one here, by application id."""
        paths = [(one.app_id, queries.service_of(one.app_id)) for one in holders if one.app_id]
        found, _ = await first_of_each(client, "credentials", paths, _REF, permissions.APPS)
        return found


async def _none(items: Items[Any]) -> Rows:
    del items
    return (), ()


async def _kinds(items: Items[Any]) -> Rows:
    return (), doubts.of_groups(items.value)


def _all(found: Iterable[Sequence[Gap]]) -> list[Gap]:
    return [gap for gaps in found for gap in gaps]


def _withheld(ids: Sequence[str]) -> Gap:
    """Return the gap of users of whom Graph gives names and withholds the rest, as it does without a permission."""
    reason = f"accountEnabled of {len(ids)} users of this page is not shown, of {ids[0]} for one"
    return Gap("accounts", "users", reason, permissions.USERS)


def _id(item: Any) -> str:
    return str(item.id)


def _group_text(group: Any) -> str:
    """Return a group's id with what its members need: whether a rule makes them, and whether they are hidden."""
    flags = "d" if "DynamicMembership" in (group.group_types or ()) else ""
    flags += "h" if group.visibility == "HiddenMembership" else ""
    return f"{group.id} {flags}" if flags else str(group.id)


def _pim_text(group: Any) -> str | None:
    """Return the id of a group that can be managed by PIM: neither made by a rule nor kept on premises."""
    managed = group.on_premises_sync_enabled or "DynamicMembership" in (group.group_types or ())
    return None if managed else str(group.id)


def _member(source: str, principal: str, group: str) -> Grant:
    return Grant(
        source=source, principal_kind="account", principal_id=principal, entitlement_id=group, assignment="direct"
    )


def _direct(item: Any) -> bool:
    """Return whether a schedule's instance is the principal's own; those through a group follow from its membership."""
    return item.member_type is None or item.member_type.lower() == "direct"


def _passing(item: shapes.RoleAssignment | None) -> bool:
    """Return whether an assignment ends by itself or was activated."""
    return item is not None and (item.assignment_type == "Activated" or shapes.utc(item.end_date_time) is not None)


def _parted(made: Any) -> tuple[list[Grant], list[Gap]]:
    """Part rows from gaps."""
    rows: list[Grant] = []
    gaps: list[Gap] = []
    for row, gap in made:
        rows += [row] if row is not None else []
        gaps += [gap] if gap is not None else []
    return access.once(rows), gaps


def _new(known: set[str], made: Any) -> list[Entitlement]:
    """Return what has not been given before; ``known`` learns it."""
    found: list[Entitlement] = []
    for row in made:
        if row is not None and row.entitlement_id not in known:
            known.add(row.entitlement_id)
            found.append(row)
    return found
