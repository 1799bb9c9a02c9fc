"""What proves an account: passwords, client secrets, certificates, registered methods, to credentials. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from reconciler.sdk.records import Credential, CredentialKind, CredentialStatus

from .shapes import Application, KeyCredential, Method, PasswordCredential, ServicePrincipal, User, utc

_METHOD = "#microsoft.graph."
FACTORS = frozenset(
    {
        "phoneAuthenticationMethod",
        "fido2AuthenticationMethod",
        "microsoftAuthenticatorAuthenticationMethod",
        "softwareOathAuthenticationMethod",
        "hardwareOathAuthenticationMethod",
        "windowsHelloForBusinessAuthenticationMethod",
        "temporaryAccessPassAuthenticationMethod",
        "platformCredentialAuthenticationMethod",
        "externalAuthenticationMethod",
        "qrCodePinAuthenticationMethod",
    }
)
"""Types of registered methods that are a factor beside the password."""
PASSWORD = "passwordAuthenticationMethod"  # noqa: S105 -- the name of a type


def password_row(source: str, user: User) -> Credential | None:
    """Map a member's password; None for a guest, whose password is not here.

    Entra keeps one password for every member and says when it was set, not whether anybody knows it. It works as
    long as the account is enabled.
    """
    if is_foreign(user):
        return None
    enabled = user.account_enabled
    changed = utc(user.last_password_change_date_time)
    return Credential(
        source=source,
        credential_id=f"{user.id}/password",
        account_id=user.id,
        kind="password",
        status=None if enabled is None else ("active" if enabled else "inactive"),
        created_at=utc(user.created_date_time),
        rotated_at=changed,
    )


def is_foreign(user: User) -> bool:
    """Return whether somebody else's directory proves who the user is."""
    return user.external_user_state is not None or "#ext#" in (user.user_principal_name or "").lower()


def application_rows(
    source: str, item: Application | ServicePrincipal, account_id: str | None, now: datetime
) -> Iterator[Credential]:
    """Map the secrets and certificates of a registration or service principal to those of ``account_id``."""
    for secret in item.password_credentials or ():
        yield _row(source, item.id, account_id, "client_secret", secret, now)
    for certificate in item.key_credentials or ():
        yield _row(source, item.id, account_id, "certificate", certificate, now)


def method_row(source: str, user: str, method: Method) -> Credential | None:
    """Map a registered method; None for the password, which is read with its date elsewhere.

    A method of a type that is not known, and the mail address that only resets passwords, have no kind.
    """
    name = (method.type or "").removeprefix(_METHOD)
    if name == PASSWORD:
        return None
    created, starts = utc(method.created_date_time), utc(method.start_date_time)
    lifetime = method.lifetime_in_minutes
    return Credential(
        source=source,
        credential_id=f"{user}/{method.id}",
        account_id=user,
        kind="mfa_factor" if name in FACTORS else None,
        status="inactive" if method.is_usable is False else "active",
        created_at=created,
        expires_at=starts + timedelta(minutes=lifetime) if starts is not None and lifetime is not None else None,
        last_used_at=utc(method.last_used_date_time),
        last_used_basis="lastUsedDateTime of the method" if method.last_used_date_time is not None else None,
    )


def works(start: datetime | None, end: datetime | None, now: datetime) -> CredentialStatus | None:
    """Return the status that the dates of a credential give; None where its end is not known."""
    if end is None:
        return None
    if end <= now:
        return "expired"
    return "inactive" if start is not None and start > now else "active"


def _row(  # noqa: PLR0917 -- whose, of what kind, and when
    source: str,
    holder: str,
    account_id: str | None,
    kind: CredentialKind,
    found: PasswordCredential | KeyCredential,
    now: datetime,
) -> Credential:
    start, end = utc(found.start_date_time), utc(found.end_date_time)
    usage = f"/{found.usage}" if isinstance(found, KeyCredential) and found.usage else ""
    return Credential(
        source=source,
        credential_id=f"{holder}/{kind}/{found.key_id}{usage}",
        account_id=account_id,
        kind=kind,
        status=works(start, end, now),
        created_at=start,
        expires_at=end,
        rotated_at=start,
    )
