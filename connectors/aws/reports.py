"""Which columns this source can fill, by what is switched on."""

from __future__ import annotations

from collections.abc import Mapping

from .settings import Settings

_IAM: Mapping[str, frozenset[str]] = {
    "accounts": frozenset(
        [
            "source",
            "account_id",
            "login",
            "display_name",
            "email",
            "employee_id",
            "kind",
            "raw_status",
            "status",
            "can_sign_in",
            "created_at",
            "last_sign_in_at",
            "last_sign_in_basis",
            "owner_ref",
            "mfa_enrolled",
            "attributes",
        ]
    ),
    "entitlements": frozenset(
        [
            "source",
            "entitlement_id",
            "kind",
            "name",
            "description",
            "privileged",
            "environment",
            "owner_ref",
            "membership",
        ]
    ),
    "grants": frozenset(
        ["source", "principal_kind", "principal_id", "entitlement_id", "assignment", "expires_at", "condition"]
    ),
    "credentials": frozenset(
        [
            "source",
            "credential_id",
            "account_id",
            "kind",
            "status",
            "created_at",
            "expires_at",
            "rotated_at",
            "last_used_at",
            "last_used_basis",
        ]
    ),
}
_CENTER: Mapping[str, frozenset[str]] = {
    "accounts": frozenset(["manager_ref", "department", "company", "title"]),
    "grants": frozenset(["granted_at"]),
}
"""What Identity Center adds."""
_EVENTS = frozenset(
    [
        "source",
        "event_id",
        "occurred_at",
        "actor_id",
        "actor_kind",
        "action",
        "raw_action",
        "target_id",
        "target_kind",
        "entitlement_id",
        "environment",
        "outcome",
        "raw_digest",
    ]
)


def reports(settings: Settings) -> Mapping[str, frozenset[str]]:
    """Return table -> columns; an area that is not switched on is left out, never reported as empty."""
    found = dict(_IAM)
    if settings.identity_center is not None:
        found |= {table: found[table] | more for table, more in _CENTER.items()}
    if settings.events_days is not None:
        found["events"] = _EVENTS
    return found
