"""Nonconformities as tickets of Request Tracker 5, over REST2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .settings import TicketSettings

if TYPE_CHECKING:
    from pathlib import Path

    from .tickets import RequestTracker


def open_tickets(name: str, settings: TicketSettings, base: Path) -> RequestTracker:
    """Make the ticket system; no network before the first call."""
    from .tickets import RequestTracker  # noqa: PLC0415 - reading a configuration needs no HTTP client

    return RequestTracker(name, settings, base)


__all__ = ["TicketSettings", "open_tickets"]
