"""Find and load connectors: a folder is a registration, and so is an entry point.

``reconciler.connectors.ldap`` is the one import name of a bundled connector, in a checkout and in a wheel.
A connector module exports ``Settings`` (a ``SourceSettings``) and ``open_source(name, settings, base)``.
Other people's connectors announce themselves by the entry-point group ``reconciler.connectors``.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from pathlib import Path
from typing import Protocol, cast

from reconciler.bundled import root
from reconciler.errors import ConfigurationError
from reconciler.sdk.connector import Source
from reconciler.sdk.settings import SourceSettings

__path__ = [str(root("connectors"))]

_GROUP = "reconciler.connectors"


class Connector(Protocol):
    """What a connector module exports."""

    Settings: type[SourceSettings]

    def open_source(self, name: str, settings: SourceSettings, base: Path) -> Source:
        """Make a source; no network yet. ``base`` is the configuration's folder, for relative paths."""
        ...


def names() -> list[str]:
    """Name every connector that can be loaded, without importing any."""
    bundled = {folder.name for folder in Path(__path__[0]).iterdir() if (folder / "__init__.py").is_file()}
    announced = {point.name for point in importlib.metadata.entry_points(group=_GROUP)}
    return sorted(bundled | announced)


def load(name: str) -> Connector:
    """Import the connector ``name``; raises ``ConfigurationError`` where there is none."""
    if (Path(__path__[0]) / name / "__init__.py").is_file():
        return cast("Connector", importlib.import_module(f"{__name__}.{name}"))
    for point in importlib.metadata.entry_points(group=_GROUP, name=name):
        return cast("Connector", point.load())
    raise ConfigurationError(
        f"unknown connector {name!r}", advice=f"Use one of: {', '.join(names())}, or install the one you mean."
    )
