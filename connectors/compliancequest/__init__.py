"""Governance data from ComplianceQuest, or any other app on Salesforce, by REST and SOQL; and records filed there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .settings import Settings
from .tickets_settings import TicketSettings

if TYPE_CHECKING:
    from pathlib import Path

    from .source import ComplianceQuestSource
    from .tickets import ComplianceQuestTickets


def open_source(name: str, settings: Settings, base: Path) -> ComplianceQuestSource:
    """Make the source; no network before ``check`` or the first page."""
    from .source import ComplianceQuestSource  # noqa: PLC0415 - reading a configuration needs no HTTP client

    return ComplianceQuestSource(name, settings, base)


def open_tickets(name: str, settings: TicketSettings, base: Path) -> ComplianceQuestTickets:
    """Make the ticket system; no network before the first call."""
    from .tickets import ComplianceQuestTickets  # noqa: PLC0415 - reading a configuration needs no HTTP client

    return ComplianceQuestTickets(name, settings, base)


__all__ = ["Settings", "TicketSettings", "open_source", "open_tickets"]
