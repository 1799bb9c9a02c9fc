"""Governance data, and exports of identity systems, from files: CSV, JSON, JSON Lines, XLSX and Parquet."""

from __future__ import annotations

from pathlib import Path

from .client import FilesSource
from .settings import Settings


def open_source(name: str, settings: Settings, base: Path) -> FilesSource:
    """Make the source; the disk is first read by `check` or `reports`."""
    return FilesSource(name, settings, base)


__all__ = ["FilesSource", "Settings", "open_source"]
