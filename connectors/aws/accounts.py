"""Which AWS accounts are read, and how each is opened: those of the configuration and those of the organization."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from reconciler.sdk.errors import ConfigurationError, Misbehaved, Refused, SourceError
from reconciler.sdk.pace import Pacer

from .client import IamClient
from .connection import Calls, Connection, Reach
from .json_api import JsonApi, Run, typed
from .settings import AccountEntry, Settings

ORGANIZATION = "organization"
"""Partition that stands for the accounts of an organization whose list could not be read."""
_LIST_SIZE = 20
_CALLS_PER_SECOND = 8.0
_CLOSED = frozenset({"SUSPENDED", "CLOSED", "PENDING_ACTIVATION"})


class OrganizationAccount(msgspec.Struct, frozen=True, kw_only=True):
    """An account as Organizations lists it; ``Status`` is the older name of ``State``."""

    Id: str
    Name: str | None = None
    State: str | None = None
    Status: str | None = None

    @property
    def state(self) -> str:
        """Its place in an account's life, empty where AWS does not say."""
        return self.State or self.Status or ""


class _Tag(msgspec.Struct, frozen=True):
    Key: str
    Value: str | None = None


@dataclass(frozen=True, slots=True)
class AwsAccount:
    """An AWS account to read; ``state`` other than ACTIVE is one that Organizations has closed."""

    reach: Reach
    name: str | None
    environment: str | None
    state: str = "ACTIVE"


@dataclass(frozen=True, slots=True)
class Listing:
    """The AWS accounts of a source; ``failed`` says why those of the organization are not among them."""

    accounts: dict[str, AwsAccount]
    failed: SourceError | None = None


class Accounts:
    """The AWS accounts of one source, listed once, and an IAM client for each."""

    def __init__(self, connection: Connection, settings: Settings, run: Run) -> None:
        self._connection = connection
        self._settings = settings
        self._run = run
        self._lock = asyncio.Lock()
        self._listing: Listing | None = None
        self._clients: dict[str, IamClient] = {}
        self._pacer = Pacer(concurrency=4, per_second=_CALLS_PER_SECOND)
        self._calls: Calls | None = None
        self.untold: Refused | None = None
        """Why the environment of an account of the organization is not known, where it may not be read."""

    async def listing(self) -> Listing:
        """Return the accounts; raises what may pass, so that it is asked again, and keeps what will not."""
        async with self._lock:
            if self._listing is None:
                self._listing = await self._list()
            return self._listing

    async def get(self, account_id: str) -> AwsAccount:
        """Return one account; without an organization, one that was configured is known without asking anybody."""
        entry = self._entry(account_id)
        if entry is not None and self._settings.organization is None:
            return await self._configured(entry)
        listing = await self.listing()
        if account_id not in listing.accounts:
            raise Misbehaved(f"AWS account {account_id} is not among those that are read")
        return listing.accounts[account_id]

    async def iam(self, account_id: str) -> IamClient:
        """Return the IAM client of one account; its role is assumed at the first call."""
        if account_id not in self._clients:
            account = await self.get(account_id)
            if account.reach.role is None and (own := (await self._run(self._connection.caller))[0]) != account_id:
                raise Refused(
                    f"the credentials belong to AWS account {own}, not to {account_id}",
                    advice=f"Set role_arn for account {account_id}, or role_name for all accounts.",
                )
            self._clients.setdefault(account_id, IamClient(self._connection, account.reach))
        return self._clients[account_id]

    def close(self) -> None:
        """Close every client; safe to call twice."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        if self._calls is not None:
            self._calls.close()

    async def _list(self) -> Listing:
        entries = [await self._configured(entry) for entry in self._settings.accounts]
        found = {one.reach.account_id: one for one in entries}
        if self._settings.organization is None:
            if not found:
                own, _ = await self._run(self._connection.caller)
                found[own] = AwsAccount(Reach(own), None, None)
            return Listing(found)
        try:
            discovered = await self._discovered()
        except (Refused, Misbehaved) as error:
            return Listing(found, error)
        for account_id in discovered.keys() & found.keys():
            known, told = found[account_id], discovered[account_id]
            found[account_id] = replace(
                known,
                name=known.name or told.name,
                environment=known.environment or told.environment,
                state=told.state,
            )
        return Listing(discovered | found)

    async def _discovered(self) -> dict[str, AwsAccount]:
        """Return the accounts of the organization; the caller's own is opened with the caller's credentials."""
        wanted = self._settings.organization
        role_name = self._settings.role_name
        if wanted is None or role_name is None:  # pragma: no cover -- the settings hold both or neither
            raise ConfigurationError("organization needs role_name")
        own, _ = await self._run(self._connection.caller)
        api = self._api(own)
        raw = await api.every("ListAccounts", "Accounts", size=_LIST_SIZE)
        listed, _ = typed(raw, OrganizationAccount, "accounts", "an account of the organization")
        if not listed:
            raise Misbehaved(f"{api.named('ListAccounts')} lists no account, not even the caller's")
        kept = [one for one in listed if one.Id not in wanted.exclude]
        tags = await asyncio.gather(*(self._environment(api, one) for one in kept))
        found = {}
        for one, environment in zip(kept, tags, strict=True):
            role = await self._run(self._connection.role_arn, one.Id, role_name)
            reach = Reach(one.Id) if one.Id == own else Reach(one.Id, role, wanted.external_id)
            found[one.Id] = AwsAccount(reach, one.Name, environment, one.state)
        return found

    async def _environment(self, api: JsonApi, account: OrganizationAccount) -> str | None:
        wanted = self._settings.organization
        if wanted is None or wanted.environment_tag is None or account.state != "ACTIVE":
            return None
        try:
            raw = await api.every("ListTagsForResource", "Tags", size=None, ResourceId=account.Id)
        except Refused as refused:
            if not refused.missing_permission:
                raise
            self.untold = refused
            return None
        tags, _ = typed(raw, _Tag, "accounts", "a tag")
        return next((tag.Value for tag in tags if tag.Key == wanted.environment_tag), None) or None

    def _api(self, own: str) -> JsonApi:
        wanted = self._settings.organization
        role = wanted.role_arn if wanted else None
        if self._calls is None:
            account = role.split(":")[4] if role else own
            reach = Reach(account, role, wanted.role_external_id if wanted else None)
            self._calls = Calls(self._connection, reach, "organizations", self._settings.region, raw=True)
        return JsonApi(self._calls, self._run, self._pacer, "organizations")

    async def _configured(self, entry: AccountEntry) -> AwsAccount:
        role = entry.role_arn
        if role is None and self._settings.role_name is not None:
            role = await self._run(self._connection.role_arn, entry.account_id, self._settings.role_name)
        return AwsAccount(Reach(entry.account_id, role, entry.external_id), entry.name, entry.environment)

    def _entry(self, account_id: str) -> AccountEntry | None:
        return next((one for one in self._settings.accounts if one.account_id == account_id), None)


Standing = Literal["open", "closed", "unclear"]


def standing(account: AwsAccount) -> Standing:
    """Say what an account's state means for reading it.

    ``closed``: AWS lets nobody in, so nothing in it can be used. ``unclear``: it is on its way between the two.
    """
    if account.state == "ACTIVE":
        return "open"
    return "closed" if account.state in _CLOSED else "unclear"


def partition_name(account: AwsAccount) -> str:
    """Return the partition of an account: its id, behind which one that is closed says so."""
    where = standing(account)
    return account.reach.account_id if where != "closed" else f"{account.reach.account_id} {account.state}"
