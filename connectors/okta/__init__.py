"""Okta: users in every state, groups, apps, admin roles, factors, tokens, keys and the System Log."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .settings import Settings

if TYPE_CHECKING:
    from .source import OktaSource

__all__ = ["Settings", "open_source"]


def open_source(name: str, settings: Settings, base: Path) -> OktaSource:
    """Make the source ``name``; nothing is read yet. ``base`` is the folder that a relative ``ca_file`` starts at."""
    from .source import OktaSource  # noqa: PLC0415 -- the SDK loads when a source is opened, not for its settings

    return OktaSource(name, settings, base)
