"""AWS IAM: users, groups, roles, policies and every credential class, over one account or several."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .settings import Settings

if TYPE_CHECKING:
    from .source import AwsSource

__all__ = ["Settings", "open_source"]


def open_source(name: str, settings: Settings, base: Path) -> AwsSource:
    """Make the source ``name``; nothing is read yet. ``base`` is the folder that ``ca_file`` is relative to."""
    from .source import AwsSource  # noqa: PLC0415 -- the SDK loads when a source is opened, not for its settings

    return AwsSource(name, settings, base)
