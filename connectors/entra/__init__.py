"""Microsoft Entra ID over Microsoft Graph: people, guests, applications, what they hold, prove and did."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .settings import Settings

if TYPE_CHECKING:
    from .source import EntraSource

__all__ = ["Settings", "open_source"]


def open_source(name: str, settings: Settings, base: Path) -> EntraSource:
    """Make the source ``name``; nothing is read yet. ``base`` is the folder that ``ca_file`` is relative to."""
    from .source import EntraSource  # noqa: PLC0415 -- the source loads when it is opened, not for its settings

    return EntraSource(name, settings, base)
