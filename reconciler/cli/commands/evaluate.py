"""``reconciler evaluate``: judge a sealed snapshot and record what differs."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from reconciler.cli import options

if TYPE_CHECKING:
    from reconciler.settings import Settings


@click.command()
@options.config
@click.argument("snapshot", required=False)
@options.as_of
@click.option("--dry-run", is_flag=True, help="Show the verdicts; record nothing.")
@options.fail_on
@options.as_json
def command(
    settings: Settings, snapshot: str | None, as_of: datetime | None, fail_on: str, *, dry_run: bool, machine: bool
) -> int:
    """Judge a sealed SNAPSHOT (default: the newest) and record what differs from the last run."""
    from reconciler import run
    from reconciler.cli import output, summary
    from reconciler.errors import ConfigurationError
    from reconciler.findings import FindingStore
    from reconciler.snapshot import SnapshotStore

    snapshots = SnapshotStore(settings.snapshots)
    chosen = snapshots.open(snapshot) if snapshot else snapshots.latest_of(settings.config.estate.name)
    if chosen is None:
        raise ConfigurationError(f"no sealed snapshot in {settings.snapshots}", advice="Run `reconciler pull` first.")
    rules = run.load_rules(settings)
    store = FindingStore.open(settings.database_url)
    with output.working("evaluating"):
        evaluation = run.evaluate(settings, chosen, rules, as_of=as_of or chosen.as_of, keep=True)
    if dry_run:
        code = run.exit_code(chosen.coverage(), run.scopes_of_sources(evaluation), run.violations(evaluation), fail_on)
        return summary.replayed(evaluation, store.run_of_snapshot(chosen.snapshot_id), code, machine=machine)
    recorded = run.record(settings, store, chosen, evaluation)
    findings = store.findings()
    after = run.after(settings, chosen, recorded)
    idle = run.idle(settings, evaluation)
    standing = run.open_violations(findings)
    code = run.exit_code(
        recorded.coverage,
        run.scopes_of_sources(recorded),
        standing,
        fail_on,
        held=recorded.held,
        idle=idle,
        unfiled=after.undone,
    )
    return summary.recorded(recorded, findings, (), (), code, idle=idle, after=after, machine=machine)
