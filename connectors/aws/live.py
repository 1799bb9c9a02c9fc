"""What a live answer says of each class of credentials. Pure: no network, no clock."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.sdk.connector import LiveAccount, LiveCredentials, Presence
from reconciler.sdk.records import CredentialKind

from .connector import STATUS, can_sign_in, raw_status
from .details import Part, UserDetail
from .fields import Item, text

SESSION_LAG = (
    "keys of a session that was opened before work on until it ends: up to 36 hours after GetSessionToken or "
    "GetFederationToken, up to 12 hours for a role. A Deny policy with aws:TokenIssueTime (IAM: revoke active "
    "sessions) ends them at once"
)
_NO_SESSIONS = "AWS lists no sessions"
_KEY_LAG = "IAM spreads a change over its regions within seconds to minutes"
_WITH_USER = "IAM deletes no user before this was removed from it"
_CLASSES: Mapping[Part, tuple[CredentialKind, str]] = {
    "login_profile": ("login_profile", ""),
    "access_keys": ("access_key", "AccessKeyId"),
    "ssh_keys": ("ssh_key", "SSHPublicKeyId"),
    "service_credentials": ("service_credential", "ServiceSpecificCredentialId"),
    "signing_certificates": ("certificate", "CertificateId"),
    "mfa_devices": ("mfa_factor", "SerialNumber"),
}


def user_present(user_id: str, detail: UserDetail) -> LiveAccount:
    """Return an IAM user who is there."""
    sessions = LiveCredentials("session", Presence.NOT_EVALUABLE, reason=_NO_SESSIONS, lag=SESSION_LAG)
    return LiveAccount(
        user_id,
        Presence.PRESENT,
        login=text(detail.user, "UserName"),
        raw_status=raw_status(detail),
        status="enabled",
        reason=_usable(detail),
        credentials=(*(_class(user_id, part, detail) for part in _CLASSES), sessions),
        digest=digest(detail.user, dict(detail.parts)),
    )


def user_gone(user_id: str, reason: str, answers: Any) -> LiveAccount:
    """Return an IAM user whom every AWS account that is read has been searched for and does not have."""
    gone = tuple(LiveCredentials(kind, Presence.GONE, reason=_WITH_USER, lag=_KEY_LAG) for kind, _ in _CLASSES.values())
    sessions = LiveCredentials("session", Presence.NOT_EVALUABLE, reason=_NO_SESSIONS, lag=SESSION_LAG)
    return LiveAccount(
        user_id, Presence.GONE, reason=reason, credentials=(*gone, sessions), digest=digest(user_id, answers)
    )


def unknown(account_id: str, reason: str, kinds: Sequence[CredentialKind]) -> LiveAccount:
    """Return an account of which nothing can be told, for the reason given."""
    classes = tuple(LiveCredentials(kind, Presence.NOT_EVALUABLE, reason=reason) for kind in kinds)
    return LiveAccount(account_id, Presence.NOT_EVALUABLE, reason=reason, credentials=classes)


def root_present(account_id: str, summary: Mapping[str, int]) -> LiveAccount:
    """Return the root user of an AWS account, who is there as long as the account is."""
    counters: tuple[tuple[CredentialKind, str], ...] = (
        ("login_profile", "AccountPasswordPresent"),
        ("access_key", "AccountAccessKeysPresent"),
        ("certificate", "AccountSigningCertificatesPresent"),
        ("mfa_factor", "AccountMFAEnabled"),
    )
    classes = [_counted(kind, name, summary) for kind, name in counters]
    classes.append(LiveCredentials("session", Presence.NOT_EVALUABLE, reason=_NO_SESSIONS, lag=SESSION_LAG))
    return LiveAccount(
        account_id,
        Presence.PRESENT,
        login="root",
        status="enabled",
        reason="a root user is there as long as its AWS account is",
        credentials=tuple(classes),
        digest=digest(account_id, dict(summary)),
    )


IAM_KINDS: tuple[CredentialKind, ...] = (*(kind for kind, _ in _CLASSES.values()), "session")
"""Every class of credentials that an IAM user can have."""


def digest(*answers: Any) -> str:
    """Return the SHA-256 of answers, in a form that does not depend on their order of fields."""
    return hashlib.sha256(json.dumps(answers, sort_keys=True, default=str).encode()).hexdigest()


def _class(user_id: str, part: Part, detail: UserDetail) -> LiveCredentials:
    kind, key = _CLASSES[part]
    items = detail.parts[part]
    if items is None:
        refused = next((one.refused.message for one in detail.unread if one.part == part), "it could not be read")
        return LiveCredentials(kind, Presence.NOT_EVALUABLE, reason=refused, lag=_KEY_LAG)
    if part in detail.not_offered:
        return LiveCredentials(kind, Presence.NOT_EVALUABLE, reason="this AWS-compatible server has no such call")
    ids = tuple(text(item, key) if key else f"{user_id}/{part}" for item in items)
    if not items:
        return LiveCredentials(kind, Presence.GONE, reason="IAM lists none", lag=_KEY_LAG)
    working = any("Status" not in item or STATUS.get(_status(item)) in {"active", None} for item in items)
    return LiveCredentials(
        kind,
        Presence.PRESENT if working else Presence.DISABLED,
        ids,
        reason="" if working else "all are inactive or expired",
        lag=_KEY_LAG,
    )


def _counted(kind: CredentialKind, name: str, summary: Mapping[str, int]) -> LiveCredentials:
    count = summary.get(name)
    if count is None:
        return LiveCredentials(kind, Presence.NOT_EVALUABLE, reason=f"GetAccountSummary does not give {name}")
    presence = Presence.PRESENT if count else Presence.GONE
    return LiveCredentials(kind, presence, reason=f"GetAccountSummary gives {name} = {count}")


def _usable(detail: UserDetail) -> str:
    usable = can_sign_in(detail)
    if usable is None:
        return "AWS has no disabled state, and whether anything proves him could not be read"
    return "AWS has no disabled state; " + ("something proves him" if usable else "nothing proves him any more")


def _status(item: Item) -> str:
    return str(item.get("Status"))
