"""Who asks, and what they may see: SSWS tokens, OAuth 2.0 service apps with private_key_jwt, scopes and admin roles."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import jwt
from aiohttp import web

from reconciler.clock import monotonic, now
from tests.simulators.okta.errors import refused
from tests.simulators.okta.rows import Row

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_DENIED_TO = {
    "SUPER_ADMIN": (),
    "READ_ONLY_ADMIN": (r"^/api/v1/iam/", r"^/api/v1/(users|groups)/[^/]+/roles", r"^/oauth2/v1/clients/"),
    "": (
        r"^/api/v1/(iam/|logs|api-tokens|groups/rules)",
        r"^/api/v1/(users|groups)/[^/]+/roles",
        r"^/oauth2/v1/clients/",
    ),
}
"""Paths that an admin role may not read at all; other roles are as READ_ONLY_ADMIN."""


@dataclass(frozen=True)
class Principal:
    """What a token's holder may see.

    ``role`` empty is nobody's admin: lists answer 200 with nothing in them. ``scopes`` None is an API token, which
    has all the rights of its user ``user_id``. ``denied`` are further paths (regular expressions) that answer 403,
    ``sees`` the only users it may see (None: all of them).
    """

    role: str = "SUPER_ADMIN"
    scopes: frozenset[str] | None = None
    user_id: str = ""
    denied: Sequence[str] = ()
    sees: frozenset[str] | None = None

    def may(self, path: str) -> bool:
        """Say whether the role may ask for this path at all."""
        patterns = (*_DENIED_TO.get(self.role, _DENIED_TO["READ_ONLY_ADMIN"]), *self.denied)
        return not any(re.search(pattern, path) for pattern in patterns)


@dataclass(frozen=True)
class ServiceApp:
    """An OAuth client for the client-credentials flow: its public keys by ``kid``, consented scopes, admin role."""

    keys: Mapping[str, Row]
    scopes: frozenset[str]
    role: str = "SUPER_ADMIN"
    denied: Sequence[str] = ()
    sees: frozenset[str] | None = None
    seconds: int = 3600
    """How long an access token lives."""
    dpop: bool = False
    """Whether the app demands proof of possession."""


@dataclass
class Gate:
    """Checks every request's credentials. API tokens and clients may be changed while it is served."""

    tokens: dict[str, Principal]
    clients: dict[str, ServiceApp]
    issued: list[str] = field(default_factory=list)
    """Every access token handed out so far."""
    _alive: dict[str, tuple[float, Principal]] = field(default_factory=dict)
    _used: set[str] = field(default_factory=set)

    def admit(self, request: web.Request, scope: str) -> Principal:
        """Return who asks; answers 401 for bad credentials and 403 for a scope or a right that is missing."""
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        principal = self.tokens.get(secret) if scheme == "SSWS" else None
        if scheme == "Bearer" and secret in self._alive:
            end, principal = self._alive[secret]
            principal = principal if monotonic() < end else None
        if principal is None:
            challenge = 'Bearer error="invalid_token", error_description="The token has expired."'
            raise refused(401, headers={"WWW-Authenticate": challenge} if scheme == "Bearer" else None)
        if principal.scopes is not None and scope not in principal.scopes:
            challenge = (
                f'Bearer authorization_uri="{request.scheme}://{request.host}/oauth2/v1/authorize", scope="{scope}", '
                'error="insufficient_scope", error_description="The access token provided does not contain the '
                'required scopes."'
            )
            raise refused(403, headers={"WWW-Authenticate": challenge})
        if not principal.may(request.path):
            raise refused(403)
        return principal

    def revoke_all(self) -> None:
        """Let every access token expire now."""
        self._alive.clear()

    async def token(self, request: web.Request, url: str) -> web.Response:  # noqa: PLR0911 - one return per refusal
        """Answer the token endpoint: client credentials with a signed assertion (RFC 7523), nothing else."""
        form = await request.post()
        if form.get("grant_type") != "client_credentials":
            return _oauth_error(400, "unsupported_grant_type", "The authorization grant type is not supported.")
        if form.get("client_assertion_type") != _ASSERTION_TYPE:
            return _oauth_error(401, "invalid_client", "No client credentials found.")
        assertion = str(form.get("client_assertion", ""))
        try:
            client_id, client = self._verified(assertion, url)
        except (jwt.PyJWTError, KeyError, ValueError):
            return _oauth_error(401, "invalid_client", "The client_assertion is invalid.")
        if client.dpop and "DPoP" not in request.headers:
            return _oauth_error(400, "invalid_dpop_proof", "The DPoP proof JWT header is missing.")
        wanted = frozenset(str(form.get("scope", "")).split())
        if not wanted:
            return _oauth_error(400, "invalid_scope", "The 'scope' parameter must be provided.")
        if not wanted <= client.scopes:
            return _oauth_error(400, "invalid_scope", "One or more scopes are not configured for the client.")
        secret = "eyJraWQiOiJzaW0i." + secrets.token_urlsafe(60)
        principal = Principal(client.role, wanted, client_id, client.denied, client.sees)
        self._alive[secret] = (monotonic() + client.seconds, principal)
        self.issued.append(secret)
        answer = {
            "token_type": "Bearer",
            "expires_in": client.seconds,
            "access_token": secret,
            "scope": " ".join(sorted(wanted)),
        }
        return web.json_response(answer, headers={"Cache-Control": "no-store"})

    def _verified(self, assertion: str, url: str) -> tuple[str, ServiceApp]:
        """Return the client that signed the assertion; raises for every defect of it."""
        claimed = jwt.decode(assertion, options={"verify_signature": False})
        client_id = str(claimed["iss"])
        client = self.clients[client_id]
        header = jwt.get_unverified_header(assertion)
        key = client.keys[header["kid"]] if "kid" in header else next(iter(client.keys.values()))
        claims: dict[str, Any] = jwt.decode(
            assertion,
            jwt.PyJWK(key, algorithm=header["alg"]),
            algorithms=["RS256", "RS384", "RS512", "ES256", "ES384", "ES512"],
            audience=url,
            options={"require": ["exp", "iss", "sub", "aud"]},
        )
        too_long = claims["exp"] > (now() + timedelta(minutes=61)).timestamp()
        used = claims.get("jti")
        if claims["sub"] != client_id or too_long or (used is not None and used in self._used):
            raise ValueError(client_id)
        if used is not None:
            self._used.add(used)
        return client_id, client


def _oauth_error(status: int, error: str, description: str) -> web.Response:
    return web.json_response({"error": error, "error_description": description}, status=status)
