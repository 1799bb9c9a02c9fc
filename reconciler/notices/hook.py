"""Notices as CloudEvents to a webhook, signed as Standard Webhooks are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from reconciler.sdk.errors import Refused, SourceError
from reconciler.sdk.http import HttpClient, Limits
from reconciler.sdk.webhooks import signed, signer
from reconciler.sections.notices import Hook

_LIMITS = Limits(read_seconds=20.0, request_seconds=30.0, max_bytes=64 * 1024, attempts=3, retry_seconds=20.0)
_GONE = 410
_TAKEN = frozenset(range(200, 300))


class Poster:
    """One receiver. ``close`` when done."""

    def __init__(self, section: Hook, folder: Path) -> None:
        """Take the settings; raise ``ConfigurationError`` for a URL or a secret that cannot be used."""
        self._url = section.url
        self._secrets = [one for one in (section.secret, section.old_secret) if one is not None]
        for reference in self._secrets:
            signer(reference)
        self._client = HttpClient(
            section.url,
            secret=True,
            ca_file=folder / section.ca_file if section.ca_file else None,
            limits=_LIMITS,
            errors=_meant,
        )

    async def send(self, event: Mapping[str, Any]) -> None:
        """Post one event; the same id again is the same event to its receiver, so a lost answer is tried again.

        Raises ``SourceError`` where it was not taken, or nobody knows.
        """
        body = msgspec.json.encode(event)
        headers = {"Content-Type": "application/cloudevents+json", **signed(str(event["id"]), body, self._secrets)}
        await self._client.request(
            "POST", self._url, json=msgspec.Raw(body), headers=headers, accept=_TAKEN, again=True, any_answer=True
        )

    async def close(self) -> None:
        """Close every connection; safe to call twice."""
        await self._client.close()


def _meant(status: int, _body: bytes, shown: str) -> SourceError | None:
    if status == _GONE:
        return Refused(
            f"{shown}: HTTP 410, it wants no more", advice="Take [notices.webhook] out of the configuration."
        )
    return None
