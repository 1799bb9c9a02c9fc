"""Find and load connectors: a folder is a registration, and so is an entry point.

``reconciler.connectors.ldap`` is the one import name of a bundled connector, in a checkout and in a wheel.
A connector module exports ``Settings`` (a ``SourceSettings``) and ``open_source(name, settings, base)`` where it reads,
``TicketSettings`` and ``open_tickets(name, settings, base)`` where it files; or all four.
Other people's connectors announce themselves by the entry-point group ``reconciler.connectors``.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from pathlib import Path
from types import ModuleType
from typing import Protocol, cast

from reconciler.bundled import root
from reconciler.errors import ConfigurationError
from reconciler.sdk import tickets
from reconciler.sdk.connector import Source
from reconciler.sdk.settings import SourceSettings

__path__ = [str(root("connectors"))]

_GROUP = "reconciler.connectors"


class Connector(Protocol):
    """What the module of a connector that reads exports."""

    Settings: type[SourceSettings]

    def open_source(self, name: str, settings: SourceSettings, base: Path) -> Source:
        """Make a source; no network yet. ``base`` is the configuration's folder, for relative paths."""
        ...


class TicketConnector(Protocol):
    """What the module of a connector that files exports."""

    TicketSettings: type[tickets.TicketSettings]

    def open_tickets(self, name: str, settings: tickets.TicketSettings, base: Path) -> tickets.TicketSystem:
        """Make a ticket system; no network yet. ``base`` is the configuration's folder, for relative paths."""
        ...


def names() -> list[str]:
    """Name every connector that can be loaded, without importing any."""
    bundled = {folder.name for folder in Path(__path__[0]).iterdir() if (folder / "__init__.py").is_file()}
    announced = {point.name for point in importlib.metadata.entry_points(group=_GROUP)}
    return sorted(bundled | announced)


def readers() -> list[str]:
    """Name every connector that reads a source; imports all of them."""
    return [name for name in names() if hasattr(_module(name), "open_source")]


def filers() -> list[str]:
    """Name every connector that files tickets; imports all of them."""
    return [name for name in names() if hasattr(_module(name), "open_tickets")]


def load(name: str) -> Connector:
    """Import the connector ``name``; raises ``ConfigurationError`` where there is none that reads."""
    module = _module(name)
    if not hasattr(module, "open_source"):
        raise ConfigurationError(
            f"the connector {name!r} reads nothing: it files tickets", advice=f"Use one of: {', '.join(readers())}."
        )
    return cast("Connector", module)


def load_tickets(name: str) -> TicketConnector:
    """Import the connector ``name``; raises ``ConfigurationError`` where there is none that files tickets."""
    module = _module(name)
    if not hasattr(module, "open_tickets"):
        raise ConfigurationError(
            f"the connector {name!r} files no tickets", advice=f"Use one of: {', '.join(filers())}."
        )
    return cast("TicketConnector", module)


def _module(name: str) -> ModuleType:
    if (Path(__path__[0]) / name / "__init__.py").is_file():
        return importlib.import_module(f"{__name__}.{name}")
    for point in importlib.metadata.entry_points(group=_GROUP, name=name):
        return cast("ModuleType", point.load())
    raise ConfigurationError(
        f"unknown connector {name!r}", advice=f"Use one of: {', '.join(names())}, or install the one you mean."
    )
