"""How far these credentials see: the admin roles that they hold, as Okta says just now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.sdk.errors import Refused

from .client import OktaClient
from .listings import ROLES, USERS, ids
from .settings import Settings
from .shapes import Decoder, RoleAssignment

SUPER_ADMIN = "SUPER_ADMIN"
"""The one standard role that sees who administers; no other is told of all admin roles."""
roles_of = Decoder(RoleAssignment, "type")


@dataclass(frozen=True, slots=True)
class Sight:
    """What is proven to be seen in full; False where it is not, or where the roles may not be read."""

    objects: bool = False
    """Users, groups and apps, with what stands below each."""
    administrators: bool = False
    """Admin roles and who holds them."""


async def own_roles(client: OktaClient, settings: Settings) -> Sequence[RoleAssignment] | None:
    """Return the admin roles that these credentials hold, None where that may not be read."""
    try:
        if settings.client_id is not None:
            path = f"/oauth2/v1/clients/{settings.client_id}/roles"
        else:
            me = await client.one("/api/v1/users/me", ids, USERS)
            if not me.items:
                return None
            path = f"/api/v1/users/{me.items[0].id}/roles"
        answer = await client.list(path, roles_of, ROLES)
    except Refused:
        return None
    return [role for role in answer.items if role.status in {None, "ACTIVE"}]


def sees_all(roles: Sequence[RoleAssignment], settings: Settings) -> bool:
    """Return whether one of the roles is among those that see everything."""
    return any({role.type, role.role} & set(settings.full_view_roles) for role in roles)


async def sight(client: OktaClient, settings: Settings) -> Sight:
    """Ask for the roles of these credentials, and return how far they see by them."""
    roles = await own_roles(client, settings) or ()
    return Sight(sees_all(roles, settings), any(role.type == SUPER_ADMIN for role in roles))
