"""Look live for the accounts of a person: by every key, in every base DN, among deleted objects as well."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from ldap3.utils.conv import escape_bytes, escape_filter_chars

from reconciler.sdk.connector import AccountRef, Found, Gap, PersonKeys
from reconciler.sdk.errors import SourceError

from .client import Client, Missing, Search
from .connector import Mapper
from .dn import normalise, under
from .profiles import ACTIVE_DIRECTORY, DIRECTORY_389, Profile
from .referrals import referral_gaps
from .sight import unseen
from .values import Entry

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_UNIQUE_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{8}){3}")
_DELETED_ACCOUNTS = "(&(objectClass=user)(isDeleted=TRUE))"
"""A deleted object has lost its objectCategory; classes stay."""


def id_condition(account_id: str, profile: Profile) -> str | None:
    """Return the filter for an immutable id; None for a text that can be no id of this directory.

    Such a filter would be Undefined and match nobody, which must not pass for "gone".
    """
    text = account_id.lower()
    if profile is ACTIVE_DIRECTORY:
        return f"(objectGUID={escape_bytes(uuid.UUID(text).bytes_le)})" if _UUID.fullmatch(text) else None
    shape = _UNIQUE_ID if profile is DIRECTORY_389 else _UUID
    return f"({profile.id_attribute}={text})" if shape.fullmatch(text) else None


@dataclass(frozen=True, slots=True)
class Key:
    """One way to look for a person: the name of the key, the filter, and the attributes that it rests on."""

    name: str
    condition: str
    attributes: tuple[str, ...]


def keys_of(person: PersonKeys, mapper: Mapper) -> list[Key]:
    """Return the keys that are known of ``person`` as filters, every value escaped."""
    profile = mapper.profile
    ids = [found for text in person.account_ids if (found := id_condition(text, profile))]
    employee, mail, login = (mapper.names(column) for column in ("employee_id", "email", "login"))
    logins = [text.rpartition("\\")[2] for text in person.logins]  # DOMAIN\name is known here by the name
    addresses = (*mail, *login)
    by_mail = [*_equal(addresses, person.emails)]
    if profile is ACTIVE_DIRECTORY:
        by_mail += _equal(("proxyAddresses",), [f"smtp:{address}" for address in person.emails])
        addresses = (*addresses, "proxyAddresses")
    given = [
        ("account_id", ids, (profile.id_attribute,)),
        ("employee_id", [*_equal(employee, [person.employee_id])], employee),
        ("email", by_mail, addresses),
        ("login", [*_equal(login, logins)], login),
    ]
    return [Key(name, f"(|{''.join(parts)})", tuple(dict.fromkeys(used))) for name, parts, used in given if parts]


def _equal(names: Iterable[str], values: Sequence[str]) -> Iterator[str]:
    for value in values:
        if value.strip():
            yield from (f"({name}={escape_filter_chars(value.strip())})" for name in names)


def deleted_objects(mapper: Mapper, contexts: Sequence[str], bases: Sequence[str]) -> list[str]:
    """Name the containers of deleted objects of the domains that hold ``bases``; Active Directory only."""
    if mapper.profile is not ACTIVE_DIRECTORY:
        return []
    domains = [context for context in contexts if context.lower().startswith("dc=")]
    held = [d for d in domains if any(under(normalise(base), normalise(d)) for base in bases)]
    return [f"CN=Deleted Objects,{domain}" for domain in held]


def sees_deleted(client: Client, container: str) -> bool:
    """Say whether the reader may look into a container of deleted objects: others see none of its attributes."""
    found = client.entry(container, ("isDeleted",), deleted=True)
    return isinstance(found, Entry) and bool(found.raw("isDeleted"))


def unreadable(container: str) -> Gap:
    """Say that deleted objects cannot be seen."""
    reason = "deleted accounts, which can be restored, are not to be seen here"
    return Gap("accounts", container, reason, f"List Contents and Read Property on {container}")


def canary_trouble(client: Client, mapper: Mapper, base: str) -> tuple[list[str], str]:
    """Re-read the accounts among the canaries below ``base`` by id; return those that came, and what is amiss.

    Reading by id proves at once that the id may be searched and that entries are shown.
    """
    came: list[str] = []
    name, accounts = mapper.profile.id_attribute, any_account(mapper)
    for dn in mapper.settings.canaries:
        if not under(normalise(dn), normalise(base)):
            continue
        found = client.entry(dn, (name,), accounts)
        if isinstance(found, Missing):
            there = client.entry(dn, ("1.1",))
            if isinstance(there, Entry):
                continue  # a group, say: it proves nothing of accounts
            return came, f"the canary {dn} {there.reason}"
        condition = id_condition(mapper.identifier(found), mapper.profile)
        answer = client.page(Search(base, f"(&{accounts}{condition})", ("1.1",), 1), None)
        if [normalise(entry.dn) for entry in answer.entries] != [normalise(dn)]:
            return came, f"the canary {dn}, asked for by its {name}, does not come back"
        came.append(dn)
    return came, ""


@dataclass(slots=True)
class Finder:
    """Carries out one search for one person over one connection."""

    client: Client
    mapper: Mapper
    contexts: Sequence[str]
    found: dict[str, tuple[str | None, list[str]]] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)
    answered: int = 0
    failure: SourceError | None = None

    def find(self, person: PersonKeys) -> Found:
        """Search by every key; raises the first error where no search was answered."""
        keys = keys_of(person, self.mapper)
        settings, accounts = self.mapper.settings, any_account(self.mapper)
        if not keys:
            self.gaps.append(
                Gap("accounts", "", "nothing is known of the person that this directory could be asked for")
            )
        for base in settings.bases if keys else ():
            self._try(base, partial(self._prove_sight, base, accounts, keys))
            for key in keys:
                self._try(base, partial(self._search, base, f"(&{accounts}{key.condition})", key.name))
        for container in deleted_objects(self.mapper, self.contexts, settings.bases) if keys else ():
            self._try(container, partial(self._in_deleted, container, keys))
        if keys and not self.answered and self.failure is not None:
            raise self.failure
        refs = tuple(AccountRef(key, login, tuple(by)) for key, (login, by) in self.found.items())
        return Found(refs, tuple(dict.fromkeys(self.gaps)))

    def _prove_sight(self, base: str, accounts: str, keys: Sequence[Key]) -> None:
        """Add a gap for what would be left out in silence: a veiled base DN, or a veiled attribute in a filter."""
        came, trouble = canary_trouble(self.client, self.mapper, base)
        if not came and not trouble:
            seen = self.client.page(Search(base, accounts, ("1.1",), 1), None).entries
            trouble = "" if seen else "no account is to be seen here"
        if trouble:
            self.gaps.append(Gap("accounts", base, trouble, f"read access to the accounts below {base}"))
        for name in dict.fromkeys(name for key in keys for name in key.attributes):
            if unseen(self.client, base, accounts, (name,)):
                reason = f"{name} may not be searched, so accounts that carry it are not found by it"
                self.gaps.append(Gap("accounts", base, reason, f"read and search access to {name}"))

    def _in_deleted(self, container: str, keys: Sequence[Key]) -> None:
        if not sees_deleted(self.client, container):
            self.gaps.append(unreadable(container))
            return
        for key in keys:
            self._search(container, f"(&{_DELETED_ACCOUNTS}{key.condition})", key.name, deleted=True)

    def _search(self, base: str, condition: str, key: str, *, deleted: bool = False) -> None:
        mapper = self.mapper
        wanted = (mapper.profile.id_attribute, *mapper.names("login"))
        search = Search(base, condition, wanted, mapper.settings.page_size, deleted=deleted)
        for answer in self.client.pages(search):
            self.gaps += referral_gaps("accounts", answer.referrals, mapper.settings, mapper.profile)
            for entry in answer.entries:
                login = mapper.login(entry)
                _, by = self.found.setdefault(mapper.identifier(entry), (login, []))
                if key not in by:
                    by.append(key)
        self.answered += 1

    def _try(self, where: str, work: Callable[[], None]) -> None:
        try:
            work()
        except SourceError as error:
            self.failure = self.failure or error
            self.gaps.append(Gap("accounts", where, error.message, getattr(error, "missing_permission", "")))


def any_account(mapper: Mapper) -> str:
    """Return the filter for accounts in every state, those that ``user_filter`` leaves out included."""
    return f"(|{mapper.profile.accounts}{mapper.settings.user_filter or ''})"
