"""What differs between directories: where the id, the times and the account's data are, and what is a group."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from . import status
from .settings import TextColumn
from .values import Entry, generalized_time

_AD_CAPABILITY = "1.2.840.113556.1.4.800"


@dataclass(frozen=True, slots=True)
class Profile:
    """Attribute names of one kind of directory; a time is (attribute, what the figure is)."""

    name: str
    id_attribute: str
    accounts: str
    groups: str
    texts: Mapping[TextColumn, tuple[str, ...]]
    """Account column -> attributes, the first that has a value wins."""
    created: str
    last_sign_in: tuple[tuple[str, str], ...]
    password_changed: tuple[str, ...]
    password_expires: str
    state: Callable[[Entry, datetime | None], status.State]
    state_attributes: tuple[str, ...]
    primary: str
    """The account's attribute that names its primary group by number."""
    group_number: str
    """The group's attribute that carries this number."""
    owner: tuple[str, ...]
    policy: str = ""
    """The account's attribute that names its password policy by DN."""
    locks: tuple[str, ...] = ()
    """Attributes whose absence says that an account is not locked."""
    member_logins: tuple[str, ...] = ("uid",)
    """The account's attributes that a memberUid may name."""


_POSIX_ACCOUNTS = (
    "(|(objectClass=person)(objectClass=inetOrgPerson)(objectClass=posixAccount)(objectClass=account)"
    "(objectClass=simpleSecurityObject))"
)
_POSIX_GROUPS = (
    "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=groupOfMembers)"
    "(objectClass=posixGroup)(objectClass=groupOfURLs))"
)
_POSIX_TEXTS: dict[TextColumn, tuple[str, ...]] = {
    "login": ("uid", "cn"),
    "display_name": ("displayName", "cn"),
    "email": ("mail",),
    "employee_id": ("employeeNumber",),
    "manager_ref": ("manager",),
    "owner_ref": ("owner",),
    "department": ("departmentNumber", "ou"),
    "company": ("o",),
    "title": ("title",),
}

OPENLDAP = Profile(
    name="openldap",
    id_attribute="entryUUID",
    accounts=_POSIX_ACCOUNTS,
    groups=_POSIX_GROUPS,
    texts=_POSIX_TEXTS,
    created="createTimestamp",
    last_sign_in=(
        ("authTimestamp", "authTimestamp: last successful bind, as seen by the server that was read"),
        ("pwdLastSuccess", "pwdLastSuccess: last successful bind, as seen by the server that was read"),
    ),
    password_changed=("pwdChangedTime",),
    password_expires="",
    state=status.openldap,
    state_attributes=("pwdAccountLockedTime", "pwdEndTime", "shadowExpire"),
    locks=("pwdAccountLockedTime",),
    policy="pwdPolicySubentry",
    primary="gidNumber",
    group_number="gidNumber",
    owner=("owner",),
)

DIRECTORY_389 = Profile(
    name="389ds",
    id_attribute="nsUniqueId",
    accounts=_POSIX_ACCOUNTS,
    groups=_POSIX_GROUPS,
    texts=_POSIX_TEXTS,
    created="createTimestamp",
    last_sign_in=(("lastLoginTime", "lastLoginTime: last sign-in seen by the Account Policy plug-in"),),
    password_changed=("pwdUpdateTime",),
    password_expires="passwordExpirationTime",  # noqa: S106 - an attribute's name
    state=status.directory_389,
    state_attributes=("nsAccountLock", "accountUnlockTime", "shadowExpire"),
    locks=("nsAccountLock", "accountUnlockTime"),
    primary="gidNumber",
    group_number="gidNumber",
    owner=("owner",),
)

ACTIVE_DIRECTORY = Profile(
    name="ad",
    id_attribute="objectGUID",
    accounts=(
        "(|(&(objectCategory=person)(objectClass=user))(objectClass=msDS-ManagedServiceAccount)"
        "(objectClass=msDS-GroupManagedServiceAccount)(objectClass=msDS-DelegatedManagedServiceAccount))"
    ),
    # Well-known principals (Authenticated Users, ...) hold memberships as groups do; foreign users are no group.
    groups="(|(objectClass=group)(&(objectClass=foreignSecurityPrincipal)(!(cn=S-1-5-21-*))))",
    texts={
        "login": ("sAMAccountName", "userPrincipalName"),
        "display_name": ("displayName", "cn"),
        "email": ("mail",),
        "employee_id": ("employeeID", "employeeNumber"),
        "manager_ref": ("manager",),
        "owner_ref": ("managedBy",),
        "department": ("department",),
        "company": ("company",),
        "title": ("title",),
    },
    created="whenCreated",
    last_sign_in=(
        (
            "lastLogonTimestamp",
            "lastLogonTimestamp: replicated only every 9 to 14 days, so the last sign-in may be up to 14 days later",
        ),
    ),
    password_changed=("pwdLastSet",),
    password_expires="msDS-UserPasswordExpiryTimeComputed",  # noqa: S106 - an attribute's name
    state=status.active_directory,
    state_attributes=("userAccountControl", status.COMPUTED, "lockoutTime", "accountExpires"),
    primary="primaryGroupID",
    group_number="objectSid",
    owner=("managedBy",),
    member_logins=("uid", "sAMAccountName"),
)

PROFILES = {profile.name: profile for profile in (OPENLDAP, ACTIVE_DIRECTORY, DIRECTORY_389)}


def detect(root: Entry) -> Profile:
    """Tell the directory by its root entry; anything that is neither AD nor 389 is read by RFC 4530 (OpenLDAP)."""
    if _AD_CAPABILITY in root.texts("supportedCapabilities"):
        return ACTIVE_DIRECTORY
    vendor = " ".join([*root.texts("vendorName"), *root.texts("vendorVersion")]).casefold()
    return DIRECTORY_389 if "389" in vendor or "red hat" in vendor else OPENLDAP


def server_time(root: Entry) -> datetime | None:
    """Return the server's own time; None where it does not tell (only Active Directory does)."""
    said = root.text("currentTime")
    return None if said is None else generalized_time(said)
