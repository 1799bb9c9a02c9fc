"""``reconciler sources``: what is read, what its credentials can see, and drops that were accepted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from reconciler.cli import options

if TYPE_CHECKING:
    from reconciler.sdk.connector import Gap
    from reconciler.settings import Settings


@click.group()
def command() -> None:
    """List and check sources; accept a reviewed drop."""


@command.command(name="list")
@options.config
@options.as_json
def list_sources(settings: Settings, *, machine: bool) -> None:
    """List the configured sources; connect to nothing."""
    from reconciler import run
    from reconciler.cli import output

    headings = ("source", "connector", "version", "endpoint", "tables")
    rows = [
        (
            pull.source.name,
            pull.connector,
            pull.source.version,
            pull.source.endpoint,
            ", ".join(t for t in pull.source.reports if pull.settings.tables is None or t in pull.settings.tables),
        )
        for pull in run.open_sources(settings)
    ]
    if machine:
        output.emit([{**dict(zip(headings, row, strict=True)), "tables": row[-1].split(", ")} for row in rows])
    else:
        output.table(headings, rows)


@command.command()
@options.config
@click.argument("names", nargs=-1, metavar="[SOURCE]...")
@options.as_json
def check(settings: Settings, names: tuple[str, ...], *, machine: bool) -> int:
    """Connect to each source and say what its credentials cannot see; exit code 3 where that is anything."""
    from reconciler import run
    from reconciler.cli import output
    from reconciler.log import redact
    from reconciler.sdk.errors import SourceError

    answers = run.check_sources(settings, names)
    found = {
        name: {"error": redact(answer.message), "advice": answer.advice, "gaps": []}
        if isinstance(answer, SourceError)
        else {"error": None, "advice": "", "gaps": list(answer)}
        for name, answer in answers.items()
    }
    good = not any(isinstance(answer, SourceError) or answer for answer in answers.values())
    if machine:
        output.emit(found)
        return 0 if good else run.EXIT_SOURCE
    for name, answer in answers.items():
        if isinstance(answer, SourceError):
            click.secho(f"{name}: {redact(answer.message)}", fg="red")
            click.echo(f"  {answer.advice}")
        elif answer:
            click.secho(f"{name}: readable, but not whole", fg="yellow")
            for line in _said_once(answer):
                click.echo(f"  {line}")
        else:
            click.secho(f"{name}: readable", fg="green")
    return 0 if good else run.EXIT_SOURCE


@command.command()
@options.config
@click.argument("source")
@click.argument("table", required=False)
@click.option("--snapshot", required=True, help="The sealed snapshot whose smaller count you reviewed.")
@click.option("--by", required=True, help="Who accepts the drop.")
@click.option("--reason", required=True, help="Why the rows are rightly gone.")
@options.as_json
def accept(
    settings: Settings, *, source: str, table: str | None, snapshot: str, by: str, reason: str, machine: bool
) -> None:
    """Accept that TABLE of SOURCE (default: every held table of it) lost rows or columns past its limit.

    The next run takes what is there now as its measure.
    """
    from reconciler import run
    from reconciler.cli import output

    accepted = run.accept_drops(settings, source=source, table=table, snapshot=snapshot, by=by, reason=reason)
    if machine:
        output.emit([{"source": source, "table": t, "before": b, "now": n} for t, (b, n) in accepted.items()])
        return
    for name, (before, now) in accepted.items():
        click.echo(f"{source} {name}: accepted by {by}, {before:,} to {now:,} rows.")
    click.echo("The next run measures against what is there now.")


def _said_once(gaps: Sequence[Gap]) -> list[str]:
    """Say each gap once, with the tables it is about: a missing right often blinds several."""
    found: dict[str, list[str]] = {}
    for gap in gaps:
        grant = f" (grant {gap.missing_permission})" if gap.missing_permission else ""
        found.setdefault(f"{gap.subject}: {gap.reason}{grant}".removeprefix(": "), []).append(gap.table or "all tables")
    return [f"{', '.join(dict.fromkeys(tables))}: {said}" for said, tables in found.items()]
