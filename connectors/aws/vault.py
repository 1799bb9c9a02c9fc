"""Secrets of Secrets Manager as credentials: when they were changed and used, never what they hold."""

from __future__ import annotations

import asyncio

import msgspec

from reconciler.sdk.connector import Cursor, Page
from reconciler.sdk.pace import Pacer
from reconciler.sdk.records import Credential

from .connection import Calls, Connection, Reach
from .json_api import JsonApi, Run, at, typed
from .settings import Settings

_SIZE = 100
_CALLS_PER_SECOND = 20.0
SUFFIX = " secrets"
"""Behind the account id: the partition of the credentials table that holds an account's secrets."""


class Secret(msgspec.Struct, frozen=True, kw_only=True):
    """A secret's own data; the value is not part of any answer that is asked for."""

    ARN: str
    Name: str | None = None
    RotationEnabled: bool | None = None
    CreatedDate: float | None = None
    LastRotatedDate: float | None = None
    LastAccessedDate: float | None = None
    NextRotationDate: float | None = None
    DeletedDate: float | None = None


class Vault:
    """Reads the secrets of an AWS account, region by region."""

    def __init__(self, name: str, settings: Settings, connection: Connection, run: Run) -> None:
        self._name = name
        self._settings = settings
        self._connection = connection
        self._run = run
        self._pacer = Pacer(concurrency=settings.parallel_calls, per_second=_CALLS_PER_SECOND)
        self._apis: dict[tuple[str, str], JsonApi] = {}

    async def page(self, reach: Reach, cursor: Cursor | None) -> Page:
        """Read one page; the regions follow one another in one chain."""
        regions = self._settings.secrets_regions
        region, _, token = (cursor or regions[0]).partition(" ")
        page = await self._api(reach, region).page(
            "ListSecrets", "SecretList", size=_SIZE, token=token or None, IncludePlannedDeletion=True
        )
        secrets, gaps = typed(page.items, Secret, "credentials", "a secret")
        following = None if page.token is None else f"{region} {page.token}"
        if following is None and region != regions[-1]:
            following = regions[regions.index(region) + 1]
        names = {name for secret in secrets for name in (secret.ARN, secret.Name)}
        return Page(
            [secret_row(self._name, region, secret) for secret in secrets],
            following,
            gaps,
            canaries=frozenset(self._settings.canaries) & names,
        )

    async def probe(self, reach: Reach) -> None:
        """Ask for one secret of each region, to see whether that is allowed."""
        regions = self._settings.secrets_regions
        await asyncio.gather(
            *(self._api(reach, region).first("ListSecrets", "SecretList", MaxResults=1) for region in regions)
        )

    def close(self) -> None:
        """Close the connections; safe to call twice."""
        for api in self._apis.values():
            api.calls.close()
        self._apis.clear()

    def _api(self, reach: Reach, region: str) -> JsonApi:
        key = (reach.account_id, region)
        if key not in self._apis:
            calls = Calls(self._connection, reach, "secretsmanager", region, raw=True)
            self._apis[key] = JsonApi(calls, self._run, self._pacer, f"{reach.account_id} {region}")
        return self._apis[key]


def secret_row(source: str, region: str, secret: Secret) -> Credential:
    """Return the credential of one secret; AWS tells its last use by the day only.

    A secret that waits for its deletion can be had by nobody and be restored: it is inactive. ``expires_at`` is the
    day by which rotation replaces its present value.
    """
    used = at(secret.LastAccessedDate)
    told = "day only, as 00:00 UTC" if used is not None else "never retrieved"
    return Credential(
        source=source,
        credential_id=secret.ARN,
        kind="service_credential",
        status="active" if secret.DeletedDate is None else "inactive",
        created_at=at(secret.CreatedDate),
        expires_at=at(secret.NextRotationDate) if secret.RotationEnabled else None,
        rotated_at=at(secret.LastRotatedDate),
        last_used_at=used,
        last_used_basis=f"AWS Secrets Manager LastAccessedDate in {region}: {told}",
    )
