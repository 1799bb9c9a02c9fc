"""Proof of sight: an attribute that does not come is absent only where the server itself says so.

A directory leaves out what it hides, and says nothing. But a filter on an attribute that the reader may not
search is Undefined (RFC 4511, 4.5.1.7), and so is its negation: ``(!(member=*))`` matches those entries only
whose attribute is verifiably absent. Measured on OpenLDAP and 389 Directory Server; Samba answers otherwise.
"""

from __future__ import annotations

from .client import Client, Search
from .profiles import DIRECTORY_389, OPENLDAP, Profile
from .settings import Settings
from .values import Entry

_MEMBERS = {
    "group": "member",
    "groupofnames": "member",
    "groupofmembers": "member",
    "groupofuniquenames": "uniqueMember",
    "posixgroup": "memberUid",
    "groupofurls": "memberURL",
}
"""Object class -> the attribute in which such a group names its members; the class being there, so is the attribute."""


def unseen(client: Client, base: str, condition: str, attributes: tuple[str, ...]) -> bool:
    """Say whether one of ``attributes`` of the entries that match can be seen on none of them.

    False where there is no such entry, and where the server does not know the attribute at all.
    """
    return any(_is_unseen(client, base, condition, attribute) for attribute in attributes)


def _is_unseen(client: Client, base: str, condition: str, attribute: str) -> bool:
    for proof in (f"(&{condition}(!({attribute}=*)))", f"(&{condition}({attribute}=*))"):
        if client.page(Search(base, proof, ("1.1",), 1), None).entries:
            return False
    anybody = client.page(Search(base, condition, ("1.1",), 1), None).entries
    return bool(anybody) and _is_defined(client, attribute)


def _is_defined(client: Client, attribute: str) -> bool:
    """Look into the schema; a server that hides its schema is taken to know the attribute."""
    where = client.root().text("subschemaSubentry")
    schema = client.entry(where, ("attributeTypes",), "(objectClass=subschema)") if where else None
    known = schema.texts("attributeTypes") if isinstance(schema, Entry) else []
    return not known or any(f"'{attribute.lower()}'" in line.lower() for line in known)


class EmptyGroups:
    """Tells a group without members from one whose members are hidden, below one base DN."""

    def __init__(self, client: Client, id_attribute: str, condition: str, settings: Settings, base: str) -> None:
        self._client = client
        self._id_attribute = id_attribute
        self._condition = condition
        self._settings = settings
        self._base = base
        self._proven: dict[str, set[str]] = {}

    def hidden(self, entry: Entry) -> list[str]:
        """Name the attributes of a group that did not come and are not proven to be absent."""
        wanted = {_MEMBERS[name] for name in entry.classes() if name in _MEMBERS}
        sent = {name.partition(";")[0] for name in entry.attributes}
        missing = sorted(name for name in wanted if name.lower() not in sent)
        return [name for name in missing if entry.dn not in self._absent(name)]

    def _absent(self, attribute: str) -> set[str]:
        """Return the DNs of the groups whose ``attribute`` is absent; read once, when a group without it is met."""
        if attribute not in self._proven:
            kinds = "".join(f"(objectClass={name})" for name, held in _MEMBERS.items() if held == attribute)
            condition = f"(&{self._condition}(|{kinds})(!({attribute}=*)))"
            search = Search(self._base, condition, (self._id_attribute,), self._settings.page_size)
            self._proven[attribute] = {
                entry.dn for answer in self._client.beside().pages(search) for entry in answer.entries
            }
        return self._proven[attribute]


def hidden_below(client: Client, context: str, profile: Profile, page_size: int) -> str:
    """Say what shows that entries below a naming context are hidden from this reader; empty where nothing does.

    An entry of 389 Directory Server tells how many are right below it, so all of them can be counted. OpenLDAP tells
    only whether there are any; Active Directory tells neither.
    """
    if profile is DIRECTORY_389:
        return _uncounted(client, context, page_size)
    if profile is OPENLDAP:
        return _unshown(client, context, page_size)
    return ""


def _uncounted(client: Client, context: str, page_size: int) -> str:
    # Subentries, such as password policies, are counted by the server and shown only to those who ask for them.
    everything = Search(context, "(|(objectClass=*)(objectClass=ldapSubEntry))", ("numSubordinates",), page_size)
    shown = told = 0
    for answer in client.pages(everything):
        shown += len(answer.entries)
        told += sum(entry.number("numSubordinates") or 0 for entry in answer.entries)
    if shown > 1 and not told:
        return f"numSubordinates is hidden, which would tell whether all entries below {context} are shown"
    if told == shown - 1:
        return ""
    return f"numSubordinates counts {told} entries below {context}, and {max(shown - 1, 0)} are shown"


def _unshown(client: Client, context: str, page_size: int) -> str:
    for answer in client.pages(Search(context, "(hasSubordinates=TRUE)", ("1.1",), page_size)):
        for entry in answer.entries:
            below = client.beside().page(Search(entry.dn, "(objectClass=*)", ("1.1",), 1, "LEVEL"), None)
            if not below.entries and not below.referrals:
                return f"{entry.dn} has entries below it, and none is shown"
    return ""
