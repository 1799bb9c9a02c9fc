"""The LDAP source: page chains over one directory, each on a connection of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from reconciler.sdk.connector import Cursor, Found, Gap, LiveAccount, Page, Parents, Partition, PersonKeys
from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused, SourceError, Unreachable
from reconciler.sdk.records import Record
from reconciler.sdk.window import lookback

from .ber import PAGED_RESULTS
from .client import Client, Missing, Search, tls_context
from .connector import Mapper, reports
from .dn import normalise
from .events import EventChain
from .find import Finder
from .grants import GrantChain
from .live import Rereader, unevaluated
from .policy import Policies
from .principals import Index, Resolver, build
from .profiles import ACTIVE_DIRECTORY, PROFILES, Profile, detect, server_time
from .referrals import referral_gaps
from .settings import NO_ACCESSLOG, Settings
from .sight import unseen
from .values import Entry

TABLES = ("accounts", "entitlements", "grants", "credentials")
_GLOBAL_CATALOG = (3268, 3269)


@dataclass(slots=True)
class _Chain:
    """A page chain under way: a generator of pages, and how many were handed out."""

    client: Client
    pages: Iterator[Page]
    given: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def step(self) -> Page:
        """Read one page; the connection closes with the last one and with any error."""
        with self.lock:
            try:
                page = next(self.pages)
            except BaseException:
                self.client.close()
                raise
            self.given += 1
            if page.next is None:
                self.client.close()
            return page

    def close(self) -> None:
        """Close the connection once the page under way is read."""
        with self.lock:
            self.client.close()


class LdapSource:
    """Reads one directory; see ``reconciler.sdk.connector.Source`` for the contract."""

    version = "2"

    def __init__(self, name: str, settings: Settings, base: Path) -> None:
        self.name = name
        self.endpoint = f"{'ldaps' if settings.ldaps else 'ldap'}://{settings.host}:{settings.port}"
        self._settings = settings
        self._ca_file = None if settings.ca_file is None else base / settings.ca_file
        self._profile: Profile | None = PROFILES.get(settings.profile)
        self.reports: Mapping[str, frozenset[str]] = reports(self._profile, settings)
        """Before the first connection with ``profile = "auto"``: what any profile could fill."""
        self._canaries = {normalise(dn): dn for dn in settings.canaries}
        self._chains: dict[tuple[str, str], _Chain] = {}
        self._index: Index | None = None
        self._index_used: set[str] = set()
        self._index_lock = threading.Lock()

    async def check(self) -> Sequence[Gap]:
        """Sign in and look for what these credentials cannot see: base DNs, accounts, ids, canaries."""
        try:
            return await asyncio.to_thread(self._check)
        except Unreachable as error:
            error.restart = False  # there is no chain to start over: asked once more, it connects anew
            raise

    async def partitions(self, table: str, parents: Parents) -> Sequence[Partition]:
        """Name one partition a base DN: of groups for entitlements and grants, of accounts for the rest."""
        del parents
        if table == "events" and self._settings.accesslog_base:
            return [Partition(self._settings.accesslog_base)]
        return [Partition(base) for base in self._bases(table)] if table in TABLES else []

    async def page(self, table: str, partition: Partition, cursor: Cursor | None) -> Page:
        """Read the next page of a chain; ``cursor`` None starts it anew, on a new connection.

        A chain lives and dies with its connection, so its errors ask for a restart, and so does a cursor
        of a chain that is not open any more.
        """
        key = (table, partition.name)
        if cursor is None:
            stale = self._chains.pop(key, None)
            if stale is not None:
                await asyncio.to_thread(stale.close)
            self._chains[key] = await asyncio.to_thread(self._open, table, partition.name)
        chain = self._chains.get(key)
        if chain is None or cursor not in {None, str(chain.given)}:
            raise Unreachable(f"the page chain of {table} below {partition.name} is not open any more", restart=True)
        try:
            page = await asyncio.to_thread(chain.step)
        except Exception:
            self._chains.pop(key, None)
            raise
        if page.next is None:
            self._chains.pop(key, None)
        return page

    async def find(self, person: PersonKeys) -> Found:
        """Look live for the accounts of a person, in every state, over a connection of its own."""
        return await asyncio.to_thread(self._find, person)

    async def reread(self, account_id: str) -> LiveAccount:
        """Read one account and its credentials live, over a connection of its own."""
        try:
            return await asyncio.to_thread(self._reread, account_id)
        except SourceError as error:
            ad = self._profile is ACTIVE_DIRECTORY
            return unevaluated(account_id, f"{error.message}. {error.advice}".rstrip(". "), active_directory=ad)

    async def close(self) -> None:
        """Close every connection; safe to call twice."""
        while self._chains:
            _, chain = self._chains.popitem()
            await asyncio.to_thread(chain.close)

    def _bases(self, table: str) -> tuple[str, ...]:
        return self._settings.group_bases if table in {"entitlements", "grants"} else self._settings.bases

    def _connect(self) -> tuple[Client, Mapper]:
        encrypted = self._settings.ldaps or self._settings.start_tls
        client = Client(self._settings, tls_context(self._ca_file) if encrypted else None)
        try:
            root = client.root()
            profile = self._profile or detect(root)
            self._refuse_unfit(profile)
            self._profile, self.reports = profile, reports(profile, self._settings)
            return client, Mapper(self.name, profile, self._settings, server_time(root), policies=Policies(client))
        except BaseException:
            client.close()
            raise

    def _refuse_unfit(self, profile: Profile) -> None:
        if profile is ACTIVE_DIRECTORY and self._settings.accesslog_base:
            raise ConfigurationError(f"[sources.{self.name}] {NO_ACCESSLOG}")
        if profile is ACTIVE_DIRECTORY and self._settings.port in _GLOBAL_CATALOG:
            raise ConfigurationError(
                f"{self.endpoint} is a global catalog: it leaves out members of groups and attributes of accounts",
                advice="Name port 636 (ldaps://) or 389 of a domain controller, one source for each domain.",
            )

    def _open(self, table: str, base: str) -> _Chain:
        client, mapper = self._connect()
        try:
            if table == "grants":
                pages = self._grants(client, mapper, base)
            elif table == "events":
                pages = self._events(client, mapper.profile)
            else:
                pages = self._entries(client, mapper, table, base)
        except BaseException:
            client.close()
            raise
        return _Chain(client, pages)

    def _find(self, person: PersonKeys) -> Found:
        client, mapper = self._connect()
        try:
            return Finder(client, mapper, client.root().texts("namingContexts")).find(person)
        finally:
            client.close()

    def _reread(self, account_id: str) -> LiveAccount:
        client, mapper = self._connect()
        try:
            return Rereader(client, mapper, client.root().texts("namingContexts")).reread(account_id)
        finally:
            client.close()

    def _entries(self, client: Client, mapper: Mapper, table: str, base: str) -> Iterator[Page]:
        """Yield the pages of a table whose rows come each from one entry."""
        search = self._search(mapper, table, base)
        if table == "accounts":
            mapper.locks_unseen = unseen(client, base, search.filter, mapper.profile.locks)
        for given, answer in enumerate(client.pages(search), start=1):
            rows: list[Record] = []
            for entry in answer.entries:
                rows.extend(_rows(mapper, table, entry))
            yield Page(
                rows=rows,
                next=None if answer.cookie is None else str(given),
                gaps=[*mapper.take_gaps(), *self._referred(table, answer.referrals)],
                canaries=self._met(entry.dn for entry in answer.entries),
            )

    def _search(self, mapper: Mapper, table: str, base: str) -> Search:
        settings, profile = self._settings, mapper.profile
        accounts = settings.user_filter or profile.accounts
        condition, attributes = {
            "accounts": (accounts, mapper.account_attributes()),
            "entitlements": (settings.group_filter or profile.groups, mapper.entitlement_attributes()),
            "credentials": (accounts, mapper.credential_attributes()),
        }[table]
        return Search(base, condition, attributes, settings.page_size)

    def _grants(self, client: Client, mapper: Mapper, base: str) -> Iterator[Page]:
        """Yield the pages of grants; the index of principals is read first."""
        index = self._principals(client, mapper.profile, base)
        resolver = Resolver(client, mapper.profile, self._settings, index, client.root().texts("namingContexts"))
        bases = self._settings.bases
        if self._settings.group_base_dn is not None:
            # Accounts lie elsewhere than groups: the first chain reads all their primary groups.
            bases = bases if base == self._settings.group_bases[0] else ()
        else:
            bases = (base,)
        chain = GrantChain(client, mapper, resolver, base=base, canaries=frozenset(self._canaries), account_bases=bases)
        for given, batch in enumerate(chain.batches(), start=1):
            yield Page(
                rows=batch.rows,
                next=None if batch.last else str(given),
                gaps=[*batch.gaps, *mapper.take_gaps(), *self._referred("grants", batch.referrals)],
                canaries=frozenset(self._canaries[key] for key in batch.met),
            )

    def _events(self, client: Client, profile: Profile) -> Iterator[Page]:
        """Yield the pages of events; who is who is read first."""
        since, _ = lookback(self._settings.events_days)
        index = self._principals(client, profile, "events")
        chain = EventChain(client, self.name, self._settings, profile, index, since)
        for given, (rows, gaps, total, last) in enumerate(chain.pages(), start=1):
            yield Page(rows=rows, next=None if last else str(given), gaps=gaps, total=total)

    def _principals(self, client: Client, profile: Profile, base: str) -> Index:
        """Return the index; a base DN that is read again gets a fresh one."""
        with self._index_lock:
            if self._index is None or base in self._index_used:
                self._index = None
                self._index = build(client, profile, self._settings)
                self._index_used = set()
            self._index_used.add(base)
            return self._index

    def _referred(self, table: str, urls: Iterable[str]) -> list[Gap]:
        return referral_gaps(table, urls, self._settings, self._profile)

    def _met(self, dns: Iterable[str]) -> frozenset[str]:
        if not self._canaries:
            return frozenset()
        return frozenset(self._canaries[key] for key in map(normalise, dns) if key in self._canaries)

    def _check(self) -> list[Gap]:
        client, mapper = self._connect()
        try:
            gaps = list(self._check_paging(client))
            if gaps:
                return gaps
            for base in dict.fromkeys((*self._settings.bases, *self._settings.group_bases)):
                gaps += self._check_base(client, mapper, base)
            if not gaps:
                gaps += self._check_columns(client, mapper)
            if self._settings.accesslog_base:
                gaps += self._check_log(client, self._settings.accesslog_base)
            for dn in self._settings.canaries:
                found = client.entry(dn, ("1.1",))
                if isinstance(found, Missing):
                    gaps.append(Gap("accounts", dn, f"the canary {found.reason}", found.permission))
            return gaps
        finally:
            client.close()

    def _check_paging(self, client: Client) -> Iterator[Gap]:
        controls = client.root().texts("supportedControl")
        if controls and PAGED_RESULTS not in controls:
            for table in TABLES:
                yield Gap(table, "", "the server does not offer paged results: no read of it can be told to be whole")

    def _check_log(self, client: Client, base: str) -> Iterator[Gap]:
        found = client.entry(base, ("1.1",))
        if isinstance(found, Missing):
            yield Gap("events", base, f"this accesslog_base {found.reason}", f"read and search access to {base}")

    def _check_base(self, client: Client, mapper: Mapper, base: str) -> Iterator[Gap]:
        tables = [table for table in TABLES if base in self._bases(table)]
        found = client.entry(base, ("1.1",))
        if isinstance(found, Missing) and not found.denied:
            for table in tables:
                yield Gap(table, base, f"this base_dn {found.reason}", f"read access to {base}")
            return
        table = tables[0]
        try:
            first = client.page(replace(self._search(mapper, table, base), page_size=1), None)
            for entry in first.entries:
                mapper.identifier(entry)
        except (Refused, Misbehaved) as failure:
            for name in tables:
                yield Gap(name, base, failure.message, getattr(failure, "missing_permission", ""))
            return
        if not first.entries:
            what = "account" if table == "accounts" else "group"
            yield Gap(table, base, f"no {what} is to be seen here", f"read access to the {what}s below {base}")

    def _check_columns(self, client: Client, mapper: Mapper) -> Iterator[Gap]:
        """Withdraw each account column whose attributes are hidden: as nulls they would pass for absent."""
        condition = self._settings.user_filter or mapper.profile.accounts
        withdrawn: set[str] = set()
        for base in self._bases("accounts"):
            wanted = tuple(name for column in mapper.profile.texts for name in mapper.names(column))
            sample = client.page(Search(base, condition, wanted, self._settings.page_size), None).entries
            for column in mapper.profile.texts:
                names = mapper.names(column)
                shown = any(entry.raw(name) for entry in sample for name in names)
                if shown or column in withdrawn or not all(unseen(client, base, condition, (name,)) for name in names):
                    continue
                withdrawn.add(column)
                said = " and ".join(names)
                permission = f"read and search access to {said} below {base}"
                yield Gap("accounts", "", f"{said}: hidden from this reader below {base}", permission, column)


def _rows(mapper: Mapper, table: str, entry: Entry) -> Iterator[Record]:
    if table == "accounts":
        yield mapper.account(entry)
    elif table == "entitlements":
        yield mapper.entitlement(entry)
    else:
        yield from mapper.credentials(entry)
