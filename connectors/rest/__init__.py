"""Governance data, and an application's own users, from any interface that answers with JSON over HTTP."""

from __future__ import annotations

from pathlib import Path

from .settings import Settings
from .source import RestSource


def open_source(name: str, settings: Settings, base: Path) -> RestSource:
    """Make the source; the service is first asked by `check`."""
    return RestSource(name, settings, base)


__all__ = ["RestSource", "Settings", "open_source"]
