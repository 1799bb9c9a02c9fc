"""``reconciler filing``: what is filed where, what waits or failed, and what would be sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from reconciler.cli import acting, options

if TYPE_CHECKING:
    from reconciler.filing.comparison import Comparison
    from reconciler.settings import Settings

STATES = ("waiting", "filed", "gone", "conflict", "abandoned", "failed")


@click.group()
def command() -> None:
    """Show, preview, send and compare the tickets of nonconformities."""


@command.command()
@options.config
@click.argument("ticket", required=False)
@click.option("--system", help="Only this system.")
@click.option("--state", type=click.Choice(STATES), help="Only this state.")
@options.everything
@options.as_json
def status(
    settings: Settings, ticket: str | None, *, system: str | None, state: str | None, everything: bool, machine: bool
) -> None:
    """List tickets as the ledger has them, or show TICKET: its key, or a nonconformity as NC-000123.

    With --json: one array; each item has system, key, about, state, remote_id, remote_number, remote_url, status,
    raw_status, assignee, resolution, read_at, note, open_operations and comments.
    """
    from reconciler.cli import output
    from reconciler.database import opened
    from reconciler.errors import ConfigurationError
    from reconciler.filing import ledger
    from reconciler.report.wording import count

    database = opened(settings.database_url, to_read=True)
    if system is not None and system not in settings.systems and not ledger.status(database, system=system):
        raise ConfigurationError(
            f"{system} is no ticket system of {settings.path}, and never was",
            advice=f"Use one of: {', '.join(settings.systems)}."
            if settings.systems
            else "Write a section [filing.systems.NAME].",
        )
    found = ledger.status(database, system=system, about=ticket, state=state)
    if machine:
        output.emit(found)
        return
    if not found:
        click.echo("No tickets match.")
        return
    rows = [
        (
            entry.about,
            entry.system,
            entry.state,
            entry.remote_number or entry.remote_id or "",
            entry.raw_status or entry.status or "",
            entry.assignee or "",
            f"{entry.read_at:%Y-%m-%d %H:%M}" if entry.read_at else "",
            "; ".join(f"{done.mark} {done.state}" for done in entry.open_operations),
        )
        for entry in found
    ]
    most = None if everything else output.LISTED
    headings = ("about", "system", "state", "ticket", "status", "assignee", "read at (UTC)", "to do")
    output.table(headings, rows, most=most)
    for entry in found[:most]:
        errors = [f"{done.mark} {done.state}: {done.error}" for done in entry.open_operations if done.error]
        remarks = [f"{said.author}: {said.text}" for said in entry.comments] if ticket else []
        if entry.note or errors or remarks:
            output.paragraph(entry.state, entry.system, entry.key, entry.note or "", *errors, *remarks)
    click.echo(f"{count(len(found), 'ticket')}.")


@command.command()
@options.config
@click.argument("nonconformity", required=False)
@click.option("--system", help="Only this system.")
@options.as_json
def preview(settings: Settings, nonconformity: str | None, *, system: str | None, machine: bool) -> None:
    """Print the request that would file NONCONFORMITY, as NC-000123, secrets masked; nothing is sent.

    Without one: of a nonconformity that is made up.
    """
    from reconciler.cli import output
    from reconciler.database import opened
    from reconciler.errors import ConfigurationError
    from reconciler.filing import night, reading
    from reconciler.filing.facts import example
    from reconciler.log import redact

    facts = reading.one(opened(settings.database_url, to_read=True), nonconformity) if nonconformity else example()
    requests = night.preview(settings, facts, system)
    if not requests:
        raise ConfigurationError(
            f"{settings.path} names no ticket system", advice="Write a section [filing.systems.NAME]."
        )
    if machine:
        output.emit(requests)
        return
    for name, request in requests.items():
        click.echo(click.style(f"{name}:", bold=True))
        click.echo(redact(f"{request.method} {request.url}"))
        for header, value in request.headers.items():
            click.echo(redact(f"{header}: {value}"))
        click.echo(redact(f"\n{request.body}\n"))
    sent = "Sent by the next run" if settings.config.filing.enabled else "Not sent while filing.enabled is false"
    click.echo(f"{sent}; this command sends nothing.")


@command.command()
@options.config
@options.as_json
def send(settings: Settings, *, machine: bool) -> None:
    """Ask for tickets of what is open, and send what waits; refused while filing.enabled is false."""
    import asyncio

    from reconciler import clock
    from reconciler.cli import output
    from reconciler.database import opened
    from reconciler.errors import FilingError
    from reconciler.filing import ledger, night, reading
    from reconciler.report.wording import count

    night.refuse_disabled(settings)
    database = opened(settings.database_url)
    asked = night.enqueue(settings, database, reading.known(database), at=clock.now())
    sent = asyncio.run(night.send(settings, database))
    silent = [f"{name}: {why}" for name, why in sent.silent.items()]
    undone = [*asked.unfilled, *silent, *ledger.undone(database, settings.systems)]
    if machine:
        output.emit({"sent": sent, "undone": undone})
    else:
        filed, changes = count(sent.filed, "ticket"), count(sent.changed, "change")
        click.echo(f"{filed} filed, {sent.found} found to be there, {changes} made.")
    if undone:
        raise FilingError(
            "\n".join(["not everything is filed:", *undone]),
            advice="What waits is sent by the next send or run, nothing twice. Put right what failed, then have it "
            "tried again: `reconciler filing retry`.",
        )


@command.command()
@options.config
@options.as_json
def reconcile(settings: Settings, *, machine: bool) -> None:
    """Read every ticket back, and compare the ledger with what each system holds; creates and changes nothing there."""
    import asyncio

    from reconciler.cli import output
    from reconciler.database import opened
    from reconciler.errors import FilingError
    from reconciler.filing import night
    from reconciler.report.wording import count

    exchanged = asyncio.run(night.reconcile(settings, opened(settings.database_url)))
    if machine:
        output.emit({"followed": exchanged.followed, "compared": exchanged.compared})
    else:
        click.echo(f"{count(exchanged.followed.read, 'ticket')} read.")
        for line in exchanged.followed.unread:
            click.echo(f"not read: {line}")
        for line in exchanged.followed.odd:
            click.echo(f"a person decides: {line}")
        for line in exchanged.followed.asked:
            click.echo(f"to be done by the next send: {line}")
        _compared(exchanged.compared)
    if not exchanged.complete:
        raise FilingError(
            "the ledger and the ticket systems do not agree, or could not be compared whole",
            advice="`reconciler filing status` shows each ticket; a person decides what to do: filing retry, abandon.",
        )


def _compared(found: Sequence[Comparison]) -> None:
    from reconciler.report.wording import count

    for one in found:
        if one.unread is not None:
            click.echo(f"{one.system}: not compared, nothing is concluded: {one.unread}")
            continue
        agrees = "all as in the ledger" if one.agrees else "but"
        click.echo(f"{one.system}: {count(one.there, 'ticket')} of ours, {agrees}")
        for what, keys in (
            ("gone there", one.missing),
            ("there, but not listed under its key", one.unlisted),
            ("there, but not in the ledger", one.extra),
            ("several under one key", one.duplicates),
            ("linked to the ledger", one.linked),
        ):
            for key in keys:
                click.echo(f"  {what}: {key}")


@command.command()
@options.config
@click.argument("ticket", required=False)
@click.option("--system", help="Only this system.")
@click.option("--all", "everything", is_flag=True, help="Everything that failed.")
@click.option("--recreate", is_flag=True, help="File another in the place of one that is gone or lost its key.")
@click.option("--by", required=True, metavar="PERSON_ID", help="Who decides.")
@click.option("--reason", required=True, help="Why.")
@options.as_json
def retry(
    settings: Settings,
    ticket: str | None,
    *,
    system: str | None,
    everything: bool,
    recreate: bool,
    by: str,
    reason: str,
    machine: bool,
) -> None:
    """Have what failed of TICKET (its key, or a nonconformity as NC-000123) tried again by the next send.

    A ticket that was never filed is made with the fields and templates of the configuration as it is now.
    """
    from reconciler import clock
    from reconciler.cli import output
    from reconciler.database import opened
    from reconciler.filing import decisions, night
    from reconciler.report.wording import count

    if (ticket is None) != everything:
        raise click.UsageError("name a ticket, or give --all")
    database = opened(settings.database_url)
    again = decisions.retry(
        database,
        ticket,
        system=system,
        recreate=recreate,
        by=acting.person(settings, by),
        reason=reason,
        at=clock.now(),
        refill=night.refill(settings, database),
    )
    if machine:
        output.emit(again)
        return
    for line in again:
        click.echo(f"will be tried again: {line}")
    click.echo(
        f"{count(len(again), 'operation')} to send. `reconciler filing send` sends them now, else the next run does."
    )


@command.command()
@options.config
@click.argument("ticket")
@click.option("--system", help="Only this system.")
@click.option("--by", required=True, metavar="PERSON_ID", help="Who decides.")
@click.option("--reason", required=True, help="Why.")
@options.as_json
def abandon(settings: Settings, ticket: str, *, system: str | None, by: str, reason: str, machine: bool) -> None:
    """Do nothing more to TICKET: what its system holds stays there, and is no longer read or changed."""
    from reconciler import clock
    from reconciler.cli import output
    from reconciler.database import opened
    from reconciler.filing import decisions

    given_up = decisions.abandon(
        opened(settings.database_url),
        ticket,
        system=system,
        by=acting.person(settings, by),
        reason=reason,
        at=clock.now(),
    )
    if machine:
        output.emit(given_up)
        return
    for line in given_up:
        click.echo(f"given up: {line}")


@command.command()
@options.config
@click.argument("systems", nargs=-1)
@options.as_json
def check(settings: Settings, systems: tuple[str, ...], *, machine: bool) -> None:
    """Connect to SYSTEMS (none: all), writing nothing, and say what their credentials cannot do."""
    import asyncio

    from reconciler.cli import output
    from reconciler.errors import FilingError, ReconcilerError
    from reconciler.filing import night
    from reconciler.log import redact

    answers = asyncio.run(night.check(settings, systems))
    said = {name: [a.told] if isinstance(a, ReconcilerError) else list(a) for name, a in answers.items()}
    if machine:
        output.emit(said)
    else:
        for name, gaps in said.items():
            click.echo(f"{name}: {'ready' if not gaps else ''}".rstrip())
            for gap in gaps:
                click.echo(redact(f"  {gap}"))
    if any(isinstance(answer, ReconcilerError) for answer in answers.values()):
        raise FilingError("a ticket system cannot be used", advice="Put right what it says above, then check again.")
