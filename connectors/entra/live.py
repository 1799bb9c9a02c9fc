"""Every class of credentials of an account that was just read. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from reconciler.sdk.connector import LiveCredentials, Presence
from reconciler.sdk.records import CredentialKind

from . import shapes
from .proofs import FACTORS, PASSWORD, is_foreign, works

ACCESS_TOKENS = "access tokens that were issued work on for about an hour (60 to 90 minutes), or up to 28 hours with "
ACCESS_TOKENS += "continuous access evaluation, which then stops them within minutes"
_UNLISTED = "Microsoft Graph never lists them"
_PREFIX = "#microsoft.graph."


def user_credentials(
    user: shapes.User,
    account: Presence,
    methods: Sequence[shapes.Method] | str,
    consents: Sequence[shapes.Consent] | str,
) -> tuple[LiveCredentials, ...]:
    """Return a user's classes; ``methods`` and ``consents`` that could not be read say in words why."""
    return (
        _password(user, account, methods),
        _factors(user, account, methods),
        _absent_for_users("client_secret", account),
        _absent_for_users("certificate", account),
        LiveCredentials("session", Presence.NOT_EVALUABLE, reason=_sessions(user), lag=ACCESS_TOKENS),
        _refresh(user, consents),
    )


def application_credentials(
    item: shapes.ServicePrincipal, registered: shapes.Application | str | None, account: Presence, now: datetime
) -> tuple[LiveCredentials, ...]:
    """Return a service principal's classes, its own and its registration's.

    ``registered`` is None where this tenant holds no registration of it: its owner's tenant keeps those secrets.
    """
    elsewhere = ""
    holders: list[shapes.ServicePrincipal | shapes.Application] = [item]
    if isinstance(registered, shapes.Application):
        holders.append(registered)
    elif registered is None and item.service_principal_type in {None, "Application"}:
        elsewhere = (
            "its registration is in another tenant, which keeps further credentials that cannot be seen from here"
        )
    elif isinstance(registered, str):
        elsewhere = f"its registration could not be read: {registered}"
    lag = "access tokens that were issued work on for about an hour, or up to 24 hours"
    secrets = [one for holder in holders for one in holder.password_credentials or ()]
    keys = [one for holder in holders for one in holder.key_credentials or ()]
    return (
        _dated("client_secret", secrets, account, elsewhere, lag, now),
        _dated("certificate", keys, account, elsewhere, lag, now),
        LiveCredentials("session", Presence.NOT_EVALUABLE, reason=f"access tokens: {_UNLISTED}", lag=lag),
        LiveCredentials("password", Presence.GONE, reason="a service principal has none"),
        LiveCredentials("mfa_factor", Presence.GONE, reason="a service principal has none"),
        LiveCredentials("refresh_token", Presence.GONE, reason="applications get none for themselves"),
    )


def _password(user: shapes.User, account: Presence, methods: Sequence[shapes.Method] | str) -> LiveCredentials:
    if account is Presence.GONE:
        return LiveCredentials("password", Presence.GONE, reason="it went with the account")
    if account is Presence.NOT_EVALUABLE:
        return LiveCredentials("password", Presence.NOT_EVALUABLE, reason="whether the account is enabled is not known")
    if is_foreign(user):
        return LiveCredentials("password", Presence.GONE, reason="a guest's password is in his home directory")
    ids = (f"{user.id}/password",)
    listed = not isinstance(methods, str) and any((one.type or "") == _PREFIX + PASSWORD for one in methods)
    changed = shapes.utc(user.last_password_change_date_time)
    basis = "listed among the methods" if listed else "every member has one"
    reason = f"{basis}; last set {changed.isoformat() if changed is not None else 'at an unknown time'}"
    presence = Presence.PRESENT if account is Presence.PRESENT else Presence.DISABLED
    return LiveCredentials("password", presence, ids, reason, lag=ACCESS_TOKENS)


def _factors(user: shapes.User, account: Presence, methods: Sequence[shapes.Method] | str) -> LiveCredentials:
    if account is Presence.GONE:
        return LiveCredentials("mfa_factor", Presence.GONE, reason="they went with the account")
    if isinstance(methods, str):
        return LiveCredentials("mfa_factor", Presence.NOT_EVALUABLE, reason=methods)
    factors = [one for one in methods if (one.type or "").removeprefix(_PREFIX) in FACTORS]
    strange = [one.type or "no type" for one in methods if (one.type or "").removeprefix(_PREFIX) not in _KNOWN]
    ids = tuple(f"{user.id}/{one.id}" for one in factors)
    if strange:
        reason = f"methods of types that are not known: {', '.join(sorted(strange))}"
        return LiveCredentials("mfa_factor", Presence.NOT_EVALUABLE, ids, reason)
    if not factors:
        return LiveCredentials("mfa_factor", Presence.GONE, reason="no method is registered")
    if account is Presence.NOT_EVALUABLE:
        return LiveCredentials("mfa_factor", Presence.NOT_EVALUABLE, ids, "whether the account is enabled is not known")
    usable = account is Presence.PRESENT and any(one.is_usable is not False for one in factors)
    return LiveCredentials("mfa_factor", Presence.PRESENT if usable else Presence.DISABLED, ids)


_KNOWN = FACTORS | {PASSWORD, "emailAuthenticationMethod"}


def _absent_for_users(kind: CredentialKind, account: Presence) -> LiveCredentials:
    if account is Presence.NOT_EVALUABLE:
        return LiveCredentials(kind, Presence.NOT_EVALUABLE, reason="what the account is could not be told")
    return LiveCredentials(kind, Presence.GONE, reason="Entra keeps none for a user")


def _sessions(user: shapes.User) -> str:
    since = shapes.utc(user.sign_in_sessions_valid_from_date_time)
    told = (
        ""
        if since is None
        else f"; those from before {since.isoformat()} were revoked (signInSessionsValidFromDateTime)"
    )
    return f"sessions: {_UNLISTED}{told}"


def _refresh(user: shapes.User, consents: Sequence[shapes.Consent] | str) -> LiveCredentials:
    since = shapes.utc(user.sign_in_sessions_valid_from_date_time)
    told = (
        ""
        if since is None
        else f"; those from before {since.isoformat()} were revoked (signInSessionsValidFromDateTime)"
    )
    if isinstance(consents, str):
        ids: tuple[str, ...] = ()
        granted = f"; consents could not be read: {consents}"
    else:
        ids = tuple(one.id for one in consents)
        granted = f"; {len(ids)} delegated consents stand, through which applications may hold some" if ids else ""
    reason = f"refresh tokens: {_UNLISTED}{told}{granted}"
    return LiveCredentials("refresh_token", Presence.NOT_EVALUABLE, ids, reason, ACCESS_TOKENS)


def _dated(  # noqa: PLR0917 -- one class and what it rests on
    kind: CredentialKind,
    found: Sequence[shapes.PasswordCredential] | Sequence[shapes.KeyCredential],
    account: Presence,
    elsewhere: str,
    lag: str,
    now: datetime,
) -> LiveCredentials:
    ids = tuple(one.key_id for one in found)
    states = [works(shapes.utc(one.start_date_time), shapes.utc(one.end_date_time), now) for one in found]
    if account is Presence.NOT_EVALUABLE:
        return LiveCredentials(kind, Presence.NOT_EVALUABLE, ids, "whether the account is enabled is not known", lag)
    if account is Presence.PRESENT and ("active" in states or None in states):
        return LiveCredentials(kind, Presence.PRESENT, ids, elsewhere, lag)
    if account is Presence.PRESENT and elsewhere:
        return LiveCredentials(kind, Presence.NOT_EVALUABLE, ids, elsewhere, lag)
    if ids:
        return LiveCredentials(kind, Presence.DISABLED, ids, elsewhere, lag)
    return LiveCredentials(kind, Presence.NOT_EVALUABLE if elsewhere else Presence.GONE, ids, elsewhere, lag)
