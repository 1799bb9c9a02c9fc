"""Entries to rows: accounts, entitlements, credentials. Pure: no network, no clock."""

from __future__ import annotations

import base64
import fnmatch
import hashlib
import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TypeVar

from cryptography import x509

from reconciler.sdk.connector import Gap
from reconciler.sdk.errors import Misbehaved, Refused
from reconciler.sdk.records import Account, AccountKind, Credential, CredentialStatus, Entitlement

from .device_keys import DeviceKey, device_key
from .dn import first_value, normalise
from .policy import Policy
from .profiles import ACTIVE_DIRECTORY, Profile
from .settings import Settings, TextColumn
from .status import COMPUTED, PASSWORD_EXPIRED, TRUST, State
from .values import NEVER, Entry, file_time, generalized_time, guid, sid

T = TypeVar("T")
V = TypeVar("V")

_PEOPLE = frozenset(("person", "organizationalperson", "inetorgperson"))
_MANAGED = frozenset(
    ("msds-managedserviceaccount", "msds-groupmanagedserviceaccount", "msds-delegatedmanagedserviceaccount")
)
CERTIFICATES = ("userCertificate;binary", "userCertificate")
DEVICE_KEYS = "msDS-KeyCredentialLink"
_UNREADABLE = "unreadable"
_NO_EXPIRY_389 = "20380119031407Z"
"""What 389 Directory Server writes where a password never expires."""
_DEFAULT_PRIMARY = frozenset(("513", "514", "515"))
"""Relative ids of Domain Users, Guests and Computers: being in them says what kind an account is.

Domain Controllers (516) is none: an account that is read here and is in it may copy every password of the domain.
"""
_WELL_KNOWN = {
    "S-1-1-0": "Everyone",
    "S-1-5-4": "Interactive",
    "S-1-5-7": "Anonymous Logon",
    "S-1-5-9": "Enterprise Domain Controllers",
    "S-1-5-11": "Authenticated Users",
    "S-1-5-17": "IUSR",
}


@dataclass(slots=True)
class Mapper:
    """Turns the entries of one directory into rows; ``gaps`` collects what an entry holds that cannot be read."""

    source: str
    profile: Profile
    settings: Settings
    server_time: datetime | None = None
    locks_unseen: bool = False
    """Whether locks are hidden from this reader: an account without one may be locked."""
    policies: Callable[[str], Policy] | None = None
    """Finds a password policy by its DN."""
    gaps: list[Gap] = field(default_factory=list)

    def take_gaps(self) -> list[Gap]:
        """Return the gaps since the last call."""
        taken, self.gaps = self.gaps, []
        return taken

    def identifier(self, entry: Entry) -> str:
        """Return the immutable id; raises where the server does not show it: no row could be keyed."""
        return identifier(entry, self.profile)

    def account(self, entry: Entry) -> Account:
        """Make the row of an account."""
        state = self._attempt("accounts", entry, self._state, entry) or State(None, None, None)
        last, basis = self._last_sign_in(entry)
        return Account(
            source=self.source,
            account_id=self.identifier(entry),
            login=self._text(entry, "login"),
            display_name=self._text(entry, "display_name"),
            email=self._text(entry, "email"),
            employee_id=self._text(entry, "employee_id"),
            manager_ref=self._text(entry, "manager_ref"),
            owner_ref=self._text(entry, "owner_ref"),
            department=self._text(entry, "department"),
            company=self._text(entry, "company"),
            title=self._text(entry, "title"),
            kind=_kind(entry, self.profile),
            raw_status=state.raw,
            status=state.status,
            can_sign_in=state.can_sign_in,
            expires_at=state.expires_at,
            created_at=self._time("accounts", entry, self.profile.created),
            last_sign_in_at=last,
            last_sign_in_basis=basis,
            password_changed_at=self._first_time("accounts", entry, self.profile.password_changed),
            attributes=self._allowed(entry),
        )

    def entitlement(self, entry: Entry) -> Entitlement:
        """Make the row of a group."""
        name = entry.text("cn") or first_value(entry.dn, "cn") or entry.dn
        known = _WELL_KNOWN.get(name)
        dynamic = entry.raw("memberURL") or "foreignsecurityprincipal" in entry.classes()
        return Entitlement(
            source=self.source,
            entitlement_id=self.identifier(entry),
            kind="group",
            name=f"{known} ({name})" if known else name,
            description=entry.text("description"),
            privileged=self._privileged(entry, name),
            owner_ref=entry.text(*self.profile.owner),
            membership="dynamic" if dynamic else "primary" if self._is_default_primary(entry) else "assigned",
        )

    def _is_default_primary(self, entry: Entry) -> bool:
        """Whether this is a group that Active Directory itself makes the primary one of every account of a kind."""
        raw = entry.raw("objectSid") if self.profile is ACTIVE_DIRECTORY else ()
        return bool(raw) and sid(raw[0]).rpartition("-")[2] in _DEFAULT_PRIMARY

    def credentials(self, entry: Entry) -> Iterator[Credential]:
        """Make the rows of an account's password, SSH keys and certificates; the secrets themselves are never read."""
        account = self.identifier(entry)
        yield Credential(
            source=self.source,
            credential_id=f"{account}:password",
            account_id=account,
            kind="password",
            status=self._attempt("credentials", entry, self._password_status, entry),
            rotated_at=self._first_time("credentials", entry, self.profile.password_changed),
            expires_at=self._password_ends(entry),
        )
        seen = set()
        keys = (
            *self._ssh_keys(account, entry),
            *self._certificates(account, entry),
            *self._device_keys(account, entry),
        )
        for credential in keys:
            if credential.credential_id not in seen:
                seen.add(credential.credential_id)
                yield credential

    def account_attributes(self) -> tuple[str, ...]:
        """Name the attributes to ask for to fill ``account``."""
        mine = self.profile
        texts = [name for column in mine.texts for name in self.names(column)]
        times = [mine.created, *(name for name, _ in mine.last_sign_in), *mine.password_changed]
        return _unique(
            [
                mine.id_attribute,
                "objectClass",
                *texts,
                *times,
                *mine.state_attributes,
                mine.policy,
                *self.settings.attributes,
            ]
        )

    def entitlement_attributes(self) -> tuple[str, ...]:
        """Name the attributes to ask for to fill ``entitlement``."""
        extra = ["adminCount", "objectSid"] if self.profile is ACTIVE_DIRECTORY else []
        return _unique(
            [self.profile.id_attribute, "objectClass", "cn", "description", "memberURL", *self.profile.owner, *extra]
        )

    def credential_attributes(self) -> tuple[str, ...]:
        """Name the attributes to ask for to fill ``credentials``."""
        mine = self.profile
        extra = [COMPUTED, DEVICE_KEYS] if mine is ACTIVE_DIRECTORY else []
        times = [name for name in (*mine.password_changed, mine.password_expires, mine.policy) if name]
        return _unique([mine.id_attribute, *times, *extra, "sshPublicKey", *CERTIFICATES])

    def names(self, column: TextColumn) -> tuple[str, ...]:
        """Return the attributes that fill a column: the one that the configuration maps, else the profile's."""
        override = self.settings.map.get(column)
        return (override,) if override else self.profile.texts[column]

    def login(self, entry: Entry) -> str | None:
        """Return the sign-in name."""
        return self._text(entry, "login")

    def _text(self, entry: Entry, column: TextColumn) -> str | None:
        names = self.names(column)
        if column == "login":
            for name in names:
                # Of several values the one in the DN is the name; order means nothing in LDAP.
                named = first_value(entry.dn, name) if len(entry.raw(name)) > 1 else None
                if named:
                    return named
        return entry.text(*names)

    def _state(self, entry: Entry) -> State:
        state = self.profile.state(entry, self.server_time)
        if self.locks_unseen and state.status == "enabled":
            return State(None, None, None, state.expires_at)
        if state.status == "locked" and state.can_sign_in is None:
            policy = self._policy(entry)
            if policy is not None and policy.lockout == timedelta(0):
                return replace(state, can_sign_in=False)
        return state

    def _policy(self, entry: Entry) -> Policy | None:
        """Return the account's password policy, its own before the default; None where no policy is known."""
        mine = self.profile.policy
        name = (entry.text(mine) or self.settings.password_policy) if mine else None
        return self.policies(name) if name and self.policies else None

    def _password_ends(self, entry: Entry) -> datetime | None:
        """Return when the password expires: by the server, or by age and policy; None is never, or unknown."""
        told = self._first_time("credentials", entry, [self.profile.password_expires])
        if told is not None:
            return told
        policy = self._policy(entry)
        changed = self._first_time("credentials", entry, self.profile.password_changed) if policy else None
        try:
            return changed + policy.max_age if policy and policy.max_age and changed else None
        except OverflowError:
            return None  # beyond the year 9999: never

    def _last_sign_in(self, entry: Entry) -> tuple[datetime | None, str | None]:
        found = [
            (instant, basis)
            for name, basis in self.profile.last_sign_in
            if (instant := self._time("accounts", entry, name)) is not None
        ]
        return max(found) if found else (None, None)

    def _first_time(self, table: str, entry: Entry, names: Sequence[str]) -> datetime | None:
        found = (self._time(table, entry, name) for name in names if name)
        return next((instant for instant in found if instant is not None), None)

    def _time(self, table: str, entry: Entry, name: str) -> datetime | None:
        return self._attempt(table, entry, _instant, entry.text(name))

    def _attempt(self, table: str, entry: Entry, read: Callable[[V], T | None], value: V) -> T | None:
        """Read a value; one that breaks its own syntax is a gap, for None would say that there is none."""
        try:
            return read(value)
        except ValueError as error:
            self.gaps.append(Gap(table, entry.dn, f"a value cannot be read: {error}"))
            return None

    def _password_status(self, entry: Entry) -> CredentialStatus | None:
        computed = entry.number(COMPUTED) if self.profile is ACTIVE_DIRECTORY else None
        if computed is None:
            return None
        return "expired" if computed & PASSWORD_EXPIRED else "active"

    def _privileged(self, entry: Entry, name: str) -> bool | None:
        """Return True where the configuration or adminCount says so, False where the configuration denies it."""
        texts = (name.casefold(), normalise(entry.dn))

        def named(patterns: Sequence[str]) -> bool:
            wanted = [one for pattern in patterns for one in _patterns(pattern)]
            return any(fnmatch.fnmatchcase(text, one) for text in texts for one in wanted)

        if named(self.settings.privileged_groups) or entry.text("adminCount") == "1":
            return True
        return False if named(self.settings.ordinary_groups) else None

    def _allowed(self, entry: Entry) -> str:
        """Return the allow-listed attributes, and the DN: people name an entry by it in registers and exceptions."""
        found: dict[str, object] = {n: entry.texts(n) for n in self.settings.attributes if entry.raw(n)}
        found["dn"] = entry.dn
        return json.dumps(found, ensure_ascii=False, sort_keys=True)

    def _ssh_keys(self, account: str, entry: Entry) -> Iterator[Credential]:
        for line in _key_lines(entry.texts("sshPublicKey")):
            print_ = _fingerprint(line)
            yield Credential(
                source=self.source,
                credential_id=f"{account}:ssh_key:{f'SHA256:{print_}' if print_ else _unreadable(line.encode())}",
                account_id=account,
                kind="ssh_key",
                # A directory has no other state: hosts honour what it lists until it is removed. A line that is no
                # key of OpenSSH's form may still be one to somebody.
                status="active" if print_ else None,
            )

    def _certificates(self, account: str, entry: Entry) -> Iterator[Credential]:
        for raw in [value for name in CERTIFICATES for value in entry.raw(name)]:
            certificate = _certificate(raw)
            name = f"{certificate.serial_number:x}:{_digest(raw)}" if certificate else _unreadable(raw)
            yield Credential(
                source=self.source,
                credential_id=f"{account}:certificate:{name}",
                account_id=account,
                kind="certificate",
                created_at=certificate.not_valid_before_utc if certificate else None,
                expires_at=certificate.not_valid_after_utc if certificate else None,
            )

    def _device_keys(self, account: str, entry: Entry) -> Iterator[Credential]:
        for text in entry.texts(DEVICE_KEYS):
            key = _device_key(text)
            yield Credential(
                source=self.source,
                credential_id=f"{account}:mfa_factor:{key.identifier if key else _unreadable(text.encode())}",
                account_id=account,
                kind="mfa_factor",
                status="active" if key else None,  # a domain controller honours what the attribute lists
                created_at=key.created_at if key else None,
                last_used_at=key.last_used_at if key else None,
                last_used_basis="approximate last sign-in with this key" if key and key.last_used_at else None,
            )


def identifier(entry: Entry, profile: Profile) -> str:
    """Return the entry's immutable id as text; raises ``Refused`` where it is not shown."""
    raw = entry.raw(profile.id_attribute)
    if not raw:
        raise Refused(
            f"{entry.dn} comes without {profile.id_attribute}: no row of it could be told from another",
            advice=f"Let the reader read {profile.id_attribute}; or set profile, if this is another kind of directory.",
            missing_permission=f"read access to {profile.id_attribute}",
        )
    if profile is not ACTIVE_DIRECTORY:
        return raw[0].decode(errors="backslashreplace").lower()
    try:
        return guid(raw[0])
    except ValueError as error:
        raise Misbehaved(f"the objectGUID of {entry.dn} is not 16 octets") from error


def reports(profile: Profile | None, settings: Settings) -> Mapping[str, frozenset[str]]:
    """Return table -> columns that ``profile`` can fill; None is any profile (before it is known)."""
    accounts = {
        "source", "account_id", "kind", "raw_status", "status", "can_sign_in", "created_at", "last_sign_in_at",
        "last_sign_in_basis", "password_changed_at", "expires_at", "attributes", *ACTIVE_DIRECTORY.texts,
    }  # fmt: skip
    groups = {"source", "entitlement_id", "kind", "name", "description", "owner_ref", "membership"}
    if settings.privileged_groups or settings.ordinary_groups or profile in (None, ACTIVE_DIRECTORY):
        groups.add("privileged")
    credentials = {"source", "credential_id", "account_id", "kind", "status", "created_at", "expires_at", "rotated_at"}
    if profile in (None, ACTIVE_DIRECTORY):
        credentials |= {"last_used_at", "last_used_basis"}
    # A membership here has no end of its own: the column is reported, and empty.
    grants = {"source", "principal_kind", "principal_id", "entitlement_id", "assignment", "expires_at"}
    tables = {"accounts": accounts, "entitlements": groups, "grants": grants, "credentials": credentials}
    if settings.accesslog_base:
        tables["events"] = {
            "source", "event_id", "occurred_at", "actor_id", "actor_kind", "action", "raw_action", "target_id",
            "target_kind", "entitlement_id", "outcome", "raw_digest",
        }  # fmt: skip
    return {table: frozenset(columns) for table, columns in tables.items()}


def _kind(entry: Entry, profile: Profile) -> AccountKind | None:
    """Tell a service account where the directory does; a person's entry may be anybody's: unknown."""
    classes = entry.classes()
    if profile is ACTIVE_DIRECTORY:
        trust = any(value.isdigit() and int(value) & TRUST for value in entry.texts("userAccountControl"))
        return "service" if classes & _MANAGED or trust else None
    return "service" if "simplesecurityobject" in classes and not classes & _PEOPLE else None


def _instant(text: str | None) -> datetime | None:
    """Read a time in either notation: Generalized Time ends in a zone, a file time is digits only."""
    if text is None or text == _NO_EXPIRY_389:
        return None
    if text.lstrip("-").isdigit():
        number = int(text)
        return None if number >= NEVER else file_time(number)
    return generalized_time(text)


def _patterns(pattern: str) -> tuple[str, str]:
    return pattern.casefold(), normalise(pattern)


def _key_lines(values: Iterable[str]) -> Iterator[str]:
    """Yield the keys in values that hosts read as lines of ``authorized_keys``: several a value, comments between."""
    for value in values:
        # A block of RFC 4716 is one key over many lines.
        lines = [value] if value.lstrip().startswith("----") else value.splitlines()
        yield from (line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#"))


def _fingerprint(line: str) -> str | None:
    """Return the fingerprint as OpenSSH writes it; None for what is no OpenSSH public key."""
    words = [word for word in line.split() if word.startswith("AAAA") and not line.startswith("----")]
    try:
        blob = base64.b64decode(words[0], validate=True)
    except (IndexError, ValueError):
        return None
    return base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def _certificate(raw: bytes) -> x509.Certificate | None:
    """Return a certificate; None for what is none: it is listed all the same, with dates unknown."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # old certificates break rules of today, such as that on serial numbers
        try:
            return x509.load_der_x509_certificate(raw)
        except (ValueError, x509.InvalidVersion):
            return None


def _device_key(text: str) -> DeviceKey | None:
    try:
        return device_key(text)
    except ValueError:
        return None


def _unreadable(raw: bytes) -> str:
    """Name a value that cannot be read by what it is made of: it is there, and is counted, and no more is known."""
    return f"{_UNREADABLE}:{_digest(raw)}"


def is_unreadable(credential_id: str) -> bool:
    """Say whether this is the id of a listed value that could not be read."""
    return f":{_UNREADABLE}:" in credential_id


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()[:16]


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    return tuple({name.lower(): name for name in names if name}.values())
