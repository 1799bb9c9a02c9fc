"""Settings of an LDAP source."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from reconciler.sdk.hosts import is_loopback
from reconciler.sdk.secrets import SecretRef
from reconciler.sdk.settings import SourceSettings

from .dn import normalise, under

TextColumn = Literal[
    "login",
    "display_name",
    "email",
    "employee_id",
    "manager_ref",
    "owner_ref",
    "department",
    "company",
    "title",
]
"""Account columns that ``map`` may fill from another attribute."""

_SECRET = frozenset(
    (
        "userpassword", "unicodepwd", "sambantpassword", "sambalmpassword", "krbprincipalkey", "pwdhistory", "dbcspwd",
        "authpassword", "passwordhistory", "sambapasswordhistory", "ipanthash", "ntpwdhistory", "lmpwdhistory",
        "supplementalcredentials", "msds-managedpassword", "ms-mcs-admpwd", "mslaps-password",
        "mslaps-encryptedpassword", "msfve-recoverypassword", "unixuserpassword", "orclpassword", "reqmod", "reqold",
    )
)  # fmt: skip


_ATTRIBUTE = re.compile(r"([A-Za-z][A-Za-z0-9_-]*|\d+(\.\d+)+)(;[A-Za-z0-9-]+)*")
NO_ACCESSLOG = "accesslog_base is for OpenLDAP and 389: Active Directory keeps its events outside LDAP; leave it out"


def _dn(text: str) -> str:
    if not text or "=" not in text.partition(",")[0]:
        message = f"{text!r} is no distinguished name; write for example dc=example,dc=org"
        raise ValueError(message)
    return text


def _filter(text: str) -> str:
    if not text.startswith("(") or not text.endswith(")") or text.count("(") != text.count(")"):
        message = f"{text!r} is no LDAP filter; write for example (objectClass=person)"
        raise ValueError(message)
    return text


Dn = Annotated[str, AfterValidator(_dn)]
Filter = Annotated[str, AfterValidator(_filter)]


class Settings(SourceSettings):
    """Where the directory is, as whom to read it, and what in it is an account or a group."""

    url: Annotated[str, Field(description="ldap://host:port or ldaps://host:port.")]
    bind_dn: Annotated[
        str | None, Field(description="Whom to sign in as: a DN, or user@domain for AD; left out: anonymous.")
    ] = None
    bind_password: Annotated[SecretRef | None, Field(description="env:NAME or file:/path of the password.")] = None
    base_dn: Annotated[str | list[str], Field(description="Subtree to read, or several that do not overlap.")]
    group_base_dn: Annotated[
        str | list[str] | None,
        Field(description="Subtree of the groups, or several; left out: base_dn holds accounts and groups."),
    ] = None
    profile: Annotated[
        Literal["auto", "openldap", "ad", "389ds"],
        Field(description="Attribute profile; auto asks the server's root entry."),
    ] = "auto"
    start_tls: Annotated[bool, Field(description="Upgrade ldap:// by StartTLS before signing in.")] = False
    ca_file: Annotated[
        str | None, Field(description="PEM file of the CAs to trust; left out: the system's. Relative to the config.")
    ] = None
    allow_plaintext: Annotated[
        bool, Field(description="Send the password over unencrypted ldap:// to another host; not needed on loopback.")
    ] = False
    user_filter: Annotated[Filter | None, Field(description="What is an account; left out: the profile's.")] = None
    group_filter: Annotated[Filter | None, Field(description="What is an entitlement; left out: the profile's.")] = None
    page_size: Annotated[int, Field(ge=1, le=10_000, description="Entries per page.")] = 500
    timeout_seconds: Annotated[
        float, Field(gt=0, le=3600, description="Seconds to wait for a connection or an answer.")
    ] = 30.0
    map: Annotated[
        dict[TextColumn, str],
        Field(default_factory=dict, description='Account column = LDAP attribute, such as employee_id = "uidNumber".'),
    ]
    attributes: Annotated[
        list[str],
        Field(
            default_factory=list,
            description="LDAP attributes to keep in accounts.attributes beside the DN; nothing else is kept.",
        ),
    ]
    privileged_groups: Annotated[
        list[str],
        Field(
            default_factory=list,
            description="Names or DNs of groups with administrative power; * and ? match any text.",
        ),
    ]
    ordinary_groups: Annotated[
        list[str],
        Field(
            default_factory=list,
            description="Names or DNs of groups that somebody looked at and found without administrative power; "
            "* and ? match any text. Others are unknown.",
        ),
    ]
    leave_out: Annotated[
        list[Dn],
        Field(
            default_factory=list,
            description="Subtrees knowingly not read: members and referrals that lie there are no gap.",
        ),
    ]
    password_policy: Annotated[
        Dn | None,
        Field(description="OpenLDAP: DN of the default password policy (ppolicy_default); left out: none is known."),
    ] = None
    accesslog_base: Annotated[
        Dn | None,
        Field(
            description="Change log to read events from: cn=accesslog (OpenLDAP) or cn=changelog (389); left out: none."
        ),
    ] = None
    events_days: Annotated[float, Field(gt=0, le=3660, description="Days of events to read, up to now.")] = 30.0

    @property
    def bases(self) -> tuple[str, ...]:
        """The base DNs of accounts, in the order configured."""
        return _listed(self.base_dn)

    @property
    def group_bases(self) -> tuple[str, ...]:
        """The base DNs of groups, in the order configured."""
        return self.bases if self.group_base_dn is None else _listed(self.group_base_dn)

    @property
    def host(self) -> str:
        """The host to connect to."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """The port to connect to: 389 for ldap, 636 for ldaps where the URL names none."""
        return urlsplit(self.url).port or (636 if self.ldaps else 389)

    @property
    def ldaps(self) -> bool:
        """Whether the connection starts with TLS."""
        return urlsplit(self.url).scheme == "ldaps"

    @field_validator("url")
    @classmethod
    def _check_url(cls, url: str) -> str:
        # The URL is not repeated in any message: people put passwords into it.
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            message = f"is no URL: {error}"
            raise ValueError(message) from error
        if parts.scheme not in {"ldap", "ldaps"}:
            message = "must start with ldap:// or ldaps://"
            raise ValueError(message)
        if not parts.hostname or parts.path.strip("/") or parts.query or parts.username or port == 0:
            message = "must be scheme, host and port only, such as ldaps://ldap.example.org:636"
            raise ValueError(message)
        return url

    @field_validator("base_dn", "group_base_dn")
    @classmethod
    def _check_base(cls, given: str | list[str] | None) -> str | list[str] | None:
        for dn in () if given is None else _listed(given):
            _dn(dn)
        return given

    @field_validator("attributes")
    @classmethod
    def _check_attributes(cls, names: list[str]) -> list[str]:
        _refuse_secrets(names)
        return names

    @field_validator("map")
    @classmethod
    def _check_map(cls, names: dict[TextColumn, str]) -> dict[TextColumn, str]:
        _refuse_secrets(names.values())
        return names

    @model_validator(mode="after")
    def _check_whole(self) -> Settings:
        if (self.bind_dn is None) != (self.bind_password is None):
            message = "bind_dn and bind_password go together; leave out both to read anonymously"
            raise ValueError(message)
        if self.start_tls and self.ldaps:
            message = "start_tls is for ldap://; ldaps:// is encrypted from the start"
            raise ValueError(message)
        encrypted = self.ldaps or self.start_tls
        if self.bind_dn and not (encrypted or self.allow_plaintext or is_loopback(self.host)):
            message = (
                f"the password would travel unencrypted to {self.host}; use ldaps://, start_tls = true, "
                "or allow_plaintext = true if the network itself is trusted"
            )
            raise ValueError(message)
        if self.accesslog_base and self.profile == "ad":
            raise ValueError(NO_ACCESSLOG)
        if "events_days" in self.model_fields_set and not self.accesslog_base:
            message = "events_days does nothing without accesslog_base"
            raise ValueError(message)
        _check_bases("base_dn", self.bases)
        _check_bases("group_base_dn", self.group_bases)
        return self


def _refuse_secrets(names: Iterable[str]) -> None:
    """Raise ``ValueError`` for attributes that hold secrets, and for ``*`` and ``+``, which would ask for all."""
    for name in names:
        if name.lower().partition(";")[0].strip() in _SECRET:
            message = f"{name} holds a secret and is never read"
            raise ValueError(message)
        if not _ATTRIBUTE.fullmatch(name):
            message = f"{name!r} is no attribute; name each, such as employeeNumber"
            raise ValueError(message)


def _listed(given: str | list[str]) -> tuple[str, ...]:
    return (given,) if isinstance(given, str) else tuple(given)


def _check_bases(key: str, bases: tuple[str, ...]) -> None:
    known = [normalise(base) for base in bases]
    if not known:
        message = f"{key} is empty: name at least one subtree to read"
        raise ValueError(message)
    for at, base in enumerate(known):
        if any(under(base, other) for position, other in enumerate(known) if position != at):
            message = f"{key} {bases[at]!r} lies under another {key}: its entries would be read twice"
            raise ValueError(message)
