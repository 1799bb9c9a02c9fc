"""Tell a receiver of webhooks of nonconformities: CloudEvents, signed as Standard Webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .settings import TicketSettings

if TYPE_CHECKING:
    from pathlib import Path

    from .tickets import WebhookTickets


def open_tickets(name: str, settings: TicketSettings, base: Path) -> WebhookTickets:
    """Make the ticket system; no network before the first call."""
    from .tickets import WebhookTickets  # noqa: PLC0415 - reading a configuration needs no HTTP client

    return WebhookTickets(name, settings, base)


__all__ = ["TicketSettings", "open_tickets"]
