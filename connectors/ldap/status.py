"""The status mapping, one function a profile: what a directory says of an account, and what follows from it.

The table in the README is this module in words; ``tests/connectors/ldap/test_status.py`` holds both together.
A connector asks no clock: Active Directory's own time (root entry, ``currentTime``) decides what has expired.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from reconciler.sdk.records import AccountStatus

from .values import Entry, epoch_days, file_time, generalized_time

_FOR_GOOD = "000001010000Z"
_FLAGS = {
    0x2: "ACCOUNTDISABLE",
    0x10: "LOCKOUT",
    0x20: "PASSWD_NOTREQD",
    0x200: "NORMAL_ACCOUNT",
    0x800: "INTERDOMAIN_TRUST_ACCOUNT",
    0x1000: "WORKSTATION_TRUST_ACCOUNT",
    0x2000: "SERVER_TRUST_ACCOUNT",
    0x10000: "DONT_EXPIRE_PASSWORD",
    0x40000: "SMARTCARD_REQUIRED",
    0x800000: "PASSWORD_EXPIRED",
}
DISABLED, LOCKOUT, TRUST, PASSWORD_EXPIRED = 0x2, 0x10, 0x800, 0x800000
COMPUTED = "msDS-User-Account-Control-Computed"


@dataclass(frozen=True, slots=True)
class State:
    """What is known of an account's status; None is unknown."""

    raw: str | None
    status: AccountStatus | None
    can_sign_in: bool | None
    expires_at: datetime | None = None


def openldap(entry: Entry, server_time: datetime | None) -> State:
    """Map pwdAccountLockedTime (for good, or until the policy lifts it), pwdEndTime and shadowExpire."""
    locked = entry.text("pwdAccountLockedTime")
    ends, shadow = entry.text("pwdEndTime"), entry.number("shadowExpire")
    expires = generalized_time(ends) if ends else None if shadow is None else epoch_days(shadow)
    if locked == _FOR_GOOD:
        return State(f"pwdAccountLockedTime={locked}", "locked", can_sign_in=False, expires_at=expires)
    if locked:
        # pwdLockoutDuration may have lifted it since; the attribute stays until the next sign-in.
        return State(f"pwdAccountLockedTime={locked}", "locked", can_sign_in=None, expires_at=expires)
    past = _is_past(generalized_time(ends), server_time) if ends else False
    return State("no pwdAccountLockedTime", "enabled", _negated(past), expires)


def directory_389(entry: Entry, server_time: datetime | None) -> State:
    """Map nsAccountLock (an administrator's) and accountUnlockTime (the password policy's)."""
    del server_time  # 389 Directory Server does not tell its time
    shadow = entry.number("shadowExpire")
    expires = None if shadow is None else epoch_days(shadow)
    if (lock := entry.text("nsAccountLock")) and lock.casefold() == "true":
        return State(f"nsAccountLock={lock}", "disabled", can_sign_in=False, expires_at=expires)
    unlock = entry.text("accountUnlockTime")
    if unlock:
        for_good = unlock.startswith("19700101000000")
        return State(f"accountUnlockTime={unlock}", "locked", False if for_good else None, expires)
    return State(
        f"nsAccountLock={lock}" if lock else "no nsAccountLock", "enabled", can_sign_in=True, expires_at=expires
    )


def active_directory(entry: Entry, server_time: datetime | None) -> State:
    """Map userAccountControl, the lockout and accountExpires."""
    control, ends = entry.number("userAccountControl"), entry.number("accountExpires")
    expires = file_time(ends or 0)
    if control is None:
        return State(None, None, None, expires)
    computed = entry.number(COMPUTED)
    names = [name for bit, name in _FLAGS.items() if (control | (computed or 0)) & bit]
    raw = f"userAccountControl={control} ({' '.join(names)})"
    if control & DISABLED:
        return State(raw, "disabled", can_sign_in=False, expires_at=expires)
    # Active Directory gives every account this attribute: where it does not come, it is hidden, and no "never".
    expired = None if ends is None else _is_past(expires, server_time) if expires else False
    if computed is not None and computed & LOCKOUT:
        return State(raw, "locked", can_sign_in=False, expires_at=expires)
    lockout = entry.number("lockoutTime") or 0
    if computed is None and lockout > 0:
        # lockoutTime stays after the lockout has passed; only the computed bit tells, and it is not readable here.
        return State(f"{raw} lockoutTime={lockout}", "locked", False if expired else None, expires)
    if expired:
        raw = f"{raw} accountExpires={entry.text('accountExpires')}"
    return State(raw, "enabled", _negated(expired), expires)


def _is_past(instant: datetime, server_time: datetime | None) -> bool | None:
    return None if server_time is None else instant <= server_time


def _negated(value: bool | None) -> bool | None:
    return None if value is None else not value
