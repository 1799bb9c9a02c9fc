"""Nonconformities as issues of Jira Cloud, or as requests of Jira Service Management."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .settings import TicketSettings

if TYPE_CHECKING:
    from pathlib import Path

    from .tickets import Jira


def open_tickets(name: str, settings: TicketSettings, base: Path) -> Jira:
    """Make the ticket system; no network before the first call."""
    from .tickets import Jira  # noqa: PLC0415 - reading a configuration needs no HTTP client

    return Jira(name, settings, base)


__all__ = ["TicketSettings", "open_tickets"]
