"""The endpoints that are plain lists or single objects: path, scope, page size, and how the next page is named."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A list: its path below /api/v1, the scope it needs, the page size by default and at most.

    ``key`` names the list in the body of endpoints that carry their next link there; empty: the body is the list
    and links stand in headers. ``most`` 0 is a list that is never paged.
    """

    path: str
    scope: str
    default: int = 0
    most: int = 0
    key: str = ""


LISTS = (
    Endpoint("groups/rules", "okta.groups.read", 50, 200),
    Endpoint("groups/{group}/users", "okta.groups.read", 1000, 1000),
    Endpoint("groups/{group}/owners", "okta.groups.read", 1000, 1000),
    Endpoint("groups/{group}/apps", "okta.groups.read", 20, 200),
    Endpoint("groups/{group}/roles", "okta.roles.read"),
    Endpoint("groups/{group}/roles/{role}/targets/groups", "okta.roles.read", 20, 200),
    Endpoint("groups/{group}/roles/{role}/targets/catalog/apps", "okta.roles.read", 20, 200),
    Endpoint("apps/{app}/users", "okta.apps.read", 50, 500),
    Endpoint("apps/{app}/groups", "okta.apps.read", 20, 200),
    Endpoint("apps/{app}/grants", "okta.appGrants.read"),
    Endpoint("apps/{app}/tokens", "okta.apps.read", 20, 200),
    Endpoint("apps/{app}/credentials/secrets", "okta.apps.read"),
    Endpoint("apps/{app}/credentials/jwks", "okta.apps.read"),
    Endpoint("users/{user}/groups", "okta.users.read"),
    Endpoint("users/{user}/appLinks", "okta.users.read"),
    Endpoint("users/{user}/factors", "okta.users.read"),
    Endpoint("users/{user}/devices", "okta.users.read"),
    Endpoint("users/{user}/grants", "okta.users.read", 20, 200),
    Endpoint("users/{user}/clients", "okta.users.read"),
    Endpoint("users/{user}/clients/{client}/grants", "okta.users.read", 20, 200),
    Endpoint("users/{user}/clients/{client}/tokens", "okta.users.read", 20, 200),
    Endpoint("users/{user}/roles", "okta.roles.read"),
    Endpoint("users/{user}/roles/{role}/targets/groups", "okta.roles.read", 20, 200),
    Endpoint("users/{user}/roles/{role}/targets/catalog/apps", "okta.roles.read", 20, 200),
    Endpoint("iam/assignees/users", "okta.roles.read", 100, 200, "value"),
    Endpoint("iam/roles", "okta.roles.read", 100, 100, "roles"),
    Endpoint("iam/roles/{role}/permissions", "okta.roles.read", 0, 0, "permissions"),
    Endpoint("iam/resource-sets", "okta.roles.read", 100, 100, "resource-sets"),
    Endpoint("iam/resource-sets/{set}/resources", "okta.roles.read", 100, 100, "resources"),
    Endpoint("iam/resource-sets/{set}/bindings", "okta.roles.read", 100, 100, "roles"),
    Endpoint("iam/resource-sets/{set}/bindings/{role}/members", "okta.roles.read", 100, 100, "members"),
    Endpoint("api-tokens", "okta.apiTokens.read"),
)
"""Every list that needs no code of its own; lists of clients' roles stand below /oauth2/v1."""

OBJECTS = (
    Endpoint("groups/rules/{rule}", "okta.groups.read"),
    Endpoint("groups/{group}", "okta.groups.read"),
    Endpoint("apps/{app}", "okta.apps.read"),
    Endpoint("iam/roles/{role}", "okta.roles.read"),
    Endpoint("iam/resource-sets/{set}", "okta.roles.read"),
    Endpoint("api-tokens/{token}", "okta.apiTokens.read"),
)
"""Single objects of a collection."""
