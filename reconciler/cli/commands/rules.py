"""``reconciler rules``: list, check, try, explain and write rules."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli import options

if TYPE_CHECKING:
    from reconciler.backtest import Backtest
    from reconciler.engine import Rule
    from reconciler.settings import Settings

_EXAMPLES = 5


@click.group()
def command() -> None:
    """List, lint, test, explain and write rules.

    The bundled rules are always there; --config adds the organisation's own folders and parameters.
    """


def _rules_of(config: Path | None, folders: tuple[Path, ...] = ()) -> list[Rule]:
    from reconciler import engine, run
    from reconciler.bundled import root
    from reconciler.settings import load

    if folders:
        return engine.load(list(folders))
    return run.load_rules(load(config)) if config else engine.load([root("rules")])


_config = click.option(
    "--config",
    "-c",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="RECONCILER_CONFIG",
    help="Configuration that names own rule folders and parameters.",
)
_folder = click.option(
    "--folder",
    "folders",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Only the rules of this folder, which need not be configured yet.",
)


@command.command(name="list")
@_config
@options.as_json
def list_rules(config: Path | None, *, machine: bool) -> None:
    """List every rule with its severity, stage and version."""
    from reconciler.cli import output

    rules = [rule.info for rule in _rules_of(config)]
    if machine:
        output.emit(rules)
        return
    rows = [(r.rule_id, r.severity, r.stage, r.status, str(r.version), r.title) for r in rules]
    output.table(("rule", "severity", "stage", "status", "version", "title"), rows)


@command.command()
@_config
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path, exists=True, file_okay=False))
@options.as_json
def lint(config: Path | None, folders: tuple[Path, ...], *, machine: bool) -> int:
    """Check the bundled and configured rules, or those of FOLDERS; each problem as file:line:column: what."""
    from reconciler import engine
    from reconciler.cli import output
    from reconciler.report.wording import count

    try:
        rules = _rules_of(config, folders)
    except engine.RuleError as error:
        if not machine:
            raise
        problems = [{"at": p.at, "message": p.message, "advice": p.advice} for p in error.problems]
        output.emit({"rules": None, "problems": problems})
        return error.exit_code
    if machine:
        output.emit({"rules": len(rules), "problems": []})
    else:
        click.echo(f"{count(len(rules), 'rule')}, no problem found.")
    return 0


@command.command()
@_config
@_folder
@click.argument("ids", nargs=-1, metavar="[ID]...")
@click.option("--engine", "url", metavar="URL", help="duckdb, or sc://host:port of a Spark Connect server.")
@options.as_json
def test(
    config: Path | None, folders: tuple[Path, ...], ids: tuple[str, ...], url: str | None, *, machine: bool
) -> int:
    """Try the cases of every rule, or of those named; exit code 2 where one fails."""
    from reconciler import engine
    from reconciler.cli import output
    from reconciler.sdk.secrets import SecretRef, reveal

    rules = _rules_of(config, folders)
    chosen = [_find(rule_id, rules) for rule_id in ids] or rules
    place = url or "duckdb"
    results = engine.run_cases(
        chosen, engine=reveal(SecretRef(place)) if place.startswith(("env:", "file:")) else place
    )
    failed = [result for result in results if not result.passed]
    if machine:
        output.emit([{"rule_id": r.rule_id, "case": r.name, "passed": r.passed, "detail": r.detail} for r in results])
        return 2 if failed else 0
    for result in failed:
        click.secho(f"FAILED {result.rule_id}: {result.name}", fg="red")
        click.echo(result.detail)
    click.echo(f"{len(results) - len(failed)} cases passed, {len(failed)} failed.")
    return 2 if failed else 0


@command.command()
@_config
@_folder
@click.argument("rule_id")
def explain(config: Path | None, folders: tuple[Path, ...], rule_id: str) -> None:
    """Explain one rule to an auditor: what it reads, when it fires, what it cannot see, and its text."""
    from reconciler import engine

    click.echo(engine.explain(_find(rule_id, _rules_of(config, folders))))


@command.command()
@options.config
@click.argument("snapshots", nargs=-1, metavar="[SNAPSHOT]...")
@click.option("--last", type=click.IntRange(min=1), default=1, show_default=True, help="Newest snapshots to take.")
@click.option(
    "--folder",
    "folders",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder of changed or new rules; one stands in for the rule of its id.",
)
@click.option("--param", "params", multiple=True, metavar="ID.NAME=VALUE", help="A parameter's other value.")
@options.as_json
def backtest(
    settings: Settings,
    snapshots: tuple[str, ...],
    last: int,
    folders: tuple[Path, ...],
    params: tuple[str, ...],
    *,
    machine: bool,
) -> None:
    """Show what changed rules or parameters would open and close on stored snapshots; nothing is recorded.

    Where more would be new than [limits] allows in one night, it says how many the night would hold.

    \b
    Example:
      reconciler rules backtest --param IG-LVR-001.grace=PT4H
      reconciler rules backtest --last 14 --folder ~/rules-of-tomorrow
    """
    from reconciler import backtest as tried
    from reconciler.cli import output

    changed = tried.changes(settings, folders, params)
    results = []
    for snapshot in tried.snapshots(settings, snapshots, last):
        with output.working(f"judging {snapshot.snapshot_id}"):
            results.append(tried.over(settings, snapshot, changed))
    if machine:
        output.emit(results)
        return
    for result in results:
        _show_backtest(result)


@command.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.argument("family")
@click.argument("name")
def new(folder: Path, family: str, name: str) -> None:
    """Write a rule to start from, FOLDER/FAMILY/NAME.sql and .toml, that lints and passes its cases."""
    from reconciler import engine

    for path in engine.new(folder, family, name):
        click.echo(path)
    click.echo(f"Next: `reconciler rules lint {folder}`, `reconciler rules test --folder {folder}`.")


@command.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
def lock(folder: Path) -> None:
    """Write FOLDER/versions.lock: from now on a rule that changes without a new version is refused."""
    from reconciler import engine

    click.echo(engine.write_lock(folder, engine.load([folder], {}, locked=False)))


def _show_backtest(result: Backtest) -> None:
    from reconciler.log import redact

    click.secho(f"Snapshot {result.snapshot}", bold=True)
    for found in result.differences:
        told = f"would open {len(found.opens)}, close {len(found.closes)}, change {len(found.changes)}"
        click.echo(f"  {found.rule_id}: {told}")
        for sign, verdicts in (("+", found.opens), ("-", found.closes), ("~", found.changes)):
            for verdict in verdicts[:_EXAMPLES]:
                click.echo(f"    {sign} {verdict.verdict.value}: {redact(verdict.reason)}")
            if len(verdicts) > _EXAMPLES:
                click.echo(f"    {sign} and {len(verdicts) - _EXAMPLES} more; --json lists all")
        for held in found.held:
            click.secho(
                f"    the night would hold {held.violations:,} new violations in {held.source or 'the whole estate'}: "
                f"more than the limit of {held.limit:,} ([limits]). They wait for `reconciler findings accept`.",
                fg="yellow",
            )
        for source, reasons in found.blocked.items():
            click.echo(f"    not evaluable in {source or 'the whole estate'}: {'; '.join(reasons)}")


def _find(rule_id: str, rules: list[Rule]) -> Rule:
    import difflib

    from reconciler.errors import ConfigurationError

    for rule in rules:
        if rule_id.casefold() in {rule.info.rule_id.casefold(), rule.info.name.casefold()}:
            return rule
    close = difflib.get_close_matches(rule_id.upper(), [rule.info.rule_id for rule in rules], n=1)
    advice = f"Did you mean {close[0]}?" if close else "`reconciler rules list` names them."
    raise ConfigurationError(f"no rule {rule_id}", advice=advice)
