"""Governance data, and an application's own users, from any database that SQLAlchemy reaches: one query per table."""

from __future__ import annotations

from pathlib import Path

from .settings import Settings
from .source import SqlSource


def open_source(name: str, settings: Settings, base: Path) -> SqlSource:
    """Make the source; the database is first asked by `check`."""
    return SqlSource(name, settings, base)


__all__ = ["Settings", "SqlSource", "open_source"]
