"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from reconciler.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
FAIL_ON = ("critical", "high", "medium", "low", "never")


class Instant(click.ParamType[datetime]):
    """An ISO 8601 instant with its zone; one without is refused, since a guess would move every deadline."""

    name = "instant"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read the text; refuse one without a zone."""
        from reconciler.clock import parse_instant

        if isinstance(value, datetime):
            return value
        try:
            return parse_instant(str(value))
        except ValueError as error:
            self.fail(f"{error}", param, ctx)


def _load(_ctx: click.Context, _param: click.Parameter, value: Path) -> Settings:
    from reconciler import log
    from reconciler.settings import load

    level = os.environ.get("RECONCILER_LOG") or "WARNING"
    if level.upper() not in LOG_LEVELS:
        raise click.UsageError(f"RECONCILER_LOG is {level!r}; set it to one of: {', '.join(LOG_LEVELS)}")
    log.configure(level)
    return load(value)


def config(command: F) -> F:
    """Add ``--config``; the command gets the checked settings as ``settings``."""
    return click.option(
        "--config",
        "-c",
        "settings",
        type=click.Path(path_type=Path, dir_okay=False),
        default="reconciler.toml",
        envvar="RECONCILER_CONFIG",
        show_default=True,
        show_envvar=True,
        callback=_load,
        help="Configuration file.",
    )(command)


def as_json(command: F) -> F:
    """Add ``--json``."""
    return click.option("--json", "machine", is_flag=True, help="Print JSON for machines, nothing else.")(command)


def everything(command: F) -> F:
    """Add ``--all``."""
    return click.option(
        "--all", "everything", is_flag=True, help="Show all; default: the first 100, and how many more."
    )(command)


def as_of(command: F) -> F:
    """Add ``--as-of``."""
    return click.option(
        "--as-of", type=Instant(), help="Judge as of this instant, for example 2026-03-31T22:00:00Z; default: now."
    )(command)


def fail_on(command: F) -> F:
    """Add ``--fail-on``."""
    return click.option(
        "--fail-on",
        type=click.Choice(FAIL_ON),
        default="high",
        show_default=True,
        help="Exit with 1 when open violations of this severity or worse exist.",
    )(command)
