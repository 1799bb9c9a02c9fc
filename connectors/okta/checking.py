"""What these credentials cannot see: each kind of call tried once, and the admin role they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.sdk.connector import Gap
from reconciler.sdk.errors import Refused

from .below import APP_GRANTS, app_users, factors_of, keys_of, refresh_tokens_of, scope_grants_of
from .client import OktaClient
from .failures import Absent
from .listings import APPS, EVERY_USER, GROUPS, ROLES, USERS, apps, groups, ids, labelled, rules_of
from .settings import FULL_VIEW, Settings
from .shapes import App, Decoder, LogEvent
from .sight import own_roles, roles_of, sees_all

_logged = Decoder(LogEvent, identity="uuid")
Hidden = Sequence[tuple[str, str, str]]
"""Table, part and column (empty: the part itself) that a call's refusal hides."""

_EVERYTHING_BY_USERS: Hidden = (
    ("accounts", "users", ""),
    ("credentials", "passwords", ""),
    ("credentials", "factors", ""),
)
_BY_GROUPS: Hidden = (
    ("entitlements", "groups", ""),
    ("grants", "group members", ""),
    ("grants", "admin roles of groups", ""),
)
_BY_APPS: Hidden = (
    ("accounts", "service apps", ""),
    ("entitlements", "apps", ""),
    ("entitlements", "scopes", ""),
    ("grants", "app users", ""),
    ("grants", "app groups", ""),
    ("grants", "admin roles of clients", ""),
    ("grants", "scope grants", ""),
    ("credentials", "client secrets", ""),
    ("credentials", "client keys", ""),
    ("credentials", "refresh tokens", ""),
)
_BY_ROLES: Hidden = (
    ("grants", "admin roles of users", ""),
    ("grants", "admin roles of groups", ""),
    ("grants", "admin roles of clients", ""),
)
_BY_FACTORS: Hidden = (("credentials", "factors", ""), ("accounts", "", "mfa_enrolled"))


@dataclass(frozen=True, slots=True)
class _Try:
    """One call that has to work, and what is hidden where it does not."""

    path: str
    decoder: Decoder[Any]
    scope: str
    hides: Hidden
    params: Mapping[str, Any]
    wrapped: str = ""


class Tries:
    """The calls of one check; what each of them found serves the next."""

    def __init__(self, client: OktaClient, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self.gaps: list[Gap] = []
        self.refusals: list[Refused] = []
        self.answered = 0

    async def ask(self, one: _Try) -> list[Any]:
        """Make one call; where it is refused, its gaps are added and nothing came."""
        try:
            if one.wrapped:
                answer = await self._client.wrapped(one.path, one.decoder, one.scope, one.wrapped)
            else:
                answer = await self._client.list(one.path, one.decoder, one.scope, **one.params)
        except Absent:
            return []  # the object was deleted between two calls
        except Refused as error:
            self.refusals.append(error)
            permission = error.missing_permission or one.scope
            for table, part, column in one.hides:
                if part == "factors" and not self._settings.factors:
                    continue
                self.gaps.append(Gap(table, part, error.message, permission, column=column))
            return []
        self.answered += 1
        return list(answer.items)


async def check(client: OktaClient, settings: Settings) -> list[Gap]:
    """Try every kind of call; raise the first refusal where none of them works."""
    tries = Tries(client, settings)
    one = {"limit": 1}
    users = await tries.ask(_Try("/api/v1/users", ids, USERS, _EVERYTHING_BY_USERS, {"search": EVERY_USER, "limit": 1}))
    found = await tries.ask(_Try("/api/v1/groups", groups, GROUPS, _BY_GROUPS, one))
    by_rules: Hidden = (("entitlements", "", "membership"), ("grants", "group members", ""))
    await tries.ask(_Try("/api/v1/groups/rules", rules_of, GROUPS, by_rules, one))
    listed: list[App] = await tries.ask(_Try("/api/v1/apps", apps, APPS, _BY_APPS, {"limit": settings.page_size}))
    await tries.ask(
        _Try("/api/v1/iam/roles", labelled, ROLES, (("entitlements", "custom admin roles", ""),), {}, "roles")
    )
    await tries.ask(_Try("/api/v1/iam/assignees/users", ids, ROLES, _BY_ROLES[:1], {}, "value"))
    tokens: Hidden = (("credentials", "api tokens", ""),)
    await tries.ask(_Try("/api/v1/api-tokens", ids, "okta.apiTokens.read", tokens, {}))
    logs: Hidden = (("events", "system log", ""),)
    await tries.ask(_Try("/api/v1/logs", _logged, "okta.logs.read", logs, one))
    if users and settings.factors:
        await tries.ask(_Try(f"/api/v1/users/{users[0].id}/factors", factors_of, USERS, _BY_FACTORS, {}))
    if found:
        await tries.ask(
            _Try(f"/api/v1/groups/{found[0].id}/users", ids, GROUPS, (("grants", "group members", ""),), one)
        )
        await tries.ask(
            _Try(f"/api/v1/groups/{found[0].id}/roles", roles_of, ROLES, (("grants", "admin roles of groups", ""),), {})
        )
    await _below_apps(tries, listed)
    if tries.refusals and not tries.answered:
        raise tries.refusals[0]
    return _once([*tries.gaps, *await _role_gaps(client, settings, sees_users=bool(users))])


async def _below_apps(tries: Tries, listed: Sequence[App]) -> None:
    """Try what is read below each app, at the first that has it."""
    one = {"limit": 1}
    if listed:
        path = f"/api/v1/apps/{listed[0].id}"
        await tries.ask(_Try(f"{path}/users", app_users, APPS, (("grants", "app users", ""),), one))
        await tries.ask(_Try(f"{path}/groups", ids, APPS, (("grants", "app groups", ""),), one))
    client = next((app for app in listed if app.is_oauth), None)
    if client is not None:
        path = f"/api/v1/apps/{client.id}"
        scopes: Hidden = (("grants", "scope grants", ""), ("entitlements", "scopes", ""))
        await tries.ask(_Try(f"{path}/grants", scope_grants_of, APP_GRANTS, scopes, {}))
        await tries.ask(_Try(f"{path}/tokens", refresh_tokens_of, APPS, (("credentials", "refresh tokens", ""),), one))
        await tries.ask(_Try(f"{path}/credentials/secrets", ids, APPS, (("credentials", "client secrets", ""),), {}))
        await tries.ask(_Try(f"{path}/credentials/jwks", keys_of, APPS, (("credentials", "client keys", ""),), {}))
    service = next((app for app in listed if app.is_service), None)
    if service is not None:
        path = f"/oauth2/v1/clients/{service.client_id or service.id}/roles"
        await tries.ask(_Try(path, roles_of, ROLES, (("grants", "admin roles of clients", ""),), {}))


async def _role_gaps(client: OktaClient, settings: Settings, *, sees_users: bool) -> list[Gap]:
    """Say where the admin role limits what lists give: they answer 200 with less, and nothing else shows it."""
    roles = await own_roles(client, settings)
    # Without any role nobody would have been listed: then the list of roles is what is not to be believed.
    if roles is None or sees_all(roles, settings) or (not roles and sees_users):
        return []
    held = ", ".join(sorted({role.role or role.type or role.id for role in roles})) or "none"
    return [
        Gap(
            "",
            "",
            f"these credentials hold none of the admin roles that see all ({', '.join(settings.full_view_roles)}; "
            f"held: {held}), so Okta leaves out what their role does not cover, without a word. Assign one of them; "
            "or, where a custom role does see everything, add its id to full_view_roles.",
            f"admin role {FULL_VIEW[-1]}",
        )
    ]


def _once(gaps: Sequence[Gap]) -> list[Gap]:
    """Leave out a second gap about one part and column: the first says why."""
    kept: dict[tuple[str, str, str], Gap] = {}
    for gap in gaps:
        kept.setdefault((gap.table, gap.subject, gap.column), gap)
    return list(kept.values())
