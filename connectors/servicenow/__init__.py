"""Nonconformities as records of ServiceNow: incidents, GRC issues, or any other table of tasks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .settings import TicketSettings

if TYPE_CHECKING:
    from pathlib import Path

    from .tickets import ServiceNow


def open_tickets(name: str, settings: TicketSettings, base: Path) -> ServiceNow:
    """Make the ticket system; no network before the first call."""
    from .tickets import ServiceNow  # noqa: PLC0415 - reading a configuration needs no HTTP client

    return ServiceNow(name, settings, base)


__all__ = ["TicketSettings", "open_tickets"]
