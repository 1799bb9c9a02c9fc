"""The directory behind the LDAP simulator: entries by normalised DN, scopes, filters, attribute selection."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tests.simulators.ber import Tlv

Profile = Literal["openldap", "ad", "389ds"]
Values = Sequence[str | bytes]
Entries = Mapping[str, Mapping[str, Values]]
Key = tuple[str, ...]

OPERATIONAL = frozenset(
    (
        "entryuuid",
        "entrydn",
        "entrycsn",
        "createtimestamp",
        "modifytimestamp",
        "creatorsname",
        "modifiersname",
        "structuralobjectclass",
        "hassubordinates",
        "subschemasubentry",
        "memberof",
        "pwdchangedtime",
        "pwdaccountlockedtime",
        "pwdfailuretime",
        "pwdpolicysubentry",
        "pwdreset",
        "pwdhistory",
        "authtimestamp",
        "nsuniqueid",
        "nsaccountlock",
        "namingcontexts",
        "supportedcontrol",
        "supportedextension",
        "supportedldapversion",
        "supportedfeatures",
        "vendorname",
        "vendorversion",
        "configcontext",
        "supportedsaslmechanisms",
    )
)
"""Attributes that come back only when named, or for ``+`` (AD returns its own with ``*``)."""

_SUPERIOR = {
    "inetorgperson": "organizationalperson",
    "organizationalperson": "person",
    "user": "organizationalperson",
    "computer": "user",
    "msds-managedserviceaccount": "computer",
    "msds-groupmanagedserviceaccount": "computer",
    "msds-delegatedmanagedserviceaccount": "computer",
}
_SUBSTRINGS = {0x80: "{}.*", 0x81: ".*{}.*", 0x82: ".*{}"}
_CONFIGURATION = "cn=configuration"
"""The top of a partition of its own, into which Active Directory's searches of a domain do not go."""
_BIT_AND, _BIT_OR = "1.2.840.113556.1.4.803", "1.2.840.113556.1.4.804"


def _split(dn: str, separator: str) -> Iterator[str]:
    part, escaped = "", False
    for char in dn:
        if char == separator and not escaped:
            yield part
            part = ""
        else:
            part += char
        escaped = char == "\\" and not escaped
    yield part


def _unescape(value: str) -> str:
    text = value.strip()
    if text.endswith("\\"):
        text += " "  # the space stripped may have been an escaped one
    raw = re.sub(rb"\\([0-9a-fA-F]{2}|.)", _unescaped, text.encode())
    return " ".join(raw.decode(errors="surrogateescape").split()).casefold()


def _unescaped(match: re.Match[bytes]) -> bytes:
    found = match[1]
    return bytes.fromhex(found.decode()) if len(found) == 2 else found


def key_of(dn: str) -> Key:
    """Normalise a DN: its RDNs from the root down, case folded, unescaped; the empty DN is ()."""
    if not dn.strip():
        return ()
    rdns = []
    for rdn in _split(dn, ","):
        pairs = [part.partition("=") for part in _split(rdn, "+")]
        if any(not separator for _, separator, _ in pairs):
            message = f"invalid DN {dn!r}"
            raise ValueError(message)
        rdns.append("+".join(sorted(f"{name.strip().lower()}={_unescape(value)}" for name, _, value in pairs)))
    return tuple(reversed(rdns))


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry as it is sent: DN, and attributes in the order and case they were given."""

    dn: str
    key: Key
    attributes: dict[str, tuple[str, tuple[bytes, ...]]]
    """Lower-case name -> (name as given, values)."""

    def values(self, name: str) -> tuple[bytes, ...]:
        """Return the values of an attribute, empty where it has none; superior classes count as values."""
        found = self.attributes.get(name.lower(), ("", ()))[1]
        if name.lower() != "objectclass":
            return found
        classes = {value.decode().lower() for value in found}
        for name_ in tuple(classes):
            above = name_
            while above := _SUPERIOR.get(above, ""):
                classes.add(above)
        return tuple(value.encode() for value in classes)

    def select(self, wanted: Sequence[str], profile: Profile) -> dict[str, tuple[bytes, ...]]:
        """Return the attributes that a search for ``wanted`` shows (``*``, ``+``, ``1.1``, names; none: ``*``)."""
        names = {name.lower() for name in wanted} or {"*"}
        return {
            shown: values
            for lower, (shown, values) in self.attributes.items()
            if lower in names
            or lower.partition(";")[0] in names
            or ("*" in names and (profile == "ad" or lower not in OPERATIONAL))
            or ("+" in names and lower in OPERATIONAL)
        }


def make_entry(dn: str, given: Mapping[str, Values], profile: Profile) -> Entry:
    """Build an entry and give it the immutable id that the profile's server would give, where it has none."""
    attributes = {
        name.lower(): (name, tuple(v.encode() if isinstance(v, str) else v for v in values))
        for name, values in given.items()
        if values
    }
    made = uuid.uuid5(uuid.NAMESPACE_X500, "/".join(key_of(dn)))
    if profile == "openldap":
        attributes.setdefault("entryuuid", ("entryUUID", (str(made).encode(),)))
    elif profile == "389ds":
        text = f"{made.hex[:8]}-{made.hex[8:16]}-{made.hex[16:24]}-{made.hex[24:]}"
        attributes.setdefault("nsuniqueid", ("nsUniqueId", (text.encode(),)))
    else:
        attributes.setdefault("objectguid", ("objectGUID", (made.bytes_le,)))
        attributes.setdefault("distinguishedname", ("distinguishedName", (dn.encode(),)))
    return Entry(dn, key_of(dn), attributes)


class Directory:
    """Entries by normalised DN, in the order they were put in."""

    def __init__(self, entries: Entries, profile: Profile) -> None:
        self.profile: Profile = profile
        self._entries: dict[Key, Entry] = {}
        for dn, given in entries.items():
            self.put(dn, given)

    def put(self, dn: str, given: Mapping[str, Values]) -> None:
        """Add or replace one entry."""
        self._entries[key_of(dn)] = make_entry(dn, given, self.profile)

    def remove(self, dn: str) -> None:
        """Remove one entry; raises ``KeyError`` where it is not there."""
        del self._entries[key_of(dn)]

    def suffixes(self) -> list[str]:
        """Return the naming contexts: the leading dc= parts of the entries, or their first part."""
        found = {tuple(part for part in key if part.startswith("dc=")) or key[:1] for key in self._entries}
        return sorted(",".join(reversed(parts)) for parts in found)

    def elsewhere(self, key: Key) -> bool:
        """Say whether ``key`` lies in a domain that is not held here: Active Directory refers to others for it."""
        return tuple(part for part in key if part.startswith("dc=")) not in map(key_of, self.suffixes())

    def matched(self, key: Key, hidden: Sequence[Key]) -> str | None:
        """Return the DN of the deepest visible entry above ``key``; None where ``key`` itself can be searched."""
        seen = [veil for veil in hidden if key[: len(veil)] == veil]
        if not seen and (key in self._entries or any(other[: len(key)] == key for other in self._entries)):
            return None
        top = min((len(veil) for veil in seen), default=len(key)) - 1
        above = (self._entries.get(key[:depth]) for depth in range(top, 0, -1))
        return next((entry.dn for entry in above if entry is not None), "")

    def search(
        self, base: Key, scope: int, condition: Tlv, hidden: Iterable[Key], veiled: frozenset[str] = frozenset()
    ) -> list[Entry]:
        """Return the entries in scope (0 base, 1 one level, 2 subtree) that match, without hidden subtrees.

        ``veiled`` attributes are Undefined in filters, as they are for a reader who may not search them.
        """
        veils = tuple(hidden)
        if scope == 0:
            one = self._entries.get(base)
            found: Iterable[Entry] = () if one is None else (one,)
        else:
            depth = len(base)
            found = (
                entry
                for key, entry in list(self._entries.items())
                if key[:depth] == base and (scope == 2 or len(key) == depth + 1)
            )
        return [
            entry
            for entry in found
            if not any(entry.key[: len(veil)] == veil for veil in veils)
            and (self.profile != "ad" or scope == 0 or _CONFIGURATION in base or _CONFIGURATION not in entry.key)
            and matches(condition, entry, veiled)
        ]


def matches(condition: Tlv, entry: Entry, veiled: frozenset[str] = frozenset()) -> bool | None:
    """Evaluate a filter (RFC 4511, 4.5.1.7): True, False, or None for Undefined, which does not match."""
    tag = condition.tag
    if tag == 0x87:
        return None if condition.text().lower() in veiled else bool(entry.values(condition.text()))
    parts = condition.children()
    if tag in {0xA0, 0xA1}:
        found = [matches(part, entry, veiled) for part in parts]
        decisive = tag == 0xA1
        return decisive if decisive in found else None if None in found else not decisive
    if tag == 0xA2:
        inner = matches(parts[0], entry, veiled)
        return None if inner is None else not inner
    if tag != 0xA9 and parts[0].text().lower() in veiled:
        return None
    return _bits(parts, entry) if tag == 0xA9 else _asserted(tag, parts, entry)


def _asserted(tag: int, parts: Sequence[Tlv], entry: Entry) -> bool:
    values = entry.values(parts[0].text())
    if tag == 0xA4:
        pieces = [_SUBSTRINGS[piece.tag].format(re.escape(_fold(piece.content))) for piece in parts[1].children()]
        pattern = re.compile("".join(pieces), re.DOTALL)
        return any(pattern.fullmatch(_fold(value)) for value in values)
    asked = parts[1].content
    if parts[0].text().lower() == "objectcategory" and b"=" not in asked:
        # Active Directory stores a DN here and takes the class's short name in filters.
        return any(_fold(value).startswith(f"cn={_fold(asked)},") for value in values)
    if tag in {0xA5, 0xA6}:
        sign = 1 if tag == 0xA5 else -1
        return any(_order(value, asked) * sign >= 0 for value in values)
    return asked in values or any(_same(value, asked) for value in values)


def _fold(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape").casefold()


def _same(value: bytes, asked: bytes) -> bool:
    if _fold(value) == _fold(asked):
        return True
    if b"=" not in value or b"=" not in asked:
        return False
    try:
        return key_of(value.decode()) == key_of(asked.decode())
    except ValueError:
        return False


def _order(value: bytes, asked: bytes) -> int:
    try:
        return int(value) - int(asked)
    except ValueError:
        left, right = _fold(value), _fold(asked)
        return (left > right) - (left < right)


def _bits(parts: Sequence[Tlv], entry: Entry) -> bool:
    found = {part.tag: part.text() for part in parts}
    rule, mask = found.get(0x81), found.get(0x83, "")
    numbers = [int(value) for value in entry.values(found.get(0x82, ""))]
    if rule == _BIT_AND:
        return any(number & int(mask) == int(mask) for number in numbers)
    if rule == _BIT_OR:
        return any(number & int(mask) for number in numbers)
    return False
