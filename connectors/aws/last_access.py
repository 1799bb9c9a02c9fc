"""When each user last called any service: a job of IAM's own for every user, waited for within bounds."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from reconciler.sdk.errors import Refused
from reconciler.sdk.pace import Sleep

from .client import IamClient
from .details import Access, Unread, UserDetail
from .fields import Item, instant, text
from .json_api import Run
from .settings import Settings

_FIRST_WAIT = 0.5
_LONGEST_WAIT = 8.0
_GRANULARITY = {"services": "SERVICE_LEVEL", "actions": "ACTION_LEVEL"}


class LastAccess:
    """Adds the last access to what is known of a user."""

    def __init__(self, settings: Settings, run: Run, sleep: Sleep = asyncio.sleep) -> None:
        self._granularity = _GRANULARITY.get(settings.last_accessed)
        self._patience = settings.last_accessed_wait_seconds
        self._run = run
        self._sleep = sleep

    async def add(self, client: IamClient, detail: UserDetail) -> UserDetail:
        """Return the user with the last access, or with the reason why it is not known."""
        if self._granularity is None:
            return detail
        try:
            job = await self._run(client.start_last_access, text(detail.user, "Arn"), self._granularity)
            services = await self._wait(client, job)
        except Refused as refused:
            if not refused.missing_permission:
                raise
            return _unknown(detail, refused)
        if isinstance(services, str):
            return _unknown(detail, Refused(services))
        return replace(detail, last_access=latest(services))

    async def _wait(self, client: IamClient, job: str) -> list[Item] | str:
        """Ask until the job is done; a text says why it is given up."""
        waited, pause = 0.0, _FIRST_WAIT
        while True:
            status, services = await self._run(client.last_access, job)
            if status == "COMPLETED":
                return list(services)
            if status != "IN_PROGRESS":
                return f"AWS could not tell the last access: the job ended as {status}"
            if waited >= self._patience:
                return f"AWS had not finished telling the last access after {self._patience:g} s"
            pause = min(pause, self._patience - waited)
            await self._sleep(pause)
            waited += pause
            pause = min(pause * 2, _LONGEST_WAIT)


def latest(services: list[Item]) -> Access:
    """Return the last access among all services and, where AWS tells them, actions."""
    found = Access(None)
    for service in services:
        namespace = text(service, "ServiceNamespace")
        uses = [(instant(service.get("LastAuthenticated")), namespace, service.get("LastAuthenticatedRegion"))]
        uses += [
            (
                instant(one.get("LastAccessedTime")),
                f"{namespace}:{one.get('ActionName')}",
                one.get("LastAccessedRegion"),
            )
            for one in service.get("TrackedActionsLastAccessed") or ()
        ]
        for moment, what, region in uses:
            # An action beats the service it belongs to at the same instant: it says more.
            if moment is not None and (found.at is None or moment >= found.at):
                found = Access(moment, f"{what} in {region}" if region else what)
    return found


def _unknown(detail: UserDetail, refused: Refused) -> UserDetail:
    unread = Unread("last_access", text(detail.user, "UserName"), refused)
    return replace(detail, unread=[*detail.unread, unread])
