"""Passwords, factors, tokens, client secrets and keys as credentials. Only what describes them; never a secret."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import UNSET

from reconciler.sdk.records import Credential, CredentialStatus

from .shapes import ApiToken, AppRef, ClientKey, ClientSecret, Factor, RefreshToken, User, utc

FACTOR_STATES: Mapping[str, CredentialStatus] = {
    "ACTIVE": "active",
    "ENROLLED": "active",
    "PENDING_ACTIVATION": "inactive",
    "NOT_SETUP": "inactive",
    "INACTIVE": "inactive",
    "DISABLED": "inactive",
    "EXPIRED": "expired",
}
STATES: Mapping[str, CredentialStatus] = {"ACTIVE": "active", "INACTIVE": "inactive", "REVOKED": "revoked"}
KNOWLEDGE = "question"
"""The one factor type that proves nothing but knowledge, as a password does."""


class Credentials:
    """Makes credential rows of one source."""

    def __init__(self, source: str) -> None:
        self._source = source

    def password(self, user: User) -> Credential | None:
        """Map a user's password; None where Okta keeps none for him, or does not say."""
        if not has_password(user):
            return None
        states: dict[str | None, CredentialStatus] = {"PASSWORD_EXPIRED": "expired", "DEPROVISIONED": "inactive"}
        return Credential(
            source=self._source,
            credential_id=f"{user.id}:password",
            account_id=user.id,
            kind="password",
            status=states.get(user.status, "active"),
            rotated_at=utc(user.password_changed),
        )

    def factor(self, account: str, factor: Factor) -> Credential:
        """Map an enrolled factor."""
        return Credential(
            source=self._source,
            credential_id=f"{account}/{factor.id}",
            account_id=account,
            kind="mfa_factor",
            status=FACTOR_STATES.get(factor.status or ""),
            created_at=utc(factor.created),
        )

    def api_token(self, token: ApiToken) -> Credential:
        """Map an API token; Okta lists only those that work, and has no field for their last use."""
        return Credential(
            source=self._source,
            credential_id=token.id,
            account_id=token.user_id,
            kind="api_token",
            status="active",
            created_at=utc(token.created),
            created_by=token.user_id,
            expires_at=utc(token.expires_at),
        )

    def secret(self, app: AppRef, secret: ClientSecret) -> Credential:
        """Map a client secret, by its description alone."""
        return self._client(app, secret.id, "client_secret", secret)

    def key(self, app: AppRef, key: ClientKey) -> Credential | None:
        """Map a public key that an app authenticates by; None where it has no id of any kind."""
        identity = key.id or key.kid
        return self._client(app, identity, "certificate", key) if identity else None

    def refresh_token(self, app: AppRef, token: RefreshToken) -> Credential:
        """Map a refresh token: it is its user's, issued through the app."""
        return Credential(
            source=self._source,
            credential_id=token.id,
            account_id=token.user_id or _owner(app),
            kind="refresh_token",
            status=STATES.get(token.status or ""),
            created_at=utc(token.created),
            created_by=app.id,
            expires_at=utc(token.expires_at),
        )

    def _client(self, app: AppRef, identity: str, kind: str, thing: ClientSecret | ClientKey) -> Credential:
        return Credential(
            source=self._source,
            credential_id=f"{app.id}/{identity}",
            account_id=_owner(app),
            kind="client_secret" if kind == "client_secret" else "certificate",
            status=STATES.get(thing.status or ""),
            created_at=utc(thing.created),
        )


def has_password(user: User) -> bool | None:
    """Return whether Okta keeps a password for the user; None where it does not say."""
    if user.credentials is None:
        return None
    return user.credentials.password is not UNSET and user.credentials.password is not None


def enrolled(factors: Iterable[Factor]) -> bool:
    """Return whether a second factor is enrolled and works: any but the security question."""
    return any(one.status in {"ACTIVE", "ENROLLED"} and one.factor_type != KNOWLEDGE for one in factors)


def _owner(app: AppRef) -> str | None:
    """Return the account of an app: only one that acts for itself is an account."""
    return app.id if app.is_service else None
