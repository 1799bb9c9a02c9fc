"""LDAP directories: OpenLDAP, Active Directory, 389 Directory Server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

from .settings import Settings

if TYPE_CHECKING:
    from reconciler.sdk.connector import Source
    from reconciler.sdk.settings import SourceSettings

__all__ = ["Settings", "open_source"]


def open_source(name: str, settings: SourceSettings, base: Path) -> Source:
    """Make the source; nothing is connected yet. ``base`` is where a relative ``ca_file`` starts."""
    from .source import LdapSource  # noqa: PLC0415 - ldap3 and cryptography load only when a directory is read

    return LdapSource(name, cast("Settings", settings), base)
