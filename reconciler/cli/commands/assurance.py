"""``reconciler assurance``: what policy, workflow and enforcement show of every grant and every revocation."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reconciler.cli import options

if TYPE_CHECKING:
    from reconciler.engine.assurance import Figure
    from reconciler.settings import Settings

VERDICTS = ("proven", "approved_not_executed", "executed_without_approval", "revocation_unproven", "not_evaluable")
_EXAMPLES = 3


class Window(click.ParamType[Any]):
    """An ISO 8601 duration."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the text."""
        from reconciler.engine.rule import parse_duration

        try:
            return parse_duration(value) if isinstance(value, str) else value
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@options.config
@click.option("--snapshot", help="Sealed snapshot; default: the newest.")
@options.as_of
@click.option("--source", help="Only this source.")
@click.option("--verdict", type=click.Choice(VERDICTS), help="Only rows of this verdict.")
@click.option(
    "--window", type=Window(), default="PT72H", show_default=True, help="How long carrying out a decision may take."
)
@click.option(
    "--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="Write all rows: FILE.csv or FILE.parquet."
)
@options.as_json
def command(
    settings: Settings,
    *,
    snapshot: str | None,
    as_of: datetime | None,
    source: str | None,
    verdict: str | None,
    window: Any,
    output: Path | None,
    machine: bool,
) -> None:
    """Say of every grant and revocation whether policy, workflow and enforcement agree: counts, and a few examples."""
    from reconciler import run
    from reconciler.cli import output as out
    from reconciler.engine.assurance import open_assurance, words
    from reconciler.errors import ConfigurationError
    from reconciler.snapshot import SnapshotStore

    snapshots = SnapshotStore(settings.snapshots)
    chosen = snapshots.open(snapshot) if snapshot else snapshots.latest_of(settings.config.estate.name)
    if chosen is None:
        raise ConfigurationError(f"no sealed snapshot in {settings.snapshots}", advice="Run `reconciler pull` first.")
    known = [each.name for each in chosen.manifest.sources]
    if source is not None and source not in known:
        raise ConfigurationError(f"the snapshot has no source {source}", advice=f"Use one of: {', '.join(known)}.")
    if output is not None and output.suffix.lower() not in {".csv", ".parquet"}:
        raise ConfigurationError(f"{output}: no format {output.suffix}", advice="Use .csv or .parquet.")
    chosen.verify()
    said = words(run.load_rules(settings), window=window)
    with (
        out.working("joining approvals, events and state"),
        open_assurance(chosen, as_of=as_of or chosen.as_of, options=run.options(settings), words=said) as assurance,
    ):
        figures = [each for each in assurance.figures() if source in (None, each.source)]
        examples = assurance.examples(_EXAMPLES, source=source, verdict=verdict)
        written = assurance.write(output, source=source, verdict=verdict) if output else None
    if machine:
        out.emit({"snapshot": chosen.snapshot_id, "figures": figures, "examples": examples, "rows_written": written})
        return
    _show(figures, examples)
    if output:
        click.echo(f"\n{written:,} rows written to {output}")


def _show(figures: Sequence[Figure], examples: Sequence[dict[str, Any]]) -> None:
    from reconciler.cli.output import table

    numbers = tuple(verdict.replace("_", " ") for verdict in VERDICTS)
    rows = [
        (
            *(each.kind, each.source or "(none named)"),
            each.known,
            *(f"{each.verdicts[verdict]:,}" for verdict in VERDICTS),
        )
        for each in figures
    ]
    table(("what", "source", "population", *numbers), rows, right=("population", *numbers), title="Verdicts")
    click.echo()
    words = [
        (
            each.kind,
            each.source or "(none named)",
            layer,
            ", ".join(f"{n:,} {w}" for w, n in sorted(said.items())) or "–",
        )
        for each in figures
        for layer, said in each.layers.items()
        if each.population
    ]
    table(("what", "source", "layer", "says"), words, title="Layers")
    for each in figures:
        for why in each.blocked:
            click.echo(f"{each.kind} of {each.source}: nothing is judged: {why}")
        if each.events_unread and not each.blocked:
            also = "; endings that only events would show are unknown" if each.kind == "revocations" else ""
            click.echo(f"{each.kind} of {each.source}: {each.events_unread}{also}")
    if examples:
        click.echo()
        told = [
            (
                *(row["verdict"].replace("_", " "), row["source"] or "–", row["account_id"] or row["person_id"] or "–"),
                *(row["entitlement_id"] or "the account", row["reason"]),
            )
            for row in examples
        ]
        table(("verdict", "source", "account", "entitlement", "because"), told, title="Examples")
