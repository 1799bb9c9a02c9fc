"""``reconciler findings``: what differs, and the history of each difference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from reconciler.cli import options

if TYPE_CHECKING:
    from reconciler.estate.results import Outcome, Severity, State
    from reconciler.settings import Settings

STATES = ("new", "persisting", "resolved", "reopened", "suppressed", "held")
SEVERITIES = ("critical", "high", "medium", "low")
VERDICTS = ("violation", "not_evaluable")


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
    """List findings, worst first; resolved, suppressed and held ones too unless --open is given.

    With --json: one array; each item has finding_id, rule_id, rule, verdict, severity, state, source, subject
    (the identity columns), reason, person_id, first_seen, last_seen, exception and excepted_until.
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
            f"{f.exception} until {f.excepted_until:%Y-%m-%d}" if f.exception and f.excepted_until else "",
        )
        for f in found
    ]
    output.table(("finding", "severity", "state", "verdict", "rule", "source", "reason", "exception"), rows)
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
        *(
            [("exception", f"{finding.exception} until {finding.excepted_until:%Y-%m-%d}")]
            if finding.excepted_until
            else []
        ),
        ("first seen", finding.first_seen.isoformat()),
        ("last seen", finding.last_seen.isoformat()),
    ]
    output.table((finding.finding_id, ""), lines)
    click.echo()
    changes = [(c.at.isoformat(), c.run_id, c.change, c.verdict.value, c.reason) for c in history]
    output.table(("at", "run", "change", "verdict", "reason"), changes)


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
