"""Okta's JSON for each kind of object, field by field as the Management API's specification has it.

``BASE`` stands for the org's URL; the server puts its own in its place when it writes an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.simulators.okta.rows import Row

BASE = "https://okta.placeholder.invalid"
USER_TYPE = "oty1simdefault000000"
_BEGIN = datetime(2021, 1, 1, tzinfo=UTC)


def stamp(moment: datetime) -> str:
    """Return Okta's form of an instant: milliseconds and Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def day(number: float) -> str:
    """Return the instant so many days after 2021-01-01, for made-up data."""
    return stamp(_BEGIN + timedelta(days=number))


def href(path: str) -> dict[str, str]:
    """Return a HAL link below the org's URL."""
    return {"href": BASE + path}


def user(
    user_id: str,
    login: str,
    *,
    status: str = "ACTIVE",
    first: str = "Ada",
    last: str = "Okt",
    created: str = day(10),
    last_login: str | None = None,
    profile: Row | None = None,
    **fields: Any,
) -> Row:
    """Return a user as in a list; ``profile`` adds to or replaces profile fields, ``fields`` top-level ones."""
    waiting = status == "STAGED"
    row: Row = {
        "id": user_id,
        "status": status,
        "created": created,
        "activated": None if waiting else created,
        "statusChanged": None if waiting else created,
        "lastLogin": last_login,
        "lastUpdated": created,
        "passwordChanged": None if waiting else created,
        "type": {"id": USER_TYPE},
        "profile": {
            "firstName": first,
            "lastName": last,
            "mobilePhone": None,
            "secondEmail": None,
            "login": login,
            "email": login,
        }
        | (profile or {}),
        "credentials": {
            **({} if waiting else {"password": {}}),
            "emails": [{"value": login, "status": "VERIFIED", "type": "PRIMARY"}],
            "provider": {"type": "OKTA", "name": "OKTA"},
        },
        "_links": {"self": href(f"/api/v1/users/{user_id}")},
    }
    return row | fields


def group(group_id: str, name: str, *, kind: str = "OKTA_GROUP", description: str | None = None, **fields: Any) -> Row:
    """Return a group; ``kind`` is OKTA_GROUP, APP_GROUP or BUILT_IN."""
    windows = kind == "APP_GROUP"
    base = f"/api/v1/groups/{group_id}"
    row: Row = {
        "id": group_id,
        "created": day(1),
        "lastUpdated": day(2),
        "lastMembershipUpdated": day(3),
        "objectClass": ["okta:windows_security_principal" if windows else "okta:user_group"],
        "type": kind,
        "profile": {"name": name, "description": description},
        "_links": {
            "logo": [
                {"name": "medium", "href": f"{BASE}/assets/img/logos/groups/odyssey.svg", "type": "image/svg+xml"}
            ],
            "users": href(f"{base}/users"),
            "apps": href(f"{base}/apps"),
        },
    }
    return row | fields


def rule(
    rule_id: str,
    name: str,
    expression: str,
    groups: Sequence[str],
    *,
    status: str = "ACTIVE",
    without: Sequence[str] = (),
) -> Row:
    """Return a group rule that assigns users who meet ``expression`` to ``groups``."""
    return {
        "type": "group_rule",
        "id": rule_id,
        "status": status,
        "name": name,
        "created": day(4),
        "lastUpdated": day(5),
        "conditions": {
            "people": {"users": {"exclude": list(without)}, "groups": {"exclude": []}},
            "expression": {"value": expression, "type": "urn:okta:expression:1.0"},
        },
        "actions": {"assignUserToGroups": {"groupIds": list(groups)}},
        "_embedded": {},
    }


def app(
    app_id: str,
    label: str,
    *,
    name: str = "bookmark",
    mode: str = "SAML_2_0",
    status: str = "ACTIVE",
    oauth: Row | None = None,
    client: Row | None = None,
    **fields: Any,
) -> Row:
    """Return an app instance; for OPENID_CONNECT, ``oauth`` is settings.oauthClient and ``client`` its credentials."""
    base = f"/api/v1/apps/{app_id}"
    row: Row = {
        "id": app_id,
        "orn": f"orn:okta:idp:00o1sim0000000000org:apps:{name}:{app_id}",
        "name": name,
        "label": label,
        "status": status,
        "lastUpdated": day(7),
        "created": day(6),
        "accessibility": {"selfService": False, "errorRedirectUrl": None, "loginRedirectUrl": None},
        "visibility": {"autoSubmitToolbar": False, "hide": {"iOS": False, "web": False}, "appLinks": {"login": True}},
        "features": [],
        "signOnMode": mode,
        "credentials": {
            "userNameTemplate": {"template": "${source.login}", "type": "BUILT_IN"},
            "signing": {"kid": f"kid-{app_id}"},
        },
        "settings": {"app": {}, "notes": {"admin": None, "enduser": None}},
        "_links": {"users": href(f"{base}/users"), "groups": href(f"{base}/groups"), "self": href(base)},
    }
    if mode == "OPENID_CONNECT":
        row["credentials"]["oauthClient"] = {
            "autoKeyRotation": True,
            "client_id": app_id,
            "token_endpoint_auth_method": "client_secret_basic",
            "pkce_required": False,
        } | (client or {})
        row["settings"]["oauthClient"] = {
            "redirect_uris": [],
            "response_types": ["code"],
            "grant_types": ["authorization_code"],
            "application_type": "web",
            "consent_method": "TRUSTED",
            "issuer_mode": "DYNAMIC",
        } | (oauth or {})
    return row | fields


def service_app(app_id: str, label: str, *, keys: Sequence[Row] = (), status: str = "ACTIVE") -> Row:
    """Return an API service app: client credentials, a key or a secret, no users."""
    oauth: Row = {"response_types": ["token"], "grant_types": ["client_credentials"], "application_type": "service"}
    method = "private_key_jwt" if keys else "client_secret_basic"
    if keys:
        oauth["jwks"] = {"keys": list(keys)}
    return app(
        app_id,
        label,
        name="oidc_client",
        mode="OPENID_CONNECT",
        status=status,
        oauth=oauth,
        client={"token_endpoint_auth_method": method},
    )


def app_user(
    app_id: str, user_id: str, login: str, *, scope: str = "USER", status: str = "ACTIVE", **fields: Any
) -> Row:
    """Return the assignment of a user to an app; ``scope`` is USER or GROUP."""
    row: Row = {
        "id": user_id,
        "externalId": None,
        "created": day(20),
        "lastUpdated": day(21),
        "scope": scope,
        "status": status,
        "statusChanged": day(20),
        "passwordChanged": None,
        "syncState": "DISABLED",
        "credentials": {"userName": login},
        "profile": {},
        "_links": {"app": href(f"/api/v1/apps/{app_id}"), "user": href(f"/api/v1/users/{user_id}")},
    }
    return row | fields


def app_group(app_id: str, group_id: str, priority: int = 0) -> Row:
    """Return the assignment of a group to an app."""
    return {
        "id": group_id,
        "lastUpdated": day(22),
        "priority": priority,
        "profile": {},
        "_links": {
            "app": href(f"/api/v1/apps/{app_id}"),
            "self": href(f"/api/v1/apps/{app_id}/groups/{group_id}"),
            "group": href(f"/api/v1/groups/{group_id}"),
        },
    }


def app_link(app_row: Row, user_id: str, number: int) -> Row:
    """Return a user's link to an assigned app."""
    app_id = app_row["id"]
    return {
        "id": f"00ub{number:016d}",
        "label": app_row["label"],
        "linkUrl": f"{BASE}/home/{app_row['name']}/{app_id}/1",
        "logoUrl": f"{BASE}/img/logos/{app_row['name']}.png",
        "appName": app_row["name"],
        "appInstanceId": app_id,
        "appAssignmentId": f"0ua{user_id[3:]}",
        "credentialsSetup": False,
        "hidden": False,
        "sortOrder": number,
    }


def factor(
    factor_id: str,
    kind: str,
    provider: str = "OKTA",
    *,
    status: str = "ACTIVE",
    user_id: str,
    profile: Row | None = None,
) -> Row:
    """Return an enrolled factor; ``kind`` is a factorType such as push, sms, webauthn, token:software:totp."""
    return {
        "id": factor_id,
        "factorType": kind,
        "provider": provider,
        "vendorName": provider,
        "status": status,
        "created": day(30),
        "lastUpdated": day(31),
        "profile": profile or {},
        "_links": {
            "self": href(f"/api/v1/users/{user_id}/factors/{factor_id}"),
            "user": href(f"/api/v1/users/{user_id}"),
        },
    }


def scope_grant(
    grant_id: str, scope: str, client_id: str, *, user_id: str | None = None, status: str = "ACTIVE"
) -> Row:
    """Return the consent to a scope: an end user's for a client; without ``user_id`` an admin's for a service app."""
    row: Row = {
        "id": grant_id,
        "status": status,
        "created": day(40),
        "createdBy": {"id": user_id or "00u1simadmin00000000", "type": "User"},
        "lastUpdated": day(40),
        "issuer": BASE,
        "clientId": client_id,
        "scopeId": scope,
        "source": "END_USER" if user_id else "ADMIN",
        "_embedded": {"scope": {"id": scope}},
        "_links": {
            "self": href(f"/api/v1/apps/{client_id}/grants/{grant_id}"),
            "app": href(f"/api/v1/apps/{client_id}"),
        },
    }
    return row | ({"userId": user_id} if user_id else {})


def refresh_token(token_id: str, client_id: str, user_id: str, *, scopes: Sequence[str] = ("offline_access",)) -> Row:
    """Return a refresh token's metadata; the token itself is never listed."""
    return {
        "id": token_id,
        "status": "ACTIVE",
        "created": day(50),
        "lastUpdated": day(51),
        "expiresAt": day(3650),
        "issuer": f"{BASE}/oauth2/default",
        "clientId": client_id,
        "userId": user_id,
        "scopes": list(scopes),
        "_embedded": {"scopes": []},
        "_links": {"self": href(f"/api/v1/users/{user_id}/clients/{client_id}/tokens/{token_id}")},
    }


def client(client_id: str, name: str) -> Row:
    """Return an OAuth client that a user has grants or tokens for."""
    return {
        "client_id": client_id,
        "client_name": name,
        "client_uri": None,
        "logo_uri": None,
        "_links": {"tokens": href(f"/api/v1/users/clients/{client_id}/tokens")},
    }


def client_secret(secret_id: str, *, secret: str, status: str = "ACTIVE", created: str = day(60)) -> Row:
    """Return a client secret; Okta lists the secret itself."""
    return {
        "id": secret_id,
        "status": status,
        "client_secret": secret,
        "secret_hash": "yk4SVx4sUWVJVbHt6M-UPA",
        "created": created,
        "lastUpdated": created,
        "_links": {},
    }


def registered_key(key_id: str, jwk: Row, *, status: str = "ACTIVE", created: str = day(61)) -> Row:
    """Return a registered JSON Web Key; ``jwk`` is its public half."""
    return {
        "id": key_id,
        "created": created,
        "lastUpdated": created,
        "status": status,
        "alg": "RS256",
        "use": "sig",
        "_links": {},
    } | jwk


def role(
    assignment_id: str, kind: str, assignee: str, *, assignment: str = "USER", status: str = "ACTIVE", label: str = ""
) -> Row:
    """Return the assignment of a standard admin role; ``assignee`` is the path of who holds it, without /api/v1."""
    return {
        "id": assignment_id,
        "label": label or kind.replace("_", " ").title().replace("Admin", "Administrator"),
        "type": kind,
        "status": status,
        "created": day(70),
        "lastUpdated": day(70),
        "assignmentType": assignment,
        "_links": {"assignee": href("/api/v1" + assignee if not assignee.startswith("/oauth2") else assignee)},
    }


def custom_role(
    assignment_id: str, role_id: str, label: str, resource_set: str, assignee: str, *, assignment: str = "USER"
) -> Row:
    """Return the assignment of a custom admin role over a resource set."""
    links = {
        "role": href(f"/api/v1/iam/roles/{role_id}"),
        "resource-set": href(f"/api/v1/iam/resource-sets/{resource_set}"),
        "permissions": href(f"/api/v1/iam/roles/{role_id}/permissions"),
        "member": href(f"/api/v1/iam/resource-sets/{resource_set}/bindings/{role_id}/members/{assignment_id}"),
    }
    row = role(assignment_id, "CUSTOM", assignee, assignment=assignment, label=label)
    row |= {"role": role_id, "resource-set": resource_set}
    row["_links"] |= links
    return row


def iam_role(role_id: str, label: str, description: str) -> Row:
    """Return a custom role's definition."""
    base = f"/api/v1/iam/roles/{role_id}"
    return {
        "id": role_id,
        "label": label,
        "description": description,
        "created": day(71),
        "lastUpdated": day(71),
        "_links": {"permissions": href(f"{base}/permissions"), "self": href(base)},
    }


def permission(label: str, role_id: str) -> Row:
    """Return one permission of a custom role."""
    base = f"/api/v1/iam/roles/{role_id}"
    return {
        "label": label,
        "created": day(71),
        "lastUpdated": day(71),
        "conditions": None,
        "_links": {"role": href(base), "self": href(f"{base}/permissions/{label}")},
    }


def resource_set(set_id: str, label: str, description: str) -> Row:
    """Return a resource set."""
    base = f"/api/v1/iam/resource-sets/{set_id}"
    return {
        "id": set_id,
        "label": label,
        "description": description,
        "created": day(72),
        "lastUpdated": day(72),
        "_links": {"self": href(base), "resources": href(f"{base}/resources"), "bindings": href(f"{base}/bindings")},
    }


def resource(resource_id: str, path: str, kind: str) -> Row:
    """Return one resource of a resource set; ``path`` is the object or collection, ``kind`` such as users, groups."""
    return {
        "id": resource_id,
        "orn": f"orn:okta:directory:00o1sim0000000000org:{kind}",
        "created": day(72),
        "lastUpdated": day(72),
        "conditions": None,
        "_links": {kind: href(path)},
    }


def binding(set_id: str, role_id: str) -> Row:
    """Return the binding of a role to a resource set."""
    base = f"/api/v1/iam/resource-sets/{set_id}/bindings/{role_id}"
    return {"id": role_id, "_links": {"self": href(base), "members": href(f"{base}/members")}}


def binding_member(member_id: str, path: str) -> Row:
    """Return a member of a binding; ``path`` leads to the user, group or client."""
    return {"id": member_id, "created": day(73), "lastUpdated": day(73), "_links": {"self": href(path)}}


def assignee(user_id: str) -> Row:
    """Return a user who holds an admin role."""
    base = f"/api/v1/users/{user_id}"
    return {
        "id": user_id,
        "orn": f"orn:okta:directory:00o1sim0000000000org:users:{user_id}",
        "_links": {"self": href(base), "roles": href(f"{base}/roles")},
    }


def api_token(token_id: str, name: str, user_id: str, *, expires: str = day(3650), client: str = "Okta API") -> Row:
    """Return an API token's metadata."""
    return {
        "name": name,
        "userId": user_id,
        "tokenWindow": "P30D",
        "id": token_id,
        "clientName": client,
        "expiresAt": expires,
        "created": day(80),
        "lastUpdated": day(81),
        "network": {"connection": "ANYWHERE"},
        "_link": {"self": href(f"/api/v1/api-tokens/{token_id}")},
    }


def event(
    uuid: str,
    published: str,
    kind: str,
    *,
    actor: Row,
    targets: Sequence[Row] = (),
    result: str = "SUCCESS",
    message: str = "",
    **fields: Any,
) -> Row:
    """Return an event of the System Log."""
    row: Row = {
        "actor": actor,
        "client": {
            "userAgent": {"rawUserAgent": "Mozilla/5.0", "os": "Mac OS X", "browser": "CHROME"},
            "zone": "null",
            "device": "Computer",
            "id": None,
            "ipAddress": "198.51.100.7",
            "geographicalContext": {"city": "Basel", "state": None, "country": "Switzerland", "postalCode": "4051"},
        },
        "device": None,
        "authenticationContext": {
            "authenticationProvider": None,
            "credentialProvider": None,
            "credentialType": None,
            "issuer": None,
            "interface": None,
            "authenticationStep": 0,
            "externalSessionId": "unknown",
        },
        "displayMessage": message or kind,
        "eventType": kind,
        "outcome": {"result": result, "reason": None},
        "published": published,
        "securityContext": {"asNumber": None, "asOrg": None, "isp": None, "domain": None, "isProxy": None},
        "severity": "INFO",
        "debugContext": {"debugData": {"requestUri": "/api/v1/users"}},
        "legacyEventType": None,
        "transaction": {"type": "WEB", "id": f"tx-{uuid}", "detail": {}},
        "uuid": uuid,
        "version": "0",
        "request": {"ipChain": [{"ip": "198.51.100.7", "geographicalContext": None, "version": "V4", "source": None}]},
        "target": list(targets) or None,
    }
    return row | fields


def party(party_id: str, kind: str, name: str, login: str = "") -> Row:
    """Return an actor or a target of an event; ``kind`` such as User, UserGroup, AppInstance, PublicClientApp."""
    return {"id": party_id, "type": kind, "alternateId": login or "unknown", "displayName": name, "detailEntry": None}
