"""The ticket system that is told and never asked: each operation is one event, under an id of its own for ever."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec

from reconciler.sdk.answers import words_of
from reconciler.sdk.connector import Gap
from reconciler.sdk.errors import ConfigurationError, Refused, SourceError, Unreachable
from reconciler.sdk.http import HttpClient, Limits
from reconciler.sdk.secrets import SecretRef
from reconciler.sdk.texts import fitting
from reconciler.sdk.tickets import Change, Request, Ticket, TicketRef, TicketView, checked, legible
from reconciler.sdk.webhooks import signed, signer

from .settings import TicketSettings

VERSION = "1.0.0"
LARGEST = 20_000
"""Bytes: Standard Webhooks asks for less than 20 kB, and receivers refuse more."""
_TEXT = 15_000
"""Bytes of that for the text, or the remark, as JSON: of a longer one the middle is left out."""
_TAKEN = frozenset({200, 201, 202, 203, 204})
_LATER = frozenset({408, 425, 429})
_KIND = "application/cloudevents+json"


class WebhookTickets:
    """Tell one receiver of every nonconformity, and of what changes; see README.md."""

    version = VERSION
    idempotent = True
    readable = False
    settle_seconds = 0.0

    def __init__(self, name: str, settings: TicketSettings, base: Path) -> None:
        self.name = name
        self._settings = settings
        parts = urlsplit(settings.url)
        self.endpoint = f"{parts.scheme}://{parts.netloc}"
        self._path = f"{self.endpoint}{parts.path or '/'}"
        self._source = settings.source or f"/reconciler/{name}"
        self._http = HttpClient(
            self.endpoint,
            secret=True,
            ca_file=base / settings.ca_file if settings.ca_file else None,
            headers=settings.headers,
            limits=Limits(request_seconds=settings.request_seconds, read_seconds=settings.request_seconds, attempts=2),
            errors=explain,
        )

    async def check(self) -> Sequence[Gap]:
        """Try the secrets. Whether the receiver is there is not known before the first delivery: nothing is sent."""
        for reference in self._secrets():
            signer(reference)
        return [Gap("tickets", "", f"{self.endpoint} is told and cannot be asked: nothing is read back from it")]

    def preview(self, ticket: Ticket) -> Request:
        """Return the event of a ticket, its signature masked."""
        number, body = self._filed(ticket)
        headers = {
            "Content-Type": _KIND,
            **self._settings.headers,
            "webhook-id": number,
            "webhook-timestamp": "(when it is sent)",
            "webhook-signature": "***",
        }
        return Request("POST", self._path, headers, legible(json.loads(body)))

    async def find(self, key: str) -> Sequence[TicketRef]:
        """Raise ``Refused``: a receiver of webhooks cannot be asked what it holds."""
        raise self._unreadable(key)

    async def create(self, ticket: Ticket) -> TicketRef:
        """Send the event; the receiver may answer with ``id``, ``number`` and ``url`` of what it made of it."""
        answer = await self._send(*self._filed(ticket))
        return TicketRef(_text(answer, "id") or ticket.key, _text(answer, "number"), _web(answer))

    async def read(self, ref: TicketRef) -> TicketView:
        """Raise ``Refused``: nothing that could be returned is known."""
        raise self._unreadable(ref.id)

    async def change(self, ref: TicketRef, change: Change) -> None:
        """Send the event of a change, under the id that its mark gives it."""
        number = self._number(ref.id, change.mark)
        data = {
            "id": ref.id,
            "mark": change.mark,
            "comment": _fitting(change.comment) or None,
            "status": change.status.value if change.status is not None else None,
            "fields": dict(change.fields),
        }
        await self._send(number, self._event(number, "changed", ref.id, data))

    def keyed(self, prefix: str) -> AsyncIterator[tuple[str, TicketRef]]:
        """Raise ``Refused``: a receiver of webhooks cannot be asked what it holds."""
        raise self._unreadable(prefix)

    async def close(self) -> None:
        """Close every connection; safe to call twice."""
        await self._http.close()

    def _filed(self, ticket: Ticket) -> tuple[str, bytes]:
        """Return the id and body that file a ticket: what is previewed is what is sent."""
        number = self._number(checked(ticket.key), "create")
        data = {
            "key": ticket.key,
            "title": ticket.title,
            "body": _fitting(ticket.body),
            "severity": ticket.severity,
            "due_at": _instant(ticket.due_at),
            "fields": dict(ticket.fields),
        }
        return number, self._event(number, "filed", ticket.key, data)

    def _event(self, number: str, what: str, subject: str, data: Mapping[str, Any]) -> bytes:
        """Return a CloudEvents 1.0 event in its structured form; no time in it, so that a repetition is the same."""
        event = {
            "specversion": "1.0",
            "id": number,
            "source": self._source,
            "type": f"{self._settings.type_prefix}.{what}",
            "subject": subject,
            "datacontenttype": "application/json",
            "data": data,
        }
        body = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
        if len(body) > LARGEST:
            raise ConfigurationError(
                f"{self.name}: the event of {subject} has {len(body)} bytes, {LARGEST} are the most a receiver takes",
                advice="Shorten the title or the fields of its section.",
            )
        return body

    def _number(self, subject: str, mark: str) -> str:
        """Return the id of an operation: the same for ever, so that the receiver knows a repetition."""
        return "msg_" + hashlib.sha256(f"{self._source}\n{subject}\n{mark}".encode()).hexdigest()[:32]

    def _secrets(self) -> list[SecretRef]:
        return [one for one in (self._settings.secret, self._settings.old_secret) if one is not None]

    async def _send(self, number: str, body: bytes) -> Mapping[str, Any]:
        headers = {"Content-Type": _KIND, **signed(number, body, self._secrets())}
        # What stands in the answer is a courtesy: a receiver that says "ok" in plain text took the event as well.
        answer, _ = await self._http.request(
            "POST",
            self._path,
            json=msgspec.Raw(body),
            headers=headers,
            accept=_TAKEN,
            again=True,
            any_answer=True,
        )
        return answer if isinstance(answer, dict) else {}

    def _unreadable(self, what: str) -> Refused:
        return Refused(
            f"{self.name}: nothing is known of {what}: a receiver of webhooks cannot be asked what it holds",
            advice="Nothing is wrong; file in a system that can be read where you need to know.",
        )


def explain(status: int, body: bytes, shown: str) -> SourceError | None:
    """Return what a receiver's refusal means; None for what HTTP alone tells."""
    said = f"{shown}: HTTP {status}{words_of(body)}"
    if status == httpx.codes.GONE:
        return Refused(
            f"{said}: the receiver has disabled this endpoint and wants no more events",
            advice="Have the receiver enable it again, or take the section out of the configuration.",
        )
    if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        return Refused(said, advice="The receiver does not take the signature: compare the secret with the receiver's.")
    if httpx.codes.is_client_error(status) and status not in _LATER:
        return Refused(said, advice="Ask the receiver what it does not take of this event.")
    if httpx.codes.is_server_error(status) and status != httpx.codes.SERVICE_UNAVAILABLE:
        return Unreachable(said, advice="Try again later; the receiver knows the event by its id.")
    return None


def _fitting(text: str) -> str:
    return fitting(text, _TEXT, lambda cut: len(json.dumps(cut, ensure_ascii=False).encode()))


def _text(answer: Mapping[str, Any], name: str) -> str:
    value = answer.get(name)
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _web(answer: Mapping[str, Any]) -> str:
    """Return where people open it, where that is a web address: it is shown as a link."""
    url = _text(answer, "url")
    return url if urlsplit(url).scheme in {"http", "https"} else ""


def _instant(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat() if at is not None else None
