"""Governance data, and an application's own users, by JSON over HTTP; and tickets filed so."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .settings import Settings
from .source import RestSource
from .tickets_settings import TicketSettings

if TYPE_CHECKING:
    from .tickets import RestTickets


def open_source(name: str, settings: Settings, base: Path) -> RestSource:
    """Make the source; the service is first asked by `check`."""
    return RestSource(name, settings, base)


def open_tickets(name: str, settings: TicketSettings, base: Path) -> RestTickets:
    """Make the ticket system; no network before the first call."""
    from .tickets import RestTickets  # noqa: PLC0415 - reading a configuration needs no HTTP client

    return RestTickets(name, settings, base)


__all__ = ["RestSource", "Settings", "TicketSettings", "open_source", "open_tickets"]
