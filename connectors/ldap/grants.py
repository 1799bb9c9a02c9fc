"""The page chain of grants: members of every group, in bounded pages, then primary groups.

A generator, because a group's members outlive a page: ranges of Active Directory, dynamic groups, and
groups of a hundred thousand. One search page of groups and one page of rows are in memory at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import unquote

from reconciler.sdk.connector import Gap
from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused
from reconciler.sdk.records import Assignment, Grant

from .client import Client, Search
from .connector import Mapper
from .dn import normalise
from .principals import Holder, Resolver, group_number
from .profiles import ACTIVE_DIRECTORY
from .settings import Settings
from .sight import EmptyGroups, unseen
from .values import Entry, sid

ROWS = 5_000
"""Rows after which a page of grants is closed, in the middle of a group if need be."""
GROUPS = 20
"""Groups asked for at once: each comes with all its members in one entry."""
GAPS = 500
"""Gaps named one by one; a directory whose people are all hidden would fill the manifest."""

_ATTRIBUTE = re.compile(r"\(\s*([A-Za-z][A-Za-z0-9.-]*)[;A-Za-z0-9-]*\s*(?:[~<>]?=|:)")
"""An attribute in a filter: what follows a bracket that opens."""
_SCOPES = {"": "BASE", "base": "BASE", "one": "LEVEL", "sub": "SUBTREE"}


@dataclass(slots=True)
class Batch:
    """Rows, gaps and DNs met, of one page."""

    rows: list[Grant] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    met: set[str] = field(default_factory=set)
    """Normalised DNs met that are canaries."""
    referrals: list[str] = field(default_factory=list)
    """URLs of what lies on other servers."""
    last: bool = False


class GrantChain:
    """Reads the grants of the groups below one base DN, and the primary groups of accounts below ``account_bases``."""

    def __init__(
        self,
        client: Client,
        mapper: Mapper,
        resolver: Resolver,
        *,
        base: str,
        canaries: frozenset[str],
        account_bases: tuple[str, ...],
    ) -> None:
        self._client = client
        self._mapper = mapper
        self._resolver = resolver
        self._base = base
        self._account_bases = account_bases
        self._canaries = canaries
        self._settings: Settings = mapper.settings
        self._profile = mapper.profile
        self._batch = Batch()
        self._told: set[str] = set()
        self._unseen: dict[tuple[str, str], bool] = {}

    def batches(self) -> Iterator[Batch]:
        """Yield pages; the last one says so."""
        profile = self._profile
        own = (profile.id_attribute, profile.group_number, "objectClass")
        attributes = (*own, "member", "uniqueMember", "memberUid", "memberURL")
        condition = self._settings.group_filter or profile.groups
        search = Search(self._base, condition, attributes, min(GROUPS, self._settings.page_size))
        empty = EmptyGroups(self._client, profile.id_attribute, condition, self._settings, self._base)
        for answer in self._client.pages(search):
            self._batch.referrals += answer.referrals
            for entry in answer.entries:
                for name in empty.hidden(entry):
                    self._tell(Gap("grants", entry.dn, f"its {name} is hidden", f"read and search access to {name}"))
                yield from self._group(entry)
        for base in self._account_bases:
            yield from self._primary_groups(base)
        self._batch.last = True
        yield self._batch

    def _group(self, entry: Entry) -> Iterator[Batch]:
        group = self._mapper.identifier(entry)
        number = None if self._profile is ACTIVE_DIRECTORY else group_number(entry, self._profile)
        self._meet(normalise(entry.dn))
        seen: set[str] = set()
        for dn in self._dynamic_members(entry):
            yield from self._member(group, dn, "dynamic", seen, number)
        for dn in (*self._members(entry), *entry.texts("uniqueMember")):
            yield from self._member(group, dn, "direct", seen, number)
        for login in entry.texts("memberUid"):
            yield from self._hold(group, self._resolver.by_login(login), "direct", seen, number)

    def _member(
        self, group: str, dn: str, assignment: Assignment, seen: set[str], number: str | None
    ) -> Iterator[Batch]:
        holder = self._resolver.by_dn(dn)
        if self._canaries and isinstance(holder, Holder):
            self._meet(normalise(dn))
        yield from self._hold(group, holder, assignment, seen, number)

    def _hold(
        self,
        group: str,
        holder: Holder | Gap | None,
        assignment: Assignment,
        seen: set[str],
        number: str | None,
    ) -> Iterator[Batch]:
        """Add one row, once a group; who has the group as primary too gets the row there, and only there."""
        if isinstance(holder, Gap):
            self._tell(holder)
        elif holder is not None and holder.identifier not in seen:
            seen.add(holder.identifier)
            if not (number and holder.primary == number):
                yield from self._row(group, holder, assignment)

    def _row(self, group: str, holder: Holder, assignment: Assignment) -> Iterator[Batch]:
        self._batch.rows.append(
            Grant(
                source=self._mapper.source,
                principal_kind=holder.kind,
                principal_id=holder.identifier,
                entitlement_id=group,
                assignment=assignment,
            )
        )
        if len(self._batch.rows) >= ROWS:
            full, self._batch = self._batch, Batch()
            yield full

    def _members(self, entry: Entry) -> Iterator[str]:
        """Yield the values of ``member``, following ranges (MS-ADTS 3.1.1.3.1.3.3) to the end."""
        yield from entry.texts("member")
        found = _range(entry)
        while found is not None:
            values, end = found
            yield from values
            if end is None:
                return
            wanted = f"member;range={end + 1}-*"
            more = self._client.entry(entry.dn, (wanted,))
            found = _range(more) if isinstance(more, Entry) else None
            if found is None or (found[1] is not None and found[1] <= end):
                self._tell(Gap("grants", entry.dn, f"its members from number {end + 2} on were not sent ({wanted})"))
                return

    def _dynamic_members(self, entry: Entry) -> Iterator[str]:
        """Yield the DNs that a groupOfURLs selects, by its own search URL; what cannot be followed is a gap."""
        for url in entry.texts("memberURL"):
            search = _url_search(url, self._settings.page_size)
            if search is None:
                self._tell(Gap("grants", entry.dn, f"its members are those of {url}, which cannot be followed"))
                continue
            try:
                for answer in self._client.beside().pages(search):
                    for referral in answer.referrals:
                        self._tell(Gap("grants", entry.dn, f"some of its members lie on another server: {referral}"))
                    yield from (found.dn for found in answer.entries)
                hidden = self._hidden(search)
            except (Refused, Misbehaved, ConfigurationError) as failure:
                # Whoever wrote the URL wrote a filter or a base that is none: one group's defect, not the source's.
                reason = f"its members are those of {url}, and {failure.message}"
                self._tell(Gap("grants", entry.dn, reason, getattr(failure, "missing_permission", "")))
                continue
            for name in hidden:
                reason = f"its members are those of {url}, and {name} may not be searched"
                self._tell(Gap("grants", entry.dn, reason, f"read and search access to {name}"))

    def _hidden(self, search: Search) -> list[str]:
        """Name the attributes in a dynamic group's filter that the reader may not search: they match nobody."""
        hidden = []
        for name in dict.fromkeys(name.lower() for name in _ATTRIBUTE.findall(search.filter)):
            key = (normalise(search.base), name)
            if key not in self._unseen:
                self._unseen[key] = unseen(self._client.beside(), search.base, "(objectClass=*)", (name,))
            if self._unseen[key]:
                hidden.append(name)
        return hidden

    def _primary_groups(self, base: str) -> Iterator[Batch]:
        """Yield the rows of primary groups: the account names them, and they do not list it."""
        profile = self._profile
        if profile is not ACTIVE_DIRECTORY and not self._resolver.has_numbers:
            return  # no group of this directory can be anybody's primary one
        condition = self._settings.user_filter or profile.accounts
        if profile is not ACTIVE_DIRECTORY:
            condition = f"(&{condition}({profile.primary}=*))"
        # In Active Directory every account has one: it is asked of all, so that one that is hidden shows as a gap.
        attributes = (profile.id_attribute, profile.primary, "objectSid")
        search = Search(base, condition, attributes, self._settings.page_size)
        for answer in self._client.pages(search):
            for entry in answer.entries:
                number = self._primary_number(entry)
                holder = Holder("account", self._mapper.identifier(entry))
                groups = self._resolver.by_number(number) if number else []
                if not groups and profile is ACTIVE_DIRECTORY:
                    self._tell(_no_primary(entry, number))
                for group in groups:
                    yield from self._row(group, holder, "direct")

    def _primary_number(self, entry: Entry) -> str | None:
        number = entry.text(self._profile.primary)
        if self._profile is not ACTIVE_DIRECTORY or number is None:
            return number
        raw = entry.raw("objectSid")
        return f"{sid(raw[0]).rpartition('-')[0]}-{number}" if raw else None

    def _meet(self, key: str) -> None:
        if key in self._canaries:
            self._batch.met.add(key)

    def _tell(self, gap: Gap) -> None:
        """Report a gap once a chain, and no more than a reader can use: a thousand groups may name one member."""
        key = f"{gap.subject} {gap.reason}"
        if key in self._told or len(self._told) > GAPS:
            return
        self._told.add(key)
        if len(self._told) > GAPS:
            gap = Gap("grants", self._base, f"more members could not be read than the {GAPS} that are named")
        self._batch.gaps.append(gap)


def _no_primary(entry: Entry, number: str | None) -> Gap:
    """Name what is missing: the group once, however many accounts have it; or the account whose number is hidden."""
    if number is None:
        return Gap("grants", entry.dn, "its primary group is hidden", "read access to primaryGroupID and objectSid")
    reason = "is the primary group of accounts, and is not to be seen"
    return Gap("grants", number, reason, "read access to the group, and a group_base_dn that holds it")


def _url_search(url: str, page_size: int) -> Search | None:
    """Read ``ldap:///base?attributes?scope?filter``; None for another host, attributes, extensions, other scopes."""
    scheme, _, rest = url.partition(":///")
    parts = [unquote(part) for part in rest.split("?")]
    base, attributes, scope, condition, *extensions = [*parts, *[""] * (4 - len(parts))]
    if scheme.lower() != "ldap" or not base or attributes or extensions or scope.lower() not in _SCOPES:
        return None
    return Search(base, condition or "(objectClass=*)", ("1.1",), page_size, _SCOPES[scope.lower()])


def _range(entry: Entry) -> tuple[list[str], int | None] | None:
    """Return the values of ``member;range=M-N`` and N, None for ``*``; None where the entry has no range."""
    for name in entry.attributes:
        attribute, marker, span = name.partition(";range=")
        if marker and attribute == "member":
            end = span.partition("-")[2]
            return entry.texts(name), None if end == "*" else int(end)
    return None
