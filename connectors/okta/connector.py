"""Okta users and service apps as accounts: the mapping of states, and of profile attributes. No network."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import UNSET

from reconciler.sdk.records import Account, AccountKind, AccountStatus

from .settings import Settings
from .shapes import App, User, user_shape, utc

STATES: Mapping[str, tuple[AccountStatus, bool]] = {
    "STAGED": ("staged", False),
    "PROVISIONED": ("enabled", True),
    "ACTIVE": ("enabled", True),
    "RECOVERY": ("enabled", True),
    "PASSWORD_EXPIRED": ("enabled", True),
    "LOCKED_OUT": ("locked", False),
    "SUSPENDED": ("suspended", False),
    "DEPROVISIONED": ("disabled", False),
}
"""Okta's status of a user -> status, and whether he can sign in: himself, without an administrator's act."""

APP_STATES: Mapping[str, tuple[AccountStatus, bool]] = {
    "ACTIVE": ("enabled", True),
    "INACTIVE": ("disabled", False),
    "DELETED": ("deleted", False),
}
SIGN_IN_BASIS = "Okta lastLogin: last sign-in to Okta itself; the search that it is read by may lag"
NEVER_BASIS = "Okta lastLogin is null: no sign-in to Okta is recorded"
_TEXTS = (
    "login",
    "email",
    "secondEmail",
    "displayName",
    "firstName",
    "lastName",
    "organization",
    "department",
    "title",
)


@dataclass(frozen=True, slots=True)
class State:
    """What the status of a user amounts to; None where Okta's word is unknown."""

    raw: str | None
    status: AccountStatus | None
    can_sign_in: bool | None


def user_state(user: User) -> State:
    """Map a user's status; while a change is under way the more open of the two states decides on signing in."""
    known = STATES.get(user.status or "")
    target = user.transitioning_to_status
    if not target or target == user.status:
        return State(user.status, *(known or (None, None)))
    raw = f"{user.status} -> {target}"
    following = STATES.get(target)
    if known is None or following is None:
        return State(raw, known[0] if known else None, None)
    return State(raw, known[0], known[1] or following[1])


class Accounts:
    """Makes account rows of one source."""

    def __init__(self, source: str, settings: Settings) -> None:
        named = (*_TEXTS, settings.employee_id_attribute, settings.manager_attribute, settings.kind_attribute)
        self.shape, fields = user_shape(named, settings.attributes)
        self._source = source
        self._kept = [(name, fields[name]) for name in settings.attributes]
        self._kinds: dict[str, AccountKind] = {value.casefold(): kind for value, kind in settings.kinds.items()}
        self._fields = fields
        self._employee = fields[settings.employee_id_attribute]
        self._manager = fields[settings.manager_attribute]
        self._kind = fields[settings.kind_attribute]

    def profile(self, user: User, name: str) -> str | None:
        """Return a named profile attribute of ``user`` as text, None where he has none."""
        return _text(getattr(user.profile, self._fields[name], None))

    def row(self, user: User, *, mfa: bool | None) -> Account:
        """Map a user; ``mfa`` None: not read."""
        state = user_state(user)
        profile, fields = user.profile, self._fields
        last = user.last_login
        if profile is None:
            names: dict[str, Any] = {}
        else:
            first, family = getattr(profile, fields["firstName"]), getattr(profile, fields["lastName"])
            shown = getattr(profile, fields["displayName"]) or " ".join(str(part) for part in (first, family) if part)
            kept = {name: value for name, at in self._kept if (value := getattr(profile, at)) is not None}
            kind = getattr(profile, self._kind)
            names = {
                "login": _text(getattr(profile, fields["login"])),
                "display_name": _text(shown),
                "email": _text(getattr(profile, fields["email"])),
                "employee_id": _text(getattr(profile, self._employee)),
                "kind": self._kinds.get(str(kind).casefold(), "unknown") if kind is not None else "unknown",
                "manager_ref": _text(getattr(profile, self._manager)),
                "department": _text(getattr(profile, fields["department"])),
                "company": _text(getattr(profile, fields["organization"])),
                "title": _text(getattr(profile, fields["title"])),
                "attributes": json.dumps(kept, ensure_ascii=False, sort_keys=True) if kept else None,
            }
        return Account(
            source=self._source,
            account_id=user.id,
            raw_status=state.raw,
            status=state.status,
            can_sign_in=state.can_sign_in,
            created_at=utc(user.created),
            last_sign_in_at=None if last is UNSET or last is None else utc(last),
            last_sign_in_basis=None if last is UNSET else NEVER_BASIS if last is None else SIGN_IN_BASIS,
            password_changed_at=utc(user.password_changed),
            mfa_enrolled=mfa,
            **names,
        )

    def service(self, app: App) -> Account:
        """Map an app that acts for itself."""
        status, can = APP_STATES.get(app.status or "", (None, None))
        return Account(
            source=self._source,
            account_id=app.id,
            login=app.client_id,
            display_name=app.label,
            kind="service",
            raw_status=app.status,
            status=status,
            can_sign_in=can,
            created_at=utc(app.created),
        )


def _text(value: object) -> str | None:
    """Return a profile value as text; empty counts as not said."""
    return None if value is None or value == "" else str(value)
