"""Who is behind a member value: a compact index of every account and group, and a second look at what is not in it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ldap3.utils.conv import escape_filter_chars

from reconciler.sdk.connector import Gap
from reconciler.sdk.errors import Refused
from reconciler.sdk.records import PrincipalKind

from .client import Client, Missing, Search
from .connector import identifier
from .dn import normalise, parent, under, without_unique_id
from .profiles import ACTIVE_DIRECTORY, Profile
from .settings import Settings
from .values import Entry, sid

_REMEMBERED = 50_000
_KINDS: dict[bytes, PrincipalKind] = {b"a": "account", b"g": "entitlement"}


@dataclass(frozen=True, slots=True)
class Holder:
    """An account or a group; ``primary`` is the number of its primary group, or of the group itself (POSIX)."""

    kind: PrincipalKind
    identifier: str
    primary: str = ""


def pack(holder: Holder) -> bytes:
    """Write a holder in few octets: a kind letter, the id, and the number after a space."""
    letter = b"a" if holder.kind == "account" else b"g"
    return letter + f"{holder.identifier} {holder.primary}".rstrip().encode()


def unpack(packed: bytes) -> Holder:
    """Read what ``pack`` wrote."""
    identifier_, _, primary = packed[1:].decode().partition(" ")
    return Holder(_KINDS[packed[:1]], identifier_, primary)


def digest(text: str) -> bytes:
    """Return a key of 16 octets; two DNs that share one are not to be expected before the sun burns out."""
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()


@dataclass(slots=True)
class Index:
    """DN digest -> packed holder, for all accounts and groups below all base DNs: about 160 octets an entry."""

    holders: dict[bytes, bytes] = field(default_factory=dict)
    logins: dict[bytes, bytes] = field(default_factory=dict)
    """Digest of the lower-case uid -> packed holder; empty where no group lists members by uid."""
    numbers: dict[str, list[str]] = field(default_factory=dict)
    """Group number (gidNumber, or SID) -> entitlement ids."""

    def add(self, store: dict[bytes, bytes], name: str, holder: Holder) -> None:
        """Remember a holder; two of one name leave an empty value: known, and ambiguous."""
        key, packed = digest(name), pack(holder)
        store[key] = packed if store.get(key, packed) == packed else b""


def build(client: Client, profile: Profile, settings: Settings) -> Index:
    """Read ids only of all groups, then of all accounts, below every base DN."""
    index = Index()
    by_login = False
    for base in settings.group_bases:
        by_login = by_login or _lists_logins(client, base, settings.group_filter or profile.groups)
        for entry in _read(client, base, settings.group_filter or profile.groups, _group_attributes(profile), settings):
            number = group_number(entry, profile)
            holder = Holder("entitlement", identifier(entry, profile))
            index.add(index.holders, normalise(entry.dn), holder)
            if number:
                index.numbers.setdefault(number, []).append(holder.identifier)
    numbered = () if profile is ACTIVE_DIRECTORY else (profile.primary,)
    wanted = (profile.id_attribute, *numbered, *(profile.member_logins if by_login else ()))
    for base in settings.bases:
        for entry in _read(client, base, settings.user_filter or profile.accounts, wanted, settings):
            key = normalise(entry.dn)
            holder = Holder("account", identifier(entry, profile), entry.text(*numbered) or "")
            before = index.holders.get(digest(key))
            if before and unpack(before).kind == "entitlement" and unpack(before).identifier == holder.identifier:
                continue  # both filters match it: as a group it was indexed first, and as a group it holds
            index.add(index.holders, key, holder)
            if by_login:
                for login in {login.casefold() for name in profile.member_logins for login in entry.texts(name)}:
                    index.add(index.logins, login, holder)
    return index


def _lists_logins(client: Client, base: str, condition: str) -> bool:
    """Say whether any group below ``base`` lists members by uid: the accounts' logins are read only then."""
    return bool(client.page(Search(base, f"(&{condition}(memberUid=*))", ("1.1",), 1), None).entries)


def group_number(entry: Entry, profile: Profile) -> str | None:
    """Return the number by which accounts name the group as their primary one."""
    if profile is not ACTIVE_DIRECTORY:
        return entry.text(profile.group_number)
    raw = entry.raw(profile.group_number)
    return sid(raw[0]) if raw else None


def _group_attributes(profile: Profile) -> tuple[str, ...]:
    return (profile.id_attribute, profile.group_number)


def _read(client: Client, base: str, condition: str, attributes: Sequence[str], settings: Settings) -> Iterable[Entry]:
    for answer in client.pages(Search(base, condition, tuple(attributes), settings.page_size)):
        yield from answer.entries


class Resolver:
    """Finds the holder that a member value names; what it cannot tell is a gap, never nobody.

    A value that is not in the index is looked at once more, by itself: the entry may be new, may be no
    account and no group (a contact, a placeholder), may not exist any more, or may lie where we cannot see.
    """

    def __init__(
        self, client: Client, profile: Profile, settings: Settings, index: Index, contexts: Sequence[str]
    ) -> None:
        self._client = client
        self._contexts = contexts
        self._profile = profile
        self._settings = settings
        self._index = index
        self._bases: dict[PrincipalKind, list[str]] = {
            "account": [normalise(base) for base in settings.bases],
            "entitlement": [normalise(base) for base in settings.group_bases],
        }
        self._left_out = [normalise(dn) for dn in settings.leave_out]
        self._looked: dict[bytes, Holder | Gap | None] = {}

    def by_dn(self, value: str) -> Holder | Gap | None:
        """Return whom a member DN names; None where it verifiably names no account and no group."""
        dn = without_unique_id(value).strip()
        if not dn:
            return None  # groupOfNames wants a member: the empty DN is the usual placeholder
        key = normalise(dn)
        mark = digest(key)
        packed = self._index.holders.get(mark)
        if packed:
            return unpack(packed)
        if packed == b"":
            mark = digest(dn)  # two names that are one to us, such as straße and strasse: the server tells them apart
        if mark not in self._looked:
            self._remember(mark, self._look(dn, key))
        return self._looked[mark]

    def by_login(self, login: str) -> Holder | Gap | None:
        """Return whom a memberUid names; None where no entry that this reader can see has the uid."""
        mark = digest(login.casefold())
        packed = self._index.logins.get(mark)
        if packed:
            return unpack(packed)
        if packed == b"":
            return _gap(login, "more than one account has this uid")
        if mark not in self._looked:
            self._remember(mark, self._look_for(login))
        return self._looked[mark]

    @property
    def has_numbers(self) -> bool:
        """Whether any group can be a primary group."""
        return bool(self._index.numbers)

    def by_number(self, number: str) -> list[str]:
        """Return the groups that carry this number."""
        return self._index.numbers.get(number, [])

    def _remember(self, mark: bytes, found: Holder | Gap | None) -> None:
        if len(self._looked) >= _REMEMBERED:
            self._looked.clear()  # memory stays flat; what is met again is looked at again
        self._looked[mark] = found

    def _look_for(self, login: str) -> Gap | None:
        """Look for a uid in the whole server: an account outside every base DN must not pass for nobody."""
        if not self._contexts:
            return _gap(login, "is in no base_dn, and the server does not say what else it holds")
        names = self._profile.member_logins
        condition = f"(|{''.join(f'({name}={escape_filter_chars(login)})' for name in names)})"
        for context in self._contexts:
            try:
                found = self._client.beside().page(Search(context, condition, ("1.1",), 10), None)
            except Refused as refusal:
                return _gap(login, f"is in no base_dn, and {refusal.message}", refusal.missing_permission)
            for entry in found.entries:
                key = normalise(entry.dn)
                if not any(under(key, known) for known in (*self._bases["account"], *self._left_out)):
                    return _gap(login, "is outside every base_dn", f"base_dn that holds {entry.dn}")
        return None

    def _look(self, dn: str, key: str) -> Holder | Gap | None:
        if any(under(key, subtree) for subtree in self._left_out):
            return None
        found = self._client.entry(dn, (self._profile.id_attribute, "objectClass", self._profile.primary))
        if isinstance(found, Missing):
            return self._judge_missing(dn, key, found)
        kind = self._kind(dn)
        if kind is None:
            foreign = "foreignsecurityprincipal" in found.classes()
            return (
                _gap(
                    dn,
                    "is an account of another domain: whom it names is not to be seen here "
                    "(leave_out declares its container known)",
                )
                if foreign
                else None
            )
        if not any(under(key, base) and self._context(key) == self._context(base) for base in self._bases[kind]):
            return _gap(dn, f"is an {kind} outside every base_dn", f"base_dn that holds {dn}")
        return Holder(kind, identifier(found, self._profile), found.text(self._profile.primary) or "")

    def _context(self, key: str) -> str:
        """Return the partition that holds the entry: in Active Directory no search crosses from one to another."""
        if self._profile is not ACTIVE_DIRECTORY:
            return ""
        return max((context for context in map(normalise, self._contexts) if under(key, context)), key=len, default="")

    def _kind(self, dn: str) -> PrincipalKind | None:
        mine, theirs = self._settings, self._profile
        if isinstance(self._client.entry(dn, ("1.1",), mine.group_filter or theirs.groups), Entry):
            return "entitlement"
        if isinstance(self._client.entry(dn, ("1.1",), mine.user_filter or theirs.accounts), Entry):
            return "account"
        return None

    def _judge_missing(self, dn: str, key: str, missing: Missing) -> Gap | None:
        """Decide what an entry that does not come back means.

        The server names the deepest entry of the path that exists for us. Where that is the entry right
        above, we can look there and the member is not there: it is gone. Where it is further up, the
        place itself is hidden or elsewhere, and the member may well exist.

        Active Directory removes a deleted entry from all groups: a member that it lists and does not show
        is there, and hidden.
        """
        above = parent(dn)
        kept = self._profile is ACTIVE_DIRECTORY
        if not kept and not missing.denied and above and normalise(missing.matched) == above:
            return None
        reason = missing.reason if missing.denied else "lies where this reader cannot look"
        return _gap(dn, reason, missing.permission or f"read access to {above or key}")


def _gap(subject: str, reason: str, permission: str = "") -> Gap:
    return Gap("grants", subject, f"a group names it as a member and it {reason}", permission)
