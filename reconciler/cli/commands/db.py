"""``reconciler db``: the database schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from reconciler.cli import options

if TYPE_CHECKING:
    from reconciler.settings import Settings


@click.group()
def command() -> None:
    """Look after the database."""


@command.command()
@options.config
@options.as_json
def upgrade(settings: Settings, *, machine: bool) -> None:
    """Bring the database to this version's schema; run it after an update of reconciler."""
    from reconciler.cli import output
    from reconciler.findings import FindingStore

    store = FindingStore(settings.database_url)
    before = store.schema_version()
    store.upgrade()
    after = store.schema_version()
    if machine:
        output.emit({"before": before, "after": after})
        return
    click.echo(f"already at {after}" if before == after else f"upgraded from {before or 'empty'} to {after}")
