"""``reconciler report``: write the report of a recorded run again, in any format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import click

from reconciler.cli import options

if TYPE_CHECKING:
    from reconciler.settings import Settings

FORMATS = ("html", "xlsx", "csv", "json")


@click.command()
@options.config
@click.option("--format", "fmt", type=click.Choice(FORMATS), help="Default: by the ending of --output, else html.")
@click.option(
    "--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="File; default: the report folder."
)
@options.as_json
def command(settings: Settings, fmt: str | None, output: Path | None, *, machine: bool) -> None:
    """Write the report of the last recorded run and print its path."""
    from reconciler import afterwards, report, run
    from reconciler.cli.output import emit
    from reconciler.errors import ConfigurationError
    from reconciler.findings import FindingStore

    ending = output.suffix.lstrip(".").lower() if output else ""
    if fmt is None and ending and ending not in FORMATS:
        raise ConfigurationError(f"{output}: no report format .{ending}", advice=f"Use one of: {', '.join(FORMATS)}.")
    chosen = cast("Literal['html', 'xlsx', 'csv', 'json']", fmt or ending or "html")
    store = FindingStore.open(settings.database_url, to_read=True)
    last = store.last_run()
    if last is None:
        raise ConfigurationError("no run is recorded yet", advice="Do `reconciler run` first.")
    findings = store.findings()
    listed = afterwards.treated(settings, to_read=True)
    if output is None:
        (path,) = run.write_reports(settings, last, findings, [chosen], nonconformities=listed)
    else:
        path = output
        zone = settings.config.estate.time_zone
        report.write(report.build(last, findings, time_zone=zone, nonconformities=listed), chosen, path)
    if machine:
        emit({"run_id": last.run_id, "format": chosen, "path": str(path)})
    else:
        click.echo(path)
