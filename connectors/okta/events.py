"""System Log events in the standard form. No network."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from reconciler.sdk.records import Action, Event

from .shapes import Actor, Decoder, LogEvent, Problem, utc

ACTIONS: Mapping[str, Action] = {
    "user.lifecycle.create": "account_created",
    "user.lifecycle.activate": "account_enabled",
    "user.lifecycle.reactivate": "account_enabled",
    "user.lifecycle.unsuspend": "account_enabled",
    "user.lifecycle.deactivate": "account_disabled",
    "user.lifecycle.suspend": "account_disabled",
    "user.lifecycle.delete.completed": "account_deleted",
    "user.account.update_profile": "account_changed",
    "user.account.update_primary_email": "account_changed",
    "user.account.update_secondary_email": "account_changed",
    "user.account.lock": "account_changed",
    "user.account.unlock": "account_changed",
    "user.account.unlock_by_admin": "account_changed",
    "group.user_membership.add": "entitlement_granted",
    "group.user_membership.remove": "entitlement_revoked",
    "application.user_membership.add": "entitlement_granted",
    "application.user_membership.remove": "entitlement_revoked",
    "group.application_assignment.add": "entitlement_granted",
    "group.application_assignment.remove": "entitlement_revoked",
    "app.oauth2.admin.consent.grant": "entitlement_granted",
    "app.oauth2.admin.consent.revoke": "entitlement_revoked",
    "app.oauth2.as.consent.grant": "entitlement_granted",
    "app.oauth2.as.consent.revoke": "entitlement_revoked",
    "user.account.privilege.grant": "role_changed",
    "user.account.privilege.revoke": "role_changed",
    "group.privilege.grant": "role_changed",
    "group.privilege.revoke": "role_changed",
    "app.oauth2.client.privilege.grant": "role_changed",
    "app.oauth2.client.privilege.revoke": "role_changed",
    "iam.role.create": "role_changed",
    "iam.role.update": "role_changed",
    "iam.role.delete": "role_changed",
    "iam.resourceset.bindings.add": "role_changed",
    "iam.resourceset.bindings.delete": "role_changed",
    "user.mfa.factor.activate": "credential_created",
    "user.mfa.factor.deactivate": "credential_revoked",
    "user.mfa.factor.reset_all": "credential_revoked",
    "user.mfa.factor.update": "credential_rotated",
    "user.account.update_password": "credential_rotated",
    "user.account.reset_password": "credential_rotated",
    "user.account.expire_password": "credential_revoked",
    "system.api_token.create": "credential_created",
    "system.api_token.revoke": "credential_revoked",
    "app.oauth2.client.lifecycle.create": "account_created",
    "app.oauth2.client.lifecycle.delete": "account_deleted",
    "app.oauth2.token.revoke": "credential_revoked",
    "app.oauth2.as.token.revoke": "credential_revoked",
    "user.session.start": "sign_in",
    "user.authentication.sso": "sign_in",
    "user.session.clear": "session_revoked",
    "user.session.end": "session_revoked",
    "user.authentication.universal_logout": "session_revoked",
}
"""Okta's event type -> action; every other type has none and is kept under its own name."""

_PEOPLE = ("User", "PublicClientApp", "UserGroup", "AppInstance", "AppUser")
"""Types of target by how well each says what was acted upon; the first that is there counts."""
_ENTITLEMENTS = ("UserGroup", "AppInstance", "ROLE", "IAM_ROLE")
_events = Decoder(LogEvent, "published", "event_type", identity="uuid")
_raw = msgspec.json.Decoder(list[msgspec.Raw])
_one = msgspec.json.Decoder(LogEvent)


def read(source: str, body: bytes, shown: str, approval_path: str | None) -> tuple[list[Event], list[Problem]]:
    """Map a page of the log; the digest of each event is over its bytes as they came.

    Raises ``Misbehaved`` for what is no JSON array.
    """
    rows: list[Event] = []
    wrong: list[Problem] = []
    try:
        parts = _raw.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        _events.array(body, shown)  # raises, in words
        raise
    path = approval_path.split(".") if approval_path else None
    for part in parts:
        try:
            event = _one.decode(part)
        except msgspec.ValidationError:
            event = None
        if event is None or event.published is None or event.event_type is None:
            kept, problems = _events.single(bytes(part), shown)
            wrong.extend(problems)
            if not kept:
                continue
            event = kept[0]
        rows.append(_row(source, event, part, path))
    return rows, wrong


def _row(source: str, event: LogEvent, part: msgspec.Raw, path: list[str] | None) -> Event:
    targets = event.target or []
    target = _first(targets, _PEOPLE) or (targets[0] if targets else None)
    held = next((one for kind in _ENTITLEMENTS for one in targets if one.type == kind and one is not target), None)
    actor = event.actor
    return Event(
        source=source,
        event_id=event.uuid,
        occurred_at=utc(event.published),
        actor_id=actor.id if actor else None,
        actor_kind=actor.type if actor else None,
        action=ACTIONS.get(event.event_type or ""),
        raw_action=event.event_type,
        target_id=target.id if target else None,
        target_kind=target.type if target else None,
        entitlement_id=held.id if held else None,
        approval_ref=_approval(part, path) if path else None,
        outcome=event.outcome.result if event.outcome else None,
        raw_digest=hashlib.sha256(part).hexdigest(),
    )


def _first(targets: list[Actor], kinds: tuple[str, ...]) -> Actor | None:
    return next((one for kind in kinds for one in targets if one.type == kind), None)


def _approval(part: msgspec.Raw, path: list[str]) -> str | None:
    """Return the scalar at ``path`` in an event, None where there is none."""
    found: Any = msgspec.json.decode(part)
    for step in path:
        found = found.get(step) if isinstance(found, dict) else None
    return str(found) if isinstance(found, str | int) and found != "" else None
