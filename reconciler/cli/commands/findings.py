"""``reconciler findings``: what differs, and the history of each difference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from reconciler.cli import options

if TYPE_CHECKING:
    from reconciler.estate.results import Finding, Outcome, Run, Severity, State
    from reconciler.report.model import Group
    from reconciler.settings import Settings

STATES = ("new", "persisting", "resolved", "reopened", "suppressed", "held")
SEVERITIES = ("critical", "high", "medium", "low")
VERDICTS = ("violation", "not_evaluable")
_LEAST = 3
"""Findings shown of a cause, however many causes there are."""
_SHORT = 12
"""Characters of a finding's id that tell it from others, as the report has them; `show` takes the start of one."""


@click.group()
def command() -> None:
    """List findings, show one with its history, accept those that are held."""


@command.command(name="list")
@options.config
@click.option("--state", type=click.Choice(STATES), help="Only this state.")
@click.option("--open", "open_only", is_flag=True, help="Only what stands open: not resolved, suppressed or held.")
@click.option("--rule", metavar="ID", help="Only this rule, by id or name.")
@click.option("--severity", type=click.Choice(SEVERITIES), help="Only this severity.")
@click.option("--source", help="Only this source.")
@click.option("--person", metavar="PERSON_ID", help="Only this person.")
@click.option("--verdict", type=click.Choice(VERDICTS), help="Only this verdict.")
@click.option("--all", "everything", is_flag=True, help="Show all; default: the first of each cause, about 100.")
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
    everything: bool,
    machine: bool,
) -> None:
    """List findings by cause, worst first; resolved, suppressed and held ones too unless --open is given.

    With --json: one array; each item has finding_id, rule_id, rule, verdict, severity, state, source, subject
    (the identity columns), reason, person_id, first_seen, last_seen, exception and excepted_until.
    """
    from reconciler.cli import output
    from reconciler.findings import FindingStore

    store = FindingStore.open(settings.database_url, to_read=True)
    found = store.findings(
        state=state,
        rule=rule,
        severity=severity,
        source=source,
        person=person,
        verdict=verdict,
        open_only=open_only,
    )
    last = store.last_run()
    if machine:
        output.emit(found)
    elif last is None:
        click.echo("No run is recorded yet: `reconciler run` does the first.")
    elif not found:
        click.echo("No findings match.")
    else:
        _show_causes(last, found, settings.config.estate.time_zone, everything=everything)


def _show_causes(last: Run, found: Sequence[Finding], time_zone: str, *, everything: bool) -> None:
    """Print findings by cause: a heading each, and as many of its findings as there is room for."""
    from reconciler import report
    from reconciler.cli import output
    from reconciler.report.wording import count

    model = report.build(last, found, time_zone=time_zone)
    sections = (
        ("Open violations", model.violations),
        ("Held for acceptance", model.held),
        ("Suppressed by exceptions", model.suppressed),
        ("Could not be judged", model.not_evaluable),
        ("Resolved", model.resolved),
    )
    causes = sum(len(groups) for _, groups in sections)
    most = len(found) if everything else max(_LEAST, output.LISTED // causes)
    for title, groups in sections:
        if groups:
            click.secho(f"{title}: {sum(len(group.findings) for group in groups):,}", bold=True)
        for group in groups:
            _show_cause(group, most)
    click.echo(f"{count(len(found), 'finding')} of {count(causes, 'cause')}.")
    if any(len(group.findings) > most for _, groups in sections for group in groups):
        click.echo("Narrow it by --rule ID, --source NAME, --severity, --state; --all shows every one.")
    click.echo("`reconciler findings show ID` tells one's history and remedy.")


def _show_cause(group: Group, most: int) -> None:
    from reconciler.cli import output
    from reconciler.report.model import standing

    click.echo()
    click.echo(
        click.style(group.severity, fg=output.SEVERITY_COLOUR[group.severity], bold=True)
        + f"  {group.rule_id} {group.title}, in {group.source or 'the whole estate'}: {len(group.findings):,}"
    )
    output.lines(
        [
            (
                f.finding_id[:_SHORT],
                standing(f),
                f.reason + (f" ({f.exception} until {f.excepted_until:%Y-%m-%d})" if f.excepted_until else ""),
            )
            for f in group.findings[:most]
        ]
    )
    if len(group.findings) > most:
        click.echo(f"  and {len(group.findings) - most:,} more")


@command.command()
@options.config
@click.argument("finding_id")
@options.as_json
def show(settings: Settings, finding_id: str, *, machine: bool) -> None:
    """Show one finding (its id, or the start of it): what to do about it, where it is worked on, and its history."""
    from reconciler.cli import output
    from reconciler.findings import FindingStore
    from reconciler.nonconformity.store import NonconformityStore

    store = FindingStore.open(settings.database_url, to_read=True)
    finding, history = store.show(finding_id)
    held = NonconformityStore.open(settings.database_url, to_read=True).of_finding(finding.finding_id)
    last = store.last_run()
    remedy = next((rule.remedy for rule in last.rules if rule.rule_id == finding.rule_id), "") if last else ""
    if machine:
        nc_id = held.nc_id if held else None
        output.emit({"finding": finding, "history": history, "remedy": remedy, "nonconformity": nc_id})
        return
    until = finding.excepted_until
    lines = [
        ("rule", f"{finding.rule_id} {finding.rule} (version {finding.rule_version})"),
        ("verdict", finding.verdict.value),
        ("severity", finding.severity),
        ("state", finding.state.value if finding.verified else f"{finding.state.value}, not verified by the last run"),
        ("source", finding.source or "whole estate"),
        *((name, value or "") for name, value in finding.subject.items() if name != "source"),
        ("person", finding.person_id or ""),
        ("reason", finding.reason),
        *([("exception", f"{finding.exception} until {until:%Y-%m-%d}")] if until else []),
        ("first seen", finding.first_seen.isoformat()),
        ("last seen", finding.last_seen.isoformat()),
        ("remedy", remedy),
        ("nonconformity", f"{held.nc_id}, {held.state}: {held.owner_role} answers" if held else "none"),
    ]
    output.table((finding.finding_id, ""), lines)
    click.echo()
    changes = [(c.at.isoformat(), c.run_id, c.change, c.verdict.value, c.reason) for c in history]
    output.table(("at", "run", "change", "verdict", "reason"), changes)
    click.echo(f"\n`reconciler rules explain {finding.rule_id}` tells what the rule reads and cannot see.")


@command.command()
@options.config
@click.argument("rule")
@click.option("--source", help="Only those of this source.")
@click.option("--by", required=True, metavar="NAME", help="Who reviewed them.")
@click.option("--reason", required=True, help="Why they are right.")
@options.as_json
def accept(settings: Settings, rule: str, *, source: str | None, by: str, reason: str, machine: bool) -> None:
    """Accept the findings of RULE that are held because they were too many at once; from then on they count.

    Who accepted them and why is kept with each of them.
    """
    from reconciler import clock
    from reconciler.cli import output
    from reconciler.findings import FindingStore

    store = FindingStore.open(settings.database_url)
    accepted = store.accept_findings(rule=rule, source=source, by=by, reason=reason, at=clock.now())
    if machine:
        output.emit(accepted)
        return
    where = f" in {accepted.source}" if accepted.source else ""
    click.echo(
        f"{accepted.findings} findings of {accepted.rule_id}{where} are open now, accepted by {accepted.accepted_by}."
    )
