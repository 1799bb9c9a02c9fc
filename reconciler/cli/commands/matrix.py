"""``reconciler matrix``: control -> rules -> evidence per layer -> what the last run showed, and who answers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from reconciler.cli import options

if TYPE_CHECKING:
    from reconciler.controls import Matrix
    from reconciler.controls.writing import Format
    from reconciler.engine.assurance import Figure
    from reconciler.estate.results import Run
    from reconciler.settings import Settings
    from reconciler.snapshot import Snapshot

FORMATS = ("table", "json", "csv", "xlsx", "html")
_COUNTS = ("population", "proven", "violated", "excepted", "not_evaluable")
_ALL_COUNTS = (*_COUNTS, "not_applicable")


@click.command()
@options.config
@click.option("--framework", help="Only controls of this framework, with its clauses: iso27001, pcidss, dora ...")
@click.option("--control", help="Only this control, with its rules and evidence.")
@click.option("--run", "run_id", help="A recorded run; default: the last.")
@click.option("--format", "fmt", type=click.Choice(FORMATS), help="Default: by the ending of --output, else table.")
@click.option("--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="File to write.")
@options.as_json
def command(
    settings: Settings,
    *,
    framework: str | None,
    control: str | None,
    run_id: str | None,
    fmt: str | None,
    output: Path | None,
    machine: bool,
) -> None:
    """Show which control is proven, violated or could not be judged, by which rules, and who answers for it."""
    from reconciler import afterwards, controls, declared
    from reconciler.cli.output import working
    from reconciler.controls import writing
    from reconciler.findings import FindingStore

    chosen = "json" if machine else _format(fmt, output)
    store = FindingStore.open(settings.database_url, to_read=True)
    recorded = store.run(run_id) if run_id else _last(store.last_run())
    snapshot, missing = _snapshot(settings, recorded.snapshot)
    with working("joining approvals, events and state"):
        figures, unknown = _figures(settings, snapshot, recorded, missing)
    matrix = controls.build(
        declared.catalogue(settings),
        recorded,
        holders=afterwards.holders(settings, snapshot, as_of=recorded.as_of),
        assurance=figures,
        assurance_unknown=unknown,
        framework=framework,
        control=control,
    )
    if chosen == "table":
        _show(matrix, whole=control is not None)
    elif output is None:
        click.echo(writing.text(matrix, cast("Format", chosen)), nl=False)
    else:
        writing.write(matrix, cast("Format", chosen), output)
        click.echo(output)


def _format(fmt: str | None, output: Path | None) -> str:
    from reconciler.errors import ConfigurationError

    ending = output.suffix.lstrip(".").lower() if output else ""
    chosen = fmt or ending or "table"
    if chosen not in FORMATS or (output is not None and chosen == "table"):
        raise ConfigurationError(
            f"{output}: no format {ending or 'without an ending'} of the matrix",
            advice=f"Use --format with one of: {', '.join(FORMATS[1:])}.",
        )
    if output is None and chosen == "xlsx":
        raise ConfigurationError("a workbook is no text to print", advice="Name a file: -o matrix.xlsx.")
    return chosen


def _last(run: Run | None) -> Run:
    from reconciler.errors import ConfigurationError

    if run is None:
        raise ConfigurationError("no run is recorded yet", advice="Do `reconciler run` first.")
    return run


def _snapshot(settings: Settings, snapshot_id: str) -> tuple[Snapshot | None, str]:
    from reconciler.errors import ConfigurationError
    from reconciler.snapshot import SnapshotStore

    try:
        return SnapshotStore(settings.snapshots).open(snapshot_id), ""
    except ConfigurationError as error:
        return None, error.message


def _figures(
    settings: Settings, snapshot: Snapshot | None, recorded: Run, missing: str
) -> tuple[tuple[Figure, ...], str]:
    from reconciler import run
    from reconciler.engine.assurance import open_assurance, words

    if snapshot is None:
        return (), missing
    snapshot.verify()
    said = words(run.load_rules(settings))
    with open_assurance(snapshot, as_of=recorded.as_of, options=run.options(settings), words=said) as assurance:
        return assurance.figures(), ""


def _show(matrix: Matrix, *, whole: bool) -> None:
    from reconciler.cli.output import table
    from reconciler.controls.writing import tally

    click.echo(f"{matrix.estate} as of {matrix.as_of:%Y-%m-%d %H:%M} UTC, run {matrix.run_id}\n")
    numbers = tuple(name.replace("_", " ") for name in _COUNTS)
    found = [
        (
            *(row.control.control_id, row.standing, row.control.title),
            *(_numbers(row.counts) if any(rule.judged for rule in row.rules) else ("–",) * len(numbers)),
            row.control.owner_role if matrix.holders_unknown else f"{row.control.owner_role} ({row.owner})",
            *((", ".join(row.clauses),) if matrix.framework else ()),
        )
        for row in matrix.controls
    ]
    headings = ("control", "stands", "what it asks", *numbers, "owner", *(("clauses",) if matrix.framework else ()))
    table(headings, found, right=numbers)
    click.echo()
    for row in matrix.controls:
        # how many are violated stands in the table
        if row.because and not whole and row.because != f"{row.counts.violated:,} violated":
            click.echo(f"{row.control.control_id} {row.standing}: {_short(row.because)}")
    if whole:
        _control(matrix)
    click.echo("\n" + ", ".join(f"{count} {name}" for name, count in tally(matrix.controls).items()))
    totals = [
        (total.title, f"{total.with_evidence} of {total.clauses}", f"{total.whole} of {total.clauses}")
        for total in matrix.frameworks
    ]
    table(("framework", "clauses with evidence", "judged whole"), totals)
    for total in matrix.frameworks if matrix.framework else ():
        if total.without:
            click.echo(f"Without evidence: {', '.join(total.without)}")
    for said in _notes(matrix):
        click.echo(said)


def _notes(matrix: Matrix) -> Iterator[str]:
    """Say what a reader of the figures must know beside them."""
    if matrix.held:
        yield f"Violations of this run that wait for acceptance: {matrix.held:,}. They are counted as violated."
    if matrix.exceptions_unread:
        unread = "; ".join(matrix.exceptions_unread)
        yield f"Exceptions were not read whole ({unread}): what stood suppressed counts as excepted, unverified."
    if matrix.holders_unknown:
        yield f"Who holds the owners' roles is not known: {matrix.holders_unknown}"
    if matrix.without_control:
        yield f"Rules of this run in no control: {', '.join(matrix.without_control)}"
    if matrix.assurance_unknown:
        yield f"No figures of the three layers: {matrix.assurance_unknown}"


def _control(matrix: Matrix) -> None:
    """Print one control with all that stands behind it."""
    from reconciler.cli.output import table

    numbers = tuple(name.replace("_", " ") for name in _ALL_COUNTS)
    for row in matrix.controls:
        rows = [
            (
                *(rule.rule_id, rule.title, rule.layer or "–", rule.standing),
                *(_numbers(rule.counts, _ALL_COUNTS) if rule.judged else ("–",) * len(numbers)),
            )
            for rule in row.rules
        ]
        table(("rule", "title", "layer", "stands", *numbers), rows, right=numbers)
        for rule in row.rules:
            for why in rule.blocked:
                click.echo(f"  {rule.rule_id} not judged in {why}")
        click.echo()
        for layer, expected in row.control.evidence.items():
            click.echo(f"evidence, {layer}: {expected}")
        for figure in row.assurance:
            told = ", ".join(f"{n:,} {verdict.replace('_', ' ')}" for verdict, n in figure.verdicts.items() if n)
            said = f"not judged: {'; '.join(figure.blocked)}" if figure.blocked else f"{figure.known}: {told}"
            click.echo(f"three layers, {figure.kind} of {figure.source or '(none named)'}: {said.removesuffix(': ')}")
        tested = f", tested every {row.control.test_days} days" if row.control.test_days else ""
        click.echo(f"kept {row.control.retention_days} days, fresh for {row.control.evidence_days} days{tested}")
        click.echo(f"clauses: {', '.join(row.clauses)}")


def _numbers(counts: object, names: Sequence[str] = _COUNTS) -> tuple[str, ...]:
    return tuple(f"{getattr(counts, name):,}" for name in names)


def _short(text: str) -> str:
    return text if len(text) <= 160 else text[:157] + "..."  # noqa: PLR2004  # one line of a wide terminal
