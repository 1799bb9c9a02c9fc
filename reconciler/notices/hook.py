"""Notices as CloudEvents to a webhook, signed as Standard Webhooks are."""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from standardwebhooks import Webhook
from standardwebhooks.webhooks import EmptyWebhookSecretError

from reconciler.errors import ConfigurationError
from reconciler.sdk.errors import Refused, SourceError
from reconciler.sdk.http import HttpClient, Limits
from reconciler.sdk.secrets import reveal
from reconciler.sections.notices import Hook

_LIMITS = Limits(read_seconds=20.0, request_seconds=30.0, max_bytes=64 * 1024, attempts=3, retry_seconds=20.0)
_GONE = 410
_TAKEN = frozenset(range(200, 300))


class Poster:
    """One receiver. ``close`` when done."""

    def __init__(self, section: Hook, folder: Path) -> None:
        """Take the settings; raise ``ConfigurationError`` for a URL or a secret that cannot be used."""
        self._section = section
        parts = urlsplit(section.url)
        self._path = parts.path.rpartition("/")[2] or "."
        base = section.url.removesuffix(self._path) if self._path != "." else section.url
        self._client = HttpClient(
            base,
            secret=True,
            ca_file=folder / section.ca_file if section.ca_file else None,
            limits=_LIMITS,
            errors=_meant,
        )
        self._signer()

    async def send(self, event: Mapping[str, Any], *, at: datetime) -> None:
        """Post one event; the same id again is the same event to its receiver, so a lost answer is tried again.

        Raises ``SourceError`` where it was not taken, or nobody knows.
        """
        body = msgspec.json.encode(event).decode()
        headers = {
            "Content-Type": "application/cloudevents+json",
            "webhook-id": str(event["id"]),
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": self._signer().sign(str(event["id"]), at, body),
        }
        # The client encodes the same object the same way: what is signed is what is sent.
        await self._client.request(
            "POST", self._path, json=event, headers=headers, accept=_TAKEN, again=True, any_answer=True
        )

    async def close(self) -> None:
        """Close every connection; safe to call twice."""
        await self._client.close()

    def _signer(self) -> Webhook:
        try:
            return Webhook(reveal(self._section.secret))
        except (binascii.Error, ValueError, EmptyWebhookSecretError):
            raise ConfigurationError(
                f"[notices.webhook] {self._section.secret} is no secret of Standard Webhooks",
                advice="It is whsec_ and the base64 of 24 to 64 bytes.",
            ) from None


def _meant(status: int, _body: bytes, shown: str) -> SourceError | None:
    if status == _GONE:
        return Refused(
            f"{shown}: HTTP 410, it wants no more", advice="Take [notices.webhook] out of the configuration."
        )
    return None
