"""``reconciler findings``: what differs, and the history of each difference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from reconciler.cli import options

if TYPE_CHECKING:
    from reconciler.estate.results import Outcome, Severity, State
    from reconciler.settings import Settings

STATES = ("new", "persisting", "resolved", "reopened")
SEVERITIES = ("critical", "high", "medium", "low")
VERDICTS = ("violation", "not_evaluable")


@click.group()
def command() -> None:
    """List findings and show one with its history."""


@command.command(name="list")
@options.config
@click.option("--state", type=click.Choice(STATES), help="Only this state.")
@click.option("--open", "open_only", is_flag=True, help="Leave out what is resolved.")
@click.option("--rule", metavar="ID", help="Only this rule, by id or name.")
@click.option("--severity", type=click.Choice(SEVERITIES), help="Only this severity.")
@click.option("--source", help="Only this source.")
@click.option("--person", metavar="PERSON_ID", help="Only this person.")
@click.option("--verdict", type=click.Choice(VERDICTS), help="Only this verdict.")
@options.as_json
def list_findings(
    settings: Settings,
    *,
    state: State | None,
    rule: str | None,
    severity: Severity | None,
    source: str | None,
    person: str | None,
    verdict: Outcome | None,
    open_only: bool,
    machine: bool,
) -> None:
    """List findings, worst first; resolved ones too unless --open is given.

    With --json: one array; each item has finding_id, rule_id, rule, verdict, severity, state, source, subject
    (the identity columns), reason, person_id, first_seen and last_seen.
    """
    from reconciler.cli import output
    from reconciler.findings import FindingStore

    found = FindingStore.open(settings.database_url, to_read=True).findings(
        state=state,
        rule=rule,
        severity=severity,
        source=source,
        person=person,
        verdict=verdict,
        open_only=open_only,
    )
    if machine:
        output.emit(found)
        return
    if not found:
        click.echo("No findings match.")
        return
    rows = [
        (
            f.finding_id,
            f.severity,
            f.state.value if f.verified else f"{f.state.value}, unverified",
            f.verdict.value,
            f.rule_id,
            f.source or "",
            f.reason,
        )
        for f in found
    ]
    output.table(("finding", "severity", "state", "verdict", "rule", "source", "reason"), rows)
    click.echo(f"{len(found)} findings. `reconciler findings show ID` tells one's history.")


@command.command()
@options.config
@click.argument("finding_id")
@options.as_json
def show(settings: Settings, finding_id: str, *, machine: bool) -> None:
    """Show one finding (its id, or the start of it) with its whole history."""
    from reconciler.cli import output
    from reconciler.findings import FindingStore

    finding, history = FindingStore.open(settings.database_url, to_read=True).show(finding_id)
    if machine:
        output.emit({"finding": finding, "history": history})
        return
    lines = [
        ("rule", f"{finding.rule_id} {finding.rule} (version {finding.rule_version})"),
        ("verdict", finding.verdict.value),
        ("severity", finding.severity),
        ("state", finding.state.value if finding.verified else f"{finding.state.value}, not verified by the last run"),
        ("source", finding.source or "whole estate"),
        *((name, value or "") for name, value in finding.subject.items() if name != "source"),
        ("person", finding.person_id or ""),
        ("reason", finding.reason),
        ("first seen", finding.first_seen.isoformat()),
        ("last seen", finding.last_seen.isoformat()),
    ]
    output.table((finding.finding_id, ""), lines)
    click.echo()
    changes = [(c.at.isoformat(), c.run_id, c.change, c.verdict.value, c.reason) for c in history]
    output.table(("at", "run", "change", "verdict", "reason"), changes)
