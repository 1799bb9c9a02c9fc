"""``reconciler pull``: read every source into a sealed snapshot."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from reconciler.cli import options

if TYPE_CHECKING:
    from reconciler.settings import Settings


@click.command()
@options.config
@options.as_of
@options.as_json
def command(settings: Settings, as_of: datetime | None, *, machine: bool) -> int:
    """Read every source into a sealed snapshot, and say what could not be read.

    Exit code 3 means that a source was not read whole; the snapshot is sealed with what is complete.
    """
    from reconciler import run
    from reconciler.cli import output, summary
    from reconciler.findings import FindingStore
    from reconciler.snapshot import SnapshotStore

    store = FindingStore.open(settings.database_url)
    unsealed = SnapshotStore(settings.snapshots).unsealed()
    with output.pulling() as progress:
        snapshot = run.pull(settings, store, as_of=run.instant(settings, store, as_of), progress=progress)
    code = run.exit_code(snapshot.coverage(), (), (), "never")
    return summary.pulled(snapshot, unsealed, code, machine=machine)
