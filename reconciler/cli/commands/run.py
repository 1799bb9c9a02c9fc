"""``reconciler run``: the whole night, or a replay of one."""

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
@click.option(
    "--replay",
    metavar="SNAPSHOT",
    help="Judge this sealed snapshot again and compare with what was recorded; nothing is pulled or written.",
)
@options.fail_on
@options.as_json
def command(settings: Settings, as_of: datetime | None, replay: str | None, fail_on: str, *, machine: bool) -> int:
    """Do the whole night: pull every source, evaluate the rules, record what differs, write the reports.

    \b
    Example:
      reconciler run --config reconciler.toml
      reconciler run --replay 20260131T021500Z-1a2b3c
    """
    if replay is not None:
        return _replay(settings, replay, as_of, fail_on, machine=machine)
    from reconciler import run
    from reconciler.cli import output, summary

    with output.pulling() as progress:
        night = run.night(settings, as_of=as_of, progress=progress)
    standing = run.open_violations(night.findings)
    code = run.exit_code(
        night.run.coverage,
        run.scopes_of_sources(night.run),
        standing,
        fail_on,
        held=night.run.held,
        idle=night.idle,
        unfiled=night.after.undone,
    )
    return summary.recorded(
        night.run,
        night.findings,
        night.reports,
        night.unsealed,
        code,
        idle=night.idle,
        after=night.after,
        machine=machine,
    )


def _replay(settings: Settings, name: str, as_of: datetime | None, fail_on: str, *, machine: bool) -> int:
    from reconciler import run
    from reconciler.cli import output, summary
    from reconciler.findings import FindingStore
    from reconciler.snapshot import SnapshotStore

    snapshot = SnapshotStore(settings.snapshots).open(name)
    with output.working("evaluating"):
        evaluation = run.evaluate(settings, snapshot, run.load_rules(settings), as_of=as_of or snapshot.as_of)
    recorded = FindingStore.open(settings.database_url, to_read=True).run_of_snapshot(snapshot.snapshot_id)
    code = run.exit_code(snapshot.coverage(), run.scopes_of_sources(evaluation), run.violations(evaluation), fail_on)
    return summary.replayed(evaluation, recorded, code, machine=machine)
