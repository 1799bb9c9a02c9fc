"""Directory audits and sign-ins to standard identity events. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from reconciler.sdk.records import Action, Event

from .access import app_role_id
from .shapes import DirectoryAudit, SignIn, Target, utc

ACTIONS: Mapping[str, Action] = {
    "add user": "account_created",
    "invite external user": "account_created",
    "add service principal": "account_created",
    "restore user": "account_enabled",
    "restore service principal": "account_enabled",
    "enable account": "account_enabled",
    "disable account": "account_disabled",
    "delete user": "account_deleted",
    "hard delete user": "account_deleted",
    "remove service principal": "account_deleted",
    "hard delete service principal": "account_deleted",
    "update user": "account_changed",
    "update service principal": "account_changed",
    "redeem external user invite": "account_changed",
    "set user manager": "account_changed",
    "add member to group": "entitlement_granted",
    "remove member from group": "entitlement_revoked",
    "add app role assignment grant to user": "entitlement_granted",
    "add app role assignment to service principal": "entitlement_granted",
    "add app role assignment to group": "entitlement_granted",
    "remove app role assignment from user": "entitlement_revoked",
    "remove app role assignment from service principal": "entitlement_revoked",
    "remove app role assignment from group": "entitlement_revoked",
    "consent to application": "entitlement_granted",
    "add delegated permission grant": "entitlement_granted",
    "remove delegated permission grant": "entitlement_revoked",
    "add member to role": "entitlement_granted",
    "add scoped member to role": "entitlement_granted",
    "add eligible member to role": "entitlement_granted",
    "remove member from role": "entitlement_revoked",
    "remove scoped member from role": "entitlement_revoked",
    "remove eligible member from role": "entitlement_revoked",
    "add member to role completed (pim activation)": "privilege_elevated",
    "remove member from role (pim activation expired)": "privilege_ended",
    "remove member from role completed (pim deactivate)": "privilege_ended",
    "add member to role outside of pim (permanent)": "entitlement_granted",
    "add member to role in pim completed (permanent)": "entitlement_granted",
    "add member to role in pim completed (timebound)": "entitlement_granted",
    "add eligible member to role in pim completed (permanent)": "entitlement_granted",
    "add eligible member to role in pim completed (timebound)": "entitlement_granted",
    "remove member from role in pim completed (permanent)": "entitlement_revoked",
    "remove member from role in pim completed (timebound)": "entitlement_revoked",
    "remove permanent eligible role assignment": "entitlement_revoked",
    "remove eligible member from role in pim completed (permanent)": "entitlement_revoked",
    "remove eligible member from role in pim completed (timebound)": "entitlement_revoked",
    "add role definition": "role_changed",
    "update role definition": "role_changed",
    "delete role definition": "role_changed",
    "add app role": "role_changed",
    "change user password": "credential_rotated",
    "reset user password": "credential_rotated",
    "change password (self-service)": "credential_rotated",
    "reset password (self-service)": "credential_rotated",
    "reset password (by admin)": "credential_rotated",
    "update application – certificates and secrets management": "credential_rotated",
    "add service principal credentials": "credential_created",
    "remove service principal credentials": "credential_revoked",
    "user registered security info": "credential_created",
    "admin registered security info": "credential_created",
    "user deleted security info": "credential_revoked",
    "admin deleted security info": "credential_revoked",
    "update stsrefreshtokenvalidfrom timestamp": "session_revoked",
    "revoke user sign-in sessions": "session_revoked",
}
"""Names of activities in lower case -> the standard action. Whatever else happened keeps its own name alone."""
_HOLDERS = ("User", "ServicePrincipal")
_DIGEST = hashlib.sha256
_AROUND = '"'


def audit_event(source: str, audit: DirectoryAudit, raw: bytes) -> Event:
    """Map a directory audit; ``raw`` are its bytes, for the digest."""
    activity = (audit.activity_display_name or "").strip()
    targets = audit.target_resources or []
    action = ACTIONS.get(activity.lower())
    target = _target(targets, action)
    actor, kind = _actor(audit)
    return Event(
        source=source,
        event_id=audit.id,
        occurred_at=utc(audit.activity_date_time),
        actor_id=actor,
        actor_kind=kind,
        action=action,
        raw_action=activity or None,
        target_id=target.id if target is not None else None,
        target_kind=target.type if target is not None else None,
        entitlement_id=_entitlement(targets, target),
        outcome=audit.result,
        raw_digest=_DIGEST(raw).hexdigest(),
    )


def sign_in_event(source: str, found: SignIn, raw: bytes) -> Event:
    """Map a sign-in; its target is the application that was signed in to."""
    status = found.status
    code = status.error_code if status is not None else None
    reason = (status.failure_reason or "") if status is not None else ""
    actor = found.user_id or found.service_principal_id
    return Event(
        source=source,
        event_id=found.id,
        occurred_at=utc(found.created_date_time),
        actor_id=actor,
        actor_kind="User" if found.user_id else ("ServicePrincipal" if found.service_principal_id else None),
        action="sign_in",
        raw_action="signIn",
        target_id=found.resource_id or found.app_id,
        target_kind="resource" if found.resource_id else ("application" if found.app_id else None),
        outcome=None if code is None else ("success" if code == 0 else f"failure {code}: {reason}".rstrip(": ")),
        raw_digest=_DIGEST(raw).hexdigest(),
    )


def _actor(audit: DirectoryAudit) -> tuple[str | None, str | None]:
    who = audit.initiated_by
    if who is not None and who.user is not None and who.user.id:
        return who.user.id, "User"
    if who is not None and who.app is not None:
        if who.app.service_principal_id:
            return who.app.service_principal_id, "ServicePrincipal"
        return who.app.app_id, "Application" if who.app.app_id else None
    return None, None


def _target(targets: list[Target], action: Action | None) -> Target | None:
    """Return whom it was done to: of a grant's several targets the holder, else the first."""
    if action in {"entitlement_granted", "entitlement_revoked", "privilege_elevated", "privilege_ended"}:
        for kind in _HOLDERS:
            for target in targets:
                if target.type == kind and target.id:
                    return target
    return targets[0] if targets else None


def _entitlement(targets: list[Target], holder: Target | None) -> str | None:
    """Return the group, role or app role concerned, by its own target or by the changed property that names it."""
    changed = {
        str(one.display_name): _text(one.new_value) or _text(one.old_value)
        for target in targets
        for one in target.modified_properties or ()
    }
    if (role := changed.get("AppRole.Id")) is not None:
        resource = next((t.id for t in targets if t.type == "ServicePrincipal" and t is not holder), None)
        resource = resource or changed.get("ServicePrincipal.ObjectID")
        return app_role_id(resource, role) if resource else None
    named = changed.get("Role.TemplateId") or changed.get("Group.ObjectID")
    if named is not None:
        return named
    return next((t.id for t in targets if t is not holder and t.type in {"Group", "Role"} and t.id), None)


def _text(value: str | None) -> str | None:
    """Return the text in a changed property, which is JSON within JSON."""
    if not value or not value.startswith(_AROUND):
        return value or None
    try:
        return msgspec.json.decode(value, type=str) or None
    except msgspec.DecodeError:
        return None
