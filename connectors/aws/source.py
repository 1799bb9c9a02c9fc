"""The AWS source: which part of which table is read by what, in which AWS account."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from reconciler.sdk.connector import Cursor, Found, Gap, LiveAccount, Page, Parents, Partition, PersonKeys
from reconciler.sdk.errors import Refused, SourceError, Throttled, Unreachable

from . import center
from .accounts import ORGANIZATION, Accounts, AwsAccount, partition_name, standing
from .center import CenterTables
from .center_client import CenterClient
from .checking import account_gap, center_gaps, check_account, check_center, within
from .connection import Connection
from .iam_tables import IamTables
from .lookup import Lookup
from .reports import reports
from .settings import Settings
from .trail import Trail
from .vault import SUFFIX, Vault

VERSION = "2"
_CHECKS = 3
T = TypeVar("T")


class AwsSource:
    """Read AWS: IAM of every account, and what else is switched on."""

    def __init__(self, name: str, settings: Settings, base: Path) -> None:
        self.name = name
        self.version = VERSION
        ambient = os.environ.get("AWS_ENDPOINT_URL_IAM") or os.environ.get("AWS_ENDPOINT_URL")
        self.endpoint = settings.endpoint_url or ambient or "https://iam.amazonaws.com"
        self.reports = reports(settings)
        self._settings = settings
        self._connection = Connection(settings, base)
        self._pool = ThreadPoolExecutor(settings.parallel_calls, thread_name_prefix=f"aws-{name}")
        self._accounts = Accounts(self._connection, settings, self._run)
        self._iam = IamTables(name, settings, self._accounts, self._run)
        self._trail = Trail(settings, self._connection, self._run)
        self._vault = Vault(name, settings, self._connection, self._run)
        self._center: CenterTables | None = None
        self._opening = asyncio.Lock()
        self._lookup = Lookup(settings, self._accounts, self._client_of_center, self._run)

    async def check(self) -> Sequence[Gap]:
        """Try one cheap call of every kind in every account; gaps name the permissions that are missing.

        The subject of each is the partition that it is about, so that it is laid on no other. Raises
        ``SourceError`` where the credentials open nothing at all.
        """
        listing = await self._accounts.listing()
        opened = [one for one in listing.accounts.values() if standing(one) == "open"]
        checks = [self._check_account(account) for account in opened]
        if self._settings.identity_center is not None:
            checks.append(self._check_center())
        found: list[Gap] = []
        failures: list[SourceError] = [listing.failed] if listing.failed else []
        for gaps, error in await asyncio.gather(*checks):
            found += gaps
            failures += [error] if error else []
        if failures and len(failures) == len(checks) + (listing.failed is not None):
            raise failures[0]
        if (untold := self._accounts.untold) is not None:
            reason, permission = untold.message, untold.missing_permission
            found += [Gap(table, "", reason, permission, "environment") for table in ("entitlements", "events")]
        wanted = self._settings.tables
        return [gap for gap in found if wanted is None or not gap.table or gap.table in wanted]

    async def partitions(self, table: str, parents: Parents) -> Sequence[Partition]:
        """Return one partition per AWS account, and those of the areas that are switched on."""
        del parents
        listing = await self._accounts.listing()
        names = [partition_name(account) for account in listing.accounts.values()]
        if listing.failed is not None:
            names.append(ORGANIZATION)
        if table == "credentials" and self._settings.secrets_regions:
            names += [
                f"{account.reach.account_id}{SUFFIX}"
                for account in listing.accounts.values()
                if standing(account) == "open"
            ]
        if self._settings.identity_center is not None:
            names += center.PARTS.get(table, ())
        return [Partition(name) for name in names]

    async def page(self, table: str, partition: Partition, cursor: Cursor | None) -> Page:
        """Read one page of ``table`` of one AWS account; what fails there names the account by its partition only."""
        if partition.name in center.PARTS.get(table, ()):
            return await (await self._tables_of_center()).page(table, partition.name, cursor)
        account_id, _, part = partition.name.partition(" ")
        try:
            if account_id == ORGANIZATION:
                raise (await self._accounts.listing()).failed or Refused("the organization can be listed now")
            return await self._page(table, await self._accounts.get(account_id), part, cursor)
        except SourceError as error:
            error.message = within(account_id, error.message)
            raise

    async def find(self, person: PersonKeys) -> Found:
        """Look live for the accounts of ``person``: in the IAM of every account, and in Identity Center."""
        return await self._lookup.find(person)

    async def reread(self, account_id: str) -> LiveAccount:
        """Read one account and its credentials live; what cannot be told is NOT_EVALUABLE."""
        return await self._lookup.reread(account_id)

    async def close(self) -> None:
        """Close every connection and forget what was kept; safe to call twice."""
        await asyncio.to_thread(self._pool.shutdown, wait=True, cancel_futures=True)
        self._accounts.close()
        self._iam.forget()
        self._trail.close()
        self._vault.close()
        if self._center is not None:
            self._center.close()

    async def _page(self, table: str, account: AwsAccount, part: str, cursor: Cursor | None) -> Page:
        account_id = account.reach.account_id
        state = standing(account)
        if state == "closed":
            # On the word of Organizations: AWS lets nobody in, so nothing in it can be used.
            return Page((), total=0)
        if state == "unclear":
            raise Refused(
                f"AWS Organizations says that the account is {account.state or 'in no state'}",
                advice="Pull again when its closing is done, or name it in organization.exclude.",
            )
        if table == "credentials" and part == SUFFIX.strip():
            return await self._vault.page(account.reach, cursor)
        if table == "events":
            where, directory = await self._iam.where(account_id), await self._iam.directory(account_id)
            region = await self._region_of_center(account_id) if cursor is None else None
            return await self._trail.page(where, account.reach, directory, cursor, center_region=region)
        return await self._iam.page(table, account_id, cursor)

    async def _check_account(self, account: AwsAccount) -> tuple[list[Gap], SourceError | None]:
        account_id = account.reach.account_id
        try:
            found = await _patiently(lambda: self._gaps_in_iam(account_id))
        except SourceError as error:
            return [account_gap("", account_id, error)], error
        reach = account.reach
        if self._settings.events_days is not None:
            found += await _tried(lambda: self._trail.probe(reach), "events", account_id, account_id)
        if self._settings.secrets_regions:
            part = f"{account_id}{SUFFIX}"
            found += await _tried(lambda: self._vault.probe(reach), "credentials", account_id, part)
        return found, None

    async def _gaps_in_iam(self, account_id: str) -> list[Gap]:
        asking = self._settings.last_accessed != "off"
        client = await self._accounts.iam(account_id)
        found: list[Gap] = await self._run(lambda: check_account(client, last_accessed=asking))
        return found

    async def _check_center(self) -> tuple[list[Gap], SourceError | None]:
        async def gaps() -> list[Gap]:
            return await check_center(await self._client_of_center())

        try:
            return await _patiently(gaps), None
        except SourceError as error:
            return center_gaps(error), error

    async def _client_of_center(self) -> CenterClient:
        return (await self._tables_of_center()).client

    async def _tables_of_center(self) -> CenterTables:
        async with self._opening:
            if self._center is None:
                own, _ = await self._run(self._connection.caller)
                client = CenterClient(self._connection, self._settings, self._run, own)
                self._center = CenterTables(self.name, self._settings, client, self._accounts, self._run)
            return self._center

    async def _region_of_center(self, account_id: str) -> str | None:
        """Return the region of the Identity Center that this account records the events of."""
        if self._settings.identity_center is None:
            return None
        client = await self._client_of_center()
        try:
            owner = (await client.instance()).OwnerAccountId or client.reach.account_id
        except Refused:
            owner = client.reach.account_id  # its own tables say what is wrong; events are asked for where it should be
        return client.region if account_id == owner else None

    async def _run(self, call: Callable[..., T], *args: Any) -> T:
        """Run a blocking call in this source's own threads: no more at once than ``parallel_calls``."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, lambda: call(*args))


async def _patiently(check: Callable[[], Awaitable[T]]) -> T:
    """Check again after what may pass: one lost answer must not put a whole night in doubt."""
    for _ in range(_CHECKS - 1):
        try:
            return await check()
        except (Throttled, Unreachable):
            continue
    return await check()


async def _tried(probe: Callable[[], Awaitable[None]], table: str, account_id: str, part: str) -> list[Gap]:
    """Return the gap of a part that cannot be read; whatever is wrong there, the other parts can be."""
    try:
        await _patiently(probe)
    except SourceError as error:
        permission = error.missing_permission if isinstance(error, Refused) else ""
        return [Gap(table, part, within(account_id, error.message), permission)]
    return []
