"""Governance data from ComplianceQuest, or any other app on Salesforce, by REST and SOQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from .source import ComplianceQuestSource


def open_source(name: str, settings: Settings, base: Path) -> ComplianceQuestSource:
    """Make the source; no network before ``check`` or the first page."""
    from .source import ComplianceQuestSource  # noqa: PLC0415 - reading a configuration needs no HTTP client

    return ComplianceQuestSource(name, settings, base)


__all__ = ["Settings", "open_source"]
